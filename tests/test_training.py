"""The engine: the optimiser, the batches, the schedule."""

import copy
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Freezer
from torch import nn
from torch.testing import assert_close

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import AS_TRAINED, LINEAR, Batch, FlatAdamW, LastLayer, SquaredError
from sklatent.plan._auto import (
    AutoRules,
    decay_of_weights,
    largest_learning_rate,
    n_epochs,
    rows_of_a_batch,
    shortfall,
    weight_size,
)
from sklatent.rows import DenseRows, Scale, Shuffled, TrainingRows, _dense, n_batches
from sklatent.runtime import threads_kept
from sklatent.training import Judge, _train
from sklatent.training._loop import EpochLoop
from sklatent.training._run import Run
from sklatent.training._schedule import OneCycle, one_cycle


def test_flat_adamw_is_adamw():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    twin = copy.deepcopy(network)
    settings = {"lr": 0.01, "weight_decay": 0.5}
    flat = FlatAdamW([{"params": list(network.parameters())}], **settings)
    plain = torch.optim.AdamW(twin.parameters(), **settings)
    for _ in range(5):
        x = torch.randn(6, 3)
        flat.clear()
        plain.zero_grad()
        for model, optimizer in ((network, flat), (twin, plain)):
            model(x).square().sum().backward()
            optimizer.step()
    assert_close(network.state_dict(), twin.state_dict())
    flat.release()
    assert all(p.grad is None for p in network.parameters())
    storages = {p.untyped_storage().data_ptr() for p in network.parameters()}
    assert len(storages) == 4
    assert_close(network.state_dict(), twin.state_dict())


def test_frozen_parameters_stay(digits):
    names = []

    def is_first_layer(name):
        names.append(name)
        return name.startswith("encoder.network.0.")

    params = {"early_stopping": False, "hidden_layer_sizes": (8,), "random_state": 0}
    one, three = (
        Autoencoder(2, max_iter=n, callbacks=[Freezer([is_first_layer])], **params).fit(
            digits
        )
        for n in (1, 3)
    )
    layers = [model.net_.module_.encoder.network for model in (one, three)]
    assert_close(layers[0][0].weight, layers[1][0].weight, rtol=0, atol=0)
    assert not torch.equal(layers[0][2].weight, layers[1][2].weight)
    assert "encoder.network.0.weight" in names


def test_batches_are_a_partition_and_differ():
    rows = TrainingRows(DenseRows(np.arange(11.0)[:, None]), seed=0)
    epochs = [list(Shuffled(rows, 4)) for _ in range(2)]
    for epoch in epochs:
        sizes = [len(batch) for batch in epoch]
        assert len(sizes) == n_batches(11, 4) == 3
        assert max(sizes) - min(sizes) <= 1
        for name in ("inputs", "target"):
            seen = torch.cat([getattr(batch, name) for batch in epoch])
            assert sorted(seen.flatten()) == list(range(11))
    assert not torch.equal(epochs[0][0].target, epochs[1][0].target)


def test_a_batch_gives_skorch_rows_in_units_of_the_data(digits):
    rows = TrainingRows(DenseRows(digits, Scale.of(digits)), seed=0)
    pairs = [tuple(batch) for batch in Shuffled(rows, 500)]
    for inputs, target in pairs:
        assert inputs.dtype == target.dtype == torch.float64
        assert torch.equal(inputs, target)
    seen = torch.cat([target for _, target in pairs]).numpy()
    order, expected = (np.lexsort(x.round(3).T) for x in (seen, digits))
    assert_close(seen[order], digits[expected], rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_steps", [10, 1000])
def test_one_cycle_is_that_of_pytorch(n_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    # PyTorch counts from the first step to the last; ours would end one step later.
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=n_steps + 1, pct_start=0.3, final_div_factor=1e9
    )
    tolerance = 3 / n_steps
    for step in range(n_steps):
        assert one_cycle(step / n_steps) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=tolerance
        )
        optimizer.step()
        reference.step()


def test_a_part_of_a_cycle_ends_like_the_whole():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    cycle, rates = OneCycle(optimizer, 2.0, 50, begin=0.75), []
    for _ in range(50):
        cycle.next_step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == 2.0 * one_cycle(0.75)
    assert rates[25] == pytest.approx(2.0 * one_cycle(0.875))
    assert rates == sorted(rates, reverse=True)
    assert cycle.done == 1.0


