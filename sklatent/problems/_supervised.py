"""The problem of supervised autoencoders: to tell rows and targets from the latents."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import RidgeCV
from torch import Tensor

from ..nn import (
    MLP,
    AutoencoderModel,
    LatentModel,
    Moments,
    ResidualMap,
    SquaredError,
    SupervisedLoss,
    SupervisedModel,
    decoder_gram,
)
from ..plan import Plan
from ..rows import Array, Rows, Targets, mean_of, means_of
from ..starts import CovariatesStart, covariates_start, logistic_head
from ._networks import check_networks
from ._problem import Choice, Problem
from ._reconstruction import (
    ReconstructionReading,
    autoencoder,
    nested_dropout,
    reconstruction_problem,
)

#: Weights of the rows that 'auto' chooses from.
MIXINGS = (1.0, 0.5, 0.1, 0.01)
#: Training rows by which latents are read, at most.
MAX_ROWS_OF_GRAM = 5000
#: And those by which they are judged.
MAX_ROWS_OF_A_HEAD = 20_000


def supervised_problem(data: Rows, plan: Plan, mixing: float) -> Problem:
    r"""Return the problem of reconstructing rows and predicting their targets.

    What is made small is :math:`\alpha` times the share of variance that is left of the
    rows, plus :math:`1 - \alpha` times that of the targets: of their variance, or of
    the entropy of their classes.

    Parameters
    ----------
    data : Rows
        The training rows, with their targets.
    plan : Plan
        What the parameters mean for them.
    mixing : float
        :math:`\alpha`. At 1 targets do not count.
    """
    targets = data.targets
    assert targets is not None
    reading = SupervisedReading(
        ordered=plan.prefixes is not None,
        start_is_in_frame=plan.linear_start and mixing == 1,
        classes=targets.classes,
        mixing=mixing,
    )
    if mixing == 1 or plan.n_components == 0:
        return reconstruction_problem(data, plan, reading=reading)
    check_networks(plan)

    def start(rows: Rows) -> CovariatesStart | None:
        if not plan.linear_start:
            return None
        codes = targets.codes[rows.where()]
        return covariates_start(rows, codes, plan.n_components, mixing, plan.seed)

    def module(solved: CovariatesStart | None, rows: Rows) -> AutoencoderModel:
        model = autoencoder(plan, solved, rows)
        if not plan.trains:
            return model
        return with_head(model, _head(plan, solved, rows, targets))

    return Problem(
        start=start,
        module=module,
        loss=_loss(data, targets, mixing) if plan.trains else SquaredError(),
        inputs=nested_dropout(plan),
        reading=reading,
    )


def choice_of_mixing(data: Rows, plan: Plan) -> Choice:
    """Return the problems with the weights `MIXINGS`, to choose from.

    Raises
    ------
    ValueError
        If there are none held out to choose by, and no start to keep.
    """
    if plan.splits.refit and not plan.splits.pairs:
        raise ValueError(
            "mixing='auto' is chosen by held-out rows, of which there are none: "
            f"{plan.splits.how}."
        )
    targets = data.targets
    assert targets is not None
    is_classes = targets.kind == "classes"
    return Choice(
        # PCA's latents are compared with others, of which none is in few coordinates.
        [
            replace(supervised_problem(data, plan, mixing), in_coordinates=None)
            for mixing in MIXINGS
        ],
        [f"mixing={mixing}" for mixing in MIXINGS],
        _errors_of_classes if is_classes else _errors_of_numbers,
        "squared error of " + ("class probabilities" if is_classes else "targets"),
    )


def _errors_of_classes(model: LatentModel, train: Rows, others: Rows) -> Array:
    """Return each held-out row's Brier score by logistic regression on latents."""
    (u, y), (v, known) = _latents_and_targets(model, train, others)
    weights = train.subsample(MAX_ROWS_OF_A_HEAD).weights
    weight, bias = logistic_head(u, y, weights)
    errors = np.square(softmax(v @ weight + bias, axis=1) - known).sum(axis=1)
    return np.where(known.any(axis=1), errors, np.nan)


def _errors_of_numbers(model: LatentModel, train: Rows, others: Rows) -> Array:
    """Return the squared error of standardised targets, by ridge regression."""
    (u, y), (v, known) = _latents_and_targets(model, train, others)
    weights = train.subsample(MAX_ROWS_OF_A_HEAD).weights
    errors = np.zeros(len(v))
    for target, truth in zip(y.T, known.T, strict=True):
        labelled = np.isfinite(target)
        if labelled.sum() < 2:
            continue
        w = None if weights is None else weights[labelled]
        fit = RidgeCV(np.logspace(-3, 3, 7)).fit(u[labelled], target[labelled], w)
        errors += np.nan_to_num(np.square(fit.predict(v) - truth))
    return np.where(np.isfinite(known).any(axis=1), errors, np.nan)


def _latents_and_targets(
    model: LatentModel, train: Rows, others: Rows
) -> list[tuple[Array, Array]]:
    """Return latents, of unit deviation over the training rows, and targets."""
    some = train.subsample(MAX_ROWS_OF_A_HEAD)
    assert some.targets is not None
    u, v = _latents(model, some), _latents(model, others)
    mean = means_of(u, some.weights)
    scale = np.sqrt(means_of(np.square(u - mean), some.weights))
    scale[scale == 0] = 1
    values = some.targets.values
    return [
        ((z - mean) / scale, values[rows.where()].astype(np.float64))
        for z, rows in ((u, some), (v, others))
    ]


