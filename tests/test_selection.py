"""The rule by which held-out rows choose the state."""

import numpy as np
import pytest
import sklearn
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_array_equal
from scipy.signal import lfilter
from scipy.stats import sem, ttest_1samp
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.model_selection import (
    GroupKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline

from sklatent import Autoencoder, DenoisingAutoencoder
from sklatent.plan import SplitBy, Splits, choose_splits, error_inflation
from sklatent.problems import ExplainedVariance, LogLikelihood
from sklatent.rows import rows_of
from sklatent.training import Judge, standard_error


def judge(start, *epochs, patience=3, tol=0.01):
    result = Judge(np.asarray(start, float), ExplainedVariance(50.0), patience, tol)
    for errors in epochs:
        result.update(np.asarray(errors, float))
    return result


def test_as_good_as_an_epoch():
    result = judge([4.0, 5.0, 6.0, 5.0], [1.0, 2.0, 3.0, 2.0])
    assert result.is_as_good(np.array([1.0, 2.0, 2.0, 2.0]), 1)
    assert result.is_as_good(np.array([1.0, 2.0, 3.0, 2.0]), 1)
    assert not result.is_as_good(np.array([1.0, 2.0, 3.5, 2.0]), 1)


def splits_of(X, *by, seed=0, good_start=True, **kwargs):
    rows = rows_of(np.asarray(X, float))
    return choose_splits(rows, SplitBy(*by, **kwargs), seed, good_start=good_start)


def random_rows(n, p=3):
    return np.random.default_rng(0).standard_normal((n, p))


def test_splits():
    X = random_rows(2000)
    splits = splits_of(X)
    ((train, held_out),) = splits.pairs
    assert len(held_out) == 200
    assert sorted([*train, *held_out]) == list(range(2000))
    assert not splits.refit
    assert splits.units is None

    splits = splits_of(X[:100])
    assert splits.refit
    assert len(splits.pairs) == 5
    everyone = np.concatenate([held_out for _, held_out in splits.pairs])
    assert sorted(everyone) == list(range(100))

    splits = splits_of(X[:100], True, 0.25)
    assert not splits.refit
    assert len(splits.pairs[0][1]) == 25

    for n in (9, 2000):
        splits = splits_of(X[:n], False)
        assert splits.refit
        assert not splits.pairs
    assert not splits_of(X[:9]).refit
    assert splits_of(X[:9], good_start=False).refit


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_equal_rows_share_a_side(early_stopping):
    """Rows of a bootstrap, and rows that stand five times in a row."""
    X = random_rows(400)
    twice = np.random.default_rng(0).integers(400, size=600)
    for index in (twice, np.repeat(np.arange(100), 5)):
        splits = splits_of(X[index], early_stopping)
        for train, held_out in splits.pairs:
            assert not set(index[train]) & set(index[held_out])
            assert len(train) + len(held_out) == len(index)
        assert len(np.unique(splits.units)) == len(np.unique(index))
    few = splits_of(X[np.arange(500) % 9], early_stopping)
    assert not few.pairs
    assert not few.refit  # the start is kept
    assert "9 distinct rows" in few.how


def test_zeros_of_both_signs_are_equal():
    X = random_rows(30)
    X[:, 1] = 0.0
    again = X.copy()
    again[:, 1] = -0.0
    units = splits_of(np.concatenate([X, again])).units
    assert_array_equal(units[:30], units[30:])


def test_rows_of_few_digits_are_told_apart():
    X = np.array(list(np.ndindex(*[2] * 12)), float)
    assert splits_of(X).units is None


def ar1(n, phi, seed=0):
    noise = np.random.default_rng(seed).standard_normal(n)
    return lfilter([1.0], [1.0, -phi], noise)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("n", [600, 1500])
def test_windows_of_a_series_are_held_out_in_stretches(phi, n):
    W = sliding_window_view(ar1(n + 47, phi), 48)
    splits = splits_of(W)
    assert "stretches" in splits.how
    for train, held_out in splits.pairs:
        apart = np.abs(train[:, None] - held_out).min()
        assert apart > 48  # no window has a value of one on the other side
        assert len(train) > n / 2
    everyone = np.concatenate([held_out for _, held_out in splits.pairs])
    if n < 800:
        assert sorted(everyone) == list(range(n))


def test_rows_in_order_of_class_are_no_series():
    for load in (load_iris, load_wine, load_breast_cancer):
        data = load()
        by_class = np.argsort(data.target, kind="stable")
        assert "random" in splits_of(data.data[by_class]).how
    digits = load_digits()
    assert "random" in splits_of(digits.data[np.argsort(digits.target)]).how


@pytest.mark.parametrize("n", [20, 60, 200, 1000])
def test_shuffled_rows_are_no_series(n):
    series = np.cumsum(random_rows(1000), axis=0)
    for seed in range(20):
        order = np.random.RandomState(seed).permutation(1000)[:n]
        assert "random" in splits_of(series[order]).how


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_groups_share_a_side(early_stopping):
    groups = np.random.default_rng(0).integers(12, size=300).astype(str)
    splits = splits_of(random_rows(300), early_stopping, groups=groups)
    for train, held_out in splits.pairs:
        assert not set(groups[train]) & set(groups[held_out])
    assert not splits_of(random_rows(20), groups=[1] * 20).pairs
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        splits_of(random_rows(20), groups=[1, 2])


@pytest.mark.parametrize(
    ("cv", "n_pairs"),
    [
        (3, 3),
        (ShuffleSplit(2, random_state=0), 2),
        (ShuffleSplit(1, random_state=0), 1),
        ([(np.arange(50), np.arange(50, 60))], 1),
        ([(np.arange(60) < 40, np.arange(60) >= 50)], 1),
        (StratifiedKFold(4), 4),
        (TimeSeriesSplit(3), 3),
        (GroupKFold(3), 3),
    ],
)
def test_cv(cv, n_pairs):
    X, y = random_rows(60), np.arange(60) % 2
    groups = np.arange(60) // 6 if isinstance(cv, GroupKFold) else None
    splits = splits_of(X, cv=cv, y=y, groups=groups)
    assert len(splits.pairs) == n_pairs
    assert splits.refit == (n_pairs > 1)
    for train, held_out in splits.pairs:
        assert not set(train) & set(held_out)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([(np.arange(50), np.arange(50, 61))], "cv gives row 60, but X has 60 rows"),
        ([(np.arange(50), [])], "two rows or more for each side"),
        ([(np.arange(50), np.arange(50, 60) / 2)], "cv must give index arrays"),
        ([(np.ones(59, bool), np.arange(50, 60))], "cv must give index arrays"),
        (iter([]), "gives no split"),
        (61, "number of splits"),
    ],
)
def test_cv_that_does_not_match_the_rows(cv, message):
    with pytest.raises(ValueError, match=message):
        splits_of(random_rows(60), cv=cv)


