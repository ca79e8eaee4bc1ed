"""AdamW that costs small networks little."""

from typing import Any

import torch
from torch import nn

from ._saving import saved

#: Devices whose AdamW is one kernel.
HAS_FUSED_KERNEL = ("cpu", "cuda")


@saved
class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW, without an import of its compiler.

    That takes a second, once in a process and its every worker.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters."""
        decorated: Any = torch.optim.Optimizer.add_param_group
        getattr(decorated, "__wrapped__", decorated)(self, param_group)


class FlatAdamW(AdamW):
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
        self.parts = [part for group in groups for part in group["params"]]
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
        self.gradient: Any = flat.grad
        self.n_steps = torch.zeros((), dtype=torch.float32, device=flat.device)
        moments = (torch.zeros_like(flat.detach()) for _ in range(2))
        #: The kernel's arguments: weights, gradient, moments, their maxima, steps.
        self.tensors = [[t] for t in (flat.detach(), flat.grad, *moments)]
        self.tensors += [[], [self.n_steps]]
        self.fused = flat.device.type in HAS_FUSED_KERNEL

    def step(self, closure: Any = None) -> Any:
        """Make a step; a part that is frozen stays as it is."""
        loss = None if closure is None else closure()
        self.advance()
        return loss

    def advance(self) -> None:
        """Make a step, without what PyTorch puts around an optimiser's ``step``.

        That is its hooks and its profiler, which take longer than the step itself
        where networks are small.
        """
        frozen = [(p, p.detach().clone()) for p in self.parts if not p.requires_grad]
        if self.fused:
            self._fused_step()
        else:
            super().step()
        for part, value in frozen:
            part.detach().copy_(value)

    def _fused_step(self) -> None:
        """Call the kernel of AdamW(fused=True)."""
        group = self.param_groups[0]
        beta1, beta2 = group["betas"]
        self.n_steps.add_(1)
        torch._fused_adamw_(
            *self.tensors,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """No-op: a written-out backward pass overwrites gradients."""

    def clear(self) -> None:
        """Set the gradients to zero, which autograd adds to."""
        self.gradient.zero_()

    def release(self) -> None:
        """Give each parameter a tensor of its own again, and forget all else."""
        for part in self.parts:
            part.data, part.grad = part.data.clone(), None
        self.parts, self.tensors, self.gradient = [], [], None
        self.flat.data, self.flat.grad = self.flat.data.new_empty(0), None
        self.state.clear()
