"""What is shipped: dependencies, addresses, versions."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import sklatent

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Packages whose name in code is not the one that they are installed by.
NAMES = {"sklearn": "scikit-learn"}
#: Compared with where it is there; PyPI has it for some systems with CUDA only.
NOT_DECLARED = {"cuml"}
#: Which extra may be imported where, besides what is always there.
EXTRAS = {
    "sklatent/displays": ["plot"],
    "sklatent/onnx": ["onnx"],
    "sklatent": [],
    "tests": ["test"],
    "benchmarks": ["bench"],
    "examples": ["plot"],
    "examples/gallery": ["docs"],
}


def declared(extras):
    lists = [PROJECT["optional-dependencies"][extra] for extra in extras]
    every = [*PROJECT["dependencies"], *(line for lines in lists for line in lines)]
    return {re.match(r"[\w-]+", line)[0] for line in every}


def imported(path):
    """The packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", EXTRAS)
def test_what_is_imported_is_declared(folder):
    # The package may be elsewhere than the tests, which are then those of an sdist.
    root = Path(sklatent.__file__).parents[1] if "sklatent" in folder else ROOT
    others = [root / other for other in EXTRAS if other.startswith(folder + "/")]
    paths = [
        path
        for path in sorted((root / folder).rglob("*.py"))
        if not any(path.is_relative_to(other) for other in others)
    ]
    assert paths
    ours = {"sklatent"} | {p.stem for p in paths if folder in ("tests", "benchmarks")}
    found = {NAMES.get(name, name) for path in paths for name in imported(path)}
    found -= ours | NOT_DECLARED | set(sys.stdlib_module_names)
    assert found <= declared(EXTRAS[folder])
    if folder == "sklatent":  # and nothing else is
        assert found == declared([])


def test_the_version_is_in_one_place():
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", sklatent.__version__)


def test_links_in_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_show_versions(capsys):
    sklatent.show_versions()
    printed = capsys.readouterr().out
    for name in ("Python", "system", "sklatent", "scikit-learn", "torch", "skorch"):
        assert re.search(rf"^{name} +\S", printed, re.MULTILINE), name
