"""The command ``account``: whether the chips of a store of records add up, and where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import as_of_options, cell, emit, engine_option, examples, json_option, print_table

NOT_PRINTED = ("period", "opening", "seen", "moved_since", "awaited")
"""Columns of a balance that only the JSON has; the balances printed are those of the last period."""


@click.command(
    epilog=examples(
        "thresher account records.store",
        "thresher account records.store --as-of 2026-06-30 --by site --period month",
        "thresher account records.store --by chip --counting-error 0.001 --json -",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@as_of_options
@click.option(
    "--by",
    type=click.Choice(["party", "site", "chip"]),
    multiple=True,
    help="Draw up the balances by this; may be repeated.  [default: party and chip]",
)
@click.option(
    "--period", type=click.Choice(["month", "quarter"]), default="quarter", show_default=True, help="Of a balance."
)
@click.option(
    "--regime", default="miri-2025", show_default=True, help="The rule whose days of notice and of registers are meant."
)
@click.option(
    "--counting-error",
    type=float,
    metavar="SHARE",
    help="Relative error of a count, where no serial numbers are on record.  [default: 0.01]",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples that train the linkage.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Rows to print.")
@engine_option
@json_option
def account(store: Path, by: tuple[str, ...], most: int, json_file: str | None, **choices: Any) -> None:
    """Draw up the ledger of STORE: opening + received - shipped - destroyed = expected, against declared and seen.

    Status 1 where something is unaccounted for: chips that are missing or that nobody declares, serial numbers in two places,
    events that cannot be, losses that add up. Not every holder has to declare: it is a reason to look, not a verdict.
    """
    from thresher.screening.account import account_store

    result = account_store(store, by=by or ("party", "chip"), **choices)
    outcomes = result.outcomes
    if not emit(json_file, result.as_json()):
        _print(outcomes, result.inputs["as_of"], most)
    click.get_current_context().exit(0 if outcomes["accounted_for"] else 1)


def _print(outcomes: Any, as_of: str, most: int) -> None:
    print_table(
        ("finding", "looked at", "found at"),
        [
            (one["title"], f"{one['looked_at']:,}", f"{one['found_at']:,}")
            if one["looked_at"]
            else (one["title"], "", "unknown: no records to look in")
            for one in outcomes["summary"].values()
        ],
        title=f"The ledger as of {as_of}",
    )
    lines = outcomes["open_balances"][:most]
    if lines:
        columns = [name for name in lines[0] if name not in NOT_PRINTED]
        print_table(
            [name.replace("_", " ") for name in columns],
            [[cell(line[name]) for name in columns] for line in lines],
            title=f"Balances that are open: {len(lines):,} of {outcomes['balances_open']:,}, the largest first",
        )
    strongest = [row for row in outcomes["findings"] if row["strength"] > 0.0][:most]
    if strongest:
        print_table(
            ("entity", "finding", "strength", "what"),
            [(row["entity"], row["finding"], f"{row['strength']:.3g}", row["detail"]) for row in strongest],
            title="The strongest findings",
        )
    for name, one in outcomes["regimes"].items():
        click.echo(f"{name}: {one['balances']:,} balances of {one['chips'] or 0:,.0f} chips. {one['sees']}")
