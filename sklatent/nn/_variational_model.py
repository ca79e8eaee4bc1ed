"""The variational autoencoder."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ._batch import Batch
from ._frame import LatentFrame
from ._latent_model import LatentModel
from ._likelihoods import Likelihood
from ._manual import has_hooks
from ._mlp import Tape
from ._nested_dropout import NestedDecoder, first_latents
from ._residual import ResidualMap
from ._scaling import Scaling
from ._sizes import Sizes
from ._sparse_batch import SparseBatch

#: Of the posterior, whose variance should not be above the prior's, 1: networks may
#: give any number for a row that is far from all others, and its exponential infinity.
MAX_LOG_VARIANCE = 5.0


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

    has_fixed_buffers = True

    start: Tensor
    log_floor: Tensor

    def __init__(self, variance: Tensor, floor: Tensor) -> None:
        super().__init__()
        above = torch.maximum(variance - floor, 1e-3 * floor)
        self.register_buffer("start", above.log())
        self.register_buffer("log_floor", floor.log())
        self.shift = nn.Parameter(torch.zeros_like(variance))

    def forward(self, sizes: Sizes | None = None) -> Tensor:
        """Return the logarithm of the variance, or of each row's, by its size."""
        table = torch.logaddexp(self.start + 10 * self.shift, self.log_floor)
        if sizes is not None:
            return table[..., sizes.each - 1, :]
        return table[-1] if table.dim() == 2 else table[:, -1:]  # of stacked models

    def backward(self, grad: Tensor, sizes: Sizes | None = None) -> None:
        """Set the shift's gradient, from that at the logarithm of the variance."""
        inner = self.start + 10 * self.shift
        outer = torch.logaddexp(inner, self.log_floor)
        assert self.shift.grad is not None
        table = self.shift.grad
        table.copy_(grad if sizes is None else sizes.sums(grad, table.shape[-2]))
        table.mul_(10 * torch.exp(inner - outer))

    def truncate(self, size: int) -> None:
        """Keep the variances for up to `size` latents."""
        self.start = self.start[:size]
        self.shift = nn.Parameter(self.shift.detach()[:size].clone())


