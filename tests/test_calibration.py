"""The calibration: the families' limits, the posterior that ships and its refusals, predictions, and a short fit."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from thresher.catalog.measurements import table
from thresher.cli import Commands
from thresher.cli.calibrate import calibrate
from thresher.errors import InputError
from thresher.learning.loss_rows import COLUMNS, loss_sources, measured_rows, read_rows
from thresher.learning.posterior import family_table, load_posterior
from thresher.learning.predictions import predictive, quantiles
from thresher.learning.replica_families import FAMILIES, UNUSED, drift, replica_loss
from thresher.learning.replica_model import parameter_names, sweep_cells

NUMBERS = {"replica_scale": 0.01, "replica_size_exponent": 0.2, "replica_token_exponent": 0.3, "replica_growth": 0.9}
HEADER = ",".join(COLUMNS)
PLACE = [one.name for one in loss_sources()]


def added(family, replicas=8.0, inner_steps=30.0, params=1e9, tokens=2e10):
    here = drift(np.asarray(inner_steps), inner_step_scale=10.0, inner_step_reference=30.0)
    return float(
        replica_loss(
            family, loss=np.asarray(2.5), token_term=np.asarray(0.36 * (tokens / 2e10) ** -0.366), params=np.asarray(params),
            tokens=np.asarray(tokens), replicas=np.asarray(replicas), drift=here, beta=0.366, **NUMBERS,
        )
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_one_replica_or_one_inner_step_costs_nothing(family):
    assert added(family, replicas=1.0) == 0.0
    assert added(family, inner_steps=1.0) == 0.0


@pytest.mark.parametrize("family", FAMILIES)
def test_more_replicas_and_more_inner_steps_cost_more(family):
    by_replicas = [added(family, replicas=m) for m in (1.0, 2.0, 8.0, 72.0, 500.0)]
    by_steps = [added(family, inner_steps=h) for h in (1.0, 2.0, 30.0, 500.0)]
    assert sorted(set(by_replicas)) == by_replicas and sorted(set(by_steps)) == by_steps
    assert np.isfinite(added(family, replicas=1e6))


def test_tokens_heal_what_costs_data_and_not_a_power_of_the_loss():
    for family, heals in (("data_efficiency", True), ("additive", True), ("power", False), ("exponential", False)):
        assert (added(family, tokens=1e12) < added(family)) is heals


def test_no_run_counts_twice():
    rows = measured_rows()
    assert {name: int((rows.source == place).sum()) for place, name in enumerate(PLACE)} == {
        "dolma": 12, "streaming": 41, "scaling": 35, "ablations": 13, "tinystories": 8, "fineweb": 5,
    }  # fmt: skip
    assert np.isfinite(rows.loss).all() and (rows.inner_steps >= 1).all()
    of_64 = rows.tokens[rows.replicas == 64]
    assert set(of_64) == {(24_000 + 64 * 64_000) * 524_288}
    assert len(sweep_cells(rows)) == 7 + 7 + 3


def test_the_posterior_that_ships_is_whole():
    posterior = load_posterior()
    assert list(posterior.draws) == list(FAMILIES) == [row["family"] for row in family_table()]
    assert sum(posterior.weights.values()) == pytest.approx(1, abs=1e-4)
    assert min(posterior.weights.values()) >= 0.05 - 1e-6
    for family, draws in posterior.draws.items():
        assert tuple(draws) == parameter_names()
        assert all(len(values) == 1000 for values in draws.values())
        for name, value in UNUSED[family].items():
            assert (draws[name] == value).all()


@pytest.mark.parametrize("row", family_table(), ids=lambda row: row["family"])
def test_chains_mixed_and_the_largest_rows_were_met(row):
    assert float(row["max_rhat"]) < 1.02 and float(row["min_ess"]) > 400
    assert float(row["divergences"]) <= 10 and float(row["max_pareto_k"]) < 0.7
    assert float(row["rmse_largest"]) < 0.02
    weight = 0.05 + 0.8 * (float(row["stacking_loo"]) + float(row["stacking_largest"])) / 2
    assert float(row["weight"]) == pytest.approx(weight, abs=1e-4)


def shipped_text(rows=3):
    posterior = load_posterior()
    columns = (posterior.draws["power"][name][:rows] for name in parameter_names())
    draws = [",".join(["power", *(f"{value:.5g}" for value in row)]) for row in zip(*columns, strict=True)]
    return "\n".join([",".join(("family", *parameter_names())), *draws]) + "\n"


def test_a_persons_posterior_loads_and_keeps_the_weights_of_its_families(tmp_path):
    path = tmp_path / "posterior.csv"
    path.write_text(shipped_text(), "utf-8")
    found = load_posterior(path)
    assert found.weights == {"power": 1.0} and len(found.draws["power"]["replica_scale"]) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("replica_scale", "scale", 1), "line 1: expected the columns.*replica_scale"),
        (lambda text: text.splitlines()[0], "at least one draw"),
        (lambda text: "", "line 1"),
        (lambda text: text.replace("power", "powder", 1), "line 2: family: expected one of power.*'powder'"),
        (lambda text: text + "power,1,2\n", "line 5: expected .* cells.*got 3"),
        (lambda text: _with_cell(text, "nan"), "line 2: replica_scale: expected a finite number above 0, got 'nan'"),
        (lambda text: _with_cell(text, "-1"), "line 2: replica_scale: expected a finite number above 0, got '-1'"),
        (lambda text: _with_cell(text, "much"), "line 2: replica_scale: .*'much'"),
        (lambda text: text + '"', "cells parted by commas"),
    ],
)  # fmt: skip
def test_a_posterior_that_makes_no_sense_is_refused_by_name(tmp_path, change, says):
    path = tmp_path / "posterior.csv"
    path.write_text(change(shipped_text()), "utf-8")
    with pytest.raises(InputError, match=f"posterior.csv.*{says}"):
        load_posterior(path)


def _with_cell(text, cell):
    lines = text.splitlines()
    row = lines[1].split(",")
    row[1] = cell
    return "\n".join([lines[0], ",".join(row), *lines[2:]])


def test_nine_tenths_of_the_measured_rows_lie_in_their_interval():
    rows = measured_rows()
    low, middle, high = quantiles(predictive(rows, load_posterior()), (0.05, 0.5, 0.95)).T
    inside = (low <= rows.loss) & (rows.loss <= high)
    assert 0.85 <= inside.mean() <= 1.0
    assert np.sqrt(np.mean((middle - rows.loss)[rows.source == PLACE.index("scaling")] ** 2)) < 0.005
    sweeps = np.isin(rows.source, [PLACE.index("scaling"), PLACE.index("streaming")])
    assert (high - low)[sweeps].mean() < 0.04  # neither far too wide


def run(*arguments):
    return CliRunner().invoke(Commands(commands={"calibrate": calibrate}), ["calibrate", *map(str, arguments)])


def rows_file(tmp_path, *rows, header=HEADER):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["# a comment", header, *rows]) + "\n", "utf-8")
    return path


HELD_OUT = (
    "arXiv 2503.09799v1 Table 5,Data-Parallel,4e9,0,,8e10,none",
    "arXiv 2503.09799v1 Table 5,DiLoCo,1e10,4,30,2e11,none",
    "arXiv 2501.18512 Table 6,Streaming DiLoCo overlapped FP4,1e9,4,100,2.5e10,fp4",
    "arXiv 2501.18512 Table 1 / Table 7,Streaming DiLoCo overlapped FP4,1e9,4,30,2.5e10,fp4",
    "someone new,DiLoCo,1e9,8,30,2e10,none",
)


def test_predictions_come_as_json_the_same_every_time(tmp_path):
    path = rows_file(tmp_path, *HELD_OUT)
    first, second = run("--predict", path, "--json", "-"), run("--predict", path, "--json", "-")
    assert first.exit_code == 0 and first.output == second.output
    found = json.loads(first.output)
    assert len(found) == len(HELD_OUT)
    assert all(row["q05"] < row["median"] < row["q95"] for row in found)
    assert 2.2 < found[0]["median"] < 2.26 and 2.05 < found[1]["median"] < 2.13
    assert found[3]["median"] - found[2]["median"] > 0.1  # Dolma is another data set
    assert all(row["q95"] - row["q05"] < 0.08 for row in found[:4])
    assert found[4]["q95"] - found[4]["q05"] > 1 and "never seen" in found[4]["note"]
    alone = json.loads(run("--predict", path, "--family", "power", "--json", "-").output)
    assert alone[0]["median"] != found[0]["median"]
    assert "Predicted loss" in run("--predict", path).output


def test_the_loss_of_a_row_is_ignored(tmp_path):
    header = ",".join((*COLUMNS, "loss"))
    both = [run("--predict", rows_file(tmp_path, HELD_OUT[0] + loss, header=header), "--json", "-").output
            for loss in (",", ",99")]  # fmt: skip
    assert both[0] == both[1]


def test_the_tables_of_the_catalog_can_be_predicted(tmp_path):
    records = table("diloco_quality")
    lines = [",".join("" if row[name] is None else str(row[name]) for name in COLUMNS) for row in records]
    _, rows = read_rows(rows_file(tmp_path, *lines))
    found = quantiles(predictive(rows, load_posterior()), (0.05, 0.95))
    loss = np.asarray([row["loss"] for row in records])
    assert np.mean((found[:, 0] <= loss) & (loss <= found[:, 1])) >= 0.85


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("x,DiLoCo,1e9,2,,2e10,none", "line 3: inner_steps: .*''"),
        ("x,DiLoCo,1e9,2,0,2e10,none", "line 3: inner_steps: expected a number of at least 1.*'0'"),
        ("x,DiLoCo,1e9,2.5,30,2e10,none", "line 3: replicas: expected a whole number.*'2.5'"),
        ("x,DiLoCo,nan,2,30,2e10,none", "line 3: params: expected a number above 0, got 'nan'"),
        ("x,DiLoCo,1e9,2,30,-1,none", "line 3: tokens: .*'-1'"),
        ("x,DiLoCo,1e9,2,30,2e10,zip", "line 3: compression: expected none, fp4.*'zip'"),
        ("x,DiLoCo,1e9,2,30", "line 3: expected 7 cells"),
        ('x,"DiLoCo,1e9,2,30,2e10,none', "line 3: expected cells parted by commas"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_column(tmp_path, row, says):
    found = run("--predict", rows_file(tmp_path, row))
    assert found.exit_code == 2 and "Traceback" not in found.output
    with pytest.raises(InputError, match=says):
        read_rows(rows_file(tmp_path, row))


def test_bad_files_and_options_are_refused(tmp_path):
    good = rows_file(tmp_path, HELD_OUT[0])
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("source,method\nx,y\n", "utf-8")
    empty = tmp_path / "empty.csv"
    empty.write_text(",".join(COLUMNS) + "\n", "utf-8")
    for arguments, says in [
        (("--predict", wrong), "missing: params"),
        (("--predict", empty), "at least one row"),
        (("--predict", tmp_path / "nowhere.csv"), "can be read"),
        (("--predict", good, "--family", "cubic"), "--family: expected one of power"),
        (("--predict", good, "--posterior", wrong), "wrong.csv line 1"),
        (("--predict", good, "--output", "x.csv"), "--output"),
        (("--draws", 0), "--draws"),
        (("--seed", -1), "--seed"),
        (("--seed", 2**40), "--seed"),
        (("--chains", 1), "--chains"),
        (("--family", "power"), "--predict"),
    ]:
        found = run(*arguments)
        assert found.exit_code == 2 and says in found.output and "Traceback" not in found.output, arguments


def test_a_missing_extra_is_named(monkeypatch):
    for name in [one for one in sys.modules if one.startswith("thresher.calibration.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpyro", None)
    found = run("--draws", 10)
    assert found.exit_code == 2 and "pip install 'thresher[calibrate]'" in found.output


@pytest.fixture(scope="module")
def short():
    """A short fit of one family without the largest rows, twice from one seed."""
    from thresher.calibration import compare
    from thresher.calibration.fit import Settings, fit

    rows = measured_rows()
    part = compare.select(rows, ~compare.is_largest(rows))
    settings = Settings(seed=1, draws=40, warmup=120, chains=2)
    return rows, [fit("additive", part, settings) for _ in range(2)]


def test_the_same_seed_gives_the_same_posterior(short):
    from thresher.calibration.files import posterior_text

    _, (one, other) = short
    text = posterior_text([one])
    assert text == posterior_text([other])
    assert text.splitlines()[0] == ",".join(("family", *parameter_names())) and len(text.splitlines()) == 41


def test_the_largest_sizes_are_met_by_a_fit_without_them(short):
    from thresher.calibration import compare

    rows, (one, _) = short
    _, error, inside = compare.leave_largest_out(one, rows)
    at_size = compare.at_largest_sizes(rows)
    recorded = next(float(row["rmse_largest"]) for row in family_table() if row["family"] == "additive")
    assert np.sqrt(np.mean(error[at_size] ** 2)) == pytest.approx(recorded, abs=0.006)
    assert recorded < 0.02 and inside[at_size].mean() >= 0.8


def test_stacking_finds_the_better_mixture():
    from thresher.calibration.compare import stack, with_floor

    right, wrong = np.log(np.asarray([0.9, 0.9, 0.1])), np.log(np.asarray([0.1, 0.1, 0.9]))
    weights = stack({"right": right, "wrong": wrong, "never": wrong - 5})
    assert weights["right"] > weights["wrong"] > weights["never"] and weights["never"] < 1e-6
    assert sum(with_floor(weights).values()) == pytest.approx(1) and min(with_floor(weights).values()) >= 0.05


def test_a_run_far_beyond_the_evidence_has_a_prediction_too(tmp_path):
    path = rows_file(tmp_path, "arXiv 2503.09799v1 Table 5,DiLoCo,1e9,100000,500,2e10,none")
    found = json.loads(run("--predict", path, "--json", "-").output)[0]
    assert 2.5 < found["q05"] < found["median"] < found["q95"] < 1e30
