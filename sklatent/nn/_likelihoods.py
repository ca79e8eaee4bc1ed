"""What rows are like, given the decoder's output: likelihoods and their gradients."""

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ._batch import Batch

#: What the logarithm of a rate may be at most, so that the rate is a float32.
_LARGEST_LOG_RATE = 30.0
#: What a mean is at least (and a share below 1 by), so that it has such a parameter.
_LEAST_MEAN = 1e-6
#: In place of 0, of which there is no logarithm to be multiplied by it.
_TINY = 1e-30


class Likelihood(nn.Module):
    """The distribution of a row's features, independent given the decoder's output."""

    #: Whether it has a parameter for the variance of noise.
    has_noise: ClassVar[bool] = False
    #: Whether its means are scaled rows; else they are in the units of the data.
    gives_scaled_rows: ClassVar[bool] = False
    #: Whether it is of sparse rows as they are, of which the encoder sees coordinates.
    sees_cells: ClassVar[bool] = False
    #: Training does not change its buffers.
    has_fixed_buffers: ClassVar[bool] = True

    def features(self, x: Tensor) -> Tensor:
        """Return what the encoder sees of scaled rows, of the shape of `x`."""
        return x

    def target(self, batch: Batch) -> Tensor:
        """Return the rows of a batch as `nll` has them."""
        return batch.target

    @abstractmethod
    def mean(self, location: Tensor) -> Tensor:
        """Return the expected rows, of the shape of `location`."""

    @abstractmethod
    def variance(self, location: Tensor, log_variance: Tensor) -> Tensor:
        """Return the variance of each feature around its mean, as `location`."""

    @abstractmethod
    def nll(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return minus the log-likelihood of each row in nats, shape (n,).

        Parameters
        ----------
        location : Tensor of shape (n, n_features), or (..., n_features)
            The decoder's output.
        log_variance : Tensor of shape (n_features,) or (1,), or one such for each row
            Of the noise, where there is such a parameter.
        x : Tensor of shape (n, n_features), or that broadcasts with `location`
            The rows, scaled.
        mask : Tensor of the shape of `x`, or None
            1 for each cell that counts, and 0 for others; None is all.
        """

    @abstractmethod
    def gradient(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of `nll` and its gradients, at location and log-variance."""

    @abstractmethod
    def sample(
        self, location: Tensor, log_variance: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw rows."""


class Gaussian(Likelihood):
    """Normal distribution around the decoder's output, in scaled units."""

    has_noise = True
    gives_scaled_rows = True

    def mean(self, location: Tensor) -> Tensor:
        return location

    def variance(self, location: Tensor, log_variance: Tensor) -> Tensor:
        return log_variance.exp().expand_as(location)

    def nll(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        squares = (x - location).square() * torch.exp(-log_variance)
        if mask is not None:
            cells = squares + (log_variance + math.log(2 * math.pi))
            return 0.5 * (cells * mask).sum(dim=-1)
        constants = log_variance.mean(dim=-1) + math.log(2 * math.pi)
        return 0.5 * (squares.sum(dim=-1) + x.shape[-1] * constants)

    def gradient(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        precision = torch.exp(-log_variance)
        difference = location - x
        if mask is not None:
            difference = difference * mask
        grad = difference * precision
        squares = difference * grad
        # Over the rows and features that share it.
        n_shared: Tensor | int = x.numel() // log_variance.numel()
        if mask is not None:
            n_shared = mask.sum_to_size(log_variance.shape)
        squares = squares.sum_to_size(log_variance.shape)
        constants = log_variance + math.log(2 * math.pi)
        loss = 0.5 * (squares.sum() + (n_shared * constants).sum())
        return loss, grad, 0.5 * (n_shared - squares)

    def sample(
        self, location: Tensor, log_variance: Tensor, generator: torch.Generator
    ) -> Tensor:
        noise = torch.randn(
            location.shape, generator=generator, dtype=location.dtype
        ).to(location.device)
        return location + noise * torch.exp(0.5 * log_variance)


class ExponentialFamily(Likelihood):
    """A likelihood of the rows as they are, not scaled, by its natural parameter.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    scale : Tensor of shape ()
        Rows as they are, are ``x * scale + mean``.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", mean)
        self.register_buffer("scale", scale)

    def rows(self, x: Tensor) -> Tensor:
        """Return rows as they are."""
        return torch.addcmul(self.shift, x, self.scale)

    @abstractmethod
    def natural(self, mean: Tensor) -> Tensor:
        """Return the natural parameter that has this mean, or one close to it."""

    def without_latents(self) -> Tensor:
        """Return the natural parameter of the rows' mean, shape (n_features,)."""
        return self.natural(self.shift)

    @abstractmethod
    def deviance(self, location: Tensor, x: Tensor) -> Tensor:
        """Return the deviance of each cell, of the shape of `x`.

        That is twice what a mean at the cell itself has more of log-likelihood than the
        one at this location (McCullagh & Nelder 1989, section 2.3). The parameters are
        those of `nll`.
        """

    def slope(self, location: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gradient of `nll` at the location."""
        grad = self.mean(location) - self.rows(x)
        return grad if mask is None else grad * mask

    def gradient(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        loss = self.nll(location, log_variance, x, mask).sum()
        grad = self.slope(location, x, mask)
        return loss, grad, torch.zeros_like(log_variance)


class Bernoulli(ExponentialFamily):
    """Of features in [0, 1]; the output is the logit of their mean."""

    def rows(self, x: Tensor) -> Tensor:
        # Not beyond by rounding, here or in the data.
        return super().rows(x).clamp(0, 1)

    def mean(self, location: Tensor) -> Tensor:
        return torch.sigmoid(location)

    def natural(self, mean: Tensor) -> Tensor:
        odds = mean.clamp(_LEAST_MEAN, 1 - _LEAST_MEAN)
        return torch.log(odds) - torch.log1p(-odds)

    def deviance(self, location: Tensor, x: Tensor) -> Tensor:
        rows = self.rows(x)
        entropy: Tensor = torch.special.entr(rows) + torch.special.entr(1 - rows)
        return 2 * (softplus(location) - rows * location - entropy).clamp(min=0)

    def variance(self, location: Tensor, log_variance: Tensor) -> Tensor:  # noqa: ARG002
        mean = self.mean(location)
        return mean * (1 - mean)

    def nll(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        x: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        terms = softplus(location) - self.rows(x) * location
        return (terms if mask is None else terms * mask).sum(dim=-1)

    def sample(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        return torch.bernoulli(self.mean(location).cpu(), generator=generator)


class Poisson(ExponentialFamily):
    """Of counts; the output is the logarithm of their mean.

    The encoder sees log(1 + count), to which a logarithm of rates is close to linear.

    Parameters
    ----------
    mean, scale
        As for `ExponentialFamily`.
    largest : Tensor of shape (n_features,) or None
        What a mean is at most. It rises exponentially with latents, so that a single
        row that is far out could cost more than all others.
    """

    ceiling: Tensor

    def __init__(
        self, mean: Tensor, scale: Tensor, largest: Tensor | None = None
    ) -> None:
        super().__init__(mean, scale)
        most = torch.full_like(scale, _LARGEST_LOG_RATE)
        ceiling = most if largest is None else largest.log().clamp(max=most)
        self.register_buffer("ceiling", ceiling)

    def features(self, x: Tensor) -> Tensor:
        counts = self.rows(x).clamp(min=0)
        return torch.log1p(counts) - torch.log1p(self.shift.clamp(min=0))

    def mean(self, location: Tensor) -> Tensor:
        return torch.exp(torch.minimum(location, self.ceiling))

    def variance(self, location: Tensor, log_variance: Tensor) -> Tensor:  # noqa: ARG002
        return self.mean(location)

    def natural(self, mean: Tensor) -> Tensor:
        return mean.clamp(min=_LEAST_MEAN).log()

    def deviance(self, location: Tensor, x: Tensor) -> Tensor:
        counts = self.rows(x).clamp(min=0)
        eta = torch.minimum(location, self.ceiling)
        ratio = counts * (counts.clamp(min=_TINY).log() - eta)
        return 2 * (ratio - counts + torch.exp(eta)).clamp(min=0)

    def slope(self, location: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().slope(location, x, mask) * (location <= self.ceiling)

    def nll(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        x: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        # Scaling there and back must not make a count of 0 negative.
        counts = self.rows(x).clamp(min=0)
        eta = torch.minimum(location, self.ceiling)
        terms = torch.exp(eta) - counts * eta + torch.lgamma(counts + 1)
        return (terms if mask is None else terms * mask).sum(dim=-1)

    def sample(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        return torch.poisson(self.mean(location).cpu(), generator=generator)
