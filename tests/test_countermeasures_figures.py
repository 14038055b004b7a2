"""What detection reproduces: published figures of leaks, samples, distances and curves, exact arithmetic, and refusals."""

import dataclasses
import importlib.util
import math
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from thresher import countermeasures
from thresher.countermeasures import (
    approximate_sample_size,
    inspection_detection_probability,
    inspection_sample_size,
    leak_probability,
    leak_probability_changing,
    max_distance_km,
    time_to_identification,
)
from thresher.countermeasures.accounting import largest_likelihood_ratio, total_likelihood_ratio
from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.channels import tied_together
from thresher.countermeasures.competing_risks import before_frailty, survival, undetected
from thresher.countermeasures.detection import hazards
from thresher.countermeasures.hiding import case_columns, ways_to_hide
from thresher.countermeasures.leaks import QUANTILES
from thresher.countermeasures.parameters import draw_detection, identification_rows, leak_rates, table
from thresher.countermeasures.programmes import load_programme
from thresher.errors import InputError
from thresher.evasion.footprint import Footprint
from thresher.sampling import hits_per_year

PRISM = 4.09e-6
QUANTILE_NAMES = ("q05", "q25", "q50", "q75", "q95")


# Leaks: Grimes 2016 (doi 10.1371/journal.pone.0147905) with its correction (doi 10.1371/journal.pone.0151003)


@pytest.mark.parametrize(
    ("people", "years"),
    [
        (411_000, 3.68),  # the moon landings, NASA's peak of 1965
        (405_000, 3.70),  # climate, scientific bodies besides scientists
        (29_083, 26.77),  # climate, scientists alone
        (736_000, 3.15),  # vaccination, companies too
        (22_000, 34.78),  # vaccination, CDC and WHO alone
        (714_000, 3.17),  # a cure for cancer
    ],
)
def test_grimes_years_until_exposure_is_95_percent(people, years):
    assert leak_probability(people, years) == pytest.approx(0.95, abs=5e-4)
    assert leak_probability(people, years * 1.003) > 0.95 > leak_probability(people, years * 0.997)


@pytest.mark.parametrize(
    ("years", "most"), [(5, 2521), (10, 1257), (15, 838), (20, 628), (25, 502), (50, 251), (100, 125)]
)
def test_grimes_most_people_for_a_chance_of_5_percent(years, most):
    assert leak_probability(most, years) == pytest.approx(0.05, abs=2e-4)
    assert leak_probability(most - 1, years) < 0.05 < leak_probability(most + 1, years)


@pytest.mark.parametrize(("case", "people", "years"), [("prism", 30_000, 6), ("tuskegee", 6_700, 25), ("fbi", 500, 6)])
def test_grimes_rates_make_each_case_as_likely_out_as_not(case, people, years):
    assert leak_probability(people, years, leak_rates()[case]) == pytest.approx(0.5, abs=1e-3)


def test_a_small_team_by_grimes():
    assert leak_rates()["prism"] == PRISM
    assert leak_probability(100, 1.5) == pytest.approx(6.1e-4, rel=0.01)
    assert leak_probability(100, 1.5) == leak_probability(100, 1.5, PRISM)
    assert leak_probability(100, 1.5, leak_rates()["fbi"]) == pytest.approx(0.0356, abs=2e-4)


@given(st.floats(0, 1e6), st.floats(0, 100), st.floats(0, 0.1))
def test_leaks_by_the_equation(people, years, rate):
    expected = -math.expm1(-years * -math.expm1(people * math.log1p(-rate)))
    assert leak_probability(people, years, rate) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert leak_probability(np.full(3, people), years, rate) == pytest.approx([expected] * 3, rel=1e-12, abs=1e-300)


def halving(t):
    return 5000.0 * 0.5 ** (t / 10.0)


