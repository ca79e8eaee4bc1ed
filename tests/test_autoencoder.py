"""Autoencoder: known answers, promises and errors."""

import copy
import pickle
import signal
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from helpers import small_encoder, world
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import datasets
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklatent import Autoencoder

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 5, "random_state": 0}


def quick(n_components=2, **params):
    """An estimator that trains, little."""
    return Autoencoder(n_components, **{"early_stopping": False, **QUICK, **params})


# Known answers -------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("data", ["digits", "cancer"])
def test_linear_model_is_pca(request, data, whiten):
    X = request.getfixturevalue(data)
    X_train, X_test = X[:400], X[400:]
    ours = Autoencoder(5, hidden_layer_sizes=(), whiten=whiten).fit(X_train)
    pca = PCA(5, whiten=whiten).fit(X_train)
    size = np.abs(pca.transform(X_train)).max()
    assert_allclose(ours.transform(X_test), pca.transform(X_test), atol=1e-9 * size)
    Z = pca.transform(X_test)
    assert_allclose(
        ours.inverse_transform(Z), pca.inverse_transform(Z), atol=1e-9 * X.max()
    )
    assert_allclose(ours.mean_, pca.mean_)
    share = pca.explained_variance_ratio_.sum()
    assert_allclose(ours.score(X_train), share)


@pytest.mark.parametrize("as_given", [np.asarray, csr_array])
def test_a_row_far_beyond_the_scale_has_a_score_in_float32(as_given):
    X = np.array([[0.0], [1e-20], [0.0], [3e-20]], np.float32)
    model = Autoencoder(0).fit(as_given(X))
    new = as_given(np.array([[1.0], [0.0]], np.float32))
    scores = model.score_samples(new)
    assert model.score(new) == pytest.approx(0, abs=1e-6)
    assert scores.dtype == np.float32
    assert_allclose(scores, [-1, -1e-40], rtol=1e-3)


def test_linear_model_is_pca_in_float32(digits):
    X = digits.astype(np.float32)
    ours, pca = Autoencoder(5, hidden_layer_sizes=()).fit(X), PCA(5).fit(digits)
    assert_allclose(ours.transform(X), pca.transform(digits), atol=1e-4)


class Never(Callback):
    """Stops before training has changed a weight."""

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] = 0.0


@pytest.mark.parametrize("encoder", [None, small_encoder])
def test_before_the_first_step_it_is_pca(digits, encoder):
    model = quick(6, encoder=encoder, callbacks=[Never()], max_iter=1).fit(digits)
    assert model.best_iteration_ == 1
    pca = PCA(6).fit(digits)
    assert_allclose(model.transform(digits), pca.transform(digits), atol=1e-5)
    assert_allclose(
        model.reconstruct(digits),
        pca.inverse_transform(pca.transform(digits)),
        atol=1e-5,
    )


def test_nothing_gained_is_pca_to_the_last_bit(digits):
    model = Autoencoder(6, callbacks=[Never()], random_state=0).fit(digits)
    assert model.best_iteration_ == 0
    assert_allclose(model.transform(digits), PCA(6).fit_transform(digits), atol=1e-11)
    assert model.best_validation_score_ == model.validation_scores_[0]


def test_default_size_is_that_of_pca(digits):
    for X in (digits, digits[:20]):
        assert Autoencoder().fit(X).transform(X).shape == PCA().fit_transform(X).shape


def test_linear_random_start_reaches_the_subspace_of_pca():
    X = np.random.default_rng(0).normal(size=(2000, 6)) * [5, 4, 1, 1, 0.5, 0.1]
    model = Autoencoder(
        2,
        init="random",
        hidden_layer_sizes=(),
        weight_decay=0,
        early_stopping=False,
        max_iter=60,
        batch_size=64,
        random_state=0,
    ).fit(X)
    pca = PCA(2).fit(X)
    assert_allclose(model.score(X), pca.explained_variance_ratio_.sum(), atol=1e-3)
    # The frame then makes them the principal components, their signs included.
    correlation = np.corrcoef(model.transform(X).T, pca.transform(X).T)[:2, 2:]
    assert_allclose(correlation, np.eye(2), atol=0.05)


