"""Sample jurisdictions, screened, beside their truth: what the fit of the weights and the benchmark both start from."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.records.importing import import_records
from thresher.records.samples import sample_records
from thresher.screening.evidence import UNKNOWN, all_findings
from thresher.screening.leads import Lead
from thresher.screening.screen import Screening, screening

SIGN_OF = {
    "purchases_structured": "purchases_under_the_line",
    "purchases_not_in_custody": "bought_but_not_seen",
    "serials_cloned": "serial_in_two_places",
    "serials_after_destruction": "impossible_events",
    "serials_rotated": "rotated_between_sites",
    "transfers_without_notice": "transfers_without_notice",
    "sites_undeclared": "chips_nobody_declared",
    "sites_declared_in_part": "chips_nobody_declared",
    "sites_with_dimmed_meter": "power_below_declared",
    "sites_elsewhere": "ping_contradicts_site",
}
"""The finding that should show each kind of planted sign."""


@dataclass(frozen=True)
class Screened:
    """A sample jurisdiction: its leads in order, which of them are evaders' or honest look-alikes', and the steps' recall."""

    seed: int
    evaders: int
    hides: np.ndarray
    """Shape (leads,): whether the lead's holdings are an evader's."""
    evader: np.ndarray
    """Shape (leads,): the number of that evader, -1 for others."""
    near_miss: np.ndarray
    levels: np.ndarray
    """Shape (leads, findings)."""
    probability: np.ndarray
    log10_likelihood_ratio: np.ndarray
    names: list[str]
    recall: dict[str, float]
    signs: dict[str, tuple[int, int]]
    """For each kind of planted sign, the evaders with it whose leads show it, and the evaders with it."""
    seconds: float


def screened(seed: int, *, parties: int = 2000, evaders: int = 5, engine: str = "duckdb", **choices: Any) -> Screened:
    """Make, import and screen the sample records of a seed, and hold the leads against the truth."""
    with tempfile.TemporaryDirectory() as folder:
        records, store = Path(folder) / "records", Path(folder) / "evidence.store"
        sample_records(records, seed=seed, parties=parties, evaders=evaders)
        truth = json.loads((records / "truth.json").read_text("utf-8"))
        start = time.perf_counter()
        import_records(records, store)
        with screening(store, engine=engine, **choices) as (opened, found):
            seconds = time.perf_counter() - start
            tables = {
                name: opened.table(name).to_pyarrow().to_pydict()
                for name in ("identity", "purchases_resolved", "entity_owner", "held")
            }
        return _beside_truth(seed, truth, found, tables, seconds)


def _beside_truth(
    seed: int, truth: dict[str, Any], found: Screening, tables: dict[str, dict[str, list[Any]]], seconds: float
) -> Screened:
    entity_of = dict(zip(tables["identity"]["party"], tables["identity"]["entity"], strict=True))
    evader_of = {
        entity_of.get(party, party): number for number, one in enumerate(truth["evaders"]) for party in one["parties"]
    }
    missed = {entity_of.get(party, party) for one in truth["near_misses"] for party in one["parties"]}
    evader, near_miss = [], []
    for lead in found.leads:
        owners = [evader_of[entity] for entity in holders(lead) if entity in evader_of]
        evader.append(max(set(owners), key=owners.count) if owners else -1)
        near_miss.append(not owners and bool(missed & set(holders(lead))))
    names = list(all_findings())
    levels = np.array([[_level(lead, name) for name in names] for lead in found.leads])
    odds = np.array([lead.log10_odds - lead.prior_log10_odds for lead in found.leads])
    return Screened(
        seed,
        len(truth["evaders"]),
        np.array(evader) >= 0,
        np.array(evader),
        np.array(near_miss),
        levels,
        np.array([lead.probability for lead in found.leads]),
        odds,
        [f"{lead.owner} {lead.name}" for lead in found.leads],
        _recall(truth, tables, entity_of),
        _signs(truth, tables, levels, np.array(evader), names),
        seconds,
    )


def holders(lead: Lead) -> list[str]:
    """The entities of a lead that hold chips, or all of them where none does."""
    return sorted({one["entity"] for one in lead.holdings}) or list(lead.entities)


