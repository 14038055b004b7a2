"""Synchronisation: seconds and traffic of exchanging pseudo-gradients, one function per topology.

Every function takes the payload that one member contributes, in bits, and returns an ``Exchange``. Uplink and downlink may
differ; times exclude coordination and stragglers, which ``training`` adds alike to all. One member exchanges nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from thresher.arrays import Array, namespace


class Exchange(NamedTuple):
    """One synchronisation as a member sees it: seconds, bits sent, bits received, and members whose updates count."""

    seconds: Array
    sent_bits: Array
    received_bits: Array
    members_counted: Array


class Path(NamedTuple):
    """A member's way to the others: seconds per bit up and down (see ``links``), and the round trip in seconds."""

    up_seconds_per_bit: Array
    down_seconds_per_bit: Array
    round_trip_seconds: Array


class Aggregator(NamedTuple):
    """What stands between members: a hub's own link, a store's delay, and the most members whose updates are gathered."""

    hub_seconds_per_bit: Array
    store_seconds: Array
    gather_members: Array


def summed_payload_bits(
    payload_bits: Array,
    params: Array,
    members: Array,
    *,
    densified_index_bits: Array,
    densified_value_bits: Array,
    dense_update_bits: Array,
) -> Array:
    """Bits of the sum of ``members`` compressed updates.

    Above ``dense_update_bits`` a parameter the update is dense and its sum is no larger. Below, it is taken as top-k: a kept
    value costs its bits and its index, so a share k of values is kept, and the union of independent choices,
    1 - (1 - k)^members, is what the sum must carry, at most a dense sum (model notes D3a; SparseLoCo, arXiv 2508.15706).
    """
    xp = namespace(payload_bits, params, members)
    bits = payload_bits / params
    per_value = densified_index_bits + densified_value_bits
    kept = xp.minimum(bits / per_value, 1.0 + 0.0 * bits)
    union = 1.0 - xp.exp(members * xp.log(xp.maximum(1.0 - kept, 1e-12 + 0.0 * kept)))
    summed = xp.minimum(union * per_value, dense_update_bits + 0.0 * bits)
    return params * xp.maximum(bits, summed)


def ring(payload_bits: Array, summed_bits: Array, members: Array, path: Path, aggregator: Aggregator) -> Exchange:  # noqa: ARG001
    """Ring all-reduce: 2 (M - 1) / M payloads through the slower direction, and 2 (M - 1) one-way latencies.

    Patarasu and Yuan 2009. The reduce phase passes partial sums, the gather phase the finished ones; sparse payloads densify
    as they are summed, which is charged to the gather phase.
    """
    xp = namespace(payload_bits, members)
    share = (members - 1.0) / members
    bits = share * (payload_bits + summed_bits)
    slower = xp.maximum(path.up_seconds_per_bit, path.down_seconds_per_bit)
    return Exchange(bits * slower + (members - 1.0) * path.round_trip_seconds, bits, bits, members)


def hub(payload_bits: Array, summed_bits: Array, members: Array, path: Path, aggregator: Aggregator) -> Exchange:
    """A parameter server: members send to a hub that sums and sends back; its own link carries all of them.

    max(V/up, M V/S) + max(V'/down, M V'/S) + round trip, with S the hub's rate each way and V' the densified sum.
    """
    xp = namespace(payload_bits, members)
    several = xp.astype(members > 1, xp.float64)
    up = xp.maximum(payload_bits * path.up_seconds_per_bit, members * payload_bits * aggregator.hub_seconds_per_bit)
    down = xp.maximum(summed_bits * path.down_seconds_per_bit, members * summed_bits * aggregator.hub_seconds_per_bit)
    return Exchange(
        several * (up + down + path.round_trip_seconds), several * payload_bits, several * summed_bits, members
    )


def relay(payload_bits: Array, summed_bits: Array, members: Array, path: Path, aggregator: Aggregator) -> Exchange:
    """A store that aggregates at any fan-in: V/up, then V'/down of the densified sum, two round trips and the store's delay."""
    xp = namespace(payload_bits, members)
    several = xp.astype(members > 1, xp.float64)
    seconds = (
        payload_bits * path.up_seconds_per_bit
        + summed_bits * path.down_seconds_per_bit
        + 2.0 * path.round_trip_seconds
        + aggregator.store_seconds
    )
    return Exchange(several * seconds, several * payload_bits, several * summed_bits, members)


def gather(payload_bits: Array, summed_bits: Array, members: Array, path: Path, aggregator: Aggregator) -> Exchange:  # noqa: ARG001
    """A store without sums: every member uploads once and downloads each selected member's update (arXiv 2603.08163, section 3).

    V/up + (R - 1) V/down + two round trips and the store's delay, with R the smaller of M and the selection cap; what the
    others computed in that round is lost.
    """
    xp = namespace(payload_bits, members)
    several = xp.astype(members > 1, xp.float64)
    selected = xp.minimum(members, aggregator.gather_members + 0.0 * members)
    received = xp.maximum(selected - 1.0, 0.0 * members) * payload_bits
    seconds = (
        payload_bits * path.up_seconds_per_bit
        + received * path.down_seconds_per_bit
        + 2.0 * path.round_trip_seconds
        + aggregator.store_seconds
    )
    return Exchange(several * seconds, several * payload_bits, received, selected)


TOPOLOGIES: dict[str, Callable[[Array, Array, Array, Path, Aggregator], Exchange]] = {
    "ring": ring,
    "hub": hub,
    "relay": relay,
    "gather": gather,
}


class Round(NamedTuple):
    """One outer round: its seconds, the stall in it, and how late the outer update arrives, in rounds."""

    seconds: Array
    stall_seconds: Array
    delay_rounds: Array


def blocking_round(compute_seconds: Array, sync_seconds: Array) -> Round:
    """Compute, then wait for the whole synchronisation."""
    return Round(compute_seconds + sync_seconds, sync_seconds, 0.0 * compute_seconds)


def overlapped_round(compute_seconds: Array, sync_seconds: Array, *, fragments: Array, duty_cap: Array) -> Round:
    """Synchronise in fragments while computing (Douillard et al. 2025, arXiv 2501.18512).

    One fragment is in flight at a time, so all of them must fit in the round's share of the link; what does not fit stalls.
    A fragment's update arrives one fragment's transfer late, ``sync / fragments`` seconds, so few fragments mean stale updates.
    """
    xp = namespace(compute_seconds, sync_seconds)
    seconds = xp.maximum(compute_seconds, sync_seconds / duty_cap)
    return Round(seconds, seconds - compute_seconds, sync_seconds / fragments / seconds)