def test_cv_and_groups_of_an_estimator(digits):
    X = digits[:120]
    model = Autoencoder(2, cv=3, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Autoencoder(2).fit(X, groups=[1, 2])
    with pytest.raises(ValueError, match="cv gives row 120"):
        model.set_params(cv=[([0, 1], [119, 120])]).fit(X)
    with pytest.raises(ValueError, match="cv"):
        model.set_params(cv="folds").fit(X)
    pipeline = make_pipeline(model.set_params(cv=GroupKFold(2)), "passthrough")
    pipeline.fit(X, autoencoder__groups=np.arange(120) % 4)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(groups=True)
        make_pipeline(model, "passthrough").fit(X, groups=np.arange(120) % 4)


def test_no_gain_is_claimed_on_windows_of_a_series():
    W = np.ascontiguousarray(sliding_window_view(ar1(1500, 0.9), 48))
    model = Autoencoder(6, random_state=0).fit(W[:600])
    pca = PCA(6).fit(W[:600])
    later = W[700:1400]
    left = np.square(later - pca.inverse_transform(pca.transform(later))).sum()
    share = 1 - left / np.square(later - W[:600].mean(axis=0)).sum()
    assert model.score(later) >= share - 0.002


@pytest.mark.parametrize("load", [load_diabetes, load_wine])
def test_repeated_rows_are_no_loss(load):
    X = load().data
    train, test = X[::2], X[1::2]
    some = np.random.default_rng(0).integers(len(train), size=len(train))
    for rows in (train[some], np.repeat(train, 5, axis=0)):
        model = Autoencoder(2, random_state=0).fit(rows)
        linear = Autoencoder(2, hidden_layer_sizes=()).fit(rows)
        assert model.score(test) >= linear.score(test) - 0.002


def test_standard_error_of_units():
    values = np.random.default_rng(0).standard_normal(50)
    assert standard_error(values) == pytest.approx(sem(values))
    five = np.repeat(values, 5)
    assert standard_error(five, np.repeat(np.arange(50), 5)) == pytest.approx(
        sem(values)
    )
    assert standard_error(values, np.zeros(50)) == np.inf


def test_scores():
    assert judge([5, 5], [3, 1]).scores == [0.9, 0.96]


def test_the_best_epoch_is_kept():
    assert judge([5, 5, 5], [4, 4, 5], [2, 2.1, 2], [3, 3, 3]).epoch_to_keep() == 2


def test_a_gain_within_its_error_is_none():
    # The mean gain is 1 in both; its standard error 0 and 3.
    assert judge([5, 5, 5], [4, 4, 4]).epoch_to_keep() == 1
    assert judge([5, 5, 5], [-2, 7, 7]).epoch_to_keep() == 0


def test_a_gain_passes_a_t_test():
    verdicts = set()
    for seed in range(20):
        gains = np.random.default_rng(seed).uniform(-1, 2.0, size=8 + seed)
        of_all_and_most = ExplainedVariance(50.0).gains(gains, np.zeros(len(gains)))
        clear = [
            ttest_1samp(values, 0, alternative="greater").pvalue < level
            for values, level in zip(of_all_and_most, (0.05, 0.001), strict=True)
        ]
        kept = judge(np.full(len(gains), 5.0), 5 - gains).epoch_to_keep()
        assert kept == all(clear)
        verdicts.add(kept)
    assert verdicts == {0, 1}


def test_no_gain_keeps_the_start():
    assert judge([5, 5, 5], [6, 6, 6]).epoch_to_keep() == 0
    assert judge([5], [1]).epoch_to_keep() == 0


def test_patience_and_tolerance():
    assert not judge([5, 5], [5, 5], [5, 5]).should_stop
    assert judge([5, 5], [5, 5], [5, 5], [5, 5]).should_stop
    # Falls of less than tol, but more than tol in sum: not done.
    assert not judge([100], [99.5], [98.9], [98.6]).should_stop
    assert judge([100], [99.9], [99.8], [99.7]).should_stop


def test_a_non_finite_error_is_the_end():
    for bad in (np.nan, np.inf):
        result = judge([5, 5, 5], [3, 3, 3.1], [bad, 1, 1])
        assert result.should_stop
        assert result.epoch_to_keep() == 1


def test_exact_start():
    assert judge([0, 1e-9]).is_exact
    assert not judge([0, 1e-3]).is_exact


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_sides_keep_two_rows(fraction):
    ((train, held_out),) = splits_of(random_rows(12), True, fraction).pairs
    assert min(len(train), len(held_out)) == 2


def test_nats():
    score = LogLikelihood(n_features=10, offset=5.0)
    assert score.score(2.0) == 3.0
    assert score.smallest_gain(-100.0, 0.01) == pytest.approx(0.05)
    assert not score.is_exact(-1e9)


def test_one_outlier_does_not_hide_a_gain_in_nats():
    start = np.full(100, 10.0)
    best = start - np.linspace(0.5, 1.5, 100)
    best[0] += 90  # the mean gain is 0.1, its standard error 0.9
    verdicts = []
    for score in (LogLikelihood(3, 0.0), ExplainedVariance(50.0)):
        result = Judge(start, score, 3, 0.01)
        result.update(best)
        verdicts.append(result.epoch_to_keep())
    assert verdicts == [1, 0]


def test_rows_that_come_back_are_no_stretches():
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    X = np.tile(np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle)], (20, 1))
    splits = splits_of(X)  # each stretch has all of them
    assert len(splits.pairs) == 5
    for train, held_out in splits.pairs:
        assert len(train) == 800
        assert not set(map(tuple, X[train])) & set(map(tuple, X[held_out]))


