"""What `partial_fit` knows of the rows of earlier calls, and makes of new ones."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .nn import LatentModel, save_module, saved
from .rows import (
    Array,
    DenseRows,
    Indices,
    Reservoir,
    Scale,
    TargetKind,
    Weights,
)
from .starts import RunningAxes, SeenRows
from .training import StreamRows

#: Earlier rows that are looked at in a call, if new ones are not more, and those of
#: them that are trained on.
MIN_EARLIER, MIN_REPLAYED = 2000, 2000
#: Of the learning rate of a fit: that of the first call, of which it becomes the second
#: after calls that did not make the model better, and the third after those that did.
FIRST_RATE, SLOWER, FASTER = 0.5, 0.5, 1.1
#: What random numbers are for.
TRAINING, KEEPING, HOLDING_OUT, REPLAYING = range(4)
#: Of the reservoir of rows to train on, what that of held-out rows may have.
SHARE_HELD_OUT = 0.25


@saved
@dataclass(frozen=True)
class Waiting:
    """Rows that are too few to begin with.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n, ...) or None
    classes : ndarray or None
        All there are.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None
    classes: NDArray[Any] | None

    def joined(self, earlier: Self | None) -> Self:
        """Return earlier rows and these."""
        if earlier is None:
            return self
        y = self.y
        if y is not None and earlier.y is not None:
            y = np.concatenate([earlier.y, y])
        X = np.concatenate([earlier.X, self.X])
        classes = earlier.classes if self.classes is None else self.classes
        return replace(self, X=X, y=y, classes=classes)


@saved
@dataclass(frozen=True)
class Sketch:
    """Rows that stand for those of a fit, of which none is kept.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n, n_targets) or None
    weights : ndarray of shape (n,)
        How many rows each stands for.
    """

    X: Array
    y: NDArray[Any] | None
    weights: Array

    @classmethod
    def of_axes(cls, axes: RunningAxes) -> Self:
        """Return rows of a Gaussian."""
        X = axes.sketch()
        return cls(X, None, np.full(len(X), axes.n / len(X)))

    @classmethod
    def of_latents(
        cls, seen: SeenRows, Z: Array, rows: Array, weights: Array | None, seed: int
    ) -> Self:
        """Return reconstructed rows, with as much noise as they lack, and targets.

        (Generative replay: Shin et al. 2017, arXiv 1705.08690.)
        """
        w = np.ones(len(rows)) if weights is None else weights
        w = w / w.sum()
        variance = w @ np.square((rows - w @ rows) / seen.unit)
        left = seen.unit * np.sqrt((seen.variance - variance).clip(min=0))
        random = np.random.default_rng(seed)
        noise = random.normal(size=rows.shape)
        y = None if seen.targets is None else seen.targets.drawn(Z, random)
        return cls(rows + noise * left, y, seen.n * w)


