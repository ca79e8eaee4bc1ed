"""The rows of a data set, in batches that are slices of larger tensors."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ._scaling import ScaledRows

#: What the module is shown of clean rows: they themselves, a corrupted copy, or a tuple
#: of tensors. The generator is the source of all noise.
Inputs = Callable[[Tensor, torch.Generator], Any]


def rows_themselves(x: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Show the module the rows as they are."""
    return x


@dataclass(frozen=True)
class Prefixes:
    """Shows the module rows as `inputs` does, and how many latents to use of each.

    The numbers are drawn anew for every batch (nested dropout: Rippel et al. 2014,
    arXiv 1402.0915): by systematic sampling, which gives each number its due in every
    batch, and in ascending order, which lets rows of one decoder be a slice. Rows must
    come in a random order.

    Parameters
    ----------
    inputs : callable
        What the module is shown of rows without it.
    weights : Tensor of shape (k,), float64
        Proportional to the probability of each number, from 1 to k.
    """

    inputs: Inputs
    weights: Tensor

    def __call__(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        shown = self.inputs(x, generator)
        parts = (shown,) if isinstance(shown, Tensor) else shown
        # A little less than 1, so that rounding finds no number beyond the last.
        ends = self.weights.cumsum(0) / self.weights.sum()
        shift = torch.rand(1, generator=generator, dtype=ends.dtype)
        points = (torch.arange(len(x)) + shift) * (1 - 1e-12) / len(x)
        sizes = torch.searchsorted(ends[:-1], points, right=True) + 1
        return (*parts, sizes.to(x.device))


class Rows(Dataset[tuple[Any, Tensor]]):
    """Scaled rows, the targets, and what the module is shown of them.

    Parameters
    ----------
    rows : ScaledRows
        The rows.
    inputs : callable, default=rows_themselves
        What the module is shown.
    seed : int, default=0
        For that, and for the order in which training sees the rows.
    device : torch.device or str, default='cpu'
        Where the module is.
    """

    def __init__(
        self,
        rows: ScaledRows,
        inputs: Inputs = rows_themselves,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows = rows
        self.inputs = inputs
        self.generator = torch.Generator().manual_seed(seed)
        self.device = device

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor) -> Tensor:
        """Return the rows with these indices, on the device."""
        return self.rows.tensor(index.numpy()).to(self.device)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        x = self.take(torch.tensor([i]))[0]
        return x, x


class HeldOut(Rows):
    """Rows of which the module is shown the same each time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.x = self.rows.tensor().to(self.device)
        self.shown = self.inputs(self.x, self.generator)


class InOrder:
    """Iterates over the batches of a `HeldOut`; skorch's ``iterator_valid``.

    The batches' sizes differ by one row at most, so that none is left with a single
    one, with which a batch normalisation cannot train.
    """

    def __init__(self, rows: Any, batch_size: int) -> None:
        self.rows = rows
        self.n_batches = n_batches(len(rows), batch_size)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        shown = _split(self.rows.shown, self.n_batches)
        return zip(shown, self.rows.x.tensor_split(self.n_batches), strict=True)


#: Numbers that are gathered at once, in the new order: some MB.
GATHERED = 2**18


class Shuffled(InOrder):
    """The batches of a `Rows` in a new order each time; skorch's ``iterator_train``."""

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        rows, generator = self.rows, self.rows.generator
        order = torch.randperm(len(rows), generator=generator)
        batches = order.tensor_split(self.n_batches)
        n_features = rows.rows.shape[1]
        together = max(1, GATHERED // (len(batches[0]) * n_features))
        for i in range(0, len(batches), together):
            some = batches[i : i + together]
            x = rows.take(torch.cat(some))
            for batch in x.split([len(indices) for indices in some]):
                yield rows.inputs(batch, generator), batch


def _split(shown: Any, n: int) -> list[Any]:
    """Split a tensor, or each of a tuple of tensors, in n."""
    if isinstance(shown, Tensor):
        return list(shown.tensor_split(n))
    return list(zip(*(part.tensor_split(n) for part in shown), strict=True))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Return how many batches of at most about `batch_size` rows there are."""
    wanted = math.ceil(n_samples / batch_size)
    return max(1, wanted if batch_size == 1 else min(wanted, n_samples // 2))
