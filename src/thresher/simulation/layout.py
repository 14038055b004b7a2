"""The layout of a replica over nodes: stages, memory, micro-batches, and the seconds of its inner step."""

from __future__ import annotations

from typing import Any, NamedTuple

from thresher.arrays import Array
from thresher.simulation.parameters import Columns, Parameters
from thresher.training import compute, experts, memory, pipeline
from thresher.training import synchronisation as sync
from thresher.training.utilisation import default_mfu

STAGED_MODES = ("pipeline", "swarm")
BF16_BITS = 16.0
"""Activations are sent as bf16 before compression."""


class Replica(NamedTuple):
    """One replica: the nodes it spans, how many there are, its step, what crosses between its nodes, and what each holds.

    ``span`` is the nodes of one replica, its stages times the nodes its experts are spread over. ``step_seconds`` includes
    pipeline and expert traffic, ``compute_seconds`` does not; bits are per step, sent by one node. ``pipeline`` is the step
    through the stages, to which ``expert_seconds`` come; ``occupied`` the share of a node's chips that the batch keeps busy.
    """

    stages: Array
    span: Array
    replicas: Array
    step_seconds: Array
    compute_seconds: Array
    stage_bits: Array
    expert_bits: Array
    node: memory.NodeMemory
    mfu: Array
    pipeline: pipeline.PipelineStep
    expert_seconds: Array
    micro_batches: Array
    occupied: Array


class Batching(NamedTuple):
    """How a step's batch passes through a unit of chips: micro-batches, their tokens on one node, and the tokens that fill it."""

    micro_batches: Array
    micro_tokens: Array
    filling_tokens: Array
    experts_over: Array


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
    utilisation = ("small_unit_mfu", "decline_exponent", "saturation_chips", "highest_seen_mfu")
    usual_mfu = default_mfu(
        generation_factor=c["chip_mfu_factor"] * p["mfu_factor"],
        chips=unit_chips,
        **{name: p[name] for name in utilisation},
    )
    mfu = xp.where(xp.isnan(c["mfu"]), usual_mfu, c["mfu"] + 0.0 * usual_mfu)
    batching = _batching(xp, c, p, unit_chips, one_site=one_site)
    stages, node = _hold(xp, c, p, shape=shape, mode=mode, schedule=schedule, batching=batching, unit_chips=unit_chips)
    finite = xp.where(xp.isfinite(stages), stages, 1.0)
    span = finite * batching.experts_over
    occupied = xp.minimum(batching.micro_tokens / batching.filling_tokens, xp.ones_like(finite))
    ideal = compute.step_seconds(
        c["local_batch_tokens"],
        per_token,
        peak_flop_per_second=1e12 * c["chip_tflops"] * unit_chips * span * occupied,
        mfu=mfu,
    )
    busy = xp.where(xp.isnan(c["compute_seconds_per_step"]), ideal, c["compute_seconds_per_step"] + 0.0 * ideal)
    step = _step(c, shape, mode=mode, schedule=schedule, stages=finite, batching=batching, busy=busy, path=stage_path)
    routed = experts.expert_all_to_all(
        layers=shape.layers,
        hidden=shape.hidden,
        tokens=c["local_batch_tokens"] / span,
        experts_per_token=c["experts_per_token"],
        nodes=batching.experts_over,
        bytes_per_activation=2.0,
        up_seconds_per_bit=stage_path.up_seconds_per_bit,
        down_seconds_per_bit=stage_path.down_seconds_per_bit,
        round_trip_seconds=stage_path.round_trip_seconds,
        micro_batches=batching.micro_batches,
    )
    return Replica(
        stages=stages,
        span=stages * batching.experts_over,
        replicas=xp.ones_like(finite) if one_site else xp.floor(c["nodes"] / span),
        step_seconds=step.seconds + routed.seconds,
        compute_seconds=busy,
        stage_bits=step.bits_each_way,
        expert_bits=routed.bits_each_way,
        node=node,
        mfu=mfu,
        pipeline=step,
        expert_seconds=routed.seconds,
        micro_batches=batching.micro_batches,
        occupied=occupied,
    )


