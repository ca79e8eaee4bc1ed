"""The values that a likelihood is of."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

#: Above this a count is past where the logarithm of a rate is cut off.
LARGEST_COUNT = 1e12


def range_of_values(X: Any) -> tuple[float, float, float]:
    """Return least and largest value, NaN if there is none, and a rounding of 1."""
    values = X.data if issparse(X) else X
    zero = 0.0 if issparse(X) else np.nan  # what is not stored
    low, high = (
        float(end(values, initial=zero, axis=None))
        for end in (np.fmin.reduce, np.fmax.reduce)
    )
    return low, high, 8 * float(np.finfo(X.dtype).eps)  # as MinMaxScaler's


def check_range(X: Any, likelihood: str) -> None:
    """Raise ValueError if rows are not what the likelihood is of."""
    low, high, rounding = range_of_values(X)
    if np.isnan(low):
        return
    values = X.data if issparse(X) else X
    values = values[~np.isnan(values)]
    if likelihood == "multinomial" and low < 0:
        raise ValueError(
            f"X has values from {low:.3g} on; likelihood='multinomial' requires counts "
            "or weights that are not negative."
        )
    if likelihood == "bernoulli" and (low < -rounding or high > 1 + rounding):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}; likelihood='bernoulli' "
            "requires them in [0, 1]."
        )
    if likelihood == "poisson" and (low < 0 or (np.floor(values) != values).any()):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}, not all of them counts; "
            "likelihood='poisson' requires non-negative whole numbers."
        )
    if likelihood == "poisson" and high > LARGEST_COUNT:
        raise ValueError(
            f"X has counts up to {high:.3g}; likelihood='poisson' requires at most "
            f"{LARGEST_COUNT:.0e}."
        )
