"""Beneficial Ownership Data Standard 0.4: entities and persons are parties, relationships are ownership.

Of several statements about one record the last one counts. A share given as a range counts with its lower end; the range is
kept beside it. A holder that a statement leaves unspecified becomes a party of unknown kind, as somebody does hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from rigour.territories import get_territory, lookup_territory

from thresher.errors import InputError
from thresher.records.exchange.items import json_items
from thresher.records.exchange.rows import (
    OURS,
    Cells,
    Item,
    NoTable,
    Problem,
    Row,
    as_rows,
    beyond,
    dumps,
    first_day,
    holding_id,
    identifier,
    keep,
    kept,
    last_day,
    not_said,
    objects_at,
    ours_in,
    percent_of_share,
    record_id,
    share_of_percent,
    text_at,
    vocabulary,
    without_blanks,
)

KEPT = "bods"
"""The cell that keeps what a record says beyond the columns."""
VERSION = "0.4"
ENTITY_TYPES = {
    "company": {"type": "registeredEntity"},
    "trust": {"type": "arrangement", "subtype": "trust"},
    "agency": {"type": "stateBody"},
    "unknown": {"type": "unknownEntity"},
}
INTEREST_TYPES = {
    "shareholding": "shareholding",
    "control": "otherInfluenceOrControl",
    "officer": "boardMember",
    "nominee": "nominee",
}
_NOBODY = "noBeneficialOwners"
_LOWER, _UPPER = ("exact", "minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_STRUCTURE = ("subject", "interestedParty", "isComponent", "componentRecords", OURS)


class Elsewhere(NamedTuple):
    """What the statements of a file say of each other: the last one about each record, and who nominates."""

    last: dict[str, tuple[str, int]]
    nominators: dict[str, set[str]]


NOTHING = Elsewhere({}, {})


def read_bods(path: Path, table: str | None = None) -> Iterator[Row | Problem]:
    """The parties and ownership that a file of BODS statements holds.

    The file is read twice: first for the last statement of each record, whose number alone bounds the memory.

    Parameters
    ----------
    path
        A JSON list of statements, or JSON lines.
    table
        The one table whose rows are wanted, or all.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    elsewhere = Elsewhere({}, {})
    for number, item in enumerate(json_items(path, _looks_right)):
        if not isinstance(item, Problem):
            _remember(item.value, number, elsewhere)
    yield from as_rows(_last_ones(path, elsewhere), lambda one: statement_rows(one, elsewhere), _tables_of, table)


def statement_rows(statement: Mapping[str, Any], elsewhere: Elsewhere = NOTHING) -> Iterator[tuple[str, Cells]]:
    """The rows of one statement: its table and its cells.

    Raises
    ------
    InputError
        What is wrong with the statement.
    NoTable
        It says that there is nobody to name.
    """
    record, kind = text_at(statement, "recordId", needed=True), text_at(statement, "recordType", needed=True)
    details = statement.get("recordDetails")
    if not isinstance(details, dict):
        raise InputError("recordDetails", "an object", details)
    if kind == "relationship":
        yield from _relationship_rows(str(record), statement, details, elsewhere)
    elif kind in ("entity", "person"):
        cells = (_person_cells if kind == "person" else _entity_cells)(str(record), details)
        cells = without_blanks(cells | ours_in("parties", details))
        more = beyond(details, _party(cells)[1], ("isComponent", OURS))
        yield "parties", cells | keep(KEPT, more)
    else:
        raise InputError("recordType", "entity, person or relationship", kind)


def party_statement(cells: Cells) -> dict[str, Any]:
    """A row of ``parties`` as a statement; what BODS has no word for stands under ``recordDetails.thresher``."""
    kind, details = _party(cells)
    party = cells["party"] or ""
    return _complete("parties", cells, _statement(party, kind, details | kept(cells, KEPT), party, cells))


def ownership_statement(cells: Cells) -> dict[str, Any]:
    """A row of ``ownership`` as a statement about a relationship with one interest; see ``party_statement``."""
    record, details = cells.get("record_id") or holding_id(cells), _relationship(cells) | kept(cells, KEPT)
    return _complete("ownership", cells, _statement(record, "relationship", details, str(cells["owned"]), cells))


