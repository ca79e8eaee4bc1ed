"""A detector of outliers that follows a stream of rows."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..nn import saved
from ._calibration import FLOOR
from ._labelled import LabelledRows
from ._oddness import Oddness

Array = NDArray[np.float64]

#: Rows that calibrate, at least and where `alpha` does not require more, and how many
#: times fewer are taken in at once.
MIN_WINDOW, BLOCKS = 512, 4
#: Of the training rows themselves, the share that is odd among them, and how probably a
#: row as odd is learned from where most others are not.
SHARE_ODD, PROBABILITY_IF_ODD = 0.01, 0.05


@saved
@dataclass(frozen=True)
class OutlierStream:
    """A detector, and the latest rows of a stream, which it has not seen.

    Rows wait in a window before they are learned from. So the window's scores by the
    detector as it is now calibrate it: it has seen neither these rows nor new ones, and
    if all are drawn alike, any of them is as likely to be the oddest: all but exactly
    so, as the window has a say in which earlier rows are learned from. By the time that
    a row leaves, the rows after it are known as well. One that is odd where most of
    these, and of as many rows before it, are not belongs to a burst, and is learned
    from with a small probability; once most rows are like it, the stream has changed,
    and it is learned from as others are. (Of the window alone, a burst of more than
    half its size would be most rows when it leaves.)

    Rows are taken in by blocks, so that what comes of a stream does not depend on the
    calls in which it came. Neighbours follow after each block, the encoder after as
    many rows as the window has. Nothing here is ever changed: new rows make a new one.

    Attributes
    ----------
    part : Oddness
        The detector.
    window : LabelledRows
        The latest rows, the earliest first.
    scores : ndarray of shape (n_window,)
        Theirs by `part`; higher is odder.
    size : int
        Rows that the window has, at most.
    seed : int
    n_taken_in : int
        Rows that have entered the window.
    pending : LabelledRows
        Rows after these, fewer than a block.
    learned : LabelledRows
        Neighbours that the encoder has not been fitted to.
    left : ndarray of shape (n_left,) or None
        Scores of the rows that left the window last, as they were then, as many as the
        window has. None are none.
    """

    part: Oddness
    window: LabelledRows
    scores: Array
    size: int
    seed: int
    n_taken_in: int
    pending: LabelledRows
    learned: LabelledRows
    left: Array | None = None

    @classmethod
    def begun(
        cls,
        part: Oddness,
        held_out: LabelledRows,
        scores: Array,
        alpha: float,
        seed: int,
    ) -> Self:
        """Return the stream after the first fit.

        Parameters
        ----------
        part : Oddness
            Fitted.
        held_out : LabelledRows
            Rows that it has not seen,
        scores : ndarray of shape (n_held_out,)
            and how it scores them.
        alpha : float
            The level for which there are to be rows enough.
        seed : int
        """
        size = max(MIN_WINDOW, int(np.ceil(1 / alpha)) - 1)
        window, none = held_out[-size:], held_out[:0]
        return cls(part, window, scores[-size:], size, seed, 0, none, none)

    def with_rows(self, rows: LabelledRows) -> Self:
        """Return the stream after more rows."""
        rows = self.pending.joined(rows)
        n_block = self.size // BLOCKS
        n_whole = len(rows) // n_block * n_block
        stream = self
        for first in range(0, n_whole, n_block):
            stream = stream._after(rows[first : first + n_block])
        return replace(stream, pending=rows[n_whole:])

    def _after(self, block: LabelledRows) -> Self:
        """Return the stream after a block of rows."""
        random = np.random.RandomState([self.seed, self.n_taken_in])
        window = self.window.joined(block)
        scores = np.concatenate([self.scores, self.part.scores(block.X)])
        leaving, scores = np.split(scores, [max(0, len(window) - self.size)])
        left = leaving if self.left is None else np.append(self.left, leaving)
        left = left[-self.size :]
        is_learned = self._is_learned(leaving, np.append(left, scores), random)
        new = window[: len(leaving)][is_learned]
        waiting = replace(
            self,
            window=window[len(leaving) :],
            scores=scores,
            left=left,
            n_taken_in=self.n_taken_in + len(block),
        )
        return waiting._after_learning(new, random) if len(new) else waiting

    def _after_learning(self, new: LabelledRows, random: np.random.RandomState) -> Self:
        """Return the stream with a detector of more rows."""
        part, learned = self.part, self.learned.joined(new)
        if len(learned) >= self.size:
            part, learned = part.fitted_further(learned), learned[:0]
        part = part.with_neighbours(new.X, random)
        scores = part.scores(self.window.X)
        return replace(self, part=part, scores=scores, learned=learned)

    def _is_learned(
        self, leaving: Array, latest: Array, random: np.random.RandomState
    ) -> NDArray[np.bool_]:
        """Return which of the rows that leave the window are learned from.

        Rows are odd where they are by as much above the median of the latest ones as
        few of the training rows are above theirs.
        """
        own = self.part.neighbours.own_scores + FLOOR
        spread = np.quantile(own, 1 - SHARE_ODD) / np.median(own)
        is_odd = leaving > spread * (np.median(latest) + FLOOR)
        drawn = random.uniform(size=len(leaving)) < PROBABILITY_IF_ODD
        is_learned: NDArray[np.bool_] = ~is_odd | drawn
        return is_learned
