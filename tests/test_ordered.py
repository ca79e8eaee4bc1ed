"""Ordered latents, a float n_components, and the size chosen by cross-validation."""

import copy
import pickle

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    LatentSizeDisplay,
    VariationalAutoencoder,
)
from sklatent.nn import Batch
from sklatent.plan import prefix_probabilities
from sklatent.rows import NestedDropout

mpl.use("Agg")
QUICK = {"hidden_layer_sizes": (32,), "max_iter": 8, "random_state": 0}
ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]


@pytest.fixture(scope="module")
def fitted():
    """One of each, fitted to the digits, ordered."""
    X = datasets.load_digits().data[:1200]
    return {cls: cls(8, ordered=True, **QUICK).fit(X) for cls in ALL}


# Nested dropout ------------------------------------------------------------------


def test_probabilities_of_sizes():
    assert prefix_probabilities(False, 8) is None
    every = prefix_probabilities(True, 16)
    assert every.shape == (16,)
    assert (every > 0).all()
    assert_allclose(every.sum(), 1)
    some = prefix_probabilities([2, 8, 100], 16)
    assert_array_equal(np.flatnonzero(some) + 1, [2, 8, 16])
    doublings = prefix_probabilities([4, 8, 16, 32], 32)
    assert_allclose(doublings[15] / doublings[31], 2 ** (1 / 3))
    assert_allclose(doublings[7] / doublings[3], 2)
    # Of all sizes, those from 9 to 16 together count about as much as those to 32.
    every = prefix_probabilities(True, 32)
    assert_allclose(every[8:16].sum() / every[16:32].sum(), 2 ** (1 / 3), rtol=0.05)
    assert_allclose(prefix_probabilities([1], 1), [1.0])


@pytest.mark.parametrize("ordered", [[0, 2], [1.5], [], ["a"]])
def test_sizes_that_are_none(digits, ordered):
    with pytest.raises(ValueError, match="ordered must be a bool or the latent sizes"):
        Autoencoder(4, ordered=ordered, **QUICK).fit(digits)


def test_sizes_are_sampled_as_they_should_be():
    weights = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    show = NestedDropout(weights)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(200):
        batch = Batch(torch.zeros(7, 2), torch.zeros(7, 2))
        show(batch, generator)
        sizes = batch.sizes.each
        assert batch.inputs.shape == (7, 2)
        assert sizes.shape == (7,)
        assert (sizes.diff() >= 0).all()
        found = sizes.bincount(minlength=5)[1:]
        # Systematic: each size as often as is due, up to one.
        assert ((found - 7 * weights).abs() < 1).all()
        counts += found
    assert_allclose(counts / 1400, weights, atol=0.02)


@pytest.mark.parametrize("cls", ALL)
def test_prefixes_are_what_truncated_models_give(fitted, digits, cls):
    model = fitted[cls]
    Z = model.transform(digits)
    for size in (1, 3, 8):
        small = model.truncate(size)
        assert small.n_components_ == small.n_components == size
        assert_allclose(small.transform(digits), Z[:, :size], atol=1e-9)
        assert_allclose(
            small.inverse_transform(Z[:, :size]), model.inverse_transform(Z[:, :size])
        )
        assert list(small.get_feature_names_out()) == list(
            model.get_feature_names_out()[:size]
        )
        assert_array_equal(small.explained_variance_, model.explained_variance_[:size])
        assert small.components_.shape == (size, 64)
        assert small.feature_influence(digits[:5]).shape == (5, size, 64)
        assert np.isfinite(small.score(digits))
    assert model.n_components_ == 8  # shares nothing


@pytest.mark.parametrize("cls", ALL)
def test_a_truncated_model_is_a_model(fitted, digits, cls, tmp_path):
    small = fitted[cls].truncate(3)
    again = pickle.loads(pickle.dumps(small))
    assert_array_equal(again.transform(digits), small.transform(digits))
    assert_array_equal(
        small.truncate(2).transform(digits), small.transform(digits)[:, :2]
    )
    assert clone(small).fit(digits).n_components_ == 3
    with pytest.raises(ValueError, match="X has 4 columns"):
        small.inverse_transform(np.zeros((2, 4)))
    warm = copy.deepcopy(small).set_params(warm_start=True, max_iter=2).fit(digits)
    assert warm.transform(digits).shape == (len(digits), 3)


