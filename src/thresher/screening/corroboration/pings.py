"""Pings: whether a round trip is too short for the place that the records state. It may contradict; it never confirms.

A signal that comes back after t has been at most v t / 2 away, so a site farther from the landmark than that is not
where the records have it. A round trip that fits says nothing: a slow answer may come from anywhere near.

Where a site answered, the stated place is the site's, and its operator vouches for it. Where a chip answered, it is the
site of the chip's last custody event before, and who then held the chip vouches for it, or else the site's operator.
"""

from __future__ import annotations

from typing import TypeVar

import ibis

from thresher.screening.corroboration.common import (
    Period,
    as_citations,
    from_first_level,
    in_words,
    name_in_words,
    quantities,
    with_entity,
    worst_first,
)
from thresher.screening.engine import Engine, Findings

FINDING = "ping_contradicts_site"

Number = TypeVar("Number", float, ibis.Value)


def farthest_km(round_trip_ms: Number, light_km_per_ms: float) -> Number:
    """The farthest that an answer can come from: d = v t / 2, with t in ms and v in km/ms.

    In fibre 1 ms is 100 km (v about 200 km/ms), in vacuum, which nothing beats, 150 km (v = 299.79 km/ms).
    """
    return round_trip_ms * (light_km_per_ms / 2)


def great_circle_km(
    latitude: ibis.Value,
    longitude: ibis.Value,
    other_latitude: ibis.Value,
    other_longitude: ibis.Value,
    radius_km: float,
) -> ibis.Value:
    """Distance on a sphere between two points in degrees: the haversine formula (Sinnott 1984).

    d = 2 R asin(sqrt(sin^2(dphi / 2) + cos(phi1) cos(phi2) sin^2(dlambda / 2))), from 0 to pi R.
    """
    half_latitude = ((other_latitude - latitude) / 2).radians().sin()
    half_longitude = ((other_longitude - longitude) / 2).radians().sin()
    across = latitude.radians().cos() * other_latitude.radians().cos() * half_longitude * half_longitude
    return (half_latitude * half_latitude + across).clip(0.0, 1.0).sqrt().asin() * (2 * radius_km)


def corroborate_pings(engine: Engine, period: Period) -> Findings:
    """Finding ``ping_contradicts_site``, of entities that a landmark could place.

    The strength counts the site, landmark and day for which some round trip is too short for fibre; one too short even
    for light in vacuum counts ``hard_contradiction_weight`` times. The error of the clock is added to the round trip,
    that of the places and of the sphere is taken off the distance. A landmark that contradicts most of those it asks is
    not believed.
    """
    judged = engine.keep("corroborated_pings", _without_doubtful_landmarks(_judged(_placed(engine, period))))
    extra = quantities()["hard_contradiction_weight"].value - 1
    by_day = judged.group_by("entity", "site", "landmark", day=judged.at.date()).agg(
        short=judged.short.any(), hard=judged.hard.any(), pings=judged.count()
    )
    counted = by_day.group_by("entity").agg(
        looks=by_day.pings.sum(), short=by_day.short.cast("int64").sum(), hard=by_day.hard.cast("int64").sum()
    )
    shortest = worst_first(judged.mutate(strength=judged.shortfall_km), "site", "landmark", "row_id")
    shortest = shortest.filter(shortest.place == 0).select("entity", "site", "landmark", "stated_km", "fibre_km")
    worst = counted.join(shortest, "entity")
    contradicted = (
        "Round trips too short for the stated place: "
        + in_words(worst.short) + " by site, landmark and day (" + in_words(worst.hard)
        + " even for light in vacuum); the worst, from " + name_in_words(worst.landmark) + " to site "
        + name_in_words(worst.site) + ", allows " + in_words(worst.fibre_km) + " km of the stated "
        + in_words(worst.stated_km) + " km."
    )  # fmt: skip
    silent = (
        "None of "
        + in_words(worst.looks)
        + " round trips is too short for the stated place, which does not confirm it."
    )
    findings = worst.select(
        "entity",
        finding=ibis.literal(FINDING),
        strength=(worst.short + extra * worst.hard).cast("float64"),
        detail=ibis.ifelse(worst.short > 0, contradicted, silent),
    )
    contradicting = judged.filter(judged.short).mutate(finding=ibis.literal(FINDING))
    sites = contradicting.select("entity", "finding", "site").distinct()
    return Findings(
        from_first_level(findings),
        ibis.union(
            as_citations(contradicting, "pings"), as_citations(sites.join(_last_of_site(engine), "site"), "sites")
        ),
    )


