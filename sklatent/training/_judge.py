"""Which state to keep: the rule by which held-out rows judge the training."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ..problems import HeldOutScore
from ..rows import Array, Indices, mean_of

#: The level of the one-sided t-test of a gain in the sum, which a few rows may decide:
#: 1.64 standard errors where rows are many. That of most rows is the score's.
LEVEL_OF_SUM = 0.05
#: Units of rows of which a verdict says how many there are.
FEW_UNITS = 10


class Judge:
    """Follows the held-out rows' errors from epoch to epoch.

    Parameters
    ----------
    start : ndarray of shape (n_held_out,)
        Each row's error before training.
    score : HeldOutScore
        What errors of this kind say.
    patience : int
        Epochs without a gain after which to stop.
    tol : float
        For `score`: what counts as a gain.
    keep_all : bool, default=False
        Whether to keep the errors of all epochs, or of the start and the best only.
    units : ndarray of int of shape (n_held_out,) or None, default=None
        Rows with the same number are not independent: they count as one.
    typical : ndarray of bool of shape (n_held_out,) or None, default=None
        Rows that count where epochs are compared; None is all. Networks do not follow
        extreme rows, and until the decoder is solved, in the end, are not held back
        there either. The test of an epoch against the start counts all rows.
    weights : ndarray of shape (n_held_out,) or None, default=None
        How much each row counts; None is alike. A row of weight w is as w rows that
        depend on each other.
    folds : ndarray of int of shape (n_held_out,) or None, default=None
        Which split holds each row out, from 0; None is one for all.
    inflation : float, default=1.0
        The factor of the standard error of most rows' mean gain, for what these do not
        show: other training rows would have made another model.

    Attributes
    ----------
    best_epoch : int
        The epoch with the least mean error.
    scores : list of float
        Of each epoch; the first is before training.
    fold_scores : list of ndarray of shape (n_folds,)
        The same, by the split that holds the rows out.
    errors : dict of int to ndarray
        Each row's error, by epoch.
    """

    def __init__(
        self,
        start: Array,
        score: HeldOutScore,
        patience: int,
        tol: float,
        *,
        keep_all: bool = False,
        units: Indices | None = None,
        typical: NDArray[np.bool_] | None = None,
        weights: Array | None = None,
        folds: Indices | None = None,
        inflation: float = 1.0,
    ) -> None:
        self.score = score
        self.units = units
        self.typical = np.ones(len(start), bool) if typical is None else typical
        self.weights = weights
        self.folds = np.zeros(len(start), np.intp) if folds is None else folds
        self.inflation = inflation
        self.patience = patience
        self.tol = tol
        self.keep_all = keep_all
        self.errors: dict[int, Array] = {0: start}
        self.best_epoch = 0
        self._best_error = self._reference = self.mean(start)
        self._last_gain = 0
        self.scores: list[float] = [score.score(self._reference)]
        self.fold_scores: list[Array] = [self._by_fold(start)]

    def mean(self, errors: Array) -> float:
        """Return the mean error of the rows by which epochs are compared."""
        weights = None if self.weights is None else self.weights[self.typical]
        return mean_of(errors[self.typical], weights)

    def _by_fold(self, errors: Array) -> Array:
        """Return the score of each fold's rows, NaN where it has none that count."""
        n_folds, folds = int(self.folds.max()) + 1, self.folds[self.typical]
        weights = np.ones(len(errors)) if self.weights is None else self.weights
        weights = weights[self.typical]
        sums = np.bincount(folds, weights * errors[self.typical], n_folds)
        with np.errstate(invalid="ignore"):
            means = sums / np.bincount(folds, weights, n_folds)
        return np.array([self.score.score(float(mean)) for mean in means])

    @property
    def is_exact(self) -> bool:
        """Whether the start leaves nothing to gain."""
        return self.score.is_exact(mean_of(self.errors[0], self.weights))

    @property
    def has_gained(self) -> bool:
        """Whether an epoch gained more than `tol`."""
        return self._last_gain > 0

    def update(self, errors: Array) -> bool:
        """Take in the errors after one more epoch; return whether they are the best."""
        error = self.mean(errors)
        self.scores.append(self.score.score(error))
        self.fold_scores.append(self._by_fold(errors))
        epoch = len(self.scores) - 1
        if self._reference - error > self.score.smallest_gain(
            self._reference, self.tol
        ):
            self._reference, self._last_gain = error, epoch
        better = error < self._best_error
        if better:
            self._best_error, self.best_epoch = error, epoch
            if not self.keep_all:
                self.errors = {0: self.errors[0]}
        if better or self.keep_all:
            self.errors[epoch] = errors
        return better

    @property
    def should_stop(self) -> bool:
        """Whether there was no gain for `patience` epochs, or a non-finite error."""
        waited = len(self.scores) - 1 - self._last_gain
        return waited >= self.patience or not math.isfinite(self.scores[-1])

    def epoch_to_keep(self) -> int:
        """Return the best epoch if it is clearly better than the start, and 0 if not.

        That is, if a t-test of the paired differences between the rows' errors says so
        at the score's level for most rows, and at ``LEVEL_OF_SUM`` for all.
        """
        return self.best_epoch if self.is_gain(self.best_epoch) else 0

    def is_gain(self, epoch: int) -> bool:
        """Return whether an epoch is clearly better than the start."""
        return self.is_less(self.errors[0], self.errors[epoch])

    def is_as_good(self, errors: Array, epoch: int) -> bool:
        """Return whether errors are not larger than those of an epoch that gained."""
        no_larger = self.mean(errors) <= self.mean(self.errors[epoch])
        return no_larger and self.is_less(self.errors[0], errors)

    def replace_best(self, errors: Array) -> None:
        """Take errors for those of the best epoch."""
        self._replace(errors, self.best_epoch)

    def accept(self, errors: Array, epoch: int) -> bool:
        """Take errors for those of an epoch, if they clearly gain on the start."""
        if not self.is_less(self.errors[0], errors):
            return False
        self._replace(errors, epoch)
        return True

    def _replace(self, errors: Array, epoch: int) -> None:
        self.errors[epoch] = errors
        self.scores[epoch] = self.score.score(self.mean(errors))
        self.fold_scores[epoch] = self._by_fold(errors)

    def is_less(self, before: Array, after: Array) -> bool:
        """Return whether errors are clearly less than others."""
        weights, units = self.weights, self.units
        *of_all, of_most = self.score.gains(before, after, weights)
        least = self.inflation * least_gain(of_most, self.score.level, units, weights)
        return mean_of(of_most, weights) > least and all(
            mean_of(gain, weights) > least_gain(gain, LEVEL_OF_SUM, units, weights)
            for gain in of_all
        )

    def verdict(self) -> str:
        """Return in words what was kept, and why."""
        if self.is_exact:
            return "the start is kept: it is exact"
        if not self.best_epoch:
            return "the start is kept: no epoch is better on held-out rows"
        best = self.best_epoch
        before, weights = self.errors[0], self.weights
        gain = self.score.gains(before, self.errors[best], weights)[-1]
        change = self.score.score(0.0) - self.score.score(1.0)  # by one of an error
        error = self.inflation * standard_error(gain, self.units, weights)
        mean = change * mean_of(gain, weights)
        words = (
            f"most held-out rows gain {mean:.3g} by epoch {best} "
            f"(standard error {change * error:.2g}{self._few_units()})"
        )
        if self.epoch_to_keep():
            return f"epoch {best} is kept: {words}"
        return f"the start is kept: {words}, which a t-test doubts"

    def _few_units(self) -> str:
        """Return how many units there are, where so few that a test asks for much."""
        n_units = math.inf if self.units is None else len(np.unique(self.units))
        return f", of {n_units} independent units" if n_units < FEW_UNITS else ""


def least_gain(
    gains: Array,
    level: float,
    units: Indices | None = None,
    weights: Array | None = None,
) -> float:
    """Return what the mean of gains must exceed to be positive at a level."""
    n_units = len(gains) if units is None else len(np.unique(units))
    if n_units < 2:
        return math.inf
    quantile = float(student.ppf(1 - level, n_units - 1))
    return quantile * standard_error(gains, units, weights)


def standard_error(
    values: Array, units: Indices | None = None, weights: Array | None = None
) -> float:
    r"""Return the standard error of the mean, infinite for a single unit.

    Values of one unit may depend on each other (the cluster-robust error: Liang & Zeger
    1986). With weights :math:`w_i` it is that of the ratio :math:`\sum w_i x_i / \sum
    w_i` (Cochran 1977, section 2.11), in which value i counts as :math:`w_i` ones that
    depend on each other.
    """
    left = values - mean_of(values, weights)
    if weights is not None:
        left *= weights / weights.mean()
    if units is not None:
        left = np.asarray(np.bincount(np.unique(units, return_inverse=True)[1], left))
    n = len(left)
    if n < 2:
        return math.inf
    return float(np.sqrt(np.square(left).sum() * n / (n - 1)) / len(values))
