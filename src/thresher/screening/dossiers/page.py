"""Dossiers as web pages: an index of the leads and a page for each, self-contained, every figure linked to its rows."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from thresher.errors import InputError
from thresher.records.schema import tables
from thresher.regime import Regime
from thresher.screening.dossiers import graph, text, timeline, waterfall
from thresher.screening.dossiers.rows import (
    MOST_ROWS,
    Cited,
    CitedRow,
    Question,
    RowId,
    anchor_of,
    bought_rows,
    buyers_of,
    fetch_rows,
    held_rows,
    keep_members,
    party_rows,
    questions,
    site_rows,
)
from thresher.screening.dossiers.shared import Shared, shared_by
from thresher.screening.engine import Engine
from thresher.screening.evidence import probability_of
from thresher.screening.leads import MOST_CITATIONS, Lead, Reason

if TYPE_CHECKING:
    from jinja2 import Environment

MARK = "thresher dossiers"
"""What the pages say they were made by; only such pages are replaced."""
_OURS = re.compile(r"index\.html|lead-\d+\.html")
_HEAD = 1000
_LOOKED_AT = {
    "account": ("custody", "declarations"),
    "control": ("ownership", "parties"),
    "corroborate": ("power", "pings", "purchases"),
    "aggregate": ("custody", "purchases"),
}
"""The tables that each step reads, to name where no row is cited."""
READINGS = (
    (
        "as_it_reads",
        "As it reads",
        "a place at a time; places are added up only where a link is known to be fast enough",
    ),
    ("networked", "Networked", "the same, and every link whose rate is not known is taken to be fast enough"),
    ("together", "Together", "all that this owner controls counts as one cluster"),
)
"""The three readings of a rule (see `thresher.screening.aggregation`) in words."""
WORDS = {True: "covered", False: "not covered", None: "unknown"}


class Screened(Protocol):
    """What a dossier has to know of the screening that found the leads (`thresher.screening.screen.Screening` is one)."""

    @property
    def regime(self) -> Regime:
        """The rule."""

    @property
    def as_of(self) -> date:
        """The day the records were read as of."""

    @property
    def look_back_days(self) -> int:
        """How far back purchases, moves and readings were looked at."""

    @property
    def prior_share(self) -> float:
        """The share of owners that hide a covered cluster before anything is known of them."""


class Group(NamedTuple):
    """The rows behind a figure as the page lists them: a number for its anchor, a title, what was found, and tables to ask."""

    number: int
    title: str
    detail: str
    cited: Cited
    tables: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """Where a figure links to: its one row, or the list of its rows."""
        if len(self.cited.rows) == 1 and self.cited.total == 1:
            return anchor_of(*self.cited.rows[0])
        return f"rows-{self.number}"

    def of_rows(self, rows: Container[RowId]) -> Group:
        """The same with those of its rows that were found in the evidence."""
        return self._replace(cited=self.cited._replace(rows=tuple(row for row in self.cited.rows if row in rows)))

    @property
    def left_out(self) -> int | None:
        """How many rows are not listed; None where that was not counted."""
        return None if self.cited.total is None else self.cited.total - len(self.cited.rows)


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that one lead's page shows; ``groups`` are looked up by what they are about."""

    lead: Lead
    groups: Mapping[Any, Group]
    rows: Mapping[RowId, CitedRow]
    timeline: timeline.Timeline
    graph: graph.Graph
    shared: Sequence[Shared]
    questions: Mapping[str, Question]
    buyers: Sequence[str]

    @property
    def file(self) -> str:
        """The name of its page."""
        return f"lead-{self.lead.rank:03d}.html"

    @property
    def entities(self) -> list[str]:
        """The owner and its entities that hold or buy."""
        return list(dict.fromkeys((self.lead.owner, *self.lead.entities)))

    @property
    def names(self) -> dict[str, str | None]:
        """The names of this owner's entities and of those around them, where they have one."""
        lead = self.lead
        found = {node.entity: node.name for node in self.graph.nodes} | {lead.owner: lead.name}
        return found | {entity: name for entity, name in lead.names.items() if name}

    def group(self, key: Any) -> Group:
        """The rows of a figure; those of all its chips, where the figure is about something that has none of its own."""
        return self.groups.get(key, self.groups["holdings"])

    def rows_of(self, table: str) -> list[CitedRow]:
        """The cited rows of one table, in order."""
        return [row for (name, _), row in self.rows.items() if name == table]

    def columns_of(self, table: str) -> list[str]:
        """The columns in which some cited row of a table holds something, in the table's order."""
        filled = {column for row in self.rows_of(table) for column in row.cells}
        return [name for name in (*(one.name for one in tables()[table]), "extra") if name in filled]


