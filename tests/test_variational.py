"""VariationalAutoencoder: probabilistic PCA and factor analysis, bounds, samples."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import generator, identity_scaling, normal
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gammaln
from scipy.stats import ks_2samp, multivariate_normal, norm
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn
from torch.testing import assert_close

from sklatent import VariationalAutoencoder
from sklatent.model import normal_draws
from sklatent.nn import (
    MLP,
    Batch,
    Bernoulli,
    Gaussian,
    LatentFrame,
    NegativeBound,
    NestedDecoder,
    NoiseVariance,
    Poisson,
    ResidualMap,
    Sizes,
    VariationalModel,
    kl_to_prior,
)
from sklatent.rows import as_rows, rows_of
from sklatent.starts import (
    AggregatedPosterior,
    LatentPrior,
    Noise,
    choose_noise,
    factor_analysis_start,
    feature_quantiles,
    log_likelihood,
    ppca_start,
)

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 5, "random_state": 0}
LOADERS = {"wine": load_wine, "cancer": load_breast_cancer, "digits": load_digits}
GAUSSIANS = ("shared", "feature")


def quick(k=2, **params):
    return VariationalAutoencoder(k, **{"early_stopping": False, **QUICK, **params})


def linear(k, **params):
    return VariationalAutoencoder(k, hidden_layer_sizes=(), **params)


def standardised(name):
    X = LOADERS[name]().data
    return StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])


def binary(digits):
    return (digits > 8).astype(float)


# The linear start is the classic -------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 8])
@pytest.mark.parametrize("data", LOADERS)
@pytest.mark.parametrize("scaled", [False, True])
def test_the_shared_start_is_probabilistic_pca(data, k, scaled):
    X = standardised(data) if scaled else LOADERS[data]().data
    model = linear(k, noise_variance="shared").fit(X)
    varying = X[:, np.ptp(X, axis=0) > 0]
    pca = PCA(k).fit(varying)
    # Constant columns count as in FactorAnalysis, with a variance of 1e-12.
    constant = (X.shape[1] - varying.shape[1]) * norm.logpdf(0, scale=1e-6)
    expected = pca.score_samples(varying) + constant
    assert_allclose(model.score_samples(X), expected, rtol=1e-6, atol=1e-6)
    assert model.score(X) == pytest.approx(pca.score(varying) + constant, abs=1e-6)
    assert model.noise_variance_ == pytest.approx(pca.noise_variance_)
    # The posterior's means are PCA's latents, scaled.
    Z, expected = model.transform(X), pca.transform(varying)
    correlation = np.corrcoef(Z.T, expected.T)[:k, k:]
    assert_allclose(correlation, np.eye(k), atol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("data", ["wine", "cancer"])
def test_the_start_with_a_variance_for_each_feature_is_factor_analysis(data, k):
    X = standardised(data)
    model = linear(k, noise_variance="feature", random_state=0).fit(X)
    classic = FactorAnalysis(k).fit(X)
    assert_allclose(model.score_samples(X), classic.score_samples(X), atol=0.05)
    assert model.score(X) == pytest.approx(classic.score(X), abs=0.01)
    assert_allclose(
        model.noise_variance_, classic.noise_variance_, rtol=1e-3, atol=1e-4
    )


def test_nearly_dependent_features_are_as_likely_as_in_factor_analysis():
    """The noise's floor must not be above what such features leave."""
    X = standardised("wine")
    noise = 1e-5 * np.random.default_rng(0).normal(size=len(X))
    X = StandardScaler().fit_transform(np.column_stack([X, X[:, 0] + X[:, 1] + noise]))
    model = linear(5, random_state=0).fit(X)
    assert model.score(X) > FactorAnalysis(5).fit(X).score(X) - 0.01 * X.shape[1]
    assert (model.noise_variance_ / X.var(axis=0)).min() < 1e-9


@pytest.mark.parametrize("k", [2, 5])
def test_factor_analysis_is_the_same_in_all_units(k):
    X = standardised("cancer")
    units = 10.0 ** np.linspace(-4, 4, X.shape[1])
    params = {"noise_variance": "feature", "random_state": 0}
    one, other = linear(k, **params).fit(X), linear(k, **params).fit(X * units)
    expected = one.score(X) - np.log(units).sum()
    assert other.score(X * units) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("noise_variance", GAUSSIANS)
def test_the_elbo_of_the_start_is_its_likelihood(noise_variance):
    """No importance weighting: the mean over many draws of the bound itself."""
    X = standardised("wine")
    model = linear(3, noise_variance=noise_variance).fit(X)
    module = model.net_.module_
    x = torch.from_numpy((X - model.mean_) / model._summary.unit)
    bound = NegativeBound(Gaussian(), 1.0, 0.0, 0.0)
    draws = torch.from_numpy(normal_draws(4096, 3))
    with torch.no_grad():
        batches = [Batch(x, x, noise=draw.expand(len(x), 3)) for draw in draws]
        elbos = [-bound.rows(module.forward_scaled(b), b).mean() for b in batches]
    elbo = float(np.mean(elbos)) + module.log_volume
    assert elbo == pytest.approx(model.score(X), abs=1e-3 * X.shape[1])
    assert elbo <= model.score(X) + 1e-3


