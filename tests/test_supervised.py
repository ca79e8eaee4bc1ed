"""SupervisedAutoencoder: known answers, a gain, targets of all kinds, promises."""

import copy
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import small_encoder, world
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from scipy.sparse import csr_matrix
from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch.callbacks import Callback
from torch import nn

from sklatent import Autoencoder, LatentSizeCV, SupervisedAutoencoder
from sklatent.nn import decoder_gram
from sklatent.plan import resolve
from sklatent.rows import as_rows, rows_of, targets_of
from sklatent.starts import covariates_start

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
X, Y = datasets.load_digits(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(X))
X, Y = X[ORDER], Y[ORDER]
X_SOME, Y_SOME = X[:200], Y[:200]
NUMBERS = X_SOME[:, [20, 30]] @ np.array([[1.0, 0.5, 0], [0, 0.5, -1]]) + 0.25


def quick(n_components=2, **params):
    """An estimator that trains, little."""
    return SupervisedAutoencoder(n_components, **{**QUICK, **params})


def untrained(n_components=2, **params):
    """An estimator that is its linear start."""
    return SupervisedAutoencoder(n_components, hidden_layer_sizes=(), **params)


def directions(model, n_features):
    """The directions (n_features, k) along which a linear model has its latents."""
    zero = np.zeros((1, n_features))
    return model.transform(np.eye(n_features)) - model.transform(zero)


def codes_of(y):
    made = targets_of(y, "auto", semi_supervised=False, estimator_name="Some")
    return made.codes


