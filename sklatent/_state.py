"""What pickles, other files and copies hold of an estimator."""

import copy
import inspect
import warnings
from collections.abc import Sequence
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from . import runtime
from .nn import from_plain, to_plain
from .training import copied, load_net, save_net


class PlainState(BaseEstimator):
    """Has an estimator saved as dicts of arrays, numbers and strings.

    Files then hold no class of this package but the estimators themselves, which are
    the only types of it that a reader such as skops has to trust.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return what a file holds, and the version that wrote it."""
        from . import __version__

        state = super().__getstate__()
        with runtime.caller_modes_off():
            if "net_" in state:
                state = {**state, "net_": save_net(state["net_"])}
            return {**to_plain(state), "_sklatent_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what a file holds.

        Raises
        ------
        ValueError
            If that is no state of such an estimator.
        """
        from . import __version__

        name = type(self).__name__
        try:
            if not isinstance(state, dict):
                raise TypeError(f"a {type(state).__name__} in place of a dict")
            state = dict(state)
            version = state.pop("_sklatent_version", "unknown")
            with runtime.caller_modes_off():
                nets = {key: load_net(state.pop(key)) for key in {"net_"} & set(state)}
                loaded = {**from_plain(state), **nets}
                super().__setstate__({**_defaults(type(self)), **loaded})
                self._check_loaded()
        except Exception as error:  # whatever the parts of a damaged file raise
            raise ValueError(
                f"The file holds no {name} that sklatent {__version__} can load: "
                f"{type(error).__name__}: {error}"
            ) from error
        if version != __version__:
            warnings.warn(
                VersionWarning(
                    estimator_name=name,
                    current_sklearn_version=__version__,
                    original_sklearn_version=str(version),
                ),
                stacklevel=2,
            )

    def _check_loaded(self) -> None:
        """Raise an error unless the parts of a loaded state go with each other."""


class CopiedState(PlainState):
    """Has estimators copied whose networks and callbacks are the user's.

    That is by `copy.deepcopy` and scikit-learn's `clone`.
    """

    callbacks: Sequence[Any] | None

    def __sklearn_clone__(self) -> Self:
        """Clone as scikit-learn does, but for what it would part or cannot copy.

        Encoder and decoder may share weights, and callbacks hold a file or a lock.
        """
        given = ("encoder", "decoder", "callbacks")
        found = {name: vars(self).get(name) for name in given}
        apart = {name: value for name, value in found.items() if value is not None}
        rest = object.__new__(type(self))
        rest.__dict__.update(vars(self), **dict.fromkeys(apart))
        cloned: Self = super(CopiedState, rest).__sklearn_clone__()
        callbacks = apart.pop("callbacks", None)
        cloned.__dict__.update(copy.deepcopy(apart))
        if callbacks is not None:
            cloned.callbacks = type(callbacks)(copied(callbacks))
        return cloned

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy all but callbacks that cannot be copied, which are shared."""
        logged = self.net_.callbacks_ if hasattr(self, "net_") else []
        for callbacks in (self.callbacks or [], logged):
            for callback, other in zip(callbacks, copied(callbacks), strict=True):
                if other is callback:
                    named = isinstance(callback, tuple | list)
                    shared = callback[1] if named else callback
                    memo[id(shared)] = shared
        memo[id(self)] = new = object.__new__(type(self))
        new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return new


def _defaults(kind: type) -> dict[str, Any]:
    """Return the parameters that have defaults: an earlier version may lack some."""
    given = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    return {p.name: p.default for p in given if p.default is not p.empty}


class VersionWarning(InconsistentVersionWarning):
    """A model that another version of sklatent has saved is loaded."""

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was pickled by sklatent "
            f"{self.original_sklearn_version} and is loaded by "
            f"{self.current_sklearn_version}. This may break it or give other results."
        )
