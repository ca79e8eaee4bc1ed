"""Which state to keep: the rule by which held-out rows judge the training."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, train_test_split

Indices = NDArray[np.intp]
Array = NDArray[np.float64]

#: From this many rows on, one held-out part is large enough to choose a state by.
LARGE = 800
#: How many standard errors a gain must exceed: a one-sided test at the 5% level.
MARGIN = 1.645
#: With fewer rows, no held-out part can tell anything.
TINY = 10


@dataclass(frozen=True)
class Plan:
    """Which rows are held out, and what follows from them.

    Attributes
    ----------
    splits : list of (train, held_out) index arrays
        Empty where nothing is held out. What is held out is in random order.
    refit : bool
        True: the model is trained on all rows, for as many epochs as the splits found
        best (`max_iter` without splits). False: it is the best state that the one
        split saw (the start without splits).
    """

    splits: list[tuple[Indices, Indices]]
    refit: bool


def make_plan(
    n_samples: int,
    early_stopping: bool | str,
    validation_fraction: float,
    seed: int,
    *,
    good_start: bool,
) -> Plan:
    """Choose the held-out rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    early_stopping : bool or 'auto'
        As in the estimators: True is one held-out part; 'auto' the same from
        ``LARGE`` rows on and five folds below; False is none.
    validation_fraction : float
        Share of the rows in the one held-out part.
    seed : int
        Which rows.
    good_start : bool
        Whether the start is worth keeping. It is kept where there are fewer than
        ``TINY`` rows and training is not asked for by ``early_stopping=False``.
    """
    if not early_stopping:
        return Plan([], refit=True)
    if n_samples < TINY:
        return Plan([], refit=not good_start)
    rows = np.arange(n_samples)
    if early_stopping == "auto" and n_samples < LARGE:
        order = np.random.RandomState(seed).permutation(n_samples)
        folds = [(np.sort(order[a]), order[b]) for a, b in KFold(5).split(order)]
        return Plan(folds, refit=True)
    n_held_out = min(max(2, round(validation_fraction * n_samples)), n_samples - 2)
    train, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed)
    return Plan([(train, held_out)], refit=False)


class Ruler(Protocol):
    """What held-out rows' mean error says."""

    def score(self, error: float) -> float:
        """Return it as a score, higher being better."""

    def step(self, error: float, tol: float) -> float:
        """Return the fall from it that counts as a gain."""

    def exact(self, error: float) -> bool:
        """Return whether there is nothing left to gain."""

    def gains(self, start: Array, best: Array) -> Array:
        """Return what each row has gained, for the test of whether it is by chance."""


@dataclass(frozen=True)
class Share:
    """Of squared errors: the score is the share of variance explained.

    Attributes
    ----------
    total : float
        The rows' mean squared norm: what there is to explain.
    """

    total: float

    def score(self, error: float) -> float:
        return 1.0 - error / self.total if self.total > 0 else 1.0

    def step(self, error: float, tol: float) -> float:
        return tol * error

    def exact(self, error: float) -> bool:
        return error <= 1e-10 * self.total

    def gains(self, start: Array, best: Array) -> Array:
        return start - best


@dataclass(frozen=True)
class Nats:
    """Of bounds on minus the log-likelihood: the score is the bound per row, in nats.

    Attributes
    ----------
    n_features : int
        A gain is counted per feature: `tol` is as much as in `Share`, where a squared
        error less by this share is a Gaussian likelihood higher by half of it.
    offset : float
        What the score has on the scale of the data.
    """

    n_features: int
    offset: float

    def score(self, error: float) -> float:
        return self.offset - error

    def step(self, error: float, tol: float) -> float:  # noqa: ARG002
        return 0.5 * tol * self.n_features

    def exact(self, error: float) -> bool:  # noqa: ARG002
        return False

    def gains(self, start: Array, best: Array) -> Array:
        # A single outlier can lose hundreds of nats, and then no gain of all other rows
        # is significant; so the outer twentieths are clipped (Winsor's mean).
        gain = start - best
        low, high = np.quantile(gain, [0.05, 0.95])
        return np.clip(gain, low, high)


class Judge:
    """Follows the held-out rows' errors from epoch to epoch.

    Parameters
    ----------
    start : ndarray of shape (n_held_out,)
        Each row's error before training.
    ruler : Ruler
        What errors of this kind say.
    patience : int
        Epochs without a gain after which to stop.
    tol : float
        For `ruler`: what counts as a gain.
    """

    def __init__(self, start: Array, ruler: Ruler, patience: int, tol: float) -> None:
        self.start = self.best = start
        self.ruler = ruler
        self.patience = patience
        self.tol = tol
        self.best_iteration = 0
        self._reference = float(start.mean())
        self._last_gain = 0
        self.scores: list[float] = [ruler.score(self._reference)]

    @property
    def exact(self) -> bool:
        """Whether the start leaves nothing to gain."""
        return self.ruler.exact(float(self.start.mean()))

    def see(self, errors: Array) -> bool:
        """Take in the errors after one more epoch; return whether they are the best."""
        error = float(errors.mean())
        self.scores.append(self.ruler.score(error))
        epoch = len(self.scores) - 1
        if self._reference - error > self.ruler.step(self._reference, self.tol):
            self._reference, self._last_gain = error, epoch
        if not error < float(self.best.mean()):
            return False
        self.best, self.best_iteration = errors, epoch
        return True

    @property
    def done(self) -> bool:
        """Whether to stop: no gain for `patience` epochs, or a non-finite error."""
        waited = len(self.scores) - 1 - self._last_gain
        return waited >= self.patience or not math.isfinite(self.scores[-1])

    def verdict(self) -> int:
        """Return the epoch to keep.

        It is the best one if its gain over the start exceeds ``MARGIN`` standard errors
        of the paired differences between the rows' errors, and 0, the start, if not.
        """
        return self.best_iteration if self._gains(self.start, self.best) else 0

    def prefers(self, errors: Array) -> bool:
        """Return whether these are clearly less than the best, which they then are."""
        if not self._gains(self.best, errors):
            return False
        self.best = errors
        self.scores[self.best_iteration] = self.ruler.score(float(errors.mean()))
        return True

    def _gains(self, before: Array, after: Array) -> bool:
        gain = self.ruler.gains(before, after)
        error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        return bool(gain.mean() > MARGIN * error)
