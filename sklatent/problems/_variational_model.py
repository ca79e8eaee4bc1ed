"""Puts a probabilistic start and two networks together into a variational model."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn import (
    LatentFrame,
    Likelihood,
    NoiseVariance,
    ResidualMap,
    VariationalModel,
)
from ..plan import Plan
from ..rows import Array, Rows
from ..starts import ProbabilisticStart
from ._networks import Networks, range_of_typical, share_unused

#: Less than this share of all squares is no variance.
ROUNDING = 1e-10


def variational_model(
    plan: Plan,
    start: ProbabilisticStart,
    likelihood: Likelihood,
    floor: Array,
    rows: Rows,
) -> VariationalModel:
    """Return the model before training, in float64.

    Parameters
    ----------
    plan : Plan
        What the networks are made of. Without a linear start there are the networks
        alone, and the noise.
    start : ProbabilisticStart
        The linear part of encoder and decoder, and the noise.
    likelihood : Likelihood
        Of rows, given the decoder's output.
    floor : ndarray of shape (n_features,) or (1,)
        The least variance of the noise.
    rows : Rows
        The rows, for their scale.
    """
    words = len(rows.scale.mean) if likelihood.sees_cells else None
    networks = Networks(plan, zero=plan.linear_start, n_codes=2, n_words=words)
    variances, wider = _by_size(plan, start, likelihood.has_noise)
    ones = torch.ones(plan.n_components, dtype=torch.float64)
    least = torch.from_numpy(floor)
    parts: dict[str, Any] = {
        "frame": LatentFrame.scaling(ones),
        "scaling": rows.scale.module(),
        "noise": NoiseVariance(torch.from_numpy(variances), least),
        "likelihood": likelihood,
        "spread": None if wider is None else torch.from_numpy(wider),
        "unseen": _variance_unseen(rows, start),
    }
    network = networks.encoder()
    if not plan.linear_start:
        encoder = ResidualMap(None, None, network)
        in_units = plan.decoder is not None and likelihood.gives_scaled_rows
        decoder = networks.decoder(units=rows.scale.module() if in_units else None)
        if in_units:  # a network of the user's may begin far from the rows' mean
            far = _squared_bias(decoder, start).numpy()
            far = far.mean(keepdims=True) if variances.shape[1] == 1 else far
            parts["noise"] = NoiseVariance(torch.from_numpy(variances + far), least)
        return VariationalModel(encoder, decoder, **parts).double()

    residual = partial(_residual, plan, start, likelihood.has_noise)
    weight, bias = map(torch.from_numpy, (start.decoder_weight, start.decoder_bias))
    has_units = not likelihood.sees_cells
    decoder = networks.decoder(
        (weight, bias), lambda *s: (1.0, residual(*s) if has_units else None)
    )
    low, high = map(likelihood.features, range_of_typical(rows))
    encoder = _encoder(start, network, residual(0, None), (low, high))
    return VariationalModel(encoder, decoder, **parts).double()


def _variance_unseen(rows: Rows, start: ProbabilisticStart) -> Tensor | None:
    """Return the variance along each direction outside of the rows' basis, scaled.

    As many are counted as PCA would find; where these are none it is the noise's.
    """
    if rows.scale.basis is None:
        return None
    variance, n_directions = rows.unseen(), min(len(rows), len(rows.scale.mean))
    n_directions -= rows.shape[1]
    if n_directions <= 0 or variance <= ROUNDING * rows.sum_of_squares():
        return torch.tensor(start.noise_variance.mean(), dtype=torch.float64)
    return torch.tensor(variance / (len(rows) * n_directions), dtype=torch.float64)


@torch.no_grad()
def _squared_bias(decoder: torch.nn.Module, start: ProbabilisticStart) -> Tensor:
    """Return how far each feature is from its mean at latents of 0, squared."""
    u = torch.zeros(1, len(start.decoder_weight), dtype=torch.float32)
    mean = torch.from_numpy(start.decoder_bias)
    output: Tensor = decoder.eval()(u)
    decoder.train()
    return (output[0].double() - mean).square()


def _residual(
    plan: Plan, start: ProbabilisticStart, has_noise: bool, low: int, high: int | None
) -> Tensor:
    """Return what the start leaves of each feature, root mean square, at some sizes."""
    squares = np.square(start.decoder_weight) * has_noise
    missing = share_unused(plan, low, high) @ squares
    return torch.from_numpy(np.sqrt(np.square(start.residual) + missing))


def _encoder(
    start: ProbabilisticStart,
    network: Any,
    residual: Tensor,
    within: tuple[Tensor, Tensor],
) -> ResidualMap:
    """Return the encoder: means and log-variances of the latents."""
    weight = torch.from_numpy(start.encoder_weight)
    # As in `autoencoder`: by how much a step of each network moves what it moves.
    # Steps are measured in the noise's standard deviations.
    left = len(weight) ** 0.5
    reach = (torch.from_numpy(start.decoder_weight) / residual).norm(dim=1)
    mean_scale = (left / reach.clamp(min=left)).clamp(max=1.0)
    log_variance = torch.from_numpy(start.posterior_variance).log()
    return ResidualMap(
        torch.cat([weight, torch.zeros_like(weight)], dim=1),
        torch.cat([torch.from_numpy(start.encoder_bias), log_variance]),
        network,
        torch.cat([mean_scale, torch.ones_like(mean_scale)]),
        within=within,
    )


def _by_size(
    plan: Plan, start: ProbabilisticStart, has_noise: bool
) -> tuple[Array, Array | None]:
    r"""Return the noise's variance and the posterior's spread, by latents in use.

    What the latents that are not in use explain is noise then,
    :math:`\psi_j = \psi + \sum_{i > j} w_i^2`, and with more noise the posterior
    variances :math:`(1 + w_i \psi_j^{-1} w_i^\top)^{-1}` of the others are larger.

    Returns
    -------
    variances : ndarray of shape (k, n_features) or (k, 1)
        One row if latents are not ordered.
    spread : ndarray of shape (k, k) or None
        What is added to the log-variances of the posterior.
    """
    noise, k = start.noise_variance[None], plan.n_components
    if plan.prefixes is None:
        return noise, None
    if not has_noise:
        return np.repeat(noise, k, axis=0), np.zeros((k, k))
    squares = np.square(start.decoder_weight)
    shared = squares.mean(axis=1, keepdims=True) if noise.shape[1] == 1 else squares
    left_out = np.cumsum(shared[::-1], axis=0)[::-1] - shared
    variances = noise + left_out
    precision = np.broadcast_to(1 / variances, squares.shape)
    log_precision = np.log1p(precision @ squares.T)
    return variances, log_precision[-1] - log_precision
