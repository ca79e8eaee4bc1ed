"""Rows that come one batch after the other."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import LinearRegression
from skorch.callbacks import Callback

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.rows import Reservoir

MODELS = (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
LIKE_PCA = (
    "components_",
    "mean_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
)


def curved(n, seed, turned=False):
    """Rows near a curved surface of two dimensions, or near another one."""
    random = np.random.default_rng(seed)
    t = random.uniform(-2, 2, size=(n, 2))
    weights = np.random.default_rng(10 if turned else 9).normal(size=(6, 12))
    X = np.column_stack([t, np.sin(2 * t), t**2]) @ weights
    return X + 0.1 * random.normal(size=X.shape)


def labels(X):
    return (X[:, 0] > X[:, 1]).astype(int)


def feed(model, X, sizes, y=None):
    """Give a model the rows of X in batches of these sizes."""
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        model.partial_fit(X[part], None if y is None else y[part])
        start += size
    return model


def stream(cls, X, sizes, **parameters):
    y = labels(X) if cls is SupervisedAutoencoder else None
    if cls is VariationalAutoencoder:  # whose first fit then takes a second less
        parameters = {"noise_variance": "feature", **parameters}
        parameters.setdefault("latent_prior", "standard")
    return feed(cls(**{**QUICK, "n_components": 2, **parameters}), X, sizes, y)


def mixed(n, p, seed=0):
    """Rows whose covariance has no structure, off the origin."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, p)) @ random.normal(size=(p, p)) + 5


# A linear model is incremental PCA -------------------------------------------------