def test_changing_people_against_numerical_integration():
    """The population of the correction's figure 1: 5,000 people, halved every ten years, at 5e-6."""
    edges = np.linspace(0.0, 40.0, 4001)
    middles, spans = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    hazard, _ = integrate.quad(lambda t: 1.0 - (1.0 - 5e-6) ** halving(t), 0.0, 40.0, epsabs=1e-13)
    corrected = leak_probability_changing(halving(middles), spans, 5e-6)
    assert corrected == pytest.approx(1.0 - math.exp(-hazard), rel=1e-6)
    wrong = 1.0 - math.exp(-40.0 * (1.0 - (1.0 - 5e-6) ** halving(40.0)))
    assert wrong < 0.5 * corrected  # the form that was published first forgets those who left


def test_the_first_form_falls_in_time_and_the_corrected_one_never_does():
    ends = range(1, 81)
    corrected = [leak_probability_changing([halving(t + 0.5) for t in range(end)], [1.0] * end, 5e-6) for end in ends]
    wrong = [leak_probability(halving(end), end, 5e-6) for end in ends]
    assert (np.diff(corrected) > 0).all()
    assert wrong[79] < max(wrong)


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 30)), min_size=1, max_size=6),
    st.sampled_from([PRISM, 2.45e-4]),
)
def test_changing_people_multiply_what_each_interval_leaves(intervals, rate):
    people, years = zip(*intervals, strict=True)
    expected = -math.expm1(-sum(y * -math.expm1(n * math.log1p(-rate)) for n, y in intervals))
    assert leak_probability_changing(people, years, rate) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert leak_probability_changing([people[0]] * 2, [years[0] / 2] * 2, rate) == pytest.approx(
        leak_probability(people[0], years[0], rate), rel=1e-9, abs=1e-14
    )


def test_a_certain_leak_by_a_rate_of_one():

    assert leak_probability(10, 1.5, 1.0) == pytest.approx(1 - math.exp(-1.5))
    assert leak_probability(0, 1.5, 1.0) == 0


# Sampling


def chance_by_counting(population, diverted, sampled):
    return 1 - Fraction(math.comb(population - diverted, sampled), math.comb(population, sampled))


@given(st.integers(1, 80), st.data())
def test_detection_by_counting_small_populations(population, data):
    diverted, sampled = (data.draw(st.integers(0, population)) for _ in range(2))
    expected = float(chance_by_counting(population, diverted, sampled))
    assert inspection_detection_probability(population, diverted, sampled) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40)
@given(st.integers(1000, 2_000_000), st.integers(1, 400), st.integers(1, 400))
def test_detection_by_counting_large_populations(population, diverted, sampled):
    expected = float(chance_by_counting(population, diverted, sampled))
    found = inspection_detection_probability(population, diverted, sampled)
    assert found == pytest.approx(expected, abs=1e-7)
    assert found == pytest.approx(inspection_detection_probability(population, sampled, diverted), abs=1e-7)


@pytest.mark.parametrize(
    ("population", "diverted", "sampled"),
    [(20_000, 4, 30), (1_000_002, 2, 1), (10**8, 2, 2), (2_734_297_128, 3687, 1), (13_681_269_156, 24_728, 4)],
)
def test_small_chances_keep_their_digits(population, diverted, sampled):

    expected = float(chance_by_counting(population, diverted, sampled))
    assert inspection_detection_probability(population, diverted, sampled) == pytest.approx(expected, rel=1e-6, abs=0)


def test_detection_against_scipy_for_arrays():
    population = np.asarray([10, 50, 1000, 20_000, 10**6, 10**6, 10**9])
    diverted = np.asarray([3, 50, 72, 4, 3456, 1, 10**5])
    sampled = np.asarray([2, 1, 30, 30, 867, 10**6, 10**4])
    expected = stats.hypergeom.sf(0, population, diverted, sampled)
    np.testing.assert_allclose(inspection_detection_probability(population, diverted, sampled), expected, rtol=1e-6)
    table_of = inspection_detection_probability(1000, [[1], [72]], [1, 30, 1000])
    assert table_of.shape == (2, 3)
    assert table_of[0] == pytest.approx([1e-3, 3e-2, 1.0])


@pytest.mark.parametrize(
    ("sites", "candidates", "chance"), [(72, 1000, 0.897), (72, 5000, 0.354), (72, 20_000, 0.103), (4, 20_000, 0.006)]
)
def test_twenty_challenge_inspections_a_year_for_a_year_and_a_half(sites, candidates, chance):
    assert inspection_detection_probability(candidates, sites, 30) == pytest.approx(chance, abs=6e-4)


