"""The rows to compare: a table of the catalog, or a file of the same columns, checked cell by cell."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from thresher.catalog.measurements import table
from thresher.errors import InputError

Columns = dict[str, Any]
"""Columns of one length by name: float64 with NaN where blank, or lists of text with "" where blank."""

_SMALLEST, _LARGEST = 1e-12, 1e21


def _is(condition: Callable[[float], bool]) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and condition(value) else None

    return read


def _middle_of_range(text: str) -> float | None:
    low, _, high = text.partition("-")
    ends = [_NUMBERS["share"][0](end) for end in (low, high or low)]
    return None if None in ends else math.fsum(end for end in ends if end is not None) / 2.0


_NUMBERS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "positive": (_is(lambda x: _SMALLEST <= x <= _LARGEST), f"a number from {_SMALLEST:g} to {_LARGEST:g}"),
    "number": (_is(lambda x: 0 <= x <= _LARGEST), f"a number from 0 to {_LARGEST:g}"),
    "count": (_is(lambda x: 1 <= x <= _LARGEST and x.is_integer()), "a whole number of at least 1"),
    "share": (_is(lambda x: 0 < x <= 1), "a number above 0, at most 1"),
    "percent": (_is(lambda x: 0 < x / 100.0 < 1), "a number between 0 and 100"),
    "range": (_middle_of_range, "a number above 0, at most 1, or two joined by a hyphen"),
}
"""What reads a cell of each kind that is a number (None if it is not right), and what would be right."""

_FORMAT = re.compile(r"(?:int|fp|bf)(\d+)(?: of (?:fp|bf)(\d+))?")


def load(name: str, path: Path | None = None) -> Columns:
    """The rows of the table ``name`` of the catalog, or of a user's CSV file with the same columns.

    Raises
    ------
    InputError
        The file, and the column or cell in it that is missing, unknown or wrong, and what would be right.
    """
    if path is None:
        rows = [
            {key: "" if cell is None else str(cell).removesuffix(".0") for key, cell in row.items()}
            for row in table(name)
        ]
        return _columns(name, f"{name}.csv", rows)
    try:
        text = path.read_text("utf-8-sig")
        rows_of_text = (line for line in text.splitlines(keepends=True) if not line.startswith("#"))
        reader = csv.DictReader(io.StringIO("".join(rows_of_text), newline=""), strict=True)
        rows = list(reader)
    except OSError as error:
        raise InputError(str(path), f"a readable file ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"a CSV file in UTF-8 ({error})") from None
    header = reader.fieldnames or []
    _check_header(name, str(path), list(header))
    return _columns(name, str(path), rows)


def payload_format(text: str) -> tuple[float, float] | None:
    """Bits sent and bits before compression that a phrase such as ``int8 of fp32`` or ``fp4`` states; None otherwise."""
    found = _FORMAT.fullmatch(text)
    if found is None:
        return None
    sent, of = int(found[1]), int(found[2] or 32)
    return (float(sent), float(of)) if 0 < sent <= of else None


@cache
def _kinds(name: str) -> dict[str, tuple[str, bool]]:
    """For each column of a table, what its cells hold and whether they may be blank."""
    text = files("thresher.validation").joinpath("data", "columns.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["column"]: (row["kind"], row["blank"] == "yes") for row in rows if row["table"] == name}


def _check_header(name: str, where: str, header: list[str]) -> None:
    kinds = _kinds(name)
    for column in header:
        if column not in kinds or header.count(column) > 1:
            near = difflib.get_close_matches(str(column), kinds, 1)
            hint = f"; did you mean {near[0]}?" if near and near[0] != column else ""
            raise InputError(f"{where}: header", f"each column of {name} at most once, and no other{hint}", column)
    missing = [column for column, (_, blank) in kinds.items() if not blank and column not in header]
    if missing:
        raise InputError(f"{where}: header", f"the columns {', '.join(missing)} (missing)")


def _columns(name: str, where: str, rows: list[dict[str, str]]) -> Columns:
    if not rows:
        raise InputError(where, "at least one row")
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(f"{where}: row {line}", f"{len(row) - (None in row)} cells, as the header has")
    columns: Columns = {}
    for column, (kind, blank) in _kinds(name).items():
        cells = [
            _cell((row.get(column) or "").strip(), kind, blank, f"{where}: row {line}, {column}")
            for line, row in enumerate(rows, start=2)
        ]
        columns[column] = np.asarray(cells, dtype=np.float64) if kind in _NUMBERS else cells
    return columns


def _cell(text: str, kind: str, blank: bool, where: str) -> float | str:
    if not text and not blank:
        raise InputError(where, f"{_NUMBERS[kind][1] if kind in _NUMBERS else 'a text'} (it is blank)")
    if kind == "format":
        if text != "none" and payload_format(text) is None:
            raise InputError(where, "none, or a format such as fp4 or int8 of fp32", text)
        return text
    if kind not in _NUMBERS:
        return text
    if not text:
        return math.nan
    read, expected = _NUMBERS[kind]
    value = read(text)
    if value is None:
        raise InputError(where, expected, text)
    return value
