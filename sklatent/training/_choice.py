"""Choosing among problems by how well their latents tell targets of held-out rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..nn import LatentModel
from ..plan import Plan, error_inflation, held_out_units
from ..problems import Choice, Problem
from ..rows import Array, Rows, mean_of
from ._judge import least_gain
from ._search import Search

#: The level of the one-sided t-test by which a choice must beat the start of the first
#: problem.
LEVEL = 0.05


@dataclass(frozen=True)
class Chosen:
    """A problem, and how it was chosen.

    Attributes
    ----------
    problem : Problem
    search : Search or None
        What chose the epoch; None for a start.
    verdict : str
        In words.
    """

    problem: Problem
    search: Search | None
    verdict: str


def choose(choice: Choice, plan: Plan, data: Rows) -> Chosen:
    """Choose the problem whose latents tell targets best.

    Those of the first problem's start are the standard, which is kept unless the best
    are significantly better. Where it is random, what training makes of it is.

    Parameters
    ----------
    choice : Choice
        The problems, and the error of held-out targets.
    plan, data
        As for `train`.
    """
    first = choice.problems[0]
    standard = _errors(choice, plan, data, _starts(first, plan, data))
    known = np.isfinite(standard)
    standard = standard[known]
    if not len(standard):
        return Chosen(first, None, f"{choice.names[0]} is chosen")
    weights = _weights(plan, data, known)
    best, least, kept = 0, standard, None
    fallback: Search | None = None
    for i, problem in enumerate(choice.problems):
        search = Search(problem, plan, data) if plan.trains else None
        models = _starts(problem, plan, data)
        if search is not None and search.epoch:
            models = (run.model for run in search.runs)
        errors = _errors(choice, plan, data, models)[known]
        if i == 0 and not plan.linear_start:
            standard, least, kept, fallback = errors, errors, search, search
        if mean_of(errors, weights) < mean_of(least, weights):
            best, least, kept = i, errors, search
    gain = standard - least
    units = np.concatenate(list(held_out_units(plan.splits)))[known]
    margin = error_inflation(plan.splits) * least_gain(gain, LEVEL, units, weights)
    before, after = mean_of(standard, weights), mean_of(least, weights)
    told = f"{choice.what} falls from {before:.3g} to {after:.3g}"
    if mean_of(gain, weights) > margin:
        return Chosen(
            choice.problems[best], kept, f"{choice.names[best]} is chosen: {told}"
        )
    return Chosen(
        first, fallback, f"{choice.names[0]} is kept: {told}, which a t-test doubts"
    )


def _weights(plan: Plan, data: Rows, known: NDArray[np.bool_]) -> Array | None:
    """Return the weights of the held-out rows of all splits whose target is known."""
    if data.weights is None:
        return None
    held_out = np.concatenate([part for _, part in plan.splits.pairs])
    weights: Array = data.weights[held_out[known]]
    return weights


def _starts(problem: Problem, plan: Plan, data: Rows) -> Iterator[LatentModel]:
    for train, _ in plan.splits.pairs:
        yield problem.build(data[train])


def _errors(
    choice: Choice, plan: Plan, data: Rows, models: Iterator[LatentModel]
) -> Array:
    """Return the error of each held-out row's targets, of all splits."""
    pairs = zip(models, plan.splits.pairs, strict=True) if plan.splits.pairs else ()
    errors: Sequence[Array] = [
        choice.target_errors(model, data[train], data[held_out])
        for model, (train, held_out) in pairs
    ]
    return np.concatenate(errors) if errors else np.zeros(0)
