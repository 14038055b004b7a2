"""The command ``decide``: what a reviewer decides about a lead, kept in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import emit, examples, json_option


@click.command(
    epilog=examples(
        "thresher decide records.store P-7 follow-up --reviewer ada --note 'two halls, one meter'",
        "thresher decide records.store P-7 dismiss --regime miri-2025 --reviewer ada",
        "thresher decide records.store P-7 undo --reviewer ada",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("owner")
@click.argument("decision", metavar="follow-up|dismiss|ask-for-records|undo")
@click.option(
    "--regime",
    default="miri-2026-memory",
    show_default=True,
    help="The rule that was screened for: a regime's name, or a regime file.",
)
@click.option("--reviewer", required=True, help="Who decides; at most 200 characters.")
@click.option("--note", default="", help="Why; at most 2,000 characters.")
@json_option
def decide(store: Path, owner: str, decision: str, json_file: str | None, **choices: Any) -> None:
    """Store in STORE what a reviewer decides about the lead of OWNER: every later screening shows it.

    A decision changes no probability. Earlier decisions stay on record; undo withdraws the one that stands.
    """
    from thresher.screening.decisions import decide as run

    stored = run(store, owner, decision, **choices)
    if emit(json_file, {"owner": stored.owner, "regime": stored.regime} | stored.as_json()):
        return
    click.echo(f"stored: {stored.owner} under {stored.regime}: {stored.as_json()['means']} ({stored.reviewer})")