def test_ordered_latents_read_like_pca(fitted, digits):
    model = fitted[Autoencoder]
    Z = model.transform(digits[:1200])
    assert_allclose(Z.mean(0), 0, atol=1e-9)
    covariance = np.cov(Z.T)
    assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)
    assert_allclose(model.explained_variance_, np.diag(covariance))
    X_hat = model.reconstruct(digits[:1200])
    assert_allclose(model.explained_variance_.sum(), X_hat.var(0, ddof=1).sum())


def test_a_linear_ordered_model_is_pca(digits):
    # Nested dropout recovers PCA, its optimum (Rippel et al. 2014): the start stays.
    pca = PCA(6).fit(digits)
    model = Autoencoder(6, hidden_layer_sizes=(), ordered=True).fit(digits)
    for size in (1, 4, 6):
        share = pca.explained_variance_ratio_[:size].sum()
        assert_allclose(model.truncate(size).score(digits), share)
    assert_allclose(model.explained_variance_ratio_, pca.explained_variance_ratio_)
    size = np.abs(pca.transform(digits)).max()
    assert_allclose(model.transform(digits), pca.transform(digits), atol=1e-9 * size)


def test_a_linear_network_finds_the_order_of_pca():
    # From a random start, linear networks end at PCA for every prefix.
    random = np.random.RandomState(0)
    X = random.standard_normal((1000, 5)) * [5, 4, 3, 2, 1]
    model = Autoencoder(
        3,
        ordered=True,
        init="random",
        activation="identity",
        hidden_layer_sizes=(16,),
        weight_decay=0.0,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    for size in (1, 2, 3):
        pca = PCA(size).fit(X)
        share = pca.explained_variance_ratio_.sum()
        assert_allclose(model.truncate(size).score(X), share, atol=1e-3)
    assert_allclose(model.components_, pca.components_, atol=0.1)


def test_every_size_gains_on_pca(digits):
    X, X_test = digits[:1300], digits[1300:]
    model = Autoencoder(16, ordered=True, random_state=0).fit(X)
    for size in (1, 2, 4, 8, 16):
        pca = PCA(size).fit(X)
        X_hat = pca.inverse_transform(pca.transform(X_test))
        explained = (
            1 - ((X_hat - X_test) ** 2).sum() / ((X_test - pca.mean_) ** 2).sum()
        )
        gain = model.truncate(size).score(X_test) - explained
        assert gain > (0.03 if size > 1 else -0.01), size
    held_out = np.cumsum(model.explained_variance_ratio_)
    assert_allclose(held_out[-1], model.score(X_test), atol=0.06)
    assert (np.diff(held_out) > -0.01).all()


@pytest.mark.slow
def test_sizes_asked_for_are_better_for_it(digits):
    X, X_test = digits[:1300], digits[1300:]
    every, two = (
        Autoencoder(16, ordered=ordered, max_iter=40, random_state=0).fit(X)
        for ordered in (True, [2])
    )
    assert two.truncate(2).score(X_test) > every.truncate(2).score(X_test)


@pytest.mark.slow
def test_likelihoods_of_prefixes_rise(digits):
    X = StandardScaler().fit_transform(datasets.load_breast_cancer().data)
    model = VariationalAutoencoder(
        8, ordered=True, hidden_layer_sizes=(64,), max_iter=40, random_state=0
    ).fit(X[:400])
    scores = [model.truncate(size).score(X[400:]) for size in (1, 2, 4, 8)]
    assert (np.diff(scores) > 0).all()
    for size, score in zip((1, 2, 4, 8), scores, strict=True):
        assert score > PCA(size).fit(X[:400]).score(X[400:])
    assert model.truncate(2).sample(3, random_state=0).shape == (3, 30)
    assert model.truncate(2).kl_per_component_.shape == (2,)


def test_ppca_prefixes_have_their_own_noise():
    random = np.random.RandomState(0)
    X = random.standard_normal((500, 6)) * [4, 3, 2, 1, 1, 1]
    model = VariationalAutoencoder(
        3, hidden_layer_sizes=(), ordered=True, noise_variance="shared"
    ).fit(X)
    for size in (1, 2, 3):
        small = model.truncate(size)
        assert_allclose(small.score(X), PCA(size).fit(X).score(X), atol=0.05)
    assert model.truncate(1).noise_variance_ > model.noise_variance_
    assert_allclose(
        np.trace(model.truncate(1).get_covariance()), np.trace(model.get_covariance())
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods_can_be_ordered(digits, likelihood):
    X = digits[:300] / 16 if likelihood == "bernoulli" else digits[:300]
    model = VariationalAutoencoder(
        4, likelihood=likelihood, ordered=True, latent_prior="gaussian_mixture", **QUICK
    ).fit(X)
    small = model.truncate(2)
    assert small.score(X) < model.score(X)
    assert small.sample(5, random_state=0).shape == (5, 64)
    assert_allclose(small.latent_prior_.means_, model.latent_prior_.means_[:, :2])
    assert small.latent_prior_.score(small.transform(X)) > -50


@pytest.mark.parametrize("cls", ALL)
def test_ordered_with_networks_of_somebody_else(digits, cls):
    def encoder(n_features, n_codes):
        return nn.Sequential(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Linear(8, n_codes),
        )

    def decoder(n_features, n_components):
        return nn.Sequential(
            nn.Linear(n_components, 8), nn.BatchNorm1d(8), nn.Linear(8, n_features)
        )

    model = cls(
        4, ordered=True, encoder=encoder, decoder=decoder, max_iter=3, random_state=0
    ).fit(digits[:300])
    Z = model.transform(digits)
    assert_allclose(
        model.truncate(2).inverse_transform(Z[:, :2]),
        model.inverse_transform(Z[:, :2]),
    )


@pytest.mark.parametrize("cls", ALL)
def test_whitened_ordered(digits, cls):
    X = digits[:300]
    model = cls(4, ordered=True, whiten=True, **QUICK).fit(X)
    assert_allclose(model.transform(X).std(0, ddof=1), 1, rtol=1e-6)
    assert_allclose(model.truncate(2).transform(X), model.transform(X)[:, :2])


def test_ordered_is_deterministic_and_keeps_float32(digits):
    X = digits[:300].astype(np.float32)
    a, b = (Autoencoder(4, ordered=True, **QUICK).fit(X) for _ in range(2))
    assert_array_equal(a.transform(X), b.transform(X))
    for small in (a, a.truncate(2)):
        assert small.transform(X).dtype == np.float32
        assert small.inverse_transform(small.transform(X)).dtype == np.float32
        assert small.components_.dtype == np.float32


def test_warm_start_keeps_the_order(digits):
    model = Autoencoder(4, ordered=True, warm_start=True, **QUICK).fit(digits[:300])
    model.fit(digits[:300])
    assert_allclose(
        model.truncate(2).transform(digits), model.transform(digits)[:, :2], atol=1e-9
    )
    with pytest.raises(ValueError, match="ordered=False, but the fitted model"):
        model.set_params(ordered=False).fit(digits)


@pytest.mark.parametrize(
    ("size", "error", "match"),
    [
        (0, ValueError, "n_components == 0, must be >= 1"),
        (9, ValueError, "n_components=9, but the fitted model has n_components_=8"),
        (2.0, TypeError, "n_components must be an instance of int"),
    ],
)
def test_sizes_that_truncate_refuses(fitted, size, error, match):
    with pytest.raises(error, match=match):
        fitted[Autoencoder].truncate(size)


def test_unordered_latents_have_no_prefix(digits):
    model = Autoencoder(4, **QUICK)
    with pytest.raises(NotFittedError):
        model.truncate(2)
    model.fit(digits[:300])
    with pytest.raises(ValueError, match="truncate requires .* ordered=True"):
        model.truncate(2)
    with pytest.raises(ValueError, match="X has 2 columns.* ordered=True"):
        model.inverse_transform(np.zeros((1, 2)))


# A share of variance -------------------------------------------------------------


@pytest.mark.slow
def test_a_share_of_variance_is_reached_with_fewer_latents_than_pca(digits):
    model = Autoencoder(0.9, random_state=0).fit(digits)
    explained = np.cumsum(model.explained_variance_ratio_)
    assert model.n_components_ == len(explained) < PCA(0.9).fit(digits).n_components_
    assert explained[-1] >= 0.9
    assert (explained[:-1] < 0.9).all()
    assert model.transform(digits).shape == (len(digits), model.n_components_)
    assert model.score(digits) > 0.9
    assert clone(model).n_components == 0.9


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_share_of_variance_of_a_linear_model_is_that_of_pca(cancer, share):
    X = StandardScaler().fit_transform(cancer)
    model = Autoencoder(share, hidden_layer_sizes=()).fit(X)
    assert model.n_components_ == PCA(share).fit(X).n_components_


@pytest.mark.parametrize("load", ["iris", "wine", "diabetes"])
def test_a_share_is_exceeded_as_by_pca(load):
    X = getattr(datasets, f"load_{load}")().data
    explained = np.cumsum(PCA().fit(X).explained_variance_ratio_)
    for size, share in enumerate(explained[:3], start=1):
        pca, model = (
            cls(float(share), **params).fit(X)
            for cls, params in ((PCA, {}), (Autoencoder, {"hidden_layer_sizes": ()}))
        )
        assert pca.n_components_ == model.n_components_ == size + 1


@pytest.mark.parametrize("cls", ALL)
def test_a_share_of_variance_everywhere(cls):
    X = StandardScaler().fit_transform(datasets.load_wine().data)
    model = cls(0.5, **QUICK).fit(X)
    assert 1 <= model.n_components_ <= 13
    if cls is not VariationalAutoencoder:
        assert model.explained_variance_ratio_.sum() >= 0.5
    assert model.fit(X).n_components_ == model.n_components_


def test_a_share_that_cannot_be_reached():
    X = np.random.RandomState(0).standard_normal((40, 60))
    with pytest.warns(ConvergenceWarning, match="n_components=0.9, but .* explain"):
        Autoencoder(0.9, **QUICK).fit(X)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5])
