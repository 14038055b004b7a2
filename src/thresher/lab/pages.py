"""How pages are answered: templates, whole or in part, their JSON twins, and the sentence for what is wrong."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from thresher.assessment import formats
from thresher.assessment.page import cite
from thresher.lab.fields import Filled
from thresher.lab.work import Workshop
from thresher.result import to_json_text


class Page(NamedTuple):
    """A page in the navigation."""

    path: str
    title: str


PAGES = (
    Page("/policy", "Policy lab"),
    Page("/map", "Design space"),
    Page("/plan", "Plan simulator"),
    Page("/leads", "Leads"),
    Page("/model", "About the model"),
)


A_DAY = {"Cache-Control": "private, max-age=86400"}
"""For files whose address carries the edition: browsers may keep them."""


@cache
def environment() -> Environment:
    """The templates of the lab; every value that is put out is escaped."""
    found = Environment(
        loader=PackageLoader("thresher.lab"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    # columns of a chart's table in the order that they were given
    found.policies["json.dumps_kwargs"] = {"sort_keys": False}
    found.filters["cite"] = cite
    found.globals |= {"pages": PAGES, "formats": formats, "version": version("thresher"), "edition": _edition()}
    return found


def _edition() -> str:
    """A short digest of the files that browsers keep; their addresses carry it, so that none is shown after it has changed."""
    digest = hashlib.sha256()
    for folder in ("lab/static", "lab/charts", "screening/dossiers/templates"):
        for file in sorted(Path(str(files("thresher").joinpath(folder))).rglob("*.*")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def page(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> Response:
    """A page, or a part of one, from its template."""
    text = environment().get_template(template).render(path=request.url.path, **context)
    return HTMLResponse(text, status_code=status, headers=dict(headers or {}))


def as_json(data: Any, status: int = 200) -> Response:
    """A page's JSON twin: the same bytes that the command writes."""
    return Response(to_json_text(data), status_code=status, media_type="application/json")


def told_wrong(request: Request, form: Filled) -> Response:
    """For a part of a page: what is wrong beside which field, and the answer left as it is.

    The status is 200, since nothing failed: a browser would report another one as an error.
    """
    return page(request, "problems.html.j2", headers={"HX-Reswap": "none"}, form=form)


def refused_json(form: Filled) -> Response:
    """For a JSON twin: what is wrong, as the command says it."""
    return as_json({"error": " ".join(form.problems.values())}, 422)


def is_part(request: Request) -> bool:
    """Whether the page asks for a part of itself, not the browser for the whole (a way back in history asks for the whole)."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def address(path: str, query: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """A page's address with its state; lists are repeated."""
    text = urlencode(list(query.items()) if isinstance(query, Mapping) else list(query), doseq=True)
    return f"{path}?{text}" if text else path


def follows(request: Request, url: str) -> dict[str, str]:
    """The header that puts the state into the address: a step in history for a decision, none while a slider is moving."""
    moving = request.headers.get("lab-event") == "input"
    return {"HX-Replace-Url" if moving else "HX-Push-Url": url}


def command_line(words: Iterable[Any]) -> str:
    """A command as a person would type it."""
    return shlex.join(str(word) for word in words)


def workshop(request: Request) -> Workshop:
    """Where the lab computes."""
    found: Workshop = request.app.state.workshop
    return found
