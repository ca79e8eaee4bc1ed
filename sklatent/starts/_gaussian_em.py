"""A Gaussian of rows with missing cells, by the EM algorithm."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..nn import CellGaussian, FactorGaussian, FullGaussian, Gaps, gaps_of
from ..rows import Array

#: As many rows' worth of uncorrelated features are added to a covariance, to choose
#: from: by how well cells are filled that are hidden from other rows.
PRIOR_ROWS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
#: Share of the observed cells that is hidden for that, and of the rows.
HIDDEN, HELD_OUT = 0.2, 0.2
#: Rows that are held out for it, at most; how often cells of each are hidden; and the
#: share of them whose error counts in full.
MAX_HELD_OUT, N_VIEWS, QUANTILE = 2000, 4, 0.975
#: Of priors that do about as well, the weakest is taken.
MAX_EXCESS = 1.005
#: The gain in log-likelihood of an observed cell below which EM ends, in nats, and
#: steps after which it does.
TOLERANCE, MAX_STEPS = 1e-4, 100
#: Multiplications that a step may take with a full covariance. Of more rows, some will
#: do, if they are this many times the features; else it is low rank plus a diagonal.
MAX_WORK, MIN_ROWS_PER_FEATURE = 4e9, 2
#: The rank of that, and the least noise.
RANK, LEAST_NOISE = 32, 1e-3


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian fitted to rows with gaps, in the rows' units.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
    unit : ndarray of shape (n_features,)
        The standard deviation of each feature's observed cells; 1 if that is 0.
    gaussian : CellGaussian
        Of rows, without their mean, in these units.
    log_likelihoods : list of float
        Of the observed cells in these units, before each step; empty for low rank.
    """

    mean: Array
    unit: Array
    gaussian: CellGaussian
    log_likelihoods: list[float]

    def standardised(self, x: Array) -> Tensor:
        """Return rows (n, n_features), NaN where missing, as `gaussian` takes them."""
        return torch.from_numpy((x - self.mean) / self.unit)


def fit_gaussian(
    x: Array, weights: Array | None = None, *, prior_rows: float | None = None
) -> GaussianFit:
    r"""Fit a Gaussian to the observed cells by maximum likelihood.

    The EM algorithm (Dempster, Laird & Rubin 1977; Little & Rubin, Statistical Analysis
    with Missing Data, section 11.2) fills each row with its conditional mean, and takes
    mean and covariance of the filled rows, to which the missing cells' conditional
    covariances are added. The covariance is then shrunk towards uncorrelated features,
    :math:`(n S + \kappa I) / (n + \kappa)` for standardised ones: the mode of the
    posterior with an inverse Wishart prior, the ridge prior of Schafer (1997, section
    5.2.3). It is never singular, also with fewer rows than features.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        Rows, NaN where missing.
    weights : ndarray of shape (n,) or None, default=None
        How often each row counts; None is once.
    prior_rows : float or None, default=None
        :math:`\kappa`; None is chosen from `PRIOR_ROWS`.
    """
    w = np.ones(len(x)) if weights is None else weights
    mean, unit = _moments(x, w)
    rows, weight = torch.from_numpy((x - mean) / unit), torch.from_numpy(w)
    some = ~rows.isnan().all(dim=1)
    rows, weight = rows[some], weight[some]
    n, p = rows.shape
    work = sum(map(_work, gaps_of(rows.isnan()))) + n * p**2
    share = (MAX_WORK - 2 * p**3) / work
    if share < 1 and share * n < MIN_ROWS_PER_FEATURE * p:
        shift, factors = _fit_factors(rows, weight)
        return GaussianFit(mean + shift.numpy() * unit, unit, factors, [])
    if share < 1:
        every = math.ceil(1 / share)
        rows, weight = rows[::every], weight[::every]
    if prior_rows is None:
        prior_rows = _choose_prior(rows, weight)
    fit = _fit_full(rows, weight, prior_rows)
    return GaussianFit(
        mean + fit.mean.numpy() * unit,
        unit,
        FullGaussian(fit.precision),
        fit.log_likelihoods,
    )


