"""The course of a training, and the state that was kept."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._common import (
    in_lines,
    score_name,
    split_pipeline,
)
from ._drawing import (
    GREY,
    legend_beside,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TrainingDisplay:
    """Scores of training and held-out rows, epoch by epoch.

    It is best made with `from_estimator`.

    Parameters
    ----------
    training_scores : array-like of shape (n_epochs,)
        After each epoch.
    validation_scores : array-like of shape (n_epochs + 1,) or None, default=None
        Of held-out rows, also before training.
    fold_scores : array-like of shape (n_epochs + 1, n_splits) or None, default=None
        The same by fold.
    best_iteration : int, default=0
        The epoch that was kept; 0 is the start.
    score_name : str, default='score'
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of it.
    training_line_ : matplotlib Line2D
        Scores in training: with its noise, in the mean of an epoch, of networks that
        change meanwhile.
    validation_line_ : matplotlib Line2D or None
        Scores of held-out rows.
    fold_lines_ : list of matplotlib Line2D
        The same for each fold, where there are several.
    start_line_ : matplotlib Line2D or None
        The level of the start on held-out rows.
    best_line_ : matplotlib Line2D
        At the epoch that was kept.
    best_point_ : matplotlib Line2D or None
        Its score on held-out rows.
    legend_ : matplotlib Legend
        Above the Axes.

    See Also
    --------
    LatentSizeDisplay : Scores by the number of latents.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import Autoencoder, TrainingDisplay
    >>> model = Autoencoder(2, max_iter=10, random_state=0).fit(load_wine().data)
    >>> display = TrainingDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'share of variance explained'
    >>> len(display.fold_lines_)
    5
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        training_scores: ArrayLike,
        validation_scores: ArrayLike | None = None,
        fold_scores: ArrayLike | None = None,
        best_iteration: int = 0,
        score_name: str = "score",
    ) -> None:
        self.training_scores = training_scores
        self.validation_scores = validation_scores
        self.fold_scores = fold_scores
        self.best_iteration = best_iteration
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        line_kw: dict[str, Any] | None = None,
        fold_kw: dict[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the training of a fitted encoder.

        Parameters
        ----------
        estimator : encoder or Pipeline
            One of this package, or a pipeline that ends in one.
        line_kw : dict or None, default=None
            For ``ax.plot`` of both curves.
        fold_kw : dict or None, default=None
            For those of the folds.
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : TrainingDisplay
        """
        _, encoder = split_pipeline(cls, estimator, "fold_scores_")
        what = score_name(encoder)
        if hasattr(encoder, "mixing_"):
            what = "shares explained of X and y, weighted"
        display = cls(
            training_scores=encoder.training_scores_,
            validation_scores=encoder.validation_scores_,
            fold_scores=encoder.fold_scores_,
            best_iteration=encoder.best_iteration_,
            score_name=what,
        )
        return display.plot(ax, line_kw=line_kw, fold_kw=fold_kw)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        line_kw: dict[str, Any] | None = None,
        fold_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.
        line_kw, fold_kw : dict or None, default=None
            As in `from_estimator`.

        Returns
        -------
        display : TrainingDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.ticker import MaxNLocator

        self.ax_ = ax = panels(ax, (1, 1))[0, 0]
        self.figure_ = ax.figure
        trained = np.asarray(self.training_scores)
        style: dict[str, Any] = {"markevery": [-1], "markersize": 4}
        style |= line_kw or {}
        look: dict[str, Any] = {"color": "C1", "linestyle": "--", "marker": "s"}
        self.training_line_: Any
        (self.training_line_,) = ax.plot(
            np.arange(1, len(trained) + 1),
            trained,
            **{**look, "label": "training", **style},
        )
        self.validation_line_ = self.start_line_ = self.best_point_ = None
        self.fold_lines_: list[Any] = []
        if self.validation_scores is not None:
            self._draw_held_out(np.asarray(self.validation_scores), style, fold_kw)
        self._draw_kept()
        ax.set(xlabel="epoch", ylabel=in_lines(self.score_name))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.legend_ = legend_beside(ax, "top")
        return self

    def _draw_kept(self) -> None:
        best = self.best_iteration
        look: dict[str, Any] = {"color": "C3", "linewidth": 1}
        kept = f"kept: epoch {best}" if best else "kept: the start"
        if self.validation_scores is None:
            self.best_line_ = self.ax_.axvline(best, **look, label=kept)
            return
        self.best_line_ = self.ax_.axvline(best, **look, alpha=0.6)
        (self.best_point_,) = self.ax_.plot(
            best,
            np.asarray(self.validation_scores)[best],
            **look,
            marker="*",
            markersize=11,
            zorder=3,
            label=kept,
        )

    def _draw_held_out(
        self, scores: Any, style: dict[str, Any], fold_kw: dict[str, Any] | None
    ) -> None:
        ax, epochs = self.ax_, np.arange(len(scores))
        folds = np.asarray(
            scores[:, None] if self.fold_scores is None else self.fold_scores
        )
        if folds.shape[1] > 1:
            thin = {"color": "C0", "linewidth": 0.7, "alpha": 0.5} | (fold_kw or {})
            self.fold_lines_ = ax.plot(epochs, folds, **thin)
            self.fold_lines_[0].set_label(f"{folds.shape[1]} folds")
        (self.validation_line_,) = ax.plot(
            epochs,
            scores,
            **{"color": "C0", "marker": "o", "label": "held-out rows"} | style,
        )
        (self.start_line_,) = ax.plot(
            epochs[[0, -1]],
            scores[[0, 0]],
            color=GREY,
            linestyle=":",
            label="start",
        )
