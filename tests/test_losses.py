"""Losses of shares and counts: the deviance in place of the squared error."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.metrics import d2_log_loss_score, log_loss, mean_poisson_deviance
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sklatent import Autoencoder, DenoisingAutoencoder, LatentSizeCV
from sklatent.nn import Batch, Bernoulli, Deviance, Poisson

LOSSES = ["log_loss", "poisson"]
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 8, "random_state": 0}
DIGITS = load_digits().data
DIGITS = DIGITS[:, (DIGITS[:200] > 7).std(axis=0) > 0]


def rows(loss, n=450):
    """Digits, whose pixels are 0 and 1, or counts."""
    some = DIGITS[:n]
    return (some > 7).astype(np.float64) if loss == "log_loss" else some.copy()


def deviance(loss, x, mean):
    """The sum over all cells, by scikit-learn's metrics."""
    x, mean = x.ravel(), np.broadcast_to(mean, x.shape).ravel()
    if loss == "poisson":
        return mean_poisson_deviance(x, mean) * len(x)
    return 2 * log_loss(x, mean, normalize=False, labels=[0, 1])


@pytest.fixture(scope="module", params=LOSSES)
def fitted(request):
    """A model of 300 rows."""
    loss = request.param
    model = Autoencoder(6, loss=loss, hidden_layer_sizes=(32,), random_state=0)
    return model.set_params(max_iter=40).fit(rows(loss)[:300])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("estimator", [Autoencoder, DenoisingAutoencoder])
def test_without_latents_the_score_is_zero(estimator, loss):
    X = rows(loss)
    model = estimator(0, loss=loss).fit(X)
    assert abs(model.score(X)) < 1e-9
    np.testing.assert_allclose(model.reconstruct(X[:2]), [X.mean(axis=0)] * 2)


def test_features_that_never_varied_do_not_count(fitted):
    # Of these a model can say what turns out to be impossible.
    X = rows(fitted.loss)[:100]
    wider = np.column_stack([X, np.zeros(len(X))])
    model = Autoencoder(2, loss=fitted.loss, hidden_layer_sizes=()).fit(wider)
    new = np.column_stack([X, np.ones(len(X))])
    np.testing.assert_array_equal(model.score_samples(new), model.score_samples(wider))
    assert (model.reconstruct(new)[:, -1] == 0).all()


def test_score_is_the_share_of_deviance_explained(fitted):
    loss, X = fitted.loss, rows(fitted.loss)[300:]
    left = deviance(loss, X, fitted.reconstruct(X))
    total = deviance(loss, X, fitted.mean_)
    assert fitted.score(X) == pytest.approx(1 - left / total, rel=1e-4)
    assert -fitted.score_samples(X).sum() == pytest.approx(left, rel=1e-4)
    assert fitted.best_iteration_ > 0
    linear = Autoencoder(6, loss=loss, hidden_layer_sizes=()).fit(rows(loss)[:300])
    assert fitted.score(X) > linear.score(X)
    start, best = fitted.validation_scores_[0], fitted.best_validation_score_
    assert 0 < start < best < 1
    assert fitted.training_scores_[-1] > best


def test_score_of_one_column_is_that_of_scikit_learn():
    X = rows("log_loss")
    model = Autoencoder(4, loss="log_loss", hidden_layer_sizes=()).fit(X)
    alone = np.full_like(X, X.mean(axis=0))
    alone[:, 20] = X[:, 20]
    one = X[:, 20], np.column_stack([1 - (p := model.reconstruct(X)[:, 20]), p])
    expected = d2_log_loss_score(*one)
    left = log_loss(*one, normalize=False)
    total = log_loss(X[:, 20], np.full(len(X), X[:, 20].mean()), normalize=False)
    assert expected == pytest.approx(1 - left / total)


@pytest.mark.parametrize("loss", LOSSES)
def test_linear_start_is_generalised_linear_regression_on_principal_components(loss):
    X, k = rows(loss), 5
    model = Autoencoder(k, loss=loss, hidden_layer_sizes=()).fit(X)
    features = X if loss == "log_loss" else np.log1p(X)
    Z = PCA(k, whiten=True).fit_transform(features)
    means = model.reconstruct(X)
    for j in (10, 25, 40):
        if loss == "log_loss":
            glm = LogisticRegression(C=1.0, tol=1e-8).fit(Z, X[:, j])
            expected = glm.predict_proba(Z)[:, 1]
        else:
            glm = PoissonRegressor(alpha=1 / len(X), tol=1e-8).fit(Z, X[:, j])
            expected = glm.predict(Z)
        # But for the prior of the intercept, which those have not.
        np.testing.assert_allclose(means[:, j], expected, rtol=0.02, atol=0.03)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", [Bernoulli, Poisson])
