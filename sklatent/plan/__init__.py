"""The parameters that all estimators have, and what they mean for given rows."""

from ._auto import FEW_ROWS, TWO_LAYERS, AutoRules, Layers, decay_of_weights
from ._further import plan_further
from ._given import Given, with_weights
from ._parameters import (
    CONSTRAINTS,
    Activation,
    Auto,
    Init,
    Missing,
    RandomState,
    layer_sizes,
    prefix_probabilities,
    seed_of,
    torch_dtype,
)
from ._plan import (
    Augmentation,
    Network,
    Plan,
    has_own_networks,
    is_linear,
    resolve,
    share_of,
    splits_of,
)
from ._splits import (
    SplitBy,
    Splits,
    choose_splits,
    error_inflation,
    held_out_units,
)
