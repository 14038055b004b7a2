"""Which files are of an ecosystem format, how they are read, and how a store's evidence is written in those formats."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thresher.errors import InputError
from thresher.records.exchange.rows import Cells, Problem, Row, cells_of

if TYPE_CHECKING:
    import ibis

FORMATS = {"ftm": "entities.ftm.json", "bods": "statements.bods.json", "epcis": "events.epcis.jsonld"}
"""The formats, and the file that an export writes in each."""
TABLES = {"ftm": ("parties", "ownership"), "bods": ("parties", "ownership"), "epcis": ("custody",)}
ENDINGS = (".ftm.json", ".bods.json", ".epcis.json", ".jsonld")
BATCH_ROWS, PYTHON_ROWS = 200_000, 5_000
"""Rows that one query fetches, and rows of them that are Python objects at a time."""

_NAMES = {
    "ftm": re.compile(r".*\.ftm\.(json|jsonl|ndjson)|entities.*\.(json|jsonl|ndjson)"),
    "bods": re.compile(r".*\.bods\.(json|jsonl|ndjson)"),
    "epcis": re.compile(r".*\.epcis\.(json|jsonl|ndjson)|.*\.jsonld"),
}


def is_exchange_file(path: Path) -> bool:
    """Whether the file's name says that it is of an ecosystem format: ``*.ftm.json``, ``*.bods.json``, ``*.epcis.json``...

    ``.jsonl`` and ``.ndjson`` stand for JSON lines; ``entities*.json`` is FollowTheMoney and ``*.jsonld`` EPCIS.
    """
    return bool(tables_in(path))


def tables_in(path: Path) -> tuple[str, ...]:
    """The tables of which such a file can hold rows, by its name alone; none where it is of no ecosystem format."""
    kind = _format_of(path)
    return TABLES[kind] if kind else ()


def read_exchange(path: Path, table: str | None = None) -> Iterator[Row | Problem]:
    """The rows that a file of an ecosystem format holds, and what is wrong with it, in the order of the file.

    Memory is bounded by the longest item and by what items refer to in each other. The cells are text and still have to be
    checked against the schema, as those of a CSV file.

    Parameters
    ----------
    path
        The file.
    table
        The one table whose rows are wanted. Over all `tables_in` the file, each problem is given once.

    Raises
    ------
    InputError
        The file cannot be read, or its name is none of `is_exchange_file`.
    """
    kind = _format_of(path)
    if kind == "ftm":
        from thresher.records.exchange.ftm import read_ftm  # noqa: PLC0415

        return read_ftm(path, table)
    if kind == "bods":
        from thresher.records.exchange.bods import read_bods  # noqa: PLC0415

        return read_bods(path, table)
    if kind == "epcis":
        from thresher.records.exchange.epcis import read_epcis  # noqa: PLC0415

        return read_epcis(path, table)
    raise InputError(str(path), f"a name that ends in {', '.join(ENDINGS)}")


def export_tables(evidence: Callable[[str], ibis.Table], format: str) -> Iterator[str]:
    """A store's evidence in one format, as the pieces of a text.

    Parameters
    ----------
    evidence
        Gives a table of evidence by its name: ``parties`` and ``ownership``, or for ``epcis`` ``custody``.
    format
        One of `FORMATS`.
    """
    if format == "ftm":
        from thresher.records.exchange.ftm import export_ftm  # noqa: PLC0415

        return export_ftm(_rows(evidence("parties")), _rows(evidence("ownership")))
    if format == "bods":
        from thresher.records.exchange.bods import export_bods  # noqa: PLC0415

        return export_bods(_rows(evidence("parties")), _rows(evidence("ownership")))
    if format == "epcis":
        from thresher.records.exchange.epcis import export_epcis  # noqa: PLC0415

        custody = evidence("custody")
        loaded = custody.loaded_at.max().to_pyarrow().as_py()
        return export_epcis(_rows(custody), f"{loaded or datetime(1970, 1, 1):%Y-%m-%dT%H:%M:%S}Z")
    raise InputError("format", f"one of {', '.join(FORMATS)}", format)


def export_records(store: Path, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Write a store's evidence in ecosystem formats; each file whole or not at all, the same for the same store.

    Parameters
    ----------
    store
        The store's file, which is only read.
    folder
        Where the files go, named as in `FORMATS`; made where it is missing.
    formats
        Which of `FORMATS`; FollowTheMoney and BODS hold parties and ownership, EPCIS holds custody.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        A format that is not known, a store that cannot be opened, or a folder that cannot be written.
    """
    import ibis  # noqa: PLC0415

    from thresher.records.store import attach_evidence  # noqa: PLC0415

    for one in formats:
        if one not in FORMATS:
            raise InputError("format", f"one of {', '.join(FORMATS)}", one)
    backend = ibis.duckdb.connect()
    try:
        attach_evidence(backend.con, store)
        written = []
        for one in dict.fromkeys(formats):
            written.append(folder / FORMATS[one])
            write_pieces(written[-1], export_tables(backend.table, one))
        return written
    finally:
        backend.disconnect()


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a text piece by piece, whole or not at all; missing folders are made.

    Raises
    ------
    InputError
        The path cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            whole = Path(folder) / path.name
            with whole.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(pieces)
            whole.replace(path)
    except OSError as error:
        raise InputError(str(path), f"a path that can be written ({error.strerror})") from None


def _format_of(path: Path) -> str | None:
    return next((name for name, form in _NAMES.items() if form.fullmatch(path.name.lower())), None)


def _rows(table: ibis.Table) -> Iterator[Cells]:
    """The rows of a table of evidence as text cells, in the order of their numbers, a batch at a time."""
    after = -1
    while True:
        # Ibis 12 cannot stream from DuckDB 2, so one query for each batch
        batch = table.filter(table.row_id > after).order_by("row_id").limit(BATCH_ROWS).to_pyarrow()
        if not len(batch):
            return
        after = batch["row_id"][-1].as_py()
        for part in batch.to_batches(PYTHON_ROWS):
            yield from map(cells_of, part.to_pylist())
