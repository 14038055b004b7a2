"""What is true of the sample records: who is who, who owns what, who evades and how, and which slips are honest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.records.samples._tables import NONE, Columns, Ints, group
from thresher.records.samples.custody import DAY_S, ChipEvents, Stays, number_serials, present
from thresher.records.samples.mentions import write_ids
from thresher.records.samples.population import COMPANY
from thresher.records.samples.purchases import Purchases
from thresher.records.samples.tables import Mentions, days, pick, serial_ids
from thresher.records.samples.world import CONTROL, MOVE, NOMINEE, REBORN, SHAREHOLDING, WHOLE, Actor, World

FILE = "truth.json"
_TABLES = ("parties", "operators", "purchases", "controllers")
_HALF = 0.5
_LONGEST_CHAIN_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth of a folder of sample records.

    ``evaders`` and ``near_misses`` (the honest look-alikes) have for each its style, its owner's entity and party, the
    parties, entities and sites it controls, the persons who lend it a name (``helpers``), its companies whose tie upwards
    the register lacks (``unrecorded``), those that share something by what it is, and its chips as of the end: physical
    ones, by site and type (``holdings``), the serial numbers among them, and their sum in multiples of the rule's line.
    ``anomalies`` has the planted signs by kind, ``mistakes`` the honest slips by kind: ids, pairs of an id and a day, or a
    count alone. ``parties`` (party, entity), ``operators`` (site, entity), ``purchases`` (id, entity, seller, chip, chips)
    and ``controllers`` (entity, owner: of every company) are tables.
    """

    inputs: dict[str, Any]
    evaders: list[dict[str, Any]]
    near_misses: list[dict[str, Any]]
    anomalies: dict[str, list[Any]]
    mistakes: dict[str, Any]
    parties: pa.Table
    operators: pa.Table
    purchases: pa.Table
    controllers: pa.Table


