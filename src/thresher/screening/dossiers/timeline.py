"""What happened to an owner and its chips, in order: a bounded list of events, each with rows, and where a drawing puts them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import ibis
from matplotlib import dates as matplotlib_dates

from thresher.screening.custody import end_of
from thresher.screening.dossiers.rows import keep_members, names_of
from thresher.screening.dossiers.text import number, short
from thresher.screening.engine import Engine
from thresher.screening.leads import Lead

dates: Any = matplotlib_dates  # untyped
TABLES = {
    "incorporation": "parties",
    "ownership": "ownership",
    "purchase": "purchases",
    "received": "custody",
    "moved": "custody",
    "given up": "custody",
    "declaration": "declarations",
}
"""The kinds of events and where they are read."""
KINDS = tuple(TABLES)
MOST_OF_A_KIND = 28
"""Events of one kind on a page: those of most chips, then the latest; seven kinds make fewer than 200."""
MOST_ROWS_OF_AN_EVENT = 5
EARLIER_YEARS = 1
"""The drawing starts so long before the first chip; what was earlier stands at its edge."""
_HANDOVERS = ("commission", "sale", "transfer")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a day: what, in words; the first rows it came from, and how many there are."""

    date: date
    kind: str
    text: str
    table: str
    row_ids: tuple[int, ...]
    rows_in_all: int
    chips: float | None = None

    @property
    def row_id(self) -> int:
        """The first of its rows."""
        return self.row_ids[0]


class Timeline(NamedTuple):
    """The events of an owner in order, and how many more of each kind there are."""

    events: list[Event]
    left_out: dict[str, int]


def timeline_of(engine: Engine, lead: Lead, as_of: date) -> list[Event]:
    """The events about one lead up to a day; `timelines_of` is faster for many."""
    keep_members(engine, [lead])
    return timelines_of(engine, [lead], as_of)[lead.owner].events


def timelines_of(engine: Engine, leads: Sequence[Lead], as_of: date) -> dict[str, Timeline]:
    """The events about each lead up to a day, by owner; `thresher.screening.dossiers.rows.keep_members` comes first."""
    parts = [part(engine, as_of) for part in (_incorporations, _ownership, _purchases, _custody, _declarations)]
    raw = _bounded(engine, ibis.union(*(_shaped(part) for part in parts)))
    names = names_of(engine, (row[key] for row in raw for key in ("party", "other") if row[key]))
    found: dict[str, list[Event]] = {lead.owner: [] for lead in leads}
    in_all: dict[str, dict[str, int]] = defaultdict(dict)
    for row in raw:
        ids = tuple(sorted(row["row_ids"]))
        event = Event(row["day"], row["kind"], _words(row, names), TABLES[row["kind"]], ids, row["rows"], row["chips"])
        found[row["lead"]].append(event)
        in_all[row["lead"]][row["kind"]] = row["events"]
    timelines = {}
    for owner, events in found.items():
        events.sort(key=lambda one: (one.date, KINDS.index(one.kind), one.row_ids, one.text))
        shown = Counter(one.kind for one in events)
        left = {kind: count - shown[kind] for kind, count in in_all[owner].items() if count > shown[kind]}
        timelines[owner] = Timeline(events, left)
    return timelines


_WHAT = {
    **dict.fromkeys(("party", "other", "site", "event", "interest", "side", "id", "chip", "currency"), "string"),
    **dict.fromkeys(("share", "amount"), "float64"),
}
"""What an event says, beside its lead, kind and day."""


def _shaped(rows: ibis.Table) -> ibis.Table:
    """Rows of any kind in the one form that `_bounded` takes: ``key`` says which rows of a day are one event.

    ``number`` counts chips where the row has a count, ``serial`` names one where it is about one.
    """
    blanks = {"serial": "string", "number": "float64"} | _WHAT
    given = {name: rows[name] if name in rows.columns else ibis.null(kind) for name, kind in blanks.items()}
    return rows.select("lead", "kind", "day", "key", "row_id", **given)


