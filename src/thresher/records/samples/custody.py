"""What happened to every chip: made, sold, installed, moved, repaired, destroyed; and where each lot stayed from when to when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.records.samples._tables import NONE, Columns, Flags, Floats, Ints, parameters
from thresher.records.samples.world import FOREVER, MOVE, REBORN, RESALE, SALE_UNREPORTED, UNKNOWN_TO_REGISTER, World

EVENTS = ("commission", "sale", "transfer", "install", "remove", "repair", "decommission", "destroy")
COMMISSION, SALE, TRANSFER, INSTALL, REMOVE, REPAIR, DECOMMISSION, DESTROY = range(8)
DAY_S = 86_400
_SECONDS_OF_A_LOT = 240
BUCKET_DAYS = 30
"""Distributors buy for a month at a time."""


class Stays(NamedTuple):
    """Where lots stayed: a row is a lot at one holder's site from one day to another (``FOREVER``: still)."""

    lot: Ints
    holder: Ints
    site: Ints
    since: Ints
    until: Ints


class LotEvents(NamedTuple):
    """What happened to whole lots: day, event, from and to whom, where, and whether it was announced in time."""

    lot: Ints
    day: Ints
    event: Ints
    giver: Ints
    taker: Ints
    site: Ints
    noticed: Floats


class ChipEvents(NamedTuple):
    """What happened to chips: the serial's number, the second, and who and where; ``notified`` is a day or ``NONE``."""

    serial: Ints
    second: Ints
    event: NDArray[np.int8]
    giver: NDArray[np.int32]
    taker: NDArray[np.int32]
    site: NDArray[np.int32]
    notified: NDArray[np.int32]


def wholesale_day(day: Ints) -> Ints:
    """The day on which a seller bought what it sold on ``day``: the first of the period twenty days before."""
    return (day - 20) // BUCKET_DAYS * BUCKET_DAYS


def made_on(world: World, lots: Columns) -> Ints:
    """The day each lot left the fab: some weeks before its seller bought it, and not before the type was released."""
    wholesale = wholesale_day(lots["day"])
    made = wholesale - world.rng.integers(20, 140, len(wholesale))
    made = np.maximum(made, world.goods.released[lots["chip"]])
    before: Ints = np.minimum(made, wholesale - 1)
    return before


