"""Kinds of trouble that users of other packages have reported, tried here."""

import pickle
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import dump, load
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_low_rank_matrix
from sklearn.pipeline import FeatureUnion

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
every = pytest.mark.parametrize("cls", ALL)


@pytest.fixture(name="X")
def table():
    """A small table in which three numbers say most of five."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(150, 3))
    noise = 0.3 * rng.normal(size=(150, 5))
    return np.tanh(hidden) @ rng.normal(size=(3, 5)) + noise


def misaligned(X):
    shifted = np.frombuffer(b"-" + X.tobytes(), np.uint8)[1:]
    return shifted.view(X.dtype).reshape(X.shape)


LAYOUTS = {
    "columns": np.asfortranarray,
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": lambda X: X.astype(">f8"),
    "misaligned": misaligned,
    "objects": lambda X: X.astype(object),
    "frame": pd.DataFrame,
    "frame of objects": lambda X: pd.DataFrame(X).astype(object),
    "nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcde")),
}


# scikit-learn/scikit-learn#26493: a frame's columns are contiguous, an array's rows.
@every
def test_memory_layout(X, cls):
    expected = cls(2, **QUICK).fit(X)
    for name, layout in LAYOUTS.items():
        rows = layout(X)
        model = cls(2, **QUICK).fit(rows)
        for attribute in ("mean_", "components_", "explained_variance_"):
            found = getattr(model, attribute)
            assert_array_equal(found, getattr(expected, attribute), err_msg=name)
        assert_array_equal(model.transform(rows), expected.transform(X), err_msg=name)


# scikit-learn/scikit-learn#5664, #7462: numpy.seterr(all="raise") of the user's.
@every
def test_numpy_errors_that_raise(X, cls):
    expected = cls(2, **QUICK).fit(X)
    with np.errstate(all="raise"):
        model = cls(2, **QUICK).fit(X)
        assert_array_equal(model.transform(X), expected.transform(X))
        assert_array_equal(model.score_samples(X), expected.score_samples(X))
        assert model.score(X) == expected.score(X)
        if cls is VariationalAutoencoder:
            drawn = model.sample(50, random_state=0)
            assert_array_equal(drawn, expected.sample(50, random_state=0))


# tqdm/tqdm#1593, #1654: programs without a console have no sys.stderr.
@every
def test_no_console(X, cls, monkeypatch):
    expected = cls(2, **QUICK).fit(X).transform(X)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    model = cls(2, verbose=1, **QUICK).fit(X)
    assert_array_equal(model.transform(X), expected)


# scikit-learn/scikit-learn#22746: numpy.nan_to_num writes the largest number for inf;
# others write 1e30 for a missing value.
@every
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float64, 1e30),
        (np.float32, 1e30),
        (np.float64, np.inf),
        (np.float32, -np.inf),
    ],
)
def test_huge_codes_for_missing_values(X, cls, dtype, value):
    rows = X.astype(dtype)
    rows[3, 2] = value
    with pytest.raises(ValueError, match="Is it a code for a missing value"):
        cls(2, **QUICK).fit(np.nan_to_num(rows))


@every
def test_numbers_without_a_sum(X, cls):
    with pytest.raises(ValueError, match="their sum is not finite. Divide X by"):
        cls(2, **QUICK).fit(1e307 * (15 + np.tanh(X)))


# lmcinnes/umap#566, #384: a row's latents depended on the rows that came with it, and
# transform changed the model.
@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_do_not_depend_on_each_other(X, cls, dtype):
    rows, tolerance = X.astype(dtype), 100 * np.finfo(dtype).eps
    model = cls(2, **QUICK).fit(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    for method in (model.transform, model.reconstruct, model.score_samples):
        together = method(rows)
        scale = np.abs(together).max()
        one_by_one = np.concatenate([method(row[None]) for row in rows])
        assert_allclose(one_by_one, together, atol=tolerance * scale)
        assert_allclose(method(rows[order]), together[order], atol=tolerance * scale)
        assert_array_equal(method(rows), together)


# scikit-learn/scikit-learn#18941, #11001: fit_transform was not fit and transform, and
# whitened components had not unit variance.
@every
@pytest.mark.parametrize("whiten", [False, True])
def test_fit_transform_is_fit_and_transform(X, cls, whiten):
    Z = cls(2, whiten=whiten, **QUICK).fit_transform(X)
    assert_array_equal(cls(2, whiten=whiten, **QUICK).fit(X).transform(X), Z)
    if whiten:
        assert_allclose(Z.var(axis=0, ddof=1), 1)


# scikit-learn/scikit-learn#29534: whitening blew up the noise of directions in which
# the rows do not vary.
@every
def test_whitening_of_deficient_rank(cls):
    rows = make_low_rank_matrix(
        300, 10, effective_rank=2, tail_strength=0, random_state=0
    )
    Z = cls(whiten=True, **QUICK).fit(rows).transform(rows)
    assert np.abs(Z).max() < 10


# facebookresearch/faiss#773, scikit-learn/scikit-learn#28581: float32 rows far from 0.
@every
def test_small_variance_far_from_zero(X, cls):
    near = cls(2, **QUICK).fit(X)
    rows = (X + 1e4).astype(np.float32)
    far = cls(2, **QUICK).fit(rows)
    explained = 1 - np.var(far.reconstruct(rows) - rows.astype(float)) / X.var(0).mean()
    expected = 1 - np.var(near.reconstruct(X) - X) / X.var(0).mean()
    assert explained == pytest.approx(expected, abs=0.01)


# scikit-learn/scikit-learn#25584, bentoml/BentoML#1219: a model whose arrays are mapped
# from a file, read-only.
@every
def test_models_mapped_from_a_file(X, cls, tmp_path):
    model = cls(2, **QUICK).fit(X)
    dump(model, tmp_path / "model.joblib")
    loaded = load(tmp_path / "model.joblib", mmap_mode="r")
    assert_array_equal(loaded.transform(X), model.transform(X))
    assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    loaded.set_params(warm_start=True).fit(X)


# scikit-learn/scikit-learn#16498, #34538: pandas.NA gave a TypeError from the inside.
@every
def test_missing_values_of_pandas(X, cls):
    frame = pd.DataFrame(X).astype("Float64")
    model = cls(2, **QUICK).fit(frame)
    frame.iloc[0, 0] = pd.NA
    for method in (model.fit, model.transform, model.score):
        with pytest.raises(ValueError, match=f"{cls.__name__} does not accept missing"):
            method(frame)


# scikit-learn/scikit-learn#32104: parts of a union with the same names in polars.
@every
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_unions_of_frames(X, cls, kind):
    frame = pd.DataFrame(X, columns=list("abcde"))
    parts = [("a", cls(2, **QUICK)), ("b", cls(1, **QUICK))]
    union = FeatureUnion(parts).set_output(transform=kind)
    Z = union.fit_transform(frame if kind == "pandas" else pl.from_pandas(frame))
    name = cls.__name__.lower()
    assert list(Z.columns) == [f"a__{name}0", f"a__{name}1", f"b__{name}0"]


# scikit-learn/scikit-learn#13007: sums of float16 overflowed.
@every
def test_half_precision(cls):
    rows = np.arange(3000.0).reshape(-1, 3) % [2000, 300, 7] + 100
    model = cls(1, **QUICK).fit(rows.astype(np.float16))
    assert_allclose(model.mean_, rows.astype(np.float16).mean(0, dtype=float))


# yzhao062/pyod#609: NaN where features have heavy tails and very different units.
@every
def test_unscaled_heavy_tails(cls):
    rng = np.random.default_rng(0)
    for seed in range(3):
        units = 10.0 ** rng.integers(-4, 5, 6)
        rows = rng.lognormal(sigma=3, size=(200, 6)) * units
        model = cls(3, hidden_layer_sizes=(16,), max_iter=10, random_state=seed)
        assert np.isfinite(model.fit(rows).score_samples(rows)).all()


COUNTS = np.random.default_rng(0).poisson(3 * np.ones((100, 5)))


# scverse/scvi-tools#2103, #873: NaN in training on cells without a count, or with many.
@pytest.mark.parametrize(
    "counts",
    [
        np.vstack([COUNTS, np.zeros((10, 5))]),
        np.hstack([COUNTS, np.zeros((100, 1))]),
        COUNTS * 1e6,
        np.vstack([COUNTS, np.full((1, 5), 1e6)]),
        COUNTS.astype(np.uint16),
    ],
    ids=["empty rows", "empty columns", "many", "one large row", "uint16"],
)
@pytest.mark.filterwarnings("ignore:No latent is active")
def test_counts_of_all_kinds(counts):
    model = VariationalAutoencoder(2, likelihood="poisson", **QUICK).fit(counts)
    assert np.isfinite(model.score_samples(counts)).all()
    assert np.isfinite(model.transform(counts)).all()
    assert np.isfinite(model.sample(20, random_state=0)).all()


# scikit-learn/scikit-learn#16441: methods that change the attributes of the estimator.
@every
def test_use_changes_no_attribute(X, cls):
    model = cls(2, **QUICK).fit(X)
    before = {name: id(value) for name, value in vars(model).items()}
    for method in ("transform", "score", "score_samples", "reconstruct"):
        getattr(model, method)(X)
    assert {name: id(value) for name, value in vars(model).items()} == before


# scikit-learn/scikit-learn#18111, #12413: classes that only the main program knows, in
# processes; they travel as here.
@every
def test_local_classes(X, cls):
    class Local(cls):
        pass

    cloudpickle = pytest.importorskip("cloudpickle")
    model = Local(2, **QUICK).fit(X)
    sent = pickle.loads(cloudpickle.dumps(model))
    assert_array_equal(sent.transform(X), model.transform(X))