def _last_of_site(engine: Engine) -> ibis.Table:
    """``site, site_latitude, site_longitude, row_id``: a site entered twice is where its last row has it."""
    sites = engine.table("sites")
    latest = ibis.row_number().over(ibis.window(group_by="site", order_by=ibis.desc("row_id")))
    sites = sites.mutate(age=latest)
    return sites.filter(sites.age == 0).select("site", "row_id", site_latitude="latitude", site_longitude="longitude")


def _placed(engine: Engine, period: Period) -> ibis.Table:
    """The round trips of the look-back with the site they came from, its coordinates, and the entity that vouches for it."""
    pings = engine.table("pings")
    pings = pings.filter(pings.at >= ibis.literal(period.start).cast("timestamp"), pings.rtt_ms > 0)
    pings = pings.filter(pings.at < ibis.literal(period.end).cast("timestamp"))
    columns = ["row_id", "landmark", "latitude", "longitude", "rtt_ms", "at"]
    of_sites = pings.filter(pings.site.notnull()).select(*columns, "site", party=ibis.null("string"))
    of_chips = pings.filter(pings.site.isnull(), pings.serial.notnull())
    where = _custody_at(engine, of_chips, period)
    of_chips = of_chips.select(*columns).join(where, "row_id")
    placed = with_entity(engine, of_sites.union(of_chips.select(of_sites.columns)), "party")
    placed = placed.join(_last_of_site(engine).drop("row_id"), "site")
    operators = engine.table("sites_resolved")
    placed = placed.left_join(operators, "site").drop("site_right")
    placed = placed.mutate(entity=ibis.coalesce(placed.entity, placed.operator_entity))
    return placed.filter(placed.entity.notnull(), placed.site_latitude.notnull(), placed.site_longitude.notnull())


def _custody_at(engine: Engine, asked: ibis.Table, period: Period) -> ibis.Table:
    """``row_id, site, party``: where the custody has each chip when it answered, and with whom.

    The site is that of the last event, and unknown where that names none or destroyed the chip; the holder is the last
    that any event names. One sorted pass over events and questions together: each question carries the number of events
    before it, and the rows of that number hold one event.
    """
    custody = engine.table("custody")
    custody = custody.filter(custody.at < ibis.literal(period.end).cast("timestamp")).semi_join(asked, "serial")
    site = ibis.ifelse(custody.event == "destroy", None, custody.site)
    events = custody.select("serial", "at", "row_id", site=site, party="to_party", question=ibis.literal(0))
    questions = asked.select(
        "serial", "at", "row_id", site=ibis.null("string"), party=ibis.null("string"), question=ibis.literal(1)
    )
    both = events.union(questions)
    so_far = ibis.window(group_by="serial", order_by=["at", "question", "row_id"], preceding=None, following=0)
    both = both.mutate(
        events=(1 - both.question).sum().over(so_far), holders=both.party.notnull().cast("int64").sum().over(so_far)
    )
    both = both.mutate(
        site=both.site.max().over(ibis.window(group_by=["serial", "events"])),
        party=both.party.max().over(ibis.window(group_by=["serial", "holders"])),
    )
    return both.filter(both.question == 1, both.site.notnull()).select("row_id", "site", "party")


def _judged(placed: ibis.Table) -> ibis.Table:
    """Round trips with the stated distance, what it would have to lie within, and whether it is too far."""
    given = quantities()
    stated = great_circle_km(
        placed.latitude, placed.longitude, placed.site_latitude, placed.site_longitude, given["earth_radius_km"].value
    )
    placed = placed.mutate(stated_km=stated)
    certain = placed.stated_km * (1 - given["sphere_error"].value) - given["place_error_km"].value
    time = placed.rtt_ms + given["round_trip_error_ms"].value
    fibre = farthest_km(time, given["light_km_per_ms_fibre"].high)
    return placed.mutate(
        fibre_km=fibre,
        shortfall_km=placed.stated_km - fibre,
        short=certain > fibre,
        hard=certain > farthest_km(time, given["light_km_per_ms_vacuum"].value),
    )


def _without_doubtful_landmarks(judged: ibis.Table) -> ibis.Table:
    """The round trips of landmarks that do not contradict most of those they ask: such a one stands elsewhere itself."""
    given = quantities()
    place = ["landmark", "latitude", "longitude"]
    by_entity = judged.group_by(*place, "entity").agg(short=judged.short.any())
    landmarks = by_entity.group_by(*place).agg(asked=by_entity.count(), short=by_entity.short.cast("int64").sum())
    doubtful = landmarks.filter(
        landmarks.asked >= given["doubtful_landmark_entities"].value,
        landmarks.short >= landmarks.asked * given["doubtful_landmark_share"].value,
    )
    return judged.anti_join(doubtful, place)
