"""What code that was written for PCA reads of a fitted model."""

import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nn import LatentFrame, LatentModel, Moments, saved
from ..plan import Plan
from ..problems import Reading
from ..rows import Rows, least_divisor
from ..starts import FittedPrior, SeenRows, TargetMap
from ..training import Trained
from ._earlier import EarlierLatents
from ._inference import widest_layer
from ._sizes import explained_by_size, smallest_size

#: Latents of the training rows that are kept, as a number of floats.
MAX_KEPT = 2**18
#: Multiplications that one pass for `components_` may take: some seconds.
MAX_MULTIPLICATIONS = 2**35


@saved
@dataclass(frozen=True)
class Summary:
    """The numbers that describe a fitted model over its training rows.

    Attributes
    ----------
    n_samples : int
        Number of rows.
    n_features : int
        Number of features.
    unit : float
        By what the rows are scaled.
    total_variance : float
        Of all features, scaled.
    share : float
        Of it, what all latents explain.
    deviations : ndarray of shape (n_components,)
        Standard deviation of each latent, before whitening, in units of the data.
    shares : ndarray of shape (n_components,)
        What each latent explains.
    whitened_by : ndarray of shape (n_components,)
        By what whitening divides: 1 without it.
    codes : ndarray of shape (n_rows, n_components)
        Latents of evenly spaced training rows, whitened.
    code_weights : ndarray of shape (n_rows,) or None
        Of these rows, where they have some.
    information : ndarray of shape (n_components,)
        Mean nats that each latent says of a row, where that is known.
    ordered : bool
        Whether the first few latents are a model of their own.
    reading : Reading
        What else is to be known.
    latent_prior : FittedPrior or None
        The distribution of the latents, where it is modelled.
    seen : SeenRows or None
        From which `partial_fit` goes on; None where it cannot.
    drift : float
        The share of the earlier latents' variance that these miss.
    """

    n_samples: int
    n_features: int
    unit: float
    total_variance: float
    share: float
    deviations: NDArray[np.float64]
    shares: NDArray[np.float64]
    whitened_by: NDArray[np.float64]
    codes: NDArray[Any]
    code_weights: NDArray[np.float64] | None
    information: NDArray[np.float64]
    ordered: bool
    reading: Reading
    latent_prior: FittedPrior | None = None
    seen: SeenRows | None = None
    drift: float = 0.0

    def first(self, size: int) -> Self:
        """Return the summary of the first latents alone."""
        prior = self.latent_prior
        return replace(
            self,
            latent_prior=None if prior is None else prior.first(size),
            share=float(self.shares[:size].sum()),
            deviations=self.deviations[:size],
            shares=self.shares[:size],
            whitened_by=self.whitened_by[:size],
            codes=np.ascontiguousarray(self.codes[:, :size]),
            information=self.information[:size],
            seen=None,
        )

    def split_by(self, squared_lengths: Tensor | None) -> Self:
        """Split what is explained among the latents, by variances and step lengths."""
        weights = self.shares
        if squared_lengths is not None:
            weights = weights * squared_lengths.numpy()
        total, share = weights.sum(), max(self.share, 0.0)
        split = weights / total * share if total > 0 else np.zeros_like(weights)
        return replace(self, shares=split)

    def with_shares(self, shares: NDArray[np.float64]) -> Self:
        """Return the summary with other shares of the latents, and their sum."""
        return replace(self, shares=shares, share=float(shares.sum()))

    @property
    def left_out_variance(self) -> float:
        """Mean variance in the directions that have no latent, as PCA has it."""
        directions = min(self.n_samples, self.n_features) - len(self.shares)
        left = max(1 - self.share, 0.0) * self.total_variance / max(directions, 1)
        with np.errstate(over="ignore", under="ignore"):
            variance = np.multiply(left * self.unit, self.unit)
        return float(variance) if directions > 0 else 0.0

    def attributes(self, model: LatentModel) -> dict[str, Any]:
        """Return the attributes of the estimator, by name."""
        dtype = self.codes.dtype
        std = self.deviations
        with np.errstate(over="ignore", under="ignore"):
            variance = np.square(std).astype(dtype)
            singular_values = (std * np.sqrt(self.n_samples - 1)).astype(dtype)
        return {
            "n_components_": len(std),
            "n_samples_": self.n_samples,
            "n_samples_seen_": self.n_samples,
            "latent_drift_": self.drift,
            "explained_variance_": variance,
            "explained_variance_ratio_": self.shares.astype(dtype),
            "singular_values_": singular_values,
            **self.reading.attributes(model, self),
        }


def summarise(
    trained: Trained, data: Rows, plan: Plan, earlier: EarlierLatents | None = None
) -> Summary:
    """Look at all training rows once, and set the frame of the model's latents.

    Parameters
    ----------
    trained : Trained
        The model, and what it was trained for. Its frame is set, and where a share of
        variance is asked for, the latents that are not needed are dropped.
    data : Rows
        The training rows.
    plan : Plan
        The plan of the fit.
    earlier : EarlierLatents or None
        Those that the latents are to stay near to; None where there are none.
    """
    model, reading = trained.model, trained.problem.reading
    exact = model if model.dtype == torch.float64 else copy.deepcopy(model).double()
    untouched = trained.best_iteration == 0
    # What training rounded to float32 need not be looked at with more.
    moments = _moments(exact if untouched else model, data)
    keep = untouched and (reading.start_is_in_frame or not plan.n_components)
    frame = exact.frame if keep else reading.frame(exact, moments, data)
    exact.frame = frame = frame.first(plan.n_components)
    drift = 0.0
    if earlier is not None:
        exact.frame = frame = earlier.near(exact, turns=not plan.linear)
        drift = earlier.missed_by(exact)
    lengths = reading.squared_step_lengths(exact, moments) if len(frame.mean) else None
    summary = _read(moments, frame, data, plan, reading)
    summary = summary.split_by(lengths)
    model.frame = _whitened(frame, summary).to(model.dtype)
    summary = replace(
        summary,
        latent_prior=reading.latent_prior(model, data),
        seen=None if earlier is not None else _seen(moments, summary.codes, data),
        drift=drift,
    )
    if plan.prefixes is None:
        return summary
    judged = list(trained.judged()) or [(model, np.arange(len(data)))]
    summary = summary.with_shares(explained_by_size(judged, data, plan.n_components))
    if plan.share is None:
        return summary
    size = smallest_size(summary.shares, plan.share)
    model.truncate(size)
    return summary.first(size)


