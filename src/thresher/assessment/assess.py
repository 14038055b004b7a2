"""`assess`: can a prohibited run hide below the rule?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from thresher.assessment.detection import Noticed, Watch, detection_of
from thresher.assessment.explain import explain_capability, explain_cost
from thresher.assessment.sensitivity import Sensitivity, analyse
from thresher.assessment.uncertainty import GoalUncertainty, propagate, propagate_quickly
from thresher.catalog import chip, network, reference_systems, within_links
from thresher.countermeasures.actors import Actor, load_actor
from thresher.countermeasures.parameters import detection_draws
from thresher.countermeasures.programmes import Programme, load_programme, programme_for
from thresher.countermeasures.timeline import Timeline
from thresher.errors import InputError
from thresher.evasion.best_response import AdversaryPlan, Arena, Curve, Reply, answer, frontier, prepare
from thresher.evasion.evaluation import Goal
from thresher.evasion.quick import declared_plans, prepare_quickly, replies, site_of
from thresher.evasion.quick_search import best_known, search_quickly
from thresher.evasion.search import Best
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS, settings
from thresher.learning.posterior import Posterior, load_posterior
from thresher.learning.replica_families import FAMILIES
from thresher.regime import ClusterRow, Regime, counted_operations, load_regime
from thresher.result import Explanation, Result
from thresher.simulation import default
from thresher.simulation.cost import DAYS_PER_YEAR
from thresher.simulation.draws import Drawn, check_draws, drawn, groups, worlds_of

DRAWS = 1000
"""Draws of the world unless told otherwise."""
ACTOR = "company"
"""Who tries unless told otherwise."""
FORMAT_BITS = {"bf16": 16, "fp8": 8, "fp4": 4}


@dataclass(frozen=True, slots=True)
class ClauseMargin:
    """How near a clause comes to covering one node of a plan: its value, its line, and the share of the line reached."""

    id: str
    reference: str
    value: float
    threshold: float
    unit: str
    share: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What a training-run clause says of the operations a plan performs."""

    clause: str
    consequence: str
    flop_counted: float


@dataclass(frozen=True, slots=True)
class GoalAnswer:
    """The answer for one target or budget: the unseen plan, what nearly caught it, and the same capability in the open."""

    target_flop_quality: float | None
    budget_usd: float | None
    plan: AdversaryPlan | None
    why_not: str
    by_mode: Mapping[str, AdversaryPlan]
    by_precision: Mapping[str, AdversaryPlan]
    clauses: tuple[ClauseMargin, ...]
    run_status: tuple[RunStatus, ...]
    declared: AdversaryPlan | None
    capability: Explanation | None
    cost: Explanation | None
    uncertainty: GoalUncertainty | None = None
    sensitivity: Sensitivity | None = None
    noticed: Noticed | None = None

    @property
    def detection(self) -> Timeline | None:
        """The timeline of detection of the cheapest plans, where there is one."""
        return None if self.noticed is None else self.noticed.timeline

    @property
    def nearest_clause(self) -> ClauseMargin | None:
        """The clause that comes nearest to covering the plan's nodes."""
        return max(self.clauses, key=lambda clause: clause.share, default=None)

    @property
    def cost_ratio(self) -> float:
        """Dollars unseen over dollars in the open."""
        if self.plan is None or self.declared is None:
            return math.nan
        return self.plan.outcome["cost_usd"] / self.declared.outcome["cost_usd"]


@dataclass(frozen=True, slots=True)
class Burden:
    """One reference system under the rule: covered or not, and by which clause."""

    system: str
    category: str
    covered: bool | None
    clauses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything `assess` says, ready for the terminal, the report and the result file."""

    regime: Regime
    arena: Arena
    answers: tuple[GoalAnswer, ...]
    burden: tuple[Burden, ...]
    curves: tuple[Curve, ...]
    duration_reasoning: str
    largest_node_params: Mapping[str, float]
    draws: int | None
    seed: int
    posterior: str | None
    watch: Watch | None
    quick: bool = False

    def as_result(self) -> Result:
        """The result file's content."""
        return Result(
            "assessment",
            {
                "regime": self.regime.name,
                "regime_title": self.regime.title,
                "model": "default",
                "quick": self.quick,
                "network": self.arena.network,
                "longest_days": self.arena.longest_days,
                "duration_reasoning": self.duration_reasoning,
                "node_limit": self.arena.node_limit,
                "chips": [item.chip for item in self.arena.chips],
                "number_formats": self.arena.precisions,
                "draws": self.draws,
                "seed": self.seed,
                "posterior": self.posterior or "shipped",
                "distributions": [group.name for group in groups()],
                "parameters": self.arena.parameters,
                "actor": None if self.watch is None else self.watch.actor,
                "programme": None if self.watch is None else self.watch.programme,
            },
            {
                "answers": [_answer_data(item) for item in self.answers],
                "burden": self.burden,
                "largest_model_on_one_unseen_node": self.largest_node_params,
                "least_cost_by_capability": self.curves,
            },
        )


