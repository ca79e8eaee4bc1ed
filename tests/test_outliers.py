"""LatentOutlierDetector: scores, p-values, explanations, and scikit-learn's checks."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentOutlierDetector,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.model import Calibration, Neighbours, integrated_gradients

LINEAR = Autoencoder(hidden_layer_sizes=())
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
DETECTORS = [
    LatentOutlierDetector(LINEAR),
    LatentOutlierDetector(
        Autoencoder(1, early_stopping=False, **QUICK), contamination=0.1, n_neighbors=2
    ),
]
# Some checks fit a handful of rows.
few_rows = pytest.mark.filterwarnings("ignore:alpha=0.05 requires 19 held-out rows")


@few_rows
@parametrize_with_checks(DETECTORS[:1])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@few_rows
@parametrize_with_checks(DETECTORS[1:])
def test_scikit_learn_with_a_network(estimator, check):
    check(estimator)


@few_rows
@pytest.mark.filterwarnings(
    "ignore:X (does not have valid|has) feature names:UserWarning"
)
@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
    ],
)
@pytest.mark.parametrize("estimator", DETECTORS, ids=repr)
def test_left_out(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


def plane(n, seed, noise=0.1):
    """Rows near a plane in six dimensions, always the same plane."""
    axes = np.random.RandomState(99).randn(2, 6)
    random = np.random.RandomState(seed)
    return random.randn(n, 2) @ axes + noise * random.randn(n, 6)


def odd(n, seed):
    """Rows off that plane, no farther from the mean than others."""
    return np.random.RandomState(seed).randn(n, 6)


# The parts --------------------------------------------------------------------------


def sample(n=300, width=2):
    rows = np.random.RandomState(0).randn(n, width)
    return rows, Neighbours(rows, rows, 5, np.random.RandomState(1))


@pytest.mark.parametrize("width", [2, 9])  # by a tree, and by a look at all
def test_scores_are_mean_distances_at_all_densities(width):
    _, neighbours = sample(width=width)
    new = np.random.RandomState(2).randn(7, width)

    def distances(rows, size, k, skip=0):
        all_of_them = np.linalg.norm(rows[:, None] - neighbours.points[:size], axis=2)
        return np.sort(all_of_them, axis=1)[:, skip : k + skip].mean(axis=1)

    expected = np.zeros(7)
    for size, k in ((300, 1), (300, 5), (87, 5), (25, 5)):  # 300 / 12 ** (l / 2)
        own = distances(neighbours.points[:size], size, k, skip=1)
        others = distances(neighbours.points[size:], size, k)
        usual = np.concatenate([own, others])
        expected += distances(new, size, k) / (np.median(usual) + 1e-3 * usual.mean())
    expected /= 4
    np.testing.assert_allclose(neighbours.scores(new, new), expected, rtol=1e-6)


def test_a_row_is_not_its_own_neighbour():
    rows, neighbours = sample()
    own = neighbours.own(rows, rows)
    for level, found in zip(neighbours.nearest(rows, rows), own, strict=True):
        assert not (level == found[:, None]).any()
        assert np.array_equal(neighbours.rows[found[found >= 0]], rows[found >= 0])
    assert (own[0] >= 0).all()
    # Of two equal rows one is left out, and the other is a neighbour at distance 0.
    twice = np.concatenate([rows, rows[:1]])
    neighbours = Neighbours(twice, twice, 1, np.random.RandomState(1))
    (near, *_) = neighbours.nearest(rows[:1], rows[:1])
    assert np.array_equal(neighbours.rows[near[0, 0]], rows[0])


def test_derivatives_of_scores():
    _, neighbours = sample()
    new = np.random.RandomState(2).randn(5, 2)
    own = neighbours.own(new, new)
    gradient = neighbours.scores_and_gradients(new, own)[1]
    for j, step in enumerate(1e-6 * np.eye(2)):
        up, down = (neighbours.scores(new + s, new + s) for s in (step, -step))
        np.testing.assert_allclose(gradient[:, j], (up - down) / 2e-6, atol=1e-5)


@pytest.mark.parametrize("n_parts", [1, 3])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.29])
def test_p_values_and_distances_by_their_definition(n_parts, alpha):
    random = np.random.RandomState(0)
    known = tuple(np.sort(random.rand(33)) + k for k in range(n_parts))
    calibration = Calibration(known, alpha)
    new = 1.5 * random.rand(200, n_parts) + np.arange(n_parts)
    as_odd = sum((known[k] >= new[:, [k]]).sum(axis=1) for k in range(n_parts))
    p = calibration.p_values(new)
    np.testing.assert_array_equal(p, (1 + as_odd) / (33 * n_parts + 1))
    distances, weights = calibration.distances(new)
    np.testing.assert_array_equal(distances > 1, p <= alpha)
    assert 0 < (p <= alpha).mean() < 1
    # Divided by its distance a row is on the line: no more, and the p-value is higher.
    on_the_line = new / distances[:, None]
    assert (calibration.p_values(on_the_line / 1.0001) > alpha).all()
    assert (calibration.p_values(on_the_line * 1.0001) <= alpha).all()
    more = calibration.distances(new + 1e-7)[0]
    np.testing.assert_allclose((more - distances) / 1e-7, weights.sum(1), rtol=1e-4)


def test_p_values_of_one_part_are_exact():
    """Of 20 exchangeable rows each is the new one once: one has p at most 1/20."""
    scores = np.random.RandomState(0).rand(20)
    p = []
    for i in range(20):
        others = Calibration((np.sort(np.delete(scores, i)),), 0.05)
        p.append(others.p_values(scores[i, None, None]))
    np.testing.assert_allclose(np.sort(np.ravel(p)), np.arange(1, 21) / 20)


def test_integrated_gradients_of_a_quadratic():
    """x' A x from b on: (x - b) times the derivative half way."""
    random = np.random.RandomState(0)
    A = random.randn(4, 4)
    X, baseline = random.randn(6, 4), random.randn(6, 4)
    found = integrated_gradients(
        lambda x, rows: (np.einsum("ni,ij,nj->n", x, A, x), x @ (A + A.T)), baseline, X
    )
    expected = (X - baseline) * ((X + baseline) / 2 @ (A + A.T))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_integrated_gradients_say_what_they_missed():
    def step(x, rows):
        return (x[:, 0] > 0.5).astype(float), np.zeros(x.shape)

    with pytest.warns(UserWarning, match="1 of 2 rows missed their sum by up to 1"):
        found = integrated_gradients(step, np.zeros((2, 3)), np.diag([1.0, 2.0, 3])[:2])
    np.testing.assert_allclose(found.sum(axis=1), [1, 0])


