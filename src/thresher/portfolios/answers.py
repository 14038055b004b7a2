"""What `programmes` answers: for each actor every programme's best reply, the cheapest that holds the bound, and what each
part is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thresher.countermeasures.actors import Actor
from thresher.countermeasures.hiding import Hiding
from thresher.countermeasures.programmes import Programme
from thresher.countermeasures.timeline import Timeline
from thresher.portfolios.search import Rung
from thresher.portfolios.values import PerDollar, Worth
from thresher.regime import Regime
from thresher.result import Result


@dataclass(frozen=True, slots=True)
class Reply:
    """The adversary's best reply to one programme: the plan, how it hides, its chances, and its timeline of detection.

    ``success`` is the chance to reach the target undetected; ``as_they_come`` the same where leads are followed as they come;
    ``deterred`` whether even the least risky reply is riskier than the actor accepts.
    """

    programme: Programme
    plan: str
    way: Hiding
    success: float
    undetected: float
    reaches: float
    expected_flop: float
    flop_done: float
    deterred: bool
    as_they_come: float
    cost_usd_per_year: float
    burden_usd_per_year: float
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class ActorAnswer:
    """One actor: its reply to each programme, the way up to the bound, and what each countermeasure and setting is worth.

    No replies where it can afford no plan that reaches the target. ``cheapest`` is None where no programme tried holds the bound;
    ``within_budget`` None where no budget was given.
    """

    actor: Actor
    replies: tuple[Reply, ...]
    rungs: tuple[Rung, ...]
    cheapest: Rung | None
    within_budget: Rung | None
    worth: tuple[Worth, ...]
    per_dollar: tuple[PerDollar, ...]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Everything that `programmes` says, ready for the terminal, the report and the result file."""

    regime: Regime
    target: float
    bound: float
    budget_usd_per_year: float | None
    objective: str
    weighed: Programme
    answers: tuple[ActorAnswer, ...]
    inputs: Mapping[str, Any]

    def as_result(self) -> Result:
        """The result file's content."""
        return Result(
            "programmes",
            {
                "regime": self.regime.name,
                "target_flop_quality": self.target,
                "bound": self.bound,
                "budget_usd_per_year": self.budget_usd_per_year,
                "objective": self.objective,
                "weighed": self.weighed.name,
                **self.inputs,
            },
            {"actors": self.answers},
        )