def test_checks_for_3456_missing_chips_in_a_million():
    simpler = 1e6 * (1 - 0.05 ** (1 / 3456))
    assert math.ceil(simpler) == 867
    assert inspection_sample_size(1_000_000, 3456, 0.95) == pytest.approx(867, rel=0.005)
    assert approximate_sample_size(1_000_000, 3456, 0.95) == pytest.approx(867, rel=0.005)
    assert chance_by_counting(1_000_000, 3456, inspection_sample_size(1_000_000, 3456, 0.95)) >= Fraction(95, 100)
    assert chance_by_counting(1_000_000, 3456, inspection_sample_size(1_000_000, 3456, 0.95) - 1) < Fraction(95, 100)


@given(st.integers(1, 3000), st.data(), st.integers(1, 999))
def test_sample_size_is_sufficient_and_minimal(population, data, permille):

    diverted = data.draw(st.integers(1, population))
    wanted = Fraction(permille, 1000)
    size = inspection_sample_size(population, diverted, permille / 1000)
    assert chance_by_counting(population, diverted, size) >= wanted
    assert size == 0 or chance_by_counting(population, diverted, size - 1) < wanted


@pytest.mark.parametrize(("population", "confidence", "size"), [(100, 0.5, 50), (4, 0.25, 1), (20, 0.25, 5)])
def test_sample_size_where_one_of_them_gives_the_confidence_exactly(population, confidence, size):

    assert inspection_sample_size(population, 1, confidence) == size


@given(st.integers(1, 10**9), st.data(), st.floats(0.01, 0.9999))
def test_sample_size_is_sufficient_and_minimal_in_large_populations(population, data, confidence):
    diverted = data.draw(st.integers(1, population))
    size = inspection_sample_size(population, diverted, confidence)
    tolerance = 1e-6
    assert stats.hypergeom.sf(0, population, diverted, size) >= confidence - tolerance
    assert size == 0 or stats.hypergeom.sf(0, population, diverted, size - 1) < confidence + tolerance


def test_sample_sizes_at_the_ends():
    assert inspection_sample_size(100, 5, 0.0) == 0
    assert inspection_sample_size(100, 5, 1.0) == 96  # all that are not missing, and one more
    assert inspection_sample_size(100, 100, 1.0) == 1
    assert inspection_sample_size(1, 1, 0.5) == 1


# Sampling over and over: the hazard of a hit


@given(st.floats(0, 1e4), st.floats(1e4, 1e8), st.floats(0, 1e6), st.floats(0, 0.99))
def test_random_checks_miss_as_often_as_all_of_them_do(hidden, population, checks, found):
    hazard = hits_per_year(*(np.float64(value) for value in (hidden, population, checks, found)))
    assert hazard == pytest.approx(-checks * math.log1p(-found * hidden / population), rel=1e-12)
    assert math.exp(-hazard) == pytest.approx((1 - found * hidden / population) ** checks, rel=1e-8, abs=1e-300)
    assert hits_per_year(np.float64(2 * hidden), np.float64(2 * population), np.float64(checks), np.float64(found)) == (
        pytest.approx(hazard, rel=1e-12)
    )
    assert hits_per_year(*(np.float64(one) for one in (hidden, population, 3 * checks, found))) == pytest.approx(
        3 * hazard
    )


def test_hits_at_the_ends():
    def hits(*values):
        return float(hits_per_year(*(np.float64(value) for value in values)))

    assert hits(0, 1e4, 30, 1) == hits(72, 1e4, 0, 1) == hits(72, 1e4, 30, 0) == 0
    assert hits(4, 1e9, 30, 0.5) == pytest.approx(30 * 0.5 * 4 / 1e9, rel=1e-8)  # few of many: the chance of each adds
    assert (
        hits(1e5, 1e4, 30, 0.5) == hits(1e4, 1e4, 30, 0.5) == pytest.approx(30 * math.log(2))
    )  # no more than all hidden
    for hidden in (1e4, 1e6):  # all of them hidden, each known at sight: certain, and still a number
        assert math.isfinite(hits(hidden, 1e4, 1, 1)) and math.exp(-hits(hidden, 1e4, 1, 1)) < 1e-5


