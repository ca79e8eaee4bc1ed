"""Scores of latent sizes."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from .._base import BaseLatentEncoder
from ._common import (
    in_lines,
    score_name,
)
from ._drawing import (
    GREY,
    legend_beside,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .._latent_size import LatentSizeCV

#: Of sizes that are near to each other not all are written.
MAX_TICKS = 8


class LatentSizeDisplay:
    """Score against latent size, with the chosen size.

    It is best made with `from_estimator`.

    Parameters
    ----------
    n_components : array-like of shape (n_sizes,)
        The sizes.
    scores : array-like of shape (n_sizes, n_splits)
        Scores of each size, on each fold.
    best_n_components : int
        The chosen size.
    linear_scores : array-like of shape (n_sizes, n_splits) or None, default=None
        Scores of the linear model.
    name : str, default='estimator'
        The estimator's name.
    linear_name : str, default='linear model'
        That of the linear model.
    score_name : str, default='score'
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of it.
    errorbar_ : matplotlib ErrorbarContainer
        Means of the scores, with one standard error.
    linear_line_ : matplotlib ErrorbarContainer or None
        The same for the linear model.
    band_ : matplotlib Patch or None
        What is within one standard error, over folds, of the best mean.
    best_line_ : matplotlib Line2D
        At the chosen size.
    legend_ : matplotlib Legend
        Above the Axes.

    See Also
    --------
    LatentSizeCV : Chooses the size.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import Autoencoder, LatentSizeCV, LatentSizeDisplay
    >>> X = load_wine().data
    >>> search = LatentSizeCV(Autoencoder(random_state=0), [1, 2, 4]).fit(X)
    >>> display = LatentSizeDisplay.from_estimator(search)
    >>> display.ax_.get_xlabel()
    'latent size (n_components)'
    >>> display.score_name
    'variance of hidden cells explained, cross-validated'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        n_components: ArrayLike,
        scores: ArrayLike,
        best_n_components: int,
        linear_scores: ArrayLike | None = None,
        name: str = "estimator",
        linear_name: str = "linear model",
        score_name: str = "score",
    ) -> None:
        self.n_components = n_components
        self.scores = scores
        self.best_n_components = best_n_components
        self.linear_scores = linear_scores
        self.name = name
        self.linear_name = linear_name
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        search: "LatentSizeCV",
        *,
        line_kw: dict[str, Any] | None = None,
        linear_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
        best_kw: dict[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw a fitted search.

        Parameters
        ----------
        search : LatentSizeCV
            A fitted one.
        line_kw, linear_kw : dict or None, default=None
            For ``ax.errorbar`` of the scores and of those of the linear model.
        band_kw : dict or None, default=None
            For ``ax.axhspan`` of what is within one standard error of the best.
        best_kw : dict or None, default=None
            For ``ax.axvline`` at the chosen size.
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LatentSizeDisplay
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        splits = [results[f"split{i}_test_score"] for i in range(search.n_splits_)]
        names = {"Autoencoder": "PCA", "DenoisingAutoencoder": "linear denoiser"}
        name = type(search.estimator).__name__
        display = cls(
            n_components=np.asarray(results["param_n_components"]),
            scores=np.column_stack(splits),
            best_n_components=search.best_n_components_,
            linear_scores=search.linear_scores_,
            name=name,
            linear_name=names.get(name, "linear model"),
            score_name=_name_of_scores(search),
        )
        return display.plot(
            ax, line_kw=line_kw, linear_kw=linear_kw, band_kw=band_kw, best_kw=best_kw
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        line_kw: dict[str, Any] | None = None,
        linear_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
        best_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the scores against the latent size.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.
        line_kw, linear_kw, band_kw, best_kw : dict or None, default=None
            As in `from_estimator`.

        Returns
        -------
        display : LatentSizeDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.ax_ = ax = panels(ax, (1, 1))[0, 0]
        self.figure_ = ax.figure
        self.linear_line_ = None
        if self.linear_scores is not None:
            linear = {"label": self.linear_name, "color": GREY, "fmt": "s--"}
            self.linear_line_ = self._draw(
                self.linear_scores, linear | (linear_kw or {})
            )
        scores = {"label": self.name, "color": "C0", "fmt": "o-"}
        self.errorbar_ = self._draw(self.scores, scores | (line_kw or {}))
        self.band_ = self._draw_band(band_kw or {})
        best: dict[str, Any] = {"color": "C1", "linestyle": ":"}
        best |= {"label": f"chosen: {self.best_n_components}"}
        self.best_line_ = ax.axvline(self.best_n_components, **best | (best_kw or {}))
        ax.set_xscale("log", base=2)
        ticks = _apart(np.unique(np.asarray(self.n_components)))
        ax.set_xticks(ticks, labels=[str(size) for size in ticks])
        ax.minorticks_off()
        ax.set(xlabel="latent size (n_components)", ylabel=in_lines(self.score_name))
        self.legend_ = legend_beside(ax, "top")
        return self

    def _draw(self, scores: ArrayLike, style: dict[str, Any]) -> Any:
        """Draw means and standard errors over the folds."""
        mean, error = _mean_and_error(scores)
        return self.ax_.errorbar(
            self.n_components,
            mean,
            yerr=None if np.isnan(error).all() else error,
            **{"capsize": 3, "markersize": 5} | style,
        )

    def _draw_band(self, given: dict[str, Any]) -> Any:
        """Draw what is within one standard error of the best mean, by folds."""
        mean, error = _mean_and_error(self.scores)
        if np.isnan(error).all() or np.isnan(mean).all():
            return None
        best = int(np.nanargmax(mean))
        style = {"color": "C0", "alpha": 0.25, "linewidth": 0}
        style |= {"label": "within one standard error"}
        return self.ax_.axhspan(mean[best] - error[best], mean[best], **style | given)


def _mean_and_error(scores: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and standard error over folds; of a single one the error is NaN."""
    values = np.asarray(scores)
    n_splits = values.shape[1]
    error = np.full(len(values), np.nan)
    if n_splits > 1:
        error = values.std(axis=1, ddof=1) / np.sqrt(n_splits)
    return values.mean(axis=1), error


def _apart(sizes: NDArray[Any]) -> list[int]:
    """Return sizes, without those whose labels would touch on a logarithmic axis."""
    steps = np.log2(sizes)
    least = (steps[-1] - steps[0]) / MAX_TICKS
    kept = [0]
    for i, step in enumerate(steps):
        if step - steps[kept[-1]] >= least and i:
            kept.append(i)
    return [int(sizes[i]) for i in kept]


def _name_of_scores(search: "LatentSizeCV") -> str:
    """Return what a search has scored, in words."""
    scoring, final = search.scoring_, search.final_estimator
    scored = search.estimator if final is None else final
    last = scored[-1] if isinstance(scored, Pipeline) else scored
    of = "" if final is None else f" of {type(last).__name__}"
    if callable(scoring):
        what = getattr(scoring, "__name__", type(scoring).__name__).strip("_")
    elif scoring == "hidden_cells":
        what = "variance of hidden cells explained"
    elif scoring != "score":
        what = scoring.replace("_", " ")
    elif is_classifier(scored):
        what = "accuracy"
    elif is_regressor(scored):
        what = "R²"
    elif isinstance(scored, BaseLatentEncoder):
        what = score_name(scored)
    else:
        what = "score"
        of = f" of {type(last).__name__}"
    return f"{what}{of}, cross-validated"
