"""Noise for denoising autoencoders, with its second moments where they are known."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ._placement import moved, normal_like, uniform_like
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

        All noise is from `generator`, drawn where that is.
        """

    def to(self, device: torch.device) -> "Corruption":
        """Return the noise for rows on a device, where all that it needs then is."""
        if device.type == "cpu":  # where it was made
            return self
        parts: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor | Corruption):
                parts[name] = value.to(device)
            elif isinstance(value, Scaling):  # modules move in place
                parts[name] = copy.deepcopy(value).to(device)
        return replace(self, **parts) if parts else self  # type: ignore[type-var]

    def check(self) -> None:  # noqa: B027
        """Raise ValueError if a function of the user's has gone wrong."""

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
        return torch.addcmul(x, normal_like(x, generator), self.std.to(x))

    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments:  # noqa: ARG002
        return CellMoments(mean, 1.0, self.std**2)


@dataclass(frozen=True)
class CellNoise(Corruption):
    """Gives each cell another value with probability `level`."""

    level: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        hit = uniform_like(x, generator) < self.level
        return torch.where(hit, self.values(x, generator), x)

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
        salt = uniform_like(x, generator) < 0.5
        return torch.where(salt, self.high.to(x), self.low.to(x))

    def value_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.low.to(mean), self.high.to(variance)
        return (low + high) / 2, (high - low) ** 2 / 4


@dataclass(frozen=True)
class Swap(CellNoise):
    """A cell takes the value that another row has there."""

    def values(self, x: Tensor, generator: torch.Generator) -> Tensor:
        n, place = x.shape[-2], generator.device
        step = torch.randint(1, max(n, 2), x.shape, generator=generator, device=place)
        other = (torch.arange(n, device=place)[:, None] + step) % n
        return x.gather(-2, moved(other, x.device))

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
    #: Whether all values were finite, since it was asked last: of none or one tensor.
    finite: list[Tensor] = field(default_factory=list, init=False, compare=False)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if x.dim() == 3:  # the function sees rows of one model at a time
            return torch.stack([self(part, generator) for part in x])
        given = self.scaling.to_units(x)
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
        self._note(torch.isfinite(result).all())
        # Only the noise goes through the units of the data, whose offset may be large.
        away = result - given + self.scaling.mean.to(given)
        return x + self.scaling.to_scaled(away).to(x)

    def _note(self, finite: Tensor) -> None:
        """Note whether a result is finite; to ask at once is to wait for a device."""
        self.finite[:] = [finite.logical_and(*self.finite) if self.finite else finite]
        if finite.device.type == "cpu":
            self.check()

    def check(self) -> None:
        """Raise ValueError if values since the last time were not finite."""
        finite = all(map(bool, self.finite))
        self.finite.clear()
        if not finite:
            raise ValueError(f"{self.name} returned values that are not finite.")

    def moments(self, mean: Tensor, variance: Tensor) -> None:  # noqa: ARG002
        return None
