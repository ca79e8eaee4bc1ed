"""
A network of your own
=====================

``encoder`` and ``decoder`` take any ``torch.nn.Module``, or a function that makes one
for the numbers of features and latents. PCA stays beside it, so training still starts
at PCA, and held-out rows still decide. Here the encoder reads the image row by row, as
a sequence, with a recurrent network.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklatent import Autoencoder


class RowByRow(nn.Module):
    """Reads an 8 × 8 image as a sequence of eight rows."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.read = nn.GRU(8, 64, batch_first=True, bidirectional=True)
        self.last = nn.Linear(128, n_components)

    def forward(self, x):
        _, state = self.read(x.reshape(len(x), -1, 8))
        return self.last(state.transpose(0, 1).reshape(len(x), -1))


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
default = Autoencoder(8, random_state=0).fit(X_train)
own = Autoencoder(8, encoder=RowByRow, max_iter=40, random_state=0).fit(X_train)
for name, model in {"default": default, "row by row": own}.items():
    print(f"{name:12}{model.score(X_test):.3f}   {model.verdict_}")

# %%
# Both begin at the dotted line, which is PCA.
import matplotlib.pyplot as plt

from sklatent import TrainingDisplay

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, (name, model) in zip(
    axes, {"default": default, "row by row": own}.items(), strict=True
):
    TrainingDisplay.from_estimator(model, ax=ax)
    ax.set_title(name)
plt.show()

# %%
# The fitted module is an ordinary one: its parameters, hooks and gradients are those of
# PyTorch.
n_weights = sum(p.numel() for p in own.net_.module_.parameters())
print(f"{n_weights} weights")
