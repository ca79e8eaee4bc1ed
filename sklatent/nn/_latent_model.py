"""A fitted model: rows to latents and back, in the units of the data."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ._batch import Batch
from ._filling import Filling
from ._frame import LatentFrame
from ._jacobian import STEP, STEP_IN_FLOAT32
from ._mlp import MLP
from ._nested_dropout import NestedDecoder
from ._own_network import HasNetwork
from ._residual import ResidualMap
from ._saving import copy_module, is_ours
from ._scaling import Scaling
from ._sparse_batch import SparseBatch


class LatentModel(nn.Module):
    r"""Encoder, decoder, the frame of the latents and the scale of the rows.

    As a module it maps rows in the units of the data to their reconstruction, as an
    ``nn.Sequential`` would. Training works on its inside: `forward_scaled` takes
    batches of scaled rows, and a loss sees what that returns.

    A subclass supplies `forward_scaled`, `latents`, `expected` and `reconstruction`;
    where its gradient is written out, also `has_manual_backward`, `forward_with_tape`
    and `backward`.

    Parameters
    ----------
    encoder : ResidualMap
        From scaled rows (n, n_features).
    decoder : ResidualMap or NestedDecoder
        From inner latents (n, k). A `NestedDecoder` makes the latents ordered.
    frame : LatentFrame
        The coordinates in which users read the latents. It cancels in a
        reconstruction, so training does not see it.
    scaling : Scaling
        Between the units of the data and scaled rows.
    """

    #: Whether `expected` returns scaled rows; else they are in the units of the data.
    gives_scaled_rows = True
    #: Whether it then returns all features, of which scaled rows are coordinates.
    sees_cells: bool = False

    has_fixed_buffers = True

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | NestedDecoder,
        frame: LatentFrame,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.frame = frame
        self.scaling = scaling
        #: Of missing cells, once the model is trained; None if there must be none.
        self.filling: Filling | None = None
        self._settle_dtypes()

    def _settle_dtypes(self) -> None:
        """Have networks of the user's stay in float32 if any requires that.

        All of them alike, since they may share weights.
        """
        parts = [part for part in self.modules() if isinstance(part, HasNetwork)]
        if all(map(is_ours, parts)) or self._runs_in_float64():
            return
        for part in parts:
            if not isinstance(part.network, MLP | HasNetwork | None):
                part.keeps_float32 = True

    @torch.no_grad()
    def _runs_in_float64(self) -> bool:
        encoder, decoder = copy_module(nn.ModuleList([self.encoder, self.decoder]))
        rows, u = (
            torch.zeros(2, width, dtype=torch.float64)
            for width in (self.scaling.n_scaled, len(self.frame.mean))
        )
        try:
            encoder.double().eval()(rows)
            decoder.double().eval()(u)
        except Exception:  # whatever code of the user's raises
            return False
        return True

    # What a subclass supplies ---------------------------------------------------

    @abstractmethod
    def forward_scaled(self, batch: Batch) -> Any:
        """Return what the loss sees of a batch: a tensor, or a named tuple of them."""

    @abstractmethod
    def latents(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to inner latents (n, k)."""

    @abstractmethod
    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map inner latents (n, k), of which the first `size` are used, to rows."""

    @abstractmethod
    def reconstruction(self, output: Any) -> Tensor:
        """Return the rows, as `expected` does, from what `forward_scaled` returned."""

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        return False

    def forward_with_tape(self, batch: Batch) -> tuple[Any, Any]:
        """Do what `forward_scaled` does and keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, tape: Any, grad: Any) -> None:
        """Write the parameters' gradients, given the loss's gradient at the output."""
        raise NotImplementedError

    def latents_and_information(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return inner latents, and how much each says of its row in nats, (n, k)."""
        return self.latents(x), None

    def noise_variance(self) -> Tensor | None:
        """Return the variance of the noise, scaled, where the model has one."""
        return None

    @property
    def derivative_step(self) -> float:
        """The step along a latent to take derivatives with, for its deviation."""
        parts = self.modules()
        return STEP_IN_FLOAT32 if any(map(_keeps_float32, parts)) else STEP

    # In the units of the data ---------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which the networks compute."""
        return self.frame.mean.dtype

    @property
    def n_components(self) -> int:
        """The number of latents that users see."""
        return self.frame.matrix.shape[1]

    def forward(self, x: Tensor | SparseBatch) -> Tensor:
        """Reconstruct rows (n, n_features), in the units of the data."""
        return self.decode(self.encode(x))

    def encode(self, x: Tensor | SparseBatch) -> Tensor:
        """Map rows (n, n_features) to latents (n, n_components), in the dtype of x."""
        return self._encode_scaled(self.scaling.to_scaled(x))

    def _encode_scaled(self, scaled: Tensor) -> Tensor:
        """Map scaled rows, which may have missing cells, to latents, in their dtype."""
        u = self.latents(self._fill(scaled).to(self.dtype))
        z: Tensor = self.frame(u)
        return z.to(scaled.dtype)

    def _fill(self, scaled: Tensor) -> Tensor:
        return scaled if self.filling is None else self.filling(scaled)

    def to_filled(self, x: Tensor | SparseBatch) -> Tensor:
        """Centre and scale rows (n, n_features), and fill their missing cells."""
        return self._fill(self.scaling.to_scaled(x))

    def impute(self, x: Tensor) -> Tensor:
        """Return rows (n, n_features) with their missing cells imputed."""
        if self.filling is None:
            return x
        rows = self.scaling.to_units(self.filling(self.scaling.to_scaled(x)))
        return torch.where(x.isnan(), rows, x)

    def decode(self, z: Tensor) -> Tensor:
        """Map latents, or the first few of each, to rows (n, n_features)."""
        return self.to_units(self.decode_expected(z).to(z.dtype))

    def decode_expected(self, z: Tensor) -> Tensor:
        """Map latents, or the first few of each, to rows as `expected` gives them."""
        u = self.frame.back(z.to(self.dtype))
        return self.expected(u, z.shape[1])

    def errors(self, x: Tensor | SparseBatch) -> Tensor:
        """Return each row's squared error of reconstruction, scaled, shape (n,)."""
        scaled = self.scaling.to_scaled(x)
        expected = self.decode_expected(self._encode_scaled(scaled)).to(x.dtype)
        left = torch.where(scaled.isnan(), 0.0, self.to_scaled(expected) - scaled)
        return left.square().sum(dim=1) + self.scaling.squares_unseen(x, scaled)

    def errors_of_mean(self, x: Tensor | SparseBatch) -> Tensor:
        """Return the same of the mean in place of reconstructions, shape (n,)."""
        if self.scaling.basis is not None:
            return self.scaling.squared_distances(x).to(x.dtype)
        scaled = self.scaling.to_scaled(x)
        squares = torch.where(scaled.isnan(), 0.0, scaled).square().sum(dim=1)
        return squares + self.scaling.squares_unseen(x, scaled)

    def to_units(self, rows: Tensor) -> Tensor:
        """Return rows that `expected` gave, in the units of the data."""
        if self.gives_scaled_rows:
            return self.scaling.to_units(rows)
        return self.scaling.with_constants(rows)

    def to_scaled(self, rows: Tensor) -> Tensor:
        """Return rows that `expected` gave, scaled."""
        if self.gives_scaled_rows:
            return rows
        return self.scaling.to_scaled_values(rows)

    def widen(self, rows: Tensor) -> Tensor:
        """Return differences of rows that `expected` gave, over all features."""
        return self.scaling.widen(rows)

    @property
    def unit(self) -> float:
        """By what differences of rows that `expected` gave are in the data's units."""
        return float(self.scaling.scale) if self.gives_scaled_rows else 1.0

    @property
    def constant_jacobian(self) -> Tensor | None:
        """The decoder's Jacobian (n_components, n_features), scaled, if constant."""
        decoder = self.decoder
        if not isinstance(decoder, ResidualMap) or decoder.network is not None:
            return None
        if not self.gives_scaled_rows:
            return None
        assert decoder.weight is not None
        return self.widen(self.frame.inverse.double() @ decoder.weight.double())

    @torch.no_grad()
    def reconstructed_shape(self, n_features: int) -> tuple[int, ...]:
        """Return the shape of what one row with so many features becomes."""
        row = self.frame.mean.new_zeros(1, n_features)
        return tuple(self(row).shape)

    # Changes --------------------------------------------------------------------

    def truncate(self, size: int) -> None:
        """Keep the first latents only; the others are zero from now on."""
        self.frame = self.frame.first(size)
        self.decoder.truncate(size)

    def make_contiguous(self) -> None:
        """Lay buffers out as a pickle does: products then have the same bits."""
        for part in self.modules():
            for name, value in part._buffers.items():
                part._buffers[name] = None if value is None else value.contiguous()

    def fixed_state(self) -> dict[str, Tensor]:
        """Return a copy of the buffers that training does not change, by name."""
        fixed: dict[str, Tensor] = {}
        for name, part in self.named_modules():
            if getattr(part, "has_fixed_buffers", False):
                buffers = part.named_buffers(name, recurse=False)
                fixed |= {key: value.clone() for key, value in buffers}
        return fixed


def _keeps_float32(part: nn.Module) -> bool:
    return isinstance(part, HasNetwork) and part.keeps_float32
