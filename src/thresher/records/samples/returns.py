"""What holders and meters return: declarations by quarter, energy by month, and round trips of pings."""

from __future__ import annotations

import numpy as np

from thresher.records.samples._tables import NONE, Columns, Flags, Floats, Ints, group, parameters
from thresher.records.samples.custody import DAY_S, Stays, present
from thresher.records.samples.places import coordinates, great_circle_km, landmarks
from thresher.records.samples.world import DRAWN, World

FIBRE_KM_PER_MS = 200.0
"""Light in glass, about two thirds of its speed in vacuum."""
DAYS_OF_QUARTER = 91


def draw_flag(rng: np.random.Generator, given: Ints, chance: Floats | float) -> Flags:
    """A flag as it is given, or drawn where it is ``DRAWN``."""
    return np.where(given == DRAWN, rng.random(len(given)) < chance, given > 0)


def line_of_sites(world: World, lots: Columns, stays: Stays, sites: int) -> Floats:
    """The most of the rule's line that a site ever held, at the ends of quarters."""
    most = np.zeros(sites)
    for day in _quarters(world):
        here = present(stays, day)
        share = world.goods.line_share[lots["chip"][stays.lot[here]]] * lots["count"][stays.lot[here]]
        most = np.maximum(most, np.bincount(stays.site[here], share, sites))
    return most


def _quarters(world: World) -> list[int]:
    p = parameters()
    last = world.as_of - int(p["declaration_days_before_end"])
    return [last - DAYS_OF_QUARTER * back for back in range(int(p["declared_quarters"]))]


def declare(world: World, lots: Columns, stays: Stays, sites: Columns, site_line: Floats) -> Columns:
    """Declarations: party, site, chip, count, day; those over the line nearly always, those below often.

    Honest slips: a late or missing return, a count that is one off. An evader's site declares a part.
    """
    p = parameters()
    rng = world.rng
    declares = draw_flag(
        rng, sites["declares"], np.where(site_line > 1, p["share_declared_over"], p["share_declared_under"])
    )
    found = []
    for day in _quarters(world):
        here = np.flatnonzero(present(stays, day) & declares[stays.site])
        (who, where, chip), member = group(stays.holder[here], stays.site[here], lots["chip"][stays.lot[here]])
        size = len(who)
        count = np.bincount(member, lots["count"][stays.lot[here]], size)
        count = np.ceil(count * sites["declared_share"][where])
        late = rng.random(size) < p["share_declared_late"]
        lag = np.where(late, rng.integers(20, 75, size), rng.integers(0, 12, size))
        off = rng.random(size) < p["share_declared_off_by_one"]
        count = np.maximum(count + np.where(off, rng.choice([-1, 1], size), 0), 0)
        returned = (rng.random(size) >= p["share_declared_missing"]) & (day + lag < world.as_of)
        found.append(np.column_stack([who, where, chip, count, day + lag, late])[returned])
    party, site, chip, counted, declared, late = np.concatenate(found).astype(np.int64).T
    return {"party": party, "site": site, "chip": chip, "count": counted, "day": declared, "late": late > 0}


def meter(world: World, lots: Columns, stays: Stays, sites: Columns, site_line: Floats) -> tuple[Columns, Floats]:
    """Energy of metered sites by month: chips x draw x use x the rest of the building, and the most that is drawn in kW.

    Returns
    -------
    Site, month (as months since 1970-01), kWh, whether estimated; and for every site its largest draw.
    """
    p = parameters()
    rng = world.rng
    size = len(site_line)
    metered = draw_flag(
        rng, sites["metered"], np.clip(p["share_metered_least"] + site_line, 0, p["share_metered_most"])
    )
    at = np.flatnonzero(metered)
    use = rng.uniform(p["use_low"], p["use_high"], size)
    overhead = rng.uniform(p["overhead_low"], p["overhead_high"], size)
    last = np.datetime64(world.as_of, "D").astype("datetime64[M]")
    months = last.astype(np.int64) - np.arange(int(p["metered_months"]))[::-1]
    kw_of_lot = world.goods.draw_w[lots["chip"]] * lots["count"] / 1000.0
    most = np.zeros(size)
    parts = []
    for month in months:
        first, end = (
            np.datetime64(int(one), "M").astype("datetime64[D]").astype(np.int64) for one in (month, month + 1)
        )
        middle = (first + end) // 2
        here = present(stays, int(middle)) & lots["installed"][stays.lot]
        kw = np.bincount(stays.site[here], kw_of_lot[stays.lot[here]], size)
        most = np.maximum(most, kw)
        monthly = np.clip(use * rng.normal(1.0, p["use_sigma"], size), 0.02, 1.0)
        drawn = (kw * monthly * overhead + sites["base_kw"]) * sites["meter_scale"]
        kwh = drawn * 24.0 * (end - first) + rng.uniform(5, 60, size)
        estimated = rng.random(size) < p["share_readings_estimated"]
        kwh = np.where(estimated, kwh * rng.uniform(0.7, 1.3, size), kwh)
        given = rng.random(len(at)) >= p["share_readings_missing"]
        parts.append(np.column_stack([at, np.full(len(at), month), kwh[at], estimated[at]])[given])
    site, when, kwh, guessed = np.concatenate(parts).T
    power = {
        "site": site.astype(np.int64),
        "month": when.astype(np.int64),
        "kwh": kwh.round(1),
        "estimated": guessed > 0,
    }
    return power, most * overhead + sites["base_kw"]


def ping(world: World, sites: Columns, latitude: Floats, longitude: Floats) -> Columns:
    """Round trips from the nearest landmarks and one other; never faster than light in glass from where the chips stand."""
    p = parameters()
    rng = world.rng
    pinged = np.flatnonzero(draw_flag(rng, sites["pinged"], p["share_pinged"]))
    names, cities = landmarks()
    city_latitude, city_longitude = coordinates()
    away = sites["stands_in"][pinged] != NONE
    true_latitude = np.where(away, city_latitude[sites["stands_in"][pinged]], latitude[pinged])
    true_longitude = np.where(away, city_longitude[sites["stands_in"][pinged]], longitude[pinged])
    distance = great_circle_km(
        true_latitude[:, None], true_longitude[:, None], city_latitude[cities][None], city_longitude[cities][None]
    )
    nearest = int(p["landmarks_near"])
    order = np.argsort(distance, axis=1, kind="stable")
    chosen = np.concatenate(
        [order[:, :nearest], order[np.arange(len(order)), rng.integers(nearest, len(names), len(order))][:, None]], 1
    )
    times = rng.integers(1, int(p["pings_per_site_most"]) + 1, len(pinged))
    row = np.repeat(np.arange(len(pinged)), times)
    site = np.repeat(pinged[row], chosen.shape[1])
    landmark = chosen[row].reshape(-1)
    km = distance[np.repeat(row, chosen.shape[1]), landmark]
    size = len(km)
    path = rng.uniform(p["path_low"], p["path_high"], size)
    rtt = 2.0 * km * path / FIBRE_KM_PER_MS + p["rtt_least_ms"] + rng.exponential(p["rtt_queue_ms"], size)
    day = world.as_of - rng.integers(1, int(p["ping_days"]), len(row))
    second = np.repeat(day * DAY_S + rng.integers(0, DAY_S, len(row)), chosen.shape[1])
    order_in_time = np.argsort(second, kind="stable")
    return {
        "site": site[order_in_time],
        "landmark": landmark[order_in_time],
        "rtt_ms": rtt[order_in_time].round(2),
        "second": second[order_in_time],
    }
