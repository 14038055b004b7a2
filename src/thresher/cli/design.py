"""The command ``design``: sweep the thresholds of a rule, and weigh what each costs evasion against whom it burdens."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.shared import adversary_options, cell, console, emit, examples, json_option, print_table, progress
from thresher.errors import InputError

if TYPE_CHECKING:
    from thresher.evasion.published_tables import ThresholdRow
    from thresher.execution import Store
    from thresher.thresholds.answers import Design
    from thresher.thresholds.sweep import Sweep

VARIED = ("compute", "memory")
STUDIED = ("miri-2025", "miri-2026-memory")
"""The regimes whose lines the study's two tables move: the draft agreement, and the amendment itself."""
TITLES = {
    "compute": "A lower compute threshold: the study's calculator, chips alone",
    "memory": "A memory threshold beside 16 H100-equivalents: the study's calculator, chips alone",
}
PUBLISHED = (
    "chip", "format", "H100-equivalents", "memory GB", "chips/node", "billion params/node", "target FLOP", "nodes", "mode",
    "billion params", "chips-only USD",
)  # fmt: skip
SIGNED = 8
"""Characters of a sweep's signature that name the folder where it is kept."""


@click.command(
    epilog=examples(
        "thresher design miri-2025",
        "thresher design miri-2025 --vary compute,memory --values compute=4,8,16 --values memory=320:2560:4 --target 1e25",
        "thresher design my-rule.yaml --vary memory --clusters clusters.csv --workers 2 --json -",
        "thresher design miri-2025 --scheduler tcp://10.0.0.5:8786 --keep sweep",
        "thresher design miri-2025 --model published",
    )
)
@click.argument("regime")
@click.option(
    "--vary",
    multiple=True,
    metavar="AXIS,...",
    help="The lines to vary: compute, memory, owner-compute, owner-memory, bandwidth.  [default: compute,memory]",
)
@click.option(
    "--values",
    multiple=True,
    metavar="AXIS=LINES",
    help="The lines to try on an axis, as LINE,LINE,... (none: no line) or LOW:HIGH:COUNT; repeatable.",
)
@click.option(
    "--target",
    "targets",
    type=float,
    multiple=True,
    metavar="FLOP",
    help="Quality-adjusted FLOP to reach; repeatable, and the middle one orders the frontier.  [default: 1e24, 1e25, 1e26]",
)
@click.option("--draws", type=int, help="Draws of everything uncertain.  [default: 200]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--posterior",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What replicas cost, from thresher calibrate.  [default: the posterior that ships]",
)
@adversary_options
@click.option(
    "--clusters",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own clusters (CSV, as thresher classify reads them), counted as a burden.",
)
@click.option("--workers", type=int, default=1, show_default=True, help="Local processes.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="A Dask scheduler whose workers run the sweep, for instance tcp://10.0.0.5:8786.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep what is done in FOLDER, and go on from there.  [default: a hidden one under reports/ until it is complete]",
)
@click.option(
    "--model",
    type=click.Choice(["default", "published"]),
    default="default",
    show_default=True,
    help="Our model, or the study's two threshold tables.",
)
@click.option(
    "--html", "html_file", metavar="FILE", help="Where the report goes.  [default: reports/design-REGIME.html]"
)
@json_option
def design(
    regime: str, vary: tuple[str, ...], values: tuple[str, ...], targets: tuple[float, ...], draws: int | None, seed: int,
    posterior: Path | None, network: str, chips: tuple[str, ...], precisions: tuple[str, ...], modes: tuple[str, ...],
    max_days: float | None, max_nodes: int | None, clusters: Path | None, workers: int, scheduler: str | None,
    keep: Path | None, model: str,
    html_file: str | None, json_file: str | None,
) -> None:  # fmt: skip
    """Where should REGIME (a name, or a regime file) draw its lines?

    Sweeps its thresholds. For each combination of lines: what the cheapest evasion costs at each target, with its interval, the
    largest model that one unseen node holds, and whom the lines burden; then the efficient frontier of cost imposed against
    burden, and whether the rule and its amendment are on it. Prints a table, and writes a report (HTML) and a result file (JSON)
    under reports/. An interrupted sweep keeps what is done: the same command goes on from there.
    """
    if model == "published":
        unused = {
            "--values": values, "--target": targets, "--draws": draws is not None, "--seed": seed,
            "--posterior": posterior, "--chip": chips, "--precision": precisions, "--mode": modes,
            "--max-days": max_days is not None, "--max-nodes": max_nodes is not None, "--clusters": clusters,
            "--workers": workers != 1, "--scheduler": scheduler,
            "--keep": keep, "--html": html_file, "--network": network != "study",
        }  # fmt: skip
        for option, value in unused.items():
            if value:
                raise InputError(
                    option, "no such option with --model published, which gives the study's own two tables"
                )
        _published(regime, _names(vary), json_file)
        return
    from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS
    from thresher.thresholds.lines import parse_values
    from thresher.thresholds.sweep import prepare_sweep

    if max_nodes is not None and max_nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", max_nodes)
    sweep = prepare_sweep(
        regime, vary=_names(vary) or VARIED, values=parse_values(values), targets=targets or None, draws=draws, seed=seed,
        posterior=posterior, network_profile=network, chips=chips or None, precisions=precisions or NUMBER_FORMATS,
        modes=modes or DISTRIBUTED_MODES, longest_days=max_days, node_limit=max_nodes, clusters=clusters,
    )  # fmt: skip
    kept = _store(sweep, keep)
    found = _run(sweep, kept, workers, scheduler)
    name = f"reports/design-{sweep.regime.name}"
    page = Path(html_file or f"{name}.html")
    if json_file == "-":
        emit(json_file, found.as_result().as_json())
        if html_file is not None:
            _write_report(found, page)
    else:
        _write_report(found, page)
        data = Path(json_file or f"{name}.json")
        emit(str(data), found.as_result().as_json())
        from thresher.thresholds.table import print_design

        print_design(found, console())
        click.echo(f"Report: {page}\nResult: {data}")
    if keep is None and kept is not None:
        _forget(kept.folder)


