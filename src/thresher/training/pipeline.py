"""Pipelines across nodes: bubbles by schedule, micro-batches in flight, and activations both ways over a link."""

from __future__ import annotations

from typing import NamedTuple

from thresher.arrays import Array, namespace

SCHEDULES = ("gpipe", "1f1b", "interleaved", "zero_bubble")


class PipelineStep(NamedTuple):
    """One optimizer step of a pipeline: seconds, bits an inner stage sends (and receives), and micro-batches in flight.

    The seconds are the sum of three parts: ``slot_seconds`` of the micro-batches one after another, compute or a wait for the
    links; ``bubble_seconds`` idle while the pipeline fills and drains; ``passage_seconds`` of first and last over the links.
    """

    seconds: Array
    bits_each_way: Array
    in_flight: Array
    slot_seconds: Array
    bubble_seconds: Array
    passage_seconds: Array


def micro_batches_in_flight(schedule: str, stages: Array, micro_batches: Array, chunks: Array) -> Array:
    """Micro-batches whose activations the first stage holds at once.

    All of them in GPipe (Huang et al. 2019), as many as stages in 1F1B (Narayanan et al. 2021), (1 + (S - 1) / (S v)) S when each
    node holds v chunks, and 2 S - 1 in the zero-bubble schedule ZB-H2 (Qi et al. 2023, arXiv 2401.10241).
    """
    xp = namespace(stages, micro_batches)
    wanted = {
        "gpipe": micro_batches,
        "1f1b": stages,
        "interleaved": stages + (stages - 1.0) / chunks,
        "zero_bubble": 2.0 * stages - 1.0,
    }[schedule]
    return xp.minimum(wanted + 0.0 * micro_batches, micro_batches + 0.0 * stages)


def most_held_share(schedule: str, stages: Array, micro_batches: Array, chunks: Array) -> Array:
    """The most model-widths of activations a node holds at ``stages`` or any more: micro-batches in flight over stages."""
    xp = namespace(stages, micro_batches)
    all_held = micro_batches / stages
    limit = {"gpipe": xp.inf, "1f1b": 1.0, "interleaved": 1.0 + 1.0 / chunks, "zero_bubble": 2.0}[schedule]
    return xp.minimum(all_held, limit + 0.0 * all_held)


def idle_slots(schedule: str, stages: Array, micro_batches: Array, chunks: Array) -> Array:
    """Micro-batch slots a stage stands idle per step: S - 1 (GPipe, 1F1B), (S - 1) / v (interleaved), or 0.

    Zero-bubble needs at least 2 S - 1 micro-batches; with fewer, the third of a slot that weight gradients cannot fill remains
    for each one missing.
    """
    xp = namespace(stages, micro_batches)
    if schedule == "zero_bubble":
        missing = 2.0 * stages - 1.0 - micro_batches
        return xp.minimum(xp.maximum(missing, 0.0 * missing) / 3.0, stages - 1.0 + 0.0 * micro_batches)
    return (stages - 1.0) / (chunks if schedule == "interleaved" else 1.0)


def bubble_fraction(schedule: str, stages: Array, micro_batches: Array, chunks: Array = 1.0) -> Array:
    """Idle share of a step when links are free: idle / (micro-batches + idle); 20% for 3 stages and 8 micro-batches in 1F1B."""
    idle = idle_slots(schedule, stages, micro_batches, chunks)
    return idle / (micro_batches + idle)


def pipeline_step(
    *,
    schedule: str,
    stages: Array,
    micro_batches: Array,
    chunks: Array,
    compute_seconds: Array,
    activation_bits: Array,
    up_seconds_per_bit: Array,
    down_seconds_per_bit: Array,
    round_trip_seconds: Array,
) -> PipelineStep:
    """One optimizer step through ``stages`` nodes.

    A slot takes the longest of a stage's compute for one micro-batch, its link (an inner stage sends activations forward and
    gradients back, and receives as much), and, where a schedule keeps fewer micro-batches in flight than the step has, the time
    one needs to go all the way and back over those in flight: what latency costs. Then the pipeline fills and drains:

        step = m slot + idle t_c + 2 (S - 1) (one-way latency + A / link)

    Parameters
    ----------
    compute_seconds
        Forward and backward of the whole step if one replica's nodes were perfectly busy.
    activation_bits
        Bits of one boundary's activations for the whole step, one direction, as sent.
    """
    xp = namespace(stages, micro_batches, compute_seconds)
    several = xp.astype(stages > 1, xp.float64)
    in_flight = micro_batches_in_flight(schedule, stages, micro_batches, chunks)
    slot_compute = compute_seconds / micro_batches
    hop = activation_bits / micro_batches * xp.maximum(up_seconds_per_bit, down_seconds_per_bit)
    crossings = chunks if schedule == "interleaved" else 1.0
    slot_link = several * 2.0 * crossings * hop
    latency = 0.5 * round_trip_seconds
    there_and_back = stages * slot_compute + 2.0 * (stages - 1.0) * crossings * (latency + hop)
    waiting = xp.where(micro_batches > in_flight, there_and_back / in_flight, 0.0 * there_and_back)
    slot = xp.maximum(xp.maximum(slot_compute, slot_link), waiting)
    idle = idle_slots(schedule, stages, micro_batches, chunks)
    slots = xp.where(stages > 1, micro_batches * slot, compute_seconds)
    bubble, passage = idle * slot_compute, 2.0 * (stages - 1.0) * (latency + hop)
    return PipelineStep(
        slots + bubble + passage, several * 2.0 * crossings * activation_bits, in_flight, slots, bubble, passage
    )
