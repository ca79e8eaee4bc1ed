"""What the rows of a map are coloured by."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from ._drawing import CLASS_COLORS, GREY, sequential_cmap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More points are drawn as pixels in vector graphics.
MAX_VECTOR_POINTS = 5_000
#: Whole numbers with at most so many values are classes.
MAX_WHOLE_CLASSES = 20
#: A number without a factor in common with that of colours: pairs repeat late.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Share of white in colours on a dark background.
LIGHTER = 0.15


class RowColors:
    """Classes or numbers of rows, and how they are drawn.

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
            "rasterized": n > MAX_VECTOR_POINTS,
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
