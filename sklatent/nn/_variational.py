"""The variational autoencoder network and its bound."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ._frame import LatentFrame
from ._likelihoods import Likelihood
from ._mlp import Tape
from ._prefix import PrefixDecoder, prefix
from ._residual import ResidualMap


class Output(NamedTuple):
    """What the module says of n rows.

    Attributes
    ----------
    location : Tensor of shape (n, n_features)
        The decoder's output, for the likelihood.
    mean, log_variance : Tensor of shape (n, k)
        The posterior of the latents, a diagonal Gaussian.
    log_noise : Tensor of shape (n_features,) or (1,), or one such for each row
        The logarithm of the noise's variance, where the likelihood has one.
    """

    location: Tensor
    mean: Tensor
    log_variance: Tensor
    log_noise: Tensor


class NoiseVariance(nn.Module):
    r"""The variance :math:`f + e^{a + 10 b}` with a trained shift `b`, 0 at first.

    Parameters
    ----------
    variance : Tensor of shape (m, n_features) or (m, 1)
        Where it starts: one row, or one for each number of latents in use.
    floor : Tensor of shape (n_features,) or (1,)
        The number `f`, below which it cannot fall.
    """

    start: Tensor
    log_floor: Tensor

    def __init__(self, variance: Tensor, floor: Tensor) -> None:
        super().__init__()
        above = torch.maximum(variance - floor, 1e-3 * floor)
        self.register_buffer("start", above.log())
        self.register_buffer("log_floor", floor.log())
        self.shift = nn.Parameter(torch.zeros_like(variance))

    def forward(self, sizes: Tensor | None = None) -> Tensor:
        """Return the logarithm of the variance, or of each row's, by its size."""
        table = torch.logaddexp(self.start + 10 * self.shift, self.log_floor)
        return table[-1] if sizes is None else table[sizes - 1]

    def pull(self, grad: Tensor, sizes: Tensor | None = None) -> None:
        """Set the shift's gradient, from that at the logarithm of the variance."""
        inner = self.start + 10 * self.shift
        outer = torch.logaddexp(inner, self.log_floor)
        assert self.shift.grad is not None
        table = self.shift.grad
        if sizes is None:
            table.copy_(grad)
        else:
            table.zero_().index_add_(0, sizes - 1, grad)
        table.mul_(10 * torch.exp(inner - outer))

    def truncate(self, size: int) -> None:
        """Keep the variances for up to `size` latents."""
        self.start = self.start[:size]
        self.shift = nn.Parameter(self.shift.detach()[:size].clone())


