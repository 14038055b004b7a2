"""One cell of a sweep: the adversary's least cost under a rule, for every target and in every draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from thresher.catalog import NetworkProfile, chip
from thresher.design.thresholds import settings
from thresher.evasion.best_response import unseen_settings
from thresher.evasion.search import MISSED, Evaluated, Goal, evaluate_grid
from thresher.evasion.space import usable_chips
from thresher.evasion.worlds import Plans, best_of_each_world, in_worlds_near_best, respond
from thresher.learning.posterior import load_posterior
from thresher.regime import Regime
from thresher.simulation import default
from thresher.simulation.draws import Worlds, draw_worlds

MODES = ("", "flat", "hierarchical", "pipeline", "swarm", "datacenter")
"""Modes by the number that stands for each in a cell's arrays; 0 where a target is out of reach."""
FIGURES = ("cost_usd", "mode", "stages", "nodes", "chips", "owners")
"""A cell's arrays of shape (targets, draws)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a cell needs to be worked out anywhere: small, and the same wherever it runs."""

    regime: Regime
    network: NetworkProfile
    targets: tuple[float, ...]
    draws: int
    seed: int
    posterior: str | None
    longest_days: float
    node_limit: float
    chips: tuple[str, ...]
    precisions: tuple[str, ...]
    modes: tuple[str, ...]


@cache
def _worlds(draws: int, seed: int, posterior: str | None) -> Worlds:
    return draw_worlds(draws, seed, load_posterior(Path(posterior)) if posterior else None)


def within_links(network: NetworkProfile, limit_gbit_s: float | None) -> NetworkProfile:
    """A network whose links stay at or under what a rule counts nodes together by."""
    if limit_gbit_s is None:
        return network
    most = 1e3 * limit_gbit_s
    return replace(
        network,
        upload_mbps=min(network.upload_mbps, most),
        download_mbps=min(network.download_mbps, most),
        regional_mbps=None if network.regional_mbps is None else min(network.regional_mbps, most),
    )


def work_out(task: Task) -> Mapping[str, np.ndarray]:
    """The arrays of a cell: ``FIGURES`` of shape (targets, draws), and ``largest_params``, the largest model on one unseen node.

    An owner-wide line bounds the fleet of one owner in ``cost_usd``; ``owners`` is how many the cheapest fleet that ignores such
    lines would have to be spread over, each under its line.
    """
    worlds = _worlds(task.draws, task.seed, task.posterior)
    by_owner = [clause for clause in task.regime.cluster_clauses if clause.grouping.over == "owner"]
    free = replace(task.regime, clauses=tuple(c for c in task.regime.clauses if c not in by_owner))
    grids = _grids(task, free)
    owned = _grids(task, task.regime) if by_owner else []
    shape = (len(task.targets), task.draws)
    arrays = {name: np.zeros(shape) for name in FIGURES} | {"cost_usd": np.full(shape, np.inf)}
    for row, target in enumerate(task.targets):
        spread = _respond(grids, target, worlds)
        figures = _figures(spread, task.draws, task.regime)
        if by_owner:
            figures |= {"cost_usd": _figures(_respond(owned, target, worlds), task.draws, task.regime)["cost_usd"]}
        for name in FIGURES:
            arrays[name][row] = figures[name]
    return arrays | {"largest_params": np.asarray(_largest_params(grids))}


def _grids(task: Task, regime: Regime) -> list[Evaluated]:
    p = default.parameters()
    chips = usable_chips(task.chips) if task.chips else usable_chips()
    found = unseen_settings(
        regime, chips, within_links(task.network, regime.interconnect_limit_gbit_s), longest_days=task.longest_days,
        node_limit=task.node_limit, precisions=task.precisions, modes=task.modes, parameters=p,
    )  # fmt: skip
    return [evaluate_grid(setting, p, settings()["grid"]) for setting in found]


def _respond(grids: Sequence[Evaluated], target: float, worlds: Worlds) -> list[Plans]:
    goal, effort = Goal(target_flop_quality=target), settings()["effort"]
    near = [in_worlds_near_best(grid, goal, worlds.parameters, effort) for grid in grids]
    return respond(near, goal, worlds.parameters, len(worlds), effort)


def _figures(found: Sequence[Plans], draws: int, regime: Regime) -> dict[str, np.ndarray]:
    """What the best plan of each draw costs and takes."""
    which, score = best_of_each_world(found, draws)
    met = score < MISSED
    figures = {name: np.zeros(draws) for name in FIGURES} | {"cost_usd": np.where(met, score, np.inf)}
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
    """The largest model on the grid that one unseen node holds whole; 0 where no node may stand."""
    return max((float(grid.choices["params"].max()) for grid in grids if grid.setting.mode == "flat"), default=0.0)


def chips_named(names: Sequence[str] | None) -> tuple[str, ...]:
    """The chips of a sweep, by their catalog names."""
    return tuple(chip(name).chip for name in names or ())
