"""The preset `default`: our best model of a plan, composed of the functions of `training` and `learning`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from thresher.arrays import Array, namespace
from thresher.errors import InputError
from thresher.learning import data_efficiency as data
from thresher.learning.accounts import worth
from thresher.learning.loss_laws import LossLaw, loss_law
from thresher.simulation.cost import chips_only_usd, run_cost
from thresher.sources import Quantity, load_quantities
from thresher.training import compute, energy, experts, failures, memory, pipeline
from thresher.training import synchronisation as sync
from thresher.training.ledger import Ledger, Link
from thresher.training.links import seconds_per_bit
from thresher.training.stragglers import slowest_of
from thresher.training.utilisation import default_mfu

Columns = Mapping[str, Array]
Parameters = Mapping[str, Array]

MODES = ("flat", "hierarchical", "pipeline", "swarm", "datacenter")

REASONS = (
    "",
    "the model does not fit in the nodes' memory",
    "a pipeline would need more stages than the model has layers",
    "there are fewer nodes than one replica, or two groups, need",
    "the flows overbook a link",
)
"""Why a plan cannot run, by the index in the result's ``reason``; the empty one means that it can."""

_FILES = (
    ("thresher.training", "physics.yaml"),
    ("thresher.training", "plant.yaml"),
    ("thresher.training", "utilisation.yaml"),
    ("thresher.learning", "data_efficiency.yaml"),
    ("thresher.learning", "data_stock.yaml"),
    ("thresher.simulation", "costs.yaml"),
)


@cache
def quantities() -> dict[str, Quantity]:
    """Every parameter of the preset with its source, by name."""
    merged: dict[str, Quantity] = {}
    for package, file in _FILES:
        rows = load_quantities(package, file)
        if twice := merged.keys() & rows.keys():
            raise InputError(rows.origin, "names that no other parameter file uses", sorted(twice))
        merged.update(rows)
    return merged


def parameters() -> dict[str, Array]:
    """Central values of every parameter; replace any by a draw (an array that broadcasts with the plans)."""
    return {name: row.value for name, row in quantities().items()}


class Replica(NamedTuple):
    """One replica: the nodes it spans, how many there are, its step, and what it holds."""

    stages: Array
    replicas: Array
    step_seconds: Array
    compute_seconds: Array
    stage_bits: Array
    in_flight: Array
    node: memory.NodeMemory
    mfu: Array


class Cycle(NamedTuple):
    """One whole round: inner steps, its timing, and the traffic of its synchronisations."""

    inner_steps: Array
    outer_every: Array
    round: sync.Round
    compute_seconds: Array
    sync_seconds: Array
    sent_bits: Array
    received_bits: Array
    regional_sent_bits: Array
    regional_received_bits: Array
    counted: Array
    groups: Array