def _batching(xp: Any, c: Columns, p: Parameters, unit_chips: Array, *, one_site: bool) -> Batching:
    """Micro-batches as stated, or as many as still fill every group of tensor-parallel chips with a sequence."""
    over = (1.0 if one_site else c["expert_parallel_nodes"]) + 0.0 * c["local_batch_tokens"]
    groups = memory.sequences_in_flight(unit_chips + 0.0 * over, tensor_parallel_chips=p["tensor_parallel_chips"])
    filling = c["sequence_tokens"] * groups
    automatic = xp.maximum(xp.floor(c["local_batch_tokens"] / over / filling), xp.ones_like(filling))
    micro = xp.where(xp.isnan(c["micro_batches"]), automatic, c["micro_batches"] + 0.0 * automatic)
    return Batching(micro, c["local_batch_tokens"] / micro / over, filling, over)


def _hold(
    xp: Any,
    c: Columns,
    p: Parameters,
    *,
    shape: compute.ModelShape,
    mode: str,
    schedule: str,
    batching: Batching,
    unit_chips: Array,
) -> tuple[Array, memory.NodeMemory]:
    """The stages of a replica, as stated or the fewest that fit, and what each of its nodes holds."""
    params = c["params"] / batching.experts_over
    state = {
        "params": params,
        "state_bytes_per_param": c["state_bytes_per_param"],
        "outer_gb": memory.outer_state_gb(
            params,
            replicated=0.0 if mode == "datacenter" else 1.0,
            error_feedback=c["error_feedback"],
            outer_bytes_per_param=p["outer_bytes_per_param"],
            error_feedback_bytes_per_param=p["error_feedback_bytes_per_param"],
        ),
        "outer_on_chips": c["outer_state_on_chips"],
        "memory_gb": unit_chips * c["chip_memory_gb"],
        "usable_memory_fraction": p["usable_memory_fraction"],
    }

    def activations_gb(layers_share: Array) -> Array:
        per_activation = ("checkpoint_bytes_per_activation", "working_bytes_per_activation")
        factors = {name: p[name] for name in per_activation}
        return memory.activation_gb(shape, batching.micro_tokens, layers_share=layers_share, **factors)

    def in_flight(stages: Array) -> Array:
        return pipeline.micro_batches_in_flight(schedule, stages, batching.micro_batches, c["pipeline_chunks"])

    if mode not in STAGED_MODES:
        one = xp.ones_like(params)
        return one, memory.node_memory(stages=one, activations_gb=activations_gb(1.0), **state)
    # The most a node of any pipeline of this schedule holds bounds the activations; then the stages that hold both.
    first = memory.least_stages(activations_gb=0.0 * params, **state)
    most = pipeline.most_held_share(schedule, first, batching.micro_batches, c["pipeline_chunks"])
    least = memory.least_stages(activations_gb=activations_gb(most), **state)
    stages = xp.where(xp.isnan(c["stages"]), least, c["stages"] + 0.0 * least)
    held_gb = activations_gb(xp.where(stages > 1, in_flight(stages), xp.ones_like(stages)) / stages)
    return stages, memory.node_memory(stages=stages, activations_gb=held_gb, **state)


def _step(
    c: Columns,
    shape: compute.ModelShape,
    *,
    mode: str,
    schedule: str,
    stages: Array,
    batching: Batching,
    busy: Array,
    path: sync.Path,
) -> pipeline.PipelineStep:
    """The inner step through a replica's stages; one node alone has neither bubbles nor boundaries."""
    if mode not in STAGED_MODES:
        none = 0.0 * busy
        return pipeline.PipelineStep(busy, none, batching.micro_batches, busy, none, none)
    return pipeline.pipeline_step(
        schedule=schedule,
        stages=stages,
        micro_batches=batching.micro_batches,
        chunks=c["pipeline_chunks"] + 0.0 * stages,
        compute_seconds=busy,
        activation_bits=c["local_batch_tokens"] * shape.hidden * BF16_BITS / c["activation_compression"],
        up_seconds_per_bit=path.up_seconds_per_bit,
        down_seconds_per_bit=path.down_seconds_per_bit,
        round_trip_seconds=path.round_trip_seconds,
    )
