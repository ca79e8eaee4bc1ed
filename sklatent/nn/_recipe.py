"""Callables with parameters that can be searched, as estimators have them."""

from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass
class Recipe:
    """A callable whose fields are parameters, as those of scikit-learn's estimators.

    Where an estimator has one as a parameter, ``set_params(encoder__channels=(8, 16))``
    of the estimator sets a field of it, and a grid search can.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            No effect: none has parameters of its own.

        Returns
        -------
        params : dict
            Values by name.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params : dict
            Values by name; they are checked when the object is called.

        Returns
        -------
        self : object
            The object itself.

        Raises
        ------
        ValueError
            If there is no parameter of such a name.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has "
                    f"{', '.join(known)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self
