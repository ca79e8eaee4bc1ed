"""Configuration of the documentation. Nothing in it needs a network."""

import sys
from pathlib import Path

import matplotlib as mpl

import sklatent

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

from elsewhere import PROJECTS  # noqa: E402
from linked_names import write_inventory  # noqa: E402

mpl.use("Agg")

project = "sklatent"
author = "the sklatent developers"
copyright = "2026, the sklatent developers"
version = release = sklatent.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "html_math",
    "linked_names",
]
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]
rst_prolog = ".. currentmodule:: sklatent\n"
default_role = "py:obj"
html_math_renderer = "mathml"
myst_heading_anchors = 3

# API -------------------------------------------------------------------------------

autosummary_generate = True
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # the sections of parameters say it
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Links to other projects: inventories are written here, none is downloaded ----------

intersphinx_mapping = {}
linked_names = {name: f"sklatent.{name}" for name in sklatent.__all__}
for _key, (_address, _entries) in PROJECTS.items():
    _inventory = HERE / "_build" / "inventories" / f"{_key}.inv"
    write_inventory(_inventory, _key, _entries)
    intersphinx_mapping[_key] = (_address, str(_inventory))
    linked_names |= {
        form: name
        for name, role, _ in _entries
        if role != "std:label"
        for form in (name, name.rsplit(".", 1)[-1])
    }

# Gallery ---------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sklatent",),
    "reference_url": {"sklatent": None},
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,  # that page takes scripts from the network
    "show_signature": False,
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "plot_gallery": "True",
}

# Copies of code blocks are without prompts and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Pages -----------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"sklatent {release}"
html_static_path = ["_static"]
html_css_files = ["sklatent.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "github_url": "https://github.com/sklatent/sklatent",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "getting_started": [], "faq": [], "changelog": []}
