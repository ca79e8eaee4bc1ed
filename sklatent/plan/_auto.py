"""What 'auto' means for so many rows."""

import math
from typing import Any, NamedTuple

from ._parameters import layer_sizes
from ._splits import MIN_ROWS_ONE_SPLIT

#: Latents from which networks are the wider and shallower of two.
MANY_LATENTS = 8
#: Features from which there are many.
MANY_FEATURES = 100
#: Of the weight decay where training changes rows: that keeps networks from fitting
#: single rows, too.
SHARE_OF_DECAY = 0.1


class Layers(NamedTuple):
    """The encoder's widths from so many rows on, and those for many latents."""

    n_samples: int
    sizes: tuple[int, ...]
    for_many_latents: tuple[int, ...] | None = None  # the same


#: Where rows are few: five folds are trained as well, and networks are narrow.
FEW_ROWS = (Layers(0, (64, 64, 64), (96, 96)), Layers(400, (96, 96, 96), (128, 128)))
#: Two layers, where the start knows much or training is noisy.
TWO_LAYERS = (Layers(0, (64, 64)), Layers(800, (128, 128)))


class AutoRules(NamedTuple):
    """What ``'auto'`` means for an estimator, where estimators differ.

    Attributes
    ----------
    layers : tuple of Layers
        By the number of rows, which rises.
    many_features : tuple of Layers or None
        The same where features are many, if they are others.
    weight_decay : tuple of (float, float)
        Pairs of a factor and a power. The decay is the factor times the number of
        features to the power, divided by the number of rows; of several pairs, the
        least of these.
    learning_rate, max_learning_rate : float
        The learning rate for batches of 32 rows, and the largest.
    min_batch_size : int
        The smallest batch.
    n_steps : int
        About so many are made, with 20 epochs at least.
    """

    layers: tuple[Layers, ...] = (*FEW_ROWS, Layers(800, (128, 128, 128), (192, 192)))
    many_features: tuple[Layers, ...] | None = (
        Layers(0, (192, 192)),
        Layers(800, (256, 256, 256)),
    )
    weight_decay: tuple[tuple[float, float], ...] = ((12.5, 1.0), (100.0, 0.5))
    learning_rate: float = 0.003
    max_learning_rate: float = 0.01
    min_batch_size: int = 64
    n_steps: int = 4000


def hidden_layers(
    sizes: Any, shape: tuple[int, int], n_components: int, rules: AutoRules
) -> tuple[int, ...]:
    """Return the encoder's widths; ``'auto'`` is narrow where rows are few.

    Few latents must bend more to be good than many, so networks for them are deeper. Of
    many features there is more to tell.
    """
    if not isinstance(sizes, str):
        return layer_sizes(sizes)
    n_samples, n_features = shape
    layers = rules.layers
    if n_features >= MANY_FEATURES and rules.many_features is not None:
        layers = rules.many_features
    chosen = [row for row in layers if row.n_samples <= n_samples][-1]
    many = n_components >= MANY_LATENTS
    return chosen.for_many_latents if many and chosen.for_many_latents else chosen.sizes


def decay_of_weights(
    weight_decay: float | str,
    shape: tuple[int, int],
    rules: AutoRules,
    *,
    changed: bool,
) -> float:
    r"""Return the decay; ``'auto'`` is a factor times :math:`p^a / n`, 1 at most.

    A decay is a prior of the weights, which counts the less the more rows there are;
    where training changes rows anew each time, as if they were ten times as many.
    """
    if not isinstance(weight_decay, str):
        return float(weight_decay)
    n_samples, n_features = shape
    of_one_row = min(
        factor * math.pow(n_features, power) for factor, power in rules.weight_decay
    )
    return min(1.0, (SHARE_OF_DECAY if changed else 1.0) * of_one_row / n_samples)