@pytest.mark.parametrize(("sites", "candidates"), [(72, 20_000), (4, 20_000), (72, 5000)])
def test_a_few_checks_of_many_places_are_as_the_hypergeometric(sites, candidates):
    chance = -math.expm1(
        -float(hits_per_year(np.float64(sites), np.float64(candidates), np.float64(30), np.float64(1)))
    )
    assert chance == pytest.approx(inspection_detection_probability(candidates, sites, 30), rel=0.01)


# Records tied together


@given(st.integers(1, 400), st.integers(2, 400), st.floats(0, 1))
def test_records_are_tied_as_the_binomial_says(number, needed, recall):
    found = float(tied_together(*(np.float64(value) for value in (number, needed, recall))))
    expected = stats.binom.sf(needed - 2, number - 1, recall) if number >= needed else 0.0
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_records_tied_at_the_ends():
    number, needed = (
        np.asarray(values, float) for values in zip((1, 2), (5, 6), (2.9, 3), (0, 2), (0.5, 2), strict=True)
    )
    for recall in (0.0, 0.3, 1.0):  # too few, however good the review
        assert (tied_together(number, needed, np.full(5, recall)) == 0).all()
    enough = np.asarray([2.0, 3.0, 3.7, 400.0, 1e6])
    assert (tied_together(enough, np.full(5, 2.0), np.ones(5)) == 1).all()
    assert (tied_together(enough, np.full(5, 2.0), np.zeros(5)) == 0).all()
    assert tied_together(enough, enough, np.full(5, 0.5)) == pytest.approx(0.5 ** (enough - 1))
    for single in (
        1.0,
        0.3,
    ):  # one purchase is over the line by itself: there is nothing to tie, it only has to be recorded
        for recall in (0.0, 0.1, 1.0):
            assert (tied_together(enough, np.full(5, single), np.full(5, recall)) == 1).all()
            assert float(tied_together(np.float64(0.2), np.float64(single), np.float64(recall))) == pytest.approx(0.2)


@given(st.floats(0, 1e5), st.floats(1, 3), st.floats(0.1, 1e4), st.floats(0, 1), st.floats(0, 1))
def test_more_records_and_more_recall_never_tie_less(number, factor, needed, recall, more):
    low, high = sorted((recall, more))
    here, larger, better = (
        float(tied_together(*(np.float64(value) for value in values)))
        for values in ((number, needed, low), (number * factor, needed, low), (number, needed, high))
    )
    assert 0 <= here <= 1
    assert larger >= here - 1e-12 and better >= here - 1e-12


# Frailty


@given(st.floats(0, 50), st.one_of(st.just(0.0), st.floats(1e-6, 5)))
def test_before_frailty_undoes_the_frailty(cumulative, variance):
    hazard, v = np.float64(cumulative), np.float64(variance)
    raw = before_frailty(hazard, v)
    assert raw >= cumulative * (1 - 1e-9)
    assert survival(raw, v) == pytest.approx(math.exp(-cumulative), rel=1e-8)
    assert before_frailty(-np.log(survival(hazard, v)), v) == pytest.approx(cumulative, rel=1e-8, abs=1e-12)


def test_before_frailty_at_the_ends():
    v = np.asarray([0.0, 1e-12, 0.5, 5.0])
    assert (before_frailty(np.zeros(4), v) == 0).all()
    assert before_frailty(np.full(4, 2.0), v) == pytest.approx([2, 2, 2 * math.expm1(1), math.expm1(10) / 5])
    with np.errstate(all="raise"):
        assert np.isfinite(before_frailty(np.full(4, 690.0), v)).all()
    assert (np.diff(before_frailty(np.linspace(0, 100, 1001), np.full(1001, 0.7))) > 0).all()


# Location


def test_a_millisecond_is_a_hundred_kilometres_of_fibre():
    assert max_distance_km(1.0) == 100.0
    assert max_distance_km(1.0, "vacuum") == pytest.approx(149.896229)
    assert max_distance_km([0.0, 2.0, 50.0]) == pytest.approx([0.0, 200.0, 5000.0])
    assert isinstance(max_distance_km(1), float)


