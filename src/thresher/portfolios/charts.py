"""The charts of a portfolio: success against the state's dollars, and what each countermeasure is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.assessment.charts_of_detection import detection_chart
from thresher.assessment.formats import percent, round_dollars
from thresher.assessment.svg import BLUE, GOALS, GREY, INK, ORANGE, SKY, Chart, draw_chart
from thresher.countermeasures.texts import title
from thresher.portfolios import wording as say
from thresher.portfolios.answers import Portfolio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR_USD = 1e6
"""Where dollars of nothing are drawn on a logarithmic axis."""


def charts(portfolio: Portfolio) -> tuple[Chart, ...]:
    """Every chart that there is data for, in the order of the page."""
    one = say.main_answer(portfolio)
    found = [_ladder(portfolio)] if any(item.rungs for item in portfolio.answers) else []
    found += [_worth(portfolio)] if one.worth else []
    timelines = [(f"{one.actor.name} under {reply.programme.name}", reply.timeline) for reply in one.replies]
    return (*found, *((detection_chart(timelines),) if timelines else ()))


def _ladder(portfolio: Portfolio) -> Chart:
    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, item in enumerate(one for one in portfolio.answers if one.rungs):
            colour, marker = GOALS[index % len(GOALS)]
            dollars = np.maximum([rung.cost_usd_per_year for rung in item.rungs], FLOOR_USD)
            success = np.asarray([rung.success for rung in item.rungs])
            order = np.argsort(dollars, kind="stable")
            axes.plot(dollars[order], success[order], marker=marker, color=colour, markersize=5, label=item.actor.name)
            for reply in item.replies:
                axes.plot(max(reply.cost_usd_per_year, FLOOR_USD), reply.success, "x", color=colour, markersize=6)
        axes.axhline(portfolio.bound, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_ylim(0.0, 1.0)
        axes.yaxis.set_major_formatter(lambda value, _at: percent(value))
        axes.xaxis.set_major_formatter(lambda value, _at: round_dollars(value))
        axes.set(xlabel="cost to the state, US dollars a year", ylabel="chance of success")
        figure.legend(loc="outside upper left", ncols=4)

    caption = (
        "How far the chance to reach the target undetected falls as the state spends more, along the way of the greedy"
        " search, for each"
        f" actor; crosses are the programmes compared. The dashed line is the bound, {percent(portfolio.bound)}. No"
        " programme at all is"
        f" drawn at {round_dollars(FLOOR_USD)}."
    )
    return draw_chart("chart-ladder", "Success against the state's dollars", caption, 3.6, paint)


def _worth(portfolio: Portfolio) -> Chart:
    one = say.main_answer(portfolio)
    rows = say.ranked(one)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (name, colour, values) in enumerate((
            ("alone", SKY, [row.alone for row in rows]),
            ("Shapley", BLUE, [row.shapley for row in rows]),
            ("last added", ORANGE, [row.last for row in rows]),
        )):  # fmt: skip
            axes.barh(np.arange(len(rows)) + 0.26 * (place - 1), values, height=0.24, color=colour, label=name)
        axes.axvline(0.0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [title(row.countermeasure) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(lambda value, _at: percent(abs(value)))
        axes.set_xlabel(f"fall in the chance that {one.actor.name} reaches the target undetected")
        figure.legend(loc="outside upper left", ncols=3)

    caption = (
        f"What each part of the programme {portfolio.weighed.name} is worth: with nothing else, on average over every order"
        " in which the"
        " parts could be added (Shapley), and after all others. The adversary replies anew each time."
    )
    return draw_chart("chart-worth", "What each countermeasure is worth", caption, 0.8 + 0.42 * len(rows), paint)
