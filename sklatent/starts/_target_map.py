"""What a fit keeps of its targets, in which there is none of them."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..nn import saved
from ..rows import Array, Targets

#: Latents that are smaller tell nothing.
MIN_SIZE = 1e-150


@saved
@dataclass(frozen=True)
class TargetMap:
    """A linear regression of targets on latents.

    Attributes
    ----------
    weight : ndarray of shape (1 + k, n_targets)
        Of a constant and the latents, for numbers or one-hot vectors of classes.
    deviation : ndarray of shape (n_targets,)
        Of what it leaves.
    is_classes : bool
    """

    weight: Array
    deviation: Array
    is_classes: bool

    @classmethod
    def of(cls, Z: NDArray[Any], targets: Targets, rows: Any) -> Self:
        """Fit it to the latents (n, k) of some rows, which say where targets are."""
        y = targets.in_units()[rows]
        if targets.classes is not None:
            one_hot = y == np.arange(len(targets.classes))
            y = np.where(y < 0, np.nan, one_hot)
        A = _with_ones(Z)
        size = np.abs(A).max(axis=0, initial=0)
        size[size < MIN_SIZE] = np.inf  # one over which leaves the floats
        A = A / size
        weight, deviation = np.zeros((A.shape[1], y.shape[1])), np.zeros(y.shape[1])
        for j, target in enumerate(y.T):
            known = np.isfinite(target)
            weight[:, j] = np.linalg.lstsq(A[known], target[known])[0]
            left = target[known] - A[known] @ weight[:, j]
            deviation[j] = np.sqrt(np.square(left).mean()) if known.any() else 0.0
        return cls(weight / size[:, None], deviation, targets.classes is not None)

    def drawn(self, Z: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """Draw targets of latents (n, k): indices of classes (n, 1), or numbers."""
        y = _with_ones(Z) @ self.weight
        if not self.is_classes:
            return np.asarray(y + self.deviation * random.normal(size=y.shape))
        share = np.cumsum(y.clip(min=1e-9), axis=1)
        threshold = random.random((len(y), 1)) * share[:, -1:]
        return np.asarray((share < threshold).sum(axis=1, keepdims=True))


def _with_ones(Z: NDArray[Any]) -> Array:
    return np.column_stack([np.ones(len(Z)), Z])
