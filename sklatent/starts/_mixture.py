"""Distributions of latents that follow the training rows."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..nn import saved

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


class FittedPrior(ABC):
    """What latents are drawn from, and what the rows drawn are to be like.

    Attributes
    ----------
    mean, deviation : ndarray of shape (n_features,)
        Of each feature of the training rows, scaled.
    quantiles : ndarray of shape (n_levels, n_features) or None
        Of the same, in the units of the data, as `feature_quantiles` gives them; NaN
        for a feature that is not known.
    """

    #: Whether it is of latents as users read them; else of the model's inner ones.
    in_frame: ClassVar[bool]

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    quantiles: NDArray[Any] | None

    @abstractmethod
    def draw(self, n: int, random: np.random.RandomState) -> NDArray[Any]:
        """Draw n latents, of shape (n, n_latents)."""

    @abstractmethod
    def first(self, size: int) -> Self:
        """Return the same for a model of the first latents alone."""


@saved
@dataclass(frozen=True)
class LatentPrior(FittedPrior):
    """A Gaussian mixture.

    Attributes
    ----------
    mixture : GaussianMixture
        The distribution of the latents.
    mean, deviation, quantiles
        As in `FittedPrior`.
    """

    in_frame: ClassVar[bool] = True

    mixture: "GaussianMixture"
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    quantiles: NDArray[Any] | None = None

    def draw(self, n: int, random: np.random.RandomState) -> NDArray[Any]:
        mixture = self.mixture
        labels = random.choice(len(mixture.weights_), n, p=mixture.weights_)
        drawn: NDArray[Any] = random.standard_normal((n, mixture.means_.shape[1]))
        roots = np.linalg.cholesky(mixture.covariances_)
        for i, (mean, root) in enumerate(zip(mixture.means_, roots, strict=True)):
            own = labels == i
            drawn[own] = mean + drawn[own] @ root.T
        return drawn

    def first(self, size: int) -> Self:
        return replace(self, mixture=marginal(self.mixture, size))


@saved
@dataclass(frozen=True)
class AggregatedPosterior(FittedPrior):
    r"""The mean of the rows' posteriors, :math:`\frac1N \sum_i q(u|x_i)`.

    Of all priors it is the one that makes the mean bound of these rows the highest
    (Hoffman & Johnson 2016; Tomczak & Welling 2018, arXiv 1705.07120).

    Attributes
    ----------
    centers, widths : ndarray of shape (n_rows, n_latents)
        Mean and standard deviation of each row's posterior.
    mean, deviation, quantiles
        As in `FittedPrior`.
    """

    in_frame: ClassVar[bool] = False

    centers: NDArray[Any]
    widths: NDArray[Any]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    quantiles: NDArray[Any] | None = None

    def draw(self, n: int, random: np.random.RandomState) -> NDArray[Any]:
        """Draw n latents, from all posteriors equally often, up to one."""
        n_rows = len(self.centers)
        rest = random.choice(n_rows, n % n_rows, replace=False)
        every = np.tile(np.arange(n_rows), n // n_rows)
        rows = random.permutation(np.concatenate([every, rest]))
        normal = random.standard_normal((n, self.centers.shape[1]))
        return np.asarray(self.centers[rows] + self.widths[rows] * normal)

    def first(self, size: int) -> Self:  # noqa: ARG002
        """Return itself: what reads inner latents leaves out those not in use."""
        return self


def feature_quantiles(X: NDArray[Any], n_levels: int) -> NDArray[Any]:
    """Return quantiles of each feature's known cells, in the middles of equal steps.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        NaN where a cell is not known.
    n_levels : int
        Level i is (i + 1/2) / n_levels: for as many as rows, these are the values.

    Returns
    -------
    quantiles : ndarray of shape (n_levels, n_features)
    """
    levels = (np.arange(n_levels) + 0.5) / n_levels
    result = np.full((n_levels, X.shape[1]), np.nan, X.dtype)
    for j, column in enumerate(X.T):
        known = column[~np.isnan(column)]
        if len(known):
            result[:, j] = np.quantile(known, levels, method="hazen")
    return result


def fit_mixture(Z: NDArray[Any], n_rows: int, seed: int) -> "GaussianMixture":
    """Fit a Gaussian mixture; its size doubles as long as BIC falls.

    Parameters
    ----------
    Z : ndarray of shape (n_draws, n_features)
        Draws from the latents of rows.
    n_rows : int
        How many rows they are of: several draws of a row say no more than one.
    seed : int
        For the first responsibilities.
    """
    # Its import brings all of sklearn.cluster, which nothing else needs.
    from sklearn.mixture import GaussianMixture

    Z = Z.astype(np.float64)
    limit = max(1, min(len(np.unique(Z, axis=0)), n_rows // (2 * Z.shape[1])))
    best: Any = None
    least = np.inf
    for size in (1, 2, 4, 8, 16, 32):
        # KMeans, the default start, has not the same bits with several threads.
        mixture = GaussianMixture(size, init_params="k-means++", random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(Z)
        bic = _n_parameters(mixture) * np.log(n_rows) - 2 * n_rows * mixture.score(Z)
        if best is None or bic < least:
            best, least = mixture, bic
        if best is not mixture or 2 * size > limit:
            break
    return best


def _n_parameters(mixture: "GaussianMixture") -> int:
    size, k = mixture.means_.shape
    return int(size * (k + k * (k + 1) // 2) + size - 1)


def marginal(mixture: "GaussianMixture", size: int) -> "GaussianMixture":
    """Return the mixture of the first features alone."""
    from sklearn.mixture import GaussianMixture

    covariances = mixture.covariances_[:, :size, :size]
    result = GaussianMixture(mixture.n_components)
    result.weights_ = mixture.weights_
    result.means_ = mixture.means_[:, :size]
    result.covariances_ = covariances
    result.precisions_ = np.linalg.inv(covariances)
    roots = np.linalg.cholesky(covariances)
    result.precisions_cholesky_ = np.linalg.inv(roots).transpose(0, 2, 1)
    result.converged_, result.n_iter_ = mixture.converged_, mixture.n_iter_
    result.lower_bound_ = mixture.lower_bound_
    result.n_features_in_ = size
    return result
