"""Callbacks of scikit-learn's, which it has from version 1.9 on."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import SMALL, wine

from sklatent import Autoencoder

callback = pytest.importorskip("sklearn.callback")


class Notes:
    """Notes down all tasks, and may stop one."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.found = []

    def setup(self, estimator, context):
        self.found.append("set up")

    def teardown(self, estimator, context):
        self.found.append("torn down")

    def on_fit_task_begin(self, estimator, context):
        self.found.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context):
        self.found.append(("end", context.task_name, context.task_id))
        return (context.task_name, context.task_id) == ("epoch", self.stop_after)


def test_epochs_are_tasks_of_a_training_of_a_fit():
    X, _ = wine()
    notes, plain = Notes(), Autoencoder(2, **SMALL).fit(X)
    model = Autoencoder(2, **SMALL).set_callbacks(notes).fit(X)
    inner = [(what, "epoch", i) for i in range(2) for what in ("begin", "end")]
    outer = [("fit", 0), ("training", 0)]
    begin, end = ([(what, *task) for task in outer] for what in ("begin", "end"))
    assert notes.found == ["set up", *begin, *inner, *end[::-1], "torn down"]
    assert_array_equal(model.transform(X), plain.transform(X))
    assert vars(model).keys() - vars(plain).keys() == {"_skl_callbacks"}


def test_a_callback_stops_training():
    X, _ = wine()
    model = Autoencoder(2, early_stopping=False).set_params(max_iter=9, random_state=0)
    notes = Notes(stop_after=2)
    assert model.set_callbacks(notes).fit(X).n_iter_ == 3
    last = [("epoch", 2), ("training", 0), ("fit", 0)]
    assert notes.found[-4:-1] == [("end", *task) for task in last]


def test_early_stopping_ends_all_tasks():
    X, _ = wine()
    model = Autoencoder(2, early_stopping=True, max_iter=40, n_iter_no_change=2)
    notes = Notes()
    model.set_params(random_state=0).set_callbacks(notes).fit(np.tile(X, (5, 1)))
    begun, ended = (
        [task for what, *task in notes.found[1:-1] if what == wanted]
        for wanted in ("begin", "end")
    )
    assert sorted(begun) == sorted(ended)
    assert 3 < len(begun) < 42


def test_a_fit_that_fails_is_torn_down():
    X, _ = wine()
    notes = Notes()
    model = Autoencoder(2).set_callbacks(notes)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(np.where(X > 1, np.nan, X))
    assert notes.found[-1] == "torn down"


def test_within_a_search():
    X, _ = wine()
    pipeline = make_pipeline(StandardScaler(), Autoencoder(**SMALL))
    sizes = {"autoencoder__n_components": [1, 2]}
    notes = Notes()
    GridSearchCV(pipeline, sizes, cv=2).set_callbacks(notes).fit(X)
    assert notes.found.count("set up") == 1
    names = [task[1] for task in notes.found if task[0] == "begin"]
    assert names.count("training") == 5  # two sizes, two folds, and the best once more
    assert names.count("epoch") == 10


def test_a_score_of_the_fitted_model():
    X, y = wine()
    monitor = callback.ScoringMonitor(
        scoring={"share": lambda model, X, y: model.score(X)}
    )
    model = Autoencoder(2, **SMALL).set_callbacks(monitor).fit(X, y)
    assert monitor.get_logs().data[-1]["share"] == model.score(X)


def test_a_progress_bar(capfd):
    pytest.importorskip("rich")
    X, _ = wine()
    Autoencoder(2, **SMALL).set_callbacks(callback.ProgressBar()).fit(X)
    assert "Autoencoder - training" in capfd.readouterr().out
