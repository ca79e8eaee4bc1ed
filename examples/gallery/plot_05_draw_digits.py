"""
Draw digits, and train on them
==============================

``VariationalAutoencoder`` is a model of where rows come from, so it can draw new ones.
Here one is fitted to each class of digits. If what they draw is like the real thing, a
classifier that has seen nothing else reads real digits well.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from sklatent import VariationalAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1000, stratify=y, random_state=0
)


def drawn(make_model):
    """Fit a model to each class; return 100 new rows of each and their labels."""
    rows = []
    for digit in range(10):
        sample = make_model().fit(X_train[y_train == digit]).sample(100)
        rows.append(sample[0] if isinstance(sample, tuple) else sample)
    return np.concatenate(rows), np.repeat(np.arange(10), 100)


sources = {
    "real": (X_train, y_train),
    "VariationalAutoencoder": drawn(lambda: VariationalAutoencoder(8, random_state=0)),
    "GaussianMixture": drawn(lambda: GaussianMixture(1, reg_covar=0.1, random_state=0)),
}

# %%
# Accuracy on real test digits of a forest trained on each. A single Gaussian for each
# class, with all its correlations, is a strong rival on 100 images of 64 pixels.
for name, (rows, labels) in sources.items():
    forest = RandomForestClassifier(random_state=0).fit(rows, labels)
    print(f"{name:24}{forest.score(X_test, y_test):.3f}")

# %%
# Eight drawn digits of each class, and above them real ones.
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, figsize=(11, 4.6), layout="constrained")
for ax, (name, (rows, labels)) in zip(axes, sources.items(), strict=True):
    picture = [
        np.hstack([np.pad(row.reshape(8, 8), 1) for row in rows[labels == digit][:8]])
        for digit in range(10)
    ]
    ax.imshow(np.vstack(picture), cmap="gray_r", vmin=0, vmax=16)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()
