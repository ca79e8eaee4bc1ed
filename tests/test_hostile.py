"""Hostile data, by hypothesis: a finite, sensible result or a clear error.

Never a crash, a hang, a NaN or a changed input. `make test-slow` runs thousands of
examples, `make test` some.
"""

import copy
import re
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)

ESTIMATORS = (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
DTYPES = ["f8", "f4", "f2", ">f8", ">f4", "i8", "i4", ">i2", "u1", "?", "O"]
LAYOUTS = ["C", "F", "reversed", "strided", "read-only", "memory map"]
FORMATS = ["csr", "csc", "coo", "lil", "bsr", "dok"]
NAMES = ["none", "text", "unicode", "integers", "mixed"]
#: Values that a cell may take instead of its own.
ODD = [0.0, -0.0, 1.0, 5e-324, 1e-310, 1e-40, 1e-20, 1e20, 1e40, 1e155, 1e300, 1.7e308]


@st.composite
def numbers(draw):
    """Rows of any size and scale, odd values among them, float64."""
    n, p = draw(st.integers(0, 30)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n, p)) * 10.0 ** draw(st.sampled_from([0, 0, 0, -9, 9]))
    X += draw(st.sampled_from([0, 0, 10, 1e6]))
    if not X.size:
        return X
    kind = draw(st.sampled_from(["as it is", "one row", "two rows", "whole", "rare"]))
    if kind == "one row":
        X[:] = X[0]
    elif kind == "two rows":
        X[:] = X[rng.integers(0, min(2, n), n)]
    elif kind == "whole":
        X = np.round(X)
    elif kind == "rare":
        X[rng.random(X.shape) < 0.9] = 0.0
    for _ in range(draw(st.integers(0, 3))):
        i, j = draw(st.integers(0, n - 1)), draw(st.integers(0, p - 1))
        value = draw(st.sampled_from([*ODD, np.nan, np.inf, -np.inf]))
        where = draw(st.sampled_from(["cell", "cell", "row", "column"]))
        rows = slice(None) if where == "column" else i
        columns = slice(None) if where == "row" else j
        X[rows, columns] = value * draw(st.sampled_from([1, 1, -1]))
    return X


@st.composite
def data(draw):
    """The same in any container, dtype and memory layout."""
    X = draw(numbers())
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not fit becomes something else
        X = X.astype(dtype)
    container = draw(st.sampled_from(["array", "frame", "sparse", "sparse", "list"]))
    if container == "list":
        return X.tolist()
    if container == "frame":
        X = X.astype(X.dtype.newbyteorder("="))
        frame = pd.DataFrame(X)
        names = draw(st.sampled_from(NAMES))
        if names == "unicode":
            frame.columns = [f"größe {j} \N{GRINNING FACE}" for j in frame]
        elif names == "text":
            frame.columns = [f"x{j}" for j in frame]
        elif names == "mixed":
            frame.columns = ["a", *range(1, X.shape[1])][: X.shape[1]]
        return frame
    if container == "sparse" and dtype.kind != "O" and dtype.str[1:] != "f2":
        return draw(matrices(X.astype(dtype.newbyteorder("="))))
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "reversed":
        return X[::-1, ::-1]
    if layout == "memory map" and X.size and dtype.kind != "O":
        with tempfile.TemporaryFile() as file:
            file.write(X.tobytes())
            file.flush()
            return np.memmap(file, dtype, "r", shape=X.shape)
    if layout == "strided":
        return np.repeat(X, 2, axis=1)[:, ::2]
    X.setflags(write=layout != "read-only")
    return X


