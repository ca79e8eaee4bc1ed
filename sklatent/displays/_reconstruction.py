"""Rows beside their reconstructions."""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._optional_dependencies import check_matplotlib_support

from .._validation import FLOATS
from ..plan import RandomState, seed_of
from ._common import (
    check_feature_names,
    check_image_shape,
    check_option,
    encoder_input,
    in_digits,
    in_units,
    split_pipeline,
)
from ._corrupted import corrupted
from ._drawing import (
    figure_width,
    height_of_tiles,
    legend_beside,
    panels,
    signed_style,
    tiles,
)
from ._profiles import (
    PROFILES,
    check_units,
    draw_profile,
    is_table,
    label_curve_axis,
    label_table_axis,
    positions,
    shared_unit,
    standardised,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = ("first", "worst", "typical")


class ReconstructionDisplay:
    """Rows beside their reconstructions, as images or as profiles over features.

    It is best made with `from_estimator`.

    Parameters
    ----------
    original : array-like of shape (n, n_features)
        The rows.
    reconstruction : array-like of shape (n, n_features)
        Their reconstructions.
    noisy : array-like of shape (n, n_features) or None, default=None
        What the encoder was shown, where that is not `original`.
    indices : array-like of int of shape (n,) or None, default=None
        Which rows of the data they are; None is the first.
    errors : array-like of shape (n,) or None, default=None
        The squared error of each.
    image_shape : tuple of int or None, default=None
        Height and width of images, and 3 for colours; None is profiles.
    feature_names : array-like of shape (n_features,) or None, default=None
        Names; numbers, as wavelengths are, place the features of a curve.
    units : str, array-like of shape (n_features,) or None, default=None
        The unit of all features, or of each.
    center, spread : array-like of shape (n_features,) or None, default=None
        Mean and standard deviation of each feature, by which profiles of a table are
        put on one scale; None is those of `original`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : ndarray of matplotlib Axes of shape (1,) or (n,)
        The one with all images, or one for the profile of each row.
    figure_ : matplotlib Figure
        The figure of them.
    images_ : list of matplotlib AxesImage
        Originals, noisy rows (if there are), reconstructions and differences; none of
        profiles.
    lines_ : list of list of matplotlib Line2D
        Original, noisy row (if there is) and reconstruction of each profile.
    legend_ : matplotlib Legend or None
        Of profiles.

    See Also
    --------
    LatentSpaceDisplay : The latents as a map.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import Autoencoder, ReconstructionDisplay
    >>> X = load_digits().data
    >>> model = Autoencoder(8, max_iter=20, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     model, X, image_shape=(8, 8), rows="worst"
    ... )
    >>> len(display.images_)
    3
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        original: ArrayLike,
        reconstruction: ArrayLike,
        noisy: ArrayLike | None = None,
        indices: ArrayLike | None = None,
        errors: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        units: str | ArrayLike | None = None,
        center: ArrayLike | None = None,
        spread: ArrayLike | None = None,
    ) -> None:
        self.original = original
        self.reconstruction = reconstruction
        self.noisy = noisy
        self.indices = indices
        self.errors = errors
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.units = units
        self.center = center
        self.spread = spread

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        n: int = 8,
        rows: str | ArrayLike = "first",
        X_noisy: Any = None,
        random_state: RandomState = None,
        profile: str = "auto",
        feature_names: ArrayLike | None = None,
        units: str | ArrayLike | None = None,
        line_kw: dict[str, Any] | None = None,
        ax: "Axes | ArrayLike | None" = None,
    ) -> Self:
        """Draw what a fitted encoder makes of rows.

        Parameters
        ----------
        estimator : encoder or Pipeline
            A fitted encoder with ``inverse_transform``, or a pipeline that ends in one
            and whose steps have it; rows are then drawn in the units of the pipeline's.
        X : array-like of shape (n_samples, n_features)
            The rows, without noise.
        image_shape : tuple of int or None, default=None
            Height and width of images, and 3 for colours; None draws profiles.
        n : int, default=8
            How many rows.
        rows : {'first', 'worst', 'typical'} or array-like of int, default='first'
            Which ones: the first, those with the largest squared errors, those whose
            errors are nearest to the median, or these. Errors are those of what the
            encoder is given.
        X_noisy : array-like of shape (n_samples, n_features) or None, default=None
            What to show the encoder in place of `X`. None draws noise for a
            `DenoisingAutoencoder` as its training does, with spread and range of the
            features in `X`, and shows others `X`.
        random_state : int, RandomState instance or None, default=None
            Fixes that noise.
        profile : {'auto', 'curve', 'table'}, default='auto'
            How to draw profiles: as a curve, for spectra and series, or as features of
            units of their own, as z-scores: in standard deviations from the mean of
            `X`. 'auto' is the second up to 30 features.
        feature_names : array-like of shape (n_features,) or None, default=None
            Names; None is those of `X`. Numbers, as wavelengths are, place the features
            of a curve.
        units : str, array-like of shape (n_features,) or None, default=None
            The unit of all features, or of each.
        line_kw : dict or None, default=None
            For ``ax.plot`` of profiles.
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Where to draw. Images take one Axes; profiles one for each row, for which a
            single one is split. None is a new figure.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        ValueError
            If a parameter is not as it must be, or a step has no inverse.
        """
        before, encoder = split_pipeline(cls, estimator, "inverse_transform")
        original = _dense(X)
        n_features = original.shape[1]
        shape = check_image_shape(image_shape, n_features)
        chosen = _check_rows(rows, n, len(original))
        seen = shown = encoder_input(before, X)
        target = _dense(seen)
        if X_noisy is not None:
            shown = encoder_input(before, X_noisy)
            if np.shape(shown) != target.shape:
                raise ValueError(
                    f"X_noisy must have the shape of X, {original.shape}; got "
                    f"{np.shape(X_noisy)}."
                )
        elif hasattr(encoder, "noise_level"):
            encoder.transform(_safe_indexing(seen, [0]))  # refuses other names
            shown = corrupted(encoder, target, seed_of(random_state))
        if isinstance(rows, str) and rows != "first":
            errors = _errors(target, _reconstructed(encoder, shown))
            chosen = _by_error(errors, rows, len(chosen))
        some = _safe_indexing(shown, chosen)
        result = _reconstructed(encoder, some)
        display = cls(
            original=original[chosen],
            reconstruction=in_units(before, result),
            noisy=None if shown is seen else in_units(before, _dense(some)),
            indices=chosen,
            errors=_errors(target[chosen], result),
            image_shape=shape,
            feature_names=check_feature_names(
                feature_names, getattr(estimator, "feature_names_in_", None), n_features
            ),
            units=units,
            center=np.nanmean(original, axis=0),
            spread=np.nanstd(original, axis=0),
        )
        return display.plot(ax, profile=profile, line_kw=line_kw)

    def plot(
        self,
        ax: "Axes | ArrayLike | None" = None,
        *,
        profile: str = "auto",
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Where to draw.
        profile : {'auto', 'curve', 'table'}, default='auto'
            As in `from_estimator`.
        line_kw : dict or None, default=None
            For ``ax.plot`` of profiles.

        Returns
        -------
        display : ReconstructionDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_option("profile", profile, PROFILES)
        self.legend_: Any = None
        self.images_: list[Any] = []
        self.lines_: list[list[Any]] = []
        if self.image_shape is not None:
            self._draw_images(ax, self.image_shape)
        else:
            self._draw_profiles(ax, profile, line_kw or {})
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _shown(self) -> dict[str, NDArray[Any]]:
        """Return what is drawn of the rows, by name."""
        found = {"original": np.asarray(self.original)}
        if self.noisy is not None:
            found["noisy"] = np.asarray(self.noisy)
        return found | {"reconstruction": np.asarray(self.reconstruction)}

    def _titles(self, sep: str) -> list[str]:
        """Return the number of each row, and its error."""
        n = len(np.asarray(self.original))
        indices = np.arange(n) if self.indices is None else np.asarray(self.indices)
        if self.errors is None:
            return [str(i) for i in indices]
        errors = np.asarray(self.errors)
        return [f"{i}{sep}{in_digits(e)}" for i, e in zip(indices, errors, strict=True)]

    def _draw_images(self, ax: Any, shape: tuple[int, ...]) -> None:
        shown = self._shown()
        difference = shown["reconstruction"] - shown["original"]
        images = {name: rows.reshape(-1, *shape) for name, rows in shown.items()}
        signed = difference.reshape(-1, *shape)
        if len(shape) == 3:  # of colours their mean
            signed = signed.mean(axis=3)
        # The range of what is right: noise may be far outside.
        low, high = np.nanmin(shown["original"]), np.nanmax(shown["original"])
        grey = {"cmap": "gray", "vmin": float(low), "vmax": float(high)}
        style = signed_style(signed)
        height = height_of_tiles(len(images) + 1, len(signed), shape)
        self.axes_ = panels(ax, (1, 1), height)[0]
        self.images_ = tiles(
            self.axes_[0],
            [*images.values(), signed],
            [*images, f"difference\n(±{in_digits(style['vmax'])})"],
            self._titles("\n"),
            [*[grey] * len(images), style],
        )
        error = "" if self.errors is None else ", squared error"
        self.axes_[0].set_xlabel(f"row{error}", fontsize="small")

    def _draw_profiles(self, ax: Any, profile: str, given: dict[str, Any]) -> None:
        shown = self._shown()
        n, p = shown["original"].shape
        names = check_feature_names(self.feature_names, None, p)
        units, table = check_units(self.units, p), is_table(profile, p)
        x, y_label = positions(names), shared_unit(units)
        if table:
            x, y_label = np.arange(p, dtype=np.float64), "z-score"
            shown = standardised(shown, self.center, self.spread)
        n_columns = 2 if ax is None and n > 1 and figure_width() >= 5 else 1
        n_rows = -(-n // n_columns)
        height = 1.2 * n_rows + (1.6 if table else 0.9)
        axes = panels(ax, (n_rows, n_columns), height, sharex=True, sharey=True)
        for empty in axes.ravel()[n:]:
            empty.set_axis_off()
        self.axes_ = axes.ravel()[:n]
        for i, axis in enumerate(self.axes_):
            parts = {name: rows[i] for name, rows in shown.items()}
            self.lines_.append(draw_profile(axis, x, parts, given, table=table))
            axis.set_title(
                f"row {self._titles(', error ')[i]}", fontsize="x-small", pad=2
            )
            axis.tick_params(labelsize="x-small")
            axis.margins(y=0.12)
        lowest = [self.axes_[column::n_columns][-1] for column in range(n_columns)]
        for axis in self.axes_ if np.ndim(ax) else lowest:
            axis.tick_params(labelbottom=True)
            (label_table_axis if table else label_curve_axis)(axis, names)
        middle = axes[(n_rows - 1) // 2, 0]
        middle.set_ylabel(y_label, fontsize="small")
        # Above the title.
        self.legend_ = legend_beside(self.axes_[0], "top", borderaxespad=1.6)


def _dense(X: Any) -> NDArray[Any]:
    """Return numbers as a dense array; NaN where there is none."""
    rows = check_array(
        X, accept_sparse=True, dtype=FLOATS, ensure_all_finite="allow-nan"
    )
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def _reconstructed(encoder: Any, X: Any) -> NDArray[Any]:
    with warnings.catch_warnings():  # noise leaves an array of a frame
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        latents = np.asarray(encoder.transform(X))
    return np.asarray(encoder.inverse_transform(latents))


def _errors(X: NDArray[Any], X_hat: NDArray[Any]) -> NDArray[Any]:
    errors: NDArray[Any] = np.nansum(np.square(X - X_hat), axis=1)
    return errors


def _check_rows(rows: Any, n: Any, n_samples: int) -> NDArray[np.intp]:
    """Return the rows that are asked for, or the first ones."""
    if isinstance(rows, str):
        check_option("rows", rows, ROWS)
        if not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"n must be a positive int; got {n!r}.")
        return np.arange(min(int(n), n_samples))
    chosen = np.asarray(rows)
    whole = chosen.ndim == 1 and np.issubdtype(chosen.dtype, np.integer)
    if not whole or not len(chosen) or chosen.min() < 0 or chosen.max() >= n_samples:
        raise ValueError(
            f"rows must be one of {', '.join(ROWS)}, or ints from 0 to "
            f"{n_samples - 1}; got {rows!r}."
        )
    return chosen.astype(np.intp)


def _by_error(errors: NDArray[Any], rows: str, n: int) -> NDArray[np.intp]:
    """Return the rows with the largest errors, or those nearest to the median."""
    rank = -errors if rows == "worst" else np.abs(errors - np.median(errors))
    return np.argsort(rank, kind="stable")[:n]
