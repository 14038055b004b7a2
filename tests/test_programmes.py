"""The game and the portfolios: best replies are best, stronger programmes never help the adversary, and what is claimed holds."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import thresher
from thresher.assessment import formats, noticing
from thresher.assessment.detection import detection_of
from thresher.catalog import network
from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.competing_risks import undetected
from thresher.countermeasures.detection import TRAIN_END, chance_undetected, hazards
from thresher.countermeasures.game import OBJECTIVES, cases_of, one_case, respond, worth_considering
from thresher.countermeasures.parameters import draw_detection
from thresher.countermeasures.pool import joined, unbounded_pool, unseen_pool
from thresher.countermeasures.programmes import cost_usd_per_year, load_programme
from thresher.countermeasures.programmes import settings as all_settings
from thresher.countermeasures.texts import THRESHOLDS
from thresher.countermeasures.timeline import DETECTED, timeline
from thresher.errors import InputError
from thresher.evasion.best_response import prepare
from thresher.portfolios import values
from thresher.portfolios.programmes import COMPARED
from thresher.portfolios.scenarios import study_scenarios
from thresher.portfolios.search import climb, climb_against_all, running_cost
from thresher.portfolios.values import players, worth_of_each, worth_per_dollar
from thresher.regime import ClusterRow, load_regime
from thresher.simulation.draws import draw_worlds

REGIME, TARGET, DRAWS = "miri-2025", 1e24, 24
FEW = {"chips": ["H100-SXM", "GB300"], "modes": ("flat",)}
GAME = {"target": TARGET, "draws": DRAWS, **FEW}
LADDER = [load_programme(name) for name in COMPARED]
"""Each sets every lever at least as high as the one before."""
BASELINE, AGREEMENT, STUDY, EVERYTHING = LADDER
BUDGET = 3e7
CAP = 20.0
"""The most challenge inspections a year that Art. X of the draft agreement allows."""
FAR = EVERYTHING.with_settings("far", {"challenge_inspections": CAP})
ROUNDING = 1e-12
EACH = pytest.mark.parametrize("name", ["lab", "company"])


@pytest.fixture(scope="module")
def p():
    return draw_detection(DRAWS, 0)


@pytest.fixture(scope="module")
def arena():
    return prepare(load_regime(REGIME), network("study"), longest_days=548, **FEW)


@pytest.fixture(scope="module")
def pools(arena):
    """The plans below the lines of the rule, and those with one ordinary site beside them."""
    worlds = draw_worlds(DRAWS, 0)
    below = unseen_pool(arena, TARGET, worlds)
    return below, joined([below, unbounded_pool(arena, TARGET, worlds)])


@pytest.fixture(scope="module")
def cases(pools, p):
    """All that a lab and a company could do."""
    return {name: cases_of(pools[0], TARGET, load_actor(name), p) for name in ("lab", "company")}


@pytest.fixture(scope="module")
def few(cases, p):
    """What of it is among the best against the programmes compared, and the parts of the study's."""
    parts = players(STUDY, with_thresholds=False)
    alone = [STUDY.only(frozenset({name})) for name in parts]
    last = [STUDY.only(frozenset(parts) - {name}) for name in parts]
    return {name: worth_considering(own, [*LADDER, FAR, *alone, *last], p, 40) for name, own in cases.items()}


@pytest.fixture(scope="module")
def opened(pools, p):
    """The best of what a lab could do were there no lines."""
    everything = cases_of(pools[1], TARGET, load_actor("lab"), p)
    return worth_considering(everything, [*LADDER, AGREEMENT.only(frozenset())], p, 40)


@pytest.fixture(scope="module")
def portfolio():
    """What `programmes` says of a lab, which it finds a way to hold under the bound."""
    return thresher.programmes(REGIME, actors_named=["lab"], bound=0.65, budget_usd_per_year=BUDGET, **GAME)


def success(cases, *programmes, p, objective="finish"):
    """The chances of success of the best replies; 0 for those who have no plan."""
    return np.zeros(len(programmes)) if cases is None else respond(cases, programmes, p, objective).success


# The plans


def test_every_plan_stays_below_every_clause(arena, pools):
    pool = pools[0]
    for item, nodes in zip(pool.hardware, pool.nodes, strict=True):
        assert item.chips_per_node <= arena.regime.largest_uncovered_count(item.chip)
        together = arena.regime.measure_nodes(item.chip, item.chips_per_node)
        assert not any(bool(measured.covered) for measured in together.values())
        some = [
            ClusterRow(f"node {at}", item.chip, item.chips_per_node, site=f"site {at}")
            for at in range(int(min(nodes, 3)))
        ]
        assert [decision.covered for decision in arena.regime.classify(some)] == [False] * len(some)


def test_a_plan_knows_its_line(arena, pools):
    pool = pools[0]
    for item, line in zip(pool.hardware, pool.line_chips, strict=True):
        assert line == arena.regime.largest_uncovered_count(item.chip) + 1
    assert np.isinf(pools[1].line_chips[len(pool) :]).all()


def test_footprints_are_numbers_in_every_draw(pools):
    for pool in pools:
        for field in dataclasses.fields(pool.footprint):
            values = getattr(pool.footprint, field.name)
            assert values.shape == (len(pool), DRAWS), field.name
            assert np.isfinite(values).all() and (values >= 0).all(), field.name
        assert np.isfinite(pool.flop_quality).all()
        assert (np.max(pool.flop_quality, axis=1) >= TARGET).all()


