"""Principal axes of rows that come one batch after the other."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import IncrementalPCA
from sklearn.utils.extmath import svd_flip

from ..nn import saved
from ..rows import Array, PrincipalAxes, Scale
from ._target_map import TargetMap

#: How many times larger than those of earlier calls no numbers may be. The squares of
#: such numbers still leave digits to these, and networks are of float32.
MAX_DISTANCE = 1e15
#: Rows of a sketch besides two for each axis.
ROWS_OF_A_SKETCH = 128
#: By which rows of one call may differ from those of others in scale: its square is a
#: number.
MAX_RATIO = 1e100


@saved
@dataclass(frozen=True)
class RunningAxes:
    """What incremental principal component analysis knows of all rows seen.

    (Ross et al. 2008, "Incremental learning for robust visual tracking".) All is in
    multiples of one number, since the squares of very large or small ones leave the
    floats.

    Attributes
    ----------
    n : int
        How many rows.
    unit : float
        That number.
    mean, variance : ndarray of shape (n_features,)
        Of each feature; the variance is divided by n.
    components : ndarray of shape (rank, n_features)
    singular_values : ndarray of shape (rank,)
        Of the centred rows, along these.
    """

    n: int
    unit: float
    mean: Array
    variance: Array
    components: Array
    singular_values: Array

    @classmethod
    def of(cls, X: NDArray[Any], size: int) -> Self:
        """Return what the first rows say, of which there are `size` at least."""
        largest = float(np.abs(X).max())
        # A power of two, which divides without rounding.
        unit = 2.0 ** math.floor(math.log2(largest)) if largest > 0 else 1.0
        return cls._after(IncrementalPCA(max(1, min(size, X.shape[1]))), X, unit)

    def updated(self, X: NDArray[Any]) -> Self:
        """Return what is known after more rows (n, n_features)."""
        pca = IncrementalPCA(len(self.components))
        pca.n_components_ = len(self.components)
        pca.n_samples_seen_, pca.mean_, pca.var_ = self.n, self.mean, self.variance
        pca.components_, pca.singular_values_ = self.components, self.singular_values
        pca.n_features_in_ = X.shape[1]
        return self._after(pca, X, self.unit)

    @classmethod
    def _after(cls, pca: IncrementalPCA, X: NDArray[Any], unit: float) -> Self:
        # What is divided by 0 is a share of no variance, which is not read.
        with np.errstate(all="ignore"):
            rows = X.astype(np.float64) / unit
            far = float(np.abs(rows).max()) > MAX_DISTANCE
            if not far:
                pca.partial_fit(rows, check_input=False)
        if far:
            raise ValueError(
                f"X has numbers as large as {np.abs(X).max():.3g}, over "
                f"{MAX_DISTANCE:g} times as large as those of earlier calls. Are they "
                "codes for missing values?"
            )
        return cls(
            int(pca.n_samples_seen_),
            unit,
            pca.mean_,
            pca.var_,
            pca.components_,
            pca.singular_values_,
        )

    @property
    def mean_in_units(self) -> Array:
        """The mean of each feature, in the units of the data."""
        return self.mean * self.unit

    @property
    def left_over(self) -> Array:
        """The sum of squares of each feature that is along no component."""
        along = np.square(self.singular_values[:, None] * self.components).sum(axis=0)
        return np.asarray((self.n * self.variance - along).clip(min=0))

    def scaled(self, scale: Scale, size: int) -> PrincipalAxes:
        """Return the first axes, of scaled rows."""
        varying = slice(None) if scale.keeps_constant else scale.varying
        varying = slice(None) if varying is None else varying
        ratio = self.unit / scale.scale
        if not 1 / MAX_RATIO < ratio < MAX_RATIO:
            raise ValueError(
                f"X and the rows of earlier calls differ by a factor of {ratio:.3g} in "
                f"scale, of which {MAX_RATIO:g} is the most that can be."
            )
        squares = np.square(self.singular_values * ratio)[:size]
        total = self.n * self.variance.sum() * ratio**2
        n = max(self.n - 1, 1)
        return PrincipalAxes(
            (self.mean_in_units[varying] - scale.center) / scale.scale,
            self.components[:size, varying],
            squares / n,
            max(float(total - squares.sum()), 0.0) / n,
        )

    def sketch(self) -> Array:
        """Return rows (m, n_features), each of which stands for n / m rows.

        They are as if drawn from a Gaussian, but for their mean, what is along the
        components, and the sum of all variances, which are exact. What is along none of
        them is shared out by the features as it was, nearly.
        """
        rank, p = self.components.shape
        directions, noise = _directions(2 * rank + ROWS_OF_A_SKETCH, rank, p)
        m = len(directions)
        noise = noise * np.sqrt(self.left_over)
        noise -= (noise @ self.components.T) @ self.components
        size, total = np.linalg.norm(noise), np.sqrt(self.left_over.sum())
        noise *= total / size if size > 0 else 0.0
        along = directions @ (self.singular_values[:, None] * self.components)
        rows = self.mean + np.sqrt(m / self.n) * (along + noise)
        return np.asarray(rows * self.unit)


@saved
@dataclass(frozen=True)
class SeenRows:
    """What a fit keeps of its rows, in which there is none of them.

    Attributes
    ----------
    n : int
        How many rows.
    unit : float
        In multiples of which all is, but for the latents.
    mean, variance : ndarray of shape (n_features,)
        Of each feature; the variance is divided by n.
    covariance : ndarray of shape (k, k)
        Of the latents.
    cross_covariance : ndarray of shape (k, n_features)
        Of latents and features.
    targets : TargetMap or None
        What latents say of the targets.
    """

    n: int
    unit: float
    mean: Array
    variance: Array
    covariance: Array
    cross_covariance: Array
    targets: TargetMap | None = None

    def axes(self) -> RunningAxes:
        r"""Return the principal axes of what a regression on the latents explains.

        With :math:`S` the covariance of the latents and `C` that of latents and
        features, this has the covariance :math:`C^\top S^{-1} C`. Of PCA's latents
        they are PCA's.
        """
        if not len(self.covariance):
            none = np.zeros((1, len(self.mean)))
            return self._axes(none, none[0, :1])
        squares, vectors = np.linalg.eigh(self.covariance)
        known = squares > 1e-14 * squares[-1]
        roots = np.where(known, 1 / np.sqrt(np.where(known, squares, 1.0)), 0.0)
        along = (vectors * roots).T @ self.cross_covariance
        _, deviations, axes = np.linalg.svd(along, full_matrices=False)
        axes = svd_flip(None, axes, u_based_decision=False)[1]
        roots = deviations * np.sqrt(max(self.n - 1, 1))
        return self._axes(axes, roots)

    def _axes(self, axes: Array, roots: Array) -> RunningAxes:
        moments = self.unit, self.mean, self.variance
        return RunningAxes(self.n, *moments, axes, roots)


@lru_cache(maxsize=4)
def _directions(m: int, rank: int, p: int) -> tuple[Array, Array]:
    """Return columns of mean 0 and length 1: orthogonal ones, and others to these."""
    random = np.random.RandomState(0)
    drawn = random.standard_normal((m, rank))
    directions = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    noise = random.standard_normal((m, p))
    noise -= noise.mean(axis=0)
    noise -= directions @ (directions.T @ noise)
    return directions, noise / np.linalg.norm(noise, axis=0)