# The detector -----------------------------------------------------------------------


def test_rows_off_the_plane_are_found():
    X, new = plane(300, 0), np.concatenate([plane(200, 1), odd(200, 1)])
    truth = np.repeat([0, 1], 200)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    assert roc_auc_score(truth, -detector.score_samples(new)) > 0.98
    assert [encoder.n_components_ for encoder in detector.encoders_] == [2] * 5
    assert detector.offset_ == -1
    p = detector.p_values(new)
    np.testing.assert_array_equal(detector.predict(new) == -1, p <= 0.05)
    called = false_discovery_control(p) <= 0.1
    assert called[truth == 1].mean() > 0.8
    assert called[truth == 0].mean() < 0.1


@pytest.mark.parametrize("n", [200, 900])  # folds, and one held-out part
def test_share_of_false_alarms(n):
    shares = [
        (
            LatentOutlierDetector(LINEAR, random_state=seed)
            .fit(plane(n, seed))
            .predict(plane(500, 100 + seed))
            < 0
        ).mean()
        for seed in range(20)
    ]
    error = np.std(shares, ddof=1) / np.sqrt(20)
    assert np.mean(shares) <= 0.05 + 2 * error
    assert np.mean(shares) >= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
def test_share_of_false_alarms_of_a_trained_encoder(n):
    """Held-out rows of the encoder are none of the detector's."""
    encoder = Autoencoder(2, hidden_layer_sizes=(32,), max_iter=20)
    shares = []
    for seed in range(20):
        X, new = (np.tanh(plane(m, s)) for m, s in ((n, seed), (500, 100 + seed)))
        encoder.set_params(random_state=seed)
        detector = LatentOutlierDetector(encoder, random_state=seed).fit(X)
        shares.append((detector.predict(new) < 0).mean())
    error = np.std(shares, ddof=1) / np.sqrt(20)
    assert np.mean(shares) <= 0.05 + 2 * error


