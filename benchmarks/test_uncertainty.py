"""Answers under uncertainty: an assessment with 1,000 draws, and a sweep of 10 x 10 thresholds with 200."""

from __future__ import annotations

from thresher.assessment.assess import assess
from thresher.evasion.space import usable_chips
from thresher.thresholds.sweep import design

PUBLISHED_SEARCH_SECONDS = 0.1
"""The published calculator's search on one chip, draw and number format, as the project that set these goals states it."""


def test_assess_with_a_thousand_draws(benchmark):
    answer = benchmark.pedantic(assess, ("miri-2025",), rounds=3, warmup_rounds=0)
    assert all(item.uncertainty is not None for item in answer.answers)
    report(benchmark, regimes=1, draws=answer.draws, chips=len(answer.arena.chips))


def test_design_of_a_hundred_cells(benchmark):
    lines = {
        "compute": [1, 2, 4, 8, 12, 16, 24, 32, 64, 128],
        "memory": [80, 160, 320, 640, 960, 1280, 2560, 5120, 10240, None],
    }
    sweep = benchmark.pedantic(design, ("miri-2025",), {"values": lines, "draws": 200}, rounds=1, warmup_rounds=0)
    assert len(sweep.cells) >= 100
    report(benchmark, regimes=len(sweep.cells), draws=sweep.draws, chips=len(usable_chips()))


def report(benchmark, *, regimes, draws, chips):
    """Time per regime and draw (three targets, all chips and formats), and in published searches of one chip."""
    each = benchmark.stats.stats.median / regimes / draws
    benchmark.extra_info["milliseconds_per_regime_and_draw"] = round(1e3 * each, 2)
    benchmark.extra_info["published_searches_in_that_time"] = round(each / PUBLISHED_SEARCH_SECONDS, 3)
    benchmark.extra_info["chips"] = chips
