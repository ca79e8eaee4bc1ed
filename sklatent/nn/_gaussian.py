"""What a Gaussian says of the missing cells of a row, given the others."""

import math
from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ._gaps import Gaps, gaps_of
from ._scaling import KeepsFloat64


class Conditional(NamedTuple):
    """What is known of n rows, given their observed cells.

    Attributes
    ----------
    mean : Tensor of shape (n, n_features)
        The rows themselves where they are observed.
    variance : Tensor of shape (n, n_features)
        Of each missing cell; 0 where observed.
    """

    mean: Tensor
    variance: Tensor


class Expectation(NamedTuple):
    """What a Gaussian expects of n rows.

    Attributes
    ----------
    rows : Tensor of shape (n, n_features)
        Filled with the conditional means of missing cells.
    covariance : Tensor of shape (n_features, n_features) or (n_features,)
        The weighted sum over rows of the missing cells' conditional covariances, or
        variances.
    log_likelihood : float or None
        Of all observed cells, in nats, where it is known.
    """

    rows: Tensor
    covariance: Tensor
    log_likelihood: float | None


class CellGaussian(KeepsFloat64):
    """A Gaussian of rows whose mean is 0, in float64."""

    @abstractmethod
    def conditional(self, x: Tensor) -> Conditional:
        """Return mean and variance of the missing cells, NaN in rows `x` (n, p)."""

    @abstractmethod
    def expectation(self, x: Tensor, weights: Tensor) -> Expectation:
        """Return what is expected of rows `x` (n, p), NaN where missing.

        The weights (n,) say how much each counts in sums.
        """


class FullGaussian(CellGaussian):
    r"""A Gaussian with any covariance, given by its inverse :math:`\Lambda`.

    Of a row with missing cells `m` and observed ones `o`, whose mean is 0,

    .. math:: \mathrm{E}(x_m|x_o) = -\Lambda_{mm}^{-1} \Lambda_{mo} x_o, \qquad
       \mathrm{Cov}(x_m|x_o) = \Lambda_{mm}^{-1},

    so that no matrix to be inverted is larger than the number of missing cells.

    Parameters
    ----------
    precision : Tensor of shape (n_features, n_features), float64
        The inverse of the covariance.
    """

    precision: Tensor

    def __init__(self, precision: Tensor) -> None:
        super().__init__()
        self.register_buffer("precision", precision)

    def conditional(self, x: Tensor) -> Conditional:
        """Return mean and variance of the missing cells, NaN in rows `x` (n, p)."""
        gaps = gaps_of(x.isnan())
        blocks = [self.covariances(some)[0] for some in gaps]
        variance = _padded(torch.zeros_like(x))
        for some, block in zip(gaps, blocks, strict=True):
            variances = block.diagonal(dim1=1, dim2=2)[some.which]
            variance[some.cells] = variances.clamp(min=0)
        return Conditional(self.filled(x, gaps, blocks), variance[:, :-1])

    def expectation(
        self, x: Tensor, weights: Tensor, gaps: list[Gaps] | None = None
    ) -> Expectation:
        """Return what is expected of rows `x` (n, p), NaN where missing.

        The determinant of the observed cells' covariance is that of the covariance,
        times that of the missing cells' precision; their squared distance from the mean
        is that of the filled row.
        """
        p, n = x.shape[1], float(weights.sum())
        gaps = gaps_of(x.isnan(), weights) if gaps is None else gaps
        total = torch.zeros((p + 1) ** 2, dtype=x.dtype)
        blocks, log_determinant = [], -n * _log_determinant(self.precision)
        for some in gaps:
            block, inner = self.covariances(some)
            where = some.features
            cells = (p + 1) * where[:, :, None] + where[:, None, :]
            weighted = block * some.counts[:, None, None]
            total.index_add_(0, cells.flatten(), weighted.flatten())
            log_determinant += float(inner @ some.counts)
            blocks.append(block)
        rows = self.filled(x, gaps, blocks)
        distance = float(weights @ ((rows @ self.precision) * rows).sum(dim=1))
        n_known = float(weights @ (~x.isnan()).sum(dim=1).double())
        constant = n_known * math.log(2 * math.pi)
        likelihood = -0.5 * (constant + log_determinant + distance)
        return Expectation(rows, total.view(p + 1, p + 1)[:p, :p], likelihood)

    def covariances(self, gaps: Gaps) -> tuple[Tensor, Tensor]:
        """Return each pattern's conditional covariance, and minus its log-determinant.

        Returns
        -------
        covariances : Tensor of shape (q, m, m)
            0 beyond the features that a pattern lacks.
        log_determinants : Tensor of shape (q,)
            Of their inverses.
        """
        where, p = gaps.features, len(self.precision)
        padding = where == p
        known = where.clamp(max=p - 1)
        block = self.precision[known[:, :, None], known[:, None, :]]
        beyond = padding[:, :, None] | padding[:, None, :]
        block.masked_fill_(beyond, 0.0)
        block.diagonal(dim1=1, dim2=2).add_(padding.to(block))
        root = torch.linalg.cholesky(block)
        log_determinants = 2 * root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        inverse = torch.cholesky_inverse(root)
        return inverse.masked_fill_(beyond, 0.0), log_determinants

    def filled(self, x: Tensor, gaps: list[Gaps], blocks: list[Tensor]) -> Tensor:
        """Return rows with their missing cells' means, by `covariances` of all gaps."""
        rows = _padded(torch.where(x.isnan(), 0.0, x))
        pull = _padded(rows[:, :-1] @ self.precision)
        for some, block in zip(gaps, blocks, strict=True):
            cells = some.cells
            rows[cells] = -torch.bmm(block[some.which], pull[cells][:, :, None])[..., 0]
        return rows[:, :-1]


