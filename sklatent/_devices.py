"""Which device to train and to infer on."""

import torch


def training_device(name: str) -> torch.device:
    """Return the device called `name`.

    Parameters
    ----------
    name : str
        ``'auto'`` is CUDA where there is one, and the CPU where there is none;
        otherwise a name as in PyTorch.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={name!r} is not a device; it must be 'auto', 'cpu', 'cuda', "
            "'cuda:1', 'mps' or another name that PyTorch knows."
        ) from error
    if not _available(device):
        raise ValueError(f"device={name!r} is not available on this machine.")
    return device


def inference_device(name: str, dtype: torch.dtype) -> torch.device:
    """Return the device to infer on in `dtype`: the CPU where `name` cannot do it.

    So a model that was trained on a GPU works on a machine without one, and MPS,
    which has no float64, is used for float32 only.
    """
    try:
        device = training_device(name)
    except ValueError:
        return torch.device("cpu")
    if device.type == "mps" and dtype == torch.float64:
        return torch.device("cpu")
    return device


def _available(device: torch.device) -> bool:
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