@pytest.mark.parametrize("sizes", [[40] * 5, [4, 1, 1, 1, 90, 7, 96], [150, 50]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_linear_model_is_incremental_pca(sizes, dtype):
    X = mixed(200, 8).astype(dtype)
    ours = Autoencoder(3, hidden_layer_sizes=())
    theirs = IncrementalPCA(3)
    start = 0
    for size in sizes:
        rows = X[start : start + size]
        start += size
        ours.partial_fit(rows)
        theirs.partial_fit(rows.astype(np.float64))
        for name in LIKE_PCA:
            tolerance = 1e-10 if dtype == np.float64 else 1e-4
            found = getattr(ours, name)
            assert found.dtype == dtype
            assert_allclose(found, getattr(theirs, name), tolerance, tolerance)
        assert ours.n_samples_seen_ == ours.n_samples_ == theirs.n_samples_seen_
    assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-2 * tolerance**0.5)


@pytest.mark.parametrize(("n", "p", "k"), [(60, 5, None), (40, 90, 4), (30, 6, 6)])
def test_incremental_pca_of_other_shapes(n, p, k):
    X = mixed(n, p)
    ours = feed(Autoencoder(k, hidden_layer_sizes=()), X, [n // 2, n // 2])
    theirs = IncrementalPCA(k).partial_fit(X[: n // 2]).partial_fit(X[n // 2 :])
    for name in LIKE_PCA:
        assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-8, 1e-8)


def test_more_latents_than_features_have_a_start():
    model = feed(Autoencoder(5, hidden_layer_sizes=()), mixed(20, 3), [2, 10, 8])
    assert model.n_samples_seen_ == 20
    assert model.score(mixed(20, 3)) == pytest.approx(1)


def test_all_variance_is_accounted_for():
    X = mixed(300, 8)
    model = feed(Autoencoder(3, hidden_layer_sizes=()), X, [100, 100, 100])
    # IncrementalPCA's own noise variance is of the last batch alone.
    total = model.explained_variance_.sum() + 5 * model.noise_variance_
    assert total == pytest.approx(X.var(axis=0, ddof=1).sum())
    pca = PCA(3).fit(X)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_, rel=0.05)


def test_fit_goes_on_as_incremental_pca_does():
    X = mixed(200, 8)
    ours = Autoencoder(3, hidden_layer_sizes=()).fit(X[:120])
    theirs = IncrementalPCA(3).partial_fit(X[:120])
    for rows in (X[120:121], X[121:]):
        ours.partial_fit(rows)
        theirs.partial_fit(rows)
    for name in LIKE_PCA:
        assert_allclose(getattr(ours, name), getattr(theirs, name), 1e-8, 1e-8)
    ours.fit(X[:50])
    for name in LIKE_PCA:  # anew
        expected = getattr(PCA(3).fit(X[:50]), name)
        assert_allclose(getattr(ours, name), expected, 1e-8, 1e-8)


def test_probabilistic_pca_follows_the_same_axes():
    X = mixed(400, 6)
    parameters = {"hidden_layer_sizes": (), "noise_variance": "shared"}
    model = feed(VariationalAutoencoder(2, **parameters), X, [200, 100, 100])
    theirs = IncrementalPCA(2).partial_fit(X[:200])
    theirs.partial_fit(X[200:300]).partial_fit(X[300:])
    covariance = model.get_covariance()
    variance, axes = np.linalg.eigh(covariance)
    assert_allclose(variance[:-3:-1], theirs.explained_variance_, rtol=1e-2)
    assert_allclose(np.abs(axes[:, :-3:-1].T), np.abs(theirs.components_), atol=1e-6)
    assert np.trace(covariance) == pytest.approx(X.var(axis=0).sum(), rel=1e-2)


# The first rows ---------------------------------------------------------------------


@pytest.mark.parametrize("cls", MODELS)
def test_the_first_rows_are_collected_and_fitted_to(cls):
    X = curved(60, 0)
    model = stream(cls, X, [1, 2, 3], n_components=12, max_iter=2)
    assert model.n_samples_seen_ == 6
    assert model.n_features_in_ == 12
    with pytest.raises(AttributeError, match="not fitted"):
        model.transform(X)
    y = labels(X)
    model.partial_fit(X[6:], y[6:])
    expected = clone(model).fit(X, y)
    assert_array_equal(model.transform(X), expected.transform(X))
    assert model.validation_scores_.tolist() == expected.validation_scores_.tolist()
    assert model.n_samples_seen_ == 60
    assert model.latent_drift_ == 0


def test_two_rows_are_collected_at_least():
    model = Autoencoder(1, hidden_layer_sizes=()).partial_fit(np.eye(3)[:1])
    assert not hasattr(model, "net_")
    assert model.partial_fit(np.eye(3)[1:2]).n_components_ == 1


def test_a_stream_that_is_sorted_by_class_waits_for_the_second():
    X = curved(300, 0)
    y = labels(X)
    order = np.argsort(y)
    model = stream(SupervisedAutoencoder, X[order][:0], [], max_iter=2)
    for rows in np.array_split(order, 6):
        model.partial_fit(X[rows], y[rows])
    assert_array_equal(model.classes_, [0, 1])
    assert model.n_samples_seen_ == 300


# Later rows -------------------------------------------------------------------------


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("sizes", [[300, 300], [40, 1, 1, 60, 1]])
def test_networks_go_on(cls, sizes):
    X, X_test = curved(sum(sizes), 1), curved(500, 2)
    model = stream(cls, X, sizes, max_iter=20)
    linear = stream(cls, X, sizes, hidden_layer_sizes=())
    least = 0.3 if cls is VariationalAutoencoder else 0.03  # in nats
    assert model.score(X_test) > linear.score(X_test) - least
    assert np.isfinite(model.reconstruct(X_test)).all()
    assert model.n_samples_seen_ == len(X)
    assert 0 <= model.latent_drift_ < 0.2
    assert_allclose(model.mean_, X.mean(axis=0))


def test_networks_learn_from_call_to_call():
    X, X_test = curved(3000, 1), curved(1000, 2)
    model = Autoencoder(2, hidden_layer_sizes=(32, 32), max_iter=2, random_state=0)
    scores = []
    for rows in np.array_split(X, 30):
        scores.append(model.partial_fit(rows).score(X_test))
    assert scores[-1] > max(scores[0] + 0.1, 0.95)
    assert model.best_iteration_ > 0
    assert len(model.held_out_scores_) == 100
    assert 2 < np.isfinite(model.held_out_scores_).sum() < 25


def test_a_stream_that_turns():
    """The networks follow it, and what came first is not forgotten."""
    old, new = (curved(1500, 1, turned) for turned in (False, True))
    old_test, new_test = (curved(500, 2, turned) for turned in (False, True))
    model = Autoencoder(2, hidden_layer_sizes=(32, 32), random_state=0)
    model.partial_fit(old[:500])
    model.set_params(max_iter=50)
    still = copy.deepcopy(model)
    pca = IncrementalPCA(2).partial_fit(old[:500])
    for rows in np.array_split(np.concatenate([old[500:], new]), 25):
        model.partial_fit(rows)
        pca.partial_fit(rows)

    def left(reconstructed, X):
        return np.square(reconstructed - X).mean()

    of_pca = left(pca.inverse_transform(pca.transform(new_test)), new_test)
    of_old_pca = left(pca.inverse_transform(pca.transform(old_test)), old_test)
    ours = left(model.reconstruct(new_test), new_test)
    assert ours < 0.6 * of_pca < 0.6 * left(still.reconstruct(new_test), new_test)
    assert left(model.reconstruct(old_test), old_test) < 0.6 * of_old_pca


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("whiten", [False, True])
def test_latents_stay_where_they_were(cls, whiten):
    X, X_test = curved(900, 1), curved(500, 2)
    model = stream(cls, X, [300], max_iter=30, whiten=whiten)
    before = model.transform(X_test)
    other = copy.deepcopy(model)
    y = labels(X)
    for rows in (slice(300, 500), slice(500, 900)):
        model.partial_fit(X[rows], y[rows])
        missed = np.square(model.transform(X_test) - before).sum()
        missed /= np.square(before - before.mean(axis=0)).sum()
        assert missed == pytest.approx(model.latent_drift_, abs=0.05)
        before = model.transform(X_test)
    # What was learnt of the first latents is still true of these.
    told = LinearRegression().fit(other.transform(X_test), X_test)
    assert told.score(model.transform(X_test), X_test) > 0.5


def test_turned_latents_are_near_and_whole():
    """Equal variances leave PCA's frame open; a turned one is not another model."""
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 6)) * [3, 3, 3, 1, 1, 1]
    model = Autoencoder(3, random_state=0, max_iter=2).partial_fit(X[:60])
    pca = IncrementalPCA(3).partial_fit(X[:60])
    latents, of_pca = model.transform(X), pca.transform(X)
    model.partial_fit(X[60:])
    turned = model.transform(X)
    assert np.square(turned - latents).sum() < 0.1 * np.square(latents).sum()
    moved = pca.partial_fit(X[60:]).transform(X)
    assert np.square(moved - of_pca).sum() > 0.2 * np.square(of_pca).sum()
    assert_allclose(model.inverse_transform(turned), model.reconstruct(X))
    assert_allclose(turned.var(axis=0, ddof=1), model.explained_variance_, rtol=0.05)


@pytest.mark.parametrize("cls", MODELS)
def test_without_held_out_rows_the_last_state_is_kept(cls):
    X = curved(400, 1)
    model = stream(cls, X, [200, 200], early_stopping=False)
    assert model.best_iteration_ == 2
    assert model.validation_scores_ is None
    assert len(model._stream.held_out) == 0


def test_held_out_rows_of_a_first_call_are_not_trained_on():
    """A fit trains on them in the end; here later calls ask them again."""
    X = curved(900, 0)
    settings = {"hidden_layer_sizes": (16,), "max_iter": 20, "random_state": 0}
    fitted = Autoencoder(2, **settings).fit(X)
    model = Autoencoder(2, **settings).partial_fit(X)
    assert fitted.verdict_ == model.verdict_ + ", then trained on all rows"
    held_out = np.isfinite(model.held_out_scores_)
    assert held_out.sum() == 90
    left = np.square(model.reconstruct(X[held_out]) - X[held_out]).sum(axis=1)
    assert_allclose(model.held_out_scores_[held_out], -left, rtol=1e-4)


def test_held_out_rows_are_not_trained_on():
    X = curved(2000, 1)
    model = stream(Autoencoder, X, [1000, 500, 500], max_iter=2)
    kept, held_out = model._stream.kept.X, model._stream.held_out.X
    assert len(kept) + len(held_out) == 2000
    assert 100 < len(held_out) < 300
    both = np.concatenate([kept, held_out])
    assert len(np.unique(both, axis=0)) == 2000
    first = np.isin(held_out[:, 0], X[:1000, 0]).sum()
    assert first == 100  # those that the first fit has held out


def test_fit_goes_on():
    X = curved(1200, 1)
    model = Autoencoder(2, hidden_layer_sizes=(32,), random_state=0).fit(X[:600])
    before = model.score(X)
    assert model.best_iteration_
    model.partial_fit(X[600:601])  # with nothing to judge by, it stays
    assert model.score(X) == pytest.approx(before, abs=1e-3)
    assert "too few" in model.verdict_
    model.partial_fit(X[601:])
    assert model.score(X) > before - 0.02
    assert model.n_samples_seen_ == 1200
    assert_allclose(model.mean_, X.mean(axis=0))
    model.fit(X[:600])
    assert model.n_samples_seen_ == 600
    assert model.score(X) == before


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods(digits, likelihood):
    X = (digits > 8).astype(float) if likelihood == "bernoulli" else digits
    model = VariationalAutoencoder(3, likelihood=likelihood, **QUICK)
    feed(model, X, [200, 1, 300])
    linear = VariationalAutoencoder(3, likelihood=likelihood, hidden_layer_sizes=())
    assert model.score(X) > feed(linear, X, [200, 1, 300]).score(X) - 1
    model.fit(X[:200]).partial_fit(X[200:400])
    assert np.isfinite(model.score(X))


def test_targets_that_are_numbers_and_some_that_are_missing():
    X = curved(600, 1)
    y = np.column_stack([X[:, 0], X[:, 1] * 3 + 1])
    y[::3, 0] = np.nan
    model = SupervisedAutoencoder(2, semi_supervised=True, **QUICK)
    feed(model, X, [300, 1, 299], y)
    assert np.isfinite(model.transform(X)).all()
    y = np.where(np.arange(600) % 3, labels(X), -1)
    model = feed(clone(model), X, [300, 1, 299], y)
    assert_array_equal(model.classes_, [0, 1])


def test_classes_that_come_later():
    X = curved(600, 1)
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-2, 1])]
    two = y != "c"
    model = SupervisedAutoencoder(2, **QUICK)
    model.partial_fit(X[two][:200], y[two][:200], classes=["c", "b", "a"])
    assert_array_equal(model.classes_, ["a", "b", "c"])
    model.partial_fit(X[300:], y[300:]).partial_fit(X[:9], y[:9], classes=list("abc"))
    with pytest.raises(ValueError, match="not the same as in the first call"):
        model.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="class .*'d'.* not among"):
        model.partial_fit(X[:2], ["a", "d"])
    model = SupervisedAutoencoder(2, **QUICK).partial_fit(X[two], y[two])
    with pytest.raises(ValueError, match="class .*'c'.* not among"):
        model.partial_fit(X, y)


