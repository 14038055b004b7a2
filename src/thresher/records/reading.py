"""A folder of tables as batches of rows: which file is which table, what its header says, and its rows with their lines."""

from __future__ import annotations

import csv
import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from thresher.errors import InputError
from thresher.records.exchange import ENDINGS, tables_in
from thresher.records.exchange.batches import NUMBER, exchange_batches
from thresher.records.exchange.rows import BEYOND
from thresher.records.lines import TEXT_KEPT, BadLine, Batch, Shape, rows, utf8_pieces
from thresher.records.schema import tables

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
DELIMITERS = ",;\t|"
MOST_COLUMNS = 1000
LONGEST_HEADER_BYTES = 2**20
PARQUET_ROWS = 100_000
CLOSE_ENOUGH = 0.75
"""How alike two names must be, as ``difflib`` counts, for one to be offered in place of the other."""


class UnusableFileError(Exception):
    """A file none of whose rows can be read: the line and column that say why, and the reason."""

    def __init__(self, reason: str, line: int = 1, column: str = "") -> None:
        self.reason = reason
        self.line = line
        self.column = column
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a table: its path, its name within the folder, and the table."""

    path: Path
    name: str
    table: str


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """A file that is of no table: its name within the folder, why, and the table whose name may have been meant."""

    name: str
    reason: str
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What the columns of a file are: the place of each column of the table, of each other column, and remarks for a person."""

    table: str
    known: dict[str, int]
    others: dict[str, int]
    remarks: tuple[str, ...] = ()
    number: str = "source_line"
    """The column of a batch that numbers its rows."""


def find_files(folder: Path, leave_out: Path | None = None) -> tuple[list[SourceFile], list[IgnoredFile]]:
    """The files of a folder by table, and those that are of none.

    A file is of the table that its name begins with (``custody.csv``, ``custody-2025.csv``, ``custody.part1.parquet``); in
    a folder within the folder that is named so (``custody/``), every file is. Hidden files are passed over, and so are the
    marks that other engines leave (``_SUCCESS``). A file of an ecosystem format (`thresher.records.exchange`) is of each table
    that its format holds.

    Parameters
    ----------
    folder
        The folder.
    leave_out
        The store, which may stand among the files.
    """
    found: list[SourceFile] = []
    ignored: list[IgnoredFile] = []
    own = {f"{leave_out.resolve()}{suffix}" for suffix in ("", ".wal", ".tmp")} if leave_out else set()
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or str(path.resolve()) in own:
            continue
        if path.is_dir() and (table := _table_of(path.name)):
            for part in sorted(path.iterdir()):
                if not part.name.startswith((".", "_")):
                    _sort(part, f"{path.name}/{part.name}", table, found, ignored)
        else:
            _sort(path, path.name, _table_of(path.name), found, ignored)
    return found, ignored


@contextmanager
def open_rows(file: SourceFile) -> Iterator[tuple[Header, Iterator[Batch]]]:
    """The header of a file and its rows, in batches.

    Raises
    ------
    UnusableFileError
        The file cannot be read, or its columns are not those of the table.
    """
    try:
        stream = file.path.open("rb")
    except OSError as error:
        raise UnusableFileError(f"expected a file that can be read ({error.strerror or error})") from None
    with stream:
        name = file.path.name.lower()
        if tables_in(file.path):
            yield _exchange_rows(file)
        elif name.endswith(".parquet"):
            parquet = _opened_parquet(stream)
            yield match_header(file.table, parquet.schema_arrow.names), _parquet_rows(parquet)
        else:
            line, text, rest = _header_line(utf8_pieces(stream, zipped=name.endswith(".gz")))
            delimiter, names = _header_cells(file.table, text)
            header = match_header(file.table, names, line)
            by_place = {place: name for name, place in (header.known | header.others).items()}
            shape = Shape(tuple(by_place[place] for place in range(len(names))), delimiter, _row_test(header))
            yield header, rows(rest, shape, line + 1)


def _exchange_rows(file: SourceFile) -> tuple[Header, Iterator[Batch]]:
    """The header of a file of an ecosystem format (the table's columns, and what items say beyond them) and its rows."""
    names = (*(column.name for column in tables()[file.table]), *BEYOND)
    places = {name: place for place, name in enumerate(names)}
    known = {column.name: places.pop(column.name) for column in tables()[file.table]}

    def batches() -> Iterator[Batch]:
        try:
            yield from exchange_batches(file.path, file.table, names)
        except InputError as error:
            raise UnusableFileError(f"expected {error.expected}") from None

    return Header(file.table, known, places, number=NUMBER), batches()


