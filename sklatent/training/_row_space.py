"""A search in few coordinates, to see whether networks gain anything on wide data."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from .. import runtime
from ..plan import Plan
from ..problems import Problem
from ..rows import Array, Rows, rows_of
from ._search import Search

#: How many times more features than rows there are in wide data, and how many at least.
MIN_RATIO, MIN_FEATURES = 8, 2000


def search_in_row_space(problem: Problem, plan: Plan, data: Rows) -> Search | None:
    """Search as `Search` does, with rows given by their coordinates in their own span.

    There are at most as many of these as rows, so it costs little, and squared errors
    are the same. The networks are not, but they gain nearly as much as those of all
    features, and where they gain nothing these need not be trained.

    Returns
    -------
    search : Search or None
        Of epoch 0 where no epoch gained as much as `tol`. None where rows are not so
        wide, or more than squared errors counts.
    """
    n_samples, n_features = data.shape
    wide = n_features >= max(MIN_RATIO * n_samples, MIN_FEATURES)
    in_coordinates = problem.in_coordinates
    if not wide or in_coordinates is None or plan.callbacks or data.is_filled:
        return None
    rows = rows_of(coordinates(data, plan.seed), weights=data.all_weights)
    widths = (rows.shape[1], *plan.hidden, plan.n_components)
    flops = 12.0 * plan.batch_size * sum(a * b for a, b in pairwise(widths))
    narrow = replace(plan, n_features=rows.shape[1], flops_of_a_step=flops)
    with runtime.threads_kept():
        runtime.choose_threads(flops)
        problem = in_coordinates(rows, narrow)
        search = Search(problem, narrow, rows, with_final=False)
    if not search.judge.has_gained:
        search.epoch = 0
    search.is_in_row_space = True
    return search


def coordinates(data: Rows, seed: int) -> Array:
    """Return rows in a random orthonormal basis of their span, (n_samples, rank).

    In such a basis coordinates have like variances, as features have, and AdamW trains
    like on these. In the principal axes it does not: it steps as far along the least as
    along the first.
    """
    x = data.dense()
    squared, vectors = np.linalg.eigh(x @ x.T)
    # Of centred rows the last is a sum of the others; rounding leaves some of it.
    known = squared >= max(1e-12 * squared[-1], 1e-300)
    known[-1] = True  # of equal rows, too
    scores = vectors[:, known] * np.sqrt(squared[known].clip(min=0))
    random = np.random.RandomState(seed).standard_normal(2 * scores.shape[1:])
    return np.asarray(scores @ np.linalg.qr(random)[0])