def test_no_plan_of_the_pool_is_beaten_at_everything(pools):
    pool, f = pools[0], pools[0].footprint
    worse = [f.cost_usd, f.sites, f.chips, f.people, f.duration_days, f.power_kw_per_site]
    table = np.stack(
        [*(np.median(one, axis=1) for one in worse), -np.mean(pool.flop_quality >= TARGET, axis=1)], axis=1
    )
    for one in table:
        assert not np.any(np.all(table <= one, axis=1) & np.any(table < one, axis=1))


def test_the_pool_has_more_than_the_cheapest(pools):
    f = pools[0].footprint
    assert len(pools[0]) > 10
    assert np.ptp(np.median(f.duration_days, axis=1)) > 100
    assert len({item.chip.chip for item in pools[0].hardware}) == 2


def test_an_absurd_target_has_no_plan(arena, p):
    worlds = draw_worlds(DRAWS, 0)
    assert unseen_pool(arena, 1e29, worlds) is None
    assert cases_of(None, 1e29, load_actor("company"), p) is None


def test_the_same_seed_gives_the_same_pool(arena, pools):
    again = unseen_pool(arena, TARGET, draw_worlds(DRAWS, 0))
    assert [again.describe(at) for at in range(len(again))] == [pools[0].describe(at) for at in range(len(again))]
    assert np.array_equal(again.flop_quality, pools[0].flop_quality)


# The adversary's reply


@EACH
def test_the_best_reply_is_the_best_of_all_cases(cases, p, name):
    own = cases[name]
    reply = respond(own, LADDER, p)
    unseen = chance_undetected(own.columns, LADDER, p)
    for place in range(len(LADDER)):
        chances = [float(np.mean(unseen[at, place] * own.able[at])) for at in range(len(own))]
        assert reply.success[place] == pytest.approx(max(chances), abs=ROUNDING)
        assert chances[reply.case[place]] == pytest.approx(max(chances), abs=ROUNDING)
        assert reply.undetected[place] == pytest.approx(float(np.mean(unseen[reply.case[place], place])))
        assert reply.reaches[place] == np.mean(own.able[reply.case[place]])
    assert (reply.success <= np.minimum(reply.undetected, reply.reaches) + ROUNDING).all()


