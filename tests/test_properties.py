"""Autoencoder on data of all kinds, by hypothesis."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from sklatent import Autoencoder


@st.composite
def data(draw):
    """Rows of any shape, dtype, memory layout, scale and offset, some degenerate."""
    n_samples, n_features = draw(st.integers(2, 40)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_samples, n_features)) + draw(st.sampled_from([0, 10]))
    if draw(st.booleans()):
        X[:, 0] = 1.0
    if draw(st.booleans()):
        X[:, -1] = X[:, 0]
    if draw(st.booleans()):
        X[:] = X[0]
    X *= 10.0 ** draw(st.integers(-12, 12))
    X = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    layout = draw(st.sampled_from(["C", "F", "reversed", "strided", "readonly"]))
    if layout == "F":
        X = np.asfortranarray(X)
    elif layout == "reversed":
        X = X[::-1, ::-1]
    elif layout == "strided":
        X = np.repeat(X, 2, axis=1)[:, ::2]
    elif layout == "readonly":
        X.setflags(write=False)
    return X


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    X=data(),
    n_components=st.integers(1, 10),
    init=st.sampled_from(["pca", "random"]),
    whiten=st.booleans(),
    early_stopping=st.sampled_from(["auto", True, False]),
)
def test_any_data(X, n_components, init, whiten, early_stopping):
    before = X.copy()
    model = Autoencoder(
        n_components,
        init=init,
        whiten=whiten,
        early_stopping=early_stopping,
        hidden_layer_sizes=(8,),
        max_iter=3,
        random_state=0,
    ).fit(X)
    Z = model.transform(X)
    X_hat = model.inverse_transform(Z)
    assert np.array_equal(X, before)
    assert Z.shape == (len(X), n_components)
    assert X_hat.shape == X.shape
    assert Z.dtype == X_hat.dtype == X.dtype
    for result in (Z, X_hat, model.score_samples(X), model.score(X)):
        assert np.isfinite(result).all()
    size = max(np.abs(X - X.mean(axis=0, dtype=float)).max(), np.abs(X).max() * 1e-6)
    if not whiten:
        rounding = 4 * np.finfo(X.dtype).eps * np.abs(X).max()
        assert np.abs(Z.mean(axis=0)).max() <= 1e-2 * size + rounding
    if init == "pca" and n_components >= min(X.shape):
        assert_allclose(X_hat, X, atol=1e-3 * size, rtol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(X=data(), share=st.floats(0.01, 0.99))
def test_linear_model_is_pca(X, share):
    k = max(1, round(share * min(X.shape)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PCA divides by no variance
        pca = PCA(k).fit(X.astype(np.float64))
    ours = Autoencoder(k, hidden_layer_sizes=()).fit(X)
    expected = pca.inverse_transform(pca.transform(X.astype(np.float64)))
    size = float(np.abs(X).max())
    tolerance = 1e-9 if X.dtype == np.float64 else 1e-4
    # Where two variances are equal any axes will do, but what they leave is the same.
    assert np.square(ours.reconstruct(X) - X).sum() == pytest.approx(
        np.square(expected - X).sum(),
        rel=1e-3,
        abs=(tolerance * size) ** 2 * X.size,
    )


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_does_not_matter(digits, scale, dtype):
    model = Autoencoder(4, max_iter=3, hidden_layer_sizes=(32,), random_state=0)
    X = digits.astype(dtype)
    reference = model.fit(X).transform(X)
    # A power of two near the scale leaves all digits as they are.
    factor = dtype(2.0 ** np.round(np.log2(scale)))
    Z = model.fit(X * factor).transform(X * factor)
    assert_allclose(Z / factor, reference, rtol=1e-4, atol=1e-3)


def test_large_offset(digits):
    shift = 1e8
    one, other = (
        Autoencoder(4, hidden_layer_sizes=()).fit(X).transform(X)
        for X in (digits, digits + shift)
    )
    assert_allclose(one, other, atol=1e-5)