def export_bods(parties: Iterable[Cells], ownership: Iterable[Cells]) -> Iterator[str]:
    """One JSON list of statements, parties first, a statement a line."""
    statements = itertools.chain(map(party_statement, parties), map(ownership_statement, ownership))
    before = "[\n"
    for statement in statements:
        yield before + dumps(statement)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def _tables_of(statement: Mapping[str, Any]) -> tuple[str, ...]:
    # a relationship with somebody unspecified makes a party of them
    return ("ownership", "parties") if statement.get("recordType") == "relationship" else ("parties",)


def _looks_right(statement: Mapping[str, Any]) -> bool:
    return "recordDetails" in statement or "statementId" in statement


def _remember(statement: Mapping[str, Any], number: int, elsewhere: Elsewhere) -> None:
    """Note a record's last statement, and who nominates in it; what is wrong is said when it is read again."""
    record, date = statement.get("recordId"), statement.get("statementDate")
    if not isinstance(record, str):
        return
    age = (date if isinstance(date, str) else "", number)
    elsewhere.last[record] = max(elsewhere.last.get(record, age), age)
    details = statement.get("recordDetails")
    interests = details.get("interests") if isinstance(details, dict) else None
    if isinstance(interests, list) and any(
        isinstance(one, dict) and one.get("type") == "nominator" for one in interests
    ):
        subject, party = details.get("subject"), details.get("interestedParty")  # type: ignore[union-attr]
        if isinstance(subject, str) and isinstance(party, str):
            elsewhere.nominators.setdefault(subject, set()).add(party)


def _last_ones(path: Path, elsewhere: Elsewhere) -> Iterator[Item | Problem]:
    """The statements that no later one of the same record replaces."""
    for number, item in enumerate(json_items(path, _looks_right)):
        record = None if isinstance(item, Problem) else item.value.get("recordId")
        if not isinstance(record, str) or elsewhere.last[record][1] == number:
            yield item


def _country_code(place: object) -> str | None:
    """The country of a BODS country or jurisdiction: by its code, else by its name."""
    if place is None:
        return None
    if not isinstance(place, dict):
        raise InputError("country", "an object with a name and a code", place)
    code, name = text_at(place, "code"), text_at(place, "name")
    if code:
        return code.split("-")[0].upper()
    territory = lookup_territory(name) if name else None
    found = territory.ftm_country if territory else None
    return found.split("-")[0].upper() if found else name


def _place(country: str | None) -> dict[str, str] | None:
    """A country as BODS has it, which needs a name."""
    if not country:
        return None
    territory = get_territory(country.lower())
    if territory is None or len(country) != len("DE"):
        return {"name": country}
    return {"name": territory.name, "code": country}


def _address(details: Mapping[str, Any], wanted: tuple[str, ...]) -> tuple[str | None, object]:
    """The text and country of the address of the first wanted type, else of the first one."""

    def rank(one: Mapping[str, Any]) -> int:
        return wanted.index(one["type"]) if one.get("type") in wanted else len(wanted)

    for one in sorted(objects_at(details, "addresses"), key=rank):
        text, code = text_at(one, "address"), text_at(one, "postCode")
        if text and code and code not in text:
            text = f"{text}, {code}"
        if text or one.get("country"):
            return text, one.get("country")
    return None, None


def _registration(details: Mapping[str, Any]) -> str | None:
    return next((found for one in objects_at(details, "identifiers") if (found := text_at(one, "id"))), None)


def _entity_cells(record: str, details: Mapping[str, Any]) -> Cells:
    form = details.get("entityType")
    if not isinstance(form, dict):
        raise InputError("recordDetails.entityType", "an object with a type", form)
    kinds, word = vocabulary("bods_kinds"), text_at(form, "type", needed=True)
    kind = kinds.get(f"{word} {form.get('subtype')}", kinds.get(word))
    if kind is None:
        raise InputError("recordDetails.entityType.type", f"one of {', '.join(sorted(kinds))}", word)
    address, country = _address(details, ("registered", "business"))
    return {
        "party": record,
        "name": text_at(details, "name"),
        "kind": kind,
        "country": _country_code(details.get("jurisdiction")) or _country_code(country),
        "address": address,
        "registration": _registration(details),
        "incorporated_on": first_day(text_at(details, "foundingDate")),
    }


