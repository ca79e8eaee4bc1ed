"""Imputation: the error on cells that are hidden from tables, and the seconds it takes.

Each table is standardised. A fifth of its cells is hidden at random ('random'), in
blocks of neighbouring features, half of them in two fifths of the rows ('blocks'), or
the larger values more often ('large'); each method is fitted to what is left and fills
it. Prints the root mean square error on hidden cells in standard deviations, as medians
over seeds, and the median seconds.

    python benchmarks/imputation.py FOLDER [--data digits satimage] [--seeds 3]
        [--methods EM ours] [--holes random]

FOLDER has tables of numbers, NAME.npz with X; more come with scikit-learn.
"""

import argparse
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sklearn import datasets
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge

from sklatent import Autoencoder
from sklatent.nn import FullGaussian

INSTALLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
SHARE = 0.2


class PPCA:
    """Probabilistic PCA by EM (Tipping & Bishop 1999).

    Of the best of some ranks, by a tenth of the known cells.
    """

    def fill(self, X, rank, n_steps=50):
        """Fill a table by this many components."""
        rows = torch.from_numpy(X)
        weights = torch.ones(len(X), dtype=torch.float64)
        mean = torch.from_numpy(np.nanmean(X, axis=0))
        zeros = torch.where(rows.isnan(), 0.0, rows - mean)
        covariance = zeros.mT @ zeros / len(X)
        for _ in range(n_steps):
            size, axes = torch.linalg.eigh(covariance)
            size[:-rank] = size[:-rank].mean()
            precision = (axes / size.clamp(min=1e-6)) @ axes.mT
            step = FullGaussian(precision).expectation(rows - mean, weights)
            filled = step.rows + mean
            mean = filled.mean(dim=0)
            left = filled - mean
            covariance = (left.mT @ left + step.covariance) / len(X)
        return filled.numpy()

    def fit_transform(self, X):
        """Choose the rank, and fill a table."""
        ranks = [r for r in (1, 2, 4, 8, 16) if r < min(X.shape)]
        random = np.random.default_rng(1000)
        hidden = ~np.isnan(X) & (random.uniform(size=X.shape) < 0.1)
        shown = np.where(hidden, np.nan, X)
        errors = [np.square(self.fill(shown, r, 20) - X)[hidden].sum() for r in ranks]
        return self.fill(X, ranks[int(np.argmin(errors))])


class Ours:
    """`Autoencoder.impute`, with the network's correction or without."""

    def __init__(self, corrected):
        self.corrected = corrected

    def fit_transform(self, X):
        """Fit the linear model of the latents, and fill a table."""
        model = Autoencoder(2, hidden_layer_sizes=(), missing="ignore", random_state=0)
        model.fit(X)
        if not self.corrected:
            model.net_.module_.filling.network = None
        return model.impute(X)


def iterative(estimator, n_iter):
    return IterativeImputer(
        estimator, max_iter=n_iter, random_state=0, n_nearest_features=None
    )


METHODS = {
    "mean": lambda: SimpleImputer(),
    "5-NN": lambda: KNNImputer(),
    "BayesianRidge": lambda: iterative(BayesianRidge(), 10),
    "ExtraTrees": lambda: iterative(
        ExtraTreesRegressor(100, max_features=0.5, random_state=0), 5
    ),
    "PPCA": lambda: PPCA(),
    "EM": lambda: Ours(corrected=False),
    "ours": lambda: Ours(corrected=True),
}


def random_cells(X, random):
    return random.uniform(size=X.shape) < SHARE


def blocks(X, random):
    """Half of the features, neighbours in a circle, in two fifths of the rows."""
    n, p = X.shape
    first = random.integers(p, size=n)
    hidden = (np.arange(p) - first[:, None]) % p < p // 2
    return hidden & (random.uniform(size=(n, 1)) < 2 * SHARE)


def large_values(X, random):
    """A cell is hidden with a probability that rises with its rank in the feature."""
    rank = X.argsort(axis=0).argsort(axis=0) / (len(X) - 1)
    return random.uniform(size=X.shape) < 2 * SHARE * rank


HOLES = {"random": random_cells, "blocks": blocks, "large": large_values}


def table(name, folder):
    """Return a standardised table, without constant features."""
    if name in INSTALLED:
        X = getattr(datasets, f"load_{name}")().data
    else:
        X = np.load(folder / f"{name}.npz")["X"]
    X = np.asarray(X, float)
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def evaluate(X, holes, method, seed):
    """Return the error on hidden cells and the seconds."""
    hidden = HOLES[holes](X, np.random.default_rng(seed))
    hidden[hidden.all(axis=1), 0] = False
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = clone_of(METHODS[method]()).fit_transform(np.where(hidden, np.nan, X))
    seconds = time.perf_counter() - start
    return float(np.sqrt(np.square(filled - X)[hidden].mean())), seconds


def clone_of(model):
    return clone(model) if hasattr(model, "get_params") else model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--holes", nargs="+", default=list(HOLES))
    args = parser.parse_args()
    names = args.data or [
        *INSTALLED,
        *sorted(path.stem for path in args.folder.glob("*.npz")),
    ]
    for holes in args.holes:
        print(f"\n{holes:<16}" + "".join(f"{m:>16}" for m in args.methods))
        for name in names:
            X, cells = table(name, args.folder), []
            for method in args.methods:
                found = [evaluate(X, holes, method, s) for s in range(args.seeds)]
                error, seconds = (median(part) for part in zip(*found, strict=True))
                cells.append(f"{error:.3f} ({seconds:.1f} s)")
            print(f"{name:<16}" + "".join(f"{c:>16}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
