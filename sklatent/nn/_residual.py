"""A fixed linear map plus what a network adds to it."""

from typing import Any

import torch
from torch import Tensor, nn

from ._mlp import MLP, Tape


class ResidualMap(nn.Module):
    r"""The map :math:`f(x) = x W + b + s\,g(x)` with a network :math:`g`.

    `W` and `b` are buffers that hold a closed-form solution: only the network is
    trained. While :math:`g = 0`, `f` *is* that solution.

    Parameters
    ----------
    weight : Tensor of shape (n_in, n_out) or None
        The linear part; None for a plain network.
    bias : Tensor of shape (n_out,) or None
        Its offset.
    network : nn.Module or None
        Maps (n, n_in) to (n, n_out); None for a linear map.
    scale : Tensor of shape (n_out,) or None
        How far a step of the network moves each output. None is 1, or what the network
        itself makes of it (its ``gain``).
    """

    weight: Tensor | None
    bias: Tensor | None
    scale: Tensor | None

    def __init__(
        self,
        weight: Tensor | None,
        bias: Tensor | None,
        network: nn.Module | None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("scale", scale)
        self.network = network

    def forward(self, x: Tensor, sizes: Any = None) -> Tensor:  # noqa: ARG002
        """Map (n, n_in) to (n, n_out); `sizes` are for a `PrefixDecoder`."""
        if self.written_out:
            return self.record(x, keep=False)[0]
        # Of a copy: a network of somebody else may work in place.
        y = self.network(x.clone())  # type: ignore[misc]
        if self.weight is None or self.bias is None:
            return y  # type: ignore[no-any-return]
        linear = torch.addmm(self.bias, x, self.weight)
        return linear + y if self.scale is None else linear.addcmul(y, self.scale)

    @property
    def written_out(self) -> bool:
        """Whether `record` and `pull` can do what autograd does."""
        return self.network is None or isinstance(self.network, MLP)

    def record(
        self,
        x: Tensor,
        sizes: Any = None,  # noqa: ARG002
        *,
        keep: bool = True,
    ) -> tuple[Tensor, Tape]:
        """Map (n, n_in) to (n, n_out) and keep what `pull` needs, if it is wanted."""
        network, weight, bias, scale = self._parts()
        if weight is None:
            return network.record(x, keep=keep)  # type: ignore[no-any-return]
        if network is None:
            return torch.addmm(bias, x, weight), []
        if scale is None:
            recorded: tuple[Tensor, Tape] = network.record(x, (bias, weight), keep=keep)
            return recorded
        y, tape = network.record(x, keep=keep)
        return torch.addmm(bias, x, weight).addcmul_(y, scale), tape

    def _parts(self) -> tuple[Any, Any, Any, Any]:
        """Return network, weight, bias and scale, faster than as attributes."""
        buffers = self._buffers
        network = self._modules.get("network")
        return network, buffers["weight"], buffers["bias"], buffers["scale"]

    def truncate(self, size: int) -> None:
        """Do nothing: only a `PrefixDecoder` has latents to drop."""

    def pull(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Carry a gradient back as `MLP.pull` does."""
        network, weight, _, scale = self._parts()
        result: Tensor | None = None
        if network is not None:
            inner = grad if scale is None else grad * scale
            result = network.pull(tape, inner, to_input=to_input)
        if weight is None or not to_input:
            return result
        return grad @ weight.T if result is None else result.addmm_(grad, weight.T)


class Gate(nn.Module):
    r"""The map :math:`x \mapsto 10\,c\,a \odot g(x)` whose gate `a` starts at zero.

    It lets a network that somebody else wrote start at zero, whatever its last layer
    is (ReZero: Bachlechner et al. 2021, arXiv 2003.04887). The factor makes a step of
    `a` as large as one of a zero last layer.

    Parameters
    ----------
    network : nn.Module
        Maps (n, n_in) to (n, n_out).
    n_out : int
        The width of its output.
    gain : float, default=1.0
        The factor :math:`c`, as in `MLP`.
    """

    def __init__(self, network: nn.Module, n_out: int, gain: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.gain = gain
        self.gate = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        return 10 * self.gain * self.gate * self.network(x)  # type: ignore[no-any-return]


def check_width(network: nn.Module, n_in: int, n_out: int, name: str) -> None:
    """Raise ValueError unless `network` maps (2, n_in) to (2, n_out).

    Parameters
    ----------
    network : nn.Module
        The network to try, on zeros.
    n_in, n_out : int
        The widths wanted.
    name : str
        What to call it in the message.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            shape = tuple(network(torch.zeros(2, n_in)).shape)
    except (RuntimeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"The {name} failed on an input of shape (2, {n_in}); it must map "
            f"(n_samples, {n_in}) to (n_samples, {n_out}): {error}"
        ) from error
    finally:
        network.train(was_training)
    if shape != (2, n_out):
        raise ValueError(
            f"The {name} maps an input of shape (2, {n_in}) to {shape}; it must map "
            f"(n_samples, {n_in}) to (n_samples, {n_out})."
        )
