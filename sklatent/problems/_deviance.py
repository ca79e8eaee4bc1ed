"""The problem of rows that are shares or counts: the least deviance."""

import copy
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
from ._held_out import ExplainedDeviance
from ._problem import Problem
from ._reconstruction import ReconstructionReading, autoencoder, reconstruction_problem
from ._values import LARGEST_COUNT, range_of_values
from ._variational import MAX_CELLS

#: The likelihood whose deviance each loss is.
LIKELIHOODS = {"log_loss": "bernoulli", "poisson": "poisson"}
#: Of the largest value of a feature, how many times it its mean may be.
LARGEST_MEAN = 2.0


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
    name = LIKELIHOODS[loss]
    known = _likelihood(name, data)

    def likelihood() -> ExponentialFamily:  # one for each model
        return copy.deepcopy(known)

    def start(rows: Rows) -> LinearStart | None:
        if not plan.linear_start:
            return None
        return _start(rows, known, name, plan, corruption)

    def module(solved: LinearStart | None, rows: Rows) -> AutoencoderModel:
        return autoencoder(plan, solved, rows, likelihood())

    problem = reconstruction_problem(
        data,
        plan,
        corruption=corruption,
        loss=Deviance(likelihood().float()),
        held_out_score=partial(explained_deviance, known),
        reading=ReconstructionReading(
            ordered=plan.prefixes is not None, start_is_in_frame=False
        ),
    )
    return replace(problem, start=start, module=module)


def check_loss(X: Any, loss: str) -> None:
    """Raise ValueError if rows are not what the loss is of."""
    if loss not in LIKELIHOODS:
        return
    low, high, rounding = range_of_values(X)
    least, most = {"log_loss": (-rounding, 1 + rounding)}.get(loss, (0, LARGEST_COUNT))
    if low < least or high > most:
        wanted = "[0, 1]" if loss == "log_loss" else f"[0, {LARGEST_COUNT:.0e}]"
        raise ValueError(
            f"{'Negative values in data: ' if low < 0 else ''}X has values from "
            f"{low:.3g} to {high:.3g}; loss={loss!r} requires them in {wanted}."
        )


def explained_deviance(
    likelihood: ExponentialFamily,
    *parts: Tensor,
    weights: Sequence[Tensor] | None = None,
) -> ExplainedDeviance:
    """Return the score of scaled rows, given in parts: their share of deviance."""
    location = likelihood.without_latents()
    blocks = [x.cpu().double() for part in parts for x in torch.split(part, 2**12)]
    errors = [likelihood.deviance(location, x).sum(dim=1).numpy() for x in blocks]
    w = None if weights is None else torch.cat(list(weights)).numpy()
    return ExplainedDeviance(mean_of(np.concatenate(errors), w))


def _likelihood(name: str, rows: Rows) -> ExponentialFamily:
    """Return the likelihood of scaled rows, in float64."""
    center = rows.scale.center.astype(np.float64)
    mean, scale = map(torch.as_tensor, (center, np.float64(rows.scale.scale)))
    if name == "bernoulli":
        return Bernoulli(mean, scale)
    largest = LARGEST_MEAN * (rows.range()[1] * rows.scale.scale + center)
    return Poisson(mean, scale, torch.from_numpy(largest))


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
