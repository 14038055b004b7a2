"""What a right row is, as SQL made from the schema: text cells to typed columns, and the reason where a cell is wrong."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute

from thresher.records.lines import TEXT_KEPT
from thresher.records.reading import Header
from thresher.records.schema import PROVENANCE, SQL_TYPES, Column, tables
from thresher.records.store import literal, quoted

CHUNK_ROWS = 20_000
"""Rows that one thread checks at a time."""
LONGEST_TEXT = 4096
LONGEST_OTHER_TEXT = 65_536
"""Characters of a cell of a column that is not the table's, which may hold somebody's notes."""
CELL_SHOWN = 80
"""Characters of a wrong cell that its reason quotes."""
HASH_DIGITS = 32
"""Hexadecimal digits of SHA-256 that are kept of a row's content: 128 bits."""

_LARGEST = 1.7976931348623157e308
RANGES = {
    "count": (0, 1e12),
    "number": (-_LARGEST, _LARGEST),
    "amount": (0, _LARGEST),
    "share": (0, 1),
    "latitude": (-90, 90),
    "longitude": (-180, 180),
}
"""The values that the types of ``thresher.records.schema.EXPECTED`` allow; infinity is no number."""
FIRST_TIME, LAST_TIME = "1900-01-01", "2199-12-31 23:59:59.999999"

ROW_RULES = {"pings": (("serial", "site"), "a serial or a site, got two blanks")}
"""Columns of a table of which one at least may not be blank, and what would be right."""

_BLANKS = " \t\n\r\f\v\u00a0\u2007\u202f\u3000\ufeff"
_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_TIME = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?"
_MONTH = r"\d{4}-\d{2}"
_SEPARATOR = 31
"""The character between the values of a row when it is hashed; no checked text holds it."""


def trimmed(cells: pa.Table) -> pa.Table:
    """The cells of a batch without the blanks around them, in pieces that several threads can check."""
    columns = [
        column if pa.types.is_integer(column.type) else pyarrow.compute.utf8_trim(column, characters=_BLANKS)
        for column in cells.columns
    ]
    table = pa.table(columns, cells.column_names)
    return pa.Table.from_batches(table.to_batches(max_chunksize=CHUNK_ROWS), table.schema)


def load_sql(header: Header) -> str:
    """The statement that loads the right rows of the relation ``batch``: ``source_line``, and the cells, ``trimmed``.

    Its parameters are the number that a row's own is added to for its ``row_id``, the file's name and the time.
    """
    columns = [column for column in tables()[header.table] if column.name in header.known]
    names = [quoted(column.name) for column in columns]
    values = [f"v{header.known[column.name]}" for column in columns]
    provenance = {
        "row_id": f"? + {header.number}",
        "source_file": "?",
        "source_line": "source_line",
        "row_hash": "row_hash",
        "loaded_at": "?",
        "extra": "extra",
    }
    # worked out once and kept, or else the engine works it out again for the condition
    return f"""
        INSERT INTO {header.table} ({", ".join([*names, *PROVENANCE])})
        WITH checked AS MATERIALIZED ({_checked(header)})
        SELECT {", ".join([*values, *(provenance[name] for name in PROVENANCE)])}
        FROM ({_hashed(header, "SELECT * FROM checked WHERE NOT wrong")})"""


def set_aside_sql(header: Header) -> str:
    """The statement that puts what is wrong with rows of ``batch`` into the quarantine: each wrong cell, and why.

    Its parameters are the number of the import, the file's name and the time. Rows of blanks alone are not wrong.
    """
    places = _places(header)
    raw = ", ".join(f"coalesce(c{place}, '')" for place in places)
    blank = f"coalesce({', '.join(f'r{place}' for place in places)}) IS NULL"
    reasons = " UNION ALL ".join(
        f"SELECT source_line, {literal(column)} AS column_name, {reason} AS reason, raw_text FROM wrong WHERE {condition}"
        for column, condition, reason in _rules(header)
    )
    return f"""
        INSERT INTO quarantine
        WITH wrong AS MATERIALIZED (
            SELECT *, left(concat_ws(',', {raw}), {TEXT_KEPT}) AS raw_text
            FROM ({_checked(header)}) WHERE wrong AND NOT ({blank})
        )
        SELECT ? AS import_id, {literal(header.table)} AS table_name, ? AS source_file, source_line,
            column_name, reason, raw_text, ? AS loaded_at
        FROM ({reasons})"""


def _rules(header: Header) -> list[tuple[str, str, str]]:
    """What makes a row wrong: the column, the condition and the reason, both in SQL; a condition is never unknown."""
    rules = []
    for column in tables()[header.table]:
        place = header.known.get(column.name)
        if place is None:
            continue
        if column.needed:
            rules.append((column.name, f"r{place} IS NULL", literal(f"expected {column.expected}, got a blank")))
        rules.append((column.name, f"r{place} IS NOT NULL AND v{place} IS NULL", _reason(column, place)))
    for name, place in header.others.items():
        reason = literal(f"expected text of at most {LONGEST_OTHER_TEXT:,} characters, got ")
        too_long = f"coalesce(length(r{place}), 0) > {LONGEST_OTHER_TEXT}"
        rules.append((name, too_long, f"{reason} || format('{{:,}}', length(r{place}))"))
    if header.table in ROW_RULES:
        names, expected = ROW_RULES[header.table]
        blank = [f"r{header.known[name]} IS NULL" for name in names if name in header.known]
        rules.append((names[0], " AND ".join(blank) or "true", literal(f"expected {expected}")))
    return rules


