"""The autoencoder network and its loss."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ._frame import LatentFrame
from ._mlp import Tape
from ._prefix import PrefixDecoder
from ._residual import ResidualMap

#: Rows, or rows and how many latents the decoder sees of each, ascending.
Shown = Tensor | Sequence[Tensor]


class AutoencoderModule(nn.Module):
    r"""Encoder :math:`u = f(x)`, decoder :math:`\hat x = g(u)` and a latent frame.

    Parameters
    ----------
    encoder : ResidualMap
        Maps (n, n_features) to (n, k).
    decoder : ResidualMap or PrefixDecoder
        Maps (n, k) to (n, n_features). A `PrefixDecoder` makes the latents ordered.
    frame : LatentFrame
        The coordinates in which `encode` gives and `decode` takes the latents. It
        cancels in a reconstruction, so training does not see it.
    """

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap | PrefixDecoder,
        frame: LatentFrame,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.frame = frame
        if not any(True for _ in self.parameters()):
            # A linear model has none, and an optimiser wants one.
            self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, shown: Shown) -> Tensor:
        """Reconstruct rows of shape (n, n_features).

        Parameters
        ----------
        shown : Tensor of shape (n, n_features), or a pair of it and an int one (n,)
            The rows, and how many latents the decoder sees of each; without it, all.
        """
        x, sizes = (shown, None) if isinstance(shown, Tensor) else shown
        return self.decoder(self.encoder(x), sizes)  # type: ignore[no-any-return]

    @property
    def written_out(self) -> bool:
        """Whether `record` and `pull` can do what autograd does."""
        return self.encoder.written_out and self.decoder.written_out

    def record(self, shown: Shown) -> tuple[Tensor, tuple[Tape, Any]]:
        """Reconstruct rows; return what `pull` needs as well."""
        x, sizes = (shown, None) if isinstance(shown, Tensor) else shown
        u, encoding = self.encoder.record(x)
        x_hat, decoding = self.decoder.record(u, sizes)
        return x_hat, (encoding, decoding)

    def pull(self, tapes: tuple[Tape, Any], grad: Tensor) -> None:
        """Set the parameters' gradients, from that at the reconstruction."""
        inner = self.decoder.pull(tapes[1], grad, to_input=True)
        assert inner is not None
        self.encoder.pull(tapes[0], inner, to_input=False)

    def latents(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to inner latents (n, k)."""
        return self.encoder(x)  # type: ignore[no-any-return]

    def expected(self, u: Tensor, size: int) -> Tensor:
        """Map inner latents, of which the first are in use, to rows."""
        return self.decoder(u, size)  # type: ignore[no-any-return]

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to latents (n, k)."""
        return self.frame(self.latents(x))  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Map latents (n, k), or the first few of each, to rows (n, n_features)."""
        return self.expected(self.frame.back(z), z.shape[1])

    def truncate(self, size: int) -> None:
        """Keep the first latents only; the others are zero from now on."""
        self.frame = self.frame.first(size)
        self.decoder.truncate(size)

    def fixed_state(self) -> dict[str, Tensor]:
        """Return a copy of what training does not change, by its name."""
        fixed: dict[str, Tensor] = {}
        for name, part in self.named_modules():
            if isinstance(part, ResidualMap | LatentFrame):
                buffers = part.named_buffers(name, recurse=False)
                fixed |= {key: value.clone() for key, value in buffers}
        return fixed


class SquaredError(nn.Module):
    """The mean squared error, also row by row."""

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the mean over all entries of (n, n_features)."""
        return mse_loss(output, x)

    def gradient(self, output: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean over all entries, and its gradient at the output."""
        difference = output - x
        flat = difference.view(-1)
        loss = torch.dot(flat, flat) / flat.numel()
        return loss, difference.mul_(2 / flat.numel())

    def rows(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the sum over features of each row, shape (n,)."""
        return (output - x).square().sum(dim=1)
