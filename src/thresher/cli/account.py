"""The command ``account``: whether the chips of a store of records add up, and where they do not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import cell, emit, examples, json_option, print_table, progress


@click.command(
    epilog=examples(
        "thresher account evidence.store --as-of 2026-06-30",
        "thresher account evidence.store --as-of 2026-06-30 --by chip --period month --counting-error 0.001 --json -",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--as-of", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day all is seen from; later records do not count."
)
@click.option(
    "--by",
    type=click.Choice(["party", "site", "chip"]),
    multiple=True,
    help="Draw up balances by this; may be repeated.  [default: party and chip]",
)
@click.option("--period", type=click.Choice(["month", "quarter"]), default="quarter", show_default=True)
@click.option("--look-back-days", type=click.IntRange(min=1), default=365, show_default=True, help="Days before that day.")
@click.option("--regime", default="miri-2025", show_default=True, help="The rule whose days of notice and registers are meant.")
@click.option(
    "--counting-error",
    type=float,
    help="Relative error of a count, where no serial numbers are on record.  [default: 0.01]",
)
@click.option("--rows", "most_rows", type=click.IntRange(min=0), default=20, show_default=True, help="Balances printed.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
@json_option
@click.pass_context
def account(
    ctx: click.Context,
    store: Path,
    as_of: datetime,
    by: tuple[str, ...],
    period: str,
    look_back_days: int,
    regime: str,
    counting_error: float | None,
    most_rows: int,
    engine: str,
    json_file: str | None,
) -> None:
    """Draw up the chip ledger of STORE: opening + received - shipped - destroyed, against declared and seen.

    Status 1 where something is unaccounted for: chips that are missing or that nobody declares, serial numbers in two places,
    events that cannot be, losses that add up. Not everybody has to declare; a finding is a reason to look, not a verdict.
    """
    from thresher.screening.account import account_store

    progress("who is who, and the events of every chip in order")
    answer = account_store(
        store,
        as_of.date(),
        by=by or ("party", "chip"),
        period=period,
        look_back_days=look_back_days,
        regime=regime,
        counting_error=counting_error,
        engine=engine,
    )
    if not emit(json_file, answer):
        _print(answer, most_rows)
    ctx.exit(0 if answer["accounted_for"] else 1)


def _print(answer: dict[str, Any], most_rows: int) -> None:
    print_table(
        ("finding", "looked at", "found at", "in all", "unit"),
        [
            (one["title"], cell(one["looked_at"]), cell(one["found_at"]), cell(one["in_all"]), one["unit"])
            if one["looked_at"]
            else (one["title"], "no", "unknown", "", "")
            for one in answer["findings"]
        ],
        title=f"As of {answer['as_of']}",
    )
    lines = answer["balances"]
    if lines and most_rows:
        click.echo()
        print_table(
            tuple(name.replace("_", " ") for name in lines[0]),
            [tuple(cell(value) for value in line.values()) for line in lines[:most_rows]],
            title=f"Balances that are open, the largest first ({min(len(lines), most_rows)} of {answer['open_balances']})",
        )
    click.echo()
    for sentence in answer["sees"]:
        click.echo(sentence)
