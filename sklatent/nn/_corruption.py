"""Noise for denoising autoencoders, with its second moments where they are known."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ._scaling import Scaling


@dataclass(frozen=True)
class CellMoments:
    r"""The first two moments of corrupted rows :math:`\tilde x`, cell by cell.

    With :math:`\Sigma` the covariance of `x`, the noise of one cell being independent
    of that of all others,

    .. math:: \mathrm{Cov}(x, \tilde x) = a\,\Sigma, \qquad
       \mathrm{Cov}(\tilde x) = a^2\,\Sigma + \mathrm{diag}(d).

    Attributes
    ----------
    mean : Tensor of shape (n_features,)
    keep : float
        The factor `a`.
    extra : Tensor of shape (n_features,) or (n_features, n_features)
        The vector `d`; or a covariance in its place.
    """

    mean: Tensor
    keep: float
    extra: Tensor


class Corruption(ABC):
    """A random map of rows to rows."""

    #: Whether it is shown all features of sparse rows, in the units of the data.
    sees_cells: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Corrupt rows (n, n_features), or (m, n, n_features) of m models.

        All noise is from `generator`.
        """

    @abstractmethod
    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments | None:
        """Return the moments of corrupted rows, None where only a sample can tell.

        Parameters
        ----------
        mean, variance : Tensor of shape (n_features,)
            Of each feature of the clean rows.
        """


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Adds normal noise.

    Parameters
    ----------
    std : Tensor of shape (n_features,)
        Its standard deviation.
    """

    std: Tensor

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return torch.addcmul(x, noise.to(x.device), self.std.to(x))

    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments:  # noqa: ARG002
        return CellMoments(mean, 1.0, self.std**2)


@dataclass(frozen=True)
class CellNoise(Corruption):
    """Gives each cell another value with probability `level`."""

    level: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        chance = torch.rand(x.shape, generator=generator, dtype=torch.float32)
        hit = chance < self.level
        return torch.where(hit.to(x.device), self.values(x, generator), x)

    @abstractmethod
    def values(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the other values, of the shape of `x`."""

    @abstractmethod
    def value_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the other values of each feature."""

    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments:
        # A mixture of the clean value and the other one, which are independent.
        q = self.level
        other, spread = self.value_moments(mean, variance)
        between = q * (1 - q) * (other - mean) ** 2
        whole = (1 - q) * variance + q * spread + between
        keep = 1 - q
        return CellMoments(keep * mean + q * other, keep, whole - keep**2 * variance)


@dataclass(frozen=True)
class Masking(CellNoise):
    """A cell takes one fixed value of its feature.

    Parameters
    ----------
    value : Tensor of shape (n_features,)
    """

    value: Tensor

    def values(self, x: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return self.value.to(x).expand_as(x)

    def value_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        return self.value.to(mean), torch.zeros_like(variance)


@dataclass(frozen=True)
class SaltAndPepper(CellNoise):
    """A cell takes its feature's smallest or largest value.

    Parameters
    ----------
    low, high : Tensor of shape (n_features,)
    """

    low: Tensor
    high: Tensor

    def values(self, x: Tensor, generator: torch.Generator) -> Tensor:
        chance = torch.rand(x.shape, generator=generator, dtype=torch.float32)
        salt = chance < 0.5
        return torch.where(salt.to(x.device), self.high.to(x), self.low.to(x))

    def value_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.low.to(mean), self.high.to(variance)
        return (low + high) / 2, (high - low) ** 2 / 4


@dataclass(frozen=True)
class Swap(CellNoise):
    """A cell takes the value that another row has there."""

    def values(self, x: Tensor, generator: torch.Generator) -> Tensor:
        n = x.shape[-2]
        step = torch.randint(1, max(n, 2), x.shape, generator=generator)
        other = (torch.arange(n)[:, None] + step) % n
        return x.gather(-2, other.to(x.device))

    def value_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        return mean, variance


@dataclass(frozen=True)
class CustomNoise(Corruption):
    """A function of the user's, which sees rows in the units of the data.

    Parameters
    ----------
    function : callable
        Maps (n, n_features) to (n, n_features). It may draw from PyTorch's global
        generator.
    scaling : Scaling
        Of the rows.
    name : str, default='noise'
        What to call it in messages.
    """

    function: Callable[[Tensor], Tensor]
    scaling: Scaling
    name: str = "noise"

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if x.dim() == 3:  # the function sees rows of one model at a time
            return torch.stack([self(part, generator) for part in x])
        given = self.scaling.to(x.device).to_units(x)
        result = self.function(given.clone())
        if not isinstance(result, Tensor):
            raise TypeError(
                f"{self.name} must return a tensor; it returned a "
                f"{type(result).__name__}."
            )
        if result.shape != given.shape:
            raise ValueError(
                f"{self.name} must map a tensor of shape {tuple(given.shape)} to one "
                f"of the same shape; it returned {tuple(result.shape)}."
            )
        if not torch.isfinite(result).all():
            raise ValueError(f"{self.name} returned values that are not finite.")
        # Only the noise goes through the units of the data, whose offset may be large.
        away = result - given + self.scaling.mean.to(given)
        return x + self.scaling.to_scaled(away).to(x)

    def moments(self, mean: Tensor, variance: Tensor) -> None:  # noqa: ARG002
        return None
