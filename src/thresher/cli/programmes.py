"""The command ``programmes``: would a programme of countermeasures catch it, and which is the cheapest that would?"""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import adversary_options, console, emit, examples, given, json_option, print_table, progress
from thresher.errors import InputError

NOT_OF_SCENARIOS = (
    "target", "actors", "named", "bound", "state_budget", "objective", "posterior", "chips", "precisions", "modes", "max_days",
    "max_nodes", "html_file",
)  # fmt: skip


def _list(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    """Print what ships, and go."""
    if not value or ctx.resilient_parsing:
        return
    from thresher.countermeasures.actors import actors, load_actor
    from thresher.countermeasures.programmes import load_programme, programmes

    shipped = [load_programme(name) for name in programmes()]
    print_table(("programme", "what it is", "source"), [(one.name, one.title, one.source) for one in shipped])
    click.echo()
    who = [load_actor(name) for name in actors()]
    print_table(("actor", "who it is", "budget USD"), [(one.name, one.title, f"{one.budget_usd:,.0f}") for one in who])
    ctx.exit()


@click.command(
    epilog=examples(
        "thresher programmes miri-2025",
        "thresher programmes miri-2026-memory --actor company --target 1e24 --bound 0.05",
        "thresher programmes miri-2025 --programme agreement --programme my-programme.yaml --actor my-actor.yaml --json -",
        "thresher programmes miri-2025 --state-budget 1e8 --objective expected",
        "thresher programmes miri-2025 --scenarios",
        "thresher programmes --list",
    )
)
@click.argument("regime")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="Name the programmes and actors that ship.",
)
@click.option(
    "--target", type=float, metavar="FLOP", help="Quality-adjusted FLOP that the adversary wants.  [default: 1e25]"
)
@click.option(
    "--actor",
    "actors",
    multiple=True,
    metavar="NAME|FILE",
    help="Who tries; may be repeated.  [default: all that ship]",
)
@click.option(
    "--programme",
    "named",
    multiple=True,
    metavar="NAME|FILE",
    help="What the state does; may be repeated, and the parts of the last are weighed."
    "  [default: baseline, agreement, study, everything; study is weighed]",
)
@click.option("--bound", type=float, help="The chance of success that the state will bear.  [default: 0.1]")
@click.option(
    "--state-budget", type=float, metavar="USD", help="Dollars a year for which to find the best programme too."
)
@click.option(
    "--objective",
    type=click.Choice(["finish", "expected", "within-risk"]),
    default="finish",
    show_default=True,
    help="What the adversary maximises: its chance to finish undetected, the expected capability, or cheapness within the risk"
    " that it accepts.",
)
@click.option("--draws", type=int, help="Draws of everything uncertain.  [default: 200]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--posterior", metavar="FILE", help="What replicas cost, from thresher calibrate.  [default: the one that ships]"
)
@adversary_options
@click.option("--scenarios", is_flag=True, help="The study's four scenarios instead: ours beside its words.")
@click.option(
    "--html", "html_file", metavar="FILE", help="Where the report goes.  [default: reports/programmes-REGIME.html]"
)
@json_option
@click.pass_context
def programmes(
    ctx: click.Context, regime: str, target: float | None, actors: tuple[str, ...], named: tuple[str, ...], bound: float | None,
    state_budget: float | None, objective: str, draws: int | None, seed: int, posterior: str | None, network: str,
    chips: tuple[str, ...], precisions: tuple[str, ...], modes: tuple[str, ...], max_days: float | None, max_nodes: int | None,
    scenarios: bool, html_file: str | None, json_file: str | None,
) -> None:  # fmt: skip
    """Would we catch it under REGIME (a name, or a regime file), and what would make sure?

    Plays programmes of countermeasures against adversaries who know them and pick the plan and the way to hide that do best:
    the chance that each reaches the target undetected, when and by what it is detected, what false alarms cost; the cheapest
    programme that holds that chance under a bound; and what each countermeasure and each setting is worth. Prints tables, and
    writes a report (HTML) and a result file (JSON) under reports/.
    """
    if scenarios:
        for option in given(ctx, *NOT_OF_SCENARIOS):
            raise InputError(option, "no such option with --scenarios, which are the study's own")
        _scenarios(regime, draws, seed, network, json_file)
        return
    from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS
    from thresher.portfolios.programmes import programmes as run
    from thresher.portfolios.report import html_report
    from thresher.result import write_text

    if max_nodes is not None and max_nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", max_nodes)
    found = run(
        regime, target=target, actors_named=actors, programmes_named=named, bound=bound, budget_usd_per_year=state_budget,
        objective=objective, draws=draws, seed=seed, posterior=posterior, network_profile=network, chips=chips or None,
        precisions=precisions or NUMBER_FORMATS, modes=modes or DISTRIBUTED_MODES, longest_days=max_days, node_limit=max_nodes,
        progress=progress,
    )  # fmt: skip
    name = f"reports/programmes-{found.regime.name}"
    page = Path(html_file or f"{name}.html")
    if json_file != "-" or html_file is not None:
        progress("drawing the report")
        write_text(page, html_report(found))
    if json_file == "-":
        emit(json_file, found.as_result().as_json())
        return
    data = Path(json_file or f"{name}.json")
    emit(str(data), found.as_result().as_json())
    from thresher.portfolios.table import print_portfolio

    print_portfolio(found, console())
    click.echo(f"Report: {page}\nResult: {data}")


def _scenarios(regime: str, draws: int | None, seed: int, network: str, json_file: str | None) -> None:
    """The study's scenarios: whistleblowers, inspections and purchases over 6, 12 and 18 months."""
    from thresher.portfolios.scenarios import COLUMNS, scenario_rows, study_scenarios

    rows = study_scenarios(regime, draws=draws, seed=seed, network_profile=network)
    if not emit(json_file, rows):
        print_table(
            COLUMNS,
            scenario_rows(rows),
            title="The study's scenarios: nodes of 50 A100-SXM-80GB; ours beside its words",
        )