def test_starts_have_a_diagonal_posterior():
    X = standardised("cancer")
    for start in (ppca_start(X, 4, 0), factor_analysis_start(X, 4, Noise(False), 0)):
        noise = np.broadcast_to(start.noise_variance, X.shape[1:])
        W = start.decoder_weight
        precision = np.eye(4) + (W / noise) @ W.T
        assert_allclose(
            np.linalg.inv(precision), np.diag(start.posterior_variance), atol=1e-9
        )
        covariance = W.T @ W + np.diag(noise)
        exact = multivariate_normal(start.decoder_bias, covariance).logpdf(X)
        assert_allclose(log_likelihood(start, X), exact, rtol=1e-6)


def test_beyond_the_rank_latents_say_nothing():
    X = np.random.default_rng(0).normal(size=(40, 4)) @ np.diag([3, 2, 1, 1])
    model = linear(6, noise_variance="shared").fit(X)
    assert_allclose(model.kl_per_component_[4:], 0, atol=1e-12)
    assert np.isfinite(model.score(X))


# The choice of the noise ---------------------------------------------------------


def test_each_kind_of_noise_is_chosen_where_it_is_true():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 12))
    noise = rng.normal(size=signal.shape)
    assert choose_noise(signal + noise, 2, "auto", 0).shared
    uneven = noise * np.geomspace(0.05, 3, 12)
    assert not choose_noise(signal + uneven, 2, "auto", 0).shared
    assert not choose_noise(signal + noise, 2, "feature", 0).shared
    assert choose_noise(signal + uneven, 2, "shared", 0).shared


def test_features_that_are_rarely_lit_get_a_floor():
    rng = np.random.default_rng(0)
    lit = rng.uniform(size=(600, 60)) < np.where(np.arange(60) < 10, 0.5, 0.003)
    assert choose_noise(lit * rng.normal(size=lit.shape), 2, "feature", 0).least > 0
    assert choose_noise(standardised("wine"), 2, "feature", 0).least == 0


def test_a_few_bad_rows_do_not_choose_the_noise():
    rng = np.random.default_rng(0)
    uneven = rng.normal(size=(600, 12)) * np.geomspace(0.05, 3, 12)
    X = uneven + rng.normal(size=(600, 2)) @ rng.normal(size=(2, 12))
    noise = choose_noise(X, 2, "auto", 0)
    assert noise == Noise(shared=False, least=0.0)
    floor = noise.floor(as_rows(X))
    for factor in (10, 1e4):
        bad = X.copy()
        bad[[5, 77]] *= factor
        assert choose_noise(bad, 2, "auto", 0) == noise
    assert_allclose(noise.floor(as_rows(bad)), floor, rtol=0.1)


@pytest.mark.filterwarnings("ignore:The training loss became")
@pytest.mark.parametrize("factor", [10, pytest.param(1e2, marks=pytest.mark.slow), 1e4])
@pytest.mark.parametrize(
    "noise_variance", ["auto", pytest.param("shared", marks=pytest.mark.slow)]
)
def test_a_bad_row_makes_no_other_row_less_likely(factor, noise_variance):
    X = standardised("cancer")
    bad = X.copy()
    bad[7] *= factor
    params = {"noise_variance": noise_variance, "random_state": 0}
    start = linear(5, **params).fit(bad).score(X)
    model = quick(5, early_stopping="auto", max_iter=10, noise_variance=noise_variance)
    assert model.fit(bad).score(X) > start - 0.01 * X.shape[1]
    assert start > PCA(5).fit(bad).score(X) - 0.01 * X.shape[1]
    if noise_variance == "auto":
        assert start > FactorAnalysis(5).fit(bad).score(X) - 0.01 * X.shape[1]
    assert np.abs(model.sample(1000, random_state=0)).max() < 100


def test_a_row_that_is_far_off_has_a_finite_posterior(digits):
    """Networks may give any logarithm of its variance."""
    module = quick(3, max_iter=2).fit(digits).net_.module_
    x = module.scaling.to_scaled(torch.from_numpy(digits))
    for factor in (1, 1e2, 1e4):
        mean, log_variance = module.posterior(factor * x)
        assert torch.isfinite(mean).all()
        assert log_variance.max() <= 5
        assert torch.isfinite(
            module.log_likelihood(factor * x[:20], normal(8, 3))
        ).all()


# Networks, likelihoods, gradients ------------------------------------------------


def module(likelihood, *, each=True, ordered=False):
    def residual(n_in, n_out):
        sizes = (n_in, 7, n_out)
        network = MLP(sizes, "silu", zero_last=False, generator=generator())
        size = normal(n_out).abs()
        return ResidualMap(normal(n_in, n_out), normal(n_out), network, size)

    variance = torch.full((3 if ordered else 1, 5 if each else 1), 0.7).double()
    noise = NoiseVariance(variance, 0.1 * variance[0])
    frame = LatentFrame.scaling(torch.ones(3))
    decoder, spread = residual(3, 5), None
    if ordered:
        decoder = NestedDecoder([residual(3, 5), residual(3, 5)], [1, 3])
        spread = normal(3, 3, seed=3)
    return VariationalModel(
        residual(5, 6),
        decoder,
        frame,
        identity_scaling(5),
        noise=noise,
        likelihood=likelihood,
        spread=spread,
    ).double()


