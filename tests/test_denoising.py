"""DenoisingAutoencoder: the closed form against brute force, and what noise does."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split

from sklatent import DenoisingAutoencoder
from sklatent.nn import (
    CustomNoise,
    GaussianNoise,
    Masking,
    SaltAndPepper,
    Scaling,
    Swap,
)
from sklatent.problems import corruption_of
from sklatent.rows import DenseRows, Scale, rows_of
from sklatent.starts import denoiser_start

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 5, "random_state": 0}
CELLS = ("masking", "salt_and_pepper", "swap")


def data(n=300, p=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) + rng.normal(size=(n, p)) / 2
    return X + 0.3  # masking moves the mean


def corruptions(X):
    x = torch.from_numpy(X)
    std = 0.5 * x.std(dim=0)
    as_is = Scaling(torch.zeros(X.shape[1]).double(), torch.tensor(1.0).double())

    def custom(rows):
        return rows + std.to(rows) * torch.randn_like(rows)

    return {
        "gaussian": GaussianNoise(std),
        "masking": Masking(0.3, torch.zeros(X.shape[1])),
        "salt_and_pepper": SaltAndPepper(0.2, x.amin(0), x.amax(0)),
        "swap": Swap(0.3),
        "custom": CustomNoise(custom, as_is),
    }


def copies(X, corruption, n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    x = torch.from_numpy(X)
    return np.concatenate([corruption(x, generator).numpy() for _ in range(n)])


# The closed form -----------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("noise", [*CELLS, "gaussian", "custom"])
def test_the_start_is_the_best_linear_denoiser(noise, k):
    """Against reduced-rank least squares on 300 corrupted copies of each row."""
    X = data()
    corruption = corruptions(X)[noise]
    start = denoiser_start(X, k, corruption, seed=0)
    noisy, clean = copies(X, corruption, 300), np.tile(X, (300, 1))

    ones = np.column_stack([noisy, np.ones(len(noisy))])
    full = ones @ np.linalg.lstsq(ones, clean, rcond=None)[0]
    axes = PCA(k).fit(full).components_
    best = (full - clean.mean(0)) @ axes.T @ axes + clean.mean(0)

    ours = noisy @ start.encoder_weight + start.encoder_bias
    ours = ours @ start.decoder_weight + start.decoder_bias
    least = np.square(best - clean).mean()
    assert np.square(ours - clean).mean() == pytest.approx(least, rel=2e-3)
    assert_allclose(ours, best, atol=0.1 * X.std())
    assert start.residual**2 == pytest.approx(least, rel=0.02)


def test_for_white_noise_it_is_pca_shrunk():
    X = data()
    sigma2 = 0.4
    corruption = GaussianNoise(torch.full((6,), sigma2**0.5).double())
    start = denoiser_start(X, 2, corruption, seed=0)
    pca = PCA(2).fit(X)
    variance = pca.explained_variance_ * (1 - 1 / len(X))
    shrunk = pca.transform(X) * variance / (variance + sigma2)
    ours = (X @ start.encoder_weight + start.encoder_bias) @ start.decoder_weight
    assert_allclose(ours + start.decoder_bias, pca.inverse_transform(shrunk), rtol=1e-6)


def test_of_full_rank_for_masking_it_is_the_marginalised_denoiser():
    X = data()
    q = 0.3
    start = denoiser_start(X, 6, corruptions(X)["masking"], seed=0)
    keep = np.full((6, 6), (1 - q) ** 2)
    np.fill_diagonal(keep, 1 - q)
    # Chen et al. 2012, with a bias, which is never corrupted.
    scatter = np.zeros((7, 7))
    scatter[:6, :6] = (X.T @ X) * keep
    scatter[6, :6] = scatter[:6, 6] = (1 - q) * X.sum(0)
    scatter[6, 6] = len(X)
    target = np.column_stack([(1 - q) * X.T @ X, X.sum(0)])
    weights = np.linalg.solve(scatter, target.T)
    expected = X @ weights[:6] + weights[6]
    ours = (X @ start.encoder_weight + start.encoder_bias) @ start.decoder_weight
    assert_allclose(ours + start.decoder_bias, expected, atol=1e-8)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (2, 3)])
def test_the_start_of_any_shape(shape):
    X = np.random.default_rng(0).normal(size=shape)
    start = denoiser_start(X, 60, Swap(0.2), seed=0)
    assert start.encoder_weight.shape == (shape[1], 60)
    for value in vars(start).values():
        assert np.isfinite(value).all()


# Noise ---------------------------------------------------------------------------


def test_noises_do_what_they_say():
    X = torch.from_numpy(data(n=40_000))
    x = X.float()
    generator = torch.Generator().manual_seed(0)
    noises = corruptions(X.numpy())
    difference = noises["gaussian"](x, generator) - x
    assert_allclose(difference.std(0), noises["gaussian"].std, rtol=0.05)
    for name, level in (("masking", 0.3), ("salt_and_pepper", 0.2), ("swap", 0.3)):
        noisy = noises[name](x, generator)
        hit = noisy != x
        assert hit.float().mean() == pytest.approx(level, abs=0.01)
        if name == "masking":
            assert (noisy[hit] == 0).all()
        elif name == "salt_and_pepper":
            low = (noisy == x.amin(0)) & hit
            assert (low | (noisy == x.amax(0)))[hit].all()
            assert low[hit].float().mean() == pytest.approx(0.5, abs=0.03)
        else:
            for column in range(x.shape[1]):
                assert np.isin(noisy[:, column], x[:, column]).all()
        moments = noises[name].moments(X.mean(0), X.var(0, correction=0))
        assert_allclose(noisy.mean(0), moments.mean, atol=0.06)
        expected = moments.keep**2 * X.var(0) + moments.extra
        assert_allclose(noisy.var(0), expected, rtol=0.06)


def test_swap_takes_another_row():
    x = torch.arange(12.0).reshape(4, 3)
    noisy = Swap(1.0)(x, torch.Generator().manual_seed(0))
    assert (noisy != x).all()
    assert torch.equal(noisy % 3, x % 3)
    one = x[:1]
    assert torch.equal(Swap(1.0)(one, torch.Generator()), one)


def test_masking_is_zero_in_the_units_of_the_data(digits):
    X = digits + 100
    model = DenoisingAutoencoder(2, noise="masking", noise_level=1.0, **QUICK).fit(X)
    scale = Scale(model.mean_, model._summary.unit)
    corruption = corruption_of("masking", 1.0, DenseRows(X, scale))
    noisy = corruption(torch.from_numpy(scale.apply(X)), torch.Generator())
    assert_allclose(scale.module().to_units(noisy).numpy(), 0, atol=1e-9)


def test_noise_is_new_for_each_batch_and_the_same_for_a_seed(digits):
    seen = []

    def noise(x):
        noisy = x + torch.randn_like(x)
        seen.append((noisy - x).clone())
        return noisy

    params = {"noise": noise, "early_stopping": False, **QUICK, "max_iter": 2}
    DenoisingAutoencoder(2, **params).fit(digits[:100])
    first = seen[:]
    seen.clear()
    DenoisingAutoencoder(2, **params).fit(digits[:100])
    for one, other in zip(first, seen, strict=True):
        assert torch.equal(one, other)
    batches = [noise for noise in first if len(noise) < 100]
    assert not torch.equal(batches[0], batches[len(batches) // 2])


# The estimator -------------------------------------------------------------------


@pytest.mark.parametrize(
    "noise", [*(pytest.param(n, marks=pytest.mark.slow) for n in CELLS), "gaussian"]
)
def test_denoises_better_than_its_start(digits, noise):
    X_train, X_test = train_test_split(digits, random_state=0)
    level = 1.0 if noise == "gaussian" else 0.3
    params = {"noise": noise, "noise_level": level, "random_state": 0}
    start, model = (
        DenoisingAutoencoder(16, hidden_layer_sizes=sizes, **params).fit(X_train)
        for sizes in ((), (128,))
    )
    scale = Scale(model.mean_, model._summary.unit)
    corruption = corruption_of(noise, level, DenseRows(X_train, scale))
    rows = torch.from_numpy(scale.apply(X_test))
    noisy = corruption(rows, torch.Generator().manual_seed(0))
    noisy = scale.module().to_units(noisy).numpy()

    def error(X_hat):
        return np.square(X_hat - X_test).mean()

    pca = PCA(16).fit(X_train)
    assert error(start.reconstruct(noisy)) < error(
        pca.inverse_transform(pca.transform(noisy))
    )
    assert error(model.reconstruct(noisy)) < 0.9 * error(start.reconstruct(noisy))
    assert model.best_iteration_ > 0
    # What held-out rows gain is what new rows do. The scores themselves vary by more:
    # by 0.02 with the one draw of noise that 135 held-out rows are shown with.
    gain = error(start.reconstruct(noisy)) - error(model.reconstruct(noisy))
    expected = gain / X_test.var(0).sum() * 64
    found = model.best_validation_score_ - model.validation_scores_[0]
    assert found == pytest.approx(expected, abs=0.05)


def test_using_it_never_corrupts(digits):
    model = DenoisingAutoencoder(4, noise="masking", noise_level=0.5, **QUICK)
    model.fit(digits)
    assert_array_equal(model.transform(digits), model.transform(digits))
    errors = np.square(digits - model.reconstruct(digits)).sum()
    total = np.square(digits - model.mean_).sum()
    assert model.score(digits) == pytest.approx(1 - errors / total)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
def test_latents_read_like_those_of_pca(digits, hidden_layer_sizes):
    model = DenoisingAutoencoder(
        4,
        noise="masking",
        hidden_layer_sizes=hidden_layer_sizes,
        max_iter=3,
        early_stopping=False,
        random_state=0,
    )
    Z = model.fit_transform(digits)
    covariance = np.cov(Z.T)
    variance = np.diag(covariance)
    assert_allclose(Z.mean(axis=0), 0, atol=1e-9 * np.sqrt(variance[0]))
    assert_allclose(covariance, np.diag(variance), atol=1e-9 * variance[0])
    assert (np.diff(variance) < 0).all()


def test_without_noise_it_starts_at_pca(digits):
    model = DenoisingAutoencoder(4, noise_level=0, hidden_layer_sizes=()).fit(digits)
    assert_allclose(model.transform(digits), PCA(4).fit_transform(digits), atol=1e-5)


@pytest.mark.slow
def test_overcomplete_codes_are_useful():
    """More latents than features on data whose manifold is curved."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 1500)
    X = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    X_train, X_test = X[:1000], X[1000:]
    noisy = X_test + 0.35 * rng.normal(size=X_test.shape)
    params = {"noise_level": 0.5, "random_state": 0}
    errors = {
        k: np.square(
            X_test - DenoisingAutoencoder(k, **params).fit(X_train).reconstruct(noisy)
        ).mean()
        for k in (1, 3, 12)
    }
    linear = DenoisingAutoencoder(12, hidden_layer_sizes=(), **params).fit(X_train)
    start = np.square(X_test - linear.reconstruct(noisy)).mean()
    assert errors[12] < 0.8 * start
    assert errors[12] < 1.05 * errors[3] < errors[1]
    Z = DenoisingAutoencoder(12, **params).fit(X_train).transform(X_train)
    assert (Z.std(axis=0) > 1e-3).sum() > 3