def curved(n):
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12)))
    return X + 0.05 * rng.normal(size=X.shape)


@pytest.mark.parametrize("model", [Autoencoder, DenoisingAutoencoder])
def test_the_last_epochs_are_on_all_rows(model, monkeypatch):
    X, new = np.split(curved(2000), [900])
    params = {"hidden_layer_sizes": (32,), "max_iter": 50, "random_state": 0}
    fitted = model(3, **params).fit(X)
    held_out = np.isfinite(fitted.held_out_scores_)
    assert held_out.sum() == 90
    assert "trained on all rows" in fitted.verdict_

    monkeypatch.setattr(_train, "refine", lambda *_: None)
    before = model(3, **params).fit(X)
    assert "trained on all rows" not in before.verdict_
    # What held-out rows said is from before.
    for name in ("held_out_scores_", "validation_scores_", "loss_curve_"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(before, name))
    assert fitted.best_iteration_ == before.best_iteration_
    if model is Autoencoder:  # noise is in the way of a denoiser's score of clean rows
        for rows in (X[held_out], new):
            assert fitted.score(rows) > before.score(rows)


def test_the_last_epochs_go_on_from_what_is_kept(monkeypatch):
    """A start that sees targets is that of the search, of the training rows."""
    X = curved(900)
    y = (X[:, 0] > 0).astype(int)
    runs, before = [], Run.load

    def load(self, state):
        before(self, state)
        runs.append(self)

    monkeypatch.setattr(Run, "load", load)
    params = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    model = SupervisedAutoencoder(3, **params).fit(X, y)
    assert "trained on all rows" in model.verdict_
    gains = {run.model.encoder.network.gain for run in runs}
    gains |= {run.model.decoder.network.gain for run in runs}
    assert len({id(run) for run in runs}) == 2
    assert len(gains) == 2  # of encoder and decoder
    for name in ("encoder.weight", "encoder.bias"):
        exact = model.net_.module_.state_dict()[name]
        assert not torch.equal(exact, exact.float().double())


def test_rows_on_neither_side_are_not_trained_on():
    X = curved(900)
    X[500:] *= 30
    cv = [(np.arange(400), np.arange(400, 500))]
    params = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    model = Autoencoder(3, cv=cv, **params).fit(X)
    other = X.copy()
    other[500:] = other[:499:-1]
    assert "trained on all rows" in model.verdict_
    assert_close(
        torch.from_numpy(model.reconstruct(X[:5])),
        torch.from_numpy(Autoencoder(3, cv=cv, **params).fit(other).reconstruct(X[:5])),
    )


def test_last_epochs_that_end_in_no_number_are_given_up(monkeypatch):
    X = curved(900)
    epoch = EpochLoop.run

    def run(self):
        epoch(self)
        if self.label == "all rows":
            for weight in self.runs[0].model.parameters():
                weight.data.fill_(torch.nan)

    monkeypatch.setattr(EpochLoop, "run", run)
    params = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    model = Autoencoder(3, **params).fit(X)
    assert "trained on all rows" not in model.verdict_
    assert np.isfinite(model.transform(X)).all()


def test_the_last_epochs_are_given_up_where_held_out_rows_lose(monkeypatch):
    X = curved(900)
    params = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    monkeypatch.setattr(Judge, "is_as_good", lambda *_: False)
    kept = Autoencoder(3, **params).fit(X)
    assert "trained on all rows" not in kept.verdict_
    monkeypatch.undo()
    monkeypatch.setattr(_train, "refine", lambda *_: None)
    before = Autoencoder(3, **params).fit(X)
    np.testing.assert_array_equal(kept.transform(X), before.transform(X))


class Silent(Callback):
    """Does nothing; but the net must then tell it of every batch."""


