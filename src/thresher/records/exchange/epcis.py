"""GS1 EPCIS 2.0 events: what happened to which chip, when, from whom to whom and where, is custody.

One event about many chips is one row for each. A chip's serial is that of its EPC (SGTIN, GRAI, GIAI, as URN or Digital Link);
the whole EPC is kept beside it, as serials are unique only within a type of chip. Who possesses goes before who owns, as custody
is about possession. Events that their author has withdrawn are not evidence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from thresher.errors import InputError
from thresher.records.exchange.items import json_items
from thresher.records.exchange.rows import (
    Cells,
    NoTable,
    Problem,
    Row,
    as_rows,
    beyond,
    dumps,
    identifier,
    keep,
    kept,
    not_said,
    objects_at,
    ours_in,
    text_at,
    vocabulary,
    without_blanks,
)

KEPT = "epcis"
"""The cell that keeps what an event says beyond the columns."""
OURS_HERE = "thresher:row"
URN = "urn:thresher"
"""What the agency's own ids of chips, parties and sites are under, as EPCIS names everything by a URI."""
CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"thresher": f"{URN}:"}]
CHIPS_IN = {
    "ObjectEvent": "epcList",
    "TransactionEvent": "epcList",
    "AggregationEvent": "childEPCs",
    "AssociationEvent": "childEPCs",
}
_QUANTITIES = ("quantityList", "childQuantityList")
_NEVER = ("@context", "eventID", "recordTime", "epcList", "childEPCs", *_QUANTITIES, OURS_HERE)
_WORD = re.compile(r"(?:.*[:/])?(?:BizStep-|Disp-|SDT-)?([A-Za-z_]+)")
_SERIAL_IN_URN = {"sgtin": 2, "grai": 2, "giai": 1, "cpi": 2, "itip": 4}
"""Parts before the serial, by the scheme of an EPC URN."""
_SERIAL_IN_LINK = ("21", "8004", "8003")
"""Keys of a Digital Link whose value names one thing: the serial of a GTIN, a GIAI, a GRAI."""


