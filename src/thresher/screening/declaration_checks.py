"""What declarations leave out: chips in custody that nobody declares where they are, and registers gone stale.

Chips that came after the latest declaration are not due before the register's next update. Whether a holder has to declare at
all is the rule's to say: what is found here is how much, not a breach.
"""

from __future__ import annotations

from datetime import date, timedelta

import ibis

from thresher.screening.custody import NOBODY, held_codes
from thresher.screening.engine import Engine
from thresher.screening.ledger import declared_counts


def keep_declarations(engine: Engine, as_of: date, register_days: float) -> bool:
    """Keep ``declared_cells`` and ``declared_last``, from the ordered custody; False where nobody ever declared anything.

    ``declared_cells(entity, site, kind, held, due, declared, unknown)``: of each type at each site the chips an entity holds,
    those of them that should be declared by now, and the latest count; ``unknown`` where that has no number.
    ``declared_last(entity, site, last)``: the day of the latest declaration; one without a site is for all sites.
    ``declared_counts`` are the lines behind them (`thresher.screening.ledger.declared_counts`).
    """
    counts = engine.keep("declared_counts", declared_counts(engine, as_of))
    last = engine.keep("declared_last", counts.group_by("entity", "site").agg(last=counts.day.max()))
    latest = ibis.row_number().over(ibis.window(group_by=["entity", "site", "kind"], order_by=ibis.desc("day")))
    now = counts.mutate(place=latest).filter(ibis._.place == 0)
    declared = now.group_by("entity", "site", "kind").agg(
        declared=ibis._.chips.sum().fill_null(0), unknown=ibis._.chips.isnull().cast("int64").max()
    )
    zero = ibis.literal(0, "int64")
    held = _held_and_due(engine, last, as_of - timedelta(days=min(int(register_days), as_of.toordinal() - 1)))
    cells = held.mutate(declared=zero, unknown=zero)[_CELL].union(declared.mutate(held=zero, due=zero)[_CELL])
    sums = cells.group_by("entity", "site", "kind").agg(
        held=cells.held.sum(), due=cells.due.sum(), declared=cells.declared.sum(), unknown=cells.unknown.max() == 1
    )
    engine.keep("declared_cells", sums)
    return bool(counts.limit(1).count().to_pyarrow().as_py())


_CELL = ["entity", "site", "kind", "held", "due", "declared", "unknown"]


def _held_and_due(engine: Engine, last: ibis.Table, overdue: date) -> ibis.Table:
    """``entity, site, kind, held, due``: chips held, and those that are there since ``overdue`` or the latest declaration."""
    held = held_codes(engine).select(entity="after", site="site_after", kind="kind", since="since")
    held = held.filter(held.entity > NOBODY).mutate(kind=ibis._.kind.fill_null(""), since=ibis._.since.date())
    lots = held.group_by("entity", "site", "kind", "since").agg(chips=ibis._.count())
    here = last.select(_entity="entity", _site="site", _here="last")
    for_all = last.filter(last.site == NOBODY).select(_whole="entity", _for_all="last")
    anywhere = last.group_by("entity").agg(_anywhere=ibis._["last"].max()).select(_who="entity", _anywhere="_anywhere")
    lots = lots.left_join(here, [lots.entity == here._entity, lots.site == here._site]).drop("_entity", "_site")
    lots = lots.left_join(for_all, lots.entity == for_all._whole).drop("_whole")
    lots = lots.left_join(anywhere, lots.entity == anywhere._who).drop("_who")
    told = ibis.ifelse(lots.site == NOBODY, lots._anywhere, ibis.coalesce(lots._here, lots._for_all))
    due = (lots.since <= ibis.literal(overdue)) | ibis.coalesce(lots.since <= told, False)
    lots = lots.mutate(due=ibis.ifelse(due, lots.chips, 0))
    return lots.group_by("entity", "site", "kind").agg(held=lots.chips.sum(), due=lots.due.sum())


def undeclared(engine: Engine) -> ibis.Table:
    """``entity, strength, due``: chips of each holder that should be declared, and that no declaration has room for.

    At a site and of a type, chips are undeclared as far as they exceed what their holder declares there, and as far as all
    chips there exceed what anybody declares there: an operator may declare for its customers. Chips whose site or type is not
    known, and declarations without a site, are set off against what is left over. A declaration without a number leaves its
    type at its site unknown; a holder of whom nothing else is due has no row.
    """
    cells = engine.table("declared_cells")
    cells = cells.mutate(placed=(cells.site > NOBODY) & (cells.kind != ""))
    there = cells.group_by("site", "kind").agg(
        _due=ibis._.due.sum(), _declared=ibis._.declared.sum(), _unknown=ibis._.unknown.cast("int8").max() == 1
    )
    there = there.select(_site="site", _kind="kind", _due="_due", _declared="_declared", _unknown="_unknown")
    cells = cells.join(there, [cells.site == there._site, cells.kind == there._kind])
    known = cells.placed & ~cells._unknown
    over = ibis.least(cells.due - cells.declared, cells._due - cells._declared)
    cells = cells.mutate(
        excess=ibis.ifelse(known, ibis.greatest(over, 0), 0),
        room=ibis.ifelse(cells.placed, ibis.greatest(cells.declared - cells.held, 0), 0),
        without_site=ibis.ifelse(cells.site == NOBODY, cells.declared, 0),
        vague=ibis.ifelse(cells.placed, 0, cells.due),
        not_known=ibis.ifelse(cells.placed & cells._unknown, cells.due, 0),
        # a count that is not known has room for chips of which it is not known where they are
        any_room=cells.unknown.cast("int8"),
    )
    amounts = ("excess", "room", "without_site", "vague", "not_known", "held", "due")
    sums = cells.group_by("entity").agg(**{name: cells[name].sum() for name in amounts}, any_room=cells.any_room.max())
    sums = sums.filter((sums.held > 0) & ((sums.not_known < sums.due) | (sums.due == 0)))
    at_sites = ibis.greatest(sums.excess - sums.without_site, 0)
    room = sums.room + ibis.greatest(sums.without_site - sums.excess, 0)
    elsewhere = ibis.ifelse(sums.any_room == 1, 0, ibis.greatest(sums.vague - room, 0))
    return sums.select("entity", "due", strength=(at_sites + elsewhere).cast("float64"))


def stale(engine: Engine, as_of: date, register_days: float, look_back_days: int) -> ibis.Table:
    """``entity, strength, sites``: days by which the oldest register of a site where an entity holds chips is overdue.

    Of sites that it declared before; at most the days of the look-back count.
    """
    last = engine.table("declared_last")
    for_all = last.filter(last.site == NOBODY).select(_entity="entity", _for_all="last")
    cells = engine.table("declared_cells")
    there = cells.filter(cells.held > 0).select(_at="entity", _site="site").distinct()
    sites = last.semi_join(there, [last.entity == there._at, last.site == there._site])
    sites = sites.left_join(for_all, sites.entity == for_all._entity)
    told = ibis.greatest(sites["last"], ibis.coalesce(sites._for_all, sites["last"]))
    days = ibis.literal(as_of).delta(told, unit="day") - int(register_days)
    sites = sites.mutate(days=ibis.greatest(ibis.least(days, look_back_days), 0))
    return sites.group_by("entity").agg(strength=sites.days.max().cast("float64"), sites=sites.count())
