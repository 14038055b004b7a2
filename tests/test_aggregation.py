"""What an owner holds over all its sites, and what the rule says of it: covered, not covered, or unknown."""

import datetime

import ibis
import pyarrow as pa
import pytest

from thresher.errors import InputError
from thresher.regime import load_regime
from thresher.screening.aggregation import Holding, owners_of, read
from thresher.screening.custody import held_at
from thresher.screening.engine import engine_of_tables
from thresher.screening.holdings_findings import aggregate

AS_OF = datetime.date(2026, 6, 30)
MEMORY = load_regime("miri-2026-memory")
DRAFT = load_regime("miri-2025")


def held(*rows):
    """Holdings of owner X: (place, chip, chips[, Gbit/s])."""
    return [Holding("X", "X", one[0], one[0], one[1], one[2], one[3] if len(one) > 3 else None) for one in rows]


def reading(rows, unseen=None, regime=MEMORY):
    return read(regime, {"X": (held(*rows), unseen or {})}, just_under_share=0.75)["X"]


def test_one_place_over_the_line_is_covered_as_it_reads():
    one = reading([("a", "H100-SXM", 17, 0.0)])
    assert one.as_it_reads is one.networked is one.together is True


def test_on_the_line_is_not_over_it():
    one = reading([("a", "H100-SXM", 16, 0.0)])
    assert one.together is False
    assert one.shares["cluster-memory"] == 1.0
    assert one.places_just_under == ("a",)


def test_two_places_are_covered_only_together():
    one = reading([("a", "H100-SXM", 16, 1.0), ("b", "H100-SXM", 16, 1.0)])
    assert (one.as_it_reads, one.networked, one.together) == (False, False, True)
    assert one.placed_together == pytest.approx(2.0)


def test_a_fast_link_adds_places_up_and_an_unknown_one_leaves_it_open():
    assert reading([("a", "H100-SXM", 16, 100.0), ("b", "H100-SXM", 16, 100.0)]).as_it_reads is True
    unknown = reading([("a", "H100-SXM", 16), ("b", "H100-SXM", 16)])
    assert unknown.as_it_reads is None
    assert unknown.networked is True


def test_the_amendment_sees_what_the_draft_does_not():
    nodes = [("a", "A100-SXM-80GB", 50, 1.0)]
    assert reading(nodes, regime=DRAFT).together is False
    assert reading(nodes, regime=MEMORY).as_it_reads is True


def test_unseen_and_nameless_chips_make_innocence_unknown_and_never_guilt():
    assert reading([("a", "H100-SXM", 10, 0.0)], unseen={"H100-SXM": 8.0}).together is None
    assert reading([("a", None, 40, 0.0), ("a", "H100-SXM", 2, 0.0)]).together is None
    assert reading([], unseen={"H100-SXM": 100.0}).as_it_reads is None
    assert reading([(None, "H100-SXM", 20)]).as_it_reads is None  # at no known place: perhaps each at its own


def test_a_rule_without_clusters_is_refused():
    with pytest.raises(InputError, match="clause on clusters"):
        owners_of(_world(), load_regime("eu-ai-act"), AS_OF)


