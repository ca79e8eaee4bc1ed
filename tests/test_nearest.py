"""The search for nearest points, against all differences in double precision."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sklatent.model import _search
from sklatent.model._search import Search

SIZES = (900, 60, 6)


def points_of_kind(kind, n, seed):
    """Return points that single precision finds easy, or hard, to tell apart."""
    random = np.random.RandomState(seed)
    points = random.randn(n, 12)
    if kind == "far":  # from the origin, and near to each other
        return 300 + 1e-3 * points
    if kind == "equal":
        return np.repeat(points[: -(-n // 3)].round(), 3, axis=0)[:n]
    if kind == "huge":
        points[::7] *= 1e80
        points[1::7] *= 1e12
    if kind == "grid":
        return np.round(2 * points) / 2
    return points


@pytest.mark.parametrize("width", [3, 12])
@pytest.mark.parametrize("kind", ["normal", "far", "equal", "huge", "grid"])
def test_the_nearest_are_those_of_double_precision(kind, width, monkeypatch):
    monkeypatch.setattr(_search, "STEP", 100)
    known = np.ascontiguousarray(points_of_kind(kind, 900, 0)[:, :width])
    asked = np.ascontiguousarray(points_of_kind(kind, 250, 1)[:, :width])
    for size, near in zip(SIZES, Search(known, SIZES, 6).nearest(asked), strict=True):
        distances = cdist(asked, known[:size])
        found = np.take_along_axis(distances, near, axis=1)
        wanted = np.sort(distances, axis=1)[:, :6]
        # Double precision rounds as well, where points are far from the origin.
        error = 1e-4 if kind == "far" else 1e-9
        np.testing.assert_allclose(found, wanted, rtol=error, atol=1e-12)
        assert (np.diff(np.sort(near, axis=1)) > 0).all()


@pytest.mark.parametrize("unit", [1e-20, 1e-21, 1e-22])
def test_squares_that_single_precision_does_not_hold(unit):
    known = unit * points_of_kind("normal", 300, 0)
    asked = unit * points_of_kind("normal", 50, 1)
    (near,) = Search(known, (300,), 6).nearest(asked)
    wanted = np.sort(cdist(asked, known), axis=1)[:, :6]
    found = np.take_along_axis(cdist(asked, known), near, axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_few_points_are_asked_about_twice(monkeypatch):
    search = Search(points_of_kind("normal", 900, 0), SIZES, 6)
    rows = search._nearest_in_single(
        points_of_kind("normal", 250, 1), [np.empty((250, 6), np.intp) for _ in SIZES]
    )
    assert max(map(len, rows)) < 25
