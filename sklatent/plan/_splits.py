"""Which rows are held out of training."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold, train_test_split

from ..rows import Indices

#: From this many rows on, one held-out part is large enough to choose a state by.
MIN_ROWS_ONE_SPLIT = 800
#: With fewer rows, no held-out part can tell anything.
MIN_ROWS_TO_SPLIT = 10


@dataclass(frozen=True)
class Splits:
    """Which rows are held out, and what follows from them.

    Attributes
    ----------
    pairs : tuple of (train, held_out) index arrays
        Empty where nothing is held out. What is held out is in random order.
    refit : bool
        True: the model is trained on all rows, for as many epochs as the splits found
        best (`max_iter` without splits). False: it is the best state that the one
        split saw (the start without splits).
    """

    pairs: tuple[tuple[Indices, Indices], ...]
    refit: bool


def choose_splits(
    n_samples: int,
    early_stopping: bool | str,
    validation_fraction: float,
    seed: int,
    *,
    good_start: bool,
) -> Splits:
    """Choose the held-out rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    early_stopping : bool or 'auto'
        As in the estimators: True is one held-out part; 'auto' the same from
        ``MIN_ROWS_ONE_SPLIT`` rows on and five folds below; False is none.
    validation_fraction : float
        Share of the rows in the one held-out part.
    seed : int
        Which rows.
    good_start : bool
        Whether the start is worth keeping. It is kept where there are fewer than
        ``MIN_ROWS_TO_SPLIT`` rows and training is not asked for by
        ``early_stopping=False``.
    """
    if not early_stopping:
        return Splits((), refit=True)
    if n_samples < MIN_ROWS_TO_SPLIT:
        return Splits((), refit=not good_start)
    if early_stopping == "auto" and n_samples < MIN_ROWS_ONE_SPLIT:
        order = np.random.RandomState(seed).permutation(n_samples)
        folds = [(np.sort(order[a]), order[b]) for a, b in KFold(5).split(order)]
        return Splits(tuple(folds), refit=True)
    n_held_out = min(max(2, round(validation_fraction * n_samples)), n_samples - 2)
    train, held_out = train_test_split(
        np.arange(n_samples), test_size=n_held_out, random_state=seed
    )
    return Splits(((train, held_out),), refit=False)