def test_held_out_rows_are_seen_by_nobody():
    X = plane(900, 0)
    known, held_out = np.arange(700), np.arange(700, 900)
    detector = LatentOutlierDetector(LINEAR, cv=[(known, held_out)], random_state=0)
    detector.fit(X)
    assert detector.encoders_[0].n_samples_ == 700
    scores = np.sort(detector.score_samples(X[held_out]))
    assert scores[9] == -1  # 10 of 201 are at least as odd
    np.testing.assert_allclose(
        np.sort(detector.p_values(X[held_out])), np.arange(2, 202) / 201
    )
    changed = X.copy()
    changed[held_out] = odd(200, 0)  # of which the rest knows nothing
    other = clone(detector).fit(changed)
    ratio = other.score_samples(X) / detector.score_samples(X)
    np.testing.assert_allclose(ratio, ratio[0])
    assert ratio[0] < 0.9


def test_rows_of_a_group_are_held_out_together():
    X = plane(200, 0)
    groups = np.repeat(np.arange(40), 5)
    seen = []

    class Watching(Autoencoder):
        def fit(self, X, y=None, *, groups=None):
            seen.append(set(groups))
            return super().fit(X, y, groups=groups)

    encoder = Watching(2, hidden_layer_sizes=())
    LatentOutlierDetector(encoder, random_state=0).fit(X, groups=groups)
    assert [len(found) for found in seen] == [32] * 5
    assert not set.intersection(*seen)


def test_a_given_contamination_is_called_and_left_out():
    """Outliers that are near to each other hide, until they are left out."""
    X = np.concatenate([plane(270, 0), 5 + 0.5 * odd(30, 1)])
    truth = np.repeat([0, 1], [270, 30])
    detector = LatentOutlierDetector(LINEAR, contamination=0.1, random_state=0)
    np.testing.assert_array_equal(detector.fit_predict(X) == -1, truth)
    assert [encoder.n_samples_ for encoder in detector.encoders_] == [216] * 5
    new = np.concatenate([plane(200, 2), 5 + 0.5 * odd(50, 3)])
    truth = np.repeat([0, 1], [200, 50])
    area = roc_auc_score(truth, -detector.score_samples(new))
    detector.set_params(contamination="auto").fit(X)
    assert area > roc_auc_score(truth, -detector.score_samples(new)) > 0.98


def test_too_few_rows_to_call_one():
    X = plane(15, 0)
    with pytest.warns(UserWarning, match="alpha=0.05 requires 19 held-out rows .* 15"):
        detector = LatentOutlierDetector(LINEAR).fit(X)
    assert detector.offset_ == -np.inf
    assert (detector.predict(odd(50, 0) * 100) == 1).all()
    assert detector.p_values(X).min() >= 1 / 16
    with pytest.warns(UserWarning, match="there are 0"):
        detector.fit(X[:5])
    assert detector.score_samples(odd(1, 0) * 100) < detector.score_samples(X).min()
    detector = LatentOutlierDetector(LINEAR, contamination=0.2).fit(X[:5])  # no warning
    assert (detector.predict(X[:5]) == -1).sum() == 1


