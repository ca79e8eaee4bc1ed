"""
Digits in two dimensions
========================

A map of the 8 × 8 digits by two numbers each: by PCA, and by an autoencoder that starts
as PCA. Both are fitted without labels, to two thirds of the images; the other third is
drawn.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklatent import Autoencoder, LatentSpaceDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, random_state=0, test_size=0.33
)
ae = Autoencoder(n_components=2, random_state=0).fit(X_train)
print(ae.verdict_)

# %%
# The display draws PCA's map of the same rows beside it.
import matplotlib.pyplot as plt

plt.rcParams["figure.figsize"] = (9, 4.2)
display = LatentSpaceDisplay.from_estimator(
    ae, X_test, y_test, y_name="digit", pca=True
)

# %%
# What the two numbers tell of an image is what can be drawn from them again. From
# above: ten images, and what PCA and the autoencoder make of their two numbers.
import numpy as np
from sklearn.decomposition import PCA

pca = PCA(n_components=2).fit(X_train)
rows = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
images = {
    "image": X_test[rows],
    "PCA": pca.inverse_transform(pca.transform(X_test[rows])),
    "Autoencoder": ae.reconstruct(X_test[rows]),
}
fig, axes = plt.subplots(3, 10, figsize=(9, 3), layout="constrained")
for line, (name, pictures) in zip(axes, images.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, picture in zip(line, pictures, strict=True):
        ax.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])

# %%
# The share of the variance of the test images that two numbers explain:
left = np.square(X_test - pca.inverse_transform(pca.transform(X_test))).sum()
total = np.square(X_test - X_train.mean(axis=0)).sum()
print(f"PCA          {1 - left / total:.2f}")
print(f"Autoencoder  {ae.score(X_test):.2f}")
