"""A basis of few directions, in which sparse rows of many features are seen."""

from typing import Any

import numpy as np
from scipy.linalg import lu
from scipy.sparse import diags_array

from ._scale import Array

#: Directions, at least.
N_DIRECTIONS = 400
#: Rows or features up to which the directions are found exactly.
MAX_EXACT = 1500
#: Power iterations, and further directions to find the others by.
N_ITERATIONS, N_FURTHER = 5, 20


def principal_basis(
    X: Any, mean: Array, size: int, weights: Array | None = None
) -> Array:
    """Return an orthonormal basis of the directions in which rows vary most.

    It is the span of the first principal axes, from a Gram matrix where rows or
    features are few, else by a randomised range finder with power iterations (Halko,
    Martinsson & Tropp 2011). The mean is taken off in the products, so that no row is
    ever dense. Within the span the basis is a random one, always the same: coordinates
    then have like variances, as features have, and AdamW trains as on these; along
    principal axes it would step as far along the least as along the first.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
    mean : ndarray of shape (n_features,)
    size : int
        How many directions, at most ``min(X.shape)``.
    weights : ndarray of shape (n_samples,) or None
        How much each row counts.

    Returns
    -------
    basis : ndarray of shape (n_features, size)
    """
    root = np.sqrt(np.ones(X.shape[0]) if weights is None else weights)
    centred = _Centred(X.astype(np.float64), mean, root)
    size = min(size, *X.shape)
    found = _by_gram(centred, size) if min(X.shape) <= MAX_EXACT else None
    if found is None:
        found = _by_power_iterations(centred, size)
    random = np.random.RandomState(0).standard_normal((found.shape[1],) * 2)
    return np.ascontiguousarray(found @ np.linalg.qr(random)[0])


class _Centred:
    r"""Products with :math:`A = \mathrm{diag}(r) (X - 1 m^\top)`, without that matrix.

    Parameters
    ----------
    X : sparse matrix of shape (n, p), float64
    mean : ndarray of shape (p,)
        `m`.
    root : ndarray of shape (n,)
        `r`, the roots of weights.
    """

    def __init__(self, X: Any, mean: Array, root: Array) -> None:
        self.X = diags_array(root).tocsr() @ X
        self.mean, self.root, self.shape = mean, root, X.shape

    def times(self, M: Array) -> Array:
        """Return A M."""
        return np.asarray(self.X @ M - np.outer(self.root, self.mean @ M))

    def transposed_times(self, M: Array) -> Array:
        """Return A' M."""
        return np.asarray(self.X.T @ M - np.outer(self.mean, self.root @ M))

    def gram(self) -> Array:
        """Return A A' or A' A, whichever is smaller."""
        X, (n, p), mean, root = self.X, self.shape, self.mean, self.root
        products = (X.T @ X if p <= n else X @ X.T).toarray()
        one, along = (mean, root @ X) if p <= n else (root, X @ mean)
        squares = root @ root if p <= n else mean @ mean
        cross = np.outer(one, along)
        return np.asarray(products - cross - cross.T + squares * np.outer(one, one))


def _by_gram(A: _Centred, size: int) -> Array:
    """Return principal axes by the eigenvectors of a Gram matrix."""
    squares, vectors = np.linalg.eigh(A.gram())
    # Rows of lower rank have fewer axes, but one at least.
    known = squares > 1e-12 * max(squares[-1], 1e-300)
    known[-1] = True
    axes = vectors[:, known][:, : -size - 1 : -1]
    if A.shape[1] <= A.shape[0]:
        return np.asarray(axes)
    axes = A.transposed_times(axes)
    if not axes.any():
        axes[0] = 1.0
    return _orthonormal(axes / np.linalg.norm(axes, axis=0))


def _by_power_iterations(A: _Centred, size: int) -> Array:
    """Return principal axes by a randomised range finder."""
    n_drawn = min(size + N_FURTHER, *A.shape)
    Q = np.random.RandomState(0).standard_normal((A.shape[1], n_drawn))
    for _ in range(N_ITERATIONS):
        Q = lu(A.times(Q), permute_l=True, overwrite_a=True)[0]
        Q = lu(A.transposed_times(Q), permute_l=True, overwrite_a=True)[0]
    Q = _orthonormal(Q)
    along = A.times(Q)
    vectors = np.linalg.eigh(along.T @ along)[1]
    return np.asarray(Q @ vectors[:, : -size - 1 : -1])


def _orthonormal(Q: Array) -> Array:
    """Return orthonormal columns of the same span, for a matrix of full rank.

    By two products, which take far less time than the Householder vectors of a tall
    matrix; the second undoes the rounding of the first (as in Cholesky QR: Yamamoto et
    al. 2015).
    """
    for _ in range(2):
        squares, axes = np.linalg.eigh(Q.T @ Q)
        Q = Q @ (axes / np.sqrt(squares.clip(min=1e-300)))
    return Q
