"""Plans as people write them: what is right is filled in, what is wrong is refused by section, field and value."""

import math

import pytest

from tests.conftest import PLAN, plan_with
from thresher.errors import InfeasiblePlanError, InputError
from thresher.simulation import default
from thresher.simulation.plans import check_plan, plan_fields, read_plan, simulate_plan

PROMISED = {
    "utilisation", "step_seconds", "sync_seconds", "inner_steps", "tokens", "days", "flop", "flop_local", "flop_quality",
    "cost_usd", "power_mw", "upload_gb_per_sync", "mean_upload_mbps", "evidence",
}  # fmt: skip


def test_the_example_plan_gives_what_is_promised():
    outcome = simulate_plan(check_plan(PLAN))
    assert outcome.keys() >= PROMISED
    assert outcome["tokens"] == pytest.approx(1.1e12)
    assert outcome["inner_steps"] == 30
    # 72.7e9 values of 2 bytes over 146
    assert outcome["upload_gb_per_sync"] == pytest.approx(72.7 * 2 / 146, rel=1e-12)
    # one upload, nineteen downloads, two round trips and the store; then coordination and the slowest of twenty
    gathered = 0.99589 * 8 / 0.110 + 19 * 0.99589 * 8 / 0.500
    assert gathered < outcome["sync_seconds"] < 1.1 * gathered + 30
    assert all(
        isinstance(value, float) and math.isfinite(value)
        for name, value in outcome.items()
        if name not in ("evidence", "horizon", "warnings")
    )


def test_what_lies_beyond_the_evidence_is_said_axis_by_axis():
    outcome = simulate_plan(check_plan(plan_with(nodes=640, topology="relay")))
    assert outcome["horizon"]["replicas"] == pytest.approx(10)
    [line] = [line for line in outcome["evidence"] if line.startswith("replicas that average")]
    assert "640 here, most ever measured 64" in line
    assert "10 times beyond the evidence" in line
    assert "2311.08105" in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "flatt"}, r"\[plan\] mode: expected one of flat, .*got 'flatt'"),
        ({"nodes": 0}, r"nodes: expected a whole number in nodes from 1"),
        ({"nodes": 2.5}, r"nodes.*got 2.5"),
        ({"nodes": True}, r"nodes.*got True"),
        ({"nodes": None}, r"nodes: .*missing"),
        ({"chip": "B2000"}, r"chip.*B200"),
        ({"chip": 7}, r"chip: expected a name in quotes"),
        ({"params": 72.7}, r"params: expected a number in parameters from 1e\+06"),
        ({"params": float("nan")}, r"params.*got nan"),
        ({"params": float("inf")}, r"params.*got inf"),
        ({"params": "72.7B"}, r"params.*got '72.7B'"),
        ({"tokens": None}, r"tokens, duration_days: expected exactly one"),
        ({"duration_days": 30}, r"tokens, duration_days: expected exactly one"),
        ({"precision": "fp12"}, r"precision"),
        ({"inner_steps": "sometimes"}, r'inner_steps: .*or "auto"'),
        ({"inner_steps": 0}, r"inner_steps"),
        ({"compression": 0.5}, r"compression.*got 0.5"),
        ({"error_feedback": "yes"}, r"error_feedback: expected true or false"),
        ({"topology": "mesh"}, r"topology"),
        ({"mfu": 1.2}, r"mfu"),
        ({"compute_seconds_per_step": -1}, r"compute_seconds_per_step"),
        ({"stepz": 3}, r"stepz: expected a known field"),
        ({"inner_step": 3}, r"inner_step: expected a known field; did you mean inner_steps"),
        ({"upload_mbps": 3}, r"\[plan\] upload_mbps: expected a known field; move it to \[network\]"),
        ({"mode": "hierarchical", "nodes_per_group": 50}, r"nodes_per_group: expected at most `nodes`"),
    ],
)
def test_a_wrong_field_is_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        check_plan(plan_with(**changes))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"upload_mbps": 0}, r"\[network\] upload_mbps: expected a number in Mbit/s"),
        ({"upload_mbps": "110 MB/s"}, r"upload_mbps.*got '110 MB/s'"),
        ({"download_mbps": float("nan")}, r"download_mbps"),
        ({"latency_ms": -1}, r"latency_ms"),
        ({"latency_ms": 1e6}, r"latency_ms"),
        ({"profile": "moon"}, r"moon"),
    ],
)
def test_an_impossible_network_is_refused_by_name(network, message):
    with pytest.raises(InputError, match=message):
        check_plan(plan_with(network=network))


def test_a_network_must_be_stated():
    with pytest.raises(InputError, match="upload_mbps"):
        check_plan({"plan": PLAN["plan"]})


def test_a_profile_fills_the_network():
    plan = check_plan({"plan": PLAN["plan"], "network": {"profile": "continental", "upload_mbps": 50}})
    assert (plan["upload_mbps"], plan["download_mbps"]) == (50, 1322.0)
    assert plan["regional_mbps"] == 9530.0


@pytest.mark.parametrize("text", ["[plan", "plan = 3", "[cluster]\nnodes = 3", "\x00"])
def test_what_is_not_a_plan_is_refused(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"plan\.toml"):
        read_plan(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml"):
        read_plan(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": 800e9}, r"does not fit.*needs [\d,]+ GB and has [\d,]+ GB usable"),
        ({"mode": "swarm", "nodes": 3, "params": 800e9}, r"fewer nodes"),
        ({"mode": "swarm", "chip": "T4", "chips_per_node": 1, "nodes": 90000, "params": 2e12}, r"memory|more stages"),
        ({"mode": "hierarchical", "nodes": 15, "nodes_per_group": 8}, r"two groups"),
    ],
)
def test_a_plan_that_cannot_run_says_why(changes, message):
    with pytest.raises(InfeasiblePlanError, match=message):
        simulate_plan(check_plan(plan_with(**changes)))


def test_a_chip_without_figures_is_refused():
    with pytest.raises(InputError, match=r"known for bf16.*Cambricon-590"):
        simulate_plan(check_plan(plan_with(chip="Cambricon-590")))


def test_every_field_has_a_unit_limits_and_a_description():
    for field in plan_fields().values():
        assert field.description
        if field.kind in ("number", "integer"):
            assert field.unit
            assert math.isfinite(field.minimum)
            assert math.isfinite(field.maximum)


def test_every_parameter_has_a_source_a_unit_and_a_range():
    for name, row in default.quantities().items():
        assert row.unit, name
        assert row.source.title, name
        assert row.low <= row.value <= row.high, name
        assert row.source.how in {"read", "second-hand", "computed", "judgement"}, name
