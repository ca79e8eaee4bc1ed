"""A fitted model that goes on with other rows."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklatent.plan import resolve
from sklatent.problems._continued import taken_over
from sklatent.rows import rows_of

QUICK = {
    "hidden_layer_sizes": (32,),
    "max_iter": 5,
    "random_state": 0,
    "warm_start": True,
}
MODELS = (Autoencoder, DenoisingAutoencoder, VariationalAutoencoder)
#: With which nothing is learnt.
STILL = {"max_iter": 1, "learning_rate": 1e-9}


def left_share(model, X):
    """What the reconstruction leaves of the rows' variance about their own mean."""
    left = np.square(X - model.reconstruct(X)).sum()
    return left / np.square(X - X.mean(axis=0)).sum()


def curved(n, seed):
    """Rows near a curved surface of two dimensions, the same for all seeds."""
    random = np.random.default_rng(seed)
    t = random.uniform(-2, 2, size=(n, 2))
    weights = np.random.default_rng(9).normal(size=(6, 12))
    X = np.column_stack([t, np.sin(2 * t), t**2]) @ weights
    return X + 0.1 * random.normal(size=X.shape)


@pytest.mark.parametrize(("factor", "shift"), [(1, 100), (1000, 0), (1e-3, -5)])
@pytest.mark.parametrize(
    "early_stopping", ["auto", pytest.param(False, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("cls", MODELS)
def test_rows_that_are_moved_or_stretched(digits, cls, early_stopping, factor, shift):
    X, X_test = digits[:900], digits[900:]
    model = cls(6, **QUICK, early_stopping=early_stopping).fit(X)
    before = left_share(model, X_test)
    model.fit(factor * X + shift)
    assert_allclose(model.mean_, factor * X.mean(axis=0) + shift)
    moved = factor * X_test + shift
    assert left_share(model, moved) < before
    if cls is not VariationalAutoencoder:  # whose score is in nats
        assert model.score(moved) == pytest.approx(
            1 - left_share(model, moved), abs=0.01
        )


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize(
    ("data", "n"),
    [
        ("curved", 300),
        ("digits", 850),
        pytest.param("curved", 1000, marks=pytest.mark.slow),
        pytest.param("digits", 300, marks=pytest.mark.slow),
    ],
)
def test_more_rows_of_the_same_kind(digits, data, n, cls):
    X = digits if data == "digits" else curved(2600, 1)
    X = X[np.random.default_rng(0).permutation(len(X))]
    first, second, X_test = X[:n], X[n : 2 * n], X[2 * n :]
    both = (np.ptp(first, axis=0) > 0) & (np.ptp(second, axis=0) > 0)
    first, second, X_test = first[:, both], second[:, both], X_test[:, both]
    model = cls(2, **QUICK).fit(first).fit(second)
    linear = cls(2, hidden_layer_sizes=()).fit(second).score(X_test)
    slack = 0.05 if cls is VariationalAutoencoder else 0.0  # nats, of factor analysis
    assert model.score(X_test) > linear - slack


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cls", MODELS)
def test_constant_columns_may_vary_later_and_others_no_longer(cls, ordered):
    X = curved(600, 0)
    first, second = X.copy(), X.copy()
    first[:, [3, 7]] = 5.0
    second[:, [7, 9]] = 5.0
    model = cls(3, **{**QUICK, "early_stopping": True, "ordered": ordered})
    before = left_share(model.fit(first), first)
    model.fit(second)
    assert_array_equal(model.reconstruct(first)[:, 7], first[:, 7])
    assert left_share(model, second) < max(before, 0.2)
    # A column that varied once has noise, and may vary again.
    assert abs(model.score(first)) < 1e4


def test_networks_go_on_where_a_constant_column_varies(digits):
    X = digits[:400].copy()
    X[:, 20] = 8.0
    model = Autoencoder(2, **{**QUICK, "max_iter": 20}).fit(X)
    score = model.score(X)
    X[::7, 20] = 8.5
    model.set_params(**STILL, early_stopping=False).fit(X)
    linear = Autoencoder(2, hidden_layer_sizes=()).fit(X).score(X)
    assert model.score(X) > score - 0.01 > linear + 0.05


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_another_network_is_no_continuation(digits, name):
    sizes = (64, 2) if name == "encoder" else (2, 64)
    networks = [torch.nn.Linear(*sizes) for _ in range(2)]
    model = Autoencoder(2, **QUICK).set_params(**{name: networks[0]}).fit(digits[:200])
    model.fit(digits[:200])  # the same one
    for other in (networks[1], None):
        model.set_params(**{name: other})
        with pytest.raises(ValueError, match=f"{name}=.*, but the fitted model that"):
            model.fit(digits[:200])


def test_own_networks_go_on_whatever_is_constant(digits):
    X = StandardScaler().fit_transform(digits[:400])
    once = X.copy()
    once[:, 20] = 0.0
    encoder = torch.nn.Sequential(
        torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2)
    )
    model = Autoencoder(2, encoder=encoder, init="random", early_stopping=False)
    model.set_params(**{**QUICK, "max_iter": 20}).fit(once)
    score = model.score(once)
    assert model.set_params(**STILL).fit(X).score(X) > score - 0.02 > 0.1


@pytest.mark.parametrize(("before", "after"), [(1000, 1000), (1000, 700), (700, 1000)])
def test_the_linear_map_of_an_encoder_goes_on(before, after):
    X = curved(1000, 0)
    model = Autoencoder(2, hidden_layer_sizes=(32,), max_iter=20, random_state=0)
    previous = model.fit(X[:before]).net_.module_
    assert model.best_iteration_
    assert (previous.encoder.network.skip_weight is not None) == (before >= 800)
    # The same model in the scale of other rows.
    data = rows_of(3 * X[:after] + np.linspace(0, 0.5, 12))
    new = model._problem(data, resolve(model, data)).build(data)
    states = taken_over(previous, new, torch.from_numpy(data.dense()))
    new.load_state_dict(states[-1])
    assert new.encoder.network.skip_weight is not None
    rows = torch.from_numpy(X[:before])
    assert_allclose(new.eval()(rows).detach(), previous(rows).detach(), atol=1e-8)


def test_too_few_rows_leave_a_model_as_it_was():
    X = curved(1000, 0)
    model = Autoencoder(2, warm_start=True, max_iter=15, random_state=0).fit(X)
    assert model.best_iteration_
    before = model.reconstruct(X)
    near = X[:1] * np.linspace(1, 1.1, 8)[:, None]
    model.fit(near)  # others are beyond the range of these
    assert_allclose(model.reconstruct(X), before, atol=1e-4)


@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_rows_that_are_all_equal(digits, cls):
    X = digits.copy()
    X[:, 5] = 3.0
    model = cls(2, warm_start=True, max_iter=3, random_state=0).fit(X)
    equal = np.ones((50, X.shape[1]))
    assert_allclose(model.fit(equal).reconstruct(equal), equal)
    assert np.isfinite(model.fit(digits).score(digits))
