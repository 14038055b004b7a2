"""What the formats share: rows of text cells, what is wrong with an item, and what one side cannot say of the other."""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from thresher.errors import InputError
from thresher.records.schema import tables
from thresher.sources import read_yaml

Cells = dict[str, str | None]
"""A row as text, by column, as a CSV file would hold it."""

BEYOND = ("record_id", "event_id", "epc", "ftm", "bods", "epcis")
"""The cells that the readers give beyond the columns of a table."""
NAMESPACE = UUID("6f6d1f5e-3c0b-5b0a-9c3f-7d2f5a1e4b90")
"""Ours: the same row has the same identifier whoever exports it."""
OURS = "thresher"
"""The member of an exported item with the cells that its format has no word for."""

LONGEST_KEPT = 60_000
"""Characters of a cell that keeps what its item says beyond the columns."""

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ].*)?)?)?")
_NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,20})?")
_SHOWN = 200


class Row(NamedTuple):
    """A row of a table of evidence: the table, the line where it begins in its file, and its cells as text by column.

    Cells that are not columns of the table are what the file says beyond it; they belong into the store's ``extra``.
    """

    table: str
    line: int
    cells: Cells


class Problem(NamedTuple):
    """What a file has that no table can hold: the line, the member, why, and what stands there."""

    line: int
    column: str
    reason: str
    raw: str


class NoTable(Exception):
    """An item that is right in itself but says nothing that the tables of evidence hold."""


class Item(NamedTuple):
    """A value of a JSON file and the line where it begins."""

    line: int
    value: Any


@cache
def vocabulary(name: str) -> Any:
    """A part of the table of words, ``data/exchange.yaml``."""
    text = files("thresher.records").joinpath("data", "exchange.yaml").read_text("utf-8")
    return read_yaml(text, "thresher/records/data/exchange.yaml")[name]


def as_rows(
    items: Iterator[Item | Problem],
    rows_of: Callable[[Any], Iterator[tuple[str, Cells]]],
    tables_of: Callable[[Mapping[str, Any]], tuple[str, ...]],
    table: str | None = None,
) -> Iterator[Row | Problem]:
    """The rows of many items; an item that is wrong is a problem and the next one goes on.

    Items that no table holds are counted by kind and said once, at the end.

    Parameters
    ----------
    items
        What was read.
    rows_of
        Gives the rows of one item, table and cells; raises ``InputError`` with the member at fault, or ``NoTable``.
    tables_of
        Gives the tables of which an item can give rows; what is wrong with it is said with the rows of the first.
    table
        The one table whose rows are wanted; those of all are where none is given.
    """
    first = tables_of({})[0]
    left_out: dict[str, tuple[int, int]] = {}
    for item in items:
        possible = (first,) if isinstance(item, Problem) else tables_of(item.value)
        if table not in (None, *possible):
            continue
        mine = table in (None, possible[0])
        if isinstance(item, Problem):
            yield item
            continue
        try:
            for name, cells in rows_of(item.value):
                "".join(cell for cell in cells.values() if cell).encode()
                if table in (None, name):
                    yield Row(name, item.line, cells)
        except NoTable as error:
            what = str(error)[:_SHOWN]
            line, count = left_out.get(what, (item.line, 0))
            left_out[what] = (line, count + mine)
        except (InputError, RecursionError, ValueError) as error:
            if mine:
                yield _problem_of(item.line, error)
    for what, (line, count) in left_out.items():
        if count:
            yield problem(line, "", f"no table holds {what}: {count:,} left out, the first here", "")


def _problem_of(line: int, error: Exception) -> Problem:
    """What an error says of the item at a line."""
    if isinstance(error, InputError):
        return problem(line, error.where, f"expected {error.expected}", "" if error.value is ... else error.value)
    if isinstance(error, UnicodeEncodeError):
        return problem(line, "", "expected characters that Unicode has", "")
    return problem(line, "", f"expected an item that can be taken apart ({error})", "")


def problem(line: int, column: str, reason: str, raw: object) -> Problem:
    """A problem with the beginning of what stands there, in characters that any file can hold."""
    try:
        text = raw if isinstance(raw, str) else repr(raw)
    except RecursionError:
        text = ""
    column, reason, text = (one.encode("utf-8", "backslashreplace").decode() for one in (column, reason, text[:_SHOWN]))
    return Problem(line, column, reason, text)


def text_at(item: Mapping[str, Any], name: str, needed: bool = False) -> str | None:
    """A member that is text or a number, as text; blank is nothing.

    Raises
    ------
    InputError
        It is something else, or needed and not there.
    """
    value = item.get(name)
    if value is None or value == "":
        if needed:
            raise InputError(name, "a text", value)
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(name, "a text", value)
    return str(value)


