"""Data with many more features than rows."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.decomposition import PCA

from sklatent import Autoencoder, DenoisingAutoencoder
from sklatent.rows import rows_of
from sklatent.training import _train
from sklatent.training._row_space import coordinates


@pytest.fixture
def searches(monkeypatch):
    """What the searches in the row space gave, in order."""
    found = []
    search = _train.search_in_row_space

    def noted(*args):
        found.append(search(*args))
        return found[-1]

    monkeypatch.setattr(_train, "search_in_row_space", noted)
    return found


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((60, 5))
    X = latents @ rng.standard_normal((5, 2000))
    return X + rng.standard_normal(X.shape)


@pytest.fixture(scope="module")
def curved():
    rng = np.random.default_rng(0)
    latents = rng.uniform(-1.5, 1.5, size=(120, 2))
    X = np.sin(2 * latents @ rng.standard_normal((2, 2000)) + rng.uniform(0, 6, 2000))
    return X + 0.1 * rng.standard_normal(X.shape)


def test_coordinates_keep_distances(linear):
    rows = coordinates(rows_of(linear), seed=0)
    assert rows.shape == (60, 59)
    scaled = rows_of(linear).dense()
    assert_allclose(pdist(rows), pdist(scaled))
    assert_allclose(np.linalg.norm(rows, axis=1), np.linalg.norm(scaled, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_is_gained_in_the_row_space_pca_is_kept(linear, searches, dtype):
    X = linear.astype(dtype)
    model = Autoencoder(5, random_state=0).fit(X)
    assert [search.epoch for search in searches] == [0]
    assert model.best_iteration_ == 0
    assert len(model.validation_scores_) == len(model.loss_curve_) + 1
    pca = PCA(5, random_state=0).fit(X)
    assert_allclose(model.transform(X), pca.transform(X), rtol=1e-3, atol=1e-3)
    again = clone(model).fit(X)
    assert_allclose(again.transform(X), model.transform(X), rtol=0)


def test_where_something_is_gained_the_search_is_of_all_features(curved, searches):
    model = Autoencoder(2, max_iter=30, random_state=0).fit(curved)
    assert searches[0].epoch > 0
    assert model.best_iteration_ > 0
    assert model.n_features_in_ == 2000
    start = model.validation_scores_[0]
    assert model.best_validation_score_ > start + 0.1


def test_one_split_and_equal_rows(linear, searches):
    params = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
    model = Autoencoder(5, early_stopping=True, **params).fit(linear)
    assert model.best_iteration_ == 0
    assert_allclose(
        np.abs(model.transform(linear)),
        np.abs(PCA(5, random_state=0).fit_transform(linear)),
        rtol=1e-4,
        atol=1e-4,
    )
    same = np.full((20, 2000), 3.0)
    assert_allclose(Autoencoder(2, **params).fit(same).reconstruct(same), same)
    assert [search.epoch for search in searches] == [0]  # equal rows are not split


def test_the_row_space_shows_small_gains(digits, searches):
    images = digits[::15].reshape(-1, 8, 8).repeat(7, axis=1).repeat(7, axis=2)
    X = images.reshape(len(images), -1)  # over 2000 features that vary
    model = Autoencoder(4, max_iter=30, random_state=0).fit(X)
    assert searches[0].epoch > 0
    assert model.best_iteration_ > 0


def test_where_more_than_distances_counts_there_is_no_row_space(linear, searches):
    params = {"max_iter": 1, "hidden_layer_sizes": (4,), "random_state": 0}
    DenoisingAutoencoder(2, **params).fit(linear)
    Autoencoder(2, ordered=True, **params).fit(linear)
    Autoencoder(2, init="random", **params).fit(linear)
    Autoencoder(2, **params).fit(linear[:, :1000])
    assert searches == [None] * 4


@pytest.mark.slow
def test_a_wide_fit_takes_little_memory():
    code = """
import resource
import numpy as np
from sklatent import Autoencoder
rng = np.random.default_rng(0)
X = rng.standard_normal((100, 10)) @ rng.standard_normal((10, 20_000))
X += rng.standard_normal(X.shape)
Autoencoder(4, max_iter=1, hidden_layer_sizes=(8,)).fit(X[:, :100])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
Autoencoder(10, random_state=0).fit(X)
print((peak() - before) / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert float(done.stdout) < 500
