"""Outlier detection on the sets of ADBench's classical collection.

Each set is a file NAME.npz of FOLDER with X and y, 1 for outliers. There are two
settings: trained on half of the normal rows and asked about the others, and trained on
all rows and asked about these. Features are standardised by the training rows for all
detectors. Printed are, for each set and as means over sets, the area under the ROC
curve and average precision (times 100), the mean rank by the former, and processor
seconds to fit and score. With --false-alarms, the share of new normal rows that
`predict` and a false discovery rate call outliers instead; with --contaminated, the
area where training holds 0, 5 and 20% of outliers.

    python benchmarks/outliers.py FOLDER [--sets WDBC yeast] [--rows 10000] [--seeds 3]
        [--methods LatentOutlierDetector kNN] [--false-alarms] [--contaminated]

ECOD and the autoencoders of PyOD are compared with where PyOD is installed.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import false_discovery_control, rankdata
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sklatent import Autoencoder, LatentOutlierDetector

MIN_OUTLIERS = 20
#: The determinant of more features takes minutes.
MAX_ELLIPTIC = 100


@dataclass
class Task:
    """Training rows, rows to score, a seed, and whether the latter are the former."""

    train: np.ndarray
    rows: np.ndarray
    seed: int
    same: bool


def latent(task):
    detector = LatentOutlierDetector(random_state=task.seed).fit(task.train)
    return -detector.score_samples(task.rows)


def residual(task):
    """Residual of an autoencoder with latents for 90% of the variance."""
    k = PCA(0.9).fit(task.train).n_components_
    ae = Autoencoder(min(k, 32), random_state=task.seed).fit(task.train)
    return -ae.score_samples(task.rows)


def pca_residual(task):
    pca = PCA(0.9).fit(task.train)
    left = task.rows - pca.inverse_transform(pca.transform(task.rows))
    return np.square(left).sum(axis=1)


def untrained(task):
    """Distance from the centre of a network's outputs, which nobody has trained."""
    random = np.random.RandomState(task.seed)
    train, rows = task.train, task.rows
    for width in (64, 32):
        weights = random.randn(train.shape[1], width) * np.sqrt(2 / train.shape[1])
        train, rows = (np.maximum(x @ weights, 0) for x in (train, rows))
    return np.square(rows - train.mean(axis=0)).sum(axis=1)


def distances(task, k=5):
    found = NearestNeighbors(n_neighbors=k + 1).fit(task.train).kneighbors(task.rows)[0]
    return found[:, 1:] if task.same else found[:, :-1]


def knn(task):
    return distances(task)[:, -1]


def mean_knn(task):
    return distances(task).mean(axis=1)


def lof(task):
    detector = LocalOutlierFactor(novelty=not task.same).fit(task.train)
    if task.same:
        return -detector.negative_outlier_factor_
    return -detector.score_samples(task.rows)


def forest(task):
    detector = IsolationForest(random_state=task.seed).fit(task.train)
    return -detector.score_samples(task.rows)


def elliptic(task):
    if task.train.shape[1] > MAX_ELLIPTIC:
        return np.full(len(task.rows), np.nan)
    detector = EllipticEnvelope(random_state=task.seed).fit(task.train)
    return -np.nan_to_num(detector.score_samples(task.rows), neginf=-1e300)


def svm(task):
    return -OneClassSVM().fit(task.train).score_samples(task.rows)


def from_pyod(module, name):
    def score(task):
        kind = getattr(import_module(f"pyod.models.{module}"), name)
        detector = kind() if name == "ECOD" else kind(random_state=task.seed, verbose=0)
        return detector.fit(task.train).decision_function(task.rows)

    return score


METHODS = {
    "LatentOutlierDetector": latent,
    "Autoencoder residual": residual,
    "PCA residual": pca_residual,
    "untrained network": untrained,
    "kNN": knn,
    "mean kNN": mean_knn,
    "LocalOutlierFactor": lof,
    "IsolationForest": forest,
    "EllipticEnvelope": elliptic,
    "OneClassSVM": svm,
}
if find_spec("pyod"):
    METHODS |= {
        "ECOD": from_pyod("ecod", "ECOD"),
        "PyOD AutoEncoder": from_pyod("auto_encoder", "AutoEncoder"),
        "PyOD VAE": from_pyod("vae", "VAE"),
    }


def load(path, n_rows, seed):
    """Return at most so many rows, with some outliers among them, and their labels."""
    with np.load(path) as data:
        X, y = data["X"].astype(np.float64), data["y"].astype(int)
    random = np.random.RandomState(seed)
    rows = random.permutation(len(X))[:n_rows]
    if y[rows].sum() < min(MIN_OUTLIERS, y.sum()):
        outliers = random.permutation(np.flatnonzero(y))[:MIN_OUTLIERS]
        others = rows[y[rows] == 0][: n_rows - len(outliers)]
        rows = np.concatenate([others, outliers])
    return X[rows], y[rows]


def split(X, y, setting, seed):
    """Return training rows, the rows asked about and their labels."""
    if setting == "all":
        return X, X, y
    random = np.random.RandomState(seed)
    normal = random.permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    asked = np.concatenate([normal[half:], np.flatnonzero(y)])
    return X[normal[:half]], X[asked], y[asked]


def standardised(train, rows):
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(rows)


