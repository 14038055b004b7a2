"""How each comparison stands: its short name, whether its rows are a test, what refits without them say, and their sources."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from thresher.catalog.measurements import table, table_source
from thresher.sources import read_yaml
from thresher.validation.comparison import Comparison

STANDINGS = ("in sample", "partly in sample", "left out", "out of sample")
"""Whether the numbers that predict a row were set with it in sight; ``left out`` is a prediction by a refit without it."""
LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row of a comparison as a fit predicts it that has not seen it, nor others like it: ``what`` was left out."""

    label: str
    what: str
    predicted: float


def keys() -> tuple[str, ...]:
    """The names of the comparisons, as ``table.quantity``."""
    return tuple(_document())


def key_of(one: Comparison) -> str:
    """The name of a comparison, as ``table.quantity``."""
    return next(key for key, row in _document().items() if key.startswith(f"{one.table}.") and row["what"] == one.what)


def short_name(one: Comparison) -> str:
    """A comparison in a few words, as a chart has it."""
    return str(_document()[key_of(one)]["short"])


def standing(one: Comparison) -> str:
    """Whether a comparison is a test: one of ``STANDINGS``; single rows may differ (`standings`)."""
    return str(_document()[key_of(one)]["sample"])


def standings(one: Comparison) -> tuple[str, ...]:
    """Whether each row of a comparison is a test: one of ``STANDINGS``."""
    patterns: Mapping[str, str] = _document()[key_of(one)].get("rows", {})
    return tuple(
        next((how for pattern, how in patterns.items() if re.search(pattern, row.label)), standing(one))
        for row in one.rows
    )


def left_out_predictions(one: Comparison) -> tuple[LeftOut, ...]:
    """What refits predict of the rows that they leave out; none where no refit was made (``tools/left_out_predictions.py``)."""
    return _left_out().get(key_of(one), ())


def row_sources(one: Comparison) -> tuple[str, ...]:
    """Where each row was read: the row's own source where the table has one, the table's citation otherwise."""
    rows, cited = table(one.table), table_source(one.table)["citation"]
    if "source" not in rows[0]:
        return (cited,) * len(one.rows)
    if len(rows) == len(one.rows):
        return tuple(_said(row) for row in rows)
    name = "run" if "run" in rows[0] else "source"
    return tuple(
        next((_said(row) for row in rows if shown.label.startswith(str(row[name]))), cited) for shown in one.rows
    )


def _said(row: Mapping[str, Any]) -> str:
    source = str(row["source"]).replace("arXiv:", "arXiv ")
    return f"{source} ({row['how']})" if row.get("how") else source


@cache
def _document() -> dict[str, dict[str, Any]]:
    text = files("thresher.validation").joinpath("data", "comparisons.yaml").read_text("utf-8")
    found: dict[str, dict[str, Any]] = read_yaml(text, "thresher/validation/data/comparisons.yaml")
    return found


@cache
def _left_out() -> dict[str, tuple[LeftOut, ...]]:
    text = files("thresher.validation").joinpath("data", "left_out_predictions.csv").read_text("utf-8")
    found: dict[str, tuple[LeftOut, ...]] = {}
    for row in csv.DictReader(text.splitlines()):
        one = LeftOut(row["row"], row["left_out"], float(row["predicted"]))
        found[row["comparison"]] = (*found.get(row["comparison"], ()), one)
    return found
