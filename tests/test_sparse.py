"""Sparse rows: the same as dense ones, and never all dense where features are many."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import SparseBatch
from sklatent.rows import rows_of, sparse_batch

ESTIMATORS = [
    Autoencoder(3),
    DenoisingAutoencoder(3, noise="masking", noise_level=0.3),
    VariationalAutoencoder(3),
    SupervisedAutoencoder(3, mixing=0.5),
]
for estimator in ESTIMATORS:
    estimator.set_params(hidden_layer_sizes=(8,), max_iter=2, random_state=0)
FORMATS = [
    sp.csr_matrix,
    sp.csr_array,
    sp.csc_matrix,
    sp.csc_array,
    sp.coo_array,
    sp.lil_matrix,
]


def name_of(estimator):
    return type(estimator).__name__


def topics(n=300, p=1100, dtype=np.float64, seed=0):
    """Counts of words by topic, few of them not 0."""
    random = np.random.RandomState(seed)
    latents = random.standard_normal((n, 4))
    loadings = random.standard_normal((4, p)) * (random.uniform(size=(4, p)) < 0.3)
    counts = random.poisson(np.exp(0.7 * latents @ loadings - 2.5))
    return sp.csr_array(counts.astype(dtype))


@pytest.fixture(scope="module")
def narrow():
    random = np.random.RandomState(0)
    return sp.random_array((90, 30), density=0.2, format="csr", rng=random) * 3


@pytest.fixture(scope="module")
def wide():
    return topics()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_few_features_are_as_if_dense(estimator, narrow):
    y = np.arange(90) % 2
    sparse = clone(estimator).fit(narrow, y)
    dense = clone(estimator).fit(narrow.toarray(), y)
    for method in ("transform", "reconstruct", "score_samples"):
        of_sparse, of_dense = (getattr(m, method)(narrow) for m in (sparse, dense))
        np.testing.assert_array_equal(of_sparse, of_dense)
        np.testing.assert_array_equal(
            of_dense, getattr(dense, method)(narrow.toarray())
        )
    np.testing.assert_array_equal(sparse.components_, dense.components_)
    assert sparse.validation_scores_.tolist() == dense.validation_scores_.tolist()


@pytest.mark.parametrize("make", FORMATS)
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_formats_and_dtypes(make, dtype, wide):
    X = make(wide.astype(dtype))
    few = make(wide[:, :50].astype(dtype))
    for given in (X, few):
        model = Autoencoder(2, hidden_layer_sizes=()).fit(given)
        expected = np.float32 if dtype == np.float32 else np.float64
        assert model.transform(given).dtype == expected
        reference = Autoencoder(2, hidden_layer_sizes=()).fit(
            sp.csr_matrix(given.astype(expected))
        )
        np.testing.assert_array_equal(model.components_, reference.components_)


def uncanonical(X):
    """The same rows with each cell three times: parts of it, and a 0."""
    parts = np.column_stack([0.75 * X.data, 0.25 * X.data, 0 * X.data])
    indices = np.repeat(X.indices, 3)
    return sp.csr_matrix((parts.ravel(), indices, 3 * X.indptr), X.shape)


@pytest.mark.parametrize("n_features", [50, 1100])
def test_cells_given_twice_are_added_and_the_input_stays(n_features, wide):
    X = wide[:, :n_features]
    odd = uncanonical(X)
    arrays = odd.data, odd.indices, odd.indptr
    before = [part.copy() for part in arrays]
    for part in arrays:
        part.flags.writeable = False
    model = Autoencoder(2, hidden_layer_sizes=()).fit(odd)
    latents = model.transform(odd)
    for part, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(part, copy)
    reference = Autoencoder(2, hidden_layer_sizes=()).fit(X)
    np.testing.assert_allclose(latents, reference.transform(X), rtol=1e-9, atol=1e-9)


def test_indices_of_64_bits(wide):
    long = wide.copy()
    long.indices, long.indptr = (
        part.astype(np.int64) for part in (long.indices, long.indptr)
    )
    latents = Autoencoder(2, hidden_layer_sizes=()).fit_transform(long)
    reference = Autoencoder(2, hidden_layer_sizes=()).fit_transform(wide)
    np.testing.assert_array_equal(latents, reference)


# Many features -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(300, 1100), (1700, 1600)])
def test_the_start_is_pca(shape):
    X = topics(*shape)  # by a Gram matrix; by power iterations
    pca = PCA(3, svd_solver="arpack", random_state=0).fit(X)
    model = Autoencoder(3, hidden_layer_sizes=()).fit(X)
    np.testing.assert_allclose(model.components_, pca.components_, atol=1e-6)
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-4)
    for name in ("mean_", "explained_variance_", "explained_variance_ratio_"):
        np.testing.assert_allclose(getattr(model, name), getattr(pca, name), rtol=1e-8)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_)
    assert model.score(X) == pytest.approx(pca.explained_variance_ratio_.sum())
    left = np.square(X.toarray() - pca.inverse_transform(pca.transform(X)))
    np.testing.assert_allclose(model.score_samples(X), -left.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_sparse_and_dense_rows_of_one_model(estimator, wide):
    y = np.arange(300) % 2
    model = clone(estimator).fit(wide, y)
    latents = model.transform(wide)
    assert np.isfinite(latents).all()
    assert model.components_.shape == (3, 1100)
    for method in ("transform", "score_samples", "reconstruct"):
        of_sparse, of_dense = (
            getattr(model, method)(X[:40]) for X in (wide, wide.toarray())
        )
        np.testing.assert_allclose(of_sparse, of_dense, rtol=1e-8, atol=1e-8)
    one_by_one = np.concatenate([model.transform(wide[[i]]) for i in range(70)])
    np.testing.assert_allclose(one_by_one, latents[:70], rtol=1e-10, atol=1e-10)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.transform(wide), latents)
    again = clone(estimator).fit(wide, y)
    np.testing.assert_array_equal(again.transform(wide), latents)


def test_no_array_of_all_features_is_made(monkeypatch):
    monkeypatch.setattr("sklatent.rows._sparse.N_DIRECTIONS", 10)
    X = sp.random_array((3000, 100_000), density=2e-4, format="csr", rng=0)
    tracemalloc.start()
    model = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    model.transform(X)
    assert np.isfinite(model.score(X))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * 8 * X.shape[0] * X.shape[1]


def test_a_score_takes_one_product_with_the_basis(monkeypatch, wide):
    """Of many features these take nearly all of its time."""
    model = Autoencoder(2, hidden_layer_sizes=()).fit(wide)
    of_dense, products = model.score(wide.toarray()), []
    times = SparseBatch.__matmul__
    monkeypatch.setattr(
        SparseBatch, "__matmul__", lambda x, B: products.append(len(x)) or times(x, B)
    )
    assert model.score(wide) == pytest.approx(of_dense, rel=1e-12)
    assert sum(products) == len(wide.indptr) - 1


def test_networks_add_what_is_not_linear():
    random = np.random.RandomState(0)
    angle = random.uniform(0, 2 * np.pi, 1500)
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    loadings = random.standard_normal((3, 1200)) * (random.uniform(size=1200) < 0.2)
    X = sp.csr_array(random.poisson(np.exp(circle @ loadings - 1)).astype(np.float32))
    model = Autoencoder(1, hidden_layer_sizes=(32,), max_iter=20, random_state=0).fit(
        X[:1200]
    )
    linear = Autoencoder(1, hidden_layer_sizes=()).fit(X[:1200])
    assert model.best_iteration_ > 0
    assert model.score(X[1200:]) > linear.score(X[1200:]) + 0.02
    expected = model.best_validation_score_
    assert model.held_out_scores_.dtype == np.float32
    judged = np.isfinite(model.held_out_scores_)
    away = np.square(X[:1200].toarray() - model.mean_)[judged].sum()
    score = 1 + model.held_out_scores_[judged].sum() / away
    assert score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "swap", "salt_and_pepper"])
def test_noise_is_of_features(noise, wide):
    model = DenoisingAutoencoder(3, noise=noise, hidden_layer_sizes=(), random_state=0)
    of_sparse, of_dense = (clone(model).fit(X) for X in (wide, wide.toarray()))
    away = np.linalg.norm(of_sparse.components_ - of_dense.components_, axis=1)
    assert (away < 0.05 * np.linalg.norm(of_dense.components_, axis=1)).all()
    assert of_sparse.score(wide) == pytest.approx(of_dense.score(wide), abs=0.01)
    short = {"hidden_layer_sizes": (8,), "max_iter": 1, "early_stopping": True}
    trained = clone(model).set_params(**short).fit(wide)
    assert np.isfinite(trained.loss_curve_).all()


def test_noise_of_the_users_own_sees_all_features(wide):
    seen = []

    def noise(x):
        seen.append((x.shape[1], float(x.min()) >= -1e-4))
        return x * (torch.rand(x.shape) < 0.7)

    model = DenoisingAutoencoder(
        2, noise=noise, max_iter=1, early_stopping=True, random_state=0
    ).fit(wide)
    assert set(seen) == {(1100, True)}
    assert np.isfinite(model.transform(wide)).all()


def test_likelihood_is_that_of_the_covariance():
    X = topics(400, 1050)
    model = VariationalAutoencoder(3, hidden_layer_sizes=(), random_state=0).fit(X)
    normal = multivariate_normal(model.mean_, model.get_covariance())
    exact = normal.logpdf(X.toarray()[:20])
    np.testing.assert_allclose(model.score_samples(X[:20]), exact, rtol=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_likelihoods_of_features(likelihood, wide):
    X = (wide[:, :1001] > 0).astype(np.float64)
    model = VariationalAutoencoder(
        1, likelihood=likelihood, max_iter=1, early_stopping=True, random_state=0
    ).fit(X)
    assert model.reconstruct(X[:2]).shape == (2, 1001)
    assert np.isfinite(model.score(X[:20]))


def test_networks_of_the_users_own_see_all_features(wide):
    def encoder(n_features, n_components):
        assert n_features == 1100
        return nn.Linear(n_features, n_components)

    model = Autoencoder(
        2, encoder=encoder, max_iter=1, early_stopping=True, random_state=0
    ).fit(wide)
    assert model.transform(wide).shape == (300, 2)


def test_share_of_variance_is_of_all_features(wide):
    few = Autoencoder(0.02, hidden_layer_sizes=()).fit(wide)
    pca = PCA(20, svd_solver="arpack", random_state=0).fit(wide)
    needed = np.flatnonzero(pca.explained_variance_ratio_.cumsum() > 0.02)[0] + 1
    assert few.n_components_ == needed


def test_warm_start_keeps_the_coordinates(wide):
    model = Autoencoder(2, max_iter=2, warm_start=True, random_state=0)
    model.fit(wide[:150])
    basis = model.net_.module_.scaling.basis
    latents = model.transform(wide[:150])
    model.fit(wide[150:])
    assert torch.equal(model.net_.module_.scaling.basis, basis)
    model.fit(wide[:150].toarray())
    assert np.corrcoef(model.transform(wide[:150])[:, 0], latents[:, 0])[0, 1] > 0.9


def test_supervised_latents_tell_classes():
    X = topics(900, 1100)
    y = np.asarray(X[:, :40].sum(axis=1)).ravel() > 3
    model = SupervisedAutoencoder(2, mixing=0.1, max_iter=5, random_state=0)
    Z = model.fit(X[:700], y[:700]).transform(X)
    head = LogisticRegression().fit(Z[:700], y[:700])
    linear = PCA(2, svd_solver="arpack", random_state=0).fit(X[:700])
    W = linear.transform(X)
    reference = LogisticRegression().fit(W[:700], y[:700])
    assert head.score(Z[700:], y[700:]) >= reference.score(W[700:], y[700:])


def test_latent_size():
    model = LatentSizeCV(Autoencoder(hidden_layer_sizes=()), n_components=[1, 2, 4])
    model.fit(topics(200, 1100))
    assert model.best_n_components_ in (1, 2, 4)


def test_names_and_frames(wide):
    model = Autoencoder(2, hidden_layer_sizes=()).fit(wide)
    assert model.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]
    frame = model.set_output(transform="pandas").transform(wide)
    assert list(frame.columns) == ["autoencoder0", "autoencoder1"]


@pytest.mark.slow
def test_search_over_texts():
    random = np.random.RandomState(0)
    words = np.array([f"word{i}" for i in range(2000)])
    y = np.arange(120) % 2
    texts = [" ".join(random.choice(words[800 * c : 800 * c + 1200], 60)) for c in y]
    steps = make_pipeline(
        TfidfVectorizer(),
        Autoencoder(hidden_layer_sizes=(8,), max_iter=1, random_state=0),
        LogisticRegression(),
    )
    search = GridSearchCV(steps, {"autoencoder__n_components": [1, 2]}, cv=2, n_jobs=2)
    assert search.fit(texts, y).score(texts, y) > 0.9


def test_errors_of_sparse_rows(wide):
    bad = wide.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        Autoencoder(2).fit(bad)
    model = Autoencoder(2, hidden_layer_sizes=()).fit(wide)
    with pytest.raises(ValueError, match="1099 features"):
        model.transform(wide[:, :1099])


@pytest.mark.parametrize("n_features", [40, 1100])
def test_rows_without_a_cell(n_features):
    empty = sp.csr_array((30, n_features))
    model = Autoencoder(2, max_iter=1, random_state=0).fit(empty)
    assert not model.transform(empty).any()
    some = topics(60, n_features)
    some.data[some.indptr[3] : some.indptr[4]] = 0
    assert np.isfinite(Autoencoder(2, max_iter=1).fit_transform(some)).all()


# Parts ---------------------------------------------------------------------------


def test_sparse_batch():
    X = topics(20, 50).astype(np.float64)
    batch, dense = sparse_batch(X), torch.from_numpy(X.toarray())
    matrix = torch.randn(50, 7, dtype=torch.float64)
    torch.testing.assert_close(batch @ matrix, dense @ matrix)
    torch.testing.assert_close(batch.dense(), dense)
    torch.testing.assert_close(batch.sums(), dense.sum(dim=1))
    torch.testing.assert_close(batch.norms(), dense.norm(dim=1))
    mean, scale = torch.randn(50, dtype=torch.float64), torch.tensor(3.0).double()
    expected = ((dense - mean) / scale).square().sum(dim=1)
    torch.testing.assert_close(batch.squared_distances(mean, scale), expected)
    parts = [part.dense() for part in batch.tensor_split(3)]
    assert [len(part) for part in parts] == [7, 7, 6]
    torch.testing.assert_close(torch.cat(parts), dense)
    assert all(len(part) <= 1 for part in batch[:2].tensor_split(4))
    generator = torch.Generator().manual_seed(0)
    left = batch.without(0.5, generator).dense()
    assert ((left == dense) | (left == 0)).all()
    assert 0.3 < (left > 0).sum() / (dense > 0).sum() < 0.7


def test_coordinates_are_an_isometry_of_the_span(wide):
    rows = rows_of(wide, n_components=2)
    basis = rows.scale.basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-10)
    X, scale = wide.toarray(), rows.scale.scale
    distances = np.square(X - X.mean(axis=0)).sum() / scale**2
    assert np.square(rows.dense()).sum() + rows.unseen() == pytest.approx(distances)
    scaling = rows.scale.module()
    c = scaling.to_scaled(sparse_batch(wide))
    np.testing.assert_allclose(c.numpy(), rows.dense(), atol=1e-10)
    back = scaling.to_scaled(scaling.to_units(c))
    np.testing.assert_allclose(back, c, atol=1e-10)
    assert isinstance(rows.cells(np.array([2, 5])), SparseBatch)
