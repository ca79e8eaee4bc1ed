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
_PLAIN = {nn.Linear, nn.Sequential, nn.ModuleList, *ACTIVATIONS.values()}


@dataclass
class SavedModule:
    """A module without its tensors.

    Attributes
    ----------
    kind : type
        Its class.
    attributes : dict
        All that is neither parameter, buffer nor child.
    parameters, buffers : dict
        Arrays, and whether each parameter is trained.
    children : dict
        The same of its children, or a user's module.
    """

    kind: type[nn.Module]
    attributes: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, Any] = field(default_factory=dict)
    children: dict[str, Any] = field(default_factory=dict)


def save_module(module: nn.Module | None, *, in_ours: bool = False) -> Any:
    """Return a `SavedModule`, or a module of the user's own itself.

    Parameters
    ----------
    module : nn.Module or None
        What to save.
    in_ours : bool, default=False
        Whether PyTorch's own layers are layers of a network of ours. Others are the
        user's, who may share them between encoder and decoder.
    """
    if module is None or not (_is_ours(module) or (in_ours and _is_plain(module))):
        return module
    state, in_ours = vars(module), isinstance(module, MLP | NestedDecoder)
    return SavedModule(
        kind=type(module),
        attributes={
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in state.items()
            if name not in _INSIDE
        },
        parameters={
            name: None if value is None else (_array(value), value.requires_grad)
            for name, value in module._parameters.items()
        },
        buffers={name: _array(value) for name, value in module._buffers.items()},
        children={
            name: save_module(child, in_ours=in_ours)
            for name, child in module._modules.items()
        },
    )


def load_module(saved: Any) -> Any:
    """Return the module that `save_module` was given."""
    if not isinstance(saved, SavedModule):
        return saved
    module = saved.kind.__new__(saved.kind)
    nn.Module.__init__(module)
    vars(module).update(saved.attributes)
    for name, pair in saved.parameters.items():
        given = None if pair is None else nn.Parameter(_tensor(pair[0]), pair[1])
        module._parameters[name] = given
    for name, array in saved.buffers.items():
        module._buffers[name] = _tensor(array)
    for name, child in saved.children.items():
        module._modules[name] = load_module(child)
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


def _array(value: Tensor | None) -> Any:
    """Return a contiguous array of its own."""
    if value is None:
        return None
    return value.detach().cpu().contiguous().clone().numpy()


def _tensor(array: Any) -> Any:
    return None if array is None else torch.from_numpy(array)
