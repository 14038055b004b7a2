"""Would it be noticed? The cheapest plans of an answer under a programme of countermeasures, in every draw that reaches the
goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from thresher.assessment.uncertainty import GoalUncertainty
from thresher.countermeasures.actors import Actor
from thresher.countermeasures.detection import chance_undetected
from thresher.countermeasures.hiding import Hiding, case_columns, ways_to_hide
from thresher.countermeasures.pool import settings
from thresher.countermeasures.programmes import Programme
from thresher.countermeasures.timeline import Timeline, timeline
from thresher.evasion.footprint import Footprint

LEAST_DRAWS = 10
"""Below so many draws that reach the goal, nothing is said of detection."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who might try, what the state does, and draws of everything about detection."""

    actor: Actor
    programme: Programme
    parameters: Mapping[str, np.ndarray]


def detection_of(found: GoalUncertainty, watch: Watch) -> Timeline | None:
    """The timeline of detection of the cheapest plan of every draw, hidden in the one way that does best over all of them.

    The adversary knows the programme; its plan is chosen for cost alone. None where too few draws reach the goal, or the actor
    cannot come by so many chips in any way.
    """
    met = np.flatnonzero(np.isfinite(found.line_chips) | np.isinf(found.line_chips))
    if len(met) < LEAST_DRAWS:
        return None
    p = {name: np.asarray(value)[met] for name, value in watch.parameters.items()}
    footprints = Footprint(*(getattr(found.footprints, item.name)[met][None] for item in fields(Footprint)))
    ways = _open_ways(watch.actor, float(np.median(footprints.chips)))
    if not ways:
        return None
    plan = np.zeros(len(ways), dtype=int)
    columns = case_columns(footprints, found.line_chips[met][None], plan, ways, watch.actor, p)
    unseen = chance_undetected(columns, [watch.programme], p).mean(axis=(1, 2))
    best = int(np.argmax(unseen))
    one = {name: value[best : best + 1] for name, value in columns.items()}
    return timeline(one, ways[best], watch.programme, p)


def _open_ways(actor: Actor, chips: float) -> list[Hiding]:
    return [way for way in ways_to_hide(actor, settings()["lots"]) if actor.routes[way.route] >= chips]