def assess(
    regime: str | Path | Regime,
    *,
    targets: Sequence[float] | None = None,
    budgets: Sequence[float] = (),
    network_profile: str = "study",
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    longest_days: float | None = None,
    node_limit: float | None = None,
    chips_only: bool = False,
    draws: int | None = DRAWS,
    seed: int = 0,
    posterior: str | Path | None = None,
    programme: str | Path | Programme | None = None,
    actor: str | Path | Actor = ACTOR,
    quick: bool = False,
    slow_links: bool = False,
    progress: Callable[[str], None] = lambda _message: None,
) -> Assessment:
    """Find the cheapest plan that no cluster clause of a regime covers, for each capability and budget.

    Parameters
    ----------
    regime
        A shipped regime's name, the path of a regime file, or a loaded regime.
    targets, budgets
        Quality-adjusted FLOP to reach at least cost (those of ``evasion/data/search.yaml`` where neither is given); dollars to
        reach the most quality-adjusted FLOP with.
    network_profile
        Links between nodes, by the catalog's name.
    chips, precisions, modes
        What the adversary may use.
    longest_days
        The longest run considered; the study's 1.5 years by default.
    node_limit
        The most nodes considered.
    chips_only
        Count chips alone, as the study does, when choosing the cheapest plan.
    draws, seed
        Draws of everything uncertain, and the seed of their low-discrepancy points; None draws nothing and gives central values
        alone. The same seed gives the same numbers in every run.
    posterior
        A posterior file of ``thresher calibrate``; the shipped one by default.
    programme, actor
        What the state does to detect, and who tries: names that ship, files, or what was loaded from them; by default what the
        rule's own text provides, and a large company. They decide the timeline of detection alone.
    quick
        Answer in a fraction of a second at central values, and in seconds over some hundreds of draws, by a coarser search: for
        targets alone, and with nothing of what drives the answer or of committing to a plan (docs/performance.md says how near).
    progress
        Told what is being done, several times a second; what it raises ends the work.
    slow_links
        Whether the adversary keeps links that are faster than what the rule counts sites together by at that rate; otherwise such
        a network is refused.

    Raises
    ------
    InputError
        An unknown name, or a number that makes no sense; says what would be right.
    """
    rule = regime if isinstance(regime, Regime) else load_regime(regime)
    s = settings()
    held = None if posterior is None else load_posterior(Path(posterior))
    which = None if draws is None else _worlds_to_draw(draws, seed, held)
    watch = None if draws is None else _watch(rule, programme, actor, draws, seed)
    longest = s["longest_days"] if longest_days is None else longest_days
    wanted = tuple(targets if targets is not None else () if budgets else s["targets"])
    _check_numbers(wanted, budgets, longest)
    if quick and budgets:
        raise InputError("budgets", "none with a quick answer, which is for targets; leave quick out", budgets[0])
    links = network(network_profile)
    arena = (prepare_quickly if quick else prepare)(
        rule,
        within_links(links, rule.interconnect_limit_gbit_s) if slow_links else links,
        longest_days=longest,
        node_limit=node_limit,
        chips=[chip(name).chip for name in chips] if chips else None,
        precisions=precisions,
        modes=modes,
        progress=progress,
    )
    if quick:
        answers = _quick_answers(arena, wanted, chips_only, which, watch, progress)
    else:
        goals = [Goal(target_flop_quality=target, chips_only=chips_only) for target in wanted]
        goals += [Goal(budget_usd=budget, chips_only=chips_only) for budget in budgets]
        answers = [_whole_answer(arena, goal, which, watch, budgets, progress) for goal in goals]
    low, high = settings()["curve_bounds"]
    quality = np.geomspace(low, high, settings()["curve_points"])
    curves = [frontier([item], item.setting.mode, quality) for item in arena.unseen]
    curves.append(frontier([arena.declared], "declared datacentre", quality))
    return Assessment(
        rule, arena, tuple(answers), tuple(burden_of_reference_systems(rule)), tuple(curves), duration_reasoning(longest),
        _largest_models(arena), draws, seed, None if posterior is None else str(posterior), watch, quick,
    )  # fmt: skip


def _worlds_to_draw(draws: int, seed: int, posterior: Posterior | None) -> Drawn:
    check_draws(draws, seed)
    return drawn(draws, seed, posterior)


