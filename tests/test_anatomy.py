"""A plan taken apart: the parts make up the outcome, whatever the mode; and every outcome has its row in the table."""

import itertools
import math

import pytest

from tests.conftest import plan_with
from thresher.learning.data_efficiency import unrepeated_tokens
from thresher.simulation import default
from thresher.simulation.anatomy import CHIPS, LINKS, MOST_SPANS, anatomy, memory, physics_of
from thresher.simulation.outcomes import outcome_fields
from thresher.simulation.plans import check_plan, plan_document, plan_fields, plan_text, read_plan, simulate_plan
from thresher.training.memory import state_parts

FAST = {"upload_mbps": 2000, "download_mbps": 2000, "regional_mbps": 20000, "regional_latency_ms": 5}
PLANS = {
    "flat": plan_with(),
    "flat, automatic": plan_with(inner_steps=None, compute_seconds_per_step=None, topology="ring"),
    "flat, overlapped": plan_with(overlap=True, fragments=7),
    "flat, very many fragments": plan_with(overlap=True, fragments=1000, inner_steps=900),
    "flat, overlapped and stalled": plan_with(overlap=True, inner_steps=3),
    "flat, alone": plan_with(nodes=1),
    "flat, outer state on the chips": plan_with(outer_state="chips", chips_per_node=32),
    "flat, nodes that leave": plan_with(departures_per_day=0.3, data_delivery="stream"),
    "flat, a small batch": plan_with(local_batch_tokens=8192, chips_per_node=128, compute_seconds_per_step=None),
    "flat, repeated tokens": plan_with(unique_tokens=1e11),
    "flat, fp8": plan_with(precision="fp8"),
    "hierarchical": plan_with(network=FAST, mode="hierarchical", nodes=67, nodes_per_group=8, topology="relay"),
    "hierarchical, many rounds": plan_with(mode="hierarchical", nodes=64, nodes_per_group=8, regional_rounds=90, inner_steps=2),
    "hierarchical, overlapped": plan_with(network=FAST, mode="hierarchical", nodes=64, overlap=True, regional_rounds=4),
    "pipeline": plan_with(
        network=FAST, mode="pipeline", nodes=203, chips_per_node=2, compute_seconds_per_step=None, schedule="zero_bubble"
    ),
    "swarm": plan_with(
        network=FAST, mode="swarm", nodes=900, chip="RTX-4090", chips_per_node=1, compute_seconds_per_step=None,
        activation_compression=64, stages=40, params=20e9,
    ),
    "swarm, held back": plan_with(mode="swarm", nodes=400, chips_per_node=2, compute_seconds_per_step=None, params=40e9),
    "experts": plan_with(
        network=FAST, active_params=10e9, experts_per_token=2, expert_parallel_nodes=4, compute_seconds_per_step=None
    ),
    "datacenter": plan_with(mode="datacenter", compute_seconds_per_step=None, duration_days=30, tokens=None),
}  # fmt: skip
every_plan = pytest.mark.parametrize("document", PLANS.values(), ids=PLANS)


def taken_apart(document):
    plan = check_plan(document)
    outcome, found = simulate_plan(plan), physics_of(plan)
    return plan, outcome, found, anatomy(plan, outcome, found)


@every_plan
def test_the_seconds_of_a_step_add_up(document):
    _, outcome, _, parts = taken_apart(document)
    assert sum(parts.step.values()) == pytest.approx(outcome["step_seconds"], rel=1e-12)
    assert parts.step["compute"] / outcome["step_seconds"] == pytest.approx(outcome["utilisation"], rel=1e-12)
    assert all(seconds >= -1e-9 * outcome["step_seconds"] for seconds in parts.step.values())


@every_plan
def test_the_memory_of_a_node_adds_up(document):
    plan, outcome, found, _ = taken_apart(document)
    held = memory(plan, found)
    assert sum(held.parts.values()) == pytest.approx(outcome["memory_needed_gb"], rel=1e-12)
    assert held.usable_gb == outcome["memory_usable_gb"]
    assert held.usable_gb == pytest.approx(held.capacity_gb * default.parameters()["usable_memory_fraction"])
    assert all(part >= 0 for part in held.parts.values())
    assert (held.parts["outer optimizer"] > 0) == (plan["outer_state"] == "chips")


