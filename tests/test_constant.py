"""Constant columns leave the model, and come back exactly."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.decomposition import PCA

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
MODELS = (Autoencoder, DenoisingAutoencoder, VariationalAutoencoder)


@pytest.fixture
def constant(digits):
    """Digits, and which of its columns are constant."""
    X = digits[:200].copy()
    X[:, 32] = 7.3
    return X, np.ptp(X, axis=0) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [{}, {"ordered": True}, {"init": "random"}])
@pytest.mark.parametrize("model", MODELS)
def test_constant_columns_come_back_exactly(constant, model, params, dtype):
    X, is_constant = constant
    X = X.astype(dtype)
    fitted = model(3, **QUICK, **params).fit(X)
    assert_array_equal(fitted.reconstruct(X)[:, is_constant], X[:, is_constant])
    assert (fitted.components_[:, is_constant] == 0).all()
    assert fitted.components_.shape == (3, 64)
    assert fitted.feature_influence(X[:2]).shape == (2, 3, 64)
    if model is VariationalAutoencoder:
        rows = fitted.sample(20, random_state=0)
        assert_array_equal(rows[:, is_constant], X[:20, is_constant])
        covariance = fitted.get_covariance()
        assert (covariance[is_constant] == 0).all()
        precision = fitted.get_precision()
        varies = np.eye(64)[:, ~is_constant]
        assert_allclose(precision @ covariance @ varies, varies, atol=1e-2, rtol=0)


@pytest.mark.parametrize("model", MODELS)
def test_they_have_no_part_in_the_model(constant, model):
    X, is_constant = constant
    with_them = model(3, **QUICK).fit(X)
    without = model(3, **QUICK).fit(X[:, ~is_constant])
    # But for the scale, which is a mean over all columns, and the density of constants.
    expected = without.score(X[:, ~is_constant])
    if model is VariationalAutoencoder:
        expected += is_constant.sum() * norm.logpdf(0, scale=1e-6)
    assert_allclose(with_them.score(X), expected, rtol=0.05)
    other = X.copy()
    other[:, is_constant] += 1000.0
    assert_array_equal(with_them.transform(other), with_them.transform(X))


def test_the_score_counts_what_is_not_as_it_was(constant):
    X, is_constant = constant
    model = Autoencoder(3, hidden_layer_sizes=()).fit(X)
    pca = PCA(3).fit(X)
    other = X + 2.0 * is_constant
    left = np.square(other - pca.inverse_transform(pca.transform(other)))
    assert_allclose(model.score_samples(other), -left.sum(axis=1))
    total = np.square(other - pca.mean_).sum()
    assert model.score(other) == pytest.approx(1 - left.sum() / total)
    assert_allclose(model.noise_variance_, pca.noise_variance_)
    assert Autoencoder(hidden_layer_sizes=()).fit(X).n_components_ == 64


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods(likelihood):
    rate = np.repeat([1.0, 8.0], 50)[:, None]
    X = np.random.default_rng(0).poisson(rate, size=(100, 5)).astype(float)
    if likelihood == "bernoulli":
        X = (X > 3).astype(float)
    X[:, 1], X[:, 3] = 0.0, 1.0
    model = VariationalAutoencoder(2, likelihood=likelihood, **QUICK).fit(X)
    for rows in (model.reconstruct(X), model.sample(100, random_state=0)):
        assert_array_equal(rows[:, [1, 3]], X[:, [1, 3]])
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("model", MODELS)
def test_networks_of_the_users_see_all_columns(constant, model, init):
    X, is_constant = constant
    seen = []

    class Encoder(torch.nn.Linear):
        def forward(self, x):
            seen.append(x.shape[1])
            return super().forward(x)

    fitted = model(2, encoder=Encoder, decoder=torch.nn.Linear, init=init, **QUICK)
    fitted.set_params(decoder=lambda p, k: torch.nn.Linear(k, p)).fit(X)
    assert set(seen) == {64}
    assert_array_equal(fitted.reconstruct(X)[:, is_constant], X[:, is_constant])


def test_noise_of_the_users_sees_all_columns(constant):
    X, _ = constant
    shapes = []

    def noise(x):
        shapes.append(x.shape[1])
        return x + 1

    DenoisingAutoencoder(2, noise=noise, **QUICK).fit(X)
    assert set(shapes) == {64}


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize("model", MODELS)
def test_all_columns_constant(model):
    X = np.full((20, 3), 2.5)
    fitted = model(1, **QUICK).fit(X)
    assert_allclose(fitted.reconstruct(X), X, atol=1e-2)


def test_most_rows_equal_in_any_unit():
    X = np.zeros((1000, 5))
    X[:40] = np.random.default_rng(0).normal(size=(40, 5))
    scores = [
        Autoencoder(2, max_iter=5, random_state=0).fit(factor * X).score(factor * X)
        for factor in (1.0, 2.0**-90, 2.0**90)
    ]
    assert_allclose(scores, scores[0])
