"""The words of a sweep of thresholds, in one place: the terminal and the page say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thresher.assessment.confidence import median_and_most
from thresher.assessment.formats import (
    OUT_OF_REACH,
    dollars,
    many,
    number,
    percent,
    round_dollars,
    round_flop,
    span,
    times,
)
from thresher.evasion.space import settings as search_settings
from thresher.thresholds.answers import CellAnswer, Design, TargetCost
from thresher.thresholds.lines import Axis, Cell, Line, height, settings

SHOWN = 24
"""Most cells that the terminal prints one by one."""
MARK = "*"
PER = {"site": "", "owner": " per owner", "link": " between nodes"}
WEAKNESSES = (
    "The burden is coarse: a handful of reference systems of legitimate users, each counted once, however many there are of its"
    " kind. Give --clusters a table of your own to count who matters to you.",
    "A system that stands just under a line is not counted, and may yet be kept from growing by it.",
    "The adversary buys nodes of two sizes for each chip and format: the largest that no clause sees, and half of it.",
    "Two costs that differ by less than the search's tolerance are told apart by chance. The order of lines along one axis may"
    " be trusted: it holds in every draw by construction.",
    "The intervals are over everything uncertain; between two cells the same draws are compared, so their order is far surer than"
    " the intervals are wide.",
    "A line per owner bounds one owner. It costs an adversary with several owners whatever it costs to found them, which is not"
    " counted here.",
)


# Lines


def line(value: Line) -> str:
    """Where a line stands: 16, 1,280, none."""
    return "none" if value is None else f"{value:,.10g}"


def line_with_unit(axis: Axis, value: Line) -> str:
    """A line in words: 16 H100-equivalents, 256 H100-equivalents per owner, no line on accelerator memory of a site."""
    if value is None:
        return f"no line on {axis.title}"
    return f"{line(value)} {axis.unit.removesuffix('s') if value == 1 else axis.unit}{PER[axis.over]}"


def lines(design: Design, cell: Cell) -> str:
    """A combination of lines in words: 16 H100-equivalents and 1,280 GB."""
    parts = [line_with_unit(axis, cell[axis.name]) for axis in design.axes]
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"  # noqa: PLR2004


def heading(axis: Axis) -> str:
    """An axis with its unit: accelerator memory of a site, GB."""
    return f"{axis.title}, {axis.unit}"


def tags(design: Design, cell: CellAnswer) -> str:
    """Whether a cell is the rule as written, or the amendment."""
    named = (("as written", design.as_written), ("amendment", design.amendment))
    return ", ".join(name for name, one in named if one is not None and one.lines == cell.lines)


# Figures


def cost(value: float) -> str:
    """A cost; one that is infinite is out of reach."""
    return OUT_OF_REACH if value == math.inf else dollars(value)


def model(params: float) -> str:
    """The largest model that a node holds."""
    return "no limit" if params == math.inf else "none" if params == 0 else number(params)


def budget() -> str:
    """The budget of the verdict."""
    return round_dollars(search_settings()["verdict_budget"])


def tolerance() -> str:
    """How far two costs must be apart to be told apart."""
    return percent(settings()["tolerance"]).replace(".0%", "%")


def goal(target: float) -> str:
    """A target in words."""
    return f"{round_flop(target)} quality-adjusted FLOP"


def burden(design: Design, cell: CellAnswer) -> str:
    """Whom a cell covers: 4 of 17 reference systems and 2 of 9 of your clusters."""
    text = f"{cell.burden} of {design.reference_systems} reference systems"
    return (
        text if cell.own_covered is None else f"{text} and {cell.own_covered} of {design.own_clusters} of your clusters"
    )


def target_lines(found: TargetCost) -> tuple[str, str, str]:
    """A target in a cell of the table: the median cost, its 90% interval, and how likely it is within reach and the budget."""
    figure = found.cost_usd
    return (
        cost(figure.q50), span(figure.q05, figure.q95, dollars), f"{percent(found.reached)}, {percent(found.within_budget)}",
    )  # fmt: skip


def legend(design: Design) -> str:
    """How to read the table."""
    own = " and of your own clusters" if design.own_clusters is not None else ""
    return (
        f"For each target: what it costs to evade the rule (the median of {many(design.draws, 'draw')} and its 90% interval), and"
        f" the chance that it is within reach and within {budget()}. Model: the largest that one unseen node holds whole."
        f" Burden: how many of the reference systems{own} it covers. {MARK} on the efficient frontier at"
        f" {round_flop(design.main_target)} FLOP: nothing costs evasion more for no more burden."
    )


# The table


def columns(design: Design) -> list[str]:
    """The headings of the table, but for the targets'."""
    own = ["your clusters"] if design.own_clusters is not None else []
    return ["", *(f"{axis.name}, {axis.unit}" for axis in design.axes), "burden", *own, "model"]


