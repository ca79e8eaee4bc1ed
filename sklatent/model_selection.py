"""Model selection in which a baseline is kept unless another candidate is better."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.utils._param_validation import Interval, validate_params


@validate_params(
    {
        "cv_results": [Mapping],
        "baseline": [Mapping, None],
        "metric": [str],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "test_size": [Interval(Real, 0, 1, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def best_if_significant(
    cv_results: Mapping[str, Any],
    *,
    baseline: Mapping[str, Any] | None = None,
    metric: str = "score",
    level: float = 0.1,
    test_size: float | None = None,
) -> int:
    r"""Return the best candidate if it is significantly better than a baseline.

    For the parameter `refit` of ``GridSearchCV`` or ``RandomizedSearchCV``: a baseline,
    such as PCA, is kept unless the gain of another candidate over it is significant by
    the corrected resampled t-test [1]_. With scores :math:`d_1, \dots, d_J` above
    the baseline's on `J` test folds, each of a share `r` of the rows, that is

    .. math::

       \bar d > t_{J-1} \sqrt{\left(\frac1J + \frac{r}{1-r}\right) s^2_d} .

    The term :math:`r/(1-r)` makes up for training rows that the folds share. Of
    several candidates that are significantly better the one with the highest mean score
    is chosen; one without a finite score on each fold never is. `LatentSizeCV` takes
    the function as its `rule`. Read more in the :ref:`user guide <never_worse>`.

    Parameters
    ----------
    cv_results : dict
        ``cv_results_`` of a search, which gives it to `refit`.
    baseline : dict or None, default=None
        Which candidates are baselines: those that have all these values of
        parameters. A class stands for its instances, as in ``{'reduce': PCA}``. Of
        several that with the highest mean score counts. None is the first candidate.
    metric : str, default='score'
        Which score to compare where `scoring` has several.
    level : float, default=0.1
        The level of the one-sided test.
    test_size : float or None, default=None
        The share of the rows in each test fold. None is one by the number of folds, as
        in ``KFold``; ``RepeatedKFold`` and ``ShuffleSplit`` require it.

    Returns
    -------
    index : int
        The index of the chosen candidate, which the search has as ``best_index_``.

    Raises
    ------
    ValueError
        If no candidate, or each one, is a baseline; if no baseline has finite scores on
        each fold; if `cv_results` lacks the metric or has one fold.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The search.
    functools.partial : Sets parameters; what it returns can be pickled.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio (2003). Inference for the generalization error.
       Machine Learning 52.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import Pipeline
    >>> from sklatent import Autoencoder
    >>> from sklatent.model_selection import best_if_significant
    >>> X, y = load_digits(return_X_y=True)
    >>> pipeline = Pipeline([("reduce", PCA()), ("model", KNeighborsClassifier())])
    >>> search = GridSearchCV(
    ...     pipeline,
    ...     {"reduce": [PCA(2), Autoencoder(2, max_iter=10, random_state=0)]},
    ...     refit=partial(best_if_significant, baseline={"reduce": PCA}),
    ... )
    >>> search.fit(X, y).best_params_["reduce"]
    Autoencoder(max_iter=10, n_components=2, random_state=0)
    """
    scores = _fold_scores(cv_results, metric)
    is_baseline = _is_baseline(cv_results["params"], baseline)
    mean = np.nan_to_num(scores.mean(axis=1), nan=-np.inf)
    reference = int(np.where(is_baseline, mean, -np.inf).argmax())
    if mean[reference] == -np.inf:
        raise ValueError(
            "No baseline has a finite score on each fold, so that no gain over it can "
            "be tested."
        )
    gains = scores - scores[reference]
    n_folds = scores.shape[1]
    share = 1 / n_folds if test_size is None else test_size
    least = student.isf(level, n_folds - 1) * math.sqrt(
        1 / n_folds + share / (1 - share)
    )
    better = ~is_baseline & (gains.mean(axis=1) > least * gains.std(axis=1, ddof=1))
    better[reference] = True
    return int(np.where(better, mean, -np.inf).argmax())


def _fold_scores(cv_results: Mapping[str, Any], metric: str) -> NDArray[np.float64]:
    """Return the test scores, of shape (n_candidates, n_folds).

    Those of a candidate are NaN where one of them is not finite.
    """
    folds: list[NDArray[np.float64]] = []
    while (name := f"split{len(folds)}_test_{metric}") in cv_results:
        folds.append(cv_results[name])
    if not folds:
        start = "split0_test_"
        known = [n.removeprefix(start) for n in cv_results if n.startswith(start)]
        raise ValueError(f"metric={metric!r} is not in cv_results; it has {known}.")
    if len(folds) < 2:
        raise ValueError("A gain can be tested with two folds or more; got 1.")
    scores = np.column_stack(folds).astype(np.float64)
    return np.where(np.isfinite(scores).all(axis=1, keepdims=True), scores, np.nan)


def _is_baseline(
    candidates: list[dict[str, Any]], baseline: Mapping[str, Any] | None
) -> NDArray[np.bool_]:
    """Return which candidates are baselines."""
    if baseline is None:
        marks = [index == 0 for index in range(len(candidates))]
    else:
        marks = [_matches(params, baseline) for params in candidates]
    found: NDArray[np.bool_] = np.array(marks, dtype=bool)
    if found.all() or not found.any():
        raise ValueError(
            f"{'Each' if found.all() else 'No'} candidate is a baseline, with "
            f"baseline={baseline!r}; parameters of the first are {candidates[0]}."
        )
    return found


def _matches(params: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """Return whether all parameters have the values, or are of the classes."""
    return all(
        name in params
        and (
            isinstance(params[name], value)
            if isinstance(value, type)
            else params[name] == value
        )
        for name, value in baseline.items()
    )
