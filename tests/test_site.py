"""The iteration time inside one site: measured iterations, the reproducible fit, and the limits of the physics."""

import importlib.util
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.sources import load_quantities
from thresher.training.site import (
    iteration_parts,
    iteration_seconds,
    measured_iterations,
    measured_machine,
    site_parameters,
)

QUANTITIES = load_quantities("thresher.training", "site.yaml")
GPT3 = {
    "params": 175e9, "global_batch_sequences": 1536.0, "micro_batch": 2.0, "hidden": 12288.0, "heads": 96.0,
    "layers": 96.0, "sequence": 2048.0, "tensor": 8.0, "data": 8.0, "pipeline": 8.0, "chips": 512.0,
}  # fmt: skip
ONE_CHIP = {
    "params": 1.3e9, "global_batch_sequences": 64.0, "micro_batch": 4.0, "hidden": 2048.0, "heads": 16.0,
    "layers": 24.0, "sequence": 2048.0, "tensor": 1.0, "data": 1.0, "pipeline": 1.0, "chips": 1.0,
}  # fmt: skip
layouts = st.fixed_dictionaries(
    {name: st.sampled_from([1.0, 2.0, 4.0, 8.0, 16.0]) for name in ("tensor", "data", "pipeline")}
)


def parts(plan, **changes):
    return {
        name: float(value)
        for name, value in iteration_parts(**(plan | measured_machine() | site_parameters() | changes)).items()
    }


def seconds(plan, **changes):
    return float(iteration_seconds(**(plan | measured_machine() | site_parameters() | changes)))


def laid_out(layout):
    return GPT3 | layout | {"chips": layout["tensor"] * layout["data"] * layout["pipeline"]}


@pytest.fixture(scope="module")
def refit():
    spec = importlib.util.spec_from_file_location("fit_site", Path(__file__).parents[1] / "tools" / "fit_site.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.report()


def test_measured_layouts_are_consistent():
    inputs, measured = measured_iterations()
    assert len(measured) == 54
    np.testing.assert_array_equal(inputs["chips"], inputs["tensor"] * inputs["data"] * inputs["pipeline"])
    micro_batches = inputs["global_batch_sequences"] / inputs["data"] / inputs["micro_batch"]
    np.testing.assert_array_equal(micro_batches, np.round(micro_batches))


def test_stored_constants_reproduce_the_stated_errors():
    inputs, measured = measured_iterations()
    errors = np.abs(iteration_seconds(**inputs, **site_parameters()) / measured - 1)
    assert np.median(errors) == pytest.approx(QUANTITIES["error_in_sample_median"].value, rel=0.02)
    assert np.quantile(errors, 0.9) == pytest.approx(QUANTITIES["error_in_sample_p90"].value, rel=0.02)


def test_refit_and_cross_validation_give_the_stored_numbers(refit):
    assert refit == {name: pytest.approx(QUANTITIES[name].value, rel=0.01) for name in refit}
    assert {name for name, row in QUANTITIES.items() if row.source.id == "fit"} == refit.keys()


def test_errors_keep_within_what_we_ask(refit):
    assert refit["error_in_sample_median"] < 0.06
    assert refit["error_size_left_out_median"] < 0.12
    assert refit["error_tensor_left_out_median"] < 0.12


def test_flop_are_those_of_narayanan():
    """Equation 3 of arXiv 2104.04473: 96 B s L h^2 (1 + s/6h + V/16Lh), here with free memory and endless products."""
    free = {"half_rate_elements": 0.0, "memory_passes": 0.0, "matmul_efficiency": 1.0}
    flop = seconds(ONE_CHIP, **free, peak_tflops=1.0) * 1e12
    batch, s, layers, h = (ONE_CHIP[name] for name in ("global_batch_sequences", "sequence", "layers", "hidden"))
    expected = 96 * batch * s * layers * h**2 * (1 + s / (6 * h) + 51200 / (16 * layers * h))
    assert flop == pytest.approx(expected, rel=1e-12)


def test_one_chip_has_no_communication():
    alone = parts(ONE_CHIP)
    assert [alone[name] for name in ("tensor", "pipeline", "bubble", "gradient")] == [0, 0, 0, 0]
    assert seconds(ONE_CHIP, nvlink_gb_s=1e-3, network_gb_s=1e-3) == seconds(ONE_CHIP)


def test_bubble_is_stages_less_one_over_micro_batches():
    part = parts(GPT3)
    busy = part["matmul"] + part["memory"] + part["tensor"] + part["pipeline"]
    assert part["bubble"] / busy == pytest.approx(7 / 96, rel=1e-12)


@given(layouts, st.sampled_from(["nvlink_gb_s", "network_gb_s", "peak_tflops", "memory_tb_s"]), st.floats(1, 100))
def test_faster_hardware_never_hurts(layout, name, factor):
    plan = laid_out(layout)
    assert seconds(plan, **{name: measured_machine()[name] * factor}) <= seconds(plan) * (1 + 1e-12)


@given(layouts)
def test_parts_add_up_and_none_is_negative(layout):
    plan = laid_out(layout)
    part = parts(plan)
    assert min(part.values()) >= 0
    assert sum(part.values()) == pytest.approx(seconds(plan), rel=1e-12)


@given(layouts)
def test_utilisation_stays_below_the_efficiency_of_products(layout):
    plan = laid_out(layout)
    flop = 6 * plan["params"] * plan["global_batch_sequences"] * plan["sequence"]
    mfu = flop / (seconds(plan) * plan["chips"] * measured_machine()["peak_tflops"] * 1e12)
    assert 0 < mfu < 0.75 * site_parameters()["matmul_efficiency"] * 1.02  # a quarter of the work is recomputation


def test_tensor_parallelism_beyond_the_node_is_slow():
    within, beyond = (parts(laid_out({"tensor": t, "data": 64.0 / t, "pipeline": 8.0}))["tensor"] for t in (8.0, 16.0))
    assert beyond > 2 * within


def test_without_recompute_is_faster():
    assert 0.7 < seconds(GPT3, forward_passes=1.0) / seconds(GPT3) < 0.8


def test_a_job_inside_one_node_ignores_the_network():
    plan = laid_out({"tensor": 2.0, "data": 2.0, "pipeline": 2.0})
    assert seconds(plan, network_gb_s=1e-6) == seconds(plan)


def test_strict_arrays_agree_with_numpy():
    inputs, _ = measured_iterations()
    here = iteration_seconds(**inputs, **site_parameters())
    strict_inputs = {
        name: array_api_strict.asarray(value) if isinstance(value, np.ndarray) else value
        for name, value in inputs.items()
    }
    np.testing.assert_allclose(np.asarray(iteration_seconds(**strict_inputs, **site_parameters())), here, rtol=1e-13)
    mixed = GPT3 | {"micro_batch": array_api_strict.asarray([1.0, 2.0])} | measured_machine() | site_parameters()
    assert iteration_seconds(**mixed).shape == (2,)
