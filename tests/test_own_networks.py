"""Networks of the user's own: their errors, dtype, units, and weights they share."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from torch import nn

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]
QUICK = {"max_iter": 3, "random_state": 0}
X = np.random.default_rng(0).normal(size=(120, 6)) @ np.diag([3.0, 2, 1, 1, 1, 0.5])


class Base(nn.Module):
    """A linear map, with something around it in the kinds below."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.layer(x)


class Buffer(Base):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.register_buffer("factor", torch.ones(n_in, n_in) / n_in)

    def forward(self, x):
        return self.layer(x @ self.factor + x)


class Constant(Base):
    """With a constant in float32, which no conversion reaches."""

    def forward(self, x):
        return self.layer(x @ torch.eye(x.shape[1]))


class Attribute(Base):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.factor = torch.eye(n_in)

    def forward(self, x):
        return self.layer(x @ self.factor)


class Casts(Base):
    def forward(self, x):
        return self.layer(x.float())


class Added(Base):
    def forward(self, x):
        return self.layer(x) + torch.ones(1, dtype=torch.float64)


class Normed(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Linear(n_in, 4), nn.BatchNorm1d(4), nn.Linear(4, n_out))


class Nothing(nn.Module):
    """No parameter at all, and a constant in float32."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.factor = torch.ones(n_in, n_out) / n_in

    def forward(self, x):
        return x @ self.factor


class Double(nn.Linear):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, dtype=torch.float64)


KINDS = [Base, Buffer, Constant, Attribute, Casts, Added, Normed, Nothing, Double]
STAYS_IN_FLOAT32 = [Constant, Attribute, Casts, Nothing]


class Reversed:
    """Makes a decoder of a kind, whose arguments are those of an encoder."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, n_features, n_components):
        return self.kind(n_components, n_features)


