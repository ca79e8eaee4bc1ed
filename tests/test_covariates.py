"""The supervised linear start against the methods that it contains."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sklatent.rows import as_rows, targets_of
from sklatent.starts import _covariates, covariates_start, pca_start

FIELDS = list(pca_start(np.eye(3), 1, 0).__dataclass_fields__)


def codes_of(y, target_type="auto", semi_supervised=False):
    made = targets_of(
        y, target_type, semi_supervised=semi_supervised, estimator_name="Some"
    )
    return made.codes


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return standardised(X), y


def regression_data(n=60, p=8, q=3, noise=0.5):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * np.linspace(2, 0.3, p)
    Y = X @ rng.normal(size=(p, q)) + noise * rng.normal(size=(n, q))
    return X - X.mean(axis=0), standardised(Y)


def latents(start, X):
    return X @ start.encoder_weight + start.encoder_bias


@pytest.mark.parametrize("n_components", [0, 1, 3, 13, 20])
def test_all_weight_on_the_rows_is_pca(wine, n_components):
    X, y = wine
    start = covariates_start(as_rows(X), codes_of(y), n_components, 1.0, 0)
    pca = pca_start(X, n_components, 0)
    for field in FIELDS:
        assert_allclose(getattr(start, field), getattr(pca, field), atol=1e-13)


@pytest.mark.parametrize("X", [np.ones((9, 4)), np.eye(9, 30), np.eye(9)[:, :8]])
def test_so_is_it_where_there_is_less_variance_than_latents(X):
    codes = codes_of(np.arange(9) % 2)
    for k in (1, min(X.shape)):
        start = covariates_start(as_rows(X), codes, k, 1.0, 0)
        pca = pca_start(X, k, 0)
        for field in FIELDS:
            found, expected = getattr(start, field), getattr(pca, field)
            assert_allclose(found, expected, atol=1e-13, rtol=1e-9)
        other = covariates_start(as_rows(X), codes, k, 0.1, 0)
        assert all(np.isfinite(getattr(other, field)).all() for field in FIELDS)


def test_classes_without_a_penalty_are_discriminant_analysis(wine):
    X, y = wine
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(X, y)
    start = covariates_start(as_rows(X), codes_of(y), 5, 1e-8, 0, penalty=0.0)
    axes = start.encoder_weight[:, :2]
    assert subspace_angles(axes, lda.scalings_[:, :2]).max() < 1e-5
    # One by one: the first separates best.
    assert subspace_angles(axes[:, :1], lda.scalings_[:, :1]).max() < 1e-5


def test_numbers_without_a_penalty_are_reduced_rank_regression():
    X, Y = regression_data()
    coefficients = np.linalg.lstsq(X, Y)[0]
    _, _, right = np.linalg.svd(X @ coefficients)
    for k in (1, 2, 3):
        start = covariates_start(as_rows(X), Y, k, 1e-8, 0, penalty=0.0)
        fit = latents(start, X) @ start.head_weight + start.head_bias
        assert_allclose(fit, X @ coefficients @ right[:k].T @ right[:k], atol=1e-4)


def test_further_latents_are_principal_components_of_the_rest():
    X, Y = regression_data()
    start = covariates_start(as_rows(X), Y, 5, 0.0, 0, penalty=0.0)
    predicting, others = np.split(latents(start, X), [3], axis=1)
    rest = X - predicting @ np.linalg.lstsq(predicting, X)[0]
    expected = latents(pca_start(rest, 2, 0), rest)
    assert_allclose(np.abs(others), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("mixing", [0.1, 0.5, 0.9])
def test_is_principal_covariates_regression(mixing):
    # In the space of samples, as the paper and skmatter's PCovR have it.
    X, Y = regression_data()
    fit = X @ np.linalg.lstsq(X, Y)[0]
    matrix = mixing * X @ X.T / np.square(X).sum()
    matrix += (1 - mixing) * fit @ fit.T / np.square(Y).sum()
    expected = np.linalg.eigh(matrix)[1][:, ::-1][:, :4] * np.sqrt(len(X) - 1)
    start = covariates_start(as_rows(X), Y, 4, mixing, 0, penalty=0.0)
    assert_allclose(np.abs(latents(start, X)), np.abs(expected), atol=1e-8)


@pytest.mark.parametrize("mixing", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(60, 8), (20, 50), (1200, 10)])
def test_properties_of_the_latents(mixing, shape):
    X, Y = regression_data(*shape)
    X += 1.0  # nor are they where the mean is zero
    start = covariates_start(as_rows(X), Y, 5, mixing, 0)
    Z = latents(start, X)
    assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
    assert_allclose(np.cov(Z.T), np.eye(5), atol=1e-9)
    centred = X - X.mean(axis=0)
    assert_allclose(start.decoder_weight, np.linalg.lstsq(Z, centred)[0], atol=1e-9)
    left = X - Z @ start.decoder_weight - start.decoder_bias
    assert_allclose(start.residual, np.sqrt(np.mean(left**2)), atol=1e-9)
    norms = np.linalg.norm(start.decoder_weight, axis=1)
    assert_allclose(start.latent_scale, norms)
    rows = np.arange(5), np.abs(start.decoder_weight).argmax(axis=1)
    assert (start.decoder_weight[rows] > 0).all()


def test_the_penalty_is_that_of_least_leave_one_out_error():
    X, Y = regression_data(n=24, p=16, q=2, noise=4.0)
    largest = np.linalg.norm(X, 2) ** 2
    errors = []
    for penalty in _covariates.PENALTIES[:-1]:
        ridge = Ridge(penalty * largest, solver="svd")
        predicted = cross_val_predict(ridge, X, Y, cv=LeaveOneOut())
        errors.append(np.square(Y - predicted).sum())
    best = int(np.argmin(errors))
    assert 0 < best < len(errors) - 1
    found = covariates_start(as_rows(X), Y, 3, 0.1, 0)
    expected = covariates_start(
        as_rows(X), Y, 3, 0.1, 0, penalty=_covariates.PENALTIES[best]
    )
    assert_array_equal(found.encoder_weight, expected.encoder_weight)
    # With all latents the head is the ridge regression itself.
    full = covariates_start(as_rows(X), Y, 16, 0.1, 0)
    ridge = Ridge(_covariates.PENALTIES[best] * largest).fit(X, Y)
    fit = latents(full, X) @ full.head_weight + full.head_bias
    assert_allclose(fit, ridge.predict(X), atol=1e-9)


def test_targets_that_cannot_be_predicted_leave_pca(wine):
    X, y = wine
    pca = pca_start(X, 3, 0)
    angles, kept = [], 0
    for seed in range(20):
        codes = codes_of(np.random.default_rng(seed).permutation(y))
        start = covariates_start(as_rows(X), codes, 3, 0.5, 0)
        angles.append(subspace_angles(start.encoder_weight, pca.encoder_weight).max())
        kept += not start.head_weight.any()
    assert np.median(angles) < 1e-6
    assert kept >= 5


def test_rows_without_a_label_count_for_the_rows_only(wine):
    X, y = wine
    labelled = np.arange(len(y)) % 3 > 0
    codes = codes_of(np.where(labelled, y, -1), semi_supervised=True)
    full = covariates_start(as_rows(X), codes, 13, 0.5, 0, penalty=0.01)
    alone = X[labelled]
    largest = np.linalg.norm(alone - alone.mean(axis=0), 2) ** 2
    ridge = Ridge(0.01 * largest).fit(alone, codes[labelled])
    fit = latents(full, X) @ full.head_weight + full.head_bias
    assert_allclose(fit, ridge.predict(X), atol=1e-9)
    assert_allclose(np.cov(latents(full, X).T), np.eye(13), atol=1e-9)

    start = covariates_start(as_rows(X), codes, 2, 0.01, 0)
    every = covariates_start(as_rows(X), codes_of(y), 2, 0.01, 0)
    assert subspace_angles(start.encoder_weight, every.encoder_weight).max() < 0.6


def test_each_target_is_fitted_where_it_is_known():
    X, Y = regression_data()
    Y[:20, 0] = Y[30:, 2] = np.nan
    full = covariates_start(as_rows(X), Y, 8, 0.5, 0, penalty=0.0)
    fit = latents(full, X) @ full.head_weight + full.head_bias
    for j, y in enumerate(Y.T):
        known = np.isfinite(y)
        design = np.column_stack([np.ones(known.sum()), X[known]])
        beta = np.linalg.lstsq(design, y[known])[0]
        assert_allclose(fit[:, j], beta[0] + X @ beta[1:], atol=1e-8)


def test_without_any_label_it_is_pca(wine):
    X, _ = wine
    rows = as_rows(X)
    start = covariates_start(rows, np.full((len(X), 2), np.nan), 3, 0.1, 0)
    pca = pca_start(X, 3, 0)
    assert_allclose(start.encoder_weight, pca.encoder_weight, atol=1e-12)
    assert not start.head_weight.any()
    assert not start.head_bias.any()
    # So it is with one class: a fold may have no other.
    one = np.tile([0.5, -0.5], (len(X), 1))
    start = covariates_start(rows, one, 3, 0.1, 0)
    assert_allclose(start.encoder_weight, pca.encoder_weight, atol=1e-12)
    assert_allclose(start.head_bias, one[0])


def test_no_more_axes_than_are_needed_of_many(monkeypatch):
    monkeypatch.setattr(_covariates, "MANY_AXES", 100)
    monkeypatch.setattr(_covariates, "SOME_AXES", 20)
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(110, 3))
    X = signal @ rng.normal(size=(3, 150)) + 0.1 * rng.normal(size=(110, 150))
    start = covariates_start(as_rows(X), standardised(signal), 3, 0.5, 0)
    fit = latents(start, X) @ start.head_weight + start.head_bias
    assert np.mean((fit - standardised(signal)) ** 2) < 0.02
    assert start.encoder_weight.shape == (150, 3)


def test_is_deterministic_and_reads_blocks(wine):
    X, y = wine
    X, y = np.tile(X, (80, 1)), np.tile(y, 80)  # several blocks
    first, second = (
        covariates_start(as_rows(X), codes_of(y), 3, 0.1, 0) for _ in range(2)
    )
    for field in [*FIELDS, "head_weight", "head_bias"]:
        assert_array_equal(getattr(first, field), getattr(second, field))
    once = covariates_start(as_rows(X[:178]), codes_of(y[:178]), 3, 0.1, 0, penalty=0.1)
    often = covariates_start(as_rows(X), codes_of(y), 3, 0.1, 0, penalty=0.1)
    assert_allclose(often.decoder_weight, once.decoder_weight, atol=0.01)
