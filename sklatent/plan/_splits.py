"""Which rows are held out of training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import GroupKFold, StratifiedKFold, check_cv

from ..rows import Indices, Merged, Rows
from ._units import length_of_dependence, units_of

#: From this many distinct rows on, one held-out part is enough to choose a state by.
MIN_ROWS_ONE_SPLIT = 800
#: With fewer distinct rows, no held-out part can tell anything.
MIN_ROWS_TO_SPLIT = 10
#: Folds where rows are fewer.
N_FOLDS = 5

#: Numbers of held-out rows, where there may be more rows than memory holds: 32 MB.
MAX_HELD_OUT = 2**23

Pair = tuple[Indices, Indices]


@dataclass(frozen=True)
class Splits:
    """Which rows are held out, and what follows from them.

    Attributes
    ----------
    pairs : tuple of (train, held_out) index arrays
        Empty where nothing is held out. What is held out is in random order.
    refit : bool
        True: the model is trained on all rows, with the splits or after them, to the
        epoch that these found best (`max_iter` without splits). False: it is the best
        state that the one split saw (the start without splits).
    units : ndarray of int of shape (n_samples,) or None
        Rows with the same number are not independent. None where all are, and no groups
        are given.
    how : str
        In words, for users.
    """

    pairs: tuple[Pair, ...]
    refit: bool
    units: Indices | None = None
    how: str = ""

    def merged(self, merged: Merged, seed: int) -> "Splits":
        """Return the same splits of merged rows; all of a kind are on one side."""
        place = np.full(len(merged.place), -1)
        place[merged.rows] = np.arange(len(merged.rows))
        random, pairs = np.random.RandomState(seed), []
        for pair in self.pairs:
            train, held_out = (np.sort(p[p >= 0]) for p in (place[s] for s in pair))
            pairs.append((train, random.permutation(held_out)))
        units = None if self.units is None else self.units[merged.rows]
        if units is not None and len(np.unique(units)) == len(units):
            units = None
        return replace(self, pairs=tuple(pairs), units=units)

    def sides(self, n: int) -> list[Indices]:
        """Return how often each of n rows is on each side of each split."""
        return [np.bincount(s, minlength=n) for pair in self.pairs for s in pair]


@dataclass(frozen=True)
class SplitBy:
    """What users say of the held-out rows, as `fit` and the constructor have it.

    Attributes
    ----------
    early_stopping : bool or 'auto'
        True is one held-out part; 'auto' the same from ``MIN_ROWS_ONE_SPLIT`` distinct
        rows (or groups) on and five folds below; False is none.
    validation_fraction : float
        Share of the rows in the one held-out part.
    cv : int, splitter, iterable or None
        Folds, in place of both.
    y, groups : array-like of shape (n_samples,) or None
        For the splitter; rows of one group are on one side of each split.
    strata : ndarray of int of shape (n_samples,) or None
        Of which each held-out part has its share, but for those of a splitter and
        stretches of a series.
    place : ndarray of int of shape (n_given,) or None
        Of each row that was given, where it is among the rows; -1 where it is none of
        them, having no weight. The index arrays of `cv` are of the rows given.
    """

    early_stopping: bool | str = "auto"
    validation_fraction: float = 0.1
    cv: Any = None
    y: Any = None
    groups: ArrayLike | None = None
    strata: Indices | None = None
    place: Indices | None = None


def error_inflation(splits: Splits) -> float:
    """Return the factor of a standard error over the held-out rows of all splits.

    It is the root of 1 + J n2 / n1 for J splits of n1 training rows and n2 others: what
    differs with the training rows, which splits share, is not seen in the spread over
    rows (Nadeau & Bengio 2003, "Inference for the generalization error").
    """
    ratios = [len(held_out) / len(train) for train, held_out in splits.pairs]
    return math.sqrt(1 + sum(ratios))


def choose_splits(data: Rows, by: SplitBy, seed: int, *, good_start: bool) -> Splits:
    """Choose the held-out rows.

    Parameters
    ----------
    data : Rows
        All training rows.
    by : SplitBy
        What users say of it.
    seed : int
        Which rows.
    good_start : bool
        Whether the start is worth keeping. It is kept where there are fewer than
        ``MIN_ROWS_TO_SPLIT`` distinct rows and training is not asked for by
        ``early_stopping=False``.

    Raises
    ------
    ValueError
        If `cv` or `groups` do not match the rows.
    """
    if not by.early_stopping:
        return Splits((), refit=True, how="no rows are held out")
    if by.cv is not None:
        return _given_splits(data, by, seed)
    units = units_of(data, by.groups)
    n_units = int(units.max()) + 1
    if n_units < (MIN_ROWS_TO_SPLIT if by.groups is None else 2):
        what = "distinct rows" if by.groups is None else "groups"
        return Splits((), not good_start, how=f"{n_units} {what} are too few to split")
    by = replace(by, validation_fraction=_fraction(data, by.validation_fraction))
    one_part = by.early_stopping is True or n_units >= MIN_ROWS_ONE_SPLIT
    length = 0 if by.groups is not None else length_of_dependence(data, units)
    if length:
        blocks = _blocks(units, length, one_part, by.validation_fraction, seed)
        # Where rows come back again and again, stretches have all of them.
        if min(len(train) for train, _ in blocks.pairs) >= MIN_ROWS_TO_SPLIT // 2:
            return blocks
    distinct = n_units == len(data)
    random = np.random.RandomState(seed)
    order = random.permutation(n_units)
    if by.strata is not None:
        first = np.unique(units, return_index=True)[1]
        order = _spread(order, by.strata[first])
    if one_part:
        share = by.validation_fraction
        n_held_out = min(max(2, round(share * n_units)), max(n_units - 2, 1))
        parts, how = [order[:n_held_out]], "one random part is held out"
    else:
        parts = np.array_split(order, min(N_FOLDS, n_units))
        how = f"{len(parts)} random folds"
    if not distinct:
        how += " of distinct rows" if by.groups is None else " of groups"
    pairs = [_pair_of_units(units, order, part, random) for part in parts]
    pairs = [pair for pair in pairs if len(pair[0]) > 1]  # of one row nothing is learnt
    if not pairs:
        return Splits((), not good_start, how="groups leave one row to train on")
    return Splits(tuple(pairs), not one_part, _none_if_alone(units, by), how)


def _none_if_alone(units: Indices, by: SplitBy) -> Indices | None:
    """Return None for units of a row each; groups also tell equal rows apart."""
    alone = by.groups is None and len(np.unique(units)) == len(units)
    return None if alone else units


def _fraction(data: Rows, share: float) -> float:
    """Return the share of rows to hold out: they are copied, which many cannot be."""
    n, p = data.shape
    return min(share, MAX_HELD_OUT / (n * p)) if data.is_large else share


def _spread(order: Indices, strata: Indices) -> Indices:
    """Return units in an order of which each stretch has its share of all strata."""
    position = np.empty(len(order))
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(position[order], kind="stable")]


def _pair_of_units(
    units: Indices,
    order: Indices,
    part: Indices,
    random: np.random.RandomState,
) -> Pair:
    """Return the rows of all other units, and in random order those of these units."""
    is_held_out = np.zeros(len(order), bool)
    is_held_out[part] = True
    train = np.flatnonzero(~is_held_out[units])
    if len(units) == len(order) and (units[1:] > units[:-1]).all():  # a row each
        return train, part.copy()  # and not a view, which keeps all of the order
    return train, random.permutation(np.flatnonzero(is_held_out[units]))


def _blocks(
    units: Indices, length: int, one_part: bool, share: float, seed: int
) -> Splits:
    """Hold out stretches of a series, and train on what is far enough from them.

    A row within `length` of a stretch, or equal to one in it, is on neither side.
    """
    n = len(units)
    random = np.random.RandomState(seed)
    if one_part:
        size = min(max(2, round(share * n)), n // 2)
        n_blocks = max(1, min(N_FOLDS, size // (4 * length)))
        ends = np.linspace(0, n, n_blocks + 1).astype(np.intp)[1:]
        blocks = [np.arange(end - size // n_blocks, end) for end in ends]
        parts = [np.concatenate(blocks)]
    else:
        parts = np.array_split(np.arange(n), N_FOLDS)
    pairs = []
    for part in parts:
        near = (part[:, None] + np.arange(-length, length + 1)).clip(0, n - 1)
        is_left_out = np.isin(units, units[part])
        is_left_out[near] = True
        pairs.append((np.flatnonzero(~is_left_out), random.permutation(part)))
    how = (
        "neighbouring rows depend on each other: "
        f"{'one part' if one_part else f'{N_FOLDS} folds'} of whole stretches, rows "
        f"within {length} of them on neither side"
    )
    return Splits(tuple(pairs), not one_part, np.arange(n) // length, how)


def _given_splits(data: Rows, by: SplitBy, seed: int) -> Splits:
    """Return the splits that `cv` makes."""
    n, groups, y = len(data), by.groups, by.y
    cv = check_cv(by.cv, y)
    if isinstance(by.cv, int | np.integer):
        if groups is not None:
            cv = GroupKFold(int(by.cv))
        elif by.strata is not None:  # else a fold of sorted rows is a class
            cv, y = StratifiedKFold(int(by.cv)), by.strata
    random = np.random.RandomState(seed)
    pairs = []
    is_splitter = isinstance(by.cv, int | np.integer) or hasattr(by.cv, "split")
    place = np.arange(n) if is_splitter or by.place is None else by.place
    for pair in cv.split(data.in_units(), y, groups):
        train, held_out = (_present(part, place) for part in pair)
        pairs.append((np.sort(train), random.permutation(held_out)))
    if not pairs:
        raise ValueError(f"cv={by.cv!r} gives no split; is it used up?")
    units = _none_if_alone(units_of(data, groups), by)
    how = "1 split by cv" if len(pairs) == 1 else f"{len(pairs)} folds by cv"
    return Splits(tuple(pairs), len(pairs) > 1, units, how)


def _present(part: Any, place: Indices) -> Indices:
    """Return where the rows of a side are, without those that have no weight."""
    found = place[_indices(part, len(place))]
    found = found[found >= 0]
    if not len(found):
        raise ValueError(
            "cv gives a side on which all rows have a sample_weight of 0; got "
            f"{part!r}."
        )
    return found


def _indices(part: Any, n: int) -> Indices:
    """Return indices, of a mask perhaps, after a check against the rows."""
    found = np.asarray(part)
    if found.dtype == bool and found.shape == (n,):
        found = np.flatnonzero(found)
    whole = found.ndim == 1 and np.issubdtype(found.dtype, np.integer)
    if not whole or len(found) < 2:
        raise ValueError(
            "cv must give index arrays of two rows or more for each side; got "
            f"{part!r}."
        )
    if found.min() < -n or found.max() >= n:
        raise ValueError(
            f"cv gives row {found.max() if found.max() >= n else found.min()}, but X "
            f"has {n} rows."
        )
    return np.asarray(found % n, dtype=np.intp)


def held_out_units(splits: Splits) -> Iterator[Indices]:
    """Yield the units of each split's held-out rows, unlike over splits."""
    n_so_far = 0
    for _, held_out in splits.pairs:
        if splits.units is None:
            yield n_so_far + np.arange(len(held_out))
            n_so_far += len(held_out)
        else:
            yield n_so_far + splits.units[held_out]
            n_so_far += int(splits.units.max()) + 1
