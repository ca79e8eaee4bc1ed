"""The autoencoder."""

from collections.abc import Sequence
from typing import Any

from ._base import BaseLatentEncoder
from ._docs import documented
from .plan import Network, Plan
from .problems import Problem, reconstruction_problem
from .rows import Rows


@documented
class Autoencoder(BaseLatentEncoder):
    r"""Autoencoder that starts as PCA and keeps only what improves on it.

    Encoder and decoder are each a linear map plus a network,

    .. math:: z = W_e x + b_e + f(x), \qquad \hat x = W_d z + b_d + g(z).

    The linear maps are those of PCA, in closed form, and stay; `f` and `g` start at
    zero and are trained to reconstruct `x` with the least squared error. Rows held out
    of the training choose the state that is kept, and PCA is among those to choose
    from. Read more in the :doc:`user guide </user_guide>`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of latents. None is ``min(n_samples, n_features)``, as in PCA. It may
        exceed the number of features. A float in (0, 1) is the smallest number that
        explains this share of the variance of held-out rows (of the training rows where
        none are held out); the latents are then ordered.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : What this starts from.

    References
    ----------
    .. [1] P. Baldi and K. Hornik (1989). Neural networks and principal component
       analysis: learning from examples without local minima. Neural Networks 2.
    .. [2] L. Smith and N. Topin (2018). Super-convergence: very fast training of neural
       networks using large learning rates. arXiv 1708.07120.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from sklatent import Autoencoder
    >>> X_train, X_test = train_test_split(load_digits().data, random_state=0)
    >>> ae = Autoencoder(n_components=8, random_state=0).fit(X_train)
    >>> ae.transform(X_test).shape
    (450, 8)
    >>> pca = Autoencoder(n_components=8, hidden_layer_sizes=()).fit(X_train)
    >>> bool(ae.score(X_test) > pca.score(X_test) + 0.15)
    True

    One fit for all sizes:

    >>> ordered = Autoencoder(16, ordered=True, random_state=0).fit(X_train)
    >>> ordered.truncate(4).transform(X_test).shape
    (450, 4)
    >>> ordered.inverse_transform(ordered.transform(X_test)[:, :4]).shape
    (450, 64)
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
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

    def _problem(self, data: Rows, plan: Plan) -> Problem:
        return reconstruction_problem(data, plan)
