"""The chip ledger as a material balance: opening + received - shipped - destroyed = expected, against declared and seen.

Two regimes, and each balance says which it is in. Where custody knows serial numbers, chips are ``items``: what is expected is
known exactly, and each chip that is missing has a name. Where there are only purchases and declared counts, chips are ``bulk``:
every count has an error, and so has the balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
from scipy.special import ndtri

from thresher.errors import InputError
from thresher.screening.custody import NOBODY, has_table, moves_chip, named, with_kind
from thresher.screening.engine import Engine

KEYS = {"party": "entity", "site": "site", "chip": "kind"}
"""By what a balance can be drawn up, and the column of the ledger that holds it."""
PERIODS = {"month": "M", "quarter": "Q"}
ITEMS, BULK = "items", "bulk"
AMOUNTS = (
    *("received", "shipped", "destroyed", "seen", "declared", "awaited"),
    *("not_counted", "not_measured", "squares"),
)
"""What an entry of the ledger changes, in chips; then the declarations and the purchases without a number, by count, and the
sum of the squares of bulk receipts and shipments."""


def keep_ledger(engine: Engine, as_of: date, delivery_days: float) -> None:
    """Keep the parts of the ledger up to a day: ``ledger_moves``, ``ledger_counts`` and ``ledger_bulk``.

    ``ledger_moves`` are the ordered events of custody added up by day, type, giver, holder before and after with their sites;
    ``ledger_counts`` how each declaration changes what its declarer declares of a type at a site; ``ledger_bulk`` the
    purchases by those of whose chips of the type custody knows no serial number.
    """
    events = engine.table("custody_ordered")
    nobody = ibis.literal(NOBODY)
    moved = events.filter(moves_chip(events) | (events.giver != events.before))
    before = ibis.coalesce(moved.before, nobody)
    # what comes from nobody known comes into the ledger from outside
    giver = ibis.ifelse(before > NOBODY, ibis.coalesce(moved.giver, nobody), nobody)
    moved = moved.mutate(
        giver=giver,
        giver_site=ibis.ifelse(giver == before, moved.site_before, nobody),
        before=before,
        kind=moved.kind.fill_null(""),
        destroyed=moved.event == "destroy",
    )
    sides = ("kind", "destroyed", "giver", "giver_site", "before", "site_before", "after", "site_after")
    moves = engine.keep("ledger_moves", moved.group_by("day", *sides).agg(chips=moved.count()))
    holders = ibis.union(
        *(moves.select("kind", entity=side) for side in ("giver", "before", "after")), distinct=True
    ).filter(ibis._.entity > NOBODY)
    engine.keep("ledger_items", holders)
    engine.keep("ledger_counts", _changes_of_counts(engine, as_of))
    engine.keep("ledger_bulk", _bulk_flows(engine, as_of, delivery_days))


def declared_counts(engine: Engine, as_of: date) -> ibis.Table:
    """The declarations up to a day: ``entity, site`` (codes), ``kind, day, chips, row_id``; one row an entity, site, type, day.

    The same line twice is one line (the larger, if they differ); lines with different words for one type add up, and so do
    those of several parties of an entity on one day. Its next day replaces it, whichever of its parties declares: entries of a
    register that are one company do not declare twice. ``chips`` is null where a line gives no number.
    """
    declared = engine.table("declarations")
    declared = with_kind(engine, declared.filter(declared.declared_on <= as_of), "chip")
    codes = engine.table("party_codes").select(_party="party", code="code", entity="entity")
    sites = engine.table("site_codes").select(_site="site", _site_code="code")
    declared = declared.join(codes, declared.party == codes._party).drop("_party")
    declared = declared.left_join(sites, declared.site == sites._site)
    declared = declared.mutate(site=ibis.coalesce(declared._site_code, NOBODY), kind=declared.kind.fill_null(""))
    lines = declared.group_by("code", "entity", "site", "kind", "chip", day=declared.declared_on).agg(
        chips=declared["count"].max(), unknown=declared["count"].isnull().any(), row_id=declared.row_id.min()
    )
    return lines.group_by("entity", "site", "kind", "day").agg(
        chips=ibis.ifelse(lines.unknown.any(), ibis.null("int64"), lines.chips.sum().cast("int64")),
        row_id=lines.row_id.min(),
    )


def _changes_of_counts(engine: Engine, as_of: date) -> ibis.Table:
    """How each declaration changes what is declared: ``entity, site, kind, day, declared, not_counted``."""
    counts = declared_counts(engine, as_of)
    earlier = ibis.window(group_by=["entity", "site", "kind"], order_by="day")
    known, unknown = counts.chips.fill_null(0), counts.chips.isnull().cast("int64")
    changed = counts.mutate(
        declared=known - ibis.coalesce(known.lag().over(earlier), 0),
        not_counted=unknown - ibis.coalesce(unknown.lag().over(earlier), 0),
    )
    return changed.select("entity", "site", "kind", "day", "declared", "not_counted")


def _bulk_flows(engine: Engine, as_of: date, delivery_days: float) -> ibis.Table:
    """Purchases of types that the buyer, or the seller, has no serial numbers of: ``entity, kind, day`` and amounts.

    What was bought is ``awaited`` until it should have come. A purchase of an unknown number makes the balance unknown.
    """
    empty = {"entity": "int64", "kind": "string", "day": "date"} | dict.fromkeys(
        ("received", "shipped", "awaited", "not_measured"), "float64"
    )
    if not has_table(engine, "purchases_resolved"):
        return ibis.memtable([], schema=empty | {"squares": "float64"})
    bought = engine.table("purchases_resolved")
    bought = bought.filter((bought.date <= as_of) & bought.chip.notnull())
    zero = ibis.literal(0.0)
    chips, unknown = bought.chips.fill_null(0.0), bought.chips.isnull().cast("float64")
    due = bought.date + ibis.interval(days=int(delivery_days))
    shared = {"kind": bought.chip}
    parts = [
        bought.select(
            name=bought.entity,
            day=bought.date,
            received=chips,
            shipped=zero,
            awaited=chips,
            not_measured=unknown,
            **shared,
        ),
        bought.select(
            name=bought.entity, day=due, received=zero, shipped=zero, awaited=-chips, not_measured=zero, **shared
        ),
        bought.select(
            name=bought.seller_entity,
            day=bought.date,
            received=zero,
            shipped=chips,
            awaited=zero,
            not_measured=unknown,
            **shared,
        ),
    ]
    flows = ibis.union(*parts)
    codes = engine.table("party_codes").select(_party="party", entity="entity")
    flows = flows.filter((flows.day <= as_of) & flows.name.notnull())
    flows = flows.join(codes, flows.name == codes._party)
    items = engine.table("ledger_items")
    flows = flows.anti_join(items, ["entity", "kind"]).anti_join(items.filter(items.kind == ""), "entity")
    return flows.group_by("entity", "kind", "day").agg(
        received=flows.received.sum(),
        shipped=flows.shipped.sum(),
        awaited=flows.awaited.sum(),
        not_measured=flows.not_measured.sum(),
        squares=(flows.received**2 + flows.shipped**2).sum(),
    )


def _entries(engine: Engine, by: Sequence[str], as_of: date, regimes: Sequence[str]) -> ibis.Table:
    """Every entry of the ledger by the keys asked for, the regime and the day; a chip that stays under a key is no entry."""
    columns = [KEYS[one] for one in by]
    moves = engine.table("ledger_moves")

    def at(table: ibis.Table, entity: str, site: str) -> dict[str, ibis.Value]:
        every = {"entity": table[entity], "site": table[site], "kind": table.kind}
        return {name: every[name] for name in columns}

    def flow(one: tuple[str, str], other: tuple[str, str], **amounts: ibis.Value) -> ibis.Table:
        """Entries at one side of moves, where the other side is not under the same key."""
        mine, others = at(moves, *one), at(moves, *other)
        elsewhere = [mine[name] != others[name] for name in columns if name != "kind"]
        leaves = moves[other[0]] == NOBODY
        rows = moves.filter((moves[one[0]] > NOBODY) & ibis.or_(leaves, *elsewhere))
        return _entry(rows, columns, mine, ibis.literal(ITEMS), rows.day, **amounts)

    giver, before, after = ("giver", "giver_site"), ("before", "site_before"), ("after", "site_after")
    counts = _with_regime(engine, engine.table("ledger_counts")).filter(ibis._.regime.isin(regimes))
    bulk = engine.table("ledger_bulk").mutate(site=ibis.literal(NOBODY, "int64"))
    parts = [
        _entry(
            counts,
            columns,
            at(counts, "entity", "site"),
            counts.regime,
            counts.day,
            True,
            declared=counts.declared,
            not_counted=counts.not_counted,
        )
    ]
    if ITEMS in regimes:
        gone = moves.destroyed
        parts += [
            flow(after, giver, received=moves.chips),
            flow(
                giver,
                after,
                shipped=ibis.ifelse(gone, 0, moves.chips),
                destroyed=ibis.ifelse(gone, moves.chips, 0),
            ),
            flow(after, before, seen=moves.chips),
            flow(before, after, seen=-moves.chips),
        ]
    if BULK in regimes:
        amounts = {name: bulk[name] for name in ("received", "shipped", "awaited", "squares", "not_measured")}
        parts.append(_entry(bulk, columns, at(bulk, "entity", "site"), ibis.literal(BULK), bulk.day, **amounts))
    entries = ibis.union(*parts)
    # every balance has a line at the end
    ends = entries.select(*columns, "regime").distinct()
    ends = _entry(ends, columns, {name: ends[name] for name in columns}, ends.regime, ibis.literal(as_of))
    entries = entries.union(ends)
    return entries.group_by(*columns, "regime", "day").agg(
        **{name: entries[name].sum() for name in AMOUNTS}, counted=entries.counted.max()
    )


def _entry(
    table: ibis.Table,
    columns: Sequence[str],
    keys: Mapping[str, ibis.Value],
    regime: ibis.Value,
    day: ibis.Value,
    counted: bool = False,
    **amounts: ibis.Value,
) -> ibis.Table:
    return table.select(
        **{name: keys[name] for name in columns},
        regime=regime,
        day=day,
        counted=ibis.literal(int(counted)).cast("int8"),
        **{name: (amounts[name] if name in amounts else ibis.literal(0.0)).cast("float64") for name in AMOUNTS},
    )


def _with_regime(engine: Engine, table: ibis.Table) -> ibis.Table:
    """A table of entities and types with ``regime``: items where custody knows serial numbers of theirs, else bulk."""
    items = engine.table("ledger_items")
    of_type = items.select(_entity="entity", _kind="kind")
    # chips whose type nobody recorded may be of any type
    of_any = items.filter(items.kind == "").select(_any="entity")
    joined = table.left_join(of_type, [table.entity == of_type._entity, table.kind == of_type._kind]).drop("_kind")
    joined = joined.left_join(of_any, joined.entity == of_any._any)
    known = joined._entity.notnull() | joined._any.notnull()
    return joined.mutate(regime=ibis.ifelse(known, ITEMS, BULK)).drop("_entity", "_any")


def check_keys(by: Sequence[str], period: str) -> None:
    """Refuse keys of a balance, or a period, that there are not."""
    if not by or set(by) - set(KEYS) or len(set(by)) < len(by):
        raise InputError("by", f"one or more of {', '.join(KEYS)}", list(by))
    if period not in PERIODS:
        raise InputError("period", f"one of {', '.join(PERIODS)}", period)


def balances(engine: Engine, as_of: date, by: Sequence[str], period: str, choice: Mapping[str, float]) -> ibis.Table:
    """The balance of every key and period, from the parts of the ledger that are kept (`keep_ledger`).

    Parameters
    ----------
    by
        One or more of ``party``, ``site`` and ``chip``.
    period
        ``month`` or ``quarter``.
    choice
        ``counting_error`` (relative standard deviation of a count), ``least_count_error_chips`` and ``false_alarm``.

    Returns
    -------
    ibis.Table
        The columns of ``by`` (the party as its entity, the chip as its type; null: not known), ``regime``, ``period`` (its
        first day); chips ``opening``, ``received``, ``shipped``, ``destroyed``, ``expected``, ``seen`` (by the latest event of
        each serial number; null for bulk) and ``missing``, expected - seen; ``declared`` (the sum of the latest counts; null
        where there is none, or one without a number) and the day of the latest, ``declared_on``; ``moved_since`` then;
        ``unaccounted``, expected - moved_since - declared (null too after a purchase without a number); ``awaited``, chips
        bought that may not have come by the day of that count; and ``limit_of_error``, that of ``unaccounted``.

        A balance has a line for each period in which something happened, and for the last. Before the first count of a bulk
        balance an unknown number of chips was there: as many as that count shows beyond what was bought, at least 0.

    Raises
    ------
    InputError
        ``by`` or ``period`` is none of these.
    """
    return _named(engine, balance_lines(engine, as_of, by, period, choice), by)


def balance_lines(
    engine: Engine,
    as_of: date,
    by: Sequence[str],
    period: str,
    choice: Mapping[str, float],
    regimes: Sequence[str] = (ITEMS, BULK),
) -> ibis.Table:
    """`balances` of some regimes, with codes in place of ids and ``squares``: of bulk flows, summed up to the latest count."""
    check_keys(by, period)
    columns = [*(KEYS[one] for one in by), "regime"]
    entries = _entries(engine, by, as_of, regimes)
    until = ibis.window(group_by=columns, order_by="day", rows=(None, 0))
    running = entries.mutate(
        book=(entries.received - entries.shipped - entries.destroyed).sum().over(until),
        **{
            f"{name}_now": entries[name].sum().over(until)
            for name in ("seen", "declared", "awaited", "not_counted", "not_measured", "squares")
        },
        declared_on=ibis.ifelse(entries.counted == 1, entries.day, ibis.null("date")).max().over(until),
    )
    running = engine.keep("_ledger_running", running)
    counts = running.filter(running.counted == 1)
    first = ibis.row_number().over(ibis.window(group_by=columns, order_by="day"))
    counts = counts.mutate(place=first)
    start = counts.filter((counts.place == 0) & (counts.regime == BULK))
    start = start.select(
        **{f"_{name}": start[name] for name in columns},
        start=ibis.greatest(start.declared_now - start.book, 0.0),
        first_count=start.declared_now,
    )
    counts = counts.select(
        **{f"_{name}": counts[name] for name in columns},
        _day=counts.day,
        _book=counts.book,
        _awaited=counts.awaited_now,
        _squares=counts.squares_now,
    )
    of_period = running.day.truncate(PERIODS[period])
    lines = running.mutate(period=of_period)
    sums = ibis.window(group_by=[*columns, "period"])
    latest = ibis.row_number().over(ibis.window(group_by=[*columns, "period"], order_by=ibis.desc("day")))
    lines = lines.mutate(
        place=latest, **{f"{name}_in": lines[name].sum().over(sums) for name in ("received", "shipped", "destroyed")}
    ).filter(ibis._.place == 0)
    lines = lines.left_join(start, [lines[name] == start[f"_{name}"] for name in columns])
    lines = lines.drop(*(f"_{name}" for name in columns))
    lines = lines.left_join(
        counts, [lines.declared_on == counts._day, *(lines[name] == counts[f"_{name}"] for name in columns)]
    )
    return _result(lines, choice)


def _result(lines: ibis.Table, choice: Mapping[str, float]) -> ibis.Table:
    start = lines.start.fill_null(0.0)
    expected = lines.book + start
    items = lines.regime == ITEMS
    declared = ibis.ifelse(
        (lines.not_counted_now > 0) | lines.declared_on.isnull(), ibis.null("float64"), lines.declared_now
    )
    moved_since = lines.book - lines._book
    error, least = choice["counting_error"], choice["least_count_error_chips"]
    z_limit = -float(ndtri(choice["false_alarm"]))

    def count_variance(count: ibis.Value) -> ibis.Value:
        return ibis.greatest(count * error, least) ** 2

    variance = (
        count_variance(lines.first_count.fill_null(0.0))
        + count_variance(lines.declared_now)
        + error**2 * lines._squares
    )
    change = lines.received_in - lines.shipped_in - lines.destroyed_in
    return lines.mutate(
        opening=expected - change,
        received=lines.received_in,
        shipped=lines.shipped_in,
        destroyed=lines.destroyed_in,
        expected=expected,
        seen=ibis.ifelse(items, lines.seen_now, ibis.null("float64")),
        missing=ibis.ifelse(items, expected - lines.seen_now, ibis.null("float64")),
        declared=declared,
        moved_since=moved_since,
        unaccounted=ibis.ifelse(lines.not_measured_now > 0, ibis.null("float64"), expected - moved_since - declared),
        awaited=lines._awaited,
        squares=lines._squares,
        limit_of_error=ibis.ifelse(items, 0.0, z_limit * variance.sqrt()),
    )


def _named(engine: Engine, lines: ibis.Table, by: Sequence[str]) -> ibis.Table:
    """The balances with ids in place of codes, and no more columns than they say."""
    if "party" in by:
        lines = named(engine, lines, "entity", "party")
    if "site" in by:
        lines = named(engine, lines.rename(site_code="site"), "site_code", "site", "site_codes")
    if "chip" in by:
        lines = lines.mutate(chip=lines.kind.nullif(""))
    return lines.select(
        *by,
        "regime",
        "period",
        *("opening", "received", "shipped", "destroyed", "expected", "seen", "missing"),
        *("declared", "declared_on", "moved_since", "unaccounted", "awaited", "limit_of_error"),
    )
