"""The networks: PyTorch only, with no knowledge of scikit-learn or skorch."""

from ._autoencoder import AutoencoderModule, SquaredError
from ._corruption import (
    CellMoments,
    Corruption,
    CustomNoise,
    GaussianNoise,
    Masking,
    SaltAndPepper,
    Swap,
)
from ._flat_adamw import FlatAdamW
from ._frame import LatentFrame, Moments, decoder_gram, principal_frame
from ._mlp import ACTIVATIONS, MLP
from ._residual import Gate, ResidualMap, check_width

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AutoencoderModule",
    "CellMoments",
    "Corruption",
    "CustomNoise",
    "FlatAdamW",
    "Gate",
    "GaussianNoise",
    "LatentFrame",
    "Masking",
    "Moments",
    "ResidualMap",
    "SaltAndPepper",
    "SquaredError",
    "Swap",
    "check_width",
    "decoder_gram",
    "principal_frame",
]
