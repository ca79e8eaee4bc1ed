"""The autoencoder."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ._base import BaseLatentEncoder
from ._linear_start import LinearStart, pca_start
from .nn import SquaredError

Network = nn.Module | Callable[[int, int], nn.Module] | None


class Autoencoder(BaseLatentEncoder):
    def __init__(
        self,
        n_components: int | None = None,
        *,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        activation: str = "silu",
        init: str = "pca",
        whiten: bool = False,
        encoder: Network = None,
        decoder: Network = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 1.0,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float = 1e-3,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        device: str = "auto",
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.whiten = whiten
        self.encoder = encoder
        self.decoder = decoder
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.callbacks = callbacks

    def _linear_start(self, rows: NDArray[np.float64], seed: int) -> LinearStart:
        return pca_start(rows, self.n_components_, seed)

    def _criterion(self) -> nn.Module:
        return SquaredError()
