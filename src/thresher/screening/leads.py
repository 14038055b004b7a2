"""Leads: owners ranked by the probability that they hide a covered cluster, each point of it with its reason."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from thresher.sampling import inspection_sample_size
from thresher.screening.aggregation import Owner, Readings
from thresher.screening.engine import Engine, Findings
from thresher.screening.evidence import UNKNOWN, Finding, Weight, all_findings, log10_odds, probability_of, weights
from thresher.sources import load_quantities


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding about an owner and what it adds to the log10 odds.

    ``level`` is 0 where it was looked for and not found, None where it could not be looked for, which adds nothing.
    ``if_found`` and ``if_not`` are what the log10 odds would change by if the next record showed the finding, or showed
    that there is nothing; ``worth`` is the change to be expected, either way, from asking.
    """

    finding: str
    step: str
    title: str
    level: int | None
    strength: float | None
    unit: str
    detail: str
    log10_likelihood_ratio: float
    owners_behind_it: int
    if_found: float
    if_not: float
    worth: float
    next_record: str
    citations: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SiteToInspect:
    """A site, the chips an owner holds there, and how many of them to check."""

    site: str | None
    chips: int
    sample: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """How many chips to check, where, to find at least one of ``missing`` with ``confidence``."""

    chips: int
    missing: int
    confidence: float
    sample: int
    sites: tuple[SiteToInspect, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    """A reason to look at an owner, not a verdict."""

    rank: int
    owner: str
    name: str | None
    probability: float
    prior_log10_odds: float
    log10_odds: float
    entities: tuple[str, ...]
    names: Mapping[str, str | None]
    holdings: tuple[Mapping[str, Any], ...]
    unseen: Mapping[str, float]
    readings: Readings
    reasons: tuple[Reason, ...]
    inspection: Inspection
    next_records: tuple[str, ...] = field(default=())


def levels_of(
    engine: Engine, steps: Sequence[Findings], owners: Sequence[Owner]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The findings about each owner: by owner and finding, its ``level``, ``strength`` and ``detail``.

    The findings of an owner's entities are added up, or the largest stands, as `Finding.combine` says; the detail is that
    of the strongest.
    """
    wanted = engine.keep("lead_owners", pa.table({"owner": pa.array([one.owner for one in owners], pa.string())}))
    columns = ("entity", "finding", "strength", "detail")
    every = ibis.union(*(step.findings.select(*columns) for step in steps)) if len(steps) > 1 else steps[0].findings
    known = engine.table("entity_owner").select(owned="entity", owned_by="owner")
    joined = every.left_join(known, every.entity == known.owned)
    mine = joined.mutate(owner=ibis.coalesce(joined.owned_by, joined.entity)).semi_join(wanted, "owner")
    rows = mine.select("owner", *columns).to_pyarrow().to_pylist()
    by_owner: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["strength"] is not None and not math.isnan(row["strength"]):
            by_owner[row["owner"]][row["finding"]].append(row)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for one in owners:
        found[one.owner] = {}
        for name, finding in all_findings().items():
            own = by_owner[one.owner].get(name, [])
            if not own:
                found[one.owner][name] = {"level": UNKNOWN, "strength": None, "detail": ""}
                continue
            strongest = max(own, key=lambda row: (row["strength"], row["entity"]))
            strength = sum(row["strength"] for row in own) if finding.combine == "sum" else strongest["strength"]
            level = int(finding.level(np.array([strength]))[0])
            found[one.owner][name] = {"level": level, "strength": strength, "detail": strongest["detail"] or ""}
    return found


def leads_of(
    engine: Engine, owners: Sequence[Owner], steps: Sequence[Findings], *, prior_share: float, top: int
) -> list[Lead]:
    """The owners ranked, the likeliest first; the rows behind their findings are looked up for the first ``top``.

    Parameters
    ----------
    prior_share
        The share of the owners that hide a covered cluster before anything is known of them, between 0 and 1.
    """
    prior = _prior_log10_odds(prior_share)
    found = levels_of(engine, steps, owners)
    scored = [
        (log10_odds({name: one["level"] for name, one in found[owner.owner].items()}, prior), owner) for owner in owners
    ]
    scored.sort(key=lambda pair: (-pair[0], -pair[1].share_together, pair[1].owner))
    names = _names(engine, [owner for _, owner in scored[:top]])
    rows = _citations(engine, steps, [owner for _, owner in scored[:top]])
    return [
        _lead(rank, owner, odds, prior, found[owner.owner], names, rows.get(owner.owner, {}))
        for rank, (odds, owner) in enumerate(scored, start=1)
    ]


def _lead(
    rank: int,
    owner: Owner,
    odds: float,
    prior: float,
    found: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str | None],
    rows: Mapping[str, tuple[tuple[str, int], ...]],
) -> Lead:
    probability = probability_of(odds)
    reasons = [_reason(all_findings()[name], one, probability, rows.get(name, ())) for name, one in found.items()]
    reasons.sort(key=lambda one: (one.level is None, -abs(one.log10_likelihood_ratio), one.finding))
    return Lead(
        rank=rank,
        owner=owner.owner,
        name=names.get(owner.owner),
        probability=probability,
        prior_log10_odds=prior,
        log10_odds=odds,
        entities=owner.entities,
        names={entity: names.get(entity) for entity in owner.entities},
        holdings=tuple(one._asdict() for one in owner.holdings),
        unseen=owner.unseen,
        readings=owner.readings,
        reasons=tuple(reasons),
        inspection=inspection_plan(owner, found),
        next_records=_next_records(reasons),
    )


def with_prior(lead: Lead, prior_share: float) -> Lead:
    """The same lead given another prior: what was found, and its weights, stay; a prior moves all owners alike, so its rank does.

    Parameters
    ----------
    prior_share
        The share of the owners that hide a covered cluster before anything is known of them, between 0 and 1.
    """
    prior = _prior_log10_odds(prior_share)
    level = {one.finding: UNKNOWN if one.level is None else one.level for one in lead.reasons}
    odds = log10_odds({name: level[name] for name in all_findings()}, prior)
    probability = probability_of(odds)
    reasons = tuple(
        replace(one, worth=_worth(all_findings()[one.finding], one.level is not None, probability))
        for one in lead.reasons
    )
    return replace(
        lead,
        probability=probability,
        prior_log10_odds=prior,
        log10_odds=odds,
        reasons=reasons,
        next_records=_next_records(reasons),
    )


def _prior_log10_odds(prior_share: float) -> float:
    return math.log10(prior_share / (1.0 - prior_share))


def _next_records(reasons: Sequence[Reason]) -> tuple[str, ...]:
    """What to ask for, that of most worth first."""
    asks = sorted((one for one in reasons if one.worth > 0.0), key=lambda one: -one.worth)
    return tuple(dict.fromkeys(one.next_record for one in asks))


def _worth(finding: Finding, known: bool, probability: float) -> float:
    """The change of the log10 odds to be expected, either way, from asking for a finding; nothing where it is known."""
    if known:
        return 0.0
    every = _weights_of(finding)
    shares = [probability * each.share_of_hiders + (1.0 - probability) * each.share_of_others for each in every]
    return sum(share * abs(each.log10_likelihood_ratio) for share, each in zip(shares, every, strict=True))


def _weights_of(finding: Finding) -> list[Weight]:
    return [weights()[finding.finding, at] for at in range(len(finding.edges) + 1)]


def _reason(finding: Finding, one: Mapping[str, Any], probability: float, rows: tuple[tuple[str, int], ...]) -> Reason:
    level, known = one["level"], one["level"] != UNKNOWN
    every = _weights_of(finding)
    now = every[level].log10_likelihood_ratio if known else 0.0
    return Reason(
        finding=finding.finding,
        step=finding.step,
        title=finding.title,
        level=level if known else None,
        strength=one["strength"],
        unit=finding.unit,
        detail=one["detail"],
        log10_likelihood_ratio=now,
        owners_behind_it=every[level].owners if known else 0,
        if_found=max(each.log10_likelihood_ratio for each in every[1:]) - now,
        if_not=every[0].log10_likelihood_ratio - now,
        worth=_worth(finding, known, probability),
        next_record=finding.next_record,
        citations=rows if known and level else (),
    )


def _names(engine: Engine, owners: Sequence[Owner]) -> dict[str, str | None]:
    """A name for each entity of these owners: the first in its records."""
    ids = sorted({one.owner for one in owners} | {entity for one in owners for entity in one.entities})
    wanted = engine.keep("lead_entities", pa.table({"entity": pa.array(ids, pa.string())}))
    entities = engine.table("entities").semi_join(wanted, "entity")
    rows = entities.filter(entities.name.notnull()).select("entity", "party", "role", "name").to_pyarrow().to_pylist()
    # the register's own description of the party that names the entity comes first
    rows.sort(key=lambda row: (row["party"] == row["entity"], row["role"] == "party", row["name"]))
    return {row["entity"]: row["name"] for row in rows}


MOST_CITATIONS = 200
"""Rows cited for one finding of one lead; what is beyond it can be asked of the store."""


def _citations(
    engine: Engine, steps: Sequence[Findings], owners: Sequence[Owner]
) -> dict[str, dict[str, tuple[tuple[str, int], ...]]]:
    """The rows behind the findings about these owners, by owner and finding: the table and the row's id."""
    wanted = engine.keep("cited_owners", pa.table({"owner": pa.array([one.owner for one in owners], pa.string())}))
    known = engine.table("entity_owner").semi_join(wanted, "owner").select(owned="entity", owned_by="owner")
    itself = wanted.select(owned="owner", owned_by="owner")
    members = engine.keep("cited_entities", known.union(itself).distinct())
    columns = ("entity", "finding", "table", "row_id")
    every = ibis.union(*(step.citations.select(*columns) for step in steps)) if len(steps) > 1 else steps[0].citations
    mine = every.inner_join(members, every.entity == members.owned)
    mine = mine.select(mine.finding, mine.table, mine.row_id, owner=mine.owned_by).distinct()
    order = ibis.row_number().over(ibis.window(group_by=["owner", "finding"], order_by=["table", "row_id"]))
    rows = mine.mutate(place=order).filter(lambda row: row.place < MOST_CITATIONS).to_pyarrow().to_pylist()
    found: dict[str, dict[str, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: (row["table"], row["row_id"])):
        found[row["owner"]][row["finding"]].append((row["table"], row["row_id"]))
    return {owner: {name: tuple(cited) for name, cited in by.items()} for owner, by in found.items()}


def inspection_plan(owner: Owner, found: Mapping[str, Mapping[str, Any]]) -> Inspection:
    """How many of an owner's chips to check, and where.

    The sample finds at least one of the chips that the ledger misses with the confidence of ``leads.yaml``
    (hypergeometric, without replacement), and is spread over the sites by the chips there. Sites with most chips come first.
    """
    choice = load_quantities("thresher.screening", "leads.yaml").values_only()
    chips = sum(one.chips for one in owner.holdings)
    confidence = choice["inspection_confidence"]
    if not chips:
        return Inspection(0, 0, confidence, 0, ())
    named = (found[name]["strength"] or 0.0 for name in ("chips_nobody_declared", "chips_unaccounted_for"))
    missing = min(chips, max(1, round(max(named)), math.ceil(choice["missing_share"] * chips)))
    sample = inspection_sample_size(chips, missing, confidence)
    by_site: dict[str | None, int] = defaultdict(int)
    for one in owner.holdings:
        by_site[one.site] += one.chips
    sites = sorted(by_site.items(), key=lambda pair: (-pair[1], pair[0] or ""))
    return Inspection(
        chips,
        missing,
        confidence,
        sample,
        tuple(SiteToInspect(site, number, math.ceil(sample * number / chips)) for site, number in sites),
    )
