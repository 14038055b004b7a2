"""The adversary's search: exact over its grid, refined without loss, deterministic, and monotone in the rule."""

import itertools

import numpy as np
import pytest

from thresher.catalog import chip, network
from thresher.errors import InputError
from thresher.evasion import search, space
from thresher.evasion.best_response import answer, prepare
from thresher.evasion.evaluation import Goal, evaluate, evaluate_grid
from thresher.regime import load_regime
from thresher.regime.library import _resolved
from thresher.simulation import default

CHIPS = ["A100-SXM-80GB", "MI355X"]


def regime_with(compute=16.0, memory=None):
    clauses = [
        {
            "id": "compute", "kind": "cluster", "reference": "test", "text": "test", "metric": "h100_equivalents",
            "comparison": ">", "threshold": compute, "unit": "H100-equivalents", "grouping": {"over": "site"},
        }
    ]  # fmt: skip
    if memory:
        clauses.append(clauses[0] | {"id": "memory", "metric": "memory_gb", "threshold": memory, "unit": "GB"})
    document = {
        "regime": "test", "title": "Test", "jurisdiction": "test", "status": "proposed", "published": "2026-01",
        "source": {"title": "test", "address": "test"},
        "definitions": {"h100_fp16_tflops": 990, "h100_tpp": 15840}, "clauses": clauses,
    }  # fmt: skip
    return _resolved(document, "test.yaml", None, ())


@pytest.fixture(scope="module")
def arena():
    return prepare(load_regime("miri-2025"), network("study"), longest_days=548, chips=CHIPS)


def test_the_grid_search_equals_brute_force(monkeypatch):
    """Every plan of a small grid simulated one by one, with nothing vectorised, gives the same cheapest plan."""
    small = dict(space.settings()) | {
        "params_shares": [0.3, 0.9], "rhythms": [[1, "auto"], [0, 30]], "local_batch_tokens": [131072, 1048576],
        "bits_per_param": [0.219], "chips_shares": {}, "nodes_ratio": 2.0, "durations": [],
    }  # fmt: skip
    monkeypatch.setattr(space, "settings", lambda: small)
    regime, parameters = load_regime("miri-2025"), default.parameters()
    hardware = space.unseen_hardware(regime, [chip(name) for name in CHIPS], ["bf16"], "flat")
    setting = space.make_setting(
        regime, "flat", hardware, network("study"), longest_days=548.0, node_limit=256.0, parameters=parameters
    )
    evaluated = evaluate_grid(setting, parameters)
    for target in (1e23, 3e23, 1e24):
        [best] = search.best_on_grid(evaluated, Goal(target_flop_quality=target), 1)
        cheapest = np.inf
        choices, counts = space.grid(setting, parameters)
        for row, nodes in itertools.product(range(len(choices["hardware"])), counts):
            one = {name: np.asarray([values[row]]) for name, values in choices.items()} | {"nodes": np.asarray([nodes])}
            out = default.simulate(space.columns_of(setting, one), parameters, mode="flat")
            if out["feasible"][0] and out["flop_quality"][0] >= target:
                cheapest = min(cheapest, float(out["cost_usd"][0]))
        assert best.score == pytest.approx(cheapest, rel=1e-12)


def test_refinement_never_makes_a_plan_dearer(arena):
    goal = Goal(target_flop_quality=1e25)
    for evaluated in arena.unseen:
        starts = search.best_on_grid(evaluated, goal, 3)
        refined = search.refine(starts, goal, arena.parameters)
        assert bool(refined) == bool(starts)
        assert not starts or refined[0].score <= starts[0].score
        for plan in refined:
            assert plan.choices["nodes"] == int(plan.choices["nodes"])
            assert plan.choices["duration_days"] <= 548


def test_a_found_plan_does_what_is_claimed(arena):
    reply = answer(arena, Goal(target_flop_quality=1e25))
    plan = reply.plan
    assert plan.outcome["flop_quality"] >= 1e25
    assert plan.outcome["days"] <= 548
    measured = arena.regime.measure_nodes(chip(plan.chip), float(plan.chips_per_node))
    assert not any(bool(item.covered) for item in measured.values())
    assert plan.outcome["cost_usd"] == min(other.outcome["cost_usd"] for other in reply.by_mode.values())