def test_shares_out_of_range(digits, share):
    with pytest.raises(InvalidParameterError, match="n_components"):
        Autoencoder(share).fit(digits)


# LatentSizeCV --------------------------------------------------------------------


def search(sizes=(1, 2, 4), **params):
    return LatentSizeCV(Autoencoder(**QUICK), sizes, **{"cv": 3, **params})


def test_exact_scores_are_those_of_grid_search(digits):
    X = digits[:400]
    grid = GridSearchCV(Autoencoder(**QUICK), {"n_components": [1, 2, 4]}, cv=3).fit(X)
    ours = search(method="exact", scoring="score", rule="best").fit(X)
    assert set(grid.cv_results_) == set(ours.cv_results_)
    for name, expected in grid.cv_results_.items():
        found = ours.cv_results_[name]
        assert type(found) is type(expected)
        if "time" not in name:
            assert_array_equal(np.asarray(found), np.asarray(expected), err_msg=name)
    assert ours.best_params_ == grid.best_params_
    assert ours.best_score_ == grid.best_score_
    assert_array_equal(ours.transform(X), grid.transform(X))
    pd.DataFrame(ours.cv_results_)


def test_ordered_scores_are_those_of_prefixes(digits):
    X = digits[:400]
    ours = search(scoring="score").fit(X)
    for i, (train, test) in enumerate(KFold(3).split(X)):
        model = Autoencoder(4, ordered=[1, 2, 4], **QUICK).fit(X[train])
        expected = [model.truncate(size).score(X[test]) for size in (1, 2, 4)]
        assert_allclose(ours.cv_results_[f"split{i}_test_score"], expected)
        linear = [
            1
            - np.square(X[test] - p.inverse_transform(p.transform(X[test]))).sum()
            / np.square(X[test] - p.mean_).sum()
            for p in (PCA(size).fit(X[train]) for size in (1, 2, 4))
        ]
        assert_allclose(ours.linear_scores_[:, i], linear)
    assert ours.best_n_components_ == 4
    assert_array_equal(ours.transform(X), Autoencoder(4, **QUICK).fit(X).transform(X))
    assert ours.inverse_transform(ours.transform(X)).shape == X.shape
    assert ours.score(X) == ours.best_estimator_.score(X)


