"""Who controls whom at a date: hand-made registers, on both engines."""

from __future__ import annotations

import datetime
import math

import pyarrow as pa
import pytest

from thresher.screening.control import control
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


def shares_of(made, company):
    return {
        row["controller"]: (row["share"], row["basis"])
        for (entity, _), row in table(made, "controllers", "entity", "controller").items()
        if entity == company
    }


READINGS = [
    # a nominee for somebody known, for nobody known, and told twice as a shareholder
    ([("N", "C", 0.6, "nominee", "X")], "X", 0.4 + 0.6),
    ([("N", "C", 0.6, "nominee")], "C", 1.0),
    ([("N", "C", 0.6, "nominee"), ("N", "C", 0.6)], "C", 1.0),
    ([("N", "C", None, "nominee", "P"), ("N", "C", 0.7)], "P", 0.3),
    # what a nominee holds beyond is its own
    ([("N", "C", 0.2, "nominee"), ("N", "C", 0.9)], "N", 0.3 + 0.7),
    # a shareholding on behalf of another is that other's
    ([("N", "C", 1.0, "shareholding", "P")], "P", 0.0),
    # one holding told again, the latest of two, and two holdings of two records of one person
    ([("P", "C", 0.4), ("P", "C", 0.4)], "C", 0.6),
    ([("P", "C", 0.9, "shareholding", None, "2020-01-01"), ("P", "C", 0.2, "shareholding", None, "2024-01-01")], "C", 0.8),
    ([("P", "C", 0.499), ("P2", "C", 0.499)], "P", 0.002),
    ([("P", "C", 0.6), ("P2", "C", 0.6)], "P", 0.4),
    # two entries of one company: told twice where they agree, the mean where they do not
    ([("P", "C", 0.6), ("P", "C2", 0.6)], "P", 0.4),
    ([("P", "C", 0.6), ("P", "C2", 0.6), ("X", "C", 0.4), ("Y", "C2", 0.4)], "P", 0.4),
    # more than the whole is scaled down: nobody has a majority of it
    ([("P", "C", 0.6), ("X", "C", 0.6)], "C", 0.5),
    # unknown shares are nobody's votes, control by other means is somebody's whatever the votes
    ([("P", "C", None)], "C", 1.0),
    ([("P", "C", None, "control")], "P", 0.0),
    ([("P", "C", 0.3, "control"), ("X", "C", 0.7)], "P", 0.7),
    ([("P", "C", None, "officer")], "C", 1.0),
    # a company's own shares do not vote, and belong to its shareholders
    ([("C", "C", 0.5), ("P", "C", 0.3)], "P", 0.4),
]  # fmt: skip
"""Statements about C: who controls it, and the share of it that has no known end. P is a person, X and Y have no filings."""


def test_statements_are_read_as_what_they_say(engine):
    told, identity, expected = [], {}, {}
    for at, (case, owner, unknown) in enumerate(READINGS):
        told += [
            (f"{at} {row[0]}", f"{at} {row[1]}", *row[2:4], *(one and f"{at} {one}" for one in row[4:5]), *row[5:])
            for row in case
        ]
        identity |= {f"{at} P2": f"{at} P", f"{at} C2": f"{at} C"}
        expected[f"{at} C"] = (f"{at} {owner}", pytest.approx(unknown, abs=1e-12))
    made, _ = screen(
        engine, told, parties=[(f"{at} P", "person") for at in range(len(READINGS))], identity=identity, holds=list(expected)
    )  # fmt: skip
    owners = table(made, "owners", "entity")
    assert {one: (owners[one]["owner"], owners[one]["unknown_share"]) for one in expected} == expected


def test_only_what_is_in_force_on_the_day_counts():
    periods = {
        "A": (None, None),
        "B": ("2025-06-30", None),
        "C": ("2025-07-01", None),
        "D": (None, "2025-06-30"),
        "E": (None, "2025-06-29"),
    }
    made, _ = screen("duckdb", [("X", one, 1.0, "shareholding", None, *period) for one, period in periods.items()])
    assert [one for one, owner in owner_of(made).items() if owner == "X" and one != "X"] == ["A", "B", "D"]


