"""Which clusters a rule covers: a table of chips by cluster, counted together as each clause says.

How rows are counted together
-----------------------------
Every row of a cluster belongs to one set, unless the table says otherwise; a blank cell is unknown, and never splits.

- ``networked``: rows of one cluster part only where their sites are named and different and a row is said to be
  unlinked (its interconnect is given and not above the clause's limit, or ``networked`` is ``no``); an interconnect
  above the limit, or ``networked`` = ``yes`` where the clause has that limb, links it again. Where being co-located is
  enough, all rows at one named site count together, of whichever cluster.
- ``site``: rows of one cluster part where their sites are named and different; rows of different clusters at one named
  site join where both are linked above the clause's limit. A row said not to be linked above the limit is not connected
  as the clause demands, and does not count at all.
- ``owner``: all rows of one named owner, and, where a row of a cluster has no owner, all rows of that cluster.
- ``cluster``: the rows of each cluster.

A cluster is covered by a clause when any set that one of its rows belongs to is over the line.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.catalog import Chip, chip
from thresher.errors import InputError
from thresher.regime.clauses import chip_figure, components, exceeds, is_counted, largest
from thresher.regime.schema import ClusterClause, Definitions, Grouping
from thresher.sources import read_text

REQUIRED_COLUMNS = ("cluster", "chip", "count")
OPTIONAL_COLUMNS = ("site", "owner", "interconnect_gbit_s", "networked")

_YES_NO = {"": None, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_MOST_CHIPS = 10**12

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """Chips of one type in a cluster; ``None`` or an empty text is unknown.

    ``interconnect_gbit_s`` is what links these chips to the rest of their cluster, and ``networked`` says whether they
    are networked with it to perform workloads together.
    """

    cluster: str
    chip: Chip
    count: int
    site: str = ""
    owner: str = ""
    interconnect_gbit_s: float | None = None
    networked: bool | None = None


@dataclass(frozen=True, slots=True)
class ClauseDecision:
    """What one clause says of a cluster.

    ``value`` is that of the largest set the cluster's chips are counted in, None where it cannot be told; ``margin`` is
    how far it lies over the line, as a share of it (negative: below); ``counted_together`` names all clusters in the
    set, this one included; ``missing`` names the figures that the catalog lacks.
    """

    cluster: str
    id: str
    metric: str
    value: float | None
    threshold: float
    covered: bool | None
    margin: float | None
    counted_together: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def counted_with(self) -> tuple[str, ...]:
        """The other clusters in the set."""
        return tuple(name for name in self.counted_together if name != self.cluster)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a rule covers a cluster, clause by clause; None where a missing figure decides."""

    cluster: str
    covered: bool | None
    clauses: tuple[ClauseDecision, ...]


def read_clusters(path: str | Path) -> list[ClusterRow]:
    """Read a table of clusters.

    The columns are ``cluster,chip,count`` and, as they are known, ``site,owner,interconnect_gbit_s,networked``. One row
    per chip type; rows of one cluster belong together. Other columns are left alone, but one whose
    name is nearly a known one is refused. Lines before the header that start with ``#`` are comments.

    Raises
    ------
    InputError
        The file, line and field of the first cell that is wrong, and what would be right.
    """
    return parse_clusters(read_text(Path(path)), str(path))


