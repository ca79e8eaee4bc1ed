"""The denoising autoencoder."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ._base import BaseLatentEncoder
from ._docs import documented
from .plan import Network, Plan
from .problems import (
    NOISES,
    Problem,
    corruption_of,
    reconstruction_problem,
)
from .rows import Rows


@documented
class DenoisingAutoencoder(BaseLatentEncoder):
    r"""Autoencoder that is trained to remove noise, from the best linear denoiser on.

    Training shows it corrupted rows and asks for the clean ones, so that it learns what
    rows are like and not just to copy them:

    .. math:: \min\; \mathrm{E}\, \| x - \hat x(\tilde x) \|^2, \qquad
       \tilde x \sim \mathrm{noise}(x).

    It starts as the linear map of rank `n_components` that solves this in closed form.
    Noise is drawn afresh for every batch, in training only: `transform` takes rows as
    they come, and ``reconstruct(X_noisy)`` is the denoised ``X``. Its latents are more
    robust features than those of `Autoencoder`, and may outnumber the features of `X`.
    Read more in the :ref:`user guide <denoising>`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of latents. None is ``min(n_samples, n_features)``. It may exceed the
        number of features. A float in (0, 1) is the smallest number that explains this
        share of the variance of held-out rows (of the training rows where none are held
        out); the latents are then ordered.
    noise : str or callable, default='gaussian'
        'gaussian' adds normal noise; 'masking' makes cells 0, in the units of `X`;
        'salt_and_pepper' gives cells their feature's smallest or largest value; 'swap'
        gives them the value that another row of the batch has there. A callable maps a
        float32 tensor of rows, in the units of `X`, to one of the same shape; what it
        draws from PyTorch's global generator is fixed by `random_state`.
    noise_level : float, default=0.5
        For 'gaussian' the noise's standard deviation, as a share of each feature's own;
        for a callable of no effect; otherwise the share of cells, at most 1.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    Autoencoder : The same without noise.

    References
    ----------
    .. [1] P. Vincent et al. (2010). Stacked denoising autoencoders. Journal of Machine
       Learning Research 11.
    .. [2] A. J. Izenman (1975). Reduced-rank regression for the multivariate linear
       model. Journal of Multivariate Analysis 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import DenoisingAutoencoder
    >>> X = load_digits().data
    >>> black = np.random.default_rng(0).uniform(size=X.shape) < 0.3
    >>> X_noisy = np.where(black, 0, X)
    >>> dae = DenoisingAutoencoder(
    ...     32, noise="masking", noise_level=0.3, random_state=0
    ... ).fit(X[:1200])
    >>> left = np.square(X - dae.reconstruct(X_noisy))[1200:].mean()
    >>> bool(left < 0.3 * np.square(X - X_noisy)[1200:].mean())
    True
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        noise: str | Callable[[Tensor], Tensor] = "gaussian",
        noise_level: float = 0.5,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        activation: str = "silu",
        init: str = "pca",
        whiten: bool = False,
        ordered: bool | Sequence[int] = False,
        encoder: Network = None,
        decoder: Network = None,
        learning_rate: float | str = "auto",
        weight_decay: float = 1.0,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        cv: Any = None,
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
        self.ordered = ordered
        self.encoder = encoder
        self.decoder = decoder
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.callbacks = callbacks
        self.noise = noise
        self.noise_level = noise_level

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLatentEncoder._parameter_constraints,
        "noise": [StrOptions(set(NOISES)), callable],
        "noise_level": [Interval(Real, 0, None, closed="left")],
    }

    def _problem(self, data: Rows, plan: Plan) -> Problem:
        return reconstruction_problem(
            data,
            plan,
            corruption=lambda rows: corruption_of(self.noise, self.noise_level, rows),
        )
