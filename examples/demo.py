"""Autoencoders where PCA stands, on scikit-learn's digits.

Prints held-out explained variance for three latent sizes, the accuracy of a classifier
behind them and a grid search over the size inside a pipeline, each beside PCA, and the
size that LatentSizeCV chooses; what DenoisingAutoencoder leaves of noise, how well
`impute` fills missing pixels, and the likelihood that VariationalAutoencoder gives to
new digits, beside the classics. Draws maps of the digits, reconstructions, denoised,
filled and new digits to docs/images/demo.png.

    python examples/demo.py
"""

import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.png"


def explained(model, X):
    """Share of variance that a fitted PCA or Autoencoder explains of X."""
    X_hat = model.inverse_transform(model.transform(X))
    return 1 - np.square(X - X_hat).sum() / np.square(X - model.mean_).sum()


def compare(X_train, X_test):
    """Fit both for three sizes; return the fitted models by size."""
    print("Held-out explained variance\n   k     PCA   Autoencoder   seconds")
    models = {}
    for k in (2, 8, 16):
        start = time.perf_counter()
        pca = PCA(n_components=k).fit(X_train)
        ae = Autoencoder(n_components=k, random_state=0).fit(X_train)
        seconds = time.perf_counter() - start
        print(
            f"  {k:2}   {explained(pca, X_test):.3f}         {ae.score(X_test):.3f}"
            f"{seconds:10.1f}",
            flush=True,
        )
        models[k] = pca, ae
    return models


def classify(X_train, X_test, y_train, y_test):
    """Compare pipelines that differ in the reducer; return the supervised map."""
    print("\nStandardScaler, reducer, LogisticRegression: held-out accuracy")
    print("   k     PCA   Autoencoder   SupervisedAutoencoder")
    for k in (2, 8):
        accuracy = []
        for reducer in (
            PCA(k),
            Autoencoder(k, random_state=0),
            SupervisedAutoencoder(k, random_state=0),
        ):
            classifier = LogisticRegression(max_iter=2000)
            pipeline = make_pipeline(StandardScaler(), reducer, classifier)
            accuracy.append(pipeline.fit(X_train, y_train).score(X_test, y_test))
        pca, ae, supervised = accuracy
        print(f"  {k:2}   {pca:.3f}         {ae:.3f}{supervised:24.3f}", flush=True)
    return SupervisedAutoencoder(2, random_state=0).fit(X_train, y_train)


def search(X_train, X_test, y_train, y_test):
    """Choose the latent size by cross-validation, for a classifier on the latents."""
    print("\nGridSearchCV over the latent size (k = 4, 8, 16), n_jobs=2")
    for reducer in (PCA(random_state=0), Autoencoder(random_state=0)):
        pipeline = Pipeline(
            [
                ("scale", StandardScaler()),
                ("latent", reducer),
                ("classify", LogisticRegression(max_iter=2000)),
            ]
        )
        grid = GridSearchCV(
            pipeline, {"latent__n_components": [4, 8, 16]}, cv=3, n_jobs=2
        )
        start = time.perf_counter()
        grid.fit(X_train, y_train)
        scores = "  ".join(f"{s:.3f}" for s in grid.cv_results_["mean_test_score"])
        print(
            f"  {type(reducer).__name__:12} accuracy {scores}   "
            f"held-out, k={grid.best_params_['latent__n_components']}: "
            f"{grid.score(X_test, y_test):.3f}   "
            f"({time.perf_counter() - start:.0f} s)",
            flush=True,
        )


