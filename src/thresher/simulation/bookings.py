"""What a plan books on its nodes' links, and the paths those links make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from thresher.arrays import Array
from thresher.simulation.layout import Replica
from thresher.simulation.parameters import Columns, Parameters
from thresher.simulation.rounds import Cycle, at_least_one
from thresher.training import failures
from thresher.training import synchronisation as sync
from thresher.training.ledger import Ledger, Link
from thresher.training.links import seconds_per_bit


def internet_path(up_mbps: Array, down_mbps: Array, round_trip_seconds: Array, p: Parameters) -> sync.Path:
    """The way from one node to the others, with what TCP makes of it."""
    tcp = {
        "round_trip_seconds": round_trip_seconds,
        "protocol_efficiency": p["protocol_efficiency"],
        "parallel_flows": p["parallel_flows"],
        "packet_loss": p["tcp_packet_loss"],
        "segment_bytes": p["tcp_segment_bytes"],
        "tcp_loss_constant": p["tcp_loss_constant"],
    }
    return sync.Path(seconds_per_bit(up_mbps, **tcp), seconds_per_bit(down_mbps, **tcp), round_trip_seconds)


def node_ledger(xp: Any, c: Columns) -> Ledger:
    """Two physical links a node: its way out to the internet, and its access line, which regional traffic shares.

    Where the region is no faster than the rest, the access line is the internet line and both kinds of traffic share it.
    """
    access_up = xp.maximum(c["upload_mbps"], c["regional_mbps"])
    access_down = xp.maximum(c["download_mbps"], c["regional_mbps"])
    return Ledger(
        {"wan": Link("wan", c["upload_mbps"], c["download_mbps"]), "access": Link("access", access_up, access_down)}
    )


def book(ledger: Ledger, link: str, purpose: str, *, up_mbps: Array, down_mbps: Array) -> None:
    """Book a flow; what crosses the internet crosses the access line too."""
    for crossed in {link, "access"}:
        ledger.book(crossed, purpose, up_mbps=up_mbps, down_mbps=down_mbps)


def server_share(xp: Any, c: Columns, p: Parameters) -> Array:
    """The share of a node that one server is: the rest of a node of several works on while a server is repaired."""
    return xp.minimum(p["tensor_parallel_chips"] / c["chips_per_node"], xp.ones_like(c["chips_per_node"]))


def stops_per_hour(c: Columns, p: Parameters) -> Array:
    """Stops of one node per hour."""
    return failures.failures_per_hour(
        c["chips_per_node"],
        failures_per_chip_year=p["failures_per_chip_year"],
        departures_per_day=c["departures_per_day"],
    )


def joiner_bits(xp: Any, c: Columns, p: Parameters, replica: Replica) -> Array:
    """Bits a node downloads when it comes back after a repair: its share of the state that the others have reached."""
    several = xp.astype(replica.replicas > 1, xp.float64)
    return several * p["joiner_bytes_per_param"] * 8.0 * c["params"] / replica.span


class SteadyFlows(NamedTuple):
    """What a node sends and receives beside synchronisations: bits per inner step, and rates that no step sets.

    ``stage_bits`` and ``expert_bits`` go both ways, over ``link``; ``data_bits`` come down; ``checkpoint_mbps`` go up;
    ``joiner_mbps`` go both ways.
    """

    link: str
    stage_bits: Array
    expert_bits: Array
    data_bits: Array
    checkpoint_mbps: Array
    joiner_mbps: Array


def steady_flows(xp: Any, c: Columns, p: Parameters, *, mode: str, replica: Replica) -> SteadyFlows:
    """Activations, experts, training data, checkpoints and joiners of one node.

    One replica in turn sends a checkpoint; a joiner's download is some other node's upload.
    """
    span = xp.where(xp.isfinite(replica.span), replica.span, 1.0)
    data_bits = c["data_streamed"] * 8.0 * p["token_bytes"] * c["local_batch_tokens"] / span
    if mode == "datacenter":
        none = 0.0 * data_bits
        return SteadyFlows("wan", none, none, data_bits, none, none)
    several = xp.astype(replica.replicas > 1, xp.float64)
    checkpoint_bits = several * 16.0 * c["params"] / span / at_least_one(xp, replica.replicas)
    rejoins = stops_per_hour(c, p) * (1.0 - p["hot_restart_fraction"]) * server_share(xp, c, p)
    return SteadyFlows(
        "access" if mode == "pipeline" else "wan",
        replica.stage_bits,
        replica.expert_bits,
        data_bits,
        1e-6 * checkpoint_bits / (3600.0 * p["remote_checkpoint_interval_hours"]),
        1e-6 * joiner_bits(xp, c, p, replica) * rejoins / 3600.0,
    )


def _links_crossed(ledger: Ledger, flows: SteadyFlows) -> Iterator[tuple[Link, Array]]:
    """Each link, with the bits per step of activations and experts that cross it, either way."""
    moving = flows.stage_bits + flows.expert_bits
    for name, link in ledger.links.items():
        yield link, moving if name in (flows.link, "access") else 0.0 * moving


def throttled_step_seconds(xp: Any, ledger: Ledger, flows: SteadyFlows, p: Parameters, step_seconds: Array) -> Array:
    """The step's seconds, or more where its flows would take more than their share of a link's duty."""
    share = p["duty_cap"] * p["steady_duty_share"]
    needed = step_seconds
    for link, crossing in _links_crossed(ledger, flows):
        needed = xp.maximum(needed, 1e-6 * crossing / (share * link.up_mbps))
        needed = xp.maximum(needed, 1e-6 * (crossing + flows.data_bits) / (share * link.down_mbps))
    return needed


def steady_load(xp: Any, ledger: Ledger, flows: SteadyFlows, step_seconds: Array) -> Array:
    """The share of the busiest link that the steady flows take while a replica works."""
    pace = 1e-6 / step_seconds
    load = 0.0 * pace
    for link, crossing in _links_crossed(ledger, flows):
        up = crossing * pace + flows.checkpoint_mbps + flows.joiner_mbps
        down = crossing * pace + flows.data_bits * pace + flows.joiner_mbps
        load = xp.maximum(load, xp.maximum(up / link.up_mbps, down / link.down_mbps))
    return load


def book_steady_flows(ledger: Ledger, flows: SteadyFlows, step_seconds: Array) -> None:
    """Book the steady flows at the pace of the whole round, stalls included."""
    pace = 1e-6 / step_seconds
    stage_mbps, expert_mbps, data_mbps = flows.stage_bits * pace, flows.expert_bits * pace, flows.data_bits * pace
    book(ledger, flows.link, "pipeline", up_mbps=stage_mbps, down_mbps=stage_mbps)
    book(ledger, flows.link, "experts", up_mbps=expert_mbps, down_mbps=expert_mbps)
    book(ledger, "wan", "data", up_mbps=0.0 * data_mbps, down_mbps=data_mbps)
    book(ledger, "wan", "checkpoints", up_mbps=flows.checkpoint_mbps, down_mbps=0.0 * flows.checkpoint_mbps)
    book(ledger, "wan", "joiners", up_mbps=flows.joiner_mbps, down_mbps=flows.joiner_mbps)


def book_synchronisation(ledger: Ledger, cycle: Cycle, *, mode: str) -> None:
    """Book the synchronisations of both tiers, spread over the round."""
    pace, tiers = 1e-6 / cycle.round.seconds, cycle.tiers
    book(ledger, "wan", "synchronisation", up_mbps=tiers.sent_bits * pace, down_mbps=tiers.received_bits * pace)
    if mode == "hierarchical":
        up, down = tiers.regional_sent_bits * pace, tiers.regional_received_bits * pace
        book(ledger, "access", "regional synchronisation", up_mbps=up, down_mbps=down)
