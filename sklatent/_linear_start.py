"""The linear model that an autoencoder starts from, in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearStart:
    r"""A linear encoder :math:`u = x W_e + b_e`, decoder :math:`\hat x = u W_d + b_d`.

    The latents `u` have unit variance, which suits a network; ``latent_scale`` times
    `u` is the classic's own latent.

    Attributes
    ----------
    encoder_weight : ndarray of shape (n_features, n_components)
    encoder_bias : ndarray of shape (n_components,)
    decoder_weight : ndarray of shape (n_components, n_features)
    decoder_bias : ndarray of shape (n_features,)
    latent_scale : ndarray of shape (n_components,)
    residual : float
        Root mean square of an entry of :math:`x - \hat x` over the rows given.
    """

    encoder_weight: Array
    encoder_bias: Array
    decoder_weight: Array
    decoder_bias: Array
    latent_scale: Array
    residual: float


def pca_start(X: Array, n_components: int, seed: int) -> LinearStart:
    r"""Solve for the best linear autoencoder: principal component analysis.

    With mean :math:`\mu`, the first k eigenvectors `C` (k, p) of the covariance and
    the roots `s` of its eigenvalues: :math:`W_e = C^\top / s`,
    :math:`W_d = \mathrm{diag}(s)\, C` (Baldi & Hornik 1989).

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float64
        Rows, near unit scale.
    n_components : int
        k. Beyond ``min(X.shape)`` there is no further component: those columns of
        the encoder and rows of the decoder are zero.
    seed : int
        For the randomised solver, which PCA takes on large `X`.

    Returns
    -------
    start : LinearStart
        Its signs are those of :class:`sklearn.decomposition.PCA`.
    """
    n_samples, n_features = X.shape
    rank = min(n_components, n_samples, n_features)
    # PCA prefers its randomised solver beyond 500 rows or columns; up to 1000 columns
    # the exact one costs no more.
    exact = max(X.shape) > 500 and n_features <= 1000
    solver = "covariance_eigh" if exact else "auto"
    with np.errstate(invalid="ignore", divide="ignore"):  # constant X
        pca = PCA(rank, svd_solver=solver, random_state=seed).fit(X)
    components = np.zeros((n_components, n_features))
    components[:rank] = pca.components_
    scale = np.zeros(n_components)
    scale[:rank] = np.sqrt(pca.explained_variance_)
    scale = never_zero(scale)

    encoder = components.T / scale
    decoder = scale[:, None] * components
    # PCA's noise variance is the mean of the variances that it leaves out.
    left_over = pca.noise_variance_ * (min(X.shape) - rank) * (1 - 1 / n_samples)
    return LinearStart(
        encoder_weight=encoder,
        encoder_bias=-pca.mean_ @ encoder,
        decoder_weight=decoder,
        decoder_bias=pca.mean_,
        latent_scale=scale,
        residual=float(np.sqrt(max(left_over, 0.0) / n_features)),
    )


def never_zero(scale: Array) -> Array:
    """Give a latent of no variance a scale, so that nothing is divided by zero."""
    return np.maximum(scale, 1e-6 * scale.max()) if scale.any() else scale + 1.0


def pca_errors(train: Array, rows: Array, n_components: int, seed: int) -> Array:
    """Return the squared error of rows under PCA of others, for 1, 2, ... components.

    Parameters
    ----------
    train, rows : ndarray of shape (n_samples, n_features)
    n_components : int
    seed : int

    Returns
    -------
    errors : ndarray of shape (n_components,)
        Summed over `rows`. Where `train` has a lower rank, the last ones are equal.
    """
    start = pca_start(train, n_components, seed)
    latents = (rows - start.decoder_bias) @ start.encoder_weight * start.latent_scale
    total = np.square(rows - start.decoder_bias).sum()
    return np.asarray(total - np.cumsum(np.square(latents).sum(axis=0)))
