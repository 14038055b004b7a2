"""Corroboration: power, round trips and prices against the register; what cannot be told has no row; engines agree."""

import datetime as dt
import math

import ibis
import pyarrow as pa
import pytest

from thresher.screening.corroboration import corroborate
from thresher.screening.corroboration.common import in_words, look_back, quantities
from thresher.screening.corroboration.pings import corroborate_pings, farthest_km, great_circle_km
from thresher.screening.corroboration.power import corroborate_power, draw_per_tdp
from thresher.screening.corroboration.prices import corroborate_prices
from thresher.screening.engine import empty_evidence, engine_of_tables

AS_OF = dt.date(2025, 12, 31)
KEPT = {
    "identity": {"party": pa.string(), "entity": pa.string()},
    "chip_labels": {"label": pa.string(), "chip": pa.string(), "chips_each": pa.int64()},
    "purchases_resolved": {
        "row_id": pa.int64(),
        "entity": pa.string(),
        "date": pa.date32(),
        "chip": pa.string(),
        "chips": pa.float64(),
        "amount": pa.float64(),
        "currency": pa.string(),
    },
    "sites_resolved": {"site": pa.string(), "operator_entity": pa.string()},
    "held": {
        "serial": pa.string(),
        "entity": pa.string(),
        "site": pa.string(),
        "chip": pa.string(),
        "row_id": pa.int64(),
    },
}
LABELS = [
    {"label": "H100-SXM", "chip": "H100-SXM", "chips_each": 1},
    {"label": "HGX H100 8-GPU", "chip": "H100-SXM", "chips_each": 8},
    {"label": "MI308X", "chip": "MI308X", "chips_each": 1},
    {"label": "mystery", "chip": None, "chips_each": None},
    {"label": "Rubin-CPX", "chip": "Rubin-CPX", "chips_each": 1},
]
AMSTERDAM, BERLIN, NEW_YORK = (52.37, 4.90), (52.52, 13.405), (40.71, -74.0)


@pytest.fixture(scope="module")
def engine():
    return engine_of_tables({})


def screen(engine, check=None, **given):
    """The findings and citations, by one check or all, of rows given as dictionaries by table."""
    tables = empty_evidence()
    for name, table in tables.items():
        rows = [{"row_id": at, **row} for at, row in enumerate(given.get(name, ()), 1)]
        engine.keep(name, pa.Table.from_pylist(rows, table.schema))
    for name, columns in KEPT.items():
        rows = [{"row_id": at, **row} for at, row in enumerate(given.get(name, ()), 1)]
        rows = LABELS if name == "chip_labels" else rows
        engine.keep(name, pa.Table.from_pylist(rows, pa.schema(list(columns.items()))))
    found = check(engine, look_back(AS_OF, 365)) if check else corroborate(engine, AS_OF)
    rows = found.findings.to_pyarrow().to_pylist()
    assert len({(row["entity"], row["finding"]) for row in rows}) == len(rows)
    cited = {tuple(row.values()) for row in found.citations.to_pyarrow().to_pylist()}
    return {(row["entity"], row["finding"]): row for row in rows}, cited


def strength(found, entity, finding):
    row = found.get((entity, finding))
    return None if row is None else row["strength"]


def site(name="S", operator="E", place=BERLIN):
    return (
        {"site": name, "operator": operator, "latitude": place[0], "longitude": place[1]},
        {"site": name, "operator_entity": operator},
    )


def metered(kw, name="S", months=range(1, 13)):
    return [{"site": name, "month": dt.date(2025, month, 1), "kwh": kw * 24 * days_of(month)} for month in months]


