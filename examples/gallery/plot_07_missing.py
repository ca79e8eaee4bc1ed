"""
Fill missing cells
==================

A third of the pixels is missing, in the rows to train on as well, so no complete image
is ever seen. ``Autoencoder(missing='ignore')`` fits to what is there, and ``impute``
fills what is not.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from sklatent import Autoencoder

X, y = load_digits(return_X_y=True)
X_gaps = np.where(np.random.default_rng(0).uniform(size=X.shape) < 0.33, np.nan, X)
train, test = train_test_split(np.arange(len(X)), random_state=0)

# %%
# The error is measured on the missing pixels of test images, in the units of the pixels
# (0 to 16).
ae = Autoencoder(16, missing="ignore", random_state=0).fit(X_gaps[train])
filled = {"Autoencoder": ae.impute(X_gaps[test])}
for imputer in (KNNImputer(), SimpleImputer()):
    name = type(imputer).__name__
    filled[name] = imputer.fit(X_gaps[train]).transform(X_gaps[test])
hidden = np.isnan(X_gaps[test])
errors = {
    name: np.sqrt(np.square(rows - X[test])[hidden].mean())
    for name, rows in filled.items()
}

# %%
# Missing pixels are orange.
import matplotlib.pyplot as plt

rows = [np.flatnonzero(y[test] == digit)[0] for digit in range(10)]
lines = {"as it was": X[test], "as it came": X_gaps[test]}
lines |= {f"{name}: {errors[name]:.2f}": X_hat for name, X_hat in filled.items()}
gray = plt.get_cmap("gray_r").with_extremes(bad="tab:orange")
fig, axes = plt.subplots(5, 10, figsize=(9, 4.4), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(line, images[rows], strict=True):
        ax.imshow(image.reshape(8, 8), cmap=gray, vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
plt.show()
