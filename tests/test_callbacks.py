"""Callbacks of skorch: what they see, and what stops or changes the training."""

import copy
import os
import pickle
import threading
from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    PrintLog,
)
from torch import nn
from torch.nn.utils import prune

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklatent.plan import SplitBy, choose_splits, seed_of
from sklatent.rows import rows_of

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 6, "random_state": 0}
CLASSES = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]


def mean_error(net, X, y):
    return float(np.square(net.predict(X) - y).mean())


class Weights(Callback):
    """Keeps what `net.predict` gives after each epoch."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.rows = X.X
        self.predicted = [net.predict(self.rows)]

    def on_epoch_end(self, net, **kwargs):
        self.predicted.append(net.predict(self.rows))


@pytest.mark.parametrize("model", CLASSES)
def test_scores_of_epochs_are_in_units_of_the_data(digits, model):
    options = {"lower_is_better": False}
    neg = "neg_mean_squared_error"
    callbacks = [
        EpochScoring(neg, name="cached", **options),
        EpochScoring(neg, name="predicted", use_caching=False, **options),
        EpochScoring(neg, name="train", on_train=True, **options),
        EpochScoring(mean_error, name="own", use_caching=False),
    ]
    X = 10 * digits + 500
    fitted = model(4, callbacks=callbacks, **QUICK).fit(X)
    last = fitted.net_.history[-1]
    assert last["own"] == pytest.approx(-last["predicted"])
    # 100 times the errors of pixels, which PCA leaves some 9 of.
    for name in ("cached", "predicted", "train"):
        assert -1500 < last[name] < -600
    if model is Autoencoder:  # the others are shown something else than the rows
        assert last["cached"] == pytest.approx(last["predicted"], rel=1e-4)


@pytest.mark.parametrize("model", CLASSES)
def test_the_net_predicts_in_training(digits, model):
    fitted = model(4, callbacks=[Weights()], early_stopping=False, **QUICK).fit(digits)
    (watched,) = (c for _, c in fitted.net_.callbacks_ if isinstance(c, Weights))
    assert_array_equal(watched.rows, digits)
    assert len(watched.predicted) == 7
    assert_allclose(watched.predicted[-1], fitted.reconstruct(digits), atol=1e-3)


class Stops(Callback):
    def __init__(self, epoch, within=False):
        self.epoch = epoch
        self.within = within

    def on_epoch_end(self, net, **kwargs):
        if not self.within and len(net.history) == self.epoch:
            raise KeyboardInterrupt

    def on_batch_end(self, net, training=False, **kwargs):
        n_batches = len(net.history[-1]["batches"])
        if (
            self.within
            and training
            and len(net.history) == self.epoch
            and n_batches > 1
        ):
            raise KeyboardInterrupt


class LoadsNoise(Callback):
    """Ends the training in a state that no epoch has ended in, and that is no good."""

    def on_train_end(self, net, **kwargs):
        for parameter in net.module_.parameters():
            parameter.data.add_(0.5)


def silent(*args, **kwargs):
    pass


def early_stopping(tmp_path):
    return EarlyStopping(
        "train_loss", patience=2, threshold=0.5, load_best=True, sink=silent
    )


def checkpoint(tmp_path):
    return Checkpoint(
        dirname=tmp_path, monitor="train_loss_best", load_best=True, sink=silent
    )


#: The callback, and the epochs whose state is kept: of all rows, or of the held-out
#: rows' best, which is no later than that.
CALLBACKS = {
    "at the end": (lambda _: Stops(3), 3),
    "within": (lambda _: Stops(3, within=True), 2),
    "within the first": (lambda _: Stops(1, within=True), 0),
    "early stopping": (early_stopping, 1),
    "checkpoint": (checkpoint, 6),
}


@pytest.mark.parametrize("model", CLASSES)
@pytest.mark.parametrize(
    ("n_rows", "early_stopping"),
    [(300, "auto"), (1797, "auto"), pytest.param(1797, False, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", CALLBACKS)
def test_attributes_describe_the_model_that_is_kept(
    digits, model, n_rows, early_stopping, name, tmp_path
):
    make, kept = CALLBACKS[name]
    X = digits[:n_rows]
    params = {"early_stopping": early_stopping, **QUICK}
    if model is VariationalAutoencoder:
        params["noise_variance"] = "shared"
    fitted = model(4, callbacks=[make(tmp_path)], **params).fit(X)
    assert fitted.n_iter_ == max(1, len(fitted.loss_curve_))
    exactly = model is Autoencoder or early_stopping is False
    assert fitted.best_iteration_ <= kept
    if exactly:
        assert fitted.best_iteration_ == kept
    scores = fitted.validation_scores_
    if early_stopping is False:
        assert scores is None
        return
    assert fitted.best_validation_score_ == scores[fitted.best_iteration_]
    assert fitted.best_validation_score_ >= scores[0]
    if n_rows == 1797 and model is Autoencoder:  # one held-out part, seen as it is
        split = choose_splits(rows_of(X), SplitBy(), seed_of(0), good_start=True)
        ((_, held_out),) = split.pairs
        rows = X[held_out]
        left = np.square(fitted.reconstruct(rows) - rows).sum()
        share = 1 - left / np.square(rows - fitted.mean_).sum()
        assert share == pytest.approx(fitted.best_validation_score_, abs=1e-5)


@pytest.mark.parametrize("n_rows", [300, 1797])
def test_a_bad_state_that_a_callback_loads_is_not_kept(digits, n_rows):
    X = digits[:n_rows]
    model = Autoencoder(4, callbacks=[LoadsNoise()], **QUICK)
    expected = pytest.warns(ConvergenceWarning, match="a state of no epoch")
    with expected if n_rows == 300 else nullcontext():
        fitted = model.fit(X)
    linear = Autoencoder(4, hidden_layer_sizes=()).fit(X)
    assert fitted.best_iteration_ == 0
    assert fitted.best_validation_score_ == fitted.validation_scores_[0]
    assert_allclose(fitted.transform(X), linear.transform(X), atol=1e-9)


class Locked(Callback):
    """Cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.n_epochs += 1


