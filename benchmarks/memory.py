"""Peak memory and seconds of an epoch on sparse rows, 20,000 x 50,000 at 0.1%.

Usage: ``python benchmarks/memory.py [--epochs 1]``. Each estimator is fitted in a
process of its own, first as a linear model: what that takes is the start (the basis,
and looking at all rows), and what a fit takes longer are its epochs. An array of all
cells would take 8 GB.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np
import scipy.sparse as sp

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

SHAPE, DENSITY, N_TOPICS = (20_000, 50_000), 1e-3, 20


def rows(seed=0):
    """Rows with some structure: each draws its features from those of two topics."""
    random = np.random.RandomState(seed)
    n, p = SHAPE
    width = int(p * DENSITY)
    topics = random.randint(N_TOPICS, size=(n, 2, 1)) * (p // N_TOPICS)
    drawn = random.geometric(3e-3, size=(n, 2, width // 2)) % (p // N_TOPICS)
    columns = (topics + drawn).reshape(n, -1)
    cells = random.uniform(0.5, 1.5, size=columns.size)
    places = np.repeat(np.arange(n), width), columns.ravel()
    return sp.csr_array((cells, places), SHAPE)


MODELS = {
    "Autoencoder": Autoencoder,
    "DenoisingAutoencoder, masking": lambda *k, **given: DenoisingAutoencoder(
        *k, noise="masking", **given
    ),
    "VariationalAutoencoder, multinomial": lambda *k, **given: VariationalAutoencoder(
        *k, likelihood="multinomial", **given
    ),
}


def measure(name, n_epochs):
    """Seconds of start, an epoch, a transform and a score, and peak memory in GB."""
    X = rows()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    model = MODELS[name](32, hidden_layer_sizes=(), random_state=0)
    times = [time.perf_counter()]
    model.fit(X)
    times.append(time.perf_counter())
    model.set_params(hidden_layer_sizes=(256,), max_iter=n_epochs).fit(X)
    times.append(time.perf_counter())
    model.transform(X)
    times.append(time.perf_counter())
    if "Variational" not in name:
        model.score(X)
    times.append(time.perf_counter())
    start, fit, *use = np.diff(times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return start, (fit - start) / n_epochs, *use, before, peak


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    titles = "start, s", "epoch, s", "transform, s", "score, s", "GB before", "GB"
    print(f"{'':36}" + "".join(f"{title:>13}" for title in titles))
    for name in given.models:
        with context.Pool(1) as pool:
            found = pool.apply(measure, (name, given.epochs))
        print(f"{name:36}" + "".join(f"{x:13.2f}" for x in found), flush=True)


if __name__ == "__main__":
    main()
