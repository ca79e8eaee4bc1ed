"""The engine: one net trained on one part of the rows, an epoch at a time.

This is the only file that imports skorch.
"""

import copy
import itertools
import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.exceptions import SkorchException
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ._batches import (
    HeldOut,
    InOrder,
    Inputs,
    Rows,
    Shuffled,
    n_batches,
    rows_themselves,
)
from ._isolation import noticing_ctrl_c
from ._scaling import ScaledRows
from ._selection import Ruler, Share
from .nn import FlatAdamW, LastLayer

#: Rows that are judged at once, at least.
JUDGED = 1024


@dataclass(frozen=True)
class TrainingOptions:
    """How to train, with no ``'auto'`` left in it."""

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_iter: int
    n_iter_no_change: int
    tol: float
    device: torch.device
    callbacks: Sequence[Any] | None
    verbose: int
    seed: int


@dataclass(frozen=True)
class Objective:
    """What is to become small.

    Attributes
    ----------
    criterion : nn.Module
        The loss of a batch: the mean error of a row, divided by the number of features.
        Its ``rows`` gives the error of each row, its ``gradient`` the loss and the
        gradient at the module's output.
    ruler : callable
        Makes the `Ruler` of held-out rows' errors, from tensors of such rows.
    inputs : callable
        What the module is shown of rows.
    """

    criterion: nn.Module
    ruler: Callable[..., Ruler]
    inputs: Inputs = rows_themselves


def share(*parts: Tensor) -> Share:
    """Return the `Ruler` of squared errors of these rows."""
    blocks = (x for part in parts for x in torch.split(part, 2**12))
    total = sum((float(x.cpu().double().square().sum()) for x in blocks), 0.0)
    return Share(total / sum(map(len, parts)))


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    for item in callbacks or []:
        pair = isinstance(item, tuple | list) and len(item) == 2
        callback = item[1] if pair else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"callbacks must be skorch callbacks or (name, callback) pairs; got "
                f"{item!r}."
            )


class Net(NeuralNet):
    """A NeuralNet whose learning rate follows one cycle, with short ways.

    Networks whose gradient is written out need no autograd. And where no callbacks of
    the user's watch the batches, skorch and its history hear of the epochs only: that
    takes half the time where networks are small.
    """

    def prepare(self, n_steps: int, *, watched: bool) -> None:
        """Begin a cycle of so many steps."""
        self.n_steps_ = n_steps
        self.steps_ = itertools.count()
        self.watched_ = watched
        self.warms_up_ = hasattr(self.criterion_, "done")
        self.least_: dict[str, float] = {}
        self.row_errors_: list[NDArray[np.float64]] = []

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., Any],
        **fit_params: Any,
    ) -> None:
        """Train on, or judge, all batches."""
        if iterator is None:
            return
        self.row_errors_ = []
        if not self.module_.written_out:  # ours have no part that knows a mode
            self._set_training(training)
        if self.watched_:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        # One tensor, read once: to read each loss would wait for the device, and many
        # small tensors would lie between the large ones and take up their memory.
        total, n = torch.zeros((), device=self.device), 0
        short = training and self.module_.written_out
        step = self._short_step if short else step_fn
        with torch.set_grad_enabled(not short):
            for batch in iterator:
                if training:
                    self._next()
                size = batch[1].shape[0]  # len takes a microsecond more
                total.add_(step(batch, **fit_params)["loss"].detach(), alpha=size)
                n += size
        # What skorch's own callbacks make of the batches: they find none.
        name, loss = prefix + "_loss", float(total) / n
        self.history.record(name, loss)
        self.history.record(name + "_best", loss < self.least_.get(name, math.inf))
        self.history.record(prefix + "_batch_count", len(iterator))
        self.least_[name] = min(self.least_.get(name, math.inf), loss)

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Set what changes from step to step, before the user's callbacks do."""
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        if training:
            self._next()

    def _next(self) -> None:
        step = next(self.steps_)
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * one_cycle(step / self.n_steps_)
        if self.warms_up_:
            self.criterion_.done = (step + 1) / self.n_steps_

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Make one step."""
        if self.watched_:
            return super().train_step(batch, **fit_params)
        step = self.train_step_single(batch, **fit_params)
        self.optimizer_.advance()
        return step

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient."""
        if self.module_.written_out:
            with torch.no_grad():
                return self._gradient(batch)
        self.optimizer_.clear()
        step: dict[str, Tensor] = super().train_step_single(batch, **fit_params)
        return step

    def _gradient(self, batch: Any) -> dict[str, Tensor]:
        x, target = batch
        output, tapes = self.module_.record(x)
        loss, grad = self.criterion_.gradient(output, target)
        self.module_.pull(tapes, grad)
        return {"loss": loss, "y_pred": output}

    def _short_step(self, batch: Any) -> dict[str, Tensor]:
        step = self._gradient(batch)
        self.optimizer_.advance()
        return step

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of held-out rows, and keep each row's error."""
        step: dict[str, Tensor] = super().validation_step(batch, **fit_params)
        self.row_errors_.append(_row_errors(self, step["y_pred"], batch[1]))
        return step


