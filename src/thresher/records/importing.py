"""From a folder of tables to the store: what was read, loaded, there already or set aside; all of it or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from thresher.errors import InputError
from thresher.records.checking import load_sql, set_aside_sql, trimmed
from thresher.records.lines import BadLine, Batch
from thresher.records.reading import IgnoredFile, SourceFile, UnusableFileError, find_files, open_rows
from thresher.records.schema import tables
from thresher.records.store import create_store, is_missing, now, open_store

PROBLEMS_LISTED = 1000
"""Problems that a report lists; the store's ``quarantine`` has all of them."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of the rows of one file.

    ``rows`` is ``loaded + already_there + quarantined``; a row that stands twice in a file is there already the second time.
    ``problem`` says why nothing of the file could be read; ``remarks`` are about columns that may be misspelt.
    """

    file: str
    table: str
    rows: int
    loaded: int
    already_there: int
    quarantined: int
    problem: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was set aside: its file, line and column (blank where it is the whole row), the reason and its text."""

    file: str
    line: int
    column: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: file by file, the files that are of no table, and what was set aside, as far as is listed here."""

    store: str
    files: tuple[FileReport, ...]
    ignored: tuple[IgnoredFile, ...]
    problems: tuple[Problem, ...]

    @property
    def complete(self) -> bool:
        """Whether every row of every file that was meant to be a table is in the store."""
        set_aside = any(file.quarantined or file.problem for file in self.files)
        return not set_aside and not any(file.meant for file in self.ignored)


def import_records(folder: Path, store: Path, *, tell: Callable[[str], None] = lambda _: None) -> ImportReport:
    """Load the tables of a folder into a store, which is made where there is none.

    Right rows are loaded, once each, however many files and imports they stand in; wrong ones are set aside with their file,
    line, column and reason. The store is afterwards as it was before or holds all of it, also when the process is killed.

    Parameters
    ----------
    folder
        A folder of CSV or Parquet files named for their tables (`thresher.records.reading.find_files`), and of files of
        ecosystem formats (`thresher.records.exchange`).
    store
        The store, a DuckDB file.
    tell
        Called now and then with a sentence that says how far the import is.

    Raises
    ------
    InputError
        The folder has no table that can be read, or the store cannot be opened or written.
    """
    try:
        found, ignored = find_files(folder, store)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(folder), f"a folder that can be read ({reason})") from None
    if not found:
        near = "".join(f"; {one.name}: {one.reason}" for one in ignored if one.meant)
        names = ", ".join(f"{name}.csv" for name in tables())
        raise InputError(str(folder), f"a file for at least one table: {names}{near}")
    _check_some_usable(folder, found)
    if is_missing(store):
        create_store(store)
    with open_store(store) as connection:
        run = _Import(connection, os.fsencode(folder.resolve()).decode(errors="replace"), tell)
        for file in found:
            run.load(file)
        reports = run.finish()
        problems = run.problems()
    return ImportReport(str(store), reports, tuple(ignored), problems)


def _check_some_usable(folder: Path, found: list[SourceFile]) -> None:
    """Refuse a folder none of whose files can be read, before the store is made or touched."""
    first: UnusableFileError | None = None
    for file in found:
        try:
            with open_rows(file):
                return
        except UnusableFileError as error:
            first = first or error
    if first is not None:
        raise InputError(f"{folder / found[0].name} line {first.line}", first.reason.removeprefix("expected "))


@dataclass(slots=True)
class _Reading:
    """One file as it is read: its import, where its rows' numbers start (``base`` plus the line), and what is known of it."""

    file: SourceFile
    import_id: int
    base: int
    report: FileReport | None = None
    sha256: str | None = None
    size: int = 0
    problem: str = ""
    remarks: tuple[str, ...] = ()
    end: int = 0
    checked: int = 0


