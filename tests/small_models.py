"""Small fitted estimators of each kind, and pickles of them that later releases load.

Run as a script it writes these: ``python tests/small_models.py``.
"""

import pickle
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentOutlierDetector,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import ConvDecoder, ConvEncoder, RandomShift

DATA = Path(__file__).parent / "data"
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X)[:, :6], y


def with_gaps(X):
    X = X.copy()
    X[::5, 1] = np.nan
    return X


def counts(X):
    return np.floor(np.exp(X))


def shares(X):
    return 1 / (1 + np.exp(-X))


#: What is fitted, by name, and what its rows are made by.
ESTIMATORS = {
    "plain": Autoencoder(2, **SMALL),
    "ordered": Autoencoder(3, ordered=True, whiten=True, **SMALL),
    "random": Autoencoder(2, init="random", **SMALL),
    "gaps": Autoencoder(2, missing="ignore", **SMALL),
    "images": Autoencoder(
        2,
        encoder=ConvEncoder((2, 3), channels=(2,), hidden_layer_sizes=(4,)),
        decoder=ConvDecoder((2, 3), channels=(2,), hidden_layer_sizes=(4,)),
        augmentation=RandomShift((2, 3)),
        max_iter=2,
        random_state=0,
    ),
    "counts": Autoencoder(2, loss="poisson", **SMALL),
    "shares": Autoencoder(2, loss="log_loss", **SMALL),
    "denoising": DenoisingAutoencoder(2, **SMALL),
    "variational": VariationalAutoencoder(2, **SMALL),
    "words": VariationalAutoencoder(2, likelihood="multinomial", **SMALL),
    "rates": VariationalAutoencoder(2, likelihood="poisson", **SMALL),
    "supervised": SupervisedAutoencoder(2, **SMALL),
    "size": LatentSizeCV(Autoencoder(**SMALL), cv=2),
    "outliers": LatentOutlierDetector(Autoencoder(2, **SMALL), cv=2, random_state=0),
}
ROWS = {"gaps": with_gaps, "shares": shares} | dict.fromkeys(
    ("counts", "rates", "words"), counts
)


def fit(name):
    X, y = wine()
    X = ROWS.get(name, np.asarray)(X)[:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of training that is too short
        return ESTIMATORS[name].fit(X, y[:60]), X


def says(model, X):
    """What a model makes of rows."""
    return model.transform(X) if hasattr(model, "transform") else model.score_samples(X)


if __name__ == "__main__":
    X = wine()[0][:20]
    expected = {"X": X}
    for name in ESTIMATORS:
        model, _ = fit(name)
        (DATA / f"{name}.pkl").write_bytes(pickle.dumps(model, protocol=4))
        expected[name] = says(model, ROWS.get(name, np.asarray)(X))
    np.savez_compressed(DATA / "expected.npz", **expected)
