"""What is checked of rows, and that an estimator is as it was where a check fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import _fit_context
from sklearn.utils.validation import validate_data

from .rows import check_columns

FLOATS = [np.float64, np.float32]
Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator of `fit`, which keeps the type of the method."""
    decorator: Callable[[Method], Method] = _fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorator


def validated(
    estimator: Any,
    X: Any,
    *,
    ignores: bool,
    reset: bool = True,
    in_order: bool = False,
    min_samples: int = 1,
) -> Any:
    """Return rows as a float array or CSR matrix, after scikit-learn's checks and ours.

    Parameters
    ----------
    estimator : object
        Gets `n_features_in_` and `feature_names_in_`.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    ignores : bool
        Whether cells may be missing.
    reset : bool, default=True
        Whether these rows say how many features there are; others must have as many.
    in_order : bool, default=False
        Whether to return them in C order: sums in another differ in their last bits.
    min_samples : int, default=1
        Rows that there must be.

    Raises
    ------
    ValueError, TypeError
        If they are not as required.
    """
    check_columns(X)
    check_storage(X, ignores=ignores)
    # scikit-learn looks for infinite cells by a sum, of which NumPy would warn.
    with np.errstate(invalid="ignore"), missing_cells_explained(estimator):
        return validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=FLOATS,
            order="C" if in_order else None,
            ensure_min_samples=min_samples,
            ensure_all_finite="allow-nan" if ignores else True,
        )


@contextmanager
def missing_cells_explained(estimator: Any, its: str = "") -> Iterator[None]:
    """Say how to fit to missing cells where scikit-learn says that they are refused.

    Parameters
    ----------
    estimator : object
        What refuses them.
    its : str, default=""
        Whose parameter allows them, if it is not the estimator's own.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Input X contains NaN."):
            raise
        raise ValueError(
            f"Input X contains NaN. {type(estimator).__name__} does not accept missing "
            f"values, unless {its}missing='ignore'; or fill them before, with "
            "sklearn.impute.SimpleImputer for example."
        ) from None


def check_storage(X: Any, *, ignores: bool) -> None:
    """Raise ValueError if missing cells are looked for in sparse rows."""
    if ignores and issparse(X):
        raise ValueError(
            "X is sparse, of which an entry that is not stored is 0 and not missing. "
            "missing='ignore' requires dense rows; use missing='error' or X.toarray()."
        )


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Put all attributes of an estimator back if the block does not end well."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_gaps(estimator: Any, X: NDArray[Any]) -> None:
    """Raise ValueError if rows with missing cells cannot be fitted to."""
    if estimator.augmentation is not None:
        raise ValueError(
            f"augmentation={estimator.augmentation!r} with missing='ignore', which "
            "requires augmentation=None: missing cells would not move with rows."
        )
    check_features(estimator, X)


def check_features(estimator: Any, X: NDArray[Any]) -> None:
    """Raise ValueError if a feature has no observed value."""
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        names = getattr(estimator, "feature_names_in_", np.arange(X.shape[1]))
        raise ValueError(
            f"Feature {names[empty[0]]} of X has no observed value: it is NaN in all "
            "rows. Each feature must have one; drop this one."
        )


def targets_of(y: Any, n: int) -> NDArray[Any]:
    """Return the targets of n rows as an array, to be checked with others."""
    if y is None:
        raise ValueError("partial_fit requires y to be passed, but y is None.")
    given = np.asarray(y)
    if given.shape[:1] != (n,):
        raise ValueError(f"X has {n} rows, but y has the shape {given.shape}.")
    return given
