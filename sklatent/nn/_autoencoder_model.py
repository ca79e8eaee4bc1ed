"""The plain autoencoder."""

from typing import Any

import torch
from torch import Tensor, nn

from ._batch import Batch
from ._frame import LatentFrame
from ._latent_model import LatentModel
from ._likelihoods import ExponentialFamily
from ._manual import has_hooks
from ._mlp import Tape
from ._nested_dropout import NestedDecoder
from ._residual import ResidualMap
from ._scaling import Scaling
from ._sparse_batch import SparseBatch


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
    likelihood : ExponentialFamily or None, default=None
        Whose natural parameters the decoder gives, and in whose features the encoder
        sees rows; None is scaled rows in both places.
    """

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | NestedDecoder,
        frame: LatentFrame,
        scaling: Scaling,
        likelihood: ExponentialFamily | None = None,
    ) -> None:
        super().__init__(encoder, decoder, frame, scaling)
        self.likelihood = likelihood
        self.gives_scaled_rows = likelihood is None
        if not any(True for _ in self.parameters()):
            # A linear model has none, and an optimiser requires one.
            zero = torch.zeros(1, dtype=torch.float32, device="cpu")
            self.nothing = nn.Parameter(zero)

    def forward_scaled(self, batch: Batch) -> Tensor:
        """Decode latents of scaled rows, as many of them as the batch says."""
        x: Tensor = self.decoder(self.latents(batch.inputs), batch.sizes)
        return x

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        parts = self.encoder.has_manual_backward and self.decoder.has_manual_backward
        return parts and not has_hooks(self)

    def forward_with_tape(self, batch: Batch) -> tuple[Tensor, tuple[Tape, Any]]:
        """Do what `forward_scaled` does; return what `backward` needs as well."""
        x = self._features(batch.inputs)
        u, encoding = self.encoder.forward_with_tape(x)
        x, decoding = self.decoder.forward_with_tape(u, batch.sizes)
        return x, (encoding, decoding)

    def backward(self, tape: tuple[Tape, Any], grad: Tensor) -> None:
        """Write the parameters' gradients, given the loss's gradient at the output."""
        inner = self.decoder.backward(tape[1], grad, to_input=True)
        assert inner is not None
        self.encoder.backward(tape[0], inner, to_input=False)

    def latents(self, x: Tensor) -> Tensor:
        """Map scaled rows (n, n_features) to inner latents (n, k)."""
        u: Tensor = self.encoder(self._features(x))
        return u

    def _features(self, x: Tensor) -> Tensor:
        """Return what the encoder sees of scaled rows."""
        return x if self.likelihood is None else self.likelihood.features(x)

    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map inner latents (n, k), of which the first `size` are used, to rows."""
        return AutoencoderModel.reconstruction(self, self.decoder(u, size))

    def reconstruction(self, output: Tensor) -> Tensor:
        """Return the rows: the decoder's output, or the means that it stands for."""
        return output if self.likelihood is None else self.likelihood.mean(output)

    def errors(self, x: Tensor | SparseBatch) -> Tensor:
        """Return each row's squared error, scaled, or its deviance, shape (n,)."""
        if self.likelihood is None:
            return super().errors(x)
        scaled = self.scaling.to_scaled(x)
        z = self._encode_scaled(scaled)
        u = self.frame.back(z.to(self.dtype))
        return self._deviances(self.decoder(u, z.shape[1]), scaled)

    def errors_of_mean(self, x: Tensor | SparseBatch) -> Tensor:
        """Return the same of the mean in place of reconstructions, shape (n,)."""
        if self.likelihood is None:
            return super().errors_of_mean(x)
        location = self.likelihood.without_latents()
        return self._deviances(location, self.scaling.to_scaled(x))

    def _deviances(self, location: Tensor, scaled: Tensor) -> Tensor:
        """Return the deviance of each scaled row, of its observed cells."""
        assert self.likelihood is not None
        cells = self.likelihood.deviance(location.to(scaled.dtype), scaled)
        return torch.where(scaled.isnan(), 0.0, cells).sum(dim=1)
