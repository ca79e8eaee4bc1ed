"""Autoencoders as scikit-learn estimators that start at PCA and only improve on it."""

from ._autoencoder import Autoencoder
from ._denoising import DenoisingAutoencoder

__all__ = ["Autoencoder", "DenoisingAutoencoder"]
__version__ = "0.1.0"
