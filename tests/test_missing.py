"""Missing cells: what fills them, and that nothing else sees them."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import (
    Batch,
    Bernoulli,
    FactorGaussian,
    FullGaussian,
    Gaussian,
    LastLayer,
    NegativeBound,
    Output,
    Poisson,
    SaltAndPepper,
    SquaredError,
    SupervisedLoss,
    SupervisedOutput,
)
from sklatent.rows import CorruptedInputs
from sklatent.starts import fit_gaussian, rows_and_filling

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
ALL = [
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
]


@pytest.fixture(scope="module")
def wine():
    """Standardised rows, and the same with a fifth of the cells missing."""
    X = load_wine().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, with_gaps(X)


def with_gaps(X, share=0.2, seed=0):
    random = np.random.default_rng(seed)
    return np.where(random.uniform(size=X.shape) < share, np.nan, X)


def correlated(n, p, rank=3, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, rank)) @ random.normal(size=(rank, p))
    return X + 0.3 * random.normal(size=(n, p)) + 5


def covariance_of(fit):
    precision = fit.gaussian.precision.numpy()
    return np.linalg.inv(precision) * np.outer(fit.unit, fit.unit)


# The Gaussian ---------------------------------------------------------------------


def test_a_gaussian_of_complete_rows_has_their_mean_and_covariance():
    X = correlated(60, 5)
    fit = fit_gaussian(X, prior_rows=1e-9)
    assert_allclose(fit.mean, X.mean(axis=0))
    assert_allclose(covariance_of(fit), np.cov(X.T, bias=True), rtol=1e-6)


@pytest.fixture
def to_the_end(monkeypatch):
    monkeypatch.setattr("sklatent.starts._gaussian_em.TOLERANCE", 1e-12)
    monkeypatch.setattr("sklatent.starts._gaussian_em.MAX_STEPS", 5000)


def test_a_monotone_pattern_has_a_closed_form(to_the_end):
    """Anderson (1957): regression on the complete rows, and all rows of the first."""
    X = correlated(80, 2, rank=1)
    X[X[:, 0] > np.quantile(X[:, 0], 0.6), 1] = np.nan
    x, y = X[~np.isnan(X[:, 1])].T
    slope = np.cov(x, y, bias=True)[0, 1] / x.var()
    left = (y - y.mean() - slope * (x - x.mean())).var()
    mean, variance = X[:, 0].mean(), X[:, 0].var()
    fit = fit_gaussian(X, prior_rows=1e-9)
    assert_allclose(fit.mean, [mean, y.mean() + slope * (mean - x.mean())], rtol=1e-5)
    expected = [
        [variance, slope * variance],
        [slope * variance, left + slope**2 * variance],
    ]
    assert_allclose(covariance_of(fit), expected, rtol=1e-4)


def test_the_observed_log_likelihood_is_exact_and_never_falls(to_the_end):
    X = with_gaps(correlated(50, 6), 0.4)
    fit = fit_gaussian(X, prior_rows=1e-9)
    assert len(fit.log_likelihoods) > 10
    steps = np.diff(fit.log_likelihoods)
    assert (steps > -1e-8 * np.abs(fit.log_likelihoods[0])).all()
    covariance = covariance_of(fit)
    exact = sum(observed_log_density(row, fit.mean, covariance) for row in X)
    in_units = sum(np.log(fit.unit)[~np.isnan(row)].sum() for row in X)
    assert_allclose(fit.log_likelihoods[-1] - in_units, exact, rtol=1e-6)


def observed_log_density(row, mean, covariance):
    o = np.flatnonzero(~np.isnan(row))
    if not len(o):
        return 0.0
    some = covariance[np.ix_(o, o)]
    return multivariate_normal(mean[o], some, allow_singular=True).logpdf(row[o])


@pytest.mark.parametrize("kind", ["full", "factor"])
def test_conditional_moments_are_exact(kind):
    random = np.random.default_rng(0)
    loadings, noise = random.normal(size=(2, 7)), random.uniform(0.5, 2, size=7)
    covariance = loadings.T @ loadings + np.diag(noise)
    gaussian = {
        "full": FullGaussian(torch.from_numpy(np.linalg.inv(covariance))),
        "factor": FactorGaussian(torch.from_numpy(loadings), torch.from_numpy(noise)),
    }[kind]
    X = with_gaps(random.normal(size=(40, 7)), 0.5)
    X[3], X[4] = np.nan, 1.0
    found = gaussian.conditional(torch.from_numpy(X))
    for row, mean, variance in zip(X, *found, strict=True):
        m, o = np.flatnonzero(np.isnan(row)), np.flatnonzero(~np.isnan(row))
        slope = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
        assert_allclose(mean[m], slope @ row[o], atol=1e-10)
        left = covariance[np.ix_(m, m)] - slope @ covariance[np.ix_(o, m)]
        assert_allclose(variance[m], np.diag(left))
        assert_array_equal(mean[o], row[o])
        assert_array_equal(variance[o], 0)


def test_many_features_have_factors(monkeypatch):
    X = correlated(300, 40)
    gaps = with_gaps(X)
    hidden = np.isnan(gaps)

    def error():
        fit = fit_gaussian(gaps)
        filled = fit.gaussian.conditional(fit.standardised(gaps)).mean.numpy()
        return np.square(filled * fit.unit + fit.mean - X)[hidden].mean()

    full = error()
    monkeypatch.setattr("sklatent.starts._gaussian_em.MAX_WORK", 1.0)
    monkeypatch.setattr("sklatent.training._imputation.MAX_NUMBERS", 40 * 100)
    assert isinstance(fit_gaussian(gaps).gaussian, FactorGaussian)
    assert error() < 1.1 * full
    model = Autoencoder(3, missing="ignore", **QUICK).fit(gaps)
    assert np.isfinite(model.impute(gaps)).all()
    assert model.score(gaps) > 0.9


def test_fewer_rows_than_features():
    X = correlated(15, 40)
    gaps = with_gaps(X)
    model = Autoencoder(2, missing="ignore", **QUICK).fit(gaps)
    hidden = np.isnan(gaps)
    error = np.square(model.impute(gaps) - X)[hidden].mean()
    means = np.broadcast_to(np.nanmean(gaps, axis=0), X.shape)
    assert error < 0.5 * np.square(means - X)[hidden].mean()


def filled(X):
    rows = rows_and_filling(X)[0]
    return rows.dense() * rows.scale.scale + rows.scale.mean


def test_an_extreme_row_does_not_change_what_others_are_filled_with():
    X = with_gaps(correlated(200, 6))
    X[0, 0] = 1.0
    clean = filled(X[1:])
    X[0, 0] = 1e9
    assert_allclose(filled(X)[1:], clean, rtol=1e-5)
    model = Autoencoder(2, missing="ignore", **QUICK).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.impute(X)).all()


# The network ----------------------------------------------------------------------


def bent(n=600, seed=0):
    random = np.random.default_rng(seed)
    t = random.uniform(0, 2 * np.pi, n)[:, None] + np.linspace(0, 2, 3)
    X = np.concatenate([np.cos(t), np.sin(2 * t)], axis=1)
    return X + 0.05 * random.normal(size=X.shape)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_network_corrects_the_fill_of_bent_rows(dtype):
    X = bent().astype(dtype)
    gaps = with_gaps(X).astype(dtype)
    hidden = np.isnan(gaps)
    model = Autoencoder(2, missing="ignore", random_state=0, hidden_layer_sizes=())
    filling = model.fit(gaps).net_.module_.filling
    filled = model.impute(gaps)
    assert filled.dtype == dtype
    assert filling.network is not None
    filling.network = None
    linear = np.square(model.impute(gaps) - X)[hidden].mean()
    assert np.square(filled - X)[hidden].mean() < 0.7 * linear
    other = bent(seed=1).astype(dtype)  # and of other rows
    assert_array_equal(model.fit(gaps).impute(gaps), filled)
    new = model.impute(with_gaps(other, seed=2).astype(dtype))
    hidden = np.isnan(with_gaps(other, seed=2))
    assert np.square(new - other)[hidden].mean() < 0.8 * linear


def test_no_network_is_kept_where_rows_are_gaussian():
    X = with_gaps(correlated(300, 6))
    model = Autoencoder(2, missing="ignore", hidden_layer_sizes=(), random_state=0)
    assert model.fit(X).net_.module_.filling.network is None


# The fit ----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_complete_rows_give_the_same_to_the_bit(cls, wine):
    X, gaps = wine
    y = load_wine().target
    plain = cls(2, **QUICK).fit(X, y)
    model = cls(2, missing="ignore", **QUICK).fit(X, y)
    assert_array_equal(model.transform(X), plain.transform(X))
    assert_array_equal(model.score_samples(X), plain.score_samples(X))
    assert_array_equal(model.mean_, plain.mean_)
    assert_array_equal(model.impute(X), X)
    assert np.isfinite(model.transform(gaps)).all()


def test_the_start_is_pca_of_the_em_covariance():
    X = with_gaps(correlated(150, 6, rank=2))
    mean, covariance = np.nanmean(X, axis=0), np.eye(6)
    for _ in range(60):
        filled, extra = X.copy(), np.zeros((6, 6))
        for row in filled:
            m, o = np.flatnonzero(np.isnan(row)), np.flatnonzero(~np.isnan(row))
            inverse = np.linalg.inv(covariance[np.ix_(o, o)])
            slope = covariance[np.ix_(m, o)] @ inverse
            row[m] = mean[m] + slope @ (row[o] - mean[o])
            left = covariance[np.ix_(m, m)] - slope @ covariance[np.ix_(o, m)]
            extra[np.ix_(m, m)] += left
        mean = filled.mean(axis=0)
        covariance = np.cov(filled.T, bias=True) + extra / len(X)
    model = Autoencoder(2, missing="ignore", hidden_layer_sizes=()).fit(X)
    axes = np.linalg.eigh(covariance)[1][:, :-3:-1]
    assert_allclose(model.mean_, mean, atol=0.01)
    assert_allclose(np.abs(np.diag(model.components_ @ axes)), 1, atol=2e-3)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cls", ALL)
def test_nothing_is_missing_in_what_is_returned(cls, ordered, wine):
    _, gaps = wine
    gaps = gaps.copy()
    gaps[7] = np.nan
    model = cls(3, missing="ignore", ordered=ordered, **QUICK)
    Z = model.fit_transform(gaps, load_wine().target)
    filled, known = model.impute(gaps), ~np.isnan(gaps)
    assert_array_equal(filled[known], gaps[known])
    for values in (Z, filled, model.reconstruct(gaps), model.score_samples(gaps)):
        assert np.isfinite(values).all()
    assert_array_equal(model.reconstruct(gaps), model.inverse_transform(Z))
    assert np.isfinite(model.score(gaps))
    assert_array_equal(np.isnan(model.held_out_scores_), np.arange(len(Z)) == 7)
    one_by_one = [model.impute(gaps[i : i + 1])[0] for i in range(20)]
    assert_allclose(one_by_one, filled[:20], rtol=1e-9)
    latents = [model.transform(gaps[i : i + 1])[0] for i in range(20)]
    assert_allclose(latents, Z[:20], rtol=1e-7, atol=1e-9)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.impute(gaps), filled)
    assert_array_equal(loaded.transform(gaps), Z)


def test_rows_without_a_cell_are_left_out(wine):
    _, gaps = wine
    more = np.insert(gaps, [0, 50, 178], np.nan, axis=0)
    model, other = (
        Autoencoder(2, missing="ignore", **QUICK).fit(X) for X in (gaps, more)
    )
    assert_array_equal(other.transform(gaps), model.transform(gaps))
    assert other.n_samples_ == 178
    rows = np.arange(181)
    by_index = Autoencoder(2, missing="ignore", cv=[(rows[60:], rows[:60])], **QUICK)
    known = np.isfinite(by_index.fit(more).held_out_scores_)
    assert_array_equal(known, (rows < 60) & ~np.isnan(more).all(axis=1))
    empty = np.full((1, 13), np.nan)
    at_mean = model.transform(model.mean_[None])
    assert_allclose(model.transform(empty), at_mean, atol=0.01)
    assert model.score_samples(empty)[0] == 0


def test_a_whole_weight_is_as_many_rows(wine):
    _, gaps = wine
    weights = np.arange(178) % 4
    params = {"missing": "ignore", "hidden_layer_sizes": (), "random_state": 0}
    model = Autoencoder(2, **params).fit(gaps, sample_weight=weights)
    other = Autoencoder(2, **params).fit(np.repeat(gaps, weights, axis=0))
    assert_allclose(model.mean_, other.mean_, atol=1e-9)
    assert_allclose(model.transform(gaps), other.transform(gaps), rtol=1e-6, atol=1e-9)
    assert_allclose(model.impute(gaps), other.impute(gaps), rtol=1e-6)
    assert_allclose(model.components_, other.components_, rtol=1e-6, atol=1e-9)


def test_scores_are_of_observed_cells(wine):
    _, gaps = wine
    model = Autoencoder(2, missing="ignore", **QUICK).fit(gaps)
    left = np.nansum(np.square(gaps - model.reconstruct(gaps)), axis=1)
    assert_allclose(model.score_samples(gaps), -left)
    total = np.nansum(np.square(gaps - model.mean_))
    assert_allclose(model.score(gaps), 1 - left.sum() / total)
    ratio = model.explained_variance_ratio_.sum()
    assert_allclose(ratio, model.score(gaps), rtol=1e-5)


@pytest.mark.parametrize("kind", ["shared", "feature"])
def test_the_bound_of_a_linear_model_is_below_the_exact_log_likelihood(kind, wine):
    _, gaps = wine
    gaps = np.column_stack([3 * gaps + 1, np.full(len(gaps), 2.0)])
    model = VariationalAutoencoder(
        3,
        missing="ignore",
        hidden_layer_sizes=(),
        noise_variance=kind,
        n_importance_samples=512,
    ).fit(gaps)
    covariance = model.get_covariance()[:13, :13]
    exact = [
        observed_log_density(row, model.mean_[:13], covariance) for row in gaps[:, :13]
    ]
    constant = -0.5 * np.log(2 * np.pi * 1e-12)
    bound = model.score_samples(gaps) - constant
    assert_allclose(bound, exact, atol=1.5)
    assert_allclose(bound.mean(), np.mean(exact), atol=0.1)
    below = evidence_lower_bound(model, gaps)
    assert (below < np.array(exact) + 1e-6).all()
    assert_allclose(below.mean(), np.mean(exact), atol=0.5)
    gaps[:, 13] = np.nan  # which then counts for nothing
    assert_allclose(model.score_samples(gaps), bound, rtol=1e-6)


def evidence_lower_bound(model, X):
    """The bound of observed cells, in closed form as the decoder is linear."""
    module = model.net_.module_
    known = ~np.isnan(X[:, :13])
    x = module.to_filled(torch.from_numpy(X))
    mean, log_variance = (part.numpy() for part in module.posterior(x))
    variance = np.exp(log_variance)
    noise = module.noise().detach().exp().numpy()
    weight, bias = module.decoder.weight.numpy(), module.decoder.bias.numpy()
    squares = np.square(x.numpy() - mean @ weight - bias)
    squares += variance @ np.square(weight)
    cells = squares / noise + np.log(2 * np.pi * noise)
    cells += 2 * np.log(float(module.scaling.scale))
    kl = 0.5 * (np.square(mean) + variance - 1 - log_variance).sum(axis=1)
    return -0.5 * (cells * known).sum(axis=1) - kl


def batches():
    """Pairs of a loss's output and batches that differ in missing cells only."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, output = normal(9, 5).abs(), normal(9, 5)
    mask = (normal(9, 5) > -0.5).double()
    others = torch.where(mask > 0, x, 1.0 + x.abs())
    y = normal(9, 2)
    pair = [Batch(x, target, y=y, mask=mask) for target in (x, others)]
    code = Output(output, normal(9, 2), normal(9, 2), normal(5))
    yield SquaredError(), output, pair
    rows = SupervisedOutput(output, normal(9, 2))
    yield SupervisedLoss(0.5, 0.7, is_classes=False), rows, pair
    one = torch.ones(())
    for likelihood in (
        Gaussian(),
        Bernoulli(torch.full((5,), 0.5), one),
        Poisson(torch.full((5,), 2.0), one),
    ):
        yield NegativeBound(likelihood, 1.0, 0.0, 0.0), code, pair


