"""The quick search in one world: from coarse grids, one pattern search a mode for all targets at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from thresher.evasion.evaluation import AUTOMATIC, CAPABILITY_PER_NODE, Evaluated, Goal, GoalByWorld, evaluate
from thresher.evasion.pattern import Evaluator, Plans, better_of, improve, on_every_hardware, unscored
from thresher.evasion.search import Best, best_by
from thresher.evasion.space import settings
from thresher.evasion.worlds import Progress, silent

Ranking = Callable[[Evaluated, Goal], np.ndarray]
"""What a search from each point of a grid promises for a goal: the lower the better, infinite where it cannot run."""


def effort() -> Mapping[str, Any]:
    """How hard the quick search of one world looks, from ``data/search.yaml``."""
    found: Mapping[str, Any] = settings()["quick"]["central"]
    return found


def search_quickly(
    pool: Sequence[Evaluated],
    targets: Sequence[float],
    parameters: Mapping[str, Any],
    *,
    chips_only: bool = False,
    progress: Progress = silent,
) -> list[list[Best]]:
    """The plans found for every target, best first; their inner steps are the model's choice.

    A call of the model costs a millisecond however few its rows, so all targets go through each pattern search together: the
    column ``draw`` says which target a plan is for. Every mode is searched a little; those that come near the best of a target
    go on with their best plans, each moved to whatever other hardware suits it.
    """
    s, goal = effort(), GoalByWorld(by_world=np.asarray(targets, dtype=float), chips_only=chips_only)
    achieved = partial(evaluate, parameters=parameters)
    tried = []
    for starts in _starts(pool, targets, chips_only):
        progress(f"refining {starts.setting.mode} plans")
        tried.append(improve(starts, goal, achieved, s["first"]))
    found: list[list[Best]] = [[] for _ in targets]
    for plans, near in zip(tried, _near_best(tried, len(targets)), strict=True):
        progress(f"refining the best {plans.setting.mode} plans")
        best = _best_of_each_goal(near, s["traded"])
        best = _on_other_hardware(best, goal, achieved)
        best = improve(best, goal, achieved, s["last"])
        best = _fewest_nodes(best, goal, achieved)
        for number, plan in _one_by_one(_together(best, _best_of_each_goal(plans, 1)), achieved):
            found[number].append(plan)
    return [sorted(plans, key=lambda plan: plan.score) for plans in found]


def best_known(found: Sequence[Sequence[Best]], keep: int) -> list[Best]:
    """Of the plans found for every target the few best of each mode."""
    known = []
    for plans in found:
        count: Counter[str] = Counter()
        for plan in plans:
            count[plan.setting.mode] += 1
            known += [plan] if count[plan.setting.mode] <= keep else []
    return known


def _starts(pool: Sequence[Evaluated], targets: Sequence[float], chips_only: bool) -> list[Plans]:
    """Where each mode's pattern search starts: for every goal the most promising plans of the grids, judged in two ways."""
    found: dict[int, list[tuple[int, Best]]] = {}
    rankings: tuple[tuple[Ranking, str], ...] = ((_hoped, "hoped"), (_scored, "scored"))
    for number, target in enumerate(targets):
        goal = Goal(target_flop_quality=target, chips_only=chips_only)
        for ranking, name in rankings:
            for place, plans in _near_modes(pool, goal, ranking, effort()[name]).items():
                found.setdefault(place, []).extend((number, plan) for plan in plans)
    return [_side_by_side(found[place]) for place in sorted(found)]


def _near_modes(pool: Sequence[Evaluated], goal: Goal, ranking: Ranking, s: Mapping[str, Any]) -> dict[int, list[Best]]:
    """The best plan of each of so many kinds of hardware, in the modes whose best is within a ratio of the best of all."""
    best = {place: best_by(ranking(grid, goal), grid, s["starts"]) for place, grid in enumerate(pool)}
    ranked = sorted((place for place in best if best[place]), key=lambda place: best[place][0].score)
    kept = [place for place in ranked if best[place][0].score <= s["start_ratio"] * best[ranked[0]][0].score]
    return {place: best[place] for place in kept[: s["modes"]]}


def _hoped(grid: Evaluated, goal: Goal) -> np.ndarray:
    """What each plan of a grid would cost with the nodes that would about meet the goal.

    A coarse grid has few numbers of nodes, and the best one may stand between two of them.
    """
    quality, cost = grid.values["flop_quality"], goal.cost(grid.values)
    with np.errstate(divide="ignore", invalid="ignore"):
        short = goal.target(grid.values) / quality
        nodes_factor = np.maximum(short ** (1.0 / CAPABILITY_PER_NODE), 1.0 / grid.counts)
        return np.where(quality > 0, cost * nodes_factor, np.inf)