def own(cls, kind, *, init):
    decoder = None if kind is Nothing else Reversed(kind)
    return cls(2, encoder=kind, decoder=decoder, init=init, **QUICK)


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "init", ["pca", pytest.param("random", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_all_kinds_take_rows_of_all_dtypes(kind, cls, init, dtype):
    model = own(cls, kind, init=init).fit(X.astype(dtype))
    results = {}
    for given in (np.float32, np.float64):
        rows = X.astype(np.float32).astype(given)
        Z, X_hat = model.transform(rows), model.reconstruct(rows)
        assert Z.dtype == X_hat.dtype == given
        assert model.inverse_transform(Z).dtype == given
        assert model.score_samples(rows).dtype == given
        assert model.feature_influence(rows).dtype == given
        results[given] = Z, X_hat
    assert model.components_.dtype == dtype
    for one, other in zip(*results.values(), strict=True):
        assert_allclose(one, other, atol=1e-3)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(X), model.transform(X))
    networks = model.net_.module_
    for part in (networks.encoder, networks.decoder):
        network = getattr(part.network, "network", part.network)
        if kind is Nothing or not isinstance(network, kind):
            continue
        stays = kind in STAYS_IN_FLOAT32 or dtype == np.float32
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                assert tensor.dtype == (torch.float32 if stays else torch.float64)


@pytest.mark.parametrize("kind", [Base, Constant])
def test_derivatives_through_a_network_in_either_dtype(kind):
    model = own(Autoencoder, kind, init="random").fit(X)
    # With two linear maps, the frame of PCA: all steps have one length.
    lengths = np.linalg.norm(model.components_, axis=1)
    assert_allclose(lengths[1], lengths[0], rtol=1e-4)
    Z = model.transform(X)
    step = np.array([[1.0, 0.0]])
    change = model.inverse_transform(Z + step) - model.inverse_transform(Z)
    assert_allclose(change.mean(axis=0), model.components_[0], atol=1e-4)


def test_a_network_in_float32_follows_an_edit():
    model = own(Autoencoder, Constant, init="random").fit(X)
    before = model.transform(X.astype(np.float32))
    with torch.no_grad():
        model.net_.module_.encoder.network.layer.weight.mul_(2)
    after = model.transform(X.astype(np.float32))
    assert np.abs(after - before).max() > 0.1
    assert_allclose(after, model.transform(X), atol=1e-4)


def raises(error):
    class Raises(Base):
        def forward(self, x):
            raise error

    return Raises


ERRORS = [
    ValueError("no"),
    TypeError("no"),
    KeyError("no"),
    NotImplementedError("no"),
    RuntimeError("no"),
    ZeroDivisionError("no"),
    AssertionError("no"),
]


@pytest.mark.parametrize("name", ["encoder", "decoder"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_forward_that_raises(error, name):
    message = f"The {name} failed on an input of shape .* {type(error).__name__}: '?no"
    with pytest.raises(ValueError, match=message) as raised:
        Autoencoder(2, **{name: raises(error)}).fit(X)
    assert raised.value.__cause__ is error


def test_a_forward_that_returns_no_tensor():
    class Pair(Base):
        def forward(self, x):
            return self.layer(x), x

    with pytest.raises(ValueError, match="The encoder failed"):
        Autoencoder(2, encoder=Pair).fit(X)


def sigmoid(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_components, 64),
        nn.SiLU(),
        nn.Linear(64, n_features),
        nn.Sigmoid(),
    )


def linear(n_features, n_components):
    return nn.Linear(n_components, n_features)


@pytest.mark.parametrize(("make", "share"), [(sigmoid, 0.75), (linear, 0.6)])
def test_an_own_decoder_without_a_start_gives_rows_in_the_units_of_the_data(
    digits, make, share
):
    X = digits / 16
    model = Autoencoder(8, init="random", decoder=make, random_state=0).fit(X[:1000])
    assert model.score(X[1000:]) > share
    network = model.net_.module_.decoder.network
    u = model.net_.module_.frame.back(torch.from_numpy(model.transform(X)))
    with torch.no_grad():
        rows = network(u).numpy()
    constant = np.ptp(X[:1000], axis=0) == 0  # these come back as they are
    assert_allclose(model.reconstruct(X)[:, ~constant], rows[:, ~constant], atol=1e-9)
    if make is sigmoid:
        assert rows.min() >= 0
        assert rows.max() <= 1


def test_an_own_decoder_of_a_gaussian_gives_means_in_the_units_of_the_data(digits):
    X = digits[:1000] / 16
    model = VariationalAutoencoder(8, init="random", decoder=sigmoid, random_state=0)
    model.set_params(latent_prior="standard")  # or features are moved and scaled
    score = model.fit(X[:800]).score(X[800:])
    assert score > PCA(8).fit(X[:800]).score(X[800:]) > 0
    means = model.sample(200, random_state=0, noise=False)
    assert means.min() >= 0
    assert means.max() <= 1
    assert means.std(axis=0).max() > 0.1


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_an_own_decoder_of_other_likelihoods_gives_their_parameter(digits, likelihood):
    X = (digits[:300] > 7).astype(float)
    model = VariationalAutoencoder(
        4, likelihood=likelihood, init="random", decoder=linear, max_iter=3
    ).fit(X)
    u = model.net_.module_.frame.back(torch.from_numpy(model.transform(X)))
    with torch.no_grad():
        output = model.net_.module_.decoder.network(u)
    mean = {"bernoulli": torch.sigmoid, "poisson": torch.exp}[likelihood](output)
    varies = np.ptp(X, axis=0) > 0  # the others come back as they are
    found, mean = model.reconstruct(X), mean.numpy()
    assert_allclose(found[:, varies], mean[:, varies], atol=1e-9)
    assert_array_equal(found[:, ~varies], X[:, ~varies])


class Transposed(nn.Module):
    """A decoder with the weight of an encoder, which is a parameter of both."""

    def __init__(self, encoder):
        super().__init__()
        self.weight = encoder.weight
        self.bias = nn.Parameter(torch.zeros(encoder.in_features))

    def forward(self, z):
        return z @ self.weight + self.bias


class Hidden(nn.Module):
    """The same, of which PyTorch knows nothing."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = [encoder]
        self.bias = nn.Parameter(torch.zeros(encoder.in_features))

    def forward(self, z):
        return z @ self.encoder[0].weight + self.bias


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("make", [Transposed, Hidden])
@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_shared_weights_stay_shared(cls, make, init, dtype):
    encoder = nn.Linear(6, 2)
    before = encoder.weight.detach().clone()
    model = cls(2, encoder=encoder, decoder=make(encoder), init=init, **QUICK)
    model.set_params(early_stopping=False).fit(X.astype(dtype))
    refitted = clone(model).fit(X.astype(dtype))
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), refitted]
    for fitted in (model, *copies):
        first, second = (
            getattr(part.network, "network", part.network)
            for part in (fitted.net_.module_.encoder, fitted.net_.module_.decoder)
        )
        shared = second.weight if make is Transposed else second.encoder[0].weight
        assert shared is first.weight
        assert not torch.equal(first.weight.float(), before)
        assert_array_equal(fitted.transform(X), model.transform(X))
        for given in (np.float32, np.float64):
            assert fitted.reconstruct(X.astype(given)).dtype == given
    assert torch.equal(encoder.weight, before)  # copies were trained