def match_header(table: str, names: Sequence[str], line: int = 1) -> Header:
    """Which column of a file is which of its table; case, blanks around and between words, and the order do not matter.

    Raises
    ------
    UnusableFileError
        A needed column is missing, a column of the table stands there twice, or there are too many.
    """
    if len(names) > MOST_COLUMNS:
        raise UnusableFileError(f"expected at most {MOST_COLUMNS:,} columns, got {len(names):,}", line)
    columns = {column.name: column for column in tables()[table]}
    known: dict[str, int] = {}
    others: dict[str, int] = {}
    for place, given in enumerate(names):
        name = re.sub(r"[\s-]+", "_", given.strip().casefold())
        if name in known:
            raise UnusableFileError(f"expected the column `{name}` once, got it twice", line, name)
        if name in columns:
            known[name] = place
        else:
            label = given.strip() or f"column {place + 1}"
            while label in others:
                label += f" ({place + 1})"
            others[label] = place
    like = {
        other: meant[0]
        for other in others
        if (meant := difflib.get_close_matches(other.casefold()[:80], columns.keys() - known.keys(), 1, CLOSE_ENOUGH))
    }
    for column in columns.values():
        if column.needed and column.name not in known:
            near = next((f", got `{other}`" for other, meant in like.items() if meant == column.name), "")
            shown = ", ".join(names)[:200]
            raise UnusableFileError(f"expected a column `{column.name}`{near or f' among: {shown}'}", line, column.name)
    remarks = tuple(
        f"the column `{other}` is kept as it is; if `{meant}` is meant, rename it" for other, meant in like.items()
    )
    return Header(table, known, others, remarks)


def _sort(path: Path, name: str, table: str, found: list[SourceFile], ignored: list[IgnoredFile]) -> None:
    """Put one path with the files of a table or with those of none."""
    name = os.fsencode(name).decode(errors="replace")
    stem = re.split(r"[^a-z]", path.name.casefold())[0]
    meant = table or next(iter(difflib.get_close_matches(stem, tables(), 1, CLOSE_ENOUGH)), "")
    if path.is_dir():
        ignored.append(IgnoredFile(name, "expected a file, or a folder named for a table", meant))
    elif not path.is_file():
        ignored.append(IgnoredFile(name, "expected a file", meant))
    elif holds := tables_in(path):
        found.extend(SourceFile(path, name, one) for one in holds)
    elif not path.name.lower().endswith(SUFFIXES):
        ignored.append(IgnoredFile(name, f"expected a name that ends in {', '.join((*SUFFIXES, *ENDINGS))}", meant))
    elif not table:
        ignored.append(IgnoredFile(name, f"expected a name that begins with one of {', '.join(tables())}", meant))
    else:
        found.append(SourceFile(path, name, table))


def _table_of(name: str) -> str:
    """The table that a file's name begins with; none where it begins with another word."""
    match = re.match(rf"({'|'.join(tables())})(?![a-z])", name.casefold())
    return match[1] if match else ""


def _header_line(pieces: Iterator[bytes | BadLine]) -> tuple[int, bytes, Iterator[bytes | BadLine]]:
    """The number and text of the first line that is neither blank nor a remark (``#``), and what follows it."""
    held, line = b"", 1
    for piece in pieces:
        if isinstance(piece, BadLine):
            raise UnusableFileError(piece.reason, line)
        held, at = held + piece, 0
        while (end := held.find(b"\n", at)) >= 0:
            text = held[at:end]
            at = end + 1
            if text.strip() and not text.lstrip().startswith(b"#"):
                return line, text, chain([held[at:]], pieces)
            line += 1
        held = held[at:]
        if len(held) > LONGEST_HEADER_BYTES:
            raise UnusableFileError(f"expected a header of at most {LONGEST_HEADER_BYTES:,} bytes", line)
    if not held.strip() or held.lstrip().startswith(b"#"):
        raise UnusableFileError("expected a header and rows, got an empty file", line)
    return line, held, iter(())


