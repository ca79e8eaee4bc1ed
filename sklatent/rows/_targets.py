"""What latents are to predict: classes or numbers, checked and coded."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.multiclass import type_of_target

from ._scale import Array
from ._weights import Merged

CLASSES = ("binary", "multiclass")
NUMBERS = ("continuous", "continuous-multioutput")
#: With no more than so many labels, each may be another class without a warning.
FEW_LABELS = 20
#: With fewer rows of a class, on average, whole numbers are probably no classes.
FEW_ROWS_OF_A_CLASS = 5


@dataclass(frozen=True)
class Targets:
    """The targets of all rows.

    Attributes
    ----------
    kind : {'classes', 'numbers'}
    classes : ndarray of shape (n_classes,) or None
        The labels, sorted; None for numbers.
    codes : ndarray of shape (n_samples, n_targets), float64
        For the linear start. Of classes, one-hot vectors divided by the roots of the
        class shares and centred, in which least squares is discriminant analysis; of
        numbers, these standardised. NaN where there is no label.
    values : ndarray of shape (n_samples, n_targets), float32
        For the loss: one-hot vectors, all zero where there is no label, or the
        standardised numbers, NaN where there is none.
    total : float
        What there is to explain, in the loss's units: the entropy of the class shares
        in nats, or the variances of the standardised numbers, summed. That is how many
        of them vary: one that does not is 0 throughout, and counts for nothing.
    given : ndarray of shape (n_samples, n_targets)
        What all this is made of: the index of the class, -1 where there is no label, or
        the numbers, NaN where there is none.
    unit : ndarray of shape (n_targets,) or None
        By what those numbers are divided.
    """

    kind: Literal["classes", "numbers"]
    classes: NDArray[Any] | None
    codes: Array
    values: NDArray[np.float32]
    total: float
    given: NDArray[Any]
    unit: Array | None = None

    def merged(self, merged: Merged) -> "Targets":
        """Return the targets of merged rows, coded by their weights."""
        given, weights = self.given[merged.rows], merged.weights.values
        if self.classes is not None:
            return coded_classes(self.classes, given[:, 0], weights)
        return replace(coded_numbers(given, weights), unit=self.unit)

    def in_units(self) -> NDArray[Any]:
        """Return what was given, numbers in their units."""
        return self.given if self.unit is None else self.given * self.unit

    def among(self, classes: NDArray[Any]) -> "Targets":
        """Return the same with more classes, sorted, than there are rows of.

        Raises
        ------
        ValueError
            If a label is none of them, or the targets are numbers.
        """
        if self.classes is None:
            raise ValueError("classes requires a y of classes; these are numbers.")
        check_known(self.classes, classes)
        places = np.append(np.searchsorted(classes, self.classes), -1)
        given = places[self.given[:, 0]]
        return coded_classes(classes, given, np.ones(len(given)))

    def labelled(self) -> NDArray[np.bool_]:
        """Return which rows have a label, or a number for some target, (n_samples,)."""
        return np.asarray(np.isfinite(self.codes).any(axis=1))

    def strata(self) -> NDArray[np.intp] | None:
        """Return the index of each row's class, -1 without a label; None of numbers."""
        if self.kind != "classes":
            return None
        return np.where(self.labelled(), self.values.argmax(axis=1), -1)


def targets_of(
    y: ArrayLike | None,
    target_type: str,
    *,
    semi_supervised: bool,
    estimator_name: str,
    all_classes: NDArray[Any] | None = None,
) -> Targets:
    """Check `y` and code it.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Class labels, or numbers, of which there may be several for a row.
    target_type : {'auto', 'continuous', 'binary', 'multiclass'}
        What `y` is, as in :class:`~sklearn.preprocessing.TargetEncoder`; 'auto' is
        what :func:`~sklearn.utils.multiclass.type_of_target` finds.
    semi_supervised : bool
        Whether rows may have no label: -1 or NaN for a class, in an array of objects
        where classes are strings, as in
        :class:`~sklearn.semi_supervised.SelfTrainingClassifier`; NaN for a number.
        None and ``pandas.NA`` are as NaN.
    estimator_name : str
        For messages.
    all_classes : ndarray or None, default=None
        The labels that there are, where some may not be in `y`.

    Returns
    -------
    targets : Targets

    Raises
    ------
    ValueError
        If `y` is None, is not finite, is not of that type, or has less than two classes
        or only constant numbers.

    Warns
    -----
    UserWarning
        If 'auto' takes whole numbers for classes that have few rows each.
    """
    if y is None:
        raise ValueError(
            f"This {estimator_name} estimator requires y to be passed, but the target "
            "y is None."
        )
    checked: NDArray[Any] = check_array(
        y,
        ensure_2d=False,
        dtype=None,
        order="C",  # sums in another differ in their last bits
        ensure_all_finite=False,
        input_name="y",
        estimator=estimator_name,
    )
    if checked.dtype.kind == "O":
        checked = missing_as_nan(checked)
    assert_all_finite(
        checked,
        allow_nan=semi_supervised,
        estimator_name=estimator_name,
        input_name="y",
    )
    targets = _coded(checked, target_type, semi_supervised)
    return targets if all_classes is None else targets.among(all_classes)


def check_known(labels: NDArray[Any], classes: NDArray[Any]) -> None:
    """Raise ValueError if a label is not among the classes."""
    among = set(classes.tolist())  # compared as they are: no 'yesterday' is a 'yes'
    new = sorted(set(labels.tolist()) - among, key=str)
    if new:
        raise ValueError(
            f"y has the class {new[0]!r}, which is not among {classes.tolist()}. Give "
            "all as `classes` in the first call of partial_fit."
        )


