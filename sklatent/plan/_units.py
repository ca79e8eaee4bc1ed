"""Which rows say nothing new of each other: groups, equal rows, a series."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_consistent_length

from ..rows import Indices, Rows

#: Rows that are looked at for a series.
MAX_COMPARED = 1000
#: Rows are a series where so many of them are nearer to the next row than to the third,
MIN_SHARE_NEARER = 0.7
#: by so many standard errors of that share without dependence,
MIN_DEVIATION = 4.0
#: and where distances at lag 1 are less than this share of those at lag 3.
MAX_RATIO = 0.75
#: Distances have levelled off where twice the lag adds less than this share.
LEVEL = 0.1
#: Rows are windows of one signal where so much more of their values are common than of
#: rows that are far apart;
MIN_SHARE_COMMON = 0.5
#: they overlap no more where it is less than this.
NO_OVERLAP = 0.05


def units_of(data: Rows, groups: ArrayLike | None = None) -> Indices:
    """Return the unit of each row: rows of one unit are to be on one side of a split.

    Units are the groups given, or rows that are equal to the last bit. More rows than
    memory may hold are not compared.

    Parameters
    ----------
    data : Rows
        All training rows.
    groups : array-like of shape (n_samples,) or None

    Returns
    -------
    units : ndarray of int of shape (n_samples,)
        From 0 on, in the order in which they are first seen. Where rows will be merged,
        which are equal or have weights, in one that does not depend on their order.
    """
    if data.is_large and groups is None:
        return np.arange(len(data))
    keys = np.arange(len(data)) if data.is_large else data.fingerprints()
    if groups is None:
        labels: Any = keys
    else:
        labels = check_array(
            groups,
            ensure_2d=False,
            dtype=None,
            input_name="groups",
            ensure_min_samples=0,
        )
        if labels.ndim != 1:
            raise ValueError(f"groups must be 1-dimensional; got {labels.ndim} axes.")
        check_consistent_length(data.in_units(), labels)
    try:
        _, first, units = np.unique(labels, return_index=True, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"groups must be labels of one kind, none of them missing: {error}"
        ) from error
    if data.weights is not None or len(np.unique(keys)) < len(keys):
        return np.asarray(units)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[units]


def length_of_dependence(data: Rows, units: Indices) -> int:
    """Return how many rows apart rows of a series are as good as independent.

    In a series (windows of a signal, frames of a speaker, neighbouring pixels) a row is
    nearer to the next than to the third after it, or has most of its values. Where rows
    are sorted, by a class for example, it is as near to both.

    Parameters
    ----------
    data : Rows
        All training rows.
    units : ndarray of int of shape (n_samples,)
        From `units_of`. Of equal rows only the first counts.

    Returns
    -------
    length : int
        The lag at which distances have levelled off and windows do not overlap; 0 where
        rows are no series.
    """
    rows = np.arange(len(data))
    if not data.is_large:
        rows = np.sort(np.unique(units, return_index=True)[1])
    if len(rows) < MIN_DEVIATION**2:
        return 0
    longest = len(rows) // 8
    by_distance = _levels_off(data, rows, longest)
    common = _common_values(data, rows)
    if not by_distance and common(1) < MIN_SHARE_COMMON:
        return 0
    lag = max(by_distance, 1)
    while 2 * lag <= longest and common(lag) > NO_OVERLAP:
        lag *= 2
    return lag


def _levels_off(data: Rows, rows: Indices, longest: int) -> int:
    """Return the lag, a power of 2, from which on rows are no farther apart."""
    next_one, third = (_distances(data, rows, lag, 3) for lag in (1, 3))
    share = float(np.mean(next_one < third))
    deviation = (2 * share - 1) * np.sqrt(len(third))
    ratio = np.median(next_one) / max(float(np.median(third)), 1e-300)
    if share < MIN_SHARE_NEARER or deviation < MIN_DEVIATION or ratio > MAX_RATIO:
        return 0
    lag, before = 1, float(np.median(next_one))
    while 2 * lag <= longest:
        after = float(np.median(_distances(data, rows, 2 * lag, 2 * lag)))
        if after < (1 + LEVEL) * before:
            break
        lag, before = 2 * lag, after
    return lag


def _distances(data: Rows, rows: Indices, lag: int, longest: int) -> np.ndarray:
    """Return squared distances between some rows and those `lag` after them."""
    n = len(rows) - longest
    some = np.linspace(0, n - 1, min(n, MAX_COMPARED)).astype(np.intp)
    difference = data.dense(rows[some]) - data.dense(rows[some + lag])
    squares: np.ndarray = np.square(difference).sum(axis=1)
    return squares


def _common_values(data: Rows, rows: Indices) -> Callable[[int], float]:
    """Return a function of the lag: which share of its values a row has of another.

    Beyond what rows have in common that are half of all rows apart.
    """
    if data.scale.basis is not None:  # sparse rows have their zeros in common
        return lambda _: 0.0

    def common(lag: int) -> float:
        n = len(rows) - lag
        some = rows[np.linspace(0, n - 1, min(n, 100)).astype(np.intp)]
        others = rows[np.linspace(0, n - 1, min(n, 100)).astype(np.intp) + lag]
        pairs = zip(data.values(some), data.values(others), strict=True)
        return float(np.mean([np.isin(a, b).mean() for a, b in pairs]))

    far = common(len(rows) // 2)
    return lambda lag: common(lag) - far
