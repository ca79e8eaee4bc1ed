"""Autoencoders as scikit-learn estimators that start as their linear classics."""

from ._autoencoder import Autoencoder
from ._denoising import DenoisingAutoencoder
from ._latent_size import LatentSizeCV
from ._supervised import SupervisedAutoencoder
from ._variational import VariationalAutoencoder
from .displays import LatentSizeDisplay

__all__ = [
    "Autoencoder",
    "DenoisingAutoencoder",
    "LatentSizeCV",
    "LatentSizeDisplay",
    "SupervisedAutoencoder",
    "VariationalAutoencoder",
]
__version__ = "0.1.0"
