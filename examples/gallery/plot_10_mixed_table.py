"""
A table of numbers and categories
=================================

Cars of 1970 to 1982: five measurements and the year, which are numbers, and where they
were made and how many cylinders they have, which are categories. ``ColumnTransformer``
makes one matrix of them, an encoder makes a map of it.
"""

import numpy as np
import pandas as pd
from mlxtend.data import autompg_data

X, miles = autompg_data()
names = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year",
         "origin", "name"]  # fmt: skip
table = pd.DataFrame(X, columns=names[: X.shape[1]])
table = table.assign(
    origin=table["origin"].map({1: "USA", 2: "Europe", 3: "Japan"}),
    cylinders=table["cylinders"].astype(int).astype(str),
)
table = table[["displacement", "horsepower", "weight", "acceleration", "year",
               "origin", "cylinders"]]  # fmt: skip
table.head()

# %%
# Numbers are standardised; the 0/1 columns of categories stay as they are.
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklatent import Autoencoder

categories = ["origin", "cylinders"]
columns = ColumnTransformer(
    [
        ("numbers", StandardScaler(), [c for c in table if c not in categories]),
        ("categories", OneHotEncoder(sparse_output=False), categories),
    ]
)
encoder = make_pipeline(columns, Autoencoder(2, random_state=0))
Z = encoder.fit_transform(table)

# %%
# The map knows nothing of the miles per gallon, by which the points are coloured.
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
markers = {"USA": "o", "Europe": "s", "Japan": "^"}
for origin, marker in markers.items():
    rows = (table["origin"] == origin).to_numpy()
    points = ax.scatter(
        *Z[rows].T, c=miles[rows], marker=marker, s=28, label=origin,
        vmin=miles.min(), vmax=miles.max(),
    )  # fmt: skip
fig.colorbar(points, label="miles per gallon")
ax.set(xlabel="latent 0", ylabel="latent 1")
ax.legend()

# %%
# With the consumption as the target, two latents predict it. R² of a ridge regression
# in five folds:
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score

from sklatent import SupervisedAutoencoder

folds = KFold(5, shuffle=True, random_state=0)
reducers = [
    PCA(2),
    Autoencoder(2, random_state=0),
    SupervisedAutoencoder(2, target_type="continuous", random_state=0),
]
for reducer in reducers:
    model = make_pipeline(columns, reducer, RidgeCV(np.logspace(-3, 3, 13)))
    scores = cross_val_score(model, table, miles, cv=folds)
    print(f"{type(reducer).__name__:22}{scores.mean():.3f}")
plt.show()
