"""An autoencoder whose latents also tell a target."""

from typing import Any, NamedTuple

from torch import Tensor

from ._autoencoder_model import AutoencoderModel
from ._batch import Batch
from ._frame import LatentFrame
from ._manual import has_hooks
from ._nested_dropout import NestedDecoder, first_latents
from ._residual import ResidualMap
from ._scaling import Scaling
from ._sizes import Sizes


class SupervisedOutput(NamedTuple):
    """What the module says of n rows.

    Attributes
    ----------
    rows : Tensor of shape (n, n_features)
        Their reconstruction, scaled.
    prediction : Tensor of shape (n, n_targets)
        Of the standardised targets, or the classes' logits.
    """

    rows: Tensor
    prediction: Tensor


class SupervisedModel(AutoencoderModel):
    r"""Encoder :math:`u = f(x)`, decoder :math:`\hat x = g(u)`, head :math:`h(u)`.

    Parameters
    ----------
    encoder, decoder, frame, scaling
        As for `AutoencoderModel`.
    head : ResidualMap
        Maps latents (n, k) to targets (n, n_targets), linearly.
    """

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | NestedDecoder,
        head: ResidualMap,
        frame: LatentFrame,
        scaling: Scaling,
    ) -> None:
        super().__init__(encoder, decoder, frame, scaling)
        self.head = head

    def forward_scaled(self, batch: Batch) -> SupervisedOutput:  # type: ignore[override]
        """Reconstruct scaled rows and predict targets, from as many latents as said."""
        u = self.encoder(batch.inputs)
        rows = self.decoder(u, batch.sizes)
        return SupervisedOutput(rows, self.head(_used(u, batch.sizes)))

    @property
    def has_manual_backward(self) -> bool:
        """Whether `forward_with_tape` and `backward` do what autograd would."""
        return super().has_manual_backward and not has_hooks(self.head)

    def forward_with_tape(  # type: ignore[override]
        self, batch: Batch
    ) -> tuple[SupervisedOutput, Any]:
        """Do what `forward_scaled` does; return what `backward` needs as well."""
        u, encoding = self.encoder.forward_with_tape(batch.inputs)
        rows, decoding = self.decoder.forward_with_tape(u, batch.sizes)
        prediction, predicting = self.head.forward_with_tape(_used(u, batch.sizes))
        tape = (encoding, decoding, predicting, batch.sizes)
        return SupervisedOutput(rows, prediction), tape

    def backward(self, tape: Any, grad: SupervisedOutput) -> None:  # type: ignore[override]
        """Write the parameters' gradients, given the loss's gradient at the output."""
        encoding, decoding, predicting, sizes = tape
        of_rows = self.decoder.backward(decoding, grad.rows, to_input=True)
        of_target = self.head.backward(predicting, grad.prediction, to_input=True)
        assert of_rows is not None
        assert of_target is not None
        inner = of_rows + _used(of_target, sizes)
        self.encoder.backward(encoding, inner, to_input=False)

    def reconstruction(self, output: SupervisedOutput) -> Tensor:  # type: ignore[override]
        """Return the rows of the output."""
        return output.rows


def _used(u: Tensor, sizes: Sizes | None) -> Tensor:
    return u if sizes is None else first_latents(u, sizes)
