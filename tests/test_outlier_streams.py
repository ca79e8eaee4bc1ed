"""LatentOutlierDetector.partial_fit: thresholds that follow, in bounded memory."""

import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentOutlierDetector,
    SupervisedAutoencoder,
)
from sklatent.model import Oddness, OutlierStream, _neighbours, _outlier_stream
from sklatent.rows import _reservoir

LINEAR = Autoencoder(2, hidden_layer_sizes=())
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}


def plane(n, seed, shift=0.0):
    """Rows near a plane in six dimensions, always the same plane."""
    axes = np.random.RandomState(99).randn(2, 6)
    random = np.random.RandomState(seed)
    return shift + random.randn(n, 2) @ axes + 0.1 * random.randn(n, 6)


@pytest.fixture
def small_window(monkeypatch):
    monkeypatch.setattr(_outlier_stream, "MIN_WINDOW", 128)


def watch(X, detector=None, n_batch=128, **parameters):
    """Ask about each batch before the detector learns of it; return who was called."""
    if detector is None:
        detector = LatentOutlierDetector(LINEAR, random_state=0, **parameters)
        detector.partial_fit(X[:256])
        X = X[256:]
    called = []
    for first in range(0, len(X), n_batch):
        batch = X[first : first + n_batch]
        called.append(detector.predict(batch) == -1)
        detector.partial_fit(batch)
    return detector, np.concatenate(called)


# False alarms -----------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"contamination": 0.1}])
def test_share_of_false_alarms(parameters):
    shares = []
    for seed in range(4):
        called = watch(plane(2304, seed), n_batch=256, **parameters)[1]
        shares.append(called[512:].mean())
    error = np.std(shares, ddof=1) / np.sqrt(4)
    alpha = parameters.get("contamination", 0.05)
    assert np.mean(shares) <= alpha + 2 * error + 1e-9
    assert np.mean(shares) >= 0.7 * alpha


def test_a_drift_is_followed():
    X = np.concatenate([plane(1280, 0), plane(1792, 1, shift=4)])
    detector, called = watch(X)
    new = called[1280 - 256 :]
    assert called[: 1280 - 256].mean() < 0.08
    assert new[:100].mean() > 0.9
    assert new[640:].mean() < 0.08
    # And what is odd among the rows as they are now.
    off = 4 + np.random.RandomState(2).randn(300, 6)
    assert (detector.predict(off) == -1).mean() > 0.7


def test_a_burst_does_not_become_normal():
    """The second of two equal bursts is called as the first is."""
    X = plane(2600, 0)
    bursts = [slice(1000, 1100), slice(2400, 2500)]
    for seed, burst in enumerate(bursts):
        X[burst] = 6 + 0.3 * plane(100, seed)
    called = watch(X)[1]
    first, second = (
        called[burst.start - 256 : burst.stop - 256].mean() for burst in bursts
    )
    assert first > 0.6
    assert second > 0.6


@pytest.mark.parametrize(("n_odd", "least", "most"), [(400, 0, 0.1), (1100, 0.3, 1)])
def test_what_lasts_is_learned_from_and_a_burst_is_not(n_odd, least, most):
    """A burst may be more than half of the rows that calibrate, but not all of them."""
    X = plane(1600 + n_odd, 0)
    burst = slice(900, 900 + n_odd)
    X[burst] += 6
    detector, _ = watch(X)
    known = set(map(bytes, detector._stream.part.neighbours.rows))
    share = np.mean([bytes(row) in known for row in X[burst]])
    assert least <= share <= most


def test_nobody_has_seen_the_rows_that_calibrate():
    detector, _ = watch(plane(1400, 0))
    stream = detector._stream
    known = Counter(map(bytes, stream.part.neighbours.rows))
    assert len(stream.window) == 512
    assert not any(bytes(row) in known for row in stream.window.X)
    np.testing.assert_array_equal(
        detector.calibration_scores_, np.sort(stream.part.scores(stream.window.X))
    )
    # Of 513 exchangeable rows, those that calibrate and the one asked about.
    p = np.sort(detector.p_values(stream.window.X))
    np.testing.assert_allclose(p, np.arange(2, 514) / 513)


