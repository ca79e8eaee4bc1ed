"""Multi-layer perceptrons, and their gradient written out."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

#: From the gradient at an activation's output, its input and its output, the gradient
#: at its input.
Derivative = Callable[[Tensor, Tensor, Tensor], Tensor]

_aten = torch.ops.aten
#: What each activation does, without the time that a module takes to be called, and its
#: derivative.
_FUNCTIONS: dict[type[nn.Module], tuple[Callable[[Tensor], Tensor], Derivative]] = {
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

#: Multiplications from which a product in bfloat16 is faster, with its conversions.
#: Only training takes it, where the noise of batches is far larger than its relative
#: error of 1/256: what is judged, kept and used is of float32 or float64.
WORTH_HALVING = 2**22

#: What `MLP.record` keeps of each layer: its weight and bias, its input, and what it
#: gave to its activation.
Tape = list[tuple[Tensor, Tensor, Tensor, Tensor]]


class MLP(nn.Sequential):
    r"""The network :math:`c\,(W_L a(W_{L-1} \dots a(W_1 x + b_1) \dots) + b_L)`.

    Autograd costs as much as the arithmetic where networks are small. So the gradient
    is written out as well: `record` and `pull` do what ``forward`` and ``backward``
    do, in half the time.

    Parameters
    ----------
    sizes : sequence of int, length L + 1
        The widths, from the input to the output.
    activation : str
        A key of :data:`ACTIVATIONS`.
    zero_last : bool
        Whether the last layer starts at zero, so that the network is 0 at first.
    generator : torch.Generator
        The source of all randomness; the global generator is not touched.
    gain : float, default=1.0
        The factor :math:`c`: how much a step of the last layer moves the output.
    weight_size : float, default=1.0
        How many times the usual weights of ``nn.Linear`` hidden layers start with.
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
    ) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [_linear(n_in, n_out, generator), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
        self.gain = gain
        self.activation = ACTIVATIONS[activation]
        # The dictionaries in which the layers keep their weights: to look up
        # ``layer.weight`` takes nn.Module a microsecond.
        self.tensors: list[Any] = [layer._parameters for layer in layers[::2]]
        with torch.no_grad():
            for layer in layers[:-2:2]:
                layer.weight.mul_(weight_size)  # type: ignore[operator]
        if zero_last:
            for parameter in self[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        return self.record(x, keep=False)[0]

    def record(
        self,
        x: Tensor,
        linear: tuple[Tensor, Tensor] | None = None,
        *,
        keep: bool = True,
    ) -> tuple[Tensor, Tape]:
        """Map (n, n_in) to (n, n_out) and keep what `pull` needs.

        Parameters
        ----------
        x : Tensor of shape (n, n_in)
            The input.
        linear : tuple of Tensor or None
            An affine map of `x` to add: bias and weight.
        keep : bool, default=True
            Whether a tape is wanted; without one, layers use the same memory, and
            products have the precision of `x`.

        Returns
        -------
        y : Tensor of shape (n, n_out)
            The output.
        tape : list
            For `pull`; empty if it is not wanted.
        """
        given, tape, activate = x, Tape(), _FUNCTIONS[self.activation][0]
        *hidden, last = self.tensors
        halves = _rows_of_halves(x) if keep else 0
        for layer in hidden:
            weight, bias = layer["weight"], layer["bias"]
            if halves * weight.numel() >= WORTH_HALVING:
                before = _halved_product(x, weight.T).add_(bias)
            else:
                before = torch.addmm(bias, x, weight.T)
            if keep:
                tape.append((weight, bias, x, before))
            x = activate(before)
        weight, bias = last["weight"], last["bias"]
        if keep:
            tape.append((weight, bias, x, x))
        if linear is None:
            gain = self.gain
            return torch.addmm(bias, x, weight.T, beta=gain, alpha=gain), tape
        offset = torch.add(linear[0], bias, alpha=self.gain)
        y = torch.addmm(offset, given, linear[1])
        if halves * weight.numel() >= WORTH_HALVING:
            return y.add_(_halved_product(x, weight.T), alpha=self.gain), tape
        return y.addmm_(x, weight.T, alpha=self.gain), tape

    def pull(self, tape: Tape, grad: Tensor, *, to_input: bool) -> Tensor | None:
        """Carry a gradient from the output back, and set the parameters' gradients.

        Parameters
        ----------
        tape : list
            From `record`.
        grad : Tensor of shape (n, n_out)
            The loss's gradient at the output.
        to_input : bool
            Whether the gradient at the input is wanted.

        Returns
        -------
        grad : Tensor of shape (n, n_in) or None
            The gradient at the input, if wanted. Those of the parameters are written
            over the ``grad`` that they have.
        """
        (_, derivative), gain = _FUNCTIONS[self.activation], self.gain
        halves = _rows_of_halves(grad)
        for i in reversed(range(len(tape))):
            weight, bias, x, _ = tape[i]
            dw, db = weight.grad, bias.grad
            assert dw is not None
            assert db is not None
            torch.sum(grad, 0, out=db)
            if gain != 1:
                db.mul_(gain)
            if halves * weight.numel() >= WORTH_HALVING:
                grad = grad.bfloat16()
                torch.mul(_halved_product(grad.T, x), gain, out=dw)
                if i or to_input:
                    grad = _halved_product(grad, weight).mul_(gain)
            else:
                torch.addmm(dw, grad.T, x, beta=0, alpha=gain, out=dw)
                if i or to_input:
                    grad = torch.addmm(x, grad, weight, beta=0, alpha=gain)
            if i:
                grad = derivative(grad, tape[i - 1][3], x)
            gain = 1.0
        return grad if to_input else None


def _multiplies_halves() -> bool:
    """Return whether the processor multiplies bfloat16 faster than float32."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    has = known.get("avx512_bf16") or known.get("amx_bf16")
    return bool(has and torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


HALVES = _multiplies_halves()


def _rows_of_halves(x: Tensor) -> int:
    """Return the number of rows if their products may be of bfloat16, else 0."""
    can = HALVES and x.dtype == torch.float32 and x.device.type == "cpu"
    return x.shape[0] if can else 0


def _halved_product(a: Tensor, b: Tensor) -> Tensor:
    """Return a b from their values in bfloat16, summed up in float32."""
    return (a.bfloat16() @ b.bfloat16()).float()


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear(n_in, n_out)`` with its usual start, from `generator`."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    bound = n_in**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