@EACH
def test_no_case_looked_at_alone_does_better(cases, p, name):
    """The same by the hazards of one case at a time."""
    own, reply = cases[name], respond(cases[name], [STUDY], p)
    some = {int(reply.case[0]), *range(0, len(own), len(own) // 60)}
    chances = {}
    for at in some:
        found = hazards(one_case(own, at), STUDY, p)
        end = (found.starts + found.lengths)[TRAIN_END - 1]
        unseen = undetected(end, found.rates, found.starts, found.lengths, found.frailty_variance)
        chances[at] = float(np.mean(unseen * own.able[at]))
    assert max(chances.values()) == chances[int(reply.case[0])]
    assert chances[int(reply.case[0])] == pytest.approx(reply.success[0], rel=1e-9)


@EACH
@pytest.mark.parametrize("objective", ["finish", "expected"])
def test_a_stronger_programme_never_helps(cases, p, name, objective):
    reply = respond(cases[name], LADDER, p, objective)
    told = reply.success if objective == "finish" else reply.expected_flop
    assert (np.diff(told) <= ROUNDING * told[0]).all()
    assert told[-1] < 0.9 * told[0]


shares = st.fixed_dictionaries({name: st.tuples(st.floats(0, 1), st.floats(0, 1)) for name in all_settings()})


@settings(max_examples=25, deadline=None)
@given(chosen=shares)
def test_no_lever_raised_ever_helps(few, p, chosen):
    weak, strong = (
        BASELINE.with_settings(end, {name: of(chosen[name]) * row.most for name, row in all_settings().items()})
        for end, of in (("weak", min), ("strong", max))
    )
    for own in few.values():
        before, after = success(own, weak, strong, p=p)
        assert after <= before + ROUNDING


@EACH
def test_less_to_work_with_never_helps(pools, p, name):
    actor = load_actor(name)
    whole = success(cases_of(pools[0], TARGET, actor, p), AGREEMENT, STUDY, p=p)
    less = [dataclasses.replace(actor, budget_usd=actor.budget_usd / by) for by in (3, 10)]
    less += [dataclasses.replace(actor, most_people=most) for most in (30, 18)]
    less += [dataclasses.replace(actor, routes=actor.routes | {route: 0.0}) for route in actor.routes]
    less += [dataclasses.replace(actor, routes={route: most / 100 for route, most in actor.routes.items()})]
    left = [success(cases_of(pools[0], TARGET, one, p), AGREEMENT, STUDY, p=p) for one in less]
    assert (np.asarray(left) <= whole + ROUNDING).all()
    assert (np.asarray(left) < 0.95 * whole).any()


@pytest.mark.parametrize(
    "without",
    [{"budget_usd": 0.0}, {"most_people": 0.0}, {"routes": {"open": 0.0}}, {"routes": {"open": 3.0, "stock": 3.0}}],
    ids=["money", "people", "routes", "chips"],
)
def test_who_has_nothing_cannot(pools, p, without):
    assert cases_of(pools[0], TARGET, dataclasses.replace(load_actor("company"), **without), p) is None


def test_who_is_exempt_from_everything_succeeds_where_the_plan_does(pools, p):
    actor = load_actor("company")
    exempt = dataclasses.replace(actor, reach=dict.fromkeys(actor.reach, 0.0), risk_tolerance=0.0)
    reply = respond(cases_of(pools[0], TARGET, exempt, p), LADDER, p)
    assert (reply.undetected == 1).all() and not reply.deterred.any()
    assert reply.success == pytest.approx(reply.reaches)
    assert (reply.success == reply.success[0]).all()
    assert (success(cases_of(pools[0], TARGET, actor, p), *LADDER, p=p) < reply.success).all()


@EACH
def test_expected_capability_is_what_the_objective_expected_maximises(cases, p, name):
    own = cases[name]
    reply = respond(own, LADDER, p, "expected")
    unseen = chance_undetected(own.columns, LADDER, p)
    quality = own.pool.flop_quality[own.plan] * own.able
    best = np.max(np.mean(unseen * quality[:, None, :], axis=2), axis=0)
    assert reply.expected_flop == pytest.approx(best)
    assert (reply.expected_flop >= respond(own, LADDER, p).expected_flop * (1 - ROUNDING)).all()
    assert (reply.success <= respond(own, LADDER, p).success + ROUNDING).all()


@EACH
def test_within_risk_takes_the_cheapest_plan_that_it_dares(cases, p, name):
    own = cases[name]
    reply = respond(own, LADDER, p, "within-risk")
    risk = 1 - np.mean(chance_undetected(own.columns, LADDER, p), axis=2)
    dollars = np.median(own.columns["total_usd"][:, 0], axis=1)
    able = np.mean(own.able, axis=1)
    daring = 0
    for place, case in enumerate(reply.case):
        dared = (risk[:, place] <= own.actor.risk_tolerance) & (able >= 0.5)
        if dared.any():
            daring += 1
            assert dared[case] and dollars[case] == pytest.approx(dollars[dared].min())
    assert daring


@EACH
def test_within_risk_who_is_not_deterred_has_a_plan_that_it_dares_and_that_works(cases, p, name):
    """Not one that barely ever reaches the target, only because doing so little is the least risky."""
    reply = respond(cases[name], LADDER, p, "within-risk")
    for undetected_chance, reaches, deterred in zip(reply.undetected, reply.reaches, reply.deterred, strict=True):
        if not deterred:
            assert 1 - undetected_chance <= cases[name].actor.risk_tolerance
            assert reaches >= 0.5


def of_able(own, most, rng):
    """The same cases, each of which reaches the target in few of the draws."""
    able = own.able & (rng.random(own.able.shape) < most)
    able[:, : DRAWS // 2 + 1] = False
    return dataclasses.replace(own, able=able)


@EACH
def test_who_dares_nothing_that_works_takes_the_safest_that_does(few, p, name):
    """Whoever tolerates no risk falls back on the least, among plans that work in half of the draws; it is then deterred."""
    own = dataclasses.replace(few[name], actor=dataclasses.replace(few[name].actor, risk_tolerance=0.0))
    rare = of_able(own, 0.9, np.random.default_rng(1))
    assert np.mean(rare.able, axis=1).max() < 0.5
    for some in (own, rare):
        works = np.mean(some.able, axis=1)
        works = works >= min(0.5, works.max())
        risk = 1 - np.mean(chance_undetected(some.columns, LADDER, p), axis=2)
        reply = respond(some, LADDER, p, "within-risk")
        assert reply.deterred.all()
        for place, case in enumerate(reply.case):
            assert works[case]
            assert risk[case, place] == pytest.approx(risk[works, place].min())
            assert reply.undetected[place] == pytest.approx(1 - risk[case, place])
            assert reply.success[place] == pytest.approx(
                np.mean(chance_undetected(some.columns, [LADDER[place]], p)[case, 0] * some.able[case])
            )


def test_a_safe_plan_that_does_not_work_deters_no_less(few, p):
    own = few["company"]
    risk = 1 - np.mean(chance_undetected(own.columns, [STUDY], p), axis=2)[:, 0]
    safest = int(np.argmin(risk))
    able = own.able.copy()
    able[safest, 1:] = False
    bolder = np.sort(np.delete(risk, safest))[0]
    tolerance = 0.5 * (risk[safest] + bolder)
    timid = dataclasses.replace(own, actor=dataclasses.replace(own.actor, risk_tolerance=float(tolerance)))
    assert risk[safest] < tolerance < bolder
    assert not respond(timid, [STUDY], p, "within-risk").deterred[0]
    useless = dataclasses.replace(timid, able=able)
    reply = respond(useless, [STUDY], p, "within-risk")
    assert reply.deterred[0] and reply.case[0] != safest


@EACH
def test_deterred_is_who_finds_even_the_least_risk_too_much(few, p, name):
    own = few[name]
    works = np.mean(own.able, axis=1)
    works = works >= min(0.5, works.max())
    least = 1 - np.max(np.mean(chance_undetected(own.columns, LADDER, p), axis=2)[works], axis=0)
    for tolerance in (0.0, 0.1, 0.3, 1.0):
        bold = dataclasses.replace(own.actor, risk_tolerance=tolerance)
        told = respond(dataclasses.replace(own, actor=bold), LADDER, p).deterred
        assert told.tolist() == (least > tolerance).tolist()


def test_the_same_seed_gives_the_same_reply(cases, p):
    first, second = respond(cases["lab"], LADDER, p), respond(cases["lab"], LADDER, draw_detection(DRAWS, 0))
    other = respond(cases["lab"], LADDER, draw_detection(DRAWS, 1))
    for field in dataclasses.fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name))
    assert not np.array_equal(first.success, other.success)


def test_leads_taken_as_they_come_catch_no_more(cases, p):
    by_yield, alike = (respond(cases["company"], LADDER, p, triage=way).success for way in ("by_yield", "as_they_come"))
    assert (alike >= by_yield - ROUNDING).all()
    assert alike[-1] > by_yield[-1]


def test_unknown_objectives_and_triages_are_refused(cases, p):
    with pytest.raises(InputError, match="objective"):
        respond(cases["lab"], LADDER, p, "win")
    with pytest.raises(InputError, match="triage"):
        respond(cases["lab"], LADDER, p, triage="at_random")


# What countermeasures are worth


@EACH
def test_shapley_values_add_to_the_whole_fall(few, p, name):
    found = worth_of_each(few[name], None, STUDY, p, "finish")
    none, whole = success(few[name], STUDY.only(frozenset()), STUDY, p=p)
    assert math.fsum(one.shapley for one in found) == pytest.approx(none - whole, abs=1e-10)
    assert none > whole


def test_with_lines_among_the_players_they_still_add_up(opened, few, p):
    found = worth_of_each(few["lab"], opened, AGREEMENT, p, "finish")
    assert [one.countermeasure for one in found] == players(AGREEMENT, with_thresholds=True)
    none, whole = success(opened, AGREEMENT.only(frozenset()), p=p)[0], success(few["lab"], AGREEMENT, p=p)[0]
    assert math.fsum(one.shapley for one in found) == pytest.approx(none - whole, abs=1e-10)


def test_alone_and_last_are_what_a_direct_evaluation_gives(few, p):
    found = worth_of_each(few["company"], None, STUDY, p, "finish")
    parts = frozenset(players(STUDY, with_thresholds=False))
    for one in found:
        own = frozenset({one.countermeasure})
        none, alone, others, whole = success(
            few["company"], STUDY.only(frozenset()), STUDY.only(own), STUDY.only(parts - own), STUDY, p=p
        )
        assert one.alone == pytest.approx(none - alone, abs=ROUNDING)
        assert one.last == pytest.approx(others - whole, abs=ROUNDING)
        assert one.alone >= -ROUNDING and one.last >= -ROUNDING and one.shapley >= -ROUNDING
        assert one.turns_to in load_actor("company").routes


def test_ranks_follow_the_shapley_values(few, p):
    found = worth_of_each(few["lab"], None, STUDY, p, "finish")
    assert sorted(one.rank for one in found) == list(range(1, len(found) + 1))
    by_rank = [one.shapley for one in sorted(found, key=lambda one: one.rank)]
    assert by_rank == sorted(by_rank, reverse=True)


def test_what_stands_at_its_default_is_no_player():
    assert players(BASELINE, with_thresholds=False) == []
    assert players(BASELINE.with_settings("x", {"investigations": 5000}), with_thresholds=False) == []
    recall = all_settings()["linkage_recall"].default
    assert recall > 0
    assert players(BASELINE.with_settings("x", {"linkage_recall": recall}), with_thresholds=False) == []
    assert players(BASELINE.with_settings("x", {"stings": 0.1}), with_thresholds=True) == [THRESHOLDS, "chip_tracking"]
    assert set(players(EVERYTHING, with_thresholds=False)) > set(players(STUDY, with_thresholds=False))


def test_without_players_nothing_is_worth_anything(few, p):
    assert worth_of_each(few["lab"], None, BASELINE, p, "finish") == ()


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        (lambda some: float(len(some) >= 2), [1 / 3, 1 / 3, 1 / 3]),
        (lambda some: float({"a", "b"} <= some), [1 / 2, 1 / 2, 0]),
        (lambda some: float("a" in some and len(some) >= 2), [2 / 3, 1 / 6, 1 / 6]),
        (lambda some: sum({"a": 3.0, "b": 2.0, "c": 0.0}[one] for one in some), [3, 2, 0]),
    ],
    ids=["majority", "two needed", "gloves", "additive"],
)
def test_shapley_values_of_games_that_are_known(worth, expected):
    parts = ["a", "b", "c"]
    value = {frozenset(some): 1.0 - worth(set(some)) for size in range(4) for some in combinations(parts, size)}
    assert [values._shapley(name, parts, value) for name in parts] == pytest.approx(expected)


