"""The scale of the data, inside a module."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class Scaling(nn.Module):
    r"""Rows in the units of the data to scaled ones, :math:`(x - m) / s`, and back.

    Both directions compute in the dtype of `x`. Mean and scale stay in float64,
    whatever dtype the module around them is cast to: rows whose mean is far from zero
    are centred before any rounding.

    Parameters
    ----------
    mean : Tensor of shape (n_features,), float64
    scale : Tensor of shape (), float64
        One number for all features.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:  # noqa: ARG002
        """Follow the module to another device, but not to another dtype."""
        device = fn(torch.empty(0, dtype=torch.float32, device=self.mean.device)).device
        for name, value in self._buffers.items():
            assert value is not None
            if device.type == "mps":  # it has no float64
                self._buffers[name] = value.float().to(device)
            else:
                self._buffers[name] = value.to(device).double()
        return self

    def to_scaled(self, x: Tensor) -> Tensor:
        """Centre and scale rows (n, n_features)."""
        return (x - self.mean.to(x.dtype)) / self.scale.to(x.dtype)

    def to_units(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to the units of the data."""
        return x * self.scale.to(x.dtype) + self.mean.to(x.dtype)