@st.composite
def matrices(draw, X):
    """The same as a sparse matrix or array, some zeros of which are explicit."""
    made = sparse.csr_array(X)
    if draw(st.booleans()) and min(X.shape, default=0):  # duplicates and explicit zeros
        extra = np.array([0, 0]), np.array([0, 0])
        values = np.concatenate([made.tocoo().data, np.array([1, 0], X.dtype)])
        coo = made.tocoo()
        rows = np.concatenate([coo.row, extra[0]])
        columns = np.concatenate([coo.col, extra[1]])
        made = sparse.coo_array((values, (rows, columns)), X.shape)
        csr = sparse.csr_array(X.shape, dtype=X.dtype)
        order = np.argsort(rows, kind="stable")
        csr.data, csr.indices = values[order], columns[order].astype(np.int32)
        counts = np.bincount(rows, minlength=X.shape[0])
        csr.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        made = csr
    kind = draw(st.sampled_from(FORMATS))
    if kind != "csr":
        made = made.asformat(kind)
    if draw(st.booleans()):
        made = getattr(sparse, f"{kind}_matrix")(made)
    return made


def _same(a, b):
    """Return whether data are the same to the bit, in the same container."""
    if sparse.issparse(a):
        if a.format in ("csr", "csc"):
            names = ("data", "indices", "indptr")
            return all(_same(getattr(a, n), getattr(b, n)) for n in names)
        return _same(a.toarray(), b.toarray())
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, list):
        return repr(a) == repr(b)
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@st.composite
def models(draw):
    """One of the estimators, small and fast."""
    kind = draw(st.sampled_from(ESTIMATORS))
    parameters = {
        "hidden_layer_sizes": draw(st.sampled_from([(), (6,), (6, 6)])),
        "init": draw(st.sampled_from(["pca", "pca", "random"])),
        "whiten": draw(st.booleans()),
        "missing": draw(st.sampled_from(["error", "ignore"])),
        "max_iter": 2,
        "random_state": 0,
    }
    size = draw(st.sampled_from([None, 0, 1, 2, 3, 12, 0.5]))
    return kind(size, **parameters)


#: What a message is to speak of.
SPOKEN_OF = re.compile(
    r"\b(X|y|sample_weight|n_components|missing|rows?|features?|Feature names|Input|"
    r"sparse|samples?|Sample weights)\b"
)


def _is_clear(error):
    """Return whether an error is of what was given, not of arithmetic in between."""
    return not isinstance(error, np.linalg.LinAlgError) and SPOKEN_OF.search(str(error))


def _sizes(X):
    """Return the absolute values of all finite cells but zeros."""
    values = X.tocoo().data if sparse.issparse(X) else X
    values = np.abs(np.asarray(values, dtype=np.float64))
    return values[np.isfinite(values) & (values > 0)]


def _largest(X):
    return float(np.max(_sizes(X), initial=0.0))