def choose(X_train, X_test, y_train, y_test):
    """Choose the latent size from one fit for each fold, for the same classifier."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    search = LatentSizeCV(
        Autoencoder(random_state=0),
        [2, 4, 8, 16, 32],
        cv=3,
        final_estimator=classifier,
        rule="one_standard_error",
        n_jobs=2,
    )
    start = time.perf_counter()
    search.fit(X_train, y_train)
    scores = "  ".join(f"{s:.3f}" for s in search.cv_results_["mean_test_score"])
    print(
        "\nLatentSizeCV (k = 2, 4, 8, 16, 32), smallest size within a standard error\n"
        f"  Autoencoder  accuracy {scores}   held-out, k={search.best_n_components_}: "
        f"{search.score(X_test, y_test):.3f}   ({time.perf_counter() - start:.0f} s)",
        flush=True,
    )


def denoise(X_train, X_test):
    """Compare squared errors on noisy digits; return noisy and denoised ones."""
    hidden = np.random.default_rng(0).uniform(size=X_test.shape) < 0.3
    noisy = np.where(hidden, 0, X_test)
    pca = PCA(n_components=16).fit(X_train)
    dae = DenoisingAutoencoder(
        n_components=16, noise="masking", noise_level=0.3, random_state=0
    )
    images = {"noisy": noisy}
    for model in (pca, dae.fit(X_train)):
        X_hat = model.inverse_transform(model.transform(noisy))
        images[f"{type(model).__name__}, k=16"] = X_hat
    print("\nThree of ten pixels blacked out: mean squared error per pixel")
    for label, X_hat in images.items():
        print(f"  {label:28}{np.square(X_hat - X_test).mean():8.2f}", flush=True)
    return images


def fill(X_train, X_test):
    """Compare errors of missing pixels; return digits with gaps and the same filled."""
    rng = np.random.default_rng(0)
    gaps_train, gaps = (
        np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X) for X in (X_train, X_test)
    )
    missing = np.isnan(gaps)
    ae = Autoencoder(n_components=16, missing="ignore", random_state=0)
    print("\nA fifth of the pixels missing, in training too: root mean squared error")
    for model in (SimpleImputer(), KNNImputer(), ae):
        model.fit(gaps_train)
        filled = model.impute(gaps) if model is ae else model.transform(gaps)
        error = np.sqrt(np.square(filled - X_test)[missing].mean())
        print(f"  {type(model).__name__:28}{error:8.2f}", flush=True)
    return {"missing": gaps, "Autoencoder, imputed": filled}


def likelihood(X_train, X_test):
    """Compare held-out log-likelihoods; return new digits."""
    print("\nHeld-out log-likelihood per digit, k=8, in nats")
    lit = X_train.std(axis=0) > 0  # a constant pixel has no density
    vae = VariationalAutoencoder(n_components=8, random_state=0)
    for model in (PCA(n_components=8), FactorAnalysis(n_components=8), vae):
        score = model.fit(X_train[:, lit]).score(X_test[:, lit])
        print(f"  {type(model).__name__:28}{score:8.1f}", flush=True)
    images = np.zeros((10, 64))
    images[:, lit] = vae.sample(10, random_state=1, noise=False)
    return images


def draw(maps, models, rows, X_test, y_test, pairs):
    """Draw the three maps, and a line of ten digits of each kind."""
    figure = plt.figure(figsize=(12, 12.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.75])
    for axes, model in zip(top.subplots(1, 3), maps, strict=True):
        Z = model.transform(X_test)
        points = axes.scatter(*Z.T, c=y_test, cmap="tab10", s=9, linewidths=0)
        name = type(model).__name__
        axes.set_title(f"{name}: {explained(model, X_test):.0%} of variance")
        axes.set(xlabel=f"{name.lower()}0", ylabel=f"{name.lower()}1")
    top.colorbar(points, ax=top.axes, ticks=range(10), label="digit", aspect=30)

    images = {"original": X_test[rows]}
    for model in models:
        Z = model.transform(X_test[rows])
        images[f"{type(model).__name__}, k=8"] = model.inverse_transform(Z)
    images |= pairs
    grid = bottom.subplots(len(images), 10)
    gray = plt.get_cmap("gray_r").with_extremes(bad="tab:orange")  # a missing pixel
    for axes_row, (title, digits) in zip(grid, images.items(), strict=True):
        axes_row[0].set_ylabel(title, rotation=0, ha="right", va="center")
        for axes, digit in zip(axes_row, digits, strict=True):
            axes.imshow(digit.reshape(8, 8), cmap=gray, vmin=0, vmax=16)
            axes.set(xticks=[], yticks=[])
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    print(f"\nPicture: {PICTURE}")


def main():
    """Run all parts."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, random_state=0, stratify=y
    )
    models = compare(X_train, X_test)
    supervised = classify(X_train, X_test, y_train, y_test)
    search(X_train, X_test, y_train, y_test)
    choose(X_train, X_test, y_train, y_test)
    rows = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
    images = {title: X[rows] for title, X in denoise(X_train, X_test).items()}
    images |= {title: X[rows] for title, X in fill(X_train, X_test).items()}
    images["Variational, drawn"] = likelihood(X_train, X_test)
    draw((*models[2], supervised), models[8], rows, X_test, y_test, images)


if __name__ == "__main__":
    main()
