"""Columns of data frames that are no numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

#: Columns that a message names.
MAX_NAMED = 5


def check_columns(X: Any) -> None:
    """Raise ValueError where columns of a data frame are no numbers, and name them.

    Or where it has none, of which scikit-learn says what no user understands.

    Parameters
    ----------
    X : object
        Anything; only a data frame of pandas or polars has columns with dtypes.
    """
    if hasattr(X, "columns") and X.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is "
            "required."
        )
    wrong = [f"{name!r} ({dtype})" for name, dtype in _no_numbers(X)]
    if not wrong:
        return
    more = f" and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
    raise ValueError(
        f"X has columns that are not numbers: {', '.join(wrong[:MAX_NAMED])}{more}. "
        "Encode them first, for example by OneHotEncoder in a ColumnTransformer, or "
        "by skrub's TableVectorizer."
    )


def _no_numbers(X: Any) -> Iterator[tuple[Any, Any]]:
    """Yield name and dtype of each column that is not of numbers or booleans."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return
    for i, (name, dtype) in enumerate(zip(X.columns, dtypes, strict=True)):
        if hasattr(dtype, "is_numeric"):  # polars
            known = dtype.is_numeric() or str(dtype) in ("Boolean", "Null")
        elif dtype == np.dtype(object):
            known = not any(isinstance(x, str | bytes) for x in X.iloc[:, i])
        else:
            known = dtype.kind in "biuf"
        if not known:
            yield name, "text" if str(dtype) == "object" else dtype
