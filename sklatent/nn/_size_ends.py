"""The ends of a nested decoder, solved for each number of latents by itself."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ._autoencoder_model import AutoencoderModel
from ._batch import Batch
from ._losses import Loss
from ._mlp import MLP
from ._nested_dropout import NestedDecoder, SizeEnds, first_latents
from ._placement import exact, moved
from ._tails import BEYOND

#: Numbers that all ends of a model may have together: some 16 MB.
MAX_NUMBERS = 2**22


def can_solve_ends(module: Any, loss: Loss) -> bool:
    """Return whether the loss is least squares in last layers that are known."""
    if not loss.is_squared_error or not isinstance(module, AutoencoderModel):
        return False
    decoder = module.decoder
    if not isinstance(decoder, NestedDecoder) or not module.has_manual_backward:
        return False
    return all(
        isinstance(part.network, MLP)
        and part.weight is not None
        and all(p.requires_grad for p in part.network[-1].parameters())
        for part in decoder.parts
    )


@torch.no_grad()
def solve_ends(
    module: AutoencoderModel, batches: Sequence[Batch], penalty: float
) -> SizeEnds:
    r"""Solve for the ends of a nested decoder, as `LastLayer` does for one.

    Each size, or range of sizes where there are many, is a regression of the rows on
    the latents in use, without a penalty, and on the last hidden layer.

    Parameters
    ----------
    module : AutoencoderModel
        One of which `can_solve_ends` is true.
    batches : sequence of Batch
        The training rows.
    penalty : float
        As in `LastLayer.weights`.
    """
    decoder: Any = module.decoder
    rows = [(module.latents(batch.inputs), batch) for batch in batches]
    n_features = batches[0].target.shape[1]
    bounds = _bounds(decoder, n_features)
    solved = []
    for low, high in pairwise([0, *bounds]):
        gram: Any = 0.0
        cross: Any = 0.0
        for size in range(low + 1, high + 1):
            for u, batch in rows:
                design = weighted = _design(decoder, u, size)
                target = _target(decoder, u, size, batch)
                if batch.weight is not None:
                    weighted = design * moved(batch.weight, design.device)[:, None]
                gram = gram + weighted.mT @ design
                cross = cross + weighted.mT @ target
        solved.append(_ridge(gram.cpu(), cross.cpu(), 1 + rows[0][0].shape[1], penalty))
    linear, hidden = zip(*solved, strict=True)
    least = torch.stack([u.amin(dim=0) for u, _ in rows]).amin(dim=0)
    most = torch.stack([u.amax(dim=0) for u, _ in rows]).amax(dim=0)
    beyond = BEYOND * (most - least)
    within = exact(least - beyond).cpu(), exact(most + beyond).cpu()
    return SizeEnds(torch.stack(linear), torch.stack(hidden), bounds, within)


def _bounds(decoder: NestedDecoder, n_features: int) -> list[int]:
    """Return the largest size that each end is for; no end is for two decoders."""
    k = decoder.bounds[-1]
    network: Any = decoder.parts[0].network
    most = max(1, MAX_NUMBERS // ((network[-1].in_features + 1 + k) * n_features))
    even = torch.linspace(0, k, min(k, most) + 1).round().long()[1:].tolist()
    return sorted({*even, *decoder.bounds})


def _design(decoder: NestedDecoder, u: Tensor, size: int) -> Tensor:
    """Return 1, the latents in use and the last hidden layer, in float64."""
    used = first_latents(u, size)
    hidden = decoder.hidden(used, size)
    return exact(torch.cat([u.new_ones(len(u), 1), used, hidden], dim=1))


def _target(decoder: NestedDecoder, u: Tensor, size: int, batch: Batch) -> Tensor:
    """Return rows in float64, with what missing cells were decoded to so far."""
    target = batch.target
    if batch.mask is not None:
        target = torch.where(batch.mask > 0, target, decoder(u, size))
    return exact(target)


def _ridge(
    gram: Tensor, cross: Tensor, m: int, penalty: float
) -> tuple[Tensor, Tensor]:
    """Return the weights of the first m columns, unpenalised, and of the others."""
    inverse = torch.linalg.pinv(gram[:m, :m], hermitian=True)
    linear, to_hidden = inverse @ cross[:m], inverse @ gram[:m, m:]
    left = gram[m:, m:] - gram[m:, :m] @ to_hidden
    added = penalty * left.diagonal().mean().clamp(min=1e-300)
    left = left + added * torch.eye(len(left), dtype=left.dtype, device=left.device)
    hidden = torch.linalg.solve(left, cross[m:] - gram[m:, :m] @ linear)
    return linear - to_hidden @ hidden, hidden
