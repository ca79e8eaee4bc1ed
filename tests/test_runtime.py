"""The process is left as it was found, and does not matter."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}


def encoder(n_in, n_out):
    layers = nn.Linear(n_in, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, n_out)
    return nn.Sequential(*layers)


MODELS = {
    "plain": Autoencoder(4, **QUICK),
    "ordered": Autoencoder(4, ordered=True, **QUICK),
    "random": Autoencoder(4, init="random", **QUICK),
    "own network": Autoencoder(4, encoder=encoder, max_iter=3, random_state=0),
    "gaussian": DenoisingAutoencoder(4, **QUICK),
    "swap": DenoisingAutoencoder(4, noise="swap", noise_level=0.2, **QUICK),
    "salt": DenoisingAutoencoder(4, noise="salt_and_pepper", noise_level=0.2, **QUICK),
    "variational": VariationalAutoencoder(4, noise_variance="shared", **QUICK),
    "variational ordered": VariationalAutoencoder(
        4, noise_variance="shared", ordered=True, **QUICK
    ),
    "poisson": VariationalAutoencoder(4, likelihood="poisson", **QUICK),
}


def all_results(model, X):
    """What every public method gives."""
    model.fit(X)
    results = [
        model.transform(X[:50]),
        model.transform(X[:50].astype(np.float32)),
        model.inverse_transform(model.transform(X[:50])),
        model.reconstruct(X[:50]),
        model.score_samples(X[:50]),
        model.score(X),
        model.components_,
        model.feature_influence(X[:3]),
    ]
    if isinstance(model, VariationalAutoencoder):
        short = model.fit(X.astype(np.float32)).sample(5, random_state=0)
        model.fit(X)
        results += [short, model.sample(5, random_state=0), model.get_covariance()]
    if model.ordered:
        short = model.truncate(2)
        results.append(short.transform(X[:50]))
        short.set_params(warm_start=True, early_stopping=False).fit(X)
    loaded = pickle.loads(pickle.dumps(model))
    results.append(loaded.transform(X[:50]))
    # What was loaded in this mode can be trained in it.
    loaded.set_params(warm_start=True, early_stopping=False).fit(X)
    return results


@contextmanager
def default_float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


MODES = [
    lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    torch.inference_mode,
    torch.no_grad,
    default_float64,
    default_device,
    lambda: torch.device("meta"),
]


#: The others have the same parts, put together in other ways.
LONG = (
    "gaussian",
    "variational",
    "random",
    "swap",
    "salt",
    "variational ordered",
    "poisson",
)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=pytest.mark.slow) if k in LONG else k for k in MODELS],
)
def test_the_modes_of_the_caller_do_not_matter(digits, kind):
    X = digits[:900]
    expected = all_results(MODELS[kind], X)
    for mode in MODES:
        with mode():
            found = all_results(MODELS[kind], X)
        for one, other in zip(expected, found, strict=True):
            assert_array_equal(one, other)
        assert torch.get_default_dtype() == torch.float32
        assert torch.empty(0).device.type == "cpu"


def test_inference_leaves_the_generators_of_other_threads(digits):
    model = Autoencoder(4, **QUICK).fit(digits)
    torch.manual_seed(0)
    expected = [float(torch.rand((), dtype=torch.float64)) for _ in range(3000)]
    done = threading.Event()

    def transform():
        while not done.is_set():
            model.transform(digits[:100])

    threads = [threading.Thread(target=transform) for _ in range(2)]
    torch.manual_seed(0)
    for thread in threads:
        thread.start()
    found = [float(torch.rand((), dtype=torch.float64)) for _ in range(3000)]
    done.set()
    for thread in threads:
        thread.join()
    assert found == expected


@pytest.mark.parametrize("network", [None, encoder])
def test_fits_leave_generators_and_threads(digits, network):
    before, n_threads = torch.get_rng_state(), torch.get_num_threads()
    Autoencoder(2, encoder=network, max_iter=2, random_state=0).fit(digits[:900])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == n_threads

    class Fails(nn.Linear):
        def forward(self, x):
            if self.training:
                torch.rand(1)
                raise RuntimeError("as asked for")
            return super().forward(x)

    with pytest.raises(RuntimeError, match="as asked for"):
        Autoencoder(2, encoder=Fails, max_iter=2).fit(digits[:900])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == n_threads


def test_with_the_cpu_no_other_device_is_touched():
    code = """
import numpy as np, torch, torch._dynamo  # which PyTorch's optimisers import
from sklatent import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
def touched(*args, **kwargs):
    raise AssertionError("a device was touched")
for name in ("cuda", "mps", "xpu"):
    module = getattr(torch, name, None)
    for key in dir(module):
        value = getattr(module, key)
        if callable(value) and not isinstance(value, type) and key[:2] != "__":
            setattr(module, key, touched)
torch.backends.mps.is_available = touched
def encoder(p, k):
    return torch.nn.Sequential(torch.nn.Linear(p, k), torch.nn.Dropout(0.1))
X = np.random.default_rng(0).normal(size=(900, 10))
for model in (Autoencoder, DenoisingAutoencoder, VariationalAutoencoder):
    for network in (None, encoder):
        fitted = model(2, max_iter=2, device="cpu", encoder=network).fit(X)
        fitted.transform(X.astype(np.float32))
        fitted.score(X)
        fitted.components_
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def in_child(model, X, queue):
    small = VariationalAutoencoder(20, noise_variance="shared", max_iter=1)
    small.fit(X[:500]).sample(20_000)
    copy.deepcopy(model).truncate(3).transform(X)
    pickle.dumps(model)
    queue.put((model.transform(X).sum(), small.score(X[:500])))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_of_a_process_that_has_fitted_does_not_hang():
    code = f"""
import multiprocessing, sys
import numpy as np, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_runtime import in_child
from sklatent import Autoencoder
torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(5000, 100))
model = Autoencoder(
    8, hidden_layer_sizes=(512, 512), max_iter=1, batch_size=2000, ordered=True
).fit(X)
expected = model.transform(X).sum()
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=in_child, args=(model, X, queue), daemon=True)
child.start()
child.join(60)
assert child.exitcode == 0, child.exitcode
assert np.isclose(queue.get()[0], expected)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