def test_the_adversary_of_no_plan_leaves_all_to_the_thresholds(opened, p):
    found = worth_of_each(None, opened, AGREEMENT, p, "finish")
    best = next(one for one in found if one.countermeasure == THRESHOLDS)
    assert best.rank == 1
    assert best.last == pytest.approx(success(opened, AGREEMENT, p=p)[0])


def test_without_lines_one_site_is_open(pools, cases, p):
    assert set(pools[1].modes[len(pools[0]) :]) == {"datacenter"}
    for name, own in cases.items():
        without = cases_of(pools[1], TARGET, load_actor(name), p)
        reply = respond(without, LADDER, p)
        assert (reply.success >= success(own, *LADDER, p=p) - ROUNDING).all()
        assert "datacenter" in {without.pool.modes[without.plan[case]] for case in reply.case}


@EACH
def test_worth_per_dollar_is_what_a_direct_evaluation_gives(few, p, name):
    found = {one.setting: one for one in worth_per_dollar(few[name], STUDY, FAR, p, "finish")}
    assert set(found) == set(all_settings())
    for setting, raised in (
        ("routine_inspections", True), ("whistleblower_channels", True), ("challenge_inspections", False),
        ("whistleblower_protection", False),
    ):  # fmt: skip
        step = 0.1 * FAR.settings[setting] if raised else -0.1 * FAR.settings[setting]
        moved = STUDY.with_settings("moved", {setting: STUDY.settings[setting] + step})
        before, after = success(few[name], STUDY, moved, p=p)
        dollars = running_cost([STUDY, moved], p)
        sign = 1 if raised else -1
        assert found[setting].fall == pytest.approx(sign * (before - after), abs=ROUNDING)
        assert found[setting].cost_usd_per_year == pytest.approx(sign * (dollars[1] - dollars[0]))
        assert found[setting].fall_per_million == pytest.approx(
            1e6 * found[setting].fall / found[setting].cost_usd_per_year
        )


def test_settings_come_by_what_a_dollar_does(few, p):
    found = worth_per_dollar(few["company"], STUDY, FAR, p, "finish")
    rates = [one.fall_per_million for one in found]
    assert rates == sorted(rates, reverse=True)
    assert all(one.fall >= -ROUNDING for one in found)


