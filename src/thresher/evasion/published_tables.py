"""The study's two threshold tables in the preset `published`: a lowered compute threshold, and an added memory threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from thresher.evasion.published_search import PublishedNode, PublishedPlan, least_nodes
from thresher.evasion.space import settings
from thresher.sources import read_yaml


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One cell of a table: under a threshold, on one kind of chip, the fewest nodes that reach a target; None out of reach.

    ``table`` is ``compute`` or ``memory``; thresholds are in H100-equivalents and GB (None: no memory threshold); ``node_chips``
    and ``largest_params_b`` are the largest unseen node and the largest model it holds (billions of parameters);
    ``chips_only_usd`` is the price of the chips alone, at the study's prices.
    """

    table: str
    chip: str
    precision: str
    threshold_h100e: float
    threshold_memory_gb: float | None
    node_chips: int
    largest_params_b: float
    target_flop_quality: float
    nodes: int | None
    mode: str | None
    params_b: float | None
    chips_only_usd: float | None


def published_threshold_tables() -> list[ThresholdRow]:
    """Every row of the two tables, searched anew: by table, chip, threshold and target.

    The thresholds, chips and targets are those of arXiv 2605.29359 (``data/published_tables.yaml``); the search is `least_nodes`,
    which tries every number of nodes up to 100,000 where the study bisects, so a row may have fewer nodes than the study's.
    """
    document = _document()
    return [
        _row(table, chip, line, target, plan)
        for table, lines in document["tables"].items()
        for chip in document["chips"]
        for line in lines
        for target, plan in zip(document["targets"], _plans(_node(chip, line), tuple(document["targets"])), strict=True)
    ]


@cache
def _document() -> Mapping[str, Any]:
    text = files("thresher.evasion").joinpath("data", "published_tables.yaml").read_text("utf-8")
    document: Mapping[str, Any] = read_yaml(text, "thresher/evasion/data/published_tables.yaml")
    return document


def _node(chip: Mapping[str, Any], line: Mapping[str, Any]) -> PublishedNode:
    """The largest node of a chip that is not over a threshold."""
    count = int(line["h100e"] * _document()["h100_fp16_tflops"] // chip["fp16_tflops"])
    if line["memory_gb"] is not None:
        count = min(count, int(line["memory_gb"] // chip["memory_gb"]))
    return PublishedNode(
        count, count * chip["training_tflops"] / 1e3, float(count * chip["memory_gb"]), float(chip["price_usd"]),
        float(chip["bytes_per_param"]), float(chip["gradient_bits"]),
    )  # fmt: skip


@cache
def _plans(node: PublishedNode, targets: tuple[float, ...]) -> tuple[PublishedPlan | None, ...]:
    """The search on one kind of node, for all targets; many thresholds leave the same node."""
    return tuple(least_nodes(node, targets, settings()["most_nodes"]))


def _row(
    table: str, chip: Mapping[str, Any], line: Mapping[str, Any], target: float, plan: PublishedPlan | None
) -> ThresholdRow:
    node = _node(chip, line)
    found = (plan.nodes, plan.mode, plan.params_b, plan.cost_usd) if plan else (None,) * 4
    return ThresholdRow(
        table, chip["chip"], chip["precision"], line["h100e"], line["memory_gb"], node.chips,
        node.memory_gb / node.bytes_per_param, target, *found,
    )  # fmt: skip
