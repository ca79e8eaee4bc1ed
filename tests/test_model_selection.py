import math
import pickle
from functools import partial

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, LatentSizeCV
from sklatent.model_selection import best_if_significant


def results(*scores, metric="score", params=None):
    """What a search with these scores, a row for each candidate, has."""
    found = {
        f"split{i}_test_{metric}": fold for i, fold in enumerate(np.transpose(scores))
    }
    found["params"] = params or [{"i": i} for i in range(len(scores))]
    return found


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def pipeline(model=None):
    return Pipeline([("reduce", PCA(2)), ("model", model or LogisticRegression())])


@pytest.mark.parametrize("n_folds", [2, 5, 10])
@pytest.mark.parametrize("level", [0.05, 0.3])
@pytest.mark.parametrize("test_size", [None, 0.4])
def test_threshold_is_that_of_the_corrected_t_test(n_folds, level, test_size):
    gain = np.random.default_rng(0).normal(size=n_folds)
    gain -= gain.mean()
    share = test_size or 1 / n_folds
    error = gain.std(ddof=1) * math.sqrt(1 / n_folds + share / (1 - share))
    least = student.isf(level, n_folds - 1) * error
    choose = partial(best_if_significant, level=level, test_size=test_size)
    for factor, index in ((0.99, 0), (1.01, 1)):
        assert choose(results(np.zeros(n_folds), gain + factor * least)) == index


def test_the_best_of_those_significantly_better():
    noisy = [0.0, 1.0, 1.0, 1.0, 1.0]  # the highest mean, but for one fold
    scores = [0.5] * 5, noisy, [0.6] * 5, [0.7] * 5, [0.4] * 5
    assert best_if_significant(results(*scores)) == 3
    assert best_if_significant(results([0.5] * 5, noisy)) == 0
    assert type(best_if_significant(results(*scores))) is int


def test_without_a_difference_the_baseline_is_kept():
    assert best_if_significant(results([0.5] * 5, [0.5] * 5, [0.5] * 5)) == 0


def test_the_best_of_several_baselines_counts():
    params = [{"n": "a", "k": k} for k in (1, 2)] + [{"n": "b", "k": 1}]
    found = results([0.1] * 5, [0.5] * 5, [0.3] * 5, params=params)
    assert best_if_significant(found, baseline={"n": "a"}) == 1
    assert best_if_significant(found, baseline={"n": "a", "k": 1}) == 1
    assert best_if_significant(found, baseline={"n": "b"}) == 1
    found = results([0.6] * 5, [0.5] * 5, [0.3] * 5, params=params)
    assert best_if_significant(found, baseline={"k": 2}) == 0


def test_a_baseline_by_class_and_by_value():
    svd = {"reduce": TruncatedSVD()}
    params = [svd, {"reduce": PCA(2)}, {"reduce": PCA(3)}, {"reduce": "passthrough"}]
    found = results([0.4] * 5, [0.5] * 5, [0.6] * 5, [0.7] * 5, params=params)
    assert best_if_significant(found, baseline={"reduce": PCA}) == 3
    assert best_if_significant(found, baseline={"reduce": "passthrough"}) == 3
    found = results(
        [0.8] * 5, [0.5] * 5, [0.6] * 5, [0.9, 0.1] * 2 + [0.9], params=params
    )
    assert best_if_significant(found, baseline={"reduce": PCA}) == 0
    assert best_if_significant(found, baseline={"reduce": TruncatedSVD}) == 0


def test_candidates_that_failed_are_not_chosen():
    failed = [math.nan] + [1.0] * 4
    assert best_if_significant(results([0.5] * 5, failed, [0.6] * 5)) == 2
    assert best_if_significant(results([0.5] * 5, failed)) == 0
    assert best_if_significant(results([0.5] * 5, [math.inf] * 5, [-math.inf] * 5)) == 0
    with pytest.raises(ValueError, match="No baseline has a finite score"):
        best_if_significant(results(failed, [0.6] * 5))


@pytest.mark.parametrize(
    ("found", "params", "message"),
    [
        (results([1.0] * 5, [1.0] * 5), {"metric": "r2"}, "it has .'score'."),
        (results([1.0], [2.0]), {}, "two folds or more; got 1"),
        (results([1.0] * 2), {}, "Each candidate is a baseline"),
        (results([1.0] * 2, [1.0] * 2), {"baseline": {"j": 0}}, "No candidate is"),
        (results([1.0] * 2, [1.0] * 2), {"baseline": {}}, "Each candidate is"),
        (results([1.0] * 2, [1.0] * 2), {"baseline": "PCA"}, "'baseline' parameter"),
        (results([1.0] * 2, [1.0] * 2), {"level": 0}, "'level' parameter"),
        (results([1.0] * 2, [1.0] * 2), {"test_size": 1.0}, "'test_size' parameter"),
    ],
)
def test_errors(found, params, message):
    with pytest.raises(ValueError, match=message):
        best_if_significant(found, **params)


def test_grid_search_keeps_pca_unless_another_is_better(wine):
    grid = {"reduce": [PCA(1), LinearDiscriminantAnalysis()]}
    search = GridSearchCV(pipeline(), grid, refit=best_if_significant).fit(*wine)
    assert search.best_index_ == 1
    X, y = wine
    y = np.random.default_rng(0).permutation(y)
    assert clone(search).fit(X, y).best_index_ == 0


def test_the_recipe(wine):
    """Sizes and models, the best of PCA's against the best of the others."""
    reduce = [PCA(1), PCA(2), Autoencoder(1, max_iter=3, random_state=0)]
    models = [LogisticRegression(), KNeighborsClassifier()]
    search = GridSearchCV(
        pipeline(),
        {"model": models, "reduce": reduce},
        refit=partial(best_if_significant, baseline={"reduce": PCA}),
        cv=3,
    ).fit(*wine)
    assert search.best_params_["reduce"] is reduce[1]
    again = pickle.loads(pickle.dumps(search))
    assert again.score(*wine) == search.score(*wine) > 0.9
    assert clone(search).refit(search.cv_results_) == search.best_index_


def test_several_metrics_and_random_candidates(wine):
    search = RandomizedSearchCV(
        pipeline(KNeighborsClassifier()),
        {"reduce__n_components": [1, 2, 3], "model__n_neighbors": [5, 50]},
        n_iter=5,
        scoring=["accuracy", "f1_macro"],
        refit=partial(
            best_if_significant,
            baseline={"reduce__n_components": 1},
            metric="f1_macro",
        ),
        random_state=0,
    ).fit(*wine)
    assert search.best_params_["reduce__n_components"] > 1


def test_a_size_is_larger_only_if_significantly_better(wine):
    search = LatentSizeCV(
        PCA(),
        [1, 2, 3, 6, 12],
        method="exact",
        final_estimator=LogisticRegression(),
        rule=best_if_significant,
    ).fit(*wine)
    assert search.best_n_components_ > 1


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.FitFailedWarning", "ignore:.*non-finite"
)
def test_a_failed_candidate_in_a_search(wine):
    search = GridSearchCV(
        pipeline(), {"reduce": [PCA(2), PCA(99)]}, refit=best_if_significant
    ).fit(*wine)
    assert search.best_index_ == 0
