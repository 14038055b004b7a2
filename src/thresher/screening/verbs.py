"""The first steps as verbs over a store: who is who, a pair explained or judged, who controls what, what corroborates."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from thresher.errors import InputError
from thresher.records.store import add_judgement, remove_judgement
from thresher.regime import load_regime
from thresher.result import Result
from thresher.screening.control import control as control_step
from thresher.screening.corroboration import corroborate as corroborate_step
from thresher.screening.custody import held_at
from thresher.screening.engine import open_engine
from thresher.screening.evidence import all_findings
from thresher.screening.reading_day import reading_day
from thresher.screening.resolution.doubts import doubtful_pairs
from thresher.screening.resolution.explain import PairExplanation, explain_pair
from thresher.screening.resolution.mentions import party_mentions, text_mentions
from thresher.screening.resolution.resolve import resolve as resolve_step
from thresher.screening.screen import DEFAULT_REGIME, LOOK_BACK_DAYS

MOST_NAMES = 6


def resolve(store: str | Path, *, seed: int = 1, engine: str = "duckdb") -> Result:
    """Find who is who in a store.

    Parameters
    ----------
    store
        A store made by `thresher.import_records`; it is only read.
    seed
        Of the samples that train the linkage.
    engine
        ``duckdb`` or ``spark``.

    Returns
    -------
    Result
        Of kind ``resolution``: ``entities`` (each mention with its entity and how surely it belongs there), ``merged`` (the
        entities of several mentions, those of most first), ``for_review`` (the pairs that a person should decide, the most
        doubtful first) and a ``summary``.
    """
    with open_engine(Path(store), engine) as opened:
        found = resolve_step(opened, seed=seed)
        entities = found.entities.to_pyarrow().sort_by("mention").to_pylist()
        review = doubtful_pairs(opened)
        chips = opened.table("chip_labels").filter(lambda row: row.chip.notnull()).to_pyarrow().to_pylist()
    members: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in entities:
        members[one["entity"]].append(one)
    merged = sorted((item for item in members.items() if len(item[1]) > 1), key=lambda item: (-len(item[1]), item[0]))
    return Result(
        "resolution",
        {"store": str(store), "seed": seed, "engine": engine},
        {
            "summary": {
                "mentions": len(entities),
                "entities": len(members),
                "pairs_for_review": len(review),
                "mentions_that_fit_several": sum(one["ambiguous"] for one in entities),
                "trained": found.model.trained,
            },
            "merged": [{"entity": entity, "mentions": len(rows), "names": _names(rows)} for entity, rows in merged],
            "for_review": review,
            "entities": entities,
            "chips": sorted(chips, key=lambda row: row["label"]),
            "model": [one._asdict() for one in found.model.levels],
        },
    )


def _names(rows: list[dict[str, Any]]) -> list[str]:
    ids = {row["party"] for row in rows}
    names = sorted({row["name"] for row in rows if row["name"] and row["name"] not in ids})
    return names[:MOST_NAMES] + ([f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else [])


def pairs_for_review(
    store: str | Path, *, most: int = 50, seed: int = 1, engine: str = "duckdb"
) -> list[dict[str, Any]]:
    """The pairs of mentions that a person should decide, the most doubtful first: `resolve` without the rest.

    A screening resolves, too: `thresher.screening.review.screen_for_review` has them without doing it again. The store is
    closed when this returns, so that `judge` may write to it.

    Returns
    -------
    list
        Of plain data: see `thresher.screening.resolution.doubts.doubtful_pairs`.
    """
    with open_engine(Path(store), engine) as opened:
        resolve_step(opened, seed=seed)
        return doubtful_pairs(opened, most)


def explain(store: str | Path, left: str, right: str, *, seed: int = 1, engine: str = "duckdb") -> PairExplanation:
    """Why two mentions of a store are, or are not, one.

    Raises
    ------
    InputError
        The records have no such mention.
    """
    with open_engine(Path(store), engine) as opened:
        found = resolve_step(opened, seed=seed)
        return explain_pair(found.mentions, found.frequencies, found.model, left, right)


def judge(store: str | Path, left: str, right: str, verdict: str, *, reviewer: str, note: str = "") -> None:
    """Keep a reviewer's word on a pair of mentions in the store: ``yes``, ``no``, or ``undo`` to withdraw it.

    Raises
    ------
    InputError
        The records have no such mention, the verdict is another word, or nothing stands that could be withdrawn.
    """
    path = Path(store)
    with open_engine(path) as opened:
        known = {*party_mentions(opened)["mention"].to_pylist(), *text_mentions(opened)["mention"].to_pylist()}
    for mention in (left, right):
        if mention not in known:
            raise InputError(
                "the pair", "mentions as `thresher resolve` lists them (party:ID, buyer:..., name:...)", mention
            )
    if verdict == "undo":
        remove_judgement(path, left, right, reviewer, note)
    elif verdict in ("yes", "no"):
        add_judgement(path, left, right, verdict, reviewer, note)
    else:
        raise InputError("verdict", "yes, no or undo", verdict)


def control(
    store: str | Path,
    *,
    as_of: date | None = None,
    look_back_days: int = LOOK_BACK_DAYS,
    seed: int = 1,
    engine: str = "duckdb",
) -> Result:
    """Find who controls what in a store: through chains, nominees and circles, and by what is shared.

    Returns
    -------
    Result
        Of kind ``control``: ``owners`` (each entity's controlling owner, how surely and why, and the share of it whose owner
        is not known), ``beneficial_owners`` (integrated shares), ``groups`` (owners that the evidence ties together) and
        ``findings``.
    """
    with open_engine(Path(store), engine) as opened:
        day = reading_day(opened, as_of, look_back_days)
        resolve_step(opened, seed=seed)
        held_at(opened, day)
        findings = control_step(opened, day, look_back_days).findings.to_pyarrow()
        tables = {
            name: opened.table(table).to_pyarrow()
            for name, table in (
                ("owners", "owners"),
                ("beneficial_owners", "controllers"),
                ("groups", "owner_groups"),
                ("joint_evidence", "joint_evidence"),
            )
        }
    return _result("control", store, day, look_back_days, findings, tables)


def corroborate(
    store: str | Path,
    *,
    regime: str | Path = DEFAULT_REGIME,
    as_of: date | None = None,
    look_back_days: int = LOOK_BACK_DAYS,
    seed: int = 1,
    engine: str = "duckdb",
) -> Result:
    """Hold a store's register against power, round trips, purchases and prices.

    Returns
    -------
    Result
        Of kind ``corroboration``: ``findings``, the strongest first.
    """
    rule = load_regime(regime)
    with open_engine(Path(store), engine) as opened:
        day = reading_day(opened, as_of, look_back_days)
        resolve_step(opened, seed=seed)
        held_at(opened, day)
        findings = corroborate_step(opened, day, look_back_days, regime=rule).findings.to_pyarrow()
    return _result("corroboration", store, day, look_back_days, findings, {})


def _result(
    kind: str, store: str | Path, day: date, look_back_days: int, findings: Any, tables: dict[str, Any]
) -> Result:
    found = findings.filter(pc.greater(findings["strength"], 0.0)).to_pylist()
    edges = {name: one.edges for name, one in all_findings().items()}
    found.sort(key=lambda row: (-row["strength"] / edges[row["finding"]][0], row["entity"], row["finding"]))
    looked = findings.group_by("finding").aggregate([("entity", "count")])
    counts = dict(zip(looked["finding"].to_pylist(), looked["entity_count"].to_pylist(), strict=True))
    return Result(
        kind,
        {"store": str(store), "as_of": day.isoformat(), "look_back_days": look_back_days},
        {
            "summary": {
                name: {
                    "looked_at": counts.get(name, 0),
                    "found": sum(row["finding"] == name and row["strength"] >= edges[name][0] for row in found),
                }
                for name in sorted(counts)
            },
            "findings": found,
        }
        | {name: table.to_pylist() for name, table in tables.items()},
    )
