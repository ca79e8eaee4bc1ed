"""An accelerator is not waited for within an epoch, and computes what the CPU does."""

from collections import Counter
from unittest import mock

import numpy as np
import pytest
import torch
from accelerator import DEVICE, accelerator
from numpy.testing import assert_array_equal
from scipy.sparse import random_array
from sklearn.base import clone

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
    runtime,
)
from sklatent.nn import RandomShift, SquaredError
from sklatent.rows import TrainingRows
from sklatent.training._in_step import Stacked

N = 120
#: Several steps an epoch, of which each would wait.
FIT = {
    "hidden_layer_sizes": (8,),
    "batch_size": 20,
    "max_iter": 2,
    "n_components": 3,
    "random_state": 0,
}
ONE_SPLIT = {**FIT, "early_stopping": True}


def shift_noise(x):
    return x + torch.rand(1, device=x.device)


MODELS = {
    "folds together": Autoencoder(**FIT),
    "one split": Autoencoder(**ONE_SPLIT),
    "gaussian": DenoisingAutoencoder(**FIT),
    "masking": DenoisingAutoencoder(noise="masking", **ONE_SPLIT),
    "swap": DenoisingAutoencoder(noise="swap", **ONE_SPLIT),
    "salt and pepper": DenoisingAutoencoder(noise="salt_and_pepper", **ONE_SPLIT),
    "variational": VariationalAutoencoder(**FIT),
    "variational, ordered": VariationalAutoencoder(ordered=True, **FIT),
    "supervised": SupervisedAutoencoder(mixing=0.5, **FIT),
    "ordered": Autoencoder(ordered=True, **ONE_SPLIT),
    "ordered, folds together": Autoencoder(ordered=True, **FIT),
    "log_loss": Autoencoder(loss="log_loss", **ONE_SPLIT),
}
#: A function of the user's is asked once an epoch whether its values are finite.
WITH_FUNCTIONS = {
    "augmentation": Autoencoder(augmentation=RandomShift((8, 8)), **ONE_SPLIT),
    "noise of one's own": DenoisingAutoencoder(noise=shift_noise, **ONE_SPLIT),
}


@pytest.fixture(scope="module", name="X")
def some_digits(digits):
    return (digits[:N] / 16).astype(np.float32)


@pytest.fixture
def own_noise():
    """Draw noise and order from two generators, on the CPU as on an accelerator."""
    with mock.patch.object(
        TrainingRows,
        "_noise_generator",
        lambda rows, seed: torch.Generator().manual_seed(seed),
    ):
        yield


def fit_on(device, model, X, **params):
    y = np.arange(X.shape[0]) // 7 % 3
    return clone(model).set_params(device=device).fit(X, y, **params)


def check(model, X, n_more=0, **params):
    """Check that a fit waits once an epoch, and is the fit on the CPU."""
    expected = fit_on("cpu", model, X, **params)
    with accelerator() as gpu:
        fitted = fit_on("cuda", model, X, **params)
    n = len(fitted.loss_curve_)
    waits = [wait for wait in gpu.waits if wait[1]]
    counts = Counter(part for _, part, _ in waits)
    assert counts.pop("judging", n) == n, waits  # folds in one are judged after it
    assert counts == {f"epoch {i}": 1 + n_more for i in range(1, n + 1)}, waits
    fitted.set_params(device="cpu")
    assert_array_equal(fitted.transform(X), expected.transform(X))
    assert fitted.loss_curve_ == expected.loss_curve_
    assert {p.device.type for p in fitted.net_.module_.parameters()} == {"cpu"}
    return gpu


@pytest.mark.usefixtures("own_noise")
@pytest.mark.parametrize("name", MODELS)
def test_no_epoch_waits(name, X):
    gpu = check(MODELS[name], X)
    assert not gpu.unordered


@pytest.mark.usefixtures("own_noise")
@pytest.mark.parametrize("name", WITH_FUNCTIONS)
def test_functions_are_asked_once_an_epoch(name, X):
    check(WITH_FUNCTIONS[name], X, n_more=1)