# State ------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", MODELS)
def test_a_stream_is_deterministic_and_pickles(cls):
    X = curved(500, 1)
    y = labels(X)
    prior = {"latent_prior": "gaussian_mixture"}  # which is refitted
    more = prior if cls is VariationalAutoencoder else {}
    model, again = (stream(cls, X, [200, 100], **more) for _ in range(2))
    loaded = pickle.loads(pickle.dumps(model))
    state = torch.random.get_rng_state()
    for each in (model, again, loaded, copy.deepcopy(model)):
        each.partial_fit(X[300:400], y[300:400])
        each.partial_fit(X[400:], y[400:])
        assert_array_equal(each.transform(X), model.transform(X))
    assert torch.equal(torch.random.get_rng_state(), state)
    fresh = clone(model)
    assert vars(fresh).keys() == vars(cls()).keys()


class Interrupts(Callback):
    """Presses Ctrl-C at the end of a training epoch."""

    def on_epoch_end(self, net, **kwargs):
        raise SystemExit


@pytest.mark.parametrize("cls", MODELS)
def test_a_call_that_does_not_end_has_not_been(cls, monkeypatch):
    X = curved(500, 1)
    y = labels(X)
    model = stream(cls, X, [200, 100])
    expected = copy.deepcopy(model).partial_fit(X[300:], y[300:])
    for name in ("summarise", "train_further"):

        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"sklatent._partial_fit.{name}", interrupted)
            before, latents = dict(vars(model)), model.transform(X)
            with pytest.raises(KeyboardInterrupt):
                model.partial_fit(X[300:], y[300:])
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is value for key, value in before.items())
        assert_array_equal(model.transform(X), latents)
    model.set_params(callbacks=[Interrupts()])
    with pytest.raises(SystemExit):
        model.partial_fit(X[300:], y[300:])
    model.set_params(callbacks=None).partial_fit(X[300:], y[300:])
    assert_array_equal(model.transform(X), expected.transform(X))


