"""Prediction beside measurement: how near the models come, what they are compared with, and a user's own rows."""

import csv
import json
import math
from functools import cache
from importlib.resources import files

import pytest

from thresher import catalog
from thresher.errors import InfeasiblePlanError, InputError
from thresher.validation import as_json, compared_tables, left_out, summary_lines, validate

everything = cache(validate)
UTILISATION = (
    "algorithm,inner_steps,bandwidth_mbps,measured_mbps,nodes,params,bytes_per_value,steps,compute_seconds_per_step,"
    "utilisation_measured,utilisation_naive,repeats\n"
)
ROW = "diloco,8,50.0,49.6,4,30800000.0,4,80,0.022834,0.00536,0.01010,3\n"


def by_table(name):
    return [one for one in everything() if one.table == name]


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "bound"),
    [("measured_utilisation", 0.10), ("measured_wan_rounds", 0.05), ("measured_iteration_times", 0.06),
     ("published_mfu", 0.10)],
)  # fmt: skip
def test_median_error_stays_within_what_we_ask(name, bound):
    (one,) = by_table(name)
    assert one.median_absolute_relative_error < bound
    assert len(one.rows) == len(catalog.table(name))


@pytest.mark.parametrize("name", ["measured_utilisation", "measured_wan_rounds"])
def test_the_published_calculator_is_worse_on_the_same_rows(name):
    (one,) = by_table(name)
    assert one.baseline_median_absolute_relative_error > 2 * one.median_absolute_relative_error


def test_the_baseline_is_the_published_formula():
    row = by_table("measured_wan_rounds")[0].rows[0]
    assert row.baseline == pytest.approx(2 * 8 * 204769280 / 1e9 + 0.020)
    hidden = by_table("measured_utilisation")[0].rows[-1]
    assert hidden.baseline == 1.0


def test_every_table_of_the_catalog_is_compared_or_says_why_not():
    assert set(compared_tables()) | left_out().keys() == set(catalog.table_names())
    assert not set(compared_tables()) & left_out().keys()
    assert {one.table for one in everything()} == set(compared_tables())
    assert all(name in compared_tables() for name in catalog.table_names() if name.startswith("measured_"))
    assert all(len(why) > 40 for why in left_out().values())


@pytest.mark.parametrize("index", range(12))
def test_a_comparison_is_whole_and_says_what_it_assumes(index):
    one = everything()[index]
    assert one.rows and one.unit and len(one.note) > 100
    assert "sample" in one.note or one.table in ("bandwidth_for_utilisation", "real_runs", "diloco_ablations")
    assert len({row.label for row in one.rows}) > 0.8 * len(one.rows)
    for row in one.rows:
        assert math.isfinite(row.predicted) and math.isfinite(row.measured)
        assert row.relative_error == (pytest.approx(row.predicted / row.measured - 1) if row.measured else None)


