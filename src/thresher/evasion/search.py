"""The search at given parameters: the best points of a whole grid, then refined; deterministic, with no assumption of shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from thresher.evasion.evaluation import AUTOMATIC, MISSED, Evaluated, Goal, evaluate
from thresher.evasion.pattern import Plans, improve
from thresher.evasion.space import Setting, settings


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


def best_on_grid(evaluated: Evaluated, goal: Goal, keep: int) -> list[Best]:
    """The best configuration of each kind of hardware, at its best number of nodes; at most ``keep``, best first.

    Every node count of the grid is looked at, so a crossing of the target is found wherever capability is not monotone in
    nodes. Where none meets the goal, those that miss it least are given.
    """
    return best_by(goal.score(evaluated.values), evaluated, keep)


def best_by(score: np.ndarray, evaluated: Evaluated, keep: int) -> list[Best]:
    """The same by a score of one's own for every point of the grid, the lower the better."""
    if not score.size:
        return []
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
        choices |= {name: float(evaluated.values[name][row, at[row]]) for name in AUTOMATIC}
        found.append(Best(evaluated.setting, choices, float(scores[row])))
    return found


def refine(starts: Sequence[Best], goal: Goal, parameters: Mapping[str, float]) -> list[Best]:
    """Improve plans of one mode off the grid, best first; none gets worse.

    Every plan is improved as it is, and with its inner steps left to the model; the few best of each number format then go
    through it again. The landscape is jagged (whole nodes, whole stages), so this finds a good plan, not provably the best; see
    docs/validation.md.
    """
    if not starts:
        return []
    s = settings()["refine"]
    achieved = partial(evaluate, parameters=parameters)
    plans = improve(_with_automatic_steps(starts), goal, achieved, s["first"], automatic=False)
    plans = improve(_finalists(plans, s["finalists"]), goal, achieved, s["last"], automatic=False)
    values = achieved(plans.setting, plans.choices)
    stated = {name: np.where(np.isnan(plans.choices[name]), values[name], plans.choices[name]) for name in AUTOMATIC}
    choices = plans.choices | stated
    best = [
        Best(plans.setting, {name: column[row].item() for name, column in choices.items()}, float(plans.score[row]))
        for row in range(len(plans))
    ]
    return sorted((_least_nodes(plan, goal, parameters) for plan in best), key=lambda plan: plan.score)


def _with_automatic_steps(starts: Sequence[Best]) -> Plans:
    """Plans side by side: as they are, and again with inner steps left to the model."""
    columns = {name: np.asarray([plan.choices[name] for plan in starts]) for name in starts[0].choices}
    twice = {name: np.concatenate([column, column]) for name, column in columns.items()}
    for name in AUTOMATIC:
        twice[name][len(starts) :] = np.nan
    score = np.asarray([plan.score for plan in starts])
    unknown = np.full(len(starts), np.inf)
    return Plans(starts[0].setting, twice, np.concatenate([score, unknown]), np.ones(2 * len(starts)))


def _finalists(plans: Plans, keep: int) -> Plans:
    """The ``keep`` best plans of each number format, so that an answer can say what each format costs."""
    formats = np.asarray([item.precision for item in plans.setting.hardware])[plans.choices["hardware"].astype(int)]
    ranked = np.argsort(plans.score, kind="stable")
    return plans.take(np.concatenate([ranked[formats[ranked] == one][:keep] for one in np.unique(formats)]))


def _least_nodes(best: Best, goal: Goal, parameters: Mapping[str, float]) -> Best:
    """Look at the numbers of nodes from seven tenths of the best one up to it (four thousand at most), all else as it is."""
    counts = np.unique(np.round(np.linspace(max(1.0, 0.7 * best.choices["nodes"]), best.choices["nodes"], 4000)))
    candidates = {name: np.full(len(counts), value) for name, value in best.choices.items()} | {"nodes": counts}
    scores = goal.score(evaluate(best.setting, candidates, parameters))
    at = int(np.argmin(scores))
    if not scores[at] < best.score:
        return best
    return Best(best.setting, {name: values[at].item() for name, values in candidates.items()}, float(scores[at]))
