"""The pages of leads: the list, a dossier, the pairs; whole, in part, as JSON and as CSV; and what reviewers send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from thresher.errors import InputError, ThresherError
from thresher.lab.leads.asked import PATH, Question, read, whole
from thresher.lab.leads.evidence import STEPS, Evidence, Held
from thresher.lab.pages import (
    A_DAY,
    address,
    as_json,
    follows,
    is_part,
    page,
    refused_json,
    told_wrong,
    workshop,
)
from thresher.lab.work import LONG, Cancelled

if TYPE_CHECKING:
    from thresher.lab.leads.reviewing import Words

NEEDED = ("duckdb", "ibis", "splink", "pyarrow")
"""Some of the modules that the extra ``screen`` brings."""
MOST_DIGITS = 6
"""Digits of a rank that is read as a number at all."""
DATABASE, EVIDENCE_HALF = "thresher.records.decisions", "thresher.lab.leads.shown"
"""What the form needs, and what its leads need: seconds to load, so that a thread does it and no other page waits."""
WAIT = "wait"
"""In an address: answer when the screening is there, for a browser that runs no script."""


@cache
def lacking() -> str:
    """The first module that a screening needs and that is not installed; nothing where all are."""
    return next((name for name in NEEDED if find_spec(name) is None), "")


async def _load(module: str) -> None:
    """Load a module by a thread; what a handler then imports is there at once."""
    await run_in_threadpool(import_module, module)


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
            await _load(DATABASE)
            return await handler(request, read(request.query_params, settings))
        if request.url.path.endswith(".json"):
            return as_json({"error": "this lab has no store: thresher lab --store FILE"}, 404)
        status = 200 if request.method in ("GET", "HEAD") else 404  # nothing is there that could be changed
        return page(request, "leads_none.html.j2", status=status, lacking=lacking())

    return handled


async def leads(request: Request, question: Question) -> Response:
    """The page, or its answer; while its store is being screened, how far that is."""
    if is_part(request) and question.form.problems:
        return told_wrong(request, question.form)
    held = await _if_kept(request, question)
    context = (
        _pending(question, address(f"{PATH}/answer", question.form.query)) if held is None else _list(question, held)
    )
    if is_part(request):
        headers = follows(request, address(PATH, question.form.query))
        return page(request, "leads_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "leads.html.j2", groups=question.form.groups(), oob=False, **context)


async def answer(request: Request, question: Question) -> Response:
    """The list when the screening is there; a part that a page waits for."""
    return await _waited_for(
        request, question, "leads_answer.html.j2", lambda held: {"oob": False, **_list(question, held)}
    )


async def _waited_for(
    request: Request, question: Question, template: str, shown: Callable[[Held], dict[str, Any]]
) -> Response:
    """A part that a page waits for, or why there is none; whatever went wrong, a page that asks again and again is to stop."""
    try:
        return page(request, template, **shown(await _screened(request, question)))
    except Cancelled:
        raise
    except ThresherError as error:
        words = str(error)
    except Exception:
        logging.getLogger(__name__).exception("a screening of %s failed", question.asked.store)
        words = f"{question.asked.store.name} could not be screened: an error of Thresher's, which the lab's log tells."
    return page(request, "leads_refused.html.j2", error=words, again=address(PATH, question.form.query))


def _list(question: Question, held: Held) -> dict[str, Any]:
    from thresher.lab.leads.shown import the_list  # noqa: PLC0415 - loaded with the screening, as wherever there is one

    return the_list(question, held)


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


def _dossier(question: Question, held: Held, rank: int, words: Words | None = None) -> dict[str, Any]:
    from thresher.lab.leads.shown import the_dossier  # noqa: PLC0415

    return the_dossier(question, held, rank, words)


async def dossier_later(request: Request, question: Question) -> Response:
    """The dossier when the screening is there; a part that a page waits for."""
    rank = _rank(request)
    return await _waited_for(request, question, "lead_answer.html.j2", lambda held: _dossier(question, held, rank))


async def decide(request: Request, question: Question) -> Response:
    """Save a decision about a lead, or say what is wrong with it beside its field, everything typed still there."""
    await _load(EVIDENCE_HALF)
    from thresher.lab.leads import reviewing, shown  # noqa: PLC0415

    rank = _rank(request)
    words = _sure(reviewing.decision_in(await reviewing.typed(request)), question)
    held = await _screened(request, question)
    owner = held.screened.lead(rank).lead.owner
    if not question.form.problems and words.about != shown.about_lead(question, held, owner):
        words = words.refused(
            InputError("the lead", "the one that was shown: the lab or its records changed since, look again")
        )
    if not words.problems:
        write = partial(evidence(request).decide, question.asked, owner, words.choice)
        words = await _saved(words, partial(write, reviewer=words.reviewer, note=words.note, seen=words.seen))
        question = _named(request, question, words)
        held = await _screened(request, question)
    here, status = address(f"{PATH}/{rank}", question.form.query), _status(question)
    if is_part(request):
        context = shown.the_way_around(question, held, rank) | shown.the_decision(question, held, rank, words)
        headers = {"HX-Replace-Url": here} if words.saved else None
        return page(request, "lead_decided.html.j2", status=status, headers=headers, oob=True, **context)
    if words.saved:
        return RedirectResponse(f"{here}#decision", status_code=303)
    return page(request, "lead.html.j2", status=status, **shown.the_dossier(question, held, rank, words))


def _sure(words: Words, question: Question) -> Words:
    """The words, refused where the address asks for what is not there: they would be about another rule or store than meant."""
    wrong = question.form.problems
    return (
        replace(words, problems={**words.problems, "all": "Nothing was saved. " + " ".join(wrong.values())})
        if wrong
        else words
    )


def _status(question: Question) -> int:
    return 422 if question.form.problems else 200


async def pairs(request: Request, question: Question) -> Response:
    """The pairs of mentions that a person should decide, side by side."""
    held = await _if_kept(request, question)
    if held is None:
        return page(
            request, "leads_pairs.html.j2", **_pending(question, address(f"{PATH}/pairs/answer", question.form.query))
        )
    return page(request, "leads_pairs.html.j2", **_pairs(question, held))


def _pairs(question: Question, held: Held, words: Words | None = None) -> dict[str, Any]:
    from thresher.lab.leads.shown import the_pairs  # noqa: PLC0415

    return the_pairs(question, held, words)


async def pairs_later(request: Request, question: Question) -> Response:
    """The pairs when the screening is there; a part that a page waits for."""
    return await _waited_for(request, question, "leads_pairs_answer.html.j2", lambda held: _pairs(question, held))


async def judge(request: Request, question: Question) -> Response:
    """Save a word on a pair, or say what is wrong."""
    await _load(EVIDENCE_HALF)
    from thresher.lab.leads import reviewing  # noqa: PLC0415

    words = _sure(reviewing.verdict_in(await reviewing.typed(request)), question)
    held = await _screened(request, question)
    pair = reviewing.pair_of(words.about, question.asked.store, held.screened.pairs, held.judged)
    if pair is None and "all" not in words.problems:
        words = words.refused(
            InputError("the pair", "one that was shown: the lab or its records changed since, look again")
        )
    if pair is not None and not words.problems:
        write = partial(evidence(request).judge, question.asked, pair, words.choice)
        words = await _saved(words, partial(write, reviewer=words.reviewer, note=words.note))
        question = _named(request, question, words)
        held = await _screened(request, question)
    here, status = address(f"{PATH}/pairs", question.form.query), _status(question)
    if is_part(request):
        headers = {"HX-Replace-Url": here} if words.saved else None
        context = _pairs(question, held, words)
        return page(request, "leads_pairs_answer.html.j2", status=status, headers=headers, **context)
    if words.saved:
        return RedirectResponse(here, status_code=303)
    return page(request, "leads_pairs.html.j2", status=status, **_pairs(question, held, words))


async def again(request: Request, question: Question) -> Response:
    """Screen once more, with the words on pairs that came since."""
    evidence(request).forget(question.asked.store)
    return RedirectResponse(address(PATH, question.form.query), status_code=303)


async def as_data(request: Request, question: Question) -> Response:
    """The JSON twin: what the command writes."""
    if question.form.problems:
        return refused_json(question.form)
    held = await _screened(request, question)
    from thresher.lab.leads.shown import at  # noqa: PLC0415

    return as_json(at(held, question).result.as_json())


async def as_table(request: Request, question: Question) -> Response:
    """The list as the command's ``--csv`` writes it."""
    if question.form.problems:
        return PlainTextResponse(" ".join(question.form.problems.values()) + "\n", status_code=422)
    held = await _screened(request, question)
    from thresher.lab.leads.shown import as_csv  # noqa: PLC0415

    headers = {"Content-Disposition": 'attachment; filename="leads.csv"'}
    return Response(as_csv(question, held), media_type="text/csv", headers=headers)


async def _screened(request: Request, question: Question) -> Held:
    """The screening, made first where it is not kept."""
    stores, asked = evidence(request), question.asked
    held = stores.found(asked)
    while held is None:  # once, unless the store changes meanwhile
        await workshop(request).run(request, stores.key(asked), partial(_screen, stores, question), LONG)
        held = stores.found(asked)
    return held


def _screen(stores: Evidence, question: Question, tell: Callable[[str], None]) -> None:
    import_module(EVIDENCE_HALF)  # here, where it holds up nobody
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
    rank = whole(text, MOST_DIGITS)
    if rank is None:
        raise InputError("lead", "a number of the list", text[:MOST_DIGITS])
    return rank


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
    text = await run_in_threadpool(_dossier_css)
    return Response(text, media_type="text/css", headers=A_DAY)


@cache
def _dossier_css() -> str:
    from thresher.screening.dossiers.fragment import fragment_css  # noqa: PLC0415

    return fragment_css()


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
