"""What a dossier shows as plain rows, for the charts of another page: sites for a map, events, ownership, the sum of reasons."""

from __future__ import annotations

import math
from typing import Any

from thresher.screening.dossiers import waterfall
from thresher.screening.dossiers.page import Dossier
from thresher.screening.dossiers.rows import CitedRow, anchor_of
from thresher.screening.dossiers.text import short, visible
from thresher.screening.evidence import probability_of

MOST_LETTERS = 200
"""Letters of one text in a row; the dossier holds the whole of it."""
LARGEST_LATITUDE, LARGEST_LONGITUDE = 90.0, 180.0
Rows = list[dict[str, Any]]
"""Rows of JSON data."""


def sites_of(dossier: Dossier) -> Rows:
    """The sites of an owner's chips, those of most chips first, each with its place on a map where that is known.

    A site entered twice is where the last of its cited rows has it. A site without two finite coordinates in range is
    listed with ``placed`` false, blank coordinates, and ``why_not``. ``anchor`` leads to its rows in the dossier,
    ``chips_anchor`` to those of the chips there; ``sample`` of them are to be checked.
    """
    lead = dossier.lead
    samples = {one.site: one.sample for one in lead.inspection.sites}
    rows = []
    for site in dict.fromkeys(one["site"] for one in lead.holdings):
        held = [one for one in lead.holdings if one["site"] == site]
        entry = _last_entry(dossier, site)
        latitude, longitude, why_not = _place(site, entry)
        rows.append(
            {
                "site": _text(site),
                "chips": sum(one["chips"] for one in held),
                "types": sorted({one["chip"] or "type not known" for one in held}),
                "held_by": [_name(dossier, entity) for entity in dict.fromkeys(one["entity"] for one in held)],
                "sample": samples.get(site, 0),
                "placed": why_not is None,
                "latitude": latitude,
                "longitude": longitude,
                "why_not": why_not,
                "operator": _cell(entry, "operator"),
                "address": _cell(entry, "address"),
                "anchor": dossier.group(("site", site)).anchor if site is not None else None,
                "chips_anchor": dossier.group(("at", site)).anchor,
            }
        )
    return sorted(rows, key=lambda row: (-row["chips"], row["site"] is None, row["site"] or ""))


def _last_entry(dossier: Dossier, site: str | None) -> CitedRow | None:
    """The last row of the register of sites on this one, of those that the dossier cites."""
    cited = dossier.groups[("site", site)].cited.rows if ("site", site) in dossier.groups else ()
    return dossier.rows[max(cited, key=lambda row: row[1])] if cited else None


def _place(site: str | None, entry: CitedRow | None) -> tuple[float | None, float | None, str | None]:
    """Latitude and longitude, or why there are none."""
    if site is None:
        return None, None, "no record says where these chips are"
    if entry is None:
        return None, None, "the register of sites does not have it"
    latitude = _degrees(entry.cells.get("latitude"), LARGEST_LATITUDE)
    longitude = _degrees(entry.cells.get("longitude"), LARGEST_LONGITUDE)
    if latitude is None or longitude is None:
        return None, None, "the register of sites has no place on the globe for it"
    return latitude, longitude, None


def _degrees(cell: str | None, most: float) -> float | None:
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= most else None


def events_of(dossier: Dossier) -> Rows:
    """The events of an owner in order of their days; ``left_out`` counts those of a kind that the list was cut by."""
    left_out = dossier.timeline.left_out
    return [
        {
            "date": one.date.isoformat(),
            "kind": one.kind,
            "text": _text(one.text),
            "chips": one.chips,
            "rows": one.rows_in_all,
            "anchor": f"event-{at}",
            "left_out_of_kind": left_out.get(one.kind, 0),
        }
        for at, one in enumerate(dossier.timeline.events)
    ]


def ownership_of(dossier: Dossier) -> dict[str, Rows]:
    """The graph of ownership: ``nodes``, and ``links`` between the numbers of nodes."""
    graph = dossier.graph
    numbers = {node.entity: at for at, node in enumerate(graph.nodes)}
    nodes = [
        {
            "node": at,
            "entity": _text(node.entity),
            "name": _text(node.name),
            "is_owner": node.is_owner,
            "chips": node.chips,
        }
        for at, node in enumerate(graph.nodes)
    ]
    links = [
        {
            "owner": numbers[edge.owner],
            "owned": numbers[edge.owned],
            "share": edge.share,
            "interest": edge.interest,
            "held": edge.held,
            "anchor": anchor_of("ownership", edge.row_id),
        }
        for edge in graph.edges
    ]
    return {"nodes": nodes, "links": links}


def sum_of(dossier: Dossier) -> Rows:
    """The lead's probability as a sum: the prior and each reason that was looked for, with the log10 odds before and after."""
    lead = dossier.lead
    totals = waterfall.running_totals(lead)
    prior: dict[str, Any] = {
        "label": "Prior",
        "weight": totals[0],
        "before": 0.0,
        "after": totals[0],
        "anchor": "conditional",
    }
    reasons = [
        {
            "label": one.title,
            "weight": one.log10_likelihood_ratio,
            "before": before,
            "after": after,
            "anchor": f"reason-{one.finding}",
        }
        for one, before, after in zip(waterfall.known_reasons(lead), totals, totals[1:], strict=False)
    ]
    return [row | {"probability": probability_of(row["after"])} for row in (prior, *reasons)]


def _name(dossier: Dossier, entity: str) -> str | None:
    return _text(dossier.names.get(entity) or entity)


def _cell(entry: CitedRow | None, name: str) -> str | None:
    return _text(entry.cells.get(name)) if entry else None


def _text(text: str | None) -> str | None:
    """A text of the records as another page may show it: visible, and not longer than a label can be."""
    return visible(short(text, MOST_LETTERS)) if text else None
