"""The second step: who controls whom at a date, by shares, votes and statements, and who acts together unfiled."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import ibis
import numpy as np
import pyarrow as pa

from thresher.screening.control_findings import (
    chip_takers,
    citations,
    keep_chains,
    shared_without_ownership,
    young_companies,
)
from thresher.screening.engine import Engine, Findings
from thresher.screening.joint_control import joint_evidence, owner_links, particulars, shared_kinds, shared_things
from thresher.screening.ownership import (
    ROUNDING,
    Control,
    Flags,
    Floats,
    Integers,
    chain_of,
    climb,
    groups_of,
    joint_majorities,
    links_up,
    ultimate_control,
)
from thresher.screening.register import Register, Stakes, cumulative_stakes, read_register, unknown_ends
from thresher.screening.statements import holdings, statements
from thresher.sources import load_quantities


def control(engine: Engine, as_of: datetime.date, look_back_days: int = 365) -> Findings:
    """Find who controls the entities that take chips, and what stands between.

    Parameters
    ----------
    engine
        With the evidence, and with ``identity``, ``purchases_resolved`` and ``held`` kept by the steps before.
    as_of
        Only what was dated on or before this day counts.
    look_back_days
        Officers and nominees of this many days before count as shared, too: they are changed more easily than owners.

    Returns
    -------
    Findings by the entity that holds, bought, received or declared chips. Kept for the steps that follow:

    - ``owners(entity, owner, probability, basis, unknown_share)``: one row for each entity; its ultimate controlling owner,
      itself where nobody is known to control it. ``basis``: ``majority``; ``control``, where a link of the chain is by
      other means; ``circle``, where companies own each other and nobody outside does (the least of them stands for all);
      ``itself``; or ``unknown``: itself, but nobody knows who has most of its votes. ``probability`` falls where several
      claim to control it. ``unknown_share`` of it has no known end: gaps, closed circles, nominees for unknown
      persons, companies of which nothing is filed.
    - ``controllers(entity, controller, share, basis, links)``: the ultimate and the next controller, those who control it
      only together (``joint``), and other owners of at least ``beneficial_share``; with their cumulative share.
    - ``owner_groups(owner, group, probability)``: the owners who act together; alone, an owner is a group of itself.
    - ``joint_evidence(left, right, kind, value, weight, left_owner, right_owner)`` and ``owner_links(left_owner,
      right_owner, kinds, probability, joins)``: why.
    """
    choice = load_quantities("thresher.screening", "control.yaml").values_only()
    told = engine.keep("stated_ownership", statements(engine, as_of))
    ties = engine.keep("ownership_ties", holdings(told))
    engine.keep("chip_takers", chip_takers(engine, as_of))
    register = read_register(engine, told, ties, choice)
    command = ultimate_control(
        register.count, register.owner, register.owned, register.share, register.stated, majority=choice["majority"]
    )
    missing, unfiled = unknown_ends(register, choice)
    stakes = cumulative_stakes(register, choice)
    engine.keep("owners", _owners(register, command, np.clip(missing + unfiled, 0, 1), choice["majority"]))
    _keep_evidence(engine, register, command, stakes, as_of, look_back_days, choice)
    groups, won_by = _keep_groups(engine, register, command, choice)
    engine.keep("controllers", _controllers(register, command, stakes, groups, won_by, choice))
    engine.keep("chain_findings", keep_chains(engine, register, command, missing, unfiled, choice))
    whole = ibis.union(
        engine.table("chain_findings"), young_companies(engine, choice), shared_without_ownership(engine, choice)
    )
    return Findings(engine.keep("control_findings", whole), citations(engine))


def _claims(register: Register, command: Control, majority: float) -> Flags:
    """The ties by which somebody else than its ultimate controller is said, or shown by votes, to control a company."""
    claim = register.stated | (register.share > majority + ROUNDING)
    return np.asarray(claim & (command.head[register.owner] != command.head[register.owned]))


def _sole_holders(register: Register, command: Control, majority: float) -> Flags:
    """The ties of the one holder of a company whose share is not on file, where the others together have no majority."""
    count = register.count
    listed = np.bincount(register.owned, register.share, minlength=count)
    several = np.bincount(register.owned, register.unsized, minlength=count) > 1
    could = (listed < majority) & ~several & ~register.nominee & (command.head == np.arange(count))
    return np.asarray(register.unsized & could[register.owned])


def _owners(register: Register, command: Control, unknown: Floats, majority: float) -> pa.Table:
    count, claims = register.count, _claims(register, command, majority)
    rivals = np.unique(command.head[register.owner[claims]] * count + register.owned[claims]) % count
    chance = np.exp(-climb(command.above, np.log1p(np.bincount(rivals, minlength=count))))
    alone = command.head == np.arange(count)
    votes = np.bincount(register.owned, register.share, minlength=count)
    _, by_statement = links_up(command)
    circle = command.circle[command.head]
    basis = np.select(
        [circle, alone & ~register.end & (1 - votes > majority + ROUNDING), alone, by_statement],
        ["circle", "unknown", "itself", "control"],
        "majority",
    )
    return pa.table(
        {
            "entity": register.entity,
            "owner": register.ids(command.head),
            "probability": chance,
            "basis": pa.array(basis, pa.string()),
            "unknown_share": unknown,
        }
    )


def _owner_ties(register: Register, command: Control, stakes: Stakes, choice: Mapping[str, float]) -> pa.Table:
    """Ties of ownership short of control, by owner: ``entity, kind, value`` of the kinds of `joint_control.TIES`."""
    head = command.head
    large = (stakes.share >= choice["beneficial_share"]) & (head[stakes.owner] != head[stakes.company])
    unsized = register.unsized & (head[register.owner] != head[register.owned])
    sole = _sole_holders(register, command, choice["majority"])
    claims = np.flatnonzero(_claims(register, command, choice["majority"]))
    # who has claims in many companies is a trustee by profession
    claimant = head[register.owner[claims]]
    claims = claims[np.bincount(claimant, minlength=register.count)[claimant] <= choice["most_claims"]]
    rows = (
        ("stake", head[stakes.company[large]], head[stakes.owner[large]]),
        ("stake", head[register.owned[unsized]], head[register.owner[unsized]]),
        ("control", head[register.owner[claims]], register.owned[claims]),
        ("control", head[register.owned[claims]], register.owned[claims]),
        ("sole_holder", head[register.owner[sole]], register.owned[sole]),
        ("sole_holder", head[register.owned[sole]], register.owned[sole]),
    )
    return pa.concat_tables(
        pa.table(
            {
                "entity": register.ids(entity),
                "kind": pa.array([kind] * len(entity), pa.string()),
                "value": register.ids(value),
            }
        )
        for kind, entity, value in rows
    )


def _pool(register: Register, command: Control, stakes: Stakes, choice: Mapping[str, float]) -> Integers:
    """Who is compared: those who take chips, who control them, who own a part of them, and the owners of all these."""
    head, takers = command.head, np.flatnonzero(register.takes)
    _, chain, _ = chain_of(command.above, takers, longest_chain=int(choice["longest_chain"]))
    part_owners = stakes.owner[register.takes[stakes.company] & (stakes.share >= choice["owners_share"])]
    holders = register.owner[register.takes[register.owned] & (register.unsized | register.stated)]
    return np.unique(np.concatenate([chain, part_owners, holders, head[part_owners], head[holders], head[takers]]))


def _keep_evidence(
    engine: Engine,
    register: Register,
    command: Control,
    stakes: Stakes,
    as_of: datetime.date,
    look_back_days: int,
    choice: Mapping[str, float],
) -> None:
    """Keep what pairs of owners share: ``particulars``, ``shared_things``, ``joint_evidence`` and ``owner_links``."""
    pool = _pool(register, command, stakes, choice)
    pooled = engine.keep(
        "owner_pool", pa.table({"entity": register.ids(pool), "owner": register.ids(command.head[pool])})
    )
    ties = engine.keep("owner_ties", _owner_ties(register, command, stakes, choice))
    kinds = engine.keep("shared_kinds", shared_kinds())
    engine.keep("particulars", particulars(engine))
    recent = statements(engine, as_of, as_of - datetime.timedelta(days=look_back_days))
    things = engine.keep("shared_things", shared_things(engine, recent, ties.distinct(), as_of))
    evidence = engine.keep("joint_evidence", joint_evidence(things, kinds, pooled, choice))
    engine.keep("owner_links", owner_links(evidence, choice))


def _keep_groups(
    engine: Engine, register: Register, command: Control, choice: Mapping[str, float]
) -> tuple[Integers, Integers]:
    """Keep ``owner_groups``; gives the group of each entity and the group that won it jointly (-1: none)."""
    links = engine.table("owner_links")
    found = links.filter(links.joins).select("left_owner", "right_owner", "probability").to_pyarrow()
    left, right = register.number(found["left_owner"]), register.number(found["right_owner"])
    chance = found["probability"].to_numpy().astype(float)
    linked = groups_of(register.count, left, right, chance, largest_group=int(choice["largest_group"]))
    groups, won_by = joint_majorities(
        register.owner, register.owned, register.share, command.head, linked, majority=choice["majority"]
    )
    inside = linked[left] == linked[right]
    surest = np.zeros(register.count)
    np.maximum.at(surest, left[inside], chance[inside])
    np.maximum.at(surest, right[inside], chance[inside])
    surest[surest == 0] = 1
    # a company that a group has won is as surely the group's as the least sure of those who vote in it
    holder = command.head[register.owner]
    voting = (won_by[register.owned] >= 0) & (groups[holder] == groups[register.owned]) & (holder != register.owned)
    np.minimum.at(surest, register.owned[voting], surest[holder[voting]])
    owners = np.unique(command.head)
    engine.keep(
        "owner_groups",
        pa.table({"owner": register.ids(owners), "group": register.ids(groups[owners]), "probability": surest[owners]}),
    )
    return groups, won_by


def _controllers(
    register: Register,
    command: Control,
    stakes: Stakes,
    groups: Integers,
    won_by: Integers,
    choice: Mapping[str, float],
) -> pa.Table:
    """The ultimate and the next controllers, the joint ones, and those who own much; each pair once, in that order."""
    count, everyone = register.count, np.arange(register.count)
    links, by_statement = links_up(command)
    below = np.flatnonzero(command.head != everyone)
    under = below[command.above[below] != command.head[below]]
    holder = command.head[register.owner]
    together = (won_by[register.owned] >= 0) & (groups[holder] == groups[register.owned]) & (holder != register.owned)
    much = (stakes.share >= choice["beneficial_share"]) & (stakes.owner != stakes.company)
    ultimate = np.where(
        command.circle[command.head[below]], "circle", np.where(by_statement[below], "control", "majority")
    )
    rows = (
        (below, command.head[below], ultimate, links[below]),
        (under, command.above[under], np.where(command.stated[under], "control", "majority"), np.ones_like(under)),
        *(
            (company, owner, np.full(len(company), word), np.full(len(company), -1))
            for company, owner, word in (
                (register.owned[together], holder[together], "joint"),
                (stakes.company[much], stakes.owner[much], "beneficial"),
            )
        ),
    )
    company, controller, basis, distance = (np.concatenate(part) for part in zip(*rows, strict=True))
    _, first = np.unique(company * count + controller, return_index=True)
    company, controller, basis, distance = company[first], controller[first], basis[first], distance[first]
    return pa.table(
        {
            "entity": register.ids(company),
            "controller": register.ids(controller),
            "share": stakes.of(company, controller, count),
            "basis": pa.array(basis, pa.string()),
            "links": pa.array(distance, pa.int64(), mask=distance < 0),
        }
    )
