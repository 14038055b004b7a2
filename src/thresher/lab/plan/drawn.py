"""The physics of a plan as charts: its rounds, its step, the memory of its chips, an hour of traffic, and its efficiency."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from thresher.assessment.formats import flop, many, number, percent
from thresher.lab.charts import Chart, Row
from thresher.simulation.anatomy import Anatomy, Memory, Pulse, Traffic
from thresher.simulation.plans import Value

Plan = Mapping[str, Value]
Outcome = Mapping[str, Any]

ROUNDS = 3
"""Rounds of the timeline: enough to see a rhythm."""
MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
BINS = 240
"""Stretches of the hour, of 15 seconds, where there are more bursts than can be told apart: their means are drawn."""
MOST_PULSES = 120
BEFORE = 600.0
"""Seconds before a burst at which the hour begins, where rounds are long."""
FAR_ABOVE = 12.0
"""A line's rate this many times above all traffic is told in words: drawn, it would flatten the traffic."""
LEAST_SHOWN = 1e-9
"""Shares below this are rounding."""
ACCOUNTS = {
    "flop": "operations performed",
    "flop_local": "local-equivalent compute",
    "flop_quality": "quality-adjusted compute",
}
INTERNET, REGION = "An hour of a node's traffic", "An hour of a node's traffic inside its region"


def charts(plan: Plan, outcome: Outcome, parts: Anatomy, memory: Memory) -> tuple[list[Chart], list[Chart]]:
    """All charts of a plan that can run, in two columns: its machines, and its links and worth."""
    traffic = [traffic_chart(plan, parts, parts.internet, "plan-traffic", INTERNET)]
    if parts.regional.pulses or parts.regional.steady_up_mbps > 0:
        traffic.append(traffic_chart(plan, parts, parts.regional, "plan-traffic-regional", REGION))
    machines = [rounds_chart(plan, outcome, parts), step_chart(outcome, parts), memory_chart(plan, memory)]
    return machines, [*traffic, efficiency_chart(outcome, parts)]


def rounds_chart(plan: Plan, outcome: Outcome, parts: Anatomy) -> Chart:
    """Compute and communication over a few rounds."""
    rows = [
        {
            "round": turn + 1,
            "lane": span.lane,
            "what": span.what,
            "start_s": turn * parts.round_seconds + span.start,
            "end_s": turn * parts.round_seconds + span.end,
            "seconds": span.end - span.start,
            "pieces": span.pieces,
        }
        for turn in range(ROUNDS)
        for span in parts.spans
    ]
    return Chart("plan-rounds", "Compute and communication", _rhythm(plan, outcome), rows, "plan-rounds")


def _rhythm(plan: Plan, outcome: Outcome) -> str:
    """A round in words."""
    if outcome["sync_seconds"] <= 0:
        return f"{ROUNDS} steps of {number(outcome['step_seconds'])} s: nothing to synchronise with."
    steps, regional = outcome["inner_steps"] * outcome["regional_rounds"], outcome["regional_rounds"]
    each = f"{many(steps, 'inner step')} of {number(outcome['compute_seconds_per_step'])} s of compute"
    regions = f", {many(regional, 'regional synchronisation')} among them" if regional > 1 else ""
    how = "in fragments while computing" if plan["overlap"] else "while the chips wait"
    return (
        f"{ROUNDS} rounds of {duration(outcome['round_seconds'])}: {each}{regions},"
        f" and {duration(outcome['sync_seconds'])} of synchronisation {how}."
    )


def step_chart(outcome: Outcome, parts: Anatomy) -> Chart:
    """Where the seconds of an inner step go."""
    total = outcome["step_seconds"]
    rows = [
        {"what": what, "seconds": seconds, "share": seconds / total}
        for what, seconds in parts.step.items()
        if seconds > LEAST_SHOWN * total
    ]
    caption = (
        f"An inner step takes {number(total)} s with its share of everything;"
        f" {percent(outcome['utilisation'])} of it is compute."
    )
    return Chart("plan-step", "Where the seconds of a step go", caption, rows, "plan-step")


def memory_chart(plan: Plan, memory: Memory) -> Chart:
    """The memory of one chip by part, against what is usable and what there is."""
    rows = [
        {"part": part, "gb": held / memory.chips, "gb_of_all": held, "order": order}
        for order, (part, held) in enumerate(memory.parts.items())
        if held > 0
    ]
    needed, usable = sum(memory.parts.values()) / memory.chips, memory.usable_gb / memory.chips
    limits = [{"line": "usable", "gb": usable}, {"line": "on the chip", "gb": memory.capacity_gb / memory.chips}]
    where = "site" if plan["mode"] == "datacenter" else "node"
    caption = (
        f"{number(needed)} GB needed and {number(usable)} GB usable on each of the {where}'s {many(memory.chips, 'chip')},"
        " over which everything is shared out evenly."
    )
    return Chart("plan-memory", "Memory of a chip", caption, rows, "plan-memory", {"limits": limits})


