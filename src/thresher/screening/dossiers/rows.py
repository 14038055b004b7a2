"""The rows that a dossier cites: fetched with a query a table for all leads together, and how to ask the store for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import ibis
import pyarrow as pa

from thresher.records.schema import tables
from thresher.screening.engine import Engine
from thresher.screening.leads import Lead

RowId = tuple[str, int]
"""A row of the evidence: its table and its number there."""

MOST_ROWS = 50
"""Rows fetched for one figure; the page says how many there are in all."""
MOST_NAMES = 100
"""Names listed in one condition of a query that the page gives."""


@dataclass(frozen=True, slots=True)
class CitedRow:
    """A row of the evidence: where it was read, the hash of what stood there, and its cells that hold something, as text."""

    table: str
    row_id: int
    source_file: str | None
    source_line: int | None
    row_hash: str | None
    cells: Mapping[str, str]

    @property
    def anchor(self) -> str:
        """The row's place on a page: of a table's name and a whole number alone, never of record text."""
        return anchor_of(self.table, self.row_id)


class Cited(NamedTuple):
    """Some of the rows behind a figure, and how many there are in all; None where that was not counted."""

    rows: tuple[RowId, ...]
    total: int | None


def anchor_of(table: str, row_id: int) -> str:
    """The anchor of a row on a page."""
    return f"row-{table}-{int(row_id)}"


def cited_rows(engine: Engine, leads: Iterable[Lead]) -> dict[RowId, CitedRow]:
    """The rows behind the reasons of these leads, by table and row."""
    return fetch_rows(engine, (row for lead in leads for reason in lead.reasons for row in reason.citations))


def fetch_rows(engine: Engine, wanted: Iterable[RowId]) -> dict[RowId, CitedRow]:
    """Rows of the evidence by table and row: a query for each table; a row that is not there is left out."""
    by_table: dict[str, set[int]] = defaultdict(set)
    for table, row_id in wanted:
        by_table[table].add(row_id)
    found = {}
    for table in (name for name in tables() if name in by_table):
        ids = engine.keep(f"dossier_rows_{table}", pa.table({"row_id": pa.array(sorted(by_table[table]), pa.int64())}))
        for row in engine.table(table).semi_join(ids, "row_id").to_pyarrow().to_pylist():
            columns = [*(column.name for column in tables()[table]), "extra"]
            cells = {name: as_text(row[name]) for name in columns if row.get(name) is not None}
            found[table, row["row_id"]] = CitedRow(
                table, row["row_id"], row["source_file"], row["source_line"], row["row_hash"], cells
            )
    return found


def as_text(value: Any) -> str:
    """A cell as text: days and times as in ISO 8601, whole numbers without a decimal point."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def keep_members(engine: Engine, leads: Sequence[Lead]) -> None:
    """Keep whom these leads are about: `keep_entities` of each owner and its entities, with the owner's id as ``lead``."""
    keep_entities(
        engine, [(one.owner, entity) for one in leads for entity in dict.fromkeys((one.owner, *one.entities))]
    )


def keep_entities(engine: Engine, pairs: Sequence[tuple[str, str]]) -> None:
    """Keep ``dossier_entities(lead, entity)`` of these pairs, and ``dossier_parties(lead, entity, party)``.

    A party that no table of identities knows is an entity of its own.
    """
    columns = {"lead": [lead for lead, _ in pairs], "entity": [entity for _, entity in pairs]}
    schema = pa.schema([("lead", pa.string()), ("entity", pa.string())])
    entities = engine.keep("dossier_entities", pa.table(columns, schema))
    known = entities.inner_join(engine.table("identity"), "entity").select("lead", "entity", "party")
    engine.keep("dossier_parties", known.union(entities.mutate(party=entities.entity)).distinct())


def first_rows(rows: ibis.Table, table: str, by: Sequence[str], most: int = MOST_ROWS) -> dict[tuple[Any, ...], Cited]:
    """For each group of ``rows`` (with a column ``row_id``) the first rows of the evidence's ``table``, and how many it has."""
    numbered = rows.select(*by, "row_id").distinct()
    numbered = numbered.mutate(
        nth_row=ibis.row_number().over(ibis.window(group_by=by, order_by="row_id")),
        rows_in_all=numbered.row_id.count().over(ibis.window(group_by=by)),
    )
    found: dict[tuple[Any, ...], list[RowId]] = defaultdict(list)
    total: dict[tuple[Any, ...], int] = {}
    fetched = numbered.filter(numbered.nth_row < most).drop("nth_row").to_pyarrow().to_pylist()
    for row in sorted(fetched, key=lambda row: int(row["row_id"])):
        key = tuple(row[name] for name in by)
        found[key].append((table, row["row_id"]))
        total[key] = row["rows_in_all"]
    return {key: Cited(tuple(ids), total[key]) for key, ids in found.items()}


def party_rows(engine: Engine) -> dict[tuple[Any, ...], Cited]:
    """The rows of the register by lead and entity; see `keep_members`."""
    joined = engine.table("parties").inner_join(engine.table("dossier_parties"), "party")
    return first_rows(joined, "parties", ("lead", "entity"))


