"""What fitting needs of the training rows, whatever their storage."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from ..nn import Filling, SparseBatch
from ._axes import PrincipalAxes
from ._scale import EXTREME, Array, Scale, is_typical, row_slices, squared_norms
from ._targets import Targets
from ._weights import Weights, fingerprints, mean_of

#: Fewer rows do not show how far from each other rows are.
MIN_ROWS_TO_COMPARE = 8

Indices = NDArray[np.intp]
#: Rows of a part of the data.
Part = Indices | slice


class Rows(ABC):
    """The training rows, centred and scaled when they are read.

    A storage supplies `shape`, `scale`, `__getitem__`, `dense` and `tensor`; all else
    follows from these.
    """

    #: What the rows are scaled by.
    scale: Scale
    #: What all rows of the data are to tell besides themselves.
    targets: Targets | None = None
    #: How much each row of the data counts; None where all count once.
    all_weights: Weights | None = None
    #: Of more rows than these, which stand for them; None where these are all.
    axes: PrincipalAxes | None = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""

    @abstractmethod
    def __getitem__(self, part: Part) -> Self:
        """Return some of the rows, by indices or a slice, without a copy."""

    @abstractmethod
    def dense(self, part: Part = slice(None)) -> Array:
        """Return some rows as one new float64 array, scaled."""

    @abstractmethod
    def tensor(self, part: Indices | None = None) -> torch.Tensor:
        """Return the rows with these indices, or all, as float32, scaled."""

    @abstractmethod
    def where(self, part: Part | None = None) -> Part:
        """Return which rows of the data some of these are, or all."""

    @abstractmethod
    def in_units(self) -> NDArray[Any]:
        """Return all rows in the units of the data."""

    #: Whether cells were missing, and are filled.
    is_filled = False
    #: Whether there may be more than memory holds.
    is_large = False

    def __len__(self) -> int:
        return self.shape[0]

    def values(self, part: Indices) -> NDArray[Any]:
        """Return some rows in the units of the data, as an array."""
        return self[part].in_units()

    def unseen(self) -> float:
        """Return the sum of squares, scaled and weighted, of what rows do not show."""
        return 0.0

    def features(self) -> Any:
        """Look at each feature of such rows."""
        raise NotImplementedError

    def cells(self, part: Indices | None = None) -> SparseBatch:
        """Return the rows with these indices, or all, as they are, in float32.

        Of rows that are coordinates of sparse ones.
        """
        raise NotImplementedError

    def known(self, part: Part = slice(None)) -> NDArray[np.bool_] | None:  # noqa: ARG002
        """Return which cells of some rows were observed, scaled ones; None if all."""
        return None

    def filled_by(self, filling: Filling) -> "Rows":  # noqa: ARG002
        """Return the rows with other values in missing cells, if there are any."""
        return self

    def mask(self, part: Indices | None = None) -> torch.Tensor | None:
        """Return the same as numbers, of the rows with these indices or of all."""
        known = self.known(slice(None) if part is None else part)
        return None if known is None else torch.from_numpy(known).float()

    def y(self, part: Indices | None = None) -> torch.Tensor | None:
        """Return the targets of the rows with these indices, or of all, as float32."""
        if self.targets is None:
            return None
        return torch.from_numpy(self.targets.values[self.where(part)])

    @property
    def own_weights(self) -> Weights | None:
        """How much each of these rows counts; None where all count once."""
        return None if self.all_weights is None else self.all_weights[self.where()]

    @property
    def weights(self) -> Array | None:
        """The weight of each row in sums over them; None where all are 1."""
        own = self.own_weights
        return None if own is None else own.values

    @property
    def n_samples(self) -> float:
        """How many rows there are, each as often as it was there."""
        own = self.own_weights
        return len(self) if own is None else float(own.counts.sum())

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        weights = self.weights
        return len(self) if weights is None else float(weights.sum())

    def weighted_blocks(self, width: int = 1) -> Iterator[tuple[Array, Array | None]]:
        """Yield what `blocks` does, and the weights of these rows."""
        weights, done = self.weights, 0
        for x in self.blocks(width):
            yield x, None if weights is None else weights[done : done + len(x)]
            done += len(x)

    def blocks(self, width: int = 1) -> Iterator[Array]:
        """Yield all rows, some of float64 at a time.

        Arrays of so many rows and this width, or that of the rows, take some MB.
        """
        for rows in row_slices(len(self), max(width, self.shape[1])):
            yield self.dense(rows)

    def subsample(self, most: int) -> Self:
        """Return at most about so many rows, evenly spaced."""
        return self[:: -(-len(self) // most)]

    def random_order(self, generator: torch.Generator) -> torch.Tensor:
        """Return all indices in a random order, in which training sees the rows."""
        return torch.randperm(len(self), generator=generator)

    def fingerprints(self) -> NDArray[np.uint64]:
        """Return a number for each row, the same for equal rows and only for these.

        It depends on the row in the units of the data alone.
        """
        found = np.empty(len(self), np.uint64)
        for rows in row_slices(*self.shape):
            found[rows] = fingerprints(self[rows].in_units().astype(np.float64))
        return found

    def typical(self) -> Self:
        """Return the rows that are not extreme, which no measure of spread may follow.

        These are all of them but for gross errors: see `is_typical`.
        """
        squares = self._squared_distances(self.mean())
        typical = is_typical(squares, self.own_weights)
        if MIN_ROWS_TO_COMPARE <= len(self) < 2 * EXTREME and typical.all():
            # One of few rows pulls the mean towards itself, and seems to be nearer.
            others = np.delete(np.arange(len(self)), squares.argmax())
            typical[self._is_extreme_to(self[others])] = False
        return self if typical.all() else self[np.flatnonzero(typical)].typical()

    def _is_extreme_to(self, others: Self) -> NDArray[np.bool_]:
        """Return which rows are extreme beside some of them."""
        mean = others.mean()
        spread = mean_of(others._squared_distances(mean), others.weights)
        extreme = self._squared_distances(mean) > EXTREME**2 * spread
        return np.asarray(extreme & (spread > 0))

    def _squared_distances(self, center: Array) -> Array:
        return np.concatenate([squared_norms(x - center) for x in self.blocks()])

    def mean(self) -> Array:
        """Return the mean of each feature."""
        total = np.zeros(self.shape[1])
        for x, w in self.weighted_blocks():
            total += _sum(x, w)
        return total / self.total_weight

    def variance(self) -> Array:
        """Return the variance of each feature, divided by n and not by n - 1."""
        mean, total = self.mean(), np.zeros(self.shape[1])
        for x, w in self.weighted_blocks():
            total += _sum(np.square(x - mean), w)
        return total / self.total_weight

    def range(self) -> tuple[Array, Array]:
        """Return the least and the largest value of each feature."""
        ends = [(x.min(axis=0), x.max(axis=0)) for x in self.blocks()]
        low, high = (np.array(end) for end in zip(*ends, strict=True))
        return low.min(axis=0), high.max(axis=0)

    def covariance(self) -> tuple[Array, Array]:
        """Return the mean, and the covariance, the mean of products."""
        n, p = self.total_weight, self.shape[1]
        mean, products = np.zeros(p), np.zeros((p, p), order="F")
        for x, w in self.weighted_blocks():
            mean += _sum(x, w)
            if w is not None:
                x *= np.sqrt(w)[:, None]
            # Half of a symmetric matrix, added in place: x.T @ x takes twice the time.
            products = dsyrk(1.0, x.T, beta=1.0, c=products, overwrite_c=True)
        mean /= n
        products += np.triu(products, 1).T
        return mean, products / n - np.outer(mean, mean)

    def sum_of_squares(self) -> float:
        """Return the sum of the squares of all scaled entries."""
        return sum(
            float(np.vdot(x, x) if w is None else w @ squared_norms(x))
            for x, w in self.weighted_blocks()
        )

    def observed_sum_of_squares(self) -> float:
        """Return the sum of the squares of the observed ones."""
        return self.sum_of_squares()

    def observed_mean_squares(self) -> Array:
        """Return the mean over rows of each feature's square, 0 where missing."""
        return np.asarray(self.variance() + self.mean() ** 2)


def _sum(x: Array, weights: Array | None) -> Array:
    """Return the sum of rows, weighted if there are weights."""
    return x.sum(axis=0) if weights is None else weights @ x
