"""Where tensors are: moves that the host need not wait for, and noise drawn there.

A host gives an accelerator its work ahead of time. To read a number of it, or to copy
from memory that is not pinned, is to wait until all that work is done.
"""

import torch
from torch import Tensor

#: Devices that copy from pinned memory while the host goes on.
COPY_FROM_PINNED = ("cuda",)


def moved(x: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor of the host's on a device, without waiting for it if it can."""
    device = torch.device(device)
    if x.device.type != "cpu" or device.type not in COPY_FROM_PINNED:
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def normal_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers, of shape, dtype and device of `x`.

    They are drawn where the generator is.
    """
    drawn = torch.randn(
        x.shape, generator=generator, dtype=x.dtype, device=generator.device
    )
    return moved(drawn, x.device)


def uniform_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return numbers from [0, 1) in float32, of shape and device of `x`."""
    drawn = torch.rand(
        x.shape, generator=generator, dtype=torch.float32, device=generator.device
    )
    return moved(drawn, x.device)


def exact_device(device: torch.device) -> torch.device:
    """Return where to sum up in float64 what is on a device: there, if it can."""
    return torch.device("cpu") if device.type == "mps" else device


def where_exact(x: Tensor) -> Tensor:
    """Return a tensor where it can be summed up in float64."""
    return x.to(exact_device(x.device))


def exact(x: Tensor) -> Tensor:
    """Return a tensor in float64, on its device if that has float64."""
    return where_exact(x).double()
