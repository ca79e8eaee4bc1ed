"""The end of a decoder, solved by ridge regression, for each feature by itself."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ._autoencoder_model import AutoencoderModel
from ._batch import Batch
from ._losses import Loss
from ._mlp import MLP
from ._placement import exact, exact_device, moved
from ._residual import ResidualMap

#: A penalty with which nothing of the last hidden layer is left.
LINEAR = 1e12
#: Of a sum of squares in float64, what may be nothing else.
ROUNDING = 1e-12
#: Stands for the weights as they were.
AS_TRAINED = -1.0


class LastLayer:
    r"""The regression that the end of an autoencoder's decoder is.

    With all before it fixed, a reconstruction is linear in the weights of the network's
    last layer, `V`, and in those of the linear map, `W` and `b`:
    :math:`\hat x = b + u W + h(u) V`. Each feature is a regression of its own. Its
    least squares, plus :math:`\lambda` times the squares of its column of `V`, come
    from the sums over rows that this keeps; with a very large one they are the linear
    decoder of the latents, and an infinite one leaves the mean of the rows.

    Parameters
    ----------
    module : AutoencoderModel
        One of which `can_solve` is true.
    """

    def __init__(self, module: AutoencoderModel) -> None:
        self.module = module
        decoder: Any = module.decoder
        self.decoder, self.last = decoder, decoder.network[-1]
        #: 1 and the latents, where there is a linear map of them.
        self.has_linear = self.decoder.weight is not None
        self.n_linear = 1 + (len(self.decoder.weight) if self.has_linear else 0)
        size = self.n_linear + self.last.in_features
        place = exact_device(self.last.weight.device)
        more: Any = {"dtype": torch.float64, "device": place}
        self.gram = torch.zeros(size, size, **more)
        self.cross = torch.zeros(size, self.last.out_features, **more)
        #: The sum of the squares of each feature.
        self.squares = torch.zeros(self.last.out_features, **more)
        self.trained = self._trained()

    @staticmethod
    def can_solve(module: Any, loss: Loss) -> bool:
        """Return whether the loss is least squares in a last layer that is known."""
        if not loss.is_squared_error or not isinstance(module, AutoencoderModel):
            return False
        if not module.has_manual_backward:
            return False
        decoder: Any = module.decoder
        if not isinstance(decoder, ResidualMap) or not isinstance(decoder.network, MLP):
            return False
        if decoder.scale is not None or not decoder.network.gain:
            return False
        return all(part.requires_grad for part in decoder.network[-1].parameters())

    @torch.no_grad()
    def regression(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return design and target of the regression for some rows, in float64.

        The design is 1, latents and last hidden layer, (n, 1 + k + h). What latents far
        out add by the decoder's outer map is no part of the target, (n, n_features).
        A missing cell has what it was decoded to so far: a step of the EM algorithm,
        by which the error of the observed cells falls.
        """
        u = self.module.latents(batch.inputs)
        shown, target = self.decoder.within(u), batch.target
        if batch.mask is not None:
            target = torch.where(batch.mask > 0, target, self.decoder(u))
        hidden = shown
        for layer in list(self.decoder.network)[:-1]:
            hidden = layer(hidden)
        if self.decoder.outer is not None:
            target = torch.addmm(target, u - shown, self.decoder.outer, alpha=-1)
            u = shown
        linear = [u] if self.has_linear else []
        design = torch.cat([u.new_ones(len(u), 1), *linear, hidden], dim=1)
        return exact(design), exact(target)

    def add(self, batch: Batch) -> None:
        """Take in rows."""
        design, target = self.regression(batch)
        if batch.weight is not None:
            root = moved(batch.weight.sqrt(), design.device)[:, None]
            design, target = design * root, target * root
        self.gram += design.mT @ design
        self.cross += design.mT @ target
        self.squares += target.square().sum(dim=0)

    def factorise(self) -> None:
        """Prepare for any penalty, when all rows are in; from then on on the CPU.

        What is linear in the latents is not penalised, so it is taken off `h` first;
        what is left of `h` is turned to its principal axes.
        """
        self.gram, self.cross = self.gram.cpu(), self.cross.cpu()
        self.squares = self.squares.cpu()
        m = self.n_linear
        inverse = torch.linalg.pinv(self.gram[:m, :m], hermitian=True)
        self._linear = inverse @ torch.cat([self.cross[:m], self.gram[:m, m:]], dim=1)
        self._to_hidden = self._linear[:, self.cross.shape[1] :]
        self._linear = self._linear[:, : self.cross.shape[1]]
        left = self.gram[m:, m:] - self.gram[m:, :m] @ self._to_hidden
        size, axes = torch.linalg.eigh((left + left.mT) / 2)
        # Of what the latents predict wholly only rounding is left.
        rounding = ROUNDING * self.gram[m:, m:].diagonal().mean()
        unit = size.mean().clamp(min=max(float(rounding), 1e-300))
        #: Relative to their mean square, so that penalties have no unit.
        self._size = size.clamp(min=0) / unit
        unexplained = self.cross[m:] - self.gram[m:, :m] @ self._linear
        self._axes = axes
        self._along = (axes.mT @ unexplained) / unit

    def weights(self, penalties: Tensor) -> Tensor:
        r"""Return b, W and V, of shape (1 + k + h, n_features).

        Parameters
        ----------
        penalties : Tensor of shape (n_features,)
            :math:`\lambda` of each feature, positive, in units of the mean square of
            what the latents do not predict of `h`.
        """
        hidden = self._axes @ (self._along / (self._size[:, None] + penalties))
        weights = torch.cat([self._linear - self._to_hidden @ hidden, hidden])
        constant = torch.zeros_like(weights)
        constant[0] = self.cross[0] / self.gram[0, 0]
        weights = torch.where(penalties.isinf(), constant, weights)
        return torch.where(penalties == AS_TRAINED, self.trained, weights)

    def _trained(self) -> Tensor:
        """Return b, W and V as they are now."""
        gain, decoder = self.decoder.network.gain, self.decoder
        bias, hidden = gain * self.last.bias[None], gain * self.last.weight.mT
        parts = [bias, hidden]
        if self.has_linear:
            parts = [decoder.bias[None] + bias, decoder.weight, hidden]
        return torch.cat(parts).detach().cpu().double()

    def errors(self, batch: Batch, penalties: tuple[float, ...]) -> Iterator[Tensor]:
        """Yield the squared errors (n, n_features) of rows with each penalty."""
        design, target = self.regression(batch)
        for penalty in penalties:
            same = torch.full_like(self.squares, penalty)
            weights = moved(self.weights(same), design.device)
            yield _squares(design @ weights - target, batch)

    def mean_errors(self, penalties: Tensor) -> Tensor:
        """Return each feature's mean squared error over the rows taken in."""
        weights = self.weights(penalties)
        explained = weights * (2 * self.cross - self.gram @ weights)
        return (self.squares - explained.sum(dim=0)) / self.gram[0, 0]

    def errors_with(self, batch: Batch, penalties: Tensor) -> Tensor:
        """Return the squared errors (n, n_features) of rows with these penalties."""
        design, target = self.regression(batch)
        weights = moved(self.weights(penalties), design.device)
        return _squares(design @ weights - target, batch)

    @torch.no_grad()
    def set(self, penalties: Tensor) -> dict[str, Tensor]:
        """Set the weights; return the linear map in float64, by its names."""
        weights = self.weights(penalties)
        bias, linear, hidden = weights.tensor_split([1, self.n_linear])
        gain = self.decoder.network.gain
        self.last.weight.copy_(hidden.mT / gain)
        if not self.has_linear:
            self.last.bias.copy_(bias[0] / gain)
            return {}
        self.last.bias.zero_()
        self.decoder.weight.copy_(linear)
        self.decoder.bias.copy_(bias[0])
        return {"decoder.weight": linear, "decoder.bias": bias[0]}


def _squares(errors: Tensor, batch: Batch) -> Tensor:
    """Return squares, 0 where the target was missing."""
    squares = errors.square()
    return squares if batch.mask is None else squares * batch.mask.to(errors.device)
