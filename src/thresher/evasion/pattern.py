"""The pattern search: plans side by side, each improved along its choices, in one world or in many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.evasion.evaluation import AUTOMATIC, Choices, Goal
from thresher.evasion.space import Setting, settings
from thresher.simulation.layout import STAGED_MODES

Evaluator = Callable[[Setting, Choices], Mapping[str, np.ndarray]]
"""What candidates achieve: ``evaluation.evaluate`` under some parameters, or its reduction over many worlds."""
UNCOMPRESSED_BITS = 16.0
LEAST_LINK_SHARE = 1e-3
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans of one mode side by side: choices as columns, with ``draw`` where there are several worlds, scores and stages."""

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


def improve(
    plans: Plans,
    goal: Goal,
    achieved: Evaluator,
    effort: Mapping[str, Any],
    *,
    first_turn: int = 0,
    automatic: bool = True,
) -> Plans:
    """A pattern search for every plan, all evaluated together; none gets worse.

    ``effort`` says how far the first step goes, how steps shrink, how many there are, and in how many combined directions;
    ``first_turn`` numbers them on, so that later turns try other combinations. ``automatic`` leaves the inner steps as they are.
    """
    step = effort["step"]
    for turn in range(first_turn, first_turn + (effort["rounds"] if len(plans) else 0)):
        moved = [name for name in moved_choices(plans.setting.mode) if not (automatic and name in AUTOMATIC)]
        plans = _turn(plans, goal, achieved, moves(moved, step, turn, effort["directions"]))
        step *= effort["shrink"]
    return plans


def _turn(plans: Plans, goal: Goal, achieved: Evaluator, factors: Mapping[str, np.ndarray]) -> Plans:
    """The best of each plan and its neighbours."""
    count = len(factors["params"])
    plan, move = np.repeat(np.arange(len(plans)), count), np.tile(np.arange(count), len(plans))
    choices = {name: values[plan] for name, values in plans.choices.items()}
    for name, factor in factors.items():
        choices[name] = choices[name] * factor[move]
    return better_of(plans, choices, goal, achieved)


def better_of(plans: Plans, choices: Choices, goal: Goal, achieved: Evaluator) -> Plans:
    """The best of each plan and its candidates, each with its nodes and with those that would about meet the goal."""
    count = len(choices["nodes"]) // len(plans)
    keep_in_bounds(plans.setting, choices)
    first = achieved(plans.setting, choices)
    factor = goal.nodes_factor(first)
    again = choices | {"nodes": _whole(choices["nodes"] * factor, first["stages"])}
    keep_in_bounds(plans.setting, again)
    worth = np.flatnonzero(goal.promises(first, factor, np.repeat(plans.score, count)))
    score, stages = np.full((2, len(choices["nodes"])), np.inf), np.ones(len(choices["nodes"]))
    score[0] = goal.score(first)
    if len(worth):
        second = achieved(plans.setting, {name: values[worth] for name, values in again.items()})
        score[1, worth], stages[worth] = goal.score(second), second["stages"]
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
        taken(first["stages"], stages, plans.stages),
    )


def _whole(nodes: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """Nodes rounded up to whole pipelines: those left over only cost."""
    return np.asarray(np.ceil(nodes / stages - ROUNDING) * stages)


def on_every_hardware(plans: Plans) -> Plans:
    """Every plan on every kind of hardware, with about as many chips, and a model of the same size or of the same share of a
    node's memory; not evaluated yet."""
    size = plans.setting.by_hardware["chips_per_node"]
    memory = size * plans.setting.by_hardware["chip_memory_gb"]
    plan, kind, scaled = np.indices((len(plans), len(size), 2)).reshape(3, -1)
    choices = {name: values[plan] for name, values in plans.choices.items()}
    own = choices["hardware"]
    choices["nodes"] = choices["nodes"] * size[own] / size[kind]
    choices["params"] = choices["params"] * np.where(scaled > 0, memory[kind] / memory[own], 1.0)
    choices["hardware"] = kind
    return unscored(plans.setting, choices)


def unscored(setting: Setting, choices: Choices) -> Plans:
    """Plans that were not evaluated yet."""
    rows = len(choices["nodes"])
    return Plans(setting, choices, np.full(rows, np.inf), np.ones(rows))


def moved_choices(mode: str) -> list[str]:
    """The continuous choices of a mode."""
    moved = ["params", "local_batch_tokens", "duration_days"]
    moved += [] if mode == "datacenter" else ["inner_steps", "bits_per_param", "link_share"]
    moved += ["activation_compression"] if mode in STAGED_MODES else []
    return moved + (["regional_rounds"] if mode == "hierarchical" else [])


def moves(moved: Sequence[str], step: float, turn: int, directions: int) -> dict[str, np.ndarray]:
    """Factors on each continuous choice: none, one choice up or down, and random combinations, the same in every run."""
    up = 1.0 + step * np.eye(len(moved))
    combined = np.random.default_rng(turn).standard_normal((directions, len(moved)))
    factors = np.concatenate([np.ones((1, len(moved))), up, 1.0 / up, (1.0 + step) ** combined])
    return {name: factors[:, column] for column, name in enumerate(moved)}


def keep_in_bounds(setting: Setting, choices: Choices) -> None:
    """Whole numbers where they must be whole, and nothing beyond what the search allows; in place."""
    choices["nodes"] = np.clip(np.round(choices["nodes"]), 1.0, setting.node_limit)
    choices["params"] = np.minimum(choices["params"], settings()["most_params"])
    choices["link_share"] = np.clip(choices["link_share"], LEAST_LINK_SHARE, 1.0)
    for name in AUTOMATIC:
        choices[name] = np.maximum(np.round(choices[name]), 1.0)
    choices["duration_days"] = np.minimum(choices["duration_days"], setting.longest_days)
    choices["activation_compression"] = np.maximum(choices["activation_compression"], 1.0)
    choices["bits_per_param"] = np.minimum(choices["bits_per_param"], UNCOMPRESSED_BITS)
