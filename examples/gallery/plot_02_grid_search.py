"""
Replace PCA in a grid search
============================

An encoder is a step of a pipeline as ``PCA`` is, so a search can choose between them,
and their size, by what counts: the accuracy of the classifier behind them.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, SupervisedAutoencoder
from sklatent.model_selection import best_if_significant

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=500, stratify=y, random_state=0
)
pipeline = Pipeline(
    [
        ("scale", StandardScaler()),
        ("reduce", PCA()),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
)
reducers = [
    PCA(random_state=0),
    Autoencoder(random_state=0),
    SupervisedAutoencoder(random_state=0),
]
sizes = [2, 4, 8]

# %%
# ``best_if_significant`` keeps the best PCA unless another candidate is better beyond
# what the luck of the folds explains.
from functools import partial

search = GridSearchCV(
    pipeline,
    {"reduce": reducers, "reduce__n_components": sizes},
    cv=3,
    refit=partial(best_if_significant, baseline={"reduce": PCA}),
).fit(X_train, y_train)
print(search.best_params_)
print(f"accuracy on test rows: {search.score(X_test, y_test):.3f}")

# %%
# Every candidate: the mean over the folds, with the range between them.
import matplotlib.pyplot as plt

results = search.cv_results_
folds = np.stack([results[f"split{i}_test_score"] for i in range(3)])
folds = folds.reshape(3, len(reducers), len(sizes))
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for i, reducer in enumerate(reducers):
    ax.fill_between(sizes, folds[:, i].min(axis=0), folds[:, i].max(axis=0), alpha=0.2)
    ax.plot(sizes, folds[:, i].mean(axis=0), marker="o", label=type(reducer).__name__)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, sizes)
ax.set(xlabel="number of latents", ylabel="accuracy, held-out fold")
ax.legend(loc="lower right")
plt.show()
