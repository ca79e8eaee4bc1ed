"""One net on one part of the rows, trained an epoch at a time."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..nn import Batch, LastLayer, LatentModel
from ..plan import Plan
from ..problems import Problem
from ..rows import Array, Rows, Shuffled, n_batches
from ._net import JUDGED, Log, training_net, training_rows


class Run:
    """One net on one part of the rows, trained an epoch at a time.

    Parameters
    ----------
    problem : Problem
        What the fit is of.
    plan : Plan
        How to train.
    start : Rows
        The rows that the model's start is solved on.
    rows : Rows
        Those it is trained on.
    held_out : Rows or None
        Those it is judged by.
    n_epochs : int
        The length of the learning rate's cycle.
    watched : bool
        Whether the user's callbacks are called.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        start: Rows,
        rows: Rows,
        held_out: Rows | None,
        n_epochs: int,
        *,
        watched: bool,
    ) -> None:
        model = problem.build(start)
        #: Training rounds the closed form to float32; this is the exact one.
        self._fixed = model.fixed_state()
        if not any(weight.requires_grad for weight in model.parameters()):
            raise ValueError(
                "Neither encoder nor decoder has a weight to train (requires_grad)."
            )
        self.loss = problem.loss.to(plan.device)
        self.rows, self.held_out = training_rows(rows, held_out, problem, plan)
        first = self.rows.take(torch.arange(min(200, len(rows))))
        self.probe = Batch(first, first, scaling=self.rows.scaling)
        callbacks = copied(plan.callbacks) if watched else []
        self.watched = bool(callbacks)
        self.net = training_net(model.float(), plan, self.held_out, callbacks)
        n_steps = n_epochs * n_batches(len(rows), plan.batch_size)
        self.net.prepare(self.loss, n_steps, watched=self.watched)

    @property
    def model(self) -> LatentModel:
        """The model in its present state."""
        model: LatentModel = self.net.module_
        return model

    @contextmanager
    def training(self) -> Iterator[None]:
        """Tell the callbacks that training begins and ends."""
        self.net.notify("on_train_begin", X=self.rows, y=None)
        with runtime.noticing_ctrl_c() as self.pressed:
            yield
            self.net.notify("on_train_end", X=self.rows, y=None)

    def epoch(self) -> bool:
        """Train for one epoch; return False where a callback stops it."""
        self.pressed.clear()  # a handler of the user's that took it need not raise
        return self.net.train_epoch(self.rows, self.pressed)

    @property
    def finished(self) -> bool:
        """Whether the last epoch went to its end; a callback may stop within one."""
        return "train_loss" in self.net.history[-1]

    @property
    def train_loss(self) -> float:
        """The mean loss of the last epoch's batches."""
        return float(self.net.history[-1, "train_loss"])

    def loss_now(self) -> float:
        """Return the loss of the first rows, without noise."""
        self.model.eval()
        with torch.no_grad():
            return float(self.loss(self.model.forward_scaled(self.probe), self.probe))

    def last_layer(self) -> LastLayer | None:
        """Return the decoder's last layer, ready to be solved for the rows."""
        model: Any = self.model
        if not LastLayer.can_solve(model, self.loss):
            return None
        layer = LastLayer(model)
        for batch in Shuffled(self.rows, JUDGED):
            layer.add(batch)
        return layer

    def solve_last_layer(self, ridge: float | None) -> None:
        """Solve the decoder's last layer, where a ridge is given and it can be."""
        layer = None if ridge is None else self.last_layer()
        if layer is not None and ridge is not None:
            layer.solve(ridge)

    @property
    def held_out_rows(self) -> Tensor:
        """The held-out rows, scaled."""
        assert self.held_out is not None
        return self.held_out.shown.target

    def errors_now(self) -> Array:
        """Return each held-out row's error now."""
        self.net.row_errors_ = []
        for batch in self.net.get_iterator(self.held_out, training=False):
            self.net.validation_step(batch)
        return self.errors()

    def errors(self) -> Array:
        """Return each held-out row's error, from when they were last judged."""
        return np.concatenate(self.net.row_errors_)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of all weights."""
        state: dict[str, Tensor] = self.model.state_dict()
        return {name: value.clone() for name, value in state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Set all weights."""
        self.model.load_state_dict(state)

    def fingerprint(self) -> tuple[float, ...]:
        """Return numbers that tell states of weights and buffers apart."""
        numbers = []
        changing = [b for n, b in self.model.named_buffers() if n not in self._fixed]
        for values in (self.net.optimizer_.flat, *changing):
            flat = values.detach().double().flatten()
            numbers += [float(flat.sum()), float(torch.dot(flat, flat))]
        return tuple(numbers)

    def finish(self, dtype: torch.dtype) -> LatentModel:
        """Return the model for use: on the CPU, in `dtype`, its linear part exact."""
        self.net.release()
        model = self.model.to("cpu", dtype).eval()
        model.load_state_dict(self._fixed, strict=False)
        return model

    def log(self) -> "Log":
        """Return what skorch and the callbacks have noted."""
        return Log(self.net.history.to_list(), self.net.callbacks_)


def copied(callbacks: Sequence[Any] | None) -> list[Any]:
    """Return copies of callbacks; one that cannot be copied is used as it is."""
    memo: dict[int, Any] = {}  # what callbacks share stays shared
    copies = []
    for callback in callbacks or []:
        try:
            copies.append(copy.deepcopy(callback, memo))
        except Exception:  # it holds a file, a lock, or something else of the kind
            copies.append(callback)
    return copies
