"""Modules as plain arrays and a description, for pickles.

A pickle of an ``nn.Module`` holds PyTorch's own tensors, of which a small one may
bring a large storage with it. What is ours, and PyTorch's layers in it, are kept as
arrays instead; modules of the user's own as they are.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ._mlp import ACTIVATIONS, MLP
from ._nested_dropout import NestedDecoder

_INSIDE = ("_parameters", "_buffers", "_modules")
_PLAIN = {
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    *(nn.Flatten, nn.Unflatten, nn.Sequential, nn.ModuleList),
    *ACTIVATIONS.values(),
}


@dataclass
class SavedTensor:
    """A tensor as an array; tensors that are one have one of these.

    Attributes
    ----------
    values : ndarray, or Tensor where NumPy lacks the dtype
        Contiguous.
    is_trained : bool
        Whether a parameter asks for a gradient.
    """

    values: Any
    is_trained: bool

    def load(self) -> Tensor:
        """Return the tensor; it shares the array's memory, unless that is read-only."""
        if isinstance(self.values, Tensor):
            return self.values
        writeable = self.values.flags.writeable  # not so in a memory map
        return torch.from_numpy(self.values if writeable else self.values.copy())


@dataclass
class SavedModule:
    """A module without its tensors.

    Attributes
    ----------
    kind : type
        Its class.
    attributes : dict
        All that is neither parameter, buffer nor child.
    parameters : dict of SavedTensor or None
    buffers : dict of SavedTensor or None
    children : dict
        The same of its children, or a user's module.
    """

    kind: type[nn.Module]
    attributes: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, Any] = field(default_factory=dict)
    children: dict[str, Any] = field(default_factory=dict)


def save_module(
    module: nn.Module | None,
    memo: dict[int, SavedTensor] | None = None,
    *,
    in_ours: bool = False,
) -> Any:
    """Return a `SavedModule`, or a module of the user's own itself.

    Parameters
    ----------
    module : nn.Module or None
        What to save.
    memo : dict or None
        The tensors saved so far, by the identity of the tensor.
    in_ours : bool, default=False
        Whether PyTorch's own layers are layers of a network of ours. Others are the
        user's, who may share them between encoder and decoder.
    """
    if module is None or not (_is_ours(module) or (in_ours and _is_plain(module))):
        return module
    state, in_ours = vars(module), isinstance(module, MLP | NestedDecoder)
    memo = {} if memo is None else memo
    return SavedModule(
        kind=type(module),
        attributes={
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in state.items()
            if name not in _INSIDE
        },
        parameters={n: _save(value, memo) for n, value in module._parameters.items()},
        buffers={n: _save(value, memo) for n, value in module._buffers.items()},
        children={
            name: save_module(child, memo, in_ours=in_ours)
            for name, child in module._modules.items()
        },
    )


def load_module(saved: Any, memo: dict[int, nn.Parameter] | None = None) -> Any:
    """Return the module that `save_module` was given."""
    if not isinstance(saved, SavedModule):
        return saved
    memo = {} if memo is None else memo
    module = saved.kind.__new__(saved.kind)
    nn.Module.__init__(module)
    vars(module).update(saved.attributes)
    for name, tensor in saved.parameters.items():
        if tensor is not None and id(tensor) not in memo:
            memo[id(tensor)] = nn.Parameter(tensor.load(), tensor.is_trained)
        module._parameters[name] = None if tensor is None else memo[id(tensor)]
    for name, tensor in saved.buffers.items():
        module._buffers[name] = None if tensor is None else tensor.load()
    for name, child in saved.children.items():
        module._modules[name] = load_module(child, memo)
    return module


def copy_module(module: Any) -> Any:
    """Return a deep copy that shares nothing, also of a pruned module."""
    # Pruning leaves results of a computation as attributes, which cannot be copied.
    results = (v for m in module.modules() for v in vars(m).values())
    memo = {id(v): v.detach().clone() for v in results if _is_result(v)}
    return copy.deepcopy(module, memo)


def is_ours(module: nn.Module) -> bool:
    """Return whether all of a module is of this package or a plain layer."""
    return all(_is_ours(part) or _is_plain(part) for part in module.modules())


def _is_ours(module: nn.Module) -> bool:
    return type(module).__module__.startswith(__package__ + ".")


def _is_plain(module: nn.Module) -> bool:
    return type(module) in _PLAIN


def _is_result(value: Any) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None


def _save(value: Tensor | None, memo: dict[int, SavedTensor]) -> SavedTensor | None:
    if value is None:
        return None
    if id(value) not in memo:
        memo[id(value)] = SavedTensor(_values(value), value.requires_grad)
    return memo[id(value)]


def _values(value: Tensor) -> Any:
    """Return an array of its own, copied by NumPy, which starts no threads."""
    plain = value.detach().cpu()
    if plain.dtype == torch.bfloat16:
        return plain.contiguous().clone()
    return plain.numpy().copy(order="C")
