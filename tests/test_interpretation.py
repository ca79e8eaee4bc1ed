"""What latents mean: scikit-learn's permutation importance, and known factors."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklatent import Autoencoder, VariationalAutoencoder

SCALES = np.array([3.0, 2.0, 1.0])


def independent_factors(n=600):
    """Rows of twelve features, four for each of three independent factors."""
    random = np.random.RandomState(0)
    factors = SCALES * random.uniform(-1, 1, size=(n, 3))
    return np.repeat(factors, 4, axis=1) + 0.1 * random.randn(n, 12), factors


MODELS = [
    Autoencoder(3, hidden_layer_sizes=()),
    Autoencoder(3, max_iter=10, random_state=0),
    VariationalAutoencoder(3, max_iter=10, random_state=0),
]


@pytest.mark.parametrize("encoder", MODELS, ids=repr)
def test_permutation_importance_of_latents(encoder):
    """A permuted factor loses its share of the variance of y twice: Breiman 2001."""
    X, factors = independent_factors()
    weights = np.array([0.0, 1.0, -1.0])
    y = factors @ weights
    model = make_pipeline(encoder, LinearRegression()).fit(X, y)
    Z = model[:-1].transform(X)
    found = permutation_importance(model[-1], Z, y, n_repeats=20, random_state=0)
    parts = np.square(weights) * np.square(SCALES) / 3
    expected = 2 * parts / parts.sum()  # 1.6 and 0.4
    np.testing.assert_allclose(found.importances_mean, expected, atol=0.12)


@pytest.mark.parametrize("encoder", MODELS[:2], ids=repr)
def test_influence_of_latents_that_are_factors(encoder):
    """Each is the mean of four features times 2: a step changes these by 1/2."""
    X, factors = independent_factors()
    encoder.fit(X)
    influence = encoder.feature_influence(X)
    expected = np.repeat(np.eye(3), 4, axis=1) / 2
    np.testing.assert_allclose(np.abs(influence.mean(axis=0)), expected, atol=0.06)
    match = np.corrcoef(encoder.transform(X).T, factors.T)[:3, 3:]
    assert (np.abs(np.diag(match)) > 0.98).all()


def test_influence_that_changes_its_sign():
    """A feature t² has the slope 2t, whose mean is 0, along a latent that follows t."""
    random = np.random.RandomState(0)
    t = random.uniform(-1, 1, size=800)
    X = np.column_stack([t, t, t, t, t**2])
    ae = Autoencoder(1, hidden_layer_sizes=(32,), random_state=0).fit(X)
    influence = ae.feature_influence(X)[:, 0]
    sign = np.sign(influence[:, 0].mean())
    slope = influence[:, 4] / influence[:, 0]  # of t², by t
    assert sign != 0
    assert abs(slope.mean()) < 0.1
    assert np.corrcoef(slope, 2 * t)[0, 1] > 0.9
    assert np.sqrt(np.square(slope).mean()) > 0.7  # of 2t: 1.15
