"""The autoencoder network and its loss."""

from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ._frame import LatentFrame
from ._mlp import Tape
from ._residual import ResidualMap

#: Rows, or rows and how many latents the decoder sees of each.
Shown = Tensor | Sequence[Tensor]


def prefix(u: Tensor, sizes: Tensor) -> Tensor:
    """Return latents (n, k), set to zero from number ``sizes[i]`` on in row i."""
    return u * (torch.arange(u.shape[1], device=u.device) < sizes[:, None])


def prefixes(u: Tensor) -> Iterator[Tensor]:
    """Yield latents (n, k), all zero but the first, but the first two, and so on."""
    shown = torch.zeros_like(u)
    for j in range(u.shape[1]):
        shown[:, j] = u[:, j]
        yield shown


class AutoencoderModule(nn.Module):
    r"""Encoder :math:`u = f(x) - c`, decoder :math:`\hat x = g(u)` and a latent frame.

    Parameters
    ----------
    encoder : ResidualMap
        Maps (n, n_features) to (n, k).
    decoder : ResidualMap
        Maps (n, k) to (n, n_features).
    frame : LatentFrame
        The coordinates in which `encode` gives and `decode` takes the latents. It
        cancels in a reconstruction, so training does not see it.
    ordered : bool, default=False
        Whether `c` is the mean of what the encoder gives, kept up in training; else it
        is 0. In prefixes of the latents, zero then stands for the mean of the others.
    """

    center: Tensor | None

    def __init__(
        self,
        encoder: ResidualMap,
        decoder: ResidualMap,
        frame: LatentFrame,
        *,
        ordered: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.frame = frame
        self.register_buffer(
            "center", torch.zeros_like(frame.mean) if ordered else None
        )
        if not any(True for _ in self.parameters()):
            # A linear model has none, and an optimiser wants one.
            self.nothing = nn.Parameter(torch.zeros(1))

    def train(self, mode: bool = True) -> Self:
        """Set training mode; no walk through all parts if it is set already."""
        return self if mode == self.training else super().train(mode)

    def forward(self, shown: Shown) -> Tensor:
        """Reconstruct rows of shape (n, n_features).

        Parameters
        ----------
        shown : Tensor of shape (n, n_features), or a pair of it and an int one (n,)
            The rows, and how many latents the decoder sees of each; without it, all.
        """
        x, sizes = (shown, None) if isinstance(shown, Tensor) else shown
        u = self._centred(self.encoder(x))
        return self.decoder(u if sizes is None else prefix(u, sizes))  # type: ignore[no-any-return]

    def latents(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to inner latents (n, k)."""
        u: Tensor = self.encoder(x)
        return u if self.center is None else u - self.center

    def _centred(self, u: Tensor) -> Tensor:
        """Return latents less their running mean, of which this batch is a tenth."""
        if self.center is None:
            return u
        if self.training:
            self.center.lerp_(u.detach().mean(dim=0), 0.1)
        return u - self.center

    @property
    def written_out(self) -> bool:
        """Whether `record` and `pull` can do what autograd does."""
        return self.encoder.written_out and self.decoder.written_out

    def record(self, shown: Shown) -> tuple[Tensor, tuple[Tape, Tape, Tensor | None]]:
        """Reconstruct rows; return what `pull` needs as well."""
        x, sizes = (shown, None) if isinstance(shown, Tensor) else shown
        u, encoding = self.encoder.record(x)
        u = self._centred(u)
        x_hat, decoding = self.decoder.record(u if sizes is None else prefix(u, sizes))
        return x_hat, (encoding, decoding, sizes)

    def pull(self, tapes: tuple[Tape, Tape, Tensor | None], grad: Tensor) -> None:
        """Set the parameters' gradients, from that at the reconstruction."""
        encoding, decoding, sizes = tapes
        inner = self.decoder.pull(decoding, grad, to_input=True)
        assert inner is not None
        inner = inner if sizes is None else prefix(inner, sizes)
        self.encoder.pull(encoding, inner, to_input=False)

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (n, n_features) to latents (n, k)."""
        return self.frame(self.latents(x))  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Map latents (n, k), or the first few of each, to rows (n, n_features)."""
        return self.decoder(self.frame.back(z))  # type: ignore[no-any-return]

    def by_size(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the reconstruction from the first latent, the first two, and so on."""
        return map(self.decoder, prefixes(self.latents(x)))

    def truncate(self, size: int) -> None:
        """Keep the first latents only; the others are zero from now on."""
        self.frame = self.frame.first(size)

    def fixed_state(self) -> dict[str, Tensor]:
        """Return a copy of what training does not change, by its name."""
        fixed: dict[str, Tensor] = {}
        for name in ("encoder", "decoder", "frame"):
            buffers = self.get_submodule(name).named_buffers(recurse=False)
            fixed |= {f"{name}.{key}": value.clone() for key, value in buffers}
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
