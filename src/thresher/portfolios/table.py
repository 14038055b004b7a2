"""`programmes` in the terminal: chances by actor and programme, the cheapest that holds, and what each countermeasure is
worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.assessment import noticing
from thresher.assessment.formats import dollars, percent
from thresher.assessment.wording import QUALITY_FLOP
from thresher.portfolios import wording as say
from thresher.portfolios.answers import Portfolio

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_portfolio(portfolio: Portfolio, console: Console) -> None:
    """Print the answer: the headline, a row for each actor, then what the parts of the programme are worth to the main one."""
    from rich.text import Text  # noqa: PLC0415 - heavy, and only for the terminal

    def paragraph(heading: str, *lines: str) -> None:
        console.print(Text(heading, style="bold"))
        for line in lines:
            console.print(Text(line))
        console.print()

    regime, one = portfolio.regime, say.main_answer(portfolio)
    console.print(Text(say.QUESTION, style="bold"))
    console.print(Text(f"{regime.title} ({regime.name}; {regime.jurisdiction}, {regime.status})", style="dim"))
    console.print()
    console.print(Text(" ".join(say.headline(portfolio))))
    console.print()
    table = _table("Actor", *say.compared(portfolio))
    for item in portfolio.answers:
        table.add_row(Text(item.actor.name), *map(Text, say.replies_row(portfolio, item)))
    console.print(table)
    console.print(Text(say.LEGEND, style="dim"))
    console.print()
    paragraph(
        f"The cheapest programme found that holds the chance under {percent(portfolio.bound)}",
        *(f"{item.actor.name}: {say.cheapest_sentence(portfolio, item)}" for item in portfolio.answers),
    )
    if portfolio.budget_usd_per_year is not None:
        paragraph(f"The best found for {dollars(portfolio.budget_usd_per_year)} a year", *say.budget_lines(portfolio))
    if one.worth:
        console.print(
            Text(f"What each part of {portfolio.weighed.name} is worth against {one.actor.name}", style="bold")
        )
        table = _table(*say.WORTH_COLUMNS)
        for worth in say.ranked(one):
            table.add_row(*map(Text, say.worth_row(worth)))
        console.print(table)
        console.print()
        paragraph("Where this ranking parts from the study's", *say.differences(one))
    if top := say.top_per_dollar(one):
        paragraph("For its dollar, raised by a tenth of its usual most", *map(say.per_dollar_line, top))
    alarms = [f"{reply.programme.name}: {noticing.false_alarm_line(reply.timeline)}." for reply in one.replies]
    paragraph(
        "False alarms", *alarms, *(line for line in (say.overload_line(portfolio), say.cap_line(portfolio)) if line)
    )
    console.print(Text(say.basis(portfolio), style="dim"))
    console.print(Text(QUALITY_FLOP, style="dim"))


def _table(*columns: str) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    return table
