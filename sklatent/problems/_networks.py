"""The networks of a fit: of ours, or of the user's."""

import copy
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ..nn import (
    BEYOND,
    MLP,
    Gate,
    NestedDecoder,
    ResidualMap,
    Scaling,
    Tails,
    check_width,
)
from ..plan import Network, Plan
from ..rows import Array, Rows


class Networks:
    """Makes the networks of one model.

    Parameters
    ----------
    plan : Plan
        What they are made of.
    zero : bool
        Whether they are 0 at first, and added to a linear map.
    n_codes : int, default=1
        Numbers that the encoder gives for each latent: 1, or 2 for a mean and a
        log-variance.
    n_words : int or None, default=None
        The width of the decoder's output, where it is a linear map to words.
    skips : bool, default=False
        Whether the encoder's network has a linear map of its own beside its layers.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        zero: bool,
        n_codes: int = 1,
        n_words: int | None = None,
        skips: bool = False,
    ) -> None:
        self.plan = plan
        self.zero = zero
        self.skips = skips
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.encoder_widths = (plan.n_features, *plan.hidden)
        self.encoder_widths += (n_codes * plan.n_components,)
        self.decoder_widths = (plan.n_components, *plan.hidden[::-1], plan.n_features)
        if n_words is not None:
            self.decoder_widths = (plan.n_components, n_words)
        self.learns_words = n_words is not None and not plan.linear
        #: Of copies of the user's networks, so that what they share stays shared.
        self._copied: dict[int, object] = {}

    def encoder(self) -> nn.Module | None:
        """Return the encoder's network; None if it would stay 0."""
        return self._network("encoder", self.plan.encoder, self.encoder_widths, 1.0)

    def decoder(
        self,
        linear: tuple[Tensor, Tensor] | None = None,
        steps: Callable[[int, int], tuple[float, Tensor | None]] = lambda *_: (1, None),
        units: Scaling | None = None,
    ) -> ResidualMap | NestedDecoder:
        """Return the decoder, or those for ranges of sizes if latents are ordered.

        Parameters
        ----------
        linear : tuple of Tensor or None
            Weight and bias of its linear part.
        steps : callable
            Returns the network's gain and the scale of its output, for sizes above the
            first argument up to the second.
        units : Scaling or None
            Of the rows, where a network of the user's gives them in the units of the
            data.
        """
        weight, bias = (None, None) if linear is None else linear
        bounds, parts = self._bounds(), []
        for low, high in pairwise([0, *bounds]):
            gain, scale = steps(low, high)
            given = self.plan.decoder
            network = self._network("decoder", given, self.decoder_widths, gain)
            parts.append(ResidualMap(weight, bias, network, scale, units))
        return parts[0] if self.plan.prefixes is None else NestedDecoder(parts, bounds)

    def _bounds(self) -> list[int]:
        """Return the largest latent size of each decoder: a quarter, a half and all.

        A network of somebody else is only there once: it may not bear the few rows of a
        batch that would be left to each.
        """
        k = self.plan.n_components
        if self.plan.prefixes is None or self.plan.decoder is not None:
            return [k]
        return sorted({k // 2**i for i in range(self.plan.n_decoders)} - {0})

    def _network(
        self, name: str, given: Network, widths: tuple[int, ...], gain: float
    ) -> nn.Module | None:
        if given is not None:
            network = self._users(name, given, widths)
            return Gate(network, gain) if self.zero else network
        is_trained = name == "decoder" and self.learns_words
        if self.zero and len(widths) == 2 and not is_trained:
            return None
        return MLP(
            widths,
            self.plan.activation,
            zero_last=self.zero,
            generator=self.generator,
            gain=gain,
            weight_size=self.plan.weight_size,
            skips=self.skips and name == "encoder",
        )

    def _users(self, name: str, given: Network, widths: tuple[int, ...]) -> nn.Module:
        """Return a copy of a network of the user's own, after a check."""
        network = given
        if not isinstance(given, nn.Module):
            assert given is not None
            code = widths[-1] if name == "encoder" else widths[0]
            network = given(self.plan.n_features, code)
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"{name} must be an nn.Module or a callable (n_features, n_components) "
                f"-> nn.Module; it returned {network!r}."
            )
        try:
            network = copy.deepcopy(network, self._copied).float().train()
        except RuntimeError as error:
            raise ValueError(
                f"{name} cannot be copied, as fit must do (a weight_norm must be the "
                f"one of torch.nn.utils.parametrizations): {error}"
            ) from error
        check_width(network, widths[0], widths[-1], name)
        return network


def check_networks(plan: Plan, n_codes: int = 1) -> None:
    """Raise where a network of the user's is not as required, before any computing."""
    if plan.previous is not None:
        return
    networks = Networks(plan, zero=False, n_codes=n_codes)
    for name, given, widths in (
        ("encoder", plan.encoder, networks.encoder_widths),
        ("decoder", plan.decoder, networks.decoder_widths),
    ):
        if given is not None:
            networks._users(name, given, widths)


def range_of_typical(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the range of the rows that are not extreme, and `BEYOND` it.

    Noise of a denoising autoencoder goes beyond the rows.
    """
    low, high = rows.typical().range()
    beyond = BEYOND * (high - low)
    return torch.from_numpy(low - beyond), torch.from_numpy(high + beyond)


def limits_by_tails(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the range of the rows that are not extreme, and room by its tails."""
    typical = rows.typical()
    tails = Tails(rows.shape[1])
    for x in typical.blocks():
        tails.add(torch.from_numpy(x))
    return tails.limits()


def share_unused(plan: Plan, low: int = 0, high: int | None = None) -> Array:
    """Return how often each latent is not used, at sizes above low up to high.

    Returns
    -------
    share : ndarray of shape (n_components,)
        Zeros where latents are not ordered.
    """
    share = np.zeros(plan.n_components)
    if plan.prefixes is None:
        return share
    within = plan.prefixes[low:high]
    if within.sum() == 0:  # sizes that are not asked for
        within = np.ones_like(within)
    share[low:high] = within / within.sum()
    return np.cumsum(share) - share
