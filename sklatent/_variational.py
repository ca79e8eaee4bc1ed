"""The variational autoencoder."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, qmc
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._assembly import Network, assemble_variational
from ._base import BaseLatentEncoder
from ._docs import documented
from ._mixture import draw, fit_mixture, marginal
from ._probabilistic_start import (
    ProbabilisticStart,
    blank_start,
    choose_noise,
    exponential_start,
    factor_analysis_start,
    ppca_start,
)
from ._scaling import ScaledRows, row_slices, scaled
from ._selection import Nats
from ._training import Objective
from .nn import (
    Bernoulli,
    Gaussian,
    LatentFrame,
    Likelihood,
    Moments,
    NegativeBound,
    Poisson,
    VariationalModule,
    decoder_gram,
    kl_to_prior,
    signs,
)

#: Above this a count is past where the logarithm of a rate is cut off.
LARGEST_COUNT = 1e12
#: Nats above which a latent says something of the rows.
ACTIVE = 0.01


@documented
class VariationalAutoencoder(BaseLatentEncoder):
    r"""Variational autoencoder that starts as probabilistic PCA or factor analysis.

    A model of where rows come from: latents :math:`u \sim N(0, I)`, and rows from
    :math:`p(x|u)`, whose parameters a decoder gives. An encoder gives the posterior
    :math:`q(u|x) = N(m(x), \mathrm{diag}(s^2(x)))`, and both are trained to raise

    .. math:: \mathrm{E}_q \log p(x|u) - \beta\, \mathrm{KL}(q(u|x) \,\|\, N(0, I)),

    which for :math:`\beta = 1` is a lower bound of the log-likelihood. So it has a
    `score` in nats, as ``PCA``, ``FactorAnalysis`` and ``GaussianMixture`` have, and
    rows can be drawn from it with `sample`. At the start the bound is exactly the
    log-likelihood of the linear model. Read more in the
    :ref:`user guide <variational>`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of latents. None is ``min(n_samples, n_features)``. A float in (0, 1) is
        the smallest number that explains this share of the variance of held-out rows
        (of the training rows where none are held out); the latents are then ordered.
    likelihood : {'gaussian', 'bernoulli', 'poisson'}, default='gaussian'
        Of rows given latents: 'gaussian' for any numbers, 'bernoulli' for those in
        [0, 1], 'poisson' for counts.
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
    latent_prior : {'standard', 'gaussian_mixture'}, default='standard'
        What `sample` draws latents from: N(0, I), or a ``GaussianMixture`` fitted to
        the latents of the training rows, its size chosen by BIC.
    n_importance_samples : int, default=64
        Draws from the posterior in `score_samples`. They are fixed quasi-random
        numbers, the same for all rows.
    {parameters}

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
        With ``latent_prior='gaussian_mixture'``: the distribution of the latents.
    {attributes}

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
        "likelihood": [StrOptions({"gaussian", "bernoulli", "poisson"})],
        "noise_variance": [StrOptions({"auto", "shared", "feature"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "latent_prior": [StrOptions({"standard", "gaussian_mixture"})],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    _n_codes = 2
    # Its bound is noisy: larger steps take longer to gain than `n_iter_no_change`.
    _fastest = 0.005
    #: It explains the features' likelihood, and their variance only by the way.
    _spare = 1.0

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        likelihood: str = "gaussian",
        noise_variance: str = "auto",
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        free_bits: float = 0.0,
        latent_prior: str = "standard",
        n_importance_samples: int = 64,
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
            ordered=ordered,
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
        self.likelihood = likelihood
        self.noise_variance = noise_variance
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.latent_prior = latent_prior
        self.n_importance_samples = n_importance_samples

    # Fitting --------------------------------------------------------------------

    def _check(self, X: NDArray[Any]) -> None:
        _check_range(X, self.likelihood)

    def _structure(self) -> dict[str, Any]:
        return {
            **super()._structure(),
            "likelihood": self.likelihood,
            "noise_variance": self.noise_variance,
        }

    def _prepare(self, rows: ScaledRows, seed: int) -> None:
        self._kind = self.likelihood  # what is set after the fit does not matter
        kind = self.noise_variance if self._kind == "gaussian" else "shared"
        self._noise = choose_noise(rows, self.n_components_, kind, seed)

    def _linear_start(self, rows: ScaledRows, seed: int) -> ProbabilisticStart:
        k = self.n_components_
        if self.likelihood != "gaussian":
            some = rows.thinned(100_000).dense()
            features = self._likelihood().features(torch.from_numpy(some)).numpy()
            data = (some * self._scale + self.mean_).clip(min=0)
            return exponential_start(features, data, k, self.likelihood, seed)
        if self._noise.shared:
            return ppca_start(rows, k, seed)
        return factor_analysis_start(rows, k, self._noise, seed)

    def _assemble(
        self, start: ProbabilisticStart | None, rows: ScaledRows, seed: int
    ) -> VariationalModule:
        return assemble_variational(
            self._architecture(),
            start or blank_start(rows, self.n_components_, self._noise),
            self._likelihood(),
            self._noise.floor(rows.variance()),
            linear=start is not None,
            seed=seed,
        )

    def _likelihood(self) -> Likelihood:
        """Return the likelihood of scaled rows, in float64."""
        if self.likelihood == "gaussian":
            return Gaussian()
        kind = {"bernoulli": Bernoulli, "poisson": Poisson}[self.likelihood]
        mean = torch.from_numpy(self.mean_.astype(np.float64))
        return kind(mean, torch.tensor(self._scale, dtype=torch.float64))

    def _objective(self, rows: ScaledRows) -> Objective:
        n_features = rows.shape[1]
        bound = NegativeBound(
            self._likelihood(), self.beta, self.kl_warmup, self.free_bits
        )
        ruler = Nats(n_features, self._log_volume())
        k = self._n_inner

        def with_noise(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            noise = torch.randn(len(x), k, generator=generator, dtype=x.dtype)
            return x, noise.to(x.device)

        return Objective(bound.float(), lambda *_: ruler, with_noise)

    def _log_volume(self) -> float:
        """Return what scaling adds to the log-likelihood of a row."""
        if self._kind != "gaussian":
            return 0.0
        return -len(self.mean_) * float(np.log(self._scale))

    def _pass(self, module: Any, rows: ScaledRows) -> Moments:
        self._kl = torch.zeros(self._n_inner, dtype=torch.float64)
        return super()._pass(module, rows)

    def _see(self, module: Any, x: Tensor) -> Tensor:
        mean, log_variance = module.posterior(x)
        self._kl += kl_to_prior(mean, log_variance).sum(dim=0)
        return mean  # type: ignore[no-any-return]

    def _frame(
        self,
        module: Any,
        moments: Moments,
        untouched: bool,  # noqa: ARG002
    ) -> LatentFrame:
        def expected(u: Tensor) -> Tensor:
            x: Tensor = module.likelihood.mean(module.decoder(u))
            return x

        lengths = decoder_gram(expected, moments.few()).diagonal()
        kl = self._kl / moments.n
        order = torch.argsort(kl, descending=True, stable=True)
        if self._is_ordered:
            order = torch.arange(len(kl))
        order = order[: self.n_components_]
        self.kl_per_component_ = kl[order].numpy()
        self._lengths = lengths[order].numpy()
        self._count_active()
        if self.n_active_components_ == 0:
            warnings.warn(
                "No latent is active: each says less than 0.01 nats of a row, so all "
                "rows look alike to the decoder. A smaller beta, kl_warmup=0.5 or "
                "free_bits=0.1 keeps latents in use, if there is structure in X; a "
                "StandardScaler in front may show it.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return _sorted_frame(order, moments)

    def _finish(self, X: NDArray[Any], seed: int) -> None:
        for name in ("noise_variance_", "latent_prior_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        super()._finish(X, seed)
        if self.latent_prior == "gaussian_mixture":
            self.latent_prior_ = fit_mixture(self._encode(X), seed)

    def _count_active(self) -> None:
        self.n_active_components_ = int((self.kl_per_component_ > ACTIVE).sum())

    def _set_noise_variance(self) -> None:
        if self._kind != "gaussian":
            return
        with torch.inference_mode():
            variance = self.net_.module_.noise().double().exp().numpy()
        with np.errstate(over="ignore", under="ignore"):
            variance = variance * self._scale * self._scale
        self.noise_variance_ = float(variance[0]) if self._noise.shared else variance

    def _keep_first(self, size: int) -> None:
        super()._keep_first(size)
        self.kl_per_component_ = self.kl_per_component_[:size]
        self._lengths = self._lengths[:size]
        self._count_active()
        if hasattr(self, "latent_prior_"):
            self.latent_prior_ = marginal(self.latent_prior_, size)

    def _shares(self, variance: NDArray[Any]) -> NDArray[Any]:
        # Latents have the prior's scale, so a step along each has a length of its own.
        return super()._shares(variance * self._lengths)

    # Using the fitted model -----------------------------------------------------

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map `X` to the means of its latents' posteriors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The latents, of no unit, float32 for float32 `X` and float64 otherwise,
            sorted by how much they say of a row (`kl_per_component_`). Their prior is
            N(0, I); with ``whiten=True`` they are divided by their standard deviations
            over the training rows.
        """
        return super().transform(X)

    def _output_units(self) -> tuple[float, NDArray[Any]]:
        if self._kind == "gaussian":
            return super()._output_units()
        return 1.0, np.zeros_like(self.mean_)

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Return a lower bound of each row's log-likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats, on the scale of `X`, comparable with ``score_samples`` of ``PCA``,
            ``FactorAnalysis`` and ``GaussianMixture``. The prior is N(0, I), whatever
            `latent_prior` is. Low scores point to outliers.

        Raises
        ------
        ValueError
            If `X` is not as `fit` wants it, for example outside [0, 1] with the
            Bernoulli likelihood.
        """
        valid = self._validate(X)
        _check_range(valid, self._kind)
        normal = _normal_draws(self.n_importance_samples, self.n_components_)
        volume = self._log_volume()
        scores = np.empty(len(valid), valid.dtype)
        with self._inference(valid.dtype) as (module, device):
            draws = torch.from_numpy(normal).to(device, module.frame.mean.dtype)
            width = self._width() * len(draws)
            for rows in row_slices(len(valid), width, smallest=1):
                x = scaled(valid[rows], self.mean_, self._scale, valid.dtype)
                bound = module.log_likelihood(torch.from_numpy(x).to(device), draws)
                scores[rows] = bound.cpu().numpy() + volume
        return scores

    def score(self, X: ArrayLike, y: Any = None) -> float:  # noqa: ARG002
        """Return the mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows on the scale of the training data.
        y : None
            Ignored.

        Returns
        -------
        score : float
            A lower bound of the mean log-likelihood of a row, in nats.
        """
        return float(self.score_samples(X).mean(dtype=np.float64))

    def get_covariance(self) -> NDArray[Any]:
        """Return the covariance of the features under the model.

        It is that of the decoder's means over the prior N(0, I), by quasi-random
        numbers, plus the variance around them. What is linear in the latents is
        integrated exactly, so that for a linear model nothing is approximate.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
            In squared units of `X`.
        """
        check_is_fitted(self)
        k = self.n_components_
        u = _normal_draws(max(4096, 4 * k), k)
        unit, _ = self._output_units()
        with self._inference(np.dtype(np.float64)) as (module, device):
            inner = np.zeros((len(u), len(module.frame.mean)))
            inner[:, :k] = u
            location = module.decoder(torch.from_numpy(inner).to(device))
            likelihood = module.likelihood
            means = likelihood.mean(location).cpu().numpy()
            around = likelihood.variance(location, module.noise()).mean(dim=0)
        design = np.column_stack([np.ones(len(u)), u])
        loadings = np.linalg.lstsq(design, means)[0]
        rest = means - design @ loadings
        covariance = loadings[1:].T @ loadings[1:] + rest.T @ rest / len(u)
        covariance += np.diag(around.cpu().numpy())
        with np.errstate(over="ignore", under="ignore"):
            result: NDArray[Any] = (covariance * unit * unit).astype(self.mean_.dtype)
        return result

    def get_precision(self) -> NDArray[Any]:
        """Return the inverse of `get_covariance`.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
            In units of `X`, to the power of -2.
        """
        precision: NDArray[Any] = np.linalg.inv(self.get_covariance())
        return precision

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, noise: bool = True
    ) -> NDArray[Any]:
        """Draw new rows.

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
        generator = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
        X = np.empty((n_samples, len(self.mean_)), self.mean_.dtype)
        latents = self._latents(n_samples, random)
        with self._inference(X.dtype) as (module, device):
            for rows in row_slices(n_samples, self._width()):
                z = torch.from_numpy(latents[rows].astype(X.dtype)).to(device)
                location = module.decoder(module.frame.back(z))
                likelihood = module.likelihood
                if noise:
                    x = likelihood.sample(location, module.noise(), generator)
                else:
                    x = likelihood.mean(location)
                X[rows] = self._in_units(x.cpu().numpy())
        return X

    def _latents(self, n: int, random: np.random.RandomState) -> NDArray[Any]:
        """Draw latents from the prior, in the frame of `transform`."""
        if hasattr(self, "latent_prior_"):
            prior = self.latent_prior_
            return draw(prior, n, random)
        frame = self.net_.module_.frame
        u = torch.from_numpy(random.standard_normal((n, len(frame.mean))))
        Z: NDArray[Any] = frame(u.to(frame.mean.dtype)).numpy()
        return Z


def _check_range(X: NDArray[Any], likelihood: str) -> None:
    """Raise ValueError if rows are not what the likelihood is of."""
    low, high = float(X.min()), float(X.max())
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}; likelihood='bernoulli' "
            "wants them in [0, 1]."
        )
    if likelihood == "poisson" and (low < 0 or (np.floor(X) != X).any()):
        raise ValueError(
            f"X has values from {low:.3g} to {high:.3g}, not all of them counts; "
            "likelihood='poisson' wants non-negative whole numbers."
        )
    if likelihood == "poisson" and high > LARGEST_COUNT:
        raise ValueError(
            f"X has counts up to {high:.3g}; likelihood='poisson' wants at most "
            f"{LARGEST_COUNT:.0e}."
        )


def _normal_draws(n: int, k: int) -> NDArray[np.float64]:
    """Return n fixed quasi-random numbers from N(0, I), shape (n, k).

    They are Sobol's, shifted so that none is at an edge (Cranley & Patterson 1976).
    """
    points = qmc.Sobol(k, scramble=False).random_base2(max(0, int(n - 1).bit_length()))
    shift = np.random.RandomState(0).uniform(size=k)
    uniform = ((points[:n] + shift) % 1.0).clip(1e-12, 1 - 1e-12)
    return np.asarray(norm.ppf(uniform))


def _sorted_frame(order: Tensor, moments: Moments) -> LatentFrame:
    """Return the frame of some latents in this order, with signs like PCA's."""
    size = signs(moments.cross_covariance)
    matrix = torch.diag(size)[:, order]
    return LatentFrame(torch.zeros_like(moments.mean), matrix, matrix.mT)
