"""Reviewers' decisions about leads: made about an owner that the records know, and looked up by a screening."""

from __future__ import annotations

from pathlib import Path

import ibis

from thresher.errors import InputError
from thresher.records.decisions import (
    LONGEST_NAME,
    LeadDecision,
    add_decision,
    check_decision,
    check_texts,
    remove_decision,
)
from thresher.regime import load_regime
from thresher.screening.engine import Engine, open_engine
from thresher.screening.resolution.mentions import text_mentions
from thresher.screening.screen import DEFAULT_REGIME

_NAMED_BY = (
    ("parties", "party"),
    ("custody", "from_party"),
    ("custody", "to_party"),
    ("ownership", "owner"),
    ("ownership", "owned"),
    ("ownership", "on_behalf_of"),
    ("declarations", "party"),
)
"""Where the records have ids of parties, after one of which an owner is named."""
_OF_TEXTS = ("buyer:", "name:")
"""How the id of an owner begins that only free text names."""


def decide(
    store: str | Path,
    owner: str,
    decision: str,
    *,
    regime: str | Path = DEFAULT_REGIME,
    reviewer: str,
    note: str = "",
    seen: int | None = None,
) -> LeadDecision:
    """Keep a reviewer's decision about a lead in the store; it changes no probability.

    Parameters
    ----------
    store
        A store made by `thresher.import_records`; nobody else may have it open.
    owner
        The lead's owner, by its id as `thresher.screen` gives it.
    decision
        ``follow-up``, ``dismiss`` or ``ask-for-records``; or ``undo``, which withdraws the one that stands.
    regime
        The regime that was screened for: its name or file. A decision stands under the regime's name.
    reviewer, note
        Who decides (at most 200 characters), and why (at most 2,000).
    seen
        How many decisions about the lead, and withdrawals, the reviewer has seen on record: where there are others by
        now, nothing is written. By default whatever stands is replaced.

    Returns
    -------
    LeadDecision
        What was stored; its ``decision`` is blank where one was withdrawn.

    Raises
    ------
    InputError
        The records know no such owner, the decision is another word, nothing stands that could be withdrawn, a text is
        too long, another number was seen than is on record, or the store cannot be written. The store is then as it was.
    """
    check_decision(decision, also=("undo",))
    check_texts(reviewer, note)
    name = load_regime(regime).name
    path = Path(store)
    with open_engine(path) as engine:
        if len(owner) > LONGEST_NAME or not is_known(engine, owner):
            raise InputError(
                "owner", "an owner as `thresher screen` lists them (P-7, buyer:..., name:...)", owner[:LONGEST_NAME]
            )
    if decision == "undo":
        return remove_decision(path, owner, name, reviewer, note, seen)
    return add_decision(path, owner, name, decision, reviewer, note, seen)


def is_known(engine: Engine, owner: str) -> bool:
    """Whether the records name anybody by this id, so that an owner may be named by it."""
    named = [engine.table(table).select(party=column) for table, column in _NAMED_BY]
    if ibis.union(*named).filter(lambda row: row.party == owner).limit(1).count().to_pyarrow().as_py():
        return True
    return owner.startswith(_OF_TEXTS) and owner in text_mentions(engine)["mention"].to_pylist()
