"""The search for a latent size: what folds say of each, and which one to choose."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from .model import HiddenCells
from .starts import rows_and_filling

#: With n_components='auto', the share of variance beyond which PCA's sizes end,
MAX_EXPLAINED = 0.99
#: but not below this size,
MIN_LARGEST = 8
#: nor above this one if the rows are sparse: all components would take long.
MAX_SPARSE = 128
#: The share of hidden cells' variance that counts as none.
NO_GAIN = 1e-6

Rule = Literal["best", "one_standard_error"] | Callable[[dict[str, Any]], int]


@dataclass(frozen=True)
class Sample:
    """Rows, and what goes with them.

    Attributes
    ----------
    X, y : rows and labels
    params : dict of str to dict
        Metadata for 'estimator', 'final_estimator' and 'scorer'.
    """

    X: Any
    y: Any
    params: dict[str, dict[str, Any]]

    def part(self, rows: Any) -> "Sample":
        """Return some of the rows, with what goes with these."""
        return Sample(
            _safe_indexing(self.X, rows),
            None if self.y is None else _safe_indexing(self.y, rows),
            {
                name: _check_method_params(self.X, given, rows)
                for name, given in self.params.items()
            },
        )

    def fit(self, model: Any, name: str = "estimator") -> Any:
        """Fit a model, and return it."""
        return model.fit(self.X, self.y, **self.params[name])


@dataclass(frozen=True)
class FoldScores:
    """What a fold says of each size.

    Attributes
    ----------
    scores : list of float
    fit_times, score_times : list of float
        Seconds.
    linear : list of float or None
        Scores of the linear start, where the estimator has one.
    """

    scores: list[float]
    fit_times: list[float]
    score_times: list[float]
    linear: list[float] | None


@dataclass(frozen=True)
class SizeSearch:
    """What is fitted and scored in each fold.

    Attributes
    ----------
    estimator : estimator
        With a parameter `n_components`.
    final_estimator : estimator or None
        To be fitted to its latents, and scored in its place.
    scorer : callable or None
        None is the share of hidden cells that is filled.
    sizes : ndarray of int of shape (n_sizes,)
        Ascending.
    ordered : bool
        Whether one fit serves all sizes.
    """

    estimator: Any
    final_estimator: Any
    scorer: Any
    sizes: NDArray[np.intp]
    ordered: bool

    def fold(self, train: Sample, test: Sample) -> FoldScores:
        """Return the scores of each size, and of its linear start."""
        start = time.perf_counter()
        scores, fit_times, score_times = [], [], []
        for model in self._models(self.estimator, train):
            fitted = time.perf_counter()
            scores.append(self._score(model, train, test))
            fit_times.append(fitted - start)
            score_times.append(time.perf_counter() - fitted)
            if not self.ordered:
                start = time.perf_counter()
        if self.ordered:  # one fit has served all
            fit_times = [fit_times[0]] * len(self.sizes)
        return FoldScores(scores, fit_times, score_times, self._linear(train, test))

    def _linear(self, train: Sample, test: Sample) -> list[float] | None:
        """Return the scores of the linear start, where the estimator has one."""
        if "ordered" not in self.estimator.get_params(deep=False):
            return None
        start = clone(self.estimator).set_params(
            hidden_layer_sizes=(), init="pca", encoder=None, decoder=None
        )
        return [self._score(m, train, test) for m in self._models(start, train)]

    def _models(self, estimator: Any, train: Sample) -> Iterator[Any]:
        """Yield a fitted model of each size.

        Where each is fitted by itself it starts from its linear start, of which that of
        the size before is a part. Networks started from those of the next smaller or
        larger size ended lower.
        """
        if not self.ordered:
            for size in self.sizes:
                yield train.fit(clone(estimator).set_params(n_components=int(size)))
            return
        largest = clone(estimator)
        largest.set_params(
            n_components=int(self.sizes[-1]), ordered=self.sizes.tolist()
        )
        train.fit(largest)
        for size in self.sizes:
            yield largest.truncate(int(size))

    def _score(self, model: Any, train: Sample, test: Sample) -> float:
        """Score a fitted estimator, or the final estimator on its latents."""
        if self.scorer is None:
            return HiddenCells.of(model, train.X).score(model, test.X)
        if self.final_estimator is not None:
            latents = replace(train, X=model.transform(train.X))
            test = replace(test, X=model.transform(test.X))
            model = latents.fit(clone(self.final_estimator), "final_estimator")
        return float(self.scorer(model, test.X, test.y, **test.params["scorer"]))

    def results(self, folds: Sequence[FoldScores]) -> dict[str, Any]:
        """Return `cv_results_` as GridSearchCV has it."""
        scores = np.array([fold.scores for fold in folds]).T
        results: dict[str, Any] = {}
        times = {
            "fit_time": np.array([fold.fit_times for fold in folds]).T,
            "score_time": np.array([fold.score_times for fold in folds]).T,
        }
        for name, values in times.items():
            results[f"mean_{name}"] = values.mean(axis=1)
            results[f"std_{name}"] = values.std(axis=1)
        results["param_n_components"] = np.ma.array(self.sizes, mask=False)
        results["params"] = [{"n_components": int(size)} for size in self.sizes]
        for i, split in enumerate(scores.T):
            results[f"split{i}_test_score"] = split
        mean = scores.mean(axis=1)
        if not np.isfinite(scores).all():
            warnings.warn(
                f"One or more of the test scores are non-finite: {mean}",
                category=UserWarning,
                stacklevel=2,
            )
        results["mean_test_score"] = mean
        results["std_test_score"] = scores.std(axis=1)
        worst_last = -np.nan_to_num(mean, nan=-np.inf)
        results["rank_test_score"] = rankdata(worst_last, method="min").astype(np.int32)
        return results

    def choose(
        self, rule: Rule, results: dict[str, Any], folds: Sequence[FoldScores]
    ) -> int:
        """Return the index in `cv_results_` of the size that the rule chooses."""
        if callable(rule):
            return _checked_index(rule(results), len(self.sizes))
        # What fills cells no better than their means is no better than no latents.
        least = NO_GAIN if self.scorer is None else -np.inf
        mean = np.nan_to_num(results["mean_test_score"], nan=-np.inf).clip(min=least)
        best = int(mean.argmax())
        if rule == "best":
            return best
        scores, n = np.array([fold.scores[best] for fold in folds]), len(folds)
        error = scores.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
        return int(np.flatnonzero(mean >= mean[best] - np.nan_to_num(error))[0])


def _checked_index(index: Any, n: int) -> int:
    """Return what a rule of the user's gives.

    Raises
    ------
    ValueError
        If it is no index of n sizes.
    """
    if not isinstance(index, int | np.integer) or not 0 <= index < n:
        raise ValueError(f"rule must return an index from 0 to {n - 1}; got {index!r}.")
    return int(index)


def automatic_sizes(X: Any, limit: int) -> NDArray[np.intp]:
    """Return 1, 2, 4, ... up to the first power that is enough, or the limit."""
    largest = min(max(_n_needed(X), MIN_LARGEST), limit)
    powers = 2 ** np.arange(largest.bit_length() + 1)
    return np.unique(np.minimum(powers[powers < 2 * largest], limit))


def _n_needed(X: Any) -> int:
    """Return how many components PCA needs for most of the variance."""
    if issparse(X):
        most = min(MAX_SPARSE, min(X.shape) - 1)
        if most < 1:
            return 1
        pca = PCA(most, svd_solver="arpack", random_state=0)
    else:
        if np.isnan(X).any():
            X = rows_and_filling(X)[0].dense()
        pca, X = PCA(random_state=0), X.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # constant X
        explained = np.cumsum(pca.fit(X).explained_variance_ratio_)
    return min(1 + int(np.searchsorted(explained, MAX_EXPLAINED)), len(explained))
