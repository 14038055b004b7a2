"""The preset `default`: our best model of a plan, composed of the functions of `training` and `learning`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from thresher.arrays import Array, namespace
from thresher.learning import data_efficiency as data
from thresher.learning.accounts import Worth, dense_equivalent_params, worth
from thresher.learning.loss_laws import LossLaw
from thresher.simulation import bookings, replica_costs
from thresher.simulation.cost import Cost, chips_only_usd, run_cost
from thresher.simulation.layout import STAGED_MODES, Replica, lay_out_replica
from thresher.simulation.parameters import Columns, Parameters, law_of, parameters, quantities
from thresher.simulation.rounds import Cycle, outer_round
from thresher.training import compute, energy, failures
from thresher.training import synchronisation as sync
from thresher.training.ledger import Ledger

__all__ = ["MODES", "REASONS", "Physics", "parameters", "physics", "quantities", "simulate"]

LEAST_DUTY = 0.01
"""What a synchronisation gets of a link that other flows fill: such a plan is refused, and needs only finite numbers."""

ROUNDING = 1e-9
"""How far above its capacity a link may be booked: what rounding adds to a link that is just full."""

UNBLANKED = {"memory_needed_gb", "memory_usable_gb", "stages", "link_load", "mean_upload_mbps", "mean_download_mbps"}
"""Columns that say why a plan cannot run, and so are given for those too."""

STORED_TOPOLOGIES = ("relay", "gather")
"""Topologies whose downloads leave a store that may charge for them."""

MODES = ("flat", "hierarchical", "pipeline", "swarm", "datacenter")

REASONS = (
    "",
    "the model does not fit in the nodes' memory",
    "a pipeline would need more stages than the model has layers",
    "there are fewer nodes than one replica, or two groups, need",
    "the flows overbook a link",
)
"""Why a plan cannot run, by the index in the result's ``reason``; the empty one means that it can."""


class Physics(NamedTuple):
    """What a plan's machines and links do, before it is asked what the run is worth and costs.

    ``columns`` are the plan's with the rates that its links turn out to have; ``steady_load`` is the share of the busiest link
    that flows beside synchronisation take; ``step_seconds`` the inner step with its share of the round's stalls.
    """

    columns: Columns
    shape: compute.ModelShape
    per_token: Array
    wan: sync.Path
    replica: Replica
    ledger: Ledger
    steady_load: Array
    cycle: Cycle
    step_seconds: Array


