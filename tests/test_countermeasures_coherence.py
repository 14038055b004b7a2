"""Detection hangs together: competing risks, triage, channels and files behave as what they claim to be, whatever the numbers."""

import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from thresher.countermeasures import channels as channel_functions
from thresher.countermeasures.actors import Actor, actors, load_actor
from thresher.countermeasures.channels import PHASES, channels, false_leads, rates
from thresher.countermeasures.competing_risks import (
    detected_by_cause,
    expected_share_done,
    survival,
    undetected,
)
from thresher.countermeasures.detection import TRAIN_END, Hazards, chance_undetected, hazards, with_assumptions
from thresher.countermeasures.drivers import drivers
from thresher.countermeasures.hiding import case_columns, routes, ways_to_hide
from thresher.countermeasures.parameters import LUCK, PRICES, draw_detection, quantities
from thresher.countermeasures.programmes import (
    Programme,
    cost_usd_per_year,
    countermeasures,
    load_programme,
    programme_for,
    programmes,
)
from thresher.countermeasures.programmes import settings as all_settings
from thresher.countermeasures.timeline import DETECTED, _times_of_detection
from thresher.countermeasures.triage import share_followed_as_they_come, share_followed_by_yield
from thresher.errors import InputError
from thresher.evasion.footprint import Footprint
from thresher.regime import load_regime, regimes

DRAWS, FEW_DRAWS = draw_detection(24, 5), draw_detection(9, 5)
ANYONE = Actor(
    "anyone", "Reached by everything, with every route", "", 1e12, 1e9, 1.0, 0.5,
    dict.fromkeys(routes(), 1e9), dict.fromkeys((name for name in countermeasures() if name != "investigations"), 1.0),
)  # fmt: skip
NO_ROUNDING = 1e-12


def footprint(sites=174.0, chips_per_site=4.0, days=543.0, kilowatts=12.0, core=12.0, operators=50.0, upload=39.0):
    chips, power = sites * chips_per_site, kilowatts * sites * 1e-3
    return Footprint(**{
        name: np.asarray([value])
        for name, value in {
            "chips": chips, "nodes": sites, "sites": sites, "chips_per_site": chips_per_site, "duration_days": days,
            "cost_usd": 1e5 * chips,
            "chips_usd": 6e4 * chips, "capital_usd": 8e4 * chips, "running_usd_per_year": 1e4 * chips, "power_mw": power,
            "power_kw_per_site": kilowatts, "energy_mwh": power * days * 24, "people": core + operators, "people_core": core,
            "people_operators": operators, "mean_upload_mbps_per_node": upload, "peak_upload_mbps_per_node": 2 * upload,
            "mean_download_mbps_per_node": upload,
        }.items()
    })  # fmt: skip


def cases_of(plan=None, actor=ANYONE, line=5.0, p=DRAWS, lots=(0.25, 1.0, 4.0)):
    """One plan by every way to hide."""
    ways = ways_to_hide(actor, list(lots))
    return case_columns(plan or footprint(), np.asarray([line]), np.zeros(len(ways), int), ways, actor, p)


def only_case(cases, index):
    return {name: value[index : index + 1] for name, value in cases.items()}


def unseen(programme, cases, p=DRAWS, **choices):
    return chance_undetected(cases, [programme], p, **choices)[:, 0]


def of_at_most_a_million_chips(sites, chips_per_site, **others):
    return footprint(min(sites, 1e6 // chips_per_site), chips_per_site, **others)


plans = st.builds(
    of_at_most_a_million_chips,
    sites=st.floats(1, 20_000).map(np.round),
    chips_per_site=st.sampled_from([1.0, 4.0, 15.0, 64.0, 2000.0]),
    days=st.floats(20, 1500),
    kilowatts=st.floats(1, 20_000),
    core=st.floats(5, 300),
    operators=st.floats(0.5, 20_000),
    upload=st.floats(0.01, 5000),
)
values_of_settings = st.fixed_dictionaries(
    {
        name: st.one_of(st.just(0.0), st.floats(0, 1)).map(lambda x, most=row.most: x * most)
        for name, row in all_settings().items()
    }
)
some_programmes = st.one_of(
    st.sampled_from(programmes()).map(load_programme),
    values_of_settings.map(lambda values: Programme("drawn", "Drawn", "", values, {}, ())),
)
phases_of_causes = st.integers(1, 4).flatmap(
    lambda causes: st.lists(
        st.tuples(st.floats(0.01, 5), st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0, 30.0]), min_size=causes, max_size=causes)),
        min_size=1, max_size=5,
    )
)  # fmt: skip
frailties = st.one_of(st.just(0.0), st.floats(0.01, 3))
few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def arranged(phases):
    """Rates (causes, phases, 1), starts and lengths (phases, 1)."""
    lengths = np.asarray([[length] for length, _ in phases])
    return np.asarray([rate for _, rate in phases]).T[:, :, None], np.cumsum(lengths, axis=0) - lengths, lengths


def times_of_detection(rates_, starts, lengths, v):
    """When detection comes to each of the chances of ``DETECTED``."""
    nothing = np.zeros((len(rates_), len(v)))
    return _times_of_detection(rates_, Hazards(rates_, lengths, starts, nothing, nothing, v))


# Competing risks


@given(phases_of_causes, frailties)
def test_survival_never_rises_and_every_loss_has_a_cause(phases, frailty):
    rates_, starts, lengths = arranged(phases)
    v = np.asarray([frailty])
    times = np.linspace(0, lengths.sum() * 1.2, 41)
    remaining = np.asarray([undetected(time, rates_, starts, lengths, v) for time in times])
    caused = np.asarray([detected_by_cause(time, rates_, starts, lengths, v) for time in times])
    assert remaining[0] == 1
    assert (np.diff(remaining, axis=0) <= NO_ROUNDING).all()
    assert (np.diff(caused, axis=0) >= -NO_ROUNDING).all() and (caused >= 0).all()
    np.testing.assert_allclose(remaining + caused.sum(axis=1), 1.0, rtol=1e-12)
    assert (caused[:, rates_.sum(axis=(1, 2)) == 0] == 0).all()


