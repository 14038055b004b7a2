"""The list of leads as the page shows it: which are shown, a row for each, the figures above, and the chart."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from thresher.assessment.formats import many
from thresher.lab.charts import Chart, Row
from thresher.lab.leads.asked import ANY, DECIDED, PATH, READINGS, UNDECIDED, Filters, Question
from thresher.lab.opening import Number, SourceLine, cited
from thresher.lab.pages import address
from thresher.result import Explanation
from thresher.screening.dossiers.exports import WORDS
from thresher.screening.dossiers.text import percent, short, signed, visible
from thresher.screening.leads import Lead
from thresher.screening.review import LeadForReview, ScreenedForReview
from thresher.sources import load_quantities

MOST_LETTERS = 90
"""Letters of a name in the list; the dossier has all of them."""
LETTERS_ON_AXIS = 30
MAIN_REASONS = 3
THREE = (("as_it_reads", "As it reads"), ("networked", "Networked"), ("together", "As one cluster"))
"""The readings of a rule, in the order of how much they add up, with their headings."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list; every text is visible, and none is marked up."""

    rank: int
    href: str
    name: str
    owner: str
    countries: str
    probability: Number
    readings: tuple[tuple[str, str], ...]
    times: str
    reasons: tuple[str, ...]
    decision: str
    decided_by: str


def said(text: str | None, most: int = MOST_LETTERS) -> str:
    """A text of the records as a page may show it: nothing invisible in it, and not longer than a cell can be."""
    return visible(short(text, most))


def shown(screened: ScreenedForReview, filters: Filters) -> list[LeadForReview]:
    """The leads that pass the filters, in their order."""
    return [one for one in screened.leads if _passes(one, filters)]


def _passes(one: LeadForReview, filters: Filters) -> bool:
    readings = one.lead.readings
    return (
        one.lead.probability >= filters.least
        and (filters.together == ANY or readings.together is READINGS[filters.together])
        and (not filters.only_together or (readings.together is True and readings.as_it_reads is False))
        and _decided_as(one, filters.decision)
        and (not filters.country or filters.country in countries_of(one))
        and (not filters.text or any(_plain(filters.text) in _plain(text) for text in _texts(one)))
    )


def _decided_as(one: LeadForReview, wanted: str) -> bool:
    decision = None if one.decision is None else one.decision.decision
    match wanted:
        case "":
            return True
        case str() if wanted == UNDECIDED:
            return decision is None
        case str() if wanted == DECIDED:
            return decision is not None
        case _:
            return decision == wanted


def _plain(text: str) -> str:
    """A text as searches compare it: capitals, accents and widths of letters make no difference."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one))


def _texts(one: LeadForReview) -> Iterable[str]:
    lead = one.lead
    yield from (text for text in (lead.owner, lead.name, *lead.entities, *lead.names.values()) if text)
    yield from (holding["site"] for holding in lead.holdings if holding["site"])


def countries_of(one: LeadForReview) -> list[str]:
    """The countries that the register has for an owner and its companies, in order."""
    found = set()
    for entity in one.dossier.entities:
        group = one.dossier.groups.get(("party", entity))
        rows = () if group is None else group.cited.rows
        found |= {one.dossier.rows[row].cells.get("country") for row in rows if row in one.dossier.rows}
    return sorted(country for country in found if country)


def href_of(rank: int, query: Sequence[tuple[str, Any]]) -> str:
    """The address of a lead's dossier, with the page's state."""
    return address(f"{PATH}/{rank}", query)


def listed(leads: Sequence[LeadForReview], question: Question) -> list[Listed]:
    """A row for each lead."""
    return [_row(one, question) for one in leads]


def _row(one: LeadForReview, question: Question) -> Listed:
    lead, decision = one.lead, one.decision
    held = max(lead.readings.shares.values(), default=0.0)
    return Listed(
        rank=lead.rank,
        href=href_of(lead.rank, question.form.query),
        name=said(lead.name or lead.owner),
        owner=said(lead.owner),
        countries=", ".join(said(country) for country in countries_of(one)),
        probability=Number(
            f"lead-{lead.rank}", percent(lead.probability), sum_behind(lead, question.prior_share), (_cited_prior(),)
        ),
        readings=tuple((label, WORDS[getattr(lead.readings, name)]) for name, label in THREE),
        times=f"{held:.2g}",
        reasons=tuple(
            f"{reason.title} ({signed(reason.log10_likelihood_ratio)})"
            for reason in lead.reasons[:MAIN_REASONS]
            if reason.log10_likelihood_ratio > 0.0
        ),
        decision="" if decision is None else visible(decision.decision or ""),
        decided_by="" if decision is None else f"{said(decision.reviewer, 40)}, {decision.at:%Y-%m-%d}",
    )


@cache
def _cited_prior() -> SourceLine:
    """The prior that ships, and where all of it is said."""
    return cited(
        load_quantities("thresher.screening", "leads.yaml")["prior_share_of_hiders"], "screening/data/leads.yaml"
    )


def sum_behind(lead: Lead, prior_share: float) -> Explanation:
    """Where a lead's probability comes from: the prior, and the weight of each finding that was looked for."""
    unit = "log10 odds"
    prior = Explanation(
        "prior",
        lead.prior_log10_odds,
        unit,
        f"{percent(prior_share)} of the owners, before any finding: log10 of p / (1 - p)",
    )
    weighed = tuple(
        Explanation(
            visible(one.title),
            one.log10_likelihood_ratio,
            unit,
            said(one.detail) if one.level else "looked for, and not found",
        )
        for one in lead.reasons
        if one.level is not None
    )
    how = "the sum; weights from screening/data/weights.csv, fitted on synthetic records"
    total = Explanation("odds", lead.log10_odds, unit, how, (prior, *weighed))
    return Explanation("probability", lead.probability, "share", "10^x / (1 + 10^x) of the log10 odds x", (total,))


