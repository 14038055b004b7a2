"""How the documentation is built: pages in Markdown, tables made from the running program, no network."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import make_figures  # noqa: E402
import make_tables  # noqa: E402

project = "Thresher"
author = "The authors of Thresher"
release = version = version_of("thresher")
language = "en-GB"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = f"Thresher {release}"
html_show_copyright = False
smartquotes = False  # it would turn --options into dashes
myst_heading_anchors = 4
myst_enable_extensions = ["substitution"]
myst_substitutions = make_tables.figures()

napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
napoleon_use_param = False  # "targets, budgets" stay together
autodoc_mock_imports = ["arviz_stats", "jax", "numpyro"]  # the extra `calibrate`, which no page needs
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Array": "Array"}
maximum_signature_line_length = 90


def _skip_tuple_fields(_app: Any, _what: str, _name: str, value: object, skip: bool, _options: Any) -> bool | None:
    """Leave out the fields of named tuples, whose only docstring is their number; the class says what they are."""
    return True if (getattr(value, "__doc__", None) or "").startswith("Alias for field number") else skip or None


def setup(app: Any) -> None:
    make_tables.write_all(HERE / "_generated")
    make_figures.write_all(HERE / "_generated")
    app.connect("autodoc-skip-member", _skip_tuple_fields)