def simulate(
    c: Columns,
    p: Parameters,
    *,
    mode: str,
    topology: str = "relay",
    schedule: str = "1f1b",
    law: LossLaw | None = None,
    wanted: Collection[str] | None = None,
) -> dict[str, Array]:
    """Simulate plans of one mode, topology and schedule.

    Parameters
    ----------
    c
        Columns of ``data/plan_columns.csv`` in the training room: numbers or arrays that broadcast. NaN asks for the automatic
        choice of ``stages``, ``micro_batches``, ``inner_steps``, ``regional_rounds``, ``mfu`` and ``compute_seconds_per_step``;
        exactly one of ``tokens`` and ``duration_days`` is NaN.
    p
        Parameters, see ``parameters``; draws may be arrays.
    mode, topology, schedule
        One of ``MODES``, ``synchronisation.TOPOLOGIES`` and ``pipeline.SCHEDULES``.
    law
        The loss law; Besiroglu et al. 2024 by default.
    wanted
        The outcome columns to give, all by default; ``feasible`` and ``reason`` always come.

    Returns
    -------
    dict
        Outcome columns. Rows that cannot run have ``feasible`` 0, a ``reason`` (index into ``REASONS``), and NaN where a number
        would mislead.
    """
    xp = namespace(*c.values())
    law = law or loss_law("besiroglu_2024")
    shape = compute.model_shape(c["params"], aspect_ratio=p["aspect_ratio"])
    per_token = compute.flop_per_token(c["active_params"], shape, sequence_tokens=c["sequence_tokens"])
    wan = _path(c["upload_mbps"], c["download_mbps"], 1e-3 * c["round_trip_ms"], p)
    regional = _path(c["regional_mbps"], c["regional_mbps"], 1e-3 * c["regional_round_trip_ms"], p)
    replica, moe_bits = _replica(xp, c, p, shape, per_token, mode, schedule, regional if mode == "pipeline" else wan)
    ledger = _ledger(xp, c)
    stage_link = "access" if mode == "pipeline" else "wan"
    pace = 1e-6 / replica.step_seconds
    _book(ledger, stage_link, "pipeline", replica.stage_bits * pace, replica.stage_bits * pace)
    _book(ledger, "wan", "experts", moe_bits * pace, moe_bits * pace)
    data_mbps = 8.0 * p["token_bytes"] * c["local_batch_tokens"] / replica.stages * pace
    _book(ledger, "wan", "data", 0.0 * data_mbps, data_mbps)
    shard_bits = 8e6 * c["params"] / replica.stages * 1e-6
    several = xp.astype(replica.replicas > 1, xp.float64)
    saved_every = 3600.0 * p["remote_checkpoint_interval_hours"] * _at_least_one(xp, replica.replicas)
    checkpoint_mbps = several * 2e-6 * shard_bits / saved_every
    _book(ledger, "wan", "checkpoints", checkpoint_mbps, 0.0 * checkpoint_mbps)

    stops = failures.failures_per_hour(
        c["chips_per_node"],
        failures_per_chip_year=p["failures_per_chip_year"],
        departures_per_day=c["departures_per_day"],
    )
    joiner_bits = several * p["joiner_bytes_per_param"] * shard_bits
    rejoins = stops * (1.0 - p["hot_restart_fraction"]) * _server_share(xp, c, p)
    joiners_mbps = 1e-6 * joiner_bits * rejoins / 3600.0
    if mode != "datacenter":
        _book(ledger, "wan", "joiners", joiners_mbps, joiners_mbps)
    others = xp.maximum(ledger.load("wan"), ledger.load("access"))
    duty = p["duty_cap"] - others

    cycle = _cycle(xp, c, p, mode, topology, replica, wan, regional, xp.maximum(duty, 0.01 + 0.0 * duty))
    per_second = 1e-6 / cycle.round.seconds
    sent, received = cycle.sent_bits * per_second, cycle.received_bits * per_second
    _book(ledger, "wan", "synchronisation", sent, received)
    if mode == "hierarchical":
        _book(
            ledger,
            "access",
            "regional synchronisation",
            cycle.regional_sent_bits * per_second,
            cycle.regional_received_bits * per_second,
        )

    goodput = _goodput(xp, c, p, mode, replica, cycle, stops, joiner_bits * wan.down_seconds_per_bit)
    tokens_per_day = (
        86400.0
        / cycle.round.seconds
        * cycle.inner_steps
        * cycle.outer_every
        * c["local_batch_tokens"]
        * cycle.counted
        * goodput
    )
    days = xp.where(xp.isnan(c["duration_days"]), c["tokens"] / tokens_per_day, c["duration_days"])
    tokens = tokens_per_day * days
    flop = tokens * per_token * replica.replicas / cycle.counted

    cost_factors = _data_costs(c, p, tokens, replica, cycle, mode)
    effective = data.unrepeated_tokens(
        tokens, unique_tokens=c["unique_tokens"] + 0.0 * tokens, repetition_half_life=p["repetition_half_life"]
    )
    for factor in cost_factors.values():
        effective = effective / factor
    value = worth(c["params"], effective, law)

    reason = _reason(xp, c, mode, shape, replica, duty)
    feasible = reason == 0
    chips = c["nodes"] * c["chips_per_node"]
    one_site = mode == "datacenter"
    power_mw = energy.wall_power_mw(
        chips,
        tdp_w=c["chip_tdp_w"],
        server_power_per_chip_power=p["server_power_per_chip_power"],
        mean_power_fraction=p["mean_power_fraction"],
        power_usage_effectiveness=p[f"power_usage_effectiveness_{'datacentre' if one_site else 'small_site'}"],
    )
    usd = run_cost(
        nodes=c["nodes"],
        chips_per_node=c["chips_per_node"],
        price_usd=c["chip_price_usd"],
        workstation=c["chip_workstation"],
        one_site=one_site,
        days=days,
        power_mw=power_mw,
        peak_it_kw=1e-3 * chips * c["chip_tdp_w"] * p["server_power_per_chip_power"],
        rate_mbps=xp.maximum(c["upload_mbps"], c["download_mbps"]) + 0.0 * days,
        relayed_gb=0.0 * days,
        p=p,
    )
    wan_up, wan_down = ledger.mean_mbps("wan")
    burst = cycle.sent_bits / 1e6 / xp.where(cycle.sync_seconds > 0, cycle.sync_seconds, xp.inf)
    steady = wan_up - sent
    step = cycle.round.seconds / (cycle.inner_steps * cycle.outer_every)

    out = {
        "utilisation": replica.compute_seconds / step,
        "goodput": goodput,
        "step_seconds": step,
        "compute_seconds_per_step": replica.compute_seconds,
        "sync_seconds": cycle.sync_seconds,
        "round_seconds": cycle.round.seconds,
        "inner_steps": cycle.inner_steps,
        "regional_rounds": cycle.outer_every,
        "delay_rounds": cycle.round.delay_rounds,
        "stages": replica.stages,
        "replicas": replica.replicas,
        "groups": cycle.groups,
        "mfu": replica.mfu,
        "tokens": tokens,
        "days": days,
        "flop": flop,
        "flop_local": value.flop_local,
        "flop_quality": value.flop_quality,
        "loss": value.loss,
        "effective_tokens": effective,
        **{f"data_cost_{name}": factor for name, factor in cost_factors.items()},
        "tokens_per_param": tokens / c["params"],
        "global_batch_tokens": c["local_batch_tokens"] * cycle.counted,
        "cost_usd": usd.total,
        **{f"cost_{name}_usd": part for name, part in usd._asdict().items()},
        "cost_chips_only_usd": chips_only_usd(c["nodes"], c["chips_per_node"], c["chip_price_usd"]) + 0.0 * days,
        "power_mw": power_mw,
        "energy_mwh": energy.energy_mwh(power_mw, days),
        "upload_gb_per_sync": cycle.sent_bits / 8e9,
        "download_gb_per_sync": cycle.received_bits / 8e9,
        "mean_upload_mbps": wan_up,
        "mean_download_mbps": wan_down,
        "peak_upload_mbps": xp.maximum(wan_up, burst + steady),
        "link_load": xp.maximum(ledger.load("wan"), ledger.load("access")),
        "memory_needed_gb": replica.node.needed_gb,
        "memory_usable_gb": replica.node.usable_gb,
        "host_memory_gb": replica.node.host_gb,
        **{f"flow_{purpose.replace(' ', '_')}_up_mbps": up for purpose, (up, _) in ledger.flows["access"].items()},
    }
    shown = out.keys() if wanted is None else [name for name in out if name in wanted]
    blank = xp.where(feasible, 0.0 * days, xp.nan)
    kept = {name: out[name] + blank for name in shown}
    for name in ("memory_needed_gb", "memory_usable_gb", "stages"):
        if name in kept:
            kept[name] = out[name] + 0.0 * days
    return {**kept, "reason": reason + 0.0 * days, "feasible": xp.astype(feasible, xp.float64) + 0.0 * days}


