"""A fit from start to end: search, final training, and the model that is kept."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sklearn.exceptions import ConvergenceWarning

from .. import runtime
from ..nn import LatentModel
from ..plan import Plan, torch_dtype
from ..problems import Choice, Problem
from ..rows import Array, Indices, Rows
from ._choice import choose
from ._loop import EpochLoop
from ._net import Log, check_monitors
from ._refine import refine
from ._row_space import search_in_row_space
from ._run import Run
from ._search import Search

#: Training rows, at most about, whose variance the training losses are a share of.
ROWS_OF_A_SCORE = 2000


@dataclass
class Trained:
    """A model in the state that was kept, and how it got there.

    Attributes
    ----------
    problem : Problem
        What was trained.
    model : LatentModel
        On the CPU, in the dtype of the rows.
    log : Log
        What skorch and the callbacks have noted.
    best_iteration : int
        The epoch of that state; 0 is the start.
    loss_curve : list of float
        The training loss of each epoch.
    training_scores : list of float
        The same as scores, on the scale of `validation_scores`.
    validation_scores : list of float or None
        The held-out rows' score, before training and after each epoch.
    fold_scores : list of ndarray or None
        The same for each split.
    judged : callable
        Yields models in the state of that epoch, and the rows held out of their
        training.
    verdict : str
        What was kept, and why.
    """

    problem: Problem
    model: LatentModel
    log: Log
    best_iteration: int
    loss_curve: list[float]
    training_scores: list[float]
    validation_scores: list[float] | None = None
    fold_scores: list[Array] | None = None
    judged: Callable[[], Iterator[tuple[LatentModel, Indices]]] = lambda: iter(())
    verdict: str = ""


def train(problem: Problem | Choice, plan: Plan, data: Rows) -> Trained:
    """Train a model and keep its best state.

    Parameters
    ----------
    problem : Problem or Choice
        What to train, and for what; of several, which one held-out rows choose.
    plan : Plan
        How.
    data : Rows
        The rows.

    Raises
    ------
    ValueError
        If the training loss becomes non-finite and there are no held-out rows to say
        which earlier state was good.
    """
    if plan.splits.refit:
        check_monitors(plan.callbacks)
    if plan.flops_of_a_step:
        runtime.choose_threads(plan.flops_of_a_step)
    if isinstance(problem, Choice):
        chosen = choose(problem, plan, data)
        if chosen.search is None:  # its start
            plan = replace(plan, splits=replace(plan.splits, refit=False))
        trained = _finish(chosen.problem, plan, data, chosen.search)
        trained.verdict = f"{chosen.verdict}; {trained.verdict}"
        return trained
    search = None
    if plan.splits.pairs and plan.trains:
        search = search_in_row_space(problem, plan, data)
        if search is None or search.epoch:
            search = Search(problem, plan, data)
    return _finish(problem, plan, data, search)


def _finish(problem: Problem, plan: Plan, data: Rows, search: Search | None) -> Trained:
    """Train on all rows, if that is still to be done, and look back."""
    # No runs where no network of all features was trained.
    runs = [] if search is None or search.is_in_row_space else search.runs
    best = search is not None and (search.epoch or problem.loss.is_of_rows_alone)
    refined: Run | None = None
    if search is not None and runs and best and not plan.splits.refit:
        final = Final(search.runs[0], search.epoch, search.loss_curve)
        refined = refine(problem, plan, data, search)
    elif search is not None and search.final is not None:
        final = Final(search.final, search.epoch, search.loss_curve)
    else:
        final = train_on_all(problem, plan, data, search)
    trained = Trained(
        problem=problem,
        model=final.run.finish(torch_dtype(data.scale.mean.dtype)),
        log=final.run.log(),
        best_iteration=final.epoch,
        loss_curve=final.loss_curve,
        training_scores=_training_scores(final, problem),
        judged=partial(_judged, problem, plan, data, runs if final.epoch else []),
    )
    if search is not None:
        trained.loss_curve = search.loss_curve
        trained.training_scores = search.training_scores
        trained.validation_scores = search.judge.scores
        trained.fold_scores = search.judge.fold_scores
    trained.verdict = _verdict(search, final, plan)
    if refined is not None:
        trained.model = refined.finish(torch_dtype(data.scale.mean.dtype))
        trained.verdict += ", then trained on all rows"
    return trained


def _judged(
    problem: Problem, plan: Plan, data: Rows, runs: Sequence[Run]
) -> Iterator[tuple[LatentModel, Indices]]:
    """Yield a model for each split, and the rows held out of its training.

    Without runs they are the starts, of which there is one at a time: where features
    are many, each takes much memory.
    """
    for i, (train, held_out) in enumerate(plan.splits.pairs):
        yield runs[i].model if runs else problem.build(data[train]), held_out


def _training_scores(final: "Final", problem: Problem) -> list[float]:
    """Return losses as scores, where no held-out rows say what there is to explain."""
    rows = final.run.rows.rows
    score = problem.held_out_score(rows.subsample(ROWS_OF_A_SCORE).tensor())
    return [score.score(loss * rows.shape[1]) for loss in final.loss_curve]


def _verdict(search: Search | None, final: "Final", plan: Plan) -> str:
    """Return in words what was kept, and why."""
    if search is None:
        kept = f"epoch {final.epoch}" if final.epoch else "the start"
        return f"{kept} is kept: {plan.splits.how}"
    if final.epoch != search.epoch:
        kept = f"epoch {final.epoch}" if final.epoch else "the start"
        return f"{kept} is kept: callbacks left the training there"
    return f"{search.verdict} ({plan.splits.how})"


@dataclass(frozen=True)
class Final:
    """A run on all rows, the epoch in whose state it is, and its losses."""

    run: Run
    epoch: int
    loss_curve: list[float]


def train_on_all(
    problem: Problem,
    plan: Plan,
    data: Rows,
    search: Search | None = None,
) -> Final:
    """Train on all rows for one cycle of the learning rate.

    Parameters
    ----------
    problem, plan, data
        As for `train`.
    search : Search or None
        What chose the number of epochs. Without it they are the plan's, none where
        that says that the start is the model.
    """
    n_epochs = plan.max_iter if search is None else search.epoch
    if not plan.splits.refit or plan.linear:
        n_epochs = 0
    run = Run(problem, plan, data, data, None, n_epochs, watched=True)
    if n_epochs == 0:
        # The fitted model as it was, where that can be had in the new scale.
        if search is None and len(run.taken_over) > 1:
            run.load(run.taken_over[-1])
            return Final(run, 1, [run.loss_now()])
        return Final(run, 0, [])
    n_epochs += search is None and bool(run.taken_over)
    score, p = problem.held_out_score(run.probe.target.cpu()), data.shape[1]
    loop = EpochLoop([run], n_epochs, plan, "training", lambda x: score.score(x * p))
    before = run.loss_now()
    with run.training():
        loop.take_over(None if search is None else search.taken_over)
        loop.run()
        check_losses(loop.loss_curve, plan)
        loop.go_back_to_last_epoch()
        last = len(loop.loss_curve)
        run.limit_decoder()
        if search is not None and search.decoding is not None and last == search.epoch:
            search.decoding.apply(run)
        _check_end(before, run.loss_now(), plan)
        kept = run.fingerprint()
    epoch = loop.epoch_now() if loop.changed_since(kept) else last
    if search is None:
        return Final(run, last if epoch is None else epoch, loop.loss_curve)
    if epoch == search.epoch or (epoch and search.judge.is_gain(epoch)):
        return Final(run, epoch, loop.loss_curve)
    if epoch != 0:
        _warn_of_callbacks(epoch)
    loop.load(0)
    return Final(run, 0, loop.loss_curve)


def _warn_of_callbacks(epoch: int | None) -> None:
    state = "a state of no epoch" if epoch is None else f"the state of epoch {epoch}"
    warnings.warn(
        f"Callbacks left the final training in {state}, which held-out rows do not "
        "find better than the linear start; that is kept.",
        ConvergenceWarning,
        stacklevel=3,
    )


def check_losses(losses: list[float], plan: Plan) -> None:
    if losses and not math.isfinite(losses[-1]):
        raise ValueError(
            f"The training loss became {losses[-1]} in epoch {len(losses)} at "
            f"learning_rate={plan.learning_rate}; use a smaller one."
        )


def _check_end(before: float, after: float, plan: Plan) -> None:
    """Raise where the last step went wrong, whose loss is that before it."""
    if not after < before + 1e6 * max(1.0, abs(before)):
        raise ValueError(
            f"Training at learning_rate={plan.learning_rate} ended with a loss of "
            f"{after:.3g}, far above the {before:.3g} of the start; use a smaller "
            "learning_rate."
        )
