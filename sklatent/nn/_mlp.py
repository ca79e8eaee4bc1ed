"""Multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

#: Activations by name; scikit-learn's names where it has them.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def mlp(
    sizes: Sequence[int],
    activation: str,
    *,
    zero_last: bool,
    generator: torch.Generator,
) -> nn.Sequential:
    r"""Build the network :math:`W_L a(W_{L-1} \dots a(W_1 x + b_1) \dots) + b_L`.

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

    Returns
    -------
    network : nn.Sequential
        Maps (n, sizes[0]) to (n, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [_linear(n_in, n_out, generator), ACTIVATIONS[activation]()]
    network = nn.Sequential(*layers[:-1])
    if zero_last:
        for parameter in network[-1].parameters():
            nn.init.zeros_(parameter)
    return network


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear(n_in, n_out)`` with its usual start, from `generator`."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    bound = n_in**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
