"""Linear models of logits and of logarithms of rates."""

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from ..rows import Array, Weights, as_rows, mean_of
from ._gaussian import ProbabilisticStart, diagonal_start
from ._pca import LinearStart, never_zero, pca_start

#: Newton's steps, and by how many halvings each may be made shorter.
N_STEPS, N_HALVINGS = 8, 5


def exponential_start(
    features: Array,
    rows: Array,
    n_components: int,
    likelihood: str,
    seed: int,
    weights: Weights | None = None,
) -> ProbabilisticStart:
    r"""Fit a linear model of logits ('bernoulli') or logarithms of rates ('poisson').

    The latents are the principal components of what the encoder sees. For each feature
    a generalised linear model on them, with a unit Gaussian prior on its loadings, is
    fitted by Newton's method. The posterior's precision is
    :math:`I + W\, \mathrm{diag}(w)\, W^\top` with the likelihood's variances `w` at the
    mean (a Laplace approximation), rotated to be diagonal. Loadings are then shrunk by
    the one factor that gives the highest evidence lower bound: 0 are features
    independent of each other, so that the start is not below that.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        What the encoder sees of the rows.
    rows : ndarray of shape (n_samples, n_features)
        The rows as they are: in [0, 1], or counts.
    n_components : int
    likelihood : {'bernoulli', 'poisson'}
    seed : int
    weights : Weights or None, default=None
        Of the rows.
    """
    pca = pca_start(as_rows(features, weights), n_components, seed)
    latents = features @ pca.encoder_weight + pca.encoder_bias
    w = np.ones(len(rows)) if weights is None else weights.values
    loadings, offset = _generalised_linear(latents, rows, w, likelihood)
    some = np.random.RandomState(seed).permutation(len(rows))[:1000]
    starts = [
        _shrunk(pca, loadings, offset, factor, likelihood)
        for factor in (1.0, 0.7, 0.5, 0.3, 0.1, 0.0)
    ]
    if likelihood == "poisson":  # the offset that is right without latents
        starts[-1].decoder_bias[:] = np.log(_mean_of_rows(rows, w))
    x, given, w = features[some], rows[some], w[some]
    return max(starts, key=lambda s: _bound(s, x, given, w, likelihood))


def deviance_start(
    features: Array,
    rows: Array,
    without_latents: Array,
    n_components: int,
    likelihood: str,
    seed: int,
    weights: Weights | None = None,
) -> LinearStart:
    """Fit a linear model of natural parameters, for the least deviance.

    It is exponential family PCA (Collins, Dasgupta & Schapire 2001) with a linear
    encoder: the latents are the principal components of what the encoder sees, and the
    decoder is as in `exponential_start`.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
        What the encoder sees of the rows, perhaps corrupted.
    rows : ndarray of shape (n_samples, n_features)
        The rows as they are: in [0, 1], or not negative.
    without_latents : ndarray of shape (n_features,)
        The natural parameters of a model without latents.
    n_components : int
    likelihood : {'bernoulli', 'poisson'}
    seed : int
    weights : Weights or None, default=None
        Of the rows.
    """
    pca = pca_start(as_rows(features, weights), n_components, seed)
    loadings, offset = np.zeros_like(pca.decoder_weight), without_latents
    if n_components:
        latents = features @ pca.encoder_weight + pca.encoder_bias
        w = np.ones(len(rows)) if weights is None else weights.values
        loadings, offset = _generalised_linear(latents, rows, w, likelihood)
    return replace(
        pca,
        decoder_weight=loadings,
        decoder_bias=offset,
        latent_scale=never_zero(np.linalg.norm(loadings, axis=1)),
        residual=1.0,
    )


def _shrunk(
    pca: LinearStart, loadings: Array, offset: Array, factor: float, likelihood: str
) -> ProbabilisticStart:
    """Make a start of the latents of PCA and loadings for them, times a factor."""
    loadings = factor * loadings
    _, weights = _mean_and_variance(offset, likelihood)
    information = (loadings * weights) @ loadings.T
    return diagonal_start(pca, information, loadings, offset, np.ones(len(offset)))


