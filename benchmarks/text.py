"""Texts: what a classifier and a search by cosine get from few numbers a document.

Usage: ``python benchmarks/text.py 20newsgroups.jsonl.gz``, a file of JSON lines with
part ('train' or 'test'), category and text. Each fit is in a process of its own, for
its peak memory; ``--validate`` divides the training part in place of using the test
part, to choose by.
"""

import argparse
import gzip
import json
import multiprocessing
import resource
import time
from collections import defaultdict
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

#: Documents that a search returns.
N_FOUND = 10


def encoders(k: int, seed: int) -> dict[str, Any]:
    """Return what is compared, by name; rows of TF-IDF to k numbers."""
    return {
        "LSA": TruncatedSVD(k, random_state=seed),
        "NMF": NMF(k, random_state=seed, max_iter=100, tol=1e-3),
        "Autoencoder": Autoencoder(k, random_state=seed),
        "Denoising": DenoisingAutoencoder(
            k, noise="masking", noise_level=0.5, random_state=seed
        ),
        "VAE, multinomial": VariationalAutoencoder(
            k, likelihood="multinomial", random_state=seed
        ),
    }


def read(path: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return texts and categories."""
    with gzip.open(path, "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["part"] == part]
    texts = np.array([row["text"] for row in rows], dtype=object)
    return texts, np.array([row["category"] for row in rows])


def documents(given: argparse.Namespace, seed: int) -> list[np.ndarray]:
    """Return training texts and categories, and those to judge by."""
    texts, categories = read(given.path, "train")
    others = (texts, categories) if given.validate else read(given.path, "test")
    random = np.random.RandomState(seed)
    order = random.permutation(len(texts))
    train = order[: given.train or None]
    rest = order[len(train) :] if given.validate else random.permutation(len(others[0]))
    test = rest[: given.test or None]
    return [texts[train], categories[train], others[0][test], others[1][test]]


def precision(Z: Any, y: np.ndarray, queries: Any, truth: np.ndarray) -> float:
    """Return the share of a query's nearest documents that are of its category."""
    similarity = np.asarray(queries @ Z.T)
    nearest = np.argpartition(-similarity, N_FOUND, axis=1)[:, :N_FOUND]
    return float((y[nearest] == truth[:, None]).mean())


def measure(given: argparse.Namespace, name: str, k: int, seed: int) -> list[float]:
    """Return accuracy, precision, seconds of the fit, and peak memory in GB.

    The seconds are of the clock, and of all processors together.
    """
    train, y, test, truth = documents(given, seed)
    words = TfidfVectorizer(min_df=5, sublinear_tf=True)
    X, X_test = words.fit_transform(train), words.transform(test)
    started, cpu = time.perf_counter(), time.process_time()
    encoder = clone(encoders(k, seed)[name]).fit(X)
    seconds = [time.perf_counter() - started, time.process_time() - cpu]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    unit = make_pipeline(encoder, Normalizer())
    Z, Z_test = unit.transform(X), unit.transform(X_test)
    head = LogisticRegression(C=10, max_iter=500).fit(Z, y)
    accuracy = head.score(Z_test, truth)
    return [100 * accuracy, 100 * precision(Z, y, Z_test, truth), *seconds, memory]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path")
    parser.add_argument("--train", type=int, default=6000, help="0 is all")
    parser.add_argument("--test", type=int, default=3000, help="0 is all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 100])
    parser.add_argument("--methods", nargs="+", default=list(encoders(2, 0)))
    parser.add_argument("--validate", action="store_true")
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{'':24}accuracy  precision@{N_FOUND}  seconds  CPU seconds  GB")
    for k in given.sizes:
        found = defaultdict(list)
        for seed in range(given.seeds):
            for name in given.methods:
                with context.Pool(1) as pool:
                    found[name].append(pool.apply(measure, (given, name, k, seed)))
        for name, figures in found.items():
            accuracy, share, seconds, cpu, memory = np.mean(figures, axis=0)
            print(
                f"k={k:<4} {name:18}{accuracy:6.1f}{share:12.1f}{seconds:13.1f}"
                f"{cpu:10.1f}{memory:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