def read_epcis(path: Path, table: str | None = None) -> Iterator[Row | Problem]:
    """The custody that a file of EPCIS events holds.

    The file is read twice: first for the events that were declared to be wrong.

    Parameters
    ----------
    path
        An EPCISDocument or EPCISQueryDocument, or a bare list of events, or JSON lines of either.
    table
        The one table whose rows are wanted, or all; there are only those of ``custody``.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    withdrawn: set[str] = set()
    for item in json_items(path, _looks_right, "eventList"):
        if not isinstance(item, Problem) and "errorDeclaration" in item.value:
            withdrawn |= _names(item.value)
    items = json_items(path, _looks_right, "eventList")
    yield from as_rows(items, lambda event: event_rows(event, withdrawn), lambda _: ("custody",), table)


def event_rows(
    event: Mapping[str, Any], withdrawn: set[str] | frozenset[str] = frozenset()
) -> Iterator[tuple[str, Cells]]:
    """The rows of one event, one for each chip.

    Raises
    ------
    InputError
        What is wrong with the event, after the rows of the chips that can be told.
    NoTable
        It changes nothing in custody.
    """
    kind = text_at(event, "type", needed=True)
    if kind not in CHIPS_IN:
        raise NoTable(f"EPCIS events of type {kind}")
    if "errorDeclaration" in event or (withdrawn and not withdrawn.isdisjoint(_names(event))):
        raise InputError(
            "errorDeclaration", "an event that its author has not withdrawn", event.get("errorDeclaration", ...)
        )
    event = _in_short_words(event)
    cells = _event_cells(event) | ours_in("custody", event, OURS_HERE)
    more = beyond(event, _event(without_blanks(cells | {"serial": "-"})), _NEVER)
    extra = without_blanks({"event_id": _event_id(event)}) | keep(KEPT, more)
    chips = event.get(CHIPS_IN[str(kind)])
    if chips is not None and not isinstance(chips, list):
        raise InputError(CHIPS_IN[str(kind)], "a list of EPCs", chips)
    untold = [f"{one} (a quantity)" for name in _QUANTITIES for one in objects_at(event, name)]
    for chip in chips or []:
        serial = cells.get("serial") or (serial_of(chip) if isinstance(chip, str) else None)
        if serial is None:
            untold.append(chip)
        else:
            epc = None if chip == _uri("serial", serial) else chip
            yield "custody", without_blanks(cells | {"serial": serial, "epc": epc} | extra)
    if untold or not chips:
        raise InputError(CHIPS_IN[str(kind)], "an EPC of one chip, with its serial", untold)


def custody_event(cells: Cells) -> dict[str, Any]:
    """A row of ``custody`` as an event; what EPCIS has no word for stands under ``thresher:row``."""
    event = _event(cells) | kept(cells, KEPT)
    chip = cells.get("epc") or _uri("serial", cells["serial"])
    event[CHIPS_IN[event["type"]]] = [chip]
    event["eventID"] = _our_id(event, cells.get("event_id"))
    try:
        rows = list(event_rows(event))
    except (InputError, NoTable):
        rows = []
    lost = not_said("custody", cells, rows[0][1] if rows else {}) | without_blanks({"event_id": cells.get("event_id")})
    return event | {OURS_HERE: lost} if lost else event


def export_epcis(custody: Iterable[Cells], created: str) -> Iterator[str]:
    """One EPCISDocument, an event a line.

    Parameters
    ----------
    custody
        Rows of ``custody`` as text.
    created
        When the document was made, as 2025-01-31T10:00:00Z.
    """
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": created}
    yield dumps(head)[:-1] + ',"epcisBody":{"eventList":['
    before = "\n"
    for event in map(custody_event, custody):
        yield before + dumps(event)
        before = ",\n"
    yield "\n]}}\n"


def serial_of(epc: str) -> str | None:
    """The serial in an EPC: the whole URI where it is neither a GS1 key nor ours; nothing where it names no single thing."""
    if epc.startswith(f"{URN}:serial:"):
        return unquote(epc.removeprefix(f"{URN}:serial:")) or None
    if epc.startswith("urn:epc:"):
        return _serial_in_urn(epc)
    if epc.startswith(("http://", "https://")):
        return _serial_in_link(epc)
    return epc or None


def _serial_in_urn(epc: str) -> str | None:
    *_, level, scheme, rest = ["", "", *epc.split(":", 4)]
    before = _SERIAL_IN_URN.get(scheme)
    if level != "id":
        return None
    if before is None:
        return epc
    parts = rest.split(".", before)
    return unquote(parts[before]) or None if len(parts) > before else None


def _serial_in_link(epc: str) -> str | None:
    try:
        path = [unquote(part) for part in urlsplit(epc).path.split("/")[1:]]
    except ValueError:
        return None
    keys = dict(itertools.pairwise(path))
    found = next((keys[key] for key in _SERIAL_IN_LINK if keys.get(key)), None)
    return found or (None if "01" in keys else epc)


def _our_id(event: Mapping[str, Any], original: str | None) -> str:
    """The identifier of an exported event, which is about one chip where the original may be about many."""
    return f"urn:uuid:{identifier(original, dumps(beyond(event, {}, ('eventID', OURS_HERE))))}"


def _event_id(event: Mapping[str, Any]) -> str | None:
    """The identifier that an event came with, before it was exported; none where it came without one."""
    found, ours = text_at(event, "eventID"), event.get(OURS_HERE)
    original = text_at(ours, "event_id") if isinstance(ours, dict) else None
    return original if found and found == _our_id(event, original) else found


def _looks_right(event: Mapping[str, Any]) -> bool:
    return "eventTime" in event and "type" in event


def _names(event: Mapping[str, Any]) -> set[str]:
    """What an event and the declaration that it was wrong have in common: their id, or all that they say."""
    found = event.get("eventID")
    names = {found} if isinstance(found, str) else set()
    try:
        return names | {identifier(dumps(beyond(event, {}, ("errorDeclaration", "recordTime", "eventID"))))}
    except (RecursionError, ValueError):
        return names


def _short(word: object) -> object:
    """A word of GS1's vocabulary as it is without its prefix; others as they are."""
    gs1 = isinstance(word, str) and (
        ":" not in word or "gs1.org" in word or word.startswith(("cbv:", "urn:epcglobal:cbv:"))
    )
    found = _WORD.fullmatch(word) if gs1 and isinstance(word, str) else None
    return found[1] if found else word


