"""Displays: what is drawn is what the model says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklatent import (
    Autoencoder,
    ComponentsDisplay,
    DenoisingAutoencoder,
    LatentSizeCV,
    LatentSizeDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    SupervisedAutoencoder,
    TrainingDisplay,
    VariationalAutoencoder,
)
from sklatent.displays import _latent_space, _reconstruction
from sklatent.displays._common import in_digits, shortened
from sklatent.problems import ExplainedVariance
from sklatent.training import Judge

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 4, "random_state": 0}
IMAGE = (8, 8)


@pytest.fixture(autouse=True)
def _figures_are_closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X(digits):  # noqa: N802
    return digits[:300]


@pytest.fixture(scope="module")
def model(X):
    return Autoencoder(4, **QUICK).fit(X)


@pytest.fixture(scope="module")
def linear(X):
    return Autoencoder(3, hidden_layer_sizes=()).fit(X)


@pytest.fixture(scope="module")
def denoiser(X):
    return DenoisingAutoencoder(8, noise="masking", noise_level=0.3, **QUICK).fit(X)


@pytest.fixture(scope="module")
def wine():
    return load_wine(as_frame=True).data


@pytest.fixture(scope="module")
def pipeline(wine):
    return make_pipeline(StandardScaler(), Autoencoder(3, **QUICK)).fit(wine)


def drawn(display):
    """Draw the figure as for a file, and return the display."""
    display.figure_.canvas.draw()
    return display


def texts(labels):
    return [label.get_text() for label in labels]


def check_legend_covers_nothing(display, ax):
    """The legend is inside the figure, and outside the Axes."""
    drawn(display)
    legend, figure = display.legend_.get_window_extent(), display.figure_.bbox
    box = ax.get_window_extent()
    assert legend.x0 >= box.x1 - 1 or legend.y0 >= box.y1 - 1
    assert figure.x0 <= legend.x0 + 1
    assert legend.x1 <= figure.x1 + 1
    assert figure.y0 <= legend.y0 + 1
    assert legend.y1 <= figure.y1 + 1


# The latent space -----------------------------------------------------------------


def test_a_map_has_the_points_of_each_class(model, X):
    y = np.array(["a", "b", "c"], dtype=object)[np.arange(len(X)) % 3]
    y[:10] = None
    display = LatentSpaceDisplay.from_estimator(model, X, y, components=(2, 0))
    latents = model.transform(X)[:, [2, 0]]
    unknown, *classes = display.artists_[0]
    assert_allclose(unknown.get_offsets(), latents[:10])
    for name, points in zip("abc", classes, strict=True):
        assert_allclose(points.get_offsets(), latents[y == name])
    assert len({tuple(points.get_facecolor()[0]) for points in classes}) == 3
    assert texts(display.legend_.get_texts()) == ["a", "b", "c", "not known"]
    share = 100 * model.explained_variance_ratio_[2]
    assert display.ax_.get_xlabel() == f"latent 2 ({share:.1f}%)"
    check_legend_covers_nothing(display, display.ax_)


def test_a_map_by_a_number_has_a_colour_bar(model, X):
    pd = pytest.importorskip("pandas")
    y = pd.Series(X.sum(axis=1) + 0.5, name="ink")
    y[3] = np.nan
    display = LatentSpaceDisplay.from_estimator(model, X, y, scatter_kw={"s": 7})
    (points,) = display.artists_[0]
    assert_allclose(points.get_array(), y.drop(3))
    assert_array_equal(points.get_sizes(), [7])
    assert display.colorbar_.ax.get_ylabel() == "ink"
    assert display.legend_ is None
    drawn(display)


def test_pca_is_drawn_beside(model, X):
    display = drawn(LatentSpaceDisplay.from_estimator(model, X, pca=True))
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == ["Autoencoder", "PCA"]
    found = display.artists_[1][0].get_offsets()
    assert_allclose(np.abs(found), np.abs(PCA(2).fit_transform(X)), atol=1e-6)
    latents = display.artists_[0][0].get_offsets()
    for j in range(2):
        assert np.corrcoef(found[:, j], latents[:, j])[0, 1] > 0.5
    _, ax = plt.subplots()  # a single one is split
    split = LatentSpaceDisplay.from_estimator(model, X, pca=True, ax=ax)
    assert len(split.axes_) == 2
    assert split.figure_ is ax.figure
    _, given = plt.subplots(1, 2)
    assert_array_equal(split.plot(given).axes_, given)


@pytest.mark.parametrize(
    ("n", "kind"), [(19_999, PathCollection), (20_000, PolyCollection)]
)
def test_many_rows_are_cells(n, kind):
    latents = np.random.default_rng(0).normal(size=(n, 2))
    display = drawn(LatentSpaceDisplay(latents=latents).plot())
    (found,) = display.artists_[0]
    assert type(found) is kind
    if kind is PolyCollection:
        assert found.get_array().sum() == n
        assert display.colorbar_.ax.get_ylabel() == "rows"
    else:
        assert found.get_rasterized()


def test_cells_say_what_most_of_their_rows_are():
    latents = np.repeat([[0.0, 0.0], [1.0, 1.0]], [30, 10], axis=0)
    y = np.repeat(["a", "b", "c"], [20, 12, 8])
    display = LatentSpaceDisplay(latents=latents, y=y).plot(kind="hexbin")
    (cells,) = drawn(display).artists_[0]
    assert_array_equal(cells.get_array(), [0, 2])  # of 20 a and 10 b; of 2 b and 8 c
    faint, strong = sorted(cells.get_alpha())
    assert 0.4 < faint < strong == 1
    values = np.repeat([1.0, 3.5, 4.5], [20, 10, 10])
    (cells,) = (
        LatentSpaceDisplay(latents=latents, y=values).plot(kind="hexbin").artists_[0]
    )
    assert_allclose(cells.get_array(), [55 / 30, 4.5])


def test_many_classes_keep_their_points(monkeypatch):
    monkeypatch.setattr(_latent_space, "MAX_POINTS", 100)
    latents = np.random.default_rng(0).normal(size=(120, 2))
    display = LatentSpaceDisplay(latents=latents, y=np.arange(120) % 12).plot()
    assert len(display.artists_[0]) == 12
    looks = {
        (tuple(h.get_color()), h.get_marker()) for h in display.legend_.legend_handles
    }
    assert len(looks) == 12
    with pytest.raises(ValueError, match="10 classes apart; y has 12"):
        display.plot(kind="hexbin")


def test_colours_are_lighter_on_a_dark_background():
    latents, y = np.zeros((4, 2)), [0, 1, 0, 1]

    def luminance():
        display = LatentSpaceDisplay(latents=latents, y=y).plot()
        return [points.get_facecolor()[0, :3].mean() for points in display.artists_[0]]

    light = luminance()
    with plt.style.context("dark_background"):
        dark = luminance()
    assert (np.array(dark) > light).all()


# Reconstructions ------------------------------------------------------------------


def tile(image, j):
    """The j-th image of a row of them."""
    return image.get_array()[:, 9 * j : 9 * j + 8]


def test_images_of_rows_and_reconstructions(model, X):
    display = ReconstructionDisplay.from_estimator(model, X, image_shape=IMAGE, n=5)
    original, result, difference = drawn(display).images_
    X_hat = model.reconstruct(X)
    for j in range(5):
        assert_allclose(tile(original, j).ravel(), X[j])
        assert_allclose(tile(result, j).ravel(), X_hat[j])
        assert_allclose(tile(difference, j).ravel(), X_hat[j] - X[j])
    assert original.get_clim() == result.get_clim() == (X[:5].min(), X[:5].max())
    low, high = difference.get_clim()
    assert -low == high == pytest.approx(np.abs(X_hat - X)[:5].max())
    labels = texts(display.ax_.get_yticklabels())
    assert labels == ["original", "reconstruction", f"difference\n(±{in_digits(high)})"]
    error = in_digits(np.square(X - X_hat)[4].sum())
    assert texts(display.ax_.get_xticklabels())[4] == f"4\n{error}"


def test_the_rows_that_are_asked_for(model, X):
    errors = -model.score_samples(X)
    make = ReconstructionDisplay.from_estimator
    worst = make(model, X, image_shape=IMAGE, rows="worst", n=3)
    assert_array_equal(worst.indices, np.argsort(-errors)[:3])
    assert_allclose(worst.errors, np.sort(errors)[::-1][:3], rtol=1e-5)
    typical = make(model, X, image_shape=IMAGE, rows="typical", n=4)
    rank = np.sort(np.abs(errors - np.median(errors)))
    found = np.abs(typical.errors - np.median(errors))
    assert_allclose(found, rank[:4], rtol=1e-4, atol=1e-4)
    given = make(model, X, image_shape=IMAGE, rows=[7, 2])
    assert_allclose(given.original, X[[7, 2]])


def test_a_denoiser_shows_noise(denoiser, X):
    make = ReconstructionDisplay.from_estimator
    display = drawn(make(denoiser, X, image_shape=IMAGE, random_state=0))
    assert len(display.images_) == 4
    assert texts(display.ax_.get_yticklabels())[1] == "noisy"
    hidden = np.abs(display.noisy) < 1e-5
    assert_array_equal(display.noisy[~hidden], display.original[~hidden])
    lit = display.original > 0
    assert hidden[lit].mean() == pytest.approx(0.3, abs=0.06)
    shown = denoiser.reconstruct(display.noisy)
    assert_allclose(display.reconstruction, shown, atol=1e-3)
    again = make(denoiser, X, image_shape=IMAGE, random_state=0)
    assert_array_equal(display.noisy, again.noisy)
    zeros = make(denoiser, X, X_noisy=np.zeros_like(X), image_shape=IMAGE, n=2)
    assert_array_equal(zeros.noisy, 0)
    assert_allclose(zeros.reconstruction, denoiser.reconstruct(np.zeros((2, 64))))


def test_noise_is_that_of_the_training():
    X = np.random.default_rng(0).normal(size=(3000, 3)) * [1, 10, 0.1] + 5
    encoder = DenoisingAutoencoder(2, noise_level=0.5, **QUICK).fit(X[:200])
    noise = _reconstruction.corrupted(encoder, X, seed=0) - X
    assert_allclose(noise.std(axis=0), 0.5 * X.std(axis=0), rtol=0.05)
    own = DenoisingAutoencoder(2, noise=lambda x: x + 3, **QUICK).fit(X[:200])
    assert_allclose(_reconstruction.corrupted(own, X, 0), X + 3, atol=1e-5)


def test_images_in_colours(X):
    rng = np.random.default_rng(0)
    colours = rng.uniform(size=(40, 12))
    model = Autoencoder(2, **QUICK).fit(colours)
    display = ReconstructionDisplay.from_estimator(
        model, colours, image_shape=(2, 2, 3), n=2
    )
    original, _, difference = drawn(display).images_
    low, high = colours[:2].min(), colours[:2].max()
    expected = (colours[0].reshape(2, 2, 3) - low) / (high - low)
    assert_allclose(original.get_array()[:, :2, :3], expected)
    assert_array_equal(original.get_array()[:, 2, 3], 0)  # nothing between images
    change = (model.reconstruct(colours) - colours)[0].reshape(2, 2, 3).mean(axis=2)
    assert_allclose(difference.get_array()[:, :2], change)


def test_profiles_as_curves(model, X):
    waves = np.linspace(400, 2500, 64)
    display = ReconstructionDisplay.from_estimator(
        model, X, n=3, feature_names=waves, units="absorbance", line_kw={"linewidth": 3}
    )
    assert len(drawn(display).axes_) == 3
    for i, (original, result) in enumerate(display.lines_):
        assert_allclose(original.get_xdata(), waves)
        assert_allclose(original.get_ydata(), X[i])
        assert_allclose(result.get_ydata(), model.reconstruct(X)[i])
        assert original.get_linewidth() == 3
    assert "absorbance" in {ax.get_ylabel() for ax in display.axes_}
    names = texts(display.legend_.get_texts())
    assert names == ["original", "reconstruction", "difference"]
    check_legend_covers_nothing(display, display.ax_)


def test_profiles_of_a_table_are_z_scores(pipeline, wine):
    display = ReconstructionDisplay.from_estimator(pipeline, wine, n=2, rows="worst")
    mean, std = wine.mean().to_numpy(), wine.std(ddof=0).to_numpy()
    X_hat = pipeline.inverse_transform(pipeline.transform(wine))
    for i, (original, result) in zip(display.indices, display.lines_, strict=True):
        expected = (wine.to_numpy()[i] - mean) / std
        assert_allclose(original.get_ydata(), expected)
        assert_allclose(result.get_ydata(), (X_hat[i] - mean) / std)
    names = texts(drawn(display).axes_[-1].get_xticklabels())
    assert names == shortened(wine.columns)
    _, ax = plt.subplots()
    assert len(display.plot(ax).axes_) == 2
    _, given = plt.subplots(2)
    assert_array_equal(display.plot(given).axes_, given)


def test_sparse_rows_and_frames_are_drawn(X, wine):
    scipy = pytest.importorskip("scipy.sparse")
    pca = PCA(2, svd_solver="arpack").fit(scipy.csr_array(X))
    display = ReconstructionDisplay.from_estimator(pca, scipy.csr_array(X), n=2)
    assert_allclose(display.original, X[:2])
    named = DenoisingAutoencoder(2, **QUICK).fit(wine)  # noise has no names
    display = ReconstructionDisplay.from_estimator(named, wine, rows="worst", n=2)
    assert list(display.feature_names) == list(wine.columns)
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        ReconstructionDisplay.from_estimator(named, wine.rename(columns={"ash": "a"}))


# Training -------------------------------------------------------------------------


def test_the_curves_of_a_training(model):
    display = TrainingDisplay.from_estimator(model)
    scores, folds = model.validation_scores_, model.fold_scores_
    assert_array_equal(display.training_line_.get_xdata(), [1, 2, 3, 4])
    assert_array_equal(display.training_line_.get_ydata(), model.training_scores_)
    assert_array_equal(display.validation_line_.get_ydata(), scores)
    assert len(display.fold_lines_) == 5
    for line, fold in zip(display.fold_lines_, folds.T, strict=True):
        assert_array_equal(line.get_ydata(), fold)
        assert line.get_linewidth() < display.validation_line_.get_linewidth()
    assert set(display.start_line_.get_ydata()) == {scores[0]}
    best = model.best_iteration_
    assert best > 0
    (x,), (y,) = display.best_point_.get_data()
    assert (x, y) == (best, model.best_validation_score_)
    names = texts(display.legend_.get_texts())
    assert f"kept: epoch {best}" in names
    assert "5 folds" in names
    check_legend_covers_nothing(display, display.ax_)


def test_the_mean_of_folds_is_the_validation_score(X):
    """Of unequal folds weighted by their rows, and of the state that is kept, too."""
    rng = np.random.default_rng(0)
    parts = np.split(rng.permutation(300), [40, 120])
    cv = [(np.setdiff1d(np.arange(300), part), part) for part in parts]
    for cls in (Autoencoder, VariationalAutoencoder):
        model = cls(4, cv=cv, **QUICK).fit(X)
        n_epochs = len(model.loss_curve_)
        assert model.fold_scores_.shape == (n_epochs + 1, 3)
        mean = np.average(model.fold_scores_, axis=1, weights=list(map(len, parts)))
        assert_allclose(mean, model.validation_scores_)


def test_folds_of_extreme_rows_have_no_score():
    typical, score = np.array([True, True, False]), ExplainedVariance(total=10.0)
    judge = Judge(np.ones(3), score, 5, 0.0, typical=typical, folds=np.array([0, 0, 1]))
    judge.update(np.array([1.0, 3.0, 99.0]))
    assert_array_equal(judge.fold_scores, [[0.9, np.nan], [0.8, np.nan]])


def test_training_losses_as_scores():
    """The share of variance that the squared error leaves; the bound in nats."""
    X = np.random.default_rng(0).normal(size=(100, 5)) * 7
    make = {"early_stopping": False, **QUICK}
    model = Autoencoder(2, **make).fit(X)
    assert_allclose(model.training_scores_, 1 - np.array(model.loss_curve_), rtol=1e-5)
    model = VariationalAutoencoder(2, **make).fit(X)
    scale = float(model.net_.module_.scaling.scale)
    bound = -5 * (np.array(model.loss_curve_) + np.log(scale))
    assert_allclose(model.training_scores_, bound, rtol=1e-5)


def test_a_training_without_held_out_rows_or_epochs(X, linear):
    model = Autoencoder(2, early_stopping=False, **QUICK).fit(X)
    display = drawn(TrainingDisplay.from_estimator(model))
    assert display.validation_line_ is display.start_line_ is None
    assert display.best_line_.get_xdata()[0] == 4
    display = drawn(TrainingDisplay.from_estimator(linear))
    assert len(display.training_line_.get_xdata()) == 0
    assert "kept: the start" in texts(display.legend_.get_texts())


def test_a_training_says_what_its_scores_are(X, pipeline):
    y = np.arange(len(X)) % 2
    for encoder, words in (
        (VariationalAutoencoder(2, **QUICK).fit(X), "nats"),
        (SupervisedAutoencoder(2, **QUICK).fit(X, y), "X and y"),
        (pipeline, "share of variance"),
    ):
        display = TrainingDisplay.from_estimator(encoder)
        assert words in display.ax_.get_ylabel().replace("\n", " ")


# Traversals -----------------------------------------------------------------------


def test_a_linear_latent_adds_its_component(linear, X):
    display = LatentTraversalDisplay.from_estimator(linear, 1, image_shape=IMAGE)
    values = display.values
    expected = linear.mean_ + values[:, None] * linear.components_[1]
    decoded, change = drawn(display).images_
    for j in range(7):
        assert_allclose(tile(decoded, j).ravel(), expected[j], atol=1e-6)
        added = expected[j] - linear.mean_
        assert_allclose(tile(change, j).ravel(), added, atol=1e-6)
    latent = linear.transform(X)[:, 1]
    assert_allclose(values[[0, -1]], np.quantile(latent, [0.05, 0.95]), rtol=1e-5)
    assert display.ax_.get_xlabel().startswith("latent 1 (")
    some = LatentTraversalDisplay.from_estimator(linear, 1, row=X[:1])
    assert_allclose(some.base, linear.reconstruct(X[:1])[0])
    moved = some.rows - some.base
    assert_allclose(moved[-1] - moved[0], expected[-1] - expected[0], atol=1e-6)


def test_a_traversal_as_curves(model):
    display = LatentTraversalDisplay.from_estimator(
        model, 0, n_steps=5, units="counts", feature_names=np.arange(64) * 2.0
    )
    assert len(drawn(display).lines_) == 5
    for line, row in zip(display.lines_, display.rows, strict=True):
        assert_array_equal(line.get_xdata(), 2 * np.arange(64))
        assert_array_equal(line.get_ydata(), row)
    assert display.ax_.get_ylabel() == "counts"
    assert display.colorbar_.ax.get_ylabel().startswith("latent 0")
    assert len({line.get_color() for line in display.lines_}) == 5


def test_a_traversal_of_a_table_has_units(pipeline, wine):
    units = [""] * 13
    units[0] = "%"
    display = LatentTraversalDisplay.from_estimator(
        pipeline, 0, units=units, n_features=13
    )
    drawn(display)
    names = texts(display.ax_.get_yticklabels())
    assert sorted(names) == sorted(shortened(wine.columns))
    (right,) = display.ax_.child_axes
    ends = dict(zip(names, texts(right.get_yticklabels()), strict=True))
    first, last = display.rows[[0, -1], 0]
    assert ends["alcohol"] == f"{in_digits(first)} to {in_digits(last)} %"
    widths = [np.ptp(points.get_offsets()[:, 0]) for points in display.points_]
    assert_array_equal(widths, np.sort(widths))  # the largest change on top
    place = names.index("alcohol")
    spread = display.spread[0]
    found = display.points_[place].get_offsets()[:, 0]
    assert_allclose(found, (display.rows[:, 0] - display.base[0]) / spread)


# Components -----------------------------------------------------------------------


def test_bars_are_the_strongest_features(pipeline, wine):
    display = ComponentsDisplay.from_estimator(pipeline, wine, n_features=4)
    drawn(display)
    encoder = pipeline[-1]
    influence = encoder.feature_influence(pipeline[:-1].transform(wine))
    low, high = np.quantile(influence, [0.1, 0.9], axis=0)
    strength = np.sqrt(np.square(influence).mean(axis=0))
    for j in range(3):
        features = np.argsort(-strength[j])[:4]
        assert_array_equal(display.features_[j], features)
        widths = [bar.get_width() for bar in display.bars_[j]]
        assert_allclose(widths, encoder.components_[j, features])
        ends = np.array(display.spreads_[j].get_segments())[:, :, 0]
        assert_allclose(ends, np.column_stack([low[j], high[j]])[features])
        names = texts(display.axes_[j].get_yticklabels())
        assert names == list(np.array(shortened(wine.columns))[features])
    # Without rows it is over training rows, which these are.
    again = ComponentsDisplay.from_estimator(pipeline, n_features=4)
    assert_allclose(again.low, low, atol=1e-5)


def test_components_of_a_linear_model(linear, X):
    ours = ComponentsDisplay.from_estimator(linear, components=[2, 0], n_features=5)
    expected = np.argsort(-np.abs(linear.components_[[2, 0]]), axis=1)[:, :5]
    assert_array_equal(ours.features_, expected)
    assert_allclose(ours.low, ours.high)
    assert ours.axes_[0].get_title().startswith("latent 2")
    pca = drawn(ComponentsDisplay.from_estimator(PCA(2).fit(X)))
    assert not pca.spreads_
    assert texts(pca.ax_.get_yticklabels())[0] == f"x{pca.features_[0, 0]}"


def test_components_as_images(model, X):
    display = ComponentsDisplay.from_estimator(model, X, image_shape=IMAGE)
    drawn(display)
    mean, low, high = display.images_
    for j in range(4):
        assert_allclose(tile(mean, j).ravel(), model.components_[j])
        assert (tile(low, j) <= tile(high, j)).all()
    assert mean.get_clim() == low.get_clim() == high.get_clim()
    wide = Autoencoder(30, hidden_layer_sizes=()).fit(X)
    assert len(ComponentsDisplay.from_estimator(wide).axes_) == 6


# Latent sizes ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def search(X):
    return LatentSizeCV(PCA(), [1, 2, 4, 8], method="exact", cv=3).fit(X)


def test_the_band_is_one_standard_error(search):
    display = LatentSizeDisplay.from_estimator(
        search, band_kw={"color": "C2"}, best_kw={"linestyle": "-"}
    )
    scores = np.column_stack(
        [search.cv_results_[f"split{i}_test_score"] for i in range(3)]
    )
    best = scores[scores.mean(axis=1).argmax()]
    low, high = (
        display.band_.get_extents()
        .transformed(display.ax_.transData.inverted())
        .intervaly
    )
    assert high == pytest.approx(best.mean())
    assert low == pytest.approx(best.mean() - best.std(ddof=1) / np.sqrt(3))
    assert display.best_line_.get_linestyle() == "-"
    check_legend_covers_nothing(display, display.ax_)


def test_the_scores_of_sizes_have_a_name(X):
    y = np.arange(len(X)) % 2
    for final, scoring, words in (
        (LogisticRegression(max_iter=2000), None, "accuracy of LogisticRegression"),
        (make_pipeline(Ridge()), None, "R² of Ridge"),
        (Ridge(), "neg_mean_squared_error", "neg mean squared error of Ridge"),
        (None, None, "variance of hidden cells explained"),
        (None, "score", "score of PCA"),
        (None, lambda model, X, y: 0.0, "lambda"),
    ):
        found = LatentSizeCV(
            PCA(), [1], method="exact", cv=2, final_estimator=final, scoring=scoring
        ).fit(X, y)
        name = LatentSizeDisplay.from_estimator(found).score_name
        assert name == f"{words}, cross-validated".replace("lambda", "<lambda>")
    found = LatentSizeCV(Autoencoder(**QUICK), [1], cv=2, scoring="score").fit(X)
    assert LatentSizeDisplay.from_estimator(found).score_name.startswith("share of var")


def test_a_legend_makes_room_in_a_figure_without_layout(search, model, X):
    _, ax = plt.subplots(figsize=(3.3, 2.5))
    check_legend_covers_nothing(LatentSizeDisplay.from_estimator(search, ax=ax), ax)
    _, ax = plt.subplots(figsize=(3.3, 2.5))
    y = np.array(["a long name of a class", "b"])[np.arange(len(X)) % 2]
    display = LatentSpaceDisplay.from_estimator(model, X, y, ax=ax)
    check_legend_covers_nothing(display, ax)


# All ------------------------------------------------------------------------------


def test_long_names_are_told_apart():
    assert shortened(["a", "b"]) == ["a", "b"]
    long = [f"{name} of the cell nuclei present in the image" for name in ("area", "s")]
    assert shortened(long) == ["area…", "s…"]
    ends = [f"measurement of the {name} at noon" for name in ("pressure", "heat")]
    assert shortened(ends) == ["…pressure…", "…heat…"]
    (one,) = shortened(["x" * 20 + "y" * 20])
    assert len(one) == 24
    assert one[0] == "x"
    assert one[-1] == "y"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, X: LatentSpaceDisplay.from_estimator(m, X, components=(0, 4)),
         ValueError, "one of the 4 latents of Autoencoder, counted from 0; got 4"),
        (lambda m, X: LatentSpaceDisplay.from_estimator(m, X, components=0),
         ValueError, "components must be two latents; got 0"),
        (lambda m, X: LatentSpaceDisplay.from_estimator(m, X, X[:5, 0]),
         ValueError, "inconsistent numbers of samples"),
        (lambda m, X: LatentSpaceDisplay.from_estimator(m, X, kind="3d"),
         ValueError, "kind must be one of auto, scatter, hexbin; got '3d'"),
        (lambda m, X: LatentSpaceDisplay.from_estimator(
            m, X, pca=True, ax=plt.figure().add_axes((0, 0, 1, 1))),
         ValueError, "ax must be a subplot to be split"),
        (lambda m, X: LatentSpaceDisplay.from_estimator(
            m, X, pca=True, ax=plt.subplots(3)[1]),
         ValueError, "ax must be one Axes or 2; got 3"),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, image_shape=(8, 9)),
         ValueError, "of 64 features in all; got .8, 9."),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, rows="best"),
         ValueError, "rows must be one of first, worst, typical; got 'best'"),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, rows=[300]),
         ValueError, "ints from 0 to 299; got .300."),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, n=0),
         ValueError, "n must be a positive int; got 0"),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, X_noisy=X[:3]),
         ValueError, "X_noisy must have the shape of X, .300, 64.; got .3, 64."),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, profile="bar"),
         ValueError, "profile must be one of auto, curve, table; got 'bar'"),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, feature_names=["a"]),
         ValueError, "a name for each of 64 features; got shape .1,."),
        (lambda m, X: ReconstructionDisplay.from_estimator(m, X, units=["a", "b"]),
         ValueError, "one for each of 64 features; got shape .2,."),
        (lambda m, X: LatentTraversalDisplay.from_estimator(m, 0, n_steps=1),
         ValueError, "n_steps must be an int of at least 2; got 1"),
        (lambda m, X: LatentTraversalDisplay.from_estimator(m, 0, row=X[:2]),
         ValueError, "row must be one row; got 2"),
        (lambda m, X: LatentTraversalDisplay.from_estimator(m, "first"),
         ValueError, "got 'first'"),
        (lambda m, X: ComponentsDisplay.from_estimator(m, components=[]),
         ValueError, "no latents to draw"),
        (lambda m, X: ComponentsDisplay.from_estimator(m, n_features=0),
         ValueError, "n_features must be a positive int; got 0"),
        (lambda m, X: TrainingDisplay.from_estimator(PCA(2).fit(X)),
         TypeError, "with fold_scores_, .*; got PCA"),
        (lambda m, X: LatentTraversalDisplay.from_estimator(
            make_pipeline(StandardScaler(), PCA(2)).fit(X), 0),
         TypeError, "got a pipeline that ends in PCA"),
        (lambda m, X: ReconstructionDisplay.from_estimator(
            make_pipeline(PolynomialFeatures(1), Autoencoder(2, **QUICK)).fit(X), X),
         ValueError, "the steps PolynomialFeatures"),
        (lambda m, X: TrainingDisplay.from_estimator(Autoencoder()),
         NotFittedError, "This Autoencoder instance is not fitted yet"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(model, X, call, error, message):
    with pytest.raises(error, match=message):
        call(model, X)
