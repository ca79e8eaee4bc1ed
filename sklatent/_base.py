"""What every estimator promises, in one place: how it is fitted."""

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.validation import validate_data
from torch import Tensor

from ._assembly import Architecture, Network, assemble
from ._batches import Prefixes
from ._components import ComponentsMixin
from ._devices import training_device
from ._fitting import Trained, train
from ._isolation import choose_threads, isolated
from ._ordered import OrderedLatentsMixin
from ._parameters import (
    CONSTRAINTS,
    layer_sizes,
    n_decoders,
    pace,
    seed_of,
    torch_dtype,
)
from ._reconstruction import FLOATS
from ._scaling import Part, ScaledRows, centre_and_scale
from ._selection import Plan, make_plan
from ._training import Objective, TrainingOptions
from .nn import (
    LatentFrame,
    Moments,
    decoder_gram,
    ordered_frame,
    principal_frame,
)


class BaseLatentEncoder(
    OrderedLatentsMixin,
    ComponentsMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """The contract with scikit-learn, once for all estimators.

    A sibling says how its linear start is solved (`_linear_start`), what is to become
    small (`_objective`), and, where it is no plain autoencoder, which module it trains
    (`_assemble`), in which frame its latents are read (`_frame`), what follows training
    (`_finish`), and how rows are scored.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    @abstractmethod
    def __init__(
        self,
        n_components: int | float | None,
        *,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        init: str,
        whiten: bool,
        ordered: bool | Sequence[int],
        encoder: Network,
        decoder: Network,
        learning_rate: float | str,
        weight_decay: float,
        batch_size: int | str,
        max_iter: int | str,
        early_stopping: bool | str,
        validation_fraction: float,
        n_iter_no_change: int,
        tol: float,
        warm_start: bool,
        random_state: Any,
        verbose: int,
        device: str,
        callbacks: Sequence[Any] | None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.whiten = whiten
        self.ordered = ordered
        self.encoder = encoder
        self.decoder = decoder
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.callbacks = callbacks

    # The hooks ------------------------------------------------------------------

    @abstractmethod
    def _linear_start(self, rows: ScaledRows, seed: int) -> Any:
        """Solve for the linear model that training starts from."""

    @abstractmethod
    def _objective(self, rows: ScaledRows) -> Objective:
        """Say what is to become small, over scaled rows like these."""

    def _prepare(self, rows: ScaledRows, seed: int) -> None:
        """Settle what depends on all scaled rows, before anything is built of them."""

    def _assemble(self, start: Any, rows: ScaledRows, seed: int) -> Any:  # noqa: ARG002
        """Return the module before training, in float64."""
        return assemble(
            self._architecture(),
            start,
            unit=self._scale,
            seed=seed,
        )

    def _frame(self, module: Any, moments: Moments, untouched: bool) -> LatentFrame:
        """Return the frame of the latents, in which they are not whitened."""
        if untouched and self._start_is_in_frame:
            frame: LatentFrame = module.frame
            return frame
        make = ordered_frame if self._is_ordered else principal_frame
        gram = decoder_gram(module.decoder, moments.few())
        return make(moments, gram, self._scale)

    def _see(self, module: Any, x: Tensor) -> Tensor:
        """Return the latents of scaled training rows, once for each row."""
        u: Tensor = module.latents(x)
        return u

    def _finish(self, X: NDArray[Any], seed: int) -> None:  # noqa: ARG002
        """Set what else is to be known of the fitted model."""
        self._set_noise_variance()

    #: Whether the latents of the linear start read like PCA's as they are.
    _start_is_in_frame: ClassVar[bool] = True

    def _foreign(self) -> bool:
        """Whether code runs in training that may draw from PyTorch's generator."""
        given = (self.encoder, self.decoder, self.callbacks)
        return any(part is not None for part in given)

    def _check(self, X: NDArray[Any]) -> None:
        """Raise ValueError where parameters and rows do not go together."""

    # Fitting --------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:  # noqa: ARG002
        """Fit the model to the rows of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data: finite numbers, at least two rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` or a parameter is not as wanted, an `encoder` or `decoder` has the
            wrong width, or the training loss becomes non-finite with no earlier state
            to go back to. The estimator is then as it was before the call.
        TypeError
            If `encoder` or `decoder` does not make an ``nn.Module``.
        """
        with self._all_or_nothing():
            rows = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
            self._check(rows)
            seed = seed_of(self.random_state)
            # Only our own networks draw from generators of their own.
            with isolated(seed, alone=self._foreign()):
                self._fit(rows, seed)
        return self

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put all attributes back if the block does not end well."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fit(self, X: NDArray[Any], seed: int) -> None:
        """Fit to validated rows."""
        previous = self._previous_module(X)
        good_start = previous is not None or self.init == "pca"
        plan = self._plan(len(X), good_start, seed)
        if previous is None:
            self.mean_, self._scale = centre_and_scale(X)
        rows = ScaledRows(X, self.mean_, self._scale)
        if previous is None:
            self.n_components_ = self._n_latents(rows, plan, seed)
            self._n_inner = self.n_components_
            self._prepare(rows, seed)
        self._pace = pace(self, len(X), ordered=self._prefixes() is not None)
        exact: dict[str, Tensor] = {}

        def build(part: Part) -> Any:
            module = copy.deepcopy(previous)
            if module is None:
                solve = self.init == "pca"
                start = self._linear_start(rows[part], seed) if solve else None
                module = self._assemble(start, rows[part], seed)
            # The last module built is the one that is kept. Training rounds its
            # linear part to float32; this is what puts the exact one back.
            exact.update(module.fixed_state())
            return module.float()

        trained = self._train(build, rows, plan, seed)
        trained.net.module_.to(torch_dtype(X.dtype))
        trained.net.module_.load_state_dict(exact, strict=False)
        untouched = trained.best_iteration == 0 and previous is None
        self._describe(trained, X, rows, seed, untouched)

    def _describe(
        self,
        trained: Trained,
        X: NDArray[Any],
        rows: ScaledRows,
        seed: int,
        untouched: bool,
    ) -> None:
        """Set the frame of the latents, and all that is to be known of the model."""
        self.net_ = trained.net
        self._fitted_with = self._structure()
        module = self.net_.module_
        exactly = module if X.dtype == np.float64 else copy.deepcopy(module).double()
        # What training rounded to float32 need not be looked at with more.
        moments = self._pass(exactly if untouched else module, rows)
        frame = self._frame(exactly, moments, untouched and self.init == "pca")
        frame = frame.first(self.n_components_)
        module.frame = copy.deepcopy(frame).to(torch_dtype(X.dtype))
        self._read(moments, frame, X.dtype)
        if self._is_ordered:
            self._judge_sizes(trained.judged or [(module, np.arange(len(X)))], rows)
        self._finish(X, seed)
        self.best_iteration_ = trained.best_iteration
        self.loss_curve_ = trained.loss_curve
        self.n_iter_ = max(1, len(trained.loss_curve))
        scores = trained.validation_scores
        self.validation_scores_ = None if scores is None else np.array(scores)
        self.best_validation_score_ = (
            None if scores is None else scores[trained.best_iteration]
        )
        if self._wanted_share is not None:
            self._keep_first(self._smallest_size(self._wanted_share))

    def _plan(self, n_samples: int, good_start: bool, seed: int) -> Plan:
        """Choose the rows to hold out."""
        if self._is_linear():
            return Plan([], refit=False)  # the closed form is the optimum
        return make_plan(
            n_samples,
            self.early_stopping,
            self.validation_fraction,
            seed,
            good_start=good_start,
        )

    def _previous_module(self, X: NDArray[Any]) -> Any:
        """Return the module to continue from, if `warm_start` wants one."""
        if not self.warm_start or not hasattr(self, "net_"):
            return None
        wanted = None if self._wanted_share is not None else self.n_components
        if wanted not in (None, self.n_components_):
            raise ValueError(
                f"n_components={self.n_components}, but the fitted model that "
                f"warm_start=True continues has n_components_={self.n_components_}."
            )
        n_features = len(self.mean_)
        if X.shape[1] != n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but the fitted model that "
                f"warm_start=True continues was fitted on {n_features}."
            )
        for name, fitted in self._fitted_with.items():
            if (given := self._structure()[name]) != fitted:
                raise ValueError(
                    f"{name}={given!r}, but the fitted model that warm_start=True "
                    f"continues has {name}={fitted!r}."
                )
        if self._is_linear():
            return None  # solved anew: there is nothing to continue
        return self.net_.module_

    def _structure(self) -> dict[str, Any]:
        """Return the parameters of ours that the module's structure follows."""
        return {
            "hidden_layer_sizes": layer_sizes(self.hidden_layer_sizes),
            "activation": self.activation,
            "init": self.init,
            "ordered": self._ordering(),
        }

    def _is_linear(self) -> bool:
        """Whether the closed form is all there is."""
        own = self.encoder is None and self.decoder is None
        return own and self.init == "pca" and not len(self.hidden_layer_sizes)

    def _architecture(self) -> Architecture:
        return Architecture(
            n_features=len(self.mean_),
            n_components=self.n_components_,
            hidden=layer_sizes(self.hidden_layer_sizes),
            activation=self.activation,
            encoder=self.encoder,
            decoder=self.decoder,
            n_codes=self._n_codes,
            prefixes=self._prefixes(),
            n_decoders=n_decoders(self._pace.batch_size),
            weight_size=self._pace.weight_size,
        )

    #: The largest learning rate that 'auto' takes.
    _fastest: ClassVar[float] = 0.01

    #: Numbers that the encoder gives for each latent.
    _n_codes: ClassVar[int] = 1

    def _train(
        self,
        build: Callable[[Part], Any],
        rows: ScaledRows,
        plan: Plan,
        seed: int,
    ) -> Trained:
        """Train on scaled rows."""
        architecture = self._architecture()
        if architecture.own:
            choose_threads(6.0 * self._pace.batch_size * architecture.n_weights)
        options = TrainingOptions(
            learning_rate=self._pace.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self._pace.batch_size,
            max_iter=self._pace.max_iter,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            device=training_device(self.device),
            callbacks=self.callbacks,
            verbose=int(self.verbose),
            seed=seed,
        )
        objective = self._objective(rows)
        if architecture.prefixes is not None:
            weights = torch.from_numpy(architecture.prefixes)
            inputs = Prefixes(objective.inputs, weights)
            objective = replace(objective, inputs=inputs)
        return train(build, objective, rows, plan, options)

    def _pass(self, module: Any, rows: ScaledRows) -> Moments:
        """Look at all training rows once, with the module's precision."""
        step = self._every(len(rows), module.decoder)
        moments = Moments(self._n_inner, rows.shape[1], -(-len(rows) // step))
        dtype = module.frame.mean.dtype
        with torch.inference_mode():
            for block in rows.blocks(self._width()):
                x = torch.from_numpy(block)
                u = self._see(module, x.to(dtype))
                decoded = self._as_scaled_rows(module.expected(u, self.n_components_))
                u = u.double()
                moments.keep(u[-moments.n % step :: step])
                moments.add(u, x, torch.from_numpy(decoded))
        return moments
