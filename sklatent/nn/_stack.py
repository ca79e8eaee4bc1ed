"""Several models of one shape as one, so that a step of training is one for all.

Where networks are small, a step costs far less arithmetic than calls, and the same
calls can serve all members: their tensors are stacked along a new first dimension.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._latent_model import LatentModel
from ._mlp import ACTIVATION_FUNCTIONS, MLP
from ._nested_dropout import NestedDecoder
from ._residual import ResidualMap
from ._saving import copy_module

#: What `StackedMLP.forward_with_tape` keeps of each layer: its input, and the same
#: before the activation.
Tape = list[tuple[Tensor, Tensor]]


def can_stack(models: Sequence[LatentModel]) -> bool:
    """Return whether models have the same parts, and gradients that are written out.

    Networks are then of one shape. Weights that are frozen are not stacked.
    """
    shapes = [{n: t.shape for n, t in model.state_dict().items()} for model in models]
    return (
        all(shape == shapes[0] for shape in shapes)
        and all(model.has_manual_backward for model in models)
        and all(w.requires_grad for model in models for w in model.parameters())
    )


def stack_models(models: Sequence[LatentModel]) -> LatentModel:
    """Return a model of batches (m, n, n_features), a member for each model.

    It has `forward_scaled`, `forward_with_tape` and `backward`, and no more. Call
    `share_weights` when its parameters have got their place in memory.
    """
    stacked: Any = copy_module(models[0])
    stacked.encoder = StackedMap([model.encoder for model in models])
    decoders: list[Any] = [model.decoder for model in models]
    if isinstance(decoders[0], NestedDecoder):
        parts = zip(*(decoder.parts for decoder in decoders), strict=True)
        maps: list[Any] = [StackedMap(members) for members in parts]
        stacked.decoder = NestedDecoder(maps, decoders[0].bounds)
    else:
        stacked.decoder = StackedMap(decoders)
    if hasattr(stacked, "head"):
        stacked.head = StackedMap([model.get_submodule("head") for model in models])  # type: ignore[misc]
    for name, part in stacked.named_children():
        if name in ("noise", "likelihood"):
            _stack_tensors(part, [getattr(model, name) for model in models])
    if getattr(stacked, "spread", None) is not None:
        stacked.spread = _stack([model.get_buffer("spread") for model in models])
    model: LatentModel = stacked
    return model


def share_weights(stacked: LatentModel, models: Sequence[LatentModel]) -> None:
    """Make the parameters of models views of those of their stack."""
    for i, model in enumerate(models):
        for whole, part in zip(stacked.parameters(), model.parameters(), strict=True):
            part.data = whole.data[i].view_as(part)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors so that they broadcast with (m, n, n_out)."""
    whole = torch.stack([tensor.detach() for tensor in tensors])
    while whole.dim() < 3:
        whole = whole.unsqueeze(1)
    return whole


def _stack_tensors(part: nn.Module, others: Sequence[nn.Module]) -> None:
    """Give a module the parameters and buffers of several, stacked."""
    for name in part._parameters:
        weights = [other.get_parameter(name) for other in others]
        part._parameters[name] = nn.Parameter(_stack(weights))
    for name, buffer in part._buffers.items():
        if buffer is not None:
            part._buffers[name] = _stack([other.get_buffer(name) for other in others])