def follow_lots(world: World, lots: Columns) -> tuple[LotEvents, Stays]:
    """The events of every lot in order, and its stays.

    A chip is commissioned by its maker, sold to a distributor (and a reseller), sold to its holder and installed; later it
    may be sold on, brought elsewhere, or destroyed. Events after the last day of the records are left out.
    """
    rng = world.rng
    number = np.arange(len(lots["day"]))
    day, holder, site = lots["day"], lots["holder"], lots["site"]
    makers = np.array([world.makers[name] for name in world.goods.makers])[lots["chip"]]
    known = lots["seen"] != UNKNOWN_TO_REGISTER
    own = lots["clone_of"] == NONE
    reported = lots["seen"] < SALE_UNREPORTED
    wholesale = wholesale_day(day)
    direct = lots["seller"] == makers
    first = np.where(lots["via"] >= 0, lots["via"], lots["seller"])
    installed = day + rng.integers(2, 16, len(day))
    none = np.full(len(day), NONE)
    unasked = np.full(len(day), np.nan)
    noticed = lots["noticed"]
    events = [
        (known & own, lots["made"], COMMISSION, none, makers, none, unasked),
        (known & own & ~direct, wholesale, SALE, makers, first, none, unasked),
        (known & own & (lots["via"] >= 0), wholesale + 7, SALE, first, lots["seller"], none, unasked),
        (reported, day, SALE, lots["seller"], holder, none, noticed),
        (reported & lots["installed"], installed, INSTALL, none, holder, site, unasked),
    ]
    parts = [
        LotEvents(number[mask], when[mask], np.full(int(mask.sum()), what), *(one[mask] for one in rest))
        for mask, when, what, *rest in events
    ]
    stays = [Stays(number, holder, site, installed, np.full(len(day), FOREVER))]
    moved, more = _follow_moves(world, lots, reported)
    parts += moved
    stays += more
    gone = np.flatnonzero(reported & (lots["destroyed"] < FOREVER))
    end, who, where = lots["destroyed"][gone], holder[gone], site[gone]
    nobody, silent = np.full(len(gone), NONE), np.full(len(gone), np.nan)
    parts.append(LotEvents(gone, end, np.full(len(gone), DECOMMISSION), nobody, who, where, silent))
    parts.append(LotEvents(gone, end + 6, np.full(len(gone), DESTROY), who, nobody, nobody, silent))
    together = LotEvents(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    past = together.day < world.as_of
    return LotEvents._make(column[past] for column in together), _close(stays, lots["destroyed"])


def _follow_moves(world: World, lots: Columns, reported: Flags) -> tuple[list[LotEvents], list[Stays]]:
    """The events and stays of moves; of several moves of a lot, each starts where the one before ended."""
    moves = world.moves.columns()
    order = np.lexsort((moves["day"], moves["lot"]))
    lot, day, holder, site, kind = (moves[name][order] for name in ("lot", "day", "holder", "site", "kind"))
    again = np.diff(lot, prepend=-1) == 0
    before = np.where(again, np.roll(holder, 1), lots["holder"][lot])
    place = np.where(again, np.roll(site, 1), lots["site"][lot])
    noticed = lots["noticed"][lot]
    # an evader's sites pass their chips on all at once, so that none holds two lots
    soon = np.where(np.isnan(noticed), day + 1 + world.rng.integers(1, 12, len(lot)), day + 2)
    arrives = np.where(kind == REBORN, day + world.rng.integers(60, 150, len(lot)), soon)
    none, unasked = np.full(len(lot), NONE), np.full(len(lot), np.nan)
    shown = reported[lot]
    steps = [
        (shown & (kind != REBORN), day, REMOVE, none, before, none, unasked),
        (shown & (kind == RESALE), day + 1, SALE, before, holder, none, noticed),
        (shown & (kind == MOVE), day + 1, TRANSFER, before, holder, site, noticed),
        (shown & (kind == REBORN), day, DESTROY, before, none, place, unasked),
        (shown, arrives, INSTALL, none, holder, site, unasked),
    ]
    events = [
        LotEvents(lot[mask], when[mask], np.full(int(mask.sum()), what), *(one[mask] for one in rest))
        for mask, when, what, *rest in steps
    ]
    return events, [Stays(lot, holder, site, arrives, np.full(len(lot), FOREVER))]


def present(stays: Stays, day: int) -> Flags:
    """Which stays last on a day."""
    return (stays.since <= day) & (stays.until > day)


def _close(parts: list[Stays], destroyed: Ints) -> Stays:
    """End each stay where the next of its lot begins, or where the lot is destroyed."""
    stays = Stays(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((stays.since, stays.lot))
    stays = Stays(*(column[order] for column in stays))
    follows = np.append(np.diff(stays.lot) == 0, False)
    until = np.where(follows, np.roll(stays.since, -1), FOREVER)
    return stays._replace(until=np.minimum(until, destroyed[stays.lot]))


def number_serials(lots: Columns) -> tuple[Ints, Ints]:
    """The first serial of every lot, and for every lot how many serials it has of its own.

    A cloned lot has none: its chips carry those of the lot it copies, as far as they go, and further ones of its own.
    """
    count = lots["count"]
    copied = np.where(lots["clone_of"] >= 0, np.minimum(count, count[lots["clone_of"]]), 0)
    own = count - copied
    # numbers run with the days of sale, as a maker gives them
    order = np.argsort(lots["day"], kind="stable")
    first = np.empty_like(own)
    first[order] = np.cumsum(own[order]) - own[order]
    return first, own


def chips_of_lots(lots: Columns) -> tuple[Ints, Ints, Ints]:
    """Every physical chip, lot by lot: its lot and its serial's number; and where each lot's chips begin."""
    first, own = number_serials(lots)
    count = lots["count"]
    lot = np.repeat(np.arange(len(count)), count)
    start = np.cumsum(count) - count
    position = np.arange(len(lot)) - start[lot]
    copied = (count - own)[lot]
    original = lots["clone_of"][lot]
    serial = np.where(position < copied, first[original] + position, first[lot] + position - copied)
    return lot, serial, start


def expand(world: World, lots: Columns, events: LotEvents, stays: Stays) -> tuple[ChipEvents, dict[str, Ints]]:
    """The events of chips from those of their lots, with repairs of single chips and the honest mistakes of registers.

    Returns
    -------
    The events, by time; and by kind, as positions in them, the honest mistakes and the planted changes of hands that
    nobody announced in time.
    """
    rng = world.rng
    _, serial, start = chips_of_lots(lots)
    count = lots["count"][events.lot]
    row = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    hour = rng.integers(6, 18, len(count)) * 3600 + rng.integers(0, 3600, len(count))
    repairs, chip, second = _repairs(world, lots, stays, start)
    none = np.full(len(repairs), NONE)
    made = ChipEvents(
        np.concatenate([serial[start[events.lot[row]] + place], serial[chip]]),
        np.concatenate([(events.day * DAY_S + hour)[row] + place % _SECONDS_OF_A_LOT, second]),
        np.concatenate([events.event[row], np.full(len(repairs), REPAIR)]).astype(np.int8),
        np.concatenate([events.giver[row], none]).astype(np.int32),
        np.concatenate([events.taker[row], stays.holder[repairs]]).astype(np.int32),
        np.concatenate([events.site[row], stays.site[repairs]]).astype(np.int32),
        np.concatenate([_notices(rng, events)[row], none]).astype(np.int32),
    )
    of_evader = lots["actor"] != NONE
    planted = np.concatenate([of_evader[events.lot][row], of_evader[stays.lot[repairs]]])
    theirs = np.concatenate(
        [(of_evader[events.lot] & ~np.isnan(events.noticed))[row], np.zeros(len(repairs), np.bool_)]
    )
    # one event in some hundred never reached the register
    lost = ~planted & (made.event > SALE) & (rng.random(len(planted)) < parameters()["share_events_missing"])
    order = np.argsort(made.second, kind="stable")
    order = order[~lost[order]]
    made = ChipEvents._make(column[order] for column in made)
    return _slip(rng, made, planted[order], theirs[order], int(serial.max()))


def _slip(
    rng: np.random.Generator, made: ChipEvents, planted: Flags, theirs: Flags, last_serial: int
) -> tuple[ChipEvents, dict[str, Ints]]:
    """Honest slips: a serial number mistyped, a repair entered as a destruction; and who did not announce a change of hands."""
    p = parameters()
    size = len(planted)
    mistyped = np.flatnonzero(~planted & (made.event > COMMISSION) & (rng.random(size) < p["share_serials_mistyped"]))
    made.serial[mistyped] = np.minimum(made.serial[mistyped] + rng.choice([1, 10, 100], len(mistyped)), last_serial)
    # a chip that stands in a rack is taken for one that was scrapped
    repaired = ~planted & (made.event == REPAIR)
    scrapped = np.flatnonzero(repaired & (rng.random(size) < p["share_repairs_taken_for_scrap"]))
    made.event[scrapped] = DESTROY
    ahead = made.second // DAY_S - made.notified
    late = np.isin(made.event, (SALE, TRANSFER)) & ((made.notified == NONE) | (ahead < p["notice_days_low"]))
    return made, {
        "serials_mistyped": mistyped,
        "destroyed_by_mistake": scrapped,
        "without_notice": np.flatnonzero(late & ~theirs),
        "planted_without_notice": np.flatnonzero(late & theirs),
    }


def _notices(rng: np.random.Generator, events: LotEvents) -> Ints:
    """The day each change of hands was announced; honest parties announce most, and most of these in time."""
    p = parameters()
    asked = np.isin(events.event, (SALE, TRANSFER))
    size = len(asked)
    honest = np.isnan(events.noticed)
    chance = np.where(honest, p["share_noticed"], np.nan_to_num(events.noticed))
    given = asked & (rng.random(size) < chance)
    ahead = rng.integers(int(p["notice_days_low"]), int(p["notice_days_high"]), size)
    late = rng.random(size) < p["share_notices_late"]
    ahead = np.where(late, rng.integers(-10, int(p["notice_days_low"]), size), ahead)
    return np.where(given, events.day - ahead, NONE)


def _repairs(world: World, lots: Columns, stays: Stays, start: Ints) -> tuple[Ints, Ints, Ints]:
    """Repairs of single chips while they stay somewhere: the stay, the chip, the second."""
    rng = world.rng
    until = np.minimum(stays.until, world.as_of)
    length = np.maximum(until - stays.since - 10, 0)
    shown = (lots["seen"][stays.lot] < SALE_UNREPORTED) & lots["installed"][stays.lot]
    mean = lots["count"][stays.lot] * length / 365 * parameters()["repairs_per_chip_year"] * shown
    times = rng.poisson(mean)
    stay = np.repeat(np.arange(len(times)), times)
    lot = stays.lot[stay]
    chip = start[lot] + (rng.random(len(stay)) * lots["count"][lot]).astype(np.int64)
    day = stays.since[stay] + 5 + (rng.random(len(stay)) * length[stay]).astype(np.int64)
    return stay, chip, day * DAY_S + rng.integers(7 * 3600, 18 * 3600, len(stay))
