"""What the policy page shows of an assessment: words, numbers that open, and the rows of its charts; small enough to be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.assessment import noticing
from thresher.assessment import wording as say
from thresher.assessment.assess import Assessment
from thresher.catalog import chip, reference_systems
from thresher.countermeasures.channels import PHASES
from thresher.countermeasures.texts import title
from thresher.countermeasures.timeline import Timeline
from thresher.lab.charts import Chart, Row
from thresher.lab.opening import Number
from thresher.lab.policy.asked import Asked
from thresher.lab.policy.explained import numbers
from thresher.simulation.cost import MONTHS_PER_YEAR

LEAST_SHOWN = 0.003
"""A countermeasure less likely than this to catch first is left out of the curve."""
ROOM_FOR_WORD = 0.12
"""The share of the axis from which a phase has room for its name."""
PHASE_WORDS = dict(zip(PHASES, ("buying", "installing", "training", "holding"), strict=True))
CURVE_POINTS = 41


@dataclass(frozen=True, slots=True)
class Column:
    """One goal of the table: its heading, and a cell for each line."""

    heading: str
    cells: tuple[Number | str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One rule's answer as the page shows it."""

    title: str
    rule: str
    drawn: bool
    headline: tuple[str, ...]
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    charts: tuple[Chart, ...]
    burden_words: str
    detection_words: tuple[str, ...]
    command: tuple[str, ...]


def shown(assessment: Assessment, asked: Asked, prefix: str) -> Shown:
    """The answer of one rule; ``prefix`` parts its ids from those of a rule beside it."""
    tables = [numbers(answer, f"{prefix}{at}") for at, answer in enumerate(assessment.answers)]
    columns = tuple(
        Column(say.goal_long(answer), tuple(cell for _, cell, _ in table))
        for answer, table in zip(assessment.answers, tables, strict=True)
    )
    command = (
        asked.command() if assessment.draws is not None else [*asked.command()[:-2], "--central-only", "--json", "-"]
    )
    return Shown(
        title=assessment.regime.title,
        rule=_rule_words(asked, assessment),
        drawn=assessment.draws is not None,
        headline=tuple(say.headline(assessment)[:2]),
        labels=tuple(label for label, _, _ in tables[0]),
        columns=columns,
        charts=tuple(one for one in _charts(assessment, prefix) if one is not None),
        burden_words=say.burden_sentence(assessment),
        detection_words=_detection_words(assessment),
        command=tuple(command),
    )


def _rule_words(asked: Asked, assessment: Assessment) -> str:
    """Which lines were moved."""
    moved = ", ".join(
        f"{name} {'without a line' if math.isinf(line) else f'{line:,.6g}'}" for name, line in asked.lines
    )
    return f"{load_name(assessment)} with {moved}" if moved else f"{load_name(assessment)} as written"


def load_name(assessment: Assessment) -> str:
    """The regime's own name, without the lines moved."""
    return assessment.regime.name.split(" [")[0]


def _detection_words(assessment: Assessment) -> tuple[str, ...]:
    if assessment.draws is None:
        return ()
    lines = [f"{say.goal(item)}: {noticing.noticed_line(item)}." for item in assessment.answers]
    timeline = noticing.main_timeline(assessment)
    if timeline is not None:
        for cause in noticing.by_share(timeline):
            titles = noticing.channel_titles(timeline, cause.countermeasure)
            lines.append(f"{title(cause.countermeasure)}, channel by channel: {', '.join(titles)}.")
        lines += [f"{noticing.leak_range(timeline)}. {noticing.false_alarm_line(timeline)}."]
    return (*lines, noticing.programme_line(assessment))


def _charts(assessment: Assessment, prefix: str) -> Sequence[Chart | None]:
    return (
        _costs(assessment, prefix),
        _survival(assessment, prefix),
        _burden(assessment, prefix),
        _horizon(assessment, prefix),
    )


def _costs(assessment: Assessment, prefix: str) -> Chart | None:
    """Least cost unseen and in the open, for each goal, with intervals where the draws are in."""
    rows: list[Row] = []
    for answer in assessment.answers:
        for who, plan, name in (
            ("below the line", answer.plan, "cost_usd"),
            ("declared", answer.declared, "declared_cost_usd"),
        ):
            found = None if answer.uncertainty is None else answer.uncertainty.outcomes.get(name)
            rows.append(
                {
                    "target": say.goal(answer),
                    "run": who,
                    "cost_usd": None if plan is None else plan.outcome["cost_usd"],
                    **(
                        {}
                        if found is None
                        else {key: getattr(found, key) for key in ("q05", "q25", "q50", "q75", "q95")}
                    ),
                    "plan": "out of reach" if plan is None else plan.describe(),
                }
            )
    if all(row["cost_usd"] is None for row in rows):
        return None
    what = "The cheapest run that no clause covers beside the same capability in one declared datacentre"
    how = (
        ", at central values."
        if assessment.draws is None
        else ": dots at central values, ticks at the median, bars over half and lines over nine tenths of the draws (what is"
        " missing is out of reach)."
    )
    return Chart("policy-cost", "Cost below the line against declared training", what + how, rows, f"{prefix}cost")


