"""The layout: imports point one way, and importing costs nothing that is not needed."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklatent

PACKAGE = Path(sklatent.__file__).parent

# Each may import those before it (and, in nn, its own kind).
ORDER = [
    {"nn", "_docs"},
    {"_selection", "_scaling", "_isolation", "_devices"},
    {"_linear_start", "_batches"},
    {"_mixture", "_parameters", "_denoiser_start", "_probabilistic_start"},
    {"_assembly", "_training", "_ordered", "_reconstruction"},
    {"_fitting", "_components"},
    {"_base"},
    {"_autoencoder", "_denoising", "_variational", "_latent_size"},
    {"_plot"},
    {"__init__"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}


def imports(path):
    """Modules of ours, and packages of others, that a file imports."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            ours |= {node.module} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
    return ours, others


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_imports_point_one_way(path):
    ours, others = imports(path)
    for name in ours:
        assert LEVEL[name] < LEVEL[path.stem], f"{path.stem} imports {name}"
    if path.stem != "_training":
        assert "skorch" not in others
    if path.stem != "_plot":  # there, inside the functions that draw
        assert "matplotlib" not in others


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("nn/*.py")), ids=lambda p: p.stem)
def test_networks_know_only_torch(path):
    _, others = imports(path)
    standard = {"abc", "collections", "dataclasses", "itertools", "math", "typing"}
    assert others <= {"torch", *standard}


def test_import_brings_no_extra_and_leaves_the_world():
    code = (
        "import sys, torch, skorch, sklearn.decomposition;"
        "n, s = torch.get_num_threads(), torch.get_rng_state();"
        "found = set(sys.modules); import sklatent;"
        "new = {name.split('.')[0] for name in set(sys.modules) - found};"
        "assert not {'matplotlib', 'pandas', 'polars', 'IPython'} & new, new;"
        "assert torch.get_num_threads() == n and torch.equal(s, torch.get_rng_state())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sklatent.__all__)
def test_all_parameters_and_no_others_are_documented(name):
    cls = getattr(sklatent, name)
    section = cls.__doc__.split("    Parameters\n    ----------\n")[1]
    section = section.split("    Attributes\n    ----------\n")[0]
    documented = [
        parameter
        for line in section.splitlines()
        if line.startswith("    ") and line[4] != " " and " : " in line
        for parameter in line.split(" : ")[0].strip().split(", ")
    ]
    assert documented == list(inspect.signature(cls).parameters)
    assert "{parameters}" not in cls.__doc__
    assert "{attributes}" not in cls.__doc__
