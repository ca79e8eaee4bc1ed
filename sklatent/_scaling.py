"""The inner scale: rows are centred and divided by one number."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from scipy.linalg.blas import dsyrk

Array = NDArray[np.float64]
#: Rows of a part of the data.
Part = NDArray[np.intp] | slice

#: Data of at most as many numbers are scaled once; others whenever they are read.
KEPT = 2**24


def centre_and_scale(X: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return the mean row, and the root mean square of what it leaves.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The training rows.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        The columns' means, in the dtype of `X`.
    scale : float
        1 if all rows are equal.
    """
    mean: NDArray[Any] = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    low, high = X.min(axis=0), X.max(axis=0)
    # The mean of equal numbers need not be that number to the last bit, and what it
    # leaves is rounding, not variance.
    constant = low == high
    mean[constant] = low[constant]
    ends = np.subtract([low, high], mean, dtype=np.float64)
    largest = float(np.abs(ends).max())
    if largest == 0:
        return mean, 1.0
    # Division first: the squares of very small or large numbers leave the floats.
    squares = 0.0
    for rows in row_slices(*X.shape):
        x = scaled(X[rows], mean, largest)
        squares += float(np.vdot(x, x))
    return mean, largest * float(np.sqrt(squares / X.size))


def scaled(
    X: NDArray[Any], mean: NDArray[Any], scale: float, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """Return ``(X - mean) / scale`` as a new array in `dtype`, C-ordered."""
    result: NDArray[Any] = np.subtract(X, mean.astype(dtype), dtype=dtype, order="C")
    result /= scale
    return result


def row_slices(n_rows: int, width: int, smallest: int = 64) -> Iterator[slice]:
    """Yield slices of rows for which an array of this `width` takes a MB or two."""
    step = max(smallest, 2**18 // width)
    return (slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step))


class ScaledRows:
    """Rows of the training data, scaled, without a copy of all where they are many.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data.
    mean : ndarray of shape (n_features,) or None
        What to subtract; None for rows that are scaled already.
    scale : float, default=1.0
        By what to divide.
    """

    def __init__(
        self, X: NDArray[Any], mean: NDArray[Any] | None = None, scale: float = 1.0
    ) -> None:
        self._X = X
        self._mean = np.zeros(X.shape[1], X.dtype) if mean is None else mean
        self._scale = scale
        self._index: NDArray[np.intp] | None = None
        self._ready: torch.Tensor | None = None
        if X.size <= KEPT:
            self._ready = torch.from_numpy(self._single())
        else:  # rows are read one by one, in any order
            self._X = np.ascontiguousarray(X)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return len(self), self._X.shape[1]

    def __len__(self) -> int:
        return len(self._X) if self._index is None else len(self._index)

    def __getitem__(self, part: Part) -> Self:
        """Return some of the rows, by indices or a slice."""
        if isinstance(part, slice) and part == slice(None):
            return self
        some = object.__new__(type(self))
        some.__dict__.update(vars(self))
        some._index = (
            np.arange(len(self))[part] if self._index is None else (self._index[part])
        )
        return some

    def dense(self, part: Part = slice(None)) -> Array:
        """Return some rows as one new float64 array."""
        where = part if self._index is None else self._index[part]
        return scaled(self._X[where], self._mean, self._scale)

    def tensor(self, part: NDArray[np.intp] | None = None) -> torch.Tensor:
        """Return the rows with these indices, or all, as one float32 tensor."""
        if self._ready is None:
            some = self if part is None else self[part]
            return torch.from_numpy(some._single())
        where = self._index
        if part is not None:
            where = part if where is None else where[part]
        if where is None:
            return self._ready
        return self._ready.index_select(0, torch.from_numpy(where))

    def _single(self) -> NDArray[np.float32]:
        """Return all rows as one new float32 array."""
        rows = np.empty(self.shape, np.float32)
        for some in row_slices(*self.shape):
            rows[some] = self.dense(some)
        return rows

    def blocks(self, width: int = 1) -> Iterator[Array]:
        """Yield all rows, some of float64 at a time.

        Arrays of so many rows and this width, or that of the rows, take some MB.
        """
        for rows in row_slices(len(self), max(width, self.shape[1])):
            yield self.dense(rows)

    def thinned(self, most: int) -> Self:
        """Return at most about so many rows, evenly spaced."""
        return self[:: -(-len(self) // most)]

    def mean(self) -> Array:
        """Return the mean of each feature."""
        total = np.zeros(self.shape[1])
        for x in self.blocks():
            total += x.sum(axis=0)
        return total / len(self)

    def variance(self) -> Array:
        """Return the variance of each feature, the mean of squares."""
        mean, total = self.mean(), np.zeros(self.shape[1])
        for x in self.blocks():
            total += np.square(x - mean).sum(axis=0)
        return total / len(self)

    def range(self) -> tuple[Array, Array]:
        """Return the least and the largest value of each feature."""
        ends = [(x.min(axis=0), x.max(axis=0)) for x in self.blocks()]
        low, high = (np.array(end) for end in zip(*ends, strict=True))
        return low.min(axis=0), high.max(axis=0)

    def covariance(self) -> tuple[Array, Array]:
        """Return the mean, and the covariance, the mean of products."""
        n, p = self.shape
        mean, products = np.zeros(p), np.zeros((p, p), order="F")
        for x in self.blocks():
            mean += x.sum(axis=0)
            # Half of a symmetric matrix, added in place: x.T @ x takes twice the time.
            products = dsyrk(1.0, x.T, beta=1.0, c=products, overwrite_c=True)
        mean /= n
        products += np.triu(products, 1).T
        return mean, products / n - np.outer(mean, mean)


def as_rows(X: Array | ScaledRows) -> ScaledRows:
    """Return rows, which may be an array of scaled ones."""
    return X if isinstance(X, ScaledRows) else ScaledRows(X)