def likelihoods():
    mean, scale = torch.full((5,), 0.4).double(), torch.tensor(0.3).double()
    return {
        "gaussian": Gaussian(),
        "bernoulli": Bernoulli(mean, scale),
        "poisson": Poisson(mean * 10, scale * 10),
    }


@pytest.mark.parametrize("sizes", [None, [1, 1, 1, 2, 2, 2, 3, 3, 3], [2] * 9])
@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "poisson"])
@pytest.mark.parametrize("terms", [(1.0, 0.0, 0.0), (0.5, 0.8, 0.0), (2.0, 0.0, 1.2)])
def test_the_gradient_written_out_is_that_of_autograd(kind, each, terms, sizes):
    likelihood, ordered = likelihoods()[kind], sizes is not None
    net = module(likelihood, each=each, ordered=ordered)
    bound = NegativeBound(likelihood, *terms)
    x, noise = normal(9, 5) * 0.2, normal(9, 3, seed=1)
    batch = Batch(x, x, noise, Sizes.of(torch.tensor(sizes)) if ordered else None)
    loss = bound(net.forward_scaled(batch), batch, 0.3)
    loss.backward()
    expected = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in net.named_parameters()
    }
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    with torch.no_grad():
        output, tape = net.forward_with_tape(batch)
        value, grad = bound.gradient(output, batch, 0.3)
        net.backward(tape, grad)
    assert_close(value, loss)
    for name, parameter in net.named_parameters():
        assert_close(parameter.grad, expected[name], msg=name)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "poisson"])
def test_variance_is_that_of_what_is_drawn(kind):
    likelihood, location = likelihoods()[kind], normal(3, 5)
    log_variance = normal(5, seed=2)
    draws = torch.stack(
        [likelihood.sample(location, log_variance, generator(i)) for i in range(4000)]
    )
    variance = likelihood.variance(location, log_variance)
    assert variance.shape == location.shape
    assert_close(draws.double().var(dim=0), variance, rtol=0.2, atol=0.01)


def test_what_is_not_in_use_has_the_prior_and_no_part_in_the_bound():
    net = module(Gaussian(), ordered=True)
    x, sizes = normal(4, 5), torch.tensor([1, 1, 2, 3])
    mean, log_variance = net.posterior(x, Sizes.of(sizes))
    full, _ = net.posterior(x)
    for i, size in enumerate(sizes):
        assert_close(mean[i, :size], full[i, :size])
        assert (mean[i, size:] == 0).all()
        assert (log_variance[i, size:] == 0).all()
    draws = normal(6, 2, seed=5)
    net.truncate(2)
    assert net.noise.start.shape == (2, 5)
    # The bound with two latents in use, written down.
    mean, log_variance = (part[:, :2] for part in net.posterior(x))
    u = mean[:, None] + torch.exp(0.5 * log_variance)[:, None] * draws
    padded = torch.nn.functional.pad(u, (0, 1)).flatten(0, 1)
    location = net.decoder.parts[1](padded).view(4, 6, 5)
    variance = net.noise().exp()
    log_p = torch.distributions.Normal(location, variance.sqrt()).log_prob(x[:, None])
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(u).sum(2)
    q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    log_q = q.log_prob(u.transpose(0, 1)).sum(2).T
    expected = torch.logsumexp(log_p.sum(2) + prior - log_q, 1) - np.log(6)
    assert_close(net.log_likelihood(x, draws), expected)


def test_likelihoods_are_those_of_scipy_formulas():
    x, location = normal(4, 5) * 0.2, normal(4, 5, seed=1)
    kinds = likelihoods()
    log_variance = normal(5, seed=2)
    exact = torch.distributions.Normal(location, torch.exp(0.5 * log_variance))
    assert_close(
        kinds["gaussian"].nll(location, log_variance, x), -exact.log_prob(x).sum(1)
    )
    one = log_variance[:1]
    same = kinds["gaussian"].nll(location, one.expand(5), x)
    assert_close(kinds["gaussian"].nll(location, one, x), same)
    p = kinds["bernoulli"].rows(x).round().clamp(0, 1)
    rows = (p - 0.4) / 0.3
    exact = torch.distributions.Bernoulli(logits=location).log_prob(p).sum(1)
    assert_close(kinds["bernoulli"].nll(location, one, rows), -exact)
    counts = torch.tensor([[0.0, 1, 2, 3, 9]]).double()
    nll = kinds["poisson"].nll(location[:1], one, (counts - 4) / 3)
    rate = location[:1].exp().numpy()
    c = counts.numpy()
    assert_allclose(nll, -(c * np.log(rate) - rate - gammaln(c + 1)).sum(1))


def test_kl_is_that_of_torch():
    mean, log_variance = normal(4, 3), normal(4, 3, seed=1)
    q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    p = torch.distributions.Normal(torch.zeros(3).double(), torch.ones(3).double())
    exact = torch.distributions.kl_divergence(q, p)
    assert_close(kl_to_prior(mean, log_variance), exact)


