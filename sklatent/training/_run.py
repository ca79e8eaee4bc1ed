"""One net on one part of the rows, trained an epoch at a time."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .. import runtime
from ..nn import (
    MLP,
    Batch,
    LastLayer,
    LatentModel,
    Tails,
    can_solve_ends,
    exact,
    moved,
    solve_ends,
    where_exact,
)
from ..plan import Plan
from ..problems import Problem
from ..rows import Array, EachOnce, Rows, RowsInOrder, mean_of, n_batches
from ._net import JUDGED, Log, training_net, training_rows

#: Rows that the ends of nested decoders are solved on at most.
MAX_ROWS_OF_ENDS = 4000
#: And numbers of those that a decoder is solved on, where memory may not hold all.
MAX_NUMBERS_OF_ENDS = 2**25
#: Rows that a decoder is solved on at least, where they are shown with noise.
MIN_NOISY_ROWS = 4000


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
        Those it is trained on, but for extreme ones: the gradient of one of them would
        be larger than that of all others.
    held_out : Rows or None
        Those it is judged by.
    n_epochs : int
        The length of the learning rate's cycle.
    watched : bool
        Whether the user's callbacks are called.
    n_units : int, default=0
        How many of the held-out rows are as good as independent.
    begin : float, default=0.0
        The share of the cycle that is behind already.
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
        n_units: int = 0,
        begin: float = 0.0,
    ) -> None:
        model = problem.build(start)
        #: Networks do not follow extreme rows, but a start and a decoder's end do.
        looked_at = rows
        if rows.is_large:  # a few of them tell as much
            looked_at = rows.subsample(MAX_NUMBERS_OF_ENDS // rows.shape[1])
        self._all_rows = training_rows(looked_at, None, problem, plan)[0]
        rows = rows.typical()
        self._problem, self._plan = problem, plan
        #: Training rounds what it does not change to float32; these are exact.
        self._exact = [model.fixed_state()]
        #: Of the fitted model that goes on, if there is one.
        self.taken_over = problem.taken_over(model, start)
        self._exact += self.taken_over
        self.n_units = n_units
        #: Rows are shown with other noise each time; so they are shown more often.
        varies = problem.inputs or plan.augmentation is not None
        self._n_passes = -(-MIN_NOISY_ROWS // len(rows)) if varies else 1
        if not any(weight.requires_grad for weight in model.parameters()):
            raise ValueError(
                "Neither encoder nor decoder has a weight to train (requires_grad)."
            )
        self.loss = problem.loss.to(plan.device)
        self.rows, self.held_out = training_rows(rows, held_out, problem, plan)
        self.probe = self.rows.take(torch.arange(min(200, len(rows))))
        callbacks = copied(plan.callbacks) if watched else []
        self.watched = bool(callbacks)
        self.net = training_net(model.float(), plan, self.held_out, callbacks)
        n_steps = n_epochs * n_batches(len(rows), plan.batch_size)
        self.net.prepare(self.loss, n_steps, watched=self.watched, begin=begin)
        self._last_of_encoder: list[Tensor] | None = None

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
        history = self.net.history
        return not history or "train_loss" in history[-1]

    @property
    def train_loss(self) -> float:
        """The mean loss of the last epoch's batches."""
        return float(self.net.history[-1, "train_loss"])

    def loss_now(self) -> float:
        """Return the loss of the first rows, without noise."""
        self.model.eval()
        with torch.no_grad():
            return float(self.loss(self.model.forward_scaled(self.probe), self.probe))

    @property
    def can_solve_decoder(self) -> bool:
        """Whether the decoder's end has a closed form."""
        return LastLayer.can_solve(self.model, self.loss)

    @cached_property
    def feature_variance(self) -> Tensor:
        """The mean square of each feature of the rows it trains on."""
        return torch.from_numpy(self._all_rows.rows.observed_mean_squares())

    @torch.no_grad()
    def limit_decoder(self) -> None:
        """Show the decoder's network no latents far beyond those of the rows."""
        decoder: Any = self.model.decoder
        if getattr(decoder, "low", None) is None:
            return
        tails = Tails(len(decoder.low), decoder.low.device)
        self.model.eval()
        for batch in EachOnce(self.rows, JUDGED):
            tails.add(self.model.latents(batch.inputs))
        low, high = tails.limits()
        decoder.low.copy_(low)
        decoder.high.copy_(high)

    def last_layer(self) -> LastLayer:
        """Return the decoder's end, ready to be solved for the rows."""
        self.limit_decoder()
        layer = LastLayer(self.model)  # type: ignore[arg-type]
        for batch in EachOnce(self._all_rows, JUDGED, self._n_passes):
            layer.add(batch)
        layer.factorise()
        return layer

    @property
    def can_solve_ends(self) -> bool:
        """Whether the ends of a nested decoder have a closed form."""
        return can_solve_ends(self.model, self.loss)

    def solve_ends(self, penalty: float) -> None:
        """Solve the ends of a nested decoder, for each number of latents."""
        model: Any = self.model
        model.decoder.ends = None
        some = self._all_rows.rows.subsample(MAX_ROWS_OF_ENDS)
        rows = training_rows(some, None, self._problem, self._plan)[0]
        batches = list(EachOnce(rows, JUDGED))
        ends = solve_ends(model, batches, penalty)
        solved = ends.state_dict()
        self._exact.append({f"decoder.ends.{n}": t.clone() for n, t in solved.items()})
        model.decoder.ends = ends.to(model.frame.mean)

    def set_decoder(self, layer: LastLayer, penalties: Tensor) -> None:
        """Set the end of the decoder to what was solved for, with these penalties."""
        self._exact.append(layer.set(penalties))

    def scale_encoder(self, share: float) -> None:
        """Scale what the encoder's network gave after the last epoch."""
        model: Any = self.model
        if share < 1 and isinstance(model.encoder.network, MLP):
            last = list(model.encoder.network.last_parameters())
            if not all(tensor.requires_grad for tensor in last):
                return
            if self._last_of_encoder is None:
                self._last_of_encoder = [t.detach().clone() for t in last]
            with torch.no_grad():
                for tensor, whole in zip(last, self._last_of_encoder, strict=True):
                    tensor.copy_(share * whole)

    @property
    def has_linear_start(self) -> bool:
        """Whether encoder and decoder have a linear part."""
        model: Any = self.model
        return model.encoder.weight is not None

    @property
    def held_out_rows(self) -> Tensor:
        """The held-out rows, scaled, with 0 for a missing cell."""
        assert self.held_out is not None
        shown = self.held_out.shown
        return shown.target if shown.mask is None else shown.target * shown.mask

    @property
    def held_out_weights(self) -> Tensor | None:
        """How much each of these counts; None where all count alike."""
        assert self.held_out is not None
        return self.held_out.shown.weight

    def held_out_batches(self) -> Iterator[Batch]:
        """Yield the held-out rows, as they are shown to the network."""
        return iter(RowsInOrder(self.held_out, JUDGED))

    def mean_training_errors(self) -> Tensor:
        """Return each feature's mean squared error over the training rows."""
        total, n = torch.zeros((), dtype=torch.float64), 0.0
        self.model.eval()
        with torch.no_grad():
            for batch in EachOnce(self._all_rows, JUDGED):
                squares = exact(self._left(batch)).square()
                if batch.weight is not None:
                    squares *= moved(batch.weight, squares.device)[:, None]
                n += len(batch) if batch.weight is None else float(batch.weight.sum())
                total = total + squares.sum(dim=0)
        return total.cpu() / n

    def feature_errors(self) -> list[Tensor]:
        """Return squared errors (n, n_features) of each batch of held-out rows."""
        self.model.eval()
        with torch.no_grad():
            left = map(self._left, self.held_out_batches())
            return [where_exact(part).square() for part in left]

    def _left(self, batch: Batch) -> Tensor:
        """Return what reconstructions leave of a batch, (n, n_features)."""
        return batch.left(self.model.reconstruction(self.model.forward_scaled(batch)))

    def mean_error_now(self) -> float:
        """Return the mean error of the held-out rows, or else of some it trains on."""
        if self.held_out is None:
            return self.loss_now()
        weight = self.held_out_weights
        return mean_of(self.errors_now(), None if weight is None else weight.numpy())

    def errors_now(self) -> Array:
        """Return each held-out row's error now."""
        self.net.row_errors_ = []
        for batch in self.net.get_iterator(self.held_out, training=False):
            self.net.validation_step(batch)
        return self.errors()

    def errors(self) -> Array:
        """Return each held-out row's error, from when they were last judged."""
        return torch.cat(self.net.row_errors_).cpu().double().numpy()

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
        fixed = self._exact[0].keys() - {"decoder.weight", "decoder.bias"}
        changing = [
            b
            for n, b in self.model.named_buffers()
            if n not in fixed and not n.startswith("scaling.")
        ]
        for values in (*self.model.parameters(), *changing):
            flat = exact(values.detach()).flatten()
            numbers += [flat.sum(), torch.dot(flat, flat)]
        return tuple(torch.stack(numbers).cpu().tolist()) if numbers else ()

    def finish(self, dtype: torch.dtype) -> LatentModel:
        """Return the model for use: on the CPU, in `dtype`, its linear part exact."""
        self.net.release()
        model = self.model.to("cpu", dtype).eval()
        now = dict(model.named_buffers())
        for state in self._exact:
            for name, value in state.items():
                if name in now and torch.equal(now[name].float(), value.float()):
                    now[name].copy_(value)
        return model

    def log(self) -> "Log":
        """Return skorch's history of the training, and the callbacks after it."""
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
