"""The command ``sample-records``: a made-up jurisdiction with known truth, for demonstrations and measurements."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from thresher.cli.shared import emit, examples, json_option, print_table, progress, whole_number

_LARGE = 20_000


@click.command(
    "sample-records",
    epilog=examples(
        "thresher sample-records records",
        "thresher sample-records records --seed 7 --parties 20000 --evaders 20 --format parquet",
        "thresher sample-records records --force --json -",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default="1", show_default=True, callback=whole_number, help="Of the random numbers.")
@click.option(
    "--parties", default="2000", show_default=True, callback=whole_number, help="Rows of the register of parties."
)
@click.option(
    "--evaders", default="5", show_default=True, callback=whole_number, help="Owners planted who evade the rule."
)
@click.option("--format", "file_format", default="csv", show_default=True, help="csv or parquet.")
@click.option("--force", is_flag=True, help="Write into a folder that holds files; sample records in it are replaced.")
@json_option
def sample_records(
    folder: Path,
    seed: int,
    parties: int,
    evaders: int,
    file_format: str,
    force: bool,
    json_file: str | None,
) -> None:
    """Write the records of a made-up jurisdiction into FOLDER, with what is true of them in truth.json.

    Nine tables, in proportion to the parties. Most holders are honest and make mistakes; some look guilty and are not; a few
    hold more than the rule's line allows, in sites that each stay under it. Everything is made up.
    """
    from thresher.records.samples import sample_records as make

    if isinstance(parties, int) and parties >= _LARGE:
        progress(f"drawing {parties:,} parties and what they hold")
    made = make(folder, seed=seed, parties=parties, evaders=evaders, file_format=file_format, force=force)
    if emit(json_file, made):
        return
    print_table(("table", "rows"), [(name, f"{rows:,}") for name, rows in made.rows.items()])
    click.echo()
    planted = [("evader", style, str(count)) for style, count in made.evaders.items()]
    print_table(
        ("who", "kind", "count"),
        planted + [("near-miss", kind, str(count)) for kind, count in made.near_misses.items()],
    )
    click.echo(f"\nnext: thresher import {shlex.quote(str(folder))} --store evidence.duckdb")