def _survival(assessment: Assessment, prefix: str) -> Chart | None:
    """The chance of not being detected over time, and what has detected first."""
    found = noticing.main_timeline(assessment)
    if found is None:
        return None
    rows = list(_survival_rows(found))
    starts = (0.0, *found.phase_ends_years)
    ends = [
        {
            "phase": PHASE_WORDS[phase] if end - start > ROOM_FOR_WORD * found.years[-1] else "",
            "month": MONTHS_PER_YEAR * end,
        }
        for phase, start, end in zip(PHASES, starts, found.phase_ends_years, strict=False)
    ]
    band = [
        {"month": MONTHS_PER_YEAR * year, "low": low, "high": high}
        for year, low, high in _thinned(found.years, found.undetected[0], found.undetected[-1])
    ]
    answer = next(item for item in assessment.answers if item.detection is found)
    caption = (
        f"At {say.goal_long(answer)}: the chance of not being detected yet, and above it of having been detected first by each"
        " countermeasure. Lines enclose nine tenths of the draws; upright lines end buying, installing, training and holding."
    )
    return Chart(
        "policy-survival",
        "Would it be caught, when, and by what",
        caption,
        rows,
        f"{prefix}survival",
        {"ends": ends, "band": band},
    )


def _survival_rows(found: Timeline) -> Sequence[Row]:
    shares = {"not detected": found.mean_undetected}
    ranked = sorted(found.first.items(), key=lambda item: -item[1][-1])
    shares |= {title(name): share for name, share in ranked if share[-1] >= LEAST_SHOWN}
    return [
        {"month": MONTHS_PER_YEAR * year, "by": name, "chance": value, "order": order}
        for order, (name, share) in enumerate(shares.items())
        for year, value in _thinned(found.years, share)
    ]


def _thinned(*columns: np.ndarray) -> Sequence[tuple[float, ...]]:
    """Fewer points, ends included."""
    at = np.unique(np.linspace(0, len(columns[0]) - 1, CURVE_POINTS).round().astype(int))
    return list(zip(*(column[at].tolist() for column in columns), strict=True))


def _burden(assessment: Assessment, prefix: str) -> Chart:
    """The reference systems of legitimate users: size, and whether the rule covers them."""
    words = {True: "covered", False: "not covered", None: "undecided"}
    covered = {item.system: item for item in assessment.burden}
    rows = []
    for system in reference_systems():
        one = chip(system.chip)
        rows.append(
            {
                "system": system.system,
                "category": system.category,
                "chips": system.count,
                "chip": system.chip,
                "memory_gb": None if one.memory_gb is None else system.count * one.memory_gb,
                "fp16_pflops": None if one.fp16_tflops is None else system.count * one.fp16_tflops / 1e3,
                "rule": words[covered[system.system].covered],
                "clauses": ", ".join(covered[system.system].clauses),
            }
        )
    caption = "Systems that legitimate users have, each standing alone: what they add up to, and whether the rule covers them."
    return Chart("policy-burden", "Burden on reference systems", caption, rows, f"{prefix}burden")


def _place(axis: str) -> int:
    """Where an axis stands, the same for every plan, so that two charts can be read across."""
    order = list(say.AXES.values())
    return order.index(axis) if axis in order else len(order)


def _horizon(assessment: Assessment, prefix: str) -> Chart | None:
    """How far each plan lies beyond what was ever measured."""
    rows = [
        {
            "axis": say.AXES.get(one.axis, one.axis),
            "ratio": one.ratio,
            "target": say.goal(answer),
            "value": one.value,
            "measured": one.measured,
        }
        for answer in assessment.answers
        if answer.plan is not None
        for one in answer.plan.horizon
        if math.isfinite(one.ratio) and one.ratio > 0
    ]
    rows.sort(key=lambda row: _place(str(row["axis"])))
    caption = (
        "How far each plan lies beyond the largest value ever measured in training with infrequent synchronisation; right of 1"
        " is extrapolation."
    )
    return Chart("policy-horizon", "Evidence horizon", caption, rows, f"{prefix}horizon") if rows else None
