"""Location by round-trip time: how far away a chip may be that answers so soon."""

from __future__ import annotations

from typing import Any

from thresher.arrays import Array, namespace
from thresher.checks import at_least_zero, plain
from thresher.countermeasures.parameters import quantities
from thresher.errors import InputError

MEDIA = ("fibre", "vacuum")


def max_distance_km(round_trip_ms: Any, medium: str = "fibre") -> Any:
    """The farthest a chip may stand from a landmark that it answers within ``round_trip_ms``: d = v RTT / 2.

    In fibre light travels about 200 km/ms, so 100 km for each millisecond of round trip; in vacuum about 300, a bound that
    nothing beats. It bounds only from above: a slow answer says nothing of where a chip is.

    Raises
    ------
    InputError
        A round trip below zero, or an unknown medium.
    """
    if medium not in MEDIA:
        raise InputError("medium", f"one of {', '.join(MEDIA)}", medium)
    time = at_least_zero("round_trip_ms", round_trip_ms)
    return plain(distance_bound_km(time, quantities()[f"light_km_per_ms_{medium}"].value))


def distance_bound_km(round_trip_ms: Array, light_km_per_ms: Array) -> Array:
    """d = v RTT / 2."""
    return 0.5 * round_trip_ms * light_km_per_ms


def contradiction_share(resolution_km: Array, displacement_km: Array) -> Array:
    """The share of displaced chips whose answer contradicts where they are declared: displacements exponential, mean as given."""
    xp = namespace(resolution_km, displacement_km)
    return xp.exp(-(resolution_km / displacement_km))
