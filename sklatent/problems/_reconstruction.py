"""The problem of plain and denoising autoencoders: to reconstruct the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn import (
    AutoencoderModel,
    Corruption,
    ExponentialFamily,
    LatentFrame,
    LatentModel,
    Loss,
    Moments,
    ResidualMap,
    SquaredError,
    decoder_gram,
    ordered_frame,
    principal_frame,
    saved,
)
from ..plan import Plan
from ..rows import CorruptedInputs, NestedDropout, Rows
from ..starts import LinearStart, denoiser_start, pca_start
from ._held_out import ExplainedVariance, HeldOutScore
from ._networks import Networks, check_networks, limits_by_tails, share_unused
from ._problem import Problem


def reconstruction_problem(
    data: Rows,
    plan: Plan,
    *,
    corruption: Callable[[Rows], Corruption] | None = None,
    loss: Loss | None = None,
    held_out_score: Callable[..., HeldOutScore] = ExplainedVariance.of,
    reading: "ReconstructionReading | None" = None,
) -> Problem:
    """Return the problem of reconstructing rows, from corrupted copies if asked for.

    Parameters
    ----------
    data : Rows
        The training rows.
    plan : Plan
        What the parameters mean for them.
    corruption : callable or None
        Makes the noise of what the encoder is shown, for the rows given.
    loss : Loss or None
        Of scaled rows; None is the squared error.
    held_out_score : callable
        What errors of this loss say, as in `Problem`.
    reading : ReconstructionReading or None
        How the latents are read, where there is more to say of them.
    """
    check_networks(plan)

    def start(rows: Rows) -> LinearStart | None:
        if not plan.linear_start:
            return None
        if corruption is None:
            return pca_start(rows, plan.n_components, plan.seed)
        return denoiser_start(rows, plan.n_components, corruption(rows), plan.seed)

    own = plan.encoder is None and plan.decoder is None
    turns = own and plan.linear_start and plan.prefixes is None
    turns = turns and plan.augmentation is None
    noise = None if corruption is None else corruption(data)
    corrupted = () if noise is None else (CorruptedInputs(noise),)
    return Problem(
        start=start,
        module=lambda solved, rows: autoencoder(plan, solved, rows),
        loss=SquaredError() if loss is None else loss,
        inputs=(*corrupted, *nested_dropout(plan)),
        sees_cells=noise is not None and noise.sees_cells,
        held_out_score=held_out_score,
        reading=reading
        or ReconstructionReading(
            ordered=plan.prefixes is not None,
            start_is_in_frame=plan.linear_start and corruption is None,
        ),
        in_coordinates=(
            reconstruction_problem
            if turns and corruption is None and loss is None
            else None
        ),
    )


def nested_dropout(plan: Plan) -> tuple[NestedDropout, ...]:
    """Return what orders the latents, if they are ordered."""
    if plan.prefixes is None:
        return ()
    return (NestedDropout(torch.from_numpy(plan.prefixes)),)


def autoencoder(
    plan: Plan,
    start: LinearStart | None,
    rows: Rows,
    likelihood: ExponentialFamily | None = None,
) -> AutoencoderModel:
    """Return the model before training, in float64.

    Parameters
    ----------
    plan : Plan
        What it is made of.
    start : LinearStart or None
        The linear part of encoder and decoder; None for the networks alone.
    rows : Rows
        The rows, for their scale.
    likelihood : ExponentialFamily or None, default=None
        Whose natural parameters the decoder is to give; None is scaled rows.
    """
    scaling = rows.scale.module()
    # With a map of its own the encoder leaves the start's directions at once, which
    # gains where rows are many. Of likelihoods single far rows then lose too much.
    skips = plan.skips and start is not None and likelihood is None
    networks = Networks(plan, zero=start is not None, skips=skips)
    if start is None:
        ones = torch.ones(plan.n_components, dtype=torch.float64)
        encoder = ResidualMap(None, None, networks.encoder())
        in_units = plan.decoder is not None and likelihood is None
        units = rows.scale.module() if in_units else None
        decoder = networks.decoder(units=units)
        frame = LatentFrame.scaling(ones)
        return AutoencoderModel(encoder, decoder, frame, scaling, likelihood).double()
    tensor = torch.from_numpy
    scale = tensor(start.latent_scale)
    # A step of the encoder's network moves the reconstruction by about as much as a
    # step of the decoder's: by what the linear model leaves.
    residual = _residual(plan, start)
    left = residual(0, None) * plan.n_features**0.5
    within = limits_by_tails(rows)
    if likelihood is not None:
        within = (likelihood.features(within[0]), likelihood.features(within[1]))
    encoder = ResidualMap(
        tensor(start.encoder_weight),
        tensor(start.encoder_bias),
        networks.encoder(),
        (left / scale).clamp(max=1.0),
        within=within,
    )
    linear = tensor(start.decoder_weight), tensor(start.decoder_bias)
    decoder = networks.decoder(linear, lambda *sizes: (residual(*sizes), None))
    if isinstance(decoder, ResidualMap) and likelihood is None:
        # The range of latents is not known yet.
        decoder.high = torch.full((plan.n_components,), torch.inf)
        decoder.low = -decoder.high
        decoder.outer = linear[0].clone()
    frame = LatentFrame.scaling(rows.scale.scale * scale)
    return AutoencoderModel(encoder, decoder, frame, scaling, likelihood).double()


def _residual(plan: Plan, start: LinearStart) -> Callable[..., float]:
    """Return what the start leaves of an entry, root mean square, by latents in use."""
    variance = np.square(start.decoder_weight).sum(axis=1) / plan.n_features

    def residual(low: int, high: int | None) -> float:
        return float(
            np.sqrt(start.residual**2 + variance @ share_unused(plan, low, high))
        )

    return residual


@saved
@dataclass(frozen=True)
class ReconstructionReading:
    """Latents that read like PCA's.

    Attributes
    ----------
    ordered : bool
        Whether the first j latents must stay functions of the first j inner ones.
    start_is_in_frame : bool
        Whether the latents of an untrained model read like PCA's as they are.
    """

    ordered: bool
    start_is_in_frame: bool

    def frame(self, model: LatentModel, moments: Moments, data: Rows) -> LatentFrame:
        """Return the frame in which they are uncorrelated and on PCA's scale."""
        make = ordered_frame if self.ordered else principal_frame
        gram = self.gram(model, moments, data)
        return make(moments, gram, float(model.scaling.scale))

    def gram(self, model: LatentModel, moments: Moments, data: Rows) -> Tensor:  # noqa: ARG002
        """Return what steps along inner latents do, as `decoder_gram` has it."""
        n_used = len(model.frame.mean)
        return decoder_gram(
            lambda u: model.to_scaled(model.expected(u, n_used)),
            moments.probe(),
            model.derivative_step,
        )

    def squared_step_lengths(
        self,
        model: LatentModel,  # noqa: ARG002
        moments: Moments,  # noqa: ARG002
    ) -> Tensor | None:
        """Return None: the frame gives all steps one length."""
        return None

    def attributes(self, model: LatentModel, fitted: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the variance in the directions that have no latent, as in PCA."""
        return {"noise_variance_": fitted.left_out_variance}

    def latent_prior(self, model: LatentModel, data: Rows) -> None:
        """Return None: rows are not drawn from such a model."""
