"""The linear start against scikit-learn's PCA."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

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


def test_constant_data():
    start = pca_start(np.full((5, 3), 2.0), 2, seed=0)
    assert start.residual == 0
    assert_allclose(start.decoder_bias, 2)
    assert np.isfinite(start.encoder_weight).all()
