"""What cannot be in a chip's history: two places at once, events before it was made or after its end, handovers by others.

A record that contradicts itself counts in full; one that only lacks an event, as honest registers do, counts for little
(``gap_weight``). Chips are counted, not events: a serial number counts once for an entity in a finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import ibis

from thresher.screening.custody import CODES, HANDOVERS, NOBODY, chip_types, end_of
from thresher.screening.engine import Engine

TWO_PLACES, IMPOSSIBLE, NOT_NOTIFIED = "serial_in_two_places", "impossible_events", "transfers_without_notice"
KINDS = {
    "given_twice": "given away twice by one party",
    "installed_elsewhere": "installed elsewhere while another party had them installed",
    "used_by_two": "in use by two parties by turns, without a handover",
    "commissioned_twice": "commissioned twice",
    "two_types": "on record as two types of chip",
    "after_destruction": "used after their destruction",
    "after_decommission": "put to use after their decommissioning",
    "before_made": "on the move before they were made",
    "before_commission": "on the move before they were commissioned",
    "not_the_holder": "given away by a party not on record as having them",
    "never_received": "in use by a party not on record as having received them",
    "never_installed": "removed without having been installed",
    "not_removed": "installed elsewhere without having been removed",
}
"""What can be wrong with a chip's history, in words that follow a number of chips."""
_AT_TWO_PLACES = ("given_twice", "installed_elsewhere", "used_by_two", "commissioned_twice", "two_types")
KINDS_OF = {TWO_PLACES: _AT_TWO_PLACES, IMPOSSIBLE: tuple(kind for kind in KINDS if kind not in _AT_TWO_PLACES)}
_WEAK = frozenset({"not_the_holder", "never_received", "never_installed", "not_removed"})
_CONCERNED = {
    "given_twice": ("giver", "before", "after"),
    "not_the_holder": ("giver",),
    "never_received": ("after",),
}
"""Whom a flag concerns; where it is not said, who had the chip before the event and who after it."""
_BACK_TO_WORK = ("commission", "sale", "install", "repair")
"""Events that a decommissioned chip does not have; it may still be taken away, carried to a recycler and destroyed."""


def claims_of_others(engine: Engine) -> ibis.Table:
    """Acts by a party that, by the record, did not have the chip; kept as ``custody_claims(serial, n, giver, before, claim)``.

    Of handovers, ``claim`` is ``given_twice`` where the giver gave the chip away before and the new receiver has more than
    this one record of it, and ``given_once_more`` where it has not (a mistyped number, say); ``installed_elsewhere`` where the
    giver never had it, while it stood at a site from which nobody took it, and it is next installed at another one; and
    ``not_the_holder`` where the giver never had it otherwise. A handover that is told late, by one who has the chip on its
    books, is left out. Of other acts it is ``used_by_two`` where the party took the chip before and never gave it away, at
    another site than where it stands, and ``never_received`` where it did not have it. Beside it
    ``custody_books(serial, n, entity, got, gave)`` is kept: who took and gave away each of these serial numbers.
    """
    events = engine.table("custody_ordered")
    had = events.before > NOBODY
    handed = had & (events.giver != events.before) & (events.giver != events.after)
    alone = ibis.coalesce(events.stated & (events.giver == events.after), False)
    alone = alone | ~(events.stated | events.event.isin(HANDOVERS))
    used = had & alone & (events.after > NOBODY) & (events.after != events.before)
    used = used & ~events.event.isin(("commission", "destroy"))
    doubtful = events.mutate(handed=ibis.coalesce(handed, False), used=used)
    doubtful = doubtful.filter(doubtful.handed | doubtful.used)
    doubtful = engine.keep(
        "_custody_doubtful",
        doubtful.select("serial", "n", "event", "giver", "before", "after", "site_before", "site_stated", "handed"),
    )
    story = events.semi_join(doubtful, "serial")
    books = engine.keep("custody_books", _books(story))
    earlier = ibis.window(group_by=["serial", "entity"], order_by="n", rows=(None, -1))
    so_far = books.mutate(
        _got=ibis.coalesce(books.got.sum().over(earlier), 0), _gave=ibis.coalesce(books.gave.sum().over(earlier), 0)
    ).select(_serial="serial", _n="n", _entity="entity", _got="_got", _gave="_gave")
    actor = ibis.ifelse(doubtful.handed, doubtful.giver, doubtful.after)
    joined = doubtful.mutate(actor=actor)
    joined = joined.join(
        so_far, [joined.serial == so_far._serial, joined.n == so_far._n, joined.actor == so_far._entity]
    ).drop("_serial", "_n", "_entity")
    records = story.group_by("serial", "after").agg(_records=ibis._.count())
    records = records.select(_serial="serial", _after="after", _records="_records")
    joined = joined.left_join(records, [joined.serial == records._serial, joined.after == records._after])
    joined = joined.drop("_serial", "_after")
    later = _next_installs(story)
    joined = joined.left_join(later, [joined.serial == later._serial, joined.n == later._n]).drop("_serial", "_n")
    net, never_had = joined._got - joined._gave, (joined._got + joined._gave) == 0
    stood = (joined.site_before > NOBODY) & (joined.next_site > NOBODY) & (joined.next_site != joined.site_before)
    apart = (joined.site_before > NOBODY) & (joined.site_stated > NOBODY) & (joined.site_stated != joined.site_before)
    claim = ibis.cases(
        (joined.handed & (net > 0), "told_late"),
        (joined.handed & never_had & ibis.coalesce(stood, False), "installed_elsewhere"),
        (joined.handed & never_had, "not_the_holder"),
        (joined.handed & (joined._records > 1), "given_twice"),
        (joined.handed, "given_once_more"),
        ((net > 0) & joined.event.isin(("install", "repair")) & ibis.coalesce(apart, False), "used_by_two"),
        (net <= 0, "never_received"),
        else_="told_late",
    )
    claims = joined.select("serial", "n", "giver", "before", claim=claim)
    return engine.keep("custody_claims", claims.filter(claims.claim != "told_late"))


