"""Fitted state as dicts of arrays, numbers and strings, and back.

Files then depend neither on where classes are nor on how PyTorch stores tensors, and
readers that build no objects but plain ones can load them. What is ours is written
down as its name and its state; only the names known here are built again. Anything
else, such as a module or a callback of the user's, stays the object that it is.
"""

import copy
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ._mlp import ACTIVATIONS, MLP
from ._nested_dropout import NestedDecoder

Kind = TypeVar("Kind", bound=type)

#: The key that marks a dict that stands for something else; its value says for what.
MARK = "__sklatent__"
_INSIDE = ("_parameters", "_buffers", "_modules")
_PLAIN = {
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    *(nn.Flatten, nn.Unflatten, nn.Sequential, nn.ModuleList),
    *ACTIVATIONS.values(),
}
#: The classes that files may name; modules of this package come in when asked for.
_kinds: dict[str, type] = {kind.__name__: kind for kind in (*_PLAIN, nn.MSELoss)}


def saved(kind: Kind) -> Kind:
    """Have objects of a class, which are no modules, saved as their state.

    Parameters
    ----------
    kind : type
        Its ``__getstate__``, or the attributes, must be what `to_plain` knows. Its
        name, by which files know it, stays as it is for good.
    """
    _kinds[kind.__name__] = kind
    return kind


def to_plain(value: Any) -> Any:
    """Return what stands for a value in a file."""
    kind = type(value)
    if kind is dict:
        return {key: to_plain(part) for key, part in value.items()}
    if kind in (list, tuple):
        return kind(map(to_plain, value))
    if isinstance(value, type):
        known = _find(value.__name__) is value
        return {MARK: "type", "name": value.__name__} if known else value
    if _kinds.get(kind.__name__) is not kind or isinstance(value, nn.Module):
        return value
    return {MARK: kind.__name__, "state": to_plain(value.__getstate__() or {})}


def from_plain(value: Any) -> Any:
    """Return what `to_plain` or `save_module` was given.

    Raises
    ------
    ValueError
        If the value does not stand for anything.
    """
    kind = type(value)
    if kind in (list, tuple):
        return kind(map(from_plain, value))
    if kind is not dict:
        return value
    if MARK not in value:
        return {key: from_plain(part) for key, part in value.items()}
    name = value[MARK]
    if name == "type":
        return _known(value["name"])
    if name == "module":
        return _load_module(value)
    return _built(_known(name), from_plain(value["state"]))


def _built(kind: type, state: dict[str, Any]) -> Any:
    """Return an object with such a state."""
    if not isinstance(state, dict) or issubclass(kind, nn.Module):
        raise ValueError(f"{kind.__name__} with the state {state!r:.80}")
    new = kind.__new__(kind)
    if hasattr(new, "__setstate__"):
        new.__setstate__(state)
        return new
    if is_dataclass(kind):
        every = {f.name: f.default is MISSING for f in fields(kind)}
        missing = {name for name, required in every.items() if required} - set(state)
        if missing or set(state) - set(every):
            raise ValueError(f"{kind.__name__} with the fields {', '.join(state)}")
    vars(new).update(state)
    return new


def _known(name: Any) -> type:
    kind = _find(name)
    if kind is None:
        raise ValueError(f"{name!r} is no class of a saved model")
    return kind


def _find(name: Any) -> type | None:
    """Return the class of a name that a file may have, or None."""
    if not isinstance(name, str):
        return None
    if name not in _kinds:
        ours = filter(_is_of_ours, _subclasses(nn.Module))
        _kinds.update((kind.__name__, kind) for kind in ours)
    return _kinds.get(name)


def _subclasses(kind: type) -> Iterator[type]:
    child: type
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


# Modules ----------------------------------------------------------------------------


def save_module(module: nn.Module) -> dict[str, Any]:
    """Return what stands for a module of ours in a file.

    Returns
    -------
    saved : dict
        ``arrays``, each tensor once; ``modules``, each module once, the first of which
        is the one given. A module is a dict of its ``kind``, its ``attributes``, its
        ``parameters`` (where each array is, and whether it is trained), its ``buffers``
        and its ``children`` (where each module is), by name; or one of the user's own.
    """
    return _Writer(everything=is_ours(module)).write(module)