def _world(engine="duckdb", **changes):
    """Two shells of one owner, eight chips each at a site of its own; a purchase of twelve of which ten were seen."""
    serials = [f"S{number}" for number in range(20)]
    tables = {
        "chips": pa.table({"serial": serials, "chip": ["H100-SXM"] * 20}),
        "custody": pa.table(
            {
                "serial": [*serials, "S0", "S1"],
                "event": ["install"] * 20 + ["transfer"] * 2,
                "at": pa.array(
                    [datetime.datetime(2026, 1, 1)] * 20 + [datetime.datetime(2026, 5, 1)] * 2, pa.timestamp("us")
                ),
                "to_party": ["P1"] * 10 + ["P2"] * 10 + ["P2"] * 2,
                "site": ["A"] * 10 + ["B"] * 10 + ["B"] * 2,
            }
        ),
        "sites": pa.table(
            {
                "site": ["A", "B"],
                "address": ["1 High St, London", "2 High St, London"],
                "interconnect_gbit_s": [1.0, 1.0],
            }
        ),
    }
    made = engine_of_tables(tables | changes, engine)
    made.keep("identity", pa.table({"party": ["P1", "P2", "P3"], "entity": ["P1", "P2", "P3"]}))
    made.keep(
        "owners",
        pa.table(
            {
                "entity": ["P1", "P2", "P3"],
                "owner": ["P3", "P3", "P3"],
                "probability": [1.0] * 3,
                "basis": ["majority", "majority", "itself"],
                "unknown_share": [0.0] * 3,
            }
        ),
    )
    none = pa.schema([("owner", pa.string()), ("group", pa.string()), ("probability", pa.float64())]).empty_table()
    made.keep("owner_groups", none)
    made.keep("chip_labels", pa.table({"label": ["H100-SXM"], "chip": ["H100-SXM"], "chips_each": [1]}))
    made.keep(
        "purchases_resolved",
        pa.table(
            {
                "row_id": [1, 2],
                "date": [datetime.date(2025, 12, 1)] * 2,
                "entity": ["P1", "P2"],
                "chip": ["H100-SXM"] * 2,
                "chips": [12.0, 14.0],
                "seller_entity": ["M", "M"],
            }
        ),
    )
    latest = [("P1", "A")] * 8 + [("P2", "B")] * 12
    made.keep(
        "held",
        pa.table(
            {
                "serial": serials[2:] + serials[:2],
                "party": [party for party, _ in latest],
                "entity": [party for party, _ in latest],
                "site": [site for _, site in latest],
                "chip": ["H100-SXM"] * 20,
                "row_id": list(range(20)),
            }
        ),
    )
    return made


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def world(request):
    return _world(request.param)


def test_an_owner_is_added_up_over_its_shells(world):
    (one,) = owners_of(world, MEMORY, AS_OF)
    assert one.owner == "P3"
    assert one.entities == ("P1", "P2")
    assert [(held.entity, held.place, held.chips) for held in one.holdings] == [("P1", "A", 8), ("P2", "B", 12)]
    assert one.unseen == {"H100-SXM": 6.0}  # 26 bought, 20 ever received
    assert one.readings.together is True
    assert one.readings.as_it_reads is None  # the unseen six could stand at either site


def test_findings_of_holdings(world):
    owners = owners_of(world, MEMORY, AS_OF)
    step = aggregate(world, owners, MEMORY, AS_OF, 365)
    found = {row["finding"]: row for row in step.findings.filter(ibis._.entity == "P3").to_pyarrow().to_pylist()}
    assert found["covered_only_together"]["strength"] == pytest.approx(20 / 16)
    assert found["spread_over_companies"]["strength"] == 1.0
    assert found["rotated_between_sites"]["strength"] == 2.0
    assert found["bought_but_not_seen"]["strength"] == pytest.approx(6 / 16)
    cited = step.citations.filter(ibis._.finding == "rotated_between_sites").count().to_pyarrow().as_py()
    assert cited == 2


def test_before_the_purchase_nothing_is_unseen():
    (one,) = owners_of(_world(), MEMORY, datetime.date(2025, 6, 30))
    assert one.unseen == {}


def test_sites_at_one_address_are_one_place():
    sites = pa.table({"site": ["A", "B"], "address": ["1 High St, London", "1 High Street, LONDON"]})
    (one,) = owners_of(_world(sites=sites), MEMORY, AS_OF)
    assert {held.place for held in one.holdings} == {"A"}
    assert one.readings.as_it_reads is True


