"""The commands, thin: options in, one call, a table or JSON out; bad input ends with a sentence and status 2."""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from thresher.errors import InputError, ThresherError

if TYPE_CHECKING:
    from thresher.assessment.assess import Assessment

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
PIPE_WIDTH = 160
INTERRUPTED = 130
"""The exit status of a command that SIGINT ends, by the custom of shells."""
CHIP_COLUMNS = (
    "chip", "kind", "fp16_tflops", "fp8_tflops", "tpp", "memory_gb", "memory_type", "tdp_w", "price_usd", "price_date",
)  # fmt: skip
WHOLE_BELOW = 1e7
"""Whole numbers below this are printed digit by digit."""
JSON_HELP = "Write the result as JSON to FILE; - for standard output, which then holds the JSON alone."


class Commands(click.Group):
    """A group whose commands turn a ``ThresherError`` into one sentence on standard error and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; nothing a person can mend ends in a traceback."""
        try:
            return super().invoke(ctx)
        except ThresherError as error:
            click.echo(f"thresher: {error}", err=True)
            ctx.exit(2)
        except (KeyboardInterrupt, click.Abort):
            click.echo("thresher: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            click.echo(f"thresher: standard output: expected a place that can be written ({error.strerror})", err=True)
            ctx.exit(2)


def examples(*lines: str) -> str:
    """An epilogue of examples that click leaves as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option every command has."""
    return click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)(function)


def _whole_number(_ctx: click.Context, _option: click.Parameter, text: str) -> int | str:
    """A whole number where the text is one; other text goes on as it is, to be refused by name where its bounds are known."""
    try:
        return int(text)
    except ValueError:
        return text


def _given(ctx: click.Context, *names: str) -> dict[str, bool]:
    """The options among these that stand on the command line, default or not."""
    return {f"--{name}": True for name in names if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}


