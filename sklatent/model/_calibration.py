"""What held-out rows say of the scores of new ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..nn import saved

Array = NDArray[np.float64]

#: Added to scores, which are about 1, so that those of 0 can be divided by.
FLOOR = 1e-9
#: Numbers that are sorted at once, about.
MAX_CELLS = 2**22


@saved
@dataclass(frozen=True)
class Calibration:
    r"""Scores of rows by detectors that have not seen them.

    There are K detectors, each fitted without the rows of a fold, which it then scored:
    :math:`c_i` is the score of held-out row i by the detector :math:`k(i)` that has not
    seen it. The cross-conformal p-value of a new row with the scores
    :math:`s_1, \dots, s_K` is

    .. math:: p = \frac{1 + \#\{i : c_i \ge s_{k(i)}\}}{n + 1}.

    For a row that is drawn as the others were, :math:`P(p \le \alpha)` is at most
    :math:`\alpha` with one held-out part, and with folds at most about
    :math:`2 \alpha`, though seldom above :math:`\alpha` (Vovk 2015; Barber et al.
    2021).

    Attributes
    ----------
    scores : tuple of ndarray of shape (n_k,)
        Those of each detector, sorted, higher is odder.
    alpha : float
        The level at which `distances` is 1.

    References
    ----------
    V. Vovk (2015). Cross-conformal predictors. Annals of Mathematics and Artificial
    Intelligence 74.

    R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani (2021). Predictive
    inference with the jackknife+. Annals of Statistics 49.
    """

    scores: tuple[Array, ...]
    alpha: float

    def __len__(self) -> int:
        return sum(map(len, self.scores))

    def p_values(self, scores: Array) -> Array:
        """Return the p-values of rows with scores of shape (n, K)."""
        as_odd = np.ones(len(scores))
        for known, new in zip(self.scores, scores.T, strict=True):
            as_odd += len(known) - np.searchsorted(known, new, side="left")
        return as_odd / (len(self) + 1)

    @property
    def rank(self) -> int:
        """The largest r for which r / (n + 1) is at most `alpha`."""
        n = len(self)
        rank = int(self.alpha * (n + 1))
        return rank + (rank + 1 <= n and (rank + 1) / (n + 1) <= self.alpha)

    def distances(self, scores: Array) -> tuple[Array, Array]:
        r"""Return how far out rows are, in units of where the p-value is `alpha`.

        It is the factor by which all scores of a row would have to be divided for it
        to be on the line: above 1 exactly where the p-value is at most `alpha`. With
        one detector that is the score, divided by a quantile of the held-out ones. With
        folds it is the r-th smallest of :math:`s_{k(i)} / c_i`, with r the `rank`.
        Where held-out rows are too few for `alpha`, it is the least they allow.

        Parameters
        ----------
        scores : ndarray of shape (n, K)
            Of rows by each detector.

        Returns
        -------
        distances : ndarray of shape (n,)
        weights : ndarray of shape (n, K)
            Its derivatives by the scores.
        """
        n, n_parts = scores.shape
        if not len(self):
            return scores.mean(axis=1), np.full(scores.shape, 1 / n_parts)
        rank = max(1, self.rank)
        tops = [known[max(0, len(known) - rank) :] + FLOOR for known in self.scores]
        owner = np.repeat(np.arange(n_parts), [len(top) for top in tops])
        units = np.concatenate(tops)
        distances, weights = np.empty(n), np.zeros(scores.shape)
        for rows in _blocks(n, len(units)):
            ratios = (scores[rows][:, owner] + FLOOR) / units
            at = np.argpartition(ratios, rank - 1, axis=1)[:, rank - 1]
            distances[rows] = np.take_along_axis(ratios, at[:, None], axis=1)[:, 0]
            weights[np.arange(n)[rows], owner[at]] = 1 / units[at]
        return distances, weights


def _blocks(n: int, width: int) -> Iterator[slice]:
    step = max(1, MAX_CELLS // width)
    return (slice(i, i + step) for i in range(0, n, step))