def test_the_size_is_chosen_for_the_task():
    X, y = datasets.load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    ours = search((1, 2, 8), final_estimator=classifier).fit(X, y)
    for i, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        model = Autoencoder(8, ordered=[1, 2, 8], **QUICK).fit(X[train])
        Z_train, Z_test = model.transform(X[train]), model.transform(X[test])
        for j, size in enumerate((1, 2, 8)):
            final = clone(classifier).fit(Z_train[:, :size], y[train])
            expected = final.score(Z_test[:, :size], y[test])
            assert_allclose(ours.cv_results_[f"split{i}_test_score"][j], expected)
    assert ours.best_n_components_ == 8
    assert ours.score(X, y) == ours.final_estimator_.score(ours.transform(X), y)
    with pytest.raises(ValueError, match="final_estimator=Pipeline requires y"):
        search(final_estimator=classifier).fit(X)


def test_regressors_and_scorers():
    X, y = datasets.load_diabetes(return_X_y=True)
    ours = search(final_estimator=Ridge(0.01), scoring="neg_mean_absolute_error")
    ours.fit(X, y)
    assert -100 < ours.best_score_ < -30
    assert ours.score(X, y) < 0
    scored = search(scoring=lambda model, X, y=None: -model.n_components_).fit(X)
    assert scored.best_n_components_ == 1
    scored = search(final_estimator=Ridge(), scoring=make_scorer(lambda y, p: 1.0))
    assert scored.fit(X, y).best_score_ == 1


