"""Cells hidden from a model: how well it fills them from the rest of their rows."""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..nn import saved

#: Groups of features, of which one at a time is hidden.
N_GROUPS = 8
#: Steps from the least squares fill on.
N_STEPS = 3
#: Steps end when none moves a cell by more than this share of the feature's range.
TOLERANCE = 1e-4
#: Training rows of which the loadings are, at most.
MAX_ROWS = 2000
#: Cells that are filled at once, about.
MAX_CELLS = 2**21


def group_numbers(n_features: int) -> NDArray[np.intp]:
    """Return each feature's group, drawn at random but always the same."""
    shuffled = np.random.RandomState(0).permutation(n_features)
    numbers = np.empty(n_features, np.intp)
    numbers[shuffled] = np.arange(n_features) % N_GROUPS
    return numbers


def least_squares_fill(
    x: NDArray[Any],
    offset: NDArray[np.float64],
    loadings: NDArray[np.float64],
    groups: NDArray[np.intp],
) -> NDArray[np.float64]:
    r"""Return each cell as the rest of its row predicts it, by a linear decoder.

    Let :math:`\hat x = b + z W`. With the features `G` hidden, the row's latents are
    those that come closest to the visible ones, :math:`z = \arg\min_z \| x_{-G} -
    b_{-G} - z W_{-G} \|`, and :math:`b_G + z W_G` fills the hidden ones. (So the cells
    of a group have no part in their own prediction, as they have where a row is
    projected with all of them: Bro et al. 2008.)

    Parameters
    ----------
    x : ndarray of shape (n, p)
        Rows.
    offset, loadings : ndarray of shape (p,) and (k, p)
        `b` and `W`.
    groups : ndarray of shape (p,)
        The group of each feature.

    A cell that is NaN is visible to none.

    Returns
    -------
    filled : ndarray of shape (n, p)
        What fills each cell while its group is hidden.
    """
    # Latents of one unit: where the visible features leave some of them open, the
    # smallest are taken, which for PCA at full size is the mean.
    W = loadings / _lengths(loadings)
    away = x - offset
    filled = np.empty(x.shape)
    for group in range(groups.max() + 1):
        hidden = groups == group
        z = _least_squares(W[:, ~hidden].T, away[:, ~hidden])
        filled[:, hidden] = offset[hidden] + z @ W[:, hidden]
    return filled


