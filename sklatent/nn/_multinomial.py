"""The likelihood of counts or weights of words."""

from typing import ClassVar

import torch
from torch import Tensor

from ._batch import Batch
from ._likelihoods import Likelihood
from ._sparse_batch import SparseBatch


class Multinomial(Likelihood):
    r"""So many words, drawn with the probabilities :math:`\mathrm{softmax}(\eta)`.

    A row counts by the shares :math:`x_j / \sum_j x_j` of its words, all rows for the
    same number of draws. What depends on the row alone is left out of its likelihood.

    Parameters
    ----------
    n_words : float
        The number of draws.
    total : float
        The sum of a row on average, which expected rows have.
    """

    sees_cells: ClassVar[bool] = True

    def __init__(self, n_words: float, total: float) -> None:
        super().__init__()
        self.n_words = n_words
        self.total = total

    def target(self, batch: Batch) -> Tensor:
        """Return the words of a batch, (n, n_features)."""
        assert batch.cells is not None
        return self.words(batch.cells)

    def words(self, x: Tensor | SparseBatch) -> Tensor:
        """Return rows as numbers of words, each row with as many; 0 for an empty one.

        Negative cells, which new rows may have, count for none.
        """
        if isinstance(x, Tensor):
            rows = x.clamp(min=0)
            return rows * self._factors(rows.sum(dim=1))[:, None]
        cells = x.positive()
        return cells.scaled(self._factors(cells.sums())).dense()

    def _factors(self, sums: Tensor) -> Tensor:
        return torch.where(sums > 0, self.n_words / sums, 0.0)

    def mean(self, location: Tensor) -> Tensor:
        return self.total * torch.softmax(location, dim=-1)

    def variance(self, location: Tensor, log_variance: Tensor) -> Tensor:  # noqa: ARG002
        shares = torch.softmax(location, dim=-1)
        return self.total**2 / self.n_words * shares * (1 - shares)

    def nll(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        x: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        assert mask is None  # the estimator refuses missing cells
        normaliser = torch.logsumexp(location, dim=-1) * x.sum(dim=-1)
        return normaliser - (x * location).sum(dim=-1)

    def gradient(
        self,
        location: Tensor,
        log_variance: Tensor,
        x: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert mask is None
        n = x.sum(dim=-1, keepdim=True)
        largest = location.amax(dim=-1, keepdim=True)
        grad = (location - largest).exp_()
        sums = grad.sum(dim=-1, keepdim=True)
        loss = (n * (sums.log() + largest)).sum()
        loss = loss - torch.dot(x.flatten(), location.flatten())
        grad.mul_(n / sums).sub_(x)
        return loss, grad, torch.zeros_like(log_variance)

    def sample(
        self,
        location: Tensor,
        log_variance: Tensor,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        """Draw rows of whole numbers, as many words as `total` rounds to."""
        shares = torch.softmax(location.cpu(), dim=-1)
        n = max(1, round(self.total))
        drawn = torch.multinomial(shares, n, replacement=True, generator=generator)
        ones = torch.ones_like(drawn, dtype=shares.dtype)
        return torch.zeros_like(shares).scatter_add_(1, drawn, ones)
