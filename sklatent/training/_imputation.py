"""A network that corrects the Gaussian's fill of missing cells, if it is better."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import runtime
from ..nn import MLP, Filling, FlatAdamW, gaps_of, imputation_inputs
from ..plan import (
    AutoRules,
    Plan,
    SplitBy,
    choose_splits,
    decay_of_weights,
    torch_dtype,
)
from ..problems import ExplainedVariance, winsorised
from ..rows import Array, Indices, Rows, mean_of
from ..starts import GaussianFit, fit_gaussian, hide_cells
from ._judge import Judge, least_gain
from ._schedule import OneCycle

#: Views of each row, with other cells hidden; in all, and numbers in them, at most.
N_VIEWS, MAX_VIEWS, MAX_NUMBERS = 32, 2**16, 2**22
#: Multiplications to make them, at most.
MAX_WORK = 2e10
#: Views of each row that are trained on, some of them again, if the steps are at most
#: so many, and the operations.
N_SHOWN, MAX_STEPS, MAX_FLOPS = 64, 4096, 3e11
#: The least share of the observed cells that a view hides.
MIN_HIDDEN = 0.2
#: Conditional standard deviations beyond which what is hidden counts as at that: single
#: cells that no network can tell would rule the gradient.
MAX_DEVIATIONS = 4.0
#: The network: hidden layers, how many times PyTorch's usual weights they start with,
#: rows of a batch and the largest learning rate.
HIDDEN_LAYERS, WEIGHT_SIZE, BATCH_SIZE, LEARNING_RATE = (192, 192), 2.0, 128, 0.003
#: Held-out rows and views of them, at most, and the share of the rows where none are.
MAX_HELD_OUT, SHARE_HELD_OUT = 4000, 0.2
#: A network that is better is kept if a t-test at this level says that it is not worse
#: for most rows, by this share of their squared error.
LEVEL, MAX_LOSS = 0.05, 0.01


@dataclass(frozen=True)
class Views:
    """Rows with cells hidden, filled by a Gaussian; all of standardised features.

    Attributes
    ----------
    inputs : Tensor of shape (n, 3 * n_features)
        What the network is told.
    deviation : Tensor of shape (n, n_features)
        The conditional standard deviation of each hidden cell, and 0 for others.
    target : Tensor of shape (n, n_features)
        What the Gaussian is off the hidden cells.
    rows : Tensor of int of shape (n,)
        Which row each is of.
    """

    inputs: Tensor
    deviation: Tensor
    target: Tensor
    rows: Tensor

    def errors(self, network: MLP | None) -> Array:
        """Return the squared error of each view's hidden cells, (n,)."""
        left = self.target
        if network is not None:
            left = left - network(self.inputs) * self.deviation
        return np.asarray(left.double().square().sum(dim=1).numpy())