def test_rules(digits):
    X = digits[:400]
    best = search(rule="best").fit(X)
    means = best.cv_results_["mean_test_score"]
    assert best.best_index_ == means.argmax()
    splits = np.array([best.cv_results_[f"split{i}_test_score"] for i in range(3)])
    error = splits[:, means.argmax()].std(ddof=1) / np.sqrt(3)
    smallest = np.flatnonzero(means >= means.max() - error)[0]
    ours = search().fit(X)
    assert ours.best_index_ == smallest
    assert search(rule=lambda results: 1).fit(X).best_n_components_ == 2
    with pytest.raises(ValueError, match="rule must return an index from 0 to 2"):
        search(rule=lambda results: 3).fit(X)


def test_one_standard_error_takes_the_smaller_of_equals():
    def flat(model, X, y=None):
        return 1.0 + 1e-6 * model.n_components_ + X.mean()

    X = np.random.RandomState(0).standard_normal((90, 6))
    assert search(scoring=flat, rule="best").fit(X).best_n_components_ == 4
    found = search(scoring=flat, rule="one_standard_error").fit(X)
    assert found.best_n_components_ == 1


def test_automatic_sizes(digits, cancer):
    sizes = search("auto").fit(digits[:300]).cv_results_["param_n_components"]
    assert_array_equal(sizes, [1, 2, 4, 8, 16, 32, 64])
    # PCA explains 99% with two, and the features of small variance need more.
    sizes = search("auto").fit(cancer).cv_results_["param_n_components"]
    assert_array_equal(sizes, [1, 2, 4, 8])
    narrow = np.random.RandomState(0).standard_normal((50, 3))
    sizes = search("auto").fit(narrow).cv_results_["param_n_components"]
    assert_array_equal(sizes, [1, 2, 3])


def test_other_estimators_are_searched_exactly(digits):
    ours = LatentSizeCV(PCA(), [2, 4], method="exact", scoring="score", cv=3)
    ours.fit(digits)
    expected = cross_val_score(PCA(4), digits, cv=3)
    assert_allclose(ours.best_score_, expected.mean())
    assert ours.linear_scores_ is None
    with pytest.raises(ValueError, match="method='ordered' requires .* PCA has not"):
        LatentSizeCV(PCA(), [2, 4]).fit(digits)
    with pytest.raises(ValueError, match="StandardScaler has not"):
        LatentSizeCV(StandardScaler(), [2, 4]).fit(digits)


