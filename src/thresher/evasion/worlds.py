"""The best response in many worlds at once: one search over all draws, each with its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from thresher.evasion.search import Choices, Evaluated, Goal, evaluate, keep_in_bounds, moved_choices, moves
from thresher.evasion.space import Setting, in_worlds, settings

Evaluator = Callable[[Setting, Choices], Mapping[str, np.ndarray]]
"""What candidates achieve: ``search.evaluate`` in worlds, or its reduction over all of them."""

AUTOMATIC = ("inner_steps", "regional_rounds")
"""Left to the model in every world: the fewest steps that the links allow and that pay. Fixed ones would not carry from world to world."""


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans of one mode side by side: choices as columns, ``draw`` (the world of each) among them, their scores and stages."""

    setting: Setting
    choices: Choices
    score: np.ndarray
    stages: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: np.ndarray) -> Plans:
        """Some of the plans, in the order given."""
        choices = {name: values[rows] for name, values in self.choices.items()}
        return Plans(self.setting, choices, self.score[rows], self.stages[rows])


def in_worlds_near_best(evaluated: Evaluated, goal: Goal, worlds: Mapping[str, Any]) -> Evaluated:
    """A central grid with the hardware that comes near the best for a goal, ready to be evaluated in worlds."""
    best = np.full(len(evaluated.setting.hardware), np.inf)
    np.minimum.at(best, evaluated.choices["hardware"], goal.score(evaluated.values).min(axis=1, initial=np.inf))
    nearest = np.argsort(best, kind="stable")[: settings()["worlds"]["hardware"]]
    keep = np.sort(nearest[np.isfinite(best[nearest])])
    rows = np.flatnonzero(np.isin(evaluated.choices["hardware"], keep))
    choices = {name: values[rows] for name, values in evaluated.choices.items()}
    choices["hardware"] = np.searchsorted(keep, choices["hardware"])
    values = {name: v[rows] for name, v in evaluated.values.items()}
    return Evaluated(in_worlds(evaluated.setting, keep, worlds), choices, evaluated.counts, values)


def scout(grid: Evaluated, goal: Goal, draws: np.ndarray, worlds: Mapping[str, Any]) -> Choices:
    """The best plans of a whole grid in a few worlds, for each kind of hardware, each improved in its world.

    They are the pool that every world starts from.
    """
    shape = (len(draws), len(grid.choices["hardware"]), len(grid.counts))
    world, row, count = np.indices(shape).reshape(3, -1)
    choices = {name: values[row] for name, values in grid.choices.items()}
    choices |= {"nodes": grid.counts[count], "draw": draws[world]}
    values = evaluate(grid.setting, choices, worlds)
    choices |= {name: np.full(world.size, np.nan) for name in AUTOMATIC}
    score = goal.score(values)
    best = _best_of_each_hardware(score.reshape(shape), grid.choices["hardware"])
    found = Plans(grid.setting, choices, score, values["stages"]).take(best)
    return improve(found, goal, in_each(worlds), settings()["worlds"]["scouting"]).choices


def _best_of_each_hardware(score: np.ndarray, hardware: np.ndarray) -> np.ndarray:
    """Flat places of the best plan of each of the few best kinds of hardware, in every world of ``score``."""
    found = []
    for world, of_world in enumerate(score):
        at = np.argmin(of_world, axis=1)
        best = of_world[np.arange(len(of_world)), at]
        used: dict[int, int] = {}
        for row in np.argsort(best, kind="stable"):
            if not np.isfinite(best[row]) or len(used) == settings()["worlds"]["scouted"]:
                break
            used.setdefault(int(hardware[row]), int(np.ravel_multi_index((world, row, at[row]), score.shape)))
        found += used.values()
    return np.asarray(found, dtype=int)


def in_each(worlds: Mapping[str, Any]) -> Evaluator:
    """Candidates each in the world of its column ``draw``."""
    return partial(evaluate, parameters=worlds)


def start(setting: Setting, pool: Choices, goal: Goal, draws: np.ndarray, worlds: Mapping[str, Any]) -> Plans:
    """The best plan of the pool in each world, at the best of a few numbers of nodes."""
    ladder = np.asarray(settings()["worlds"]["node_ladder"])
    if not len(pool["nodes"]):
        nothing = {name: np.zeros(len(draws), dtype=values.dtype) for name, values in pool.items()}
        return Plans(setting, nothing, np.full(len(draws), np.inf), np.ones(len(draws)))
    shape = (len(draws), len(pool["nodes"]), len(ladder))
    world, row, rung = np.indices(shape).reshape(3, -1)
    choices = {name: values[row] for name, values in pool.items()}
    choices |= {"draw": draws[world], "nodes": choices["nodes"] * ladder[rung]}
    keep_in_bounds(setting, choices)
    values = evaluate(setting, choices, worlds)
    score = goal.score(values).reshape(len(draws), -1)
    best = np.argmin(score, axis=1) + np.arange(len(draws)) * score.shape[1]
    picked = {name: v[best] for name, v in choices.items()}
    return Plans(setting, picked, score.ravel()[best], values["stages"][best])