@pytest.mark.parametrize(("loss", "output", "pair"), list(batches()))
def test_a_loss_sees_no_missing_cell(loss, output, pair):
    first, other = pair
    assert_allclose(loss.rows(output, first), loss.rows(output, other))
    mean = loss.rows(output, first).mean() / 5
    values = [loss(output, batch) for batch in pair]
    assert_allclose(values, [mean, mean])
    one = isinstance(output, torch.Tensor)
    for batch in pair:
        value, grad = loss.gradient(output, batch)
        parts = [
            part.clone().requires_grad_() for part in ((output,) if one else output)
        ]
        by_hand = [grad] if one else list(grad)
        exact = loss(parts[0] if one else output._make(parts), batch)
        exact.backward()
        assert_allclose(value, exact.detach())
        for part, given in zip(parts, by_hand, strict=True):
            assert_allclose(
                given, torch.zeros_like(part) if part.grad is None else part.grad
            )


def test_a_solved_decoder_lowers_the_error_of_observed_cells(wine):
    _, gaps = wine
    rows = rows_and_filling(gaps)[0]
    model = Autoencoder(2, early_stopping=False, missing="ignore", **QUICK).fit(gaps)
    module = model.net_.module_
    x, mask = (torch.from_numpy(v).double() for v in (rows.dense(), rows.known()))
    batch = Batch(x, x, mask=mask)

    @torch.no_grad()
    def error():
        return float(batch.left(module.forward_scaled(batch)).square().sum())

    before = error()
    for _ in range(3):
        layer = LastLayer(module)
        layer.add(batch)
        layer.factorise()
        layer.set(torch.full((13,), 1e-6, dtype=torch.float64))
        assert error() < before
        before = error()