@given(phases_of_causes, frailties, st.data())
def test_a_phase_cut_in_two_changes_nothing(phases, frailty, data):
    place, share = data.draw(st.integers(0, len(phases) - 1)), data.draw(st.floats(0.05, 0.95))
    length, rate = phases[place]
    cut = [*phases[:place], (share * length, rate), ((1 - share) * length, rate), *phases[place + 1 :]]
    v = np.asarray([frailty])
    whole, parts = arranged(phases), arranged(cut)
    for time in np.linspace(0, sum(length for length, _ in phases), 4):
        for function in (undetected, detected_by_cause):
            np.testing.assert_allclose(function(time, *parts, v), function(time, *whole, v), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(times_of_detection(*parts, v), times_of_detection(*whole, v), rtol=1e-9)


@given(phases_of_causes, st.floats(0, 1))
def test_no_frailty_is_the_exponential_and_little_frailty_nearly(phases, at):
    rates_, starts, lengths = arranged(phases)
    time = at * lengths.sum()
    cumulative = sum(
        sum(rate) * min(max(time - start, 0), length)
        for (length, rate), start in zip(phases, starts[:, 0], strict=True)
    )
    expected = np.exp(-cumulative)
    assert undetected(time, rates_, starts, lengths, np.zeros(1))[0] == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert undetected(time, rates_, starts, lengths, np.asarray([1e-6]))[0] == pytest.approx(expected, abs=1e-6)


@few
@given(st.floats(0, 50), st.floats(0.01, 4))
def test_frailty_is_a_gamma_mixture(cumulative, variance):
    weights = stats.gamma.ppf((np.arange(20_000) + 0.5) / 20_000, 1 / variance, scale=variance)
    expected = np.exp(-weights * cumulative).mean()
    assert survival(np.float64(cumulative), np.float64(variance)) == pytest.approx(expected, abs=2e-3)
    assert survival(np.float64(cumulative), np.float64(variance)) >= np.exp(-cumulative) - NO_ROUNDING


def test_a_phase_without_hazard_only_waits():

    rates_, starts, lengths = arranged([(1.0, [0.0]), (1.0, [1.0])])
    found = times_of_detection(rates_, starts, lengths, np.zeros(1))
    assert found == pytest.approx([1 - np.log(0.9), 1 + np.log(2), np.inf])
    assert times_of_detection(0 * rates_, starts, lengths, np.zeros(1)) == (np.inf, np.inf, np.inf)


@given(phases_of_causes, frailties)
def test_times_of_detection_invert_the_chance_of_not_being_detected(phases, frailty):
    rates_, starts, lengths = arranged(phases)
    v = np.asarray([frailty])
    end = undetected(lengths.sum(), rates_, starts, lengths, v)[0]
    for share, time in zip(DETECTED, times_of_detection(rates_, starts, lengths, v), strict=True):
        level = 1 - share
        if level < end - 1e-9:
            assert time == np.inf
        elif level > end + 1e-9:
            assert undetected(time, rates_, starts, lengths, v)[0] == pytest.approx(level, rel=1e-9)
            assert undetected(0.999 * time, rates_, starts, lengths, v)[0] >= level
            if time * 1.01 < lengths.sum() and time > 0:  # the first time that it has fallen so far
                assert undetected(time * (1 - 1e-6), rates_, starts, lengths, v)[0] >= level * (1 - 1e-9)


def share_by_many_steps(phase, rates_, starts, lengths, v):
    times = starts[phase] + np.linspace(0, 1, 20_001)[:, None] * lengths[phase]
    hazard = np.stack([undetected(time, rates_, starts, lengths, v) for time in times])[:, 0]
    step = 1 / 20_000
    return step / 3 * (hazard[0] + 4 * hazard[1::2].sum() + 2 * hazard[2:-1:2].sum() + hazard[-1])  # Simpson's rule


@settings(max_examples=4, deadline=None)
@given(phases_of_causes, frailties, st.data())
def test_expected_share_done_against_many_steps(phases, frailty, data):
    phases = [(min(length, 1.0), [min(rate, 6.0) for rate in row]) for length, row in phases]
    phase = data.draw(st.integers(0, len(phases) - 1))
    arrangement, v = arranged(phases), np.asarray([frailty])
    found = expected_share_done(phase, arrangement[0], arrangement[2], v)[0]
    assert found == pytest.approx(share_by_many_steps(phase, *arrangement, v), rel=1e-8)
    assert (
        undetected((arrangement[1] + arrangement[2])[phase], *arrangement, v)[0]
        <= found + NO_ROUNDING
        <= 1 + 2 * NO_ROUNDING
    )


@pytest.mark.parametrize("hazard", [1.0, 30.0, 300.0, 1000.0])
def test_expected_share_done_of_a_large_hazard(hazard):

    rates_, lengths = np.asarray([[[hazard]]]), np.ones((1, 1))
    found = expected_share_done(0, rates_, lengths, np.zeros(1))[0]
    assert found == pytest.approx(-np.expm1(-hazard) / hazard, rel=1e-6)


# Triage


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from([0.0, 1.0, 20.0, 500.0])), min_size=1, max_size=5),
    st.floats(0, 1000),
)
def test_following_the_best_leads_first_is_the_most_that_a_capacity_can_do(pairs, capacity):
    found, leads = ([np.asarray([value]) for value in column] for column in zip(*pairs, strict=True))
    shares = np.ravel(share_followed_by_yield(found, leads, np.asarray([capacity])))
    assert ((shares >= 0) & (shares <= 1)).all()
    assert sum(share * lead for share, (_, lead) in zip(shares, pairs, strict=True)) <= capacity * (1 + 1e-9)
    assert all(share == 1 for share, (_, lead) in zip(shares, pairs, strict=True) if lead == 0)
    best, left = 0.0, capacity
    for hazard, lead in sorted(pairs, key=lambda pair: -pair[0] / pair[1] if pair[1] else -np.inf):
        best += hazard * (1 if lead <= left else left / lead)
        left = max(left - lead, 0)
    assert sum(share * hazard for share, (hazard, _) in zip(shares, pairs, strict=True)) == pytest.approx(
        best, rel=1e-9
    )
    alike = share_followed_as_they_come(leads, np.asarray([capacity]))[0]
    assert alike * sum(hazard for hazard, lead in pairs if lead) <= sum(
        share * hazard for share, (hazard, lead) in zip(shares, pairs, strict=True) if lead
    ) * (1 + 1e-9)


# Draws


def test_the_same_seed_gives_the_same_draws_and_another_others():
    first, again, other = draw_detection(50, 3), draw_detection(50, 3), draw_detection(50, 4)
    varied = {name for name, row in quantities().items() if row.distribution != "fixed"}
    assert varied and all(np.array_equal(first[name], again[name]) for name in first)
    assert first.keys() == again.keys() == other.keys()
    assert all(not np.array_equal(first[name], other[name]) for name in varied)
    for name in varied:
        row = quantities()[name]
        if row.distribution == "pert":
            assert row.low <= first[name].min() and first[name].max() <= row.high, name
    assert all((first[name] == row.value).all() for name, row in quantities().items() if name not in varied)


