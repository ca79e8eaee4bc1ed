"""Training on every split: held-out rows say how long, and which state to keep."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..plan import Plan, error_inflation, held_out_units
from ..problems import HeldOutScore, Problem
from ..rows import Array, Indices, Rows
from ._decoding import (
    Decoding,
    Errors,
    NestedDecoding,
    keep_decoders,
    loses_in_training,
    loses_nothing,
    solve_decoders,
    solve_nested_decoders,
)
from ._in_step import worth_stacking
from ._judge import Judge
from ._loop import EpochLoop
from ._run import Run

#: Of the gain in training that runs on folds have, what the final run may miss. (It
#: may be a loss: a denoiser's rows have no noise there.)
MAX_SHARE_MISSED = 0.5


class Search:
    """Trains on every split, in step, until the held-out rows see no more gain.

    Attributes
    ----------
    runs : list of Run
        One for each split; in their best state, if there is one split.
    judge : Judge
        What it said.
    epoch : int
        The epoch to keep; 0 is the start.
    taken_over : int or None
        Which state of the fitted model, if one goes on, was the first epoch.
    decoding : Decoding, NestedDecoding or None
        How the decoder was solved after that epoch.
    trained : dict of str to Tensor
        The first run's state after that epoch, before its decoder was solved.
    is_in_row_space : bool
        Whether its runs are of coordinates in place of features.
    loses_in_training : bool
        Whether training rows were better at the start; it is then kept.
    final : Run or None
        One more run, on all rows, which was trained with the others; in the state of
        that epoch. None where they were not trained as one, or it fell behind them.

    Parameters
    ----------
    problem, plan, data
        As for `train`.
    with_final : bool, default=True
        Whether to train on all rows as well, where that costs little.
    """

    def __init__(
        self, problem: Problem, plan: Plan, data: Rows, *, with_final: bool = True
    ) -> None:
        self.plan = plan
        self.runs = _runs(problem, plan, data)
        self.final: Run | None = None
        start = np.concatenate([run.errors_now() for run in self.runs])
        _check_start(start)
        is_typical = _is_typical(data)
        self._has_extreme_rows = not is_typical.all()
        typical = [is_typical[held_out] for _, held_out in plan.splits.pairs]
        if not any(map(np.any, typical)):
            typical = [np.ones_like(part) for part in typical]
        weights = [w for r in self.runs if (w := r.held_out_weights) is not None]
        self.judge = Judge(
            start,
            held_out_score(problem, self.runs, typical),
            plan.n_iter_no_change,
            plan.tol,
            keep_all=plan.splits.refit,  # a callback may stop the final training
            units=np.concatenate(list(held_out_units(plan.splits))),
            typical=np.concatenate(typical),
            weights=torch.cat(weights).numpy() if weights else None,
            folds=np.repeat(range(len(typical)), [len(part) for part in typical]),
            inflation=error_inflation(plan.splits),
        )
        self.epoch = 0
        self.taken_over: int | None = None
        self.decoding: Decoding | NestedDecoding | None = None
        self.trained: dict[str, torch.Tensor] = {}
        self.is_in_row_space = False
        self.loses_in_training = False
        self.loss_curve: list[float] = []
        self._n_features = data.shape[1]
        if self.judge.is_exact:
            return
        stacked = worth_stacking(self.runs, plan, len(data))
        if stacked and with_final and not plan.callbacks:
            self.final = Run(problem, plan, data, data, None, 0, watched=False)
        self._search(stacked)

    def _search(self, stacked: bool) -> None:
        judge = self.judge
        runs = self.runs if self.final is None else [*self.runs, self.final]
        refit = self.plan.splits.refit and self.final is None
        before = _losses(runs)
        loop = EpochLoop(
            runs,
            self.plan.max_iter + bool(self.runs[0].taken_over),
            self.plan,
            "choosing epochs" if refit else "training",
            self._training_score,
            judge,
            stacked=stacked,
        )
        with _all_training(runs):
            self.taken_over = loop.take_over()
            loop.run()
            # Callbacks see the model that is kept when training ends.
            self.loss_curve = loop.loss_curve
            if judge.best_epoch:
                self._solve_decoders(loop)
            self.trained = loop.kept[judge.best_epoch][0]
            self.epoch = 0 if self.loses_in_training else judge.epoch_to_keep()
            if not self.epoch:
                loop.load(0)
            elif self.final is not None:
                if self.decoding is not None:
                    self.decoding.apply(self.final)
                *others, final = before - _losses(runs)
                gain = np.mean(others)
                if not gain - final <= MAX_SHARE_MISSED * abs(gain):
                    self.final = None  # what is a good epoch of others is none of it
            kept = self.runs[0].fingerprint()
        if loop.changed_since(kept):
            self._judge_what_a_callback_loaded(loop)
        if not all(map(math.isfinite, self.loss_curve)):
            _warn_of_divergence(self.loss_curve, self.epoch, self.plan)

    def _training_score(self, loss: float) -> float:
        return self.judge.score.score(loss * self._n_features)

    @property
    def training_scores(self) -> list[float]:
        """What the training losses are on the scale of the held-out rows' scores."""
        return [self._training_score(loss) for loss in self.loss_curve]

    def _solve_decoders(self, loop: EpochLoop) -> None:
        """Solve the decoders of the best epoch, unless they are better as they are."""
        best = self.judge.best_epoch
        if all(run.can_solve_ends for run in self.runs):
            loop.load(best)
            self.decoding = solve_nested_decoders(self.runs)
            if not self._is_better(best):
                self.decoding = None
                loop.load(best)
            self.judge.replace_best(self._errors_now())
            return
        if not all(run.can_solve_decoder for run in self.runs):
            loop.load(best)
            return
        start, may_stay = None, True
        if self.runs[0].loss.is_of_rows_alone:
            loop.load(0)
            start = Errors.of(self.runs)
            loop.load(best)
            may_stay = loses_nothing(self.runs, start, Errors.of(self.runs))
        self.decoding = solve_decoders(self.runs, start)
        if may_stay and not self._is_better(best):
            loop.load(best)
            self.decoding = keep_decoders(self.runs)
        self.judge.replace_best(self._errors_now())
        if start is not None:
            training = [run.mean_training_errors() for run in self.runs]
            self.loses_in_training = loses_in_training(start, training)

    @property
    def verdict(self) -> str:
        """What was kept, and why."""
        if self.loses_in_training:
            who = ", extreme ones among them" if self._has_extreme_rows else ""
            return f"the start is kept: training rows lose{who}"
        return self.judge.verdict()

    def _is_better(self, best: int) -> bool:
        """Return whether held-out rows find solved decoders no worse than trained."""
        judge = self.judge
        return judge.mean(self._errors_now()) <= judge.mean(judge.errors[best])

    def _errors_now(self) -> Array:
        return np.concatenate([run.errors_now() for run in self.runs])

    def _judge_what_a_callback_loaded(self, loop: EpochLoop) -> None:
        """Keep the state that a callback has loaded, or the start if that is better."""
        last = len(self.loss_curve)
        epoch = loop.epoch_now()
        errors = self.runs[0].errors_now()
        self.epoch = last if epoch is None else epoch
        if self.epoch == 0 or not self.judge.accept(errors, self.epoch):
            self.epoch = 0
            loop.load(0)