def test_an_owner_of_a_quarter_is_a_beneficial_owner_and_of_less_is_not():
    made, _ = screen("duckdb", [("X", "A", 0.5), ("A", "C", 0.5), ("Y", "C", 0.2499), ("Z", "C", 0.25)], holds=["C"])
    assert shares_of(made, "C") == {"A": (0.5, "beneficial"), "X": (0.25, "beneficial"), "Z": (0.25, "beneficial")}


def test_siblings_who_have_a_majority_together_are_one_group_with_their_company():
    home = ("Lindenweg 3, 10115 Berlin", "+49 30 5550001", None)
    made, found = screen(
        "duckdb",
        [("P1", "C", 0.3), ("P2", "C", 0.3), ("P3", "C", 0.4)],
        parties=[
            ("P1", "person", "Anna Kowalczyk", *home),
            ("P2", "person", "Kowalczyk, Jan", *home),
            ("P3", "person", "Li Wei"),
        ],
        holds=["C"],
    )
    assert owner_of(made)["C"] == "C"
    assert group_of(made) == {"C": "C", "P1": "C", "P2": "C", "P3": "P3"}
    assert shares_of(made, "C") == {"P1": (0.3, "joint"), "P2": (0.3, "joint"), "P3": (0.4, "beneficial")}
    groups = table(made, "owner_groups", "owner")
    assert groups["C"]["probability"] == groups["P1"]["probability"] < 1
    assert groups["P3"]["probability"] == 1
    kinds = {row["kind"] for row in made.table("joint_evidence").to_pyarrow().to_pylist()}
    assert kinds == {"address", "home", "phone", "surname"}
    assert strengths(found)["C", "unknown_owner"] == 0


def test_a_formation_agent_with_500_clients_ties_nobody():
    desk = ("1 Harbour Road, Port Louis", "+230 5 1234567", "desk@agent.example")
    clients = [f"C{at:03}" for at in range(500)]
    made, found = screen(
        "duckdb",
        [("D", client, None, "officer") for client in clients],
        parties=[(client, "company", None, *desk) for client in clients],
        holds=clients[:20],
    )
    assert made.table("joint_evidence").count().to_pyarrow().as_py() == 0
    assert all(owner == group for owner, group in group_of(made).items())
    assert {strength for (_, name), strength in strengths(found).items() if name == "shared_without_ownership"} == {0}


@pytest.mark.parametrize("clients", [2, 4, 12, 24])
def test_the_fewer_share_a_desk_the_more_it_says(clients):
    names = [f"C{at:02}" for at in range(clients)]
    made, _ = screen(
        "duckdb",
        [],
        parties=[(name, "company", None, "5 Main Street, Springfield", "+1 555 0100200") for name in names],
        holds=names[:2],
    )
    (link,) = made.table("owner_links").to_pyarrow().to_pylist()
    assert link["joins"] == (clients <= 4)
    assert math.isclose(link["probability"], 0.99, abs_tol=0.01) == (clients == 2)


def ab(phone_of_a, phone_of_b, *emails):
    """Two companies with their telephones, and their mail addresses."""
    phones = (phone_of_a, phone_of_b)
    return [
        (name, "company", None, None, phone, *emails[at : at + 1])
        for at, (name, phone) in enumerate(zip("AB", phones, strict=True))
    ]


BERLIN = ("+49 30 5550001", "030 5550001")


@pytest.mark.parametrize(
    ("parties", "told", "bought", "joined"),
    [
        # one kind is not enough, however rare, but for a payer that only these two have
        (ab(*BERLIN), [], [], False),
        ([], [("D", "A", None, "officer"), ("D", "B", None, "officer")], [], False),
        ([], [], [("A", "2025-01-01", "DE89 3704 0044"), ("B", "2025-02-01", "de89-3704-0044")], True),
        ([], [], [("A", "2025-01-01", "B"), ("B", "2025-02-01", None)], True),
        ([], [], [(one, "2025-01-01", "DE89 3704 0044") for one in "ABCD"], False),
        # a purchase after the day does not count
        ([], [], [("A", "2025-01-01", "DE89 3704 0044"), ("B", "2025-07-01", "DE89 3704 0044")], False),
        # everybody may have an address at a public mail domain
        (ab(*BERLIN, "a@gmail.com", "b@gmail.com"), [], [], False),
        (ab(*BERLIN, "a@rare.example", "B@RARE.EXAMPLE"), [], [], True),
        # a director who left within the look-back counts still, one who left before does not
        (ab(*BERLIN),
         [("D", "A", None, "officer", None, None, "2025-01-01"), ("D", "B", None, "officer")], [], True),
        (ab(*BERLIN),
         [("D", "A", None, "officer", None, None, "2024-01-01"), ("D", "B", None, "officer")], [], False),
        # the only holder, of an unknown share
        ([], [("A", "B", None)], [], True),
        ([], [("A", "B", None), ("X", "B", None)], [], False),
        ([], [("A", "B", None), ("X", "B", 0.5)], [], False),
    ],
)  # fmt: skip
def test_what_joins_two_owners(parties, told, bought, joined):
    made, _ = screen("duckdb", told, parties=parties, holds=["A", "B"], bought=bought)
    assert (group_of(made)["B"] == "A") == joined


