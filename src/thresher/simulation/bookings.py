"""What a plan books on its nodes' links, and the paths those links make."""

from __future__ import annotations

from typing import Any

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


def book_steady_flows(xp: Any, ledger: Ledger, c: Columns, p: Parameters, *, mode: str, replica: Replica) -> None:
    """Book what flows beside the synchronisations: activations, experts, training data, checkpoints and joiners.

    One replica in turn sends a checkpoint; a joiner's download is some other node's upload.
    """
    pace = 1e-6 / replica.step_seconds
    stage_mbps, expert_mbps = replica.stage_bits * pace, replica.expert_bits * pace
    book(ledger, "access" if mode == "pipeline" else "wan", "pipeline", up_mbps=stage_mbps, down_mbps=stage_mbps)
    book(ledger, "wan", "experts", up_mbps=expert_mbps, down_mbps=expert_mbps)
    data_mbps = c["data_streamed"] * 8.0 * p["token_bytes"] * c["local_batch_tokens"] / replica.span * pace
    book(ledger, "wan", "data", up_mbps=0.0 * data_mbps, down_mbps=data_mbps)
    if mode == "datacenter":
        return
    several = xp.astype(replica.replicas > 1, xp.float64)
    checkpoint_bits = several * 16.0 * c["params"] / replica.span / at_least_one(xp, replica.replicas)
    checkpoint_mbps = 1e-6 * checkpoint_bits / (3600.0 * p["remote_checkpoint_interval_hours"])
    book(ledger, "wan", "checkpoints", up_mbps=checkpoint_mbps, down_mbps=0.0 * checkpoint_mbps)
    rejoins = stops_per_hour(c, p) * (1.0 - p["hot_restart_fraction"]) * server_share(xp, c, p)
    joiners_mbps = 1e-6 * joiner_bits(xp, c, p, replica) * rejoins / 3600.0
    book(ledger, "wan", "joiners", up_mbps=joiners_mbps, down_mbps=joiners_mbps)


def book_synchronisation(ledger: Ledger, cycle: Cycle, *, mode: str) -> None:
    """Book the synchronisations of both tiers, spread over the round."""
    pace = 1e-6 / cycle.round.seconds
    book(ledger, "wan", "synchronisation", up_mbps=cycle.sent_bits * pace, down_mbps=cycle.received_bits * pace)
    if mode == "hierarchical":
        book(
            ledger,
            "access",
            "regional synchronisation",
            up_mbps=cycle.regional_sent_bits * pace,
            down_mbps=cycle.regional_received_bits * pace,
        )
