"""Where a rule contradicts itself or leaves a gap, found from its data by general rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise

from thresher.catalog import Chip, chips
from thresher.regime.clauses import chip_figure, components, is_counted
from thresher.regime.library import Regime
from thresher.regime.schema import ClusterClause, Obligation
from thresher.sources import load_quantities

COMPUTE_METRICS = ("h100_equivalents", "tpp", "peak_operations_per_second")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a rule: ``kind`` is ``contradiction`` or ``gap``."""

    clause_ids: tuple[str, ...]
    kind: str
    message: str


def lint_regime(regime: Regime) -> list[Finding]:
    """All contradictions and gaps of a regime, in the order of the checks.

    The checks: duties on one subject with different deadlines for sizes they share; one number with both comparisons;
    bands that leave a hole or cross; compute lines under which chips with much memory stay; memory counted for some
    kinds only; a run rule without a cluster rule; a limb that no measurement decides; a text that has expired.
    """
    return [finding for check in _CHECKS for finding in check(regime)]


def _schedules(regime: Regime) -> Iterator[Finding]:
    for one, other in combinations(regime.obligations, 2):
        if one.subject != other.subject or one.deadline_days is None or other.deadline_days is None:
            continue
        shared = _shared_sizes(one, other)
        if shared is None or (one.starts_days, one.deadline_days) == (other.starts_days, other.deadline_days):
            continue
        first, later = sorted((one, other), key=lambda duty: duty.deadline_days or 0.0)
        late = f"only from day {later.starts_days:g}, " if later.starts_days > (first.deadline_days or 0.0) else ""
        yield Finding(
            (first.id, later.id),
            "contradiction",
            f"Two schedules of {one.subject} for {shared}: {first.reference} by day {first.deadline_days:g}, "
            f"{later.reference} {late}by day {later.deadline_days:g}.",
        )


def _shared_sizes(one: Obligation, other: Obligation) -> str | None:
    """The size range two duties share, in words; None where they share none, or measure size differently."""
    sizes = [duty.size for duty in (one, other) if duty.size is not None]
    if not sizes:
        return f"all {one.applies_to}" if one.applies_to == other.applies_to else None
    if len({size.metric for size in sizes}) > 1:
        return None
    low = max(size.over for size in sizes)
    high = min(math.inf if size.up_to is None else size.up_to for size in sizes)
    metric = sizes[0].metric.replace("_", " ")
    if low >= high:
        return None
    return f"sizes over {low:g} {metric}" if math.isinf(high) else f"sizes over {low:g} and up to {high:g} {metric}"


def _comparisons(regime: Regime) -> Iterator[Finding]:
    for one, other in combinations(regime.cluster_clauses, 2):
        same = (one.metric, one.threshold, one.counts) == (other.metric, other.threshold, other.counts)
        if same and one.comparison != other.comparison:
            yield Finding(
                (one.id, other.id),
                "contradiction",
                f"At exactly {one.threshold:g} {one.unit} one clause says {one.comparison} and the other "
                f"{other.comparison}: the same chips are outside and inside.",
            )
    for one_run, other_run in combinations(regime.run_clauses, 2):
        lines = {band.above for band in one_run.bands} & {band.above for band in other_run.bands}
        if lines and set(one_run.training) & set(other_run.training) and one_run.comparison != other_run.comparison:
            yield Finding(
                (one_run.id, other_run.id),
                "contradiction",
                f"At exactly {min(lines):g} FLOP one clause says {one_run.comparison} and the other "
                f"{other_run.comparison}.",
            )


def _bands(regime: Regime) -> Iterator[Finding]:
    for clause in regime.run_clauses:
        for band in clause.bands:
            if band.up_to is not None and band.up_to <= band.above:
                yield Finding(
                    (clause.id,), "contradiction", f"The band from {band.above:g} ends at {band.up_to:g}: it is empty."
                )
        for lower, upper in pairwise(sorted(clause.bands, key=lambda band: band.above)):
            end = math.inf if lower.up_to is None else lower.up_to
            between = f"'{lower.consequence}' ends at {end:g} FLOP and '{upper.consequence}' begins at {upper.above:g}"
            if end < upper.above:
                yield Finding((clause.id,), "gap", f"A hole between bands: {between}.")
            elif end > upper.above:
                yield Finding((clause.id,), "contradiction", f"Bands cross: {between}.")
        last = max(clause.bands, key=lambda band: band.above)
        if last.up_to is not None:
            yield Finding((clause.id,), "gap", f"Nothing follows above {last.up_to:g} FLOP.")


