"""The plan of a fit: every parameter as a number, before anything is computed."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .. import runtime
from ..nn import LatentModel
from ..rows import Indices, Rows
from ..starts import pca_errors
from ._auto import (
    decay_of_weights,
    encoder_skips,
    hidden_layers,
    largest_learning_rate,
    n_decoders,
    n_epochs,
    patience,
    rows_of_a_batch,
    shortfall,
    weight_size,
)
from ._parameters import prefix_probabilities, seed_of
from ._splits import SplitBy, Splits, choose_splits

#: What users give for a network of their own.
Network = nn.Module | Callable[[int, int], nn.Module] | None
#: And for random changes of rows.
Augmentation = Callable[[Tensor], Tensor] | None


#: See `Plan.epochs`.
Epochs = Callable[[str, range], Generator[int]]


def each(_: str, numbers: range) -> Generator[int]:
    """Yield all epochs, and tell nobody."""
    yield from numbers


@dataclass(frozen=True)
class Plan:
    """How to fit, with no ``'auto'`` left in it.

    Attributes
    ----------
    n_features, n_components : int
        Number of features, and of latents to train.
    share : float or None
        The share of variance to explain; of the latents trained, as few are then kept
        as explain it.
    prefixes : ndarray of shape (n_components,) or None
        How often training uses the first 1, 2, ... latents only, if they are ordered.
    whiten : bool
        Whether latents are to have unit variance.
    linear : bool
        Whether the closed form is all there is.
    linear_start : bool
        Whether the networks are added to a linear map in closed form.
    hidden : tuple of int
        The encoder's hidden layers; the decoder has them in reverse.
    activation : str
        A key of `nn.ACTIVATIONS`.
    encoder, decoder : nn.Module, callable or None
        The user's own networks.
    augmentation : callable or None
        The user's own random change of training rows, in the units of the data.
    skips : bool
        Whether the encoder's network may have a linear map beside its layers.
    weight_size : float
        Of the hidden layers' weights before training, as in `nn.MLP`.
    n_decoders : int
        Of ordered latents, each for sizes up to a half of those of the next.
    learning_rate, weight_decay : float
        Of AdamW.
    batch_size, max_iter : int
        Rows in a batch, and epochs.
    n_iter_no_change : int
        Epochs without a gain after which to stop.
    tol : float
        What counts as a gain.
    splits : Splits
        The rows held out.
    seed : int
        For all randomness.
    device : torch.device
        Where to train.
    flops_of_a_step : float
        Floating-point operations of a training step, with networks of our own; 0 where
        one is the user's.
    uses_global_generator : bool
        Whether code of the user's runs in training, which may draw from it.
    callbacks : sequence or None
        skorch's, of the user's.
    verbose : int
        Whether to show a bar.
    previous : LatentModel or None
        The fitted model to go on from.
    keeps_held_out : bool
        Whether rows that are held out in one part stay so to the end.
    epochs : callable
        Runs through the numbers of the epochs of a training, whose name comes first. It
        may end before the last.
    """

    n_features: int
    n_components: int
    share: float | None
    prefixes: NDArray[np.float64] | None
    whiten: bool
    linear: bool
    linear_start: bool
    hidden: tuple[int, ...]
    activation: str
    encoder: Network
    decoder: Network
    augmentation: Augmentation
    skips: bool
    weight_size: float
    n_decoders: int
    learning_rate: float
    weight_decay: float
    batch_size: int
    max_iter: int
    n_iter_no_change: int
    tol: float
    splits: Splits
    seed: int
    device: torch.device
    flops_of_a_step: float
    uses_global_generator: bool
    callbacks: Sequence[Any] | None = None
    verbose: int = 0
    previous: LatentModel | None = field(default=None, repr=False)
    keeps_held_out: bool = False
    epochs: Epochs = field(default=each, repr=False)

    @property
    def trains(self) -> bool:
        """Whether there is a network to train, and what to train it by."""
        return not self.linear and (self.splits.refit or bool(self.splits.pairs))

    def fitted_parameters(self) -> dict[str, Any]:
        """Return the parameters that may be 'auto', as they are used."""
        return {
            "hidden_layer_sizes": self.hidden,
            **{name: getattr(self, name) for name in _NUMBERS_OF_AUTO},
        }


def resolve(
    given: Any,
    data: Rows,
    previous: LatentModel | None = None,
    *,
    chosen: tuple[int, Splits] | None = None,
) -> Plan:
    """Turn an estimator's parameters into numbers, for these rows.

    Parameters
    ----------
    given : estimator
        Has the parameters, what 'auto' means for it (`_auto_rules`), what share of
        latents to train besides those that PCA needs (`_extra_latents`), whether rows
        held out choose more than an epoch (`_chooses_by_held_out_rows`), and what folds
        are to have their share of (`_strata`).
    data : Rows
        The training rows.
    previous : LatentModel or None
        The fitted model to go on from.
    chosen : tuple of int and Splits or None
        The seed and the held-out rows, where `splits_of` has chosen these already.

    Raises
    ------
    ValueError
        If a parameter is out of range, or `cv` does not match the rows.
    """
    seed, splits = splits_of(given, data, previous) if chosen is None else chosen
    networks = {"encoder": given.encoder, "decoder": given.decoder}
    linear_start = given.init == "pca"
    if given.n_components == 0:  # the mean alone, whatever the networks
        networks, linear_start = dict.fromkeys(networks), True
    share = share_of(given.n_components)
    if previous is None or share is not None:
        k = _n_latents(given, data, splits, seed)
    else:
        k = previous.n_components
    hidden = _hidden_layers(given, data.shape, k, previous)
    by_share = share is not None and not np.any(given.ordered)
    prefixes = prefix_probabilities(True if by_share else given.ordered, k)
    schedule = _schedule(given, data.shape, len(hidden), ordered=prefixes is not None)
    if previous is not None and given.learning_rate == "auto":
        schedule["learning_rate"] *= SHARE_OF_THE_RATE
    ours = not has_own_networks(given)
    flops = _flops_of_a_row(given, data.shape[1], hidden, k)
    n_rows = schedule["max_iter"] * len(data)
    return Plan(
        n_features=data.shape[1],
        n_components=k,
        share=share,
        prefixes=prefixes,
        whiten=bool(given.whiten),
        linear=is_linear(given),
        linear_start=linear_start,
        hidden=hidden,
        splits=splits,
        seed=seed,
        device=runtime.training_device(given.device, flops * n_rows),
        flops_of_a_step=flops * schedule["batch_size"] if ours else 0.0,
        uses_global_generator=_runs_code_of_the_user(given),
        verbose=int(given.verbose),
        previous=previous,
        **schedule,
        **networks,
        **{name: getattr(given, name) for name in _AS_GIVEN},
    )


def splits_of(
    given: Any,
    data: Rows,
    previous: LatentModel | None = None,
    *,
    y: Any = None,
    groups: Any = None,
    place: Indices | None = None,
) -> tuple[int, Splits]:
    """Return the seed of a fit, and the rows held out.

    Parameters
    ----------
    given, data, previous
        As for `resolve`.
    y, groups : array-like of shape (n_samples,) or None
        What the held-out rows may be chosen by.
    place : ndarray of int or None
        As in `SplitBy`.
    """
    prefix_probabilities(given.ordered, 1)  # errors before anything is computed
    runtime.training_device(given.device, 0.0)
    seed = seed_of(given.random_state)
    if groups is not None:
        check_consistent_length(data.in_units(), groups)
    if is_linear(given) and not given._chooses_by_held_out_rows:
        return seed, Splits((), refit=False, how="the closed form is the optimum")
    by = SplitBy(
        given.early_stopping,
        given.validation_fraction,
        given.cv,
        y,
        groups,
        given._strata(data.targets),
        place,
    )
    good_start = previous is not None or given.init == "pca"
    return seed, choose_splits(data, by, seed, good_start=good_start)


#: Of the learning rate 'auto', with which a fitted model goes on: what it has learnt is
#: not to be undone.
SHARE_OF_THE_RATE = 0.2
#: Numbers that 'auto' stands for.
_NUMBERS_OF_AUTO = (
    "learning_rate",
    "weight_decay",
    "batch_size",
    "max_iter",
    "n_iter_no_change",
)
#: Parameters in which there is no 'auto'.
_AS_GIVEN = (
    "activation",
    "augmentation",
    "tol",
    "callbacks",
)


def _hidden_layers(
    given: Any, shape: tuple[int, int], k: int, previous: LatentModel | None
) -> tuple[int, ...]:
    """Return the encoder's widths; with 'auto' a fitted model keeps its own."""
    if given.n_components == 0:
        return ()
    if previous is not None and isinstance(given.hidden_layer_sizes, str):
        fitted: tuple[int, ...] = given.hidden_layer_sizes_
        return fitted
    return hidden_layers(given.hidden_layer_sizes, shape, k, given._auto_rules())


