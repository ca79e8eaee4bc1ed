"""Rows of a sparse matrix: a batch is dense, or has coordinates in few directions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from ..nn import SparseBatch
from ._basis import N_DIRECTIONS, principal_basis
from ._dense import DenseRows
from ._rows import Indices, Part
from ._scale import Array, Scale, dense, is_typical, range_of, squared_norms
from ._weights import Weights, mean_of, sparse_fingerprints

#: Coordinates for each latent, at least.
MIN_RATIO = 2


class SparseRows(DenseRows):
    """Rows of a CSR matrix, of which some at a time are made dense."""

    def fingerprints(self) -> NDArray[np.uint64]:
        """Return what dense rows would have: cells of 0 add nothing to it."""
        return sparse_fingerprints(self._X[self.where()])

    def _read(self, where: Part) -> NDArray[Any]:
        return dense(self._X[where])

    def values(self, part: Indices) -> NDArray[Any]:
        """Return some rows in the units of the data, as an array."""
        return self._read(self.where(part))


class RowsInBasis(SparseRows):
    """Rows of a CSR matrix as their coordinates in a basis of few directions.

    Squared distances between rows are those of the coordinates, but for what is
    outside of the span, which no model of the coordinates changes.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        The data.
    scale : Scale
        With a basis.
    coordinates : ndarray of shape (n_samples, r)
        What it makes of the data.
    """

    def __init__(self, X: Any, scale: Scale, coordinates: Array) -> None:
        self._coordinates = coordinates
        distances = scale.squared_distances(X)
        self._unseen = (distances - squared_norms(coordinates)).clip(min=0)
        super().__init__(X, scale)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of coordinates."""
        n_rows = self._X.shape[0] if self._index is None else len(self._index)
        return n_rows, self._coordinates.shape[1]

    def dense(self, part: Part = slice(None)) -> Array:
        """Return the coordinates of some rows as a new array, scaled."""
        return np.array(self._coordinates[self.where(part)])

    def unseen(self) -> float:
        """Return the sum of squares outside of the span, scaled and weighted."""
        unseen, weights = self._unseen[self.where()], self.weights
        return float(unseen.sum() if weights is None else weights @ unseen)

    def features(self) -> "Features":
        """Look at each feature over all rows."""
        return Features.of(self._X[self.where()], self.scale, self.weights)

    def cells(self, part: Indices | None = None) -> SparseBatch:
        """Return the rows with these indices, or all, as they are, in float32."""
        return sparse_batch(self._X[self.where(part)].astype(np.float32))


@dataclass(frozen=True)
class Features:
    """The features of sparse rows, scaled.

    Attributes
    ----------
    variance, low, high : ndarray of shape (n_features,)
    """

    variance: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, X: Any, scale: Scale, weights: Array | None) -> "Features":
        """Look at CSR rows, of these weights."""
        mean = scale.mean.astype(np.float64)
        low, high = (end / scale.scale for end in np.subtract(range_of(X), mean))
        w = np.ones(X.shape[0]) if weights is None else weights
        cells = X.astype(np.float64)
        average, squares = (w @ part / w.sum() for part in (cells, cells.power(2)))
        variance = squares - np.square(average)
        return cls(variance.clip(min=0) / scale.scale**2, low, high)


def rows_in_basis(
    X: Any,
    n_components: int,
    weights: Weights | None = None,
    basis: Array | None = None,
) -> RowsInBasis:
    """Return sparse rows of many features as coordinates in fewer directions.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        The data.
    n_components : int
        Of the model that is to be fitted.
    weights : Weights or None
        How much each row counts; None where all count once.
    basis : ndarray of shape (n_features, r) or None
        A basis that is known already.
    """
    scale = Scale.of(X, weights=weights)  # or an error
    mean = scale.mean.astype(np.float64)
    if basis is None:
        size = max(N_DIRECTIONS, MIN_RATIO * n_components)
        values = None if weights is None else weights.values
        basis = principal_basis(X, mean, size, values)
    coordinates = np.asarray(X.astype(np.float64) @ basis - mean @ basis)
    squares = squared_norms(coordinates / scale.scale)
    typical = np.flatnonzero(is_typical(squares, weights))
    some = None if weights is None else weights.values[typical]
    unit = np.sqrt(mean_of(squares[typical], some) / basis.shape[1]) or 1.0
    scale = scale.in_basis(basis, scale.scale * float(unit))
    coordinates /= scale.scale
    return RowsInBasis(X, scale, coordinates)


def canonical(X: Any) -> Any:
    """Return a CSR matrix with duplicate cells summed; the one given is not changed."""
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def sparse_batch(X: csr_matrix | csr_array) -> SparseBatch:
    """Return CSR rows as tensors."""
    offsets, columns = (
        torch.from_numpy(part.astype(np.int64)) for part in (X.indptr, X.indices)
    )
    return SparseBatch(offsets, columns, torch.from_numpy(X.data), X.shape[1])
