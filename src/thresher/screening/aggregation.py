"""What each controlling owner holds over all its sites, and what the rule says of it: as it reads, and read over common control.

Three readings of the same clauses
----------------------------------
- ``as_it_reads``: a place at a time; places are added up only where a link is known to be above the clause's limit.
- ``networked``: the same, and every link whose rate is not known is taken to be above it.
- ``together``: all that one owner controls counts as one cluster.

Each is True, False or None: None where what is not known (a chip's figures, a count, a place, where bought chips went)
could carry it over the line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa

from thresher.catalog import chip, chips
from thresher.errors import InputError
from thresher.regime import ClusterRow, Decision, Regime
from thresher.regime.clauses import chip_figure, components, is_counted
from thresher.screening.engine import Engine
from thresher.screening.resolution.names import address_key
from thresher.sources import load_quantities


class Holding(NamedTuple):
    """Chips of one type that an entity holds at a site; ``chip`` is the catalog's id, None where it is not known.

    ``basis`` is ``custody``, or ``declared`` for chips of a type of which custody never showed its owner any.
    """

    entity: str
    owner: str
    site: str | None
    place: str | None
    chip: str | None
    chips: int
    interconnect_gbit_s: float | None
    basis: str = "custody"


@dataclass(frozen=True, slots=True)
class Readings:
    """What a rule says of an owner: the three readings (see the module), and the value over the line in each clause."""

    as_it_reads: bool | None
    networked: bool | None
    together: bool | None
    shares: Mapping[str, float] = field(default_factory=dict)
    """Value over line of all the owner's chips together, by clause."""
    share_at_most: float = 0.0
    """Value over line of all its chips together with those it bought that nobody has seen."""
    placed_together: float = 0.0
    """Value over line of its chips at known places together, in the clause where that is largest."""
    largest_place: float = 0.0
    """The same of its largest place alone."""
    places_just_under: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """A controlling owner: its entities, what they hold, what they bought that nobody has seen, and what the rule says."""

    owner: str
    entities: tuple[str, ...]
    holdings: tuple[Holding, ...]
    unseen: Mapping[str, float]
    unknown_purchases: int
    readings: Readings

    @property
    def share_together(self) -> float:
        """The largest value over its line of all that is held."""
        return max(self.readings.shares.values(), default=0.0)


def group_of_entities(engine: Engine) -> ibis.Table:
    """``entity, owner``: the group of owners that controls each entity, kept as ``entity_owner``.

    Groups come from ownership (`thresher.screening.control`) and from the evidence of joint control that is likely enough.
    """
    least = load_quantities("thresher.screening", "aggregation.yaml")["group_probability"].value
    owners, groups = engine.table("owners"), engine.table("owner_groups")
    likely = groups.filter(groups.probability >= least).select("owner", "group")
    joined = owners.select("entity", "owner").left_join(likely, "owner")
    return engine.keep("entity_owner", joined.select("entity", owner=ibis.coalesce(joined.group, joined.owner)))


def _owned(engine: Engine, table: ibis.Table) -> ibis.Table:
    """A table with a column ``entity``, and the owner of each; an entity that nobody owns is its own."""
    owners = engine.table("entity_owner").select(owned_entity="entity", owned_by="owner")
    joined = table.left_join(owners, table.entity == owners.owned_entity)
    return joined.mutate(owner=ibis.coalesce(joined.owned_by, joined.entity)).drop("owned_entity", "owned_by")