# Programmes: a state that does more never sees less


def check_monotone(programme, cases, share, **choices):
    """Raising any one setting by ``share`` of what is left of its scale never raises the chance of finishing unseen."""
    raised = [
        programme.with_settings(name, {name: value + share * (all_settings()[name].most - value)})
        for name, value in programme.settings.items()
    ]
    found = chance_undetected(cases, [programme, *raised], DRAWS, **choices)
    assert ((found >= 0) & (found <= 1)).all()
    worse = found[:, 1:] - found[:, :1]
    assert worse.max() <= NO_ROUNDING, {
        one.name: float(worse[:, k].max()) for k, one in enumerate(raised) if worse[:, k].max() > NO_ROUNDING
    }


@few
@given(some_programmes, plans, st.floats(0.01, 1))
def test_more_of_any_setting_never_lowers_detection(programme, plan, share):
    check_monotone(programme, cases_of(plan), share)


@few
@given(some_programmes, plans, st.floats(0.01, 1), st.floats(0, 300))
def test_nor_where_investigators_are_few(programme, plan, share, investigations):
    check_monotone(programme.with_settings("few", {"investigations": investigations}), cases_of(plan), share)


@few
@given(some_programmes, plans, st.sampled_from(actors()))
def test_nor_against_any_actor_that_ships(programme, plan, actor):
    check_monotone(programme, cases_of(plan, load_actor(actor)), 1.0)


@few
@given(some_programmes, plans)
def test_more_investigators_never_lower_detection(programme, plan):
    several = [programme.with_settings(str(n), {"investigations": n}) for n in (0.0, 1.0, 30.0, 1000.0, 1e5)]
    for triage in ("by_yield", "as_they_come"):
        found = chance_undetected(cases_of(plan), several, DRAWS, triage=triage)
        assert (np.diff(found, axis=1) <= NO_ROUNDING).all()


def test_more_checks_than_the_register_has_chips_are_no_fewer():

    small = dataclasses.replace(load_programme("everything"), assumptions={"registered_chips": 5e5})
    small = small.only(frozenset({"chip_tracking"})).with_settings(
        "s", {"location_checks": 0, "stings": 0, "investigations": 20}
    )
    cases = cases_of(footprint(sites=4.0))
    found = [unseen(small.with_settings(str(n), {"register_checks": n}), cases) for n in (5e5, 1e6)]
    assert (found[1] <= found[0] + NO_ROUNDING).all()


def test_leads_taken_as_they_come_more_false_alarms_lower_detection():
    """Tips by the thousand crowd out a sparse, good channel; taken by yield they cannot."""
    cases = only_case(cases_of(), 0)
    few_leads = load_programme("baseline").with_settings(
        "few", {"record_reviews": 4, "purchase_records": 1, "linkage_recall": 1, "investigations": 100}
    )
    flooded = few_leads.with_settings("flooded", {"traffic_providers": 1})
    alike, by_yield = (
        chance_undetected(cases, [few_leads, flooded], DRAWS, triage=triage)[0]
        for triage in ("as_they_come", "by_yield")
    )
    assert alike[1].mean() > alike[0].mean() + 0.05
    assert (by_yield[1] <= by_yield[0] + NO_ROUNDING).all()
    assert (by_yield <= alike + NO_ROUNDING).all()


@pytest.mark.parametrize("name", all_settings())
def test_every_setting_moves_something(name):
    cases, row = cases_of(footprint(sites=2000.0, kilowatts=3000.0), p=FEW_DRAWS, lots=(1.0,)), all_settings()[name]
    everything = load_programme("everything").with_settings("x", {"investigations": 1e5})
    low, high = (
        everything.with_settings(name, {name: value}) for value in (0.0 if name != "investigations" else 1.0, row.most)
    )
    found = [
        [hazards(only_case(cases, k), programme, FEW_DRAWS).rates for k in range(len(cases["chips"]))]
        for programme in (low, high)
    ]
    assert np.max(np.abs(np.asarray(found[1]) - np.asarray(found[0]))) > 0
    if name != "model_provenance":  # after the run
        assert np.max(np.abs(unseen(high, cases, FEW_DRAWS) - unseen(low, cases, FEW_DRAWS))) > 0
    prices = [[cost_usd_per_year(one.settings, DRAWS, kind) for kind in ("cost", "burden")] for one in (low, high)]
    assert np.max(np.asarray(prices[1]) - np.asarray(prices[0])) > 0


def test_settings_at_their_defaults_cost_nothing():
    for kind in ("cost", "burden"):
        assert np.all(cost_usd_per_year(load_programme("baseline").settings, DRAWS, kind) == 0)


def test_false_leads_come_only_of_what_the_state_does():
    found = false_leads(load_programme("baseline").settings, DRAWS)
    assert list(found) == list(channels())
    assert all(np.all(value == 0) for value in found.values())
    most = false_leads({name: row.most for name, row in all_settings().items()}, DRAWS)
    proof = {name for name, value in most.items() if np.all(value == 0)}
    assert proof == {"leaks", "identification", "challenge_inspections", "routine_inspections"}
    assert all(np.all(value > 0) for name, value in most.items() if name not in proof)


def test_false_links_come_by_reviews_and_not_by_how_many_records_are_read():
    everything = load_programme("everything").settings
    for setting, channel in (("purchase_records", "record_linkage"), ("utility_records", "contract_linkage")):
        none, few_, all_, often = (
            false_leads(everything | changes, DRAWS)[channel]
            for changes in ({setting: 0.0}, {setting: 0.01}, {setting: 1.0}, {setting: 1.0, "record_reviews": 6.0})
        )
        assert (none == 0).all() and (few_ > 0).all()
        np.testing.assert_array_equal(few_, all_)
        np.testing.assert_allclose(all_, often * everything["record_reviews"] / 6.0)
        np.testing.assert_allclose(all_, DRAWS["false_links_per_review"] * everything["record_reviews"])


@few
@given(values_of_settings)
def test_no_false_lead_is_negative(values):
    assert all(np.all(value >= 0) for value in false_leads(values, DRAWS).values())


@given(st.sets(st.sampled_from(sorted(countermeasures()))))
def test_only_some_countermeasures_leave_the_others_at_their_defaults(wanted):
    everything = load_programme("everything")
    kept = everything.only(frozenset(wanted)).settings
    for name, row in all_settings().items():
        whole = row.countermeasure in wanted | {"investigations"}
        assert kept[name] == (everything.settings[name] if whole else row.default)


# Cases: what leaves more to see is seen sooner

