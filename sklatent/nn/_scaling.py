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

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Follow the module to another device, but not to another dtype."""
        exact = self.mean, self.scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.mean.device.type != "mps":  # it has no float64
            self.mean, self.scale = (t.to(self.mean.device) for t in exact)
        return self

    def to_scaled(self, x: Tensor) -> Tensor:
        """Centre and scale rows (n, n_features)."""
        return (x - self.mean.to(x.dtype)) / self.scale.to(x.dtype)

    def to_units(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to the units of the data."""
        return x * self.scale.to(x.dtype) + self.mean.to(x.dtype)


def identity_scaling(n_features: int) -> Scaling:
    """Return the scaling of rows that are scaled already."""
    options: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    return Scaling(torch.zeros(n_features, **options), torch.ones((), **options))
