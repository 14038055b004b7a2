"""The house itself: rooms in one direction, few public names, cheap to import, every data file with its source."""

import subprocess
import sys
from pathlib import Path

import thresher

SOURCE = Path(thresher.__file__).parent


def test_the_public_names():
    assert thresher.__all__ == [
        "account", "assess", "classify", "control", "corroborate", "decide", "design", "explain", "export_records",
        "import_records", "judge", "lint", "programmes", "resolve", "sample_records", "screen", "simulate", "validate",
    ]  # fmt: skip
    for name in thresher.__all__:
        assert callable(getattr(thresher, name)), name


def test_the_small_functions_of_countermeasures_are_reached_from_the_package():
    code = "import thresher; print(thresher.countermeasures.max_distance_km(2.0))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "200.0"


def test_data_flows_one_way():
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        capture_output=True,
        text=True,
        cwd=SOURCE.parents[1],
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, thresher; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pydantic", "yaml", "matplotlib", "rich", "jinja2", "click", "duckdb", "ibis"} & set(loaded)


def test_help_needs_no_array_library():
    code = "import sys; from thresher.cli import main; main(['--help'], standalone_mode=False); print('numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.rstrip().endswith("False")


def test_no_parameter_value_stands_in_a_kernel():
    """Rooms of models take their numbers as arguments; what stands in code is a formula's own constant or a unit."""
    import ast

    allowed = {
        0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 1e3, 1e6, 1e9, 1e12, 1e15, 1e-3, 1e-6, 1e-9, 1e-12, 8e9, 1e8,
        24.0, 3600.0, 86400.0, 8766.0, 365.25,
        0.625, 0.25,  # Blom
        0.01,  # a floor that keeps a duty above zero
    }  # fmt: skip
    found = []
    kernels = [path for room in ("training", "learning", "simulation") for path in (SOURCE / room).glob("*.py")]
    kernels += [SOURCE / "countermeasures" / f"{name}.py" for name in ("channels", "triage", "accounting", "location")]
    for path in kernels:
        if path.name in {"site.py", "utilisation.py", "plans.py", "published.py", "published_cases.py"}:
            continue
        constants = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        floats = (node for node in constants if isinstance(node.value, float))
        found += [f"{path.name}:{node.lineno}: {node.value}" for node in floats if abs(node.value) not in allowed]
    assert not found
