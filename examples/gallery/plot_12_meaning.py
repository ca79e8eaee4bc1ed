"""
What a latent means
===================

The latents of an autoencoder are read like those of PCA: ``components_`` says which
features a step along each of them changes. What PCA cannot have is a latent that
changes different features in different rows; the thin lines show that.
"""

from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import Autoencoder, ComponentsDisplay

X, y = load_wine(return_X_y=True, as_frame=True)
X = X.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})
model = make_pipeline(StandardScaler(), Autoencoder(2, random_state=0)).fit(X)

# %%
# The bars are means over the wines, in standard deviations of the feature for a unit of
# the latent; a line goes from the 10% to the 90% quantile over the wines.
import matplotlib.pyplot as plt

plt.rcParams["figure.figsize"] = (9, 3.8)
display = ComponentsDisplay.from_estimator(model, X, n_features=7)

# %%
# Move along the first latent, the other at its mean, and decode: wines from one end of
# it to the other, in the units of the table.
from sklatent import LatentTraversalDisplay

moved = LatentTraversalDisplay.from_estimator(model, component=0, n_features=7)

# %%
# The three cultivars, which the model was not told, along the two latents.
from sklatent import LatentSpaceDisplay

plt.rcParams["figure.figsize"] = (6.4, 4.2)
space = LatentSpaceDisplay.from_estimator(model, X, y, y_name="cultivar")
plt.show()
