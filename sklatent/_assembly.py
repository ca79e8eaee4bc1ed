"""Puts a linear start and two networks together into the module to train."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._linear_start import LinearStart
from ._probabilistic_start import ProbabilisticStart
from ._scaling import Array
from .nn import (
    MLP,
    AutoencoderModule,
    Gate,
    LatentFrame,
    Likelihood,
    NoiseVariance,
    PrefixDecoder,
    ResidualMap,
    VariationalModule,
    check_width,
)

#: What users give for a network of their own.
Network = nn.Module | Callable[[int, int], nn.Module] | None


@dataclass(frozen=True)
class Architecture:
    """What the module is made of.

    Attributes
    ----------
    n_features, n_components : int
        Widths of the rows and the latents.
    hidden : tuple of int
        The encoder's hidden layers; the decoder has them in reverse.
    activation : str
        A key of `nn.ACTIVATIONS`.
    encoder, decoder : nn.Module, callable or None
        The user's own networks.
    n_codes : int
        Numbers that the encoder gives for each latent: 1, or 2 for a mean and a
        log-variance.
    prefixes : ndarray of shape (n_components,) or None
        How often training uses the first 1, 2, ... latents only, if they are ordered.
    n_decoders : int
        Of ordered latents, each for sizes up to a half of those of the next.
    weight_size : float
        Of the hidden layers' weights before training, as in `nn.MLP`.
    """

    n_features: int
    n_components: int
    hidden: tuple[int, ...]
    activation: str
    encoder: Network
    decoder: Network
    n_codes: int = 1
    prefixes: NDArray[np.float64] | None = None
    n_decoders: int = 1
    weight_size: float = 1.0

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The widths of our networks."""
        n_code = self.n_components * self.n_codes
        return {
            "encoder": (self.n_features, *self.hidden, n_code),
            "decoder": (self.n_components, *self.hidden[::-1], self.n_features),
        }

    @property
    def bounds(self) -> list[int]:
        """The largest latent size of each decoder: a quarter, a half and all.

        A network of somebody else is only there once: it may not bear the few rows of a
        batch that would be left to each.
        """
        k = self.n_components
        if self.prefixes is None or self.decoder is not None:
            return [k]
        return sorted({k // 2**i for i in range(self.n_decoders)} - {0})

    def unused(self, low: int = 0, high: int | None = None) -> NDArray[np.float64]:
        """Return how often each latent is not used, at sizes above low up to high."""
        share = np.zeros(self.n_components)
        if self.prefixes is None:
            return share
        within = self.prefixes[low:high]
        if within.sum() == 0:  # sizes that are not asked for
            within = np.ones_like(within)
        share[low:high] = within / within.sum()
        return np.cumsum(share) - share

    @property
    def own(self) -> bool:
        """Whether both networks are ours."""
        return self.encoder is None and self.decoder is None

    @property
    def n_weights(self) -> int:
        """Weights of our networks: half the operations of a row's forward pass."""
        return sum(a * b for sizes in self.sizes.values() for a, b in pairwise(sizes))


def assemble(
    architecture: Architecture,
    start: LinearStart | None,
    *,
    unit: float,
    seed: int,
) -> AutoencoderModule:
    """Return the module before training, in float64.

    Parameters
    ----------
    architecture : Architecture
        What it is made of.
    start : LinearStart or None
        The linear part of encoder and decoder; None for the networks alone.
    unit : float
        The unit of the rows that the module sees, in units of the latents.
    seed : int
        For the networks' weights.
    """
    a = architecture
    generator = torch.Generator().manual_seed(seed)
    if start is None:
        return AutoencoderModule(
            ResidualMap(None, None, _network("encoder", a, False, 1.0, generator)),
            _decoder(a, None, lambda *_: (1.0, None), generator),
            LatentFrame.scaling(torch.ones(a.n_components)),
        ).double()
    tensor = torch.from_numpy
    scale = tensor(start.latent_scale)
    variance = np.square(start.decoder_weight).sum(axis=1) / a.n_features

    def residual(low: int = 0, high: int | None = None) -> float:
        """Return what the start leaves of an entry, root mean square."""
        return float(np.sqrt(start.residual**2 + variance @ a.unused(low, high)))

    # A step of the encoder's network moves the reconstruction by about as much as a
    # step of the decoder's: by what the linear model leaves.
    left = residual() * a.n_features**0.5
    encoder = ResidualMap(
        tensor(start.encoder_weight),
        tensor(start.encoder_bias),
        _network("encoder", a, True, 1.0, generator),
        (left / scale).clamp(max=1.0),
    )
    linear = tensor(start.decoder_weight), tensor(start.decoder_bias)
    decoder = _decoder(a, linear, lambda *sizes: (residual(*sizes), None), generator)
    return AutoencoderModule(
        encoder, decoder, LatentFrame.scaling(unit * scale)
    ).double()


def _decoder(
    architecture: Architecture,
    linear: tuple[Tensor, Tensor] | None,
    steps: Callable[[int, int], tuple[float, Tensor | None]],
    generator: torch.Generator,
) -> ResidualMap | PrefixDecoder:
    """Return the decoder, or those for ranges of sizes if latents are ordered.

    Parameters
    ----------
    architecture : Architecture
        What it is made of.
    linear : tuple of Tensor or None
        Weight and bias of its linear part.
    steps : callable
        Gives the network's gain and the scale of its output, for sizes above the first
        argument up to the second.
    generator : Generator
        For the networks' weights.
    """
    weight, bias = (None, None) if linear is None else linear
    parts = []
    for low, high in pairwise([0, *architecture.bounds]):
        gain, scale = steps(low, high)
        zero = linear is not None
        network = _network("decoder", architecture, zero, gain, generator)
        parts.append(ResidualMap(weight, bias, network, scale))
    if architecture.prefixes is None:
        return parts[0]
    return PrefixDecoder(parts, architecture.bounds)


def assemble_variational(
    architecture: Architecture,
    start: ProbabilisticStart,
    likelihood: Likelihood,
    floor: NDArray[np.float64],
    *,
    linear: bool,
    seed: int,
) -> VariationalModule:
    """Return the variational module before training, in float64.

    Parameters
    ----------
    architecture : Architecture
        What it is made of.
    start : ProbabilisticStart
        The linear part of encoder and decoder, and the noise.
    likelihood : Likelihood
        What the decoder's output says.
    floor : ndarray of shape (n_features,) or (1,)
        The least variance of the noise.
    linear : bool
        Whether the start is used; without it there are the networks alone, and the
        noise.
    seed : int
        For the networks' weights.
    """
    a = architecture
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.from_numpy
    encode = _network("encoder", a, linear, 1.0, generator)
    frame = LatentFrame.scaling(torch.ones(a.n_components))
    variances, wider = _by_size(start, a, likelihood.has_noise)
    noise = NoiseVariance(tensor(variances), tensor(floor))
    spread = None if wider is None else tensor(wider)
    if not linear:
        decoder = _decoder(a, None, lambda *_: (1.0, None), generator)
        encoder = ResidualMap(None, None, encode)
        parts = encoder, decoder, noise, likelihood, frame, spread
        return VariationalModule(*parts).double()
    squares = np.square(start.decoder_weight) * likelihood.has_noise

    def residual(low: int = 0, high: int | None = None) -> Tensor:
        """Return what the start leaves of each feature, root mean square."""
        missing = a.unused(low, high) @ squares
        return tensor(np.sqrt(np.square(start.residual) + missing))

    zeros = torch.zeros(a.n_features, a.n_components, dtype=torch.float64)
    # As in `assemble`: by how much a step of each network moves what it moves. Steps
    # are measured in the noise's standard deviations.
    left = a.n_features**0.5
    reach = (tensor(start.decoder_weight) / residual()).norm(dim=1)
    mean_scale = (left / reach.clamp(min=left)).clamp(max=1.0)
    log_variance = tensor(start.posterior_variance).log()
    encoder = ResidualMap(
        torch.cat([tensor(start.encoder_weight), zeros], dim=1),
        torch.cat([tensor(start.encoder_bias), log_variance]),
        encode,
        torch.cat([mean_scale, torch.ones_like(mean_scale)]),
    )
    loadings = tensor(start.decoder_weight), tensor(start.decoder_bias)
    decoder = _decoder(a, loadings, lambda *s: (1.0, residual(*s)), generator)
    parts = encoder, decoder, noise, likelihood, frame, spread
    return VariationalModule(*parts).double()


def _by_size(
    start: ProbabilisticStart, architecture: Architecture, has_noise: bool
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
        What the log-variances of the posterior have more.
    """
    noise = start.noise_variance[None]
    k = architecture.n_components
    if architecture.prefixes is None:
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


def _network(
    name: str,
    architecture: Architecture,
    zero: bool,
    gain: float,
    generator: torch.Generator,
) -> nn.Module | None:
    """Return the 'encoder' or 'decoder', 0 at first if `zero`; None if it stays so."""
    sizes = architecture.sizes[name]
    given: Network = getattr(architecture, name)
    if given is None:
        if zero and len(sizes) == 2:
            return None
        return MLP(
            sizes,
            architecture.activation,
            zero_last=zero,
            generator=generator,
            gain=gain,
            weight_size=architecture.weight_size,
        )
    network = given
    if not isinstance(given, nn.Module):
        widths = architecture.sizes
        network = given(
            architecture.n_features,
            widths["encoder"][-1] if name == "encoder" else architecture.n_components,
        )
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"{name} must be an nn.Module or a callable (n_features, n_components) -> "
            f"nn.Module; it returned {network!r}."
        )
    try:
        network = copy.deepcopy(network).float().train()
    except RuntimeError as error:
        raise ValueError(
            f"{name} cannot be copied, as fit must do (a weight_norm must be the one "
            f"of torch.nn.utils.parametrizations): {error}"
        ) from error
    check_width(network, sizes[0], sizes[-1], name)
    return Gate(network, sizes[-1], gain) if zero else network
