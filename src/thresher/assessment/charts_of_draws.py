"""The charts of an answer under uncertainty: chances by budget, cost by form of the penalty, Sobol indices, and a tornado."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.assessment import confidence, formats
from thresher.assessment import wording as say
from thresher.assessment.assess import Assessment, GoalAnswer
from thresher.assessment.sensitivity import Index, Sensitivity
from thresher.assessment.svg import (
    BLUE,
    GOALS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    Chart,
    draw_chart,
    log_ticks,
)
from thresher.assessment.uncertainty import GoalUncertainty
from thresher.evasion.space import settings
from thresher.learning.replica_families import FAMILIES
from thresher.simulation.draws import LAW_ROW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("chart-budget", "chart-distribution", "chart-sobol", "chart-tornado")
STEPS = 160
"""Points of a drawn distribution, at most."""
FORMS: dict[str, tuple[str, Any]] = dict(
    zip(FAMILIES, ((BLUE, (0, (5, 1.5))), (RED, (0, (1.2, 1.2))), (GREEN, (0, (3, 1, 1, 1))), (PURPLE, (0, (7, 2)))), strict=True)
)  # fmt: skip
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (3, 1, 1, 1)), (0, (7, 2)), (0, (2, 2)))
LEAST_SHARE = 0.01
"""A group that explains less than this for every target is not drawn."""
WIDEST = 100.0
"""A bar that goes farther than this many times the central cost is cut."""

DECADES_APART = 25.0
"""An axis that spans more than this has ticks at decades only."""


def charts_of_draws(assessment: Assessment) -> tuple[Chart, ...]:
    """The charts for which something was drawn, in the order of the page; budgets have no cost to show."""
    targets = [
        item for item in assessment.answers if item.uncertainty is not None and item.target_flop_quality is not None
    ]
    driven = [item for item in targets if item.sensitivity is not None]
    charts = [_by_budget(targets), _by_form(targets)] if targets else []
    return (*charts, *((_sobol(driven), _tornado(driven)) if driven else ()))


def _steps(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of the draws in which a target costs at most so much, at few enough of the costs."""
    ordered = np.sort(cost)
    at = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), STEPS)).astype(int))
    at = at[np.isfinite(ordered[at])]
    return ordered[at], (at + 1.0) / len(ordered)


def _curve(axes: Axes, cost: np.ndarray, **style: Any) -> None:
    dollars, share = _steps(cost)
    axes.step(np.append(dollars[:1], dollars), np.append(np.zeros(len(share[:1])), share), where="post", **style)


def _shares(axes: Axes, label: str) -> None:
    axes.set_xscale("log")
    axes.set_ylim(0.0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _at: formats.percent(value))
    axes.set_ylabel(label)
    log_ticks(axes.xaxis, formats.round_dollars)


def _costs(items: Sequence[GoalUncertainty]) -> np.ndarray:
    """Every finite cost of some targets."""
    costs = np.concatenate([item.by_draw["cost_usd"] for item in items])
    finite: np.ndarray = costs[np.isfinite(costs)]
    return finite