def missing_as_nan(y: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects with NaN for None and pandas.NA."""
    missing = [entry is None or is_pandas_na(entry) for entry in y.flat]
    return np.where(np.reshape(missing, y.shape), np.nan, y)


def _coded(y: NDArray[Any], target_type: str, semi_supervised: bool) -> Targets:
    """Code classes or numbers, whichever these are."""
    if semi_supervised and y.dtype.kind in "US":
        raise ValueError(
            "y is an array of strings, which has no value for rows without a label. "
            "With semi_supervised=True, pass an array of dtype object with -1 for them."
        )
    if target_type == "continuous":
        return _numbers(y)
    known = is_known(y)
    if semi_supervised and y.size == len(y):  # one for each row
        known &= y != -1
    if not known.any():
        raise ValueError("y has no label. At least one row must have one.")
    found = type_of_target(np.where(known, y, y[known][0]), input_name="y")
    if target_type == "auto" and found in NUMBERS:
        return _numbers(y)
    _check_type(found, target_type)
    targets = _classes(column_or_1d(y, warn=True), known.ravel())
    if target_type == "auto":
        _warn_of_many_classes(targets, int(known.sum()))
    return targets


def is_known(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which entries are not NaN, alone in not being equal to itself."""
    return np.asarray(y == y, dtype=bool)


def _check_type(found: str, target_type: str) -> None:
    """Raise unless classes of this type may be what was found."""
    if target_type == "auto" and found not in CLASSES:
        raise ValueError(
            f"Unknown label type: y is {found!r}. Required is one class for each row, "
            "'binary' or 'multiclass', or one number or several, 'continuous'. For "
            "several whole numbers for each row, pass target_type='continuous'."
        )
    if target_type != "auto" and found not in (target_type, "binary"):
        raise ValueError(
            f"Unknown label type: y is {found!r}, but target_type is {target_type!r}."
        )


def _warn_of_many_classes(targets: Targets, n_labelled: int) -> None:
    """Warn where whole numbers are probably no classes."""
    assert targets.classes is not None
    n_classes = len(targets.classes)
    is_number = targets.classes.dtype.kind in "iuf"
    are_few = n_labelled < FEW_ROWS_OF_A_CLASS * n_classes
    if is_number and n_labelled > FEW_LABELS and are_few:
        warnings.warn(
            f"y has {n_classes} classes in {n_labelled} rows with a label. If they are "
            "numbers, pass target_type='continuous'; if not, 'multiclass'.",
            UserWarning,
            stacklevel=2,
        )


def _classes(y: NDArray[Any], known: NDArray[np.bool_]) -> Targets:
    """Code class labels."""
    classes, index = np.unique(y[known], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has 1 class, {classes[0]!r}. At least 2 classes are required."
        )
    given = np.full(len(y), -1, np.intp)
    given[known] = index
    return coded_classes(classes, given, np.ones(len(y)))


def coded_classes(
    classes: NDArray[Any], given: NDArray[np.intp], weights: Array
) -> Targets:
    """Code the indices of classes, -1 where there is no label."""
    known = given >= 0
    index = given[known]
    shares = np.bincount(index, weights[known], len(classes)) / weights[known].sum()
    one_hot = np.zeros((len(given), len(classes)), np.float32)
    one_hot[np.flatnonzero(known), index] = 1
    there = np.where(shares > 0, shares, 1.0)  # a stream may not have shown one yet
    codes = one_hot / np.sqrt(there) - np.sqrt(shares)
    codes[~known] = np.nan
    entropy = -float(shares @ np.log(there))
    return Targets("classes", classes, codes, one_hot, entropy, given[:, None])


def _numbers(y: NDArray[Any]) -> Targets:
    """Standardise numbers, by what is known of each target."""
    y = check_array(
        y.reshape(len(y), -1),
        dtype=np.float64 if y.dtype.kind == "O" else "numeric",
        ensure_all_finite="allow-nan",  # where it may not be, that is known by now
        input_name="y",
    ).astype(np.float64)
    known = is_known(y)
    if not known.any(axis=0).all():
        raise ValueError("y has a target of which no row has a number.")
    low, high = np.nanmin(y, axis=0), np.nanmax(y, axis=0)
    varies = low < high
    if not varies.any():
        raise ValueError(f"y is constant, {low.tolist()}: there is nothing to predict.")
    largest = np.maximum(np.abs(low), np.abs(high))
    # Squares of large numbers would overflow.
    unit = np.where(varies, largest, 1.0)
    return replace(coded_numbers(y / unit), unit=unit)


def coded_numbers(given: Array, weights: Array | None = None) -> Targets:
    """Standardise numbers, NaN where there is none."""
    varies = np.nanmin(given, axis=0) < np.nanmax(given, axis=0)
    y = given - _known_mean(given, weights)
    y[:, ~varies] *= 0.0
    left = y[:, varies] - _known_mean(y[:, varies], weights)
    y[:, varies] /= np.sqrt(_known_mean(np.square(left), weights))
    values = y.astype(np.float32)
    return Targets("numbers", None, y, values, float(varies.sum()), given)


def _known_mean(y: Array, weights: Array | None) -> Array:
    """Return the mean of what is known of each target."""
    if weights is None:
        mean: Array = np.nanmean(y, axis=0)
        return mean
    share = weights[:, None] * is_known(y)
    return np.asarray(np.nansum(share * y, axis=0) / share.sum(axis=0))
