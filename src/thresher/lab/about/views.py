"""The pages about the model: comparisons, weaknesses, evidence, numbers with their sources; whole, in part, and as JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.lab import numbers
from thresher.lab.about import evidence, weak
from thresher.lab.about.asked import comparison_field, number_fields, place_fields
from thresher.lab.about.compared import in_sight, line_of, medians_chart, shown
from thresher.lab.about.credits import libraries
from thresher.lab.fields import Filled, fill
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
from thresher.lab.work import QUICK, Progress
from thresher.validation import Comparison, validate
from thresher.validation import as_json as comparisons_as_json
from thresher.validation.standing import key_of, keys

PATH = "/model"
EVIDENCE = "evidence"
"""The part of the page that a plan's place moves; the other is the comparison's."""


async def about(request: Request) -> Response:
    """The page; or the part of it that a field has moved."""
    comparisons = await _comparisons(request)
    form = fill([comparison_field(comparisons), *place_fields()], request.query_params)
    if is_part(request) and form.problems:
        return told_wrong(request, form)
    if is_part(request):
        moved = EVIDENCE if request.headers.get("hx-target") == EVIDENCE else "answer"
        context = _evidence(form) if moved == EVIDENCE else _compared(form, comparisons)
        headers = follows(request, address(PATH, form.query))
        return page(request, f"model_{moved}.html.j2", headers=headers, oob=True, form=form, **context)
    return page(request, "model.html.j2", oob=False, form=form, **_whole(form, comparisons))


async def twin(request: Request) -> Response:
    """The JSON twin: what `thresher validate --json -` writes, of all comparisons or of those of one table."""
    table = request.query_params.get("table", "").partition(".")[0]
    comparisons = await _comparisons(request)
    known = {key.partition(".")[0] for key in keys()}
    if table and table not in known:
        return as_json({"error": f"table: expected one of {', '.join(sorted(known))}, got {table[:80]!r}"}, 422)
    return as_json(comparisons_as_json(one for one in comparisons if not table or one.table == table))


async def parameters(request: Request) -> Response:
    """Every number with its source; or those found, as a part."""
    form = fill(number_fields(), request.query_params)
    if is_part(request) and form.problems:
        return told_wrong(request, form)
    found = numbers.chosen(form["find"], form["file"], form["how"])
    context: dict[str, Any] = {
        "form": form,
        "files": numbers.by_file(found),
        "found": len(found),
        "total": len(numbers.entries()),
        "words": dict(numbers.files_with_words()),
        "preset": numbers.is_of_preset,
        "twin": address(f"{numbers.PATH}.json", form.query),
    }
    if is_part(request):
        headers = follows(request, address(numbers.PATH, form.query))
        return page(request, "model_parameters_answer.html.j2", headers=headers, oob=True, **context)
    return page(request, "model_parameters.html.j2", oob=False, **context)


async def parameters_twin(request: Request) -> Response:
    """The numbers found, as JSON."""
    form = fill(number_fields(), request.query_params)
    if form.problems:
        return refused_json(form)
    return as_json(numbers.as_data(numbers.chosen(form["find"], form["file"], form["how"])))


async def _comparisons(request: Request) -> list[Comparison]:
    found: list[Comparison] = await workshop(request).run(request, *first_view())
    return found


def first_view() -> tuple[Any, ...]:
    """What every view of the page rests on, as the workshop takes it: no input changes it."""
    return ("model",), _work, QUICK


def _work(_progress: Progress) -> list[Comparison]:
    numbers.entries()  # read once, so that no page waits for it
    return validate()


def _whole(form: Filled, comparisons: list[Comparison]) -> dict[str, Any]:
    place = _place(form)
    return {
        **_compared(form, comparisons),
        **_evidence(form),
        "medians": medians_chart(comparisons, place),
        "lines": [line_of(one, place) for one in comparisons],
        "in_sight": in_sight(comparisons),
        "worst": weak.worst_first(comparisons, place),
        "not_predicted": weak.not_predicted(),
        "families": weak.families(),
        "known": weak.known_chart(),
        "stated": weak.stated(comparisons, place),
        "reaches": evidence.reaches(),
        "total": len(numbers.entries()),
        "libraries": libraries(),
        "fields": form.fields,
        "command": command_line(["thresher", "validate", "--json", "-"]),
    }


def _compared(form: Filled, comparisons: list[Comparison]) -> dict[str, Any]:
    one = next(one for one in comparisons if key_of(one) == form["table"])
    found = shown(one, _place(form))
    return {
        "shown": found,
        "twin": address(f"{PATH}.json", {"table": found.table}),
        "table_command": command_line(["thresher", "validate", "--table", found.table, "--json", "-"]),
        "rest": _place(form),
        "note": weak.noted(found.note),
    }


def _evidence(form: Filled) -> dict[str, Any]:
    params, replicas = form["params"], form["replicas"]
    return {
        "evidence": evidence.chart(params, replicas),
        "place": evidence.place(params, replicas),
        "half": (params is None) != (replicas is None),
        "chosen_table": [(name, value) for name, value in form.query if name == "table"],
    }


def _place(form: Filled) -> list[tuple[str, Any]]:
    """The part of the state that the choice of a comparison leaves as it is."""
    return [(name, value) for name, value in form.query if name != "table"]


routes = [
    Route(PATH, about),
    Route(f"{PATH}.json", twin),
    Route(numbers.PATH, parameters),
    Route(f"{numbers.PATH}.json", parameters_twin),
]
