"""Fitting in parts: rows that come one batch after the other."""

from collections.abc import Callable
from dataclasses import replace
from functools import update_wrapper
from numbers import Real
from types import MethodType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from . import runtime
from ._fitted import FittedEncoder
from ._stream import Call, Sketch, Stream, Waiting
from ._validation import all_or_nothing, fit_context, targets_of, validated
from .model import EarlierLatents, Inference, Summary, summarise
from .plan import Network, Plan, has_own_networks, is_linear, plan_further, share_of
from .problems import Choice, Problem
from .rows import Rows, TargetKind, Targets
from .starts import RunningAxes, SeenRows
from .training import Trained, check_callbacks, train_further

#: Latents of a fit's rows of which rows are made again, at most.
MAX_ROWS_OF_SKETCH = 1000
#: Rows by which latents are turned.
MAX_TURNED_BY = 1000


class NotOfferedError(AttributeError, ValueError):
    """A method cannot be had with these parameters; `hasattr` says so as well."""


class offered_if:  # noqa: N801
    """A decorator of methods that some parameters rule out.

    As :func:`~sklearn.utils.metaestimators.available_if`, whose error says not why.

    Parameters
    ----------
    check : callable
        Raises `NotOfferedError` for an estimator that has not the method.
    """

    def __init__(self, check: Callable[[Any], None]) -> None:
        self.check = check

    def __call__(self, method: Callable[..., Any]) -> Self:
        """Take the method."""
        update_wrapper(self, method)
        self.method = method
        return self

    def __get__(self, estimator: Any, owner: Any = None) -> Any:
        """Return the method, bound to an estimator that has it."""
        if estimator is None:
            return self.method
        self.check(estimator)
        return MethodType(self.method, estimator)


def can_be_fitted_in_parts(estimator: Any) -> None:
    """Raise NotOfferedError where a model follows from all rows at once only."""
    size = estimator.n_components
    if isinstance(size, Real) and share_of(size) is not None:
        raise NotOfferedError(
            f"n_components={estimator.n_components!r}, but partial_fit requires an int "
            "or None: how many latents explain a share of variance changes as rows "
            "come."
        )
    if estimator.missing != "error":
        raise NotOfferedError(
            f"missing={estimator.missing!r}, but partial_fit requires missing='error': "
            "the principal axes of rows with missing cells cannot be updated."
        )
    if estimator._sees_cells():
        raise NotOfferedError(
            "likelihood='multinomial' is of sparse rows of all words at once; "
            "partial_fit requires another likelihood."
        )


