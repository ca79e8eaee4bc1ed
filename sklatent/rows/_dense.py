"""Rows of a dense array in memory."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ._rows import Indices, Part, Rows
from ._scale import Array, Scale, row_slices
from ._targets import Targets
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
        if X.size <= MAX_SCALED_ONCE:
            self._ready = torch.from_numpy(self._scaled_in_float32())
        else:  # rows are read one by one, in any order
            self._X = np.ascontiguousarray(X)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        n_rows = len(self._X) if self._index is None else len(self._index)
        return n_rows, len(self.scale.center)

    def __getitem__(self, part: Part) -> Self:
        """Return some of the rows, by indices or a slice, without a copy."""
        if isinstance(part, slice) and part == slice(None):
            return self
        some = object.__new__(type(self))
        some.__dict__.update(vars(self))
        some._index = (
            np.arange(len(self))[part] if self._index is None else (self._index[part])
        )
        return some

    def where(self, part: Part | None = None) -> Part:
        """Return which rows of the data some of these are, or all."""
        if self._index is None:
            return slice(None) if part is None else part
        return self._index if part is None else self._index[part]

    def dense(self, part: Part = slice(None)) -> Array:
        """Return some rows as one new float64 array, scaled."""
        return self.scale.apply(self._X[self.where(part)])

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


def rows_of(
    X: NDArray[Any],
    *,
    keeps_constant: bool = False,
    known: NDArray[np.bool_] | None = None,
    targets: Targets | None = None,
    weights: Weights | None = None,
) -> Rows:
    """Return the rows of validated data in the storage they have.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data.
    keeps_constant : bool, default=False
        Whether scaled rows have the constant features as well.
    known : ndarray of bool of shape (n_features,) or None, default=None
        Features that are known to vary, if not here.
    targets : Targets or None, default=None
        What the rows are to tell besides themselves.
    weights : Weights or None, default=None
        How much each row counts; None where all count once.
    """
    scale = Scale.of(X, keeps_constant=keeps_constant, known=known, weights=weights)
    rows = DenseRows(X, scale)
    rows.targets, rows.all_weights = targets, weights
    return rows


def as_rows(X: Array | Rows, weights: Weights | None = None) -> Rows:
    """Return `Rows` as they are, and an array of scaled rows as `Rows`."""
    if isinstance(X, Rows):
        return X
    rows = DenseRows(X)
    rows.all_weights = weights
    return rows