def test_one_node_fewer_misses_the_target(arena):
    plan = answer(arena, Goal(target_flop_quality=1e25)).plan
    setting = next(item.setting for item in arena.unseen if item.setting.mode == plan.mode)
    at = next(
        index for index, item in enumerate(setting.hardware)
        if (item.chip.chip, item.precision, item.chips_per_node) == (plan.chip, plan.precision, plan.chips_per_node)
    )  # fmt: skip
    choices = {name: np.asarray([value]) for name, value in plan.choices.items()}
    choices |= {"hardware": np.asarray([at]), "nodes": np.asarray([plan.nodes - 1.0])}
    values = evaluate(setting, choices, arena.parameters)
    assert values["flop_quality"][0] < 1e25


def test_the_answer_is_the_same_every_time(arena):
    goal = Goal(budget_usd=3e7)
    again = prepare(load_regime("miri-2025"), network("study"), longest_days=548, chips=CHIPS)
    one, two = answer(arena, goal).plan, answer(again, goal).plan
    assert one == two


@pytest.mark.parametrize("target", [1e24, 1e25])
def test_a_looser_rule_never_raises_the_cost_of_evasion(target):
    """From a tenth of a server to far beyond what the target needs.

    Each rule is searched on its own grid, and refinement from different grids may differ by some per cent; a sweep that must be
    exactly monotone hands each plan on as a seed (next test).
    """
    costs = []
    for compute in (2.0, 4.0, 8.0, 16.0, 20.0, 32.0, 64.0, 128.0, 1000.0, 1e5):
        arena = prepare(regime_with(compute), network("study"), longest_days=548, chips=CHIPS, precisions=["bf16"])
        costs.append(answer(arena, Goal(target_flop_quality=target)).plan.outcome["cost_usd"])
    for strict, loose in itertools.pairwise(costs):
        assert loose <= strict * 1.05, costs
    open_site = answer(arena, Goal(target_flop_quality=target), declared=True).plan.outcome["cost_usd"]
    assert costs[-1] <= open_site * 1.02


def test_a_looser_rule_is_no_dearer_where_few_plans_reach_the_target():
    """At 1e26 the best node is far smaller than the line allows, so every line must be searched with small nodes too."""
    costs = []
    for compute in (8.0, 16.0, 32.0, 64.0):
        arena = prepare(regime_with(compute), network("study"), longest_days=548, chips=["GB200", "H100-SXM"])
        costs.append(answer(arena, Goal(target_flop_quality=1e26)).plan.outcome["cost_usd"])
    for strict, loose in itertools.pairwise(costs):
        assert loose <= strict * 1.05, costs


def test_a_stricter_rules_plan_may_be_handed_on(arena):
    """With the stricter rule's plan as a seed, a looser one is never answered with a dearer plan, not by a cent."""
    goal = Goal(target_flop_quality=1e24)
    evaluated = arena.unseen[0]
    start = search.best_on_grid(evaluated, goal, 1)[0]
    cheap = search.Best(start.setting, start.choices, 1.0)
    assert answer(arena, goal, seeds=[cheap]).plan.outcome["cost_usd"] == pytest.approx(start.score, rel=1e-9)


def test_longer_runs_and_faster_links_never_raise_the_cost():
    goal = Goal(target_flop_quality=1e25)

    def cost(days, profile):
        arena = prepare(load_regime("miri-2025"), network(profile), longest_days=days, chips=CHIPS, precisions=["bf16"])
        return answer(arena, goal).plan.outcome["cost_usd"]

    assert cost(1100, "study") <= 1.02 * cost(548, "study") <= 1.02**2 * cost(240, "study")
    assert cost(548, "same-region") <= 1.02 * cost(548, "study")


def test_the_limit_on_nodes_holds_for_every_goal():
    few = prepare(load_regime("miri-2025"), network("study"), longest_days=548, chips=CHIPS, node_limit=60)
    for goal in (Goal(budget_usd=1e12), Goal(target_flop_quality=5e24)):
        assert answer(few, goal).plan.nodes <= 60