def physics(
    c: Columns, p: Parameters, *, mode: str, topology: str, schedule: str = "1f1b", law: LossLaw | None = None
) -> Physics:
    """The physics of plans: how a replica is laid out, its round, and what crosses its links; arguments as of ``simulate``."""
    xp = namespace(*c.values())
    c = had_rates(c, p["link_rate_factor"])
    shape = compute.model_shape(c["params"], aspect_ratio=p["aspect_ratio"])
    per_token = compute.flop_per_token(c["active_params"], shape, sequence_tokens=c["sequence_tokens"])
    wan = bookings.internet_path(c["upload_mbps"], c["download_mbps"], 1e-3 * c["round_trip_ms"], p)
    regional = bookings.internet_path(c["regional_mbps"], c["regional_mbps"], 1e-3 * c["regional_round_trip_ms"], p)
    replica = lay_out_replica(
        xp,
        c,
        p,
        shape=shape,
        per_token=per_token,
        mode=mode,
        schedule=schedule,
        stage_path=regional if mode == "pipeline" else wan,
    )
    ledger = bookings.node_ledger(xp, c)
    flows = bookings.steady_flows(xp, c, p, mode=mode, replica=replica)
    paced = bookings.throttled_step_seconds(xp, ledger, flows, p, replica.step_seconds)
    replica = replica._replace(step_seconds=paced)
    load = bookings.steady_load(xp, ledger, flows, paced)
    cycle = outer_round(
        xp,
        c,
        p,
        mode=mode,
        topology=topology,
        replica=replica,
        wan=wan,
        regional=regional,
        steady_load=xp.minimum(load, p["duty_cap"] - LEAST_DUTY + 0.0 * load),
        law=law_of(p) if law is None else law,
    )
    step = cycle.round.seconds / (cycle.tiers.inner_steps * cycle.tiers.outer_every)
    bookings.book_steady_flows(ledger, flows, step)
    bookings.book_synchronisation(ledger, cycle, mode=mode)
    return Physics(c, shape, per_token, wan, replica, ledger, load, cycle, step)


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
        Columns as ``plans.plan_columns`` makes them, numbers or arrays that broadcast. NaN asks for the automatic
        choice of ``stages``, ``micro_batches``, ``inner_steps``, ``regional_rounds``, ``mfu`` and ``compute_seconds_per_step``;
        exactly one of ``tokens`` and ``duration_days`` is NaN.
    p
        Parameters, see ``parameters``; draws may be arrays.
    mode, topology, schedule
        One of ``MODES``, ``synchronisation.TOPOLOGIES`` and ``pipeline.SCHEDULES``.
    law
        The loss law; that of the parameters by default.
    wanted
        The outcome columns to give, all by default; ``feasible`` and ``reason`` always come.

    Returns
    -------
    dict
        Outcome columns. Rows that cannot run have ``feasible`` 0, a ``reason`` (index into ``REASONS``), and NaN where a number
        would mislead.
    """
    xp = namespace(*c.values())
    law = law_of(p) if law is None else law
    nominal = {**c, "chip_price_usd": c["chip_price_usd"] * p["chip_price_factor"]}
    c, shape, per_token, wan, replica, ledger, load, cycle, step = physics(
        c, p, mode=mode, topology=topology, schedule=schedule, law=law
    )
    link_load = ledger.busiest_load()
    goodput = _goodput(
        xp, c, p, mode, replica, cycle, bookings.joiner_bits(xp, c, p, replica) * wan.down_seconds_per_bit
    )
    days, tokens = _length(xp, c, cycle, goodput)
    data_costs = _data_costs(xp, c, p, law, tokens, replica, cycle, mode)
    effective = data.unrepeated_tokens(
        tokens, unique_tokens=c["unique_tokens"] + 0.0 * tokens, repetition_half_life=p["repetition_half_life"]
    )
    for factor in data_costs.values():
        effective = effective / factor
    equivalent = dense_equivalent_params(
        c["params"], c["active_params"], total_exponent=p["dense_equivalent_total_exponent"]
    )
    value = worth(equivalent, effective, law, active_params=c["active_params"])
    power_mw = _power_mw(c, p, mode)
    relayed_gb = (
        cycle.tiers.received_bits / 8e9 * cycle.tiers.groups * replica.span * 86400.0 * days / cycle.round.seconds
    )
    usd = _cost(xp, nominal, p, mode, days, power_mw, relayed_gb if topology in STORED_TOPOLOGIES else 0.0)

    out = {
        **_timing(c, replica, cycle, step, goodput),
        "tokens": tokens,
        "days": days,
        "flop": tokens * per_token * replica.replicas / cycle.tiers.counted,
        "flop_with_recomputation": (1.0 + p["recomputed_share"])
        * tokens
        * per_token
        * replica.replicas
        / cycle.tiers.counted,
        **_worth_columns(c, tokens, effective, value, data_costs),
        **_money_columns(nominal, usd, power_mw, days),
        **_traffic(xp, ledger, cycle, link_load),
        "memory_needed_gb": replica.node.needed_gb,
        "memory_usable_gb": replica.node.usable_gb,
        "host_memory_gb": replica.node.host_gb,
    }
    reason = _reason(xp, c, p, mode, shape, replica, load, link_load) + 0.0 * days
    blank = xp.where(reason == 0, 0.0 * days, xp.nan)
    kept = {name: out[name] + blank for name in (out if wanted is None else [n for n in out if n in wanted])}
    for name in UNBLANKED & kept.keys():
        kept[name] = out[name] + 0.0 * days
    return {**kept, "reason": reason, "feasible": xp.astype(reason == 0, xp.float64)}


def had_rates(c: Columns, link_rate_factor: Array) -> Columns:
    """The columns with the rates that links turn out to have, not those they are rented as."""
    names = ("upload_mbps", "download_mbps", "regional_mbps")
    return {**c, **{name: c[name] * link_rate_factor for name in names}}


def _length(xp: Any, c: Columns, cycle: Cycle, goodput: Array) -> tuple[Array, Array]:
    """Days and tokens of the run, from whichever the plan states."""
    steps = cycle.tiers.inner_steps * cycle.tiers.outer_every
    tokens_per_day = 86400.0 / cycle.round.seconds * steps * c["local_batch_tokens"] * cycle.tiers.counted * goodput
    days = xp.where(xp.isnan(c["duration_days"]), c["tokens"] / tokens_per_day, c["duration_days"])
    return days, tokens_per_day * days


def _power_mw(c: Columns, p: Parameters, mode: str) -> Array:
    site = "datacentre" if mode == "datacenter" else "small_site"
    return energy.wall_power_mw(
        c["nodes"] * c["chips_per_node"],
        tdp_w=c["chip_tdp_w"],
        server_power_per_chip_power=p["server_power_per_chip_power"],
        mean_power_fraction=p["mean_power_fraction"],
        power_usage_effectiveness=p[f"power_usage_effectiveness_{site}"],
    )


def _cost(xp: Any, c: Columns, p: Parameters, mode: str, days: Array, power_mw: Array, relayed_gb: Array) -> Cost:
    chips = c["nodes"] * c["chips_per_node"]
    return run_cost(
        nodes=c["nodes"],
        chips_per_node=c["chips_per_node"],
        price_usd=c["chip_price_usd"],
        workstation=c["chip_workstation"],
        price_with_server=c["chip_price_with_server"],
        one_site=mode == "datacenter",
        days=days,
        power_mw=power_mw,
        peak_it_kw=1e-3 * chips * c["chip_tdp_w"] * p["server_power_per_chip_power"],
        rate_mbps=xp.maximum(c["upload_mbps"], c["download_mbps"]),
        relayed_gb=relayed_gb,
        p=p,
    )


def _timing(c: Columns, replica: Replica, cycle: Cycle, step: Array, goodput: Array) -> dict[str, Array]:
    return {
        "utilisation": replica.compute_seconds / step,
        "goodput": goodput,
        "step_seconds": step,
        "compute_seconds_per_step": replica.compute_seconds,
        "sync_seconds": cycle.tiers.sync_seconds,
        "round_seconds": cycle.round.seconds,
        "inner_steps": cycle.tiers.inner_steps,
        "regional_rounds": cycle.tiers.outer_every,
        "delay_rounds": cycle.round.delay_rounds,
        "stages": replica.stages,
        "replicas": replica.replicas,
        "groups": cycle.tiers.groups,
        "mfu": replica.mfu,
        "global_batch_tokens": c["local_batch_tokens"] * cycle.tiers.counted,
    }


def _worth_columns(
    c: Columns, tokens: Array, effective: Array, value: Worth, data_costs: dict[str, Array]
) -> dict[str, Array]:
    return {
        "flop_local": value.flop_local,
        "flop_quality": value.flop_quality,
        "loss": value.loss,
        "effective_tokens": effective,
        **{f"data_cost_{name}": factor for name, factor in data_costs.items()},
        "tokens_per_param": tokens / c["params"],
    }


def _money_columns(c: Columns, usd: Cost, power_mw: Array, days: Array) -> dict[str, Array]:
    return {
        "cost_usd": usd.total,
        **{f"cost_{name}_usd": part for name, part in usd._asdict().items()},
        "cost_chips_only_usd": chips_only_usd(c["nodes"], c["chips_per_node"], c["chip_price_usd"]),
        "power_mw": power_mw,
        "energy_mwh": energy.energy_mwh(power_mw, days),
    }


def _traffic(xp: Any, ledger: Ledger, cycle: Cycle, link_load: Array) -> dict[str, Array]:
    """A node's traffic: per synchronisation, its mean, its peak while synchronising, and by purpose."""
    up, down = ledger.mean_mbps("wan")
    seconds = cycle.tiers.global_seconds
    burst = 1e-6 * cycle.tiers.sent_bits / xp.where(seconds > 0, seconds, xp.inf)
    steady = up - 1e-6 * cycle.tiers.sent_bits / cycle.round.seconds
    return {
        "upload_gb_per_sync": cycle.tiers.sent_bits / 8e9,
        "download_gb_per_sync": cycle.tiers.received_bits / 8e9,
        "mean_upload_mbps": up,
        "mean_download_mbps": down,
        "peak_upload_mbps": xp.maximum(up, burst + steady),
        "link_load": link_load,
        **{f"flow_{name.replace(' ', '_')}_up_mbps": one for name, (one, _) in ledger.flows["access"].items()},
        **{f"flow_{name.replace(' ', '_')}_down_mbps": one for name, (_, one) in ledger.flows["access"].items()},
    }


