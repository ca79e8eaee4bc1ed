"""The latent size by cells held out, of any transformer, and metadata on its way."""

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn import config_context, datasets
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import (
    NMF,
    PCA,
    FactorAnalysis,
    FastICA,
    KernelPCA,
    TruncatedSVD,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import scale

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    LatentSizeDisplay,
    VariationalAutoencoder,
)
from sklatent.model import HiddenCells
from sklatent.model._hidden_cells import group_numbers, least_squares_fill

mpl.use("Agg")
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}


def low_rank(n, p, rank, seed, noise=1.0):
    """Rows of a known rank, plus noise of one variance."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p))
    return signal + noise * rng.standard_normal((n, p))


def exact(estimator, sizes, **params):
    return LatentSizeCV(estimator, sizes, **{"method": "exact", "cv": 3, **params})


# Hidden cells --------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 3, 8, 13, 30])
def test_each_feature_is_hidden_once_in_groups_of_one_size(p):
    groups = group_numbers(p)
    counts = np.bincount(groups)
    assert groups.shape == (p,)
    assert len(counts) == min(p, 8)
    assert counts.max() - counts.min() <= 1
    assert_array_equal(groups, group_numbers(p))


def test_the_least_squares_fill_is_the_fixed_point_of_a_projection():
    X = low_rank(60, 12, 3, 0)
    pca = PCA(3).fit(X)
    groups = group_numbers(12)
    filled = least_squares_fill(X, pca.mean_, pca.components_, groups)
    for group in range(8):
        hidden = groups == group
        x = np.where(hidden, pca.mean_, X)
        for _ in range(2000):
            x[:, hidden] = pca.inverse_transform(pca.transform(x))[:, hidden]
        assert_allclose(filled[:, hidden], x[:, hidden], atol=1e-8)


def test_the_score_of_pca_is_that_of_bro_and_others():
    X = low_rank(90, 12, 3, 1)
    train, test = X[:60], 0.4 * X[60:]  # no fill beyond the training rows
    pca = PCA(3).fit(train)
    P, mean = pca.components_, train.mean(axis=0)
    left = 0.0
    for group in range(8):
        hidden = group_numbers(12) == group
        visible = P[:, ~hidden]
        z = (test - mean)[:, ~hidden] @ visible.T @ np.linalg.inv(visible @ visible.T)
        fill = (mean + z @ P)[:, hidden]
        left += np.square(test[:, hidden] - fill).sum()
    expected = 1 - left / np.square(test - mean).sum()
    for model in (pca, Autoencoder(3, hidden_layer_sizes=()).fit(train)):
        assert_allclose(HiddenCells.of(model, train).score(model, test), expected)
    ours = exact(PCA(svd_solver="full"), [3]).fit(X)
    folds = [
        HiddenCells.of(m, X[a]).score(m, X[b])
        for a, b in KFold(3).split(X)
        for m in [PCA(3).fit(X[a])]
    ]
    assert_allclose(ours.best_score_, np.mean(folds))
    assert_allclose(ours.score(test), HiddenCells.of(pca.fit(X), X).score(pca, test))


class Angle(TransformerMixin, BaseEstimator):
    """The angle of points that are twice on the unit circle."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.arctan2(X[:, [1]] + X[:, [3]], X[:, [0]] + X[:, [2]])

    def inverse_transform(self, Z):
        return np.column_stack([np.cos(Z), np.sin(Z)] * 2)


def test_a_curved_model_fills_cells_on_its_curve():
    angle = np.random.default_rng(0).uniform(-np.pi, np.pi, (200, 1))
    model = Angle()
    X = model.inverse_transform(angle)
    cells = HiddenCells.of(model, X)
    start = least_squares_fill(X, cells.offset, cells.loadings, group_numbers(4))
    assert 1 - np.square(X - start).sum() / np.square(X - X.mean(0)).sum() < 0.5
    assert cells.score(model, X) > 0.95


def test_no_cell_is_filled_beyond_the_training_rows():
    X = scale(datasets.load_wine().data)
    pca = PCA(11).fit(X[::2])
    cells = HiddenCells.of(pca, X[::2])
    free = least_squares_fill(X, cells.offset, cells.loadings, group_numbers(13))
    assert np.abs(free).max() > 20
    filled = cells.fill(pca, X)
    assert (filled >= X[::2].min(axis=0)).all()
    assert (filled <= X[::2].max(axis=0)).all()


