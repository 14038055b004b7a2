"""Where things are: cities, the distances between them, and the landmarks that ping."""

from __future__ import annotations

from functools import cache

import numpy as np

from thresher.records.samples._tables import Floats, Ints, numbers, rows

EARTH_RADIUS_KM = 6371.0088


def great_circle_km(latitude: Floats, longitude: Floats, other_latitude: Floats, other_longitude: Floats) -> Floats:
    """The distance between points on the sphere by the haversine formula; degrees in, kilometres out, any shapes."""
    a, b, c, d = (np.radians(one) for one in (latitude, longitude, other_latitude, other_longitude))
    chord = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def coordinates() -> tuple[Floats, Floats]:
    """Latitude and longitude of every city, in degrees."""
    return numbers("places", "latitude"), numbers("places", "longitude")


@cache
def distances_km() -> Floats:
    """Distances between all cities."""
    latitude, longitude = coordinates()
    return great_circle_km(latitude[:, None], longitude[:, None], latitude[None], longitude[None])


def landmarks() -> tuple[list[str], Ints]:
    """The landmarks, and the row of the city that each stands in."""
    at = [number for number, row in enumerate(rows("places")) if row["landmark"]]
    return [rows("places")[number]["landmark"] for number in at], np.array(at)