def _watch(
    rule: Regime, programme: str | Path | Programme | None, actor: str | Path | Actor, draws: int, seed: int
) -> Watch:
    """Who tries and what the state does, loaded; by default what the rule's own text provides."""
    state = programme_for(rule) if programme is None else programme
    return Watch(
        actor if isinstance(actor, Actor) else load_actor(actor),
        state if isinstance(state, Programme) else load_programme(state),
        detection_draws(draws, seed),
    )


def _check_numbers(targets: Sequence[float], budgets: Sequence[float], longest_days: float) -> None:
    """Refuse targets, budgets and lengths of run that make no sense."""
    s = settings()
    for name, values, (least, most) in (
        ("target", targets, s["target_bounds"]),
        ("budget", budgets, s["budget_bounds"]),
        ("longest run (--max-days)", (longest_days,), (1.0, s["longest_days_allowed"])),
    ):
        for value in values:
            if not least <= value <= most:
                raise InputError(name, f"a number from {least:g} to {most:g}", value)


def _whole_answer(
    arena: Arena,
    goal: Goal,
    which: Drawn | None,
    watch: Watch | None,
    budgets: Sequence[float],
    progress: Callable[[str], None],
) -> GoalAnswer:
    """One goal by the whole search, at central values and then over draws."""
    progress(f"refining the answer for {describe_goal(goal)}")
    quick = _quick_plans(arena, goal)
    answered = _answer_goal(arena, goal, quick)
    if which is None:
        return answered
    known = best_known([quick], settings()["worlds"]["known"])
    found = propagate(arena, goal, worlds_of(which), budgets=budgets, known=known, progress=progress)
    if goal.target_flop_quality is not None:
        progress("finding what drives the answer")
    driven = analyse(found, goal, seed=which.seed, posterior=which.posterior)
    noticed = None if watch is None else detection_of(found, watch)
    return replace(answered, uncertainty=found, sensitivity=driven, noticed=noticed)


def _quick_plans(arena: Arena, goal: Goal) -> list[Best]:
    """What the quick search finds on the whole grids, best first; nothing for a budget, which it does not know."""
    if goal.target_flop_quality is None:
        return []
    return search_quickly(arena.unseen, [goal.target_flop_quality], arena.parameters, chips_only=goal.chips_only)[0]


def _quick_answers(
    arena: Arena,
    targets: tuple[float, ...],
    chips_only: bool,
    which: Drawn | None,
    watch: Watch | None,
    progress: Callable[[str], None],
) -> list[GoalAnswer]:
    """All targets by the quick search, at central values and then over draws, each of which tries the central plans too."""
    found = search_quickly(arena.unseen, targets, arena.parameters, chips_only=chips_only, progress=progress)
    best = replies(arena, targets, found, chips_only=chips_only)
    declared = declared_plans(site_of(arena), targets, chips_only)
    answers = [_goal_answer(arena, reply, plan) for reply, plan in zip(best, declared, strict=True)]
    if which is None or not answers:
        return answers
    known = best_known(found, settings()["quick"]["drawn"]["known"])
    in_draws = propagate_quickly(arena, targets, which, chips_only=chips_only, known=known, progress=progress)
    drawn_answers = []
    for answered, over_draws in zip(answers, in_draws, strict=True):
        progress("looking for what would be noticed")
        noticed = None if watch is None else detection_of(over_draws, watch)
        drawn_answers.append(replace(answered, uncertainty=over_draws, noticed=noticed))
    return drawn_answers


def describe_goal(goal: Goal) -> str:
    """A goal in a few words."""
    if goal.target_flop_quality is not None:
        return f"{goal.target_flop_quality:.3g} quality-adjusted FLOP"
    return f"a budget of ${goal.budget_usd:,.0f}"


def duration_reasoning(longest_days: float) -> str:
    """Why runs end when they do: T = 1 / (growth of hardware + growth of algorithms), against the cap in force.

    Sevilla et al. 2022 and Epoch AI 2025, The longest training run: a run that lasts longer is overtaken by one that starts
    later on better chips with better algorithms.
    """
    p = default.parameters()
    hardware, algorithms = p["hardware_progress_per_year"], p["algorithmic_progress_per_year"]
    both, alone = (DAYS_PER_YEAR / rate for rate in (hardware + algorithms, hardware))
    return (
        f"Runs of up to {longest_days:,.0f} days are considered. A run longer than {both:,.0f} days is overtaken by a later one"
        f" if chips and algorithms go on improving as they do; {alone:,.0f} days if only chips do, as under a rule that halts"
        " research. The study's 1.5 years (548 days) lies between."
    )


def _answer_goal(arena: Arena, goal: Goal, quick: Sequence[Best]) -> GoalAnswer:
    reply = answer(arena, goal, seeds=quick)
    capability = goal.target_flop_quality or (reply.plan.outcome["flop_quality"] if reply.plan else None)
    open_reply = (
        answer(arena, Goal(target_flop_quality=capability, chips_only=goal.chips_only), declared=True)
        if capability
        else None
    )
    return _goal_answer(arena, reply, open_reply.plan if open_reply else None)