MORE = {
    "sites": {"sites", "people_operators"},
    "nodes": {"nodes"},
    "chips": {"chips"},
    "people": {"people", "people_core", "people_operators"},
    "longer": {"duration_days"},
    "power": {"power_kw_per_site"},
    "traffic": {"mean_upload_mbps_per_node", "mean_download_mbps_per_node"},
}


@pytest.mark.parametrize("what", MORE)
@few
@given(some_programmes, plans, st.floats(1.01, 10))
def test_more_to_see_never_lowers_a_hazard(what, programme, plan, factor):
    """Whatever one column grows; of the curve of identified programmes only where more workers are found sooner."""
    cases = cases_of(plan)
    if what == "sites":  # a single site is the programme, one of several only leads to it
        cases = cases | {"sites": np.maximum(cases["sites"], 2.0)}
    grown = cases | {name: cases[name] * factor for name in MORE[what]}
    sooner = (DRAWS["identification_slope"] <= 0) | (what != "people")
    before, after = (rates(columns, programme.settings, DRAWS) for columns in (cases, grown))
    whole = [np.asarray(length) for length in channel_functions.phase_years(cases, DRAWS)]
    longer = [np.asarray(length) for length in channel_functions.phase_years(grown, DRAWS)]
    for name in channels():
        counts = sooner if name == "identification" else np.ones_like(sooner)
        totals = [
            sum(rate * length for rate, length in zip(found[name][:TRAIN_END], lengths[:TRAIN_END], strict=True))
            for found, lengths in ((before, whole), (after, longer))
        ]
        ratio = np.broadcast_to(totals[1] - totals[0] * (1 - 1e-9), (len(cases["chips"]), 1, len(sooner)))
        assert (ratio[..., counts] >= -NO_ROUNDING).all(), name


@few
@given(some_programmes, plans, st.floats(1.01, 10))
def test_a_longer_run_is_never_likelier_to_end_unseen(programme, plan, factor):
    cases = cases_of(plan)
    longer = cases | {"duration_days": cases["duration_days"] * factor}
    assert (unseen(programme, longer) <= unseen(programme, cases) + NO_ROUNDING).all()


@pytest.mark.parametrize("name", [name for name in countermeasures() if name != "investigations"])
def test_who_is_exempt_is_not_seen(name):
    exempt = dataclasses.replace(ANYONE, reach=ANYONE.reach | {name: 0.0})
    everything = load_programme("everything").settings
    cases = cases_of(actor=exempt)
    with np.errstate(over="ignore"):
        here, there = rates(cases, everything, DRAWS), rates(cases_of(), everything, DRAWS)
    for channel, row in channels().items():
        for phase in range(len(PHASES)):
            if row["countermeasure"] == name:
                assert np.all(here[channel][phase] == 0)
            else:
                np.testing.assert_array_equal(here[channel][phase], there[channel][phase])
    unreached = dataclasses.replace(ANYONE, reach=dict.fromkeys(ANYONE.reach, 0.0))
    assert (unseen(load_programme("everything"), cases_of(actor=unreached)) == 1).all()


def test_a_rule_that_covers_no_site_is_no_reason_to_know_nothing():
    cases = cases_of(line=np.inf)
    found = unseen(load_programme("everything"), cases)
    assert np.isfinite(found).all()
    assert (found >= unseen(load_programme("everything"), cases_of(line=1e15)) - NO_ROUNDING).all()


# What is so or not, pieces and wholes


NEVER = {"location_luck": 1.0, "reconciliation_luck": 1.0, "purchase_luck": 1.0, "contract_luck": 1.0}
LUCKY = {
    "location_checks": ("location_luck", "location_checks", 365.0),
    "reconciliation": ("reconciliation_luck", "reconciliations", 12.0),
    "record_linkage": ("purchase_luck", "record_reviews", 12.0),
    "contract_linkage": ("contract_luck", "record_reviews", 12.0),
}
"""Channels that find what they find at the first look or never: their dimension of luck, and how often the state looks."""


@pytest.mark.parametrize("channel", LUCKY)
def test_looking_again_finds_nothing_that_the_first_look_could_not(channel):
    luck, setting, most = LUCKY[channel]
    p = DRAWS | {luck: np.linspace(0, 1, 24)}
    cases, everything = cases_of(footprint(sites=2000.0), line=20.0, p=p), load_programme("everything").settings
    found = []
    for times in (1e-3, 1.0, most):
        rate = rates(cases, everything | {setting: times}, p)[channel][2]
        found.append(np.broadcast_to(rate, (len(cases["chips"]), 1, 24)))
    so = found[-1] > 0
    assert so.any() and not so.all()
    for rate, times in zip(found, (1e-3, 1.0, most), strict=True):
        np.testing.assert_array_equal(rate > 0, so)  # more looks are sooner, and see no more
        np.testing.assert_allclose(rate, found[1] * times, rtol=1e-12)
    fixed = dict(DRAWS) | {name: np.full(24, np.median(value)) for name, value in DRAWS.items()}
    alike = cases_of(footprint(sites=2000.0), line=20.0, p=fixed)
    share = np.broadcast_to(rates(alike, everything, fixed | {luck: p[luck]})[channel][2] > 0, so.shape)
    assert (np.diff(share.astype(int), axis=-1) <= 0).all()  # so wherever the luck is below the chance


def test_more_reviews_of_the_same_papers_cannot_find_what_cannot_be_tied():
    cases = cases_of(footprint(sites=20.0), line=50.0, lots=(1.0,))
    settings_ = load_programme("baseline").settings | {
        "purchase_records": 1.0, "utility_records": 1.0, "linkage_recall": 0.6, "investigations": 1e5,
    }  # fmt: skip
    p = DRAWS | {"chips_per_purchase_reported": np.full(24, 1e6)}
    needed, bought = np.ceil(50 / 4), 20.0  # lots of four chips, 80 in all
    ours = next(at for at, way in enumerate(ways_to_hide(ANYONE, [1.0])) if way.route == "open" and not way.colocated)
    chances = {
        "record_linkage": stats.binom.sf(needed - 2, bought - 1, 0.6) * p["link_followed_share"],
        "contract_linkage": stats.binom.sf(0, 19, 0.6) * p["link_followed_share"],
    }
    for channel, chance in chances.items():
        assert (chance > 0.01).all() and (chance < 0.99).all()
        for reviews in (1.0, 12.0):
            rate = rates(cases, settings_ | {"record_reviews": reviews}, p)[channel][2]
            rate = np.broadcast_to(rate, (len(cases["chips"]), 1, 24))[ours, 0]
            luck = p[LUCKY[channel][0]]
            np.testing.assert_allclose(rate, np.where(luck < chance, reviews, 0.0), rtol=1e-12)
    unlucky = p | NEVER
    for reviews in (1.0, 12.0):
        found = rates(cases, settings_ | {"record_reviews": reviews}, unlucky)
        assert all(np.all(np.asarray(rate) == 0) for channel in LUCKY for rate in found[channel])
    assert (
        unseen_with(settings_ | {"record_reviews": 12.0}, cases, unlucky) == unseen_with(settings_, cases, unlucky)
    ).all()


