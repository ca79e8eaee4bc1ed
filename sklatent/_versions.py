"""What a report of an error should say of the machine."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

#: What is always there, then what extras bring.
PACKAGES = (
    *("sklatent", "scikit-learn", "torch", "skorch", "numpy", "scipy", "tqdm"),
    *("matplotlib", "pandas", "polars", "skl2onnx", "onnxruntime", "skops"),
)


def show_versions() -> None:
    """Print the versions of Python and of packages, and what PyTorch runs on.

    An issue should say them.

    See Also
    --------
    sklearn.show_versions : More of scikit-learn's libraries.

    Examples
    --------
    >>> import sklatent
    >>> sklatent.show_versions()
    Python        3...
    system        ...
    sklatent      ...
    """
    for name, value in _versions().items():
        print(f"{name:<13} {value}")


def _versions() -> dict[str, str]:
    found = {
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        **{name: _version(name) for name in PACKAGES},
        "threads": str(torch.get_num_threads()),
        "CUDA": str(torch.version.cuda),
    }
    return {name: value for name, value in found.items() if value}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
