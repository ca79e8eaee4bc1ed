"""The best linear denoiser, in closed form."""

from typing import Any

import numpy as np
import torch

from ..nn import Corruption
from ..rows import Array, Rows, as_rows, means_of
from ._pca import (
    LinearStart,
    PrincipalAxes,
    axes_of_covariance,
    never_zero,
    principal_axes,
)


def denoiser_start(
    X: Array | Rows, n_components: int, corruption: Corruption, seed: int
) -> LinearStart:
    r"""Solve for the best linear map of rank k from corrupted rows to clean ones.

    That is reduced-rank regression (Izenman 1975). With the covariances
    :math:`C = \mathrm{Cov}(x, \tilde x)`, :math:`S = \mathrm{Cov}(\tilde x)` and the
    singular value decomposition :math:`C S^{-1/2} = P\, \mathrm{diag}(s)\, Q^\top`,

    .. math:: \hat x = \mu + P_k\, \mathrm{diag}(s_k)\, u, \qquad
       u = Q_k^\top S^{-1/2} (\tilde x - \tilde\mu).

    For white noise of variance :math:`\sigma^2` it is PCA, each component shrunk by
    :math:`\lambda / (\lambda + \sigma^2)`; for masking noise, of full rank, it is the
    marginalised denoiser (Chen et al. 2012, arXiv 1206.4683).

    Parameters
    ----------
    X : ndarray or Rows of shape (n_samples, n_features)
        Clean rows, near unit scale.
    n_components : int
        k. What exceeds ``min(X.shape)`` is zero, as in `pca_start`.
    corruption : Corruption
        The noise.
    seed : int
        For the noise, where its moments are estimated, and for a randomised PCA.

    Returns
    -------
    start : LinearStart

    Notes
    -----
    The encoder looks at the corrupted rows through the principal axes of the clean
    ones, which are a complete basis where there are more rows than features (and at
    most 3000 of these).
    """
    rows = as_rows(X)
    n_features = rows.shape[1]
    pca = _all_axes(rows, n_components, seed)
    axes, variance = pca.components, pca.variance * (1 - 1 / rows.n_samples)
    variances = rows.variance()
    moments = corruption.moments(*map(torch.from_numpy, (pca.mean, variances)))
    if moments is None:
        some = rows.subsample(100_000)
        mean, cross, covariance = _sampled_moments(some, axes, corruption, seed)
    else:
        mean = moments.mean.numpy()
        cross = np.diag(moments.keep * variance)
        covariance = np.diag(moments.keep**2 * variance)
        extra = moments.extra.numpy()
        covariance += (axes @ extra if extra.ndim == 2 else axes * extra) @ axes.T

    spread, vectors = np.linalg.eigh(covariance)
    known = spread > 1e-12 * max(spread[-1], 1e-300)
    whitener = vectors[:, known] / np.sqrt(spread[known])
    left, strength, right = np.linalg.svd(cross @ whitener, full_matrices=False)
    rank = min(n_components, len(strength))
    scale = np.zeros(n_components)
    scale[:rank] = strength[:rank]
    encoder = np.zeros((n_features, n_components))
    encoder[:, :rank] = axes.T @ whitener @ right[:rank].T
    decoder = np.zeros((n_components, n_features))
    decoder[:rank] = (left[:, :rank] * scale[:rank]).T @ axes
    residual = variances.sum() - np.square(scale).sum()
    return LinearStart(
        encoder_weight=encoder,
        encoder_bias=-mean @ encoder,
        decoder_weight=decoder,
        decoder_bias=pca.mean,
        latent_scale=never_zero(scale),
        residual=float(np.sqrt(max(residual, 0.0) / n_features)),
    )


def _all_axes(rows: Rows, n_components: int, seed: int) -> PrincipalAxes:
    """Return all principal axes that can be had."""
    n_samples, n_features = rows.shape
    if n_features <= min(n_samples, 3000):
        return axes_of_covariance(rows, n_features)  # any complete basis will do
    rank = min(rows.shape)
    if rank > 3000:
        rank = min(rank, max(500, n_components))
    return principal_axes(rows, rank, seed)


def _sampled_moments(
    some: Rows, axes: Array, corruption: Corruption, seed: int
) -> tuple[Array, Array, Array]:
    """Return the mean of corrupted rows and, along the axes, both covariances."""
    generator = torch.Generator().manual_seed(seed)
    X = some.dense()
    rows: Any = some.cells() if corruption.sees_cells else some.tensor()
    n_copies = max(1, min(20, 100_000 // len(X)))
    if corruption.sees_cells:  # which takes longer
        n_copies = min(n_copies, 4)
    weights = np.ones(len(X)) if some.weights is None else some.weights
    root = np.sqrt(weights / weights.mean())[:, None]
    clean = (X - means_of(X, weights)) @ axes.T * root
    copies = [corruption(rows, generator).double().numpy() for _ in range(n_copies)]
    mean = np.mean([means_of(copy, weights) for copy in copies], axis=0)
    noisy = [(copy - mean) @ axes.T * root for copy in copies]
    count = len(X) * n_copies
    cross = sum((clean.T @ y for y in noisy), np.zeros((len(axes), len(axes)))) / count
    covariance = sum((y.T @ y for y in noisy), np.zeros_like(cross)) / count
    return mean, cross, covariance
