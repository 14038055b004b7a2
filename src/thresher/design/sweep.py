"""`design`: sweep the lines of a rule; what each imposes on evasion, whom it burdens, and which are efficient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.assessment.assess import Burden, burden_of_reference_systems
from thresher.assessment.uncertainty import Interval, interval
from thresher.catalog import network
from thresher.design.cells import FIGURES, MODES, Task, chips_named, work_out
from thresher.design.frontier import efficient
from thresher.design.thresholds import Axis, Cell, amended, axes, cells, is_stricter, label, settings
from thresher.errors import InputError
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS
from thresher.evasion.space import settings as search_settings
from thresher.execution import Store, run_tasks, signature_of
from thresher.regime import Regime, load_regime, read_clusters
from thresher.result import Result
from thresher.simulation import default
from thresher.simulation.draws import check_draws, groups

STAGED = ("pipeline", "swarm")


@dataclass(frozen=True, slots=True)
class TargetCost:
    """What one target costs under one cell's lines, over the draws.

    ``reached`` is the share of draws in which it is within reach, ``within_budget`` that within the verdict's budget; ``modes``
    the share of each mode among those that reach it, ``split`` that of plans whose nodes hold the model between them, ``regional``
    that of nodes which must stand in one region; ``nodes``, ``chips`` and ``owners`` are intervals.
    """

    target_flop_quality: float
    reached: float
    within_budget: float
    cost_usd: Interval
    cost_over_loosest: float
    modes: Mapping[str, float]
    split: float
    regional: float
    nodes: Interval
    chips: Interval
    owners: Interval


@dataclass(frozen=True, slots=True)
class CellAnswer:
    """One combination of lines: what it leaves possible, at what cost, and whom it burdens.

    ``burden`` counts the reference systems that it covers, ``own_covered`` the user's own clusters (None without a table);
    ``efficient`` says whether no other cell costs evasion more for the same burden or less.
    """

    lines: Cell
    targets: tuple[TargetCost, ...]
    largest_params: float
    burden: int
    burdened: tuple[str, ...]
    own_covered: int | None
    efficient: bool
    on_grid: bool


@dataclass(frozen=True, slots=True)
class Design:
    """A whole sweep."""

    regime: Regime
    axes: tuple[Axis, ...]
    cells: tuple[CellAnswer, ...]
    targets: tuple[float, ...]
    main_target: float
    draws: int
    seed: int
    network: str
    reference_systems: int
    own_clusters: int | None
    amendment: CellAnswer | None
    as_written: CellAnswer | None

    def as_result(self) -> Result:
        """The result file's content."""
        return Result(
            "design",
            {
                "regime": self.regime.name,
                "vary": {axis.name: axis.values for axis in self.axes},
                "targets": self.targets,
                "frontier_target": self.main_target,
                "draws": self.draws,
                "seed": self.seed,
                "network": self.network,
                "distributions": [group.name for group in groups()],
                "parameters": default.parameters(),
            },
            {
                "cells": self.cells,
                "amendment": self.amendment,
                "as_written": self.as_written,
                "reference_systems": self.reference_systems,
                "own_clusters": self.own_clusters,
            },
        )


