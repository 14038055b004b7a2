"""Text as rows of cells: where each record of a CSV file starts and ends, and which lines are no records."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader

import numpy as np
import pyarrow as pa
import pyarrow.csv

from thresher.errors import InputError

BLOCK_BYTES = 16 * 2**20
"""What is read and parsed at a time: some hundred thousand rows."""
BLOCK_LINES = 500_000
LONGEST_LINE_BYTES = 32 * 2**20
LONGEST_RECORD_LINES = 1000
LONGEST_RECORD_BYTES = 2**20
"""How far a quoted cell may run on over further lines before its quote counts as one that was left open."""
TEXT_KEPT = 500
"""Characters that are kept of a line that was set aside."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no record: its number, the column where one is to blame, why, and its text."""

    line: int
    column: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, as the columns ``source_line`` and ``c0``, ``c1``..., and the lines among them that are no rows."""

    cells: pa.Table
    bad: list[BadLine]


class Shape:
    """How the lines of one CSV file are cut into cells.

    Parameters
    ----------
    names
        The columns as the header has them.
    delimiter
        The character between cells.
    is_row
        Whether cells would be a right row by themselves: what tells a row that an open quote ran over from a cell's own text.
    """

    def __init__(self, names: tuple[str, ...], delimiter: str, is_row: Callable[[list[str]], bool]) -> None:
        self.names = names
        self.delimiter = delimiter
        self.is_row = is_row
        between = re.escape(delimiter).encode()
        self._quoted = re.compile(rb'"(?:[^"]++|"")*+"')
        loose = rb'(?:%b[^%b]*+|(?!")[^%b]*+)' % (self._quoted.pattern, between, between)
        strict = rb'(?:%b(?=%b|\Z)|[^%b"\n]*+)' % (self._quoted.pattern, between, between)
        self._closed = re.compile(rb"%b(?:%b%b)*+" % (loose, between, loose))
        self._strict = re.compile(rb"%b(?:%b%b)*+" % (strict, between, strict))

    def is_closed(self, line: bytes) -> bool:
        """Whether no quoted cell runs on after this line; a quote within a cell is only a character, as for any reader."""
        return b'"' not in line or self._closed.fullmatch(line) is not None

    def is_record(self, text: bytes) -> bool:
        """Whether these lines together are one record by RFC 4180, with as many cells as the header."""
        if self._strict.fullmatch(text) is None:
            return False
        return self._quoted.sub(b"", text).count(self.delimiter.encode()) + 1 == len(self.names)

    def cells(self, line: bytes) -> list[str]:
        """The cells of one line, each byte a character; none where it has none that can be told apart."""
        try:
            return next(csv.reader([line.decode("latin-1")], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    def column_at(self, number: int) -> str:
        """The name of a column by its place; none beyond the last."""
        return self.names[number] if 0 <= number < len(self.names) else ""


def utf8_pieces(stream: BufferedReader, *, zipped: bool = False) -> Iterator[bytes | BadLine]:
    """The bytes of a text file as UTF-8 without its mark and with ``\\n`` as the end of every line.

    UTF-16 is told by its mark. Where the file cannot be read on, the last thing is a ``BadLine`` that says so.
    """
    decoder: codecs.IncrementalDecoder | None = None
    start, held = True, b""
    for piece in _pieces(gzip.GzipFile(fileobj=stream) if zipped else stream):
        if isinstance(piece, BadLine):
            yield piece
            return
        if start:
            if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                decoder = codecs.getincrementaldecoder("utf-16")("replace")
            start, piece = False, piece.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901
        text = held + (decoder.decode(piece).encode() if decoder else piece)
        # the second half of a line end may stand in the next piece
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)]
        yield text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
    if held or (decoder and (rest := decoder.decode(b"", final=True).encode())):
        yield b"\n" if held else rest


def rows(pieces: Iterator[bytes | BadLine], shape: Shape, first_line: int) -> Iterator[Batch]:
    """The rows of a file after its header.

    Every row keeps the number of the line it starts at. A line that is no record is set aside alone: a quote that is left
    open does not take the rows after it along.
    """
    line, tail, broken = first_line, b"", None
    for piece in pieces:
        if isinstance(piece, BadLine):
            broken = piece
            break
        block = _shortened(tail + piece)
        cut = block.rfind(b"\n") + 1
        rest = b""
        for portion in _portions(block[:cut]) if cut else ():
            batch, lines, rest = _parsed_block(rest + portion, shape, line, last=False)
            line += lines
            yield batch
        tail = rest + block[cut:]
    if broken is not None:
        whole = tail.rfind(b"\n") + 1
        batch, lines, _ = _parsed_block(tail[:whole], shape, line, last=True)
        yield Batch(batch.cells, [*batch.bad, BadLine(line + lines, "", broken.reason, _shown(tail[whole:]))])
    elif tail:
        yield _parsed_block(tail.removesuffix(b"\n") + b"\n", shape, line, last=True)[0]


def _pieces(stream: BufferedReader | gzip.GzipFile) -> Iterator[bytes | BadLine]:
    """What a stream holds, in large pieces; where it cannot be read on, what could be read and then why."""
    parts: list[bytes] = []
    size = 0
    broken = None
    try:
        # what one read gives is kept when the next fails
        while part := stream.read1(BLOCK_BYTES):
            parts.append(part)
            size += len(part)
            if size >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except (OSError, EOFError, zlib.error) as error:
        broken = BadLine(0, "", f"expected a file that can be read to its end ({error})")
    if parts:
        yield b"".join(parts)
    if broken:
        yield broken


def _portions(block: bytes) -> Iterator[bytes]:
    """Whole lines in portions that are not too many for memory, should all be set aside."""
    if block.count(b"\n") <= BLOCK_LINES:
        yield block
        return
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))[BLOCK_LINES - 1 :: BLOCK_LINES] + 1
    cuts = [0, *ends.tolist(), len(block)]
    yield from (block[start:end] for start, end in itertools.pairwise(cuts) if start < end)


def _shortened(block: bytes) -> bytes:
    """The block with lines beyond the longest cut to one byte more than it, so that what waits for a line's end is bounded."""
    if len(block) <= LONGEST_LINE_BYTES:
        return block
    return b"\n".join(line[: LONGEST_LINE_BYTES + 1] for line in block.split(b"\n"))