def unseen_with(settings_, cases, p):
    return unseen(Programme("some", "Some", "", settings_, {}, ()), cases, p)


def test_the_draws_of_luck_are_uniform_and_apart_from_all_else():
    p = draw_detection(400, 7)
    for luck in LUCK:
        assert p[luck].min() < 0.01 and p[luck].max() > 0.99
        np.testing.assert_allclose(np.sort(p[luck]), (np.arange(400) + 0.5) / 400, atol=1 / 400)
        for name, values in p.items():
            if name != luck and np.ptp(values) > 0:
                assert abs(stats.spearmanr(p[luck], values).statistic) < 0.25, (luck, name)


PIECES = (
    "register_checks", "reconciliation", "location_checks", "stings", "activation_gates", "attestation", "financial_audits",
    "challenge_inspections", "routine_inspections", "energy_monitoring", "traffic_known_sites", "traffic_providers",
    "cloud_identity", "cloud_hours",
)  # fmt: skip


def test_a_single_site_is_the_whole():
    one, several = footprint(sites=1.0), footprint(sites=2.0)
    assert (channel_functions.to_the_whole(cases_of(one), DRAWS) == 1).all()
    np.testing.assert_array_equal(
        channel_functions.to_the_whole(cases_of(several), DRAWS)[0, 0], DRAWS["piece_leads_to_whole"]
    )
    everything = load_programme("everything").settings
    with np.errstate(over="ignore"):
        for sites, whole in ((one, 1.0), (several, DRAWS["piece_leads_to_whole"])):
            cases = cases_of(sites)
            found, certain = (
                rates(cases, everything, p) for p in (DRAWS, DRAWS | {"piece_leads_to_whole": np.ones(24)})
            )
            for channel in channels():
                for rate, most in zip(found[channel], certain[channel], strict=True):
                    near = whole if channel in PIECES else 1.0
                    if (
                        "inspections" in channel or channel == "register_checks"
                    ):  # a check finds with the chance of the whole: nearly in proportion
                        np.testing.assert_allclose(rate, np.asarray(most) * near, rtol=2e-3)
                    else:
                        np.testing.assert_allclose(rate, np.asarray(most) * near, rtol=1e-12)


def test_identification_is_by_whatever_means_and_no_setting_moves_it():
    cases, curve = cases_of(), DRAWS | {"leak_model": np.full(24, 0.5)}
    found = [rates(cases, load_programme(name).settings, curve) for name in programmes()]
    for one in found:
        for phase in range(len(PHASES)):
            np.testing.assert_array_equal(one["identification"][phase], found[0]["identification"][phase])
            assert (one["identification"][phase] > 0).all()
            assert all(np.all(one[name][phase] == 0) for name in ("leaks", "channel_reports", "rewarded_reports"))
    assert channels()["identification"]["countermeasure"] == "whistleblowing"
    for share, expected in ((0.3, 1.0), (1e-9, 1.0), (0.0, 0.0)):  # who is reached at all is found as others were
        partly = dataclasses.replace(ANYONE, reach=ANYONE.reach | {"whistleblowing": share})
        here = rates(cases_of(actor=partly), load_programme("study").settings, curve)["identification"]
        for phase in range(len(PHASES)):
            np.testing.assert_array_equal(here[phase], expected * found[0]["identification"][phase])


def test_each_draw_has_one_way_of_counting_leaks():
    found = rates(cases_of(), load_programme("everything").settings, DRAWS)
    by_curve = (DRAWS["leak_model"] >= 1 / 3) & (DRAWS["leak_model"] < 2 / 3)
    assert by_curve.any() and not by_curve.all()
    for phase in range(len(PHASES)):
        shape = (len(cases_of()["chips"]), 1, 24)
        np.testing.assert_array_equal(
            np.broadcast_to(found["identification"][phase], shape) > 0, np.broadcast_to(by_curve, shape)
        )
        np.testing.assert_array_equal(
            np.broadcast_to(found["leaks"][phase], shape) > 0, np.broadcast_to(~by_curve, shape)
        )


def test_rented_chips_leave_the_core_team_alone():
    small, large = (cases_of(footprint(operators=operators)) for operators in (1.0, 9000.0))
    rented = large["route_own_site"][:, 0, 0] == 0
    assert rented.any() and not rented.all()
    assert (large["people"][rented] == 12).all() and (large["people"][~rented] == 9012).all()
    knows = channel_functions.who_knows(large, DRAWS)
    alone = channel_functions.who_knows(small, DRAWS)
    for name in knows:
        shape = (len(rented), 1, 24)
        here, there = (np.broadcast_to(one[name], shape)[rented] for one in (knows, alone))
        np.testing.assert_array_equal(here, there)
    total = sum(np.broadcast_to(knows[name], (len(rented), 1, 24)) for name in ("fully", "partly", "not"))
    np.testing.assert_allclose(total[rented], 12.0)
    everything = load_programme("everything")
    np.testing.assert_array_equal(unseen(everything, large)[rented], unseen(everything, small)[rented])
    assert (unseen(everything, large)[~rented] < unseen(everything, small)[~rented]).any()


def test_meters_find_half_of_the_sites_of_the_half_size_in_a_year():
    half = 4.5e3
    p = DRAWS | {"energy_half_mw": np.full(24, 4.5)}
    found = {}
    for kilowatts in (0.0, 0.01 * half, 0.5 * half, half, 2 * half, 100 * half):
        cases = cases_of(footprint(sites=1.0, kilowatts=kilowatts), p=p)
        with np.errstate(divide="ignore"):
            rate = rates(cases, load_programme("baseline").settings | {"energy_monitoring": 1.0}, p)[
                "energy_monitoring"
            ]
        assert all(np.all(rate[phase] == 0) for phase in (0, 1, 3))
        ours = (cases["route_own_site"] * (1 - cases["colocated"]))[:, 0, 0] > 0
        rate = np.broadcast_to(rate[2], (len(ours), 1, 24))
        assert (rate[~ours] == 0).all()  # a known facility's own load hides it, and a provider's
        found[kilowatts] = np.exp(-rate[ours])
    np.testing.assert_allclose(found[half], 0.5, rtol=1e-12)
    assert (found[0.0] == 1).all() and (found[100 * half] <= 1 / 101).all()
    for less, more in itertools.pairwise(found.values()):
        assert (more < less).all()
    exponent = p["energy_steepness"]  # ever fewer of smaller ones
    np.testing.assert_allclose(
        found[0.01 * half], np.broadcast_to(1 / (1 + 0.01**exponent), found[half].shape), rtol=1e-12
    )
    part = rates(
        cases_of(footprint(sites=1.0, kilowatts=half), p=p),
        load_programme("baseline").settings | {"energy_monitoring": 0.4},
        p,
    )
    assert np.max(part["energy_monitoring"][2]) == pytest.approx(0.4 * np.log(2))
    many = cases_of(footprint(sites=30.0, kilowatts=half), p=p)
    rate = rates(many, load_programme("baseline").settings | {"energy_monitoring": 1.0}, p)["energy_monitoring"][2]
    np.testing.assert_allclose(np.max(rate, axis=0)[0], 30 * np.log(2) * p["piece_leads_to_whole"])


