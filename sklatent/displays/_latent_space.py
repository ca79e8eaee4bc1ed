"""The map of rows: two latents of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._common import (
    check_component,
    check_option,
    encoder_input,
    latent_label,
    split_pipeline,
)
from ._drawing import CLASS_COLORS, legend_beside, panels
from ._row_colors import RowColors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: From so many rows on points would lie on each other, and cells are drawn.
MAX_POINTS = 20_000
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
        colors = RowColors(self.y, len(maps[0][0]))
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

    def _draws_cells(self, kind: str, colors: RowColors) -> bool:
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


def _labels(name: str, shares: Any, chosen: Sequence[int]) -> tuple[str, str]:
    first, second = (latent_label(name, shares, j) for j in chosen)
    return first, second


def _check_pair(components: Any, k: int, name: str) -> list[int]:
    """Return the indices of two latents."""
    pair = list(np.atleast_1d(np.asarray(components, dtype=object)))
    if len(pair) != 2:
        raise ValueError(f"components must be two latents; got {components!r}.")
    return [check_component(component, k, name) for component in pair]