def _header_cells(table: str, text: bytes) -> tuple[str, list[str]]:
    """The delimiter that makes most columns of the table out of a header, and the header's cells."""
    columns = {column.name for column in tables()[table]}
    best: tuple[int, str, list[str]] = (-1, ",", [])
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([text.decode(errors="replace")], delimiter=delimiter), [])
        except csv.Error:
            continue
        score = sum(re.sub(r"[\s-]+", "_", cell.strip().casefold()) in columns for cell in cells)
        if score > best[0]:
            best = (score, delimiter, cells)
    return best[1], best[2]


_LOOKS = {
    "choice": r"\s*[A-Za-z]*\s*",
    "date": r"[\d\sTZ:.+-]*",
    "month": r"[\d\sTZ:.+-]*",
    "timestamp": r"[\d\sTZ:.+-]*",
} | dict.fromkeys(("count", "number", "amount", "share", "latitude", "longitude"), r"[\d\s.eE+-]*")


def _row_test(header: Header) -> Callable[[list[str]], bool]:
    """Whether cells look like a row of this file: as many as its columns, needed ones filled, numbers and dates in place."""
    count = len(header.known) + len(header.others)
    columns = {column.name: column for column in tables()[header.table]}
    looks = [
        (place, columns[name].needed, re.compile(_LOOKS.get(columns[name].type, "(?s).*")))
        for name, place in header.known.items()
    ]
    words = [(place, {*columns[name].choices, ""}) for name, place in header.known.items() if columns[name].choices]

    def is_row(cells: list[str]) -> bool:
        return (
            len(cells) == count
            and all(
                (cells[place].strip() or not needed) and look.fullmatch(cells[place]) for place, needed, look in looks
            )
            and all(cells[place].strip().casefold() in choices for place, choices in words)
        )

    return is_row


def _opened_parquet(stream: BinaryIO) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnusableFileError(f"expected a whole Parquet file ({_first_line(error)})") from None


def _parquet_rows(parquet: pyarrow.parquet.ParquetFile) -> Iterator[Batch]:
    """The rows of a Parquet file, numbered from 1; a group of rows that is damaged is set aside as a whole."""
    first = 1
    for group in range(parquet.num_row_groups):
        at, after = first, first + parquet.metadata.row_group(group).num_rows
        first = after
        try:
            for part in parquet.iter_batches(PARQUET_ROWS, row_groups=[group]):
                yield _parquet_batch(part, at)
                at += part.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"expected rows that can be read; those up to {after - 1:,} cannot ({_first_line(error)})"
            yield Batch(pa.table({"source_line": pa.array([], pa.int64())}), [BadLine(at, "", reason)])


def _parquet_batch(part: pa.RecordBatch, first: int) -> Batch:
    """One batch as texts, which are checked to be UTF-8: the format promises it and a file may break it."""
    bad: dict[int, BadLine] = {}
    columns = [_texts(column, name, first, bad) for name, column in zip(part.schema.names, part.columns, strict=True)]
    numbers = np.arange(first, first + part.num_rows)
    cells = pa.table([*columns, pa.array(numbers)], [*(f"c{place}" for place in range(len(columns))), "source_line"])
    if bad:
        cells = cells.filter(pa.array(~np.isin(numbers, list(bad))))
    return Batch(cells, list(bad.values()))


def _texts(values: pa.Array, name: str, first: int, bad: dict[int, BadLine]) -> pa.Array:
    """A column as texts: times in UTC, what is nested as JSON; rows with bytes that are no text are added to the bad ones."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type) and values.type.tz:
        values = values.cast(pa.timestamp(values.type.unit, "UTC"))
    elif pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    # by way of bytes, because texts count as checked already
    values = values.cast(pa.large_binary()) if _is_text(values.type) else values
    try:
        return values.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    texts: list[str | None] = []
    for number, value in enumerate(values, first):
        try:
            texts.append(_text(value))
        except UnicodeDecodeError as error:
            texts.append(None)
            reason = f"expected text in UTF-8, got the byte 0x{error.object[error.start]:02x}"
            bad.setdefault(number, BadLine(number, name, reason, error.object[:TEXT_KEPT].decode(errors="replace")))
    return pa.array(texts, pa.large_string())


def _text(value: pa.Scalar) -> str | None:
    """One value as text; bytes that are no text are an error."""
    try:
        plain = value.as_py()
    except (ValueError, ArithmeticError):  # a time that Python cannot hold
        return "<value out of range>"
    if plain is None or isinstance(plain, bytes):
        return None if plain is None else plain.decode()
    return json.dumps(plain, default=str)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    bytes_ = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(test(kind) for test in (*texts, *bytes_))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