def _books(story: ibis.Table) -> ibis.Table:
    """``serial, n, entity, got, gave``: who took a chip (by what it or the giver says), and who gave it away."""
    got = story.filter(
        (story.after > NOBODY) & ((story.after != ibis.coalesce(story.before, NOBODY)) | (story.giver != story.after))
    )
    handed = story.stated | story.event.isin((*HANDOVERS, "destroy"))
    gave = story.filter(story.giver.notnull() & (story.giver != story.after) & handed)
    one, none = ibis.literal(1, "int64"), ibis.literal(0, "int64")
    return got.select("serial", "n", entity="after", got=one, gave=none).union(
        gave.select("serial", "n", entity="giver", got=none, gave=one)
    )


def _next_installs(story: ibis.Table) -> ibis.Table:
    """``_serial, _n, next_site``: the site at which a chip is next installed after each of its events."""
    coming = ibis.window(group_by="serial", order_by="n", rows=(1, None))
    installs = ibis.ifelse(
        (story.event == "install") & (story.site_stated > NOBODY),
        story.n * CODES + story.site_stated,
        ibis.null("int64"),
    )
    following = story.mutate(_installs=installs)
    following = following.mutate(next_site=following._installs.min().over(coming) % CODES)
    return following.select(_serial="serial", _n="n", next_site="next_site")


