"""The contract with scikit-learn, once for all estimators."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_consistent_length

from . import runtime
from ._callbacks import with_callbacks
from ._partial_fit import StreamingEncoder
from ._validation import all_or_nothing, check_gaps, fit_context, validated
from .model import Inference, Summary, summarise
from .nn import Filling, LatentModel
from .plan import (
    CONSTRAINTS,
    Augmentation,
    Auto,
    AutoRules,
    Given,
    Init,
    Plan,
    has_own_networks,
    is_linear,
    layer_sizes,
    resolve,
    share_of,
    splits_of,
)
from .problems import Choice, Problem
from .rows import Array, Rows, Targets, Weights, rows_of
from .starts import rows_and_filling
from .training import Trained, add_correction, check_callbacks, skorch_net, train


class BaseLatentEncoder(StreamingEncoder, metaclass=ABCMeta):
    """Validates the rows of a fit, and publishes the fitted model.

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

    hidden_layer_sizes: ArrayLike | Auto
    init: Init
    #: As long as a subclass has no parameter of this name.
    augmentation: Augmentation = None
    warm_start: bool

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
        *,
        keeps_held_out: bool = False,
    ) -> None:
        """Fit the model to validated rows; `classes` are all there are, if not here.

        Callbacks of scikit-learn's follow a `task`. A stream keeps its held-out rows.
        """
        self.__dict__.pop("_stream", None)
        check_callbacks(self.callbacks)
        if self.missing == "ignore":
            check_gaps(self, valid)
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
        plan = replace(plan, keeps_held_out=keeps_held_out)
        if task is not None:
            plan = replace(plan, epochs=self._epochs_of(task))
        foreign = plan.uses_global_generator
        with runtime.fitting(plan.seed, plan.device, uses_global_generator=foreign):
            if filling is not None:
                with runtime.threads_kept():
                    data = add_correction(filling, data, plan)
            scores = self._train(data, filling, plan)
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
        own, known = has_own_networks(self), None
        if previous is not None:
            known = previous.scaling.varying_features().numpy()
            if previous.scaling.basis is not None:
                basis = previous.scaling.basis.numpy()
        if self.missing == "ignore":
            with runtime.threads_kept(), runtime.caller_modes_off():
                runtime.choose_threads(0.0)
                data, filling = rows_and_filling(
                    X, keeps_constant=own, known=known, weights=weights
                )
            data.targets = targets
            return data, filling
        features = own or self._sees_features() or previous is not None
        features = features or self.augmentation is not None
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

    def _train(self, data: Rows, filling: Filling | None, plan: Plan) -> NDArray[Any]:
        """Train a model and publish it; return the scores of held-out rows."""
        problem = self._problem(data, plan)
        if plan.previous is not None and isinstance(problem, Problem):
            problem = problem.continued_from(plan.previous)
        trained = train(problem, plan, data)
        trained.model.filling = filling
        self._publish(trained, summarise(trained, data, plan), data, plan)
        return self._held_out_scores(trained, data.in_units())

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


def _kept(parameter: Any) -> Any:
    """Return a parameter, or a copy of one that `set_params` changes in place."""
    is_recipe = hasattr(parameter, "get_params") and not isinstance(parameter, type)
    return (type(parameter), parameter.get_params()) if is_recipe else parameter
