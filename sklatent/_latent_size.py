"""The latent size, chosen by cross-validation."""

import time
import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.decomposition import PCA
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ._base import FLOATS, fit_context
from ._doc_link import DocLinkMixin

#: With n_components='auto', the share of variance beyond which PCA's sizes end.
MAX_EXPLAINED = 0.99

Rule = Literal["best", "one_standard_error"] | Callable[[dict[str, Any]], int]


def _has(method: str) -> Callable[[Any], bool]:
    """Return whether the fitted, or else the given, estimator has a method."""

    def check(self: "LatentSizeCV") -> bool:
        getattr(getattr(self, "best_estimator_", self.estimator), method)
        return True

    return check


class LatentSizeCV(DocLinkMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Latent size chosen by cross-validation, from one fit for each fold.

    In the manner of ``RidgeCV`` and ``GridSearchCV``: `fit` scores all sizes on
    held-out folds, chooses one, and fits the estimator with it to all rows. It then
    transforms as that estimator does. Read more in the :ref:`user guide <latent_size>`.

    Parameters
    ----------
    estimator : estimator
        An `Autoencoder`, `DenoisingAutoencoder` or `VariationalAutoencoder`; with
        ``method='exact'`` any transformer with a parameter `n_components`.
    n_components : array-like of int, int or 'auto', default='auto'
        The sizes to choose from, or the only one. 'auto' is 1, 2, 4 and so on, up to
        the first with which PCA explains 99% of the variance of `X`.
    cv : int, cross-validation generator or iterable, default=None
        The folds, as in ``GridSearchCV``. None is five; they are stratified if
        `final_estimator` is a classifier.
    scoring : str, callable or None, default=None
        A scorer, as in ``GridSearchCV``, of `final_estimator` where there is one, else
        of `estimator`. None is their own ``score``.
    rule : {'best', 'one_standard_error'} or callable, default='best'
        Which size to choose: that with the highest mean score; the smallest whose mean
        is within one standard error of it [1]_; or what a callable says, which takes
        ``cv_results_`` and returns an index.
    method : {'ordered', 'exact'}, default='ordered'
        'ordered' fits the largest size with ordered latents, once for each fold, and
        scores their prefixes. 'exact' fits each size by itself.
    final_estimator : estimator or None, default=None
        A classifier or regressor. The score is then its own, on the latents: the size
        is chosen for the task.
    refit : bool, default=True
        Whether to fit `estimator` with the chosen size to all rows, without
        ``ordered=True`` if it has not been given.
    n_jobs : int or None, default=None
        Folds that run at the same time.
    verbose : int, default=0
        1 prints a line for each fold.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        In the format of ``GridSearchCV``, one entry for each size in ascending order.
        With ``method='ordered'`` the time of a fold's one fit is given for all.
    best_n_components_ : int
        The chosen size.
    best_score_ : float
        Its mean score.
    best_index_ : int
        Its index in `cv_results_`.
    best_params_ : dict
        ``{'n_components': best_n_components_}``.
    best_estimator_ : estimator
        Fitted to all rows, if `refit`.
    final_estimator_ : estimator
        Fitted to its latents of all rows, if `refit` and where there is one.
    linear_scores_ : ndarray of shape (n_sizes, n_splits) or None
        Scores of the linear start (for `Autoencoder`, PCA) on the same folds, with
        ``method='ordered'`` of the first latents of the largest; None where `estimator`
        has none.
    n_splits_ : int
        Number of folds.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where `X` has names that are all strings.

    See Also
    --------
    LatentSizeDisplay : Draws the scores.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen and C. Stone (1984). Classification and
       Regression Trees. Section 3.4.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import Autoencoder, LatentSizeCV
    >>> X = load_digits().data
    >>> estimator = Autoencoder(max_iter=20, random_state=0)
    >>> search = LatentSizeCV(estimator, [2, 8, 16], cv=3).fit(X)
    >>> search.best_n_components_
    16
    >>> search.transform(X).shape
    (1797, 16)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "transform"])],
        "n_components": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "rule": [StrOptions({"best", "one_standard_error"}), callable],
        "method": [StrOptions({"ordered", "exact"})],
        "final_estimator": [HasMethods(["fit"]), None],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        n_components: ArrayLike | Literal["auto"] = "auto",
        *,
        cv: Any = None,
        scoring: Any = None,
        rule: Rule = "best",
        method: Literal["ordered", "exact"] = "ordered",
        final_estimator: Any = None,
        refit: bool = True,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_components = n_components
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.method = method
        self.final_estimator = final_estimator
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose

    # The estimators that are tried are fitted, and checked, one by one.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, *, groups: Any = None) -> Self:
        """Choose the size, and fit the estimator with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,) or None, default=None
            For `final_estimator`; without one it is ignored, but given to `cv`.
        groups : array-like of shape (n_samples,) or None, default=None
            Given to `cv`, for splitters that keep groups together.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter or `X` is not as required, `y` is missing, or `cv` gives no
            split.
        """
        before = dict(vars(self))
        try:
            self._fit(X, y, groups)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _fit(self, X: ArrayLike, y: Any, groups: Any) -> None:
        valid = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        self._check(y)
        final = self.final_estimator
        stratified = final is not None and is_classifier(final)
        cv = check_cv(self.cv, y, classifier=stratified)
        splits = list(cv.split(X, y, groups))
        if not splits:
            raise ValueError(f"cv={self.cv!r} gives no split; is it used up?")
        sizes = self._sizes(valid, min(len(train) for train, _ in splits))
        # Frames keep their names, all else is the checked array.
        frame = hasattr(X, "iloc") or hasattr(X, "select")
        rows, y = indexable(X if frame else valid, y)
        scored = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fold)(rows, y, split, sizes, f"{i + 1}/{len(splits)}")
            for i, split in enumerate(splits)
        )
        scores, fit_times, score_times = (
            np.array([fold[part] for fold in scored]).T for part in range(3)
        )
        linear = [fold[3] for fold in scored]
        self.n_splits_ = len(splits)
        self.linear_scores_ = None if None in linear else np.array(linear).T
        self.cv_results_ = _results(sizes, scores, fit_times, score_times)
        self.best_index_ = _choose(self.rule, self.cv_results_, scores)
        self.best_n_components_ = int(sizes[self.best_index_])
        self.best_params_ = {"n_components": self.best_n_components_}
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        for name in ("best_estimator_", "final_estimator_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        if self.refit:
            best = clone(self.estimator).set_params(**self.best_params_)
            self.best_estimator_ = best.fit(rows, y)
            if self.final_estimator is not None:
                latents = self.best_estimator_.transform(rows)
                self.final_estimator_ = clone(self.final_estimator).fit(latents, y)

    def _check(self, y: Any) -> None:
        """Raise ValueError where parameters do not go together."""
        parameters = self.estimator.get_params(deep=False)
        name = type(self.estimator).__name__
        if "n_components" not in parameters:
            raise ValueError(f"estimator must have n_components; {name} has not.")
        if self.method == "ordered" and "ordered" not in parameters:
            raise ValueError(
                f"method='ordered' requires an estimator with ordered latents, which "
                f"{name} has not; method='exact' fits each size by itself."
            )
        if self.final_estimator is not None and y is None:
            raise ValueError(
                "final_estimator="
                f"{type(self.final_estimator).__name__} requires y, and y is None."
            )

    def _sizes(self, X: NDArray[Any], n_train: int) -> NDArray[np.intp]:
        """Return the sizes to try, ascending; all rows, and those of a fold."""
        if isinstance(self.n_components, str):
            with np.errstate(invalid="ignore", divide="ignore"):  # constant X
                pca = PCA(random_state=0).fit(X.astype(np.float64))
            explained = np.cumsum(pca.explained_variance_ratio_)
            needed = 1 + int(np.searchsorted(explained, MAX_EXPLAINED))
            limit = min(n_train, *X.shape)
            largest = min(needed, limit)
            powers = 2 ** np.arange(int(largest).bit_length() + 1)
            # The last is the first power that is enough, if there are as many.
            sizes = powers[powers < 2 * largest]
            return np.unique(np.minimum(sizes, limit))
        sizes = np.unique(np.asarray(self.n_components))
        whole = np.issubdtype(sizes.dtype, np.integer)
        if not whole or not len(sizes) or sizes[0] < 1:
            raise ValueError(
                "n_components must be 'auto' or positive ints, as in (2, 4, 8); got "
                f"{self.n_components!r}."
            )
        return np.asarray(sizes)

    def _fold(
        self, X: Any, y: Any, split: Any, sizes: NDArray[np.intp], label: str
    ) -> tuple[list[float], list[float], list[float], list[float] | None]:
        """Return a fold's scores, seconds to fit and to score, and linear scores."""
        train, test = (
            (_safe_indexing(X, rows), None if y is None else _safe_indexing(y, rows))
            for rows in split
        )
        start = time.perf_counter()
        if self.method == "ordered":
            models = _prefixes(clone(self.estimator), sizes, train)
        else:
            models = _one_by_one(clone(self.estimator), sizes, train)
        scores, fit_times, score_times = [], [], []
        for model in models:
            fitted = time.perf_counter()
            scores.append(self._score(model, train, test))
            fit_times.append(fitted - start)
            score_times.append(time.perf_counter() - fitted)
            if self.method == "exact":
                start = time.perf_counter()
        if self.method == "ordered":  # one fit has served all
            fit_times = [fit_times[0]] * len(sizes)
        linear = None
        if "ordered" in self.estimator.get_params(deep=False):
            start_only = clone(self.estimator).set_params(
                hidden_layer_sizes=(), init="pca", encoder=None, decoder=None
            )
            ways = {"ordered": _prefixes, "exact": _one_by_one}
            models = ways[self.method](start_only, sizes, train)
            linear = [self._score(model, train, test) for model in models]
        if self.verbose:
            best = int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))
            seconds = sum(fit_times) / (len(sizes) if self.method == "ordered" else 1)
            print(
                f"[{type(self).__name__}] fold {label}: "
                f"n_components={sizes[best]} scores best, {scores[best]:.4f}; "
                f"{seconds:.1f} s of fitting",
                flush=True,
            )
        return scores, fit_times, score_times, linear

    def _score(self, model: Any, train: Any, test: Any) -> float:
        """Score a fitted estimator, or the final estimator on its latents."""
        if self.final_estimator is None:
            scorer = check_scoring(model, self.scoring)
            return float(scorer(model, *test))
        final = clone(self.final_estimator).fit(model.transform(train[0]), train[1])
        scorer = check_scoring(final, self.scoring)
        return float(scorer(final, model.transform(test[0]), test[1]))

    # Using the fitted search ----------------------------------------------------

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to the latents of `best_estimator_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The latents.
        """
        Z: NDArray[Any] = self._best(X).transform(X)
        return Z

    @available_if(_has("inverse_transform"))
    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map latents back to rows, as `best_estimator_` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latents.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The rows.
        """
        best, k = self._best(), self.best_n_components_
        latents = check_array(X, dtype=FLOATS, input_name="X", estimator=self)
        width = latents.shape[1]
        if width > k or (width < k and not np.any(getattr(best, "ordered", False))):
            raise ValueError(
                f"X has {width} columns, but {type(self).__name__} has "
                f"best_n_components_={k}; give it what transform returns."
            )
        rows: NDArray[Any] = best.inverse_transform(latents)
        return rows

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the score of `best_estimator_`, or of `final_estimator_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : array-like of shape (n_samples,) or None, default=None
            For the final estimator.

        Returns
        -------
        score : float
            By `scoring`; higher is better.
        """
        best = self._best(X)
        if self.final_estimator is None:
            return float(check_scoring(best, self.scoring)(best, X, y))
        scorer = check_scoring(self.final_estimator_, self.scoring)
        return float(scorer(self.final_estimator_, best.transform(X), y))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the latents, as `best_estimator_` does.

        Parameters
        ----------
        input_features : None
            Only checked.

        Returns
        -------
        names : ndarray of str of shape (n_components,)
            The names.
        """
        names: NDArray[Any] = self._best().get_feature_names_out(input_features)
        return names

    def _best(self, X: Any = None) -> Any:
        """Return the fitted estimator, after a check of rows given."""
        check_is_fitted(self)
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                f"{type(self).__name__} was fitted with refit=False: it has no "
                "best_estimator_."
            )
        if X is not None:
            validate_data(self, X, dtype=FLOATS, reset=False)
        return self.best_estimator_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _prefixes(estimator: Any, sizes: NDArray[np.intp], train: Any) -> Any:
    """Fit once, for all sizes; yield the model of each."""
    largest = int(sizes[-1])
    estimator.set_params(n_components=largest, ordered=sizes.tolist()).fit(*train)
    for size in sizes:
        yield estimator.truncate(int(size))


