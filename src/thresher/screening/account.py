"""The third step: do the chips add up? The ledger as a material balance, its tests over time, and what cannot be in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import ibis
from scipy.special import ndtri

from thresher.errors import InputError
from thresher.regime import load_regime
from thresher.result import Result
from thresher.screening.bulk_tests import keep_bulk_tests
from thresher.screening.custody import NOBODY, has_table, held_at, named, take_fresh
from thresher.screening.custody_checks import (
    IMPOSSIBLE,
    KINDS,
    KINDS_OF,
    NOT_NOTIFIED,
    TWO_PLACES,
    flag_custody,
    handovers_in,
)
from thresher.screening.declaration_checks import keep_declarations, stale, undeclared
from thresher.screening.engine import Engine, Findings, open_engine
from thresher.screening.evidence import all_findings
from thresher.screening.ledger import BULK, ITEMS, balances, check_keys, declared_counts, keep_ledger
from thresher.screening.reading_day import reading_day
from thresher.screening.resolution.resolve import resolve
from thresher.sources import load_quantities

UNDECLARED, UNACCOUNTED, STALE, DRIFT = (
    "chips_nobody_declared",
    "chips_unaccounted_for",
    "stale_register",
    "ledger_drift",
)
OPEN_BALANCE = (UNDECLARED, UNACCOUNTED, TWO_PLACES, IMPOSSIBLE, DRIFT)
"""The findings with which the chips do not add up; the others are of duties to give notice."""
MOST_BALANCES = 1000
"""Open balances that a result lists."""
MISSED = 0.05
"""The chance to miss a loss that counts as found; with the chance of a false alarm, the custom of nuclear safeguards."""


class Duties(NamedTuple):
    """Days ahead that a rule wants a transfer announced, and days between two updates of a register."""

    notice_days: float
    register_days: float


def duties(regime: str | Path = "miri-2025") -> Duties:
    """The days that a regime states; where it states none, those of ``account.yaml``."""
    choice = load_quantities("thresher.screening", "account.yaml").values_only()
    notice, between = choice["notice_days"], choice["register_days"]
    for duty in load_regime(regime).obligations:
        stated = duty.parameters.get("notice_days", notice)
        if isinstance(stated, str):
            raise InputError(f"regime {regime}: {duty.id}.parameters.notice_days", "a number of days", stated)
        notice = float(stated)
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
    """Keep the ordered events of custody and ``held``, unless they were made just before, and the parts of the ledger."""
    if not take_fresh(engine, as_of):
        held_at(engine, as_of)
        take_fresh(engine, as_of)
    keep_ledger(engine, as_of, choices()["delivery_days"])


def account(
    engine: Engine,
    as_of: date,
    look_back_days: int = 365,
    *,
    regime: str | Path = "miri-2025",
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
    look_back_days = min(look_back_days, as_of.toordinal())
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

    ``by`` is one or more of ``party``, ``site`` and ``chip``; ``period`` is ``month`` or ``quarter``.
    """
    prepare(engine, as_of)
    return balances(engine, as_of, by, period, choices(counting_error))


