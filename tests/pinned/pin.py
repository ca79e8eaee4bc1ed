"""Reference results of today's fits, to compare with while the inside is rebuilt.

    python tests/pinned/pin.py write FILE     # with the code to be pinned
    python tests/pinned/pin.py compare FILE   # with the code at hand

Temporary: deleted when the rebuilding is done.
"""

import sys
import time
import warnings

import numpy as np
import torch
from sklearn import datasets
from torch import nn

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    VariationalAutoencoder,
)

torch.set_num_threads(1)
DIGITS = datasets.load_digits().data
CANCER = datasets.load_breast_cancer().data
WINE = datasets.load_wine().data
QUICK = {"hidden_layer_sizes": (32,), "max_iter": 6, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "random_state": 0}
AE, DAE, VAE = Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
COUNTS = DIGITS.astype(int)


def encoder(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(16, n_out),
    )


def halve(x):
    return x * (torch.rand_like(x) < 0.5)


CASES = {
    "ae digits": (AE(8, **QUICK), DIGITS),
    "ae digits f32": (AE(8, **QUICK), DIGITS.astype(np.float32)),
    "ae digits wide": (AE(8, max_iter=6, random_state=0), DIGITS),
    "ae 300": (AE(8, **QUICK), DIGITS[:300]),
    "ae 300 default": (AE(4, random_state=1, max_iter=30), DIGITS[:300]),
    "ae all rows": (AE(5, early_stopping=False, whiten=True, **QUICK), DIGITS),
    "ae early": (AE(5, early_stopping=True, activation="tanh", **QUICK), CANCER),
    "ae random": (AE(5, init="random", activation="relu", **QUICK), DIGITS),
    "ae linear": (AE(5, **LINEAR), CANCER),
    "ae linear white f32": (AE(5, whiten=True, **LINEAR), DIGITS.astype(np.float32)),
    "ae wine": (AE(3, random_state=0, max_iter=20), WINE),
    "ae none": (AE(random_state=0, max_iter=5), WINE),
    "ae share": (AE(0.9, **QUICK), DIGITS),
    "ae share 300": (AE(0.8, **QUICK), DIGITS[:300]),
    "ae ordered": (AE(8, ordered=True, **QUICK), DIGITS),
    "ae ordered sizes": (AE(8, ordered=[2, 4], whiten=True, **QUICK), DIGITS[:400]),
    "ae own": (AE(4, encoder=encoder, max_iter=4, random_state=0), DIGITS),
    "ae own random": (
        AE(
            4,
            encoder=encoder,
            decoder=lambda p, k: nn.Linear(k, p),
            init="random",
            max_iter=4,
            random_state=0,
        ),
        DIGITS[:300],
    ),
    "dae digits": (DAE(8, **QUICK), DIGITS),
    "dae masking": (DAE(8, noise="masking", noise_level=0.3, **QUICK), DIGITS[:300]),
    "dae swap": (DAE(8, noise="swap", noise_level=0.2, ordered=True, **QUICK), DIGITS),
    "dae salt": (
        DAE(5, noise="salt_and_pepper", noise_level=0.1, early_stopping=False, **QUICK),
        CANCER,
    ),
    "dae own noise": (DAE(4, noise=halve, **QUICK), DIGITS),
    "dae linear": (DAE(4, noise="masking", **LINEAR), DIGITS),
    "vae digits": (VAE(8, **QUICK), DIGITS),
    "vae shared": (VAE(4, noise_variance="shared", **QUICK), DIGITS[:300]),
    "vae feature": (
        VAE(4, noise_variance="feature", early_stopping=False, whiten=True, **QUICK),
        CANCER,
    ),
    "vae random": (VAE(3, init="random", **QUICK), DIGITS),
    "vae linear": (VAE(4, **LINEAR), CANCER),
    "vae ordered": (VAE(6, ordered=True, **QUICK), DIGITS),
    "vae bernoulli": (VAE(4, likelihood="bernoulli", **QUICK), DIGITS / 16),
    "vae poisson": (
        VAE(4, likelihood="poisson", kl_warmup=0.5, free_bits=0.1, **QUICK),
        COUNTS,
    ),
    "vae mixture": (VAE(3, latent_prior="gaussian_mixture", beta=0.5, **QUICK), DIGITS),
    "vae share": (VAE(0.7, **QUICK), DIGITS),
    "vae own": (VAE(3, encoder=encoder, max_iter=4, random_state=0), DIGITS),
}
ATTRIBUTES = (
    "mean_ n_components_ n_samples_ n_iter_ best_iteration_ best_validation_score_ "
    "loss_curve_ validation_scores_ explained_variance_ explained_variance_ratio_ "
    "singular_values_ components_ noise_variance_ kl_per_component_ "
    "n_active_components_"
).split()


def results(model, X):
    model.fit(X)
    found = {
        "transform": model.transform(X[:200]),
        "reconstruct": model.reconstruct(X[:200]),
        "score_samples": model.score_samples(X[:200]),
        "score": model.score(X),
        "influence": model.feature_influence(X[:5]),
    }
    for name in ATTRIBUTES:
        value = getattr(model, name, None)
        if value is not None:
            found[name] = np.asarray(value)
    if isinstance(model, VAE):
        found["sample"] = model.sample(20, random_state=0)
        found["covariance"] = model.get_covariance()
    if model.ordered is not False:
        short = model.truncate(2)
        found["short"] = short.transform(X[:50])
        found["short noise"] = np.asarray(getattr(short, "noise_variance_", 0.0))
    return found


def everything(only=None):
    for name, (model, X) in CASES.items():
        if only and only not in name:
            continue
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for key, value in results(model, X).items():
                yield f"{name}/{key}", np.asarray(value)
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    if only:
        return
    model = AE(4, warm_start=True, **{**QUICK, "learning_rate": 1e-3})
    model.fit(DIGITS).fit(DIGITS)
    yield "warm/transform", model.transform(DIGITS[:200])
    search = LatentSizeCV(AE(**QUICK), [2, 4, 8], cv=3).fit(DIGITS[:600])
    yield "size/scores", search.cv_results_["mean_test_score"]
    yield "size/linear", search.linear_scores_
    yield "size/transform", search.transform(DIGITS[:50])


def worst(a, b):
    if a.shape != b.shape:
        return np.inf
    scale = max(np.abs(a).max(initial=0), 1e-300)
    return float(np.abs(a - b).max(initial=0) / scale)


def main():
    what, path, *only = sys.argv[1:]
    if what == "write":
        np.savez_compressed(path, **dict(everything()))
        return 0
    known = np.load(path)
    bad, largest = 0, {}
    for key, value in everything(*only):
        case = key.split("/")[0]
        off = worst(known[key], value)
        largest[case] = max(largest.get(case, (0, "")), (off, key))
        if off > 1e-5:
            bad += 1
            print(f"DIFFERS {key}: {off:.2e} {known[key].shape} {value.shape}")
    for case, (off, key) in largest.items():
        print(f"{case:20} {off:.1e}  {key}")
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 100))
