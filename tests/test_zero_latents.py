"""Models of no latent: the mean, as PCA(0) and FactorAnalysis(0) are."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]
X = np.random.default_rng(0).normal(3.0, [5.0, 2.0, 1.0, 0.5], size=(90, 4))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"ordered": True},
        {"ordered": [1, 2]},
        {"whiten": True},
        {"init": "random"},
        {"early_stopping": False},
        {"encoder": nn.Linear(4, 2), "decoder": nn.Linear(2, 4)},
        {"warm_start": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("cls", ALL)
def test_no_latent_is_the_mean(cls, params, dtype):
    rows = X.astype(dtype)
    model = cls(0, random_state=0, **params).fit(rows).fit(rows)
    pca = PCA(0).fit(rows)
    Z, tol = model.transform(rows), 1e-12 if dtype == np.float64 else 1e-5
    assert Z.shape == pca.transform(rows).shape == (90, 0)
    assert Z.dtype == dtype
    for X_hat in (model.inverse_transform(Z), model.reconstruct(rows)):
        assert X_hat.dtype == dtype
        assert_allclose(X_hat, np.broadcast_to(X.mean(axis=0), X.shape), rtol=1e-5)
    assert_allclose(model.mean_, pca.mean_, rtol=tol)
    assert model.n_components_ == pca.n_components_ == 0
    assert model.components_.shape == pca.components_.shape == (0, 4)
    for name in (
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
    ):
        assert getattr(model, name).shape == getattr(pca, name).shape == (0,)
    assert model.feature_influence(rows).shape == (90, 0, 4)
    assert len(model.get_feature_names_out()) == 0
    assert model.n_iter_ == 1
    assert not model.loss_curve_
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_array_equal(other.reconstruct(rows), model.reconstruct(rows))
        assert other.score(rows) == model.score(rows)
    assert clone(model).fit(rows).n_components_ == 0


@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_it_explains_nothing_and_leaves_all_variance(cls):
    model = cls(0).fit(X)
    assert_allclose(model.score(X), 0, atol=1e-12)
    assert_allclose(model.noise_variance_, PCA(0).fit(X).noise_variance_)
    assert_allclose(
        model.score_samples(X), -np.square(X - X.mean(axis=0)).sum(axis=1), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("kind", "classic"), [("shared", PCA(0)), ("feature", FactorAnalysis(0))]
)
def test_its_likelihood_is_the_classic_one(kind, classic):
    model = VariationalAutoencoder(0, noise_variance=kind, random_state=0).fit(X)
    classic = classic.fit(X)
    assert_allclose(model.score_samples(X), classic.score_samples(X), rtol=1e-4)
    assert_allclose(model.noise_variance_, classic.noise_variance_, rtol=1e-4)
    assert_allclose(model.get_covariance(), classic.get_covariance(), 1e-4, 1e-9)
    assert_allclose(model.get_precision(), classic.get_precision(), 1e-4, 1e-9)
    best = max(PCA(0).fit(X).score(X), FactorAnalysis(0).fit(X).score(X))
    auto = VariationalAutoencoder(0, random_state=0).fit(X)
    assert_allclose(auto.score(X), best, rtol=1e-4)


@pytest.mark.parametrize(
    "prior", ["standard", "gaussian_mixture", "aggregated_posterior"]
)
def test_what_it_draws(prior):
    model = VariationalAutoencoder(0, latent_prior=prior, random_state=0).fit(X)
    rows = model.sample(4000, random_state=0)
    assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.3)
    assert_allclose(rows.std(axis=0), X.std(axis=0), rtol=0.1)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods_without_latents(likelihood):
    counts = np.random.default_rng(0).binomial(1, [0.1, 0.5, 0.8], size=(2000, 3))
    rows = counts.astype(float)
    model = VariationalAutoencoder(0, likelihood=likelihood, random_state=0).fit(rows)
    assert_allclose(model.reconstruct(rows[:1])[0], rows.mean(axis=0), rtol=0.02)
    assert_allclose(
        model.sample(2000, random_state=0).mean(axis=0), rows.mean(axis=0), 0.1
    )


@pytest.mark.parametrize("shape", [(600, 5), (8, 20), (30, 1200)])
def test_all_routes_of_the_solver(shape):
    rows = np.random.default_rng(0).normal(1.0, size=shape)
    model = Autoencoder(0).fit(rows)
    assert_allclose(model.reconstruct(rows[:1])[0], rows.mean(axis=0), atol=1e-12)
    assert_allclose(model.noise_variance_, PCA(0).fit(rows).noise_variance_)


def test_a_search_may_begin_with_none():
    # As scikit-learn's example plot_pca_vs_fa_model_selection does.
    sizes = np.arange(0, 4, 2)
    linear = {"hidden_layer_sizes": (), "random_state": 0}
    rows = X + X[:, :1]
    for model in (Autoencoder(**linear), VariationalAutoencoder(**linear)):
        scores = [
            np.mean(cross_val_score(model.set_params(n_components=n), rows, cv=3))
            for n in sizes
        ]
        assert scores[0] < scores[1]
    search = GridSearchCV(Autoencoder(**linear), {"n_components": sizes}, cv=3)
    assert search.fit(rows).best_params_ == {"n_components": 2}
