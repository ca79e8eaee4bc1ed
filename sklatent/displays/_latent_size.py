"""Pictures, in the manner of scikit-learn's displays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .._latent_size import LatentSizeCV


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
    best_line_ : matplotlib Line2D
        At the chosen size.

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
        cls, search: "LatentSizeCV", *, ax: "Axes | None" = None
    ) -> Self:
        """Draw a fitted search.

        Parameters
        ----------
        search : LatentSizeCV
            A fitted one.
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LatentSizeDisplay
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        splits = [results[f"split{i}_test_score"] for i in range(search.n_splits_)]
        final = search.final_estimator
        last = getattr(final, "steps", [("", final)])[-1][1]  # of a pipeline
        scored = "" if final is None else f" of {type(last).__name__}"
        what = f"cross-validated score{scored}"
        if isinstance(search.scoring_, str) and search.scoring_ == "hidden_cells":
            what = "variance of hidden cells explained, cross-validated"
        names = {"Autoencoder": "PCA", "DenoisingAutoencoder": "linear denoiser"}
        name = type(search.estimator).__name__
        display = cls(
            n_components=np.asarray(results["param_n_components"]),
            scores=np.column_stack(splits),
            best_n_components=search.best_n_components_,
            linear_scores=search.linear_scores_,
            name=name,
            linear_name=names.get(name, "linear model"),
            score_name=what,
        )
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the scores against the latent size.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LatentSizeDisplay
            This object, with `ax_` and what is drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib import pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        self.ax_, self.figure_ = ax, ax.figure
        self.linear_line_ = None
        if self.linear_scores is not None:
            self.linear_line_ = self._draw(
                self.linear_scores, label=self.linear_name, color="0.55", fmt="s--"
            )
        self.errorbar_ = self._draw(self.scores, label=self.name, color="C0", fmt="o-")
        self.best_line_ = ax.axvline(
            self.best_n_components,
            color="C1",
            linestyle=":",
            label=f"chosen: {self.best_n_components}",
        )
        ax.set_xscale("log", base=2)
        sizes: Sequence[Any] = np.asarray(self.n_components).tolist()
        ax.set_xticks(sizes, labels=[str(size) for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="latent size (n_components)", ylabel=self.score_name)
        ax.legend(loc="lower right")
        return self

    def _draw(self, scores: ArrayLike, **kwargs: Any) -> Any:
        """Draw means and standard errors over the folds."""
        values = np.asarray(scores)
        n_splits = values.shape[1]
        error = None
        if n_splits > 1:
            error = values.std(axis=1, ddof=1) / np.sqrt(n_splits)
        return self.ax_.errorbar(
            self.n_components,
            values.mean(axis=1),
            yerr=error,
            capsize=3,
            markersize=5,
            **kwargs,
        )
