"""What the browser is given: the libraries as their projects publish them, with their licences, inside the wheel."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.build import build_wheel

import thresher
from thresher.lab import charts

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "src/thresher/lab/static/vendor"
RECORD = yaml.safe_load((VENDOR / "vendor.yaml").read_text("utf-8"))
FILES = [row for package in RECORD["packages"] for row in package["files"]]


@pytest.mark.parametrize("row", FILES, ids=[row["to"].rsplit("/", 1)[-1] for row in FILES])
def test_a_vendored_file_is_what_its_project_published(row):
    assert hashlib.sha256((ROOT / row["to"]).read_bytes()).hexdigest() == row["sha256"]


def test_every_vendored_file_is_on_record_and_every_package_brings_its_licence():
    recorded = {row["to"] for row in FILES} | {str((VENDOR / "vendor.yaml").relative_to(ROOT))}
    assert {str(path.relative_to(ROOT)) for path in VENDOR.rglob("*") if path.is_file()} <= recorded
    for package in RECORD["packages"]:
        assert any("licence" in row["to"] for row in package["files"]), package["name"]


def test_the_wheel_contains_what_the_pages_need(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        inside = set(wheel.namelist())
    package = Path(thresher.__file__).parent
    for folder in ("lab/static", "lab/templates", "lab/charts"):
        for path in (package / folder).rglob("*"):
            if path.is_file():
                assert f"thresher/{path.relative_to(package)}" in inside, path


@pytest.mark.parametrize("name", charts.names())
def test_a_chart_is_a_specification_of_the_vendored_version(name):
    spec = charts.specification(name)
    assert spec["$schema"].endswith("/vega-lite/v6.json")
    assert '"data": {"name"' in json.dumps(spec), "its rows come from the page"
