"""Autoencoders as scikit-learn estimators that start at PCA and only improve on it."""

from ._autoencoder import Autoencoder
from ._denoising import DenoisingAutoencoder
from ._variational import VariationalAutoencoder

__all__ = ["Autoencoder", "DenoisingAutoencoder", "VariationalAutoencoder"]
__version__ = "0.1.0"