def _moments(x: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean and deviation of each feature's observed cells; 0 and 1 of none."""
    known = ~np.isnan(x)
    total = weights @ known
    total[total == 0] = 1.0
    mean = weights @ np.where(known, x, 0.0) / total
    variance = weights @ np.square(np.where(known, x - mean, 0.0)) / total
    unit = np.sqrt(variance)
    unit[unit <= 1e-12 * np.abs(mean)] = 1.0  # what is left of a constant is rounding
    return mean, unit


def _work(gaps: Gaps) -> float:
    return len(gaps.features) * float(gaps.features.shape[1]) ** 3


@dataclass
class _Full:
    mean: Tensor
    covariance: Tensor
    precision: Tensor
    log_likelihoods: list[float]


def _fit_full(rows: Tensor, weights: Tensor, prior_rows: float) -> _Full:
    """Fit mean and covariance of standardised rows."""
    n, p = float(weights.sum()), rows.shape[1]
    missing = rows.isnan()
    gaps = gaps_of(missing, weights)
    n_known = float(weights @ (~missing).sum(dim=1).double())
    mean = torch.zeros(p, dtype=rows.dtype)
    zeros = torch.where(missing, 0.0, rows)
    covariance = (zeros.mT * weights) @ zeros / n
    covariance.diagonal().clamp_(min=1.0)
    found = _Full(mean, covariance, _precision(covariance, n, prior_rows), [])
    for _ in range(MAX_STEPS if gaps else 1):
        gaussian = FullGaussian(found.precision)
        step = gaussian.expectation(rows - found.mean, weights, gaps)
        moved = weights @ step.rows / n
        mean, left = found.mean + moved, step.rows - moved
        covariance = ((left.mT * weights) @ left + step.covariance) / n
        precision = _precision(covariance, n, prior_rows)
        values = [*found.log_likelihoods, step.log_likelihood or 0.0]
        found = _Full(mean, covariance, precision, values)
        if len(values) > 1 and values[-1] - values[-2] < TOLERANCE * n_known:
            break
    return found


def _precision(covariance: Tensor, n: float, prior_rows: float) -> Tensor:
    """Return the inverse of a covariance, after shrinkage."""
    shrunk = covariance * n
    shrunk.diagonal().add_(prior_rows)
    inverse: Tensor = torch.linalg.inv(shrunk) * (n + prior_rows)
    return (inverse + inverse.mT) / 2


def _choose_prior(rows: Tensor, weights: Tensor) -> float:
    """Return as many rows of a prior as suit cells hidden from other rows best."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(rows), generator=generator)
    n_held_out = min(int(HELD_OUT * len(rows)), MAX_HELD_OUT)
    if n_held_out < 2:
        return PRIOR_ROWS[0]
    held_out, train = order[:n_held_out].sort().values, order[n_held_out:].sort().values
    fit = _fit_full(rows[train], weights[train], PRIOR_ROWS[0])
    weight = weights[held_out].repeat(N_VIEWS)
    others = (rows[held_out] - fit.mean).repeat(N_VIEWS, 1)
    shown, hidden = hide_cells(others, HIDDEN, generator)
    errors = []
    for prior_rows in PRIOR_ROWS:
        n_train = float(weights[train].sum())
        gaussian = FullGaussian(_precision(fit.covariance, n_train, prior_rows))
        left = torch.where(hidden, gaussian.conditional(shown).mean - others, 0.0)
        errors.append(left.square().sum(dim=1))
    # Cells far off, which no Gaussian tells, would choose by chance.
    most = torch.stack(errors).mean(dim=0).quantile(QUANTILE)
    means = [float(weight @ error.clamp(max=most)) for error in errors]
    good = [error <= MAX_EXCESS * min(means) for error in means]
    return PRIOR_ROWS[good.index(True)] if any(good) else PRIOR_ROWS[0]


def hide_cells(
    x: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide a share of the observed cells; return rows, and which cells are hidden."""
    chance = torch.rand(x.shape, generator=generator, dtype=torch.float32)
    hidden = (chance < share) & ~x.isnan()
    return torch.where(hidden, torch.nan, x), hidden


def _fit_factors(rows: Tensor, weights: Tensor) -> tuple[Tensor, FactorGaussian]:
    """Fit mean, loadings and noise of standardised rows: factor analysis by EM.

    Each step regresses the observed cells of a feature on the factors' expectations
    (Rubin & Thayer 1982), with a unit prior on the loadings.
    """
    n, p = rows.shape
    r = max(1, min(RANK, n // 4, p - 1))
    known = (~rows.isnan()).to(rows.dtype)
    weighted = known * weights[:, None]
    zeros = torch.where(rows.isnan(), 0.0, rows)
    generator = torch.Generator().manual_seed(0)
    sketch = torch.randn(p, r + 8, generator=generator, dtype=rows.dtype)
    for _ in range(3):  # power iterations of a randomised SVD
        sketch = zeros.mT @ (zeros @ torch.linalg.qr(sketch).Q)
    basis = torch.linalg.qr(sketch).Q
    _, size, axes = torch.linalg.svd(zeros @ basis, full_matrices=False)
    loadings = (size[:r, None] / math.sqrt(n)) * (axes[:r] @ basis.mT)
    noise = (1 - loadings.square().sum(dim=0)).clamp(min=0.05)
    mean = torch.zeros(p, dtype=rows.dtype)
    n_known = weighted.sum(dim=0).clamp(min=1e-9)
    sums = zeros * weights[:, None]
    for _ in range(30):
        gaussian = FactorGaussian(loadings, noise)
        z, covariance = gaussian.factors(rows - mean)
        second = covariance + z[:, :, None] * z[:, None, :]
        gram = torch.zeros(p, r + 1, r + 1, dtype=rows.dtype)
        gram[:, :r, :r] = (weighted.mT @ second.flatten(1)).view(p, r, r)
        gram[:, :r, r] = gram[:, r, :r] = weighted.mT @ z
        gram[:, r, r] = n_known
        gram.diagonal(dim1=1, dim2=2)[:, :r].add_(1.0)
        cross = torch.cat([sums.mT @ z, sums.sum(dim=0)[:, None]], dim=1)
        slopes = torch.linalg.solve(gram, cross)
        left = (sums * zeros).sum(dim=0) - (cross * slopes).sum(dim=1)
        loadings, mean = slopes[:, :r].mT.contiguous(), slopes[:, r]
        noise = (left / n_known).clamp(min=LEAST_NOISE)
    return mean, FactorGaussian(loadings, noise)