def days_of(month):
    return (dt.date(2025 + month // 12, month % 12 + 1, 1) - dt.date(2025, month, 1)).days


def declared(count, chip="H100-SXM", on=dt.date(2025, 1, 1), party="E", at="S"):
    return {"party": party, "site": at, "chip": chip, "count": count, "declared_on": on}


def power_of(engine, kw, declarations, held=(), operator="E", months=range(1, 13)):
    places = site(operator=operator)
    return screen(
        engine,
        corroborate_power,
        sites=[places[0]],
        sites_resolved=[places[1]],
        power=kw if isinstance(kw, list) else metered(kw, months=months),
        declarations=declarations,
        held=held,
    )


def test_the_draw_of_a_chip_in_training_is_that_of_the_published_ratios():
    draw = draw_per_tdp(quantities())
    assert draw.usual == pytest.approx(1.82 * 0.76 * 1.56)
    assert draw.most == pytest.approx(draw.usual * math.exp(math.sqrt(0.13353**2 + 0.14660**2 + 0.24846**2)), rel=1e-4)
    assert draw.least == pytest.approx(0.08 * 1.07)
    assert draw.least < 1 < draw.usual < draw.most < 2.08 * 0.88 * 2.0  # less than the three worst at once


def test_power_is_the_ratio_to_the_most_that_declared_chips_explain(engine):
    most = 16 * 0.7 * draw_per_tdp(quantities()).most + 10
    found, cited = power_of(engine, 2 * most, [declared(16, "HGX H100 8-GPU")])  # a declared count is of chips
    row = found["E", "power_above_declared"]
    assert row["strength"] == pytest.approx(2)
    assert row["detail"].startswith("Site S drew ") and "the 16 chips" in row["detail"]
    assert strength(found, "E", "power_below_declared") == 0
    assert {("E", "power_above_declared", "power", at) for at in range(1, 13)} <= cited
    assert ("E", "power_above_declared", "declarations", 1) in cited


def test_both_sides_of_the_edge_of_explained_power(engine):
    most = 16 * 0.7 * draw_per_tdp(quantities()).most + 10
    assert strength(power_of(engine, most * 1.01, [declared(16)])[0], "E", "power_above_declared") > 1
    assert strength(power_of(engine, most * 0.99, [declared(16)])[0], "E", "power_above_declared") == 0


def test_more_power_never_lowers_the_strength_above_nor_raises_that_below(engine):
    kilowatts = [0.0, 0.1, 0.4, 1, 20, 40, 50, 100, 300, 1e6]
    places = [site(f"S{at}", f"E{at}") for at in range(len(kilowatts))]
    found, _ = screen(
        engine,
        corroborate_power,
        sites=[one[0] for one in places],
        sites_resolved=[one[1] for one in places],
        power=[row for at, kw in enumerate(kilowatts) for row in metered(kw, f"S{at}", (3,))],
        declarations=[declared(16, party=f"E{at}", at=f"S{at}") for at in range(len(kilowatts))],
    )
    above = [strength(found, f"E{at}", "power_above_declared") for at in range(len(kilowatts))]
    below = [strength(found, f"E{at}", "power_below_declared") for at in range(len(kilowatts))]
    assert above == sorted(above) and above[0] == 0 and above[-1] == 100
    assert below == sorted(below, reverse=True) and below[0] == 100 and below[-1] == 0
    assert below[kilowatts.index(1)] == 0  # idle is no contradiction


def test_chips_of_unknown_power_or_count_leave_the_site_undecided(engine):
    for unknown in (declared(8, "mystery"), declared(8, "Rubin-CPX"), declared(None)):
        found, _ = power_of(engine, 500, [declared(16), unknown | {"party": "F"}])
        assert strength(found, "E", "power_above_declared") is None
        assert strength(found, "E", "power_below_declared") == 0  # the known chips alone need no more than was drawn


def test_a_site_without_a_meter_or_with_months_outside_the_look_back_has_no_row(engine):
    assert power_of(engine, 500, [declared(16)], months=())[0] == {}
    old = [
        {"site": "S", "month": dt.date(2024, 3, 1), "kwh": 1e6},
        {"site": "S", "month": dt.date(2026, 1, 1), "kwh": 1e6},
    ]
    assert power_of(engine, old, [declared(16)])[0] == {}


def test_a_site_where_no_chip_is_on_record_is_contradicted_weakly_at_most(engine):
    found, _ = power_of(engine, 5000, [])
    assert 1 <= strength(found, "E", "power_above_declared") < 1.5
    assert strength(found, "E", "power_below_declared") is None


def test_a_site_that_drew_as_much_before_its_chips_is_contradicted_weakly_at_most(engine):
    late = [declared(16, on=dt.date(2025, 9, 2))]
    for early, expected in ((500, 1.4), (5, 100)):
        bills = metered(early, months=range(1, 9)) + metered(500, months=range(9, 13))
        found, _ = power_of(engine, bills, late)
        most = 16 * 0.7 * draw_per_tdp(quantities()).most + 10
        assert strength(found, "E", "power_above_declared") == pytest.approx(min(500 / most, expected))


def test_a_house_of_many_tenants_is_contradicted_weakly_at_most(engine):
    few = [declared(16, party=f"T{at}") for at in range(2)]
    many = [declared(16, party=f"T{at}") for at in range(3)]
    assert strength(power_of(engine, 5000, few)[0], "E", "power_above_declared") > 3
    found = power_of(engine, 5000, many)[0]
    assert {strength(found, one, "power_above_declared") for one in ("E", "T0", "T1", "T2")} == {1.4}


def test_chips_held_explain_power_where_their_holder_declares_none(engine):
    held = [{"serial": f"N{at}", "entity": "F", "site": "S", "chip": "H100-SXM"} for at in range(64)]
    most = 64 * 0.7 * draw_per_tdp(quantities()).most + 10
    found, cited = power_of(engine, 0.9 * most, [], held)
    assert strength(found, "E", "power_above_declared") == strength(found, "F", "power_above_declared") == 0
    assert ("F", "power_above_declared", "custody", 64) in cited
    found, _ = power_of(engine, 0.9 * most, [declared(8, party="F")], held)
    assert strength(found, "F", "power_above_declared") > 1


def test_chips_of_the_operator_that_no_record_places_may_stand_at_its_site(engine):
    held = [{"serial": f"N{at}", "entity": "E", "site": None, "chip": "H100-SXM"} for at in range(64)]
    assert strength(power_of(engine, 100, [declared(8)])[0], "E", "power_above_declared") > 1
    assert strength(power_of(engine, 100, [declared(8)], held)[0], "E", "power_above_declared") == 0


def test_every_register_of_the_look_back_speaks_for_the_party(engine):
    grew = [declared(8, on=dt.date(2024, 6, 1)), declared(64, on=dt.date(2025, 7, 1))]
    shrank = [declared(64, on=dt.date(2024, 6, 1)), declared(8, on=dt.date(2024, 12, 1))]
    assert strength(power_of(engine, 100, grew)[0], "E", "power_above_declared") == 0
    assert strength(power_of(engine, 100, shrank)[0], "E", "power_above_declared") > 1
    spare = [declared(9), declared(8)]
    below = [strength(power_of(engine, 0, [one])[0], "E", "power_below_declared") for one in spare]
    assert below == [100, 0]  # a board may lie on the shelf
    gone = [declared(1000, on=dt.date(2025, 1, 1)), declared(8, "MI308X", on=dt.date(2025, 7, 1))]
    assert strength(power_of(engine, 1, gone)[0], "E", "power_below_declared") is None


def test_one_bill_that_is_too_high_does_not_decide(engine):
    bills = metered(20, months=range(1, 12)) + metered(2000, months=(12,))
    assert strength(power_of(engine, bills, [declared(16)])[0], "E", "power_above_declared") == 0


def test_the_bound_on_distance_is_half_the_way_of_light():
    given = quantities()
    assert farthest_km(1.0, given["light_km_per_ms_fibre"].value) == 100
    assert farthest_km(7.9, given["light_km_per_ms_fibre"].value) == pytest.approx(790)
    assert farthest_km(2.0, given["light_km_per_ms_vacuum"].value) == pytest.approx(299.792458)


def test_distances_on_the_sphere(engine):
    ends = [(BERLIN, AMSTERDAM, 577), (AMSTERDAM, NEW_YORK, 5864), ((0, 0), (0, 180), 20015), ((90, 0), (90, 77), 0)]
    rows = [{"a": a[0], "b": a[1], "c": b[0], "d": b[1]} for a, b, _ in ends]
    schema = pa.schema([(name, pa.float64()) for name in "abcd"])
    points = engine.keep("points", pa.Table.from_pylist(rows, schema))
    distance = points.mutate(km=great_circle_km(points.a, points.b, points.c, points.d, 6371.0088))
    assert sorted(distance.to_pyarrow()["km"].to_pylist()) == pytest.approx(sorted(km for *_, km in ends), abs=2)


def pinged(rtt, place=AMSTERDAM, landmark="ams-1", at=dt.datetime(2025, 3, 5, 12), **who):
    who = who or {"site": "S"}
    return {"landmark": landmark, "latitude": place[0], "longitude": place[1], "rtt_ms": rtt, "at": at, **who}


def pings_of(engine, pings, custody=(), places=None):
    rows = [site(*one) for one in places or [("S", "E", BERLIN)]]
    return screen(
        engine,
        corroborate_pings,
        sites=[row[0] for row in rows],
        sites_resolved=[row[1] for row in rows],
        pings=pings,
        custody=custody,
    )


def test_a_round_trip_too_short_contradicts_and_one_that_fits_confirms_nothing(engine):
    finding = "ping_contradicts_site"
    found, cited = pings_of(engine, [pinged(7.9)])  # 577 km away; 7.9 ms allow 790 km
    assert strength(found, "E", finding) == 0
    assert "does not confirm" in found["E", finding]["detail"] and cited == set()
    found, cited = pings_of(engine, [pinged(4.5), pinged(4.4)])  # too short for fibre, not for vacuum; one day
    assert strength(found, "E", finding) == 1
    assert cited == {("E", finding, "pings", 1), ("E", finding, "pings", 2), ("E", finding, "sites", 1)}
    assert strength(pings_of(engine, [pinged(0.5)])[0], "E", finding) == 3
    assert "allows 72 km of the stated 576 km" in pings_of(engine, [pinged(0.5)])[0]["E", finding]["detail"]
    apart = [pinged(0.5), pinged(0.5, landmark="ams-2"), pinged(4.5, at=dt.datetime(2025, 3, 6))]
    assert strength(pings_of(engine, apart)[0], "E", finding) == 7


def test_a_longer_round_trip_never_adds_a_contradiction(engine):
    times = [0.001, 0.5, 1, 2, 3, 4, 5, 5.4, 5.6, 6, 10, 500]
    places = [(f"S{at}", f"E{at}", BERLIN) for at in range(len(times))]
    # landmarks of their own: one that contradicts most is not believed
    found, _ = pings_of(
        engine, [pinged(t, landmark=f"L{at}", site=f"S{at}") for at, t in enumerate(times)], places=places
    )
    counts = [strength(found, f"E{at}", "ping_contradicts_site") for at in range(len(times))]
    assert counts == sorted(counts, reverse=True) and counts[0] == 3 and counts[-1] == 0


def test_what_cannot_be_placed_has_no_row(engine):
    nowhere = [("S", "E", (None, None))]
    assert pings_of(engine, [pinged(0.5)], places=nowhere)[0] == {}
    assert pings_of(engine, [pinged(0.0)])[0] == {}  # no measurement
    assert pings_of(engine, [pinged(0.5, at=dt.datetime(2026, 1, 1))])[0] == {}
    assert pings_of(engine, [pinged(0.5, at=dt.datetime(2024, 12, 31))])[0] == {}
    assert len(pings_of(engine, [pinged(0.5, at=dt.datetime(2025, 12, 31, 23))])[0]) == 1
    assert pings_of(engine, [pinged(0.5, serial="N")])[0] == {}


def test_a_chip_is_where_its_last_event_before_the_ping_has_it(engine):
    def moved(event, month, to=None, at=None):
        return {"serial": "N", "event": event, "at": dt.datetime(2025, month, 1), "to_party": to, "site": at}

    custody = [moved("sale", 1, "H", "S"), moved("install", 3, None, "A"), moved("transfer", 6, "K", None)]
    custody += [moved("install", 9, "K", "S"), moved("destroy", 11, "K", "S")]
    places = [("S", "E", BERLIN), ("A", "E", AMSTERDAM)]

    def seen(month):
        when = dt.datetime(2025, month, 15)
        found, _ = pings_of(engine, [pinged(1.0, at=when, serial="N")], custody, places)
        return {entity: row["strength"] for (entity, _), row in found.items()}

    assert seen(2) == {"H": 3}  # stated in Berlin, answers Amsterdam in 1 ms
    assert seen(4) == {"H": 0}  # installed in Amsterdam, still with H
    assert seen(7) == {}  # handed on, place unknown
    assert seen(10) == {"K": 3}
    assert seen(12) == {}  # destroyed


def test_a_landmark_that_contradicts_most_is_not_believed(engine):
    places = [(f"S{at}", f"E{at}", BERLIN) for at in range(10)]
    asked = [pinged(0.5, site=f"S{at}") for at in range(10)]
    assert pings_of(engine, asked, places=places)[0] == {}
    assert len(pings_of(engine, asked[:9], places=places)[0]) == 9


def bought(entity, price, chips=8, currency="USD", date=dt.date(2025, 5, 5), chip="H100-SXM"):
    return {
        "entity": entity,
        "date": date,
        "chip": chip,
        "chips": float(chips),
        "amount": price * chips,
        "currency": currency,
    }


MARKET = [bought(f"M{at}", 25000 * math.exp(0.1 * (at - 4) / 4)) for at in range(9)]


def test_a_price_is_measured_in_robust_deviations_of_the_same_chip_and_currency(engine):
    finding = "price_off_the_market"
    found, cited = screen(
        engine, corroborate_prices, purchases_resolved=[*MARKET, bought("X", 50000), bought("Y", 12000)]
    )
    # eleven prices: the median is 25,000, the median absolute deviation of the logarithm 0.075
    assert strength(found, "X", finding) == pytest.approx(math.log(2) / (1.4826 * 0.075), rel=1e-6)
    assert strength(found, "Y", finding) == pytest.approx(math.log(25 / 12) / (1.4826 * 0.075), rel=1e-6)
    assert strength(found, "M4", finding) == 0
    assert found["X", finding]["detail"].startswith("Paid 50000.00 USD a chip for 8 H100-SXM on 2025-05-05, 2.00 times")
    assert found["X", finding]["detail"].endswith("above it.") and found["Y", finding]["detail"].endswith("below it.")
    assert ("X", finding, "purchases", 10) in cited
    other = [
        bought("X", 5e6, currency="JPY"),
        bought("Y", 12000, chip="H200-SXM"),
        bought("Z", 1, date=dt.date(2026, 1, 1)),
    ]
    found, _ = screen(engine, corroborate_prices, purchases_resolved=[*MARKET, *other])
    assert {entity for entity, _ in found} == {f"M{at}" for at in range(9)}


def test_own_purchases_are_no_comparison_and_a_quarter_comes_before_the_year(engine):
    finding = "price_off_the_market"
    found, _ = screen(engine, corroborate_prices, purchases_resolved=[bought("X", 100 + at) for at in range(9)])
    assert found == {}
    cheaper = [bought(f"Q{at}", 12000 + at, date=dt.date(2025, 11, 1)) for at in range(9)]
    found, _ = screen(
        engine,
        corroborate_prices,
        purchases_resolved=[*MARKET, *cheaper, bought("X", 12000, date=dt.date(2025, 12, 1))],
    )
    assert strength(found, "X", finding) == 0
    found, _ = screen(
        engine, corroborate_prices, purchases_resolved=[*MARKET, bought("X", 12000, date=dt.date(2025, 12, 1))]
    )
    assert strength(found, "X", finding) > 3


def test_no_records_give_no_rows(engine):
    assert screen(engine) == ({}, set())


def test_figures_in_words_are_alike_on_every_engine(engine):
    schema = pa.schema([("x", pa.float64())])
    table = engine.keep("figures", pa.Table.from_pylist([{"x": x} for x in (0.05, 12.25, 1e300, -1e300, 0.0)], schema))
    words = table.select(whole=in_words(table.x), tenths=in_words(table.x, 1)).to_pyarrow().to_pylist()
    assert sorted(row["tenths"] for row in words) == ["-1000000000000.0", "0.0", "0.1", "1000000000000.0", "12.3"]
    assert sorted(row["whole"] for row in words) == ["-1000000000000", "0", "0", "1000000000000", "12"]


def test_the_look_back_ends_with_the_calendar():
    assert look_back(AS_OF, 365) == (dt.date(2025, 1, 1), dt.date(2026, 1, 1))
    assert look_back(AS_OF, 10**9).start == dt.date.min


def test_citations_stay_an_expression(engine):
    screen(engine)
    assert isinstance(corroborate(engine, AS_OF).citations, ibis.Table)


def town():
    """Records of one town, with something of everything."""
    places = [site(f"S{at}", f"E{at}", BERLIN) for at in range(5)]
    held = [{"serial": f"N{at}", "entity": "E1", "site": "S1", "chip": "H100-SXM"} for at in range(24)]
    custody = [
        {"serial": "N1", "event": "sale", "at": dt.datetime(2025, 1, 3), "to_party": "P1", "site": "S1"},
        {"serial": "N1", "event": "install", "at": dt.datetime(2025, 4, 1), "site": None},
        {"serial": "N1", "event": "install", "at": dt.datetime(2025, 6, 1), "site": "S2"},
    ]
    sizes = [8, 8, 16, 8, 24, 8, 32, 8, 1, 16, 8, 4]
    buyers = [
        bought(f"B{at % 19}", 25000 + 100 * at, sizes[at % 12], date=AS_OF - dt.timedelta(days=3 * at))
        for at in range(90)
    ]
    split = [bought("X", 26000, 16, date=dt.date(2025, month, 3)) for month in range(3, 9)]
    return {
        "identity": [{"party": "P1", "entity": "E1"}],
        "sites": [one[0] for one in places],
        "sites_resolved": [one[1] for one in places],
        "power": [row for at, kw in enumerate([90, 20, 0.01, 500]) for row in metered(kw, f"S{at}")],
        "declarations": [
            declared(2, "HGX H100 8-GPU", party="E0", at="S0"),
            declared(16, party="E2", at="S2"),
            declared(16, on=dt.date(2024, 5, 1), party="P1", at="S3"),
            declared(3, "mystery", party="E4", at="S3"),
        ],
        "held": held,
        "custody": custody,
        "pings": [pinged(rtt, landmark=f"L{at}", site="S4") for at, rtt in enumerate([0.5, 3, 4, 5, 9])]
        + [pinged(1.5, at=dt.datetime(2025, month, 9), serial="N1") for month in (1, 2, 5, 7)],
        "purchases_resolved": [*buyers, *split, bought("B1", 90000)],
    }


def test_spark_finds_and_cites_what_duckdb_does(engine):
    found, cited = screen(engine, **town())
    other, also_cited = screen(engine_of_tables({}, "spark"), **town())
    assert {finding for _, finding in found} == {
        "power_above_declared",
        "power_below_declared",
        "ping_contradicts_site",
        "purchases_under_the_line",
        "price_off_the_market",
    }
    assert found.keys() == other.keys() and cited == also_cited
    for key, row in found.items():
        assert other[key] == row | {"strength": pytest.approx(row["strength"], rel=1e-9)}
    assert {finding for (_, finding), row in found.items() if row["strength"] > 0} == {f for _, f in found}


def test_monstrous_figures_stay_finite(engine):
    sums = [
        bought(f"M{at}", 10.0 ** (300 if at % 2 else -300), 1) | {"chips": 10.0 ** (at % 3 * 6 - 3)} for at in range(12)
    ]
    places = site()
    found, _ = screen(
        engine,
        sites=[places[0]],
        sites_resolved=[places[1]],
        power=[{"site": "S", "month": dt.date(2025, 3, 1), "kwh": 1.7e308}],
        declarations=[declared(10**12, "HGX H100 8-GPU") for _ in range(50)],
        pings=[pinged(1e300), pinged(1e-300, place=(90.0, 180.0))],
        purchases_resolved=sums,
    )
    assert len(found) >= 15
    assert all(math.isfinite(row["strength"]) and row["strength"] >= 0 for row in found.values())
