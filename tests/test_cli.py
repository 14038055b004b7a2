"""The commands as a person runs them: what they print, what they write, and how they refuse."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.conftest import DATA
from thresher.cli import main

PLAN_TOML = """
[plan]
mode = "flat"
nodes = 20
chip = "B200"
chips_per_node = 8
params = 72.7e9
tokens = 1.1e12
inner_steps = 30
local_batch_tokens = 393216
compression = 146
topology = "gather"
compute_seconds_per_step = 40
[network]
upload_mbps = 110
download_mbps = 500
latency_ms = 100
"""

WRONG = ("0", "-1", "1e9", "1000000000000", "many", "1.5", "nan", "")
"""Texts that are no number of draws; all but the first are no seed."""


@pytest.fixture
def thresher(tmp_path, monkeypatch):
    """Run a command in an empty folder; gives its result."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN_TOML)
    (tmp_path / "clusters.csv").write_text("cluster,chip,count\nbig,H100-SXM,17\nsmall,H100-SXM,16\n")

    def run(*arguments):
        return CliRunner().invoke(main, arguments)

    return run


def test_simulate_prints_a_table_with_the_evidence(thresher):
    result = thresher("simulate", "plan.toml")
    assert result.exit_code == 0
    assert "flop_quality" in result.stdout
    assert "most ever measured" in result.stdout


def test_json_on_standard_output_stands_alone(thresher):
    result = thresher("simulate", "plan.toml", "--json", "-")
    outcome = json.loads(result.stdout)
    assert outcome["inner_steps"] == 30
    assert isinstance(outcome["evidence"], list)


def test_json_to_a_file(thresher, tmp_path):
    assert thresher("simulate", "plan.toml", "--json", "deep/out.json").exit_code == 0
    assert json.loads((tmp_path / "deep" / "out.json").read_text())["days"] > 0


def test_a_golden_file_is_valid_input(thresher, golden_cases):
    result = thresher("simulate", str(DATA / "published_calculator.json"), "--model", "published", "--json", "-")
    outputs = json.loads(result.stdout)
    assert len(outputs) == 120
    for output, case in zip(outputs, golden_cases, strict=True):
        assert output.keys() >= case["output"].keys()
        assert output["c_quality"] == pytest.approx(case["output"]["c_quality"], rel=1e-6)


def test_a_plan_may_be_simulated_as_the_study_would(thresher, tmp_path):
    text = PLAN_TOML.replace("tokens = 1.1e12", "duration_days = 548").replace("inner_steps = 30\n", "")
    (tmp_path / "long.toml").write_text(text)
    result = thresher("simulate", "long.toml", "--model", "published", "--json", "-")
    assert json.loads(result.stdout)["c_quality"] > 1e23
    refused = thresher("simulate", "plan.toml", "--model", "published")
    assert refused.exit_code == 2
    assert "duration_days" in refused.stderr


def test_classify_in_the_promised_form(thresher):
    result = thresher("classify", "clusters.csv", "--regime", "miri-2026-memory", "--json", "-")
    big, small = json.loads(result.stdout)
    assert (big["cluster"], big["covered"], small["covered"]) == ("big", True, False)
    assert [set(clause) for clause in big["clauses"]] == [{"id", "value", "threshold", "covered"}] * 2
    table = thresher("classify", "clusters.csv", "--regime", "miri-2026-memory")
    assert "not covered" in table.stdout


def test_lint_is_a_check(thresher):
    result = thresher("regime", "lint", "miri-2025")
    assert result.exit_code == 1
    assert "contradiction: consolidation, consolidation-appendix" in result.stdout


def test_catalog_lists_and_filters(thresher):
    rows = json.loads(
        thresher("catalog", "chips", "--maker", "AMD", "--at-least", "memory_gb=200", "--json", "-").stdout
    )
    assert {row["chip"] for row in rows} == {"MI325X", "MI350X", "MI355X"}
    assert "study" in thresher("catalog", "networks").stdout
    assert "DGX H100" in thresher("catalog", "systems").stdout
    assert "measured_wan_rounds" in thresher("catalog", "tables").stdout
    assert "INTELLECT-1 USA" in {row["run"] for row in json.loads(thresher("catalog", "runs", "--json", "-").stdout)}
    assert len(json.loads(thresher("catalog", "measured_utilisation", "--json", "-").stdout)) == 10


def test_validate_prints_prediction_beside_measurement(thresher):
    summary = thresher("validate").stdout
    assert "measured_utilisation" in summary
    rows = thresher("validate", "--table", "diloco_quality", "--all-rows").stdout
    assert "predicted" in rows


def test_assess_prints_a_table_and_writes_a_report_and_a_result(thresher, tmp_path):
    result = thresher(
        "assess", "miri-2025", "--chip", "A100-SXM-80GB", "--target", "1e24", "--target", "1e25", "--central-only"
    )
    assert result.exit_code == 0, result.output
    assert "A100-SXM-80GB" in result.stdout
    data = json.loads((tmp_path / "reports" / "miri-2025.json").read_text())
    assert [row["within_reach"] for row in data["outcomes"]["answers"]] == [True, True]
    page = (tmp_path / "reports" / "miri-2025.html").read_text()
    assert "<svg" in page
    assert "searching swarm plans" in result.stderr


