"""How a clause is measured: sums over chips against a line, operations performed against bands; all vectorised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from thresher.arrays import Array, namespace
from thresher.catalog import Chip
from thresher.errors import InputError
from thresher.regime.schema import ClusterClause, Counting, Definitions, RunClause

TERA = 1e12

_TIE = 1e-12
"""Relative width of a tie: a sum of many chips' figures that rounding alone carries over the line is on the line."""


@dataclass(frozen=True, slots=True)
class Component:
    """One of the sums a metric is the largest of: the chip figure that is summed, and what the sum is divided by."""

    figure: str
    unit: float


def components(clause: ClusterClause, definitions: Definitions | None) -> tuple[Component, ...]:
    """The sums that a clause's metric is the largest of.

    An H100-equivalent is defined twice (by dense FP16 rate and by TPP): the larger of the two sums counts, as in the
    published examples, where a card whose FP8 rate raises its TPP counts by it.
    """
    match clause.metric:
        case "h100_equivalents":
            if definitions is None:
                raise InputError(clause.id, "a regime with `definitions`, for a clause in H100-equivalents")
            return (
                Component("fp16_tflops", definitions.h100_fp16_tflops),
                Component("tpp", definitions.h100_tpp),
            )
        case "peak_operations_per_second":
            return (Component("peak_tera_operations_s", 1.0 / TERA),)
        case figure:
            return (Component(figure, 1.0),)


@cache
def chip_figure(chip: Chip, figure: str) -> float:
    """What one chip adds to a sum; NaN where the catalog does not know it.

    ``peak_tera_operations_s`` is the largest dense rate over the number formats, integer ones included.
    """
    if figure == "chips":
        return 1.0
    if figure == "peak_tera_operations_s":
        rates = (chip.fp16_tflops, chip.fp8_tflops, chip.fp4_tflops, chip.int8_tops)
        return max((rate for rate in rates if rate is not None), default=math.nan)
    value = getattr(chip, figure)
    return math.nan if value is None else float(value)


def is_counted(clause: ClusterClause, chip: Chip) -> bool:
    """Whether a clause counts a chip; one whose memory kind is not known counts, until someone shows it does not."""
    return clause.counts is None or chip.memory_kind in ("", *clause.counts.memory_kinds)


def exceeds(comparison: str, value: Array, threshold: Array) -> Array:
    """Whether ``value`` is over the line: above it for ``>``, on it or above for ``>=``.

    Values within 1e-12 of the line, relatively, are on it. NaN is not over any line.
    """
    if comparison == ">":
        return value > threshold * (1.0 + _TIE)
    return value >= threshold * (1.0 - _TIE)


def largest(totals: list[Array], parts: tuple[Component, ...]) -> Array:
    """The value of a metric: the largest of its sums, each over its unit."""
    first, *others = [total / part.unit for total, part in zip(totals, parts, strict=True)]
    xp = namespace(first)
    for other in others:
        first = xp.maximum(first, other)
    return first


class Measure(NamedTuple):
    """A clause's value for some sets of chips, its line, and whether the value is over it."""

    value: Array
    threshold: float
    covered: Array


def measure_nodes(
    clause: ClusterClause, definitions: Definitions | None, chip: Chip, chips_per_node: Array, nodes_together: Array = 1
) -> Measure:
    """A clause's value for nodes of one chip type that it counts together.

    Parameters
    ----------
    chip
        The chip.
    chips_per_node
        Chips in a node, any shape.
    nodes_together
        Nodes that the clause counts together, broadcast against ``chips_per_node``: 1 where each stands alone at its
        own site below the clause's interconnect limit.

    Raises
    ------
    InputError
        The catalog knows none of the chip's figures that the clause sums.
    """
    xp = namespace(chips_per_node, nodes_together)
    count = xp.asarray(chips_per_node * nodes_together, dtype=xp.float64)
    if not is_counted(clause, chip):
        return Measure(0.0 * count, clause.threshold, count < 0.0)
    parts = [part for part in components(clause, definitions) if not math.isnan(chip_figure(chip, part.figure))]
    if not parts:
        raise InputError(f"chip {chip.chip}", f"a known figure for {clause.metric} (the catalog has none)")
    value = largest([count * chip_figure(chip, part.figure) for part in parts], tuple(parts))
    return Measure(value, clause.threshold, exceeds(clause.comparison, value, clause.threshold))


def counted_operations(operations: Array, bits: Array = 16, counting: Counting = "operations") -> Array:
    """The operations of a run as a rule counts them.

    Parameters
    ----------
    operations
        Operations performed in the format used, any shape.
    bits
        Bits of one multiplied value: 16 for FP16 and BF16, 8 for FP8 and INT8, 4 for FP4.
    counting
        ``operations``: each counts once. ``fp16_equivalent_or_format_whichever_higher`` (arXiv 2511.10783, Art. II):
        the FP16-equivalent of an operation goes by its bit length, as in TPP, so an FP8 operation is half an FP16 one;
        the higher of that and the operation itself is one. A format of 16 bits or fewer therefore counts operation by
        operation, a wider one (TF32, FP32) by its bits over 16: going to fewer bits saves nothing under the rule.

    Returns
    -------
    Operations that count, of the inputs' common shape.
    """
    if counting == "operations":
        return operations + 0.0 * bits
    xp = namespace(operations, bits)
    return xp.maximum(xp.asarray(operations * 1.0), xp.asarray(operations * (bits / 16.0)))


class RunConsequence(NamedTuple):
    """A band of a training-run clause, and which runs fall in it."""

    clause_id: str
    consequence: str
    mask: Array


def run_consequences(clause: RunClause, operations: Array, bits: Array = 16) -> list[RunConsequence]:
    """The bands of a clause, and which runs of ``operations`` performed at ``bits`` fall in each.

    A run is in a band when it is over the band's line and not over its end; the bands of one clause that leave no hole
    share no run.
    """
    counted = counted_operations(operations, bits, clause.counting)
    found = []
    for band in clause.bands:
        mask = exceeds(clause.comparison, counted, band.above)
        if band.up_to is not None:
            mask = mask & ~exceeds(clause.comparison, counted, band.up_to)
        found.append(RunConsequence(clause.id, band.consequence, mask))
    return found
