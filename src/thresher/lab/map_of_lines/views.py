"""The page of the map: whole, in part, further while it is worked out, and as JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.errors import ThresherError
from thresher.lab.map_of_lines.asked import Question, read
from thresher.lab.map_of_lines.drawing import Drawing, advance, drawing_of
from thresher.lab.map_of_lines.shown import Picture, burden_chart, map_chart
from thresher.lab.map_of_lines.tables import grid_rows, marked_rows
from thresher.lab.pages import address, as_json, command_line, follows, is_part, page, refused_json, told_wrong
from thresher.thresholds import wording as say

PATH = "/map"


async def design_space(request: Request) -> Response:
    """The page, or its answer, as far as the map is; an unfinished one asks for more by itself."""
    question = read(request.query_params, request.app.state.settings)
    if is_part(request) and question.form.problems:
        return told_wrong(request, question.form)
    context = _context(question, await drawing_of(request, question.asked))
    if is_part(request):
        headers = follows(request, address(PATH, question.form.query))
        return page(request, "map_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "map.html.j2", groups=question.form.groups(), oob=False, **context)


async def more(request: Request) -> Response:
    """The next combinations of an unfinished map; when it is finished, the whole answer."""
    question = read(request.query_params, request.app.state.settings)
    drawing = await drawing_of(request, question.asked)
    try:
        await advance(request, drawing)
    except ThresherError as error:
        return page(request, "map_refused.html.j2", error=str(error))
    if drawing.design is None:
        return page(request, "map_progress.html.j2", newer=True, **_context(question, drawing))
    headers = {"HX-Retarget": "#answer", "HX-Reswap": "innerHTML"}
    return page(request, "map_answer.html.j2", headers=headers, oob=False, **_context(question, drawing))


async def as_data(request: Request) -> Response:
    """The JSON twin: what the command writes, when it is worked out."""
    question = read(request.query_params, request.app.state.settings)
    if question.form.problems:
        return refused_json(question.form)
    drawing = await drawing_of(request, question.asked)
    while drawing.design is None:
        await advance(request, drawing)
    return as_json(drawing.design.as_result().as_json())


def _context(question: Question, drawing: Drawing) -> dict[str, Any]:
    picture, design, query = Picture(drawing, question), drawing.design, question.form.query
    across, up = drawing.sweep.axes
    return {
        "form": question.form,
        "across": across,
        "up": up,
        "chart": map_chart(picture),
        "count": len(drawing.order),
        "finished": len(drawing.done),
        "more": address(f"{PATH}/more", query),
        "design": design,
        "burden": None if design is None else burden_chart(picture, design),
        "marked": [] if design is None else marked_rows(picture, design),
        "grid": [] if design is None else grid_rows(picture),
        "budget": question.budget,
        "draws": question.asked.draws,
        "say": say,
        "twin": address(f"{PATH}.json", query),
        "command": command_line(question.asked.command()),
    }


routes = [Route(PATH, design_space), Route(f"{PATH}/more", more), Route(f"{PATH}.json", as_data)]
