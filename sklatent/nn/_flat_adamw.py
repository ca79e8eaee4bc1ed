"""AdamW over one long parameter."""

from typing import Any

import torch
from torch import nn


class FlatAdamW(torch.optim.AdamW):
    """AdamW that sees all parameters as one, since every tensor costs it time.

    Each parameter and its gradient become views of two long tensors.

    Parameters
    ----------
    groups : list of dict
        The parameters, all of one dtype and device, as skorch gives them.
    **kwargs
        As for ``AdamW``.
    """

    def __init__(self, groups: list[dict[str, Any]], **kwargs: Any) -> None:
        given = [part for group in groups for part in group["params"]]
        self.parts = [part for part in given if part.requires_grad]
        flat = nn.Parameter(torch.cat([part.detach().flatten() for part in self.parts]))
        flat.grad = torch.zeros_like(flat)
        sizes = [part.numel() for part in self.parts]
        views = zip(
            *(torch.split(t, sizes) for t in (flat.detach(), flat.grad)), strict=True
        )
        for part, (value, grad) in zip(self.parts, views, strict=True):
            part.data, part.grad = value.view_as(part), grad.view_as(part)
        self.flat = flat
        super().__init__([flat], **kwargs)

    def step(self, closure: Any = None) -> Any:
        """Make a step; a part that was frozen meanwhile stays as it is."""
        frozen = [(p, p.detach().clone()) for p in self.parts if not p.requires_grad]
        loss = super().step(closure)
        for part, value in frozen:
            part.detach().copy_(value)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Do nothing: a gradient that is written out is written over the last one."""

    def clear(self) -> None:
        """Set the gradients to zero, which autograd adds to."""
        self.flat.grad.zero_()  # type: ignore[union-attr]

    def release(self) -> None:
        """Give each parameter a tensor of its own again, with no gradient."""
        for part in self.parts:
            part.data, part.grad = part.data.clone(), None
