"""Sample weights: a whole number is how often a row is there."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import clone, config_context
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import CustomNoise, GaussianNoise, systematic
from sklatent.problems import ExplainedVariance
from sklatent.rows import (
    EachOnce,
    Scale,
    TrainingRows,
    Weights,
    is_typical,
    merge,
    quantiles,
)
from sklatent.rows import rows_of as unweighted
from sklatent.starts import (
    covariates_start,
    denoiser_start,
    exponential_start,
    factor_analysis_start,
    logistic_head,
    pca_start,
    ppca_start,
)
from sklatent.starts._gaussian import Noise, log_likelihood
from sklatent.starts._pca import principal_axes
from sklatent.training import Judge, standard_error

LINEAR = {"hidden_layer_sizes": (), "random_state": 0}
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
ESTIMATORS = [
    Autoencoder(2, **QUICK),
    Autoencoder(2, early_stopping=False, ordered=True, **QUICK),
    DenoisingAutoencoder(2, early_stopping=True, **QUICK),
    VariationalAutoencoder(2, early_stopping=False, **QUICK),
    SupervisedAutoencoder(2, early_stopping=False, **QUICK),
    SupervisedAutoencoder(2, mixing="auto", **QUICK),
]


def table(n=60, p=6, seed=0):
    """Correlated rows, whole weights and classes."""
    random = np.random.RandomState(seed)
    X = random.normal(size=(n, p)) @ random.normal(size=(p, p)) + 5
    return X, random.randint(1, 5, n), random.randint(0, 3, n)


def weighted(X, w):
    """Rows with whole weights, scaled."""
    w = np.asarray(w, np.float64)
    return unweighted(X, weights=Weights(w, w))


def repeated(X, w):
    """The same with each row as often as its weight says, on the same scale."""
    from sklatent.rows import DenseRows

    scale = Scale.of(X, weights=Weights(w.astype(float), w.astype(float)))
    return DenseRows(X.repeat(w, axis=0), scale)


# Weights ------------------------------------------------------------------------------


def test_whole_numbers_are_counts_and_others_are_relative():
    whole = Weights.of(np.array([1.0, 3.0, 2.0]))
    np.testing.assert_array_equal(whole.values, [1, 3, 2])
    np.testing.assert_array_equal(whole.counts, [1, 3, 2])
    half = Weights.of(np.array([0.5, 1.5, 1.0]))
    np.testing.assert_allclose(half.values, [0.5, 1.5, 1.0])
    np.testing.assert_array_equal(half.counts, [1, 1, 1])
    huge = Weights.of(np.array([1e308, 1e308, 1.0]))
    np.testing.assert_allclose(huge.values, [1.5, 1.5, 0], atol=1e-99)


def test_equal_rows_are_merged_in_an_order_of_their_own():
    keys = np.array([7, 3, 7, 9, 3, 7], np.uint64)
    merged = merge(keys, [], None)
    np.testing.assert_array_equal(keys[merged.rows], [3, 7, 9])
    np.testing.assert_array_equal(merged.weights.values, [2, 3, 1])
    np.testing.assert_array_equal(keys[merged.rows][merged.place], keys)
    assert merge(np.array([7, 3, 9], np.uint64), [], None) is None
    # Labels tell equal rows apart, and say nothing of the order of others.
    merged = merge(keys, [np.array([1, 0, 1, 0, 0, 2])], None)
    np.testing.assert_array_equal(keys[merged.rows], [3, 7, 7, 9])
    np.testing.assert_array_equal(keys[merged.rows][merged.place], keys)
    np.testing.assert_array_equal(np.sort(merged.weights.values), [1, 1, 2, 2])


def test_quantiles_by_weight():
    values = np.arange(101.0)
    np.testing.assert_allclose(quantiles(values, [0.25], np.ones(101)), [25.0], atol=1)
    heavy = np.where(values < 10, 90.0, 1.0)
    assert quantiles(values, [0.5], heavy)[0] < 10


# Statistics ---------------------------------------------------------------------------


def test_mean_and_covariance_are_those_of_numpy():
    X, w, _ = table()
    rows = weighted(X, w)
    x = rows.dense()
    mean, covariance = rows.covariance()
    np.testing.assert_allclose(mean, np.average(x, 0, w), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(x.T, fweights=w, ddof=0), atol=1e-12)
    np.testing.assert_allclose(rows.variance(), covariance.diagonal(), atol=1e-12)
    np.testing.assert_allclose(rows.sum_of_squares(), (w @ x**2).sum())
    some = rows[np.arange(5, 20)]
    np.testing.assert_allclose(some.mean(), np.average(x[5:20], 0, w[5:20]), atol=1e-12)
    assert some.n_samples == w[5:20].sum()
    a = np.random.RandomState(1).uniform(0.1, 3, len(X))
    relative = unweighted(X, weights=Weights.of(a))
    expected = np.cov(relative.dense().T, aweights=a, ddof=0)
    np.testing.assert_allclose(relative.covariance()[1], expected, atol=1e-12)
    assert relative.n_samples == len(X)


def test_scale_is_that_of_repeated_rows():
    X, w, _ = table()
    X[3] *= 1e4  # an extreme row
    scale, others = (
        Scale.of(X, weights=Weights.of(w.astype(float))),
        Scale.of(X.repeat(w, 0)),
    )
    np.testing.assert_allclose(scale.mean, others.mean)
    assert scale.scale == pytest.approx(others.scale)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_one_row_of_few_is_extreme(weight):
    X = np.random.default_rng(0).normal(size=(18, 4))
    X[5, 2] = 1e6
    weights = (
        None if weight is None else Weights.of(np.r_[np.ones(5), weight, np.ones(12)])
    )
    data = unweighted(X, weights=weights)
    # It is 17 times farther from the mean than the others, which it pulls along.
    np.testing.assert_array_equal(data.typical().where(), np.delete(np.arange(18), 5))
    ordinary = unweighted(X[:5])
    assert len(ordinary.typical()) == 5


@pytest.mark.parametrize("n", [2, 19, 60])
def test_typical_rows_are_those_of_repeated_rows(n):
    random = np.random.RandomState(n)
    squares, w = 10.0 ** random.uniform(-6, 6, n), random.randint(1, 9, n)
    found = is_typical(squares, Weights.of(w.astype(float)))
    np.testing.assert_array_equal(found.repeat(w), is_typical(squares.repeat(w)))


# Starts -------------------------------------------------------------------------------


def assert_same_start(found, expected, rtol=1e-6):
    for name, value in vars(expected).items():
        atol = rtol * np.abs(value).max() + 1e-9
        np.testing.assert_allclose(
            getattr(found, name), value, rtol=rtol, atol=atol, err_msg=name
        )


SHAPES = {"tall": (60, 6), "wide": (30, 80)}


@pytest.mark.parametrize("shape", SHAPES)
def test_pca_of_repeated_rows(shape):
    X, w, _ = table(*SHAPES[shape])
    assert_same_start(
        pca_start(weighted(X, w), 4, 0), pca_start(repeated(X, w), 4, 0), 1e-5
    )


def test_randomised_pca_of_repeated_rows():
    random = np.random.RandomState(0)
    X = random.normal(size=(40, 4)) @ random.normal(size=(4, 1200))
    X += 1e-3 * random.normal(size=X.shape)
    w = random.randint(1, 5, 40)
    assert_same_start(
        pca_start(weighted(X, w), 4, 0), pca_start(repeated(X, w), 4, 0), 1e-4
    )


def test_pca_of_many_features_and_of_small_variances():
    X, w, _ = table(1300, 1010)
    pca = PCA(1000, svd_solver="full").fit(X[:, :1010].repeat(w, axis=0))
    some = weighted(X, w)
    start = pca_start(some, 1000, 0)
    scale = start.latent_scale * some.scale.scale
    np.testing.assert_allclose(scale, np.sqrt(pca.explained_variance_), rtol=1e-6)
    X, w, _ = table()
    X[:, 0] *= 1e-6
    expected = PCA().fit(X.repeat(w, axis=0))
    rows = weighted(X, w)
    variance = principal_axes(rows, 6, 0).variance * rows.scale.scale**2
    np.testing.assert_allclose(variance, expected.explained_variance_, rtol=1e-3)


@pytest.mark.parametrize("shape", ["tall", "wide"])
def test_gaussian_starts_of_repeated_rows(shape):
    X, w, _ = table(*SHAPES[shape])
    one, other = weighted(X, w), repeated(X, w)
    assert_same_start(ppca_start(one, 3, 0), ppca_start(other, 3, 0), 1e-5)


def test_factor_analysis_of_repeated_rows():
    random = np.random.RandomState(0)
    X = random.normal(size=(200, 2)) @ random.normal(size=(2, 8))
    X += random.normal(size=X.shape)
    w = random.randint(1, 5, 200)
    one, other = weighted(X, w), repeated(X, w)
    x = other.dense()
    found, expected = (
        log_likelihood(factor_analysis_start(rows, 2, Noise(shared=False), 0), x)
        for rows in (one, other)
    )
    assert found.mean() == pytest.approx(expected.mean(), abs=5e-3)
    unit = x.std(axis=0)
    own = FactorAnalysis(2).fit(x / unit).score(x / unit) - np.log(unit).sum()
    assert found.mean() == pytest.approx(own, abs=5e-3)


def test_denoiser_of_repeated_rows():
    X, w, _ = table()
    gaussian = GaussianNoise(torch.full((6,), 0.3, dtype=torch.float64))
    scaling = weighted(X, w).scale.module()
    other = CustomNoise(lambda x: 1.2 * x + 0.1 * torch.randn_like(x), scaling)
    for noise in (gaussian, other):
        torch.manual_seed(0)  # from which noise of the user's draws
        found, expected = (
            denoiser_start(rows, 3, noise, 0)
            for rows in (weighted(X, w), repeated(X, w))
        )
        exact = noise is gaussian
        np.testing.assert_allclose(  # signs are set later
            found.encoder_weight @ found.decoder_weight,
            expected.encoder_weight @ expected.decoder_weight,
            atol=1e-9 if exact else 0.02,
        )
        assert found.residual == pytest.approx(expected.residual, rel=0.05)


@pytest.mark.parametrize("labelled", [1.0, 0.6])
def test_covariates_of_repeated_rows(labelled):
    X, w, y = table()
    codes = np.column_stack([y == i for i in range(3)]).astype(float)
    codes[np.random.RandomState(0).uniform(size=60) > labelled] = np.nan
    start, expected = (
        covariates_start(rows, targets, 3, 0.5, 0, penalty=0.1)
        for rows, targets in (
            (weighted(X, w), codes),
            (repeated(X, w), codes.repeat(w, axis=0)),
        )
    )
    assert_same_start(start, expected)


def test_the_penalty_does_not_depend_on_how_often_all_rows_are_there():
    X, w, y = table()
    codes = (y[:, None] - y.mean()).astype(float)
    once, often = (
        covariates_start(weighted(X, w * times), codes, 3, 0.5, 0) for times in (1, 50)
    )
    np.testing.assert_allclose(once.head_weight, often.head_weight, rtol=0.1, atol=1e-2)


def test_logistic_head_of_repeated_rows():
    X, w, y = table()
    one_hot = np.eye(3)[y]
    u = (X - X.mean(axis=0)) / X.std(axis=0)
    found = logistic_head(u, one_hot, w.astype(float))
    expected = logistic_head(u.repeat(w, 0), one_hot.repeat(w, 0))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_exponential_starts_of_repeated_rows(likelihood):
    random = np.random.RandomState(0)
    w = random.randint(1, 5, 80)
    rate = np.exp(random.normal(size=(80, 2)) @ random.normal(size=(2, 6)))
    rows = random.poisson(rate).clip(max=1 if likelihood == "bernoulli" else 20) * 1.0
    x = rows - np.average(rows, 0, w)
    weights = Weights.of(w.astype(float))
    found = exponential_start(x, rows, 2, likelihood, 0, weights)
    other = exponential_start(x.repeat(w, 0), rows.repeat(w, 0), 2, likelihood, 0)
    one, two = (  # by what loadings are shrunk is chosen by random numbers
        start.decoder_weight / np.linalg.norm(start.decoder_weight)
        for start in (found, other)
    )
    np.testing.assert_allclose(one, two, atol=1e-5)
    np.testing.assert_allclose(found.decoder_bias, other.decoder_bias, atol=1e-5)


# Batches ------------------------------------------------------------------------------


def test_systematic_sampling_gives_each_its_share():
    drawn = systematic(torch.tensor([1.0, 3.0, 0.5, 1.5]).double(), 12, 0.3)
    np.testing.assert_array_equal(np.bincount(drawn.numpy()), [2, 6, 1, 3])


def test_batches_are_drawn_by_weight():
    X, w, _ = table(200)
    data = TrainingRows(weighted(X, w), seed=0)
    first, expected, total = data.rows.tensor()[:, 0], 200 * w / w.sum(), np.zeros(200)
    for _ in range(50):
        batches = list(data.shuffled(7))
        assert all(batch.weight is None for batch in batches)
        shown = torch.cat([batch.target[:, 0] for batch in batches])
        place = (shown[:, None] == first).nonzero()[:, 1].numpy()
        counts = np.bincount(place, minlength=200)
        assert counts.sum() == 200
        assert np.abs(counts - expected).max() < 1
        assert (np.diff(place) < 0).any()  # in a random order
        total += counts
    np.testing.assert_allclose(total / 50, expected, atol=0.3)
    each = list(data.each_once(7))
    total = sum(batch.weight @ batch.target.double() for batch in each)
    mean = data.rows.mean() * 200
    np.testing.assert_allclose(total, mean, atol=1e-4)


def test_in_several_passes_each_row_is_there_as_often():
    X, w, _ = table(50)
    passes = EachOnce(TrainingRows(weighted(X, w), seed=0), 40, 3)
    batches = list(passes)
    assert len(batches) == len(passes) == 4  # of 150 rows, across the passes
    first = passes.rows.rows.tensor()[:, 0]
    place = [
        int((value == first).nonzero())
        for batch in batches
        for value in batch.target[:, 0]
    ]
    assert sorted(place) == sorted([*range(50)] * 3)
    assert place[:50] != place[50:100]  # in a new order
    weight = torch.cat([batch.weight for batch in batches])
    np.testing.assert_allclose(weight, (w / w.mean())[place])


# The verdict --------------------------------------------------------------------------


def test_standard_error_by_hand():
    values, w = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 2.0, 1.0, 4.0])
    mean = (1 + 4 + 4 + 12) / 8
    left = w * (values - mean)
    expected = np.sqrt((left**2).sum() * 4 / 3) / 8
    assert standard_error(values, None, w) == pytest.approx(expected)
    assert standard_error(values, None, 7 * w) == pytest.approx(expected)
    units = np.arange(4).repeat([1, 2, 1, 4])  # w dependent repeats
    assert standard_error(values.repeat([1, 2, 1, 4]), units) == pytest.approx(expected)


def test_the_judge_goes_by_the_heavy_rows():
    random = np.random.RandomState(0)
    start = random.uniform(1, 2, 200)
    change = np.where(np.arange(200) < 60, -0.1, 0.1) * random.uniform(1, 2, 200)
    heavy = np.where(np.arange(200) < 60, 20.0, 1.0)
    for weights, epoch in ((None, 0), (heavy, 1)):
        judge = Judge(start, ExplainedVariance(5.0), 3, 0.0, weights=weights)
        judge.update(start + change)
        assert judge.epoch_to_keep() == epoch
    t = stats.ttest_1samp(-change * heavy, 0, alternative="greater")
    assert t.pvalue < 1e-3


# Fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ESTIMATORS, ids=repr)
def test_a_whole_weight_is_a_repeated_row_and_the_order_is_nothing(model):
    X, w, y = table(45)
    w[:5] = 0
    fitted = model.fit(X, y, sample_weight=w)
    Z, score = fitted.transform(X), fitted.score(X, y, sample_weight=w)
    variance, held_out = fitted.explained_variance_, fitted.held_out_scores_
    assert fitted.n_samples_ == w.sum()
    assert np.isnan(held_out[:5]).all()
    order = np.random.RandomState(1).permutation(w.sum())
    R, again = X.repeat(w, axis=0), np.arange(45).repeat(w)
    other = model.fit(R[order], y.repeat(w)[order])
    np.testing.assert_allclose(other.transform(X), Z, atol=1e-7)
    np.testing.assert_allclose(other.explained_variance_, variance)
    assert other.score(R) == pytest.approx(score)
    np.testing.assert_allclose(
        other.held_out_scores_, held_out[again][order], rtol=1e-6
    )
    assert other.n_samples_ == w.sum()


def arc(n=90):
    """Rows along a curve, of which a network learns much at once."""
    random = np.random.RandomState(0)
    t = np.linspace(-1, 1, n)[random.permutation(n)]
    return np.column_stack([t, t**2, t**3]) + 0.01 * random.normal(size=(n, 3)), t > 0


@pytest.mark.parametrize(
    "model",
    [
        Autoencoder(1),
        Autoencoder(1, early_stopping=True, validation_fraction=0.4),
        Autoencoder(1, cv=[(np.arange(45), np.arange(45, 90))] * 2),
        DenoisingAutoencoder(1, noise_level=0.05),
        VariationalAutoencoder(1),
        SupervisedAutoencoder(1, early_stopping=True, validation_fraction=0.4),
    ],
    ids=["folds", "part", "cv", "denoising", "variational", "supervised"],
)
@pytest.mark.parametrize("with_groups", [False, True])
def test_a_whole_weight_is_a_repeated_row_where_training_is_kept(model, with_groups):
    model = clone(model).set_params(max_iter=40, random_state=0)
    X, y = arc()
    w = 1 + np.arange(len(X)) % 3
    repeated = np.arange(len(X)).repeat(w)
    groups = (np.arange(len(X)) * 7) % 90 if with_groups else None
    weighted = clone(model).fit(X, y, sample_weight=w, groups=groups)
    if model.cv is not None:  # the same rows on each side
        sides = [[np.flatnonzero(np.isin(repeated, s)) for s in p] for p in model.cv]
        model.set_params(cv=sides)
    groups = None if groups is None else groups[repeated]
    other = model.fit(X[repeated], y[repeated], groups=groups)
    assert weighted.best_iteration_ > 0
    assert other.best_iteration_ == weighted.best_iteration_
    np.testing.assert_allclose(other.transform(X), weighted.transform(X), atol=1e-5)
    np.testing.assert_allclose(
        other.held_out_scores_, weighted.held_out_scores_[repeated], rtol=1e-3
    )


@pytest.mark.parametrize("model", ESTIMATORS, ids=repr)
def test_a_row_of_no_weight_is_not_there(model):
    X, _, y = table(45)
    there = np.arange(45) % 4 != 0
    Z = model.fit(X, y, sample_weight=there).transform(X)
    np.testing.assert_array_equal(model.fit(X[there], y[there]).transform(X), Z)


def test_a_factor_of_relative_weights_changes_nothing():
    X, _, _ = table()
    a = np.random.RandomState(1).uniform(0.1, 3, len(X))
    model = Autoencoder(2, **QUICK)
    Z = model.fit(X, sample_weight=a).transform(X)
    assert model.n_samples_ == len(X)
    np.testing.assert_array_equal(model.fit(X, sample_weight=8 * a).transform(X), Z)
    same = model.fit(X).transform(X)
    np.testing.assert_array_equal(
        model.fit(X, sample_weight=[0.7] * 60).transform(X), same
    )


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize("model", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("largest", [1e14, 1e300])
def test_extreme_weights(model, largest):
    X, _, y = table(45)
    w = np.where(np.arange(45) % 9, 5e-324 if largest > 1e15 else 1, largest)
    model.fit(X, y, sample_weight=w)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.explained_variance_ratio_).all()
    assert np.isfinite(model.score(X, y, sample_weight=w))


def test_a_linear_fit_is_pca_of_repeated_rows():
    X, w, _ = table()
    model, pca = Autoencoder(3, **LINEAR), PCA(3).fit(X.repeat(w, axis=0))
    model.fit(X, sample_weight=w)
    for name in (
        "mean_",
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
        "noise_variance_",
    ):
        np.testing.assert_allclose(
            getattr(model, name), getattr(pca, name), err_msg=name
        )
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-9)


def test_splits_as_indices_are_of_all_rows():
    X, w, _ = table(40)
    w[::5] = 0
    order = np.arange(40)
    cv = [(order[20:], order[:20]), (order[:20], order[20:])]
    model = Autoencoder(2, cv=cv, **QUICK).fit(X, sample_weight=w)
    np.testing.assert_array_equal(np.isnan(model.held_out_scores_), w == 0)
    with pytest.raises(ValueError, match="sample_weight of 0"):
        model.fit(X, sample_weight=order < 20)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_likelihoods_of_counts(likelihood):
    random = np.random.RandomState(0)
    X = np.exp(random.normal(size=(40, 1)) + random.normal(size=6)).round().clip(max=9)
    X = X > 0 if likelihood == "bernoulli" else X
    w = np.arange(40) % 3
    model = VariationalAutoencoder(2, likelihood=likelihood, **QUICK)
    Z = model.fit(X, sample_weight=w).transform(X)
    np.testing.assert_allclose(model.fit(X.repeat(w, 0)).transform(X), Z, atol=1e-7)


def test_weights_move_a_trained_fit_to_the_heavy_rows():
    random = np.random.RandomState(0)
    t = random.uniform(-1, 1, 1000)
    arm = np.arange(1000) % 2
    curve = np.where(arm, t**2, -(t**2))
    X = np.column_stack([t, curve, 0 * t]) + 0.02 * random.normal(size=(1000, 3))
    errors = []
    for heavy in (0, 1):
        w = np.where(arm == heavy, 50, 1)
        model = Autoencoder(1, max_iter=60, random_state=0).fit(X, sample_weight=w)
        assert model.best_iteration_ > 0
        errors.append([-model.score_samples(X[arm == i]).mean() for i in (0, 1)])
    (a, b), (c, d) = errors
    assert 3 * a < c
    assert 3 * d < b


def test_weights_of_batch_normalised_single_rows():
    def encoder(n_features, n_components):
        return torch.nn.Sequential(
            torch.nn.BatchNorm1d(n_features), torch.nn.Linear(n_features, n_components)
        )

    model = Autoencoder(1, encoder=encoder, early_stopping=False, max_iter=2)
    Z = model.fit(np.ones((4, 3))).transform(np.ones((4, 3)))
    assert np.isfinite(Z).all()


# The contract -------------------------------------------------------------------------


def test_bad_weights():
    X, w, _ = table()
    model = Autoencoder(2, **QUICK)
    with pytest.raises(ValueError, match="must not be negative; got -2"):
        model.fit(X, sample_weight=np.where(w == 1, -2, w))
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.fit(X, sample_weight=0 * w)
    with pytest.raises(ValueError, match="leaves 1 row"):
        model.fit(X, sample_weight=np.arange(60) == 3)
    with pytest.raises(ValueError, match="inconsistent|shape"):
        model.fit(X, sample_weight=w[:-1])
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, sample_weight=np.where(w == 1, np.nan, w))
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_score_of_repeated_rows(cls):
    X, w, _ = table()
    w[3] = 0
    model = cls(2, **LINEAR).fit(X)
    expected = model.score(X.repeat(w, axis=0))
    assert model.score(X, sample_weight=w) == pytest.approx(expected)
    assert model.score(X, None, 0.3 * w) == pytest.approx(expected)


def test_metadata_routing():
    X, w, _ = table()
    expected = Autoencoder(2, **LINEAR).fit(X, sample_weight=w)
    with config_context(enable_metadata_routing=True):
        model = Autoencoder(2, **LINEAR).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scaled = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaled, model).fit(X, sample_weight=w)
        assert pipeline[-1].n_samples_ == w.sum()
        search = GridSearchCV(model, {"n_components": [1, 2]}, cv=3)
        search.fit(X, sample_weight=w)
        np.testing.assert_allclose(
            search.best_estimator_.transform(X), expected.transform(X)
        )
        found = search.score(X, sample_weight=w)
        assert found == pytest.approx(expected.score(X, sample_weight=w))
        sizes = LatentSizeCV(model, [2], cv=3, scoring="score").fit(X, sample_weight=w)
        np.testing.assert_allclose(
            sizes.cv_results_["mean_test_score"],
            search.cv_results_["mean_test_score"][1:],
        )
    sizes = LatentSizeCV(Autoencoder(2, **LINEAR), [2], cv=3).fit(X, sample_weight=w)
    assert sizes.best_estimator_.n_samples_ == w.sum()