def parse_clusters(text: str, where: str) -> list[ClusterRow]:
    """Check the text of a table of clusters; see ``read_clusters``."""
    lines = text.splitlines(keepends=True)
    comments = 0
    while comments < len(lines) and (lines[comments].startswith("#") or not lines[comments].strip()):
        comments += 1
    reader = csv.reader(io.StringIO("".join(lines[comments:]), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, where)
        known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
        rows = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                here = f"{where} line {comments + reader.line_num}"
                if len(cells) != len(header):
                    raise InputError(here, f"{len(header)} cells, as in the header", len(cells))
                rows.append(
                    _row({name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in known}, here)
                )
    except csv.Error as error:
        raise InputError(f"{where} line {comments + reader.line_num}", f"valid CSV ({error})") from None
    if not rows:
        raise InputError(where, "at least one row under the header")
    return rows


def _check_header(header: list[str], where: str) -> None:
    for name in REQUIRED_COLUMNS:
        if name not in header:
            raise InputError(f"{where}: header", f"a column `{name}`", ",".join(header))
    known = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    for at, name in enumerate(header):
        near = difflib.get_close_matches(name, known, 1)
        if name not in known and near:
            raise InputError(f"{where}: header", f"the column `{near[0]}`", name)
        if name in header[:at]:
            raise InputError(f"{where}: header", "each column once", name)


def _row(cells: dict[str, str], here: str) -> ClusterRow:
    for name, cell in cells.items():
        if not cell.isprintable():
            raise InputError(f"{here}, {name}", "printable text", cell)
    if not cells["cluster"]:
        raise InputError(f"{here}, cluster", "a name")
    try:
        model = chip(cells["chip"])
    except InputError as error:
        raise InputError(f"{here}, chip", error.expected, cells["chip"]) from None
    count = _number(cells["count"])
    if count is None or not 1 <= count <= _MOST_CHIPS or count != int(count):
        raise InputError(f"{here}, count", "a whole number of chips, at least 1", cells["count"])
    interconnect = cells.get("interconnect_gbit_s", "")
    rate = _number(interconnect)
    if interconnect and (rate is None or rate < 0):
        raise InputError(f"{here}, interconnect_gbit_s", "a rate in Gbit/s of at least 0, or a blank", interconnect)
    networked = cells.get("networked", "").lower()
    if networked not in _YES_NO:
        raise InputError(f"{here}, networked", "yes, no or a blank", cells["networked"])
    return ClusterRow(
        cells["cluster"], model, int(count), cells.get("site", ""), cells.get("owner", ""), rate, _YES_NO[networked]
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def classify(
    rows: Sequence[ClusterRow], clauses: Sequence[ClusterClause], definitions: Definitions | None
) -> list[Decision]:
    """Decide, for every cluster of a table, whether the cluster clauses of a rule cover it.

    Parameters
    ----------
    rows
        The table; clusters are decided in the order of their first row.
    clauses, definitions
        The rule's cluster clauses and its definitions.

    Returns
    -------
    One decision for each cluster. A cluster is covered when any clause covers it; it is undecided (None) when none
    does and a figure is missing for one that might.
    """
    if not rows:
        return []
    table = _Table(rows)
    by_clause = [_decide(clause, definitions, table) for clause in clauses]
    return [
        Decision(name, _any_covers([decided[at].covered for decided in by_clause]), tuple(one[at] for one in by_clause))
        for at, name in enumerate(table.names)
    ]


def decisions_as_json(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Decisions in the published JSON form: cluster, covered, and clauses with id, value, threshold and covered."""
    return [
        {
            "cluster": one.cluster,
            "covered": one.covered,
            "clauses": [
                {"id": clause.id, "value": clause.value, "threshold": clause.threshold, "covered": clause.covered}
                for clause in one.clauses
            ],
        }
        for one in decisions
    ]


def _any_covers(covered: list[bool | None]) -> bool | None:
    return True if True in covered else None if None in covered else False


class _Table:
    """The rows as arrays: a number for each cluster, site and owner (-1: blank), counts, links, chip numbers."""

    def __init__(self, rows: Sequence[ClusterRow]) -> None:
        cluster_numbers: dict[str, int] = {}
        site_numbers: dict[str, int] = {"": -1}
        owner_numbers: dict[str, int] = {"": -1}
        chip_numbers: dict[Chip, int] = {}

        def numbered(values: list[Any], numbers: dict[Any, int], blanks: int = 0) -> Integers:
            return np.array([numbers.setdefault(value, len(numbers) - blanks) for value in values], dtype=np.int64)

        self.cluster = numbered([row.cluster for row in rows], cluster_numbers)
        self.site = numbered([row.site for row in rows], site_numbers, blanks=1)
        self.owner = numbered([row.owner for row in rows], owner_numbers, blanks=1)
        self.chip = numbered([row.chip for row in rows], chip_numbers)
        self.count = np.array([row.count for row in rows], dtype=np.float64)
        self.interconnect = np.array(
            [math.nan if row.interconnect_gbit_s is None else row.interconnect_gbit_s for row in rows]
        )
        self.networked = np.array([0 if row.networked is None else 1 if row.networked else -1 for row in rows])
        self.names = list(cluster_numbers)
        self.chips = list(chip_numbers)


def _links(table: _Table, limit: float | None, by_workload: bool) -> Integers:
    """For each row: 1 linked to its cluster as a clause demands, -1 said not to be, 0 unknown."""
    known = ~np.isnan(table.interconnect) if limit is not None else np.zeros(len(table.count), dtype=bool)
    linked = known & (table.interconnect > (math.inf if limit is None else limit))
    if by_workload:
        linked |= table.networked == 1
    return np.where(linked, 1, np.where(known | (table.networked == -1), -1, 0))


def _sets(table: _Table, grouping: Grouping) -> tuple[Integers, Floats]:
    """The set that each row is counted in, as a number, and the share of the row that counts (0 or 1)."""
    share = np.ones(len(table.count))
    limit = grouping.interconnect_gbit_s_over
    cluster_at_site = _pairs(table.cluster, table.site)
    keys: list[Integers]
    match grouping.over:
        case "cluster":
            keys = [table.cluster]
        case "owner":
            keys = [table.owner, _where_any_blank(table.cluster, table.owner)]
        case "site":
            links = _links(table, limit, by_workload=False) if limit is not None else np.ones_like(table.site)
            share = np.where(links < 0, 0.0, 1.0)
            together = np.where(links > 0, table.site, -1)
            keys = [cluster_at_site, together, _where_any_blank(table.cluster, table.site)]
        case _:
            apart = (_links(table, limit, grouping.common_workload) < 0) & (table.site >= 0)
            keys = [cluster_at_site, np.where(apart, -1, table.cluster)]
            if grouping.colocated:
                keys.append(table.site)
    return _connected(keys), share


def _pairs(first: Integers, second: Integers) -> Integers:
    numbers: Integers = np.unique(first * (int(second.max()) + 2) + second + 1, return_inverse=True)[1]
    return numbers


def _where_any_blank(cluster: Integers, key: Integers) -> Integers:
    """The cluster's number for rows of clusters in which some row's key is blank, -1 for the rest."""
    blank = np.zeros(int(cluster.max()) + 1, dtype=bool)
    blank[cluster[key < 0]] = True
    return np.where(blank[cluster], cluster, -1)


def _connected(keys: list[Integers]) -> Integers:
    """Number the sets of rows connected by shared keys (-1 connects nothing): least row numbers spread until still."""
    label = np.arange(len(keys[0]))
    while True:
        before = label
        for key in keys:
            shares = key >= 0
            smallest = np.full(int(key.max(initial=-1)) + 1, len(label))
            np.minimum.at(smallest, key[shares], label[shares])
            label = label.copy()
            # the row that stood for this one learns it too, so that a long chain takes few rounds
            np.minimum.at(label, label[shares], smallest[key[shares]])
            label[shares] = np.minimum(label[shares], smallest[key[shares]])
        while not np.array_equal(label, label[label]):
            label = label[label]
        if np.array_equal(label, before):
            return np.unique(label, return_inverse=True)[1]


def _decide(clause: ClusterClause, definitions: Definitions | None, table: _Table) -> list[ClauseDecision]:
    """What a clause says of each cluster of the table."""
    sets, share = _sets(table, clause.grouping)
    counted = np.array([is_counted(clause, one) for one in table.chips])[table.chip] & (share > 0)
    count = np.where(counted, table.count, 0.0)
    size = int(sets.max()) + 1
    parts = components(clause, definitions)
    totals, unknown, lacking = [], np.ones(size, dtype=bool), np.zeros(len(sets), dtype=bool)
    for part in parts:
        figure = np.array([chip_figure(one, part.figure) for one in table.chips])[table.chip]
        blank = np.isnan(figure) & counted
        totals.append(np.bincount(sets, weights=count * np.where(np.isnan(figure), 0.0, figure), minlength=size))
        unknown &= np.bincount(sets, weights=blank, minlength=size) > 0
        lacking |= blank
    # where a figure is missing from every sum the value is a lower bound: enough to say yes, never to say no
    value = largest(totals, parts)
    over = exceeds(clause.comparison, value, clause.threshold)
    best = _largest_set(table.cluster, sets, value, over, unknown)
    members = _members(table, sets)
    lacking_in = _missing(clause, table, sets, lacking)
    decisions = []
    for at, chosen in enumerate(best.tolist()):
        covered = True if over[chosen] else None if unknown[chosen] else False
        amount = None if covered is None else float(value[chosen])
        decisions.append(
            ClauseDecision(
                cluster=table.names[at],
                id=clause.id,
                metric=clause.metric,
                value=amount,
                threshold=clause.threshold,
                covered=covered,
                margin=None if amount is None else amount / clause.threshold - 1.0,
                counted_together=members[chosen],
                missing=lacking_in.get(chosen, ()) if unknown[chosen] else (),
            )
        )
    return decisions


def _largest_set(cluster: Integers, sets: Integers, value: Floats, over: Any, unknown: Any) -> Integers:
    """For each cluster, the set that speaks for it: one over the line, else an undecided one, else the largest."""
    order = np.lexsort((value[sets], unknown[sets] & ~over[sets], over[sets], cluster))
    last = np.flatnonzero(np.append(np.diff(cluster[order]) != 0, True))
    return sets[order[last]]


def _members(table: _Table, sets: Integers) -> dict[int, tuple[str, ...]]:
    """The clusters with rows in each set, in the order of the table; one tuple a set, shared by its clusters."""
    members: dict[int, list[str]] = {}
    for chosen, at in np.unique(np.stack([sets, table.cluster], axis=1), axis=0).tolist():
        members.setdefault(chosen, []).append(table.names[at])
    return {chosen: tuple(names) for chosen, names in members.items()}


def _missing(clause: ClusterClause, table: _Table, sets: Integers, lacking: Any) -> dict[int, tuple[str, ...]]:
    """For each set, the chips whose figures the clause lacks."""
    found: dict[int, tuple[str, ...]] = {}
    for chosen, at in np.unique(np.stack([sets[lacking], table.chip[lacking]], axis=1), axis=0).tolist():
        found[chosen] = (*found.get(chosen, ()), f"{table.chips[at].chip}: {clause.metric}")
    return found