def test_pickles_of_long_streams_are_bounded():
    random = np.random.default_rng(0)
    model = Autoencoder(2, hidden_layer_sizes=())
    sizes = []
    for _ in range(6):
        model.partial_fit(random.normal(size=(2000, 10)))
        sizes.append(len(pickle.dumps(model)))
    assert sizes[-1] == pytest.approx(sizes[2], abs=2000)
    wide = Reservoir.like(np.zeros((1, 2**20)), None)
    assert wide.size * 2**20 * 8 <= 2**25


def test_a_reservoir_is_a_uniform_sample():
    counts = np.zeros(40)
    for seed in range(600):
        random = np.random.default_rng(seed)
        reservoir = Reservoir(np.zeros((0, 1)), None, 0, 10)
        for rows in np.split(np.arange(40.0)[:, None], [1, 7, 15, 36]):
            reservoir = reservoir.offered(rows, None, random)
        kept = reservoir.X[:, 0].astype(int)
        assert len(np.unique(kept)) == 10
        counts[kept] += 1
    # Each is there in 150 of 600, give or take 10.6.
    assert np.abs(counts - 150).max() < 4.5 * 10.6
    assert reservoir.n_offered == 40


def test_names_and_output_stay(digits):
    frame = pd.DataFrame(digits[:, 2:7], columns=list("abcde"))
    model = Autoencoder(2, **QUICK).set_output(transform="pandas")
    model.partial_fit(frame[:1]).partial_fit(frame[1:100]).partial_fit(frame[100:])
    assert list(model.feature_names_in_) == list("abcde")
    assert list(model.transform(frame).columns) == ["autoencoder0", "autoencoder1"]
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame[["b", "a", "c", "d", "e"]])


# Errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", MODELS)
def test_a_batch_of_another_width_leaves_the_model_as_it_was(cls):
    X = curved(300, 1)
    y = labels(X)
    for sizes in ([1], [100], [100, 100]):
        model = stream(cls, X, sizes)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="X has 11 features, but .* expecting 12"):
            model.partial_fit(X[:, 1:], y)
        assert vars(model) == before


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_components": 0.9}, "n_components=0.9, but partial_fit requires an int"),
        ({"missing": "ignore"}, "missing='ignore', but partial_fit requires"),
    ],
)
@pytest.mark.parametrize("cls", MODELS)
def test_parameters_that_have_no_stream(cls, parameters, match):
    model = cls(**parameters)
    with pytest.raises(ValueError, match=match):
        model.partial_fit(curved(100, 0))
    assert not hasattr(model, "partial_fit")
    model = VariationalAutoencoder(2, likelihood="multinomial")
    with pytest.raises(ValueError, match="multinomial"):
        model.partial_fit(curved(100, 0))


def test_rows_and_changes_that_have_no_stream():
    from scipy.sparse import csr_array

    X = curved(200, 0)
    model = Autoencoder(2, ordered=True, **QUICK)
    with pytest.raises(ValueError, match="X is sparse; partial_fit requires dense"):
        model.partial_fit(csr_array(X))
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit([[-np.inf, np.inf]])
    model.partial_fit(X)
    model.set_params(hidden_layer_sizes=(8,))
    match = "hidden_layer_sizes=.* that partial_fit continues has"
    with pytest.raises(ValueError, match=match):
        model.partial_fit(X)
    with pytest.raises(ValueError, match="cannot go on from this model: it was trunc"):
        model.set_params(hidden_layer_sizes=(16,)).truncate(1).partial_fit(X)
    model = SupervisedAutoencoder(2, **QUICK)
    with pytest.raises(ValueError, match="y is None"):
        model.partial_fit(X)
    with pytest.raises(ValueError, match="200 rows, but y has the shape"):
        model.partial_fit(X, [1, 2])


