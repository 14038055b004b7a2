"""The study's own search in the preset `published`: its grid of plans, with the least number of nodes found without bisection."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thresher.arrays import evaluate_in_blocks
from thresher.evasion.space import settings
from thresher.simulation import published


@dataclass(frozen=True, slots=True)
class PublishedNode:
    """A node as the study describes it: chips, PFLOP/s in its number format, memory, price, and the format's bytes and bits."""

    chips: int
    pflops: float
    memory_gb: float
    chip_price_usd: float
    bytes_per_param: float
    gradient_bits: float


@dataclass(frozen=True, slots=True)
class PublishedPlan:
    """The cheapest plan found: its mode, nodes, model size, cost and capability (quality-adjusted FLOP)."""

    mode: str
    nodes: int
    params_b: float
    cost_usd: float
    flop_quality: float


def least_nodes(node: PublishedNode, targets: tuple[float, ...], most_nodes: int) -> list[PublishedPlan | None]:
    """For each target, the fewest nodes of this kind with which some plan of the study's grid reaches it, or None.

    Every whole number of nodes is tried. The published search bisects instead, which needs capability to rise with nodes; it
    rises, falls (over-training) and jumps (whole groups), so bisection misses targets that are within reach.
    """
    remaining = dict(enumerate(targets))
    found: list[PublishedPlan | None] = [None] * len(targets)
    chunk, start = 4096, 1
    while remaining and start <= most_nodes:
        counts = np.arange(start, min(start + chunk, most_nodes + 1), dtype=float)
        best, where, plans = _best_by_nodes(node, counts)
        for index, target in list(remaining.items()):
            reached = np.flatnonzero(best >= target)
            if reached.size:
                at = int(reached[0])
                mode, params_b = plans[int(where[at])]
                nodes = int(counts[at])
                cost = nodes * node.chips * node.chip_price_usd
                found[index] = PublishedPlan(mode, nodes, params_b, cost, float(best[at]))
                del remaining[index]
        start += chunk
    return found


def _best_by_nodes(node: PublishedNode, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[tuple[str, float]]]:
    """The best capability at each number of nodes, which plan of the grid gives it, and the plans' labels."""
    qualities, labels = [], []
    for mode, params_b, quality in _plans(node, counts):
        qualities.append(np.nan_to_num(quality))
        labels.append((mode, params_b))
    table = np.asarray(qualities)
    return table.max(axis=0), table.argmax(axis=0), labels


def _plans(node: PublishedNode, counts: np.ndarray) -> Iterator[tuple[str, float, np.ndarray]]:
    """Every plan of the study's grid at every number of nodes: mode, parameters in billions, capability."""
    s = settings()["published"]
    largest = node.memory_gb / node.bytes_per_param
    base = {
        **{name: np.full(len(counts), float(value)) for name, value in s["assumptions"].items()},
        "node_pflops": np.full(len(counts), node.pflops),
        "node_memory_gb": np.full(len(counts), node.memory_gb),
        "node_chips": np.full(len(counts), float(node.chips)),
        "chip_price_usd": np.full(len(counts), node.chip_price_usd),
        "bytes_per_param": np.full(len(counts), node.bytes_per_param),
        "gradient_bits": np.full(len(counts), node.gradient_bits),
        "nodes": counts,
        "inner_steps": np.full(len(counts), math.nan),
    }

    def run(mode: str, **changes: np.ndarray | float) -> dict[str, np.ndarray]:
        columns = base | {
            name: np.broadcast_to(np.asarray(value, float), counts.shape).copy() for name, value in changes.items()
        }
        return evaluate_in_blocks(published.MODES[mode], columns, len(counts))

    for share in s["params_shares"]:
        params_b = share * largest
        automatic = run("flat", params_b=params_b)
        least = automatic["h_min"]
        yield "flat", params_b, automatic["c_quality"]
        for steps in s["inner_steps"]:
            fewer = run("flat", params_b=params_b, inner_steps=steps)
            yield "flat", params_b, np.where(steps < least, fewer["c_quality"], 0.0)
        halved = run("flat", params_b=params_b, inner_steps=np.maximum(np.floor(least / 2), 1.0))
        yield "flat", params_b, np.where(least > s["halve_above"], halved["c_quality"], 0.0)
        for group in s["nodes_per_group"]:
            tiered = run("hierarchical", params_b=params_b, nodes_per_group=group)
            yield "hierarchical", params_b, tiered["c_quality"]
    for multiple in s["params_multiples"]:
        for ratio in s["activation_compressions"]:
            staged = run("pipeline", params_b=multiple * largest, activation_compression=ratio)
            yield "pipeline", multiple * largest, staged["c_quality"]
