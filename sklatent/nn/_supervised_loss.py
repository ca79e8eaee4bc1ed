"""The loss of a supervised autoencoder: what is left of rows and of targets."""

import torch
from torch import Tensor

from ._batch import Batch
from ._losses import Loss
from ._supervised_model import SupervisedOutput


class SupervisedLoss(Loss):
    r"""The weighted sum :math:`m\,\|x - \hat x\|^2 + w\,\ell(y, h)`.

    Parameters
    ----------
    mixing : float
        The weight `m` of the squared error of the rows.
    weight : float
        That of the targets, `w`.
    is_classes : bool
        Whether :math:`\ell` is the cross-entropy of classes, in nats, with targets of
        one column a class; else it is the squared error of numbers. Targets that are
        missing, rows of zeros or NaN, do not count.
    """

    is_squared_error = True
    is_of_rows_alone = False
    can_stack = True

    def __init__(self, mixing: float, weight: float, *, is_classes: bool) -> None:
        self.mixing = mixing
        self.weight = weight
        self.is_classes = is_classes

    def rows(self, output: SupervisedOutput, batch: Batch) -> Tensor:
        """Return the loss of each row, shape (n,)."""
        squares = batch.left(output.rows).square().sum(dim=-1)
        return self.mixing * squares + self.weight * self.of_targets(output, batch)

    def of_targets(self, output: SupervisedOutput, batch: Batch) -> Tensor:
        """Return the loss of each row's targets, without a weight, shape (n,)."""
        y = batch.y
        assert y is not None
        if self.is_classes:
            return -(y * output.prediction.log_softmax(dim=-1)).sum(dim=-1)
        return _difference(output.prediction, y).square().sum(dim=-1)

    def gradient(
        self,
        output: SupervisedOutput,
        batch: Batch,
        done: float = 1.0,  # noqa: ARG002
    ) -> tuple[Tensor, SupervisedOutput]:
        """Return the loss, a mean over rows and features, and its gradient."""
        y = batch.y
        assert y is not None
        n, p = batch.target.shape[-2:]
        difference = batch.left(output.rows)
        flat = difference.view(-1)
        loss = self.mixing * torch.dot(flat, flat)
        if self.is_classes:
            logarithms = output.prediction.log_softmax(dim=-1)
            of_targets = -(y * logarithms).sum()
            known = y.sum(dim=-1, keepdim=True)
            at_prediction = logarithms.exp_().mul_(known).sub_(y)
        else:
            at_prediction = _difference(output.prediction, y)
            of_targets = at_prediction.square().sum()
            at_prediction = at_prediction.mul_(2)
        loss = (loss + self.weight * of_targets) / (n * p)
        grad = SupervisedOutput(
            difference.mul_(2 * self.mixing / (n * p)),
            at_prediction.mul_(self.weight / (n * p)),
        )
        return loss, grad


def _difference(prediction: Tensor, y: Tensor) -> Tensor:
    """Return by how much predictions are off, and 0 where the target is missing."""
    return torch.where(y.isnan(), 0.0, prediction - y)