# What drives it


def test_a_driver_that_is_there_is_found_with_its_sign():
    for seed in range(20):
        p = draw_detection(200, seed)
        noise = np.random.default_rng(seed).normal(size=200)
        for name, sign in (("candidate_sites", 1), ("misplaced_share", -1)):
            ranks = stats.rankdata(p[name]) / 200
            chance = 1 / (1 + np.exp(-(4 * sign * ranks + 0.5 * noise)))
            [first, *others] = drivers(chance, p)
            assert first.parameter == name
            assert np.sign(first.correlation) == sign and abs(first.correlation) > 0.85
            assert first.correlation == pytest.approx(stats.spearmanr(chance, p[name]).statistic)
            assert all(abs(one.correlation) < abs(first.correlation) for one in others)


def test_noise_drives_nothing_but_once_in_a_while():
    passed = []
    for draws in (50, 200):
        for seed in range(8):
            p, rng = draw_detection(draws, seed), np.random.default_rng([seed, 1])
            passed += [len(drivers(rng.random(draws), p)) for _ in range(10)]
    assert np.mean(np.asarray(passed) > 0) <= 0.12
    assert max(passed) <= 2


def test_what_does_not_vary_drives_nothing():
    p, chance = draw_detection(100, 0), np.linspace(0, 1, 100)
    assert drivers(np.full(100, 0.3), p) == ()
    [only] = drivers(chance, {"constant": np.full(100, 4.0), "other": chance**3, "too": np.zeros(100)})
    assert (only.parameter, only.correlation) == ("other", pytest.approx(1.0))
    fixed = {name for name, row in quantities().items() if row.distribution == "fixed"}
    every = drivers(chance, p | {"planted": -chance}, most=1000)
    assert not fixed & {one.parameter for one in every}
    assert drivers(np.asarray([0.0, 1.0] * 50), {"two": np.asarray([1.0, 0.0] * 50)})[0].correlation == pytest.approx(
        -1
    )


def test_the_model_of_leaks_counts_by_how_far_it_parts_the_draws():
    p = draw_detection(300, 0)
    middle = (p["leak_model"] >= 1 / 3) & (p["leak_model"] < 2 / 3)
    chance = np.where(middle, 0.2, 0.8) + 0.01 * np.random.default_rng(0).random(300)
    [first, *_] = drivers(chance, p)
    assert first.parameter == "leak_model" and first.correlation > 0.7
    assert abs(stats.spearmanr(chance, p["leak_model"]).statistic) < 0.2  # no rank correlation would have seen it
    assert len(drivers(np.asarray(chance), {f"{at}": chance for at in range(9)})) == 6


# One kernel, two ways through it


@pytest.mark.parametrize("name", programmes())
@settings(max_examples=2, deadline=None)
@given(plans, st.floats(0, 3000))
def test_hazards_of_one_case_agree_with_the_chances_of_many(name, plan, investigations):
    cases = cases_of(plan)
    shipped = load_programme(name)
    few_investigators = shipped.with_settings("few", {"investigations": investigations})
    many = chance_undetected(cases, [shipped, few_investigators], DRAWS)
    for index in range(len(cases["chips"])):
        for place, programme in enumerate((shipped, few_investigators)):
            found = hazards(only_case(cases, index), programme, DRAWS)
            end = (found.starts + found.lengths)[TRAIN_END - 1]
            alone = undetected(end, found.rates, found.starts, found.lengths, found.frailty_variance)
            np.testing.assert_allclose(alone, many[index, place], rtol=1e-9, atol=1e-13)


def test_chances_do_not_depend_on_threads_or_company():
    cases = cases_of()
    several = [load_programme(name) for name in programmes()]
    together = chance_undetected(cases, several, DRAWS, workers=1)
    assert np.array_equal(together, chance_undetected(cases, several, DRAWS, workers=3))
    for place, programme in enumerate(several):
        np.testing.assert_allclose(unseen(programme, cases), together[:, place], rtol=1e-12)


PORTABLE = """
import numpy as np
import array_api_strict
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy

from tests.test_countermeasures_coherence import DRAWS, cases_of
from thresher.countermeasures.channels import false_leads, rates
from thresher.countermeasures.programmes import load_programme
from thresher.countermeasures.triage import share_followed_by_yield

cases, settings = cases_of(), load_programme("everything").settings
here, leads = rates(cases, settings, DRAWS), false_leads(settings, DRAWS)
followed = share_followed_by_yield([by_phase[2] for by_phase in here.values()], list(leads.values()), 300.0)
for xp in (array_api_strict, jax.numpy):
    f, p = ({name: xp.asarray(value) for name, value in columns.items()} for columns in (cases, DRAWS))
    there, leads_there = rates(f, settings, p), false_leads(settings, p)
    for name, by_phase in here.items():
        for k, rate in enumerate(by_phase):
            np.testing.assert_allclose(np.asarray(there[name][k]), rate, rtol=1e-8, atol=1e-14, err_msg=name)
        np.testing.assert_allclose(np.asarray(leads_there[name]), leads[name], rtol=1e-12)
    shares = share_followed_by_yield([by_phase[2] for by_phase in there.values()], list(leads_there.values()), 300.0)
    for one, other in zip(followed, shares, strict=True):
        np.testing.assert_allclose(np.asarray(other), one, rtol=1e-7, atol=1e-9)
print("agree")
"""


def test_channels_run_unchanged_on_other_arrays():
    """In a process of its own, since SciPy reads the variable when it is imported."""
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PORTABLE], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.stdout == "agree\n", done.stderr[-3000:]


# Assumptions

