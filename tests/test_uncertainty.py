"""Answers with draws: deterministic, monotone where they must be, honest where nothing is in reach, the same everywhere."""

import csv
import dataclasses
import io
import json
import math
from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from scipy.special import ndtri

from tests.test_report import Page
from thresher.assessment import confidence, wording
from thresher.assessment.assess import DRAWS, assess
from thresher.assessment.charts import charts
from thresher.assessment.formats import OUT_OF_REACH, dollars, number, span, times
from thresher.assessment.report import html_report
from thresher.assessment.sensitivity import flips, response, sobol_indices, tornado
from thresher.assessment.table import print_assessment
from thresher.assessment.uncertainty import Interval, propagate
from thresher.catalog import network
from thresher.cli import main
from thresher.evasion.best_response import prepare
from thresher.evasion.commitment import commit
from thresher.evasion.evaluation import Goal
from thresher.evasion.quick_search import best_known, search_quickly
from thresher.evasion.space import settings
from thresher.learning.posterior import load_posterior
from thresher.regime import load_regime
from thresher.simulation.draws import FAMILY, dimensions, draw_worlds, groups, smoothed

FEW = ["A100-SXM-80GB", "MI355X"]
COUNT = 48
GOAL = Goal(target_flop_quality=1e25)
SEARCH_ERROR = 0.10
"""How much dearer than the cheapest the plan of a draw may be for want of search."""


def silent(_message):
    pass


def arena_of(rule, node_limit=None):
    return prepare(rule, network("study"), longest_days=548.0, node_limit=node_limit, chips=FEW)


def looser(rule, factor):
    """The same rule with higher lines for clusters."""
    clauses = tuple(
        clause.model_copy(update={"threshold": clause.threshold * factor}) if clause in rule.cluster_clauses else clause
        for clause in rule.clauses
    )
    return dataclasses.replace(rule, clauses=clauses)


@pytest.fixture(scope="module")
def rule():
    return load_regime("miri-2025")


@pytest.fixture(scope="module")
def arena(rule):
    return arena_of(rule)


@pytest.fixture(scope="module")
def worlds():
    return draw_worlds(COUNT, 0)