@pytest.mark.parametrize("model", [Autoencoder, VariationalAutoencoder])
def test_watched_or_not_it_is_the_same(digits, model, monkeypatch):
    # The last epochs, on all rows, are of fits that nobody watches.
    monkeypatch.setattr(_train, "refine", lambda *_: None)
    params = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
    alone = model(3, **params).fit(digits)
    watched = model(3, callbacks=[Silent()], **params).fit(digits)
    assert_close(
        alone.net_.module_.state_dict(),
        watched.net_.module_.state_dict(),
        rtol=0,
        atol=0,
    )
    assert alone.loss_curve_ == pytest.approx(watched.loss_curve_)
    names = ["train_loss", "valid_loss", "train_loss_best", "train_batch_count"]
    for one, other in zip(alone.net_.history, watched.net_.history, strict=True):
        assert [one[n] for n in names] == pytest.approx([other[n] for n in names])
        assert not one["batches"]
        assert len(other["batches"]) > 2


@pytest.mark.parametrize("model", [Autoencoder, DenoisingAutoencoder])
def test_large_data_are_scaled_when_they_are_read(monkeypatch, digits, model):
    params = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
    kept = model(3, **params).fit(digits)
    monkeypatch.setattr(_dense, "MAX_SCALED_ONCE", 0)
    read = model(3, **params).fit(np.asfortranarray(digits))
    assert_close(kept.transform(digits), read.transform(digits), rtol=0, atol=1e-9)


def test_scaled_rows(monkeypatch):
    X = np.random.default_rng(0).normal(3, 2, size=(40, 5))
    scale = Scale.of(X)
    assert_close(scale.mean, X.mean(axis=0))
    expected = (X - scale.mean) / scale.scale
    assert np.mean(expected**2) == pytest.approx(1)
    for limit in (0, _dense.MAX_SCALED_ONCE):
        monkeypatch.setattr(_dense, "MAX_SCALED_ONCE", limit)
        rows = DenseRows(X, scale)
        some = rows[np.array([7, 3, 30])][1:]
        assert some.shape == (2, 5)
        assert_close(some.dense(), expected[[3, 30]])
        assert_close(some.tensor().numpy(), expected[[3, 30]].astype(np.float32))
        assert_close(
            some.tensor(np.array([1])).numpy(), expected[[30]].astype(np.float32)
        )
        assert_close(rows.mean(), expected.mean(axis=0), rtol=0, atol=1e-12)
        assert_close(rows.variance(), expected.var(axis=0))
        assert_close(rows.covariance()[1], np.cov(expected.T, bias=True))
        assert_close(rows.range()[1], expected.max(axis=0))
        assert len(rows.subsample(7)) == 7


