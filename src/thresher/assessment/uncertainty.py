"""An answer under uncertainty: the adversary who knows the world, re-planning in every draw, and the one who must commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from thresher.evasion.best_response import Arena
from thresher.evasion.commitment import Commitment, commit
from thresher.evasion.evaluation import MISSED, Goal
from thresher.evasion.footprint import OUTCOMES as OF_FOOTPRINT
from thresher.evasion.footprint import Footprint, footprint
from thresher.evasion.pattern import Plans
from thresher.evasion.quick import KEPT, OpenSite, open_grid, site_of
from thresher.evasion.search import Best
from thresher.evasion.space import columns_of, lines_of, settings
from thresher.evasion.worlds import best_of_each_world, in_worlds_near_best, of_copy, respond, respond_to_all
from thresher.learning.replica_families import FAMILIES
from thresher.simulation import default
from thresher.simulation.draws import Drawn, Worlds, of_rows, quantile_or_infinite, worlds_of

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
OUTCOMES = (
    "cost_usd", "cost_chips_only_usd", "flop_quality", "flop", "stages", "replicas", "tokens", "inner_steps", "days", "power_mw",
)  # fmt: skip
CHOICES = ("nodes", "params", "bits_per_param", "activation_compression")


@dataclass(frozen=True, slots=True)
class Interval:
    """Quantiles of a figure over draws: the median, the middle half, and the middle nine tenths; infinite where out of reach."""

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


def interval(values: np.ndarray) -> Interval:
    """The interval of a sample; NaN throughout where it is empty."""
    return Interval(*(map(float, quantile_or_infinite(values, SHARES)) if len(values) else [np.nan] * len(SHARES)))


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """The answer where one form of the replica penalty holds: its draws, the share within reach, cost, and cost over declared."""

    family: str
    draws: int
    reached: float
    cost_usd: Interval
    cost_ratio: Interval
    within_verdict_budget: float
    split: float


@dataclass(frozen=True, slots=True)
class Committed:
    """The plan of an adversary who must commit: how sure it wanted to be, how sure it is, and what it costs over the draws.

    The cost is spent whether or not the goal is met. ``sure_flop_quality`` is what it reaches in ``confidence`` of the draws, for
    a budget within it.
    """

    confidence: float
    reached: float
    mode: str
    chip: str
    precision: str
    chips_per_node: int
    choices: Mapping[str, float]
    cost_usd: Interval
    flop_quality: Interval
    sure_flop_quality: float


@dataclass(frozen=True, slots=True)
class GoalUncertainty:
    """One goal over all draws.

    ``reached`` is the share of draws in which some plan meets the goal; ``outcomes`` are intervals over those that do, but
    for ``cost_usd`` and ``cost_ratio``, which are over all (infinite where out of reach). ``within_budget`` gives the
    probability of meeting the goal for at most so many dollars, ``chosen`` the share of each mode, number format and chip,
    ``by_draw`` the cost, the declared cost and the family of every draw. ``footprints`` are those of the best plans,
    ``line_chips`` the fewest chips at one site that the rule would cover, both by draw and NaN where nothing meets the goal.
    """

    reached: float
    outcomes: Mapping[str, Interval]
    within_budget: tuple[tuple[float, float], ...]
    chosen: Mapping[str, Mapping[str, float]]
    by_family: tuple[FamilyAnswer, ...]
    committed: tuple[Committed, ...]
    by_draw: Mapping[str, np.ndarray]
    footprints: Footprint
    line_chips: np.ndarray
    found: tuple[Plans, ...]


def propagate(
    arena: Arena,
    goal: Goal,
    worlds: Worlds,
    *,
    budgets: Sequence[float] = (),
    known: Sequence[Best] = (),
    progress: Callable[[str], None],
) -> GoalUncertainty:
    """Answer one goal in every draw, and over all of them at once.

    ``known`` are plans that are good at central values, which every draw tries too. Each goal is answered alone, so that goals
    may be shared out over processes with the same numbers.
    """
    p, draws = worlds.parameters, len(worlds)
    progress("planning anew in every draw")
    grids = [in_worlds_near_best(grid, [goal], p, known=known) for grid in arena.unseen]
    found = respond(grids, goal, p, draws, known=known)
    progress("committing before the world is known")
    plans: list[Commitment] = []
    for confidence in settings()["commitment"]["confidences"]:
        plan = commit(found, goal, p, draws, confidence, also=plans)
        plans += [] if plan is None else [plan]
    choice = [*found, *(plan.in_each for plan in plans)]  # who knows the world may choose these too
    answered = _over_draws(
        choice, worlds, lambda quality, met: _declared_cost(arena, goal, quality, met, worlds), budgets
    )
    return replace(answered, committed=tuple(map(_committed, plans)), found=tuple(found))


def propagate_quickly(
    arena: Arena,
    targets: Sequence[float],
    which: Drawn,
    *,
    chips_only: bool,
    known: Sequence[Best],
    progress: Callable[[str], None],
) -> list[GoalUncertainty]:
    """Answer all targets in every draw with the quick search; nobody commits.

    ``known`` are plans that are good at central values, which every draw tries too. The declared datacentre is kept between
    calls, whatever the rule.
    """
    worlds, effort = worlds_of(which), settings()["quick"]["effort"] | settings()["quick"]["drawn"]
    found = respond_to_all(arena.unseen, targets, worlds, effort, chips_only=chips_only, known=known, progress=progress)
    progress("pricing open datacentres in every draw")
    declared = declared_costs(site_of(arena), tuple(targets), chips_only, which)
    answers = []
    for copy, cost in enumerate(declared):
        progress(f"weighing the draws of {targets[copy]:.3g} quality-adjusted FLOP")
        answers.append(_over_draws(of_copy(found, copy, len(worlds)), worlds, lambda *_, cost=cost: cost))
    return answers


def _over_draws(
    known: Sequence[Plans],
    worlds: Worlds,
    declared_cost: Callable[[np.ndarray, np.ndarray], np.ndarray],
    budgets: Sequence[float] = (),
) -> GoalUncertainty:
    """What the best of some plans says of one goal over all draws, nobody committing.

    ``declared_cost`` is that of every draw, given the capability reached and where the goal is met.
    """
    which, score = best_of_each_world(known, len(worlds))
    met = score < MISSED
    figures, footprints, lines = _figures(known, which, met, worlds.parameters)
    cost = np.where(met, figures.pop("cost_usd"), np.inf)
    declared = declared_cost(figures["flop_quality"], met)
    figures |= {"chips": figures["nodes"] * figures.pop("chips_per_node")}
    labels = _labels(known, which, met)
    by_draw = {"cost_usd": cost, "declared_cost_usd": declared, "family": worlds.family}
    by_draw["flop_quality"] = figures["flop_quality"]
    ladder = sorted({*settings()["budgets"], settings()["verdict_budget"], *budgets})
    outcomes = {name: interval(values[met]) for name, values in figures.items()}
    outcomes |= {
        "cost_usd": interval(cost),
        "declared_cost_usd": interval(declared),
        "cost_ratio": interval(_ratio(cost, declared)),
    }
    return GoalUncertainty(
        float(np.mean(met)),
        outcomes,
        tuple((float(usd), float(np.mean(cost <= usd))) for usd in ladder),
        {name: _shares(values[met]) for name, values in labels.items()},
        _by_family(cost, declared, figures["stages"] > 1, worlds.family),
        (),
        by_draw,
        footprints,
        lines,
        tuple(known),
    )


def _figures(
    found: Sequence[Plans], which: np.ndarray, met: np.ndarray, p: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], Footprint, np.ndarray]:
    """What the best plan of each draw chooses and achieves, its footprint, and the line that its sites keep below; NaN where
    there is none."""
    figures = {name: np.full(len(which), np.nan) for name in (*OUTCOMES, *CHOICES, "chips_per_node", "people")}
    left = {item.name: np.full(len(which), np.nan) for item in fields(Footprint)}
    lines = np.full(len(which), np.nan)
    for place, plans in enumerate(found):
        draw = plans.choices["draw"].astype(int)
        rows = np.flatnonzero((which[draw] == place) & met[draw])
        if not len(rows):
            continue
        mine = plans.take(rows)
        at = draw[rows]
        columns = columns_of(mine.setting, mine.choices)
        here = of_rows(p, at)
        wanted = {*OUTCOMES, *OF_FOOTPRINT}
        with np.errstate(all="ignore"):
            out = default.simulate(columns, here, mode=mine.setting.mode, wanted=wanted)
        one_site = mine.setting.mode == "datacenter"
        seen = footprint(
            out, chips_per_node=columns["chips_per_node"], nodes=columns["nodes"], parameters=here, one_site=one_site
        )
        for name, values in left.items():
            values[at] = getattr(seen, name)
        lines[at] = lines_of(mine.setting)[mine.choices["hardware"].astype(int)]
        for name in OUTCOMES:
            figures[name][at] = out[name]
        for name in (*CHOICES, "chips_per_node"):
            figures[name][at] = columns[name]
    figures["people"] = left["people"]
    return figures, Footprint(**left), lines


def _ratio(cost: np.ndarray, declared: np.ndarray) -> np.ndarray:
    """Cost over that of the declared datacentre, where one can be built; infinite where only that can."""
    known = np.isfinite(declared)
    return np.asarray(cost[known] / declared[known])


def _declared_cost(arena: Arena, goal: Goal, quality: np.ndarray, met: np.ndarray, worlds: Worlds) -> np.ndarray:
    """What the same capability costs openly in one datacentre, in every draw; for a budget, that of its median capability."""
    target = goal.target_flop_quality or (float(np.median(quality[met])) if met.any() else None)
    if target is None:
        return np.full(len(worlds), np.nan)
    open_goal = Goal(target_flop_quality=target, chips_only=goal.chips_only)
    effort = settings()["worlds"] | settings()["declared_worlds"]  # one site, nothing to split: less to search
    grid = in_worlds_near_best(arena.declared, [open_goal], worlds.parameters, effort)
    found = respond([grid], open_goal, worlds.parameters, len(worlds), effort)
    which, score = best_of_each_world(found, len(worlds))
    return np.where(score < MISSED, _figures(found, which, score < MISSED, worlds.parameters)[0]["cost_usd"], np.inf)


@lru_cache(maxsize=KEPT)
def declared_costs(
    site: OpenSite, targets: tuple[float, ...], chips_only: bool, which: Drawn
) -> tuple[np.ndarray, ...]:
    """What each target costs openly in one datacentre in every draw; the last few are kept."""
    worlds = worlds_of(which)
    effort = settings()["quick"]["effort"] | settings()["declared_worlds"]
    found = respond_to_all([open_grid(site)], targets, worlds, effort, chips_only=chips_only)
    costs = []
    for copy in range(len(targets)):
        mine = of_copy(found, copy, len(worlds))
        at, score = best_of_each_world(mine, len(worlds))
        met = score < MISSED
        costs.append(np.where(met, _figures(mine, at, met, worlds.parameters)[0]["cost_usd"], np.inf))
    return tuple(costs)


def _labels(found: Sequence[Plans], which: np.ndarray, met: np.ndarray) -> dict[str, np.ndarray]:
    """Mode, number format and chip of the best plan of each draw."""
    labels = {name: np.full(len(which), "", dtype=object) for name in ("mode", "precision", "chip")}
    for place, plans in enumerate(found):
        draw = plans.choices["draw"].astype(int)
        rows = np.flatnonzero((which[draw] == place) & met[draw])
        hardware = np.asarray(plans.setting.hardware, dtype=object)[plans.choices["hardware"][rows].astype(int)]
        labels["mode"][draw[rows]] = plans.setting.mode
        labels["precision"][draw[rows]] = [item.precision for item in hardware]
        labels["chip"][draw[rows]] = [item.chip.chip for item in hardware]
    return labels


def _shares(values: np.ndarray) -> dict[str, float]:
    """How often each value occurs, most often first."""
    names, counts = np.unique(values.astype(str), return_counts=True)
    ranked = sorted(zip(-counts, names, strict=True))
    return {str(name): float(-count / len(values)) for count, name in ranked}


def _by_family(
    cost: np.ndarray, declared: np.ndarray, split: np.ndarray, family: np.ndarray
) -> tuple[FamilyAnswer, ...]:
    found = []
    for place, name in enumerate(FAMILIES):
        mine = family == place
        if mine.any():
            own = cost[mine]
            reached = np.isfinite(own)
            found.append(
                FamilyAnswer(
                    name, int(mine.sum()), float(np.mean(reached)), interval(own), interval(_ratio(own, declared[mine])),
                    float(np.mean(own <= settings()["verdict_budget"])),
                    float(np.mean(split[mine][reached])) if reached.any() else np.nan,
                )
            )  # fmt: skip
    return tuple(found)


def _committed(plan: Commitment) -> Committed:
    setting = plan.in_each.setting
    hardware = setting.hardware[int(plan.choices["hardware"])]
    choices = {name: value for name, value in plan.choices.items() if name != "hardware" and np.isfinite(value)}
    return Committed(
        plan.confidence, plan.reached, setting.mode, hardware.chip.chip, hardware.precision, hardware.chips_per_node,
        choices, interval(plan.cost_usd), interval(plan.flop_quality),
        float(np.quantile(plan.flop_quality, 1.0 - plan.confidence, method="lower")),
    )  # fmt: skip