@pytest.mark.parametrize(
    ("first", "later", "named"),
    [
        (["no", "yes"], "yesterday", "'yesterday'"),
        ([0, 1], 0.7, "0.7"),
        ([0, 1], "1", "'1'"),
        ([False, True], 2, "2"),
    ],
)
def test_labels_are_compared_as_they_are_given(first, later, named):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = SupervisedAutoencoder(2, **{**QUICK, "hidden_layer_sizes": ()})
    model.partial_fit(X, np.array(first * 20))
    with pytest.raises(ValueError, match=f"the class {named}, which is not among"):
        model.partial_fit(X[:3], np.array([later] * 3))
    assert model.n_samples_seen_ == 40
    model.partial_fit(X[:3], np.array([first[1]] * 3, dtype=object))
    assert model.n_samples_seen_ == 43


@pytest.mark.parametrize(
    ("first", "later", "said"),
    [
        (np.arange(40) % 2, None, "requires y"),
        (np.arange(40) % 2, [0, 1], "3 rows, but y has 2|inconsistent|has the shape"),
        (np.arange(40.0) % 7.5, [np.nan, 1.5, 2.5], "NaN"),
        (np.arange(80.0).reshape(40, 2) / 7, np.ones((3, 3)), "y has 3 targets"),
        (np.arange(40) % 2, np.ones((3, 2)), "one class for each row"),
    ],
)
def test_targets_of_another_kind_leave_the_model_as_it_was(first, later, said):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = SupervisedAutoencoder(2, **{**QUICK, "hidden_layer_sizes": ()})
    Z = model.partial_fit(X, first).transform(X)
    with pytest.raises(ValueError, match=said):
        model.partial_fit(X[:3], later)
    assert_array_equal(model.transform(X), Z)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_targets_of_a_fit_are_remembered(kind):
    """A few rows of one class say little beside those that were fitted to."""
    X, X_test = curved(800, 1), curved(500, 2)
    y = labels(X) if kind == "classes" else 1000 * X[:, 0] + 5
    model = SupervisedAutoencoder(1, hidden_layer_sizes=(), mixing=0.1).fit(X, y)
    before = model.transform(X_test)
    rows = np.argsort(y)[:5]
    after = model.partial_fit(X[rows], y[rows]).transform(X_test)
    assert abs(np.corrcoef(before[:, 0], after[:, 0])[0, 1]) > 0.9
