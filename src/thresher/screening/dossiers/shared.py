"""What the entities around an owner share, a telephone or a director say, and the rows that say so: why they may be one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import pyarrow as pa

from thresher.screening.custody import has_table
from thresher.screening.dossiers.rows import Cited, first_rows
from thresher.screening.engine import Engine

MOST_SHARED = 30
"""Things shown for one owner: the most telling."""
MOST_ROWS_OF_A_THING = 10


@dataclass(frozen=True, slots=True)
class Shared:
    """A thing that several entities share: its kind in words, its value, who shares it, how telling it is, and its rows.

    ``log10_likelihood_ratio`` is how much more often two under common control share it than two who are unrelated.
    """

    words: str
    value: str
    entities: tuple[str, ...]
    log10_likelihood_ratio: float
    table: str
    rows: Cited


def shared_by(engine: Engine, around: Mapping[str, Sequence[str]]) -> dict[str, list[Shared]]:
    """What the entities around each owner share, the most telling first; nothing where the step ``control`` was not taken.

    Parameters
    ----------
    engine
        With what `thresher.screening.control.control` keeps.
    around
        For each owner the entities of its graph.
    """
    found: dict[str, list[Shared]] = {owner: [] for owner in around}
    if not has_table(engine, "joint_evidence"):
        return found
    columns = {
        "lead": [owner for owner, some in around.items() for _ in some],
        "entity": [entity for some in around.values() for entity in some],
    }
    schema = pa.schema([("lead", pa.string()), ("entity", pa.string())])
    members = engine.keep("dossier_around", pa.table(columns, schema))
    evidence = engine.table("joint_evidence").select("left", "right", "kind", "value", "weight")
    pairs = evidence.inner_join(members.select("lead", left="entity"), "left")
    pairs = pairs.inner_join(members.select("lead", right="entity"), ["lead", "right"])
    ends = [pairs.select("lead", "kind", "value", "weight", entity=end) for end in ("left", "right")]
    sharers = engine.keep("dossier_sharers", ibis.union(*ends))
    things = sharers.group_by("lead", "kind", "value").agg(weight=sharers.weight.max())
    order = ibis.window(group_by="lead", order_by=[ibis.desc("weight"), "kind", "value"])
    things = things.mutate(place=ibis.row_number().over(order)).filter(lambda row: row.place < MOST_SHARED)
    those = sharers.select("lead", "kind", "value", "entity").distinct().inner_join(things, ["lead", "kind", "value"])
    those = engine.keep("dossier_shared", those.select("lead", "place", "kind", "value", "weight", "entity"))
    said = those.inner_join(
        engine.table("shared_things").filter(lambda row: row.row_id.notnull()), ["entity", "kind", "value"]
    )
    rows = {
        (table, *key): cited
        for table in ("parties", "ownership", "purchases")
        for key, cited in first_rows(
            said.filter(said.table == table), table, ("lead", "place"), MOST_ROWS_OF_A_THING
        ).items()
    }
    kinds = {
        row["kind"]: row
        for row in engine.table("shared_kinds").select("kind", "table", "words").to_pyarrow().to_pylist()
    }
    sharing: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in those.to_pyarrow().to_pylist():
        sharing[row["lead"], row["place"]].append(row)
    for (lead, place), some in sorted(sharing.items()):
        one, kind = some[0], kinds[some[0]["kind"]]
        found[lead].append(
            Shared(
                kind["words"],
                one["value"],
                tuple(sorted(row["entity"] for row in some)),
                one["weight"] / math.log(10),
                kind["table"],
                rows.get((kind["table"], lead, place), Cited((), 0)),
            )
        )
    return found
