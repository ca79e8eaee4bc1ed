"""Batches: slices of larger tensors, and what networks are shown of them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .. import runtime
from ..nn import Batch, Corruption, Scaling, Sizes, moved, normal_like, systematic
from ._rows import Indices, Rows

#: Numbers that are gathered at once, in the new order: some MB.
GATHERED = 2**18
#: Bytes of rows that go to a device at once, to be kept there.
MOVED = 2**24


class Inputs(ABC):
    """Changes what a network is shown of a batch."""

    #: Whether held-out rows are shown as they are.
    only_in_training: ClassVar[bool] = False
    #: Whether the host must know what is drawn, which it then draws itself.
    draws_on_host: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Change the batch; the generator is the source of all noise."""

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        """Return the same for batches on a device; one with tensors moves them."""
        return self

    def check(self) -> None:  # noqa: B027
        """Raise ValueError if a function of the user's has gone wrong."""


@dataclass(frozen=True)
class CorruptedInputs(Inputs):
    """Shows the encoder a corrupted copy of the rows."""

    corruption: Corruption

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Corrupt the inputs."""
        seen: Any = batch.cells if self.corruption.sees_cells else batch.inputs
        corrupted = self.corruption(seen, generator)
        if batch.mask is not None:  # what was filled is not seen, so it has no noise
            corrupted = torch.where(batch.mask > 0, corrupted, batch.inputs)
        batch.inputs = corrupted

    def to(self, device: torch.device) -> Self:
        """Return the same for batches on a device."""
        return replace(self, corruption=self.corruption.to(device))

    def check(self) -> None:
        """Raise ValueError if a function of the user's has gone wrong."""
        self.corruption.check()


@dataclass(frozen=True)
class WordDropout(Inputs):
    """Shows the encoder sparse rows without some of their cells, no shorter than all.

    (Mult-VAE: Liang et al. 2018, arXiv 1802.05814.)
    """

    share: float
    only_in_training: ClassVar[bool] = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Hide cells."""
        assert batch.cells is not None
        assert batch.scaling is not None
        left = batch.cells.without(self.share, generator)
        lengths = left.norms()
        factors = torch.where(lengths > 0, batch.cells.norms() / lengths, 0.0)
        batch.inputs = batch.scaling.to_scaled(left.scaled(factors))


@dataclass(frozen=True)
class AugmentedRows(Inputs):
    """Shows the encoder changed rows, and asks for these."""

    change: Corruption
    only_in_training: ClassVar[bool] = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Change inputs and target alike."""
        batch.inputs = batch.target = self.change(batch.target, generator)

    def to(self, device: torch.device) -> Self:
        """Return the same for batches on a device."""
        return replace(self, change=self.change.to(device))

    def check(self) -> None:
        """Raise ValueError if a function of the user's has gone wrong."""
        self.change.check()


@dataclass(frozen=True)
class LatentNoise(Inputs):
    """Adds standard normal numbers for k latents."""

    k: int

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Draw the numbers."""
        x = batch.inputs
        batch.noise = normal_like(x.new_empty(*x.shape[:-1], self.k), generator)


@dataclass(frozen=True)
class NestedDropout(Inputs):
    """Says how many latents to use of each row.

    The numbers are drawn anew for every batch (nested dropout: Rippel et al. 2014,
    arXiv 1402.0915): by systematic sampling, which gives each number its due in every
    batch, and in ascending order, which lets rows of one decoder be a slice. Rows must
    come in a random order.

    Parameters
    ----------
    weights : Tensor of shape (k,), float64
        Proportional to the probability of each number, from 1 to k.
    """

    weights: Tensor
    draws_on_host: ClassVar[bool] = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Draw the numbers."""
        n = batch.inputs.shape[-2]
        shift = torch.rand(1, generator=generator, dtype=self.weights.dtype)
        drawn = systematic(self.weights, n, shift) + 1
        batch.sizes = Sizes.of(drawn, batch.inputs.device)