def exchange(plans: Plans, goal: Goal, worlds: Mapping[str, Any]) -> Plans:
    """What the best plans of some worlds are worth in all the others; a world takes one that beats its own."""
    donors = settings()["worlds"]["donors"]
    if not len(plans):
        return plans
    ranked = np.argsort(plans.score, kind="stable")
    given = plans.take(ranked[np.unique(np.linspace(0, len(plans) - 1, donors).astype(int))])
    offered = start(plans.setting, given.choices, goal, plans.choices["draw"].astype(int), worlds)
    better = offered.score < plans.score
    return Plans(
        plans.setting,
        {name: np.where(better, offered.choices[name], old) for name, old in plans.choices.items()},
        np.where(better, offered.score, plans.score),
        np.where(better, offered.stages, plans.stages),
    )


def improve(plans: Plans, goal: Goal, achieved: Evaluator, effort: Mapping[str, Any]) -> Plans:
    """A pattern search for every plan, all evaluated together; none gets worse.

    ``effort`` says how far the first step goes, how steps shrink, how many there are, and in how many combined directions.
    """
    step = effort["step"]
    for turn in range(effort["rounds"] if len(plans) else 0):
        moved = [name for name in moved_choices(plans.setting.mode) if name not in AUTOMATIC]
        plans = _turn(plans, goal, achieved, moves(moved, step, turn, effort["directions"]))
        step *= effort["shrink"]
    return plans


def _turn(plans: Plans, goal: Goal, achieved: Evaluator, factors: Mapping[str, np.ndarray]) -> Plans:
    """Each plan's neighbours, evaluated with its nodes and with those that would about meet the goal; the best of them and it."""
    count = len(factors["params"])
    plan, move = np.repeat(np.arange(len(plans)), count), np.tile(np.arange(count), len(plans))
    choices = {name: values[plan] for name, values in plans.choices.items()}
    for name, factor in factors.items():
        choices[name] = choices[name] * factor[move]
    keep_in_bounds(plans.setting, choices)
    first = achieved(plans.setting, choices)
    again = choices | {"nodes": _whole(choices["nodes"] * goal.nodes_factor(first), first["stages"])}
    keep_in_bounds(plans.setting, again)
    second = achieved(plans.setting, again)
    score = np.stack([goal.score(first), goal.score(second)])
    tries = score.min(axis=0).reshape(len(plans), count)
    at = np.argmin(tries, axis=1) + np.arange(len(plans)) * count
    from_second = score[1, at] < score[0, at]
    best = tries.ravel()[at]
    better = best < plans.score

    def taken(one: np.ndarray, other: np.ndarray, old: np.ndarray) -> np.ndarray:
        return np.where(better, np.where(from_second, other[at], one[at]), old)

    return Plans(
        plans.setting,
        {name: taken(choices[name], again[name], old) for name, old in plans.choices.items()},
        np.where(better, best, plans.score),
        taken(first["stages"], second["stages"], plans.stages),
    )


def _whole(nodes: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """Nodes rounded up to whole pipelines: those left over only cost."""
    return np.ceil(nodes / stages - 1e-9) * stages


def settle(plans: Plans, goal: Goal, worlds: Mapping[str, Any]) -> Plans:
    """Improve every plan in its world, and between times let worlds learn from one another."""
    for effort in settings()["worlds"]["improving"]:
        plans = exchange(improve(plans, goal, in_each(worlds), effort), goal, worlds)
    return improve(plans, goal, in_each(worlds), settings()["worlds"]["polishing"])


def worth_improving(started: Sequence[Plans]) -> list[Plans]:
    """Of plans of several modes, one a world each, those near the best of their world, and few."""
    s = settings()["worlds"]
    score = np.stack([plans.score for plans in started])
    rank = np.argsort(np.argsort(score, axis=0, kind="stable"), axis=0, kind="stable")
    best = score.min(axis=0)
    near = (score <= best + (s["start_ratio"] - 1.0) * np.abs(best)) | (rank == 0)
    keep = near & (rank < s["modes"]) & np.isfinite(score)
    return [plans.take(np.flatnonzero(mask)) for plans, mask in zip(started, keep, strict=True)]


def respond(grids: Sequence[Evaluated], goal: Goal, worlds: Mapping[str, Any], draws: int) -> list[Plans]:
    """The best plans found in every world, by mode; a world may have plans of more than one mode, or none.

    Parameters
    ----------
    grids
        By mode, see ``in_worlds_near_best``.
    goal
        What the adversary wants.
    worlds
        Parameters, arrays of ``draws`` where they are drawn.
    """
    scouts = np.unique(np.linspace(0, draws - 1, settings()["worlds"]["scouts"]).astype(int))
    everyone = np.arange(draws)
    started = [start(grid.setting, scout(grid, goal, scouts, worlds), goal, everyone, worlds) for grid in grids]
    return [settle(plans, goal, worlds) for plans in worth_improving(started)] if started else []


def best_of_each_world(found: Sequence[Plans], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the modes found has the best plan of each world, and its score; infinite where there is none."""
    score = np.full((max(len(found), 1), draws), np.inf)
    for place, plans in enumerate(found):
        score[place, plans.choices["draw"].astype(int)] = plans.score
    return np.argmin(score, axis=0), score.min(axis=0)
