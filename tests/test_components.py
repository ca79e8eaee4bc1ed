"""What code that was written for PCA reads, and the guide's table of it."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import datasets
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 8, "random_state": 0}
ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]
GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "in_place_of_pca.rst"
READ = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
    "mean_",
    "n_components_",
    "n_samples_",
    "n_features_in_",
)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("name", ["wine", "digits", "wide"])
def test_a_linear_model_has_the_attributes_of_pca(name, whiten, ordered):
    if name == "wide":  # fewer rows than features
        X = datasets.load_digits().data[:30]
    else:
        X = getattr(datasets, f"load_{name}")().data
    params = {"whiten": whiten}
    pca = PCA(5, **params).fit(X)
    ours = Autoencoder(5, hidden_layer_sizes=(), ordered=ordered, **params).fit(X)
    for attribute in READ:
        expected = getattr(pca, attribute)
        size = np.abs(expected).max()
        assert_allclose(
            getattr(ours, attribute), expected, atol=1e-7 * size, err_msg=attribute
        )


def test_a_full_linear_model_has_the_attributes_of_pca():
    X = datasets.load_wine().data
    pca, ours = PCA().fit(X), Autoencoder(hidden_layer_sizes=()).fit(X)
    for attribute in READ:
        assert_allclose(
            getattr(ours, attribute), getattr(pca, attribute), rtol=1e-6, atol=1e-7
        )
    assert_allclose(ours.explained_variance_ratio_.sum(), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", ALL)
def test_attributes_describe_the_latents(digits, cls, dtype):
    X = digits[:500].astype(dtype)
    model = cls(4, **QUICK).fit(X)
    Z = model.transform(X)
    rtol = 1e-3 if dtype == np.float32 else 1e-9
    assert_allclose(model.explained_variance_, Z.var(axis=0, ddof=1), rtol=rtol)
    assert_allclose(
        model.singular_values_, np.sqrt(499 * model.explained_variance_), rtol=1e-5
    )
    assert model.n_samples_ == 500
    for name in ("components_", "explained_variance_", "explained_variance_ratio_"):
        assert getattr(model, name).dtype == dtype
    X_hat = model.reconstruct(X)
    explained = 1 - np.square(X - X_hat).sum() / np.square(X - model.mean_).sum()
    assert_allclose(model.explained_variance_ratio_.sum(), explained, rtol=1e-4)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("cls", ALL)
def test_components_are_mean_steps(digits, cls, whiten):
    X = digits[:300]
    model = cls(3, whiten=whiten, early_stopping=False, **QUICK).fit(X)
    influence = model.feature_influence(X)
    assert influence.shape == (300, 3, 64)
    assert_allclose(influence.mean(axis=0), model.components_, atol=1e-10)
    assert model.components_ is model.components_  # kept
    # A step along one latent, of a size at which the decoder is as good as linear.
    Z = model.transform(X)
    step = np.zeros(3)
    step[1] = 1e-4
    ahead, behind = model.inverse_transform(Z + step), model.inverse_transform(Z - step)
    length = 2e-4 * np.sqrt(model.explained_variance_[1]) if whiten else 2e-4
    assert_allclose((ahead - behind) / length, influence[:, 1], atol=1e-5)


def test_whitening_changes_no_attribute(digits):
    plain, white = (
        Autoencoder(3, whiten=whiten, **QUICK).fit(digits) for whiten in (False, True)
    )
    for name in READ:
        assert_allclose(getattr(white, name), getattr(plain, name), rtol=1e-6)
    assert_allclose(
        plain.transform(digits) / np.sqrt(plain.explained_variance_),
        white.transform(digits),
    )


def test_components_of_many_rows_are_those_of_some(digits):
    X = np.tile(digits, (30, 1))
    model = Autoencoder(8, **QUICK).fit(X)
    mean = model.feature_influence(X[:1797]).mean(axis=0)
    size = np.abs(mean).max()
    assert_allclose(model.components_, mean, atol=0.05 * size)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_attributes_at_any_scale(scale):
    X = datasets.load_wine().data
    ours = Autoencoder(3, hidden_layer_sizes=()).fit(X * scale)
    pca = PCA(3).fit(X)
    assert_allclose(ours.components_, pca.components_, atol=1e-9)
    assert_allclose(ours.singular_values_ / scale, pca.singular_values_)
    assert_allclose(ours.explained_variance_ratio_, pca.explained_variance_ratio_)


def test_attributes_of_constant_rows():
    model = Autoencoder(2, **QUICK).fit(np.full((20, 3), 7.0))
    assert_array_equal(model.explained_variance_, [0, 0])
    assert_array_equal(model.explained_variance_ratio_, [0, 0])
    assert np.isfinite(model.components_).all()


def test_components_of_a_wide_model_are_affordable(monkeypatch):
    random = np.random.RandomState(0)
    X = random.standard_normal((400, 60)) @ random.standard_normal((60, 60))
    whole = Autoencoder(40, **QUICK).fit(X)
    monkeypatch.setattr("sklatent.model._summary.MAX_MULTIPLICATIONS", 2**22)
    some = Autoencoder(40, **QUICK).fit(X)
    assert len(some._summary.codes) < len(whole._summary.codes) == 400
    assert_allclose(some.components_, whole.components_, atol=0.05)


def test_before_fit():
    model = Autoencoder(2)
    assert not hasattr(model, "components_")
    with pytest.raises(NotFittedError):
        model.feature_influence([[1.0, 2.0]])


@pytest.mark.parametrize("kind", ["shared", "feature"])
@pytest.mark.parametrize("name", ["wine", "digits"])
def test_covariance_of_a_linear_model_is_that_of_its_classic(name, kind):
    X = getattr(datasets, f"load_{name}")().data
    X = StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])
    model = VariationalAutoencoder(4, hidden_layer_sizes=(), noise_variance=kind).fit(X)
    classic = (PCA if kind == "shared" else FactorAnalysis)(4).fit(X)
    expected, rtol = classic.get_covariance(), 1e-6 if kind == "shared" else 0.05
    difference = np.abs(model.get_covariance() - expected).max()
    assert difference < rtol * np.abs(expected).max()
    assert_allclose(
        model.get_precision() @ model.get_covariance(), np.eye(X.shape[1]), atol=1e-6
    )


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
def test_covariance_is_that_of_samples(digits, likelihood):
    X = digits[:400] / 16 if likelihood == "bernoulli" else digits[:400]
    if likelihood == "poisson":  # of rates whose logarithms vary little
        random = np.random.RandomState(0)
        X = random.poisson(
            np.exp(
                1
                + 0.3
                * random.standard_normal((400, 2))
                @ random.standard_normal((2, 8))
            )
        )
    params = {"likelihood": likelihood, "latent_prior": "standard", **QUICK}
    model = VariationalAutoencoder(3, **params).fit(X)
    drawn = np.cov(model.sample(40_000, random_state=0).T)
    size = np.abs(drawn).max()
    assert_allclose(model.get_covariance(), drawn, atol=0.05 * size)


# The table -----------------------------------------------------------------------


def table():
    """First column of the guide's table: what there is in PCA."""
    text = GUIDE.read_text().split(".. pca-table")[1]
    text = re.split(r"\n(?=\S)", text.split("list-table::")[1])[0]
    return re.findall(r"^   \* - ``(\w+)``$", text, flags=re.MULTILINE)


def test_the_table_has_all_of_pca_and_nothing_else():
    X = datasets.load_iris(as_frame=True).data
    fitted = PCA(2).fit(X)
    parameters = list(inspect.signature(PCA).parameters)
    attributes = [n for n in vars(fitted) if n.endswith("_") and n[0] != "_"]
    methods = [n for n in dir(PCA) if n[0] != "_" and callable(getattr(PCA, n, None))]
    rows = table()
    assert rows[0] == "PCA"
    assert len(rows) == len(set(rows))
    assert set(rows[1:]) == {*parameters, *attributes, *methods}


@pytest.mark.parametrize("cls", ALL)
def test_what_the_table_says_is_there_is_there(cls):
    X = datasets.load_iris(as_frame=True).data
    ours = cls(2, **QUICK).fit(X)
    text = GUIDE.read_text().split(".. pca-table")[1]
    for name in table()[1:]:
        row = text.split(f"* - ``{name}``")[1].split("* - ")[0].strip(" \n-")
        absent = row.startswith("Not there")
        if row.startswith("``VariationalAutoencoder`` only"):
            absent = cls is not VariationalAutoencoder
        assert hasattr(ours, name) is not absent, name