def _memory_under_compute_lines(regime: Regime) -> Iterator[Finding]:
    clauses = regime.cluster_clauses
    compute = [clause for clause in clauses if clause.metric in COMPUTE_METRICS]
    if compute and not any(clause.metric == "memory_gb" for clause in clauses):
        held = _most_memory(regime, lambda _: True)
        if held:
            yield Finding(
                tuple(clause.id for clause in compute),
                "gap",
                "Only compute is counted: chips with much memory for their compute stay below the line. " + held,
            )


def _memory_kinds(regime: Regime) -> Iterator[Finding]:
    for clause in regime.cluster_clauses:
        if clause.metric == "memory_gb" and clause.counts is not None:
            held = _most_memory(regime, partial(_is_uncounted_memory, clause))
            if held:
                kinds = " and ".join(clause.counts.memory_kinds)
                yield Finding((clause.id,), "gap", f"Only {kinds} memory is counted. {held}")


def _is_uncounted_memory(clause: ClusterClause, one: Chip) -> bool:
    return not is_counted(clause, one)


def _most_memory(regime: Regime, chosen: Callable[[Chip], bool]) -> str:
    """In words: of some catalog chips, the three whose largest uncovered set at one place holds the most memory."""
    held = []
    for one in chips().values():
        if one.memory_gb is None or not chosen(one) or one.kind == "announced" or not _is_measurable(regime, one):
            continue
        count = regime.largest_uncovered_count(one)
        if count:
            held.append((count * one.memory_gb, count, one))
    if not held:
        return ""
    held.sort(key=lambda row: row[0], reverse=True)
    total, count, best = held[0]
    bytes_each = load_quantities("thresher.regime", "parameters.yaml")["training_bytes_per_parameter"].value
    others = ", ".join(f"{n:,} {one.chip} ({gb:,.0f} GB)" for gb, n, one in held[1:3])
    return (
        f"{count:,} {best.chip} hold {total:,.0f} GB uncovered at one place, a model of "
        f"{total / bytes_each:,.0f} billion parameters at {bytes_each:g} bytes each"
        + (f"; then {others}." if others else ".")
    )


def _is_measurable(regime: Regime, one: Chip) -> bool:
    """Whether the catalog knows a figure of the chip for every clause that counts it."""
    return all(
        not is_counted(clause, one)
        or any(not math.isnan(chip_figure(one, part.figure)) for part in components(clause, regime.definitions))
        for clause in regime.cluster_clauses
    )


def _unseen_hardware(regime: Regime) -> Iterator[Finding]:
    if regime.run_clauses and not regime.cluster_clauses:
        yield Finding(
            tuple(clause.id for clause in regime.run_clauses),
            "gap",
            "Training runs are limited but no clause looks at hardware: whether a run takes place is known only from "
            "those who run it.",
        )


def _undecidable_limbs(regime: Regime) -> Iterator[Finding]:
    for clause in regime.cluster_clauses:
        if clause.grouping.common_workload:
            yield Finding(
                (clause.id,),
                "gap",
                "Being networked to perform workloads together is a purpose: no figure decides it, and nodes far apart "
                "on slow links are below every line that is a figure until it is shown.",
            )


def _expired(regime: Regime) -> Iterator[Finding]:
    ended = [clause.id for clause in regime.clauses if (clause.status or regime.status) == "expired"]
    if ended:
        day = f" on {regime.in_force_to}" if regime.in_force_to else ""
        yield Finding(tuple(ended), "gap", f"Expired{day}: nothing in these clauses binds anyone now.")


_CHECKS: tuple[Callable[[Regime], Iterator[Finding]], ...] = (
    _schedules,
    _comparisons,
    _bands,
    _memory_under_compute_lines,
    _memory_kinds,
    _unseen_hardware,
    _undecidable_limbs,
    _expired,
)
