"""Regime files: what ships, amendments, and every way a person's own file can be refused by key."""

from __future__ import annotations

import pytest

from thresher.errors import InputError
from thresher.regime import load_regime, regime_schema_markdown, regimes
from thresher.regime.schema import ClusterClause, Obligation, RegimeFile, RunClause, parse_regime

OWN = """
regime: own
title: A rule of my own
jurisdiction: here
status: proposed
source: {title: A memo, address: desk drawer}
definitions: {h100_fp16_tflops: 990, h100_tpp: 15840}
clauses:
  - id: line
    kind: cluster
    reference: para. 1
    text: More than 8.
    metric: h100_equivalents
    comparison: ">"
    threshold: 8
    unit: H100-equivalents
    grouping: {over: networked, colocated: true}
  - id: run
    kind: run
    reference: para. 2
    text: At least 1e24.
    counting: operations
    training: [pretraining]
    comparison: ">="
    bands: [{above: 1e24, consequence: prohibited}]
"""


def write(folder, text, name="own.yaml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_every_regime_of_the_facts_ships():
    assert regimes() == ["eu-ai-act", "miri-2025", "miri-2026-memory", "us-ca-sb53", "us-eo-14110"]
    standing = {name: (load_regime(name).status, load_regime(name).in_force_from) for name in regimes()}
    assert standing == {
        "eu-ai-act": ("in force", "2025-08-02"),
        "miri-2025": ("drafted", None),
        "miri-2026-memory": ("proposed", None),
        "us-ca-sb53": ("in force", "2026-01-01"),
        "us-eo-14110": ("expired", "2023-10-30"),
    }
    assert load_regime("us-eo-14110").in_force_to == "2025-01-20"


@pytest.mark.parametrize("name", regimes())
def test_every_clause_has_a_reference_and_a_text(name):
    regime = load_regime(name)
    assert regime.name == name
    assert all(clause.reference and clause.text for clause in regime.clauses)
    assert load_regime(name.upper()) is regime


def test_the_amendment_is_the_draft_and_a_line_in_memory():
    drafted, amended = load_regime("miri-2025"), load_regime("miri-2026-memory")
    assert amended.clauses[:-1] == drafted.clauses
    memory = amended.clauses[-1]
    assert (memory.id, memory.metric, memory.comparison, memory.threshold) == ("cluster-memory", "memory_gb", ">", 1280)
    assert memory.counts.memory_kinds == ["HBM"]
    assert amended.definitions == drafted.definitions


def test_figures_of_the_duties():
    duty = {clause.id: clause for clause in load_regime("miri-2025").obligations}
    assert (duty["registration"].deadline_days, duty["registration"].repeats_days) == (120, 90)
    assert duty["consolidation"].deadline_days == 120 and duty["consolidation"].size.up_to is None
    assert duty["consolidation-appendix"].size.up_to == 100
    assert duty["challenge-inspections"].parameters == {
        "inspections_per_year_at_most": 20,
        "access_within_hours": 24,
    }
    (notification,) = load_regime("eu-ai-act").obligations
    assert notification.deadline_days == 14
    penalty = {clause.id: clause.parameters for clause in load_regime("us-ca-sb53").obligations}
    assert penalty["civil-penalty"] == {"penalty_usd_per_violation_up_to": 1e6}
    assert penalty["large-frontier-developer"] == {"annual_gross_revenue_usd_over": 5e8}


def test_a_persons_own_file(tmp_path):
    regime = load_regime(write(tmp_path, OWN))
    assert regime.name == "own"
    assert regime.cluster_clauses[0].threshold == 8
    assert regime.run_clauses[0].bands[0].above == 1e24  # YAML reads 1e24 as text


def test_a_file_can_amend_a_file_or_a_regime_that_ships(tmp_path):
    write(tmp_path, OWN, "base.yaml")
    stricter = OWN.replace("regime: own", "regime: stricter\nextends: base.yaml").replace(
        "threshold: 8", "threshold: 4"
    )
    stricter = stricter[: stricter.index("  - id: run")]
    regime = load_regime(write(tmp_path, stricter.replace("definitions:", "# definitions:")))
    assert [clause.id for clause in regime.clauses] == ["line", "run"]
    assert regime.cluster_clauses[0].threshold == 4 and regime.definitions.h100_tpp == 15840
    shipped = load_regime(write(tmp_path, stricter.replace("base.yaml", "eu-ai-act"), "shipped.yaml"))
    assert [clause.id for clause in shipped.clauses] == ["systemic-risk-presumption", "notification", "line"]


def test_what_cannot_be_extended_is_refused(tmp_path):
    write(tmp_path, OWN.replace("regime: own", "regime: a\nextends: b.yaml"), "a.yaml")
    write(tmp_path, OWN.replace("regime: own", "regime: b\nextends: a.yaml"), "b.yaml")
    with pytest.raises(InputError, match=r"b.yaml: extends: expected a regime that does not, in the end, extend"):
        load_regime(tmp_path / "a.yaml")
    path = write(tmp_path, OWN.replace("regime: own", "regime: own\nextends: miri-2024"))
    with pytest.raises(InputError, match=r"own.yaml: extends: expected .*miri-2025.*got 'miri-2024'"):
        load_regime(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threshold: 8", "treshold: 8", r"clauses\[0\] \(line\)\.treshold: .*did you mean 'threshold'"),
        ("    threshold: 8\n", "", r"clauses\[0\] \(line\)\.threshold: expected a value \(the key is missing\)"),
        ("threshold: 8", "threshold: lots", r"\(line\)\.threshold: expected a finite number.*got 'lots'"),
        ("threshold: 8", "threshold: -8", r"\(line\)\.threshold.*got -8"),
        ("threshold: 8", "threshold: 0", r"\(line\)\.threshold: expected a number above 0"),
        ("threshold: 8", "threshold: .nan", r"\(line\)\.threshold.*got nan"),
        ("threshold: 8", "threshold: .inf", r"\(line\)\.threshold.*got inf"),
        ("threshold: 8", "threshold: true", r"\(line\)\.threshold.*got True"),
        ("threshold: 8", "threshold: [8]", r"\(line\)\.threshold.*got \[8\]"),
        ("unit: H100-equivalents", "unit: GB", r"\(line\)\.unit: expected 'H100-equivalents'.*got 'GB'"),
        ("metric: h100_equivalents", "metric: watts", r"\(line\)\.metric: expected 'h100_equivalents'.*got 'watts'"),
        ('comparison: ">"', 'comparison: "<"', r"\(line\)\.comparison: expected '>' or '>='.*got '<'"),
        ("over: networked", "over: planet", r"\(line\)\.grouping\.over.*got 'planet'"),
        ("colocated: true", "colocatd: true", r"\(line\)\.grouping\.colocatd: .*did you mean 'colocated'"),
        ("over: networked", "over: owner", r"\(line\)\.grouping: expected `colocated` and `common_workload` only"),
        ("kind: cluster", "kind: clutser", r"\(line\)\.kind: expected cluster, run or obligation, got 'clutser'"),
        ("    kind: cluster\n", "", r"\(line\)\.kind: expected cluster, run or obligation"),
        ("id: run", "id: line", r"clauses: expected an id of its own for each clause, got 'line'"),
        ("id: line", "id: The Line", r"clauses\[0\] \(The Line\)\.id"),
        ("id: line", "id: 7", r"clauses\[0\]\.id: expected a text .*got 7"),
        ("above: 1e24", "above: loads", r"\(run\)\.bands\[0\]\.above.*got 'loads'"),
        ("consequence: prohibited", "consequences: x", r"\(run\)\.bands\[0\]\.consequences: .*you mean 'consequence'"),
        ("bands: [{above: 1e24, consequence: prohibited}]", "bands: []", r"\(run\)\.bands"),
        ("training: [pretraining]", "training: [dreaming]", r"\(run\)\.training\[0\].*got 'dreaming'"),
        ("status: proposed", "status: dead", r"status: expected 'drafted'.*got 'dead'"),
        ("status: proposed", "status: proposed\npublished: someday", r"published: expected a date.*got 'someday'"),
        ("status: proposed", "state: proposed", r"own.yaml: state: .*did you mean 'status'"),
        ("title: A rule of my own", "title: A rule of my own\nauthor: me", r"own.yaml: author: expected no such key"),
        ("source: {title: A memo, address: desk drawer}", "source: a memo", r"own.yaml: source"),
        ("definitions: {h100_fp16_tflops: 990, h100_tpp: 15840}\n", "", r"own.yaml: definitions: expected the H100-eq"),
        ("h100_tpp: 15840", "h100_tpp: 0", r"definitions\.h100_tpp"),
        ("clauses:", "clauses: []\nrest:", r"own.yaml: rest: expected no such key"),
        ("source: {", "source: {{", r"own.yaml line \d+: expected valid YAML"),
        ("source: {title: A memo, address: desk drawer}", "source: {1: 2}", r"own.yaml: source"),
        ("status: proposed", "status: proposed\n7: x", r"own.yaml"),
        ("status: proposed", "status: proposed\npublished: 2025-13-45", r"own.yaml: expected valid YAML \(month must"),
        ("threshold: 8", "threshold: " + "9" * 5000, r"own.yaml"),
        ("threshold: 8", "threshold: 8\x00", r"own.yaml: expected valid YAML"),
        ("bands: [", "bands: " + "[" * 100_000, r"own.yaml line 25: expected no aliases, and at most 16 levels"),
        ("training: [pretraining]", "training: &a [*a]", r"own.yaml line 23: expected no aliases"),
        ("regime: own", "regime: !!python/object:os.system {}", r"own.yaml line \d+: expected valid YAML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_key(tmp_path, old, new, message):
    assert old in OWN
    with pytest.raises(InputError, match=message):
        load_regime(write(tmp_path, OWN.replace(old, new, 1)))


def test_what_is_not_a_regime_is_refused(tmp_path):
    for text in ("", "[1, 2]", "just text", "42"):
        with pytest.raises(InputError, match=r"own.yaml: expected a regime: a mapping"):
            load_regime(write(tmp_path, text))
    with pytest.raises(InputError, match=r"can be read"):
        load_regime(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    with pytest.raises(InputError, match=r"UTF-8"):
        load_regime(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match=r"known name \(miri-2025.*got 'miri2025'"):
        load_regime("miri2025")
    with pytest.raises(InputError, match=r"known name"):
        load_regime("")


def test_the_schema_is_documented_key_by_key():
    text = regime_schema_markdown()
    for form in (RegimeFile, ClusterClause, RunClause, Obligation):
        assert f"### {form.__name__}" in text
        for key, field in form.model_fields.items():
            assert field.description, key
            assert f"| `{key}`" in text
    assert "None" not in text and "typing" not in text


def test_a_document_can_be_checked_without_a_file():
    with pytest.raises(InputError, match=r"^memory: expected a regime"):
        parse_regime(None, "memory")
