"""The state's side of the game: from no programme up to one that holds every reply of the adversary below a bound, at least
cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.game import Cases, respond
from thresher.countermeasures.pool import settings as game_settings
from thresher.countermeasures.programmes import Programme, cost_usd_per_year, countermeasures, settings

PRUNED, FAR_END = "pruned", "everything to the far end"
ROUNDING = 1e-9
LEAST_SUCCESS = 1e-6
"""A chance of success below this is none."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A programme on the way up: what was raised last, its cost a year, and the chance of success."""

    programme: Programme
    raised: str
    cost_usd_per_year: float
    success: float


def running_cost(programmes: Sequence[Programme], p: Mapping[str, Array]) -> np.ndarray:
    """What programmes cost the state a year, the capacity to follow leads included: means over the draws, of shape
    (programmes,)."""
    s: dict[str, Any] = {name: np.asarray([one.settings[name] for one in programmes])[:, None] for name in settings()}
    return np.asarray(np.mean(cost_usd_per_year(s, p), axis=1))


def climb(
    cases: Cases,
    start: Programme,
    far: Programme,
    p: Mapping[str, Array],
    objective: str,
    *,
    bound: float = 0.0,
    most_usd_per_year: float = np.inf,
) -> list[Rung]:
    """Raise the programme step by step until it is within the bound or the money is gone, each time by what lowers the logarithm
    of success most for a power of its cost (``thrift``, of ``data/game.yaml``).

    A step raises one setting, or all of one countermeasure, or of two, to a level between where they stand unsaid and the far
    end; several settings together, since a register that no one checks is worth nothing. Where no step is worth its cost, the
    far end itself is the last. At the end what is not needed is taken back, and what that frees of a budget is spent again. A
    greedy search: no proof that nothing better exists.
    """
    rungs = [_rung(cases, start, "", p, objective)]
    for _ in range(game_settings()["most_turns"]):
        while rungs[-1].success > bound and len(rungs) <= game_settings()["most_steps"]:
            for pairs in (
                (True,) if len(rungs) == 1 else (False, True)
            ):  # pairs are many: first, and where nothing else helps
                step = _best_step(cases, rungs[-1], far, bound, p, objective, most_usd_per_year, pairs=pairs)
                if step is not None:
                    break
            if step is None:
                break
            rungs.append(step)
        if rungs[-1].success > bound:
            last = _rung(cases, far, FAR_END, p, objective)
            if last.success < rungs[-1].success and last.cost_usd_per_year <= most_usd_per_year:
                rungs.append(last)
        if len(rungs) == 1:
            break
        pruned = _pruned(cases, rungs[-1], start, far, max(bound, rungs[-1].success), p, objective)
        freed = pruned.cost_usd_per_year < rungs[-1].cost_usd_per_year
        rungs += [pruned] if freed else []
        if not freed or rungs[-1].success <= bound or most_usd_per_year == np.inf:
            break
    return rungs


def _if_better(other: Rung, last: Rung, bound: float) -> list[Rung]:
    """The other rung, where it holds the bound for less, or alone holds it."""
    held = other.success <= bound and (
        last.success > bound or other.cost_usd_per_year < last.cost_usd_per_year * (1.0 - ROUNDING)
    )
    return [other] if held else []


def climb_against_all(
    everything: Cases,
    few: Cases,
    start: Programme,
    far: Programme,
    p: Mapping[str, Array],
    objective: str,
    *,
    bound: float = 0.0,
    most_usd_per_year: float = np.inf,
) -> tuple[list[Rung], Cases]:
    """`climb` against a few cases, and for a bound the way down from the far end too, checked against all cases: the best reply
    to the last rung joins the few, and the search begins again, until it was there already. The rungs say the success of the
    best of all cases; the few that were enough come with them."""
    for _ in range(game_settings()["most_rounds"]):
        rungs = climb(few, start, far, p, objective, bound=bound, most_usd_per_year=most_usd_per_year)
        if bound > 0.0 and len(rungs) > 1:
            rungs += _if_better(_descended(few, start, far, p, objective, bound), rungs[-1], bound)
        best = int(respond(everything, [rungs[-1].programme], p, objective).case[0])
        if everything.key(best) in map(few.key, range(len(few))):
            break
        few = few.joined(everything.take(np.asarray([best])))
    reply = respond(everything, [rung.programme for rung in rungs], p, objective)
    return [replace(rung, success=float(success)) for rung, success in zip(rungs, reply.success, strict=True)], few


