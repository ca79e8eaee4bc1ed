"""Multi-layer perceptrons, and their gradient written out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from ._manual import is_plain_mlp

#: From the gradient at an activation's output, its input and its output, the gradient
#: at its input.
Derivative = Callable[[Tensor, Tensor, Tensor], Tensor]

_aten = torch.ops.aten
#: Each activation as a function, which is called faster than a module, and its
#: derivative.
ACTIVATION_FUNCTIONS: dict[
    type[nn.Module], tuple[Callable[[Tensor], Tensor], Derivative]
] = {
    nn.GELU: (gelu, lambda grad, x, _: _aten.gelu_backward.default(grad, x)),
    nn.Identity: (lambda x: x, lambda grad, *_: grad),
    nn.ReLU: (
        torch.relu,
        lambda grad, x, _: _aten.threshold_backward.default(grad, x, 0),
    ),
    nn.Sigmoid: (
        torch.sigmoid,
        lambda grad, _, y: _aten.sigmoid_backward.default(grad, y),
    ),
    nn.SiLU: (silu, lambda grad, x, _: _aten.silu_backward.default(grad, x)),
    nn.Tanh: (torch.tanh, lambda grad, _, y: _aten.tanh_backward.default(grad, y)),
}

#: Activations by name; scikit-learn's names where it has them.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

#: Multiplications from which a product in bfloat16 is faster, conversions included.
#: Only training uses it, where the noise of batches is far larger than its relative
#: error of 1/256: models are judged, kept and used in float32 or float64.
MIN_PRODUCT_IN_BFLOAT16 = 2**22

#: What `MLP.forward_with_tape` keeps of each layer: its weight and bias, its input,
#: and what it gave to its activation.
Tape = list[tuple[Tensor, Tensor, Tensor, Tensor]]


class MLP(nn.Sequential):
    r"""The network :math:`c\,(W_L a(W_{L-1} \dots a(W_1 x + b_1) \dots) + b_L + S x)`.

    It is an ``nn.Sequential`` of linear layers and activations. Autograd costs as much
    as the arithmetic where networks are small, so the gradient is written out as well:
    `forward_with_tape` and `backward` take half the time of ``forward`` and autograd's
    ``backward``. Training uses them as long as `has_manual_backward` is true.

    Parameters
    ----------
    sizes : sequence of int, length L + 1
        The widths, from the input to the output.
    activation : str
        A key of :data:`ACTIVATIONS`.
    zero_last : bool
        Whether the last layer starts at zero, so that the network is 0 at first.
    generator : torch.Generator
        The source of all randomness; the global generator is not used.
    gain : float, default=1.0
        The factor :math:`c`: how much a step of the last layer moves the output.
    weight_size : float, default=1.0
        How many times the usual weights of ``nn.Linear`` hidden layers start with.
    skips : bool, default=False
        Whether there is a matrix `S` from the input to the output, which starts at 0.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        *,
        zero_last: bool,
        generator: torch.Generator,
        gain: float = 1.0,
        weight_size: float = 1.0,
        skips: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [_linear(n_in, n_out, generator), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
        if skips:
            self.add_skip()
        self.gain = gain
        self.activation = ACTIVATIONS[activation]
        with torch.no_grad():
            for layer in layers[:-2:2]:
                layer.weight.mul_(weight_size)  # type: ignore[operator]
        if zero_last:
            for parameter in self[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        skip = self.skip_weight
        if skip is not None:
            y = torch.addmm(y, x, skip.T)
        return y if self.gain == 1 else self.gain * y

    @property
    def skip_weight(self) -> Tensor | None:
        """The matrix `S`; None where there is none, as in networks of old pickles."""
        # That of pruning is no parameter.
        skip: Tensor | None = vars(self).get("skip", self._parameters.get("skip"))
        return skip

    def add_skip(self) -> None:
        """Add that matrix, if there is none."""
        if self.skip_weight is None:
            first: Any = self[0]
            last: Any = self[-1]
            zeros = last.weight.new_zeros(last.out_features, first.in_features)
            is_trained = bool(last.weight.requires_grad)
            self.register_parameter("skip", nn.Parameter(zeros, is_trained))

    def last_parameters(self) -> Iterator[nn.Parameter]:
        """Yield those of the last layer and the skip: the output is linear in them."""
        yield from self[-1].parameters()
        yield from self.parameters(recurse=False)

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        return is_plain_mlp(self, self.activation)

    def forward_with_tape(
        self, x: Tensor, linear: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tape]:
        """Map (n, n_in) to (n, n_out) and keep what `backward` needs.

        Parameters
        ----------
        x : Tensor of shape (n, n_in)
            The input.
        linear : tuple of Tensor or None
            An affine map of `x` to add: bias and weight.

        Returns
        -------
        y : Tensor of shape (n, n_out)
            The output.
        tape : list
            For `backward`.
        """
        given, tape, activate = x, Tape(), ACTIVATION_FUNCTIONS[self.activation][0]
        # The dictionaries of the layers' parameters: ``layer.weight`` is slower.
        *hidden, last = [layer._parameters for layer in self._modules.values()][::2]
        skip = self.skip_weight
        n_rows = x.shape[0]
        for layer in hidden:
            weight, bias = layer["weight"], layer["bias"]
            assert weight is not None
            assert bias is not None
            if n_rows * weight.numel() >= MIN_PRODUCT_IN_BFLOAT16 and _allows_bfloat16(
                x
            ):
                before = _product_in_bfloat16(x, weight.T).add_(bias)
            else:
                before = torch.addmm(bias, x, weight.T)
            tape.append((weight, bias, x, before))
            x = activate(before)
        weight, bias = last["weight"], last["bias"]
        assert weight is not None
        assert bias is not None
        tape.append((weight, bias, x, x))
        if linear is None:
            gain = self.gain
            y = torch.addmm(bias, x, weight.T, beta=gain, alpha=gain)
            return y if skip is None else y.addmm_(given, skip.T, alpha=gain), tape
        if skip is not None:
            linear = linear[0], torch.add(linear[1], skip.T, alpha=self.gain)
        offset = torch.add(linear[0], bias, alpha=self.gain)
        if not hidden:  # of wide outputs one product is faster than two
            whole = torch.add(linear[1], weight.T, alpha=self.gain)
            return torch.addmm(offset, x, whole), tape
        y = torch.addmm(offset, given, linear[1])
        if n_rows * weight.numel() >= MIN_PRODUCT_IN_BFLOAT16 and _allows_bfloat16(x):
            return y.add_(_product_in_bfloat16(x, weight.T), alpha=self.gain), tape
        return y.addmm_(x, weight.T, alpha=self.gain), tape

    def backward(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Carry a gradient from the output back, and set the parameters' gradients.

        Parameters
        ----------
        tape : list
            From `forward_with_tape`.
        grad : Tensor of shape (n, n_out)
            The loss's gradient at the output.
        to_input : bool
            Whether the gradient at the input is needed.

        Returns
        -------
        grad : Tensor of shape (n, n_in) or None
            The gradient at the input, if needed. Those of the parameters overwrite
            the ``grad`` that they have.
        """
        (_, derivative), gain = ACTIVATION_FUNCTIONS[self.activation], self.gain
        n_rows, skip, outer = grad.shape[0], self.skip_weight, grad
        if skip is not None:
            assert skip.grad is not None
            torch.mm(grad.T, tape[0][2], out=skip.grad)
            if gain != 1:
                skip.grad.mul_(gain)
        for i in reversed(range(len(tape))):
            weight, bias, x, _ = tape[i]
            dw, db = weight.grad, bias.grad
            assert dw is not None
            assert db is not None
            torch.sum(grad, 0, out=db)
            if gain != 1:
                db.mul_(gain)
            if n_rows * weight.numel() >= MIN_PRODUCT_IN_BFLOAT16 and _allows_bfloat16(
                x
            ):
                grad = grad.bfloat16()
                torch.mul(_product_in_bfloat16(grad.T, x), gain, out=dw)
                if i or to_input:
                    grad = _product_in_bfloat16(grad, weight).mul_(gain)
            else:
                torch.addmm(dw, grad.T, x, beta=0, alpha=gain, out=dw)
                if i or to_input:
                    grad = torch.addmm(x, grad, weight, beta=0, alpha=gain)
            if i:
                grad = derivative(grad, tape[i - 1][3], x)
            gain = 1.0
        if to_input and skip is not None:
            grad = torch.addmm(grad, outer, skip, alpha=self.gain)
        return grad if to_input else None


def _multiplies_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 faster than float32."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    has = known.get("avx512_bf16") or known.get("amx_bf16")
    return bool(has and torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


HAS_BFLOAT16 = _multiplies_bfloat16()


def _allows_bfloat16(x: Tensor) -> bool:
    """Return whether products of these rows may be in bfloat16."""
    return HAS_BFLOAT16 and x.dtype == torch.float32 and x.device.type == "cpu"


def _product_in_bfloat16(a: Tensor, b: Tensor) -> Tensor:
    """Return a b from their values in bfloat16, summed up in float32."""
    return (a.bfloat16() @ b.bfloat16()).float()


class _WithoutStart(nn.Linear):
    """A layer that draws no weights from the global generator."""

    def reset_parameters(self) -> None:
        """No-op."""


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear(n_in, n_out)`` with its usual start, from `generator`."""
    # In float32 and on the CPU, whatever the caller's defaults are.
    layer: nn.Linear = _WithoutStart(n_in, n_out, device="cpu", dtype=torch.float32)
    layer.__class__ = nn.Linear
    bound = n_in**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
