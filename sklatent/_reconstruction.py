"""What a fitted model does with rows: to latents, back, and how well."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from ._devices import inference_device
from ._isolation import isolated
from ._parameters import torch_dtype
from ._scaling import row_slices, scaled

FLOATS = [np.float64, np.float32]


class ReconstructionMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods by which a fitted estimator computes.

    It wants of the class: `n_components_`, `mean_`, `_scale` and `net_`.
    """

    n_components_: int
    mean_: NDArray[Any]
    net_: Any
    device: str
    _scale: float
    _is_ordered: Any

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to its latents.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The latents, in units of `X` (of no unit if ``whiten=True``), float32 for
            float32 `X` and float64 otherwise. Over the training rows they have zero
            mean, are uncorrelated and sorted by variance.
        """
        return self._encode(self._validate(X))

    def inverse_transform(self, Z: ArrayLike) -> NDArray[Any]:
        """Map latents back to rows.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents, as `transform` gives them; with ``ordered=True`` also the first
            few columns of them.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, on the scale of the training data.
        """
        check_is_fitted(self)
        latents = check_array(Z, dtype=FLOATS, input_name="Z")
        width = latents.shape[1]
        if width > self.n_components_ or (
            width < self.n_components_ and not self._is_ordered
        ):
            raise ValueError(
                f"Z has {width} columns, but {type(self).__name__} has "
                f"n_components_={self.n_components_}; give it what transform returns "
                "(fewer columns want a model fitted with ordered=True)."
            )
        return self._decode(latents)

    def reconstruct(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to its latents and back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            Equal to ``inverse_transform(transform(X))``.
        """
        return self._decode(self._encode(self._validate(X)))

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Return how well each row is reconstructed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the squared distance between the row and its reconstruction, in
            squared units of `X`. Low scores point to outliers.
        """
        valid = self._validate(X)
        scores = np.empty(len(valid), valid.dtype)
        for rows, errors in self._squared_errors(valid):
            with np.errstate(over="ignore", under="ignore"):  # -inf and 0 are right
                scores[rows] = -(errors * self._scale) * self._scale
        return scores

    def score(self, X: ArrayLike, y: Any = None) -> float:  # noqa: ARG002
        r"""Return the share of variance that the model explains of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : None
            Ignored.

        Returns
        -------
        score : float
            :math:`1 - \|X - \hat X\|^2 / \|X - \mathrm{mean\_}\|^2`: 1 is a perfect
            reconstruction and 0 what the mean alone achieves. On the training rows of
            PCA it is ``explained_variance_ratio_.sum()``.
        """
        valid = self._validate(X)
        left, total = 0.0, 0.0
        for rows, errors in self._squared_errors(valid):
            left += float(errors.sum(dtype=np.float64))
            x = scaled(valid[rows], self.mean_, self._scale)
            total += float(np.vdot(x, x))
        if total == 0:
            return 1.0 if left == 0 else 0.0
        return 1.0 - left / total

    def _validate(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        valid: NDArray[Any] = validate_data(self, X, dtype=FLOATS, reset=False)
        return valid

    def _encode(self, X: NDArray[Any]) -> NDArray[Any]:
        Z = np.empty((len(X), self.n_components_), X.dtype)
        with self._inference(X.dtype) as (module, device):
            for rows, x in self._batches(X, X.dtype, device):
                Z[rows] = module.encode(x).cpu().numpy()
        return Z

    def _decode(self, Z: NDArray[Any]) -> NDArray[Any]:
        X = np.empty((len(Z), len(self.mean_)), Z.dtype)
        with self._inference(Z.dtype) as (module, device):
            for rows in row_slices(len(Z), self._width()):
                z = torch.from_numpy(np.array(Z[rows], order="C")).to(device)
                X[rows] = self._in_units(module.decode(z).cpu().numpy())
        return X

    def _in_units(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return what the module's decoder gave, in the units of the data."""
        unit, offset = self._output_units()
        rows: NDArray[Any] = x * x.dtype.type(unit) + offset
        return rows

    def _output_units(self) -> tuple[float, NDArray[Any]]:
        """Return by what, and then with which offset, output is in units of X."""
        return self._scale, self.mean_

    def _squared_errors(self, X: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield slices of rows and their squared errors, in scaled units."""
        with self._inference(X.dtype) as (module, device):
            for rows, x in self._batches(X, X.dtype, device):
                errors = (module.decode(module.encode(x)) - x).square().sum(dim=1)
                yield rows, errors.cpu().numpy()

    @contextmanager
    def _inference(self, dtype: np.dtype[Any]) -> Iterator[tuple[Any, torch.device]]:
        """Give the module in `dtype`, on the device to infer on.

        The fitted module stays on the CPU, in the dtype of the training rows.
        """
        wanted = torch_dtype(dtype)
        device = inference_device(self.device, wanted)
        module = self.net_.module_
        if device.type != "cpu" or module.frame.mean.dtype != wanted:
            module = copy.deepcopy(module).to(device, wanted)
        with isolated(), torch.inference_mode():
            yield module, device

    def _batches(
        self, X: NDArray[Any], dtype: DTypeLike, device: torch.device
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of rows and the rows, scaled."""
        for rows in row_slices(len(X), self._width()):
            x = scaled(X[rows], self.mean_, self._scale, dtype)
            yield rows, torch.from_numpy(x).to(device)

    def _width(self) -> int:
        """Return the width of the widest layer that a weight shows."""
        weights = self.net_.module_.state_dict().values()
        return max(len(self.mean_), *(max(w.shape, default=1) for w in weights))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
