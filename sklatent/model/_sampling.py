"""New rows, drawn from a variational model."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..starts import FittedPrior, feature_quantiles
from ._inference import Inference

#: Rows drawn to tell their means and deviations, and numbers in them, at most.
N_DRAWS = 2**14
MAX_DRAWN = 2**22
#: How far these may be off, as a share of the training rows' deviations.
TOLERANCE = 0.07


def draw_matched_rows(
    inference: Inference,
    prior: FittedPrior | None,
    Z: NDArray[Any],
    seed: int | None,
) -> NDArray[Any]:
    """Draw rows given latents; without a seed they are the likelihood's means.

    Where a prior was fitted, Gaussian rows are matched to the training rows, unless
    they were seen as coordinates in a basis.
    """
    X, model = draw_rows(inference, Z, seed), inference.model
    if prior is None or model.scaling.basis is not None or not model.gives_scaled_rows:
        return X
    if seed is None or prior.quantiles is None:  # as of a model of an earlier version
        return match_moments(inference, prior, X)
    return match_quantiles(inference, prior, X)


def draw_latents(
    inference: Inference,
    prior: FittedPrior | None,
    n: int,
    random: np.random.RandomState,
) -> NDArray[Any]:
    """Draw latents, in the frame of `transform`, from what was fitted or N(0, I)."""
    if prior is None:
        u = random.standard_normal((n, len(inference.model.frame.mean)))
    else:
        u = prior.draw(n, random)
        if prior.in_frame:
            return u
    own = np.float32 if inference.model.dtype == torch.float32 else np.float64
    return inference.map_rows(u.astype(own), lambda model, u: model.frame(u))


def draw_rows(inference: Inference, Z: NDArray[Any], seed: int | None) -> NDArray[Any]:
    """Draw rows given latents; without a seed they are the likelihood's means."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return inference.map_rows(Z, lambda model, z: model.sample(z, generator))


def match_quantiles(
    inference: Inference, prior: FittedPrior, X: NDArray[Any]
) -> NDArray[Any]:
    """Return drawn rows, each feature distributed as in the training rows.

    Its quantiles, as many draws tell them, are mapped to those of the training rows.
    The order of a feature's values stays, and with it the dependence between features,
    which is their copula (Sklar 1959).
    """
    known = prior.quantiles
    assert known is not None
    drawn = feature_quantiles(many_draws(inference, prior), len(known))
    matched = X.copy()
    for j in np.flatnonzero(~np.isnan(known[0])):
        matched[:, j] = np.interp(X[:, j], drawn[:, j], known[:, j])
    return matched


class Margins(NamedTuple):
    """Mean and deviation of each feature, scaled; each of shape (n_features,)."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def match_moments(
    inference: Inference, prior: FittedPrior, X: NDArray[Any]
) -> NDArray[Any]:
    """Return drawn rows, features that are unlike the training rows' moved and scaled.

    That is where the mean or the deviation is off by more than `TOLERANCE`, as many
    draws tell: where features have long tails, or training has not come to its end. Of
    other features the dependence on each other is left as the model has it.
    """
    scaling = inference.model.scaling
    centre, unit = scaling.mean.double().numpy(), float(scaling.scale)
    known = Margins(
        *(
            scaling.widen(torch.from_numpy(values)).numpy()
            for values in (prior.mean, prior.deviation)
        )
    )
    drawn = margins_of_draws(inference, prior)
    # A feature that is constant has no deviation to go by.
    alive = np.minimum(drawn.deviation, known.deviation) > 1e-9 * known.deviation.max()
    off = alive & are_off(drawn, known)
    ratio = known.deviation[off] / drawn.deviation[off]
    scaled = (X[:, off] - centre[off]) / unit - drawn.mean[off]
    matched = X.copy()
    matched[:, off] = (scaled * ratio + known.mean[off]) * unit + centre[off]
    return matched


def margins_of_draws(inference: Inference, prior: FittedPrior) -> Margins:
    """Return those of many drawn rows."""
    scaling = inference.model.scaling
    centre, unit = scaling.mean.double().numpy(), float(scaling.scale)
    drawn = (many_draws(inference, prior) - centre) / unit
    return Margins(drawn.mean(axis=0), drawn.std(axis=0))


def many_draws(inference: Inference, prior: FittedPrior) -> NDArray[Any]:
    """Return drawn rows that tell how features are distributed, always the same."""
    n = min(N_DRAWS, MAX_DRAWN // len(inference.model.scaling.mean))
    Z = draw_latents(inference, prior, n, np.random.RandomState(0))
    return draw_rows(inference, Z, 0)


def are_off(drawn: Margins, known: Margins) -> NDArray[np.bool_]:
    """Return which features of drawn rows are unlike what is known of them."""
    deviation = np.abs(known.deviation - drawn.deviation) > TOLERANCE * drawn.deviation
    mean = np.abs(drawn.mean - known.mean) > TOLERANCE * known.deviation
    return np.asarray(deviation | mean)
