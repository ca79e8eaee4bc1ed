"""The documentation: it is complete, all pages can be reached, and its code runs."""

import doctest
import re
from operator import attrgetter
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import sklatent
from sklatent import model_selection, nn

DOCS = Path(__file__).parents[1] / "docs"
BUILT = {"_build", "_templates", "api", "auto_examples"}  # folders
PAGES = {
    str(path.relative_to(DOCS).with_suffix("")): path
    for path in sorted(DOCS.rglob("*"))
    if path.suffix in {".rst", ".md"}
    and not BUILT & set(path.relative_to(DOCS).parts[:-1])
    and path.stem != "sg_execution_times"
}
WITH_CODE = [name for name, path in PAGES.items() if ">>> " in path.read_text()]
# Examples that a page has at least, and what its code needs beyond the package.
LEAST = {
    "guide/images": 21,
    "guide/pictures": 11,
    "guide/saving": 21,
    "guide/scaling": 30,
}
NEEDS = {
    "guide/saving": ["skops", "skl2onnx", "onnxruntime", "safetensors"],
    "guide/scaling": ["dask.array", "dask.dataframe", "distributed"],
}


def entries(text, directive):
    """What the directives of a kind list, a line each."""
    for block in re.findall(rf"\.\. {directive}::\n((?:   .*\n|\n)+)", text + "\n"):
        lines = map(str.strip, block.splitlines())
        yield from (line for line in lines if line and not line.startswith(":"))


def test_the_api_has_all_public_names():
    listed = list(entries((DOCS / "api.rst").read_text(), "autosummary"))
    assert len(listed) == len(set(listed))
    assert set(sklatent.__all__) <= set(listed)
    for name in listed:
        assert attrgetter(name)(sklatent).__doc__


def test_the_api_has_what_the_guide_names_in_submodules():
    listed = set(entries((DOCS / "api.rst").read_text(), "autosummary"))
    named = {
        f"{module.__name__.removeprefix('sklatent.')}.{name}"
        for path in PAGES.values()
        for module in (nn, model_selection)
        for line in re.findall(rf"from {module.__name__} import (.*)", path.read_text())
        for name in line.split(", ")
    }
    assert named
    assert named - {"nn.Loss"} <= listed  # for developers, and may change


def test_every_page_is_in_a_table_of_contents():
    reached, new = set(), {"index"}
    while new:
        reached |= new
        new = {
            str((PAGES[page].parent / entry).relative_to(DOCS))
            for page in new
            for entry in entries(PAGES[page].read_text(), "toctree")
            if entry.split("/")[0] != "auto_examples"
        } - reached
    assert reached == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_python_of_a_page_is_code_that_runs(name):
    """But for what needs a package that is no dependency, which says so."""
    once = r"code-block:: python\n   :caption: Run once, with "
    text = re.sub(once, "", PAGES[name].read_text())
    assert not re.search(r"code-block:: python|^```python", text, re.M)


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_a_page(name):
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(
        str(PAGES[name]), module_relative=False, optionflags=flags, encoding="utf-8"
    )
    plt.close("all")
    assert not failed
    assert tried >= LEAST.get(name, 4)
