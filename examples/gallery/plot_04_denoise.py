"""
Remove noise from a photograph
==============================

A denoiser is trained on patches of the right half of a photograph, and then removes
noise from the left half, which it has not seen.
"""

import numpy as np
import torch
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import (
    extract_patches_2d,
    reconstruct_from_patches_2d,
)

from sklatent import DenoisingAutoencoder

photo = load_sample_image("china.jpg").mean(axis=2)[:420, :620] / 255
photo = photo.reshape(210, 2, 310, 2).mean(axis=(1, 3))  # half the size
left, right = photo[:, :155], photo[:, 155:]
rng = np.random.default_rng(0)
noisy = left + 0.15 * rng.normal(size=left.shape)


def patches(image):
    """Return all 8 × 8 patches of an image, a row each."""
    return extract_patches_2d(image, (8, 8)).reshape(-1, 64)


X = patches(right)[::2]
X.shape

# %%
# The noise has one standard deviation for all pixels, so it is given as a function.


def white_noise(x):
    """Return the patches with noise added."""
    return x + 0.15 * torch.randn_like(x)


dae = DenoisingAutoencoder(32, noise=white_noise, max_iter=20, random_state=0).fit(X)

# %%
# PCA removes noise too: with few components by leaving out most of it. Its best size,
# on the half that is trained on:
X_noisy = X + 0.15 * rng.normal(size=X.shape)
models = [PCA(k).fit(X) for k in (2, 4, 6, 8, 12, 16, 24)]
errors = [
    np.square(pca.inverse_transform(pca.transform(X_noisy)) - X).mean()
    for pca in models
]
pca = models[np.argmin(errors)]
pca.n_components

# %%
# Each pixel is in 64 patches; the mean over these is its value.
import matplotlib.pyplot as plt


def whole(rows):
    """Put patches together again, averaging where they overlap."""
    return reconstruct_from_patches_2d(rows.reshape(-1, 8, 8), left.shape)


rows = patches(noisy)
images = {
    "photograph": left,
    "with noise": noisy,
    "PCA": whole(pca.inverse_transform(pca.transform(rows))),
    "DenoisingAutoencoder": whole(dae.reconstruct(rows)),
}
fig, axes = plt.subplots(1, 4, figsize=(11, 4.5), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    error = np.square(image - left).mean()
    decibel = f"\n{-10 * np.log10(error):.1f} dB" if error else "\n"
    ax.set(title=name + decibel, xticks=[], yticks=[])
plt.show()
