"""The linear start against scikit-learn's PCA."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_low_rank_matrix
from sklearn.decomposition import PCA

from sklatent import Autoencoder
from sklatent.starts import pca_start


@pytest.mark.parametrize("n_components", [1, 3, 30])
def test_is_pca(cancer, n_components):
    X = (cancer - cancer.mean(0)) / cancer.std()
    start = pca_start(X, n_components, seed=0)
    pca = PCA(n_components).fit(X)

    Z = X @ start.encoder_weight + start.encoder_bias
    assert_allclose(Z * start.latent_scale, pca.transform(X), atol=1e-9)
    X_hat = Z @ start.decoder_weight + start.decoder_bias
    assert_allclose(X_hat, pca.inverse_transform(pca.transform(X)), atol=1e-9)
    assert_allclose(start.residual, np.sqrt(np.mean((X - X_hat) ** 2)), atol=1e-7)


def test_latents_have_unit_variance(digits):
    start = pca_start(digits, 8, seed=0)
    Z = digits @ start.encoder_weight + start.encoder_bias
    assert_allclose(Z.var(axis=0, ddof=1), 1)


def test_beyond_the_rank_nothing_is_added():
    X = np.random.default_rng(0).normal(size=(4, 3))
    start = pca_start(X, 5, seed=0)
    assert start.encoder_weight.shape == (3, 5)
    assert not start.encoder_weight[:, 3:].any()
    assert not start.decoder_weight[3:].any()
    X_hat = (X @ start.encoder_weight + start.encoder_bias) @ start.decoder_weight
    assert_allclose(X_hat + start.decoder_bias, X, atol=1e-12)


def test_many_rows_are_solved_exactly():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 600)) * np.linspace(2, 1, 600)
    start = pca_start(X, 5, seed=0)
    exact = PCA(5, svd_solver="full").fit(X)
    assert_allclose(start.latent_scale**2, exact.explained_variance_)


@pytest.mark.parametrize("n_rows", [150, 600, 2000])
def test_small_variances_are_found(n_rows):
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(100, 100)))
    latents = rng.normal(size=(n_rows, 100))
    latents, _ = np.linalg.qr(latents - latents.mean(axis=0))
    singular_values = np.logspace(0, -12, 100)
    X = (latents * singular_values) @ axes.T
    found = Autoencoder(hidden_layer_sizes=()).fit(X).singular_values_
    assert_allclose(found, singular_values, rtol=0.01)


def test_singular_values_to_14_digits():
    # As scikit-learn's test_singular_values of its incremental PCA has it.
    X = make_low_rank_matrix(
        100, 110, tail_strength=0.0, effective_rank=3, random_state=0
    )
    model = Autoencoder(3, hidden_layer_sizes=()).fit(X)
    Z = model.transform(X)
    assert_allclose(np.sum(model.singular_values_**2), np.sum(Z**2), atol=1e-14)
    expected = np.array([3.142, 2.718, 1.0])
    Z *= expected / np.sqrt(np.sum(Z**2, axis=0))
    found = model.fit(Z @ model.components_).singular_values_
    assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_constant_data():
    start = pca_start(np.full((5, 3), 2.0), 2, seed=0)
    assert start.residual == 0
    assert_allclose(start.decoder_bias, 2)
    assert np.isfinite(start.encoder_weight).all()
