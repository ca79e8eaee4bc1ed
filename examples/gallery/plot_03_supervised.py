"""
Latents that know the target
============================

What explains most of the variance of the rows need not tell the classes apart.
``SupervisedAutoencoder`` gives weight to both; its parameter ``mixing`` says how much:
1 is the rows alone, near 0 the target alone.
"""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklatent import SupervisedAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
mixings = [1.0, 0.9, 0.5, 0.1, 0.01]
models = {
    mixing: SupervisedAutoencoder(2, mixing=mixing, random_state=0).fit(
        X_train, y_train
    )
    for mixing in mixings
}

# %%
# Three of the maps, of test rows. Their labels were never shown to the models.
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, mixing in zip(axes, [1.0, 0.5, 0.01], strict=True):
    Z = models[mixing].transform(X_test)
    points = ax.scatter(*Z.T, c=y_test, cmap="tab10", s=8)
    ax.set(title=f"mixing={mixing:g}", xticks=[], yticks=[])
fig.colorbar(points, ax=axes, ticks=range(10), label="digit")

# %%
# Every step towards the target costs some of what is known of the rows. Both axes are
# measured on test rows: the share of variance that the reconstruction explains, and the
# accuracy of a logistic regression on the two latents.
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
explained, accuracy = [], []
for model in models.values():
    classifier = LogisticRegression(max_iter=2000)
    classifier.fit(model.transform(X_train), y_train)
    accuracy.append(classifier.score(model.transform(X_test), y_test))
    left = ((X_test - model.reconstruct(X_test)) ** 2).sum()
    explained.append(1 - left / ((X_test - X_train.mean(axis=0)) ** 2).sum())
ax.plot(explained, accuracy, marker="o")
for mixing, x, a in zip(mixings, explained, accuracy, strict=True):
    ax.annotate(f"{mixing:g}", (x, a), xytext=(-6, -14), textcoords="offset points")
ax.set(xlabel="share of variance explained", ylabel="accuracy")
ax.set_title("mixing: 1 is the rows alone, 0.01 nearly the target alone")
plt.show()
