"""`programmes`: would a programme of countermeasures catch it, which is the cheapest that would, and what is each part worth?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from thresher.catalog import chip, network
from thresher.countermeasures.actors import Actor, actors, load_actor
from thresher.countermeasures.game import OBJECTIVES, Cases, cases_of, one_case, respond, worth_considering
from thresher.countermeasures.parameters import draw_detection
from thresher.countermeasures.pool import Pool, joined, settings, unbounded_pool, unseen_pool
from thresher.countermeasures.programmes import BASELINE, Programme, load_programme
from thresher.countermeasures.timeline import timeline
from thresher.errors import InputError
from thresher.evasion.best_response import prepare
from thresher.evasion.space import DISTRIBUTED_MODES, NUMBER_FORMATS
from thresher.evasion.space import settings as search_settings
from thresher.learning.posterior import load_posterior
from thresher.portfolios.answers import ActorAnswer, Portfolio, Reply
from thresher.portfolios.search import climb_against_all, running_cost
from thresher.portfolios.values import players, worth_of_each, worth_per_dollar
from thresher.regime import Regime, load_regime
from thresher.simulation.draws import draw_worlds

COMPARED = (BASELINE, "agreement", "study", "everything")
"""The programmes that are compared unless told otherwise; the last is the far end that the state's search goes towards."""
WEIGHED = "study"
"""The programme whose parts are weighed."""
CAP = "inspections_per_year_at_most"
"""The parameter by which a rule's duty bounds challenge inspections."""
FEWER_DRAWS = 40
"""Draws by which the cases that a search over many programmes keeps are chosen."""


