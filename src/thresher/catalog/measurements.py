"""Published measurements and simulations, as tables: what the models are fitted to and validated against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from thresher.catalog._tables import nearest, read_rows
from thresher.errors import InputError
from thresher.sources import read_yaml

_OWN_TYPES = ("chips", "networks", "network_round_trips", "reference_systems")

Cell = str | float | None


@cache
def table_names() -> tuple[str, ...]:
    """The names of the measured tables that ship, sorted."""
    names = (entry.name for entry in files("thresher.catalog").joinpath("data").iterdir())
    stems = (name.removesuffix(".csv") for name in names if name.endswith(".csv"))
    return tuple(sorted(stem for stem in stems if stem not in _OWN_TYPES))


def table(name: str) -> list[dict[str, Cell]]:
    """A measured table, row by row: numbers as ``float``, blanks as None, anything else as text.

    Raises
    ------
    InputError
        An unknown table, with the nearest known names.
    """
    if name not in table_names():
        raise InputError("table", f"a known table{nearest(name, list(table_names()))}", name)
    return [{column: _cell(text) for column, text in row.items()} for row in read_rows(f"{name}.csv")]


@cache
def table_source(name: str) -> Mapping[str, str]:
    """What the sidecar of a measured table says of it: title, producer, citation, licence, accessed and note.

    Raises
    ------
    InputError
        An unknown table, with the nearest known names.
    """
    if name not in table_names():
        raise InputError("table", f"a known table{nearest(name, list(table_names()))}", name)
    file = f"{name}.source.yaml"
    text = files("thresher.catalog").joinpath("data", file).read_text("utf-8")
    return {key: str(value) for key, value in read_yaml(text, f"thresher/catalog/data/{file}").items()}


def table_columns(name: str) -> dict[str, Any]:
    """A measured table, column by column, as NumPy arrays of its length.

    A column whose every known cell is a number is float64 with NaN where blank; any other is text, "" where blank.
    """
    import numpy as np  # noqa: PLC0415 - `table` alone stays light

    rows = table(name)
    columns: dict[str, Any] = {}
    for column in rows[0]:
        cells = [row[column] for row in rows]
        if any(isinstance(cell, str) for cell in cells):
            columns[column] = np.asarray(["" if cell is None else str(cell) for cell in cells])
        else:
            columns[column] = np.asarray([math.nan if cell is None else cell for cell in cells], dtype=np.float64)
    return columns


def _cell(text: str) -> Cell:
    text = text.strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
