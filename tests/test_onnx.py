"""Fitted estimators as ONNX graphs."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import ESTIMATORS, SMALL, counts, fit, wine
from torch import nn
from torch.nn.utils import prune

from sklatent import (
    Autoencoder,
    LatentSizeCV,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import MLP, ConvDecoder, ConvEncoder, FactorGaussian

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("sklatent.onnx")

DTYPES = [np.float32, np.float64]


def run(model, X, given=None):
    """What the graph of a model makes of rows."""
    graph = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False} if given else None)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(None, {"X": X})


def assert_same(model, X):
    """The graph of a model gives what it gives, in each dtype, for one row and all."""
    for dtype in DTYPES:
        rows = X.astype(dtype)
        wanted = model.transform(rows)
        for some in (slice(1), slice(None)):
            (found,) = run(model, rows[some])
            assert found.dtype == dtype
            tolerance = 1e-5 * np.abs(wanted).max()
            assert_allclose(found, wanted[some], atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pipeline(dtype):
    X, y = wine()
    model = make_pipeline(
        StandardScaler(), Autoencoder(2, **SMALL), LogisticRegression()
    )
    model.set_params(autoencoder__max_iter=20).fit(X, y)
    for rows in (X[:1], np.resize(X, (10_000, X.shape[1]))):
        labels, probabilities = run(model, rows.astype(dtype), given="a classifier")
        assert_allclose(probabilities, model.predict_proba(rows), atol=1e-5)
        assert (labels == model.predict(rows.astype(dtype))).all()


@pytest.mark.parametrize("name", sorted(ESTIMATORS.keys() - {"outliers"}))
def test_every_estimator(name):
    model, X = fit(name)
    assert_same(model, X)


def test_the_linear_map_of_an_encoder_of_many_rows():
    random = np.random.default_rng(0)
    X = np.tanh(random.normal(size=(900, 3)) @ random.normal(size=(3, 6)))
    model = Autoencoder(2, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X)
    assert model.best_iteration_
    assert model.net_.module_.encoder.network.skip_weight.abs().max() > 1e-3
    assert_same(model, X)


@pytest.mark.parametrize("activation", ["gelu", "identity", "logistic", "relu", "tanh"])
def test_every_activation(activation):
    X, _ = wine()
    model = Autoencoder(
        2, hidden_layer_sizes=(8, 8), activation=activation, early_stopping=False
    )
    model.set_params(max_iter=20, random_state=0).fit(X)
    assert_same(model, 3 * X)  # also beyond the range of the training rows


@pytest.mark.parametrize(
    "model",
    [
        Autoencoder(2, whiten=True, **SMALL),
        Autoencoder(2, hidden_layer_sizes=()),
        VariationalAutoencoder(2, ordered=True, **SMALL),
        VariationalAutoencoder(2, whiten=True, **SMALL),
        SupervisedAutoencoder(1, mixing=0.1, **SMALL),
        LatentSizeCV(PCA(), method="exact", cv=2),
    ],
    ids=str,
)
def test_variants(model):
    X, y = wine()
    X = np.column_stack([X, np.full(len(X), 3.0)])  # one feature does not vary
    assert_same(model.fit(X, y), X + 1)


def test_a_map_that_is_another_beyond_the_training_rows():
    model, X = fit("plain")
    encoder = model.net_.module_.encoder
    random = np.random.RandomState(0)
    encoder.outer = torch.from_numpy(random.normal(size=encoder.weight.shape))
    before = model.transform(3 * X)
    encoder.outer *= 2
    assert np.abs(model.transform(3 * X) - before).max() > 0.1
    assert_same(model, 3 * X)


def test_counts():
    X = counts(wine()[0])
    model = VariationalAutoencoder(2, likelihood="poisson", **SMALL).fit(X)
    assert_same(model, X)
    assert_same(VariationalAutoencoder(1, ordered=True, **SMALL).fit(X).truncate(1), X)


def test_rows_seen_in_a_basis():
    random = np.random.RandomState(0)
    X = scipy.sparse.random(60, 1200, 0.02, format="csr", random_state=random)
    model = Autoencoder(3, **SMALL).fit(X)
    assert model.net_.module_.scaling.basis is not None
    assert_same(model, X.toarray())


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("of_factors", [False, True])
def test_missing_cells(corrected, of_factors):
    model, X = fit("gaps")
    random = torch.Generator().manual_seed(0)
    filling, p = model.net_.module_.filling, X.shape[1]
    if of_factors:  # as of many features
        loadings = torch.randn(2, p, generator=random, dtype=torch.float64)
        filling.gaussian = FactorGaussian(loadings, torch.arange(1.0, p + 1).double())
    if corrected:
        sizes = (3 * p, 4, p)
        filling.network = MLP(sizes, "silu", zero_last=False, generator=random).double()
    X = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.3, np.nan, X)
    assert_same(model, X)


def convolutions(shape, axis):
    parameters = {"channels": (2, 3), "hidden_layer_sizes": (4,), "kernel_size": 3}
    return {
        "encoder": ConvEncoder(shape, channel_axis=axis, **parameters),
        "decoder": ConvDecoder(shape, channel_axis=axis, **parameters),
    }


@pytest.mark.parametrize(
    "networks",
    [
        convolutions((8, 8), None),
        convolutions((32,), None) | {"init": "random"},
        convolutions((4, 8, 2), -1),
        {"encoder": lambda p, k: nn.Sequential(nn.Linear(p, k, bias=False))},
        {"encoder": lambda p, k: nn.Linear(p, k), "init": "random"},
        {
            "encoder": lambda p, k: images(
                p, k, nn.Conv1d(1, 1, 3, padding=1), nn.GELU("tanh")
            )
        },
    ],
    ids=["images", "signals", "channels", "sequence", "layer", "own_convolution"],
)
def test_networks_of_ones_own(networks, digits):
    n_features = 32 if networks.get("init") == "random" else 64
    X = digits[:200, :n_features]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Autoencoder(3, max_iter=3, random_state=0, **networks)
        assert_same(model.fit(X), X)


def test_a_data_frame_has_an_input_for_each_column():
    X, _ = wine()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = Autoencoder(2, **SMALL).fit(frame)
    graph = skl2onnx.to_onnx(model, frame[:1])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    (found,) = session.run(None, {name: frame[[name]].to_numpy() for name in frame})
    assert_allclose(found, model.transform(frame), atol=1e-5)


def images(n_features, n_components, *layers):
    first, last = nn.Unflatten(1, (1, n_features)), nn.Linear(n_features, n_components)
    return nn.Sequential(first, *layers, nn.Flatten(), last)


class Own(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.layer(x).sinh()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Own, "Own has no counterpart here"),
        (lambda p, k: nn.Sequential(nn.Linear(p, k), nn.BatchNorm1d(k)), "BatchNorm1d"),
        (lambda p, k: images(p, k, nn.Conv1d(1, 1, 3, padding="same")), "padding"),
        (
            lambda p, k: images(p, k, nn.Flatten(0, 1), nn.Unflatten(0, (-1, 1))),
            "Flatten",
        ),
        (
            lambda p, k: nn.Sequential(nn.Linear(p, k), nn.Unflatten(-1, (k,))),
            "Unflatten",
        ),
    ],
)
def test_a_network_that_cannot_be_converted(network, message):
    X, _ = wine()
    model = Autoencoder(6, encoder=network, **SMALL)
    model.set_params(hidden_layer_sizes="auto").fit(X)
    with pytest.raises(NotImplementedError, match=message) as caught:
        run(model, X)
    assert "converted" in str(caught.value)


def test_what_is_not_converted_says_so():
    model, X = fit("outliers")
    with pytest.raises(NotImplementedError, match="training rows"):
        run(model, X)


def test_a_pruned_layer_is_refused():
    model, X = fit("plain")
    layer = model.net_.module_.encoder.network[0]
    prune.l1_unstructured(layer, "weight", 0.5)
    with pytest.raises(NotImplementedError, match="Linear has hooks"):
        run(model, X)