def _person_cells(record: str, details: Mapping[str, Any]) -> Cells:
    names = sorted(objects_at(details, "names"), key=lambda one: one.get("type") != "legal")
    name = next((found for one in names if (found := text_at(one, "fullName"))), None)
    address, country = _address(details, ("residence", "service"))
    nationality = next(iter(objects_at(details, "nationalities")), None)
    return {
        "party": record,
        "name": name,
        "kind": "person",
        "country": _country_code(country) or _country_code(nationality),
        "address": address,
        "registration": _registration(details),
    }


def _side(details: Mapping[str, Any], name: str, record: str) -> tuple[str, dict[str, Any] | None]:
    """The record at one end of a relationship, and why it is not specified where it is not."""
    value = details.get(name)
    if isinstance(value, str) and value:
        return value, None
    if not isinstance(value, dict):
        raise InputError(f"recordDetails.{name}", "a recordId, or a reason why there is none", value)
    return f"{record}-{name}", value


def _relationship_rows(
    record: str, statement: Mapping[str, Any], details: Mapping[str, Any], elsewhere: Elsewhere
) -> Iterator[tuple[str, Cells]]:
    owned, no_subject = _side(details, "subject", record)
    owner, no_party = _side(details, "interestedParty", record)
    if no_party and no_party.get("reason") == _NOBODY:
        raise NoTable("BODS statements that there is no beneficial owner")
    for party, reason in ((owned, no_subject), (owner, no_party)):
        if reason:
            more = {"unspecifiedEntityDetails": reason}
            unknown: Cells = {"party": party, "kind": "unknown"}
            yield "parties", unknown | keep(KEPT, more)
    closed = text_at(statement, "statementDate") if statement.get("recordStatus") == "closed" else None
    # the parts of an indirect holding say it already, and shares must not add up twice
    in_parts = bool(details.get("componentRecords"))
    number = 0
    for interest, group in _holdings(objects_at(details, "interests"), in_parts):
        nominators = elsewhere.nominators.get(owned, set()) - {owner} if interest == "nominee" else set()
        shares = [share for one in group if (share := _share(one))]
        starts = [first_day(text_at(one, "startDate")) for one in group]
        ends = [last_day(text_at(one, "endDate")) for one in group]
        cells: Cells = {
            "owner": owner,
            "owned": owned,
            "interest": interest,
            "share": max(shares, key=float, default=None),
            "from": None if None in starts else min(map(str, starts), default=None),
            "to": closed if None in ends else max(map(str, ends), default=closed),
            "on_behalf_of": next(iter(nominators)) if len(nominators) == 1 else None,
        }
        cells = without_blanks(cells | ours_in("ownership", details))
        more = beyond({**details, "interests": group}, _relationship(cells), _STRUCTURE)
        number += 1
        extra = record_id(record if number == 1 else f"{record}-{number}", cells)
        yield "ownership", cells | extra | keep(KEPT, more)
    if not number:
        raise NoTable("indirect holdings of BODS whose parts are stated")


