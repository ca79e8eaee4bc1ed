"""On a real GPU: what `test_device_waits` shows on one that is not there.

Run by ``make test-gpu``; without CUDA all of these are skipped.
"""

import os
import pickle
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
    runtime,
)
from sklatent.nn import ConvDecoder, ConvEncoder, RandomShift
from sklatent.training._net import TrainingNet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA"),
]

FIT = {"n_components": 5, "max_iter": 10, "random_state": 0}
ONE_SPLIT = {**FIT, "early_stopping": True}
MODELS = {
    "folds together": Autoencoder(**FIT),
    "one split": Autoencoder(**ONE_SPLIT),
    "ordered": Autoencoder(ordered=True, **FIT),
    "augmentation": Autoencoder(augmentation=RandomShift((8, 8)), **ONE_SPLIT),
    "log_loss": Autoencoder(loss="log_loss", **FIT),
    "gaussian": DenoisingAutoencoder(**FIT),
    "masking": DenoisingAutoencoder(noise="masking", **FIT),
    "swap": DenoisingAutoencoder(noise="swap", **ONE_SPLIT),
    "variational": VariationalAutoencoder(**FIT),
    "variational, ordered": VariationalAutoencoder(ordered=True, **FIT),
    "supervised": SupervisedAutoencoder(**FIT),
}
#: cuDNN may sum up in any order, so that two fits need not be equal.
CONVOLUTIONS = Autoencoder(
    encoder=ConvEncoder((8, 8), channels=(4,)),
    decoder=ConvDecoder((8, 8), channels=(4,)),
    **ONE_SPLIT,
)
LOAD = """
import pickle, sys, numpy as np, torch
assert not torch.cuda.is_available()
model = pickle.loads(sys.stdin.buffer.read())
np.save(sys.stdout.buffer, model.transform(np.load(sys.argv[1])))
"""


@pytest.fixture(scope="module", name="X")
def some_digits(digits):
    return (digits[:600] / 16).astype(np.float32)


def fit_on(device, model, X):
    y = np.arange(X.shape[0]) // 7 % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of training that is too short
        return clone(model).set_params(device=device).fit(X, y)


def score(model, X):
    labelled = isinstance(model, SupervisedAutoencoder)
    return model.score(X, np.arange(len(X)) // 7 % 3) if labelled else model.score(X)


@pytest.mark.parametrize("name", [*MODELS, "convolutions"])
def test_fits_are_near_those_on_the_cpu(name, X):
    model = MODELS.get(name, CONVOLUTIONS)
    there, here = fit_on("cuda", model, X), fit_on("cpu", model, X)
    assert_allclose(score(there, X), score(here, X), rtol=0.05, atol=0.02)
    on_gpu = there.transform(X), there.reconstruct(X)
    there.set_params(device="cpu")
    for a, b in zip(on_gpu, (there.transform(X), there.reconstruct(X)), strict=True):
        assert_allclose(a, b, rtol=1e-3, atol=1e-3)
        assert a.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_two_fits_are_equal(name, X):
    first, second = (fit_on("cuda", MODELS[name], X) for _ in range(2))
    assert first.loss_curve_ == second.loss_curve_
    assert_array_equal(first.transform(X), second.transform(X))


def test_texts(X):
    words = csr_array(np.tile(np.floor(16 * X), (1, 20)))  # seen in a basis
    model = VariationalAutoencoder(likelihood="multinomial", **ONE_SPLIT)
    there, here = fit_on("cuda", model, words), fit_on("cpu", model, words)
    assert_allclose(there.score(words), here.score(words), rtol=0.05)
    again = fit_on("cuda", model, words)
    assert_array_equal(there.transform(words), again.transform(words))


def test_rows_that_do_not_fit_give_the_same_model(X):
    kept = fit_on("cuda", MODELS["one split"], X)
    with mock.patch.object(runtime, "has_room", return_value=False):
        streamed = fit_on("cuda", MODELS["one split"], X)
    assert_array_equal(kept.transform(X), streamed.transform(X))


@pytest.mark.parametrize("name", MODELS)
def test_an_epoch_waits_once(name, X):
    epoch, waits = TrainingNet.run_single_epoch, []

    def watched(net, iterator, training, *args, **kwargs):
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            epoch(net, iterator, training, *args, **kwargs)
        torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchronizing" in str(w.message) for w in caught))

    with mock.patch.object(TrainingNet, "run_single_epoch", watched):
        fit_on("cuda", MODELS[name], X)
    assert max(waits) <= 1 + (name == "augmentation")


@pytest.mark.parametrize("name", [*MODELS, "convolutions"])
def test_pickles_load_without_a_gpu(name, X, tmp_path):
    model = fit_on("cuda", MODELS.get(name, CONVOLUTIONS), X)
    np.save(tmp_path / "X.npy", X)
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "X.npy")],
        input=pickle.dumps(model),
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        check=True,
    )
    (tmp_path / "Z.npy").write_bytes(loaded.stdout)
    assert_allclose(np.load(tmp_path / "Z.npy"), model.transform(X), atol=1e-3)


def test_generators_are_left_as_they_were(X):
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    fit_on("cuda", MODELS["augmentation"], X)
    for now, then in zip(
        (torch.cuda.get_rng_state(), torch.get_rng_state()), before, strict=True
    ):
        assert torch.equal(now, then)
