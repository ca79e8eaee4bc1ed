"""The linear model of classes that a supervised autoencoder starts from."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ..rows import Array

#: Rows to fit it to, at most: it has few weights.
MAX_ROWS = 20_000


def logistic_head(
    u: Array, one_hot: NDArray[np.floating], weights: Array | None = None
) -> tuple[Array, Array]:
    """Fit a logistic regression of classes on latents.

    Parameters
    ----------
    u : ndarray of shape (n_samples, k)
        Latents, near unit scale.
    one_hot : ndarray of shape (n_samples, n_classes)
        A row of zeros has no label.
    weights : ndarray of shape (n_samples,) or None, default=None
        Of the rows.

    Returns
    -------
    weight : ndarray of shape (k, n_classes)
    bias : ndarray of shape (n_classes,)
        Of logits. A class that has no row here is as likely as one that has half a row.
    """
    labelled = np.flatnonzero(one_hot.any(axis=1))
    labelled = labelled[:: -(-len(labelled) // MAX_ROWS)] if len(labelled) else labelled
    y = one_hot[labelled].argmax(axis=1)
    weights = None if weights is None else weights[labelled]
    counts = np.bincount(y, weights, minlength=one_hot.shape[1])
    bias = np.log(np.maximum(counts, 0.5))
    weight = np.zeros((u.shape[1], len(counts)))
    if (counts > 0).sum() > 1:
        model = LogisticRegression()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # The user has been told so already, of all rows.
            warnings.filterwarnings("ignore", "The number of unique classes")
            model.fit(u[labelled], y, weights)
        coef, intercept = model.coef_, model.intercept_
        if len(coef) == 1:  # of two classes, the logit of the second
            coef = np.vstack([-coef, coef]) / 2
            intercept = np.array([-0.5, 0.5]) * intercept
        weight[:, model.classes_] = coef.T
        # The others keep their place below the mean of these.
        shift = bias[model.classes_].mean() - intercept.mean()
        bias[model.classes_] = intercept + shift
    return weight, bias - bias.mean()
