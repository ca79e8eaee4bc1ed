"""The parameters that all estimators have: what is allowed."""

from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from ..nn import ACTIVATIONS

#: Of which the estimators' types are made.
Activation = Literal["silu", "gelu", "relu", "tanh", "logistic", "identity"]
Auto = Literal["auto"]
Init = Literal["pca", "random"]
Missing = Literal["error", "ignore"]
RandomState = int | np.random.RandomState | None

#: What `fit` takes of the parameters that all estimators have.
CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [
        Interval(Integral, 0, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        None,
    ],
    "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "init": [StrOptions({"pca", "random"})],
    "whiten": ["boolean"],
    "ordered": ["boolean", "array-like"],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "augmentation": [callable, None],
    "learning_rate": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
    ],
    "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions({"auto"}),
    ],
    "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "cv": ["cv_object"],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions({"auto"}),
    ],
    "tol": [Interval(Real, 0, 1, closed="left")],
    "missing": [StrOptions({"error", "ignore"})],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "device": [str],
    "callbacks": [list, tuple, None],
}


def seed_of(random_state: Any) -> int:
    """Return a seed; None takes a fresh one and leaves NumPy's generator alone."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0]) >> 1
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return int(seed)


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    return torch.float32 if dtype == np.float32 else torch.float64


def layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the widths as a tuple, after a check."""
    widths = tuple(sizes)
    if not all(isinstance(w, Integral) and int(w) > 0 for w in widths):
        raise ValueError(
            f"hidden_layer_sizes must be positive ints, as in (256, 256), or () for a "
            f"linear model; got {sizes!r}."
        )
    return tuple(int(w) for w in widths)


def prefix_probabilities(ordered: Any, k: int) -> NDArray[np.float64] | None:
    r"""Return how often training uses the first j of k latents, for j = 1, ..., k.

    A size `s` to be good at has the weight `s` up to 8 and :math:`8\,(s/8)^{-1/3}`
    beyond: small sizes count less, since their large errors would rule all others, and
    so do large ones, which have decoders of their own. Where all sizes up to k are to
    be good, each size has the share :math:`\log(s / (s - 1))` of this, so that
    doublings count alike.

    Parameters
    ----------
    ordered : bool or array-like of int
        As in the estimators.
    k : int
        The number of latents.

    Returns
    -------
    probabilities : ndarray of shape (k,) or None
        None if latents are not ordered, or there is none.
    """
    given = np.asarray(ordered)
    if given.dtype == bool and given.ndim == 0:
        if not given:
            return None
        sizes = np.arange(1, k + 1)
        share = np.log(sizes / np.append(0.5, sizes[:-1]))
    else:
        whole = given.ndim == 1 and np.issubdtype(given.dtype, np.integer)
        if not whole or not len(given) or given.min() < 1:
            raise ValueError(
                f"ordered must be a bool or the latent sizes to be good at, positive "
                f"ints; got {ordered!r}."
            )
        sizes = np.union1d(given[given < k], [k])
        share = np.ones(len(sizes))
    if k == 0:
        return None
    weights = np.minimum(sizes, 8) * np.maximum(sizes / 8, 1) ** (-1 / 3) * share
    probabilities = np.zeros(k)
    probabilities[sizes - 1] = weights / weights.sum()
    return probabilities
