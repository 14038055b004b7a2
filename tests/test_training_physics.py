"""The physics of training, function by function: hand-computed numbers, published figures, limits and monotonicity."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from thresher.sources import load_quantities
from thresher.training import compute, energy, experts, failures, memory, pipeline
from thresher.training import synchronisation as sync
from thresher.training.ledger import Ledger, Link
from thresher.training.links import seconds_per_bit
from thresher.training.stragglers import expected_largest_normal

PHYSICS = load_quantities("thresher.training", "physics.yaml").values_only()
PLANT = load_quantities("thresher.training", "plant.yaml").values_only()
TCP = {
    "protocol_efficiency": PHYSICS["protocol_efficiency"],
    "parallel_flows": PLANT["parallel_flows"],
    "packet_loss": PLANT["tcp_packet_loss"],
    "segment_bytes": PLANT["tcp_segment_bytes"],
    "tcp_loss_constant": PHYSICS["tcp_loss_constant"],
}
GIGABYTE = 8e9
quick = settings(max_examples=40, deadline=None)
rates = st.floats(-2, 6).map(lambda x: 10.0**x)
counts = st.integers(1, 5000).map(float)


# Links


@quick
@given(rates, rates, st.floats(0, 1), st.floats(0, 0.1))
def test_more_bandwidth_never_hurts(one, other, round_trip, loss):
    slow, fast = sorted((one, other))
    tcp = TCP | {"round_trip_seconds": round_trip, "packet_loss": loss}
    assert 0 < seconds_per_bit(fast, **tcp) <= seconds_per_bit(slow, **tcp)


@quick
@given(rates, st.floats(0, 1), st.floats(0, 0.1))
def test_no_loss_or_no_distance_leaves_the_line(mbps, round_trip, loss):
    line = 1e-6 / mbps
    assert seconds_per_bit(mbps, **TCP | {"packet_loss": 0.0, "round_trip_seconds": round_trip}) == pytest.approx(line)
    assert seconds_per_bit(mbps, **TCP | {"packet_loss": loss, "round_trip_seconds": 0.0}) == pytest.approx(line)


@pytest.mark.parametrize(("loss", "mbps"), [(1e-5, 45), (1e-4, 14), (1e-3, 4.5), (1e-2, 1.4)])
def test_one_flow_over_an_ocean(loss, mbps):
    """Mathis et al. 1997 at 100 ms, as in the model notes."""
    one = seconds_per_bit(1e6, **TCP | {"parallel_flows": 1.0, "packet_loss": loss, "round_trip_seconds": 0.1})
    assert 1e-6 / one == pytest.approx(mbps, rel=0.03)


# Synchronisation


def path(up, down, round_trip=0.0):
    return sync.Path(1e-6 / up, 1e-6 / down, round_trip)


def aggregator(hub_mbps=1e9, store=0.0, cap=20.0):
    return sync.Aggregator(1e-6 / hub_mbps, store, cap)


def exchange(topology, members, way, between=None, payload=GIGABYTE, summed=None):
    result = sync.TOPOLOGIES[topology](
        np.asarray(payload), np.asarray(summed or payload), np.asarray(float(members)), way, between or aggregator()
    )
    return sync.Exchange(*(float(value) for value in result))


def test_gather_of_twenty_members_as_covenant_did():
    """1 GB up at 110 Mbit/s, nineteen down at 500, two round trips and the store's delay."""
    result = exchange("gather", 20, path(110, 500, 0.1), aggregator(store=2.0))
    assert result.seconds == pytest.approx(8000 / 110 + 19 * 8000 / 500 + 0.2 + 2.0)
    assert (result.sent_bits, result.received_bits, result.members_counted) == (GIGABYTE, 19 * GIGABYTE, 20)


def test_gather_stops_at_its_cap_and_only_the_selected_count():
    capped = exchange("gather", 500, path(110, 500), aggregator(cap=20.0))
    assert capped.seconds == pytest.approx(exchange("gather", 20, path(110, 500)).seconds)
    assert capped.members_counted == 20


