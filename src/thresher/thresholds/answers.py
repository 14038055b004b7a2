"""What a sweep of thresholds found: every cell's costs, burden and place, and the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.assessment.uncertainty import Interval, interval
from thresher.evasion.space import settings as search_settings
from thresher.regime import Regime
from thresher.result import Result, plain
from thresher.simulation import default
from thresher.simulation.draws import groups
from thresher.thresholds.cells import MODES
from thresher.thresholds.lines import Axis, Cell, settings

FIGURES_KEPT = 5
"""Significant figures of the result file: the search is not that exact."""


@dataclass(frozen=True, slots=True)
class TargetCost:
    """What one target costs under one cell's lines, over the draws.

    ``reached`` is the share of draws in which it is within one owner's reach, ``within_budget`` that within the verdict's budget;
    ``cost_usd`` is over all draws, infinite where out of reach. All else is of the cheapest fleet that several owners may share,
    each under its line: its cost, the share of draws that take more than one owner (``several_owners``), the share of each mode
    among those within reach, of plans whose nodes hold the model between them (``split``), of nodes which must stand in one
    region (``regional``), and intervals of nodes, chips and owners. Without a line per owner it is the one owner's fleet.
    """

    target_flop_quality: float
    reached: float
    within_budget: float
    cost_usd: Interval
    cost_over_loosest: float
    spread_usd: Interval
    several_owners: float
    modes: Mapping[str, float]
    split: float
    regional: float
    nodes: Interval
    chips: Interval
    owners: Interval


@dataclass(frozen=True, slots=True)
class CellAnswer:
    """One combination of lines: what it leaves possible, at what cost, and whom it burdens.

    ``largest_params`` is the largest model that one unseen node holds whole, infinite without a line. ``burden`` counts the
    reference systems that it covers, ``own_covered`` the user's own clusters (None without a table); ``efficient`` says whether
    no other cell costs evasion more for the same burden or less, and ``beaten_by`` which one does; ``on_grid`` is false for the
    rule as written and the amendment where the lines swept leave them out.
    """

    lines: Cell
    targets: tuple[TargetCost, ...]
    largest_params: float
    burden: int
    burdened: tuple[str, ...]
    own_covered: int | None
    efficient: bool
    beaten_by: Cell | None
    on_grid: bool

    @property
    def weight(self) -> int:
        """All that it covers: reference systems and the user's own clusters."""
        return self.burden + (self.own_covered or 0)


@dataclass(frozen=True, slots=True)
class Design:
    """A whole sweep."""

    regime: Regime
    axes: tuple[Axis, ...]
    cells: tuple[CellAnswer, ...]
    targets: tuple[float, ...]
    main_target: float
    inputs: Mapping[str, Any]
    reference_systems: int
    own_clusters: int | None
    amendment: CellAnswer | None
    as_written: CellAnswer

    @property
    def draws(self) -> int:
        """How many worlds were drawn."""
        return int(self.inputs["draws"])

    def main(self, cell: CellAnswer) -> TargetCost:
        """What the main target costs under a cell's lines."""
        return cell.targets[self.targets.index(self.main_target)]

    @property
    def steps(self) -> tuple[CellAnswer, ...]:
        """The frontier, a cell for each burden on it, lightest first: the dearest; of equals the one with the loosest lines."""
        best: dict[int, CellAnswer] = {}
        for cell in self.cells:
            if cell.efficient:
                held = best.get(cell.weight)
                if held is None or self.main(cell).cost_usd.q50 >= self.main(held).cost_usd.q50:
                    best[cell.weight] = cell
        return tuple(best[weight] for weight in sorted(best))

    def as_result(self) -> Result:
        """The result file's content."""
        return Result(
            "design",
            {
                "regime": self.regime.name,
                "vary": {axis.name: axis.values for axis in self.axes},
                "targets": self.targets,
                "frontier_target": self.main_target,
                **self.inputs,
                "verdict_budget_usd": search_settings()["verdict_budget"],
                "tolerance": settings()["tolerance"],
                "distributions": [group.name for group in groups()],
                "parameters": default.parameters(),
            },
            _rounded(
                plain(
                    {
                        "frontier": [cell.lines for cell in self.steps],
                        "as_written": self.as_written,
                        "amendment": self.amendment,
                        "reference_systems": self.reference_systems,
                        "own_clusters": self.own_clusters,
                        "cells": self.cells,
                    }
                )
            ),
        )


def target_costs(
    found: Mapping[str, np.ndarray], everything: Sequence[Mapping[str, np.ndarray]], targets: Sequence[float]
) -> tuple[TargetCost, ...]:
    """What each target costs in a cell, from its arrays and those of all cells."""
    budget = search_settings()["verdict_budget"]
    rows = []
    for row, target in enumerate(targets):
        cost, spread = found["cost_usd"][row], found["spread_usd"][row]
        met = np.isfinite(spread)
        loosest = min(interval(cell["cost_usd"][row]).q50 for cell in everything)
        mode = found["mode"][row][met].astype(int)
        shares = {MODES[place]: float(np.mean(mode == place)) for place in np.unique(mode)}

        def share(held: np.ndarray, of: np.ndarray = met) -> float:
            return float(np.mean(held[of])) if of.any() else np.nan

        rows.append(
            TargetCost(
                target, float(np.mean(np.isfinite(cost))), float(np.mean(cost <= budget)), interval(cost),
                float(interval(cost).q50 / loosest) if np.isfinite(loosest) else np.inf, interval(spread),
                share(found["owners"][row] > 1), shares, share(found["stages"][row] > 1),
                shares.get("pipeline", 0.0) if met.any() else np.nan,
                *(interval(found[name][row][met]) for name in ("nodes", "chips", "owners")),
            )
        )  # fmt: skip
    return tuple(rows)


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _rounded(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_rounded(value) for value in data]
    return float(f"{data:.{FIGURES_KEPT}g}") if isinstance(data, float) else data
