"""Documentation that cannot rot: every command, page, function and data file is documented, and the examples are valid."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from thresher.cli import main
from thresher.countermeasures.actors import load_actor
from thresher.countermeasures.programmes import load_programme
from thresher.regime import load_regime
from thresher.simulation.plans import check_plan

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "thresher"
BUILT = ("_build", "_generated")
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in BUILT)
SIDECAR_KEYS = {"title", "producer", "citation", "licence", "accessed", "note"}


def commands(group: click.Group = main, path: tuple[str, ...] = ()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def fenced(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def table_names() -> set[str]:
    """The tables that ``docs/make_tables.py`` writes, read without running it."""
    tree = ast.parse((DOCS / "make_tables.py").read_text("utf-8"))
    tables = next(
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TABLES"
    )
    return {key.value for key in tables.keys}


@pytest.mark.parametrize(("path", "command"), [pytest.param(*row, id=" ".join(row[0])) for row in commands()])
def test_every_command_is_documented(path, command):
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert command.help and command.help.strip(), f"{' '.join(path)} has no docstring"
    assert command.help.split()[0] in shown.output
    undocumented = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert not undocumented, f"options without help: {undocumented}"


def test_commands_that_read_a_file_show_an_example():
    without = [
        " ".join(path)
        for path, command in commands()
        if any(isinstance(one, click.Argument) for one in command.params) and "thresher " not in (command.epilog or "")
    ]
    assert not without


def test_the_reference_of_commands_is_generated_from_the_program():
    assert ":nested: full" in (DOCS / "reference" / "cli.md").read_text("utf-8")


def test_every_page_of_a_toctree_exists_and_every_page_is_in_one():
    listed = set()
    for page in PAGES:
        for body in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
            for line in body.splitlines():
                if line.strip() and not line.startswith(":"):
                    listed.add((page.parent / f"{line.strip()}.md").resolve())
    missing = sorted(str(path) for path in listed if not path.exists())
    assert not missing
    assert {page.resolve() for page in PAGES} - listed == {(DOCS / "index.md").resolve()}


def test_every_link_between_pages_leads_to_a_page():
    for page in PAGES:
        text = page.read_text("utf-8")
        for target in re.findall(r"\{doc\}`([^`<]+)`", text):
            assert (page.parent / f"{target}.md").resolve().exists(), f"{page.name}: {target}"
        for target in re.findall(r"\]\(([\w./-]+\.md)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_included_table_is_written_and_every_table_is_included():
    included = {name for page in PAGES for name in re.findall(r"_generated/(\w+)\.md", page.read_text("utf-8"))}
    assert included == table_names()


def test_the_reference_names_every_module():
    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    named = set(re.findall(r"automodule:: thresher\.([\w.]+)", text))
    modules = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("_") and path.parent.name != "cli"
    }
    assert modules == named


def test_every_public_function_and_class_has_a_docstring():
    bare = []

    def visit(node, where):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                if not ast.get_docstring(child):
                    bare.append(f"{where}.{child.name}")
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{where}.{child.name}")

    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        where = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if not ast.get_docstring(tree):
            bare.append(where)
        visit(tree, where)
    assert not bare


def test_the_plan_of_the_quickstart_is_valid():
    documents = [tomllib.loads(block) for block in fenced("quickstart.md", "toml")]
    assert documents
    for document in documents:
        assert check_plan(document, "quickstart.md")["mode"] == "flat"


def test_the_clusters_of_the_quickstart_are_decided_as_it_says(tmp_path):
    from thresher import classify

    path = tmp_path / "clusters.csv"
    path.write_text(next(block for block in fenced("quickstart.md", "text") if block.startswith("cluster,")), "utf-8")
    by_name = {one.cluster: one for one in classify(path, regime="miri-2026-memory")}
    assert all(one.covered for one in by_name.values())
    assert {clause.id: clause.covered for clause in by_name["university"].clauses} == {
        "cluster-compute": False,
        "cluster-memory": True,
    }
    assert by_name["start-up"].clauses[0].counted_with == ("start-up-too",)


def test_the_regime_of_the_documentation_loads(tmp_path):
    path = tmp_path / "half-line.yaml"
    path.write_text(fenced("regimes.md", "yaml")[0], "utf-8")
    rule = load_regime(path)
    assert [clause.id for clause in rule.cluster_clauses] == ["cluster-compute", "owner-compute"]
    assert rule.cluster_clauses[0].threshold == 8


def test_the_programme_and_the_actor_of_the_documentation_load(tmp_path):
    programme, actor = fenced("countermeasures.md", "yaml")
    (tmp_path / "programme.yaml").write_text(programme, "utf-8")
    (tmp_path / "actor.yaml").write_text(actor, "utf-8")
    loaded = load_programme(tmp_path / "programme.yaml")
    assert loaded.settings["financial_audits"] == 0.2
    assert loaded.settings["challenge_inspections"] == load_programme("agreement").settings["challenge_inspections"]
    assert loaded.assumptions == {"ensemble_identification": 0.0}
    assert load_actor(tmp_path / "actor.yaml").routes == {"open": 20000.0, "resale": 5000.0}


def test_every_data_file_has_a_source():
    missing = []
    for path in sorted(PACKAGE.glob("**/data/**/*")):
        if path.is_dir() or path.name.endswith(".source.yaml") or path.suffix in (".py", ".pyc"):
            continue
        sidecar = path.with_name(f"{path.stem}.source.yaml")
        if sidecar.exists():
            lacking = SIDECAR_KEYS - (yaml.safe_load(sidecar.read_text("utf-8")) or {}).keys()
            missing += [f"{sidecar.relative_to(PACKAGE)}: {key}" for key in sorted(lacking)]
        elif (
            path.suffix != ".yaml" or not {"sources", "source"} & (yaml.safe_load(path.read_text("utf-8")) or {}).keys()
        ):
            missing.append(str(path.relative_to(PACKAGE)))
    assert not missing, f"no sidecar NAME.source.yaml and no `sources:` key: {', '.join(missing)}"


def test_no_sidecar_without_its_file():
    for sidecar in PACKAGE.glob("**/data/**/*.source.yaml"):
        stem = sidecar.name.removesuffix(".source.yaml")
        assert [one for one in sidecar.parent.glob(f"{stem}.*") if one != sidecar], sidecar.name


def test_nothing_names_a_place_that_only_its_authors_have():
    secret = re.compile(
        r"(?<![\w.-])[/]work(?![\w-])|[.]{2}/shared|pypi\.org|pythonhosted|anaconda\.org|npmjs\.|index-url",
        re.IGNORECASE,
    )
    found = []
    files = [path for folder in (PACKAGE, DOCS) for path in folder.rglob("*") if path.is_file()]
    files += [path for path in ROOT.glob("*") if path.suffix in (".md", ".toml", ".lock") or path.name == "Makefile"]
    for path in files:
        if {"__pycache__", *BUILT} & set(path.parts):
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {one[0]}" for one in secret.finditer(text)]
    assert not found


def test_the_tables_of_the_documentation_can_be_made(tmp_path, monkeypatch):
    """All but the slow ones, whose functions have tests of their own."""
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop("make_tables", None)
    import make_tables

    slow = re.compile("assessment|validation|published_tables|design")
    quick = {name: make for name, make in make_tables.TABLES.items() if not slow.search(name)}
    monkeypatch.setattr(make_tables, "TABLES", quick)
    make_tables.write_all(tmp_path / "tables")
    for name in quick:
        assert (tmp_path / "tables" / f"{name}.md").read_text("utf-8").strip(), name
    quoted = {name for page in PAGES for name in re.findall(r"\{\{ (\w+) \}\}", page.read_text("utf-8"))}
    assert quoted and quoted <= make_tables.figures().keys()
