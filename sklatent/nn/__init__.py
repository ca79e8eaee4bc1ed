"""Networks, losses and fitted models in PyTorch alone: no scikit-learn, no skorch."""

from ._autoencoder_model import AutoencoderModel
from ._batch import Batch
from ._convolutions import ConvDecoder, ConvEncoder
from ._corruption import (
    CellMoments,
    Corruption,
    CustomNoise,
    GaussianNoise,
    Masking,
    SaltAndPepper,
    Swap,
)
from ._corruption_in_basis import CorrelatedNoise, InBasis
from ._deviance import Deviance
from ._filling import Filling, imputation_inputs
from ._flat_adamw import HAS_FUSED_KERNEL, AdamW, FlatAdamW
from ._frame import LatentFrame, ordered_frame, principal_frame, signs
from ._gaps import Gaps, gaps_of
from ._gaussian import CellGaussian, FactorGaussian, FullGaussian
from ._images import RandomShift, ToImages
from ._jacobian import decoder_gram, jacobians, mean_jacobian
from ._last_layer import AS_TRAINED, LINEAR, LastLayer
from ._latent_model import LatentModel
from ._likelihoods import (
    Bernoulli,
    ExponentialFamily,
    Gaussian,
    Likelihood,
    Poisson,
)
from ._losses import Loss, SquaredError
from ._manual import has_hooks
from ._mlp import ACTIVATIONS, MLP
from ._moments import Moments
from ._multinomial import Multinomial
from ._negative_bound import NegativeBound
from ._nested_dropout import NestedDecoder, SizeEnds
from ._own_network import check_width
from ._placement import (
    exact,
    exact_device,
    moved,
    normal_like,
    uniform_like,
    where_exact,
)
from ._residual import Gate, ResidualMap
from ._saving import copy_module, from_plain, is_ours, save_module, saved, to_plain
from ._scaling import Scaling
from ._size_ends import can_solve_ends, solve_ends
from ._sizes import Sizes
from ._sparse_batch import SparseBatch
from ._stack import can_stack, share_weights, stack_models
from ._supervised_loss import SupervisedLoss
from ._supervised_model import SupervisedModel, SupervisedOutput
from ._systematic import systematic
from ._tails import BEYOND, Tails
from ._variational_model import (
    NoiseVariance,
    Output,
    VariationalModel,
    kl_to_prior,
)
