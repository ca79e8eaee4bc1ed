"""Dask: searches on its workers, chunks in and latents out, as in one process."""

import threading
import weakref

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from sklatent import Autoencoder, LatentSizeCV

pytest.importorskip("pyarrow")  # dask.dataframe requires it
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

N_CHUNKS, CHUNK = 12, (25, 6)


def rows_of(seed, n=CHUNK[0]):
    """Rows on a curved surface of two dimensions in six."""
    turn = np.random.default_rng(0).normal(size=(2, 6))
    return np.tanh(np.random.default_rng(seed).normal(size=(n, 2)) @ turn)


def small(n_components=2, **params):
    return Autoencoder(
        n_components, hidden_layer_sizes=(8,), max_iter=3, random_state=0, **params
    )


@pytest.fixture(scope="module")
def rows():
    return rows_of(0, 200)


@pytest.fixture(scope="module")
def model(rows):
    return small().fit(rows)


def cluster(processes):
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None
    )


def searches(rows):
    grid = GridSearchCV(small(), {"n_components": [1, 2]}, cv=2, n_jobs=2).fit(rows)
    size = LatentSizeCV(small(), [1, 2, 3], cv=2, n_jobs=2).fit(rows)
    return grid, size


@pytest.mark.parametrize(
    "processes", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_searches_on_workers_score_as_in_one_process(rows, processes):
    with joblib.parallel_config("sequential"):
        expected = searches(rows)
    with cluster(processes) as workers, distributed.Client(workers):
        with joblib.parallel_config("dask"):
            found = searches(rows)
        assert len(workers.workers) == 2
    for one, other in zip(expected, found, strict=True):
        assert one.best_params_ == other.best_params_
        for name in ["split0_test_score", "split1_test_score", "mean_test_score"]:
            assert_array_equal(one.cv_results_[name], other.cv_results_[name])
        assert_array_equal(one.transform(rows), other.transform(rows))


class Resident:
    """Counts the generated chunks that are in memory."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.made = 0

    def chunk(self, block_info):
        made = rows_of(block_info[None]["chunk-location"][0])
        with self.lock:
            self.now += 1
            self.made += 1
            self.most = max(self.most, self.now)
        weakref.finalize(made, self.gone)
        return made

    def gone(self):
        with self.lock:
            self.now -= 1

    def array(self):
        return da.map_blocks(
            lambda block_info=None: self.chunk(block_info),
            chunks=((CHUNK[0],) * N_CHUNKS, (CHUNK[1],)),
            dtype=float,
            meta=np.empty((0, 0)),
        )


@pytest.fixture
def resident():
    return Resident()


@pytest.fixture
def all_rows():
    return np.concatenate([rows_of(i) for i in range(N_CHUNKS)])


def test_chunks_are_transformed_with_one_in_memory_for_each_thread(
    model, resident, all_rows
):
    X = resident.array()
    Z = X.map_blocks(model.transform, chunks=(X.chunks[0], (2,)), dtype=X.dtype)
    assert Z.shape == (len(all_rows), 2)
    assert Z.chunks[0] == X.chunks[0]
    with dask.config.set(num_workers=2):
        found = Z.compute()
    assert_array_equal(found, model.transform(all_rows))
    assert resident.made == N_CHUNKS
    assert resident.most <= 2


def test_partial_fit_chunk_by_chunk_has_one_in_memory(resident, all_rows):
    found, expected = small(), small()
    for chunk in resident.array().blocks:
        found.partial_fit(chunk.compute())
    for chunk in np.split(all_rows, N_CHUNKS):
        expected.partial_fit(chunk)
    assert resident.made == N_CHUNKS
    assert resident.most == 1
    assert_array_equal(found.transform(all_rows), expected.transform(all_rows))


@pytest.fixture
def frame(rows):
    index = np.arange(len(rows)) * 10
    return pd.DataFrame(rows, columns=list("abcdef"), index=index)


def test_a_data_frame_keeps_its_partitions_and_names_latents(frame):
    model = small().set_output(transform="pandas").fit(frame)
    df = dd.from_pandas(frame, npartitions=3)
    Z = df.map_partitions(model.transform)
    assert list(Z.columns) == ["autoencoder0", "autoencoder1"]
    assert Z.divisions == df.divisions
    pd.testing.assert_frame_equal(Z.compute(), model.transform(frame))


def test_a_data_frame_with_other_names_is_refused(frame):
    model = small().fit(frame)
    df = dd.from_pandas(frame.rename(columns={"a": "z"}), npartitions=3)
    with pytest.raises(ValueError, match="feature names"):
        df.map_partitions(model.transform)


@pytest.mark.slow  # its import is
@pytest.mark.parametrize("as_frame", [False, True])
def test_the_wrappers_of_dask_ml(model, rows, frame, as_frame):
    wrappers = pytest.importorskip("dask_ml.wrappers")
    if as_frame:
        model, rows = small().fit(frame), frame
        data = dd.from_pandas(frame, npartitions=4)
    else:
        data = da.from_array(rows, chunks=(50, 6))
    found = wrappers.ParallelPostFit(model).transform(data).compute()
    assert_array_equal(found, model.transform(rows))

    stream = small()
    for part in data.partitions:
        stream.partial_fit(part.compute())
    incremental = wrappers.Incremental(small(), shuffle_blocks=False).fit(data)
    assert incremental.estimator_.n_samples_seen_ == len(rows)
    assert_array_equal(incremental.transform(rows), stream.transform(rows))
