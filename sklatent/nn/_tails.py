"""How far beyond what it was trained on a network is shown an input."""

import torch
from torch import Tensor

from ._placement import exact, exact_device

#: In ranges of a feature without heavy tails.
BEYOND = 0.5
#: The most, with heavy tails.
MOST_BEYOND = 20.0


class Tails:
    r"""Takes in rows, and says where their features may lie that a network is shown.

    That is the range of each and :math:`\max(1, \kappa / 3)^2 / 2` times it on either
    side, 20 times at most. The kurtosis :math:`\kappa` is 3 for a Gaussian, whose range
    hardly grows with more rows; with heavy tails new rows are often far beyond it.

    Parameters
    ----------
    n_features : int
        Of the rows.
    device : torch.device or str, default='cpu'
        Where they are.
    """

    def __init__(self, n_features: int, device: torch.device | str = "cpu") -> None:
        place = exact_device(torch.device(device))
        infinity = torch.full((n_features,), torch.inf, dtype=torch.float64)
        self.low = infinity.to(place)
        self.high = -self.low
        self.n = 0
        #: Sums of the first four powers.
        self.sums = self.low.new_zeros(4, len(self.low))

    def add(self, x: Tensor) -> None:
        """Take in rows, (n, n_features), whose mean over all is about 0."""
        x = exact(x)
        self.low = torch.minimum(self.low, x.amin(0))
        self.high = torch.maximum(self.high, x.amax(0))
        self.n += len(x)
        squares = x.square()
        powers = (x, squares, squares * x, squares.square())
        self.sums += torch.stack([power.sum(0) for power in powers])

    def kurtosis(self) -> Tensor:
        """Return the fourth central moment by the square of the variance."""
        m, m2, m3, m4 = self.sums / self.n
        variance = m2 - m.square()
        fourth = m4 - 4 * m * m3 + 6 * m.square() * m2 - 3 * m.square().square()
        return torch.where(variance > 0, fourth / variance.square(), 0.0)

    def limits(self) -> tuple[Tensor, Tensor]:
        """Return the least and the largest input to show, each of (n_features,)."""
        room = BEYOND * (self.kurtosis() / 3).clamp(min=1.0).square()
        beyond = room.clamp(max=MOST_BEYOND) * (self.high - self.low)
        return self.low - beyond, self.high + beyond
