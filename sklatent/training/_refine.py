"""The end of a training with one held-out part: that part is trained on as well."""

import math

from ..plan import Plan
from ..problems import Problem
from ..rows import Rows
from ._loop import EpochLoop
from ._run import Run
from ._search import Search

#: Of the epochs that were good, how many are made once more.
SHARE_OF_EPOCHS = 0.1
#: Where in the learning rate's cycle these begin: with 0.28 of the largest rate.
BEGIN = 0.75


def refine(problem: Problem, plan: Plan, data: Rows, search: Search) -> Run | None:
    """Train what a search has kept a little further, on all rows.

    A network learns as much from the rows that were held out as from others: where
    there are a thousand, another tenth of them leaves up to a tenth less error.

    Parameters
    ----------
    problem, plan, data
        As for `train`.
    search : Search
        With one split.

    Returns
    -------
    run : Run or None
        None where the search's state is to be kept: it is the start, or a fitted model
        as it was, or what callbacks have seen; rows may not fit into memory, and are
        then so many that a part of them tells as much; the loss is a likelihood, which
        a single far row can make much worse; or the held-out rows, seen now, are.
    """
    is_as_it_was = search.taken_over is not None and search.epoch == 1
    may_gain = problem.loss.is_squared_error and not (data.is_large or plan.callbacks)
    if not search.epoch or is_as_it_was or not may_gain:
        return None
    first, judge = search.runs[0], search.judge
    n_epochs = math.ceil(SHARE_OF_EPOCHS * search.epoch)
    run = Run(problem, plan, data, data, None, n_epochs, watched=False, begin=BEGIN)
    run.load(search.trained)
    score, p = judge.score.score, data.shape[1]
    loop = EpochLoop([run], n_epochs, plan, "all rows", lambda loss: score(loss * p))
    with run.training():
        loop.run()
        run.limit_decoder()
        if search.decoding is not None:
            search.decoding.apply(run)
    kept = first.state()
    first.load(run.state())
    errors = first.errors_now()
    first.load(kept)
    return run if judge.is_as_good(errors, search.epoch) else None
