"""The last layer of a decoder, solved by least squares."""

from typing import Any

import torch

from ._autoencoder_model import AutoencoderModel
from ._batch import Batch
from ._losses import Loss
from ._mlp import MLP
from ._residual import ResidualMap


class LastLayer:
    r"""The ridge regression that the last layer of an autoencoder's decoder is.

    With all before it fixed, a reconstruction is linear in the last layer's weights.
    Those that leave the least squares, plus :math:`\lambda` times the squares of the
    step to them, come from the sums over rows that this keeps.

    Parameters
    ----------
    module : AutoencoderModel
        One of which `can_solve` is true.
    """

    def __init__(self, module: AutoencoderModel) -> None:
        self.module = module
        last: Any = module.decoder.network[-1]  # type: ignore[index]
        self.weight, self.bias = last.weight, last.bias
        n_out, n_in = self.weight.shape
        self.gram = torch.zeros(n_in + 1, n_in + 1, dtype=torch.float64)
        self.cross = torch.zeros(n_in + 1, n_out, dtype=torch.float64)
        self.before = self.weight.detach().clone(), self.bias.detach().clone()

    @staticmethod
    def can_solve(module: Any, loss: Loss) -> bool:
        """Return whether the loss is least squares in a last layer that is known."""
        if not loss.is_squared_error or not isinstance(module, AutoencoderModel):
            return False
        if not module.has_manual_backward:
            return False
        decoder = module.decoder
        if not isinstance(decoder, ResidualMap) or not isinstance(decoder.network, MLP):
            return False
        return all(part.requires_grad for part in decoder.network[-1].parameters())

    @torch.no_grad()
    def add(self, batch: Batch) -> None:
        """Take in rows."""
        u = self.module.latents(batch.inputs)
        output, hidden = self.module.decoder(u), u
        for layer in list(self.module.decoder.network)[:-1]:  # type: ignore[arg-type]
            hidden = layer(hidden)
        design = torch.cat([hidden, hidden.new_ones(len(hidden), 1)], dim=1)
        design, left = design.cpu().double(), (batch.target - output).cpu().double()
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
