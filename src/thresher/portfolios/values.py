"""What each countermeasure is worth: alone, last added, on average over every order (Shapley), and each setting for its
dollar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.game import Cases, respond
from thresher.countermeasures.programmes import Programme, countermeasures, settings
from thresher.countermeasures.texts import THRESHOLDS
from thresher.portfolios.search import running_cost

COMMON = "investigations"
"""Not a countermeasure to weigh: the capacity that all share."""
STEP = 0.1
"""How far a setting is raised for its worth a dollar, as a share of its usual most."""
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Worth:
    """A countermeasure's part in keeping the adversary from success, as a fall in the chance of it: with nothing else, after
    all others, and on average over all orders in which they could be added. ``turns_to`` is the route that the adversary
    takes against it alone."""

    countermeasure: str
    alone: float
    last: float
    shapley: float
    turns_to: str
    rank: int


@dataclass(frozen=True, slots=True)
class PerDollar:
    """A setting raised by a tenth of its usual most: the fall in the chance of success, the cost a year, and the fall for a
    million dollars a year; the adversary replies anew."""

    setting: str
    fall: float
    cost_usd_per_year: float
    fall_per_million: float


def players(programme: Programme, *, with_thresholds: bool) -> list[str]:
    """The countermeasures that a programme has at all, and the thresholds where the rule has some."""
    used = [
        name
        for name, own in countermeasures().items()
        if name != COMMON and any(programme.settings[one] != settings()[one].default for one in own)
    ]
    return ([THRESHOLDS] if with_thresholds else []) + used


def worth_of_each(
    bounded: Cases | None, free: Cases | None, programme: Programme, p: Mapping[str, Array], objective: str
) -> tuple[Worth, ...]:
    """Shapley values of the countermeasures of a programme, by all of its subsets; success is what the adversary's best reply
    has.

    Parameters
    ----------
    bounded, free
        The adversary's cases under the rule's thresholds and without them; None where there are none. ``free`` may be left out
        where the rule has no thresholds.
    programme
        Everything that is weighed, at its levels.
    """
    parts = players(programme, with_thresholds=free is not None)
    tracked = [name for name in parts if name != THRESHOLDS]
    subsets = [frozenset(some) for size in range(len(tracked) + 1) for some in combinations(tracked, size)]
    programmes = [programme.only(some) for some in subsets]
    value: dict[frozenset[str], float] = {}
    route: dict[frozenset[str], str] = {}
    for cases, with_lines in ((bounded, True), (free, False)) if free is not None else ((bounded, False),):
        keys = [some | {THRESHOLDS} if with_lines else some for some in subsets]
        if cases is None:
            value |= dict.fromkeys(keys, 0.0)
            continue
        reply = respond(cases, programmes, p, objective)
        for key, success, case in zip(keys, reply.success, reply.case, strict=True):
            value[key], route[key] = float(success), cases.ways[int(case)].route
    everyone = frozenset(parts)
    found = []
    for name in parts:
        alone = frozenset({name})
        first, last = value[frozenset()] - value[alone], value[everyone - alone] - value[everyone]
        found.append((name, first, last, _shapley(name, parts, value), route.get(alone, "")))
    order = sorted(range(len(found)), key=lambda at: -found[at][3])
    ranks = {at: place + 1 for place, at in enumerate(order)}
    return tuple(Worth(*row, ranks[at]) for at, row in enumerate(found))


def _shapley(name: str, parts: Sequence[str], value: Mapping[frozenset[str], float]) -> float:
    others = [one for one in parts if one != name]
    total = 0.0
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(parts))
        for some in combinations(others, size):
            without = frozenset(some)
            total += weight * (value[without] - value[without | {name}])
    return total


def worth_per_dollar(
    cases: Cases, programme: Programme, far: Programme, p: Mapping[str, Array], objective: str
) -> tuple[PerDollar, ...]:
    """Every setting raised by a tenth of its usual most (lowered, where it would pass it), the adversary replying anew; the
    best first.

    ``far`` has the usual most of every setting, the rule's own cap on inspections kept.
    """
    moved = []
    for name, value in programme.settings.items():
        step = STEP * far.settings[name]
        up = value + step <= far.settings[name]
        other = value + step if up else max(value - step, 0.0)
        if other != value:
            moved.append((name, 1.0 if up else -1.0, programme.with_settings(name, {name: other})))
    programmes = [programme, *(one for _, _, one in moved)]
    success = respond(cases, programmes, p, objective).success
    cost = running_cost(programmes, p)
    found = []
    for at, (name, sign, _) in enumerate(moved, start=1):
        fall, spent = sign * float(success[0] - success[at]), sign * float(cost[at] - cost[0])
        rate = fall / (spent / MILLION) if spent > 0.0 else np.inf if fall > 0.0 else 0.0
        found.append(PerDollar(name, fall, spent, rate))
    return tuple(sorted(found, key=lambda one: -one.fall_per_million))
