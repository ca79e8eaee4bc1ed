"""Rows with missing cells: a Gaussian of them, and the rows filled by it."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..nn import Filling
from ..rows import (
    Array,
    GappedRows,
    Rows,
    Scale,
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
) -> tuple[Rows, Filling]:
    """Return rows, filled where cells are missing, and what fills those of other rows.

    That is the conditional mean under a Gaussian of the observed cells (`fit_gaussian`)
    of all rows but extreme ones.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data, NaN where missing; each row and each feature has an observed cell.
    keeps_constant, known
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
        rows = rows_of(X, keeps_constant=keeps_constant, known=known)
        return rows, _filling(rows.scale, X)
    whole = _with_means(X, missing)
    scale = Scale.of(whole, keeps_constant=keeps_constant, known=known)
    filling = _filling(scale, X)
    filled, spread = _filled(X, scale, filling)
    mean = scale.mean.copy()
    varies = slice(None) if scale.varying is None else scale.varying
    mean[varies] = filled[:, varies].mean(axis=0, dtype=np.float64)
    final = replace(scale, mean=mean)
    moved = (final.center.astype(np.float64) - scale.center) / scale.scale
    filling.mean -= torch.from_numpy(moved)
    chosen = slice(None) if len(scale.center) == X.shape[1] else scale.varying
    return GappedRows(filled, final, ~missing[:, chosen], spread), filling


def _with_means(X: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Return rows with the means of observed cells."""
    zeros = np.where(missing, 0, X)
    with np.errstate(over="ignore"):  # `Scale` tells
        total = zeros.sum(axis=0, dtype=np.float64)
    mean = (total / (~missing).sum(axis=0)).astype(X.dtype)
    # The mean of equal numbers need not be that number to the last bit.
    low = np.where(missing, np.inf, X).min(axis=0)
    high = np.where(missing, -np.inf, X).max(axis=0)
    return np.where(missing, mean.clip(low, high), X)


def _filling(scale: Scale, X: NDArray[Any]) -> Filling:
    """Return what fills scaled rows, fitted to those that are not extreme."""
    some = X[:: -(-X.size // MAX_NUMBERS)]
    x = scale.apply(some)
    n_known = (~np.isnan(x)).sum(axis=1).clip(min=1)
    squares = np.nansum(np.square(x), axis=1) * (x.shape[1] / n_known)
    fit = fit_gaussian(x[is_typical(squares)])
    mean, unit = map(torch.from_numpy, (fit.mean, fit.unit))
    return Filling(fit.gaussian, mean, unit)


def _filled(
    X: NDArray[Any], scale: Scale, filling: Filling
) -> tuple[NDArray[Any], Array]:
    """Return rows in the units of the data, and the covariance of what is not known."""
    filled, total = X.copy(), torch.zeros((), dtype=torch.float64)
    module = scale.module()
    for rows in row_slices(*X.shape):
        x = filling.standardised(torch.from_numpy(scale.apply(X[rows])))
        expected = filling.gaussian.expectation(x)
        total = total + expected.covariance
        whole = module.to_units(filling.scaled(expected.rows)).numpy()
        filled[rows] = np.where(np.isnan(X[rows]), whole, X[rows])
    spread = total / len(X) * filling.unit
    if spread.ndim == 2:
        spread = spread * filling.unit[:, None]
    else:
        spread = spread * filling.unit
    return filled, spread.numpy()
