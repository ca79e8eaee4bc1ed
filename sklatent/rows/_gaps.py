"""Rows with missing cells, which are filled once."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..nn import Filling
from ._dense import DenseRows
from ._rows import Part
from ._scale import Array, Scale, row_slices
from ._weights import Weights


class GappedRows(DenseRows):
    """Rows that had missing cells, and which cells these were.

    A cell that is filled with its expectation varies too little. What is not known of
    such cells is added to variances and covariances: these are then those of the EM
    algorithm.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data, NaN where missing.
    filled : ndarray of shape (n_samples, n_features)
        The same with expectations under a Gaussian.
    scale : Scale
        What to scale by.
    spread : ndarray of shape (n_scaled, n_scaled) or (n_scaled,)
        The mean over rows of the covariances of what is not known of them, scaled, or
        of the variances where features are many.
    weights : Weights or None
        How much each row counts; None where all count once.
    """

    is_filled = True

    def __init__(
        self,
        X: NDArray[Any],
        filled: NDArray[Any],
        scale: Scale,
        spread: Array,
        weights: Weights | None = None,
    ) -> None:
        super().__init__(filled, scale)
        self._with_gaps = X
        self._spread = spread
        self.all_weights = weights
        #: The rows of which the moments are.
        self._expected = DenseRows(filled, scale)
        self._expected.all_weights = weights

    def filled_by(self, filling: Filling) -> Self:
        """Return all rows with other values in missing cells, and the same moments."""
        X, filled = self._with_gaps, self._X.copy()
        module = self.scale.module()
        for rows in row_slices(*self.shape):
            x = filling(torch.from_numpy(self.scale.apply(X[rows])))
            units = module.to_units(x).numpy()
            filled[rows] = np.where(np.isnan(X[rows]), units, X[rows])
        other = type(self)(X, filled, self.scale, self._spread, self.all_weights)
        other._expected = self._expected
        other.targets = self.targets
        return other

    def in_units(self) -> NDArray[Any]:
        """Return all rows in the units of the data, NaN where missing."""
        return self._with_gaps[self.where()]

    def known(self, part: Part = slice(None)) -> NDArray[np.bool_]:
        """Return which cells of some rows were observed, scaled ones."""
        missing = np.isnan(self._with_gaps[self.where(part)])
        if missing.shape[1] > self.shape[1]:
            missing = missing[:, self.scale.varying]
        return np.asarray(~missing)

    def mean(self) -> Array:
        """Return the mean of each feature."""
        return self._expected[self.where()].mean()

    def variance(self) -> Array:
        """Return the variance of each feature, with what is not known of it."""
        is_full = self._spread.ndim == 2
        missing = self._spread.diagonal() if is_full else self._spread
        return np.asarray(self._expected[self.where()].variance() + missing)

    def covariance(self) -> tuple[Array, Array]:
        """Return mean and covariance, with what is not known of it."""
        mean, covariance = self._expected[self.where()].covariance()
        is_full = self._spread.ndim == 2
        covariance += self._spread if is_full else np.diag(self._spread)
        return mean, covariance

    def observed_mean_squares(self) -> Array:
        """Return the mean over rows of each feature's square, 0 where missing."""
        total, weights = np.zeros(self.shape[1]), self.weights
        for rows in row_slices(*self.shape):
            squares = np.square(self.dense(rows) * self.known(rows))
            weight = np.ones(len(squares)) if weights is None else weights[rows]
            total += weight @ squares
        return total / self.total_weight

    def observed_sum_of_squares(self) -> float:
        """Return the sum of the squares of the observed ones."""
        return float(self.observed_mean_squares().sum()) * self.total_weight
