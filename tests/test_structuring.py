"""Structuring: honest buyers with round sizes and habits raise an alarm as often as the test says, splitters do more."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import betabinom, binom, hypergeom, norm

from thresher.catalog import chip
from thresher.regime import load_regime
from thresher.screening.corroboration.common import look_back, quantities
from thresher.screening.corroboration.structuring import (
    bunching,
    corroborate_structuring,
    counts_by_the_line,
    luck,
    orders_by_the_line,
    upper_tail,
)
from thresher.screening.engine import engine_of_tables

AS_OF = dt.date(2025, 12, 31)
MEMORY = load_regime("miri-2026-memory")
GIVEN = quantities().values_only()

SIZES = np.array([1, 2, 4, 8, 16, 24, 32, 64, 128])
SHARES = np.array([0.2, 0.1, 0.1, 0.25, 0.15, 0.05, 0.08, 0.04, 0.03])
MOST = np.array([16, 32, 9])  # the lines of three kinds of chip; 16 and 32 are round, 9 is not


def honest(generator, buyers, habit):
    """Orders of buyers without intent: sizes heap at boards of eight, and a buyer keeps to its size with chance ``habit``."""
    each = generator.geometric(0.3, buyers)
    buyer = np.repeat(np.arange(buyers), each)
    usual, other = generator.choice(SIZES, buyers, p=SHARES), generator.choice(SIZES, len(buyer), p=SHARES)
    size = np.where(generator.random(len(buyer)) < habit, usual[buyer], other)
    size = np.where(
        generator.random(len(buyer)) < 0.1, np.maximum(size + generator.integers(-2, 3, len(buyer)), 1), size
    )
    favourite = generator.integers(len(MOST), size=buyers)
    kind = np.where(
        generator.random(len(buyer)) < 0.8, favourite[buyer], generator.integers(len(MOST), size=len(buyer))
    )
    return buyer, kind, size


def judged(buyer, kind, size):
    """The luck of each buyer, as the step works it out from single orders."""
    near = (size >= np.ceil(0.75 * MOST[kind])) & (size <= MOST[kind])
    pair, at = np.unique(np.stack([buyer, kind], axis=1), axis=0, return_inverse=True)
    orders, under = np.bincount(at.ravel()).astype(float), np.bincount(at.ravel(), near)
    return luck(pair[:, 0], pair[:, 1], orders, under, GIVEN)


def smooth_share(size, kind):
    """The share of orders just under the line if sizes were lognormal: what a test that knows no round numbers expects."""
    logs, spread = np.log(size), np.log(size).std()
    edges = [np.log(np.where(side == "low", 0.75, 1.0) * MOST[kind]) for side in ("low", "high")]
    low, high = (norm.cdf(edge, logs.mean(), spread) for edge in edges)
    return float((high - low).mean())


def alarms(buyers, habit, runs):
    """The share of honest buyers that the test, and two naive ones, call suspicious at 5%."""
    rates = []
    for seed in range(runs):
        buyer, kind, size = honest(np.random.default_rng(seed), buyers, habit)
        found = judged(buyer, kind, size)
        naive = [
            binom.sf(found.under - 1, found.orders, share)
            for share in (smooth_share(size, kind), found.under.sum() / found.orders.sum())
        ]
        rates.append([np.mean(p <= 0.05) for p in (found.probability, *naive)])
    return np.mean(rates, axis=0)


@pytest.mark.parametrize("habit", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(("buyers", "runs"), [(200, 60), (5000, 4)])
def test_honest_buyers_alarm_as_often_as_the_level_says(habit, buyers, runs):
    ours, smooth, _ = alarms(buyers, habit, runs)
    assert 0.02 < ours < 0.065
    if habit:
        assert ours == pytest.approx(0.05, abs=0.015)
        assert smooth > 2.5 * ours


def test_a_test_that_knows_no_heaps_or_habits_alarms_several_times_too_often():
    ours, smooth, pooled = alarms(5000, 0.9, 4)
    assert smooth > 3 * 0.05
    assert pooled > 1.5 * 0.05
    assert ours < 0.06


def test_splitters_are_found_among_honest_buyers():
    caught = []
    for seed in range(20):
        buyer, kind, size = honest(np.random.default_rng(seed), 300, 0.5)
        splitters = np.repeat(np.arange(300, 305), 6)
        where = np.zeros(30, dtype=int)
        planted = np.random.default_rng(seed).integers(13, 17, 30)
        found = judged(np.append(buyer, splitters), np.append(kind, where), np.append(size, planted))
        caught += (found.probability[np.isin(found.buyer, splitters)] < 0.05).tolist()
    assert len(caught) == 100 and np.mean(caught) > 0.95


def test_more_orders_under_the_line_never_raise_the_probability_and_habits_never_lower_it():
    under = np.arange(9.0)
    tail = [
        upper_tail(np.full(9, 8.0), under, np.full(9, 0.2), np.full(9, likeness)) for likeness in (1e-6, 0.1, 0.3, 0.7)
    ]
    assert all(np.all(np.diff(one) < 0) for one in tail)
    assert np.all(np.diff([one[-1] for one in tail]) > 0)
    full = [upper_tail(*np.array([[n], [n], [0.2], [0.3]]))[0] for n in (3.0, 6.0, 12.0)]
    assert full == sorted(full, reverse=True)


def test_the_tail_is_the_published_beta_binomial_and_its_limits():
    orders, under, expected = (
        np.array([5.0, 8.0, 30.0, 1.0]),
        np.array([5.0, 3.0, 0.0, 1.0]),
        np.array([0.2, 0.4, 0.1, 0.3]),
    )
    for likeness in (0.05, 0.4):
        a, b = expected * (1 - likeness) / likeness, (1 - expected) * (1 - likeness) / likeness
        whole = betabinom.sf(under, orders, a, b) + betabinom.pmf(under, orders, a, b) / 2
        assert upper_tail(orders, under, expected, np.full(4, likeness)) == pytest.approx(whole)
    alone = binom.sf(under, orders, expected) + binom.pmf(under, orders, expected) / 2
    assert upper_tail(orders, under, expected, np.full(4, 1e-6)) == pytest.approx(alone, rel=1e-3)
    assert upper_tail(*np.array([[7.0], [7.0], [0.2], [1 - 1e-6]]))[0] == pytest.approx(0.1, rel=1e-3)
    assert upper_tail(*np.zeros((4, 0))).shape == (0,)


def test_without_likeness_the_tail_is_that_of_dealing_the_sizes_anew():
    generator = np.random.default_rng(1)
    near = np.repeat([True, False], [600, 2400])
    dealt = np.array([generator.permutation(near)[:6].sum() for _ in range(4000)])
    drawn = np.mean(dealt > 3) + np.mean(dealt == 3) / 2
    exact = hypergeom.sf(3, 3000, 600, 6) + hypergeom.pmf(3, 3000, 600, 6) / 2
    ours = upper_tail(*np.array([[6.0], [3.0], [0.2], [1e-6]]))[0]
    assert ours == pytest.approx(exact, rel=0.01)
    assert ours == pytest.approx(drawn, abs=4 * np.sqrt(exact / 4000))


def test_likeness_is_that_of_the_population():
    def likeness(habit):
        return np.median(judged(*honest(np.random.default_rng(3), 20000, habit)).likeness)

    assert likeness(0.0) < 0.01
    # two orders of a buyer share their size with chance habit^2; a tenth of the sizes is then blurred
    assert likeness(0.6) == pytest.approx(0.6**2, abs=0.15)
    assert likeness(0.3) < likeness(0.6) < likeness(0.9)


def test_just_under_is_what_a_clause_does_not_cover():
    sides = {(row["chip"], row["count"]): row["side"] for row in counts_by_the_line(MEMORY, 0.25, 0.5).to_pylist()}

    def counts(name, side):
        return sorted(count for (one, count), here in sides.items() if one == name and here == side)

    # 16 x 80 GB is on the line, and the line is not over it
    assert counts("H100-SXM", "under") == [12, 13, 14, 15, 16] and counts("H100-SXM", "over") == list(range(17, 25))
    # by memory and by compute (990 / 312 x 16 = 50.8)
    assert counts("A100-SXM-80GB", "under") == [12, 13, 14, 15, 16, *range(38, 51)]
    assert min(counts("A100-SXM-80GB", "over")) == 17 and max(counts("A100-SXM-80GB", "over")) == 75
    for name in ("H100-SXM", "A100-SXM-80GB", "B200"):
        assert sides[name, MEMORY.largest_uncovered_count(chip(name))] == "under"
    assert counts_by_the_line(load_regime("eu-ai-act"), 0.25, 0.5).num_rows == 0


def engine_with(rows):
    engine = engine_of_tables({})
    schema = [("row_id", pa.int64()), ("entity", pa.string()), ("date", pa.date32()), ("chip", pa.string())]
    rows = [{"row_id": at, "chip": "H100-SXM", **row} for at, row in enumerate(rows)]
    engine.keep("purchases_resolved", pa.Table.from_pylist(rows, pa.schema([*schema, ("chips", pa.float64())])))
    return engine


def day(number):
    return AS_OF - dt.timedelta(days=number)


def crowd(count=40):
    sizes = [8, 8, 8, 4, 1, 16, 8, 24, 32, 2]
    return [
        {"entity": f"C{at}", "date": day(17 * more + at % 5), "chips": float(sizes[(at + 3 * more) % 10])}
        for at in range(count)
        for more in range(4)
    ]


def screened(rows, as_of=AS_OF, owned=None):
    engine = engine_with(rows)
    owners = None if owned is None else engine.keep("owned", pa.table({"entity": list(owned), "owner": owned.values()}))
    found = corroborate_structuring(engine, look_back(as_of, 365), MEMORY, owners)
    return {row["entity"]: row for row in found.findings.to_pyarrow().to_pylist()}, found


def test_purchases_just_under_the_line_are_found_and_cited():
    split = [{"entity": "X", "date": day(20 * at), "chips": 15.0} for at in range(6)]
    rows, found = screened([*crowd(), *split])
    assert rows["X"]["strength"] == pytest.approx(-np.log10(2 / 167))  # the rarest that 166 orders can show
    assert max(row["strength"] for name, row in rows.items() if name != "X") < 1.3
    assert rows["X"]["detail"].startswith("6 of 6 purchases lie just under the line, where ")
    cited = {row["row_id"] for row in found.citations.to_pyarrow().to_pylist() if row["entity"] == "X"}
    assert cited == set(range(160, 166))


def test_shells_that_buy_once_each_are_found_together():
    split = [{"entity": f"X{at}", "date": day(20 * at), "chips": 15.0} for at in range(6)]
    assert not any(name.startswith("X") for name in screened([*crowd(), *split])[0])
    rows, found = screened([*crowd(), *split], owned={f"X{at}": "O" for at in range(6)})
    assert [rows[f"X{at}"]["strength"] for at in range(6)] == pytest.approx([-np.log10(2 / 167)] * 6)
    assert rows["X0"]["detail"].startswith("6 of 6 purchases of 6 buyers with one owner lie just under")
    cited = found.citations.to_pyarrow().to_pylist()
    assert {(row["entity"], row["row_id"]) for row in cited} >= {(f"X{at}", 160 + at) for at in range(6)}


def test_an_order_split_over_a_few_days_is_read_as_one():
    split = [{"entity": "X", "date": day(40 * at + part), "chips": 5.0} for at in range(5) for part in (0, 2, 4)]
    rows, found = screened([*crowd(), *split])
    assert rows["X"]["strength"] > 1.3
    assert rows["X"]["detail"].startswith("5 of 5 orders (purchases of a few days taken together)")
    assert sum(row["entity"] == "X" for row in found.citations.to_pyarrow().to_pylist()) == 15


def test_sizes_on_both_sides_of_the_window():
    def under(size):
        orders = orders_by_the_line(
            engine_with([{"entity": "X", "date": day(1), "chips": size}]), look_back(AS_OF, 365), MEMORY
        )
        row = orders.to_pyarrow().to_pylist()[0]
        assert row["single"] == row["grouped"]
        return row["single"], row["over"]

    assert [under(size) for size in (11.0, 12.0, 16.0)] == [(False, False), (True, False), (True, False)]
    assert [under(size) for size in (17.0, 24.0, 25.0)] == [(False, True), (False, True), (False, False)]


def test_too_few_orders_or_comparisons_have_no_row():
    pair = [{"entity": "X", "date": day(20 * at), "chips": 16.0} for at in range(2)]
    assert "X" not in screened([*crowd(), *pair])[0]
    assert screened([{"entity": "X", "date": day(20 * at), "chips": 16.0} for at in range(9)])[0] == {}
    assert screened(crowd(), dt.date(2024, 1, 1))[0] == {}
    assert screened([])[0] == {}


def test_bunching_counts_both_sides_of_each_line():
    sizes = [16.0] * 30 + [12.0] * 6 + [17.0] * 2 + [24.0] * 7 + [8.0] * 50
    rows = [{"entity": f"C{at}", "date": day(at), "chips": size} for at, size in enumerate(sizes)]
    table = bunching(orders_by_the_line(engine_with(rows), look_back(AS_OF, 365), MEMORY)).to_pyarrow().to_pylist()
    assert table == [{"chip": "H100-SXM", "under": 36, "over": 9, "excess": pytest.approx(27 / np.sqrt(45))}]
