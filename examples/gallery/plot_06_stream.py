"""
Anomalies in a stream
=====================

Images arrive in batches. A detector is fitted to the first ones, which are known to be
good, and scores every batch after them. Two things go wrong on the way: for a while a
column of the camera is dead, and later every fourth image lies on its side. The digits
are real; the two faults are made.
"""

import numpy as np
from sklearn.datasets import load_digits

from sklatent import LatentOutlierDetector

images = np.random.default_rng(0).permutation(load_digits().images)
good, stream = images[:800], images[800:].copy()
batch = 40
stream[200:320, :, 4] = 0  # batches 5 to 7: a dead column
odd = np.arange(600, 720, 4)  # batches 15 to 17: every fourth is turned
stream[odd] = stream[odd].transpose(0, 2, 1)[:, ::-1]

detector = LatentOutlierDetector(random_state=0).fit(good.reshape(-1, 64))

# %%
# The p-value of an image says how odd it is among good images that the detector has not
# been fitted to. About 5% of good images have one of 0.05 or less, two of a batch of
# 40. The bars count them in each batch; the shaded batches are those with a fault.
import matplotlib.pyplot as plt
from scipy.stats import binom

p_values = detector.p_values(stream.reshape(-1, 64))
batches = p_values[: len(p_values) // batch * batch].reshape(-1, batch)
called = (batches <= 0.05).sum(axis=1)
limit = binom.isf(0.01, batch, 0.05)  # passed by one good batch in a hundred

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.bar(np.arange(len(called)), called, color=np.where(called > limit, "C3", "C0"))
ax.axhline(limit + 0.5, color="gray", linestyle="--")
ax.annotate("alarm", (len(called) - 0.6, limit + 0.7), ha="right", color="gray")
ax.axvspan(4.5, 7.5, color="C1", alpha=0.15)
ax.axvspan(14.5, 17.5, color="C1", alpha=0.15)
ax.set(xlabel=f"batch of {batch} images", ylabel="images with p ≤ 0.05")

# %%
# Which pixels are to blame? ``explain`` splits the oddness of each image among its
# features. The mean over the batches of the first fault shows the dead column; that of
# the second shows places on the left and right where digits that stand have no ink.
fig, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
axes[0].imshow(stream[odd[2]], cmap="gray_r")
axes[0].set_title("a turned image")
faults = {"dead column": stream[200:320], "turned images": stream[odd]}
for ax, (name, rows) in zip(axes[1:], faults.items(), strict=True):
    shares = detector.explain(rows.reshape(-1, 64)).mean(axis=0)
    ax.imshow(shares.reshape(8, 8), cmap="magma", vmin=0)
    ax.set_title(f"blame: {name}")
for ax in axes:
    ax.set(xticks=[], yticks=[])
plt.show()
