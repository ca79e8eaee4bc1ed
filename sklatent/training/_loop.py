"""The epoch loop: with or without a judge, for one run or several."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..plan import Plan
from ..rows import Array
from ._in_step import InStep, InTurn, Stacked
from ._judge import Judge
from ._run import Run

State = dict[str, Tensor]

#: With which the decoder of a model is solved that goes on with other rows.
PENALTY = 0.1


class EpochLoop:
    """Trains runs in step, an epoch at a time, and keeps the states that matter.

    Parameters
    ----------
    runs : sequence of Run
        They are trained together.
    n_epochs : int
        At most.
    plan : Plan
        For the progress bar.
    label : str
        Of that bar.
    score : callable
        Makes a score of a training loss, for the bar.
    judge : Judge or None
        Chooses the best epoch, and stops. Without one the last epoch is the best.
    stacked : bool, default=False
        Whether the runs are trained as one stacked network.

    Attributes
    ----------
    loss_curve : list of float
        The mean training loss of each epoch.
    kept : dict of int to list of State
        The states of the start and of the best epoch.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        n_epochs: int,
        plan: Plan,
        label: str,
        score: Callable[[float], float],
        judge: Judge | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        self.runs = runs
        self.n_epochs = n_epochs
        self.plan = plan
        self.label = label
        self.score = score
        self.judge = judge
        self.stacked = stacked
        self.loss_curve: list[float] = []
        self.kept = {0: [run.state() for run in runs]}
        #: Of each epoch, to find the one that a callback goes back to.
        self.fingerprints = [runs[0].fingerprint()]
        self._watched = any(run.watched for run in runs)

    def take_over(self, choice: int | None = None) -> int | None:
        """Put the runs in a state of the fitted model that goes on, as a first epoch.

        Parameters
        ----------
        choice : int or None
            Which state, of those that there are; None is the best.

        Returns
        -------
        choice : int or None
            The state; None if there is none.
        """
        n_states = min(len(run.taken_over) for run in self.runs)
        if n_states == 0:
            return None
        if choice is None:
            errors = []
            for i in range(n_states):
                self._load_taken_over(i)
                errors.append(sum(run.mean_error_now() for run in self._judged()))
            choice = int(np.nan_to_num(errors, nan=np.inf).argmin())
        self._load_taken_over(choice)
        self.loss_curve.append(float(np.mean([run.loss_now() for run in self.runs])))
        self._keep(1, lambda: np.concatenate([r.errors_now() for r in self._judged()]))
        return choice

    def _judged(self) -> list[Run]:
        """Return the runs that have held-out rows, or all if none has."""
        return [run for run in self.runs if run.held_out] or list(self.runs)

    def _load_taken_over(self, i: int) -> None:
        for run in self.runs:
            run.load(run.taken_over[i])
            if i == 0 and run.can_solve_decoder:  # it follows the linear map
                layer = run.last_layer()
                run.set_decoder(layer, torch.full_like(layer.cross[0], PENALTY))

    def run(self) -> None:
        """Train until held-out rows gain no more, a callback stops, or all is done."""
        first = len(self.loss_curve) + 1
        trains: InStep = InTurn(self.runs)
        if self.stacked:
            trains = Stacked(self.runs, self.plan, self.n_epochs - len(self.loss_curve))
        numbers = self.plan.epochs(self.label, range(first, self.n_epochs + 1))
        with closing(numbers), _progress(self.label, self.n_epochs, self.plan) as show:
            for epoch in numbers:
                go_on = trains.epoch()
                if not trains.finished:
                    break  # a part of an epoch: the states kept are those before it
                loss = trains.train_loss
                self.loss_curve.append(loss)
                self._keep(epoch, trains.errors)
                scores = None if self.judge is None else self.judge.scores
                show(self.score(loss), None if scores is None else scores[-1])
                judged_enough = self.judge is not None and self.judge.should_stop
                if judged_enough or not go_on or not math.isfinite(loss):
                    break

    def _keep(self, epoch: int, errors: Callable[[], Array]) -> None:
        if self._watched:
            self.fingerprints.append(self.runs[0].fingerprint())
        if self.judge is not None:
            if not self.judge.update(errors()):
                return
        elif not self._watched:
            return  # nobody can stop within an epoch
        self.kept = {0: self.kept[0], epoch: [run.state() for run in self.runs]}

    def load(self, epoch: int) -> None:
        """Put all runs in the state of a kept epoch."""
        for run, state in zip(self.runs, self.kept[epoch], strict=True):
            run.load(state)

    def go_back_to_last_epoch(self) -> None:
        """Undo the part of an epoch within which a callback stopped."""
        if not self.runs[0].finished:
            self.load(len(self.loss_curve))

    def changed_since(self, fingerprint: tuple[float, ...]) -> bool:
        """Return whether a callback has loaded another state when training ended.

        ``EarlyStopping(load_best=True)`` and ``Checkpoint(load_best=True)`` do.
        """
        return self._watched and self.runs[0].fingerprint() != fingerprint

    def epoch_now(self) -> int | None:
        """Return the epoch in whose state the first run is; None if in no such one."""
        now = self.runs[0].fingerprint()
        same = [i for i, known in enumerate(self.fingerprints) if known == now]
        return same[-1] if same else None


@contextmanager
def _progress(
    label: str, n_epochs: int, plan: Plan
) -> Iterator[Callable[[float, float | None], None]]:
    """Show a bar with epoch, scores and time, if `verbose` and there is a stream."""
    disable = not plan.verbose or sys.stderr is None  # as under pythonw
    with tqdm(total=n_epochs, desc=label, unit="epoch", disable=disable) as bar:

        def show(train_score: float, score: float | None) -> None:
            if bar.disable:
                return
            scores = {"train": f"{train_score:.4f}"}
            if score is not None:
                scores["validation"] = f"{score:.4f}"
            bar.set_postfix(scores, refresh=False)
            bar.update()

        yield show
