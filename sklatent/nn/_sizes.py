"""How many latents each row of a batch uses, where latents are ordered."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from ._placement import moved
from ._segments import segment_sums


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many latents rows use, ascending.

    Rows of one decoder are a slice, whose ends the host must know: to read them from
    the device would be to wait for it. So both have the numbers.

    Attributes
    ----------
    each : Tensor of int64 of shape (n,)
        On the device of the rows.
    on_host : Tensor of int64 of shape (n,)
        The same on the CPU.
    """

    each: Tensor
    on_host: Tensor

    @classmethod
    def of(cls, sizes: Tensor, device: torch.device | None = None) -> Self:
        """Return sizes for rows on a device; None is that of the tensor."""
        on_host = sizes.cpu()
        return cls(sizes if device is None else moved(on_host, device), on_host)

    @classmethod
    def same(cls, n: int, size: int, device: torch.device) -> Self:
        """Return one size for n rows."""
        on_host = torch.full((n,), size, device="cpu")
        if device.type == "cpu":
            return cls(on_host, on_host)
        return cls(torch.full((n,), size, device=device), on_host)

    def __len__(self) -> int:
        return len(self.on_host)

    def slices(self, bounds: tuple[int, ...]) -> list[tuple[int, slice]]:
        """Return the ranges of sizes that there are, by number, and which rows.

        Parameters
        ----------
        bounds : tuple of int
            The largest size of each range, ascending.
        """
        above = torch.tensor(bounds, device="cpu")
        ends = [0, *torch.searchsorted(self.on_host, above, right=True).tolist()]
        return [(i, slice(a, b)) for i, (a, b) in enumerate(pairwise(ends)) if a < b]

    def sums(self, values: Tensor, most: int) -> Tensor:
        """Return sums of values (..., n, p) over rows of each size, (..., most, p)."""
        counts = torch.bincount(self.on_host - 1, minlength=most)
        return segment_sums(values, moved(counts, values.device), values.dim() - 2)

    def tensor_split(self, n: int) -> list["Sizes"]:
        """Split in n parts as `torch.tensor_split` does."""
        parts = self.each.tensor_split(n), self.on_host.tensor_split(n)
        return [Sizes(*part) for part in zip(*parts, strict=True)]
