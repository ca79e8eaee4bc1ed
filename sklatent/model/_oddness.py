"""Rows as points whose distances say how odd they are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from .. import runtime
from ..nn import copy_module, saved
from ._labelled import LabelledRows
from ._neighbours import Neighbours, with_recent

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Standardised values end here, so that their squares are finite.
FAR = 1e100
#: Features are at most so many times as wide for distances as for the encoder.
MAX_UNIT = 1e30


@saved
class Standardiser:
    """Features of zero mean and unit variance over some rows.

    A feature that is constant in these keeps its unit, as with ``StandardScaler``.
    """

    def __init__(self, rows: Array) -> None:
        largest = np.abs(rows).max(axis=0)
        largest[largest == 0] = 1  # whose squares may leave the floats
        unit = rows / largest
        deviation = unit.std(axis=0)
        self.mean = unit.mean(axis=0) * largest
        self.scale = np.where(deviation > 1e-12, deviation * largest, 1.0)

    def __call__(self, rows: Array) -> Array:
        """Return rows, standardised."""
        with np.errstate(over="ignore"):
            scaled: Array = ((rows - self.mean) / self.scale).clip(-FAR, FAR)
        return scaled


@saved
class Oddness:
    r"""Scores of rows by an encoder and the neighbours of training rows.

    A standardised row x with the reconstruction :math:`\hat x` is the point
    :math:`(x, x - \hat x)`: distances are those of the rows, in which what the encoder
    leaves, where little varies, counts twice. With PCA that is

    .. math:: \|z - z'\|^2 + 2\, \|r - r'\|^2

    for rows with latents z and residuals r. If training rows have come since, then the
    features of both are divided by how much they vary now.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        The training rows.
    encoder : estimator
        Fitted to the rows, standardised, or to earlier ones.
    standardise : Standardiser
        Which the encoder's rows have passed.
    n_neighbors : int
    random : RandomState
        As in `Neighbours`.
    """

    def __init__(
        self,
        rows: Array,
        encoder: Any,
        standardise: Standardiser,
        n_neighbors: int,
        random: np.random.RandomState,
    ) -> None:
        self.encoder = encoder
        self.standardise = standardise
        self.n_neighbors = n_neighbors
        unit = standardise.scale / Standardiser(rows).scale
        self.unit = np.tile(unit.clip(1 / MAX_UNIT, MAX_UNIT), 2)
        self.neighbours = Neighbours(rows, self.points(rows), n_neighbors, random)

    def fitted_further(self, rows: LabelledRows) -> Self:
        """Return one whose encoder has been fitted to more rows; this one stays."""
        encoder = object.__new__(type(self.encoder))  # whose fit sets new attributes
        vars(encoder).update(vars(self.encoder))
        encoder.partial_fit(self.standardise(rows.X), rows.y)
        further = copy(self)
        further.encoder = encoder
        return further

    def with_neighbours(self, rows: Array, random: np.random.RandomState) -> Self:
        """Return one with more rows to look for neighbours among; this one stays.

        A random few make room for them, and the points of all are computed anew.
        """
        known = with_recent(self.neighbours.rows, rows, random)
        encoder, standardise = self.encoder, self.standardise
        return type(self)(known, encoder, standardise, self.n_neighbors, random)

    def points(self, rows: Array) -> Array:
        """Return the point of each row."""
        x = self.standardise(rows)
        points: Array = np.hstack([x, x - self.encoder.reconstruct(x)]) * self.unit
        return points

    def scores(self, rows: Array) -> Array:
        """Return how odd rows are; about 1 is usual, and higher is odder."""
        return self.neighbours.scores(rows, self.points(rows))

    def own(self, rows: Array) -> list[Indices]:
        """Return which neighbours rows are themselves; see `Neighbours`."""
        return self.neighbours.own(rows, self.points(rows))

    def mean_of_neighbours(self, rows: Array) -> Array:
        """Return the mean of each row's neighbours, shape (n, p)."""
        nearest = self.neighbours.nearest(rows, self.points(rows))[0]
        mean: Array = self.neighbours.rows[nearest].mean(axis=1)
        return mean

    def scores_and_gradients(
        self, rows: Array, own: Sequence[Indices]
    ) -> tuple[Array, Array]:
        """Return scores, and their derivatives by each feature, shape (n, p).

        Parameters
        ----------
        rows : ndarray of shape (n, p)
        own : sequence of ndarray of shape (n,)
            Which neighbours are left out, at each density.
        """
        x = torch.from_numpy(self.standardise(rows)).requires_grad_()
        with self._differentiable() as model:
            points = torch.cat([x, x - model(x)], dim=1) * torch.from_numpy(self.unit)
            found = points.detach().numpy()
            scores, by_point = self.neighbours.scores_and_gradients(found, own)
            gained = (points * torch.from_numpy(by_point)).sum()
            (gradient,) = torch.autograd.grad(gained, x)
        return scores, gradient.numpy() / self.standardise.scale

    @contextmanager
    def _differentiable(self) -> Iterator[Any]:
        """Give the model in float64, on the CPU and with gradients."""
        with runtime.caller_modes_off():
            yield copy_module(self.encoder.net_.module_).double().eval()