@pytest.mark.parametrize("sizes", [[0, 1], [1.5], [], [-1]])
def test_sizes_out_of_range(digits, sizes):
    with pytest.raises(ValueError, match="n_components must be 'auto' or positive"):
        search(sizes).fit(digits)


def test_without_refit_and_after_a_failure(digits):
    ours = search(refit=False).fit(digits[:300])
    assert ours.best_n_components_ == 4
    with pytest.raises(AttributeError, match="refit=False"):
        ours.transform(digits)
    with pytest.raises(NotFittedError):
        search().transform(digits)
    results = ours.cv_results_
    with pytest.raises(ValueError, match="NaN"):
        ours.fit(np.full((20, 4), np.nan))
    assert ours.cv_results_ is results


def test_in_a_pipeline_with_frames_and_processes():
    frame, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    pipeline = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        search((1, 4), n_jobs=2).set_output(transform="pandas"),
        LogisticRegression(max_iter=1000),
    ).fit(frame, y)
    assert pipeline.score(frame, y) > 0.9
    latents = pipeline[:-1].transform(frame)
    assert list(latents.columns) == [f"autoencoder{i}" for i in range(4)]
    assert list(pipeline[1].best_estimator_.feature_names_in_) == list(frame.columns)
    again = pickle.loads(pickle.dumps(pipeline))
    assert_array_equal(again.predict(frame), pipeline.predict(frame))
    single = clone(pipeline).set_params(latentsizecv__n_jobs=1).fit(frame, y)
    assert_array_equal(
        single[1].cv_results_["mean_test_score"],
        pipeline[1].cv_results_["mean_test_score"],
    )


def threads_now(model, X, y=None):
    """Serve as a scorer that tells how many threads the process has."""
    return torch.get_num_threads()


