"""A plan as a form: its fields made from the table of plan fields, read from an address, and checked as a file's are."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.datastructures import ImmutableMultiDict

from thresher.assessment.wording import MODES
from thresher.catalog.chips import Chip, chip, chips
from thresher.catalog.networks import NetworkProfile, network, networks
from thresher.errors import InputError
from thresher.lab.fields import Field, Filled, fill
from thresher.simulation.plans import (
    AUTO,
    PlanField,
    Value,
    check_plan,
    parse_plan,
    plan_columns,
    plan_document,
    plan_fields,
)

MAIN = "The run"
HEADINGS: Mapping[str, tuple[str, ...]] = {
    MAIN: ("mode", "nodes", "chip", "chips_per_node", "params", "tokens", "duration_days"),
    "How it trains": ("inner_steps", "local_batch_tokens", "compression"),
    "A node's network": ("profile", "upload_mbps", "download_mbps", "latency_ms"),
    "Number format and speed": ("precision", "mfu", "compute_seconds_per_step", "sequence_tokens"),
    "Synchronisation": (
        "overlap", "fragments", "topology", "hub_mbps", "gather_members", "bytes_per_value", "error_feedback", "outer_state",
    ),
    "Regions": ("nodes_per_group", "regional_rounds", "regional_mbps", "regional_latency_ms"),
    "A copy over several nodes": ("stages", "schedule", "pipeline_chunks", "micro_batches", "activation_compression"),
    "Mixture of experts": ("active_params", "experts_per_token", "expert_parallel_nodes"),
    "Data, price and churn": ("data_delivery", "unique_tokens", "chip_price_usd", "departures_per_day"),
}  # fmt: skip
"""Where each field stands; a field that is in none of these would stand under the last."""
OPEN = 3
"""The first headings, whose fields people move most, are always open."""
SLIDERS: Mapping[str, tuple[float, float]] = {
    "nodes": (1, 10_000), "chips_per_node": (1, 1024), "params": (1e8, 1e13), "tokens": (1e9, 1e15), "duration_days": (1, 1000),
    "inner_steps": (1, 2000), "local_batch_tokens": (4096, 64e6), "compression": (1, 1000), "upload_mbps": (1, 1e5),
    "download_mbps": (1, 1e5), "latency_ms": (1, 1000),
}  # fmt: skip
"""The ends of the sliders; boxes take all that a plan may have."""
ONE_OF = ("tokens", "duration_days")
"""A plan states one of these, and the other follows."""
STATED_BELOW = "none"
YES_NO = (("yes", "yes"), ("no", "no"))
_UNITS_IN_NAMES = ("_mbps", "_ms", "_usd", "_days")
_NAMES = re.compile(r"\] ([a-z_]+(?:, [a-z_]+)*)$")


@dataclass(frozen=True, slots=True)
class Question:
    """The page as it stands: its form, and the plan asked about, checked; ``stated`` is what the plan's file would hold."""

    form: Filled
    stated: Mapping[str, Mapping[str, Value]]
    plan: Mapping[str, Value]


@cache
def usual() -> dict[str, Value]:
    """The fields that the page's first plan states, from ``data/usual.toml``."""
    text = files("thresher.lab.plan").joinpath("data", "usual.toml").read_text("utf-8")
    document = parse_plan(text, "usual.toml")
    check_plan(document, "usual.toml")
    return {name: value for entries in document.values() for name, value in entries.items()}


@cache
def form_fields() -> tuple[Field, ...]:
    """Every field of a plan as a field of the form, in the order of their headings."""
    known = plan_fields()
    placed = [(heading, name) for heading, names in HEADINGS.items() for name in names]
    last = list(HEADINGS)[-1]
    placed += [(last, name) for name in known.keys() - {name for _, name in placed}]
    return tuple(_field(known[name], heading) for heading, name in placed)


def _field(one: PlanField, heading: str) -> Field:
    default = _shown_value(one, usual().get(one.name, one.default))
    common: dict[str, Any] = {"label": label(one), "default": default, "help": one.description, "heading": heading}
    if one.kind in ("choice", "text", "flag"):
        return Field(one.name, kind="choice", choices=_choices(one), **common)
    if one.default == AUTO:
        common |= {"default": None, "help": f"{one.description}. Blank: {_blank(one)}"}
    slider = SLIDERS.get(one.name)
    unit = "" if one.unit == common["label"].lower() else one.unit
    common |= {"kind": one.kind, "unit": unit, "minimum": one.minimum, "maximum": one.maximum}
    return Field(one.name, slider=slider, log=slider is not None, **common)


def _blank(one: PlanField) -> str:
    """What a blank box means."""
    if one.section == "network":
        return "the profile's"
    return "it follows from the rest" if one.name in ONE_OF else "the model's choice, shown"


