"""The game: the adversary picks a plan and a way to hide that do best against a programme it knows, before it knows the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


USUALLY = 0.5
"""A plan works if it reaches the target in at least this share of the draws."""
MOST_DOLLARS = 1e30


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

    def key(self, at: int) -> tuple[int, Hiding]:
        """What tells a case from every other of the same pool and actor."""
        return int(self.plan[at]), self.ways[at]

    def joined(self, more: Cases) -> Cases:
        """These and some others of the same pool and actor."""
        return Cases(
            self.pool, self.actor, np.concatenate([self.plan, more.plan]), (*self.ways, *more.ways),
            {name: np.concatenate([values, more.columns[name]]) for name, values in self.columns.items()},
            np.concatenate([self.able, more.able]),
        )  # fmt: skip

    def describe(self, at: int) -> str:
        """One case in a line."""
        return self.pool.describe(int(self.plan[at]))


def cases_of(pool: Pool | None, target: float, actor: Actor, p: Mapping[str, Array]) -> Cases | None:
    """The cases an actor has: plans within its chips by each route and, in some draw, its people and budget; None if there are
    none."""
    if pool is None:
        return None
    ways = ways_to_hide(actor, settings()["lots"])
    plan, way = (index.ravel() for index in np.indices((len(pool), len(ways))))
    chips = pool.footprint.chips[:, 0][plan]
    enough = chips <= np.asarray([actor.routes[one.route] for one in ways])[way]
    plan, way = plan[enough], way[enough]
    if not len(plan):
        return None
    chosen = tuple(ways[at] for at in way)
    columns = case_columns(pool.footprint, pool.line_chips, plan, chosen, actor, p)
    able = (pool.flop_quality[plan] >= target) & within_means(columns, actor)
    kept = np.flatnonzero(able.any(axis=1))
    return Cases(pool, actor, plan, chosen, columns, able).take(kept) if len(kept) else None


def within_means(columns: Mapping[str, np.ndarray], actor: Actor) -> np.ndarray:
    """Whether an actor has the dollars and the people for cases, in every draw: shape (cases, draws)."""
    return np.asarray((columns["total_usd"][:, 0] <= actor.budget_usd) & (columns["people"][:, 0] <= actor.most_people))


@dataclass(frozen=True, slots=True)
class Responses:
    """The adversary's best response to each of some programmes: its case, and the chances that it has.

    ``success`` is the chance to reach the target undetected, ``undetected`` to be undetected at the end of training,
    ``reaches`` to reach the target if undetected, all over the draws. ``deterred``: even the least
    risky of the plans that usually reach it is riskier than the actor accepts.
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
    unseen = chance_undetected(cases.columns, programmes, p, triage=triage)
    case = np.argmax(_score(cases, unseen, objective), axis=0)
    at = np.arange(len(programmes))
    succeeds, flop = _success(cases, unseen), _expected_flop(cases, unseen)
    risk = np.where(_able(cases)[:, None], 1.0 - unseen.mean(axis=2), 1.0)
    return Responses(
        case=case,
        success=succeeds[case, at],
        undetected=unseen.mean(axis=2)[case, at],
        reaches=np.mean(cases.able, axis=1)[case],
        expected_flop=flop[case, at],
        deterred=risk.min(axis=0) > cases.actor.risk_tolerance,
    )


def _score(cases: Cases, unseen: np.ndarray, objective: str) -> np.ndarray:
    """What the adversary maximises, of shape (cases, programmes)."""
    if objective not in OBJECTIVES:
        raise InputError("objective", f"one of {', '.join(OBJECTIVES)}", objective)
    if objective == "finish":
        return _success(cases, unseen)
    if objective == "expected":
        return _expected_flop(cases, unseen)
    # the cheapest that is safe enough; if none is, the safest that works; if none works, the likeliest to
    dollars = np.median(cases.columns["total_usd"][:, 0], axis=1)[:, None]
    risk, able = 1.0 - unseen.mean(axis=2), _able(cases)[:, None]
    works = np.where(risk <= cases.actor.risk_tolerance, -dollars, -MOST_DOLLARS * (1.0 + risk))
    found: np.ndarray = np.where(able, works, -MOST_DOLLARS * (3.0 - np.mean(cases.able, axis=1)[:, None]))
    return found


def _success(cases: Cases, unseen: np.ndarray) -> np.ndarray:
    return np.asarray(np.mean(unseen * cases.able[:, None, :], axis=2))


def _expected_flop(cases: Cases, unseen: np.ndarray) -> np.ndarray:
    reached = cases.able * cases.pool.flop_quality[cases.plan]
    return np.asarray(np.mean(unseen * reached[:, None, :], axis=2))


def _able(cases: Cases) -> np.ndarray:
    """Cases that reach the target within the budget in at least half of the draws, if any does."""
    share = np.mean(cases.able, axis=1)
    return np.asarray(share >= min(USUALLY, float(share.max())))


def worth_considering(
    cases: Cases, programmes: Sequence[Programme], p: Mapping[str, Array], draws: int, objective: str = "finish"
) -> Cases:
    """The cases that are among the best against some of the programmes, in a few draws: enough to search many more with, if
    what is found is checked against all."""
    some = np.unique(np.linspace(0, cases.able.shape[1] - 1, draws).astype(int))
    fewer = {name: np.asarray(value)[some] for name, value in p.items()}
    columns = {name: value[..., some] if value.shape[2] > 1 else value for name, value in cases.columns.items()}
    pool = replace(cases.pool, flop_quality=cases.pool.flop_quality[:, some])
    sampled = replace(cases, pool=pool, columns=columns, able=cases.able[:, some])
    score = _score(sampled, chance_undetected(columns, programmes, fewer), objective)
    best = np.argsort(-score, axis=0, kind="stable")[: settings()["keep_best"]]
    return cases.take(np.unique(best))


def one_case(cases: Cases, at: int) -> dict[str, np.ndarray]:
    """The columns of a single case, as `detection.hazards` takes them."""
    return {name: values[at : at + 1] for name, values in cases.columns.items()}