def _names(texts: Sequence[str]) -> list[str]:
    """Names parted by commas, over any number of options."""
    return [name.strip() for text in texts for name in text.split(",")]


def _store(sweep: Sweep, keep: Path | None) -> Store | None:
    """Where what is done is kept: the folder asked for, or one of the sweep's own, where one can be made."""
    from thresher.execution import Store

    if keep is not None:
        return Store(keep, sweep.signature)
    try:
        return Store(Path("reports") / f".design-{sweep.regime.name}-{sweep.signature[:SIGNED]}", sweep.signature)
    except InputError:
        progress(
            "nothing is kept if this is interrupted: reports/ cannot be written (--keep FOLDER keeps it elsewhere)"
        )
        return None


def _run(sweep: Sweep, kept: Store | None, workers: int, scheduler: str | None) -> Design:
    from thresher.thresholds.sweep import run_sweep

    progress(f"searching {len(sweep.tasks)} combinations of lines, {sweep.inputs['draws']} draws each")
    try:
        return run_sweep(sweep, workers=workers, scheduler=scheduler, kept=kept, progress=progress)
    except BaseException:
        if kept is not None:
            _say_where_kept(kept)
        raise


def _say_where_kept(kept: Store) -> None:
    done = len(list(kept.folder.glob("*.npz")))
    if done:
        progress(f"{done} done are kept in {kept.folder}; the same command goes on from there")
    elif kept.folder.name.startswith(".design-"):
        _forget(kept.folder)


def _forget(folder: Path) -> None:
    """Remove a folder of our own, and the one above where it holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def _published(regime: str, varied: Sequence[str], json_file: str | None) -> None:
    """The study's two threshold tables, of the rule that it amends; one of them where one line is varied."""
    from thresher.evasion.published_tables import published_threshold_tables
    from thresher.regime import load_regime

    if (name := load_regime(regime).name) not in STUDIED:
        raise InputError("--model published", f"one of {', '.join(STUDIED)}, whose lines the study moves", name)
    for axis in varied:
        if axis not in TITLES:
            raise InputError("--vary", f"one of {', '.join(TITLES)}, of which the study has a table", axis)
    progress("searching the study's tables anew")
    rows = [row for row in published_threshold_tables() if row.table in (varied or TITLES)]
    if emit(json_file, rows):
        return
    for table in dict.fromkeys(row.table for row in rows):
        cells = [tuple(map(cell, _published_row(row))) for row in rows if row.table == table]
        print_table(PUBLISHED, cells, title=TITLES[table])
        click.echo()


def _published_row(row: ThresholdRow) -> tuple[Any, ...]:
    memory = "none" if row.threshold_memory_gb is None else row.threshold_memory_gb
    return (
        row.chip, row.precision, row.threshold_h100e, memory, row.node_chips, row.largest_params_b, row.target_flop_quality,
        row.nodes, row.mode or "out of reach", row.params_b, row.chips_only_usd,
    )  # fmt: skip


def _write_report(found: Design, page: Path) -> None:
    from thresher.result import write_text
    from thresher.thresholds.report import html_report

    progress("drawing the report")
    write_text(page, html_report(found))
