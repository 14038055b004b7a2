"""From records to leads: every step in order over one store, and the answer as a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from thresher.errors import InputError
from thresher.records.decisions import LeadDecision
from thresher.regime import Regime, load_regime
from thresher.result import Result
from thresher.screening.account import account
from thresher.screening.aggregation import Owner, owners_of
from thresher.screening.control import control
from thresher.screening.corroboration import corroborate
from thresher.screening.custody import held_at
from thresher.screening.engine import Engine, Findings, open_engine
from thresher.screening.holdings_findings import aggregate
from thresher.screening.leads import Lead, leads_of
from thresher.screening.reading_day import reading_day
from thresher.screening.resolution.resolve import resolve
from thresher.sources import load_quantities

DEFAULT_REGIME = "miri-2026-memory"
LOOK_BACK_DAYS = 365
TOP = 20


@dataclass(frozen=True, slots=True)
class Screening:
    """Everything a screening worked out, for those who go on from it."""

    as_of: date
    look_back_days: int
    regime: Regime
    prior_share: float
    owners: Sequence[Owner]
    steps: Sequence[Findings]
    leads: Sequence[Lead]
    decisions: Mapping[str, LeadDecision] = field(default_factory=dict)
    """What reviewers decided about leads under this regime, by owner; no probability knows of it."""


def screen_engine(
    engine: Engine,
    *,
    regime: str | Path | Regime = DEFAULT_REGIME,
    as_of: date | None = None,
    look_back_days: int = LOOK_BACK_DAYS,
    prior_share: float | None = None,
    top: int = TOP,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Screening:
    """Run every step over the evidence of an engine; see `screen`."""
    rule = regime if isinstance(regime, Regime) else load_regime(regime)
    if prior_share is None:
        prior_share = load_quantities("thresher.screening", "leads.yaml")["prior_share_of_hiders"].value
    if not 0.0 < prior_share < 1.0:
        raise InputError("prior", "a share between 0 and 1", prior_share)
    if top < 1:
        raise InputError("top", "at least 1 lead", top)
    as_of = reading_day(engine, as_of, look_back_days)
    progress("resolve: who is who")
    resolve(engine, seed=seed)
    held_at(engine, as_of)
    progress("control: who controls what")
    controlled = control(engine, as_of, look_back_days)
    progress("aggregate: what the rule covers")
    owners = owners_of(engine, rule, as_of)
    progress("account: the ledger of chips")
    accounted = account(engine, as_of, look_back_days)
    progress("corroborate: power, pings, purchases, prices")
    corroborated = corroborate(engine, as_of, look_back_days, regime=rule, owners=engine.table("entity_owner"))
    steps = [controlled, aggregate(engine, owners, rule, as_of, look_back_days), accounted, corroborated]
    steps = [_worked_out(engine, at, step) for at, step in enumerate(steps)]
    progress("leads: weighing the evidence")
    leads = leads_of(engine, owners, steps, prior_share=prior_share, top=top)
    decisions = _decisions_under(engine, rule.name)
    return Screening(as_of, look_back_days, rule, prior_share, owners, steps, leads, decisions)


def _decisions_under(engine: Engine, regime: str) -> dict[str, LeadDecision]:
    """The decisions that stand under a regime, by owner."""
    rows = engine.table("lead_decisions").filter(lambda row: row.regime == regime).to_pyarrow().to_pylist()
    return {row["owner"]: LeadDecision(**row) for row in rows}


def _worked_out(engine: Engine, at: int, step: Findings) -> Findings:
    """The findings of a step worked out once; the rows behind them stay to be asked for."""
    return step._replace(findings=engine.keep(f"findings_{at}", step.findings))


@contextmanager
def screening(store: str | Path, *, engine: str = "duckdb", **choices: Any) -> Iterator[tuple[Engine, Screening]]:
    """Screen a store and keep the engine open, to look up rows and write dossiers; the choices are those of `screen`."""
    with open_engine(Path(store), engine) as opened:
        yield opened, screen_engine(opened, **choices)


def screen(store: str | Path, **choices: Any) -> Result:
    """Find the owners that hold, across shells and sites, what a rule covers.

    Parameters
    ----------
    store
        A store made by `thresher.import_records`; it is only read.
    regime
        A regime's name or file.
    as_of
        The day the records are read as of; by default that of the latest record.
    look_back_days
        How far back purchases, moves and readings are looked at.
    prior_share
        The share of owners that hide a covered cluster before anything is known of them.
    top
        How many leads are given with the rows behind them.
    seed
        Of the samples that train the linkage.
    engine
        ``duckdb`` or ``spark``.

    Returns
    -------
    Result
        Of kind ``screening``: ``leads``, the likeliest first, each with the ``decision`` of a reviewer that stands (None
        where there is none), and a ``summary``.

    Raises
    ------
    InputError
        What is wrong with the store or a choice, and what would be right.
    """
    with screening(store, **choices) as (_, found):
        return as_result(str(store), found, int(choices.get("top", TOP)))


def as_result(store: str, found: Screening, top: int) -> Result:
    """A screening as a result file."""
    words = {True: "covered", False: "not covered", None: "unknown"}
    readings = [one.readings for one in found.owners]
    counts = {
        reading: {word: sum(getattr(one, reading) is value for one in readings) for value, word in words.items()}
        for reading in ("as_it_reads", "networked", "together")
    }
    return Result(
        "screening",
        {
            "store": store,
            "regime": found.regime.name,
            "as_of": found.as_of.isoformat(),
            "look_back_days": found.look_back_days,
            "prior_share": found.prior_share,
            "top": top,
        },
        {
            "summary": {
                "owners_considered": len(found.owners),
                "readings": counts,
                "covered_only_together": sum(one.together is True and one.as_it_reads is False for one in readings),
            },
            "leads": [_lead_as_json(one, words, found.decisions.get(one.owner)) for one in found.leads[:top]],
        },
    )


def _lead_as_json(lead: Lead, words: Mapping[bool | None, str], decision: LeadDecision | None) -> dict[str, Any]:
    data = asdict(lead) | {"decision": decision and decision.as_json()}
    for reading in ("as_it_reads", "networked", "together"):
        data["readings"][reading] = words[getattr(lead.readings, reading)]
    return data
