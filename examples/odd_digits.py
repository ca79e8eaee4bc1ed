"""Digits that do not belong, and the cells to blame.

LatentOutlierDetector knows 1257 of scikit-learn's digits and is asked about 540 others,
in five of which three cells are stuck at the other end of their scale. Draws the ten
oddest to docs/images/odd_digits.png: each digit, the mean of its neighbours, and what
every cell adds to its score. Cells that hardly vary, at the border, are left out: the
detector standardises features, so that the least ink there is odd.

    python examples/odd_digits.py
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklatent import LatentOutlierDetector

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "odd_digits.png"
N_DAMAGED, N_STUCK, N_SHOWN = 5, 3, 10
#: The standard deviation of cells that are used, at least, on a scale from 0 to 16.
MIN_DEVIATION = 3


def damage(X, seed=0):
    """Return digits of which a few have stuck cells, and which cells these are."""
    random = np.random.RandomState(seed)
    rows = random.choice(len(X), N_DAMAGED, replace=False)
    stuck = np.zeros(X.shape, dtype=bool)
    for row in rows:
        stuck[row, random.choice(X.shape[1], N_STUCK, replace=False)] = True
    return np.where(stuck, np.where(X > 8, 0, 16), X), stuck


def find(X_train, X):
    """Print what is called; return the detector and the oddest digits, oddest first."""
    detector = LatentOutlierDetector(random_state=0).fit(X_train)
    called = detector.predict(X) == -1
    print(f"Of {len(X)} digits {called.sum()} are called; 5% of normal ones are.")
    return detector, np.argsort(detector.score_samples(X))[:N_SHOWN]


def blame(detector, X, stuck, oddest):
    """Print how many stuck cells were found; return each cell's share of the score."""
    shares = detector.explain(X[oddest])
    damaged = np.flatnonzero(stuck[oddest].any(axis=1))
    print(
        f"Of {N_DAMAGED} damaged digits {len(damaged)} are among the oddest {N_SHOWN}."
    )
    for i in damaged:
        worst = np.argsort(-shares[i])[:N_STUCK]
        found = stuck[oddest[i], worst].sum()
        print(f"  number {i + 1}: {found} of {N_STUCK} stuck cells are most to blame")
    return shares


def as_image(values, used):
    """Return a picture of the cells that are used."""
    image = np.full(64, np.nan)
    image[used] = values
    return image.reshape(8, 8)


def draw(detector, X, stuck, oddest, shares, used):
    """Draw digits, their neighbours and the shares of their cells."""
    figure, grid = plt.subplots(3, N_SHOWN, figsize=(12, 4.2), layout="constrained")
    lines = {
        "digit": X[oddest],
        "mean of\nneighbours": detector.explanation_baseline(X[oddest]),
    }
    lines["share of\nthe score"] = shares / np.abs(shares).max(axis=1, keepdims=True)
    styles = [{"cmap": "gray_r", "vmin": 0, "vmax": 16}] * 2
    styles += [{"cmap": "RdBu_r", "vmin": -1, "vmax": 1}]
    scores = detector.score_samples(X[oddest])
    for axes_row, (label, images), style in zip(
        grid, lines.items(), styles, strict=True
    ):
        axes_row[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for axes, image in zip(axes_row, images, strict=True):
            shown = axes.imshow(as_image(image, used), **style)
            axes.set_facecolor("lightgray")
            axes.set(xticks=[], yticks=[])
    for i, score in enumerate(scores):
        grid[0, i].set_title(f"{score:.2f}")
        rows, columns = np.nonzero(as_image(stuck[oddest[i]], used) == 1)
        for axes in (grid[0, i], grid[2, i]):
            axes.plot(columns, rows, "s", ms=9, mfc="none", mec="tab:green", mew=1.5)
    figure.colorbar(shown, ax=grid[2], ticks=[-1, 0, 1], label="of the largest")
    figure.suptitle(
        "The oddest digits, their scores and the cells to blame (red). Stuck cells are "
        "framed."
    )
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    print(f"Picture: {PICTURE}")


def main():
    """Find, explain and draw."""
    X, y = load_digits(return_X_y=True)
    used = X.std(axis=0) > MIN_DEVIATION
    X_train, X_test = train_test_split(
        X[:, used], test_size=0.3, random_state=0, stratify=y
    )
    X_test, stuck = damage(X_test)
    detector, oddest = find(X_train, X_test)
    shares = blame(detector, X_test, stuck, oddest)
    draw(detector, X_test, stuck, oddest, shares, used)


if __name__ == "__main__":
    main()