def row(design: Design, cell: CellAnswer) -> list[str]:
    """A cell's row of the table, but for the targets."""
    own = [] if cell.own_covered is None else [f"{cell.own_covered} of {design.own_clusters}"]
    mark = MARK if cell.efficient else ""
    drawn = [line(cell.lines[axis.name]) for axis in design.axes]
    return [mark, *drawn, f"{cell.burden} of {design.reference_systems}", *own, model(cell.largest_params)]


def shown(design: Design) -> list[CellAnswer]:
    """The cells that the terminal prints: all, or the steps of the frontier beside the rule as written and the amendment."""
    if len(design.cells) <= SHOWN:
        return list(design.cells)
    wanted = [cell.lines for cell in (*design.steps, design.as_written, design.amendment) if cell is not None]
    return [cell for cell in design.cells if cell.lines in wanted]


# Sentences


def question(design: Design) -> str:
    """The question that was asked."""
    names = [axis.title for axis in design.axes]
    what = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"  # noqa: PLR2004
    return f"Where should this rule draw its line on {what}?"


def paragraphs(design: Design) -> list[tuple[str, list[str]]]:
    """What the sweep says, under headings."""
    found = [
        ("The efficient frontier", frontier_sentences(design)),
        ("The rule as written, and the amendment", anchor_sentences(design)),
        ("What each line does alone", axis_sentences(design)),
        ("What the lines force", forced_sentences(design)),
        ("Lines per owner", owner_sentences(design)),
    ]
    return [(title, sentences) for title, sentences in found if sentences]


def frontier_sentences(design: Design) -> list[str]:
    """The frontier, burden by burden."""
    start = f"What costs evasion most at {goal(design.main_target)}, burden by burden (median over {many(design.draws, 'draw')}):"
    sentences = [start]
    before = 0.0
    for step in design.steps:
        alike = [cell for cell in design.cells if cell.efficient and cell.weight == step.weight and cell is not step]
        others = f" ({many(len(alike), 'other')} as good within the search's {tolerance()})" if alike else ""
        here = design.main(step).cost_usd.q50
        told = here > before * (1.0 + settings()["tolerance"])
        lighter = "" if told else "; no dearer than what is lighter, as far as the search can tell"
        sentences.append(
            f"{lines(design, step.lines)}: {cost(here)}, covering {burden(design, step)}{others}{lighter}."
        )
        before = max(before, here)
    return [" ".join(sentences)] if len(design.steps) == 1 else sentences


def anchor_sentences(design: Design) -> list[str]:
    """Where the rule as written and the amendment stand."""
    written, change = design.as_written, design.amendment
    sentences = [_anchor(design, written, "The rule as written")]
    if change is not None and change.lines != written.lines:
        sentences += [_anchor(design, change, "The amendment"), _difference(design, change, written)]
    return sentences


def _anchor(design: Design, cell: CellAnswer, name: str) -> str:
    start = (
        f"{name} ({lines(design, cell.lines)}) puts evasion at {median_and_most(design.main(cell).cost_usd, dollars)} and covers"
        f" {burden(design, cell)}. "
    )
    if cell.beaten_by is None:
        return f"{start}It is on the frontier."
    rival = next(one for one in design.cells if one.lines == cell.beaten_by)
    more = _more(design.main(rival).cost_usd.q50, design.main(cell).cost_usd.q50)
    fewer = "no more" if rival.weight == cell.weight else "fewer"
    return (
        f"{start}It is not on the frontier: lines at {lines(design, rival.lines)} cost evasion"
        f" {cost(design.main(rival).cost_usd.q50)}{more} and cover {fewer} ({burden(design, rival)})."
    )


def _more(high: float, low: float) -> str:
    return (
        ""
        if not (math.isfinite(high) and math.isfinite(low)) or high <= low
        else f", {percent(high / low - 1.0)} more,"
    )


def _difference(design: Design, change: CellAnswer, written: CellAnswer) -> str:
    """What the amendment adds to the rule as written, and whether the search can tell."""
    after, before = design.main(change).cost_usd.q50, design.main(written).cost_usd.q50
    if not (math.isfinite(after) and math.isfinite(before)):
        return (
            "It changes nothing: the target is out of reach in most draws either way."
            if after == before
            else "It puts the target out of reach in most draws."
        )
    if after <= before:
        return "The amendment adds nothing to the cost of evading the rule as written."
    told = after > before * (1.0 + settings()["tolerance"])
    if told:
        return f"It adds {percent(after / before - 1.0)} to the cost of evading the rule as written."
    return (
        f"It adds {percent(after / before - 1.0)} to the cost of evading the rule as written: less than the search's"
        f" tolerance of {tolerance()}, so no difference can be told."
    )