def design(
    regime: str | Path | Regime,
    *,
    vary: Sequence[str] = ("compute", "memory"),
    values: Mapping[str, Sequence[float | None]] | None = None,
    targets: Sequence[float] | None = None,
    draws: int | None = None,
    seed: int = 0,
    posterior: str | Path | None = None,
    network_profile: str = "study",
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    longest_days: float | None = None,
    node_limit: float | None = None,
    clusters: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    keep: str | Path | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Design:
    """Sweep the thresholds of a regime.

    Parameters
    ----------
    regime
        A shipped regime's name, a regime file, or a loaded regime; its other clauses stay as they are.
    vary, values
        Axes of ``data/design.yaml``, and the lines to try on them (None: no line); the usual ones by default.
    targets
        Quality-adjusted FLOP that the adversary wants; the middle one orders the frontier.
    draws, seed, posterior
        As in `assess`, 200 draws by default.
    clusters
        A table of the user's own clusters (as `classify` reads it), counted as a burden of their own.
    workers, scheduler
        Local processes, or the address of a Dask scheduler; the same numbers whichever way.
    keep
        A folder that keeps what is done: an interrupted sweep goes on from there.

    Raises
    ------
    InputError
        A name, line or number that makes no sense; says what would be right.
    """
    rule = regime if isinstance(regime, Regime) else load_regime(regime)
    varied = axes(vary, values)
    wanted = _targets(targets)
    count = settings()["draws"] if draws is None else draws
    check_draws(count, seed)
    days, most_nodes = _limits(longest_days, node_limit)
    grid = cells(varied)
    anchors = _anchors(rule, varied)
    everything = [*grid, *(cell for cell in anchors.values() if cell not in grid)]
    rules = [amended(rule, cell) for cell in everything]
    own = None if clusters is None else read_clusters(Path(clusters))
    tasks = {
        label(cell): Task(
            amended_rule, network(network_profile), wanted, count, seed, str(posterior) if posterior else None, days,
            most_nodes, chips_named(chips), tuple(precisions), tuple(modes),
        )
        for cell, amended_rule in zip(everything, rules, strict=True)
    }  # fmt: skip
    kept = None if keep is None else Store(Path(keep), _signature(tasks, posterior))
    done = run_tasks(work_out, tasks, workers=workers, scheduler=scheduler, kept=kept, progress=progress)
    arrays = with_stricter_plans(everything, [done[label(cell)] for cell in everything])
    burdens = [burden_of_reference_systems(amended_rule) for amended_rule in rules]
    covered = [
        None if own is None else sum(bool(d.covered) for d in amended_rule.classify(own)) for amended_rule in rules
    ]
    main = wanted[(len(wanted) - 1) // 2]
    row = wanted.index(main)
    median_cost = np.asarray([interval(found["cost_usd"][row]).q50 for found in arrays])
    weight = np.asarray([_count(b) + (c or 0) for b, c in zip(burdens, covered, strict=True)], dtype=float)
    on_frontier = efficient(median_cost, weight, settings()["tolerance"])
    answers = [
        CellAnswer(
            cell, _target_costs(found, arrays, wanted), float(found["largest_params"]), _count(burden),
            tuple(item.system for item in burden if item.covered), own_count, bool(best), cell in grid,
        )
        for cell, found, burden, own_count, best in zip(everything, arrays, burdens, covered, on_frontier, strict=True)
    ]  # fmt: skip
    named = {name: answers[everything.index(cell)] for name, cell in anchors.items()}
    return Design(
        rule, varied, tuple(answers), wanted, main, count, seed, network_profile, len(burdens[0]),
        None if own is None else len({item.cluster for item in own}), named.get("amendment"), named.get("as_written"),
    )  # fmt: skip


def _targets(targets: Sequence[float] | None) -> tuple[float, ...]:
    wanted = tuple(sorted(set(targets or settings()["targets"])))
    least, most = search_settings()["target_bounds"]
    for target in wanted:
        if not least <= target <= most:
            raise InputError("--target", f"a number from {least:g} to {most:g}", target)
    return wanted


def _limits(longest_days: float | None, node_limit: float | None) -> tuple[float, float]:
    s = search_settings()
    days = s["longest_days"] if longest_days is None else longest_days
    if not 1.0 <= days <= s["longest_days_allowed"]:
        raise InputError("--max-days", f"a number from 1 to {s['longest_days_allowed']:g}", days)
    nodes = float(s["most_nodes"] if node_limit is None else node_limit)
    if nodes < 1:
        raise InputError("--max-nodes", "a whole number of at least 1", node_limit)
    return float(days), nodes


def _anchors(rule: Regime, varied: Sequence[Axis]) -> dict[str, Cell]:
    """The rule as written and the study's amendment, as cells of the axes varied, where these can say them."""
    names = [axis.name for axis in varied]
    written = {axis.name: _line_as_written(rule, axis) for axis in varied}
    anchors: dict[str, Cell] = {"as_written": written}
    if "memory" in names:
        anchors["amendment"] = written | {"memory": float(settings()["amendment_memory_gb"])}
    return anchors


def _line_as_written(rule: Regime, axis: Axis) -> float | None:
    if axis.metric == "bandwidth":
        return rule.interconnect_limit_gbit_s
    lines = [
        clause.threshold
        for clause in rule.cluster_clauses
        if clause.metric == axis.metric and (clause.grouping.over == "owner") == (axis.over == "owner")
    ]
    return min(lines, default=None)


def _signature(tasks: Mapping[str, Task], posterior: str | Path | None) -> str:
    """What the numbers of a sweep depend on: every task in full, the parameters, and what a posterior file says."""
    text = Path(posterior).read_bytes() if posterior else b""
    return signature_of(
        {
            "tasks": {name: repr(task) for name, task in tasks.items()},
            "parameters": default.parameters(),
            "settings": [settings(), search_settings()],
            "posterior": hashlib.sha256(text).hexdigest(),
        }
    )


def with_stricter_plans(
    everything: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]
) -> list[Mapping[str, np.ndarray]]:
    """Every cell with the cheapest plan of any stricter one too, draw by draw: what they allow, it allows.

    The searches of two cells may each miss what the other finds; with this a looser cell is never dearer, in any draw.
    """
    taken: list[Mapping[str, np.ndarray]] = []
    for cell in everything:
        stricter = [place for place, other in enumerate(everything) if is_stricter(other, cell)]
        costs = np.stack([found[place]["cost_usd"] for place in stricter])
        best = np.argmin(costs, axis=0)
        figures = {
            name: np.take_along_axis(np.stack([found[place][name] for place in stricter]), best[None], axis=0)[0]
            for name in FIGURES
        }
        largest = max(float(found[place]["largest_params"]) for place in stricter)
        taken.append(figures | {"largest_params": np.asarray(largest)})
    return taken


def _count(burden: Sequence[Burden]) -> int:
    return sum(bool(item.covered) for item in burden)


def _target_costs(
    found: Mapping[str, np.ndarray], everything: Sequence[Mapping[str, np.ndarray]], targets: Sequence[float]
) -> tuple[TargetCost, ...]:
    budget = search_settings()["verdict_budget"]
    rows = []
    for row, target in enumerate(targets):
        cost = found["cost_usd"][row]
        met = np.isfinite(cost)
        loosest = np.min([interval(cell["cost_usd"][row]).q50 for cell in everything])
        mode = found["mode"][row][met].astype(int)
        shares = {MODES[place]: float(np.mean(mode == place)) for place in np.unique(mode)}
        split = found["stages"][row][met] > 1
        rows.append(
            TargetCost(
                target, float(np.mean(met)), float(np.mean(cost <= budget)), interval(cost),
                interval(cost).q50 / loosest if np.isfinite(loosest) else np.inf, shares,
                float(np.mean(split)) if met.any() else np.nan, shares.get("pipeline", 0.0),
                interval(found["nodes"][row][met]), interval(found["chips"][row][met]), interval(found["owners"][row][met]),
            )
        )  # fmt: skip
    return tuple(rows)