# The state's search


CLIMBS = (("lab", 0.65), ("lab", 0.5), ("company", 0.2))
"""Two bounds that can be held, and one that cannot."""


@pytest.fixture(scope="module")
def climbs(few, p):
    return {(name, bound): climb(few[name], BASELINE, FAR, p, "finish", bound=bound) for name, bound in CLIMBS}


@pytest.mark.parametrize(("name", "bound"), CLIMBS)
def test_the_way_up(few, climbs, p, name, bound):
    rungs = climbs[name, bound]
    raised = [one for one in rungs if one.raised != "pruned"]
    assert rungs[0].programme == BASELINE
    told = [one.success for one in raised]
    assert all(later <= earlier + ROUNDING for earlier, later in pairwise(told))
    for one in rungs:
        assert one.cost_usd_per_year == pytest.approx(running_cost([one.programme], p)[0])
        assert one.success == pytest.approx(success(few[name], one.programme, p=p)[0])
        for setting, value in one.programme.settings.items():
            assert BASELINE.settings[setting] <= value <= max(FAR.settings[setting], BASELINE.settings[setting])
    assert (rungs[-1].success <= bound) == (name == "lab")
    if name == "lab":
        assert all(one.success > bound for one in raised[:-1])
        assert rungs[-1].raised == "pruned"
        assert rungs[-1].cost_usd_per_year <= raised[-1].cost_usd_per_year
    else:  # what does not help is taken back all the same
        assert rungs[-1].success <= raised[-1].success + ROUNDING
        assert rungs[-1].cost_usd_per_year <= raised[-1].cost_usd_per_year


def test_nothing_of_the_cheapest_could_be_left_out(few, climbs, p):
    bound = 0.65
    cheapest = climbs["lab", bound][-1]
    assert cheapest.success <= bound
    for name, value in cheapest.programme.settings.items():
        if value > all_settings()[name].default:
            without = cheapest.programme.with_settings("without", {name: all_settings()[name].default})
            dearer = running_cost([without], p)[0] >= cheapest.cost_usd_per_year
            assert dearer or success(few["lab"], without, p=p)[0] > bound


def test_a_bound_that_holds_anyway_needs_no_programme(few, p):
    [only] = climb(few["lab"], BASELINE, FAR, p, "finish", bound=0.99)
    assert only.programme == BASELINE and only.cost_usd_per_year == 0


@EACH
def test_a_bound_that_the_far_end_holds_is_held(few, p, name):
    """The search goes towards the far end, so it may not give up while that would do."""
    bound = float(success(few[name], FAR, p=p)[0]) + 1e-6
    assert climb(few[name], BASELINE, FAR, p, "finish", bound=bound)[-1].success <= bound


BUDGETS = (0.0, 5e6, 1e8, 1e10)


@pytest.fixture(scope="module")
def spent(cases, p):
    """What a lab is left with for each of several budgets, checked against all that it could do."""
    small = worth_considering(cases["lab"], [BASELINE, FAR], p, 40)
    found = {
        budget: climb_against_all(cases["lab"], small, BASELINE, FAR, p, "finish", most_usd_per_year=budget)[0]
        for budget in BUDGETS
    }
    return {budget: (rungs, min(rungs, key=lambda rung: rung.success)) for budget, rungs in found.items()}


@pytest.mark.parametrize("budget", BUDGETS)
def test_what_a_budget_pays_for(spent, cases, p, budget):
    rungs, best = spent[budget]
    assert all(one.cost_usd_per_year <= budget for one in rungs)
    for one in rungs:
        assert one.cost_usd_per_year == pytest.approx(running_cost([one.programme], p)[0])
        assert one.success == pytest.approx(success(cases["lab"], one.programme, p=p)[0])
    assert best.success == min(one.success for one in rungs)


def test_a_budget_that_pays_for_the_far_end_gets_no_less(spent, cases, p):
    far_cost, far_success = running_cost([FAR], p)[0], success(cases["lab"], FAR, p=p)[0]
    paid = [best for budget, (_, best) in spent.items() if budget >= far_cost]
    assert paid and all(best.success <= far_success + ROUNDING for best in paid)


def test_more_money_never_buys_less(spent):
    found = [best.success for _, best in spent.values()]
    assert all(later <= earlier + ROUNDING for earlier, later in pairwise(found))
    assert found[-1] < found[2] < found[0]
    assert spent[0.0][1].programme == BASELINE


def test_a_programme_costs_its_settings_and_nothing_else(p):
    plenty = STUDY.with_settings("plenty", {"investigations": 700.0})
    for programme, dollars in zip((*LADDER, plenty), running_cost([*LADDER, plenty], p), strict=True):
        assert dollars == pytest.approx(float(np.mean(cost_usd_per_year(programme.settings, p))))
    first, last = running_cost([STUDY, plenty], p)
    assert last - first == pytest.approx(200 * float(np.mean(p["cost_investigations"])))