def patience(n_iter_no_change: int | str, max_iter: int, n_samples: int) -> int:
    """Return the epochs without a gain to wait for; ``'auto'`` is 20, or half a cycle.

    Half a cycle where rows are many: most of the gain comes in its second half, in
    which the learning rate falls. The folds of few rows see all of these, and show a
    gain earlier.
    """
    if not isinstance(n_iter_no_change, str):
        return int(n_iter_no_change)
    return 20 if n_samples < MIN_ROWS_ONE_SPLIT else max(20, max_iter // 2)


def rows_of_a_batch(
    batch_size: int | str, n_samples: int, least: int, *, ordered: bool, own: bool
) -> int:
    """Return the rows of a batch; ``'auto'`` grows with the data, from `least` to 512.

    For ordered latents it starts at 96: each size has only some of the rows. It grows
    later for networks of the user's, such as convolutions, whose steps cost by the row:
    small batches then cost little, and more steps gain much.
    """
    if batch_size != "auto":
        return min(int(batch_size), n_samples)
    least = max(least, 96) if ordered else least
    return min(max(least, n_samples // (64 if own else 16)), 512, n_samples)


def n_epochs(
    max_iter: int | str,
    n_samples: int,
    batch_size: int,
    n_steps: int = 4000,
    *,
    ordered: bool,
) -> int:
    """Return the epochs; ``'auto'`` makes about `n_steps`, and 20 to 100 epochs.

    For ordered latents, whose steps cost more, they are 90 at most.
    """
    if max_iter != "auto":
        return int(max_iter)
    most = 90 if ordered else 100
    return min(max(20, n_steps * batch_size // n_samples), most)


def shortfall(
    max_iter: int | str,
    n_samples: int,
    batch_size: int,
    n_steps: int = 4000,
    *,
    ordered: bool,
) -> float:
    """Return the root of how many times fewer epochs there are than with ``'auto'``.

    That is 1 for ``'auto'``, and 2 for a quarter of its epochs: a short training takes
    larger steps.
    """
    sizes = n_samples, batch_size, n_steps
    usual = n_epochs("auto", *sizes, ordered=ordered)
    given = n_epochs(max_iter, *sizes, ordered=ordered)
    return math.sqrt(max(1.0, usual / given))


def largest_learning_rate(
    learning_rate: float | str,
    batch_size: int,
    shortfall: float,
    rules: AutoRules,
    *,
    own: bool,
) -> float:
    """Return the learning rate; ``'auto'`` is that of the rules for 32 rows in a batch.

    It grows with the root of the batch, as the noise of Adam's steps allows (Malladi et
    al. 2022, arXiv 2205.10287), and with the shortfall of epochs, up to the largest.
    That is the rate for networks of the user's, which start with PyTorch's small
    weights.
    """
    if not isinstance(learning_rate, str):
        return float(learning_rate)
    if own:
        return rules.max_learning_rate
    growth = math.sqrt(max(1.0, batch_size / 32)) * shortfall
    return min(rules.learning_rate * growth, rules.max_learning_rate)


def weight_size(n_samples: int, shortfall: float, n_layers: int) -> float:
    """Return how many times PyTorch's usual weights the hidden layers start with.

    Networks are nearly linear with these. Three times them (more than those of He et
    al. 2015) make functions that bend more, which training then need not find by small
    steps; with few rows and much time they fit the noise. Each layer with PyTorch's
    weights passes on less than it gets, so three layers have twice these at least.
    """
    least = 1.0 if n_layers < 3 else 2.0
    return min(max(least, math.sqrt(n_samples / 1000)) * shortfall, 3.0)


def encoder_skips(shape: tuple[int, int]) -> bool:
    """Return whether the encoder's network has a linear map beside its layers.

    Where rows are few or features many it gains nothing.
    """
    return shape[0] >= MIN_ROWS_ONE_SPLIT and shape[1] < MANY_FEATURES


def n_decoders(batch_size: int) -> int:
    """Return how many decoders ordered latents have: with some 40 rows each, up to 3.

    With fewer rows in a batch, what they cost is mostly not arithmetic.
    """
    return min(max(1, batch_size // 40), 3)