def _goal_answer(arena: Arena, reply: Reply, declared: AdversaryPlan | None) -> GoalAnswer:
    plan = reply.plan
    return GoalAnswer(
        reply.goal.target_flop_quality,
        reply.goal.budget_usd,
        plan,
        reply.why,
        reply.by_mode,
        reply.by_precision,
        _margins(arena, reply),
        _run_status(arena.regime, plan),
        declared,
        explain_capability(plan) if plan else None,
        explain_cost(plan) if plan else None,
    )


def _margins(arena: Arena, reply: Reply) -> tuple[ClauseMargin, ...]:
    """Each cluster clause's value for the plan, measured by the very clause that bounded the search."""
    if reply.plan is None:
        return ()
    found = []
    one = chip(reply.plan.chip)
    for clause in arena.regime.cluster_clauses:
        together = reply.plan.nodes if clause.grouping.over == "owner" or reply.plan.mode == "datacenter" else 1
        measured = arena.regime.measure_nodes(one, float(reply.plan.chips_per_node), float(together))[clause.id]
        value = float(measured.value)
        found.append(
            ClauseMargin(
                clause.id, clause.reference, value, measured.threshold, clause.unit, value / measured.threshold
            )
        )
    return tuple(found)


def _run_status(regime: Regime, plan: AdversaryPlan | None) -> tuple[RunStatus, ...]:
    """What the training-run clauses say of the operations the plan performs, whoever may see them."""
    if plan is None:
        return ()
    flop, bits = np.asarray([plan.outcome["flop"]]), FORMAT_BITS[plan.precision]
    counting = {clause.id: clause.counting for clause in regime.run_clauses}
    return tuple(
        RunStatus(item.clause_id, item.consequence, float(counted_operations(flop, bits, counting[item.clause_id])[0]))
        for item in regime.run_consequences(flop, bits=bits)
        if bool(item.mask[0])
    )


def burden_of_reference_systems(regime: Regime) -> list[Burden]:
    """The reference systems under the rule, each on its own."""
    systems = reference_systems()
    rows = [ClusterRow(cluster=item.system, chip=chip(item.chip), count=item.count) for item in systems]
    decisions = {decision.cluster: decision for decision in regime.classify(rows)}
    return [
        Burden(
            item.system,
            item.category,
            decisions[item.system].covered,
            tuple(clause.id for clause in decisions[item.system].clauses if clause.covered),
        )
        for item in systems
    ]


def _largest_models(arena: Arena) -> dict[str, float]:
    """The largest model that one unseen node holds whole, by chip (bf16 if known), of the flat grid."""
    found: dict[str, float] = {}
    for evaluated in arena.unseen:
        if evaluated.setting.mode == "flat":
            largest = np.zeros(len(evaluated.setting.hardware))
            np.maximum.at(largest, evaluated.choices["hardware"], evaluated.choices["params"])
            for hardware, params in zip(evaluated.setting.hardware, largest, strict=True):
                found[hardware.chip.chip] = max(found.get(hardware.chip.chip, 0.0), float(params))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _answer_data(item: GoalAnswer) -> dict[str, object]:
    return {
        "target_flop_quality": item.target_flop_quality,
        "budget_usd": item.budget_usd,
        "within_reach": item.plan is not None,
        "why_not": item.why_not,
        "plan": item.plan,
        "nearest_clause": item.nearest_clause,
        "clauses": item.clauses,
        "run_status": item.run_status,
        "declared_datacentre": item.declared,
        "cost_ratio_to_declared": item.cost_ratio,
        "best_by_mode": item.by_mode,
        "best_by_number_format": item.by_precision,
        "explanations": {"capability": item.capability, "cost": item.cost},
        "uncertainty": None if item.uncertainty is None else _uncertainty_data(item.uncertainty),
        "sensitivity": item.sensitivity,
        "detection": item.noticed,
    }


BY_DRAW = ("found", "footprints", "line_chips")
"""What an answer keeps of every draw and a result file leaves out."""


def _uncertainty_data(found: GoalUncertainty) -> dict[str, object]:
    """The intervals and probabilities of one goal, with the draws behind them to four figures, but not their plans."""
    data = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in BY_DRAW}
    ladder = [{"budget_usd": usd, "probability": share} for usd, share in found.within_budget]
    by_draw: dict[str, object] = {"families": list(FAMILIES)}
    by_draw |= {
        name: values.tolist() if values.dtype.kind == "i" else [float(f"{value:.4g}") for value in values.tolist()]
        for name, values in found.by_draw.items()
    }
    return data | {"within_budget": ladder, "by_draw": by_draw}
