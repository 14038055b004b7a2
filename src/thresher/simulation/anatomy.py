"""The anatomy of one simulated plan: its step, round, memory, traffic and efficiency, part by part.

Every split is read off the quantities that the model itself adds or multiplies, so that the parts make up the outcome:
seconds of a step, gigabytes of a node, megabits of a round, and the factors between the peak rate and what was learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thresher.catalog.chips import BITS
from thresher.learning import data_efficiency as data
from thresher.simulation import default
from thresher.simulation.plans import Value, plan_columns
from thresher.training.memory import state_parts

CHIPS, LINKS = "chips", "links"
INNER_STEPS, WAITING = "inner steps", "waiting for the synchronisation"
SYNCHRONISING, REGIONAL, FRAGMENT = "synchronisation", "regional synchronisation", "fragment of the synchronisation"
MOST_SPANS = 24
"""Regional rounds or fragments of a round that are told apart; of more, several stand together as one."""
SECONDS_PER_DAY = 86400.0


class Span(NamedTuple):
    """A stretch of a round: what is busy, with what, from when to when in seconds, and of how many pieces."""

    lane: str
    what: str
    start: float
    end: float
    pieces: float


class Pulse(NamedTuple):
    """A stretch of a round in which a node sends and receives more than its steady flows, in seconds and Mbit/s."""

    start: float
    end: float
    up_mbps: float
    down_mbps: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one line of a node carries: its rates, the steady flows, and the pulses of one round, in Mbit/s."""

    rate_up_mbps: float
    rate_down_mbps: float
    steady_up_mbps: float
    steady_down_mbps: float
    pulses: tuple[Pulse, ...]

    def mean_mbps(self, round_seconds: float) -> tuple[float, float]:
        """The mean over a round, up and down: what the ledger has booked."""
        up = sum((one.end - one.start) * one.up_mbps for one in self.pulses) / round_seconds
        down = sum((one.end - one.start) * one.down_mbps for one in self.pulses) / round_seconds
        return self.steady_up_mbps + up, self.steady_down_mbps + down


class Factor(NamedTuple):
    """A factor of efficiency: its name and its size; ``reaches`` names the account that the product so far amounts to, if any."""

    name: str
    factor: float
    reaches: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one unit of chips: a node, or the whole site of a datacenter; in GB."""

    chips: float
    parts: Mapping[str, float]
    usable_gb: float
    capacity_gb: float


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One plan's outcome, part by part.

    ``step`` sums to ``step_seconds``, the memory's parts to ``memory_needed_gb``; ``spans`` fill one round; the product of
    ``factors`` is ``flop_quality`` over ``peak_flop``, what the chips could do in the run's days at their peak rate.
    ``automatic`` is what the model chose, by the name of the plan's field.
    """

    step: Mapping[str, float]
    spans: tuple[Span, ...]
    round_seconds: float
    internet: Traffic
    regional: Traffic
    peak_flop: float
    factors: tuple[Factor, ...]
    automatic: Mapping[str, float]


def physics_of(plan: Mapping[str, Value], where: str = "plan") -> default.Physics:
    """The physics of one checked plan at central values, its arrays of one as numbers."""
    columns = {name: np.asarray([value]) for name, value in plan_columns(plan, where).items()}
    with np.errstate(all="ignore"):  # a plan that cannot run divides by zero
        found = default.physics(
            columns,
            default.parameters(),
            mode=str(plan["mode"]),
            topology=str(plan["topology"]),
            schedule=str(plan["schedule"]),
        )
    return _numbers(found)  # type: ignore[no-any-return]


def _numbers(value: Any) -> Any:
    """A nested tuple or mapping of arrays of one with plain numbers in their place; anything else as it is."""
    if isinstance(value, tuple):
        return type(value)(*(_numbers(one) for one in value))
    if isinstance(value, Mapping):
        return {name: _numbers(one) for name, one in value.items()}
    return float(np.ravel(value)[0]) if isinstance(value, np.ndarray | float) else value


def anatomy(plan: Mapping[str, Value], outcome: Mapping[str, Any], found: default.Physics) -> Anatomy:
    """Take one plan's outcome apart.

    Parameters
    ----------
    plan, outcome, found
        A checked plan, and what ``plans.simulate_plan`` and ``physics_of`` say of it.
    """
    overlap = bool(plan["overlap"])
    return Anatomy(
        step=step_parts(found),
        spans=tuple(round_spans(found, overlap=overlap)),
        round_seconds=found.cycle.round.seconds,
        internet=internet_traffic(found, overlap=overlap),
        regional=regional_traffic(found, overlap=overlap),
        peak_flop=peak_flop(outcome, found),
        factors=tuple(efficiency_factors(plan, outcome, found)),
        automatic=automatic(plan, outcome, found),
    )