@pytest.mark.parametrize(
    ("name", "bound", "objective"),
    [("lab", 0.65, "finish"), ("company", 0.55, "expected"), ("lab", 0.35, "within-risk")],
)
def test_the_bound_is_held_against_all_cases_however_few_the_search_began_with(cases, p, name, bound, objective):
    """Begun with the single case that does worst, it gathers those that matter."""
    own = cases[name]
    everything = np.mean(chance_undetected(own.columns, [BASELINE], p)[:, 0] * own.able, axis=1)
    poor = own.take(np.asarray([int(np.argmin(everything))]))
    bound = min(bound, 0.9 * float(success(own, BASELINE, p=p, objective=objective)[0]))
    rungs, gathered = climb_against_all(own, poor, BASELINE, FAR, p, objective, bound=bound)
    assert rungs[0].programme == BASELINE
    told = success(own, *(one.programme for one in rungs), p=p, objective=objective)
    assert [one.success for one in rungs] == pytest.approx(told.tolist())
    assert rungs[-1].success <= bound + ROUNDING
    known = {own.key(at) for at in range(len(own))}
    keys = [gathered.key(at) for at in range(len(gathered))]
    assert set(keys) <= known and len(set(keys)) == len(keys) > 1
    assert poor.key(0) in keys
    last = respond(own, [rungs[-1].programme], p, objective)
    assert own.key(int(last.case[0])) in keys
    assert success(gathered, rungs[-1].programme, p=p, objective=objective)[0] == pytest.approx(last.success[0])


def test_cases_can_be_told_apart_and_joined(cases):
    own = cases["lab"]
    assert len({own.key(at) for at in range(len(own))}) == len(own)
    some, more = own.take(np.asarray([4, 2])), own.take(np.asarray([7]))
    both = some.joined(more)
    assert [both.key(at) for at in range(3)] == [own.key(at) for at in (4, 2, 7)]
    assert both.actor == own.actor and both.pool is own.pool
    for name, column in both.columns.items():
        np.testing.assert_array_equal(column, own.columns[name][[4, 2, 7]])
    np.testing.assert_array_equal(both.able, own.able[[4, 2, 7]])
    assert [both.describe(at) for at in range(3)] == [own.describe(at) for at in (4, 2, 7)]


@EACH
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_cases_considered_are_the_best_by_what_the_adversary_wants(cases, p, name, objective):
    own = cases[name]
    kept = worth_considering(own, LADDER, p, DRAWS, objective)
    assert len(kept) <= 4 * len(LADDER)
    whole, among = respond(own, LADDER, p, objective), respond(kept, LADDER, p, objective)
    assert among.success == pytest.approx(whole.success)
    assert [kept.key(int(at)) for at in among.case] == [own.key(int(at)) for at in whole.case]


# The whole answer


def test_the_cheapest_programme_holds_against_everything_that_the_actor_could_do(portfolio, cases, p):
    """Not only against the cases that the search kept in play."""
    [one] = portfolio.answers
    assert one.cheapest is not None
    assert success(cases["lab"], one.cheapest.programme, p=p)[0] <= portfolio.bound + ROUNDING


def test_every_step_says_what_the_actor_could_then_do(portfolio, cases, p):
    for one in portfolio.answers:
        told = success(cases[one.actor.name], *(rung.programme for rung in one.rungs), p=p)
        assert [rung.success for rung in one.rungs] == pytest.approx(told.tolist())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_way_up_starts_where_the_reply_to_no_programme_is(objective):
    [one] = thresher.programmes(
        REGIME, actors_named=["lab"], programmes_named=["baseline"], bound=0.95, objective=objective, **GAME
    ).answers
    assert one.rungs[0].success == pytest.approx(one.replies[0].success)


def test_the_rules_own_cap_on_inspections_is_kept(portfolio):
    assert portfolio.inputs["challenge_inspections_at_most"] == CAP
    assert EVERYTHING.settings["challenge_inspections"] > CAP
    for one in portfolio.answers:
        assert all(rung.programme.settings["challenge_inspections"] <= CAP for rung in one.rungs)


def test_replies_are_those_of_the_game(portfolio, cases, p):
    for one in portfolio.answers:
        told = respond(cases[one.actor.name], LADDER, p)
        assert [reply.programme.name for reply in one.replies] == list(COMPARED)
        assert [reply.success for reply in one.replies] == pytest.approx(told.success.tolist())
        assert [reply.deterred for reply in one.replies] == told.deterred.tolist()
        for reply, dollars in zip(one.replies, running_cost(LADDER, p), strict=True):
            assert reply.as_they_come >= reply.success - ROUNDING
            assert reply.cost_usd_per_year == pytest.approx(dollars)
            assert reply.plan
        assert one.replies[0].cost_usd_per_year == one.replies[0].burden_usd_per_year == 0


def test_each_actor_has_its_answer_within_the_budget(portfolio, cases, p):
    for one in portfolio.answers:
        assert one.within_budget.cost_usd_per_year <= BUDGET
        told = success(cases[one.actor.name], one.within_budget.programme, p=p)[0]
        assert one.within_budget.success == pytest.approx(told)
        assert one.within_budget.programme.settings["challenge_inspections"] <= CAP
        assert one.within_budget.success < one.rungs[0].success
        assert {worth.countermeasure for worth in one.worth} == set(players(STUDY, with_thresholds=True))
        lines = next(worth for worth in one.worth if worth.countermeasure == THRESHOLDS)
        assert lines.alone > 0 and lines.last > 0


def test_the_last_programme_named_is_weighed():
    found = thresher.programmes(
        REGIME, actors_named=["lab"], programmes_named=["study", "agreement"], bound=0.95, **{**GAME, "draws": 12}
    )
    assert found.weighed.name == "agreement"
    assert {one.countermeasure for one in found.answers[0].worth} == set(players(AGREEMENT, with_thresholds=True))


def test_a_rule_without_lines_has_none_to_weigh():
    found = thresher.programmes("eu-ai-act", actors_named=["lab"], bound=0.95, **{**GAME, "draws": 12})
    assert found.inputs["challenge_inspections_at_most"] is None
    [one] = found.answers
    assert one.replies and {worth.countermeasure for worth in one.worth} == set(players(STUDY, with_thresholds=False))