class VariationalModel(LatentModel):
    r"""Encoder :math:`q(u|x)` and decoder :math:`p(x|u)`.

    Parameters
    ----------
    encoder : ResidualMap
        Maps (n, n_features) to (n, 2 k): means and log-variances.
    decoder : ResidualMap or NestedDecoder
        Maps (n, k) to (n, n_features).
    frame, scaling
        As for `LatentModel`.
    noise : NoiseVariance
        Of the Gaussian likelihood; others do not use it.
    likelihood : Likelihood
        Of scaled rows, given the decoder's output.
    unseen : Tensor of shape () or None
        Where scaled rows are coordinates in a basis: the variance of the Gaussian noise
        along each direction outside of it, scaled.
    spread : Tensor of shape (k, k) or None
        Where latents are ordered: row j is added to the posterior's log-variances if
        j + 1 latents are used.
    """

    spread: Tensor | None
    unseen: Tensor | None

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | NestedDecoder,
        frame: LatentFrame,
        scaling: Scaling,
        *,
        noise: NoiseVariance,
        likelihood: Likelihood,
        spread: Tensor | None = None,
        unseen: Tensor | None = None,
    ) -> None:
        super().__init__(encoder, decoder, frame, scaling)
        self.noise = noise
        self.likelihood = likelihood
        self.gives_scaled_rows = likelihood.gives_scaled_rows
        self.sees_cells = likelihood.sees_cells
        self.register_buffer("spread", spread)
        self.register_buffer("unseen", unseen)

    def posterior(self, x: Tensor, sizes: Sizes | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latents of scaled rows, each (n, k).

        Latents that are not used have those of the prior, 0 and 0.
        """
        code = self.encoder(self.likelihood.features(x))
        if sizes is None and self.spread is not None:
            n_used = len(self.spread)
            sizes = Sizes.same(x.shape[0], n_used, self.spread.device)
        return self._of_used_latents(code, sizes)

    def _of_used_latents(
        self, code: Tensor, sizes: Sizes | None
    ) -> tuple[Tensor, Tensor]:
        mean, log_variance = code.chunk(2, dim=-1)
        log_variance = log_variance.clamp(max=MAX_LOG_VARIANCE)
        if sizes is None or self.spread is None:
            return mean, log_variance
        wider = log_variance + self.spread[..., sizes.each - 1, :]
        return first_latents(mean, sizes), first_latents(wider, sizes)

    def forward_scaled(self, batch: Batch) -> Output:
        """Draw latents from the posterior, and decode them.

        Without noise in the batch the draw is the posterior's mean.
        """
        mean, log_variance = self.posterior(batch.inputs, batch.sizes)
        u = mean
        if batch.noise is not None:
            u = mean + torch.exp(0.5 * log_variance) * batch.noise
        location = self.decoder(u, batch.sizes)
        return Output(location, mean, log_variance, self.noise(batch.sizes))

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        parts = self.encoder.has_manual_backward and self.decoder.has_manual_backward
        return parts and not has_hooks(self) and not has_hooks(self.noise)

    def forward_with_tape(self, batch: Batch) -> tuple[Output, Any]:
        """Do what `forward_scaled` does; return what `backward` needs as well."""
        features = self.likelihood.features(batch.inputs)
        code, encoding = self.encoder.forward_with_tape(features)
        mean, log_variance = self._of_used_latents(code, batch.sizes)
        assert batch.noise is not None
        deviation = torch.exp(0.5 * log_variance).mul_(batch.noise)
        location, decoding = self.decoder.forward_with_tape(
            mean + deviation, batch.sizes
        )
        output = Output(location, mean, log_variance, self.noise(batch.sizes))
        return output, (encoding, decoding, deviation, batch.sizes)

    def backward(
        self, tape: tuple[Tape, Any, Tensor, Sizes | None], grad: Output
    ) -> None:
        """Write the parameters' gradients, given the loss's gradient at the output."""
        encoding, decoding, deviation, sizes = tape
        inner = self.decoder.backward(decoding, grad.location, to_input=True)
        assert inner is not None
        to_log_variance = torch.addcmul(grad.log_variance, inner, deviation, value=0.5)
        to_mean = grad.mean + inner
        if sizes is not None:  # the prior's mean and variance are no function of x
            to_mean = first_latents(to_mean, sizes)
            to_log_variance = first_latents(to_log_variance, sizes)
        code = torch.cat([to_mean, to_log_variance], dim=-1)
        self.encoder.backward(encoding, code, to_input=False)
        self.noise.backward(grad.log_noise, sizes)

    def latents(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to the means of their latents (n, k)."""
        return self.posterior(x)[0]

    def latents_and_information(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means, and the KL divergence of each latent, each (n, k)."""
        mean, log_variance = self.posterior(x)
        return mean, kl_to_prior(mean, log_variance)

    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map latents (n, k), of which the first `size` are used, to expected rows."""
        return self.likelihood.mean(self.decoder(u, size))

    def reconstruction(self, output: Output) -> Tensor:
        """Return the expected rows."""
        return self.likelihood.mean(output.location)

    def noise_variance(self) -> Tensor | None:
        """Return the variance of the Gaussian likelihood's noise, scaled."""
        return self.noise().exp() if self.likelihood.has_noise else None

    def widen(self, rows: Tensor) -> Tensor:
        """Return differences of rows that `expected` gave, over all features."""
        return rows if self.sees_cells else super().widen(rows)

    def to_scaled(self, rows: Tensor) -> Tensor:
        """Return rows that `expected` gave, scaled."""
        return (
            self.scaling.to_scaled(rows) if self.sees_cells else super().to_scaled(rows)
        )

    def truncate(self, size: int) -> None:
        """Keep the first latents only; the others are zero from now on."""
        super().truncate(size)
        self.noise.truncate(size)
        assert self.spread is not None
        self.spread = self.spread[:size]

    def sample(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw rows, in the units of the data, given latents (n, n_components).

        Without a generator they are the likelihood's means.
        """
        location = self.decoder(self.frame.back(z))
        if generator is None:
            return self.to_units(self.likelihood.mean(location))
        return self.to_units(self.likelihood.sample(location, self.noise(), generator))

    def log_likelihood(
        self,
        x: Tensor,
        draws: Tensor,
        target: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        r"""Bound each row's log-likelihood from below by importance weighting.

        It is :math:`\log \frac1M \sum_m p(x|u_m)\,p(u_m) / q(u_m|x)` with draws
        :math:`u_m` from the posterior (Burda et al. 2016, arXiv 1509.00519): the
        log-likelihood itself where the posterior is exact.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            The rows, scaled.
        draws : Tensor of shape (M, size)
            Standard normal numbers, the same for each row, for the latents in use.
        target : Tensor or None
            What the likelihood is of, if not of these rows.
        mask : Tensor of shape (n, n_features) or None
            1 for each cell that is observed, and 0 for those that were filled.

        Returns
        -------
        bound : Tensor of shape (n,)
            In nats, on the scale of the data.
        """
        mean, log_variance = self.posterior(x)
        draws = pad(draws, (0, mean.shape[1] - draws.shape[1]))
        deviation = torch.exp(0.5 * log_variance)[:, None] * draws
        u = mean[:, None] + deviation
        location = self.decoder(u.flatten(0, 1)).view(len(x), len(draws), -1)
        target = x if target is None else target
        mask = None if mask is None else mask[:, None]
        nll = self.likelihood.nll(location, self.noise(), target[:, None], mask)
        prior = 0.5 * (draws.square() - u.square()).sum(dim=2)
        weights = prior - nll + 0.5 * log_variance.sum(dim=1, keepdim=True)
        n_draws = torch.full((), len(draws), dtype=x.dtype, device=x.device)
        return torch.logsumexp(weights, dim=1) - n_draws.log() + self.log_volume

    def log_density_unseen(self, x: Tensor | SparseBatch) -> Tensor | float:
        """Return the log-density of what scaled rows do not have of rows, in nats.

        Parameters
        ----------
        x : Tensor or SparseBatch of shape (n, n_features)
            In the units of the data.
        """
        if self.unseen is None or self.sees_cells:
            return 0.0
        variance, scale = float(self.unseen), float(self.scaling.scale)
        n = len(self.scaling.mean) - self.scaling.n_scaled
        constant = n * (math.log(2 * math.pi * variance) + 2 * math.log(scale))
        return -0.5 * (self.scaling.squares_unseen(x) / variance + constant)

    @property
    def log_volume(self) -> float:
        """What scaling and constant features add to the log-likelihood of a row."""
        if not self.gives_scaled_rows:
            return 0.0
        return self.scaling.log_volume


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