def test_the_model_state_is_split_by_the_number_format():
    """16 bytes a parameter in bf16 are 2 of weights, 2 of gradients, and 12 of the optimizer; 14 in fp8 are 1, 1 and 12."""
    assert state_parts(16.0, state_bytes_per_param=16.0, value_bytes=2.0) == (2.0, 2.0, 12.0)
    assert state_parts(14.0, state_bytes_per_param=14.0, value_bytes=1.0) == pytest.approx((1.0, 1.0, 12.0))


@every_plan
def test_the_spans_fill_the_round(document):
    _, outcome, _, parts = taken_apart(document)
    assert parts.round_seconds == outcome["round_seconds"]
    on_chips = [span for span in parts.spans if span.lane == CHIPS]
    assert on_chips[0].start == 0
    for before, after in itertools.pairwise(on_chips):
        assert after.start == pytest.approx(before.end)
    assert on_chips[-1].end == pytest.approx(parts.round_seconds)
    steps = sum(span.pieces for span in on_chips if span.what == "inner steps")
    assert steps == pytest.approx(outcome["inner_steps"] * outcome["regional_rounds"])
    assert len(parts.spans) <= 4 * MOST_SPANS


@every_plan
def test_the_links_are_busy_for_the_seconds_of_synchronisation(document):
    plan, outcome, found, parts = taken_apart(document)
    on_links = [span for span in parts.spans if span.lane == LINKS]
    busy = sum(span.end - span.start for span in on_links)
    if plan["overlap"] or outcome["sync_seconds"] == 0:
        assert busy == pytest.approx(outcome["sync_seconds"], rel=1e-9)
    else:  # what steady flows leave of the links carries it: it takes longer
        assert busy == pytest.approx(found.cycle.round.stall_seconds, rel=1e-9)
        assert busy >= outcome["sync_seconds"] * (1 - 1e-12)
    assert all(0 <= span.start <= span.end <= parts.round_seconds * (1 + 1e-9) for span in on_links)
    for before, after in itertools.pairwise(on_links):
        assert after.start >= before.end - 1e-6


@every_plan
def test_the_traffic_is_what_is_booked(document):
    _, outcome, _, parts = taken_apart(document)
    up, down = parts.internet.mean_mbps(parts.round_seconds)
    assert up == pytest.approx(outcome["mean_upload_mbps"], rel=1e-9, abs=1e-12)
    assert down == pytest.approx(outcome["mean_download_mbps"], rel=1e-9, abs=1e-12)
    highest = max(
        [parts.internet.steady_up_mbps, *(parts.internet.steady_up_mbps + one.up_mbps for one in parts.internet.pulses)]
    )
    assert highest == pytest.approx(outcome["peak_upload_mbps"], rel=1e-9, abs=1e-12)
    regional = [parts.regional.mean_mbps(parts.round_seconds)[way] for way in (0, 1)]
    access = [
        sum(outcome[name] for name in outcome if name.startswith("flow_") and name.endswith(f"_{way}_mbps"))
        for way in ("up", "down")
    ]
    for here, everywhere, internet in zip(regional, access, (up, down), strict=True):
        assert here == pytest.approx(everywhere - internet, rel=1e-6, abs=1e-9)


@every_plan
def test_a_burst_is_no_faster_than_the_line(document):
    _, _, _, parts = taken_apart(document)
    for line in (parts.internet, parts.regional):
        for pulse in line.pulses:
            assert pulse.up_mbps <= line.rate_up_mbps * (1 + 1e-9)
            assert pulse.down_mbps <= line.rate_down_mbps * (1 + 1e-9)