@pytest.mark.parametrize("unit", [1e-180, 1e180])
def test_hidden_cells_of_any_magnitude(unit):
    X = low_rank(60, 6, 2, 0)
    expected = HiddenCells.of(pca := PCA(2).fit(X), X).score(pca, X)
    model = Autoencoder(2, hidden_layer_sizes=()).fit(X * unit)
    assert_allclose(HiddenCells.of(model, X * unit).score(model, X * unit), expected)


def test_hidden_cells_of_equal_rows_and_of_float32():
    X = np.full((20, 3), 7.0)
    model = Autoencoder(2, **QUICK).fit(X)
    cells = HiddenCells.of(model, X)
    assert cells.score(model, X) == 1
    assert cells.score(model, X + 1) == pytest.approx(0)
    X = low_rank(60, 6, 2, 0).astype(np.float32)
    pca = PCA(2).fit(X)
    assert HiddenCells.of(pca, X).fill(pca, X).dtype == np.float32


@pytest.mark.parametrize("rank", [3, 5, 8])
@pytest.mark.parametrize(("n", "p"), [(150, 20), (300, 40)])
def test_the_true_rank_of_low_rank_rows_is_chosen(rank, n, p):
    X = low_rank(n, p, rank, rank)
    for rule in ("best", "one_standard_error"):
        ours = exact(PCA(), np.arange(1, 13), rule=rule, cv=5, refit=False)
        assert ours.fit(X).best_n_components_ == rank


@pytest.mark.parametrize(
    "cls", [Autoencoder, pytest.param(DenoisingAutoencoder, marks=pytest.mark.slow)]
)
def test_autoencoders_find_the_true_rank(cls):
    X = low_rank(200, 20, 5, 0)
    for rule in ("best", "one_standard_error"):
        ours = LatentSizeCV(cls(**QUICK), np.arange(2, 9), rule=rule, cv=3).fit(X)
        assert ours.scoring_ == "hidden_cells"
        assert ours.best_n_components_ == 5
        assert ours.linear_scores_.mean(axis=1).argmax() == 3


def test_linear_scores_are_those_of_pca_by_the_same_rule():
    X = low_rank(120, 10, 3, 0)
    ours = LatentSizeCV(Autoencoder(**QUICK), [1, 3, 6], cv=3, refit=False).fit(X)
    expected = exact(PCA(), [1, 3, 6], refit=False).fit(X).cv_results_
    for i in range(3):
        scores = ours.linear_scores_[:, i]
        assert_allclose(scores, expected[f"split{i}_test_score"], rtol=1e-6)


def test_breast_cancer_is_reduced():
    X = scale(datasets.load_breast_cancer().data)
    sizes = [1, 2, 4, 8, 16, 30]
    by_rows = exact(PCA(), sizes, scoring=explained, rule="best").fit(X)
    assert by_rows.best_n_components_ == 30
    assert exact(PCA(), sizes, rule="best").fit(X).best_n_components_ in (8, 16)


def explained(model, X, y=None):
    """Score whole rows."""
    left = np.square(X - model.inverse_transform(model.transform(X))).sum()
    return 1 - left / np.square(X - model.mean_).sum()


@pytest.mark.parametrize("rule", ["best", "one_standard_error"])
@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).standard_normal((60, 10)),
        datasets.load_wine().data,  # proline has nearly all variance
    ],
)
def test_where_no_latent_fills_cells_the_smallest_size_is_chosen(X, rule):
    p = X.shape[1]
    ours = exact(PCA(), [1, 2, p], rule=rule).fit(X)
    means = ours.cv_results_["mean_test_score"]
    assert (means[:2] < 0).all()
    assert means[2] == pytest.approx(0)
    assert ours.best_n_components_ == 1


@pytest.mark.parametrize(
    ("estimator", "final", "expected"),
    [
        (Autoencoder(), None, "hidden_cells"),
        (DenoisingAutoencoder(), None, "hidden_cells"),
        (PCA(), None, "hidden_cells"),
        (VariationalAutoencoder(), None, "score"),
        (FactorAnalysis(), None, "score"),
        (PLSRegression(), None, "score"),
        (PCA(), Ridge(), "score"),
    ],
)
def test_what_is_scored_by_default(estimator, final, expected):
    X = low_rank(40, 5, 2, 0)
    if "max_iter" in estimator.get_params() and hasattr(estimator, "ordered"):
        estimator.set_params(**QUICK)
    ours = exact(estimator, [1, 2], final_estimator=final, cv=2).fit(X, X[:, 0])
    assert ours.scoring_ == expected
    assert np.isfinite(ours.best_score_)


