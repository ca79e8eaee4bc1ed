"""What displays share: pipelines, names of features, panels, legends, and tiles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

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
#: Letters of a feature's name that are shown at most.
MAX_LETTERS = 24


# What is drawn --------------------------------------------------------------------


def split_pipeline(display: type, estimator: Any, needs: str) -> tuple[Any, Any]:
    """Return what comes before a fitted encoder, or None, and the encoder.

    Parameters
    ----------
    display : type
        For messages.
    estimator : estimator
        The encoder, or a pipeline that ends in it.
    needs : str
        An attribute that it must have, fitted or not.

    Raises
    ------
    TypeError
        If it has not.
    NotFittedError
        If it is not fitted.
    """
    before, encoder = None, estimator
    if isinstance(estimator, Pipeline):
        encoder = estimator[-1]
        before = estimator[:-1] if len(estimator) > 1 else None
    if not hasattr(encoder, needs) and not hasattr(type(encoder), needs):
        ends = "" if encoder is estimator else "a pipeline that ends in "
        raise TypeError(
            f"{display.__name__} requires a fitted encoder with {needs}, or a pipeline "
            f"that ends in one; got {ends}{type(encoder).__name__}."
        )
    check_is_fitted(encoder)
    return before, encoder


def encoder_input(before: Any, X: Any) -> Any:
    """Return what the encoder sees of rows."""
    return X if before is None else before.transform(X)


def in_units(before: Any, rows: Any) -> NDArray[Any]:
    """Return rows that the encoder gave in the units of the pipeline's data."""
    if before is None:
        return np.asarray(rows)
    if not hasattr(before, "inverse_transform"):
        names = ", ".join(type(step).__name__ for _, step in before.steps)
        raise ValueError(
            "To draw rows in the units of X each step before the encoder must have "
            f"inverse_transform; got the steps {names}. Give the last step alone, with "
            "rows as it sees them."
        )
    return np.asarray(before.inverse_transform(rows))


def encoder_feature_names(before: Any, encoder: Any) -> Any:
    """Return the names of the features that the encoder sees; None if not known."""
    if before is None:
        return getattr(encoder, "feature_names_in_", None)
    try:
        return before.get_feature_names_out()
    except (AttributeError, ValueError):  # a step has none
        return None


def check_feature_names(given: Any, found: Any, n_features: int) -> NDArray[Any]:
    """Return a name for each feature: those given, those found, or x0, x1, ...

    Raises
    ------
    ValueError
        If there are more or fewer than features.
    """
    names = found if given is None else given
    if names is None:
        return np.array([f"x{i}" for i in range(n_features)], dtype=object)
    names = np.asarray(names, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must be a name for each of {n_features} features; got "
            f"shape {names.shape}."
        )
    return names


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, ...] | None:
    """Return the shape of images, checked against the number of features.

    Raises
    ------
    ValueError
        If it is not (height, width) or (height, width, 3), or of another size.
    """
    if image_shape is None:
        return None
    shape = tuple(int(n) for n in np.atleast_1d(image_shape))
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not is_image or int(np.prod(shape)) != n_features:
        raise ValueError(
            "image_shape must be (height, width), or (height, width, 3) for colours, "
            f"of {n_features} features in all; got {image_shape!r}."
        )
    return shape


def check_component(component: Any, k: int, name: str) -> int:
    """Return the index of a latent.

    Raises
    ------
    ValueError
        If it is none of the k latents of the encoder of that name.
    """
    whole = isinstance(component, int | np.integer) and not isinstance(component, bool)
    if not whole or not 0 <= component < k:
        raise ValueError(
            f"A component must be an int from 0 to {k - 1}, since {name} has {k} "
            f"latents; got {component!r}."
        )
    return int(component)


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError if a value is none of the options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}; got {value!r}.")


def latent_label(name: str, shares: Any, component: int) -> str:
    """Return what an axis of a latent says: its number, and its share of variance."""
    share = "" if shares is None else f" ({100 * shares[component]:.3g}%)"
    return f"{name} {component}{share}"


def score_name(encoder: Any) -> str:
    """Return what ``encoder.score`` is, in words."""
    if hasattr(encoder, "sample"):
        return "log-likelihood bound (nats per row)"
    return "share of variance explained"


def shortened(name: Any) -> str:
    """Return a name of at most `MAX_LETTERS`, without the middle of a longer one."""
    text = str(name)
    if len(text) <= MAX_LETTERS:
        return text
    end = MAX_LETTERS // 3
    return f"{text[: MAX_LETTERS - 1 - end]}…{text[-end:]}"


# How it is drawn ------------------------------------------------------------------


def figure_width() -> float:
    """Return the width of new figures, in inches."""
    from matplotlib import pyplot as plt

    return float(plt.rcParams["figure.figsize"][0])


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
    grid = spec.subgridspec(*shape, wspace=0.3, hspace=0.3)
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
    place |= {"frameon": False, "fontsize": "small", **kwargs}
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


def _make_room(ax: "Axes", over: float, *, vertical: bool) -> None:
    """Make a subplot smaller, so that what is over by this share of it has room."""
    spec = ax.get_subplotspec()
    assert spec is not None
    share = min(over / (1 + over) if vertical else over, 0.5)
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

    colors: Any = colormaps["viridis"](np.linspace(0.12, 0.92, 256))
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
