"""The inner scale: rows are centred and divided by one number."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import issparse

from ..nn import Scaling
from ._weights import Weights

Array = NDArray[np.float64]


def row_slices(n_rows: int, width: int, smallest: int = 64) -> Iterator[slice]:
    """Yield slices of rows; arrays of so many rows and this width take a MB or two."""
    step = max(smallest, 2**18 // width)
    return (slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step))


def squared_norms(x: Array) -> Array:
    """Return the sum of squares of each row."""
    norms: Array = np.einsum("ij,ij->i", x, x)
    return norms


#: Arrays of more numbers are read in blocks, and not copied: 1 GB of float64.
MAX_NUMBERS = 2**27
#: Numbers of the rows by which the scale of such arrays is measured.
MAX_MEASURED = 2**23
#: Sparse rows of more features are seen as coordinates in fewer directions.
MAX_FEATURES = 1000
#: How many times farther from the mean than others an extreme row is. Rows of skewed
#: tables are up to ten times as far.
EXTREME = 20.0
#: How many times farther than typical rows none may be. The squares of such numbers
#: still fit into float32, in which networks are trained.
MAX_DISTANCE = 1e15


def is_typical(
    squared_distances: NDArray[np.floating], weights: Weights | None = None
) -> NDArray[np.bool_]:
    """Return which rows are not extreme, by their squared distances from the mean.

    An extreme row is `EXTREME` times farther than the nearest 95% of the rows, root
    mean square.
    """
    limit = EXTREME**2 * _mean_of_near(squared_distances, weights)
    typical: NDArray[np.bool_] = (squared_distances <= limit) | (limit == 0)
    return typical


def _mean_of_near(squares: NDArray[np.floating], weights: Weights | None) -> float:
    """Return the mean of all but the largest twentieth, of one row at least."""
    if weights is None:
        n_far = max(1, len(squares) // 20)
        near = np.sort(squares)[:-n_far]
        return float(near.mean()) if len(near) else 0.0
    n = weights.counts.sum()
    order = np.argsort(squares)
    values = weights.values[order]
    left = values.sum() * (1 - max(1, n // 20) / n)
    # Of a row at the edge a part is near.
    near = (left - (np.cumsum(values) - values)).clip(0, values)
    return float(near @ squares[order] / left) if left > 0 else 0.0


def dense(X: Any) -> NDArray[Any]:
    """Return some rows as an array."""
    rows: NDArray[Any] = X.toarray() if issparse(X) else X
    return rows


def range_of(X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the largest value of each feature."""
    low, high = (dense(end) for end in (X.min(axis=0), X.max(axis=0)))
    return low.reshape(-1), high.reshape(-1)


def _mean(X: Any, weights: Weights | None) -> Array:
    """Return the mean of rows that need not be scaled."""
    if weights is None and issparse(X):  # one row after the other, as of dense ones
        cells = X.data.astype(np.float64)
        return np.asarray(np.bincount(X.indices, cells, X.shape[1]) / X.shape[0])
    if weights is None:
        mean: Array = X.mean(axis=0, dtype=np.float64)
        return mean
    shares, total = weights.values / weights.values.sum(), np.zeros(X.shape[1])
    for rows in row_slices(*X.shape):
        total += shares[rows] @ X[rows].astype(np.float64)
    return total


