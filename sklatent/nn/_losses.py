"""What training makes small: functions of a model's output and a batch."""

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ._batch import Batch


class Loss(ABC):
    """A loss. `rows` is enough; the gradient is then autograd's.

    Where it takes stacked models, it is the sum of the members' losses.

    A subclass may write out `gradient` for speed, and redefine `__call__` where the
    loss of a batch is not the mean of its rows'.
    """

    #: Whether rows count by their squared error, for which a last layer has a closed
    #: form.
    is_squared_error: ClassVar[bool] = False
    #: Whether only the rows count, of which no feature is then to lose by training.
    is_of_rows_alone: ClassVar[bool] = True
    #: Whether it takes stacked models, whose tensors have a first dimension more.
    can_stack: ClassVar[bool] = False

    @abstractmethod
    def rows(self, output: Any, batch: Batch) -> Tensor:
        """Return the loss of each row, summed over features, shape (n,)."""

    def __call__(self, output: Any, batch: Batch, done: float = 1.0) -> Tensor:  # noqa: ARG002
        """Return the mean over rows and features.

        Parameters
        ----------
        output : Tensor or named tuple of Tensor
            From the model's ``forward_scaled``.
        batch : Batch
            The rows.
        done : float, default=1.0
            The share of the training steps made so far.
        """
        return self.rows(output, batch).mean(dim=-1).sum() / batch.target.shape[-1]

    def to(self, device: torch.device) -> Self:
        """Return the loss for output on a device, with copies of its modules there."""
        moved = copy.copy(self)
        for name, part in vars(self).items():
            if isinstance(part, nn.Module):
                setattr(moved, name, copy.deepcopy(part).to(device))
        return moved

    def gradient(
        self, output: Any, batch: Batch, done: float = 1.0
    ) -> tuple[Tensor, Any]:
        """Return the loss and its gradient at the output, in the output's form."""
        one = isinstance(output, Tensor)
        with torch.enable_grad():
            parts = [
                part.detach().requires_grad_()
                for part in ((output,) if one else output)
            ]
            value = self(parts[0] if one else output._make(parts), batch, done)
            grads = torch.autograd.grad(
                value, parts, allow_unused=True, materialize_grads=True
            )
        return value.detach(), grads[0] if one else output._make(grads)


class SquaredError(Loss):
    """The mean squared error."""

    is_squared_error = True
    can_stack = True

    def rows(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the sum over features of each row, shape (n,)."""
        return batch.left(output).square().sum(dim=-1)

    def __call__(self, output: Tensor, batch: Batch, done: float = 1.0) -> Tensor:  # noqa: ARG002
        """Return the mean over all entries of (n, n_features)."""
        if batch.mask is not None:
            return super().__call__(output, batch)
        n_members = output.shape[0] if output.dim() == 3 else 1
        return mse_loss(output, batch.target) * n_members

    def gradient(
        self,
        output: Tensor,
        batch: Batch,
        done: float = 1.0,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Return the mean over all entries, and its gradient at the output."""
        difference = batch.left(output)
        flat = difference.view(-1)
        n_entries = output.shape[-2] * output.shape[-1]  # of each member
        return torch.dot(flat, flat) / n_entries, difference.mul_(2 / n_entries)
