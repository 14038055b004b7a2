"""What learning costs at its limits: one replica, one inner step, nothing repeated, the best allocation."""

import math

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.learning import data_efficiency as data
from thresher.learning.accounts import worth
from thresher.learning.loss_laws import (
    compute_at_fixed_ratio_flop,
    loss_law,
    model_loss_terms,
    optimal_compute_flop,
)
from thresher.simulation import default
from thresher.simulation.parameters import law_of
from thresher.simulation.replica_costs import replica_data_cost
from thresher.sources import load_quantities

P = load_quantities("thresher.learning", "data_efficiency.yaml").values_only()
CENTRAL = default.parameters()
LAW = law_of(CENTRAL)
INFORMATION = {
    name: P[name]
    for name in (
        "uncompressed_bits_per_param", "information_bits_with_feedback", "information_bits_without_feedback",
        "information_exponent",
    )
}  # fmt: skip
LAWS = ("besiroglu_2024", "hoffmann_2022")

params = st.floats(7, 13).map(lambda x: 10.0**x)
tokens = st.floats(8, 15).map(lambda x: 10.0**x)
batches = st.floats(3, 8).map(lambda x: 10.0**x)
steps = st.integers(1, 2000).map(float)
replicas = st.integers(1, 10_000).map(float)
quick = settings(max_examples=40, deadline=None)


def tiered(m, groups, n, d, inner, outer, batch):
    columns = {"params": n, "local_batch_tokens": batch}
    intervals = {"inner": inner, "outer": outer}
    return float(replica_data_cost(columns, CENTRAL, LAW, tokens=d, replicas=m, groups=groups, **intervals))


def cost(m, n, d, h, batch):
    return tiered(m, m, n, d, h, h, batch)


def small_batch(batch, d):
    return batch / float(data.critical_batch_tokens(d, at_1e12=P["critical_batch_tokens_at_1e12"], exponent=0.5))


@quick
@given(params, tokens, steps, batches)
def test_one_replica_is_data_parallel_whatever_its_inner_steps(n, d, h, batch):
    assert cost(1.0, n, d, h, batch) == pytest.approx(1.0 + small_batch(batch, d), rel=1e-12)


@quick
@given(replicas, params, tokens, batches)
def test_one_inner_step_is_data_parallel_with_the_global_batch(m, n, d, batch):
    assert cost(m, n, d, 1.0, batch) == pytest.approx(cost(1.0, n, d, 1.0, m * batch), rel=1e-12)


@quick
@given(params, tokens, steps, batches, st.floats(1, 2))
def test_there_is_no_jump_from_one_replica_to_two(n, d, h, batch, between):
    ends = cost(1.0, n, d, h, batch), cost(2.0, n, d, h, batch)
    assert ends[0] <= cost(between, n, d, h, batch) <= ends[1] * (1 + 1e-12)
    assert cost(1.0 + 1e-9, n, d, h, batch) == pytest.approx(ends[0], rel=1e-6)


@quick
@given(replicas, replicas, params, tokens, steps, batches)
def test_more_replicas_never_cost_less(one, other, n, d, h, batch):
    few, many = sorted((one, other))
    assert 1.0 <= cost(few, n, d, h, batch) <= cost(many, n, d, h, batch)


@quick
@given(replicas, params, tokens, batches)
def test_more_inner_steps_never_cost_less_without_a_batch(m, n, d, batch):
    values = [cost(m, n, d, h, 0.0) for h in (1.0, 2.0, 30.0, 500.0)]
    assert values == sorted(values)
    assert values[0] == 1.0


def test_eight_replicas_cost_what_others_read_off_the_same_sweep():
    """About three tenths more data at 1B parameters; Epoch AI reads 1.5 times the compute off it."""
    value = cost(8.0, 1e9, 20e9, 30.0, 0.0)
    assert 1.2 < value < 1.5
    n, d = 1e9, 20e9
    law = loss_law("besiroglu_2024")
    lost = worth(n, d / value, law).flop_quality / worth(n, d, law).flop_quality
    assert 1.2 < 1 / lost < 1.6


