"""The best response in many worlds at once: one search over all draws, each with its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from thresher.evasion.evaluation import AUTOMATIC, Choices, Evaluated, Goal, GoalByWorld, evaluate
from thresher.evasion.pattern import Evaluator, Plans, better_of, improve, keep_in_bounds
from thresher.evasion.search import Best
from thresher.evasion.space import Setting, in_worlds, settings
from thresher.simulation.draws import Worlds, of_rows

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """Progress that nobody watches."""


def in_worlds_near_best(
    evaluated: Evaluated,
    goals: Sequence[Goal],
    worlds: Mapping[str, Any],
    effort: Mapping[str, Any] | None = None,
    known: Sequence[Best] = (),
) -> Evaluated:
    """A central grid ready to be evaluated in worlds: automatic inner steps, and some kinds of hardware.

    Of each number format and size of node those that come nearest to the best for some goal, since what is best at the centre
    need not be best in a world of slow links; and that of plans known to be good.
    """
    hardware = evaluated.setting.hardware
    kept: dict[tuple[int, str, bool], list[int]] = {}
    for number, goal in enumerate(goals):
        best = np.full(len(hardware), np.inf)
        np.minimum.at(best, evaluated.choices["hardware"], goal.score(evaluated.values).min(axis=1, initial=np.inf))
        for at in np.argsort(best, kind="stable"):
            whole = hardware[at].chips_per_node == hardware[at].bound
            alike = kept.setdefault((number, hardware[at].precision, whole), [])
            if np.isfinite(best[at]) and len(alike) < (effort or settings()["worlds"])["hardware"]:
                alike.append(int(at))
    of_known = {int(plan.choices["hardware"]) for plan in known if plan.setting.mode == evaluated.setting.mode}
    keep = np.asarray(sorted({at for alike in kept.values() for at in alike} | of_known), dtype=int)
    automatic = np.isnan(evaluated.choices["inner_steps"]) | (evaluated.setting.mode == "datacenter")
    rows = np.flatnonzero(np.isin(evaluated.choices["hardware"], keep) & automatic)
    choices = {name: values[rows] for name, values in evaluated.choices.items()}
    choices["hardware"] = np.searchsorted(keep, choices["hardware"])
    values = {name: v[rows] for name, v in evaluated.values.items()}
    return Evaluated(in_worlds(evaluated.setting, keep, worlds), choices, evaluated.counts, values)


def scout(
    grid: Evaluated, goal: Goal, draws: np.ndarray, worlds: Mapping[str, Any], effort: Mapping[str, Any]
) -> Choices:
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
    best = _best_of_each_hardware(score.reshape(shape), grid.choices["hardware"], effort["scouted"])
    found = Plans(grid.setting, choices, score, values["stages"]).take(best)
    return improve(found, goal, in_each(worlds), effort["scouting"]).choices


def _best_of_each_hardware(score: np.ndarray, hardware: np.ndarray, most: int) -> np.ndarray:
    """Flat places of the best plan of each of the few best kinds of hardware, in every world of ``score``."""
    found: list[int] = []
    for world, of_world in enumerate(score):
        at = np.argmin(of_world, axis=1)
        best = of_world[np.arange(len(of_world)), at]
        used: dict[int, int] = {}
        for row in np.argsort(best, kind="stable"):
            if not np.isfinite(best[row]) or len(used) == most:
                break
            used.setdefault(int(hardware[row]), int(np.ravel_multi_index((world, row, at[row]), score.shape)))
        found += used.values()
    return np.asarray(found, dtype=int)


def in_each(worlds: Mapping[str, Any]) -> Evaluator:
    """Candidates each in the world of its column ``draw``."""
    return partial(evaluate, parameters=worlds)


def start(
    setting: Setting,
    pool: Choices,
    goal: Goal,
    draws: np.ndarray,
    worlds: Mapping[str, Any],
    effort: Mapping[str, Any],
) -> Plans:
    """The best plan of the pool in each world, at the best of a few numbers of nodes."""
    ladder = np.asarray(effort["node_ladder"])
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


def exchange(plans: Plans, goal: Goal, worlds: Mapping[str, Any], neighbours: Sequence[int]) -> Plans:
    """What the plans of similar worlds are worth in each (those next to it in cost, of the same form of penalty), and its own
    plan on every other kind of hardware."""
    offsets = np.asarray(neighbours)
    if not len(plans):
        return plans
    family = of_rows({"family": worlds["replica_family"]}, plans.choices["draw"])["family"]
    order = np.lexsort((plans.score, np.broadcast_to(family, plans.score.shape)))
    place = np.empty(len(plans), dtype=int)
    place[order] = np.arange(len(plans))
    donor = order[np.clip(place[:, None] + offsets, 0, len(plans) - 1)]
    kinds = np.arange(len(plans.setting.hardware))
    own = np.broadcast_to(np.arange(len(plans))[:, None], (len(plans), len(kinds)))
    source = np.concatenate([donor, own], axis=1)
    choices = {name: values[source.ravel()] for name, values in plans.choices.items()}
    choices["draw"] = np.repeat(plans.choices["draw"], source.shape[1])
    choices["hardware"].reshape(source.shape)[:, len(offsets) :] = kinds
    return better_of(plans, choices, goal, in_each(worlds))


def settle(
    plans: Plans, goal: Goal, worlds: Mapping[str, Any], effort: Mapping[str, Any], progress: Progress = silent
) -> Plans:
    """Improve every plan in its world, and between times let similar worlds learn from one another."""
    improving = dict(effort["improving"])
    for turn in range(effort["turns"]):
        progress(f"improving {plans.setting.mode} plans in every draw, turn {turn + 1} of {effort['turns']}")
        plans = exchange(plans, goal, worlds, effort["neighbours"])
        plans = improve(plans, goal, in_each(worlds), improving, first_turn=turn * improving["rounds"])
        improving["step"] *= effort["cooling"]
    return plans


def worth_improving(started: Sequence[Plans], effort: Mapping[str, Any]) -> list[Plans]:
    """Of plans of several modes, one a world each, those near the best of their world, and few."""
    score = np.stack([plans.score for plans in started])
    rank = np.argsort(np.argsort(score, axis=0, kind="stable"), axis=0, kind="stable")
    best = score.min(axis=0)
    near = (score <= best + (effort["start_ratio"] - 1.0) * np.abs(best)) | (rank == 0)
    keep = near & (rank < effort["modes"]) & np.isfinite(score)
    return [plans.take(np.flatnonzero(mask)) for plans, mask in zip(started, keep, strict=True)]


def respond(
    grids: Sequence[Evaluated],
    goal: Goal,
    worlds: Mapping[str, Any],
    draws: int,
    effort: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    known: Sequence[Best] = (),
) -> list[Plans]:
    """The best plans found in every world, by mode; a world may have plans of more than one mode, or none.

    Parameters
    ----------
    grids
        By mode, see ``in_worlds_near_best``.
    goal
        What the adversary wants.
    worlds
        Parameters, arrays of ``draws`` where they are drawn.
    effort
        How hard to search; that of ``data/search.yaml`` by default.
    known
        Plans that every world shall try too, on hardware of the grids.
    """
    s = effort or settings()["worlds"]
    scouts = np.unique(np.linspace(0, draws - 1, s["scouts"]).astype(int))
    everyone = np.arange(draws)
    started = []
    for grid in grids:
        if len(grid.choices["hardware"]):
            progress(f"looking for {grid.setting.mode} plans in some draws")
            pool = _with_known(scout(grid, goal, scouts, worlds, s), grid.setting, known)
            progress(f"starting {grid.setting.mode} plans in every draw")
            started.append(start(grid.setting, pool, goal, everyone, worlds, s))
    return [settle(plans, goal, worlds, s, progress) for plans in worth_improving(started, s)] if started else []


def _with_known(pool: Choices, setting: Setting, known: Sequence[Best]) -> Choices:
    """A pool of plans and known ones of the same mode, their inner steps left to the model."""
    place = {hardware: at for at, hardware in enumerate(setting.hardware)}
    mine = [
        {**plan.choices, **dict.fromkeys(AUTOMATIC, np.nan), "draw": 0,
         "hardware": place[plan.setting.hardware[int(plan.choices["hardware"])]]}
        for plan in known
        if plan.setting.mode == setting.mode
    ]  # fmt: skip
    return {
        name: np.concatenate([values, np.asarray([plan[name] for plan in mine], dtype=values.dtype)])
        for name, values in pool.items()
    }


def respond_to_all(
    grids: Sequence[Evaluated],
    targets: Sequence[float],
    worlds: Worlds,
    effort: Mapping[str, Any],
    *,
    chips_only: bool = False,
    known: Sequence[Best] = (),
    progress: Progress = silent,
) -> list[Plans]:
    """The best plans for all targets at once, each in a copy of every world: draw ``d`` of target ``t`` is ``t`` times the
    number of draws, plus ``d``."""
    copies, draws = len(targets), len(worlds)
    parameters = {n: np.tile(v, copies) if getattr(v, "ndim", 0) else v for n, v in worlds.parameters.items()}
    goals = [Goal(target_flop_quality=target, chips_only=chips_only) for target in targets]
    goal = GoalByWorld(by_world=np.repeat(np.asarray(targets, dtype=float), draws), chips_only=chips_only)
    near = [in_worlds_near_best(grid, goals, parameters, effort, known) for grid in grids]
    return respond(near, goal, parameters, copies * draws, effort, progress, known)


def of_copy(found: Sequence[Plans], copy: int, draws: int) -> list[Plans]:
    """The plans for one of the targets of ``respond_to_all``, their draws counted from zero again."""
    mine = [plans.take(np.flatnonzero(plans.choices["draw"] // draws == copy)) for plans in found]
    return [replace(plans, choices={**plans.choices, "draw": plans.choices["draw"] - copy * draws}) for plans in mine]


def best_of_each_world(found: Sequence[Plans], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the modes found has the best plan of each world, and its score; infinite where there is none."""
    score = np.full((max(len(found), 1), draws), np.inf)
    for place, plans in enumerate(found):
        score[place, plans.choices["draw"].astype(int)] = plans.score
    return np.argmin(score, axis=0), score.min(axis=0)
