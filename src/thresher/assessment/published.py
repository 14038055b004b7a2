"""`assess --model published`: the study's calculator and search, under the nodes that a regime leaves unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.catalog import chip
from thresher.errors import InputError
from thresher.evasion.published_search import PublishedNode, least_nodes
from thresher.evasion.space import settings
from thresher.regime import load_regime
from thresher.simulation.plans import chip_columns

STUDY_CHIPS = ("A100-SXM-80GB", "H100-SXM")
GRADIENT_BITS = {"bf16": 16.0, "fp8": 8.0}


@dataclass(frozen=True, slots=True)
class PublishedAnswer:
    """The cheapest plan of the study's grid for one target on one kind of node; None where it is out of reach."""

    target_flop_quality: float
    chip: str
    precision: str
    chips_per_node: int
    nodes: int | None
    mode: str | None
    params_b: float | None
    chips_only_usd: float | None


def assess_published(
    regime: str | Path,
    *,
    targets: Sequence[float] | None = None,
    chips: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> list[PublishedAnswer]:
    """What the study's calculator says of a regime, for its two chips or those named, in FP16 and FP8.

    Raises
    ------
    InputError
        A regime with no cluster clause (the study's search needs a largest node), or a chip with no known price.
    """
    rule = load_regime(regime)
    wanted = tuple(targets or settings()["targets"])
    answers = []
    for name in chips or STUDY_CHIPS:
        unit = chip(name)
        count = rule.largest_uncovered_count(unit)
        if count is None:
            raise InputError(str(regime), "a regime with a cluster clause: the study's search needs a largest node")
        if unit.price_usd is None:
            raise InputError(f"chip {unit.chip}", "a chip whose price_usd the catalog knows")
        for precision, bits in GRADIENT_BITS.items():
            if count == 0 or unit.rate_tflops(precision) is None:
                continue
            progress(f"the study's search on {count} {unit.chip} a node, {precision}")
            figures = chip_columns(unit, precision)
            node = PublishedNode(
                count, count * figures["chip_tflops"] / 1e3, count * figures["chip_memory_gb"], unit.price_usd,
                figures["state_bytes_per_param"], bits,
            )  # fmt: skip
            plans = least_nodes(node, wanted, settings()["most_nodes"])
            for target, plan in zip(wanted, plans, strict=True):
                found = (plan.nodes, plan.mode, plan.params_b, plan.cost_usd) if plan else (None,) * 4
                answers.append(PublishedAnswer(target, unit.chip, precision, count, *found))
    return answers