def test_noise_variance_starts_where_it_should_and_has_a_floor():
    noise = NoiseVariance(torch.tensor([[2.0, 0.5]]), torch.tensor([0.1, 0.1]))
    assert_close(noise().exp(), torch.tensor([2.0, 0.5]))
    with torch.no_grad():
        noise.shift.fill_(-100.0)
    assert_close(noise().exp(), torch.tensor([0.1, 0.1]))


def test_warmup_and_free_bits():
    bound = NegativeBound(Gaussian(), 2.0, 0.5, 0.0)
    assert bound.weight(1.0) == 2.0
    assert bound.weight(0.25) == 1.0
    assert bound.weight(0.7) == 2.0
    assert NegativeBound(Gaussian(), 2.0, 0.0, 0.0).weight(0.0) == 2.0


# Scores --------------------------------------------------------------------------


def test_more_importance_samples_are_a_tighter_bound(digits):
    X = digits[:, digits.std(0) > 0]
    model = quick(4, max_iter=20).fit(X)
    scores = [
        model.set_params(n_importance_samples=n).score(X) for n in (1, 8, 64, 512)
    ]
    assert scores == sorted(scores)
    assert scores[3] - scores[2] < scores[1] - scores[0]


def test_scores_do_not_depend_on_company(digits):
    model = quick(3).fit(digits)
    whole = model.score_samples(digits[:40])
    single = np.concatenate([model.score_samples(row[None]) for row in digits[:40]])
    assert_allclose(single, whole, rtol=1e-10)
    assert_array_equal(model.score_samples(digits[:40]), whole)
    assert model.score(digits[:40]) == pytest.approx(whole.mean())


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scores_are_on_the_scale_of_the_data(digits, factor):
    X = digits[:, digits.std(0) > 0]
    one, other = quick(2).fit(X), quick(2).fit(X * factor)
    volume = X.shape[1] * np.log(factor)
    assert other.score(X * factor) + volume == pytest.approx(one.score(X), abs=0.1)
    assert_allclose(
        other.noise_variance_ / factor**2, one.noise_variance_, rtol=1e-2, atol=1e-6
    )


@pytest.mark.parametrize(
    "stratify", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_better_than_its_start_and_the_classics(stratify):
    X, y = load_digits(return_X_y=True)
    split = {"test_size": 0.3, "stratify": y} if stratify else {}
    X_train, X_test = train_test_split(X, random_state=0, **split)
    lit = X_train.std(axis=0) > 0
    X_train, X_test = X_train[:, lit], X_test[:, lit]
    model = VariationalAutoencoder(8, random_state=0).fit(X_train)
    start = linear(8, random_state=0).fit(X_train)
    assert model.best_iteration_ > 0
    assert model.score(X_test) > start.score(X_test) + 5
    for classic in (PCA(8), FactorAnalysis(8)):
        assert model.score(X_test) > classic.fit(X_train).score(X_test) + 10
    # The held-out scores are on the same scale, with one draw and not 64.
    assert abs(model.best_validation_score_ - model.score(X_test)) < 15


def test_score_samples_find_outliers():
    X = standardised("cancer")
    model = quick(4).fit(X)
    broken = X[:50].copy()
    broken[:, ::3] = np.random.default_rng(0).permutation(broken[:, ::3])
    assert model.score(broken) < model.score(X[:50]) - 5


# Latents -------------------------------------------------------------------------


def test_latents_are_sorted_by_what_they_say(digits):
    model = quick(6).fit(digits)
    kl = model.kl_per_component_
    assert kl.shape == (6,)
    assert (np.diff(kl) <= 0).all()
    assert model.n_active_components_ == (kl > 0.01).sum() == 6
    Z = model.transform(digits)
    cross = (Z - Z.mean(0)).T @ (digits - digits.mean(0))
    assert (cross[np.arange(6), np.abs(cross).argmax(axis=1)] > 0).all()
    # The same numbers from the latents themselves, in their order.
    module = model.net_.module_
    with torch.no_grad():
        x = module.scaling.to_scaled(torch.from_numpy(digits))
        mean, log_variance = module.posterior(x)
    own = kl_to_prior(mean, log_variance).mean(0).numpy()
    assert_allclose(np.sort(own)[::-1], kl, rtol=1e-6)
    order = own.argsort()[::-1]
    assert_allclose(np.abs(Z), np.abs(mean.numpy()[:, order]), rtol=1e-9)


def test_whiten(digits):
    plain, white = quick(3).fit(digits), quick(3, whiten=True).fit(digits)
    Z = white.transform(digits)
    assert_allclose(Z.std(axis=0, ddof=1), 1)
    assert_allclose(white.reconstruct(digits), plain.reconstruct(digits), atol=1e-8)
    assert white.score(digits) == pytest.approx(plain.score(digits))


@pytest.mark.filterwarnings("error")
def test_no_active_latent_warns():
    X = np.random.default_rng(0).normal(size=(300, 4))
    with pytest.warns(ConvergenceWarning, match="No latent is active.*smaller beta"):
        model = quick(1, beta=1000.0, max_iter=60, init="random").fit(X)
    assert model.n_active_components_ == 0


def test_free_bits_keep_latents_in_use():
    X = np.random.default_rng(0).normal(size=(300, 4))
    params = {"max_iter": 60, "init": "random", "beta": 20.0}
    with pytest.warns(ConvergenceWarning):
        quick(2, **params).fit(X)
    assert quick(2, free_bits=0.5, **params).fit(X).n_active_components_ == 2


def test_kl_warmup_changes_training(digits):
    plain, warmed = (
        quick(2, kl_warmup=share, max_iter=10).fit(digits) for share in (0.0, 1.0)
    )
    assert warmed.kl_per_component_.sum() > plain.kl_per_component_.sum()


def test_beta_trades_information(digits):
    kl = [
        quick(4, beta=beta, max_iter=20).fit(digits).kl_per_component_.sum()
        for beta in (0.2, 1.0, 5.0)
    ]
    assert kl[0] > kl[1] > kl[2]


# Likelihoods ---------------------------------------------------------------------


def test_bernoulli(digits):
    X = binary(digits)
    X_train, X_test = X[:1300], X[1300:]
    start = linear(8, likelihood="bernoulli").fit(X_train)
    rate = X_train.mean(0).clip(1e-3, 1 - 1e-3)
    independent = (X_test * np.log(rate) + (1 - X_test) * np.log1p(-rate)).sum(1)
    assert start.score(X_test) > independent.mean() + 3
    model = VariationalAutoencoder(8, likelihood="bernoulli", random_state=0)
    model.fit(X_train)
    assert model.score(X_test) > start.score(X_test) + 1
    X_hat = model.reconstruct(X_test)
    assert X_hat.min() >= 0
    assert X_hat.max() <= 1
    assert set(np.unique(model.sample(50, random_state=0))) == {0.0, 1.0}
    assert not hasattr(model, "noise_variance_")


def test_poisson():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(900, 2))
    rates = np.exp(0.7 * latents @ rng.normal(size=(2, 10)) + 0.5)
    X = rng.poisson(rates).astype(float)
    X_train, X_test = X[:600], X[600:]
    model = VariationalAutoencoder(2, likelihood="poisson", random_state=0)
    model.fit(X_train)
    rate = X_train.mean(0)
    independent = (X_test * np.log(rate) - rate - gammaln(X_test + 1)).sum(1).mean()
    best = (X_test * np.log(rates[600:]) - rates[600:] - gammaln(X_test + 1)).sum(1)
    assert independent + 3 < model.score(X_test) < best.mean()
    sample = model.sample(2000, random_state=0)
    assert (sample == np.floor(sample)).all()
    # Of rates with a long tail, which samples do not reach, the mean is too small.
    assert_allclose(sample.mean(0), rate, rtol=0.45)


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize(
    ("likelihood", "X", "message"),
    [
        ("bernoulli", [[0.0, 2.0], [1.0, 0.0]], r"from 0 to 2; .* in \[0, 1\]"),
        ("poisson", [[0.0, 0.5], [1.0, 0.0]], "not all of them counts"),
        ("poisson", [[0.0, -1.0], [1.0, 0.0]], "from -1 to 1"),
    ],
)
def test_rows_that_a_likelihood_cannot_have(likelihood, X, message):
    model = quick(1, likelihood=likelihood)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    good = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model.fit(good)
    with pytest.raises(ValueError, match=message):
        model.score_samples(X)


