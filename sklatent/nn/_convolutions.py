"""Convolutional networks of rows that are images or signals."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from math import prod
from typing import Any

from torch import nn

from ._images import ImageShape, ToImages, ToRows, image_shape_of, is_int, is_sizes
from ._mlp import ACTIVATIONS
from ._recipe import Recipe
from ._saving import saved

#: By the number of axes.
_CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d}
_TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}


@dataclass
class _Convolutions(Recipe):
    """The parameters of encoder and decoder."""

    image_shape: tuple[int, ...]
    _: KW_ONLY
    channels: Sequence[int] = (16, 32)
    kernel_size: int = 4
    stride: int = 2
    hidden_layer_sizes: Sequence[int] = (256,)
    activation: str = "silu"
    channel_axis: int | None = None

    def _checked(self, n_features: int) -> ImageShape:
        """Return the shape of the images; raise ValueError if a parameter is bad."""
        image, name = image_shape_of(self, n_features), type(self).__name__
        if not is_sizes(self.channels):
            raise ValueError(
                f"channels of {name} must be positive ints, one for each convolution, "
                f"such as (16, 32); got {self.channels!r}."
            )
        k, s = self.kernel_size, self.stride
        if not (is_int(k) and is_int(s) and k >= s >= 1):
            raise ValueError(
                f"kernel_size and stride of {name} must be ints with kernel_size >= "
                f"stride >= 1; got kernel_size={k!r} and stride={s!r}."
            )
        if not is_sizes(self.hidden_layer_sizes, at_least=0):
            raise ValueError(
                f"hidden_layer_sizes of {name} must be positive ints, such as (256,), "
                f"or (); got {self.hidden_layer_sizes!r}."
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation of {name} must be one of {', '.join(ACTIVATIONS)}; got "
                f"{self.activation!r}."
            )
        return image

    @property
    def _padding(self) -> int:
        """Zeros on each side, with which a stride of s divides sizes by about s."""
        return (self.kernel_size - self.stride + 1) // 2

    def _sizes(self, image: ImageShape) -> list[tuple[int, ...]]:
        """Return the size of images before the first convolution and after each."""
        k, s, p = self.kernel_size, self.stride, self._padding
        sizes = [image.size]
        for i in range(len(self.channels)):
            if min(sizes[-1]) + 2 * p < k:
                raise ValueError(
                    f"Convolution {i + 1} of {type(self).__name__} gets images of size "
                    f"{sizes[-1]}, but with kernel_size={k} and stride={s} it requires "
                    f"{k - 2 * p} along each axis at least; image_shape="
                    f"{image.shape} allows {i} convolutions, and channels="
                    f"{self.channels!r} asks for {len(self.channels)}."
                )
            sizes.append(tuple((n + 2 * p - k) // s + 1 for n in sizes[-1]))
        return sizes

    def _activation(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()

    def _dense(self, widths: Sequence[int]) -> list[nn.Module]:
        """Return linear layers, each with an activation behind it."""
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), self._activation()]
        return layers


@saved
class ConvEncoder(_Convolutions):
    r"""Convolutions, then dense layers: an encoder of images or signals.

    For ``encoder=`` of an estimator, with a `ConvDecoder` as ``decoder=``. Rows stay
    flat, as in ``images.reshape(len(images), -1)``. Each convolution makes images
    smaller by its stride, a length `n` to
    :math:`\lfloor (n + 2p - k) / s \rfloor + 1` with the kernel size `k`, the stride
    `s` and :math:`p = \lfloor (k - s + 1) / 2 \rfloor` zeros on each side. Parameters
    are searched as ``encoder__channels``. Read more in the
    :ref:`user guide <images>`.

    Parameters
    ----------
    image_shape : tuple of int
        The shape of the images that rows are: ``(height, width)``, or ``(length,)`` of
        signals, with an axis of channels where there are several.
    channels : sequence of int, default=(16, 32)
        The channels that each convolution makes.
    kernel_size : int, default=4
        Of each convolution, along each axis; at least `stride`.
    stride : int, default=2
        By which each convolution divides the size of images.
    hidden_layer_sizes : sequence of int, default=(256,)
        Widths of the dense layers between the last convolution and the latents.
    activation : str, default='silu'
        Behind each layer but the last, as the estimators have it.
    channel_axis : int or None, default=None
        Which axis of `image_shape` has the channels: 0 for the first, as in (3, 28,
        28), -1 for the last, as in (28, 28, 3); None where there is no such axis.

    See Also
    --------
    ConvDecoder : The way back.
    RandomShift : Shifts of training images, which matter as much.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import Autoencoder
    >>> from sklatent.nn import ConvDecoder, ConvEncoder
    >>> X = load_digits().data[:900]
    >>> shape = (8, 8)
    >>> model = Autoencoder(
    ...     8, encoder=ConvEncoder(shape), decoder=ConvDecoder(shape), max_iter=2
    ... )
    >>> model.fit_transform(X).shape
    (900, 8)
    >>> model.set_params(encoder__channels=(8, 16)).encoder.channels
    (8, 16)
    """

    def __call__(self, n_features: int, n_components: int) -> nn.Module:
        """Return the network, (n, n_features) to (n, n_components).

        Raises
        ------
        ValueError
            If a parameter is out of range, or does not suit so many features.
        """
        image = self._checked(n_features)
        sizes = self._sizes(image)
        convolution = _CONVOLUTIONS[len(image.size)]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([image.n_channels, *self.channels]):
            layers += [
                convolution(n_in, n_out, self.kernel_size, self.stride, self._padding),
                self._activation(),
            ]
        width = self.channels[-1] * prod(sizes[-1])
        dense = self._dense([width, *self.hidden_layer_sizes, n_components])
        return nn.Sequential(ToImages(image), *layers, nn.Flatten(), *dense[:-1])


@saved
class ConvDecoder(_Convolutions):
    """Dense layers, then transposed convolutions: the mirror image of `ConvEncoder`.

    For ``decoder=`` of an estimator. Each transposed convolution gives images back the
    size that they have before the convolution of an encoder with the same parameters,
    whether or not `stride` divides it.

    Parameters
    ----------
    image_shape : tuple of int
        As in `ConvEncoder`, and so are all others.
    channels : sequence of int, default=(16, 32)
        In the encoder's order: the last is the first here.
    kernel_size : int, default=4
        The encoder's.
    stride : int, default=2
        The encoder's.
    hidden_layer_sizes : sequence of int, default=(256,)
        In the encoder's order.
    activation : str, default='silu'
        The encoder's.
    channel_axis : int or None, default=None
        The encoder's.

    See Also
    --------
    ConvEncoder : The way there, with an example of both.

    Examples
    --------
    >>> import torch
    >>> from sklatent.nn import ConvDecoder
    >>> ConvDecoder((8, 8))(64, 3)(torch.zeros(5, 3)).shape
    torch.Size([5, 64])
    """

    def __call__(self, n_features: int, n_components: int) -> nn.Module:
        """Return the network, (n, n_components) to (n, n_features).

        Raises
        ------
        ValueError
            If a parameter is out of range, or does not suit so many features.
        """
        image = self._checked(n_features)
        sizes = self._sizes(image)
        width = self.channels[-1] * prod(sizes[-1])
        layers = self._dense([n_components, *self.hidden_layer_sizes[::-1], width])
        layers += [nn.Unflatten(1, (self.channels[-1], *sizes[-1]))]
        widths = [image.n_channels, *self.channels][::-1]
        for channels, size in zip(pairwise(widths), pairwise(sizes[::-1]), strict=True):
            layers += [self._transposed(*channels, *size), self._activation()]
        return nn.Sequential(*layers[:-1], ToRows(image))

    def _transposed(
        self, n_in: int, n_out: int, small: tuple[int, ...], large: tuple[int, ...]
    ) -> nn.Module:
        """Return a layer that maps images of one size to those of another."""
        k, s, p = self.kernel_size, self.stride, self._padding
        # Several sizes become the same small one: what the smallest lacks, under s.
        lacks = [
            n - ((m - 1) * s - 2 * p + k) for m, n in zip(small, large, strict=True)
        ]
        layer: nn.Module = _TRANSPOSED[len(small)](
            n_in, n_out, k, s, p, output_padding=tuple(lacks)
        )
        return layer