def held_rows(engine: Engine) -> dict[tuple[Any, ...], Cited]:
    """The rows of custody behind what is held, by lead, entity, site and chip."""
    joined = engine.table("held").inner_join(engine.table("dossier_entities"), "entity")
    return first_rows(joined, "custody", ("lead", "entity", "site", "chip"))


def bought_rows(engine: Engine, as_of: date) -> dict[tuple[Any, ...], Cited]:
    """The purchases up to a day, by lead and chip."""
    bought = engine.table("purchases_resolved").inner_join(engine.table("dossier_entities"), "entity")
    bought = bought.filter((bought.date <= as_of) & bought.chip.notnull())
    return first_rows(bought, "purchases", ("lead", "chip"))


def site_rows(engine: Engine, leads: Iterable[Lead]) -> dict[tuple[Any, ...], Cited]:
    """The rows of the register of sites, by site, for the sites of these leads."""
    names = sorted({held["site"] for lead in leads for held in lead.holdings if held["site"] is not None})
    wanted = engine.keep("dossier_sites", pa.table({"site": pa.array(names, pa.string())}))
    return first_rows(engine.table("sites").semi_join(wanted, "site"), "sites", ("site",))


def names_of(engine: Engine, parties: Iterable[str]) -> dict[str, str]:
    """The name that the register has for each of these parties, where it has one."""
    wanted = engine.keep("dossier_named", pa.table({"party": pa.array(sorted(set(parties)), pa.string())}))
    register = engine.table("parties").semi_join(wanted, "party")
    rows = register.filter(register.name.notnull()).group_by("party").agg(name=register.name.min()).to_pyarrow()
    return dict(zip(rows["party"].to_pylist(), rows["name"].to_pylist(), strict=True))


def buyers_of(engine: Engine, as_of: date) -> dict[str, list[str]]:
    """The names that these leads bought under, by lead, as the invoices have them."""
    bought = engine.table("purchases_resolved").inner_join(engine.table("dossier_entities"), "entity")
    bought = bought.filter(bought.date <= as_of).select("lead", "row_id")
    named = bought.inner_join(engine.table("purchases").select("row_id", "buyer_name"), "row_id")
    rows = named.filter(named.buyer_name.notnull()).select("lead", "buyer_name").distinct()
    place = ibis.row_number().over(ibis.window(group_by="lead", order_by="buyer_name"))
    found = defaultdict(list)
    for row in rows.mutate(place=place).filter(lambda row: row.place <= MOST_NAMES).to_pyarrow().to_pylist():
        found[row["lead"]].append(row["buyer_name"])
    return {lead: sorted(names) for lead, names in found.items()}


class Question(NamedTuple):
    """A query that asks the store for all rows of a table about an owner; ``whole`` is False where a name list was cut."""

    table: str
    sql: str
    whole: bool


_DATED = {"custody": '"at"', "purchases": '"date"', "declarations": "declared_on", "power": "month", "pings": '"at"'}


def questions(parties: Sequence[str], buyers: Sequence[str], sites: Sequence[str], as_of: date) -> dict[str, Question]:
    """The queries that give all rows of each table about an owner's parties, as a person may put them to the store."""
    some, bought, places = (_list(names) for names in (parties, buyers, sites))
    held = f"SELECT serial FROM custody WHERE from_party IN {some} OR to_party IN {some}"
    conditions = {
        "chips": (f"serial IN ({held})", parties),
        "custody": (f"(from_party IN {some} OR to_party IN {some})", parties),
        "parties": (f"party IN {some}", parties),
        "ownership": (f"(owner IN {some} OR owned IN {some})", parties),
        "purchases": (f"buyer_name IN {bought}", buyers),
        "sites": (f"(site IN {places} OR operator IN {some})", [*sites, *parties]),
        "declarations": (f"party IN {some}", parties),
        "power": (f"site IN {places}", sites),
        "pings": (f"(site IN {places} OR serial IN ({held}))", [*sites, *parties]),
    }
    return {
        table: Question(
            table,
            f"SELECT * FROM {table} WHERE {condition}"
            + (f" AND {_DATED[table]} < DATE '{as_of + timedelta(days=1)}'" if table in _DATED else "")
            + " ORDER BY row_id",
            len(names) <= MOST_NAMES,
        )
        for table, (condition, names) in conditions.items()
    }


def _list(names: Sequence[str]) -> str:
    return f"({', '.join(map(sql_text, names[:MOST_NAMES])) or 'NULL'})"


def sql_text(text: str) -> str:
    """A text as SQL has it; characters that a page cannot show are written as ``chr(8238)``, so that what is read is right."""
    parts, plain = [], ""
    for character in text:
        if character.isprintable():
            plain += character
            continue
        parts += [_quoted(plain), f"chr({ord(character)})"] if plain else [f"chr({ord(character)})"]
        plain = ""
    parts += [_quoted(plain)] if plain or not parts else []
    return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
