"""No feature is worse than at the start, and ordered latents good at every size."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA

from sklatent import Autoencoder, DenoisingAutoencoder
from sklatent.nn import Batch, Tails, can_solve_ends, solve_ends
from sklatent.nn import SquaredError as Squared
from sklatent.training import _search as search


def r2_of_features(X, reconstruction, mean):
    left = np.square(X - reconstruction).sum(axis=0)
    return 1 - left / np.square(X - mean).sum(axis=0)


@pytest.fixture(scope="module")
def of_many_sizes():
    """Rows on a curve, with features whose deviations are 1000, 1 and 0.001."""
    random = np.random.default_rng(0)
    t = random.uniform(-1, 1, size=(1200, 2))
    curved = np.column_stack([t, t**2, t[:, :1] * t[:, 1:], np.sin(3 * t)])
    X = curved + 0.05 * random.standard_normal(curved.shape)
    noise = random.standard_normal((1200, 6))
    return np.column_stack([1000 * X, X, 0.001 * noise, noise**3])


@pytest.mark.parametrize("n", [300, 900])
@pytest.mark.parametrize(
    "model", [Autoencoder, pytest.param(DenoisingAutoencoder, marks=pytest.mark.slow)]
)
def test_no_feature_is_worse_than_at_the_start(of_many_sizes, model, n):
    X, X_test = of_many_sizes[:n], of_many_sizes[n:]
    params = {"noise_level": 0.1} if model is DenoisingAutoencoder else {}
    fitted = model(3, random_state=0, **params).fit(X)
    linear = model(3, hidden_layer_sizes=(), **params).fit(X)
    assert fitted.best_iteration_ > 0
    assert fitted.score(X_test) > linear.score(X_test) + 0.1
    ours, start = (
        r2_of_features(X_test, m.reconstruct(X_test), X.mean(axis=0))
        for m in (fitted, linear)
    )
    # No feature is lost, though the smallest are a hundred-thousandth of the largest.
    assert (ours > start - 0.05).all()
    assert (ours > -0.05).all()


def test_small_features_of_real_data():
    """Raw breast cancer, k=2: 17 of 30 features were worse than -1, one -9850."""
    X = load_breast_cancer().data
    order = np.random.RandomState(1).permutation(len(X))
    train, test = X[order[:400]], X[order[400:]]
    model, pca = Autoencoder(2, random_state=0).fit(train), PCA(2).fit(train)
    ours = r2_of_features(test, model.reconstruct(test), pca.mean_)
    back = pca.inverse_transform(pca.transform(test))
    start = r2_of_features(test, back, pca.mean_)
    assert (ours > start - 0.15).all()
    assert np.sum(ours < start - 0.05) <= 2
    assert (ours > -0.2).all()


def test_what_is_solved_is_kept_in_float64(of_many_sizes):
    fitted = Autoencoder(3, random_state=0).fit(of_many_sizes[:900])
    weight = fitted.net_.module_.decoder.weight
    assert weight.dtype == torch.float64
    assert not torch.equal(weight.float().double(), weight)


def test_ends_are_regressions_on_latents_and_hidden_layer(digits):
    model = Autoencoder(4, ordered=True, hidden_layer_sizes=(16,), max_iter=2)
    module = model.set_params(random_state=0).fit(digits[:300]).net_.module_
    module.decoder.ends = None
    assert can_solve_ends(module, Squared())
    x = module.scaling.to_scaled(torch.from_numpy(digits[:300]))
    ends = solve_ends(module, [Batch(x[:200], x[:200]), Batch(x[200:], x[200:])], 0.1)
    assert ends.bounds == (1, 2, 3, 4)
    with torch.no_grad():
        u = module.latents(x) * torch.tensor([1.0, 1.0, 0.0, 0.0])
        h = module.decoder.hidden(u, 2)
        found = ends(u, h, 2).numpy()
    linear = np.column_stack([np.ones(300), u.numpy()[:, :2]])
    h, target = h.numpy(), x.numpy()
    left = h - linear @ np.linalg.lstsq(linear, h)[0]
    design = np.column_stack([linear, h])
    ridge = np.zeros(len(design.T))
    ridge[3:] = 0.1 * np.square(left).sum(axis=0).mean()
    weights = np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ target)
    assert_allclose(found, design @ weights, atol=1e-8)


@pytest.mark.slow
def test_ordered_latents_are_good_at_every_size(digits):
    X, X_test = digits[:1200], digits[1200:]
    ordered = Autoencoder(32, ordered=True, random_state=0).fit(X)
    for size in (8, 16, 32):
        short = ordered.truncate(size)
        pca = PCA(size).fit(X)
        left = X_test - pca.inverse_transform(pca.transform(X_test))
        share = 1 - np.square(left).sum() / np.square(X_test - pca.mean_).sum()
        own = Autoencoder(size, random_state=0).fit(X)
        assert short.score(X_test) > share - 0.002
        assert short.score(X_test) > own.score(X_test) - 0.03
        again = pickle.loads(pickle.dumps(short))
        assert_allclose(again.reconstruct(X_test), short.reconstruct(X_test))
        assert_allclose(
            ordered.inverse_transform(ordered.transform(X_test)[:, :size]),
            short.reconstruct(X_test),
        )


def test_training_rows_that_networks_do_not_follow_do_not_lose():
    """Few rows have most of the variance, and none of them is held out."""
    random = np.random.default_rng(1)
    t, tails = random.standard_normal((900, 2)), random.standard_normal((900, 3))
    tails = np.exp(3 * tails)
    sums = 0.3 * tails[:, :1] + np.abs(t[:, :1])
    X = np.column_stack([tails, t, t**2, sums])
    model = Autoencoder(2, hidden_layer_sizes=(32,), random_state=0).fit(X)
    assert model.score(X) >= Autoencoder(2, hidden_layer_sizes=()).fit(X).score(X)
    assert "training rows lose, extreme ones among them" in model.verdict_


def test_extreme_rows_are_named_only_where_there_are_some(monkeypatch):
    monkeypatch.setattr(search, "loses_in_training", lambda *args: True)
    X = load_breast_cancer().data / load_breast_cancer().data.max(axis=0)
    model = Autoencoder(2, random_state=0).fit(X)
    assert model.verdict_.startswith("the start is kept: training rows lose (")


def test_far_from_the_training_rows_a_model_is_linear(digits):
    """It is the start there, plus a constant: the solved decoder is for rows within."""
    module = Autoencoder(4, random_state=0).fit(digits).net_.module_
    x = module.scaling.to_scaled(torch.from_numpy(digits[:20]))
    with torch.no_grad():
        for part, inputs in (
            (module.encoder, torch.sign(x + 1e-3)),
            (module.decoder, torch.sign(module.latents(x))),
        ):
            assert part.network is not None
            far = [factor * 1e3 * inputs for factor in (1, 2)]
            start = part.weight if part.outer is None else part.outer
            added = [part(v) - (v @ start + part.bias) for v in far]
            assert added[0].abs().max() > 0
            assert_allclose(added[1], added[0], atol=1e-6 * float(far[1].abs().max()))


def test_room_beyond_the_range_grows_with_the_kurtosis():
    # Of -1, 1 with a share q, else 0, it is 1 / q.
    def rows(n_zeros):
        x = torch.zeros(n_zeros + 2, 1)
        x[0], x[1] = -1, 1
        return x

    for n_zeros, kurtosis, room in ((4, 3, 0.5), (10, 6, 2.0), (998, 500, 20.0)):
        tails = Tails(1)
        for part in rows(n_zeros).split(3):
            tails.add(part)
        assert_allclose(tails.kurtosis(), kurtosis)
        low, high = tails.limits()
        assert_allclose((-low, high), 1 + 2 * room)


@pytest.mark.parametrize("ordered", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_far_rows_cost_what_they_cost_pca(ordered):
    """Standardised, nearly constant features of new rows are 50 deviations out.

    The decoder that was solved for the training rows left -3.6 of the variance.
    """
    rng = np.random.default_rng(0)
    u = rng.normal(size=(400, 2))
    X = np.c_[u, u**2, np.sin(2 * u), u[:, :1] * u[:, 1:]] @ rng.normal(size=(7, 12))
    X += 0.1 * rng.normal(size=X.shape)
    model = Autoencoder(4, ordered=ordered, random_state=0).fit(X)
    pca = PCA(4).fit(X)
    assert model.best_iteration_ > 0
    far = 50 * rng.normal(size=(100, 12)) * X.std(axis=0)
    left = np.square(far - model.reconstruct(far)).sum()
    of_pca = np.square(far - pca.inverse_transform(pca.transform(far))).sum()
    assert left < 1.1 * of_pca