@pytest.mark.parametrize("early_stopping", ["auto", True])
@pytest.mark.parametrize("groups", [[0] + [1] * 99, [0, 2] + [1] * 98])
def test_groups_of_one_row(early_stopping, groups):
    X = random_rows(100)
    for train, _ in splits_of(X, early_stopping, groups=groups).pairs:
        assert len(train) > 1
    model = Autoencoder(2, early_stopping=early_stopping, max_iter=3, random_state=0)
    assert "nan" not in model.fit(X, groups=groups).verdict_


@pytest.mark.parametrize("missing", [np.nan, None])
@pytest.mark.parametrize("others", [0, "a"])
def test_groups_that_are_missing(missing, others):
    groups = np.array([missing, others] * 10, dtype=object)
    with pytest.raises(ValueError, match="NaN|groups"):
        splits_of(random_rows(20), groups=groups)
    with pytest.raises(ValueError, match="groups must be 1-dimensional"):
        splits_of(random_rows(20), groups=np.zeros((20, 2)))


@pytest.mark.parametrize(
    ("n", "sizes", "factor"),
    [(100, [80] * 5, 1.5), (1000, [900], np.sqrt(1 + 1 / 9))],
)
def test_standard_errors_count_what_training_rows_change(n, sizes, factor):
    """Nadeau & Bengio 2003: the variance is 1 + J n2 / n1 times that over rows."""
    pairs = tuple((np.arange(k), np.arange(k, n)) for k in sizes)
    assert error_inflation(Splits(pairs, refit=True)) == pytest.approx(factor)
    gain = np.random.default_rng(0).normal(1.0, 3.0, size=n)
    start = np.full(n, 10.0)
    for inflation, kept in ((1.0, 1), (factor * 10, 0)):
        judge = Judge(start, ExplainedVariance(10.0), 5, 0.0, inflation=inflation)
        judge.update(start - gain)
        assert judge.epoch_to_keep() == kept


@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_a_far_held_out_row_does_not_hide_the_gain_of_all_others(cls):
    X = load_digits().data
    train, test = X[:1000].copy(), X[1000:]
    train[0] = 0
    train[0, 20] = 8000
    cv = [(np.arange(100, 1000), np.arange(100))]
    model = cls(4, random_state=0, cv=cv, max_iter=30).fit(train)
    pca = Autoencoder(4, hidden_layer_sizes=()).fit(train)
    assert model.best_iteration_ > 0
    assert model.score(test) > pca.score(test) + 0.05
    assert model.score(train[:1]) > pca.score(train[:1]) - 0.01
