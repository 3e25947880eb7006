"""How Sphinx builds the site; docs/build_site.py puts its sources together."""

from html import escape
from typing import Any

from docutils import nodes

import handgrad

project, author, version = "handgrad", "The handgrad developers", handgrad.__version__
copyright = author
html_title = f"handgrad {version}"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["katex/katex.min.css", "site.css"]
html_js_files = [("katex/katex.min.js", {"defer": ""}), ("formulas.js", {"defer": ""})]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": False}
html_math_renderer = "katex"
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"


def inline(page: Any, node: Any) -> None:
    page.body.append(f'<span class="math">{escape(node.astext())}</span>')


def display(page: Any, node: Any) -> None:
    page.body.append(f'<div class="math" tabindex="0" role="math">{escape(node.astext())}</div>')


def leave(page: Any, node: Any) -> None:
    """Nothing is left to write: `inline` and `display` took the text of their nodes."""


def skip(visit: Any) -> Any:
    def visit_and_skip(page: Any, node: Any) -> None:
        visit(page, node)
        raise nodes.SkipNode

    return visit_and_skip


def setup(app: Any) -> None:
    app.add_html_math_renderer("katex", (skip(inline), leave), (skip(display), leave))
