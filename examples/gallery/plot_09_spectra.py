"""
Spectra: peaks that move
========================

Two things change in these spectra: how much there is of a substance, and a temperature
that shifts and widens its peaks. So two numbers describe a spectrum. PCA, which adds
and subtracts curves, needs many to follow a peak that moves. The spectra are generated,
so that the two numbers are known.
"""

import numpy as np
from sklearn.decomposition import PCA

from sklatent import Autoencoder

rng = np.random.default_rng(0)
wavelength = np.linspace(900, 1700, 200)


def spectra(amount, temperature):
    """Return spectra with three peaks that shift and widen with the temperature."""
    amount, shift = amount[:, None], 25 * temperature[:, None]
    total = 0.3 + 0.1 * np.sin(wavelength / 300)
    for center, height, rate in [(1050, 0.6, 1), (1220, 1.0, -1), (1450, 0.8, 1.4)]:
        width = 28 + 0.2 * shift
        distance = (wavelength - center - rate * shift) / width
        total = total + height * amount * np.exp(-(distance**2) / 2)
    return total + rng.normal(0, 0.01, total.shape)


amount, temperature = rng.uniform(0.2, 1, 1200), rng.uniform(-1, 1, 1200)
X = spectra(amount, temperature)
train, test = slice(0, 900), slice(900, None)

# %%
# How much is left of the variance of spectra that were not trained on, by the number of
# latents:
import matplotlib.pyplot as plt

sizes = [1, 2, 3, 4, 6, 8]
left = {"PCA": [], "Autoencoder": []}
total = np.square(X[test] - X[train].mean(axis=0)).sum()
for k in sizes:
    for model in (PCA(k), Autoencoder(k, random_state=0)):
        X_hat = model.fit(X[train]).inverse_transform(model.transform(X[test]))
        left[type(model).__name__].append(np.square(X[test] - X_hat).sum() / total)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
axes[0].plot(wavelength, X[test][:8].T, linewidth=1)
axes[0].set(title="eight spectra", xlabel="wavelength, nm", ylabel="absorbance")
for name, values in left.items():
    axes[1].plot(sizes, values, marker="o", label=name)
noise = 0.01**2 * X[test].size / total
axes[1].axhline(noise, color="gray", linestyle="--", label="the noise")
axes[1].set(yscale="log", xlabel="number of latents", ylabel="variance left")
axes[1].legend()

# %%
# Along each of the two latents of the autoencoder, the other at its mean:
from sklatent import LatentTraversalDisplay

ae = Autoencoder(2, random_state=0).fit(X[train])
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
for j, ax in enumerate(axes):
    LatentTraversalDisplay.from_estimator(
        ae, j, feature_names=wavelength, units="absorbance", profile="curve", ax=ax
    )
plt.show()

# %%
# How closely each latent follows each cause: rank correlations over new spectra.
from scipy.stats import spearmanr

for model in (PCA(2).fit(X[train]), ae):
    Z = model.transform(X[test])
    for name, cause in {"amount": amount, "temperature": temperature}.items():
        ranks = [abs(spearmanr(z, cause[test]).statistic) for z in Z.T]
        print(
            f"{type(model).__name__:12}{name:12}" + "".join(f"{r:6.2f}" for r in ranks)
        )