def flag_custody(engine: Engine, gap_weight: float) -> ibis.Table:
    """What is wrong with the history of each serial, by the entity it concerns; kept as ``custody_flags``.

    Parameters
    ----------
    gap_weight
        What a chip counts for whose record only lacks an event.

    Returns
    -------
    ibis.Table
        ``entity`` (code), ``serial``, ``table`` and ``row_id``; 1 or 0 for each of `KINDS`; and, by the names of the findings
        `TWO_PLACES` and `IMPOSSIBLE`, the weight of the worst of theirs.
    """
    events, claims = engine.table("custody_ordered"), claims_of_others(engine)
    claims = claims.select(_serial="serial", _n="n", claim="claim")
    events = events.left_join(claims, [events.serial == claims._serial, events.n == claims._n]).drop("_serial", "_n")
    commissioned = events.filter(events.event == "commission").group_by("serial").agg(_commissioned=ibis._.day.min())
    commissioned = commissioned.select(_serial="serial", _commissioned="_commissioned")
    events = events.left_join(commissioned, events.serial == commissioned._serial).drop("_serial")
    event, claim = events.event, events.claim
    other = (events.before > NOBODY) & (events.after > NOBODY) & (events.after != events.before)
    moved_in = (event == "install") & (events.site_stated > NOBODY) & (events.site_before > NOBODY)
    moved_in = moved_in & (events.site_stated != events.site_before) & (events.event_before != "remove")
    elsewhere = (claim == "installed_elsewhere") | ((claim == "never_received") & moved_in)
    late = ibis.interval(days=1)
    what = {
        "given_twice": claim.isin(("given_twice", "given_once_more")),
        "installed_elsewhere": elsewhere,
        "used_by_two": claim == "used_by_two",
        "commissioned_twice": (event == "commission") & other & ~events.stated,
        "after_destruction": events.destroyed & ~event.isin(("destroy", "decommission")),
        "after_decommission": events.decommissioned & ~events.destroyed & event.isin(_BACK_TO_WORK),
        "before_made": events.day < events.manufactured_on - late,
        "before_commission": (events.day < events._commissioned - late) & (event != "commission"),
        "not_the_holder": claim == "not_the_holder",
        "never_received": (claim == "never_received") & ~moved_in,
        "never_installed": (event == "remove") & (events.site_before == NOBODY) & (events.event_before != "remove"),
        "not_removed": moved_in & ~other,
    }
    flagged = events.mutate(**{kind: ibis.coalesce(condition, False).cast("int8") for kind, condition in what.items()})
    flagged = flagged.filter(ibis.or_(*(flagged[kind] == 1 for kind in what)))
    flagged = engine.keep(
        "_custody_flagged", flagged.select("serial", "row_id", "giver", "before", "after", "claim", *what)
    )
    parts = [
        flagged.filter(ibis.coalesce(flagged[side] > NOBODY, False)).select(
            "serial",
            "row_id",
            entity=side,
            table=ibis.literal("custody"),
            once=ibis.coalesce(flagged.claim == "given_once_more", False),
            **{kind: flagged[kind] if _concerns(kind, side) else ibis.literal(0, "int8") for kind in KINDS},
        )
        for side in ("giver", "before", "after")
    ]
    flags = ibis.union(*parts, _two_types(engine)[parts[0].columns])
    return engine.keep(
        "custody_flags", flags.mutate(**{name: _worst(flags, kinds, gap_weight) for name, kinds in KINDS_OF.items()})
    )


def _concerns(kind: str, side: str) -> bool:
    """Whether a flag that events of custody raise concerns the giver, the holder before or the holder after."""
    return kind != "two_types" and side in _CONCERNED.get(kind, ("before", "after"))


def _worst(flags: ibis.Table, kinds: Iterable[str], gap_weight: float) -> ibis.Value:
    """The weight of the worst of some kinds of flags; 0 where there is none of them."""
    weights = [flags[kind] * (gap_weight if kind in _WEAK else 1.0) for kind in kinds if kind != "given_twice"]
    twice = flags.given_twice * ibis.ifelse(flags.once, gap_weight, 1.0)
    return ibis.greatest(*weights, *([twice] if "given_twice" in kinds else ()))


def _two_types(engine: Engine) -> ibis.Table:
    """Serial numbers that the table of chips has as two different types, at those who hold them."""
    chips, types = engine.table("chips"), chip_types(engine)
    double = types.filter(types.types > 1).select("serial")
    latest = engine.table("custody_ordered")
    holder = latest.filter(latest["last"] & (latest.after > NOBODY)).select("serial", entity="after")
    rows = chips.select("serial", "row_id").semi_join(double, "serial").join(holder, "serial")
    return rows.select(
        *("entity", "serial", "row_id"),
        table=ibis.literal("chips"),
        once=ibis.literal(False),
        **{kind: ibis.literal(int(kind == "two_types"), "int8") for kind in KINDS},
    )


def handovers_in(engine: Engine, as_of: date, look_back_days: int, notice_days: float) -> ibis.Table | None:
    """The sales and transfers of a look-back, by each side, and whether they were announced in time.

    Columns ``entity`` (code), ``serial``, ``late``, ``row_id``. None where no event of the register ever names a notice:
    what was not recorded is not known.
    """
    events = engine.table("custody_ordered")
    if events.filter(events.notified_on.notnull()).limit(1).count().to_pyarrow().as_py() == 0:
        return None
    since = end_of(as_of - timedelta(days=min(look_back_days, as_of.toordinal() - 1)))
    moved = events.filter(events.event.isin(HANDOVERS) & (events["at"] >= since))
    moved = moved.mutate(
        late=moved.notified_on.isnull() | (moved.notified_on > moved.day - ibis.interval(days=int(notice_days))),
    )
    sides = [moved.select("serial", "late", "row_id", entity=moved[side]) for side in ("giver", "after")]
    both = ibis.union(*sides, distinct=True)
    return both.filter(both.entity > NOBODY)
