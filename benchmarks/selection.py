"""Which state to keep on small data: the best epoch, or what the verdict keeps.

On raw and standardised iris, wine, diabetes and breast cancer data (105 to 398
training rows), the squared error on test rows as a share of PCA's: of the best epoch on
held-out rows, and of what the verdict keeps, which may be PCA.
Prints its mean over all runs, the largest median of a cell, the largest single value,
and in how many cells the median is below PCA's.

    python benchmarks/selection.py [--seeds 5]
"""

import argparse
from unittest import mock

import numpy as np
from joblib import Parallel, delayed
from quality import DATA, cells, explained
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder
from sklatent.training import Judge


def keep_the_best(verdicts):
    """Make the judge keep the best epoch, and note whether it would have."""

    def epoch_to_keep(judge):
        verdicts.append(judge.is_gain(judge.best_epoch))
        return judge.best_epoch

    return mock.patch.object(Judge, "epoch_to_keep", epoch_to_keep)


def evaluate(name, scaling, n_components, seed):
    """Each rule's squared error on the test rows, as a share of PCA's."""
    X = DATA[name](return_X_y=True)[0].astype(float)
    X_train, X_test = train_test_split(X, test_size=0.3, random_state=seed)
    if scaling == "std":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    pca = 1 - explained(PCA(n_components).fit(X_train), X_test)
    shares = {}
    for rule, early_stopping in (
        ("five folds", "auto"),
        ("one held-out part of 10%", True),
    ):
        verdicts = []
        with keep_the_best(verdicts):
            model = Autoencoder(
                n_components, early_stopping=early_stopping, random_state=seed
            ).fit(X_train)
        share = (1 - explained(model, X_test)) / pca
        shares[f"{rule}, the best epoch"] = share
        # An exact start is not judged at all.
        shares[f"{rule}, the verdict"] = share if any(verdicts) else 1.0
    model = Autoencoder(n_components, early_stopping=False, random_state=seed)
    shares["the last state"] = (1 - explained(model.fit(X_train), X_test)) / pca
    return shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    names = ["iris", "wine", "diabetes", "breast_cancer"]
    wanted = list(cells(names, [2, 4, 8, 16]))
    jobs = (delayed(evaluate)(*c, seed) for c in wanted for seed in range(args.seeds))
    runs = Parallel(n_jobs=2)(jobs)
    print(
        f"{len(wanted)} cells, {args.seeds} splits; squared error as a share of PCA's\n"
        f"{'':38}{'mean':>8}{'worst median':>14}{'largest':>10}{'cells below 1':>15}"
    )
    for rule in runs[0]:
        shares = np.array([run[rule] for run in runs]).reshape(len(wanted), -1)
        medians = np.median(shares, axis=1)
        print(
            f"  {rule:36}{shares.mean():8.3f}{medians.max():14.3f}"
            f"{shares.max():10.3f}{(medians < 1).mean():15.0%}"
        )


if __name__ == "__main__":
    main()
