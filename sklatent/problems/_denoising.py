"""The noise of a denoising autoencoder, for given rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn import (
    CorrelatedNoise,
    Corruption,
    CustomNoise,
    GaussianNoise,
    InBasis,
    Masking,
    SaltAndPepper,
    Swap,
)
from ..rows import Rows

#: What makes the corruption of scaled rows, from the rows and the level.
NOISES: dict[str, Callable[[Rows, float], Corruption]] = {
    "gaussian": lambda rows, level: GaussianNoise(
        level * torch.from_numpy(rows.typical().variance()).sqrt()
    ),
    "masking": lambda rows, level: Masking(level, -_mean(rows) / rows.scale.scale),
    "salt_and_pepper": lambda rows, level: SaltAndPepper(
        level, *map(torch.from_numpy, rows.typical().range())
    ),
    "swap": lambda _, level: Swap(level),
}


def corruption_of(
    noise: str | Callable[[Tensor], Any], level: float, rows: Rows
) -> Corruption:
    """Return the noise of these rows.

    Parameters
    ----------
    noise : str or callable
        A key of `NOISES`, or a function of rows in the units of the data.
    level : float
        As `DenoisingAutoencoder` has it.
    rows : Rows
        All training rows.
    """
    if rows.scale.basis is not None:
        return corruption_in_basis(noise, float(level), rows)
    if callable(noise):
        return CustomNoise(noise, rows.scale.module())
    return NOISES[noise](rows, float(level))


def corruption_in_basis(
    noise: str | Callable[[Tensor], Any], level: float, rows: Rows
) -> Corruption:
    """Return the noise of the features of rows that are coordinates of them."""
    scaling, typical = rows.scale.module(), rows.typical().features()
    assert scaling.basis is not None
    variance, low, high = map(
        torch.from_numpy, (typical.variance, typical.low, typical.high)
    )
    if noise == "gaussian":
        return CorrelatedNoise.of_features(level * variance.sqrt(), scaling.basis)
    zero = -scaling.mean / scaling.scale
    noises: dict[Any, Callable[[], Corruption]] = {
        "masking": lambda: Masking(level, zero),
        "salt_and_pepper": lambda: SaltAndPepper(level, low, high),
        "swap": lambda: Swap(level),
    }
    if callable(noise):
        of_cells: Corruption = CustomNoise(noise, scaling.of_features())
    else:
        of_cells = noises[noise]()
    of_all = torch.from_numpy(rows.features().variance)
    return InBasis(of_cells, scaling.for_training(), of_all)


def check_level(noise: str | Callable[[Tensor], Any], level: float) -> None:
    """Raise ValueError if the level is a share of cells, and above 1."""
    if not callable(noise) and noise != "gaussian" and level > 1:
        raise ValueError(
            f"noise_level={level!r} with noise={noise!r}: it is the share of cells, "
            "which must be in [0, 1]."
        )


def _mean(rows: Rows) -> Tensor:
    return torch.from_numpy(rows.scale.center.astype(np.float64))