def _mean_and_range(
    X: Any, weights: Weights | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the mean, the least and the largest value of each feature."""
    with np.errstate(over="ignore", invalid="ignore"):  # `_check_sum` tells
        mean: NDArray[Any] = _mean(X, weights).astype(X.dtype)
    low, high = range_of(X)
    # The mean of equal numbers need not be that number to the last bit, and what
    # it leaves is rounding, not variance.
    constant = low == high
    mean[constant] = low[constant]
    return mean, low, high


def is_one_value(X: Any) -> bool:
    """Return whether all rows are equal."""
    low, high = range_of(X)
    return bool((low == high).all())


#: Features that vary by less than this share of what the widest does are taken for
#: constant: networks, in float32, see nothing of them.
LEAST_SPREAD = 1e-30


def least_divisor(dtype: DTypeLike) -> float:
    """Return what to divide by at least: one over smaller numbers leaves the floats."""
    return 10 * float(np.finfo(dtype).tiny)


def _check_sum(X: Any, largest: float) -> None:
    """Raise ValueError if the sum of rows, and so the largest distance, is infinite."""
    if not np.isfinite(largest):
        raise ValueError(
            f"X has numbers so large, such as {np.abs(X).max():.3g}, that their "
            "sum is not finite. Divide X by a constant."
        )


def _check_difference(X: Any, largest: float) -> None:
    """Raise ValueError if rows differ, but by less than can be divided by."""
    if 0 < largest < least_divisor(X.dtype):
        raise ValueError(
            f"X has numbers so small that they differ by {largest:.3g} at most; "
            f"{least_divisor(X.dtype):.3g} is the least that can be divided by. "
            "Multiply X by a constant."
        )


def _check_distance(largest: float, scale: float) -> None:
    """Raise ValueError if an entry is very much farther from the mean than others."""
    if largest > MAX_DISTANCE * scale:
        raise ValueError(
            f"X has an entry that is {largest:.3g} away from the mean of its "
            f"feature, over {MAX_DISTANCE:g} times as far as rows usually are. "
            "Is it a code for a missing value?"
        )


def _check_lengths(X: Any, largest: float) -> None:
    """Raise ValueError if lengths of rows are not finite with so large an entry."""
    # Latents are as long as rows; four times that is still a number.
    limit = np.finfo(X.dtype).max / (4 * np.sqrt(X.shape[1]))
    if largest > limit:
        raise ValueError(
            f"X has numbers so large, such as {np.abs(X).max():.3g}, that lengths "
            f"of rows are not finite; {limit:.3g} is the largest that can be. "
            "Divide X by a constant."
        )


@dataclass(frozen=True)
class Scale:
    """What rows are centred by, and then divided by.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        In the dtype of the rows.
    scale : float
        One number for all features.
    varying : ndarray of int or None
        The features that are not constant, where some are.
    keeps_constant : bool
        Whether scaled rows have the constant features as well.
    basis : ndarray of shape (n_features, r) or None
        In place of features, what scaled rows have coordinates in.
    """

    mean: NDArray[Any]
    scale: float
    varying: NDArray[np.intp] | None = None
    keeps_constant: bool = False
    basis: Array | None = None

    @classmethod
    def of(
        cls,
        X: Any,
        *,
        keeps_constant: bool = False,
        known: NDArray[np.bool_] | None = None,
        weights: Weights | None = None,
    ) -> Self:
        """Return the mean of rows, and the root mean square of what it leaves.

        The second is that of rows which are not extreme: a single one could make all
        others very small. It is 1 if all rows are equal. Features that are `known` to
        vary count as such. Both are weighted if there are `weights`.

        Raises
        ------
        ValueError
            If sums of `X` or lengths of rows are not finite, rows differ by next to
            nothing, or one is very much farther from the mean than others.
        """
        mean, low, high = _mean_and_range(X, weights)
        ends = np.abs(np.subtract([low, high], mean, dtype=np.float64))
        largest = float(ends.max())
        _check_sum(X, largest)
        _check_difference(X, largest)
        constant = (low == high) | (ends.max(axis=0) < LEAST_SPREAD * largest)
        varies = ~constant if known is None else ~constant | known
        varying = None if varies.all() else np.flatnonzero(varies)
        if largest == 0:
            return cls(mean, 1.0, None if known is None else varying, keeps_constant)
        scale = _typical_length(X, cls(mean, largest), weights)
        _check_lengths(X, max(largest, np.abs([low, high]).max()))
        return cls(mean, scale, varying, keeps_constant)

    @classmethod
    def identity(cls, X: NDArray[Any]) -> Self:
        """Return the scale of rows that are scaled already."""
        return cls(np.zeros(X.shape[1], X.dtype), 1.0)

    def widen(self, rows: Array) -> Array:
        """Return vectors of coordinates over all features; others as they are."""
        return rows if self.basis is None else np.asarray(rows @ self.basis.T)

    def in_basis(self, basis: Array, scale: float) -> Self:
        """Return the scale of coordinates in a basis, with another number."""
        return replace(self, scale=scale, varying=None, basis=basis)

    @property
    def center(self) -> NDArray[Any]:
        """The mean of the features that scaled rows have."""
        if self.basis is not None:
            return np.asarray(self.mean.astype(np.float64) @ self.basis)
        chosen = None if self.keeps_constant else self.varying
        return self.mean if chosen is None else self.mean[chosen]

    def squared_distances(self, X: Any) -> Array:
        """Return the squared distance of each row from the mean, scaled.

        Of many features only the cells that are not zero are looked at.
        """
        if issparse(X) and (self.basis is not None or X.shape[1] > MAX_FEATURES):
            m, cells = self.mean.astype(np.float64) / self.scale, X.astype(np.float64)
            cells.data /= self.scale
            # A cell adds (x - m)^2 in place of m^2.
            cells.data *= cells.data - 2 * m[cells.indices]
            squares = np.asarray(cells.sum(axis=1)).ravel() + np.vdot(m, m)
            return np.asarray(squares.clip(min=0))
        squares = np.empty(X.shape[0])
        for rows in row_slices(*X.shape):
            squares[rows] = squared_norms(self.apply(dense(X[rows])))
        return squares

    def apply(self, X: NDArray[Any], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return ``(X - mean) / scale`` as a new array in `dtype`, C-ordered."""
        mean = self.center.astype(dtype)
        if len(mean) < X.shape[1]:
            X = X[:, self.varying]
        result: NDArray[Any] = np.subtract(X, mean, dtype=dtype, order="C")
        result /= self.scale
        return result

    def module(self) -> Scaling:
        """Return the same for tensors."""
        mean = torch.from_numpy(self.mean.astype(np.float64))
        scale = torch.tensor(self.scale, dtype=torch.float64)
        varying = None if self.varying is None else torch.from_numpy(self.varying)
        basis = None if self.basis is None else torch.from_numpy(self.basis)
        return Scaling(
            mean, scale, varying, keeps_constant=self.keeps_constant, basis=basis
        )


def _typical_length(X: Any, widest: Scale, weights: Weights | None) -> float:
    """Return the root mean square of what the mean leaves of rows that are not extreme.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    widest : Scale
        The mean, and the largest distance of an entry from it: division comes first,
        as squares of very small or large numbers leave the floats.
    weights : Weights or None
    """
    squares = widest.squared_distances(X)
    typical = is_typical(squares, weights)
    # Where all others are equal, the extreme ones are all there is to measure.
    where = np.flatnonzero(typical)
    if X.shape[0] * X.shape[1] > MAX_NUMBERS and not issparse(X):
        where = where[:: -(-len(where) * X.shape[1] // MAX_MEASURED)]
    if not typical.all() and not is_one_value(X[where]):
        some = None if weights is None else weights[where]
        scale = Scale.of(X[where], weights=some).scale
        _check_distance(widest.scale, scale)
        return scale
    total = squares.sum() if weights is None else weights.values @ squares
    n = X.shape[0] if weights is None else weights.values.sum()
    return widest.scale * float(np.sqrt(total / (n * X.shape[1])))
