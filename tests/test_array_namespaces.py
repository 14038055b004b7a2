"""The same kernels run on NumPy, on the strict array-API namespace and on JAX, with the same numbers."""

import json

import array_api_strict
import numpy as np
import pytest

from tests.conftest import plan_with
from thresher.simulation import default, published
from thresher.simulation.plans import check_plan, plan_columns
from thresher.simulation.published_cases import columns_of, parse_cases


def jax_namespace():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy

    return jax.numpy


@pytest.fixture(params=["strict", "jax"])
def namespace(request):
    return array_api_strict if request.param == "strict" else jax_namespace()


@pytest.mark.parametrize("topology", ["ring", "hub", "relay", "gather"])
@pytest.mark.parametrize("mode", default.MODES)
def test_default_runs_unchanged(namespace, mode, topology):
    document = plan_with(
        mode=mode, nodes=40, chip="A100-SXM-80GB", chips_per_node=50, params=600e9 if mode == "swarm" else 70e9,
        topology=topology, overlap=True, inner_steps="auto", compute_seconds_per_step=None, activation_compression=50,
    )  # fmt: skip
    columns = plan_columns(check_plan(document))
    several = {name: np.asarray([value, value]) for name, value in columns.items()}
    several["params"] = several["params"] * np.asarray([1.0, 0.5])
    here = default.simulate(several, default.parameters(), mode=mode, topology=topology)
    there = default.simulate(
        {name: namespace.asarray(value) for name, value in several.items()},
        default.parameters(), mode=mode, topology=topology,
    )  # fmt: skip
    assert here["feasible"].all()
    for name, value in here.items():
        np.testing.assert_allclose(np.asarray(there[name]), value, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("mode", published.MODES)
def test_published_runs_unchanged(namespace, golden_cases, mode):
    rows = [row for row in golden_cases if row["input"]["mode"] == mode]
    columns = columns_of(parse_cases(json.dumps(rows), "golden"))
    out = published.MODES[mode]({name: namespace.asarray(value) for name, value in columns.items()})
    expected = [row["output"]["c_quality"] for row in rows]
    np.testing.assert_allclose(np.asarray(out["c_quality"]), expected, rtol=1e-6)
