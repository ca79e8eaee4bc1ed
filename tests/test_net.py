"""`net_` and its module, as users of skorch and PyTorch know them."""

import copy
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch import NeuralNet
from torch import nn
from torch.nn.utils import prune
from torch.testing import assert_close

import sklatent
from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from sklatent._state import VersionWarning
from sklatent.nn import LatentModel, Scaling

QUICK = {"hidden_layer_sizes": (32,), "max_iter": 4, "random_state": 0}
KINDS = {
    "plain": Autoencoder(4, **QUICK),
    "whitened": Autoencoder(4, whiten=True, **QUICK),
    "linear": Autoencoder(4, hidden_layer_sizes=()),
    "few rows": Autoencoder(4, **QUICK),
    "ordered": Autoencoder(6, ordered=True, **QUICK),
    "denoising": DenoisingAutoencoder(4, noise="masking", **QUICK),
    "variational": VariationalAutoencoder(4, **QUICK),
    "bernoulli": VariationalAutoencoder(4, likelihood="bernoulli", **QUICK),
    "variational ordered": VariationalAutoencoder(6, ordered=True, **QUICK),
}
TRAINED = [kind for kind in KINDS if kind != "linear"]


@pytest.fixture(scope="module")
def fitted(digits):
    """A function that gives a fitted model of a kind, and its rows."""
    known = {}

    def get(kind, dtype=np.float64):
        if (kind, dtype) not in known:
            X = (digits / 16 if kind == "bernoulli" else digits).astype(dtype)
            rows = X[:300] if kind == "few rows" else X
            model = copy.deepcopy(KINDS[kind]).fit(rows)
            known[kind, dtype] = model.truncate(3) if "ordered" in kind else model, X
        return known[kind, dtype]

    return get