class FactorGaussian(CellGaussian):
    r"""A Gaussian of low rank plus a diagonal, :math:`W^\top W + \mathrm{diag}(\psi)`.

    Given the observed cells `o`, the factors of a row have the covariance
    :math:`(I + W_o \psi_o^{-1} W_o^\top)^{-1}`, so that no matrix to be inverted is
    larger than the rank.

    Parameters
    ----------
    loadings : Tensor of shape (r, n_features), float64
        `W`.
    noise : Tensor of shape (n_features,), float64
        :math:`\psi`.
    """

    loadings: Tensor
    noise: Tensor

    def __init__(self, loadings: Tensor, noise: Tensor) -> None:
        super().__init__()
        self.register_buffer("loadings", loadings)
        self.register_buffer("noise", noise)

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (n, r) and covariance (n, r, r) of the factors of rows."""
        W, r = self.loadings, len(self.loadings)
        scaled = W / self.noise
        known = (~x.isnan()).to(W)
        products = (W[:, None] * scaled).reshape(r * r, -1)
        precision = (known @ products.mT).view(-1, r, r)
        precision.diagonal(dim1=1, dim2=2).add_(1.0)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        seen = torch.where(x.isnan(), 0.0, x) @ scaled.mT
        return torch.bmm(covariance, seen[:, :, None])[..., 0], covariance

    def conditional(self, x: Tensor) -> Conditional:
        """Return mean and variance of the missing cells, NaN in rows `x` (n, p)."""
        missing = x.isnan()
        mean, covariance = self.factors(x)
        W, n = self.loadings, len(x)
        products = (W[:, None] * W).reshape(-1, W.shape[1])
        variance = covariance.reshape(n, -1) @ products + self.noise
        return Conditional(
            torch.where(missing, mean @ W, x), torch.where(missing, variance, 0.0)
        )

    def expectation(self, x: Tensor, weights: Tensor) -> Expectation:
        """Return what is expected of rows `x` (n, p), NaN where missing."""
        mean, variance = self.conditional(x)
        return Expectation(mean, weights @ variance, None)


def _log_determinant(matrix: Tensor) -> float:
    return float(torch.linalg.slogdet(matrix).logabsdet)


def _padded(x: Tensor) -> Tensor:
    """Return rows with one column more, for what `Gaps` has beyond the features."""
    return nn.functional.pad(x, (0, 1))