def write_dossiers(folder: Path, engine: Engine, screened: Screened, leads: Sequence[Lead]) -> list[Path]:
    """Write ``index.html`` and a page for each lead; all of them or none.

    Parameters
    ----------
    folder
        Where: a folder that is not there yet, is empty, or holds earlier dossiers, which go.
    engine
        The engine that the leads were found with: the rows they cite are looked up there.
    screened
        What was screened for, and when.
    leads
        Those to write about, as a rule the first few.

    Returns
    -------
    The files, the index first.

    Raises
    ------
    InputError
        The folder holds something else, or cannot be written.
    """
    folder = folder.resolve()
    _refuse_others(folder)
    dossiers = dossiers_of(engine, leads, screened.as_of)
    pages = {"index.html": render("index.html.j2", screened, dossiers=dossiers)}
    pages |= {one.file: lead_page(one, screened, len(dossiers)) for one in dossiers}
    _put_in_place(folder, pages)
    return [folder / name for name in pages]


def lead_page(dossier: Dossier, screened: Screened, leads: int) -> str:
    """The page of one lead; the same dossier gives the same text, byte for byte."""
    return render("lead.html.j2", screened, alone=True, list_href="index.html", **lead_values(dossier, screened, leads))


def lead_values(dossier: Dossier, screened: Screened, leads: int) -> dict[str, Any]:
    """What the template of a lead puts out, wherever that stands."""
    lead = dossier.lead
    known = waterfall.known_reasons(lead)
    return {
        "d": dossier,
        "lead": lead,
        "leads": leads,
        "known": list(zip(known, waterfall.running_totals(lead)[1:], strict=True)),
        "unknown": waterfall.unknown_reasons(lead),
        "swings": _swings(lead),
        "bars": waterfall.drawing_of(lead),
        "drawn_graph": graph.drawing_of(dossier.graph),
        "drawn_events": timeline.drawing_of(dossier.timeline.events, screened.as_of),
    }


def dossiers_of(engine: Engine, leads: Sequence[Lead], as_of: date) -> list[Dossier]:
    """What the page of each lead shows: a bounded number of queries for all of them together."""
    if not leads:
        return []
    keep_members(engine, leads)
    found = {
        "party": party_rows(engine),
        "held": held_rows(engine),
        "bought": bought_rows(engine, as_of),
    }
    sites = site_rows(engine, leads)
    timelines, graphs = timeline.timelines_of(engine, leads, as_of), graph.graphs_of(engine, leads, as_of)
    members, buyers = _members(engine), buyers_of(engine, as_of)
    shared = shared_by(engine, {owner: [node.entity for node in one.nodes] for owner, one in graphs.items()})
    groups = {lead.owner: _groups(lead, found, sites, shared[lead.owner]) for lead in leads}
    wanted = {lead.owner: _wanted(groups[lead.owner], timelines[lead.owner], graphs[lead.owner]) for lead in leads}
    rows = fetch_rows(engine, (row for some in wanted.values() for row in some))
    return [
        Dossier(
            lead,
            {key: group.of_rows(rows) for key, group in groups[lead.owner].items()},
            {row: rows[row] for row in sorted(wanted[lead.owner]) if row in rows},
            timelines[lead.owner],
            graphs[lead.owner],
            shared[lead.owner],
            questions(
                members.get(lead.owner, []),
                buyers.get(lead.owner, []),
                sorted({one["site"] for one in lead.holdings if one["site"] is not None}),
                as_of,
            ),
            buyers.get(lead.owner, []),
        )
        for lead in leads
    ]


def _members(engine: Engine) -> dict[str, list[str]]:
    found = defaultdict(list)
    rows = engine.table("dossier_parties").select("lead", "party").to_pyarrow()
    for lead, party in sorted(zip(rows["lead"].to_pylist(), rows["party"].to_pylist(), strict=True)):
        found[lead].append(party)
    return found


def _wanted(groups: Mapping[Any, Group], events: timeline.Timeline, drawn: graph.Graph) -> set[RowId]:
    return {
        *(row for group in groups.values() for row in group.cited.rows),
        *((one.table, row_id) for one in events.events for row_id in one.row_ids),
        *(("ownership", edge.row_id) for edge in drawn.edges),
    }


