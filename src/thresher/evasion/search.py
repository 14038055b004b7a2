"""The search: every candidate of the grid is evaluated, then the best are refined; deterministic, with no assumption of shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from thresher.arrays import evaluate_in_blocks
from thresher.evasion.space import Setting, columns_of, grid, settings
from thresher.simulation import default
from thresher.simulation.layout import STAGED_MODES

Choices = dict[str, np.ndarray]
_AUTOMATIC = ("inner_steps", "regional_rounds")
_WANTED = ("flop_quality", "cost_usd", "cost_chips_only_usd", *_AUTOMATIC)


@dataclass(frozen=True, slots=True)
class Goal:
    """What the adversary wants: a capability at least cost, or the most capability for a budget (exactly one is set)."""

    target_flop_quality: float | None = None
    budget_usd: float | None = None
    chips_only: bool = False

    def score(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What to minimise; infinite where the goal is missed."""
        cost = values["cost_chips_only_usd" if self.chips_only else "cost_usd"]
        quality = values["flop_quality"]
        if self.target_flop_quality is not None:
            return np.where(quality >= self.target_flop_quality, cost, np.inf)
        return np.where(cost <= self.budget_usd, -quality, np.inf)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A setting's whole grid: configurations, node counts, and values of shape (configurations, node counts)."""

    setting: Setting
    choices: Choices
    counts: np.ndarray
    values: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Best:
    """One plan found: its setting, its choices (single numbers), and the score of its goal."""

    setting: Setting
    choices: dict[str, float]
    score: float


def evaluate(
    setting: Setting, choices: Choices, parameters: Mapping[str, float], workers: int | None = None
) -> dict[str, np.ndarray]:
    """Quality and cost of candidates; those that cannot run, or that an owner-wide clause would see, are worth nothing."""
    rows = len(choices["nodes"])

    def block(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        part = {name: columns[name] for name in choices}
        owned = part["nodes"] * setting.by_hardware["chips_per_node"][part["hardware"]]
        out = default.simulate(columns_of(setting, part), parameters, mode=setting.mode, wanted=_WANTED)
        good = (out["feasible"] > 0) & (owned <= setting.most_chips_of_owner[part["hardware"]])
        quality = np.where(good, out["flop_quality"], 0.0)
        return {
            "flop_quality": quality,
            "cost_usd": np.where(good, out["cost_usd"], np.inf),
            "cost_chips_only_usd": np.where(good, out["cost_chips_only_usd"], np.inf),
            **{name: np.where(good, out[name], 1.0) for name in _AUTOMATIC},
        }

    return evaluate_in_blocks(block, choices, rows, workers)


def evaluate_grid(setting: Setting, parameters: Mapping[str, float], node_limit: float) -> Evaluated:
    """Evaluate a mode's whole grid."""
    choices, counts = grid(setting, node_limit)
    configurations, width = len(choices["hardware"]), len(counts)
    crossed = {name: np.repeat(values, width) for name, values in choices.items()}
    crossed["nodes"] = np.tile(counts, configurations)
    values = evaluate(setting, crossed, parameters)
    return Evaluated(setting, choices, counts, {name: v.reshape(configurations, width) for name, v in values.items()})


def best_on_grid(evaluated: Evaluated, goal: Goal, keep: int) -> list[Best]:
    """The best ``keep`` configurations at their best number of nodes, each hardware at most twice so that refinement has variety.

    Every node count is looked at, so the first crossing of a target is found wherever capability is not monotone in nodes.
    """
    if not evaluated.values["flop_quality"].size:
        return []
    score = goal.score(evaluated.values)
    at = np.argmin(score, axis=1)
    scores = score[np.arange(len(score)), at]
    found: list[Best] = []
    used: dict[int, int] = {}
    for row in np.argsort(scores, kind="stable"):
        if not np.isfinite(scores[row]) or len(found) == keep:
            break
        hardware = int(evaluated.choices["hardware"][row])
        if used.get(hardware, 0) >= 2:  # noqa: PLR2004
            continue
        used[hardware] = used.get(hardware, 0) + 1
        choices = {name: float(values[row]) for name, values in evaluated.choices.items()}
        choices["nodes"] = float(evaluated.counts[at[row]])
        choices |= {name: float(evaluated.values[name][row, at[row]]) for name in _AUTOMATIC}
        found.append(Best(evaluated.setting, choices, float(scores[row])))
    return found


def refine(best: Best, goal: Goal, parameters: Mapping[str, float]) -> Best:
    """Improve one plan off the grid: a shrinking pattern of neighbours, each over a range of node counts; never worse."""
    s = settings()["refine"]
    step = s["first_step"]
    for _ in range(s["rounds"]):
        neighbours = _neighbours(best, step, s["node_points"])
        best = _better(best, neighbours, goal, parameters)
        step *= s["shrink"]
    return _least_nodes(best, goal, parameters)


def _neighbours(best: Best, step: float, node_points: int) -> Choices:
    """All combinations of a step down, none and a step up in each continuous choice, over node counts around the present."""
    mode = best.setting.mode
    moved = ["params", "local_batch_tokens"]
    moved += [] if mode == "datacenter" else ["inner_steps", "bits_per_param"]
    moved += ["activation_compression"] if mode in STAGED_MODES else []
    moved += ["regional_rounds"] if mode == "hierarchical" else []
    factors = np.asarray(list(product((1.0 / (1.0 + step), 1.0, 1.0 + step), repeat=len(moved))))
    days = best.setting.longest_days
    shorter = np.unique(
        np.minimum(days, best.choices["duration_days"] * np.asarray([1.0 / (1.0 + step), 1.0, 1.0 + step]))
    )
    nodes = best.choices["nodes"]
    spread = np.geomspace(1.0 / (1.0 + step), 1.0 + step, node_points)
    counts = np.unique(np.maximum(np.round(nodes * spread), 1.0))
    shape = (len(factors), len(shorter), len(counts))
    index = np.indices(shape).reshape(3, -1)
    choices = {name: np.full(index.shape[1], value) for name, value in best.choices.items()}
    for column, name in enumerate(moved):
        choices[name] = choices[name] * factors[index[0], column]
    for name in _AUTOMATIC:
        choices[name] = np.maximum(np.round(choices[name]), 1.0)
    choices["activation_compression"] = np.maximum(choices["activation_compression"], 1.0)
    choices["bits_per_param"] = np.minimum(choices["bits_per_param"], 16.0)
    choices["duration_days"], choices["nodes"] = shorter[index[1]], counts[index[2]]
    choices["hardware"] = choices["hardware"].astype(int)
    return choices


def _better(best: Best, candidates: Choices, goal: Goal, parameters: Mapping[str, float]) -> Best:
    scores = goal.score(evaluate(best.setting, candidates, parameters))
    at = int(np.argmin(scores))
    if not scores[at] < best.score:
        return best
    return Best(best.setting, {name: float(values[at]) for name, values in candidates.items()}, float(scores[at]))


def _least_nodes(best: Best, goal: Goal, parameters: Mapping[str, float]) -> Best:
    """Look at every number of nodes below the best one (or four thousand of them), all else as it is."""
    counts = np.unique(np.round(np.linspace(max(1.0, 0.7 * best.choices["nodes"]), best.choices["nodes"], 4000)))
    candidates = {name: np.full(len(counts), value) for name, value in best.choices.items()} | {"nodes": counts}
    candidates["hardware"] = candidates["hardware"].astype(int)
    return _better(best, candidates, goal, parameters)