def traffic_chart(plan: Plan, parts: Anatomy, line: Traffic, name: str, title: str) -> Chart:
    """An hour of one line's traffic, up and down, with the line's rate."""
    start = first_second(line.pulses, parts.round_seconds)
    steps = list(hour(line, parts.round_seconds, start))
    rows = [
        {"minute": step[0], "way": way, "mbps": step[place]}
        for place, way in ((1, "up"), (2, "down"))
        for step in steps
    ]
    highest = max(max(step[1:]) for step in steps)
    rates = {"up": line.rate_up_mbps, "down": line.rate_down_mbps}
    near = {way: rate for way, rate in rates.items() if rate <= FAR_ABOVE * highest}
    lines = [{"way": way, "mbps": rate, "label": f"the line's rate {way}"} for way, rate in near.items()]
    if len(near) == len(rates) and len(set(near.values())) == 1:
        lines = [{**lines[0], "label": "the line's rate"}]
    caption = _traffic_words(plan, parts, line, start)
    if far := [f"{number(rate)} Mbit/s {way}" for way, rate in rates.items() if way not in near]:
        caption += f" The line's rate, {' and '.join(far)}, lies far above."
    return Chart("plan-traffic", title, caption, rows, name, {"rates": lines})


def _traffic_words(plan: Plan, parts: Anatomy, line: Traffic, start: float) -> str:
    up, down = line.mean_mbps(parts.round_seconds)
    mean = f"On average {number(up)} Mbit/s up and {number(down)} down."
    if not line.pulses:
        return f"{mean} Nothing is exchanged in bursts."
    kind = "an overlapped synchronisation, fragment by fragment" if plan["overlap"] else "a blocking synchronisation"
    spread = f" Each burst is {kind}, its bits spread evenly over its seconds; a round takes"
    window = f" The hour begins {duration(start)} into a round." if start > 0 else ""
    means = " Means over 15 seconds are drawn." if _crowded(line, parts.round_seconds) else ""
    return f"{mean}{spread} {duration(parts.round_seconds)}.{window}{means}"


def first_second(pulses: Sequence[Pulse], round_seconds: float) -> float:
    """Where in a round the hour begins, in seconds: with the round, or a little before its first burst where rounds are long."""
    return max(0.0, pulses[0].start - BEFORE) if pulses and round_seconds > 0.5 * HOUR else 0.0


def _crowded(line: Traffic, round_seconds: float) -> bool:
    return len(line.pulses) * HOUR / round_seconds > MOST_PULSES


def hour(line: Traffic, round_seconds: float, start: float) -> Iterator[tuple[float, float, float]]:
    """One hour of a line's traffic as steps: the minute at which each begins, and Mbit/s up and down from there on."""
    if _crowded(line, round_seconds):
        edges = [HOUR * at / BINS for at in range(BINS + 1)]
    else:
        first, last = math.floor(start / round_seconds), math.ceil((start + HOUR) / round_seconds)
        moments = (
            turn * round_seconds + edge - start
            for turn in (range(first, last + 1) if line.pulses else ())
            for one in line.pulses
            for edge in (one.start, one.end)
        )
        edges = sorted({0.0, HOUR, *(moment for moment in moments if 0.0 < moment < HOUR)})
    volume = _volume_until(line, round_seconds)
    up = down = 0.0
    for left, right in pairwise(edges):
        before, after = volume(start + left), volume(start + right)
        up, down = ((after[way] - before[way]) / (right - left) for way in (0, 1))
        yield left / MINUTE, up, down
    yield HOUR / MINUTE, up, down


def _volume_until(line: Traffic, round_seconds: float) -> Callable[[float], tuple[float, float]]:
    """The megabits up and down from the first moment to any other, in seconds: the exact integral of the pulses."""
    mean_up, mean_down = line.mean_mbps(round_seconds)

    def until(seconds: float) -> tuple[float, float]:
        rounds, rest = divmod(seconds, round_seconds)
        taken = [(max(0.0, min(rest, one.end) - one.start), one) for one in line.pulses]
        up = rest * line.steady_up_mbps + sum(length * one.up_mbps for length, one in taken)
        down = rest * line.steady_down_mbps + sum(length * one.down_mbps for length, one in taken)
        return rounds * round_seconds * mean_up + up, rounds * round_seconds * mean_down + down

    return until


def efficiency_chart(outcome: Outcome, parts: Anatomy) -> Chart:
    """The factors from the peak rate of all chips to what the run is worth: a bar from what is left before it to after it."""
    rows: list[Row] = []
    left = 1.0
    for factor in parts.factors:
        before, left = left, left * factor.factor
        left_flop = parts.peak_flop * left
        if abs(factor.factor - 1.0) > LEAST_SHOWN:
            label, part = f"{factor.name} × {factor.factor:.3g}", "gain" if factor.factor > 1.0 else "loss"
            rows.append(_factor_row(factor.name, label, part, before, left, left_flop) | {"times": factor.factor})
        if factor.reaches:
            name = ACCOUNTS[factor.reaches]
            rows.append(_factor_row(name, f"= {name}, {percent(left)}", "account", left, left, left_flop))
    caption = (
        f"All chips at their peak rate would do {flop(parts.peak_flop)} FLOP in the {number(outcome['days'])} days. What is left"
        f" after each factor, on a scale where equal lengths are equal factors: {percent(outcome['flop'] / parts.peak_flop)} is"
        f" performed, and worth {percent(left)}."
    )
    return Chart("plan-efficiency", "Factors of efficiency", caption, rows, "plan-efficiency")


def _factor_row(name: str, label: str, part: str, before: float, after: float, left_flop: float) -> dict[str, Any]:
    return {"factor": name, "label": label, "part": part, "before": before, "after": after, "flop": left_flop}


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 6.9 minutes, 2.5 hours, 3 days; the larger unit from twice its size on."""
    for size, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2.0 * size:
            return f"{number(seconds / size)} {name}"
    return f"{number(seconds)} s"
