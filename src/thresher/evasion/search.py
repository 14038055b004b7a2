"""The search: every candidate of the grid is evaluated, then the best are refined; deterministic, with no assumption of shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.arrays import evaluate_in_blocks
from thresher.evasion.space import Setting, columns_of, grid, settings
from thresher.simulation import default
from thresher.simulation.draws import of_rows
from thresher.simulation.layout import STAGED_MODES

Choices = dict[str, np.ndarray]
UNCOMPRESSED_BITS = 16.0
LEAST_LINK_SHARE = 1e-3
MISSED = 1e40
"""Above any dollar figure: scores from here on are of plans that miss their goal."""
MOST_SHORT = 16.0
CAPABILITY_PER_NODE = 0.75
"""The power by which capability is taken to grow with nodes when a search guesses how many more it needs, and then checks."""
_AUTOMATIC = ("inner_steps", "regional_rounds")
_WANTED = ("flop_quality", "cost_usd", "cost_chips_only_usd", "stages", *_AUTOMATIC)


@dataclass(frozen=True, slots=True)
class Goal:
    """What the adversary wants: a capability at least cost, or the most capability for a budget (exactly one is set)."""

    target_flop_quality: float | None = None
    budget_usd: float | None = None
    chips_only: bool = False

    def score(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What to minimise: dollars, or minus the capability.

        Plans that miss the goal score above ``MISSED``, the more the further they miss, so that a search finds its way in;
        those that cannot run score infinity.
        """
        cost = values["cost_chips_only_usd" if self.chips_only else "cost_usd"]
        quality = values["flop_quality"]
        if self.target_flop_quality is not None:
            missed = MISSED * (2.0 - quality / self.target_flop_quality)
            score = np.where(quality >= self.target_flop_quality, cost, missed)
        else:
            with np.errstate(invalid="ignore"):
                missed = MISSED * (1.0 + np.log10(np.maximum(cost / self.budget_usd, 1.0)))
            score = np.where(cost <= self.budget_usd, -quality, missed)
        return np.where(quality > 0, score, np.inf)

    def nodes_factor(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """How many times the nodes would about meet the goal, from what they achieve: capability grows by a power below one."""
        if self.target_flop_quality is None:
            return np.asarray(
                (self.budget_usd or 0.0) / values["cost_chips_only_usd" if self.chips_only else "cost_usd"]
            )
        short = self.target_flop_quality / np.maximum(values["flop_quality"], self.target_flop_quality / MOST_SHORT)
        return np.asarray(np.where(short > 1.0, short ** (1.0 / CAPABILITY_PER_NODE), short))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A setting's whole grid: configurations, node counts, and values of shape (configurations, node counts)."""

    setting: Setting
    choices: Choices
    counts: np.ndarray
    values: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Best:
    """One plan found: its setting, its choices (single numbers, ``hardware`` a whole one), and the score of its goal."""

    setting: Setting
    choices: dict[str, float]
    score: float

    @property
    def reached(self) -> bool:
        """Whether the plan meets its goal."""
        return self.score < MISSED

    @property
    def precision(self) -> str:
        """The number format of its hardware."""
        return self.setting.hardware[int(self.choices["hardware"])].precision


def evaluate(
    setting: Setting, choices: Choices, parameters: Mapping[str, Any], workers: int | None = None
) -> dict[str, np.ndarray]:
    """Quality and cost of candidates; those that cannot run, or that an owner-wide clause would see, are worth nothing.

    Where ``choices`` has a column ``draw``, each candidate is in that world: parameters that are arrays are read there.
    """
    rows = len(choices["nodes"])

    def block(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        part = {name: columns[name] for name in choices}
        owned = part["nodes"] * setting.by_hardware["chips_per_node"][part["hardware"]]
        here = of_rows(parameters, part.get("draw"))
        out = default.simulate(columns_of(setting, part), here, mode=setting.mode, wanted=_WANTED)
        good = (out["feasible"] > 0) & (owned <= setting.most_chips[part["hardware"]])
        if setting.mode in STAGED_MODES:
            good &= out["stages"] > 1  # with one stage it is a flat plan
        quality = np.where(good, out["flop_quality"], 0.0)
        return {
            "flop_quality": quality,
            "cost_usd": np.where(good, out["cost_usd"], np.inf),
            "cost_chips_only_usd": np.where(good, out["cost_chips_only_usd"], np.inf),
            **{name: np.where(good, out[name], 1.0) for name in (*_AUTOMATIC, "stages")},
        }

    return evaluate_in_blocks(block, choices, rows, workers)


def evaluate_grid(
    setting: Setting, parameters: Mapping[str, float], changes: Mapping[str, Any] | None = None
) -> Evaluated:
    """Evaluate a mode's whole grid; ``changes`` to the numerical settings make another, coarser one."""
    choices, counts = grid(setting, parameters, changes)
    configurations, width = len(choices["hardware"]), len(counts)
    crossed = {name: np.repeat(values, width) for name, values in choices.items()}
    crossed["nodes"] = np.tile(counts, configurations)
    values = evaluate(setting, crossed, parameters)
    return Evaluated(setting, choices, counts, {name: v.reshape(configurations, width) for name, v in values.items()})


def best_on_grid(evaluated: Evaluated, goal: Goal, keep: int) -> list[Best]:
    """The best configuration of each kind of hardware, at its best number of nodes; at most ``keep``, best first.

    Every node count of the grid is looked at, so a crossing of the target is found wherever capability is not monotone in
    nodes. Where none meets the goal, those that miss it least are given.
    """
    if not evaluated.values["flop_quality"].size:
        return []
    score = goal.score(evaluated.values)
    at = np.argmin(score, axis=1)
    scores = score[np.arange(len(score)), at]
    found: list[Best] = []
    used: set[int] = set()
    for row in np.argsort(scores, kind="stable"):
        if not np.isfinite(scores[row]) or len(found) == keep:
            break
        hardware = int(evaluated.choices["hardware"][row])
        if hardware in used:
            continue
        used.add(hardware)
        choices = {name: values[row].item() for name, values in evaluated.choices.items()}
        choices["nodes"] = float(evaluated.counts[at[row]])
        choices |= {name: float(evaluated.values[name][row, at[row]]) for name in _AUTOMATIC}
        found.append(Best(evaluated.setting, choices, float(scores[row])))
    return found


def refine(starts: Sequence[Best], goal: Goal, parameters: Mapping[str, float]) -> list[Best]:
    """Improve plans of one mode off the grid, best first; none gets worse.

    A pattern search: every plan moves along one choice at a time, and along fixed random combinations of all, by steps that
    shrink; each move is tried over a range of node counts, and all plans are evaluated together. The few best of each number
    format then go through it again. The landscape is jagged (whole nodes, whole stages), so this finds a good plan, not
    provably the best; see docs/validation.md.
    """
    s = settings()["refine"]
    best = list(starts)
    for stage in ("first", "last"):
        best = best if stage == "first" else _finalists(best, s["finalists"])
        step = s[stage]["step"]
        for turn in range(s[stage]["rounds"]):
            mode = best[0].setting.mode if best else "flat"
            best = _improve(best, moves(moved_choices(mode), step, turn, s["directions"]), step, goal, parameters)
            step *= s[stage]["shrink"]
    best = [_least_nodes(plan, goal, parameters) for plan in best]
    return sorted(best, key=lambda plan: plan.score)


def _finalists(plans: Sequence[Best], keep: int) -> list[Best]:
    """The ``keep`` best plans of each number format, so that an answer can say what each format costs."""
    ranked = sorted(plans, key=lambda plan: plan.score)
    formats = {plan.precision for plan in ranked}
    return [plan for one in sorted(formats) for plan in [p for p in ranked if p.precision == one][:keep]]


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
    for name in _AUTOMATIC:
        choices[name] = np.maximum(np.round(choices[name]), 1.0)
    choices["duration_days"] = np.minimum(choices["duration_days"], setting.longest_days)
    choices["activation_compression"] = np.maximum(choices["activation_compression"], 1.0)
    choices["bits_per_param"] = np.minimum(choices["bits_per_param"], UNCOMPRESSED_BITS)


def _improve(
    best: Sequence[Best], factors: Mapping[str, np.ndarray], step: float, goal: Goal, parameters: Mapping[str, float]
) -> list[Best]:
    """The best of each plan and its neighbours, all evaluated in one call."""
    if not best:
        return []
    setting = best[0].setting
    spread = np.geomspace(1.0 / (1.0 + step), 1.0 + step, settings()["refine"]["node_points"])
    shape = (len(best), len(factors["params"]), len(spread))
    plan, move, point = np.indices(shape).reshape(3, -1)
    choices = {name: np.asarray([item.choices[name] for item in best])[plan] for name in best[0].choices}
    for name, factor in factors.items():
        choices[name] = choices[name] * factor[move]
    choices["nodes"] = choices["nodes"] * spread[point]
    keep_in_bounds(setting, choices)
    if setting.mode in STAGED_MODES:
        choices["nodes"] = _without_idle_nodes(setting, choices, parameters)
    scores = goal.score(evaluate(setting, choices, parameters)).reshape(len(best), -1)
    at = np.argmin(scores, axis=1) + np.arange(len(best)) * scores.shape[1]
    return [
        Best(setting, {name: values[row].item() for name, values in choices.items()}, float(score))
        if (score := scores.ravel()[row]) < old.score
        else old
        for old, row in zip(best, at, strict=True)
    ]


def _without_idle_nodes(setting: Setting, choices: Choices, parameters: Mapping[str, float]) -> np.ndarray:
    """The nodes that whole pipelines use: those left over cost money and do nothing."""

    def block(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        part = {name: columns[name] for name in choices}
        out = default.simulate(columns_of(setting, part), parameters, mode=setting.mode, wanted=("stages", "replicas"))
        return {"nodes": np.where(out["feasible"] > 0, out["stages"] * out["replicas"], part["nodes"])}

    return evaluate_in_blocks(block, choices, len(choices["nodes"]))["nodes"]


def _least_nodes(best: Best, goal: Goal, parameters: Mapping[str, float]) -> Best:
    """Look at the numbers of nodes from seven tenths of the best one up to it (four thousand at most), all else as it is."""
    counts = np.unique(np.round(np.linspace(max(1.0, 0.7 * best.choices["nodes"]), best.choices["nodes"], 4000)))
    candidates = {name: np.full(len(counts), value) for name, value in best.choices.items()} | {"nodes": counts}
    scores = goal.score(evaluate(best.setting, candidates, parameters))
    at = int(np.argmin(scores))
    if not scores[at] < best.score:
        return best
    return Best(best.setting, {name: values[at].item() for name, values in candidates.items()}, float(scores[at]))
