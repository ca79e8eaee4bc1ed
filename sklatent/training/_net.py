"""The engine: one net trained on one part of the rows, an epoch at a time.

This is the only file that imports skorch.
"""

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from skorch.dataset import Dataset as SkorchDataset
from skorch.exceptions import SkorchException
from skorch.helper import predefined_split
from skorch.history import History
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..nn import (
    HAS_FUSED_KERNEL,
    AdamW,
    Batch,
    CustomNoise,
    FlatAdamW,
    LatentModel,
    Loss,
    exact_device,
    from_plain,
    moved,
    save_module,
    saved,
    to_plain,
)
from ..plan import Plan
from ..problems import Problem
from ..rows import (
    AugmentedRows,
    HeldOutRows,
    Rows,
    RowsInOrder,
    Shuffled,
    StackedRows,
    TrainingRows,
)
from ._schedule import OneCycle

#: Rows that are judged at once, at least.
JUDGED = 1024


# What skorch's callbacks take for a dataset of theirs.
class _Training(TrainingRows, SkorchDataset): ...


class _HeldOut(HeldOutRows, SkorchDataset): ...


class _Stacked(StackedRows, SkorchDataset): ...


class TrainingNet(NeuralNet):
    """A NeuralNet that trains a `LatentModel` on batches of scaled rows.

    Its learning rate follows one cycle. Networks whose gradient is written out need no
    autograd. And where no callbacks of the user's watch the batches, skorch and its
    history hear of the epochs only: that takes half the time where networks are small.
    """

    def prepare(
        self, loss: Loss, n_steps: int, *, watched: bool, begin: float = 0.0
    ) -> None:
        """Begin so many steps of a cycle, or of what is left of it at `begin`."""
        self.loss_ = loss
        self.cycle_ = OneCycle(self.optimizer_, self.lr, n_steps, begin)
        self.watched_ = watched
        self.by_hand_ = False
        self.least_: dict[str, float] = {}
        self.row_errors_: list[Tensor] = []

    def release(self) -> None:
        """Let go of the rows and what is made for them: a callback may hold the net."""
        self.optimizer_.release()
        self.train_split = None
        self.row_errors_ = []
        self.loss_ = self.cycle_ = None  # type: ignore[assignment]

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return our batches of our rows, and a DataLoader of a callback's."""
        if isinstance(dataset, TrainingRows if training else HeldOutRows):
            return super().get_iterator(dataset, training)
        return DataLoader(dataset, batch_size=JUDGED)

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
        if training:
            self.by_hand_ = self.module_.has_manual_backward
        if not self.by_hand_:  # ours have no part that knows a mode
            self._set_training(training)
        if self.watched_:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        # One tensor, read once: to read each loss would wait for the device, and many
        # small tensors would lie between the large ones and take up their memory.
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        n = 0
        short = training and self.by_hand_
        step = self._short_step if short else step_fn
        with torch.set_grad_enabled(not short):
            for batch in iterator:
                if training:
                    self.cycle_.next_step()
                size = batch.target.shape[0]  # len takes a microsecond more
                total.add_(step(batch, **fit_params)["loss"].detach(), alpha=size)
                n += size
        # What skorch's own callbacks make of the batches: they find none.
        name, loss = prefix + "_loss", float(total) / n
        self.history.record(name, loss)
        self.history.record(name + "_best", loss < self.least_.get(name, math.inf))
        self.history.record(prefix + "_batch_count", len(iterator))
        self.least_[name] = min(self.least_.get(name, math.inf), loss)

    def train_epoch(self, rows: TrainingRows, pressed: Sequence[int]) -> bool:
        """Train for one epoch; return False where a callback stops it.

        skorch's own ``fit`` takes every KeyboardInterrupt for a wish to stop, the
        user's Ctrl-C as well, which must not end in a fitted estimator. `pressed` is
        not empty once there was one.
        """
        try:
            self.fit_loop(rows, epochs=1)
        except KeyboardInterrupt as interrupt:
            raised = traceback.walk_tb(interrupt.__traceback__)
            if pressed or not any(map(_is_of_a_callback, (f for f, _ in raised))):
                raise
            return False
        except (KeyError, SkorchException) as error:
            if "valid" not in str(error) or self.train_split is not None:
                raise
            raise _no_held_out_rows(str(error)) from error
        return True

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Set what changes from step to step, before the user's callbacks do."""
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        if training:
            self.cycle_.next_step()

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Make one step."""
        if self.watched_:
            return super().train_step(batch, **fit_params)
        step = self.train_step_single(batch, **fit_params)
        self.optimizer_.advance()
        return step

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:  # noqa: ARG002
        """Compute the loss of a batch and its gradient."""
        if self.watched_:  # a callback may have pruned a layer, or hooked on to it
            self.by_hand_ = self.module_.has_manual_backward
        if self.by_hand_:
            with torch.no_grad():
                step = self._by_hand(batch)
        else:
            self.optimizer_.clear()
            output = self.module_.forward_scaled(batch)
            loss = self.loss_(output, batch, self.cycle_.done)
            loss.backward()  # type: ignore[no-untyped-call]
            step = {"loss": loss, "output": output}
        return self._shown(step)

    def _by_hand(self, batch: Batch) -> dict[str, Any]:
        output, tape = self.module_.forward_with_tape(batch)
        loss, grad = self.loss_.gradient(output, batch, self.cycle_.done)
        self.module_.backward(tape, grad)
        return {"loss": loss, "output": output}

    def _short_step(self, batch: Batch) -> dict[str, Any]:
        step = self._by_hand(batch)
        self.optimizer_.advance()
        return step

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:  # noqa: ARG002
        """Compute the loss of held-out rows, and keep each row's error."""
        if not self.by_hand_:
            self._set_training(False)
        with torch.no_grad():
            output = self.module_.forward_scaled(batch)
            loss = self.loss_(output, batch, self.cycle_.done)
            errors = self.loss_.rows(output, batch)
            self.row_errors_.append(errors)
            if batch.weight is not None:
                place = exact_device(errors.device)
                errors, weight = errors.to(place).double(), moved(batch.weight, place)
                loss = weight @ errors / weight.sum()
                loss = loss.float().to(self.device) / batch.target.shape[-1]
            return self._shown({"loss": loss, "output": output})

    def _shown(self, step: dict[str, Any]) -> dict[str, Any]:
        """Show callbacks the reconstruction, in the units of the data."""
        output = step.pop("output")
        if self.watched_:
            with torch.no_grad():
                rows = self.module_.reconstruction(output)
                exact = rows if rows.device.type == "mps" else rows.double()
                step["y_pred"] = self.module_.to_units(exact)
        return step


