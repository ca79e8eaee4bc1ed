"""The loops of the guide over files and queries, on real ones."""

import sqlite3

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from sklatent import Autoencoder


@pytest.fixture
def frame():
    """Rows of which one principal axis is all there is, so that any way finds it."""
    random = np.random.default_rng(0)
    X = random.normal(size=(250, 1)) @ random.normal(size=(1, 3)) + 2
    return pd.DataFrame(X, columns=list("abc"))


@pytest.fixture
def model():
    return Autoencoder(1, hidden_layer_sizes=())


def check(model, frame):
    pca = PCA(1).fit(frame)
    assert model.n_samples_seen_ == 250
    assert_allclose(model.components_, pca.components_)
    assert_allclose(model.mean_, pca.mean_)


def test_csv(frame, model, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for chunk in pd.read_csv(tmp_path / "rows.csv", chunksize=100):
        model.partial_fit(chunk)
    check(model, frame)
    assert list(model.feature_names_in_) == list("abc")


def test_parquet(frame, model, tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    for i in range(2):
        frame[i::2].to_parquet(tmp_path / f"{i}.parquet", index=False)
    for batch in dataset.dataset(tmp_path).to_batches(batch_size=100):
        if batch.num_rows:
            model.partial_fit(batch.to_pandas())
    check(model, frame)


def test_duckdb(frame, model, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect(tmp_path / "rows.duckdb")
    connection.execute("CREATE TABLE rows AS SELECT * FROM frame")
    result = connection.execute("SELECT a, b, c FROM rows")
    while len(chunk := result.fetch_df_chunk(5)):
        model.partial_fit(chunk)
    check(model, frame)


@pytest.mark.parametrize("by_pandas", [False, True])
def test_sqlite(frame, model, tmp_path, by_pandas):
    query = "SELECT a, b, c FROM rows"
    connection = sqlite3.connect(tmp_path / "rows.db")
    frame.to_sql("rows", connection, index=False)
    if by_pandas:
        for chunk in pd.read_sql(query, connection, chunksize=100):
            model.partial_fit(chunk)
    else:
        cursor = connection.execute(query)
        while chunk := cursor.fetchmany(100):
            model.partial_fit(np.array(chunk, dtype=float))
    connection.close()
    check(model, frame)
