"""What all estimators promise: scikit-learn's own checks, without an exception."""

import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)


class Encoder(nn.Module):
    """A network of the user's own, with what makes batches differ from rows."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(8, n_components),
        )

    def forward(self, x):
        return self.layers(x)


class Halve:
    """Noise of the user's own."""

    def __call__(self, x):
        return x * (torch.rand_like(x) < 0.5)

    def __repr__(self):
        return "Halve()"


# Small and short: the checks ask for the contract, not quality. The defaults search
# with folds; of the others, each kind of network and training is here for one class,
# without a search. The rest, with folds and with all epochs, are slow tests.
QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "early_stopping": False}
FOLDS = {"hidden_layer_sizes": (16,), "max_iter": 5}
DEFAULTS = [
    Autoencoder(),
    DenoisingAutoencoder(),
    VariationalAutoencoder(),
    SupervisedAutoencoder(),
]

ESTIMATORS = [
    *(clone(estimator).set_params(max_iter=5) for estimator in DEFAULTS),
    Autoencoder(n_components=2, hidden_layer_sizes=()),
    Autoencoder(n_components=2, **FOLDS | {"early_stopping": True}),
    Autoencoder(n_components=1, whiten=True, **QUICK),
    Autoencoder(n_components=1, encoder=Encoder, early_stopping=False, max_iter=5),
    Autoencoder(n_components=2, ordered=True, **QUICK),
    Autoencoder(n_components=0.8, **QUICK),
    DenoisingAutoencoder(n_components=2, init="random", noise="masking", **QUICK),
    DenoisingAutoencoder(n_components=2, noise=Halve(), **QUICK),
    DenoisingAutoencoder(n_components=2, ordered=[1], **QUICK),
    DenoisingAutoencoder(n_components=1, noise="salt_and_pepper", **QUICK),
    VariationalAutoencoder(n_components=1, hidden_layer_sizes=()),
    VariationalAutoencoder(n_components=2, noise_variance="feature", **QUICK),
    VariationalAutoencoder(n_components=1, latent_prior="standard", **QUICK),
    SupervisedAutoencoder(n_components=2, mixing=0.1, init="random", **QUICK),
    SupervisedAutoencoder(n_components=2, ordered=True, **QUICK),
    SupervisedAutoencoder(n_components=1, whiten=True, **QUICK),
    SupervisedAutoencoder(n_components=2, target_type="continuous", **QUICK),
    LatentSizeCV(Autoencoder(random_state=0, **QUICK), cv=2),
    LatentSizeCV(PCA(random_state=0), cv=2, method="exact"),
]
MORE = [
    *DEFAULTS,  # with all epochs
    Autoencoder(n_components=1),
    Autoencoder(n_components=2, init="random", **FOLDS),
    Autoencoder(n_components=1, encoder=Encoder, max_iter=5),
    Autoencoder(n_components=2, ordered=True, **FOLDS),
    Autoencoder(n_components=2, ordered=True, encoder=Encoder, max_iter=5),
    DenoisingAutoencoder(n_components=2, hidden_layer_sizes=(), noise="swap"),
    DenoisingAutoencoder(n_components=2, init="random", noise="masking", **FOLDS),
    DenoisingAutoencoder(
        n_components=2, noise=Halve(), **FOLDS | {"early_stopping": True}
    ),
    DenoisingAutoencoder(n_components=1, encoder=Encoder, whiten=True, max_iter=5),
    DenoisingAutoencoder(
        n_components=2, ordered=[1], **FOLDS | {"early_stopping": True}
    ),
    VariationalAutoencoder(n_components=2, noise_variance="shared", **FOLDS),
    VariationalAutoencoder(
        n_components=2, noise_variance="feature", **FOLDS | {"early_stopping": True}
    ),
    VariationalAutoencoder(n_components=1, init="random", **FOLDS),
    VariationalAutoencoder(n_components=1, encoder=Encoder, max_iter=5),
    VariationalAutoencoder(latent_prior="standard", n_components=1, **FOLDS),
    VariationalAutoencoder(n_components=2, ordered=True, **FOLDS),
    VariationalAutoencoder(n_components=1, whiten=True, **QUICK),
    SupervisedAutoencoder(n_components=2, hidden_layer_sizes=()),
    SupervisedAutoencoder(n_components=2, mixing=0.1, init="random", **FOLDS),
    SupervisedAutoencoder(n_components=1, encoder=Encoder, max_iter=5),
    SupervisedAutoencoder(n_components=2, ordered=True, **FOLDS),
    SupervisedAutoencoder(n_components=2, target_type="continuous", **FOLDS),
    LatentSizeCV(
        Autoencoder(random_state=0, **QUICK),
        [1, 2],
        cv=2,
        method="exact",
        rule="best",
    ),
    LatentSizeCV(TruncatedSVD(random_state=0), cv=2, method="exact"),
]

# Checks of scikit-learn's that check_estimator does not run.
LEFT_OUT = [
    "check_param_validation",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
]


def pairs_left_out():
    """Yield estimators and checks: names, output and frames are of classes, so once.

    That is with the last configuration, a small one; the others have these checks among
    the slow tests.
    """
    quick = {type(estimator): estimator for estimator in ESTIMATORS}.values()
    for estimator in (*ESTIMATORS, *MORE):
        marks = [] if any(estimator is one for one in quick) else [pytest.mark.slow]
        for check in LEFT_OUT:
            yield pytest.param(estimator, check, marks=marks, id=f"{estimator}-{check}")


# Some checks fit pure noise, in which a latent of the VAE may find nothing.
@pytest.mark.filterwarnings("ignore:No latent is active")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No latent is active")
@parametrize_with_checks(MORE)
def test_scikit_learn_with_more(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:No latent is active")
# These checks fit on a frame and transform an array, or the other way round.
@pytest.mark.filterwarnings(
    "ignore:X (does not have valid|has) feature names:UserWarning"
)
@pytest.mark.parametrize(("estimator", "check"), list(pairs_left_out()))
def test_left_out(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)