@dataclass(frozen=True)
class Log:
    """What skorch has noted of a training: its epochs, and all callbacks after it."""

    history: list[dict[str, Any]]
    callbacks: list[tuple[str, Any]]


def training_rows(
    rows: Rows, held_out: Rows | None, problem: Problem, plan: Plan
) -> tuple[TrainingRows, HeldOutRows | None]:
    """Return rows and held-out rows as datasets."""
    inputs = problem.inputs
    if plan.augmentation is not None:
        scaling = rows.scale.module()
        change = CustomNoise(plan.augmentation, scaling, "augmentation")
        inputs = (AugmentedRows(change), *inputs)
    settings = inputs, plan.seed, plan.device, problem.sees_cells
    training = _Training(rows, *settings)
    if held_out is None:
        return training, None
    inputs, seed, *rest = settings
    return training, _HeldOut(held_out, inputs, seed + 1, *rest)


def stacked_rows(parts: Sequence[TrainingRows], plan: Plan) -> StackedRows:
    """Return the rows of several models that are trained as one as a dataset."""
    return _Stacked(parts, plan.seed)


def training_net(
    model: nn.Module, plan: Plan, held_out: HeldOutRows | None, callbacks: Sequence[Any]
) -> TrainingNet:
    """Return a net that trains a model, and judges it on held-out rows."""
    split = None if held_out is None else predefined_split(held_out)
    judged = max(plan.batch_size, JUDGED)
    if held_out is not None and held_out.with_cells:
        judged = plan.batch_size
    net: TrainingNet = TrainingNet(
        model,
        criterion=nn.MSELoss,  # skorch asks for one; the loss is the problem's
        optimizer=FlatAdamW,
        optimizer__weight_decay=plan.weight_decay,
        optimizer__eps=1e-15,
        optimizer__fused=plan.device.type in HAS_FUSED_KERNEL,
        lr=plan.learning_rate,
        batch_size=plan.batch_size,
        iterator_train=Shuffled,
        iterator_valid=RowsInOrder,
        iterator_valid__batch_size=judged,
        train_split=split,
        device=plan.device,
        callbacks=callbacks,
        callbacks__print_log=None,
        verbose=0,
    ).initialize()
    return net


