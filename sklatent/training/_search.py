"""Training on every split: held-out rows say how long, and which state to keep."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..plan import Plan
from ..problems import Problem
from ..rows import Array, Rows
from ._judge import Judge
from ._loop import EpochLoop
from ._run import Run

#: With which ridges the decoder's last layer is solved in the end, to choose from.
RIDGES = (0.1, 0.01)


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
    ridge : float or None
        With which the decoder's last layer was solved after that epoch.
    """

    def __init__(self, problem: Problem, plan: Plan, data: Rows) -> None:
        self.plan = plan
        self.runs = _runs(problem, plan, data)
        start = np.concatenate([run.errors_now() for run in self.runs])
        _check_start(start)
        score = problem.held_out_score(*(run.held_out_rows for run in self.runs))
        self.judge = Judge(
            start,
            score,
            plan.n_iter_no_change,
            plan.tol,
            keep_all=plan.splits.refit,  # a callback may stop the final training
        )
        self.epoch = 0
        self.ridge: float | None = None
        self.loss_curve: list[float] = []
        if not self.judge.is_exact:
            self._search(data.shape[1])

    def _search(self, n_features: int) -> None:
        judge = self.judge
        loop = EpochLoop(
            self.runs,
            self.plan.max_iter,
            self.plan,
            "choosing epochs" if self.plan.splits.refit else "training",
            lambda loss: judge.score.score(loss * n_features),
            judge,
        )
        with _all_training(self.runs):
            loop.run()
            # Callbacks see the model that is kept when training ends.
            self.loss_curve = loop.loss_curve
            self.epoch = judge.epoch_to_keep()
            loop.load(self.epoch)
            if self.epoch:
                self.ridge = _solve_last_layers(self.runs, judge, self.epoch)
            kept = self.runs[0].fingerprint()
        if loop.changed_since(kept):
            self._judge_what_a_callback_loaded(loop)
        if not all(map(math.isfinite, self.loss_curve)):
            _warn_of_divergence(self.loss_curve, self.epoch, self.plan)

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
    # A model that is kept starts from all rows. So does then the start it is compared
    # with, which has seen the held-out rows: a handicap, small where rows are many.
    refit = plan.splits.refit
    return [
        Run(
            problem,
            plan,
            start=data[train] if refit else data,
            rows=data[train],
            held_out=data[held_out],
            n_epochs=plan.max_iter,
            watched=not refit,
        )
        for train, held_out in plan.splits.pairs
    ]


def _solve_last_layers(runs: Sequence[Run], judge: Judge, epoch: int) -> float | None:
    """Solve the decoders' last layers, if held-out rows gain; return with which ridge.

    Training comes close to these weights, the closer the longer it takes.
    """
    layers = [layer for run in runs if (layer := run.last_layer()) is not None]
    if len(layers) < len(runs):
        return None
    tried: dict[float, Array] = {}
    for ridge in RIDGES:
        for layer in layers:
            layer.solve(ridge)
        tried[ridge] = np.concatenate([run.errors_now() for run in runs])
    best = min(tried, key=lambda ridge: float(tried[ridge].mean()))
    accepted = judge.accept_if_better(tried[best], epoch)
    for layer in layers:
        if accepted:
            layer.solve(best)
        else:
            layer.undo()
    return best if accepted else None


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
