"""The store of evidence: one DuckDB file with the tables of evidence, what was set aside, and what reviewers say."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from thresher.errors import InputError
from thresher.records.schema import columns_sql, tables

VERSION = 1
"""The layout of the store's own tables; a store with a higher one was made by a later Thresher."""
MEMORY_LIMIT = "1500MB"
"""What DuckDB may hold while it writes before it spills to disk; what Python reads comes on top of it."""
VERDICTS = ("yes", "no")

OWN_TABLES = {
    "meta": {"name": "VARCHAR", "value": "VARCHAR"},
    "imports": {
        "import_id": "BIGINT",
        "table_name": "VARCHAR",
        "source_file": "VARCHAR",
        "folder": "VARCHAR",
        "sha256": "VARCHAR",
        "bytes": "BIGINT",
        "rows_read": "BIGINT",
        "rows_loaded": "BIGINT",
        "rows_quarantined": "BIGINT",
        "problem": "VARCHAR",
        "at": "TIMESTAMP",
    },
    "quarantine": {
        "import_id": "BIGINT",
        "table_name": "VARCHAR",
        "source_file": "VARCHAR",
        "source_line": "BIGINT",
        "column_name": "VARCHAR",
        "reason": "VARCHAR",
        "raw_text": "VARCHAR",
        "loaded_at": "TIMESTAMP",
    },
    "judgement_history": {
        "number": "BIGINT",
        "left_mention": "VARCHAR",
        "right_mention": "VARCHAR",
        "verdict": "VARCHAR",
        "reviewer": "VARCHAR",
        "note": "VARCHAR",
        "at": "TIMESTAMP",
    },
    "lead_decision_history": {
        "number": "BIGINT",
        "owner": "VARCHAR",
        "regime": "VARCHAR",
        "decision": "VARCHAR",
        "reviewer": "VARCHAR",
        "note": "VARCHAR",
        "at": "TIMESTAMP",
    },
}
"""What the store keeps beside the evidence; where a judgement or a decision was withdrawn, the last one is blank."""
LATER_TABLES = ("lead_decision_history",)
"""Those of the store's own tables that came later: a store without them is read as if they were empty, and gets them when it is
written to."""

_VIEWS = {name: f"SELECT * FROM {{store}}.{name}" for name in (*tables(), "quarantine", "imports")} | {
    "judgements": """
        SELECT left_mention, right_mention, verdict, reviewer, note, "at" FROM {store}.judgement_history
        QUALIFY row_number() OVER (PARTITION BY left_mention, right_mention ORDER BY number DESC) = 1
            AND verdict IS NOT NULL""",
    "lead_decisions": """
        SELECT owner, regime, decision, reviewer, note, "at" FROM {store}.lead_decision_history
        QUALIFY row_number() OVER (PARTITION BY owner, regime ORDER BY number DESC) = 1
            AND decision IS NOT NULL""",
}
"""What may be asked of a store: the evidence, what was set aside and read, the judgements and the decisions that stand."""

_SIGNATURE_AT, _SIGNATURE = 8, b"DUCK"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_ALIAS = "evidence_store"


