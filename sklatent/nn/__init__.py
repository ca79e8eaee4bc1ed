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
from ._frame import (
    LatentFrame,
    Moments,
    decoder_gram,
    jacobians,
    mean_jacobian,
    ordered_frame,
    principal_frame,
    signs,
)
from ._last_layer import LastLayer
from ._likelihoods import Bernoulli, Gaussian, Likelihood, Poisson
from ._mlp import ACTIVATIONS, MLP
from ._prefix import PrefixDecoder
from ._residual import Gate, ResidualMap, check_width
from ._variational import (
    NegativeBound,
    NoiseVariance,
    Output,
    VariationalModule,
    kl_to_prior,
)

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AutoencoderModule",
    "Bernoulli",
    "CellMoments",
    "Corruption",
    "CustomNoise",
    "FlatAdamW",
    "Gate",
    "Gaussian",
    "GaussianNoise",
    "LastLayer",
    "LatentFrame",
    "Likelihood",
    "Masking",
    "Moments",
    "NegativeBound",
    "NoiseVariance",
    "Output",
    "Poisson",
    "PrefixDecoder",
    "ResidualMap",
    "SaltAndPepper",
    "SquaredError",
    "Swap",
    "VariationalModule",
    "check_width",
    "decoder_gram",
    "jacobians",
    "kl_to_prior",
    "mean_jacobian",
    "ordered_frame",
    "principal_frame",
    "signs",
]
