"""Rows with what goes with them."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..nn import saved

Array = NDArray[np.float64]


@saved
@dataclass(frozen=True)
class LabelledRows:
    """Rows, with the targets that go with them.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n, ...) or None
    """

    X: Array
    y: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, which: Any) -> Self:
        y = None if self.y is None else self.y[which].copy()
        return type(self)(self.X[which].copy(), y)

    def joined(self, later: Self) -> Self:
        """Return these rows and later ones."""
        y = later.y
        if y is not None and self.y is not None:
            y = np.concatenate([self.y, y])
        return type(self)(np.concatenate([self.X, later.X]), y)
