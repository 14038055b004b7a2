"""The policy page: whole, in part, with intervals, and as JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.lab.pages import (
    address,
    as_json,
    command_line,
    follows,
    is_part,
    page,
    refused_json,
    told_wrong,
    workshop,
)
from thresher.lab.policy.asked import DRAWS, Asked, Question, read
from thresher.lab.policy.shown import Shown, shown
from thresher.lab.settings import LabSettings
from thresher.lab.work import QUICK, SLOW, Progress

PATH = "/policy"


async def policy(request: Request) -> Response:
    """The page; or, for a moved slider, its answer at central values, which asks for the intervals itself."""
    question = read(request.query_params, request.app.state.settings)
    if is_part(request) and question.form.problems:
        return told_wrong(request, question.form)
    context = await _context(request, question, None)
    if is_part(request):
        headers = follows(request, address(PATH, question.form.query))
        return page(request, "policy_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "policy.html.j2", oob=False, **context)


async def intervals(request: Request) -> Response:
    """The same answer with its intervals over draws."""
    question = read(request.query_params, request.app.state.settings)
    return page(request, "policy_answer.html.j2", oob=False, **await _context(request, question, DRAWS))


async def as_data(request: Request) -> Response:
    """The JSON twin: what the command writes."""
    question = read(request.query_params, request.app.state.settings)
    if question.form.problems:
        return refused_json(question.form)
    which = question.second if request.query_params.get("which") == "second" and question.second else question.first
    draws = None if request.query_params.get("draws") == "none" else DRAWS
    data = await workshop(request).run(
        request,
        ("policy-json", which, draws),
        lambda progress: which.answer(draws, progress).as_result().as_json(),
        SLOW,
    )
    return as_json(data)


def first_view(lab: LabSettings) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What the page shows before anything is moved, as the workshop takes it: at central values, and with intervals."""
    asked = read(QueryParams(), lab).first
    central, drawn = ((_key(asked, "a", draws), partial(_work, asked, "a", draws)) for draws in (None, DRAWS))
    return (*central, QUICK), (*drawn, SLOW)


def _key(asked: Asked, prefix: str, draws: int | None) -> tuple[Any, ...]:
    return "policy", asked, prefix, draws


async def _context(request: Request, question: Question, draws: int | None) -> dict[str, Any]:
    kind = QUICK if draws is None else SLOW
    answers = [
        await workshop(request).run(request, _key(asked, prefix, draws), partial(_work, asked, prefix, draws), kind)
        for asked, prefix in ((question.first, "a"), (question.second, "b"))
        if asked is not None
    ]
    query = question.form.query
    return {
        "form": question.form,
        "groups": question.form.groups(),
        "changed": request.headers.get("lab-changed", ""),
        "answers": answers,
        "commands": [command_line(one.command) for one in answers],
        "state": address("", query).removeprefix("?"),
        "later": address(f"{PATH}/intervals", query) if draws is None and not question.form.problems else "",
        "twins": [
            address(f"{PATH}.json", [*query, *which, *(() if draws else (("draws", "none"),))])
            for which in ((), (("which", "second"),))[: len(answers)]
        ],
        "draws": DRAWS,
    }


def _work(asked: Asked, prefix: str, draws: int | None, progress: Progress) -> Shown:
    return shown(asked.answer(draws, progress), asked, prefix)


routes = [Route(PATH, policy), Route(f"{PATH}/intervals", intervals), Route(f"{PATH}.json", as_data)]
