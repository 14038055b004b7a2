"""Who owns whom around an owner: a bounded graph from the chips' holders up, and where a drawing puts it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

import ibis
import networkx as nx
import pyarrow as pa

from thresher.screening.dossiers.rows import keep_members, names_of
from thresher.screening.dossiers.text import fit, number
from thresher.screening.engine import Engine
from thresher.screening.leads import Lead

MOST_NODES = 40
MOST_LINKS = 8
"""Links followed up from a holder of chips."""
MOST_OWNERS = 6
"""Owners shown of one company for each kind of interest: those with the largest shares."""
MOST_DATED = 16
"""Lines of a drawing whose labels also have dates; those of more would cover each other, and the table has them."""
BEHIND = "through a nominee"
"""For whom a nominee holds, where that is recorded."""


@dataclass(frozen=True, slots=True)
class Node:
    """An entity of the graph; ``chips`` are those it holds."""

    entity: str
    name: str | None
    is_owner: bool
    chips: int


@dataclass(frozen=True, slots=True)
class Edge:
    """One interest that one entity holds in another, and its row of ``ownership``; a blank start is always, a blank end still."""

    owner: str
    owned: str
    share: float | None
    interest: str
    since: date | None
    until: date | None
    row_id: int

    @property
    def held(self) -> str:
        """When it was held, in words; nothing where no day is recorded."""
        return " ".join(f"{word} {day}" for word, day in (("since", self.since), ("until", self.until)) if day)


@dataclass(frozen=True, slots=True)
class Graph:
    """Entities and interests around an owner; ``left_out`` interests of these companies are not in it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    left_out: int


def graph_of(engine: Engine, lead: Lead, as_of: date) -> Graph:
    """The graph of one lead as of a day; `graphs_of` is faster for many."""
    keep_members(engine, [lead])
    return graphs_of(engine, [lead], as_of)[lead.owner]


def graphs_of(engine: Engine, leads: Sequence[Lead], as_of: date) -> dict[str, Graph]:
    """The graph of each lead, by owner: from its holders of chips up, link by link, for all leads at once."""
    interests = engine.keep("dossier_interests", _interests(engine, as_of))
    nodes = {lead.owner: dict.fromkeys(_starts(lead)) for lead in leads}
    found: dict[str, dict[tuple[Any, ...], Edge]] = {lead.owner: {} for lead in leads}
    left_out: dict[str, int] = defaultdict(int)
    asked = {owner: list(some) for owner, some in nodes.items()}
    for _ in range(MOST_LINKS):
        pairs = [(owner, entity) for owner, some in asked.items() for entity in some]
        if not pairs:
            break
        asked = {owner: [] for owner in asked}
        for row in _above(engine, interests, pairs):
            known = nodes[row["lead"]]
            if row["owner"] not in known:
                if len(known) >= MOST_NODES:
                    left_out[row["lead"]] += 1
                    continue
                known[row["owner"]] = None
                asked[row["lead"]].append(row["owner"])
            if row["first"]:
                left_out[row["lead"]] += max(0, row["owners"] - MOST_OWNERS)
            key = (row["row_id"], row["owner"], row["owned"])
            found[row["lead"]][key] = Edge(
                *(row[name] for name in ("owner", "owned", "share", "interest", "from", "to", "row_id"))
            )
    names = names_of(engine, (entity for some in nodes.values() for entity in some))
    graphs = {}
    for lead in leads:
        chips = _chips(lead)
        edges = sorted(found[lead.owner].values(), key=lambda one: (one.owned, one.owner, one.row_id))
        tied = {end for edge in edges for end in (edge.owner, edge.owned)} | {lead.owner, *chips}
        drawn = (
            Node(entity, lead.names.get(entity) or names.get(entity), entity == lead.owner, chips.get(entity, 0))
            for entity in nodes[lead.owner]
            if entity in tied
        )
        graphs[lead.owner] = Graph(tuple(drawn), tuple(edges), left_out[lead.owner])
    return graphs


def _chips(lead: Lead) -> dict[str, int]:
    chips: dict[str, int] = defaultdict(int)
    for held in lead.holdings:
        chips[held["entity"]] += held["chips"]
    return chips


