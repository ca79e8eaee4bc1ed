"""What follows the epochs: the decoder solved for each feature by itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.stats import t as student
from torch import Tensor

from ..nn import AS_TRAINED, LINEAR, Batch, LastLayer, exact, moved, where_exact
from ._run import Run

#: Penalties to choose from, for each feature: the mean of the rows, a linear decoder,
#: from there to nearly none, and the weights as they were trained.
PENALTIES = (math.inf, LINEAR, 100.0, 10.0, 1.0, 0.1, 1e-2, 1e-3, AS_TRAINED)
#: Standard errors by which the others must beat the better of the first two, and the
#: least share of a feature's variance: the smallest error of several is likely to be
#: small by chance, the more so where a few rows have most of a feature's variance and
#: none of them is held out.
MARGIN_OF_A_GAIN = 2.0
MIN_GAIN = 0.001
#: Penalties to choose from for the ends of nested decoders, one for all sizes.
PENALTIES_OF_ENDS = (1.0, 0.1, 1e-2)
#: Shares of the encoder's network to choose from.
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
#: What a feature may lose against the start: this share of its variance, or this many
#: times the share of variance that all features together gain, or what a t-test does
#: not tell from no loss, at this level for all features together.
MAX_LOSS = 0.02
MAX_LOSS_FOR_A_GAIN = 4.0
LEVEL_OF_A_LOSS = 0.05
#: What it may lose by a linear decoder before its mean is taken.
MAX_LOSS_OF_LINEAR = 0.01


@dataclass(frozen=True)
class Errors:
    """Squared errors of features, for each run.

    Attributes
    ----------
    held_out : sequence of sequence of Tensor
        Of each batch of held-out rows, (n, n_features).
    training : sequence of Tensor
        Means over the training rows, (n_features,).
    """

    held_out: Sequence[Sequence[Tensor]]
    training: Sequence[Tensor]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Errors":
        """Return those of models as they are."""
        return cls(
            [run.feature_errors() for run in runs],
            [run.mean_training_errors() for run in runs],
        )


@dataclass(frozen=True)
class Decoding:
    """How to solve a decoder.

    Attributes
    ----------
    share : float
        Of what the encoder's network adds to the linear latents.
    penalties : Tensor of shape (n_features,)
        As in `LastLayer.weights`.
    """

    share: float
    penalties: Tensor

    def apply(self, run: Run) -> None:
        """Solve the decoder of one more run in this way, if it can be."""
        if run.can_solve_decoder:
            run.scale_encoder(self.share)
            run.set_decoder(run.last_layer(), self.penalties)


@dataclass(frozen=True)
class NestedDecoding:
    """How to solve the ends of a nested decoder.

    Attributes
    ----------
    penalty : float
        As in `solve_ends`.
    """

    penalty: float

    def apply(self, run: Run) -> None:
        """Solve the ends of one more run in this way, if they can be."""
        if run.can_solve_ends:
            run.solve_ends(self.penalty)


def solve_decoders(runs: Sequence[Run], start: Errors | None) -> Decoding:
    """Solve the decoders of runs, so that no feature loses much against the start.

    Each feature has the penalty that suits the held-out rows of all runs best; a linear
    decoder, or its mean, where none suits them clearly better. Where a feature still
    loses too much, since the latents say less of it than the linear ones, the encoder's
    network is scaled down, in the end to nothing.

    Parameters
    ----------
    runs : sequence of Run
        In their best states.
    start : Errors or None
        Those at the start; without them features may lose.
    """
    scales = start is not None and all(run.has_linear_start for run in runs)
    shares = SHARES if scales else (1.0,)
    for share in shares:
        for run in runs:
            run.scale_encoder(share)
        layers = [run.last_layer() for run in runs]
        penalties = _choose(runs, layers)
        now = Errors(
            _errors_with(runs, layers, penalties),
            [layer.mean_errors(penalties) for layer in layers],
        )
        if start is None or share == shares[-1] or loses_nothing(runs, start, now):
            break
    for run, layer in zip(runs, layers, strict=True):
        run.set_decoder(layer, penalties)
    return Decoding(share, penalties)


def keep_decoders(runs: Sequence[Run]) -> Decoding:
    """Leave the decoders of runs as they were trained."""
    n_features = runs[0].held_out_rows.shape[1]
    trained = torch.full((n_features,), AS_TRAINED, dtype=torch.float64)
    decoding = Decoding(1.0, trained)
    for run in runs:
        decoding.apply(run)
    return decoding


def solve_nested_decoders(runs: Sequence[Run]) -> NestedDecoding:
    """Solve the ends of nested decoders with the penalty that suits best."""
    errors = {}
    for penalty in PENALTIES_OF_ENDS:
        for run in runs:
            run.solve_ends(penalty)
        errors[penalty] = sum(run.mean_error_now() for run in runs)
    best = min(errors, key=lambda penalty: errors[penalty])
    for run in runs:
        run.solve_ends(best)
    return NestedDecoding(best)


class _Differences:
    """Sums of paired differences over rows, for each feature.

    Attributes
    ----------
    total : Tensor
        The sum.
    squares : Tensor
        That of the squares.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.n = sum(len(run.held_out_rows) for run in runs)
        #: Rows of one unit are not independent, so that errors are larger.
        self.n_units = sum(run.n_units for run in runs)
        self.inflation = self.n / self.n_units
        self.total = torch.zeros((), dtype=torch.float64)
        self.squares = torch.zeros((), dtype=torch.float64)
        #: What weights add to the error, or take off it.
        self._weight, self._excess, self._moved = 0.0, 0.0, self.total

    def add(self, differences: Tensor, weight: Tensor | None = None) -> None:
        """Add those of some rows, (..., n, n_features), with the weights of these."""
        if weight is not None:
            self._weight += float(weight.sum())
            self._excess += float(weight.square().sum())
            each = moved(weight, differences.device)[:, None]
            differences = differences * each
            self._moved = self._moved + (differences * each).sum(dim=-2)
        self.total = self.total + differences.sum(dim=-2)
        self.squares = self.squares + differences.square().sum(dim=-2)

    @property
    def error(self) -> Tensor:
        """The standard error of the sum, as `standard_error` has that of the mean."""
        mean, spread = self.total / (self._weight or self.n), self.squares
        if self._weight:
            spread = spread - 2 * mean * self._moved + mean.square() * self._excess
        else:
            spread = spread - self.total.square() / self.n
        return (spread.clamp(min=0) * self.inflation).sqrt()


