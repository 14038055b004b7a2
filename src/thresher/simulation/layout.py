"""The layout of a replica over nodes: stages, memory, micro-batches, and the seconds of its inner step."""

from __future__ import annotations

from typing import Any, NamedTuple

from thresher.arrays import Array
from thresher.simulation.parameters import Columns, Parameters
from thresher.training import compute, experts, memory, pipeline
from thresher.training import synchronisation as sync
from thresher.training.utilisation import default_mfu

STAGED_MODES = ("pipeline", "swarm")


class Replica(NamedTuple):
    """One replica: the nodes it spans, how many there are, its step, what crosses between its nodes, and what each holds.

    ``span`` is the nodes of one replica, its stages times the nodes its experts are spread over. ``step_seconds`` includes
    pipeline and expert traffic, ``compute_seconds`` does not; bits are per step, sent by one node.
    """

    stages: Array
    span: Array
    replicas: Array
    step_seconds: Array
    compute_seconds: Array
    stage_bits: Array
    expert_bits: Array
    in_flight: Array
    node: memory.NodeMemory
    mfu: Array


def lay_out_replica(
    xp: Any,
    c: Columns,
    p: Parameters,
    *,
    shape: compute.ModelShape,
    per_token: Array,
    mode: str,
    schedule: str,
    stage_path: sync.Path,
) -> Replica:
    """How a replica is laid out over nodes, and how long its inner step takes."""
    one_site = mode == "datacenter"
    unit_chips = c["chips_per_node"] * (c["nodes"] if one_site else 1.0)
    unit_memory_gb = unit_chips * c["chip_memory_gb"]
    wanted_mfu = default_mfu(
        generation_factor=c["chip_mfu_factor"],
        chips=unit_chips,
        **{name: p[name] for name in ("small_unit_mfu", "decline_exponent", "saturation_chips", "highest_seen_mfu")},
    )
    mfu = xp.where(xp.isnan(c["mfu"]), wanted_mfu, c["mfu"] + 0.0 * wanted_mfu)
    batch = c["local_batch_tokens"]
    in_unit = c["sequence_tokens"] * memory.sequences_in_flight(
        unit_chips + 0.0 * batch, tensor_parallel_chips=p["tensor_parallel_chips"]
    )
    automatic = xp.maximum(xp.floor(batch / c["expert_parallel_nodes"] / in_unit), xp.ones_like(in_unit))
    micro = xp.where(xp.isnan(c["micro_batches"]), automatic, c["micro_batches"] + 0.0 * automatic)
    experts_over = c["expert_parallel_nodes"] + 0.0 * micro
    micro_tokens = batch / micro / experts_over
    activations = {name: p[name] for name in ("checkpoint_bytes_per_activation", "working_bytes_per_activation")}
    fit = {
        "params": c["params"] / c["expert_parallel_nodes"],
        "state_bytes_per_param": c["state_bytes_per_param"],
        "outer_gb": memory.outer_state_gb(
            c["params"] / c["expert_parallel_nodes"],
            replicated=0.0 if one_site else 1.0,
            error_feedback=c["error_feedback"],
            outer_bytes_per_param=p["outer_bytes_per_param"],
            error_feedback_bytes_per_param=p["error_feedback_bytes_per_param"],
        ),
        "outer_on_chips": c["outer_state_on_chips"],
        "memory_gb": unit_memory_gb,
        "usable_memory_fraction": p["usable_memory_fraction"],
    }
    if mode in STAGED_MODES:
        # The fewest stages by state alone bound the activations from above; then the stages that hold both.
        first = memory.least_stages(activations_gb=0.0 * in_unit, **fit)
        chunks = c["pipeline_chunks"]
        held = pipeline.micro_batches_in_flight(schedule, xp.maximum(first, xp.full_like(first, 2.0)), micro, chunks)
        per_node = memory.activation_gb(shape, micro_tokens, layers_share=held / first, **activations)
        least = memory.least_stages(activations_gb=per_node, **fit)
        stages = xp.where(xp.isnan(c["stages"]), least, c["stages"] + 0.0 * least)
        held = pipeline.micro_batches_in_flight(schedule, stages, micro, chunks)
        held_gb = memory.activation_gb(
            shape, micro_tokens, layers_share=xp.where(stages > 1, held, 1.0) / stages, **activations
        )
    else:
        stages = xp.ones_like(micro)
        held_gb = memory.activation_gb(shape, micro_tokens, layers_share=1.0, **activations)
    node = memory.node_memory(stages=stages, activations_gb=held_gb, **fit)
    finite = xp.where(xp.isfinite(stages), stages, 1.0)
    rate = 1e12 * c["chip_tflops"] * unit_chips
    occupied = xp.minimum(micro_tokens / in_unit, xp.ones_like(micro_tokens))
    ideal = compute.step_seconds(
        batch, per_token, peak_flop_per_second=rate * finite * experts_over * occupied, mfu=mfu
    )
    busy = xp.where(xp.isnan(c["compute_seconds_per_step"]), ideal, c["compute_seconds_per_step"] + 0.0 * ideal)
    if mode in STAGED_MODES:
        bits = batch * shape.hidden * 16.0 / c["activation_compression"]
        step = pipeline.pipeline_step(
            schedule=schedule,
            stages=finite,
            micro_batches=micro,
            chunks=c["pipeline_chunks"] + 0.0 * micro,
            compute_seconds=busy,
            activation_bits=bits,
            up_seconds_per_bit=stage_path.up_seconds_per_bit,
            down_seconds_per_bit=stage_path.down_seconds_per_bit,
            round_trip_seconds=stage_path.round_trip_seconds,
        )
        seconds, stage_bits, in_flight = step.seconds, step.bits_each_way, step.in_flight
    else:
        seconds, stage_bits, in_flight = busy, 0.0 * busy, micro
    routed = experts.expert_all_to_all(
        layers=shape.layers,
        hidden=shape.hidden,
        tokens=batch / finite / experts_over,
        experts_per_token=c["experts_per_token"],
        nodes=experts_over,
        bytes_per_activation=2.0,
        up_seconds_per_bit=stage_path.up_seconds_per_bit,
        down_seconds_per_bit=stage_path.down_seconds_per_bit,
        round_trip_seconds=stage_path.round_trip_seconds,
    )
    replicas = xp.ones_like(finite) if one_site else xp.floor(c["nodes"] / (finite * experts_over))
    return Replica(
        stages,
        stages * experts_over,
        replicas,
        seconds + routed.seconds,
        busy,
        stage_bits,
        routed.bits_each_way,
        in_flight,
        node,
        mfu,
    )
