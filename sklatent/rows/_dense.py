"""Rows of a dense array in memory."""

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ._rows import Indices, Part, Rows
from ._scale import Array, Scale, row_slices
from ._weights import Weights

#: Data of at most as many numbers are scaled once; others whenever they are read.
MAX_SCALED_ONCE = 2**24


class DenseRows(Rows):
    """Rows of an array, without a second array of all where there are many.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data.
    scale : Scale or None, default=None
        What to scale by; None for rows that are scaled already.
    """

    def __init__(self, X: NDArray[Any], scale: Scale | None = None) -> None:
        self._X = X
        self.scale = Scale.identity(X) if scale is None else scale
        self._index: Indices | None = None
        self._ready: torch.Tensor | None = None
        if math.prod(self.shape) <= MAX_SCALED_ONCE:
            self._ready = torch.from_numpy(self._scaled_in_float32())
        elif isinstance(X, np.ndarray):  # rows are read one by one, in any order
            self._X = np.ascontiguousarray(X)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        n_rows = self._X.shape[0] if self._index is None else len(self._index)
        return n_rows, len(self.scale.center)

    def __getitem__(self, part: Part) -> Self:
        """Return some of the rows, by indices or a slice, without a copy."""
        if isinstance(part, slice) and part == slice(None):
            return self
        some = object.__new__(type(self))
        some.__dict__.update(vars(self))
        if self._index is not None:
            some._index = self._index[part]
        elif isinstance(part, slice):
            some._index = np.arange(len(self))[part]
        else:  # itself: of many rows, indices take memory
            some._index = part
        return some

    def where(self, part: Part | None = None) -> Part:
        """Return which rows of the data some of these are, or all."""
        if self._index is None:
            return slice(None) if part is None else part
        return self._index if part is None else self._index[part]

    def dense(self, part: Part = slice(None)) -> Array:
        """Return some rows as one new float64 array, scaled."""
        return self.scale.apply(self._read(self.where(part)))

    def _read(self, where: Part) -> NDArray[Any]:
        """Return rows of the data."""
        rows: NDArray[Any] = self._X[where]
        return rows

    def tensor(self, part: Indices | None = None) -> torch.Tensor:
        """Return the rows with these indices, or all, as float32, scaled."""
        if self._ready is None:
            some = self if part is None else self[part]
            return torch.from_numpy(some._scaled_in_float32())
        where = self.where(part)
        if isinstance(where, slice):  # of all
            return self._ready
        return self._ready.index_select(0, torch.from_numpy(where))

    def in_units(self) -> NDArray[Any]:
        """Return all rows in the units of the data."""
        return self._X[self.where()]

    def _scaled_in_float32(self) -> NDArray[np.float32]:
        rows = np.empty(self.shape, np.float32)
        for some in row_slices(*self.shape):
            rows[some] = self.dense(some)
        return rows


def as_rows(X: Array | Rows, weights: Weights | None = None) -> Rows:
    """Return `Rows` as they are, and an array of scaled rows as `Rows`."""
    if isinstance(X, Rows):
        return X
    rows = DenseRows(X)
    rows.all_weights = weights
    return rows
