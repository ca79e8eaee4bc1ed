"""How displays draw: panels, legends, colours, and tiles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend

#: Colours of classes, told apart with deficient colour vision as well (Petroff 2021,
#: arXiv 2107.02270).
CLASS_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
#: Of what is there for comparison; seen on light and on dark backgrounds.
GREY = "0.55"
#: Of differences, white where there is none.
DIVERGING = "RdBu_r"
#: Of a subplot's place, what a legend takes at most.
MAX_SHARE = 0.7
#: Width of an image in a new figure at most, in inches.
MAX_TILE = 1.2


def figure_width() -> float:
    """Return the width of new figures, in inches."""
    from matplotlib import pyplot as plt

    return float(plt.rcParams["figure.figsize"][0])


def height_of_tiles(n_rows: int, n_columns: int, shape: tuple[int, ...]) -> float:
    """Return the height of a new figure of `tiles`, in inches."""
    labels = 1.1, 0.6  # to the left, and below
    width = min((figure_width() - labels[0]) / n_columns, MAX_TILE)
    return 1.1 * n_rows * width * shape[0] / shape[1] + labels[1]


def panels(
    ax: Any, shape: tuple[int, int], height: float | None = None, **kwargs: Any
) -> NDArray[Any]:
    """Return Axes to draw in.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes, or None
        Where to draw; a single one is split, None is a new figure.
    shape : tuple of int
        Rows and columns of the Axes that are needed.
    height : float or None, default=None
        Of a new figure, in inches; None is that of the style.
    **kwargs : dict
        For ``subplots``.

    Returns
    -------
    axes : ndarray of shape `shape`
    """
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        size = plt.rcParams["figure.figsize"]
        size = size if height is None else (size[0], height)
        _, axes = plt.subplots(
            *shape, figsize=size, layout="constrained", squeeze=False, **kwargs
        )
        return np.asarray(axes)
    if not isinstance(ax, Axes):
        axes = np.asarray(ax, dtype=object)
        if axes.size != shape[0] * shape[1]:
            raise ValueError(
                f"ax must be one Axes or {shape[0] * shape[1]}; got {axes.size}."
            )
        return axes.reshape(shape)
    if shape == (1, 1):
        return np.array([[ax]], dtype=object)
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax must be a subplot to be split into panels, as plt.subplots makes it."
        )
    ax.set_axis_off()
    grid = spec.subgridspec(*shape, wspace=0.4, hspace=0.5)
    return np.asarray(grid.subplots(squeeze=False, **kwargs))


def legend_beside(ax: "Axes", side: str, **kwargs: Any) -> "Legend":
    """Draw a legend above the Axes or to the right of them, where it covers nothing.

    A layout engine makes room for it; without one the Axes are made smaller, as
    ``figure.colorbar`` makes them.

    Parameters
    ----------
    ax : matplotlib Axes
        With artists that have labels.
    side : {'top', 'right'}
        Where.
    **kwargs : dict
        For ``ax.legend``.
    """
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
    if side == "right":
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    place |= {"frameon": False, "fontsize": "small", "handlelength": 1.5}
    place |= {"columnspacing": 1.0, **kwargs}
    columns = range(len(ax.get_legend_handles_labels()[1]), 0, -1)
    for n_columns in columns if side == "top" else (1,):
        legend = ax.legend(ncols=n_columns, **place)
        legend_box, axes_box = legend.get_window_extent(), ax.get_window_extent()
        if legend_box.width <= axes_box.width:
            break
    if ax.figure.get_layout_engine() is None and ax.get_subplotspec() is not None:
        if side == "top":
            over = (legend_box.y1 - axes_box.y1) / axes_box.height
        else:
            over = (legend_box.x1 - axes_box.x1) / axes_box.width
        _make_room(ax, over, vertical=side == "top")
    return legend


def _make_room(ax: "Axes", share: float, *, vertical: bool) -> None:
    """Leave a share of a subplot's place free, above it or to its right."""
    spec = ax.get_subplotspec()
    assert spec is not None
    share = min(share, MAX_SHARE)
    if vertical:
        grid = spec.subgridspec(2, 1, height_ratios=(share, 1 - share), hspace=0)
        ax.set_subplotspec(grid[1])
    else:
        grid = spec.subgridspec(1, 2, width_ratios=(1 - share, share), wspace=0)
        ax.set_subplotspec(grid[0])


def sequential_cmap() -> "Colormap":
    """Return colours of an ordered quantity that no background swallows."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colors: Any = colormaps["viridis"](np.linspace(0.18, 0.92, 256))
    return ListedColormap(colors, name="viridis_inner")


def tiles(
    ax: "Axes",
    images: Sequence[NDArray[Any]],
    labels: Sequence[str],
    columns: Sequence[str],
    styles: Sequence[dict[str, Any]],
) -> list["AxesImage"]:
    """Draw rows of images, all in one Axes.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    images : sequence of ndarray of shape (n, height, width) or (n, height, width, 3)
        The images of each row.
    labels : sequence of str
        What each row is.
    columns : sequence of str
        What each column is.
    styles : sequence of dict
        Colours of each row, for ``imshow``.

    Returns
    -------
    drawn : list of AxesImage
        One for each row.
    """
    n, height, width = images[0].shape[:3]
    gap_y, gap_x = max(1, height // 8), max(1, width // 8)
    drawn = []
    for i, (row, style) in enumerate(zip(images, styles, strict=True)):
        cells = np.full((height, n * (width + gap_x) - gap_x, *row.shape[3:]), np.nan)
        for j, image in enumerate(row):
            start = j * (width + gap_x)
            cells[:, start : start + width] = image
        if cells.ndim == 3:
            cells = _with_alpha(cells, **style)
            style = {}
        top = i * (height + gap_y)
        extent = (0, cells.shape[1], top + height, top)
        shown = ax.imshow(cells, extent=extent, interpolation="nearest", **style)
        drawn.append(shown)
    ax.set_xlim(0, n * (width + gap_x) - gap_x)
    ax.set_ylim(len(images) * (height + gap_y) - gap_y, 0)
    middle_x = width / 2 + (width + gap_x) * np.arange(n)
    middle_y = height / 2 + (height + gap_y) * np.arange(len(images))
    ax.set_xticks(middle_x, labels=columns, fontsize="x-small")
    ax.set_yticks(middle_y, labels=labels, fontsize="small")
    ax.tick_params(length=0)
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return drawn


def _with_alpha(cells: NDArray[Any], vmin: float, vmax: float, **_: Any) -> Any:
    """Return colours in [0, 1], with what is not there transparent."""
    there = np.isfinite(cells).all(axis=2, keepdims=True)
    scaled = ((cells - vmin) / ((vmax - vmin) or 1.0)).clip(0, 1)
    return np.concatenate([np.where(there, scaled, 0.0), there], axis=2)


def signed_style(values: ArrayLike) -> dict[str, Any]:
    """Return colours of differences, white at zero and as far on both sides."""
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return {"cmap": DIVERGING, "vmin": -largest, "vmax": largest}
