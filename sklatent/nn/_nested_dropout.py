"""Decoding the first latents only, for ordered latents."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._manual import has_hooks
from ._mlp import Tape
from ._residual import ResidualMap
from ._sizes import Sizes

#: For each decoder that had rows: its number, its slice of the rows, and its tape.
Tapes = list[tuple[int, slice, Tape]]


def first_latents(u: Tensor, sizes: Sizes | int) -> Tensor:
    """Return latents (..., n, k), set to zero from number ``sizes[i]`` on in row i."""
    last = sizes if isinstance(sizes, int) else sizes.each[:, None]
    return u * (torch.arange(u.shape[-1], device=u.device) < last)


def part_for(size: int, bounds: Sequence[int]) -> int:
    """Return the number of the first of some ascending bounds that is large enough."""
    return next(i for i, bound in enumerate(bounds) if size <= bound)


class SizeEnds(nn.Module):
    r"""The last step of a decoder, for each number of latents by itself.

    It is :math:`b + u W + h V` of latents `u` and the last hidden layer `h`.

    Parameters
    ----------
    linear : Tensor of shape (n_ends, 1 + k, n_features)
        `b` and `W` of each.
    hidden : Tensor of shape (n_ends, n_hidden, n_features)
        `V` of each.
    bounds : sequence of int
        The largest size that each is for, ascending.
    within : tuple of Tensor, each of shape (k,)
        The least and the largest latents that they were solved for.
    """

    linear: Tensor
    hidden: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        linear: Tensor,
        hidden: Tensor,
        bounds: Sequence[int],
        within: tuple[Tensor, Tensor],
    ) -> None:
        super().__init__()
        self.register_buffer("linear", linear)
        self.register_buffer("hidden", hidden)
        self.register_buffer("low", within[0])
        self.register_buffer("high", within[1])
        self.bounds = tuple(bounds)

    def forward(self, u: Tensor, h: Tensor, size: int) -> Tensor:
        """Map latents (n, k) and hidden layer (n, n_hidden) to (n, n_features)."""
        i = part_for(size, self.bounds)
        x = torch.addmm(self.linear[i, 0], u, self.linear[i, 1:])
        return x.addmm(h, self.hidden[i])

    def truncate(self, size: int) -> None:
        """Drop the ends that only larger sizes need."""
        last = part_for(size, self.bounds) + 1
        self.linear, self.hidden = self.linear[:last], self.hidden[:last]
        self.bounds = (*self.bounds[: last - 1], size)


class NestedDecoder(nn.Module):
    r"""Decoders of the first j latents, for all j, each for a range of sizes.

    The other latents are zero. One decoder for all sizes is what limits ordered latents
    most: each range has its own, and each row goes through one of them, so several cost
    little more than one.

    Parameters
    ----------
    parts : sequence of ResidualMap
        Each maps (n, k) to (n, n_features).
    bounds : sequence of int
        The largest size of each, ascending.
    """

    def __init__(self, parts: Sequence[ResidualMap], bounds: Sequence[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.bounds = tuple(bounds)
        #: Solved when training is done; until then each part has its own.
        self.ends: SizeEnds | None = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Load a state; ends that were solved later than it go."""
        if prefix + "ends.linear" not in state_dict:
            self.ends = None
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, u: Tensor, sizes: Sizes | int | None = None) -> Tensor:
        """Map (n, k) to (n, n_features).

        Parameters
        ----------
        u : Tensor of shape (n, k)
            Latents.
        sizes : Sizes of n rows, int or None
            How many to use; one number for all rows; or all there are.
        """
        if isinstance(sizes, Sizes):
            u = first_latents(u, sizes)
            if self.ends is not None:
                each = sizes.slices(tuple(range(self.bounds[-1] + 1)))
                return torch.cat([self._decode(u[rows], s) for s, rows in each])
            slices = sizes.slices(self.bounds)
            return torch.cat([self.parts[i](u[rows]) for i, rows in slices])
        size = self.bounds[-1] if sizes is None else sizes
        return self._decode(first_latents(u, size), size)

    def _decode(self, u: Tensor, size: int) -> Tensor:
        """Decode latents of which all but the first `size` are zero."""
        if self.ends is not None:
            shown = first_latents(u.clamp(self.ends.low, self.ends.high), size)
            within: Tensor = self.ends(shown, self.hidden(shown, size), size)
            # As in `ResidualMap`, the linear start maps what lies beyond.
            outer: Any = self.parts[part_for(size, self.bounds)].weight
            return within.addmm(u - shown, outer)
        x: Tensor = self.parts[part_for(size, self.bounds)](u)
        return x

    def hidden(self, u: Tensor, size: int) -> Tensor:
        """Return the last hidden layer of the decoder for this size."""
        network: Any = self.parts[part_for(size, self.bounds)].network
        for layer in list(network)[:-1]:
            u = layer(u)
        return u

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        parts: Any = self.parts
        if self.ends is not None or has_hooks(self):
            return False
        return all(part.has_manual_backward for part in parts)

    def forward_with_tape(
        self, u: Tensor, sizes: Sizes | None = None
    ) -> tuple[Tensor, tuple[Tapes, Sizes]]:
        """Do what `forward` does and keep what `backward` needs."""
        if sizes is None:
            sizes = Sizes.same(u.shape[-2], self.bounds[-1], u.device)
        u = first_latents(u, sizes)
        outputs, tapes = [], Tapes()
        for i, rows in sizes.slices(self.bounds):
            output, tape = self.parts[i].forward_with_tape(u[..., rows, :])  # type: ignore[operator]
            outputs.append(output)
            tapes.append((i, rows, tape))
        return torch.cat(outputs, dim=-2), (tapes, sizes)

    def backward(
        self,
        tapes: tuple[Tapes, Sizes],
        grad: Tensor,
        *,
        to_input: bool,  # noqa: ARG002
    ) -> Tensor:
        """Carry a gradient back as `MLP.backward` does; unused decoders get zeros."""
        used, sizes = tapes
        for i in set(range(len(self.parts))) - {i for i, *_ in used}:
            for parameter in self.parts[i].parameters():
                assert parameter.grad is not None
                parameter.grad.zero_()
        inner: list[Any] = [
            self.parts[i].backward(tape, grad[..., rows, :], to_input=True)  # type: ignore[operator]
            for i, rows, tape in used
        ]
        return first_latents(torch.cat(inner, dim=-2), sizes)

    def truncate(self, size: int) -> None:
        """Drop the decoders that only larger sizes need."""
        last = part_for(size, self.bounds)
        self.parts = self.parts[: last + 1]
        self.bounds = (*self.bounds[:last], size)
        if self.ends is not None:
            self.ends.truncate(size)
