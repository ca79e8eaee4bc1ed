"""The networks: PyTorch only, with no knowledge of scikit-learn or skorch."""

from ._autoencoder import AutoencoderModule, SquaredError
from ._frame import LatentFrame, Moments, decoder_gram, principal_frame
from ._mlp import ACTIVATIONS, MLP
from ._residual import Gate, ResidualMap, check_width

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AutoencoderModule",
    "Gate",
    "LatentFrame",
    "Moments",
    "ResidualMap",
    "SquaredError",
    "check_width",
    "decoder_gram",
    "principal_frame",
]