# Samples -------------------------------------------------------------------------


@pytest.mark.parametrize("noise_variance", GAUSSIANS)
def test_samples_of_a_linear_model_have_its_covariance(noise_variance):
    X = standardised("wine")
    model = linear(3, noise_variance=noise_variance, latent_prior="standard").fit(X)
    sample = model.sample(40_000, random_state=0)
    classic = PCA(3) if noise_variance == "shared" else FactorAnalysis(3)
    assert_allclose(sample.mean(0), X.mean(0), atol=0.05)
    assert_allclose(np.cov(sample.T), classic.fit(X).get_covariance(), atol=0.06)


def test_samples(digits):
    model = quick(4).fit(digits.astype(np.float32))
    X = model.sample(7, random_state=0)
    assert X.shape == (7, 64)
    assert X.dtype == np.float32
    assert model.sample().shape == (1, 64)
    assert_array_equal(X, model.sample(7, random_state=0))
    assert not np.array_equal(X, model.sample(7, random_state=1))
    smooth = model.sample(2000, random_state=0, noise=False)
    rough = model.sample(2000, random_state=0)
    assert smooth.var(0).sum() < rough.var(0).sum()
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        model.sample(0)


def test_draws_of_a_mixture_have_its_moments():
    rng = np.random.default_rng(0)
    Z = np.concatenate(
        [rng.normal(size=(200, 2)) @ [[1, 2], [0, 0.5]] + 3 * s for s in (-1, 1)]
    )
    mixture = GaussianMixture(2, random_state=0).fit(Z)
    prior = LatentPrior(mixture, np.zeros(2), np.ones(2))
    drawn = prior.draw(20_000, np.random.RandomState(0))
    labels = mixture.predict(drawn)
    for i, mean in enumerate(mixture.means_):
        own = drawn[labels == i]
        assert_allclose(own.mean(axis=0), mean, atol=0.1)
        assert_allclose(np.cov(own.T), mixture.covariances_[i], rtol=0.1, atol=0.05)


