"""FollowTheMoney entities: legal entities are parties, and the links between them are ownership.

Every function goes entity by entity; what FollowTheMoney allows to be many (names, dates, percentages) becomes one cell, and
the rest is kept beside it. Partial dates count as the first day they can mean, and as the last one where a link ends.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from followthemoney import model
from followthemoney.exc import InvalidData
from followthemoney.proxy import EntityProxy
from followthemoney.types import registry

from thresher.errors import InputError
from thresher.records.exchange.items import json_items
from thresher.records.exchange.rows import (
    OURS,
    Cells,
    NoTable,
    Problem,
    Row,
    as_rows,
    beyond,
    columns_of,
    dumps,
    first_day,
    holding_id,
    identifier,
    keep,
    kept,
    last_day,
    not_said,
    ours_in,
    percent_of_share,
    record_id,
    share_of_percent,
    text_at,
    vocabulary,
    without_blanks,
)

KEPT = "ftm"
"""The cell that keeps what an entity says beyond the columns."""
SCHEMATA = {
    "person": "Person",
    "company": "Company",
    "trust": "Company",
    "agency": "PublicBody",
    "unknown": "LegalEntity",
}
NOMINEE = "nominee"
_TRUST = re.compile(r"\btrusts?\b", re.IGNORECASE)
_COUNTRIES = ("jurisdiction", "mainCountry", "country", "nationality", "citizenship")
_NAME_PARTS = ("firstName", "secondName", "middleName", "fatherName", "motherName", "lastName")
_ROLES = ("role", "ownershipType", "sharesType", "controlType")
_ADDRESS_PARTS = ("street", "street2", "postOfficeBox", "postalCode", "city", "region", "state")


class Elsewhere(NamedTuple):
    """What the entities of a file say of each other: the text of addresses, and whom an agent is a nominee for."""

    addresses: dict[str, str]
    clients: dict[str, set[str]]


NOTHING = Elsewhere({}, {})


def read_ftm(path: Path, table: str | None = None) -> Iterator[Row | Problem]:
    """The parties and ownership that a file of FollowTheMoney entities holds.

    The file is read twice: first for what others refer to (addresses, nominees), whose number alone bounds the memory.

    Parameters
    ----------
    path
        JSON lines, or one JSON list.
    table
        The one table whose rows are wanted, or all.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    elsewhere = Elsewhere({}, {})
    for item in json_items(path, _looks_right):
        if not isinstance(item, Problem) and item.value.get("schema") in ("Address", "Representation"):
            _remember(item.value, elsewhere)
    yield from as_rows(json_items(path, _looks_right), lambda one: entity_rows(one, elsewhere), _tables_of, table)


def entity_rows(
    entity: Mapping[str, Any], elsewhere: Elsewhere = NOTHING, *, cleaned: bool = False
) -> Iterator[tuple[str, Cells]]:
    """The rows of one entity: its table and its cells.

    Parameters
    ----------
    entity
        ``id``, ``schema`` and ``properties``, as in a line of JSON.
    elsewhere
        What other entities say that this one refers to.
    cleaned
        Whether the values are known to be clean, which saves time.

    Raises
    ------
    InputError
        What is wrong with the entity.
    NoTable
        It is of a schema that no table holds.
    """
    proxy = _proxy(entity, cleaned)
    if proxy.schema.is_a("LegalEntity"):
        cells = _party_cells(entity, proxy, elsewhere)
        said = _party(cells, cleaned=OURS not in entity)
        yield "parties", _with_kept(cells, entity, proxy, said)
        return
    link = vocabulary("ftm_links").get(proxy.schema.name)
    if link is None:
        if proxy.schema.name == "Address":
            return
        raise NoTable(f"{proxy.schema.name} entities of FollowTheMoney")
    pairs = list(itertools.product(_values(entity, proxy, link["owner"]), _values(entity, proxy, link["owned"])))
    if not pairs:
        raise InputError("properties", f"{link['owner']} and {link['owned']}, each the id of an entity", dict(entity))
    for number, (owner, owned) in enumerate(pairs):
        cells = _link_cells(entity, proxy, owner, owned, elsewhere)
        said = _link(cells, cleaned=OURS not in entity)
        cells = _with_kept(cells, entity, proxy, said, (link["owner"], link["owned"]))
        yield "ownership", cells | record_id(f"{proxy.id}-{number + 1}" if number else str(proxy.id), cells)


def party_entity(cells: Cells) -> dict[str, Any]:
    """A row of ``parties`` as an entity: schema, properties, and under ``thresher`` what these cannot say."""
    entity = _merged(_party(cells), kept(cells, KEPT))
    return _complete("parties", cells, entity)


def ownership_entity(cells: Cells) -> dict[str, Any]:
    """A row of ``ownership`` as a link: Ownership, Control or Directorship; see ``party_entity``."""
    entity = _merged(_link(cells), kept(cells, KEPT))
    return _complete("ownership", cells, entity)


def note_entity(about: str, title: str, text: str) -> dict[str, Any]:
    """A note about a party: a lead is a reason to look, so it is a note and not a Sanction or a Risk."""
    properties = {"name": [title], "entity": [entity_id(about)], "description": [text]}
    return {"id": identifier("Note", about, title), "schema": "Note", "properties": properties}