def _at_least_one(xp: Any, value: Array) -> Array:
    return xp.maximum(value, xp.ones_like(value))


def _server_share(xp: Any, c: Columns, p: Parameters) -> Array:
    """The share of a node that one server is: the rest of a node of several works on while a server is repaired."""
    return xp.minimum(p["tensor_parallel_chips"] / c["chips_per_node"], xp.ones_like(c["chips_per_node"]))


def _path(up_mbps: Array, down_mbps: Array, round_trip_seconds: Array, p: Parameters) -> sync.Path:
    tcp = {
        "round_trip_seconds": round_trip_seconds,
        "protocol_efficiency": p["protocol_efficiency"],
        "parallel_flows": p["parallel_flows"],
        "packet_loss": p["tcp_packet_loss"],
        "segment_bytes": p["tcp_segment_bytes"],
        "tcp_loss_constant": p["tcp_loss_constant"],
    }
    return sync.Path(seconds_per_bit(up_mbps, **tcp), seconds_per_bit(down_mbps, **tcp), round_trip_seconds)


def _ledger(xp: Any, c: Columns) -> Ledger:
    """Two physical links a node: its way out to the internet, and its access line, which regional traffic shares.

    Where the region is no faster than the rest, the access line is the internet line and both kinds of traffic share it.
    """
    access_up = xp.maximum(c["upload_mbps"], c["regional_mbps"])
    access_down = xp.maximum(c["download_mbps"], c["regional_mbps"])
    return Ledger(
        {"wan": Link("wan", c["upload_mbps"], c["download_mbps"]), "access": Link("access", access_up, access_down)}
    )


