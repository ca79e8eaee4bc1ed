"""A fitted model, taken over to other rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..nn import (
    MLP,
    Gate,
    LatentModel,
    NestedDecoder,
    NoiseVariance,
    ResidualMap,
    VariationalModel,
    copy_module,
)

State = dict[str, Tensor]


def taken_over(previous: LatentModel, new: LatentModel, x: Tensor) -> list[State]:
    """Return states of a new model in which it has the networks of a fitted one.

    Weights that are frozen in the fitted model are then frozen in the new one.

    In the first, mean, scale and linear maps are those of the new rows, and the
    networks go on from there: where all rows have been moved or stretched, nothing is
    lost. In the second the model is the fitted one, as it was, in the new scale.

    Parameters
    ----------
    previous : LatentModel
        The fitted model.
    new : LatentModel
        One with the same parts, as the new rows start it, in float64.
    x : Tensor of shape (n, n_features), float64
        Some of the new rows, scaled.

    Returns
    -------
    states : list of dict
        In float64. Empty where the models have not the same parts, or the new one is
        exact.
    """
    old = copy_module(previous).double().eval()
    old.filling = None  # which is that of the new rows
    same_size = len(old.frame.mean) == len(new.frame.mean) == previous.n_components
    is_exact = any(getattr(n, "gain", 1.0) == 0 for n in _networks(new))
    same_parts = same_size and type(old) is type(new)
    if not same_parts or is_exact:  # a start that leaves nothing to gain
        return []
    encoders = [_networks(model)[0] for model in (old, new)]
    mlps = [network for network in encoders if isinstance(network, MLP)]
    if any(network.skip_weight is not None for network in mlps):
        for network in mlps:
            network.add_skip()  # where rows were few, or are, there is none
    for weight, fitted in zip(new.parameters(), old.parameters(), strict=True):
        weight.requires_grad_(fitted.requires_grad)
    new = copy_module(new)  # states share nothing with it
    before = old.scaling.varying_features()[new.scaling.varying_features()]
    widens = old.scaling.n_scaled < new.scaling.n_scaled
    old.scaling = new.scaling
    if isinstance(old.decoder, NestedDecoder):
        old.decoder.ends = None
    if isinstance(old, VariationalModel) and isinstance(new, VariationalModel):
        old.likelihood = new.likelihood  # of rows that are not scaled
    if widens:
        _widen(old, new, before.nonzero()[:, 0])
    kept = copy_module(old)
    encoder, start = _parts(old)[0], _parts(new)[0]
    encoder.low, encoder.high = start.low, start.high
    for ours, theirs in zip(_networks(old), _networks(new), strict=True):
        _match_gain(ours, theirs)
    followed = _with_linear_maps(old, new, x)
    if not _rescale(kept, previous, new):
        return [followed.state_dict()]
    for ours, theirs in zip(_networks(kept), _networks(new), strict=True):
        _match_gain(ours, theirs)
    _join_ranges(_parts(kept)[0], start)
    return [followed.state_dict(), kept.state_dict()]


@torch.no_grad()
def _widen(old: LatentModel, new: LatentModel, places: Tensor) -> None:
    """Give a model features that were constant, with weights of 0.

    Parameters
    ----------
    old : LatentModel
        The model; what it had stands at `places` among the features of the other.
    new : LatentModel
        One that has them all. Their noise is its noise.
    places : Tensor of int
    """
    for part, other in zip(old.modules(), new.modules(), strict=True):
        tensors = (
            *part.named_parameters(recurse=False),
            *part.named_buffers(recurse=False),
        )
        for name, value in tensors:
            target = getattr(other, name)
            differs = np.flatnonzero(np.not_equal(value.shape, target.shape))
            if not len(differs):
                continue
            wide = target.detach().clone()
            if not isinstance(part, NoiseVariance) and name != "scale":
                wide.zero_()
            wide.index_copy_(int(differs[0]), places, value.detach())
            is_weight = isinstance(value, nn.Parameter)
            setattr(part, name, nn.Parameter(wide) if is_weight else wide)


def _join_ranges(encoder: ResidualMap, other: ResidualMap) -> None:
    """Widen the encoder's input range to that of the other: old and new rows."""
    if encoder.low is None or encoder.high is None:
        return
    assert other.low is not None
    assert other.high is not None
    encoder.low = torch.minimum(encoder.low, other.low)
    encoder.high = torch.maximum(encoder.high, other.high)


def _parts(model: LatentModel) -> list[ResidualMap]:
    """Return the encoder and all decoders."""
    decoder: Any = model.decoder
    decoders = [decoder] if isinstance(decoder, ResidualMap) else list(decoder.parts)
    encoder: Any = model.encoder
    return [encoder, *decoders]


def _networks(model: LatentModel) -> list[nn.Module | None]:
    return [part.network for part in _parts(model)]


