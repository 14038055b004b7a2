"""The adversary who must commit before knowing the world: one plan, judged over all draws at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thresher.evasion.evaluation import MISSED, Choices, Goal, evaluate
from thresher.evasion.pattern import Evaluator, Plans, improve, keep_in_bounds, on_every_hardware
from thresher.evasion.space import Setting, settings


@dataclass(frozen=True, slots=True)
class Commitment:
    """One plan for all worlds: its choices, and in every draw its cost in dollars and its capability in FLOP.

    ``confidence`` is the share of worlds in which it was asked to meet its goal, ``reached`` the share in which it does;
    ``in_each`` is the plan in each world, as an adversary who knows the world may choose it too.
    """

    confidence: float
    in_each: Plans
    choices: Mapping[str, float]
    cost_usd: np.ndarray
    flop_quality: np.ndarray
    reached: float


def over_all(goal: Goal, worlds: Mapping[str, Any], draws: np.ndarray, confidence: float) -> Evaluator:
    """What a candidate achieves over many worlds: the capability that it has in ``confidence`` of them, and its cost.

    The cost is the median where a target is to be met, and what ``confidence`` of the worlds stay under where a budget is.
    """
    cost_share = 0.5 if goal.budget_usd is None else confidence

    def achieved(setting: Setting, choices: Choices) -> dict[str, np.ndarray]:
        values = evaluate(setting, _crossed(choices, draws), worlds)
        values = values | {"flop_quality": _within_budget(goal, values)}
        by_draw = {name: v.reshape(len(draws), -1).T for name, v in values.items()}
        reduced = {name: np.quantile(v, cost_share, axis=1, method="higher") for name, v in by_draw.items()}
        quality = np.quantile(by_draw["flop_quality"], 1.0 - confidence, axis=1, method="lower")
        return reduced | {"flop_quality": quality}

    return achieved


def commit(
    found: Sequence[Plans],
    goal: Goal,
    worlds: Mapping[str, Any],
    draws: int,
    confidence: float,
    also: Sequence[Commitment] = (),
) -> Commitment | None:
    """The plan of least median cost that meets a goal in so great a share of the worlds; None where none found does.

    It starts from plans that are best in some world, keeps what is built (hardware, nodes, model, batch, compression, days) the
    same in all, and leaves the inner steps to follow the links as they turn out. The best are tried on all other hardware. It is
    searched over some of the draws and judged over all.

    Parameters
    ----------
    found
        What ``worlds.respond`` gave.
    confidence
        Share of the worlds, between 0 and 1.
    also
        Plans committed to at another confidence, to start from too.
    """
    s = settings()["commitment"]
    some = np.unique(np.linspace(0, draws - 1, min(draws, s["draws"])).astype(int))
    achieved = over_all(goal, worlds, some, confidence)
    starts = []
    for plans in [*found, *(plan.in_each for plan in also)]:
        if len(plans):
            ranked = np.argsort(plans.score, kind="stable")
            given = plans.take(ranked[np.unique(np.linspace(0, len(plans) - 1, s["candidates"]).astype(int))])
            judged = _judged(given, goal, achieved, s["node_ladder"], s["param_ladder"])
            starts += [judged.take(np.asarray([row])) for row in np.argsort(judged.score, kind="stable")[: s["starts"]]]
    improved = [improve(plan, goal, achieved, s["improving"]) for plan in starts]
    for plan in sorted(improved, key=lambda plan: float(plan.score[0]))[: s["traded"]]:
        every = on_every_hardware(plan)
        others = every.take(np.flatnonzero(every.choices["hardware"] != plan.choices["hardware"][0]))
        if len(others):
            moved = _judged(others, goal, achieved, s["traded_ladder"])
            best = moved.take(np.argsort(moved.score, kind="stable")[:1])
            improved.append(improve(best, goal, achieved, s["improving"]))
    sure = [_with_enough_nodes(plan, goal, worlds, draws, confidence) for plan in improved]
    return min((plan for plan in sure if plan is not None), default=None, key=lambda plan: _worth(plan, goal))


def _worth(plan: Commitment, goal: Goal) -> float:
    """What a plan that is sure enough is chosen by: its median cost; for a budget, the capability that it is sure of."""
    if goal.budget_usd is None:
        return float(np.median(plan.cost_usd))
    return -float(np.quantile(plan.flop_quality, 1.0 - plan.confidence, method="lower"))


def _judged(
    plans: Plans,
    goal: Goal,
    achieved: Evaluator,
    node_factors: Sequence[float],
    param_factors: Sequence[float] = (1.0,),
) -> Plans:
    """Each plan at the best of a few numbers of nodes and sizes of model, scored over all worlds.

    A model that just fits its own world's memory fits few others, so smaller ones are tried too.
    """
    nodes, params = (grid.ravel() for grid in np.meshgrid(node_factors, param_factors))
    plan, rung = np.repeat(np.arange(len(plans)), len(nodes)), np.tile(np.arange(len(nodes)), len(plans))
    tried = plans.take(plan)
    stages = np.maximum(tried.stages, 1.0)
    whole = np.ceil(tried.choices["nodes"] * nodes[rung] / stages) * stages
    tried.choices["nodes"] = whole
    tried.choices["params"] = tried.choices["params"] * params[rung]
    keep_in_bounds(plans.setting, tried.choices)
    score = goal.score(achieved(plans.setting, tried.choices))
    at = np.argmin(score.reshape(len(plans), -1), axis=1) + np.arange(len(plans)) * len(nodes)
    return replace(tried, score=score).take(at)


def _with_enough_nodes(
    plan: Plans, goal: Goal, worlds: Mapping[str, Any], draws: int, confidence: float
) -> Commitment | None:
    """The plan over all draws, with the nodes that the draws left out of the search turn out to need."""
    everyone = np.arange(draws)
    s = settings()["commitment"]
    enough = _judged(plan, goal, over_all(goal, worlds, everyone, confidence), s["last_ladder"])
    if not enough.score[0] < MISSED:
        return None
    crossed = _crossed(enough.choices, everyone)
    values = evaluate(plan.setting, crossed, worlds)
    score = goal.score(values)
    choices = {name: v[0].item() for name, v in enough.choices.items() if name != "draw"}
    return Commitment(
        confidence, Plans(plan.setting, crossed, score, values["stages"]), choices, values["cost_usd"],
        _within_budget(goal, values), float(np.mean(score < MISSED)),
    )  # fmt: skip


def _within_budget(goal: Goal, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Capability, 0 where the plan costs more than a budget allows: there it is not carried out."""
    cost = goal.cost(values)
    over = cost > (np.inf if goal.budget_usd is None else goal.budget_usd)
    return np.asarray(np.where(over, 0.0, values["flop_quality"]))


def _crossed(choices: Choices, draws: np.ndarray) -> Choices:
    """Every candidate in every world, world by world: rows of one form of the penalty stand together, and go faster."""
    count = len(choices["nodes"])
    rows = {name: np.tile(values, len(draws)) for name, values in choices.items()}
    return rows | {"draw": np.repeat(draws, count)}