def test_published_runs_are_predicted_from_networks_that_are_not_their_own():
    text = files("thresher.validation").joinpath("data", "real_run_settings.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["bandwidth_profile"]:
            source = catalog.network(row["bandwidth_profile"]).bandwidth_source
            assert row["run"].split()[0] not in source
    sync, utilisation, mfu, speed_up = by_table("real_runs")
    assert len(sync.rows) == len(utilisation.rows) == len(mfu.rows) == 3
    assert all(0.4 < row.predicted / row.measured < 2.5 for row in sync.rows)
    assert utilisation.median_absolute_relative_error < 0.1 < utilisation.baseline_median_absolute_relative_error
    assert mfu.median_absolute_relative_error < 0.1
    assert speed_up.rows[0].measured == 357 and speed_up.rows[0].predicted > 10


def test_utilisation_of_a_run_given_its_synchronisation_is_arithmetic():
    measured = [row.measured for row in by_table("real_runs")[1].rows]
    assert measured == [pytest.approx(stated, abs=2e-3) for stated in (0.957, 0.856, 0.830)]


def test_losses_of_replicas_come_within_rounding():
    (one,) = by_table("diloco_quality")
    several = [row for row in one.rows if "2503.09799" in row.label and " replicas" in row.label]
    assert len(several) == 21
    assert math.sqrt(sum((row.predicted - row.measured) ** 2 for row in several) / 21) < 0.004
    assert len(one.rows) == len({row.label for row in one.rows}), "a repeated row counts once"


def test_simulated_bandwidths_rise_with_utilisation_and_fall_with_steps():
    (one,) = by_table("bandwidth_for_utilisation")
    need = {row.label: row.predicted for row in one.rows}
    for label, mbps in need.items():
        if label.endswith(", 50%"):
            assert mbps < need[label.replace("50%", "80%")] < need[label.replace("50%", "99%")]
    assert need["Chinchilla 10B, DiLoCo, 100 steps, 80%"] == pytest.approx(8.0, rel=1e-3)  # 160 Gbit in 20 s
    assert "not measurements" in one.what


def test_json_and_summary_hold_every_comparison():
    document = json.loads(json.dumps(as_json(everything()), allow_nan=False))
    assert [one["table"] for one in document] == [one.table for one in everything()]
    assert document[0]["rows"][0].keys() == {"label", "predicted", "measured", "relative_error", "baseline"}
    lines = summary_lines(everything())
    assert len(lines) == len(everything()) == 12
    assert lines[0][0] == "measured_utilisation" and lines[0][2] == "10" and lines[0][3].endswith("%")


@pytest.mark.parametrize("name", compared_tables())
def test_the_catalog_s_own_file_works_as_a_user_s(name, tmp_path):
    path = tmp_path / "copy.csv"
    path.write_text(files("thresher.catalog").joinpath("data", f"{name}.csv").read_text("utf-8"), "utf-8")
    assert validate(rows={name: path}) == by_table(name)


def test_a_user_s_rows_take_the_place_of_the_catalog_s(written):
    text = "rate_mbps,rtt_ms,inner_steps,nodes,payload_bytes,compute_seconds_per_step,round_seconds_median\n"
    (one,) = validate(rows={"measured_wan_rounds": written(text + "500,40,10,3,1e8,0.5,20\n")})
    sync = 2 * 2 / 3 * 0.8 / 0.5 + 2 * 0.04 + 183 * 0.04
    assert one.rows[0].predicted == pytest.approx(5 + sync, rel=0.05)
    assert (
        len(
            validate(
                ["measured_wan_rounds", "published_mfu"], {"measured_wan_rounds": written(text + "9,1,1,2,1,1,1\n")}
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "inner_steps"),
        (UTILISATION, "at least one row"),
        (UTILISATION.replace("params", "parms") + ROW, "did you mean params.*got 'parms'"),
        (UTILISATION.replace("nodes,", "") + ROW.replace("4,", "", 1), "columns nodes"),
        (UTILISATION.replace("repeats", "nodes") + ROW, "at most once"),
        (UTILISATION + ROW.replace("0.00536", "1.2"), "row 2, utilisation_measured: .*at most 1, got '1.2'"),
        (UTILISATION + ROW.replace("0.00536", "nan"), "utilisation_measured"),
        (UTILISATION + ROW.replace("49.6", "0"), "measured_mbps: .*got '0'"),
        (UTILISATION + ROW.replace("49.6", "inf"), "measured_mbps"),
        (UTILISATION + ROW + ROW.replace("30800000.0", ""), "row 3, params: .*blank"),
        (UTILISATION + ROW.replace("diloco,8", "diloco,8.5"), "inner_steps: expected a whole number"),
        (UTILISATION + ROW.replace("diloco,8", "diloco,fast"), "inner_steps"),
        (UTILISATION + ROW.rstrip() + ",7\n", "cells"),
        (UTILISATION + "diloco,8\n", "cells"),
        (b"\xff\xfe\x00", "UTF-8"),
        (UTILISATION + '"diloco', "CSV"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_name(written, text, message):
    with pytest.raises(InputError, match=message) as refusal:
        validate(rows={"measured_utilisation": written(text)})
    assert "mine.csv" in str(refusal.value)


def test_other_refusals(written, tmp_path):
    with pytest.raises(InputError, match="measured_wan_rounds"):
        validate(["measured_wan_round"])
    with pytest.raises(InputError, match="left out"):
        validate(["fault_storms"])
    with pytest.raises(InputError, match="asked for"):
        validate(["published_mfu"], {"measured_wan_rounds": written("")})
    with pytest.raises(InputError, match="readable"):
        validate(rows={"measured_wan_rounds": tmp_path})
    header = "model,chips,chip,mfu_published\n"
    with pytest.raises(InputError, match="H100-SXM"):
        validate(rows={"published_mfu": written(header + "mine,8,H100-SMX,0.4\n")})
    header = "source,method,params,replicas,inner_steps,tokens,compression,loss\n"
    with pytest.raises(InputError, match=r"compression: .*got '4x'"):
        validate(rows={"diloco_quality": written(header + "a,b,1e9,2,30,1e10,4x,2.5\n")})
    with pytest.raises(InputError, match="row of 0 or 1"):
        validate(rows={"diloco_quality": written(header + "a,b,1e9,2,30,1e10,none,2.5\n")})
    text = files("thresher.catalog").joinpath("data", "measured_iteration_times.csv").read_text("utf-8")
    with pytest.raises(InputError, match="tensor x data x pipeline"):
        validate(rows={"measured_iteration_times": written(text.replace("3.6,64,", "3.6,32,", 1))})


def test_a_run_of_a_user_s_own_over_its_own_links(written):
    header = "run,model_params,chip,nodes,inner_steps,compression,compute_seconds_per_round,sync_seconds,"
    header += "upload_mbps,download_mbps\n"
    sync, utilisation = validate(
        rows={"real_runs": written(header + "mine,1e10,H100-SXM,8,100,int8 of fp32,3000,300,1000,1000\n")}
    )
    assert sync.rows[0].predicted == pytest.approx(2 * 7 / 8 * 80 + (7 + 183) * 0.027, rel=0.05)
    assert utilisation.rows[0].measured == pytest.approx(3000 / 3300)
    with pytest.raises(InputError, match="states a synchronisation"):
        validate(rows={"real_runs": written("run,model_params,chip\nmine,1e10,H100-SXM\n")})


def test_a_row_that_cannot_run_is_said_so(written):
    with pytest.raises(InfeasiblePlanError, match="cannot run"):
        validate(rows={"measured_utilisation": written(UTILISATION + ROW.replace("30800000.0", "1e15"))})
