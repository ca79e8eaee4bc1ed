"""How much rows count: sample weights, and rows that are there more than once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Of the largest weight, what each has at least.
LEAST_SHARE = 1e-100
#: Sums of whole numbers are exact up to here.
MAX_EXACT = 2.0**53


@dataclass(frozen=True)
class Weights:
    """How much each row counts.

    Attributes
    ----------
    values : ndarray of shape (n,)
        The weight of each in sums, positive.
    counts : ndarray of shape (n,)
        How many rows each stands for, where ``n - 1`` counts. The same, where weights
        are whole numbers: a weight of 3 is a row that is there three times.
    """

    values: Array
    counts: Array

    @classmethod
    def of(cls, values: Array) -> Self:
        """Return what positive sample weights mean.

        Weights that are not all whole numbers say only what rows count beside each
        other: they are scaled to a mean of 1.
        """
        n, largest = len(values), values.max()
        if (values == np.floor(values)).all() and largest <= MAX_EXACT / n:
            return cls(values, values)
        # Sums of these stay in the floats, and are never 0.
        values = np.maximum(values / largest, LEAST_SHARE)
        mean = np.sort(values).sum() / n  # the same in any order
        return cls(values / mean, np.ones(n))

    def summed(self, place: NDArray[np.intp]) -> Self:
        """Return the sums of those with the same number, from 0 on."""
        order = np.argsort(self.values, kind="stable")  # the same sum in any order
        place = place[order]
        values = np.bincount(place, weights=self.values[order])
        counts = np.bincount(place, weights=self.counts[order])
        return type(self)(np.asarray(values), np.asarray(counts))

    def __getitem__(self, part: NDArray[np.intp] | slice) -> Self:
        return type(self)(self.values[part], self.counts[part])


@dataclass(frozen=True)
class Merged:
    """Rows of which no two are the same.

    Attributes
    ----------
    rows : ndarray of int of shape (n_distinct,)
        The first of each kind. They are in an order that follows from what the rows
        are, and not from the order in which they came.
    weights : Weights
        Of each kind.
    place : ndarray of int of shape (n_samples,)
        Of each row that came, where its kind is among these.
    """

    rows: NDArray[np.intp]
    weights: Weights
    place: NDArray[np.intp]


def merge(
    fingerprints: NDArray[np.uint64],
    labels: Sequence[NDArray[np.generic]],
    weights: Weights | None,
) -> Merged | None:
    """Merge rows that are equal and have the same labels; None where there are none.

    Parameters
    ----------
    fingerprints : ndarray of shape (n_samples,)
        Equal for rows that are equal, and only for these.
    labels : sequence of ndarray of shape (n_samples,) or (n_samples, m)
        Numbers. They say nothing of the order but for equal rows: a weight of 2 and two
        rows have others.
    weights : Weights or None
        Of the rows; None where each counts once.
    """
    keys = _with_labels(fingerprints, labels)
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    if weights is None:
        if len(first) == len(keys):
            return None
        ones = np.ones(len(keys))
        weights = Weights(ones, ones)
    order = np.argsort(fingerprints[first], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Merged(first[order], weights.summed(rank[place]), rank[place])


def fingerprints(x: Array) -> NDArray[np.uint64]:
    """Return a number for each row, the same for equal rows and only for these.

    Parameters
    ----------
    x : ndarray of shape (n, p), float64
    """
    found: NDArray[np.uint64] = _mixed(x, _odd(x.shape[1])).sum(axis=1, dtype=np.uint64)
    return found


def sparse_fingerprints(X: Any) -> NDArray[np.uint64]:
    """Return the same for the rows of a CSR matrix."""
    cells = _mixed(X.data.astype(np.float64), _odd(X.shape[1])[X.indices])
    sums = np.concatenate([[np.uint64(0)], np.cumsum(cells, dtype=np.uint64)])
    found: NDArray[np.uint64] = sums[X.indptr[1:]] - sums[X.indptr[:-1]]
    return found


def _odd(n: int) -> NDArray[np.uint64]:
    """Return random odd numbers, always the same."""
    random = np.random.RandomState(0)
    odd: NDArray[np.uint64] = random.randint(0, 2**63, n, dtype=np.uint64) * 2 + 1
    return odd


def _mixed(x: Array, odd: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the bits of numbers, mixed with others; 0 for 0."""
    # -0.0 is equal to 0.0, and one NaN to another.
    bits = np.where(np.isnan(x), np.nan, x + 0.0).view(np.uint64)
    bits ^= bits >> 32  # numbers with few digits differ in the first bits only
    bits *= odd
    bits ^= bits >> 29
    return bits


def _with_labels(
    keys: NDArray[np.uint64], labels: Sequence[NDArray[np.generic]]
) -> NDArray[np.uint64]:
    """Return keys that also tell rows with other labels apart.

    Parameters
    ----------
    keys : ndarray of shape (n,)
    labels : sequence of ndarray of shape (n,) or (n, m)
        Numbers.
    """
    if not labels:
        return keys
    table = np.column_stack([label.astype(np.float64) for label in labels])
    return keys * np.uint64(0x9E3779B97F4A7C15) + fingerprints(table)


def mean_of(values: Array, weights: Array | None) -> float:
    """Return the mean of values, weighted if there are weights."""
    return float(values.mean() if weights is None else weights @ values / weights.sum())


def means_of(x: Array, weights: Array | None) -> Array:
    """Return the mean of each column, weighted if there are weights."""
    if weights is None:
        return np.asarray(x.mean(axis=0))
    # Not np.average, which adds in another order than mean.
    return np.asarray((weights[:, None] * x).sum(axis=0) / weights.sum())


def quantiles(values: Array, q: Sequence[float], weights: Array | None) -> Array:
    """Return quantiles of values; with weights, those below which their share lies."""
    if weights is None:
        return np.quantile(values, q)
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    # Half of the first and the last weight are beyond them.
    middle = (share - weights[order] / 2) / share[-1]
    return np.interp(q, middle, values[order])