def create_store(store: Path) -> None:
    """Make an empty store, whole or not at all; folders that are missing are made.

    Raises
    ------
    InputError
        The file is there already, or cannot be written.
    """
    statements = [
        _creating(name, columns)
        for name, columns in ({name: columns_sql(name) for name in tables()} | OWN_TABLES).items()
    ]
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        # made under another name and then given its own, so that no reader and no kill meets half a store
        with tempfile.TemporaryDirectory(prefix=f".{store.name}-", dir=store.parent) as folder:
            made = Path(folder) / "new.duckdb"
            with duckdb.connect(str(made), config=_CONFIG) as connection:
                for statement in statements:
                    connection.execute(statement)
                facts = {"version": str(VERSION), "tables": _tables_fingerprint(), "next_row_id": "1"}
                connection.executemany("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
            if is_missing(store):
                store.unlink(missing_ok=True)
            try:
                os.link(made, store)
            except FileExistsError:
                raise
            except OSError:  # a file system without links: it may replace a store made this very moment
                made.replace(store)
    except FileExistsError:
        raise InputError(str(store), "a file that is not there yet") from None
    except (OSError, ValueError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(store), f"a place that can be written ({reason})") from None


def is_missing(store: Path) -> bool:
    """Whether a store has yet to be made: there is no file, or an empty one.

    Raises
    ------
    InputError
        It is a name that no file can have.
    """
    try:
        return not store.exists() or (store.is_file() and store.stat().st_size == 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(store), f"a name that a file can have ({reason})") from None


@contextmanager
def open_store(store: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a store, in one transaction that is kept whole or, after any error, not at all.

    Raises
    ------
    InputError
        The file is not a store, was made by a later version, is held by another process, or cannot be written.
    """
    check_file(store)
    try:
        connection = duckdb.connect(
            str(store),
            read_only=read_only,
            config=_CONFIG | {"memory_limit": MEMORY_LIMIT, "preserve_insertion_order": "false"},
        )
    except (duckdb.Error, UnicodeError) as error:
        raise _not_opened(store, error) from None
    try:
        lacking = _check_layout(connection, store)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        if lacking:
            (_stand_in if read_only else _add_tables)(connection, lacking)
        yield connection
        connection.execute("COMMIT")
    except duckdb.Error as error:
        raise InputError(str(store), f"a store that can be {'read' if read_only else 'written'} ({error})") from None
    finally:
        # closing rolls back what was not committed
        connection.close()


def attach_evidence(connection: duckdb.DuckDBPyConnection, store: Path) -> None:
    """Give a connection the evidence of a store, read-only: a view for every table, whether or not it holds rows.

    Beside the tables of evidence there are the views ``quarantine`` (what was set aside, and why), ``imports`` (the files
    read), ``judgements`` (the verdicts of reviewers on pairs that stand) and ``lead_decisions`` (their decisions about leads
    that stand).

    Raises
    ------
    InputError
        The file is not a store, was made by a later version, or is being written by another process.
    """
    check_file(store)
    connection.execute(f"DETACH DATABASE IF EXISTS {_ALIAS}")
    try:
        connection.execute(f"ATTACH {literal(str(store))} AS {_ALIAS} (READ_ONLY, TYPE duckdb)")
    except (duckdb.Error, UnicodeError) as error:
        raise _not_opened(store, error) from None
    try:
        lacking = _check_layout(connection, store, f"{_ALIAS}.")
    except InputError:
        connection.execute(f"DETACH {_ALIAS}")
        raise
    for name in lacking:
        connection.execute(f"CREATE OR REPLACE VIEW main.{name} AS {_no_rows_of(name)}")
    for name, query in _VIEWS.items():
        place = "main" if any(table in query for table in lacking) else f"{_ALIAS}.main"
        connection.execute(f"CREATE OR REPLACE VIEW main.{name} AS {query.format(store=place)}")


def query_of(view: str) -> str:
    """The query behind a view, for a connection to the store itself."""
    return _VIEWS[view].format(store="main")


def export_evidence(store: Path, folder: Path) -> dict[str, Path]:
    """Write the tables that ``attach_evidence`` gives as Parquet files of a folder, for another engine.

    Returns
    -------
    dict
        The file of each table, by the table's name.

    Raises
    ------
    InputError
        As for ``attach_evidence``, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), f"a folder that can be written ({error.strerror or error})") from None
    written = {name: folder / f"{name}.parquet" for name in _VIEWS}
    with open_store(store, read_only=True) as connection:
        for name in _VIEWS:
            connection.execute(f"COPY ({query_of(name)}) TO {literal(str(written[name]))} (FORMAT parquet)")
    return written


def add_judgement(store: Path, left: str, right: str, verdict: str, reviewer: str, note: str = "") -> None:
    """Keep a reviewer's word on whether two mentions are one; it replaces an earlier one of the pair, which stays on record.

    Parameters
    ----------
    left, right
        The two mentions, in either order.
    verdict
        ``yes``: they are one; ``no``: they are not.
    reviewer, note
        Who says so, and why.

    Raises
    ------
    InputError
        The verdict is another word, a mention or the reviewer is blank, or both mentions are the same; or the store's.
    """
    if verdict not in VERDICTS:
        raise InputError("verdict", f"one of {', '.join(VERDICTS)}", verdict)
    _judge(store, left, right, verdict, reviewer, note)


def remove_judgement(store: Path, left: str, right: str, reviewer: str, note: str = "") -> None:
    """Withdraw the judgement of a pair; that it was made, and withdrawn, stays on record.

    Raises
    ------
    InputError
        There is no judgement of this pair; or as for ``add_judgement``.
    """
    _judge(store, left, right, None, reviewer, note)


