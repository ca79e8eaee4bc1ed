"""Rows with missing cells, which are filled once."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..nn import Filling
from ._dense import DenseRows
from ._rows import Part
from ._scale import Array, Scale, row_slices


class GappedRows(DenseRows):
    """Rows that had missing cells, and which cells these were.

    A cell that is filled with its expectation varies too little. What is not known of
    such cells is added to variances and covariances: these are then those of the EM
    algorithm.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data, filled with expectations under a Gaussian.
    scale : Scale
        What to scale by.
    observed : ndarray of bool of shape (n_samples, n_scaled)
        Which cells of scaled rows were not missing.
    spread : ndarray of shape (n_scaled, n_scaled) or (n_scaled,)
        The mean over rows of the covariances of what is not known of them, scaled, or
        of the variances where features are many.
    """

    is_filled = True

    def __init__(
        self,
        X: NDArray[Any],
        scale: Scale,
        observed: NDArray[np.bool_],
        spread: Array,
    ) -> None:
        super().__init__(X, scale)
        self._observed = observed
        self._spread = spread
        #: The rows of which the moments are.
        self._expected = DenseRows(X, scale)

    def filled_by(self, filling: Filling) -> Self:
        """Return all rows with other values in missing cells, and the same moments."""
        X, module = self._X.copy(), self.scale.module()
        whole = len(self.scale.center) == X.shape[1]
        chosen: Any = slice(None) if whole else self.scale.varying
        for rows in row_slices(*self.shape):
            x, missing = self.dense(rows), ~self.known(rows)
            x[missing] = np.nan
            units = module.to_units(filling(torch.from_numpy(x))).numpy()
            X[rows, chosen] = np.where(missing, units[:, chosen], X[rows, chosen])
        other = type(self)(X, self.scale, self._observed, self._spread)
        other._expected = self._expected
        other.targets = self.targets
        return other

    def known(self, part: Part = slice(None)) -> NDArray[np.bool_]:
        """Return which cells of some rows were observed, scaled ones."""
        return self._observed[self.where(part)]

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
        """Return the sum of each feature's observed squares, by the number of rows."""
        total = np.zeros(self.shape[1])
        for rows in row_slices(*self.shape):
            total += np.square(self.dense(rows) * self.known(rows)).sum(axis=0)
        return total / len(self)

    def observed_sum_of_squares(self) -> float:
        """Return the sum of the squares of the observed ones."""
        return float(self.observed_mean_squares().sum()) * len(self)