# Covert programmes


@pytest.fixture(scope="module")
def fit_tool():
    path = Path(__file__).parents[1] / "tools" / "fit_identification.py"
    spec = importlib.util.spec_from_file_location("fit_identification", path)
    tool = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fit_identification", tool)  # its data classes look themselves up
        spec.loader.exec_module(tool)
    return tool


@pytest.mark.parametrize(("workers", "years"), [(100, 6.95), (1000, 3.42)])
def test_ai_futures_curve_gives_its_published_means(workers, years):
    found = time_to_identification(workers, "ai-futures")
    assert found.mean == pytest.approx(years, abs=0.005)
    expected = stats.gamma.ppf(QUANTILES, found.mean / 3.88, scale=3.88)
    assert [getattr(found, name) for name in QUANTILE_NAMES] == pytest.approx(expected, rel=1e-3)


def hazards_of_workers(workers, route, programme, p, operators=None):
    """What finds a hundred sites of so many people, who hide in one way."""
    one, operators = np.ones(1), workers - 12 if operators is None else operators
    footprint = Footprint(
        chips=400 * one, nodes=100 * one, sites=100 * one, chips_per_site=4 * one, duration_days=500 * one, cost_usd=1e8 * one,
        chips_usd=5e7 * one, capital_usd=7e7 * one, running_usd_per_year=2e7 * one, power_mw=one, power_kw_per_site=10 * one,
        energy_mwh=1e4 * one, people=workers * one, people_core=(workers - operators) * one, people_operators=operators * one,
        mean_upload_mbps_per_node=40 * one, peak_upload_mbps_per_node=80 * one, mean_download_mbps_per_node=40 * one,
    )  # fmt: skip
    actor = load_actor("company")
    way = next(way for way in ways_to_hide(actor, [1.0]) if way.route == route)
    return hazards(case_columns(footprint, 5 * one, np.zeros(1, int), [way], actor, p), programme, p)


@pytest.mark.parametrize("workers", [100.0, 1000.0])
@pytest.mark.parametrize("route", ["open", "stock"])
def test_the_ai_futures_programme_is_its_curve_and_nothing_else(workers, route):
    """Its survival at the ends of phases is that of T ~ Gamma(mean / theta, theta), mean = 23.358 / log10(workers)^1.7489."""
    found = hazards_of_workers(workers, route, load_programme("ai-futures"), draw_detection(20, 1))
    ends = found.starts + found.lengths
    unseen = np.exp(-np.cumsum(found.rates.sum(axis=0) * found.lengths, axis=0))
    shape = 23.358 / math.log10(workers) ** 1.7489 / 3.88
    np.testing.assert_allclose(unseen, stats.gamma.sf(ends, shape, scale=3.88), rtol=1e-10)
    assert (found.frailty_variance == 0).all()


@pytest.mark.parametrize("variance", [0.0, 1e-6, 0.05, 0.7, 2.0])
@pytest.mark.parametrize("name", ["ai-futures", "refit"])
def test_the_curve_is_that_of_a_population_whatever_its_frailty(name, variance):
    """The frailty is shared by all channels; what the curve says of all programmes together stays as it was fitted."""
    p, workers = draw_detection(40, 3), 300.0
    published = load_programme("ai-futures")
    form = {} if name == "ai-futures" else {"identification_form": 0.0}
    programme = dataclasses.replace(
        published, assumptions={**published.assumptions, **form, "frailty_variance": variance}
    )
    found = hazards_of_workers(workers, "open", programme, p)
    rates, v = found.rates, found.frailty_variance
    assert (v == variance).all()
    mean = p["identification_mean_years"] * np.exp(p["identification_slope"] * (math.log10(workers) - 2))
    shape = p["identification_shape"]
    if name == "ai-futures":
        mean, shape = 23.358 / math.log10(workers) ** 1.7489, 23.358 / math.log10(workers) ** 1.7489 / 3.88
    for end in found.starts + found.lengths:
        expected = stats.gamma.sf(end, shape, scale=mean / shape)
        np.testing.assert_allclose(undetected(end, rates, found.starts, found.lengths, v), expected, rtol=1e-8)