def test_who_claim_one_company_are_one_group():
    made, _ = screen("duckdb", [("X", "C", None, "control"), ("Y", "C", 0.8)], holds=["C"])
    assert table(made, "owners", "entity")["C"] | {"unknown_share": None} == {
        "entity": "C", "owner": "X", "probability": pytest.approx(0.5), "basis": "control", "unknown_share": None,
    }  # fmt: skip
    assert group_of(made)["Y"] == "X"
    trusts = [f"T{at}" for at in range(9)]
    told = [row for at, one in enumerate(trusts) for row in ((f"S{at}", one, None, "control"), ("TRUSTEE", one, 0.8))]
    made, _ = screen("duckdb", told, holds=trusts)
    assert all(owner == group for owner, group in group_of(made).items())


def test_where_nothing_is_filed_nothing_can_be_looked_at():
    made, found = screen("duckdb", [], parties=[("P", "person")], holds=["P", "C"])
    assert strengths(found) == {}
    assert table(made, "owners", "entity")["C"]["basis"] == "unknown"
    assert table(made, "owners", "entity")["P"]["basis"] == "itself"
    _, found = screen(
        "duckdb", [("X", "B", 1.0), ("P", "A", 0.9)], parties=[("P", "person")], holds=["P", "C", "B", "A"]
    )
    looked = {entity: strength for (entity, name), strength in strengths(found).items() if name == "unknown_owner"}
    # nothing is filed of C, nor of B's owner
    assert looked == pytest.approx({"P": 0.0, "A": 0.1})


def test_a_company_is_young_for_a_year():
    _, found = screen(
        "duckdb",
        [],
        parties=[
            (name, "company", None, None, None, None, day(text))
            for name, text in (("A", "2024-03-01"), ("B", "2024-03-02"), ("C", "2025-03-11"), ("D", "2024-03-02"))
        ],
        bought=[(name, date, None) for name in "ABC" for date in ("2025-03-01", "2025-05-01")],
    )
    rows = (
        found.findings.filter(found.findings.finding == "young_companies").order_by("entity").to_pyarrow().to_pylist()
    )
    assert [(row["entity"], row["strength"], row["detail"]) for row in rows] == [
        ("A", 0, "It was incorporated 365 days before it first took chips."),
        ("B", 1, "It was incorporated 364 days before it first took chips."),
        ("C", 1, "It was incorporated 10 days after it first took chips."),
    ]


def test_details_are_plain_sentences():
    told = [
        ("X", "A", 1.0),
        ("A", "B", 0.9, "nominee", None),
        ("A", "C", 0.6),
        ("D", "C", 0.6),
        ("M", "C", 0.1, "nominee", "A"),
        ("A", "E", 1.0),
    ]
    _, found = screen("duckdb", told, holds=["B", "C", "E", "X"], parties=[("X", "person")])
    said = {(row["entity"], row["finding"]): row["detail"] for row in found.findings.to_pyarrow().to_pylist()}
    assert said["B", "unknown_owner"] == "It is not known who owns 100% of it."
    assert said["X", "unknown_owner"] == "The owners of all of it are on file."
    assert said["C", "unknown_owner"] == (
        "It is not known who owns 17% of it; for 50% nothing is filed at the chain's end; its stated shares add up to 120%."
    )
    assert said["C", "nominee_in_the_chain"] == "1 company between it and its owner has shares in a nominee's name."
    assert said["C", "long_chain"] == "Nobody else is known to control it."
    assert said["E", "long_chain"] == "2 links of control lie between it and its owner."
    assert all(text.endswith(".") and text.isascii() for text in said.values())
