"""The rule by which held-out rows choose the state."""

import numpy as np
import pytest

from sklatent.plan import choose_splits
from sklatent.problems import ExplainedVariance, LogLikelihood
from sklatent.training import Judge


def judge(start, *epochs, patience=3, tol=0.01):
    result = Judge(np.asarray(start, float), ExplainedVariance(50.0), patience, tol)
    for errors in epochs:
        result.update(np.asarray(errors, float))
    return result


def test_splits():
    splits = choose_splits(2000, "auto", 0.1, 0, good_start=True)
    ((train, held_out),) = splits.pairs
    assert len(held_out) == 200
    assert sorted([*train, *held_out]) == list(range(2000))
    assert not splits.refit

    splits = choose_splits(100, "auto", 0.1, 0, good_start=True)
    assert splits.refit
    assert len(splits.pairs) == 5
    everyone = np.concatenate([held_out for _, held_out in splits.pairs])
    assert sorted(everyone) == list(range(100))

    splits = choose_splits(100, True, 0.25, 0, good_start=True)
    assert not splits.refit
    assert len(splits.pairs[0][1]) == 25

    for n in (9, 2000):
        splits = choose_splits(n, False, 0.1, 0, good_start=True)
        assert splits.refit
        assert not splits.pairs
    assert not choose_splits(9, "auto", 0.1, 0, good_start=True).refit
    assert choose_splits(9, "auto", 0.1, 0, good_start=False).refit


def test_scores():
    assert judge([5, 5], [3, 1]).scores == [0.9, 0.96]


def test_the_best_epoch_is_kept():
    assert judge([5, 5, 5], [4, 4, 5], [2, 1, 2], [3, 3, 3]).epoch_to_keep() == 2


def test_a_gain_within_its_error_is_none():
    # The mean gain is 1 in both; its standard error 0 and 3.
    assert judge([5, 5, 5], [4, 4, 4]).epoch_to_keep() == 1
    assert judge([5, 5, 5], [-2, 7, 7]).epoch_to_keep() == 0


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
        result = judge([5, 5, 5], [3, 3, 4], [bad, 1, 1])
        assert result.should_stop
        assert result.epoch_to_keep() == 1


def test_exact_start():
    assert judge([0, 1e-9]).is_exact
    assert not judge([0, 1e-3]).is_exact


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_sides_keep_two_rows(fraction):
    ((train, held_out),) = choose_splits(12, True, fraction, 0, good_start=True).pairs
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
