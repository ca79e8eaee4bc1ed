"""Manners of scikit-learn's estimators that its checks do not ask for."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from torch import nn

import sklatent
from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    LatentSizeCV,
    LatentSizeDisplay,
    VariationalAutoencoder,
    _doc_link,
    problems,
)

ALL = [Autoencoder, DenoisingAutoencoder, VariationalAutoencoder]
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
X = np.random.default_rng(0).normal(size=(60, 5))


def search(estimator=None, **params):
    estimator = Autoencoder(**QUICK) if estimator is None else estimator
    return LatentSizeCV(estimator, [1, 2], cv=2, **params)


@pytest.mark.parametrize("make", [*(lambda c=c: c(2, **QUICK) for c in ALL), search])
def test_inverse_transform_takes_x_by_name(make):
    model = make().fit(X)
    Z = model.transform(X)
    assert_array_equal(model.inverse_transform(X=Z), model.inverse_transform(Z))


@pytest.mark.parametrize("cls", [*ALL, LatentSizeCV])
def test_inverse_transform_requests_no_metadata(cls):
    for method in ("transform", "inverse_transform"):
        assert not hasattr(cls, f"set_{method}_request")
        assert not hasattr(PCA, f"set_{method}_request")


class MyAutoencoder(Autoencoder):
    pass


class MySearch(LatentSizeCV):
    pass


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: MyAutoencoder(2, **QUICK), "MyAutoencoder"),
        (lambda: MySearch(Autoencoder(**QUICK), [1, 2], cv=2), "MySearch"),
    ],
)
def test_errors_name_the_class_that_was_called(make, name, capsys):
    unfitted, model = make(), make().set_params(verbose=1).fit(X)
    holed, wide = np.full((2, 5), np.nan), np.zeros((2, 7))
    for call, message in (
        (lambda: unfitted.transform(X), f"This {name} instance is not fitted yet"),
        (lambda: unfitted.inverse_transform(X), f"This {name} instance is not fitted"),
        (lambda: unfitted.fit(holed), f"{name} does not accept missing values"),
        (lambda: unfitted.fit(X[:1]), f"minimum of 2 is required by {name}"),
        (lambda: model.transform(wide), f"but {name} is expecting 5 features"),
        (lambda: model.score(wide), f"but {name} is expecting 5 features"),
        (lambda: model.transform(holed), f"{name} does not accept missing values"),
        (lambda: model.inverse_transform(wide), f"X has 7 columns, but {name} has"),
        (lambda: model.inverse_transform(holed), f"{name} does not accept missing"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    if name == "MySearch":
        assert "[MySearch] fold 1/2" in capsys.readouterr().out


def test_a_display_without_matplotlib_says_what_to_install(monkeypatch):
    search_ = search().fit(X)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = "LatentSizeDisplay.plot requires matplotlib. You can install matplotlib"
    with pytest.raises(ImportError, match=message):
        LatentSizeDisplay.from_estimator(search_)


ESTIMATORS = [*(cls() for cls in ALL), search()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_html_links_to_the_documentation(monkeypatch, estimator):
    name = type(estimator).__name__
    monkeypatch.setattr(_doc_link, "documentation_url", lambda: "https://docs.local")
    link = f"https://docs.local/api/sklatent.{name}.html"
    assert link in estimator._repr_html_()
    entries = Path(__file__).parents[1] / "docs" / "api.rst"
    assert f"\n   {name}\n" in entries.read_text()


def test_html_has_no_link_that_leads_nowhere(monkeypatch):
    monkeypatch.setattr(_doc_link, "documentation_url", lambda: "")
    assert "sklatent.Autoencoder.html" not in Autoencoder()._repr_html_()
    monkeypatch.setattr(_doc_link, "documentation_url", lambda: "https://docs.local")
    assert "/api/" not in MyAutoencoder()._repr_html_()  # it has no page


def test_the_link_is_that_of_the_metadata(monkeypatch):
    class Metadata:
        def get_all(self, _):
            return ["Home, https://a.local", "Documentation, https://b.local/en/"]

    monkeypatch.setattr(_doc_link, "metadata", lambda _: Metadata())
    assert _doc_link.documentation_url.__wrapped__() == "https://b.local/en"


SNIPPET = """
import numpy as np
from sklatent import Autoencoder, LatentSizeCV, VariationalAutoencoder

