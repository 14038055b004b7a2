"""The charts of detection: the chance of not being detected over time, and which countermeasure catches first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from thresher.assessment import formats
from thresher.assessment import wording as say
from thresher.assessment.assess import GoalAnswer
from thresher.assessment.svg import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, YELLOW, Chart, draw_chart
from thresher.countermeasures.channels import PHASES
from thresher.countermeasures.texts import title
from thresher.countermeasures.timeline import Timeline
from thresher.simulation.cost import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("chart-detection",)
LEAST = 0.003
"""A countermeasure that is less likely than this to catch first is drawn with the others."""
ROOM_FOR_WORD = 0.07
"""The share of the axis from which a phase has room for its name."""
COLOURS = {
    "whistleblowing": BLUE, "chip_tracking": ORANGE, "hardware_controls": PURPLE, "forensic_accounting": GREEN,
    "inspections": RED, "energy_monitoring": YELLOW, "traffic_analysis": SKY, "cloud_reporting": "#004d40",
    "model_provenance": GREY, "intelligence": "#8c6d31",
}  # fmt: skip
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo", "++", "||", "**")
PHASE_WORDS = dict(zip(PHASES, ("buying", "install", "training", "holding"), strict=True))


def charts_of_detection(answers: Sequence[GoalAnswer]) -> tuple[Chart, ...]:
    """One chart with a panel for each goal that has a timeline."""
    shown = [(say.goal_long(item), item.detection) for item in answers if item.detection is not None]
    return (detection_chart(shown),) if shown else ()


def detection_chart(shown: Sequence[tuple[str, Timeline]]) -> Chart:
    """The chance of not being detected, with its intervals, and above it what has detected first."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for axes, (heading, found) in zip(panels, shown, strict=True):
            _panel(axes, found)
            axes.set_title(heading, loc="left", fontsize=9, fontweight="bold", pad=15)
        panels[-1].set_xlabel("months since the first purchase")
        labelled = [axes.get_legend_handles_labels() for axes in panels]
        first = {name: handle for handles, names in labelled for handle, name in zip(handles, names, strict=True)}
        figure.legend(
            first.values(), first.keys(), loc="outside upper left", ncols=3, handlelength=1.6, columnspacing=1.2
        )

    caption = (
        "The black line is the chance of not being detected, the lines beside it enclose half (dashed) and nine tenths"
        " (dotted) of the"
        " draws. Above it, in colours, the chance of having been detected first by each countermeasure. Upright lines part"
        " buying,"
        " installing, training and holding, at their median lengths."
    )
    return draw_chart(
        "chart-detection", "When and by what it would be detected", caption, 0.7 + 2.1 * len(shown), paint
    )


def _panel(axes: Axes, found: Timeline) -> None:
    time = MONTHS_PER_YEAR * found.years
    base = found.mean_undetected
    ranked = sorted(found.first.items(), key=lambda item: -item[1][-1])
    for name, share in ranked:
        if share[-1] < LEAST:
            continue
        place = list(COLOURS).index(name)
        axes.fill_between(
            time, base, base + share, color=COLOURS[name], hatch=HATCHES[place], edgecolor="white", linewidth=0.0, alpha=0.75,
            label=title(name),
        )  # fmt: skip
        base = base + share
    low, quarter, _, upper, high = found.undetected
    for edge, dashes in ((low, (0, (1.2, 1.6))), (high, (0, (1.2, 1.6))), (quarter, (0, (5, 2))), (upper, (0, (5, 2)))):
        axes.plot(time, edge, color=INK, linewidth=0.9, linestyle=dashes)
    axes.plot(time, found.mean_undetected, color=INK, linewidth=2.2, label="not detected")
    start = 0.0
    for phase, end in zip(PHASES, found.phase_ends_years, strict=True):
        axes.axvline(MONTHS_PER_YEAR * end, color=GREY, linewidth=0.9)
        if end - start > ROOM_FOR_WORD * found.years[-1]:
            axes.text(
                MONTHS_PER_YEAR * 0.5 * (start + end), 1.03, PHASE_WORDS[phase], ha="center", va="bottom", fontsize=7.5
            )
        start = end
    axes.set_xlim(0.0, float(time[-1]))
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks(np.linspace(0.0, 1.0, 5))
    axes.yaxis.set_major_formatter(lambda value, _at: formats.percent(value))
