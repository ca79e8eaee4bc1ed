"""Several runs trained in step: one after the other, or as one stacked network."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch

from ..nn import Batch, can_stack, share_weights, stack_models
from ..plan import Plan
from ..rows import Array, n_batches
from ._net import stacked_rows, training_net
from ._run import Run

#: Numbers that the rows of a stack may have, some of them twice; more would take memory
#: and leave little to gain.
MAX_STACKED = 2**23
#: The most multiplications of a product for which many at once are faster.
MAX_PRODUCT_TO_STACK = 2**22
#: How much fewer rows one member may have than another: all make the same steps.
MIN_RATIO_TO_STACK = 0.7


class InStep(Protocol):
    """Trains runs an epoch at a time."""

    def epoch(self) -> bool:
        """Train for one epoch; return False where a callback stops it."""

    @property
    def finished(self) -> bool:
        """Whether the last epoch went to its end."""

    @property
    def train_loss(self) -> float:
        """The mean loss of the last epoch's batches."""

    def errors(self) -> Array:
        """Return the error of each held-out row of all runs, after that epoch."""


class InTurn:
    """Trains one run after the other."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs

    def epoch(self) -> bool:
        """Train for one epoch; return False where a callback stops it."""
        go_on = [run.epoch() for run in self.runs]
        return all(go_on)

    @property
    def finished(self) -> bool:
        """Whether the last epoch went to its end; a callback may stop within one."""
        return all(run.finished for run in self.runs)

    @property
    def train_loss(self) -> float:
        """The mean loss of the last epoch's batches."""
        return sum(run.train_loss for run in self.runs) / len(self.runs)

    def errors(self) -> Array:
        """Return the error of each held-out row of all runs, after that epoch."""
        return np.concatenate([run.errors() for run in self.runs if run.held_out])


class Stacked:
    """Trains the networks of all runs as one stacked network.

    Their weights become views of its weights, so that each run remains what it is: it
    may be judged, saved and loaded. An epoch has as many steps as the run of most rows
    needs; others come to their rows more often.
    """

    finished = True

    def __init__(self, runs: Sequence[Run], plan: Plan, n_epochs: int) -> None:
        self.runs = runs
        models = [run.model for run in runs]
        self.rows = stacked_rows([run.rows for run in runs], plan)
        self.net = training_net(stack_models(models), plan, None, [])
        self.model: Any = self.net.module_
        share_weights(self.model, models)
        self.loss = runs[0].loss
        n_steps = n_epochs * n_batches(len(self.rows), plan.batch_size)
        self.net.prepare(self.loss, n_steps, watched=False)
        self.held_out = _held_out(runs)

    def epoch(self) -> bool:
        """Train for one epoch; return True, as no callback is there to stop it."""
        self.runs[0].pressed.clear()
        if not self.net.train_epoch(self.rows, self.runs[0].pressed):
            raise KeyboardInterrupt
        self.net.history.record("train_loss", self.train_loss / len(self.runs))
        for run in self.runs:
            run.net.history = self.net.history
        return True

    @property
    def train_loss(self) -> float:
        """The mean loss of the last epoch's batches."""
        return float(self.net.history[-1, "train_loss"])

    def errors(self) -> Array:
        """Return the error of each held-out row of all runs, after that epoch."""
        if self.held_out is None:
            held_out = [run for run in self.runs if run.held_out is not None]
            return np.concatenate([run.errors_now() for run in held_out])
        with torch.no_grad():
            output = self.model.forward_scaled(self.held_out)
            errors = self.loss.rows(output, self.held_out).cpu().double().numpy()
        sizes = [len(run.held_out or ()) for run in self.runs]
        return np.concatenate([e[:n] for e, n in zip(errors, sizes, strict=True)])


def worth_stacking(runs: Sequence[Run], plan: Plan, n_samples: int) -> bool:
    """Return whether a stack can train these runs and one on all rows, in less time."""
    sizes = [*(len(run.rows) for run in runs), n_samples]
    widths = (plan.n_features, *plan.hidden, plan.n_components)
    largest = max(a * b for a, b in pairwise(widths))
    return (
        len(runs) > 1
        and runs[0].loss.can_stack
        and not any(run.watched or run.rows.with_cells for run in runs)
        and min(sizes) >= MIN_RATIO_TO_STACK * max(sizes)
        and len(sizes) * max(sizes) * plan.n_features <= MAX_STACKED
        and plan.batch_size * largest < MAX_PRODUCT_TO_STACK
        and can_stack([run.model for run in runs])
    )


def _held_out(runs: Sequence[Run]) -> Batch | None:
    """Return the held-out rows of all runs as one batch, (m, n, n_features).

    Rows of zeros fill it up where a run has fewer. None where the latents in use are
    other ones for the rows of each run.
    """
    most = max(len(run.held_out or ()) for run in runs)
    shown = [run.held_out.shown for run in runs if run.held_out is not None]
    if shown[0].sizes is not None:
        return None
    parts: dict[str, Any] = {}
    for name in ("inputs", "target", "noise", "y", "mask"):
        example = getattr(shown[0], name)
        if example is None:
            continue
        parts[name] = example.new_zeros(len(runs), most, example.shape[1])
        for i, run in enumerate(runs):
            if run.held_out is not None:
                part = getattr(run.held_out.shown, name)
                parts[name][i, : len(part)] = part
    return Batch(**parts)
