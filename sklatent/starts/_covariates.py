"""Principal covariates regression: the linear latents that predict targets as well."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ..rows import Array, Rows, means_of
from ._pca import (
    LinearStart,
    PrincipalAxes,
    degrees_of_freedom,
    never_zero,
    principal_axes,
    unbiased,
)

#: Directions of less than this share of the largest variance predict nothing.
LEAST_VARIANCE = 1e-10
#: Where neither rows nor features are fewer than `MANY_AXES`, so many principal axes
#: stand for all.
MANY_AXES, SOME_AXES = 1000, 300
#: As many rows tell which penalty is best.
MANY_ROWS = 5000
#: Below this there is no telling which directions predict nothing but vary most.
LEAST_MIXING = 1e-9
#: What leave-one-out chooses from, in units of the largest squared singular value; the
#: last fits nothing but the mean.
PENALTIES = np.append(np.logspace(-7, 2, 19), np.inf)


@dataclass(frozen=True)
class CovariatesStart(LinearStart):
    r"""A linear autoencoder, and :math:`\hat y = u W_h + b_h` for its targets.

    Attributes
    ----------
    head_weight : ndarray of shape (n_components, n_targets)
    head_bias : ndarray of shape (n_targets,)
    """

    head_weight: Array
    head_bias: Array


class RidgeFit(NamedTuple):
    """A ridge regression on principal coordinates, each target on its labelled rows.

    Attributes
    ----------
    weight : ndarray of shape (rank, n_targets)
    bias : ndarray of shape (n_targets,)
        Of coordinates that are zero on average over all rows.
    total : float
        The targets' variances, summed.
    """

    weight: Array
    bias: Array
    total: float


def covariates_start(
    rows: Rows,
    targets: Array,
    n_components: int,
    mixing: float,
    seed: int,
    *,
    penalty: float | None = None,
) -> CovariatesStart:
    r"""Solve principal covariates regression (de Jong & Kiers 1992).

    With centred rows :math:`X = U S V^\top` and the ridge fit :math:`\hat Y` of the
    targets, the latents lie along the first eigenvectors of

    .. math:: \alpha \frac{S^2}{\mathrm{tr}\, S^2} + (1 - \alpha)
       \frac{U^\top \hat Y (U^\top \hat Y)^\top}{\|Y\|^2}, \qquad \alpha = mixing,

    in the coordinates `U`. At mixing 1 that is PCA. Towards 0, without a penalty, it
    is reduced-rank regression, and for classes, coded as `Targets` does, linear
    discriminant analysis; further latents are then the principal components of what
    these leave.

    Parameters
    ----------
    rows : Rows of shape (n_samples, n_features)
        Near unit scale.
    targets : ndarray of shape (n_samples, n_targets)
        Numbers near unit scale, NaN where there is none. All rows count for `U`, `S`
        and `V`, and :math:`\hat Y` is predicted for all.
    n_components : int
        k. What exceeds ``min(X.shape)`` is zero, as in `pca_start`.
    mixing : float
        In [0, 1]: the weight of the rows against the targets.
    seed : int
        For the randomised solver, which PCA takes on large `X`.
    penalty : float or None
        Of the ridge regression, in units of the largest squared singular value; None
        is the one with the least leave-one-out error, which may be infinite: targets
        that cannot be predicted leave PCA.

    Returns
    -------
    start : CovariatesStart
        Latents are uncorrelated and of unit variance over the rows, those of the
        largest eigenvalues first; the largest entry of each row of the decoder is
        positive. The head is the least-squares fit of :math:`\hat Y`, not of `Y`, so
        that it is shrunk as that is; with all latents it is the ridge regression.
    """
    axes = _axes(rows, n_components, mixing, seed)
    n_features = rows.shape[1]
    scale = np.sqrt(axes.variance)  # one over the least is a number in float32, too
    scale = never_zero(scale.clip(min=1e-30 * scale.max(initial=0.0)))
    live = axes.variance > LEAST_VARIANCE * axes.variance.max(initial=0.0)
    fit = _ridge_fit(rows, axes, live, targets, penalty)
    predicted = scale[:, None] * fit.weight  # U^T Y_hat / sqrt(n - 1)
    total = unbiased(fit.total, rows)
    rotation = _rotation(axes, live, predicted, total, max(mixing, LEAST_MIXING))
    rotation = rotation[:, :n_components]

    loadings = (scale[:, None] * rotation).T @ axes.components
    signs = _signs(loadings)
    k = len(signs)  # as many as there are axes
    encoder = np.zeros((n_features, n_components))
    encoder[:, :k] = axes.components.T @ (rotation / scale[:, None]) * signs
    decoder = np.zeros((n_components, n_features))
    decoder[:k] = signs[:, None] * loadings
    head = np.zeros((n_components, targets.shape[1]))
    head[:k] = signs[:, None] * (rotation.T @ predicted)
    kept = np.square(rotation).sum(axis=1).clip(max=1.0)
    left_over = axes.left_over + float(axes.variance @ (1 - kept))
    return CovariatesStart(
        encoder_weight=encoder,
        encoder_bias=-axes.mean @ encoder,
        decoder_weight=decoder,
        decoder_bias=axes.mean,
        latent_scale=never_zero(np.linalg.norm(decoder, axis=1)),
        residual=float(np.sqrt(left_over * (1 - 1 / rows.n_samples) / n_features)),
        head_weight=head,
        head_bias=fit.bias,
    )


def _axes(rows: Rows, n_components: int, mixing: float, seed: int) -> PrincipalAxes:
    """Return the principal axes: those of PCA, or all where others are looked for."""
    rank = min(rows.shape)
    if mixing == 1:
        rank = min(rank, n_components)
    elif rank > MANY_AXES:
        rank = min(rank, max(SOME_AXES, n_components))
    return principal_axes(rows, rank, seed)


def _rotation(
    axes: PrincipalAxes,
    live: NDArray[np.bool_],
    predicted: Array,
    total: float,
    mixing: float,
) -> Array:
    """Return the eigenvectors, largest first, then the axes without variance."""
    rotation = np.eye(len(live))
    if mixing == 1 or not predicted.any():
        return rotation
    n_live = int(live.sum())  # they are the first: variances descend
    shares = axes.variance[:n_live] / (axes.variance.sum() + axes.left_over)
    strength = predicted[:n_live]
    matrix = (1 - mixing) / total * strength @ strength.T
    matrix += mixing * np.diag(shares)
    rotation[:n_live, :n_live] = eigh(matrix)[1][:, ::-1]
    return rotation


def _signs(loadings: Array) -> Array:
    """Return what makes the largest entry of each row positive."""
    largest = np.abs(loadings).argmax(axis=1)
    signs: Array = np.where(loadings[np.arange(len(loadings)), largest] < 0, -1.0, 1.0)
    return signs


def _ridge_fit(
    rows: Rows,
    axes: PrincipalAxes,
    live: NDArray[np.bool_],
    targets: Array,
    penalty: float | None,
) -> RidgeFit:
    """Fit the targets, those that are known of the same rows together."""
    weight = np.zeros((len(live), targets.shape[1]))
    bias, total = np.zeros(targets.shape[1]), 0.0
    known = np.isfinite(targets)
    patterns, group = np.unique(known, axis=1, return_inverse=True)
    group = group.ravel()  # NumPy 2.0 had it of another shape
    for i, labelled in enumerate(patterns.T):
        if not labelled.any():
            continue
        every = Coordinates(rows, axes.mean, axes.components[live])
        if labelled.all():  # principal axes are uncorrelated over these
            some, variance = every, axes.variance[live]
            moments = (
                np.zeros(len(variance)),
                np.diag(variance * degrees_of_freedom(rows)),
            )
        else:
            some = every._replace(rows=rows[np.flatnonzero(labelled)])
            moments = some.moments()
        part = _ridge(some, moments, targets[np.ix_(labelled, group == i)], penalty)
        weight[np.ix_(live, group == i)] = part.weight
        bias[group == i] = part.bias
        total += part.total
    return RidgeFit(weight, bias, total)


class Coordinates(NamedTuple):
    """Rows along some directions.

    Attributes
    ----------
    rows : Rows
    mean : ndarray of shape (n_features,)
        What is subtracted first.
    directions : ndarray of shape (rank, n_features)
    """

    rows: Rows
    mean: Array
    directions: Array

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Yield the coordinates, (b, rank), some rows at a time, and their weights."""
        for x, w in self.rows.weighted_blocks(len(self.directions)):
            z = (x - self.mean) @ self.directions.T
            yield z, np.ones(len(z)) if w is None else w

    def moments(self) -> tuple[Array, Array]:
        """Return the coordinates' mean, and the sums of products around it."""
        rank = len(self.directions)
        mean, products = np.zeros(rank), np.zeros((rank, rank))
        for z, w in self.blocks():
            mean += (w[:, None] * z).sum(axis=0)
            z *= np.sqrt(w)[:, None]
            products += z.T @ z
        n = self.rows.total_weight
        mean /= n
        return mean, products - n * np.outer(mean, mean)

    def products(self, y: Array) -> Array:
        """Return the sums of products with y (n, q), which has its weights in it."""
        total, done = np.zeros((len(self.mean), y.shape[1])), 0
        for x in self.rows.blocks():
            total += (x - self.mean).T @ y[done : done + len(x)]
            done += len(x)
        return self.directions @ total