def _by_budget(targets: Sequence[GoalAnswer]) -> Chart:
    verdict = settings()["verdict_budget"]
    found = [item.uncertainty for item in targets if item.uncertainty is not None]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, (item, drawn) in enumerate(zip(targets, found, strict=True)):
            _curve(
                axes, drawn.by_draw["cost_usd"], color=GOALS[index % len(GOALS)][0], linestyle=DASHES[index % len(DASHES)],
                label=say.goal(item),
            )  # fmt: skip
        axes.axvline(verdict, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        _shares(axes, "draws in which it suffices")
        costs = np.append(_costs(found), verdict)
        axes.set_xlim(costs.min() / 1.5, costs.max() * 1.5)
        axes.set_xlabel("budget, US dollars")
        figure.legend(loc="outside upper left", ncols=len(targets))

    caption = (
        "In what share of the draws a budget reaches each target, for an adversary who knows the world and re-plans in each: the"
        f" most favourable reading. The dashed line is the verdict's budget, {formats.round_dollars(verdict)}; where a curve"
        " levels off below 100%, no budget of the search reaches the target in the other draws."
    )
    return draw_chart("chart-budget", "Chance of reaching a target, by budget", caption, 3.4, paint)


def _by_form(targets: Sequence[GoalAnswer]) -> Chart:
    found = [(item, item.uncertainty) for item in targets if item.uncertainty is not None]

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(found), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (item, drawn) in zip(panels, found, strict=True):
            for name, (colour, dashes) in FORMS.items():
                mine = drawn.by_draw["cost_usd"][drawn.by_draw["family"] == list(FAMILIES).index(name)]
                if len(mine):
                    _curve(axes, mine, color=colour, linestyle=dashes, linewidth=1.5, label=confidence.form(name))
            _curve(axes, drawn.by_draw["cost_usd"], color=INK, linewidth=2.2, label="all draws")
            declared = drawn.outcomes["declared_cost_usd"].q50
            if np.isfinite(declared):
                axes.axvline(
                    declared, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="declared datacentre, median"
                )
            for plan in drawn.committed:
                axes.plot(
                    plan.cost_usd.q50, plan.reached, "D", color=ORANGE, markeredgecolor=INK, markersize=6.5, zorder=5,
                    linestyle="none", label="one committed plan, median cost",
                )  # fmt: skip
            if not np.isfinite(drawn.by_draw["cost_usd"]).any():
                axes.text(0.5, 0.5, "out of reach in every draw", transform=axes.transAxes, ha="center")
            _shares(axes, "draws")
            axes.set_title(say.goal_long(item), loc="left", fontsize=9, fontweight="bold")
        panels[-1].set_xlabel("costs at most, US dollars")
        labelled = [axes.get_legend_handles_labels() for axes in panels]
        first = {name: handle for handles, names in labelled for handle, name in zip(handles, names, strict=True)}
        figure.legend(
            first.values(), first.keys(), loc="outside upper left", ncols=4, handlelength=2.2, columnspacing=1.3
        )

    caption = (
        "The share of the draws in which a target costs at most so much, over all draws and over those of each form of the"
        " replica penalty. A diamond is one plan that stays the same in all draws: its median cost, and the share of draws in"
        " which it reaches the target. The dashed line is the median of one openly declared datacentre."
    )
    return draw_chart("chart-distribution", "Least cost over the draws", caption, 0.75 + 2.05 * len(found), paint)


def _sobol(driven: Sequence[GoalAnswer]) -> Chart:
    by_target = [
        (item, {one.group: one for one in item.sensitivity.indices}) for item in driven if item.sensitivity is not None
    ]
    largest: dict[str, Index] = {}
    for _, indices in by_target:
        for group, one in indices.items():
            largest[group] = max(one, largest.get(group, one), key=lambda index: index.total)
    ranked = sorted(largest.values(), key=lambda one: -one.total)
    shown = [one for one in ranked if one.total >= LEAST_SHARE] or ranked[:1]
    width = 0.8 / len(by_target)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, (item, indices) in enumerate(by_target):
            rows = [indices[one.group] for one in shown]
            place = np.arange(len(shown)) + width * (index - 0.5 * (len(by_target) - 1))
            colour = GOALS[index % len(GOALS)][0]
            axes.barh(
                place, [max(one.total, 0.0) for one in rows], xerr=[one.total_error for one in rows], height=0.9 * width,
                color=colour, ecolor=INK, error_kw={"linewidth": 1.0}, label=say.goal(item),
            )  # fmt: skip
            axes.plot(
                [max(one.first, 0.0) for one in rows], place, "o", color="white", markeredgecolor=INK, markersize=4.5,
                linestyle="none", label="alone" if index == len(by_target) - 1 else None,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [one.title for one in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(left=0.0)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda value, _at: formats.percent(value))
        axes.set_xlabel("share of the variance of the logarithm of the least cost")
        figure.legend(loc="outside upper left", ncols=len(by_target) + 1)

    caption = (
        "What drives the least cost: Sobol indices by group of parameters. A bar is the share of the variance with all"
        " interactions, a dot the share alone; lines are 95% confidence limits of the estimate. Shares with interactions may add"
        " up to more than 100%. Groups under 1% for every target are left out."
    )
    height = 0.95 + len(shown) * max(0.26, 0.13 * len(by_target))
    return draw_chart("chart-sobol", "What drives the cost", caption, height, paint)


def _tornado(driven: Sequence[GoalAnswer]) -> Chart:
    panels_of = [(item, item.sensitivity) for item in driven if item.sensitivity is not None]
    rows = [len(confidence.bars(found)) for _, found in panels_of]

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(panels_of), 1, squeeze=False, height_ratios=rows)[:, 0]
        for axes, (item, found) in zip(panels, panels_of, strict=True):
            _bars(axes, found)
            axes.set_title(say.goal_long(item), loc="left", fontsize=9, fontweight="bold")
        panels[-1].set_xlabel("least cost, US dollars, from central values")

    caption = (
        "What the least cost becomes when one parameter moves to its 5% quantile (blue) and to its 95% quantile (orange), all"
        " others central; the form of the penalty to its cheapest and its dearest. The figures are the parameter's values. Plans"
        " are chosen from a pool that is best somewhere. Where none reaches the target the bar goes on with the shortfall, and is"
        " cut at a hundred times the central cost."
    )
    return draw_chart(
        "chart-tornado", "One parameter at a time", caption, 0.5 + 0.42 * len(rows) + 0.24 * sum(rows), paint
    )


def _bars(axes: Axes, found: Sensitivity) -> None:
    drawn = list(confidence.bars(found))
    centre = found.central_cost_usd
    least, most = centre / WIDEST, centre * WIDEST
    for row, bar in enumerate(drawn):
        ends = (
            (bar.cost_at_low_usd, _shown(bar.name, bar.low_value), BLUE),
            (bar.cost_at_high_usd, _shown(bar.name, bar.high_value), ORANGE),
        )
        dearer = max(cost for cost, _, _ in ends)
        for cost, value, colour in sorted(ends, key=lambda one: -abs(np.log(one[0] / centre))):
            end = min(max(cost, least), most)
            axes.barh(row, end - centre, left=centre, color=colour, height=0.7)
            axes.annotate(
                value, (max(end, centre) if cost == dearer else min(end, centre), row), xytext=(3 if cost == dearer else -3, 0),
                textcoords="offset points", va="center", ha="left" if cost == dearer else "right", fontsize=7.5,
            )  # fmt: skip
    axes.axvline(centre, color=INK, linewidth=1.2)
    axes.set_xscale("log")
    costs = np.asarray(
        [min(max(cost, least), most) for bar in drawn for cost in (bar.cost_at_low_usd, bar.cost_at_high_usd)]
    )
    room = max(costs.max(), centre) / min(costs.min(), centre)
    axes.set_xlim(min(costs.min(), centre) / room**0.3, max(costs.max(), centre) * room**0.3)
    axes.set_yticks(range(len(drawn)), [confidence.parameter(bar.name) for bar in drawn])
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    _few_ticks(axes.xaxis, wide=bool(room > DECADES_APART))


def _shown(name: str, value: str) -> str:
    """A value at the end of a bar: a form by its name, a row by its place, a number as people write it."""
    if value.endswith("severe"):
        return value.replace("severe", "of refits") if name == LAW_ROW else value
    return confidence.form(value) if value in FAMILIES else formats.number(float(value))


def _few_ticks(axis: Any, *, wide: bool) -> None:
    """Ticks at 1, 2 and 5 of each decade, or where there are many at decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator  # noqa: PLC0415

    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=8))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _at: formats.round_dollars(value)))
    axis.set_minor_formatter(NullFormatter())