def skorch_net(model: LatentModel, log: Log, settings: dict[str, Any]) -> NeuralNet:
    """Return the fitted model as a net of skorch's.

    Its criterion is the mean squared error of rows in the units of the data; `settings`
    are further parameters of it.
    """
    parameters = {"criterion": nn.MSELoss, "optimizer": AdamW, **settings}
    net = NeuralNet(
        model,
        train_split=None,
        device="cpu",
        callbacks__print_log=None,
        verbose=0,
        **parameters,
    ).initialize()
    net.history_ = History(log.history)
    net.callbacks_ = log.callbacks
    return net


#: Parameters of the fitted net that a pickle keeps.
_SETTINGS = ("batch_size", "criterion", "lr", "max_epochs", "optimizer")


# Of the fitted net; they are no more than its history.
for _callback in (EpochTimer, PassthroughScoring):
    saved(_callback)


def save_net(net: NeuralNet) -> dict[str, Any]:
    """Return what stands for a net in a file."""
    settings = {
        name: value
        for name, value in vars(net).items()
        if name in _SETTINGS or name.split("__")[0] in ("optimizer", "criterion")
    }
    # Where set_params leaves what it sets of an optimiser.
    groups = [
        {name: value for name, value in group.items() if name != "params"}
        for group in net.optimizer_.param_groups
    ]
    return {
        "model": save_module(net.module_),
        "history": to_plain(net.history.to_list()),
        "callbacks": to_plain(net.callbacks_),
        "settings": to_plain(settings),
        "groups": to_plain(groups),
    }


def load_net(state: dict[str, Any]) -> NeuralNet:
    """Return the net that `save_net` was given."""
    parts = from_plain(state)
    log = Log(parts["history"], parts["callbacks"])
    net = skorch_net(parts["model"], log, parts["settings"])
    for group, settings in zip(
        net.optimizer_.param_groups, parts["groups"], strict=False
    ):
        group.update(settings)
    return net


def _is_of_a_callback(frame: FrameType) -> bool:
    """Return whether a function was called on a callback, as its first argument."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return bool(names) and isinstance(frame.f_locals.get(names[0]), Callback)


def check_monitors(callbacks: Sequence[Any] | None) -> None:
    """Raise ValueError if callbacks wait for rows held out of the final training."""
    for item in callbacks or []:
        callback = item[1] if isinstance(item, tuple | list) else item
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid"):
            raise _no_held_out_rows(f"monitor={monitor!r}")


def _no_held_out_rows(asked: str) -> ValueError:
    return ValueError(
        f"A callback asks for validation figures ({asked}), and no rows are held out "
        "of the training of the final model; early_stopping=True holds some out."
    )


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    """Raise ValueError unless all are skorch's callbacks."""
    for item in callbacks or []:
        pair = isinstance(item, tuple | list) and len(item) == 2
        callback = item[1] if pair else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"callbacks must be skorch callbacks or (name, callback) pairs; got "
                f"{item!r}."
            )