def test_assess_as_json_alone(thresher, tmp_path):
    result = thresher(
        "assess", "miri-2025", "--chip", "A100-SXM-80GB", "--budget", "5e7", "--central-only", "--json", "-"
    )
    data = json.loads(result.stdout)
    assert data["outcomes"]["answers"][0]["budget_usd"] == 5e7
    assert not (tmp_path / "reports").exists()


def test_assess_under_a_users_own_regime(thresher, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        """
regime: mine
title: A rule of my own
jurisdiction: nowhere
status: proposed
published: 2026-11
source: {title: mine, address: mine.yaml}
definitions: {h100_fp16_tflops: 990, h100_tpp: 15840}
clauses:
  - id: line
    kind: cluster
    reference: section 1
    text: More than 4 H100-equivalents at one site.
    metric: h100_equivalents
    comparison: ">"
    threshold: 4
    unit: H100-equivalents
    grouping: {over: site}
"""
    )
    result = thresher(
        "assess", "mine.yaml", "--chip", "A100-SXM-80GB", "--target", "1e24", "--central-only", "--json", "-"
    )
    plan = json.loads(result.stdout)["outcomes"]["answers"][0]["plan"]
    assert plan["chips_per_node"] <= 12


def test_the_studys_own_assessment(thresher):
    result = thresher(
        "assess", "miri-2025", "--model", "published", "--chip", "A100-SXM-80GB", "--target", "1e24", "--json", "-"
    )
    [row] = json.loads(result.stdout)
    assert (row["nodes"], row["chips_only_usd"]) == (5, 1750000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("assess", "miri-2052"), "miri-2025"),
        (("assess", "miri-2025", "--target", "-1"), "target: expected a number from 1e+21 to 1e+29"),
        (("assess", "miri-2025", "--target", "nan"), "target"),
        (("assess", "miri-2025", "--budget", "0"), "budget"),
        (("assess", "miri-2025", "--max-days", "0"), "--max-days"),
        (("assess", "miri-2025", "--max-days", "nan"), "--max-days"),
        (("assess", "miri-2025", "--chip", "V100-SXM-32GB", "--precision", "fp8"), "number format"),
        (("assess", "miri-2025", "--network", "colocated"), "25 Gbit/s"),
        (("assess", "miri-2025", "--max-nodes", "0"), "--max-nodes"),
        *(
            (("assess", "miri-2025", "--draws", text), "--draws: expected a whole number from 1 to 100,000")
            for text in WRONG
        ),
        *((("assess", "miri-2025", "--seed", text), "--seed: expected a whole number from 0") for text in WRONG[1:]),
        (("assess", "miri-2025", "--posterior", "absent.csv"), "absent.csv"),
        (("assess", "miri-2025", "--posterior", "clusters.csv"), "clusters.csv line 1"),
        (("assess", "miri-2025", "--central-only", "--draws", "1000"), "--draws"),
        (("assess", "miri-2025", "--central-only", "--seed", "0"), "--seed"),
        (("assess", "miri-2025", "--central-only", "--posterior", "absent.csv"), "--posterior"),
        (("assess", "miri-2025", "--model", "published", "--draws", "1000"), "--draws"),
        (("assess", "miri-2025", "--model", "published", "--seed", "0"), "--seed"),
        (("assess", "miri-2025", "--model", "published", "--central-only"), "--central-only"),
        (("assess", "miri-2025", "--network", "moon"), "moon"),
        (("assess", "miri-2025", "--chip", "H101"), "H101"),
        (("assess", "miri-2025", "--chip", "TPU-v7"), "price_usd"),
        (("assess", "eu-ai-act", "--model", "published"), "cluster clause"),
        (("simulate", "absent.toml"), "absent.toml"),
        (("simulate", "plan.toml", "--json", "/proc/nope/out.json"), "/proc/nope"),
        (("classify", "absent.csv", "--regime", "miri-2025"), "absent.csv"),
        (("classify", "plan.toml", "--regime", "miri-2025"), "column `cluster`"),
        (("classify", "clusters.csv", "--regime", "nothing"), "nothing"),
        (("regime", "lint", "absent.yaml"), "absent.yaml"),
        (("catalog", "chips", "--at-least", "memory=80"), "memory"),
        (("catalog", "chipz"), "chipz"),
        (("catalog", "chips", "--at-least", "memory_gb"), "COLUMN=NUMBER"),
        (("validate", "--table", "moon"), "moon"),
        (("validate", "--rows", "clusters.csv"), "--table"),
        (("validate", "--table", "measured_utilisation", "--rows", "clusters.csv"), "clusters.csv"),
    ],
)
def test_bad_input_ends_with_a_sentence_and_status_2(thresher, tmp_path, arguments, message):
    before = sorted(tmp_path.rglob("*"))
    result = thresher(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [("assess",), ("simulate", "plan.toml", "--model", "best"), ("nonsense",)])
def test_misuse_is_status_2_too(thresher, arguments):
    assert thresher(*arguments).exit_code == 2


def test_the_installed_command_runs():
    done = subprocess.run([sys.executable, "-m", "thresher", "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in done.stdout
