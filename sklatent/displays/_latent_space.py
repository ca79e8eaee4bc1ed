"""The map of rows: two latents of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._common import (
    check_component,
    check_option,
    encoder_input,
    latent_label,
    split_pipeline,
)
from ._drawing import (
    CLASS_COLORS,
    GREY,
    legend_beside,
    panels,
    sequential_cmap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: From so many rows on points would lie on each other, and cells are drawn.
MAX_POINTS = 20_000
#: Whole numbers with at most so many values are classes.
MAX_WHOLE_CLASSES = 20
#: A number without a factor in common with that of colours: pairs repeat late.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Share of white in colours on a dark background.
LIGHTER = 0.15
KINDS = ("auto", "scatter", "hexbin")


class LatentSpaceDisplay:
    """Map of rows by two of their latents, coloured by classes or numbers.

    It is best made with `from_estimator`.

    Parameters
    ----------
    latents : array-like of shape (n_samples, 2)
        Two latents of each row.
    y : array-like of shape (n_samples,) or None, default=None
        What to colour rows by: text, booleans and up to 20 different whole numbers are
        classes, other numbers are continuous. NaN and None are not known.
    pca_latents : array-like of shape (n_samples, 2) or None, default=None
        The map by PCA, to be drawn beside it.
    labels : sequence of str, default=('latent 0', 'latent 1')
        Of the axes.
    pca_labels : sequence of str, default=('component 0', 'component 1')
        Of the axes of PCA's map.
    name : str, default='latent space'
        The estimator's name.
    y_name : str or None, default=None
        What `y` is.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the map.
    axes_ : ndarray of matplotlib Axes of shape (1,) or (2,)
        That, and PCA's.
    figure_ : matplotlib Figure
        The figure of them.
    artists_ : list of list of matplotlib Collection
        What is drawn in each: points of each class, or all, or cells.
    legend_ : matplotlib Legend or None
        Of classes.
    colorbar_ : matplotlib Colorbar or None
        Of numbers, or of rows in a cell.

    See Also
    --------
    ReconstructionDisplay : What the latents keep of rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklatent import Autoencoder, LatentSpaceDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), Autoencoder(2, random_state=0)).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(model, X, y, pca=True)
    >>> [ax.get_title() for ax in display.axes_]
    ['Autoencoder', 'PCA']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        latents: ArrayLike,
        y: ArrayLike | None = None,
        pca_latents: ArrayLike | None = None,
        labels: Sequence[str] = ("latent 0", "latent 1"),
        pca_labels: Sequence[str] = ("component 0", "component 1"),
        name: str = "latent space",
        y_name: str | None = None,
    ) -> None:
        self.latents = latents
        self.y = y
        self.pca_latents = pca_latents
        self.labels = labels
        self.pca_labels = pca_labels
        self.name = name
        self.y_name = y_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: Sequence[int] = (0, 1),
        pca: bool = False,
        kind: str = "auto",
        y_name: str | None = None,
        scatter_kw: dict[str, Any] | None = None,
        hexbin_kw: dict[str, Any] | None = None,
        ax: "Axes | ArrayLike | None" = None,
    ) -> Self:
        """Draw the latents that a fitted encoder gives rows.

        Parameters
        ----------
        estimator : encoder or Pipeline
            A fitted encoder, or a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or None, default=None
            What to colour them by.
        components : sequence of two int, default=(0, 1)
            Which latents.
        pca : bool, default=False
            Whether to draw PCA's map of the same rows, as the encoder sees them, beside
            it: its components of these numbers, turned to the side of the latents.
        kind : {'auto', 'scatter', 'hexbin'}, default='auto'
            Points, or cells; 'auto' is cells from 20,000 rows on, but for more than ten
            classes, which colours alone do not tell apart.
        y_name : str or None, default=None
            What `y` is; None is its name, if it has one.
        scatter_kw, hexbin_kw : dict or None, default=None
            For ``ax.scatter`` and ``ax.hexbin``.
        ax : matplotlib Axes, array-like of two, or None, default=None
            Where to draw; with `pca` a single one is split. None is a new figure.

        Returns
        -------
        display : LatentSpaceDisplay

        Raises
        ------
        ValueError
            If there are no such latents, or `y` is not as long as `X`.
        """
        before, encoder = split_pipeline(cls, estimator, "transform")
        seen = encoder_input(before, X)
        latents = np.asarray(encoder.transform(seen))
        chosen = _check_pair(components, latents.shape[1], type(encoder).__name__)
        if y is not None:
            check_consistent_length(latents, y)
        shares = getattr(encoder, "explained_variance_ratio_", None)
        found, pca_labels = None, ("", "")
        if pca:
            fitted = PCA(max(chosen) + 1, random_state=0)
            found = fitted.fit_transform(seen)[:, chosen]
            pca_shares = fitted.explained_variance_ratio_
            pca_labels = _labels("component", pca_shares, chosen)
            along = np.einsum("ij,ij->j", found, latents[:, chosen])
            found = np.where(along < 0, -found, found)
        display = cls(
            latents=latents[:, chosen],
            y=y,
            pca_latents=found,
            labels=_labels("latent", shares, chosen),
            pca_labels=pca_labels,
            name=type(encoder).__name__,
            y_name=getattr(y, "name", None) if y_name is None else y_name,
        )
        return display.plot(ax, kind=kind, scatter_kw=scatter_kw, hexbin_kw=hexbin_kw)

    def plot(
        self,
        ax: "Axes | ArrayLike | None" = None,
        *,
        kind: str = "auto",
        scatter_kw: dict[str, Any] | None = None,
        hexbin_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of two, or None, default=None
            Where to draw.
        kind : {'auto', 'scatter', 'hexbin'}, default='auto'
            As in `from_estimator`.
        scatter_kw, hexbin_kw : dict or None, default=None
            For ``ax.scatter`` and ``ax.hexbin``.

        Returns
        -------
        display : LatentSpaceDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_option("kind", kind, KINDS)
        maps = [(np.asarray(self.latents), self.labels, self.name)]
        if self.pca_latents is not None:
            maps.append((np.asarray(self.pca_latents), self.pca_labels, "PCA"))
        colors = _Colors(self.y, len(maps[0][0]))
        cells = self._draws_cells(kind, colors)
        self.axes_ = panels(ax, (1, len(maps)))[0]
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.artists_ = []
        for axes, (points, labels, name) in zip(self.axes_, maps, strict=True):
            if cells:
                drawn = [colors.draw_cells(axes, points, hexbin_kw or {})]
            else:
                drawn = colors.draw_points(axes, points, scatter_kw or {})
            self.artists_.append(drawn)
            axes.set(xlabel=labels[0], ylabel=labels[1])
            if len(maps) > 1:
                axes.set_title(name, fontsize="medium")
                axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        self.legend_ = self.colorbar_ = None
        if colors.classes is not None:
            self.legend_ = legend_beside(
                self.axes_[-1],
                "right",
                handles=colors.handles(self.ax_, cells=cells),
                title=self.y_name,
                handletextpad=0.2,
            )
        elif colors.numbers is not None or cells:
            label = "rows" if colors.numbers is None else self.y_name or "y"
            mappable = self.artists_[0][-1]
            self.colorbar_ = self.figure_.colorbar(
                mappable, ax=list(self.axes_), label=label
            )
        return self

    def _draws_cells(self, kind: str, colors: "_Colors") -> bool:
        """Return whether there are cells in place of points."""
        n_classes = 0 if colors.classes is None else len(colors.classes)
        if kind == "hexbin" and n_classes > len(CLASS_COLORS):
            raise ValueError(
                f"kind='hexbin' tells {len(CLASS_COLORS)} classes apart; y has "
                f"{n_classes}."
            )
        if kind != "auto":
            return kind == "hexbin"
        return len(colors.codes) >= MAX_POINTS and n_classes <= len(CLASS_COLORS)


class _Colors:
    """What rows are coloured by.

    Attributes
    ----------
    classes : ndarray or None
        The classes, in order.
    numbers : ndarray of shape (n_samples,) or None
        The numbers.
    codes : ndarray of int of shape (n_samples,)
        The class of each row, -1 where it is not known; 0 without classes.
    """

    def __init__(self, y: Any, n_samples: int) -> None:
        self.classes: NDArray[Any] | None = None
        self.numbers: NDArray[Any] | None = None
        self.codes = np.zeros(n_samples, np.intp)
        if y is None:
            return
        values = column_or_1d(np.asarray(y))
        known = np.array([_is_known(value) for value in values.tolist()])
        if _is_continuous(values[known]):
            self.numbers = np.where(known, values, np.nan).astype(np.float64)
            return
        self.codes = np.full(n_samples, -1)
        self.classes, self.codes[known] = np.unique(values[known], return_inverse=True)

    def draw_points(
        self, ax: "Axes", points: NDArray[Any], given: dict[str, Any]
    ) -> list[Any]:
        """Draw a point a row: those of each class, or all."""
        n = len(points)
        style: dict[str, Any] = {
            "s": _size_of_points(ax, n),
            "alpha": 0.8,
            "linewidths": 0.3,
            "rasterized": n > MAX_POINTS // 4,
        }
        if self.numbers is not None:
            known = np.isfinite(self.numbers)
            if not known.all():
                ax.scatter(*points[~known].T, **style | {"color": GREY} | given)
            style |= {"c": self.numbers[known], "cmap": sequential_cmap()} | given
            return [ax.scatter(*points[known].T, **style)]
        if self.classes is None:
            return [ax.scatter(*points.T, **style | {"color": "C0"} | given)]
        drawn = []
        for code in range(-1, len(self.classes)):
            mine = self.codes == code
            if code >= 0 or mine.any():
                looks = {"color": _color(code, ax), "marker": _marker(code)}
                drawn.append(ax.scatter(*points[mine].T, **style | looks | given))
        return drawn

    def draw_cells(
        self, ax: "Axes", points: NDArray[Any], given: dict[str, Any]
    ) -> Any:
        """Draw cells by how many rows are there, or by what most or the mean of y is.

        Classes are fainter where there are fewer rows.
        """
        from matplotlib.colors import ListedColormap, LogNorm

        style: dict[str, Any] = {"gridsize": 60, "linewidths": 0.2, "mincnt": 1}
        x, y = points.T
        if self.numbers is not None:
            known = np.isfinite(self.numbers)
            style |= {"C": self.numbers[known], "cmap": sequential_cmap()} | given
            return ax.hexbin(x[known], y[known], **style)
        if self.classes is None:
            style |= {"cmap": sequential_cmap(), "norm": LogNorm()}
            return ax.hexbin(x, y, **style | given)
        counted = ax.hexbin(x, y, **style | given)
        counts = np.asarray(counted.get_array())
        counted.remove()
        codes = range(-1, len(CLASS_COLORS))
        colors = ListedColormap([_color(code, ax) for code in codes])
        style |= {"cmap": colors, "vmin": -1.5, "vmax": len(CLASS_COLORS) - 0.5}
        style |= {"C": self.codes, "reduce_C_function": _most_frequent}
        cells = ax.hexbin(x, y, **style | given)
        cells.set_alpha(0.4 + 0.6 * np.log1p(counts) / np.log1p(counts.max()))
        return cells

    def handles(self, ax: "Axes", *, cells: bool) -> list[Any]:
        """Return what a legend shows of the classes."""
        from matplotlib.lines import Line2D

        assert self.classes is not None
        entries = list(enumerate(self.classes.tolist()))
        if (self.codes < 0).any():
            entries.append((-1, "not known"))
        return [
            Line2D(
                [],
                [],
                linestyle="",
                color=_color(code, ax),
                marker="h" if cells else _marker(code),
                label=str(name),
            )
            for code, name in entries
        ]


def _is_known(value: Any) -> bool:
    """Return whether a value is none of None, NaN and NA."""
    same = value == value
    return value is not None and isinstance(same, bool | np.bool_) and bool(same)


def _is_continuous(values: NDArray[Any]) -> bool:
    """Return whether values are numbers, and not classes."""
    if values.dtype.kind not in "iufO" or not len(values):
        return False
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):  # text
        return False
    whole = bool((numbers == np.round(numbers)).all())
    return not whole or len(np.unique(numbers)) > MAX_WHOLE_CLASSES