def _goodput(
    xp: Any,
    c: Columns,
    p: Parameters,
    mode: str,
    replica: Replica,
    cycle: Cycle,
    download_seconds: Array,
) -> Array:
    """Share of time at work: replicas stop alone, a pipeline's nodes together, a site as one; a swarm reroutes."""
    stops = bookings.stops_per_hour(c, p)
    if mode == "datacenter":
        outage = p["restart_hours_datacentre"] + 0.5 * p["checkpoint_interval_hours"]
        return failures.availability(stops, outage, nodes_that_stop_together=c["nodes"])
    outage = failures.outage_hours(
        repair_share=(1.0 - p["hot_restart_fraction"]) * bookings.server_share(xp, c, p),
        repair_hours=p["repair_hours_small_site"] + download_seconds / 3600.0,
        restart_hours=p["hot_restart_hours_small_site"],
        lost_hours=0.5 * cycle.round.seconds / 3600.0,
    )
    if mode == "swarm":
        working = failures.availability(stops, outage, nodes_that_stop_together=1.0)
        return xp.where(replica.stages > 1, p["swarm_rebalancing_efficiency"] * working, working)
    return failures.availability(stops, outage, nodes_that_stop_together=replica.span)


def _data_costs(
    xp: Any, c: Columns, p: Parameters, law: LossLaw, tokens: Array, replica: Replica, cycle: Cycle, mode: str
) -> dict[str, Array]:
    """What each feature of distribution costs in data, by name; each at least 1."""
    tiers = cycle.tiers
    replicas = replica_costs.replica_data_cost(
        c, p, law, tokens=tokens, replicas=tiers.counted, groups=tiers.groups, inner=tiers.inner_steps,
        outer=tiers.inner_steps * tiers.outer_every,
    )  # fmt: skip
    costs = {"replicas_and_batch": replicas, "number_format": c["number_format_data_cost"] + 0.0 * tokens}
    if mode == "datacenter":
        return costs
    compression = data.compression_data_cost(
        bits_per_param=8.0 * c["bytes_per_value"] / c["compression"],
        error_feedback=c["error_feedback"],
        uncompressed_bits_per_param=p["uncompressed_bits_per_param"],
        information_exponent=p["information_exponent"],
        information_bits_with_feedback=p["information_bits_with_feedback"],
        information_bits_without_feedback=p["information_bits_without_feedback"],
    )
    costs["compression"] = xp.where(cycle.tiers.counted > 1, compression, xp.ones_like(tokens))
    costs["staleness"] = data.staleness_data_cost(
        delay_rounds=xp.where(cycle.tiers.counted > 1, cycle.round.delay_rounds, 0.0 * tokens),
        staleness_data_cost=p["staleness_data_cost"],
    )
    if mode in STAGED_MODES:
        costs["activations"] = data.activation_data_cost(
            ratio=c["activation_compression"] + 0.0 * tokens,
            stages=replica.stages,
            validated_activation_compression=p["validated_activation_compression"],
            activation_data_cost=p["activation_data_cost"],
        )
    return costs


def _reason(
    xp: Any,
    c: Columns,
    p: Parameters,
    mode: str,
    shape: compute.ModelShape,
    replica: Replica,
    steady_load: Array,
    link_load: Array,
) -> Array:
    """Index into ``REASONS`` of the first thing that keeps a plan from running, 0 if nothing does."""
    fits = (replica.node.needed_gb <= replica.node.usable_gb) & xp.isfinite(replica.stages)
    layered = replica.stages <= xp.maximum(shape.layers, xp.ones_like(shape.layers))
    enough = replica.replicas >= 1
    if mode == "hierarchical":
        enough = xp.floor(c["nodes"] / c["nodes_per_group"]) >= 2  # noqa: PLR2004 - two tiers need two groups
    carried = (steady_load < p["duty_cap"]) & (link_load <= 1.0 + ROUNDING)
    linked = xp.ones_like(fits) if mode == "datacenter" else carried
    return xp.where(
        ~fits, 1.0, xp.where(~layered, 2.0, xp.where(~enough, 3.0, xp.where(~linked, 4.0, 0.0 * shape.layers)))
    )
