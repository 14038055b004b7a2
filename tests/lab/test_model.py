"""The pages about the model, without a browser: what they say, their twins, wrong values, and where every number leads."""

import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from markupsafe import escape
from starlette.testclient import TestClient

from thresher.catalog import table
from thresher.cli import main
from thresher.lab import charts, numbers
from thresher.lab.about import evidence, weak
from thresher.lab.about.compared import LEFT_OUT, OURS, THEIRS, in_sight, line_of, medians_chart, rows_of, shown
from thresher.lab.about.credits import libraries
from thresher.lab.app import create_app
from thresher.learning.horizon import evidence_horizon
from thresher.simulation import default
from thresher.sources import load_quantities, parameter_files
from thresher.validation import left_out, validate
from thresher.validation.standing import STANDINGS, key_of, keys, left_out_predictions, row_sources, standings
from thresher.validation.weaknesses import areas

everything = cache(validate)
TOOLS = Path(__file__).parents[2] / "tools"
PART = {"HX-Request": "true"}


def comparison(key):
    return next(one for one in everything() if key_of(one) == key)


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(), base_url="http://127.0.0.1:8765") as found:
        yield found


# ---- comparisons ----


def test_every_comparison_has_a_name_and_says_of_each_row_whether_it_is_a_test():
    assert sorted(key_of(one) for one in everything()) == sorted(keys())
    for one in everything():
        assert len(standings(one)) == len(row_sources(one)) == len(one.rows)
        assert set(standings(one)) <= set(STANDINGS) - {LEFT_OUT}
        assert all(row_sources(one))


def test_only_the_sizes_that_its_level_was_set_to_are_in_sample_of_overlap():
    one = comparison("overlap_quality.loss_difference")
    by_label = dict(zip((row.label for row in one.rows), standings(one), strict=True))
    assert {how for label, how in by_label.items() if "1e+09" in label or "5e+08" in label} == {"in sample"}
    assert {how for label, how in by_label.items() if "e+07" in label} == {"partly in sample"}


