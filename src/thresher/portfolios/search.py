"""The state's side of the game: from no programme up to one that holds every reply of the adversary below a bound, at least
cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.channels import false_leads
from thresher.countermeasures.game import Cases, respond
from thresher.countermeasures.pool import settings as game_settings
from thresher.countermeasures.programmes import Programme, cost_usd_per_year, countermeasures, settings


@dataclass(frozen=True, slots=True)
class Rung:
    """A programme on the way up: what was raised last, its cost a year (settings and false leads followed), and the chance of
    success."""

    programme: Programme
    raised: str
    cost_usd_per_year: float
    success: float


def running_cost(programmes: Sequence[Programme], p: Mapping[str, Array]) -> np.ndarray:
    """What programmes cost the state a year: settings, and following false leads; means over the draws, of shape
    (programmes,)."""
    s: dict[str, Any] = {name: np.asarray([one.settings[name] for one in programmes])[:, None] for name in settings()}
    leads = sum(false_leads(s, p).values())
    followed = np.minimum(leads, s["investigations"]) * p["investigations_false_usd"]
    return np.asarray(np.mean(cost_usd_per_year(s, p) + followed, axis=1))


def climb(
    cases: Cases, start: Programme, far: Programme, bound: float, p: Mapping[str, Array], objective: str
) -> list[Rung]:
    """Raise the programme step by step, each time by what lowers the logarithm of success most for its cost, until it is
    within the bound.

    A step raises one setting, or all of one countermeasure, or of two, to a level between where they stand unsaid and the far
    end; several settings together, since a register that no one checks is worth nothing. At the end what is no longer needed
    is taken back. A greedy search: no proof that nothing cheaper exists.
    """
    rungs = [_rung(cases, start, "", p, objective)]
    while rungs[-1].success > bound and len(rungs) <= game_settings()["most_steps"]:
        step = _best_step(cases, rungs[-1], far, bound, p, objective, pairs=len(rungs) == 1)
        step = step or _best_step(cases, rungs[-1], far, bound, p, objective, pairs=True)
        if step is None:
            break
        rungs.append(step)
    if len(rungs) > 1 and rungs[-1].success <= bound:
        rungs.append(_pruned(cases, rungs[-1], start, far, bound, p, objective))
    return rungs


def _best_step(
    cases: Cases, here: Rung, far: Programme, bound: float, p: Mapping[str, Array], objective: str, *, pairs: bool
) -> Rung | None:
    """The step that lowers the logarithm of success most for its cost; beyond half the bound nothing more is gained."""
    tried = _raised(here.programme, far, pairs=pairs)
    if not tried:
        return None
    programmes = [programme for _, programme in tried]
    success = respond(cases, programmes, p, objective).success
    cost = running_cost(programmes, p)
    gain = np.log(here.success / np.maximum(success, 0.5 * min(bound, here.success)))
    worth = np.where(gain > game_settings()["least_gain"], gain / np.maximum(cost - here.cost_usd_per_year, 1.0), 0.0)
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
    """The same without what is not needed: the lowering that saves most, while the bound holds."""
    here = top
    while True:
        tried = []
        for name, value in here.programme.settings.items():
            lower = [one for one in (start.settings[name], *_levels(name, far)) if one < value]
            tried += [here.programme.with_settings(name, {name: one}) for one in lower]
        if not tried:
            return here
        cost = running_cost(tried, p)
        success = respond(cases, tried, p, objective).success
        saving = np.where((success <= bound) & (cost < here.cost_usd_per_year), here.cost_usd_per_year - cost, 0.0)
        best = int(np.argmax(saving))
        if saving[best] <= 0.0:
            return Rung(here.programme, "pruned", here.cost_usd_per_year, here.success)
        here = Rung(tried[best], "pruned", float(cost[best]), float(success[best]))


def within(rungs: Sequence[Rung], budget_usd_per_year: float) -> Rung:
    """The rung with the least success that a budget pays for."""
    affordable = [rung for rung in rungs if rung.cost_usd_per_year <= budget_usd_per_year] or [rungs[0]]
    return min(affordable, key=lambda rung: rung.success)
