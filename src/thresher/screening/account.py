"""The third step: do the chips add up? The ledger as a material balance, its tests over time, and what cannot be in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.errors import InputError
from thresher.regime import load_regime
from thresher.screening.custody import NOBODY, has_table, keep_codes, keep_held, named, order_custody
from thresher.screening.custody_checks import (
    IMPOSSIBLE,
    KINDS,
    NOT_NOTIFIED,
    TWO_PLACES,
    flag_custody,
    handovers_in,
)
from thresher.screening.declaration_checks import keep_declarations, stale, undeclared
from thresher.screening.engine import Engine, Findings
from thresher.screening.ledger import BULK, balance_lines, balances, declared_counts, keep_ledger
from thresher.screening.sequential import cumulative, independent_residuals, page_standard_deviations, page_statistic
from thresher.sources import load_quantities

Floats = NDArray[np.float64]
UNDECLARED, UNACCOUNTED, STALE, DRIFT = (
    "chips_nobody_declared",
    "chips_unaccounted_for",
    "stale_register",
    "ledger_drift",
)
OPEN_BALANCE = (UNDECLARED, UNACCOUNTED, TWO_PLACES, IMPOSSIBLE, DRIFT)
"""The findings with which the chips do not add up; the others are of duties to give notice."""


class Duties(NamedTuple):
    """Days ahead that a rule wants a transfer announced, and days between two updates of a register."""

    notice_days: float
    register_days: float


def duties(regime: str = "miri-2025") -> Duties:
    """The days that a regime states; where it states none, those of ``account.yaml``."""
    choice = load_quantities("thresher.screening", "account.yaml").values_only()
    notice, between = choice["notice_days"], choice["register_days"]
    for duty in load_regime(regime).obligations:
        notice = float(duty.parameters.get("notice_days", notice))
        if duty.subject == "registration" and duty.repeats_days is not None:
            between = duty.repeats_days
    return Duties(notice, between)


def choices(counting_error: float | None = None) -> dict[str, float]:
    """The parameters of the accounting, with another counting error if one is given.

    Raises
    ------
    InputError
        The counting error is not a number above 0 and up to 1.
    """
    choice = load_quantities("thresher.screening", "account.yaml").values_only()
    if counting_error is not None:
        if not 0.0 < counting_error <= 1.0:
            raise InputError("counting_error", "a share above 0 and up to 1 (1% is 0.01)", counting_error)
        choice["counting_error"] = float(counting_error)
    return choice


def prepare(engine: Engine, as_of: date) -> None:
    """Keep what the accounting works on: codes, the ordered events of custody, ``held`` and the parts of the ledger.

    Where who is who was not resolved, each party is its own entity, and each label that is an id of the catalog is that chip.
    """
    from thresher.catalog import chips  # noqa: PLC0415 - only where nobody resolved the labels

    if not has_table(engine, "identity"):
        engine.keep("identity", pa.table({"party": pa.array([], pa.string()), "entity": pa.array([], pa.string())}))
    if not has_table(engine, "chip_labels"):
        names = list(chips())
        engine.keep("chip_labels", pa.table({"label": names, "chip": names, "chips_each": [1] * len(names)}))
    keep_codes(engine)
    order_custody(engine, as_of)
    keep_held(engine)
    keep_ledger(engine, as_of, choices()["delivery_days"])


def account(
    engine: Engine,
    as_of: date,
    look_back_days: int = 365,
    *,
    regime: str = "miri-2025",
    counting_error: float | None = None,
) -> Findings:
    """Draw up the ledger and say what does not add up, by entity; see ``screening/data/findings.csv``.

    Keeps ``held`` (`thresher.screening.custody.held_at`) for the steps that follow. Histories of chips are read from their
    beginning: a contradiction does not lapse. The look-back bounds which handovers should have been announced, and for how
    long a register can be overdue.

    Parameters
    ----------
    as_of
        Only what is dated on or before this day counts.
    look_back_days
        Days before it.
    regime
        The rule whose days of notice and of a register are meant.
    counting_error
        Relative standard deviation of a count where there are no serial numbers; that of ``account.yaml`` by default.
    """
    choice, duty = choices(counting_error), duties(regime)
    prepare(engine, as_of)
    parts, cited = [], []
    for found, rows in (
        _histories(engine, choice["gap_weight"]),
        _notices(engine, as_of, look_back_days, duty.notice_days),
        _register(engine, as_of, look_back_days, duty.register_days),
        _missing(engine, as_of, choice),
    ):
        parts += found
        cited += rows
    findings = engine.keep("account_findings", named(engine, ibis.union(*parts), "entity", "name"))
    findings = findings.select(entity="name", finding="finding", strength="strength", detail="detail")
    citations = named(engine, ibis.union(*cited, distinct=True), "entity", "name")
    citations = citations.select(entity="name", finding="finding", table="table", row_id="row_id")
    return Findings(findings, citations)


def balance_of(
    engine: Engine,
    as_of: date,
    by: Sequence[str] = ("party", "site", "chip"),
    period: str = "quarter",
    *,
    counting_error: float | None = None,
) -> ibis.Table:
    """The chip ledger as a material balance, one line a key and period; see `thresher.screening.ledger.balances`.

    The ledger is drawn up anew unless `account` has done so for this day.
    """
    if not has_table(engine, "ledger_moves"):
        prepare(engine, as_of)
    return balances(engine, as_of, by, period, choices(counting_error))


Parts = tuple[list[ibis.Table], list[ibis.Table]]
"""Findings and citations whose entity is a code."""


def _rows(table: ibis.Table, finding: str) -> ibis.Table:
    """The rows of one finding from a table with its ``entity``, ``strength`` and ``detail``."""
    return table.select(
        entity=table.entity.cast("int64"),
        finding=ibis.literal(finding),
        strength=table.strength.cast("float64"),
        detail=table.detail,
    )


def _cited(table: ibis.Table, finding: str, source: str) -> ibis.Table:
    return table.select(
        entity=table.entity.cast("int64"),
        finding=ibis.literal(finding),
        table=ibis.literal(source),
        row_id=table.row_id.cast("int64"),
    )


def _text(number: ibis.Value) -> ibis.Value:
    """A whole number of chips or days in digits."""
    return number.round().cast("int64").cast("string")


def _in_custody(engine: Engine) -> ibis.Table:
    """``entity, events``: everybody who has, gives or takes a chip, and the events in which they do."""
    events = engine.table("custody_ordered")
    sides = [events.select(entity=side) for side in ("giver", "after")]
    both = ibis.union(*sides)
    return both.filter(both.entity > NOBODY).group_by("entity").agg(events=ibis._.count())


def _histories(engine: Engine, gap_weight: float) -> Parts:
    """Findings `TWO_PLACES` and `IMPOSSIBLE`: distinct serial numbers, each with the weight of the worst in its history."""
    flags = flag_custody(engine, gap_weight)
    by_serial = flags.group_by("entity", "finding", "serial").agg(
        weight=flags.weight.max(), **{kind: (flags.kind == kind).cast("int64").max() for kind in KINDS}
    )
    sums = by_serial.group_by("entity", "finding").agg(
        strength=by_serial.weight.sum(), **{kind: by_serial[kind].sum() for kind in KINDS}
    )
    sums = engine.keep("_account_histories", sums)
    universe = engine.keep("_account_universe", _in_custody(engine))
    parts = []
    for finding in (TWO_PLACES, IMPOSSIBLE):
        mine = sums.filter(sums.finding == finding).drop("finding").rename(_entity="entity")
        joined = universe.left_join(mine, universe.entity == mine._entity)
        joined = joined.mutate(strength=joined.strength.fill_null(0.0))
        told = ibis.literal("Chips by serial number: ")
        for kind, text in KINDS.items():
            told += ibis.ifelse(ibis.coalesce(joined[kind] > 0, False), _text(joined[kind]) + f" {text}, ", "")
        told = told.substr(0, told.length() - 2) + "."
        nothing = "Nothing of the kind in " + joined.events.cast("string") + " records of custody."
        parts.append(_rows(joined.mutate(detail=ibis.ifelse(joined.strength > 0.0, told, nothing)), finding))
    cited = flags.select("entity", "finding", "table", row_id=flags.row_id.cast("int64"))
    return parts, [cited]


def _notices(engine: Engine, as_of: date, look_back_days: int, notice_days: float) -> Parts:
    """Finding `NOT_NOTIFIED`: distinct serial numbers handed over without a notice in time."""
    moved = handovers_in(engine, as_of, look_back_days, notice_days)
    if moved is None:
        return [], []
    by_serial = moved.group_by("entity", "serial").agg(late=moved.late.any())
    sums = by_serial.group_by("entity").agg(strength=by_serial.late.cast("int64").sum(), moved=by_serial.count())
    told = (
        _text(sums.strength)
        + " of "
        + _text(sums.moved)
        + f" chips handed over without notice {notice_days:.0f} days ahead."
    )
    return [_rows(sums.mutate(detail=told), NOT_NOTIFIED)], [_cited(moved.filter(moved.late), NOT_NOTIFIED, "custody")]


def _register(engine: Engine, as_of: date, look_back_days: int, register_days: float) -> Parts:
    """Findings `UNDECLARED` and `STALE`; none where nobody ever declared anything."""
    if not keep_declarations(engine, as_of, register_days):
        return [], []
    excess = undeclared(engine)
    overdue = stale(engine, as_of, register_days, look_back_days)
    due = _text(excess.strength) + " of " + _text(excess.due) + " chips that a register should have by now are in none."
    days = (
        "The oldest of " + _text(overdue.sites) + " registers in use is " + _text(overdue.strength) + " days overdue."
    )
    parts = [_rows(excess.mutate(detail=due), UNDECLARED), _rows(overdue.mutate(detail=days), STALE)]
    events = engine.table("custody_ordered")
    there = events.filter(events["last"] & (events.after > NOBODY)).select(entity="after", row_id="row_id")
    lines = engine.table("declared_counts")
    cited = [_cited(there, UNDECLARED, "custody")]
    cited += [_cited(lines, finding, "declarations") for finding in (UNDECLARED, STALE)]
    return parts, cited


def _missing_items(engine: Engine) -> ibis.Table:
    """``entity, serial, row_id``: chips that an entity received, and that by the record it neither has nor gave to anybody.

    Either the latest event gave them to nobody who is named, or somebody else gave them away who is not on record as having
    received them. The row is that event.
    """
    events = engine.table("custody_ordered")
    lost = events.filter(
        events["last"] & (events.after == NOBODY) & (events.event != "destroy") & (events.giver > NOBODY)
    ).select("serial", "row_id", entity="giver")
    claims, books = engine.table("custody_claims"), engine.table("custody_books")
    gaps = claims.filter(claims.claim == "not_the_holder").select("serial", "n", entity="before")
    total = books.group_by("serial", "entity").agg(net=books.got.sum() - books.gave.sum())
    total = total.filter(total.net > 0).select("serial", "entity")
    latest = events.filter(events["last"]).select("serial", entity="after")
    gaps = gaps.join(total, ["serial", "entity"]).anti_join(latest, ["serial", "entity"])
    gaps = gaps.join(events.select("serial", "n", "row_id"), ["serial", "n"]).select("serial", "row_id", "entity")
    return engine.keep("missing_items", lost.union(gaps))


def _missing(engine: Engine, as_of: date, choice: Mapping[str, float]) -> Parts:
    """Findings `UNACCOUNTED`, by serial number or by counts, and `DRIFT`, by counts alone."""
    items = _missing_items(engine)
    sums = items.group_by("entity").agg(missing=items.serial.nunique()).select(_entity="entity", missing="missing")
    bulk, drift = _bulk_tests(engine, as_of, choice)
    beyond = bulk.select(_bulk_entity="entity", beyond="strength", told="detail")
    who = engine.table("_account_universe").select("entity").union(bulk.select("entity"), distinct=True)
    known = engine.table("_account_universe").select(_known="entity")
    joined = who.left_join(sums, who.entity == sums._entity).drop("_entity")
    joined = joined.left_join(known, joined.entity == known._known)
    joined = joined.left_join(beyond, joined.entity == beyond._bulk_entity)
    missing = joined.missing.fill_null(0)
    by_number = ibis.ifelse(
        joined._known.notnull(),
        _text(missing) + " chips by serial number are received and neither there nor given away. ",
        "",
    )
    strength = missing.cast("float64") + joined.beyond.fill_null(0.0)
    joined = joined.mutate(strength=strength, detail=(by_number + joined.told.fill_null("")).strip())
    parts = [_rows(joined, UNACCOUNTED), _rows(drift, DRIFT)]
    flows = engine.table("purchases_resolved") if has_table(engine, "purchases_resolved") else None
    cited = [_cited(items, UNACCOUNTED, "custody")]
    lines = declared_counts(engine, as_of).semi_join(bulk, "entity")
    cited += [_cited(lines, finding, "declarations") for finding in (UNACCOUNTED, DRIFT)]
    if flows is not None:
        codes = engine.table("party_codes").select(_party="party", entity="entity")
        rows = flows.filter((flows.date <= as_of) & flows.chip.notnull()).select("row_id", buyer="entity")
        rows = rows.join(codes, rows.buyer == codes._party).semi_join(bulk, "entity")
        cited += [_cited(rows, finding, "purchases") for finding in (UNACCOUNTED, DRIFT)]
    return parts, cited


def _bulk_tests(engine: Engine, as_of: date, choice: Mapping[str, float]) -> tuple[ibis.Table, ibis.Table]:
    """What counts alone can say, by entity (code): chips beyond the limit of error, and standard deviations of drift.

    A series is an entity's balances of one type of chip, closed by the last count of each month.
    """
    lines = balance_lines(engine, as_of, ("party", "chip"), "month", choice)
    closed = lines.filter((lines.regime == BULK) & lines.unaccounted.notnull() & (lines.declared_on >= lines.period))
    columns = ("entity", "kind", "period", "unaccounted", "awaited", "declared", "squares", "limit")
    order = [(name, "ascending") for name in columns[:3]]
    table = closed.select(*columns).to_pyarrow().sort_by(order).combine_chunks()
    series = series_of(table, int(choice["most_balances"]))
    late = np.asarray(table["unaccounted"]) - np.asarray(table["awaited"])
    beyond = np.where(late[series.end] > np.asarray(table["limit"])[series.end], late[series.end], 0.0)
    bulk = _worst_first(
        series.entity,
        beyond,
        series.kind,
        ("By counts, ", " chips of ", " are received and not declared, beyond the limit of error."),
        "By counts, nothing is missing beyond the limit of error.",
        add=True,
    )
    drift = drift_of(series, late, np.asarray(table["declared"]), np.asarray(table["squares"]), choice)
    looked = ~np.isnan(drift)
    drifting = _worst_first(
        series.entity[looked],
        drift[looked],
        series.kind.filter(pa.array(looked)),
        ("Losses add up to ", " standard deviations in the balances of ", "."),
        "No losses add up over the balances.",
    )
    return engine.keep("account_bulk", bulk), engine.keep("account_drift", drifting)


class Series(NamedTuple):
    """Balances by entity and type, in a table sorted by both and the period: one series of them a row.

    ``rows`` are positions in the table, shape (series, balances), the latest of each series at most; -1 behind its end.
    ``whole`` says which series begins with its first count.
    """

    entity: NDArray[np.int64]
    kind: pa.Array
    rows: NDArray[np.int64]
    end: NDArray[np.int64]
    whole: NDArray[np.bool_]


def series_of(table: pa.Table, most: int) -> Series:
    """The series of a table of closed balances sorted by entity, kind and period; of each the latest ``most``."""
    entity = np.asarray(table["entity"], dtype=np.int64)
    kind = table["kind"].combine_chunks().dictionary_encode()
    kinds = np.asarray(kind.indices)
    new = np.append(True, (np.diff(entity) != 0) | (np.diff(kinds) != 0)) if len(table) else np.zeros(0, np.bool_)
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(table)) - 1 if len(table) else begin
    length = np.minimum(end - begin + 1, most)
    place = np.arange(length.max(initial=0))
    rows = np.where(place < length[:, None], (end - length + 1)[:, None] + place, -1)
    return Series(entity[begin], kind.dictionary.take(pa.array(kinds[begin])), rows, end, end - begin < most)


def drift_of(
    series: Series, unaccounted: Floats, declared: Floats, squares: Floats, choice: Mapping[str, float]
) -> Floats:
    """Standard deviations by which losses add up in each series: the larger of its sum and of Page's test; NaN for few.

    Parameters
    ----------
    unaccounted, declared, squares
        Of each row of the table behind the series: expected less declared since the records began, the closing count, and
        the sum of squared flows so far.
    choice
        ``counting_error``, ``least_count_error_chips``, ``page_reference`` and ``least_balances``.
    """
    there = series.rows >= 0
    total, count, flows = (np.where(there, values[series.rows], np.nan) for values in (unaccounted, declared, squares))
    error, least = choice["counting_error"], choice["least_count_error_chips"]
    # a series that begins with a count of what was there already has no balance before it
    anchored = ~series.whole | (total[:, 0] <= 0.0) if total.size else np.zeros(len(series.entity), np.bool_)
    total = np.where(anchored[:, None], total - total[:, :1], total)
    counts = np.fmax(error * count, least)
    muf = np.diff(total, axis=-1, prepend=0.0)
    flow_sd = error * np.sqrt(np.maximum(np.diff(flows, axis=-1, prepend=0.0), 0.0))
    flow_sd[:, :1] = np.where(anchored[:, None], 0.0, flow_sd[:, :1])
    opening = np.where(anchored[:, None], counts[:, :1], least)
    sums, spread = cumulative(muf, np.concatenate([opening, counts], axis=-1), flow_sd)
    no_opening = np.where(anchored[:, None], np.nan, least)
    residuals = independent_residuals(muf, np.concatenate([no_opening, counts], axis=-1), flow_sd)
    balances = there.sum(axis=-1) - anchored
    last = np.maximum(there.sum(axis=-1) - 1, 0)[:, None]
    by_sum = np.take_along_axis(sums / spread, last, axis=-1)[:, 0] if total.size else np.zeros(0)
    reference = choice["page_reference"]
    highest = page_statistic(residuals, reference).max(axis=-1, initial=0.0)
    by_page = page_standard_deviations(highest, reference, np.maximum(balances, 1))
    return np.where(balances >= choice["least_balances"], np.maximum(np.maximum(by_sum, by_page), 0.0), np.nan)


def _worst_first(
    entity: NDArray[np.int64], strength: Floats, kind: pa.Array, words: Sequence[str], nothing: str, add: bool = False
) -> pa.Table:
    """One row an entity: the strongest of its types, or with ``add`` all of them, and the strongest in words."""
    order = np.lexsort((strength, entity))
    entity, strength, kind = entity[order], strength[order], kind.take(pa.array(order))
    last = np.append(entity[1:] != entity[:-1], True) if len(entity) else np.zeros(0, np.bool_)
    if add:
        whole = np.cumsum(strength)[last]
        total = np.diff(whole, prepend=0.0)
    else:
        total = strength[last]
    figures = pa.array(np.round(strength[last], 1 if not add else 0)).cast(pa.string())
    told = pc.binary_join_element_wise(words[0], figures, words[1], kind.filter(pa.array(last)), words[2], "")
    return pa.table(
        {
            "entity": pa.array(entity[last], pa.int64()),
            "strength": pa.array(total, pa.float64()),
            "detail": pc.if_else(pa.array(strength[last] > 0.0), told, pa.scalar(nothing)),
        }
    )