def export_ftm(parties: Iterable[Cells], ownership: Iterable[Cells]) -> Iterator[str]:
    """Entities as JSON lines, parties first."""
    for entity in itertools.chain(map(party_entity, parties), map(ownership_entity, ownership)):
        yield dumps(entity) + "\n"


def entity_id(party: str) -> str:
    """An id that FollowTheMoney allows: the party's own where it is one."""
    return (
        party
        if registry.entity.clean(party) == party and len(party) <= registry.entity.max_length
        else identifier(party)
    )


def _tables_of(entity: Mapping[str, Any]) -> tuple[str, ...]:
    schema = entity.get("schema")
    return ("ownership",) if isinstance(schema, str) and schema in vocabulary("ftm_links") else ("parties",)


def _looks_right(entity: Mapping[str, Any]) -> bool:
    return "schema" in entity and "id" in entity


def _proxy(entity: Mapping[str, Any], cleaned: bool = False) -> EntityProxy:
    """The entity, checked and cleaned by FollowTheMoney."""
    text_at(entity, "id", needed=True)
    schema = str(text_at(entity, "schema", needed=True))
    properties = entity.get("properties")
    if not isinstance(properties, dict | None):
        raise InputError("properties", "an object of lists of values", properties)
    if model.get(schema) is None:
        raise InputError("schema", "a schema of FollowTheMoney", schema)
    try:
        proxy: EntityProxy = model.get_proxy({**entity}, cleaned=cleaned)
    except (InvalidData, TypeError, AttributeError, RecursionError) as error:
        raise InputError("properties", f"what FollowTheMoney takes ({error})", properties) from None
    if not proxy.id:
        raise InputError("id", "a text", entity["id"])
    return proxy


def _remember(entity: Mapping[str, Any], elsewhere: Elsewhere) -> None:
    """Note an address's text, or whom an agent stands for; what is wrong with the entity is said when it is read again."""
    try:
        proxy = _proxy(entity)
    except InputError:
        return
    if proxy.schema.name == "Representation" and _is_nominee(proxy):
        for agent in proxy.get("agent"):
            elsewhere.clients.setdefault(agent, set()).update(proxy.get("client"))
    elif proxy.schema.name == "Address":
        parts = (proxy.first(name) for name in _ADDRESS_PARTS)
        text = proxy.first("full") or ", ".join(part for part in parts if part)
        if text:
            elsewhere.addresses[str(proxy.id)] = text


def _is_nominee(proxy: EntityProxy) -> bool:
    return any(NOMINEE in text.lower() for role in _ROLES for text in proxy.get(role, quiet=True))


def _first(entity: Mapping[str, Any], proxy: EntityProxy, name: str) -> str | None:
    """A property's first value, cleaned; where none of them is clean, as it stands, so that whoever loads it can judge."""
    return next(iter(_values(entity, proxy, name)), None)


def _values(entity: Mapping[str, Any], proxy: EntityProxy, name: str) -> list[str]:
    found: list[str] = proxy.get(name, quiet=True)
    if found or name not in proxy.schema.properties:
        return found
    raw = (entity.get("properties") or {}).get(name)
    return [one for one in (raw if isinstance(raw, list) else [raw]) if isinstance(one, str) and one]


def _name(entity: Mapping[str, Any], proxy: EntityProxy) -> str | None:
    """The name to go by: the most central one where there are several, else the parts of a person's, else an alias."""
    names = proxy.get("name")
    if len(names) > 1:
        return registry.name.pick(names)
    parts = " ".join(text for part in _NAME_PARTS for text in proxy.get(part, quiet=True)[:1])
    return _first(entity, proxy, "name") or parts or proxy.first("alias")


def _kind(proxy: EntityProxy) -> str:
    if any(_TRUST.search(form) for form in proxy.get("legalForm")):
        return "trust"
    kinds: dict[str, str] = vocabulary("ftm_kinds")
    return next(kind for schema, kind in kinds.items() if proxy.schema.is_a(schema))


def _party_cells(entity: Mapping[str, Any], proxy: EntityProxy, elsewhere: Elsewhere) -> Cells:
    country = next((found for name in _COUNTRIES if (found := _first(entity, proxy, name))), None)
    linked = next((elsewhere.addresses[one] for one in proxy.get("addressEntity") if one in elsewhere.addresses), None)
    cells: Cells = {
        "party": str(proxy.id),
        "name": _name(entity, proxy),
        "kind": _kind(proxy),
        "country": country.split("-")[0].upper() if country else None,
        "address": _first(entity, proxy, "address") or linked,
        "registration": _first(entity, proxy, "registrationNumber"),
        "phone": _first(entity, proxy, "phone"),
        "email": _first(entity, proxy, "email"),
        "incorporated_on": first_day(_first(entity, proxy, "incorporationDate")),
    }
    return without_blanks(cells | ours_in("parties", entity))


