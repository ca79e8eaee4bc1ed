"""The parameters that all estimators have: what is allowed, and what 'auto' means."""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from .nn import ACTIVATIONS

#: What `fit` takes of the parameters that all estimators have.
CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        None,
    ],
    "hidden_layer_sizes": ["array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "init": [StrOptions({"pca", "random"})],
    "whiten": ["boolean"],
    "ordered": ["boolean", "array-like"],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "learning_rate": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
    ],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [
        Interval(Integral, 1, None, closed="left"),
        StrOptions({"auto"}),
    ],
    "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, 1, closed="left")],
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


def rows_of_a_batch(batch_size: int | str, n_samples: int, *, ordered: bool) -> int:
    """Return the rows of a batch; ``'auto'`` grows with the data, from 32 to 512.

    For ordered latents it starts at 96: each size has only some of the rows.
    """
    if batch_size != "auto":
        return min(int(batch_size), n_samples)
    return min(max(96 if ordered else 32, n_samples // 16), 512)


def epochs(
    max_iter: int | str, n_samples: int, batch_size: int, *, ordered: bool
) -> int:
    """Return the epochs; ``'auto'`` makes about 4000 steps, and 20 to 100 epochs.

    For ordered latents, whose steps cost more, they are 90 at most.
    """
    if max_iter != "auto":
        return int(max_iter)
    return min(max(20, 4000 * batch_size // n_samples), 90 if ordered else 100)


def haste(
    max_iter: int | str, n_samples: int, batch_size: int, *, ordered: bool
) -> float:
    """Return by how much a short training must hurry: the root of what it lacks.

    That is 1 for ``'auto'``, and 2 for a quarter of its epochs.
    """
    usual = epochs("auto", n_samples, batch_size, ordered=ordered)
    wanted = epochs(max_iter, n_samples, batch_size, ordered=ordered)
    return math.sqrt(max(1.0, usual / wanted))


def largest_rate(
    learning_rate: float | str, batch_size: int, haste: float, fastest: float
) -> float:
    """Return the learning rate; ``'auto'`` is 0.003 for 32 rows in a batch, or less.

    It grows with the root of the batch, as the noise of Adam's steps allows (Malladi et
    al. 2022, arXiv 2205.10287), and with haste, to `fastest`.
    """
    if not isinstance(learning_rate, str):
        return float(learning_rate)
    return min(0.003 * math.sqrt(max(1.0, batch_size / 32)) * haste, fastest)


def weight_size(n_samples: int, haste: float) -> float:
    """Return how many times PyTorch's usual weights the hidden layers start with.

    Networks are nearly linear with these. Three times them (more than those of He et
    al. 2015) make functions that bend more, which training then need not find by small
    steps; with few rows and much time they fit the noise.
    """
    return min(max(1.0, math.sqrt(n_samples / 1000)) * haste, 3.0)


@dataclass(frozen=True)
class Pace:
    """How fast to go, with no ``'auto'`` left in it."""

    batch_size: int
    max_iter: int
    learning_rate: float
    weight_size: float


def pace(given: Any, n_samples: int, *, ordered: bool) -> Pace:
    """Return what an estimator's parameters mean for so many rows.

    Parameters
    ----------
    given : estimator
        Has `batch_size`, `max_iter` and `learning_rate`, and the largest one that
        'auto' takes.
    n_samples : int
        The number of rows.
    ordered : bool
        Whether latents are ordered.
    """
    batch_size = rows_of_a_batch(given.batch_size, n_samples, ordered=ordered)
    hurry = haste(given.max_iter, n_samples, batch_size, ordered=ordered)
    return Pace(
        batch_size=batch_size,
        max_iter=epochs(given.max_iter, n_samples, batch_size, ordered=ordered),
        learning_rate=largest_rate(
            given.learning_rate, batch_size, hurry, given._fastest
        ),
        weight_size=weight_size(n_samples, hurry),
    )


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
        None if latents are not ordered.
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
    weights = np.minimum(sizes, 8) * np.maximum(sizes / 8, 1) ** (-1 / 3) * share
    probabilities = np.zeros(k)
    probabilities[sizes - 1] = weights / weights.sum()
    return probabilities


def n_decoders(batch_size: int) -> int:
    """Return how many decoders ordered latents have: with some 40 rows each, up to 3.

    With fewer rows in a batch, what they cost is mostly not arithmetic.
    """
    return min(max(1, batch_size // 40), 3)