def _schedule(
    given: Any, shape: tuple[int, int], n_layers: int, *, ordered: bool
) -> dict[str, Any]:
    """Return what 'auto' means for batches, epochs, rates, decay and first weights."""
    n_samples, rules = shape[0], given._auto_rules()
    own = has_own_networks(given)
    least, changed = rules.min_batch_size, given.augmentation is not None
    batch_size = rows_of_a_batch(
        given.batch_size, n_samples, least, ordered=ordered, own=own
    )
    sizes = n_samples, batch_size, rules.n_steps
    short = shortfall(given.max_iter, *sizes, ordered=ordered)
    max_iter = n_epochs(given.max_iter, *sizes, ordered=ordered)
    return {
        "batch_size": batch_size,
        "max_iter": max_iter,
        "n_iter_no_change": patience(given.n_iter_no_change, max_iter, n_samples),
        "weight_decay": decay_of_weights(
            given.weight_decay, shape, rules, changed=changed
        ),
        "learning_rate": largest_learning_rate(
            given.learning_rate, batch_size, short, rules, own=own
        ),
        "skips": encoder_skips(shape),
        "weight_size": weight_size(n_samples, short, n_layers),
        "n_decoders": n_decoders(batch_size),
    }


def share_of(n_components: Any) -> float | None:
    """Return the share of variance to explain, where `n_components` is one."""
    is_size = n_components is None or isinstance(n_components, Integral)
    return None if is_size else float(n_components)