def _best_step(
    cases: Cases,
    here: Rung,
    far: Programme,
    bound: float,
    p: Mapping[str, Array],
    objective: str,
    most_usd: float,
    *,
    pairs: bool,
) -> Rung | None:
    """The step that lowers the logarithm of success most for its cost; beyond half the bound nothing more is gained."""
    tried = _raised(here.programme, far, pairs=pairs)
    if not tried:
        return None
    cost = running_cost([programme for _, programme in tried], p)
    tried = [one for one, usd in zip(tried, cost, strict=True) if usd <= most_usd]
    if not tried:
        return None
    programmes, cost = [programme for _, programme in tried], cost[cost <= most_usd]
    success = respond(cases, programmes, p, objective).success
    gain = np.log(here.success / np.maximum(success, max(0.5 * min(bound, here.success), LEAST_SUCCESS)))
    spent = np.maximum(cost - here.cost_usd_per_year, 1.0) ** game_settings()["thrift"]
    worth = np.where(gain > game_settings()["least_gain"], gain / spent, 0.0)
    best = int(np.argmax(worth))
    return (
        Rung(programmes[best], tried[best][0], float(cost[best]), float(success[best])) if worth[best] > 0.0 else None
    )


def _rung(cases: Cases, programme: Programme, raised: str, p: Mapping[str, Array], objective: str) -> Rung:
    success = float(respond(cases, [programme], p, objective).success[0])
    return Rung(programme, raised, float(running_cost([programme], p)[0]), success)


def _levels(name: str, far: Programme) -> list[float]:
    """The values of a setting that are tried: shares of the way from where it stands unsaid to the far end."""
    low, high = settings()[name].default, far.settings[name]
    return [low + share * (high - low) for share in game_settings()["levels"]] if high > low else []


def _raised(here: Programme, far: Programme, *, pairs: bool) -> list[tuple[str, Programme]]:
    """Every programme a step above: one setting, one countermeasure, or two countermeasures at a level."""
    found: dict[tuple[float, ...], tuple[str, Programme]] = {}

    def add(what: str, changes: Mapping[str, float]) -> None:
        raised = {name: max(value, here.settings[name]) for name, value in changes.items()}
        if any(value > here.settings[name] for name, value in raised.items()):
            programme = here.with_settings(what, raised)
            found.setdefault(tuple(programme.settings.values()), (what, programme))

    bundles = []
    for countermeasure, names in countermeasures().items():
        for name in names:
            for value in _levels(name, far):
                add(f"{name} to {value:,.4g}", {name: value})
        for place, level in enumerate(game_settings()["levels"]):
            bundle = {name: levels[place] for name in names if (levels := _levels(name, far))}
            add(f"all of {countermeasure} to {level:.0%} of its usual most", bundle)
            bundles.append((countermeasure, place, bundle))
    for at, (one, place, bundle) in enumerate(bundles if pairs else []):
        for other, same, more in bundles[at + 1 :]:
            if one != other and place == same:
                level = game_settings()["levels"][place]
                add(f"all of {one} and of {other} to {level:.0%} of their usual most", {**bundle, **more})
    return list(found.values())


def _pruned(
    cases: Cases, top: Rung, start: Programme, far: Programme, bound: float, p: Mapping[str, Array], objective: str
) -> Rung:
    """The same without what is not needed: while the bound holds, the lowering that saves most for what it gives away."""
    here = Rung(top.programme, PRUNED, top.cost_usd_per_year, top.success)
    while tried := _lowered(here.programme, start, far):
        cost = running_cost(tried, p)
        success = respond(cases, tried, p, objective).success
        lost = np.log(np.maximum(success, LEAST_SUCCESS) / max(here.success, LEAST_SUCCESS))
        saving = here.cost_usd_per_year - cost
        worth = np.where(
            (success <= bound) & (saving > 0.0), saving / (np.maximum(lost, 0.0) + game_settings()["least_gain"]), 0.0
        )
        best = int(np.argmax(worth))
        if worth[best] <= 0.0:
            break
        here = Rung(tried[best], PRUNED, float(cost[best]), float(success[best]))
    return here


def _lowered(here: Programme, start: Programme, far: Programme) -> list[Programme]:
    """Every programme a step below: one setting at a lower level, or all of one countermeasure where they stand unsaid."""
    found = []
    for name, value in here.settings.items():
        lower = [one for one in (start.settings[name], *_levels(name, far)) if one < value]
        found += [here.with_settings(name, {name: one}) for one in lower]
    for countermeasure, names in countermeasures().items():
        unsaid = {name: start.settings[name] for name in names}
        if sum(here.settings[name] > value for name, value in unsaid.items()) > 1:
            found.append(here.with_settings(countermeasure, unsaid))
    return found


def _descended(
    cases: Cases, start: Programme, far: Programme, p: Mapping[str, Array], objective: str, bound: float
) -> Rung:
    """The other way to a cheap programme: from the far end down, for as long as the bound holds."""
    top = _rung(cases, far, FAR_END, p, objective)
    return _pruned(cases, top, start, far, bound, p, objective) if top.success <= bound else top
