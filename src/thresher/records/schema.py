"""The tables of evidence: their columns, types and units, read from one table that the validator and the docs share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from thresher.sources import read_table

SQL_TYPES = {
    "text": "VARCHAR",
    "choice": "VARCHAR",
    "count": "BIGINT",
    "number": "DOUBLE",
    "amount": "DOUBLE",
    "share": "DOUBLE",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "date": "DATE",
    "month": "DATE",
    "timestamp": "TIMESTAMP",
}
"""How each type of column is stored; a month is stored as its first day."""

EXPECTED = {
    "text": "text of at most 4,096 characters, without control characters",
    "count": "a whole number from 0 to 1,000,000,000,000",
    "number": "a number",
    "amount": "a number of at least 0",
    "share": "a share from 0 to 1 (25% is 0.25)",
    "latitude": "degrees from -90 to 90",
    "longitude": "degrees from -180 to 180",
    "date": "a day from 1900 to 2199, as 2025-01-31",
    "month": "a month from 1900 to 2199, as 2025-01",
    "timestamp": "a time from 1900 to 2199, as 2025-01-31T10:00:00",
}
"""What would be right, for a person whose cell is wrong; a ``choice`` lists its words."""

PROVENANCE = {
    "row_id": "BIGINT",
    "source_file": "VARCHAR",
    "source_line": "BIGINT",
    "row_hash": "VARCHAR",
    "loaded_at": "TIMESTAMP",
    "extra": "VARCHAR",
}
"""What the store adds to every row: a number of its own, where it was read, its hash, when, and its other columns (JSON)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table of evidence; ``needed`` cells may not be blank, ``key`` columns name what the row is about."""

    table: str
    name: str
    type: str
    unit: str
    needed: bool
    key: bool
    choices: tuple[str, ...]
    refers_to: str
    example: str
    description: str

    @property
    def expected(self) -> str:
        """What a cell of this column should hold, as a phrase that completes "expected ..."."""
        return f"one of {', '.join(self.choices)}" if self.choices else EXPECTED[self.type]


@cache
def tables() -> dict[str, tuple[Column, ...]]:
    """The columns of every table, by the table's name, in order."""
    found: dict[str, tuple[Column, ...]] = {}
    for row in read_table("thresher.records", "columns.csv"):
        column = Column(
            row["table"],
            row["column"],
            row["type"],
            row["unit"],
            row["needed"] == "yes",
            row["key"] == "yes",
            tuple(row["choices"].split("|")) if row["choices"] else (),
            row["refers_to"],
            row["example"],
            row["description"],
        )
        found[column.table] = (*found.get(column.table, ()), column)
    return found


def columns_sql(table: str) -> dict[str, str]:
    """The columns of a stored table and their SQL types, those of the evidence first, then its provenance."""
    return {column.name: SQL_TYPES[column.type] for column in tables()[table]} | PROVENANCE


def records_schema_markdown() -> str:
    """The tables as Markdown, for the documentation."""
    parts = []
    for name, columns in tables().items():
        rows = [
            f"| `{one.name}` | {one.type}{f' ({one.unit})' if one.unit else ''} | {'yes' if one.needed else ''} | "
            f"{one.description}{': ' + ', '.join(f'`{word}`' for word in one.choices) if one.choices else ''} | "
            f"`{one.example}` |"
            for one in columns
        ]
        parts.append(
            "\n".join(
                [
                    f"### `{name}`",
                    "",
                    "| column | type | needed | what it holds | example |",
                    "|---|---|---|---|---|",
                    *rows,
                ]
            )
        )
    return "\n\n".join(parts) + "\n"
