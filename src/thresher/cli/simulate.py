"""The command ``simulate``: what one training plan takes and achieves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import cell, emit, examples, json_option, print_table


@click.command(
    epilog=examples(
        "thresher simulate plan.toml",
        "thresher simulate plan.toml --json -",
        "thresher simulate published_calculator.json --model published --json -",
    )
)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Choice(["default", "published"]),
    default="default",
    show_default=True,
    help="Our model, or the study's calculator.",
)
@json_option
def simulate(plan: Path, model: str, json_file: str | None) -> None:
    """Simulate PLAN: a TOML plan, or a JSON list of cases for the model published."""
    from thresher.api import simulate as run

    outcome = run(plan, model=model)
    if not emit(json_file, outcome):
        rows = [outcome] if isinstance(outcome, dict) else outcome
        for number, row in enumerate(rows, start=1):
            _print_outcome(row, f"{plan}" if isinstance(outcome, dict) else f"{plan}: case {number}")


def _print_outcome(outcome: Mapping[str, Any], title: str) -> None:
    rows = [(name, cell(value)) for name, value in outcome.items() if not isinstance(value, list | dict)]
    print_table(("outcome", "value"), rows, title=title)
    for heading in ("evidence", "warnings"):
        if lines := outcome.get(heading):
            click.echo(heading)
            for line in lines:
                click.echo(f"  {line}")