def _bounded(engine: Engine, rows: ibis.Table) -> list[dict[str, Any]]:
    """Events of rows that were `_shaped`: the largest of each lead and kind.

    What an event says is worked out for those alone that are shown, however many there are.
    """
    group = ["lead", "kind", "day", "key"]
    grouped = rows.group_by(group).agg(rows=rows.row_id.count(), size=rows["number"].sum().fill_null(0.0))
    size = [ibis.desc("size"), ibis.desc("rows"), ibis.desc("day"), "key"]
    ranked = grouped.mutate(
        place=ibis.row_number().over(ibis.window(group_by=("lead", "kind"), order_by=size)),
        events=grouped.rows.count().over(ibis.window(group_by=("lead", "kind"))),
    )
    chosen = engine.keep("dossier_events", ranked.filter(ranked.place < MOST_OF_A_KIND))
    own = engine.keep("dossier_event_rows", rows.inner_join(chosen.drop("size", "rows", "events"), group))
    event = ["lead", "kind", "place"]
    said = own.group_by(event).agg(
        chips=ibis.coalesce(own["number"].sum(), own.serial.nunique().nullif(0).cast("float64")),
        others=own.other.nunique(),
        **{name: own[name].min() for name in _WHAT},
    )
    first = ibis.row_number().over(ibis.window(group_by=event, order_by="row_id"))
    cited = own.select(*event, "row_id").mutate(first=first)
    ids: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in cited.filter(cited["first"] < MOST_ROWS_OF_AN_EVENT).to_pyarrow().to_pylist():
        ids[row["lead"], row["kind"], row["place"]].append(row["row_id"])
    found = chosen.inner_join(said, event).to_pyarrow().to_pylist()
    return [row | {"row_ids": ids[row["lead"], row["kind"], row["place"]]} for row in found]


def _incorporations(engine: Engine, as_of: date) -> ibis.Table:
    rows = engine.table("parties").inner_join(engine.table("dossier_parties"), "party")
    rows = rows.filter(rows.incorporated_on <= as_of)
    return rows.select(
        "lead", "party", "row_id", day="incorporated_on", key="party", kind=ibis.literal("incorporation")
    )


def _ownership(engine: Engine, as_of: date) -> ibis.Table:
    """Interests in these parties that began or ended."""
    mine = engine.table("dossier_parties").select("lead", owned="party")
    rows = engine.table("ownership").inner_join(mine, "owned")
    sides = [
        rows.select(
            *("lead", "row_id", "share", "interest"),
            party="owned",
            other="owner",
            day=side,
            side=ibis.literal(side),
            key=rows.row_id.cast("string") + side,
            kind=ibis.literal("ownership"),
        )
        for side in ("from", "to")
    ]
    dated = ibis.union(*sides)
    return dated.filter(dated.day <= as_of)


def _purchases(engine: Engine, as_of: date) -> ibis.Table:
    bought = engine.table("purchases_resolved").inner_join(engine.table("dossier_entities"), "entity")
    bought = bought.filter((bought.date <= as_of) & bought.chip.notnull())
    bought = bought.select(
        *("lead", "row_id", "id", "chip", "amount", "currency"),
        number="chips",
        day="date",
        key=bought.row_id.cast("string"),
        kind=ibis.literal("purchase"),
    )
    return bought.inner_join(engine.table("purchases").select("row_id", other="seller"), "row_id")


def _custody(engine: Engine, as_of: date) -> ibis.Table:
    """Events of custody by day, site and kind: a party of the owner's takes chips, gives them up, or keeps them."""
    mine = engine.table("dossier_parties")
    takers = mine.select(taker_lead="lead", taker="party")
    givers = mine.select(giver_lead="lead", giver="party")
    custody = engine.table("custody")
    custody = custody.filter(custody["at"] < end_of(as_of))
    joined = custody.left_join(takers, custody.to_party == takers.taker)
    joined = joined.left_join(givers, joined.from_party == givers.giver)
    joined = joined.filter(joined.taker_lead.notnull() | joined.giver_lead.notnull())
    joined = joined.mutate(
        handed_over=joined.event.isin(_HANDOVERS),
        within=ibis.coalesce(joined.taker_lead == joined.giver_lead, False),
        day=joined["at"].date(),
        key=joined.event.fill_null("") + "|" + joined.site.fill_null(""),
    )
    columns = ("serial", "row_id", "event", "site", "day", "key")
    joined = engine.keep(
        "dossier_moves",
        joined.select(*columns, "handed_over", "within", "taker_lead", "giver_lead", "to_party", "from_party"),
    )
    taken = joined.filter(joined.taker_lead.notnull()).select(
        *columns,
        lead="taker_lead",
        other=ibis.ifelse(joined.within, ibis.null("string"), joined.from_party),
        kind=ibis.ifelse(joined.handed_over & ~joined.within, "received", "moved"),
    )
    given = joined.filter(joined.giver_lead.notnull() & ~joined.within).select(
        *columns,
        lead="giver_lead",
        other="to_party",
        kind=ibis.ifelse(joined.handed_over, "given up", "moved"),
    )
    return taken.union(given)