class StreamingEncoder(FittedEncoder):
    """Fits, and goes on fitting, to rows that come in parts."""

    early_stopping: bool | str
    validation_fraction: float
    encoder: Network
    decoder: Network
    best_iteration_: int
    verdict_: str
    _seed: int
    _stream: Stream | Waiting

    if TYPE_CHECKING:  # of the class that fits to all rows at once

        def _check(self, X: NDArray[Any]) -> None: ...
        def _fit(
            self, X: Any, y: Any, *, classes: Any, keeps_held_out: bool
        ) -> None: ...
        def _problem(self, data: Rows, plan: Plan) -> Problem | Choice: ...
        def _check_structure(
            self, model: Any, targets: Targets | None, what: str
        ) -> None: ...
        def _publish(
            self, trained: Trained, summary: Summary, data: Rows, plan: Plan
        ) -> None: ...

    @offered_if(can_be_fitted_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the model to more rows, without those of earlier calls.

        Rows are collected until there are `n_components` of them, and two at least;
        with these it is `fit`. Later calls follow the mean and the principal axes of
        all rows, as :class:`~sklearn.decomposition.IncrementalPCA` does, start from
        these, and train the networks for one epoch, on the new rows and as many earlier
        ones, at least 2000. A learning rate of 'auto' starts with half of that of
        `fit`, and grows or falls as calls make the model better or not. Kept for this
        are up to 4000 rows, or 32 MB of them, drawn uniformly from all, and a quarter
        of that of held-out ones: the share `validation_fraction` of each call, which is
        not trained on (but in a first call of less than 800 rows). Pickles have them;
        `clone` has not. The model that is kept is the one that held-out rows find best.

        The latents are turned onto those before, so that a model that uses them need
        not be fitted again; `latent_drift_` says what is left. They have then no longer
        the order and the variances that `fit` gives them. A linear model has the
        components and signs of IncrementalPCA. Read more in the :ref:`user guide
        <streams>`.

        After `fit` it goes on from its model. A later `fit` begins anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            More rows, one at least. In the dtype of the first ones.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The target of `SupervisedAutoencoder`, which requires it.

        Returns
        -------
        self : object
            The estimator. It is not fitted as long as there are too few rows.

        Raises
        ------
        ValueError
            If `X` or `y` is not as required, `n_components` is a share of variance,
            `missing` is 'ignore', `X` is sparse, or a parameter has changed that
            `warm_start` could not change. The estimator is then as it was.
        """
        return self._partial_fit(X, y)

    def _partial_fit(
        self, X: ArrayLike, y: Any = None, classes: ArrayLike | None = None
    ) -> Self:
        with all_or_nothing(self):
            if issparse(X):
                raise ValueError(
                    "X is sparse; partial_fit requires dense rows, as X.toarray() "
                    "gives them."
                )
            fitted, stream = hasattr(self, "net_"), getattr(self, "_stream", None)
            begins = stream is None and not fitted
            valid = validated(self, X, ignores=False, reset=begins, in_order=True)
            check_callbacks(self.callbacks)
            self._check(valid)
            if fitted:
                if not isinstance(stream, Stream):
                    stream = self._stream_after_fit(valid)
                self._fit_further(stream, valid, y, classes)
            else:
                self._collect(stream, valid, y, classes)
        return self

    # The first rows -------------------------------------------------------------

    def _collect(
        self, waiting: Waiting | None, X: NDArray[Any], y: Any, classes: Any
    ) -> None:
        """Keep rows until there are enough to fit to, and fit to them."""
        given = targets_of(y, len(X)) if self._has_targets else None
        known = None if classes is None else np.unique(np.asarray(classes))
        waiting = Waiting(X, given, known).joined(waiting)
        n, p = waiting.X.shape
        self._stream, self.n_samples_seen_ = waiting, n
        size = 0 if self.n_components is None else int(self.n_components)
        if n >= max(2, min(size, p)) and self._suffice(waiting.y):
            classes = waiting.classes
            self._fit(waiting.X, waiting.y, classes=classes, keeps_held_out=True)
            self._stream = self._first_stream(waiting)

    def _first_stream(self, waiting: Waiting) -> Stream:
        """Return the stream after the rows of the first fit."""
        X, kind = waiting.X, self._target_kind()
        y = None if kind is None else kind.given(waiting.y, len(X))
        axes = RunningAxes.of(X, self._n_features_out)
        stream = Stream.begun(self._seed, axes, X, kind)
        held_out, share = np.isfinite(self.held_out_scores_), self._share_held_out
        if not held_out.any() or held_out.all() or not share:  # or in folds
            held_out = stream.held_out_of(len(X), share)
        return replace(stream.with_rows(X, y, held_out), axes=axes)

    def _stream_after_fit(self, X: NDArray[Any]) -> Stream:
        """Return a stream of which `fit` has seen the first rows."""
        seen = self._summary.seen
        if seen is None:
            raise ValueError(
                "partial_fit cannot go on from this model: it was truncated, or fitted "
                "to sparse rows of many features, to missing cells, or to features "
                "whose mean is more than 1e308 times as large as their spread."
            )
        axes, none = seen.axes(), X[:1].astype(self.mean_.dtype)
        stream = Stream.begun(self._seed, axes, none, self._target_kind())
        return replace(stream, fitted=self._sketch(seen, axes))

    def _sketch(self, seen: SeenRows, axes: RunningAxes) -> Sketch | None:
        """Return rows that stand for those of the fit, if there are any that can."""
        if not self._follows_a_gaussian():
            return None
        if seen.targets is None:
            return Sketch.of_axes(axes)
        codes, weights = self._summary.codes, self._summary.code_weights
        step = -(-len(codes) // MAX_ROWS_OF_SKETCH)
        Z = codes[::step].astype(np.float64)
        rows = Inference(self.net_.module_).decode(Z)
        weights = None if weights is None else weights[::step]
        return Sketch.of_latents(seen, Z, rows, weights, self._seed)

    # Later rows -----------------------------------------------------------------

    def _fit_further(
        self, stream: Stream, X: NDArray[Any], y: Any, classes: Any
    ) -> None:
        """Follow the axes of all rows, and train the networks for one epoch."""
        X = X.astype(self.mean_.dtype, copy=False)
        call, is_held_out = self._call(stream, X, y, classes)
        previous = self.net_.module_ if stream.network is None else stream.network
        rows = call.rows(previous, keeps_constant=has_own_networks(self))
        if not self._share_held_out:
            rows = replace(rows, held_out=None)
        data = rows.all_seen
        self._check_structure(previous, data.targets, "partial_fit")
        sizes = call.stream.axes.n, stream.rate
        plan = plan_further(self, rows.training, previous, call.seed, *sizes)
        foreign = plan.uses_global_generator
        with runtime.fitting(plan.seed, plan.device, uses_global_generator=foreign):
            problem = self._problem(data, plan)
            assert isinstance(problem, Problem)  # `mixing` has been chosen
            if not plan.linear:
                problem = problem.continued_from(previous)
            has_gained = stream.network is None and self.best_iteration_ > 0
            further = train_further(problem, plan, rows, has_gained=has_gained)
            earlier = self._earlier_latents(call, data)
            summary = summarise(further.trained, data, plan, earlier)
            self._publish(further.trained, summary, data, plan)
            self.held_out_scores_ = np.full(len(X), np.nan, X.dtype)
            if is_held_out.any():
                scores = self._score_rows(self._inference, X[is_held_out])
                self.held_out_scores_[is_held_out] = scores
        self._stream = call.stream.after(further.network, further.gains)
        if plan.verbose:
            print(f"[{type(self).__name__}] {self.verdict_}", flush=True)

    def _call(
        self, stream: Stream, X: NDArray[Any], y: Any, classes: Any
    ) -> tuple[Call, NDArray[np.bool_]]:
        """Return new rows with those that stand for earlier ones, and what is kept."""
        kind, given = stream.kind, None
        if kind is not None:
            kind.check_same(classes)
            given = kind.given(y, len(X))
        if is_linear(self) and self._is_of_axes_alone:
            return Call.of_axes(stream, X), np.zeros(len(X), bool)
        held_out = stream.held_out_of(len(X), self._share_held_out)
        return Call.of(stream, X, given, held_out), held_out

    def _earlier_latents(self, call: Call, data: Rows) -> EarlierLatents:
        """Return what the model before makes of real rows."""
        some = call.real[-MAX_TURNED_BY:]
        z = Inference(self.net_.module_).encode(call.X[some].astype(np.float64))
        z *= self._summary.whitened_by
        return EarlierLatents(data[some], torch.from_numpy(z))

    @property
    def _share_held_out(self) -> float:
        """Which share of new rows is held out."""
        if is_linear(self) or not self.early_stopping:
            return 0.0
        return float(self.validation_fraction)

    # What estimators may say otherwise --------------------------------------------

    #: Whether `y` says more than folds.
    _has_targets = False
    #: Whether a linear model follows from the principal axes, whatever the rows.
    _is_of_axes_alone = False

    def _suffice(self, y: Any) -> bool:  # noqa: ARG002
        """Return whether there are targets enough to begin with."""
        return True

    def _target_kind(self) -> TargetKind | None:
        """Return what the fitted model's targets are."""
        return None

    def _follows_a_gaussian(self) -> bool:
        """Return whether rows of a Gaussian are such as the model is of."""
        return True