def _length(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def check(X, model, weights, seed):
    """Fit and use a model; raise AssertionError where the result is not sensible."""
    n = _length(X)
    before = copy.deepcopy(X)
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    given = {}
    if weights:
        # A row that is left out may be so far away, in units of the others, that its
        # squares are no numbers.
        least = int(_largest(X) > 1e15 * min(1.0, np.min(_sizes(X), initial=1.0)))
        given["sample_weight"] = rng.integers(least, 3, n) * rng.choice([1.0, 0.3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "invalid value encountered in reduce")
        try:
            model.fit(X, y, **given)
        except (ValueError, TypeError) as error:
            if not _is_clear(error):
                raise
            assert not hasattr(model, "net_")
            assert _same(X, before)
            return "refused"
        Z = model.transform(X)
        X_hat = model.inverse_transform(Z)
        scores, score = model.score_samples(X), model.score(X)
    assert _same(X, before)
    assert Z.shape == (n, model.n_components_)
    assert X_hat.shape == (n, model.n_features_in_)
    assert np.isfinite(Z).all()
    assert np.isfinite(X_hat).all()
    largest = _largest(X)
    if largest < np.sqrt(np.finfo(scores.dtype).max) / 100:  # or squares are no numbers
        assert np.isfinite(scores).all()
    if 1e-150 < largest < 1e150:
        assert np.isfinite(score)
    assert not np.isnan(scores).any()
    assert not np.isnan(score)
    if model.init == "pca":
        assert np.abs(X_hat).max(initial=0.0) <= 100 * largest
    if isinstance(model, Autoencoder) and model.init == "pca" and not given:
        assert score >= -1e-3
    return "fitted"


EXAMPLES = {
    "X": data(),
    "model": models(),
    "weights": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}
SETTINGS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


@settings(max_examples=60, derandomize=True, **SETTINGS)
@given(**EXAMPLES)
def test_any_data(X, model, weights, seed):
    check(X, model, weights, seed)


def check_stream(X, model, sizes):
    """Give a model rows in batches; AssertionError where that is not sensible.

    A call that is refused must leave the model as it was.
    """
    X = X.toarray() if sparse.issparse(X) else X
    n, start, n_taken = _length(X), 0, 0
    y = np.arange(n) % 2
    before = copy.deepcopy(X)
    for size in [*sizes, n]:
        part = slice(start, start + size)
        start += size
        rows = X.iloc[part] if isinstance(X, pd.DataFrame) else X[part]
        state = dict(vars(model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", FutureWarning)
            try:
                model.partial_fit(rows, y[part])
                n_taken += _length(rows)
            except (ValueError, TypeError) as error:
                if not _is_clear(error):
                    raise
                assert vars(model).keys() == state.keys()
                assert all(vars(model)[k] is v for k, v in state.items())
    assert _same(X, before)
    if not hasattr(model, "net_"):
        return
    assert model.n_samples_seen_ == n_taken
    rows = np.random.default_rng(0).normal(size=(3, model.n_features_in_))
    deviation = np.sqrt(model.explained_variance_.astype(float).sum())
    rows = rows * min(deviation, 1e30) + model.mean_
    assert np.isfinite(model.reconstruct(rows.astype(model.mean_.dtype))).all()
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(np.ones((2, model.n_features_in_ + 1)), [0, 1])


BATCHES = st.lists(st.integers(1, 12), max_size=5)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@settings(max_examples=30, derandomize=True, **SETTINGS)
@given(X=data(), model=models(), sizes=BATCHES)
def test_any_batches(X, model, sizes):
    check_stream(X, model, sizes)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.slow
@settings(max_examples=1500, **SETTINGS)
@given(X=data(), model=models(), sizes=BATCHES)
def test_any_batches_at_length(X, model, sizes):
    check_stream(X, model, sizes)


class PressesCtrlC:
    """Raises KeyboardInterrupt at the n-th call of a function of the package."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, argument):
        if event == "call" and "sklatent" in frame.f_code.co_filename:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@settings(max_examples=15, derandomize=True, **SETTINGS)
@given(kind=st.sampled_from(ESTIMATORS), n=st.integers(3, 600), first=st.booleans())
def test_ctrl_c_within_a_call(kind, n, first):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.arange(60) % 2
    model = kind(1, hidden_layer_sizes=(6,), max_iter=2, random_state=0)
    model.partial_fit(X[:1] if first else X[:40], y[:1] if first else y[:40])
    expected = copy.deepcopy(model).partial_fit(X[40:], y[40:])
    state = dict(vars(model))
    sys.setprofile(PressesCtrlC(n))
    try:
        model.partial_fit(X[40:], y[40:])
    except KeyboardInterrupt:
        sys.setprofile(None)
        assert vars(model).keys() == state.keys()
        assert all(vars(model)[k] is v for k, v in state.items())
        model.partial_fit(X[40:], y[40:])
    finally:
        sys.setprofile(None)
    assert np.array_equal(model.transform(X), expected.transform(X))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_any_data_at_length(part):
    """With other examples each time: 6000 in all."""

    @settings(max_examples=1500, **SETTINGS)
    @given(**EXAMPLES)
    def test(X, model, weights, seed):
        check(X, model, weights, seed)

    test()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("shape", [(10**6, 1), (30, 20_000), (2, 1), (2, 3000)])
def test_extreme_shapes(kind, shape):
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = kind(1, max_iter=1, hidden_layer_sizes=(8,), random_state=0)
    assert check(X, model, False, 0) == "fitted"
