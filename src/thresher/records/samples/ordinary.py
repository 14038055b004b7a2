"""Everybody else: who holds a few chips, where, bought when; who owns which company; all drawn at once."""

from __future__ import annotations

import numpy as np

from thresher.records.samples._tables import NONE, Flags, Floats, Ints, draw, group, parameters
from thresher.records.samples.population import AGENCY, COMPANY, PERSON, TRUST, country_of_city
from thresher.records.samples.world import MOVE, NOMINEE, OFFICER, RESALE, SALE_UNREPORTED, SHAREHOLDING, WHOLE, World


def add_ordinary_holders(world: World, parties: int) -> None:
    """Small holders: their sites and lots, up to the chips that the parties have in all.

    Sizes are heavy-tailed: most hold a chip or a few, a few per cent more than the line, who declare it.
    """
    p = parameters()
    rng, people = world.rng, world.people
    free = np.ones(len(people), np.bool_)
    free[np.fromiter(world.claimed, np.int64)] = False
    chance = np.array(
        [
            p["share_holding_companies"],
            p["share_holding_persons"],
            p["share_holding_trusts"],
            p["share_holding_agencies"],
        ]
    )
    holders = np.flatnonzero(free & (rng.random(len(people)) < chance[people.kind]))
    holders = rng.permutation(holders)
    sites, site_holder = _sites(world, holders)

    left = int(p["chips_per_party"] * parties - world.lots.column("count").sum())
    count_mean = p["chips_per_lot_mean"]
    size = max(0, int(left / count_mean))
    if not size:
        return
    taste = rng.lognormal(0.0, p["holder_size_sigma"], len(holders))
    slot = draw(rng, taste, size)
    holder = holders[slot]
    # a holder's lots go to its sites alike
    first = np.searchsorted(site_holder, slot)
    sites_of = np.searchsorted(site_holder, slot, side="right") - first
    site = sites[first + (rng.random(size) * sites_of).astype(np.int64)]
    chip = draw(rng, world.goods.weights("small_holders"), size)
    count = np.minimum(rng.geometric(1 / count_mean, size), int(p["chips_per_lot_most"]))
    day = _days(world, chip, holder)
    seller = np.array(world.distributors)[rng.integers(0, len(world.distributors), size)]
    resold = rng.random(size) < p["share_lots_by_reseller"]
    reseller = np.array(world.resellers)[rng.integers(0, len(world.resellers), size)]
    old = day < world.as_of - p["destroyed_after_days"]
    destroyed = old & (rng.random(size) < p["share_lots_destroyed"])
    end = day + (p["destroyed_after_days"] + rng.random(size) * (world.as_of - day - p["destroyed_after_days"])).astype(
        np.int64
    )
    lots = world.lots.extend(
        size,
        holder=holder,
        site=site,
        chip=chip,
        count=count,
        day=day,
        seller=np.where(resold, reseller, seller),
        via=np.where(resold, seller, NONE),
        payer=_payers(world, holder),
        seen=np.where(rng.random(size) < p["share_sales_unreported"], SALE_UNREPORTED, WHOLE),
        destroyed=np.where(destroyed, end, world.lots.default("destroyed")),
    )
    _moves(world, lots, ~destroyed, slot, sites, site_holder, holders, day, holder)


def _payers(world: World, holder: Ints) -> Ints:
    """Who pays: the holder, or for some a bank that pays for hundreds of unrelated ones."""
    p = parameters()
    companies = np.flatnonzero(world.people.kind == COMPANY)
    banks = world.rng.choice(companies, max(2, round(p["banks_per_company"] * len(companies))), replace=False)
    financed = world.rng.random(len(holder)) < p["share_paid_by_banks"]
    return np.where(financed, banks[world.rng.integers(0, len(banks), len(holder))], holder)


