"""What 'auto' means, and where it is told."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklatent.plan import resolve
from sklatent.rows import rows_of

MODELS = (Autoencoder, DenoisingAutoencoder, VariationalAutoencoder)
NAMES = (
    "hidden_layer_sizes",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "max_iter",
    "n_iter_no_change",
)


def rows(n, p, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def plan_of(n, p, model=None):
    return resolve(model or Autoencoder(2, random_state=0), rows_of(rows(n, p)))


@pytest.mark.parametrize(
    ("n", "p", "k", "hidden", "decay"),
    [
        (40, 4, 2, (64, 64, 64), 1.0),
        (399, 25, 7, (64, 64, 64), 312.5 / 399),
        (399, 25, 8, (96, 96), 312.5 / 399),
        (400, 25, 7, (96, 96, 96), 312.5 / 400),
        (799, 25, 8, (128, 128), 312.5 / 799),
        (800, 25, 7, (128, 128, 128), 312.5 / 800),
        (10_000, 16, 8, (192, 192), 0.02),
        (10_000, 64, 8, (192, 192), 0.08),
        (10_000, 81, 8, (192, 192), 0.09),
    ],
)
def test_layers_and_decay_follow_rows_features_and_latents(n, p, k, hidden, decay):
    plan = plan_of(n, p, Autoencoder(k, random_state=0))
    assert plan.hidden == hidden
    assert plan.weight_decay == pytest.approx(decay)


@pytest.mark.parametrize(
    ("cls", "n", "hidden", "decay", "batch_size", "rate"),
    [
        (DenoisingAutoencoder, 300, (64, 64, 64), 0.03, 64, 0.003 * 2**0.5),
        (DenoisingAutoencoder, 500, (96, 96, 96), 0.018, 64, 0.003 * 2**0.5),
        (DenoisingAutoencoder, 3200, (256, 128), 0.0028125, 200, 0.0075),
        (VariationalAutoencoder, 300, (64, 64), 0.27, 128, 0.01),
        (VariationalAutoencoder, 500, (64, 64), 0.162, 128, 0.01),
        (VariationalAutoencoder, 3200, (128, 128), 0.0253125, 200, 0.01),
    ],
)
def test_estimators_differ(cls, n, hidden, decay, batch_size, rate):
    plan = plan_of(n, 9, cls(2, random_state=0))
    assert plan.hidden == hidden
    assert plan.weight_decay == pytest.approx(decay)
    assert plan.batch_size == batch_size
    assert plan.learning_rate == pytest.approx(rate)


def test_many_features_call_for_wider_networks():
    model = DenoisingAutoencoder(2, random_state=0)
    assert plan_of(800, 99, model).hidden == (256, 128)
    assert plan_of(800, 100, model).hidden == (384, 256)
    assert plan_of(799, 100, model).hidden == (192, 192)
    assert plan_of(799, 100).hidden == (192, 192)
    assert plan_of(799, 99).hidden == (96, 96, 96)
    assert plan_of(800, 99).hidden == (128, 128, 128)
    assert plan_of(800, 100).hidden == (256, 256, 256)
    variational = VariationalAutoencoder(2, random_state=0)
    assert plan_of(800, 100, variational).hidden == (128, 128)


def test_the_encoder_has_a_linear_map_of_its_own_where_it_gains():
    assert plan_of(800, 99).skips
    assert not plan_of(799, 99).skips
    assert not plan_of(800, 100).skips
    X = rows(800, 5)
    for cls in MODELS:
        model = cls(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
        data = rows_of(X)
        problem = model._problem(data, resolve(model, data))
        encoder = problem.build(data).encoder.network
        assert (encoder.skip_weight is None) == (cls is VariationalAutoencoder)


def test_patience_is_half_of_the_cycle():
    assert plan_of(300, 5, Autoencoder(2)).n_iter_no_change == 20
    for max_iter, patience in ((100, 50), (30, 20)):
        model = Autoencoder(2, max_iter=max_iter, random_state=0)
        assert plan_of(900, 5, model).n_iter_no_change == patience


def test_numbers_stay_as_given():
    given = {
        "hidden_layer_sizes": [7],
        "learning_rate": 0.02,
        "weight_decay": 0.0,
        "batch_size": 50,
        "max_iter": 3,
        "n_iter_no_change": 2,
    }
    plan = plan_of(900, 5, Autoencoder(2, random_state=0, **given))
    assert plan.fitted_parameters() == {**given, "hidden_layer_sizes": (7,)}


@pytest.mark.parametrize("cls", MODELS)
def test_what_is_used_is_an_attribute(cls):
    X = rows(60, 4)
    model = cls(2, random_state=0, max_iter=2).fit(X)
    used = {name: getattr(model, f"{name}_") for name in NAMES}
    assert used == resolve(model, rows_of(X)).fitted_parameters()
    assert model.net_.lr == model.learning_rate_
    # With these as parameters the fit is the same.
    again = clone(model).set_params(**used).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cls", MODELS)
def test_other_words_are_errors(cls, name):
    with pytest.raises(ValueError, match=f"'{name}' .* Got 'best'"):
        cls(2, **{name: "best"}).fit(rows(30, 4))


def test_a_grid_has_both_auto_and_numbers():
    grid = {"hidden_layer_sizes": ["auto", (8,), ()], "weight_decay": ["auto", 0.1]}
    search = GridSearchCV(Autoencoder(2, max_iter=2, random_state=0), grid, cv=2)
    assert len(search.fit(rows(40, 4)).cv_results_["params"]) == 6


def test_a_network_of_ones_own_beside_auto():
    model = Autoencoder(
        2, encoder=lambda p, k: torch.nn.Linear(p, k), max_iter=2, random_state=0
    ).fit(rows(60, 4))
    assert model.hidden_layer_sizes_ == (64, 64, 64)
    assert model.transform(rows(5, 4)).shape == (5, 2)


def test_a_warm_start_with_auto_keeps_the_fitted_layers():
    model = Autoencoder(2, max_iter=2, random_state=0, warm_start=True)
    model.fit(rows(60, 4)).fit(rows(900, 4))
    assert model.hidden_layer_sizes_ == (64, 64, 64)
    model.set_params(hidden_layer_sizes=(64, 64, 64)).fit(rows(60, 4))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.set_params(hidden_layer_sizes=(8,)).fit(rows(60, 4))
    other = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=2, warm_start=True)
    other.fit(rows(60, 4)).set_params(hidden_layer_sizes="auto").fit(rows(60, 4))
    assert other.hidden_layer_sizes_ == (8,)
