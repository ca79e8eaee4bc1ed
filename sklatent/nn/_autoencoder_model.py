"""The plain autoencoder."""

from typing import Any

import torch
from torch import Tensor, nn

from ._batch import Batch
from ._frame import LatentFrame
from ._latent_model import LatentModel
from ._manual import has_hooks
from ._mlp import Tape
from ._nested_dropout import NestedDecoder
from ._residual import ResidualMap
from ._scaling import Scaling


class AutoencoderModel(LatentModel):
    r"""Encoder :math:`u = f(x)` and decoder :math:`\hat x = g(u)`.

    Parameters
    ----------
    encoder : ResidualMap
        Maps (n, n_features) to (n, k).
    decoder : ResidualMap or NestedDecoder
        Maps (n, k) to (n, n_features).
    frame, scaling
        As for `LatentModel`.
    """

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | NestedDecoder,
        frame: LatentFrame,
        scaling: Scaling,
    ) -> None:
        super().__init__(encoder, decoder, frame, scaling)
        if not any(True for _ in self.parameters()):
            # A linear model has none, and an optimiser requires one.
            zero = torch.zeros(1, dtype=torch.float32, device="cpu")
            self.nothing = nn.Parameter(zero)

    def forward_scaled(self, batch: Batch) -> Tensor:
        """Reconstruct scaled rows, from as many latents as the batch says."""
        x: Tensor = self.decoder(self.encoder(batch.inputs), batch.sizes)
        return x

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        parts = self.encoder.has_manual_backward and self.decoder.has_manual_backward
        return parts and not has_hooks(self)

    def forward_with_tape(self, batch: Batch) -> tuple[Tensor, tuple[Tape, Any]]:
        """Reconstruct rows; return what `backward` needs as well."""
        u, encoding = self.encoder.forward_with_tape(batch.inputs)
        x, decoding = self.decoder.forward_with_tape(u, batch.sizes)
        return x, (encoding, decoding)

    def backward(self, tape: tuple[Tape, Any], grad: Tensor) -> None:
        """Write the parameters' gradients, given the loss's gradient at the output."""
        inner = self.decoder.backward(tape[1], grad, to_input=True)
        assert inner is not None
        self.encoder.backward(tape[0], inner, to_input=False)

    def latents(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to inner latents (n, k)."""
        u: Tensor = self.encoder(x)
        return u

    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map inner latents (n, k), of which the first `size` are used, to rows."""
        x: Tensor = self.decoder(u, size)
        return x

    def reconstruction(self, output: Tensor) -> Tensor:
        """Return the output, which is the rows."""
        return output