def linear_layers(model):
    return [m for m in model.net_.module_.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_predict_is_reconstruct(fitted, kind, dtype, given):
    model, X = fitted(kind, dtype)
    X = X.astype(given)
    assert type(model.net_) is NeuralNet
    found = model.net_.predict(X)
    assert found.dtype == given
    tolerance = 1e-9 if dtype == given == np.float64 else 1e-4
    assert_allclose(found, model.reconstruct(X), atol=tolerance)


def test_rows_far_from_zero_are_centred_before_they_are_rounded(digits):
    X = digits + 1e9
    model = Autoencoder(4, **QUICK).fit(X)
    near = Autoencoder(4, **QUICK).fit(digits)
    assert model.score(X) == pytest.approx(near.score(digits), abs=2e-3)
    assert_allclose(model.net_.predict(X), model.reconstruct(X), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_export_gives_a_program_and_leaves_the_model(fitted, kind):
    model, X = fitted(kind)
    before = model.transform(X)
    rows = (torch.from_numpy(X[:8]),)
    n = torch.export.Dim("n")
    program = torch.export.export(
        model.net_.module_, rows, dynamic_shapes=({0: n},)
    ).module()
    out = program(torch.from_numpy(X[:30])).detach().numpy()
    assert_allclose(out, model.reconstruct(X[:30]), atol=1e-9)
    assert_array_equal(model.transform(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), before)


@pytest.mark.parametrize("kind", ["plain", "variational"])
def test_onnx(fitted, kind, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    if torch.__version__ < "2.6":
        pytest.skip("torch.onnx.export(dynamo=True) needs an older onnxscript there")
    model, X = fitted(kind, np.float32)
    before = model.transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.net_.module_,
            (torch.from_numpy(X[:8]),),
            dynamo=True,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
        program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (out,) = session.run(None, {session.get_inputs()[0].name: X[:30]})
    assert_allclose(out, model.reconstruct(X[:30]), atol=1e-4)
    assert_array_equal(model.transform(X), before)


@pytest.mark.parametrize("kind", TRAINED)
def test_hooks_on_layers_fire(fitted, kind):
    model, X = fitted(kind)
    model = copy.deepcopy(model)
    calls = []
    layers = linear_layers(model)
    for i, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, i=i: calls.append(i))
    model.reconstruct(X[:3])
    used = set(calls)
    # Of ordered latents' decoders one is used, and its end is solved for each size.
    last = model.net_.module_.decoder
    ends = getattr(last, "ends", None)
    assert {0, len(layers) - (1 if ends is None else 2)} <= used
    calls.clear()
    model.reconstruct(X[:3].astype(np.float32))
    assert set(calls) == used


def test_hooks_on_layers_fire_in_training_too(digits):
    calls = []

    class Watch(sklatent.training._net.Callback):
        def on_train_begin(self, net, **kwargs):
            layer = net.module_.encoder.network[0]
            layer.register_forward_hook(lambda *_: calls.append(1))

    params = {"early_stopping": False, **QUICK}
    watched = Autoencoder(4, callbacks=[Watch()], **params).fit(digits)
    assert len(calls) >= 4 * 16  # of epochs and batches
    alone = Autoencoder(4, **params).fit(digits)
    # Autograd then does what is written out otherwise.
    assert watched.score(digits) == pytest.approx(alone.score(digits), abs=1e-3)


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_change_of_the_module_is_followed(fitted, kind, dtype):
    original, X = fitted(kind, dtype)
    others = X.astype(np.float32 if dtype == np.float64 else np.float64)

    def pruned(network):
        prune.random_unstructured(network[0], "weight", 0.5)

    def replaced(network):
        old = network[0]
        size = old.in_features, old.out_features
        network[0] = nn.Linear(*size, dtype=old.weight.dtype)

    def inserted(network):
        network[1] = nn.Sequential(network[1], nn.Dropout(0.5).eval(), nn.Tanh())

    def edited(network):
        with torch.no_grad():
            network[0].weight.mul_(0.5)

    def edited_unseen(network):
        network[0].weight.data.mul_(0.5)

    for change in (pruned, replaced, inserted, edited, edited_unseen):
        model = copy.deepcopy(original)
        before = model.transform(X), model.transform(others)  # with a copy in the cache
        change(model.net_.module_.encoder.network)
        after = model.transform(X)
        assert np.abs(after - before[0]).max() > 1e-3
        assert_allclose(model.transform(others), after, atol=1e-4)
        assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), after)
        assert_array_equal(copy.deepcopy(model).transform(X), after)
    assert_array_equal(original.transform(X), before[0])


@pytest.mark.parametrize("kind", ["plain", "variational", "denoising"])
def test_quantised_copies_leave_the_model(fitted, kind):
    model, X = fitted(kind, np.float32)
    before = model.transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(model.net_.module_, {nn.Linear})
        out = small(torch.from_numpy(X)).detach().numpy()
    # Solved last layers have larger weights than trained ones, which eight bits round
    # more coarsely; the entries are 0 to 16.
    assert 0 < np.abs(out - model.reconstruct(X)).mean() < 0.3
    assert_array_equal(model.transform(X), before)


