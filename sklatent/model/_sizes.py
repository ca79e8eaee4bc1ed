"""What ordered latents explain, by how many are used."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from ..nn import LatentModel
from ..rows import Array, Indices, Rows


def explained_by_size(
    judged: Sequence[tuple[LatentModel, Indices]], data: Rows, k: int
) -> Array:
    """Return what each further latent explains of the rows that each model judges.

    Parameters
    ----------
    judged : sequence of (LatentModel, indices)
        Models, and the rows to look at with each.
    data : Rows
        All training rows.
    k : int
        Up to how many latents.

    Returns
    -------
    shares : ndarray of shape (k,)
        Their sum is what all explain.
    """
    left, total = np.zeros(k), 0.0
    for model, held_out in judged:
        step = -(-len(held_out) * len(model.frame.mean) // 2**19)
        some = data[held_out[::step]]
        x, known, unseen = some.dense(), some.known(), some.unseen()
        root = np.ones(1) if some.weights is None else np.sqrt(some.weights)[:, None]
        root = root if known is None else root * known
        total += float(np.square(root * x).sum()) + unseen
        model.cpu().eval()
        with torch.inference_mode():
            u = model.latents(torch.from_numpy(x).to(model.dtype))
            for j in range(k):
                rows = model.to_scaled(model.expected(u, j + 1).double())
                left[j] += np.square(root * (rows.numpy() - x)).sum() + unseen
    explained = 1 - left / total if total else np.zeros(k)
    gains: Array = np.diff(explained, prepend=0.0)
    return gains


def smallest_size(shares: Array, share: float) -> int:
    """Return the smallest number of latents that explains more of the variance.

    Parameters
    ----------
    shares : ndarray of shape (k,)
        What each further latent explains.
    share : float
        The share to exceed, as in PCA.
    """
    explained = np.cumsum(shares, dtype=np.float64)
    # Not by rounding: PCA compares sums of its own, we those of squared errors.
    reached = np.flatnonzero(explained - share > 1e-12)
    if len(reached):
        return int(reached[0]) + 1
    best = int(explained.argmax()) + 1
    warnings.warn(
        f"n_components={share}, but {best} latents, which explain most of the rows "
        f"held out, explain {explained[best - 1]:.3f} of them; these are kept.",
        ConvergenceWarning,
        stacklevel=2,
    )
    return best