def test_rented_chips_leave_the_core_team_alone_to_be_identified_and_to_talk():
    """A provider's own people look after what is rented."""
    p = draw_detection(30, 2)
    few, many = (
        hazards_of_workers(12.0 + operators, "rented", load_programme("study"), p, operators) for operators in (1, 5000)
    )
    np.testing.assert_array_equal(few.rates, many.rates)
    owned = [
        hazards_of_workers(12.0 + operators, "open", load_programme("study"), p, operators) for operators in (1, 5000)
    ]
    assert (owned[1].rates >= owned[0].rates * (1 - 1e-12)).any() and not np.array_equal(owned[0].rates, owned[1].rates)
    ai_futures = load_programme("ai-futures")
    rented = hazards_of_workers(1000.0, "rented", ai_futures, p, 900)
    ends = rented.starts + rented.lengths
    shape = 23.358 / math.log10(100.0) ** 1.7489 / 3.88
    unseen = np.exp(-np.cumsum(rented.rates.sum(axis=0) * rented.lengths, axis=0))
    np.testing.assert_allclose(unseen, stats.gamma.sf(ends, shape, scale=3.88), rtol=1e-10)


@pytest.mark.parametrize("workers", [100, 3500])
def test_refit_quantiles_are_those_of_the_mixture_of_its_rows(workers):
    found, rows = time_to_identification(workers), identification_rows()
    mean = rows["identification_mean_years"] * np.exp(rows["identification_slope"] * (math.log10(workers) - 2))
    shape = rows["identification_shape"]
    assert found.mean == pytest.approx(mean.mean(), rel=1e-12)
    for name, share in zip(QUANTILE_NAMES, QUANTILES, strict=True):
        years = getattr(found, name)
        assert stats.gamma.cdf(years, shape, scale=mean / shape).mean() == pytest.approx(share, abs=1e-4)


def test_refit_intervals_cover_the_programmes_that_they_come_from():
    rows = table("covert_programmes.csv")
    spans = [time_to_identification(float(row["workers"])) for row in rows]
    inside = [
        span.q05 <= float(row["years_to_identification"]) <= span.q95 for row, span in zip(rows, spans, strict=True)
    ]
    assert len(rows) == 12 and sum(inside) >= 10
    assert sum(
        span.q25 <= float(row["years_to_identification"]) <= span.q75 for row, span in zip(rows, spans, strict=True)
    ) in range(3, 11)
    assert all(0 < s.q05 < s.q25 < s.q50 < s.mean < s.q95 and s.q50 < s.q75 < s.q95 for s in spans)


def test_stored_rows_are_those_that_the_fit_draws(fit_tool):
    stored = (fit_tool.DATA / "identification_draws.csv").read_text("utf-8")
    assert fit_tool.draws_csv(fit_tool.draw(fit_tool.fit())) == stored


# Aggregate accounting


def test_a_national_total_says_next_to_nothing_of_72_nodes():
    share, median = 1.4e-4, 0.05
    most = largest_likelihood_ratio(share, median)
    assert 1.0019 < most < 1.002
    ratios = total_likelihood_ratio(np.linspace(-1, 1, 100_001), share, median)
    assert ratios.max() == pytest.approx(most, rel=1e-12) and ratios.min() == pytest.approx(1 / most, rel=1e-12)


@settings(max_examples=40)
@given(st.floats(1e-6, 0.3), st.floats(0.005, 0.3))
def test_a_total_averages_to_no_evidence_where_nothing_is_hidden(share, median):
    scale = median / math.log(2)
    edges = np.unique([-40 * scale, 0.0, share, share + 40 * scale])
    average = sum(
        integrate.quad(
            lambda x: float(total_likelihood_ratio(np.float64(x), share, median)) * stats.laplace.pdf(x, scale=scale),
            low, high, epsabs=1e-12,
        )[0]
        for low, high in pairwise(edges)
    )  # fmt: skip
    assert average == pytest.approx(1.0, abs=1e-8)
    assert largest_likelihood_ratio(share, median) == pytest.approx(math.exp(share / scale))