def compare(paths, args):
    results = {}
    for setting in ("normal", "all"):
        print(f"\nTrained on {setting} rows: area under the ROC curve", flush=True)
        print(" " * 18 + "".join(f"{name[:11]:>12}" for name in args.methods))
        for path in paths:
            found = np.zeros((3, len(args.methods)))
            for seed in range(args.seeds):
                X, y = load(path, args.rows, seed)
                train, rows, truth = split(X, y, setting, seed)
                train, rows = standardised(train, rows)
                for m, name in enumerate(args.methods):
                    start = time.process_time()
                    odd = METHODS[name](Task(train, rows, seed, setting == "all"))
                    seconds = time.process_time() - start
                    area = precision = np.nan
                    if np.isfinite(odd).all():
                        area = 100 * roc_auc_score(truth, odd)
                        precision = 100 * average_precision_score(truth, odd)
                    found[:, m] += area, precision, seconds
            results[setting, path.stem] = found / args.seeds
            areas = results[setting, path.stem][0]
            print(f"{path.stem:18}" + "".join(f"{a:12.1f}" for a in areas), flush=True)
    for setting in ("normal", "all"):
        summary([results[setting, path.stem] for path in paths], setting, args.methods)


def summary(found, setting, methods):
    """Print the means over sets that all detectors could do."""
    table = np.array(found)  # (n_sets, 3, n_methods)
    done = np.isfinite(table).all(axis=(1, 2))
    areas, precisions, seconds = table[done].transpose(1, 0, 2)
    ranks = rankdata(-areas.round(1), axis=1).mean(axis=0)
    print(f"\nTrained on {setting} rows, means over {done.sum()} sets")
    print(f"{'':24}{'area':>8}{'precision':>11}{'rank':>7}{'seconds':>9}")
    for m in np.argsort(-areas.mean(axis=0)):
        print(
            f"{methods[m]:24}{areas[:, m].mean():8.2f}{precisions[:, m].mean():11.2f}"
            f"{ranks[m]:7.2f}{seconds[:, m].mean():9.2f}"
        )


def false_alarms(paths, args):
    """Print the share of new normal rows called outliers, with its standard error."""
    print(
        f"{'':18}{'auto, 5%':>16}{'FDR 10%: sets with any':>24}{'outliers found':>16}"
    )
    for path in paths:
        shares, any_called, power = [], [], []
        for seed in range(args.seeds):
            X, y = load(path, args.rows, seed)
            train, rows, truth = split(X, y, "normal", seed)
            detector = LatentOutlierDetector(random_state=seed).fit(train)
            p = detector.p_values(rows)
            normal = truth == 0
            shares.append((p[normal] <= detector.alpha).mean())
            any_called.append((false_discovery_control(p[normal]) <= 0.1).any())
            power.append((false_discovery_control(p) <= 0.1)[~normal].mean())
        error = np.std(shares, ddof=1) / np.sqrt(len(shares))
        print(
            f"{path.stem:18}{100 * np.mean(shares):9.2f} ±{100 * error:5.2f}"
            f"{100 * np.mean(any_called):24.0f}{100 * np.mean(power):16.1f}",
            flush=True,
        )


def contaminated(paths, args):
    """Print the area on new rows where some training rows are outliers."""
    shares = (0.0, 0.05, 0.2)
    names = ["auto", "contamination given", "kNN"]
    print(f"{'':18}" + "".join(f"{f'{n} {s:.0%}':>24}" for s in shares for n in names))
    means = []
    for path in paths:
        areas = np.zeros((len(shares), len(names)))
        for seed in range(args.seeds):
            X, y = load(path, args.rows, seed)
            random = np.random.RandomState(seed)
            normal, odd = (random.permutation(np.flatnonzero(y == c)) for c in (0, 1))
            normal, new_normal = np.array_split(normal, 2)
            odd, new_odd = np.array_split(odd, 2)
            asked = np.concatenate([new_normal, new_odd])
            for i, share in enumerate(shares):
                wanted = round(share / (1 - share) * len(normal))
                bad = odd[:wanted]
                real = len(bad) / (len(bad) + len(normal))
                train, rows = standardised(X[np.r_[normal, bad]], X[asked])
                given = {"auto": "auto", "contamination given": real or "auto"}
                found = [
                    -LatentOutlierDetector(contamination=c, random_state=seed)
                    .fit(train)
                    .score_samples(rows)
                    for c in given.values()
                ]
                found.append(knn(Task(train, rows, seed, same=False)))
                areas[i] += [100 * roc_auc_score(y[asked], score) for score in found]
        means.append(areas.ravel() / args.seeds)
        print(f"{path.stem:18}" + "".join(f"{a:24.1f}" for a in means[-1]), flush=True)
    print(f"{'mean':18}" + "".join(f"{a:24.2f}" for a in np.mean(means, axis=0)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--false-alarms", action="store_true")
    parser.add_argument("--contaminated", action="store_true")
    args = parser.parse_args()
    paths = sorted(args.folder.glob("*.npz"))
    if args.sets:
        paths = [args.folder / f"{name}.npz" for name in args.sets]
    task = compare
    if args.false_alarms:
        task = false_alarms
    elif args.contaminated:
        task = contaminated
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task(paths, args)


if __name__ == "__main__":
    main()
