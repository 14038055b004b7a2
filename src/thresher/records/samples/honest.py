"""Honest near-misses: universities, clouds, groups, lessors and the like, whom a careless search would accuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from thresher.records.samples._tables import parameters, rows
from thresher.records.samples.population import AGENCY, COMPANY, PERSON, name_institution
from thresher.records.samples.world import MOVE, Actor, World


def add_makers_and_sellers(world: World, parties: int) -> None:
    """Makers of chips, distributors who buy from them, and resellers who buy from distributors."""
    people = world.people
    for number, maker in enumerate(dict.fromkeys(world.goods.makers)):
        entity = world.claim(COMPANY)
        people.family[entity] = world.words.words["all", "maker"][number]
        for column in ("stem", "ending", "field", "number"):
            getattr(people, column)[entity] = 0
        people.placed[entity] = False
        people.born[entity] = world.as_of - int(parameters()["company_age_days_most"])
        world.makers[maker] = entity
    count = max(2, round(_scaled(4, parties)))
    for _ in range(count):
        world.distributors.append(_old_company(world))


def add_near_misses(world: World, parties: int) -> None:
    """The near-misses of ``sample_actors.csv``, more of them where there are more parties."""
    for row in rows("actors"):
        for _ in range(max(1, round(_scaled(float(row["at_2000_parties"]), parties)))):
            actor = MAKERS_OF_ACTORS[row["actor"]](world, row, parties)
            actor.entities = sorted({*actor.entities, actor.owner})
            world.near_misses.append(actor)


def _scaled(at_2000: float, parties: int) -> float:
    """Kinds of actors grow with the root of the parties, so that few stay few."""
    return float(at_2000 * np.sqrt(parties / 2000))


def _old_company(world: World, country: int | None = None) -> int:
    """A company founded long ago, with an owner of its own."""
    entity = world.claim(COMPANY, country)
    p = parameters()
    world.people.born[entity] = world.as_of - world.rng.integers(
        int(p["old_company_age_days"]), int(p["company_age_days_most"])
    )
    owner = world.claim(PERSON, world.country(entity))
    world.own(owner, entity)
    world.officer(owner, entity)
    return entity


def _share_brand(world: World, who: int, like: int) -> None:
    for column in ("stem", "ending", "family"):
        getattr(world.people, column)[who] = getattr(world.people, column)[like]


def _span(world: World, row: Mapping[str, str]) -> int:
    return int(world.rng.integers(int(row["sites_low"]), int(row["sites_high"]) + 1))


def _fill(
    world: World, row: Mapping[str, str], holder: int, site: int, mix: str = "honest_nodes", **values: int | float
) -> None:
    """Bring one site to a share of the line that the row allows, in one to three purchases."""
    chip = world.chip(mix)
    share = world.rng.uniform(float(row["line_share_low"]), float(row["line_share_high"]))
    count = max(1, int(share / world.goods.line_share[chip]))
    parts = np.bincount(world.rng.integers(0, min(3, count), count))
    # nobody buys before it is founded
    founded = int(world.people.born[holder]) if world.people.kind[holder] == COMPANY else 0
    days = min(int(parameters()["history_days"]), world.as_of - founded - 10)
    for part in parts[parts > 0]:
        world.buy(holder, site, chip, int(part), world.day(chip, most_days=days), **values)


def _declares(world: World, row: Mapping[str, str]) -> int:
    return int(world.rng.random() < float(row["declared"]))


def university(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """One institution, several small sites of departments; the sum is over the line and declared."""
    entity = world.claim(AGENCY)
    name_institution(world.words, world.rng, world.people, np.array([entity]), "university")
    in_town = [one for one in world.near_misses if one.kind == "university"]
    namesakes = sum(world.people.city[one.owner] == world.people.city[entity] for one in in_town)
    world.people.number[entity] = namesakes + 1 if namesakes else 0
    actor = Actor("university", entity)
    for _ in range(_span(world, row)):
        here = world.another_place(entity) | {"city": int(world.people.city[entity])}
        site = world.site_of(entity, declares=_declares(world, row), **here)
        _fill(world, row, entity, site)
        actor.sites.append(site)
    return actor


def hospital_network(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """A company that owns clinics in several cities, each with a few chips."""
    owner = _old_company(world)
    actor = Actor("hospital_network", owner)
    for number in range(_span(world, row)):
        clinic = world.claim(COMPANY, world.country(owner))
        name_institution(world.words, world.rng, world.people, np.array([clinic]), "hospital")
        _share_brand(world, clinic, owner)
        world.people.number[clinic] = number + 1
        world.own(owner, clinic)
        site = world.site_of(clinic, declares=_declares(world, row))
        _fill(world, row, clinic, site, payer=owner)
        actor.entities.append(clinic)
        actor.sites.append(site)
    return actor


def cloud(world: World, row: Mapping[str, str], parties: int) -> Actor:
    """A provider with large declared clusters; all clouds together have a share of all chips."""
    p = parameters()
    entity = _old_company(world)
    actor = Actor("cloud", entity)
    clouds = max(1, round(_scaled(float(row["at_2000_parties"]), parties)))
    sites = _span(world, row)
    share = p["chips_per_party"] * parties * p["share_of_chips_in_clouds"] / clouds / sites
    for _ in range(sites):
        site = world.site_of(entity, declares=1, metered=1, interconnect=400.0, **world.another_place(entity))
        left = int(share * world.rng.uniform(0.6, 1.4))
        while left > 0:
            chip = world.chip("clouds")
            piece = 72 if world.goods.ids[chip] == "GB200" else 8
            count = piece * max(1, int(min(left, world.rng.uniform(0.05, 0.4) * share) / piece))
            world.buy(entity, site, chip, count, world.day(chip))
            left -= count
        actor.sites.append(site)
    return actor


def corporate_group(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """A parent with many honestly registered subsidiaries of the same brand, each with a small site."""
    people = world.people
    parent = _old_company(world)
    actor = Actor("corporate_group", parent)
    for _ in range(_span(world, row)):
        daughter = world.claim(COMPANY, world.country(parent))
        _share_brand(world, daughter, parent)
        people.placed[daughter] = True
        people.domain[daughter] = parent
        world.own(parent, daughter)
        site = world.site_of(daughter, declares=_declares(world, row))
        _fill(world, row, daughter, site, payer=parent)
        actor.entities.append(daughter)
        actor.sites.append(site)
    return actor


def reseller(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """Buys from distributors and sells on; a small stock stands in its warehouse."""
    entity = _old_company(world)
    world.resellers.append(entity)
    site = world.site_of(entity, declares=1)
    for _ in range(world.between("reseller_stock_lots")):
        _fill(world, row, entity, site, installed=False)
    return Actor("reseller", entity, sites=[site])


def lessor(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """Owns chips that stand at its customers' sites."""
    entity = _old_company(world)
    actor = Actor("lessor", entity)
    for _ in range(_span(world, row)):
        customer = _old_company(world, world.country(entity))
        site = world.site_of(customer, declares=_declares(world, row))
        _fill(world, row, entity, site)
        actor.sites.append(site)
    return actor