def test_noise_is_only_on_observed_cells():
    x = torch.zeros(50, 4)
    mask = (torch.arange(200).reshape(50, 4) % 3 > 0).float()
    batch = Batch(x, x, mask=mask)
    noise = SaltAndPepper(1.0, torch.ones(4), torch.ones(4))
    CorruptedInputs(noise)(batch, torch.Generator())
    assert torch.equal(batch.inputs, mask)


# With scikit-learn, frames and errors -----------------------------------------------


@pytest.mark.slow
def test_scikit_learns_checks():
    model = Autoencoder(1, missing="ignore", **QUICK)
    check_estimator(model, on_skip=None)


def test_searches(wine):
    _, gaps = wine
    model = Autoencoder(missing="ignore", hidden_layer_sizes=(), random_state=0)
    assert clone(model).missing == "ignore"
    search = GridSearchCV(model, {"n_components": [1, 3]}, cv=2).fit(gaps)
    assert search.best_params_ == {"n_components": 3}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    sizes = LatentSizeCV(model, [1, 13], method="exact", cv=2).fit(gaps)
    assert sizes.best_n_components_ < 13
    assert np.isfinite(sizes.cv_results_["mean_test_score"]).all()
    assert np.isfinite(sizes.transform(gaps)).all()
    assert np.isfinite(sizes.score(gaps))
    auto = LatentSizeCV(model, cv=2, refit=False).fit(gaps)
    assert auto.best_n_components_ >= 1


