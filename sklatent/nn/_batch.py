"""A batch of rows, as networks and losses see it."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from ._scaling import Scaling
from ._sizes import Sizes
from ._sparse_batch import SparseBatch


@dataclass(slots=True)
class Batch:
    """Some rows, what a network is shown of them, and what it should return.

    What a loss or a network may need of rows besides is a further field here.

    Attributes
    ----------
    inputs : Tensor of shape (n, n_features)
        What the encoder is shown, scaled: the rows, or a corrupted copy.
    target : Tensor of shape (n, n_features)
        The rows, scaled.
    noise : Tensor of shape (n, k) or None
        Standard normal numbers, to draw latents from their posterior.
    sizes : Sizes of n rows or None
        How many latents each row uses, ascending, where they are ordered.
    y : Tensor of shape (n, n_targets) or None
        What else the rows are to tell: a column for each class, or numbers.
    mask : Tensor of shape (n, n_features) or None
        1 where a cell of the target was observed and 0 where it was filled; None if
        none was missing.
    weight : Tensor of shape (n,) or None
        How much each row counts in sums over rows, on the CPU in float64; None where
        all count alike, or rows are drawn by their weights.
    cells : SparseBatch of shape (n, n_features of the data) or None
        The rows as they are, where they are coordinates of sparse ones.
    scaling : Scaling or None
        Which the rows have.
    """

    inputs: Tensor
    target: Tensor
    noise: Tensor | None = None
    sizes: Sizes | None = None
    y: Tensor | None = None
    mask: Tensor | None = None
    weight: Tensor | None = None
    cells: SparseBatch | None = None
    scaling: Scaling | None = None

    def __len__(self) -> int:
        return self.target.shape[0]

    def left(self, rows: Tensor) -> Tensor:
        """Return what rows are off the target, 0 where that was missing."""
        left = rows - self.target
        return left if self.mask is None else left.mul_(self.mask)

    def __iter__(self) -> Iterator[Tensor]:
        """Give inputs and target in the units of the data, which is skorch's batch."""
        for x in (self.inputs, self.target):
            exact = x if x.device.type == "mps" else x.double()
            yield exact if self.scaling is None else self.scaling.to_units(exact)

    def split(self, n: int) -> "list[Batch]":
        """Split in n batches whose sizes differ by one row at most."""
        parts: dict[str, Any] = {
            field.name: value.tensor_split(n)
            for field in fields(self)
            if isinstance(
                value := getattr(self, field.name), Tensor | SparseBatch | Sizes
            )
        }
        return [
            Batch(
                **{name: part[i] for name, part in parts.items()}, scaling=self.scaling
            )
            for i in range(n)
        ]
