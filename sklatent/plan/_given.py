"""What `fit` is given of each row, and which rows are left of it."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from ..rows import Array, Indices, Merged, Rows, Weights, merge
from ._splits import Splits


@dataclass(frozen=True)
class Given:
    """What goes with each row; rows without weight are not there.

    Attributes
    ----------
    X, y, groups : as `fit` takes them
    weights : Weights or None
        Of the rows; None where all count once.
    place : ndarray of int of shape (n_given,) or None
        Of each row that `fit` was given, where it is among these; -1 where it is not
        there. None where all are.
    """

    X: Any
    y: Any
    groups: Any
    weights: Weights | None = None
    place: Indices | None = None

    @classmethod
    def of(cls, X: Any, y: Any, groups: Any, sample_weight: ArrayLike | None) -> Self:
        """Return the rows of positive weight that have an observed cell.

        Raises
        ------
        ValueError
            If the weights are not one non-negative number for each row, or leave less
            than two rows.
        """
        empty = _are_empty(X)
        if sample_weight is None and not len(empty):
            return cls(X, y, groups)
        values = (
            np.ones(len(X)) if sample_weight is None else _checked(sample_weight, X)
        )
        values[empty] = 0
        there = np.flatnonzero(values > 0)
        if not len(there) or (len(empty) and len(there) < 2):
            raise ValueError(
                f"X has {len(there)} row(s) with an observed value, all others being "
                "NaN throughout; at least 2 are required."
            )
        weights: Weights | None = Weights.of(values[there])
        assert weights is not None
        if weights.counts.sum() < 2:
            raise ValueError(
                "sample_weight leaves 1 row, all others having a weight of 0; at least "
                "2 rows are required."
            )
        if (weights.values == 1).all():
            weights = None
        if len(there) == len(values):
            return cls(X, y, groups, weights)
        place = np.full(len(values), -1)
        place[there] = np.arange(len(there))
        y, groups = (_some(part, X, there) for part in (y, groups))
        return cls(X[there], y, groups, weights, place)

    def distinct(self, data: Rows, splits: Splits) -> Merged | None:
        """Merge rows that are equal in all respects; None where there is none to merge.

        Of more rows than memory may hold none are merged.

        Parameters
        ----------
        data : Rows
            The rows, with their targets.
        splits : Splits
            Of which rows must be on the same side.
        """
        if data.is_large:
            return None
        labels: list[NDArray[Any]] = splits.sides(len(data))
        if splits.units is not None:
            labels.append(splits.units)
        if data.targets is not None:
            labels.append(data.targets.given)
        return merge(data.fingerprints(), labels, self.weights)

    def back(self, values: NDArray[Any], merged: Merged | None) -> NDArray[Any]:
        """Return values of merged rows for each row that was given, NaN where none."""
        if merged is not None:
            values = values[merged.place]
        if self.place is None:
            return values
        return np.where(
            self.place < 0, np.array(np.nan, values.dtype), values[self.place]
        )


def with_weights(
    X: NDArray[Any], sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], Array | None]:
    """Return the rows that have a weight, and their weights, if there are weights."""
    if sample_weight is None:
        return X, None
    weights = _checked(sample_weight, X)
    there = weights > 0
    return X[there], weights[there]


def _are_empty(X: Any) -> Indices:
    """Return which rows are NaN throughout; others than dense ones have no NaN."""
    if not isinstance(X, np.ndarray):
        return np.zeros(0, np.intp)
    some = np.flatnonzero(np.isnan(X[:, 0]))
    return some[np.isnan(X[some]).all(axis=1)]


def _checked(sample_weight: ArrayLike | None, X: Any) -> Array:
    """Return a new float64 array of the weights, ones where there are none.

    Raises
    ------
    ValueError
        If they are not one non-negative number for each row, or all zero.
    """
    if sample_weight is None:
        return np.ones(len(X))
    checked = _check_sample_weight(sample_weight, X, dtype=np.float64)
    weights: Array = np.array(checked)
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight must not be negative; got {weights.min():.3g}."
        )
    if not weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; all are zero."
        )
    return weights


def _some(part: Any, X: Any, rows: Indices) -> Any:
    """Return some entries of what has one for each row, if it is there."""
    if part is None:
        return None
    check_consistent_length(X, part)
    return _safe_indexing(part, rows)
