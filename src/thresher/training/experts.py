"""Expert parallelism across nodes: the all-to-all that routes tokens to experts elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array, namespace


class ExpertExchange(NamedTuple):
    """Per step: seconds of all-to-alls, and bits a node sends (and receives)."""

    seconds: Array
    bits_each_way: Array


def expert_all_to_all(
    *,
    layers: Array,
    hidden: Array,
    tokens: Array,
    experts_per_token: Array,
    nodes: Array,
    bytes_per_activation: Array,
    up_seconds_per_bit: Array,
    down_seconds_per_bit: Array,
    round_trip_seconds: Array,
    micro_batches: Array = 1.0,
) -> ExpertExchange:
    """Dispatch and combine, forward and backward, in every layer: L [4 k T h w (1 - 1/E) / B + 4 latency].

    ``tokens`` are those of one node per step, ``nodes`` E the nodes the experts are spread over (1 costs nothing), w the bytes of
    an activation value; latency is paid once for each micro-batch. At 131,072 tokens, h = 7,168, k = 8 and 100 Mbit/s this is
    days per step, where the published calculator, which counts latency alone, has seconds.
    """
    away = 1.0 - 1.0 / nodes
    bits = 32.0 * layers * experts_per_token * tokens * hidden * bytes_per_activation * away
    xp = namespace(layers, tokens, nodes)
    latency = xp.where(away > 0, 4.0 * layers * micro_batches * 0.5 * round_trip_seconds, 0.0 * layers)
    slower = xp.maximum(up_seconds_per_bit + 0.0 * layers, down_seconds_per_bit + 0.0 * layers)
    return ExpertExchange(bits * slower + latency, bits)
