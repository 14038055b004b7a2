"""The tables of a finished map: what is marked, each number with where it comes from, and the whole map as links."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thresher.assessment import formats
from thresher.assessment.assess import burden_of_reference_systems
from thresher.catalog import reference_systems
from thresher.lab.map_of_lines.shown import MapCell, Picture
from thresher.lab.opening import Number, SourceLine
from thresher.result import Explanation
from thresher.thresholds import wording as say
from thresher.thresholds.answers import CellAnswer, Design
from thresher.thresholds.lines import Line, label

SYSTEMS_SOURCE = "reference systems: the calculator of the author of arXiv 2605.29359; see thresher catalog systems"
COST_HOW = (
    "the median over {draws}; in each the adversary knows the world and takes the cheapest plan found that no line sees and that"
    " reaches {goal}; costs within {tolerance} of one another, the search's tolerance, are held equal"
)
CHANCE_HOW = "share of the draws in which such a plan costs at most so much, undetected or not"
WITHIN_REACH = "of the draws within reach"


@dataclass(frozen=True, slots=True)
class Marked:
    """A row of the table: lines in words, what they are, where they lead, and their numbers, some of which open."""

    words: str
    marks: str
    href: str
    cost: Number
    interval: str
    reached: str
    chance: Number
    burden: Number
    model: str


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of the map as a table: its line, and for each line across what stands there, what it is and where it leads."""

    line: str
    cells: tuple[tuple[str, str, str], ...]


def marked_rows(picture: Picture, design: Design) -> list[Marked]:
    """The steps of the frontier, lightest first; then the rule as written and the amendment where they are not among them."""
    found: list[CellAnswer] = []
    for cell in (*design.steps, design.as_written, design.amendment):
        if cell is not None and all(cell.lines != one.lines for one in found):
            found.append(cell)
    return [_marked(picture, design, cell, str(at)) for at, cell in enumerate(found)]


def _marked(picture: Picture, design: Design, cell: CellAnswer, at: str) -> Marked:
    done, cost = picture.done[label(cell.lines)], design.main(cell).cost_usd
    covered = f"{cell.burden} of {design.reference_systems}"
    return Marked(
        words=say.lines(design, cell.lines),
        marks=", ".join(picture.marks(cell.lines)),
        href=picture.href(cell.lines),
        cost=Number(f"cost-{at}", say.cost(cost.q50), _cost(design, cell, done), ()),
        interval=formats.span(cost.q05, cost.q95, formats.dollars),
        reached=formats.percent(done.reached),
        chance=Number(f"chance-{at}", formats.percent(done.chance), _chance(picture, design, done), ()),
        burden=Number(f"burden-{at}", covered, _burden(picture, cell), (SourceLine(SYSTEMS_SOURCE),)),
        model=say.model(cell.largest_params),
    )


def _cost(design: Design, cell: CellAnswer, done: MapCell) -> Explanation:
    """Where a median cost comes from: the draws, and what the best plans of those within reach are like."""
    found = design.main(cell)
    how = COST_HOW.format(
        draws=formats.many(design.draws, "draw"), goal=say.goal(design.main_target), tolerance=say.tolerance()
    )
    cost = found.cost_usd
    quantiles = (("5%", cost.q05), ("25%", cost.q25), ("75%", cost.q75), ("95%", cost.q95))
    parts = [
        *(_dollars(f"{words} of the draws below", value) for words, value in quantiles),
        Explanation("within reach", done.reached, "share", "draws in which any plan reaches it at all"),
        Explanation("over the rule as written", done.multiple, "times"),
        Explanation("nodes of the best plan", found.nodes.q50, "nodes", f"median {WITHIN_REACH}"),
        Explanation("chips of the best plan", found.chips.q50, "chips", f"median {WITHIN_REACH}"),
        *(Explanation(f"best plan is {mode}", share, "share", WITHIN_REACH) for mode, share in found.modes.items()),
    ]
    top = _dollars("cost of evasion", cost.q50)
    return Explanation(top.name, top.value, top.unit, "; ".join(filter(None, (top.how, how))), tuple(parts))


def _dollars(name: str, value: float) -> Explanation:
    return Explanation(name, value, "USD", say.cost(value) if math.isinf(value) else "")


def _chance(picture: Picture, design: Design, done: MapCell) -> Explanation:
    reached = Explanation("within reach at any cost", done.reached, "share", f"of {formats.many(design.draws, 'draw')}")
    return Explanation(
        f"within {formats.round_dollars(picture.question.budget)}", done.chance, "share", CHANCE_HOW, (reached,)
    )


def _burden(picture: Picture, cell: CellAnswer) -> Explanation:
    """The reference systems that a combination covers, and by which clause."""
    sweep = picture.drawing.sweep
    rule = sweep.rules[sweep.cells.index(cell.lines)]
    by = {one.system: ", ".join(one.clauses) for one in burden_of_reference_systems(rule) if one.covered}
    parts = [
        Explanation(
            one.system,
            one.h100_equivalents,
            "H100-equivalents",
            f"{one.memory_gb:,.0f} GB; clause {by[one.system]}",
        )
        for one in reference_systems()
        if one.system in by
    ]
    how = "each on its own, as thresher classify decides" if parts else "no reference system is over a line"
    return Explanation("covered", float(cell.burden), "systems", how, tuple(parts))


def grid_rows(picture: Picture) -> list[GridRow]:
    """The map as a table of links, for keyboard and screen reader; the loosest line on top, as in the chart."""
    across, up = picture.drawing.sweep.axes

    def entry(line: Line, other: Line) -> tuple[str, str, str]:
        cell = {across.name: other, up.name: line}
        return picture.words(cell), ", ".join(picture.marks(cell)), picture.href(cell)

    return [
        GridRow(say.line(line), tuple(entry(line, other) for other in across.values)) for line in reversed(up.values)
    ]