def test_better_than_pca(digits):
    X_train, X_test = train_test_split(digits, random_state=0)
    model = Autoencoder(8, random_state=0).fit(X_train)
    pca = Autoencoder(8, hidden_layer_sizes=()).fit(X_train)
    assert model.best_iteration_ > 0
    assert model.score(X_test) > pca.score(X_test) + 0.12
    assert model.score(X_test) == pytest.approx(model.best_validation_score_, abs=0.03)


@pytest.mark.parametrize("n_samples", [20, 60, 200])
def test_nothing_to_find_is_not_worse_than_pca(n_samples):
    # A Gaussian has no structure beyond its covariance: PCA is the optimum.
    rng = np.random.default_rng(0)
    losses, kept = [], []
    for seed in range(5):
        X = rng.normal(size=(n_samples, 6)) * [4, 3, 2, 1, 1, 1]
        new = rng.normal(size=(2000, 6)) * [4, 3, 2, 1, 1, 1]
        pca = Autoencoder(3, hidden_layer_sizes=()).fit(X).score(new)
        model = Autoencoder(3, random_state=seed).fit(X)
        losses.append(pca - model.score(new))
        kept.append(model.best_iteration_ == 0)
    assert np.median(losses) <= 0.001
    assert sum(kept) >= 3


# Latents -------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("whiten", [False, True])
def test_latents_read_like_those_of_pca(digits, init, whiten):
    model = quick(5, init=init, whiten=whiten).fit(digits)
    assert model.best_iteration_ == 5
    Z = model.transform(digits)
    covariance = np.cov(Z.T)
    variance = np.diag(covariance)
    assert_allclose(Z.mean(axis=0), 0, atol=1e-10 * np.sqrt(variance[0]))
    assert_allclose(covariance, np.diag(variance), atol=1e-10 * variance[0])
    cross = (Z - Z.mean(0)).T @ (digits - digits.mean(0))
    assert (cross[np.arange(5), np.abs(cross).argmax(axis=1)] > 0).all()
    if whiten:
        assert_allclose(variance, 1)
    else:
        assert (np.diff(variance) < 0).all()
        total = model.reconstruct(digits).var(axis=0, ddof=1).sum()
        assert_allclose(variance.sum(), total)
        # A step along any latent moves the reconstruction by about the same.
        step = 1e-3 * np.eye(5)
        moves = [
            model.inverse_transform(Z + s) - model.inverse_transform(Z) for s in step
        ]
        gram = np.tensordot(moves, moves, axes=([1, 2], [1, 2])) / len(Z) / 1e-6
        size = np.trace(gram) / 5
        assert_allclose(gram, size * np.eye(5), atol=0.1 * size)


def test_whitening_only_scales(digits):
    plain, white = (
        quick(4, whiten=whiten).fit(digits).transform(digits)
        for whiten in (False, True)
    )
    assert_allclose(white, plain / plain.std(axis=0, ddof=1), atol=1e-9)


def test_overcomplete(digits):
    X = digits[:100, :10] + np.random.default_rng(0).normal(size=(100, 10))
    model = Autoencoder(15, random_state=0).fit(X)
    assert model.transform(X).shape == (100, 15)
    assert_allclose(model.reconstruct(X), X, atol=1e-6)


def test_round_trips(digits):
    model = quick(7).fit(digits)
    Z = model.transform(digits)
    assert_array_equal(model.reconstruct(digits), model.inverse_transform(Z))
    errors = np.square(digits - model.reconstruct(digits)).sum(axis=1)
    assert_allclose(model.score_samples(digits), -errors)
    total = np.square(digits - model.mean_).sum()
    assert model.score(digits) == pytest.approx(1 - errors.sum() / total)
    assert isinstance(model.score(digits), float)


