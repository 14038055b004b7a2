"""The command ``screen``: from a store of records to leads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from thresher.cli.shared import (
    as_of_options,
    console,
    emit,
    engine_option,
    examples,
    json_option,
    print_table,
    progress,
)

SURE = 0.999
"""A probability above this is not told apart from certainty by its digits."""
READINGS = {True: "covered", False: "not covered", None: "unknown"}


def times_the_line(readings: Any) -> str:
    """What an owner holds over the line, and what it would come to with what it bought that nobody has seen."""
    held = max(readings.shares.values(), default=0.0)
    most = f" to {readings.share_at_most:.2g}" if readings.share_at_most > held else ""
    return f"{held:.2g}{most} x the line"


@click.command(
    epilog=examples(
        "thresher screen records.store",
        "thresher screen records.store --regime miri-2025 --as-of 2026-06-30 --html dossiers",
        "thresher screen records.store --prior 0.001 --top 50 --json leads.json --ftm leads.ftm.json",
        "thresher screen records.store --engine spark --json -",
    )
)
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--regime", default="miri-2026-memory", show_default=True, help="The rule: a regime's name, or a regime file."
)
@as_of_options
@click.option(
    "--prior",
    "prior_share",
    type=float,
    help="Share of the owners considered that hide a covered cluster, before any finding.  [default: 0.01]",
)
@click.option("--top", type=int, default=20, show_default=True, help="Leads to list, with the rows behind them.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the samples that train the linkage.")
@click.option(
    "--html", "html_folder", type=click.Path(path_type=Path), help="Write a dossier for each lead into this folder."
)
@click.option("--ftm", "ftm_file", type=click.Path(path_type=Path), help="Write the leads as FollowTheMoney entities.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write the ranked list as CSV.")
@engine_option
@json_option
def screen(
    store: Path,
    html_folder: Path | None,
    ftm_file: Path | None,
    csv_file: Path | None,
    top: int,
    engine: str,
    json_file: str | None,
    **choices: Any,
) -> None:
    """Rank the owners of STORE by the probability that they hide, across shells and sites, what a rule covers.

    A lead is a reason to look, not a verdict.
    """
    from thresher.result import write_text
    from thresher.screening.dossiers import leads_as_csv, leads_as_ftm, write_dossiers
    from thresher.screening.screen import as_result, screening

    with screening(store, engine=engine, top=top, progress=progress, **choices) as (opened, found):
        leads = found.leads[:top]
        if html_folder is not None:
            write_dossiers(html_folder, opened, found, leads)
        if ftm_file is not None:
            write_text(ftm_file, "".join(leads_as_ftm(opened, leads, found.as_of)))
        if csv_file is not None:
            write_text(csv_file, leads_as_csv(leads, found.decisions))
        result = as_result(str(store), found, top)
    if emit(json_file, result.as_json()):
        return
    _print(found, leads)


def _print(found: Any, leads: Sequence[Any]) -> None:
    decided = {one.owner: found.decisions[one.owner].decision for one in leads if one.owner in found.decisions}
    columns = ["", "owner", "name", "probability", "as it reads", "together", "why"]
    rows = [_cells(one) for one in leads]
    if decided:  # a column of nothing would take room from the reasons
        for row, decision in (
            (columns, "decision"),
            *zip(rows, (decided.get(one.owner, "") for one in leads), strict=True),
        ):
            row.insert(-1, decision)
    print_table(
        columns, rows, title=f"{found.regime.title}: {len(found.owners):,} owners considered as of {found.as_of}"
    )
    console().print(
        f"A lead is a reason to look, not a verdict. Before any finding {found.prior_share:.2%} of the owners were taken to"
        " hide a covered cluster; figures behind the reasons are log10 likelihood ratios, fitted on synthetic records.",
        markup=False,
    )


def _cells(lead: Any) -> list[str]:
    return [
        str(lead.rank),
        lead.owner,
        lead.name or "",
        "over 99.9%" if lead.probability > SURE else f"{lead.probability:.1%}",
        READINGS[lead.readings.as_it_reads],
        f"{READINGS[lead.readings.together]}, {times_the_line(lead.readings)}",
        "; ".join(
            f"{reason.title.lower()} ({reason.log10_likelihood_ratio:+.2f})"
            for reason in lead.reasons[:3]
            if reason.log10_likelihood_ratio > 0.0
        ),
    ]
