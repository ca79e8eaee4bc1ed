"""What an encoder does once it is fitted."""

import copy
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from . import runtime
from ._callbacks import ReportsEpochs
from ._doc_link import DocLinkMixin
from ._state import CopiedState
from ._stream import Waiting
from ._validation import FLOATS, validated
from .model import Inference, Summary
from .nn import is_ours
from .plan import Missing, with_weights


def _fills_cells(estimator: Any) -> bool:
    """Return whether an estimator imputes; raise AttributeError, which says why not."""
    if estimator.missing != "ignore":
        raise AttributeError(
            f"{type(estimator).__name__} imputes with missing='ignore' only; it has "
            f"missing={estimator.missing!r}."
        )
    return True


class FittedEncoder(
    DocLinkMixin,
    ReportsEpochs,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CopiedState,
):
    """Validates rows and latents, and delegates to the fitted model."""

    n_components: int | float | None
    ordered: bool | ArrayLike
    #: As long as a subclass has no parameter of this name.
    missing: Missing = "error"
    device: str
    net_: Any
    mean_: NDArray[Any]
    held_out_scores_: NDArray[Any]
    _summary: Summary
    _components: NDArray[Any] | None

    def _check_scored(self, X: Any) -> None:
        """Raise ValueError where rows to be scored are not what the model is of."""

    if TYPE_CHECKING:  # scikit-learn's own has no types

        def fit_transform(
            self, X: ArrayLike, y: Any = None, **fit_params: Any
        ) -> NDArray[Any]: ...

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to its latents.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The latents, in units of `X` (of no unit if ``whiten=True``), float32 for
            float32 `X` and float64 otherwise. Over the training rows they have zero
            mean, are uncorrelated and sorted by variance. Those of
            `VariationalAutoencoder` are the means of the posteriors instead: of no
            unit, with the prior N(0, I), sorted by `kl_per_component_`.
        """
        return self._inference.encode(self._validate(X))

    def transform_batches(
        self, X: ArrayLike, batch_size: int = 10_000
    ) -> Iterator[NDArray[Any]]:
        """Map `X` to its latents, some rows at a time.

        For rows of which not even the latents fit in memory, such as those of a
        ``numpy.memmap``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data. They are checked at once.
        batch_size : int, default=10_000
            Rows whose latents are made together.

        Returns
        -------
        blocks : iterator of ndarray of shape (n_rows, n_components)
            What `transform` makes of the next rows, as an array whatever `set_output`
            says.

        Raises
        ------
        ValueError
            If `X` is not as `transform` requires it, or `batch_size` is below 1.
        TypeError
            If it is no int.
        """
        check_scalar(batch_size, "batch_size", Integral, min_val=1)
        valid = self._validate(X)
        starts = range(0, valid.shape[0], int(batch_size))
        return (self._inference.encode(valid[i : i + batch_size]) for i in starts)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map latents back to rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latents, as `transform` gives them; with ``ordered=True`` also the first
            few columns of them.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The rows, on the scale of the training data.
        """
        check_is_fitted(self)
        k = self.net_.module_.n_components
        latents = check_array(
            X,
            dtype=FLOATS,
            ensure_min_features=min(1, k),
            input_name="X",
            estimator=self,
        )
        width = latents.shape[1]
        if width > k or (width < k and not self._summary.ordered):
            raise ValueError(
                f"X has {width} columns, but {type(self).__name__} has "
                f"n_components_={k}; give it what transform returns (fewer columns "
                "require a model fitted with ordered=True)."
            )
        return self._inference.decode(latents)

    def reconstruct(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to its latents and back.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            Equal to ``inverse_transform(transform(X))``.
        """
        return self._inference.map_rows(self._validate(X), lambda model, x: model(x))

    @available_if(_fills_cells)
    def impute(self, X: ArrayLike) -> NDArray[Any]:
        """Fill the missing cells of `X`.

        A missing cell gets its expectation under a Gaussian with any covariance, given
        the observed cells of its row, plus a correction by a network where that fills
        cells hidden from held-out rows better. This is not limited to what
        `n_components` latents tell, as `reconstruct` is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data, NaN where missing.

        Returns
        -------
        X_filled : ndarray of shape (n_samples, n_features)
            Observed cells as they are, and finite numbers in place of the others.
        """
        return self._inference.map_rows(
            self._validate(X), lambda model, x: model.impute(x)
        )

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Return how well each row is reconstructed.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the squared distance between the row and its reconstruction, in
            squared units of `X`; with another `loss` minus its deviance. Low scores
            point to outliers.
        """
        valid = self._validate(X)
        self._check_scored(valid)
        return self._score_rows(self._inference, valid)

    def _score_rows(self, inference: Inference, X: NDArray[Any]) -> NDArray[Any]:
        """Return the score of each row by a model; as `score_samples`."""
        errors = inference.errors(X)
        unit = errors.dtype.type(inference.model.unit)
        with np.errstate(over="ignore", under="ignore"):  # -inf and 0 are right
            scores: NDArray[Any] = (-(errors * unit) * unit).astype(X.dtype)
        return scores

    def score(
        self,
        X: ArrayLike,
        y: Any = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> float:
        r"""Return the share of variance that the model explains of `X`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts.

        Returns
        -------
        score : float
            :math:`1 - \|X - \hat X\|^2 / \|X - \mathrm{mean\_}\|^2`: 1 is a perfect
            reconstruction and 0 what the mean alone achieves. On the training rows of
            PCA it is ``explained_variance_ratio_.sum()``. With another `loss` it is
            the share of deviance explained, :math:`1 - D(X, \hat X) / D(X,
            \mathrm{mean\_})`.
        """
        valid = self._validate(X)
        self._check_scored(valid)
        valid, weights = with_weights(valid, sample_weight)
        errors = self._inference.errors(valid)
        left = float(
            errors.sum(dtype=np.float64) if weights is None else weights @ errors
        )
        total = self._inference.error_of_mean(valid, weights)
        if total == 0:
            return 1.0 if left == 0 else 0.0
        if not np.isfinite(left):  # so far away that squares leave the floats
            return -np.inf
        return 1.0 - left / total

    @property
    def components_(self) -> NDArray[Any]:
        """Mean change of each feature by a unit step along each latent."""
        check_is_fitted(self)
        if self._components is None:
            mean = self._inference.mean_jacobian(
                self._summary.codes, self._summary.code_weights
            )
            steps = mean / self._summary.whitened_by[:, None]
            self._components = steps.astype(self.mean_.dtype)
        return self._components

    def feature_influence(self, X: ArrayLike) -> NDArray[Any]:
        """Return what a unit step along each latent changes, for each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        influence : ndarray of shape (n_samples, n_components, n_features)
            Entry (i, j, f) is the derivative of feature f of the reconstruction of row
            i by its latent j, in units of `X` per unit of the latent (before
            whitening). Its mean over the training rows is `components_`.
        """
        return self._influence(self._inference.encode(self._validate(X)))

    def _influence(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Return what a unit step along each latent changes, for rows of latents."""
        influence = self._inference.jacobians(Z)
        influence /= self._summary.whitened_by[:, None].astype(influence.dtype)
        return influence

    def truncate(self, n_components: int) -> Self:
        """Return the model of the first latents only.

        Parameters
        ----------
        n_components : int
            How many, at most `n_components_`.

        Returns
        -------
        truncated : object
            A fitted estimator of the same class, of which ``transform(X)`` is
            ``transform(X)[:, :n_components]`` of this one. It shares nothing with it.

        Raises
        ------
        ValueError
            If the model was not fitted with ``ordered``, or has fewer latents.
        TypeError
            If `n_components` is no int.
        """
        check_is_fitted(self)
        check_scalar(n_components, "n_components", Integral, min_val=1)
        k = self.net_.module_.n_components
        if not self._summary.ordered:
            raise ValueError(
                "truncate requires a model fitted with ordered=True; the first latents "
                f"of this one, fitted with ordered={self.ordered!r}, are no model."
            )
        if n_components > k:
            raise ValueError(
                f"n_components={n_components}, but the fitted model has "
                f"n_components_={k}."
            )
        size = int(n_components)
        with runtime.caller_modes_off():
            truncated = copy.deepcopy(self)
            truncated.net_.module_.truncate(size)
            truncated.net_.module_.make_contiguous()
            truncated.net_.initialize_optimizer()
        truncated._describe(truncated._summary.first(size))
        truncated.held_out_scores_ = np.full_like(self.held_out_scores_, np.nan)
        truncated.n_components = size
        truncated.__dict__.pop("_stream", None)
        if not np.ndim(truncated.ordered):
            truncated.ordered = True  # as a share of variance had it
        return truncated

    def _describe(self, summary: Summary) -> None:
        """Set the attributes that describe the latents."""
        attributes = summary.attributes(self.net_.module_)
        self.__dict__.update(attributes)
        self._published = tuple(attributes)
        self._summary = summary
        self._components = None

    @property
    def _inference(self) -> Inference:
        check_is_fitted(self)
        return Inference(self.net_.module_, self.device)

    def _validate(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        ignores = self.net_.module_.filling is not None
        valid: NDArray[Any] = validated(self, X, ignores=ignores, reset=False)
        return valid

    # For scikit-learn, and for pickles --------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.n_components)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.missing != "ignore"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = self.missing == "ignore"
        return tags

    def _check_loaded(self) -> None:
        """Raise ValueError unless module, attributes and summary go with each other."""
        begins = isinstance(getattr(self, "_stream", None), Waiting)
        if begins or not hasattr(self, "n_features_in_"):  # it is not fitted
            return
        model, summary = self.net_.module_, self._summary
        k, p = model.n_components, self.n_features_in_
        shapes = {
            "mean_": (np.shape(self.mean_), (p,)),
            "n_components_": (self.n_components_, k),
            "latents": (np.shape(summary.codes)[1:], (k,)),
            "deviations": (np.shape(summary.deviations), (k,)),
            "whitening": (np.shape(summary.whitened_by), (k,)),
        }
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise ValueError(f"{name} of shape {found} where {wanted} is right")
        # A module of the user's may draw at random, or take long.
        if is_ours(model) and model.reconstructed_shape(p) != (1, p):
            raise ValueError(f"no model of {p} features")
        summary.attributes(model)
