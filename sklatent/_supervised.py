"""The supervised autoencoder."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import BaseLatentEncoder
from ._partial_fit import can_be_fitted_in_parts, offered_if
from ._validation import fit_context
from .plan import (
    Activation,
    Augmentation,
    Auto,
    Init,
    Missing,
    Network,
    Plan,
    RandomState,
)
from .problems import Choice, Problem, choice_of_mixing, supervised_problem
from .rows import Rows, TargetKind, Targets, differ, targets_of


class SupervisedAutoencoder(BaseLatentEncoder):
    r"""Autoencoder whose latents also tell a target; a supervised counterpart of PCA.

    As `Autoencoder`, encoder and decoder are each a linear map plus a network. A third
    map, which is linear, predicts the target `y` from the latents. What is made small
    is

    .. math:: \alpha \frac{\|X - \hat X\|^2}{\|X - \bar X\|^2}
       + (1 - \alpha) \frac{\ell(y, \hat y)}{\ell(y, \bar y)},

    with the weight :math:`\alpha` = `mixing`: the share of variance that is left of the
    rows and the share that is left of the target, of its variance, or of its entropy
    where it is classes (:math:`\ell` is then the cross-entropy).

    It starts as principal covariates regression [1]_, in closed form: PCA at `mixing` =
    1, linear discriminant analysis or reduced-rank regression towards 0. Rows held out
    of the training choose the state that is kept, and the start is among those to
    choose from. Features in different units want a ``StandardScaler`` in front. Read
    more in the :ref:`user guide <supervised>`.

    The latents of the rows that it was fitted to have seen their own `y`. What a model
    behind it scores on these rows is too high; judge both together on other rows, as
    ``cross_val_score`` of a ``Pipeline`` does.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of latents; with 0 the model is the mean. None is ``min(n_samples,
        n_features)``, as in PCA. It may exceed the number of features. A float in (0,
        1) is the smallest number that explains more than this share of the variance of
        held-out rows (of the training rows where none are held out); the latents are
        then ordered.
    mixing : float or 'auto', default=0.5
        The weight of the rows against the target, in (0, 1]. At 1 the target does not
        count, and the estimator is `Autoencoder`. 'auto' trains with 1, 0.5, 0.1 and
        0.01, in four times the time, and takes the one whose latents tell the target of
        held-out rows best, by a logistic or ridge regression on them; PCA is kept
        unless they do so significantly better.
    target_type : {'auto', 'continuous', 'binary', 'multiclass'}, default='auto'
        What `y` is. 'auto' tells classes from numbers as scikit-learn does
        (``type_of_target``): whole numbers are classes, floats as well, and a warning
        says so where these have few rows each; 'continuous' takes them for numbers.
        Several numbers for each row are allowed, several labels are not.
    semi_supervised : bool, default=False
        Whether `y` may have rows without a label, which then count as rows alone: -1
        for classes, as in ``sklearn.semi_supervised``, and NaN for numbers. Most
        classifiers would take -1 for a class; behind it in a pipeline put
        ``SelfTrainingClassifier(classifier, max_iter=0)``, which leaves it out.
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
    n_components_ : int
        Number of latents.
    classes_ : ndarray of shape (n_classes,) or None
        The labels of the classes; None where `y` is numbers.
    mixing_ : float
        The `mixing` used.
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
    noise_variance_ : float
        Mean variance that is left in the directions without a latent, as in PCA; of the
        rows of `explained_variance_ratio_`.
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
    Autoencoder : The same without a target.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : The linear latents that
        tell classes best.
    sklearn.cross_decomposition.PLSRegression : Linear latents of rows and numbers.

    Notes
    -----
    With ``warm_start=True`` the fitted network may have seen the targets of rows that
    the new fit holds out, and the verdict then flatters it: go on with other rows, or
    hold the same ones out again (an int as `random_state`, or `cv`).

    There is no ``class_weight``. The linear start divides each class by the root of its
    share, so that rare classes count as much as common ones; the network's loss counts
    each row once, as the likelihood does, and a classifier behind it has a
    ``class_weight`` of its own.

    The classes, the number of targets and `mixing` belong to the structure that
    `warm_start` cannot change.

    References
    ----------
    .. [1] S. de Jong and H. A. L. Kiers (1992). Principal covariates regression.
       Chemometrics and Intelligent Laboratory Systems 14.
    .. [2] L. Le, A. Patterson and M. White (2018). Supervised autoencoders: improving
       generalization performance with unsupervised regularizers. NeurIPS 31.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklatent import SupervisedAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> def accuracy(reducer):
    ...     model = make_pipeline(reducer, LogisticRegression(max_iter=2000))
    ...     return model.fit(X_train, y_train).score(X_test, y_test)
    >>> supervised = accuracy(SupervisedAutoencoder(2, random_state=0))
    >>> bool(supervised > accuracy(PCA(2)) + 0.25)
    True
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        mixing: float | Auto = 0.5,
        target_type: Literal["auto", "continuous", "binary", "multiclass"] = "auto",
        semi_supervised: bool = False,
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
        self.mixing = mixing
        self.target_type = target_type
        self.semi_supervised = semi_supervised

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLatentEncoder._parameter_constraints,
        "mixing": [Interval(Real, 0, 1, closed="right"), StrOptions({"auto"})],
        "target_type": [StrOptions({"auto", "continuous", "binary", "multiclass"})],
        "semi_supervised": ["boolean"],
    }
    _structural = (*BaseLatentEncoder._structural, "mixing")

    _has_targets = True

    @offered_if(can_be_fitted_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, classes: ArrayLike | None = None
    ) -> Self:
        """Fit the model to more rows, without those of earlier calls.

        As in `Autoencoder`. Rows are collected until there are two classes, or two
        numbers, among them as well.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            More rows, one at least. In the dtype of the first ones.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        classes : array-like of shape (n_classes,), default=None
            All classes that there are, in the first call. Later ones need not give
            them. None is those of the first rows.

        Returns
        -------
        self : object
            The estimator. It is not fitted as long as there are too few rows.

        Raises
        ------
        ValueError
            If `X` or `y` is not as required, `y` has another class, `n_components` is a
            share of variance, `missing` is 'ignore', `X` is sparse, or a parameter has
            changed that `warm_start` could not change. The estimator is then as it was.
        """
        return self._partial_fit(X, y, classes)

    def _suffice(self, y: Any) -> bool:
        return differ(y, semi_supervised=self.semi_supervised)

    def _target_kind(self) -> TargetKind:
        classes = self._fitted_with["classes_"]
        return TargetKind(
            None if classes is None else np.array(classes),
            self._fitted_with["y.shape[1]"],
            self.semi_supervised,
        )

    def _targets(self, y: Any, classes: NDArray[Any] | None = None) -> Targets:
        return targets_of(
            y,
            self.target_type,
            semi_supervised=self.semi_supervised,
            estimator_name=type(self).__name__,
            all_classes=classes,
        )

    def _strata(self, targets: Targets | None) -> NDArray[np.intp] | None:
        # Where the target does not count, folds are those of Autoencoder.
        return None if targets is None or self.mixing == 1 else targets.strata()

    def _structure(
        self, auto_layers: tuple[int, ...], targets: Targets | None
    ) -> dict[str, Any]:
        assert targets is not None
        classes = targets.classes
        return {
            **super()._structure(auto_layers, targets),
            "classes_": None if classes is None else tuple(classes.tolist()),
            "y.shape[1]": targets.values.shape[1],
        }

    @property
    def _chooses_by_held_out_rows(self) -> bool:  # type: ignore[override]
        return self.mixing == "auto"

    def _problem(self, data: Rows, plan: Plan) -> Problem | Choice:
        mixing = self.mixing
        if isinstance(mixing, str) and plan.previous is not None:
            mixing = self.mixing_  # which it was trained with
        if isinstance(mixing, str) and plan.n_components == 0:
            mixing = 1.0  # no latents tell anything
        if isinstance(mixing, str):
            return choice_of_mixing(data, plan)
        return supervised_problem(data, plan, mixing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
