"""The layout: imports point one way, and importing costs nothing that is not needed."""

import ast
import graphlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklatent

PACKAGE = Path(sklatent.__file__).parent

# Folders and top-level files; each may import those before it.
ORDER = [
    {"runtime", "nn", "_doc_link", "_versions", "model_selection"},
    {"rows"},
    {"starts"},
    {"plan"},
    {"problems"},
    {"training"},
    {"model"},
    {"_callbacks", "_size_search", "_state", "_validation"},
    {"_stream"},
    {"_fitted"},
    {"_partial_fit"},
    {"_base"},
    {"_with_loss"},
    {"_autoencoder", "_denoising", "_supervised", "_variational", "_latent_size"},
    {"_outlier_fit"},
    {"displays", "_outliers"},
    {"__init__", "onnx"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
NETWORKS = {name: path for name, path in FILES.items() if name.startswith("nn.")}


class Imports(ast.NodeVisitor):
    """Collects what a file imports, but for what only a type checker does.

    Attributes
    ----------
    ours : set of str
        Names in the package, with a dot between a folder and what is in it.
    others : set of str
        Packages of others.
    """

    def __init__(self, name):
        self.folder = name.split(".")[:-1]
        self.ours, self.others = set(), set()
        self.visit(ast.parse(FILES[name].read_text()))

    def visit_If(self, node):
        if getattr(node.test, "id", None) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Import(self, node):
        self.others |= {alias.name.split(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node):
        if not node.level:
            self.others.add(node.module.split(".")[0])
            return
        base = self.folder[: len(self.folder) + 1 - node.level]
        base += node.module.split(".") if node.module else []
        for alias in node.names:
            if ".".join(base) in FILES:  # what is imported is in that file
                self.ours.add(".".join(base))
            else:  # a folder or a file, or what a folder's __init__ has
                inner = ".".join([*base, alias.name])
                file = inner if inner in FILES else ".".join([*base, "__init__"])
                is_folder = f"{inner}.__init__" in FILES
                self.ours.add(f"{inner}.__init__" if is_folder else file)


IMPORTS = {name: Imports(name) for name in FILES}


def folder(name):
    """The folder, or top-level file, in which a file is."""
    return name.split(".")[0]


def test_every_part_has_a_level():
    assert {folder(name) for name in FILES} == set(LEVEL)
    assert all(name.count(".") <= 1 for name in FILES)


@pytest.mark.parametrize("name", FILES)
def test_imports_point_one_way(name):
    for other in IMPORTS[name].ours:
        if other == "__init__":  # the version, in the functions that pickle
            assert name == "_state"
        elif folder(other) != folder(name):
            assert LEVEL[folder(other)] < LEVEL[folder(name)], f"{name} imports {other}"
            # Of another folder only what its __init__ offers.
            assert other.endswith(".__init__") or "." not in other, other
    others = IMPORTS[name].others
    assert "sklatent" not in others
    assert "skorch" not in others or name == "training._net"
    # There, inside the functions that draw.
    assert "matplotlib" not in others or folder(name) == "displays"


def test_files_of_a_folder_import_each_other_without_cycles():
    inside = {
        name: {other for other in IMPORTS[name].ours if folder(other) == folder(name)}
        for name in FILES
    }
    assert sum(map(len, inside.values())) > 30
    graphlib.TopologicalSorter(inside).prepare()  # raises CycleError


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_know_only_torch(name):
    standard = {"abc", "collections", "copy", "dataclasses"}
    standard |= {"itertools", "math", "typing"}
    assert IMPORTS[name].others <= {"torch", *standard}


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


def entries(section):
    """The names of a numpydoc section, each with its type and text."""
    found, text = {}, []
    for line in section.splitlines():
        if line.startswith("    ") and line[4:5].strip() and " : " in line:
            text = [line]
            found |= dict.fromkeys(line.split(" : ")[0].strip().split(", "), text)
        else:
            text.append(line)
    return {name: " ".join(" ".join(text).split()) for name, text in found.items()}


def documented(cls, title):
    section = cls.__doc__.split(f"    {title}\n    {'-' * len(title)}\n")[1]
    return entries(section.split("\n\n")[0])


CLASSES = [name for name in sklatent.__all__ if name != "show_versions"]


@pytest.mark.parametrize("name", CLASSES)
def test_all_parameters_and_no_others_are_documented(name):
    cls = getattr(sklatent, name)
    names = list(documented(cls, "Parameters"))
    assert names == list(inspect.signature(cls).parameters)


# What is written out in each class, for editors, and is to stay the same.
SIBLINGS = [
    sklatent.DenoisingAutoencoder,
    sklatent.SupervisedAutoencoder,
    sklatent.VariationalAutoencoder,
]
DIFFERENT = {"n_components", "noise_variance_"}
# A likelihood, and a loss of rows and target, are in its place.
HAVE_NO_LOSS = {sklatent.SupervisedAutoencoder, sklatent.VariationalAutoencoder}


@pytest.mark.parametrize("cls", SIBLINGS)
@pytest.mark.parametrize("title", ["Parameters", "Attributes"])
def test_what_siblings_share_is_documented_alike(cls, title):
    first, other = documented(sklatent.Autoencoder, title), documented(cls, title)
    if cls in HAVE_NO_LOSS:
        first.pop("loss", None)
    assert set(first) <= set(other)
    for name in set(first) - DIFFERENT:
        assert other[name] == first[name], name
    order = list(first)
    if title == "Parameters":
        assert [name for name in other if name in first] == order


@pytest.mark.parametrize("name", sklatent.__all__)
def test_docstrings_are_there_without_running_code(name):
    cls = getattr(sklatent, name)
    tree = ast.parse(Path(inspect.getsourcefile(cls)).read_text())
    (node,) = (n for n in tree.body if getattr(n, "name", None) == name)
    assert ast.get_docstring(node) == inspect.getdoc(cls)


def test_a_first_fit_loads_no_compiler():
    """PyTorch's compiler and sympy take seconds to load, in each process."""
    program = (
        "import sys; import numpy as np; from sklatent import Autoencoder;"
        "Autoencoder(2, max_iter=2).fit(np.random.default_rng(0).normal(size=(40, 5)));"
        "print([m for m in ('torch._dynamo', 'sympy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