def test_gradient_is_autograds(kind, masked):
    generator = torch.Generator().manual_seed(0)
    mean, scale = torch.rand(7, generator=generator), torch.tensor(0.5)
    likelihood = kind(mean, scale)
    if kind is Poisson:
        likelihood = kind(mean, scale, torch.full((7,), 1.5))  # exceeded by some
    x = (torch.bernoulli(mean.expand(5, 7), generator=generator) - mean) / scale
    mask = torch.bernoulli(torch.full((5, 7), 0.7), generator=generator)
    batch = Batch(x, x, mask=mask if masked else None)
    output = torch.randn(5, 7, generator=generator).requires_grad_()
    loss = Deviance(likelihood)
    value, grad = loss.gradient(output.detach(), batch)
    expected = loss(output, batch)
    expected.backward()
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(grad, output.grad)


def test_poisson_deviance_of_large_counts_is_not_rounded_away():
    count = 1e6
    likelihood = Poisson(torch.zeros(1), torch.ones(()))
    x = torch.tensor([[count]])
    found = likelihood.deviance(torch.tensor([[count * 1.01]]).log(), x)
    expected = mean_poisson_deviance([count], [count * 1.01])
    assert float(found) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("loss", "value"), [("log_loss", 1.5), ("log_loss", -0.5), ("poisson", -1.0)]
)
def test_rows_that_the_loss_is_not_of_are_an_error(loss, value):
    X = rows(loss)[:100]
    bad = X.copy()
    bad[3, 5] = value
    model = Autoencoder(2, loss=loss, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=f"{value:.3g}.*loss='{loss}' requires"):
        clone(model).fit(bad)
    model.fit(X)
    for method in (model.score, model.score_samples):
        with pytest.raises(ValueError, match=f"loss='{loss}' requires"):
            method(bad)
    with pytest.raises(ValueError, match=r"loss.*'squared_error'"):
        clone(model).set_params(loss="hinge").fit(X)


def test_means_are_shares_or_rates_also_of_rows_that_are_far_off():
    counts = rows("poisson")
    model = Autoencoder(6, loss="poisson", **QUICK).fit(counts)
    far = 1000 * counts[:5]
    assert (model.reconstruct(far) <= 2 * counts.max(axis=0) * (1 + 1e-6)).all()
    assert np.isfinite(model.score(far))
    shares = Autoencoder(6, loss="log_loss", **QUICK).fit(rows("log_loss"))
    Z = 1000 * shares.transform(rows("log_loss")[:5])
    assert ((X_hat := shares.inverse_transform(Z)) >= 0).all()
    assert (X_hat <= 1).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_sparse_rows_give_what_dense_ones_give(loss):
    X = rows(loss, 200)
    model = Autoencoder(3, loss=loss, **QUICK)
    dense, sparse = clone(model).fit(X), clone(model).fit(sp.csr_array(X))
    np.testing.assert_allclose(
        sparse.transform(sp.csr_array(X)), dense.transform(X), atol=1e-8
    )
    assert sparse.score(sp.csc_array(X)) == pytest.approx(dense.score(X))


def test_sparse_rows_of_many_features():
    X = sp.random(80, 1200, 0.02, format="csr", random_state=0)
    X.data[:] = 1 + np.random.RandomState(0).poisson(1.0, len(X.data))
    model = Autoencoder(2, loss="poisson", **QUICK).fit(X)
    assert model.reconstruct(X[:3]).shape == (3, 1200)
    assert 0 < model.score(X) < 1


def test_ordered_latents_are_models_of_all_sizes(fitted):
    loss, X = fitted.loss, rows(fitted.loss)
    model = Autoencoder(4, loss=loss, ordered=True, **QUICK).fit(X)
    scores = [model.truncate(j).score(X) for j in (1, 2, 4)]
    assert 0 < scores[0] < scores[1] < scores[2]
    search = LatentSizeCV(
        Autoencoder(loss=loss, **QUICK), [1, 3], cv=2, scoring="score", rule="best"
    ).fit(X[:200])
    assert search.best_n_components_ == 3
    assert 0 < search.score(X[200:]) < 1


