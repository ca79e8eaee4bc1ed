"""Stopping: what a shorter patience saves in epochs and costs in quality.

Fits that never stop early give the held-out score of each epoch; the rule of
`n_iter_no_change` is then applied to these curves. Prints, for each patience, the share
of epochs that are made and what the best score falls by, over all fits.

    python benchmarks/stopping.py [--seeds 3] [--first-seed 100]
"""

import argparse
import warnings
from statistics import mean

import torch
from joblib import Parallel, delayed
from quality import DATA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder

CELLS = [
    ("digits", "raw", 2),
    ("digits", "raw", 16),
    ("digits", "std", 4),
    ("digits", "std", 16),
    ("breast_cancer", "raw", 4),
    ("breast_cancer", "std", 2),
    ("breast_cancer", "std", 8),
    ("wine", "std", 2),
    ("wine", "std", 4),
    ("diabetes", "std", 2),
    ("diabetes", "std", 4),
    ("iris", "std", 2),
    ("mnist", "raw", 8),
    ("mnist", "std", 8),
]
TOL = 1e-3  # the default


def curve(name, scaling, n_components, seed):
    """The held-out score before training and after each epoch."""
    torch.set_num_threads(1)
    X = DATA[name](return_X_y=True)[0].astype(float)
    X, _ = train_test_split(X, test_size=0.3, random_state=seed)
    if scaling == "std":
        X = StandardScaler().fit_transform(X)
    model = Autoencoder(n_components, n_iter_no_change=10**6, random_state=seed).fit(X)
    return model.validation_scores_.tolist()


def stopped(scores, patience):
    """The epochs made, and the best score among them."""
    reference, last = 1 - scores[0], 0
    for epoch, score in enumerate(scores):
        if reference - (1 - score) > TOL * reference:
            reference, last = 1 - score, epoch
        if epoch - last >= patience:
            break
    return epoch, max(scores[: epoch + 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=100)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    curves = Parallel(n_jobs=2)(
        delayed(curve)(*cell, args.first_seed + i)
        for cell in CELLS
        for i in range(1 if cell[0] == "mnist" else args.seeds)
    )
    print(f"{len(curves)} fits\npatience   epochs made   loss: mean   largest")
    for patience in (3, 5, 8, 10, 12, 15, 20, 30):
        ends = [stopped(scores, patience) for scores in curves]
        made = mean(e / (len(s) - 1) for (e, _), s in zip(ends, curves, strict=True))
        losses = [max(s) - b for (_, b), s in zip(ends, curves, strict=True)]
        print(f"{patience:8}{made:14.0%}{mean(losses):13.4f}{max(losses):10.4f}")


if __name__ == "__main__":
    main()
