"""
How many latents?
=================

The variance that is explained rises with every latent, so it does not say when to stop.
``LatentSizeCV`` hides cells of held-out rows and asks how well they are predicted:
latents that model noise make that worse. With a classifier behind the latents it asks
how well that does instead. All sizes come from one fit for each fold.
"""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sklatent import Autoencoder, LatentSizeCV

X, y = load_digits(return_X_y=True)
X, y = X[:900], y[:900]
sizes = [1, 2, 4, 8, 16, 32]
ae = Autoencoder(random_state=0, max_iter=40)
cells = LatentSizeCV(ae, sizes, cv=3).fit(X)
classes = LatentSizeCV(
    ae, sizes, cv=3, final_estimator=LogisticRegression(max_iter=2000)
).fit(X, y)

# %%
# The band is one standard error below the best score. The smallest size within it is
# chosen.
import matplotlib.pyplot as plt

from sklatent import LatentSizeDisplay

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, search in zip(axes, (cells, classes), strict=True):
    LatentSizeDisplay.from_estimator(search, ax=ax)
plt.show()

# %%
# The search transforms with the size that it chose.
print(cells.best_n_components_, cells.transform(X).shape)
print(classes.best_n_components_, classes.transform(X).shape)
