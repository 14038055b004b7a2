"""Detection: a thousand draws of two hundred plans under ten programmes, and the whole game."""

from __future__ import annotations

import numpy as np

from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.detection import chance_undetected
from thresher.countermeasures.hiding import case_columns, ways_to_hide
from thresher.countermeasures.parameters import draw_detection
from thresher.countermeasures.pool import settings
from thresher.countermeasures.programmes import load_programme, programmes
from thresher.evasion.footprint import Footprint
from thresher.portfolios.programmes import programmes as play


def test_a_thousand_draws_of_two_hundred_plans_under_ten_programmes(benchmark):
    draws, plans = 1000, 200
    p = draw_detection(draws, 0)
    nodes = np.linspace(4.0, 4000.0, plans)[:, None] * np.linspace(0.9, 1.1, draws)
    ones = np.ones_like(nodes)
    left = Footprint(
        chips=50 * nodes, nodes=nodes, sites=nodes, chips_per_site=50 * ones, duration_days=548 * ones, cost_usd=1e6 * nodes,
        chips_usd=5e5 * nodes, capital_usd=7e5 * nodes, running_usd_per_year=2e5 * nodes, power_mw=0.02 * nodes,
        power_kw_per_site=20 * ones, energy_mwh=200 * nodes, people=20 + 0.3 * nodes, people_core=20 * ones,
        people_operators=0.3 * nodes, mean_upload_mbps_per_node=39 * ones, peak_upload_mbps_per_node=80 * ones,
        mean_download_mbps_per_node=39 * ones,
    )  # fmt: skip
    actor = load_actor("company")
    ways = ways_to_hide(actor, settings()["lots"])
    chosen = [ways[at % len(ways)] for at in range(plans)]
    cases = case_columns(left, np.full(plans, 51.0), np.arange(plans), chosen, actor, p)
    named = [load_programme(name) for name in programmes()] * 2
    found = benchmark(chance_undetected, cases, named[:10], p)
    assert found.shape == (plans, 10, draws)


def test_the_whole_game(benchmark):
    found = benchmark.pedantic(play, ("miri-2025",), rounds=1, warmup_rounds=0)
    assert len(found.answers) == 4
