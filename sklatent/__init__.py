"""Autoencoders as scikit-learn estimators that start as their linear classics."""

from ._autoencoder import Autoencoder
from ._denoising import DenoisingAutoencoder
from ._latent_size import LatentSizeCV
from ._outliers import LatentOutlierDetector
from ._supervised import SupervisedAutoencoder
from ._variational import VariationalAutoencoder
from ._versions import show_versions
from .displays import (
    ComponentsDisplay,
    LatentSizeDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
)

__all__ = [
    "Autoencoder",
    "ComponentsDisplay",
    "DenoisingAutoencoder",
    "LatentOutlierDetector",
    "LatentSizeCV",
    "LatentSizeDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "ReconstructionDisplay",
    "SupervisedAutoencoder",
    "TrainingDisplay",
    "VariationalAutoencoder",
    "show_versions",
]
__version__ = "0.1.0"