@torch.no_grad()
def _latents(model: LatentModel, rows: Rows) -> Array:
    """Return the inner latents of rows, (n, k)."""
    model.eval()  # one just built is not: dropout would make noise of its latents
    mean = model.frame.mean  # of the dtype and on the device of all
    blocks = [model.latents(torch.from_numpy(x).to(mean)) for x in rows.blocks()]
    return np.asarray(torch.cat(blocks).cpu().double().numpy())


def _loss(data: Rows, targets: Targets, mixing: float) -> SupervisedLoss:
    """Return the loss, in the unit of the squared error of rows."""
    typical = data.typical()  # one row far out must not make the target count for all
    per_row = typical.observed_sum_of_squares() / typical.total_weight
    labelled = targets.labelled()[data.where()].astype(np.float64)
    share_labelled = mean_of(labelled, data.weights)
    weight = (1 - mixing) * per_row / (targets.total * share_labelled)
    is_classes = targets.kind == "classes"
    return SupervisedLoss(mixing, weight, is_classes=is_classes)


def _head(
    plan: Plan, start: CovariatesStart | None, rows: Rows, targets: Targets
) -> ResidualMap:
    """Return the linear map from latents to targets, in float64."""
    n_targets = targets.values.shape[1]
    network = MLP(
        (plan.n_components, n_targets),
        plan.activation,
        zero_last=start is not None,
        generator=torch.Generator().manual_seed(plan.seed),
    )
    if start is None:
        return ResidualMap(None, None, network).double()
    weight, bias = start.head_weight, start.head_bias
    if targets.kind == "classes":
        latents = np.concatenate(
            [x @ start.encoder_weight + start.encoder_bias for x in rows.blocks()]
        )
        weight, bias = logistic_head(
            latents, targets.values[rows.where()], rows.weights
        )
    linear = torch.from_numpy(weight), torch.from_numpy(bias)
    return ResidualMap(*linear, network).double()


def with_head(model: AutoencoderModel, head: ResidualMap) -> SupervisedModel:
    """Return the same model with a head."""
    parts = model.encoder, model.decoder, head, model.frame, model.scaling
    return SupervisedModel(*parts).double()


@dataclass(frozen=True)
class SupervisedReading(ReconstructionReading):
    r"""Latents that read like PCA's, and tell a target.

    In PCA a step of one length along any latent moves the reconstruction by one and the
    same length. Here it moves reconstruction and prediction together by one length: by
    :math:`\alpha` times the share of variance that it is of the rows, plus :math:`1 -
    \alpha` times that of the coded targets. Latents that tell much of the target, and
    little of the rows, are then not small beside the others.

    Attributes
    ----------
    classes : ndarray or None
        The labels, where the target is classes.
    mixing : float
        The weight of the rows.
    """

    classes: NDArray[Any] | None
    mixing: float

    def gram(self, model: LatentModel, moments: Moments, data: Rows) -> Tensor:
        """Return what steps along inner latents do to rows and targets."""
        of_rows = super().gram(model, moments, data)
        if self.mixing == 1 or moments.squares == 0:  # or rows that are all equal
            return of_rows
        of_targets = _gram_of_targets(model, data)
        per_row = moments.squares / moments.n
        return self.mixing / per_row * of_rows + (1 - self.mixing) * of_targets

    def squared_step_lengths(
        self, model: LatentModel, moments: Moments
    ) -> Tensor | None:
        """Return by how much a step along each latent moves the reconstruction."""
        if self.mixing == 1:
            return None
        probe = moments.probe()
        gram = decoder_gram(model.decoder, probe, model.derivative_step)
        steps: Tensor = model.frame.inverse
        return ((steps @ gram) * steps).sum(dim=1)

    def attributes(self, model: LatentModel, fitted: Any) -> dict[str, Any]:
        """Return the classes and the weight of the rows as well."""
        return {
            **super().attributes(model, fitted),
            "classes_": self.classes,
            "mixing_": self.mixing,
        }


def _gram_of_targets(model: LatentModel, data: Rows) -> Tensor:
    """Return what steps along latents do to targets that are regressed on them.

    Of the coded targets, as a share of their variance.
    """
    assert data.targets is not None
    labelled = data[np.flatnonzero(data.targets.labelled()[data.where()])]
    some = labelled.subsample(MAX_ROWS_OF_GRAM)
    u = _latents(model, some)
    known = np.nan_to_num(data.targets.codes)  # their mean is 0
    # Of all rows: some of them may have but one class.
    squares = np.square(known[labelled.where()])
    if labelled.weights is not None:
        squares *= labelled.weights[:, None]
    total = squares.sum() / labelled.total_weight
    codes = known[some.where()]
    left = [z - means_of(z, some.weights) for z in (u, codes)]
    if some.weights is not None:
        left = [z * np.sqrt(some.weights)[:, None] for z in left]
    weight = np.linalg.lstsq(left[0], left[1])[0]
    return torch.from_numpy(weight @ weight.T / (total or 1.0))