def accuracy(reducer, train=(X[:800], Y[:800]), test=(X[800:], Y[800:])):
    """Of a logistic regression on the latents of rows that neither has seen."""
    model = make_pipeline(reducer, StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(*train).score(*test)


@pytest.fixture(scope="module")
def fitted():
    return quick(4, max_iter=15).fit(X_SOME, Y_SOME)


# Known answers -------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": False},
        {"hidden_layer_sizes": ()},
        {"ordered": True, "whiten": True},
        {"init": "random"},
        {"n_components": 0.6},
        {"n_components": 0},
        {"cv": StratifiedKFold(3)},
        {"cv": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("y", [Y_SOME, NUMBERS[:, 0]], ids=["classes", "numbers"])
def test_all_weight_on_the_rows_is_an_autoencoder(params, y):
    if "cv" in params and y is not Y_SOME:
        params = {"cv": 3}
    params = {"n_components": 3, **QUICK, **params}
    ours = SupervisedAutoencoder(**params, mixing=1).fit(X_SOME, y)
    other = Autoencoder(**params).fit(X_SOME, y)
    new = X[200:300]
    assert_array_equal(ours.transform(new), other.transform(new))
    assert ours.score(new) == other.score(new)
    own = {"net_", "classes_", "mixing_"}
    names = {name for name in vars(ours) if name.endswith("_")} - own
    assert names == {name for name in vars(other) if name.endswith("_")} - own
    for name in names:
        found, expected = getattr(ours, name), getattr(other, name)
        if name == "loss_curve_" or not isinstance(expected, list):
            assert_array_equal(found, expected, err_msg=name)
    assert_array_equal(ours.components_, other.components_)
    assert ours.mixing_ == 1
    if y is Y_SOME:
        assert_array_equal(ours.classes_, np.arange(10))
    else:
        assert ours.classes_ is None


@pytest.mark.parametrize("mixing", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
def test_without_layers_it_is_principal_covariates_regression(y, mixing):
    model = untrained(4, mixing=mixing).fit(X_SOME, y)
    centred = X_SOME - X_SOME.mean(axis=0)
    scaled = centred / np.sqrt(np.square(centred).mean())
    start = covariates_start(as_rows(scaled), codes_of(y), 4, mixing, 0)
    angles = subspace_angles(directions(model, 64), start.encoder_weight)
    assert angles.max() < 1e-6
    Z = scaled @ start.encoder_weight
    expected = Z @ start.decoder_weight * np.sqrt(np.square(centred).mean())
    assert_allclose(model.reconstruct(X_SOME), expected + model.mean_, atol=1e-8)
    assert model.best_iteration_ == 0


def blobs(n, seed=0):
    """Three classes whose means differ in directions of little variance."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    means = 2 * np.array([[0, 0], [1, 0], [0, 1]])
    noise = rng.normal(size=(n, 6)) * [9, 6, 4, 2, 0.5, 0.7]
    noise[:, 4:] += means[y]
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 6)))[0]
    return noise @ turn, y


def test_little_weight_on_the_rows_is_discriminant_analysis():
    rows, y = blobs(1000)
    model = untrained(2, mixing=1e-6).fit(rows, y)
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(rows, y)
    axes = directions(model, 6)
    assert subspace_angles(axes, lda.scalings_[:, :2]).max() < 0.01
    pca = PCA(2).fit(rows)
    assert subspace_angles(axes, pca.components_.T).max() > 1
    assert accuracy(model, (rows, y), blobs(500, 1)) > 0.8


def test_more_weight_on_the_rows_explains_more_of_them():
    scores = [
        untrained(3, mixing=mixing).fit(X_SOME, Y_SOME).score(X_SOME)
        for mixing in (0.01, 0.3, 0.9, 1)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] - 0.02


# The latents ---------------------------------------------------------------------


@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_latents_read_like_those_of_pca(init, whiten, y):
    model = quick(4, init=init, whiten=whiten, early_stopping=False).fit(X_SOME, y)
    Z = model.transform(X_SOME)
    scale = Z.std(axis=0).max()
    assert_allclose(Z.mean(axis=0), 0, atol=1e-5 * scale)
    variance = np.ones(4) if whiten else model.explained_variance_
    assert_allclose(np.cov(Z.T), np.diag(variance), atol=1e-5 * scale**2)
    assert (np.diff(model.explained_variance_) <= 0).all()
    assert_allclose(
        model.singular_values_, np.sqrt(199 * model.explained_variance_), rtol=1e-6
    )
    assert_allclose(
        model.explained_variance_ratio_.sum(), model.score(X_SOME), atol=1e-6
    )
    assert (model.explained_variance_ratio_ >= 0).all()
    assert_allclose(model.inverse_transform(Z), model.reconstruct(X_SOME), atol=1e-8)
    left = np.square(X_SOME - model.reconstruct(X_SOME)).sum(axis=1)
    assert_allclose(model.score_samples(X_SOME), -left)
    covariance = (X_SOME - model.mean_).T @ Z
    rows = np.abs(covariance).argmax(axis=0)
    assert (covariance[rows, range(4)] > 0).all()


def test_whitening_only_scales(fitted):
    white = clone(fitted).set_params(whiten=True).fit(X_SOME, Y_SOME)
    Z = fitted.transform(X_SOME) / np.sqrt(fitted.explained_variance_)
    assert_allclose(white.transform(X_SOME), Z, atol=1e-9)
    assert_allclose(white.reconstruct(X_SOME), fitted.reconstruct(X_SOME), atol=1e-9)


def joint_steps(of_rows, model, rows, y, mixing):
    """What steps along latents do to rows and targets together, (k, k).

    With `of_rows`, the products of what they do to rows.
    """
    Z = model.transform(rows)
    codes = codes_of(y) - codes_of(y).mean(axis=0)
    weight = np.linalg.lstsq(Z, codes)[0]
    per_row = np.square(rows - rows.mean(axis=0)).sum(axis=1).mean()
    of_targets = weight @ weight.T / np.square(codes).sum(axis=1).mean()
    return mixing * of_rows / per_row + (1 - mixing) * of_targets


@pytest.mark.parametrize("mixing", [0.1, 0.5])
@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
def test_a_step_moves_rows_and_targets_by_one_length(y, mixing):
    model = untrained(4, mixing=mixing).fit(X_SOME, y)
    steps = model.inverse_transform(np.eye(4)) - model.mean_
    gram = joint_steps(steps @ steps.T, model, X_SOME, y, mixing)
    assert_allclose(gram, gram[0, 0] * np.eye(4), atol=1e-6 * gram[0, 0])
    # Steps along latents that tell much of the target move the rows by less.
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.max() > 1.02 * lengths.min()


def test_so_it_does_after_training():
    model = quick(3, max_iter=30, early_stopping=False).fit(X_SOME, Y_SOME)
    module = model.net_.module_
    u = torch.from_numpy(model.transform(X_SOME)) @ module.frame.inverse.double()
    u = u + module.frame.mean.double()
    steps = module.frame.inverse.double()
    gram = decoder_gram(module.decoder, u, module.derivative_step)
    unit = float(module.scaling.scale)
    of_rows = (steps @ gram @ steps.mT).numpy() * unit**2
    joint = joint_steps(of_rows, model, X_SOME, Y_SOME, 0.5)
    # The frame is of the Jacobian at some of the rows.
    size = joint.diagonal().mean()
    assert_allclose(joint, size * np.eye(3), atol=0.06 * size)


def test_attributes(fitted):
    assert_array_equal(fitted.classes_, np.arange(10))
    assert fitted.mixing_ == 0.5
    assert fitted.n_components_ == 4
    assert fitted.n_samples_ == 200
    assert fitted.components_.shape == (4, 64)
    assert fitted.feature_influence(X[:3]).shape == (3, 4, 64)
    assert np.isfinite(fitted.held_out_scores_).all()
    assert len(fitted.validation_scores_) == len(fitted.loss_curve_) + 1
    assert fitted.best_iteration_ > 0
    assert list(fitted.get_feature_names_out())[:1] == ["supervisedautoencoder0"]
    assert fitted.net_.predict(X[:5].astype(np.float32)).shape == (5, 64)
    assert_allclose(fitted.net_.predict(X[:5]), fitted.reconstruct(X[:5]), atol=1e-3)


def test_the_score_is_of_the_rows_and_ignores_y(fitted):
    left = np.square(X[200:] - fitted.reconstruct(X[200:])).sum()
    total = np.square(X[200:] - fitted.mean_).sum()
    assert fitted.score(X[200:]) == pytest.approx(1 - left / total)
    assert fitted.score(X[200:], Y[200:]) == fitted.score(X[200:])
    assert not hasattr(fitted, "predict")


def test_fit_transform_is_fit_and_transform(fitted):
    again = clone(fitted).fit_transform(X_SOME, Y_SOME)
    assert_array_equal(again, fitted.transform(X_SOME))


# A gain --------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"ordered": True}, {"init": "random"}])
def test_a_classifier_behind_it_is_better(params):
    model = SupervisedAutoencoder(2, max_iter=15, random_state=0, **params)
    found = accuracy(model)
    assert found > 0.82
    assert found > accuracy(PCA(2)) + 0.2
    other = Autoencoder(2, max_iter=15, random_state=0)
    assert found > accuracy(other) + 0.08


def test_so_it_is_of_few_rows_and_better_than_the_start():
    few = X[:300], Y[:300]
    found = accuracy(SupervisedAutoencoder(2, max_iter=15, random_state=0), few)
    assert found > accuracy(PCA(2), few) + 0.15
    assert found > accuracy(untrained(2), few) + 0.08


def test_a_regression_behind_it_is_better():
    rows, y = datasets.make_friedman1(600, noise=0.5, random_state=0)
    models = [
        SupervisedAutoencoder(3, max_iter=20, random_state=0),
        untrained(3),
        PCA(3),
        Autoencoder(3, max_iter=20, random_state=0),
    ]
    ours, start, *others = (
        make_pipeline(model, Ridge())
        .fit(rows[:400], y[:400])
        .score(rows[400:], y[400:])
        for model in models
    )
    assert ours > 0.85
    assert ours > start + 0.1
    assert start > max(others) + 0.2


def test_the_rows_are_told_as_well():
    model = SupervisedAutoencoder(4, max_iter=15, random_state=0).fit(X[:800], Y[:800])
    pca = PCA(4).fit(X[:800])
    left = np.square(X - pca.inverse_transform(pca.transform(X)))[800:].sum()
    assert model.score(X[800:]) > 1 - left / np.square(X - pca.mean_)[800:].sum()


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(s, marks=pytest.mark.slow) for s in (2, 3, 4))]
)
def test_permuted_labels_promise_nothing_and_take_little(seed):
    permuted = np.random.default_rng(seed).permutation(Y)
    train = X[:400], permuted[:400]
    model = SupervisedAutoencoder(2, max_iter=10, random_state=0).fit(*train)
    # Chance is 0.1, with a standard error of 0.008.
    assert accuracy(model, train, (X[400:], permuted[400:])) < 0.14
    start = Autoencoder(2, hidden_layer_sizes=()).fit(X[:400])
    assert model.score(X[400:]) > start.score(X[400:]) - 0.02
    # What the rows tell is still there.
    true = [
        accuracy(m, (X[:400], Y[:400]), (X[400:], Y[400:])) for m in (start, PCA(2))
    ]
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    head.fit(model.transform(X[:400]), Y[:400])
    assert head.score(model.transform(X[400:]), Y[400:]) > max(true) - 0.1


@pytest.mark.parametrize("seed", range(5))
def test_numbers_that_rows_do_not_tell_keep_the_start(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(200, 6)) * np.linspace(2, 1, 6)
    model = quick(2, max_iter=10).fit(rows, rng.normal(size=200))
    assert model.best_iteration_ == 0
    assert model.score(rows) > PCA(2).fit(rows).explained_variance_ratio_.sum() - 0.05


# The weight chosen -----------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": True, "ordered": True},
        {"hidden_layer_sizes": ()},
        {"cv": StratifiedKFold(2)},
    ],
    ids=str,
)
def test_auto_is_one_of_the_fits_with_a_weight_given(params):
    model = quick(mixing="auto", **params).fit(X_SOME, Y_SOME)
    assert model.mixing_ in (0.5, 0.1, 0.01)
    assert model.verdict_.startswith(f"mixing={model.mixing_} is chosen: squared error")
    given = quick(mixing=model.mixing_, **params).fit(X_SOME, Y_SOME)
    assert_array_equal(model.transform(X_SOME), given.transform(X_SOME))
    assert model.best_iteration_ == given.best_iteration_
    again = clone(model).fit(X_SOME, Y_SOME)
    assert_array_equal(model.transform(X_SOME), again.transform(X_SOME))


@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
def test_auto_keeps_pca_where_targets_cannot_be_told(y):
    kept = []
    for seed in range(5):
        permuted = np.random.default_rng(seed).permutation(y)
        model = quick(3, mixing="auto", hidden_layer_sizes=()).fit(X_SOME, permuted)
        kept.append(model.mixing_ == 1)
        if kept[-1]:
            held_out = model.held_out_scores_
            assert np.isfinite(held_out).all()
            assert held_out.mean() < model.score_samples(X_SOME).mean()
            Z = PCA(3).fit_transform(X_SOME)
            assert_allclose(model.transform(X_SOME), Z, atol=1e-8)
    assert sum(kept) >= 4
    model = quick(3, mixing="auto").fit(X_SOME, permuted)
    assert (
        model.score(X[200:]) > PCA(3).fit(X_SOME).explained_variance_ratio_.sum() - 0.1
    )


def test_auto_without_a_linear_start_keeps_what_rows_alone_make():
    permuted = np.random.default_rng(0).permutation(Y_SOME)
    same = {"init": "random", "cv": KFold(3)}  # by itself mixing=1 has no strata
    model = quick(mixing="auto", **same).fit(X_SOME, permuted)
    assert model.mixing_ == 1
    given = quick(mixing=1, **same).fit(X_SOME, permuted)
    assert model.best_iteration_ > 0
    assert_array_equal(model.transform(X_SOME), given.transform(X_SOME))


def test_auto_does_not_count_rows_without_a_label():
    few = np.where(np.arange(200) % 4, -1, Y_SOME)
    some = X_SOME[::4], Y_SOME[::4]
    kind = {"hidden_layer_sizes": (), "mixing": "auto", "semi_supervised": True}
    fall = r"probabilities falls from ([\d.]+) to ([\d.]+)"
    for rows, y in ((X_SOME, few), some):
        verdict = quick(4, **kind).fit(rows, y).verdict_
        before, after = map(float, re.search(fall, verdict).groups())
        assert 0.3 < after < before < 1


def test_auto_with_little_to_choose_by():
    with pytest.raises(ValueError, match="there are none: no rows are held out"):
        quick(mixing="auto", early_stopping=False).fit(X_SOME, Y_SOME)
    with pytest.raises(ValueError, match="5 distinct rows are too few to split"):
        quick(mixing="auto", init="random").fit(X[:5], Y[:5] % 2)
    assert quick(mixing="auto").fit(X[:5], Y[:5] % 2).mixing_ == 1
    assert quick(mixing="auto").fit(np.ones((60, 3)), np.arange(60) % 2).mixing_ == 1
    two = np.full(200, -1)
    two[[3, 4]] = 0, 1
    model = quick(mixing="auto", semi_supervised=True).fit(X_SOME, two)
    assert model.mixing_ == 1
    for y in (Y_SOME, NUMBERS):
        assert quick(0, mixing="auto").fit(X_SOME, y).transform(X_SOME).shape[1] == 0


def test_auto_warm_starts_with_the_weight_that_it_has():
    model = quick(mixing="auto", warm_start=True).fit(X_SOME, Y_SOME)
    mixing = model.mixing_
    assert model.fit(X[200:400], Y[200:400]).mixing_ == mixing
    with pytest.raises(ValueError, match="mixing=0.5, but the fitted model"):
        model.set_params(mixing=0.5).fit(X_SOME, Y_SOME)


# Rows without a label --------------------------------------------------------------


@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
def test_with_all_labels_nothing_is_missing(y):
    plain, semi = (quick(semi_supervised=s).fit(X_SOME, y) for s in (False, True))
    assert_array_equal(plain.transform(X_SOME), semi.transform(X_SOME))


def test_a_few_labels_are_enough_for_a_gain():
    labelled = np.arange(800) < 80
    y = np.where(labelled, Y[:800], -1)
    model = SupervisedAutoencoder(4, semi_supervised=True, random_state=0, max_iter=15)
    model.fit(X[:800], y)
    assert_array_equal(model.classes_, np.arange(10))
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    found, of_pca = (
        head.fit(m.transform(X[:80]), Y[:80]).score(m.transform(X[800:]), Y[800:])
        for m in (model, PCA(4).fit(X[:800]))
    )
    assert found > of_pca + 0.08


def test_labels_may_be_missing_in_all_ways():
    missing = np.arange(200) % 3 == 0
    names = np.array([f"digit {v}" for v in Y_SOME], dtype=object)
    names[missing] = -1
    known = np.where(missing, -1, Y_SOME)
    Z = quick(semi_supervised=True).fit(X_SOME, known).transform(X_SOME)
    gaps = np.where(missing, np.nan, Y_SOME)
    none = np.where(missing, None, names)
    nullable = pd.Series(Y_SOME, dtype="Int64").mask(missing)
    strings = pd.Series(Y_SOME.astype(str), dtype="string").mask(missing)
    for y in (names, gaps, pd.Series(gaps), none, nullable, strings):
        model = quick(semi_supervised=True).fit(X_SOME, y)
        assert_array_equal(model.transform(X_SOME), Z)
    # A label like others.
    assert -1 in quick().fit(X_SOME, known).classes_
    for y in (gaps, none, nullable, strings):
        with pytest.raises(ValueError, match="contains NaN"):
            quick().fit(X_SOME, y)


@pytest.mark.parametrize("ordered", [False, True])
def test_numbers_may_be_missing_one_by_one(ordered):
    y = NUMBERS.copy()
    y[:50, 0] = y[25:100, 1] = y[:30] = np.nan
    model = quick(semi_supervised=True, ordered=ordered).fit(X_SOME, y)
    assert model.classes_ is None
    assert np.isfinite(model.transform(X_SOME)).all()
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_two_labels_are_enough(kind, early_stopping, init):
    y = np.full(200, -1.0 if kind == "classes" else np.nan)
    y[[3, 4]] = 0.0, 1.0
    if kind == "numbers":
        y[5] = 0.5
    model = quick(semi_supervised=True, early_stopping=early_stopping, init=init)
    assert np.isfinite(model.fit(X_SOME, y).transform(X_SOME)).all()


@pytest.mark.parametrize("labelled", [slice(100), slice(100, None)])
def test_a_fold_without_a_label(labelled):
    y = np.full(200, -1)
    y[labelled] = Y_SOME[labelled] % 2
    parts = np.arange(100), np.arange(100, 200)
    for cv in ([parts], [parts, parts[::-1]]):
        model = quick(semi_supervised=True, cv=cv).fit(X_SOME, y)
        assert np.isfinite(model.transform(X_SOME)).all()
        assert np.isfinite(model.validation_scores_).all()


# Targets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y_SOME.astype(str), [str(i) for i in range(10)]),
        (Y_SOME.astype(str).astype(object), [str(i) for i in range(10)]),
        (pd.Series(Y_SOME.astype(str), dtype="category"), [str(i) for i in range(10)]),
        (pd.Series(Y_SOME, index=np.arange(200)[::-1]), range(10)),
        (Y_SOME.tolist(), range(10)),
        (Y_SOME.astype(np.float32), range(10)),
    ],
    ids=["str", "object", "category", "series", "list", "float32"],
)
def test_classes_of_any_kind_are_the_same(y, classes):
    model = quick().fit(X_SOME, y)
    assert_array_equal(model.classes_, classes)
    expected = quick().fit(X_SOME, Y_SOME).transform(X_SOME)
    assert_array_equal(model.transform(X_SOME), expected)


def test_two_classes():
    y = Y_SOME > 4
    model = quick(target_type="binary").fit(X_SOME, y)
    assert_array_equal(model.classes_, [False, True])
    other = quick().fit(X_SOME, np.where(y, "yes", "no"))
    assert_array_equal(model.transform(X_SOME), other.transform(X_SOME))


def test_numbers_of_any_kind_are_the_same():
    expected = quick().fit(X_SOME, NUMBERS).transform(X_SOME)
    frame = pd.DataFrame(NUMBERS, columns=list("abc"), index=np.arange(200)[::-1])
    for y in (frame, NUMBERS.tolist(), np.asfortranarray(NUMBERS)):
        assert_array_equal(quick().fit(X_SOME, y).transform(X_SOME), expected)
    for unit in (1e-9, 1e9):
        other = quick(target_type="continuous").fit(X_SOME, unit * NUMBERS - 3 * unit)
        assert_allclose(other.transform(X_SOME), expected, atol=1e-2)
    one, column = NUMBERS[:, 0], NUMBERS[:, :1]  # not a mistake where numbers are many
    assert_array_equal(
        quick().fit(X_SOME, one).transform(X_SOME),
        quick().fit(X_SOME, column).transform(X_SOME),
    )


def test_whole_numbers_are_classes_unless_told_otherwise():
    assert quick(target_type="continuous").fit(X_SOME, Y_SOME).classes_ is None
    assert len(quick(target_type="multiclass").fit(X_SOME, Y_SOME).classes_) == 10


def test_whole_numbers_that_are_hardly_classes_warn():
    rows, y = datasets.load_diabetes(return_X_y=True)  # 214 different numbers, 442 rows
    with pytest.warns(UserWarning, match="214 classes in 442 rows.*'continuous'"):
        untrained().fit(rows, y)
    untrained(target_type="continuous").fit(rows, y)


def test_a_column_of_classes_warns():
    with pytest.warns(DataConversionWarning, match="1d array was expected"):
        model = quick().fit(X_SOME, Y_SOME[:, None])
    assert_array_equal(model.classes_, np.arange(10))


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        (None, {}, "requires y to be passed, but the target y is None"),
        (Y_SOME[:100], {}, "inconsistent numbers of samples: .200, 100"),
        (np.ones(200, int), {}, "y has 1 class"),
        (np.full(200, 0.5), {}, "y is constant"),
        (np.eye(10, dtype=int)[Y_SOME], {}, "multilabel-indicator"),
        (np.column_stack([Y_SOME, Y_SOME]), {}, "multiclass-multioutput"),
        (np.where(Y_SOME > 4, np.nan, 0.5), {}, "Input y contains NaN"),
        (np.where(Y_SOME > 4, np.inf, 0.5), {}, "Input y contains infinity"),
        (np.full(200, -1), {"semi_supervised": True}, "y has no label"),
        (Y_SOME, {"target_type": "binary"}, "target_type is 'binary'"),
        (NUMBERS[:, 0], {"target_type": "multiclass"}, "target_type is 'multiclass'"),
        (Y_SOME, {"mixing": 0}, "The 'mixing' parameter"),
        (Y_SOME, {"mixing": 1.5}, "The 'mixing' parameter"),
        (Y_SOME, {"target_type": "ordinal"}, "The 'target_type' parameter"),
        (Y_SOME, {"semi_supervised": "yes"}, "The 'semi_supervised' parameter"),
    ],
)
@pytest.mark.parametrize("mixing", [0.5, 1])
def test_what_y_may_not_be(fitted, y, params, message, mixing):
    model = copy.deepcopy(fitted).set_params(mixing=mixing)
    Z = model.transform(X_SOME)
    before = {k: v for k, v in vars(model).items() if k not in params}
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X_SOME, y)
    after = {k: v for k, v in vars(model).items() if k not in params}
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert_array_equal(model.transform(X_SOME), Z)
    with pytest.raises(ValueError, match=message):
        quick(**{"mixing": mixing, **params}).fit(X_SOME, y)


def test_y_and_rows_are_not_written_to():
    y, rows = NUMBERS.copy(), X_SOME.copy()
    y.flags.writeable = rows.flags.writeable = False
    quick().fit(rows, y)
    quick(early_stopping=False).fit(rows, y)


# Rare classes --------------------------------------------------------------------


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_rare_classes(early_stopping, init):
    rng = np.random.default_rng(0)
    y = np.zeros(300, int)
    y[:6], y[6], y[7:9] = 1, 2, 3  # two in a hundred, a single row, two rows
    rows = rng.normal(size=(300, 8))
    rows[:6, 0] += 5
    model = quick(early_stopping=early_stopping, init=init, max_iter=10).fit(rows, y)
    assert_array_equal(model.classes_, range(4))
    assert np.isfinite(model.transform(rows)).all()


def test_a_rare_class_is_told_apart():
    rng = np.random.default_rng(0)
    y = (np.arange(1000) % 50 == 0).astype(int)
    rows = rng.normal(size=(1000, 8)) * [9, 8, 7, 6, 5, 4, 3, 1]
    rows[:, 7] += 5 * y
    for model in (untrained(2), quick(2)):
        Z = StandardScaler().fit_transform(model.fit(rows, y).transform(rows))
        recall = LogisticRegression().fit(Z, y).predict(Z)[y == 1].mean()
        assert recall > 0.8


@pytest.mark.parametrize("rare", [slice(100), slice(100, None)])
def test_a_fold_without_a_class(rare):
    y = np.zeros(200, int)
    y[rare] = 1 + Y_SOME[rare] % 2
    parts = np.arange(100), np.arange(100, 200)
    for cv in ([parts], [parts, parts[::-1]]):
        model = quick(cv=cv).fit(X_SOME, y)
        assert_array_equal(model.classes_, range(3))
        assert np.isfinite(model.validation_scores_).all()


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_few_rows(n):
    for y in (np.arange(n) % 2, np.linspace(0.1, 1, n)):
        model = quick(1).fit(X[:n], y)
        assert np.isfinite(model.transform(X[:n])).all()


def test_a_class_for_each_row():
    y = np.arange(40)
    with pytest.warns(UserWarning, match="y has 40 classes in 40 rows.*'continuous'"):
        model = quick(2).fit(X[:40], y)
    assert len(model.classes_) == 40
    assert np.isfinite(model.score(X[:40]))
    for params in ({"target_type": "multiclass"}, {"target_type": "continuous"}):
        quick(2, **params).fit(X[:40], y)
    quick(2).fit(X[:40], y.astype(str))


@pytest.mark.parametrize("rows", [np.ones((60, 4)), np.eye(60, 4)])
def test_rows_with_little_variance(rows):
    model = quick(2).fit(rows, np.arange(60) % 3)
    assert np.isfinite(model.transform(rows)).all()


def test_more_features_than_rows():
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(40, 300)), np.arange(40) % 2
    rows[:, :20] += 2 * y[:, None]
    model = quick(2).fit(rows, y)
    assert accuracy(model, (rows, y), (rows, y)) > 0.9
    assert model.transform(rows).shape == (40, 2)


def test_more_latents_than_features():
    model = quick(6).fit(X_SOME[:, 18:22], Y_SOME)
    Z = model.transform(X_SOME[:, 18:22])
    assert Z.shape == (200, 6)
    assert np.isfinite(Z).all()


# A warm start --------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_a_warm_start_goes_on(early_stopping, ordered):
    model = quick(
        3, warm_start=True, early_stopping=early_stopping, ordered=ordered, max_iter=15
    ).fit(X_SOME, Y_SOME)
    score = model.score(X[200:])
    told = LogisticRegression(max_iter=2000)
    before = told.fit(model.transform(X_SOME), Y_SOME)
    before = before.score(model.transform(X[200:]), Y[200:])
    # With nothing learnt further, on other rows.
    model.set_params(max_iter=1, learning_rate=1e-9).fit(X[200:500], Y[200:500])
    assert model.score(X[500:]) > score - 0.05
    after = told.fit(model.transform(X_SOME), Y_SOME)
    assert after.score(model.transform(X[500:]), Y[500:]) > before - 0.1
    assert model.best_iteration_ > 0


def test_a_warm_start_in_other_units_and_with_fewer_labels():
    model = quick(3, warm_start=True, max_iter=15).fit(X_SOME, Y_SOME)
    score = model.score(X[200:])
    model.fit(5 * X_SOME + 3, Y_SOME)
    assert model.score(5 * X[200:] + 3) > score - 0.05
    labels = np.where(np.arange(200) % 2, Y_SOME, -1)
    model.set_params(semi_supervised=True).fit(X_SOME, labels)
    assert_array_equal(model.classes_, range(10))


def test_a_warm_start_where_constant_features_vary():
    first = X_SOME.copy()
    first[:, 20] = 8
    model = quick(3, warm_start=True).fit(first, Y_SOME).fit(X_SOME, Y_SOME)
    assert np.isfinite(model.transform(X_SOME)).all()
    model.fit(first, Y_SOME)
    assert_allclose(model.reconstruct(first)[:, 20], 8)


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        (Y_SOME + 5, {}, "classes_=.5, 6.*that warm_start=True continues has classes_"),
        (Y_SOME % 3, {}, r"classes_=\(0, 1, 2\), but the fitted model"),
        (Y_SOME.astype(str), {}, "classes_=.'0', '1'.* but the fitted model"),
        (NUMBERS, {}, "classes_=None, but the fitted model"),
        (Y_SOME, {"target_type": "continuous"}, "classes_=None, but the fitted model"),
        (Y_SOME, {"mixing": 1}, "mixing=1, but the fitted model"),
        (Y_SOME, {"activation": "relu"}, "activation='relu', but the fitted model"),
    ],
)
def test_a_warm_start_has_the_same_targets(y, params, message):
    model = quick(warm_start=True, early_stopping=False).fit(X_SOME, Y_SOME)
    Z, net = model.transform(X_SOME), model.net_
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X_SOME, y)
    assert model.net_ is net
    assert_array_equal(model.transform(X_SOME), Z)
    assert_array_equal(model.classes_, range(10))
    # A new fit may have others.
    model.set_params(warm_start=False).fit(X_SOME, y)


def test_a_warm_start_has_as_many_numbers():
    model = quick(warm_start=True).fit(X_SOME, NUMBERS)
    with pytest.raises(ValueError, match=r"y.shape\[1\]=2, but .* y.shape\[1\]=3"):
        model.fit(X_SOME, NUMBERS[:, :2])
    model.fit(X_SOME, 10 * NUMBERS + 3)
    alone = quick(warm_start=True, mixing=1).fit(X_SOME, NUMBERS)
    with pytest.raises(ValueError, match="mixing=0.5, but .* has mixing=1"):
        alone.set_params(mixing=0.5).fit(X_SOME, NUMBERS)


@pytest.mark.parametrize("n_components", [0, 0.5])
def test_a_warm_start_of_no_latents_or_a_share(n_components):
    model = quick(n_components, warm_start=True).fit(X_SOME, Y_SOME)
    score = model.score(X_SOME)
    assert model.fit(X_SOME, Y_SOME).score(X_SOME) > score - 0.05
    with pytest.raises(ValueError, match="classes_="):
        model.fit(X_SOME, Y_SOME % 2)


# Sizes ---------------------------------------------------------------------------


def test_ordered_latents_are_cut():
    model = SupervisedAutoencoder(6, ordered=True, max_iter=15, random_state=0)
    model.fit(X[:800], Y[:800])
    Z = model.transform(X)
    whole = np.square(Z[:800] - Z[:800].mean(axis=0)).sum(axis=0) / 799
    assert_allclose(whole, model.explained_variance_, rtol=1e-6)
    for size in (1, 2, 4):
        cut = model.truncate(size)
        assert_allclose(cut.transform(X), Z[:, :size], atol=1e-9)
        assert_allclose(cut.reconstruct(X), model.inverse_transform(Z[:, :size]))
        assert_array_equal(cut.classes_, model.classes_)
        assert cut.mixing_ == 0.5
    head = LogisticRegression(max_iter=3000).fit(Z[:800, :2], Y[:800])
    assert head.score(Z[800:, :2], Y[800:]) > accuracy(PCA(2)) + 0.1
    assert len(model.truncate(2).fit(X_SOME, Y_SOME).classes_) == 10


def test_a_cut_model_goes_on():
    model = quick(4, ordered=True, warm_start=True).fit(X_SOME, Y_SOME).truncate(2)
    assert model.fit(X_SOME, Y_SOME).transform(X_SOME).shape == (200, 2)


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_share_of_the_variance(hidden):
    model = quick(0.5, hidden_layer_sizes=hidden).fit(X_SOME, Y_SOME)
    k = model.n_components_
    assert model.explained_variance_ratio_.sum() > 0.5
    assert model.explained_variance_ratio_[: k - 1].sum() <= 0.5
    assert model.transform(X_SOME).shape == (200, k)


def test_no_latents_are_the_mean():
    for y in (Y_SOME, NUMBERS):
        model = quick(0).fit(X_SOME, y)
        assert model.transform(X_SOME).shape == (200, 0)
        assert_allclose(model.reconstruct(X[:3]), np.tile(model.mean_, (3, 1)))
        assert model.mixing_ == 0.5
        assert (model.classes_ is None) == (y is NUMBERS)


def test_all_latents_by_default():
    model = untrained(None).fit(X_SOME[:, 18:22], Y_SOME)
    assert model.n_components_ == 4
    assert model.score(X_SOME[:, 18:22]) == pytest.approx(1)


@pytest.mark.parametrize("method", ["ordered", "exact"])
@pytest.mark.parametrize("scoring", [None, "hidden_cells"])
def test_the_size_by_cross_validation(scoring, method):
    search = LatentSizeCV(
        quick(),
        [1, 4],
        cv=2,
        method=method,
        scoring=scoring,
        final_estimator=LogisticRegression(max_iter=5000) if scoring is None else None,
        rule="best",
    ).fit(X_SOME, Y_SOME)
    assert search.best_n_components_ in (1, 4)
    assert_array_equal(search.best_estimator_.classes_, range(10))
    assert search.linear_scores_.shape == (2, 2)
    assert np.isfinite(search.linear_scores_).all()
    score = search.score(X[200:], Y[200:])
    if scoring is None:
        assert search.best_n_components_ == 4
        assert score > 0.4
    assert search.transform(X_SOME).shape == (200, search.best_n_components_)
    with pytest.raises(ValueError, match="y"):
        search.fit(X_SOME)


# Networks of the user's, devices, callbacks ------------------------------------------


def small_decoder(n_features, n_components):
    return small_encoder(n_components, n_features)


@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("decoder", [None, small_decoder])
def test_own_networks(decoder, init, y):
    model = quick(
        encoder=small_encoder,
        decoder=decoder,
        init=init,
        early_stopping=False,
        max_iter=20,
    ).fit(X_SOME, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    Z = model.transform(X_SOME)
    assert_allclose(model.inverse_transform(Z), model.reconstruct(X_SOME), atol=1e-4)
    again = clone(model).fit(X_SOME, y)
    assert_array_equal(again.transform(X_SOME), Z)


def test_own_encoder_gains_with_held_out_rows():
    model = SupervisedAutoencoder(
        2, encoder=small_encoder, max_iter=15, early_stopping=True, random_state=0
    )
    assert accuracy(model) > accuracy(untrained(2)) + 0.1
    modules = SupervisedAutoencoder(2, encoder=small_encoder(64, 2), max_iter=3)
    modules.set_params(early_stopping=False, random_state=0)
    assert modules.fit(X_SOME, Y_SOME).transform(X_SOME).shape == (200, 2)
    with pytest.raises(ValueError, match="encoder"):
        quick(encoder=nn.Linear(3, 3)).fit(X_SOME, Y_SOME)


class Notes(Callback):
    """Counts epochs, and notes what batches are."""

    def __init__(self):
        self.epochs, self.shapes = 0, set()

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1

    def on_batch_end(self, net, batch, training, **kwargs):
        rows, target = batch
        self.shapes.add((rows.shape[1], target.shape[1]))


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_callbacks(early_stopping):
    notes = Notes()
    model = quick(callbacks=[notes], early_stopping=early_stopping)
    model.fit(X_SOME, Y_SOME)
    (used,) = (c for _, c in model.net_.callbacks_ if isinstance(c, Notes))
    assert used is not notes
    assert notes.epochs == 0
    if early_stopping is not True or model.best_iteration_:
        assert used.epochs > 0
        assert used.shapes == {(64, 64)}
    plain = quick(early_stopping=early_stopping).fit(X_SOME, Y_SOME)
    assert plain.transform(X_SOME).shape == (200, 2)


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("on purpose")


def test_a_failed_fit_loses_nothing(fitted):
    model = clone(fitted).fit(X_SOME, Y_SOME)
    before = dict(vars(model))
    model.set_params(callbacks=[Fails()])
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(X_SOME[:, :30], Y_SOME % 2)
    model.set_params(callbacks=None)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_a_classifier_behind_it_that_leaves_rows_without_a_label_out():
    labels = np.where(np.arange(200) % 4, -1, Y_SOME)
    reducer = untrained(4, semi_supervised=True)
    behind = SelfTrainingClassifier(LogisticRegression(), max_iter=0)
    pipeline = make_pipeline(StandardScaler(), reducer, behind).fit(X_SOME, labels)
    assert_array_equal(pipeline.classes_, np.arange(10))
    Z = pipeline[:-1].transform(X_SOME)
    alone = LogisticRegression().fit(Z[::4], Y_SOME[::4])
    assert_array_equal(pipeline.predict(X_SOME), alone.predict(Z))


class Watched(nn.Linear):
    trains_without_gradients = False

    def forward(self, x):
        Watched.trains_without_gradients |= self.training and not x.requires_grad
        return super().forward(x)


def test_no_noise_of_training_is_in_latents_that_are_judged():
    def encoder(p, k):
        return nn.Sequential(nn.Linear(p, k), nn.Dropout(0.5), Watched(k, k))

    Watched.trains_without_gradients = False
    quick(mixing="auto", init="random", encoder=encoder).fit(X_SOME, Y_SOME)
    assert not Watched.trains_without_gradients


@pytest.mark.parametrize("kind", ["class", "number"])
def test_targets_known_of_two_among_many_rows(kind):
    rows = np.random.default_rng(0).standard_normal((5200, 4))
    if kind == "class":
        y = np.zeros(5200, int)
        y[[1, 3]] = 1
    else:
        y = rows[:, :2] + 0.25
        y[:, 1] = np.nan
        y[[1, 3], 1] = 0.25, 1
    model = untrained(semi_supervised=True).fit(rows, y)
    assert np.isfinite(model.explained_variance_).all()
    assert np.isfinite(model.transform(rows)).all()


def test_sparse_rows_are_as_dense_ones():
    model = quick()
    Z = model.fit(csr_matrix(X_SOME), Y_SOME).transform(csr_matrix(X_SOME))
    assert_allclose(Z, quick().fit(X_SOME, Y_SOME).transform(X_SOME), rtol=1e-9)


@pytest.mark.parametrize("y", [Y_SOME, NUMBERS], ids=["classes", "numbers"])
def test_float32_stays_float32(y):
    for hidden in ((), (16,)):
        model = quick(hidden_layer_sizes=hidden)
        single = model.fit(X_SOME.astype(np.float32), y)
        Z = single.transform(X_SOME.astype(np.float32))
        assert Z.dtype == np.float32
        assert single.mean_.dtype == np.float32
        assert single.reconstruct(X_SOME.astype(np.float32)).dtype == np.float32
        double = clone(model).fit(X_SOME, y.astype(np.float32))
        assert double.transform(X_SOME).dtype == np.float64
        scale = np.abs(Z).max()
        if not hidden:
            assert_allclose(Z, double.transform(X_SOME), atol=1e-4 * scale)


@pytest.mark.parametrize("unit", [1e-100, 1e6, 1e100])
def test_rows_of_any_magnitude(unit):
    model = quick(device="cpu").fit(unit * X_SOME, Y_SOME)
    expected = quick().fit(X_SOME, Y_SOME)
    assert_allclose(
        model.transform(unit * X_SOME) / unit, expected.transform(X_SOME), 1
    )
    assert model.score(unit * X_SOME) == pytest.approx(expected.score(X_SOME), abs=0.02)


# With scikit-learn ---------------------------------------------------------------


def test_tags_and_parameters():
    model = quick()
    assert model.__sklearn_tags__().target_tags.required
    assert not Autoencoder().__sklearn_tags__().target_tags.required
    twin = clone(model.set_params(mixing=0.3, target_type="binary"))
    assert twin.get_params() == model.get_params()
    assert repr(quick(mixing=0.3)).count("mixing=0.3") == 1
    first = list(SupervisedAutoencoder().get_params())
    assert set(Autoencoder().get_params()) - {"loss"} | {
        "mixing",
        "target_type",
        "semi_supervised",
    } == set(first)


def test_pipeline_and_grid():
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("reduce", quick()),
            ("model", LogisticRegression(max_iter=3000)),
        ]
    )
    grid = GridSearchCV(
        pipeline,
        {"reduce__mixing": [0.5, 1.0], "reduce__n_components": [1, 4]},
        cv=2,
        n_jobs=1,
        error_score="raise",
    ).fit(X_SOME, Y_SOME)
    assert grid.best_params_ == {"reduce__mixing": 0.5, "reduce__n_components": 4}
    assert grid.score(X[200:], Y[200:]) > 0.5
    without = GridSearchCV(quick(), {"n_components": [1, 4]}, cv=2, error_score="raise")
    assert without.fit(X_SOME, Y_SOME).best_params_ == {"n_components": 4}
    scores = cross_val_score(
        make_pipeline(quick(), Ridge()), X_SOME, NUMBERS, cv=2, error_score="raise"
    )
    assert (scores > 0.2).all()


def test_column_transformer_and_pandas():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    frame["kind"] = rng.choice(["x", "y"], size=60)
    y = (frame["a"] + frame["b"] > 0).map({True: "up", False: "down"})
    columns = ColumnTransformer(
        [
            ("ae", quick(), ["a", "b", "c"]),
            ("kind", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    ).set_output(transform="pandas")
    out = columns.fit_transform(frame, y)
    assert list(out)[:2] == ["ae__supervisedautoencoder0", "ae__supervisedautoencoder1"]
    assert list(out.index) == list(frame.index)
    model = quick().set_output(transform="pandas").fit(frame[["a", "b", "c"]], y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_array_equal(model.classes_, ["down", "up"])
    assert_array_equal(model.transform(frame[["a", "b", "c"]]), out.iloc[:, :2])


GROUPS = np.arange(200) // 4


@pytest.mark.parametrize(
    ("cv", "groups"),
    [
        (StratifiedKFold(3), None),
        (StratifiedKFold(3, shuffle=True, random_state=0), None),
        (GroupKFold(3), GROUPS),
        (StratifiedGroupKFold(3), GROUPS),
        (None, GROUPS),
        (3, None),
    ],
    ids=str,
)
def test_held_out_rows_by_a_splitter(cv, groups):
    for names in (Y_SOME, Y_SOME.astype(str)):
        model = quick(cv=cv).fit(X_SOME, names, groups=groups)
        assert np.isfinite(model.held_out_scores_).all()
    by_hand = quick(cv=cv).fit(X_SOME, Y_SOME, groups=groups)
    assert_array_equal(by_hand.transform(X_SOME), model.transform(X_SOME))
    if isinstance(cv, StratifiedKFold):
        pairs = list(cv.split(X_SOME, Y_SOME))
        listed = quick(cv=pairs).fit(X_SOME, Y_SOME)
        assert_array_equal(listed.transform(X_SOME), model.transform(X_SOME))


def test_a_number_of_folds_is_stratified():
    order = np.argsort(Y_SOME, kind="stable")
    rows, y = X_SOME[order], Y_SOME[order]
    labels = np.where(np.arange(200) % 3, y, -1)
    for given in (y, labels):
        model = quick(semi_supervised=True, cv=3).fit(rows, given)
        split = StratifiedKFold(3).split(rows, given)
        listed = quick(semi_supervised=True, cv=list(split)).fit(rows, given)
        assert_array_equal(model.transform(rows), listed.transform(rows))
    numbers = quick(cv=3).fit(X_SOME, NUMBERS)
    listed = quick(cv=KFold(3)).fit(X_SOME, NUMBERS)
    assert_array_equal(numbers.transform(X_SOME), listed.transform(X_SOME))


@pytest.mark.slow
def test_another_process_gives_the_same(tmp_path):
    model = quick(3).fit(X_SOME, Y_SOME.astype(str))
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X_SOME)
    code = (
        "import pickle, numpy as np; X = np.load('X.npy');"
        "model = pickle.load(open('model', 'rb'));"
        "np.save('Z.npy', model.transform(X));"
        "np.save('classes.npy', model.classes_);"
        "model.set_params(warm_start=True).fit(X, model.classes_[np.arange(len(X))%10])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    Z = np.load(tmp_path / "Z.npy")
    assert_allclose(Z, model.transform(X_SOME), rtol=1e-12)
    assert_array_equal(np.load(tmp_path / "classes.npy"), model.classes_)
    assert (tmp_path / "model").stat().st_size < 200_000


def test_a_fitted_model_holds_no_rows_and_no_targets():
    random = np.random.default_rng(0)
    many = np.tile(X, (6, 1))
    many += 1e-3 * random.normal(size=many.shape)  # or equal rows would be one
    y = random.normal(size=(len(many), 30))
    size = len(pickle.dumps(Autoencoder(2, hidden_layer_sizes=()).fit(many)))
    for model in (untrained(2), quick(2, early_stopping=False, max_iter=1)):
        assert len(pickle.dumps(model.fit(many, y))) < size + y.nbytes / 50


# The world -----------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize("params", [{}, {"encoder": small_encoder}, {"init": "random"}])
def test_same_seed_same_bits_and_the_world_is_left_as_it_was(early_stopping, params):
    before = world()
    model = quick(early_stopping=early_stopping, **params).fit(X_SOME, Y_SOME)
    again = clone(model).fit(X_SOME, Y_SOME)
    other = clone(model).set_params(random_state=1).fit(X_SOME, Y_SOME)
    assert world() == before
    assert_array_equal(again.transform(X_SOME), model.transform(X_SOME))
    assert_array_equal(again.loss_curve_, model.loss_curve_)
    assert not np.array_equal(other.loss_curve_, model.loss_curve_)


def test_without_a_seed_the_world_is_left_as_it_was():
    before = world()
    model = quick(random_state=None).fit(X_SOME, Y_SOME)
    model.inverse_transform(model.transform(X_SOME))
    with pytest.raises(RuntimeError):
        quick(random_state=None, callbacks=[Fails()]).fit(X_SOME, Y_SOME)
    assert world() == before


def test_progress(capsys):
    model = quick(verbose=1).fit(X_SOME, Y_SOME)
    assert model.verdict_ in capsys.readouterr().out


def test_sizes_are_chosen_on_stratified_folds():
    X, y = datasets.load_wine(return_X_y=True)  # sorted by class
    linear = SupervisedAutoencoder(hidden_layer_sizes=())
    search = LatentSizeCV(linear, [1, 2], cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    numbers = clone(linear).set_params(target_type="continuous")
    LatentSizeCV(numbers, [1], cv=2).fit(X, np.arange(len(X)))


@pytest.mark.parametrize("n", [300, 1200])  # folds, and one part
def test_held_out_rows_have_their_share_of_each_class(n):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [n - 40, 30, 10])
    rows = random.normal(size=(n, 4)) + labels[:, None]
    model = SupervisedAutoencoder(2, **QUICK)
    targets = model._targets(labels)
    splits = resolve(model, rows_of(rows, targets=targets)).splits.pairs
    for train, held_out in splits:
        share = len(held_out) / n
        found = np.bincount(labels[held_out], minlength=3)
        assert_allclose(found, share * np.array([n - 40, 30, 10]), atol=1)
        assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(n))
        assert (np.diff(labels[held_out]) != 0).any()
