"""Batches: slices of larger tensors, and what networks are shown of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..nn import Batch, Corruption, Scaling, systematic
from ._rows import Indices, Rows

#: Numbers that are gathered at once, in the new order: some MB.
GATHERED = 2**18


class Inputs(Protocol):
    """Changes what a network is shown of a batch."""

    @property
    def only_in_training(self) -> bool:
        """Whether held-out rows are shown as they are."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Change the batch; the generator is the source of all noise."""


@dataclass(frozen=True)
class CorruptedInputs:
    """Shows the encoder a corrupted copy of the rows."""

    corruption: Corruption
    only_in_training: ClassVar[bool] = False

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Corrupt the inputs."""
        seen: Any = batch.cells if self.corruption.sees_cells else batch.inputs
        corrupted = self.corruption(seen, generator)
        if batch.mask is not None:  # what was filled is not seen, so it has no noise
            corrupted = torch.where(batch.mask > 0, corrupted, batch.inputs)
        batch.inputs = corrupted


@dataclass(frozen=True)
class WordDropout:
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
class AugmentedRows:
    """Shows the encoder changed rows, and asks for these."""

    change: Corruption
    only_in_training: ClassVar[bool] = True

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Change inputs and target alike."""
        batch.inputs = batch.target = self.change(batch.target, generator)


@dataclass(frozen=True)
class LatentNoise:
    """Adds standard normal numbers for k latents."""

    k: int
    only_in_training: ClassVar[bool] = False

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Draw the numbers."""
        x = batch.inputs
        shape = (*x.shape[:-1], self.k)
        noise = torch.randn(shape, generator=generator, dtype=x.dtype)
        batch.noise = noise.to(x.device)


@dataclass(frozen=True)
class NestedDropout:
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
    only_in_training: ClassVar[bool] = False

    def __call__(self, batch: Batch, generator: torch.Generator) -> None:
        """Draw the numbers."""
        n, device = batch.inputs.shape[-2], batch.inputs.device
        shift = torch.rand(1, generator=generator, dtype=self.weights.dtype)
        batch.sizes = (systematic(self.weights, n, shift) + 1).to(device)


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
        self.inputs = tuple(inputs)
        self.generator = torch.Generator().manual_seed(seed)
        self.device = device
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

    def take(self, index: Tensor | None = None) -> Batch:
        """Return the rows with these indices, or all, scaled, on the device."""
        part = None if index is None else index.numpy()
        x = self.rows.tensor(part).to(self.device)
        others = {
            name: None if values is None else values.to(self.device)
            for name, values in (
                ("y", self.rows.y(part)),
                ("mask", self.rows.mask(part)),
            )
        }
        weight = self.weight
        if weight is not None and index is not None:
            weight = weight[index]
        cells = self.rows.cells(part).to(self.device) if self.with_cells else None
        return Batch(x, x, **others, weight=weight, cells=cells, scaling=self.scaling)

    def unseen(self, part: Indices) -> float:
        """Return the sum of squares, weighted, of what some rows do not show."""
        return self.rows[part].unseen() / self.mean_weight

    def show(self, batch: Batch) -> Batch:
        """Return a batch with what the network is shown of it."""
        for change in self.inputs:
            change(batch, self.generator)
        return batch

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

    def each_once(self, n_batches: int) -> Iterator[Batch]:
        """Yield all rows once, with their weights, in a new order."""
        order = self.rows.random_order(self.generator)
        for batch in self._batches(order, n_batches):
            yield self.show(batch)

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
        for i in range(0, len(batches), together):
            some = batches[i : i + together]
            yield from self.take(torch.cat(some).long()).split(len(some))

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
        taken = [part.take(part.drawn(n, self.generator)) for part in self.parts]
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
    """Batches of `TrainingRows` with all rows once, for sums over them."""

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.rows.each_once(self.n_batches))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return how many batches of at most about `batch_size` rows there are."""
    needed = math.ceil(n_samples / batch_size)
    return max(1, needed if batch_size == 1 else min(needed, n_samples // 2))
