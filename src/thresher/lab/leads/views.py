"""The pages of leads: the list, a dossier, the pairs; whole, in part, as JSON and as CSV; and what reviewers send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from thresher.errors import InputError, ThresherError
from thresher.lab.leads.asked import PATH, Question, read
from thresher.lab.leads.evidence import STEPS, Evidence, Held
from thresher.lab.pages import address, as_json, command_line, follows, is_part, page, workshop
from thresher.lab.work import SLOW

if TYPE_CHECKING:
    from thresher.lab.leads.reviewing import Words
    from thresher.screening.review import ScreenedForReview

NEEDED = ("duckdb", "ibis", "splink", "pyarrow")
"""Some of the modules that the extra ``screen`` brings."""
MOST_DIGITS = 6
"""Digits of a rank that is read as a number at all."""
WAIT = "wait"
"""In an address: answer when the screening is there, for a browser that runs no script."""


@cache
def lacking() -> str:
    """The first module that a screening needs and that is not installed; nothing where all are."""
    return next((name for name in NEEDED if find_spec(name) is None), "")


def evidence(request: Request) -> Evidence:
    """The stores of this lab and what is kept of them."""
    state = request.app.state
    if not hasattr(state, "evidence"):
        state.evidence = Evidence()
    found: Evidence = state.evidence
    return found


Handler = Callable[[Request, Question], Awaitable[Response]]


def with_store(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler for a lab that has a store, given the question; a lab without one says how to make one."""

    async def handled(request: Request) -> Response:
        settings = request.app.state.settings
        if settings.stores and not lacking():
            return await handler(request, read(request.query_params, settings))
        if request.url.path.endswith(".json"):
            return as_json({"error": "this lab has no store: thresher lab --store FILE"}, 404)
        return page(request, "leads_none.html.j2", lacking=lacking())

    return handled