def axis_sentences(design: Design) -> list[str]:
    """What moving one line does while the others stay as written, and what the whole sweep spans."""
    sentences = []
    for axis in design.axes:
        others = [one for one in design.axes if one is not axis]
        along = [
            cell
            for cell in design.cells
            if all(cell.lines[one.name] == design.as_written.lines[one.name] for one in others)
        ]
        along.sort(key=lambda cell: height(cell.lines[axis.name]))
        if len(along) > 1:
            first, last = along[0], along[-1]
            rest = ", the other lines as written" if others else ""
            sentences.append(
                f"From {line_with_unit(axis, first.lines[axis.name])} to {line_with_unit(axis, last.lines[axis.name])}{rest}, the"
                f" median goes from {cost(design.main(first).cost_usd.q50)} to {cost(design.main(last).cost_usd.q50)}"
                f"{_told(design.main(first).cost_usd.q50, design.main(last).cost_usd.q50)}, and the burden from {first.burden} to"
                f" {last.burden} of {design.reference_systems}."
            )
    costs = [design.main(cell).cost_usd.q50 for cell in design.cells]
    if len(design.axes) > 1:
        sentences.append(
            f"Over all {len(costs)} combinations it goes from {cost(max(costs))} to {cost(min(costs))}"
            f"{_told(max(costs), min(costs))}."
        )
    return sentences


def _told(high: float, low: float) -> str:
    """How far two costs are apart, and whether that is more than the search can tell."""
    if high == low:
        return " (no change)"
    if not (math.isfinite(high) and math.isfinite(low)):
        return ""
    if high > low * (1.0 + settings()["tolerance"]):
        return f" ({times(high / low)})"
    return (
        f" ({percent(high / low - 1.0)}, less than the search's tolerance of {tolerance()}: no difference can be told)"
    )


def forced_sentences(design: Design) -> list[str]:
    """Which steps the lines force on the adversary."""
    named = {"the rule as written": design.as_written}
    if design.amendment is not None:
        named["the amendment"] = design.amendment
    named["the strictest lines swept"] = design.cells[0]
    sentences = []
    seen: list[Cell] = []
    for name, cell in named.items():
        found = design.main(cell)
        if cell.lines in seen or math.isnan(found.split):
            continue
        seen.append(cell.lines)
        start = (
            f"At {goal(design.main_target)}, of the draws {_reached_by(design)}, the best plan"
            if len(seen) == 1
            else "The same"
        )
        holds = "splits the model over several nodes" if len(seen) == 1 else ""
        region = "over neighbouring nodes of one region (pipeline)" if len(seen) == 1 else ""
        parts = (
            f"{start} under {name} ({lines(design, cell.lines)})"
            + (f" {holds} in {percent(found.split)}, {region} in {percent(found.regional)}" if holds
               else f": {percent(found.split)} and {percent(found.regional)}")
        )  # fmt: skip
        sentences.append(f"{parts}; a node holds {_holds(cell)}.")
    return sentences


def _reached_by(design: Design) -> str:
    """Whose plans are spoken of: under a line per owner, those of a fleet that several owners share."""
    by_owner = any(axis.over == "owner" for axis in design.axes)
    return "within reach of a fleet that owners share" if by_owner else "within reach"


def _holds(cell: CellAnswer) -> str:
    if cell.largest_params == math.inf:
        return "a model of any size"
    return f"a model of at most {number(cell.largest_params)} parameters" if cell.largest_params else "no model"


def owner_sentences(design: Design) -> list[str]:
    """What a line per owner does to one owner, and how many owners share the fleet that it leaves aside; nothing without one."""
    if not any(axis.over == "owner" for axis in design.axes):
        return []
    sentences = []
    for cell in _distinct([design.cells[0], design.as_written, *design.steps]):
        found = design.main(cell)
        if math.isnan(found.several_owners) or not found.several_owners:
            continue
        sentences.append(
            f"Under {lines(design, cell.lines)} one owner pays {median_and_most(found.cost_usd, dollars)}; a fleet shared out"
            f" among {_owners(found)}, each under the line, {median_and_most(found.spread_usd, dollars)}."
        )
    return sentences or ["No combination of lines makes the cheapest fleet need more than one owner."]


def _owners(found: TargetCost) -> str:
    several = found.owners
    if several.q50 == math.inf:
        return "any number of owners (one node alone is over the line)"
    return f"{number(several.q50)} owners (90% interval {span(several.q05, several.q95)})"


def _distinct(cells: Sequence[CellAnswer]) -> list[CellAnswer]:
    found: list[CellAnswer] = []
    for cell in cells:
        if all(cell.lines != one.lines for one in found):
            found.append(cell)
    return found


def covering(design: Design, system: str) -> str:
    """How many combinations of lines cover a reference system."""
    swept = [cell for cell in design.cells if cell.on_grid]
    return f"{sum(system in cell.burdened for cell in swept)} of {len(swept)}"
