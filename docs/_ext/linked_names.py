"""Links from names in ``literal`` text to their documentation, without a download.

Intersphinx reads a project's inventory from the network. The names that these pages
use are few, and the addresses of their pages follow a rule, so small inventories are
written here. A literal such as ``PCA`` or ``PCA(8)`` that names one of them becomes a
link.
"""

import re
import zlib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


def write_inventory(path: Path, project: str, entries: list[tuple[str, str, str]]):
    """Write an inventory of Sphinx's second format.

    Parameters
    ----------
    path : Path
    project : str
    entries : list of (name, role, address)
        `role` with its domain, as in 'py:class'.
    """
    lines = [f"{name} {role} 1 {address} -\n" for name, role, address in entries]
    header = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress("".join(lines).encode()))


class LinkedNames(SphinxPostTransform):
    """Replace literals that name a class or function by references to it."""

    default_priority = 5  # before references are resolved

    def run(self, **_: object) -> None:
        """Go through the literals of a page, but for those in links and headings."""
        names = self.config.linked_names
        for literal in list(self.document.findall(nodes.literal)):
            match = re.fullmatch(r"([\w.]+)(\([^()]*\))?", literal.astext())
            target = match and names.get(match[1])
            inside = (nodes.reference, nodes.title, addnodes.pending_xref)
            if target and not any(isinstance(p, inside) for p in parents(literal)):
                literal.replace_self(self._reference(target, literal))

    def _reference(self, target: str, literal: nodes.literal) -> addnodes.pending_xref:
        xref = addnodes.pending_xref(
            "",
            literal.deepcopy(),
            refdomain="py",
            reftype="obj",
            reftarget=target,
            refdoc=self.env.current_document.docname,
            refwarn=True,
        )
        xref.source, xref.line = literal.source, literal.line
        return xref


def parents(node: nodes.Node) -> list[nodes.Node]:
    """Return the nodes round a node, innermost first."""
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the configuration value and the transform."""
    app.add_config_value("linked_names", {}, "env")
    app.add_post_transform(LinkedNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
