"""A fitted model over arrays: in blocks, in the dtype of the rows, on a device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor, nn

from .. import runtime
from ..nn import (
    LatentModel,
    SparseBatch,
    copy_module,
    is_ours,
    jacobians,
    mean_jacobian,
    moved,
)
from ..plan import torch_dtype
from ..rows import row_slices, sparse_batch

#: Rows that are computed at once, at least.
MIN_BLOCK = 64
#: Copies of models in another dtype or on another device: the structure of what they
#: were made of, the copy, and for each tensor its twin there and, on another device,
#: its value when it was sent.
_copies: WeakKeyDictionary[nn.Module, dict[Any, Any]] = WeakKeyDictionary()


class Inference:
    """Applies a fitted model to arrays of rows or latents.

    Parameters
    ----------
    model : LatentModel
        It is on the CPU, in the dtype of the training rows, and stays as it is.
    device : str
        Where to compute, as the estimators have it.
    """

    def __init__(self, model: LatentModel, device: str = "cpu") -> None:
        self.model = model
        self.device = device

    def encode(self, X: NDArray[Any]) -> NDArray[Any]:
        """Map rows to latents."""
        return self.map_rows(X, lambda model, x: model.encode(x))

    def decode(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Map latents, or the first few of each, to rows."""
        return self.map_rows(Z, lambda model, z: model.decode(z))

    def map_rows(
        self,
        X: NDArray[Any],
        function: Callable[[Any, Any], Tensor],
        width: int = 1,
    ) -> NDArray[Any]:
        """Return what a function of model and rows makes of all rows, in their dtype.

        The parameters are those of `blocks`.
        """
        results: NDArray[Any] | None = None
        done = 0
        for block in self.blocks(X, function, width):
            if results is None:
                results = np.empty((X.shape[0], *block.shape[1:]), X.dtype)
            results[done : done + len(block)] = block.cpu().numpy()
            done += len(block)
        assert results is not None
        return results

    def blocks(
        self, X: NDArray[Any], function: Callable[[Any, Any], Tensor], width: int = 1
    ) -> Iterator[Tensor]:
        """Yield what a function of model and rows makes of some rows at a time.

        Parameters
        ----------
        X : ndarray of shape (n, p)
            Rows or latents, float32 or float64.
        function : callable
            Maps the model and a tensor (m, p) to a tensor.
        width : int, default=1
            How many times wider than the rows are what it computes with.
        """
        n = X.shape[0]
        with self.running(X.dtype, n) as (model, device):
            smallest = MIN_BLOCK if width == 1 else 1
            if n > smallest:  # to walk through a model takes time
                width *= widest_layer(model)
            for rows in row_slices(n, width, smallest):
                x = _as_tensor(X[rows], model)
                sent = moved(x, device) if isinstance(x, Tensor) else x.to(device)
                yield function(model, sent)

    def errors(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return each row's error of reconstruction, as the model counts it.

        In float64, where a row is so far away that float32 does not hold one.
        """
        errors = self.map_rows(X, lambda model, x: model.errors(x))
        far = np.flatnonzero(np.isinf(errors))
        if len(far) and X.dtype == np.float32:
            errors = errors.astype(np.float64)
            errors[far] = self.errors(X[far].astype(np.float64))
        return errors

    def error_of_mean(
        self, X: NDArray[Any], weights: NDArray[np.float64] | None = None
    ) -> float:
        """Return the sum over rows, times their weights, of the mean's errors."""

        def squares(model: LatentModel, x: Tensor) -> Tensor:
            return model.errors_of_mean(x.to(torch.float64))

        total, done = 0.0, 0
        for part in self.blocks(X, squares):
            if weights is not None:
                part *= torch.from_numpy(weights[done : done + len(part)]).to(part)
            total += float(part.sum())
            done += len(part)
        return total

    @contextmanager
    def running(
        self, dtype: np.dtype[Any], n_rows: int
    ) -> Iterator[tuple[Any, torch.device]]:
        """Give the model in `dtype`, on the device to infer on."""
        if self.model.training:  # as after a partial_fit of the net
            self.model.eval()
        needed = torch_dtype(dtype)
        flops = 0.0
        if n_rows > MIN_BLOCK:
            flops = 2.0 * n_rows * sum(p.numel() for p in self.model.parameters())
        device = runtime.inference_device(self.device, needed, flops)
        foreign = not is_ours(self.model)
        with runtime.inference(device, uses_global_generator=foreign):
            yield self._model_in(needed, device), device

    def _model_in(self, dtype: torch.dtype, device: torch.device) -> Any:
        """Return the model, or a copy of it in another dtype or on another device.

        The copy is kept while the model's structure stays the same. Its weights are
        read anew each time, so that a change of one is followed; to another device only
        those go that have changed. With a network of the user's, whose structure is not
        known, it is a new one each time.
        """
        if device.type == "cpu" and self.model.dtype == dtype:
            return self.model
        if not is_ours(self.model):
            return copy_module(self.model).to(device, dtype)
        known = _copies.setdefault(self.model, {})
        structure = _structure(self.model)
        found = known.get((dtype, device))
        if found is None or found[0] != structure:
            made = copy_module(self.model).to(device, dtype)
            values, twins = _tensors(self.model), _tensors(made)
            sent = [None if device.type == "cpu" else v.clone() for v in values]
            copies = list(zip(twins, values, sent, strict=True))
            found = known[dtype, device] = structure, made, copies
        else:
            for copy in found[2]:
                _update(*copy)
        return found[1]

    # Derivatives ----------------------------------------------------------------

    def jacobians(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Return the decoder's Jacobian at each row of latents.

        Returns
        -------
        jacobians : ndarray of shape (n, n_components, n_features)
            In units of the data per unit of the latents, in the dtype of `Z`.
        """
        constant = self.model.constant_jacobian
        if constant is not None:
            one = constant.numpy() * self.model.unit
            return np.repeat(one[None].astype(Z.dtype), len(Z), axis=0)
        shape = (*Z.shape, len(self.model.scaling.mean))
        results = np.empty(shape, Z.dtype)
        if not results.size:
            return results
        step = self.model.derivative_step
        with self._decoding(len(Z)) as decode:
            for rows, jacobian in jacobians(decode, _in_float64(Z), step):
                wide = self.model.widen(jacobian)
                results[rows] = wide.numpy() * self.model.unit
        return results

    def mean_jacobian(
        self, Z: NDArray[Any], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the mean of the decoder's Jacobian over rows of latents, weighted.

        Returns
        -------
        jacobian : ndarray of shape (n_components, n_features)
            In units of the data per unit of the latents.
        """
        if not Z.shape[1]:
            return np.zeros((0, len(self.model.scaling.mean)))
        constant = self.model.constant_jacobian
        if constant is not None:
            return constant.numpy() * self.model.unit
        with self._decoding(len(Z)) as decode:
            step = self.model.derivative_step
            weight = None if weights is None else torch.from_numpy(weights)
            mean = mean_jacobian(decode, _in_float64(Z), step, weight)
        return self.model.widen(mean).numpy() * self.model.unit

    @contextmanager
    def _decoding(self, n_rows: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Give the decoder of latents in float64, on the CPU and back to it."""
        with self.running(np.dtype(np.float64), n_rows) as (model, device):

            def decode(z: Tensor) -> Tensor:
                rows: Tensor = model.decode_expected(z.to(device)).cpu()
                return rows

            yield decode


def widest_layer(model: nn.Module) -> int:
    """Return the largest dimension of all weights: the width of the widest layer."""
    tensors = [*model.parameters(), *model.buffers()]
    return max(max(t.shape, default=1) for t in tensors)


def _as_tensor(X: Any, model: LatentModel) -> Tensor | SparseBatch:
    """Return rows as a tensor; a copy only where PyTorch cannot share their memory.

    Sparse ones stay sparse where the model sees them in a basis.
    """
    if issparse(X):
        if model.scaling.basis is not None:
            return sparse_batch(X)
        X = X.toarray()
    shared = X.flags.c_contiguous and X.flags.writeable
    return torch.from_numpy(X if shared else np.array(X, order="C"))


def _update(twin: Tensor, value: Tensor, sent: Tensor | None) -> None:
    """Copy a value to its twin, where it was sent only if it has changed since."""
    if sent is None:  # on the CPU to compare takes as long as to copy
        twin.copy_(value)
    elif not torch.equal(value, sent):
        twin.copy_(value)
        sent.copy_(value)


def _in_float64(Z: NDArray[Any]) -> Tensor:
    return torch.from_numpy(Z.astype(np.float64))


def _structure(model: nn.Module) -> list[Any]:
    """Return what tells whether a model has changed, but for its weights' values."""
    return [_structure_of(module) for module in model.modules()]


def _structure_of(module: nn.Module) -> tuple[Any, ...]:
    state = vars(module)
    plain = [
        (name, value if isinstance(value, bool | int | float | str) else id(value))
        for name, value in state.items()
        if not name.startswith("_")
    ]
    hooks = [
        (name, tuple(map(id, value.values())))
        for name, value in state.items()
        if name.endswith("_hooks") and value
    ]
    tensors = [
        (name, None if t is None else (id(t), t.shape))
        for part in (module._parameters, module._buffers)
        for name, t in part.items()
    ]
    return id(module), type(module), plain, hooks, tensors


def _tensors(model: nn.Module) -> list[Tensor]:
    """Return all tensors; one that parts share, which a copy's need not, each time."""
    named = (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    )
    return [tensor for _, tensor in named]