@torch.no_grad()
def add_correction(filling: Filling, data: Rows, plan: Plan) -> Rows:
    """Give a filling a network, if cells hidden from held-out rows are filled better.

    It is told the Gaussian's fill, which cells are missing, and their conditional
    deviations; it is trained to tell what is hidden of rows that are shown with other
    cells hidden each time.

    Parameters
    ----------
    filling : Filling
        Gets the network.
    data : Rows
        The training rows.
    plan : Plan
        For the held-out rows and the seed.

    Returns
    -------
    rows : Rows
        The training rows, filled with what the filling then gives.
    """
    train, held_out, units = _split(data, plan)
    if len(held_out) < 2:
        return data
    runtime.choose_threads(0.0)  # small work, many times
    generator = torch.Generator().manual_seed(plan.seed)
    rows = _some(data[train].typical())
    x = _standardised(filling, rows)
    # It must not have seen the held-out rows.
    fit = fit_gaussian(x.numpy(), rows.weights)
    views = _views(fit, x, N_VIEWS, MAX_VIEWS, generator)
    tested = _some(data[held_out])
    others = _standardised(filling, tested)
    n_times = max(1, min(4, MAX_HELD_OUT // len(held_out)))
    judged = _views(fit, others, n_times, n_times * len(others), generator)
    here = judged.rows.numpy()
    weights = None if tested.weights is None else tested.weights[here]
    start = judged.errors(None)
    network = _network(x.shape[1], generator)
    n_passes = _n_passes(network, views, len(x))
    score = ExplainedVariance(mean_of(start, weights))
    judge = Judge(start, score, n_passes, 0.0, weights=weights)
    best: Any = None
    for _ in _passes(network, views, rows.weights, n_passes, generator):
        if judge.update(judged.errors(network)):
            best = copy.deepcopy(network.state_dict())
    gain = winsorised(start - judge.errors[judge.best_epoch], weights)
    surely = mean_of(gain, weights) - least_gain(gain, LEVEL, units[here], weights)
    if best is None or surely <= -MAX_LOSS * mean_of(start, weights):
        return data
    network.load_state_dict(best)
    network.requires_grad_(False)
    filling.network = network.to(torch_dtype(data.scale.mean.dtype)).eval()
    return data.filled_by(filling)


def _split(data: Rows, plan: Plan) -> tuple[Indices, Indices, Indices]:
    """Return rows to train on, others to judge by, and the units of these."""
    splits = plan.splits
    if not splits.pairs:
        by = SplitBy(True, SHARE_HELD_OUT)
        splits = choose_splits(data, by, plan.seed, good_start=True)
    if not splits.pairs:
        nothing = np.zeros(0, np.intp)
        return np.arange(len(data)), nothing, nothing
    train, held_out = splits.pairs[0]
    typical = np.zeros(len(data), bool)
    typical[data.typical().where()] = True
    held_out = held_out[typical[held_out]][:MAX_HELD_OUT]
    return train, held_out, held_out if splits.units is None else splits.units[held_out]


def _some(rows: Rows) -> Rows:
    """Return some rows where features are many."""
    return rows.subsample(max(1, MAX_NUMBERS // rows.shape[1]))


def _standardised(filling: Filling, rows: Rows) -> Tensor:
    """Return rows (n, n_features) in standard deviations, NaN where missing."""
    x, known = rows.dense(), rows.known()
    if known is not None:
        x[~known] = np.nan
    return filling.standardised(torch.from_numpy(x))


def _views(
    fit: GaussianFit, x: Tensor, n_views: int, most: int, generator: torch.Generator
) -> Views:
    """Hide cells of rows and fill them, so many times for each row, or fewer."""
    n, p = x.shape
    missing = x.isnan()
    share = max(MIN_HIDDEN, float(missing.double().mean()))
    has_gaps = bool(missing.any())
    most = min(most, MAX_NUMBERS // p)
    made: list[Views] = []
    n_made, work = 0, 0.0
    for i in range(n_views):
        if n_made >= most or work > MAX_WORK:
            break
        rows = torch.randperm(n, generator=generator)[: most - n_made]
        some = x[rows]
        shown, hidden = hide_cells(some, share, generator)
        if has_gaps and i % 2:  # as cells are missing in another row
            other = torch.randint(n, (len(some),), generator=generator)
            hidden = missing[other] & ~some.isnan()
            shown = torch.where(hidden, torch.nan, some)
        made.append(Views(*_filled(fit, some, shown, hidden), rows))
        n_made += len(some)
        gaps = gaps_of(shown.isnan())
        work += sum(len(g.features) * float(g.features.shape[1]) ** 3 for g in gaps)
    whole = zip(*((v.inputs, v.deviation, v.target, v.rows) for v in made), strict=True)
    return Views(*(torch.cat(parts) for parts in whole))


def _filled(
    fit: GaussianFit, x: Tensor, shown: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs, deviation and target of rows whose hidden cells are filled."""
    unit, centre = torch.from_numpy(fit.unit), torch.from_numpy(fit.mean)
    mean, variance = fit.gaussian.conditional((shown - centre) / unit)
    mean, deviation = mean * unit + centre, variance.sqrt() * unit
    target = torch.where(hidden, x - mean, 0.0)
    inputs = imputation_inputs(mean, deviation).float()
    return inputs, torch.where(hidden, deviation, 0.0).float(), target.float()


def _network(p: int, generator: torch.Generator) -> MLP:
    """Return the network, 0 at first."""
    return MLP(
        (3 * p, *HIDDEN_LAYERS, p),
        "silu",
        zero_last=True,
        generator=generator,
        weight_size=WEIGHT_SIZE,
    )


def _n_passes(network: MLP, views: Views, n_rows: int) -> int:
    """Return how often to train on all views."""
    n_weights = sum(weight.numel() for weight in network.parameters())
    n_steps = min(MAX_STEPS, MAX_FLOPS / (6 * n_weights * BATCH_SIZE))
    n_shown = min(N_SHOWN * n_rows, int(n_steps * BATCH_SIZE))
    return max(1, round(n_shown / len(views.target)))


def _passes(
    network: MLP,
    views: Views,
    weights: Array | None,
    n_passes: int,
    generator: torch.Generator,
) -> Iterator[None]:
    """Train on all views, and yield after each pass; over one cycle of the rate.

    The weights are those of the rows.
    """
    n, p = views.target.shape
    w = np.ones(int(views.rows.max()) + 1) if weights is None else weights
    weight = torch.from_numpy(w / w.mean()).float()[views.rows, None]
    decay = decay_of_weights("auto", (len(w), p), AutoRules(), changed=False)
    groups = [{"params": list(network.parameters())}]
    optimizer = FlatAdamW(groups, weight_decay=decay, eps=1e-15)
    n_batches = math.ceil(n / BATCH_SIZE)
    cycle = OneCycle(optimizer, LEARNING_RATE, n_passes * n_batches)
    limit = MAX_DEVIATIONS * views.deviation
    target = views.target.clamp(-limit, limit)
    n_cells = max(1.0, float((views.deviation > 0).sum()) / n)
    for _ in range(n_passes):
        order = torch.randperm(n, generator=generator)
        for batch in order.tensor_split(n_batches):
            cycle.next_step()
            deviation = views.deviation[batch]
            output, tape = network.forward_with_tape(views.inputs[batch])
            left = (output * deviation - target[batch]) * weight[batch]
            grad = left * deviation * (2 / (len(batch) * n_cells))
            network.backward(tape, grad, to_input=False)
            optimizer.advance()
        yield
    optimizer.release()
