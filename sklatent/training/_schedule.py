"""The learning rate over the steps of a training."""

import math
from typing import Any


class OneCycle:
    """Sets an optimiser's learning rate from step to step, over one cycle.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of which the rate is set.
    largest : float
        The largest rate.
    n_steps : int
        How many steps there are.
    begin : float, default=0.0
        The share of the cycle that is behind already.

    Attributes
    ----------
    done : float
        The share of the cycle that is made, the present step included.
    """

    def __init__(
        self, optimizer: Any, largest: float, n_steps: int, begin: float = 0.0
    ) -> None:
        self.groups: list[dict[str, Any]] = optimizer.param_groups
        self.largest = largest
        self.n_steps = n_steps
        self.begin = begin
        self.step = 0
        self.done = begin

    def next_step(self) -> None:
        """Set the rate of the next step."""
        rate = self.largest * one_cycle(self.done)
        for group in self.groups:
            group["lr"] = rate
        self.step += 1
        self.done = self.begin + (1 - self.begin) * (self.step / self.n_steps)


def one_cycle(done: float) -> float:
    """Return the factor of the learning rate when this share of training is done.

    Up from 1/25 to 1 over 30% of the steps, then down to 0, both along a cosine (Smith
    & Topin 2018). PyTorch's scheduler does the same and takes many times longer, which
    shows on small networks.
    """
    warm = 0.3
    if done < warm:
        return 0.52 - 0.48 * math.cos(math.pi * done / warm)
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))