def is_linear(given: Any) -> bool:
    """Return whether the closed form is all there is."""
    if given.n_components == 0:
        return True
    ours = not has_own_networks(given)
    return ours and given.init == "pca" and not len(given.hidden_layer_sizes)


def has_own_networks(given: Any) -> bool:
    """Return whether encoder or decoder is the user's."""
    return given.encoder is not None or given.decoder is not None


def _runs_code_of_the_user(given: Any) -> bool:
    """Return whether networks, noise or callbacks of the user's run in training."""
    parameters = given.get_params(deep=False).values()
    return given.callbacks is not None or any(map(callable, parameters))


def _n_latents(given: Any, data: Rows, splits: Splits, seed: int) -> int:
    """Return how many latents to train."""
    limit = min(int(data.n_samples), len(data.scale.mean))  # as in PCA
    if data.scale.basis is not None:
        limit = min(data.shape)
    share = share_of(given.n_components)
    if share is None:
        return limit if given.n_components is None else int(given.n_components)
    # As many as PCA needs, and some more, since the network may need others.
    everything = np.arange(len(data))
    left, total = np.zeros(limit), 0.0
    for others, held_out in splits.pairs or [(everything, everything)]:
        unseen = data[held_out].unseen()
        left += pca_errors(data[others], data[held_out], limit, seed) + unseen
        total += data[held_out].sum_of_squares() + unseen
    reached = np.flatnonzero(left < (1 - share) * total)
    needed = int(reached[0]) + 1 if len(reached) else limit
    return min(limit, needed + 1 + int(given._extra_latents * needed))


def _flops_of_a_row(
    given: Any, n_features: int, hidden: tuple[int, ...], k: int
) -> float:
    """Return the operations for a row: two a weight, forwards and twice backwards.

    A network that a callable will make is taken for one of ours.
    """
    n_ours = sum(a * b for a, b in pairwise((n_features, *hidden, k)))
    n_weights = 0
    for network in (given.encoder, given.decoder):
        if not isinstance(network, nn.Module):
            n_weights += n_ours
            continue
        parameters = network.parameters()
        n_weights += sum(p.numel() for p in parameters if not is_lazy(p))
    return 6.0 * n_weights
