"""The plan simulator's page: whole, in part, as JSON, as a plan file, and opened from one."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import ImmutableMultiDict, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from thresher.errors import InputError
from thresher.lab.pages import address, as_json, follows, is_part, page, refused_json, told_wrong
from thresher.lab.plan.form import ONE_OF, OPEN, Question, chips_by_maker, query_of, read
from thresher.lab.plan.shown import everything as all_groups
from thresher.lab.plan.shown import shown
from thresher.simulation.plans import check_plan, parse_plan, plan_columns, plan_text, simulate_plan

PATH = "/plan"
COMMAND = "thresher simulate plan.toml --json -"
MOST_FILE = 64 * 1024
"""Bytes of a plan's file."""


async def plan(request: Request) -> Response:
    """The page; or, for a moved slider, its answer."""
    question = read(request.query_params)
    if is_part(request) and question.form.problems:
        return told_wrong(request, question.form)
    context = _context(question)
    if is_part(request):
        headers = follows(request, address(PATH, question.form.query))
        return page(request, "plan_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "plan.html.j2", **_whole(context))


async def opened(request: Request) -> Response:
    """A plan's file becomes the form's state; what is wrong with it is told on the page."""
    async with request.form(max_files=1, max_fields=4, max_part_size=MOST_FILE) as form:
        file = form.get("file")
        try:
            if not isinstance(file, UploadFile) or not file.filename:
                raise InputError("plan file", "a file to open")
            query = _query_of_file(file.filename[-80:], await file.read(MOST_FILE + 1))
        except InputError as error:
            if is_part(request):  # the plan on the page stays
                return page(request, "plan_not_opened.html.j2", headers={"HX-Reswap": "none"}, refused=str(error))
            usual = _whole(_context(read(ImmutableMultiDict())), refused=str(error))
            return page(request, "plan.html.j2", status=422, **usual)
    if is_part(request):
        return Response(headers={"HX-Redirect": address(PATH, query)})
    return RedirectResponse(address(PATH, query), status_code=303)


async def to_the_page(_request: Request) -> Response:
    """The address that files are sent to, followed as a link."""
    return RedirectResponse(PATH, status_code=307)


def _query_of_file(name: str, content: bytes) -> list[tuple[str, str]]:
    if len(content) > MOST_FILE:
        raise InputError(name, f"at most {MOST_FILE:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(name, f"text in UTF-8 (byte {error.start} is not)") from None
    document = parse_plan(text, name)
    plan_columns(check_plan(document, name), name)
    return query_of(document)


async def everything(request: Request) -> Response:
    """All outcomes of the plan, each a number that opens: a part of the page, or a page of its own."""
    groups = all_groups(read(request.query_params).plan)
    return page(request, "plan_everything.html.j2" if is_part(request) else "plan_outcomes.html.j2", groups=groups)


async def as_data(request: Request) -> Response:
    """The JSON twin: what the command writes of the plan's file."""
    question = read(request.query_params)
    if question.form.problems:
        return refused_json(question.form)
    return as_json(simulate_plan(question.plan))


async def as_file(request: Request) -> Response:
    """The plan as a file that ``thresher simulate`` takes."""
    question = read(request.query_params)
    if question.form.problems:
        return refused_json(question.form)
    headers = {"Content-Disposition": 'attachment; filename="plan.toml"'}
    return Response(plan_text(question.stated), media_type="application/toml", headers=headers)


def _context(question: Question) -> dict[str, Any]:
    answer = shown(question)
    state = question.form.query
    return {
        "form": answer.form,
        "answer": answer,
        "json_address": address(f"{PATH}.json", state),
        "file_address": address(f"{PATH}.toml", state),
        "everything_address": address(f"{PATH}/everything", state),
        "command": COMMAND,
    }


def _whole(context: dict[str, Any], refused: str = "") -> dict[str, Any]:
    groups = list(context["form"].groups().items())
    shown_as = {"always": groups[:OPEN], "folded": groups[OPEN:], "makers": chips_by_maker(), "one_of": ONE_OF}
    return context | shown_as | {"refused": refused, "oob": False}


routes = [
    Route(PATH, plan),
    Route(f"{PATH}/open", opened, methods=["POST"]),
    Route(f"{PATH}/open", to_the_page),
    Route(f"{PATH}/everything", everything),
    Route(f"{PATH}.json", as_data),
    Route(f"{PATH}.toml", as_file),
]
