"""The command ``catalog``: what exists, with its sources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from thresher.cli.shared import cell, emit, examples, json_option, print_table
from thresher.errors import InputError

CHIP_COLUMNS = (
    "chip", "kind", "fp16_tflops", "fp8_tflops", "tpp", "memory_gb", "memory_type", "tdp_w", "price_usd", "price_date",
)  # fmt: skip


@click.command(
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
        if not emit(json_file, rows):
            print_table(("field", "value"), [(name, cell(value)) for name, value in rows[0].items()])
        return
    elif what == "tables":
        rows = [{"table": name} for name in table_names()]
        shown = ("table",)
    else:
        rows = list(table("real_runs" if what == "runs" else what))
        shown = list(rows[0])
    if not emit(json_file, rows):
        print_table(shown, [tuple(cell(row[name]) for name in shown) for row in rows])


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
