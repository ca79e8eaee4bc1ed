"""How a detector of outliers is made of rows, and how it explains its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from ._autoencoder import Autoencoder
from .model import (
    Calibration,
    Neighbours,
    Oddness,
    Standardiser,
    integrated_gradients,
)

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Of an encoder without n_components: the share of the variance that its latents have,
SHARE_OF_VARIANCE = 0.9
#: and how many they are at most.
MAX_LATENTS = 32
#: Rows of which that is found, at most.
MAX_ROWS = 10_000


@dataclass(frozen=True)
class OddnessFit:
    """What a detector is made of, but for the rows.

    Attributes
    ----------
    encoder : estimator or None
    contamination : 'auto' or float
        A float is the share of rows that are left out.
    n_neighbors : int
    seed : int
    """

    encoder: Any
    contamination: float | Literal["auto"]
    n_neighbors: int
    seed: int

    def __call__(self, X: Array, y: Any, groups: Any, train: Indices) -> Oddness:
        """Return a detector of some rows, without those that are trimmed."""
        random = np.random.RandomState(self.seed)
        if not isinstance(self.contamination, str):
            train = self._trimmed(X, train, self.contamination, random)
        standardise = Standardiser(X[train])
        x = standardise(X[train])
        encoder = self._new_encoder(x)
        y, groups = (
            None if given is None else _safe_indexing(given, train)
            for given in (y, groups)
        )
        encoder.fit(x, y, groups=groups)
        return Oddness(X[train], encoder, standardise, self.n_neighbors, random)

    def _trimmed(
        self, X: Array, train: Indices, share: float, random: np.random.RandomState
    ) -> Indices:
        """Return the training rows without those farthest from the others."""
        n_kept = max(2, len(train) - round(share * len(train)))
        rows = X[train]
        points = Standardiser(rows)(rows)
        neighbours = Neighbours(rows, points, self.n_neighbors, random)
        order = np.argsort(neighbours.scores(rows, points), kind="stable")
        return np.sort(train[order[:n_kept]])

    def _new_encoder(self, x: Array) -> Any:
        """Return an encoder to fit to rows, with a latent size."""
        if self.encoder is None:
            encoder: Any = Autoencoder(random_state=self.seed)
        else:
            encoder = clone(self.encoder)
        if encoder.n_components is None:
            encoder.set_params(n_components=_n_latents(x))
        return encoder


def _n_latents(x: Array) -> int:
    """Return how many components PCA needs for most of the variance of rows."""
    x = x[:: -(-len(x) // MAX_ROWS)]
    x = x - x.mean(axis=0)
    gram = x.T @ x if x.shape[1] <= x.shape[0] else x @ x.T
    explained = np.cumsum(np.linalg.eigvalsh(gram)[::-1].clip(min=0))
    n_needed = int(np.searchsorted(explained, SHARE_OF_VARIANCE * explained[-1])) + 1
    return min(n_needed, MAX_LATENTS, len(explained))


def shares_of_features(
    parts: Sequence[Oddness], calibration: Calibration, baseline: Array, X: Array
) -> Array:
    """Return what each feature adds to the distances of rows, shape (n, p).

    Parameters
    ----------
    parts : sequence of Oddness
        The detectors.
    calibration : Calibration
        What makes one distance of their scores.
    baseline, X : ndarray of shape (n, p)
        Rows to compare with, and rows.
    """
    own = [part.own(X) for part in parts]

    def distance(points: Array, rows: Indices) -> tuple[Array, Array]:
        found = [
            part.scores_and_gradients(points, [level[rows] for level in levels])
            for part, levels in zip(parts, own, strict=True)
        ]
        scores = np.column_stack([score for score, _ in found])
        values, weights = calibration.distances(scores)
        gradients = np.array([gradient for _, gradient in found])
        return values, np.einsum("nk,knp->np", weights, gradients)

    return integrated_gradients(distance, baseline, X)
