"""A Gaussian mixture as the distribution of latents."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


def fit_mixture(Z: NDArray[Any], seed: int) -> "GaussianMixture":
    """Fit a Gaussian mixture whose size has the least BIC."""
    # Its import brings all of sklearn.cluster, which nothing else needs.
    from sklearn.mixture import GaussianMixture

    limit = min(len(np.unique(Z, axis=0)), len(Z) // (2 * Z.shape[1]))
    sizes = [n for n in (1, 2, 4, 8, 16, 32) if n <= max(1, limit)]
    Z = Z.astype(np.float64)
    fits = [GaussianMixture(n, random_state=seed).fit(Z) for n in sizes]
    return min(fits, key=lambda mixture: mixture.bic(Z))


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
