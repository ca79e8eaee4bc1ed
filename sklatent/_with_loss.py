"""What the estimators have in common that leave the loss to the user."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import StrOptions

from ._base import BaseLatentEncoder
from .nn import Corruption
from .plan import Plan
from .problems import LIKELIHOODS, Problem, check_loss, deviance_problem
from .problems import reconstruction_problem as squared_error_problem
from .rows import Rows

SQUARED_ERROR = "squared_error"
Loss = Literal["squared_error", "log_loss", "poisson"]


class HasLoss(BaseLatentEncoder):
    """An autoencoder with a parameter `loss`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLatentEncoder._parameter_constraints,
        "loss": [StrOptions({SQUARED_ERROR, *LIKELIHOODS})],
    }
    _structural = (*BaseLatentEncoder._structural, "loss")

    loss: Loss

    def _check(self, X: Any) -> None:
        check_loss(X, self.loss)

    def _check_scored(self, X: Any) -> None:
        check_loss(X, self._fitted_with["loss"])

    def _sees_features(self) -> bool:
        return self.loss != SQUARED_ERROR

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.loss != SQUARED_ERROR
        return tags

    def _reconstruction(
        self,
        data: Rows,
        plan: Plan,
        corruption: Callable[[Rows], Corruption] | None = None,
    ) -> Problem:
        """Return the problem of reconstructing rows, perhaps from corrupted ones."""
        if self.loss == SQUARED_ERROR:
            return squared_error_problem(data, plan, corruption=corruption)
        return deviance_problem(data, plan, self.loss, corruption=corruption)