def test_in_a_grid(digits):
    grid = GridSearchCV(
        DenoisingAutoencoder(2, hidden_layer_sizes=(), noise="masking"),
        {"noise_level": [0.1, 0.9]},
        cv=2,
    )
    # Clean rows are scored, which the denoiser for much noise shrinks the most.
    assert grid.fit(digits[:200]).best_params_ == {"noise_level": 0.1}


# Errors --------------------------------------------------------------------------


@pytest.mark.parametrize("noise", CELLS)
def test_a_share_of_cells_is_at_most_one(digits, noise):
    model = DenoisingAutoencoder(2, noise=noise, noise_level=1.5)
    with pytest.raises(ValueError, match="noise_level=1.5 .* in \\[0, 1\\]"):
        model.fit(digits)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (lambda x: x[:, :2], r"same shape; it returned \(\d+, 2\)"),
        (lambda x: x.numpy(), "return a tensor; it returned a ndarray"),
        (lambda x: x * torch.nan, "not finite"),
    ],
)
def test_noise_of_your_own_is_checked(digits, noise, message):
    good = DenoisingAutoencoder(2, **QUICK).fit(digits)
    before = good.transform(digits)
    with pytest.raises((ValueError, TypeError), match=message):
        good.set_params(noise=noise).fit(digits)
    assert_array_equal(good.transform(digits), before)


