"""Distances to the nearest rows, at several densities of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nn import saved
from ._search import Search

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Rows to look for neighbours among, at most: more are drawn from at random.
MAX_ROWS = 10_000
#: Of a stream: rows to look for neighbours among, at most, and bytes that they take.
MAX_RECENT, MAX_BYTES = 2000, 2**25
#: How many times fewer rows the next density has, at most.
FACTOR = 4
#: Rows of the lowest density, for each neighbour.
MIN_ROWS_PER_NEIGHBOR = 5
#: Rows of which the usual distances are, at most.
MAX_TYPICAL = 1000
#: Cells that are compared at once, and cells of differences, about: as the cache has.
MAX_CELLS, CACHED_CELLS = 2**22, 2**16


@saved
class Neighbours:
    r"""How far points are from their neighbours, as a multiple of the usual.

    With :math:`d_l(e)` the mean distance of a point to its k nearest among
    :math:`n_l` of the n points of a sample, and :math:`\tilde d_l` the median of that
    over the sample itself, the score is the mean of :math:`d_l(e) / \tilde d_l`. Here
    :math:`n_0 = n`, and the others fall by a factor of at most 4 each, to 5 k; the
    distance to the nearest point of all is one more of these distances. Near points
    tell what is odd in a clean sample; a few hold apart what a group of outliers, near
    to each other, would hide (Sugiyama & Borgwardt 2013: distances to a small random
    sample find outliers as well as those to all, and better where these come in
    groups).

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
        self.search = self._new_search()
        some = self.rows[:MAX_TYPICAL], self.points[:MAX_TYPICAL]
        usual = self._lengths(some[1], self.nearest(*some))
        #: What the distances to neighbours count at each density, nearest first.
        self.weights = [
            np.full(self.n_neighbors, 1 / _typical(lengths.mean(axis=1)))
            / self.n_neighbors
            for _, lengths in usual
        ]
        self.weights[0][0] += 1 / _typical(usual[0][1][:, 0])
        self.weights = [weight / (len(self.weights) + 1) for weight in self.weights]
        #: The scores of some of the sample among the others.
        self.own_scores = self._scores(usual)

    def _new_search(self) -> Search:
        """Return the search for neighbours, and for one more, at all densities."""
        least = MIN_ROWS_PER_NEIGHBOR * self.n_neighbors
        sizes = _sizes(len(self.points), least)
        return Search(self.points, sizes, self.n_neighbors + 1)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the search, which holds the points once more."""
        return {name: v for name, v in vars(self).items() if name != "search"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what `__getstate__` gave."""
        vars(self).update(state)
        self.search = self._new_search()

    def scores(self, rows: Array, points: Array) -> Array:
        """Return how odd each row is, shape (n,); about 1 is usual."""
        nearest = self.nearest(rows, points)
        scores = np.empty(len(points))
        step = max(1, CACHED_CELLS // (points.shape[1] * nearest[0].shape[1] + 1))
        for first in range(0, len(points), step):
            some = slice(first, first + step)
            lengths = self._lengths(points[some], [near[some] for near in nearest])
            scores[some] = self._scores(lengths)
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
        return self.search.nearest(points)

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

    def scores_and_gradients(
        self, points: Array, own: Sequence[Indices]
    ) -> tuple[Array, Array]:
        """Return the scores of points, and their derivatives by these, (n, d)."""
        candidates = self._candidates(points)
        nearest = [_drop(*pair) for pair in zip(candidates, own, strict=True)]
        found = self._lengths(points, nearest)
        gradient = np.zeros(points.shape)
        for (away, lengths), weight in zip(found, self.weights, strict=True):
            slopes = weight / np.where(lengths > 0, lengths, 1)
            gradient += np.einsum("nkd,nk->nd", away, slopes)
        return self._scores(found), gradient

    def _scores(self, found: Sequence[tuple[Array, Array]]) -> Array:
        pairs = zip(found, self.weights, strict=True)
        parts = [lengths @ weight for (_, lengths), weight in pairs]
        scores: Array = np.sum(parts, axis=0)
        return scores

    def _lengths(
        self, points: Array, nearest: Sequence[Indices]
    ) -> list[tuple[Array, Array]]:
        """Return differences to neighbours (n, k, d), and their lengths, of each."""
        # Those of a search have been rounded as differences of squares.
        found = []
        for near in nearest:
            away = points[:, None] - self.points[near]
            found.append((away, np.sqrt(np.einsum("nkd,nkd->nk", away, away))))
        return found


def with_recent(kept: Array, rows: Array, random: np.random.RandomState) -> Array:
    """Return a bounded sample after more rows, of which recent ones are the more.

    Once there is no room, each new row takes the place of a random one, so that the
    probability of a row to be there falls exponentially with the rows after it.

    Parameters
    ----------
    kept : ndarray of shape (n_kept, p)
        In random order.
    rows : ndarray of shape (n, p)
    random : RandomState

    References
    ----------
    C. C. Aggarwal (2006). On biased reservoir sampling in the presence of stream
    evolution. VLDB.
    """
    size = max(2, min(MAX_RECENT, MAX_BYTES // kept[0].nbytes))
    n_free = max(0, size - len(kept))
    sample = np.concatenate([kept[:size], rows[:n_free]])
    later = rows[n_free:]
    sample[random.randint(len(sample), size=len(later))] = later
    return sample


def _typical(distances: Array) -> float:
    """Return the median distance, but no less than a share of the mean."""
    typical = float(np.median(distances) + 1e-3 * distances.mean())
    return typical if typical > 0 else 1.0


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
