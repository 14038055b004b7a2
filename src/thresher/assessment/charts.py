"""The charts of an assessment, as SVG text that stands alone or inside a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from thresher.assessment import formats
from thresher.assessment import wording as say
from thresher.assessment.assess import Assessment, GoalAnswer
from thresher.assessment.charts_of_detection import charts_of_detection
from thresher.assessment.charts_of_draws import charts_of_draws
from thresher.assessment.svg import (
    BLUE,
    GOALS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    Chart,
    draw_chart,
    log_ticks,
    money_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM_FOR_LABEL = 0.2
LINES = {
    "flat": (BLUE, "-"), "hierarchical": (SKY, (0, (5, 1.5))), "pipeline": (GREEN, (0, (3, 1, 1, 1))),
    "swarm": (RED, (0, (1.2, 1.2))), "datacenter": (PURPLE, "-"), "declared datacentre": (INK, (0, (7, 2))),
}  # fmt: skip
PARTS = (BLUE, SKY, GREEN, YELLOW, ORANGE, PURPLE)


def charts(assessment: Assessment) -> tuple[Chart, ...]:
    """Every chart that the assessment has data for, in the order of the page."""
    reached = [item for item in assessment.answers if item.plan is not None]
    drawn = (draw(assessment, reached) for draw in (_least_cost, _cost_parts, _evidence, _margins))
    own = (chart for chart in drawn if chart is not None)
    return (*own, *charts_of_draws(assessment), *charts_of_detection(assessment.answers))


def _least_cost(assessment: Assessment, reached: Sequence[GoalAnswer]) -> Chart | None:
    curves = [curve for curve in assessment.curves if np.isfinite(curve.cost_usd).any()]
    if not curves:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for curve in curves:
            colour, dashes = LINES.get(curve.label, (GREY, "-"))
            finite = np.isfinite(curve.cost_usd)
            label = "one site" if curve.label == "datacenter" else curve.label
            axes.plot(curve.flop_quality[finite], curve.cost_usd[finite], color=colour, linestyle=dashes, label=label)
        targets = [item.plan.outcome["flop_quality"] for item in reached if item.plan is not None]
        for item in reached:
            for plan, marker, fill, offset in ((item.plan, "o", "white", (-8, 6)), (item.declared, "s", INK, (0, -15))):
                if plan is None or item.target_flop_quality is None:
                    continue
                point = plan.outcome["flop_quality"], plan.outcome["cost_usd"]
                axes.plot(
                    *point, marker, color=fill, markeredgecolor=INK, markeredgewidth=1.5, markersize=6.5, zorder=5
                )
                axes.annotate(
                    formats.dollars(point[1]), point, xytext=offset, textcoords="offset points", fontweight="bold", zorder=6,
                    ha="right" if fill == "white" else "center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
                )  # fmt: skip
        axes.set(
            xscale="log", yscale="log", xlabel="capability: quality-adjusted FLOP", ylabel="least cost, US dollars"
        )
        highest = max(float(c.flop_quality[np.isfinite(c.cost_usd)].max()) for c in curves)
        if targets:
            axes.set_xlim(min(targets) / 30, max(highest, *targets) * 1.15)
            shown = [c.cost_usd[np.isfinite(c.cost_usd) & (c.flop_quality >= min(targets) / 30)] for c in curves]
            costs = np.concatenate([*shown, [item.plan.outcome["cost_usd"] for item in reached if item.plan]])
            axes.set_ylim(costs.min() / 2, costs.max() * 2.2)
        log_ticks(axes.yaxis, formats.round_dollars)
        log_ticks(axes.xaxis, formats.round_flop)
        axes.legend(loc="upper left")

    points = "; points are the chosen plans (rings) and the declared datacentre (squares), refined off it and so below"
    caption = (
        "Least cost at which each way of training reaches a capability, all of it unseen by the rule, beside one openly declared"
        " datacentre. A line ends where more nodes no longer help. Lines come from the search's coarse grid"
        f"{points if reached else ''}."
    )
    return draw_chart("chart-cost", "Least cost by capability", caption, 3.9, paint)


def _cost_parts(_assessment: Assessment, reached: Sequence[GoalAnswer]) -> Chart | None:
    if not reached:
        return None

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(reached), 1, squeeze=False)[:, 0]
        for axes, item in zip(panels, reached, strict=True):
            bars = [("unseen", item.plan), ("declared", item.declared)]
            most = max(plan.outcome["cost_usd"] for _, plan in bars if plan)
            for row, (_, plan) in enumerate(bars):
                if plan is None:
                    axes.text(0.01 * most, row, "out of reach", va="center")
                    continue
                left = 0.0
                for part, colour in zip(say.COST_PARTS, PARTS, strict=True):
                    value = plan.outcome[f"cost_{part}_usd"]
                    axes.barh(
                        row, value, left=left, color=colour, edgecolor="white", linewidth=0.8, height=0.72, label=part
                    )
                    left += value
                axes.text(
                    left + 0.012 * most, row, formats.dollars(plan.outcome["cost_usd"]), va="center", fontweight="bold"
                )
            axes.set_yticks(range(len(bars)), [name for name, _ in bars])
            axes.set_xlim(0, 1.18 * most)
            axes.set_title(say.goal_long(item), loc="left", fontsize=9, fontweight="bold")
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
            money_ticks(axes.xaxis)
        handles, labels = panels[0].get_legend_handles_labels()
        first = dict(zip(labels, handles, strict=True))
        figure.legend(
            first.values(),
            first.keys(),
            loc="outside upper left",
            ncols=len(PARTS),
            handlelength=1.1,
            columnspacing=1.3,
        )

    caption = (
        "What the money buys, for the cheapest unseen plan and for the same capability in one declared datacentre."
        " Each panel has its own scale."
    )
    return draw_chart("chart-parts", "Cost by what it buys", caption, 0.55 + 1.08 * len(reached), paint)


def _evidence(_assessment: Assessment, reached: Sequence[GoalAnswer]) -> Chart | None:
    shown = [
        (index, item.axis, item.ratio)
        for index, answer in enumerate(reached)
        if answer.plan is not None
        for item in answer.plan.horizon
        if math.isfinite(item.ratio) and item.ratio > 0
    ]
    if not shown:
        return None
    names = [axis for axis in say.AXES if any(axis == one for _, one, _ in shown)]
    names += sorted({axis for _, axis, _ in shown} - set(names))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        ratios = [ratio for _, _, ratio in shown]
        low, high = min(*ratios, 1.0) / 1.6, max(*ratios, 1.0) * 1.6
        axes.axvspan(1, high, color="#fdeee4", zorder=0)
        axes.axvline(1, color=RED, linewidth=1.4)
        for index, answer in enumerate(reached):
            colour, marker = GOALS[index % len(GOALS)]
            offset = 0.15 * (index - 0.5 * (len(reached) - 1))
            mine = [(ratio, names.index(axis) + offset) for at, axis, ratio in shown if at == index]
            axes.plot(
                *zip(*mine, strict=True), marker, color=colour, markersize=6.5, markeredgecolor="white", linestyle="none",
                label=say.goal(answer),
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_yticks(range(len(names)), [say.AXES.get(name, name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("ratio to the largest value ever measured (right of 1: extrapolation)")
        log_ticks(axes.xaxis, lambda value: f"{value:g}")
        figure.legend(loc="outside upper left", ncols=len(reached), handletextpad=0.2, columnspacing=1.3)

    caption = (
        "How far each plan lies beyond the largest value ever measured in training with infrequent synchronisation"
        " (for update compression, the least bits per parameter). The shaded side is extrapolation."
    )
    return draw_chart("chart-evidence", "Evidence horizon", caption, 0.9 + 0.36 * len(names), paint)


def _margins(_assessment: Assessment, reached: Sequence[GoalAnswer]) -> Chart | None:
    rows = [
        (index, answer, clause)
        for index, answer in enumerate(reached)
        for clause in answer.clauses
        if math.isfinite(clause.share)
    ]
    if not rows:
        return None
    clauses = list(dict.fromkeys(clause.id for _, _, clause in rows))
    rows.sort(key=lambda row: (clauses.index(row[2].id), row[0]))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, (_, _, clause) in enumerate(rows):
            axes.barh(row, clause.share, color=BLUE, height=0.7)
            inside = clause.share > ROOM_FOR_LABEL
            axes.text(
                clause.share + (-0.01 if inside else 0.01), row, formats.percent(clause.share), va="center", fontweight="bold",
                ha="right" if inside else "left", color="white" if inside else INK,
            )  # fmt: skip
        axes.axvline(1, color=INK, linewidth=1.4)
        axes.text(1, -0.62, "the line", ha="center", va="bottom", fontsize=8)
        axes.set_xlim(0, max(1.08, *(clause.share + 0.08 for _, _, clause in rows)))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [f"{clause.id}, {say.goal(answer)}" for _, answer, clause in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda value, _at: formats.percent(value))
        axes.set_xlabel("share of the clause's line that one node of the plan reaches")

    caption = "How near each clause on hardware comes to covering one node of the chosen plan; at 100% or just above, it would."
    return draw_chart("chart-margins", "Margins under the rule", caption, 0.85 + 0.28 * len(rows), paint)
