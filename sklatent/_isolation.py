"""Leaves the process as it was found: PyTorch's global state, and Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch

# A block of fewer floating-point operations than this (in a training step, or in a
# batch of rows) is computed by one thread: a second brings little, and on a busy
# machine costs many times more, since OpenMP's threads wait for each other spinning.
SMALL = 1e9

_lock = threading.Lock()
_alone = threading.RLock()  # a user's network may fit an estimator of its own
_n_inside = 0
_found: tuple[torch.Tensor, list[torch.Tensor]]


@contextmanager
def isolated(seed: int | None = None, *, alone: bool = False) -> Iterator[None]:
    """Put PyTorch's generators and number of threads back after the block.

    Fits may overlap in the threads of one process (joblib's ``threading`` backend).
    If each put back what it found, the last one could put back what another had set;
    so the first to enter notes the state, and the last to leave restores it. The
    number of threads is OpenMP's, one for each calling thread: each restores its own.

    Parameters
    ----------
    seed : int or None
        To seed the global generators with inside the block; None leaves them as they
        are. The block may then build graphs on the CPU, whatever mode and default
        device the caller is in.
    alone : bool
        Whether no other thread may be in such a block at the same time: for code that
        draws from the global generators.
    """
    global _n_inside, _found
    with _lock:
        if _n_inside == 0:
            cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
            _found = torch.get_rng_state(), cuda
        _n_inside += 1
    n_threads = torch.get_num_threads()
    try:
        with ExitStack() as stack:
            stack.enter_context(_alone if alone else nullcontext())
            if seed is not None:
                torch.manual_seed(seed)
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.enable_grad())
                # Asked of a tensor: torch 2.4's get_default_device does not see a
                # block's device. Not entered needlessly, since it slows every call.
                if torch.empty(0).device.type != "cpu":
                    stack.enter_context(torch.device("cpu"))
            yield
    finally:
        with _lock:
            _n_inside -= 1
            cpu, cuda = _found
            if torch.get_num_threads() != n_threads:
                torch.set_num_threads(n_threads)
            if _n_inside == 0:
                torch.set_rng_state(cpu)
                if cuda:
                    torch.cuda.set_rng_state_all(cuda)


def choose_threads(flops: float) -> None:
    """Use one thread for small work, inside an `isolated` block.

    So does a fit in a thread of its own (joblib's ``threading`` backend): where there
    is one there are others, which want the other processors.

    Parameters
    ----------
    flops : float
        Floating-point operations of one block of work.
    """
    alone = threading.current_thread() is threading.main_thread()
    if (flops < SMALL or not alone) and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


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