def step_parts(found: default.Physics) -> dict[str, float]:
    """The seconds of an inner step by what they go to; they add up to ``step_seconds``."""
    replica, tiers = found.replica, found.cycle.tiers
    through = replica.pipeline
    return {
        "compute": replica.compute_seconds,
        "waiting for stage links": through.slot_seconds - replica.compute_seconds,
        "pipeline bubble": through.bubble_seconds,
        "passage through stages": through.passage_seconds,
        "experts on other nodes": replica.expert_seconds,
        "held back for the links": replica.step_seconds - through.seconds - replica.expert_seconds,
        "waiting for the slowest copy": found.cycle.step_seconds - replica.step_seconds,
        "synchronisation not hidden": found.cycle.round.stall_seconds / (tiers.inner_steps * tiers.outer_every),
    }


def memory(plan: Mapping[str, Value], found: default.Physics) -> Memory:
    """What lies on the chips of one node (of the whole site in a datacenter), by part; the parts add up to what is needed."""
    node, columns = found.replica.node, found.columns
    state = state_parts(
        node.state_gb,
        state_bytes_per_param=columns["state_bytes_per_param"],
        value_bytes=BITS[str(plan["precision"])] / 8.0,
    )
    chips = columns["chips_per_node"] * (columns["nodes"] if plan["mode"] == "datacenter" else 1.0)
    parts = {
        "weights": state.weights_gb,
        "gradients": state.gradients_gb,
        "optimizer: fp32 weights and moments": state.optimizer_gb,
        "activations": node.activations_gb,
        "outer optimizer": node.outer_gb,
    }
    return Memory(chips, parts, node.usable_gb, chips * columns["chip_memory_gb"])


def round_spans(found: default.Physics, *, overlap: bool) -> list[Span]:
    """The stretches of one round, of the chips and of the links.

    A blocking synchronisation takes the links' other share: its seconds are longer where steady flows take some. Of an
    overlapped one the fragments stand at equal distances, each as long as the links need for it.
    """
    cycle = found.cycle
    tiers, whole = cycle.tiers, cycle.round
    busy = whole.seconds - whole.stall_seconds
    steps = tiers.inner_steps * tiers.outer_every
    if tiers.sync_seconds <= 0:
        return [Span(CHIPS, INNER_STEPS, 0.0, whole.seconds, steps)]
    if overlap:
        waiting = [Span(CHIPS, WAITING, busy, whole.seconds, 1)] if whole.stall_seconds > 0 else []
        return [Span(CHIPS, INNER_STEPS, 0.0, busy, steps), *waiting, *_fragments(found)]
    groups = min(tiers.outer_every, MOST_SPANS)
    stretched = whole.stall_seconds / tiers.sync_seconds
    computing = busy / groups
    near = (tiers.sync_seconds - tiers.global_seconds) * stretched / groups
    spans, now = [], 0.0
    for _ in range(round(groups)):
        spans.append(Span(CHIPS, INNER_STEPS, now, now + computing, steps / groups))
        now += computing
        if near > 0:
            spans += _stop(now, now + near, REGIONAL, tiers.outer_every / groups)
            now += near
    return [*spans, *_stop(now, whole.seconds, SYNCHRONISING, 1)]


def _stop(start: float, end: float, what: str, pieces: float) -> list[Span]:
    return [Span(CHIPS, WAITING, start, end, pieces), Span(LINKS, what, start, end, pieces)]


def _fragments(found: default.Physics) -> list[Span]:
    """The fragments of an overlapped synchronisation over one round; several together where there are very many."""
    tiers, whole = found.cycle.tiers, found.cycle.round
    fragments = round(tiers.sync_seconds / (whole.delay_rounds * whole.seconds))
    shown = min(fragments, MOST_SPANS)
    apart, length = whole.seconds / shown, tiers.sync_seconds / shown
    return [Span(LINKS, FRAGMENT, at * apart, at * apart + length, fragments / shown) for at in range(shown)]


def internet_traffic(found: default.Physics, *, overlap: bool) -> Traffic:
    """What a node's internet line carries: the global synchronisation in pulses, everything else steadily."""
    tiers, link = found.cycle.tiers, found.ledger.links["wan"]
    pulses = _pulses(
        found, (FRAGMENT, SYNCHRONISING), tiers.global_seconds, tiers.sent_bits, tiers.received_bits, overlap
    )
    return _traffic(found, link.up_mbps, link.down_mbps, "wan", "synchronisation", pulses)


def regional_traffic(found: default.Physics, *, overlap: bool) -> Traffic:
    """What a node's access line carries inside its region, beside what goes to the internet."""
    tiers, link = found.cycle.tiers, found.ledger.links["access"]
    kinds = (FRAGMENT, SYNCHRONISING, REGIONAL)
    bits = tiers.regional_sent_bits, tiers.regional_received_bits
    pulses = _pulses(found, kinds, tiers.sync_seconds, *bits, overlap)
    return _traffic(found, link.up_mbps, link.down_mbps, "access", "regional synchronisation", pulses)


