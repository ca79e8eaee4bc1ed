"""Programs written for PCA, with another class in its place and nothing else changed.

They follow scikit-learn's gallery, plots included. `fast` keeps the networks small.
"""

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg
from scipy.stats import loguniform
from sklearn import datasets
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.manifold import TSNE
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    classification_report,
    homogeneity_score,
    roc_auc_score,
    silhouette_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

CHEAP = {"hidden_layer_sizes": (64,), "max_iter": 15}

# One in place of PCA is enough for `make test`.
DENOISING, VARIATIONAL = (
    pytest.param(Model, marks=pytest.mark.slow)
    for Model in (DenoisingAutoencoder, VariationalAutoencoder)
)
# Classes with latents in units of X.
plain = pytest.mark.parametrize("Model", [PCA, Autoencoder, DENOISING])
# And with latents of no unit.
every = pytest.mark.parametrize("Model", [PCA, Autoencoder, DENOISING, VARIATIONAL])


def fast(Model, *args, **params):
    """The class of a program, with networks that train little."""
    cheap = {} if Model is PCA else CHEAP
    return Model(*args, random_state=0, **cheap, **params)


@pytest.fixture(autouse=True)
def figures():
    """Nothing is shown, and no figure is left open."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def labels():
    return datasets.load_digits().target


def explained(model, X):
    """The share of variance that a round trip keeps."""
    left = np.square(X - model.inverse_transform(model.transform(X))).sum()
    return 1 - left / np.square(X - model.mean_).sum()


# Pipelines and searches ----------------------------------------------------------


@pytest.mark.parametrize("Model", [PCA, Autoencoder])
def test_digits_pipe(digits, labels, Model):
    # plot_digits_pipe
    X_train, X_test, y_train, y_test = train_test_split(
        digits, labels, train_size=1260, random_state=0
    )

    def run(Model):
        pca = fast(Model)
        scaler = StandardScaler()
        logistic = LogisticRegression(max_iter=10000, tol=0.1)
        pipe = Pipeline(
            steps=[("scaler", scaler), ("pca", pca), ("logistic", logistic)]
        )
        param_grid = {"pca__n_components": [2, 10, 30], "logistic__C": [0.01, 1.0]}
        return GridSearchCV(pipe, param_grid, cv=3).fit(X_train, y_train)

    search = run(Model)
    pca = search.best_estimator_.named_steps["pca"]
    fig, (ax0, ax1) = plt.subplots(nrows=2, sharex=True, figsize=(6, 6))
    ax0.plot(
        np.arange(1, pca.n_components_ + 1), pca.explained_variance_ratio_, "+", lw=2
    )
    ax0.axvline(pca.n_components, linestyle=":", label="n_components chosen")
    ax0.legend(prop={"size": 12})
    results = pd.DataFrame(search.cv_results_)
    best = results.groupby("param_pca__n_components")["mean_test_score"].max()
    ax1.errorbar(best.index, best, yerr=results["std_test_score"].max())
    fig.tight_layout()

    assert search.best_params_["pca__n_components"] == 30
    assert best.is_monotonic_increasing
    assert pca.explained_variance_ratio_.shape == (30,)
    assert (np.diff(pca.explained_variance_ratio_) <= 0).all()
    assert 0.5 < pca.explained_variance_ratio_.sum() <= 1
    reference = run(PCA).score(X_test, y_test)
    assert search.score(X_test, y_test) > max(0.82, reference - 0.03)


@plain
def test_compare_reduction(digits, labels, tmp_path, Model):
    # plot_compare_reduction
    X, y = digits[:1640], labels[:1640]
    pipe = Pipeline(
        [
            ("scaling", MinMaxScaler()),
            ("reduce_dim", "passthrough"),
            ("classify", RidgeClassifier()),
        ],
        memory=joblib.Memory(location=tmp_path, verbose=0),
    )
    n_features_options = [2, 8]
    param_grid = [
        {
            "reduce_dim": [fast(Model), "passthrough"],
            "classify__alpha": [0.1, 1.0],
        },
        {
            "reduce_dim": [fast(Model)],
            "reduce_dim__n_components": n_features_options,
            "classify__alpha": [0.1, 1.0],
        },
        {
            "reduce_dim": [SelectKBest(f_classif)],
            "reduce_dim__k": n_features_options,
            "classify__alpha": [0.1, 1.0],
        },
    ]
    # Constant pixels make f_classif warn.
    grid = GridSearchCV(pipe, param_grid, cv=2).fit(X[:, X.std(axis=0) > 1], y)
    results = pd.DataFrame(grid.cv_results_)
    results["reducer"] = results["param_reduce_dim"].map(lambda r: type(r).__name__)
    results["size"] = (
        results["param_reduce_dim__n_components"]
        .fillna(results["param_reduce_dim__k"])
        .fillna(0)
        .astype(int)
    )
    best = results.pivot_table(
        "mean_test_score", index="size", columns="reducer", aggfunc="max"
    )
    best.plot.bar(title="Comparing feature reduction techniques")

    assert set(best.columns) == {Model.__name__, "SelectKBest", "str"}
    ours = best[Model.__name__]
    assert ours[8] > best.loc[8, "SelectKBest"] + 0.05
    assert ours[0] > ours[8] > ours[2] + 0.15
    # Each step is fitted once per fold: what differs in alpha only comes from memory.
    n_cached = sum(1 for _ in tmp_path.rglob("output.pkl"))
    assert n_cached - (grid.best_params_["reduce_dim"] != "passthrough") == 13


@pytest.mark.parametrize("Model", [PCA, Autoencoder, VARIATIONAL])
def test_feature_union(Model):
    # plot_feature_union
    X, y = load_iris(return_X_y=True)
    pca = fast(Model, n_components=2)
    selection = SelectKBest(k=1)
    combined_features = FeatureUnion([("pca", pca), ("univ_select", selection)])
    X_features = combined_features.fit(X, y).transform(X)
    assert X_features.shape == (150, 3)
    assert_allclose(X_features[:, 2], X[:, 2])
    assert_allclose(X_features[:, :2].mean(axis=0), 0, atol=0.1)
    names = combined_features.get_feature_names_out()
    assert names[1] == f"pca__{Model.__name__.lower()}1"

    svm = SVC(kernel="linear")
    pipeline = Pipeline([("features", combined_features), ("svm", svm)])
    param_grid = {
        "features__pca__n_components": [1, 2],
        "features__univ_select__k": [1, 2],
        "svm__C": [1],
    }
    grid_search = GridSearchCV(
        pipeline, param_grid=param_grid, cv=2, error_score="raise"
    ).fit(X, y)
    assert grid_search.best_score_ > 0.94


@pytest.mark.parametrize("Model", [PCA, Autoencoder])
def test_grid_search_refit_callable(digits, labels, Model):
    # plot_grid_search_refit_callable
    def best_low_complexity(cv_results):
        best = np.argmax(cv_results["mean_test_score"])
        threshold = (
            cv_results["mean_test_score"][best] - cv_results["std_test_score"][best]
        )
        candidate_idx = np.flatnonzero(cv_results["mean_test_score"] >= threshold)
        return candidate_idx[
            cv_results["param_reduce_dim__n_components"][candidate_idx].argmin()
        ]

    pipe = Pipeline(
        [
            ("reduce_dim", fast(Model)),
            ("classify", LogisticRegression(C=0.01, max_iter=1000)),
        ]
    )
    grid = GridSearchCV(
        pipe,
        param_grid={"reduce_dim__n_components": [2, 10, 20, 40]},
        cv=3,
        scoring="accuracy",
        refit=best_low_complexity,
    ).fit(digits[:1260], labels[:1260])
    n_components = grid.cv_results_["param_reduce_dim__n_components"]
    test_scores = grid.cv_results_["mean_test_score"]
    plt.bar(n_components, test_scores, width=1.3, color="b")
    plt.axhline(np.max(test_scores), linestyle="--", color="y")

    assert test_scores[0] + 0.15 < test_scores[1]
    assert grid.best_estimator_.named_steps["reduce_dim"].n_components_ in (10, 20)
    assert grid.best_estimator_.score(digits[1260:], labels[1260:]) > 0.85


@pytest.mark.parametrize("Model", [PCA, Autoencoder])
def test_cross_val_predict_in_processes(digits, labels, Model):
    # plot_cv_predict
    X, y = digits[:1640], labels[:1640]
    pipeline = make_pipeline(
        StandardScaler(), fast(Model, n_components=20), LogisticRegression(tol=0.01)
    )
    y_pred = cross_val_predict(pipeline, X, y, cv=2, n_jobs=2)
    alone = cross_val_predict(pipeline, X, y, cv=2)
    ConfusionMatrixDisplay.from_predictions(y, y_pred)
    # Equal to the last bit only where processes have as many threads.
    assert (y_pred == alone).mean() > 0.99
    assert accuracy_score(y, y_pred) > 0.85


@every
def test_column_transformer_on_a_frame(Model):
    # plot_column_transformer_mixed_types, plot_set_output
    frame = load_wine(as_frame=True).frame.drop(columns="target")
    frame["cellar"] = np.where(frame["proline"] > 700, "north", "south")
    numbers = list(frame.columns[:-1])
    preprocessor = ColumnTransformer(
        [
            (
                "numbers",
                Pipeline([("scale", StandardScaler()), ("pca", fast(Model, 3))]),
                numbers,
            ),
            ("words", OneHotEncoder(sparse_output=False), ["cellar"]),
        ]
    ).set_output(transform="pandas")
    latents = preprocessor.fit_transform(frame)
    name = Model.__name__.lower()
    assert list(latents.columns) == [
        *(f"numbers__{name}{i}" for i in range(3)),
        "words__cellar_north",
        "words__cellar_south",
    ]
    assert latents.index.equals(frame.index)
    fitted = preprocessor.named_transformers_["numbers"]
    assert list(fitted[:1].get_feature_names_out()) == numbers
    assert fitted["pca"].n_features_in_ == 13
    assert list(fitted["pca"].feature_names_in_) == numbers
    loadings = pd.DataFrame(
        fitted["pca"].components_, columns=fitted["pca"].feature_names_in_
    )
    # The chemistry of wine: flavanoids and phenols go together.
    first = loadings.loc[0]
    assert first["flavanoids"] * first["total_phenols"] > 0
    # A frame in, rows in another order.
    shuffled = frame.sample(frac=1, random_state=0)
    assert_allclose(
        preprocessor.transform(shuffled).loc[frame.index], latents, atol=1e-9
    )


@plain
def test_clone_set_params_and_joblib(digits, labels, tmp_path, Model):
    # plot_miscellaneous / model persistence
    X_train, X_test, y_train, y_test = train_test_split(
        digits[:1100], labels[:1100], random_state=0
    )
    pipe = Pipeline(
        [
            ("pca", fast(Model, n_components=2)),
            ("knn", KNeighborsClassifier(n_neighbors=3)),
        ]
    )
    two = pipe.fit(X_train, y_train).score(X_test, y_test)
    twin = clone(pipe).set_params(pca__n_components=20)
    assert not hasattr(twin["pca"], "n_components_")
    twenty = twin.fit(X_train, y_train).score(X_test, y_test)
    assert pipe["pca"].n_components_ == 2
    assert twin["pca"].n_components_ == 20
    assert twenty > max(0.93, two + 0.2)

    joblib.dump(twin, tmp_path / "pipe.joblib")
    loaded = joblib.load(tmp_path / "pipe.joblib")
    assert_array_equal(loaded.predict(X_test), twin.predict(X_test))
    assert_array_equal(loaded["pca"].components_, twin["pca"].components_)


@plain
def test_preprocessing_for_tsne_and_nystroem(digits, labels, Model):
    # plot_lle_digits, plot_scalable_poly_kernels
    X, y = digits[:820], labels[:820]
    reduced = fast(Model, n_components=20).fit_transform(X)[:300]
    embedded = TSNE(max_iter=300, perplexity=20, random_state=0).fit_transform(reduced)
    plt.scatter(embedded[:, 0], embedded[:, 1], c=y[:300], cmap="tab10")
    neighbours = KNeighborsClassifier(5)
    assert cross_val_score(neighbours, embedded, y[:300], cv=3).mean() > 0.9

    def classify(Model):
        kernel = make_pipeline(
            fast(Model, n_components=20, whiten=True),
            Nystroem(gamma=0.02, n_components=100, random_state=0),
            LogisticRegression(C=10, max_iter=500),
        )
        return kernel.fit(X, y).score(digits[820:], labels[820:])

    assert classify(Model) > max(0.85, classify(PCA) - 0.03)


# Maps and pictures ---------------------------------------------------------------


@every
def test_iris_in_three_dimensions(Model):
    # plot_pca_iris
    iris = load_iris(as_frame=True)
    fig = plt.figure(1, figsize=(8, 6))
    ax = fig.add_subplot(111, projection="3d", elev=-150, azim=110)
    X_reduced = fast(Model, n_components=3).fit_transform(iris.data)
    scatter = ax.scatter(
        X_reduced[:, 0], X_reduced[:, 1], X_reduced[:, 2], c=iris.target, s=40
    )
    ax.set(xlabel="1st Principal Component", ylabel="2nd", zlabel="3rd")
    ax.legend(scatter.legend_elements()[0], iris.target_names.tolist())
    fig.canvas.draw()
    assert X_reduced.shape == (150, 3)
    assert_allclose(X_reduced.mean(axis=0), 0, atol=0.1)
    neighbours = KNeighborsClassifier()
    assert cross_val_score(neighbours, X_reduced, iris.target, cv=5).mean() > 0.88
    # The first axis is the one of iris: size, with the species in order.
    by_species = pd.Series(X_reduced[:, 0]).groupby(iris.target).median()
    assert by_species.is_monotonic_increasing


@plain
def test_pca_vs_lda(Model):
    # plot_pca_vs_lda
    iris = load_iris()
    X, y = iris.data, iris.target
    pca = fast(Model, n_components=2)
    X_r = pca.fit(X).transform(X)
    X_r2 = LinearDiscriminantAnalysis(n_components=2).fit(X, y).transform(X)
    for panel, rows in enumerate((X_r, X_r2), 1):
        plt.subplot(1, 2, panel)
        for i, name in enumerate(iris.target_names):
            plt.scatter(rows[y == i, 0], rows[y == i, 1], alpha=0.8, label=name)
        plt.legend(loc="best", shadow=False, scatterpoints=1)
    assert_allclose(pca.fit_transform(X), X_r)
    first, second = pca.explained_variance_ratio_
    assert first > 0.7 > 0.1 > second > 0
    assert first + second <= 1
    assert silhouette_score(X_r, y) > 0.45


@plain
def test_components_as_images(digits, Model):
    # plot_faces_decomposition
    n_components, shape = 6, (8, 8)
    X = digits[:1000]
    pca_estimator = fast(Model, n_components=n_components, whiten=True).fit(X)

    def plot_gallery(title, images, n_col=3, n_row=2, cmap="gray"):
        fig, axs = plt.subplots(nrows=n_row, ncols=n_col, squeeze=False)
        fig.suptitle(title, size=16)
        for ax, vec in zip(axs.flat, images, strict=False):
            vmax = max(vec.max(), -vec.min())
            im = ax.imshow(vec.reshape(shape), cmap=cmap, vmin=-vmax, vmax=vmax)
            ax.axis("off")
        fig.colorbar(im, ax=axs, orientation="horizontal", shrink=0.99, pad=0.01)
        fig.canvas.draw()

    plot_gallery("Eigendigits", pca_estimator.components_[:n_components])
    plot_gallery("Mean", pca_estimator.mean_[None], 1, 1)

    assert pca_estimator.components_.reshape(n_components, 8, 8).shape == (6, 8, 8)
    assert_allclose(pca_estimator.mean_, X.mean(axis=0))
    # Pixels in which nothing is ever written have no part in an image.
    never = X.std(axis=0) == 0
    assert never.any()
    assert_allclose(pca_estimator.components_[:, never], 0, atol=1e-3)
    # The images span about what those of PCA span.
    reference = PCA(n_components).fit(X).components_
    angles = linalg.subspace_angles(pca_estimator.components_.T, reference.T)
    assert np.rad2deg(np.median(angles)) < 25


@every
def test_eigenfaces(digits, labels, Model):
    # plot_face_recognition
    X_train, X_test, y_train, y_test = train_test_split(
        digits[:1120], labels[:1120], test_size=0.25, random_state=42
    )
    h, w, n_components = 8, 8, 16

    def recognise(Model):
        pca = fast(Model, n_components=n_components, whiten=True).fit(X_train)
        X_train_pca, X_test_pca = pca.transform(X_train), pca.transform(X_test)
        param_grid = {"C": loguniform(1e0, 1e3), "gamma": loguniform(1e-3, 1e-1)}
        clf = RandomizedSearchCV(
            SVC(kernel="rbf", class_weight="balanced"),
            param_grid,
            n_iter=4,
            cv=3,
            random_state=0,
        ).fit(X_train_pca, y_train)
        return pca, X_train_pca, clf, clf.predict(X_test_pca)

    pca, X_train_pca, clf, y_pred = recognise(Model)
    assert "accuracy" in classification_report(y_test, y_pred)
    ConfusionMatrixDisplay.from_estimator(
        clf, pca.transform(X_test), y_test, xticks_rotation="vertical"
    )
    eigenfaces = pca.components_.reshape((n_components, h, w))
    plt.figure(figsize=(1.8 * 4, 2.4 * 4))
    for i, image in enumerate(eigenfaces):
        plt.subplot(4, 4, i + 1)
        plt.imshow(image, cmap=plt.cm.gray)
        plt.title(f"eigenface {i}", size=12)
    assert_allclose(X_train_pca.std(axis=0, ddof=1), 1, atol=1e-6)
    accuracy = accuracy_score(y_test, y_pred)
    assert accuracy > max(0.94, accuracy_score(y_test, recognise(PCA)[-1]) - 0.03)


@every
def test_kmeans_digits(digits, labels, Model):
    # plot_kmeans_digits
    data, y = digits[:1000], labels[:1000]
    n_digits = 10

    def bench_k_means(Model):
        pca = fast(Model, n_components=n_digits).fit(data)
        kmeans = KMeans(init=pca.components_, n_clusters=n_digits, n_init=1)
        estimator = make_pipeline(StandardScaler(), kmeans).fit(data)
        return homogeneity_score(y, estimator[-1].labels_)

    def bench_whitened(Model):
        estimator = make_pipeline(
            fast(Model, n_components=8, whiten=True),
            KMeans(n_clusters=n_digits, n_init=4, random_state=0),
        ).fit(data)
        return homogeneity_score(y, estimator[-1].labels_)

    for bench in (bench_k_means, bench_whitened):
        assert bench(Model) > max(0.5, bench(PCA) - 0.12)

    reduced_data = fast(Model, n_components=2).fit_transform(data)
    kmeans = KMeans(init="k-means++", n_clusters=n_digits, n_init=4, random_state=0)
    kmeans.fit(reduced_data)
    step = np.ptp(reduced_data, axis=0).max() / 100
    x_min, x_max = reduced_data[:, 0].min() - step, reduced_data[:, 0].max() + step
    y_min, y_max = reduced_data[:, 1].min() - step, reduced_data[:, 1].max() + step
    xx, yy = np.meshgrid(np.arange(x_min, x_max, step), np.arange(y_min, y_max, step))
    Z = kmeans.predict(np.c_[xx.ravel(), yy.ravel()])
    plt.imshow(
        Z.reshape(xx.shape),
        interpolation="nearest",
        extent=(xx.min(), xx.max(), yy.min(), yy.max()),
        aspect="auto",
        origin="lower",
    )
    plt.plot(reduced_data[:, 0], reduced_data[:, 1], "k.", markersize=2)
    plt.scatter(*kmeans.cluster_centers_.T, marker="x", s=169)
    assert set(Z) == set(range(10))


@every
def test_multilabel(Model):
    # plot_multilabel
    X, Y = datasets.make_multilabel_classification(
        n_classes=2, n_labels=1, allow_unlabeled=True, random_state=1
    )
    X = fast(Model, n_components=2).fit_transform(X)
    classif = OneVsRestClassifier(SVC(kernel="linear")).fit(X, Y)
    plt.scatter(X[:, 0], X[:, 1], s=40, c="gray", edgecolors=(0, 0, 0))
    for i in range(2):
        w = classif.estimators_[i].coef_[0]
        xx = np.linspace(X[:, 0].min(), X[:, 0].max())
        plt.plot(xx, -w[0] / w[1] * xx - classif.estimators_[i].intercept_[0] / w[1])
    assert (classif.predict(X) == Y).mean() > 0.85


# Variances -----------------------------------------------------------------------


@pytest.mark.parametrize("Model", [PCA, Autoencoder, VARIATIONAL])
@pytest.mark.parametrize("noise", ["homoscedastic", "heteroscedastic"])
def test_pca_vs_fa_model_selection(Model, noise):
    # plot_pca_vs_fa_model_selection
    n_samples, n_features, rank, sigma = 1230, 25, 5, 1.0
    rng = np.random.RandomState(42)
    U, _, _ = linalg.svd(rng.randn(n_features, n_features))
    X = np.dot(rng.randn(n_samples, rank), U[:, :rank].T)
    if noise == "homoscedastic":
        X = X + sigma * rng.randn(n_samples, n_features)
    else:
        sigmas = sigma * rng.rand(n_features) + sigma / 2.0
        X = X + rng.randn(n_samples, n_features) * sigmas
    n_components = np.array([2, 5, 10])

    def compute_scores(model, **options):
        scores = []
        for n in n_components:
            model.n_components = n
            scores.append(np.mean(cross_val_score(model, X, cv=3, **options)))
        return np.array(scores)

    pca_scores = compute_scores(fast(Model))
    fa_scores = compute_scores(FactorAnalysis())
    plt.plot(n_components, pca_scores, "b", label=f"{Model.__name__} scores")
    plt.plot(n_components, fa_scores, "r", label="FA scores")
    plt.axvline(rank, color="g", label=f"TRUTH: {rank}", linestyle="-")
    plt.legend(loc="lower right")
    if Model is Autoencoder:  # the share of variance explained, which noise has too
        linear = compute_scores(
            PCA(), scoring=lambda model, X, y=None: explained(model, X)
        )
        assert (pca_scores > linear - 0.005).all()
        assert (np.diff(pca_scores) > 0.05).all()
        return
    if noise == "homoscedastic":
        assert n_components[pca_scores.argmax()] == rank
        assert pca_scores[1] > fa_scores[1]
    else:
        assert n_components[fa_scores.argmax()] == rank
        if Model is PCA:
            assert n_components[pca_scores.argmax()] > rank
            assert pca_scores[1] < fa_scores[1] - 1
    if Model is VariationalAutoencoder:  # it chooses between the two
        assert n_components[pca_scores.argmax()] == rank
        assert (pca_scores > np.maximum(fa_scores, compute_scores(PCA())) - 0.1).all()


@pytest.mark.parametrize("Model", [PCA, Autoencoder])
def test_scree_plot(digits, Model):
    X_train, X_test = digits[:1200], digits[1200:]
    pca = fast(Model).fit(X_train)
    cumulated = np.cumsum(pca.explained_variance_ratio_)
    n_components = int(np.argmax(cumulated >= 0.9)) + 1
    _, ax = plt.subplots()
    ax.plot(np.arange(1, len(cumulated) + 1), cumulated, marker=".")
    ax.axhline(0.9, color="r", linestyle="-")
    ax.axvline(n_components)

    assert len(cumulated) == 64
    assert (np.diff(cumulated) >= 0).all()
    assert cumulated[-1] == pytest.approx(1)
    reference = PCA(0.9).fit(X_train)
    assert n_components <= reference.n_components_ + 1
    chosen = fast(Model, n_components).fit(X_train)
    assert explained(chosen, X_test) > max(0.88, explained(reference, X_test) - 0.005)


@every
def test_share_of_variance(digits, Model):
    X_train, X_test = digits[:1200], digits[1200:]
    pca = fast(Model, n_components=0.9).fit(X_train)
    cumulated = np.cumsum(pca.explained_variance_ratio_)
    assert pca.n_components == 0.9
    assert pca.transform(X_test).shape == (597, pca.n_components_)
    assert len(pca.components_) == len(cumulated) == pca.n_components_
    assert cumulated[-2] < 0.9 <= cumulated[-1] < 0.92
    assert abs(explained(pca, X_test) - 0.9) < 0.035
    if Model is Autoencoder:
        reference = PCA(0.9).fit(X_train)
        assert pca.n_components_ <= reference.n_components_ + 2
        assert explained(pca, X_test) > explained(reference, X_test) - 0.02


@plain
def test_principal_component_regression(Model):
    # plot_pcr_vs_pls
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    def regress(Model):
        pcr = make_pipeline(StandardScaler(), fast(Model, 2), LinearRegression())
        return pcr.fit(X_train, y_train)

    pcr = regress(Model)
    pca = pcr.named_steps[Model.__name__.lower()]
    Z = pcr[:-1].transform(X_test)
    _, axes = plt.subplots(1, 2, figsize=(10, 3))
    axes[0].scatter(Z[:, 0], y_test, alpha=0.3, label="ground truth")
    axes[0].scatter(Z[:, 0], pcr.predict(X_test), alpha=0.3, label="predictions")
    axes[0].legend()
    for i, (comp, var) in enumerate(
        zip(pca.components_, pca.explained_variance_, strict=True)
    ):
        comp = comp * var
        axes[1].plot([0, comp[0]], [0, comp[1]], label=f"Component {i}", linewidth=5)
    axes[1].set(aspect="equal")
    axes[1].legend()
    assert pca.components_.shape == (2, 10)
    first, reference = (model[1].components_[0] for model in (pcr, regress(PCA)))
    cosine = first @ reference / np.linalg.norm(first) / np.linalg.norm(reference)
    assert cosine > 0.9
    score = pcr.score(X_test, y_test)
    assert score > max(0.2, regress(PCA).score(X_test, y_test) - 0.05)


@plain
def test_image_denoising(digits, Model):
    # plot_digits_denoising
    X = MinMaxScaler().fit_transform(digits)
    X_train, X_test = train_test_split(X, test_size=300, random_state=0)
    rng = np.random.RandomState(0)
    X_test_noisy = X_test + rng.normal(scale=0.25, size=X_test.shape)

    def denoise(Model):
        pca = fast(Model, n_components=32).fit(X_train)
        return pca.inverse_transform(pca.transform(X_test_noisy))

    X_reconstructed = denoise(Model)
    _, axs = plt.subplots(nrows=4, ncols=4, figsize=(8, 8))
    for img, ax in zip(X_reconstructed, axs.ravel(), strict=False):
        ax.imshow(img.reshape((8, 8)), cmap="Greys")
        ax.axis("off")
    mse, reference = (
        np.mean((X_test - rows) ** 2) for rows in (X_reconstructed, denoise(PCA))
    )
    noisy = np.mean((X_test - X_test_noisy) ** 2)
    assert mse < 0.65 * noisy
    assert mse < 1.1 * reference
    if Model is DenoisingAutoencoder:
        assert mse < 0.8 * reference


@plain
@pytest.mark.parametrize("data", ["iris", "wine"])
def test_loadings(Model, data):
    frame = getattr(datasets, f"load_{data}")(as_frame=True).data
    X = StandardScaler().set_output(transform="pandas").fit_transform(frame)
    model = fast(Model, n_components=2)
    Z = model.fit_transform(X)
    loadings = pd.DataFrame(
        model.components_.T * np.sqrt(model.explained_variance_),
        columns=["PC1", "PC2"],
        index=model.feature_names_in_,
    )
    _, ax = plt.subplots()
    ax.scatter(Z[:, 0], Z[:, 1], alpha=0.3)
    for name, (x, y) in loadings.iterrows():
        ax.arrow(0, 0, x, y, color="r")
        ax.annotate(name, (x, y))
    correlations = np.corrcoef(X.T, Z.T)[: X.shape[1], X.shape[1] :]
    assert list(loadings.index) == list(frame.columns)
    # Those of a network are mean slopes where the rows are. Between groups of rows, as
    # of iris, its curve is steeper, which only the correlation sees.
    assert_allclose(loadings, correlations, atol=0.005 if Model is PCA else 0.5)
    alike = np.corrcoef(loadings.to_numpy().ravel(), correlations.ravel())[0, 1]
    assert alike > 0.9
    strong = np.abs(correlations) > 0.3
    assert (np.sign(loadings) == np.sign(correlations)).to_numpy()[strong].all()


@every
def test_anomalies_by_reconstruction(digits, labels, Model):
    inliers, outliers = digits[labels <= 4], digits[labels > 4]
    X_train, X_test = inliers[:810], np.concatenate([inliers[810:], outliers])
    y_test = np.arange(len(X_test)) >= len(inliers) - 810

    def anomaly(Model):
        pca = fast(Model, n_components=10).fit(X_train)
        recovered = pca.inverse_transform(pca.transform(X_test))
        return np.sum((X_test - recovered) ** 2, axis=1)

    errors = anomaly(Model)
    plt.hist([errors[y_test], errors[~y_test]], bins=30)
    auc = roc_auc_score(y_test, errors)
    assert auc > max(0.88, roc_auc_score(y_test, anomaly(PCA)) - 0.02)


@plain
def test_by_hand(digits, Model):
    X, n_components = digits[:1000], 8
    model = fast(Model, n_components=n_components).fit(X)
    n, p = X.shape
    X_c = X - model.mean_
    Z = model.transform(X)
    variance = model.explained_variance_
    assert model.n_samples_ == n
    assert model.n_components_ == n_components
    assert_allclose(variance, model.singular_values_**2 / (model.n_samples_ - 1))
    assert_allclose(variance, Z.var(axis=0, ddof=1))
    assert_allclose(model.singular_values_, np.linalg.norm(Z, axis=0))
    assert (np.diff(variance) <= 0).all()
    left = np.square(X - model.inverse_transform(Z)).sum() / (n - 1)
    assert_allclose(model.noise_variance_ * (p - n_components), left)
    total = X.var(axis=0, ddof=1).sum()
    assert variance.sum() + left == pytest.approx(total, rel=0.12)
    # The projection and its inverse, as matrix products: all there is to PCA, and what
    # the others are near to.
    Z_linear = X_c @ model.components_.T
    X_linear = Z @ model.components_ + model.mean_
    if Model is PCA:
        assert_allclose(Z_linear, Z, atol=1e-9)
        assert_allclose(X_linear, model.inverse_transform(Z), atol=1e-9)
    cosines = (Z_linear * Z).sum(axis=0)
    cosines /= np.linalg.norm(Z_linear, axis=0) * np.linalg.norm(Z, axis=0)
    assert cosines.min() > 0.9
    # But not the same: they did train.
    if Model is not PCA:
        reference = PCA(n_components).fit(X)
        gain = explained(model, digits[n:]) - explained(reference, digits[n:])
        assert gain > 0.005


@plain
def test_kde_sampling(digits, Model):
    # plot_digits_kde_sampling
    def sample(Model):
        pca = fast(Model, n_components=15, whiten=False)
        data = pca.fit_transform(digits)
        params = {"bandwidth": np.logspace(-1, 1, 5)}
        grid = GridSearchCV(KernelDensity(), params, cv=2).fit(data[:1000])
        kde = grid.best_estimator_
        return pca.inverse_transform(kde.sample(44, random_state=0))

    def distance(images):
        nearest = NearestNeighbors(n_neighbors=1).fit(digits)
        return np.mean(nearest.kneighbors(images)[0])

    new_data = sample(Model)
    _, ax = plt.subplots(4, 11, subplot_kw={"xticks": [], "yticks": []})
    for axis, image in zip(ax.flat, new_data, strict=True):
        axis.imshow(image.reshape(8, 8), cmap=plt.cm.binary, clim=(0, 16))
    # As near to a digit as what PCA makes, which is nearer than pixels by themselves.
    independent = np.random.default_rng(0).permuted(digits, axis=0)[:44]
    assert distance(new_data) < 0.7 * distance(independent)
    assert distance(new_data) < 1.05 * distance(sample(PCA))


@plain
def test_importance_of_scaling(Model):
    # plot_scaling_importance
    X, y = load_wine(return_X_y=True, as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.30, random_state=42
    )
    scaled_X_train = (
        StandardScaler().set_output(transform="pandas").fit_transform(X_train)
    )
    pca = fast(Model, n_components=2).fit(X_train)
    scaled_pca = fast(Model, n_components=2).fit(scaled_X_train)
    first_pca_component = pd.DataFrame(
        pca.components_[0], index=X.columns, columns=["without scaling"]
    )
    first_pca_component["with scaling"] = scaled_pca.components_[0]
    first_pca_component.plot.bar(title="Weights of the first component", figsize=(6, 8))

    def accuracy(*steps):
        pipeline = make_pipeline(*steps, fast(Model, 2), LogisticRegression())
        return pipeline.fit(X_train, y_train).score(X_test, y_test)

    weights = first_pca_component.abs() / first_pca_component.abs().max()
    assert weights["without scaling"].idxmax() == "proline"
    assert weights["without scaling"].drop("proline").max() < 0.1
    assert (weights["with scaling"] > 0.3).sum() > 6
    assert accuracy(StandardScaler()) > max(0.9, accuracy() + 0.1)