def test_unknown_noise(digits):
    with pytest.raises(ValueError, match="The 'noise' parameter"):
        clone(DenoisingAutoencoder(noise="pink")).fit(digits)


def test_an_offset_is_no_noise():
    X = data()
    scores = [
        DenoisingAutoencoder(2, noise=lambda x: x, **QUICK).fit(X + o).score(X + o)
        for o in (0.0, 1e8)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


# Bad rows ------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e2, 1e3, 1e4])
def test_one_row_does_not_set_the_noise(digits, factor):
    bad = digits.copy()
    bad[3] *= factor
    for X in (digits, bad):
        rows = rows_of(X)
        std = corruption_of("gaussian", 0.5, rows).std.numpy() * rows.scale.scale
        varies = np.ptp(digits, axis=0) > 0
        assert_allclose(std, 0.5 * digits.std(axis=0)[varies], rtol=0.02, atol=0.01)
        pepper = corruption_of("salt_and_pepper", 0.5, rows)
        span = (pepper.high - pepper.low).numpy() * rows.scale.scale
        assert_allclose(span, np.ptp(digits, axis=0)[varies], atol=4)


def test_the_scale_is_that_of_the_rows_which_are_not_extreme(digits):
    ordinary = np.sqrt(digits.var(axis=0).mean())
    assert Scale.of(digits).scale == pytest.approx(ordinary, rel=1e-12)
    bad = digits.copy()
    bad[3] *= 1e4
    bad[5] *= -1e3
    assert Scale.of(bad).scale == pytest.approx(ordinary, rel=0.01)
    assert_allclose(Scale.of(bad).mean, bad.mean(axis=0))
    assert len(rows_of(bad).typical()) == len(bad) - 2
    assert len(rows_of(digits).typical()) == len(digits)


@pytest.mark.filterwarnings("ignore:The training loss became")
@pytest.mark.parametrize("factor", [10, 1e2, 1e4])
def test_a_bad_row_makes_no_other_row_worse(digits, factor):
    bad = digits[:900].copy()
    bad[3] *= factor
    X_noisy = digits[900:] + np.random.default_rng(0).normal(
        size=(len(digits) - 900, 64)
    )

    def left(**params):
        model = DenoisingAutoencoder(8, random_state=0, max_iter=10, **params).fit(bad)
        return np.square(model.reconstruct(X_noisy) - digits[900:]).sum()

    assert left(hidden_layer_sizes=(32,)) < 1.002 * left(hidden_layer_sizes=())