def test_processes_have_one_thread_each(digits):
    for found in (
        GridSearchCV(
            make_pipeline(StandardScaler(), Autoencoder(**QUICK)),
            {"autoencoder__n_components": [1, 2]},
            scoring=threads_now,
            cv=2,
            n_jobs=2,
        ),
        search(scoring=threads_now, n_jobs=2),
    ):
        scores = found.fit(digits[:300]).cv_results_["mean_test_score"]
        assert (scores <= max(1, torch.get_num_threads() // 2)).all()


def test_progress_is_printed(digits, capsys):
    search(verbose=1).fit(digits[:300])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[LatentSizeCV] fold 1/3: n_components=4 scores best")


def test_display(digits):
    found = search().fit(digits[:300])
    display = LatentSizeDisplay.from_estimator(found)
    assert_allclose(
        display.errorbar_.lines[0].get_ydata(), found.cv_results_["mean_test_score"]
    )
    assert_allclose(
        display.linear_line_.lines[0].get_ydata(), found.linear_scores_.mean(axis=1)
    )
    assert display.best_line_.get_xdata()[0] == 4
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert set(labels) > {"PCA", "Autoencoder", "chosen: 4"}
    figure, ax = plt.subplots()
    assert LatentSizeDisplay.from_estimator(found, ax=ax).figure_ is figure
    exact = LatentSizeCV(PCA(), [2, 4], method="exact", cv=2).fit(digits)
    assert LatentSizeDisplay.from_estimator(exact).linear_line_ is None
    with pytest.raises(NotFittedError):
        LatentSizeDisplay.from_estimator(search())
    plt.close("all")


# Found by a review ---------------------------------------------------------------


@pytest.mark.slow
def test_a_share_with_warm_start(digits):
    X = digits[:300]
    model = Autoencoder(0.5, **QUICK).fit(X)
    # Another share may need more latents than there are; networks begin anew.
    model.set_params(n_components=0.95, warm_start=True).fit(X)
    anew = Autoencoder(0.95, **QUICK).fit(X)
    assert model.n_components_ == anew.n_components_
    assert model.score(X) > 0.95
    model = Autoencoder(8, ordered=True, warm_start=True, **QUICK).fit(X)
    assert model.set_params(n_components=0.4).fit(X).n_components_ < 8


def test_a_model_truncated_from_a_share_describes_itself(digits):
    X = digits[:300]
    small = Autoencoder(0.7, **QUICK).fit(X).truncate(2)
    assert small.get_params()["ordered"] is True
    again = copy.deepcopy(small).set_params(warm_start=True).fit(X)
    assert again.n_components_ == 2
    assert clone(small).fit(X).truncate(1).n_components_ == 1


def test_sizes_with_a_share(digits):
    with pytest.raises(ValueError, match="ordered must be a bool or"):
        Autoencoder(0.9, ordered=[-1, 2], **QUICK).fit(digits)
    assert Autoencoder(0.5, ordered=[1, 2], **QUICK).fit(digits).n_components_ >= 1


@pytest.mark.parametrize("ordered", [[[1, 2]], np.array(2), 2])
def test_sizes_of_no_right_shape(digits, ordered):
    with pytest.raises(ValueError, match="ordered"):
        Autoencoder(4, ordered=ordered, **QUICK).fit(digits)


@pytest.mark.parametrize("ordered", [np.True_, np.array([1, 2]), (1, 2)])
def test_ordered_as_numpy_gives_it(digits, ordered):
    model = clone(Autoencoder(4, ordered=ordered, **QUICK)).fit(digits[:300])
    assert model.truncate(1).n_components_ == 1
    plain = Autoencoder(4, ordered=np.False_, **QUICK).fit(digits[:300])
    with pytest.raises(ValueError, match="truncate requires"):
        plain.truncate(1)


def test_constant_rows_have_nothing_to_explain():
    model = Autoencoder(2, ordered=True, **QUICK).fit(np.full((20, 3), 7.0))
    assert_array_equal(model.explained_variance_ratio_, [0, 0])


def test_linear_scores_of_exact_searches_are_of_each_size():
    X = datasets.load_wine().data
    model = VariationalAutoencoder(
        hidden_layer_sizes=(), noise_variance="feature", random_state=0
    )
    ours = LatentSizeCV(model, [1, 2, 4], method="exact", cv=3).fit(X)
    assert_allclose(
        ours.linear_scores_.mean(axis=1), ours.cv_results_["mean_test_score"]
    )


def test_groups_and_folds_of_all_kinds(digits):
    X, groups = digits[:300], np.arange(300) // 60
    ours = search(cv=GroupKFold(3)).fit(X, groups=groups)
    splits = list(GroupKFold(3).split(X, groups=groups))
    expected = search(cv=splits).fit(X, groups=groups)
    assert_array_equal(
        ours.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    with pytest.raises(ValueError, match="gives no split"):
        search(cv=[]).fit(X)


def test_automatic_sizes_fit_into_a_fold():
    X = np.random.RandomState(0).standard_normal((10, 40))
    ours = LatentSizeCV(PCA(), method="exact", scoring=lambda *_: 0.0).fit(X)
    assert ours.cv_results_["param_n_components"].max() == 8


@pytest.mark.parametrize(
    "rule", ["best", pytest.param("one_standard_error", marks=pytest.mark.slow)]
)
def test_scores_that_are_no_numbers(digits, rule, capsys):
    def some(model, X, y=None):
        return np.nan if model.n_components_ == 4 else model.score(X)

    with pytest.warns(UserWarning, match="test scores are non-finite"):
        ours = search(scoring=some, rule=rule, verbose=1).fit(digits[:300])
    assert ours.best_n_components_ in (1, 2)
    assert "n_components=4" not in capsys.readouterr().out
    with pytest.warns(UserWarning, match="test scores are non-finite"):
        search(scoring=lambda *_: np.nan, rule=rule).fit(digits[:300])


def test_the_optimiser_of_a_truncated_model_is_of_its_weights(digits):
    model = VariationalAutoencoder(4, ordered=True, max_iter=2, random_state=0)
    net = model.fit(digits).truncate(2).net_
    held = {id(p) for group in net.optimizer_.param_groups for p in group["params"]}
    assert held == {id(p) for p in net.module_.parameters()}
