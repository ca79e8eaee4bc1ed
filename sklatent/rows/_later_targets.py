"""Targets of a stream, whose first rows have said what targets are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from ..nn import saved
from ._scale import Array
from ._targets import (
    Targets,
    check_known,
    coded_classes,
    coded_numbers,
    is_known,
    missing_as_nan,
)


@saved
@dataclass(frozen=True)
class TargetKind:
    """What all targets of a stream are.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
        The labels, sorted; None for numbers.
    n_targets : int
        How many numbers each row has.
    semi_supervised : bool
        Whether rows may have no label.
    """

    classes: NDArray[Any] | None
    n_targets: int
    semi_supervised: bool

    def check_same(self, classes: ArrayLike | None) -> None:
        """Raise ValueError if the classes are others than those of the first call."""
        if classes is None:
            return
        known: Any = [] if self.classes is None else self.classes
        if not np.array_equal(np.unique(np.asarray(classes)), known):
            raise ValueError(
                f"classes={classes!r} is not the same as in the first call of "
                f"partial_fit, {self.classes!r}."
            )

    def given(self, y: ArrayLike | None, n: int) -> NDArray[Any]:
        """Check the targets of n rows.

        Returns
        -------
        given : ndarray of shape (n, 1) or (n, n_targets)
            The index of each class, -1 without a label, or the numbers, NaN without.

        Raises
        ------
        ValueError
            If they are not of this kind.
        """
        if y is None:
            raise ValueError("partial_fit requires y: the model is of targets as well.")
        checked: NDArray[Any] = check_array(
            y, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name="y"
        )
        if checked.dtype.kind == "O":
            checked = missing_as_nan(checked)
        if len(checked) != n:
            raise ValueError(f"X has {n} rows, but y has {len(checked)}.")
        checked = checked.reshape(n, -1)
        known = is_known(checked)
        if not self.semi_supervised and not known.all():
            raise ValueError("Input y contains NaN, which semi_supervised=True allows.")
        if self.classes is None:
            return self._numbers(checked)
        return self._indices(checked, known)

    def _numbers(self, y: NDArray[Any]) -> Array:
        if y.shape[1] != self.n_targets:
            raise ValueError(
                f"y has {y.shape[1]} targets, but those of earlier rows were "
                f"{self.n_targets}."
            )
        return np.asarray(
            check_array(
                y, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y"
            )
        )

    def _indices(self, y: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.intp]:
        assert self.classes is not None
        if y.shape[1] != 1:
            raise ValueError(f"y must be one class for each row; it has {y.shape}.")
        if self.semi_supervised:
            known = known & (y != -1)
        labels = y[known]
        check_known(labels, self.classes)
        given = np.full(y.shape, -1, np.intp)
        # They are classes, so their type can be that of these.
        given[known] = np.searchsorted(self.classes, labels.astype(self.classes.dtype))
        return given

    def unlabelled(self, n: int) -> NDArray[Any]:
        """Return what n rows without a label are given."""
        if self.classes is None:
            return np.full((n, self.n_targets), np.nan)
        return np.full((n, 1), -1, np.intp)

    def coded(self, given: NDArray[Any], weights: Array) -> Targets:
        """Code what rows of these weights were given."""
        if self.classes is not None:
            targets = coded_classes(self.classes, given[:, 0], weights)
        else:
            largest = np.fmax.reduce(np.abs(given), axis=0)
            unit = np.where(largest > 0, largest, 1.0)
            targets = coded_numbers(given / unit, weights)
        # Of some rows of a stream all may be alike, and there is nothing to explain.
        return targets if targets.total > 0 else replace(targets, total=1.0)


def differ(y: NDArray[Any], *, semi_supervised: bool) -> bool:
    """Return whether rows have two labels, or two numbers of some target."""
    columns = y.reshape(len(y), -1)
    known = is_known(columns)
    if semi_supervised and columns.shape[1] == 1:
        known &= columns != -1
    found = [column[k] for column, k in zip(columns.T, known.T, strict=True)]
    if not all(map(len, found)):
        return False
    return any((values != values[0]).any() for values in found)