def test_who_can_afford_nothing_needs_no_programme():
    found = thresher.programmes(REGIME, actors_named=["lab"], **{**GAME, "target": 1e29})
    [one] = found.answers
    assert (one.replies, one.rungs, one.cheapest, one.within_budget) == ((), (), None, None)
    assert found.inputs["plans"] == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"objective": "win"}, "--objective"),
        ({"bound": 0.0}, "--bound"),
        ({"bound": 1.0}, "--bound"),
        ({"bound": math.nan}, "--bound"),
        ({"budget_usd_per_year": -1.0}, "--state-budget"),
        ({"target": 1.0}, "--target"),
        ({"draws": 0}, "--draws"),
        ({"longest_days": 0.0}, "--max-days"),
        ({"actors_named": ["nobody"]}, "actor"),
        ({"programmes_named": ["nothing"]}, "programme"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_name(wrong, named):
    with pytest.raises(InputError) as caught:
        thresher.programmes(REGIME, **{**GAME, **wrong})
    assert str(caught.value).startswith(named)


def test_the_answer_for_a_budget_and_that_for_a_bound_do_not_contradict_each_other(portfolio):
    """Both stand on one page: what the one found for less money or for less success, the other cannot have missed."""
    for one in portfolio.answers:
        best, cheapest = one.within_budget, one.cheapest
        assert best.success > portfolio.bound or best.cost_usd_per_year >= cheapest.cost_usd_per_year
        affordable = [rung for rung in one.rungs if rung.cost_usd_per_year <= BUDGET]
        assert best.success <= min(rung.success for rung in affordable) + ROUNDING


# The timeline


@pytest.fixture(scope="module")
def replies(portfolio):
    return [reply for one in portfolio.answers for reply in one.replies]


def test_chances_by_countermeasure_add_up_at_the_finish(replies):
    for reply in replies:
        seen = reply.timeline
        assert seen.finish_mean == pytest.approx(reply.undetected, rel=1e-9)
        assert math.fsum(one.first_by_finish for one in seen.causes) == pytest.approx(1 - seen.finish_mean, abs=1e-9)
        assert seen.end_mean <= seen.finish_mean
        assert all(one.first_by_finish <= one.alone_by_finish + ROUNDING for one in seen.causes)
        assert seen.finish[0] <= seen.finish_mean <= seen.finish[-1]
        assert list(seen.finish) == sorted(seen.finish)


def test_chances_by_countermeasure_add_up_at_the_end(replies):
    for reply in replies:
        seen = reply.timeline
        assert math.fsum(one.first_by_end for one in seen.causes) == pytest.approx(1 - seen.end_mean, abs=1e-9)
        assert all(one.first_by_finish <= one.first_by_end + ROUNDING for one in seen.causes)


def test_curves_fall_and_what_detects_rises(replies):
    for reply in replies:
        seen = reply.timeline
        assert seen.years[0] == 0 and (np.diff(seen.years) > 0).all()
        assert list(seen.phase_ends_years) == sorted(seen.phase_ends_years)
        for curve in (seen.mean_undetected, *seen.undetected):
            assert curve[0] == 1 and (np.diff(curve) <= ROUNDING).all() and (curve >= 0).all()
        assert (np.diff(seen.undetected, axis=0) >= -ROUNDING).all()
        for curve in seen.first.values():
            assert curve[0] == 0 and (np.diff(curve) >= -ROUNDING).all() and (curve <= 1).all()
        np.testing.assert_allclose(seen.mean_undetected + np.sum(list(seen.first.values()), axis=0), 1, atol=1e-9)


def test_times_of_detection_are_read_off_the_mean_curve(replies):
    known = 0
    for reply in replies:
        seen = reply.timeline
        assert list(seen.detected_years) == sorted(seen.detected_years)
        for share, years in zip(DETECTED, seen.detected_years, strict=True):
            assert math.isinf(years) == (seen.end_mean > 1 - share)
            if years < seen.years[-1]:
                known += 1
                assert np.interp(years, seen.years, seen.mean_undetected) == pytest.approx(1 - share, abs=1e-3)
        for one in seen.causes:
            assert all(alone >= whole - 1e-6 for alone, whole in zip(one.alone_years, seen.detected_years, strict=True))
        assert seen.expected_years > 0
        for one in seen.causes:
            low, high = one.first_by_finish_span
            assert 0 <= low <= high <= 1 and low <= one.first_by_finish <= 1
            assert seen.expected_years - ROUNDING <= one.alone_expected_years <= seen.phase_ends_years[-1] * 2
            if one.alone_by_finish == 0:
                assert one.first_by_finish == one.first_by_finish_span[1] == 0
    assert known


def test_the_share_done_lies_between_finishing_and_all(replies):
    for reply in replies:
        assert reply.timeline.finish_mean - ROUNDING <= reply.timeline.share_done <= 1


def test_published_models_of_leaks_disagree_by_orders_of_magnitude_about_a_small_team(portfolio):
    for reply in portfolio.answers[0].replies:
        seen = reply.timeline
        assert all(0 <= low <= high <= 1 for low, high in seen.leaks.values())
        assert max(high for _, high in seen.leaks.values()) > 10 * min(low for low, _ in seen.leaks.values())
        assert (
            seen.knows["fully"] + seen.knows["partly"] < 50
        )  # beside those who know no more than that there is a site
        assert sum(seen.knows.values()) < 300


def test_false_alarms_stand_beside_detection(replies):
    for reply in replies:
        seen = reply.timeline
        middle, low, high = seen.false_leads_per_year
        assert low <= middle <= high
        assert seen.overloaded == (middle > reply.programme.settings["investigations"])
        for one in seen.causes:
            assert 0 <= one.followed <= 1
            own, least, most = one.false_leads_per_year
            assert least <= own <= most <= high
        if reply.programme == BASELINE:
            assert high == seen.followed_usd_per_year == 0 and not seen.overloaded
        else:
            assert seen.overloaded and seen.followed_usd_per_year > 0


def test_more_who_follow_leads_end_the_overload(cases, p):
    own = cases["lab"]
    plenty = STUDY.with_settings("plenty", {"investigations": 100_000})
    case = int(respond(own, [STUDY], p).case[0])
    busy, calm = (timeline(one_case(own, case), own.ways[case], one, p) for one in (STUDY, plenty))
    assert busy.overloaded and not calm.overloaded
    assert all(more.followed >= less.followed for more, less in zip(calm.causes, busy.causes, strict=True))
    assert calm.finish_mean <= busy.finish_mean + ROUNDING
    assert calm.false_leads_per_year == busy.false_leads_per_year


# Means


ACTORS_OF_MEANS = {
    "money": {"budget_usd": 0.0},
    "people": {"most_people": 1.0},
    "chips": {"routes": {"open": 3.0, "stock": 3.0}},
    "routes": {"routes": {"open": 0.0}},
}


@pytest.fixture(scope="module")
def uncertain():
    """The cheapest plan of each draw below the lines."""
    found = thresher.assess(REGIME, targets=[TARGET], chips=["GB300"], modes=("flat",), draws=48, programme="study")
    return found.answers[0], found.watch


def test_the_answer_has_the_timeline_of_what_was_noticed(uncertain):
    answer, watch = uncertain
    assert answer.noticed.within_means == 1
    assert answer.detection is answer.noticed.timeline
    again = detection_of(answer.uncertainty, watch)
    assert again.timeline.finish_mean == answer.detection.finish_mean and again.within_means == 1
    assert dataclasses.replace(answer, noticed=None).detection is None
    assert noticing.means(answer) == noticing.means(dataclasses.replace(answer, noticed=None)) == ""


@pytest.mark.parametrize("without", ACTORS_OF_MEANS)
def test_who_has_not_the_means_has_no_timeline(uncertain, without):
    answer, watch = uncertain
    poor = dataclasses.replace(watch, actor=dataclasses.replace(watch.actor, **ACTORS_OF_MEANS[without]))
    found = detection_of(answer.uncertainty, poor)
    assert found.timeline is None and found.within_means == 0
    said = noticing.noticed_line(dataclasses.replace(answer, noticed=found))
    assert "too few draws" in said and "detected before" not in said


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("means", ["budget_usd", "most_people", "chips"])
def test_draws_beyond_the_means_of_the_actor_are_left_out(uncertain, means, share):
    answer, watch = uncertain
    left = answer.uncertainty.footprints
    met = ~np.isnan(answer.uncertainty.line_chips)
    one_way = dataclasses.replace(watch.actor, routes={"open": 1e9})
    needed = {"budget_usd": left.cost_usd, "most_people": left.people, "chips": left.chips}[means][met]
    most = float(np.quantile(needed, share, method="lower"))
    limited = (
        dataclasses.replace(one_way, routes={"open": most})
        if means == "chips"
        else dataclasses.replace(one_way, **{means: most})
    )
    found = detection_of(answer.uncertainty, dataclasses.replace(watch, actor=limited))
    expected = float(np.mean(needed <= most * (1 + 1e-9)))
    assert 0 < expected < 1
    assert found.within_means == pytest.approx(expected)
    assert (found.timeline is None) == (round(expected * met.sum()) < 10)
    if found.timeline is not None:
        said = noticing.noticed_line(dataclasses.replace(answer, noticed=found))
        assert said.startswith("where the actor has the means for it (")
        assert formats.percent(found.within_means) in said
        assert found.timeline.way.route == "open"


# The study's scenarios


@pytest.fixture(scope="module")
def scenarios():
    return {(row.nodes, row.months): row for row in study_scenarios(REGIME, draws=60)}


NODES, MONTHS = (4, 72, 500, 4000), (6, 12, 18)


def test_every_scenario_over_every_time(scenarios):
    assert list(scenarios) == [(nodes, months) for nodes in NODES for months in MONTHS]
    words = [scenarios[nodes, 6].study_words for nodes in NODES]
    assert words == ["low", "moderate", "high", "very high"]
    assert all(row.chips == 50 * row.nodes for row in scenarios.values())
    assert scenarios[4, 6].study_power_mw == (0.06, 0.08)


def test_detection_rises_with_nodes_and_with_months(scenarios):
    for ours in ("all_channels", "people", "power_mw"):
        for months in MONTHS:
            by_nodes = [getattr(scenarios[nodes, months], ours) for nodes in NODES]
            assert by_nodes == sorted(by_nodes) and by_nodes[0] < by_nodes[-1]
    for ours in ("all_channels", "purchases", "whistleblowers"):
        for nodes in NODES:
            by_months = [getattr(scenarios[nodes, months], ours) for months in MONTHS]
            assert by_months == sorted(by_months) and by_months[0] < by_months[-1]


def test_inspections_are_the_exact_hypergeometric(scenarios):
    for (nodes, months), row in scenarios.items():
        assert len(row.inspections) == 3
        for places, chance in row.inspections.items():
            population = int(places.replace(",", ""))
            exact = stats.hypergeom.sf(0, population, min(nodes, population), round(20 * months / 12))
            assert chance == pytest.approx(exact, rel=1e-9)


def test_scenarios_lie_within_their_draws(scenarios):
    for row in scenarios.values():
        low, high = row.all_channels_span
        assert 0 <= low <= row.all_channels <= high <= 1
        assert row.purchases <= row.all_channels
        least, most = row.whistleblowers
        assert 10 * least < most <= 1


def test_the_same_seed_gives_the_same_scenarios(scenarios):
    again = study_scenarios(REGIME, draws=60)
    assert again == list(scenarios.values())