def test_batches_do_not_show(monkeypatch, digits):
    model = quick(3).fit(digits)
    whole = model.transform(digits), model.score_samples(digits), model.score(digits)
    monkeypatch.setattr(
        "sklatent.model._inference.row_slices",
        lambda n, *_: (slice(i, min(i + 7, n)) for i in range(0, n, 7)),
    )
    parts = model.transform(digits), model.score_samples(digits), model.score(digits)
    for one, other in zip(whole, parts, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_memory_does_not_grow_with_rows():
    import tracemalloc

    X = np.random.default_rng(0).normal(size=(500, 50)).astype(np.float32)
    model = quick(2).fit(X)
    X = np.tile(X, (400, 1))
    model.transform(X[:10])
    tracemalloc.start()
    model.transform(X)
    model.score(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 2


# dtypes --------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_dtype_in_dtype_out(digits, fitted, given):
    model = quick(3).fit(digits.astype(fitted))
    assert model.mean_.dtype == fitted
    X = digits.astype(given)
    Z = model.transform(X)
    for result in (Z, model.inverse_transform(Z), model.reconstruct(X)):
        assert result.dtype == given
    assert model.score_samples(X).dtype == given
    assert_allclose(Z, model.transform(digits), atol=1e-3)


def test_float64_is_consistent_to_float64(digits):
    model = quick(3).fit(digits)
    rows = np.concatenate([model.transform(row[None]) for row in digits[:50]])
    assert_allclose(rows, model.transform(digits)[:50], rtol=1e-10, atol=1e-10)


def test_integers_are_float64(digits):
    model = quick(3).fit(digits.astype(int))
    assert_array_equal(model.transform(digits.astype(int)), model.transform(digits))


# Selection, training -------------------------------------------------------------


def test_attributes(digits):
    model = Autoencoder(4, **QUICK).fit(digits)
    assert model.n_components_ == 4
    assert model.n_features_in_ == 64
    assert model.n_iter_ == len(model.loss_curve_) == 5
    assert model.validation_scores_.shape == (6,)
    assert model.best_validation_score_ == model.validation_scores_.max()
    assert model.best_iteration_ == model.validation_scores_.argmax()
    assert len(model.net_.history) == 5
    assert model.loss_curve_ == model.net_.history[:, "train_loss"]
    assert_allclose(model.net_.predict(digits), model.reconstruct(digits), atol=1e-8)


def test_small_data_are_cross_validated_and_refitted(digits):
    model = Autoencoder(4, random_state=0).fit(digits[:300])
    assert 0 < model.best_iteration_ < model.n_iter_ == len(model.loss_curve_)
    assert len(model.validation_scores_) == model.n_iter_ + 1
    # The net of all rows was trained with those of the folds.
    assert len(model.net_.history) == model.n_iter_


def test_no_early_stopping(digits):
    model = quick(4).fit(digits)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.n_iter_ == model.best_iteration_ == 5


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("n_samples", [2, 3, 9, 10])
def test_few_rows(init, n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    for early_stopping in ("auto", True, False):
        model = Autoencoder(
            2, init=init, early_stopping=early_stopping, random_state=0
        ).fit(X)
        assert np.isfinite(model.transform(X)).all()
        assert np.isfinite(model.reconstruct(X)).all()
        assert np.isfinite(model.score(X))


def test_training_stops_when_nothing_is_gained(digits):
    model = Autoencoder(4, callbacks=[Never()], n_iter_no_change=3, random_state=0)
    assert model.fit(digits).n_iter_ == 3


@pytest.mark.parametrize(
    "network",
    [small_encoder, small_encoder(64, 3), nn.LazyLinear(3)],
    ids=["callable", "module", "lazy"],
)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_own_encoder(digits, network, init):
    model = quick(3, encoder=network, init=init)
    before = copy.deepcopy(network)
    twin = clone(model).fit(digits)
    model.fit(digits)
    assert_array_equal(model.transform(digits), twin.transform(digits))
    if isinstance(network, nn.Sequential):  # the user's own is not touched
        for one, other in zip(network.parameters(), before.parameters(), strict=True):
            assert torch.equal(one, other)
    if init == "pca":
        assert model.score(digits) > Autoencoder(3, hidden_layer_sizes=()).fit(
            digits
        ).score(digits)


def test_own_decoder(digits):
    model = quick(3, decoder=lambda n_features, k: nn.Linear(k, n_features))
    assert model.fit(digits).reconstruct(digits).shape == digits.shape


def test_own_encoder_in_a_grid(digits):
    grid = GridSearchCV(
        quick(), {"encoder": [None, small_encoder]}, cv=2, error_score="raise"
    ).fit(digits[:200])
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()


def test_callbacks_are_copied_and_called(digits):
    class Count(Callback):
        def __init__(self):
            self.epochs_ = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs_ += 1

    callback = Count()
    model = quick(callbacks=[callback]).fit(digits)
    assert callback.epochs_ == 0
    (copied,) = (cb for _, cb in model.net_.callbacks_ if isinstance(cb, Count))
    assert copied.epochs_ == 5
    named = quick(callbacks=[("count", callback)]).fit(digits)
    assert dict(named.net_.callbacks_)["count"].epochs_ == 5


def test_a_callback_may_stop_the_training(digits):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0, sink=str)
    model = quick(callbacks=[stop], max_iter=20).fit(digits)
    assert model.n_iter_ == 3


def test_warm_start(digits):
    model = quick(4, warm_start=True).fit(digits)
    once = model.score(digits)
    first = model.net_
    model.fit(digits)
    assert model.net_ is not first
    assert model.score(digits) > once
    cold = quick(4, max_iter=5).fit(digits)
    assert cold.score(digits) == pytest.approx(once)
    with pytest.raises(ValueError, match="n_components=3, but the fitted model"):
        model.set_params(n_components=3).fit(digits)
    assert model.n_components_ == 4
    model.set_params(n_components=4)
    with pytest.raises(ValueError, match="X has 10 features, but the fitted model"):
        model.fit(digits[:, :10])
    assert model.transform(digits).shape == (len(digits), 4)


def test_progress_bar(digits, capsys):
    quick(verbose=1).fit(digits)
    shown = capsys.readouterr().err
    assert "5/5" in shown
    assert "train=" in shown
    Autoencoder(2, verbose=1, **QUICK).fit(digits)
    assert "validation=" in capsys.readouterr().err
    quick(verbose=0).fit(digits)
    assert capsys.readouterr().err == ""


# State of the world --------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize("encoder", [None, small_encoder])
def test_same_seed_same_bits(digits, early_stopping, encoder):
    X = digits[:500]
    one, two = (
        quick(3, early_stopping=early_stopping, encoder=encoder).fit(X)
        for _ in range(2)
    )
    assert_array_equal(one.transform(X), two.transform(X))
    other = quick(3, encoder=encoder, random_state=1).fit(X)
    assert not np.array_equal(one.transform(X), other.transform(X))


def test_random_state_instance(digits):
    one, two = (
        quick(random_state=np.random.RandomState(3)).fit(digits) for _ in range(2)
    )
    assert_array_equal(one.transform(digits), two.transform(digits))


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("on purpose")


class Interrupts(nn.Module):
    """Raises as Ctrl-C does, in the third training batch."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.linear = nn.Linear(n_features, n_components)
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += self.training
        if self.n_calls == 3:
            raise KeyboardInterrupt
        return self.linear(x)


@pytest.mark.parametrize("random_state", [None, 0])
@pytest.mark.parametrize(
    "params",
    [{}, {"callbacks": [Fails()]}, {"encoder": Interrupts}, {"early_stopping": "auto"}],
    ids=["fit", "failure", "interrupt", "auto"],
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_world_is_left_as_it_was(digits, params, random_state, n_threads):
    found = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        before = world()
        try:
            model = quick(**params, random_state=random_state).fit(digits)
            model.score(digits)
            model.inverse_transform(model.transform(digits))
        except (RuntimeError, KeyboardInterrupt):
            assert params
        assert world() == before
    finally:
        torch.set_num_threads(found)


def test_fits_in_threads_give_the_same_and_leave_the_world(digits):
    before = world()
    alone = [quick(2, random_state=i).fit(digits).transform(digits) for i in range(4)]
    together = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(lambda i: quick(2, random_state=i).fit(digits))(i)
        for i in range(4)
    )
    for Z, model in zip(alone, together, strict=True):
        assert_array_equal(Z, model.transform(digits))
    assert world() == before


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"encoder": Interrupts}, KeyboardInterrupt),
        ({"callbacks": [Fails()]}, RuntimeError),
        ({"encoder": nn.Linear(3, 3)}, ValueError),
        ({"device": "nowhere"}, ValueError),
    ],
    ids=["interrupt", "failure", "width", "device"],
)
def test_a_failed_refit_loses_nothing(digits, params, error, early_stopping):
    X = pd.DataFrame(digits[:600]).add_prefix("pixel")
    model = quick(3, early_stopping=early_stopping).fit(X)
    before, Z = dict(vars(model)), model.transform(X)
    model.set_params(**params)
    with pytest.raises(error):
        model.fit(digits[:600, :20])
    model.set_params(encoder=None, callbacks=None, device="auto")
    after = dict(vars(model))
    for name in ("encoder", "callbacks", "device"):
        before.pop(name), after.pop(name)
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert_array_equal(model.transform(X), Z)


def test_an_interrupted_first_fit_is_no_fit(digits):
    model = quick(3, encoder=Interrupts)
    with pytest.raises(KeyboardInterrupt):
        model.fit(digits)
    with pytest.raises(NotFittedError):
        model.transform(digits)


# Errors --------------------------------------------------------------------------

GOOD = np.random.default_rng(0).normal(size=(30, 4))


def with_value(value):
    X = GOOD.copy()
    X[3, 2] = value
    return X


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (with_value(np.nan), "does not accept missing values, unless missing='ignore'"),
        (with_value(np.inf), "Input X contains infinity"),
        (GOOD[0], "Expected 2D array, got 1D array instead"),
        (GOOD[None], "Found array with dim 3"),
        (GOOD[:1], "1 sample.* minimum of 2 is required"),
        (GOOD[:0], "0 sample"),
        (GOOD[:, :0], "0 feature"),
        (GOOD + 1j, "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert string to float"),
        (np.array([[None, {}], [1, 2]], dtype=object), "must be a string or a"),
    ],
    ids=str,
)
def test_bad_data(X, match):
    with pytest.raises((ValueError, TypeError), match=match):
        Autoencoder(2).fit(X)
    if X.dtype == float and X.shape[1:] == (4,) and len(X) > 1:
        with pytest.raises(ValueError, match=match):
            quick().fit(GOOD).transform(X)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_components": -1}, r"'n_components' .* \[0, inf\).* or None. Got -1"),
        ({"n_components": 2.5}, "'n_components'"),
        ({"hidden_layer_sizes": 8}, "'hidden_layer_sizes'"),
        ({"hidden_layer_sizes": (8, 0)}, r"positive ints, .* got \(8, 0\)"),
        ({"hidden_layer_sizes": (8.5,)}, r"positive ints, .* got \(8.5,\)"),
        ({"activation": "swish"}, "'activation' .* must be a str among .* Got 'swish'"),
        ({"init": "ica"}, "'init' .* Got 'ica'"),
        ({"learning_rate": 0.0}, "'learning_rate' .* Got 0.0"),
        ({"weight_decay": -1.0}, "'weight_decay' .* Got -1.0"),
        ({"batch_size": 0}, "'batch_size' .* Got 0"),
        ({"max_iter": 0}, "'max_iter' .* Got 0"),
        ({"early_stopping": "yes"}, "'early_stopping' .* Got 'yes'"),
        ({"validation_fraction": 1.0}, "'validation_fraction' .* Got 1.0"),
        ({"n_iter_no_change": 0}, "'n_iter_no_change' .* Got 0"),
        ({"tol": -1e-3}, "'tol' .* Got -0.001"),
        ({"random_state": "seed"}, "'random_state' .* Got 'seed'"),
        ({"device": "gpu"}, "device='gpu' is not a device; it must be 'auto', 'cpu'"),
        ({"device": 0}, "'device' .* Got 0"),
        ({"callbacks": "print"}, "'callbacks' .* Got 'print'"),
        ({"encoder": 3}, "'encoder' .* Got 3"),
        ({"encoder": nn.Linear(4, 3)}, r"encoder maps .* to \(2, 3\); it must map"),
        ({"encoder": nn.Linear(5, 2)}, r"encoder failed on an input of shape \(2, 4\)"),
        ({"decoder": nn.Linear(2, 3)}, r"decoder maps .* to \(2, 3\); it must map"),
    ],
    ids=str,
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        Autoencoder(**{"n_components": 2, **params}).fit(GOOD)


def test_bad_parameters_are_invalid_parameter_errors():
    with pytest.raises(InvalidParameterError):
        Autoencoder("many").fit(GOOD)


def test_encoder_that_makes_no_module():
    with pytest.raises(TypeError, match="encoder must be an nn.Module or a callable"):
        Autoencoder(2, encoder=lambda p, k: p + k).fit(GOOD)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_device():
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        Autoencoder(2, device="cuda").fit(GOOD)


def test_wrong_width_and_names():
    frame = pd.DataFrame(GOOD, columns=list("abcd"))
    model = quick().fit(frame)
    with pytest.raises(ValueError, match="X has 3 features, but Autoencoder is expect"):
        quick().fit(GOOD).transform(GOOD[:, :3])
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[["a", "b", "d", "c"]])
    with pytest.raises(ValueError, match="X has 3 columns, but .* n_components_=2"):
        model.inverse_transform(GOOD[:, :3])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.inverse_transform(with_value(np.nan)[:, 1:3])


@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "reconstruct", "score", "score_samples"],
)
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(Autoencoder(), method)(GOOD)


def test_diverged_training_raises(digits):
    with pytest.raises(ValueError, match="training loss became .* learning_rate=1e"):
        quick(learning_rate=1e30).fit(digits)


@pytest.mark.parametrize("early_stopping", [True, "auto"])
def test_diverged_training_keeps_the_start(digits, early_stopping):
    X = digits[:300]
    model = quick(3, learning_rate=1e30, early_stopping=early_stopping)
    with pytest.warns(ConvergenceWarning, match="smaller learning_rate"):
        model.fit(X)
    assert model.best_iteration_ == 0
    assert_allclose(model.transform(X), PCA(3).fit_transform(X))


# With the rest of scikit-learn ---------------------------------------------------


def test_pipeline_and_grid(digits):
    y = datasets.load_digits().target
    pipeline = make_pipeline(StandardScaler(), quick(), LogisticRegression())
    grid = GridSearchCV(
        pipeline,
        {"autoencoder__n_components": [2, 8]},
        cv=2,
        n_jobs=2,
        error_score="raise",
    ).fit(digits[:400], y[:400])
    assert grid.best_params_ == {"autoencoder__n_components": 8}


def test_grid_without_y(digits):
    grid = GridSearchCV(
        quick(), {"n_components": [1, 4]}, cv=2, n_jobs=2, error_score="raise"
    ).fit(digits[:400])
    assert grid.best_params_ == {"n_components": 4}
    assert grid.best_score_ == grid.cv_results_["mean_test_score"].max()


def test_meta_estimators(digits):
    y = digits[:, 20]
    union = FeatureUnion([("ae", quick(2)), ("pca", PCA(3))])
    assert union.fit_transform(digits).shape == (len(digits), 5)
    model = TransformedTargetRegressor(
        make_pipeline(quick(10), Ridge()), transformer=StandardScaler()
    )
    assert cross_val_score(model, digits, y, cv=2, error_score="raise").mean() > 0.3
    clusters = make_pipeline(quick(4, whiten=True), KMeans(10, n_init=1))
    assert set(clusters.fit_predict(digits)) == set(range(10))


def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "b": rng.normal(size=60),
            "c": rng.integers(3, size=60),
            "kind": rng.choice(["x", "y"], size=60),
        }
    )


def test_column_transformer_and_pandas():
    X = frame()
    columns = ColumnTransformer(
        [("ae", quick(2), ["a", "b", "c"]), ("kind", OneHotEncoder(), ["kind"])],
        sparse_threshold=0,
    ).set_output(transform="pandas")
    with pytest.raises(ValueError, match="Pandas output does not support sparse data"):
        columns.fit_transform(X)
    columns.set_params(kind__sparse_output=False)
    out = columns.fit_transform(X)
    assert list(out) == [
        "ae__autoencoder0",
        "ae__autoencoder1",
        "kind__kind_x",
        "kind__kind_y",
    ]
    assert list(out.index) == list(X.index)


def test_set_output_and_config():
    X = frame()[["a", "b", "c"]]
    model = quick(2).fit(X)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    Z = model.transform(X)
    with sklearn.config_context(transform_output="polars"):
        out = model.transform(X)
        assert isinstance(out, pl.DataFrame)
        assert out.columns == list(model.get_feature_names_out())
    out = model.set_output(transform="pandas").transform(X)
    assert_array_equal(out, Z)
    assert_allclose(model.inverse_transform(out), model.reconstruct(X))


def test_metadata_routing_and_html():
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), quick()).fit(GOOD)
        assert pipeline.transform(GOOD).shape == (30, 2)
    assert "n_components" in quick()._repr_html_()
    assert "Autoencoder" in pipeline._repr_html_()


@pytest.mark.parametrize(
    ("module", "early_stopping"),
    [(pickle, True), (joblib, False)],
    ids=["pickle", "joblib"],
)
def test_another_process_gives_the_same(tmp_path, digits, module, early_stopping):
    model = Autoencoder(3, early_stopping=early_stopping, **QUICK).fit(digits)
    with open(tmp_path / "model", "wb") as file:
        module.dump(model, file)
    np.save(tmp_path / "X.npy", digits)
    code = (
        f"import {module.__name__} as m, numpy as np; X = np.load('X.npy');"
        "model = m.load(open('model', 'rb')); np.save('Z.npy', model.transform(X));"
        "model.fit(X)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_allclose(np.load(tmp_path / "Z.npy"), model.transform(digits), rtol=1e-12)
    assert (tmp_path / "model").stat().st_size < 200_000


def test_deepcopy(digits):
    model = quick(3).fit(digits)
    twin = copy.deepcopy(model)
    assert_array_equal(twin.transform(digits), model.transform(digits))
    assert twin.net_.module_ is not model.net_.module_


def test_fitted_model_holds_no_training_rows(digits):
    # Of their latents it holds a quarter of a million numbers at most, and of each row
    # what held-out rows say of it.
    few, many, most = (
        len(pickle.dumps(model)) - model.held_out_scores_.nbytes
        for model in (
            Autoencoder(3, **QUICK).fit(np.tile(digits, (n, 1))) for n in (1, 4, 60)
        )
    )
    assert many < few + 3 * len(digits) * 3 * 8 + 20_000
    assert most < few + 2**18 * 8 + 20_000


# Found by a review ---------------------------------------------------------------


def test_latents_in_any_layout(digits):
    model = quick(3).fit(digits)
    Z = model.transform(digits)
    back = model.inverse_transform(Z[::-1])
    assert_allclose(back, model.reconstruct(digits)[::-1], rtol=1e-9, atol=1e-9)
    flipped = model.inverse_transform(Z[:, ::-1])
    assert_array_equal(flipped, model.inverse_transform(Z[:, ::-1].copy()))


def dropout_encoder(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_features, 8), nn.Dropout(0.2), nn.Linear(8, n_components)
    )


def test_own_networks_in_threads_are_deterministic(digits):
    def fit(seed):
        return quick(2, encoder=dropout_encoder, random_state=seed).fit(digits)

    alone = [fit(i).transform(digits) for i in range(3)]
    together = joblib.Parallel(n_jobs=3, backend="threading")(
        joblib.delayed(fit)(i) for i in range(3)
    )
    for Z, model in zip(alone, together, strict=True):
        assert_array_equal(Z, model.transform(digits))


@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_a_callable_may_return_its_own_module(digits, early_stopping):
    module = nn.Linear(64, 2)
    before = copy.deepcopy(module.state_dict())
    quick(encoder=lambda p, k: module, early_stopping=early_stopping).fit(digits[:100])
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, before["weight"])
    quick(encoder=lambda p, k: nn.Linear(p, k).double()).fit(digits)


def test_a_module_in_eval_mode_is_trained(digits):
    norm = nn.BatchNorm1d(64)
    model = quick(encoder=nn.Sequential(norm, nn.Linear(64, 2)).eval()).fit(digits)
    parts = model.net_.module_.modules()
    (trained,) = (part for part in parts if isinstance(part, nn.BatchNorm1d))
    assert trained.num_batches_tracked > 0
    assert norm.num_batches_tracked == 0


class Log(nn.Linear):
    def forward(self, x):
        return super().forward(x).log()


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_a_start_that_is_not_finite_raises(digits, early_stopping):
    model = quick(encoder=Log, early_stopping=early_stopping)
    with pytest.raises(ValueError, match="not finite before training|loss became nan"):
        model.fit(digits[:300])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_in_the_last_step_raises(digits, dtype):
    model = quick(learning_rate=1e20, max_iter=1, batch_size=len(digits))
    with pytest.raises(ValueError, match="learning_rate=1e"):
        model.fit(digits.astype(dtype))


@pytest.mark.parametrize("scale", [1e-200, 1e155, 1e200])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
def test_extreme_scales(digits, scale, hidden_layer_sizes):
    X = digits * scale
    model = quick(3, hidden_layer_sizes=hidden_layer_sizes)
    expected = model.fit(digits).score(digits)
    assert model.fit(X).score(X) == pytest.approx(expected, abs=1e-3)
    assert not np.isnan(model.score_samples(X)).any()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 7.0])
def test_constant_data_has_no_scale(value):
    X = np.full((30, 3), value)
    model = Autoencoder(2, whiten=True, random_state=0).fit(X)
    assert_array_equal(model.mean_, X[0])
    assert model.net_.module_.scaling.scale == 1
    assert model.score(X) == 1


def test_callbacks_that_want_held_out_rows(digits):
    X = digits[:300]
    model = quick(4, early_stopping="auto", callbacks=[EarlyStopping()], max_iter=20)
    with pytest.raises(ValueError, match="early_stopping=True holds some out"):
        model.fit(X)
    model.set_params(early_stopping=True).fit(X)
    with pytest.raises(ValueError, match="must be skorch callbacks .* got 'x'"):
        quick(callbacks=["x"]).fit(X)


class PressesCtrlC(Callback):
    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


def stop():
    raise KeyboardInterrupt


class StopsThroughAHelper(Callback):
    def on_epoch_end(self, net, **kwargs):
        stop()


@pytest.fixture
def ctrl_c():
    """Python's own handler, which a shell takes away from what runs behind it."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, found)


def test_ctrl_c_in_a_callback_is_ctrl_c(digits, ctrl_c):
    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=[PressesCtrlC()]).fit(digits)
    assert signal.getsignal(signal.SIGINT) is ctrl_c
    assert quick(callbacks=[StopsThroughAHelper()]).fit(digits).n_iter_ == 1


@pytest.mark.parametrize(
    "changed", [{"hidden_layer_sizes": (7,)}, {"activation": "relu"}]
)
def test_warm_start_wants_the_same_structure(digits, changed):
    model = quick(2, warm_start=True).fit(digits)
    with pytest.raises(ValueError, match="but the fitted model that warm_start=True"):
        model.set_params(**changed).fit(digits)


def test_warm_start_of_a_linear_model_solves_anew(digits):
    model = Autoencoder(2, warm_start=True, hidden_layer_sizes=()).fit(digits)
    X = digits[:, ::-1] * 10 + 100
    assert_allclose(model.fit(X).transform(X), PCA(2).fit_transform(X), atol=1e-8)


@pytest.mark.parametrize(
    "changed", [{"hidden_layer_sizes": 8}, {"device": "xpu"}, {"device": None}]
)
def test_parameters_set_after_fit_do_not_matter_to_transform(digits, changed):
    model = quick().fit(digits)
    Z = model.transform(digits)
    assert_array_equal(model.set_params(**changed).transform(digits), Z)


@pytest.mark.parametrize("device", ["xpu", "meta", "hpu"])
def test_devices_that_cannot_train(digits, device):
    with pytest.raises(ValueError, match=f"device='{device}' is not"):
        quick(device=device).fit(digits)


def test_no_batch_of_one_row():
    X = np.random.default_rng(0).normal(size=(61, 6))

    def normed(p, k):
        return nn.Sequential(nn.Linear(p, 8), nn.BatchNorm1d(8), nn.Linear(8, k))

    assert quick(encoder=normed, batch_size=2).fit(X).n_iter_ == 5


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_network_that_cannot_be_copied(digits):
    normed = nn.utils.weight_norm(nn.Linear(64, 2))
    normed(torch.zeros(1, 64))  # its weight is now a result, which cannot be copied
    with pytest.raises(ValueError, match="encoder cannot be copied"):
        quick(encoder=normed).fit(digits)


def test_networks_without_a_weight_to_train(digits):
    encoder = nn.Linear(64, 2).requires_grad_(False)
    decoder = nn.Linear(2, 64).requires_grad_(False)
    with pytest.raises(ValueError, match="has a weight to train"):
        quick(init="random", encoder=encoder, decoder=decoder).fit(digits)


@pytest.mark.parametrize(
    "mode", [torch.inference_mode, torch.no_grad, lambda: torch.device("meta")]
)
def test_the_modes_of_the_caller_do_not_matter(digits, mode):
    Z = quick().fit(digits).transform(digits)
    with mode():
        model = quick().fit(digits)
        assert_array_equal(model.transform(digits), Z)
        assert_array_equal(model.inverse_transform(Z), model.reconstruct(digits))


def test_memory_of_the_frame_is_bounded():
    code = (
        "import numpy as np, resource; from sklatent import Autoencoder;"
        "X = np.random.default_rng(0).normal(size=(900, 1500)).astype('f');"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024;"
        "p = dict(hidden_layer_sizes=(32,), max_iter=1, early_stopping=False);"
        "Autoencoder(2, **p).fit(X); before = peak();"
        "Autoencoder(100, **p).fit(X); more = peak() - before;"
        "assert more < 300, more"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
