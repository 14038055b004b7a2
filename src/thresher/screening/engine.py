"""Where the steps run: one Ibis backend that holds the evidence and what the steps keep; DuckDB by default, or Spark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from thresher.errors import InputError
from thresher.records.schema import columns_sql, tables

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

ENGINES = ("duckdb", "spark")
_OF_REVIEWERS = {
    "judgements": ("left_mention", "right_mention", "verdict"),
    "lead_decisions": ("owner", "regime", "decision", "reviewer", "note", "at"),
}
"""What a store has of reviewers beside the evidence, and its columns."""
MEMORY_LIMIT = "5GB"
"""What DuckDB may hold before it spills to disk; Python's own arrays come on top of it."""


class Findings(NamedTuple):
    """What a step found: ``findings`` and, for each of them, the rows it came from.

    ``findings`` has the columns ``entity, finding, strength, detail``: a row for each entity that could be looked at, with
    strength 0 where nothing was found (no row: it could not be looked at). ``citations`` has ``entity, finding, table,
    row_id`` and stays an expression, to be asked of the few entities that somebody reads about.
    """

    findings: ibis.Table
    citations: ibis.Table


class Engine:
    """An Ibis backend that holds the tables of evidence, and the tables that steps keep for each other."""

    def __init__(self, backend: Any, name: str) -> None:
        self.backend = backend
        self.name = name

    def table(self, name: str) -> ibis.Table:
        """A table of evidence, or one that a step kept."""
        return self.backend.table(name)

    def keep(self, name: str, data: ibis.Table | pa.Table) -> ibis.Table:
        """Work out a table once and keep it under a name, in place of what stood there."""
        if self.name == "spark":
            _keep_on_spark(self.backend, name, data)
        else:
            self.backend.create_table(name, data, overwrite=True)
        return self.backend.table(name)


def empty_evidence() -> dict[str, pa.Table]:
    """Every table of evidence with no row, as Arrow."""
    import pyarrow as pa  # noqa: PLC0415

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
    }
    return {
        name: pa.schema([(column, types[sql]) for column, sql in columns_sql(name).items()]).empty_table()
        for name in tables()
    }


def engine_of_tables(given: Mapping[str, pa.Table], engine: str = "duckdb") -> Engine:
    """An engine over Arrow tables of evidence, ``judgements`` and ``lead_decisions``; those that are not given are empty.

    Rows without a ``row_id`` are numbered from 1.
    """
    import pyarrow as pa  # noqa: PLC0415

    made = _duckdb_engine() if engine == "duckdb" else _spark_engine()
    for name, empty in empty_evidence().items():
        table = given.get(name, empty)
        columns = {}
        for field in empty.schema:
            if field.name in table.column_names:
                columns[field.name] = table[field.name].cast(field.type)
            elif field.name == "row_id":
                columns[field.name] = pa.array(range(1, len(table) + 1), field.type)
            else:
                columns[field.name] = pa.nulls(len(table), field.type)
        made.keep(name, pa.table(columns))
    for name, words in _OF_REVIEWERS.items():
        made.keep(name, given.get(name, pa.schema([(word, pa.string()) for word in words]).empty_table()))
    return made


@contextmanager
def open_engine(store: Path, engine: str = "duckdb") -> Iterator[Engine]:
    """An engine over the evidence of a store, which is only read; what steps keep goes to a temporary place.

    Raises
    ------
    InputError
        The engine is not one of ``duckdb`` and ``spark``, or the store cannot be opened.
    """
    if engine not in ENGINES:
        raise InputError("engine", f"one of {', '.join(ENGINES)}", engine)
    from thresher.records.store import attach_evidence, export_evidence  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        if engine == "duckdb":
            made = _duckdb_engine(Path(folder))
            attach_evidence(made.backend.con, store)
            try:
                yield made
            finally:
                made.backend.disconnect()
        else:
            made = _spark_engine()
            for name, path in export_evidence(store, Path(folder)).items():
                made.backend.read_parquet(str(path), table_name=name)
            yield made


def _duckdb_engine(folder: Path | None = None) -> Engine:
    import ibis  # noqa: PLC0415

    database = ":memory:" if folder is None else str(folder / "work.duckdb")
    backend = ibis.duckdb.connect(database, memory_limit=MEMORY_LIMIT, preserve_insertion_order=False)
    backend.con.execute("SET enable_progress_bar = false")
    return Engine(backend, "duckdb")


def _spark_engine() -> Engine:
    """Spark by the session that is already there (of a cluster, say), or else a local one."""
    import ibis  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    session = SparkSession.getActiveSession() or (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.adaptive.enabled", "false")  # on one machine, planning anew costs more than it saves
        .config("spark.driver.memory", "3g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="thresher-spark-"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return Engine(ibis.pyspark.connect(session), "spark")


def _keep_on_spark(backend: Any, name: str, data: Any) -> None:
    """A cached view under a name: nothing is left in a catalog, and a view may be replaced by one made from it."""
    import pyarrow as pa  # noqa: PLC0415

    session = backend._session
    if isinstance(data, pa.Table):
        data = data.combine_chunks()  # of a table with an empty chunk in it, PySpark 4.3 drops what follows that
    frame = session.createDataFrame(data) if isinstance(data, pa.Table) else session.sql(backend.compile(data))
    kept = frame.localCheckpoint()
    kept.createOrReplaceTempView(name)
