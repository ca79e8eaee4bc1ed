"""Pictures, in the manner of scikit-learn's displays."""

from ._components import ComponentsDisplay
from ._latent_size import LatentSizeDisplay
from ._latent_space import LatentSpaceDisplay
from ._reconstruction import ReconstructionDisplay
from ._training import TrainingDisplay
from ._traversal import LatentTraversalDisplay
