"""Latents that stay near to those of an earlier model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..nn import LatentFrame, LatentModel, ResidualMap, VariationalModel
from ..problems import turn
from ..rows import Rows


@dataclass(frozen=True)
class EarlierLatents:
    """What an earlier model makes of some rows.

    Attributes
    ----------
    rows : Rows
    latents : Tensor of shape (n, n_components), float64
        Of these, before whitening.
    """

    rows: Rows
    latents: Tensor

    @torch.no_grad()
    def near(self, model: LatentModel, *, turns: bool) -> LatentFrame:
        """Return the frame, turned and moved so that latents come closest to these.

        (Orthogonal Procrustes: Schoenemann 1966.) Of ordered latents only signs change,
        and of those with a posterior these and their order; that have a prior around 0
        and are not moved.

        Parameters
        ----------
        model : LatentModel
            In float64, in its own frame.
        turns : bool
            Whether it may be turned; else its frame is returned.
        """
        frame = model.frame
        if not turns or not frame.matrix.shape[1]:
            return frame
        z = self._latents_of(model)
        by = turn(z, self.latents, model)
        matrix, inverse = frame.matrix @ by, by.mT @ frame.inverse
        mean = frame.mean
        if isinstance(model.decoder, ResidualMap) and not isinstance(
            model, VariationalModel
        ):
            shift = self.latents.mean(dim=0) - (z @ by).mean(dim=0)
            mean = mean - shift @ inverse
        return LatentFrame(mean, matrix, inverse)

    @torch.no_grad()
    def missed_by(self, model: LatentModel) -> float:
        """Return the share of the variance of these latents that a model's miss."""
        total = float((self.latents - self.latents.mean(dim=0)).square().sum())
        left = float((self._latents_of(model) - self.latents).square().sum())
        return left / total if total > 0 else 0.0

    def _latents_of(self, model: LatentModel) -> Tensor:
        x = torch.from_numpy(np.concatenate(list(self.rows.blocks())))
        z: Tensor = model.frame(model.latents(x).double())
        return z
