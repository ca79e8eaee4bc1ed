"""Formulas as MathML, made while the documentation is built.

Browsers draw it themselves: no script, no font and no network is needed to read it.
"""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def formula(node: nodes.Element, display: str) -> str:
    """Return MathML; functions such as log get the space that LaTeX puts after them."""
    latex = re.sub(r"(\\(?:log|min|max|exp))(?= *[a-z|\\])", r"\1\\,", node.astext())
    latex = re.sub(r"\} (?=\\log)", r"}\\,", latex)
    return convert(latex, display=display)


def visit_math(translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(formula(node, "inline"))
    raise nodes.SkipNode


def visit_math_block(translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    block = formula(node, "block")
    translator.body.append(f'<div class="formula">{block}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(visit_math, None),
        block_renderers=(visit_math_block, None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