def _starts(lead: Lead) -> list[str]:
    """The owner and its entities, those of most chips first, with room left for those above them."""
    chips = _chips(lead)
    ranked = sorted(lead.entities, key=lambda entity: (-chips.get(entity, 0), entity))
    return list(dict.fromkeys([lead.owner, *ranked]))[: MOST_NODES // 2]


def _interests(engine: Engine, as_of: date) -> ibis.Table:
    """Interests between entities as of a day: ``owner, owned, share, interest, from, to, row_id``, their rank and number.

    A nominee's row gives two: its own, and that of whom it holds for.
    """
    ownership = engine.table("ownership")
    current = ownership.filter(
        (ownership["from"].isnull() | (ownership["from"] <= as_of))
        & (ownership["to"].isnull() | (ownership["to"] >= as_of))
    )
    columns = ("owned", "share", "from", "to", "row_id")
    behind = current.filter(current.on_behalf_of.notnull())
    both = current.select("owner", *columns, "interest").union(
        behind.select(*columns, owner="on_behalf_of", interest=ibis.literal(BEHIND)).select(
            "owner", *columns, "interest"
        )
    )
    for end in ("owner", "owned"):
        known = engine.table("identity").select(_party="party", _entity="entity")
        joined = both.left_join(known, both[end] == known._party)
        both = joined.mutate(**{end: ibis.coalesce(joined._entity, joined[end])}).drop("_party", "_entity")
    both = both.filter(both.owner != both.owned)
    of_kind = ("owned", "interest")
    by_share = [ibis.desc(both.share.fill_null(0.0)), "owner", "row_id"]
    return both.mutate(
        place=ibis.row_number().over(ibis.window(group_by=of_kind, order_by=by_share)),
        owners=both.row_id.count().over(ibis.window(group_by=of_kind)),
    )


def _above(engine: Engine, interests: ibis.Table, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The first interests in each entity of ``pairs`` (lead, entity), in an order of their own."""
    columns = {"lead": [lead for lead, _ in pairs], "owned": [entity for _, entity in pairs]}
    asked = engine.keep("dossier_asked", pa.table(columns, pa.schema([("lead", pa.string()), ("owned", pa.string())])))
    joined = interests.filter(interests.place < MOST_OWNERS).inner_join(asked, "owned")
    rows = joined.mutate(first=joined.place == 0).drop("place").to_pyarrow().to_pylist()
    order = {pair: at for at, pair in enumerate(pairs)}
    return sorted(rows, key=lambda row: (order[row["lead"], row["owned"]], -(row["share"] or 0.0), row["row_id"]))


class Box(NamedTuple):
    """A node of the drawing: its top left corner, and the two lines in it."""

    entity: str
    x: float
    y: float
    label: str
    below: str
    kind: str


class Line(NamedTuple):
    """An edge of the drawing: its path, where its label stands, the label's lines, all there is to say, and its row."""

    path: str
    x: float
    y: float
    words: tuple[str, ...]
    whole: str
    dashed: bool
    row_id: int


class Drawing(NamedTuple):
    """The graph in the units of its drawing: owners left, what they own right of them."""

    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]


BOX_WIDTH, BOX_HEIGHT = 190.0, 40.0
_GAP_X, _GAP_Y, _MARGIN = 210.0, 22.0, 12.0
_COLUMNS = 25
"""Letters that a box has room for."""
_SWEEPS = 6
_LETTER, _LINE = 6.2, 13.0
"""About how wide a letter of a label is, and how high a line."""
_ALONG = (0.62, 0.5, 0.7, 0.38, 0.3)
"""Where on a line its label may stand."""


def drawing_of(graph: Graph) -> Drawing:
    """Where each entity stands: a column for each link of distance from what is owned, neighbours near each other.

    The layered drawing of Sugiyama, Tagawa & Toda (IEEE Trans. SMC 11, 1981): a line over several columns has a place of
    its own in each, and the rows of a column are ordered by the mean place of their neighbours.
    """
    columns, routes = _columns(graph)
    tallest = max(map(len, columns), default=1)
    place: dict[Any, tuple[float, float]] = {}
    for at, column in enumerate(columns):
        top = _MARGIN + (tallest - len(column)) * (BOX_HEIGHT + _GAP_Y) / 2
        for row, stop in enumerate(column):
            place[stop] = (_MARGIN + at * (BOX_WIDTH + _GAP_X), top + row * (BOX_HEIGHT + _GAP_Y))
    boxes = [
        Box(
            node.entity,
            *place[node.entity],
            fit(node.name or node.entity, _COLUMNS),
            fit(_below(node), _COLUMNS + 4),
            "owner" if node.is_owner else "holder" if node.chips else "other",
        )
        for node in graph.nodes
    ]
    width = 2 * _MARGIN + len(columns) * (BOX_WIDTH + _GAP_X) - _GAP_X
    back = any(place[owner][0] >= place[owned][0] for owner, owned in routes)
    height = 2 * _MARGIN + tallest * (BOX_HEIGHT + _GAP_Y) - _GAP_Y
    return Drawing(width + (_GAP_X if back else 0.0), height, boxes, _lines(graph, routes, place))


def _below(node: Node) -> str:
    chips = f"holds {number(node.chips)} chips" if node.chips else ""
    return " · ".join(part for part in (node.entity if node.name else "", chips) if part)


def _columns(graph: Graph) -> tuple[list[list[Any]], dict[tuple[str, str], list[Any]]]:
    """The stops of each column, entities and the places of lines that pass; and the stops of each line, both ends included."""
    network = nx.DiGraph()
    network.add_nodes_from(node.entity for node in graph.nodes)
    network.add_edges_from((one.owner, one.owned) for one in graph.edges)
    # companies that own each other share a column
    circles = nx.condensation(network)
    generations = reversed(list(nx.topological_generations(circles.reverse(copy=False))))
    columns: list[list[Any]] = [
        sorted(entity for circle in some for entity in circles.nodes[circle]["members"]) for some in generations
    ]
    column_of = {entity: at for at, column in enumerate(columns) for entity in column}
    routes = {}
    neighbours = nx.DiGraph()
    neighbours.add_nodes_from(network)
    for owner, owned in network.edges:
        passed = range(column_of[owner] + 1, column_of[owned])
        routes[owner, owned] = [owner, *((owner, owned, at) for at in passed), owned]
        for at in passed:
            columns[at].append((owner, owned, at))
        nx.add_path(neighbours, routes[owner, owned])
    for sweep in range(_SWEEPS):
        row_of = {stop: row - len(column) / 2 for column in columns for row, stop in enumerate(column)}
        near = neighbours.predecessors if sweep % 2 else neighbours.successors
        for column in columns:
            mean = {one: fmean([row_of[other] for other in near(one)] or [row_of[one]]) for one in column}
            column.sort(key=lambda stop: (mean[stop], row_of[stop]))
    return columns, routes


def _lines(
    graph: Graph, routes: Mapping[tuple[str, str], Sequence[Any]], place: Mapping[Any, tuple[float, float]]
) -> list[Line]:
    between: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for one in graph.edges:
        between[one.owner, one.owned].append(one)
    owns, owned_by = Counter(owner for owner, _ in routes), Counter(owned for _, owned in routes)
    lines: list[Line] = []
    taken: list[tuple[float, float, float, float]] = []
    for (owner, owned), stops in routes.items():
        curves = [_curve(place[start], place[end]) for start, end in pairwise(stops)]
        # a line over several columns goes straight on through its place in each
        path = "".join(
            f"{'L' if at else 'M'}{_point(curve[0])}C{' '.join(map(_point, curve[1:]))}"
            for at, curve in enumerate(curves)
        )
        whole = _label(between[owner, owned])
        words = whole if len(routes) <= MOST_DATED else whole[:1]
        near_end = owns[owner] >= owned_by[owned]
        x, y = _free_place(curves[-1] if near_end else curves[0], near_end, words, taken)
        edges = between[owner, owned]
        dashed = any(one.interest in ("nominee", BEHIND) for one in edges)
        lines.append(Line(path, x, y, words, ", ".join(whole), dashed, edges[0].row_id))
    return lines


def _free_place(
    curve: Sequence[tuple[float, float]],
    near_end: bool,
    words: Sequence[str],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float]:
    """Where on its curve a label covers least of those before it; first near the end of fewer lines, where those part most."""
    wide, high = max(map(len, words), default=0) * _LETTER, len(words) * _LINE
    places = []
    for t in _ALONG if near_end else [1 - t for t in _ALONG]:
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        x, y = (sum(w * value for w, value in zip(weights, axis, strict=True)) for axis in zip(*curve, strict=True))
        box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        over = sum(
            max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
            * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
            for other in taken
        )
        places.append((over, x, y, box))
    _, x, y, box = min(places, key=lambda place: place[0])
    taken.append(box)
    return x, y


def _point(place: tuple[float, float]) -> str:
    return f"{place[0]:.1f} {place[1]:.1f}"


def _curve(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """The four points of a curve from the right of one box to the left of the next, or around to its right where it is not on."""
    onward = end[0] > start[0]
    first = (start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT / 2)
    last = (end[0] if onward else end[0] + BOX_WIDTH, end[1] + BOX_HEIGHT / 2)
    bend = _GAP_X / 2
    return [first, (first[0] + bend, first[1]), (last[0] - bend if onward else last[0] + bend, last[1]), last]


def _label(edges: Sequence[Edge]) -> tuple[str, ...]:
    what = " + ".join(dict.fromkeys(_interest(one) for one in edges))
    return tuple(part for part in (fit(what, 24), *dict.fromkeys(one.held for one in edges)) if part)[:2]


def _interest(edge: Edge) -> str:
    share = "" if edge.share is None else f"{number(100 * edge.share)}%"
    return share if edge.interest == "shareholding" and share else f"{share} {edge.interest}".strip()
