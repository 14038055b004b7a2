"""The study's scenarios: 4, 72, 500 and 4,000 nodes of 50 A100s over 6, 12 and 18 months, ours beside its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from thresher.assessment.formats import NOTHING, percent, power, span
from thresher.assessment.noticing import cause_of
from thresher.catalog import chip, network
from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.hiding import Hiding, case_columns
from thresher.countermeasures.parameters import draw_detection
from thresher.countermeasures.programmes import load_programme
from thresher.countermeasures.timeline import timeline
from thresher.evasion.footprint import OUTCOMES, footprint
from thresher.regime import load_regime
from thresher.sampling import inspection_detection_probability
from thresher.simulation import default
from thresher.simulation.cost import DAYS_PER_MONTH, MONTHS_PER_YEAR
from thresher.simulation.draws import check_draws
from thresher.simulation.plans import check_plan, plan_columns
from thresher.sources import read_yaml

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """One scenario over one time: what the study says, and what we say.

    Chances are of detection before training ends: ``whistleblowers`` the least and the most of the published models of leaks,
    with no programme; ``inspections`` the exact chance that challenge inspections hit a site, by how many places there are to
    look at; ``purchases`` of forensic accounting alone, and ``all_channels`` under the whole programme with the central 90%
    of the draws.
    """

    nodes: int
    chips: int
    months: int
    study_words: str
    study_power_mw: tuple[float, float] | None
    power_mw: float
    people: float
    whistleblowers: tuple[float, float]
    inspections: Mapping[str, float]
    purchases: float
    all_channels: float
    all_channels_span: tuple[float, float]


@cache
def _document() -> Mapping[str, Any]:
    text = files("thresher.portfolios").joinpath("data", "scenarios.yaml").read_text("utf-8")
    found: Mapping[str, Any] = read_yaml(text, "thresher/portfolios/data/scenarios.yaml")
    return found


def study_scenarios(
    regime: str | Path, *, draws: int | None = None, seed: int = 0, network_profile: str = "study"
) -> list[ScenarioRow]:
    """Every scenario over every time, under the draft agreement's programme; chips bought new, one site's worth at a time.

    Parameters
    ----------
    regime
        For the line that linked purchases must exceed to be of interest.
    draws, seed
        Of the parameters of detection; training is at central values.
    network_profile
        Links between nodes, by the catalog's name.
    """
    s = _document()
    count = DRAWS if draws is None else draws
    check_draws(count, seed)
    p = draw_detection(count, seed)
    bound = load_regime(regime).largest_uncovered_count(chip(s["plan"]["chip"]))
    line = np.inf if bound is None else bound + 1.0
    return [_row(one, months, line, network_profile, p) for one in s["scenarios"] for months in s["months"]]


def _row(
    one: Mapping[str, Any], months: int, line_chips: float, network_profile: str, p: Mapping[str, np.ndarray]
) -> ScenarioRow:
    s = _document()
    links = network(network_profile)
    plan = check_plan({
        "plan": {**s["plan"], "nodes": one["nodes"], "duration_days": months * DAYS_PER_MONTH},
        "network": {"upload_mbps": links.upload_mbps, "download_mbps": links.download_mbps, "latency_ms": links.round_trip_ms},
    })  # fmt: skip
    columns = {name: np.asarray([value]) for name, value in plan_columns(plan).items()}
    parameters = default.parameters()
    with np.errstate(all="ignore"):
        out = default.simulate(columns, parameters, mode=str(plan["mode"]), wanted=OUTCOMES)
    left = footprint(
        out, chips_per_node=columns["chips_per_node"], nodes=columns["nodes"], parameters=parameters, one_site=False
    )
    actor, programme = load_actor(s["actor"]), load_programme(s["programme"])
    way = Hiding(s["route"], 1.0, 0.0, actor.compartments)
    case = case_columns(left, np.asarray([line_chips]), np.asarray([0]), [way], actor, p)
    seen = timeline(case, way, programme, p)
    bought = cause_of(seen, "forensic_accounting")
    checks = round(s["inspections_per_year"] * months / MONTHS_PER_YEAR)
    leaks = list(seen.leaks.values())
    return ScenarioRow(
        one["nodes"], int(left.chips[0]), months, one["words"], None if one["power_mw"] is None else tuple(one["power_mw"]),
        float(left.power_mw[0]), float(left.people[0]), (min(low for low, _ in leaks), max(high for _, high in leaks)),
        {
            f"{places:,}": float(inspection_detection_probability(places, min(one["nodes"], places), checks))
            for places in s["candidates"]
        },
        0.0 if bought is None else bought.alone_by_finish, 1.0 - seen.finish_mean,
        (1.0 - seen.finish[-1], 1.0 - seen.finish[0]),
    )  # fmt: skip


COLUMNS = (
    "nodes", "months", "the study: detectability", "power (the study's)", "people", "whistleblowers", "inspections among 1,000",
    "5,000", "20,000", "purchases", "all channels (90% of draws)",
)  # fmt: skip


def scenario_rows(rows: Sequence[ScenarioRow]) -> list[tuple[str, ...]]:
    """The rows as a table shows them."""
    return [
        (
            f"{row.nodes:,}", str(row.months), row.study_words,
            f"{power(row.power_mw)} ({NOTHING if row.study_power_mw is None else span(*row.study_power_mw, power)})",
            f"{row.people:,.0f}", span(*row.whistleblowers, percent), *(percent(chance) for chance in row.inspections.values()),
            percent(row.purchases), f"{percent(row.all_channels)} ({span(*row.all_channels_span, percent)})",
        )
        for row in rows
    ]  # fmt: skip