# Refusals

GOOD = {
    "leak_probability": {"people": 10, "years": 1.0, "rate": 1e-4},
    "leak_probability_changing": {"people": [1, 2], "years": [1, 2], "rate": 1e-4},
    "inspection_detection_probability": {"population": 100, "diverted": 5, "sampled": 3},
    "inspection_sample_size": {"population": 100, "diverted": 5, "confidence": 0.9},
    "approximate_sample_size": {"population": 100, "diverted": 5, "confidence": 0.9},
    "max_distance_km": {"round_trip_ms": 1, "medium": "fibre"},
    "time_to_identification": {"workers": 100, "curve": "refit"},
}
ANY = [-1, -0.5, math.nan, math.inf, "many", {}, object(), 1 + 2j, [[1], [1, 2]], 10**400]
ONE = [*ANY, [], [1, 2], np.empty(0)]
"""What an argument that takes one number refuses."""
WORD = [None, -1, "air", [], {}]
HOSTILE = {
    ("leak_probability", "people"): [*ANY, None],
    ("leak_probability", "years"): [*ANY, None],
    ("leak_probability", "rate"): [*ONE, 1.0001],
    ("leak_probability_changing", "people"): [*ANY, None, [1, -1]],
    ("leak_probability_changing", "years"): [*ANY, None, [1, math.nan]],
    ("leak_probability_changing", "rate"): [*ONE, 1.0001],
    ("inspection_detection_probability", "population"): [*ANY, None, 0.5],
    ("inspection_detection_probability", "diverted"): [*ANY, None, 0.5, 101, [3, 101]],
    ("inspection_detection_probability", "sampled"): [*ANY, None, [1.5], 101, [3, 101]],
    ("inspection_sample_size", "population"): [*ONE, None, 2.5],
    ("inspection_sample_size", "diverted"): [*ONE, None, 2.5, 0, 101],
    ("inspection_sample_size", "confidence"): [*ONE, None, 1.01],
    ("approximate_sample_size", "population"): [*ONE, None],
    ("approximate_sample_size", "diverted"): [*ONE, None, 0],
    ("approximate_sample_size", "confidence"): [*ONE, None, 1.01],
    ("max_distance_km", "round_trip_ms"): [*ANY, None],
    ("max_distance_km", "medium"): WORD,
    ("time_to_identification", "workers"): [*ONE, None, 0, 0.5, 1],
    ("time_to_identification", "curve"): WORD,
}


@pytest.mark.parametrize(("name", "argument"), HOSTILE)
def test_hostile_input_is_refused_by_name(name, argument):
    got = {}
    for bad in HOSTILE[name, argument]:
        try:
            answer = getattr(countermeasures, name)(**{**GOOD[name], argument: bad})
        except InputError as error:
            if error.where == argument and "expected" in str(error):
                continue
            answer = error
        except Exception as error:
            answer = error
        got[repr(bad)[:24]] = answer
    assert got == {}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("leak_probability", {"people": [1, 2], "years": [1, 2, 3]}),
        ("leak_probability_changing", {"people": [1, 2], "years": [1, 2, 3]}),
        ("leak_probability_changing", {"people": 5, "years": 5}),
        ("leak_probability_changing", {"people": [[1]], "years": [[1]]}),
        ("inspection_detection_probability", {"population": [10, 20], "diverted": [1, 2, 3]}),
        ("inspection_detection_probability", {"diverted": [1, 2], "sampled": [1, 2, 3]}),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, changes):

    with pytest.raises(InputError) as caught:
        getattr(countermeasures, name)(**{**GOOD[name], **changes})
    assert any(name in caught.value.where for name in changes)


def test_no_intervals_and_no_cases_are_no_error():
    assert leak_probability_changing([], []) == 0
    assert leak_probability([], 1.0).shape == (0,)
    assert inspection_detection_probability([], 0, 0).shape == (0,)


def test_every_public_function_is_tried():
    assert set(GOOD) == set(countermeasures.__all__)
    assert set(HOSTILE) == {(name, argument) for name, good in GOOD.items() for argument in good}