def _scored(grid: Evaluated, goal: Goal) -> np.ndarray:
    """The goal's own score: where capability saturates, what more nodes would bring is not to be guessed."""
    return goal.score(grid.values)


def _side_by_side(starts: Sequence[tuple[int, Best]]) -> Plans:
    """Plans of one mode with the number of each one's goal, their inner steps left to the model."""
    first = starts[0][1]
    choices = {name: np.asarray([plan.choices[name] for _, plan in starts]) for name in first.choices}
    choices |= {name: np.full(len(starts), np.nan) for name in AUTOMATIC}
    choices["draw"] = np.asarray([number for number, _ in starts])
    return unscored(first.setting, choices)


def _near_best(tried: Sequence[Plans], goals: int) -> list[Plans]:
    """Of the plans of several modes those near the best of their goal."""
    best = np.full(goals, np.inf)
    for plans in tried:
        np.minimum.at(best, plans.choices["draw"], plans.score)
    most = effort()["near"] * best
    return [plans.take(np.flatnonzero(plans.score <= most[plans.choices["draw"]])) for plans in tried]


def _best_of_each_goal(plans: Plans, keep: int) -> Plans:
    """The few best plans of each goal, best first."""
    ranked = np.argsort(plans.score, kind="stable")
    goals = plans.choices["draw"][ranked]
    places = [ranked[goals == one][:keep] for one in np.unique(goals)]
    return plans.take(np.concatenate(places) if places else ranked)


def _on_other_hardware(plans: Plans, goal: Goal, achieved: Evaluator) -> Plans:
    """The best of each goal on different kinds of hardware, when every plan is tried on all of them."""
    if not len(plans):
        return plans
    every = on_every_hardware(plans)
    moved = better_of(every, dict(every.choices), goal, achieved)
    return _of_different_hardware(_together(plans, moved), effort()["finalists"])


def _of_different_hardware(plans: Plans, keep: int) -> Plans:
    """The few best plans of each goal, one of each kind of hardware."""
    kept: list[int] = []
    used: set[tuple[int, int]] = set()
    count: Counter[int] = Counter()
    for row in np.argsort(plans.score, kind="stable"):
        goal, hardware = int(plans.choices["draw"][row]), int(plans.choices["hardware"][row])
        if (goal, hardware) not in used and count[goal] < keep and np.isfinite(plans.score[row]):
            kept.append(int(row))
            used.add((goal, hardware))
            count[goal] += 1
    return plans.take(np.asarray(kept, dtype=int))


def _together(one: Plans, other: Plans) -> Plans:
    """Plans of the same setting, one after the other."""
    choices = {name: np.concatenate([values, other.choices[name]]) for name, values in one.choices.items()}
    score, stages = np.concatenate([one.score, other.score]), np.concatenate([one.stages, other.stages])
    return Plans(one.setting, choices, score, stages)


def _fewest_nodes(plans: Plans, goal: Goal, achieved: Evaluator) -> Plans:
    """The best number of nodes of each plan from a share of its own up to it, all else as it is."""
    if not len(plans):
        return plans
    shares = np.linspace(effort()["node_share"], 1.0, effort()["node_counts"])
    plan, step = np.indices((len(plans), len(shares))).reshape(2, -1)
    choices = {name: values[plan] for name, values in plans.choices.items()}
    choices["nodes"] = np.maximum(np.round(choices["nodes"] * shares[step]), 1.0)
    values = achieved(plans.setting, choices)
    score = goal.score(values)
    best = np.argmin(score.reshape(len(plans), -1), axis=1) + np.arange(len(plans)) * len(shares)
    return Plans(plans.setting, {n: v[best] for n, v in choices.items()}, score[best], values["stages"][best])


def _one_by_one(plans: Plans, achieved: Evaluator) -> list[tuple[int, Best]]:
    """Each plan with the number of its goal, the steps that the model chose written out."""
    values = achieved(plans.setting, plans.choices)
    choices = plans.choices | {name: values[name] for name in AUTOMATIC}
    goals = choices.pop("draw")
    rows = [{name: column[row].item() for name, column in choices.items()} for row in range(len(plans))]
    return [(int(goals[row]), Best(plans.setting, one, float(plans.score[row]))) for row, one in enumerate(rows)]
