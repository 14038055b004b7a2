"""The charts of a sweep: costs over the lines, and cost imposed against burden."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.assessment.formats import number, round_dollars, round_flop
from thresher.assessment.svg import BLUE, GOALS, GREY, INK, RED, SKY, Chart, draw_chart, log_ticks
from thresher.thresholds import wording as say
from thresher.thresholds.answers import CellAnswer, Design, TargetCost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MILLION = 1e6
ROOM = 1.6
"""How far above the dearest a cost that is out of reach is drawn."""


def charts(design: Design) -> tuple[Chart, ...]:
    """Every chart that the sweep has data for, in the order of the page."""
    first = {1: _along, 2: _map}.get(len(design.axes))
    drawn = (first(design) if first else None, _burden(design))
    return tuple(chart for chart in drawn if chart is not None)


def _map(design: Design) -> Chart:
    """Median cost over two lines."""
    across, up = design.axes
    by_lines = {(cell.lines[across.name], cell.lines[up.name]): cell for cell in design.cells if cell.on_grid}
    cells = [[by_lines[x, y] for x in across.values] for y in up.values]
    cost = np.asarray([[design.main(cell).cost_usd.q50 for cell in row] for row in cells])

    def paint(figure: Figure) -> None:
        from matplotlib.colors import LogNorm  # noqa: PLC0415 - heavy, and only for the report
        from matplotlib.patches import Rectangle  # noqa: PLC0415

        axes = figure.add_subplot()
        axes.grid(visible=False)
        finite = cost[np.isfinite(cost)]
        norm = LogNorm(finite.min(), max(finite.max(), 1.01 * finite.min())) if len(finite) else LogNorm(1.0, 2.0)
        places = (np.arange(len(across.values) + 1) - 0.5, np.arange(len(up.values) + 1) - 0.5)
        axes.pcolormesh(*places, np.ma.masked_invalid(cost), norm=norm, cmap="Blues", edgecolors="white", linewidth=0.8)
        for y, row in enumerate(cells):
            for x, cell in enumerate(row):
                _label(axes, x, y, cell, design, float(norm(cost[y, x])) if math.isfinite(cost[y, x]) else None)
                if cell.efficient:
                    axes.add_patch(
                        Rectangle((x - 0.44, y - 0.44), 0.88, 0.88, fill=False, edgecolor=RED, linewidth=1.8, zorder=3)
                    )
        axes.set_xticks(range(len(across.values)), [say.line(value) for value in across.values])
        axes.set_yticks(range(len(up.values)), [say.line(value) for value in up.values])
        axes.tick_params(length=0)
        axes.set(xlabel=say.heading(across), ylabel=say.heading(up))
        for side in axes.spines.values():
            side.set_visible(False)

    off = [
        name
        for name, cell in (("rule as written", design.as_written), ("amendment", design.amendment))
        if cell and not cell.on_grid
    ]
    outside = (
        f" The {' and the '.join(off)} {'is' if len(off) == 1 else 'are'} not among the lines swept." if off else ""
    )
    caption = (
        f"Median cost of evading the rule at {say.goal(design.main_target)}, in millions of dollars; stricter lines to the left"
        f" and at the bottom. Framed: the efficient frontier.{outside}"
    )
    title = f"Cost of evasion over the two lines, at {round_flop(design.main_target)} FLOP"
    return draw_chart("chart-map", title, caption, 1.1 + 0.36 * len(up.values), paint)


def _label(axes: Any, x: int, y: int, cell: CellAnswer, design: Design, shade: float | None) -> None:
    cost = design.main(cell).cost_usd.q50
    ink = "white" if shade is not None and shade > 0.55 else INK  # noqa: PLR2004 - where dark ink no longer reads
    name = {"as written": "as written", "amendment": "amendment"}.get(
        say.tags(design, cell), "both" if say.tags(design, cell) else ""
    )
    figure = "out" if cost == math.inf else number(float(f"{cost / MILLION:.3g}"))
    axes.text(
        x, y + (0.13 if name else 0), figure, ha="center", va="center", color=ink, fontsize=8, zorder=4,
        fontweight="bold" if name else "normal",
    )  # fmt: skip
    if name:
        axes.text(x, y - 0.25, name, ha="center", va="center", color=ink, fontsize=6, zorder=4)


def _along(design: Design) -> Chart | None:
    """Cost along one line, with its intervals, for every target."""
    axis = design.axes[0]
    cells = design.cells
    ends = [
        value
        for cell in cells
        for found in cell.targets
        for value in (found.cost_usd.q05, found.cost_usd.q95)
        if math.isfinite(value)
    ]
    if not ends:
        return None
    top = ROOM * max(ends)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        at = np.arange(len(cells))
        for row, target in enumerate(design.targets):
            colour, marker = GOALS[row % len(GOALS)]
            found = [cell.targets[row].cost_usd for cell in cells]
            for low, high, alpha in (("q05", "q95", 0.12), ("q25", "q75", 0.22)):
                lower, upper = (np.minimum([getattr(one, name) for one in found], top) for name in (low, high))
                axes.fill_between(at, lower, upper, color=colour, alpha=alpha, linewidth=0)
            middle = np.asarray([one.q50 for one in found])
            axes.plot(
                at, np.where(np.isfinite(middle), middle, np.nan), color=colour, marker=marker, markersize=5.5,
                markeredgecolor="white", label=f"{round_flop(target)} FLOP",
            )  # fmt: skip
        for name, cell, dashes in (
            ("as written", design.as_written, (0, (4, 2))),
            ("amendment", design.amendment, (0, (1, 1))),
        ):
            if cell is not None and cell.lines in [one.lines for one in cells]:
                place = [one.lines for one in cells].index(cell.lines)
                axes.axvline(place, color=GREY, linewidth=1.1, linestyle=dashes, zorder=0)
                axes.annotate(
                    name, (place, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                    ha="center", fontsize=8, color=INK,
                )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(min(ends) / ROOM, top)
        _dollar_ticks(axes.yaxis)
        axes.set_xticks(at, [say.line(cell.lines[axis.name]) for cell in cells])
        axes.set(xlabel=say.heading(axis), ylabel="cost of evasion, US dollars")
        figure.legend(loc="outside upper left", ncols=len(design.targets), handletextpad=0.4, columnspacing=1.3)

    caption = (
        "The cost of evading the rule along its line: the median (points), the middle half and the middle nine tenths of the"
        " draws. A band that runs into the top is out of reach in the dearer draws; a line that ends, in most."
    )
    return draw_chart("chart-line", f"Cost of evasion by {axis.title}", caption, 3.9, paint)


def _burden(design: Design) -> Chart | None:
    """Cost imposed against burden, the frontier joined."""
    found = [design.main(cell) for cell in design.cells]
    finite = [one.cost_usd.q50 for one in found if math.isfinite(one.cost_usd.q50)]
    if not finite:
        return None
    top = max(finite) * ROOM

    def height(one: TargetCost) -> float:
        return min(one.cost_usd.q50, top)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(
            [cell.weight for cell in design.cells], [height(one) for one in found], "o", color=GREY, alpha=0.55, markersize=4.5,
            markeredgewidth=0, label="other lines",
        )  # fmt: skip
        steps = design.steps
        axes.plot(
            [cell.weight for cell in steps], [height(design.main(cell)) for cell in steps], "-o", color=BLUE, markersize=6.5,
            markeredgecolor="white", zorder=4, label="efficient frontier",
        )  # fmt: skip
        for cell in steps:
            words = " · ".join(say.line(cell.lines[axis.name]) for axis in design.axes)
            axes.annotate(
                words, (cell.weight, height(design.main(cell))), xytext=(0, 8), textcoords="offset points", ha="center",
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}, zorder=3,
            )  # fmt: skip
        for name, one, marker, colour, size in (
            ("the rule as written", design.as_written, "s", SKY, 11), ("the amendment", design.amendment, "D", RED, 6),
        ):  # fmt: skip
            if one is not None:
                axes.plot(
                    [one.weight], [height(design.main(one))], marker, color=colour, markeredgecolor=INK, markersize=size,
                    zorder=5, label=name, linestyle="none",
                )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(min(finite) / 1.3, top * 1.35)
        if len(finite) < len(found):
            axes.axhline(top, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                "out of reach", (1.0, top), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5
            )
        _dollar_ticks(axes.yaxis)
        _whole_ticks(axes.xaxis)
        axes.set(
            xlabel=_burden_words(design), ylabel=f"median cost of evasion at {round_flop(design.main_target)} FLOP"
        )
        axes.margins(x=0.08)
        figure.legend(loc="outside upper left", ncols=4, handletextpad=0.3, columnspacing=1.3)

    names = " · ".join(axis.name for axis in design.axes)
    caption = (
        "What each combination of lines costs evasion, against whom it burdens. The frontier joins the dearest of each burden"
        f" on it (labels: {names}); costs within {say.tolerance()} of one another cannot be told apart."
    )
    return draw_chart("chart-burden", "Cost imposed on evasion against burden", caption, 3.9, paint)


def _burden_words(design: Design) -> str:
    own = f" or of {design.own_clusters} of your clusters" if design.own_clusters is not None else ""
    return f"covered, of {design.reference_systems} reference systems{own}"


def _dollar_ticks(axis: Any) -> None:
    """Ticks at 1, 2 and 5 of every decade."""
    from matplotlib.ticker import LogLocator  # noqa: PLC0415

    log_ticks(axis, round_dollars)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def _whole_ticks(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    axis.set_major_locator(MaxNLocator(integer=True))