OWN = "programme: own\ntitle: My own\n"
SOMEONE = "actor: someone\ntitle: Someone\nbudget_usd: 1000000\nroutes: {open: 100}\n"


def write(folder, text, name="own.yaml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


ELSEWHERE = {
    "investigations_false_usd": "costs",
    "light_km_per_ms_vacuum": "max_distance_km alone",
}
"""Parameters that no hazard or lead depends on, and what does."""
CURVE = {"identification_form": 1.0, "ensemble_grimes": 1.0, "ensemble_identification": 1.0, "ensemble_insider": 1.0}


def assuming(assumptions):
    """Everything at once with some parameters taken as certain: the chances, and the hazards and leads of every case."""
    everything = load_programme("everything").with_settings("x", {"investigations": 1e5, "whistleblower_reward": 0.2})
    programme = dataclasses.replace(everything, assumptions=assumptions)
    cases = cases_of(footprint(sites=2000.0, kilowatts=3000.0), line=500.0, p=FEW_DRAWS, lots=(8.0,))
    p, shape = with_assumptions(FEW_DRAWS, [programme]), (len(cases["chips"]), 1, 9)
    found, leads = rates(cases, programme.settings, p), false_leads(programme.settings, p)
    one = hazards(only_case(cases, 0), programme, FEW_DRAWS)
    return (
        unseen(programme, cases, FEW_DRAWS),
        np.asarray([[np.broadcast_to(rate, shape) for rate in by_phase] for by_phase in found.values()]),
        np.asarray([np.broadcast_to(lead, (1, 1, 9)) for lead in leads.values()]),
        one.rates,
        one.followed,
    )


def is_refused(folder, name, value):
    """Whether a programme may not say this; then there is no more to ask."""
    try:
        load_programme(write(folder, f"{OWN}assumptions: {{{name}: {value!r}}}\n"))
    except InputError:
        return True
    return False


@pytest.mark.parametrize(
    "name", [name for name in quantities() if not name.startswith(PRICES) and name not in ELSEWHERE]
)
def test_every_assumption_that_a_programme_may_make_takes_effect(tmp_path, name):

    # leak_rate_... by no one: draw_detection has already put one of the three into leak_rate. Both are taken and ignored.
    row = quantities()[name]
    low, high = 0.3 * row.low, 3 * row.high + 1e-3
    if not is_refused(tmp_path, name, row.value):
        outcomes = zip(assuming(CURVE | {name: low}), assuming(CURVE | {name: high}), strict=True)
        assert any(not np.array_equal(one, other) for one, other in outcomes)


@pytest.mark.parametrize("name", [name for name in quantities() if not name.startswith(PRICES)])
def test_no_assumption_of_nothing_ends_in_no_number(tmp_path, name):

    if not is_refused(tmp_path, name, 0.0):
        with np.errstate(all="ignore"):
            chances, *found = assuming({name: 0.0})
        assert ((chances >= 0) & (chances <= 1)).all()
        assert not any(np.isnan(one).any() for one in found)


# Files


def refusal(load, path):
    with pytest.raises(InputError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize("name", programmes())
def test_every_programme_ships_whole(name):
    programme = load_programme(name)
    assert programme.name == name and programme.title and programme.source
    assert list(programme.settings) == list(all_settings())
    assert all(0 <= value <= all_settings()[key].most for key, value in programme.settings.items())
    assert load_programme(name.upper()) == programme
    assert all(programme_for(load_regime(regime)) == name for regime in programme.regimes)


AGREED = {"miri-2025", "miri-2026-memory"}
"""Regimes whose text is the draft agreement's."""


@pytest.mark.parametrize("name", regimes())
def test_a_regime_without_a_programme_of_its_own_has_the_baseline(name):
    assert programme_for(load_regime(name)) == ("agreement" if name in AGREED else "baseline")


AMENDED = (
    "regime: mine\ntitle: Mine\njurisdiction: here\nstatus: proposed\nsource: {title: A memo, address: desk drawer}\n"
)
LINE = """
definitions: {h100_fp16_tflops: 990, h100_tpp: 15840}
clauses:
  - id: line
    kind: cluster
    reference: para. 1
    text: More than 8.
    metric: h100_equivalents
    comparison: ">"
    threshold: 8
    unit: H100-equivalents
    grouping: {over: networked, colocated: true}
"""


@pytest.mark.parametrize("base", sorted(AGREED))
def test_an_amendment_of_ones_own_keeps_the_programme_of_what_it_amends(tmp_path, base):
    duty = (
        "  - {id: more, kind: obligation, reference: para. 2, subject: reports, text: Reports., applies_to: parties}\n"
    )
    for place, clauses in enumerate((LINE, f"clauses:\n{duty}", LINE + duty)):
        rule = load_regime(write(tmp_path, f"{AMENDED}extends: {base}\n{clauses}", f"amended{place}.yaml"))
        assert rule.name == "mine"
        assert programme_for(rule) == "agreement"


def test_a_rule_of_ones_own_without_its_duties_has_the_baseline(tmp_path):
    assert programme_for(load_regime(write(tmp_path, AMENDED + LINE, "bare.yaml"))) == "baseline"
    drafted = load_regime("miri-2025")
    named = write(tmp_path, (AMENDED + LINE).replace("regime: mine", "regime: other"), "other.yaml")
    assert not load_regime(named).obligations and drafted.obligations
    assert programme_for(load_regime(named)) == "baseline"


@pytest.mark.parametrize("name", actors())
def test_every_actor_ships_whole(name):
    actor = load_actor(name)
    assert actor.name == name and actor.title and actor.source
    assert set(actor.reach) == set(countermeasures()) - {"investigations"}
    assert actor.routes and set(actor.routes) <= set(routes())
    assert load_actor(name.upper()) == actor
    assert {way.route for way in ways_to_hide(actor, [1.0])} == {
        route for route, most in actor.routes.items() if most > 0
    }


def test_actors_go_from_the_least_to_the_most_able():
    assert actors() == ["lab", "company", "small-state", "major-state"]


def test_a_programme_of_ones_own_extends_one_that_ships_or_one_beside(tmp_path):
    write(tmp_path, OWN + "extends: study\nsettings: {stings: 0.7}\nassumptions: {frailty_variance: 0}\n", "base.yaml")
    own = load_programme(write(tmp_path, OWN + "extends: base.yaml\nsettings: {attestation: 0}\n"))
    study = load_programme("study")
    assert own.settings == {**study.settings, "stings": 0.7, "attestation": 0.0}
    assert own.assumptions == {"frailty_variance": 0.0} and own.regimes == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("setings: {stings: 1}", "setings"),
        ("settings: {sting: 1}", "settings.sting"),
        ("settings: {stings: 1.01}", "settings.stings"),
        ("settings: {stings: -0.1}", "settings.stings"),
        ("settings: {stings: .nan}", "settings.stings"),
        ("settings: {stings: .inf}", "settings.stings"),
        ("settings: {stings: true}", "settings.stings"),
        ("settings: {stings: null}", "settings.stings"),
        ("settings: {stings: '1.01'}", "settings.stings"),
        ("settings: {stings: 2e0}", "settings.stings"),
        ("settings: {stings: one}", "settings.stings"),
        ("settings: {stings: ''}", "settings.stings"),
        ("settings: {stings: 'nan'}", "settings.stings"),
        ("settings: {stings: 1e-400e}", "settings.stings"),
        ("settings: {stings: [1]}", "settings.stings"),
        ("settings: 5", "settings"),
        ("settings: [stings]", "settings"),
        ("assumptions: {frailty: 1}", "assumptions.frailty"),
        ("assumptions: {frailty_variance: -1}", "assumptions.frailty_variance"),
        ("assumptions: {frailty_variance: lots}", "assumptions.frailty_variance"),
        ("assumptions: 3", "assumptions"),
        ("regimes: miri-2025", "regimes"),
        ("regimes: [5]", "regimes"),
        ("extends: own.yaml", "extends"),
        # none (taken by their repr), and an `extends` that leads nowhere names neither the file that says so nor the key
        (f"settings: {{stings: 1{400 * '0'}}}", "settings.stings"),
        ("settings: []", "settings"),
        ("settings: false", "settings"),
        ("assumptions: 0", "assumptions"),
        ("source: [1]", "source"),
        ("extends: nonesuch", "extends"),
        ("extends: gone.yaml", "extends"),
        ("extends:", "extends"),
        ("extends: [study]", "extends"),
    ],
    ids=lambda value: value[:40],
)
def test_a_wrong_programme_is_refused_by_file_and_key(tmp_path, text, key):
    path = write(tmp_path, OWN + text + "\n")
    message = refusal(load_programme, path)
    assert message.startswith(f"{path}: {key}: expected ")


