"""Rows of which most cells are zero."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ._placement import moved, uniform_like
from ._segments import segment_sums


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
    on_host : Tensor of int64 of shape (n + 1,) or None
        The offsets on the CPU, where the others are on another device: to read them
        from there would be to wait for it.
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor
    n_features: int
    on_host: Tensor | None = None

    @property
    def _ends(self) -> Tensor:
        return self.offsets if self.on_host is None else self.on_host

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
        if isinstance(target, torch.dtype):
            return replace(self, values=self.values.to(target))
        parts: dict[str, Any] = {
            name: moved(getattr(self, name), target)
            for name in ("offsets", "columns", "values")
        }
        return replace(self, **parts, on_host=self._ends)

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
        return (self._sums(cells) + m.square().sum()).clamp(min=0)

    def positive(self) -> Self:
        """Return the rows with 0 in place of negative cells."""
        return replace(self, values=self.values.clamp(min=0))

    def sums(self) -> Tensor:
        """Return the sum of each row, shape (n,)."""
        return self._sums(self.values)

    def norms(self) -> Tensor:
        """Return the length of each row, shape (n,)."""
        return self._sums(self.values.square()).sqrt()

    def _sums(self, cells: Tensor) -> Tensor:
        """Return each row's sum of values, (n_cells,) to (n,)."""
        return segment_sums(cells, self.offsets.diff())

    def scaled(self, factors: Tensor) -> Self:
        """Return each row times its factor; `factors` has shape (n,)."""
        values = self.values * factors[self._row_of_each_cell()]
        return replace(self, values=values)

    def without(self, share: float, generator: torch.Generator) -> Self:
        """Return the rows with about this share of the cells set to 0."""
        kept = uniform_like(self.values, generator) >= share
        return replace(self, values=self.values * kept)

    def dense(self) -> Tensor:
        """Return the rows with all cells, (n, n_features)."""
        x = self.values.new_zeros(len(self) * self.n_features)
        places = self._row_of_each_cell() * self.n_features + self.columns
        # A cell is there once, so that the order of sums is none.
        return x.index_add_(0, places, self.values).view(self.shape)

    def _row_of_each_cell(self) -> Tensor:
        rows = torch.arange(len(self), device=self.device)
        n_cells = len(self.values)  # else it would wait for the device, to count them
        return rows.repeat_interleave(self.offsets.diff(), output_size=n_cells)

    def tensor_split(self, n: int) -> "list[SparseBatch]":
        """Split in n parts as `torch.tensor_split` does."""
        parts = torch.arange(len(self)).tensor_split(n)
        return [self[int(p[0]) : int(p[-1]) + 1] if len(p) else self[:0] for p in parts]

    def __getitem__(self, rows: slice) -> "SparseBatch":
        first, last, _ = rows.indices(len(self))
        offsets, ends = (t[first : last + 1] for t in (self.offsets, self._ends))
        cells = slice(int(ends[0]), int(ends[-1]))
        return SparseBatch(
            offsets - offsets[0],
            self.columns[cells],
            self.values[cells],
            self.n_features,
            None if self.on_host is None else ends - ends[0],
        )
