"""Puts a linear start and two networks together into the module to train."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._linear_start import LinearStart
from ._probabilistic_start import ProbabilisticStart
from .nn import (
    MLP,
    AutoencoderModule,
    Gate,
    LatentFrame,
    Likelihood,
    NoiseVariance,
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
    """

    n_features: int
    n_components: int
    hidden: tuple[int, ...]
    activation: str
    encoder: Network
    decoder: Network
    n_codes: int = 1

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The widths of our networks."""
        n_code = self.n_components * self.n_codes
        return {
            "encoder": (self.n_features, *self.hidden, n_code),
            "decoder": (self.n_components, *self.hidden[::-1], self.n_features),
        }

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
    whiten: bool,
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
    whiten : bool
        Whether the latents have unit variance at the start.
    seed : int
        For the networks' weights.
    """
    a = architecture
    generator = torch.Generator().manual_seed(seed)
    zero = start is not None
    gains = {"encoder": 1.0, "decoder": 1.0 if start is None else start.residual}
    encode, decode = (_network(n, a, zero, gains[n], generator) for n in a.sizes)
    if start is None:
        return AutoencoderModule(
            ResidualMap(None, None, encode),
            ResidualMap(None, None, decode),
            LatentFrame.scaling(torch.ones(a.n_components)),
        ).double()
    tensor = torch.from_numpy
    scale = tensor(start.latent_scale)
    # A step of the encoder's network moves the reconstruction by about as much as a
    # step of the decoder's: by what the linear model leaves.
    left = start.residual * a.n_features**0.5
    return AutoencoderModule(
        ResidualMap(
            tensor(start.encoder_weight),
            tensor(start.encoder_bias),
            encode,
            (left / scale).clamp(max=1.0),
        ),
        ResidualMap(
            tensor(start.decoder_weight),
            tensor(start.decoder_bias),
            decode,
        ),
        LatentFrame.scaling(torch.ones_like(scale) if whiten else unit * scale),
    ).double()


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
    encode, decode = (_network(n, a, linear, 1.0, generator) for n in a.sizes)
    frame = LatentFrame.scaling(torch.ones(a.n_components))
    noise = NoiseVariance(tensor(start.noise_variance), tensor(floor))
    if not linear:
        plain = ResidualMap(None, None, encode), ResidualMap(None, None, decode)
        return VariationalModule(*plain, noise, likelihood, frame).double()
    zeros = torch.zeros(a.n_features, a.n_components, dtype=torch.float64)
    size = tensor(start.residual)
    # As in `assemble`: by how much a step of each network moves what it moves. Steps
    # are measured in the noise's standard deviations.
    left = (len(size)) ** 0.5
    reach = (tensor(start.decoder_weight) / size).norm(dim=1)
    mean_scale = (left / reach.clamp(min=left)).clamp(max=1.0)
    log_variance = tensor(start.posterior_variance).log()
    encoder = ResidualMap(
        torch.cat([tensor(start.encoder_weight), zeros], dim=1),
        torch.cat([tensor(start.encoder_bias), log_variance]),
        encode,
        torch.cat([mean_scale, torch.ones_like(mean_scale)]),
    )
    decoder = ResidualMap(
        tensor(start.decoder_weight), tensor(start.decoder_bias), decode, size
    )
    return VariationalModule(encoder, decoder, noise, likelihood, frame).double()


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
