"""The assessment in the terminal: a table by target and a few short paragraphs, in the words of the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from thresher.assessment import noticing
from thresher.assessment import wording as say
from thresher.assessment.assess import Assessment, GoalAnswer

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH, COLUMN_WIDTH = 25, 18


def print_assessment(assessment: Assessment, console: Console) -> None:
    """Print the answer: the headline, a column for each target, and what a reader should know before using it.

    Parameters
    ----------
    assessment
        What `assess` gave.
    console
        Where to print; plain text where it is not a terminal. More targets than its width holds become several tables.
    """
    from rich.text import Text  # noqa: PLC0415 - heavy, and only for the terminal

    def paragraph(heading: str, *lines: str) -> None:
        console.print(Text(heading, style="bold"))
        for line in lines:
            console.print(Text(line))
        console.print()

    regime = assessment.regime
    console.print(Text(say.question(assessment), style="bold"))
    console.print(Text(f"{regime.title} ({regime.name}; {regime.jurisdiction}, {regime.status})", style="dim"))
    console.print()
    noticed = noticing.headline_sentence(assessment)
    console.print(Text(" ".join([*say.headline(assessment), *([noticed] if noticed else [])])))
    console.print()
    fit = max(1, (console.width - LABEL_WIDTH) // COLUMN_WIDTH)
    for start in range(0, len(assessment.answers), fit):
        _print_columns(assessment.answers[start : start + fit], console)
        console.print()
    drawn = assessment.draws is not None
    missed = [f"{say.goal(item)}: {item.why_not}." for item in assessment.answers if item.plan is None]
    if missed:
        paragraph("Out of reach at central values" if drawn else "Out of reach", *missed)
    if drawn:
        for heading, lines in say.draws_paragraphs(assessment):
            paragraph(heading, *lines)
        if said := noticing.noticed_paragraph(assessment):
            paragraph(said[0], *said[1])
    else:
        _print_bests(assessment, paragraph)
    caught = [f"{item.system}: {', '.join(item.clauses)}" for item in assessment.burden if item.covered]
    paragraph("Whom else the rule covers", say.burden_sentence(assessment), *caught)
    if not drawn:
        paragraph("How long a run may last", assessment.duration_reasoning)
    console.print(Text(say.QUALITY_FLOP, style="dim"))
    console.print(Text(say.basis(assessment), style="dim"))


def _print_bests(assessment: Assessment, paragraph: Callable[..., None]) -> None:
    """What stands beside the chosen plans: the best of each mode and format, and what memory bounds; the page has it always."""
    by_mode = [say.best_of_each(item, item.by_mode) for item in assessment.answers if len(item.by_mode) > 1]
    if by_mode:
        paragraph(say.bests(assessment, "mode"), *by_mode)
    formats = [say.best_of_each(item, item.by_precision) for item in assessment.answers if len(item.by_precision) > 1]
    if formats:
        paragraph(say.bests(assessment, "number format"), *formats)
    main = say.main_answer(assessment)
    paragraph(
        "The memory of a node and the size of a model", " ".join(say.memory_lines(assessment, [main] if main else []))
    )


def _print_columns(answers: tuple[GoalAnswer, ...], console: Console) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Goal", width=LABEL_WIDTH - 3, overflow="fold")
    for answer in answers:
        table.add_column(Text(say.goal(answer)), overflow="fold")
    columns = [say.short_rows(answer) for answer in answers]
    for cells in zip(*columns, strict=True):
        style = "bold" if cells[0][0] in ("Cost", "Cost, median") else ""
        table.add_row(Text(cells[0][0]), *(Text(value) for _, value in cells), style=style)
    console.print(table)