def account_store(
    store: str | Path,
    *,
    as_of: date | None = None,
    look_back_days: int = 365,
    by: Sequence[str] = ("party", "chip"),
    period: str = "quarter",
    regime: str | Path = "miri-2025",
    counting_error: float | None = None,
    seed: int = 1,
    engine: str = "duckdb",
) -> Result:
    """Draw up the ledger of a store, and say where it does not close.

    Parameters
    ----------
    store
        A store made by `thresher.import_records`; it is only read.
    as_of
        The day the records are read as of; by default that of the latest record.
    look_back_days, regime, counting_error
        See `account`.
    by, period
        Of the balances: one or more of ``party``, ``site`` and ``chip``; ``month`` or ``quarter``.
    seed
        Of the samples that train the linkage.
    engine
        ``duckdb`` or ``spark``.

    Returns
    -------
    Result
        Of kind ``account``: ``accounted_for``; a ``summary`` of each finding; the ``findings``, the strongest first; the
        ``open_balances`` of the last period (the largest, and how many there are in all) and the ``regimes`` of the balances
        with what each can see.

    Raises
    ------
    InputError
        What is wrong with the store or a choice, and what would be right.
    """
    choice = choices(counting_error)
    check_keys(by, period)
    duties(regime)
    with open_engine(Path(store), engine) as opened:
        day = reading_day(opened, as_of, look_back_days)
        resolve(opened, seed=seed)
        found = account(opened, day, look_back_days, regime=regime, counting_error=counting_error)
        findings = found.findings.to_pyarrow().to_pylist()
        lines = opened.keep("account_lines", balances(opened, day, by, period, choice))
        lines = lines.filter(lines.period == lines.period.max())
        regimes = _regimes(lines, choice)
        still_open = (
            (lines.missing.fill_null(0.0) != 0.0)
            | ((lines.unaccounted - lines.awaited) > lines.limit_of_error)
            | (lines.unaccounted < -lines.limit_of_error)
        )
        size = ibis.greatest(lines.missing.abs().fill_null(0.0), lines.unaccounted.abs().fill_null(0.0))
        lines = lines.filter(ibis.coalesce(still_open, False)).mutate(size=size)
        number = lines.count().to_pyarrow().as_py()
        largest = lines.order_by(ibis.desc("size"), *by).limit(MOST_BALANCES).drop("size").to_pyarrow().to_pylist()
    titles = {one.finding: one for one in all_findings().values() if one.step == "account"}
    findings.sort(key=lambda row: (-row["strength"] / titles[row["finding"]].edges[0], row["finding"], row["entity"]))
    summary = {
        name: {
            "title": one.title,
            "unit": one.unit,
            "looked_at": sum(row["finding"] == name for row in findings),
            "found_at": sum(row["finding"] == name and row["strength"] >= one.edges[0] for row in findings),
        }
        for name, one in titles.items()
    }
    return Result(
        "account",
        {
            "store": str(store),
            "as_of": day.isoformat(),
            "look_back_days": look_back_days,
            "by": list(by),
            "period": period,
            "regime": str(regime),
            "counting_error": choice["counting_error"],
        },
        {
            "accounted_for": not any(summary[name]["found_at"] for name in OPEN_BALANCE),
            "summary": summary,
            "regimes": regimes,
            "balances_open": number,
            "open_balances": [_as_text(line) for line in largest],
            "findings": [row for row in findings if row["strength"] > 0.0],
        },
    )


def _as_text(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line with its days as text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in line.items()}


def _regimes(lines: ibis.Table, choice: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """What the latest balances of each regime hold, and what they can see."""
    sums = lines.group_by("regime").agg(
        balances=lines.count(),
        declared_balances=lines.declared.count(),
        chips=lines.expected.sum(),
        spread=(lines.limit_of_error**2).sum(),
    )
    found = {row["regime"]: row for row in sums.to_pyarrow().to_pylist()}
    z_limit = -float(ndtri(choice["false_alarm"]))
    answer = {}
    for name in (ITEMS, BULK):
        row = found.get(name)
        if row is None:
            continue
        spread = math.sqrt(row.pop("spread") or 0.0) / z_limit
        loss = 0.0 if name == ITEMS else z_limit * spread + spread * -float(ndtri(MISSED))
        sees = (
            "Each chip has a serial number: what is unaccounted for must be zero, and a single missing chip has a name."
            if name == ITEMS
            else f"Chips are only counted, with an error of {choice['counting_error']:.2%} a count. "
            f"{row['declared_balances']:,} of these balances have a count, and of them together a loss of {loss:,.0f} chips is "
            f"found with {1 - MISSED:.0%} at {choice['false_alarm']:.0%} false alarms; of the others nothing can be said."
        )
        answer[name] = {key: value for key, value in row.items() if key != "regime"} | {
            "standard_deviation": spread,
            "loss_found": loss,
            "sees": sees,
        }
    return answer


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


_CITED = ["entity", "finding", "table", "row_id"]


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
    names = (TWO_PLACES, IMPOSSIBLE, *KINDS)
    by_serial = flags.group_by("entity", "serial").agg(**{name: flags[name].max() for name in names})
    sums = by_serial.group_by(_entity=by_serial.entity).agg(**{name: by_serial[name].sum() for name in names})
    universe = engine.keep("_account_universe", _in_custody(engine))
    joined = engine.keep("_account_histories", universe.left_join(sums, universe.entity == sums._entity))
    parts, cited = [], []
    for finding, kinds in KINDS_OF.items():
        told = ibis.literal("Chips by serial number: ")
        for kind in kinds:
            told += ibis.ifelse(ibis.coalesce(joined[kind] > 0, False), _text(joined[kind]) + f" {KINDS[kind]}, ", "")
        told = told.substr(0, told.length() - 2) + "."
        nothing = "Nothing of the kind in " + joined.events.cast("string") + " records of custody."
        strength = joined[finding].fill_null(0.0)
        parts.append(
            _rows(joined.mutate(strength=strength, detail=ibis.ifelse(strength > 0.0, told, nothing)), finding)
        )
        behind = flags.filter(flags[finding] > 0.0)
        row = behind.row_id.cast("int64")
        cited.append(behind.select("entity", "table", finding=ibis.literal(finding), row_id=row)[_CITED])
    return parts, cited


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
    bulk, drift = keep_bulk_tests(engine, as_of, choice)
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