class StackedMLP(nn.Module):
    """Several `MLP` of one shape.

    Parameters
    ----------
    members : sequence of MLP
        Of which the weights are copied.
    """

    gain: Tensor

    def __init__(self, members: Sequence[MLP]) -> None:
        super().__init__()
        self.function, self.derivative = ACTIVATION_FUNCTIONS[members[0].activation]
        gains = torch.tensor([member.gain for member in members], dtype=torch.float32)
        self.register_buffer("gain", _stack(list(gains)))
        skips = [member.skip_weight for member in members]
        known = [skip for skip in skips if skip is not None]
        #: As in the members it comes before the layers: see `share_weights`.
        self.skip = nn.Parameter(_stack(known)) if known else None
        #: Of each layer: ``layer.weight`` is slower than an item of a list.
        self.layers: list[tuple[nn.Parameter, nn.Parameter]] = []
        for i in range(0, len(members[0]), 2):
            weight, bias = (
                nn.Parameter(_stack([getattr(member[i], name) for member in members]))
                for name in ("weight", "bias")
            )
            self.register_parameter(f"weight{i}", weight)
            self.register_parameter(f"bias{i}", bias)
            self.layers.append((weight, bias))

    def forward(self, x: Tensor) -> Tensor:
        """Map (m, n, n_in) to (m, n, n_out)."""
        return self.forward_with_tape(x)[0]

    def forward_with_tape(self, x: Tensor) -> tuple[Tensor, Tape]:
        """Do what `forward` does and keep what `backward` needs."""
        tape, before, given = Tape(), x, x
        for i, (weight, bias) in enumerate(self.layers):
            if i:
                x = self.function(before)
            tape.append((x, before))
            before = torch.baddbmm(bias, x, weight.mT)
        if self.skip is not None:
            before.baddbmm_(given, self.skip.mT)
        return before.mul_(self.gain), tape

    def backward(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Do what `MLP.backward` does."""
        grad = outer = grad * self.gain
        if self.skip is not None:
            assert self.skip.grad is not None
            torch.bmm(grad.mT, tape[0][0], out=self.skip.grad)
        for i in reversed(range(len(tape))):
            (x, before), (weight, bias) = tape[i], self.layers[i]
            assert weight.grad is not None
            assert bias.grad is not None
            torch.sum(grad, 1, keepdim=True, out=bias.grad)
            torch.bmm(grad.mT, x, out=weight.grad)
            if i or to_input:
                grad = torch.bmm(grad, weight)
            if i:
                grad = self.derivative(grad, before, x)
        if not to_input:
            return None
        return grad if self.skip is None else torch.baddbmm(grad, outer, self.skip)


class StackedMap(nn.Module):
    """Several `ResidualMap` of one shape, with linear maps or without.

    Parameters
    ----------
    members : sequence of ResidualMap
        Of which all tensors are copied.
    """

    #: Members are only stacked where it is true of them.
    has_manual_backward = True

    weight: Tensor | None
    bias: Tensor | None
    scale: Tensor | None
    low: Tensor | None
    high: Tensor | None
    outer: Tensor | None

    def __init__(self, members: Sequence[ResidualMap]) -> None:
        super().__init__()
        for name in members[0]._buffers:
            tensors = [member._buffers[name] for member in members]
            known = [tensor for tensor in tensors if tensor is not None]
            self.register_buffer(name, _stack(known) if known else None)
        networks = [member.network for member in members]
        plain = [network for network in networks if isinstance(network, MLP)]
        self.network = StackedMLP(plain) if plain else None

    def forward(self, x: Tensor, sizes: None = None) -> Tensor:  # noqa: ARG002
        """Map (m, n, n_in) to (m, n, n_out)."""
        shown = x if self.low is None else x.clamp(self.low, self.high)
        return self._run(x, shown)[0]

    def forward_with_tape(
        self,
        x: Tensor,
        sizes: None = None,  # noqa: ARG002
    ) -> tuple[Tensor, Tape]:
        """Do what `forward` does within the range of the training rows."""
        return self._run(x, x)

    def _run(self, x: Tensor, shown: Tensor) -> tuple[Tensor, Tape]:
        """Return what `ResidualMap` does, for an input and the same within limits."""
        if self.network is None:
            assert self.weight is not None
            assert self.bias is not None
            return torch.baddbmm(self.bias, x, self.weight), []
        y, tape = self.network.forward_with_tape(shown)
        if self.weight is None:
            return y, tape
        assert self.bias is not None
        if self.scale is not None:
            y = y.mul_(self.scale)
        if self.outer is None or shown is x:
            return y.add_(self.bias).baddbmm_(x, self.weight), tape
        y = y.add_(self.bias).baddbmm_(shown, self.weight)
        return y.baddbmm_(x - shown, self.outer), tape

    def backward(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Do what `ResidualMap.backward` does."""
        result = None
        if self.network is not None:
            inner = grad if self.scale is None else grad * self.scale
            result = self.network.backward(tape, inner, to_input=to_input)
        if self.weight is None or not to_input:
            return result
        back = self.weight.mT
        return torch.bmm(grad, back) if result is None else result.baddbmm_(grad, back)