X = np.zeros((20, 4))
reveal_type(Autoencoder(8).fit(X))
reveal_type(Autoencoder(8).fit(X).transform(X))
reveal_type(VariationalAutoencoder(8).fit_transform(X))
reveal_type(LatentSizeCV(Autoencoder()).fit(X).transform(X))
Autoencoder(8, hidden_layer_sizes=np.array([8, 4]), ordered=[1, 2])
Autoencoder(8, init="rand")
VariationalAutoencoder(8, likelihood="beta")
"""


def test_type_checkers_know_what_methods_return(tmp_path):
    assert (Path(sklatent.__file__).parent / "py.typed").exists()
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--config-file", root / "pyproject.toml"]
    run = subprocess.run(
        [*command, snippet], cwd=root, capture_output=True, text=True, check=False
    )
    revealed = [line for line in run.stdout.splitlines() if "Revealed type" in line]
    expected = ["sklatent._autoencoder.Autoencoder", *3 * ["numpy.ndarray["]]
    assert len(revealed) == len(expected), run.stdout + run.stderr
    for line, kind in zip(revealed, expected, strict=True):
        assert f'Revealed type is "{kind}' in line
    errors = [line for line in run.stdout.splitlines() if " error: " in line]
    assert len(errors) == 2, run.stdout
    for line, name in zip(errors, ("init", "likelihood"), strict=True):
        assert f'Argument "{name}"' in line


@pytest.mark.parametrize("cls", [*ALL, LatentSizeCV])
def test_types_and_checks_allow_the_same_strings(cls):
    for name, hint in get_type_hints(cls.__init__).items():
        constraints = cls._parameter_constraints.get(name, ())
        checked = {s for c in constraints for s in getattr(c, "options", ())}
        parts = [
            part for part in (hint, *get_args(hint)) if get_origin(part) is Literal
        ]
        typed = {value for part in parts for value in get_args(part)}
        assert typed == checked, name


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("factor", [1e150, 1e160, 1e300])
def test_scores_of_rows_that_are_far_away_are_numbers(cls, factor):
    model = cls(2, **QUICK).fit(X)
    assert not np.isnan(model.score(X * factor))
    assert not np.isnan(model.score_samples(X * factor)).any()
    assert model.score(X * 1e160) < model.score(X)


def small(p, k):
    return nn.Linear(p, k + 1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (VariationalAutoencoder(0.5, likelihood="bernoulli"), "requires them in"),
        (VariationalAutoencoder(0.5, likelihood="poisson"), "requires non-negative"),
        (VariationalAutoencoder(2, beta=-1), "'beta' parameter"),
        (
            VariationalAutoencoder(2, noise_variance="some"),
            "'noise_variance' parameter",
        ),
        (VariationalAutoencoder(2, encoder=small), "encoder maps an input"),
        (VariationalAutoencoder(2, decoder=small), "decoder failed on an input"),
        (Autoencoder(2, encoder=small), "encoder maps an input"),
        (DenoisingAutoencoder(0.5, noise="swap", noise_level=2.0), "share of cells"),
    ],
)
def test_parameters_are_refused_before_anything_is_computed(model, message):
    used = ("pca_start", "factor_analysis_start", "choose_noise", "denoiser_start")
    with ExitStack() as stack:
        for name in used:
            for file in ("_reconstruction", "_variational"):
                target = f"sklatent.problems.{file}.{name}"
                if hasattr(getattr(problems, file), name):
                    stack.enter_context(mock.patch(target, side_effect=AssertionError))
        target = "sklatent.plan._plan.pca_errors"
        stack.enter_context(mock.patch(target, side_effect=AssertionError))
        with pytest.raises(ValueError, match=message):
            model.fit(X)
