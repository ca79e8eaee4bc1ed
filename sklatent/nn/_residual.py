"""A fixed linear map plus what a network adds to it."""

import torch
from torch import Tensor, nn

from ._manual import has_hooks
from ._mlp import MLP, Tape
from ._own_network import HasNetwork
from ._scaling import Scaling
from ._sizes import Sizes


class ResidualMap(HasNetwork):
    r"""The map :math:`f(x) = x W + b + s\,g(x)` with a network :math:`g`.

    `W` and `b` are buffers that hold a closed-form solution: only the network is
    trained. While :math:`g = 0`, `f` *is* that solution. With a network of the user's,
    :math:`(1 + c)\,x W` takes the place of :math:`x W`, where `c` is trained from 0 on.
    No last layer is solved for such a one, which would take from the linear map what
    the network does better; with convolutions this number leaves a fifth less.

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
    units : Scaling or None
        Of a plain network whose output is in the units of the data; it is then scaled.
    within : tuple of Tensor, each of shape (n_in,), or None
        The least and the largest input that a network of ours is shown: beyond what it
        was trained on, it is as at the edge, and the map is linear. Training stays
        within.

    Attributes
    ----------
    change : Parameter of shape (1,) or None
        The number `c`.
    outer : Tensor of shape (n_in, n_out) or None
        In place of `W` for what lies beyond: `W` may be solved once more, with the
        network, for rows within.
    """

    #: Training does not change the buffers of such modules.
    has_fixed_buffers = True

    weight: Tensor | None
    bias: Tensor | None
    scale: Tensor | None
    low: Tensor | None
    high: Tensor | None
    outer: Tensor | None

    def __init__(
        self,
        weight: Tensor | None,
        bias: Tensor | None,
        network: nn.Module | None,
        scale: Tensor | None = None,
        units: Scaling | None = None,
        within: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("scale", scale)
        low, high = (None, None) if within is None else within
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.register_buffer("outer", None)
        self.network = network
        self.units = units
        self.change: nn.Parameter | None = None
        if weight is not None and isinstance(network, Gate):
            zero = torch.zeros(1, dtype=torch.float32, device="cpu")
            self.change = nn.Parameter(zero)

    def forward(self, x: Tensor, sizes: Sizes | int | None = None) -> Tensor:  # noqa: ARG002
        """Map (n, n_in) to (n, n_out); `sizes` are for a `NestedDecoder`."""
        if self.network is None:
            assert self.weight is not None
            assert self.bias is not None
            return torch.addmm(self.bias, x, self.weight)
        # A network of somebody else may work in place, so it gets a copy.
        ours = isinstance(self.network, MLP)
        shown = self.within(x) if ours else x
        y: Tensor = self.network(shown) if ours else self.run(x.clone())
        if self.weight is None or self.bias is None:
            return y if self.units is None else self.units.to_scaled(y)
        if self.change is not None:
            linear = self.bias + (1 + self.change) * (x @ self.weight)
        elif self.outer is None:
            linear = torch.addmm(self.bias, x, self.weight)
        else:
            linear = torch.addmm(self.bias, shown, self.weight)
            linear = linear.addmm(x - shown, self.outer)
        return linear + y if self.scale is None else linear.addcmul(y, self.scale)

    def within(self, x: Tensor) -> Tensor:
        """Return what a network of ours is shown of an input."""
        return x if self.low is None else x.clamp(self.low, self.high)

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        network = self.network
        if has_hooks(self):
            return False
        own = isinstance(network, MLP) and network.has_manual_backward
        return network is None or own

    def forward_with_tape(
        self,
        x: Tensor,
        sizes: Sizes | None = None,  # noqa: ARG002
    ) -> tuple[Tensor, Tape]:
        """Map (n, n_in) to (n, n_out) and keep what `backward` needs."""
        network, weight, bias, scale = self._parts()
        if weight is None:
            assert network is not None
            return network.forward_with_tape(x)
        assert bias is not None
        if network is None:
            return torch.addmm(bias, x, weight), []
        if scale is None:
            return network.forward_with_tape(x, (bias, weight))
        y, tape = network.forward_with_tape(x)
        return torch.addmm(bias, x, weight).addcmul_(y, scale), tape

    def _parts(
        self,
    ) -> tuple[MLP | None, Tensor | None, Tensor | None, Tensor | None]:
        """Return network, weight, bias and scale, faster than as attributes."""
        buffers = self._buffers
        network: MLP | None = self._modules.get("network")  # type: ignore[assignment]
        return network, buffers["weight"], buffers["bias"], buffers["scale"]

    def backward(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Carry a gradient back as `MLP.backward` does."""
        network, weight, _, scale = self._parts()
        result: Tensor | None = None
        if network is not None:
            inner = grad if scale is None else grad * scale
            is_linear = len(network) == 1 and network.skip_weight is None
            if is_linear and scale is None and weight is not None:
                network.backward(tape, inner, to_input=False)
                whole = torch.add(weight.T, tape[0][0], alpha=network.gain)
                return grad @ whole if to_input else None
            result = network.backward(tape, inner, to_input=to_input)
        if weight is None or not to_input:
            return result
        return grad @ weight.T if result is None else result.addmm_(grad, weight.T)

    def truncate(self, size: int) -> None:
        """No-op: only a `NestedDecoder` has parts for larger sizes."""


class Gate(HasNetwork):
    r"""The map :math:`x \mapsto 10\,c\,a\,g(x)` whose gate `a` starts at zero.

    It lets a network that somebody else wrote start at zero, whatever its last layer
    is (ReZero: Bachlechner et al. 2021, arXiv 2003.04887). The factor makes a step of
    `a` as large as one of a zero last layer. The gate is one number: with one for each
    output, convolutions leave 1.4 times the error.

    Parameters
    ----------
    network : nn.Module
        Maps (n, n_in) to (n, n_out).
    gain : float, default=1.0
        The factor :math:`c`, as in `MLP`.
    """

    def __init__(self, network: nn.Module, gain: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.gain = gain
        zero = torch.zeros(1, dtype=torch.float32, device="cpu")
        self.gate = nn.Parameter(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        return 10 * self.gain * self.gate * self.run(x)
