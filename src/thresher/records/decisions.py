"""What reviewers decide about leads, kept in the store beside the evidence: the newest stands, all of them stay on record."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from thresher.errors import InputError
from thresher.records.store import now, open_store, query_of

DECISIONS = {
    "follow-up": "to be looked into",
    "dismiss": "nothing to look into",
    "ask-for-records": "waits for records that were asked for",
}
"""What may be decided about a lead, and what it means."""
LONGEST_NOTE = 2000
LONGEST_REVIEWER = 200
LONGEST_NAME = 4096
"""Characters of an owner's id: those of a cell of the records."""

_NEWLINES = "\n\r\t"
_NO_TEXT = {"Cc", "Cs"}
_COLUMNS = 'owner, regime, decision, reviewer, note, "at"'


@dataclass(frozen=True, slots=True)
class LeadDecision:
    """What a reviewer decided about an owner under a regime, and when (UTC); a blank decision withdrew the one before."""

    owner: str
    regime: str
    decision: str | None
    reviewer: str
    note: str
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """The decision as plain data, with what it means, and without what it is about."""
        return {
            "decision": self.decision,
            "means": "withdrawn" if self.decision is None else DECISIONS.get(self.decision, self.decision),
            "reviewer": self.reviewer,
            "note": self.note,
            "at": f"{self.at:%Y-%m-%dT%H:%M:%S}Z",
        }


def add_decision(
    store: Path, owner: str, regime: str, decision: str, reviewer: str, note: str = "", seen: int | None = None
) -> LeadDecision:
    """Keep what a reviewer decided about a lead; it replaces an earlier decision, which stays on record.

    Parameters
    ----------
    owner, regime
        The lead: its owner's id, and the name of the regime that it was screened for.
    decision
        One of `DECISIONS`.
    reviewer, note
        Who says so, and why.
    seen
        How many decisions about the lead, and withdrawals, the reviewer has seen; by default whatever stands is replaced.

    Raises
    ------
    InputError
        The decision is another word, a text is blank, too long or no text, or not all on record was seen; or the store's.
    """
    check_decision(decision)
    return _decide(store, owner, regime, decision, reviewer, note, seen)


def remove_decision(
    store: Path, owner: str, regime: str, reviewer: str, note: str = "", seen: int | None = None
) -> LeadDecision:
    """Withdraw the decision about a lead; that it was made, and withdrawn, stays on record.

    Raises
    ------
    InputError
        There is no decision about this lead; or as for ``add_decision``.
    """
    return _decide(store, owner, regime, None, reviewer, note, seen)


def decisions_of(store: Path, *, regime: str | None = None) -> list[LeadDecision]:
    """The decisions that stand, under one regime or under every one, by owner and regime.

    Raises
    ------
    InputError
        The store's.
    """
    query = f"""
        SELECT {_COLUMNS} FROM ({query_of("lead_decisions")})
        WHERE regime = coalesce(?, regime) ORDER BY owner, regime"""
    with open_store(store, read_only=True) as connection:
        return [LeadDecision(*row) for row in connection.execute(query, [regime]).fetchall()]


def history_of(store: Path, owner: str, regime: str) -> list[LeadDecision]:
    """Everything that was decided about a lead, and withdrawn, in order.

    Raises
    ------
    InputError
        The store's.
    """
    query = f"SELECT {_COLUMNS} FROM lead_decision_history WHERE owner = ? AND regime = ? ORDER BY number"
    with open_store(store, read_only=True) as connection:
        return [LeadDecision(*row) for row in connection.execute(query, [owner, regime]).fetchall()]


def histories_of(store: Path, regime: str) -> dict[str, list[LeadDecision]]:
    """Everything that was decided under a regime, and withdrawn, in order, by owner.

    Raises
    ------
    InputError
        The store's.
    """
    query = f"SELECT {_COLUMNS} FROM lead_decision_history WHERE regime = ? ORDER BY number"
    found: dict[str, list[LeadDecision]] = {}
    with open_store(store, read_only=True) as connection:
        for row in connection.execute(query, [regime]).fetchall():
            found.setdefault(row[0], []).append(LeadDecision(*row))
    return found


def check_decision(decision: str, *, also: Sequence[str] = ()) -> None:
    """Refuse a word that is no decision, nor one of those that are right ``also``.

    Raises
    ------
    InputError
        With those that are.
    """
    right = (*DECISIONS, *also)
    if decision not in right:
        raise InputError("decision", f"one of {', '.join(right)}", decision[:LONGEST_REVIEWER])


def check_texts(reviewer: str, note: str) -> None:
    """Refuse a reviewer's name or a note that cannot be kept.

    Raises
    ------
    InputError
        It is blank, too long, or holds control characters; a note may be blank and have line breaks.
    """
    _check_text("reviewer", reviewer, LONGEST_REVIEWER)
    _check_text("note", note, LONGEST_NOTE, allowed=_NEWLINES, blank=True)


def _check_text(where: str, text: str, most: int, *, allowed: str = "", blank: bool = False) -> None:
    if len(text) > most:
        raise InputError(where, f"at most {most:,} characters", len(text))
    if not blank and not text.strip():
        raise InputError(where, "a name that is not blank", text)
    wrong = [one for one in text if unicodedata.category(one) in _NO_TEXT and one not in allowed]
    if wrong:
        raise InputError(where, "text without control characters", wrong[0])


def _decide(
    store: Path, owner: str, regime: str, decision: str | None, reviewer: str, note: str, seen: int | None
) -> LeadDecision:
    for where, text in (("owner", owner), ("regime", regime)):
        _check_text(where, text, LONGEST_NAME)
    check_texts(reviewer, note)
    made = LeadDecision(owner, regime, decision, reviewer.strip(), note.strip(), now())
    with open_store(store) as connection:
        if seen is not None:
            _check_seen(connection, owner, regime, seen)
        standing = connection.execute(
            f"SELECT 1 FROM ({query_of('lead_decisions')}) WHERE owner = ? AND regime = ?", [owner, regime]
        ).fetchone()
        if decision is None and standing is None:
            raise InputError(str(store), "a decision about this owner under this regime", f"{owner} under {regime}")
        connection.execute(
            f"""INSERT INTO lead_decision_history (number, {_COLUMNS})
                SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ? FROM lead_decision_history""",
            [made.owner, made.regime, made.decision, made.reviewer, made.note, made.at],
        )
    return made


def _check_seen(connection: duckdb.DuckDBPyConnection, owner: str, regime: str, seen: int) -> None:
    """Refuse to decide over a decision that the reviewer has not seen."""
    on_record = connection.execute(
        'SELECT reviewer, "at" FROM lead_decision_history WHERE owner = ? AND regime = ? ORDER BY number',
        [owner, regime],
    ).fetchall()
    if len(on_record) != seen:
        by = f" (by {on_record[-1][0]}, {on_record[-1][1]:%Y-%m-%d %H:%M} UTC)" if on_record else ""
        expected = f"one made in sight of the newest on record{by}; read it, and save again if yours shall replace it"
        raise InputError("decision", expected)