def _pulses(
    found: default.Physics,
    kinds: tuple[str, ...],
    seconds: float,
    sent_bits: float,
    received_bits: float,
    overlap: bool,
) -> tuple[Pulse, ...]:
    """The bits of a round, evenly over the seconds of the synchronisations that carry them, from where their stretches begin."""
    if seconds <= 0 or sent_bits + received_bits <= 0:
        return ()
    spans = [one for one in round_spans(found, overlap=overlap) if one.lane == LINKS and one.what in kinds]
    taken = sum(one.end - one.start for one in spans)
    rates = 1e-6 * sent_bits / seconds, 1e-6 * received_bits / seconds
    return tuple(Pulse(one.start, one.start + (one.end - one.start) * seconds / taken, *rates) for one in spans)


def _traffic(
    found: default.Physics, up: Any, down: Any, link: str, synchronisation: str, pulses: tuple[Pulse, ...]
) -> Traffic:
    """One line with its steady flows: all that is booked on it (on the access line: on it alone) but the synchronisation."""
    flows = found.ledger.flows
    own = {
        name: booked
        for name, booked in flows[link].items()
        if name != synchronisation and (link == "wan" or name not in flows["wan"])
    }
    steady_up, steady_down = (sum(_numbers(flow[way]) for flow in own.values()) for way in (0, 1))
    return Traffic(_numbers(up), _numbers(down), float(steady_up), float(steady_down), pulses)


def peak_flop(outcome: Mapping[str, Any], found: default.Physics) -> float:
    """What all chips of a plan could do in the days of the run at their peak rate, in FLOP."""
    c = found.columns
    rate = 1e12 * c["chip_tflops"] * c["chips_per_node"] * c["nodes"]
    return float(SECONDS_PER_DAY * outcome["days"] * rate)


def efficiency_factors(plan: Mapping[str, Value], outcome: Mapping[str, Any], found: default.Physics) -> list[Factor]:
    """The factors from the peak of all chips to what the run is worth: machines, time, then data; their product is the whole.

    The accounts that the product passes: ``flop`` (performed), ``flop_local`` and ``flop_quality``.
    """
    c, replica = found.columns, found.replica
    chips = c["chips_per_node"] * (c["nodes"] if plan["mode"] == "datacenter" else 1.0)
    placed = replica.span * replica.replicas * chips / (c["nodes"] * c["chips_per_node"])
    performed = c["local_batch_tokens"] * found.per_token
    rate = performed / (replica.compute_seconds * 1e12 * c["chip_tflops"] * chips * replica.span)
    stated = not math.isnan(c["compute_seconds_per_step"])
    computing = (
        [Factor("MFU, from the stated seconds", rate)]
        if stated
        else [Factor("chips with a sequence", replica.occupied), Factor("MFU", replica.mfu)]
    )
    p = default.parameters()
    fresh = data.unrepeated_tokens(
        np.asarray(outcome["tokens"]), unique_tokens=c["unique_tokens"], repetition_half_life=p["repetition_half_life"]
    )
    costs = {name.removeprefix("data_cost_"): cost for name, cost in outcome.items() if name.startswith("data_cost_")}
    return [
        Factor("nodes in a copy", placed),
        *computing,
        Factor("time computing", outcome["utilisation"]),
        Factor("time at work (failures)", outcome["goodput"], "flop"),
        Factor("updates that count", found.cycle.tiers.counted / replica.replicas),
        Factor("weights, not attention", 6.0 * c["active_params"] / found.per_token),
        Factor("fresh tokens", float(fresh) / outcome["tokens"]),
        *(
            Factor(f"data cost: {name.replace('_', ' ')}", 1.0 / cost, "flop_local" if name == list(costs)[-1] else "")
            for name, cost in costs.items()
        ),
        Factor("model size for its tokens", outcome["flop_quality"] / outcome["flop_local"], "flop_quality"),
    ]


def automatic(plan: Mapping[str, Value], outcome: Mapping[str, Any], found: default.Physics) -> dict[str, float]:
    """What the model takes for the fields of a plan that may be left to it, by field; those that it cannot know are left out."""
    own = ("tokens", "inner_steps", "regional_rounds", "stages", "mfu", "compute_seconds_per_step")
    taken = {name: float(outcome[name]) for name in own if name in outcome}
    taken |= {
        name: float(found.columns[name])
        for name in ("active_params", "unique_tokens", "chip_price_usd")
        if name in found.columns
    }
    if "days" in outcome:
        taken["duration_days"] = float(outcome["days"])
    taken["micro_batches"] = float(found.replica.micro_batches)
    links = ("upload_mbps", "download_mbps", "latency_ms", "regional_mbps", "regional_latency_ms")
    taken |= {name: float(plan[name]) for name in links if isinstance(plan[name], int | float)}  # type: ignore[arg-type]
    return {name: value for name, value in taken.items() if math.isfinite(value)}