class TrainingRows(Dataset[Any]):
    """The dataset that training sees: rows, and what is shown of them.

    Parameters
    ----------
    rows : Rows
        The rows.
    inputs : sequence of Inputs, default=()
        What to show, one after the other; none shows the rows themselves.
    seed : int, default=0
        For that, and for the order in which training sees the rows.
    device : torch.device or str, default='cpu'
        Where the network is.
    with_cells : bool, default=False
        Whether batches have the rows as they are as well.
    """

    def __init__(
        self,
        rows: Rows,
        inputs: Sequence[Inputs] = (),
        seed: int = 0,
        device: torch.device | str = "cpu",
        with_cells: bool = False,
    ) -> None:
        self.with_cells = with_cells
        self.rows = rows
        self.device = torch.device(device)
        self.inputs = tuple(change.to(self.device) for change in inputs)
        #: The order of rows is the same on all devices; noise is drawn where they are.
        self.generator = torch.Generator().manual_seed(seed)
        self.noise = self._noise_generator(seed)
        self.scaling: Scaling = rows.scale.module().to(device)
        #: How much each row counts in sums, 1 on average over all rows of the data.
        self.weight: Tensor | None = None
        self.mean_weight = 1.0
        if rows.all_weights is not None:
            self.mean_weight = float(rows.all_weights.values.mean())
            weights = np.asarray(rows.weights)
            self.weight = torch.from_numpy(weights / self.mean_weight)
        if with_cells:
            self.scaling.for_training()

    def __len__(self) -> int:
        return len(self.rows)

    def _noise_generator(self, seed: int) -> torch.Generator:
        """Return what noise is drawn by: on the CPU what the order is drawn by."""
        if self.device.type == "cpu":
            return self.generator
        return runtime.generator(self.device, seed)

    def take(self, index: Tensor | None = None) -> Batch:
        """Return the rows with these indices, or all, scaled, on the device."""
        part = None if index is None else index.numpy()
        read = {name: moved(x, self.device) for name, x in self._read(part).items()}
        cells = self.rows.cells(part).to(self.device) if self.with_cells else None
        return self._batch(index, **read, cells=cells)

    def _read(self, part: Indices | None) -> dict[str, Any]:
        """Return the rows with these indices, or all, and what belongs to them."""
        read = {
            "x": self.rows.tensor(part),
            "y": self.rows.y(part),
            "mask": self.rows.mask(part),
        }
        return {name: values for name, values in read.items() if values is not None}

    def _batch(self, index: Tensor | None, x: Tensor, **others: Any) -> Batch:
        """Return rows of these indices, or all, as a batch."""
        weight = self.weight
        if weight is not None and index is not None:
            weight = weight[index]
        return Batch(x, x, **others, weight=weight, scaling=self.scaling)

    def unseen(self, part: Indices) -> float:
        """Return the sum of squares, weighted, of what some rows do not show."""
        return self.rows[part].unseen() / self.mean_weight

    def show(self, batch: Batch) -> Batch:
        """Return a batch with what the network is shown of it."""
        for change in self.inputs:
            change(batch, self.generator if change.draws_on_host else self.noise)
        return batch

    def check(self) -> None:
        """Raise ValueError if a function of the user's has gone wrong."""
        for change in self.inputs:
            change.check()

    def shuffled(self, n_batches: int) -> Iterator[Batch]:
        """Yield as many rows as there are, in a new order, as so many batches.

        Each is there once, or as often as its weight asks for.
        """
        if self.weight is None:
            yield from self.each_once(n_batches)
            return
        n = max(len(self), 2)  # a batch normalisation cannot train with one
        for batch in self._batches(self.drawn(n, self.generator), n_batches):
            batch.weight = None  # it has had its say
            yield self.show(batch)
        self.check()

    def each_once(self, n_batches: int, n_passes: int = 1) -> Iterator[Batch]:
        """Yield all rows once in each pass, with their weights, in a new order."""
        orders = [self.rows.random_order(self.generator) for _ in range(n_passes)]
        # Many rows have one pass, whose order is not copied.
        order = orders[0] if n_passes == 1 else torch.cat(orders)
        for batch in self._batches(order, n_batches):
            yield self.show(batch)
        self.check()

    def drawn(self, n: int, generator: torch.Generator) -> Tensor:
        """Return so many indices in a random order, by weight.

        Without weights they are all rows, again and again.
        """
        if self.weight is not None:
            shift = torch.rand(1, generator=generator, dtype=torch.float64)
            drawn = systematic(self.weight, n, shift)
            return drawn[torch.randperm(n, generator=generator)]
        rounds = range(-(-n // len(self)))
        orders = [torch.randperm(len(self), generator=generator) for _ in rounds]
        return torch.cat(orders)[:n]

    def _batches(self, order: Tensor, n_batches: int) -> Iterator[Batch]:
        """Yield rows in an order, as so many batches."""
        batches = order.tensor_split(n_batches)
        together = max(1, GATHERED // (len(batches[0]) * self.rows.shape[1]))
        gather, ends = self.gathering(order), [0, *accumulate(map(len, batches))]
        for i in range(0, n_batches, together):
            j = min(i + together, n_batches)
            yield from gather(slice(ends[i], ends[j])).split(j - i)

    def gathering(self, order: Tensor) -> Callable[[slice], Batch]:
        """Return what gathers rows by their places in an order.

        That goes to the device once, if the rows are there; else they go as they come.
        """
        kept = self._kept
        if kept is None:
            return lambda places: self.take(order[places].long())
        index = moved(order, self.device)
        return lambda places: self._batch(
            order[places].long(),
            **{name: x.index_select(0, index[places]) for name, x in kept.items()},
        )

    @cached_property
    def _kept(self) -> dict[str, Tensor] | None:
        """The rows on the device, and what belongs to them, if they are kept there."""
        if self.device.type == "cpu" or self.with_cells:
            return None
        one = self._read(np.arange(1))
        n_bytes = len(self) * sum(x.nbytes for x in one.values())
        if not runtime.has_room(self.device, n_bytes):
            return None
        kept = {
            name: torch.empty(
                len(self), *x.shape[1:], dtype=x.dtype, device=self.device
            )
            for name, x in one.items()
        }
        n_parts = min(len(self), -(-n_bytes // MOVED))
        for places in np.array_split(np.arange(len(self)), n_parts):
            for name, x in self._read(places).items():
                kept[name][places[0] : places[-1] + 1] = moved(x, self.device)
        return kept

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        row = self.rows.values(np.array([i]))[0]
        return row, row

    # What skorch's callbacks read of a dataset: rows in units of the data, and these
    # once more as the target.

    @property
    def X(self) -> Any:  # noqa: N802
        """The rows, in the units of the data."""
        return self.rows.in_units()

    @property
    def y(self) -> Any:
        """What they are to be mapped to: themselves."""
        return self.rows.in_units()


class HeldOutRows(TrainingRows):
    """Rows of which a network is shown the same each time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.inputs = tuple(i for i in self.inputs if not i.only_in_training)
        self.shown = self.show(self.take())
        self.check()

    def _noise_generator(self, seed: int) -> torch.Generator:  # noqa: ARG002
        """Return the generator of the CPU: all devices judge with the same noise."""
        return self.generator


class StackedRows(TrainingRows):
    """The rows of several models that are trained as one.

    Batches have the shape (m, n, n_features), with as many rows for each model. An
    epoch is one of the most rows that a model has; others begin again.

    Parameters
    ----------
    parts : sequence of TrainingRows
        Of each model, on one scale, with one way to show them.
    seed : int
        For the noise and the order of all.
    """

    def __init__(self, parts: Sequence[TrainingRows], seed: int) -> None:
        first = parts[0]
        super().__init__(first.rows, first.inputs, seed, first.device)
        self.parts = parts

    def __len__(self) -> int:
        return max(len(part) for part in self.parts)

    def shuffled(self, n_batches: int) -> Iterator[Batch]:
        """Yield rows of each model in a new order, as so many batches."""
        n = n_batches * -(-len(self) // n_batches)
        orders = [part.drawn(n, self.generator) for part in self.parts]
        taken = [
            part.gathering(order)(slice(n))
            for part, order in zip(self.parts, orders, strict=True)
        ]
        x = _in_batches([batch.target for batch in taken], n_batches)
        others: dict[str, Any] = {
            name: _in_batches([getattr(batch, name) for batch in taken], n_batches)
            for name in ("y", "mask")
            if getattr(taken[0], name) is not None
        }
        for i in range(n_batches):
            some: dict[str, Any] = {n: values[i] for n, values in others.items()}
            yield self.show(Batch(x[i], x[i], **some, scaling=self.scaling))


def _in_batches(parts: list[Tensor], n_batches: int) -> Tensor:
    """Return m tensors (n, p) as batches of all, (n_batches, m, n / n_batches, p)."""
    whole = torch.stack(parts)
    shape = (len(parts), n_batches, -1, whole.shape[-1])
    return whole.view(shape).transpose(0, 1).contiguous()


class RowsInOrder:
    """Iterates over the batches of `HeldOutRows`; skorch's ``iterator_valid``.

    The batches' sizes differ by one row at most, so that none is left with a single
    one, with which a batch normalisation cannot train.
    """

    def __init__(self, rows: Any, batch_size: int) -> None:
        self.rows = rows
        self.n_batches = n_batches(len(rows), batch_size)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.rows.shown.split(self.n_batches))


class Shuffled(RowsInOrder):
    """Batches of `TrainingRows` in a new order each time; ``iterator_train``."""

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.rows.shuffled(self.n_batches))


class EachOnce(RowsInOrder):
    """Batches of `TrainingRows` with all rows once a pass, for sums over them.

    Several passes are one after the other, as if there were that many times the rows.
    """

    def __init__(self, rows: Any, batch_size: int, n_passes: int = 1) -> None:
        self.rows = rows
        self.n_passes = n_passes
        self.n_batches = n_batches(n_passes * len(rows), batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.rows.each_once(self.n_batches, self.n_passes))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return how many batches of at most about `batch_size` rows there are."""
    needed = math.ceil(n_samples / batch_size)
    return max(1, needed if batch_size == 1 else min(needed, n_samples // 2))
