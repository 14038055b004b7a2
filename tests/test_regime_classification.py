"""Which clusters a rule covers: published examples, both sides of every line, grouping, missing figures, properties."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.catalog import chip, chips
from thresher.errors import InputError
from thresher.regime import ClusterRow, Regime, decisions_as_json, load_regime, regimes
from thresher.regime.classification import _connected, parse_clusters

EXAMPLES = list(
    csv.DictReader((Path(__file__).parent / "data" / "classification_examples.csv").read_text("utf-8").splitlines())
)
DRAFTED, AMENDED = load_regime("miri-2025"), load_regime("miri-2026-memory")
ORDER = load_regime("us-eo-14110")
DECIDED_BY = {"compute": "cluster-compute", "memory": "cluster-memory"}


def row(name="a", model="H100-SXM", count=8, **known):
    return ClusterRow(name, chip(model), count, **known)


def covered(regime, *rows):
    return {one.cluster: one.covered for one in regime.classify(rows)}


def values(regime, clause, *rows):
    return {one.cluster: next(part.value for part in one.clauses if part.id == clause) for one in regime.classify(rows)}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["cluster"])
def test_published_examples(example):
    rows = [row(example["cluster"], example["chip"], int(example["count"]))]
    (drafted,), (amended,) = DRAFTED.classify(rows), AMENDED.classify(rows)
    assert drafted.covered == (example["covered_as_drafted"] == "yes")
    assert amended.covered == (example["covered_as_amended"] == "yes")
    compute, memory = amended.clauses
    assert compute.value == pytest.approx(float(example["h100_equivalents"]), abs=0.1)
    if chip(example["chip"]).memory_kind == "HBM":
        assert memory.value == float(example["memory_gb"])
    else:
        assert memory.value == 0 and example["decided_by"] == "GDDR is not counted"
    named = {DECIDED_BY[word] for word in example["decided_by"].split(" and ") if word in DECIDED_BY}
    assert {clause.id for clause in amended.clauses if clause.covered} == named


@pytest.mark.parametrize(("model", "count"), [("GB200", 72), ("Ascend-910C", 384), ("TPU-v6e", 32)])
def test_clusters_that_the_text_names_are_covered(model, count):
    assert covered(DRAFTED, row("x", model, count)) == {"x": True}


def test_three_servers_in_one_building_are_covered_and_name_each_other():
    rows = [row(f"server {n}", "H100-SXM", 8, site="one building") for n in (1, 2, 3)]
    decisions = DRAFTED.classify(rows)
    assert all(one.covered for one in decisions)
    assert decisions[0].clauses[0].counted_with == ("server 2", "server 3")
    assert decisions[0].clauses[0].value == pytest.approx(24, abs=0.02)
    apart = [replace(one, site=f"building {n}") for n, one in enumerate(rows)]
    assert not any(one.covered for one in DRAFTED.classify(apart))


@pytest.mark.parametrize("regime", [load_regime(name) for name in regimes()], ids=lambda regime: regime.name)
@pytest.mark.parametrize("model", ["A100-SXM-80GB", "H100-SXM", "B200", "TPU-v4", "V100-SXM-32GB", "Gaudi2"])
def test_both_sides_of_every_cluster_line(regime, model):
    for clause in regime.cluster_clauses:
        alone = replace(regime, clauses=(clause,))
        most = alone.largest_uncovered_count(chip(model))
        assert covered(alone, row("a", model, most)) == {"a": False}
        assert covered(alone, row("a", model, most + 1)) == {"a": True}


def test_the_lines_themselves():
    sixteen = replace(chip("H100-SXM"), fp16_tflops=990.0, tpp=15840.0)
    assert covered(DRAFTED, ClusterRow("a", sixteen, 16)) == {"a": False}  # more than 16, strictly
    assert covered(DRAFTED, ClusterRow("a", sixteen, 17)) == {"a": True}
    assert covered(AMENDED, row("a", "A100-SXM-80GB", 16)) == {"a": False}  # 1,280 GB exactly
    assert covered(ORDER, row("a", "GB200", 9_999)) == {"a": False}
    assert covered(ORDER, row("a", "GB200", 10_000)) == {"a": True}  # 1e20 exactly, at least
    by_tpp = replace(chip("H100-SXM"), fp16_tflops=495.0, tpp=15840.0)
    assert covered(DRAFTED, ClusterRow("a", by_tpp, 17)) == {"a": True}  # the larger of the two sums


def test_a_tie_survives_rounding():
    tenth = replace(chip("H100-SXM"), fp16_tflops=99.0, tpp=1584.0, memory_gb=0.1)
    rows = [ClusterRow("a", tenth, 1, site="x") for _ in range(160)]
    assert covered(DRAFTED, *rows) == {"a": False}


def test_several_chip_types_add_up():
    rows = [row("a", "H100-SXM", 8), row("a", "A100-SXM-80GB", 24), row("b", "H100-SXM", 8)]
    assert covered(DRAFTED, *rows) == {"a": False, "b": False}
    assert values(AMENDED, "cluster-memory", *rows) == {"a": 2560, "b": 640}
    assert covered(AMENDED, *rows) == {"a": True, "b": False}


def test_rows_of_one_cluster_part_only_where_the_table_says_so():
    far = {"site": "far"}
    here = row("a", "H100-SXM", 10, site="here")
    assert covered(DRAFTED, here, row("a", "H100-SXM", 10, **far)) == {"a": True}  # links unknown: one set
    assert covered(DRAFTED, here, row("a", "H100-SXM", 10, **far, networked=False)) == {"a": False}
    assert covered(DRAFTED, here, row("a", "H100-SXM", 10, **far, interconnect_gbit_s=25)) == {"a": False}
    assert covered(DRAFTED, here, row("a", "H100-SXM", 10, **far, interconnect_gbit_s=25.1)) == {"a": True}
    slow_but_together = row("a", "H100-SXM", 10, **far, interconnect_gbit_s=1, networked=True)
    assert covered(DRAFTED, here, slow_but_together) == {"a": True}
    unknown_site = row("a", "H100-SXM", 10, interconnect_gbit_s=1)
    assert covered(DRAFTED, here, unknown_site) == {"a": True}
    assert covered(DRAFTED, row("a", count=10), row("b", count=10)) == {"a": False, "b": False}


def test_a_split_cluster_can_be_covered_through_its_neighbour_at_one_site():
    split = [row("a", count=10, site="x", networked=False), row("a", count=10, site="y", networked=False)]
    decisions = DRAFTED.classify([*split, row("b", count=8, site="y")])
    assert [one.covered for one in decisions] == [True, True]
    assert decisions[0].clauses[0].counted_with == ("b",)
    assert decisions[0].clauses[0].value == pytest.approx(18, abs=0.02)


def test_a_chain_of_sites_is_one_set():
    rows = [row(f"c{n}", count=1, site=f"s{n}") for n in range(17)]
    rows += [row(f"c{n}", count=1, site=f"s{n + 1}", interconnect_gbit_s=400) for n in range(17)]
    decisions = DRAFTED.classify(rows)
    assert all(one.clauses[0].value == pytest.approx(34, abs=0.05) for one in decisions)


def test_sets_of_rows_are_the_connected_ones():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = int(rng.integers(1, 25))
        keys = [rng.integers(-1, rng.integers(1, 20), size) for _ in range(3)]
        linked = np.eye(size, dtype=bool)
        for key in keys:
            linked |= (key[:, None] == key) & (key >= 0)
        for _ in range(5):
            linked = linked @ linked
        sets = _connected(keys)
        assert ((sets[:, None] == sets) == linked).all()


def test_a_long_shuffled_chain_is_found_in_few_rounds():
    order = np.random.default_rng(0).permutation(40_000)
    clusters, sites = np.repeat(np.arange(20_000), 2)[order], ((np.arange(40_000) + 1) // 2)[order]
    assert not _connected([clusters, sites]).any()


def test_the_executive_order_counts_one_datacenter_on_a_fast_network():
    big = {"model": "H100-SXM", "count": 30_000}
    assert covered(ORDER, row("a", **big), row("a", **big)) == {"a": True}
    assert covered(ORDER, row("a", **big, site="x"), row("a", **big, site="y")) == {"a": False}
    fast = {"interconnect_gbit_s": 101, "site": "x"}
    assert covered(ORDER, row("a", **big, **fast), row("b", **big, **fast)) == {"a": True, "b": True}
    slow = {"interconnect_gbit_s": 100, "site": "x"}
    assert covered(ORDER, row("a", **big, **slow), row("a", **big, **slow)) == {"a": False}
    assert values(ORDER, "cluster-reporting", row("a", **big, **slow)) == {"a": 0}
    assert covered(ORDER, row("a", **big, site="x"), row("b", **big, site="x")) == {"a": False, "b": False}


def owner_rule(**grouping):
    clause = DRAFTED.cluster_clauses[0]
    over = clause.grouping.model_copy(update={"over": "owner", "colocated": False, **grouping})
    return replace(DRAFTED, clauses=(clause.model_copy(update={"grouping": over}),))


def test_an_owner_rule_counts_across_sites():
    rule = owner_rule()
    rows = [row("a", count=9, site="x", owner="shell"), row("b", count=9, site="y", owner="shell"), row("c", count=9)]
    decisions = rule.classify(rows)
    assert [one.covered for one in decisions] == [True, True, False]
    assert decisions[1].clauses[0].counted_with == ("a",)
    two_owners = [row("a", count=9, owner="p"), row("a", count=9, owner="q")]
    assert covered(rule, *two_owners) == {"a": False}
    assert covered(rule, *two_owners, row("a", count=1)) == {"a": True}


def test_a_cluster_rule_counts_each_by_itself():
    rows = [row("a", count=9, site="x"), row("b", count=9, site="x"), row("a", count=9, site="y", networked=False)]
    assert covered(owner_rule(over="cluster"), *rows) == {"a": True, "b": False}


def test_a_missing_figure_is_said_and_decides_only_where_it_must():
    unknown = row("a", "MI308X", 4)
    (decision,) = AMENDED.classify([unknown])
    compute, memory = decision.clauses
    assert decision.covered is None and compute.covered is None and compute.value is None and compute.margin is None
    assert compute.missing == ("MI308X: h100_equivalents",) and memory.covered is False and memory.missing == ()
    assert covered(AMENDED, replace(unknown, count=7)) == {"a": True}  # 1,344 GB decide
    assert covered(DRAFTED, unknown, row("a", "H100-SXM", 17)) == {"a": True}  # the rest alone is over the line
    assert covered(DRAFTED, unknown, row("a", "H100-SXM", 16)) == {"a": None}
    assert covered(DRAFTED, row("a", "Ascend-950DT", 20)) == {"a": False}  # one of the two sums is known


def test_json_form():
    decisions = AMENDED.classify([row("a", "A100-SXM-80GB", 17)])
    assert decisions_as_json(decisions) == [
        {
            "cluster": "a",
            "covered": True,
            "clauses": [
                {"id": "cluster-compute", "value": pytest.approx(5.358, abs=1e-3), "threshold": 16, "covered": False},
                {"id": "cluster-memory", "value": 1360, "threshold": 1280, "covered": True},
            ],
        }
    ]
    assert decisions[0].clauses[1].margin == pytest.approx(0.0625)


@pytest.mark.parametrize("name", ["eu-ai-act", "us-ca-sb53"])
def test_a_rule_without_a_cluster_clause_covers_nothing(name):
    decisions = load_regime(name).classify([row("a", "GB200", 72), row("b")])
    assert decisions_as_json(decisions) == [
        {"cluster": "a", "covered": False, "clauses": []},
        {"cluster": "b", "covered": False, "clauses": []},
    ]
    assert load_regime(name).largest_uncovered_count(chip("GB200")) is None
    assert DRAFTED.classify([]) == []


def test_measuring_nodes_is_the_same_clause():
    count = np.array([15, 16, 17])
    measured = AMENDED.measure_nodes(chip("A100-SXM-80GB"), count)
    assert measured["cluster-memory"].value.tolist() == [1200, 1280, 1360]
    assert measured["cluster-memory"].covered.tolist() == [False, False, True]
    together = AMENDED.measure_nodes(chip("A100-SXM-80GB"), 8, np.array([[2], [3]]))
    assert together["cluster-memory"].covered.tolist() == [[False], [True]]
    assert AMENDED.measure_nodes(chip("L40S"), 1000)["cluster-memory"].value == 0
    for one in ("A100-SXM-80GB", "H100-SXM", "TPU-v4", "L40S"):
        for n in (1, 16, 17, 57, 300):
            (decision,) = AMENDED.classify([row("a", one, n)])
            for clause in decision.clauses:
                measure = AMENDED.measure_nodes(chip(one), n)[clause.id]
                assert (measure.value, bool(measure.covered)) == (pytest.approx(clause.value), clause.covered)
    with pytest.raises(InputError, match=r"MI308X.*h100_equivalents"):
        DRAFTED.measure_nodes(chip("MI308X"), 8)


def test_largest_uncovered_counts():
    assert DRAFTED.largest_uncovered_count(chip("A100-SXM-80GB")) == 50
    assert AMENDED.largest_uncovered_count(chip("A100-SXM-80GB")) == 16
    assert AMENDED.largest_uncovered_count(chip("L40S")) == 43
    assert DRAFTED.largest_uncovered_count(chip("A100-SXM-80GB"), most=8) == 8
    assert ORDER.largest_uncovered_count(chip("GB200")) == 9_999
    huge = replace(chip("H100-SXM"), fp16_tflops=16_000.0)
    assert DRAFTED.largest_uncovered_count(huge) == 0
    assert DRAFTED.interconnect_limit_gbit_s == 25 and ORDER.interconnect_limit_gbit_s is None


MODELS = st.sampled_from([name for name, one in chips().items() if one.tpp and one.memory_gb])
ROWS = st.lists(
    st.builds(
        ClusterRow,
        st.sampled_from("abc"),
        MODELS.map(chip),
        st.integers(1, 60),
        st.sampled_from(["", "x", "y"]),
        st.sampled_from(["", "p", "q"]),
        st.sampled_from([None, 1.0, 25.0, 400.0]),
        st.sampled_from([None, True, False]),
    ),
    min_size=1,
    max_size=8,
)
RULES = [AMENDED, ORDER, owner_rule(), owner_rule(over="cluster")]


def eased(regime: Regime, factor: float) -> Regime:
    """The same rule with its lines so many times as high."""
    return replace(
        regime,
        clauses=tuple(one.model_copy(update={"threshold": one.threshold * factor}) for one in regime.cluster_clauses),
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data(), st.sampled_from(RULES))
def test_adding_chips_never_uncovers(rows, data, rule):
    at = data.draw(st.integers(0, len(rows) - 1))
    rule = eased(rule, 1e-4 if rule is ORDER else 1.0)
    more = [replace(one, count=one.count + 7) if n == at else one for n, one in enumerate(rows)]
    before, after = covered(rule, *rows), covered(rule, *more)
    assert all(after[name] for name in before if before[name])


@settings(max_examples=60, deadline=None)
@given(ROWS, st.floats(0.1, 1.0), st.sampled_from(RULES))
def test_a_stricter_line_never_uncovers(rows, factor, rule):
    before, after = covered(rule, *rows), covered(eased(rule, factor), *rows)
    assert all(after[name] for name in before if before[name])


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(), st.sampled_from(RULES))
def test_the_order_of_rows_does_not_matter(rows, random, rule):
    shuffled = random.sample(rows, len(rows))
    assert covered(rule, *rows) == covered(rule, *shuffled)


HEAD = "cluster,chip,count\n"


def test_a_table_is_read():
    text = "# a note\n\n cluster , chip,count,site,interconnect_gbit_s,networked,owner\r\n"
    text += '"a, north",h100-sxm, 8 ,x,400,YES,me\r\n\r\na,T4,3.0,,,,\n'
    first, second = parse_clusters(text, "t.csv")
    assert first == ClusterRow("a, north", chip("H100-SXM"), 8, "x", "me", 400.0, True)
    assert second == ClusterRow("a", chip("T4"), 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t.csv: header: expected a column `cluster`"),
        ("cluster,chip\na,T4\n", r"header: expected a column `count`"),
        ("cluster;chip;count\na;T4;1\n", r"header: expected a column `cluster`, got 'cluster;chip;count'"),
        ("cluster,chip,count,ownr\na,T4,1,x\n", r"the column `owner`, got 'ownr'"),
        ("cluster,chip,count,chip\na,T4,1,T4\n", r"each column once, got 'chip'"),
        (HEAD, r"at least one row"),
        (HEAD + "a,T4\n", r"line 2: expected 3 cells"),
        (HEAD + "a,T4,1,x\n", r"line 2: expected 3 cells, as in the header, got 4"),
        (HEAD + "a,T4,1\n,T4,1\n", r"line 3, cluster: expected a name"),
        (HEAD + "a,H100,1\n", r"line 2, chip: expected a known chip \(nearest: .*H100.*got 'H100'"),
        (HEAD + "a,,1\n", r"line 2, chip"),
        (HEAD + "a,T4,\n", r"line 2, count: expected a whole number of chips, at least 1, got ''"),
        (HEAD + "a,T4,0\n", r"count"),
        (HEAD + "a,T4,-3\n", r"count.*got '-3'"),
        (HEAD + "a,T4,1.5\n", r"count.*got '1.5'"),
        (HEAD + "a,T4,nan\n", r"count.*got 'nan'"),
        (HEAD + "a,T4,inf\n", r"count.*got 'inf'"),
        (HEAD + "a,T4,1e999\n", r"count"),
        (HEAD + f"a,T4,{'9' * 400}\n", r"count"),
        (HEAD + "a,T4,1_0\n", r"count"),
        (HEAD + 'a,T4,"1,000"\n', r"count.*got '1,000'"),
        ("cluster,chip,count,interconnect_gbit_s\na,T4,1,fast\n", r"interconnect_gbit_s.*got 'fast'"),
        ("cluster,chip,count,interconnect_gbit_s\na,T4,1,-1\n", r"interconnect_gbit_s"),
        ("cluster,chip,count,interconnect_gbit_s\na,T4,1,nan\n", r"interconnect_gbit_s"),
        ("cluster,chip,count,networked\na,T4,1,maybe\n", r"networked: expected yes, no or a blank, got 'maybe'"),
        (HEAD + 'a,"T4,1\n', r"valid CSV"),
        (HEAD + 'a,"T4"x,1\n', r"line 2: expected valid CSV"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_field(text, message):
    with pytest.raises(InputError, match=message):
        parse_clusters(text, "t.csv")


def test_columns_of_other_purposes_are_left_alone():
    assert parse_clusters("cluster,chip,count,h100_equivalents\na,T4,1,0.1\n", "t.csv") == [
        ClusterRow("a", chip("T4"), 1)
    ]


def test_a_file_that_is_not_a_table_is_refused(tmp_path):
    from thresher.regime import read_clusters

    with pytest.raises(InputError, match="can be read"):
        read_clusters(tmp_path / "none.csv")
    with pytest.raises(InputError, match="can be read"):
        read_clusters(tmp_path)
    (tmp_path / "latin.csv").write_bytes(HEAD.encode() + b"caf\xe9,T4,1\n")
    with pytest.raises(InputError, match=r"latin.csv.*UTF-8"):
        read_clusters(tmp_path / "latin.csv")
    (tmp_path / "nul.csv").write_bytes(HEAD.encode() + b"a\x00,T4,1\n")
    with pytest.raises(InputError, match=r"nul.csv line 2, cluster: expected printable text"):
        read_clusters(tmp_path / "nul.csv")
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + HEAD.encode() + b"a,T4,1\n")
    assert read_clusters(tmp_path / "bom.csv")[0].cluster == "a"
