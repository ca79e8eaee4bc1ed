"""Sums of consecutive values."""

import torch
from torch import Tensor

#: Devices that sum them up in their order; others do so in any.
SUM_IN_ORDER = ("cpu", "cuda")


def segment_sums(values: Tensor, lengths: Tensor, dim: int = 0) -> Tensor:
    """Return the sums of so many consecutive values each.

    In their order, so that two fits on a GPU are equal, which those of ``index_add_``
    are not.

    Parameters
    ----------
    values : Tensor of shape (..., n, ...)
        The dimension `dim` has n values.
    lengths : Tensor of int64 of shape (m,)
        How many values are for each sum, n in all; on the device of `values`.
    dim : int, default=0
        From 0 on.

    Returns
    -------
    sums : Tensor of shape (..., m, ...)
    """
    if values.device.type in SUM_IN_ORDER:
        each = lengths.expand(*values.shape[:dim], -1).contiguous()
        # Unsafe: else it would read the lengths, and wait for the device.
        return torch.segment_reduce(values, "sum", lengths=each, axis=dim, unsafe=True)
    shape, m = list(values.shape), len(lengths)
    numbers = torch.arange(m, device=values.device)
    which = numbers.repeat_interleave(lengths, output_size=shape[dim])
    shape[dim] = m
    return values.new_zeros(shape).index_add_(dim, which, values)