def _link_cells(entity: Mapping[str, Any], proxy: EntityProxy, owner: str, owned: str, elsewhere: Elsewhere) -> Cells:
    link = vocabulary("ftm_links")[proxy.schema.name]
    nominee = _is_nominee(proxy) and proxy.schema.name != "Directorship"
    if link.get("nominee_only") and not nominee:
        raise NoTable(f"{proxy.schema.name} entities of FollowTheMoney that are not a nominee's")
    shares = [share for text in proxy.get("percentage", quiet=True) if (share := share_of_percent(text))]
    clients = elsewhere.clients.get(owner, set()) - {owned} if nominee else set()
    starts = sorted(filter(None, map(first_day, proxy.get("startDate"))))
    ends = sorted(filter(None, map(last_day, proxy.get("endDate"))))
    cells: Cells = {
        "owner": owner,
        "owned": owned,
        "share": min(shares, key=float, default=None),
        "interest": NOMINEE if nominee else link["interest"],
        "from": starts[0] if starts else _first(entity, proxy, "startDate"),
        "to": ends[-1] if ends else _first(entity, proxy, "endDate"),
        "on_behalf_of": next(iter(clients)) if len(clients) == 1 else None,
    }
    return without_blanks(cells | ours_in("ownership", entity))


@cache
def _properties(schema: str) -> Mapping[str, Any]:
    found = model.get(schema)
    return found.properties if found else {}


def _entity(schema: str, identity: str, values: Cells, country: str | None, cleaned: bool) -> dict[str, Any]:
    """An entity with the values that FollowTheMoney holds to be right, cleaned."""
    values = without_blanks(values)
    if cleaned:
        return {"id": identity, "schema": schema, "properties": {name: [text] for name, text in values.items()}}
    properties = {}
    for name, text in values.items():
        kind, longest = _properties(schema)[name].type, _properties(schema)[name].max_length
        hint = country if kind is registry.phone else None
        try:
            value = kind.clean(text, format=hint)
        except InvalidData:
            value = kind.clean(text)
        if value and len(value) <= longest:
            properties[name] = [value]
    return {"id": identity, "schema": schema, "properties": properties}


def _party(cells: Cells, cleaned: bool = False) -> dict[str, Any]:
    party, kind, country = cells["party"] or "", cells.get("kind"), cells.get("country")
    country = country.lower() if country else None
    values = {
        "name": cells.get("name"),
        "country" if kind == "person" else "jurisdiction": country,
        "address": cells.get("address"),
        "registrationNumber": cells.get("registration"),
        "phone": cells.get("phone"),
        "email": cells.get("email"),
        "incorporationDate": cells.get("incorporated_on"),
        "legalForm": "Trust" if kind == "trust" else None,
    }
    return _entity(SCHEMATA.get(kind or "", "LegalEntity"), entity_id(party), values, country, cleaned)


def _link(cells: Cells, cleaned: bool = False) -> dict[str, Any]:
    columns = columns_of("ownership", cells)
    interest, share = columns.get("interest"), percent_of_share(columns.get("share"))
    usual = {"officer": "Directorship", "control": "Ownership" if share else "Control"}
    schema = kept(cells, KEPT).get("schema") or usual.get(interest or "", "Ownership")
    link, behalf = vocabulary("ftm_links")[schema], columns.get("on_behalf_of")
    values: Cells = {
        link["owner"]: entity_id(columns["owner"] or ""),
        link["owned"]: entity_id(columns["owned"] or ""),
        "percentage": f"{share}%" if share and schema == "Ownership" else None,
        "startDate": columns.get("from"),
        "endDate": columns.get("to"),
        "role": NOMINEE if interest == NOMINEE else None,
        "summary": f"Held on behalf of {entity_id(behalf)}" if behalf else None,
    }
    identity = entity_id(cells.get("record_id") or holding_id(cells))
    return _entity(schema, identity, values, None, cleaned)


def _with_kept(
    cells: Cells, entity: Mapping[str, Any], proxy: EntityProxy, said: dict[str, Any], never: tuple[str, ...] = ()
) -> Cells:
    """The cells, and beside them what the entity says beyond them."""
    more: dict[str, Any] = {}
    if proxy.schema.name != said["schema"]:
        more["schema"] = proxy.schema.name
    if properties := beyond(proxy.to_dict()["properties"], said["properties"], never):
        more["properties"] = properties
    more |= beyond(entity, {}, ("id", "schema", "properties", OURS))
    return cells | keep(KEPT, more)


def _merged(said: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """What the cells say and what was kept beside them; a property of the cells that the kept schema lacks goes."""
    schema = more.get("schema", said["schema"])
    properties = said["properties"] | more.get("properties", {})
    known = _properties(schema)
    return {
        **more,
        **said,
        "schema": schema,
        "properties": {name: properties[name] for name in known if name in properties},
    }


def _complete(table: str, cells: Cells, entity: dict[str, Any]) -> dict[str, Any]:
    """The entity, and under ``thresher`` the cells that reading it back would not give."""
    try:
        rows = list(entity_rows(entity, cleaned=True))
    except (InputError, NoTable):
        rows = []
    lost = not_said(table, cells, rows[0][1] if rows else {})
    return entity | {OURS: lost} if lost else entity
