"""What 'auto' means for so many rows."""

import math


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