def _groups(
    lead: Lead,
    found: Mapping[str, Mapping[tuple[Any, ...], Cited]],
    sites: Mapping[tuple[Any, ...], Cited],
    shared: Sequence[Shared],
) -> dict[Any, Group]:
    """Every figure's rows, by what the figure is about."""
    nothing = Cited((), 0)
    made: dict[Any, tuple[str, str, Cited, tuple[str, ...]]] = {}
    for reason in lead.reasons:
        made["reason", reason.finding] = (reason.title, reason.detail, _cited_by(reason), _tables_of(reason))
    held = [found["held"].get((lead.owner, one["entity"], one["site"], one["chip"]), nothing) for one in lead.holdings]
    custody = ("custody",)
    made["holdings"] = ("All chips held", "the latest event of each serial number", _together(held), custody)
    for at, one in enumerate(lead.holdings):
        where = f"{text.short(one['chip'])} at {text.short(one['site'])}, held by {text.short(one['entity'])}"
        made["held", at] = (f"Chips held: {where}", "", held[at], custody)
    for site in dict.fromkeys(one["site"] for one in lead.holdings):
        here = [rows for one, rows in zip(lead.holdings, held, strict=True) if one["site"] == site]
        made["at", site] = (f"Chips at {text.short(site)}", "", _together(here), custody)
        if site is not None:
            rows = sites.get((site,), nothing)
            made["site", site] = (f"Site {text.short(site)}", "", rows, ("sites",))
    for chip in lead.unseen:
        rows = found["bought"].get((lead.owner, chip), nothing)
        made["bought", chip] = (f"Purchases of {chip}", "", rows, ("purchases", "custody", "declarations"))
    for entity in dict.fromkeys((lead.owner, *lead.entities)):
        rows = found["party"].get((lead.owner, entity), nothing)
        made["party", entity] = (f"Entries of {text.short(entity)} in the register", "", rows, ("parties",))
    for at, thing in enumerate(shared):
        made["shared", at] = (f"Who shares {thing.words}", "", thing.rows, (thing.table,))
    return {key: Group(number, *parts) for number, (key, parts) in enumerate(made.items(), start=1)}


def _cited_by(reason: Reason) -> Cited:
    """The rows of a reason; where they are as many as are ever cited, there may be more."""
    total = len(reason.citations)
    return Cited(reason.citations, None if total >= MOST_CITATIONS else total)


def _tables_of(reason: Reason) -> tuple[str, ...]:
    return tuple(dict.fromkeys(table for table, _ in reason.citations)) or _LOOKED_AT[reason.step]


def _together(some: Iterable[Cited]) -> Cited:
    some = list(some)
    rows = dict.fromkeys(row for one in some for row in one.rows)
    return Cited(tuple(rows)[:MOST_ROWS], sum(one.total or 0 for one in some))


class Swing(NamedTuple):
    """What would move a lead most: the reason, and the probability it would come to."""

    reason: Reason
    probability: float


def _swings(lead: Lead) -> dict[str, Swing | None]:
    """What would raise the probability most, and what would lower it most; None where nothing would."""
    up = max(lead.reasons, key=lambda one: (one.if_found, one.finding), default=None)
    down = min(lead.reasons, key=lambda one: (one.if_not, one.finding), default=None)
    return {
        "raise": Swing(up, probability_of(lead.log10_odds + up.if_found)) if up and up.if_found > 0 else None,
        "lower": Swing(down, probability_of(lead.log10_odds + down.if_not)) if down and down.if_not < 0 else None,
    }


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - heavy, and only for pages

    made = Environment(
        loader=PackageLoader("thresher.screening.dossiers"),
        autoescape=True,
        finalize=text.finalised,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        name: getattr(text, name) for name in ("short", "number", "signed", "percent", "of_owners", "times")
    }
    made.globals |= {
        "mark": MARK,
        "readings": READINGS,
        "words": WORDS,
        "anchor_of": anchor_of,
        "probability_of": probability_of,
    }
    return made


def render(template: str, screened: Screened, **values: Any) -> str:
    """A template of this folder with its values, every one of them escaped."""
    from importlib.metadata import version  # noqa: PLC0415 - reads files

    return _environment().get_template(template).render(s=screened, version=version("thresher"), **values)


def _refuse_others(folder: Path) -> None:
    """Refuse a place that holds anything but dossiers."""
    if not folder.exists():
        return
    expected = "a folder that is new, empty, or holds nothing but earlier dossiers"
    if not folder.is_dir():
        raise InputError(str(folder), expected, "a file")
    try:
        for path in sorted(folder.iterdir()):
            if not (_OURS.fullmatch(path.name) and path.is_file() and MARK.encode() in path.read_bytes()[:_HEAD]):
                raise InputError(str(folder), expected, path.name)
    except OSError as error:
        raise InputError(str(folder), f"a folder that can be read ({error.strerror or error})") from None


def _put_in_place(folder: Path, pages: Mapping[str, str]) -> None:
    """Write pages to a folder beside the target, and give it the target's name once all are there."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
            made, before = Path(work) / "made", Path(work) / "before"
            made.mkdir()
            for name, page in pages.items():
                (made / name).write_text(page, "utf-8")
            if folder.exists():
                folder.rename(before)
            try:
                made.rename(folder)
            except BaseException:
                if before.exists():
                    before.rename(folder)
                raise
    except OSError as error:
        raise InputError(str(folder), f"a place that can be written ({error.strerror or error})") from None