def test_a_mixture_as_the_prior():
    rng = np.random.default_rng(0)
    centres = np.array([[4, 0, 0, 0], [-4, 0, 0, 0], [0, 4, 0, 0]])
    X = centres[rng.integers(3, size=900)] + 0.3 * rng.normal(size=(900, 4))
    params = {"max_iter": 20, "batch_size": 64}
    standard, mixture, posteriors = (
        quick(2, latent_prior=prior, **params).fit(X)
        for prior in ("standard", "gaussian_mixture", "aggregated_posterior")
    )
    assert isinstance(mixture.latent_prior_, GaussianMixture)
    assert not hasattr(standard, "latent_prior_")
    assert not hasattr(posteriors, "latent_prior_")

    def distance(model):
        sample = model.sample(2000, random_state=0)
        return np.linalg.norm(sample[:, None] - centres, axis=2).min(axis=1).mean()

    assert distance(mixture) < 0.7 * distance(standard)
    assert distance(posteriors) < 0.7 * distance(standard)


@pytest.mark.parametrize("noise_variance", GAUSSIANS)
def test_the_mean_of_exact_posteriors_has_the_moments_of_the_prior(noise_variance):
    X, prior = standardised("wine"), "aggregated_posterior"
    model = linear(3, noise_variance=noise_variance, latent_prior=prior).fit(X)
    found = model._summary.latent_prior
    assert_allclose(found.centers.mean(axis=0), 0, atol=1e-5)
    n = len(X) - 1 if noise_variance == "shared" else len(X)  # as PCA has it, or FA
    second = found.centers.T @ found.centers / n
    second += np.diag(np.square(found.widths).mean(axis=0))
    assert_allclose(second, np.eye(3), atol=1e-4)


def test_all_posteriors_are_drawn_from_equally_often():
    centers, margins = np.arange(3.0)[:, None], np.ones(2)
    prior = AggregatedPosterior(centers, 0 * centers, margins, margins)
    for n, counts in ((9, {3}), (8, {2, 3}), (2, {0, 1})):
        drawn = prior.draw(n, np.random.RandomState(0))
        assert drawn.shape == (n, 1)
        assert {int((drawn == center).sum()) for center in centers} == counts
    first = [prior.draw(1, np.random.RandomState(seed))[0, 0] for seed in range(300)]
    assert np.mean(first) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("params", [{"whiten": True}, {"ordered": True}])
def test_posteriors_are_drawn_from_in_any_frame(params):
    """Three groups of rows whose places are known, and so is the spread around them."""
    rng = np.random.default_rng(0)
    groups = np.array([[4.0, 0, 0, 0], [-4, 0, 0, 0], [0, 4, 0, 0]])
    X = np.repeat(groups, 100, axis=0) + 0.3 * rng.normal(size=(300, 4))
    prior = {"latent_prior": "aggregated_posterior", "random_state": 0}
    model = linear(3, noise_variance="shared", **prior, **params).fit(X)
    if "ordered" in params:
        model = model.truncate(2)
    for each in (model, pickle.loads(pickle.dumps(model))):
        drawn = each.sample(300, random_state=0)
        steps = drawn[:, None] - groups
        nearest = np.linalg.norm(steps, axis=2).argmin(axis=1)
        assert_array_equal(np.bincount(nearest), [100] * 3)
        assert 0.25 < steps[np.arange(300), nearest].std() < 0.5


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods_draw_from_posteriors(digits, likelihood):
    X = binary(digits) if likelihood == "bernoulli" else digits
    model = quick(3, likelihood=likelihood, latent_prior="aggregated_posterior").fit(X)
    drawn = model.sample(2000, random_state=0)
    off = np.abs(drawn.mean(axis=0) - X.mean(axis=0))
    assert (off < 0.1 * X.std() + 0.1 * X.mean(axis=0)).all()


def test_rows_without_weight_are_not_drawn_from():
    X = np.concatenate([standardised("wine"), 1e3 + np.zeros((40, 13))])
    weights = np.arange(len(X)) < 178
    model = linear(2, latent_prior="aggregated_posterior", random_state=0)
    drawn = model.fit(X, sample_weight=weights.astype(float)).sample(500, 0)
    assert np.abs(drawn).max() < 20


def test_samples_are_distributed_as_the_rows(digits):
    """The mean within 0.1 standard deviations, and these within 15%."""
    X = digits[:600, digits[:600].std(axis=0) > 1]
    model = quick(2, max_iter=30).fit(X)

    def worst(model):
        drawn, std = model.sample(20_000, random_state=0), X.std(axis=0)
        shift = np.abs(drawn.mean(axis=0) - X.mean(axis=0)) / std
        return shift.max(), np.abs(drawn.std(axis=0) / std - 1).max()

    assert (np.array(worst(model)) < [0.1, 0.15]).all()
    model.set_params(latent_prior="standard").fit(X)
    assert (np.array(worst(model)) > [0.1, 0.15]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_of_features_with_long_tails_have_their_deviation(dtype):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(900, 3)) @ rng.normal(size=(3, 8)) / 2
    X = np.exp(normal + 0.5 * rng.normal(size=normal.shape)).astype(dtype)
    model = quick(3, max_iter=3, noise_variance="shared").fit(X)
    drawn = model.sample(30_000, random_state=1)
    assert drawn.dtype == dtype
    typical = rows_of(X).typical()
    mean = typical.in_units().mean(axis=0)
    std = typical.in_units().std(axis=0)
    assert (np.abs(drawn.mean(axis=0) - mean) < 0.1 * std).all()
    assert_allclose(drawn.std(axis=0), std, rtol=0.15)
    model.set_params(latent_prior="standard").fit(X)
    drawn = model.sample(30_000, random_state=1)
    assert (np.abs(drawn.std(axis=0) / std - 1) > 0.25).any()