@saved
@dataclass(frozen=True)
class Stream:
    """The rows of earlier calls. Nothing in it is ever changed: a call makes a new one.

    Attributes
    ----------
    seed : int
    axes : RunningAxes
        Of all rows.
    fitted : Sketch or None
        What stands for rows that `fit` saw, if any.
    kept : Reservoir
        Of the other rows, to train on.
    held_out : Reservoir
        Of those never trained on.
    kind : TargetKind or None
        What targets are.
    network : LatentModel or None
        What to train further, where it is not the fitted model.
    rate : float
        The share of a fit's learning rate that the next call takes.
    """

    seed: int
    axes: RunningAxes
    fitted: Sketch | None
    kept: Reservoir
    held_out: Reservoir
    kind: TargetKind | None
    network: LatentModel | None = None
    rate: float = FIRST_RATE

    @classmethod
    def begun(
        cls, seed: int, axes: RunningAxes, X: NDArray[Any], kind: TargetKind | None
    ) -> Self:
        """Return a stream of rows like these, of which it has none yet."""
        y = None if kind is None else kind.unlabelled(len(X))
        kept, held_out = (Reservoir.like(X, y, s) for s in (1.0, SHARE_HELD_OUT))
        return cls(seed, axes, None, kept, held_out, kind)

    def random(self, purpose: int) -> np.random.Generator:
        """Return the generator of the next call for one purpose."""
        return np.random.default_rng([self.seed, self.axes.n, purpose])

    @property
    def next_seed(self) -> int:
        """The seed of the next call's training."""
        return int(self.random(TRAINING).integers(2**31 - 1))

    def with_rows(
        self, X: NDArray[Any], y: NDArray[Any] | None, is_held_out: NDArray[np.bool_]
    ) -> Self:
        """Return the stream after these rows, some of which are held out."""
        random = self.random(KEEPING)
        parts = {}
        for name, some in (("kept", ~is_held_out), ("held_out", is_held_out)):
            given = None if y is None else y[some]
            parts[name] = getattr(self, name).offered(X[some], given, random)
        return replace(self, axes=self.axes.updated(X), **parts)

    def after(self, network: LatentModel | None, gains: bool | None) -> Self:
        """Return the stream after training: of a model, which made it better or not."""
        factor = 1.0 if gains is None else FASTER if gains else SLOWER
        return replace(self, network=network, rate=min(1.0, factor * self.rate))

    def held_out_of(self, n: int, share: float) -> NDArray[np.bool_]:
        """Choose which of n new rows are held out: each with the same probability."""
        chosen = self.random(HOLDING_OUT).random(n) < share
        if not len(self.kept) and chosen.all():  # there must be a row to train on
            chosen[:] = False
        return np.asarray(chosen)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a file holds: the network as plain arrays."""
        network = None if self.network is None else save_module(self.network)
        return {**vars(self), "network": network}


@dataclass(frozen=True)
class Call:
    """The new rows of a call, and some of earlier ones, that stand for all.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
        A sketch of rows that `fit` saw, earlier rows, new rows to train on, and held
        out ones.
    y : ndarray of shape (n, n_targets) or None
    weights : ndarray of shape (n_seen,)
        Of all but the held-out ones: how many rows each stands for.
    n_sketched, n_earlier : int
        How many of the first and the second.
    seed : int
        Of the call.
    stream : Stream
        After the call.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None
    weights: Array
    n_sketched: int
    n_earlier: int
    seed: int
    stream: Stream

    @classmethod
    def of(
        cls,
        stream: Stream,
        X: NDArray[Any],
        y: NDArray[Any] | None,
        is_held_out: NDArray[np.bool_],
    ) -> Self:
        """Take in new rows.

        Parameters
        ----------
        stream : Stream
            Before the call.
        X : ndarray of shape (n, n_features)
        y : ndarray of shape (n, n_targets) or None
        is_held_out : ndarray of bool of shape (n,)
        """
        after = stream.with_rows(X, y, is_held_out)
        kept, fitted = stream.kept, stream.fitted
        n_earlier = min(len(kept), max(MIN_EARLIER, len(X)))
        some = stream.random(REPLAYING).permutation(len(kept))[:n_earlier]
        new = ~is_held_out
        parts = [kept.X[some], X[new], after.held_out.X]
        n_fitted = 0.0 if fitted is None else fitted.weights.sum()
        stands_for = stream.axes.n - n_fitted, len(X)
        # Horvitz & Thompson 1952; where some rows have none that stand for them, others
        # do.
        weights = np.concatenate(
            [
                np.full(len(part), n / max(len(part), 1))
                for part, n in zip(parts, stands_for, strict=False)
            ]
        )
        labels: Any = None
        if y is not None and kept.y is not None:
            labels = [kept.y[some], y[new], after.held_out.y]
        if fitted is not None:
            parts.insert(0, fitted.X.astype(X.dtype))
            weights = np.concatenate([fitted.weights, weights])
            labels = None if labels is None else [fitted.y, *labels]
        weights *= after.axes.n / weights.sum()
        return cls(
            np.concatenate(parts),
            None if labels is None else np.concatenate(labels),
            weights,
            0 if fitted is None else len(fitted.X),
            n_earlier,
            stream.next_seed,
            after,
        )

    @classmethod
    def of_axes(cls, stream: Stream, X: NDArray[Any]) -> Self:
        """Take in new rows; have rows of a Gaussian stand for all."""
        nobody = np.zeros(len(X), bool)
        after = stream.with_rows(X, None, nobody)
        all_seen = Sketch.of_axes(after.axes)
        sizes, seed = (len(all_seen.X), 0), stream.next_seed
        rows = all_seen.X.astype(X.dtype)
        return cls(rows, None, all_seen.weights, *sizes, seed, after)

    @property
    def n_seen(self) -> int:
        """Rows that are not held out."""
        return len(self.weights)

    @property
    def real(self) -> Indices:
        """Which rows are no sketch; all where there are few others."""
        real = np.arange(self.n_sketched, self.n_seen)
        return real if len(real) > self.n_sketched else np.arange(self.n_seen)

    def rows(self, previous: LatentModel, *, keeps_constant: bool) -> StreamRows:
        """Return the rows, scaled.

        Parameters
        ----------
        previous : LatentModel
            Features that varied for it count as such.
        keeps_constant : bool
            As in `Scale`.
        """
        known = previous.scaling.varying_features().numpy()
        weights = Weights(self.weights, self.weights)
        seen = self.X[: self.n_seen]
        scale = Scale.of(
            seen, keeps_constant=keeps_constant, known=known, weights=weights
        )
        axes = self.stream.axes
        mean = axes.mean_in_units.astype(self.X.dtype)
        if scale.varying is not None:  # a constant is its own mean, to the last bit
            mean[:] = scale.mean
            mean[scale.varying] = axes.mean_in_units[scale.varying]
        number = scale.scale
        if (seen == seen[0]).all():
            number = float(previous.scaling.scale)
        scale = replace(scale, mean=mean, scale=number)
        data = DenseRows(self.X, scale)
        return self._parts(data)

    def _parts(self, data: DenseRows) -> StreamRows:
        n_all, stream = len(self.X), self.stream
        held_out = training = data
        if self.y is not None and stream.kind is not None:
            ones = np.ones(n_all - self.n_seen)
            data.targets = stream.kind.coded(
                self.y, np.concatenate([self.weights, ones])
            )
        n_new = self.n_seen - self.n_sketched - self.n_earlier
        n_replayed = min(self.n_earlier, max(n_new, MIN_REPLAYED))
        first = self.n_sketched + self.n_earlier - n_replayed
        training = data[np.arange(first if n_new + n_replayed else 0, self.n_seen)]
        held_out = data[np.arange(self.n_seen, n_all)]
        all_seen = data[np.arange(self.n_seen)]
        all_seen.all_weights = Weights(
            *[np.concatenate([self.weights, np.ones(n_all - self.n_seen)])] * 2
        )
        all_seen.axes = stream.axes.scaled(data.scale, len(stream.axes.components))
        return StreamRows(all_seen, training, held_out)
