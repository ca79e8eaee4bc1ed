"""The plan of one call of `partial_fit`."""

from dataclasses import replace
from typing import Any

from ..nn import LatentModel
from ..rows import Rows
from ._auto import decay_of_weights
from ._plan import SHARE_OF_THE_RATE, Plan, resolve
from ._splits import Splits


def plan_further(
    given: Any,
    rows: Rows,
    previous: LatentModel,
    seed: int,
    n_seen: int,
    share_of_rate: float,
) -> Plan:
    """Turn an estimator's parameters into numbers, for one more epoch.

    Parameters
    ----------
    given : estimator
        As for `resolve`.
    rows : Rows
        That it is trained on.
    previous : LatentModel
        The model to go on from.
    seed : int
        Of this call.
    n_seen : int
        Rows of all calls: how much weights are to decay depends on these.
    share_of_rate : float
        Of the learning rate 'auto' of a fit.
    """
    splits = Splits((), refit=True, how="partial_fit")
    plan = resolve(given, rows, previous, chosen=(seed, splits))
    changed = given.augmentation is not None
    shape = n_seen, rows.shape[1]
    decay = decay_of_weights(
        given.weight_decay, shape, given._auto_rules(), changed=changed
    )
    rate = plan.learning_rate
    if given.learning_rate == "auto":
        rate *= share_of_rate / SHARE_OF_THE_RATE
    return replace(plan, max_iter=1, weight_decay=decay, learning_rate=rate)
