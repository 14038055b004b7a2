"""The game: the adversary picks a plan and a way to hide that do best against a programme it knows, before it knows the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.actors import Actor
from thresher.countermeasures.detection import chance_undetected
from thresher.countermeasures.hiding import Hiding, case_columns, ways_to_hide
from thresher.countermeasures.pool import Pool, settings
from thresher.countermeasures.programmes import Programme
from thresher.errors import InputError

OBJECTIVES = ("finish", "expected", "within-risk")
"""What the adversary maximises: the chance to reach the target undetected; the expected quality-adjusted FLOP of it; or minus the
dollars of a plan whose chance of being detected is within what the actor tolerates."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Every plan of a pool with every way to hide that an actor can afford: columns, and whether it succeeds if undetected.

    ``able`` of shape (cases, draws): the plan reaches the target there, within the budget.
    """

    pool: Pool
    actor: Actor
    plan: np.ndarray
    ways: tuple[Hiding, ...]
    columns: Mapping[str, np.ndarray]
    able: np.ndarray

    def __len__(self) -> int:
        return len(self.ways)

    def take(self, rows: np.ndarray) -> Cases:
        """Some of the cases."""
        return Cases(
            self.pool, self.actor, self.plan[rows], tuple(self.ways[at] for at in rows),
            {name: values[rows] for name, values in self.columns.items()}, self.able[rows],
        )  # fmt: skip

    def describe(self, at: int) -> str:
        """One case in a line."""
        return self.pool.describe(int(self.plan[at]))


def cases_of(pool: Pool | None, target: float, actor: Actor, p: Mapping[str, Array]) -> Cases | None:
    """The cases an actor has: plans within its people, its chips by each route and, in some draw, its budget; None if there
    are none."""
    if pool is None:
        return None
    ways = ways_to_hide(actor, settings()["lots"])
    plan, way = (index.ravel() for index in np.indices((len(pool), len(ways))))
    chips = pool.footprint.chips[:, 0][plan]
    enough = chips <= np.asarray([actor.routes[one.route] for one in ways])[way]
    staffed = np.median(pool.footprint.people, axis=1)[plan] <= actor.most_people
    plan, way = plan[enough & staffed], way[enough & staffed]
    if not len(plan):
        return None
    chosen = tuple(ways[at] for at in way)
    columns = case_columns(pool.footprint, pool.line_chips, plan, chosen, actor, p)
    able = (pool.flop_quality[plan] >= target) & (columns["total_usd"][:, 0] <= actor.budget_usd)
    kept = np.flatnonzero(able.any(axis=1))
    return Cases(pool, actor, plan, chosen, columns, able).take(kept) if len(kept) else None


@dataclass(frozen=True, slots=True)
class Responses:
    """The adversary's best response to each of some programmes: its case, and the chances that it has.

    ``success`` is the chance to reach the target undetected, ``undetected`` to be undetected at the end of training,
    ``reaches`` to reach the target if undetected, all over the draws. ``deterred``: even its least risk is more than it
    takes.
    """

    case: np.ndarray
    success: np.ndarray
    undetected: np.ndarray
    reaches: np.ndarray
    expected_flop: np.ndarray
    deterred: np.ndarray


def respond(
    cases: Cases,
    programmes: Sequence[Programme],
    p: Mapping[str, Array],
    objective: str = "finish",
    triage: str = "by_yield",
) -> Responses:
    """The best response to every programme, over all cases and draws at once.

    Raises
    ------
    InputError
        An unknown objective.
    """
    if objective not in OBJECTIVES:
        raise InputError("objective", f"one of {', '.join(OBJECTIVES)}", objective)
    unseen = chance_undetected(cases.columns, programmes, p, triage=triage)
    succeeds = np.mean(unseen * cases.able[:, None, :], axis=2)
    flop = np.mean(unseen * (cases.able * cases.pool.flop_quality[cases.plan])[:, None, :], axis=2)
    risk = 1.0 - np.mean(unseen, axis=2)
    if objective == "finish":
        score = succeeds
    elif objective == "expected":
        score = flop
    else:
        dollars = np.median(cases.columns["total_usd"][:, 0], axis=1)[:, None]
        able = np.mean(cases.able, axis=1)[:, None]
        score = np.where((risk <= cases.actor.risk_tolerance) & (able >= 0.5), -dollars, -1e30 * (1.0 + risk))  # noqa: PLR2004
    case = np.argmax(score, axis=0)
    at = np.arange(len(programmes))
    return Responses(
        case, succeeds[case, at], 1.0 - risk[case, at], np.mean(cases.able, axis=1)[case], flop[case, at],
        risk.min(axis=0) > cases.actor.risk_tolerance,
    )  # fmt: skip


def worth_considering(cases: Cases, programmes: Sequence[Programme], p: Mapping[str, Array], draws: int) -> Cases:
    """The cases that are among the best against some of the programmes, in a few draws: enough for a search over many more."""
    some = np.unique(np.linspace(0, cases.able.shape[1] - 1, draws).astype(int))
    fewer = {name: value if np.ndim(value) == 0 else np.asarray(value)[some] for name, value in p.items()}
    columns = {name: value[..., some] if value.shape[2] > 1 else value for name, value in cases.columns.items()}
    unseen = chance_undetected(columns, programmes, fewer)
    succeeds = np.mean(unseen * cases.able[:, None, some], axis=2)
    best = np.argsort(-succeeds, axis=0, kind="stable")[: settings()["keep_best"]]
    return cases.take(np.unique(best))


def one_case(cases: Cases, at: int) -> dict[str, np.ndarray]:
    """The columns of a single case, as `detection.hazards` takes them."""
    return {name: values[at : at + 1] for name, values in cases.columns.items()}
