"""The data files of the sample records: tables of words, places, goods, actors and styles, and the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.sources import load_quantities, read_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]

NONE = -1
"""In an array of row numbers: none."""


@cache
def rows(name: str) -> tuple[Mapping[str, str], ...]:
    """The rows of ``data/sample_NAME.csv``, as text by column."""
    return tuple(read_table("thresher.records", f"sample_{name}.csv"))


@cache
def parameters() -> Mapping[str, float]:
    """The central values of ``data/samples.yaml``."""
    return load_quantities("thresher.records", "samples.yaml").values_only()


def numbers(name: str, column: str) -> Floats:
    """A column of a table as numbers; a blank is NaN."""
    return np.array([float(row[column] or "nan") for row in rows(name)])


def draw(rng: np.random.Generator, weights: Floats, size: int) -> Ints:
    """Row numbers drawn by weight."""
    return rng.choice(len(weights), size, p=weights / weights.sum())


def group(*columns: Ints) -> tuple[list[Ints], Ints]:
    """The different rows of some columns of whole numbers from -1 up, sorted, and for every row which of them it is."""
    sizes = [int(column.max(initial=0)) + 2 for column in columns]
    key = np.zeros(len(columns[0]), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        key = key * size + column + 1
    found, member = np.unique(key, return_inverse=True)
    parts: list[Ints] = []
    for size in reversed(sizes):
        parts.insert(0, found % size - 1)
        found = found // size
    return parts, member
