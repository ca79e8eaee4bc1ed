"""The deviance: the loss of rows that are shares or counts."""

from torch import Tensor

from ._batch import Batch
from ._likelihoods import ExponentialFamily
from ._losses import Loss


class Deviance(Loss):
    """The deviance of rows, given the natural parameters of their means.

    Parameters
    ----------
    likelihood : ExponentialFamily
        Of scaled rows in float32.
    """

    can_stack = True

    def __init__(self, likelihood: ExponentialFamily) -> None:
        self.likelihood = likelihood

    def rows(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the sum over features of each row, shape (n,)."""
        cells = self.likelihood.deviance(output, batch.target)
        return (cells if batch.mask is None else cells * batch.mask).sum(dim=-1)

    def gradient(
        self, output: Tensor, batch: Batch, done: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return the mean over rows and features, and its gradient at the output."""
        slope = self.likelihood.slope(output, batch.target, batch.mask)
        n_entries = output.shape[-2] * output.shape[-1]  # of each member
        return self(output, batch, done), slope.mul_(2 / n_entries)