def objects_at(item: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A member that is a list of objects; none where it is not there.

    Raises
    ------
    InputError
        It is something else.
    """
    value = item.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InputError(name, "a list of objects", value)
    return value


def without_blanks(cells: Cells) -> Cells:
    """The cells that hold something."""
    return {name: cell for name, cell in cells.items() if cell is not None and cell != ""}


def first_day(text: str | None) -> str | None:
    """The first day that a date of any precision can mean: 2024 is 2024-01-01; what is no date stays as it is."""
    found = _PARTIAL.fullmatch(text) if text else None
    return f"{found[1]}-{found[2] or '01'}-{found[3] or '01'}" if found else text


def last_day(text: str | None) -> str | None:
    """The last day that a date of any precision can mean: 2024-02 is 2024-02-29; what is no date stays as it is."""
    found = _PARTIAL.fullmatch(text) if text else None
    if not found or found[3]:
        return first_day(text)
    month = found[2] or "12"
    try:
        return f"{found[1]}-{month}-{calendar.monthrange(int(found[1]), int(month))[1]}"
    except calendar.IllegalMonthError:
        return text


def share_of_percent(text: str | None) -> str | None:
    """A share from 0 to 1 of the percentage that a text gives: the lower end where it gives two; nothing where none.

    One below zero stays as it is, to be refused with the rest of its row.
    """
    if text and text.lstrip().startswith("-"):
        return text
    numbers = [Decimal(one.replace(",", ".")) for one in _NUMBER.findall(text or "")]
    return as_number(min(numbers) / 100) if numbers else None


def percent_of_share(text: str | None) -> str | None:
    """The percentage that is a share; nothing where the text is no number."""
    return as_number(Decimal(text) * 100) if text and _NUMBER.fullmatch(text) else None


def as_number(number: Decimal) -> str:
    """A number as plain digits: 0.499, 1."""
    return f"{number.normalize():f}"


def cells_of(row: Mapping[str, Any]) -> Cells:
    """A stored row as the text cells it was read from, and what the files said beyond it (from its ``extra``)."""
    cells: Cells = {}
    for name, value in row.items():
        if value is None or name in ("extra", "row_id", "row_hash"):
            continue
        if isinstance(value, float):
            cells[name] = as_number(Decimal(repr(value)))
        else:
            cells[name] = value.isoformat() if isinstance(value, date) else str(value)
    extra = json.loads(row["extra"]) if row.get("extra") else {}
    return cells | {name: cell for name, cell in extra.items() if isinstance(cell, str)}


def columns_of(table: str, cells: Cells) -> Cells:
    """The cells that are columns of the table and hold something."""
    return without_blanks({one.name: cells.get(one.name) for one in tables()[table]})


def ours_in(table: str, item: Mapping[str, Any], member: str = OURS) -> Cells:
    """The cells that an exported item gives word for word, because its format has no word for them."""
    given = item.get(member)
    if not isinstance(given, dict):
        return {}
    names = {one.name for one in tables()[table]}
    return {name: cell for name, cell in given.items() if name in names and (cell is None or isinstance(cell, str))}


def not_said(table: str, cells: Cells, read_back: Cells) -> Cells:
    """The cells that reading an item back would not give, or would give otherwise."""
    wanted, got = columns_of(table, cells), columns_of(table, read_back)
    return {name: wanted.get(name) for name in wanted | got if wanted.get(name) != got.get(name)}


def beyond(item: Mapping[str, Any], said: Mapping[str, Any], never: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of an item that cannot be made again from the cells, for the row's ``extra``."""
    return {name: value for name, value in item.items() if name not in never and said.get(name) != value}


def keep(name: str, more: Mapping[str, Any]) -> Cells:
    """The cell that keeps what an item says beyond its cells; a store holds no longer one, so that one is left out."""
    text = dumps(more) if more else ""
    return {name: text} if text and len(text) <= LONGEST_KEPT else {}


def kept(cells: Cells, name: str) -> dict[str, Any]:
    """What an earlier import kept of an item beyond its cells."""
    try:
        found = json.loads(cells.get(name) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def dumps(data: Any) -> str:
    """Compact JSON, the same for the same data; ``ValueError`` where a number is not finite."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def identifier(*parts: str | None) -> str:
    """The identifier of what these parts name."""
    return str(uuid5(NAMESPACE, dumps(parts)))


def holding_id(cells: Cells) -> str:
    """The identifier of a row of ``ownership`` that came without one."""
    columns = columns_of("ownership", cells)
    return identifier("ownership", *sorted(f"{name}={columns[name]}" for name in columns))


def record_id(given: str, cells: Cells) -> Cells:
    """The cell that keeps a holding's identifier; none where it is the one that an export gave it."""
    return {} if given == holding_id(cells) else {"record_id": given}