def test_missing_cells_and_weights(X):
    gaps = X.copy()
    gaps[::3, 20] = np.nan
    check(Autoencoder(missing="ignore", **ONE_SPLIT), gaps)
    check(Autoencoder(**ONE_SPLIT), X, sample_weight=1.0 + np.arange(N) % 3)


@pytest.mark.usefixtures("own_noise")
def test_sparse_rows():
    X = random_array((N, 1100), density=0.02, rng=np.random.default_rng(0))
    X = X.tocsr().astype(np.float32)
    check(VariationalAutoencoder(likelihood="multinomial", **ONE_SPLIT), X)
    check(DenoisingAutoencoder(noise="masking", **ONE_SPLIT), X)


def test_rows_that_fit_go_to_the_device_once(X):
    gpu = check(MODELS["one split"], X)
    n_train = N - N // 10
    row, index = 4 * np.count_nonzero(X.std(axis=0)), 8
    first, second = (gpu.bytes_of(f"epoch {i}") for i in (1, 2))
    assert first == n_train * (row + index)
    assert second == n_train * index
    with mock.patch.object(runtime, "has_room", return_value=False):
        gpu = check(MODELS["one split"], X)
    assert gpu.bytes_of("epoch 1") == gpu.bytes_of("epoch 2") == n_train * row


def test_the_rule_of_what_is_kept():
    gpu, other = torch.device("cuda", 0), torch.device("mps")
    with mock.patch("torch.cuda.mem_get_info", return_value=(4000, 10**6)):
        assert runtime.has_room(gpu, 1000)
        assert not runtime.has_room(gpu, 1001)
    assert runtime.has_room(other, runtime.BYTES_IF_UNKNOWN)
    assert not runtime.has_room(other, runtime.BYTES_IF_UNKNOWN + 1)


def test_a_step_that_reads_a_number_is_found(X):
    gradient = SquaredError.gradient

    def reads(loss, output, batch, done=1.0):
        value, grad = gradient(loss, output, batch, done)
        return value + 0.0 * value.item(), grad

    with (
        mock.patch.object(SquaredError, "gradient", reads),
        pytest.raises(AssertionError, match="_local_scalar_dense"),
    ):
        check(MODELS["one split"], X)


def test_tensors_on_two_devices_are_an_error():
    with accelerator(), pytest.raises(RuntimeError, match="on two devices"):
        torch.ones(2, device=DEVICE) + torch.ones(2)


def test_noise_that_is_not_finite(X):
    def infinite(x):
        return x / torch.zeros((), device=x.device)

    model = DenoisingAutoencoder(noise=infinite, **ONE_SPLIT)
    with accelerator(), pytest.raises(ValueError, match="noise returned values that"):
        fit_on("cuda", model, X)


def test_weights_go_to_the_device_once(X):
    model = fit_on("cpu", MODELS["one split"], X)
    expected = model.transform(X), model.reconstruct(X), model.score(X)
    model.set_params(device="cuda")
    with accelerator() as gpu:
        assert_array_equal(model.transform(X), expected[0])
        n_first = gpu.bytes_of("")
        gpu.moved.clear()
        gpu.waits.clear()
        assert_array_equal(model.transform(X), expected[0])
        assert gpu.bytes_of("") == X.nbytes < n_first
        assert [name for name, *_ in gpu.waits] == ["copy to the host"]
        assert_array_equal(model.reconstruct(X), expected[1])
        assert model.score(X) == expected[2]
        # A weight that is changed goes there, and no other.
        weight = model.net_.module_.encoder.network[-1].bias
        gpu.moved.clear()
        weight.data.add_(1.0)
        changed = model.transform(X)
        assert gpu.bytes_of("") == X.nbytes + weight.nbytes
    assert not np.array_equal(changed, expected[0])
    assert_array_equal(model.set_params(device="cpu").transform(X), changed)


def test_the_folds_were_trained_together(X):
    with mock.patch.object(Stacked, "epoch", autospec=True, side_effect=Stacked.epoch):
        fit_on("cpu", MODELS["folds together"], X)
        assert Stacked.epoch.call_count == 2
