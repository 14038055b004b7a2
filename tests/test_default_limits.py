"""Limits and monotonicity that the preset `default` keeps whatever its constants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import plan_with, run

FREE = {"compute_seconds_per_step": None, "tokens": None, "duration_days": 500}
quick = settings(max_examples=25, deadline=None)
topologies = st.sampled_from(["ring", "hub", "relay", "gather"])


def rising(values, tolerance=1e-9):
    return bool(np.all(np.diff(values) >= -tolerance * np.abs(values[:-1])))


@quick
@given(
    topology=topologies,
    overlap=st.booleans(),
    steps=st.integers(1, 300),
    nodes=st.integers(2, 2000),
    ratio=st.floats(1, 500),
)
def test_more_bandwidth_never_hurts(topology, overlap, steps, nodes, ratio):
    rates = np.geomspace(5, 50_000, 30)
    document = plan_with(
        **FREE, topology=topology, overlap=overlap, inner_steps=steps, nodes=nodes, compression=ratio, params=40e9
    )
    out = run(document, upload_mbps=rates, download_mbps=rates, regional_mbps=rates)
    quality = np.nan_to_num(out["flop_quality"])
    # A faster network costs more to rent, and lets updates arrive sooner; it never makes the run worth less.
    assert rising(quality, 1e-6)


@quick
@given(steps=st.integers(1, 500), nodes=st.integers(2, 5000), feedback=st.booleans())
def test_less_than_an_updates_information_never_helps(steps, nodes, feedback):
    bits = np.geomspace(16, 1e-5, 60)
    document = plan_with(**FREE, topology="relay", inner_steps=steps, nodes=nodes, error_feedback=feedback, params=40e9)
    out = run(document, compression=16 / bits, upload_mbps=20.0, download_mbps=20.0)
    effective = out["effective_tokens"]
    floor = 0.0693 if feedback else 1.265
    below = bits < floor / 2
    assert rising(effective[below][::-1], 1e-6)


def test_compression_of_one_is_lossless():
    out = run(plan_with(**FREE, topology="relay", compression=1, params=40e9))
    assert out["data_cost_compression"] == 1.0


@quick
@given(steps=st.integers(20, 500), batch=st.integers(10_000, 2_000_000))
def test_no_jump_from_one_node_to_two(steps, batch):
    """With links that are no obstacle, a second node adds something between a little less than nothing and a whole node."""
    document = plan_with(
        **FREE | {"compute_seconds_per_step": 100}, topology="relay", inner_steps=steps, local_batch_tokens=batch
    )
    one, two = run(document, nodes=[1, 2], upload_mbps=1e5, download_mbps=1e5)["flop_local"]
    assert 0.9 * one < two < 2**1.5 * one  # the critical batch grows with the root of the tokens


def test_the_second_node_is_not_treated_apart_from_the_third():
    """The data cost grows by about as much from one to two as from two to three: no special case for one node."""
    cost = run(plan_with(topology="relay", params=40e9), nodes=[1, 2, 3])["data_cost_replicas_and_batch"]
    assert 0.5 < (cost[1] - cost[0]) / (cost[2] - cost[1]) < 2.0


def test_one_replica_with_one_inner_step_is_data_parallel():
    """One flat node of 8 chips and a datacentre of one such node do the same work on the same data."""
    flat = run(plan_with(nodes=1, inner_steps=1, topology="relay", tokens=1e12, compute_seconds_per_step=None))
    site = run(plan_with(mode="datacenter", nodes=1, tokens=1e12, compute_seconds_per_step=None))
    for name in ("utilisation", "step_seconds", "loss", "flop", "flop_local", "flop_quality"):
        assert flat[name] == pytest.approx(site[name], rel=1e-12), name


@quick
@given(
    nodes=st.integers(2, 64),
    group=st.integers(2, 8),
    topology=st.sampled_from(["hub", "relay"]),
    ratio=st.floats(1, 4),
    inner=st.integers(1, 200),
    rounds=st.integers(1, 50),
)
def test_hierarchical_is_never_better_than_flat_when_the_region_is_no_faster(
    nodes, group, topology, ratio, inner, rounds
):
    """With dense updates (a sum is no larger than its parts) and equal links, two tiers send more for no more learning.

    Flat may choose any interval; for every interval of the tiers it has one at least as good. A ring is left out, since its
    latency grows with its members, which tiers truly save, and a gather, since tiers get round its cap on members.
    """
    common = {**FREE, "topology": topology, "compression": ratio, "params": 40e9, "chips_per_node": 8}
    tiers = run(
        plan_with(
            **common, mode="hierarchical", nodes=nodes * group, nodes_per_group=group, inner_steps=inner,
            regional_rounds=rounds,
        )
    )["flop_quality"]  # fmt: skip
    candidates = np.unique(np.append(np.round(np.geomspace(1, 3 * inner * rounds + 3, 400)), np.arange(1, inner + 1)))
    flat = run(plan_with(**common, mode="flat", nodes=nodes * group), inner_steps=candidates)["flop_quality"]
    assert np.nanmax(flat) >= tiers[0] * (1 - 1e-9)


@quick
@given(mode=st.sampled_from(["flat", "swarm", "pipeline", "hierarchical"]), nodes=st.integers(20, 3000))
def test_the_accounts_keep_their_order(mode, nodes):
    """Quality <= local <= performed, and the loss stays above the irreducible one."""
    out = run(plan_with(**FREE, mode=mode, nodes=nodes, topology="relay", params=40e9, nodes_per_group=4))
    assert np.all(out["flop_quality"] <= out["flop_local"] * (1 + 1e-9))
    assert np.all(out["flop_local"] <= out["flop"])
    assert np.all(out["loss"] > 1.8172)


def test_longer_sequences_cost_attention():
    seconds = run(plan_with(**FREE, topology="relay", params=40e9), sequence_tokens=[2048.0, 131072.0])["step_seconds"]
    assert 1.3 < seconds[1] / seconds[0] < 3


def test_outer_state_on_the_chips_takes_memory_from_the_model():
    host = run(plan_with(outer_state="host"))
    chips = run(plan_with(outer_state="chips", params=40e9))
    assert host["host_memory_gb"] > 0
    assert chips["host_memory_gb"] == 0
    assert run(plan_with(outer_state="chips"))["feasible"] == 0


def test_a_swarm_holds_a_model_that_none_of_its_nodes_could():
    document = plan_with(
        **FREE, mode="swarm", chip="RTX-4090", chips_per_node=8, nodes=600, params=100e9, activation_compression=100,
        inner_steps="auto", overlap=True, topology="relay",
    )  # fmt: skip
    out = run(document)
    assert out["feasible"] == 1
    assert out["stages"] > 4
    assert run(plan_with(**FREE, chip="RTX-4090", chips_per_node=8, params=100e9))["feasible"] == 0


def test_a_plan_that_overbooks_a_link_cannot_run():
    """A small model on many fast chips reads its data faster than a tiny link brings it."""
    document = plan_with(
        **FREE, topology="relay", params=1e9, local_batch_tokens=8192, chip="B300", chips_per_node=64,
        data_delivery="stream",
    )  # fmt: skip
    out = run(document, upload_mbps=0.01, download_mbps=0.01)
    assert out["feasible"] == 0
    assert out["reason"] == 4


def test_every_flow_is_on_the_ledger():
    out = run(
        plan_with(
            **FREE, mode="swarm", nodes=400, params=600e9, activation_compression=100, overlap=True, topology="relay"
        )
    )
    parts = [value for name, value in out.items() if name.startswith("flow_") and name.endswith("_up_mbps")]
    assert sum(parts) == pytest.approx(out["mean_upload_mbps"])
    purposes = ("pipeline", "experts", "data", "checkpoints", "joiners", "synchronisation")
    named = {name for name in out if name.startswith("flow_") and name.endswith("_up_mbps")}
    assert named == {f"flow_{purpose}_up_mbps" for purpose in purposes}


def test_a_mixture_of_experts_costs_its_active_and_is_worth_more():
    """Operations follow the active parameters; worth lies between the dense models of active and of all parameters."""
    mixture = run(plan_with(topology="relay", params=40e9, active_params=8e9))
    small = run(plan_with(topology="relay", params=8e9))
    large = run(plan_with(topology="relay", params=40e9))
    assert mixture["flop"] < 0.25 * large["flop"]
    assert large["loss"] < mixture["loss"] < small["loss"]


def test_experts_spread_over_slow_links_take_days_a_step():
    """Routing tokens to experts on other nodes waits for a slow link; on fast ones it hardly shows."""
    document = plan_with(
        topology="relay", params=500e9, active_params=40e9, experts_per_token=8, nodes=64, tokens=1e10,
        compute_seconds_per_step=None, expert_parallel_nodes=8,
    )  # fmt: skip
    slow = run(document)
    assert slow["step_seconds"] > 86400
    assert slow["link_load"] <= 0.9
    fast = run(document, upload_mbps=1e7, download_mbps=1e7, regional_mbps=1e7, round_trip_ms=0.1)
    assert fast["step_seconds"] < 3600
    assert fast["replicas"] == 8


def test_failures_cost_a_pipeline_more_than_lone_replicas():
    common = FREE | {"nodes": 64, "params": 300e9, "topology": "relay", "activation_compression": 100}
    lone = run(plan_with(**(common | {"params": 40e9})))["goodput"]
    staged = run(plan_with(**common, mode="pipeline", stages=8))["goodput"]
    assert staged < lone


def test_tokens_and_duration_are_two_ways_to_say_the_same():
    by_tokens = run(plan_with(topology="relay"))
    by_days = run(plan_with(topology="relay", tokens=None, duration_days=float(by_tokens["days"][0])))
    assert by_days["tokens"] == pytest.approx(by_tokens["tokens"], rel=1e-12)


@quick
@given(
    mode=st.sampled_from(["flat", "pipeline", "swarm", "hierarchical"]),
    overlap=st.booleans(),
    nodes=st.integers(40, 2000),
)
def test_more_bandwidth_never_hurts_with_automatic_intervals(mode, overlap, nodes):
    """Automatic intervals are never shorter than what costs the least data, so that a fast link is no temptation."""
    rates = np.geomspace(20, 100_000, 25)
    document = plan_with(
        **FREE, mode=mode, nodes=nodes, topology="relay", overlap=overlap, inner_steps="auto", nodes_per_group=8,
        local_batch_tokens=2e6, activation_compression=100, params=150e9 if mode in ("pipeline", "swarm") else 40e9,
    )  # fmt: skip
    out = run(document, upload_mbps=rates, download_mbps=rates, regional_mbps=rates)
    feasible = out["feasible"] > 0
    assert rising(feasible.astype(float))
    # whole steps and whole rounds make small jags
    assert rising(out["flop_quality"][feasible], 0.03)


@quick
@given(
    mode=st.sampled_from(["flat", "hierarchical", "pipeline", "swarm"]), topology=topologies, overlap=st.booleans(),
    steps=st.integers(1, 300), nodes=st.integers(16, 3000), group=st.integers(1, 60), bits=st.floats(0.02, 16),
)  # fmt: skip
def test_no_feasible_plan_has_an_impossible_outcome(mode, topology, overlap, steps, nodes, group, bits):
    document = plan_with(
        **FREE, mode=mode, topology=topology, overlap=overlap, inner_steps=steps, nodes=nodes, compression=16 / bits,
        nodes_per_group=min(group, nodes), activation_compression=100, params=60e9,
    )  # fmt: skip
    out = {name: float(value[0]) for name, value in run(document).items()}
    if not out["feasible"]:
        return
    assert all(np.isfinite(value) for value in out.values()), out
    assert all(value >= 1.0 for name, value in out.items() if name.startswith("data_cost_")), out
    assert 0 < out["utilisation"] <= 1
    assert 0 < out["goodput"] <= 1
    assert out["link_load"] <= 1 + 1e-9
    assert out["flop_quality"] <= out["flop"]


def test_traffic_follows_the_pace_of_the_whole_round():
    """A stage that waits for synchronisations sends its activations over a longer time."""
    document = plan_with(
        **FREE, mode="swarm", nodes=400, params=600e9, activation_compression=100, topology="relay", compression=16
    )
    often, seldom = run(document, inner_steps=[1.0, 300.0])["flow_pipeline_up_mbps"]
    assert often < 0.5 * seldom


def test_a_site_does_not_gain_from_spreading_its_experts():
    one, many = run(plan_with(mode="datacenter", nodes=64, params=200e9), expert_parallel_nodes=[1.0, 64.0])[
        "step_seconds"
    ]
    assert one == many


def test_calling_a_value_smaller_is_no_way_around_compression():
    """Half a byte a value uncompressed is as lossy as sixteen bits compressed four times."""
    named = run(plan_with(topology="relay", bytes_per_value=0.0625, compression=1, error_feedback=False))
    squeezed = run(plan_with(topology="relay", bytes_per_value=2, compression=32, error_feedback=False))
    assert named["data_cost_compression"] == pytest.approx(squeezed["data_cost_compression"], rel=1e-12)


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b", "interleaved", "zero_bubble"])
def test_automatic_stages_fit(schedule):
    sizes = np.geomspace(70e9, 900e9, 300)
    document = plan_with(**FREE, mode="pipeline", chip="H100-SXM", schedule=schedule, nodes=512, sequence_tokens=16384)
    out = run(document, params=sizes, active_params=sizes)
    assert np.all(out["memory_needed_gb"] <= out["memory_usable_gb"] * (1 + 1e-12))