def test_each_fold_prints_a_line(capsys):
    X = low_rank(40, 5, 2, 0)
    exact(PCA(), [1, 2], scoring="score", cv=2, verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for i, line in enumerate(lines, 1):
        assert line.startswith(
            f"[LatentSizeCV] fold {i}/2: n_components=2 scores best, "
        )


def test_hidden_cells_that_cannot_be_scored():
    X = low_rank(40, 5, 2, 0)
    with pytest.raises(ValueError, match="requires final_estimator=None"):
        exact(PCA(), [1], scoring="hidden_cells", final_estimator=Ridge()).fit(X, X)
    with pytest.raises(ValueError, match="inverse_transform, which FactorAnalysis"):
        exact(FactorAnalysis(), [1], scoring="hidden_cells").fit(X)


def test_the_display_says_what_is_scored():
    X = low_rank(40, 5, 2, 0)
    for scoring, expected in ((None, "hidden cells"), ("score", "cross-validated")):
        found = exact(PCA(), [1, 2], scoring=scoring).fit(X)
        display = LatentSizeDisplay.from_estimator(found)
        assert expected in display.ax_.get_ylabel()
    plt.close("all")


# Any transformer, sparse rows, frames ---------------------------------------------


@pytest.mark.filterwarnings("ignore:Maximum number of iterations 50 reached")
@pytest.mark.parametrize(
    "estimator",
    [
        PCA(),
        TruncatedSVD(),
        NMF(max_iter=50),
        KernelPCA(kernel="rbf", gamma=0.01, fit_inverse_transform=True),
        FastICA(tol=0.1, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_any_transformer(estimator):
    X = np.abs(low_rank(90, 8, 3, 0))
    ours = exact(estimator, [1, 2, 3]).fit(X)
    assert ours.linear_scores_ is None
    assert np.isfinite(ours.cv_results_["mean_test_score"]).all()
    assert ours.transform(X).shape == (90, ours.best_n_components_)
    assert ours.inverse_transform(ours.transform(X)).shape == X.shape
    assert -1 < ours.score(X) < 1


@pytest.mark.parametrize(
    "container", [csr_array, pytest.param(csr_matrix, marks=pytest.mark.slow)]
)
def test_sparse_rows(container):
    X, y = datasets.load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    sparse = container(X)
    svd = TruncatedSVD(algorithm="arpack", random_state=0)
    ours, dense = (exact(svd, [2, 8]).fit(rows) for rows in (sparse, X))
    for name in ("mean_test_score", "split0_test_score"):
        assert_allclose(ours.cv_results_[name], dense.cv_results_[name])
    assert ours.best_n_components_ == 8
    assert_allclose(ours.score(sparse), dense.score(X))
    assert_allclose(ours.transform(sparse), dense.transform(X))

    final = KNeighborsClassifier()
    ours = exact(svd, [2, 8], final_estimator=final).fit(sparse, y)
    assert ours.best_n_components_ == 8
    assert ours.score(sparse, y) == final.fit(ours.transform(X), y).score(
        ours.transform(X), y
    )
    svd.set_params(algorithm="randomized")
    sizes = exact(svd, "auto", refit=False).fit(sparse).cv_results_
    assert_array_equal(sizes["param_n_components"], [1, 2, 4, 8, 16, 32, 63])
    # PCA finds one component less.
    assert exact(PCA(), "auto").fit(sparse[:, 20:30]).score(sparse[:, 20:30]) > 0
    scores = [
        LatentSizeCV(Autoencoder(**QUICK), [2, 4]).fit(rows).cv_results_
        for rows in (sparse, X)
    ]
    assert_allclose(*[found["mean_test_score"] for found in scores], rtol=1e-6)


def test_automatic_sizes_of_one_sparse_feature():
    X = csr_matrix(np.arange(1.0, 13).reshape(-1, 1))
    ours = exact(PCA(svd_solver="covariance_eigh"), "auto", refit=False).fit(X)
    assert_array_equal(ours.cv_results_["param_n_components"], [1])


@pytest.mark.parametrize("method", ["ordered", "exact"])
def test_frames_and_arrays_score_the_same_without_a_warning(method):
    X = low_rank(60, 5, 2, 0)
    frame = pd.DataFrame(X, columns=list("abcde"))
    search = LatentSizeCV(Autoencoder(**QUICK), [1, 2], method=method, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = clone(search).fit(frame)
        score = ours.score(frame)
    plain = clone(search).fit(X)
    # A frame's columns are contiguous: NumPy sums them in another order.
    assert score == pytest.approx(plain.score(X), rel=1e-12)
    assert ours.best_score_ == pytest.approx(plain.best_score_, rel=1e-12)
    assert list(ours.best_estimator_.feature_names_in_) == list("abcde")


# Metadata ------------------------------------------------------------------------

SEEN = []


class Grouped(PCA):
    """PCA that notes the groups given to it."""

    def fit(self, X, y=None, *, groups=None):
        SEEN.append((len(X), groups))
        return super().fit(X)


class Weighted(Ridge):
    """Ridge that notes the weights given to it."""

    def fit(self, X, y, sample_weight=None):
        SEEN.append((len(X), sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.fixture
def grouped():
    SEEN.clear()
    return low_rank(30, 5, 2, 0), np.arange(30) // 5


def test_groups_reach_the_splitter_and_the_estimator(grouped):
    X, groups = grouped
    exact(Grouped(), [2], cv=GroupKFold(3)).fit(X, groups=groups)
    splits = list(GroupKFold(3).split(X, groups=groups))
    assert len(SEEN) == 4
    for (train, _), (n, given) in zip(splits, SEEN, strict=False):
        assert n == len(train)
        assert_array_equal(given, groups[train])
    assert_array_equal(SEEN[-1][1], groups)

    # Those of an estimator that takes none, and no groups at all.
    exact(PCA(), [2], cv=GroupKFold(3)).fit(X, groups=groups)
    SEEN.clear()
    exact(Grouped(), [2]).fit(X)
    assert [given for _, given in SEEN] == [None] * 4


def test_other_parameters_of_fit_reach_the_estimator(grouped):
    X, groups = grouped
    with pytest.raises(TypeError, match="nonsense"):
        exact(Grouped(), [2]).fit(X, nonsense=1)
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing"):
        exact(Grouped(), [2]).fit(X).score(X, weights=groups)


def test_metadata_are_routed(grouped):
    X, groups = grouped
    y, weights = X[:, 0], np.arange(1.0, 31)
    scorer = make_scorer(mean_absolute_error)
    with config_context(enable_metadata_routing=True):
        search = exact(
            Grouped().set_fit_request(groups=True),
            [2],
            cv=GroupKFold(3),
            final_estimator=Weighted().set_fit_request(sample_weight=True),
            scoring=scorer.set_score_request(sample_weight=True),
        ).fit(X, y, groups=groups, sample_weight=weights)
        splits = list(GroupKFold(3).split(X, groups=groups))
        for i, (train, test) in enumerate(splits):
            for seen, whole in zip(SEEN[2 * i :], (groups, weights), strict=False):
                assert_array_equal(seen[1], whole[train])
            pca = PCA(2).fit(X[train])
            final = Ridge().fit(pca.transform(X[train]), y[train], weights[train])
            expected = mean_absolute_error(
                y[test],
                final.predict(pca.transform(X[test])),
                sample_weight=weights[test],
            )
            assert_allclose(search.cv_results_[f"split{i}_test_score"], expected)
        assert_array_equal(SEEN[-2][1], groups)
        assert_array_equal(SEEN[-1][1], weights)
        predicted = search.final_estimator_.predict(search.transform(X))
        assert_allclose(
            search.score(X, y, sample_weight=weights),
            mean_absolute_error(y, predicted, sample_weight=weights),
        )


def test_metadata_that_nobody_requests(grouped):
    X, groups = grouped
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            exact(Grouped(), [2], cv=GroupKFold(3)).fit(X, groups=groups)
        with pytest.raises(TypeError, match="unexpected argument.*nonsense"):
            exact(PCA(), [2]).fit(X, nonsense=1)
        quiet = Grouped().set_fit_request(groups=False)
        exact(quiet, [2], cv=GroupKFold(3)).fit(X, groups=groups)
        assert SEEN[-1][1] is None
        exact(PCA(), [2]).fit(X)
        # No metadata of its own: it only passes them on.
        assert not hasattr(LatentSizeCV, "set_fit_request")