@pytest.mark.parametrize(
    "encoder",
    [
        Autoencoder(encoder=None, **QUICK),
        DenoisingAutoencoder(2, **QUICK),
        VariationalAutoencoder(2, **QUICK),
        SupervisedAutoencoder(2, **QUICK),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_all_encoders(encoder):
    X = plane(100, 0)
    detector = LatentOutlierDetector(encoder, random_state=0).fit(X, X[:, 0] > 0)
    new = odd(20, 1)
    assert (
        roc_auc_score(
            np.repeat([0, 1], 20),
            -detector.score_samples(np.concatenate([plane(20, 1), new])),
        )
        > 0.8
    )
    shares = detector.explain(new)
    gain = detector.score_samples(detector.explanation_baseline(new))
    gain -= detector.score_samples(new)
    np.testing.assert_allclose(shares.sum(axis=1), gain, rtol=1e-9)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.explain(new), shares)


# Explanations -----------------------------------------------------------------------


def test_what_has_been_changed_is_to_blame():
    X, new = plane(1000, 0), plane(60, 1)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    cells = np.arange(60) % 6
    new[np.arange(60), cells] += 3
    shares = detector.explain(new)
    assert (shares.argmax(axis=1) == cells).mean() > 0.8


def test_derivatives_through_a_network():
    X, new = np.tanh(plane(100, 0)), odd(4, 0)
    encoder = Autoencoder(2, early_stopping=False, **QUICK)
    detector = LatentOutlierDetector(encoder, random_state=0).fit(X)
    part = detector._parts[0]
    own = part.own(new)
    scores, gradient = part.scores_and_gradients(new, own)
    np.testing.assert_allclose(scores, part.scores(new), rtol=1e-9)
    for j, step in enumerate(1e-6 * np.eye(6)):
        slope = (part.scores(new + step) - part.scores(new - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], slope, atol=1e-5)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_explanations_keep_names(frame):
    names = list("abcdef")
    X = frame(dict(zip(names, plane(60, 0).T, strict=True)))
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    shares = detector.explain(X[:5])
    assert isinstance(shares, frame)
    assert list(shares.columns) == names
    assert shares.shape == (5, 6)


# In scikit-learn --------------------------------------------------------------------


def test_in_a_pipeline_and_a_grid_search():
    X = np.concatenate([plane(180, 0), odd(20, 1)])
    y = np.repeat([1, -1], [180, 20])
    detector = LatentOutlierDetector(LINEAR, random_state=0)
    model = make_pipeline(StandardScaler(), detector)
    search = GridSearchCV(
        model,
        {
            "latentoutlierdetector__n_neighbors": [2, 5],
            "latentoutlierdetector__encoder__n_components": [1, 2],
        },
        cv=KFold(2, shuffle=True, random_state=0),
        scoring="roc_auc",
    )
    search.fit(X, y)
    assert search.best_params_["latentoutlierdetector__encoder__n_components"] == 2
    assert search.best_score_ > 0.9
    assert set(search.predict(X)) == {-1, 1}


def test_the_same_seed_gives_the_same():
    X = plane(60, 0)
    detector = LatentOutlierDetector(Autoencoder(2, **QUICK), random_state=3).fit(X)
    again = clone(detector).fit(X)
    np.testing.assert_array_equal(detector.score_samples(X), again.score_samples(X))
    other = clone(detector).set_params(random_state=4).fit(X)
    assert not np.array_equal(detector.score_samples(X), other.score_samples(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"encoder": PCA()}, "'encoder' parameter .* must be an instance of"),
        ({"contamination": 0.6}, "'contamination' .* Got 0.6"),
        ({"alpha": 0}, "'alpha' .* Got 0"),
        ({"n_neighbors": 0}, "'n_neighbors' .* Got 0"),
        ({"encoder": Autoencoder(0.5, max_iter=0)}, "'max_iter' .* Got 0"),
    ],
)
def test_bad_parameters(parameters, message):
    X = plane(60, 0)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    before = detector.score_samples(X)
    with pytest.raises(ValueError, match=message):
        detector.set_params(**parameters).fit(X[:30])
    np.testing.assert_array_equal(detector.score_samples(X), before)


def test_bad_rows():
    X = plane(60, 0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LatentOutlierDetector(LINEAR).fit(X, np.zeros(3))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LatentOutlierDetector(LINEAR).fit(X, groups=np.zeros(3))
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    for method in (detector.p_values, detector.explain, detector.explanation_baseline):
        with pytest.raises(ValueError, match="X has 5 features"):
            method(X[:, :5])


def test_constant_features_and_equal_rows():
    X = np.column_stack([plane(60, 0).round(), np.ones(60)])
    X = np.repeat(X, 2, axis=0)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[::2], scores[1::2])
    other = X[:1] + np.eye(7)[-1]
    assert detector.score_samples(other) < detector.score_samples(X[:1])
    with pytest.warns(UserWarning, match="there are 0"):
        detector.fit(np.ones((30, 3)))
    assert np.isfinite(detector.score_samples(np.ones((2, 3)))).all()


def test_rows_of_any_size():
    X, new = plane(100, 0), odd(20, 1)
    detector = LatentOutlierDetector(LINEAR, random_state=0).fit(X)
    scores = detector.score_samples(new)
    for size in (1e-200, 1e200):
        scaled = clone(detector).fit(size * X)
        np.testing.assert_allclose(scaled.score_samples(size * new), scores, rtol=1e-6)
    far = detector.score_samples(np.array([[1e10], [1e300]]) * X[:1])
    assert np.isfinite(far).all()
    assert far[1] < far[0] < scores.min()