def test_latents_read_like_those_of_pca(fitted):
    X = rows(fitted.loss)[:300]
    Z = fitted.transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-4 * Z.std())
    cross = np.cov(Z.T) / np.outer(Z.std(axis=0), Z.std(axis=0))
    np.testing.assert_allclose(cross, np.eye(6), atol=0.01)
    assert (np.diff(fitted.explained_variance_) <= 0).all()
    explained = 1 - np.square(X - fitted.reconstruct(X)).sum() / (
        np.square(X - X.mean(axis=0)).sum()
    )
    assert fitted.explained_variance_ratio_.sum() == pytest.approx(explained, abs=1e-3)
    # On the scale of X, where steps along all of them move rows alike.
    variance = fitted.reconstruct(X).var(axis=0, ddof=1).sum()
    assert fitted.explained_variance_.sum() == pytest.approx(variance, rel=1e-3)
    steps = np.square(fitted.feature_influence(X)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.4)


def test_pickle_float32_and_set_params(fitted):
    X = rows(fitted.loss)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.reconstruct(X), fitted.reconstruct(X))
    assert again.score(X) == fitted.score(X)
    small = fitted.score_samples(X.astype(np.float32))
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, fitted.score_samples(X), rtol=1e-3)
    # What is fitted is what counts until the next fit.
    assert again.set_params(loss="squared_error").score(X) == fitted.score(X)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_repeated_rows(loss):
    X = rows(loss, 60)
    w = np.random.RandomState(0).randint(0, 3, len(X))
    model = Autoencoder(3, loss=loss, hidden_layer_sizes=())
    one, many = clone(model).fit(X, sample_weight=w), clone(model).fit(X.repeat(w, 0))
    np.testing.assert_allclose(one.reconstruct(X), many.reconstruct(X), atol=1e-6)
    assert one.score(X, sample_weight=w) == pytest.approx(many.score(X.repeat(w, 0)))


@pytest.mark.parametrize("loss", LOSSES)
def test_missing_cells_are_left_out(loss):
    X = rows(loss, 200)
    gaps = np.random.RandomState(0).uniform(size=X.shape) < 0.1
    model = Autoencoder(4, loss=loss, missing="ignore", **QUICK)
    model.fit(np.where(gaps, np.nan, X))
    left = deviance(loss, X[~gaps], model.reconstruct(np.where(gaps, np.nan, X))[~gaps])
    found = -model.score_samples(np.where(gaps, np.nan, X)).sum()
    assert found == pytest.approx(left, rel=1e-3)
    assert 0.1 < model.score(np.where(gaps, np.nan, X)) < 1


def test_fits_that_go_on_and_networks_of_the_user(fitted):
    loss, X = fitted.loss, rows(fitted.loss)
    model = Autoencoder(3, loss=loss, early_stopping=True, **QUICK)
    model.set_params(warm_start=True).fit(X[:300])
    before = model.score(X)
    assert model.fit(X).score(X) > before - 0.02
    with pytest.raises(ValueError, match="loss='squared_error'.*warm_start"):
        model.set_params(loss="squared_error").fit(X)
    own = Autoencoder(
        3,
        loss=loss,
        init="random",
        encoder=nn.Linear,
        decoder=lambda p, k: nn.Linear(k, p),
        max_iter=20,
        learning_rate=0.05,
        random_state=0,
    )
    assert own.fit(X).score(X) > 0.05


@pytest.mark.parametrize("loss", LOSSES)
def test_denoiser_fills_what_was_masked(loss):
    X = rows(loss)
    noisy = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.4, 0, X)
    given = {"loss": loss, "noise": "masking", "noise_level": 0.4, "random_state": 0}
    linear = DenoisingAutoencoder(12, hidden_layer_sizes=(), **given).fit(X[:300])
    model = DenoisingAutoencoder(
        12, hidden_layer_sizes=(32,), max_iter=40, **given
    ).fit(X[:300])
    plain = Autoencoder(12, hidden_layer_sizes=(), loss=loss).fit(X[:300])
    left = [
        deviance(loss, X[300:], m.reconstruct(noisy[300:]).clip(1e-9))
        for m in (model, linear, plain)
    ]
    assert left[0] < left[1] < left[2]


class Clamped(Autoencoder):
    """The checks have rows of any number; those beyond [0, 1] are taken for 0 and 1."""

    def _check(self, X):
        pass

    def _check_scored(self, X):
        pass

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = False
        return tags


@parametrize_with_checks(
    [
        Clamped(n_components=2, loss="log_loss", hidden_layer_sizes=()),
        Autoencoder(
            1, loss="poisson", hidden_layer_sizes=(8,), max_iter=3, early_stopping=True
        ),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
