"""What the errors of held-out rows say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from ..rows import Array, quantiles


class HeldOutScore(Protocol):
    """How errors of held-out rows are counted."""

    @property
    def level(self) -> float:
        """The level of the one-sided t-test of a gain of most rows."""

    def score(self, error: float) -> float:
        """Return the mean error as a score, higher being better."""

    def smallest_gain(self, error: float, tol: float) -> float:
        """Return the fall from this mean error that counts as a gain."""

    def is_exact(self, error: float) -> bool:
        """Return whether there is nothing left to gain."""

    def gains(
        self, before: Array, after: Array, weights: Array | None = None
    ) -> tuple[Array, ...]:
        """Return what each row has gained, for paired tests that must all agree.

        The weights say which gains are most of them.
        """


@dataclass(frozen=True)
class ExplainedVariance:
    """Of squared errors: the score is the share of variance explained.

    Attributes
    ----------
    total : float
        The rows' mean squared norm: what there is to explain.
    unseen : float, default=0.0
        Mean squares of what rows do not show, and no model explains.
    """

    total: float
    unseen: float = 0.0
    #: 3.09 standard errors where rows are many: the promise of PCA's share is strict.
    level: ClassVar[float] = 0.001

    @classmethod
    def of(
        cls,
        *parts: Tensor,
        weights: Sequence[Tensor] | None = None,
        unseen: float = 0.0,
    ) -> "ExplainedVariance":
        """Return the score of scaled rows, given in parts (n, n_features).

        Parameters
        ----------
        *parts : Tensor
            The rows.
        weights : sequence of Tensor or None
            Of each part: how much rows count, (n,).
        unseen : float
            The sum of squares of what they do not show, weighted.
        """
        blocks = (x for part in parts for x in torch.split(part, 2**12))
        if weights is None:
            total = sum((float(x.cpu().double().square().sum()) for x in blocks), 0.0)
            n: float = sum(map(len, parts))
            return cls((total + unseen) / n, unseen / n)
        w = torch.cat(list(weights))
        squares = torch.cat([x.cpu().double().square().sum(dim=1) for x in blocks])
        n = float(w.sum())
        return cls((float(w @ squares) + unseen) / n, unseen / n)

    def score(self, error: float) -> float:
        left = error + self.unseen
        return 1.0 - left / self.total if self.total > 0 else 1.0

    def smallest_gain(self, error: float, tol: float) -> float:
        return tol * error

    def is_exact(self, error: float) -> bool:
        return error <= 1e-10 * self.total

    def gains(
        self, before: Array, after: Array, weights: Array | None = None
    ) -> tuple[Array, ...]:
        # In the sum, which is what is promised, and of most rows.
        return before - after, winsorised(before - after, weights)


class ExplainedDeviance(ExplainedVariance):
    """Of deviances: the score is the share of deviance explained."""

    def gains(
        self, before: Array, after: Array, weights: Array | None = None
    ) -> tuple[Array, ...]:
        # As of a log-likelihood: a single row may have more than many others.
        return (winsorised(before - after, weights),)


@dataclass(frozen=True)
class LogLikelihood:
    """Of bounds on minus the log-likelihood: the score is the bound per row, in nats.

    Attributes
    ----------
    n_features : int
        A gain is counted per feature: `tol` is as much as in `ExplainedVariance`, where
        a squared error less by this share is a Gaussian likelihood higher by half of
        it.
    offset : float
        What is added to the score, for the scale of the data.
    """

    n_features: int
    offset: float
    #: A stricter one spares no loss: these come from single rows that are far from all
    #: others, of which none need be held out.
    level: ClassVar[float] = 0.05

    def score(self, error: float) -> float:
        return self.offset - error

    def smallest_gain(self, error: float, tol: float) -> float:  # noqa: ARG002
        return 0.5 * tol * self.n_features

    def is_exact(self, error: float) -> bool:  # noqa: ARG002
        return False

    def gains(
        self, before: Array, after: Array, weights: Array | None = None
    ) -> tuple[Array, ...]:
        # A single outlier can lose hundreds of nats, and then no gain of all other rows
        # is significant.
        return (winsorised(before - after, weights),)


def winsorised(values: Array, weights: Array | None = None) -> Array:
    """Return values with the outer twentieths clipped, which no single one can move."""
    low, high = quantiles(values, [0.05, 0.95], weights)
    clipped: Array = np.clip(values, low, high)
    return clipped