def test_ring_of_four_by_hand():
    result = exchange("ring", 4, path(1000, 500, 0.08))
    assert result.seconds == pytest.approx(2 * 3 / 4 * 16 + 2 * 3 * 0.04)
    assert result.sent_bits == result.received_bits == 1.5 * GIGABYTE


def test_ring_of_the_model_notes():
    """4,000 members, 3.33 GB, 100 Mbit/s, 50 ms one way: 533 s of volume and 400 s of latency."""
    result = exchange("ring", 4000, path(100, 100, 0.1), payload=3.333 * GIGABYTE)
    assert result.seconds == pytest.approx(933, rel=0.002)


def test_ring_waits_for_the_slower_direction():
    assert exchange("ring", 8, path(20, 150)).seconds == exchange("ring", 8, path(150, 20)).seconds


def test_hub_with_a_saturated_link_scales_with_members():
    slow_hub = aggregator(hub_mbps=1000)
    few, many = (exchange("hub", m, path(1000, 1000), slow_hub).seconds for m in (10, 40))
    assert few == pytest.approx(2 * 10 * 8) and many == pytest.approx(4 * few)
    fast = [exchange("hub", m, path(100, 500, 0.1)).seconds for m in (10, 40)]
    assert fast[0] == fast[1] == pytest.approx(80 + 16 + 0.1)


def test_hub_needs_the_rate_of_the_model_notes():
    """At 4,000 members of 100 Mbit/s the hub is no bottleneck from 400 Gbit/s on."""
    enough, half = (exchange("hub", 4000, path(100, 100), aggregator(hub_mbps=r)).seconds for r in (4e5, 2e5))
    assert enough == pytest.approx(160) and half == pytest.approx(320)


def test_relay_sends_up_once_and_the_densified_sum_down():
    result = exchange("relay", 72, path(110, 500, 0.3), aggregator(store=2.0), summed=3 * GIGABYTE)
    assert result.seconds == pytest.approx(8000 / 110 + 24000 / 500 + 0.6 + 2.0)
    assert (result.sent_bits, result.received_bits) == (GIGABYTE, 3 * GIGABYTE)


@pytest.mark.parametrize("topology", sync.TOPOLOGIES)
def test_one_member_exchanges_nothing(topology):
    result = exchange(topology, 1, path(110, 500, 0.1), aggregator(store=2.0))
    assert (result.seconds, result.sent_bits, result.received_bits) == (0, 0, 0)
    assert result.members_counted == 1


@quick
@given(st.sampled_from(sorted(sync.TOPOLOGIES)), counts, rates, rates, st.floats(1, 100))
def test_faster_links_never_slow_a_synchronisation(topology, members, up, down, factor):
    before = exchange(topology, members, path(up, down, 0.1))
    for faster in (path(up * factor, down, 0.1), path(up, down * factor, 0.1), path(up, down, 0.1 / factor)):
        assert exchange(topology, members, faster).seconds <= before.seconds * (1 + 1e-12)


def summed_bits(bits_per_param, members, dense=16.0):
    names = ("densified_index_bits", "densified_value_bits")
    return float(
        sync.summed_payload_bits(
            np.asarray(bits_per_param * 1e9), np.asarray(1e9), np.asarray(float(members)),
            dense_update_bits=dense, **{name: PHYSICS[name] for name in names},
        )
    ) / 1e9  # fmt: skip


@pytest.mark.parametrize(("members", "density"), [(1, 1 / 64), (20, 0.27), (72, 0.68), (500, 1.0)])
def test_independent_choices_densify_as_they_are_summed(members, density):
    """1 - (1 - k)^M at one value in 64, of 14 bits each (model notes, D3a)."""
    assert summed_bits(14 / 64, members) / 14 == pytest.approx(density, abs=0.005)