@click.group(
    cls=Commands, context_settings=CONTEXT, epilog=examples("thresher assess miri-2025", "thresher COMMAND --help")
)
@click.version_option(package_name="thresher")
def main() -> None:
    """Could a prohibited AI training run be split into pieces too small for the rule to see?

    Thresher evaluates rules on compute: what they leave possible unseen, what that costs, whom they burden, and how far the
    evidence reaches.
    """
    if sys.stdout is None:
        raise InputError("standard output", "one that is open")
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character gets a question mark, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@main.command(
    epilog=examples(
        "thresher assess miri-2025",
        "thresher assess miri-2026-memory --target 1e25 --network continental",
        "thresher assess my-rule.yaml --budget 5e7 --chip H100-SXM --chip A100-SXM-80GB --json -",
        "thresher assess miri-2025 --draws 4000 --seed 1",
        "thresher assess miri-2025 --central-only",
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
@click.option(
    "--network", default="study", show_default=True, help="Network profile of the catalog (thresher catalog networks)."
)
@click.option(
    "--chip",
    "chips",
    multiple=True,
    metavar="ID",
    help="Use only this chip; may be repeated.  [default: all that are for sale]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(["bf16", "fp8", "fp4"]),
    multiple=True,
    help="Use only this number format; may be repeated.",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice(["flat", "hierarchical", "pipeline", "swarm"]),
    multiple=True,
    help="Use only this way of working together; may be repeated.",
)
@click.option("--max-days", type=float, help="Longest run considered.  [default: 548, the study's 1.5 years]")
@click.option("--max-nodes", type=int, help="Most nodes considered.  [default: 100000]")
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
    show_default=True,
    metavar="COUNT",
    callback=_whole_number,
    help="Draws of everything uncertain, over which intervals are given.",
)
@click.option(
    "--seed",
    default="0",
    show_default=True,
    metavar="NUMBER",
    callback=_whole_number,
    help="Of the draws; the same seed gives the same numbers.",
)
@click.option(
    "--posterior",
    metavar="FILE",
    help="A posterior of what replicas cost, from thresher calibrate.  [default: the one that ships]",
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
    central_only: bool,
    html_file: str | None,
    json_file: str | None,
) -> None:
    """Can a prohibited run hide below REGIME (a name, or a regime file)?

    Finds the cheapest plan that no cluster clause covers for each capability, what nearly caught it, what the same costs
    in the open, whom the rule burdens, and how far the plan lies beyond anything measured; each answer with its 50% and 90%
    intervals over draws of everything uncertain. Prints a table, and writes a report (HTML) and a result file (JSON) under
    reports/.
    """
    of_draws = _given(ctx, "draws", "seed", "posterior")
    if model == "published":
        unused = {
            **of_draws,
            "--central-only": central_only,
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
    from thresher.assessment.assess import assess as run
    from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS

    if max_nodes is not None and max_nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", max_nodes)
    result = run(
        regime,
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
        progress=_progress,
    )
    name = result.regime.name
    page = Path(html_file or f"reports/{name}.html")
    if json_file == "-":
        _emit(json_file, result.as_result().as_json())
        if html_file is not None:
            _write_report(result, page)
        return
    _write_report(result, page)
    data = Path(json_file or f"reports/{name}.json")
    _emit(str(data), result.as_result().as_json())
    from thresher.assessment.table import print_assessment

    print_assessment(result, _console())
    click.echo(f"Report: {page}\nResult: {data}")


@main.command(
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
    if not _emit(json_file, outcome):
        rows = [outcome] if isinstance(outcome, dict) else outcome
        for number, row in enumerate(rows, start=1):
            _print_outcome(row, f"{plan}" if isinstance(outcome, dict) else f"{plan}: case {number}")


@main.command(
    epilog=examples(
        "thresher classify clusters.csv --regime miri-2025",
        "thresher classify clusters.csv --regime my-rule.yaml --json -",
    )
)
@click.argument("clusters", type=click.Path(path_type=Path))
@click.option("--regime", required=True, help="A regime's name, or a regime file.")
@json_option
def classify(clusters: Path, regime: str, json_file: str | None) -> None:
    """Say which clusters of CLUSTERS (CSV) a rule covers, by which clause and with what margin.

    One row per chip type: cluster,chip,count and optionally site,owner,interconnect_gbit_s,networked.
    """
    from thresher.regime import decisions_as_json, load_regime, read_clusters

    rule = load_regime(regime)
    decisions = rule.classify(read_clusters(clusters))
    if _emit(json_file, decisions_as_json(decisions)):
        return
    words = {True: "covered", False: "not covered", None: "unknown"}
    rows = []
    for decision in decisions:
        if not decision.clauses:
            rows.append((decision.cluster, words[decision.covered], "no cluster clause", "", "", ""))
        for clause in decision.clauses:
            value = "unknown" if clause.value is None else f"{clause.value:,.4g}"
            margin = "" if clause.margin is None else f"{clause.margin:+.1%}"
            beside = "; ".join(clause.counted_with) or (
                "missing: " + ", ".join(clause.missing) if clause.missing else ""
            )
            rows.append(
                (
                    decision.cluster,
                    words[clause.covered],
                    clause.id,
                    f"{value} of {clause.threshold:,.4g}",
                    margin,
                    beside,
                )
            )
    _print_table(("cluster", "decision", "clause", "value of line", "margin", "counted with"), rows, title=rule.title)


@main.group(cls=Commands, epilog=examples("thresher regime list", "thresher regime lint miri-2025"))
def regime() -> None:
    """List and check regimes: rules as data."""


@regime.command("list", epilog=examples("thresher regime list", "thresher regime list --json -"))
@json_option
def regime_list(json_file: str | None) -> None:
    """The regimes that ship, with their status."""
    from thresher.regime import load_regime, regimes

    rows = [
        {"name": rule.name, "title": rule.title, "status": rule.status, "clauses": len(rule.clauses)}
        for rule in map(load_regime, regimes())
    ]
    if not _emit(json_file, rows):
        _print_table(("name", "title", "status", "clauses"), [tuple(map(str, row.values())) for row in rows])


@regime.command("lint", epilog=examples("thresher regime lint miri-2025", "thresher regime lint my-rule.yaml --json -"))
@click.argument("name")
@json_option
@click.pass_context
def regime_lint(ctx: click.Context, name: str, json_file: str | None) -> None:
    """Point at clauses of a regime that contradict each other or leave a gap; status 1 where there are any."""
    from thresher.api import lint

    findings = lint(name)
    if not _emit(json_file, findings):
        for finding in findings:
            click.echo(f"{finding.kind}: {', '.join(finding.clause_ids)}\n    {finding.message}")
        click.echo(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}" if findings else "no findings")
    ctx.exit(1 if findings else 0)


@regime.command("schema", epilog=examples("thresher regime schema", "thresher regime schema --json regime.schema.json"))
@json_option
def regime_schema(json_file: str | None) -> None:
    """The form of a regime file, key by key: Markdown, or a JSON Schema that editors understand."""
    from thresher.regime import regime_schema_markdown
    from thresher.regime.schema import RegimeFile

    if not _emit(json_file, RegimeFile.model_json_schema()):
        click.echo(regime_schema_markdown())


@main.command(
    epilog=examples(
        "thresher catalog chips --maker NVIDIA --memory-kind HBM",
        "thresher catalog chips --at-least memory_gb=100 --at-most price_usd=20000",
        "thresher catalog networks --json -",
        "thresher catalog H100-SXM",
        "thresher catalog measured_utilisation",
    )
)
@click.argument("what", default="chips")
@click.option("--maker", help="Only chips of this maker.")
@click.option("--kind", help="Only chips of this kind (datacentre, workstation, consumer, ...).")
@click.option("--generation", help="Only chips of this architecture family.")
@click.option("--memory-kind", help="Only chips with this kind of memory: HBM, GDDR, LPDDR.")
@click.option("--at-least", multiple=True, metavar="COLUMN=NUMBER", help="Only chips with at least this much.")
@click.option("--at-most", multiple=True, metavar="COLUMN=NUMBER", help="Only chips with at most this much.")
@json_option
def catalog(
    what: str,
    maker: str | None,
    kind: str | None,
    generation: str | None,
    memory_kind: str | None,
    at_least: tuple[str, ...],
    at_most: tuple[str, ...],
    json_file: str | None,
) -> None:
    """List and filter what exists.

    WHAT is chips (the default), networks, systems, runs, tables, the name of one of the tables, or a chip's id for all that is
    known of it, with its sources.
    """
    from dataclasses import asdict

    from thresher.catalog import chip, chips, filter_chips, networks, reference_systems, table, table_names

    if what == "chips":
        chosen = filter_chips(
            maker=maker,
            kind=kind,
            generation=generation,
            memory_kind=memory_kind,
            at_least=_bounds(at_least, "--at-least"),
            at_most=_bounds(at_most, "--at-most"),
        )
        rows: list[Mapping[str, Any]] = [asdict(item) for item in chosen]
        shown: Sequence[str] = CHIP_COLUMNS
    elif what == "networks":
        rows = [asdict(item) for item in networks().values()]
        shown = ("network", "name", "upload_mbps", "download_mbps", "round_trip_ms", "regional_mbps")
    elif what == "systems":
        rows = [asdict(item) for item in reference_systems()]
        shown = ("system", "category", "chip", "count", "memory_gb", "h100_equivalents")
    elif what.lower() in {name.lower() for name in chips()}:
        rows = [asdict(chip(what))]
        if not _emit(json_file, rows):
            _print_table(("field", "value"), [(name, _cell(value)) for name, value in rows[0].items()])
        return
    elif what == "tables":
        rows = [{"table": name} for name in table_names()]
        shown = ("table",)
    else:
        rows = list(table("real_runs" if what == "runs" else what))
        shown = list(rows[0])
    if not _emit(json_file, rows):
        _print_table(shown, [tuple(_cell(row[name]) for name in shown) for row in rows])


@main.command(
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
    if _emit(json_file, as_json(comparisons)):
        return
    for comparison in comparisons if all_rows or rows_file else ():
        rows = [
            (row.label, _cell(row.predicted), _cell(row.measured), _percent(row.relative_error), _cell(row.baseline))
            for row in comparison.rows
        ]
        title = f"{comparison.table}: {comparison.what}, {comparison.unit}"
        _print_table(("row", "predicted", "measured", "error", "baseline"), rows, title=title)
    _print_table(
        ("table", "quantity", "rows", "median error", "published calculator"),
        summary_lines(comparisons),
        title="Median absolute relative error, prediction against measurement",
    )
    for comparison in comparisons:
        click.echo(f"\n{comparison.table}, {comparison.what}: {comparison.note}")


def _assess_published(regime: str, targets: Sequence[float], chips: Sequence[str], json_file: str | None) -> None:
    """The study's calculator and search under a regime: chips-only cost, its grid, its assumptions."""
    from dataclasses import astuple

    from thresher.assessment.published import assess_published

    rows = assess_published(regime, targets=targets or None, chips=chips or None, progress=_progress)
    if not _emit(json_file, rows):
        _print_table(
            ("target FLOP", "chip", "format", "chips/node", "nodes", "mode", "billion params", "chips-only USD"),
            [tuple(_cell(value) for value in astuple(row)) for row in rows],
            title="The study's calculator (preset published): chips-only cost at its own assumptions",
        )


def _write_report(result: Assessment, page: Path) -> None:
    from thresher.assessment.report import html_report
    from thresher.result import write_text

    _progress("drawing the report")
    write_text(page, html_report(result))


def _progress(message: str) -> None:
    click.echo(f"thresher: {message}", err=True)


def _console() -> Any:
    """A console as wide as the terminal; a pipe or a file gets wide lines, so that nothing is cut."""
    from rich.console import Console

    stated = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if stated else PIPE_WIDTH)


def _emit(json_file: str | None, data: Any) -> bool:
    """Write JSON if it is asked for; whether standard output is spoken for."""
    if json_file is None:
        return False
    from thresher.result import to_json_text, write_text

    text = to_json_text(data)
    if json_file == "-":
        click.echo(text, nl=False)
        return True
    write_text(Path(json_file), text)
    return False


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    from rich.table import Column, Table

    table = Table(
        *(Column(name, overflow="fold") for name in columns), title=title, title_justify="left", show_edge=False
    )
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and math.isnan(value):
        return "unknown"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < WHOLE_BELOW else f"{value:,.4g}"


def _print_outcome(outcome: Mapping[str, Any], title: str) -> None:
    rows = [(name, _cell(value)) for name, value in outcome.items() if not isinstance(value, list | dict)]
    _print_table(("outcome", "value"), rows, title=title)
    for heading in ("evidence", "warnings"):
        if lines := outcome.get(heading):
            click.echo(heading)
            for line in lines:
                click.echo(f"  {line}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:+.1%}"


def _bounds(texts: Sequence[str], option: str) -> dict[str, float]:
    bounds = {}
    for text in texts:
        column, _, number = text.partition("=")
        try:
            bounds[column] = float(number)
            if math.isnan(bounds[column]):
                raise ValueError
        except ValueError:
            raise InputError(option, "COLUMN=NUMBER, for instance memory_gb=80", text) from None
    return bounds
