"""What each feature has to do with a score."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Points on each path, at first and at most.
N_POINTS, MAX_POINTS = 16, 256
#: By how much the shares may miss their sum, or this share of it, before more points
#: are taken.
TOLERANCE = 0.01
#: Points that are computed at once.
MAX_AT_ONCE = 4096

#: Returns values (n,) and derivatives (n, p) at points (n, p) on the paths of the rows
#: with the indices (n,).
Function = Callable[[Array, Indices], tuple[Array, Array]]


def integrated_gradients(function: Function, baseline: Array, X: Array) -> Array:
    r"""Return the share of each feature in what a function gains from a baseline to X.

    .. math::

       a_f = (x_f - b_f) \int_0^1 \frac{\partial s}{\partial x_f}
             \big(b + t (x - b)\big)\, dt, \qquad \sum_f a_f = s(x) - s(b).

    The integral is a mean over the midpoints of 16 intervals, or of up to 256 where
    the sum misses by more than 0.01 and 1%. What it misses still is divided among the
    features by the size of their shares.

    Parameters
    ----------
    function : callable
        Of points and the indices of their rows: values and derivatives.
    baseline, X : ndarray of shape (n, p)
        Both ends of the paths.

    Returns
    -------
    shares : ndarray of shape (n, p)

    References
    ----------
    M. Sundararajan, A. Taly and Q. Yan (2017). Axiomatic attribution for deep networks.
    ICML.
    """
    shares = np.empty(X.shape)
    everyone = np.arange(len(X))
    gain = function(X, everyone)[0] - function(baseline, everyone)[0]
    left, n_points = everyone, N_POINTS
    while True:
        shares[left] = _mean_gradients(function, baseline, X, left, n_points)
        missing = gain - shares.sum(axis=1)
        off = np.abs(missing) > TOLERANCE * np.maximum(np.abs(gain), 1.0)
        left, n_points = np.flatnonzero(off), 2 * n_points
        if not len(left) or n_points > MAX_POINTS:
            break
    if len(left):
        warnings.warn(
            f"The shares of {len(left)} of {len(X)} rows missed their sum by up to "
            f"{np.abs(missing[left]).max():.2g} before this was divided among them.",
            stacklevel=4,
        )
    sizes = np.abs(shares) + 1e-300
    shares += missing[:, None] * sizes / sizes.sum(axis=1, keepdims=True)
    return shares


def _mean_gradients(
    function: Function, baseline: Array, X: Array, rows: Indices, n_points: int
) -> Array:
    """Return the integrals for some rows, with so many points each."""
    shares = np.empty((len(rows), X.shape[1]))
    t = (np.arange(n_points) + 0.5) / n_points
    step = max(1, MAX_AT_ONCE // n_points)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        away = X[some] - baseline[some]
        points = baseline[some, None] + t[:, None] * away[:, None]
        gradients = function(points.reshape(-1, X.shape[1]), np.repeat(some, n_points))
        mean = gradients[1].reshape(points.shape).mean(axis=1)
        shares[first : first + step] = away * mean
    return shares
