"""The command ``resolve``: who is who in a store, why, and what a reviewer says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import emit, engine_option, examples, json_option, print_table
from thresher.errors import InputError


@click.command(
    epilog=examples(
        "thresher resolve records.store",
        "thresher resolve records.store --explain party:P-7 buyer:9f2a61c0d4e83b57",
        "thresher resolve records.store --judge party:P-7 party:P-9 no --reviewer ada --note 'two brothers'",
        "thresher resolve records.store --json entities.json",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--explain", nargs=2, metavar="LEFT RIGHT", help="Take one pair of mentions apart, comparison by comparison."
)
@click.option(
    "--judge",
    nargs=3,
    metavar="LEFT RIGHT yes|no|undo",
    help="Store a reviewer's word on a pair: every later screening respects it.",
)
@click.option("--reviewer", help="Who judges; needed with --judge.")
@click.option("--note", default="", help="Why.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples that train the linkage.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Rows to print of each table.")
@engine_option
@json_option
def resolve(
    store: Path,
    explain: tuple[str, str] | None,
    judge: tuple[str, str, str] | None,
    reviewer: str | None,
    note: str,
    seed: int,
    most: int,
    engine: str,
    json_file: str | None,
) -> None:
    """Find who is who in STORE: which parties, buyers, sellers and operators are one, and how surely."""
    if judge:
        from thresher.screening.verbs import judge as store_judgement

        if not reviewer:
            raise InputError("--reviewer", "a name, with --judge")
        store_judgement(store, *judge, reviewer=reviewer, note=note)
        click.echo(f"stored: {judge[0]} and {judge[1]}: {judge[2]} ({reviewer})")
        return
    if explain:
        from thresher.screening.verbs import explain as explain_pair

        pair = explain_pair(store, *explain, seed=seed, engine=engine)
        if emit(json_file, pair):
            return
        rows = [("before comparing", f"{pair.prior_bits:+.2f}")]
        rows += [(part.words, f"{part.bits:+.2f}") for part in pair.parts]
        print_table(
            ("what", "bits"), [*rows, ("together", f"{pair.match_weight:+.2f}")], title=f"{pair.left} and {pair.right}"
        )
        click.echo(f"probability that they are one: {pair.probability:.4g}")
        return
    from thresher.screening.verbs import resolve as run

    result = run(store, seed=seed, engine=engine)
    if not emit(json_file, result.as_json()):
        _print(result.outcomes, most)


def _print(found: Any, most: int) -> None:
    print_table(
        ("entity", "mentions", "names"),
        [(one["entity"], str(one["mentions"]), "; ".join(one["names"])) for one in found["merged"][:most]],
        title=f"{found['summary']['entities']:,} entities behind {found['summary']['mentions']:,} mentions; those of most names",
    )
    print_table(
        ("left", "right", "name", "name", "probability"),
        [
            (one["left"], one["right"], one["left_name"] or "", one["right_name"] or "", f"{one['probability']:.3f}")
            for one in found["for_review"][:most]
        ],
        title="For a person to decide (--explain, then --judge)",
    )