def _choose(runs: Sequence[Run], layers: Sequence[LastLayer]) -> Tensor:
    """Return the penalty of each feature."""
    others = PENALTIES[1:]
    on_mean, on_linear = ([_Differences(runs) for _ in others] for _ in range(2))
    for run, layer in zip(runs, layers, strict=True):
        for batch in run.held_out_batches():
            mean, linear = layer.errors(batch, PENALTIES[:2])
            # One penalty at a time: of many features each takes much memory.
            for i, errors in enumerate(layer.errors(batch, others)):
                on_mean[i].add(mean - errors, batch.weight)
                on_linear[i].add(linear - errors, batch.weight)
    both = (on_mean, on_linear)
    totals, spreads = (
        torch.stack([torch.stack([getattr(g, name) for g in gains]) for gains in both])
        for name in ("total", "error")
    )
    totals, spreads = totals.cpu(), spreads.cpu()
    variance = torch.zeros(())
    for run in runs:
        variance = variance + _weight(run) * run.feature_variance
    # The mean, or the linear decoder.
    simpler = (totals[0, 0] > -MAX_LOSS_OF_LINEAR * variance).long()
    one_of = simpler.expand(1, len(others), -1)
    gain, error = (t.gather(0, one_of)[0] for t in (totals, spreads))
    clear = gain > torch.maximum(MARGIN_OF_A_GAIN * error, MIN_GAIN * variance)
    clear[0] = False
    largest, best = torch.where(clear, gain, 0.0).max(dim=0)
    best = torch.where(largest > 0, best + 1, simpler)
    return torch.tensor(PENALTIES, dtype=torch.float64)[best]


def loses_nothing(runs: Sequence[Run], start: Errors, now: Errors) -> bool:
    """Return whether no feature is clearly worse than at the start.

    Training rows say so as well, on which networks should be better: the few rows that
    have most of a feature's variance may all be among them.
    """
    most = max(MAX_LOSS, MAX_LOSS_FOR_A_GAIN * _gain(runs, start, now))
    losses = _Differences(runs)
    for run, first, last in zip(runs, start.training, now.training, strict=True):
        if bool((last - first > most * run.feature_variance).any()):
            return False
    variance, seen = torch.zeros(()), torch.zeros(())
    for run, before, after in zip(runs, start.held_out, now.held_out, strict=True):
        seen = seen + _weight(run) * run.feature_variance
        for a, b, batch in zip(before, after, run.held_out_batches(), strict=True):
            squares = _weighted(exact(batch.target).square(), batch)
            variance = variance + squares.sum(dim=0)
            losses.add(b - a, batch.weight)
    # Few rows may have all of a feature's variance, and none of them be held out.
    allowed = most * torch.maximum(variance.cpu(), seen)
    level = LEVEL_OF_A_LOSS / len(losses.total)
    margin = float(student.ppf(1 - level, max(losses.n_units - 1, 1)))
    allowed = torch.maximum(allowed, margin * losses.error.cpu())
    return bool((losses.total.cpu() <= allowed).all())


def loses_in_training(start: Errors, training: Sequence[Tensor]) -> bool:
    """Return whether training rows are worse in the sum.

    Networks do not follow extreme rows, of which few or none may be held out.

    Parameters
    ----------
    start : Errors
        Those at the start.
    training : sequence of Tensor
        Means over the training rows now, as `Errors` has them.
    """
    pairs = zip(training, start.training, strict=True)
    return sum(float((now - before).sum()) for now, before in pairs) > 0


def _gain(runs: Sequence[Run], start: Errors, now: Errors) -> float:
    """Return the share of the held-out rows' variance that is gained on the start."""
    gain = total = torch.zeros((), dtype=torch.float64)
    for run, before, after in zip(runs, start.held_out, now.held_out, strict=True):
        for a, b, batch in zip(before, after, run.held_out_batches(), strict=True):
            gain = gain + exact(_weighted(a - b, batch).sum())
            squares = where_exact(batch.target).square()
            total = total + exact(_weighted(squares, batch).sum())
    return float(gain) / float(total) if total > 0 else 0.0


def _weight(run: Run) -> float:
    """Return the sum of the weights of the held-out rows of a run."""
    weights = run.held_out_weights
    return len(run.held_out_rows) if weights is None else float(weights.sum())


def _weighted(values: Tensor, batch: Batch) -> Tensor:
    """Return values (n, n_features) times the weights of the rows of a batch."""
    if batch.weight is None:
        return values
    return values * moved(batch.weight, values.device)[:, None]


def _errors_with(
    runs: Sequence[Run], layers: Sequence[LastLayer], penalties: Tensor
) -> list[list[Tensor]]:
    """Return what `Run.feature_errors` would, with these penalties."""
    return [
        [layer.errors_with(batch, penalties) for batch in run.held_out_batches()]
        for run, layer in zip(runs, layers, strict=True)
    ]
