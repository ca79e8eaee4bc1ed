"""Rows with missing cells: a Gaussian of them, and the rows filled by it."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..nn import Filling
from ..rows import (
    Array,
    DenseRows,
    GappedRows,
    Rows,
    Scale,
    Weights,
    is_typical,
    row_slices,
    rows_of,
)
from ._gaussian_em import fit_gaussian

#: Numbers of the rows that a Gaussian is fitted to, at most.
MAX_NUMBERS = 2**24


def rows_and_filling(
    X: NDArray[Any],
    *,
    keeps_constant: bool = False,
    known: NDArray[np.bool_] | None = None,
    weights: Weights | None = None,
) -> tuple[Rows, Filling]:
    """Return rows, filled where cells are missing, and what fills those of other rows.

    That is the conditional mean under a Gaussian of the observed cells (`fit_gaussian`)
    of all rows but extreme ones.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data, NaN where missing; each row and each feature has an observed cell.
    keeps_constant, known, weights
        As for `rows_of`.

    Returns
    -------
    rows : Rows
        Their mean is that of the filled rows. Rows without gaps are those of `rows_of`.
    filling : Filling
        Of rows scaled as these are.
    """
    missing = np.isnan(X)
    if not missing.any():
        rows = rows_of(X, keeps_constant=keeps_constant, known=known, weights=weights)
        return rows, _filling(rows.scale, X, weights)
    scale = Scale.of(
        _with_means(X, missing, weights),
        keeps_constant=keeps_constant,
        known=known,
        weights=weights,
    )
    filling = _filling(scale, X, weights)
    filled, spread = _filled(X, scale, filling, weights)
    expected = DenseRows(filled, scale)
    expected.all_weights = weights
    moved = expected.mean()  # EM's mean is that of the filled rows
    mean = scale.mean.astype(np.float64)
    chosen: Any = slice(None) if len(moved) == len(mean) else scale.varying
    mean[chosen] += moved * scale.scale
    final = replace(scale, mean=mean.astype(scale.mean.dtype))
    left = (final.center.astype(np.float64) - scale.center) / scale.scale
    filling.mean -= torch.from_numpy(left)
    return GappedRows(X, filled, final, spread, weights), filling


def _with_means(
    X: NDArray[Any], missing: NDArray[np.bool_], weights: Weights | None
) -> NDArray[Any]:
    """Return rows with the means of observed cells."""
    w = np.ones(len(X)) if weights is None else weights.values
    zeros = np.where(missing, 0, X)
    with np.errstate(over="ignore", invalid="ignore"):  # `Scale` tells
        share = w @ ~missing
        mean = (w @ zeros / np.where(share > 0, share, 1.0)).astype(X.dtype)
    # The mean of equal numbers need not be that number to the last bit.
    low = np.where(missing, np.inf, X).min(axis=0)
    high = np.where(missing, -np.inf, X).max(axis=0)
    return np.where(missing, mean.clip(low, high), X)


def _filling(scale: Scale, X: NDArray[Any], weights: Weights | None) -> Filling:
    """Return what fills scaled rows, fitted to those that are not extreme."""
    every = -(-X.size // MAX_NUMBERS)
    x = scale.apply(X[::every])
    some = None if weights is None else weights[::every]
    n_known = (~np.isnan(x)).sum(axis=1).clip(min=1)
    squares = np.nansum(np.square(x), axis=1) * (x.shape[1] / n_known)
    typical = is_typical(squares, some)
    fit = fit_gaussian(x[typical], None if some is None else some.values[typical])
    mean, unit = map(torch.from_numpy, (fit.mean, fit.unit))
    return Filling(fit.gaussian, mean, unit)


def _filled(
    X: NDArray[Any], scale: Scale, filling: Filling, weights: Weights | None
) -> tuple[NDArray[Any], Array]:
    """Return rows in the units of the data, and the covariance of what is not known."""
    filled, total = X.copy(), torch.zeros((), dtype=torch.float64)
    w = torch.from_numpy(np.ones(len(X)) if weights is None else weights.values)
    module = scale.module()
    for rows in row_slices(*X.shape):
        x = filling.standardised(torch.from_numpy(scale.apply(X[rows])))
        expected = filling.gaussian.expectation(x, w[rows])
        total = total + expected.covariance
        whole = module.to_units(filling.scaled(expected.rows)).numpy()
        filled[rows] = np.where(np.isnan(X[rows]), whole, X[rows])
    spread = total / w.sum() * filling.unit
    spread = spread * (filling.unit if spread.ndim == 1 else filling.unit[:, None])
    return filled, spread.numpy()
