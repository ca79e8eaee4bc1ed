"""The variational autoencoder."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._base import BaseLatentEncoder
from .model import (
    Inference,
    covariance,
    draw_latents,
    draw_matched_rows,
    log_likelihood_bound,
    precision,
)
from .plan import (
    TWO_LAYERS,
    Activation,
    Augmentation,
    Auto,
    AutoRules,
    Init,
    Layers,
    Missing,
    Network,
    Plan,
    RandomState,
    with_weights,
)
from .problems import Problem, check_for_words, check_range, variational_problem
from .rows import Rows, mean_of


class VariationalAutoencoder(BaseLatentEncoder):
    r"""Variational autoencoder that starts as probabilistic PCA or factor analysis.

    A model of where rows come from: latents :math:`u \sim N(0, I)`, and rows from
    :math:`p(x|u)`, whose parameters a decoder gives. An encoder gives the posterior
    :math:`q(u|x) = N(m(x), \mathrm{diag}(s^2(x)))`, and both are trained to raise

    .. math:: \mathrm{E}_q \log p(x|u) - \beta\, \mathrm{KL}(q(u|x) \,\|\, N(0, I)),

    which for :math:`\beta = 1` is a lower bound of the log-likelihood. So it has a
    `score` in nats, as ``PCA``, ``FactorAnalysis`` and ``GaussianMixture`` have, and
    rows can be drawn from it with `sample`. At the start the bound is exactly the
    log-likelihood of the linear model. If features have different units, put a
    ``StandardScaler`` in front: without it those with large numbers rule what networks
    learn, and with one noise variance for all, as in PCA, the start too. Read more in
    the :ref:`user guide <variational>`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of latents; with 0 the model is the mean. None is ``min(n_samples,
        n_features)``. A float in (0, 1) is the smallest number that explains more than
        this share of the variance of held-out rows (of the training rows where none are
        held out); the latents are then ordered.
    likelihood : {'gaussian', 'bernoulli', 'poisson', 'multinomial'}, default='gaussian'
        Of rows given latents: 'gaussian' for any numbers, 'bernoulli' for those in
        [0, 1], 'poisson' for counts. 'multinomial' is for texts, as rows of counts or
        weights of words, such as TF-IDF: a row counts by its shares of words, the
        decoder is linear, and the encoder is shown half of the words in training
        [5]_; 'auto' is then one hidden layer of 256 and 20 epochs.
    noise_variance : {'auto', 'shared', 'feature'}, default='auto'
        Whether the Gaussian likelihood has one variance for all features (then the
        start is probabilistic PCA) or one for each (factor analysis). Both are
        trained. 'auto' takes the one whose linear model gives held-out rows the higher
        likelihood. Each feature's variance has a floor, a share of the variance of `X`
        that is chosen in the same way.
    beta : float, default=1.0
        The weight of the KL divergence.
    kl_warmup : float, default=0.0
        The share of the training steps over which that weight rises from 0.
    free_bits : float, default=0.0
        Nats for each latent, in the mean of a batch, that cost nothing.
    latent_prior : str, default='gaussian_mixture'
        What `sample` draws latents from. 'gaussian_mixture' is a ``GaussianMixture``
        fitted to draws from the posteriors of the training rows, its size chosen by
        BIC. 'aggregated_posterior' is these posteriors themselves, one after the other
        [6]_: the best for rows that other models are to be trained on. They lie around
        the training rows, and the model keeps the latents of up to about 10,000 of
        these. 'standard' is N(0, I), which latents of rows need not follow. Nothing
        else depends on it.
    n_importance_samples : int, default=64
        Draws from the posterior in `score_samples`. They are fixed quasi-random
        numbers, the same for all rows. For words there are at most ``2**17 /
        n_features``.
    hidden_layer_sizes : 'auto' or array-like of int, default='auto'
        Widths of the encoder's hidden layers; the decoder has them in reverse. 'auto'
        is (128, 128, 128) up to 7 latents and (192, 192) from there on, and (256, 256,
        256) from 100 features on (DenoisingAutoencoder: (256, 128) and (384, 256));
        below 800 rows (96, 96, 96), (128, 128) and (192, 192), and below 400 rows
        (64, 64, 64), (96, 96) and (192, 192) (VariationalAutoencoder:
        always (128, 128), and (64, 64)). ``()`` is a linear model, which with
        ``init='pca'`` is the linear start itself.
    activation : str, default='silu'
        Activation of the hidden layers: 'silu', 'gelu', 'relu', 'tanh', 'logistic' or
        'identity'.
    init : {'pca', 'random'}, default='pca'
        'pca' is as described; 'random' is the two networks without the linear maps,
        from a random start.
    whiten : bool, default=False
        Whether the latents have unit variance over the training rows, as in PCA.
    ordered : bool or array-like of int, default=False
        Whether the first j latents are to be good latents of size j, for all j, or for
        the sizes given and `n_components` (larger ones are ignored): one fit then
        serves all sizes (see `truncate`). With nearly as many latents as features, an
        ordered fit may stay a little below the linear start.
    encoder, decoder : nn.Module, callable or None, default=None
        A network in place of ours: a module, of which `fit` trains a copy, or a
        callable ``(n_features, n_components) -> nn.Module``: ``ConvEncoder`` and
        ``ConvDecoder`` of `sklatent.nn` are for images and signals. The encoder maps
        (n, n_features) to (n, n_components), the decoder back. The encoder sees rows
        that are centred and on one global scale. With ``init='pca'`` a gain that starts
        at zero is put behind each, and one that starts at 1 behind its linear map; with
        ``init='random'`` the decoder's output is rows in the units of `X` (logits or
        logarithms of rates where the likelihood is of these). They are trained in
        float32; they then compute in the dtype of the rows, or in float32 if one of
        them supports only that.
    augmentation : callable or None, default=None
        A random change that leaves rows typical, such as ``RandomShift((28, 28))`` of
        `sklatent.nn` for images: it maps a float32 tensor of rows, in the units of `X`,
        to one of the same shape. Training sees rows changed anew each time, and asks
        for the changed rows. Held-out rows stay as they are. What it draws from
        PyTorch's global generator is fixed by `random_state`.
    learning_rate : float or 'auto', default='auto'
        The largest learning rate of AdamW; it rises over 30% of the steps and falls
        to zero over the others (one cycle). 'auto' is 0.003 for batches of 32 rows and
        grows with their root, to 0.01 (VariationalAutoencoder: from 0.005); also where
        `max_iter` is less than 'auto' is. With a network of your own it is 0.01.
    weight_decay : float or 'auto', default='auto'
        Decoupled weight decay of AdamW on the networks. It pulls towards the linear
        start. 'auto' is ``12.5 * n_features / n_samples`` up to 64 features and
        ``100 * sqrt(n_features) / n_samples`` beyond, at most 1
        (DenoisingAutoencoder: ``3 * sqrt(n_features) / n_samples``;
        VariationalAutoencoder: ``3 * n_features**1.5 / n_samples``); a tenth of
        all these with `augmentation`.
    batch_size : int or 'auto', default='auto'
        Rows in a batch. 'auto' is a sixteenth of the rows (a 64th with a network of
        your own, whose steps cost by the row), but 64 at least
        (96 if latents are ordered; VariationalAutoencoder: 128)
        and 512 at most.
    max_iter : int or 'auto', default='auto'
        Epochs of the learning rate's cycle. 'auto' makes about 4000 steps, in at least
        20 and at most 100 epochs (90 if latents are ordered).
    early_stopping : bool or 'auto', default='auto'
        True holds `validation_fraction` of the rows out, stops when they gain no more,
        and keeps their best state; where the loss is a squared error and there are no
        `callbacks`, that is trained a little further on all rows. 'auto' does the same
        from 800 distinct rows (or groups) on; below, cross-validation over five folds
        chooses the number of epochs, possibly none, of a model of all rows. Either way
        the linear start stays unless the gain passes a t-test (0.1% level;
        VariationalAutoencoder: 5%). False trains on all rows for `max_iter` epochs, and
        keeps the last state.
    validation_fraction : float, default=0.1
        Share of the rows that is held out.
    cv : int, cross-validation generator or iterable, default=None
        Which rows are held out, in place of `validation_fraction` and of what 'auto'
        does: a number of folds, a splitter of scikit-learn's or pairs of index arrays.
        One pair is one held-out part, several are folds. None draws rows at random,
        with equal rows, and rows of one of the `groups`, on one side; rows that are a
        series (each nearer to the next than to the third after it, or overlapping
        windows) are held out in whole stretches. Where `y` is classes of
        SupervisedAutoencoder, folds and random rows are stratified.
    n_iter_no_change : int or 'auto', default='auto'
        Epochs without a gain on the held-out rows after which training stops. 'auto'
        is 20 below 800 rows, then half of `max_iter`, but 20 at least.
    tol : float, default=0.001
        What counts as a gain: a fall of the held-out squared error by this share, or
        the like of a log-likelihood, half as many nats per feature.
    missing : {'error', 'ignore'}, default='error'
        What NaN in `X` is: an error, or a missing cell. Missing cells are left out of
        loss and scores; the encoder sees what `impute` fills them with. The start is
        that of the observed cells' mean and covariance by the EM algorithm. Rows that
        are NaN throughout are left out of `fit`, and a feature that is NaN throughout
        is an error, as infinite numbers always are. See the :ref:`user guide
        <missing_cells>`.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted model. Mean, scale and linear maps are
        those of the new rows; the networks are the fitted ones, trained further at a
        fifth of the learning rate 'auto'. Held-out rows decide between the new linear
        start, the fitted model and what training makes of it; the first epoch is the
        fitted model. A changed structure is a ValueError. Networks begin anew where
        `n_components` is a share of variance, or the model was truncated.
    random_state : int, RandomState instance or None, default=None
        Fixes every bit of the result on one machine and number of threads. None is a
        fresh seed; NumPy's global generator is not used.
    verbose : int, default=0
        1 shows a progress bar, with training and validation score.
    device : str, default='auto'
        Where to compute: 'auto' (CUDA where there is one and the work is large enough
        to pay for the transfer, else the CPU) or a name of PyTorch's, such as 'cpu',
        'cuda', 'cuda:1' or 'mps'. A fitted model is kept on the CPU, loads without the
        device, and then uses the CPU.
    callbacks : list of skorch callbacks or None, default=None
        Called while the model that is kept trains. They are copied, or used as they are
        if they cannot be copied, and see rows in the units of `X`. One that raises
        KeyboardInterrupt, as skorch's ``EarlyStopping`` does, ends the training; one
        may also load an earlier state in the end (``load_best=True``). The model that
        results is kept if held-out rows find it better than the linear start. Those
        that read ``valid_loss`` require rows held out of that training, below 800 rows
        ``early_stopping=True``. A scheduler of the learning rate has no effect.

    Attributes
    ----------
    kl_per_component_ : ndarray of shape (n_components,)
        Mean KL divergence of each latent over the training rows, in nats: how much it
        says of a row. Latents are sorted by it.
    n_active_components_ : int
        Number of latents for which it is above 0.01 nats.
    noise_variance_ : float or ndarray of shape (n_features,)
        Variance of the noise in squared units of `X`, for the Gaussian likelihood.
    latent_prior_ : GaussianMixture
        With ``latent_prior='gaussian_mixture'``: the distribution that `sample` draws
        latents from, as `transform` gives them.
    n_components_ : int
        Number of latents.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows; that of the EM algorithm where cells are missing.
    n_samples_ : int
        Number of training rows, each counted as often as a whole `sample_weight` says.
    n_samples_seen_ : int
        The same, of all calls of `partial_fit`.
    latent_drift_ : float
        After `partial_fit`: the share of the variance of the latents before the call
        that those after it miss, of the same rows; more than 1 where they turned
        round. 0 after `fit` and the first call.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of each latent over the training rows, before whitening.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of `X` that each latent explains. With ``ordered=True`` it
        is what each further latent adds on held-out rows (on the training rows where
        none were held out, as for a linear model); else the share that all explain of
        the training rows, split by the variances of the latents.
    singular_values_ : ndarray of shape (n_components,)
        ``sqrt((n_samples_ - 1) * explained_variance_)``.
    components_ : ndarray of shape (n_components, n_features)
        What a unit step along each latent (before whitening) changes, in the mean over
        the training rows: the mean of `feature_influence`. It is computed when asked
        for, over evenly spaced training rows where all of them would take more than
        some seconds.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where `X` has names that are all strings.
    hidden_layer_sizes_ : tuple of int
        Widths of the encoder's hidden layers.
    learning_rate_, weight_decay_ : float
        The parameters of the same names, as they were used.
    batch_size_, max_iter_, n_iter_no_change_ : int
        The same.
    n_iter_ : int
        Epochs run, those of the cross-validation where it chooses their number; 1 where
        nothing had to be trained.
    best_iteration_ : int
        The epoch that was kept; 0 is the linear start.
    loss_curve_ : list of float
        The training loss of each epoch, per feature (in cross-validation the folds'
        mean): the squared error as a share of the variance (SupervisedAutoencoder: the
        weighted sum of shares), or minus the bound in nats.
    training_scores_ : ndarray of shape (n_epochs,)
        The same as scores, to be compared with `validation_scores_`.
    validation_scores_ : ndarray of shape (n_epochs + 1,) or None
        Score of the held-out rows, before training and after each epoch: the share of
        variance explained, or the bound in nats per row, of what training sees of them
        (SupervisedAutoencoder: the shares explained of rows and target, weighted). None
        if no rows were held out.
    fold_scores_ : ndarray of shape (n_epochs + 1, n_splits) or None
        The same for the rows that each split holds out, as shares of one total: their
        mean, weighted by rows, is `validation_scores_`. NaN where all are extreme.
    best_validation_score_ : float or None
        That of the state that was kept.
    held_out_scores_ : ndarray of shape (n_samples,)
        The score, as `score_samples` gives it, of each training row that was held out,
        by a model whose networks have not seen it: what new rows score. NaN for others.
        Below 800 rows, which are held out in folds, all have one.
    verdict_ : str
        What was kept, the linear start or an epoch, and why; and whether it was then
        trained on all rows. ``verbose=1`` prints it.
    net_ : skorch.NeuralNet
        The trained net. Its ``module_`` maps rows in the units of `X` to their
        reconstruction, so ``net_.predict(X)`` of an array is ``reconstruct(X)`` up to
        rounding (skorch takes a frame's columns for arguments); `torch.export`, hooks
        and pruning work on it, and `transform` follows an edit in place. Its history
        has the epochs, and their batches where there are `callbacks`. Training it
        further (its loss is then the mean squared error) leaves the coordinates of the
        latents and the other attributes as they were.

    See Also
    --------
    sklearn.decomposition.FactorAnalysis : What this may start from.

    Notes
    -----
    An `encoder` of your own gives ``2 * n_components`` columns, the means and then the
    log-variances; a callable is called as ``encoder(n_features, 2 * n_components)``.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling (2014). Auto-encoding variational Bayes. arXiv
       1312.6114.
    .. [2] M. E. Tipping and C. M. Bishop (1999). Probabilistic principal component
       analysis. Journal of the Royal Statistical Society B 61.
    .. [3] J. Lucas, G. Tucker, R. Grosse and M. Norouzi (2019). Don't blame the ELBO!
       A linear VAE perspective on posterior collapse. arXiv 1911.02469.
    .. [4] Y. Burda, R. Grosse and R. Salakhutdinov (2016). Importance weighted
       autoencoders. arXiv 1509.00519.
    .. [5] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara (2018). Variational
       autoencoders for collaborative filtering. arXiv 1802.05814.
    .. [6] J. M. Tomczak and M. Welling (2018). VAE with a VampPrior. arXiv 1705.07120.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.decomposition import PCA
    >>> from sklatent import VariationalAutoencoder
    >>> X = load_breast_cancer().data
    >>> vae = VariationalAutoencoder(5, random_state=0).fit(X[:400])
    >>> bool(vae.score(X[400:]) > PCA(5).fit(X[:400]).score(X[400:]))
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 30)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLatentEncoder._parameter_constraints,
        "likelihood": [StrOptions({"gaussian", "bernoulli", "poisson", "multinomial"})],
        "noise_variance": [StrOptions({"auto", "shared", "feature"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "latent_prior": [
            StrOptions({"standard", "gaussian_mixture", "aggregated_posterior"})
        ],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    # Its bound is noisy, which larger batches are for. Variances of the noise follow a
    # network that fits single rows, so features call for more decay.
    _auto = AutoRules(
        layers=TWO_LAYERS,
        many_features=None,
        weight_decay=((3.0, 1.5),),
        learning_rate=0.005,
        min_batch_size=128,
    )
    # Words are many: few epochs, and one layer, whose decay the bound does not need.
    _auto_for_words = _auto._replace(
        layers=(Layers(0, (256,)),),
        learning_rate=0.0015,
        n_steps=0,
    )
    # It explains the features' likelihood, and their variance only by the way.
    _extra_latents = 1.0
    _structural = (*BaseLatentEncoder._structural, "likelihood", "noise_variance")

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        likelihood: Literal[
            "gaussian", "bernoulli", "poisson", "multinomial"
        ] = "gaussian",
        noise_variance: Literal["auto", "shared", "feature"] = "auto",
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        free_bits: float = 0.0,
        latent_prior: Literal[
            "standard", "gaussian_mixture", "aggregated_posterior"
        ] = "gaussian_mixture",
        n_importance_samples: int = 64,
        hidden_layer_sizes: ArrayLike | Auto = "auto",
        activation: Activation = "silu",
        init: Init = "pca",
        whiten: bool = False,
        ordered: bool | ArrayLike = False,
        encoder: Network = None,
        decoder: Network = None,
        augmentation: Augmentation = None,
        learning_rate: float | Auto = "auto",
        weight_decay: float | Auto = "auto",
        batch_size: int | Auto = "auto",
        max_iter: int | Auto = "auto",
        early_stopping: bool | Auto = "auto",
        validation_fraction: float = 0.1,
        cv: Any = None,
        n_iter_no_change: int | Auto = "auto",
        tol: float = 1e-3,
        missing: Missing = "error",
        warm_start: bool = False,
        random_state: RandomState = None,
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
        self.augmentation = augmentation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.missing = missing
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.callbacks = callbacks
        self.likelihood = likelihood
        self.noise_variance = noise_variance
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.latent_prior = latent_prior
        self.n_importance_samples = n_importance_samples

    def _check(self, X: Any) -> None:
        check_range(X, self.likelihood)
        if self.likelihood == "multinomial":
            check_for_words(self)

    def _auto_rules(self) -> AutoRules:
        return self._auto_for_words if self._sees_cells() else self._auto

    def _sees_cells(self) -> bool:
        return self.likelihood == "multinomial"

    def _sees_features(self) -> bool:
        feature_noise = self.noise_variance == "feature"
        return feature_noise or self.likelihood in ("bernoulli", "poisson")

    def _follows_a_gaussian(self) -> bool:
        return self.likelihood == "gaussian"

    def _problem(self, data: Rows, plan: Plan) -> Problem:
        return variational_problem(self, data, plan)

    # Using the fitted model -----------------------------------------------------

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Return a lower bound of each row's log-likelihood.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats, on the scale of `X`, comparable with ``score_samples`` of ``PCA``,
            ``FactorAnalysis`` and ``GaussianMixture``. Features that were constant in
            training count as in ``FactorAnalysis``, with a variance of 1e-12, whatever
            value a row has there (not at all with the other likelihoods). The prior is
            N(0, I), for which the model is trained, whatever `latent_prior` is. Low
            scores point to outliers. With the multinomial likelihood all rows count
            for one number of words, and what depends on the row alone is left out.

        Raises
        ------
        ValueError
            If `X` is not as `fit` requires it, for example outside [0, 1] with the
            Bernoulli likelihood.
        """
        valid = self._validate(X)
        check_range(valid, self._fitted_with["likelihood"])
        return self._score_rows(self._inference, valid)

    def _score_rows(self, inference: Inference, X: NDArray[Any]) -> NDArray[Any]:
        return log_likelihood_bound(inference, X, self.n_importance_samples)

    def score(
        self,
        X: ArrayLike,
        y: Any = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the mean of `score_samples`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts.

        Returns
        -------
        score : float
            A lower bound of the mean log-likelihood of a row, in nats.
        """
        scores = self.score_samples(X).astype(np.float64)
        scores, weights = with_weights(scores, sample_weight)
        return mean_of(scores, weights)

    def get_covariance(self) -> NDArray[Any]:
        """Return the covariance of the features under the model.

        It is that of the decoder's means over the prior N(0, I), whatever
        `latent_prior` is, by quasi-random numbers, plus the variance around them. What
        is linear in the latents is integrated exactly, so that for a linear model
        nothing is approximate.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
            In squared units of `X`.
        """
        return covariance(self._inference).astype(self.mean_.dtype)

    def get_precision(self) -> NDArray[Any]:
        """Return the inverse of `get_covariance`.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
            In units of `X`, to the power of -2; the pseudo-inverse, 0 for features
            that were constant in training.
        """
        return precision(self.get_covariance())

    def sample(
        self,
        n_samples: int = 1,
        random_state: RandomState = None,
        *,
        noise: bool = True,
    ) -> NDArray[Any]:
        """Draw new rows.

        Gaussian rows are matched to the training rows, unless
        ``latent_prior='standard'``: a monotone map of each feature gives it their
        quantiles, nearly, with zeros, steps and tails, within their range. Extreme rows
        do not count. Means (``noise=False``) are matched by mean and deviation alone,
        where these are off by more than 7% of the deviation.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance or None, default=None
            Fixes the rows. None is NumPy's global generator, as in scikit-learn.
        noise : bool, default=True
            Whether to draw rows from the likelihood; False gives its means.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            On the scale of the training rows, in their dtype.

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        TypeError
            If it is no int.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        random = check_random_state(random_state)
        seed = int(random.randint(2**31 - 1))
        prior, inference = self._summary.latent_prior, self._inference
        Z = draw_latents(inference, prior, n_samples, random)
        Z = Z.astype(self.mean_.dtype)
        return draw_matched_rows(inference, prior, Z, seed if noise else None)
