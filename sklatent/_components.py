"""What code that was written for PCA reads of a fitted model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ._reconstruction import ReconstructionMixin
from .nn import LatentFrame, Moments, jacobians, mean_jacobian

#: Latents of the training rows that are kept, as a number of floats.
KEPT = 2**18
#: Multiplications that one pass for `components_` may take: some seconds.
AFFORDABLE = 2**35


class ComponentsMixin(ReconstructionMixin):
    """Variances of the latents, and what a step along each does to the features."""

    whiten: bool

    def _read(self, moments: Moments, frame: LatentFrame, dtype: np.dtype[Any]) -> None:
        """Set the attributes that describe the latents of the training rows.

        With ``whiten=True`` the module's frame is whitened here, so that they describe
        the latents before it, as in PCA.
        """
        n = self.n_samples_ = moments.n
        self._total_variance = moments.squares / (n - 1)
        left, total = moments.left, moments.squares
        self._share = 1 - left / total if total > 0 else 1.0
        # The squares of very large or small numbers leave the floats.
        unit = float(frame.matrix.abs().max()) or 1.0
        matrix = frame.matrix / unit
        variance = ((matrix.mT @ moments.covariance) * matrix.mT).sum(dim=1)
        std = variance.clamp(min=0).sqrt().numpy()
        self.explained_variance_ratio_ = self._shares(np.square(std)).astype(dtype)
        std *= unit
        with np.errstate(over="ignore", under="ignore"):
            self.explained_variance_ = np.square(std).astype(dtype)
            self.singular_values_ = (std * np.sqrt(n - 1)).astype(dtype)
        self._latent_std = np.ones(len(std))
        if self.whiten:
            alive = std > 1e-9 * std.max()
            self._latent_std = np.where(alive, std, 1.0)
            module = self.net_.module_
            factor = torch.from_numpy(1 / self._latent_std)
            module.frame = frame.times(factor).to(module.frame.mean.dtype)
        codes = frame(moments.kept).numpy() / self._latent_std
        self._codes: NDArray[Any] = codes.astype(dtype)
        self._components: NDArray[Any] | None = None

    def _every(self, n_rows: int, decoder: Any) -> int:
        """Return the step between the rows whose latents `components_` is of."""
        size = n_rows * self.n_components_
        work: int = size * sum(w.numel() for w in decoder.state_dict().values())
        return max(1, -(-size // KEPT), -(-work // AFFORDABLE))

    def _as_scaled_rows(self, decoded: torch.Tensor) -> NDArray[np.float64]:
        """Return what the decoder gave in float64, centred and scaled as rows are."""
        x: NDArray[np.float64] = decoded.double().cpu().numpy()
        unit, offset = self._output_units()
        if offset is self.mean_:  # it is so already; there and back would round
            return x
        scaled: NDArray[np.float64] = (x * unit + offset - self.mean_) / self._scale
        return scaled

    def _set_noise_variance(self) -> None:
        """Set the mean variance in the directions that have no latent, as in PCA."""
        directions = min(self.n_samples_, len(self.mean_)) - self.n_components_
        left = max(1 - self._share, 0.0) * self._total_variance / max(directions, 1)
        with np.errstate(over="ignore", under="ignore"):
            variance = np.multiply(left * self._scale, self._scale)
        self.noise_variance_ = float(variance) if directions > 0 else 0.0

    def _shares(self, variance: NDArray[Any]) -> NDArray[Any]:
        """Split what is explained of the variance among the latents."""
        total = variance.sum()
        share = max(self._share, 0.0)
        return variance * (share / total) if total > 0 else np.zeros_like(variance)

    def _drop_readings(self, size: int) -> None:
        """Forget the latents after the first `size`."""
        for name in (
            "explained_variance_",
            "singular_values_",
            "explained_variance_ratio_",
            "_latent_std",
        ):
            setattr(self, name, getattr(self, name)[:size])
        self._share = float(self.explained_variance_ratio_.sum())
        self._codes = self._codes[:, :size]
        self._components = None

    @property
    def components_(self) -> NDArray[Any]:
        """Mean change of each feature by a unit step along each latent."""
        check_is_fitted(self)
        if self._components is None:
            with self._decoding() as decode:
                mean = mean_jacobian(
                    decode, torch.from_numpy(self._codes.astype(float))
                )
            components = self._in_units_of_a_step(mean.numpy())
            self._components = components.astype(self.mean_.dtype)
        return self._components

    def feature_influence(self, X: ArrayLike) -> NDArray[Any]:
        """Return what a unit step along each latent changes, for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        influence : ndarray of shape (n_samples, n_components, n_features)
            Entry (i, j, f) is the derivative of feature f of the reconstruction of row
            i by its latent j, in units of `X` per unit of the latent (before
            whitening). Its mean over the training rows is `components_`.
        """
        valid = self._validate(X)
        influence = np.empty((len(valid), self.n_components_, valid.shape[1]))
        Z = torch.from_numpy(self._encode(valid).astype(float))
        with self._decoding() as decode:
            for rows, jacobian in jacobians(decode, Z):
                influence[rows] = self._in_units_of_a_step(jacobian.numpy())
        return influence.astype(valid.dtype, copy=False)

    @contextmanager
    def _decoding(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        """Give the decoder of latents in float64, on the CPU and back to it."""
        with self._inference(np.dtype(np.float64)) as (module, device):

            def decode(z: torch.Tensor) -> torch.Tensor:
                decoded: torch.Tensor = module.decode(z.to(device)).cpu()
                return decoded

            yield decode

    def _in_units_of_a_step(self, jacobian: NDArray[Any]) -> NDArray[Any]:
        """Return derivatives in units of X per unit of the latents before whitening."""
        unit, _ = self._output_units()
        result: NDArray[Any] = jacobian / self._latent_std[:, None] * unit
        return result
