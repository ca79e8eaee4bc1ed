"""What moving along one latent changes."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._common import (
    check_component,
    check_feature_names,
    check_image_shape,
    check_option,
    encoder_input,
    in_digits,
    in_units,
    latent_label,
    shortened,
    split_pipeline,
)
from ._drawing import (
    GREY,
    height_of_tiles,
    panels,
    sequential_cmap,
    signed_style,
    tiles,
)
from ._profiles import (
    PROFILES,
    check_units,
    is_table,
    label_curve_axis,
    positions,
    shared_unit,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Quantiles of the latent over the training rows between which to move.
ENDS = (0.05, 0.95)
#: Training rows, at most about, from whose reconstructions a feature's spread is.
MAX_ROWS = 1000


class LatentTraversalDisplay:
    """What moving along one latent changes, the others being held fixed.

    It is best made with `from_estimator`.

    Parameters
    ----------
    values : array-like of shape (n_steps,)
        Values of the latent, ascending.
    rows : array-like of shape (n_steps, n_features)
        What they are decoded to.
    base : array-like of shape (n_features,)
        The row from which it is moved.
    image_shape : tuple of int or None, default=None
        Height and width of images, and 3 for colours; None is profiles.
    feature_names : array-like of shape (n_features,) or None, default=None
        Names; numbers, as wavelengths are, place the features of a curve.
    units : str, array-like of shape (n_features,) or None, default=None
        The unit of all features, or of each.
    spread : array-like of shape (n_features,) or None, default=None
        Standard deviation of each feature, by which changes of a table are put on one
        scale; None is that of `rows`.
    label : str, default='latent'
        What the latent is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of it.
    images_ : list of matplotlib AxesImage
        Decoded rows, and their differences from the base; none of profiles.
    lines_ : list of matplotlib Line2D
        Of a curve, one for each value.
    points_ : list of matplotlib PathCollection
        Of a table, one for each feature.
    colorbar_ : matplotlib Colorbar or None
        Which colour is which value, for profiles.

    See Also
    --------
    ComponentsDisplay : The mean change by a step along each latent.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import Autoencoder, LatentTraversalDisplay
    >>> model = Autoencoder(2, max_iter=20, random_state=0).fit(load_digits().data)
    >>> display = LatentTraversalDisplay.from_estimator(model, 0, image_shape=(8, 8))
    >>> len(display.values)
    7
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        values: ArrayLike,
        rows: ArrayLike,
        base: ArrayLike,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        units: str | ArrayLike | None = None,
        spread: ArrayLike | None = None,
        label: str = "latent",
    ) -> None:
        self.values = values
        self.rows = rows
        self.base = base
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.units = units
        self.spread = spread
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        component: int = 0,
        *,
        image_shape: tuple[int, ...] | None = None,
        row: Any = None,
        n_steps: int = 7,
        profile: str = "auto",
        n_features: int = 10,
        feature_names: ArrayLike | None = None,
        units: str | ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw what one latent of a fitted encoder changes.

        It moves from its 5% to its 95% quantile over the training rows.

        Parameters
        ----------
        estimator : encoder or Pipeline
            One of this package, or a pipeline that ends in one and whose steps have
            ``inverse_transform``; rows are then in the units of the pipeline's.
        component : int, default=0
            Which latent.
        image_shape : tuple of int or None, default=None
            Height and width of images, and 3 for colours; None draws profiles.
        row : array-like of shape (1, n_features) or None, default=None
            The row of which it is moved; None is the mean of all latents.
        n_steps : int, default=7
            How many values.
        profile : {'auto', 'curve', 'table'}, default='auto'
            How to draw profiles: as curves, for spectra and series, or as changes of
            features of units of their own, in standard deviations of what training rows
            are decoded to. 'auto' is the second up to 30 features.
        n_features : int, default=10
            How many features of a table: those that change most.
        feature_names : array-like of shape (n_features,) or None, default=None
            Names; None is those of the training data. Numbers, as wavelengths are,
            place the features of a curve.
        units : str, array-like of shape (n_features,) or None, default=None
            The unit of all features, or of each.
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LatentTraversalDisplay

        Raises
        ------
        ValueError
            If a parameter is not as it must be, or a step has no inverse.
        """
        before, encoder = split_pipeline(cls, estimator, "feature_influence")
        name = type(encoder).__name__
        j = check_component(component, int(encoder.n_components_), name)
        if not isinstance(n_steps, int | np.integer) or n_steps < 2:
            raise ValueError(f"n_steps must be an int of at least 2; got {n_steps!r}.")
        codes = encoder._summary.codes
        start = codes.mean(axis=0, keepdims=True)
        if row is not None:
            start = np.asarray(encoder.transform(encoder_input(before, row)))
            if len(start) != 1:
                raise ValueError(f"row must be one row; got {len(start)}.")
        low, high = np.quantile(codes[:, j], ENDS)
        values = np.linspace(low, high, n_steps)
        latents = np.repeat(start, n_steps, axis=0)
        latents[:, j] = values

        def decoded(Z: NDArray[Any]) -> NDArray[Any]:
            return in_units(before, encoder.inverse_transform(Z))

        rows = decoded(latents)
        some = codes[:: -(-len(codes) // MAX_ROWS)]
        names = check_feature_names(
            feature_names, getattr(estimator, "feature_names_in_", None), rows.shape[1]
        )
        display = cls(
            values=values,
            rows=rows,
            base=decoded(start)[0],
            image_shape=check_image_shape(image_shape, rows.shape[1]),
            feature_names=names,
            units=units,
            spread=decoded(some).std(axis=0),
            label=latent_label("latent", encoder.explained_variance_ratio_, j),
        )
        return display.plot(ax, profile=profile, n_features=n_features)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        profile: str = "auto",
        n_features: int = 10,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the changes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.
        profile : {'auto', 'curve', 'table'}, default='auto'
            As in `from_estimator`.
        n_features : int, default=10
            As in `from_estimator`.
        line_kw : dict or None, default=None
            For ``ax.plot`` of curves.

        Returns
        -------
        display : LatentTraversalDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_option("profile", profile, PROFILES)
        rows = np.asarray(self.rows)
        names = check_feature_names(self.feature_names, None, rows.shape[1])
        units = check_units(self.units, rows.shape[1])
        self.images_: list[Any] = []
        self.lines_: list[Any] = []
        self.points_: list[Any] = []
        self.colorbar_: Any = None
        if self.image_shape is not None:
            self._draw_images(ax, rows, self.image_shape)
        elif is_table(profile, rows.shape[1]):
            self._draw_table(ax, rows, names, units, n_features)
        else:
            self._draw_curves(ax, rows, names, units, line_kw or {})
        return self

    def _begin(self, ax: "Axes | None", height: float | None = None) -> "Axes":
        axes: Axes = panels(ax, (1, 1), height)[0, 0]
        self.ax_, self.figure_ = axes, axes.figure
        return axes

    def _draw_images(
        self, ax: "Axes | None", rows: NDArray[Any], shape: tuple[int, ...]
    ) -> None:
        images = rows.reshape(-1, *shape)
        change = (rows - np.asarray(self.base)).reshape(-1, *shape)
        if len(shape) == 3:  # of colours their mean
            change = change.mean(axis=3)
        style = signed_style(change)
        grey = {"cmap": "gray", "vmin": float(rows.min()), "vmax": float(rows.max())}
        ax = self._begin(ax, height_of_tiles(2, len(change), shape))
        self.images_ = tiles(
            ax,
            [images, change],
            ["decoded", f"change\n(±{in_digits(np.abs(change).max())})"],
            [f"{value:.2g}" for value in np.asarray(self.values)],
            [grey, style],
        )
        ax.set_xlabel(self.label, fontsize="small")

    def _colors(self) -> Any:
        """Return what maps values of the latent to colours."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        values = np.asarray(self.values)
        norm = Normalize(values.min(), values.max())
        return ScalarMappable(norm, sequential_cmap())

    def _draw_curves(
        self,
        ax: "Axes | None",
        rows: NDArray[Any],
        names: NDArray[Any],
        units: NDArray[Any] | None,
        given: dict[str, Any],
    ) -> None:
        ax, colors = self._begin(ax), self._colors()
        for value, row in zip(np.asarray(self.values), rows, strict=True):
            style = {"color": colors.to_rgba(value), "linewidth": 1.2} | given
            self.lines_ += ax.plot(positions(names), row, **style)
        label_curve_axis(ax, names)
        ax.set_ylabel(shared_unit(units))
        self.colorbar_ = self.figure_.colorbar(colors, ax=ax, label=self.label)

    def _draw_table(
        self,
        ax: "Axes | None",
        rows: NDArray[Any],
        names: NDArray[Any],
        units: NDArray[Any] | None,
        n_features: int,
    ) -> None:
        spread = rows.std(axis=0) if self.spread is None else np.asarray(self.spread)
        change = (rows - np.asarray(self.base)) / np.where(spread > 0, spread, 1.0)
        change[:, spread == 0] = 0.0
        most = np.argsort(-np.ptp(change, axis=0), kind="stable")[:n_features][::-1]
        ax, colors = self._begin(ax, 0.25 * len(most) + 1.0), self._colors()
        values = np.asarray(self.values)
        for place, feature in enumerate(most):
            steps = change[:, feature]
            where = np.full(len(steps), place)
            ax.plot(steps[[0, -1]], where[:2], color=GREY, linewidth=1, zorder=1)
            self.points_.append(
                ax.scatter(
                    steps, where, c=values, cmap=colors.cmap, norm=colors.norm, s=16
                )
            )
        first, last = rows[0], rows[-1]
        ends = [
            with_unit(f"{in_digits(first[f])} to {in_digits(last[f])}", units, f)
            for f in most
        ]
        labels = np.array(shortened(names), dtype=object)[most]
        ax.set_yticks(np.arange(len(most)), labels=labels, fontsize="small")
        ax.axvline(0, color=GREY, linewidth=0.7, zorder=0)
        ax.set_xlabel("change in standard deviations", fontsize="small")
        right = ax.secondary_yaxis("right")
        right.set_yticks(np.arange(len(most)), labels=ends, fontsize="x-small")
        right.tick_params(length=0)
        self.colorbar_ = self.figure_.colorbar(
            colors, ax=ax, label=self.label, location="top"
        )
