"""The frame in which users read the latents."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

#: Maps latents (n, k) to rows (n, n_features).
Decoder = Callable[[Tensor], Tensor]


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
        A frame of the first j latents has j columns of `A` and rows of its inverse.
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


def _steps(u: Tensor) -> Tensor:
    """Return a small step along each latent, shape (k,)."""
    # A latent of no variance is still measured by its size, or by that of the others.
    # The squares of very large or small numbers leave the floats.
    largest = float(u.abs().max()) or 1.0
    sizes = (u / largest).std(dim=0, correction=0)
    sizes = torch.maximum(sizes, 1e-3 * (u / largest).abs().mean(dim=0))
    sizes = torch.ones_like(sizes) if not sizes.any() else sizes
    return 1e-5 * largest * sizes.clamp(min=1e-3 * float(sizes.max()))


def _derivative(decoder: Decoder, u: Tensor, j: int, step: Tensor) -> Tensor:
    """Return the derivative by latent j, of shape (n, n_features).

    It is a central difference, which asks nothing of a network that somebody else
    wrote.
    """
    ahead, behind = u.clone(), u.clone()
    ahead[:, j] += step
    behind[:, j] -= step
    return (decoder(ahead) - decoder(behind)) / (2 * step)


@torch.no_grad()
def jacobians(decoder: Decoder, u: Tensor) -> Iterator[tuple[slice, Tensor]]:
    r"""Yield the decoder's Jacobian at latents `u`, some rows at a time.

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take it.

    Yields
    ------
    rows : slice
        Of the latents.
    jacobian : Tensor of shape (n_rows, k, n_features)
        Entry (i, j, f) is the derivative of feature f by latent j at row i.
    """
    steps = _steps(u)
    k, n_features = u.shape[1], decoder(u[:1]).shape[1]
    # All latents of a few rows at a time: some 30 MB, unless the widths are large.
    height = max(16, 2**22 // (k * n_features))
    for i in range(0, len(u), height):
        rows = u[i : i + height]
        jacobian = torch.empty(len(rows), k, n_features, dtype=u.dtype)
        for j in range(k):
            jacobian[:, j] = _derivative(decoder, rows, j, steps[j])
        yield slice(i, i + len(rows)), jacobian


@torch.no_grad()
def mean_jacobian(decoder: Decoder, u: Tensor) -> Tensor:
    """Return the mean of the decoder's Jacobian over latents `u`, (k, n_features).

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take it.
    """
    steps = _steps(u)
    n_features = decoder(u[:1]).shape[1]
    total = torch.zeros(u.shape[1], n_features, dtype=u.dtype)
    for rows in torch.split(u, max(64, 2**21 // n_features)):
        for j in range(u.shape[1]):
            total[j] += _derivative(decoder, rows, j, steps[j]).sum(dim=0)
    return total / len(u)


def decoder_gram(decoder: Decoder, u: Tensor) -> Tensor:
    r"""Return the mean of :math:`J J^\top` over latents `u`.

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take its Jacobian J, of shape (k, n_features).

    Returns
    -------
    gram : Tensor of shape (k, k)
        What steps along the latents do to the reconstruction: a step `d` moves it by
        :math:`(d^\top\, \mathrm{gram}\; d)^{1/2}`, root mean square.
    """
    gram = torch.zeros(u.shape[1], u.shape[1], dtype=u.dtype)
    for _, jacobian in jacobians(decoder, u):
        flat = jacobian.transpose(0, 1).flatten(1)
        gram += flat @ flat.mT
    return gram / len(u)


def principal_frame(moments: "Moments", gram: Tensor, unit: float) -> LatentFrame:
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
        The unit of the rows, in units of the latents wanted. (Its square, in which
        variances are, need not be a float.)

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


def ordered_frame(moments: "Moments", gram: Tensor, unit: float) -> LatentFrame:
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
    least = 1e-12 * float(covariance.diagonal().max())
    ridge = torch.eye(len(covariance), dtype=covariance.dtype) * max(least, 1e-300)
    factor = torch.linalg.cholesky(covariance + ridge)
    factor = factor / factor.diagonal()
    steps = ((factor.mT @ gram) * factor.mT).sum(dim=1)
    steps = (
        steps.clamp(min=1e-12 * float(steps.max())) if steps.max() > 0 else steps + 1
    )
    lengths = steps.sqrt()
    inverse = torch.linalg.solve_triangular(
        factor, torch.eye(len(factor), dtype=factor.dtype), upper=False
    )
    return _scaled_frame(
        moments, inverse.mT * lengths, factor.mT / lengths[:, None], unit
    )


def _scaled_frame(
    moments: "Moments", matrix: Tensor, inverse: Tensor, unit: float
) -> LatentFrame:
    """Give uncorrelated latents signs, and the variance of the reconstruction."""
    variance = ((matrix.mT @ moments.covariance) * matrix.mT).sum(dim=1)
    total = float(variance.clamp(min=0).sum())
    known = total > 0 and moments.total_variance > 0
    factor = (moments.total_variance / total) ** 0.5 if known else 1.0
    size = signs(matrix.mT @ moments.cross_covariance) * (unit * factor)
    return LatentFrame(moments.mean, matrix * size, inverse / size[:, None])


def signs(cross_covariance: Tensor) -> Tensor:
    """Return the sign of each row's entry of largest size, (k, p) to (k,)."""
    index = cross_covariance.abs().argmax(dim=1, keepdim=True)
    largest = cross_covariance.gather(1, index).squeeze(1)
    return torch.where(largest < 0, -1.0, 1.0).to(largest)


