"""The command ``assess``: can a prohibited run hide below a rule?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.moved import actor_with_budget, moving_options, programme_with_settings, rule_with_lines
from thresher.cli.shared import (
    adversary_options,
    cell,
    console,
    detection_options,
    emit,
    examples,
    given,
    json_option,
    print_table,
    progress,
    whole_number,
)
from thresher.errors import InputError

if TYPE_CHECKING:
    from thresher.assessment.assess import Assessment


@click.command(
    epilog=examples(
        "thresher assess miri-2025",
        "thresher assess miri-2026-memory --target 1e25 --network continental",
        "thresher assess my-rule.yaml --budget 5e7 --chip H100-SXM --chip A100-SXM-80GB --json -",
        "thresher assess miri-2025 --draws 4000 --seed 1",
        "thresher assess miri-2025 --programme study --actor small-state",
        "thresher assess miri-2025 --central-only",
        "thresher assess miri-2025 --quick --line compute=8 --line memory=640",
        "thresher assess miri-2025 --quick --line memory=none --set financial_audits=0.2 --actor-budget 3e8",
    )
)
@click.argument("regime")
@click.option(
    "--target",
    "targets",
    type=float,
    multiple=True,
    metavar="FLOP",
    help="Quality-adjusted FLOP to reach at least cost; repeatable.  [default: 1e24, 1e25, 1e26]",
)
@click.option(
    "--budget",
    "budgets",
    type=float,
    multiple=True,
    metavar="USD",
    help="Budget for which to reach the most; may be repeated.",
)
@adversary_options
@click.option(
    "--accounting",
    type=click.Choice(["full", "chips"]),
    default="full",
    show_default=True,
    help="What the cheapest plan minimises: everything, or chips alone as in the study.",
)
@click.option(
    "--model",
    type=click.Choice(["default", "published"]),
    default="default",
    show_default=True,
    help="Our model, or the study's calculator and search.",
)
@click.option(
    "--draws",
    default="1000",
    metavar="COUNT",
    callback=whole_number,
    help="Draws of everything uncertain, over which intervals are given.  [default: 1000; 200 with --quick]",
)
@click.option(
    "--seed",
    default="0",
    show_default=True,
    metavar="NUMBER",
    callback=whole_number,
    help="Of the draws; the same seed gives the same numbers.",
)
@click.option(
    "--posterior",
    metavar="FILE",
    help="A posterior of what replicas cost, from thresher calibrate.  [default: the one that ships]",
)
@detection_options
@moving_options
@click.option(
    "--quick",
    is_flag=True,
    help="A coarser search, in seconds: targets alone, and nothing of what drives the answer or of committing beforehand.",
)
@click.option("--central-only", is_flag=True, help="Central values alone: quick, and without intervals.")
@click.option("--html", "html_file", metavar="FILE", help="Where the report goes.  [default: reports/REGIME.html]")
@json_option
@click.pass_context
def assess(
    ctx: click.Context,
    regime: str,
    targets: tuple[float, ...],
    budgets: tuple[float, ...],
    network: str,
    chips: tuple[str, ...],
    precisions: tuple[str, ...],
    modes: tuple[str, ...],
    max_days: float | None,
    max_nodes: int | None,
    accounting: str,
    model: str,
    draws: Any,
    seed: Any,
    posterior: str | None,
    programme: str | None,
    actor: str,
    lines: tuple[str, ...],
    levers: tuple[str, ...],
    actor_budget: str | None,
    quick: bool,
    central_only: bool,
    html_file: str | None,
    json_file: str | None,
) -> None:
    """Can a prohibited run hide below REGIME (a name, or a regime file)?

    Finds the cheapest plan that no cluster clause covers for each capability, what nearly caught it, what the same costs in
    the open, whom the rule burdens, and how far the plan lies beyond anything measured; each answer with its 50% and 90%
    intervals over draws of everything uncertain; and whether, when and by what the run would be detected. Prints a table, and
    writes a report (HTML) and a result file (JSON) under reports/.
    """
    of_draws = given(ctx, "draws", "seed", "posterior", "programme", "actor", "levers", "actor_budget")
    if model == "published":
        unused = {
            **of_draws,
            "--central-only": central_only,
            "--quick": quick,
            "--line": lines,
            "--budget": budgets,
            "--precision": precisions,
            "--mode": modes,
            "--max-nodes": max_nodes,
            "--max-days": max_days,
            "--html": html_file,
        }
        for option, value in unused.items():
            if value:
                raise InputError(option, "no such option with --model published, whose search is the study's own")
        _assess_published(regime, targets, chips, json_file)
        return
    if central_only and of_draws:
        raise InputError(next(iter(of_draws)), "no such option with --central-only, which draws nothing")
    if quick and budgets:
        raise InputError("--budget", "no such option with --quick, which answers targets alone; leave --quick out")
    from thresher.assessment.assess import assess as run
    from thresher.countermeasures.programmes import programme_for
    from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, settings
    from thresher.regime import load_regime

    if max_nodes is not None and max_nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", max_nodes)
    if quick and not given(ctx, "draws"):
        draws = settings()["quick"]["draws"]
    written = load_regime(regime)
    result = run(
        rule_with_lines(written, lines),
        targets=targets or None,
        budgets=budgets,
        network_profile=network,
        chips=chips or None,
        precisions=precisions or NUMBER_FORMATS,
        modes=modes or DISTRIBUTED_MODES,
        longest_days=max_days,
        node_limit=max_nodes,
        chips_only=accounting == "chips",
        draws=None if central_only else draws,
        seed=seed,
        posterior=posterior,
        programme=None if central_only else programme_with_settings(programme or programme_for(written), levers),
        actor=actor_with_budget(actor, actor_budget),
        quick=quick,
        slow_links=any(text.partition("=")[0].strip() == "bandwidth" for text in lines),
        progress=progress,
    )
    name = _file_name(result.regime.name) + ("-quick" if quick else "")
    page = Path(html_file or f"reports/{name}.html")
    if json_file == "-":
        emit(json_file, result.as_result().as_json())
        if html_file is not None:
            _write_report(result, page)
        return
    _write_report(result, page)
    data = Path(json_file or f"reports/{name}.json")
    emit(str(data), result.as_result().as_json())
    from thresher.assessment.table import print_assessment

    print_assessment(result, console())
    click.echo(f"Report: {page}\nResult: {data}")


def _file_name(rule: str) -> str:
    """The name of a rule as that of a file; one whose lines were moved is ``miri-2025 [compute=8]``."""
    return re.sub(r"[^\w.-]+", "-", rule).strip("-")


def _assess_published(regime: str, targets: Sequence[float], chips: Sequence[str], json_file: str | None) -> None:
    """The study's calculator and search under a regime: chips-only cost, its grid, its assumptions."""
    from dataclasses import astuple

    from thresher.assessment.published import assess_published

    rows = assess_published(regime, targets=targets or None, chips=chips or None, progress=progress)
    if not emit(json_file, rows):
        print_table(
            ("target FLOP", "chip", "format", "chips/node", "nodes", "mode", "billion params", "chips-only USD"),
            [tuple(cell(value) for value in astuple(row)) for row in rows],
            title="The study's calculator (preset published): chips-only cost at its own assumptions",
        )


def _write_report(result: Assessment, page: Path) -> None:
    from thresher.assessment.report import html_report
    from thresher.result import write_text

    progress("drawing the report")
    write_text(page, html_report(result))