def test_what_refinement_can_reach_is_not_out_of_reach():
    """A target beyond the grid's best is answered when moving off the grid reaches it."""
    few = prepare(load_regime("miri-2025"), network("study"), longest_days=548, chips=CHIPS, node_limit=60)
    most = max(float(evaluated.values["flop_quality"].max()) for evaluated in few.unseen)
    reply = answer(few, Goal(target_flop_quality=1.02 * most))
    assert reply.plan is not None
    assert reply.plan.nodes <= 60


def test_the_two_questions_agree(arena):
    """What a capability costs at least buys at least about that capability."""
    cost = answer(arena, Goal(target_flop_quality=1e25)).plan.outcome["cost_usd"]
    assert answer(arena, Goal(budget_usd=1.03 * cost)).plan.outcome["flop_quality"] >= 1e25


def test_a_format_that_no_chip_has_is_refused():
    with pytest.raises(InputError, match="number format"):
        prepare(
            load_regime("miri-2025"), network("study"), longest_days=548, chips=["A100-SXM-80GB"], precisions=["fp4"]
        )


def test_links_that_a_rule_counts_as_one_cluster_are_refused():
    with pytest.raises(InputError, match=r"at most 25 Gbit/s"):
        prepare(load_regime("miri-2025"), network("colocated"), longest_days=548, chips=CHIPS)


def test_other_parameters_change_the_whole_search():
    changed = default.parameters() | {"state_bytes_bf16": 32.0}
    heavy = prepare(
        load_regime("miri-2025"),
        network("study"),
        longest_days=548,
        chips=CHIPS,
        precisions=["bf16"],
        modes=["flat"],
        parameters=changed,
    )
    light = prepare(
        load_regime("miri-2025"), network("study"), longest_days=548, chips=CHIPS, precisions=["bf16"], modes=["flat"]
    )
    goal = Goal(target_flop_quality=1e24)
    assert answer(heavy, goal).plan.outcome["cost_usd"] > answer(light, goal).plan.outcome["cost_usd"]


def test_a_memory_line_never_lowers_the_cost():
    """But for the error of the search: each rule is searched on its own sizes of node."""
    plain = prepare(regime_with(16.0), network("study"), longest_days=548, chips=CHIPS, precisions=["bf16"])
    lined = prepare(regime_with(16.0, 1280.0), network("study"), longest_days=548, chips=CHIPS, precisions=["bf16"])
    for target in (1e24, 1e25):
        goal = Goal(target_flop_quality=target)
        assert answer(lined, goal).plan.outcome["cost_usd"] >= 0.95 * answer(plain, goal).plan.outcome["cost_usd"]


def test_a_bigger_budget_buys_no_less(arena):
    bought = [answer(arena, Goal(budget_usd=usd)).plan.outcome["flop_quality"] for usd in (1.2e7, 2.5e7, 5e7, 1e8)]
    assert all(more >= less for less, more in itertools.pairwise(bought))


def test_a_target_out_of_reach_says_so_and_why(arena):
    reply = answer(arena, Goal(target_flop_quality=1e29))
    assert reply.plan is None
    assert "within reach" in reply.why
    poor = answer(arena, Goal(budget_usd=1000.0))
    assert poor.plan is None
    assert "cheapest run found costs" in poor.why


def test_no_hardware_unseen_says_so():
    nothing = prepare(regime_with(0.001), network("study"), longest_days=548, chips=CHIPS)
    reply = answer(nothing, Goal(target_flop_quality=1e24))
    assert reply.plan is None
    assert "one alone is covered" in reply.why


def test_a_clause_by_owner_bounds_the_whole_fleet():
    document = regime_with(16.0)
    clause = document.cluster_clauses[0]
    grouping = clause.grouping.model_copy(update={"over": "owner"})
    import dataclasses

    owned = dataclasses.replace(document, clauses=(clause.model_copy(update={"grouping": grouping}),))
    arena = prepare(owned, network("study"), longest_days=548, chips=["A100-SXM-80GB"], precisions=["bf16"])
    for evaluated in arena.unseen:
        hardware = evaluated.setting.hardware
        per_node = np.asarray([hardware[at].chips_per_node for at in evaluated.choices["hardware"]])
        chips_owned = per_node[:, None] * evaluated.counts[None, :]
        assert np.all(evaluated.values["flop_quality"][chips_owned > 50] == 0)
