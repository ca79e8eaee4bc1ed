"""Autoencoders as scikit-learn estimators that start at PCA and only improve on it."""

from ._autoencoder import Autoencoder

__all__ = ["Autoencoder"]
__version__ = "0.1.0"
