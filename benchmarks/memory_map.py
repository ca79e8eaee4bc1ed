"""A fit to a memory map of more rows than memory holds: its private memory.

The file, generated unless it is there, has rows that follow two curves, float32.
Printed are the memory of the process that is no page of a file (RssAnon of Linux),
before the fit and at most during it and `transform_batches`, and the seconds by the
clock.

    python benchmarks/memory_map.py FILE [--rows 20000000] [--features 250]
"""

import argparse
import threading
import time
from pathlib import Path

import numpy as np

from sklatent import Autoencoder

BLOCK = 100_000


def private_memory():
    """Return megabytes that are not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "RssAnon" in line) / 1024


def generate(path, n, p):
    """Write n rows of p features to a file."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(6, p)).astype(np.float32)
    with path.open("wb") as file:
        for start in range(0, n, BLOCK):
            t = random.uniform(-2, 2, size=(min(BLOCK, n - start), 2))
            curved = np.column_stack([t, np.sin(2 * t), t**2]).astype(np.float32)
            noise = random.standard_normal((len(t), p), dtype=np.float32)
            (curved @ weights + np.float32(0.1) * noise).tofile(file)


def peak_of(function):
    """Return the most private memory while a function runs, looked at often."""
    peak, done = [0.0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], private_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        function()
    finally:
        done.set()
        thread.join()
    return peak[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--features", type=int, default=250)
    args = parser.parse_args()
    n, p = args.rows, args.features
    if not args.file.exists():
        generate(args.file, n, p)
    X = np.memmap(args.file, np.float32, "r", shape=(n, p))
    model = Autoencoder(4, hidden_layer_sizes=(32,), max_iter=1, random_state=0)
    before, start = private_memory(), time.perf_counter()

    def use():
        model.fit(X)
        for _ in model.transform_batches(X):
            pass

    peak, seconds = peak_of(use), time.perf_counter() - start
    print(
        f"{X.nbytes / 1e9:.1f} GB: {before:.0f} MB before, {peak:.0f} MB at most, ",
        end="",
    )
    print(f"{seconds:.0f} s")


if __name__ == "__main__":
    main()
