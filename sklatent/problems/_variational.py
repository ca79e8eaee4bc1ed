"""The problem of a variational autoencoder: the evidence lower bound."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ..nn import (
    Bernoulli,
    Gaussian,
    LatentFrame,
    LatentModel,
    Likelihood,
    Moments,
    NegativeBound,
    Poisson,
    VariationalModel,
    decoder_gram,
    saved,
    signs,
)
from ..plan import Plan
from ..rows import Array, LatentNoise, Rows, WordDropout
from ..starts import (
    FittedPrior,
    Noise,
    ProbabilisticStart,
    blank_start,
    choose_noise,
    exponential_start,
    factor_analysis_start,
    ppca_start,
)
from ._held_out import LogLikelihood
from ._latent_priors import aggregated_posterior, mixture_prior
from ._networks import check_networks
from ._problem import Problem
from ._reconstruction import nested_dropout
from ._variational_model import variational_model
from ._words import SHARE_HIDDEN, multinomial_of, word_start

#: Cells that a start of logits or logarithms of rates looks at, at most.
MAX_CELLS = 2**27
#: Rows at which the steps of latents that tell words are measured.
MAX_PROBED_FOR_WORDS = 4
#: Nats above which a latent says something of the rows.
MIN_ACTIVE_NATS = 0.01


def variational_problem(given: Any, data: Rows, plan: Plan) -> Problem:
    """Return the problem of raising the evidence lower bound.

    Parameters
    ----------
    given : estimator
        With the parameters of `VariationalAutoencoder`.
    data : Rows
        The training rows.
    plan : Plan
        What the parameters mean for them.
    """
    check_networks(plan, n_codes=2)
    n_features = data.shape[1]
    likelihood = likelihood_of(given.likelihood, data)
    noise = _noise(given, data, plan)

    def start(rows: Rows) -> ProbabilisticStart:
        if not plan.linear_start:
            return blank_start(rows, plan.n_components, noise)
        return _start(rows, given.likelihood, noise, plan)

    def module(solved: ProbabilisticStart, rows: Rows) -> VariationalModel:
        floor = noise.floor(rows)
        own = likelihood_of(given.likelihood, data)  # a module for each model
        return variational_model(plan, solved, own, floor, rows)

    bound = NegativeBound(
        likelihood_of(given.likelihood, data).float(),
        given.beta,
        given.kl_warmup,
        given.free_bits,
    )
    volume = data.scale.module().log_volume
    score = LogLikelihood(n_features, volume if likelihood.gives_scaled_rows else 0.0)
    return Problem(
        start=start,
        module=module,
        loss=bound,
        inputs=(
            *((WordDropout(SHARE_HIDDEN),) if likelihood.sees_cells else ()),
            LatentNoise(plan.n_components),
            *nested_dropout(plan),
        ),
        sees_cells=likelihood.sees_cells,
        held_out_score=lambda *_, **__: score,
        reading=VariationalReading(
            ordered=plan.prefixes is not None,
            n_components=plan.n_components,
            shared_noise=noise.shared,
            fits_mixture=given.latent_prior == "gaussian_mixture",
            keeps_posteriors=given.latent_prior == "aggregated_posterior",
            seed=plan.seed,
        ),
    )


def _noise(given: Any, data: Rows, plan: Plan) -> Noise:
    """Return how to model the noise; a fitted model that goes on has its own."""
    if given.likelihood != "gaussian" or data.scale.basis is not None:
        return Noise(shared=True)
    if plan.previous is not None:
        fitted: Any = plan.previous
        one = fitted.noise.start.shape[1] == 1
        return Noise(shared=one and given.noise_variance != "feature")
    return choose_noise(data, plan.n_components, given.noise_variance, plan.seed)


def likelihood_of(name: str, rows: Rows) -> Likelihood:
    """Return the likelihood of scaled rows, in float64."""
    if name == "gaussian":
        return Gaussian()
    if name == "multinomial":
        return multinomial_of(rows)
    kind = Bernoulli if name == "bernoulli" else Poisson
    mean = torch.from_numpy(rows.scale.center.astype(np.float64))
    return kind(mean, torch.tensor(rows.scale.scale, dtype=torch.float64))


def _start(rows: Rows, likelihood: str, noise: Noise, plan: Plan) -> ProbabilisticStart:
    """Solve for the linear model of this likelihood."""
    k, seed = plan.n_components, plan.seed
    if likelihood == "gaussian":
        if noise.shared:
            return ppca_start(rows, k, seed)
        guess = None
        if rows.axes is not None and plan.previous is not None:  # a stream, in haste
            guess = _earlier_noise(plan.previous, rows)
        return factor_analysis_start(rows, k, noise, seed, guess)
    if likelihood == "multinomial":
        return word_start(rows, multinomial_of(rows), k, seed)
    chosen = rows.subsample(min(100_000, MAX_CELLS // rows.shape[1]))
    some = chosen.dense()
    x = torch.from_numpy(some)
    features = likelihood_of(likelihood, rows).features(x).numpy()
    data = (some * rows.scale.scale + rows.scale.center).clip(min=0)
    return exponential_start(features, data, k, likelihood, seed, chosen.own_weights)


def _earlier_noise(previous: Any, rows: Rows) -> Array:
    """Return the noise variances of a fitted model, in the scale of other rows."""
    before, now = previous.scaling, rows.scale.module()
    ratio = float(before.scale / now.scale)
    variance = before.widen(previous.noise_variance().double() * ratio**2)
    variance = (
        variance[now.varying_features()] if now.n_scaled < len(variance) else (variance)
    )
    found = variance.detach().numpy()
    return np.where(found > 0, found, np.maximum(rows.variance(), 1e-6))


@saved
@dataclass(frozen=True)
class VariationalReading:
    """Latents as they are, most informative first, with signs like PCA's.

    Attributes
    ----------
    ordered : bool
        Whether they are in order already.
    n_components : int
        How many to read.
    shared_noise : bool
        Whether the noise has one variance for all features.
    fits_mixture : bool
        Whether the latents' distribution is modelled by a Gaussian mixture.
    seed : int
        For that.
    start_is_in_frame : bool
        Whether an untrained model's latents are in order: no.
    keeps_posteriors : bool
        Whether it is the mean of the rows' posteriors.
    """

    ordered: bool
    n_components: int
    shared_noise: bool
    fits_mixture: bool
    seed: int
    start_is_in_frame: bool = False
    keeps_posteriors: bool = False

    def order(self, moments: Moments) -> Tensor:
        """Return which inner latents to read, one after the other."""
        kl = moments.information
        order = torch.argsort(kl, descending=True, stable=True)
        if self.ordered:
            order = torch.arange(len(kl))
        return order[: self.n_components]

    def frame(self, model: LatentModel, moments: Moments, data: Rows) -> LatentFrame:  # noqa: ARG002
        """Return the frame that sorts them and gives them signs."""
        order = self.order(moments)
        if float(moments.information.max()) <= MIN_ACTIVE_NATS * moments.n:
            _warn_of_collapse()
        matrix = torch.diag(signs(moments.cross_covariance))[:, order]
        return LatentFrame(torch.zeros_like(moments.mean), matrix, matrix.mT)

    def squared_step_lengths(self, model: LatentModel, moments: Moments) -> Tensor:
        """Return them: latents have the prior's scale, so each has its own."""
        n_used, probe = model.n_components, moments.probe()
        if model.sees_cells:  # a Jacobian of all words takes long
            probe = probe[:: -(-len(probe) // MAX_PROBED_FOR_WORDS)]
        gram = decoder_gram(
            lambda u: model.expected(u, n_used), probe, model.derivative_step
        )
        return gram.diagonal()[model.frame.matrix.abs().argmax(dim=0)]

    def attributes(self, model: LatentModel, fitted: Any) -> dict[str, Any]:
        """Return the information of each latent, and the noise."""
        kl = fitted.information
        found = {
            "kl_per_component_": kl,
            "n_active_components_": int((kl > MIN_ACTIVE_NATS).sum()),
        }
        if self.fits_mixture and fitted.latent_prior is not None:
            found["latent_prior_"] = fitted.latent_prior.mixture
        scaled = model.noise_variance()
        if scaled is None:
            return found
        unit = float(model.scaling.scale)
        with np.errstate(over="ignore", under="ignore"):
            variance = scaled.detach().double() * unit * unit
        if self.shared_noise:
            return found | {"noise_variance_": float(variance[0])}
        return found | {"noise_variance_": model.scaling.widen(variance).numpy()}

    def latent_prior(self, model: LatentModel, data: Rows) -> FittedPrior | None:
        """Return what `latent_prior` asks for; None is N(0, I)."""
        if self.fits_mixture and self.n_components:
            return mixture_prior(model, data, self.seed)
        if self.keeps_posteriors and self.n_components:
            return aggregated_posterior(model, data)
        return None


def _warn_of_collapse() -> None:
    """Warn that the posterior is the prior."""
    warnings.warn(
        "No latent is active: each says less than 0.01 nats of a row, so all rows look "
        "alike to the decoder. A smaller beta, kl_warmup=0.5 or free_bits=0.1 keeps "
        "latents in use, if there is structure in X; a StandardScaler in front may "
        "show it.",
        ConvergenceWarning,
        stacklevel=3,
    )