@dataclass(slots=True)
class Slips:
    """Honest mistakes that were made on the way, and the planted transfers that nobody announced in time."""

    serials_mistyped: list[str]
    destroyed_by_mistake: list[str]
    notices_lacking: int
    planted_without_notice: list[list[Any]]
    late_declarations: int = 0
    estimated_readings: int = 0
    wrong_coordinates: Ints = field(default_factory=lambda: np.array([], np.int64))

    @classmethod
    def of_custody(cls, custody: ChipEvents, found: dict[str, Ints]) -> Slips:
        """From the events of custody and the positions of slips in them, by kind."""

        def serials(kind: str) -> list[str]:
            return serial_ids(custody.serial[found[kind]]).to_pylist()  # type: ignore[no-any-return]

        on = days(custody.second[found["planted_without_notice"]] // DAY_S).to_pylist()
        pairs = [[serial, str(day)] for serial, day in zip(serials("planted_without_notice"), on, strict=True)]
        lacking = len(found["without_notice"])
        return cls(serials("serials_mistyped"), serials("destroyed_by_mistake"), lacking, pairs)


def write_truth(path: Path, truth: Truth) -> None:
    """Write the truth as JSON: actors on lines of their own, tables as columns, each on one line."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def lines(values: dict[str, Any]) -> str:
        return "{\n" + ",\n".join(f'"{key}": {line(one)}' for key, one in values.items()) + "\n}"

    def actors(found: list[dict[str, Any]]) -> str:
        return "[\n" + ",\n".join(map(line, found)) + "\n]"

    parts = {
        "inputs": line(truth.inputs),
        "evaders": actors(truth.evaders),
        "near_misses": actors(truth.near_misses),
        "anomalies": lines(truth.anomalies),
        "mistakes": lines(truth.mistakes),
    }
    parts |= {name: lines(getattr(truth, name).to_pydict()) for name in _TABLES}
    path.write_text("{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}\n", "utf-8")


def read_truth(folder: Path) -> Truth:
    """The truth that ``sample_records`` wrote into a folder."""
    document = json.loads((folder / FILE).read_text("utf-8"))
    return Truth(**(document | {name: pa.table(document[name]) for name in _TABLES}))


def tell_truth(
    world: World, mentions: Mentions, lots: Columns, stays: Stays, invoices: Purchases, slips: Slips
) -> Truth:
    """Gather the truth from the world and from what was written of it."""
    own = number_serials(lots)[1]
    companies = world.people.kind == COMPANY
    return Truth(
        {},
        [_tell_actor(world, mentions, one, lots, stays, own) for one in world.evaders],
        [_tell_actor(world, mentions, one, lots, stays, own) for one in world.near_misses],
        _anomalies(world, mentions, lots, invoices, slips),
        _mistakes(world, mentions, lots, invoices, slips),
        pa.table({"party": mentions.party_ids, "entity": pick(mentions.entity_ids, mentions.entity)}),
        pa.table({"site": mentions.site_ids, "entity": pick(mentions.entity_ids, world.sites.column("operator"))}),
        pa.table(
            {
                "id": invoice_ids(len(invoices)),
                "entity": pick(mentions.entity_ids, invoices.buyer),
                "seller": pick(mentions.entity_ids, invoices.seller),
                "chip": pick(pa.array(world.goods.ids), invoices.chip),
                "chips": pa.array(invoices.chips),
            }
        ),
        pa.table(
            {
                "entity": pick(mentions.entity_ids, np.flatnonzero(companies)),
                "owner": pick(mentions.entity_ids, controllers(world)[companies]),
            }
        ),
    )


def invoice_ids(count: int) -> pa.Array:
    """Numbers of invoices, by date."""
    return write_ids("INV-", np.arange(count) + 1, 7)


def controllers(world: World) -> Ints:
    """The owner at the end of every entity's chain: of more than half its shares, of control, or whom a nominee acts for.

    An entity that nobody controls is its own.
    """
    edges = world.edges.columns()
    current = edges["until"] == NONE
    majority = (edges["interest"] == SHAREHOLDING) & (np.nan_to_num(edges["share"]) > _HALF)
    decides = current & (majority | (edges["interest"] == CONTROL) | (edges["interest"] == NOMINEE))
    above = np.arange(len(world.people))
    acts_for = np.where(edges["behalf"] != NONE, edges["behalf"], edges["owner"])
    above[edges["owned"][decides]] = acts_for[decides]
    for actor in world.evaders:
        above[np.array(actor.entities)] = actor.owner
    for _ in range(_LONGEST_CHAIN_DOUBLINGS):
        above = above[above]
    return above


def _tell_actor(
    world: World, mentions: Mentions, actor: Actor, lots: Columns, stays: Stays, own: Ints
) -> dict[str, Any]:
    """An evader or a near-miss with all that it controls, and its chips as of the end."""

    def parties(entities: list[int]) -> list[str]:
        return pick(mentions.party_ids, np.array(entities, np.int64)).to_pylist()  # type: ignore[no-any-return]

    sites = np.array(sorted(actor.sites), np.int64)
    inside = present(stays, world.as_of - 1) & np.isin(stays.site, sites)
    lot = stays.lot[inside]
    share = world.goods.line_share[lots["chip"][lot]] * lots["count"][lot]
    (site, chip), member = group(stays.site[inside], lots["chip"][lot])
    count = np.bincount(member, lots["count"][lot], len(site)).astype(np.int64)
    per_site = np.bincount(np.searchsorted(sites, stays.site[inside]), share, len(sites))
    return {
        "style": actor.kind,
        "owner": mentions.entity_ids[actor.owner].as_py(),
        "party": mentions.party_ids[actor.owner].as_py(),
        "parties": parties(np.flatnonzero(np.isin(mentions.entity, actor.entities)).tolist()),
        "entities": pick(mentions.entity_ids, np.array(actor.entities)).to_pylist(),
        "sites": pick(mentions.site_ids, sites).to_pylist(),
        "holdings": {
            "site": pick(mentions.site_ids, site).to_pylist(),
            "chip": pick(pa.array(world.goods.ids), chip).to_pylist(),
            "count": count.tolist(),
        },
        "helpers": parties(actor.helpers),
        "unrecorded": parties(actor.unrecorded),
        "shared": {what: parties(who) for what, who in actor.shared.items()},
        "chips": int(lots["count"][lot].sum()),
        "serials": int(own[lot].sum()),
        "times_the_line": round(float(share.sum()), 3),
        "most_at_one_site": round(float(per_site.max(initial=0.0)), 3),
    }


def _anomalies(
    world: World, mentions: Mentions, lots: Columns, invoices: Purchases, slips: Slips
) -> dict[str, list[Any]]:
    """What was planted, by kind."""
    sites = world.sites.columns()
    moves = world.moves.columns()
    planted = lots["actor"] != NONE
    bought = (invoices.lot != NONE) & planted[invoices.lot]
    ids = invoice_ids(len(invoices))
    theirs = sites["actor"] != NONE
    declares = sites["declares"] == 1

    def site_ids(mask: Any) -> list[str]:
        return mentions.site_ids.filter(pa.array(theirs & mask)).to_pylist()  # type: ignore[no-any-return]

    def moved(kind: int) -> list[str]:
        lot = np.unique(moves["lot"][moves["kind"] == kind])
        return _serials_of(lots, lot[planted[lot] & (lots["seen"][lot] == WHOLE)])

    return {
        "purchases_structured": ids.filter(pa.array(bought & invoices.structured)).to_pylist(),
        "purchases_not_in_custody": ids.filter(pa.array(bought & (lots["seen"][invoices.lot] != WHOLE))).to_pylist(),
        "serials_cloned": _cloned(lots),
        "serials_after_destruction": moved(REBORN),
        "serials_rotated": moved(MOVE),
        "transfers_without_notice": slips.planted_without_notice,
        "sites_undeclared": site_ids(~declares),
        "sites_declared_in_part": site_ids(declares & (sites["declared_share"] < 1)),
        "sites_with_dimmed_meter": site_ids(sites["meter_scale"] < 1),
        "sites_elsewhere": site_ids(sites["stands_in"] != NONE),
    }


def _mistakes(world: World, mentions: Mentions, lots: Columns, invoices: Purchases, slips: Slips) -> dict[str, Any]:
    """What honest parties got wrong, by kind."""
    sites = world.sites.columns()
    honest = (invoices.lot != NONE) & (lots["actor"][invoices.lot] == NONE)
    unreported = honest & (lots["seen"][invoices.lot] != WHOLE)
    failed = (sites["actor"] == NONE) & (sites["meter_scale"] < 1)
    return {
        "sites_with_wrong_coordinates": pick(mentions.site_ids, slips.wrong_coordinates).to_pylist(),
        "sites_with_failed_meter": mentions.site_ids.filter(pa.array(failed)).to_pylist(),
        "serials_mistyped": slips.serials_mistyped,
        "serials_destroyed_by_mistake": slips.destroyed_by_mistake,
        "purchases_not_in_custody": invoice_ids(len(invoices)).filter(pa.array(unreported)).to_pylist(),
        "transfers_without_notice": slips.notices_lacking,
        "late_declarations": slips.late_declarations,
        "estimated_readings": slips.estimated_readings,
    }


def _serials_of(lots: Columns, lot: Ints) -> list[str]:
    """The serial numbers of some lots' own."""
    first, own = number_serials(lots)
    which = np.repeat(lot, own[lot])
    position = np.arange(len(which)) - np.repeat(np.cumsum(own[lot]) - own[lot], own[lot])
    return serial_ids(first[which] + position).to_pylist()  # type: ignore[no-any-return]


def _cloned(lots: Columns) -> list[str]:
    """The serial numbers that two chips carry."""
    first, _ = number_serials(lots)
    clone = np.flatnonzero(lots["clone_of"] != NONE)
    original = lots["clone_of"][clone]
    copied = np.minimum(lots["count"][clone], lots["count"][original])
    start = np.repeat(first[original], copied)
    position = np.arange(len(start)) - np.repeat(np.cumsum(copied) - copied, copied)
    return serial_ids(start + position).to_pylist()  # type: ignore[no-any-return]
