"""Outliers: rows far from the others, and off what an encoder knows of them."""

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MetaEstimatorMixin, OutlierMixin
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_adapter_from_container
from sklearn.utils.validation import check_is_fitted, validate_data

from ._base import BaseLatentEncoder
from ._doc_link import DocLinkMixin
from ._outlier_fit import OddnessFit, shares_of_features
from ._partial_fit import can_be_fitted_in_parts, offered_if
from ._state import PlainState
from ._validation import all_or_nothing, fit_context, targets_of
from .model import Calibration, LabelledRows, Oddness, OutlierStream
from .plan import RandomState, SplitBy, choose_splits, seed_of
from .rows import check_columns, rows_of

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Rows that `partial_fit` begins with, and how many for each latent.
MIN_FIRST, FIRST_PER_LATENT = 256, 2


def follows_streams(detector: Any) -> None:
    """Raise NotOfferedError where the encoder cannot be fitted in parts."""
    if detector.encoder is not None:
        can_be_fitted_in_parts(detector.encoder)


class LatentOutlierDetector(DocLinkMixin, MetaEstimatorMixin, OutlierMixin, PlainState):
    """Outliers: rows far from training rows, or from what an encoder can reconstruct.

    An encoder is fitted to the standardised rows. A row is odd if it is far from its
    nearest training rows, among all of these and among smaller and smaller samples of
    them [1]_ [2]_; what the encoder's reconstruction leaves counts twice in the
    distance. Held-out rows tell which distances normal new rows have, so that the rate
    of false alarms is known [3]_. Read more in the :ref:`user guide <outliers>`.

    Parameters
    ----------
    encoder : estimator or None, default=None
        An `Autoencoder`, `DenoisingAutoencoder`, `SupervisedAutoencoder` or
        `VariationalAutoencoder`. Where its `n_components` is None it gets as many
        latents as explain 90% of the variance in PCA, but 32 at most. None is
        ``Autoencoder()`` with the `random_state` given here.
    contamination : 'auto' or float, default='auto'
        'auto' calls a row an outlier where its p-value is at most `alpha`. A float in
        (0, 0.5] is the share of the training rows that are outliers: `offset_` is that
        quantile of their scores, and this share of them, those that are farthest from
        the others, are left out when the encoder is trained and among the neighbours.
    alpha : float, default=0.05
        The share of normal rows that 'auto' may call outliers.
    n_neighbors : int, default=5
        Neighbours at each density, of which the mean distance is taken.
    cv : int, cross-validation generator or iterable, default=None
        Which rows are held out to calibrate p-values. None is a tenth of the rows from
        800 distinct ones on and five folds below; equal rows, rows of one of the
        `groups` and stretches of a series stay together, as with the encoders. One pair
        is one detector. With several there is a detector for each.
    random_state : int, RandomState instance or None, default=None
        Draws the held-out rows and those of the lower densities.

    Attributes
    ----------
    offset_ : float
        Rows with lower `score_samples` are outliers. With 'auto' it is -1, or -inf
        where held-out rows are too few for any to be called one.
    encoders_ : list of estimators
        The fitted encoder, or that of each fold.
    calibration_scores_ : ndarray of shape (n_calibration,)
        What `score_samples` is compared with in `p_values`: the scores of the held-out
        rows, sorted. With folds each is in the units of its own detector. After
        `partial_fit` they are those of the latest rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where `X` has names that are all strings.
    n_samples_seen_ : int
        Number of rows given to `fit`, and to `partial_fit` after it.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Random splits in place of distances.
    sklearn.neighbors.LocalOutlierFactor : Distances relative to those of neighbours.

    Notes
    -----
    A row is not compared with itself: of the training rows that are equal to it, one is
    left out, in `predict` as in `fit_predict`.

    References
    ----------
    .. [1] F. Angiulli and C. Pizzuti (2002). Fast outlier detection in high dimensional
       spaces. PKDD.
    .. [2] M. Sugiyama and K. Borgwardt (2013). Rapid distance-based outlier detection
       via sampling. NeurIPS.
    .. [3] S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia (2023). Testing for
       outliers with conformal p-values. Annals of Statistics 51.
    .. [4] Y. Shen and S. Sanghavi (2019). Learning with bad training data via iterative
       trimmed loss minimization. ICML. (Training without the rows that fit worst.)

    Examples
    --------
    >>> import numpy as np
    >>> from sklatent import LatentOutlierDetector
    >>> random = np.random.RandomState(0)
    >>> X = random.randn(400, 2) @ random.randn(2, 6) + 0.1 * random.randn(400, 6)
    >>> detector = LatentOutlierDetector(random_state=0).fit(X)
    >>> far = X[:2] + np.array([[0], [4]]) * np.eye(6)[0]
    >>> detector.predict(far)
    array([ 1, -1])
    >>> detector.explain(far)[1].argmax()
    np.int64(0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "encoder": [BaseLatentEncoder, None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        contamination: float | Literal["auto"] = "auto",
        alpha: float = 0.05,
        n_neighbors: int = 5,
        cv: Any = None,
        random_state: RandomState = None,
    ) -> None:
        self.encoder = encoder
        self.contamination = contamination
        self.alpha = alpha
        self.n_neighbors = n_neighbors
        self.cv = cv
        self.random_state = random_state

    # The encoder checks its own parameters.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, *, groups: Any = None) -> Self:
        """Fit encoder, neighbours and calibration to the rows of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data: finite numbers, at least two rows. What holds of p-values
            holds where they are normal rows.
        y : array-like of shape (n_samples,) or None, default=None
            For `SupervisedAutoencoder`, and splitters that stratify by it.
        groups : array-like of shape (n_samples,) or None, default=None
            Which rows belong together; those of one group are held out together, by
            the encoder too.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If `X`, `y`, `groups` or a parameter is not as required. The detector is
            then as it was before the call.
        """
        with all_or_nothing(self):
            check_columns(X)
            valid = validate_data(
                self, X, dtype=np.float64, order="C", ensure_min_samples=2
            )
            valid, y, groups = indexable(valid, y, groups)
            self._fit(valid, y, groups)
            self.n_samples_seen_ = len(valid)
            if not np.isfinite(self.offset_):
                self._warn_of_few()
        return self

    @offered_if(follows_streams)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Follow a stream of rows, in bounded memory.

        The first 256 rows are kept and then fitted to, or go on from `fit`, of which
        the first fold is. From then on the latest 512 rows, or the `1 / alpha - 1` that
        `alpha` requires, calibrate the detector, which has not seen them: the rows
        before them train it. A quarter as many rows are taken in at once, as soon as
        they have come; so it makes no difference in which calls rows come. The encoder
        is fitted further to them, and they join a sample of 2000 rows (32 MB at most),
        in which the earlier a row came the less it is there [1]_, to look for
        neighbours among. Rows that are odd beside most of the latest ones are left out
        of that, but for one of twenty: a burst of outliers does not become normal by
        itself, and a change that lasts does.

        A float `contamination` sets `offset_` to that quantile of the scores of the
        latest rows. To be told of rows before they are learned from, ask `predict`
        first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            More rows, one at least, in the order in which they came.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            For `SupervisedAutoencoder`, which requires it.

        Returns
        -------
        self : object
            The detector. It is not fitted as long as there are too few rows.

        Raises
        ------
        ValueError
            If `X`, `y` or a parameter is not as required, or the encoder has no
            `partial_fit`. The detector is then as it was before the call.

        References
        ----------
        .. [1] C. C. Aggarwal (2006). On biased reservoir sampling in the presence of
           stream evolution. VLDB.
        """
        with all_or_nothing(self):
            self._validate_params()
            stream = getattr(self, "_stream", None)
            check_columns(X)
            valid = validate_data(
                self, X, dtype=np.float64, order="C", reset=stream is None
            )
            rows = LabelledRows(valid, self._targets_of(y, len(valid)))
            if not isinstance(stream, OutlierStream):
                rows = rows if stream is None else stream.joined(rows)
                stream, rows = self._begun(rows)
            if isinstance(stream, OutlierStream):
                stream = self._follow(stream, rows)
            self._stream: LabelledRows | OutlierStream = stream
            self.n_samples_seen_ = getattr(self, "n_samples_seen_", 0) + len(valid)
        return self

    @property
    def _has_targets(self) -> bool:
        """Whether the encoder is fitted to targets."""
        return bool(self.__sklearn_tags__().target_tags.required)

    def _targets_of(self, y: Any, n: int) -> Any:
        """Return what an encoder of targets gets of them, checked."""
        if not self._has_targets:
            return None
        given = targets_of(y, n)
        if hasattr(self, "encoders_"):  # rows wait, but errors do not
            self.encoders_[0]._target_kind().given(given, n)
        return given

    def _begun(
        self, rows: LabelledRows
    ) -> tuple[LabelledRows | OutlierStream, LabelledRows]:
        """Fit to the first rows if they are enough; return the stream and the rest."""
        size = getattr(self.encoder, "n_components", None) or 0
        n_first = max(MIN_FIRST, FIRST_PER_LATENT * size)
        if len(rows) < n_first:
            return rows, rows[:0]
        first = rows[:n_first]
        self._fit(first.X, first.y, None)
        return self._stream, rows[n_first:]

    def _follow(self, stream: OutlierStream, rows: LabelledRows) -> OutlierStream:
        """Return the stream after more rows; take its detector if that has changed."""
        later = stream.with_rows(rows)
        if later.n_taken_in > stream.n_taken_in:
            self._publish([later.part], [later.scores])
            self.offset_ = self._offset(later.window.X)
        return later

    def _fit(self, X: Array, y: Any, groups: Any) -> None:
        """Fit a detector for each held-out part; the first of them may follow."""
        seed = seed_of(self.random_state)
        fit = OddnessFit(self.encoder, self.contamination, self.n_neighbors, seed)
        parts, unseen = [], []
        for train, held_out in self._splits(X, y, groups, seed):
            parts.append(fit(X, y, groups, train))
            unseen.append(held_out)
        scores = [
            part.scores(X[rows]) if len(rows) else np.zeros(0)
            for part, rows in zip(parts, unseen, strict=True)
        ]
        self._publish(parts, scores)
        self.offset_ = self._offset(X)
        targets = np.asarray(y) if self._has_targets else None
        waiting = LabelledRows(X, targets)[unseen[0]]
        self._stream = OutlierStream.begun(
            parts[0], waiting, scores[0], self.alpha, seed
        )

    def _splits(
        self, X: Array, y: Any, groups: Any, seed: int
    ) -> Sequence[tuple[Indices, Indices]]:
        """Return which rows train and which are held out, for each detector."""
        by = SplitBy(cv=self.cv, y=y, groups=groups)
        pairs = choose_splits(rows_of(X), by, seed, good_start=True).pairs
        return pairs or ((np.arange(len(X)), np.arange(0)),)

    def _publish(self, parts: list[Oddness], scores: list[Array]) -> None:
        """Take detectors, and the scores by each of rows that it has not seen."""
        self._parts = parts
        self._calibration = Calibration(tuple(map(np.sort, scores)), self.alpha)
        self.encoders_ = [part.encoder for part in parts]
        self.calibration_scores_ = -np.sort(-np.concatenate(scores))[::-1]

    def _offset(self, X: Array) -> float:
        """Return the score below which a row is an outlier, given rows like others."""
        if isinstance(self.contamination, str):
            return -1.0 if self._calibration.rank > 0 else -np.inf
        return float(np.percentile(self._score(X), 100.0 * self.contamination))

    def _warn_of_few(self) -> None:
        warnings.warn(
            f"alpha={self.alpha} requires {math.ceil(1 / self.alpha) - 1} held-out "
            f"rows for calibration, but there are {len(self._calibration)}: no row "
            "is called an outlier.",
            stacklevel=4,
        )

    def _check_loaded(self) -> None:
        """Raise an error unless a row can be scored."""
        if hasattr(self, "n_features_in_"):
            self._score(np.zeros((1, self.n_features_in_))) - self.offset_

    # Using the fitted detector --------------------------------------------------

    def score_samples(self, X: ArrayLike) -> Array:
        """Return how normal each row is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the distance from the training rows, as a multiple of the one at which
            the p-value of a row is `alpha`: -1 is there, and lower is odder.
        """
        return self._score(self._validate(X))

    def decision_function(self, X: ArrayLike) -> Array:
        """Return ``score_samples(X) - offset_``: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            Lower is odder.
        """
        decision: Array = self.score_samples(X) - self.offset_
        return decision

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return which rows are outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data. Training rows may be among them.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for the others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: ArrayLike) -> Array:
        """Return conformal p-values: how rare rows as odd as these are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New rows on the scale of the training data.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            The share of held-out training rows, this one among them, that are at least
            as odd. Where new rows are drawn as the training rows were, a p-value is at
            most a with a probability of at most a with one held-out part, all but
            exactly so after `partial_fit`, and of at most about 2a with folds.
        """
        valid = self._validate(X)
        return self._calibration.p_values(self._scores_of_parts(valid))

    def explain(self, X: ArrayLike) -> Any:
        """Return what each feature adds to the score of each row.

        Integrated gradients [1]_ from the mean of the row's neighbours to the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        shares : ndarray or data frame of shape (n_samples, n_features)
            A data frame for a data frame. Positive values make the row odder. They add
            up to ``score_samples(baseline) - score_samples(X)``, with the rows of
            `explanation_baseline`. Of a training row they add up to that less the share
            of itself, which is its baseline's neighbour but not its own.

        References
        ----------
        .. [1] M. Sundararajan, A. Taly and Q. Yan (2017). Axiomatic attribution for
           deep networks. ICML.
        """
        valid = self._validate(X)
        shares = shares_of_features(
            self._parts, self._calibration, self._baseline(valid), valid
        )
        if not hasattr(X, "columns"):
            return shares
        adapter = _get_adapter_from_container(X)
        return adapter.create_container(shares, X, columns=lambda: list(X.columns))

    def explanation_baseline(self, X: ArrayLike) -> Array:
        """Return the rows that `explain` compares with.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        baseline : ndarray of shape (n_samples, n_features)
            The mean of each row's neighbours in the training rows.
        """
        return self._baseline(self._validate(X))

    def _baseline(self, X: Array) -> Array:
        means = [part.mean_of_neighbours(X) for part in self._parts]
        mean: Array = np.mean(means, axis=0)
        return mean

    def _score(self, X: Array) -> Array:
        return -self._calibration.distances(self._scores_of_parts(X))[0]

    def _scores_of_parts(self, X: Array) -> Array:
        """Return how odd rows are to each detector, shape (n, n_detectors)."""
        return np.column_stack([part.scores(X) for part in self._parts])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def _validate(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        check_columns(X)
        valid: Array = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        return valid

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.encoder is not None:
            tags.target_tags.required = get_tags(self.encoder).target_tags.required
        return tags
