"""The contract with scikit-learn, once for all estimators."""

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
)

from . import runtime
from ._callbacks import ReportsEpochs, with_callbacks
from ._doc_link import DocLinkMixin
from ._partial_fit import PartialFitMixin
from ._state import PlainState
from ._stream import Waiting
from ._validation import FLOATS, all_or_nothing, fit_context, validated
from .model import Inference, Summary, summarise
from .nn import Filling, LatentModel, is_ours
from .plan import (
    CONSTRAINTS,
    Augmentation,
    Auto,
    AutoRules,
    Given,
    Init,
    Missing,
    Network,
    Plan,
    is_linear,
    layer_sizes,
    resolve,
    share_of,
    splits_of,
    with_weights,
)
from .problems import Choice, Problem
from .rows import Array, Rows, Targets, Weights, rows_of
from .starts import rows_and_filling
from .training import (
    Trained,
    add_correction,
    check_callbacks,
    copied,
    skorch_net,
    train,
)


def _fills_cells(estimator: Any) -> bool:
    """Return whether an estimator imputes; raise AttributeError, which says why not."""
    if estimator.missing != "ignore":
        raise AttributeError(
            f"{type(estimator).__name__} imputes with missing='ignore' only; it has "
            f"missing={estimator.missing!r}."
        )
    return True


