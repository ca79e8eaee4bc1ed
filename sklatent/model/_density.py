"""What a variational model says of the distribution of rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, qmc
from torch import Tensor

from ..starts import FittedPrior
from ._inference import Inference

#: Rows drawn to tell their means and deviations, and numbers in them, at most.
N_DRAWS = 2**14
MAX_DRAWN = 2**22
#: Words of all draws of a row, about, by which its likelihood is bounded.
MAX_WORDS_DRAWN = 2**17
#: How far these may be off, as a share of the training rows' deviations.
TOLERANCE = 0.07


def normal_draws(n: int, k: int) -> NDArray[np.float64]:
    """Return n fixed quasi-random numbers from N(0, I), shape (n, k).

    They are Sobol's, shifted so that none is at an edge (Cranley & Patterson 1976).
    """
    points = qmc.Sobol(k, scramble=False).random_base2(max(0, int(n - 1).bit_length()))
    shift = np.random.RandomState(0).uniform(size=k)
    uniform = ((points[:n] + shift) % 1.0).clip(1e-12, 1 - 1e-12)
    return np.asarray(norm.ppf(uniform))


def covariance(inference: Inference) -> NDArray[np.float64]:
    """Return the covariance of the features, in squared units of the data.

    It is that of the decoder's means over the prior N(0, I), by quasi-random numbers,
    plus the variance around them. What is linear in the latents is integrated exactly.
    """
    k = inference.model.n_components
    u = normal_draws(max(4096, 4 * k), k)
    with inference.running(np.dtype(np.float64), len(u)) as (model, device):
        inner = np.zeros((len(u), len(model.frame.mean)))
        inner[:, :k] = u
        location = model.decoder(torch.from_numpy(inner).to(device))
        means = model.likelihood.mean(location).cpu().numpy()
        around = model.likelihood.variance(location, model.noise()).mean(dim=0)
    design = np.column_stack([np.ones(len(u)), u])
    loadings = np.linalg.lstsq(design, means)[0]
    rest = means - design @ loadings
    result = loadings[1:].T @ loadings[1:] + rest.T @ rest / len(u)
    result += np.diag(around.cpu().numpy())
    result = _over_all_features(result, inference.model)
    unit = inference.model.unit
    with np.errstate(over="ignore", under="ignore"):
        scaled: NDArray[np.float64] = result * unit * unit
    return scaled


def _over_all_features(covariance: NDArray[Any], model: Any) -> NDArray[Any]:
    """Return the covariance of all features, given that of what the model sees."""
    half = model.widen(torch.from_numpy(covariance)).mT
    wide: NDArray[Any] = model.widen(half).numpy()
    if model.unseen is not None:
        basis = model.scaling.basis.numpy()
        outside = np.eye(len(wide)) - basis @ basis.T
        wide += float(model.unseen) * outside
    return wide


def log_likelihood_bound(
    inference: Inference, X: NDArray[Any], n_draws: int
) -> NDArray[Any]:
    """Return a lower bound of each row's log-likelihood, in nats."""
    if inference.model.sees_cells:
        n_features = len(inference.model.scaling.mean)
        n_draws = max(1, min(n_draws, MAX_WORDS_DRAWN // n_features))
    draws = torch.from_numpy(normal_draws(n_draws, inference.model.n_components))

    def bound(model: Any, x: Tensor) -> Tensor:
        filled = model.to_filled(x)
        words = model.likelihood.words(x) if model.sees_cells else None
        mask = None
        if model.filling is not None and x.isnan().any():
            mask = (~model.scaling.to_scaled(x).isnan()).to(x)
        found = model.log_likelihood(filled, draws.to(filled), words, mask)
        if mask is not None and model.gives_scaled_rows:
            found -= model.scaling.log_volumes(x.isnan()).to(found)
        return torch.as_tensor(found.add_(model.log_density_unseen(x)))

    return inference.map_rows(X, bound, width=n_draws)


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


def match_training_rows(
    inference: Inference, prior: FittedPrior, X: NDArray[Any]
) -> NDArray[Any]:
    """Return drawn rows, features that are unlike the training rows' moved and scaled.

    That is where the mean or the deviation is off by more than `TOLERANCE`, as many
    draws tell: where features have long tails, or training has not come to its end. Of
    other features the dependence on each other is left as the model has it.
    """
    scaling = inference.model.scaling
    centre, unit = scaling.mean.double().numpy(), float(scaling.scale)
    n_draws = min(N_DRAWS, MAX_DRAWN // len(centre))
    Z = draw_latents(inference, prior, n_draws, np.random.RandomState(0))
    drawn = (draw_rows(inference, Z, 0) - centre) / unit
    mean, deviation = drawn.mean(axis=0), drawn.std(axis=0)
    known_mean, known = (
        scaling.widen(torch.from_numpy(values)).numpy()
        for values in (prior.mean, prior.deviation)
    )
    # A feature that is constant has no deviation to go by.
    alive = np.minimum(deviation, known) > 1e-9 * known.max()
    ratio = np.divide(known, deviation, where=alive, out=np.ones(len(mean)))
    off = np.abs(ratio - 1) > TOLERANCE
    off |= np.abs(mean - known_mean) > TOLERANCE * known
    off &= alive
    scaled = (X[:, off] - centre[off]) / unit - mean[off]
    matched = X.copy()
    matched[:, off] = (scaled * ratio[off] + known_mean[off]) * unit + centre[off]
    return matched
