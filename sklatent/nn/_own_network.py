"""Networks of the user's own: their check, and the dtype that they run in."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class HasNetwork(nn.Module):
    """A module with a `network`, which may be one of the user's own.

    Such a one is trained in float32. It then follows the module to another dtype,
    unless it cannot compute in that, having constants of its own; then it keeps
    float32, and what it is given and returns is converted.
    """

    #: Whether the network stays in float32.
    keeps_float32 = False

    network: nn.Module | None

    def run(self, x: Tensor) -> Tensor:
        """Return what the network makes of `x`, in the dtype of `x`."""
        assert self.network is not None
        y: Tensor = self.network(x.float() if self.keeps_float32 else x)
        return y.to(x.dtype)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Follow to another device, but with a network that stays in float32."""
        network = self._modules.get("network") if self.keeps_float32 else None
        if network is None:
            return self._moved(fn, recurse)
        self._modules["network"] = None
        try:
            self._moved(fn, recurse)
        finally:
            self._modules["network"] = network
        network._apply(lambda t: fn(t).to(t.dtype))  # type: ignore[no-untyped-call]
        return self

    def _moved(self, fn: Callable[..., Any], recurse: bool) -> Self:
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved


def check_width(network: nn.Module, n_in: int, n_out: int, name: str) -> None:
    """Raise ValueError unless `network` maps (2, n_in) to (2, n_out).

    Parameters
    ----------
    network : nn.Module
        The network to try, on zeros of float32.
    n_in, n_out : int
        The widths required.
    name : str
        What to call it in the message.
    """
    was_training = network.training
    network.eval()
    rows = torch.zeros(2, n_in, dtype=torch.float32)
    try:
        with torch.no_grad():
            shape = tuple(network(rows).shape)
    except Exception as error:  # whatever code of the user's raises
        raise ValueError(
            f"The {name} failed on an input of shape (2, {n_in}); it must map "
            f"(n_samples, {n_in}) to (n_samples, {n_out}): "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        network.train(was_training)
    if shape != (2, n_out):
        raise ValueError(
            f"The {name} maps an input of shape (2, {n_in}) to {shape}; it must map "
            f"(n_samples, {n_in}) to (n_samples, {n_out})."
        )
