"""A Gaussian mixture as the distribution of latents."""

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..nn import saved

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


@saved
@dataclass(frozen=True)
class LatentPrior:
    """What latents are drawn from, and what the rows drawn are to be like.

    Attributes
    ----------
    mixture : GaussianMixture
        The distribution of the latents.
    mean, deviation : ndarray of shape (n_features,)
        Of each feature of the training rows, scaled.
    """

    mixture: "GaussianMixture"
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def first(self, size: int) -> Self:
        """Return the same of the first latents alone."""
        return replace(self, mixture=marginal(self.mixture, size))


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


def draw(
    mixture: "GaussianMixture", n: int, random: np.random.RandomState
) -> NDArray[Any]:
    """Draw n points, of shape (n, n_features)."""
    labels = random.choice(len(mixture.weights_), n, p=mixture.weights_)
    normal = random.standard_normal((n, mixture.means_.shape[1]))
    roots = np.linalg.cholesky(mixture.covariances_)
    noise = np.einsum("nij,nj->ni", roots[labels], normal)
    return np.asarray(mixture.means_[labels] + noise)
