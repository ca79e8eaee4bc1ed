"""Ordered latents: how many to train, what each explains, and the first few alone."""

import copy
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ._linear_start import pca_errors
from ._parameters import prefix_probabilities
from ._scaling import ScaledRows
from ._selection import Indices, Plan


class OrderedLatentsMixin:
    """What the parameters `ordered` and a float `n_components` do.

    It wants of the class: a fitted `net_`, and the methods by which the latents are
    read (`ComponentsMixin`).
    """

    n_components: Any
    ordered: Any
    n_components_: int
    mean_: NDArray[Any]
    net_: Any
    _n_inner: int
    _fitted_with: dict[str, Any]
    _drop_readings: Any
    _as_scaled_rows: Any
    _set_noise_variance: Any

    @property
    def _wanted_share(self) -> float | None:
        """The share of variance to explain, where `n_components` is one."""
        size: Any = self.n_components
        return None if size is None or isinstance(size, Integral) else float(size)

    @property
    def _is_ordered(self) -> bool:
        """Whether the fitted latents are ordered."""
        return bool(self._fitted_with["ordered"])

    def _prefixes(self) -> NDArray[np.float64] | None:
        """Return how often training uses the first 1, 2, ... latents only."""
        prefixes = prefix_probabilities(self.ordered, self.n_components_)
        if prefixes is None and self._wanted_share is not None:
            return prefix_probabilities(True, self.n_components_)
        return prefixes

    def _ordering(self) -> Any:
        """Return `ordered` in a form that can be compared."""
        if np.ndim(self.ordered):
            return tuple(int(size) for size in self.ordered)
        return bool(self.ordered) or self._wanted_share is not None

    def _n_latents(self, rows: ScaledRows, plan: Plan, seed: int) -> int:
        """Return how many latents to train."""
        limit: int = min(rows.shape)
        size: Any = self.n_components
        share = self._wanted_share
        if share is None:
            return int(size) if size else limit
        # As many as PCA needs, and some to spare: more are never wanted.
        everything = np.arange(len(rows))
        left, total = np.zeros(limit), 0.0
        for others, held_out in plan.splits or [(everything, everything)]:
            left += pca_errors(rows[others], rows[held_out], limit, seed)
            total += sum(float(np.vdot(x, x)) for x in rows[held_out].blocks())
        reached = np.flatnonzero(left <= (1 - share) * total)
        wanted = int(reached[0]) + 1 if len(reached) else limit
        return min(limit, wanted + 1 + int(self._spare * wanted))

    #: What is added to PCA's latents where a share of variance is wanted.
    _spare: ClassVar[float] = 0.1

    def _judge_sizes(
        self, judged: Sequence[tuple[Any, Indices]], rows: ScaledRows
    ) -> None:
        """Set what each further latent explains of the rows that each model judges."""
        left, total = np.zeros(self.n_components_), 0.0
        for module, held_out in judged:
            step = -(-len(held_out) * self._n_inner // 2**19)
            x = rows.dense(held_out[::step])
            total += float(np.square(x).sum())
            wanted = next(module.buffers()).dtype
            shown = torch.from_numpy(x).to(wanted)
            with torch.inference_mode():
                u = module.cpu().eval().latents(shown)
                for j in range(len(left)):
                    x_hat = self._as_scaled_rows(module.expected(u, j + 1))
                    left[j] += np.square(x_hat - x).sum()
        explained = 1 - left / total if total else np.zeros(len(left))
        gains = np.diff(explained, prepend=0.0)
        self.explained_variance_ratio_ = gains.astype(self.mean_.dtype)
        self._share = float(gains.sum())

    def _smallest_size(self, share: float) -> int:
        """Return the smallest size that explains this share of held-out rows."""
        explained = np.cumsum(self.explained_variance_ratio_, dtype=np.float64)
        reached = np.flatnonzero(explained >= share)
        if len(reached):
            return int(reached[0]) + 1
        best = int(explained.argmax()) + 1
        warnings.warn(
            f"n_components={self.n_components}, but {best} latents, which explain most "
            f"of the rows held out, explain {explained[best - 1]:.3f} of them; these "
            "are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return best

    def truncate(self, n_components: int) -> Self:
        """Return the model of the first latents only.

        Parameters
        ----------
        n_components : int
            How many, at most `n_components_`.

        Returns
        -------
        truncated : object
            A fitted estimator of the same class, of which ``transform(X)`` is
            ``transform(X)[:, :n_components]`` of this one. It shares nothing with it.

        Raises
        ------
        ValueError
            If the model was not fitted with ``ordered``, or has fewer latents.
        TypeError
            If `n_components` is no int.
        """
        check_is_fitted(self)
        check_scalar(n_components, "n_components", Integral, min_val=1)
        if not self._is_ordered:
            raise ValueError(
                "truncate wants a model fitted with ordered=True; the first latents of "
                f"this one, fitted with ordered={self.ordered!r}, are no model."
            )
        if n_components > self.n_components_:
            raise ValueError(
                f"n_components={n_components}, but the fitted model has "
                f"n_components_={self.n_components_}."
            )
        truncated = copy.deepcopy(self)
        truncated._keep_first(int(n_components))
        truncated.n_components = int(n_components)
        if not np.ndim(truncated.ordered):
            truncated.ordered = True  # as a share of variance had it
        return truncated

    def _keep_first(self, size: int) -> None:
        """Drop the latents after the first `size`."""
        self.net_.module_.truncate(size)
        self.n_components_ = size
        self.net_.initialize_optimizer()
        self._drop_readings(size)
        self._set_noise_variance()
