"""Rows of an array so large that memory may not hold it, such as a memory map."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ._dense import DenseRows
from ._scale import MAX_NUMBERS, Scale, is_typical

#: Numbers of a block of consecutive rows, and blocks whose rows are shuffled together.
BLOCK, N_TOGETHER = 2**20, 16


class LargeRows(DenseRows):
    """Rows that are read in blocks, and of which no second array is made.

    Rows are not compared with each other: equal ones are not merged. Which ones are
    extreme is told by their distances from the mean of all.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data.
    scale : Scale
        What to scale by.
    """

    is_large = True

    def __init__(self, X: NDArray[Any], scale: Scale) -> None:
        super().__init__(X, scale)
        # Twenty million of them, and what is made of them, take hundreds of MB.
        self._squares = scale.squared_distances(X).astype(np.float32)

    def typical(self) -> Self:
        """Return the rows that are not extreme."""
        typical = is_typical(self._squares[self.where()], self.own_weights)
        return self if typical.all() else self[np.flatnonzero(typical)]

    def random_order(self, generator: torch.Generator) -> torch.Tensor:
        """Return all indices, those of blocks of rows near to each other.

        Blocks come in a random order; rows are shuffled within some of them at a time.
        """
        n, size = len(self), max(1, BLOCK // self.shape[1])
        small = n < 2**31
        order = torch.empty(n, dtype=torch.int32 if small else torch.int64)
        done = 0
        blocks = torch.randperm(-(-n // size), generator=generator)
        for some in torch.split(blocks, N_TOGETHER):
            rows = (some[:, None] * size + torch.arange(size)).flatten()
            rows = rows[rows < n]
            shuffled = torch.randperm(len(rows), generator=generator)
            order[done : done + len(rows)] = rows[shuffled]
            done += len(rows)
        return order


def is_large(X: Any) -> bool:
    """Return whether rows are to be read in blocks."""
    return isinstance(X, np.ndarray) and X.size > MAX_NUMBERS
