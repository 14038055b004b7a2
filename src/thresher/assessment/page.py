"""What every report page shares: where templates and their style are found, and text with its sources as links."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_ADDRESS = re.compile(r"arXiv (\d{4}\.\d{4,5})|(https?://[^\s<>\"']*[^\s<>\"'.,;)])")


@cache
def environment(*packages: str) -> Environment:
    """Where the templates of reports are found: those of other packages beside the assessment's, whose style all share."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - heavy, for reports only

    found = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "thresher.assessment")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.filters["cite"] = cite
    return found


def cite(text: str) -> Markup:
    """Text with its arXiv numbers and web addresses as links; everything else escaped."""
    from markupsafe import Markup, escape  # noqa: PLC0415

    parts, end = [], 0
    for found in _ADDRESS.finditer(text):
        address = f"https://arxiv.org/abs/{found[1]}" if found[1] else found[2]
        parts += [escape(text[end : found.start()]), Markup('<a href="{}">{}</a>').format(address, found[0])]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])