@quick
@given(params, tokens, batches, st.integers(1, 100), st.integers(1, 100), st.integers(1, 200), st.integers(1, 50))
def test_two_tiers_cost_between_the_flat_costs_of_their_intervals(n, d, batch, groups, inside, inner, every):
    m = float(groups * inside)
    near = cost(m, n, d, float(inner), batch)
    without = tiered(m, float(groups), n, d, float(inner), float(inner * every), 0.0)
    assert (
        cost(m, n, d, float(inner), 0.0) * (1 - 1e-12)
        <= without
        <= cost(m, n, d, float(inner * every), 0.0) * (1 + 1e-12)
    )
    assert tiered(m, float(groups), n, d, float(inner), float(inner), batch) == pytest.approx(near, rel=1e-12)


def compression_cost(bits, feedback):
    return float(data.compression_data_cost(bits_per_param=np.asarray(bits), error_feedback=feedback, **INFORMATION))


@quick
@given(st.floats(16, 64), st.sampled_from([0.0, 1.0]))
def test_compression_one_is_lossless(bits, feedback):
    assert compression_cost(bits, feedback) == 1.0


@quick
@given(st.floats(1e-6, 1), st.sampled_from([0.0, 1.0]))
def test_fewer_bits_than_the_information_never_help(share, feedback):
    """Time per synchronisation falls with the bits; tokens' worth per second must fall faster below the floor."""
    floor = P["information_bits_with_feedback" if feedback else "information_bits_without_feedback"]
    bits = share * floor
    per_bit, per_half = (1 / (b * compression_cost(b, feedback)) for b in (bits, bits / 2))
    assert per_half < per_bit


@quick
@given(st.floats(0.001, 32), st.floats(0.001, 32), st.sampled_from([0.0, 1.0]))
def test_fewer_bits_never_cost_less(one, other, feedback):
    few, many = sorted((one, other))
    assert compression_cost(few, feedback) >= compression_cost(many, feedback) >= 1.0


def test_other_costs_are_one_where_nothing_is_done():
    activation = {name: P[name] for name in ("validated_activation_compression", "activation_data_cost")}
    for ratio, stages in ((1.0, 8.0), (100.0, 1.0)):
        assert float(data.activation_data_cost(ratio=np.asarray(ratio), stages=np.asarray(stages), **activation)) == 1.0
    assert float(
        data.activation_data_cost(ratio=np.asarray(100.0), stages=np.asarray(4.0), **activation)
    ) == pytest.approx(1 + P["activation_data_cost"])
    assert data.staleness_data_cost(delay_rounds=0.0, staleness_data_cost=P["staleness_data_cost"]) == 1.0


@quick
@given(tokens, tokens)
def test_repeated_tokens_are_worth_at_most_fresh_ones(d, unique):
    value = float(data.unrepeated_tokens(np.asarray(d), unique_tokens=unique, repetition_half_life=15.4))
    assert min(d, unique) * (1 - 1e-12) <= value <= d
    assert value <= unique * (1 + 15.4) or d <= unique


def test_repetition_sets_in_without_a_jump():
    below, at, above = data.unrepeated_tokens(
        1e12 * np.asarray([1 - 1e-9, 1.0, 1 + 1e-9]), unique_tokens=1e12, repetition_half_life=15.4
    )
    assert at == 1e12
    assert above - at == pytest.approx(at - below, rel=1e-3)


@quick
@given(params, tokens, st.floats(1, 1e4), st.sampled_from(LAWS))
def test_what_is_irreducible_is_never_scaled(n, d, cost_factor, name):
    law = loss_law(name)
    whole, wasted = worth(n, d, law), worth(n, d / cost_factor, law)
    assert law.E <= whole.loss <= wasted.loss
    assert wasted.loss - law.E <= (whole.loss - law.E) * cost_factor**law.beta * (1 + 1e-9)
    assert wasted.flop_local <= whole.flop_local <= 6 * n * d * (1 + 1e-12)