def _least_squares(
    design: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the smallest least squares fits (n, k) of rows, to what is not NaN."""
    known = ~np.isnan(targets)
    some = np.flatnonzero(~known.all(axis=1))
    fits = np.linalg.lstsq(design, np.where(known, targets, 0).T, rcond=None)[0].T
    inverses = np.linalg.pinv(known[some][:, :, None] * design)
    seen = np.where(known[some], targets[some], 0)
    fits[some] = np.einsum("nkv,nv->nk", inverses, seen)
    return np.asarray(fits)


def reconstruct(model: Any, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the latents of rows, and the rows that a fitted transformer makes of them.

    The rows may be arrays where it was fitted to a frame.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        Z = model.transform(X)
        return np.asarray(Z), np.asarray(model.inverse_transform(Z))


@saved
@dataclass(frozen=True)
class HiddenCells:
    r"""What is needed of the training rows to fill hidden cells of others.

    A model is asked for cells that it has not seen, rather than for rows that it has:
    then more latents do not always do better (Wold 1978; Owen & Perry 2009). Hidden
    cells are filled with the fixed point of

    .. math:: x_G \leftarrow \hat x(x)_G .

    If the model is an orthogonal projection, as PCA, this point is the least squares
    fill. For another it is approached by a few steps, from the least squares fill with
    the best linear approximation of its decoder on. No cell is filled with a value
    beyond those of its feature in the training rows.

    Attributes
    ----------
    mean, low, high : ndarray of shape (p,)
        Of each feature.
    offset, loadings : ndarray of shape (p,) and (k, p)
        The linear approximation of the decoder, by regression.

    References
    ----------
    S. Wold (1978). Cross-validatory estimation of the number of components in factor
    and principal components models. Technometrics 20.

    R. Bro, K. Kjeldahl, A. K. Smilde and H. A. L. Kiers (2008). Cross-validation of
    component models: a critical look at current methods. Analytical and Bioanalytical
    Chemistry 390.

    A. B. Owen and P. O. Perry (2009). Bi-cross-validation of the SVD and the
    nonnegative matrix factorization. Annals of Applied Statistics 3.

    J. Josse and F. Husson (2012). Selecting the number of components in principal
    component analysis using cross-validation approximations. Computational Statistics &
    Data Analysis 56.
    """

    mean: NDArray[np.float64]
    low: NDArray[Any]
    high: NDArray[Any]
    offset: NDArray[np.float64]
    loadings: NDArray[np.float64]

    @classmethod
    def of(cls, model: Any, X: Any) -> Self:
        """Look at the training rows, an array or a sparse matrix (n, p)."""
        n, p = X.shape
        most = min(MAX_ROWS, max(64, 2**24 // p))
        Z, X_hat = reconstruct(model, X[:: -(-n // most)])
        offset = X_hat.mean(axis=0, dtype=np.float64)
        latents = Z - Z.mean(axis=0, dtype=np.float64)
        latents /= _lengths(latents.T).T
        loadings = np.linalg.lstsq(latents, X_hat - offset, rcond=None)[0]
        if not issparse(X) and np.isnan(X).any():
            mean = np.asarray(np.nanmean(X, axis=0, dtype=np.float64))
            low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
            return cls(mean, low, high, offset, loadings)
        mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
        low, high = (_dense(end).ravel() for end in (X.min(axis=0), X.max(axis=0)))
        return cls(mean, low, high, offset, loadings)

    def fill(self, model: Any, x: NDArray[Any]) -> NDArray[Any]:
        """Return what fills each cell of rows (n, p) while its group is hidden."""
        p = x.shape[1]
        groups, features = group_numbers(p), np.arange(p)
        hidden = np.arange(groups.max() + 1)[:, None, None] == groups
        start = least_squares_fill(x, self.offset, self.loadings, groups)
        filled = start.clip(self.low, self.high).astype(x.dtype)
        nothing = TOLERANCE * (self.high - self.low)
        for _ in range(N_STEPS):
            rows = np.where(hidden, filled, x)  # (n_groups, n, p)
            X_hat = reconstruct(model, rows.reshape(-1, p))[1].reshape(rows.shape)
            before, filled = filled, X_hat[groups, :, features].T
            filled = filled.clip(self.low, self.high).astype(x.dtype)
            if (np.abs(filled - before) <= nothing).all():
                break
        return filled

    def score(self, model: Any, X: Any) -> float:
        """Return the share of the variance of hidden cells that the model explains.

        Parameters
        ----------
        model : transformer
            Fitted to the training rows.
        X : ndarray or sparse matrix of shape (n, p)
            Other rows.

        Returns
        -------
        score : float
            1 is a perfect fill, and 0 that of the training rows' means.
        """
        n, p = X.shape
        unit = float((self.high - self.low).max()) or 1.0  # squares stay in the floats
        step = max(1, MAX_CELLS // (N_GROUPS * p))
        left = total = 0.0
        for first in range(0, n, step):
            x = _dense(X[first : first + step])
            left += float(np.nansum(np.square((x - self.fill(model, x)) / unit)))
            total += float(np.nansum(np.square((x - self.mean) / unit)))
        if total == 0:
            return 1.0 if left == 0 else 0.0
        return 1.0 - left / total


def _lengths(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the length of each row, shape (k, 1); 1 for a row of zeros."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    largest[largest == 0] = 1  # whose square may leave the floats
    lengths = np.linalg.norm(rows / largest, axis=1, keepdims=True).clip(min=1)
    result: NDArray[np.float64] = largest * lengths
    return result


def _dense(X: Any) -> NDArray[Any]:
    return X.toarray() if issparse(X) else np.asarray(X)
