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
KINDS = ("incorporation", "ownership", "purchase", "received", "moved", "given up", "declaration")
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
    raw = [
        *_incorporations(engine, as_of),
        *_ownership(engine, as_of),
        *_purchases(engine, as_of),
        *_custody(engine, as_of),
        *_declarations(engine, as_of),
    ]
    names = names_of(engine, (row[key] for row in raw for key in ("party", "other") if row.get(key)))
    found: dict[str, list[Event]] = {lead.owner: [] for lead in leads}
    in_all: dict[str, dict[str, int]] = defaultdict(dict)
    for row in raw:
        ids = tuple(sorted(row["row_ids"]))
        found[row["lead"]].append(
            Event(row["day"], row["kind"], _words(row, names), row["table"], ids, row["rows"], row.get("chips"))
        )
        in_all[row["lead"]][row["kind"]] = row["events"]
    timelines = {}
    for owner, events in found.items():
        events.sort(key=lambda one: (one.date, KINDS.index(one.kind), one.table, one.row_ids))
        shown = Counter(one.kind for one in events)
        left = {kind: count - shown[kind] for kind, count in in_all[owner].items() if count > shown[kind]}
        timelines[owner] = Timeline(events, left)
    return timelines


def _bounded(
    engine: Engine,
    rows: ibis.Table,
    table: str,
    by: Sequence[str],
    chips: ibis.Deferred | None = None,
    **more: ibis.Deferred,
) -> list[dict[str, Any]]:
    """Events from rows with ``lead, kind, day, row_id`` and ``by``: one for each group, the largest of each lead and kind.

    What is asked of each event (``chips`` and ``more``) is worked out for those alone that are shown, however many there are.
    """
    group = ["lead", "kind", "day", *by]
    number = rows["number"].sum() if "number" in rows.columns else ibis.null("float64")
    grouped = rows.group_by(group).agg(rows=rows.row_id.count(), size=number)
    size = [ibis.desc(grouped["size"].fill_null(0.0)), ibis.desc("rows"), ibis.desc("day"), *by]
    ranked = grouped.mutate(
        place=ibis.row_number().over(ibis.window(group_by=("lead", "kind"), order_by=size)),
        events=grouped.rows.count().over(ibis.window(group_by=("lead", "kind"))),
    )
    chosen = engine.keep("dossier_events", ranked.filter(ranked.place < MOST_OF_A_KIND))
    key = ["lead", "kind", "place"]
    shown = chosen.select("place", **{f"_{name}": chosen[name] for name in group})
    own = rows.inner_join(shown, [rows[name].identical_to(shown[f"_{name}"]) for name in group])
    own = engine.keep("dossier_event_rows", own.drop(*(f"_{name}" for name in group)))
    asked = own.group_by(key).agg(chips=ibis.null("float64") if chips is None else chips, **more)
    first = ibis.row_number().over(ibis.window(group_by=key, order_by="row_id"))
    cited = own.select(*key, "row_id").mutate(first=first)
    ids: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in cited.filter(cited["first"] < MOST_ROWS_OF_AN_EVENT).to_pyarrow().to_pylist():
        ids[row["lead"], row["kind"], row["place"]].append(row["row_id"])
    return [
        row | {"table": table, "row_ids": ids[row["lead"], row["kind"], row["place"]]}
        for row in chosen.inner_join(asked, key).to_pyarrow().to_pylist()
    ]


def _incorporations(engine: Engine, as_of: date) -> list[dict[str, Any]]:
    rows = engine.table("parties").inner_join(engine.table("dossier_parties"), "party")
    rows = rows.filter(rows.incorporated_on <= as_of)
    rows = rows.select("lead", "party", "row_id", day="incorporated_on", kind=ibis.literal("incorporation"))
    return _bounded(engine, rows, "parties", ("party",))


def _ownership(engine: Engine, as_of: date) -> list[dict[str, Any]]:
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
            kind=ibis.literal("ownership"),
        )
        for side in ("from", "to")
    ]
    dated = ibis.union(*sides)
    return _bounded(
        engine, dated.filter(dated.day <= as_of), "ownership", ("party", "other", "share", "interest", "side")
    )


def _purchases(engine: Engine, as_of: date) -> list[dict[str, Any]]:
    bought = engine.table("purchases_resolved").inner_join(engine.table("dossier_entities"), "entity")
    bought = bought.filter((bought.date <= as_of) & bought.chip.notnull())
    bought = bought.select("lead", "row_id", "id", "chip", "chips", "amount", "currency", day=bought.date)
    named = bought.inner_join(engine.table("purchases").select("row_id", other="seller"), "row_id")
    rows = named.mutate(kind=ibis.literal("purchase"), number=named.chips)
    return _bounded(
        engine, rows, "purchases", ("id", "chip", "number", "amount", "currency", "other"), ibis._.number.sum()
    )


def _custody(engine: Engine, as_of: date) -> list[dict[str, Any]]:
    """Events of custody by day, site and kind: a party of the owner's takes chips, gives them up, or keeps them."""
    mine = engine.table("dossier_parties")
    takers = mine.select(taker_lead="lead", taker="party", taker_entity="entity")
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
    )
    joined = engine.keep(
        "dossier_moves",
        joined.select(
            *("serial", "row_id", "event", "site", "day", "handed_over", "within"),
            *("taker_lead", "giver_lead", "to_party", "from_party"),
        ),
    )
    columns = ("serial", "row_id", "event", "site", "day")
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
    return _bounded(
        engine,
        taken.union(given),
        "custody",
        ("event", "site"),
        ibis._.serial.nunique().cast("float64"),
        other=ibis._.other.min(),
        others=ibis._.other.nunique(),
    )


def _declarations(engine: Engine, as_of: date) -> list[dict[str, Any]]:
    rows = engine.table("declarations").inner_join(engine.table("dossier_parties"), "party")
    rows = rows.filter(rows.declared_on <= as_of)
    rows = rows.select(
        *("lead", "party", "site", "row_id"),
        number=rows["count"].cast("float64"),
        day="declared_on",
        kind=ibis.literal("declaration"),
    )
    return _bounded(engine, rows, "declarations", ("party", "site"), ibis._.number.sum())


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