class Moments:
    """Sums over rows, from which means and covariances come without all rows at once.

    Parameters
    ----------
    k, n_features : int
        Widths of the latents and of the rows.
    n_kept : int, default=0
        Number of rows of which the latents are kept.

    Attributes
    ----------
    n : int
        Number of rows.
    squares : float
        Sum of the squares of the rows.
    left : float
        Sum of the squares of what reconstructions leave of them.
    kept : Tensor of shape (n_kept, k)
        The latents kept.
    """

    def __init__(self, k: int, n_features: int, n_kept: int = 0) -> None:
        self.n = 0
        self.squares = 0.0
        self.left = 0.0
        # One tensor: many small ones would lie between the blocks and keep their
        # memory from being used again.
        self.kept = torch.zeros(n_kept, k, dtype=torch.float64)
        self._n_kept = 0
        self._u = torch.zeros(k, dtype=torch.float64)
        self._x = torch.zeros(n_features, dtype=torch.float64)
        self._uu = torch.zeros(k, k, dtype=torch.float64)
        self._ux = torch.zeros(k, n_features, dtype=torch.float64)
        self._r = torch.zeros(n_features, dtype=torch.float64)
        self._rr = 0.0

    def add(self, u: Tensor, x: Tensor, r: Tensor) -> None:
        """Add float64 rows: latents (n, k), features and reconstruction (n, p)."""
        self.n += len(u)
        self.squares += _sum_of_squares(x)
        self.left += _sum_of_squares(x - r)
        self._r += r.sum(dim=0)
        self._rr += _sum_of_squares(r)
        self._u += u.sum(dim=0)
        self._x += x.sum(dim=0)
        self._uu += u.mT @ u
        self._ux += u.mT @ x

    def keep(self, u: Tensor) -> None:
        """Keep these latents."""
        self.kept[self._n_kept : self._n_kept + len(u)] = u
        self._n_kept += len(u)

    def few(self) -> Tensor:
        """Return at most 64 of those kept: a Jacobian takes 2 k passes for each."""
        kept, n_features = self.kept, len(self._x)
        most = min(64, max(25, 2**20 // (kept.shape[1] * n_features)))
        return kept[:: -(-len(kept) // most)]

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


def _sum_of_squares(x: Tensor) -> float:
    flat = x.flatten()
    return float(torch.dot(flat, flat))