@quick
@given(st.floats(0.001, 32), counts)
def test_a_sum_is_no_smaller_than_a_part_and_no_larger_than_dense(bits, members):
    total = summed_bits(bits, members, dense=4.0)
    assert bits * (1 - 1e-9) <= total <= max(bits, 4.0) * (1 + 1e-9)


def test_rounds_blocking_and_overlapped():
    blocking = sync.blocking_round(2280.0, 103.0)
    assert 2280.0 / blocking.seconds == pytest.approx(0.957, abs=5e-4)  # INTELLECT-1, USA
    hidden = sync.overlapped_round(np.asarray(100.0), np.asarray(45.0), fragments=10.0, duty_cap=0.9)
    assert (hidden.seconds, hidden.stall_seconds, hidden.delay_rounds) == (100, 0, pytest.approx(0.045))
    stalled = sync.overlapped_round(np.asarray(100.0), np.asarray(180.0), fragments=10.0, duty_cap=0.9)
    assert (stalled.seconds, stalled.stall_seconds) == (200, 100)


@quick
@given(st.floats(0.1, 1e4), st.floats(0, 1e4), st.floats(1, 100))
def test_overlap_is_never_slower_than_the_larger_part_allows(busy, exchanging, fragments):
    overlapped = sync.overlapped_round(np.asarray(busy), np.asarray(exchanging), fragments=fragments, duty_cap=0.9)
    assert max(busy, exchanging) <= overlapped.seconds <= max(busy, exchanging / 0.9) * (1 + 1e-12)


# Stragglers


def expected_maximum(n):
    density = lambda x: x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1)  # noqa: E731
    return integrate.quad(density, -10, 10, limit=400)[0]


@pytest.mark.parametrize(("members", "within"), [(2, 0.05), (8, 0.03), (72, 0.03), (4000, 0.03)])
def test_the_slowest_of_many_is_an_order_statistic(members, within):
    """Blom's approximation is at its worst at two members, 0.5895 against 1 / sqrt(pi)."""
    ours = float(expected_largest_normal(float(members)))
    assert ours == pytest.approx(expected_maximum(members), rel=within)


@quick
@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_more_members_wait_longer_and_one_does_not(one, other):
    few, many = sorted((one, other))
    assert 0.0 <= float(expected_largest_normal(few)) <= float(expected_largest_normal(many)) + 1e-12
    assert float(expected_largest_normal(1.0)) == 0.0


# Pipelines

SCHEDULES = st.sampled_from(pipeline.SCHEDULES)


def step(schedule="1f1b", stages=4, micro=32, compute_seconds=32.0, bits=0.0, mbps=1e9, round_trip=0.0, chunks=2.0):
    result = pipeline.pipeline_step(
        schedule=schedule,
        stages=np.asarray(float(stages)),
        micro_batches=np.asarray(float(micro)),
        chunks=np.asarray(chunks),
        compute_seconds=np.asarray(compute_seconds),
        activation_bits=np.asarray(bits),
        up_seconds_per_bit=1e-6 / mbps,
        down_seconds_per_bit=1e-6 / mbps,
        round_trip_seconds=round_trip,
    )
    return pipeline.PipelineStep(*(float(value) for value in result))


def bubble(schedule, stages, micro, chunks=2.0):
    return float(pipeline.bubble_fraction(schedule, np.asarray(float(stages)), np.asarray(float(micro)), chunks))


def test_bubbles_of_the_textbook():
    assert bubble("1f1b", 3, 8) == bubble("gpipe", 3, 8) == pytest.approx(0.20)
    assert bubble("interleaved", 3, 8, chunks=2.0) == pytest.approx(1 / 9)
    assert bubble("zero_bubble", 8, 15) == 0
    assert 0 < bubble("zero_bubble", 8, 14) < bubble("1f1b", 8, 14)