def holdings(engine: Engine, as_of: date) -> tuple[list[Holding], set[str]]:
    """What every entity holds at every site, by type of chip; and the owners that declare chips without saying how many.

    An admission counts: chips that an entity declares, of a type of which custody never showed its owner any, are held too.
    Where custody shows some, it stands alone: a register that is out of date would count a chip that moved twice.
    """
    held = engine.table("held")
    held = held.filter(held.entity.notnull())
    counted = held.group_by("entity", "site", "chip").agg(chips=held.count().cast("int64"))
    declared = _latest_declarations(engine, as_of)
    said = (
        _owned(engine, declared)
        .group_by("owner", "entity", "site", "chip")
        .agg(chips=declared.number.sum().cast("int64"))
    )
    shown = _ever_in_custody(engine, as_of)
    joined = said.left_join(shown, [said.owner == shown.shown_owner, said.chip.fill_null("") == shown.shown_chip])
    beyond = joined.filter(joined.shown_owner.isnull()).select(
        "entity", "site", "chip", "chips", basis=ibis.literal("declared")
    )
    columns = ("entity", "site", "chip", "chips", "basis")
    both = (
        counted.mutate(basis=ibis.literal("custody"))
        .select(*columns)
        .union(beyond.filter(beyond.chips > 0).select(*columns))
    )
    rows = _owned(engine, both).select("owner", *columns).to_pyarrow()
    rows = rows.sort_by([(name, "ascending") for name in ("owner", "entity", "site", "chip", "basis")])
    place, rate = _places(engine)
    found = [
        Holding(
            row["entity"],
            row["owner"],
            row["site"],
            place.get(row["site"], row["site"]),
            row["chip"],
            row["chips"],
            rate.get(row["site"]),
            row["basis"],
        )
        for row in rows.to_pylist()
    ]
    blank = _owned(engine, declared.filter(declared.number.isnull()).select("entity").distinct()).select("owner")
    return found, set(blank.to_pyarrow()["owner"].to_pylist())


def _places(engine: Engine) -> tuple[dict[str | None, str | None], dict[str | None, float | None]]:
    """The place of each site (sites at one address are one place, named by the least of them), and its link in Gbit/s."""
    sites = engine.table("sites").select("site", "address", "interconnect_gbit_s").distinct().to_pyarrow()
    sites = sites.sort_by([("site", "ascending"), ("interconnect_gbit_s", "descending"), ("address", "ascending")])
    place: dict[str | None, str | None] = {}
    rate: dict[str | None, float | None] = {}
    at_address: dict[str, str] = {}
    for site, address, gbit_s in zip(*(column.to_pylist() for column in sites.columns), strict=True):
        if site not in place:
            key = address_key(address) if address else ""
            place[site] = at_address.setdefault(key, site) if _is_exact(key) else site
        rate.setdefault(site, gbit_s)
    return place, rate


def _is_exact(key: str) -> bool:
    """Whether an address names a house: a number and two words at least, as "5 berlin haupt"; a town alone is no place."""
    words = key.split()
    return any(word[0].isdigit() for word in words) and sum(not word[0].isdigit() for word in words) > 1


