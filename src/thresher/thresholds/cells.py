"""One cell of a sweep: the adversary's least cost under a rule, for every target and in every draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thresher.catalog import NetworkProfile, within_links
from thresher.evasion.best_response import unseen_settings
from thresher.evasion.evaluation import MISSED, Evaluated, evaluate_grid
from thresher.evasion.pattern import Plans
from thresher.evasion.space import settings, usable_chips
from thresher.evasion.worlds import Progress, best_of_each_world, respond_to_all, silent
from thresher.regime import Regime
from thresher.simulation import default
from thresher.simulation.draws import Drawn, Worlds, worlds_of

MODES = ("", "flat", "hierarchical", "pipeline", "swarm", "datacenter")
"""Modes by the number that stands for each in a cell's arrays; 0 where a target is out of reach."""
COSTS = ("cost_usd", "spread_usd")
"""A cell's arrays of costs, shape (targets, draws): for one owner under every line, and for a fleet that several may share."""
FIGURES = ("spread_usd", "mode", "stages", "nodes", "chips", "owners")
"""A cell's arrays of the fleet that several owners may share, shape (targets, draws)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a cell needs to be worked out anywhere: small, and the same wherever it runs."""

    regime: Regime
    network: NetworkProfile
    targets: tuple[float, ...]
    drawn: Drawn
    longest_days: float
    node_limit: float
    chips: tuple[str, ...]
    precisions: tuple[str, ...]
    modes: tuple[str, ...]


def work_out(task: Task, progress: Progress = silent) -> Mapping[str, np.ndarray]:
    """The arrays of a cell: ``COSTS`` and ``FIGURES``, and ``largest_params``, the largest model on one unseen node.

    An owner-wide line bounds the fleet of one owner in ``cost_usd``. ``spread_usd`` and the other figures are of the cheapest
    fleet that leaves such lines aside; ``owners`` is how many must share it, each under its line.
    """
    worlds = worlds_of(task.drawn)
    by_owner = [clause for clause in task.regime.cluster_clauses if clause.grouping.over == "owner"]
    free = replace(task.regime, clauses=tuple(_of_a_site(c) if c in by_owner else c for c in task.regime.clauses))
    grids = _grids(task, free)
    owned = _grids(task, task.regime) if by_owner else []
    figures = _respond(grids, task, worlds, progress)
    cost = _respond(owned, task, worlds, progress)["spread_usd"] if by_owner else figures["spread_usd"]
    return figures | {"cost_usd": cost, "largest_params": np.asarray(_largest_params(grids))}


def _of_a_site(clause: Any) -> Any:
    """A line per owner as a line on every node: whoever shares a fleet holds a whole node at least."""
    return clause.model_copy(update={"grouping": clause.grouping.model_copy(update={"over": "site"})})


def _grids(task: Task, regime: Regime) -> list[Evaluated]:
    p = default.parameters()
    chips = usable_chips(task.chips or None)
    found = unseen_settings(
        regime, chips, within_links(task.network, regime.interconnect_limit_gbit_s), longest_days=task.longest_days,
        node_limit=task.node_limit, precisions=task.precisions, modes=task.modes, parameters=p,
    )  # fmt: skip
    return [evaluate_grid(setting, p, settings()["quick"]["grid"]) for setting in found]


def _respond(grids: Sequence[Evaluated], task: Task, worlds: Worlds, progress: Progress) -> dict[str, np.ndarray]:
    """What the best plan costs and takes for every target in every draw: all targets at once, each in a copy of every world."""
    copies, draws = len(task.targets), len(worlds)
    found = respond_to_all(grids, task.targets, worlds, settings()["quick"]["effort"], progress=progress)
    figures = _figures(found, copies * draws, task.regime)
    return {name: values.reshape(copies, draws) for name, values in figures.items()}


def _figures(found: Sequence[Plans], draws: int, regime: Regime) -> dict[str, np.ndarray]:
    """What the best plan of each draw costs and takes."""
    which, score = best_of_each_world(found, draws)
    met = score < MISSED
    figures = {name: np.zeros(draws) for name in FIGURES} | {"spread_usd": np.where(met, score, np.inf)}
    for place, plans in enumerate(found):
        draw = plans.choices["draw"].astype(int)
        rows = np.flatnonzero((which[draw] == place) & met[draw])
        hardware = plans.choices["hardware"][rows].astype(int)
        each = plans.setting.by_hardware["chips_per_node"]
        chips_per_node = (each if each.ndim == 1 else each[:, 0])[hardware]
        nodes = plans.choices["nodes"][rows]
        under = [regime.largest_uncovered_count(item.chip, over="owner") for item in plans.setting.hardware]
        owned = np.asarray([np.inf if count is None else count for count in under])[hardware]
        with np.errstate(divide="ignore"):
            owners = np.where(np.isinf(owned), 1.0, np.ceil(nodes / np.floor(owned / chips_per_node)))
        values = {
            "mode": np.full(len(rows), float(MODES.index(plans.setting.mode))),
            "stages": plans.stages[rows],
            "nodes": nodes,
            "chips": nodes * chips_per_node,
            "owners": owners,
        }
        for name, value in values.items():
            figures[name][draw[rows]] = value
    return figures


def _largest_params(grids: Sequence[Evaluated]) -> float:
    """The largest model on the grid that one unseen node holds whole; infinite without a line, 0 where no node may stand."""
    flat = [grid for grid in grids if grid.setting.mode == "flat"]
    if any(item.bound is None for grid in flat for item in grid.setting.hardware):
        return np.inf
    return max((float(grid.choices["params"].max()) for grid in flat), default=0.0)
