"""What a variational model says of the distribution of rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, qmc
from torch import Tensor

from ._inference import Inference

#: Words of all draws of a row, about, by which its likelihood is bounded.
MAX_WORDS_DRAWN = 2**17


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


def precision(covariance: NDArray[Any]) -> NDArray[Any]:
    """Return the inverse of a covariance, 0 for features without variance."""
    result = covariance.copy()
    varies = np.flatnonzero(covariance.diagonal() > 0)
    block = np.ix_(varies, varies)
    result[block] = np.linalg.inv(covariance[block])
    return result


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
