"""Rows of which most cells are zero."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class SparseBatch:
    """Some sparse rows, as in SciPy's CSR format.

    Products are those of an embedding bag, which has no row depend on which others it
    comes with, on all devices. (PyTorch's own sparse tensors have them with MKL only.)

    Attributes
    ----------
    offsets : Tensor of int64 of shape (n + 1,)
        Where each row's cells begin, and where the last one's end.
    columns : Tensor of int64 of shape (n_cells,)
    values : Tensor of shape (n_cells,)
    n_features : int
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor
    n_features: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return len(self), self.n_features

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.values.device

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """Return the rows on a device or in a dtype."""
        values = self.values.to(target)
        offsets, columns = (
            part.to(values.device) for part in (self.offsets, self.columns)
        )
        return replace(self, offsets=offsets, columns=columns, values=values)

    def __matmul__(self, matrix: Tensor) -> Tensor:
        """Return the product with a matrix (n_features, m), in its dtype."""
        product: Tensor = embedding_bag(
            self.columns,
            matrix,
            self.offsets,
            per_sample_weights=self.values.to(matrix.dtype),
            mode="sum",
            include_last_offset=True,
        )
        return product

    def squared_distances(self, mean: Tensor, scale: Tensor) -> Tensor:
        r"""Return :math:`\|(x - m) / s\|^2` of each row, shape (n,), in float64."""
        x, m = self.values.to(mean.dtype) / scale, mean / scale
        # A cell adds (x - m)^2 in place of m^2.
        cells = x * (x - 2 * m[self.columns])
        squares = torch.zeros(len(self), dtype=mean.dtype, device=mean.device)
        squares.index_add_(0, self._row_of_each_cell(), cells)
        return (squares + m.square().sum()).clamp(min=0)

    def positive(self) -> Self:
        """Return the rows with 0 in place of negative cells."""
        return replace(self, values=self.values.clamp(min=0))

    def sums(self) -> Tensor:
        """Return the sum of each row, shape (n,)."""
        sums = self.values.new_zeros(len(self))
        return sums.index_add_(0, self._row_of_each_cell(), self.values)

    def norms(self) -> Tensor:
        """Return the length of each row, shape (n,)."""
        squares = self.values.new_zeros(len(self))
        squares.index_add_(0, self._row_of_each_cell(), self.values.square())
        return squares.sqrt()

    def scaled(self, factors: Tensor) -> Self:
        """Return each row times its factor; `factors` has shape (n,)."""
        values = self.values * factors[self._row_of_each_cell()]
        return replace(self, values=values)

    def without(self, share: float, generator: torch.Generator) -> Self:
        """Return the rows with about this share of the cells set to 0."""
        chance = torch.rand(self.values.shape, generator=generator, dtype=torch.float32)
        kept = (chance >= share).to(self.device)
        return replace(self, values=self.values * kept)

    def dense(self) -> Tensor:
        """Return the rows with all cells, (n, n_features)."""
        x = self.values.new_zeros(len(self) * self.n_features)
        places = self._row_of_each_cell() * self.n_features + self.columns
        return x.index_add_(0, places, self.values).view(self.shape)

    def _row_of_each_cell(self) -> Tensor:
        rows = torch.arange(len(self), device=self.device)
        return rows.repeat_interleave(self.offsets.diff())

    def tensor_split(self, n: int) -> "list[SparseBatch]":
        """Split in n parts as `torch.tensor_split` does."""
        parts = torch.arange(len(self)).tensor_split(n)
        return [self[int(p[0]) : int(p[-1]) + 1] if len(p) else self[:0] for p in parts]

    def __getitem__(self, rows: slice) -> "SparseBatch":
        first, last, _ = rows.indices(len(self))
        offsets = self.offsets[first : last + 1]
        cells = slice(int(offsets[0]), int(offsets[-1]))
        return SparseBatch(
            offsets - offsets[0],
            self.columns[cells],
            self.values[cells],
            self.n_features,
        )