def test_warm_start_goes_on_with_other_gaps(wine):
    X, gaps = wine
    model = Autoencoder(
        2, warm_start=True, early_stopping=False, missing="ignore", **QUICK
    )
    for rows in (gaps, with_gaps(X, seed=1), X):
        model.fit(rows)
        assert np.isfinite(model.transform(gaps)).all()


def test_frames_with_missing_values():
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    random = np.random.default_rng(0)
    whole, real = random.integers(0, 9, 60), random.normal(size=60)
    flag = random.uniform(size=60) < 0.5
    columns = {
        "whole": [None if i % 7 == 0 else int(v) for i, v in enumerate(whole)],
        "real": [None if i % 5 == 0 else float(v) for i, v in enumerate(real)],
        "flag": [None if i % 11 == 0 else bool(v) for i, v in enumerate(flag)],
    }
    array = np.array(list(columns.values()), dtype=float).T
    model = Autoencoder(1, missing="ignore", **QUICK)
    expected = model.fit(array).transform(array)
    types = {"whole": "Int64", "real": "Float64", "flag": "boolean"}
    nullable = pd.DataFrame(columns).astype(types)
    for frame in (nullable, pl.DataFrame(columns)):
        model.fit(frame)
        assert list(model.feature_names_in_) == list(columns)
        assert_array_equal(model.transform(frame), expected)
        assert np.isfinite(model.impute(frame)).all()
        empty = frame.head(20).assign(real=np.nan) if frame is nullable else None
        if empty is not None:
            with pytest.raises(ValueError, match="Feature real of X has no observed"):
                model.fit(empty)


def test_errors(wine):
    X, gaps = wine
    model = Autoencoder(2, missing="ignore", **QUICK).fit(gaps)
    infinite = gaps.copy()
    infinite[3, 3] = np.inf
    for method in (model.fit, model.transform, model.impute):
        with pytest.raises(ValueError, match="infinity"):
            method(infinite)
        with pytest.raises(ValueError, match="X is sparse"):
            method(csr_array(X))
    column = gaps.copy()
    column[:, 4] = np.nan
    with pytest.raises(ValueError, match="Feature 4 of X has no observed value"):
        model.fit(column)
    with pytest.raises(ValueError, match="1 row.* with an observed value"):
        model.fit(np.array([[1.0, 2.0], [np.nan, np.nan]]))
    with pytest.raises(ValueError, match="NaN"):
        Autoencoder(2, **QUICK).fit(gaps)
    assert not hasattr(Autoencoder(2), "impute")
    with pytest.raises(ValueError, match="'missing' parameter"):
        Autoencoder(2, missing="drop").fit(X)