def _one_by_one(estimator: Any, sizes: NDArray[np.intp], train: Any) -> Any:
    """Fit each size by itself; yield the model of each.

    Each starts from its linear start, of which that of the size before is a part.
    Networks started from those of the next smaller or larger size ended lower.
    """
    for size in sizes:
        yield clone(estimator).set_params(n_components=int(size)).fit(*train)


def _results(
    sizes: NDArray[np.intp],
    scores: NDArray[Any],
    fit_times: NDArray[Any],
    score_times: NDArray[Any],
) -> dict[str, Any]:
    """Return `cv_results_` as GridSearchCV has it, of arrays (n_sizes, n_splits)."""
    results: dict[str, Any] = {}
    for name, values in (("fit_time", fit_times), ("score_time", score_times)):
        results[f"mean_{name}"] = values.mean(axis=1)
        results[f"std_{name}"] = values.std(axis=1)
    results["param_n_components"] = np.ma.array(sizes, mask=False)
    results["params"] = [{"n_components": int(size)} for size in sizes]
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


def _choose(rule: Rule, results: dict[str, Any], scores: NDArray[Any]) -> int:
    """Return the index of the size that the rule chooses."""
    if callable(rule):
        index: Any = rule(results)
        if not isinstance(index, int | np.integer) or not 0 <= index < len(scores):
            raise ValueError(
                f"rule must return an index from 0 to {len(scores) - 1}; got {index!r}."
            )
        return int(index)
    mean = np.nan_to_num(results["mean_test_score"], nan=-np.inf)
    best = int(results["rank_test_score"].argmin())
    if rule == "best":
        return best
    n_splits = scores.shape[1]
    error = scores[best].std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0.0
    error = np.nan_to_num(error)
    return int(np.flatnonzero(mean >= mean[best] - error)[0])