def _declarations(engine: Engine, as_of: date) -> ibis.Table:
    rows = engine.table("declarations").inner_join(engine.table("dossier_parties"), "party")
    rows = rows.filter(rows.declared_on <= as_of)
    return rows.select(
        *("lead", "party", "site", "row_id"),
        number=rows["count"].cast("float64"),
        day="declared_on",
        key=rows.party + "|" + rows.site.fill_null(""),
        kind=ibis.literal("declaration"),
    )


def _words(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """An event as a sentence."""

    def who(party: str | None) -> str:
        name = names.get(party or "")
        return f"{short(name)} ({short(party)})" if name else short(party)

    chips = "chips, how many is not known"
    if row["chips"] is not None:
        chips = f"{number(row['chips'])} chip{'' if row['chips'] == 1 else 's'}"
    at = f", at {short(row['site'])}" if row.get("site") else ""
    match row["kind"]:
        case "incorporation":
            return f"{who(row['party'])} incorporated"
        case "ownership":
            share = "an unknown share" if row["share"] is None else f"{number(100 * row['share'])}%"
            verb = "took" if row["side"] == "from" else "gave up"
            what = "a post as officer" if row["interest"] == "officer" else f"{share} ({row['interest']})"
            return f"{who(row['other'])} {verb} {what} in {who(row['party'])}"
        case "purchase":
            price = f" for {number(row['amount'])} {short(row['currency'], 8)}" if row["amount"] is not None else ""
            seller = f" from {who(row['other'])}" if row["other"] else ""
            return f"bought {chips} ({row['chip']}){seller}{price}, {short(row['id'])}"
        case "declaration":
            return f"{who(row['party'])} declared {chips}{at}"
    toward = {"received": "from", "given up": "to"}.get(row["kind"], "with")
    others = {0: "", 1: f", {toward} {who(row['other'])}"}.get(row["others"], f", {toward} {row['others']} others")
    return f"{row['event']} of {chips}{others}{at}"


class Mark(NamedTuple):
    """An event in the drawing: its place in the list, where its circle is and how large, and whether it was before the start."""

    event: int
    x: float
    y: float
    radius: float
    earlier: bool


class Drawing(NamedTuple):
    """The timeline in the units of its drawing: a lane a kind, a mark an event, a tick a date."""

    width: float
    height: float
    lanes: list[tuple[str, float]]
    ticks: list[tuple[str, float]]
    marks: list[Mark]


_LEFT, _RIGHT, _LANE, _TOP = 104.0, 36.0, 30.0, 18.0
_WIDTH = 900.0
_LARGEST, _SMALLEST = 11.0, 3.5


def drawing_of(events: Sequence[Event], as_of: date) -> Drawing:
    """Where each event stands: a lane for each kind that occurs, the area of a circle by its chips."""
    lanes = {
        kind: _TOP + _LANE * (at + 0.5) for at, kind in enumerate(k for k in KINDS if any(e.kind == k for e in events))
    }
    with_chips = [one.date for one in events if one.chips is not None] or [one.date for one in events] or [as_of]
    start = min(with_chips) - timedelta(days=365 * EARLIER_YEARS)
    first, last = dates.date2num(start), dates.date2num(max(as_of, *with_chips)) + 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / (last - first)
    most = max((one.chips for one in events if one.chips), default=1.0)
    marks = [
        Mark(
            at,
            _LEFT + max(0.0, dates.date2num(one.date) - first) * scale,
            lanes[one.kind],
            max(_SMALLEST, _LARGEST * math.sqrt((one.chips or 0.0) / most)),
            one.date < start,
        )
        for at, one in enumerate(events)
    ]
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    places = [
        place for place in locator.tick_values(dates.num2date(first), dates.num2date(last)) if first <= place <= last
    ]
    labels = dates.ConciseDateFormatter(locator, formats=_FORMATS, zero_formats=_FORMATS).format_ticks(places)
    ticks = [(label, _LEFT + (place - first) * scale) for label, place in zip(labels, places, strict=True)]
    return Drawing(_WIDTH, _TOP + _LANE * len(lanes) + 24.0, list(lanes.items()), ticks, marks)


_FORMATS = ["%Y", "%b %Y", "%d %b", "%d %b", "%d %b", "%d %b"]
