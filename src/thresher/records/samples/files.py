"""Tables on disk, as CSV with quotes only where they are needed, or Parquet; the same rows give the same bytes."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from thresher.errors import InputError
from thresher.records.schema import tables

FORMATS = ("csv", "parquet")


def clear_folder(folder: Path, force: bool) -> None:
    """Make the folder if it is not there; one that holds files is refused, unless by force.

    Raises
    ------
    InputError
        It is no folder, or it holds files and there is no force.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "a folder, not a file")
    folder.mkdir(parents=True, exist_ok=True)
    if not force and any(folder.iterdir()):
        raise InputError(str(folder), "an empty folder, or --force to replace sample records that are there")


def move_into(folder: Path, made: Path) -> None:
    """Bring finished files to their place; the tables that were there, in either format, go."""
    new = list(made.iterdir())
    for name in tables():
        for ending in FORMATS:
            (folder / f"{name}.{ending}").unlink(missing_ok=True)
    for path in new:
        path.replace(folder / path.name)


def write_table(folder: Path, name: str, table: pa.Table, file_format: str) -> None:
    """Write one table; times as ``2025-01-31T10:00:00``."""
    if file_format == "parquet":
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        return
    path = str(folder / f"{name}.csv").replace("'", "''")
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.register("rows_of_table", table)
        connection.execute(f"COPY rows_of_table TO '{path}' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S')")