def _parsed_block(block: bytes, shape: Shape, line: int, *, last: bool) -> tuple[Batch, int, bytes]:
    """The rows of whole lines, how many lines they took, and the lines at the end that wait for more of a record.

    Where every line is one record, as they are throughout in nearly all files, Arrow's count of rows says so; else the lines
    are looked at one by one.
    """
    count = block.count(b"\n")
    if _is_utf8(block) and len(block) <= LONGEST_LINE_BYTES and shape.is_closed(_last_line(block)):
        table, bad = _parsed(block, shape)
        if len(table) + len(bad) == count:
            return _numbered(table, bad, np.arange(line, line + count), shape, []), count, b""
    lines = block.split(b"\n")[:-1]
    starts, records, aside, taken = _records(lines, line, shape, last=last)
    table, bad = _parsed(b"".join(record + b"\n" for record in records), shape)
    if len(table) + len(bad) != len(records):
        raise InputError("pyarrow", "a release that ends a quoted cell as RFC 4180 does", pyarrow.__version__)
    batch = _numbered(table, bad, np.asarray(starts, np.int64), shape, aside)
    return batch, taken, b"".join(one + b"\n" for one in lines[taken:])


def _records(
    lines: list[bytes], first: int, shape: Shape, *, last: bool
) -> tuple[list[int], list[bytes], list[BadLine], int]:
    """The numbers at which the records among lines start, their text, the lines that are none, and how many lines it took."""
    starts: list[int] = []
    records: list[bytes] = []
    aside: list[BadLine] = []
    at = 0
    while at < len(lines):
        text, taken, wrong = lines[at], 1, None
        if len(text) > LONGEST_LINE_BYTES:
            wrong = ("", f"expected a line of at most {LONGEST_LINE_BYTES:,} bytes")
        elif not shape.is_closed(text):
            length = _record_length(lines, at, shape)
            if length is None and not last:
                break
            if length:
                text, taken = b"\n".join(lines[at : at + length]), length
            else:
                wrong = (shape.column_at(len(shape.cells(text)) - 1), "expected a quote that is closed")
        if wrong is None and not _is_utf8(text):
            wrong = _not_utf8(text, shape)
        if wrong is None:
            starts.append(first + at)
            records.append(text)
        else:
            aside.append(BadLine(first + at, *wrong, _shown(text)))
        at += taken
    return starts, records, aside, at