def _sites(world: World, holders: Ints) -> tuple[Ints, Ints]:
    """One site for most holders, two or three for some; site numbers, and for each the position of its holder."""
    p = parameters()
    rng, people = world.rng, world.people
    chance = rng.random(len(holders))
    more = (chance < p["share_holders_two_sites"]).astype(np.int64) + (chance < p["share_holders_three_sites"])
    of = np.repeat(np.arange(len(holders)), 1 + more)
    operator = holders[of]
    second = np.diff(of, prepend=-1) == 0
    house = np.where(second, rng.integers(1, 180, len(of)), people.house[operator])
    loud = rng.random(len(of)) < p["share_meters_with_office"]
    failed = rng.random(len(of)) < p["share_meters_failed"]
    links = np.array([np.nan, np.nan, 1.0, 1.0, 10.0, 10.0, 25.0, 100.0])
    sites = world.sites.extend(
        len(of),
        operator=operator,
        city=people.city[operator],
        street=people.street[operator],
        house=house,
        base_kw=np.where(loud, rng.uniform(0.0, p["office_kw_most"], len(of)), 0.0),
        meter_scale=np.where(failed, rng.uniform(p["failed_meter_low"], p["failed_meter_high"], len(of)), 1.0),
        interconnect=links[rng.integers(0, len(links), len(of))],
    )
    return sites, of


def _days(world: World, chip: Ints, holder: Ints) -> Ints:
    """Days of purchase, later ones more likely, after each chip came to be sold and each company was founded."""
    p = parameters()
    first = np.maximum(
        world.as_of - int(p["history_days"]), world.goods.released[chip] + int(p["first_sale_after_release_days"])
    )
    founded = np.where(world.people.kind[holder] == COMPANY, world.people.born[holder], first)
    first = np.maximum(first, founded + 10)
    last = world.as_of - int(p["last_purchase_days"])
    late = np.sqrt(world.rng.random(len(chip)))
    day: Ints = (first + late * np.maximum(last - first, 1)).astype(np.int64)
    return day


def _moves(
    world: World,
    lots: Ints,
    free: Flags,
    slot: Ints,
    sites: Ints,
    site_holder: Ints,
    holders: Ints,
    day: Ints,
    holder: Ints,
) -> None:
    """Some lots are sold on to another small holder; some are brought to another site of their own holder."""
    p = parameters()
    rng = world.rng
    room = world.as_of - day - int(p["held_before_move_days"])
    able = free & (room > int(p["last_purchase_days"]))
    when = day + int(p["held_before_move_days"]) + (rng.random(len(lots)) * np.maximum(room - 30, 1)).astype(np.int64)
    chance = rng.random(len(lots))
    sold = np.flatnonzero(able & (chance < p["share_lots_resold"]))
    to_site = rng.integers(0, len(sites), len(sold))
    other = holders[site_holder[to_site]]
    # nobody buys before it is founded
    founded = world.people.born[other] * (world.people.kind[other] == COMPANY)
    kept = (other != holder[sold]) & (founded < when[sold])
    sold, to_site, other = sold[kept], to_site[kept], other[kept]
    world.moves.extend(len(sold), lot=lots[sold], day=when[sold], holder=other, site=sites[to_site], kind=RESALE)
    moved = np.flatnonzero(
        able & (chance >= p["share_lots_resold"]) & (chance < p["share_lots_resold"] + p["share_lots_moved"])
    )
    first = np.searchsorted(site_holder, slot[moved])
    several = np.searchsorted(site_holder, slot[moved], side="right") - first
    target = sites[first + (rng.random(len(moved)) * several).astype(np.int64)]
    world.moves.extend(len(moved), lot=lots[moved], day=when[moved], holder=holder[moved], site=target, kind=MOVE)


