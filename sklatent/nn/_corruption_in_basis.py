"""Noise of features, where networks see rows as coordinates in a basis."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ._corruption import CellMoments, Corruption, Masking
from ._placement import normal_like
from ._scaling import Scaling
from ._sparse_batch import SparseBatch

#: Rows that have all their features at once.
N_DENSE = 128


@dataclass(frozen=True)
class CorrelatedNoise(Corruption):
    """Adds normal noise of any covariance: that of features, seen in a basis.

    Parameters
    ----------
    covariance : Tensor of shape (r, r)
    root : Tensor of shape (r, r)
        A matrix of which the product with its own transpose is the covariance.
    """

    covariance: Tensor
    root: Tensor

    @classmethod
    def of_features(cls, std: Tensor, basis: Tensor) -> "CorrelatedNoise":
        """Return what noise of features with these deviations is in a basis."""
        scaled = basis * std[:, None]
        covariance = scaled.mT @ scaled
        squares, axes = torch.linalg.eigh(covariance)
        return cls(covariance, axes * squares.clamp(min=0).sqrt())

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + normal_like(x, generator) @ self.root.mT.to(x)

    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments:  # noqa: ARG002
        return CellMoments(mean, 1.0, self.covariance)


@dataclass(frozen=True)
class InBasis(Corruption):
    """Corrupts the features of sparse rows, and returns the rows' coordinates.

    Cells that masking hides are left out of the products; for other noise some rows at
    a time have all their features.

    Parameters
    ----------
    noise : Corruption
        Of rows that have all features, scaled.
    scaling : Scaling
        With the basis.
    variance : Tensor of shape (n_features,)
        Of each feature, scaled.
    """

    noise: Corruption
    scaling: Scaling
    variance: Tensor
    sees_cells: ClassVar[bool] = True

    def __call__(  # type: ignore[override]
        self, x: SparseBatch, generator: torch.Generator
    ) -> Tensor:
        scaling = self.scaling
        if isinstance(self.noise, Masking):
            return scaling.to_scaled(x.without(self.noise.level, generator))
        parts = x.tensor_split(max(1, -(-len(x) // N_DENSE)))
        features = scaling.of_features()
        noisy = [
            self.noise(features.to_scaled(part.dense()), generator) for part in parts
        ]
        assert scaling.narrow is not None
        return torch.cat([part @ scaling.narrow for part in noisy])

    def check(self) -> None:
        """Raise ValueError if a function of the user's has gone wrong."""
        self.noise.check()

    def moments(self, mean: Tensor, variance: Tensor) -> CellMoments | None:  # noqa: ARG002
        of_cells = self.noise.moments(torch.zeros_like(self.variance), self.variance)
        if of_cells is None:
            return None
        basis = self.scaling.basis
        assert basis is not None
        extra = basis.mT @ (of_cells.extra[:, None] * basis)
        return CellMoments(of_cells.mean @ basis, of_cells.keep, extra)
