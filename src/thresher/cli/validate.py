"""The command ``validate``: prediction beside measurement."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import cell, emit, examples, json_option, print_table
from thresher.errors import InputError


@click.command(
    epilog=examples("thresher validate", "thresher validate --table measured_utilisation --rows more_runs.csv --json -")
)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; may be repeated.")
@click.option(
    "--rows",
    "rows_file",
    type=click.Path(path_type=Path),
    help="Your own measurements, with the columns of the one --table named.",
)
@click.option("--all-rows", is_flag=True, help="Print every row, not the summary alone.")
@json_option
def validate(tables: tuple[str, ...], rows_file: Path | None, all_rows: bool, json_file: str | None) -> None:
    """Print prediction beside measurement for everything in the catalog."""
    from thresher.validation import as_json, summary_lines
    from thresher.validation import validate as run

    if rows_file is not None and len(tables) != 1:
        raise InputError("--rows", "exactly one --table that says which measurements these are")
    comparisons = run(tables or None, rows={tables[0]: rows_file} if rows_file else None)
    if emit(json_file, as_json(comparisons)):
        return
    for comparison in comparisons if all_rows or rows_file else ():
        rows = [
            (row.label, cell(row.predicted), cell(row.measured), _percent(row.relative_error), cell(row.baseline))
            for row in comparison.rows
        ]
        title = f"{comparison.table}: {comparison.what}, {comparison.unit}"
        print_table(("row", "predicted", "measured", "error", "baseline"), rows, title=title)
    print_table(
        ("table", "quantity", "rows", "median error", "published calculator"),
        summary_lines(comparisons),
        title="Median absolute relative error, prediction against measurement",
    )
    for comparison in comparisons:
        click.echo(f"\n{comparison.table}, {comparison.what}: {comparison.note}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:+.1%}"