@every_plan
def test_the_factors_of_efficiency_multiply_to_the_accounts(document):
    plan, outcome, _, parts = taken_apart(document)
    left, passed = parts.peak_flop, {}
    for factor in parts.factors:
        assert factor.factor > 0
        left *= factor.factor
        if factor.reaches:
            passed[factor.reaches] = left
    assert passed == {name: pytest.approx(outcome[name], rel=1e-9) for name in ("flop", "flop_local", "flop_quality")}
    assert list(passed) == ["flop", "flop_local", "flop_quality"]
    before_worth = itertools.takewhile(lambda factor: "model size" not in factor.name, parts.factors)
    assert all(factor.factor <= 1 + 1e-9 for factor in before_worth if "fresh" not in factor.name)
    fresh = {factor.name: factor.factor for factor in parts.factors}["fresh tokens"]
    stock = float(plan["unique_tokens"]) if plan["unique_tokens"] != "auto" else default.parameters()["unique_tokens"]
    half_life = default.parameters()["repetition_half_life"]
    expected = (
        unrepeated_tokens(outcome["tokens"], unique_tokens=stock, repetition_half_life=half_life) / outcome["tokens"]
    )
    assert fresh == pytest.approx(float(expected))


@every_plan
def test_the_model_says_what_it_took_for_each_field_left_to_it(document):
    plan, outcome, _, parts = taken_apart(document)
    left = {name for name, value in plan.items() if value == "auto" and name != "profile"}
    assert left <= parts.automatic.keys()
    assert parts.automatic["duration_days"] == outcome["days"]
    assert all(math.isfinite(value) for value in parts.automatic.values())
    # stated, they change nothing
    stated = {name: parts.automatic[name] for name in ("inner_steps", "stages", "micro_batches", "regional_rounds")}
    again = simulate_plan(check_plan({**document, "plan": document["plan"] | stated}))
    assert again["flop_quality"] == pytest.approx(outcome["flop_quality"])


def test_the_peak_of_two_tiers_is_that_of_the_global_synchronisation():
    """A region's own synchronisations do not thin what is sent to the others in the few seconds of the global one."""
    _, outcome, found, _ = taken_apart(PLANS["hierarchical, many rounds"])
    tiers = found.cycle.tiers
    assert tiers.global_seconds < 0.5 * tiers.sync_seconds
    burst = 8e3 * outcome["upload_gb_per_sync"] / tiers.global_seconds
    steady = outcome["mean_upload_mbps"] - outcome["flow_synchronisation_up_mbps"]
    assert outcome["peak_upload_mbps"] == pytest.approx(burst + steady)


def test_every_outcome_has_its_row_and_every_row_its_outcome():
    seen = set()
    for document in PLANS.values():
        seen |= {name for name, value in simulate_plan(check_plan(document)).items() if isinstance(value, float)}
    assert seen == outcome_fields().keys()


def test_the_table_of_outcomes_names_only_what_there_is():
    figures = {"chip_tflops", "chip_memory_gb", "chip_tdp_w"}
    known = default.quantities().keys()
    for row in outcome_fields().values():
        assert row.title, row.name
        assert row.how, row.name
        assert set(row.follows_from) <= outcome_fields().keys() | plan_fields().keys() | figures, row.name
        open_names = [name for name in row.parameters if "{" in name]
        assert {name for name in row.parameters if name not in open_names} <= known, row.name
        for name in open_names:
            filled = name.format(format="fp8", generation="hopper", site="small_site", tariff="electricity_usd_per_kwh")
            assert filled in known, name


# A plan written is the plan that is read


@every_plan
def test_a_plan_written_is_read_as_the_same(document, tmp_path):
    path = tmp_path / "plan.toml"
    checked = check_plan(document)
    given = {name: value for entries in document.values() for name, value in entries.items()}
    path.write_text(plan_text(plan_document(given)), "utf-8")
    assert read_plan(path) == checked


@pytest.mark.parametrize("value", [72.7e9, 1.0, 0.1 + 0.2, 1e25, 131072.0, 123456789.25, 5e-324 * 1e300])
def test_numbers_are_written_so_that_they_read_back(value, tmp_path):
    import tomllib

    assert tomllib.loads(plan_text({"plan": {"params": value}}))["plan"]["params"] == value


@pytest.mark.parametrize("text", ["nodes = " + "9" * 5000, "a = " + "[" * 9000, "[plan]\nnodes = " + "9" * 400])
def test_a_monstrous_file_is_refused(text, tmp_path):
    from thresher.errors import InputError

    path = tmp_path / "plan.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"plan\.toml"):
        read_plan(path)
