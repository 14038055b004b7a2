"""The commands ``classify`` and ``regime``: rules applied to clusters, listed and checked."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import Commands, emit, examples, json_option, print_table


@click.command(
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
    if emit(json_file, decisions_as_json(decisions)):
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
    print_table(("cluster", "decision", "clause", "value of line", "margin", "counted with"), rows, title=rule.title)


@click.group(cls=Commands, epilog=examples("thresher regime list", "thresher regime lint miri-2025"))
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
    if not emit(json_file, rows):
        print_table(("name", "title", "status", "clauses"), [tuple(map(str, row.values())) for row in rows])


@regime.command("lint", epilog=examples("thresher regime lint miri-2025", "thresher regime lint my-rule.yaml --json -"))
@click.argument("name")
@json_option
@click.pass_context
def regime_lint(ctx: click.Context, name: str, json_file: str | None) -> None:
    """Point at clauses of a regime that contradict each other or leave a gap; status 1 where there are any."""
    from thresher.api import lint

    findings = lint(name)
    if not emit(json_file, findings):
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

    if not emit(json_file, RegimeFile.model_json_schema()):
        click.echo(regime_schema_markdown())
