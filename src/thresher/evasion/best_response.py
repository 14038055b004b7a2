"""The adversary's best response to a regime: the cheapest unseen plan for a capability, and the most capability for a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.catalog import Chip, NetworkProfile
from thresher.errors import InputError
from thresher.evasion.evaluation import Evaluated, Goal, evaluate_grid
from thresher.evasion.footprint import Footprint, footprint
from thresher.evasion.search import Best, best_on_grid, refine
from thresher.evasion.space import (
    DISTRIBUTED_MODES,
    NUMBER_FORMATS,
    Setting,
    columns_of,
    declared_hardware,
    make_setting,
    settings,
    unseen_hardware,
    usable_chips,
)
from thresher.evasion.worlds import Progress, silent
from thresher.learning.horizon import Extrapolation
from thresher.regime import Regime
from thresher.simulation import default
from thresher.simulation.plans import plan_horizon

FAR_FROM_LIMIT = 0.5
"""A plan with a smaller share of the nodes allowed is not held back by their number."""


@dataclass(frozen=True, slots=True)
class AdversaryPlan:
    """A plan with everything said of it: hardware, choices, outcome, footprint and evidence horizon."""

    mode: str
    chip: str
    precision: str
    chips_per_node: int
    nodes: int
    choices: Mapping[str, float]
    outcome: Mapping[str, float]
    footprint: Footprint
    horizon: tuple[Extrapolation, ...]

    def describe(self) -> str:
        """The plan in one line."""
        each = f"{self.nodes:,} nodes of {self.chips_per_node} {self.chip}"
        return f"{self.mode}, {each}, {self.precision}, {self.outcome['days']:.0f} days"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one goal: the best plan, the best of each mode and of each number format, or why there is none."""

    goal: Goal
    plan: AdversaryPlan | None
    by_mode: Mapping[str, AdversaryPlan]
    by_precision: Mapping[str, AdversaryPlan]
    why: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Least cost by capability, from the grid alone: ``cost_usd`` is infinite where a capability is out of reach."""

    label: str
    flop_quality: np.ndarray
    cost_usd: np.ndarray


@dataclass(frozen=True, slots=True)
class Arena:
    """Everything evaluated for one regime: grids by mode for the adversary, and for an open datacentre."""

    regime: Regime
    network: NetworkProfile
    longest_days: float
    node_limit: float
    precisions: tuple[str, ...]
    chips: tuple[Chip, ...]
    parameters: Mapping[str, float]
    unseen: tuple[Evaluated, ...]
    declared: Evaluated


def prepare(
    regime: Regime,
    network: NetworkProfile,
    *,
    longest_days: float,
    node_limit: float | None = None,
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    parameters: Mapping[str, float] | None = None,
    changes: Mapping[str, Any] | None = None,
    declared: Evaluated | None = None,
    progress: Progress = silent,
) -> Arena:
    """Evaluate the grids once; every goal is then answered from them.

    Parameters
    ----------
    longest_days
        The longest run considered.
    node_limit
        The most nodes considered; that of ``data/search.yaml`` by default.
    chips, precisions, modes
        What the adversary may use; all of the catalog that is for sale, all formats, all distributed modes by default.
    parameters
        Central values by default.
    changes
        To the numerical settings of the grids, see ``evaluate_grid``.
    declared
        The grid of an open datacentre, where it is known already.

    Raises
    ------
    InputError
        A chip named whose price or figures the catalog does not know.
    """
    p = dict(default.parameters() if parameters is None else parameters)
    fastest_gbit_s = max(network.upload_mbps, network.download_mbps, network.regional_mbps or 0.0) / 1e3
    linked_over = regime.interconnect_limit_gbit_s
    if linked_over is not None and fastest_gbit_s > linked_over:
        raise InputError(
            f"network {network.network}",
            f"links of at most {linked_over:g} Gbit/s, above which {regime.name} counts nodes together",
            f"{fastest_gbit_s:g} Gbit/s",
        )
    limit = float(node_limit or settings()["most_nodes"])
    candidates = known_chips(chips)
    unseen = []
    for setting in unseen_settings(
        regime, candidates, network, longest_days=longest_days, node_limit=limit, precisions=precisions, modes=modes,
        parameters=p, changes=changes,
    ):  # fmt: skip
        progress(f"searching {setting.mode} plans on {len(setting.hardware)} kinds of node")
        unseen.append(evaluate_grid(setting, p, changes))
    if declared is None:
        progress("pricing one open datacentre")
        site = open_site(network, candidates, precisions, longest_days=longest_days, node_limit=limit, parameters=p)
        declared = evaluate_grid(site, p, changes)
    return Arena(regime, network, longest_days, limit, tuple(precisions), tuple(candidates), p, tuple(unseen), declared)


def open_site(
    network: NetworkProfile,
    candidates: Sequence[Chip],
    precisions: Sequence[str],
    *,
    longest_days: float,
    node_limit: float,
    parameters: Mapping[str, Any],
) -> Setting:
    """The setting of one openly declared datacentre, of chips made for one where there are any.

    Raises
    ------
    InputError
        No chip has any of the number formats.
    """
    centre = [chip for chip in candidates if chip.kind == "datacentre"] or candidates
    servers = declared_hardware(centre, precisions) or declared_hardware(candidates, precisions)
    if not servers:
        raise InputError("number format", "one that a chip of the search has", ", ".join(precisions))
    return make_setting(
        None, "datacenter", servers, network, longest_days=longest_days, node_limit=node_limit, parameters=parameters
    )


def known_chips(names: Sequence[str] | None = None) -> list[Chip]:
    """The chips of a search, each with the figures that it needs.

    Raises
    ------
    InputError
        A chip named whose price or figures the catalog does not know.
    """
    candidates = usable_chips(names)
    for chip in candidates:
        for name in ("fp16_tflops", "memory_gb", "tdp_w", "price_usd"):
            if getattr(chip, name) is None:
                raise InputError(f"chip {chip.chip}", f"a chip whose {name} the catalog knows")
    return candidates


def unseen_settings(
    regime: Regime,
    candidates: Sequence[Chip],
    network: NetworkProfile,
    *,
    longest_days: float,
    node_limit: float,
    precisions: Sequence[str],
    modes: Sequence[str],
    parameters: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Setting]:
    """The settings of an unseen adversary, mode by mode; one unseen site among them where a clause leaves room for it."""
    bounds = [regime.largest_uncovered_count(chip) for chip in candidates]
    for mode in (*modes, "datacenter"):
        hardware = unseen_hardware(regime, candidates, precisions, mode, bounds, changes)
        if hardware:
            yield make_setting(
                regime, mode, hardware, network, longest_days=longest_days, node_limit=node_limit, parameters=parameters
            )


def answer(arena: Arena, goal: Goal, *, declared: bool = False, seeds: Sequence[Best] = ()) -> Reply:
    """The best plan for a goal: exact over the grid, then refined from several of its best points.

    ``seeds`` are plans for the same goal known from elsewhere, which the answer is never dearer than: with those of a stricter
    rule no looser one is answered with a dearer plan.
    """
    pool = (arena.declared,) if declared else arena.unseen
    keep = settings()["refine"]["seeds"]
    tried = [*_refined(pool, goal, keep, arena.parameters), *seeds]
    if goal.budget_usd is not None:
        tried += _ratchet(pool, goal, tried, keep, arena.parameters)
    tried = sorted(tried, key=lambda plan: plan.score)
    return replies_of(arena, [goal], [tried])[0]


def replies_of(arena: Arena, goals: Sequence[Goal], tried: Sequence[Sequence[Best]]) -> list[Reply]:
    """The answer to each goal from the plans tried for it, best first: the best, and the best of each mode and number format."""
    reached = [[plan for plan in plans if plan.reached] for plans in tried]
    by_mode = [first_by(plans, lambda plan: plan.setting.mode) for plans in reached]
    by_precision = [first_by(plans, lambda plan: plan.precision) for plans in reached]
    # many a plan is the best of its mode and of its format
    named = {id(plan): plan for group in (*by_mode, *by_precision) for plan in group.values()}
    known = dict(zip(named, describe_all(list(named.values()), arena.parameters), strict=True))

    def told(group: dict[str, Best]) -> dict[str, AdversaryPlan]:
        return {name: known[id(plan)] for name, plan in group.items()}

    return [
        Reply(goal, known[id(good[0])], told(modes), told(formats), "")
        if good
        else Reply(goal, None, {}, {}, why_not(arena, goal, plans))
        for goal, plans, good, modes, formats in zip(goals, tried, reached, by_mode, by_precision, strict=True)
    ]


def _refined(pool: Sequence[Evaluated], goal: Goal, keep: int, parameters: Mapping[str, float]) -> list[Best]:
    return [plan for evaluated in pool for plan in refine(best_on_grid(evaluated, goal, keep), goal, parameters)]


def _ratchet(
    pool: Sequence[Evaluated], goal: Goal, tried: Sequence[Best], keep: int, parameters: Mapping[str, float]
) -> list[Best]:
    """Plans that the search for a little more capability finds within the budget, until it finds none.

    Least cost for a target is the better-behaved question, and this makes the two agree.
    """
    better: list[Best] = []
    best = min((plan.score for plan in tried), default=np.inf)
    for _ in range(settings()["refine"]["ratchet_turns"]):
        if best >= 0.0:
            break
        target = Goal(target_flop_quality=-best * settings()["refine"]["ratchet_step"], chips_only=goal.chips_only)
        cheapest = min(_refined(pool, target, keep, parameters), key=lambda plan: plan.score, default=None)
        if cheapest is None or not cheapest.score <= (goal.budget_usd or 0.0):
            break
        best = -(target.target_flop_quality or 0.0)
        better.append(Best(cheapest.setting, cheapest.choices, best))
    return better


def first_by(plans: Sequence[Best], key: Callable[[Best], str]) -> dict[str, Best]:
    """The first plan of each kind, in order."""
    first: dict[str, Best] = {}
    for plan in plans:
        first.setdefault(key(plan), plan)
    return first


def describe(best: Best, parameters: Mapping[str, float]) -> AdversaryPlan:
    """Simulate a found plan once more, for everything the model says of it."""
    return describe_all([best], parameters)[0]


def describe_all(plans: Sequence[Best], parameters: Mapping[str, float]) -> list[AdversaryPlan]:
    """The same of several plans, those of one setting in one pass."""
    by_setting: dict[int, list[int]] = {}
    for at, plan in enumerate(plans):
        by_setting.setdefault(id(plan.setting), []).append(at)
    found: dict[int, AdversaryPlan] = {}
    for places in by_setting.values():
        found |= zip(places, _described([plans[at] for at in places], parameters), strict=True)
    return [found[at] for at in range(len(plans))]


def _described(plans: Sequence[Best], parameters: Mapping[str, float]) -> Iterator[AdversaryPlan]:
    """Plans of one setting, each with its outcome, what one sees of it, and how far it is from anything measured."""
    setting, count = plans[0].setting, len(plans)
    choices = {name: np.asarray([plan.choices[name] for plan in plans]) for name in plans[0].choices}
    columns = columns_of(setting, choices)
    out = default.simulate(columns, parameters, mode=setting.mode)
    outcomes = {name: value.tolist() for name, value in out.items() if name not in ("feasible", "reason")}
    inputs = {name: np.broadcast_to(value, count).astype(float).tolist() for name, value in columns.items()}
    for at, plan in enumerate(plans):
        hardware = setting.hardware[int(plan.choices["hardware"])]
        nodes, size = int(plan.choices["nodes"]), hardware.chips_per_node
        outcome = {name: float(values[at]) for name, values in outcomes.items()}
        yield AdversaryPlan(
            setting.mode, hardware.chip.chip, hardware.precision, size, nodes,
            {name: value for name, value in plan.choices.items() if name not in ("hardware", "nodes")}, outcome,
            footprint(
                outcome, chips_per_node=float(size), nodes=float(nodes), parameters=parameters,
                one_site=setting.mode == "datacenter",
            ),
            tuple(plan_horizon(setting.mode, hardware.precision, outcome, {name: row[at] for name, row in inputs.items()})),
        )  # fmt: skip


def frontier(evaluated: Sequence[Evaluated], label: str, flop_quality: np.ndarray) -> Curve:
    """The least cost on the grid at each capability: the running minimum over all plans that reach at least it."""
    quality = np.concatenate([np.ravel(e.values["flop_quality"]) for e in evaluated])
    cost = np.concatenate([np.ravel(e.values["cost_usd"]) for e in evaluated])
    order = np.argsort(quality)
    cheapest_from_here = np.minimum.accumulate(cost[order][::-1])[::-1]
    first = np.searchsorted(quality[order], flop_quality)
    padded = np.append(cheapest_from_here, np.inf)
    return Curve(label, flop_quality, padded[first])


def why_not(arena: Arena, goal: Goal, tried: Sequence[Best]) -> str:
    """Why no plan found meets a goal, and how near the nearest comes."""
    if not tried:
        return "no chip that is for sale may stand anywhere unseen: one alone is covered"
    nearest = describe(tried[0], arena.parameters)
    if goal.budget_usd is not None:
        return f"the cheapest run found costs ${nearest.outcome['cost_usd']:,.0f} ({nearest.describe()})"
    text = (
        f"with up to {arena.node_limit:,.0f} nodes and {arena.longest_days:,.0f} days the most within reach is"
        f" {nearest.outcome['flop_quality']:.2g} quality-adjusted FLOP ({nearest.describe()})"
    )
    if nearest.nodes < FAR_FROM_LIMIT * arena.node_limit:
        text += ": more nodes would cost more learning than they add"
    return text
