"""Losses of shares and counts beside the squared error, on test rows.

Printed are, as medians over seeds, the share of the deviance that reconstructions
explain (of the squared error, those cut off at the ends where they go beyond), the
share of the variance, and the accuracy of a logistic regression on the latents. Tables
are NAME.npz with X and y in FOLDER; 30% of the rows are held out.

    python benchmarks/losses.py FOLDER [--sizes 4 12] [--seeds 3]
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from scipy.special import xlogy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder

N_WORDS = 54  # of spambase; the last features are lengths of runs of capitals
TINY = 1e-6


def words(X):
    return X[:, :N_WORDS]


def shares(X):
    return (X - X.min()) / (X.max() - X.min())


DATA = {
    "spambase, words that are there": (
        "spambase",
        lambda X: (words(X) > 0).astype(float),
        "log_loss",
    ),
    "spambase, percentages of words": ("spambase", words, "poisson"),
    "satimage, grey levels as shares": ("satimage", shares, "log_loss"),
    "satimage, grey levels": ("satimage", lambda X: X - min(0, X.min()), "poisson"),
    "movement_libras, places": ("movement_libras", shares, "log_loss"),
}


def deviance(loss, X, mean):
    """Return twice the log-likelihood that the means lack of that of X itself."""
    if loss == "poisson":
        mean = np.maximum(mean, TINY)
        return 2 * (xlogy(X, X / mean) - X + mean).sum()
    mean = np.clip(mean, TINY, 1 - TINY)
    return 2 * (xlogy(X, X / mean) + xlogy(1 - X, (1 - X) / (1 - mean))).sum()


def compare(X, y, loss, k, seed):
    """Return the three columns, for the squared error and for a loss."""
    parts = train_test_split(X, y, test_size=0.3, random_state=seed)
    X_train, X_test, y_train, y_test = parts
    varies = X_train.std(axis=0) > 0
    X_train, X_test = X_train[:, varies], X_test[:, varies]
    mean = X_train.mean(axis=0)
    found = []
    for name in ("squared_error", loss):
        ae = Autoencoder(k, loss=name, random_state=seed).fit(X_train)
        X_hat = ae.reconstruct(X_test)
        left = np.square(X_test - X_hat).sum() / np.square(X_test - mean).sum()
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        classifier.fit(ae.transform(X_train), y_train)
        found.append(
            [
                1 - deviance(loss, X_test, X_hat) / deviance(loss, X_test, mean),
                1 - left,
                classifier.score(ae.transform(X_test), y_test),
            ]
        )
    return np.transpose(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[4, 12])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    columns = ("deviance", "variance", "accuracy")
    print(f"{'':34}{'loss':10}{'k':>3}" + "".join(f"{c:>20}" for c in columns))
    print(" " * 47 + f"{'squared':>11}{'loss':>9}" * 3)
    for name, (table, change, loss) in DATA.items():
        with np.load(args.folder / f"{table}.npz") as data:
            X, y = change(data["X"].astype(float)), data["y"]
        for k in args.sizes:
            cells = [compare(X, y, loss, k, seed) for seed in range(args.seeds)]
            values = np.median(cells, axis=0)
            line = "".join(f"{a:11.3f}{b:9.3f}" for a, b in values)
            print(f"{name:34}{loss:10}{k:3}{line}", flush=True)


if __name__ == "__main__":
    main()