def add_ordinary_owners(world: World) -> None:
    """About one recorded holder and one officer a company: persons mostly, companies, trusts; some with none recorded.

    A company is owned by companies of an earlier row only, so that no circle comes about by chance.
    """
    p = parameters()
    rng, people = world.rng, world.people
    free = np.ones(len(people), np.bool_)
    free[np.fromiter(world.claimed, np.int64)] = False
    companies = np.flatnonzero(free & (people.kind == COMPANY))
    mix = np.array([p["share_no_owner"], p["share_one_owner"], p["share_two_owners"], p["share_three_owners"]])
    owners = draw(rng, mix, len(companies))
    owned = np.repeat(companies, owners)
    of = np.repeat(owners, owners)
    order = np.arange(len(owned)) - np.repeat(np.cumsum(owners) - owners, owners)
    kind = np.array([PERSON, COMPANY, TRUST, AGENCY])[
        draw(
            rng,
            np.array([p["owner_persons"], p["owner_companies"], p["owner_trusts"], p["owner_agencies"]]),
            len(owned),
        )
    ]
    owner = _near_owners(world, owned, kind, free)
    share = _shares(rng, of, order, np.repeat(rng.uniform(0.5, p["share_of_larger_most"], len(companies)), owners))
    nominee = (kind == PERSON) & (of == 1) & (rng.random(len(owned)) < p["share_honest_nominees"])
    behalf = np.where(nominee, owner, NONE)
    professionals = _professionals(world)
    owner = np.where(nominee, professionals[rng.integers(0, len(professionals), len(owned))], owner)
    # nobody is drawn twice as an owner of one company
    _, pair = group(owned, owner)
    kept = np.zeros(len(owner), np.bool_)
    kept[np.unique(pair, return_index=True)[1]] = True
    kept &= owner != NONE
    since = people.born[owned]
    world.edges.extend(
        int(kept.sum()),
        owner=owner[kept],
        owned=owned[kept],
        share=share[kept],
        interest=np.where(nominee, NOMINEE, SHAREHOLDING)[kept],
        since=since[kept],
        behalf=behalf[kept],
    )
    _cross_holdings(world, owned[kept], owner[kept])
    _former_owners(world, owned[kept])
    _officers(world, companies, owned[kept], owner[kept], professionals)
    _homes(world, owned[kept], owner[kept], order[kept])


def _shares(rng: np.random.Generator, of: Ints, order: Ints, larger: Floats) -> Floats:
    """Shares of one, two or three owners: a sole owner has mostly all; of two, the first has ``larger``; three have alike."""
    p = parameters()
    whole = rng.random(len(of)) < p["share_sole_owners_of_all"]
    sole = np.where(whole, 1.0, rng.uniform(p["share_sole_least"], 1.0, len(of)))
    alike = np.where(order == 0, 1 - (of - 1) * np.round(1 / of, 2), np.round(1 / of, 2))
    of_two = np.where(order == 0, larger, 1 - larger)
    return np.choose(of - 1, [sole, of_two, alike]).round(2)


def _near_owners(world: World, owned: Ints, kind: Ints, free: Flags) -> Ints:
    """An owner of a kind for every company, of its country; a company's owner stands in an earlier row."""
    people = world.people
    _, of_city = country_of_city()
    country = of_city[people.city]
    owner = np.full(len(owned), NONE)
    for one_kind in (PERSON, COMPANY, TRUST, AGENCY):
        pool = np.flatnonzero(free & (people.kind == one_kind))
        pool = pool[np.argsort(country[pool], kind="stable")]
        mine = np.flatnonzero(kind == one_kind)
        if not len(pool) or not len(mine):
            continue
        first = np.searchsorted(country[pool], country[owned[mine]])
        stop = np.searchsorted(country[pool], country[owned[mine]], side="right")
        if one_kind == COMPANY:
            # rows of one country stand in order, so those before the company itself are its possible owners
            key = country[pool] * len(people) + pool
            stop = np.searchsorted(key, country[owned[mine]] * len(people) + owned[mine])
        at = first + (world.rng.random(len(mine)) * (stop - first)).astype(np.int64)
        if one_kind == PERSON:
            # most persons own one firm or none, so that the persons of a country take turns; a few own many
            turn = first + _turns(first) % np.maximum(stop - first, 1)
            many = world.rng.random(len(mine)) < parameters()["share_serial_owners"]
            at = np.where(many, at, turn)
        owner[mine] = np.where(stop > first, pool[np.minimum(at, len(pool) - 1)], NONE)
    return owner


