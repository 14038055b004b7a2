"""One cell of a sweep: the adversary's least cost under a rule, for every target and in every draw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from thresher.catalog import NetworkProfile
from thresher.evasion.best_response import unseen_settings
from thresher.evasion.evaluation import MISSED, Evaluated, Goal, GoalByWorld, evaluate_grid
from thresher.evasion.pattern import Plans
from thresher.evasion.space import usable_chips
from thresher.evasion.worlds import best_of_each_world, in_worlds_near_best, respond
from thresher.learning.posterior import Posterior, load_posterior
from thresher.regime import Regime
from thresher.simulation import default
from thresher.simulation.draws import Worlds, draw_worlds
from thresher.thresholds.lines import settings

MODES = ("", "flat", "hierarchical", "pipeline", "swarm", "datacenter")
"""Modes by the number that stands for each in a cell's arrays; 0 where a target is out of reach."""
COSTS = ("cost_usd", "spread_usd")
"""A cell's arrays of costs, shape (targets, draws): for one owner under every line, and for a fleet that several may share."""
FIGURES = ("spread_usd", "mode", "stages", "nodes", "chips", "owners")
"""A cell's arrays of the fleet that several owners may share, shape (targets, draws)."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which worlds: how many, from which seed, and from which posterior (None: the one that ships), told apart by its digest."""

    draws: int
    seed: int
    digest: str
    posterior: Posterior | None = field(compare=False, repr=False)


def drawn(draws: int, seed: int, posterior: Posterior | None) -> Drawn:
    """Worlds to draw; the digest is of everything that the posterior says."""
    held = load_posterior() if posterior is None else posterior
    digest = hashlib.sha256(repr(dict(held.weights)).encode())
    for family, numbers in held.draws.items():
        for name, values in numbers.items():
            digest.update(f"{family} {name} ".encode() + np.ascontiguousarray(values).tobytes())
    return Drawn(draws, seed, digest.hexdigest(), posterior)


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


@cache
def _worlds(which: Drawn) -> Worlds:
    return draw_worlds(which.draws, which.seed, which.posterior)


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
    """The arrays of a cell: ``COSTS`` and ``FIGURES``, and ``largest_params``, the largest model on one unseen node.

    An owner-wide line bounds the fleet of one owner in ``cost_usd``. ``spread_usd`` and the other figures are of the cheapest
    fleet that leaves such lines aside; ``owners`` is how many must share it, each under its line.
    """
    worlds = _worlds(task.drawn)
    by_owner = [clause for clause in task.regime.cluster_clauses if clause.grouping.over == "owner"]
    free = replace(task.regime, clauses=tuple(_of_a_site(c) if c in by_owner else c for c in task.regime.clauses))
    grids = _grids(task, free)
    owned = _grids(task, task.regime) if by_owner else []
    figures = _respond(grids, task, worlds)
    cost = _respond(owned, task, worlds)["spread_usd"] if by_owner else figures["spread_usd"]
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
    return [evaluate_grid(setting, p, settings()["grid"]) for setting in found]


def _respond(grids: Sequence[Evaluated], task: Task, worlds: Worlds) -> dict[str, np.ndarray]:
    """What the best plan costs and takes for every target in every draw: all targets at once, each in a copy of every world."""
    effort, copies, draws = settings()["effort"], len(task.targets), len(worlds)
    parameters = {n: np.tile(v, copies) if getattr(v, "ndim", 0) else v for n, v in worlds.parameters.items()}
    goals = [Goal(target_flop_quality=target) for target in task.targets]
    goal = GoalByWorld(by_world=np.repeat(np.asarray(task.targets), draws))
    near = [in_worlds_near_best(grid, goals, parameters, effort) for grid in grids]
    found = respond(near, goal, parameters, copies * draws, effort)
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
