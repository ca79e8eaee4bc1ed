"""The promise: no fit is worse than PCA, in the sum and for any feature.

Tables of a folder (`.npz` files with an array `X`) are cut down to some numbers of
rows, raw and standardised, and split at random many times. For each fit of Autoencoder
it counts

- whether it explains less of the test rows than PCA by more than 0.002;
- features whose test R2 is more than 0.01, and more than 0.05, below PCA's, and those
  that are worse than their mean where PCA's are not.

The two parts can be run by themselves: `--part rows` takes many small fits, and
`--part features` whole raw tables at 2, 4 and 8 latents and three splits.

    python benchmarks/promise.py FOLDER [--part rows] [--tables a b] [--repeats 8]
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder

SIZES = (50, 100, 200, 400, 800, 1500)
LATENTS = (2, 4, 8)


def r2(X, reconstruction, mean):
    """R2 of each feature around the training mean; NaN where nothing varies."""
    left = np.square(X - reconstruction).sum(axis=0)
    total = np.square(X - mean).sum(axis=0)
    return np.where(total > 0, 1 - left / np.where(total > 0, total, 1), np.nan)


def compare(train, test, k, seed):
    """Explained variance and R2 of PCA and Autoencoder, and whether it is PCA."""
    warnings.simplefilter("ignore")
    pca = PCA(k, random_state=seed).fit(train)
    model = Autoencoder(k, random_state=seed).fit(train)
    shares, features = [], []
    for fitted in (pca, model):
        back = fitted.inverse_transform(fitted.transform(test))
        left, total = np.square(test - back), np.square(test - pca.mean_)
        shares.append(1 - left.sum() / total.sum())
        features.append(r2(test, back, pca.mean_))
    return shares, features, model.best_iteration_ == 0


def few_rows(X, n, standardise, k, seed):
    """Compare on n rows, and test on up to 3000 others."""
    order = np.random.RandomState(1000 * seed + n).permutation(len(X))
    train, test = X[order[:n]], X[order[n : n + 3000]]
    if standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    return compare(train, test, k, seed)


def whole_table(X, k, seed):
    """Compare on 70% of a table, raw."""
    train, test = train_test_split(X, test_size=0.3, random_state=seed)
    return compare(train, test, k, seed)


def report_rows(tables, repeats, n_jobs):
    """Print how many small fits are worse than PCA."""
    for standardise in (False, True):
        for n in SIZES:
            jobs = [
                (X, n, standardise, k, seed)
                for X in tables.values()
                for k in LATENTS
                for seed in range(repeats)
                if n <= 0.75 * len(X) and k < X.shape[1]
            ]
            results = Parallel(n_jobs=n_jobs)(delayed(few_rows)(*job) for job in jobs)
            gains = np.array([b - a for (a, b), _, _ in results])
            kept = np.mean([is_pca for *_, is_pca in results])
            print(
                f"{'std' if standardise else 'raw':4} {n:5} rows: {len(gains):4} fits, "
                f"{np.sum(gains < -0.002):3} worse, the worst {gains.min():+.3f}; "
                f"mean gain {gains.mean():.3f}; PCA kept {kept:.0%}",
                flush=True,
            )
            yield len(gains), int(np.sum(gains < -0.002))


def report_features(tables, n_jobs):
    """Print how many features are worse than PCA's, by table."""
    for name, X in tables.items():
        jobs = [(X, k, s) for k in LATENTS if k < X.shape[1] for s in range(3)]
        results = Parallel(n_jobs=n_jobs)(delayed(whole_table)(*job) for job in jobs)
        pca, ours = (np.array([f[i] for _, f, _ in results]) for i in range(2))
        loss = pca - ours
        below = (ours < 0) & (pca >= 0)
        gain = np.mean([b - a for (a, b), _, _ in results])
        print(
            f"{name:16} {loss.size:5} features: "
            f"{np.sum(loss > 0.01):3} lose over 0.01, "
            f"{np.sum(loss > 0.05):3} over 0.05, {below.sum():3} below their mean; "
            f"the worst {np.nanmax(loss):.3f}; mean gain {gain:.3f}",
            flush=True,
        )
        yield loss.size, int(np.sum(loss > 0.01)), int(np.sum(loss > 0.05))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=["rows", "features"])
    parser.add_argument("--tables", nargs="+", help="names of files, without .npz")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    paths = sorted(args.folder.glob("*.npz"))
    tables = {
        path.stem: np.load(path)["X"].astype(float)
        for path in paths
        if not args.tables or path.stem in args.tables
    }
    if args.part != "features":
        total = np.sum(list(report_rows(tables, args.repeats, args.jobs)), axis=0)
        print(f"in all {total[0]} fits, {total[1]} worse than PCA by over 0.002")
    if args.part != "rows":
        total = np.sum(list(report_features(tables, args.jobs)), axis=0)
        print(f"in all {total[0]} features, {total[1]} over 0.01, {total[2]} over 0.05")


if __name__ == "__main__":
    main()
