"""Systematic sampling: each number has its due in every sample."""

import torch
from torch import Tensor


def systematic(weights: Tensor, n: int, shift: Tensor | float = 0.5) -> Tensor:
    """Return n indices, ascending, each as often as its weight asks for.

    That is, its share of all weights times n, rounded up or down.

    Parameters
    ----------
    weights : Tensor of shape (n_rows,), float64
        Not negative.
    n : int
        How many.
    shift : float or Tensor of shape (1,), default=0.5
        In [0, 1): which are rounded up.
    """
    # A little less than 1, so that rounding finds no index beyond the last.
    ends = weights.cumsum(0) / weights.sum()
    points = (torch.arange(n) + shift) * (1 - 1e-12) / n
    return torch.searchsorted(ends[:-1], points, right=True)
