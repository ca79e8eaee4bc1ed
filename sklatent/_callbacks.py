"""Callbacks of scikit-learn's, which it has from version 1.9 on.

A fit is their root task. The trainings in it, of the folds and of the model that is
kept, are its subtasks, and epochs are the subtasks of these.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for that of scikit-learn."""

    def _with_callbacks(method: Method) -> Method:
        return method


def with_callbacks(method: Method) -> Method:
    """Return a `fit` after which callbacks are torn down, with its type."""
    decorated: Method = _with_callbacks(method)
    return decorated


class ReportsEpochs(CallbackSupportMixin):
    """Tells callbacks of scikit-learn's, which `set_callbacks` takes, of each epoch."""

    def _fit_task(self, **data: Any) -> Any:
        """Begin the task of a fit and return it, or None without callbacks."""
        if not getattr(self, "_skl_callbacks", ()):
            return None
        task = self._init_callback_context(max_subtasks=None)
        return task.call_on_fit_task_begin(estimator=self, **data)

    def _epochs_of(self, fit: Any) -> Callable[[str, range], Generator[int]]:
        """Return what runs through the epochs of a training, by its name."""

        def epochs(name: str, numbers: range) -> Generator[int]:
            training = fit.subcontext(task_name=name, max_subtasks=len(numbers))
            training.call_on_fit_task_begin(estimator=self)
            try:
                for number in numbers:
                    epoch = training.subcontext(task_name="epoch")
                    epoch.call_on_fit_task_begin(estimator=self)
                    try:
                        yield number
                    finally:  # also of an epoch after which training stops
                        stops = epoch.call_on_fit_task_end(estimator=self)
                    if stops:
                        break
            finally:
                training.call_on_fit_task_end(estimator=self)

        return epochs
