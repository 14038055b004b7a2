"""The sweep in the terminal: a table of cells and a few short paragraphs, in the words of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.assessment.formats import round_flop
from thresher.assessment.wording import QUALITY_FLOP
from thresher.thresholds import wording as say
from thresher.thresholds.answers import Design

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH, COLUMN_WIDTH = 40, 22


def print_design(design: Design, console: Console) -> None:
    """Print the sweep: a row for each cell, or for the steps of the frontier where there are many; then what it says.

    Parameters
    ----------
    design
        What `design` gave.
    console
        Where to print; plain text where it is not a terminal. More targets than its width holds become several tables.
    """
    from rich.text import Text  # noqa: PLC0415 - heavy, and only for the terminal

    regime = design.regime
    console.print(Text(say.question(design), style="bold"))
    console.print(Text(f"{regime.title} ({regime.name}; {regime.jurisdiction}, {regime.status})", style="dim"))
    console.print()
    fit = max(1, (console.width - LABEL_WIDTH) // COLUMN_WIDTH)
    for start in range(0, len(design.targets), fit):
        _print_cells(design, range(start, min(start + fit, len(design.targets))), console)
        console.print()
    console.print(Text(say.legend(design), style="dim"))
    cells = say.shown(design)
    if len(cells) < len(design.cells):
        console.print(
            Text(f"{len(cells)} of {len(design.cells)} combinations are shown; the report has them all.", style="dim")
        )
    console.print()
    for heading, sentences in say.paragraphs(design):
        console.print(Text(heading, style="bold"))
        for sentence in sentences:
            console.print(Text(sentence))
        console.print()
    console.print(Text(QUALITY_FLOP, style="dim"))


def _print_cells(design: Design, places: range, console: Console) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in say.columns(design):
        table.add_column(Text(name), overflow="fold")
    for place in places:
        table.add_column(Text(f"{round_flop(design.targets[place])} FLOP"), overflow="fold")
    for cell in say.shown(design):
        label = say.row(design, cell)
        if tag := say.tags(design, cell):
            label[len(design.axes)] += f"\n({tag})"
        found = ["\n".join(say.target_lines(cell.targets[place])) for place in places]
        table.add_row(*map(Text, (*label, *found)), style="bold" if cell.efficient else "")
    console.print(table)