class _Import:
    """One import under way, within the transaction of its connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: str, tell: Callable[[str], None]) -> None:
        self.connection = connection
        self.folder = folder
        self.tell = tell
        self.at = now()
        self.first_row_id = int(self._ask("SELECT value FROM meta WHERE name = 'next_row_id'")[0])
        self.next_row_id = self.first_row_id
        self.next_import_id = int(self._ask("SELECT coalesce(max(import_id), 0) + 1 FROM imports")[0])
        self.readings: list[_Reading] = []

    def load(self, file: SourceFile) -> None:
        """Read a file into its table and the quarantine, unless the same content was read before."""
        reading = _Reading(file, self.next_import_id, self.next_row_id - 1)
        self.readings.append(reading)
        before = _identity(file.path)
        if before is not None:
            reading.sha256, reading.size = _sha256(file.path), before[0]
        if self._read_before(reading):
            self.tell(f"{file.name}: read before")
            return
        self.next_import_id += 1
        self._forget(file)
        try:
            with open_rows(file) as (header, batches):
                reading.remarks = header.remarks
                load, set_aside = load_sql(header), set_aside_sql(header)
                for batch in batches:
                    self._load_batch(reading, batch, header.number, load, set_aside)
        except UnusableFileError as error:
            reading.problem = error.reason
            self._set_aside(reading, [BadLine(error.line, error.column, error.reason)])
        if _identity(file.path) != before:
            # what was read may not be what was hashed: the next import reads it again
            reading.sha256 = None
        self.next_row_id = reading.base + reading.end + 1

    def finish(self) -> tuple[FileReport, ...]:
        """Drop the rows that were there before, keep what was read in ``imports``, and report on each file."""
        for table in dict.fromkeys(one.file.table for one in self.readings if one.report is None):
            self._drop_repeated(table)
        for reading in self.readings:
            if reading.report is None:
                self._keep_report(reading)
        self._ask("UPDATE meta SET value = ? WHERE name = 'next_row_id'", [str(self.next_row_id)])
        return tuple(one.report for one in self.readings if one.report is not None)

    def problems(self) -> tuple[Problem, ...]:
        """What was set aside from the files of this import, now or when they were read first."""
        rows = self.connection.execute(
            f"""SELECT source_file, source_line, column_name, reason, raw_text FROM quarantine
            WHERE list_contains(?, import_id) ORDER BY source_file, source_line, column_name LIMIT {PROBLEMS_LISTED}""",
            [[one.import_id for one in self.readings]],
        ).fetchall()
        return tuple(Problem(*row) for row in rows)

    def _read_before(self, reading: _Reading) -> bool:
        """Whether this content was the last that was read of this file, or was read of another file of its table."""
        own = self._rows(
            "SELECT import_id, sha256, rows_read, rows_quarantined, problem FROM imports "
            "WHERE folder = ? AND source_file = ? AND table_name = ? ORDER BY import_id DESC LIMIT 1",
            [self.folder, reading.file.name, reading.file.table],
        )
        rows = own or self._rows(
            "SELECT import_id, sha256, rows_read, rows_quarantined, problem FROM imports "
            "WHERE sha256 = ? AND table_name = ? ORDER BY import_id LIMIT 1",
            [reading.sha256, reading.file.table],
        )
        if not rows or reading.sha256 is None or rows[0][1] != reading.sha256:
            return False
        reading.import_id, _, count, quarantined, problem = rows[0]
        reading.report = FileReport(
            reading.file.name, reading.file.table, count, 0, count - quarantined, quarantined, problem
        )
        return True

    def _forget(self, file: SourceFile) -> None:
        """Drop what was set aside of this file: it is about to be said anew; and that it could not be read, if so."""
        of_file = "folder = ? AND source_file = ? AND table_name = ?"
        values = [self.folder, file.name, file.table]
        self._ask(f"DELETE FROM quarantine WHERE import_id IN (SELECT import_id FROM imports WHERE {of_file})", values)
        self._ask(f"DELETE FROM imports WHERE {of_file} AND sha256 IS NULL", values)

    def _load_batch(self, reading: _Reading, batch: Batch, number: str, load: str, set_aside: str) -> None:
        cells = batch.cells
        if len(cells):
            self.connection.register("batch", trimmed(cells))
            loaded = self._ask(load, [reading.base, reading.file.name, self.at])[0]
            reading.checked += loaded
            if loaded < len(cells):
                self._ask(set_aside, [reading.import_id, reading.file.name, self.at])
            self.connection.unregister("batch")
            reading.end = max(reading.end, cells[number][-1].as_py())
        self._set_aside(reading, batch.bad)
        self.tell(f"{reading.file.name}: {reading.end:,} lines")

    def _set_aside(self, reading: _Reading, bad: list[BadLine]) -> None:
        if not bad:
            return
        lines = [(one.line, one.column, one.reason, one.text) for one in bad]
        columns = dict(zip(("line", "column", "reason", "text"), zip(*lines, strict=True), strict=True))
        self.connection.register("aside", pa.table(columns))
        self._ask(
            """INSERT INTO quarantine SELECT ?, ?, ?, line, "column", reason, "text", ? FROM aside""",
            [reading.import_id, reading.file.table, reading.file.name, self.at],
        )
        self.connection.unregister("aside")
        reading.end = max(reading.end, *(one.line for one in bad))

    def _drop_repeated(self, table: str) -> None:
        """Keep the first of rows with the same content; only those of this import may go.

        A hash of the hash is counted first: half the memory, and nearly always there is nothing to look at more closely.
        """
        new = f"row_id >= {self.first_row_id}"
        older = self._ask(f"SELECT count(*) FROM {table} WHERE NOT ({new})")[0]
        among = f"WHERE hash(row_hash) IN (SELECT hash(row_hash) FROM {table} WHERE {new})" if older else ""
        self._ask(f"""
            DELETE FROM {table} WHERE {new} AND row_id IN (
                SELECT row_id FROM {table} WHERE hash(row_hash) IN (
                    SELECT hash(row_hash) FROM {table} {among} GROUP BY ALL HAVING count(*) > 1
                ) QUALIFY row_number() OVER (PARTITION BY row_hash ORDER BY row_id) > 1
            )""")

    def _keep_report(self, reading: _Reading) -> None:
        file = reading.file
        row_ids = [reading.base, reading.base + reading.end]
        loaded = self._ask(f"SELECT count(*) FROM {file.table} WHERE row_id > ? AND row_id <= ?", row_ids)[0]
        aside = self._ask(
            "SELECT count(DISTINCT source_line) FROM quarantine WHERE import_id = ?", [reading.import_id]
        )[0]
        aside = 0 if reading.problem else aside
        reading.report = FileReport(
            file.name,
            file.table,
            reading.checked + aside,
            loaded,
            reading.checked - loaded,
            aside,
            reading.problem,
            reading.remarks,
        )
        self._ask(
            "INSERT INTO imports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(reading.import_id, file.table, file.name, self.folder, reading.sha256, reading.size),
                *(reading.checked + aside, loaded, aside, reading.problem, self.at),
            ],
        )

    def _ask(self, query: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
        return self._rows(query, values)[0]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(query, list(values)).fetchall()
        return rows


def _identity(path: Path) -> tuple[int, int] | None:
    """The size of a file and when it was last changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
