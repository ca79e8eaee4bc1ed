"""The nearest points, found in single precision and checked."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Up to this width trees find neighbours faster than a look at all points.
MAX_TREE_WIDTH = 5
#: Points that are asked about at once: with 10,000 others, as a cache has room for.
STEP = 256
#: Longer points are left to double precision.
LONGEST = 1e15
#: How many rounding errors of a sum a squared distance may be off by.
N_ERRORS = 4


class Search:
    r"""The nearest of some points, and of the first few of these.

    Squared distances are :math:`|q|^2 - 2 q \cdot p + |p|^2`, all at once and in single
    precision. In d dimensions their errors are some
    :math:`\epsilon \sqrt d\, (|q| + |p|)^2` (Higham & Mary 2019). Where two of the
    nearest, or the last of them and the next one, are not further apart than that,
    the point is asked about again in double precision. So the neighbours, and their
    order, are those of double precision, in less time where points are wide.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    sizes : sequence of int
        How many of the points are looked at, each time.
    n_neighbors : int

    References
    ----------
    N. J. Higham and T. Mary (2019). A new approach to probabilistic rounding error
    analysis. SIAM Journal on Scientific Computing 41.
    """

    def __init__(self, points: Array, sizes: Sequence[int], n_neighbors: int) -> None:
        self.sizes = sizes
        self.n_neighbors = n_neighbors
        self.uses_trees = points.shape[1] <= MAX_TREE_WIDTH
        search = "kd_tree" if self.uses_trees else "brute"
        self.exact = [
            NearestNeighbors(n_neighbors=n_neighbors, algorithm=search).fit(points[:n])
            for n in sizes
        ]
        self.points = _single(points)
        self.squares = np.square(self.points).sum(axis=1)

    def nearest(self, points: Array) -> list[Indices]:
        """Return the nearest of each size, nearest first, (n, n_neighbors) each."""
        n, everyone = len(points), np.arange(len(points))
        found = [np.empty((n, self.n_neighbors), np.intp) for _ in self.sizes]
        again = [everyone] * len(found)
        if not self.uses_trees:
            again = self._nearest_in_single(points, found)
        for near, rows, exact in zip(found, again, self.exact, strict=True):
            if len(rows):
                near[rows] = exact.kneighbors(points[rows], return_distance=False)
        return found

    def _nearest_in_single(
        self, points: Array, found: Sequence[Indices]
    ) -> list[Indices]:
        """Write the nearest of each size; return the points that remain in doubt."""
        lengths = np.sqrt(np.square(points.clip(-LONGEST, LONGEST)).sum(axis=1))
        is_doubtful = np.empty((len(self.sizes), len(points)), bool)
        for first in range(0, len(points), STEP):
            some = slice(first, first + STEP)
            products = _single(points[some]) @ self.points.T
            distances = torch.from_numpy(self.squares - 2 * products)
            for level, size in enumerate(self.sizes):
                few = distances[:, :size]
                best = few.topk(min(self.n_neighbors + 1, size), largest=False)
                found[level][some] = best.indices[:, : self.n_neighbors].numpy()
                is_doubtful[level, some] = _are_close(
                    best.values.numpy(), lengths[some], points.shape[1]
                )
        return [np.flatnonzero(doubts) for doubts in is_doubtful]


def _single(points: Array) -> NDArray[np.float32]:
    return points.clip(-LONGEST, LONGEST).astype(np.float32)


def _are_close(
    squared: NDArray[np.float32], lengths: Array, width: int
) -> NDArray[np.bool_]:
    """Return which rows have two distances that rounding may have exchanged.

    Parameters
    ----------
    squared : ndarray of shape (n, k)
        Squared distances from the nearest on, less the squared length of the point.
    lengths : ndarray of shape (n,)
        Of the points that are asked about.
    width : int
        Their number of dimensions.
    """
    gaps = np.diff(squared.astype(np.float64), axis=1)
    farthest = np.sqrt((squared[:, -1] + lengths**2).clip(min=0))
    single = np.finfo(np.float32)
    error = single.eps * np.sqrt(width) * (2 * lengths + farthest) ** 2
    error += width * single.tiny  # smaller squares lose digits
    too_close: NDArray[np.bool_] = (gaps <= N_ERRORS * error[:, None]).any(axis=1)
    return np.logical_or(too_close, lengths >= LONGEST)
