"""Rows with the noise of a denoising autoencoder."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import runtime
from ..problems import corruption_of
from ..rows import rows_of


def corrupted(encoder: Any, X: NDArray[Any], seed: int) -> NDArray[Any]:
    """Return rows with the noise that a denoising autoencoder is trained with.

    Parameters
    ----------
    encoder : DenoisingAutoencoder
        A fitted one.
    X : ndarray of shape (n_samples, n_features)
        Rows as it sees them; the noise has their spread and range.
    seed : int
        Fixes it.
    """
    known = encoder.net_.module_.scaling.varying_features().numpy()
    rows = rows_of(X, known=known)
    corruption = corruption_of(encoder.noise, encoder.noise_level, rows)
    generator = torch.Generator().manual_seed(seed)
    foreign = callable(encoder.noise)
    device = torch.device("cpu")
    with runtime.fitting(seed, device, uses_global_generator=foreign), torch.no_grad():
        clean, scaling = rows.tensor(), rows.scale.module()
        noisy = corruption(clean, generator)
        changed = scaling.widen((noisy != clean).double()).numpy() > 0
        found = scaling.to_units(noisy.double()).numpy()
    return np.where(changed, found, X).astype(X.dtype)
