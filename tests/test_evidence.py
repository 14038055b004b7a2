"""Weights of evidence: they add up, never turn round, are bounded where data are thin, and are calibrated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.screening.evidence import (
    UNKNOWN,
    all_findings,
    cllr,
    fit_weights,
    likelihood_bound,
    log10_odds,
    probability_of,
    weights,
)


def owners(rng, number, hiders, shown_by_hiders, shown_by_others, findings=1):
    """Levels 0 or 1 of some findings, drawn apart for hiders and others."""
    hides = np.arange(number) < hiders
    shown = np.where(hides[:, None], shown_by_hiders, shown_by_others)
    return (rng.random((number, findings)) < shown).astype(np.int64), hides


def test_a_weight_is_the_likelihood_ratio():
    rng = np.random.default_rng(1)
    levels, hides = owners(rng, 200_000, 100_000, 0.5, 0.05)
    ((absent, shown),) = fit_weights(levels, hides, [1], penalty=1e-9)
    assert shown.log10_likelihood_ratio == pytest.approx(1.0, abs=0.03)
    assert absent.log10_likelihood_ratio == pytest.approx(math.log10(0.5 / 0.95), abs=0.03)
    assert shown.share_of_hiders == pytest.approx(0.5, abs=0.01)


def test_what_comes_together_is_not_counted_twice():
    rng = np.random.default_rng(2)
    levels, hides = owners(rng, 200_000, 100_000, 0.5, 0.05)
    both = np.repeat(levels, 2, axis=1)
    first, second = fit_weights(both, hides, [1, 1], penalty=1e-9)
    together = first[1].log10_likelihood_ratio + second[1].log10_likelihood_ratio
    assert together == pytest.approx(1.0, abs=0.03)


def test_more_of_a_finding_never_speaks_for_innocence():
    rng = np.random.default_rng(3)
    levels, hides = owners(rng, 2_000, 1_000, 0.05, 0.5)  # hiders show it less
    ((absent, shown),) = fit_weights(levels, hides, [1], penalty=1e-6)
    assert absent.log10_likelihood_ratio <= 0.0
    assert shown.log10_likelihood_ratio >= absent.log10_likelihood_ratio


def test_thin_data_bear_out_little():
    levels, hides = np.array([[1]] * 3 + [[0]] * 500), np.array([True] * 3 + [False] * 500)
    ((_, shown),) = fit_weights(levels, hides, [1], penalty=1e-12)
    assert shown.log10_likelihood_ratio <= likelihood_bound(np.array(3.0)) == pytest.approx(math.log10(4.0))


def test_what_could_not_be_looked_for_adds_nothing():
    levels = np.array([[UNKNOWN]] * 40 + [[1]] * 10 + [[0]] * 50)
    hides = np.array([True] * 20 + [False] * 20 + [True] * 10 + [False] * 50)
    ((_, shown),) = fit_weights(levels, hides, [1], penalty=1e-3)
    assert shown.share_of_hiders == 1.0  # among those where it could be looked for
    assert log10_odds(dict.fromkeys(all_findings(), UNKNOWN), -2.0) == -2.0


@given(st.dictionaries(st.sampled_from(sorted(all_findings())), st.integers(0, 3)), st.floats(-6, 0))
def test_log_odds_add_up(levels, prior):
    total = prior + math.fsum(weights()[name, level].log10_likelihood_ratio for name, level in levels.items())
    assert log10_odds(levels, prior) == pytest.approx(total)
    assert 0.0 <= probability_of(total) <= 1.0


def test_the_shipped_weights_keep_the_rules():
    for name, finding in all_findings().items():
        by_level = [weights()[name, level] for level in range(len(finding.edges) + 1)]
        ratios = [one.log10_likelihood_ratio for one in by_level]
        assert ratios[0] <= 0.0, name
        assert ratios[1:] == sorted(ratios[1:]), name
        assert ratios[1] >= 0.0, name
        for one in by_level:
            assert abs(one.log10_likelihood_ratio) <= likelihood_bound(np.array(float(one.owners))) + 1e-4, name


def test_cllr_of_silence_is_one_and_of_truth_near_zero():
    hides = np.array([True, True, False, False])
    assert cllr(np.zeros(4), hides) == pytest.approx(1.0)
    assert cllr(np.array([9.0, 9.0, -9.0, -9.0]), hides) == pytest.approx(0.0, abs=1e-6)
    assert cllr(np.array([-2.0, -2.0, 2.0, 2.0]), hides) > 1.0
    # by hand: the mean over hiders of log2(1 + 1/LR) and over others of log2(1 + LR), halved
    assert cllr(np.array([1.0, -1.0]), np.array([True, False])) == pytest.approx(math.log2(1.1))


def test_levels_begin_on_their_edges():
    finding = all_findings()["chips_unaccounted_for"]
    edges = np.array([0.0, finding.edges[0] - 1e-9, finding.edges[0], finding.edges[-1], 1e9, math.nan])
    assert finding.level(edges).tolist() == [0, 0, 1, len(finding.edges), len(finding.edges), UNKNOWN]
