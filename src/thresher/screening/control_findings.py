"""What stands between chips and their owners: nominees, circles, long chains, unknown and young companies, things shared."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.screening.engine import Engine
from thresher.screening.joint_control import TIES
from thresher.screening.ownership import ROUNDING, Control, Floats, Integers, chain_of, circles, climb, links_up
from thresher.screening.register import Register
from thresher.screening.statements import to_entities

_CIRCLE = 2
"""Companies of the smallest circle; one that holds its own shares is none."""


def chip_takers(engine: Engine, as_of: datetime.date) -> ibis.Table:
    """Who holds, bought, received or declared chips, and the first day it did so, where that is known: ``entity, first``."""
    custody, bought, declared = (engine.table(name) for name in ("custody", "purchases_resolved", "declarations"))
    nothing = ibis.null("date")
    received = custody.filter(custody.to_party.notnull(), custody.at.cast("date") <= as_of)
    received = received.group_by(party=received.to_party).aggregate(first=received.at.min().cast("date"))
    declarers = declared.filter(declared.declared_on <= as_of, declared.party.notnull())
    parties = received.union(declarers.select("party", first=nothing).distinct())
    buyers = bought.filter(bought.date <= as_of, bought.chip.notnull())
    whole = ibis.union(
        to_entities(engine, parties, entity="party").select("entity", "first"),
        buyers.select("entity", first=buyers.date),
        engine.table("held").select("entity", first=nothing).distinct(),
    )
    return whole.filter(whole.entity.notnull()).group_by("entity").aggregate(first=whole["first"].min())


def keep_chains(
    engine: Engine,
    register: Register,
    command: Control,
    missing: Floats,
    unfiled: Floats,
    choice: Mapping[str, float],
) -> pa.Table:
    """Keep ``control_chain(entity, above, links)`` and ``holding_circles(entity, circle)``; gives the findings along chains.

    Without a single statement of ownership there is nothing to look at; a company of which nothing is filed cannot be
    looked at either.
    """
    material = (register.share >= choice["material_share"]) | register.unsized | register.stated
    least, size = circles(register.count, register.owner[material], register.owned[material])
    size = np.where(size < _CIRCLE, 0, size)
    inside = np.flatnonzero(size)
    engine.keep("holding_circles", pa.table({"entity": register.ids(inside), "circle": register.ids(least[inside])}))
    takers = np.flatnonzero(register.takes)
    place, chain, up = chain_of(command.above, takers, longest_chain=int(choice["longest_chain"]))
    engine.keep(
        "control_chain",
        pa.table(
            {"entity": register.ids(takers[place]), "above": register.ids(chain), "links": pa.array(up, pa.int64())}
        ),
    )
    circle = np.zeros(len(takers), dtype=np.int64)
    np.maximum.at(circle, place, size[chain])
    seen = (register.told | register.end)[takers] & bool(register.told.any())
    takers, circle = takers[seen], circle[seen]
    nominees = np.rint(climb(command.above, register.nominee.astype(float))[takers]).astype(np.int64)
    links = links_up(command)[0][takers]
    overtold = 1 - 1 / register.overtold[takers]
    nobodys, nothing_filed = np.maximum(missing[takers], overtold), unfiled[takers]
    percent = np.rint(100 * nobodys).astype(np.int64)
    gap = _counted(percent, "The owners of all of it are on file", *["It is not known who owns {}% of it"] * 2)
    also = _counted(
        np.rint(100 * nothing_filed).astype(np.int64), "", *["; for {}% nothing is filed at the chain's end"] * 2
    )
    more = np.rint(100 * register.overtold[takers]).astype(np.int64) * (overtold > ROUNDING)
    over = _counted(more, "", *["; its stated shares add up to {}%"] * 2)
    looked = nothing_filed < 1 - ROUNDING
    parts = (
        (
            "nominee_in_the_chain", nominees, np.ones(len(takers), dtype=bool),
            _counted(nominees, "No nominee is on file between it and its owner.",
                     "1 company between it and its owner has shares in a nominee's name.",
                     "{} companies between it and its owner have shares in a nominee's name."),
        ),
        (
            "circular_holding", circle, np.ones(len(takers), dtype=bool),
            _counted(circle, "No circle of holdings lies between it and its owner.",
                     *["{} companies between it and its owner hold each other in a circle."] * 2),
        ),
        (
            "long_chain", links, np.ones(len(takers), dtype=bool),
            _counted(links, "Nobody else is known to control it.", "1 link of control lies between it and its owner.",
                     "{} links of control lie between it and its owner."),
        ),
        ("unknown_owner", nobodys, looked, pc.binary_join_element_wise(gap, also, over, ".", "")),
    )  # fmt: skip
    return pa.concat_tables(
        pa.table(
            {
                "entity": register.ids(takers[some]),
                "finding": pa.array([finding] * int(some.sum()), pa.string()),
                "strength": strength[some].astype(float),
                "detail": detail.filter(pa.array(some)),
            }
        )
        for finding, strength, some, detail in parts
    )


def _counted(number: Integers, none: str, one: str, several: str) -> pa.Array:
    """A sentence for each number."""
    words = pa.array(number).cast(pa.string())
    texts = [pc.binary_join_element_wise(*_around(text, words), "") for text in (one, several)]
    return pc.if_else(pa.array(number == 0), none, pc.if_else(pa.array(number == 1), *texts))


def _around(text: str, words: pa.Array) -> Sequence[pa.Array | str]:
    before, mark, after = text.partition("{}")
    return (before, words, after) if mark else (before, pc.utf8_slice_codeunits(words, 0, 0), "")


def young_companies(engine: Engine, choice: Mapping[str, float]) -> ibis.Table:
    """Companies that first took chips within a year of their incorporation, or before it."""
    takers, parties = engine.table("chip_takers"), engine.table("parties")
    founded = to_entities(engine, parties.filter(parties.incorporated_on.notnull()), entity="party")
    founded = founded.group_by(founded_entity="entity").aggregate(incorporated=founded.incorporated_on.min())
    both = takers.filter(takers["first"].notnull()).inner_join(founded, takers.entity == founded.founded_entity)
    days = both["first"].delta(both.incorporated, unit="day")
    when = (days < 0).ifelse("days after", "days before")
    return both.select(
        "entity",
        finding=ibis.literal("young_companies"),
        strength=(days < int(choice["young_days"])).ifelse(1.0, 0.0),
        detail=ibis.literal("It was incorporated ") + days.abs().cast("string") + " " + when + " it first took chips.",
    )


def _shared_pairs(engine: Engine, choice: Mapping[str, float]) -> ibis.Table:
    """Pairs of entities that took chips and share telling things, with no tie of ownership between their owners: both ways."""
    evidence, links, ties = (engine.table(name) for name in ("joint_evidence", "owner_links", "ownership_ties"))
    owners, takers = engine.table("owners"), engine.table("chip_takers")
    tied = evidence.filter(evidence.kind.isin(TIES)).select("left_owner", "right_owner")
    recorded = ties.filter((ties.share >= choice["material_share"]) | ties.stated | ties.unsized)
    by_owner = recorded.inner_join(
        owners.select(owner="entity", left_owner="owner"), "owner"
    ).inner_join(owners.select(owned="entity", right_owner="owner"), "owned")  # fmt: skip
    recorded = tied.union(by_owner.select("left_owner", "right_owner"))
    either_way = recorded.union(recorded.select(left_owner="right_owner", right_owner="left_owner")).distinct()
    joined = links.filter(links.joins).select("left_owner", "right_owner")
    joined = joined.union(joined.select(left_owner="right_owner", right_owner="left_owner"))
    shared = evidence.filter(evidence.kind.notin(TIES)).select(
        "left", "right", "kind", "value", "left_owner", "right_owner"
    )
    turned = shared.select(
        "kind", "value", left="right", right="left", left_owner="right_owner", right_owner="left_owner"
    )
    pairs = shared.union(turned.select(*shared.columns))
    pairs = pairs.semi_join(joined, ["left_owner", "right_owner"]).anti_join(either_way, ["left_owner", "right_owner"])
    return pairs.semi_join(takers.select(left="entity"), "left").semi_join(takers.select(right="entity"), "right")


def shared_without_ownership(engine: Engine, choice: Mapping[str, float]) -> ibis.Table:
    """With how many other takers of chips an entity shares telling things though no ownership ties them."""
    pairs = engine.keep("shared_pairs", _shared_pairs(engine, choice))
    counted = pairs.group_by(pair_entity="left").aggregate(others=pairs.right.nunique())
    things, takers = engine.table("shared_things"), engine.table("chip_takers")
    comparable = takers.select("entity").semi_join(things.filter(things.kind.notin(TIES)), "entity")
    both = comparable.left_join(counted, comparable.entity == counted.pair_entity)
    others = both.others.fill_null(0)
    detail = ibis.cases(
        (others == 0, "It shares nothing telling with a company of another owner."),
        (others == 1, "It shares rare particulars with 1 company that no ownership ties it to."),
        else_=ibis.literal("It shares rare particulars with ")
        + others.cast("string")
        + " companies that no ownership ties it to.",
    )
    return both.select(
        "entity",
        finding=ibis.literal("shared_without_ownership"),
        strength=others.cast("float64"),
        detail=detail,
    )


def citations(engine: Engine) -> ibis.Table:
    """The rows behind what was found: ``entity, finding, table, row_id``; worked out when asked."""
    found = engine.table("control_findings")
    told, chain = engine.table("stated_ownership"), engine.table("control_chain")
    along = chain.inner_join(told, chain.above == told.owned)
    circle = engine.table("holding_circles")
    of_circle = (
        chain.inner_join(circle.select(above="entity", circle="circle"), "above")
        .select("entity", "circle")
        .inner_join(circle.select(owner="entity", circle="circle"), "circle")
        .inner_join(told.filter(told.interest != "officer").select("owner", "owned", "row_id"), "owner")
        .inner_join(circle.select(owned="entity", owned_circle="circle"), "owned")
    )
    owning = along.interest != "officer"
    pairs, things = engine.table("shared_pairs"), engine.table("shared_things")
    of_pair = pairs.inner_join(things.filter(things.row_id.notnull()), ["kind", "value"])
    of_pair = of_pair.filter((of_pair.entity == of_pair.left) | (of_pair.entity == of_pair.right))
    parts = [
        _rows(along.filter((along.interest == "nominee") | along.behalf.notnull()), "nominee_in_the_chain", "ownership"),
        _rows(of_circle.filter(of_circle.circle == of_circle.owned_circle), "circular_holding", "ownership"),
        _rows(along.filter(owning), "long_chain", "ownership"),
        _rows(along.filter(owning), "unknown_owner", "ownership"),
        *(_rows(rows, "young_companies", table) for table, rows in _first_rows(engine)),
        of_pair.select(
            entity="left", finding=ibis.literal("shared_without_ownership"), table="table", row_id="row_id"
        ),
    ]  # fmt: skip
    positive = found.filter(found.strength > 0).select("entity", "finding")
    return ibis.union(*parts).distinct().semi_join(positive, ["entity", "finding"])


def _rows(table: ibis.Table, finding: str, cited: str) -> ibis.Table:
    return table.select("entity", finding=ibis.literal(finding), table=ibis.literal(cited), row_id="row_id")


def _first_rows(engine: Engine) -> list[tuple[str, ibis.Table]]:
    """The rows that say when an entity was incorporated and when it first took chips."""
    takers = engine.table("chip_takers").filter(lambda row: row["first"].notnull())
    parties, custody = engine.table("parties"), engine.table("custody")
    bought = engine.table("purchases_resolved")
    founded = to_entities(engine, parties.filter(parties.incorporated_on.notnull()), entity="party")
    received = to_entities(engine, custody.filter(custody.to_party.notnull()), entity="to_party")
    received = received.mutate(first=received.at.cast("date"))
    bought = bought.filter(bought.chip.notnull()).select("entity", "row_id", first="date")
    return [
        ("parties", founded.semi_join(takers, "entity")),
        ("custody", received.semi_join(takers, ["entity", "first"])),
        ("purchases", bought.semi_join(takers, ["entity", "first"])),
    ]
