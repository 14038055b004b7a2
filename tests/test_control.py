"""Who controls whom at a date: hand-made registers, on both engines."""

from __future__ import annotations

import datetime
import math

import pyarrow as pa
import pytest

from thresher.screening.control import control, ownership_paths
from thresher.screening.engine import engine_of_tables

AS_OF = datetime.date(2025, 6, 30)


def day(text):
    return datetime.date.fromisoformat(text) if text else None


def rows(columns, given):
    """A table of rows that leave columns out at the end."""
    names = columns.split()
    return pa.Table.from_pylist([dict(zip(names, row, strict=False)) for row in given], schema=pa.schema(
        [(name, {"share": pa.float64(), "from": pa.date32(), "to": pa.date32(), "incorporated_on": pa.date32(),
                 "date": pa.date32(), "at": pa.timestamp("us"), "row_id": pa.int64(), "chips": pa.float64()}
          .get(name, pa.string())) for name in names]
    ))  # fmt: skip


def ownership(*given):
    """Rows of owner, owned, share, interest, on_behalf_of, from, to."""
    return rows(
        "owner owned share interest on_behalf_of from to",
        [(*row[:3], *(row[3:4] or ("shareholding",)), *row[4:5], *(day(text) for text in row[5:])) for row in given],
    )


def screen(engine, told, *, holds=(), parties=(), identity=(), bought=(), as_of=AS_OF):
    """Run the step over a hand-made register.

    ``holds``: entities with a chip each; ``parties``: rows of party, kind, name, address, phone, email, incorporated_on;
    ``bought``: rows of entity, date, payer.
    """
    if not isinstance(told, pa.Table):
        told = ownership(*told)
    names = set(told["owner"].to_pylist()) | set(told["owned"].to_pylist()) | {row[0] for row in parties} | set(holds)
    made = engine_of_tables(
        {
            "ownership": told,
            "parties": rows("party kind name address phone email incorporated_on", parties),
        },
        engine,
    )
    one = dict(identity)
    pairs = [(name, one.get(name, name)) for name in sorted(names - {None})]
    made.keep("identity", rows("party entity", pairs))
    made.keep(
        "held",
        rows("serial party entity site chip since row_id", [(f"S{at}", one, one) for at, one in enumerate(holds)]),
    )
    made.keep(
        "purchases_resolved",
        rows(
            "row_id id date entity seller_entity chip chips amount currency payer description",
            [
                (at, f"INV{at}", day(date), entity, None, "H100-SXM", 8.0, None, None, payer)
                for at, (entity, date, payer) in enumerate(bought, start=1)
            ],
        ),
    )
    return made, control(made, as_of)


def table(made, name, *keys):
    """A kept table's rows by some of its columns."""
    found = made.table(name).to_pyarrow().to_pylist()
    return {tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in found}


def owner_of(made):
    return {entity: row["owner"] for entity, row in table(made, "owners", "entity").items()}


def group_of(made):
    return {owner: row["group"] for owner, row in table(made, "owner_groups", "owner").items()}


def strengths(found):
    return {(row["entity"], row["finding"]): row["strength"] for row in found.findings.to_pyarrow().to_pylist()}


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request):
    return request.param


def test_one_register_says_the_same_on_both_engines(engine):
    made, found = screen(
        engine,
        [
            ("X", "S1", 1.0),
            ("X", "S2", 1.0),
            ("S1", "B", 0.499),
            ("S2", "B", 0.499),
            ("N", "C", 0.9, "nominee", "X"),
            ("M", "D", 1.0, "nominee"),
            ("E", "F", 1.0),
            ("F", "E", 1.0),
            ("Q", "G", None, "control"),
            ("K", "H", 0.4),
            ("D1", "P1", None, "officer"),
            ("D1", "P2", None, "officer"),
        ],
        parties=[
            ("X", "person"),
            ("K", "person"),
            ("P1", "company", "Alpha", None, "+49 30 12345678", None, day("2025-01-01")),
            ("P2", "company", "Beta", None, "030 12345678", None, day("2020-01-01")),
        ],
        holds=["B", "C", "D", "E", "G", "H", "P1", "P2"],
        bought=[("P1", "2025-03-01", None), ("P2", "2025-03-01", None)],
    )
    owners = table(made, "owners", "entity")
    assert {one: (row["owner"], row["basis"]) for one, row in owners.items() if one in "BCDEFGH"} == {
        "B": ("X", "majority"),
        "C": ("X", "majority"),
        "D": ("D", "unknown"),
        "E": ("E", "circle"),
        "F": ("E", "circle"),
        "G": ("Q", "control"),
        "H": ("H", "unknown"),
    }
    assert {one: row["unknown_share"] for one, row in owners.items() if one in "BCDEGHX"} == pytest.approx(
        {"B": 0.002, "C": 0.1, "D": 1.0, "E": 1.0, "G": 1.0, "H": 0.6, "X": 0.0}
    )
    controllers = table(made, "controllers", "entity", "controller")
    assert controllers["B", "X"]["share"] == pytest.approx(0.998)
    assert controllers["B", "X"]["links"] == 2
    assert controllers["H", "K"]["basis"] == "beneficial"
    assert group_of(made)["P2"] == "P1"
    assert strengths(found) == pytest.approx(
        {
            ("B", "nominee_in_the_chain"): 0,
            ("C", "nominee_in_the_chain"): 1,
            ("D", "nominee_in_the_chain"): 1,
            ("E", "nominee_in_the_chain"): 0,
            ("G", "nominee_in_the_chain"): 0,
            ("H", "nominee_in_the_chain"): 0,
            ("B", "circular_holding"): 0,
            ("C", "circular_holding"): 0,
            ("D", "circular_holding"): 0,
            ("E", "circular_holding"): 2,
            ("G", "circular_holding"): 0,
            ("H", "circular_holding"): 0,
            ("B", "long_chain"): 2,
            ("C", "long_chain"): 1,
            ("D", "long_chain"): 0,
            ("E", "long_chain"): 0,
            ("G", "long_chain"): 1,
            ("H", "long_chain"): 0,
            ("B", "unknown_owner"): 0.002,
            ("C", "unknown_owner"): 0.1,
            ("D", "unknown_owner"): 1,
            ("E", "unknown_owner"): 1,
            ("H", "unknown_owner"): 0.6,
            ("P1", "young_companies"): 1,
            ("P2", "young_companies"): 0,
            ("C", "shared_without_ownership"): 0,
            ("D", "shared_without_ownership"): 0,
            ("P1", "shared_without_ownership"): 1,
            ("P2", "shared_without_ownership"): 1,
        }
    )
    cited = {
        (row["entity"], row["finding"], row["table"], row["row_id"]) for row in found.citations.to_pyarrow().to_pylist()
    }
    assert ("C", "nominee_in_the_chain", "ownership", 5) in cited
    assert {row for row in cited if row[:2] == ("E", "circular_holding")} == {
        ("E", "circular_holding", "ownership", 7),
        ("E", "circular_holding", "ownership", 8),
    }
    assert {row[2:] for row in cited if row[:2] == ("P1", "shared_without_ownership")} == {
        ("parties", 3),
        ("parties", 4),
        ("ownership", 11),
        ("ownership", 12),
    }
    assert {row[2:] for row in cited if row[:2] == ("P1", "young_companies")} == {("parties", 3), ("purchases", 1)}
    graph = ownership_paths(made, ["X"], AS_OF)
    assert graph.edges["row_id"].to_pylist() == [1, 2, 3, 4, 5]
    assert set(graph.nodes["entity"].to_pylist()) == {"X", "S1", "S2", "B", "C", "N"}