def _book(ledger: Ledger, link: str, purpose: str, up_mbps: Array, down_mbps: Array) -> None:
    """Book a flow; what crosses the internet crosses the access line too."""
    for crossed in {link, "access"}:
        ledger.book(crossed, purpose, up_mbps=up_mbps, down_mbps=down_mbps)


def _replica(
    xp: Any,
    c: Columns,
    p: Parameters,
    shape: compute.ModelShape,
    per_token: Array,
    mode: str,
    schedule: str,
    stage_path: sync.Path,
) -> tuple[Replica, Array]:
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
    automatic = xp.maximum(xp.floor(batch / in_unit), xp.ones_like(in_unit))
    micro = xp.where(xp.isnan(c["micro_batches"]), automatic, c["micro_batches"] + 0.0 * automatic)
    micro_tokens = batch / micro
    activations = {name: p[name] for name in ("checkpoint_bytes_per_activation", "working_bytes_per_activation")}
    fit = {
        "params": c["params"],
        "state_bytes_per_param": c["state_bytes_per_param"],
        "outer_gb": memory.outer_state_gb(
            c["params"],
            replicated=0.0 if one_site else 1.0,
            error_feedback=c["error_feedback"],
            outer_bytes_per_param=p["outer_bytes_per_param"],
            error_feedback_bytes_per_param=p["error_feedback_bytes_per_param"],
        ),
        "outer_on_chips": c["outer_state_on_chips"],
        "memory_gb": unit_memory_gb,
        "usable_memory_fraction": p["usable_memory_fraction"],
    }
    if mode in ("pipeline", "swarm"):
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
    ideal = compute.step_seconds(batch, per_token, peak_flop_per_second=rate * finite * occupied, mfu=mfu)
    busy = xp.where(xp.isnan(c["compute_seconds_per_step"]), ideal, c["compute_seconds_per_step"] + 0.0 * ideal)
    if mode in ("pipeline", "swarm"):
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
        tokens=batch / finite,
        experts_per_token=c["experts_per_token"],
        nodes=c["expert_parallel_nodes"] + 0.0 * finite,
        bytes_per_activation=2.0,
        up_seconds_per_bit=stage_path.up_seconds_per_bit,
        down_seconds_per_bit=stage_path.down_seconds_per_bit,
        round_trip_seconds=stage_path.round_trip_seconds,
    )
    replicas = xp.ones_like(finite) if one_site else xp.floor(c["nodes"] / finite)
    return (
        Replica(stages, replicas, seconds + routed.seconds, busy, stage_bits, in_flight, node, mfu),
        routed.bits_each_way,
    )