def curious_rows(n):
    """Features with zeros, whole numbers, a long tail and two peaks."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=n)
    zeros, whole, tail, peaks = common[:, None] + 0.5 * rng.normal(size=(4, n, 1))
    columns = zeros.clip(min=0), np.round(2 * whole), np.exp(tail), np.cbrt(peaks)
    return np.hstack(columns)


@pytest.mark.parametrize("prior", ["gaussian_mixture", "aggregated_posterior"])
def test_draws_have_the_quantiles_of_the_training_rows(prior):
    X = curious_rows(900)
    model = linear(2, latent_prior=prior, random_state=0).fit(X)
    drawn = model.sample(4000, random_state=1)
    for j in range(4):
        assert ks_2samp(drawn[:, j], X[:, j]).statistic < 0.06
    assert (drawn[:, 0] == 0).mean() == pytest.approx((X[:, 0] == 0).mean(), abs=0.04)
    assert (drawn[:, 1] == drawn[:, 1].round()).mean() > 0.8
    assert (X.min(axis=0) <= drawn.min(axis=0)).all()
    assert (drawn.max(axis=0) <= X.max(axis=0)).all()
    # As a model of an earlier version draws them: the same order in each feature.
    summary = model._summary
    model._summary = replace(
        summary, latent_prior=replace(summary.latent_prior, quantiles=None)
    )
    before = model.sample(4000, random_state=1)
    for column, other in zip(drawn.T, before.T, strict=True):
        assert (np.diff(column[other.argsort()]) >= 0).all()
    assert (before[:, 0] != 0).all()


def test_quantiles_of_as_many_levels_as_rows_are_the_known_values():
    X = np.array([[3.0, 1], [1, np.nan], [2, 5], [9, np.nan]])
    assert_array_equal(feature_quantiles(X[:, :1], 4), [[1], [2], [3], [9]])
    assert_array_equal(feature_quantiles(X[:, 1:], 2), [[1], [5]])
    assert np.isnan(feature_quantiles(np.full((4, 1), np.nan), 2)).all()


def test_draws_have_the_quantiles_of_known_cells():
    X = curious_rows(400)[:, :2]
    share = (X[:, 0] == 0).mean()
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    model = linear(1, missing="ignore", random_state=0).fit(X)
    drawn = model.sample(4000, random_state=1)
    assert (drawn[:, 0] == 0).mean() == pytest.approx(share, abs=0.06)
    assert np.isfinite(drawn).all()


def test_the_mixture_is_of_the_posteriors_and_not_of_their_means():
    X = np.random.default_rng(0).normal(size=(900, 6))
    X[:, 0] *= 1.3  # says little of a row: the posterior is wide
    model = linear(1, noise_variance="shared", random_state=0).fit(X)
    assert model.transform(X).var() < 0.7
    drawn = model.latent_prior_.sample(20_000)[0]
    assert drawn.var() == pytest.approx(1, abs=0.05)


def test_a_refit_with_another_prior_forgets_the_first(digits):
    model = quick(2, latent_prior="gaussian_mixture").fit(digits[:200])
    model.set_params(latent_prior="standard").fit(digits[:200])
    assert not hasattr(model, "latent_prior_")


# As the others -------------------------------------------------------------------


@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_dtypes(digits, given):
    X = digits.astype(given)
    model = quick(3).fit(X)
    for result in (
        model.transform(X),
        model.reconstruct(X),
        model.score_samples(X),
        model.sample(2),
    ):
        assert result.dtype == given
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert_array_equal(twin.score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_same_seed_same_bits(digits, early_stopping):
    state = torch.get_rng_state()
    X = digits[:300]
    one, other = (
        quick(2, early_stopping=early_stopping).fit(X).score_samples(X)
        for _ in range(2)
    )
    assert_array_equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def own_encoder(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, n_outputs))


@pytest.mark.parametrize("init", ["pca", "random"])
def test_own_networks(digits, init):
    model = quick(3, encoder=own_encoder, init=init).fit(digits)
    assert model.transform(digits).shape == (len(digits), 3)
    assert np.isfinite(model.score(digits))
    with pytest.raises(ValueError, match=r"encoder maps .* \(n_samples, 6\)"):
        quick(3, encoder=nn.Linear(64, 3)).fit(digits)


@pytest.mark.parametrize("n_samples", [2, 3, 11])
@pytest.mark.parametrize("noise_variance", ["auto", *GAUSSIANS])
@pytest.mark.filterwarnings("ignore:No latent is active")
def test_few_rows(n_samples, noise_variance):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    model = VariationalAutoencoder(2, noise_variance=noise_variance, max_iter=5).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.sample(3)).all()


@pytest.mark.filterwarnings("ignore:No latent is active")
def test_constant_data():
    model = VariationalAutoencoder(2, random_state=0).fit(np.full((30, 3), 7.0))
    assert_allclose(model.sample(3, noise=False), 7.0)
    assert np.isfinite(model.score(np.full((2, 3), 7.0)))


def test_in_a_pipeline_and_a_grid():
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), quick(5), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.9
    grid = GridSearchCV(quick(), {"n_components": [1, 4]}, cv=2, n_jobs=2)
    assert grid.fit(standardised("cancer")).best_params_ == {"n_components": 4}


def test_warm_start_continues(digits):
    model = quick(2, warm_start=True).fit(digits)
    first = model.score(digits)
    assert model.fit(digits).score(digits) > first
    with pytest.raises(ValueError, match="likelihood='bernoulli', but the fitted"):
        model.set_params(likelihood="bernoulli").fit(binary(digits))


def test_draws_are_normal_and_fixed():
    draws = normal_draws(1024, 5)
    assert_allclose(draws.mean(0), 0, atol=0.02)
    assert_allclose(np.cov(draws.T), np.eye(5), atol=0.05)
    assert_array_equal(draws, normal_draws(1024, 5))
    assert normal_draws(1, 3).shape == (1, 3)
    assert normal_draws(100, 3).shape == (100, 3)


def test_parameters_set_after_fit_do_not_matter_to_scores(digits):
    model = quick(2).fit(digits)
    scores, X_hat = model.score_samples(digits), model.reconstruct(digits)
    model.set_params(likelihood="bernoulli", noise_variance="shared", beta=3.0)
    assert_array_equal(model.score_samples(digits), scores)
    assert_array_equal(model.reconstruct(digits), X_hat)


# Found by a review ---------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 40), (15, 12), (11, 100)])
@pytest.mark.filterwarnings("ignore:No latent is active")
def test_wide_data(shape):
    X = np.random.default_rng(0).normal(size=shape)
    for noise_variance in ("auto", "feature"):
        model = VariationalAutoencoder(noise_variance=noise_variance, **QUICK).fit(X)
        assert np.isfinite(model.score(X))


@pytest.mark.parametrize("n", [5, 20])
@pytest.mark.parametrize("noise_variance", ["auto", *GAUSSIANS])
def test_constant_data_has_no_active_latent(n, noise_variance):
    X = np.ones((n, 3))
    with pytest.warns(ConvergenceWarning, match="No latent is active"):
        model = VariationalAutoencoder(
            2,
            noise_variance=noise_variance,
            latent_prior="gaussian_mixture",
            random_state=0,
        ).fit(X)
    assert_allclose(model.kl_per_component_, 0, atol=1e-9)


def test_large_counts():
    X = np.random.default_rng(0).poisson(5, size=(80, 4)) * 1e7
    model = quick(2, likelihood="poisson").fit(X)
    assert np.isfinite(model.score(X))
    assert model.score(X) < 0
    with pytest.raises(ValueError, match="counts up to .*; .* at most 1e\\+12"):
        model.fit(X * 1e7)


def test_data_whose_square_is_no_float(digits):
    model = quick(2).fit(digits * 1e200)
    assert np.isfinite(model.score(digits * 1e200))


def test_a_warm_start_on_other_data_is_no_divergence(digits):
    model = quick(2, warm_start=True).fit(digits)
    other = digits * 20 + 100
    assert np.isfinite(model.fit(other).transform(other)).all()


@pytest.mark.parametrize("n_samples", ["a", 2.5])
def test_samples_are_counted_in_ints(digits, n_samples):
    with pytest.raises(TypeError, match="n_samples must be an instance of"):
        quick().fit(digits[:50]).sample(n_samples)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_latent(cancer):
    model = VariationalAutoencoder(1, max_iter=2, random_state=0).fit(cancer)
    assert model.kl_per_component_.shape == (1,)
    one = VariationalAutoencoder(0.5, max_iter=2, random_state=0).fit(cancer[:, :1])
    assert one.kl_per_component_.shape == (1,)


def test_the_default_dtype_does_not_matter(cancer):
    torch.set_default_dtype(torch.float64)
    try:
        VariationalAutoencoder(2, max_iter=2, random_state=0).fit(cancer)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize(("kind", "shape"), [("shared", ()), ("feature", (1,))])
def test_the_noise_of_one_feature_has_the_shape_of_its_kind(digits, kind, shape):
    params = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    model = VariationalAutoencoder(1, noise_variance=kind, warm_start=True, **params)
    for _ in range(2):
        model.fit(digits[:200, 20:21])
        assert np.shape(model.noise_variance_) == shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_rounding_takes_out_of_range(dtype):
    eps = np.finfo(dtype).eps
    X = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(dtype)
    rounded = X.copy()
    rounded[0, X[0] == 1] = 1 + 2 * eps
    rounded[1, X[1] == 0] = -2 * eps
    model = quick(2, likelihood="bernoulli", max_iter=2).fit(rounded)
    assert_allclose(model.score_samples(rounded), model.score_samples(X), rtol=1e-5)
    with pytest.raises(ValueError, match="requires them in"):
        model.score_samples(X * dtype(1 + 1e-5))
    scaled = MinMaxScaler().fit_transform(load_breast_cancer().data)
    assert scaled.max() > 1
    quick(2, likelihood="bernoulli", max_iter=2).fit(scaled)
