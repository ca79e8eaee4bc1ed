"""One epoch more for a fitted model, on rows of a stream."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..nn import LatentModel, copy_module
from ..plan import Plan, torch_dtype
from ..problems import Problem
from ..rows import Rows
from ._judge import Judge
from ._run import Run
from ._search import held_out_score
from ._train import Trained, check_losses

#: Fewer held-out rows tell nothing.
MIN_HELD_OUT = 10

State = dict[str, Tensor]


@dataclass(frozen=True)
class StreamRows:
    """The rows of one call.

    Attributes
    ----------
    all_seen : Rows
        New rows and earlier ones, weighted to stand for all that were seen.
    training : Rows
        Those to train on.
    held_out : Rows or None
        Those to judge by; None where none are to be held out.
    """

    all_seen: Rows
    training: Rows
    held_out: Rows | None


@dataclass(frozen=True)
class Further:
    """What became of a model.

    Attributes
    ----------
    trained : Trained
        What is kept: the linear start (epoch 0), the networks on the new linear maps or
        as they were (epoch 1), or these after training (epoch 2).
    network : LatentModel or None
        What to train further, where that is not what is kept.
    gains : bool or None
        Whether held-out rows do not find the model clearly worse after training; None
        where they have not been asked.
    """

    trained: Trained
    network: LatentModel | None = None
    gains: bool | None = None


def train_further(
    problem: Problem, plan: Plan, rows: StreamRows, *, has_gained: bool
) -> Further:
    """Train a fitted model for one epoch; keep that or the linear start.

    Networks that have shown a gain on held-out rows stay until these find the start
    better. Others must show it first, as in a fit, and are trained further until then.

    Parameters
    ----------
    problem : Problem
        That continues the fitted model, if there is a network.
    plan : Plan
        Of one epoch.
    rows : StreamRows
    has_gained : bool
        Whether networks have shown a gain.

    Raises
    ------
    ValueError
        If the loss becomes non-finite with no held-out rows to say what was good.
    """
    if plan.flops_of_a_step:
        runtime.choose_threads(plan.flops_of_a_step)
    held_out = rows.held_out
    too_few = held_out is not None and len(held_out) < MIN_HELD_OUT
    judging = None if too_few else held_out
    run = Run(problem, plan, rows.all_seen, rows.training, judging, 1, watched=True)
    if plan.linear or not run.taken_over:
        return Further(_trained(problem, run, 0, None, []))
    start = run.state()
    judge = None if judging is None else _judge(problem, plan, run)
    states, losses = _states(run, plan, judge, trains=not too_few)
    epoch = len(states) if judge is None else _better(judge, len(states))
    stays = has_gained if too_few else _stays(judge, epoch, has_gained)
    kept = epoch if stays else 0
    network = None
    if not kept:
        run.load(states[epoch - 1])
        network = copy_module(run.model).to("cpu", torch_dtype(_dtype(rows))).eval()
    run.load([start, *states][kept])
    trained = _trained(problem, run, kept, judge, losses)
    if too_few:
        trained.verdict = f"{trained.verdict}: too few rows are held out to judge by"
    return Further(trained, network, None if judge is None else epoch > 1)


def _states(
    run: Run, plan: Plan, judge: Judge | None, *, trains: bool
) -> tuple[list[State], list[float]]:
    """Return states of the networks, before and after an epoch, and their losses."""
    _take_over(run, trains=trains)
    states, losses = [run.state()], [run.loss_now()]
    if judge is not None:
        judge.update(run.errors_now())
    if not trains:
        return states, losses
    with run.training(), _wider_decoder(run):
        run.epoch()
        if not run.finished:  # a callback stopped within it
            run.load(states[0])
            return states, losses
        losses.append(run.train_loss)
    if judge is None:
        check_losses(losses, plan)
    else:
        judge.update(run.errors_now())
    return [*states, run.state()], losses


def _take_over(run: Run, *, trains: bool) -> None:
    """Put a run in the state of the fitted model that its rows find best.

    Where it is not to be trained, as the model was.
    """
    errors = []
    for state in run.taken_over:
        run.load(state)
        errors.append(run.mean_error_now())
    best = int(np.nan_to_num(errors, nan=np.inf).argmin()) if trains else -1
    run.load(run.taken_over[best])


@contextmanager
def _wider_decoder(run: Run) -> Iterator[None]:
    """Have the decoder's network see all latents of these rows, and of earlier ones."""
    decoder: Any = run.model.decoder
    if getattr(decoder, "low", None) is None:
        yield
        return

    def widen() -> None:
        low, high = decoder.low.clone(), decoder.high.clone()
        run.limit_decoder()
        # Infinite limits are those of a decoder that has not been trained.
        decoder.low.copy_(torch.where(low.isinf(), decoder.low, decoder.low.min(low)))
        decoder.high.copy_(
            torch.where(high.isinf(), decoder.high, decoder.high.max(high))
        )

    widen()
    yield
    widen()


def _judge(problem: Problem, plan: Plan, run: Run) -> Judge:
    """Return a judge that has seen the start."""
    assert run.held_out is not None
    held_out = run.held_out.rows
    places = np.asarray(held_out.where())
    typical = np.isin(places, np.asarray(held_out.typical().where()))
    score = held_out_score(problem, [run], [typical])
    start = run.errors_now()
    return Judge(start, score, 2, plan.tol, keep_all=True, typical=typical)


def _better(judge: Judge, n_states: int) -> int:
    """Return the last epoch, or the first where that is clearly better."""
    first, last = judge.errors[1], judge.errors[n_states]
    is_worse = judge.is_less(last, first) or not math.isfinite(judge.mean(last))
    return 1 if is_worse else n_states


def _stays(judge: Judge | None, epoch: int, has_gained: bool) -> bool:
    """Return whether networks are kept."""
    if judge is None:
        return True
    if not has_gained:
        return judge.is_gain(epoch)
    return judge.mean(judge.errors[epoch]) <= judge.mean(judge.errors[0])


def _trained(
    problem: Problem,
    run: Run,
    epoch: int,
    judge: Judge | None,
    losses: list[float],
) -> Trained:
    """Return what is kept."""
    model = run.finish(torch_dtype(run.rows.rows.scale.mean.dtype))
    trained = Trained(problem, model, run.log(), epoch, losses, [])
    n_features = run.rows.rows.shape[1]
    if judge is not None:
        trained.training_scores = [judge.score.score(x * n_features) for x in losses]
        trained.validation_scores = judge.scores
        trained.fold_scores = judge.fold_scores
    kept = ["the start", "the model as it was", "the model after this call"][epoch]
    trained.verdict = f"{kept} is kept"
    if not losses:
        trained.verdict += ": there is no network that could gain"
    elif judge is not None:
        trained.verdict += f", by {len(judge.errors[0])} rows held out of all calls"
    return trained


def _dtype(rows: StreamRows) -> np.dtype[Any]:
    return rows.all_seen.scale.mean.dtype
