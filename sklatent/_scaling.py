"""The inner scale: rows are centred and divided by one number."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def standardise(
    X: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[Any], float]:
    """Centre rows and divide them by the root mean square of what that leaves.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The training rows.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features), float64, C-ordered
        The scaled rows, as `scaled` gives them.
    mean : ndarray of shape (n_features,)
        The columns' means, in the dtype of `X`.
    scale : float
        1 if all rows are equal.
    """
    mean: NDArray[Any] = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    # The mean of equal numbers need not be that number to the last bit, and what it
    # leaves is rounding, not variance.
    constant = X.min(axis=0) == X.max(axis=0)
    mean[constant] = X[0, constant]
    rows = np.subtract(X, mean, dtype=np.float64, order="C")
    largest = max(float(rows.max()), -float(rows.min()))
    if largest == 0:
        return rows, mean, 1.0
    # Division first: the squares of very small or large numbers leave the floats.
    rows /= largest
    size = float(np.sqrt(np.vdot(rows, rows) / rows.size))
    rows /= size
    return rows, mean, largest * size


def scaled(
    X: NDArray[Any], mean: NDArray[Any], scale: float, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """Return ``(X - mean) / scale`` as a new array in `dtype`, C-ordered."""
    result: NDArray[Any] = np.subtract(X, mean.astype(dtype), dtype=dtype, order="C")
    result /= scale
    return result


def row_slices(n_rows: int, width: int, smallest: int = 64) -> Iterator[slice]:
    """Yield slices of rows for which an array of this `width` takes a few MB."""
    step = max(smallest, 2**19 // width)
    return (slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step))
