"""Which cells of rows are missing: rows in groups that have as many gaps."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

#: Numbers that the matrices of one group may have, about.
MAX_NUMBERS = 2**20


@dataclass(frozen=True)
class Gaps:
    """The missing cells of some rows, by their patterns.

    Attributes
    ----------
    rows : Tensor of int of shape (n,)
        Which rows these are.
    which : Tensor of int of shape (n,)
        The pattern of each.
    features : Tensor of int of shape (q, m)
        The features that each of q patterns lacks; `n_features` where it lacks fewer.
    counts : Tensor of shape (q,), float64
        How many rows have each pattern, or the sum of their weights.
    """

    rows: Tensor
    which: Tensor
    features: Tensor
    counts: Tensor

    @property
    def cells(self) -> tuple[Tensor, Tensor]:
        """The missing cells as indices of rows (n, 1) and of features (n, m)."""
        return self.rows[:, None], self.features[self.which]


def gaps_of(missing: Tensor, weights: Tensor | None = None) -> list[Gaps]:
    """Return the gaps of rows that have some, in groups that have about as many.

    Parameters
    ----------
    missing : Tensor of bool of shape (n, n_features)
    weights : Tensor of shape (n,), float64, or None
        How much each row counts; None is 1.
    """
    n_missing = missing.sum(dim=1)
    rows = n_missing.nonzero()[:, 0]
    if not len(rows):
        return []
    patterns, which = _distinct(missing[rows])
    n_missing = patterns.sum(dim=1)
    order = n_missing.argsort(stable=True)
    groups = []
    for part in _even(n_missing[order].tolist()):
        some = order[part]
        place = torch.full_like(order, -1)
        place[some] = torch.arange(len(some), device=place.device)
        here = place[which]
        own = here >= 0
        here = here[own]
        weight = None if weights is None else weights[rows[own]]
        counts = torch.bincount(here, weight, minlength=len(some)).double()
        groups.append(Gaps(rows[own], here, _features(patterns[some]), counts))
    return groups


def _distinct(missing: Tensor) -> tuple[Tensor, Tensor]:
    """Return distinct rows, and which of these each row is."""
    generator = torch.Generator().manual_seed(0)
    ends = -(2**62), 2**62
    codes = torch.randint(*ends, missing.shape[1:], generator=generator)
    hashes = torch.where(missing, codes.to(missing.device), 0).sum(dim=1)
    _, which = torch.unique(hashes, return_inverse=True)
    first = torch.empty(int(which.max()) + 1, dtype=torch.int64, device=which.device)
    first[which] = torch.arange(len(which), device=which.device)
    return missing[first], which


def _even(n_missing: list[int]) -> Iterator[slice]:
    """Yield slices of ascending numbers that are alike, and not too large."""
    first = 0
    for i, m in enumerate(n_missing):
        wide = m > 1.25 * n_missing[first] + 1
        if wide or (i - first) * m * m > MAX_NUMBERS:
            yield slice(first, i)
            first = i
    yield slice(first, len(n_missing))


def _features(patterns: Tensor) -> Tensor:
    """Return the features that patterns (q, n_features) lack, ascending, (q, m)."""
    n_features = patterns.shape[1]
    m = int(patterns.sum(dim=1).max())
    numbers = torch.arange(n_features, device=patterns.device)
    numbers = torch.where(patterns, numbers, n_features)
    return numbers.sort(dim=1).values[:, :m]
