"""Would it be noticed? The cheapest plans of an answer under a programme of countermeasures, in every draw that reaches the
goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from thresher.assessment.uncertainty import GoalUncertainty
from thresher.countermeasures.actors import Actor
from thresher.countermeasures.detection import chance_undetected
from thresher.countermeasures.game import within_means
from thresher.countermeasures.hiding import Hiding, case_columns, ways_to_hide
from thresher.countermeasures.pool import settings
from thresher.countermeasures.programmes import Programme
from thresher.countermeasures.timeline import Timeline, timeline
from thresher.evasion.footprint import Footprint

SERVED = 0.95
"""A way to hide is open if it serves at least this share of the draws that the best-served way does."""
LEAST_DRAWS = 10
"""Below so many draws that reach the goal, nothing is said of detection."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who might try, what the state does, and draws of everything about detection."""

    actor: Actor
    programme: Programme
    parameters: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Noticed:
    """The timeline of the cheapest plans that the actor has the means for, and the share of the draws reaching the goal that
    those are.

    No timeline where there are too few.
    """

    timeline: Timeline | None
    within_means: float


def detection_of(found: GoalUncertainty, watch: Watch) -> Noticed:
    """The timeline of detection of the cheapest plan of every draw, hidden in the one way that does best over all of them.

    The adversary knows the programme; its plan is chosen for cost alone. Draws whose plan is beyond the actor's chips,
    dollars or people are left out, and so are ways to hide that its chips do not reach in most of the others.
    """
    met = np.flatnonzero(~np.isnan(found.line_chips))
    ways = ways_to_hide(watch.actor, settings()["lots"])
    if not len(met) or not ways:
        return Noticed(None, 0.0)
    columns, p = _cases(found, met, ways, watch)
    chips = columns["chips"][0, 0]
    most = np.asarray([watch.actor.routes[way.route] for way in ways])
    able = within_means(columns, watch.actor) & (chips <= most[:, None])
    kept = np.flatnonzero(able.any(axis=0))
    share = len(kept) / len(met)
    if len(kept) < LEAST_DRAWS:
        return Noticed(None, share)
    served = able[:, kept].mean(axis=1)
    ways = [way for way, often in zip(ways, served, strict=True) if often >= SERVED * served.max()]
    columns, p = _cases(found, met[kept], ways, watch)
    best = int(np.argmax(chance_undetected(columns, [watch.programme], p).mean(axis=(1, 2))))
    one = {name: value[best : best + 1] for name, value in columns.items()}
    return Noticed(timeline(one, ways[best], watch.programme, p), share)


def _cases(
    found: GoalUncertainty, draws: np.ndarray, ways: Sequence[Hiding], watch: Watch
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The best plan of each of some draws with every way to hide, and the parameters of those draws."""
    p = {name: np.asarray(value)[draws] for name, value in watch.parameters.items()}
    left = Footprint(*(getattr(found.footprints, item.name)[draws][None] for item in fields(Footprint)))
    plan = np.zeros(len(ways), dtype=int)
    return case_columns(left, found.line_chips[draws][None], plan, ways, watch.actor, p), p
