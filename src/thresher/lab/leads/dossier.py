"""A lead's dossier as the page shows it: the fragment, its charts, its sites in words, and its neighbours in the list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from thresher.lab.charts import Chart, Row
from thresher.lab.leads.asked import Question
from thresher.lab.leads.listed import href_of
from thresher.screening.dossiers.text import percent, signed
from thresher.screening.review import LeadForReview, ScreenedForReview

EARLIER_DAYS = 365
LEAST_SPAN = 24.0
"""Degrees of longitude that the map shows at least: enough to see which country it is, as coarse as its borders are."""
MARGIN = 1.35
"""How much more than the sites' own extent the map shows."""
WIDEST_SPAN = 360.0
MOST_LATITUDE = 82.0
"""Nothing beyond is drawn: a Mercator map has no poles."""


def neighbours(leads: Sequence[LeadForReview], rank: int, question: Question) -> dict[str, str]:
    """The addresses of the leads before and after this one in the list as it is filtered; blank where there is none."""
    ranks = [one.lead.rank for one in leads]
    before = max((one for one in ranks if one < rank), default=None)
    after = min((one for one in ranks if one > rank), default=None)
    query = question.form.query
    return {name: "" if one is None else href_of(one, query) for name, one in (("before", before), ("after", after))}


def charts_of(one: LeadForReview, screened: ScreenedForReview, here: str) -> dict[str, Chart]:
    """The charts that there is something to draw in; ``here`` is the page's own address, for links to anchors on it."""
    made = {"map": _map(one, here), "sum": _sum(one, screened, here), "timeline": _timeline(one, here)}
    return {name: chart for name, chart in made.items() if chart is not None}


def _sum(one: LeadForReview, screened: ScreenedForReview, here: str) -> Chart:
    rows: list[Row] = [
        {
            "at": at,
            "label": row["label"],
            "before": row["before"],
            "after": row["after"],
            "log10_likelihood_ratio": row["weight"],
            "words": signed(row["weight"]),
            "probability": row["probability"],
            "probability_words": percent(row["probability"]),
            "moves": _moves(at, row["weight"]),
            "href": f"{here}#{row['anchor']}",
        }
        for at, row in enumerate(one.reasons)
        if at == 0 or row["weight"]
    ]
    without = len(one.reasons) - len(rows)
    more = f" {without} more were looked for, and add nothing." if without else ""
    return Chart(
        "leads-sum",
        "How the probability comes about",
        f"Log10 odds from the prior of {percent(screened.prior_share)} to {percent(one.lead.probability)}: each finding"
        f" multiplies the odds by ten to its weight. A click leads to the reason.{more}",
        rows,
        id=f"lead-{one.lead.rank}-sum",
    )


def _moves(at: int, weight: float) -> str:
    """What a row of the sum does, as the chart's colours name it."""
    if at == 0:
        return "the prior"
    return "raises" if weight > 0 else "lowers"


def _timeline(one: LeadForReview, here: str) -> Chart | None:
    if not one.events:
        return None
    edge = _edge([event["date"] for event in one.events if event["chips"]])
    rows: list[Row] = [
        {
            "date": event["date"],
            "at": max(event["date"], edge),
            "earlier": event["date"] < edge,
            "kind": event["kind"],
            "chips": event["chips"],
            "text": event["text"],
            "rows": event["rows"],
            "href": f"{here}#{event['anchor']}",
        }
        for event in one.events
    ]
    left_out = {event["kind"]: event["left_out_of_kind"] for event in one.events if event["left_out_of_kind"]}
    more = "".join(f" {count:,} more of kind {kind} are left out." for kind, count in left_out.items())
    more += f" Triangles stand for what was before {edge}." if any(row["earlier"] for row in rows) else ""
    return Chart(
        "leads-timeline",
        "What happened when",
        f"Each event by its day and kind, larger for more chips. A click leads to it in the dossier.{more}",
        rows,
        id=f"lead-{one.lead.rank}-timeline",
    )


def _edge(days: Sequence[str]) -> str:
    """The day at which the drawing starts, as ISO 8601 has it: a year before the first chips; blank where there are none."""
    if not days:
        return ""
    first = date.fromisoformat(min(days))
    return max(first - timedelta(days=EARLIER_DAYS), date.min.replace(year=1000)).isoformat()


def _map(one: LeadForReview, here: str) -> Chart | None:
    placed = [site for site in one.sites if site["placed"]]
    if not placed:
        return None
    rows: list[Row] = [
        {
            "site": site["site"] or "site not known",
            "chips": site["chips"],
            "types": ", ".join(site["types"]),
            "held_by": "; ".join(name for name in site["held_by"] if name),
            "address": site["address"],
            "to_check": site["sample"],
            "latitude": site["latitude"],
            "longitude": site["longitude"],
            "href": f"{here}#{site['anchor'] or site['chips_anchor']}",
        }
        for site in placed
    ]
    unplaced = len(one.sites) - len(placed)
    return Chart(
        "leads-map",
        "Where its chips are",
        "Each site as the register of sites places it, larger for more chips. A click leads to its rows."
        + (f" {unplaced:,} without a place: below." if unplaced else ""),
        rows,
        id=f"lead-{one.lead.rank}-map",
        more={"view": [view_of(placed)]},
    )


def view_of(sites: Sequence[Mapping[str, Any]]) -> Row:
    """The middle of the map and its width in degrees of longitude, so that all these sites are in sight.

    Longitudes are taken the short way around, over the day line where that is shorter.
    """
    longitudes = sorted(site["longitude"] % 360.0 for site in sites)
    gaps = [after - before for before, after in zip(longitudes, [*longitudes[1:], longitudes[0] + 360.0], strict=True)]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    west, span = longitudes[(widest + 1) % len(longitudes)], 360.0 - gaps[widest]
    heights = [_mercator(site["latitude"]) for site in sites]
    middle, tall = (max(heights) + min(heights)) / 2.0, max(heights) - min(heights)
    return {
        "longitude": (west + span / 2.0 + 180.0) % 360.0 - 180.0,
        "latitude": _latitude(middle),
        "across": min(max(MARGIN * span, LEAST_SPAN), WIDEST_SPAN),
        "up": max(MARGIN * tall, LEAST_SPAN / 2.0),
    }


def _mercator(latitude: float) -> float:
    """The height of a latitude on a Mercator map, in degrees of longitude."""
    bounded = min(max(latitude, -MOST_LATITUDE), MOST_LATITUDE)
    return math.degrees(math.log(math.tan(math.pi / 4.0 + math.radians(bounded) / 2.0)))


def _latitude(height: float) -> float:
    return math.degrees(2.0 * math.atan(math.exp(math.radians(height))) - math.pi / 2.0)


def unplaced_sites(one: LeadForReview) -> list[dict[str, str]]:
    """The sites that no map can show, in words."""
    return [
        {
            "site": site["site"] or "site not known",
            "chips": f"{site['chips']:,}",
            "why": site["why_not"],
            "address": site["address"] or "",
            "anchor": site["anchor"] or site["chips_anchor"],
        }
        for site in one.sites
        if not site["placed"]
    ]