def _ridge(
    some: Coordinates, moments: tuple[Array, Array], y: Array, penalty: float | None
) -> RidgeFit:
    """Regress targets (n, q) on coordinates, with one penalty for all."""
    weights = some.rows.weights
    y_mean = means_of(y, weights)
    y = y - y_mean
    weighted = y if weights is None else weights[:, None] * y
    offset, products = moments
    squares, vectors = eigh(products)
    fits = squares > LEAST_VARIANCE * squares.max(initial=0.0)
    squares, vectors = squares[fits], vectors[:, fits]
    cross = vectors.T @ some.products(weighted)
    penalties = PENALTIES if penalty is None else np.array([penalty])
    # Least squares where the penalty is none; the mean where it is infinite.
    shrunk = 1 / (squares + np.outer(penalties, squares.max(initial=1e-300)))
    best = 0
    if penalty is None:
        mean = some.mean + offset @ some.directions
        turned = Coordinates(some.rows, mean, vectors.T @ some.directions)
        best = int(_left_out_errors(turned, y, cross, shrunk).argmin())
    weight = vectors @ (shrunk[best][:, None] * cross)
    total = float((weighted * y).sum()) / some.rows.total_weight
    return RidgeFit(weight, y_mean - offset @ weight, total)


def _left_out_errors(some: Coordinates, y: Array, cross: Array, shrunk: Array) -> Array:
    r"""Return the sum of squared leave-one-out errors for each penalty.

    A row's error without it is its error divided by one minus its leverage,
    :math:`w\,(1/n + \sum_j z_j^2 / (s_j^2 + \lambda))`, where `w` is its weight and `n`
    the sum of all: a row is left out as often as it is there. Of many rows, some will
    do.

    Parameters
    ----------
    some : Coordinates
        Centred and uncorrelated.
    y : ndarray of shape (n, q)
        Centred.
    cross : ndarray of shape (rank, q)
        Sums of their products.
    shrunk : ndarray of shape (n_penalties, rank)
        :math:`1 / (s_j^2 + \lambda)`.
    """
    errors, n = np.zeros(len(shrunk)), some.rows.total_weight
    step = -(-len(y) // MANY_ROWS)
    tested = some._replace(rows=some.rows.subsample(MANY_ROWS))
    y = y[::step]
    for z, w in tested.blocks():
        target, y = y[: len(z)], y[len(z) :]
        leverage = w[:, None] * (1 / n + np.square(z) @ shrunk.T)
        kept = np.maximum(1 - leverage, 1e-10)
        for i, factor in enumerate(shrunk):
            left = (target - z @ (factor[:, None] * cross)) / kept[:, i : i + 1]
            errors[i] += w @ np.square(left).sum(axis=1)
    return errors