def _turns(groups: Ints) -> Ints:
    """The place of every row among those of its group, from 0, in the order of rows."""
    order = np.argsort(groups, kind="stable")
    _, start, size = np.unique(groups[order], return_index=True, return_counts=True)
    turn = np.empty(len(groups), np.int64)
    turn[order] = np.arange(len(groups)) - np.repeat(start, size)
    return turn


def _professionals(world: World) -> Ints:
    """Persons who lend their names to dozens of unrelated companies, as a business."""
    persons = np.flatnonzero(world.people.kind == PERSON)
    persons = persons[~np.isin(persons, np.fromiter(world.claimed, np.int64))]
    count = max(3, round(parameters()["professionals_per_person"] * len(persons)))
    return world.rng.choice(persons, count, replace=False)


def _former_owners(world: World, owned: Ints) -> None:
    """Some shares were another person's before."""
    rng, people = world.rng, world.people
    changed = owned[rng.random(len(owned)) < parameters()["share_former_owners"]]
    persons = np.flatnonzero(people.kind == PERSON)
    age = world.as_of - people.born[changed]
    until = people.born[changed] + (rng.random(len(changed)) * age * 0.9).astype(np.int64)
    world.edges.extend(
        len(changed),
        owner=rng.choice(persons, len(changed)),
        owned=changed,
        share=1.0,
        since=people.born[changed],
        until=until,
    )


def _cross_holdings(world: World, owned: Ints, owner: Ints) -> None:
    """Some companies hold a few per cent of the company that holds them: circles that hide nothing."""
    p = parameters()
    back = (world.people.kind[owner] == COMPANY) & (
        world.rng.random(len(owned)) < p["share_cross_holdings"] / p["owner_companies"]
    )
    share = world.rng.uniform(0.02, p["cross_holding_most"], int(back.sum())).round(3)
    since = np.maximum(world.people.born[owned[back]], world.people.born[owner[back]])
    world.edges.extend(len(share), owner=owned[back], owned=owner[back], share=share, since=since)


def _officers(world: World, companies: Ints, owned: Ints, owner: Ints, professionals: Ints) -> None:
    """An officer a company: its owner where that is a person, a professional, or somebody else."""
    p = parameters()
    rng, people = world.rng, world.people
    persons = np.flatnonzero(people.kind == PERSON)
    who = rng.choice(persons, len(companies))
    person = people.kind[owner] == PERSON
    owner_of = np.full(len(people), NONE)
    owner_of[owned[person]] = owner[person]
    chance = rng.random(len(companies))
    own = (chance < p["share_officer_is_owner"]) & (owner_of[companies] != NONE)
    who = np.where(own, owner_of[companies], who)
    hired = (chance >= p["share_officer_is_owner"]) & (
        chance < p["share_officer_is_owner"] + p["share_officer_is_professional"]
    )
    who = np.where(hired, professionals[rng.integers(0, len(professionals), len(companies))], who)
    recorded = rng.random(len(companies)) < p["share_officers_recorded"]
    world.edges.extend(
        int(recorded.sum()),
        owner=who[recorded],
        owned=companies[recorded],
        interest=OFFICER,
        since=people.born[companies[recorded]],
    )


def _homes(world: World, owned: Ints, owner: Ints, order: Ints) -> None:
    """Some small firms have their seat at their owner's home."""
    people = world.people
    home = (
        (people.kind[owner] == PERSON)
        & (order == 0)
        & (world.rng.random(len(owned)) < parameters()["share_seat_at_home"])
    )
    for column in ("city", "street", "house"):
        getattr(people, column)[owner[home]] = getattr(people, column)[owned[home]]