def colocation(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """One machine hall with the chips of many unrelated customers."""
    entity = _old_company(world)
    site = world.site_of(entity, metered=1, interconnect=100.0, declares=_declares(world, row))
    for _ in range(_span(world, row)):
        _fill(world, row, _old_company(world), site)
    return Actor("colocation", entity, sites=[site])


def converter(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """A former miner: a declared cluster beside an old load that draws much power."""
    entity = _old_company(world)
    actor = Actor("converter", entity)
    for _ in range(_span(world, row)):
        base = float(world.between("converter_base_kw"))
        site = world.site_of(entity, declares=1, metered=1, base_kw=base, **world.another_place(entity))
        _fill(world, row, entity, site)
        actor.sites.append(site)
    return actor


def family_firm(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """Relatives own companies in parts and run them from one address; everything is recorded."""
    people = world.people
    head = world.claim(PERSON)
    relatives = [head, *(world.claim(PERSON, world.country(head)) for _ in range(2))]
    for one in relatives[1:]:
        people.family[one] = people.family[head]
        world.same_address(one, head)
    actor = Actor("family_firm", head)
    for _ in range(_span(world, row)):
        company = world.claim(COMPANY, world.country(head))
        people.born[company] = world.as_of - int(world.rng.integers(900, 8000))
        people.phone[company] = people.phone[head]
        world.same_address(company, head)
        for one, share in zip(relatives, world.rng.permutation([0.4, 0.3, 0.3]), strict=True):
            world.own(one, company, float(share))
        world.officer(head, company)
        site = world.site_of(company, declares=_declares(world, row), house=int(world.rng.integers(1, 180)))
        _fill(world, row, company, site, payer=head)
        actor.entities.append(company)
        actor.sites.append(site)
    return actor


def investor(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """A fund with two holdings, the second abroad, and companies of different trades under them."""
    fund = _old_company(world)
    first = world.claim(COMPANY, world.country(fund))
    second = world.claim(COMPANY)
    world.own(fund, first)
    world.own(first, second)
    actor = Actor("investor", fund, [first, second])
    for _ in range(_span(world, row)):
        company = world.claim(COMPANY, world.country(fund))
        world.own(second, company, float(world.rng.choice([1.0, 0.8, 0.6])))
        world.officer(world.claim(PERSON, world.country(company)), company)
        site = world.site_of(company, declares=_declares(world, row))
        _fill(world, row, company, site)
        actor.entities.append(company)
        actor.sites.append(site)
    return actor


def renter(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """Moves its chips between its own sites every few weeks, and announces it."""
    entity = _old_company(world)
    actor = Actor("renter", entity)
    lots = []
    for _ in range(_span(world, row)):
        site = world.site_of(entity, declares=_declares(world, row), **world.another_place(entity))
        chip = world.chip("honest_nodes")
        share = world.rng.uniform(float(row["line_share_low"]), float(row["line_share_high"]))
        count = max(1, int(share / world.goods.line_share[chip]))
        lots.append(world.buy(entity, site, chip, count, world.day(chip, int(parameters()["evader_settled_days"]))))
        actor.sites.append(site)
    for turn in range(1, world.between("evader_turns") + 1):
        day = world.as_of - int(parameters()["days_between_turns"] * turn + world.rng.integers(0, 20))
        for position, lot in enumerate(lots):
            site = actor.sites[(position + turn) % len(lots)]
            world.moves.add(lot=lot, day=day + int(world.rng.integers(0, 3)), holder=entity, site=site, kind=MOVE)
    return actor


def once_buyer(world: World, row: Mapping[str, str], _parties: int) -> Actor:
    """Buys just under the line, once, because that is its need."""
    entity = _old_company(world)
    site = world.site_of(entity, declares=_declares(world, row))
    chip = world.chip("honest_nodes")
    share = world.rng.uniform(float(row["line_share_low"]), float(row["line_share_high"]))
    count = max(1, int(share / world.goods.line_share[chip]))
    world.buy(entity, site, chip, count, world.day(chip))
    return Actor("once_buyer", entity, sites=[site])


MAKERS_OF_ACTORS: dict[str, Callable[[World, Mapping[str, str], int], Actor]] = {
    "university": university,
    "hospital_network": hospital_network,
    "cloud": cloud,
    "corporate_group": corporate_group,
    "reseller": reseller,
    "lessor": lessor,
    "colocation": colocation,
    "converter": converter,
    "family_firm": family_firm,
    "investor": investor,
    "renter": renter,
    "once_buyer": once_buyer,
}
