"""The rows of an exchange file as batches of cells, as the store loads those of any other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from thresher.records.exchange.files import read_exchange
from thresher.records.exchange.rows import Problem, Row
from thresher.records.lines import BadLine, Batch

BATCH_ITEMS = 20_000
NUMBER = "row_number"
"""The column that numbers the rows from 1: one item, and so one line, may give many."""


def exchange_batches(path: Path, table: str, names: Sequence[str]) -> Iterator[Batch]:
    """The rows that a file holds of one table, and what is wrong with it.

    Parameters
    ----------
    path
        A file of an ecosystem format.
    table
        The table.
    names
        Its columns in the order of the cells ``c0``, ``c1``...; those that a row lacks are nothing.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    rows: list[Row] = []
    bad: list[BadLine] = []
    first = 1
    for one in read_exchange(path, table):
        if isinstance(one, Problem):
            bad.append(BadLine(one.line, one.column, one.reason, one.raw))
        else:
            rows.append(one)
        if len(rows) + len(bad) >= BATCH_ITEMS:
            yield _batch(rows, bad, names, first)
            first += len(rows)
            rows, bad = [], []
    yield _batch(rows, bad, names, first)


def _batch(rows: list[Row], bad: list[BadLine], names: Sequence[str], first: int) -> Batch:
    columns = {
        f"c{place}": pa.array([row.cells.get(name) for row in rows], pa.string()) for place, name in enumerate(names)
    }
    columns["source_line"] = pa.array([row.line for row in rows], pa.int64())
    columns[NUMBER] = pa.array(range(first, first + len(rows)), pa.int64())
    return Batch(pa.table(columns), bad)