def test_callbacks_that_cannot_be_copied_are_used_as_they_are(digits):
    locked = Locked()
    with open(os.devnull, "w") as file:
        log = PrintLog(sink=lambda *args: print(*args, file=file))
        model = Autoencoder(
            4, callbacks=[locked, log], early_stopping=False, **QUICK
        ).fit(digits[:200])
    assert locked.n_epochs == model.n_iter_ == 6


def test_what_callbacks_share_stays_shared(digits, tmp_path):
    class Reads(Callback):
        def __init__(self, other):
            self.other = other

    first = Checkpoint(dirname=tmp_path, monitor=None, sink=silent)
    model = Autoencoder(2, callbacks=[first, Reads(first)], **QUICK).fit(digits[:900])
    copied = dict(model.net_.callbacks_)
    assert copied["Reads"].other is copied["Checkpoint"]
    assert copied["Checkpoint"] is not first


# Found by a review -----------------------------------------------------------------


class Ruins(Callback):
    """Stops in the first epoch, if asked to, and ends in a state that is no good."""

    def __init__(self, stops):
        self.stops = stops

    def on_batch_end(this, net, **kwargs):  # noqa: N805, whatever it is called
        if this.stops:
            raise KeyboardInterrupt

    def on_train_end(self, net, **kwargs):
        for parameter in net.module_.parameters():
            parameter.data.add_(1.0)


@pytest.mark.parametrize("stops", [True, False])
def test_scores_are_those_of_states_that_were_judged(digits, stops):
    model = Autoencoder(3, callbacks=[Ruins(stops)], **QUICK).fit(digits)
    plain = Autoencoder(3, **QUICK).fit(digits)
    assert model.best_iteration_ == 0
    n = len(model.validation_scores_)
    assert n == (1 if stops else 7)
    assert model.validation_scores_[0] == plain.validation_scores_[0]
    assert model.validation_scores_.min() > 0
    assert model.best_validation_score_ == model.validation_scores_[0]


class Shifts(Callback):
    """Changes buffers alone."""

    def on_train_end(self, net, **kwargs):
        for module in net.module_.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.add_(100.0)


def test_buffers_that_a_callback_changed_are_judged(digits):
    def encoder(n_in, n_out):
        layers = nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.Linear(16, n_out)
        return nn.Sequential(*layers)

    params = {"encoder": encoder, "max_iter": 4, "random_state": 0}
    model = Autoencoder(3, callbacks=[Shifts()], **params).fit(digits)
    assert model.best_iteration_ == 0
    assert model.score(digits) == pytest.approx(model.best_validation_score_, abs=0.02)


