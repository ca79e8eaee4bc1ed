"""The end of a training with one held-out part: that part is trained on as well."""

import math

import numpy as np

from ..plan import Plan
from ..problems import Problem
from ..rows import Rows
from ._loop import EpochLoop
from ._run import Run
from ._search import Search, rows_of_start

#: Of the epochs that were good, how many are made once more.
SHARE_OF_EPOCHS = 0.1
#: After fewer, one more would be a large share of the time.
FEWEST_EPOCHS = 5
#: Where in the learning rate's cycle these begin: with 0.28 of the largest rate.
BEGIN = 0.75


def refine(problem: Problem, plan: Plan, data: Rows, search: Search) -> Run | None:
    """Train what a search has kept a little further, on the rows of both sides.

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
        None where the search's state is to be kept: it is the start or that of an early
        epoch, or what callbacks have seen; a stream will ask the held-out rows again;
        rows may not fit into memory, and are then so many that a part of them tells as
        much; the loss is a likelihood, which a single far row can make much worse; or
        the held-out rows, which are training rows now, are worse, as only a training
        that went wrong makes them.
    """
    stays = plan.callbacks or plan.keeps_held_out or data.is_large
    stays = stays or not problem.loss.is_squared_error
    if search.epoch < FEWEST_EPOCHS or stays:
        return None
    first, judge = search.runs[0], search.judge
    n_epochs = math.ceil(SHARE_OF_EPOCHS * search.epoch)
    ((train, held_out),) = plan.splits.pairs
    both = np.union1d(train, held_out)  # a splitter of the user's may leave rows out
    rows = data if len(both) == len(data) else data[both]
    start = rows_of_start(problem, plan, data, train)
    run = Run(problem, plan, start, rows, None, n_epochs, watched=False, begin=BEGIN)
    run.load(search.trained)
    score, p = judge.score.score, data.shape[1]
    loop = EpochLoop([run], n_epochs, plan, "all rows", lambda loss: score(loss * p))
    with run.training():
        loop.run()
        if not all(map(math.isfinite, (*loop.loss_curve, run.loss_now()))):
            return None
        run.limit_decoder()
        if search.decoding is not None:
            search.decoding.apply(run)
    kept = first.state()
    first.load(run.state())
    errors = first.errors_now()
    first.load(kept)
    return run if judge.is_as_good(errors, search.epoch) else None