def programmes(
    regime: str | Path | Regime,
    *,
    target: float | None = None,
    actors_named: Sequence[str | Path] = (),
    programmes_named: Sequence[str | Path] = (),
    bound: float | None = None,
    budget_usd_per_year: float | None = None,
    objective: str = OBJECTIVES[0],
    draws: int | None = None,
    seed: int = 0,
    posterior: str | Path | None = None,
    network_profile: str = "study",
    chips: Sequence[str] | None = None,
    precisions: Sequence[str] = NUMBER_FORMATS,
    modes: Sequence[str] = DISTRIBUTED_MODES,
    longest_days: float | None = None,
    node_limit: float | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Portfolio:
    """Play programmes of countermeasures against adversaries who know them, under the thresholds of a regime.

    Parameters
    ----------
    regime
        A shipped regime's name, a regime file, or a loaded regime.
    target
        Quality-adjusted FLOP that the adversary wants; the middle one of `assess` by default.
    actors_named, programmes_named
        Names that ship, or files; all actors, and ``COMPARED`` by default. The parts of the last programme named are weighed; of
        ``study`` where none is.
    bound
        The chance of success that the state will bear.
    budget_usd_per_year
        What the state has; the best programme found for it is given too.
    objective
        What the adversary maximises, one of ``game.OBJECTIVES``.
    draws, seed, posterior, network_profile, chips, precisions, modes, longest_days, node_limit
        As in `assess`; 200 draws by default.

    Raises
    ------
    InputError
        A name or number that makes no sense; says what would be right.
    """
    rule = regime if isinstance(regime, Regime) else load_regime(regime)
    s, g = search_settings(), settings()
    wanted = s["targets"][(len(s["targets"]) - 1) // 2] if target is None else target
    limit = g["bound"] if bound is None else bound
    days = s["longest_days"] if longest_days is None else longest_days
    _check("--target", wanted, *s["target_bounds"])
    _check("--bound", limit, 0.001, 0.999)
    _check("--max-days", days, 1.0, s["longest_days_allowed"])
    if budget_usd_per_year is not None:
        _check("--state-budget", budget_usd_per_year, 0.0, 1e15)
    if objective not in OBJECTIVES:
        raise InputError("--objective", f"one of {', '.join(OBJECTIVES)}", objective)
    compared = [load_programme(name) for name in (programmes_named or COMPARED)]
    who = [load_actor(name) for name in (actors_named or actors())]
    weighed = compared[-1] if programmes_named else load_programme(WEIGHED)
    count = g["draws"] if draws is None else draws
    worlds = draw_worlds(count, seed, None if posterior is None else load_posterior(Path(posterior)))
    p = draw_detection(count, seed)
    arena = prepare(
        rule, network(network_profile), longest_days=days, node_limit=node_limit,
        chips=[chip(name).chip for name in chips] if chips else None, precisions=precisions, modes=modes, progress=progress,
    )  # fmt: skip
    progress("gathering plans that reach the target")
    below = unseen_pool(arena, wanted, worlds)
    lines = bool(rule.cluster_clauses)
    free = (
        joined([part for part in (below, unbounded_pool(arena, wanted, worlds)) if part is not None]) if lines else None
    )
    cap = _cap(rule)
    far = load_programme(COMPARED[-1])
    if cap is not None:
        far = far.with_settings(far.name, {"challenge_inspections": min(cap, far.settings["challenge_inspections"])})
    answers = []
    for actor in who:
        progress(f"playing against {actor.name}")
        answers.append(
            _answer(
                actor,
                below,
                free,
                wanted,
                compared,
                weighed,
                far,
                limit,
                budget_usd_per_year,
                objective,
                p,
                lines=lines,
            )
        )
    inputs: dict[str, Any] = {
        "draws": count, "seed": seed, "posterior": None if posterior is None else str(posterior), "network": network_profile,
        "chips": [item.chip for item in arena.chips], "precisions": list(precisions), "modes": list(modes),
        "longest_days": days, "node_limit": arena.node_limit, "plans": 0 if below is None else len(below),
        "challenge_inspections_at_most": cap,
    }  # fmt: skip
    return Portfolio(rule, wanted, limit, budget_usd_per_year, objective, weighed, tuple(answers), inputs)


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InputError(name, f"a number from {least:g} to {most:g}", value)


def _cap(rule: Regime) -> float | None:
    """The most challenge inspections a year that the rule's own text allows."""
    caps = [one.parameters[CAP] for one in rule.obligations if CAP in one.parameters]
    return float(min(caps)) if caps else None


def _answer(
    actor: Actor, below: Pool | None, free: Pool | None, target: float, compared: Sequence[Programme], weighed: Programme,
    far: Programme, bound: float, budget: float | None, objective: str, p: Mapping[str, np.ndarray], *, lines: bool,
) -> ActorAnswer:  # fmt: skip
    """Everything about one actor."""
    everything, start = cases_of(below, target, actor, p), load_programme(BASELINE)
    parts = players(weighed, with_thresholds=False)
    some = [frozenset(one) for size in (1, 2) for one in combinations(parts, size)]
    probes = [*compared, far, *map(weighed.only, some), *(weighed.only(frozenset(parts) - one) for one in some)]
    open_cases = cases_of(free, target, actor, p) if lines else None
    unbounded = None if open_cases is None else worth_considering(open_cases, probes, p, FEWER_DRAWS, objective)
    if everything is None:
        worth = worth_of_each(None, unbounded, weighed, p, objective) if unbounded is not None else ()
        return ActorAnswer(actor, (), (), None, None, worth, ())
    few = worth_considering(everything, probes, p, FEWER_DRAWS, objective)
    rungs, few = climb_against_all(everything, few, start, far, p, objective, bound=bound)
    best = None
    if budget is not None:
        spent, few = climb_against_all(everything, few, start, far, p, objective, most_usd_per_year=budget)
        paid = [rung for rung in (*spent, *rungs) if rung.cost_usd_per_year <= budget]
        best = min(paid, key=lambda rung: rung.success)
    return ActorAnswer(
        actor, _replies(everything, compared, p, objective), tuple(rungs), rungs[-1] if rungs[-1].success <= bound else None,
        best, worth_of_each(few, unbounded, weighed, p, objective), worth_per_dollar(few, weighed, far, p, objective),
    )  # fmt: skip


def _replies(
    cases: Cases, compared: Sequence[Programme], p: Mapping[str, np.ndarray], objective: str
) -> tuple[Reply, ...]:
    reply = respond(cases, compared, p, objective)
    alike = respond(cases, compared, p, objective, triage="as_they_come")
    cost = running_cost(compared, p)
    found = []
    for at, programme in enumerate(compared):
        case = int(reply.case[at])
        seen = timeline(one_case(cases, case), cases.ways[case], programme, p)
        done = seen.share_done * float(np.median(cases.pool.flop_quality[cases.plan[case]]))
        found.append(
            Reply(
                programme, cases.describe(case), cases.ways[case], float(reply.success[at]), float(reply.undetected[at]),
                float(reply.reaches[at]), float(reply.expected_flop[at]), done, bool(reply.deterred[at]),
                float(alike.success[at]), float(cost[at]), seen.burden_usd_per_year, seen,
            )
        )  # fmt: skip
    return tuple(found)
