"""The problem of rows that are shares or counts: the least deviance."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn import (
    AutoencoderModel,
    Bernoulli,
    Corruption,
    Deviance,
    ExponentialFamily,
    Poisson,
)
from ..plan import Plan
from ..rows import Rows, mean_of
from ..starts import LinearStart, deviance_start
from ._held_out import ExplainedVariance
from ._problem import Problem
from ._reconstruction import ReconstructionReading, autoencoder, reconstruction_problem
from ._variational import LARGEST_COUNT, MAX_CELLS, range_of_values

#: Whose deviance each loss is, and its name.
LIKELIHOODS: dict[str, tuple[type[ExponentialFamily], str]] = {
    "log_loss": (Bernoulli, "bernoulli"),
    "poisson": (Poisson, "poisson"),
}


def deviance_problem(
    data: Rows,
    plan: Plan,
    loss: str,
    *,
    corruption: Callable[[Rows], Corruption] | None = None,
) -> Problem:
    """Return the problem of reconstructing rows with the least deviance.

    Parameters
    ----------
    data, plan, corruption
        As for `reconstruction_problem`.
    loss : str
        A key of `LIKELIHOODS`.
    """
    kind, name = LIKELIHOODS[loss]

    def likelihood() -> ExponentialFamily:  # one for each model
        mean = torch.from_numpy(data.scale.center.astype(np.float64))
        return kind(mean, torch.tensor(data.scale.scale, dtype=torch.float64))

    def start(rows: Rows) -> LinearStart | None:
        if not plan.linear_start:
            return None
        return _start(rows, likelihood(), name, plan, corruption)

    def module(solved: LinearStart | None, rows: Rows) -> AutoencoderModel:
        return autoencoder(plan, solved, rows, likelihood())

    problem = reconstruction_problem(
        data,
        plan,
        corruption=corruption,
        loss=Deviance(likelihood().float()),
        held_out_score=partial(explained_deviance, likelihood()),
        reading=ReconstructionReading(
            ordered=plan.prefixes is not None, start_is_in_frame=False
        ),
    )
    return replace(problem, start=start, module=module)


def check_loss(X: Any, loss: str) -> None:
    """Raise ValueError if rows are not what the loss is of."""
    low, high, rounding = range_of_values(X)
    if loss == "log_loss" and (low < -rounding or high > 1 + rounding):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}; loss='log_loss' requires them "
            "in [0, 1]."
        )
    if loss == "poisson" and (low < 0 or high > LARGEST_COUNT):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}; loss='poisson' requires "
            f"numbers that are not negative, at most {LARGEST_COUNT:.0e}."
        )


def explained_deviance(
    likelihood: ExponentialFamily,
    *parts: Tensor,
    weights: Sequence[Tensor] | None = None,
) -> ExplainedVariance:
    """Return the score of scaled rows, given in parts: their share of deviance."""
    location = likelihood.without_latents()
    blocks = [x.cpu().double() for part in parts for x in torch.split(part, 2**12)]
    errors = [likelihood.deviance(location, x).sum(dim=1).numpy() for x in blocks]
    w = None if weights is None else torch.cat(list(weights)).numpy()
    return ExplainedVariance(mean_of(np.concatenate(errors), w))


def _start(
    rows: Rows,
    likelihood: ExponentialFamily,
    name: str,
    plan: Plan,
    corruption: Callable[[Rows], Corruption] | None,
) -> LinearStart:
    """Solve for the linear model, from corrupted copies of the rows if asked for."""
    chosen = rows.subsample(min(100_000, MAX_CELLS // rows.shape[1]))
    x = shown = torch.from_numpy(chosen.dense())
    if corruption is not None:
        generator = torch.Generator().manual_seed(plan.seed)
        shown = corruption(rows)(x.float(), generator).double()
    given: Any = likelihood.rows(x).clamp(min=0).numpy()
    return deviance_start(
        likelihood.features(shown).numpy(),
        given,
        likelihood.without_latents().numpy(),
        plan.n_components,
        name,
        plan.seed,
        chosen.own_weights,
    )