def test_more_rows_calibrate_where_alpha_requires_it():
    detector = LatentOutlierDetector(LINEAR, alpha=1e-3, random_state=0)
    detector.partial_fit(plane(300, 0))
    far = 100 + plane(2, 1)
    assert detector.offset_ == -np.inf
    assert (detector.predict(far) == 1).all()
    detector.partial_fit(plane(1300, 2))
    assert len(detector.calibration_scores_) == 999
    assert (detector.predict(far) == -1).all()


# Memory, batches, state -------------------------------------------------------------


def n_bytes(detector):
    return len(pickle.dumps(detector))


def test_memory_is_bounded(small_window, monkeypatch):
    monkeypatch.setattr(_neighbours, "MAX_RECENT", 400)
    monkeypatch.setattr(_reservoir, "MAX_ROWS", 400)  # that of the encoder
    detector, _ = watch(plane(1280, 0))
    before = n_bytes(detector)
    watch(plane(1280, 1), detector, n_batch=1280)
    assert n_bytes(detector) < 1.02 * before
    assert len(detector.encoders_) == 1
    assert len(detector._stream.part.neighbours.rows) == 400
    assert len(detector.calibration_scores_) == 128
    assert detector.n_samples_seen_ == 2560


def test_it_makes_no_difference_in_which_calls_rows_come(small_window):
    X, new = plane(700, 0), plane(50, 1)
    encoder = Autoencoder(2, **QUICK)
    detectors = []
    for sizes in ([1] * 270 + [430], [700], [255, 2, 130, 300, 13]):
        detector = LatentOutlierDetector(encoder, random_state=0)
        for batch in np.split(X, np.cumsum(sizes)[:-1]):
            detector.partial_fit(batch)
        detectors.append(detector)
    first, *others = detectors
    for other in others:
        np.testing.assert_array_equal(
            first.score_samples(new), other.score_samples(new)
        )
        np.testing.assert_array_equal(first.p_values(new), other.p_values(new))
        assert other.n_samples_seen_ == 700
    fitted = first.encoders_[0].n_samples_seen_
    assert 204 + 128 <= fitted < 700 - 128
    again = pickle.loads(pickle.dumps(first)).partial_fit(X[:500])
    np.testing.assert_array_equal(
        again.score_samples(new), other.partial_fit(X[:500]).score_samples(new)
    )


def test_it_goes_on_from_fit_and_fit_begins_anew():
    X, new = plane(1000, 0), plane(50, 1)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    before, window = detector.score_samples(new), detector._stream.window
    assert len(window) == 100  # held out by fit
    detector.partial_fit(X[:100])  # which wait
    np.testing.assert_array_equal(detector.score_samples(new), before)
    detector.partial_fit(plane(500, 2))
    assert not np.array_equal(detector.score_samples(new), before)
    assert len(detector.calibration_scores_) == 512
    assert detector.n_samples_seen_ == 1600
    np.testing.assert_array_equal(detector.fit(X).score_samples(new), before)
    assert detector.n_samples_seen_ == 1000
    assert (detector.fit_predict(X) == detector.predict(X)).all()
    assert not hasattr(clone(detector), "_stream")


def test_rows_are_waited_for():
    detector = LatentOutlierDetector(Autoencoder(2, **QUICK), random_state=0)
    detector.partial_fit(plane(255, 0))
    with pytest.raises(NotFittedError):
        detector.predict(plane(2, 0))
    with pytest.raises(ValueError, match="5 features"):
        detector.partial_fit(plane(2, 0)[:, :5])
    detector.partial_fit(plane(1, 1))
    assert detector.n_samples_seen_ == 256
    assert detector.predict(plane(2, 0)).shape == (2,)


def test_explanations_add_up_between_batches():
    """Also where a feature has become ten times as wide as it was for the encoder."""
    wide = plane(1200, 1) * [10, 1, 1, 1, 1, 1]
    detector, _ = watch(np.concatenate([plane(300, 0), wide]))
    new = wide[:20] + 3 * np.eye(6)[np.arange(20) % 6]
    shares = detector.explain(new)
    gain = detector.score_samples(detector.explanation_baseline(new))
    gain -= detector.score_samples(new)
    np.testing.assert_allclose(shares.sum(axis=1), gain, rtol=1e-9)


