"""What `y` may be, and how it is coded."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from sklatent.rows import targets_of


def targets(y, target_type="auto", semi_supervised=False):
    return targets_of(
        y, target_type, semi_supervised=semi_supervised, estimator_name="Some"
    )


LABELS = np.array([3, 1, 3, 7, 3, 1])


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (LABELS, [1, 3, 7]),
        (LABELS.tolist(), [1, 3, 7]),
        (LABELS.astype(float), [1, 3, 7]),
        (LABELS.astype(str), ["1", "3", "7"]),
        (LABELS.astype(str).astype(object), ["1", "3", "7"]),
        (pd.Series(LABELS.astype(str), dtype="category"), ["1", "3", "7"]),
        (LABELS == 3, [False, True]),
    ],
)
def test_classes(y, classes):
    found = targets(y)
    assert found.kind == "classes"
    assert_array_equal(found.classes, classes)
    y = np.asarray(y)
    one_hot = y[:, None] == np.array(classes, dtype=y.dtype)
    assert_array_equal(found.values, one_hot)
    assert found.values.dtype == np.float32
    shares = one_hot.mean(axis=0)
    assert_allclose(found.codes, one_hot / np.sqrt(shares) - np.sqrt(shares))
    assert_allclose(found.codes.mean(axis=0), 0, atol=1e-12)
    assert_allclose(np.square(found.codes).mean(axis=0).sum(), len(classes) - 1)
    assert_allclose(found.total, -np.sum(shares * np.log(shares)))
    assert found.labelled().all()


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_numbers(shape, unit):
    y = np.random.default_rng(0).normal(3, 2, shape)
    found = targets(unit * y, "auto" if unit == 1 else "continuous")
    assert found.kind == "numbers"
    assert found.classes is None
    y = y.reshape(50, -1)
    assert_allclose(found.codes, (y - y.mean(axis=0)) / y.std(axis=0), atol=1e-12)
    assert_allclose(found.values, found.codes, atol=1e-6)
    assert found.values.dtype == np.float32
    assert found.total == y.shape[1]


def test_whole_numbers_may_be_numbers():
    assert targets(LABELS, "continuous").codes.shape == (6, 1)
    several = np.column_stack([LABELS, LABELS**2])
    assert targets(several, "continuous").codes.shape == (6, 2)
    found = targets(LABELS.astype(object), "continuous")
    assert_array_equal(found.codes, targets(LABELS, "continuous").codes)


def test_a_constant_target_counts_for_nothing():
    y = np.array([[0.1, 0.5], [0.1, 1.5], [0.1, -0.5]])
    found = targets(y)
    assert found.total == 1
    assert not found.codes[:, 0].any()
    with pytest.raises(ValueError, match="y is constant"):
        targets(y[:, 0])


def test_classes_without_a_label():
    y = np.array([3, -1, 3, 1, -1])
    found = targets(y, semi_supervised=True)
    labelled = y != -1
    assert_array_equal(found.classes, [1, 3])
    assert_array_equal(found.labelled(), labelled)
    alone = targets(y[labelled])
    assert_array_equal(found.codes[labelled], alone.codes)
    assert np.isnan(found.codes[~labelled]).all()
    assert_array_equal(found.values[labelled], alone.values)
    assert not found.values[~labelled].any()
    assert found.total == alone.total

    for missing in [
        np.where(labelled, y, np.nan),
        np.array([3, -1, 3, 1, -1.0]),
        np.array([str(v) if v > 0 else -1 for v in y], dtype=object),
    ]:
        other = targets(missing, semi_supervised=True)
        assert_array_equal(other.codes, found.codes)
    assert_array_equal(targets(y).classes, [-1, 1, 3])  # a label like others


def test_numbers_without_a_label():
    y = np.random.default_rng(0).normal(size=(9, 2))
    y[0] = y[1:4, 1] = np.nan
    found = targets(y, semi_supervised=True)
    assert_array_equal(np.isnan(found.codes), np.isnan(y))
    assert_array_equal(np.isnan(found.values), np.isnan(y))
    assert_array_equal(found.labelled(), np.arange(9) > 0)
    assert_allclose(np.nanmean(found.codes, axis=0), 0, atol=1e-12)
    assert_allclose(np.nanstd(found.codes, axis=0), 1)
    assert found.total == 2
    y[:, 0] -= 1 + np.nanmin(y)  # -1 is a number like others
    y[3, 0] = -1
    assert targets(y[:, 0], semi_supervised=True).labelled().sum() == 8


def test_a_column_of_classes_warns():
    with pytest.warns(DataConversionWarning, match="1d array was expected"):
        found = targets(LABELS[:, None])
    assert_array_equal(found.codes, targets(LABELS).codes)


@pytest.mark.parametrize(
    ("y", "target_type", "message"),
    [
        (None, "auto", "This Some estimator requires y to be passed, but the target"),
        ([1.0, np.nan, 2.0], "auto", "Input y contains NaN"),
        ([1.0, np.inf, 2.5], "continuous", "Input y contains infinity"),
        (LABELS, "binary", "y is 'multiclass', but target_type is 'binary'"),
        ([0.5, 1.0, 1.5], "multiclass", "y is 'continuous', but target_type"),
        ([[1, 0], [0, 1]], "auto", "y is 'multilabel-indicator'. Required is"),
        ([[1, 2], [3, 1]], "auto", "'multiclass-multioutput'. .*target_type='cont"),
        ([[1, 2], [3, 1]], "multiclass", "y is 'multiclass-multioutput', but"),
        ([1, 1, 1], "auto", "y has 1 class, .*1.*. At least 2 classes are required"),
        (["a", "b"], "continuous", "string"),
        (np.array([1, "a"], dtype=object), "auto", "Unknown label type"),
        ([], "auto", "0 sample"),
        (np.ones((2, 2, 2)), "auto", "dim 3"),
        ([1 + 1j, 2], "auto", "Complex data not supported"),
    ],
)
def test_what_y_may_not_be(y, target_type, message):
    with pytest.raises(ValueError, match=message):
        targets(y, target_type)


@pytest.mark.parametrize(
    ("y", "target_type", "message"),
    [
        ([-1, -1], "auto", "y has no label"),
        ([np.nan, np.nan], "continuous", "no row has a number"),
        ([[np.nan, 0.5], [np.nan, 1.5]], "auto", "no row has a number"),
        ([1, -1, 1], "auto", "y has 1 class"),
        ([1.0, np.inf, np.nan], "auto", "Input y contains infinity"),
        (["a", "b"], "auto", "y is an array of strings"),
    ],
)
def test_what_it_may_not_be_with_labels_missing(y, target_type, message):
    with pytest.raises(ValueError, match=message):
        targets(y, target_type, semi_supervised=True)


def test_y_is_not_written_to():
    y = np.random.default_rng(0).normal(size=(9, 2))
    y.flags.writeable = False
    assert targets(y).codes is not y
