"""A bounded sample of the rows of a stream."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..nn import saved

#: The most rows that are kept, and the most bytes that these may take.
MAX_ROWS, MAX_BYTES = 4000, 2**25


@saved
@dataclass(frozen=True)
class Reservoir:
    """Rows of which each that came is there with the same probability.

    Attributes
    ----------
    X : ndarray of shape (n_kept, n_features)
    y : ndarray of shape (n_kept, n_targets) or None
        What goes with them.
    n_offered : int
        How many rows came.
    size : int
        How many there may be.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None
    n_offered: int
    size: int

    @classmethod
    def like(cls, X: NDArray[Any], y: NDArray[Any] | None, share: float = 1.0) -> Self:
        """Return an empty one for such rows; with a share of the usual bounds."""
        width = X.itemsize * X.shape[1] + (0 if y is None else y[:1].nbytes)
        size = int(share * min(MAX_ROWS, MAX_BYTES // width))
        return cls(X[:0], None if y is None else y[:0], 0, max(1, size))

    def __len__(self) -> int:
        return len(self.X)

    def offered(
        self, X: NDArray[Any], y: NDArray[Any] | None, random: np.random.Generator
    ) -> Self:
        """Return a new one after these rows (algorithm R: Vitter 1985).

        The row that comes as number t takes a place that is drawn from t of them, if
        there is such a place.
        """
        numbers = np.arange(self.n_offered, self.n_offered + len(X))
        places = np.where(numbers < self.size, numbers, random.integers(0, numbers + 1))
        enter = np.flatnonzero(places < self.size)
        n_kept = min(self.size, self.n_offered + len(X))
        # Of rows that take one place the last one has it.
        taken, last = np.unique(places[enter][::-1], return_index=True)
        rows = enter[::-1][last]
        return replace(
            self,
            X=_with(self.X, n_kept, taken, X[rows]),
            y=None
            if y is None or self.y is None
            else _with(self.y, n_kept, taken, y[rows]),
            n_offered=self.n_offered + len(X),
        )


def _with(
    kept: NDArray[Any], n: int, places: NDArray[np.intp], rows: NDArray[Any]
) -> NDArray[Any]:
    """Return n rows: the ones kept, but for others in some places."""
    new = np.empty((n, kept.shape[1]), kept.dtype)
    new[: len(kept)] = kept
    new[places] = rows
    return new
