"""The linear model that an autoencoder starts from, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, svd
from sklearn.decomposition import PCA
from sklearn.utils.extmath import randomized_svd

from ..rows import Array, PrincipalAxes, Rows, as_rows

#: Where the least variance asked for is below this share of the largest, rounding in a
#: covariance is seen in its direction.
SMALL_VARIANCE = 1e-4
#: Features of which there is a covariance where cells are missing.
MAX_FEATURES_OF_GAPS = 2000
#: Up to how many numbers rows may be copied for that: twice 80 MB.
MAX_COPIED = 10**7


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


def pca_start(X: Array | Rows, n_components: int, seed: int) -> LinearStart:
    r"""Solve for the best linear autoencoder: principal component analysis.

    With mean :math:`\mu`, the first k eigenvectors `C` (k, p) of the covariance and
    the roots `s` of its eigenvalues: :math:`W_e = C^\top / s`,
    :math:`W_d = \mathrm{diag}(s)\, C` (Baldi & Hornik 1989).

    Parameters
    ----------
    X : ndarray or Rows of shape (n_samples, n_features)
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
    rows = as_rows(X)
    n_features = rows.shape[1]
    axes = rows.axes
    if axes is None:
        axes = principal_axes(rows, min(n_components, *rows.shape), seed)
    rank = len(axes.variance)
    components = np.zeros((n_components, n_features))
    components[:rank] = axes.components
    scale = np.zeros(n_components)
    scale[:rank] = np.sqrt(axes.variance)
    scale = never_zero(scale)

    encoder = components.T / scale
    decoder = scale[:, None] * components
    return LinearStart(
        encoder_weight=encoder,
        encoder_bias=-axes.mean @ encoder,
        decoder_weight=decoder,
        decoder_bias=axes.mean,
        latent_scale=scale,
        residual=float(np.sqrt(axes.left_over * (1 - 1 / rows.n_samples) / n_features)),
    )


def principal_axes(rows: Rows, rank: int, seed: int) -> PrincipalAxes:
    """Find the first principal axes.

    Tall data are solved by their covariance, which needs no copy of all rows, but in
    which variances below 1e-16 of the largest drown. Where such small ones are asked
    for, a QR decomposition keeps standard deviations down to that share.

    Parameters
    ----------
    rows : Rows
        Near unit scale.
    rank : int
        How many, at most ``min(rows.shape)``.
    seed : int
        For PCA's randomised solver.
    """
    n_samples, n_features = rows.shape
    some = rows.is_filled and n_features <= MAX_FEATURES_OF_GAPS
    if rank == 0:
        total = unbiased(float(rows.variance().sum()), rows)
        return PrincipalAxes(rows.mean(), np.zeros((0, n_features)), np.zeros(0), total)
    if not some and (n_samples < n_features or n_features > 1000):
        if rows.weights is not None:
            return _axes_by_svd(rows, rank, seed)
        return _axes_by_pca(rows, rank, seed)
    axes = axes_of_covariance(rows, rank)
    if (
        some
        or n_samples * n_features > MAX_COPIED
        or (axes.variance[-1] > SMALL_VARIANCE * axes.variance[0])
    ):
        return axes
    return _axes_by_qr(rows, rank)


def unbiased(variance: float, rows: Rows) -> float:
    """Return a variance with n - 1 for one with n."""
    n = rows.n_samples
    return variance * n / max(n - 1, 1)


def total_variance(rows: Rows) -> float:
    """Return the sum of the features' variances, with n - 1."""
    if rows.axes is not None:
        return float(rows.axes.variance.sum()) + rows.axes.left_over
    return unbiased(float(rows.variance().sum()), rows)


def degrees_of_freedom(rows: Rows) -> float:
    """Return by what sums of squares are divided, to be variances: n - 1 of n rows."""
    n = rows.n_samples
    return rows.total_weight / n * max(n - 1, 1)


