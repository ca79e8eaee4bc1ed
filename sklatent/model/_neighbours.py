"""Distances to the nearest rows, at several densities of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Rows to look for neighbours among, at most: more are drawn from at random.
MAX_ROWS = 10_000
#: How many times fewer rows the next density has, at most.
FACTOR = 4
#: The weight of all rows, where that of each of the lower densities is 1.
WEIGHT_OF_ALL = 2.0
#: Rows of the lowest density, for each neighbour.
MIN_ROWS_PER_NEIGHBOR = 5
#: Rows of which the usual distances are, at most.
MAX_TYPICAL = 1000
#: Up to this width trees find neighbours faster than a look at all rows.
MAX_TREE_WIDTH = 5
#: Cells that are compared at once, about.
MAX_CELLS = 2**22


class Neighbours:
    r"""How far points are from their neighbours, as a multiple of the usual.

    With :math:`d_l(e)` the mean distance of a point to its k nearest among
    :math:`n_l` of the n points of a sample, and :math:`\tilde d_l` the median of that
    over the sample itself, the score is the mean of :math:`d_l(e) / \tilde d_l`. Here
    :math:`n_0 = n`, which counts twice, and the others fall by a factor of at most 4
    each, to 5 k. All points tell what is odd in a clean sample; a few hold apart what a
    group of outliers, near to each other, would hide (Sugiyama & Borgwardt 2013:
    distances to a small random sample find outliers as well as those to all, and better
    where these come in groups).

    A point is not its own neighbour: of the rows at each density, one that is equal to
    the row asked about is left out.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        The sample as it was given; by these, rows are equal or not.
    points : ndarray of shape (n, d)
        What they are mapped to; distances are between these.
    n_neighbors : int
        k.
    random : RandomState
        Draws the fewer rows.

    References
    ----------
    F. Angiulli and C. Pizzuti (2002). Fast outlier detection in high dimensional
    spaces. PKDD. (The mean distance to k neighbours.)

    M. Sugiyama and K. Borgwardt (2013). Rapid distance-based outlier detection via
    sampling. NeurIPS.
    """

    def __init__(
        self,
        rows: Array,
        points: Array,
        n_neighbors: int,
        random: np.random.RandomState,
    ) -> None:
        order = random.permutation(len(rows))[:MAX_ROWS]
        self.rows, self.points = rows[order], points[order]
        self.n_neighbors = min(n_neighbors, len(order) - 1)
        trees = points.shape[1] <= MAX_TREE_WIDTH
        algorithm = "kd_tree" if trees else "brute"
        self.levels: list[Any] = []
        for size in _sizes(len(order), MIN_ROWS_PER_NEIGHBOR * self.n_neighbors):
            level = NearestNeighbors(
                n_neighbors=self.n_neighbors + 1, algorithm=algorithm
            )
            self.levels.append(level.fit(self.points[:size]))
        weights = np.array([WEIGHT_OF_ALL] + [1.0] * (len(self.levels) - 1))
        self.weights = weights / weights.sum()
        self.typical = np.ones(len(self.levels))
        some = self.rows[:MAX_TYPICAL], self.points[:MAX_TYPICAL]
        usual = self._distances(some[1], self.nearest(*some))
        typical = np.median(usual, axis=0) + 1e-3 * usual.mean(axis=0)
        self.typical = np.where(typical > 0, typical, 1.0)

    def scores(self, rows: Array, points: Array) -> Array:
        """Return how odd each row is, shape (n,); about 1 is usual."""
        nearest = self.nearest(rows, points)
        scores: Array = self._distances(points, nearest) @ self.weights
        return scores

    def nearest(self, rows: Array, points: Array) -> list[Indices]:
        """Return each row's neighbours at each density, shape (n, n_neighbors)."""
        found = self._candidates(points)
        return [_drop(near, self._equal_row(rows, near)) for near in found]

    def own(self, rows: Array, points: Array) -> list[Indices]:
        """Return which row of each density is equal to each of the rows, or -1."""
        return [self._equal_row(rows, near) for near in self._candidates(points)]

    def _candidates(self, points: Array) -> list[Indices]:
        """Return one neighbour more than is needed, at each density."""
        return [
            level.kneighbors(points, return_distance=False) for level in self.levels
        ]

    def _equal_row(self, rows: Array, near: Indices) -> Indices:
        """Return which of the candidates is equal to each of the rows, or -1."""
        own = np.full(len(rows), -1)
        step = max(1, MAX_CELLS // (rows.shape[1] * near.shape[1]))
        for first in range(0, len(rows), step):
            some = slice(first, first + step)
            equal = (self.rows[near[some]] == rows[some, None]).all(axis=2)
            which = near[some][np.arange(len(equal)), equal.argmax(axis=1)]
            own[some] = np.where(equal.any(axis=1), which, -1)
        return own

    def _distances(self, points: Array, nearest: Sequence[Indices]) -> Array:
        """Return the mean distances at each density, as multiples of the usual."""
        levels = [self._lengths(points, near)[1].mean(axis=1) for near in nearest]
        return np.column_stack(levels) / self.typical

    def _lengths(self, points: Array, near: Indices) -> tuple[Array, Array]:
        # Those of a search have been rounded as differences of squares.
        away = points[:, None] - self.points[near]
        return away, np.sqrt(np.einsum("nkd,nkd->nk", away, away))

    def scores_and_gradients(
        self, points: Array, own: Sequence[Indices]
    ) -> tuple[Array, Array]:
        """Return the scores of points, and their derivatives by these, (n, d)."""
        candidates = self._candidates(points)
        nearest = [_drop(*pair) for pair in zip(candidates, own, strict=True)]
        gradient = np.zeros(points.shape)
        factors = self.weights / self.typical
        for near, factor in zip(nearest, factors, strict=True):
            away, lengths = self._lengths(points, near)
            away /= np.where(lengths > 0, lengths, 1)[:, :, None]
            gradient += factor * away.mean(axis=1)
        return self._distances(points, nearest) @ self.weights, gradient


def _drop(near: Indices, own: Indices) -> Indices:
    """Return candidates without one for each point; without an own, the farthest."""
    order = np.argsort(near == own[:, None], axis=1, kind="stable")
    kept: Indices = np.take_along_axis(near, order[:, :-1], axis=1)
    return kept


def _sizes(n: int, least: int) -> list[int]:
    """Return numbers of rows from n on, each less by the same factor."""
    if n <= least:
        return [n]
    n_steps = math.ceil(math.log(n / least) / math.log(FACTOR) - 1e-9)
    return [round(float(size)) for size in np.geomspace(n, least, n_steps + 1)]