def _cycle(
    xp: Any,
    c: Columns,
    p: Parameters,
    mode: str,
    topology: str,
    replica: Replica,
    wan: sync.Path,
    regional: sync.Path,
    duty: Array,
) -> Cycle:
    """The outer round: automatic inner steps, synchronisations of one or two tiers, blocking or overlapped."""
    members = _at_least_one(xp, replica.replicas)
    alone = members <= 1
    finite = xp.where(xp.isfinite(replica.stages), replica.stages, 1.0)
    shard = c["params"] / finite
    payload = shard * 8.0 * c["bytes_per_value"] / c["compression"]
    step = replica.step_seconds * slowest_of(members, spread=p["compute_time_spread"])
    aggregator = sync.Aggregator(
        1e-6 / c["hub_mbps"], p["relay_store_seconds"], c["gather_members"]
    )
    if mode == "datacenter":
        ones = xp.ones_like(members)
        still = sync.Round(step, 0.0 * step, 0.0 * step)
        zero = 0.0 * step
        return Cycle(ones, ones, still, step, zero, zero, zero, zero, zero, ones, ones)

    def exchange(count: Array, bits: Array, path: sync.Path) -> tuple[sync.Exchange, Array]:
        summed = sync.summed_payload_bits(
            bits, shard, count, **{n: p[n] for n in ("densified_index_bits", "densified_value_bits", "dense_update_bits")}
        )
        result = sync.TOPOLOGIES[topology](bits, summed, count, path, aggregator)
        fixed = xp.where(count > 1, p["coordination_round_trips"] * path.round_trip_seconds, 0.0 * bits)
        seconds = (result.seconds + fixed) * slowest_of(count, spread=p["link_time_spread"])
        return result._replace(seconds=seconds), summed

    if mode == "hierarchical":
        inside = xp.minimum(c["nodes_per_group"] + 0.0 * members, members)
        groups = _at_least_one(xp, xp.floor(members / inside))
        members = groups * inside
        near, summed = exchange(inside, payload, regional)
        far, final = exchange(groups, summed, wan)
        spread_again = xp.where(inside > 1, final * regional.down_seconds_per_bit + regional.round_trip_seconds, 0.0)
        far_seconds = far.seconds + spread_again
        inner = _automatic_inner_steps(xp, c, p, near.seconds, step, duty)
        every = xp.where(
            xp.isnan(c["regional_rounds"]),
            _automatic_interval(xp, c, p, far_seconds, inner * step + near.seconds, duty),
            c["regional_rounds"] + 0.0 * inner,
        )
        sync_seconds = every * near.seconds + far_seconds
        counted = groups * near.members_counted
        sent, received = far.sent_bits, far.received_bits
        near_sent = every * near.sent_bits + final
        near_received = every * near.received_bits + final
    else:
        groups = members
        far, _ = exchange(members, payload, wan)
        inner = xp.where(
            alone & xp.isnan(c["inner_steps"]), 1.0, _automatic_inner_steps(xp, c, p, far.seconds, step, duty)
        )
        every = xp.ones_like(inner)
        sync_seconds, counted = far.seconds, far.members_counted
        sent, received = far.sent_bits, far.received_bits
        near_sent = near_received = 0.0 * sent
    busy = inner * every * step
    blocking = sync.blocking_round(busy, sync_seconds)
    overlapped = sync.overlapped_round(busy, sync_seconds, fragments=c["fragments"], duty_cap=duty)
    overlap = c["overlap"] > 0
    chosen = sync.Round(
        *(xp.where(overlap, b, a) for a, b in zip(blocking, overlapped, strict=True))
    )
    return Cycle(inner, every, chosen, busy, sync_seconds, sent, received, near_sent, near_received, counted, groups)


def _automatic_inner_steps(
    xp: Any, c: Columns, p: Parameters, sync_seconds: Array, step_seconds: Array, duty: Array
) -> Array:
    automatic = _automatic_interval(xp, c, p, sync_seconds, step_seconds, duty)
    return xp.where(xp.isnan(c["inner_steps"]), automatic, c["inner_steps"] + 0.0 * automatic)


def _automatic_interval(
    xp: Any, c: Columns, p: Parameters, sync_seconds: Array, unit_seconds: Array, duty: Array
) -> Array:
    """The fewest units of work between synchronisations that hide one (overlapped) or keep it to its share (blocking)."""
    share = p["blocking_share"]
    least = xp.where(c["overlap"] > 0, sync_seconds / duty, sync_seconds * (1.0 - share) / share)
    return xp.maximum(xp.ceil(least / unit_seconds), xp.ones_like(least))