def axes_of_covariance(rows: Rows, rank: int) -> PrincipalAxes:
    """Find the first principal axes as eigenvectors of the covariance."""
    n_features = rows.shape[1]
    mean, covariance = rows.covariance()
    covariance *= unbiased(1.0, rows)
    total = float(np.trace(covariance))
    variance, vectors = eigh(
        covariance, subset_by_index=(n_features - rank, n_features - 1)
    )
    variance = variance[::-1].clip(min=0)
    left_over = max(total - float(variance.sum()), 0.0)
    return PrincipalAxes(mean, _signed(vectors.T[::-1], rows), variance, left_over)


def _axes_by_qr(rows: Rows, rank: int) -> PrincipalAxes:
    """Find the first principal axes as right singular vectors of the centred rows."""
    centred, mean = centred_rows(rows)
    _, singular_values, axes = svd(np.linalg.qr(centred, mode="r"))
    variance = np.square(singular_values) / degrees_of_freedom(rows)
    left_over = float(variance[rank:].sum())
    return PrincipalAxes(mean, _signed(axes[:rank], rows), variance[:rank], left_over)


def centred_rows(rows: Rows) -> tuple[Array, Array]:
    """Return centred rows, each times the root of its weight, and their mean."""
    centred, mean, weights = rows.dense(), rows.mean(), rows.weights
    centred -= mean
    if weights is not None:
        centred *= np.sqrt(weights)[:, None]
    return centred, mean


def _axes_by_svd(rows: Rows, rank: int, seed: int) -> PrincipalAxes:
    """Find the first principal axes of weighted rows, which PCA would centre again."""
    centred, mean = centred_rows(rows)
    total = float(np.vdot(centred, centred))
    if max(rows.shape) <= 500 or rank > 0.8 * min(rows.shape):  # as PCA decides
        _, singular_values, axes = svd(centred, full_matrices=False)
    else:
        _, singular_values, axes = randomized_svd(centred, rank, random_state=seed)
    squares = np.square(singular_values[:rank])
    n = degrees_of_freedom(rows)
    left_over = max(total - float(squares.sum()), 0.0) / n
    return PrincipalAxes(mean, _signed(axes[:rank], rows), squares / n, left_over)


def _axes_by_pca(rows: Rows, rank: int, seed: int) -> PrincipalAxes:
    """Find the first principal axes as scikit-learn does."""
    with np.errstate(invalid="ignore", divide="ignore"):  # constant X
        pca = PCA(rank, svd_solver="auto", random_state=seed).fit(rows.dense())
    # PCA's noise variance is the mean of the variances that it leaves out.
    left_over = pca.noise_variance_ * (min(rows.shape) - rank)
    return PrincipalAxes(
        pca.mean_,
        _signed(pca.components_, rows),
        pca.explained_variance_,
        max(left_over, 0.0),
    )


def _signed(components: Array, rows: Rows) -> Array:
    """Return components with the largest loading of each positive, as PCA has it."""
    wide = rows.scale.widen(components)
    largest = np.abs(wide).argmax(axis=1)
    signs: Array = np.where(wide[np.arange(len(wide)), largest] < 0, -1.0, 1.0)
    return signs[:, None] * components


def never_zero(scale: Array) -> Array:
    """Give a latent of no variance a scale, so that nothing is divided by zero."""
    return np.maximum(scale, 1e-6 * scale.max()) if scale.any() else scale + 1.0


def pca_errors(train: Rows, rows: Rows, n_components: int, seed: int) -> Array:
    """Return the squared error of rows under PCA of others, for 1, 2, ... components.

    Parameters
    ----------
    train, rows : Rows of shape (n_samples, n_features)
    n_components : int
    seed : int

    Returns
    -------
    errors : ndarray of shape (n_components,)
        Summed over `rows`, with their weights. Where `train` has a lower rank, the last
        ones are equal.
    """
    start = pca_start(train, n_components, seed)
    total, explained = 0.0, np.zeros(n_components)
    for block, w in rows.weighted_blocks():
        x = block - start.decoder_bias
        if w is not None:
            x *= np.sqrt(w)[:, None]
        total += float(np.square(x).sum())
        latents = x @ start.encoder_weight * start.latent_scale
        explained += np.square(latents).sum(axis=0)
    return np.asarray(total - np.cumsum(explained))
