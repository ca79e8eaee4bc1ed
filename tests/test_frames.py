"""Data frames: columns of all numeric kinds, and of none."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sklatent import Autoencoder

N = 30


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "count": rng.integers(0, 9, N),
            "yes": rng.random(N) > 0.5,
            "small": rng.normal(size=N).astype(np.float32),
            "size": rng.normal(size=N),
        }
    )


def _model():
    return Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3, random_state=0)


NULLABLE = {"count": "Int64", "yes": "boolean", "small": "Float32", "size": "Float64"}
AS_FRAMES = {
    "plain": lambda frame: frame,
    "nullable": lambda frame: frame.astype(NULLABLE),
    "objects": lambda frame: frame.astype(object),
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "unsigned": lambda frame: frame.astype({"count": np.uint8}),
}


@pytest.mark.parametrize("kind", AS_FRAMES)
def test_numeric_columns_of_all_kinds_are_the_same_numbers(frame, kind):
    if kind == "pyarrow":
        pytest.importorskip("pyarrow")
    expected = _model().fit_transform(frame.to_numpy(dtype=np.float64))
    given = AS_FRAMES[kind](frame)
    model = _model()
    Z = model.fit(given).transform(given)
    assert Z.dtype == np.float64
    assert_array_equal(Z, expected)
    assert_array_equal(model.feature_names_in_, list(frame.columns))


def test_a_frame_of_float32_stays_float32(frame):
    Z = _model().fit_transform(frame[["small", "yes"]].astype(np.float32))
    assert Z.dtype == np.float32


TIMES = pd.date_range("2020", periods=N)
NO_NUMBERS = {
    "category": pd.Categorical(["a", "b"] * (N // 2)),
    "category of numbers": pd.Categorical([1, 2] * (N // 2)),
    "text": ["a", "b"] * (N // 2),
    "text of numbers": ["1", "2"] * (N // 2),
    "strings": pd.array(["a", "b"] * (N // 2), dtype="string"),
    "a text among numbers": pd.Series([1, "b"] * (N // 2), dtype=object),
    "times": TIMES,
    "durations": TIMES - TIMES[0],
    "complex": np.full(N, 1j),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_a_column_that_is_no_number_is_named(frame, kind, method):
    wrong = frame.assign(size=NO_NUMBERS[kind])
    model = _model().fit(frame)
    with pytest.raises(ValueError, match=r"not numbers: 'size' \(.*OneHotEncoder"):
        getattr(model, method)(wrong)
    model.transform(frame)  # it is as it was


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Object])
def test_a_column_of_polars_that_is_no_number_is_named(frame, dtype):
    column = pl.Series("town", ["a", "b"] * (N // 2), dtype=dtype)
    with pytest.raises(ValueError, match="not numbers: 'town'"):
        _model().fit(pl.from_pandas(frame).with_columns(column))


def test_only_the_first_of_many_columns_are_named():
    wrong = pd.DataFrame({f"c{i}": ["a"] * N for i in range(7)})
    with pytest.raises(ValueError, match=r"'c4' \(\w+\) and 2 more\. "):
        _model().fit(wrong)


def test_a_frame_without_columns_is_refused_as_an_array_would_be():
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\) \(shape="):
        _model().fit(pd.DataFrame(index=range(N)))