class BaseLatentEncoder(
    PartialFitMixin,
    DocLinkMixin,
    ReportsEpochs,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    PlainState,
    metaclass=ABCMeta,
):
    """Validates what it is given and delegates to the fitted model.

    An estimator supplies its parameters, its docstring and `_problem`: what a fit is
    of. Think twice before adding anything else to this class.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    #: What 'auto' means.
    _auto: ClassVar[AutoRules] = AutoRules()
    #: The share of latents trained besides those that PCA needs, where `n_components`
    #: is a share of variance.
    _extra_latents: ClassVar[float] = 0.1
    #: Whether held-out rows choose more than an epoch.
    _chooses_by_held_out_rows = False
    #: Parameters that a warm start cannot change, besides the layers and `ordered`.
    _structural: ClassVar[tuple[str, ...]] = (
        "activation",
        "init",
        "encoder",
        "decoder",
    )

    n_components: int | float | None
    hidden_layer_sizes: ArrayLike | Auto
    encoder: Network
    decoder: Network
    init: Init
    ordered: bool | ArrayLike
    #: As long as a subclass has no parameter of this name; as is the next.
    missing: Missing = "error"
    augmentation: Augmentation = None
    warm_start: bool
    device: str
    callbacks: Sequence[Any] | None

    @abstractmethod
    def _problem(self, data: Rows, plan: Plan) -> Problem | Choice:
        """Return what a fit is of: start, module, loss, held-out score and reading.

        Or several such, of which held-out rows choose one.

        Parameters
        ----------
        data : Rows
            The training rows.
        plan : Plan
            What the parameters mean for them.
        """

    def _targets(self, y: Any, classes: Any = None) -> Targets | None:  # noqa: ARG002
        """Return what the rows are to tell besides themselves, checked.

        Of these `classes`, where some may not be in `y`.
        """
        return None

    def _strata(self, targets: Targets | None) -> NDArray[np.intp] | None:  # noqa: ARG002
        """Return what each of a number of folds is to have its share of."""
        return None

    def _check(self, X: NDArray[Any]) -> None:
        """Raise ValueError where the parameters do not go with each other or `X`."""

    def _check_scored(self, X: Any) -> None:
        """Raise ValueError where rows to be scored are not what the model is of."""

    # Fitting --------------------------------------------------------------------

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: Any = None,
    ) -> Self:
        """Fit the model to the rows of `X`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The training data: finite numbers, at least two rows; with
            ``missing='ignore'`` also NaN, and no sparse matrix.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The target of `SupervisedAutoencoder`, which requires it. Else only given
            to `cv`, for splitters that stratify by it.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts, not negative. A whole number is how often the row
            is there: 3 is as three such rows, and 0 as none. Weights that are not all
            whole numbers count beside each other only: a factor in all of them changes
            nothing.
        groups : array-like of shape (n_samples,) or None, default=None
            Which rows belong together, such as those of one subject. Rows of one group
            are on the same side of every split into training and held-out rows. A
            splitter given as `cv` gets them, and must be one that heeds groups.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X`, `y`, `sample_weight`, `groups` or a parameter is not as required, an
            `encoder` or `decoder` has the wrong width, or the training loss becomes
            non-finite with no earlier state to go back to. The estimator is then as it
            was before the call.
        TypeError
            If `encoder` or `decoder` does not make an ``nn.Module``.
        """
        task = self._fit_task(X=X, y=y)
        with all_or_nothing(self):
            ignores = self.missing == "ignore"
            valid = validated(self, X, ignores=ignores, in_order=True, min_samples=2)
            self._fit(valid, y, groups, sample_weight, task=task)
        if task is not None:
            # Callbacks that use the fitted estimator get a copy as it is.
            task.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=dict
            )
        return self

    def _fit(
        self,
        valid: Any,
        y: Any,
        groups: Any = None,
        sample_weight: ArrayLike | None = None,
        classes: NDArray[Any] | None = None,
        task: Any = None,
    ) -> None:
        """Fit the model to validated rows; `classes` are all there are, if not here.

        Callbacks of scikit-learn's follow a `task`.
        """
        self.__dict__.pop("_stream", None)
        check_callbacks(self.callbacks)
        if self.missing == "ignore":
            check_features(self, valid)
        self._check(valid)
        given = Given.of(valid, y, groups, sample_weight)
        targets = self._targets(given.y, classes)
        if targets is not None:
            check_consistent_length(given.X, targets.values)
        previous = self._previous(valid.shape[1], targets)
        data, filling = self._rows(given.X, previous, targets, given.weights)
        seed, splits = splits_of(
            self, data, previous, y=given.y, groups=given.groups, place=given.place
        )
        merged = given.distinct(data, splits)
        if merged is not None:
            if targets is not None:
                targets = targets.merged(merged)
            X, basis = given.X[merged.rows], data.scale.basis
            data, filling = self._rows(X, previous, targets, merged.weights, basis)
            splits = splits.merged(merged, seed)
        plan = resolve(self, data, previous, chosen=(seed, splits))
        if task is not None:
            plan = replace(plan, epochs=self._epochs_of(task))
        foreign = plan.uses_global_generator
        with runtime.fitting(plan.seed, plan.device, uses_global_generator=foreign):
            if filling is not None:
                with runtime.threads_kept():
                    data = add_correction(filling, data, plan)
            problem = self._problem(data, plan)
            if previous is not None and isinstance(problem, Problem):
                problem = problem.continued_from(previous)
            trained = train(problem, plan, data)
            trained.model.filling = filling
            summary = summarise(trained, data, plan)
            self._publish(trained, summary, data, plan)
            scores = self._held_out_scores(trained, data.in_units())
            self.held_out_scores_ = given.back(scores, merged)
        if plan.verbose:
            print(f"[{type(self).__name__}] {self.verdict_}", flush=True)

    def _rows(
        self,
        X: Any,
        previous: LatentModel | None,
        targets: Targets | None,
        weights: Weights | None,
        basis: Array | None = None,
    ) -> tuple[Rows, Filling | None]:
        """Return validated data as training reads it, and what fills missing cells."""
        own = self.encoder is not None or self.decoder is not None
        features = own or self._sees_features() or previous is not None
        features = features or self.augmentation is not None
        known = None
        if previous is not None:
            known = previous.scaling.varying_features().numpy()
        if self.missing == "ignore" and self.augmentation is not None:
            raise ValueError(
                f"augmentation={self.augmentation!r} with missing='ignore', which "
                "requires augmentation=None: missing cells would not move with rows."
            )
        if self.missing == "ignore":
            with runtime.threads_kept(), runtime.caller_modes_off():
                runtime.choose_threads(0.0)
                data, filling = rows_and_filling(
                    X, keeps_constant=own, known=known, weights=weights
                )
            data.targets = targets
            return data, filling
        if previous is not None and previous.scaling.basis is not None:
            basis = previous.scaling.basis.numpy()
        k = self.n_components
        size = int(k) if isinstance(k, Integral) else 0
        data = rows_of(
            X,
            n_components=None if features else size,
            keeps_constant=own,
            known=known,
            basis=basis,
            always_in_basis=self._sees_cells(),
            targets=targets,
            weights=weights,
        )
        return data, None

    def _sees_features(self) -> bool:
        """Return whether networks are to see all features, however many."""
        return False

    def _sees_cells(self) -> bool:
        """Return whether the loss is of rows of which networks see coordinates."""
        return False

    def _auto_rules(self) -> AutoRules:
        """Return what 'auto' means."""
        return self._auto

    def _publish(
        self, trained: Trained, summary: Summary, data: Rows, plan: Plan
    ) -> None:
        """Set the fitted attributes."""
        for name in self.__dict__.pop("_published", ()):  # of an earlier fit
            self.__dict__.pop(name, None)
        trained.model.make_contiguous()
        settings = {"lr": plan.learning_rate, "batch_size": plan.batch_size}
        self.net_ = skorch_net(trained.model, trained.log, settings)
        self.mean_ = data.scale.mean
        self.loss_curve_ = trained.loss_curve
        self.n_iter_ = max(1, len(trained.loss_curve))
        self.best_iteration_ = trained.best_iteration
        self.training_scores_ = np.array(trained.training_scores)
        folds = trained.fold_scores
        self.fold_scores_ = None if folds is None else np.array(folds)
        scores = trained.validation_scores
        self.validation_scores_ = None if scores is None else np.array(scores)
        self.best_validation_score_ = (
            None if scores is None else scores[trained.best_iteration]
        )
        self.verdict_ = trained.verdict
        for name, value in plan.fitted_parameters().items():
            setattr(self, f"{name}_", value)
        self._fitted_with = self._structure(plan.hidden, data.targets)
        self._seed = plan.seed
        self._describe(summary)

    def _held_out_scores(self, trained: Trained, X: Any) -> NDArray[Any]:
        """Return the score of each row by a model that has not seen it, or NaN."""
        scores = np.full(X.shape[0], np.nan, X.dtype)
        for model, held_out in trained.judged():
            model.cpu()
            model.filling = trained.model.filling
            scores[held_out] = self._score_rows(Inference(model), X[held_out])
        return scores

    def _describe(self, summary: Summary) -> None:
        """Set the attributes that describe the latents."""
        attributes = summary.attributes(self.net_.module_)
        self.__dict__.update(attributes)
        self._published = tuple(attributes)
        self._summary = summary
        self._components: NDArray[Any] | None = None

    def _previous(self, n_features: int, targets: Targets | None) -> LatentModel | None:
        """Return the model that `warm_start` continues."""
        if not self.warm_start or not hasattr(self, "net_"):
            return None
        model: LatentModel = self.net_.module_
        self._check_structure(model, targets, "warm_start=True")
        if n_features != len(self.mean_):
            raise ValueError(
                f"X has {n_features} features, but the fitted model that "
                f"warm_start=True continues was fitted on {len(self.mean_)}."
            )
        return None if is_linear(self) else model  # solved anew, if it is linear

    def _check_structure(
        self, model: LatentModel, targets: Targets | None, what: str
    ) -> None:
        """Raise ValueError where parameters are not those of the fitted model."""
        size = self.n_components if share_of(self.n_components) is None else None
        fitted = {"n_components": model.n_components, **self._fitted_with}
        given = {
            "n_components": model.n_components if size is None else size,
            **self._structure(self._fitted_with["hidden_layer_sizes"], targets),
        }
        for name, value in fitted.items():
            if given[name] != value:
                shown = "n_components_" if name == "n_components" else name
                raise ValueError(
                    f"{name}={given[name]!r}, but the fitted model that "
                    f"{what} continues has {shown}={value!r}."
                )

    def _structure(
        self,
        auto_layers: tuple[int, ...],
        targets: Targets | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return what a fitted model's structure follows, by name."""
        is_auto = isinstance(self.hidden_layer_sizes, str)
        is_list = np.ndim(self.ordered) > 0
        listed = tuple(map(int, self.ordered)) if is_list else ()  # type: ignore[arg-type]
        by_share = share_of(self.n_components) is not None
        return {
            "hidden_layer_sizes": (
                auto_layers if is_auto else layer_sizes(self.hidden_layer_sizes)
            ),
            "ordered": listed if is_list else bool(self.ordered) or by_share,
            **{name: _kept(getattr(self, name)) for name in self._structural},
        }

    # Using the fitted model -----------------------------------------------------

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
            scores: NDArray[Any] = -(errors * unit) * unit
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

    def __sklearn_clone__(self) -> Self:
        """Clone as scikit-learn does, but for what it would part or cannot copy.

        Encoder and decoder may share weights, and callbacks hold a file or a lock.
        """
        given = ("encoder", "decoder", "callbacks")
        found = {name: vars(self).get(name) for name in given}
        apart = {name: value for name, value in found.items() if value is not None}
        rest = object.__new__(type(self))
        rest.__dict__.update(vars(self), **dict.fromkeys(apart))
        cloned: Self = super(BaseLatentEncoder, rest).__sklearn_clone__()
        callbacks = apart.pop("callbacks", None)
        cloned.__dict__.update(copy.deepcopy(apart))
        if callbacks is not None:
            cloned.callbacks = type(callbacks)(copied(callbacks))
        return cloned

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy all but callbacks that cannot be copied, which are shared."""
        logged = self.net_.callbacks_ if hasattr(self, "net_") else []
        for callbacks in (self.callbacks or [], logged):
            for callback, other in zip(callbacks, copied(callbacks), strict=True):
                if other is callback:
                    named = isinstance(callback, tuple | list)
                    shared = callback[1] if named else callback
                    memo[id(shared)] = shared
        memo[id(self)] = new = object.__new__(type(self))
        new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return new

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


def check_features(estimator: Any, X: NDArray[Any]) -> None:
    """Raise ValueError if a feature has no observed value."""
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        names = getattr(estimator, "feature_names_in_", np.arange(X.shape[1]))
        raise ValueError(
            f"Feature {names[empty[0]]} of X has no observed value: it is NaN in all "
            "rows. Each feature must have one; drop this one."
        )


def _kept(parameter: Any) -> Any:
    """Return a parameter, or a copy of one that `set_params` changes in place."""
    is_recipe = hasattr(parameter, "get_params") and not isinstance(parameter, type)
    return (type(parameter), parameter.get_params()) if is_recipe else parameter
