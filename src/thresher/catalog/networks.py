"""Network profiles from one room to the far side of the world, and the round-trip times they are computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from thresher.catalog._tables import look_up, nearest, read_rows, typed
from thresher.errors import InputError


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One node's access to the others: bandwidths in Mbit/s (10^6 bit/s), round trips in ms.

    ``regional_mbps`` and ``regional_round_trip_ms`` are those between nodes of one region, None where the profile has
    no regions. ``round_trip_tier`` and ``round_trip_statistic`` say how ``round_trip_ms`` follows from the measured
    round trips (`round_trips`); the statistic is ``cited`` where it comes from ``round_trip_source`` instead.
    """

    network: str
    name: str
    upload_mbps: float
    download_mbps: float
    round_trip_ms: float
    regional_mbps: float | None
    regional_round_trip_ms: float | None
    bandwidth_source: str
    round_trip_tier: str
    round_trip_statistic: str
    round_trip_source: str
    note: str


@cache
def networks() -> dict[str, NetworkProfile]:
    """All network profiles by id, from the nearest to the farthest."""
    return {row["network"]: typed(NetworkProfile, row) for row in read_rows("networks.csv")}


def network(name: str) -> NetworkProfile:
    """The network profile of that id, in any case of letters; an unknown one is refused with the nearest known."""
    return look_up(networks(), name, "network")


@cache
def within_links(network: NetworkProfile, limit_gbit_s: float | None) -> NetworkProfile:
    """A network whose links stay at or under what a rule counts nodes together by."""
    if limit_gbit_s is None:
        return network
    most = 1e3 * limit_gbit_s
    return replace(
        network,
        upload_mbps=min(network.upload_mbps, most),
        download_mbps=min(network.download_mbps, most),
        regional_mbps=None if network.regional_mbps is None else min(network.regional_mbps, most),
    )


def round_trips(tier: str) -> tuple[float, ...]:
    """The measured round-trip times (ms) of a tier, ascending.

    Parameters
    ----------
    tier
        ``same_region``, ``continental``, ``cross_continental`` or ``global_worst_case``.
    """
    by_tier: dict[str, list[float]] = {}
    for row in read_rows("network_round_trips.csv"):
        by_tier.setdefault(row["tier"], []).append(float(row["rtt_ms"]))
    if tier not in by_tier:
        raise InputError("round-trip tier", f"a known tier{nearest(tier, list(by_tier))}", tier)
    return tuple(sorted(by_tier[tier]))