def one_cycle(done: float) -> float:
    """Return the factor of the learning rate when this share of training is done.

    Up from 1/25 to 1 over 30% of the steps, then down to 0, both along a cosine (Smith
    & Topin 2018). PyTorch's scheduler does the same and takes many times longer, which
    shows on small networks.
    """
    warm = 0.3
    if done < warm:
        return 0.52 - 0.48 * math.cos(math.pi * done / warm)
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))


def _row_errors(net: NeuralNet, output: Any, x: Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        errors: Tensor = net.criterion_.rows(output, x)
    return errors.cpu().double().numpy()


class Run:
    """One net on one part of the rows, trained an epoch at a time."""

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        data: tuple[ScaledRows, ScaledRows | None],
        n_epochs: int,
        options: TrainingOptions,
        callbacks: Sequence[Any] | None,
    ) -> None:
        if not any(weight.requires_grad for weight in module.parameters()):
            raise ValueError(
                "Neither encoder nor decoder has a weight to train (requires_grad)."
            )
        x, held_out = data
        shown = objective.inputs, options.seed, options.device
        self.rows = Rows(x, *shown)
        self.some = self.rows.take(torch.arange(min(200, len(x))))
        split = None
        if held_out is not None:
            inputs, seed, device = shown
            self.held_out = HeldOut(held_out, inputs, seed + 1, device)
            split = predefined_split(self.held_out)
        self.net = Net(
            module,
            criterion=copy.deepcopy(objective.criterion),
            optimizer=FlatAdamW,
            optimizer__weight_decay=options.weight_decay,
            optimizer__eps=1e-15,
            optimizer__fused=options.device.type in ("cpu", "cuda"),
            lr=options.learning_rate,
            batch_size=options.batch_size,
            iterator_train=Shuffled,
            iterator_valid=InOrder,
            iterator_valid__batch_size=max(options.batch_size, JUDGED),
            train_split=split,
            device=options.device,
            callbacks=copy.deepcopy(callbacks or []),
            callbacks__print_log=None,
            verbose=0,
        ).initialize()
        n_steps = n_epochs * n_batches(len(x), options.batch_size)
        self.net.prepare(n_steps, watched=bool(callbacks))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Tell the callbacks that training begins and ends."""
        self.net.notify("on_train_begin", X=self.rows, y=None)
        with noticing_ctrl_c() as self.pressed:
            yield
            self.net.notify("on_train_end", X=self.rows, y=None)

    def epoch(self) -> bool:
        """Train for one epoch; return False where a callback wants to stop.

        skorch's own ``fit`` takes every KeyboardInterrupt for a wish to stop, the
        user's Ctrl-C as well, which must not end in a fitted estimator.
        """
        self.pressed.clear()  # a handler of the user's that took it need not raise
        try:
            self.net.fit_loop(self.rows, epochs=1)
        except KeyboardInterrupt as interrupt:
            raised = traceback.walk_tb(interrupt.__traceback__)
            inside = [frame.f_locals.get("self") for frame, _ in raised]
            if self.pressed or not any(isinstance(s, Callback) for s in inside):
                raise
            return False
        except (KeyError, SkorchException) as error:
            if "valid" not in str(error) or self.net.train_split is not None:
                raise
            raise ValueError(
                f"A callback asks for validation figures ({error}), and no rows "
                "are held out of the training of the final model; "
                "early_stopping=True holds some out."
            ) from error
        return True

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
        self.net.module_.eval()
        with torch.no_grad():
            return float(self.net.criterion_(self.net.module_(self.some), self.some))

    def last_layer(self) -> LastLayer:
        """Return the decoder's last layer, ready to be solved for the rows."""
        layer = LastLayer(self.net.module_)
        for shown, x in Shuffled(self.rows, JUDGED):
            layer.add(shown, x)
        return layer

    def errors_now(self) -> NDArray[np.float64]:
        """Return each held-out row's error now."""
        self.net.row_errors_ = []
        for batch in self.net.get_iterator(self.held_out, training=False):
            self.net.validation_step(batch)
        return self.errors()

    def errors(self) -> NDArray[np.float64]:
        """Return each held-out row's error, as last judged."""
        return np.concatenate(self.net.row_errors_)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of all weights."""
        state: dict[str, Tensor] = self.net.module_.state_dict()
        return {name: value.clone() for name, value in state.items()}


def strip(net: NeuralNet) -> None:
    """Leave skorch's own net, on the CPU, without what only training needed.

    That is the rows and what is made for them, and Adam's moments: they are those of
    the last epoch, while the weights are those of the best. The optimiser is a new one.
    """
    net.train_split = None
    net.optimizer_.release()
    for name in (
        "n_steps_",
        "steps_",
        "watched_",
        "warms_up_",
        "least_",
        "row_errors_",
    ):
        delattr(net, name)
    net.__class__ = NeuralNet
    net.iterator_train = net.iterator_valid = DataLoader
    net.device = "cpu"
    net.module_.to("cpu").eval()
    net.optimizer = torch.optim.AdamW
    net.initialize_optimizer()