def judgements_of(store: Path) -> list[dict[str, Any]]:
    """The judgements that stand, the newest first: ``left, right, verdict, reviewer, note, at``, and either party's name.

    Raises
    ------
    InputError
        The store's.
    """
    names = "(SELECT min(name) FROM parties WHERE 'party:' || party = {side}_mention) AS {side}_name"
    query = f"""
        SELECT left_mention AS "left", right_mention AS "right", verdict, reviewer, note, "at",
            {names.format(side="left")}, {names.format(side="right")}
        FROM ({query_of("judgements")}) ORDER BY "at" DESC, 1, 2"""
    with open_store(store, read_only=True) as connection:
        found = connection.execute(query)
        columns = [one[0] for one in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _judge(store: Path, left: str, right: str, verdict: str | None, reviewer: str, note: str) -> None:
    for name, text in (("left", left), ("right", right), ("reviewer", reviewer)):
        if not text.strip():
            raise InputError(name, "a name that is not blank", text)
    if left == right:
        raise InputError("right", "another mention than the left", right)
    pair = sorted((left, right))
    with open_store(store) as connection:
        standing = connection.execute(
            f"SELECT 1 FROM ({query_of('judgements')}) WHERE left_mention = ? AND right_mention = ?",
            pair,
        ).fetchone()
        if verdict is None and standing is None:
            raise InputError(str(store), "a judgement of this pair", " and ".join(pair))
        connection.execute(
            "INSERT INTO judgement_history SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ? FROM judgement_history",
            [*pair, verdict, reviewer, note, now()],
        )


def now() -> datetime:
    """The time, in UTC and without a zone, as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


def quoted(name: str) -> str:
    """A column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def check_file(store: Path) -> None:
    """Refuse what is not a DuckDB file before the engine guesses what else it may be."""
    try:
        with store.open("rb") as stream:
            start = stream.read(_SIGNATURE_AT + len(_SIGNATURE))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(store), f"a store that `thresher import` made ({reason})") from None
    if start[_SIGNATURE_AT:] != _SIGNATURE:
        raise InputError(str(store), "a store that `thresher import` made, and this is another kind of file")


def _check_layout(connection: duckdb.DuckDBPyConnection, store: Path, prefix: str = "") -> tuple[str, ...]:
    """Refuse a database that is not a store, or whose tables are not those that this version reads; the later ones it lacks."""
    try:
        facts = dict(connection.execute(f"SELECT name, value FROM {prefix}meta").fetchall())
        version = int(facts["version"])
    except (duckdb.Error, KeyError, ValueError):
        raise InputError(str(store), "a store that `thresher import` made, and this is another database") from None
    if version > VERSION:
        raise InputError(str(store), f"a store of version {VERSION} at most; a later Thresher made it", version)
    lacking = {_tables_fingerprint(): (), _tables_fingerprint(LATER_TABLES): LATER_TABLES}
    if facts.get("tables") not in lacking:
        raise InputError(str(store), "a store with the tables of this Thresher: import the files into a new one")
    return lacking[facts["tables"]]


def _tables_fingerprint(without: Sequence[str] = ()) -> str:
    own = {name: columns for name, columns in OWN_TABLES.items() if name not in without}
    layout = {name: columns_sql(name) for name in tables()} | own
    return hashlib.sha256(json.dumps(layout).encode()).hexdigest()


def _add_tables(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Give a store the tables that it lacks, with whatever else is written in the same transaction, or not at all."""
    for name in names:
        connection.execute(_creating(name, OWN_TABLES[name]))
    connection.execute("UPDATE meta SET value = ? WHERE name = 'tables'", [_tables_fingerprint()])


def _stand_in(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Let a connection that only reads see empty tables where a store lacks them."""
    for name in names:
        connection.execute(f"CREATE TEMP VIEW {name} AS {_no_rows_of(name)}")


def _no_rows_of(name: str) -> str:
    columns = ", ".join(f"NULL::{sql} AS {quoted(column)}" for column, sql in OWN_TABLES[name].items())
    return f"SELECT {columns} WHERE false"


def _creating(name: str, columns: Mapping[str, str]) -> str:
    return f"CREATE TABLE {name} ({', '.join(f'{quoted(column)} {sql}' for column, sql in columns.items())})"


def _not_opened(store: Path, error: Exception) -> InputError:
    text = str(error)
    if "lock" in text or "already attached" in text or "same database file" in text or "file handle conflict" in text:
        return InputError(str(store), "a store that nobody else has open; wait for the other command to end, or end it")
    return InputError(str(store), f"a store that can be opened ({text.splitlines()[0] if text else 'it is damaged'})")
