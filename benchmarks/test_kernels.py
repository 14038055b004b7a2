"""Plans a second through both presets, with arrays of a million, on all processors of this machine."""

from __future__ import annotations

import numpy as np
import pytest

from thresher.arrays import evaluate_in_blocks
from thresher.simulation import default, published
from thresher.simulation.plans import check_plan, plan_columns

ROWS = 1_000_000


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(0)
    return {
        "nodes": np.round(np.exp(rng.uniform(0, 9, ROWS))),
        "params": np.exp(rng.uniform(np.log(1e9), np.log(1e11), ROWS)),
        "compression": np.exp(rng.uniform(0, np.log(500), ROWS)),
        "upload_mbps": np.exp(rng.uniform(np.log(20), np.log(5000), ROWS)),
        "chips_per_node": np.round(rng.uniform(1, 64, ROWS)),
        "local_batch_tokens": np.exp(rng.uniform(np.log(3e4), np.log(2e6), ROWS)),
    }


def report(benchmark):
    benchmark.extra_info["million_plans_per_second"] = round(ROWS / benchmark.stats.stats.median / 1e6, 2)


def test_flat_plans_through_published(benchmark, draws):
    rng = np.random.default_rng(1)
    columns = {
        "node_chips": 16.0, "node_pflops": 15.84, "node_memory_gb": 1280.0, "chip_price_usd": 25000.0,
        "bytes_per_param": 16.0, "gradient_bits": 16.0, "download_mbps": 500.0, "latency_ms": 100.0, "duration_years": 1.5,
        "mfu": 0.4, "local_batch_tokens": draws["local_batch_tokens"], "upload_mbps": draws["upload_mbps"],
        "compression": draws["compression"], "nodes": draws["nodes"], "params_b": draws["params"] / 1e9,
        "error_feedback": np.round(rng.random(ROWS)), "quality_scenario": np.floor(3 * rng.random(ROWS)),
        "straggler": np.floor(3 * rng.random(ROWS)), "inner_steps": np.full(ROWS, np.nan),
    }  # fmt: skip
    out = benchmark.pedantic(evaluate_in_blocks, (published.flat, columns, ROWS), rounds=5, warmup_rounds=1)
    assert np.isfinite(out["c_quality"]).all()
    report(benchmark)


@pytest.mark.parametrize("mode", default.MODES)
def test_plans_through_default(benchmark, draws, mode):
    document = {
        "plan": {
            "mode": mode, "nodes": 20, "chip": "B200", "chips_per_node": 8, "params": 4e10, "duration_days": 500,
            "compression": 73, "overlap": True, "activation_compression": 100,
        },
        "network": {"upload_mbps": 110, "download_mbps": 500, "latency_ms": 100},
    }  # fmt: skip
    columns = plan_columns(check_plan(document)) | draws
    parameters = default.parameters()

    def simulate(block):
        return default.simulate(block, parameters, mode=mode)

    out = benchmark.pedantic(evaluate_in_blocks, (simulate, columns, ROWS), rounds=5, warmup_rounds=1)
    assert out["feasible"].sum() > 0
    report(benchmark)


def test_classify_fifty_thousand_clusters(benchmark):
    from thresher.catalog import chip
    from thresher.regime import ClusterRow, load_regime

    rows = [ClusterRow(f"c{number}", chip("H100-SXM"), 1 + number % 32) for number in range(50_000)]
    regime = load_regime("miri-2026-memory")
    decisions = benchmark.pedantic(regime.classify, (rows,), rounds=3, warmup_rounds=1)
    assert sum(bool(decision.covered) for decision in decisions) > 1000