class VariationalModule(nn.Module):
    r"""Encoder :math:`q(u|x)`, decoder :math:`p(x|u)` and a latent frame.

    Parameters
    ----------
    encoder : ResidualMap
        Maps (n, n_features) to (n, 2 k): means and log-variances.
    decoder : ResidualMap or PrefixDecoder
        Maps (n, k) to (n, n_features). A `PrefixDecoder` makes the latents ordered.
    noise : NoiseVariance
        Of the Gaussian likelihood; others take no notice of it.
    likelihood : Likelihood
        What the decoder's output says.
    frame : LatentFrame
        The coordinates in which `encode` gives and `decode` takes the latents.
    spread : Tensor of shape (k, k) or None
        Row j is what the posterior's log-variances have more if j + 1 latents are in
        use, where they are ordered.
    """

    spread: Tensor | None

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | PrefixDecoder,
        noise: NoiseVariance,
        likelihood: Likelihood,
        frame: LatentFrame,
        spread: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.noise = noise
        self.likelihood = likelihood
        self.frame = frame
        self.register_buffer("spread", spread)

    def posterior(
        self, x: Tensor, sizes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latents of rows, each (n, k).

        Latents that are not in use have those of the prior, 0 and 0.
        """
        code = self.encoder(self.likelihood.features(x))
        return self._in_use(code, self._sizes(sizes, len(x)))

    def _sizes(self, sizes: Tensor | None, n: int) -> Tensor | None:
        """Return how many latents are in use of each row; None is all there are."""
        if sizes is None and self.spread is not None:
            return torch.full((n,), len(self.spread), device=self.spread.device)
        return sizes

    def _in_use(self, code: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_variance = code.chunk(2, dim=1)
        if sizes is None or self.spread is None:
            return mean, log_variance
        wider = log_variance + self.spread[sizes - 1]
        return prefix(mean, sizes), prefix(wider, sizes)

    def forward(self, shown: Tensor | Sequence[Tensor]) -> Output:
        """Return what the decoder makes of a draw from the posterior.

        Parameters
        ----------
        shown : Tensor of shape (n, n_features), or a tuple
            The rows; with them standard normal noise, of shape (n, k), without which
            the draw is the mean; and how many latents are in use of each, shape (n,).
        """
        x, noise, sizes = _parts(shown)
        mean, log_variance = self.posterior(x, sizes)
        u = mean
        if noise is not None:
            u = mean + torch.exp(0.5 * log_variance) * noise
        location = self.decoder(u, sizes)
        return Output(location, mean, log_variance, self.noise(sizes))

    @property
    def written_out(self) -> bool:
        """Whether `record` and `pull` can do what autograd does."""
        return self.encoder.written_out and self.decoder.written_out

    def record(self, shown: Sequence[Tensor]) -> tuple[Output, Any]:
        """Do what `forward` does; return what `pull` needs as well."""
        x, noise, sizes = _parts(shown)
        code, encoding = self.encoder.record(self.likelihood.features(x))
        mean, log_variance = self._in_use(code, sizes)
        assert noise is not None
        deviation = torch.exp(0.5 * log_variance).mul_(noise)
        location, decoding = self.decoder.record(mean + deviation, sizes)
        output = Output(location, mean, log_variance, self.noise(sizes))
        return output, (encoding, decoding, deviation, sizes)

    def pull(self, tapes: tuple[Tape, Any, Tensor, Tensor | None], grad: Any) -> None:
        """Set the parameters' gradients, from those at the output."""
        encoding, decoding, deviation, sizes = tapes
        inner = self.decoder.pull(decoding, grad.location, to_input=True)
        assert inner is not None
        to_log_variance = torch.addcmul(grad.log_variance, inner, deviation, value=0.5)
        to_mean = grad.mean + inner
        if sizes is not None:  # the prior's mean and variance are no function of x
            to_mean = prefix(to_mean, sizes)
            to_log_variance = prefix(to_log_variance, sizes)
        code = torch.cat([to_mean, to_log_variance], dim=1)
        self.encoder.pull(encoding, code, to_input=False)
        self.noise.pull(grad.log_noise, sizes)

    def latents(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to the means of their inner latents (n, k)."""
        return self.posterior(x)[0]

    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map inner latents, of which the first are in use, to expected rows."""
        return self.likelihood.mean(self.decoder(u, size))

    def truncate(self, size: int) -> None:
        """Keep the first latents only; the others are zero from now on."""
        assert self.spread is not None
        self.frame = self.frame.first(size)
        self.decoder.truncate(size)
        self.noise.truncate(size)
        self.spread = self.spread[:size]

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to the means of their latents (n, k)."""
        return self.frame(self.latents(x))  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Map latents (n, k), or the first few of each, to expected rows."""
        return self.expected(self.frame.back(z), z.shape[1])

    def log_likelihood(self, x: Tensor, draws: Tensor) -> Tensor:
        r"""Bound each row's log-likelihood from below by importance weighting.

        It is :math:`\log \frac1M \sum_m p(x|u_m)\,p(u_m) / q(u_m|x)` with draws
        :math:`u_m` from the posterior (Burda et al. 2016, arXiv 1509.00519): the
        log-likelihood itself where the posterior is exact.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            The rows.
        draws : Tensor of shape (M, size)
            Standard normal numbers, the same for each row, for the latents in use.

        Returns
        -------
        bound : Tensor of shape (n,)
            In nats.
        """
        mean, log_variance = self.posterior(x)
        draws = pad(draws, (0, mean.shape[1] - draws.shape[1]))
        deviation = torch.exp(0.5 * log_variance)[:, None] * draws
        u = mean[:, None] + deviation
        location = self.decoder(u.flatten(0, 1))
        repeated = x.repeat_interleave(len(draws), dim=0)
        nll = self.likelihood.nll(location, self.noise(), repeated).view(len(x), -1)
        prior = 0.5 * (draws.square() - u.square()).sum(dim=2)
        weights = prior - nll + 0.5 * log_variance.sum(dim=1, keepdim=True)
        n_draws = torch.full((), len(draws), dtype=x.dtype, device=x.device)
        return torch.logsumexp(weights, dim=1) - n_draws.log()

    def fixed_state(self) -> dict[str, Tensor]:
        """Return a copy of what training does not change, by its name."""
        return {name: value.clone() for name, value in self.named_buffers()}


def _parts(
    shown: Tensor | Sequence[Tensor],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return rows, noise and sizes, where they are given."""
    x, noise, sizes, *_ = (
        *((shown,) if isinstance(shown, Tensor) else shown),
        None,
        None,
    )
    return x, noise, sizes


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return :math:`\mathrm{KL}(q(u|x)\,\|\,N(0, I))` of each latent, in nats.

    It is :math:`\frac12 (m^2 + s^2 - 1 - \log s^2)` (Kingma & Welling 2014).

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, k)

    Returns
    -------
    kl : Tensor of shape (n, k)
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


class NegativeBound(nn.Module):
    r"""Minus the evidence lower bound, :math:`-\log p(x|u) + \beta\,\mathrm{KL}`.

    Parameters
    ----------
    likelihood : Likelihood
        Gives the first term.
    beta : float
        The weight of the second.
    warmup : float
        The share of the training steps over which that weight rises from 0.
    free_bits : float
        Nats per latent, over the rows of a batch, below which the second term gains
        nothing (Kingma et al. 2016, arXiv 1606.04934).
    """

    def __init__(
        self, likelihood: Likelihood, beta: float, warmup: float, free_bits: float
    ) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits
        #: The share of the training steps that are made.
        self.done = 1.0

    @property
    def _weight(self) -> float:
        return self.beta * min(1.0, self.done / self.warmup if self.warmup else 1.0)

    def forward(self, output: Output, x: Tensor) -> Tensor:
        """Return the mean over rows, per feature."""
        location, mean, log_variance, log_noise = output
        kl = kl_to_prior(mean, log_variance).mean(dim=0).clamp(min=self.free_bits)
        loss = self.likelihood.nll(location, log_noise, x).mean()
        return (loss + self._weight * kl.sum()) / x.shape[1]

    def gradient(self, output: Output, x: Tensor) -> tuple[Tensor, Output]:
        """Return the same and its gradient at the output."""
        location, mean, log_variance, log_noise = output
        per_row = 1 / x.numel()
        loss, at_location, at_noise = self.likelihood.gradient(location, log_noise, x)
        kl = kl_to_prior(mean, log_variance).mean(dim=0)
        weight = self._weight * per_row * (kl >= self.free_bits).to(kl)
        loss = loss * per_row
        loss = loss + self._weight * kl.clamp(min=self.free_bits).sum() / x.shape[1]
        grad = Output(
            at_location.mul_(per_row),
            mean * weight,
            (log_variance.exp() - 1) * (0.5 * weight),
            at_noise * per_row,
        )
        return loss, grad

    def rows(self, output: Output, x: Tensor) -> Tensor:
        """Return the value of each row, without warm-up and free bits, shape (n,)."""
        location, mean, log_variance, log_noise = output
        kl = kl_to_prior(mean, log_variance).sum(dim=1)
        return self.likelihood.nll(location, log_noise, x) + self.beta * kl
