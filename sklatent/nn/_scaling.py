"""The scale of the data, inside a module."""

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ._sparse_batch import SparseBatch

#: Of the noise that a feature without variance has in a Gaussian likelihood.
VARIANCE_OF_CONSTANTS = 1e-12


class KeepsFloat64(nn.Module):
    """A module whose buffers stay in float64, whatever the module around is cast to."""

    #: Buffers that keep the dtype they have.
    kept_as_they_are: ClassVar[tuple[str, ...]] = ()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Follow the module to another device, but not to another dtype."""
        if recurse:
            for child in self.children():
                child._apply(fn)  # type: ignore[no-untyped-call]
        for name, value in self._buffers.items():
            if value is None:
                continue
            probe = torch.empty(0, dtype=torch.float32, device=value.device)
            device = fn(probe).device
            if not value.is_floating_point() or name in self.kept_as_they_are:
                self._buffers[name] = value.to(device)
            elif device.type == "mps":  # it has no float64
                self._buffers[name] = value.float().to(device)
            else:
                self._buffers[name] = value.to(device).double()
        return self


class Scaling(KeepsFloat64):
    r"""Rows in the units of the data to scaled ones, :math:`(x - m) / s`, and back.

    Both directions compute in the dtype of `x`. Mean and scale stay in float64,
    whatever dtype the module around them is cast to: rows whose mean is far from zero
    are centred before any rounding.

    Scaled rows have the features that vary, and on the way back the others get the one
    value that they had in training. Or they are coordinates in a basis of fewer
    directions, :math:`(x - m) B / s`, and on the way back there is nothing outside of
    these.

    Parameters
    ----------
    mean : Tensor of shape (n_features,), float64
    scale : Tensor of shape (), float64
        One number for all features.
    varying : Tensor of int or None, default=None
        The features that vary; None is all.
    keeps_constant : bool, default=False
        Whether scaled rows have the other features as well, for networks that require
        as many as there are.
    basis : Tensor of shape (n_features, r), float64, or None
        Orthonormal columns. It is no part of the state, of which training keeps
        copies: it may be large, and nothing changes it.
    """

    kept_as_they_are: ClassVar[tuple[str, ...]] = ("narrow",)

    mean: Tensor
    scale: Tensor
    basis: Tensor | None
    origin: Tensor | None
    narrow: Tensor | None
    varies: Tensor | None
    varying: Tensor | None
    place: Tensor | None

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        varying: Tensor | None = None,
        *,
        keeps_constant: bool = False,
        basis: Tensor | None = None,
    ) -> None:
        super().__init__()
        varies = place = None
        if varying is not None:
            varies = torch.zeros_like(mean)
            varies[varying] = 1.0
            place = torch.zeros(len(mean), dtype=torch.int64, device="cpu")
            place[varying] = torch.arange(len(varying), device="cpu")
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("varies", varies)
        self.register_buffer("varying", None if keeps_constant else varying)
        #: Where each feature stands in a scaled row.
        self.register_buffer("place", None if keeps_constant else place)
        self.register_buffer("basis", basis, persistent=False)
        #: The mean in the basis.
        origin = None if basis is None else mean @ basis
        self.register_buffer("origin", origin, persistent=False)
        #: The basis in float32, for training on sparse rows.
        self.register_buffer("narrow", None, persistent=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy all but the basis, which all copies share: nothing changes it."""
        memo[id(self.basis)] = self.basis
        memo[id(self.narrow)] = self.narrow
        twin: Self = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def for_training(self) -> Self:
        """Return this, ready for float32 rows that have all features."""
        self.narrow = None if self.basis is None else self.basis.float()
        return self

    def of_features(self) -> "Scaling":
        """Return the scaling of all features by the same number, without a basis."""
        return Scaling(self.mean, self.scale)

    def varying_features(self) -> Tensor:
        """Return whether each feature varies, (n_features,), on the CPU."""
        varies = torch.ones_like(self.mean) if self.varies is None else self.varies
        return varies.cpu() > 0

    @property
    def n_scaled(self) -> int:
        """The number of features of scaled rows."""
        if self.basis is not None:
            return self.basis.shape[1]
        return len(self.mean if self.varying is None else self.varying)

    @property
    def center(self) -> Tensor:
        """The mean of these."""
        if self.origin is not None:
            return self.origin
        return self.mean if self.varying is None else self.mean[self.varying]

    @property
    def log_volume(self) -> float:
        """What is added to the log-density of a scaled row for that of the row.

        Features that are constant count as in scikit-learn's ``FactorAnalysis``, whose
        noise has at least this variance; a row that differs there is not less likely.
        """
        n_constant = len(self.mean) - self.n_scaled if self.basis is None else 0
        constant = -0.5 * math.log(2 * math.pi * VARIANCE_OF_CONSTANTS)
        return n_constant * constant - self.n_scaled * math.log(float(self.scale))

    def log_volumes(self, missing: Tensor) -> Tensor:
        """Return what missing cells (n, n_features) would add to `log_volume`, (n,)."""
        varies = missing if self.varying is None else missing[:, self.varying]
        n_scaled = varies.sum(dim=1).to(self.mean)
        n_constant = missing.sum(dim=1).to(self.mean) - n_scaled
        constant = -0.5 * math.log(2 * math.pi * VARIANCE_OF_CONSTANTS)
        return n_constant * constant - n_scaled * math.log(float(self.scale))

    def to_scaled(self, x: Tensor | SparseBatch) -> Tensor:
        """Centre and scale rows (n, n_features); return (n, n_scaled)."""
        if self.basis is not None:
            if self.narrow is not None and x.dtype == torch.float32:
                coordinates = x @ self.narrow
            else:
                coordinates = _cast(x, self.basis.dtype) @ self.basis
            return self.to_scaled_values(coordinates).to(x.dtype)
        assert isinstance(x, Tensor)
        if self.varying is not None:
            x = x.index_select(1, self.varying)
        return self.to_scaled_values(x)

    def to_scaled_values(self, x: Tensor) -> Tensor:
        """Centre and scale rows of the features that scaled ones have."""
        return (x - self.center.to(x.dtype)) / self.scale.to(x.dtype)

    def to_units(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_scaled) to the units of the data."""
        if self.basis is not None:
            wide = x.to(self.basis.dtype) @ self.basis.mT
            return wide.mul_(self.scale).add_(self.mean).to(x.dtype)
        if self.varies is None:
            return x * self.scale.to(x.dtype) + self.mean.to(x.dtype)
        return self.widen(x) * self.scale.to(x.dtype) + self.mean.to(x.dtype)

    def with_constants(self, x: Tensor) -> Tensor:
        """Give rows in the units of the data the features that do not vary."""
        if self.varies is None:
            return x
        return self.widen(x) + (self.mean * (1 - self.varies)).to(x.dtype)

    def widen(self, x: Tensor) -> Tensor:
        """Return values (..., n_scaled) as (..., n_features), 0 where constant."""
        if self.basis is not None:
            return (x.to(self.basis.dtype) @ self.basis.mT).to(x.dtype)
        if self.varies is None:
            return x
        wide = x if self.place is None else x.index_select(-1, self.place)
        return wide * self.varies.to(x.dtype)

    def squared_distances(self, x: Tensor | SparseBatch) -> Tensor:
        """Return each row's squared distance from the mean in all features, scaled."""
        exact = _cast(x, self.mean.dtype)
        if isinstance(exact, SparseBatch):
            return exact.squared_distances(self.mean, self.scale)
        squares: Tensor = ((exact - self.mean) / self.scale).square().sum(dim=1)
        return squares

    def squares_unseen(
        self, x: Tensor | SparseBatch, scaled: Tensor | None = None
    ) -> Tensor | float:
        """Return what scaled rows do not have of rows (n, n_features), squared.

        That is how far they are from constants, or from the span of the basis.

        Parameters
        ----------
        x : Tensor or SparseBatch of shape (n, n_features)
        scaled : Tensor of shape (n, n_scaled) or None
            The same scaled, where that is known: of many features it takes long.
        """
        if self.basis is not None:
            if scaled is None or scaled.dtype != self.basis.dtype:
                scaled = self.to_scaled(_cast(x, self.basis.dtype))
            seen = scaled.square().sum(dim=1)
            return (self.squared_distances(x) - seen).clamp(min=0).to(x.dtype)
        if self.varies is None or self.place is None:
            return 0.0
        assert isinstance(x, Tensor)
        away = (x - self.mean.to(x.dtype)) / self.scale.to(x.dtype)
        away = torch.where(x.isnan(), 0.0, away)  # a missing cell
        return (away * (1 - self.varies.to(x.dtype))).square().sum(dim=1)


def _cast(x: Tensor | SparseBatch, dtype: torch.dtype) -> Any:
    return x.to(dtype)