def _most_frequent(codes: Any) -> int:
    """Return the class that most rows of a cell have."""
    values, counts = np.unique(np.asarray(codes, np.intp), return_counts=True)
    return int(values[counts.argmax()])


def _color(code: int, ax: "Axes") -> Any:
    """Return the colour of a class, lighter on a dark background."""
    from matplotlib.colors import to_rgb

    name = GREY if code < 0 else CLASS_COLORS[code % len(CLASS_COLORS)]
    dark = np.mean(to_rgb(ax.get_facecolor())) < 0.5
    share = LIGHTER if dark else 0.0
    return tuple(share + (1 - share) * part for part in to_rgb(name))


def _marker(code: int) -> str:
    return "." if code < 0 else MARKERS[code % len(MARKERS)]


def _size_of_points(ax: "Axes", n: int) -> float:
    """Return the area of a point, in square points: all take a third of the Axes."""
    box = ax.get_window_extent()
    area = box.width * box.height * (72 / ax.figure.dpi) ** 2
    return float(np.clip(0.3 * area / max(n, 1), 4, 20))


def _labels(name: str, shares: Any, chosen: Sequence[int]) -> tuple[str, str]:
    first, second = (latent_label(name, shares, j) for j in chosen)
    return first, second


def _check_pair(components: Any, k: int, name: str) -> list[int]:
    """Return the indices of two latents."""
    pair = list(np.atleast_1d(np.asarray(components, dtype=object)))
    if len(pair) != 2:
        raise ValueError(f"components must be two latents; got {components!r}.")
    return [check_component(component, k, name) for component in pair]