def label(one: PlanField) -> str:
    """A field's name in words, without the unit that stands beside it."""
    name = one.name
    for unit in _UNITS_IN_NAMES:
        name = name.removesuffix(unit)
    return "MFU" if name == "mfu" else name.replace("_", " ").capitalize()


def _choices(one: PlanField) -> tuple[tuple[str, str], ...]:
    if one.kind == "flag":
        return YES_NO
    if one.name == "chip":
        return tuple((name, row.name) for name, row in chips().items())
    if one.name == "profile":
        return (
            (STATED_BELOW, "none: as stated below"),
            *((name, _profile_words(row)) for name, row in networks().items()),
        )
    words = MODES if one.name == "mode" else {}
    return tuple((name, f"{name}: {words[name]}" if name in words else name.replace("_", " ")) for name in one.choices)


def _profile_words(row: NetworkProfile) -> str:
    return f"{row.name}: {row.upload_mbps:g} up, {row.download_mbps:g} down, {row.round_trip_ms:g} ms"


def chips_by_maker() -> dict[str, list[tuple[str, str, bool]]]:
    """The chips of the catalog by maker: id, name, and whether all figures that a plan needs are known."""
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for row in chips().values():
        kind = "" if row.kind == "datacentre" else f" ({row.kind})"
        found.setdefault(row.maker, []).append((row.chip, row.name + kind, _usable(row)))
    return found


def _usable(row: Chip) -> bool:
    return None not in (row.fp16_tflops, row.memory_gb, row.tdp_w)


def _shown_value(one: PlanField, value: Value) -> Any:
    """A plan's value as the form has it: None for ``auto``, the word of a flag, the id as the catalog spells it."""
    if one.name == "profile":
        return STATED_BELOW if value == AUTO else network(str(value)).network
    if value == AUTO or value is None:
        return None
    if one.kind == "text":
        return chip(str(value)).chip
    if one.kind == "flag":
        return "yes" if value else "no"
    return {"integer": int, "number": float, "choice": str}[one.kind](value)


def _plan_value(one: PlanField, value: Any) -> Value:
    """A form's value as a plan has it; see ``_shown_value``."""
    if value is None or (one.name == "profile" and value == STATED_BELOW):
        return AUTO
    return value == "yes" if one.kind == "flag" else value  # type: ignore[no-any-return]


def query_of(document: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The address's state for a plan of two tables: whatever differs from what the page opens with."""
    given = {name: value for entries in document.values() for name, value in entries.items()}
    known = plan_fields()
    fields = {field.name: field for field in form_fields()}
    values = {name: _shown_value(one, given.get(name, one.default)) for name, one in known.items()}
    return Filled(fields, values, {}, {}).query


def read(query: ImmutableMultiDict[str, str]) -> Question:
    """The plan that an address asks about; what is wrong with it is told beside its field, whose usual value stands in."""
    pairs = [(name, text) for name, text in query.multi_items() if text.strip().lower() != AUTO]
    form = fill(form_fields(), ImmutableMultiDict(pairs))
    for _ in form.fields:
        try:
            return _question(form)
        except InputError as error:
            form = _with_problem(form, error)
    return _question(replace(form, values={name: one.default for name, one in form.fields.items()}))


def _question(form: Filled) -> Question:
    stated = plan_document(_given(form))
    plan = check_plan(stated)
    plan_columns(plan)  # refuses a chip whose figures are not known in the number format
    return Question(form, stated, plan)


def _given(form: Filled) -> dict[str, Value]:
    """The form's values as a plan's; the usual tokens where neither they nor a duration are given."""
    given = {name: _plan_value(one, form.values[name]) for name, one in plan_fields().items()}
    if all(given[name] == AUTO for name in ONE_OF):
        given["tokens"] = usual()["tokens"]
    return given


def _with_problem(form: Filled, error: InputError) -> Filled:
    """The form with an error of the plan told beside the fields it names, and their usual values in its place."""
    found = _NAMES.search(error.where)
    names = [name for name in (found[1].split(", ") if found else []) if name in form.fields] or ["mode"]
    where = " and ".join(form.fields[name].label.lower() for name in names).capitalize()
    given = (error.value,) if error.value is not ... else ()
    sentence = str(InputError(where, error.expected.replace("`", ""), *given))
    texts = {name: form.texts.get(name) or form.fields[name].text(form.values[name]) for name in names}
    return replace(
        form,
        values={**form.values, **{name: form.fields[name].default for name in names}},
        texts={**form.texts, **texts},
        problems={**form.problems, names[-1]: sentence},
    )


def with_automatic(form: Filled, automatic: Mapping[str, float]) -> Filled:
    """The form with what the model takes for each blank box, which is shown there."""
    fields = {
        name: replace(one, shown=automatic[name] if one.kind == "integer" else float(f"{automatic[name]:.4g}"))
        if one.default is None and one.kind != "choice" and math.isfinite(automatic.get(name, math.nan))
        else one
        for name, one in form.fields.items()
    }
    return replace(form, fields=fields)
