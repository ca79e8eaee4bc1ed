"""The multinomial likelihood of words."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklatent import VariationalAutoencoder
from sklatent.nn import Batch, Multinomial, Scaling, SparseBatch
from sklatent.rows import WordDropout, rows_of, sparse_batch
from sklatent.starts import multinomial_start


def texts(n=400, p=300, n_words=80, n_topics=5, share=0.5, seed=0):
    """Counts of words of texts, and the topic of each."""
    random = np.random.RandomState(seed)
    topics = random.dirichlet(np.full(p, 0.05), n_topics)
    y = random.randint(n_topics, size=n)
    mixed = share * topics[y] + (1 - share) * topics.mean(axis=0)
    X = [random.multinomial(n_words, row / row.sum()) for row in mixed]
    return sp.csr_array(np.array(X, dtype=np.float64)), y


MODEL = VariationalAutoencoder(4, likelihood="multinomial", random_state=0)


@pytest.fixture(scope="module")
def fitted():
    X, y = texts(900, share=0.9)
    return (
        clone(MODEL).set_params(hidden_layer_sizes=(32,), max_iter=40).fit(X[:800]),
        X,
        y,
    )


def test_gradient_is_autograds():
    X = sparse_batch(texts(6, 30)[0].astype(np.float64))
    likelihood = Multinomial(12.0, 40.0)
    words = likelihood.words(X)
    location = torch.randn(6, 30, dtype=torch.float64, requires_grad=True)
    nothing = torch.zeros(1, dtype=torch.float64)
    loss, grad, _ = likelihood.gradient(location.detach(), nothing, words)
    expected = likelihood.nll(location, nothing, words).sum()
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(grad, location.grad)


def test_words_are_shares_of_one_number():
    likelihood = Multinomial(12.0, 40.0)
    x = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]])
    expected = torch.tensor([[3.0, 9.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 12.0]])
    torch.testing.assert_close(likelihood.words(x), expected)
    cells = sparse_batch(sp.csr_matrix(x.numpy()))
    torch.testing.assert_close(likelihood.words(cells), expected)
    expected = likelihood.mean(torch.log(torch.tensor([[0.25, 0.75]])))
    torch.testing.assert_close(expected, torch.tensor([[10.0, 30.0]]))


def test_without_latents_it_is_the_cross_entropy_with_the_mean():
    X, _ = texts()
    model = VariationalAutoencoder(0, likelihood="multinomial").fit(X)
    shares = X.toarray() / X.sum(axis=1)[:, None]
    n_words = np.mean(X.sum(axis=1) ** 2 / X.multiply(X).sum(axis=1)) / 2
    n_words = max(n_words, 20)
    mean = shares.mean(axis=0) + 0.5 / len(shares) / n_words
    entropy = -(shares @ np.log(mean / mean.sum()))
    np.testing.assert_allclose(model.score_samples(X), -n_words * entropy, rtol=1e-6)
    assert model.score(X) == pytest.approx(-n_words * entropy.mean())


def test_loadings_are_a_newton_step():
    X, _ = texts(60, 12)
    rows = rows_of(X, n_components=2, always_in_basis=True)
    words = sp.csr_array(X.toarray() / X.sum(axis=1)[:, None] * 10)
    start = multinomial_start(rows, words, 2, 0)
    # The sum over rows of log p(x|u) - |w|^2 / 2, for independent Poisson words.
    latents = PCA(2).fit_transform(X.toarray())
    latents /= latents.std(axis=0, ddof=1)
    mean = words.toarray().mean(axis=0)
    gradient = latents.T @ (words.toarray() - mean)
    expected = gradient / (60 * mean + 1)
    cosines = np.linalg.svd(
        np.linalg.qr(start.decoder_weight.T)[0].T @ np.linalg.qr(expected.T)[0]
    )[1]
    np.testing.assert_allclose(cosines, 1, atol=1e-2)


def test_latents_tell_more_of_words_than_the_mean(fitted):
    model, X, y = fitted
    none = VariationalAutoencoder(0, likelihood="multinomial").fit(X[:800])
    start = clone(model).set_params(hidden_layer_sizes=()).fit(X[:800])
    assert model.score(X[800:]) > start.score(X[800:]) > none.score(X[800:])
    assert model.best_iteration_ > 0
    Z, Z_new = model.transform(X[:800]), model.transform(X[800:])
    nearest = (Z_new @ Z.T).argmax(axis=1)
    assert np.mean(y[:800][nearest] == y[800:]) > 0.9


def test_more_words_in_a_row_than_there_are():
    X = np.random.default_rng(0).poisson(9, size=(60, 5)).astype(float)
    model = VariationalAutoencoder(
        2, likelihood="multinomial", max_iter=1, random_state=0
    ).fit(X)
    drawn = model.sample(1, random_state=0)
    assert drawn.sum() == round(X.sum(axis=1).mean())


def test_what_a_fitted_model_gives(fitted):
    model, X, _ = fitted
    X_hat = model.reconstruct(X[:5])
    assert X_hat.shape == (5, 300)
    assert (X_hat >= 0).all()
    np.testing.assert_allclose(X_hat.sum(axis=1), 80)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X[:5])), X_hat)
    drawn = model.sample(7, random_state=0)
    assert (drawn == np.floor(drawn)).all()
    np.testing.assert_array_equal(drawn.sum(axis=1), 80)
    assert model.components_.shape == (4, 300)
    np.testing.assert_allclose(model.components_.sum(axis=1), 0, atol=1e-6)
    assert 0 < model.explained_variance_ratio_.sum() < 1
    assert (np.diff(model.kl_per_component_) <= 0).all()
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.score_samples(X[:9]), model.score_samples(X[:9])
    )


def test_the_unit_of_weights_does_not_matter():
    X, _ = texts(120, 60)
    model = clone(MODEL).set_params(max_iter=2, hidden_layer_sizes=(8,))
    of_counts, of_others = (clone(model).fit(given) for given in (X, X * 0.125))
    np.testing.assert_allclose(
        of_counts.transform(X), of_others.transform(X * 0.125), atol=1e-5
    )
    scores = of_others.score_samples(X * 0.125)
    np.testing.assert_allclose(of_counts.score_samples(X), scores, rtol=1e-6)


def test_dense_rows_and_rows_without_words():
    X, _ = texts(120, 60)
    X.data[X.indptr[3] : X.indptr[4]] = 0
    model = clone(MODEL).set_params(max_iter=2, hidden_layer_sizes=(8,))
    sparse, dense = clone(model).fit(X), clone(model).fit(X.toarray())
    np.testing.assert_array_equal(sparse.transform(X), dense.transform(X))
    scores = sparse.score_samples(X)
    np.testing.assert_allclose(scores, dense.score_samples(X.toarray()), rtol=1e-9)
    assert np.isfinite(scores).all()
    empty = sp.csr_array((20, 30))
    with pytest.warns(ConvergenceWarning, match="No latent is active"):
        assert np.isfinite(clone(model).fit(empty).score(empty))


def test_dropped_words_leave_a_row_its_length():
    X, _ = texts(50, 200)
    cells = sparse_batch(X.astype(np.float32))
    nothing = torch.zeros(200, dtype=torch.float64)
    identity = Scaling(
        nothing, torch.tensor(1.0).double(), basis=torch.eye(200).double()
    )
    batch = Batch(torch.zeros(50, 200), torch.zeros(50, 200), cells=cells)
    batch.scaling = identity
    WordDropout(0.5)(batch, torch.Generator().manual_seed(0))
    whole = torch.from_numpy(X.toarray()).float()
    torch.testing.assert_close(batch.inputs.norm(dim=1), whole.norm(dim=1))
    left = (batch.inputs > 0).sum() / (whole > 0).sum()
    assert 0.4 < left < 0.6
    assert isinstance(batch.cells, SparseBatch)
    assert (batch.cells.dense() == whole).all()


def test_weights_are_repeats():
    X, _ = texts(80, 40)
    counts = np.arange(80) % 3 + 1
    model = clone(MODEL).set_params(hidden_layer_sizes=())
    weighted = clone(model).fit(X, sample_weight=counts)
    repeated = clone(model).fit(X[np.repeat(np.arange(80), counts)])
    np.testing.assert_allclose(
        np.abs(weighted.transform(X)), np.abs(repeated.transform(X)), atol=1e-6
    )
    np.testing.assert_allclose(
        weighted.score_samples(X), repeated.score_samples(X), rtol=1e-6
    )


def test_the_bound_grows_with_draws():
    X, _ = texts(60, 50)
    model = clone(MODEL).set_params(hidden_layer_sizes=(), n_importance_samples=1)
    one = model.fit(X).score(X)
    assert model.set_params(n_importance_samples=64).score(X) > one
    module = model.net_.module_
    u = torch.from_numpy(model.transform(X[:1]))
    eta = module.decoder(module.frame.back(u)).detach().numpy()
    np.testing.assert_allclose(
        model.reconstruct(X[:1]), 80 * np.exp(eta - logsumexp(eta)), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ordered": True}, "ordered=True"),
        ({"n_components": 0.5}, r"n_components=0\.5"),
        ({"encoder": torch.nn.Linear(30, 8)}, "encoder="),
        ({"decoder": lambda p, k: torch.nn.Linear(k, p)}, "decoder="),
    ],
)
def test_what_goes_not_with_words(parameters, message):
    model = clone(MODEL).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(texts(30, 30)[0])


def test_negative_weights_are_refused():
    X = texts(30, 30)[0].toarray()
    X[3, 4] = -0.5
    with pytest.raises(ValueError, match=r"-0\.5 on; likelihood='multinomial'"):
        clone(MODEL).fit(X)


class OfColumn(TfidfVectorizer):
    """TF-IDF of a column of strings, as skrub gives it."""

    def fit_transform(self, X, y=None):
        return super().fit_transform(X.iloc[:, 0].fillna(""))

    def transform(self, X):
        return super().transform(X.iloc[:, 0].fillna(""))


def test_in_place_of_the_svd_of_skrubs_string_encoder():
    """As the user guide has it."""
    skrub = pytest.importorskip("skrub")
    pd = pytest.importorskip("pandas")
    words = np.array(["red", "green", "blue", "north", "south", "east", "west"])
    random = np.random.RandomState(0)
    drawn = random.randint(len(words), size=(120, 3))
    frame = pd.DataFrame({"text": [" ".join(row) for row in words[drawn]]})
    frame["number"] = random.standard_normal(120)
    frame.loc[5, "text"] = None
    latents = VariationalAutoencoder(
        4, likelihood="multinomial", hidden_layer_sizes=(8,), max_iter=2, random_state=0
    )
    strings = make_pipeline(
        OfColumn(analyzer="char_wb", ngram_range=(3, 4)),
        latents.set_output(transform="pandas"),
    )
    vectorizer = skrub.TableVectorizer(high_cardinality=strings)
    fitted = vectorizer.fit(frame[:100])
    found = fitted.transform(frame[100:])
    assert found.shape == (20, 5)
    assert np.isfinite(found.to_numpy()).all()
    assert found.iloc[:, :4].to_numpy().std() > 0