class _Writer:
    """Writes down a module.

    Parameters
    ----------
    everything : bool
        Whether PyTorch's own layers are written down wherever they are. Where a module
        of the user's is, that one may share them: then only those of our networks are.
    """

    def __init__(self, *, everything: bool) -> None:
        self.everything = everything
        self.arrays: list[Any] = []
        self.modules: list[Any] = []
        #: Where what is written is, by its identity.
        self.places: dict[int, int] = {}

    def write(self, module: nn.Module) -> dict[str, Any]:
        self.add_module(module, in_ours=True)
        return {MARK: "module", "arrays": self.arrays, "modules": self.modules}

    def add_module(self, module: nn.Module | None, *, in_ours: bool) -> int | None:
        if module is None or id(module) in self.places:
            return None if module is None else self.places[id(module)]
        place = self.places[id(module)] = len(self.modules)
        self.modules.append(module)
        if not (_is_ours(module) or (in_ours and _is_plain(module))):
            return place
        in_ours = self.everything or isinstance(module, MLP | NestedDecoder)
        self.modules[place] = {
            "kind": type(module).__name__,
            "attributes": to_plain(_attributes(module)),
            "parameters": {
                name: None if p is None else [self.add_tensor(p), p.requires_grad]
                for name, p in module._parameters.items()
            },
            "buffers": {
                name: None if b is None else self.add_tensor(b)
                for name, b in module._buffers.items()
            },
            "children": {
                name: self.add_module(child, in_ours=in_ours)
                for name, child in module._modules.items()
            },
        }
        return place

    def add_tensor(self, tensor: Tensor) -> int:
        if id(tensor) not in self.places:
            self.places[id(tensor)] = len(self.arrays)
            self.arrays.append(_array(tensor))
        return self.places[id(tensor)]


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return what a module has besides tensors and children, unless all modules do."""
    usual = vars(nn.Module())
    return {
        name: value.detach() if isinstance(value, Tensor) else value
        for name, value in vars(module).items()
        if name not in _INSIDE and not (name in usual and _is_same(value, usual[name]))
    }


def _is_same(value: Any, usual: Any) -> bool:
    return type(value) is type(usual) and bool(value == usual)


def _array(tensor: Tensor) -> Any:
    """Return an array of its own, copied by NumPy, which starts no threads."""
    plain = tensor.detach().cpu()
    if plain.dtype == torch.bfloat16:  # which NumPy lacks
        return {"bfloat16": plain.contiguous().view(torch.int16).numpy().copy()}
    return plain.numpy().copy(order="C")


def _tensor(array: Any) -> Tensor:
    """Return a tensor that shares an array's memory, unless that is read-only."""
    if isinstance(array, dict):
        return _tensor(array["bfloat16"]).view(torch.bfloat16)
    writeable = array.flags.writeable  # not so in a memory map
    return torch.from_numpy(array if writeable else array.copy())


def _load_module(saved: dict[str, Any]) -> nn.Module:
    """Return the module that `save_module` was given."""
    tensors = [_tensor(array) for array in saved["arrays"]]
    parts = saved["modules"]
    # All modules first, then what is in them.
    modules = [_empty(part) if isinstance(part, dict) else part for part in parts]
    shared: dict[int, nn.Parameter] = {}

    def parameter(place: int, is_trained: bool) -> nn.Parameter:
        if place not in shared:
            shared[place] = nn.Parameter(tensors[place], is_trained)
        return shared[place]

    for part, module in zip(parts, modules, strict=True):
        if module is part:
            continue
        for name, found in part["parameters"].items():
            module._parameters[name] = None if found is None else parameter(*found)
        for name, place in part["buffers"].items():
            module._buffers[name] = None if place is None else tensors[place]
        for name, place in part["children"].items():
            module._modules[name] = None if place is None else modules[place]
    first = modules[0]
    if not isinstance(first, nn.Module):
        raise ValueError(f"a {type(first).__name__} in place of a module")
    return first


def _empty(part: dict[str, Any]) -> nn.Module:
    """Return a module without tensors and children."""
    kind = _known(part["kind"])
    if not issubclass(kind, nn.Module):
        raise ValueError(f"{kind.__name__} in place of a module")
    module: nn.Module = kind.__new__(kind)
    nn.Module.__init__(module)
    attributes = from_plain(part["attributes"])
    if set(attributes) & set(_INSIDE):
        raise ValueError(f"{kind.__name__} with the attributes {', '.join(attributes)}")
    vars(module).update(attributes)
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
    return _is_of_ours(type(module))


def _is_of_ours(kind: type) -> bool:
    return kind.__module__.startswith(__package__ + ".")


def _is_plain(module: nn.Module) -> bool:
    return type(module) in _PLAIN


def _is_result(value: Any) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None
