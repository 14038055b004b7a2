"""A few people at one lab for a few seconds, as benchmarks/lab_load.py has many for a minute; there memory is looked at too."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "lab_load.py"


def test_people_who_drag_sliders_get_their_own_answers_and_leave_nothing_behind(tmp_path):
    """In a process of its own: the crowd wants an event loop, which the browser of other tests has in this one."""
    command = [sys.executable, BENCHMARK, "--clients", "8", "--seconds", "8", "--warm-up", "6"]
    done = subprocess.run(
        [*command, "--json", tmp_path / "load.json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads((tmp_path / "load.json").read_text("utf-8"))
    assert found["errors"] == []
    assert found["answers"] > 0
    assert found["dropped"] > 0
    assert "Traceback" not in done.stderr