@quick
@given(params, tokens, st.sampled_from(LAWS))
def test_quality_is_at_most_local(n, d, name):
    value = worth(n, d, loss_law(name))
    assert value.flop_quality <= value.flop_local * (1 + 1e-12)


@quick
@given(st.floats(18, 28), st.sampled_from(LAWS))
def test_quality_is_local_at_the_best_allocation(log_flop, name):
    law = loss_law(name)
    flop = 10.0**log_flop
    ratio = law.alpha * law.A / (law.beta * law.B)
    n = (ratio * (flop / 6) ** law.beta) ** (1 / (law.alpha + law.beta))
    value = worth(n, flop / 6 / n, law)
    assert value.flop_quality == pytest.approx(value.flop_local, rel=1e-9)
    beside = worth(3 * n, flop / 18 / n, law)
    assert beside.flop_quality < 0.99 * beside.flop_local


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("reducible", [1.0, 0.3, 0.1, 0.05])
def test_optimal_compute_agrees_with_brute_force(name, reducible):
    law = loss_law(name)
    smallest = (law.A / reducible) ** (1 / law.alpha)
    n = smallest * (1 + np.geomspace(1e-3, 1e4, 200_001))
    d = (law.B / (reducible - law.A * n**-law.alpha)) ** (1 / law.beta)
    assert optimal_compute_flop(reducible, law) == pytest.approx(np.min(6 * n * d), rel=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_compute_at_a_fixed_ratio_reaches_the_loss(name):
    law = loss_law(name)
    flop = float(compute_at_fixed_ratio_flop(np.asarray(0.2), np.log(1e9), 25.6, law))
    n = math.sqrt(flop / 6 / 25.6)
    assert sum(model_loss_terms(n, 25.6 * n, law)) == pytest.approx(0.2, rel=1e-12)
    assert flop >= optimal_compute_flop(0.2, law)


def test_strict_arrays_agree_with_numpy():
    n, d, h, m = [1e9, 7e10], [2e10, 1e12], [30.0, 100.0], [8.0, 72.0]

    def evaluate(xp):
        a, b, c, e = (xp.asarray(column, dtype=xp.float64) for column in (n, d, h, m))
        columns = {"params": a, "local_batch_tokens": 131072.0}
        paid = replica_data_cost(columns, CENTRAL, LAW, tokens=b, replicas=e, groups=e, inner=c, outer=c)
        paid = paid * data.staleness_data_cost(delay_rounds=e / 100.0, staleness_data_cost=0.15)
        paid = paid * data.activation_data_cost(
            ratio=c, stages=e, validated_activation_compression=100.0, activation_data_cost=0.05
        )
        fresh = data.unrepeated_tokens(b, unique_tokens=1e11 + 0.0 * b, repetition_half_life=15.4)
        return model_loss_terms(a, fresh / paid, loss_law("besiroglu_2024"))

    for here, strict in zip(evaluate(np), evaluate(array_api_strict), strict=True):
        np.testing.assert_allclose(np.asarray(strict), here, rtol=1e-13)


def test_worth_on_strict_arrays():
    def both(xp):
        return worth(xp.asarray([1e9, 7e10]), xp.asarray([2e10, 1e12]), loss_law("besiroglu_2024"))

    for here, strict in zip(both(np), both(array_api_strict), strict=True):
        np.testing.assert_allclose(np.asarray(strict), here, rtol=1e-13)


def test_compression_on_strict_arrays():
    def both(xp):
        return data.compression_data_cost(
            bits_per_param=xp.asarray([0.2, 4.0]),
            error_feedback=xp.asarray([1.0, 0.0]), **INFORMATION,
        )  # fmt: skip

    np.testing.assert_allclose(np.asarray(both(array_api_strict)), both(np), rtol=1e-13)
