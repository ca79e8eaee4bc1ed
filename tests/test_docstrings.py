"""Docstrings of all that is public, by numpydoc's own rules."""

import inspect

import pytest

import sklatent
import sklatent.model_selection
import sklatent.nn

validate = pytest.importorskip("numpydoc.validate").validate

PUBLIC = [
    *(f"sklatent.{name}" for name in sklatent.__all__),
    *(f"sklatent.nn.{name}" for name in ("ConvDecoder", "ConvEncoder", "RandomShift")),
    "sklatent.model_selection.best_if_significant",
]
# Names of what is returned help readers; scikit-learn's docstrings have them as well.
NOT_ASKED_FOR = {"ES01", "RT02"}
# Examples and references are in the class.
NOT_IN_METHODS = {"EX01", "SA01"}


def found(name):
    module, _, last = name.rpartition(".")
    return getattr(__import__(module, fromlist=[last]), last)


def members(cls):
    """What this package has written of the public methods and properties of a class."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        value = getattr(value, "fget", None) or getattr(value, "fn", value)
        value = getattr(value, "__func__", value)
        module = getattr(value, "__module__", None) or ""
        if not name.startswith("_") and module.startswith("sklatent"):
            yield name


def errors(name, ignored):
    return [
        f"{name}: {code} {text}"
        for code, text in validate(name)["errors"]
        if code not in ignored
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_valid(name):
    wrong = errors(name, NOT_ASKED_FOR)
    if isinstance(found(name), type):
        for member in members(found(name)):
            wrong += errors(f"{name}.{member}", NOT_ASKED_FOR | NOT_IN_METHODS)
    assert wrong == []
