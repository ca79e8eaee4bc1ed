"""An accelerator that is not there, whose waits are counted.

Its tensors hold others on the CPU, which compute, so that a fit on it is the fit on the
CPU; and they say that they are on PyTorch's device 'meta'. What would make a host wait
for a GPU is noted: a number that is read, a copy back, one from memory that is not
pinned, a result whose shape depends on values. What would fail there fails here: an
operation of tensors on two devices.
"""

import traceback
from contextlib import contextmanager
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sklatent import runtime
from sklatent.nn import _flat_adamw, _mlp, _placement, _segments
from sklatent.training._net import TrainingNet

DEVICE = torch.device("meta")
#: Operations that read values, or have results of a shape that depends on them.
READS = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
#: Operations whose sums CUDA makes in any order.
UNORDERED = {"_embedding_bag_backward", "index_add", "index_add_", "scatter_add_"}


class OnDevice(torch.Tensor):
    """A tensor on the accelerator."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner):
        self.inner = inner

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        torch.Tensor.data.__set__(self, value)
        self.inner = value.inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} outside of the block of the accelerator")


class Generator(torch.Generator):
    """A generator that says that it is on the accelerator."""

    device = DEVICE


class Accelerator(TorchDispatchMode):
    """Computes, and notes what waits.

    Attributes
    ----------
    waits : list of tuple
        Of each: the operation, the part of a fit, and where in the package.
    unordered : list of tuple
        The same of sums in any order.
    moved : list of tuple
        Bytes that went to the device, and the part of a fit.
    part : str
        Of a fit, that now runs: 'epoch 1' and so on, 'judging', or ''.
    """

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # else PyTorch imports its compiler, which takes seconds

    def __init__(self):
        super().__init__()
        self.waits, self.unordered, self.moved, self.part = [], [], [], ""
        self.pinned, self.n_epochs = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = function.overloadpacket.__name__
        if name == "_has_compatible_shallow_copy_type":
            return _is_here(args[0]) == _is_here(args[1])
        if torch.is_inference_mode_enabled():  # where it is not taken apart before
            with self:
                result = function.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        here, there = [], []
        for tensor in _tensors([*args, *kwargs.values()]):
            (here if _is_here(tensor) else there).append(tensor)
        device = kwargs.get("device") or (DEVICE if here else None)
        stays = device == DEVICE
        if name == "copy_":
            stays = _is_here(args[0])
        if not here and not stays:
            return function(*args, **kwargs)
        self._look(name, args, kwargs, here, there, device)
        if kwargs.get("device") == DEVICE:
            kwargs["device"] = torch.device("cpu")
        known = {id(t.inner): t for t in here}
        inner = {name: _map(_inner, value) for name, value in kwargs.items()}
        result = function(*_map(_inner, args), **inner)

        def wrapped(x):
            if id(x) in known:  # of an operation in place
                return known[id(x)]
            return OnDevice(x) if stays and isinstance(x, torch.Tensor) else x

        return _map(wrapped, result)

    def _look(self, name, args, kwargs, here, there, device):
        if name in ("_to_copy", "copy_"):
            self._look_at_copy(name, args, kwargs, device)
            return
        indices = args[1] if name in ("index", "index_put_", "index_put") else ()
        counts = name == "repeat_interleave" and kwargs.get("output_size") is None
        by_mask = any(t is not None and t.dtype == torch.bool for t in indices)
        if here and (name in READS or counts or by_mask):
            self._note(self.waits, name)
        if here and name in UNORDERED:
            self._note(self.unordered, name)
        others = [t for t in there if t.dim()]
        if here and others:
            if not all(any(t is i for i in indices) for t in others):
                raise RuntimeError(f"{name}: tensors are on two devices")
            self._note(self.waits, f"{name} with an index of the host's")

    def _look_at_copy(self, name, args, kwargs, device):
        source = args[0] if name == "_to_copy" else args[1]
        target = device == DEVICE if name == "_to_copy" else _is_here(args[0])
        blocks = not (kwargs.get("non_blocking") or args[2:3] == (True,))
        if _is_here(source) and not target:
            self._note(self.waits, "copy to the host")
        elif target and not _is_here(source):
            self.moved.append((source.nbytes, self.part))
            if blocks or id(source) not in self.pinned:
                self._note(self.waits, "copy to the device")

    def _note(self, where, name):
        frames = [f for f in traceback.extract_stack() if "/sklatent/" in f.filename]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        where.append((name, self.part, place))

    def pin(self, tensor):
        """Return a tensor in pinned memory."""
        pinned = tensor.clone()
        self.pinned = {id(pinned): pinned}  # it is used next
        return pinned

    def bytes_of(self, part):
        """Return how many bytes went to the device in a part of a fit."""
        return sum(n_bytes for n_bytes, when in self.moved if when == part)


def _is_here(x):
    return isinstance(x, OnDevice)


def _inner(x):
    return x.inner if isinstance(x, OnDevice) else x


def _map(function, x):
    """Return what a function makes of a value, or of all in a list."""
    if isinstance(x, list | tuple):
        return type(x)([_map(function, value) for value in x])
    return function(x)


def _tensors(x):
    """Return the tensors in a list."""
    if isinstance(x, list | tuple):
        return [tensor for value in x for tensor in _tensors(value)]
    return [x] if isinstance(x, torch.Tensor) else []


@contextmanager
def accelerator():
    """Give an accelerator that device='cuda' names in the block."""
    gpu = Accelerator()
    own = runtime.training_device
    epoch = TrainingNet.run_single_epoch

    def named(name, flops):
        return DEVICE if name == "cuda" else own(name, flops)

    def watched(net, iterator, training, *args, **kwargs):
        gpu.n_epochs += training
        gpu.part = f"epoch {gpu.n_epochs}" if training else "judging"
        try:
            epoch(net, iterator, training, *args, **kwargs)
        finally:
            gpu.part = ""

    with (
        mock.patch.object(runtime, "training_device", named),
        mock.patch.object(runtime, "_generator_functions", return_value=None),
        mock.patch.object(
            runtime, "generator", lambda device, seed: Generator().manual_seed(seed)
        ),
        mock.patch.object(_placement, "COPY_FROM_PINNED", (DEVICE.type,)),
        mock.patch.object(_flat_adamw, "HAS_FUSED_KERNEL", ("cpu", DEVICE.type)),
        mock.patch.object(_segments, "SUM_IN_ORDER", ("cpu", DEVICE.type)),
        mock.patch.object(_mlp, "HAS_BFLOAT16", False),
        mock.patch.object(torch.Tensor, "pin_memory", lambda x: gpu.pin(x)),
        mock.patch.object(TrainingNet, "run_single_epoch", watched),
        gpu,
    ):
        yield gpu
