"""What 'auto' means for so many rows."""

import math
from typing import Any

from ._parameters import layer_sizes
from ._splits import MIN_ROWS_ONE_SPLIT


def hidden_layers(
    sizes: Any, n_samples: int, choices: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the encoder's widths; ``'auto'`` is the first of two for few rows.

    These are so few that networks are trained on folds of them, and nothing is lost
    with narrow ones.
    """
    if not isinstance(sizes, str):
        return layer_sizes(sizes)
    return choices[n_samples >= MIN_ROWS_ONE_SPLIT]


def decay_of_weights(
    weight_decay: float | str, n_samples: int, n_features: int, factor: float
) -> float:
    r"""Return the decay; ``'auto'`` is `factor` :math:`\sqrt{p} / n`, 1 at most.

    That it is a prior explains the rows, since what data say of the weights adds up
    over these. That it must grow with the features is found, not derived.
    """
    if not isinstance(weight_decay, str):
        return float(weight_decay)
    return min(1.0, factor * math.sqrt(n_features) / n_samples)


def patience(n_iter_no_change: int | str, max_iter: int) -> int:
    """Return the epochs without a gain to wait for; ``'auto'`` is half of the cycle.

    Most of the gain comes in its second half, in which the learning rate falls.
    """
    if not isinstance(n_iter_no_change, str):
        return int(n_iter_no_change)
    return max(20, max_iter // 2)


def rows_of_a_batch(batch_size: int | str, n_samples: int, *, ordered: bool) -> int:
    """Return the rows of a batch; ``'auto'`` grows with the data, from 32 to 512.

    For ordered latents it starts at 96: each size has only some of the rows.
    """
    if batch_size != "auto":
        return min(int(batch_size), n_samples)
    return min(max(96 if ordered else 32, n_samples // 16), 512)


def n_epochs(
    max_iter: int | str, n_samples: int, batch_size: int, *, ordered: bool
) -> int:
    """Return the epochs; ``'auto'`` makes about 4000 steps, and 20 to 100 epochs.

    For ordered latents, whose steps cost more, they are 90 at most.
    """
    if max_iter != "auto":
        return int(max_iter)
    return min(max(20, 4000 * batch_size // n_samples), 90 if ordered else 100)


def shortfall(
    max_iter: int | str, n_samples: int, batch_size: int, *, ordered: bool
) -> float:
    """Return the root of how many times fewer epochs there are than with ``'auto'``.

    That is 1 for ``'auto'``, and 2 for a quarter of its epochs: a short training takes
    larger steps.
    """
    usual = n_epochs("auto", n_samples, batch_size, ordered=ordered)
    given = n_epochs(max_iter, n_samples, batch_size, ordered=ordered)
    return math.sqrt(max(1.0, usual / given))


def largest_learning_rate(
    learning_rate: float | str, batch_size: int, shortfall: float, limit: float
) -> float:
    """Return the learning rate; ``'auto'`` is 0.003 for 32 rows in a batch, or less.

    It grows with the root of the batch, as the noise of Adam's steps allows (Malladi et
    al. 2022, arXiv 2205.10287), and with the shortfall of epochs, up to `limit`.
    """
    if not isinstance(learning_rate, str):
        return float(learning_rate)
    return min(0.003 * math.sqrt(max(1.0, batch_size / 32)) * shortfall, limit)


def weight_size(n_samples: int, shortfall: float) -> float:
    """Return how many times PyTorch's usual weights the hidden layers start with.

    Networks are nearly linear with these. Three times them (more than those of He et
    al. 2015) make functions that bend more, which training then need not find by small
    steps; with few rows and much time they fit the noise.
    """
    return min(max(1.0, math.sqrt(n_samples / 1000)) * shortfall, 3.0)


def n_decoders(batch_size: int) -> int:
    """Return how many decoders ordered latents have: with some 40 rows each, up to 3.

    With fewer rows in a batch, what they cost is mostly not arithmetic.
    """
    return min(max(1, batch_size // 40), 3)
