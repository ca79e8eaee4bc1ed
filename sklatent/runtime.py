"""Devices, threads and generators: the process is left as it was found."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

#: A block of fewer floating-point operations than this (in a training step, or in a
#: batch of rows) is computed by one thread: a second brings little, and on a busy
#: machine costs many times more, since OpenMP's threads wait for each other spinning.
MIN_FLOPS_FOR_THREADS = 1e9
#: With device='auto', fewer operations than this in all stay on the CPU: some ten
#: seconds of two cores, beside the seconds that a GPU takes to be started.
MIN_FLOPS_FOR_GPU = 2e12
#: Rows are kept on an accelerator if they take at most this share of its free memory,
SHARE_OF_FREE_MEMORY = 0.25
#: and at most this many bytes where PyTorch does not say how much is free.
BYTES_IF_UNKNOWN = 2**30

#: Code of the user's may draw from the global generators: one such block at a time.
#: It may fit an estimator of its own, hence the RLock.
_global_generators = threading.RLock()
_in_forked_child = False


def _after_fork() -> None:
    global _in_forked_child, _global_generators
    _in_forked_child = True
    _global_generators = threading.RLock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# Modes ---------------------------------------------------------------------------


@contextmanager
def caller_modes_off(device_type: str = "cpu") -> Iterator[None]:
    """Compute the same whatever modes the caller of a public method is in.

    These are ``torch.autocast``, a default device, ``no_grad`` or ``inference_mode``,
    and ``np.seterr``: that a number becomes 0 is no error. Each of PyTorch's is only
    touched where it is on, since a mode slows every call. (A default dtype is
    process-wide: our own code names its dtypes instead.) In a forked child, the block
    has one thread.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(under="ignore"))
        if _in_forked_child:
            stack.enter_context(threads_kept())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        # Asked of a tensor: torch 2.4's get_default_device misses a block's device.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in {"cpu", device_type}:
            if kind in ("cpu", "cuda", "xpu") and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


# Generators ----------------------------------------------------------------------


@contextmanager
def global_generators_kept(
    device: torch.device, seed: int | None = None
) -> Iterator[None]:
    """Put PyTorch's global generators and default dtype back after the block.

    For code of the user's, which may draw from them; one block at a time, since they
    are the process's. Nothing of our own draws from them.

    Parameters
    ----------
    device : torch.device
        Its generator, and the CPU's; those of other devices are not touched.
    seed : int or None
        To seed them with inside the block; None leaves them as they are.
    """
    with _global_generators:
        dtype = torch.get_default_dtype()
        state = torch.default_generator.get_state()
        other = _generator_functions(device)
        other_state = None if other is None else other.get_rng_state()
        try:
            if dtype != torch.float32:
                torch.set_default_dtype(torch.float32)
            if seed is not None:
                torch.default_generator.manual_seed(seed)
                if other is not None:
                    other.manual_seed(seed)
            yield
        finally:
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
            torch.default_generator.set_state(state)
            if other is not None:
                other.set_rng_state(other_state)


def _generator_functions(device: torch.device) -> Any:
    """Return the module with ``get_rng_state`` of a device that is not the CPU."""
    return getattr(torch, device.type, None) if device.type != "cpu" else None


# Threads -------------------------------------------------------------------------


@contextmanager
def threads_kept() -> Iterator[None]:
    """Put PyTorch's number of threads back after the block.

    It is OpenMP's, one for each calling thread. In a forked child the block has one:
    the pool of threads of its parent is not there, and to use it hangs.
    """
    found = torch.get_num_threads()
    try:
        if _in_forked_child and found > 1:
            torch.set_num_threads(1)
        yield
    finally:
        if torch.get_num_threads() != found:
            torch.set_num_threads(found)


def choose_threads(flops: float) -> None:
    """Use one thread for small work, inside a `threads_kept` block.

    So does a fit in a thread of its own (joblib's ``threading`` backend): where there
    is one there are others, which need the other processors.

    Parameters
    ----------
    flops : float
        Floating-point operations of one block of work.
    """
    alone = threading.current_thread() is threading.main_thread()
    small = flops < MIN_FLOPS_FOR_THREADS or not alone
    if small and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


# Fitting and inference -----------------------------------------------------------


@contextmanager
def fitting(
    seed: int, device: torch.device, *, uses_global_generator: bool
) -> Iterator[None]:
    """Enter the block in which a model is fitted.

    Parameters
    ----------
    seed : int
        For the global generators, if they are used.
    device : torch.device
        Where the model is trained.
    uses_global_generator : bool
        Whether code of the user's runs in it.
    """
    with ExitStack() as stack:
        stack.enter_context(threads_kept())
        stack.enter_context(caller_modes_off(device.type))
        if uses_global_generator:
            stack.enter_context(global_generators_kept(device, seed))
        yield


@contextmanager
def inference(device: torch.device, *, uses_global_generator: bool) -> Iterator[None]:
    """Enter the block in which a fitted model is used."""
    with ExitStack() as stack:
        stack.enter_context(caller_modes_off(device.type))
        if uses_global_generator:
            stack.enter_context(global_generators_kept(device))
        stack.enter_context(torch.inference_mode())
        yield


# Devices -------------------------------------------------------------------------


def training_device(name: str, flops: float) -> torch.device:
    """Return the device called `name`.

    Parameters
    ----------
    name : str
        ``'auto'`` is CUDA where there is one and the work is large enough to pay for
        it, else the CPU; otherwise a name as in PyTorch.
    flops : float
        Floating-point operations in all.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if name == "auto":
        large = flops >= MIN_FLOPS_FOR_GPU
        return torch.device("cuda" if large and torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={name!r} is not a device; it must be 'auto', 'cpu', 'cuda', "
            "'cuda:1', 'mps' or another name that PyTorch knows."
        ) from error
    if not _is_available(device):
        raise ValueError(f"device={name!r} is not available on this machine.")
    return device


def inference_device(name: str, dtype: torch.dtype, flops: float) -> torch.device:
    """Return the device to infer on in `dtype`: the CPU where `name` cannot do it.

    So a model that was trained on a GPU works on a machine without one, and MPS,
    which has no float64, is used for float32 only.
    """
    try:
        device = training_device(name, flops)
    except ValueError:
        return torch.device("cpu")
    if device.type == "mps" and dtype == torch.float64:
        return torch.device("cpu")
    return device


def has_room(device: torch.device, n_bytes: int) -> bool:
    """Return whether so many bytes of rows are to be kept on an accelerator."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return n_bytes <= SHARE_OF_FREE_MEMORY * free
    return n_bytes <= BYTES_IF_UNKNOWN


def generator(device: torch.device, seed: int) -> torch.Generator:
    """Return a generator of a device, seeded."""
    return torch.Generator(device).manual_seed(seed)


def _is_available(device: torch.device) -> bool:
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        return torch.cuda.is_available() and (
            device.index is None or device.index < torch.cuda.device_count()
        )
    if device.type == "mps":
        return torch.backends.mps.is_available()
    try:
        torch.empty(0, device=device)
    except Exception:  # each backend that is missing raises a kind of its own
        return False
    return device.type != "meta"


# Ctrl-C --------------------------------------------------------------------------


@contextmanager
def noticing_ctrl_c() -> Iterator[list[int]]:
    """Give a list that is empty until the user presses Ctrl-C."""
    pressed: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(handler):
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, handler)
