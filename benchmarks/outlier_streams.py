"""Outliers in streams: each batch is scored before the detectors learn of it.

Sets are files NAME.npz of FOLDER with X and y, 1 for outliers, in the order of their
rows. Printed are the area under the ROC curve (times 100) of all rows after the first
1000, processor microseconds a row, and the shares of normal rows and of outliers that
are called (in %). With --drift, normal rows in random order with bursts of outliers are
the stream, and halfway all features are rotated or shifted; there follow the shares of
normal rows called in the 256 rows before that, thrice 256 rows after it, and later.

    python benchmarks/outlier_streams.py FOLDER [--sets http donors] [--first 0]
        [--rows 100000] [--batch 500] [--methods ...] [--drift rotated]

HalfSpaceTrees are compared with where river is installed, features scaled to [0, 1] as
rows come.
"""

import argparse
import time
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, LatentOutlierDetector

#: Rows that all may begin with, and from which on scores count.
N_FIRST, N_BEFORE = 500, 1000
N_STEP = 256


class Following:
    """The detector, with `partial_fit`."""

    encoder: Autoencoder | None = Autoencoder(hidden_layer_sizes=(), random_state=0)

    def __init__(self, first):
        self.detector = LatentOutlierDetector(self.encoder, random_state=0)
        self.detector.partial_fit(first)

    def score(self, X):
        """Return how odd rows are."""
        return -self.detector.score_samples(X)

    def learn(self, X):
        """Go on to the next rows."""
        self.detector.partial_fit(X)


class FollowingNetwork(Following):
    """The same with the default encoder."""

    encoder = None


class Static(Following):
    """The detector as the first rows make it."""

    def __init__(self, first):
        self.detector = LatentOutlierDetector(self.encoder, random_state=0).fit(first)

    def learn(self, X):
        """Stay as it is."""


class Residual:
    """What incremental PCA leaves of standardised rows."""

    def __init__(self, first):
        self.scaler = StandardScaler().fit(first)
        size = PCA(0.9).fit(self.scaler.transform(first)).n_components_
        self.pca = IncrementalPCA(size).fit(self.scaler.transform(first))

    def score(self, X):
        """Return how odd rows are."""
        x = self.scaler.transform(X)
        left = x - self.pca.inverse_transform(self.pca.transform(x))
        return np.square(left).sum(axis=1)

    def learn(self, X):
        """Go on to the next rows."""
        self.scaler.partial_fit(X)
        if len(X) >= self.pca.n_components:
            self.pca.partial_fit(self.scaler.transform(X))


class Trees:
    """river's HalfSpaceTrees behind its MinMaxScaler."""

    def __init__(self, first):
        from river import anomaly, preprocessing

        self.scaler = preprocessing.MinMaxScaler()
        self.trees = anomaly.HalfSpaceTrees(seed=0)
        self.learn(first)

    def score(self, X):
        """Return how odd rows are."""
        rows = (dict(enumerate(row)) for row in X.tolist())
        return np.array(
            [self.trees.score_one(self.scaler.transform_one(row)) for row in rows]
        )

    def learn(self, X):
        """Go on to the next rows."""
        for row in X.tolist():
            named = dict(enumerate(row))
            self.scaler.learn_one(named)
            self.trees.learn_one(self.scaler.transform_one(named))


METHODS = {
    "Latent, linear": Following,
    "Latent, network": FollowingNetwork,
    "Latent, static": Static,
    "IncrementalPCA": Residual,
}
if find_spec("river"):
    METHODS["HalfSpaceTrees"] = Trees


def watch(method, X, size):
    """Return the scores of rows after the first ones, and seconds of the processor."""
    start = time.process_time()
    model = METHODS[method](X[:N_FIRST])
    scores = [np.full(N_FIRST, np.nan)]
    for first in range(N_FIRST, len(X), size):
        batch = X[first : first + size]
        scores.append(model.score(batch))
        model.learn(batch)
    return np.concatenate(scores), time.process_time() - start


def drifting(X, y, kind, n_rows, seed=0):
    """Return a stream with bursts of outliers that changes halfway, and its labels."""
    random = np.random.RandomState(seed)
    X = StandardScaler().fit(X[y == 0]).transform(X)
    normal, odd = (random.permutation(np.flatnonzero(y == c)) for c in (0, 1))
    normal = normal[:n_rows]
    odd = odd[: max(20, len(normal) // 50)]
    bursts = np.split(odd, np.cumsum(random.randint(1, 40, size=len(odd))))
    bursts = [burst for burst in bursts if len(burst)]
    places = np.sort(random.randint(N_FIRST, len(normal), size=len(bursts)))
    pieces = np.split(normal, places)
    order = np.concatenate(
        [pieces[0], *(np.r_[pair] for pair in zip(bursts, pieces[1:], strict=True))]
    )
    X, y, half = X[order], y[order], len(order) // 2
    if kind == "rotated":
        axes = np.linalg.qr(random.randn(X.shape[1], X.shape[1]))[0]
        X[half:] = X[half:] @ axes
    elif kind == "shifted":
        X[half:] += 2 * random.choice([-1, 1], size=X.shape[1])
    return X, y


def shares_after_drift(called, y):
    """Return the shares of normal rows that are called, before and after half way."""
    half = len(y) // 2
    edges = [half + k * N_STEP for k in range(-1, 4)] + [len(y)]
    normal = [np.flatnonzero(y[a:b] == 0) + a for a, b in pairwise(edges)]
    return [100 * called[rows].mean() for rows in normal]


def report(method, X, y, args):
    scores, seconds = watch(method, X, args.batch)
    counts = np.arange(len(y)) >= N_BEFORE
    area = 100 * roc_auc_score(y[counts], scores[counts])
    line = f"{method:18}{area:7.1f}{1e6 * seconds / len(y):11.0f}"
    if method.startswith("Latent"):
        called = scores > 1
        for c in (0, 1):
            line += f"{100 * called[counts & (y == c)].mean():9.1f}"
        if args.drift:
            line += "   " + "".join(f"{s:7.1f}" for s in shares_after_drift(called, y))
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=["http", "donors"])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--drift", choices=["none", "rotated", "shifted"])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.sets:
        with np.load(args.folder / f"{name}.npz") as data:
            X, y = data["X"].astype(np.float64), data["y"].astype(int)
        if args.drift:
            X, y = drifting(X, y, args.drift, args.rows)
        else:
            some = slice(args.first, args.first + args.rows)
            X, y = X[some], y[some]
        print(f"\n{name}: {len(y)} rows, {y.sum()} outliers; area, µs a row, % called")
        for method in args.methods:
            report(method, X, y, args)


if __name__ == "__main__":
    main()