def _in_short_words(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with GS1's words in their short form, as EPCIS 2.0 has them in JSON."""
    short = dict(event)
    for name in ("bizStep", "disposition"):
        if name in short:
            short[name] = _short(short[name])
    for name in ("sourceList", "destinationList"):
        if name in short:
            short[name] = [one | {"type": _short(one.get("type"))} for one in objects_at(event, name)]
    return short


def _uri(what: str, name: str | None) -> str:
    return f"{URN}:{what}:{quote(name or '', safe='')}"


def _own(what: str, uri: str | None) -> str | None:
    """The agency's own id where a URI is one of ours, else the whole URI."""
    return unquote(uri.removeprefix(f"{URN}:{what}:")) if uri and uri.startswith(f"{URN}:{what}:") else uri


def _side(event: Mapping[str, Any], name: str) -> tuple[str | None, str | None]:
    """Who possesses, or else owns, by a list of sources or destinations, and who owns."""
    parties: dict[str | None, str | None] = {}
    for one in objects_at(event, f"{name}List"):
        parties.setdefault(text_at(one, "type"), _own("party", text_at(one, name)))
    owner = parties.get("owning_party")
    return parties.get("possessing_party") or owner, owner


def _place(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InputError(name, "an object with an id", value)
    return _own("site", text_at(value, "id"))


def _time(event: Mapping[str, Any]) -> str:
    """When it happened, in UTC without saying so, as the column has it; what is no time stays, to be refused with its row."""
    text, offset = str(text_at(event, "eventTime", needed=True)), text_at(event, "eventTimeZoneOffset")
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None and offset:
            time = datetime.fromisoformat(f"{text}{offset}")
        if time.tzinfo is None:
            raise InputError("eventTime", "a time with its offset from UTC, as 2025-01-31T10:00:00Z", text)
        return time.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return text


def _event_cells(event: Mapping[str, Any]) -> Cells:
    word = text_at(event, "bizStep")
    what = vocabulary("epcis_events").get(word)
    if what is None:
        raise NoTable(f"EPCIS events with {f'the step {word}' if word else 'no step'}")
    (giver, seller), (taker, buyer) = _side(event, "source"), _side(event, "destination")
    return {
        "event": "sale" if what == "transfer" and seller != buyer else what,
        "at": _time(event),
        "from_party": giver,
        "to_party": taker,
        # what is being shipped is no longer where it was read
        "site": _place(event, "bizLocation") or (_place(event, "readPoint") if word != "shipping" else None),
    }


def _event(cells: Cells) -> dict[str, Any]:
    """An ObjectEvent as far as the cells say it, but for the chip."""
    step, action = vocabulary("epcis_steps").get(cells.get("event"), ("other", "OBSERVE"))
    kind = "owning_party" if cells.get("event") == "sale" else "possessing_party"
    giver, taker, site = cells.get("from_party"), cells.get("to_party"), cells.get("site")
    event: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventTime": f"{cells.get('at')}Z",
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "bizStep": step,
    }
    if giver:
        event["sourceList"] = [{"type": kind, "source": _as_uri("party", giver)}]
    if taker:
        event["destinationList"] = [{"type": kind, "destination": _as_uri("party", taker)}]
    if site:
        event["bizLocation"] = {"id": _as_uri("site", site)}
    return event


def _as_uri(what: str, name: str) -> str:
    """A URI that names it: its own where it is one already."""
    return (
        name
        if re.match(r"(urn:(?!thresher:)[a-z0-9]|https?://)", name) and not re.search(r"[\s\"<>]", name)
        else _uri(what, name)
    )
