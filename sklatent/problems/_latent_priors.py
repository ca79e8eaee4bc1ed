"""What latents are drawn from: distributions that follow those of the rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor

from ..nn import systematic
from ..rows import Array, Rows, is_typical, squared_norms
from ..starts import AggregatedPosterior, LatentPrior, feature_quantiles, fit_mixture

#: Rows to whose latents a mixture is fitted, about; more take longer than they tell.
MAX_ROWS_OF_MIXTURE = 2000
#: Rows whose posteriors are kept to draw from, about.
MAX_POSTERIORS = 10_000
#: Levels at which a feature's quantiles are known, and quantiles of all features, at
#: most; features for which there are no longer enough; the cells that are looked at.
MAX_LEVELS = 512
MAX_QUANTILES = 2**18
MAX_FEATURES = 2**14
MAX_CELLS_OF_QUANTILES = 2**22


def mixture_prior(model: Any, data: Rows, seed: int) -> LatentPrior:
    """Return a Gaussian mixture of the rows' latents, with the rows' margins."""
    typical = data.typical()
    some, n_rows = rows_by_weight(typical, MAX_ROWS_OF_MIXTURE)
    draws = posterior_draws(model, some, seed)
    return LatentPrior(fit_mixture(draws, n_rows, seed), *margins(model, typical))


def aggregated_posterior(model: Any, data: Rows) -> AggregatedPosterior:
    """Return the mean of the rows' posteriors, with the rows' margins."""
    typical = data.typical()
    some, _ = rows_by_weight(typical, MAX_POSTERIORS)
    centers, widths = typical_posteriors(model, some)
    return AggregatedPosterior(centers, widths, *margins(model, typical))


def margins(model: Any, rows: Rows) -> tuple[Array, Array, Array | None]:
    """Return mean, deviation and quantiles of each feature.

    There are no quantiles where drawn rows are not matched to them: of rows that are
    not Gaussian, that are seen as coordinates in a basis, or of very many features.
    """
    mean, deviation = rows.mean(), np.sqrt(rows.variance())
    n_features = len(rows.scale.center)
    in_basis = rows.scale.basis is not None
    if in_basis or not model.gives_scaled_rows or n_features > MAX_FEATURES:
        return mean, deviation, None
    some, _ = rows_by_weight(rows, MAX_CELLS_OF_QUANTILES // n_features)
    X: Any = some.in_units()
    n_levels = min(len(some), MAX_LEVELS, MAX_QUANTILES // n_features)
    return (
        mean,
        deviation,
        feature_quantiles(X.toarray() if issparse(X) else X, n_levels),
    )


def rows_by_weight(rows: Rows, most: int) -> tuple[Rows, int]:
    """Return at most about so many rows, each as often as its weight asks for.

    And how many distinct ones. (A mixture of scikit-learn's takes no weights.)
    """
    weights = rows.weights
    if weights is None:
        some = rows.subsample(most)
        return some, len(some)
    n = int(min(most, max(len(rows), rows.n_samples)))
    drawn = systematic(torch.from_numpy(weights), n).numpy()
    return rows[drawn], len(np.unique(drawn))


def posterior_draws(model: Any, rows: Rows, seed: int) -> NDArray[Any]:
    """Return two draws from each row's posterior, in the model's frame.

    They lie on both sides of its mean, so that over all rows their mean is exact.
    Extreme ones are left out: networks may map a row that is far off anywhere.

    Returns
    -------
    Z : ndarray of shape (n_draws, n_components)
    """
    generator, draws = torch.Generator().manual_seed(seed), []
    for mean, deviation in posteriors(model, rows):
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        step = deviation * noise
        draws += [model.frame(mean + step), model.frame(mean - step)]
    Z = torch.cat(draws).double().numpy()
    typical: NDArray[Any] = Z[is_typical(squared_norms(Z))]
    return typical


def typical_posteriors(model: Any, rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return means and deviations of the posteriors but for extreme ones, (n, k)."""
    parts = zip(*posteriors(model, rows), strict=True)
    mean, deviation = (torch.cat(part).numpy() for part in parts)
    typical = is_typical(squared_norms(mean.astype(np.float64)))
    return mean[typical], deviation[typical]


def posteriors(model: Any, rows: Rows) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield means and deviations of the rows' posteriors, block by block."""
    for block in rows.blocks():
        with torch.inference_mode():
            x = torch.from_numpy(block).to(model.dtype)
            mean, log_variance = model.posterior(x)
            yield mean, torch.exp(0.5 * log_variance)
