"""Links: the goodput of an internet path from its rate, round trip and loss, as seconds per bit."""

from __future__ import annotations

from thresher.arrays import Array, namespace


def seconds_per_bit(
    mbps: Array,
    *,
    round_trip_seconds: Array,
    protocol_efficiency: Array,
    parallel_flows: Array,
    packet_loss: Array,
    segment_bytes: Array,
    tcp_loss_constant: Array,
) -> Array:
    """Seconds to carry one bit of payload one way.

    The larger of the line's share, 1 / (efficiency x rate), and that of ``parallel_flows`` TCP flows at their loss-limited
    rate, segment x 1.22 / (round trip x sqrt(loss)) each (Mathis et al. 1997). No round trip or no loss leaves the line.

    Parameters
    ----------
    mbps
        Rate of the link in Mbit/s, as a bandwidth test would measure it.
    """
    xp = namespace(mbps, round_trip_seconds)
    line = 1e-6 / (protocol_efficiency * mbps)
    flows = round_trip_seconds * packet_loss**0.5 / (8.0 * segment_bytes * tcp_loss_constant * parallel_flows)
    return xp.maximum(line, flows)
