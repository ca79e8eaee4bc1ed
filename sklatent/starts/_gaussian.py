"""Probabilistic PCA and factor analysis: the linear models with Gaussian noise."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from ..rows import Array, Rows, as_rows, mean_of, quantiles
from ._pca import (
    MAX_FEATURES_OF_GAPS,
    LinearStart,
    centred_rows,
    pca_start,
    total_variance,
)

#: The noise's variance does not fall below this share of the variance: of all features
#: together where they share it, and of each feature's own where each has one (that of
#: `FactorAnalysis` is the same for standardised features).
SHARED_FLOOR = 1e-10
FEATURE_FLOOR = 1e-12
#: Nor, with one for each feature, below one of these shares of all features' mean
#: variance; held-out rows say which.
FLOORS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
#: Nats per feature by which a higher floor must be better than a lower one. With .05
#: linear models of small tables are better, but networks are not: training brings small
#: variances down further, which on digits costs 30 nats a row.
MIN_GAIN_OF_A_FLOOR = 0.005


@dataclass(frozen=True)
class ProbabilisticStart:
    r"""A linear model of latents :math:`u \sim N(0, I)`, with its posterior.

    The decoder's output is :math:`u W_d + b_d`; the posterior of `u` given `x` is a
    Gaussian with mean :math:`x W_e + b_e` and one diagonal covariance for all `x`.

    Attributes
    ----------
    encoder_weight : ndarray of shape (n_features, n_components)
    encoder_bias : ndarray of shape (n_components,)
    posterior_variance : ndarray of shape (n_components,)
    decoder_weight : ndarray of shape (n_components, n_features)
    decoder_bias : ndarray of shape (n_features,)
    noise_variance : ndarray of shape (n_features,) or (1,)
        Around that output; 1 where the likelihood is not Gaussian.
    residual : ndarray of shape (n_features,)
        How far a step of the decoder's network should move each output.
    """

    encoder_weight: Array
    encoder_bias: Array
    posterior_variance: Array
    decoder_weight: Array
    decoder_bias: Array
    noise_variance: Array
    residual: Array


def diagonal_start(
    pca: LinearStart,
    information: Array,
    loadings: Array,
    offset: Array,
    residual: Array,
) -> ProbabilisticStart:
    """Make a start of the latents of PCA, rotated so that their posterior is diagonal.

    Parameters
    ----------
    pca : LinearStart
        Of k latents.
    information : ndarray of shape (k, k)
        What a row adds to the precision of the prior.
    loadings : ndarray of shape (k, n_features)
    offset, residual : ndarray of shape (n_features,)
        `decoder_bias` and `residual` of the start.
    """
    information, rotation = np.linalg.eigh(information)
    information, rotation = information[::-1].clip(min=0), rotation[:, ::-1]
    variance = 1 / (1 + information)
    # Means and variances of the posteriors together make up the prior's variance of 1.
    shrink = np.sqrt(1 - variance)
    return ProbabilisticStart(
        encoder_weight=pca.encoder_weight @ rotation * shrink,
        encoder_bias=pca.encoder_bias @ rotation * shrink,
        posterior_variance=variance,
        decoder_weight=rotation.T @ loadings,
        decoder_bias=offset.copy(),
        noise_variance=np.ones(1),
        residual=residual,
    )


@dataclass(frozen=True)
class Noise:
    """How the noise of a Gaussian likelihood is modelled.

    Attributes
    ----------
    shared : bool
        Whether all features have one variance.
    least : float
        Where they do not: the share of the features' mean variance below which none
        falls.
    """

    shared: bool
    least: float = 0.0

    def floor(self, rows: Rows) -> Array:
        """Return the least variance, (n_features,) or (1,), for these rows."""
        if self.shared:
            return np.array([SHARED_FLOOR])
        variance = rows.typical().variance()
        mean = max(float(variance.mean()), 1e-3)
        # What has never varied in n rows may do so in the next.
        own = np.where(
            variance > 1e-20 * mean, FEATURE_FLOOR * variance, mean / len(rows)
        )
        floor: Array = np.maximum(own, self.least * mean)
        return floor


def blank_start(rows: Rows, n_components: int, noise: Noise) -> ProbabilisticStart:
    """Return the model without latents: all is noise."""
    k, n_features = n_components, rows.shape[1]
    variance = np.maximum(rows.variance(), 1e-3)
    if noise.shared:
        variance = variance.mean(keepdims=True)
    return ProbabilisticStart(
        encoder_weight=np.zeros((n_features, k)),
        encoder_bias=np.zeros(k),
        posterior_variance=np.ones(k),
        decoder_weight=np.zeros((k, n_features)),
        decoder_bias=rows.mean(),
        noise_variance=variance,
        residual=np.ones(n_features),
    )


def ppca_start(X: Array | Rows, n_components: int, seed: int) -> ProbabilisticStart:
    r"""Solve for probabilistic PCA (Tipping & Bishop 1999), in the words of `PCA`.

    With the eigenvalues :math:`\lambda_j` and axes :math:`c_j` of the covariance and
    the mean :math:`\sigma^2` of the eigenvalues left out, loadings are
    :math:`\sqrt{\lambda_j - \sigma^2}\, c_j`. The posterior is diagonal: its variances
    are :math:`\sigma^2 / \lambda_j`, its means
    :math:`\sqrt{\lambda_j - \sigma^2} / \lambda_j \cdot c_j^\top (x - \mu)`. So the
    evidence lower bound of this start *is* its log-likelihood (Lucas et al. 2019,
    arXiv 1911.02469), which is that of ``PCA.score``.
    """
    rows = as_rows(X)
    n_samples, n_features = rows.n_samples, rows.shape[1]
    pca = pca_start(rows, n_components, seed)
    rank = min(n_components, *rows.shape)
    total = total_variance(rows)
    variance = pca.latent_scale**2
    variance[rank:] = 0.0
    if total == 0:  # PCA gives a latent of no variance a scale all the same
        variance[:] = 0.0
    left_out = min(n_samples, n_features) - rank
    noise = max(total - variance.sum(), 0.0) / left_out if left_out else 0.0
    noise = max(noise, SHARED_FLOOR)
    signal = np.sqrt(np.maximum(variance - noise, 0.0))
    axes = pca.decoder_weight / pca.latent_scale[:, None]
    whole = np.maximum(variance, noise)
    encoder = axes.T * (signal / whole)
    return ProbabilisticStart(
        encoder_weight=encoder,
        encoder_bias=-pca.decoder_bias @ encoder,
        posterior_variance=np.where(signal > 0, noise / whole, 1.0),
        decoder_weight=signal[:, None] * axes,
        decoder_bias=pca.decoder_bias,
        noise_variance=np.array([noise]),
        residual=np.full(n_features, max(pca.residual, noise**0.5)),
    )


def factor_analysis_start(
    X: Array | Rows,
    n_components: int,
    noise: Noise,
    seed: int,
    guess: Array | None = None,
) -> ProbabilisticStart:
    """Fit factor analysis, with a diagonal posterior.

    From a `guess` of the noise variances (n_features,), positive, if there is one.
    """
    rows = as_rows(X)
    loadings, variance = _factor_analysis(rows, n_components, seed, guess)
    variance = np.maximum(variance, noise.floor(rows))
    return _with_diagonal_posterior(rows.mean(), loadings, variance)


def _factor_analysis(
    rows: Rows, n_components: int, seed: int, guess: Array | None = None
) -> tuple[Array, Array]:
    """Return the loadings (k, p) and noise variances (p,) of factor analysis.

    They are those of standardised features, in the features' units: the model is the
    same in any units, and scikit-learn's search for it is not.
    """
    n_samples, n_features = rows.shape
    large = n_samples > 2 * n_features and n_samples * n_features > 2**20
    large = large or (guess is not None and n_samples > 2 * n_features)
    if large or (rows.is_filled and n_features <= MAX_FEATURES_OF_GAPS):
        # It depends on the covariance only, which these fewer rows have as well.
        covariance = rows.covariance()[1]
        unit = _units(covariance.diagonal())
        variance, axes = np.linalg.eigh(covariance / np.outer(unit, unit))
        root = np.sqrt(n_features * variance.clip(min=0))[:, None] * axes.T
        X = np.concatenate([root, -root])
    else:
        unit = _units(rows.variance())
        X = _symmetric(rows) if rows.weights is not None else rows.dense()
        X /= unit
    rank = min(n_components, n_samples, n_features)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start
        first = None if guess is None else guess / np.square(unit)
        model = FactorAnalysis(rank, random_state=seed, noise_variance_init=first)
        model.fit(X)
    loadings = np.zeros((n_components, n_features))
    loadings[:rank] = model.components_ * unit
    return loadings, model.noise_variance_ * np.square(unit)


def _symmetric(rows: Rows) -> Array:
    """Return rows without weights that have the mean 0 and the covariance of these."""
    centred = centred_rows(rows)[0]
    centred *= np.sqrt(len(rows) / rows.total_weight)
    return np.concatenate([centred, -centred])


def _units(variance: Array) -> Array:
    """Return standard deviations, 1 for a feature that is constant."""
    return np.sqrt(np.where(variance > 0, variance, 1.0))


def _with_diagonal_posterior(
    mean: Array, loadings: Array, noise: Array
) -> ProbabilisticStart:
    r"""Rotate the loadings of factor analysis so that the posterior is diagonal.

    With loadings `W` (k, p) and noise variances :math:`\Psi` the posterior has the
    precision :math:`I + W \Psi^{-1} W^\top` and the means
    :math:`(I + W \Psi^{-1} W^\top)^{-1} W \Psi^{-1} (x - \mu)`. Any rotation of the
    latents is the same model; that to the eigenvectors of
    :math:`W \Psi^{-1} W^\top` makes both diagonal (Bishop 2006, section 12.2.4).
    """
    information, rotation = np.linalg.eigh((loadings / noise) @ loadings.T)
    information, rotation = information[::-1].clip(min=0), rotation[:, ::-1]
    loadings = rotation.T @ loadings
    encoder = (loadings / noise).T / (1 + information)
    return ProbabilisticStart(
        encoder_weight=encoder,
        encoder_bias=-mean @ encoder,
        posterior_variance=1 / (1 + information),
        decoder_weight=loadings,
        decoder_bias=mean,
        noise_variance=noise,
        residual=np.sqrt(noise),
    )


def choose_noise(X: Array | Rows, n_components: int, kind: str, seed: int) -> Noise:
    """Choose how to model the noise, by the linear model of each choice.

    That is factor analysis, with the least floor under which held-out rows have about
    the highest log-likelihood, or probabilistic PCA, if that is higher still; over
    three folds of 3000 rows at most, without extreme ones.

    Parameters
    ----------
    X : ndarray or Rows of shape (n_samples, n_features)
        Scaled rows.
    n_components : int
    kind : {'auto', 'shared', 'feature'}
    seed : int
    """
    if kind == "shared":
        return Noise(shared=True)
    data = as_rows(X).typical()
    n_samples, n_features = data.shape
    if n_samples < 10:
        return Noise(shared=kind == "auto")
    order = np.random.RandomState(seed).permutation(n_samples)[:3000]
    choices = [Noise(shared=False, least=least) for least in FLOORS]
    if kind == "auto" and n_components < n_features:
        choices.append(Noise(shared=True))
    folds = [
        _scores(data[order[train]], data.dense(order[held_out]), choices, n_components)
        for train, held_out in KFold(3).split(order)
    ]
    scores = dict(zip(choices, np.concatenate(folds, axis=1), strict=True))
    weights = data[order].weights  # the folds are in this order
    best = choices[0]
    for noise, score in scores.items():
        gains = score - scores[best]
        # Floors are there for the few rows that a feature of rare values rules out.
        gain = _mean_gain(gains, weights) if noise.shared else mean_of(gains, weights)
        least = 0.0 if noise.shared else MIN_GAIN_OF_A_FLOOR * n_features
        if gain > least:
            best = noise
    return best


def _scores(
    rows: Rows, others: Array, choices: Sequence[Noise], n_components: int
) -> Array:
    """Return the log-likelihood of other rows, (n_choices, n_others), by each noise."""
    loadings, variance = _factor_analysis(rows, n_components, 0)
    mean, scores = rows.mean(), []
    for noise in choices:
        if noise.shared:
            start = ppca_start(rows, n_components, 0)
        else:
            floored = np.maximum(variance, noise.floor(rows))
            start = _with_diagonal_posterior(mean, loadings, floored)
        scores.append(log_likelihood(start, others))
    return np.array(scores)


def _mean_gain(gains: Array, weights: Array | None) -> float:
    """Return the mean gain of rows, to which the outer ones count no more than others.

    One in two hundred, on either side: a few rows may lose thousands of nats.
    """
    low, high = quantiles(gains, [0.005, 0.995], weights)
    return mean_of(np.clip(gains, low, high), weights)


def log_likelihood(start: ProbabilisticStart, X: Array) -> Array:
    r"""Return each row's exact log-likelihood under a Gaussian start, in nats.

    By Bayes' rule at the posterior's mean `m`, which needs no covariance of features:
    :math:`\log p(x) = \log p(x|m) + \log p(m) - \log q(m|x)`.
    """
    mean = X @ start.encoder_weight + start.encoder_bias
    left = X - start.decoder_bias - mean @ start.decoder_weight
    noise = np.broadcast_to(start.noise_variance, X.shape[1:])
    likelihood = np.square(left) / noise + np.log(2 * np.pi * noise)
    posterior = np.square(mean) - np.log(start.posterior_variance)
    result: Array = -0.5 * (likelihood.sum(axis=1) + posterior.sum(axis=1))
    return result