@quick
@given(SCHEDULES, st.integers(1, 64), st.integers(1, 20))
def test_a_step_over_free_links_is_compute_and_bubble(schedule, stages, more):
    micro = 2 * stages * more
    seconds = step(schedule, stages, micro, compute_seconds=float(micro)).seconds
    idle = {"gpipe": stages - 1, "1f1b": stages - 1, "interleaved": (stages - 1) / 2, "zero_bubble": 0}[schedule]
    assert seconds == pytest.approx(micro + idle)
    assert 1 - micro / seconds == pytest.approx(bubble(schedule, stages, micro), abs=1e-12)


@quick
@given(SCHEDULES, st.integers(2, 32), st.integers(1, 128), rates, st.floats(0, 1))
def test_links_never_help_a_pipeline(schedule, stages, micro, mbps, round_trip):
    free = step(schedule, stages, micro)
    linked = step(schedule, stages, micro, bits=1e9, mbps=mbps, round_trip=round_trip)
    assert linked.seconds >= free.seconds * (1 - 1e-12)
    assert step(schedule, stages, micro, bits=1e9, mbps=2 * mbps, round_trip=round_trip).seconds <= linked.seconds


@pytest.mark.parametrize(("schedule", "stages", "micro", "latency"),
                         [("gpipe", 4, 32, 20.0), ("gpipe", 8, 4, 0.0), ("1f1b", 8, 4, 0.0)])  # fmt: skip
def test_a_pipeline_that_holds_every_micro_batch_fills_and_drains_once(schedule, stages, micro, latency):
    seconds = step(schedule, stages, micro, compute_seconds=float(micro), round_trip=2 * latency).seconds
    assert seconds == pytest.approx(micro + stages - 1 + 2 * (stages - 1) * latency)


def test_latency_hurts_the_schedule_that_keeps_few_in_flight():
    late = {name: step(name, round_trip=4.0).seconds - step(name).seconds for name in ("1f1b", "gpipe")}
    assert late["1f1b"] > 2 * late["gpipe"] > 0
    assert step("gpipe").in_flight == 32 and step("1f1b").in_flight == 4


def test_a_slow_link_paces_a_pipeline_both_ways():
    """32 Gbit of activations forward and as many gradients back at 1 Gbit/s, against 32 s of compute."""
    slow = step(bits=32e9, mbps=1000.0)
    assert slow.seconds > 2 * 32
    assert slow.bits_each_way == 64e9


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_one_stage_is_no_pipeline(schedule):
    alone = step(schedule, stages=1, bits=1e12, mbps=1.0, round_trip=9.0)
    assert (alone.seconds, alone.bits_each_way) == (32.0, 0.0)


# Experts


def all_to_all(layers, hidden, experts_per_token, nodes=1e6, mbps=100.0, round_trip=0.0):
    return experts.expert_all_to_all(
        layers=layers, hidden=hidden, tokens=131072.0, experts_per_token=experts_per_token, nodes=nodes,
        bytes_per_activation=2.0, up_seconds_per_bit=1e-6 / mbps, down_seconds_per_bit=1e-6 / (2 * mbps),
        round_trip_seconds=round_trip,
    )  # fmt: skip


def test_experts_across_the_internet_take_days():
    """The worked examples of the model notes, D3d: like DeepSeek-V3, and the published calculator's own."""
    large = all_to_all(58.0, 7168.0, 8.0)
    assert large.seconds / 86400 == pytest.approx(3.2, abs=0.05)
    assert large.bits_each_way / 8e12 == pytest.approx(3.5, abs=0.05)
    assert all_to_all(32.0, 6144.0, 2.0).seconds / 3600 == pytest.approx(9.2, abs=0.1)


def test_experts_at_home_cost_nothing_and_latency_counts_four_times_a_layer():
    assert all_to_all(58.0, 7168.0, 8.0, nodes=1.0, round_trip=0.1) == (0.0, 0.0)
    half = all_to_all(58.0, 7168.0, 8.0, nodes=2.0)
    assert half.bits_each_way == pytest.approx(all_to_all(58.0, 7168.0, 8.0, nodes=1e12).bits_each_way / 2)
    assert all_to_all(10.0, 1.0, 0.0, round_trip=0.1).seconds == pytest.approx(10 * 4 * 0.05)


