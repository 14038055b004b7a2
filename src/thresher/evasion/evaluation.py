"""What candidates are worth to an adversary: goals, and the quality and cost of plans by the million."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thresher.arrays import evaluate_in_blocks
from thresher.evasion.space import Setting, columns_of, grid
from thresher.simulation import default
from thresher.simulation.draws import of_rows
from thresher.simulation.layout import STAGED_MODES

Choices = dict[str, np.ndarray]
MISSED = 1e40
"""Above any dollar figure: scores from here on are of plans that miss their goal."""
MOST_SHORT = 16.0
"""A plan that falls farther short of its goal than this is taken to fall short by this where its nodes are guessed."""
CAPABILITY_PER_NODE = 0.75
"""The power by which capability is taken to grow with nodes when a search guesses how many more it needs, and then checks."""
HOPE = 1.1
"""A candidate that would cost more than so many times the best plan, with the nodes it seems to need, is not tried with them."""
AUTOMATIC = ("inner_steps", "regional_rounds")
"""Choices that may be left to the model (NaN): the fewest steps that the links allow and that pay."""
_WANTED = ("flop_quality", "cost_usd", "cost_chips_only_usd", "stages", *AUTOMATIC)


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
        cost = self.cost(values)
        quality, target = values["flop_quality"], self.target(values)
        if target is not None:
            missed = MISSED * (2.0 - quality / target)
            score = np.where(quality >= target, cost, missed)
        else:
            with np.errstate(invalid="ignore"):
                missed = MISSED * (1.0 + np.log10(np.maximum(cost / self.budget_usd, 1.0)))
            score = np.where(cost <= self.budget_usd, -quality, missed)
        return np.where(quality > 0, score, np.inf)

    def nodes_factor(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """How many times the nodes would about meet the goal, from what they achieve: capability grows by a power below one."""
        target = self.target(values)
        if target is None:
            return np.asarray((self.budget_usd or 0.0) / self.cost(values))
        short = target / np.maximum(values["flop_quality"], target / MOST_SHORT)
        return np.asarray(np.where(short > 1.0, short ** (1.0 / CAPABILITY_PER_NODE), short))

    def promises(self, values: Mapping[str, np.ndarray], factor: np.ndarray, best: np.ndarray) -> np.ndarray:
        """Whether candidates might beat a score with ``factor`` times their nodes: their cost grows about as their nodes do.

        One that cannot run with its own nodes has no cost to go by, and is hoped for only where nothing meets the goal yet.
        """
        if self.target(values) is None:
            return np.ones(best.shape, dtype=bool)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.cost(values) * factor <= HOPE * best) | (best >= MISSED))

    def cost(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What counts as the price of candidates, in dollars: everything paid for, or chips alone."""
        return values["cost_chips_only_usd" if self.chips_only else "cost_usd"]

    def target(self, _values: Mapping[str, np.ndarray]) -> Any:
        """The capability wanted of each candidate, in FLOP; None for a budget."""
        return self.target_flop_quality


@dataclass(frozen=True, slots=True)
class GoalByWorld(Goal):
    """A capability of each world's own at least cost: several targets searched at once, each in a copy of every world."""

    by_world: np.ndarray = field(default_factory=lambda: np.empty(0))

    def target(self, values: Mapping[str, np.ndarray]) -> Any:
        """The capability wanted in the world of each candidate."""
        return self.by_world[values["draw"].astype(int)]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A setting's whole grid: configurations, node counts, and values of shape (configurations, node counts)."""

    setting: Setting
    choices: Choices
    counts: np.ndarray
    values: dict[str, np.ndarray]


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
            **{name: np.where(good, out[name], 1.0) for name in (*AUTOMATIC, "stages")},
            **{name: part[name] for name in ("draw",) if name in part},
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