def unseen_purchases(engine: Engine, as_of: date) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Chips bought that neither custody nor a declaration shows, by owner and chip; purchases of unknown size, by owner.

    What was bought is compared with what custody ever brought to the owner from others and with what it declares now,
    whichever is more: chips sold on again were received.
    """
    bought = engine.table("purchases_resolved")
    bought = _owned(engine, bought.filter((bought.date <= as_of) & bought.chip.notnull() & bought.entity.notnull()))
    sellers = engine.table("entity_owner").select(seller_entity="entity", seller_owner="owner")
    bought = bought.left_join(sellers, "seller_entity")
    # what one company of an owner sells to another was bought once
    bought = bought.filter(bought.seller_owner.isnull() | (bought.seller_owner != bought.owner))
    sums = bought.group_by("owner", "chip").agg(
        bought=bought.chips.sum().fill_null(0.0), unknown=bought.chips.isnull().cast("int64").sum()
    )
    received = _received(engine, as_of)
    declared = _declared(engine, as_of)
    joined = sums.left_join(received, ["owner", "chip"]).left_join(declared, ["owner", "chip"])
    seen = ibis.greatest(joined.received.fill_null(0), joined.declared.fill_null(0)).cast("float64")
    rows = joined.select("owner", "chip", "unknown", unseen=joined.bought - seen).to_pyarrow().to_pylist()
    unseen: dict[str, dict[str, float]] = defaultdict(dict)
    unknown: dict[str, int] = defaultdict(int)
    for row in sorted(rows, key=lambda row: (row["owner"], row["chip"])):
        if row["unseen"] > 0:
            unseen[row["owner"]][row["chip"]] = row["unseen"]
        unknown[row["owner"]] += row["unknown"]
    return unseen, unknown


def with_owner(engine: Engine, table: ibis.Table, party: str, name: str) -> ibis.Table:
    """The table with one more column: the owner of the party in a column of it; null where that is null."""
    identity, owners = engine.table("identity"), engine.table("entity_owner")
    known = identity.left_join(owners, identity.entity == owners.entity)
    known = known.select(**{f"_{name}": known.party, name: ibis.coalesce(known.owner, known.entity)})
    joined = table.left_join(known, table[party] == known[f"_{name}"])
    # a party that no table of identities knows is an owner of its own
    return joined.mutate(**{name: ibis.coalesce(joined[name], joined[party])}).drop(f"_{name}")


def _ever_in_custody(engine: Engine, as_of: date) -> ibis.Table:
    """``shown_owner, shown_chip``: the types of chips that custody ever brought to an owner or took from it."""
    custody = engine.table("custody")
    custody = custody.filter(custody["at"] < end_of(as_of))
    named = ibis.union(*(custody.select("serial", party=column) for column in ("from_party", "to_party")))
    owned = with_owner(engine, named.filter(named.party.notnull()).distinct(), "party", "owner")
    kinds = _chip_of_serials(engine).select(kind_serial="serial", kind="chip")
    typed = owned.left_join(kinds, owned.serial == kinds.kind_serial)
    return engine.keep(
        "ever_in_custody", typed.select(shown_owner="owner", shown_chip=typed.kind.fill_null("")).distinct()
    )


def _received(engine: Engine, as_of: date) -> ibis.Table:
    """``owner, chip, received``: serial numbers that custody ever brought to an owner from somebody else."""
    custody = engine.table("custody")
    moves = custody.filter((custody["at"] < end_of(as_of)) & custody.to_party.notnull()).select(
        "serial", "from_party", "to_party"
    )
    moves = with_owner(engine, with_owner(engine, moves, "to_party", "owner"), "from_party", "giver")
    fresh = moves.filter(moves.giver.isnull() | (moves.giver != moves.owner)).select("serial", "owner").distinct()
    kinds = _chip_of_serials(engine)
    typed = fresh.join(kinds, "serial")
    return typed.group_by("owner", "chip").agg(received=typed.serial.nunique())


def _chip_of_serials(engine: Engine) -> ibis.Table:
    labelled, labels = engine.table("chips"), engine.table("chip_labels")
    joined = labelled.join(labels, labelled.chip == labels.label)
    return joined.select("serial", chip=labels.chip).distinct()


def _latest_declarations(engine: Engine, as_of: date) -> ibis.Table:
    """``entity, site, chip, number``: the latest that each entity declared for each site and chip; ``number`` may be blank."""
    rows, labels, identity = engine.table("declarations"), engine.table("chip_labels"), engine.table("identity")
    rows = rows.filter(rows.declared_on <= as_of).select(
        "party", "site", "declared_on", "row_id", declared_label="chip", number="count"
    )
    named = labels.select("label", kind="chip")
    whose = identity.select(known_party="party", known_entity="entity")
    joined = rows.left_join(named, rows.declared_label == named.label).left_join(whose, rows.party == whose.known_party)
    told = joined.select(
        "site",
        "number",
        "declared_on",
        "row_id",
        chip=joined.kind,
        entity=ibis.coalesce(joined.known_entity, joined.party),
    )
    newest = ibis.row_number().over(
        group_by=["entity", "site", "chip"], order_by=[ibis.desc("declared_on"), ibis.desc("row_id")]
    )
    told = told.mutate(place_in_time=newest).filter(lambda row: row.place_in_time == 0)
    return engine.keep("latest_declarations", told.select("entity", "site", "chip", "number"))


def _declared(engine: Engine, as_of: date) -> ibis.Table:
    """``owner, chip, declared``: what each owner declares now."""
    rows = _owned(engine, _latest_declarations(engine, as_of))
    return rows.group_by("owner", "chip").agg(declared=rows.number.sum())


def end_of(day: date) -> ibis.Scalar:
    """The moment a day ends: what happened before it happened on that day or earlier."""
    return ibis.timestamp((day + timedelta(days=1)).isoformat())


def owners_of(engine: Engine, regime: Regime, as_of: date) -> list[Owner]:
    """Every owner that holds or has bought enough to matter, with what the regime says of it.

    Raises
    ------
    InputError
        The regime has no clause on clusters.
    """
    if not regime.cluster_clauses:
        raise InputError(f"regime {regime.name}", "a rule with a clause on clusters of chips")
    choice = load_quantities("thresher.screening", "aggregation.yaml").values_only()
    group_of_entities(engine)
    by_owner: dict[str, list[Holding]] = defaultdict(list)
    held, uncounted = holdings(engine, as_of)
    for one in held:
        by_owner[one.owner].append(one)
    unseen, unknown = unseen_purchases(engine, as_of)
    figures = figures_of(regime)
    considered = {
        owner: (rows, unseen.get(owner, {}))
        for owner in sorted({*by_owner, *unseen, *unknown, *uncounted})
        if _most(rows := by_owner.get(owner, []), unseen.get(owner, {}), figures) >= choice["considered_share"]
        or owner in uncounted
        or any(one.chip is None for one in rows)
    }
    readings = read(
        regime,
        considered,
        just_under_share=choice["just_under_share"],
        vague={*uncounted, *(owner for owner, number in unknown.items() if number)},
        alone=_of_unknown_owners(engine, considered),
    )
    members = _members(engine, considered, as_of)
    return [
        Owner(owner, tuple(members[owner]), tuple(rows), dict(bought), unknown.get(owner, 0), readings[owner])
        for owner, (rows, bought) in considered.items()
    ]


def _of_unknown_owners(engine: Engine, owners: Iterable[str]) -> set[str]:
    """The owners over which the register knows somebody has a say, and does not know who."""
    wanted = engine.keep("asked_owners", pa.table({"owner": pa.array(sorted(owners), pa.string())}))
    rows = engine.table("owners")
    rows = rows.filter((rows.basis == "unknown") & (rows.unknown_share > 0)).select("entity")
    return set(_owned(engine, rows).semi_join(wanted, "owner").to_pyarrow()["owner"].to_pylist())


def _members(engine: Engine, owners: Iterable[str], as_of: date) -> dict[str, list[str]]:
    """The entities of each owner that hold or buy anything; the owner itself always."""
    wanted = engine.keep("considered_owners", pa.table({"owner": pa.array(sorted(owners), pa.string())}))
    bought = engine.table("purchases_resolved")
    bought = bought.filter(bought.date <= as_of).select("entity")
    active = engine.table("held").select("entity").union(bought).distinct()
    rows = _owned(engine, active.filter(active.entity.notnull())).semi_join(wanted, "owner").to_pyarrow()
    found: dict[str, list[str]] = {owner: [] for owner in wanted.to_pyarrow()["owner"].to_pylist()}
    for entity, owner in sorted(zip(rows["entity"].to_pylist(), rows["owner"].to_pylist(), strict=True)):
        found[owner].append(entity)
    return {owner: entities or [owner] for owner, entities in found.items()}


def figures_of(regime: Regime) -> dict[str, dict[str, float]]:
    """For each clause, what one chip of each type adds to its value over its line (the larger of the clause's sums)."""
    return {
        clause.id: {
            name: max(
                (
                    chip_figure(one, part.figure) / part.unit / clause.threshold
                    for part in components(clause, regime.definitions)
                    if not np.isnan(chip_figure(one, part.figure))
                ),
                default=0.0,
            )
            if is_counted(clause, one)
            else 0.0
            for name, one in chips().items()
        }
        for clause in regime.cluster_clauses
    }


def _most(rows: Iterable[Holding], unseen: Mapping[str, float], figures: Mapping[str, Mapping[str, float]]) -> float:
    """The largest value over its line that an owner's chips could come to."""
    numbers: dict[str, float] = defaultdict(float, unseen)
    for one in rows:
        if one.chip is not None:
            numbers[one.chip] += one.chips
    return max(sum(number * each[kind] for kind, number in numbers.items()) for each in figures.values())


def read(
    regime: Regime,
    owners: Mapping[str, tuple[list[Holding], Mapping[str, float]]],
    *,
    just_under_share: float,
    vague: Collection[str] = (),
    alone: Collection[str] = (),
) -> dict[str, Readings]:
    """What a regime says of each owner in the three readings.

    Parameters
    ----------
    owners
        For each owner its holdings and the chips it bought that nobody has seen.
    just_under_share
        A place between this share of a line and the line is just under it.
    vague
        Owners that declare or bought chips without a word on how many: never said to be uncovered.
    alone
        Owners that may be parts of something larger, for it is not known who owns them: together, never said to be uncovered.
    """
    by_place: list[ClusterRow] = []
    by_owner: list[ClusterRow] = []
    linked: list[ClusterRow] = []
    with_unseen: list[ClusterRow] = []
    fullest: list[ClusterRow] = []
    open_ended: dict[str, bool] = {}
    for owner, (rows, unseen) in owners.items():
        open_ended[owner] = owner in vague or any(one.chip is None for one in rows)
        for one in rows:
            if one.chip is None:
                continue
            kind = chip(one.chip)
            # an owner's chips at a place, apart from those that others keep there
            place = f"{one.place} | {owner}"
            link = one.interconnect_gbit_s
            if one.place:  # of a place that is not known, no two chips are known to be together
                by_place.append(ClusterRow(owner, kind, one.chips, place, owner, 0.0 if link is None else link))
            linked.append(ClusterRow(owner, kind, one.chips, place if one.place else "", owner, link))
            by_owner.append(ClusterRow(owner, kind, one.chips))
        bought = [ClusterRow(owner, chip(name), round(number)) for name, number in unseen.items() if round(number) >= 1]
        with_unseen += bought
        fullest += _each_place_at_its_fullest(owner, rows, bought)
    decided = {
        "apart": _by_cluster(regime, by_place),
        "linked": _by_cluster(regime, linked),
        "linked at most": _by_cluster(regime, [*linked, *with_unseen]),
        "together": _by_cluster(regime, by_owner),
        "most": _by_cluster(regime, [*by_owner, *with_unseen]),
    }
    full = {
        decision.cluster.split(" | ", 1)[1] for decision in regime.classify(fullest) if decision.covered is not False
    }
    placed = _by_cluster(regime, [ClusterRow(row.owner, row.chip, row.count) for row in by_place])
    largest, just_under = _places_by_size(regime, by_place, just_under_share)
    return {
        owner: Readings(
            as_it_reads=_between(
                decided["apart"].get(owner), decided["linked at most"].get(owner), open_ended[owner] or owner in full
            ),
            networked=_between(
                decided["linked"].get(owner), decided["linked at most"].get(owner), open_ended[owner] or owner in full
            ),
            together=_between(
                decided["together"].get(owner), decided["most"].get(owner), open_ended[owner] or owner in alone
            ),
            shares={
                clause.id: clause.value / clause.threshold
                for clause in (decided["together"][owner].clauses if owner in decided["together"] else ())
                if clause.value is not None
            },
            share_at_most=_share(decided["most"][owner]) if owner in decided["most"] else 0.0,
            placed_together=_share(placed[owner]) if owner in placed else 0.0,
            largest_place=largest.get(owner, 0.0),
            places_just_under=tuple(just_under.get(owner, ())),
        )
        for owner in owners
    }


def _each_place_at_its_fullest(owner: str, rows: list[Holding], bought: list[ClusterRow]) -> list[ClusterRow]:
    """Each place of an owner as a cluster of its own, with all the chips that could stand there: those of no known place."""
    loose = [*bought, *(ClusterRow(owner, chip(one.chip), one.chips) for one in rows if one.chip and not one.place)]
    if not loose:
        return []
    places = sorted({one.place for one in rows if one.place}) or ["nowhere known"]
    return [
        ClusterRow(f"{place} | {owner}", row.chip, row.count)
        for place in places
        for row in (
            *loose,
            *(ClusterRow(owner, chip(one.chip), one.chips) for one in rows if one.chip and one.place == place),
        )
    ]


def _by_cluster(regime: Regime, rows: list[ClusterRow]) -> dict[str, Decision]:
    return {decision.cluster: decision for decision in regime.classify(rows)}


def _share(decision: Decision) -> float:
    """The largest value over its line."""
    return max((one.value / one.threshold for one in decision.clauses if one.value is not None), default=0.0)


def _between(least: Decision | None, most: Decision | None, vague: bool) -> bool | None:
    """Covered where the least that is known is; not covered where the most that could be is not; else not known."""
    low = False if least is None else least.covered
    high = False if most is None else most.covered
    if low:
        return True
    return None if high is not False or low is None or vague else False


def _places_by_size(
    regime: Regime, rows: list[ClusterRow], just_under_share: float
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """The largest value over its line at one place of each owner, and its places that stop just under a line."""
    placed = [ClusterRow(row.site, row.chip, row.count, row.site, row.owner) for row in rows]
    owner_of = {row.site: row.owner for row in rows}
    largest: dict[str, float] = {}
    just_under: dict[str, list[str]] = defaultdict(list)
    for decision in regime.classify(placed):
        share, owner = _share(decision), owner_of[decision.cluster]
        largest[owner] = max(largest.get(owner, 0.0), share)
        if not decision.covered and share >= just_under_share:
            just_under[owner].append(decision.cluster.split(" | ")[0])
    return largest, just_under