def test_predictions_left_out_are_of_rows_that_there_are_and_as_the_refits_say(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("left_out_predictions", TOOLS / "left_out_predictions.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in ("fit_site", "fit_utilisation"):
        sys.modules.pop(name, None)
    written = tool.FILE.read_text("utf-8").splitlines()
    fresh = tool.text().splitlines()
    assert len(written) == len(fresh)
    for old, new in zip(written[1:], fresh[1:], strict=True):
        assert old.rpartition(",")[0] == new.rpartition(",")[0]
        assert float(old.rpartition(",")[2]) == pytest.approx(float(new.rpartition(",")[2]), rel=1e-3)
    for one in everything():
        assert {row.label for row in left_out_predictions(one)} <= {row.label for row in one.rows}
    q = load_quantities("thresher.training", "site.yaml")
    one = comparison("measured_iteration_times.iteration_seconds")
    errors = [abs(row["error"]) for row in rows_of(one) if row.get("left_out") == "this model size"]
    assert sorted(errors)[27] == pytest.approx(q["error_size_left_out_median"].value, rel=0.05)


def test_a_median_is_that_of_the_command_and_opens_to_the_rows_furthest_off():
    for one in everything():
        line = line_of(one)
        assert line.ours.explanation.value == pytest.approx(one.median_absolute_relative_error)
        assert (line.theirs is None) == (one.baseline_median_absolute_relative_error is None)
        if line.theirs:
            assert line.theirs.explanation.value == pytest.approx(one.baseline_median_absolute_relative_error)
        worst = max(abs(row.relative_error) for row in one.rows if row.relative_error is not None)
        assert line.ours.explanation.parts[0].value == pytest.approx(worst)
        assert line.ours.sources[0]


def test_charts_hold_every_row_ours_beside_the_published_calculator_s():
    one = comparison("real_runs.sync_seconds")
    scatter, ratios = shown(one).charts
    assert {row["by"] for row in scatter.rows} == {OURS, THEIRS} and len(scatter.rows) == 2 * len(one.rows)
    assert all(row["ratio"] == pytest.approx(row["predicted"] / row["measured"]) for row in ratios.rows)
    line = scatter.more["equal"][0]
    assert line["measured"] == line["predicted"] < line["measured_to"] == line["predicted_to"]
    assert {row["href"].partition("?")[0] for row in medians_chart(everything()).rows} == {"/model"}


def test_rows_of_zero_or_less_get_linear_axes_and_no_ratio():
    one = shown(comparison("diloco_quality.loss_difference"))
    assert one.charts[0].spec == "model-scatter-linear" and "linear" in one.charts[0].caption
    assert len(one.charts[1].rows) < len(one.charts[0].rows) and one.missing.startswith("6 rows")
    assert len({row["name"] for row in one.charts[1].rows}) == len(one.charts[1].rows)
    assert (
        shown(comparison("published_mfu.mfu")).charts[0].spec == "model-scatter" and not shown(everything()[0]).missing
    )


def test_the_two_scatter_charts_differ_in_their_scales_alone():
    log, linear = (json.dumps(charts.specification(name)) for name in ("model-scatter", "model-scatter-linear"))
    assert '"log"' in log and '"log"' not in linear
    for name in (
        "model-scatter",
        "model-scatter-linear",
        "model-ratios",
        "model-medians",
        "model-known",
        "model-evidence",
    ):
        assert charts.specification(name)["data"] == {"name": "rows"}


def test_how_many_rows_are_a_test_adds_up():
    counts = [int(text) for text in re.findall(r"\d+", in_sight(everything()))]
    assert counts[0] == sum(counts[1:]) == sum(len(one.rows) for one in everything())


# ---- where it is weak ----


def test_the_worst_comes_first_and_what_nothing_predicts_is_told():
    found = weak.worst_first(everything())
    errors = [one.line.ours.explanation.value for one in found]
    assert errors == sorted(errors, reverse=True) and len(found) == len(everything())
    assert found[0].factor.endswith(("too high", "too low"))
    assert len(weak.not_predicted()) == len(left_out())


def test_every_weakness_leads_to_numbers_and_comparisons_that_there_are():
    parts = weak.stated(everything())
    anchors = {one.anchor for one in numbers.entries()}
    assert parts[0].title == "The model of a plan" and len(parts) == len(areas()) == 7
    for part in parts:
        assert len(part.items) >= 5
        for one in part.items:
            assert all(address.removeprefix("/model/parameters#") in anchors for _, address in one.parameters)
            assert all(name and address.startswith("/model?table=") for name, address in one.comparisons)
            assert "{" not in one.text and "**" not in one.text and "`" not in one.text


def test_texts_of_weaknesses_are_escaped_and_marked():
    text = weak.marked("**a `b`** <script> *c* [model] [catalog] & `<d>`", ["model"])
    assert text == (
        "<strong>a <code>b</code></strong> &lt;script&gt; <em>c</em> "
        '<a href="#weak-model">model</a> <code>docs/catalog.md</code> &amp; <code>&lt;d&gt;</code>'
    )
    assert weak.noted("see arXiv 2501.18512 and `<b>`") == (
        'see <a href="https://arxiv.org/abs/2501.18512">arXiv 2501.18512</a> and <code>&lt;b&gt;</code>'
    )


def test_the_bars_of_how_numbers_are_known_add_up_to_all_of_them():
    rows = weak.known_chart().rows
    assert sum(row["numbers"] for row in rows) == sum(len(one) for one in parameter_files().values())
    for row in rows:
        assert len(numbers.chosen("", row["file"], row["how"])) == row["numbers"]
    assert {row["file"].partition("/")[0] for row in rows} <= set(numbers.ROOMS)


# ---- the evidence ----


def test_the_measured_runs_lie_within_the_horizon_that_the_model_tells():
    for run in evidence.measured_runs():
        found = evidence_horizon({"params": run["params"], "replicas": run["replicas"], "tokens": 0.0})
        assert all(one.ratio <= 1 + 1e-9 for one in found if one.axis in evidence.AXES), run
        assert run["replicas"] > 1 and run["source"]
    extremes = {(run["params"], run["replicas"]) for run in evidence.measured_runs()}
    assert (1.07e11, 20.0) in extremes and (1.5e8, 64.0) in extremes
    assert {run["measured"] for run in evidence.measured_runs()} == {
        evidence.LOSS,
        evidence.SWEEP,
        evidence.RUN,
        evidence.TIME,
    }
    rows = sum(1 for row in table("diloco_quality") if (row["replicas"] or 0) > 1)
    assert 10 < sum("Table" in run["source"] for run in evidence.measured_runs()) < rows


@pytest.mark.parametrize(
    ("params", "replicas", "beyond"),
    [(1e9, 8, False), (1e9, 65, True), (1e10, 64, False), (1.1e10, 21, True), (1.1e10, 20, False), (1.08e11, 2, True)],
)
def test_a_plan_is_beyond_the_evidence_where_its_mark_is_in_the_shaded_region(params, replicas, beyond):
    assert evidence.place(params, replicas).beyond is beyond
    drawn = evidence.chart(params, replicas)
    inside = [
        area["replicas"] < replicas <= area["replicas_to"] and area["params"] < params <= area["params_to"]
        for area in drawn.more["beyond"][:2]
    ] + [drawn.more["beyond"][2]["params"] < params]
    assert any(inside) is beyond
    assert drawn.more["plan"][0]["params"] == params


def test_a_plan_s_place_names_the_nearest_run_and_needs_both_numbers():
    place = evidence.place(7e11, 300)
    assert "DiLoCoX 107B" in place.nearest and "15 times its replicas" in place.nearest and len(place.lines) == 3
    assert evidence.place(7e11, None) is None and not evidence.chart(7e11, None).more["plan"]
    far = evidence.chart(1e15, 1e6)
    assert far.more["beyond"][2]["params_to"] > 1e15 and far.more["beyond"][0]["replicas_to"] > 1e6


# ---- numbers ----


def test_every_number_has_an_anchor_of_its_own_and_its_source():
    found = numbers.entries()
    assert len({one.anchor for one in found}) == len(found) > 600
    for one in found:
        assert one.value and one.source, one
        assert re.fullmatch(r"[\w.+-]+", one.anchor), one.anchor
    for name, row in default.quantities().items():
        one = next(one for one in found if one.anchor == f"parameter-{name}")
        assert one.source == row.source.title and one.observed == row.observed and one.how == row.source.how


def test_a_name_that_several_files_have_means_the_preset_s():
    assert numbers.address_of("replica_growth") == "/model/parameters#parameter-replica_growth"
    one = next(one for one in numbers.entries() if one.anchor == "parameter-replica_growth")
    assert one.file == "learning/data/data_efficiency.yaml" and numbers.is_of_preset(one.file)
    other = numbers.address_of("replica_growth", "calibration/data/priors.yaml")
    assert other.endswith("#parameter-calibration-priors-replica_growth")


def test_a_search_asks_for_all_words_in_one_file_known_in_one_way():
    found = numbers.chosen("MFU hopper", "training/data/utilisation.yaml", "computed")
    assert found and all("mfu" in one.text and "hopper" in one.text for one in found)
    assert {(one.file, one.how) for one in found} == {("training/data/utilisation.yaml", "computed")}
    assert numbers.chosen("no such word anywhere", "", "") == []
    assert any(one.anchor == "chip-H100-SXM" for one in numbers.chosen("H100-SXM", numbers.CHIPS, ""))


@pytest.mark.parametrize(
    ("value", "words"),
    [(747400.0, "747,400"), (1.07e11, "1.07e11"), (0.0085, "0.0085"), (2.5e-7, "2.5e-7"), (0.0, "0")],
)
def test_figures_are_written_short(value, words):
    assert numbers.figure(value) == words


# ---- credits ----


def test_libraries_are_those_served_with_the_text_of_their_licences(client):
    assert [one.name for one in libraries()] == ["htmx.org", "vega", "vega-lite", "vega-embed", "world-atlas"]
    for one in libraries():
        assert one.licence and one.version
        assert client.get(one.text).status_code == 200


# ---- the pages ----


def test_the_page_is_whole_without_script(client):
    text = client.get("/model").text
    for one in everything():
        assert str(escape(line_of(one).name)) in text
    for words in (
        "Where it is weak",
        "Evidence horizon",
        "Replica cost at scale",
        "BSD-3-Clause",
        "thresher validate --json -",
    ):
        assert words in text
    assert text.count("<figure") == 5 and " style=" not in text and "<style" not in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_state_is_in_the_address_and_kept_by_the_links(client):
    text = client.get("/model?table=real_runs.speed_up&params=7e11&replicas=300").text
    assert 'data-for="real_runs.speed_up"' in text and "15 times beyond the evidence" in text
    assert "/model?table=published_mfu.mfu&amp;params=7e11&amp;replicas=300#compared" in text
    assert '<option value="real_runs.speed_up" selected>' in text


def test_a_part_is_answered_with_the_part_and_its_address(client):
    query = "/model?table=real_runs.mfu&params=1e9&replicas=4"
    answer = client.get(query, headers=PART | {"HX-Target": "answer"})
    assert answer.headers["hx-push-url"] == "/model?table=real_runs.mfu&params=1e9&replicas=4"
    assert (
        'data-for="real_runs.mfu"' in answer.text
        and "<html" not in answer.text
        and 'data-answer="evidence"' not in answer.text
    )
    moved = client.get(query, headers=PART | {"HX-Target": "evidence", "Lab-Event": "input"})
    assert moved.headers["hx-replace-url"] == answer.headers["hx-push-url"]
    assert "within the evidence" in moved.text and "<html" not in moved.text and "data-for" not in moved.text


def test_a_wrong_value_is_told_beside_its_field_and_blanks_nothing(client):
    query = "/model?table=nothing&params=many&replicas=0"
    part = client.get(query, headers=PART)
    assert part.status_code == 200 and part.headers["hx-reswap"] == "none"
    assert "Comparison: expected one of" in part.text and "Model parameters: expected a number" in part.text
    whole = client.get(query)
    assert (
        whole.status_code == 200 and "Shown is the first comparison" in whole.text and "No plan is marked" in whole.text
    )
    assert 'value="many"' in whole.text and whole.text.count("<figure") == 5


def test_what_a_person_types_is_escaped(client):
    evil = "<script>alert(1)</script>"
    for path, field in (
        ("/model", "table"),
        ("/model", "params"),
        ("/model/parameters", "find"),
        ("/model/parameters", "how"),
    ):
        for headers in ({}, PART):
            assert evil not in client.get(path, params={field: evil}, headers=headers).text
    assert client.get("/model/parameters", params={"find": "x" * 401}, headers=PART).headers["hx-reswap"] == "none"


def test_the_twin_is_what_the_command_writes(client):
    said = CliRunner().invoke(main, ["validate", "--json", "-"]).output
    assert client.get("/model.json").text == said
    one = CliRunner().invoke(main, ["validate", "--table", "real_runs", "--json", "-"]).output
    assert client.get("/model.json?table=real_runs").text == one
    refused = client.get("/model.json?table=real_run")
    assert refused.status_code == 422 and "real_runs" in refused.json()["error"]


def test_the_command_shown_is_that_of_the_twin_beside_it(client):
    text = client.get("/model?table=overlap_quality.loss_difference").text
    assert (
        'href="/model.json?table=overlap_quality"' in text
        and "thresher validate --table overlap_quality --json -" in text
    )


def test_numbers_are_all_there_found_by_words_and_as_json(client):
    text = client.get("/model/parameters").text
    assert text.count('<article class="parameter"') == len(numbers.entries())
    found = client.get("/model/parameters?find=coordination&how=computed", headers=PART)
    assert found.headers["hx-push-url"] == "/model/parameters?find=coordination&how=computed"
    assert "coordination_round_trips" in found.text and "<html" not in found.text
    data = client.get("/model/parameters.json?find=coordination&how=computed").json()
    assert [one["name"] for one in data] == [one.name for one in numbers.chosen("coordination", "", "computed")]
    assert {"value", "unit", "spread", "source", "address", "how", "observed", "note"} <= data[0].keys()
    assert client.get("/model/parameters.json?how=guess").status_code == 422
    assert "No number has all of these words" in client.get("/model/parameters?find=xyzzy").text
