"""The commands ``control`` and ``corroborate``: who controls what, and what the measurements say beside the register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import as_of_options, emit, engine_option, examples, json_option, print_table


@click.command(
    epilog=examples(
        "thresher control records.store",
        "thresher control records.store --as-of 2026-06-30 --json control.json",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@as_of_options
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples that train the linkage.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Rows to print.")
@engine_option
@json_option
def control(store: Path, most: int, json_file: str | None, **choices: Any) -> None:
    """Find who controls what in STORE: through chains, thresholds, nominees and circles, and by what is shared."""
    from thresher.screening.verbs import control as run

    result = run(store, **choices)
    if emit(json_file, result.as_json()):
        return
    held: dict[str, list[dict[str, Any]]] = {}
    for one in result.outcomes["owners"]:
        held.setdefault(one["owner"], []).append(one)
    several = sorted((item for item in held.items() if len(item[1]) > 1), key=lambda item: (-len(item[1]), item[0]))
    print_table(
        ("owner", "controls", "why"),
        [
            (owner, f"{len(rows):,} entities", ", ".join(sorted({row["basis"] for row in rows})))
            for owner, rows in several[:most]
        ],
        title=f"{len(several):,} owners of more than one entity as of {result.inputs['as_of']}",
    )
    _print_findings(result.outcomes, most)


@click.command(
    epilog=examples(
        "thresher corroborate records.store",
        "thresher corroborate records.store --regime miri-2025 --as-of 2026-06-30 --json -",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--regime", default="miri-2026-memory", show_default=True, help="The rule: a regime's name, or a regime file."
)
@as_of_options
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples that train the linkage.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Rows to print.")
@engine_option
@json_option
def corroborate(store: Path, most: int, json_file: str | None, **choices: Any) -> None:
    """Hold the register of STORE against power, round trips, purchases and prices."""
    from thresher.screening.verbs import corroborate as run

    result = run(store, **choices)
    if not emit(json_file, result.as_json()):
        _print_findings(result.outcomes, most)


def _print_findings(outcomes: Any, most: int) -> None:
    print_table(
        ("finding", "looked at", "found"),
        [(name, f"{one['looked_at']:,}", f"{one['found']:,}") for name, one in outcomes["summary"].items()],
    )
    print_table(
        ("entity", "finding", "strength", "what"),
        [
            (one["entity"], one["finding"], f"{one['strength']:.3g}", one["detail"] or "")
            for one in outcomes["findings"][:most]
        ],
        title="The strongest",
    )
