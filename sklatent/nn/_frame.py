"""The frame in which users read the latents."""

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


class Moments:
    r"""Sums over rows, from which `principal_frame` is computed.

    Parameters
    ----------
    k, n_features : int
        Widths of the latents and of the rows.
    """

    def __init__(self, k: int, n_features: int) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64)

        self.n = 0
        self.u, self.uu, self.ux = zeros(k), zeros(k, k), zeros(k, n_features)
        self.x = zeros(n_features)
        self.r, self.rr = zeros(n_features), zeros(n_features)

    def add(self, u: Tensor, x: Tensor, reconstruction: Tensor) -> None:
        """Add rows: latents (n, k), rows and reconstructions (n, n_features)."""
        u, x, r = (t.double().cpu() for t in (u, x, reconstruction))
        self.n += len(u)
        self.u += u.sum(0)
        self.x += x.sum(0)
        self.uu += u.mT @ u
        self.ux += u.mT @ x
        self.r += r.sum(0)
        self.rr += r.square().sum(0)

    @property
    def mean(self) -> Tensor:
        """Mean of the latents, shape (k,)."""
        return self.u / self.n

    @property
    def covariance(self) -> Tensor:
        """Covariance of the latents, shape (k, k), with n - 1 as in PCA."""
        return (self.uu - torch.outer(self.u, self.mean)) / (self.n - 1)

    @property
    def cross_covariance(self) -> Tensor:
        """Covariance of latents and features, shape (k, n_features)."""
        return (self.ux - torch.outer(self.mean, self.x)) / (self.n - 1)

    @property
    def reconstructed_variance(self) -> float:
        """Total variance of the reconstruction."""
        variance = (self.rr - self.r.square() / self.n) / (self.n - 1)
        return float(variance.sum())


def principal_frame(
    moments: Moments, scale: Tensor, *, unit: float, whiten: bool
) -> LatentFrame:
    r"""Return the frame in which latents read like those of PCA.

    With `S` the diagonal matrix of `scale` and :math:`V \Lambda V^\top` the
    eigendecomposition of the covariance of :math:`u S`, sorted, it is
    :math:`A = c\,S V`: a rotation of the latents on the scale given. The factor `c`
    makes their total variance that of the reconstruction, as it is in PCA. Each sign
    makes the largest covariance with a feature positive; for PCA that is the sign of
    its largest loading, which scikit-learn makes positive.

    Parameters
    ----------
    moments : Moments
        Of the training rows.
    scale : Tensor of shape (k,)
        The scale of PCA's latents for inner latents of unit variance.
    unit : float
        The unit of the rows that `moments` saw, in units of the latents wanted.
    whiten : bool
        Whether to scale each latent to unit variance, as in PCA.

    Returns
    -------
    frame : LatentFrame
        In float64.
    """
    covariance = scale[:, None] * moments.covariance * scale
    variance, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
    variance, vectors = variance.flip(0).clamp(min=0), vectors.flip(1)
    cross = (vectors.mT * scale) @ moments.cross_covariance
    largest = cross.gather(1, cross.abs().argmax(dim=1, keepdim=True)).squeeze(1)
    vectors = vectors * torch.where(largest < 0, -1.0, 1.0)

    total = float(variance.sum())
    factor = (moments.reconstructed_variance / total) ** 0.5 if total > 0 else 1.0
    size = torch.full_like(scale, unit * (factor if factor > 0 else 1.0))
    if whiten:
        size = 1 / variance.sqrt().clamp(min=torch.finfo(variance.dtype).eps)
    return LatentFrame(
        moments.mean,
        scale[:, None] * vectors * size,
        (vectors / size).mT / scale,
    )
