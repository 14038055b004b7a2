"""What adding up shows: lines crossed only together, places that stop just under one, chips unseen, chips moved around."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import ibis
import pyarrow as pa

from thresher.regime import Regime
from thresher.screening.aggregation import Owner, end_of, figures_of, with_owner
from thresher.screening.engine import Engine, Findings


def aggregate(engine: Engine, owners: Sequence[Owner], regime: Regime, as_of: date, look_back_days: int) -> Findings:
    """The findings of the step ``aggregate``, by owner; see ``screening/data/findings.csv``."""
    figures = figures_of(regime)
    rows: list[dict[str, Any]] = []
    # without a record of any purchase, nobody could have looked for what was bought
    purchases = engine.table("purchases_resolved")
    bought = purchases.filter(purchases.date <= as_of).count().to_pyarrow().as_py() > 0
    for one in owners:
        together, unseen = one.readings.placed_together, _unseen_share(one, figures)
        places = len({held.place for held in one.holdings if held.place and held.chip})
        if one.holdings and (one.readings.largest_place > 1.0 or together > 1.0 or one.share_together <= 1.0):
            only_together = together > 1.0 >= one.readings.largest_place
            # an owner that is over the line only with chips whose place nobody knows could not be looked at
            rows.append(
                _row(
                    one,
                    "covered_only_together",
                    together if only_together else 0.0,
                    f"{together:.2g} times the line over {places} places; the largest place holds "
                    f"{one.readings.largest_place:.2g} times the line",
                )
            )
        if places:
            rows.append(
                _row(
                    one,
                    "sites_under_the_line",
                    float(len(one.readings.places_just_under)),
                    "just under the line: " + (", ".join(one.readings.places_just_under[:5]) or "none"),
                )
            )
        if one.holdings:
            companies = len({held.entity for held in one.holdings})
            rows.append(
                _row(
                    one,
                    "spread_over_companies",
                    float(companies - 1),
                    f"chips are held in {companies} {'names' if companies > 1 else 'name'}",
                )
            )
        if bought:
            rows.append(
                _row(
                    one,
                    "bought_but_not_seen",
                    unseen,
                    f"{sum(one.unseen.values()):,.0f} chips bought and not seen, {unseen:.2g} times the line",
                )
            )
    made = engine.keep(
        "aggregate_owners",
        pa.table(
            {
                "entity": pa.array([row["entity"] for row in rows], pa.string()),
                "finding": pa.array([row["finding"] for row in rows], pa.string()),
                "strength": pa.array([row["strength"] for row in rows], pa.float64()),
                "detail": pa.array([row["detail"] for row in rows], pa.string()),
            }
        ),
    )
    moves = _moves(engine, as_of, look_back_days)
    held = engine.table("held").filter(lambda row: row.entity.notnull())
    citations = ibis.union(
        *(
            held.select("entity", finding=ibis.literal(finding), table=ibis.literal("custody"), row_id="row_id")
            for finding in ("covered_only_together", "sites_under_the_line", "spread_over_companies")
        ),
        _unseen_citations(engine, as_of),
        moves.select(
            "entity", finding=ibis.literal("rotated_between_sites"), table=ibis.literal("custody"), row_id="row_id"
        ),
    )
    return Findings(made.union(_rotations(engine, moves)), citations)


def _row(owner: Owner, finding: str, strength: float, detail: str) -> dict[str, Any]:
    return {"entity": owner.owner, "finding": finding, "strength": strength, "detail": detail}


def _unseen_share(owner: Owner, figures: dict[str, dict[str, float]]) -> float:
    return max(sum(number * each[name] for name, number in owner.unseen.items()) for each in figures.values())


def _unseen_citations(engine: Engine, as_of: date) -> ibis.Table:
    bought = engine.table("purchases_resolved")
    bought = bought.filter((bought.date <= as_of) & bought.chip.notnull() & bought.entity.notnull())
    return bought.select(
        "entity", finding=ibis.literal("bought_but_not_seen"), table=ibis.literal("purchases"), row_id="row_id"
    )


def _moves(engine: Engine, as_of: date, look_back_days: int) -> ibis.Table:
    """``entity, owner, serial, row_id``: events by which a chip came to another site of the owner that had it."""
    custody = engine.table("custody")
    placed = custody.filter((custody["at"] < end_of(as_of)) & custody.site.notnull())
    by_serial = ibis.window(group_by="serial", order_by=["at", "row_id"])
    placed = placed.mutate(
        party=ibis.coalesce(placed.to_party, placed.from_party),
        site_before=placed.site.lag().over(by_serial),
        party_before=ibis.coalesce(placed.to_party, placed.from_party).lag().over(by_serial),
    )
    since = end_of(as_of - timedelta(days=look_back_days))
    moved = placed.filter(
        (placed["at"] >= since)
        & (placed.site != placed.site_before)
        & placed.party.notnull()
        & placed.party_before.notnull()
    ).select("serial", "row_id", "party", "party_before")
    moved = with_owner(engine, with_owner(engine, moved, "party", "owner"), "party_before", "owner_before")
    moved = moved.filter(moved.owner == moved.owner_before)
    identity = engine.table("identity").select(mover="party", mover_entity="entity")
    joined = moved.left_join(identity, moved.party == identity.mover)
    return joined.select("owner", "serial", "row_id", entity=ibis.coalesce(joined.mover_entity, joined.party))


def _rotations(engine: Engine, moves: ibis.Table) -> ibis.Table:
    """A row for each owner that holds chips, with the moves between its own sites."""
    counted = moves.group_by("owner").agg(moves=moves.count(), serials=moves.serial.nunique())
    held = engine.table("held")
    holders = with_owner(engine, held.select("party").filter(held.party.notnull()).distinct(), "party", "owner")
    holders = holders.select(entity="owner").distinct().filter(lambda row: row.entity.notnull())
    joined = holders.left_join(counted, holders.entity == counted.owner)
    number, serials = joined.moves.fill_null(0), joined.serials.fill_null(0)
    return joined.select(
        "entity",
        finding=ibis.literal("rotated_between_sites"),
        strength=number.cast("float64"),
        detail=number.cast("string") + " moves of " + serials.cast("string") + " chips between its own sites",
    )
