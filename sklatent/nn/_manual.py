"""When a gradient written out by hand may stand in for autograd's."""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

#: The hooks that a module may have.
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def has_hooks(module: nn.Module) -> bool:
    """Return whether hooks are registered on this module."""
    return any(vars(module)[name] for name in _HOOKS)


def is_plain_mlp(network: nn.Sequential, activation: type[nn.Module]) -> bool:
    """Return whether a network is still linear layers with one activation between.

    It is not if a layer was replaced, pruned (``torch.nn.utils.prune``),
    parametrised or has hooks: then its gradient is autograd's.
    """
    layers = list(network)
    kinds = [nn.Linear, activation] * (len(layers) // 2) + [nn.Linear]
    return (
        not has_hooks(network)
        and [type(layer) for layer in layers] == kinds
        and not any(has_hooks(layer) for layer in layers)
        and all(_has_weight_and_bias(layer) for layer in layers[::2])
        and all(a.out_features == b.in_features for a, b in pairwise(layers[::2]))
    )


def _has_weight_and_bias(layer: nn.Module) -> bool:
    parameters: dict[str, Any] = layer._parameters
    return all(isinstance(parameters.get(n), Tensor) for n in ("weight", "bias"))