def odds_chart(leads: Sequence[LeadForReview], question: Question) -> Chart | None:
    """From the prior to what the findings make of it, for each lead; None where none is shown."""
    if not leads:
        return None
    rows: list[Row] = [
        {
            "rank": one.lead.rank,
            "lead": f"{one.lead.rank} · {said(one.lead.name or one.lead.owner, LETTERS_ON_AXIS)}",
            "owner": said(one.lead.owner),
            "probability": one.lead.probability,
            "words": percent(one.lead.probability),
            "brief": percent(one.lead.probability).replace("over ", "> ").replace("under ", "< "),
            "prior_log10_odds": one.lead.prior_log10_odds,
            "log10_odds": one.lead.log10_odds,
            "findings": "raise it" if one.lead.log10_odds >= one.lead.prior_log10_odds else "lower it",
            "decision": "none yet" if one.decision is None else visible(one.decision.decision or ""),
            "href": href_of(one.lead.rank, question.form.query),
        }
        for one in leads
    ]
    return Chart(
        "leads-odds",
        "How far the findings move each lead",
        f"From the prior ({percent(question.prior_share)}) to the probability that it hides a covered cluster, on a scale of"
        " odds: a step to the right is ten times the odds. A click leads to the dossier.",
        rows,
    )


def count_words(shown_leads: Sequence[LeadForReview], screened: ScreenedForReview) -> str:
    """How many of the leads are shown, of how many owners; filters look at the leads that are listed alone."""
    owners, listed_leads = screened.result.outcomes["summary"]["owners_considered"], len(screened.leads)
    most = "" if listed_leads == owners else f", the likeliest of {many(owners, 'owner')} considered"
    if len(shown_leads) == listed_leads:
        return f"{many(listed_leads, 'lead')}{most or ', the likeliest first'}."
    return f"{len(shown_leads)} of {many(listed_leads, 'lead')}{most} are shown; ranks are those of the whole list."


def figures(screened: ScreenedForReview) -> list[tuple[str, str, str]]:
    """The figures above the list: what, how much, and of what."""
    summary: Mapping[str, Any] = screened.result.outcomes["summary"]
    owners = summary["owners_considered"]
    cards = [("Owners considered", f"{owners:,}", "those with chips enough to matter to the rule")]
    for name, label in THREE:
        count = Counter(summary["readings"][name])
        unknown = count["unknown"]
        cards.append(
            (
                f"Covered, {label[0].lower()}{label[1:]}",
                f"{count['covered']:,}",
                f"and {unknown:,} of which it cannot be said",
            )
        )
    cards.append(
        ("Covered only as one cluster", f"{summary['covered_only_together']:,}", "not covered as the rule reads")
    )
    return cards
