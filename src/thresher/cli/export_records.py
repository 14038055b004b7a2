"""The command ``export``: a store's evidence in the formats of the ecosystem."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import emit, examples, json_option, progress

FORMATS = ("ftm", "bods", "epcis")


@click.command(
    epilog=examples(
        "thresher export out --store evidence.duckdb",
        "thresher export out --store evidence.duckdb --format ftm --format epcis",
    )
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--store",
    required=True,
    type=click.Path(path_type=Path),
    help="The store that holds the evidence (thresher import).",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="ftm: parties and ownership as FollowTheMoney entities; bods: the same as statements of the Beneficial Ownership"
    " Data Standard 0.4; epcis: custody as GS1 EPCIS 2.0 events. May be repeated.  [default: all]",
)
@json_option
def export(folder: Path, store: Path, formats: tuple[str, ...], json_file: str | None) -> None:
    """Write a store's parties, ownership and custody into FOLDER, in formats that other tools read.

    What a format has no word for is kept under a member of our own, so that reading the files back gives the same rows.
    """
    from thresher.records.exchange import export_records

    written = []
    for one in formats or FORMATS:
        progress(f"writing {one}")
        written += export_records(store, folder, [one])
    if not emit(json_file, {"files": [str(path) for path in written]}):
        for path in written:
            click.echo(path)
