"""A stream that turns halfway: after partial_fit, by IncrementalPCA, and not updated.

Each set is a file NAME.npz of FOLDER with X and y. Every fifth row is kept for the
test. The others come in batches: those of the first classes, then those of the others,
or with --in-order as they are in the file. Features are standardised by the first
batch. Printed are the shares of variance explained of test rows of either half, about
its own mean, the rows of a processor second of the calls after the first, and the peak
of memory beyond the data.

    python benchmarks/streams.py FOLDER [--sets penbased phoneme] [--in-order]
        [--batch 500] [--components 4]
"""

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import IncrementalPCA
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder


def halves(X, y, in_order):
    """Rows of the first half and of the second."""
    if in_order:
        return np.array_split(X, 2)
    classes = np.unique(y)
    first = np.isin(y, classes[: len(classes) // 2])
    random = np.random.default_rng(0)
    return [random.permutation(X[first]), random.permutation(X[~first])]


def reconstructed(model, X):
    if isinstance(model, IncrementalPCA):
        return model.inverse_transform(model.transform(X))
    return model.reconstruct(X)


def explained(model, X):
    left = np.square(X - reconstructed(model, X)).sum()
    return 1 - left / np.square(X - X.mean(axis=0)).sum()


def measure(path, name, given):
    """Scores of both halves, rows a second after the first batch, and memory in MB."""
    data = np.load(path)
    parts = halves(data["X"].astype(float), data["y"], given.in_order)
    tests = [part[::5] for part in parts]
    rows = np.concatenate([np.delete(p, np.s_[::5], axis=0) for p in parts])
    scaler = StandardScaler().fit(rows[: given.batch])
    k = min(given.components, rows.shape[1] - 1)
    model = IncrementalPCA(k) if name == "IncrementalPCA" else Autoencoder(k)
    if name != "IncrementalPCA":
        model.set_params(random_state=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.partial_fit(scaler.transform(rows[: given.batch]))
    started, n = time.process_time(), 0
    if name != "not updated":
        for start in range(given.batch, len(rows), given.batch):
            batch = scaler.transform(rows[start : start + given.batch])
            model.partial_fit(batch)
            n += len(batch)
    speed = n / (time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scores = [explained(model, scaler.transform(test)) for test in tests]
    return *scores, speed, peak / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=["penbased", "phoneme", "segment"])
    parser.add_argument("--in-order", action="store_true")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--components", type=int, default=4)
    given = parser.parse_args()
    print(f"{'set':12} {'':16} {'first':>7} {'second':>7} {'rows/s':>8} {'MB':>5}")
    for name in given.sets:
        for model in ("not updated", "IncrementalPCA", "partial_fit"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                arguments = given.folder / f"{name}.npz", model, given
                first, second, speed, peak = pool.apply(measure, arguments)
            print(
                f"{name:12} {model:16} {first:7.3f} {second:7.3f} {speed:8.0f} "
                f"{peak:5.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
