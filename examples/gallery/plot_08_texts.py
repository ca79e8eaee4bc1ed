"""
Texts, beside latent semantic analysis
======================================

The texts are the docstrings of scikit-learn's classes, methods and functions, so anyone
who can run this has them. The task is to find texts of the same subpackage. Latent
semantic analysis (``TruncatedSVD`` of TF-IDF) is the classic;
``VariationalAutoencoder(likelihood='multinomial')`` starts from it, and models how
often words occur.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import sklearn

PARTS = ["linear_model", "ensemble", "decomposition", "cluster", "preprocessing",
         "model_selection", "metrics", "neighbors", "datasets", "manifold",
         "feature_extraction", "gaussian_process"]  # fmt: skip


def described(module):
    """Yield what a module defines, and the methods of its classes."""
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__:
            yield thing
            yield from vars(thing).values() if inspect.isclass(thing) else ()


texts = {}  # each text once
for part in PARTS:
    package = importlib.import_module(f"sklearn.{part}")
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if info.ispkg:
            continue
        for thing in described(importlib.import_module(info.name)):
            text = inspect.getdoc(thing) if callable(thing) else None
            if text and len(text) > 300:
                texts.setdefault(text.split("Examples\n")[0], part)
labels = np.array(list(texts.values()))
print(
    f"{len(texts)} texts of {len(PARTS)} subpackages of version {sklearn.__version__}"
)

# %%
# Both map each text to 16 numbers.
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from sklatent import VariationalAutoencoder

documents = np.array(list(texts), dtype=object)
train, test, y_train, y_test = train_test_split(
    documents, labels, stratify=labels, random_state=0
)
encoders = {
    "LSA": TruncatedSVD(16, random_state=0),
    "VariationalAutoencoder": VariationalAutoencoder(
        16, likelihood="multinomial", random_state=0
    ),
}
latents = {}
for name, encoder in encoders.items():
    tfidf = TfidfVectorizer(min_df=4, sublinear_tf=True, stop_words="english")
    pipeline = make_pipeline(tfidf, encoder, Normalizer()).fit(train)
    latents[name] = pipeline.transform(train), pipeline.transform(test)

# %%
# For each test text, the share of its ten nearest training texts, by cosine, that are
# of its subpackage, in the mean over each subpackage.
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
places = np.arange(len(PARTS))
for i, (name, (Z_train, Z_test)) in enumerate(latents.items()):
    nearest = np.argsort(-Z_test @ Z_train.T, axis=1)[:, :10]
    share = (y_train[nearest] == y_test[:, None]).mean(axis=1)
    by_part = [share[y_test == part].mean() for part in PARTS]
    label = f"{name}: {share.mean():.2f} of all"
    ax.barh(places + 0.4 * i, by_part, height=0.4, label=label)
ax.set_yticks(places + 0.2, PARTS)
ax.invert_yaxis()
ax.set(xlabel="share of the ten nearest texts of the same subpackage", xlim=(0, 1))
fig.legend(loc="outside upper center", ncols=2)
plt.show()