def test_last_layer_is_ridge_regression(digits):
    """Each feature is one of its own; what is linear in the latents has no penalty."""
    model = Autoencoder(3, hidden_layer_sizes=(16,), max_iter=2, random_state=0)
    module = model.fit(digits.astype(np.float32)).net_.module_
    varying = digits[:300, np.ptp(digits, axis=0) > 0]
    x = torch.from_numpy(varying.astype(np.float32) / 8 - 1)
    layer = LastLayer(module)
    for part in x.split(100):
        layer.add(Batch(part, part))
    layer.factorise()
    before = module.forward_scaled(Batch(x, x))
    with torch.no_grad():
        u = module.latents(x)
        hidden = torch.nn.Sequential(*list(module.decoder.network)[:-1])(u)
        hidden = hidden.double().numpy()
    u, target = u.double().numpy(), x.double().numpy()
    linear = np.column_stack([np.ones(300), u])
    left = hidden - linear @ np.linalg.lstsq(linear, hidden)[0]
    penalties = np.full(x.shape[1], LINEAR)
    penalties[:3] = 0.1, 10.0, np.inf
    expected = linear @ np.linalg.lstsq(linear, target)[0]
    for j in range(2):
        design = np.column_stack([linear, hidden])
        ridge = np.zeros(design.shape[1])
        ridge[4:] = penalties[j] * np.square(left).sum(axis=0).mean()
        solved = np.linalg.solve(
            design.T @ design + np.diag(ridge), design.T @ target[:, j]
        )
        expected[:, j] = design @ solved
    expected[:, 2] = target[:, 2].mean()
    exact = layer.set(torch.from_numpy(penalties))
    found = module.forward_scaled(Batch(x, x)).detach().double().numpy()
    assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert_close(exact["decoder.weight"].float(), module.decoder.weight, rtol=0, atol=0)
    errors = layer.errors_with(Batch(x, x), torch.from_numpy(penalties)).numpy()
    assert_close(errors, np.square(expected - target), rtol=1e-4, atol=1e-4)
    layer.set(torch.full_like(layer.cross[0], AS_TRAINED))
    assert_close(module.forward_scaled(Batch(x, x)), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_rows", [300, 1797])
def test_the_last_layer_is_solved_where_held_out_rows_gain(monkeypatch, digits, n_rows):
    X, X_test = digits[:n_rows], digits[-500:]
    params = {"hidden_layer_sizes": (64,), "max_iter": 5, "random_state": 0}
    solved = Autoencoder(8, **params).fit(X)
    monkeypatch.setattr(LastLayer, "can_solve", lambda *_: False)
    trained = Autoencoder(8, **params).fit(X)
    assert solved.best_iteration_ == trained.best_iteration_ > 0
    assert solved.best_validation_score_ > trained.best_validation_score_ + 0.005
    assert solved.score(X_test) > trained.score(X_test) + 0.003


def test_the_last_layer_stays_where_it_is_not_ours(digits):
    class Decoder(nn.Linear):
        def __init__(self, n_features, n_components):
            super().__init__(n_components, n_features)

    given = Autoencoder(2, decoder=Decoder, max_iter=1, random_state=0).fit(digits)
    assert not LastLayer.can_solve(given.net_.module_, SquaredError())
    frozen = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    module = frozen.fit(digits).net_.module_
    assert LastLayer.can_solve(module, SquaredError())
    module.decoder.network[-1].weight.requires_grad_(False)
    assert not LastLayer.can_solve(module, SquaredError())


def test_what_auto_means():
    rules = AutoRules(learning_rate=0.003, max_learning_rate=0.01)
    rate = partial(largest_learning_rate, rules=rules, own=False)
    assert rate(0.5, 512, 3.0) == 0.5
    assert rate("auto", 16, 1.0) == 0.003
    assert rate("auto", 128, 1.0) == pytest.approx(0.006)
    assert rate("auto", 128, 3.0) == 0.01
    assert [weight_size(n, 1.0, 2) for n in (10, 4000, 10**6)] == [1.0, 2.0, 3.0]
    assert weight_size(10, 2.0, 2) == weight_size(10, 1.0, 3) == 2.0
    # Of networks of the user's, whose batches grow later.
    assert largest_learning_rate("auto", 16, 1.0, rules, own=True) == 0.01
    for own, sizes in ((False, [64, 250, 512]), (True, [64, 64, 312])):
        batches = partial(rows_of_a_batch, "auto", least=64, ordered=False, own=own)
        assert [batches(n) for n in (900, 4000, 20_000)] == sizes
    for changed, decay in ((False, 0.5), (True, 0.05)):
        assert decay_of_weights("auto", (2000, 100), rules, changed=changed) == decay
    usual = n_epochs("auto", 1000, 62, ordered=False)
    for max_iter, expected in (("auto", 1.0), (2 * usual, 1.0), (usual // 4, 2.0)):
        assert shortfall(max_iter, 1000, 62, ordered=False) == pytest.approx(expected)


@pytest.mark.slow
def test_fit_wants_little_memory_beside_the_data():
    code = """
import resource
import numpy as np
from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
X = np.random.default_rng(0).standard_normal((1_000_000, 100), np.float32)
Autoencoder(4, max_iter=1, hidden_layer_sizes=(8,)).fit(X[:1000])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
Autoencoder(16, max_iter=1).fit(X)
print((peak() - before) / X.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert float(done.stdout) < 0.5


def test_the_net_is_one_of_skorch(digits):
    rows = digits.astype(np.float32)
    model = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    net = model.fit(rows).net_
    assert type(net) is NeuralNet
    before = copy.deepcopy(net.module_.state_dict())
    net.set_params(lr=1e-3, max_epochs=2).partial_fit(rows, rows)
    assert len(net.history) == 4
    changed = [
        name
        for name, value in net.module_.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    assert all(".network." in name for name in changed)
    assert len(changed) == 9  # weights and biases of four layers, and the skip
    assert net.predict(rows).shape == rows.shape


@pytest.mark.parametrize("n_rows", [300, 900])
def test_the_last_layer_stays_frozen(digits, n_rows):
    params = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
    freezer = Freezer("decoder.network.*")
    model = Autoencoder(8, callbacks=[freezer], **params).fit(digits[:n_rows])
    assert model.net_.module_.decoder.network[-1].weight.abs().max() == 0


SEEN = []


class Last(Callback):
    """Notes the last layer as it is when training ends."""

    def on_train_end(self, net, **kwargs):
        SEEN.append(net.module_.decoder.network[-1].weight.detach().clone())


@pytest.mark.parametrize("n_rows", [300, 1797])
def test_callbacks_see_the_last_layer_solved(digits, n_rows):
    SEEN.clear()
    model = Autoencoder(8, callbacks=[Last()], max_iter=3, random_state=0)
    model.fit(digits[:n_rows])
    assert_close(SEEN[-1], model.net_.module_.decoder.network[-1].weight.float())


class Judges(Callback):
    """Puts a part of the net in the mode of judging, and notes in which it was."""

    def on_epoch_end(self, net, **kwargs):
        net.module_.encoder.eval()

    def on_batch_begin(self, net, **kwargs):
        SEEN.append(net.module_.encoder.training)


def test_all_parts_train_in_every_epoch(digits):
    SEEN.clear()
    Autoencoder(
        2,
        encoder=in_place,
        callbacks=[Judges()],
        max_iter=2,
        early_stopping=False,
        random_state=0,
    ).fit(digits[:64])
    assert SEEN
    assert all(SEEN)


class Presses(Callback):
    """Presses Ctrl-C in the first epoch, and wants to stop in the third."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            signal.raise_signal(signal.SIGINT)
        if len(net.history) == 3:
            raise KeyboardInterrupt


def test_a_ctrl_c_that_the_application_took_is_no_interrupt(digits):
    taken = []
    before = signal.signal(signal.SIGINT, lambda *_: taken.append(1))
    try:
        model = Autoencoder(
            2,
            hidden_layer_sizes=(8,),
            callbacks=[Presses()],
            max_iter=5,
            early_stopping=False,
        ).fit(digits[:100])
    finally:
        signal.signal(signal.SIGINT, before)
    assert taken == [1]
    assert model.n_iter_ == 3


def test_an_inner_block_leaves_the_threads_of_the_outer_one():
    found = torch.get_num_threads()
    with threads_kept():
        torch.set_num_threads(found + 1)
        with threads_kept():
            torch.set_num_threads(1)
        assert torch.get_num_threads() == found + 1
    assert torch.get_num_threads() == found


def test_frozen_weights_can_be_trained_around(digits):
    model = Autoencoder(4, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    model.set_params(warm_start=True).fit(digits)
    encoder = model.net_.module_.encoder.requires_grad_(False)
    before = copy.deepcopy(encoder.state_dict())
    decoder = copy.deepcopy(model.net_.module_.decoder.state_dict())
    model.set_params(early_stopping=False).fit(digits)
    assert_close(model.net_.module_.encoder.state_dict(), before, rtol=0, atol=0)
    after = model.net_.module_.decoder.state_dict()
    assert not torch.equal(after["network.0.weight"], decoder["network.0.weight"])


def in_place(n_in, n_out):
    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(n_in, n_out))


def not_in_place(n_in, n_out):
    return nn.Sequential(nn.ReLU(), nn.Linear(n_in, n_out))


@pytest.mark.parametrize("early_stopping", [True, False])
def test_networks_that_work_in_place(digits, early_stopping):
    params = {"early_stopping": early_stopping, "max_iter": 3, "random_state": 0}
    scores = [
        Autoencoder(4, encoder=encoder, **params).fit(digits).score(digits)
        for encoder in (in_place, not_in_place)
    ]
    assert scores[0] == scores[1]


class StopsWithin(Callback):
    """Stops in the middle of the second epoch."""

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == 2 and len(net.history[-1]["batches"]) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_callback_may_stop_within_an_epoch(digits, early_stopping):
    params = {"max_iter": 5, "early_stopping": early_stopping, "random_state": 0}
    model = Autoencoder(4, callbacks=[StopsWithin()], **params).fit(digits)
    assert len(model.loss_curve_) == 1
    assert model.score(digits) > 0.4