def _holdings(interests: list[dict[str, Any]], in_parts: bool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The interests of a statement by what they mean, those that are sides of one holding together.

    Shares, votes and rights to profit of one period are sides of one holding; what a nominee has, it has as a nominee.
    """
    kinds: dict[str, str] = vocabulary("bods_interests")
    words = [text_at(one, "type") or "unknownInterest" for one in interests]
    for word in words:
        if word not in kinds:
            raise InputError("recordDetails.interests.type", f"one of {', '.join(sorted(kinds))}", word)
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for number, (word, one) in enumerate(zip(words, interests, strict=True)):
        key: tuple[object, ...] = (kinds[word], number)
        if kinds[word] == "shareholding":
            key = (kinds[word], text_at(one, "startDate"), text_at(one, "endDate"))
        if kinds[word] in ("shareholding", "nominee") and "nominee" in words:
            key = ("nominee",)
        groups.setdefault(key, []).append(one)
    if not interests:
        groups["shareholding",] = []
    for (kind, *_), group in groups.items():
        if not (in_parts and kind == "shareholding"):
            yield str(kind), group


def _share(interest: Mapping[str, Any]) -> str | None:
    """The share of an interest: the exact one, else the lower end of its range."""
    share = interest.get("share")
    if share is None:
        return None
    if not isinstance(share, dict):
        raise InputError("recordDetails.interests.share", "an object with exact, or minimum and maximum", share)
    found = next((text for name in _LOWER if (text := text_at(share, name)) is not None), None)
    return share_of_percent(found)


def _party(cells: Cells) -> tuple[str, dict[str, Any]]:
    """The type and details of a party's record, as far as the cells say them."""
    person = cells.get("kind") == "person"
    country, address = _place(cells.get("country")), cells.get("address")
    place: dict[str, Any] = {"type": "residence" if person else "registered", "address": address}
    if person:
        place |= {"country": country}
    place = {name: value for name, value in place.items() if value}
    details: dict[str, Any] = {
        "isComponent": False,
        "identifiers": [{"id": cells["registration"], "schemeName": "Register"}] if cells.get("registration") else None,
        "addresses": [place] if len(place) > 1 else None,
    }
    name = cells.get("name")
    if person:
        known = "knownPerson" if name else "unknownPerson"
        details |= {"personType": known, "names": [{"fullName": name}] if name else None}
    else:
        form = ENTITY_TYPES.get(cells.get("kind") or "", ENTITY_TYPES["unknown"])
        details |= {
            "entityType": form,
            "name": name,
            "jurisdiction": country,
            "foundingDate": cells.get("incorporated_on"),
        }
    return "person" if person else "entity", {key: value for key, value in details.items() if value is not None}


def _relationship(cells: Cells) -> dict[str, Any]:
    """The details of a relationship's record, as far as the cells say them."""
    percent, behalf = percent_of_share(cells.get("share")), cells.get("on_behalf_of")
    interest = {
        "type": INTEREST_TYPES.get(cells.get("interest") or "", "unknownInterest"),
        "share": {"exact": _as_json_number(percent)} if percent else None,
        "startDate": cells.get("from"),
        "endDate": cells.get("to"),
        "details": f"On behalf of {behalf}" if behalf else None,
    }
    return {
        "isComponent": False,
        "subject": cells["owned"],
        "interestedParty": cells["owner"],
        "interests": [{key: value for key, value in interest.items() if value is not None}],
    }


def _as_json_number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def _statement(record: str, kind: str, details: dict[str, Any], about: str, cells: Cells) -> dict[str, Any]:
    """A statement of a record, made on the day its row was loaded."""
    stated = (cells.get("loaded_at") or "1970-01-01")[:10]
    where = f"{cells.get('source_file')}, line {cells.get('source_line')}"
    statement: dict[str, Any] = {
        "statementId": identifier(kind, record, dumps(details)),
        "statementDate": stated,
        "declarationSubject": about,
        "recordId": record,
        "recordType": kind,
        "recordStatus": "new",
        "recordDetails": details,
        "publicationDetails": {
            "publicationDate": stated,
            "bodsVersion": VERSION,
            "publisher": {"name": "Thresher"},
        },
    }
    return statement | ({"source": {"description": where}} if cells.get("source_file") else {})


def _complete(table: str, cells: Cells, statement: dict[str, Any]) -> dict[str, Any]:
    """The statement, and under ``thresher`` the cells that reading it back would not give."""
    try:
        rows = [found for name, found in statement_rows(statement) if name == table]
    except (InputError, NoTable):
        rows = []
    lost = not_said(table, cells, rows[0] if rows else {})
    if lost:
        statement["recordDetails"] = statement["recordDetails"] | {OURS: lost}
    return statement