@torch.no_grad()
def _match_gain(network: Any, other: Any) -> None:
    """Have a network of ours give the same with the gain of another."""
    if isinstance(network, MLP | Gate) and network.gain != other.gain:
        for tensor in _last_tensors(network):
            tensor.mul_(network.gain / other.gain)
        network.gain = other.gain


def _last_tensors(network: MLP | Gate) -> Iterator[Tensor]:
    if isinstance(network, Gate):
        return network.parameters(recurse=False)
    return network.last_parameters()


@torch.no_grad()
def _with_linear_maps(old: LatentModel, new: LatentModel, x: Tensor) -> LatentModel:
    """Give the fitted networks the new linear maps, turned to the fitted latents."""
    encoder: Any
    start: Any
    encoder, *decoders = _parts(old)
    start, *starts = _parts(new)
    for decoder, first in zip(decoders, starts, strict=True):
        decoder.units = first.units
    if encoder.weight is None:
        return old
    k = len(old.frame.mean)
    before = (x @ encoder.weight + encoder.bias)[:, :k]
    rotation = turn((x @ start.weight + start.bias)[:, :k], before, old)
    for code in range(0, start.weight.shape[1], k):  # means, and log-variances
        part, by = slice(code, code + k), rotation.abs() if code else rotation
        encoder.weight[:, part] = start.weight[:, part] @ by
        encoder.bias[part] = start.bias[part] @ by
    for decoder, first in zip(decoders, starts, strict=True):
        assert decoder.weight is not None
        assert first.weight is not None
        decoder.weight.copy_(rotation.mT @ first.weight)
        if decoder.outer is not None:
            decoder.outer.copy_(decoder.weight)
        decoder.bias = first.bias
    return old


def turn(u: Tensor, before: Tensor, model: LatentModel) -> Tensor:
    """Return the orthogonal matrix by which new latents come closest to the fitted.

    Of ordered latents only signs may change, and of those whose posterior is diagonal
    also their order; others may be rotated (Procrustes).
    """
    cross = (u - u.mean(dim=0)).mT @ (before - before.mean(dim=0))
    if not isinstance(model.decoder, ResidualMap):
        return torch.diag(torch.where(cross.diagonal() < 0, -1.0, 1.0).to(cross))
    if isinstance(model, VariationalModel):
        rows, columns = linear_sum_assignment(-cross.abs().numpy())
        turn = torch.zeros_like(cross)
        turn[rows, columns] = torch.where(cross[rows, columns] < 0, -1.0, 1.0).to(cross)
        return turn
    left, _, right = torch.linalg.svd(cross)
    rotation: Tensor = left @ right
    return rotation


@torch.no_grad()
def _rescale(model: LatentModel, previous: LatentModel, new: LatentModel) -> bool:
    """Have a model of rows in one scale be the same of rows in another, if it can be.

    With the old scale :math:`(x - m) / s` and the new one :math:`(x - m') / s'`, rows
    in the old one are :math:`r x + d` of the new.
    """
    if not model.gives_scaled_rows:
        return False  # its likelihood and its encoder see rows as they are
    encoder, *decoders = _parts(model)
    if not all(isinstance(network, MLP | None) for network in _networks(model)):
        return False
    before, now = previous.scaling, new.scaling
    ratio = float(now.scale / before.scale)
    center = before.mean if now.varying is None else before.mean[now.varying]
    if now.basis is not None:
        center = before.center
    shift = (now.center - center) / before.scale
    if encoder.low is not None and encoder.high is not None:
        encoder.low = (encoder.low - shift) / ratio
        encoder.high = (encoder.high - shift) / ratio
    if encoder.network is not None:
        first: Any = encoder.network[0]  # type: ignore[index]
        first.bias.add_(first.weight @ shift)
        first.weight.mul_(ratio)
        skip: Any = encoder.network.skip_weight
        if skip is not None:
            encoder.network[-1].bias.add_(skip @ shift)  # type: ignore[index]
            skip.mul_(ratio)
    if encoder.weight is not None and encoder.bias is not None:
        encoder.bias.add_(shift @ encoder.weight)
        encoder.weight.mul_(ratio)
    for decoder in decoders:
        if decoder.weight is not None and decoder.bias is not None:
            decoder.weight.div_(ratio)
            if decoder.outer is not None:
                decoder.outer.div_(ratio)
            decoder.bias.sub_(shift).div_(ratio)
        if decoder.network is not None:
            last: Any = decoder.network[-1]  # type: ignore[index]
            last.weight.div_(ratio)
            last.bias.div_(ratio)
            if decoder.weight is None:
                last.bias.sub_(shift / (ratio * decoder.network.gain))  # type: ignore[operator]
    if isinstance(model, VariationalModel):
        for name in ("start", "log_floor"):
            getattr(model.noise, name).sub_(2 * torch.tensor(ratio).log())
    return True
