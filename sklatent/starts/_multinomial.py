"""A linear model of the logarithms of words' probabilities."""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from ..rows import Array, Rows
from ._gaussian import ProbabilisticStart, diagonal_start
from ._pca import pca_start

#: Of the loadings, to choose from. None is 0, with which all rows had the same latents.
FACTORS = (1.0, 0.7, 0.5, 0.3, 0.1)
#: Cells of the rows by which that is chosen, about.
MAX_CELLS = 2**22


def multinomial_start(
    rows: Rows, words: Any, n_components: int, seed: int
) -> ProbabilisticStart:
    r"""Fit a linear model of the logarithms of words' probabilities.

    The latents `u` are the principal components of the rows (latent semantic analysis),
    with unit variance. A Newton step from no loadings at all, with a unit Gaussian
    prior on them, gives those of word `j`: with its mean number :math:`m_j` in a row,

    .. math:: w_j = \frac{n\, \mathrm{Cov}(u, x_j)}{n\, m_j + 1} .

    The posterior's precision is :math:`I + W\, \mathrm{Cov}\, W^\top` with the
    covariance of words at the mean (a Laplace approximation), rotated to be diagonal.
    Loadings are then shrunk by the factor with the highest evidence lower bound.

    Parameters
    ----------
    rows : Rows
        What the encoder sees.
    words : sparse matrix of shape (n_samples, n_features)
        The number of each word; rows have the same sum.
    n_components : int
    seed : int
    """
    n, every = rows.total_weight, rows.weights
    weights = np.ones(len(rows)) if every is None else every
    pca = pca_start(rows, n_components, seed)
    latents = rows.dense() @ pca.encoder_weight + pca.encoder_bias
    mean = np.asarray(weights @ words).ravel() / n
    # As if half a word more had been seen of each.
    smooth = mean + 0.5 / n
    offset = np.log(smooth / smooth.sum())
    cross = np.asarray(words.T @ (weights[:, None] * latents))
    loadings = cross.T / (n * mean + 1)
    step = max(1, len(rows) // max(50, MAX_CELLS // len(mean)))
    some = slice(None, None, step)
    shown = rows.dense(some), words[some].toarray(), weights[some]

    def shrunk(factor: float) -> ProbabilisticStart:
        W = factor * loadings
        along = W @ mean
        covariance = (W * mean) @ W.T - np.outer(along, along) / max(mean.sum(), 1e-300)
        return diagonal_start(pca, covariance, W, offset, 1 / np.sqrt(smooth))

    starts = [shrunk(factor) for factor in FACTORS]
    return max(starts, key=lambda start: _bound(start, *shown))


def _bound(
    start: ProbabilisticStart, rows: Array, words: Array, weights: Array
) -> float:
    """Return the mean evidence lower bound, up to what depends on the rows only."""
    mean = rows @ start.encoder_weight + start.encoder_bias
    variance = start.posterior_variance
    kl = 0.5 * (np.square(mean) + variance - 1 - np.log(variance)).sum(axis=1)
    noise = np.random.RandomState(0).standard_normal(mean.shape)
    u = mean + np.sqrt(variance) * noise
    eta = u @ start.decoder_weight + start.decoder_bias
    likelihood = (words * eta).sum(axis=1) - words.sum(axis=1) * logsumexp(eta, axis=1)
    return float(np.average(likelihood - kl, weights=weights))