class Tied(nn.Module):
    """A decoder with the transposed weights of an encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, z):
        return z @ self.encoder.weight


@pytest.mark.parametrize("init", ["pca", "random"])
def test_tied_weights_stay_tied(digits, init):
    encoder = nn.Linear(64, 4, bias=False)
    model = Autoencoder(4, encoder=encoder, decoder=Tied(encoder), init=init, **QUICK)
    model.fit(digits)
    for fitted in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        parts = [
            fitted.net_.module_.encoder.network,
            fitted.net_.module_.decoder.network,
        ]
        first, second = (getattr(part, "network", part) for part in parts)
        assert second.encoder is first
        assert_array_equal(fitted.transform(digits), model.transform(digits))
    if init == "random":  # with PCA's linear path there is nothing to gain
        assert not torch.equal(first.weight.float(), encoder.weight)


# Pickles -------------------------------------------------------------------------


def arrays(value):
    """All that a pickled state holds, one after the other."""
    yield value
    if isinstance(value, dict):
        for part in value.values():
            yield from arrays(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from arrays(part)
    elif hasattr(value, "__dataclass_fields__"):
        yield from arrays(vars(value))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_holds_plain_arrays_once(fitted, kind):
    model, X = fitted(kind)
    model.transform(X.astype(np.float32))  # the copy in another dtype is no part of it
    parts = list(arrays(model.__getstate__()))
    assert not any(isinstance(part, torch.Tensor | nn.Module) for part in parts)
    assert all(p.flags.c_contiguous for p in parts if isinstance(p, np.ndarray))
    module = model.net_.module_
    weights = sum(t.nbytes for t in [*module.parameters(), *module.buffers()])
    rest = model._summary.codes.nbytes + model.held_out_scores_.nbytes + 25_000
    if "variational" in kind:  # what draws are matched to
        rest += model._summary.latent_prior.quantiles.nbytes
    assert len(pickle.dumps(model)) < weights + rest
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.net_.module is loaded.net_.module_
    assert loaded.net_.history == model.net_.history
    assert_close(loaded.net_.module_.state_dict(), module.state_dict(), rtol=0, atol=0)


def test_a_model_of_another_version_warns(digits, monkeypatch):
    model = Autoencoder(2, hidden_layer_sizes=()).fit(digits)
    data = pickle.dumps(model)
    monkeypatch.setattr(sklatent, "__version__", "99.0")
    with pytest.warns(VersionWarning, match="sklatent 0.1.0 and is loaded by 99.0"):
        loaded = pickle.loads(data)
    assert_array_equal(loaded.transform(digits), model.transform(digits))


def test_a_module_of_the_users_own_is_pickled_as_it_is(digits, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n"
        "class Encoder(nn.Sequential):\n"
        "    def __init__(self, p, k):\n"
        "        layers = nn.Linear(p, 8), nn.BatchNorm1d(8), nn.Linear(8, k)\n"
        "        super().__init__(*layers)\n"
    )
    code = (
        "import pickle, numpy as np; from sklearn.datasets import load_digits;"
        "from sklatent import Autoencoder; from theirs import Encoder;"
        "X = load_digits().data;"
        "model = Autoencoder(2, encoder=Encoder, max_iter=2, random_state=0).fit(X);"
        "found = pickle.loads(pickle.dumps(model));"
        "assert type(found.net_.module_.encoder.network.network) is Encoder;"
        "assert np.array_equal(found.transform(X), model.transform(X))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


# The module alone ----------------------------------------------------------------


def test_scaling_keeps_its_precision_in_any_dtype():
    mean = torch.tensor([1e9, 0.1], dtype=torch.float64)
    scaling = Scaling(mean, torch.tensor(3.0, dtype=torch.float64))
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator()) + mean
    for module in (scaling, copy.deepcopy(scaling).float(), scaling.half()):
        assert_close(module.to_scaled(x), (x - mean) / 3, rtol=0, atol=0)
        assert_close(module.to_units(module.to_scaled(x)), x)
    assert scaling.to_scaled(x.float()).dtype == torch.float32
    assert scaling.to("meta").mean.device.type == "meta"


def test_scaling_is_never_asked_to_move_in_float64():
    def to_a_device_without_float64(tensor):  # as MPS is
        assert tensor.dtype != torch.float64
        return tensor.to("meta")

    zeros = torch.zeros(2, dtype=torch.float64)
    scaling = Scaling(zeros, torch.ones((), dtype=torch.float64))
    assert scaling._apply(to_a_device_without_float64).mean.device.type == "meta"


def test_all_buffers_of_ours_are_fixed_in_training(digits):
    class Remembers(nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.layers = nn.Sequential(nn.BatchNorm1d(n_in), nn.Linear(n_in, n_out))

        def forward(self, x):
            return self.layers(x)

    for model in (Autoencoder(2), VariationalAutoencoder(2)):
        model.set_params(encoder=Remembers, early_stopping=False, **QUICK).fit(digits)
        module = model.net_.module_
        assert isinstance(module, LatentModel)
        assert not any("running" in name for name in module.fixed_state())
        norm = module.encoder.network.network.layers[0]
        assert norm.num_batches_tracked > 0  # a user's buffers are those of training


# Found by a review -----------------------------------------------------------------


def test_a_memory_mapped_model_can_be_trained_on(digits, tmp_path):
    model = Autoencoder(2, **QUICK).fit(digits)
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_array_equal(loaded.transform(digits), model.transform(digits))
    loaded.net_.set_params(max_epochs=1, train_split=None)
    loaded.net_.partial_fit(digits, digits)
    loaded.transform(digits)
    assert not loaded.net_.module_.training


class Theirs(nn.Module):
    """A network whose attributes PyTorch does not know."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out)
        self._hidden = 1.0
        self.tensor = torch.tensor(1.0)
        self.settings = {"factor": 1.0}

    def forward(self, x):
        factor = self._hidden * self.tensor.to(x) * self.settings["factor"]
        return self.layer(x) * factor


