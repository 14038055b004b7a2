"""The cost of replicas: the stored numbers are those of the refit, and the fit keeps near the sweeps."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from thresher.sources import load_quantities

QUANTITIES = load_quantities("thresher.learning", "data_efficiency.yaml")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location(
        "fit_replicas", Path(__file__).parents[1] / "tools" / "fit_replicas.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def refit(tool):
    return tool.report()


def test_refit_gives_the_stored_numbers(tool, refit):
    assert {name: refit[name] for name in tool.FITTED} == {
        name: pytest.approx(QUANTITIES[name].value, rel=2e-3) for name in tool.FITTED
    }


def test_every_number_said_to_be_fitted_is_fitted_or_a_reference(tool):
    cited = {name for name, row in QUANTITIES.items() if row.source.id == "fit"}
    assert cited == {*tool.FITTED, "inner_step_reference", "critical_replicas_reference_flop"}


def test_ranges_hold_at_least_a_standard_error(tool, refit):
    for name in tool.FITTED:
        row = QUANTITIES[name]
        if f"{name}_log_error" in refit:
            spread = refit[f"{name}_log_error"]
            assert np.log(row.low) < np.log(row.value) - spread and np.log(row.high) > np.log(row.value) + spread
        else:
            spread = refit[f"{name}_error"]
            assert row.low < row.value - spread and row.high > row.value + spread


def test_the_sweep_of_seven_sizes_is_met_within_six_thousandths_of_a_nat(tool, refit):
    rows = tool.sweep_rows()
    here = np.asarray(rows.source) == "arXiv 2503.09799v1"
    assert here.sum() == 21 and set(rows.replicas[here]) == {2, 4, 8}
    assert refit["residual_rms arXiv 2503.09799v1"] <= 0.006
    assert refit["residual_rms arXiv 2501.18512"] <= 0.010
    assert refit["residual_rms arXiv 2311.08105"] <= 0.008


def test_a_free_exponent_is_near_one(tool):
    free = tool.report(free_exponent=True)
    assert abs(free["replica_exponent"] - 1) < 2 * free["replica_exponent_error"]


def test_rows_are_those_of_two_replicas_and_more_and_none_counts_twice(tool):
    rows = tool.sweep_rows()
    assert min(rows.replicas) >= 2 and len(rows.replicas) == 46
    replicas, _, perplexity, increase = tool.ablation_rows()
    assert len(replicas) == len(perplexity) == 12 and set(replicas) == {0, 1, 4, 8, 16, 64}
    assert increase == pytest.approx(0.029)
