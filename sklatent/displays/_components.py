"""The strongest features of each latent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import _num_samples

from ._common import (
    check_component,
    check_feature_names,
    check_image_shape,
    encoder_feature_names,
    encoder_input,
    in_digits,
    latent_label,
    shortened,
    split_pipeline,
)
from ._drawing import (
    GREY,
    figure_width,
    height_of_tiles,
    panels,
    signed_style,
    tiles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Latents that are drawn unless others are asked for.
MAX_LATENTS = 6
#: Rows, at most, over which the spread is, and numbers of all their influences.
MAX_ROWS, MAX_NUMBERS = 200, 2**24
#: Between these quantiles of the rows.
QUANTILES = (0.1, 0.9)


class ComponentsDisplay:
    """What a unit step along each latent changes, and how much rows differ in it.

    It is best made with `from_estimator`.

    Parameters
    ----------
    components : array-like of shape (n_latents, n_features)
        The mean change.
    low, high : array-like of shape (n_latents, n_features) or None, default=None
        Quantiles of the change over rows; None where it is the same for all.
    strengths : array-like of shape (n_latents, n_features) or None, default=None
        Root mean square over rows, by which features are ranked; None is the absolute
        value of `components`.
    image_shape : tuple of int or None, default=None
        Height and width of images; None is bars.
    feature_names : array-like of shape (n_features,) or None, default=None
        Their names.
    labels : sequence of str or None, default=None
        What the latents are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : ndarray of matplotlib Axes of shape (1,) or (n_latents,)
        The one with all images, or one for the bars of each latent.
    figure_ : matplotlib Figure
        The figure of them.
    features_ : ndarray of int of shape (n_latents, n_bars)
        The strongest features of each latent, from the first on.
    bars_ : list of matplotlib BarContainer
        Their bars.
    spreads_ : list of matplotlib LineCollection
        Lines from `low` to `high` on them.
    images_ : list of matplotlib AxesImage
        Mean changes, and what lies between `low` and `high`.

    See Also
    --------
    LatentTraversalDisplay : Rows along a latent, where steps along it change.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklatent import Autoencoder, ComponentsDisplay
    >>> X = load_wine(as_frame=True).data
    >>> model = make_pipeline(StandardScaler(), Autoencoder(2, random_state=0)).fit(X)
    >>> display = ComponentsDisplay.from_estimator(model, n_features=3)
    >>> display.features_.shape
    (2, 3)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        components: ArrayLike,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        strengths: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.components = components
        self.low = low
        self.high = high
        self.strengths = strengths
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        components: Sequence[int] | None = None,
        n_features: int = 8,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        bar_kw: dict[str, Any] | None = None,
        ax: "Axes | ArrayLike | None" = None,
    ) -> Self:
        """Draw `components_` of a fitted encoder, and its spread over rows.

        Changes are of features as the encoder sees them, per unit of the latent: behind
        a ``StandardScaler`` in their standard deviations.

        Parameters
        ----------
        estimator : encoder or Pipeline
            One of this package, or a pipeline that ends in one; also a linear one, such
            as PCA, in which rows do not differ.
        X : array-like of shape (n_samples, n_features) or None, default=None
            The rows over which the spread is, at most 200, evenly spaced; None is
            training rows.
        components : sequence of int or None, default=None
            Which latents; None is the first six.
        n_features : int, default=8
            How many features of each latent: those that change most, root mean square
            over rows.
        image_shape : tuple of int or None, default=None
            Height and width of images; None draws bars.
        feature_names : array-like of shape (n_features,) or None, default=None
            Names; None is those that the encoder has seen.
        bar_kw : dict or None, default=None
            For ``ax.barh``.
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Where to draw. Images take one Axes; bars one for each latent, for which a
            single one is split. None is a new figure.

        Returns
        -------
        display : ComponentsDisplay

        Raises
        ------
        ValueError
            If a parameter is not as it must be.
        """
        before, encoder = split_pipeline(cls, estimator, "components_")
        mean = np.asarray(encoder.components_)
        k, p = mean.shape
        name = type(encoder).__name__
        chosen = list(range(min(k, MAX_LATENTS)) if components is None else components)
        chosen = [check_component(component, k, name) for component in chosen]
        if not chosen:
            raise ValueError(
                f"There are no latents to draw: components={components!r}, and {name} "
                f"has {k}."
            )
        shares = getattr(encoder, "explained_variance_ratio_", None)
        influence = _influence(before, encoder, X, chosen)
        found: dict[str, Any] = {}
        if influence is not None:
            found["low"], found["high"] = np.quantile(influence, QUANTILES, axis=0)
            found["strengths"] = np.sqrt(np.square(influence).mean(axis=0))
        known = encoder_feature_names(before, encoder)
        display = cls(
            components=mean[chosen],
            image_shape=check_image_shape(image_shape, p),
            feature_names=check_feature_names(feature_names, known, p),
            labels=[latent_label("latent", shares, j) for j in chosen],
            **found,
        )
        return display.plot(ax, n_features=n_features, bar_kw=bar_kw)

    def plot(
        self,
        ax: "Axes | ArrayLike | None" = None,
        *,
        n_features: int = 8,
        bar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the changes.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Where to draw.
        n_features : int, default=8
            How many features of each latent.
        bar_kw : dict or None, default=None
            For ``ax.barh``.

        Returns
        -------
        display : ComponentsDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if not isinstance(n_features, int | np.integer) or n_features < 1:
            raise ValueError(f"n_features must be a positive int; got {n_features!r}.")
        mean = np.asarray(self.components)
        strengths = np.abs(mean if self.strengths is None else self.strengths)
        order = np.argsort(-strengths, axis=1, kind="stable")
        self.features_ = order[:, : int(n_features)]
        self.bars_: list[Any] = []
        self.spreads_: list[Any] = []
        self.images_: list[Any] = []
        labels = self.labels or [f"latent {j}" for j in range(len(mean))]
        if self.image_shape is not None:
            self._draw_images(ax, mean, self.image_shape, labels)
        else:
            self._draw_bars(ax, mean, labels, bar_kw or {})
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _draw_images(
        self, ax: Any, mean: NDArray[Any], shape: tuple[int, ...], labels: Sequence[str]
    ) -> None:
        parts, rows = [mean], ["mean"]
        if self.low is not None and self.high is not None:
            parts += [np.asarray(self.low), np.asarray(self.high)]
            rows += [f"{100 * q:.0f}% quantile" for q in QUANTILES]
        style = signed_style(np.stack(parts))
        height = height_of_tiles(len(parts), len(mean), shape)
        self.axes_ = panels(ax, (1, 1), height + 0.1)[0]
        self.images_ = tiles(
            self.axes_[0],
            [part.reshape(-1, *shape) for part in parts],
            rows,
            [label.replace("latent ", "").replace(" (", "\n(") for label in labels],
            [style] * len(parts),
        )
        self.axes_[0].set_xlabel(
            f"latent; colours to ±{in_digits(style['vmax'])}", fontsize="small"
        )

    def _draw_bars(
        self, ax: Any, mean: NDArray[Any], labels: Sequence[str], given: dict[str, Any]
    ) -> None:
        n, n_bars = self.features_.shape
        names = check_feature_names(self.feature_names, None, mean.shape[1])
        names = np.array(shortened(names), dtype=object)
        n_columns = min(n, max(1, int(figure_width() // 3))) if ax is None else 1
        n_rows = -(-n // n_columns)
        axes = panels(ax, (n_rows, n_columns), n_rows * (0.19 * n_bars + 0.4) + 0.3)
        for empty in axes.ravel()[n:]:
            empty.set_axis_off()
        self.axes_ = axes.ravel()[:n]
        place, what = np.arange(n_bars), "change per unit of the latent"
        ends = None  # (2, n_latents, n_features)
        if self.low is not None and self.high is not None:
            ends = np.stack([self.low, self.high])
        if ends is not None and not np.allclose(*ends):
            low, high = (f"{100 * q:.0f}%" for q in QUANTILES)
            what += f"\n(lines: {low} to {high} of rows)"
        for j, features in enumerate(self.features_):
            axis = self.axes_[j]
            style = {"color": "C0", "height": 0.7} | given
            self.bars_.append(axis.barh(place, mean[j, features], **style))
            if ends is not None:
                lines = axis.hlines(place, *ends[:, j, features], color=GREY, lw=2)
                self.spreads_.append(lines)
            axis.axvline(0, color=GREY, linewidth=0.7)
            axis.set_yticks(place, labels=names[features])
            axis.invert_yaxis()
            axis.tick_params(labelsize="x-small")
            axis.set_title(labels[j], fontsize="small")
        for axis in self.axes_[-n_columns:]:
            axis.set_xlabel(what, fontsize="x-small")


def _influence(
    before: Any, encoder: Any, X: Any, chosen: list[int]
) -> NDArray[Any] | None:
    """Return what steps along latents change for rows; None where they are equal.

    Returns
    -------
    influence : ndarray of shape (n_rows, n_latents, n_features) or None
    """
    if not hasattr(encoder, "feature_influence"):
        return None
    size = int(np.prod(encoder.components_.shape))
    most = max(2, min(MAX_ROWS, MAX_NUMBERS // size))
    if X is None:
        codes = encoder._summary.codes
    else:
        some = _safe_indexing(X, _every(_num_samples(X), most))
        codes = np.asarray(encoder.transform(encoder_input(before, some)))
    influence: NDArray[Any] = encoder._influence(codes[_every(len(codes), most)])
    return influence[:, chosen]


def _every(n_rows: int, most: int) -> NDArray[np.intp]:
    """Return at most so many rows, evenly spaced."""
    return np.arange(0, n_rows, -(-n_rows // most))
