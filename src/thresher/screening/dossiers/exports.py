"""Leads for other tools: FollowTheMoney entities as JSON lines, and a table that a spreadsheet opens without running it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

from thresher.records.decisions import LeadDecision
from thresher.screening.dossiers.graph import graphs_of
from thresher.screening.dossiers.rows import fetch_rows, keep_entities, keep_members, party_rows
from thresher.screening.dossiers.text import percent, signed
from thresher.screening.engine import Engine
from thresher.screening.leads import Lead

CAUTION = "A lead is a reason to look, not a verdict."
WORDS = {True: "covered", False: "not covered", None: "unknown"}
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and the same as wide letters."""
COLUMNS = (
    *("rank", "owner", "name", "probability", "prior_log10_odds", "log10_odds", "as_it_reads", "networked", "together"),
    *("most_times_the_line", "chips", "sites", "entities", "reasons", "next_records"),
    *("decision", "decided_by", "decided_at", "decision_note", "caution"),
)


def leads_as_csv(leads: Sequence[Lead], decisions: Mapping[str, LeadDecision] = MappingProxyType({})) -> str:
    """The leads as a table, a row each, with what was decided about an owner.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for lead in leads:
        readings = lead.readings
        decided = decisions[lead.owner].as_json() if lead.owner in decisions else {}
        row: tuple[Any, ...] = (
            *(lead.rank, lead.owner, lead.name or "", lead.probability, lead.prior_log10_odds, lead.log10_odds),
            *(WORDS[one] for one in (readings.as_it_reads, readings.networked, readings.together)),
            max(readings.shares.values(), default=0.0),
            sum(one["chips"] for one in lead.holdings),
            len({one["site"] for one in lead.holdings}),
            "; ".join(lead.entities),
            "; ".join(_reasons(lead)),
            "; ".join(lead.next_records),
            *(decided.get(name, "") for name in ("decision", "reviewer", "at", "note")),
            CAUTION,
        )
        table.writerow([neutral(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _reasons(lead: Lead) -> list[str]:
    return [f"{one.title} ({signed(one.log10_likelihood_ratio)}): {one.detail}" for one in lead.reasons if one.level]


def neutral(cell: str) -> str:
    """A cell of text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULAS) else cell


def leads_as_ftm(engine: Engine, leads: Sequence[Lead], as_of: date) -> Iterator[str]:
    """The leads as FollowTheMoney entities, a line of JSON each.

    First the register's entries of everybody in the graphs of these leads, then the interests between them, then a note for
    each lead about its owner and entities. A lead is a reason to look, so it is a ``Note`` and no ``Sanction`` or risk.

    Parameters
    ----------
    engine
        The engine that the leads were found with.
    leads
        Those to give.
    as_of
        The day for which the interests are given.
    """
    from thresher.records.exchange.ftm import ownership_entity, party_entity  # noqa: PLC0415 - loads the whole ontology
    from thresher.records.exchange.rows import cells_of, dumps  # noqa: PLC0415

    if not leads:
        return
    keep_members(engine, leads)
    graphs = graphs_of(engine, leads, as_of)
    names = {node.entity: node.name for one in graphs.values() for node in one.nodes}
    members_of = {entity: lead for lead in leads for entity in (lead.owner, *lead.entities)}
    names |= {entity: lead.names.get(entity) or names.get(entity) for entity, lead in members_of.items()}
    keep_entities(engine, [("", entity) for entity in sorted(names)])
    register = party_rows(engine)
    cited = {row for one in register.values() for row in one.rows}
    cited |= {("ownership", edge.row_id) for one in graphs.values() for edge in one.edges}
    rows = fetch_rows(engine, cited)
    parties = {row.cells["party"]: cells_of(row.cells) for _, row in sorted(rows.items()) if row.table == "parties"}
    links = [cells_of(row.cells) for _, row in sorted(rows.items()) if row.table == "ownership"]
    ends = {party for link in links for end in ("owner", "owned", "on_behalf_of") if (party := link.get(end))}
    for party in sorted({*names, *ends} - parties.keys()):
        parties[party] = {"party": party, "name": names.get(party) or party, "kind": "unknown"}
    members: dict[str, list[str]] = {entity: [entity] for entity in names}
    for (_, entity), one in sorted(register.items()):
        members[entity] += sorted({rows[row].cells["party"] for row in one.rows if row in rows} - {entity})
    entities = [party_entity(cells) for _, cells in sorted(parties.items())]
    yield from (
        dumps(one) + "\n"
        for one in (*entities, *map(ownership_entity, links), *(_note(lead, members) for lead in leads))
    )


def _note(lead: Lead, members: dict[str, list[str]]) -> dict[str, Any]:
    from thresher.records.exchange.ftm import entity_id, note_entity  # noqa: PLC0415

    text = "\n".join(
        [
            f"{CAUTION} Probability {percent(lead.probability)}, given a prior of log10 odds "
            f"{signed(lead.prior_log10_odds)} and weights calibrated on synthetic records.",
            *(f"- {reason}" for reason in _reasons(lead)),
            *(f"Ask for {record}." for record in lead.next_records),
        ]
    )
    note = note_entity(lead.owner, f"Lead {lead.rank}: {percent(lead.probability)}", text)
    about = (party for entity in dict.fromkeys((lead.owner, *lead.entities)) for party in members[entity])
    note["properties"]["entity"] = list(dict.fromkeys(map(entity_id, about)))
    return note
