"""Training-run clauses: bands, both sides of every line, and how each rule counts operations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.catalog import chip
from thresher.errors import InputError
from thresher.regime import counted_operations, load_regime, regimes

WHICHEVER_HIGHER = "fp16_equivalent_or_format_whichever_higher"
SECONDS_PER_DAY = 86_400


def consequences(name, flop, kind="pretraining", bits=16):
    found = load_regime(name).run_consequences(np.array([flop]), kind, bits)
    return [one.consequence for one in found if one.mask[0]]


@pytest.mark.parametrize(
    ("name", "kind", "line", "below", "above"),
    [
        ("miri-2025", "pretraining", 1e22, [], ["monitored and approved"]),
        ("miri-2025", "pretraining", 1e24, ["monitored and approved"], ["prohibited"]),
        ("miri-2025", "post-training", 1e23, [], ["prohibited"]),
        ("miri-2026-memory", "pretraining", 1e24, ["monitored and approved"], ["prohibited"]),
        ("us-eo-14110", "pretraining", 1e26, [], ["reported"]),
        ("us-eo-14110", "biological", 1e23, [], ["reported"]),
        ("us-eo-14110", "biological", 1e26, ["reported"], ["reported", "reported"]),
        ("eu-ai-act", "pretraining", 1e25, [], ["presumed systemic"]),
        ("eu-ai-act", "post-training", 1e25, [], ["presumed systemic"]),
        ("us-ca-sb53", "pretraining", 1e26, [], ["frontier developer"]),
        ("us-ca-sb53", "post-training", 1e26, [], ["frontier developer"]),
    ],
)
def test_both_sides_of_every_line(name, kind, line, below, above):
    assert consequences(name, line * 0.999, kind) == below
    assert consequences(name, line, kind) == below  # all of them say "more than"
    assert consequences(name, line * 1.001, kind) == above


@pytest.mark.parametrize("name", regimes())
def test_bands_of_a_clause_share_no_run(name):
    flop = np.logspace(18, 30, 200)
    for clause in load_regime(name).run_clauses:
        for kind in clause.training:
            found = load_regime(name).run_consequences(flop, kind)
            inside = sum(one.mask.astype(int) for one in found if one.clause_id == clause.id)
            assert inside.max() == 1 and inside[-1] == 1


def test_kinds_are_counted_apart():
    assert consequences("miri-2025", 5e23, "post-training") == ["prohibited"]
    assert consequences("miri-2025", 5e23, "biological") == []
    with pytest.raises(InputError, match=r"pretraining.*got 'distillation'"):
        consequences("miri-2025", 1e25, "distillation")


def test_worked_figures_of_the_draft():
    h100 = chip("H100-SXM")
    per_second = 16 * h100.rate_tflops("fp8") * 1e12 * 0.5
    counted = float(counted_operations(per_second, 8, WHICHEVER_HIGHER))
    assert 1e22 / counted / SECONDS_PER_DAY == pytest.approx(7.3, abs=0.05)
    assert 1e24 / counted / SECONDS_PER_DAY / 365.25 == pytest.approx(2.0, abs=0.01)
    days = 1e22 / counted / SECONDS_PER_DAY
    assert consequences("miri-2025", per_second * SECONDS_PER_DAY * (days + 0.01), bits=8) == ["monitored and approved"]
    assert consequences("miri-2025", per_second * SECONDS_PER_DAY * (days - 0.01), bits=8) == []


def test_fewer_bits_save_nothing_and_more_count_more():
    flop = np.full(4, 1e24)
    bits = np.array([4, 8, 16, 32])
    assert counted_operations(flop, bits, WHICHEVER_HIGHER).tolist() == [1e24, 1e24, 1e24, 2e24]
    assert counted_operations(flop, bits, "operations").tolist() == [1e24] * 4


@given(st.floats(0, 1e30), st.sampled_from([4, 8, 16, 19, 32]))
def test_the_higher_of_two_counts_is_at_least_each(flop, bits):
    counted = counted_operations(flop, bits, WHICHEVER_HIGHER)
    assert counted >= flop and counted >= flop * bits / 16
