"""Rows that are images or signals: their shape, and random shifts of them."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._recipe import Recipe
from ._saving import saved


@saved
@dataclass(frozen=True)
class ImageShape:
    """The shape of images, each of which is a flat row.

    Attributes
    ----------
    shape : tuple of int
        Of an image, as it lies in a row.
    channel_axis : int or None
        Which of these axes has the channels, from 0 on; None is none.
    """

    shape: tuple[int, ...]
    channel_axis: int | None

    @property
    def n_channels(self) -> int:
        """The number of channels; 1 where there is no axis of them."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def size(self) -> tuple[int, ...]:
        """The shape without the axis of the channels."""
        axes = enumerate(self.shape)
        return tuple(n for axis, n in axes if axis != self.channel_axis)


class ToImages(nn.Module):
    """Maps flat rows (n, n_features) to images (n, n_channels, *size)."""

    def __init__(self, image: ImageShape) -> None:
        super().__init__()
        self.image = image

    def forward(self, x: Tensor) -> Tensor:
        """Return the images."""
        shape, axis = self.image.shape, self.image.channel_axis
        if axis is None:
            return x.reshape(-1, 1, *shape)
        return x.reshape(-1, *shape).movedim(axis + 1, 1)


class ToRows(nn.Module):
    """Maps images (n, n_channels, *size) to flat rows (n, n_features)."""

    def __init__(self, image: ImageShape) -> None:
        super().__init__()
        self.image = image

    def forward(self, images: Tensor) -> Tensor:
        """Return the rows."""
        axis = self.image.channel_axis
        return (images if axis is None else images.movedim(1, axis + 1)).flatten(1)


def image_shape_of(given: Any, n_features: int) -> ImageShape:
    """Return the shape of images after a check.

    Parameters
    ----------
    given : object
        With the parameters `image_shape` and `channel_axis`.
    n_features : int
        Of the rows that they are.

    Raises
    ------
    ValueError
        If the shape is none of a signal or an image, or has not so many values.
    """
    name, shape = type(given).__name__, given.image_shape
    axis: Any = given.channel_axis
    if not is_sizes(shape):
        raise ValueError(
            f"image_shape of {name} must be a tuple of positive ints, such as (28, 28) "
            f"or, for signals, (500,); got {shape!r}."
        )
    shape = tuple(map(int, shape))
    if axis is not None and (not is_int(axis) or not -len(shape) <= axis < len(shape)):
        raise ValueError(
            f"channel_axis of {name} must be None or an axis of image_shape={shape}, "
            f"0 for the first or -1 for the last; got {axis!r}."
        )
    n_axes = len(shape) - (axis is not None)
    if n_axes not in (1, 2):
        raise ValueError(
            f"image_shape={shape} with channel_axis={axis!r} of {name} has {n_axes} "
            "axes besides the channels; signals have 1 and images 2. Colour images "
            "require channel_axis=-1, as in (28, 28, 3), or 0, as in (3, 28, 28)."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} of {name} has {math.prod(shape)} values, but rows "
            f"have {n_features} features."
        )
    return ImageShape(shape, None if axis is None else int(axis) % len(shape))


def is_int(value: Any) -> bool:
    """Return whether a value is an int, NumPy's included, and no bool."""
    return hasattr(value, "__index__") and not isinstance(value, bool)


def is_sizes(values: Any, at_least: int = 1) -> bool:
    """Return whether a value is a sequence of so many positive ints at least."""
    if not isinstance(values, Sequence) and getattr(values, "ndim", 0) != 1:
        return False
    return len(values) >= at_least and all(is_int(n) and n > 0 for n in values)


@saved
@dataclass
class RandomShift(Recipe):
    """Moves each image, or signal, by a random number of whole pixels.

    For ``augmentation=`` of an estimator: where a motif may lie a little farther to one
    side, this shows networks that it may. Each axis of each row has a shift of its own,
    from -`pixels` to `pixels`, all of them alike likely. What comes in at an edge
    repeats the value there. Read more in the :ref:`user guide <images>`.

    Parameters
    ----------
    image_shape : tuple of int
        The shape of the images that rows are: ``(height, width)``, or ``(length,)`` of
        signals, with an axis of channels where there are several.
    pixels : int, default=1
        The largest shift.
    channel_axis : int or None, default=None
        Which axis of `image_shape` has the channels, which are moved alike: 0 for the
        first, -1 for the last, None where there is no such axis.

    See Also
    --------
    ConvEncoder : Networks for which it matters most.

    Examples
    --------
    >>> import torch
    >>> from sklatent.nn import RandomShift
    >>> generator = torch.manual_seed(0)
    >>> RandomShift((5,))(torch.arange(15.0).reshape(3, 5))
    tensor([[ 0.,  0.,  1.,  2.,  3.],
            ...
    """

    image_shape: tuple[int, ...]
    _: KW_ONLY
    pixels: int = 1
    channel_axis: int | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Move rows (n, n_features); PyTorch's global generator draws the shifts.

        It is that of the device on which the rows are.

        Raises
        ------
        ValueError
            If `image_shape` does not suit the rows, or a parameter is out of range.
        """
        image = image_shape_of(self, x.shape[1])
        shape, axis = image.shape, image.channel_axis
        if not is_int(self.pixels) or self.pixels < 0:
            raise ValueError(f"pixels must be an int from 0 on; got {self.pixels!r}.")
        # Of each value that is wanted, the place in its row.
        places = torch.zeros(1, *(1 for _ in shape), dtype=torch.int64, device=x.device)
        for i, n in enumerate(shape):
            along = torch.arange(n, device=x.device)
            if i != axis:
                ends = -self.pixels, self.pixels + 1
                by = torch.randint(*ends, (len(x), 1), device=x.device)
                along = (along - by).clamp(0, n - 1)
            after = (1 for _ in shape[i + 1 :])
            before = (1 for _ in shape[:i])
            places = n * places + along.reshape(-1, *before, n, *after)
        return x.gather(1, places.flatten(1).expand_as(x))
