"""Sequential tests of balances: run lengths as published, residuals that are independent, and what a count can see."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.screening.sequential import (
    cumulative,
    detection_of_loss,
    independent_residuals,
    page_alarm_probability,
    page_decision,
    page_run_length,
    page_standard_deviations,
    page_statistic,
    siegmund_run_length,
    sum_detection_probability,
)

PUBLISHED = [
    # D. C. Montgomery, Introduction to Statistical Quality Control, table "ARL performance of the tabular cusum with k = 1/2":
    # shift in standard deviations, run lengths for h = 4 and h = 5. The one for no shift is of the two-sided scheme, whose
    # reciprocal is the sum of those of its two sides.
    (0.0, 168.0, 465.0),
    (0.5, 26.6, 38.0),
    (0.75, 13.3, 17.0),
    (1.0, 8.38, 10.4),
    (1.5, 4.75, 5.75),
    (2.0, 3.34, 4.01),
    (3.0, 2.19, 2.57),
]


@pytest.mark.parametrize(("shift", "at_four", "at_five"), PUBLISHED)
def test_run_lengths_are_those_published(shift, at_four, at_five):
    sides = 2.0 if shift == 0.0 else 1.0
    for decision, published in ((4.0, at_four), (5.0, at_five)):
        assert page_run_length(0.5, decision, shift) / sides == pytest.approx(published, rel=0.006)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("reference", "decision"), [(0.5, 4.0), (0.5, 5.0), (0.25, 8.0), (0.75, 3.5)])
def test_siegmund_is_near_the_exact_run_length(reference, decision, shift):
    near = float(siegmund_run_length(reference, np.asarray(decision), shift))
    assert near == pytest.approx(page_run_length(reference, decision, shift), rel=0.05)


def test_siegmund_holds_where_the_drift_vanishes():
    around = siegmund_run_length(0.5, np.full(3, 4.0), np.array([0.5 - 1e-4, 0.5, 0.5 + 1e-4]))
    assert around[1] == pytest.approx(5.166**2)
    assert around[0] > around[1] > around[2]
    assert around[0] == pytest.approx(around[2], rel=1e-3)


def test_the_chain_agrees_with_playing_it():
    rng = np.random.default_rng(5)
    shifts = np.array([0.0, 0.4, 0.8, 0.8, 0.2, 0.0])
    played = page_statistic(rng.standard_normal((200_000, 6)) + shifts, 0.5).max(axis=-1)
    for decision in (1.0, 2.0, 3.5):
        assert page_alarm_probability(shifts, 0.5, decision) == pytest.approx((played > decision).mean(), abs=0.004)


@pytest.mark.parametrize("reference", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("false_alarm", [0.01, 0.05, 0.2])
def test_the_decision_value_keeps_the_false_alarm(reference, false_alarm):
    decision = page_decision(reference, false_alarm, 12)
    assert page_alarm_probability(np.zeros(12), reference, decision) == pytest.approx(false_alarm, rel=1e-3)
    assert page_alarm_probability(np.zeros(12), reference, decision * 1.01) < false_alarm
    assert page_alarm_probability(np.zeros(12), reference, decision * 0.99) > false_alarm


def test_residuals_are_those_of_the_cholesky_factor():
    rng = np.random.default_rng(1)
    inventory, flow = rng.uniform(0.5, 3.0, 9), rng.uniform(0.0, 2.0, 8)
    covariance = np.diag(inventory[:-1] ** 2 + flow**2 + inventory[1:] ** 2)
    covariance -= np.diag(inventory[1:-1] ** 2, 1) + np.diag(inventory[1:-1] ** 2, -1)
    muf = rng.standard_normal(8)
    expected = np.linalg.solve(np.linalg.cholesky(covariance), muf)
    assert independent_residuals(muf, inventory, flow) == pytest.approx(expected)
    total, spread = cumulative(muf, inventory, flow)
    lower = np.tri(8)
    assert spread == pytest.approx(np.sqrt(np.diag(lower @ covariance @ lower.T)))
    assert total[-1] == pytest.approx(muf.sum())


def test_counts_of_one_stock_give_independent_residuals():
    rng = np.random.default_rng(2)
    counts = rng.standard_normal((100_000, 7)) * 2.0
    flows = rng.standard_normal((100_000, 6))
    muf = counts[:, :-1] + flows - counts[:, 1:]
    residuals = independent_residuals(muf, np.full((100_000, 7), 2.0), np.full((100_000, 6), 1.0))
    assert np.cov(residuals.T) == pytest.approx(np.eye(6), abs=0.02)


def test_series_of_several_lengths_side_by_side():
    inventory = np.array([[1.0, 2.0, 3.0, np.nan, np.nan], [1.0, 1.0, 1.0, 1.0, 1.0]])
    flow = np.array([[1.0, 1.0, np.nan, np.nan], [0.5, 0.5, 0.5, 0.5]])
    muf = np.array([[1.0, -2.0, np.nan, np.nan], [1.0, 1.0, 1.0, 1.0]])
    both = independent_residuals(muf, inventory, flow)
    assert both[0, :2] == pytest.approx(independent_residuals(muf[0, :2], inventory[0, :3], flow[0, :2]))
    assert (both[0, 2:] == 0.0).all()
    assert both[1] == pytest.approx(independent_residuals(muf[1], inventory[1], flow[1]))


def test_the_tests_speak_the_array_standard():
    xp = array_api_strict
    muf, inventory, flow = xp.asarray([[1.0, 2.0]]), xp.asarray([[1.0, 1.0, 2.0]]), xp.asarray([[1.0, 0.5]])
    residuals = independent_residuals(muf, inventory, flow)
    assert np.asarray(page_statistic(residuals, 0.5)) == pytest.approx(page_statistic(np.asarray(residuals), 0.5))
    total, spread = cumulative(muf, inventory, flow)
    assert np.asarray(total) == pytest.approx(np.array([[1.0, 3.0]]))
    assert np.asarray(spread) == pytest.approx(np.sqrt([[3.0, 6.25]]))


@given(
    st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=20),
    st.integers(0, 19),
    st.floats(0.0, 5.0),
    st.floats(0.0, 1.0),
)
def test_a_further_loss_never_lowers_page(residuals, at, loss, reference):
    more = np.array(residuals)
    more[at % len(more)] += loss
    assert (page_statistic(more, reference) >= page_statistic(np.array(residuals), reference) - 1e-12).all()


def test_standard_deviations_of_page_are_a_tail():
    for chance in (0.05, 0.01, 0.001):
        statistic = page_decision(0.75, chance, 12)
        z = float(page_standard_deviations(np.asarray(statistic), 0.75, 12))
        # the first periods count in full, though no high statistic is reached in them: a little too likely
        assert chance < sum_detection_probability(-z, 0.5) < 1.75 * chance
    assert float(page_standard_deviations(np.asarray(0.0), 0.75, 12)) == 0.0
    high = page_standard_deviations(np.array([10.0, 100.0, 400.0]), 0.75, 12)
    assert (np.diff(high) > 0).all()
    assert np.isfinite(high).all()


def test_the_figures_of_the_issue():
    """960 of 100,000 a month: 6% at an error of 1%, 39% at 0.1%; the docstring says in which reading."""
    assert f"{detection_of_loss(960, 100_000, 0.01).by_page:.0%}" == "6%"
    assert f"{detection_of_loss(960, 100_000, 0.001).by_page:.0%}" == "39%"
    sums = [detection_of_loss(960, 100_000, error).by_sum for error in (0.01, 0.001)]
    assert [f"{chance:.0%}" for chance in sums] == ["7%", "59%"]
    in_two_years = [detection_of_loss(960, 100_000, error, periods=24).by_sum for error in (0.01, 0.001)]
    assert [f"{chance:.1%}" for chance in in_two_years] == ["6.6%", "38.7%"]


def test_without_a_loss_only_the_false_alarm_is_seen():
    for error in (0.01, 0.001):
        assert detection_of_loss(0, 100_000, error) == pytest.approx((0.05, 0.05), rel=1e-3)
    assert min(detection_of_loss(100_000, 100_000, 0.001)) > 0.999