@pytest.fixture(scope="module")
def assessed():
    """One target with draws, every shift of a flip kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings()["sensitivity"], "shifts", len(dimensions()))
        return assess("miri-2025", chips=FEW, targets=(1e25,), draws=COUNT)


@pytest.fixture(scope="module")
def found(assessed):
    return assessed.answers[0].uncertainty


@pytest.fixture(scope="module")
def hopeless(assessed):
    """The same answer, out of reach in every draw."""
    answer = assessed.answers[0]
    never = Interval(*[math.inf] * 5)
    nothing = Interval(*[math.nan] * 5)
    lost = dataclasses.replace(
        answer.uncertainty, reached=0.0, within_budget=tuple((usd, 0.0) for usd, _ in answer.uncertainty.within_budget),
        outcomes=dict.fromkeys(answer.uncertainty.outcomes, nothing) | {"cost_usd": never, "cost_ratio": never},
        chosen={"mode": {}, "precision": {}, "chip": {}}, committed=(), found=(),
        by_family=tuple(
            dataclasses.replace(one, reached=0.0, cost_usd=never, cost_ratio=never, within_verdict_budget=0.0, split=math.nan)
            for one in answer.uncertainty.by_family
        ),
        by_draw=dict(answer.uncertainty.by_draw) | {"cost_usd": np.full(COUNT, np.inf)},
    )  # fmt: skip
    return dataclasses.replace(assessed, answers=(dataclasses.replace(answer, uncertainty=lost, sensitivity=None),))


def printed(assessment, width=100):
    out = io.StringIO()
    print_assessment(assessment, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


# Numbers


def test_a_seed_gives_the_same_numbers_and_another_seed_others(arena, worlds, found):
    known = best_known(search_quickly(arena.unseen, [1e25], arena.parameters), settings()["worlds"]["known"])
    again = propagate(arena, GOAL, worlds, known=known, progress=silent)
    np.testing.assert_array_equal(again.by_draw["cost_usd"], found.by_draw["cost_usd"])
    assert again.outcomes == found.outcomes
    assert again.committed == found.committed
    other = propagate(arena, GOAL, draw_worlds(COUNT, 1), known=known, progress=silent)
    assert not np.array_equal(other.by_draw["cost_usd"], found.by_draw["cost_usd"])
    assert abs(other.reached - found.reached) < 0.25
    assert other.outcomes["cost_usd"].q50 == pytest.approx(found.outcomes["cost_usd"].q50, rel=0.6)


def test_committing_is_never_cheaper_than_knowing(worlds, found):
    for plan in found.committed:
        fixed = commit(found.found, GOAL, worlds.parameters, COUNT, plan.confidence)
        meets = fixed.flop_quality >= GOAL.target_flop_quality
        assert np.mean(meets) == pytest.approx(plan.reached) and plan.reached >= plan.confidence
        assert np.all(fixed.cost_usd[meets] >= (1.0 - SEARCH_ERROR) * found.by_draw["cost_usd"][meets])
    assert found.committed
    costs = [plan.cost_usd.q50 for plan in found.committed]
    assert costs == sorted(costs)


def test_more_budget_is_never_less_likely_to_do(found):
    shares = [share for _, share in found.within_budget]
    assert shares == sorted(shares)
    assert shares[-1] <= found.reached
    finite = found.by_draw["cost_usd"][np.isfinite(found.by_draw["cost_usd"])]
    assert len(finite) / COUNT == found.reached


def test_forms_of_the_penalty_add_up_to_the_whole(found):
    assert sum(one.draws for one in found.by_family) == COUNT
    assert sum(one.draws * one.reached for one in found.by_family) / COUNT == pytest.approx(found.reached)


def test_a_looser_rule_is_never_harder_to_evade(rule, worlds, found):
    free = propagate(arena_of(looser(rule, 4.0)), GOAL, worlds, progress=silent)
    assert free.reached >= found.reached
    pairs = zip(free.within_budget, found.within_budget, strict=True)
    assert all(more >= less - 2 / COUNT for (_, more), (_, less) in pairs)  # a draw or two may be searched less well
    assert free.outcomes["cost_usd"].q50 < found.outcomes["cost_usd"].q50
    near = free.by_draw["cost_usd"] <= (1.0 + SEARCH_ERROR) * found.by_draw["cost_usd"]
    assert np.mean(near) > 0.75  # the search of single draws has a tail (docs/uncertainty.md)


def test_no_plan_has_more_nodes_than_allowed(rule, worlds, found):
    limit = 150
    small = propagate(arena_of(rule, limit), GOAL, worlds, progress=silent)
    assert small.outcomes["nodes"].q95 <= limit
    assert all(plan.choices["nodes"] <= limit for plan in small.committed)
    assert small.reached <= found.reached


def test_sobol_indices_of_a_sum_are_its_shares():
    weight = {"replica_cost": 3.0, "chip_price_factor": 2.0, "link_rate_factor": 1.0}
    place = {name: dimensions().index(name) for name in weight}

    def least(unit):
        return sum(w * ndtri(unit[:, place[name]]) for name, w in weight.items())

    owner = {name: group.name for group in groups() for name in group.members}
    indices = sobol_indices(least, seed=0)
    assert sobol_indices(least, seed=0) == indices
    by_group = {one.group: one for one in indices}
    for name, w in weight.items():
        one, share = by_group[owner[name]], w**2 / 14.0
        assert one.total == pytest.approx(share, abs=2.0 * one.total_error + 0.02)
        assert one.first == pytest.approx(share, abs=2.0 * one.first_error + 0.02)
    assert by_group["memory"].total == pytest.approx(0.0, abs=1e-9)


def test_sensitivity_indices_are_shares_within_their_error(assessed):
    indices = assessed.answers[0].sensitivity.indices
    assert {one.group for one in indices} == {group.name for group in groups()}
    for one in indices:
        assert -one.total_error - 1e-9 <= one.total <= 1.0 + one.total_error
        assert one.first <= one.total + one.first_error + one.total_error
    assert sum(one.total for one in indices) > 0.7
    assert [one.total for one in indices] == sorted((one.total for one in indices), reverse=True)


def test_the_flip_of_a_plane_is_its_distance():
    line = math.log10(settings()["verdict_budget"])
    at = np.full(len(dimensions()), np.nan)
    at[dimensions().index(FAMILY)] = 0.5
    chip, link = dimensions().index("chip_price_factor"), dimensions().index("link_rate_factor")

    def least(unit):
        return line - 1.0 + 0.4 * ndtri(unit[:, chip]) - 0.3 * ndtri(unit[:, link])

    [flip] = flips(least, {"power": at})
    assert flip.holds
    assert flip.distance == pytest.approx(2.0, abs=0.1)  # the way is walked in steps
    assert [shift.name for shift in flip.shifts[:2]] == ["chip_price_factor", "link_rate_factor"]
    [steady] = flips(lambda unit: np.full(len(unit), line - 1.0), {"power": at})
    assert steady.distance is None
    assert "no world near enough" in confidence.flip(steady)


def test_a_flip_point_flips_the_verdict(assessed, found):
    posterior = load_posterior()
    steady = response(found, GOAL, smoothed(posterior))
    line = math.log10(settings()["verdict_budget"])
    edges = np.cumsum([0.0, *posterior.weights.values()])
    flipped = [one for one in assessed.answers[0].sensitivity.flips if one.distance is not None]
    assert flipped
    for one in flipped:
        place = list(posterior.weights).index(one.family)
        point = np.full((1, len(dimensions())), np.nan)
        point[0, dimensions().index(FAMILY)] = 0.5 * (edges[place] + edges[place + 1]) / edges[-1]
        for shift in one.shifts:
            point[0, dimensions().index(shift.name)] = shift.quantile
        assert len(one.shifts) == len(dimensions()) - 1
        assert bool(steady(point)[0] <= line) is not one.holds, one.family


def test_a_tornado_has_every_parameter_once(assessed):
    bars = assessed.answers[0].sensitivity.tornado
    assert sorted(bar.name for bar in bars) == sorted(dimensions())
    bar = tornado(lambda unit: np.zeros(len(unit)), {"power": np.zeros(len(dimensions()))})[0]
    assert bar.cost_at_low_usd == bar.cost_at_high_usd == 1.0


# Words


def test_the_headline_says_yes_only_where_most_draws_do(assessed, found, hopeless):
    first = wording.headline(assessed)[0]
    assert first.startswith("Yes, in ")
    assert f"of {COUNT} draws" in first
    assert confidence.median_and_most(found.outcomes["cost_usd"], dollars) in first
    assert any("only one of these worlds" in sentence for sentence in wording.headline(assessed))
    for reached in (0.0, 0.2, 0.49):
        assert "yes" not in confidence.verdict(dataclasses.replace(found, reached=reached)).lower()
    assert confidence.verdict(dataclasses.replace(found, reached=0.6)).startswith("More likely than not")
    for text in (printed(hopeless), " ".join(wording.headline(hopeless))):
        assert "yes" not in text.lower().replace("bayes", "")
        assert "out of reach" in text
    page = html_report(hopeless)
    assert "Not as far as this search went" in page
    assert "no single plan found is 50% or 90% sure" in " ".join(printed(hopeless).split())


def test_nothing_unfinished_is_printed(assessed, hopeless):
    for assessment in (assessed, hopeless):
        for text in (printed(assessment), html_report(assessment)):
            words = set(text.lower().replace("(", " ").replace(",", " ").replace("$", " ").split())
            assert {"nan", "inf", "nan%", "inf%"}.isdisjoint(words)


def test_a_goal_that_central_values_miss_but_draws_meet(assessed):
    answer = dataclasses.replace(assessed.answers[0], plan=None, why_not="more nodes would not help", by_mode={}, clauses=(),
                                 run_status=(), capability=None, cost=None)  # fmt: skip
    missed = dataclasses.replace(assessed, answers=(answer,))
    terminal = " ".join(printed(missed).split())
    assert "Yes, in" in terminal
    assert "Out of reach at central values" in terminal
    assert "more nodes would not help" in html_report(missed)


def test_intervals_stand_in_the_terminal_and_on_the_page(assessed, found):
    terminal, page = " ".join(printed(assessed, 160).split()), html_report(assessed)
    for part in confidence.half_and_most(found.outcomes["cost_usd"], dollars):
        assert part in terminal
        assert part in page
    for label in ("Nodes", "Model", "Power", "People", "Declared datacentre", "Unseen over declared"):
        assert wording.spread(assessed.answers[0], label)[-1] in terminal, label
    for label in wording.SPREADS:
        assert wording.below(assessed.answers[0], label) in page, label
    assert wording.flip_words(assessed.answers[0]) in terminal
    for words in (wording.budget_words, wording.form_words, wording.driver_words):
        assert words(assessed.answers[0]).removesuffix(".") in terminal
        assert words(assessed.answers[0]) in page
    assert all(heading in terminal for heading, _ in wording.draws_paragraphs(assessed))
    for one in assessed.answers[0].sensitivity.flips:
        assert confidence.flip(one, 6) in page


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_terminal_fits(assessed, width):
    terminal = printed(assessed, width)
    assert max(map(len, terminal.splitlines())) <= width
    assert "…" not in terminal


def test_five_minutes_are_enough(assessed):
    assert len(printed(assessed, 100).splitlines()) < 90


def test_the_page_is_the_same_each_time_and_has_the_charts_of_draws(assessed):
    page = html_report(assessed)
    assert html_report(assessed) == page
    assert len(page.encode()) < 600_000
    drawn = {chart.name: chart for chart in charts(assessed)}
    assert {"chart-budget", "chart-distribution", "chart-sobol", "chart-tornado"} <= drawn.keys()
    assert all(f'id="{name}"' in page for name in drawn)
    assert all(chart.caption.endswith(".") and "nan" not in chart.svg for chart in drawn.values())


def test_the_page_with_draws_is_accessible_and_fetches_nothing(assessed):
    parsed = Page(html_report(assessed))
    assert not parsed.open
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe"})
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in parsed.tags if tag == "a" and a["href"].startswith("#")} <= set(ids)
    assert {"sure", "forms", "drives", "change"} <= set(ids)
    assert all("scope" in attributes for tag, attributes in parsed.tags if tag == "th")


def test_which_conclusions_survive_every_form(found):
    kind = found.by_family[0]
    cheap = Interval(1.0, 1.5, 1.8, 2.0, 3.0)
    dear = Interval(2.0, 3.0, 4.0, math.inf, math.inf)

    def with_forms(*forms):
        return dataclasses.replace(found, by_family=forms)

    easy = dataclasses.replace(
        kind, family="power", reached=1.0, within_verdict_budget=1.0, cost_ratio=cheap, split=1.0
    )
    hard = dataclasses.replace(
        kind, family="data_efficiency", reached=0.8, within_verdict_budget=0.12, cost_ratio=dear, split=1.0
    )
    said = confidence.survival(with_forms(easy, hard))
    lasting, parted = said.split("Does not: ")
    assert "within reach" in lasting and "the model split over several nodes" in lasting
    assert "within $1 billion holds for power (100%), not for data efficiency (12%)" in parted
    assert "holds for data efficiency (4.0 times), not for power (1.8 times)" in parted
    never = dataclasses.replace(hard, reached=0.0, within_verdict_budget=0.0, split=math.nan)
    said = confidence.survival(with_forms(never, dataclasses.replace(never, family="power")))
    assert "out of reach; not within $1 billion" in said
    assert "Does not" not in said
    assert "Only one form of the penalty was drawn (power)" in confidence.survival(with_forms(easy))
    assert "Only one form" in confidence.survival(with_forms())


def test_a_budget_gets_an_interval_of_capability(monkeypatch):
    monkeypatch.setitem(settings()["sensitivity"], "base_samples", 16)
    both = assess("miri-2025", chips=["MI355X"], targets=(1e23,), budgets=(5e7,), draws=8)
    assert "Capability reached" in printed(both)
    assert "chart-budget" in html_report(both)
    answer = both.answers[1]
    budgeted = dataclasses.replace(both, answers=(answer,))
    assert answer.sensitivity is None
    terminal = " ".join(printed(budgeted, 160).split())
    assert wording.spread(answer, "Capability reached")[-1] in terminal
    assert "a median of" in wording.headline(budgeted)[0]
    page = html_report(budgeted)
    assert wording.card_interval(answer) in page
    assert "chart-budget" not in page


@pytest.mark.parametrize(
    ("low", "high", "words", "text"),
    [
        (59.1e6, 161e6, dollars, "$59.1 to 161 million"),
        (976e6, 1.2e9, dollars, "$976 million to $1.20 billion"),
        (1.48e9, math.inf, dollars, f"$1.48 billion to {OUT_OF_REACH}"),
        (math.inf, math.inf, dollars, OUT_OF_REACH),
        (370e3, 512e3, dollars, "$370,000 to 512,000"),
        (2.4, 49.0, times, "2.4 to 49 times"),
        (90.0, 3150.0, number, "90 to 3,150"),
        (4.0, 4.0, number, "4"),
    ],
)
def test_intervals_read_well(low, high, words, text):
    assert span(low, high, words) == text


def test_places_read_well():
    assert [confidence.ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 21, 22, 76, 93)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "76th", "93rd",
    ]  # fmt: skip


# The result file and the command


def test_the_result_file_is_compact_and_plain(assessed, hopeless):
    data = json.loads(json.dumps(assessed.as_result().as_json(), allow_nan=False))
    said = data["outcomes"]["answers"][0]["uncertainty"]
    assert data["inputs"]["draws"] == COUNT and data["inputs"]["seed"] == 0
    assert set(said["within_budget"][0]) == {"budget_usd", "probability"}
    assert all(value is None or float(f"{value:.4g}") == value for value in said["by_draw"]["cost_usd"])
    assert sum(value is None for value in said["by_draw"]["cost_usd"]) == round(COUNT * (1.0 - said["reached"]))
    assert max(said["by_draw"]["family"]) < len(said["by_draw"]["families"])
    lost = hopeless.as_result().as_json()["outcomes"]["answers"][0]["uncertainty"]
    assert lost["outcomes"]["cost_usd"] == dict.fromkeys(("q05", "q25", "q50", "q75", "q95"))


def test_the_command_takes_a_posterior_of_one_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(settings()["sensitivity"], "base_samples", 16)
    text = files("thresher.learning").joinpath("data", "replica_posterior.csv").read_text("utf-8")
    rows = [row for row in csv.reader(io.StringIO(text)) if row[0] in ("family", "power")]
    (tmp_path / "power.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    result = CliRunner().invoke(
        main,
        ["assess", "miri-2025", "--chip", "MI355X", "--target", "1e24", "--draws", "8", "--seed", "7", "--posterior",
         "power.csv", "--json", "mine.json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "8 draws of everything uncertain" in " ".join(result.stdout.split())
    assert "Only one form of the penalty was drawn (power)" in " ".join(result.stdout.split())
    data = json.loads((tmp_path / "mine.json").read_text())
    assert (data["inputs"]["draws"], data["inputs"]["seed"], data["inputs"]["posterior"]) == (8, 7, "power.csv")
    [answer] = data["outcomes"]["answers"]
    assert [one["family"] for one in answer["uncertainty"]["by_family"]] == ["power"]


def test_central_values_alone_have_no_interval():
    central = assess("miri-2025", chips=FEW, targets=(1e24,), draws=None)
    assert central.answers[0].uncertainty is None
    assert central.as_result().as_json()["outcomes"]["answers"][0]["uncertainty"] is None
    assert wording.headline(central)[0].startswith("Yes, on central values.")
    assert wording.CENTRAL_VALUES in " ".join(printed(central).split())
    assert "By form of the penalty" not in html_report(central)


def test_the_command_draws_as_many_as_python_does():
    options = {option.name: option for option in main.commands["assess"].params}
    assert options["draws"].default == str(DRAWS)
