"""The outer round: inner steps, one or two tiers of synchronisation, blocking or overlapped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from thresher.arrays import Array
from thresher.learning.data_efficiency import best_inner_steps
from thresher.learning.loss_laws import LossLaw
from thresher.simulation import replica_costs
from thresher.simulation.layout import Replica
from thresher.simulation.parameters import Columns, Parameters
from thresher.training import synchronisation as sync
from thresher.training.stragglers import expected_largest_normal

Exchanging = Callable[..., tuple[sync.Exchange, Array]]
"""One synchronisation among so many, of so many bits, by a path: its times and traffic, and the bits of the sum it leaves."""

Interval = Callable[[Array, Array, Array, float], Array]
"""``_least_interval`` of the plan at hand."""


class Tiers(NamedTuple):
    """Synchronisations of one round: inner steps, regional rounds, seconds, whose updates count, and traffic by link.

    ``global_seconds`` are those of ``sync_seconds`` in which everybody takes part; the rest is regional.
    """

    inner_steps: Array
    outer_every: Array
    sync_seconds: Array
    global_seconds: Array
    counted: Array
    groups: Array
    sent_bits: Array
    received_bits: Array
    regional_sent_bits: Array
    regional_received_bits: Array


class Cycle(NamedTuple):
    """One whole round: its synchronisations, how long it takes with their stalls, and the inner step of the slowest replica."""

    tiers: Tiers
    round: sync.Round
    step_seconds: Array


class Work(NamedTuple):
    """What the tiers synchronise: how many replicas, the bits each sends, its step, and the fewest inner steps that pay."""

    members: Array
    payload_bits: Array
    step_seconds: Array
    gentlest_steps: Array


def outer_round(
    xp: Any,
    c: Columns,
    p: Parameters,
    *,
    mode: str,
    topology: str,
    replica: Replica,
    wan: sync.Path,
    regional: sync.Path,
    steady_load: Array,
    law: LossLaw,
) -> Cycle:
    """The outer round: automatic inner steps, synchronisations of one or two tiers, blocking or overlapped.

    ``steady_load`` is the share of the links that other flows take: a blocking synchronisation has the rest, an overlapped one
    what the duty cap leaves.
    """
    duty = p["duty_cap"] - steady_load
    members = at_least_one(xp, replica.replicas)
    largest = expected_largest_normal(members)
    step = replica.step_seconds * (1.0 + p["compute_time_spread"] * largest)
    if mode == "datacenter":
        one, none = xp.ones_like(members), 0.0 * step
        tiers = Tiers(one, one, none, none, one, one, none, none, none, none)
        return Cycle(tiers, sync.Round(step, none, none), step)
    shard = c["params"] / xp.where(xp.isfinite(replica.span), replica.span, 1.0)
    slowest = 1.0 + p["link_time_spread"] * largest

    def exchange(count: Array, bits: Array, path: sync.Path, at_once: Array = 1.0) -> tuple[sync.Exchange, Array]:
        """One synchronisation among ``count``, while ``at_once`` such groups share the hub; all wait for the fleet's slowest."""
        hub = at_once * replica.span * 1e-6 / c["hub_mbps"]
        aggregator = sync.Aggregator(hub, p["relay_store_seconds"], c["gather_members"])
        return _exchange(xp, p, topology, aggregator, shard=shard, members=count, bits=bits, path=path, slowest=slowest)

    payload = shard * 8.0 * c["bytes_per_value"] / c["compression"]
    work = Work(members, payload, step, _gentlest_interval(xp, c, p, members, step, law))
    interval = partial(_least_interval, xp, c, p, duty)
    if mode == "hierarchical":
        tiers = _two_tiers(xp, c, work, exchange, interval, wan, regional)
    else:
        tiers = _one_tier(xp, c, work, exchange, interval, wan)
    busy = tiers.inner_steps * tiers.outer_every * step
    blocking = sync.blocking_round(busy, tiers.sync_seconds / (1.0 - steady_load))
    fragments = xp.minimum(c["fragments"] + 0.0 * busy, tiers.inner_steps * tiers.outer_every)
    overlapped = sync.overlapped_round(busy, tiers.sync_seconds, fragments=fragments, duty_cap=duty)
    overlap = c["overlap"] > 0
    chosen = sync.Round(*(xp.where(overlap, b, a) for a, b in zip(blocking, overlapped, strict=True)))
    return Cycle(tiers, chosen, step)


def _exchange(
    xp: Any,
    p: Parameters,
    topology: str,
    aggregator: sync.Aggregator,
    *,
    shard: Array,
    members: Array,
    bits: Array,
    path: sync.Path,
    slowest: Array,
) -> tuple[sync.Exchange, Array]:
    """One synchronisation with its fixed cost and its slowest member; and the bits of the sum it leaves."""
    densified = {name: p[name] for name in ("densified_index_bits", "densified_value_bits", "dense_update_bits")}
    summed = sync.summed_payload_bits(bits, shard, members, **densified)
    result = sync.TOPOLOGIES[topology](bits, summed, members, path, aggregator)
    beyond = xp.maximum(path.round_trip_seconds - 1e-3 * p["coordination_free_ms"], 0.0 * bits)
    fixed = xp.where(members > 1, p["coordination_round_trips"] * beyond, 0.0 * bits)
    return result._replace(seconds=(result.seconds + fixed) * slowest), summed