# Failures


def test_llama_3_stops_every_three_hours():
    rate = failures.failures_per_hour(
        16384.0, failures_per_chip_year=PLANT["failures_per_chip_year"], departures_per_day=0.0
    )
    assert 1 / rate == pytest.approx(3.09, rel=0.01)
    assert 1 / failures.failures_per_hour(0.0, failures_per_chip_year=1.0, departures_per_day=2.0) == 12


def test_outages_and_availability():
    lost = failures.outage_hours(repair_share=0.5, repair_hours=48.0, restart_hours=0.25, lost_hours=0.5)
    assert lost == pytest.approx(24 + 0.25 + 0.5)
    assert failures.availability(0.01, 0.0, nodes_that_stop_together=9.0) == 1
    assert failures.availability(0.01, 25.0, nodes_that_stop_together=1.0) == pytest.approx(0.8)
    assert failures.availability(0.01, 25.0, nodes_that_stop_together=4.0) == pytest.approx(0.5)


@quick
@given(st.floats(0, 1), st.floats(0, 1e4), counts, counts)
def test_availability_falls_with_the_nodes_that_stop_together(rate, outage, one, other):
    few, many = sorted((one, other))
    values = [failures.availability(rate, outage, nodes_that_stop_together=n) for n in (many, few)]
    assert 0 < values[0] <= values[1] <= 1


# Memory

CHECKPOINTS = {name: PHYSICS[name] for name in ("checkpoint_bytes_per_activation", "working_bytes_per_activation")}
FIFTY_A100 = {"memory_gb": 50 * 80.0, "usable_memory_fraction": PHYSICS["usable_memory_fraction"]}


def held(params, state_bytes, outer_bytes=0.0, tokens=131072.0):
    """A replica on one node of 50 A100s, activations of the whole step recomputed from checkpoints."""
    shape = compute.model_shape(np.asarray(params), aspect_ratio=PHYSICS["aspect_ratio"])
    return memory.node_memory(
        params=params,
        stages=1.0,
        state_bytes_per_param=state_bytes,
        activations_gb=memory.activation_gb(shape, tokens, layers_share=1.0, **CHECKPOINTS),
        outer_gb=memory.outer_state_gb(
            params, replicated=1.0, error_feedback=0.0, outer_bytes_per_param=outer_bytes,
            error_feedback_bytes_per_param=4.0,
        ),
        outer_on_chips=1.0,
        **FIFTY_A100,
    )  # fmt: skip


def largest(state_bytes, outer_bytes=0.0):
    low, high = 1e9, 1e12
    for _ in range(60):
        middle = (low + high) / 2
        node = held(middle, state_bytes, outer_bytes)
        low, high = (middle, high) if node.needed_gb <= node.usable_gb else (low, middle)
    return low


def test_a_node_that_holds_the_states_to_the_byte_does_not_hold_the_model():
    """250B parameters x 16 bytes are the 4,000 GB of 50 A100-80GB, and 92% of those are usable."""
    node = held(250e9, 16.0)
    assert FIFTY_A100["memory_gb"] == 250 * 16
    assert node.usable_gb == pytest.approx(3680) and node.needed_gb > 4300


def test_the_largest_model_is_that_of_the_model_notes():
    """D4: about 184B with the outer state offloaded, 138B with its 6 bytes on the chips (fp32 gradients)."""
    assert largest(18.0) == pytest.approx(184e9, rel=0.01)
    assert largest(18.0, 6.0) == pytest.approx(138e9, rel=0.02)


def test_activations_of_the_model_notes():
    """D4: checkpoints of 250B parameters and 131,072 tokens take 364 GB."""
    shape = compute.model_shape(np.asarray(250e9), aspect_ratio=PHYSICS["aspect_ratio"])
    kept = memory.activation_gb(
        shape, 131072.0, layers_share=1.0, checkpoint_bytes_per_activation=2.0, working_bytes_per_activation=0.0
    )
    assert float(kept) == pytest.approx(364, rel=0.10)


