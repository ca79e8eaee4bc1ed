"""What missing cells are filled with."""

import torch
from torch import Tensor

from ._gaussian import CellGaussian
from ._mlp import MLP
from ._scaling import KeepsFloat64


class Filling(KeepsFloat64):
    r"""Fills the missing cells, NaN, of scaled rows.

    By their conditional mean under a Gaussian of standardised features, :math:`m`, and
    where there is a network, with its correction: :math:`m + s\,g(m, o, s)`, of as many
    conditional standard deviations `s`; `o` is 1 where a cell is missing.

    Parameters
    ----------
    gaussian : CellGaussian
        Of scaled rows, less the mean, each feature divided by its unit.
    mean : Tensor of shape (n_features,), float64
        Of each feature, scaled.
    unit : Tensor of shape (n_features,), float64
        The standard deviation of each feature.
    """

    mean: Tensor
    unit: Tensor

    def __init__(self, gaussian: CellGaussian, mean: Tensor, unit: Tensor) -> None:
        super().__init__()
        self.gaussian = gaussian
        self.network: MLP | None = None
        self.register_buffer("mean", mean)
        self.register_buffer("unit", unit)

    def forward(self, x: Tensor) -> Tensor:
        """Return scaled rows (n, n_features) with their missing cells filled."""
        missing = x.isnan()
        rows = missing.any(dim=1).nonzero()[:, 0]
        if not len(rows):
            return x
        mean, variance = self.gaussian.conditional(self.standardised(x[rows]))
        if self.network is not None:
            mean = mean + self.correction(mean, variance.sqrt())
        filled = x.clone()
        filled[rows] = torch.where(
            missing[rows], self.scaled(mean).to(x.dtype), x[rows]
        )
        return filled

    def standardised(self, x: Tensor) -> Tensor:
        """Return scaled rows as `gaussian` takes them."""
        return (x.to(self.unit.dtype) - self.mean) / self.unit

    def scaled(self, rows: Tensor) -> Tensor:
        """Return rows as `gaussian` gives them, scaled."""
        return rows * self.unit + self.mean

    def correction(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Return what the network adds to conditional means, by their deviations."""
        assert self.network is not None
        dtype = next(self.network.parameters()).dtype
        added: Tensor = self.network(imputation_inputs(mean, deviation).to(dtype))
        return added.to(deviation.dtype) * deviation


def imputation_inputs(mean: Tensor, deviation: Tensor) -> Tensor:
    """Return what a correction is told: filled rows, gaps, and their deviations.

    Parameters
    ----------
    mean, deviation : Tensor of shape (n, n_features)
        As in `Conditional`, with standard deviations.

    Returns
    -------
    inputs : Tensor of shape (n, 3 * n_features)
    """
    return torch.cat([mean, (deviation > 0).to(mean), deviation], dim=-1)
