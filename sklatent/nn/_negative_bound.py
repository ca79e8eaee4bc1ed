"""The loss of a variational autoencoder."""

from torch import Tensor

from ._batch import Batch
from ._likelihoods import Likelihood
from ._losses import Loss
from ._variational_model import Output, kl_to_prior


class NegativeBound(Loss):
    r"""Minus the evidence lower bound, :math:`-\log p(x|u) + \beta\,\mathrm{KL}`.

    Parameters
    ----------
    likelihood : Likelihood
        Gives the first term, of scaled rows in float32.
    beta : float
        The weight of the second.
    warmup : float
        The share of the training steps over which that weight rises from 0.
    free_bits : float
        Nats per latent, over the rows of a batch, below which the second term gains
        nothing (Kingma et al. 2016, arXiv 1606.04934).
    """

    can_stack = True

    def __init__(
        self, likelihood: Likelihood, beta: float, warmup: float, free_bits: float
    ) -> None:
        self.likelihood = likelihood
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits

    def weight(self, done: float) -> float:
        """Return the weight of the KL divergence when this share of steps is made."""
        return self.beta * min(1.0, done / self.warmup if self.warmup else 1.0)

    def __call__(self, output: Output, batch: Batch, done: float = 1.0) -> Tensor:
        """Return the mean over rows, per feature."""
        location, mean, log_variance, log_noise = output
        x = self.likelihood.target(batch)
        kl = kl_to_prior(mean, log_variance).mean(dim=-2).clamp(min=self.free_bits)
        nll = self.likelihood.nll(location, log_noise, x, batch.mask)
        loss = nll.mean(dim=-1).sum()
        return (loss + self.weight(done) * kl.sum()) / batch.target.shape[-1]

    def gradient(
        self, output: Output, batch: Batch, done: float = 1.0
    ) -> tuple[Tensor, Output]:
        """Return the same and its gradient at the output."""
        location, mean, log_variance, log_noise = output
        x, beta = self.likelihood.target(batch), self.weight(done)
        n_features = batch.target.shape[-1]
        per_row = 1 / (x.shape[-2] * n_features)
        loss, at_location, at_noise = self.likelihood.gradient(
            location, log_noise, x, batch.mask
        )
        kl = kl_to_prior(mean, log_variance).mean(dim=-2, keepdim=True)
        weight = beta * per_row * (kl >= self.free_bits).to(kl)
        loss = loss * per_row
        loss = loss + beta * kl.clamp(min=self.free_bits).sum() / n_features
        grad = Output(
            at_location.mul_(per_row),
            mean * weight,
            (log_variance.exp() - 1) * (0.5 * weight),
            at_noise * per_row,
        )
        return loss, grad

    def rows(self, output: Output, batch: Batch) -> Tensor:
        """Return the value of each row, without warm-up and free bits, shape (n,)."""
        location, mean, log_variance, log_noise = output
        kl = kl_to_prior(mean, log_variance).sum(dim=-1)
        x = self.likelihood.target(batch)
        nll = self.likelihood.nll(location, log_noise, x, batch.mask)
        return nll + self.beta * kl
