"""The autoencoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._assembly import Network
from ._base import BaseLatentEncoder
from ._linear_start import LinearStart, pca_start
from ._training import Objective, share
from .nn import SquaredError


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
    n_components : int or None, default=None
        Number of latents. None is ``min(n_samples, n_features)``, as in PCA. It may
        exceed the number of features.
    hidden_layer_sizes : array-like of int, default=(256, 256)
        Widths of the encoder's hidden layers; the decoder has them in reverse.
        ``()`` is a linear model, which with ``init='pca'`` is PCA.
    activation : str, default='silu'
        Activation of the hidden layers: 'silu', 'gelu', 'relu', 'tanh', 'logistic' or
        'identity'.
    init : {'pca', 'random'}, default='pca'
        'pca' is as described; 'random' is the two networks without the linear maps,
        from a random start.
    whiten : bool, default=False
        Whether the latents have unit variance over the training rows, as in PCA.
    encoder, decoder : nn.Module, callable or None, default=None
        A network in place of `f` or `g`: a module, of which `fit` trains a copy, or a
        callable ``(n_features, n_components) -> nn.Module``. The encoder maps
        (n, n_features) to (n, n_components), the decoder back. Its rows are centred
        and on one global scale. With ``init='pca'`` a gain that starts at zero is put
        behind it. float64 data wants float64 to pass through it.
    learning_rate : float, default=0.003
        The largest learning rate of AdamW; it rises over 30% of the steps and falls
        to zero over the others (one cycle).
    weight_decay : float, default=1.0
        Decoupled weight decay of AdamW on the networks. It pulls towards PCA.
    batch_size : int or 'auto', default='auto'
        Rows in a batch. 'auto' is a sixteenth of the rows, within 32 and 512.
    max_iter : int or 'auto', default='auto'
        Epochs of the learning rate's cycle. 'auto' makes about 4000 steps, but 20
        epochs at least and 100 at most.
    early_stopping : bool or 'auto', default='auto'
        True holds `validation_fraction` of the rows out, stops when they gain no
        more, and keeps their best state. 'auto' does the same from 800 rows on; below,
        cross-validation over five folds chooses the number of epochs (none, perhaps),
        and all rows are trained on for as many. Either way PCA stays unless the gain
        exceeds 1.645 standard errors. False trains on all rows for `max_iter` epochs,
        and keeps the last state.
    validation_fraction : float, default=0.1
        Share of the rows that is held out.
    n_iter_no_change : int, default=20
        Epochs without a gain on the held-out rows after which training stops.
    tol : float, default=0.001
        What counts as a gain: a fall of the held-out squared error by this share.
    warm_start : bool, default=False
        Whether `fit` continues from the fitted model: its networks, `mean_` and scale.
        Its structure must be the same. The start that is compared with is then that
        model, which has seen the rows: validation scores are optimistic.
    random_state : int, RandomState instance or None, default=None
        Fixes every bit of the result on one machine and number of threads. None is a
        fresh seed; NumPy's global generator is not used.
    verbose : int, default=0
        1 shows a progress bar, with training and validation score.
    device : str, default='auto'
        Where to compute: 'auto' (CUDA where there is one, else the CPU) or a name of
        PyTorch's, such as 'cpu', 'cuda', 'cuda:1' or 'mps'. A fitted model is kept on
        the CPU, loads without the device, and then uses the CPU.
    callbacks : list of skorch callbacks or None, default=None
        Called while the model that is kept trains. They are copied. One that raises
        KeyboardInterrupt, as skorch's ``EarlyStopping`` does, ends the training. Those
        that read ``valid_loss`` want rows held out of that training, below 800 rows
        ``early_stopping=True``. A scheduler of the learning rate has no effect.

    Attributes
    ----------
    n_components_ : int
        Number of latents.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where `X` has names that are all strings.
    n_iter_ : int
        Epochs run; 1 where nothing had to be trained.
    best_iteration_ : int
        The epoch that was kept; 0 is PCA.
    loss_curve_ : list of float
        Share of variance that the training rows left unexplained in each epoch (in
        cross-validation the folds' mean).
    validation_scores_ : ndarray of shape (n_epochs + 1,) or None
        Share of variance explained of the held-out rows, before training and after
        each epoch; None if no rows were held out.
    best_validation_score_ : float or None
        That of the state that was kept.
    net_ : skorch.NeuralNet
        The trained net. It works on rows that are centred and scaled.

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
    """

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
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            init=init,
            whiten=whiten,
            encoder=encoder,
            decoder=decoder,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_iter=max_iter,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            device=device,
            callbacks=callbacks,
        )

    def _linear_start(self, rows: NDArray[np.float64], seed: int) -> LinearStart:
        return pca_start(rows, self.n_components_, seed)

    def _objective(self, rows: NDArray[np.float64]) -> Objective:  # noqa: ARG002
        return Objective(SquaredError(), share)
