"""A dossier within another page: the same contents without a page around them, and their style as a file to serve."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from thresher.screening.dossiers.page import Dossier, Screened, lead_values, render

WRAPPER = "dossier"
"""The class of the element that a fragment is; the style applies within it alone."""
_WHOLE_PAGE = re.compile(r"(?<![\w.-])(?::root|html|body)(?= *[{,])")
_PARTS_OF_A_PAGE = re.compile(r"(?<![\w.-])main, header, footer(?= *\{)")
_PAPER = re.compile(r"@page *\{[^}]*\}\s*")


def dossier_fragment(dossier: Dossier, screened: Screened, leads: int, *, list_href: str = "index.html") -> str:
    """The contents of a lead's page as one ``<article class="dossier">``, to stand in another page.

    It holds no script, style, style attribute or event handler, and no ``<main>``; its heading is an ``<h1>``. All its
    links but the one to the list lead to anchors in it, so one fragment stands on a page: ``reasons``, ``conditional``,
    ``next``, ``readings``, ``holdings``, ``unseen``, ``who``, ``ownership``, ``timeline``, ``inspection``, ``rows``,
    ``by-figure``, ``ask``, and those beginning with ``row-``, ``rows-``, ``reason-``, ``event-``, ``table-``, ``ask-``,
    ``bars-``, ``graph-``, ``time-`` and ``arrow`` are taken.

    Parameters
    ----------
    dossier
        Of `thresher.screening.dossiers.page.dossiers_of`; the engine may be closed by now.
    screened
        What was screened for, and when.
    leads
        How many leads the list has.
    list_href
        The address of the list; it is escaped.
    """
    values = lead_values(dossier, screened, leads)
    return render("fragment.html.j2", screened, alone=False, list_href=list_href, **values).lstrip()


@cache
def fragment_css(*, colours: bool = True) -> str:
    """The style of dossiers for fragments: the rules of the stand-alone pages, each within the wrapper's class.

    Parameters
    ----------
    colours
        Whether the wrapper sets its colours, light or dark as the reader's system has it; without them the page around it
        sets ``--paper, --ink, --soft, --line, --wash, --blue, --warm, --red, --down`` and ``--mark``.
    """
    rules = (files("thresher.screening.dossiers") / "templates" / "page.css").read_text("utf-8")
    if not colours:
        _, rules = rules.split("* { box-sizing", 1)
        rules = f"* {{ box-sizing{rules}"
    rules = _PAPER.sub("", rules)
    rules = _PARTS_OF_A_PAGE.sub(".contents, header", rules)
    return f".{WRAPPER} {{\n{_WHOLE_PAGE.sub('&', rules).strip()}\n}}\n"