def _moments(model: LatentModel, data: Rows) -> Moments:
    """Look at all training rows once, with the model's precision."""
    k, n_used = len(model.frame.mean), model.n_components
    step = _every(len(data), n_used, model.decoder)
    n_kept, n_seen = -(-len(data) // step), 0
    moments = Moments(k, data.shape[1], n_kept, model.scaling.widen)
    moments.squares = moments.left = data.unseen()
    with torch.inference_mode():
        for block, weights in data.weighted_blocks(widest_layer(model)):
            x = torch.from_numpy(block)
            known = data.known(slice(n_seen, n_seen + len(block)))
            mask = None if known is None else torch.from_numpy(known).double()
            weight = None if weights is None else torch.from_numpy(weights)
            u, information = model.latents_and_information(x.to(model.dtype))
            if model.sees_cells:
                rows = torch.zeros_like(x)
            else:
                rows = model.to_scaled(model.expected(u, n_used).double())
            if information is not None:
                if weight is not None:
                    information = weight[:, None] * information
                moments.information += information.sum(dim=0)
            u = u.double()
            every = slice(-n_seen % step, None, step)
            moments.keep(u[every], None if weight is None else weight[every])
            moments.add(u, x, rows, weight, mask)
            n_seen += len(x)
    if model.sees_cells:  # rows of all words take long: what a regression explains
        moments.left -= moments.explained_by_regression()
    return moments


def _every(n_rows: int, k: int, decoder: Any) -> int:
    """Return the step between the rows whose latents `components_` is of."""
    size = n_rows * k
    work: int = size * sum(w.numel() for w in decoder.state_dict().values())
    return max(1, -(-size // MAX_KEPT), -(-work // MAX_MULTIPLICATIONS))


def _read(
    moments: Moments, frame: LatentFrame, data: Rows, plan: Plan, reading: Reading
) -> Summary:
    """Return what the moments say of latents in this frame."""
    dtype = data.scale.mean.dtype
    # The squares of very large or small numbers leave the floats.
    unit = float(np.abs(frame.matrix.numpy()).max(initial=0)) or 1.0
    matrix = frame.matrix / unit
    variance = ((matrix.mT @ moments.covariance) * matrix.mT).sum(dim=1)
    std = variance.clamp(min=0).sqrt().numpy()
    left, total = moments.left, moments.squares
    deviations = std * unit
    whitened_by = np.ones(len(std))
    if plan.whiten:
        alive = deviations > max(1e-9 * deviations.max(initial=0), least_divisor(dtype))
        whitened_by = np.where(alive, deviations, 1.0)
    # Which inner latent each one is.
    order = frame.matrix.abs().argmax(dim=0) if len(frame.mean) else slice(0)
    return Summary(
        n_samples=round(moments.n),
        n_features=len(data.scale.mean),
        unit=data.scale.scale,
        total_variance=_total(moments, data) / (moments.n - 1),
        share=1 - left / total if total > 0 else 1.0,
        deviations=deviations,
        shares=np.square(std),
        whitened_by=whitened_by,
        codes=(frame(moments.kept).numpy() / whitened_by).astype(dtype),
        code_weights=None if data.weights is None else moments.weight_kept.numpy(),
        information=(moments.information / moments.n)[order].numpy(),
        ordered=plan.prefixes is not None,
        reading=reading,
    )


def _seen(moments: Moments, codes: NDArray[Any], data: Rows) -> SeenRows | None:
    """Return what is kept of the rows, where these are features of complete rows."""
    if data.scale.basis is not None or data.is_filled:
        return None
    unit = data.scale.scale
    with np.errstate(over="ignore"):
        center = data.scale.mean.astype(np.float64) / unit
    if not np.isfinite(center).all():  # very far from zero, for how little they vary
        return None
    return SeenRows(
        round(moments.n),
        unit,
        center + moments.mean_of_rows.numpy(),
        moments.variance_of_rows.numpy(),
        moments.covariance.numpy(),
        moments.cross_covariance.numpy(),
        _target_map(codes, data),
    )


def _target_map(codes: NDArray[Any], data: Rows) -> TargetMap | None:
    """Return what the latents of evenly spaced rows say of their targets."""
    if data.targets is None:
        return None
    every = data[:: -(-len(data) // max(len(codes), 1))]
    return TargetMap.of(codes, data.targets, every.where())


def _total(moments: Moments, data: Rows) -> float:
    """Return the sum of squares of all rows, expected ones where cells are missing."""
    if data.is_filled:
        return float(data.variance().sum()) * len(data)
    return moments.squares


def _whitened(frame: LatentFrame, summary: Summary) -> LatentFrame:
    if (summary.whitened_by == 1).all():
        return copy.deepcopy(frame)
    return frame.times(torch.from_numpy(1 / summary.whitened_by))