def _runs(problem: Problem, plan: Plan, data: Rows) -> list[Run]:
    """Return a run for each split, at its start."""
    refit = plan.splits.refit
    units = [len(np.unique(part)) for part in held_out_units(plan.splits)]
    return [
        Run(
            problem,
            plan,
            start=rows_of_start(problem, plan, data, train),
            rows=data[train],
            held_out=data[held_out],
            n_epochs=plan.max_iter,
            watched=not refit,
            n_units=n_units,
        )
        for (train, held_out), n_units in zip(plan.splits.pairs, units, strict=True)
    ]


def rows_of_start(problem: Problem, plan: Plan, data: Rows, train: Indices) -> Rows:
    """Return the rows that the start of a split's run is solved on.

    A model that is kept starts from all rows. So does then the start it is compared
    with, which has seen the held-out rows: a handicap, small where rows are many. Where
    it sees targets, too large a one: then it is solved without them.
    """
    all_rows = not plan.splits.refit and problem.loss.is_of_rows_alone
    return data if all_rows else data[train]


def _is_typical(data: Rows) -> NDArray[np.bool_]:
    """Return which rows of all are not extreme."""
    typical = np.zeros(len(data), bool)
    typical[data.typical().where()] = True
    return typical


def held_out_score(
    problem: Problem, runs: Sequence[Run], typical: Sequence[NDArray[np.bool_]]
) -> HeldOutScore:
    """Return what errors of the held-out rows say, by those that are not extreme."""
    rows, weights, unseen = [], [], 0.0
    for run, part in zip(runs, typical, strict=True):
        mask = torch.from_numpy(part)
        rows.append(run.held_out_rows.cpu()[mask])
        assert run.held_out is not None
        unseen += run.held_out.unseen(np.flatnonzero(part))
        if run.held_out_weights is not None:
            weights.append(run.held_out_weights[mask])
    more: dict[str, Any] = {"weights": weights} if weights else {}
    if unseen:
        more["unseen"] = unseen
    return problem.held_out_score(*rows, **more)


def _losses(runs: Sequence[Run]) -> Array:
    return np.array([run.loss_now() for run in runs])


def _check_start(errors: Array) -> None:
    if not np.isfinite(errors).all():
        raise ValueError(
            "The reconstruction is not finite before training; an encoder or decoder "
            "of your own must map finite rows to finite values."
        )


def _warn_of_divergence(losses: list[float], epoch: int, plan: Plan) -> None:
    warnings.warn(
        f"The training loss became {losses[-1]} in epoch {len(losses)} at "
        f"learning_rate={plan.learning_rate}; the best earlier state is kept (epoch "
        f"{epoch}, where 0 is the start). Use a smaller learning_rate.",
        ConvergenceWarning,
        stacklevel=3,
    )


@contextmanager
def _all_training(runs: Sequence[Run]) -> Iterator[None]:
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.training())
        yield