def test_a_pipeline_divides_the_state_and_activations_alone_may_not_fit():
    state = {"params": np.asarray(250e9), "state_bytes_per_param": 16.0, "outer_gb": 0.0, "outer_on_chips": 0.0}
    assert memory.least_stages(activations_gb=300.0, **state, **FIFTY_A100) == 2
    assert memory.least_stages(activations_gb=3700.0, **state, **FIFTY_A100) == np.inf
    assert memory.least_stages(activations_gb=0.0, **state | {"params": np.asarray(230e9)}, **FIFTY_A100) == 1


def test_outer_state_lies_where_it_is_put():
    outer = memory.outer_state_gb(
        1e9, replicated=1.0, error_feedback=1.0, outer_bytes_per_param=8.0, error_feedback_bytes_per_param=4.0
    )
    assert outer == 12
    common = {"params": 1e9, "stages": 2.0, "state_bytes_per_param": 16.0, "activations_gb": 1.0, "outer_gb": outer}
    on_host = memory.node_memory(**common, outer_on_chips=0.0, **FIFTY_A100)
    on_chips = memory.node_memory(**common, outer_on_chips=1.0, **FIFTY_A100)
    assert (on_host.needed_gb, on_host.host_gb) == (9, 6) and (on_chips.needed_gb, on_chips.host_gb) == (15, 0)


# Compute, ledger, energy


def test_flop_of_a_token_with_attention():
    shape = compute.model_shape(np.asarray(72.7e9), aspect_ratio=128.0)
    assert 12 * shape.layers * shape.hidden**2 == pytest.approx(72.7e9)
    short, long = (
        float(compute.flop_per_token(72.7e9, shape, sequence_tokens=s)) / (6 * 72.7e9) for s in (2048, 131072)
    )
    assert 1.01 < short < 1.03 and 1.9 < long < 2.5
    assert compute.step_seconds(1e6, 6e9, peak_flop_per_second=1e15, mfu=0.4) == pytest.approx(15)


def test_the_ledger_adds_up_and_reports_the_busier_direction():
    ledger = Ledger({"wan": Link("wan", 100.0, 400.0)})
    assert ledger.mean_mbps("wan") == (0, 0) and ledger.load("wan") == 0
    ledger.book("wan", "data", up_mbps=0.0, down_mbps=100.0)
    assert ledger.load("wan") == 0.25
    ledger.book("wan", "synchronisation", up_mbps=20.0, down_mbps=20.0)
    ledger.book("wan", "synchronisation", up_mbps=30.0, down_mbps=20.0)
    assert ledger.flows["wan"]["synchronisation"] == (50, 40)
    assert ledger.mean_mbps("wan") == (50, 140)
    assert ledger.load("wan") == 0.5


@quick
@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=6))
def test_booking_in_parts_is_booking_the_whole(flows):
    whole, parts = (Ledger({"wan": Link("wan", 10.0, 20.0)}) for _ in range(2))
    whole.book("wan", "all", up_mbps=sum(up for up, _ in flows), down_mbps=sum(down for _, down in flows))
    for index, (up, down) in enumerate(flows):
        parts.book("wan", f"flow {index % 2}", up_mbps=up, down_mbps=down)
    assert parts.load("wan") == pytest.approx(whole.load("wan"))


def test_power_and_energy_of_a_server():
    """A DGX H100 draws at most 10.2 kW; in training 76% of that."""
    power = energy.wall_power_mw(
        8.0, tdp_w=700.0, power_usage_effectiveness=1.0,
        **{name: PLANT[name] for name in ("server_power_per_chip_power", "mean_power_fraction")},
    )  # fmt: skip
    assert power * 1e3 == pytest.approx(10.2 * 0.76, rel=0.01)
    assert energy.energy_mwh(power, 10.0) == pytest.approx(240 * power)