def test_any_change_of_a_users_network_is_followed(digits):
    model = Autoencoder(3, encoder=Theirs, init="random", **QUICK).fit(digits)
    rows, network = digits.astype(np.float32), model.net_.module_.encoder.network
    model.transform(rows)
    for change in (
        lambda: setattr(network, "_hidden", 3.0),
        lambda: network.tensor.mul_(2),
        lambda: network.settings.update(factor=5.0),
    ):
        before = model.transform(digits)
        change()
        assert np.abs(model.transform(digits) - before).max() > 1
        assert_allclose(model.transform(rows), model.transform(digits), atol=1e-2)


def test_weights_of_ours_can_be_tied(digits):
    model = Autoencoder(3, hidden_layer_sizes=(16, 16, 16), max_iter=1, random_state=0)
    network = model.fit(digits).net_.module_.encoder.network
    rows = digits.astype(np.float32)
    model.transform(rows)
    network[2].weight = network[4].weight
    expected = model.transform(digits)
    assert_allclose(model.transform(rows), expected, atol=1e-4)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        layers = other.net_.module_.encoder.network
        assert layers[2].weight is layers[4].weight
        assert_array_equal(other.transform(digits), expected)


def test_a_model_in_bfloat16_can_be_pickled(digits):
    model = Autoencoder(2, **QUICK).fit(digits)
    model.net_.module_.bfloat16()
    loaded = pickle.loads(pickle.dumps(model)).net_.module_
    assert_close(loaded.state_dict(), model.net_.module_.state_dict(), rtol=0, atol=0)


def test_hooks_on_the_module_itself_are_those_of_reconstruct(digits):
    model = Autoencoder(2, **QUICK).fit(digits)
    before = model.reconstruct(digits)
    model.net_.module_.register_forward_hook(lambda module, given, out: out + 1)
    assert_allclose(model.reconstruct(digits), before + 1)
    assert_allclose(model.net_.predict(digits), before + 1)


def test_settings_of_the_net_are_kept(digits):
    model = Autoencoder(2, **QUICK).fit(digits)
    model.net_.set_params(max_epochs=77, criterion=nn.L1Loss)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.net_.max_epochs == 77
        assert other.net_.criterion is nn.L1Loss


def test_what_is_set_of_the_optimiser_is_pickled(digits):
    model = Autoencoder(2, **QUICK).fit(digits)
    model.net_.set_params(optimizer__weight_decay=0.5, lr=0.25, max_epochs=3)
    net = pickle.loads(pickle.dumps(model)).net_
    (group,) = net.optimizer_.param_groups
    assert (group["weight_decay"], group["lr"], net.max_epochs) == (0.5, 0.25, 3)
    assert copy.deepcopy(model).net_.optimizer_.param_groups[0]["weight_decay"] == 0.5
