"""Synthetic rows for training: drawn class by class, asked about real rows.

A model is fitted to the training rows of each class, and as many rows are drawn from it
as the class has; classifiers are trained on these and asked about real test rows.
Printed are, as medians over seeds and means over tables,

- accuracy of a random forest and of a logistic regression;
- distance: Wasserstein's, of drawn rows to test rows, the mean over features, in
  standard deviations of these;
- coverage: the share of test rows that have a drawn row within the distance of their
  fifth neighbour among other test rows (Naeem et al. 2020, arXiv 2002.09797);
- copies: the share of drawn rows that are nearer to a training row than half of the
  training rows are to each other. A bootstrap has 1; fresh rows have .5.
- seconds to fit and draw.

Tables are NAME.npz with X and y in FOLDER, standardised by their training rows.

    python benchmarks/synthetic.py FOLDER [--data vowel pima] [--seeds 3]
        [--methods bootstrap GaussianMixture] [--rows 2000]
"""

import argparse
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import wasserstein_distance
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklatent import VariationalAutoencoder

TABLES = ("satimage", "spambase", "vowel", "movement_libras", "ring", "pima")
COLUMNS = ("forest", "logistic", "distance", "coverage", "copies", "seconds")


def real(X, _):
    """Return the rows themselves."""
    return X


def bootstrap(X, random):
    """Draw rows with replacement."""
    return X[random.randint(len(X), size=len(X))]


def mixture(X, random):
    """Draw from the mixture of as many Gaussians as BIC finds best."""
    sizes = [m for m in (1, 2, 4, 8, 16) if 2 * m <= len(X)]
    fits = [
        GaussianMixture(m, reg_covar=1e-3, random_state=random).fit(X) for m in sizes
    ]
    return min(fits, key=lambda fit: fit.bic(X)).sample(len(X))[0]


def variational(**settings):
    """Return a method that draws from a VariationalAutoencoder."""

    def draw(X, random):
        k = min(8, X.shape[1], len(X) // 2)
        seed = random.randint(2**31)
        vae = VariationalAutoencoder(k, random_state=seed, **settings).fit(X)
        return vae.sample(len(X), random_state=seed)

    return draw


METHODS = {
    "real rows": real,
    "bootstrap": bootstrap,
    "GaussianMixture": mixture,
    "VAE, prior N(0, I)": variational(latent_prior="standard"),
    "VAE, mixture prior": variational(),
    "VAE, posteriors": variational(latent_prior="aggregated_posterior"),
}


def by_class(method, X, y, random):
    """Return rows drawn class by class, and their labels."""
    labels, counts = np.unique(y, return_counts=True)
    drawn = [method(X[y == label], random) for label in labels]
    return np.concatenate(drawn), np.repeat(labels, counts)


def nearest(X, rows, k):
    """Return the distance of each row to its k-th neighbour in X."""
    return NearestNeighbors(n_neighbors=k).fit(X).kneighbors(rows)[0][:, -1]


def judge(drawn, labels, X, X_test, y_test):
    """Return the columns but the seconds."""
    classifiers = (
        RandomForestClassifier(random_state=0),
        LogisticRegression(max_iter=2000),
    )
    accuracies = [c.fit(drawn, labels).score(X_test, y_test) for c in classifiers]
    deviations = X_test.std(axis=0)
    distances = [
        wasserstein_distance(drawn[:, j], X_test[:, j]) / deviations[j]
        for j in np.flatnonzero(deviations > 0)
    ]
    coverage = (nearest(drawn, X_test, 1) <= nearest(X_test, X_test, 6)).mean()
    typical = np.median(nearest(X, X, 2))
    copies = (nearest(X, drawn, 1) < typical).mean()
    return [*accuracies, np.mean(distances), coverage, copies]


def table(path, n_rows, seed):
    """Return training and test rows of a table, standardised."""
    with np.load(path) as data:
        X, y = data["X"].astype(np.float64), data["y"]
    parts = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    X_train, X_test, y_train, y_test = parts
    if len(X_train) > n_rows:
        X_train, _, y_train, _ = train_test_split(
            X_train, y_train, train_size=n_rows, random_state=seed, stratify=y_train
        )
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), y_train, scaler.transform(X_test), y_test


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs="+", default=TABLES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000, help="for training, at most")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    head = "".join(f"{name:>10}" for name in COLUMNS)
    print(f"{'':36}{head}")
    found = {method: [] for method in args.methods}
    for name in args.data:
        for method in args.methods:
            rows = []
            for seed in range(args.seeds):
                X, y, X_test, y_test = table(
                    args.folder / f"{name}.npz", args.rows, seed
                )
                start = time.process_time()
                random = np.random.RandomState(seed)
                drawn, labels = by_class(METHODS[method], X, y, random)
                seconds = time.process_time() - start
                rows.append([*judge(drawn, labels, X, X_test, y_test), seconds])
            found[method].append([median(column) for column in zip(*rows, strict=True)])
            show(f"{name:16}{method:20}", found[method][-1])
    print()
    for method, cells in found.items():
        show(f"{'mean':16}{method:20}", np.mean(cells, axis=0))


def show(name, values):
    print(name + "".join(f"{value:10.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
