"""The latent size, chosen by cross-validation."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import (
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_method_params,
    check_array,
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from ._doc_link import DocLinkMixin
from ._size_search import FoldScores, Rule, Sample, SizeSearch, automatic_sizes
from ._state import PlainState
from ._validation import (
    FLOATS,
    all_or_nothing,
    check_features,
    fit_context,
    missing_cells_explained,
)
from .model import HiddenCells


def _has(method: str) -> Callable[[Any], bool]:
    """Return whether the fitted, or else the given, estimator has a method."""

    def check(self: "LatentSizeCV") -> bool:
        getattr(getattr(self, "best_estimator_", self.estimator), method)
        return True

    return check


class LatentSizeCV(DocLinkMixin, MetaEstimatorMixin, TransformerMixin, PlainState):
    """Latent size chosen by cross-validation, from one fit for each fold.

    In the manner of ``RidgeCV`` and ``GridSearchCV``: `fit` scores all sizes on
    held-out folds, chooses one, and fits the estimator with it to all rows. It then
    transforms as that estimator does. Read more in the :ref:`user guide <latent_size>`.

    Parameters
    ----------
    estimator : estimator
        An `Autoencoder`, `DenoisingAutoencoder`, `SupervisedAutoencoder` or
        `VariationalAutoencoder`; with ``method='exact'`` any transformer with a
        parameter `n_components`.
    n_components : array-like of int, int or 'auto', default='auto'
        The sizes to choose from, or the only one. 'auto' is 1, 2, 4 and so on, up to
        the first from 8 on with which PCA explains 99% of the variance of `X` (for
        sparse `X` 128 at most).
    cv : int, cross-validation generator or iterable, default=None
        The folds, as in ``GridSearchCV``. None is five; they are stratified if
        `final_estimator` is a classifier.
    scoring : {'hidden_cells', 'score'}, other str, callable or None, default=None
        'hidden_cells': in held-out rows one of eight groups of features after another
        is hidden and filled by the model from the others; the score is the share of
        variance so explained, 0 for the training rows' means [1]_ [2]_. Unlike that of
        whole rows it has a highest value at some size. 'score' is the ``score`` of
        `final_estimator` where there is one, else of `estimator`; others are scorers of
        them, as in ``GridSearchCV``. None is 'score' with a `final_estimator`, or if
        `estimator` has ``sample`` (as `VariationalAutoencoder`, whose score is a
        likelihood) or ``predict``, or no ``inverse_transform``; else 'hidden_cells'.
    rule : {'best', 'one_standard_error'} or callable, default='one_standard_error'
        Which size to choose: that with the highest mean score; the smallest whose mean
        is within one standard error of it [3]_; or what a callable says, which takes
        ``cv_results_`` and returns an index. If no size fills hidden cells better than
        their means do, it is the smallest.
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
    scoring_ : str or callable
        What has been scored: `scoring`, or what None was taken for.
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
    .. [1] S. Wold (1978). Cross-validatory estimation of the number of components in
       factor and principal components models. Technometrics 20.
    .. [2] R. Bro, K. Kjeldahl, A. K. Smilde and H. A. L. Kiers (2008). Cross-validation
       of component models: a critical look at current methods. Analytical and
       Bioanalytical Chemistry 390.
    .. [3] L. Breiman, J. Friedman, R. Olshen and C. Stone (1984). Classification and
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
        rule: Rule = "one_standard_error",
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
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Choose the size, and fit the estimator with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The training data; sparse if `estimator` takes that.
        y : array-like of shape (n_samples,) or None, default=None
            For `final_estimator`; without one it is only given to `cv`, `estimator` and
            the scorer.
        **params : dict
            As in ``GridSearchCV``: `groups` for `cv`, and also for ``estimator.fit``
            where it takes them; all others for ``estimator.fit``. With metadata routing
            enabled, what `estimator`, `final_estimator`, the scorer and `cv` request.
            Of what has an entry for each row, each fold gets those of its rows. Scores
            do not weigh rows, unless the scorer requests `sample_weight`.

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
        with all_or_nothing(self):
            self._fit(X, y, params)
        return self

    def _fit(self, X: ArrayLike, y: Any, params: dict[str, Any]) -> None:
        valid = self._validate(X, ensure_min_samples=2)
        self._check(y)
        scorer = self._scorer()
        routed = self._route(_check_method_params(valid, params))
        final = self.final_estimator
        stratified = _tells_classes(final) or _tells_classes(self.estimator)
        cv = check_cv(self.cv, y, classifier=stratified)
        splits = list(cv.split(X, y, **routed.pop("splitter")))
        if not splits:
            raise ValueError(f"cv={self.cv!r} gives no split; is it used up?")
        sizes = self._sizes(valid, min(len(train) for train, _ in splits))
        # Frames keep their names, all else is the checked array.
        frame = hasattr(X, "iloc") or hasattr(X, "select")
        rows, y = indexable(X if frame else valid, y)
        # A model of a frame is asked about arrays where cells are hidden.
        data = Sample(valid if scorer is None else rows, y, routed)
        ordered = self.method == "ordered"
        search = SizeSearch(self.estimator, final, scorer, sizes, ordered)
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(self._fold)(search, data, split, f"{i + 1}/{len(splits)}")
            for i, split in enumerate(splits)
        )
        linear = [fold.linear for fold in folds]
        self.n_splits_ = len(splits)
        self.scoring_ = self._scoring()
        self.linear_scores_ = None if None in linear else np.array(linear).T
        self.cv_results_ = search.results(folds)
        self.best_index_ = search.choose(self.rule, self.cv_results_, folds)
        self.best_n_components_ = int(sizes[self.best_index_])
        self.best_params_ = {"n_components": self.best_n_components_}
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        for name in ("best_estimator_", "final_estimator_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        if self.refit:
            best = clone(self.estimator).set_params(**self.best_params_)
            self.best_estimator_ = Sample(rows, y, routed).fit(best)
            if final is not None:
                latents = Sample(best.transform(rows), y, routed)
                self.final_estimator_ = latents.fit(clone(final), "final_estimator")
            if scorer is None:
                self._hidden_cells = HiddenCells.of(best, valid)

    def _scoring(self) -> Any:
        """Return what is scored: `scoring`, or what None is taken for."""
        if self.scoring is not None:
            return self.scoring
        model = self.estimator
        of_rows = hasattr(model, "inverse_transform") and self.final_estimator is None
        has_own = hasattr(model, "sample") or hasattr(model, "predict")
        return "hidden_cells" if of_rows and not has_own else "score"

    def _scorer(self) -> Any:
        """Return the scorer; None where cells are hidden."""
        scoring = self._scoring()
        if isinstance(scoring, str) and scoring == "hidden_cells":
            return None
        final = self.final_estimator
        scored = self.estimator if final is None else final
        own = isinstance(scoring, str) and scoring == "score"
        return check_scoring(scored, None if own else scoring)

    def _validate(self, X: Any, **kwargs: Any) -> Any:
        """Return checked rows, sparse ones as CSR if the estimator takes them."""
        sparse = "csr" if get_tags(self.estimator).input_tags.sparse else False
        with_gaps = get_tags(self.estimator).input_tags.allow_nan
        with missing_cells_explained(self, "its estimator has "):
            return validate_data(
                self,
                X,
                dtype=FLOATS,
                accept_sparse=sparse,
                ensure_all_finite="allow-nan" if with_gaps else True,
                **kwargs,
            )

    def _route(self, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the parameters of `fit` by who gets them."""
        if _routing_enabled():
            routed = process_routing(self, "fit", **params)
            methods = {
                "estimator": "fit",
                "final_estimator": "fit",
                "scorer": "score",
                "splitter": "split",
            }
            return {name: dict(routed[name][call]) for name, call in methods.items()}
        groups = {"groups": params.pop("groups", None)}
        if groups["groups"] is not None and has_fit_parameter(self.estimator, "groups"):
            params |= groups
        return {
            "estimator": params,
            "final_estimator": {},
            "scorer": {},
            "splitter": groups,
        }

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who gets which metadata, as ``GridSearchCV`` does.

        Returns
        -------
        routing : MetadataRouter
            Of `estimator`, `final_estimator`, the scorer and `cv`.
        """
        fit = MethodMapping().add(caller="fit", callee="fit")
        score = MethodMapping().add(caller="fit", callee="score")
        split = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add(estimator=self.estimator, method_mapping=fit)
            .add(final_estimator=self.final_estimator, method_mapping=fit)
            .add(
                scorer=self._scorer(),
                method_mapping=score.add(caller="score", callee="score"),
            )
            .add(splitter=self.cv, method_mapping=split)
        )

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
        if isinstance(self.scoring, str) and self.scoring == "hidden_cells":
            if self.final_estimator is not None:
                raise ValueError(
                    "scoring='hidden_cells' scores estimator, so it requires "
                    "final_estimator=None."
                )
            if not hasattr(self.estimator, "inverse_transform"):
                raise ValueError(
                    "scoring='hidden_cells' requires an estimator with "
                    f"inverse_transform, which {name} has not."
                )
        if self.final_estimator is not None and y is None:
            raise ValueError(
                "final_estimator="
                f"{type(self.final_estimator).__name__} requires y, and y is None."
            )

    def _sizes(self, X: Any, n_train: int) -> NDArray[np.intp]:
        """Return the sizes to try, ascending; all rows, and those of a fold."""
        if isinstance(self.n_components, str):
            limit = min(n_train, *X.shape)
            if not issparse(X):
                check_features(self, X)
            # PCA finds all but one of the components of sparse rows.
            return automatic_sizes(X, max(1, limit - 1) if issparse(X) else limit)
        sizes = np.unique(np.asarray(self.n_components))
        whole = np.issubdtype(sizes.dtype, np.integer)
        if not whole or not len(sizes) or sizes[0] < 1:
            raise ValueError(
                "n_components must be 'auto' or positive ints, as in (2, 4, 8); got "
                f"{self.n_components!r}."
            )
        return np.asarray(sizes)

    def _fold(
        self, search: SizeSearch, data: Sample, split: Any, label: str
    ) -> FoldScores:
        """Return what a fold says of the sizes, and print it if asked to."""
        fold = search.fold(*(data.part(rows) for rows in split))
        if self.verbose:
            best = int(np.argmax(np.nan_to_num(fold.scores, nan=-np.inf)))
            n_fits = len(search.sizes) if search.ordered else 1
            print(
                f"[{type(self).__name__}] fold {label}: "
                f"n_components={search.sizes[best]} scores best, "
                f"{fold.scores[best]:.4f}; {sum(fold.fit_times) / n_fits:.1f} s of "
                "fitting",
                flush=True,
            )
        return fold

    def _check_loaded(self) -> None:
        """Raise ValueError unless the best estimator is one of so many features."""
        found = vars(self)
        if "best_estimator_" not in found:
            return
        best = found["best_estimator_"]
        if not hasattr(best, "transform"):
            raise ValueError(f"a {type(best).__name__} in place of best_estimator_")
        n_features = getattr(best, "n_features_in_", self.n_features_in_)
        if n_features != self.n_features_in_:
            raise ValueError(f"best_estimator_ of {n_features} features")

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
        best = self._best()
        self._validate(X, reset=False)
        Z: NDArray[Any] = best.transform(X)
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

    def score(self, X: ArrayLike, y: Any = None, **params: Any) -> float:
        """Return the score of `best_estimator_`, or of `final_estimator_`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : array-like of shape (n_samples,) or None, default=None
            For the final estimator.
        **params : dict
            For the scorer, with metadata routing enabled.

        Returns
        -------
        score : float
            By `scoring_`; higher is better.
        """
        best = self._best()
        valid = self._validate(X, reset=False)
        _raise_for_params(params, self, "score")
        scorer = self._scorer()
        if scorer is None:
            return self._hidden_cells.score(best, valid)
        if _routing_enabled():
            params = process_routing(self, "score", **params)["scorer"]["score"]
        if self.final_estimator is None:
            return float(scorer(best, X, y, **params))
        return float(scorer(self.final_estimator_, best.transform(X), y, **params))

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

    def _best(self) -> Any:
        """Return the fitted estimator."""
        check_is_fitted(self)
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                f"{type(self).__name__} was fitted with refit=False: it has no "
                "best_estimator_."
            )
        return self.best_estimator_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        return tags


def _tells_classes(model: Any) -> bool:
    """Return whether a model may be one of classes, so that folds have all of them."""
    if model is None or is_classifier(model):
        return model is not None
    continuous = getattr(model, "target_type", "continuous") == "continuous"
    return get_tags(model).target_tags.required and not continuous
