"""What a fit is of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..nn import LatentFrame, LatentModel, Loss, Moments
from ..plan import Plan
from ..rows import Array, Inputs, Rows
from ..starts import FittedPrior
from ._continued import State, taken_over
from ._held_out import ExplainedVariance, HeldOutScore


class Reading(Protocol):
    """How users read the fitted latents, and what else is to be known of the model."""

    @property
    def start_is_in_frame(self) -> bool:
        """Whether an untrained model's own frame is right as it is."""

    def frame(self, model: LatentModel, moments: Moments, data: Rows) -> LatentFrame:
        """Return the frame of the latents, before whitening.

        Parameters
        ----------
        model : LatentModel
            The trained model.
        moments : Moments
            Of its inner latents over the training rows.
        data : Rows
            The training rows.
        """

    def squared_step_lengths(
        self, model: LatentModel, moments: Moments
    ) -> Tensor | None:
        """Return by how much a unit step along each latent moves the reconstruction.

        The squares of it, shape (n_components,); None where it is the same for all.
        """

    def attributes(self, model: LatentModel, fitted: Any) -> dict[str, Any]:
        """Return further attributes of the estimator, by name.

        Parameters
        ----------
        model : LatentModel
            The trained model.
        fitted : Summary
            What is known of it already.
        """

    def latent_prior(self, model: LatentModel, data: Rows) -> FittedPrior | None:
        """Return a distribution of the latents of the training rows, or None.

        Parameters
        ----------
        model : LatentModel
            The trained model, in its frame.
        data : Rows
            The training rows.
        """


@dataclass(frozen=True)
class Choice:
    """Problems of which held-out rows choose one, by how well latents tell targets.

    Attributes
    ----------
    problems : sequence of Problem
        The start of the first is the standard.
    names : sequence of str
        Of each, for users.
    target_errors : callable
        Returns the error of each held-out row's targets, when latents of a model of
        the training rows (the second argument) tell those of others (the third). NaN
        where it has none.
    what : str
        What that error is, in words.
    """

    problems: Sequence["Problem"]
    names: Sequence[str]
    target_errors: Callable[[LatentModel, Rows, Rows], Array]
    what: str


@dataclass(frozen=True)
class Problem:
    """What a fit is of, composed of parts.

    Attributes
    ----------
    start : callable
        Solves for the linear model to start from, on the rows given; None is none.
    module : callable
        Makes the model to train, in float64, from that and the rows.
    loss : Loss
        What training makes small.
    reading : Reading
        How the latents are read.
    inputs : tuple of Inputs, default=()
        What the network is shown of the rows; none is the rows themselves.
    held_out_score : callable
        Makes the `HeldOutScore` of held-out rows, from tensors of them, and
        from `weights` of each where rows have some.
    in_coordinates : callable or None
        Where only squared distances count: makes the same problem of the same rows in
        another orthogonal basis, and their plan.
    sees_cells : bool
        Whether batches are to have sparse rows as they are, besides coordinates.
    previous : LatentModel or None
        A fitted model whose networks go on.
    """

    start: Callable[[Rows], Any]
    module: Callable[[Any, Rows], LatentModel]
    loss: Loss
    reading: Reading
    inputs: tuple[Inputs, ...] = ()
    held_out_score: Callable[..., HeldOutScore] = ExplainedVariance.of
    in_coordinates: Callable[[Rows, Plan], "Problem"] | None = None
    sees_cells: bool = False
    previous: LatentModel | None = None

    def build(self, rows: Rows) -> LatentModel:
        """Return the model before training, as these rows give it, in float64."""
        return self.module(self.start(rows), rows)

    def continued_from(self, previous: LatentModel) -> "Problem":
        """Return the problem of training a fitted model further."""
        return replace(self, previous=previous, in_coordinates=None)

    def taken_over(self, model: LatentModel, rows: Rows) -> list[State]:
        """Return states of a model just built in which it is the fitted one."""
        if self.previous is None:
            return []
        some = torch.from_numpy(rows.subsample(1000).dense())
        return taken_over(self.previous, model, some)