def _of(engine="duckdb", **tables):
    """A world of one's own: no controller known, every party itself."""
    made = engine_of_tables({name: table for name, table in tables.items() if name != "bought"}, engine)
    parties = ["A", "B", "M"]
    made.keep("identity", pa.table({"party": parties, "entity": parties}))
    made.keep(
        "owners",
        pa.table(
            {
                "entity": parties,
                "owner": parties,
                "basis": ["itself"] * len(parties),
                "unknown_share": [0.0] * len(parties),
            }
        ),
    )
    none = pa.schema([("owner", pa.string()), ("group", pa.string()), ("probability", pa.float64())]).empty_table()
    made.keep("owner_groups", none)
    labels = {"label": ["H100-SXM", "NVIDIA H100 SXM5"], "chip": ["H100-SXM"] * 2, "chips_each": [1, 1]}
    made.keep("chip_labels", pa.table(labels))
    bought = pa.schema(
        [("row_id", pa.int64()), ("date", pa.date32()), ("entity", pa.string()), ("seller_entity", pa.string()),
         ("chip", pa.string()), ("chips", pa.float64())]
    )  # fmt: skip
    made.keep("purchases_resolved", tables.get("bought", bought.empty_table()).cast(bought))
    held_at(made, AS_OF)
    return {one.owner: one for one in owners_of(made, MEMORY, AS_OF)}


def _custody(*moves):
    """(serials, day, giver, taker, site), a sale of each."""
    rows = [(f"S{n}", day, giver, taker, site) for serials, day, giver, taker, site in moves for n in serials]
    names = ("serial", "at", "from_party", "to_party", "site")
    table = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    table["at"] = pa.array([datetime.datetime.fromisoformat(day) for day in table["at"]], pa.timestamp("us"))
    serials = sorted(set(table["serial"]))
    return {
        "custody": pa.table(table | {"event": ["sale"] * len(rows)}),
        "chips": pa.table({"serial": serials, "chip": ["H100-SXM"] * len(serials)}),
    }


def _declared(*rows):
    names = ("party", "site", "chip", "count", "declared_on")
    table = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    table["declared_on"] = [datetime.date.fromisoformat(day) for day in table["declared_on"]]
    return {"declarations": pa.table(table)}


def test_chips_sold_after_a_declaration_are_the_buyers():
    moves = _custody((range(20), "2025-12-01", None, "A", "S1"), (range(20), "2026-03-01", "A", "B", "S2"))
    found = _of(**moves, **_declared(("A", "S1", "H100-SXM", 20, "2026-01-01")))
    assert "A" not in found
    assert sum(one.chips for one in found["B"].holdings) == 20


def test_a_declaration_does_not_double_what_custody_shows():
    moves = _custody((range(10), "2025-12-01", None, "A", None))
    found = _of(**moves, **_declared(("A", "S1", "H100-SXM", 10, "2026-01-01")))
    assert sum(one.chips for one in found["A"].holdings) == 10


def test_a_type_declared_under_two_labels_is_one():
    rows = [("A", "S1", "H100-SXM", 10, "2026-01-01"), ("A", "S1", "NVIDIA H100 SXM5", 10, "2026-04-01")]
    assert [one.chips for one in _of(**_declared(*rows))["A"].holdings] == [10]


def test_chips_sold_to_nobody_known_are_nobodys():
    moves = _custody((range(20), "2025-12-01", None, "A", "S1"), (range(10), "2026-03-01", "A", None, None))
    assert sum(one.chips for one in _of(**moves)["A"].holdings) == 10


def test_a_vague_address_makes_no_place():
    sites = {
        "sites": pa.table({"site": ["S1", "S2"], "address": ["Berlin", "Berlin"], "interconnect_gbit_s": [1.0, 1.0]})
    }
    moves = _custody((range(10), "2025-12-01", None, "A", "S1"), (range(10, 20), "2025-12-01", None, "A", "S2"))
    assert _of(**moves, **sites)["A"].readings.as_it_reads is False


def test_a_purchase_of_unknown_size_clears_nobody():
    bought = {"row_id": [1], "date": [datetime.date(2026, 1, 1)], "entity": ["A"], "seller_entity": ["M"]}
    table = pa.table(bought | {"chip": ["H100-SXM"], "chips": pa.array([None], pa.float64())})
    one = _of(**_custody((range(10), "2025-12-01", None, "A", "S1")), bought=table)["A"]
    assert one.unknown_purchases == 1
    assert one.readings.together is None
