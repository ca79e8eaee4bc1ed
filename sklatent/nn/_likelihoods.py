"""What rows are like, given the decoder's output: likelihoods and their gradients."""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

#: What the logarithm of a rate may be at most, so that the rate is a float32.
_LARGEST_LOG_RATE = 30.0


class Likelihood(nn.Module):
    """The distribution of a row's features, independent given the decoder's output."""

    def features(self, x: Tensor) -> Tensor:
        """Return what the encoder sees of scaled rows, of the shape of `x`."""
        return x

    @abstractmethod
    def mean(self, location: Tensor) -> Tensor:
        """Return the expected rows, of the shape of `location`."""

    @abstractmethod
    def nll(self, location: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of each row in nats, shape (n,).

        Parameters
        ----------
        location : Tensor of shape (n, n_features)
            The decoder's output.
        log_variance : Tensor of shape (n_features,) or (1,)
            Of the noise, where there is such a parameter.
        x : Tensor of shape (n, n_features)
            The rows, scaled.
        """

    @abstractmethod
    def gradient(
        self, location: Tensor, log_variance: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of `nll` and its gradients, at location and log-variance."""

    @abstractmethod
    def sample(
        self, location: Tensor, log_variance: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw rows."""


class Gaussian(Likelihood):
    """Normal noise around the output, in scaled units."""

    def mean(self, location: Tensor) -> Tensor:
        return location

    def nll(self, location: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:
        squares = (x - location).square() * torch.exp(-log_variance)
        n_features = x.shape[1]
        constant = log_variance.expand(n_features).sum() + n_features * math.log(
            2 * math.pi
        )
        return 0.5 * (squares.sum(dim=1) + constant)

    def gradient(
        self, location: Tensor, log_variance: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        precision = torch.exp(-log_variance)
        difference = location - x
        grad = difference * precision
        n, n_features = x.shape
        squares = (difference * grad).sum(dim=0)
        constant = log_variance.expand(n_features).sum() + n_features * math.log(
            2 * math.pi
        )
        to_log_variance = 0.5 * (n - squares)
        if len(log_variance) == 1:
            to_log_variance = to_log_variance.sum(dim=0, keepdim=True)
        return 0.5 * (squares.sum() + n * constant), grad, to_log_variance

    def sample(
        self, location: Tensor, log_variance: Tensor, generator: torch.Generator
    ) -> Tensor:
        noise = torch.randn(
            location.shape, generator=generator, dtype=location.dtype
        ).to(location.device)
        return location + noise * torch.exp(0.5 * log_variance)


class _OfTheData(Likelihood):
    """A likelihood of the rows as they are, not scaled.

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

    def gradient(
        self, location: Tensor, log_variance: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Both are exponential families in their natural parameter.
        grad = self.mean(location) - self.rows(x)
        loss = self.nll(location, log_variance, x).sum()
        return loss, grad, torch.zeros_like(log_variance)


class Bernoulli(_OfTheData):
    """Of features in [0, 1]; the output is the logit of their mean."""

    def mean(self, location: Tensor) -> Tensor:
        return torch.sigmoid(location)

    def nll(self, location: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        return (softplus(location) - self.rows(x) * location).sum(dim=1)

    def sample(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        return torch.bernoulli(self.mean(location).cpu(), generator=generator)


class Poisson(_OfTheData):
    """Of counts; the output is the logarithm of their mean.

    The encoder sees log(1 + count), to which a logarithm of rates is close to linear.
    """

    def features(self, x: Tensor) -> Tensor:
        counts = self.rows(x).clamp(min=0)
        return torch.log1p(counts) - torch.log1p(self.shift.clamp(min=0))

    def mean(self, location: Tensor) -> Tensor:
        return torch.exp(location.clamp(max=_LARGEST_LOG_RATE))

    def gradient(
        self, location: Tensor, log_variance: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        loss, grad, rest = super().gradient(location, log_variance, x)
        return loss, grad * (location <= _LARGEST_LOG_RATE), rest

    def nll(self, location: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        # Scaling there and back must not make a count of 0 negative.
        counts = self.rows(x).clamp(min=0)
        eta = location.clamp(max=_LARGEST_LOG_RATE)
        terms = torch.exp(eta) - counts * eta + torch.lgamma(counts + 1)
        return terms.sum(dim=1)

    def sample(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        return torch.poisson(self.mean(location).cpu(), generator=generator)
