"""Rows as curves over features, and as values of features of different units."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._common import shortened
from ._drawing import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Up to so many features are those of a table, more are a curve.
MAX_TABLE = 30
PROFILES = ("auto", "curve", "table")


def is_table(profile: str, n_features: int) -> bool:
    """Return whether features are to be drawn one by one."""
    return profile == "table" or (profile == "auto" and n_features <= MAX_TABLE)


def positions(names: NDArray[Any]) -> NDArray[np.float64]:
    """Return where features are on an axis: their names, where these are numbers.

    Wavelengths and times are such names.
    """
    try:
        found = np.array([float(name) for name in names])
    except (TypeError, ValueError):
        return np.arange(len(names), dtype=np.float64)
    return found


def label_curve_axis(ax: "Axes", names: NDArray[Any]) -> None:
    """Say what the axis of a curve is."""
    numbered = not (positions(names) == np.arange(len(names))).all()
    ax.set_xlabel("feature" if numbered else "number of the feature")


def label_table_axis(ax: "Axes", names: NDArray[Any]) -> None:
    """Write the names of features along the x-axis."""
    ax.set_xticks(
        np.arange(len(names)),
        labels=shortened(names),
        rotation=90,
        fontsize="x-small",
    )


def check_units(units: Any, n_features: int) -> NDArray[Any] | None:
    """Return the unit of each feature; None where there are none.

    Raises
    ------
    ValueError
        If they are neither one nor as many as features.
    """
    if units is None:
        return None
    found = np.asarray(units, dtype=object)
    if found.ndim == 0:
        return np.full(n_features, found.item(), dtype=object)
    if found.shape != (n_features,):
        raise ValueError(
            f"units must be a text, or one for each of {n_features} features; got "
            f"shape {found.shape}."
        )
    return found


def shared_unit(units: NDArray[Any] | None) -> str:
    """Return the unit of all features, for an axis."""
    if units is None or len(set(units.tolist())) > 1:
        return "value"
    return str(units[0])


def with_unit(number: str, units: NDArray[Any] | None, feature: int) -> str:
    """Return a number and the unit of a feature."""
    return number if units is None else f"{number} {units[feature]}"


def standardised(
    shown: dict[str, NDArray[Any]], center: ArrayLike | None, spread: ArrayLike | None
) -> dict[str, NDArray[Any]]:
    """Return rows as z-scores: by mean and spread given, or those of the originals."""
    original = shown["original"]
    center = np.nanmean(original, axis=0) if center is None else np.asarray(center)
    spread = np.nanstd(original, axis=0) if spread is None else np.asarray(spread)
    unit = np.where(spread > 0, spread, 1.0)
    return {name: (rows - center) / unit for name, rows in shown.items()}


def draw_profile(
    ax: "Axes",
    x: NDArray[Any],
    parts: dict[str, NDArray[Any]],
    given: dict[str, Any],
    *,
    table: bool,
) -> list[Any]:
    """Draw a row, what the encoder was shown, and its reconstruction."""
    looks: dict[str, dict[str, Any]] = {
        "original": {"color": "C0", "marker": "o", "linestyle": "-"},
        "noisy": {"color": GREY, "marker": ".", "linestyle": ":"},
        "reconstruction": {"color": "C1", "marker": "x", "linestyle": "--"},
    }
    lines = []
    for name, values in parts.items():
        look = {"linewidth": 1, "markersize": 4, **looks[name], "label": name}
        look["linestyle" if table else "marker"] = ""
        (line,) = ax.plot(x, values, **look | given)
        lines.append(line)
    original, result = parts["original"], parts["reconstruction"]
    if table:
        ax.vlines(x, original, result, color=GREY, linewidth=1, zorder=1)
    else:
        ax.fill_between(
            x, original, result, color=GREY, alpha=0.4, linewidth=0, label="difference"
        )
    return lines
