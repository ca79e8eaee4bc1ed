"""Configuration of the documentation."""

import sklatent

project = "sklatent"
author = "the sklatent developers"
copyright = "2026, the sklatent developers"
version = release = sklatent.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
html_theme = "furo"
html_title = f"sklatent {release}"
exclude_patterns = ["_build"]
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
