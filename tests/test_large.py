"""More rows than memory holds: memory maps, read in blocks."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

import sklatent.rows._large
import sklatent.rows._scale
from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
MODELS = (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)


@pytest.fixture
def small_is_large(monkeypatch):
    """Have arrays of more than 1000 numbers read in blocks, of 64 of them."""
    for module in (sklatent.rows._large, sklatent.rows._scale):
        monkeypatch.setattr(module, "MAX_NUMBERS", 1000)
    monkeypatch.setattr(sklatent.rows._large, "BLOCK", 64)
    monkeypatch.setattr(sklatent.plan._splits, "MAX_HELD_OUT", 800)


def curved(n, seed):
    random = np.random.default_rng(seed)
    t = random.uniform(-2, 2, size=(n, 2)).astype(np.float32)
    weights = np.random.default_rng(9).normal(size=(6, 8)).astype(np.float32)
    X = np.column_stack([t, np.sin(2 * t), t**2]) @ weights
    return X + np.float32(0.1) * random.normal(size=X.shape).astype(np.float32)


def mapped(X, folder):
    """Write rows to a file, and return them as a read-only map of it."""
    path = folder / "rows.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("cls", MODELS)
def test_a_memory_map_is_as_its_rows(cls, tmp_path):
    X = curved(400, 0)
    y = X[:, 0] > 0
    rows = mapped(X, tmp_path)
    model = cls(2, **QUICK).fit(rows, y)
    assert_array_equal(model.transform(rows), cls(2, **QUICK).fit(X, y).transform(X))
    model.partial_fit(rows[:7], y[:7])
    assert model.n_samples_seen_ == 407


@pytest.mark.parametrize("cls", MODELS)
def test_rows_in_blocks(cls, tmp_path, small_is_large):
    X, X_test = curved(2000, 0), curved(500, 1)
    y = X[:, 0] > 0
    model = cls(2, **QUICK)
    if cls is VariationalAutoencoder:
        model.set_params(latent_prior="standard")
    model.fit(mapped(X, tmp_path), y)
    linear = cls(2, **{**QUICK, "hidden_layer_sizes": ()}).fit(X, y)
    assert np.isfinite(model.held_out_scores_).sum() == 100  # 800 numbers
    assert model.best_iteration_ > 0
    assert model.score(X_test) > linear.score(X_test)


@pytest.mark.parametrize("far", [0.0, 1e5])
def test_a_linear_model_of_blocks_is_pca(tmp_path, small_is_large, far):
    X = curved(500, 0).astype(np.float64)
    X[3, 2] += far
    model = Autoencoder(2, hidden_layer_sizes=()).fit(mapped(X, tmp_path))
    pca = PCA(2).fit(X)
    assert_allclose(model.mean_, pca.mean_)
    assert_allclose(model.components_, pca.components_, atol=1e-6)
    assert_allclose(model.explained_variance_, pca.explained_variance_, rtol=1e-6)
    # The scale of all is not that of one row.
    assert model.net_.module_.scaling.scale < 1e3 if far else True


def test_rows_are_shuffled_within_and_between_blocks(small_is_large):
    data = sklatent.rows.rows_of(curved(1000, 0))  # in blocks of 8 rows
    generator = torch.Generator().manual_seed(0)
    first, second = (data.random_order(generator).numpy() for _ in range(2))
    for order in (first, second):
        assert_array_equal(np.sort(order), np.arange(1000))
        # 16 blocks at a time, which lie anywhere.
        together = np.unique(order[:128] // 8)
        assert len(together) == 16
        assert np.ptp(together) > 60
        assert (np.diff(order[:128]) == 1).sum() < 10
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_transform_batches(digits, batch_size):
    X = digits[:100]
    model = Autoencoder(3, **QUICK).fit(X).set_output(transform="pandas")
    batches = list(model.transform_batches(X, batch_size))
    assert [len(Z) for Z in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert_allclose(np.concatenate(batches), model.transform(X), atol=1e-12)


def test_transform_batches_checks_at_once(digits):
    model = Autoencoder(3, hidden_layer_sizes=())
    with pytest.raises(AttributeError, match="not fitted"):
        model.transform_batches(digits)
    model.fit(digits)
    with pytest.raises(ValueError, match="X has 63 features"):
        model.transform_batches(digits[:, 1:])
    with pytest.raises(ValueError, match="batch_size == 0"):
        model.transform_batches(digits, 0)
    with pytest.raises(TypeError, match="batch_size"):
        model.transform_batches(digits, 2.5)


PROGRAM = """
import sys, threading, time
import numpy as np
from sklatent import Autoencoder

def anonymous():  # not the pages of the file
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if "RssAnon" in line) / 1024

X = np.memmap(sys.argv[1], np.float32, "r", shape=(1_100_000, 128))
model = Autoencoder(4, hidden_layer_sizes=(16,), max_iter=1, random_state=0)
model.fit(np.asarray(X[:1000]))
before, peak, done = anonymous(), [0.0], []

def watch():
    while not done:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.01)

thread = threading.Thread(target=watch)
thread.start()
model.fit(X)
for Z in model.transform_batches(X):
    pass
done.append(1)
print(peak[0] - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    path = tmp_path / "rows"
    with path.open("wb") as file:
        for seed in range(110):
            wide = np.tile(curved(10_000, seed), 16)
            wide[:, ::3] **= 2
            wide.tofile(file)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 400  # MB, of a file of 563