def _one_tier(xp: Any, c: Columns, work: Work, exchange: Exchanging, interval: Interval, wan: sync.Path) -> Tiers:
    """Everyone with everyone, every ``inner_steps``."""
    far, _ = exchange(work.members, work.payload_bits, wan)
    least = xp.maximum(interval(far.seconds, work.step_seconds, work.step_seconds, 1.0), work.gentlest_steps)
    inner = _stated_or(xp, c["inner_steps"], xp.where(work.members > 1, least, 1.0))
    none = 0.0 * far.sent_bits
    return Tiers(
        inner, xp.ones_like(inner), far.seconds, far.seconds, far.members_counted, work.members,
        far.sent_bits, far.received_bits, none, none,
    )  # fmt: skip


def _two_tiers(
    xp: Any, c: Columns, work: Work, exchange: Exchanging, interval: Interval, wan: sync.Path, regional: sync.Path
) -> Tiers:
    """Inside a region every ``inner_steps``, and among regions every ``regional_rounds`` of those.

    A region sends its sum; the global sum is then spread in the region. Both tiers take turns on a node's access line, so their
    times add, and automatic intervals give each half of what a synchronisation may take.
    """
    members, payload, step, gentlest = work
    inside = xp.minimum(c["nodes_per_group"] + 0.0 * members, members)
    groups = at_least_one(xp, xp.floor(members / inside))
    near, regional_sum = exchange(inside, payload, regional, groups)
    far, global_sum = exchange(groups, regional_sum, wan)
    spread_bits = xp.where(inside > 1, global_sum, 0.0 * global_sum)
    there_and_on = regional.up_seconds_per_bit + regional.down_seconds_per_bit
    far_seconds = (
        far.seconds + spread_bits * there_and_on + xp.where(inside > 1, regional.round_trip_seconds, 0.0 * step)
    )
    inner = _stated_or(xp, c["inner_steps"], xp.maximum(interval(near.seconds, step, step, 0.5), gentlest))
    unit = inner * step
    often = xp.maximum(interval(far_seconds, unit, unit + near.seconds, 0.5), xp.ceil(gentlest / inner))
    every = _stated_or(xp, c["regional_rounds"], often)
    return Tiers(
        inner, every, every * near.seconds + far_seconds, far_seconds, near.members_counted * far.members_counted,
        far.members_counted, far.sent_bits, far.received_bits,
        every * near.sent_bits + spread_bits, every * near.received_bits + spread_bits,
    )  # fmt: skip


def _stated_or(xp: Any, stated: Array, automatic: Array) -> Array:
    """The plan's own number, or the automatic one where it states none (NaN)."""
    return xp.where(xp.isnan(stated), automatic, stated + 0.0 * automatic)


def _least_interval(
    xp: Any,
    c: Columns,
    p: Parameters,
    duty: Array,
    sync_seconds: Array,
    working_seconds: Array,
    blocking_seconds: Array,
    portion: float,
) -> Array:
    """The fewest units of work between synchronisations that hide one (overlapped) or keep it to its share (blocking)."""
    share = portion * p["blocking_share"]
    hidden = sync_seconds / (portion * duty * working_seconds)
    kept = sync_seconds * (1.0 - share) / (share * blocking_seconds)
    least = xp.where(c["overlap"] > 0, hidden, kept)
    return xp.maximum(xp.ceil(least), xp.ones_like(least))


def _gentlest_interval(xp: Any, c: Columns, p: Parameters, members: Array, step: Array, law: LossLaw) -> Array:
    """The inner steps at which replicas cost the least data: more often is no better, however fast the links.

    The tokens it needs are those of the plan, or what its duration would give if nothing stalled.
    """
    unstalled = 86400.0 * c["duration_days"] / step * c["local_batch_tokens"] * members
    tokens = xp.where(xp.isnan(c["tokens"]), unstalled, c["tokens"])
    one = xp.ones_like(members)
    at_one, at_half = (
        replica_costs.drift_data_cost(c, p, law, tokens=tokens, replicas=members, drift=share * one) - 1.0
        for share in (1.0, 0.5)
    )
    return best_inner_steps(
        batch_cost=replica_costs.batch(c, p, tokens),
        extra_replicas=members - 1.0,
        drift_cost_at_reference=at_one,
        drift_cost_at_half=at_half,
        inner_step_scale=p["inner_step_scale"],
        inner_step_reference=p["inner_step_reference"],
    )


def at_least_one(xp: Any, value: Array) -> Array:
    """The value, or one where it is smaller: a count that may be divided by."""
    return xp.maximum(value, xp.ones_like(value))
