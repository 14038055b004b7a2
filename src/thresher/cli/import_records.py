"""The command ``import``: a folder of tables into a store of evidence."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import emit, examples, json_option, print_table, progress

PROBLEMS_PRINTED = 20
SECONDS_BETWEEN = 2.0
"""How long the command is silent between two words on its progress."""


@click.command(
    "import",
    epilog=examples(
        "thresher import records --store evidence.duckdb",
        "thresher import records --store evidence.duckdb --json -",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--store",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The store, one DuckDB file; it is made where there is none.",
)
@json_option
@click.pass_context
def import_records(ctx: click.Context, folder: Path, store: Path, json_file: str | None) -> None:
    """Check the tables of FOLDER and load them into a store.

    A table is a CSV or Parquet file named for it: chips, custody, parties, ownership, purchases, sites, declarations, power or
    pings; custody-2025.csv, custody.part1.parquet and parts in a folder custody/ are parts of one. Any of them may be missing,
    columns may stand in any order, and further columns are kept. Files of FollowTheMoney entities (entities.json, or a name
    that ends in .ftm.json), of BODS 0.4 statements (.bods.json) and of GS1 EPCIS 2.0 events (.epcis.json or .jsonld) may stand
    beside them.

    Right rows are loaded, each once, however often they are imported. A wrong row is set aside with its file, line, column and
    reason, in the store's table quarantine; mend it in the file and import again. A command that is killed leaves the store as
    it was.

    \b
    Exit status:
      0  every row of every table is in the store
      1  rows or files were set aside, or a file's name is nearly that of a table
      2  nothing could be read, or the store cannot be written
    """
    from thresher.records.importing import import_records as run

    report = run(folder, store, tell=_now_and_then(progress))
    data = {"store": report.store, "complete": report.complete} | {
        "files": report.files,
        "ignored": report.ignored,
        "problems": report.problems,
    }
    if not emit(json_file, data):
        _print_report(report)
    ctx.exit(0 if report.complete else 1)


def _print_report(report: Any) -> None:
    from rich.markup import escape

    rows = []
    for one in report.files:
        counts = [f"{count:,}" for count in (one.rows, one.loaded, one.already_there, one.quarantined)]
        rows.append([escape(_shown(one.file)), one.table, *counts[:3], "all" if one.problem else counts[3]])
    print_table(("file", "table", "rows", "loaded", "there before", "set aside"), rows)
    for one in report.problems[:PROBLEMS_PRINTED]:
        column = f", column {one.column}" if one.column else ""
        click.echo(_shown(f"{one.file}, line {one.line}{column}: {one.reason}"))
    if len(report.problems) > PROBLEMS_PRINTED:
        click.echo(f"and more: all are in the table quarantine of {_shown(report.store)}")
    for file in report.files:
        for remark in file.remarks:
            click.echo(_shown(f"{file.file}: {remark}"))
    for file in report.ignored:
        meant = f"; is {file.meant} meant?" if file.meant else ""
        click.echo(_shown(f"{file.name}: not read: {file.reason}{meant}"))


def _shown(text: str) -> str:
    """Text of a file as a terminal may show it: without characters that steer it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on a word of progress when the last is some seconds old."""
    last = time.monotonic()

    def tell(message: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN:
            last = time.monotonic()
            say(_shown(message))

    return tell
