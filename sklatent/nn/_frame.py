"""The frame in which users read the latents."""

import torch
from torch import Tensor, nn

from ._moments import Moments


class LatentFrame(nn.Module):
    r"""An invertible affine change of coordinates, :math:`z = (u - m) A`.

    The reconstruction does not depend on the coordinates of the latents `u`; these
    coordinates make them read like PCA's: zero mean, uncorrelated, sorted by variance.

    Parameters
    ----------
    mean : Tensor of shape (k,)
        The mean of `u`.
    matrix, inverse : Tensor of shape (k, k)
        `A` and its inverse. Both are given, since both are known in closed form.
        A frame of the first j latents has j columns of `A` and rows of its inverse.
    """

    #: Training does not change the buffers of such modules.
    has_fixed_buffers = True

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
        """Map latents (n, k), or the first few of each, to inner ones."""
        return torch.addmm(self.mean, z, self.inverse[: z.shape[1]])

    def first(self, size: int) -> "LatentFrame":
        """Return the frame of the first latents; the others are zero."""
        return LatentFrame(self.mean, self.matrix[:, :size], self.inverse[:size])

    def times(self, factor: Tensor) -> "LatentFrame":
        """Return the frame in which latent j is ``factor[j]`` times what it is here."""
        return LatentFrame(
            self.mean, self.matrix * factor, self.inverse / factor[:, None]
        )

    @classmethod
    def scaling(cls, scale: Tensor) -> "LatentFrame":
        """Return the frame that multiplies latent j by ``scale[j]``."""
        return cls(torch.zeros_like(scale), torch.diag(scale), torch.diag(1 / scale))


def principal_frame(moments: Moments, gram: Tensor, unit: float) -> LatentFrame:
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
    moments : Moments
        Of inner latents, rows and reconstructions.
    gram : Tensor of shape (k, k)
        From `decoder_gram`.
    unit : float
        The unit of the rows, in units of the latents. (Its square, in which variances
        are, need not be a float.)

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

    covariance = metric @ moments.covariance @ metric
    _, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
    vectors = vectors.flip(1)
    return _scaled_frame(moments, metric @ vectors, vectors.mT @ back, unit)


def ordered_frame(moments: Moments, gram: Tensor, unit: float) -> LatentFrame:
    r"""Return the frame in which latents read like PCA's as far as their order allows.

    The first j latents must stay functions of the first j inner ones, for all j. So
    what is predicted linearly from those before is taken off each of them, which makes
    them uncorrelated: with the covariance's factors :math:`L D L^\top` this is
    :math:`u L^{-\top}`. Each is then scaled so that a step of one length moves the
    reconstruction by one length, and all by one factor, as in `principal_frame`.

    Parameters
    ----------
    moments, gram, unit
        As for `principal_frame`.

    Returns
    -------
    frame : LatentFrame
    """
    covariance = moments.covariance
    ridge = max(1e-12 * float(covariance.diagonal().max()), 1e-300)
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    for _ in range(10):  # where latents hardly vary it is nothing but rounding
        factor, failed = torch.linalg.cholesky_ex(covariance + ridge * identity)
        if not failed:
            break
        ridge *= 1e3
    factor = factor / factor.diagonal()
    steps = ((factor.mT @ gram) * factor.mT).sum(dim=1)
    steps = (
        steps.clamp(min=1e-12 * float(steps.max())) if steps.max() > 0 else steps + 1
    )
    lengths = steps.sqrt()
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
    return _scaled_frame(
        moments, inverse.mT * lengths, factor.mT / lengths[:, None], unit
    )


def _scaled_frame(
    moments: Moments, matrix: Tensor, inverse: Tensor, unit: float
) -> LatentFrame:
    """Give uncorrelated latents signs, and the variance of the reconstruction."""
    variance = ((matrix.mT @ moments.covariance) * matrix.mT).sum(dim=1)
    total = float(variance.clamp(min=0).sum())
    target = moments.variance_of_reconstruction
    factor = (target / total) ** 0.5 if total > 0 and target > 0 else 1.0
    size = signs(matrix.mT @ moments.cross_covariance) * (unit * factor)
    return LatentFrame(moments.mean, matrix * size, inverse / size[:, None])


def signs(cross_covariance: Tensor) -> Tensor:
    """Return the sign of each row's entry of largest size, (k, p) to (k,)."""
    index = cross_covariance.abs().argmax(dim=1, keepdim=True)
    largest = cross_covariance.gather(1, index).squeeze(1)
    return torch.where(largest < 0, -1.0, 1.0).to(largest)
