"""Models that are trained as one stacked network."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch.nn.utils import prune

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import Batch, Sizes, can_stack, share_weights, stack_models
from sklatent.plan import resolve
from sklatent.rows import rows_of
from sklatent.training._schedule import OneCycle

X, Y = (values[:120] for values in load_digits(return_X_y=True))
ESTIMATORS = [
    Autoencoder(4, random_state=0),
    Autoencoder(4, init="random", random_state=0),
    DenoisingAutoencoder(4, activation="relu", random_state=0),
    VariationalAutoencoder(4, random_state=0),
    VariationalAutoencoder(4, likelihood="poisson", random_state=0),
    Autoencoder(4, ordered=True, random_state=0),
    VariationalAutoencoder(4, ordered=True, random_state=0),
    SupervisedAutoencoder(4, random_state=0),
    SupervisedAutoencoder(4, mixing=0.1, init="random", random_state=0),
    SupervisedAutoencoder(4, target_type="continuous", random_state=0),
    SupervisedAutoencoder(4, ordered=True, random_state=0),
    SupervisedAutoencoder(
        4, target_type="continuous", semi_supervised=True, ordered=True, random_state=0
    ),
]


def members(estimator):
    """Models of five folds with weights that are not 0, and batches of their rows."""
    y = Y
    if getattr(estimator, "semi_supervised", False):
        y = np.where(np.arange(len(Y)) % 3, Y, np.nan)
    data = rows_of(X, targets=estimator._targets(y))
    plan = resolve(estimator, data)
    problem = estimator._problem(data, plan)
    models = [problem.build(data[train]).float() for train, _ in plan.splits.pairs]
    generator = torch.Generator().manual_seed(0)
    for model in models:
        for weight in model.parameters():
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    some = [data[train[:20]] for train, _ in plan.splits.pairs]
    rows = torch.stack([part.tensor() for part in some])
    if data.targets is None:
        return models, problem.loss, rows, None
    values = torch.from_numpy(data.targets.values)
    y = torch.stack([values[part.where()] for part in some])
    return models, problem.loss, rows, y


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_stack_has_the_losses_and_gradients_of_its_members(estimator):
    models, loss, rows, y = members(estimator)
    assert can_stack(models)
    stacked = stack_models(models)
    for weight in stacked.parameters():
        weight.grad = torch.full_like(weight, torch.nan)  # to be overwritten
    share_weights(stacked, models)
    noise = torch.randn(5, 20, 4, generator=torch.Generator().manual_seed(1))
    is_ordered = estimator.ordered
    sizes = Sizes.of(torch.arange(20) // 5 + 1) if is_ordered else None
    batch = Batch(rows, rows, noise=noise, sizes=sizes, y=y)
    with torch.no_grad():
        output, tape = stacked.forward_with_tape(batch)
        value, grad = loss.gradient(output, batch)
        stacked.backward(tape, grad)
    total = 0.0
    for i, model in enumerate(models):
        own = Batch(rows[i], rows[i], noise=noise[i], sizes=sizes)
        own.y = None if y is None else y[i]
        expected = loss(model.forward_scaled(own), own)
        expected.backward()
        total += expected.item()
        for ours, theirs in zip(stacked.parameters(), model.parameters(), strict=True):
            unused = torch.zeros_like(theirs)  # the noise of a Poisson likelihood
            grad = unused if theirs.grad is None else theirs.grad
            atol = 1e-5 * float(grad.abs().max())
            found = ours.grad[i].view_as(theirs)
            torch.testing.assert_close(found, grad, rtol=1e-3, atol=atol)
    assert value.item() == pytest.approx(total, rel=1e-5)
    if not is_ordered:
        now = loss(stacked.forward_scaled(batch), batch)
        assert now.item() == pytest.approx(total, rel=1e-5)


def test_members_share_the_weights_of_their_stack():
    models, *_ = members(ESTIMATORS[0])
    stacked = stack_models(models)
    share_weights(stacked, models)
    with torch.no_grad():
        for weight in stacked.parameters():
            weight[3] += 1.0
    state = models[3].state_dict()
    weight = state["decoder.network.0.weight"]
    assert weight.data_ptr() == stacked.decoder.network.weight0[3].data_ptr()
    models[3].load_state_dict({name: 0 * value for name, value in state.items()})
    assert not stacked.decoder.network.weight0[3].any()
    assert stacked.decoder.network.weight0[2].any()


def test_rows_far_out_are_decoded_as_by_members():
    models, loss, rows, _ = members(ESTIMATORS[0])
    batch = Batch(100 * rows, 100 * rows)
    with torch.no_grad():
        found = loss.rows(stack_models(models).forward_scaled(batch), batch)
        for i, model in enumerate(models):
            own = Batch(100 * rows[i], 100 * rows[i])
            expected = loss.rows(model.forward_scaled(own), own)
            torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=0)


def test_what_cannot_be_stacked():
    models, *_ = members(ESTIMATORS[0])
    other, *_ = members(Autoencoder(3, random_state=0))
    assert not can_stack([models[0], other[0]])
    prune.l1_unstructured(models[0].encoder.network[0], "weight", amount=0.5)
    assert not can_stack(models)
    models, *_ = members(ESTIMATORS[0])
    models[1].encoder.network[0].weight.requires_grad_(False)
    assert not can_stack(models)


@pytest.mark.parametrize("ordered", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "model",
    [
        Autoencoder,
        DenoisingAutoencoder,
        VariationalAutoencoder,
        SupervisedAutoencoder,
    ],
)
def test_folds_and_the_final_model_are_trained_as_one(model, ordered):
    model = model(
        3, hidden_layer_sizes=(32,), max_iter=40, ordered=ordered, random_state=0
    )
    fitted, again = clone(model).fit(X, Y), clone(model).fit(X, Y)
    np.testing.assert_array_equal(fitted.transform(X), again.transform(X))
    assert fitted.best_iteration_ > 0
    assert len(fitted.net_.history) == len(fitted.loss_curve_) == fitted.n_iter_
    assert fitted.net_.history[-1, "train_loss"] == fitted.loss_curve_[-1]
    # What held-out rows said of the folds is true of the model of all rows.
    if not isinstance(model, SupervisedAutoencoder):  # whose score is not of rows alone
        assert fitted.score(X) > fitted.best_validation_score_
    assert np.isfinite(fitted.held_out_scores_).all()


def test_a_final_model_that_falls_behind_is_trained_by_itself():
    """It explained -0.37 at an epoch that was good for the folds; PCA 0.82."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(300, 2))
    rows = np.c_[u, u**2, np.sin(u), u[:, :1] * u[:, 1:], u[:, :1]]
    rows = rows @ rng.normal(size=(8, 8)) + 0.1 * rng.normal(size=(300, 8))
    model = Autoencoder(2, learning_rate=1.0, max_iter=20, random_state=0).fit(rows)
    start = Autoencoder(2, hidden_layer_sizes=(), random_state=0).fit(rows)
    assert model.score(rows) >= start.score(rows)


