"""Fitted estimators in files: pickles, skops, safetensors."""

import copy
import pickle
import warnings
import zipfile
from io import BytesIO

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import DATA, ESTIMATORS, ROWS, fit, says, wine

import sklatent
from sklatent import Autoencoder
from sklatent._state import VersionWarning


@pytest.fixture(scope="module")
def fitted():
    known = {}

    def get(name):
        if name not in known:
            known[name] = fit(name)
        return known[name]

    return get


def leaves(value, path=()):
    """The path to each value in dicts, lists and tuples, and these themselves."""
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from leaves(part, (*path, i))


def replaced(value, path, new):
    """A state with something else in one place."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, tuple):
        parts = list(value)
        parts[first] = replaced(value[first], rest, new)
        return tuple(parts)
    value = copy.copy(value)
    value[first] = replaced(value[first], rest, new)
    return value


def load(kind, state):
    new = kind.__new__(kind)
    new.__setstate__(state)
    return new


# The state ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_state_has_only_arrays_numbers_and_strings(fitted, name):
    model, _ = fitted(name)
    plain = bool | int | float | str | None | np.ndarray | np.generic | set
    state = model.__getstate__()
    for path in leaves(state):
        part = state
        for key in path:
            part = part[key]
        is_estimator = isinstance(part, sklearn.base.BaseEstimator)
        assert is_estimator or isinstance(part, dict | list | tuple | plain), path


@pytest.mark.parametrize("name", ["variational", "supervised"])
def test_a_damaged_state_is_an_error_or_a_model(fitted, name):
    model, _ = fitted(name)
    state, messages = model.__getstate__(), []
    for path in leaves(state):
        if path[:1] not in [("net_",), ("_summary",), ("mean_",)]:
            continue
        for new in (None, -1, "x", [], {"__sklatent__": "Linear"}, np.ones((7, 7))):
            try:
                loaded = load(type(model), replaced(state, path, new))
            except ValueError as error:
                messages.append(str(error))
            else:
                assert loaded.net_.module_.n_components == 2
    assert len(messages) > 300
    assert all(f"holds no {type(model).__name__}" in text for text in messages)


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (("net_", "model", "modules", 0, "kind"), "Popen", "'Popen' is no class"),
        (("net_", "model", "modules", 0, "kind"), "Summary", "in place of a module"),
        (("net_", "settings", "optimizer", "name"), "eval", "'eval' is no class"),
        (("_summary", "__sklatent__"), "Linear", "Linear with the state"),
        (("_summary", "state"), {"n_samples": 3}, "Summary with the fields n_samples"),
        (("net_", "model", "arrays", 0), np.ones((3, 3)), "RuntimeError"),
        (("net_", "model", "arrays", 0), np.array([print]), "TypeError"),
        (("net_", "model", "modules"), [print], "in place of a module"),
        (("mean_",), np.zeros(3), r"mean_ of shape \(3,\) where \(6,\) is right"),
        (("n_features_in_",), 5, r"mean_ of shape \(6,\) where \(5,\) is right"),
    ],
)
def test_what_is_wrong_with_a_state_is_said(fitted, path, new, message):
    model, _ = fitted("plain")
    with pytest.raises(ValueError, match="holds no Autoencoder") as caught:
        load(Autoencoder, replaced(model.__getstate__(), path, new))
    caught.match(message)


def test_a_module_within_itself_is_no_state_nor_is_a_list(fitted):
    state = fitted("plain")[0].__getstate__()
    children = ("net_", "model", "modules", 0, "children", "encoder")
    for damaged in (replaced(state, children, 0), []):
        with pytest.raises(ValueError, match="holds no Autoencoder"):
            load(Autoencoder, damaged)


@pytest.mark.parametrize("name", ["outliers", "size"])
def test_a_damaged_state_of_an_estimator_around_others(fitted, name):
    model, X = fitted(name)
    state, n_errors = model.__getstate__(), 0
    # `fit` checks parameters, and another version is a warning.
    others = {*model.get_params(deep=False), "_sklatent_version"}
    for path in leaves(state):
        if not path or path[0] in others:
            continue
        for new in (None, -1, "x", [], {"__sklatent__": "Linear"}, np.ones((7, 7))):
            try:
                loaded = load(type(model), replaced(state, path, new))
            except ValueError:
                n_errors += 1
            else:
                assert len(says(loaded, X)) == len(X)
    assert n_errors > 50


def test_parameters_that_an_earlier_version_lacked_have_their_defaults(fitted):
    model, X = fitted("plain")
    state = model.__getstate__()
    del state["augmentation"]
    loaded = load(Autoencoder, state)
    assert loaded.augmentation is None
    assert_array_equal(loaded.transform(X), model.transform(X))


def test_modules_that_are_one_stay_one():
    shared = torch.nn.Linear(6, 6)
    X, _ = wine()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Autoencoder(
            6, encoder=shared, decoder=shared, init="random", max_iter=2
        ).fit(X)
    for fitted in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        module = fitted.net_.module_
        assert module.encoder.network is module.decoder.network
        assert_array_equal(fitted.transform(X), model.transform(X))


# Pickles of the last release ----------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_pickle_of_the_last_release_loads(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", VersionWarning)
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        data = (DATA / f"{name}.pkl").read_bytes()
        assert len(data) < 60_000
        if sklatent.__version__ == "0.1.0":
            model = pickle.loads(data)
        else:
            with pytest.warns(VersionWarning, match="sklatent 0.1.0"):
                model = pickle.loads(data)
    with np.load(DATA / "expected.npz") as expected:
        X = ROWS.get(name, np.asarray)(expected["X"])
        assert_allclose(says(model, X), expected[name], rtol=1e-4, atol=1e-5)


# skops --------------------------------------------------------------------------------


#: All types that a reader has to trust.
TRUSTED = {
    "size": ["sklatent._autoencoder.Autoencoder", "sklatent._latent_size.LatentSizeCV"],
    "outliers": [
        "sklatent._autoencoder.Autoencoder",
        "sklatent._outliers.LatentOutlierDetector",
    ],
    "denoising": ["sklatent._denoising.DenoisingAutoencoder"],
    "variational": ["sklatent._variational.VariationalAutoencoder"],
    "rates": ["sklatent._variational.VariationalAutoencoder"],
    "words": ["sklatent._variational.VariationalAutoencoder"],
    "supervised": ["sklatent._supervised.SupervisedAutoencoder"],
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_skops(fitted, name):
    io = pytest.importorskip("skops.io")
    model, X = fitted(name)
    data = io.dumps(model)
    trusted = TRUSTED.get(name, ["sklatent._autoencoder.Autoencoder"])
    assert io.get_untrusted_types(data=data) == trusted
    loaded = io.loads(data, trusted=trusted)
    assert_array_equal(says(loaded, X), says(model, X))
    assert repr(loaded) == repr(model)
    for method in ("score_samples", "reconstruct"):
        if hasattr(model, method):
            assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))
    if hasattr(model, "components_"):
        assert_array_equal(loaded.components_, model.components_)
    with pytest.raises(TypeError, match="ntrusted"):
        io.loads(data)


def test_skops_of_a_pipeline():
    io = pytest.importorskip("skops.io")
    X, y = wine()
    model = make_pipeline(StandardScaler(), Autoencoder(2), LogisticRegression())
    model.set_params(autoencoder__max_iter=2).fit(X, y)
    loaded = io.loads(io.dumps(model), trusted=["sklatent._autoencoder.Autoencoder"])
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.fit(X, y)


def test_a_damaged_skops_file_is_an_error(fitted):
    io = pytest.importorskip("skops.io")
    data = io.dumps(fitted("plain")[0])
    trusted = ["sklatent._autoencoder.Autoencoder"]
    for cut in (0, 10, len(data) // 2, len(data) - 10):
        with pytest.raises((zipfile.BadZipFile, ValueError)):
            io.loads(data[:cut], trusted=trusted)
    for old, new, wanted in [
        (b'"MLP', b'"Gate', ValueError),
        (b'"__class__": "Autoencoder"', b'"__class__": "Popen"', TypeError),
        (b'"modules"', b'"models"', ValueError),
    ]:
        with pytest.raises(wanted):
            io.loads(_edited(data, old, new), trusted=trusted)


def _edited(data, old, new):
    """A skops file with other bytes in its schema."""
    result = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(data)) as before,
        zipfile.ZipFile(result, "w") as after,
    ):
        for name in before.namelist():
            content = before.read(name)
            if name == "schema.json":
                assert old in content
                content = content.replace(old, new)
            after.writestr(name, content)
    return result.getvalue()


# safetensors --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "ordered", "gaps", "variational"])
def test_safetensors(fitted, name, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    model, X = fitted(name)
    safetensors.save_file(model.net_.module_.state_dict(), tmp_path / "weights")
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in other.net_.module_.state_dict().values():
            tensor.fill_(1)
    other.net_.module_.load_state_dict(safetensors.load_file(tmp_path / "weights"))
    assert_array_equal(other.transform(X), model.transform(X))
