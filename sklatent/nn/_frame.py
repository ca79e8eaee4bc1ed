"""The frame in which users read the latents."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class LatentFrame(nn.Module):
    r"""An invertible affine change of coordinates, :math:`z = (u - m) A`.

    Training leaves the latents `u` in any frame it likes; this one makes them read
    like PCA's: zero mean, uncorrelated, sorted by variance.

    Parameters
    ----------
    mean : Tensor of shape (k,)
        The mean of `u`.
    matrix, inverse : Tensor of shape (k, k)
        `A` and its inverse. Both are given, since both are known in closed form.
    """

    mean: Tensor
    matrix: Tensor
    inverse: Tensor

    def __init__(self, mean: Tensor, matrix: Tensor, inverse: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("matrix", matrix)
        self.register_buffer("inverse", inverse)

    def forward(self, u: Tensor) -> Tensor:
        """Map inner latents (n, k) to the frame."""
        return (u - self.mean) @ self.matrix

    def back(self, z: Tensor) -> Tensor:
        """Map latents (n, k) in the frame to inner ones."""
        return torch.addmm(self.mean, z, self.inverse)

    @classmethod
    def scaling(cls, scale: Tensor) -> "LatentFrame":
        """Return the frame that multiplies latent j by ``scale[j]``."""
        return cls(torch.zeros_like(scale), torch.diag(scale), torch.diag(1 / scale))


@torch.no_grad()
def decoder_gram(decoder: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    r"""Return the mean of :math:`J J^\top` over latents `u`.

    J is the decoder's Jacobian, :math:`\partial \hat x / \partial u`, of shape
    (k, n_features), here by finite differences: they ask nothing of a network that
    somebody else wrote.

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take it.

    Returns
    -------
    gram : Tensor of shape (k, k)
        What steps along the latents do to the reconstruction: a step `d` moves it by
        :math:`(d^\top\, \mathrm{gram}\; d)^{1/2}`, root mean square.
    """
    sizes = 1e-7 * u.std(dim=0).clamp(min=1e-3)
    k, n_features = u.shape[1], decoder(u[:1]).shape[1]
    gram = torch.zeros(k, k, dtype=u.dtype)
    # All latents of a few rows at a time: some 30 MB, whatever the widths.
    for rows in torch.split(u, max(1, 2**22 // (k * n_features))):
        jacobian = torch.empty(k, len(rows), n_features, dtype=u.dtype)
        here = decoder(rows)
        for j in range(k):
            there = rows.clone()
            there[:, j] += sizes[j]
            jacobian[j] = (decoder(there) - here) / sizes[j]
        flat = jacobian.flatten(1)
        gram += flat @ flat.mT
    return gram / len(u)


def principal_frame(
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    gram: Tensor,
    total_variance: float,
    *,
    unit: float,
    whiten: bool,
) -> LatentFrame:
    r"""Return the frame in which latents read like those of PCA.

    In PCA a step of one length along any latent moves the reconstruction by one and
    the same length. So first come coordinates in which that holds on average,
    :math:`u M` with :math:`M = \mathrm{gram}^{1/2}`; then the rotation `V` to their
    principal axes, sorted by variance; then one factor `c`, by which their variances
    add up to that of the reconstruction, as they do in PCA: :math:`A = c M V`. The sign
    of each makes its largest covariance with a feature positive, which for PCA is the
    sign that scikit-learn chooses, by its largest loading.

    Parameters
    ----------
    mean : Tensor of shape (k,)
        Mean of the inner latents.
    covariance : Tensor of shape (k, k)
        Their covariance.
    cross_covariance : Tensor of shape (k, n_features)
        Their covariance with the features.
    gram : Tensor of shape (k, k)
        From `decoder_gram`.
    total_variance : float
        The variance of the reconstruction, summed over features.
    unit : float
        The unit of all of these, in units of the latents wanted. (Its square, in which
        variances are, need not be a float.)
    whiten : bool
        Whether to scale each latent to unit variance, as in PCA.

    Returns
    -------
    frame : LatentFrame
    """
    squared, axes = torch.linalg.eigh((gram + gram.mT) / 2)
    # A latent that moves nothing still needs a scale, or there is no way back.
    squared = (
        squared.clamp(min=1e-12 * float(squared[-1]))
        if squared[-1] > 0
        else (torch.ones_like(squared))
    )
    metric, back = ((axes * squared**power) @ axes.mT for power in (0.5, -0.5))

    covariance = metric @ covariance @ metric
    variance, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
    variance, vectors = variance.flip(0).clamp(min=0), vectors.flip(1)
    cross = vectors.mT @ metric @ cross_covariance
    largest = cross.gather(1, cross.abs().argmax(dim=1, keepdim=True)).squeeze(1)
    size = torch.where(largest < 0, -1.0, 1.0).to(variance)
    total = float(variance.sum())
    if not whiten:
        known = total > 0 and total_variance > 0
        size *= unit * ((total_variance / total) ** 0.5 if known else 1.0)
    else:
        size /= variance.sqrt().clamp(min=torch.finfo(variance.dtype).eps)
    return LatentFrame(mean, metric @ vectors * size, (vectors / size).mT @ back)


class Moments:
    """Sums over rows, from which means and covariances come without all rows at once.

    Parameters
    ----------
    k, n_features : int
        Widths of the latents and of the rows.
    """

    def __init__(self, k: int, n_features: int) -> None:
        self.n = 0
        self._u = torch.zeros(k, dtype=torch.float64)
        self._x = torch.zeros(n_features, dtype=torch.float64)
        self._uu = torch.zeros(k, k, dtype=torch.float64)
        self._ux = torch.zeros(k, n_features, dtype=torch.float64)
        self._r = torch.zeros(n_features, dtype=torch.float64)
        self._rr = 0.0

    def add(self, u: Tensor, x: Tensor, r: Tensor) -> None:
        """Add float64 rows: latents (n, k), features and reconstruction (n, p)."""
        self.n += len(u)
        self._r += r.sum(dim=0)
        self._rr += float(r.square().sum())
        self._u += u.sum(dim=0)
        self._x += x.sum(dim=0)
        self._uu += u.mT @ u
        self._ux += u.mT @ x

    @property
    def mean(self) -> Tensor:
        """Mean of the latents, shape (k,)."""
        return self._u / self.n

    @property
    def covariance(self) -> Tensor:
        """Covariance of the latents, shape (k, k), with n - 1 as in PCA."""
        return (self._uu - torch.outer(self._u, self.mean)) / (self.n - 1)

    @property
    def cross_covariance(self) -> Tensor:
        """Covariance of latents and features, shape (k, n_features)."""
        return (self._ux - torch.outer(self.mean, self._x)) / (self.n - 1)

    @property
    def total_variance(self) -> float:
        """Variance of the reconstruction, summed over features."""
        return (self._rr - float(self._r @ self._r) / self.n) / (self.n - 1)
