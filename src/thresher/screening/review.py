"""A screening for a reviewer's page: everything that its pages show as plain data, with the store closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from thresher.errors import InputError
from thresher.records.decisions import LeadDecision
from thresher.regime import Regime
from thresher.result import Result
from thresher.screening.dossiers.drawn import events_of, ownership_of, sites_of, sum_of
from thresher.screening.dossiers.fragment import dossier_fragment
from thresher.screening.dossiers.page import Dossier, dossiers_of
from thresher.screening.leads import Lead
from thresher.screening.leads import with_prior as lead_with_prior
from thresher.screening.resolution.doubts import doubtful_pairs
from thresher.screening.screen import DEFAULT_REGIME, LOOK_BACK_DAYS, as_result, screening

TOP = 50
MOST_PAIRS = 50


@dataclass(frozen=True, slots=True)
class LeadForReview:
    """A lead with its dossier, what was decided about it, and what its charts show (`thresher.screening.dossiers.drawn`)."""

    lead: Lead
    decision: LeadDecision | None
    dossier: Dossier
    sites: list[dict[str, Any]]
    events: list[dict[str, Any]]
    ownership: dict[str, list[dict[str, Any]]]
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ScreenedForReview:
    """A screening of a store that nobody holds open any more.

    ``result`` is what `thresher.screen` gives; ``leads`` are its leads in order, the first of rank 1; ``pairs`` are the most
    doubtful pairs of mentions (`thresher.screening.resolution.doubts.doubtful_pairs`).
    """

    store: str
    regime: Regime
    as_of: date
    look_back_days: int
    prior_share: float
    result: Result
    leads: tuple[LeadForReview, ...]
    pairs: list[dict[str, Any]]

    def lead(self, rank: int) -> LeadForReview:
        """The lead of a rank.

        Raises
        ------
        InputError
            There is none of this rank.
        """
        if not 1 <= rank <= len(self.leads):
            raise InputError(
                "lead", f"a number from 1 to {len(self.leads)}" if self.leads else "no number: no lead", rank
            )
        return self.leads[rank - 1]

    def fragment(self, rank: int, *, list_href: str) -> str:
        """The dossier of the lead of a rank for another page: `thresher.screening.dossiers.fragment.dossier_fragment`."""
        return dossier_fragment(self.lead(rank).dossier, self, len(self.leads), list_href=list_href)


def screen_for_review(
    store: str | Path,
    *,
    regime: str | Path | Regime = DEFAULT_REGIME,
    as_of: date | None = None,
    look_back_days: int = LOOK_BACK_DAYS,
    prior_share: float | None = None,
    top: int = TOP,
    pairs: int = MOST_PAIRS,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> ScreenedForReview:
    """Screen a store once for a reviewer's page.

    Parameters
    ----------
    store
        A store made by `thresher.import_records`; it is only read, and closed when this returns or fails, so that a decision
        can be written to it.
    regime, as_of, look_back_days, prior_share, seed
        As for `thresher.screen`.
    top
        How many leads are given, each with its dossier.
    pairs
        How many doubtful pairs are given.
    progress
        Told each step before it begins; what it raises ends the screening.

    Raises
    ------
    InputError
        What is wrong with the store or a choice, and what would be right.
    """
    choices: dict[str, Any] = {"regime": regime, "as_of": as_of, "prior_share": prior_share, "top": top, "seed": seed}
    with screening(store, **choices, look_back_days=look_back_days, progress=progress) as (engine, found):
        leads = found.leads[:top]
        progress("dossiers: the rows behind the leads")
        dossiers = dossiers_of(engine, leads, found.as_of)
        doubtful = doubtful_pairs(engine, pairs)
        progress("charts: what the pages draw")
        return ScreenedForReview(
            str(store),
            found.regime,
            found.as_of,
            found.look_back_days,
            found.prior_share,
            as_result(str(store), found, top),
            tuple(_for_review(one, found.decisions.get(one.lead.owner)) for one in dossiers),
            doubtful,
        )


def _for_review(dossier: Dossier, decision: LeadDecision | None) -> LeadForReview:
    return LeadForReview(
        dossier.lead, decision, dossier, sites_of(dossier), events_of(dossier), ownership_of(dossier), sum_of(dossier)
    )


def with_decisions(screened: ScreenedForReview, decisions: Iterable[LeadDecision]) -> ScreenedForReview:
    """The same screening with the decisions that stand now (`thresher.records.decisions.decisions_of`), in the result too."""
    by_owner = {one.owner: one for one in decisions if one.regime == screened.regime.name}
    leads = tuple(replace(one, decision=by_owner.get(one.lead.owner)) for one in screened.leads)
    told = [
        data | {"decision": one.decision and one.decision.as_json()}
        for data, one in zip(screened.result.outcomes["leads"], leads, strict=True)
    ]
    result = replace(screened.result, outcomes={**screened.result.outcomes, "leads": told})
    return replace(screened, result=result, leads=leads)


def with_prior(screened: ScreenedForReview, prior_share: float) -> ScreenedForReview:
    """The same screening given another prior share of hiders: what `screen_for_review` gives for it, without screening again.

    Raises
    ------
    InputError
        It is no share between 0 and 1.
    """
    if not 0.0 < prior_share < 1.0:
        raise InputError("prior", "a share between 0 and 1", prior_share)
    leads = tuple(_given_prior(one, prior_share) for one in screened.leads)
    told = [_moved_by_prior(data, one.lead) for data, one in zip(screened.result.outcomes["leads"], leads, strict=True)]
    result = replace(
        screened.result,
        inputs={**screened.result.inputs, "prior_share": prior_share},
        outcomes={**screened.result.outcomes, "leads": told},
    )
    return replace(screened, prior_share=prior_share, result=result, leads=leads)


def _given_prior(one: LeadForReview, prior_share: float) -> LeadForReview:
    lead = lead_with_prior(one.lead, prior_share)
    dossier = replace(one.dossier, lead=lead)
    return replace(one, lead=lead, dossier=dossier, reasons=sum_of(dossier))


def _moved_by_prior(data: dict[str, Any], lead: Lead) -> dict[str, Any]:
    """A lead's plain data with what a prior changes."""
    moved = {name: getattr(lead, name) for name in ("probability", "prior_log10_odds", "log10_odds", "next_records")}
    reasons = (told | {"worth": one.worth} for told, one in zip(data["reasons"], lead.reasons, strict=True))
    return data | moved | {"reasons": tuple(reasons)}