def _record_length(lines: list[bytes], at: int, shape: Shape) -> int | None:
    """The lines of the record that starts at a line whose quote is open; 0: it was left open; nothing: more lines must tell."""
    quotes = size = 0
    for number, line in enumerate(lines[at : at + LONGEST_RECORD_LINES]):
        quotes += line.count(b'"')
        size += len(line) + 1
        if size > LONGEST_RECORD_BYTES:
            return 0
        if quotes % 2 == 0:
            length = number + 1
            return length if shape.is_record(b"\n".join(lines[at : at + length])) else 0
        if number and shape.is_row(shape.cells(line)):
            return 0
    return 0 if len(lines) - at >= LONGEST_RECORD_LINES else None


def _parsed(text: bytes, shape: Shape) -> tuple[pa.Table, list[tuple[int, int, str]]]:
    """Arrow's reading of records: the rows as text, and place (from 0), number of cells and text of those of another length."""
    columns = [f"c{number}" for number in range(len(shape.names))]
    types = dict.fromkeys(columns, pa.string())
    if not text:
        return pa.schema(types.items()).empty_table(), []
    bad: list[tuple[int, int, str]] = []

    def keep(row: pyarrow.csv.InvalidRow) -> str:
        bad.append((row.number - 1, row.actual_columns, row.text))
        return "skip"

    table = pyarrow.csv.read_csv(
        io.BytesIO(text),
        # one thread and one block: only so are the rows numbered
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=columns),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=shape.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
        ),
        convert_options=pyarrow.csv.ConvertOptions(check_utf8=False, column_types=types, strings_can_be_null=False),
    )
    return table, bad


def _numbered(
    table: pa.Table, bad: list[tuple[int, int, str]], numbers: np.ndarray, shape: Shape, aside: list[BadLine]
) -> Batch:
    """The parsed rows with the numbers of their lines; lines of blanks alone are passed over."""
    of_rows = np.delete(numbers, [place for place, _, _ in bad])
    cells = "1 cell" if len(shape.names) == 1 else f"{len(shape.names)} cells"
    wrong = [
        BadLine(int(numbers[place]), "", f"expected {cells}, as the header has, got {actual}", text[:TEXT_KEPT])
        for place, actual, text in bad
        if text.strip()
    ]
    return Batch(table.append_column("source_line", pa.array(of_rows)), [*aside, *wrong])


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(record: bytes, shape: Shape) -> tuple[str, str]:
    """The column with the first byte that is not UTF-8, and that byte."""
    for number, cell in enumerate(shape.cells(record)):
        try:
            cell.encode("latin-1").decode()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return shape.column_at(number), f"expected text in UTF-8, got the byte 0x{byte:02x}"
    return "", "expected text in UTF-8"


def _last_line(block: bytes) -> bytes:
    return block[block.rfind(b"\n", 0, -1) + 1 : -1]


def _shown(line: bytes) -> str:
    return line[: 4 * TEXT_KEPT].decode(errors="replace")[:TEXT_KEPT]
