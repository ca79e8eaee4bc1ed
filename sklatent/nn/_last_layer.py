"""The last layer of a decoder, solved by least squares."""

from typing import Any

import torch
from torch import Tensor

from ._autoencoder import AutoencoderModule
from ._mlp import MLP
from ._residual import ResidualMap


class LastLayer:
    r"""The ridge regression that the last layer of an autoencoder's decoder is.

    With all before it fixed, a reconstruction is linear in the last layer's weights.
    Those that leave the least squares, plus :math:`\lambda` times the squares of the
    step to them, come from the sums over rows that this keeps.

    Parameters
    ----------
    module : AutoencoderModule
        One of which `can_solve` is true.
    """

    def __init__(self, module: AutoencoderModule) -> None:
        self.module = module
        last: Any = module.decoder.network[-1]  # type: ignore[index]
        self.weight, self.bias = last.weight, last.bias
        n_out, n_in = self.weight.shape
        self.gram = torch.zeros(n_in + 1, n_in + 1, dtype=torch.float64)
        self.cross = torch.zeros(n_in + 1, n_out, dtype=torch.float64)
        self.before = self.weight.detach().clone(), self.bias.detach().clone()

    @staticmethod
    def can_solve(module: Any) -> bool:
        """Return whether the module has a decoder whose last layer is known."""
        if not isinstance(module, AutoencoderModule) or not module.written_out:
            return False
        decoder = module.decoder
        if not isinstance(decoder, ResidualMap) or not isinstance(decoder.network, MLP):
            return False
        return all(part.requires_grad for part in decoder.network[-1].parameters())

    @torch.no_grad()
    def add(self, shown: Tensor, x: Tensor) -> None:
        """Take in rows, and what the module is shown of them."""
        u = self.module.latents(shown)
        output, hidden = self.module.decoder(u), u
        for layer in list(self.module.decoder.network)[:-1]:  # type: ignore[arg-type]
            hidden = layer(hidden)
        design = torch.cat([hidden, hidden.new_ones(len(hidden), 1)], dim=1)
        design, left = design.cpu().double(), (x - output).cpu().double()
        self.gram += design.mT @ design
        self.cross += design.mT @ left

    @torch.no_grad()
    def undo(self) -> None:
        """Set the weights that were there before."""
        self.weight.copy_(self.before[0])
        self.bias.copy_(self.before[1])

    @torch.no_grad()
    def solve(self, ridge: float) -> None:
        r"""Set the weights.

        Parameters
        ----------
        ridge : float
            :math:`\lambda`, as a share of the mean square of what the layer sees.
        """
        size = len(self.gram)
        added = ridge * self.gram.diagonal().mean()
        matrix = self.gram + added * torch.eye(size, dtype=self.gram.dtype)
        gain = self.module.decoder.network.gain  # type: ignore[union-attr]
        step = torch.linalg.solve(matrix, self.cross) / gain
        weight, bias = self.before
        self.weight.copy_(weight + step[:-1].mT.to(weight))
        self.bias.copy_(bias + step[-1].to(bias))