# The same lines on another array namespace


def evaluate(xp):
    def column(*values):
        return xp.asarray(values, dtype=xp.float64)

    members, mbps, trip = column(1.0, 20.0, 72.0), column(100.0, 500.0, 1e4), column(0.0, 0.1, 0.3)
    line = seconds_per_bit(mbps, **TCP, round_trip_seconds=trip)
    way = sync.Path(line, 0.5 * line, trip)
    payload, params = column(2e8, 2e9, 2e10), column(1e9, 1e10, 1e11)
    names = ("densified_index_bits", "densified_value_bits", "dense_update_bits")
    summed = sync.summed_payload_bits(payload, params, members, **{name: PHYSICS[name] for name in names})
    yield from (line, summed, expected_largest_normal(members))
    for topology in sync.TOPOLOGIES.values():
        yield from topology(payload, summed, members, way, sync.Aggregator(column(1e-9, 1e-9, 1e-9), 2.0, 20.0))
    yield from sync.overlapped_round(members, trip, fragments=4.0, duty_cap=0.9)
    stages, micro, chunks = column(1.0, 4.0, 8.0), column(8.0, 32.0, 9.0), column(1.0, 2.0, 2.0)
    for schedule in pipeline.SCHEDULES:
        yield from pipeline.pipeline_step(
            schedule=schedule, stages=stages, micro_batches=micro, chunks=chunks, compute_seconds=members,
            activation_bits=payload, up_seconds_per_bit=line, down_seconds_per_bit=line, round_trip_seconds=trip,
        )  # fmt: skip
    shape = compute.model_shape(params, aspect_ratio=128.0)
    per_token = compute.flop_per_token(params, shape, sequence_tokens=4096.0)
    yield compute.step_seconds(131072.0, per_token, peak_flop_per_second=1e15, mfu=0.4)
    rate = failures.failures_per_hour(members, failures_per_chip_year=0.173, departures_per_day=0.1)
    yield failures.availability(rate, trip, nodes_that_stop_together=stages)
    held_gb = memory.activation_gb(shape, 4096.0, layers_share=1.0 / stages, **CHECKPOINTS)
    fit = {"params": params, "state_bytes_per_param": 16.0, "activations_gb": held_gb, "outer_gb": params / 1e9,
           "outer_on_chips": column(0.0, 1.0, 1.0), "memory_gb": column(80.0, 640.0, 10.0),
           "usable_memory_fraction": 0.92}  # fmt: skip
    yield memory.least_stages(**fit)
    yield from memory.node_memory(stages=stages, **fit)
    ledger = Ledger({"wan": Link("wan", mbps, 2.0 * mbps)})
    ledger.book("wan", "data", up_mbps=members, down_mbps=5.0 * members)
    yield ledger.load("wan")
    yield energy.wall_power_mw(
        members, tdp_w=700.0, server_power_per_chip_power=1.8, mean_power_fraction=0.7, power_usage_effectiveness=1.5
    )


def test_strict_arrays_agree_with_numpy():
    pairs = list(zip(evaluate(np), evaluate(array_api_strict), strict=True))
    assert len(pairs) > 40
    for here, strict in pairs:
        np.testing.assert_allclose(np.asarray(strict), here, rtol=1e-12)


def test_experts_on_strict_arrays():
    layers, nodes = [58.0, 58.0], [1.0, 64.0]

    def both(xp):
        return experts.expert_all_to_all(
            layers=xp.asarray(layers), hidden=7168.0, tokens=131072.0, experts_per_token=8.0, nodes=xp.asarray(nodes),
            bytes_per_activation=2.0, up_seconds_per_bit=1e-8, down_seconds_per_bit=2e-9, round_trip_seconds=0.1,
        )  # fmt: skip

    for here, strict in zip(both(np), both(array_api_strict), strict=True):
        np.testing.assert_allclose(np.asarray(strict), here, rtol=1e-12)
