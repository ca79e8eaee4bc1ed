"""Means and covariances from sums over rows."""

from collections.abc import Callable

import torch
from torch import Tensor

from ._systematic import systematic


class Moments:
    """Sums over rows, from which means and covariances come without all rows at once.

    Parameters
    ----------
    k, n_features : int
        Widths of the latents and of the rows.
    n_kept : int, default=0
        Number of rows of which the latents are kept.
    widen : callable or None, default=None
        Gives vectors (k, n_features) of rows all features of the data.

    Attributes
    ----------
    n : float
        Number of rows, or the sum of their weights.
    squares : float
        Sum of the squares of the rows' observed cells.
    left : float
        Sum of the squares of what reconstructions leave of them.
    kept : Tensor of shape (n_kept, k)
        The latents kept.
    weight_kept : Tensor of shape (n_kept,)
        Of these.
    information : Tensor of shape (k,)
        The sum of how much each latent says of a row, in nats, where that is known.
    """

    def __init__(
        self,
        k: int,
        n_features: int,
        n_kept: int = 0,
        widen: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._widen = widen or (lambda x: x)
        self.n: float = 0
        self.squares = 0.0
        self.left = 0.0
        # One tensor: many small ones would lie between the blocks and keep their
        # memory from being used again.
        self.kept = torch.zeros(n_kept, k, dtype=torch.float64)
        self.weight_kept = torch.ones(n_kept, dtype=torch.float64)
        self._n_kept = 0
        self.information = torch.zeros(k, dtype=torch.float64)
        self._u = torch.zeros(k, dtype=torch.float64)
        self._x = torch.zeros(n_features, dtype=torch.float64)
        self._xx = torch.zeros(n_features, dtype=torch.float64)
        self._uu = torch.zeros(k, k, dtype=torch.float64)
        self._ux = torch.zeros(k, n_features, dtype=torch.float64)
        self._r = torch.zeros(n_features, dtype=torch.float64)
        self._rr = 0.0

    def add(
        self,
        u: Tensor,
        x: Tensor,
        r: Tensor,
        weight: Tensor | None = None,
        known: Tensor | None = None,
    ) -> None:
        """Add the sums over some rows, all float64.

        Of latents (n, k), of rows and of their reconstructions (n, n_features), with
        the weights (n,) of these, if they have any, and 1 for each of their cells that
        is known, if not all are.
        """
        self.n += len(u) if weight is None else float(weight.sum())
        cells = 1.0 if known is None else known
        self.squares += _sum_of_squares(x * cells, weight)
        self.left += _sum_of_squares((x - r) * cells, weight)
        self._rr += _sum_of_squares(r, weight)
        self._xx += _squares_of_columns(x, weight)
        # Not roots of weights: of equal rows the variance is to be 0.
        v, x, r = (
            part if weight is None else part * weight[:, None] for part in (u, x, r)
        )
        self._r += r.sum(dim=0)
        self._u += v.sum(dim=0)
        self._x += x.sum(dim=0)
        self._uu += v.mT @ u
        self._ux += u.mT @ x

    def keep(self, u: Tensor, weight: Tensor | None = None) -> None:
        """Keep these latents, and their weights."""
        part = slice(self._n_kept, self._n_kept + len(u))
        self.kept[part] = u
        if weight is not None:
            self.weight_kept[part] = weight
        self._n_kept += len(u)

    def probe(self) -> Tensor:
        """Return at most 64 of the latents kept, to take a Jacobian at.

        A Jacobian takes 2 k passes for each. Heavy ones are there more than once.
        """
        kept, n_features = self.kept, len(self._x)
        most = min(64, max(25, 2**20 // (kept.shape[1] * n_features)))
        step = -(-len(kept) // most)
        if bool((self.weight_kept == 1).all()):
            return kept[::step]
        return kept[systematic(self.weight_kept, -(-len(kept) // step))]

    @property
    def mean(self) -> Tensor:
        """Mean of the latents, shape (k,)."""
        return self._u / self.n

    @property
    def mean_of_rows(self) -> Tensor:
        """Mean of the data's features, about their centre, shape (n_features,)."""
        return self._widen(self._x[None] / self.n)[0]

    @property
    def variance_of_rows(self) -> Tensor:
        """Variance of the data's features, with n, shape (n_features,)."""
        variance = self._xx / self.n - (self._x / self.n).square()
        return self._widen(variance[None])[0].clamp(min=0)

    @property
    def covariance(self) -> Tensor:
        """Covariance of the latents, shape (k, k), with n - 1 as in PCA."""
        return (self._uu - torch.outer(self._u, self.mean)) / (self.n - 1)

    @property
    def cross_covariance(self) -> Tensor:
        """Covariance of latents and the data's features, (k, n_features)."""
        return self._widen((self._ux - torch.outer(self.mean, self._x)) / (self.n - 1))

    def explained_by_regression(self) -> float:
        """Return the sum of squares that a regression on the latents explains."""
        cross = self._ux - torch.outer(self.mean, self._x)
        inverse = torch.linalg.pinv(self.covariance * (self.n - 1), hermitian=True)
        return float((cross * (inverse @ cross)).sum())

    @property
    def variance_of_reconstruction(self) -> float:
        """Variance of the reconstruction, summed over features."""
        return (self._rr - float(self._r @ self._r) / self.n) / (self.n - 1)


def _sum_of_squares(x: Tensor, weight: Tensor | None) -> float:
    flat = x.flatten()
    if weight is None:
        return float(torch.dot(flat, flat))
    return float(torch.dot(flat, (x * weight[:, None]).flatten()))


def _squares_of_columns(x: Tensor, weight: Tensor | None) -> Tensor:
    squares = x.square()
    return squares.sum(dim=0) if weight is None else weight @ squares
