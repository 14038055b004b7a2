"""The two charts of the map: its combinations coloured by one measure, and cost imposed against burden."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from thresher.assessment import formats
from thresher.assessment.uncertainty import Interval, interval
from thresher.lab.charts import Chart, Row
from thresher.lab.map_of_lines.asked import CHANCE, COST, MULTIPLE, Question
from thresher.lab.map_of_lines.drawing import Drawing
from thresher.thresholds import wording as say
from thresher.thresholds.answers import CellAnswer, Design
from thresher.thresholds.lines import Cell, cells, label

NAMES = {"as_written": "rule as written", "amendment": "amendment"}
FRONTIER = "efficient frontier"
DARK = 0.75
"""From this shade of blue on, light letters read better than dark ones (contrast 4.5 to 1 at worst)."""
ROOM = 1.6
"""How far above the dearest a cost that is out of reach is drawn."""


@dataclass(frozen=True, slots=True)
class MapCell:
    """A combination of lines that is done: costs over the draws, the chance within the budget, and its multiple of the rule."""

    cost: Interval
    reached: float
    chance: float
    multiple: float

    def value(self, colour: str) -> float:
        """What it is coloured by."""
        return {COST: self.cost.q50, MULTIPLE: self.multiple, CHANCE: self.chance}[colour]


@dataclass(frozen=True)
class Picture:
    """A map as far as it is worked out, and how it is looked at."""

    drawing: Drawing
    question: Question

    @cached_property
    def done(self) -> dict[str, MapCell]:
        """The combinations that are done, by name."""
        base = self.written_median
        return {name: _map_cell(cost, self.question.budget, base) for name, cost in self.drawing.costs.items()}

    @property
    def written_median(self) -> float:
        """The median cost under the rule as written; NaN where it is not worked out yet."""
        found = self.drawing.costs.get(label(self.drawing.sweep.anchors["as_written"]))
        return math.nan if found is None else interval(found).q50

    @cached_property
    def _efficient(self) -> set[str]:
        design = self.drawing.design
        return {label(cell.lines) for cell in design.cells if cell.efficient} if design else set()

    def marks(self, cell: Cell) -> list[str]:
        """What a combination is: the rule as written, the amendment, on the frontier."""
        anchors = self.drawing.sweep.anchors
        found = [name for key, name in NAMES.items() if key in anchors and label(anchors[key]) == label(cell)]
        return [*found, *([FRONTIER] if label(cell) in self._efficient else [])]

    def words(self, cell: Cell) -> str:
        """What a combination that is done is coloured by, as short as its cell is small."""
        return short(self.done[label(cell)].value(self.question.colour), self.question.colour)

    def href(self, cell: Cell) -> str:
        """The policy page of a combination."""
        return self.question.asked.policy(cell)

    def columns(self, cell: Cell) -> dict[str, str]:
        """The lines of a combination as the downloads have them."""
        return {
            f"{axis.name}, {axis.unit}": say.line(cell[axis.name]).replace(",", "") for axis in self.drawing.sweep.axes
        }


def _map_cell(cost: np.ndarray, budget: float, base: float) -> MapCell:
    found = interval(cost)
    multiple = found.q50 / base if math.isfinite(base) else math.nan
    return MapCell(found, float(np.mean(np.isfinite(cost))), float(np.mean(cost <= budget)), multiple)


def short(value: float, colour: str) -> str:
    """A value as it stands in a cell: 18.4M (dollars), 1.8×, 37%; out: out of reach."""
    if math.isnan(value):
        return formats.NOTHING
    if colour == CHANCE:
        return formats.percent(value)
    if math.isinf(value):
        return "out"
    if colour == MULTIPLE:
        return f"{formats.significant(float(f'{value:.3g}'))}×"
    return formats.number(value).replace(" million", "M").replace(" billion", "B").replace(" trillion", "T")


# The map


def map_chart(picture: Picture) -> Chart:
    """The grid of combinations, coloured as asked; what is not done yet is left open."""
    question, (across, up) = picture.question, picture.drawing.sweep.axes
    grid = cells((across, up))
    known = [cell for cell in grid if label(cell) in picture.done]
    shade, ticks = _shades([picture.done[label(cell)].value(question.colour) for cell in known], question.colour)
    places = {
        label(cell): {
            "across": say.line(cell[across.name]),
            "up": say.line(cell[up.name]),
            "at_across": across.values.index(cell[across.name]),
            "at_up": up.values.index(cell[up.name]),
        }
        for cell in grid
    }
    drawn = [{**places[label(cell)], **_drawn(picture, cell, shade), "ticks": ticks} for cell in grid]
    rows = [_row(picture, cell) for cell in known]
    return Chart("map", _title(question), _caption(picture), rows, "map", {"cells": drawn})


def _drawn(picture: Picture, cell: Cell, shade: Callable[[float], float | None]) -> dict[str, Any]:
    """A combination as it is drawn: its shade (none where there is nothing to colour), words, marks, and what it says on top."""
    found, marks = picture.done.get(label(cell)), picture.marks(cell)
    depth = None if found is None else shade(found.value(picture.question.colour))
    cost = None if found is None else found.cost
    lines = " and ".join(say.line_with_unit(axis, cell[axis.name]) for axis in picture.drawing.sweep.axes)
    median = "not worked out yet" if cost is None else say.cost(cost.q50)
    return {
        "shade": depth,
        "dark": depth is not None and depth > DARK,
        "words": "…" if found is None else picture.words(cell),
        **{key: name if name in marks else None for key, name in {**NAMES, "frontier": FRONTIER}.items()},
        "lines": lines,
        "says": "; ".join([f"{lines}: {median}", *marks]),
        "cost": median,
        "span": "" if cost is None else formats.span(cost.q05, cost.q95, formats.dollars),
        "chance": "" if found is None else f"{formats.percent(found.chance)} within {_budget(picture.question)}",
        "href": picture.href(cell),
    }


def _shades(values: Sequence[float], colour: str) -> tuple[Callable[[float], float | None], list[str]]:
    """How deep each value is coloured, from 0 to 1 (not at all where it is infinite or missing); words at 0, the middle and 1.

    Shares as they are, all else by its logarithm between the least and the most.
    """
    if colour == CHANCE:
        return (lambda value: value), ["0%", "50%", "100%"]
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known:
        return (lambda _value: None), ["", "", ""]
    low, high = min(known), max(known)
    span = math.log(high / low) or 1.0
    unit = "$" if colour == COST else ""
    ticks = [f"{unit}{short(value, colour)}" for value in (low, math.sqrt(low * high), high)]
    return (lambda value: math.log(value / low) / span if math.isfinite(value) else None), ticks


def _row(picture: Picture, cell: Cell) -> Row:
    """A combination as the downloads have it."""
    found, design = picture.done[label(cell)], picture.drawing.design
    answer = None if design is None else answers(design)[label(cell)]
    return {
        **picture.columns(cell),
        "median_usd": found.cost.q50,
        "q05_usd": found.cost.q05,
        "q95_usd": found.cost.q95,
        "multiple_of_rule_as_written": found.multiple,
        "share_within_reach": found.reached,
        f"share_within_{picture.question.budget:.10g}_usd": found.chance,
        "systems_covered": None if answer is None else answer.burden,
        "marked": ", ".join(picture.marks(cell)),
        "href": picture.href(cell),
    }


def answers(design: Design) -> Mapping[str, CellAnswer]:
    """The combinations of a finished map, by name."""
    return {label(cell.lines): cell for cell in design.cells}


def _budget(question: Question) -> str:
    return formats.round_dollars(question.budget)


def _title(question: Question) -> str:
    goal = formats.round_flop(question.asked.target)
    return {
        COST: f"Cost of evasion over the two lines, at {goal} FLOP",
        MULTIPLE: f"Cost of evasion against the rule as written, at {goal} FLOP",
        CHANCE: f"P(success): {goal} FLOP within {_budget(question)}",
    }[question.colour]


def _caption(picture: Picture) -> str:
    colour, base = picture.question.colour, picture.written_median
    what = {
        COST: (
            "What the cheapest plan below the lines costs, in US dollars (M million, B billion): the median over the draws; the"
            " darker, the dearer."
        ),
        MULTIPLE: "The median cost of evasion as a multiple of what it is under the rule as written; the darker, the dearer.",
        CHANCE: (
            "The share of draws in which some plan that no line sees reaches the target within the budget, undetected or not:"
            " whether it would be noticed in time is the policy lab's question. The darker, the likelier."
        ),
    }[colour]
    out = any(math.isinf(one.value(colour)) for one in picture.done.values())
    dashed = " Dashed, “out”: out of reach in most draws." if out else ""
    if colour == MULTIPLE and base == math.inf:
        dashed = " The rule as written puts the target out of reach in most draws: there is nothing to compare with."
    swept = set(map(label, cells(picture.drawing.sweep.axes)))
    off = [NAMES[key] for key, cell in picture.drawing.sweep.anchors.items() if label(cell) not in swept]
    outside = f" Not among the lines swept: {' and '.join(off)}, in the table below." if off else ""
    where = " Stricter lines to the left and at the bottom; a click loads a combination in the policy lab."
    return f"{what}{where}{dashed}{outside}"


# Cost imposed against burden


def burden_chart(picture: Picture, design: Design) -> Chart | None:
    """What each combination costs evasion, against whom it burdens; the frontier joined."""
    finite = [cost for cost in (design.main(cell).cost_usd.q50 for cell in design.cells) if math.isfinite(cost)]
    if not finite:
        return None
    top = ROOM * max(finite)
    steps = [label(cell.lines) for cell in design.steps]
    drawn = [
        {
            "burden": cell.burden,
            "usd": min(design.main(cell).cost_usd.q50, top),
            "step": steps.index(label(cell.lines)) if label(cell.lines) in steps else None,
            "short": " · ".join(say.line(cell.lines[axis.name]) for axis in design.axes),
            **{key: name if name in picture.marks(cell.lines) else None for key, name in NAMES.items()},
            "lines": say.lines(design, cell.lines),
            "cost": say.cost(design.main(cell).cost_usd.q50),
            "covers": say.burden(design, cell),
            "href": picture.href(cell.lines),
        }
        for cell in design.cells
    ]
    rows = [
        {
            **picture.columns(cell.lines),
            "systems_covered": cell.burden,
            "median_usd": design.main(cell).cost_usd.q50,
            "marked": ", ".join(picture.marks(cell.lines)),
            "href": picture.href(cell.lines),
        }
        for cell in design.cells
    ]
    out = " At the top: out of reach in most draws." if len(finite) < len(design.cells) else ""
    caption = (
        f"Median cost of evasion at {say.goal(design.main_target)} against how many of {design.reference_systems} reference"
        " systems of legitimate users the lines cover. The line joins the dearest of each burden on the frontier (compute ·"
        f" memory); crosses are the other combinations.{out}"
    )
    return Chart("map-burden", "Cost imposed on evasion against burden", caption, rows, "map-burden", {"cells": drawn})