@pytest.mark.parametrize("text", ["5e-1", "0.5", "'0.5'", "+.5", "5.0e-1"])
def test_numbers_are_read_however_yaml_takes_them(tmp_path, text):
    """YAML takes 5e-1 for a word, and a person means a number by it."""
    assert load_programme(write(tmp_path, OWN + f"settings: {{stings: {text}}}\n")).settings["stings"] == 0.5
    actor = load_actor(write(tmp_path, SOMEONE.replace("1000000", "1e6").replace("open: 100", "open: 1e2"), "who.yaml"))
    assert actor.budget_usd == 1e6 and actor.routes == {"open": 100.0}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("risk: 1", "risk"),
        ("risk_tolerance: 1.5", "risk_tolerance"),
        ("compartments: -1", "compartments"),
        ("compartments: strict", "compartments"),
        ("most_people: null", "most_people"),
        ("reach: {inspections: 2}", "reach.inspections"),
        ("reach: {inspection: 1}", "reach.inspection"),
        ("reach: {investigations: 1}", "reach.investigations"),
        ("reach: {inspections: .nan}", "reach.inspections"),
        ("reach: 1", "reach"),
        (f"most_people: 1{400 * '0'}", "most_people"),
        ("reach: []", "reach"),
        ("source: {a: 1}", "source"),
    ],
    ids=lambda value: value[:40],
)
def test_a_wrong_actor_is_refused_by_file_and_key(tmp_path, text, key):
    path = write(tmp_path, SOMEONE + text + "\n")
    message = refusal(load_actor, path)
    assert message.startswith(f"{path}: {key}: expected ")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("{open: 100}", "{}", "routes"),
        ("{open: 100}", "{opn: 100}", "routes.opn"),
        ("{open: 100}", "{open: -1}", "routes.open"),
        ("{open: 100}", "[open]", "routes"),
        ("1000000", "-1", "budget_usd"),
        ("1000000", ".inf", "budget_usd"),
        ("1000000", "a lot", "budget_usd"),
        ("budget_usd: 1000000\n", "", "budget_usd"),
        ("actor: someone\n", "", "actor"),
        ("routes: {open: 100}\n", "", "routes"),
        ("actor: someone", "actor: [a]", "actor"),
        ("title: Someone", "title:", "title"),
    ],
)
def test_an_actor_lacks_nothing(tmp_path, old, new, key):
    path = write(tmp_path, SOMEONE.replace(old, new))
    message = refusal(load_actor, path)
    assert str(path) in message and key in message.removeprefix(str(path))


@pytest.mark.parametrize("load", [load_programme, load_actor])
@pytest.mark.parametrize(
    "text", ["", "[]", "5", "null", "a: [", "\t", "a: 1\na: 2\n", "title: only this\n", "%no", "a: &b *b"]
)
def test_what_is_no_such_document_is_refused_by_file(tmp_path, load, text):
    path = write(tmp_path, text)
    assert refusal(load, path).startswith(str(path))


@pytest.mark.parametrize("load", [load_programme, load_actor])
def test_what_cannot_be_read_is_refused_by_name(tmp_path, load):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for path in (
        tmp_path,
        tmp_path / "folder.yaml",
        tmp_path / "binary.yaml",
        tmp_path / "gone.yaml",
        "nonesuch",
        "",
        None,
        5,
    ):
        assert str(path) in refusal(load, path)


@pytest.mark.parametrize("load", [load_programme, load_actor])
@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".yaml", "a\0.yaml"], ids=["long", "long file", "nul"])
def test_names_that_no_file_can_have_are_refused(load, name):

    refusal(load, name)


def test_unknown_names_bring_the_nearest():
    assert "study" in refusal(load_programme, "studdy")
    assert "company" in refusal(load_actor, "compny")


def test_programmes_that_extend_each_other_are_refused(tmp_path):
    write(tmp_path, OWN + "extends: two.yaml\n", "one.yaml")
    write(tmp_path, OWN + "extends: three.yaml\n", "two.yaml")
    write(tmp_path, OWN + "extends: one.yaml\n", "three.yaml")
    message = refusal(load_programme, tmp_path / "one.yaml")
    assert str(tmp_path / "one.yaml") in message and "extends" in message


def test_programmes_that_extend_each_other_by_a_detour_are_refused(tmp_path):

    path = write(tmp_path, OWN + f"extends: ../{tmp_path.name}/own.yaml\n")
    message = refusal(load_programme, path)
    assert "own.yaml" in message and "extends" in message