class Keeps(Callback):
    """Keeps the net, as callbacks often do."""

    def on_train_begin(self, net, **kwargs):
        self.net = net


def test_a_callback_that_keeps_the_net_keeps_no_rows(digits):
    X = np.tile(digits, (4, 1))
    kept = Autoencoder(3, callbacks=[Keeps()], **QUICK).fit(X)
    alone = Autoencoder(3, **QUICK).fit(X)
    more = len(pickle.dumps(kept)) - len(pickle.dumps(alone))
    assert more < 200_000 < X.nbytes / 10


class Prunes(Callback):
    """Prunes a layer in the middle of an epoch."""

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == 2 and len(net.history[-1]["batches"]) == 2:
            prune.l1_unstructured(net.module_.encoder.network[0], "weight", 0.3)


def test_a_layer_may_be_pruned_in_training(digits):
    model = Autoencoder(3, callbacks=[Prunes()], early_stopping=False, **QUICK)
    layer = model.fit(digits).net_.module_.encoder.network[0]
    assert (layer.weight == 0).float().mean() > 0.29
    assert np.isfinite(model.transform(digits)).all()


class Predicts(Callback):
    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.shapes = [net.predict(d).shape for d in (dataset_train, dataset_valid)]


def test_the_net_predicts_the_datasets_that_callbacks_see(digits):
    model = Autoencoder(3, callbacks=[Predicts()], **QUICK).fit(digits)
    (callback,) = (c for _, c in model.net_.callbacks_ if isinstance(c, Predicts))
    assert callback.shapes == [(1617, 64), (180, 64)]


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("make", [lambda c: [c], lambda c: (("mine", c),)])
@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_estimators_with_a_callback_that_cannot_be_copied(digits, cls, make, fitted):
    locked = Locked()
    model = cls(4, callbacks=make(locked), ordered=True, random_state=0)
    model.set_params(hidden_layer_sizes=(8,), max_iter=2, early_stopping=False)
    if fitted:
        model.fit(digits[:200])
        small = model.truncate(2)
        assert_array_equal(small.transform(digits), model.transform(digits)[:, :2])
    for other in (copy.deepcopy(model), clone(model)):
        (callback,) = other.callbacks
        assert type(other.callbacks) is type(model.callbacks)
        assert (callback[1] if isinstance(callback, tuple) else callback) is locked
    if fitted:
        copied = copy.deepcopy(model)
        assert_array_equal(copied.transform(digits), model.transform(digits))
        assert copied.net_.module_ is not model.net_.module_
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2).fit(digits[:200])
    assert search.best_estimator_.n_components_ == search.best_params_["n_components"]


def test_a_copy_of_an_estimator_shares_no_callback_that_can_be_copied(digits):
    watches = Weights()
    model = Autoencoder(2, callbacks=[watches], early_stopping=False, **QUICK)
    for other in (copy.deepcopy(model), clone(model), copy.deepcopy(model.fit(digits))):
        assert type(other.callbacks[0]) is Weights
        assert other.callbacks[0] is not watches


@pytest.mark.parametrize("named", [False, True])
def test_callbacks_that_need_held_out_rows_are_refused_before_training(digits, named):
    stops = EarlyStopping(monitor="valid_loss", sink=lambda _: None)
    watches = Weights()
    callbacks = [watches, ("stops", stops) if named else stops]
    model = Autoencoder(2, callbacks=callbacks, **QUICK)
    with (
        mock.patch("sklatent.training._train.Search", side_effect=AssertionError),
        pytest.raises(ValueError, match="asks for validation figures .*early_stopping"),
    ):
        model.fit(digits[:300])
    model.set_params(early_stopping=True).fit(digits[:300])
    linear = Autoencoder(2, hidden_layer_sizes=(), callbacks=callbacks)
    linear.fit(digits[:300])  # there is no training


def test_a_checkpoint_from_before_ordered_decoders_were_solved(digits, tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path, load_best=True)
    model = Autoencoder(
        4, ordered=True, max_iter=10, callbacks=[checkpoint], random_state=0
    )
    model.fit(digits)
    assert model.net_.module_.decoder.ends is None
    assert np.isfinite(model.score(digits))