def _reason(column: Column, place: int) -> str:
    """Why a cell is wrong, in SQL; characters that a terminal would act on are not quoted."""
    shown = rf"regexp_replace(left(r{place}, {CELL_SHOWN}), '[\x00-\x1f\x7f-\x9f]', '{chr(0xFFFD)}', 'g')"
    got = f"'got ''' || {shown} || ''''"
    if column.type == "text":
        length = f"length(r{place})"
        got = f"CASE WHEN {length} > {LONGEST_TEXT} THEN format('got {{:,}}', {length}) ELSE {got} END"
    return f"{literal(f'expected {column.expected}, ')} || {got}"


def _hashed(header: Header, right: str) -> str:
    """Right rows with their other columns as one JSON text, and the hash of all of it."""
    values = [
        f"coalesce(CAST(v{header.known[column.name]} AS VARCHAR), '')" if column.name in header.known else "''"
        for column in tables()[header.table]
    ]
    pairs = ", ".join(
        f"{literal(json.dumps(name, ensure_ascii=False) + ': ')} || CAST(to_json(r{place}) AS VARCHAR)"
        for name, place in sorted(header.others.items())
    )
    extra = "CAST(NULL AS VARCHAR)"
    if pairs:
        others = ", ".join(f"r{place}" for place in header.others.values())
        extra = f"CASE WHEN coalesce({others}) IS NOT NULL THEN '{{' || concat_ws(', ', {pairs}) || '}}' END"
    content = f"concat_ws(chr({_SEPARATOR}), {literal(header.table)}, {', '.join(values)}, coalesce(extra, ''))"
    return f"""
        SELECT *, left(sha256({content}), {HASH_DIGITS}) AS row_hash
        FROM (SELECT *, {extra} AS extra FROM ({right}))"""


def _checked(header: Header) -> str:
    """The cells of ``batch`` as text (``r0``...; a blank is nothing) and typed (``v0``...), and whether the row is ``wrong``."""
    columns = {column.name: column for column in tables()[header.table]}
    cells = [f"nullif(c{place}, '') AS r{place}" for place in _places(header)]
    parsed = [f"{_parsed(columns[name], f'r{place}')} AS p{place}" for name, place in header.known.items()]
    values = [f"{_value(columns[name], f'p{place}')} AS v{place}" for name, place in header.known.items()]
    wrong = " OR ".join(f"({condition})" for _, condition, _ in _rules(header))
    return f"""
        SELECT *, ({wrong}) AS wrong FROM (
            SELECT *, {", ".join(values)} FROM (SELECT *, {", ".join(parsed)} FROM (SELECT *, {", ".join(cells)} FROM batch))
        )"""


def _parsed(column: Column, cell: str) -> str:
    """A trimmed cell as text, number or time, whatever its range."""
    if column.choices:
        return f"lower({cell})"
    if column.type == "text":
        return f"nfc_normalize({cell})"
    if column.type in RANGES:
        # adding nothing turns a negative zero into zero
        return f"TRY_CAST(CASE WHEN regexp_full_match({cell}, '{_NUMBER}') THEN {cell} END AS DOUBLE) + 0"
    text = f"CASE WHEN regexp_full_match({cell}, '{_TIME}') THEN {cell} END"
    if column.type == "month":
        text = f"CASE WHEN regexp_full_match({cell}, '{_MONTH}') THEN {cell} || '-01' ELSE {text} END"
    # a time without an offset is one in UTC, which is the zone of the store's connection
    return f"make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)))"


def _value(column: Column, parsed: str) -> str:
    """A parsed cell as the store keeps it; nothing where it is not in the range of its type."""
    if column.choices:
        return f"CASE WHEN {parsed} IN ({', '.join(map(literal, column.choices))}) THEN {parsed} END"
    if column.type == "text":
        return f"CASE WHEN length({parsed}) <= {LONGEST_TEXT} AND NOT regexp_matches({parsed}, '{_CONTROLS}') THEN {parsed} END"
    if column.type in RANGES:
        low, high = RANGES[column.type]
        whole = f" AND {parsed} = floor({parsed})" if column.type == "count" else ""
        return f"CASE WHEN {parsed} BETWEEN {low!r} AND {high!r}{whole} THEN CAST({parsed} AS {SQL_TYPES[column.type]}) END"
    value = f"date_trunc('month', {parsed})" if column.type == "month" else parsed
    within = f"{parsed} BETWEEN TIMESTAMP '{FIRST_TIME}' AND TIMESTAMP '{LAST_TIME}'"
    return f"CASE WHEN {within} THEN CAST({value} AS {SQL_TYPES[column.type]}) END"


def _places(header: Header) -> list[int]:
    return sorted([*header.known.values(), *header.others.values()])