def _goodput(
    xp: Any,
    c: Columns,
    p: Parameters,
    mode: str,
    replica: Replica,
    cycle: Cycle,
    stops_per_hour: Array,
    download_seconds: Array,
) -> Array:
    """Share of time at work: replicas stop alone, a pipeline's nodes together, a site as one; a swarm reroutes."""
    if mode == "datacenter":
        outage = p["restart_hours_datacentre"] + 0.5 * p["checkpoint_interval_hours"]
        return failures.availability(stops_per_hour, outage, nodes_that_stop_together=c["nodes"])
    outage = failures.outage_hours(
        repair_share=(1.0 - p["hot_restart_fraction"]) * _server_share(xp, c, p),
        repair_hours=p["repair_hours_small_site"] + download_seconds / 3600.0,
        restart_hours=p["hot_restart_hours_small_site"],
        lost_hours=0.5 * cycle.round.seconds / 3600.0,
    )
    if mode == "swarm":
        working = failures.availability(stops_per_hour, outage, nodes_that_stop_together=1.0)
        return xp.where(replica.stages > 1, p["swarm_rebalancing_efficiency"], 1.0) * working
    return failures.availability(stops_per_hour, outage, nodes_that_stop_together=replica.stages)


def _data_costs(
    c: Columns, p: Parameters, tokens: Array, replica: Replica, cycle: Cycle, mode: str
) -> dict[str, Array]:
    """What each feature of distribution costs in data, by name; each at least 1."""
    fitted = {
        name: p[name]
        for name in (
            "critical_replicas", "critical_replicas_compute_exponent", "critical_replicas_reference_flop",
            "inner_step_scale", "inner_step_reference", "critical_batch_tokens_at_1e12", "critical_batch_exponent",
        )
    }  # fmt: skip
    terms = data.replica_cost_terms(
        inner_steps=cycle.inner_steps,
        params=c["params"],
        tokens=tokens,
        local_batch_tokens=c["local_batch_tokens"],
        **fitted,
    )
    if mode == "hierarchical":
        between = data.replica_cost_terms(
            inner_steps=cycle.inner_steps * cycle.outer_every,
            params=c["params"],
            tokens=tokens,
            local_batch_tokens=c["local_batch_tokens"],
            **fitted,
        )
        replicas = data.tiered_data_cost(terms, between, cycle.counted, cycle.groups)
    else:
        replicas = data.replica_data_cost(terms, cycle.counted)
    costs = {"replicas_and_batch": replicas, "number_format": c["number_format_data_cost"] + 0.0 * tokens}
    if mode == "datacenter":
        return costs
    xp = namespace(tokens)
    full_bits = 8.0 * c["bytes_per_value"]
    compression = data.compression_data_cost(
        bits_per_param=full_bits / c["compression"],
        uncompressed_bits_per_param=full_bits,
        error_feedback=c["error_feedback"],
        information_bits_with_feedback=p["information_bits_with_feedback"],
        information_bits_without_feedback=p["information_bits_without_feedback"],
    )
    costs["compression"] = xp.where(cycle.counted > 1, compression, xp.ones_like(tokens))
    costs["staleness"] = data.staleness_data_cost(
        delay_rounds=xp.where(cycle.counted > 1, cycle.round.delay_rounds, 0.0 * tokens),
        staleness_data_cost=p["staleness_data_cost"],
    )
    if mode in ("pipeline", "swarm"):
        costs["activations"] = data.activation_data_cost(
            ratio=c["activation_compression"] + 0.0 * tokens,
            stages=replica.stages,
            validated_activation_compression=p["validated_activation_compression"],
            activation_data_cost=p["activation_data_cost"],
        )
    return costs


def _reason(
    xp: Any, c: Columns, mode: str, shape: compute.ModelShape, replica: Replica, duty: Array
) -> Array:
    """Index into ``REASONS`` of the first thing that keeps a plan from running, 0 if nothing does."""
    fits = (replica.node.needed_gb <= replica.node.usable_gb) & xp.isfinite(replica.stages)
    layered = replica.stages <= xp.maximum(shape.layers, xp.ones_like(shape.layers))
    enough = replica.replicas >= 1
    if mode == "hierarchical":
        enough = xp.floor(c["nodes"] / c["nodes_per_group"]) >= 2  # noqa: PLR2004 - two tiers need two groups
    linked = duty > 0
    if mode == "datacenter":
        linked = xp.ones_like(fits)
    return xp.where(~fits, 1.0, xp.where(~layered, 2.0, xp.where(~enough, 3.0, xp.where(~linked, 4.0, 0.0))))
