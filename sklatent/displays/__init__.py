"""Pictures, in the manner of scikit-learn's displays."""

from ._latent_size import LatentSizeDisplay
