"""Derivatives of a decoder by its latents."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

#: Steps of differences, as a share of a latent's deviation, for decoders that compute
#: in float64 and for those with a part in float32: about the cube root of the rounding.
STEP, STEP_IN_FLOAT32 = 1e-5, 3e-3

#: Maps latents (n, k) to rows (n, n_features).
Decoder = Callable[[Tensor], Tensor]


def _steps(u: Tensor, step: float) -> Tensor:
    """Return a small step along each latent, shape (k,)."""
    # A latent of no variance is still measured by its size, or by that of the others.
    # The squares of very large or small numbers leave the floats.
    largest = float(u.abs().max()) or 1.0
    sizes = (u / largest).std(dim=0, correction=0)
    sizes = torch.maximum(sizes, 1e-3 * (u / largest).abs().mean(dim=0))
    sizes = torch.ones_like(sizes) if not sizes.any() else sizes
    return step * largest * sizes.clamp(min=1e-3 * float(sizes.max()))


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
def jacobians(
    decoder: Decoder, u: Tensor, step: float = STEP
) -> Iterator[tuple[slice, Tensor]]:
    r"""Yield the decoder's Jacobian at latents `u`, some rows at a time.

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take it.
    step : float
        Of the differences, for a latent of unit deviation.

    Yields
    ------
    rows : slice
        Of the latents.
    jacobian : Tensor of shape (n_rows, k, n_features)
        Entry (i, j, f) is the derivative of feature f by latent j at row i.
    """
    steps = _steps(u, step)
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
def mean_jacobian(
    decoder: Decoder, u: Tensor, step: float = STEP, weight: Tensor | None = None
) -> Tensor:
    """Return the mean of the decoder's Jacobian over latents `u`, (k, n_features).

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take it.
    step : float
        Of the differences, for a latent of unit deviation.
    weight : Tensor of shape (n,), float64, or None
        How much each counts; None where all count alike.
    """
    steps = _steps(u, step)
    n_features = decoder(u[:1]).shape[1]
    total = torch.zeros(u.shape[1], n_features, dtype=u.dtype)
    size = max(64, 2**21 // n_features)
    for i in range(0, len(u), size):
        rows = u[i : i + size]
        for j in range(u.shape[1]):
            change = _derivative(decoder, rows, j, steps[j])
            if weight is not None:
                change *= weight[i : i + size, None]
            total[j] += change.sum(dim=0)
    return total / (len(u) if weight is None else weight.sum())


def decoder_gram(decoder: Decoder, u: Tensor, step: float = STEP) -> Tensor:
    r"""Return the mean of :math:`J J^\top` over latents `u`.

    Parameters
    ----------
    decoder : callable
        Maps (n, k) to (n, n_features).
    u : Tensor of shape (n, k), float64
        Where to take its Jacobian J, of shape (k, n_features).
    step : float
        Of the differences, for a latent of unit deviation.

    Returns
    -------
    gram : Tensor of shape (k, k)
        What steps along the latents do to the reconstruction: a step `d` moves it by
        :math:`(d^\top\, \mathrm{gram}\; d)^{1/2}`, root mean square.
    """
    gram = torch.zeros(u.shape[1], u.shape[1], dtype=u.dtype)
    for _, jacobian in jacobians(decoder, u, step):
        flat = jacobian.transpose(0, 1).flatten(1)
        gram += flat @ flat.mT
    return gram / len(u)