def test_folds_of_few_rows_are_not_stacked():
    model = Autoencoder(3, cv=2, max_iter=5, random_state=0).fit(X)
    # The model of all rows has a training of its own, of as many epochs as are kept.
    assert len(model.net_.history) == model.best_iteration_


def test_a_warm_start_ends_its_cycle(monkeypatch):
    rates = []
    step = OneCycle.next_step
    monkeypatch.setattr(
        OneCycle,
        "next_step",
        lambda self: (step(self), rates.append(self.groups[0]["lr"])),
    )
    model = Autoencoder(3, max_iter=5, warm_start=True, random_state=0).fit(X)
    first = len(rates)
    model.fit(X)
    for cycle in (rates[:first], rates[first:]):
        assert cycle[-1] < 0.1 * max(cycle)


def test_held_out_rows_at_the_mean():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 5))
    rows = np.r_[rows, -rows, np.zeros((10, 5))]
    cv = [(np.arange(85), np.arange(85, 90)), (np.arange(80), np.arange(80, 90))]
    model = Autoencoder(2, init="random", cv=cv, max_iter=5, random_state=0).fit(rows)
    assert np.isfinite(model.transform(rows)).all()


def test_no_callbacks_are_none():
    models = [
        Autoencoder(3, callbacks=callbacks, max_iter=10, random_state=0).fit(X)
        for callbacks in (None, [])
    ]
    np.testing.assert_array_equal(models[0].transform(X), models[1].transform(X))