def test_distances_are_in_the_units_of_recent_rows():
    constant = np.column_stack([plane(300, 0), np.ones(300)])
    varied = np.column_stack([plane(3000, 1), 1e6 * plane(3000, 2)[:, 0]])
    detector, _ = watch(np.concatenate([constant, varied]), n_batch=2000)
    odd = varied[:50].copy()
    odd[:, 0] += 3
    assert (detector.predict(odd) == -1).mean() > 0.5


@pytest.mark.parametrize("encoder", [DenoisingAutoencoder, SupervisedAutoencoder])
def test_other_encoders(encoder, small_window):
    X = plane(700, 0)
    y = np.where(X[:, 0] > 0, "a", "b")
    detector = LatentOutlierDetector(encoder(2, **QUICK), random_state=0)
    for some in (slice(0, 400), slice(400, 700)):
        detector.partial_fit(X[some], y[some])
    assert (detector.predict(6 + plane(20, 1)) == -1).all()
    assert detector._stream.n_taken_in == 416  # 13 blocks after the first rows


# Errors -----------------------------------------------------------------------------


def test_targets_are_checked_before_rows_wait():
    X = plane(300, 0)
    y = np.where(X[:, 0] > 0, "a", "b")
    detector = LatentOutlierDetector(SupervisedAutoencoder(2, **QUICK), random_state=0)
    with pytest.raises(ValueError, match="requires y to be passed, but y is None"):
        detector.partial_fit(X)
    with pytest.raises(ValueError, match=r"300 rows, but y has the shape \(3,\)"):
        detector.partial_fit(X, y[:3])
    detector.partial_fit(X, y)
    with pytest.raises(ValueError, match="c"):
        detector.partial_fit(X[:2], np.array(["a", "c"]))
    detector.partial_fit(X[:2], y[:2])
    assert detector.n_samples_seen_ == 302


def test_what_is_not_offered():
    detector = LatentOutlierDetector(Autoencoder(0.9))
    assert not hasattr(detector, "partial_fit")
    with pytest.raises(ValueError, match="partial_fit requires an int"):
        detector.partial_fit(plane(300, 0))


@pytest.mark.parametrize(
    ("owner", "method"),
    [(Autoencoder, "partial_fit"), (Oddness, "scores"), (OutlierStream, "with_rows")],
)
def test_an_interrupted_call_changes_nothing(owner, method, small_window, monkeypatch):
    X, new = plane(700, 0), plane(20, 1)
    detector = LatentOutlierDetector(Autoencoder(2, **QUICK), random_state=0)
    detector.partial_fit(X[:400])
    before = detector.score_samples(new)
    real, n_calls = getattr(owner, method), []

    def interrupted(self, *args):
        result = real(self, *args)
        n_calls.append(1)
        if len(n_calls) == (3 if method == "scores" else 1):
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        detector.partial_fit(X[400:])
    monkeypatch.setattr(owner, method, real)
    np.testing.assert_array_equal(detector.score_samples(new), before)
    assert detector.n_samples_seen_ == 400
    once = LatentOutlierDetector(Autoencoder(2, **QUICK), random_state=0)
    once.partial_fit(X)
    np.testing.assert_array_equal(
        detector.partial_fit(X[400:]).score_samples(new), once.score_samples(new)
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"alpha": 0}, "'alpha' .* Got 0"), ({"n_neighbors": 0}, "'n_neighbors' .* 0")],
)
def test_bad_parameters_and_rows(parameters, message):
    detector = LatentOutlierDetector(LINEAR, random_state=0)
    detector.partial_fit(plane(400, 0))
    bad = plane(400, 1)
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        detector.partial_fit(bad)
    with pytest.raises(ValueError, match=message):
        clone(detector).set_params(**parameters).partial_fit(plane(400, 1))
    with pytest.raises(ValueError, match=message):
        detector.set_params(**parameters).partial_fit(plane(400, 1))
    assert detector.n_samples_seen_ == 400


def test_equal_rows():
    detector = LatentOutlierDetector(LINEAR, random_state=0)
    X = np.repeat(plane(3, 0), 500, axis=0)
    X = X[np.random.RandomState(0).permutation(len(X))]
    detector.partial_fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert (detector.predict(X) == 1).mean() > 0.9
    assert (detector.predict(X[:5] + 1) == -1).all()
