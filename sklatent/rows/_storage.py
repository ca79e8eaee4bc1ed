"""The storage that suits the data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from ._dense import DenseRows
from ._large import LargeRows, is_large
from ._rows import Rows
from ._scale import MAX_FEATURES, Array, Scale
from ._sparse import SparseRows, canonical, rows_in_basis
from ._targets import Targets
from ._weights import Weights


def rows_of(
    X: Any,
    *,
    n_components: int | None = None,
    keeps_constant: bool = False,
    known: NDArray[np.bool_] | None = None,
    basis: Array | None = None,
    always_in_basis: bool = False,
    targets: Targets | None = None,
    weights: Weights | None = None,
) -> Rows:
    """Return the rows of validated data in the storage they have.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The data.
    n_components : int or None, default=None
        Of a model for which coordinates in few directions may stand for many sparse
        features; None where it is to see the features.
    keeps_constant : bool, default=False
        Whether scaled rows have the constant features as well.
    known : ndarray of bool of shape (n_features,) or None, default=None
        Features that are known to vary, if not here.
    basis : ndarray of shape (n_features, r) or None, default=None
        Directions that are known already.
    always_in_basis : bool, default=False
        Whether they are to have a basis whatever they are.
    targets : Targets or None, default=None
        What the rows are to tell besides themselves.
    weights : Weights or None, default=None
        How much each row counts; None where all count once.
    """
    sparse = issparse(X)
    X = canonical(X) if sparse else X
    few = n_components is not None and sparse and X.shape[1] > MAX_FEATURES
    rows: Rows
    if always_in_basis or basis is not None or few:
        cells = X if sparse else csr_array(X)
        rows = rows_in_basis(cells, n_components or 0, weights, basis)
    else:
        scale = Scale.of(X, keeps_constant=keeps_constant, known=known, weights=weights)
        dense = LargeRows if is_large(X) else DenseRows
        rows = (SparseRows if sparse else dense)(X, scale)
    rows.targets, rows.all_weights = targets, weights
    return rows
