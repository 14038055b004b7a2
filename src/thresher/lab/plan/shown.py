"""What the plan page shows of a plan: the answer in numbers that open, the charts, the evidence, and the file that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from thresher.assessment.formats import dollars, flop, many, number, percent, power, times
from thresher.errors import InfeasiblePlanError
from thresher.lab.charts import Chart
from thresher.lab.fields import Filled
from thresher.lab.opening import Number
from thresher.lab.plan import drawn
from thresher.lab.plan.explained import Explained, Group
from thresher.lab.plan.form import Question, usual, with_automatic
from thresher.simulation.anatomy import anatomy, automatic, memory, physics_of
from thresher.simulation.plans import Value, check_plan, plan_document, plan_text, simulate_plan

CARDS = {
    "days": "Length of the run",
    "tokens": "Training tokens",
    "cost_usd": "Cost",
    "flop": "Operations performed",
    "flop_quality": "Quality-adjusted compute",
    "utilisation": "Time spent computing",
    "memory_needed_gb": "Memory of a node",
    "mean_upload_mbps": "Mean upload of a node",
}
"""What is told first, each under its words."""


@dataclass(frozen=True, slots=True)
class Card:
    """A number told first: what it is, the number, and a line below it."""

    what: str
    number: Number
    below: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the evidence horizon: how far the plan lies along it, and the line that says so."""

    ratio: float
    words: str
    line: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan's answer: where it cannot run, ``refusal`` says why and there are no numbers."""

    refusal: str
    headline: str
    cards: tuple[Card, ...]
    columns: tuple[Sequence[Chart], ...]
    horizon: tuple[Axis, ...]
    warnings: tuple[str, ...]
    toml: str
    form: Filled


def shown(question: Question) -> Shown:
    """The answer to a plan, with its form's blank boxes showing what the model took."""
    plan = question.plan
    found = physics_of(plan)
    held = memory(plan, found)
    toml = plan_text(question.stated)
    try:
        outcome = simulate_plan(plan)
    except InfeasiblePlanError as error:
        form = with_automatic(question.form, usual_automatic() | automatic(plan, {}, found))
        fits = drawn.memory_chart(plan, held) if all(part < float("inf") for part in held.parts.values()) else None
        return Shown(_sentence(error), "", (), ([fits],) if fits else (), (), (), toml, form)
    parts = anatomy(plan, outcome, found)
    below = _below(outcome)
    explained = Explained(plan, outcome, parts.automatic, found.columns)
    return Shown(
        refusal="",
        headline=_headline(plan, outcome),
        cards=tuple(Card(_what(name, plan), explained.number(name), below[name]) for name in CARDS),
        columns=drawn.charts(plan, outcome, parts, held),
        horizon=tuple(
            Axis(ratio, times(ratio), line)
            for ratio, line in zip(outcome["horizon"].values(), outcome["evidence"], strict=True)
        ),
        warnings=tuple(outcome["warnings"]),
        toml=toml,
        form=with_automatic(question.form, parts.automatic),
    )


def everything(plan: Mapping[str, Value]) -> list[Group]:
    """All that the model says of a plan, by group, each number with its formula and sources.

    Raises
    ------
    InfeasiblePlanError
        The plan cannot run.
    """
    outcome, found = simulate_plan(plan), physics_of(plan)
    return Explained(plan, outcome, automatic(plan, outcome, found), found.columns).groups()


@cache
def usual_automatic() -> dict[str, float]:
    """What the model takes for the page's first plan: what stands in blank boxes where a plan cannot run."""
    plan = check_plan(plan_document(usual()))
    return automatic(plan, simulate_plan(plan), physics_of(plan))


def _sentence(error: InfeasiblePlanError) -> str:
    """Why a plan cannot run, as a sentence of its own."""
    text = str(error).removeprefix("plan: ")
    return f"This plan cannot run: {text}."


def _headline(plan: Mapping[str, Value], outcome: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    nodes, chips, params = (float(plan[name] or 0) for name in ("nodes", "chips_per_node", "params"))
    return (
        f"{many(nodes * chips, 'chip')} in {many(nodes, 'node')} train {number(params)} parameters on"
        f" {number(outcome['tokens'])} tokens in {number(outcome['days'])} days, for {dollars(outcome['cost_usd'])}: worth"
        f" {flop(outcome['flop_quality'])} FLOP of one well-run datacentre,"
        f" {percent(outcome['flop_quality'] / outcome['flop'])} of the operations performed."
    )


def _what(name: str, plan: Mapping[str, Value]) -> str:
    """A card's words; a datacenter's nodes are one unit of memory."""
    return "Memory of the site" if (name, plan["mode"]) == ("memory_needed_gb", "datacenter") else CARDS[name]


def _below(o: Mapping[str, Any]) -> dict[str, str]:
    """What stands under each card's number."""
    load = f"{percent(o['link_load'])} of the busiest link"
    return {
        "days": f"rounds of {drawn.duration(o['round_seconds'])}, {many(o['inner_steps'], 'inner step')}",
        "tokens": f"{number(o['tokens_per_param'])} for each parameter",
        "cost_usd": f"{dollars(o['cost_chips_only_usd'])} for chips alone, as the study counts",
        "flop": f"{power(o['power_mw'])}, {number(o['energy_mwh'])} MWh",
        "flop_quality": f"loss {o['loss']:.4f} nats a token",
        "utilisation": f"{percent(o['mfu'])} of the peak rate while computing",
        "memory_needed_gb": f"of {number(o['memory_usable_gb'])} GB usable",
        "mean_upload_mbps": f"peak {number(o['peak_upload_mbps'])} Mbit/s; {load}",
    }