def _bound(
    start: ProbabilisticStart,
    features: Array,
    rows: Array,
    weights: Array,
    likelihood: str,
) -> float:
    """Return the mean evidence lower bound, up to what depends on the rows only."""
    mean = features @ start.encoder_weight + start.encoder_bias
    variance = start.posterior_variance
    kl = 0.5 * (np.square(mean) + variance - 1 - np.log(variance)).sum(axis=1)
    total = 0.0
    random = np.random.RandomState(0)
    for _ in range(4):
        u = mean + np.sqrt(variance) * random.standard_normal(mean.shape)
        eta = u @ start.decoder_weight + start.decoder_bias
        cells = rows * eta - _normaliser(eta, likelihood)
        total += mean_of(cells.sum(axis=1), weights)
    return total / 4 - mean_of(kl, weights)


def _mean_and_variance(eta: Array, likelihood: str) -> tuple[Array, Array]:
    """Return the likelihood's mean and variance at natural parameters."""
    if likelihood == "bernoulli":
        mean = expit(eta)
        return mean, np.asarray(mean * (1 - mean))
    rate = np.exp(eta)
    return rate, rate


def _normaliser(eta: Array, likelihood: str) -> Array:
    """Return what makes probabilities sum to one; its slope is the mean."""
    if likelihood == "bernoulli":
        return np.asarray(np.logaddexp(0, eta))
    return np.asarray(np.exp(eta))


def _mean_of_rows(rows: Array, weights: Array) -> Array:
    """Return the features' means, away from what has no logarithm or logit."""
    # As if half a row of the average feature had been seen as well.
    weighted, n = weights[:, None] * rows, weights.sum()
    overall = weighted.sum() / (n * rows.shape[1])
    mean: Array = (weighted.sum(axis=0) + 0.5 * overall) / (n + 0.5)
    return np.asarray(np.maximum(mean, 1e-6))


def _generalised_linear(
    latents: Array, rows: Array, weights: Array, likelihood: str
) -> tuple[Array, Array]:
    """Regress all features on the latents; return loadings (k, p) and offsets (p,)."""
    design = np.column_stack([np.ones(len(latents)), latents])
    mean = _mean_of_rows(rows, weights)
    start = np.log(mean) if likelihood == "poisson" else logit(mean.clip(max=1 - 1e-6))
    beta = np.zeros((design.shape[1], rows.shape[1]))
    beta[0] = start
    prior = np.eye(len(beta))

    def value(beta: Array) -> Array:
        """Return minus each feature's log-posterior, but for constants."""
        eta = design @ beta
        with np.errstate(over="ignore"):
            data = weights @ (_normaliser(eta, likelihood) - rows * eta)
        distance = np.square(beta[0] - start) + np.square(beta[1:]).sum(axis=0)
        return np.asarray(data + 0.5 * distance)

    now = value(beta)
    for _ in range(N_STEPS):
        expected, weight = _mean_and_variance(design @ beta, likelihood)
        weight = weight * weights[:, None]
        gradient = design.T @ (weights[:, None] * (rows - expected)) - beta
        gradient[0] += start
        step = np.empty_like(beta)
        for j, w in enumerate(weight.T):
            step[:, j] = np.linalg.solve(
                (design.T * w) @ design + prior, gradient[:, j]
            )
        step *= np.minimum(1.0, 2.0 / np.abs(step).max(axis=0).clip(min=1e-300))
        for _ in range(N_HALVINGS):  # Newton's step may go too far
            after = value(beta + step)
            step[:, ~(after <= now)] /= 2
        after = value(beta + step)
        gains = after <= now
        beta, now = beta + gains * step, np.where(gains, after, now)
    return beta[1:], beta[0]