def _level(lead: Lead, finding: str) -> int:
    level = next(reason.level for reason in lead.reasons if reason.finding == finding)
    return UNKNOWN if level is None else level


def _signs(
    truth: dict[str, Any],
    tables: dict[str, dict[str, list[Any]]],
    levels: np.ndarray,
    evader: np.ndarray,
    names: list[str],
) -> dict[str, tuple[int, int]]:
    """Whether the leads of each evader show what was planted about it."""
    by_party = {party: number for number, one in enumerate(truth["evaders"]) for party in one["parties"]}
    owner = {site: number for number, one in enumerate(truth["evaders"]) for site in one["sites"]}
    owner |= {
        serial: by_party[party]
        for serial, party in zip(tables["held"]["serial"], tables["held"]["party"], strict=True)
        if party in by_party
    }
    by_entity = {entity: number for number, one in enumerate(truth["evaders"]) for entity in one["entities"]}
    bought = zip(truth["purchases"]["id"], truth["purchases"]["entity"], strict=True)
    owner |= {purchase: by_entity[entity] for purchase, entity in bought if entity in by_entity}
    found = {}
    for kind, sign in SIGN_OF.items():
        planted = {owner.get(one[0] if isinstance(one, list) else one) for one in truth["anomalies"][kind]} - {None}
        shown = levels[:, names.index(sign)] >= 1
        found[kind] = (sum(bool(shown[evader == number].any()) for number in planted), len(planted))
    return found


def _recall(
    truth: dict[str, Any], tables: dict[str, dict[str, list[Any]]], entity_of: dict[str, str]
) -> dict[str, float]:
    """What each step finds of what there is to find, and what of it is right."""
    true_party = dict(zip(truth["parties"]["party"], truth["parties"]["entity"], strict=True))
    together: dict[tuple[str, str], int] = {}
    for party, entity in true_party.items():
        key = (entity, entity_of[party])
        together[key] = together.get(key, 0) + 1
    right = sum(number * (number - 1) // 2 for number in together.values())
    true_pairs, found_pairs = (_pairs(true_party.values()), _pairs(entity_of[party] for party in true_party))
    entity_truth: dict[str, str] = {}
    for party in sorted(true_party):
        entity_truth.setdefault(entity_of[party], true_party[party])
    buyers = dict(zip(truth["purchases"]["id"], truth["purchases"]["entity"], strict=True))
    registered = set(true_party.values())
    resolved = [
        (buyers[one], entity_truth.get(entity))
        for one, entity in zip(tables["purchases_resolved"]["id"], tables["purchases_resolved"]["entity"], strict=True)
        if buyers[one] in registered
    ]
    chips = dict(zip(truth["purchases"]["id"], truth["purchases"]["chip"], strict=True))
    described = [
        (chips[one] or None) == chip
        for one, chip in zip(tables["purchases_resolved"]["id"], tables["purchases_resolved"]["chip"], strict=True)
    ]
    owner_of = dict(zip(tables["entity_owner"]["entity"], tables["entity_owner"]["owner"], strict=True))
    whole = [
        max(
            np.unique([owner_of.get(e, e) for e in {entity_of.get(p, p) for p in one["parties"]}], return_counts=True)[
                1
            ]
        )
        / len({entity_of.get(p, p) for p in one["parties"]})
        for one in truth["evaders"]
    ]
    return {
        "resolve: pairs of parties, recall": right / max(true_pairs, 1),
        "resolve: pairs of parties, precision": right / max(found_pairs, 1),
        "resolve: purchases of registered buyers linked rightly": float(np.mean([a == b for a, b in resolved])),
        "resolve: purchases linked to the wrong party": float(np.mean([b is not None and a != b for a, b in resolved])),
        "resolve: purchases whose chip is read rightly": float(np.mean(described)),
        "control: share of an evader's entities under one owner": float(np.mean(whole)),
    }


def _pairs(labels: Any) -> int:
    _, counts = np.unique(list(labels), return_counts=True)
    return int((counts * (counts - 1) // 2).sum())