async def leads(request: Request, question: Question) -> Response:
    """The page, or its answer; while its store is being screened, how far that is."""
    if is_part(request) and question.form.problems:
        return page(request, "leads_problems.html.j2", headers={"HX-Reswap": "none"}, form=question.form)
    context = _list(question, await _if_kept(request, question))
    if is_part(request):
        headers = follows(request, address(PATH, question.form.query))
        return page(request, "leads_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "leads.html.j2", groups=question.form.groups(), oob=False, **context)


async def answer(request: Request, question: Question) -> Response:
    """The list when the screening is there; a part that a page waits for."""
    try:
        held = await _screened(request, question)
    except ThresherError as error:
        return page(request, "leads_refused.html.j2", error=str(error), again=address(PATH, question.form.query))
    return page(request, "leads_answer.html.j2", oob=False, **_list(question, held))


async def progress(request: Request, question: Question) -> Response:
    """How far a screening is."""
    words = workshop(request).how_far(evidence(request).key(question.asked))
    step = words.partition(":")[0]
    at = STEPS.index(step) if step in STEPS else 0
    return page(request, "leads_progress.html.j2", words=words, at=at, steps=len(STEPS))


async def dossier(request: Request, question: Question) -> Response:
    """A lead's dossier with its charts and what was decided, or how far its screening is."""
    rank = _rank(request)
    held = await _if_kept(request, question)
    if held is None:
        later = address(f"{PATH}/{rank}/answer", question.form.query)
        return page(request, "lead.html.j2", rank=rank, **_pending(question, later))
    return page(request, "lead.html.j2", **_dossier(question, held, rank))


async def dossier_later(request: Request, question: Question) -> Response:
    """The dossier when the screening is there; a part that a page waits for."""
    rank = _rank(request)
    try:
        context = _dossier(question, await _screened(request, question), rank)
    except ThresherError as error:
        return page(request, "leads_refused.html.j2", error=str(error), again=address(PATH, question.form.query))
    return page(request, "lead_answer.html.j2", **context)


async def decide(request: Request, question: Question) -> Response:
    """Save a decision about a lead, or say what is wrong with it beside its field, everything typed still there."""
    from thresher.lab.leads import reviewing  # noqa: PLC0415 - the evidence half is loaded by now

    rank = _rank(request)
    words = reviewing.decision_in(await reviewing.typed(request))
    held = await _screened(request, question)
    owner = held.screened.lead(rank).lead.owner
    if words.about != reviewing.digest(owner):
        words = words.refused(
            InputError("the lead", "the one that was shown: the records have changed since, look again")
        )
    if not words.problems:
        write = partial(evidence(request).decide, question.asked, owner, words.choice)
        words = await _saved(words, partial(write, reviewer=words.reviewer, note=words.note))
        question = _named(request, question, words)
        held = await _screened(request, question)
    here = address(f"{PATH}/{rank}", question.form.query)
    if is_part(request):
        context = {**_around(question, held, rank), **_decision(question, held, rank, words)}
        headers = {"HX-Replace-Url": here} if words.saved else None
        return page(request, "lead_decided.html.j2", headers=headers, oob=True, **context)
    if words.saved:
        return RedirectResponse(f"{here}#decision", status_code=303)
    return page(request, "lead.html.j2", **_dossier(question, held, rank, words))


async def pairs(request: Request, question: Question) -> Response:
    """The pairs of mentions that a person should decide, side by side."""
    held = await _if_kept(request, question)
    if held is None:
        return page(
            request, "leads_pairs.html.j2", **_pending(question, address(f"{PATH}/pairs/answer", question.form.query))
        )
    return page(request, "leads_pairs.html.j2", **_pairs(question, held))


async def pairs_later(request: Request, question: Question) -> Response:
    """The pairs when the screening is there; a part that a page waits for."""
    try:
        held = await _screened(request, question)
    except ThresherError as error:
        return page(request, "leads_refused.html.j2", error=str(error), again=address(PATH, question.form.query))
    return page(request, "leads_pairs_answer.html.j2", **_pairs(question, held))


async def judge(request: Request, question: Question) -> Response:
    """Save a word on a pair, or say what is wrong."""
    from thresher.lab.leads import reviewing  # noqa: PLC0415

    words = reviewing.verdict_in(await reviewing.typed(request))
    held = await _screened(request, question)
    pair = reviewing.pair_of(words.about, held.screened.pairs, held.judged)
    if pair is None and "all" not in words.problems:
        words = words.refused(InputError("the pair", "one that was shown: the records have changed since, look again"))
    if pair is not None and not words.problems:
        write = partial(evidence(request).judge, question.asked, pair, words.choice)
        words = await _saved(words, partial(write, reviewer=words.reviewer, note=words.note))
        question = _named(request, question, words)
        held = await _screened(request, question)
    here = address(f"{PATH}/pairs", question.form.query)
    if is_part(request):
        headers = {"HX-Replace-Url": here} if words.saved else None
        return page(request, "leads_pairs_answer.html.j2", headers=headers, **_pairs(question, held, words))
    if words.saved:
        return RedirectResponse(here, status_code=303)
    return page(request, "leads_pairs.html.j2", **_pairs(question, held, words))


async def again(request: Request, question: Question) -> Response:
    """Screen once more, with the words on pairs that came since."""
    evidence(request).forget(question.asked.store)
    return RedirectResponse(address(PATH, question.form.query), status_code=303)


async def as_data(request: Request, question: Question) -> Response:
    """The JSON twin: what the command writes."""
    if question.form.problems:
        return as_json({"error": " ".join(question.form.problems.values())}, 422)
    return as_json(_at(await _screened(request, question), question).result.as_json())


async def as_table(request: Request, question: Question) -> Response:
    """The list as the command's ``--csv`` writes it."""
    from thresher.screening.dossiers import leads_as_csv  # noqa: PLC0415

    if question.form.problems:
        return PlainTextResponse(" ".join(question.form.problems.values()) + "\n", status_code=422)
    screened = _at(await _screened(request, question), question)
    decisions = {one.lead.owner: one.decision for one in screened.leads if one.decision is not None}
    text = leads_as_csv([one.lead for one in screened.leads], decisions)
    return Response(text, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="leads.csv"'})


async def _screened(request: Request, question: Question) -> Held:
    """The screening, made first where it is not kept."""
    stores, asked = evidence(request), question.asked
    held = stores.found(asked)
    while held is None:  # once, unless the store changes meanwhile
        await workshop(request).run(request, stores.key(asked), partial(_screen, stores, question), SLOW)
        held = stores.found(asked)
    return held


def _screen(stores: Evidence, question: Question, tell: Callable[[str], None]) -> None:
    stores.screen(question.asked, tell)


async def _if_kept(request: Request, question: Question) -> Held | None:
    """The screening where it is kept, or where the page is told to wait for it."""
    if WAIT in request.query_params:
        return await _screened(request, question)
    return evidence(request).found(question.asked)


async def _saved(words: Words, write: Callable[[], None]) -> Words:
    """A reviewer's word written by a thread that may wait for the store; or with what the store says against it."""
    try:
        await asyncio.to_thread(write)
    except InputError as error:
        return words.refused(error)
    return replace(words, saved=words.choice, note="")


def _named(request: Request, question: Question, words: Words) -> Question:
    """The question with the reviewer's name in its address."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "reviewer"]
    query = type(request.query_params)([*given, ("reviewer", words.reviewer)])
    return read(query, request.app.state.settings) if words.saved else question


def _rank(request: Request) -> int:
    text = request.path_params["rank"]
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise InputError("lead", "a number of the list", text[:MOST_DIGITS])
    return int(text)


def _pending(question: Question, later: str) -> dict[str, Any]:
    query = question.form.query
    return {
        "held": None,
        "form": question.form,
        "later": later,
        "progress": address(f"{PATH}/progress", query),
        "without_script": [*query, (WAIT, 1)],
        "list_href": address(PATH, query),
        "store": question.asked.store.name,
    }


async def style(_request: Request) -> Response:
    """The style of dossiers."""
    from thresher.screening.dossiers.fragment import fragment_css  # noqa: PLC0415

    return Response(fragment_css(), media_type="text/css", headers={"Cache-Control": "private, max-age=86400"})


def _route(path: str, handler: Handler, method: str = "GET") -> Route:
    return Route(f"{PATH}{path}", with_store(handler), methods=[method], name=handler.__name__)


routes = [
    _route("", leads),
    _route(".json", as_data),
    _route(".csv", as_table),
    _route("/answer", answer),
    _route("/progress", progress),
    _route("/again", again, "POST"),
    _route("/pairs", pairs),
    _route("/pairs/answer", pairs_later),
    _route("/pairs/judge", judge, "POST"),
    Route(f"{PATH}/dossier.css", style),
    _route("/{rank}", dossier),
    _route("/{rank}/answer", dossier_later),
    _route("/{rank}/decide", decide, "POST"),
]
