"""Whole commands, cold: wall seconds and peak memory of a fresh process, the median of several; `import thresher` too."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5


def run_once(command: list[str], folder: str) -> tuple[float, float]:
    """Wall seconds and peak memory (MB, the largest single process) of one run."""
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        os.execv(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Time the commands whose speed docs/performance.md states."""
    programs = Path(sys.argv[1]).resolve()
    python, thresher = str(programs / "python"), str(programs / "thresher")
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "python -c 'import thresher'": [python, "-c", "import thresher"],
        "thresher --help": [thresher, "--help"],
        "thresher assess miri-2025": [thresher, "assess", "miri-2025"],
        "thresher assess miri-2025 --central-only": [thresher, "assess", "miri-2025", "--central-only"],
        "thresher validate": [thresher, "validate"],
    }
    print(f"\n{'command':40} {'wall s (median)':>16} {'min':>7} {'max':>7} {'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for label, command in commands.items():
            run_once(command, folder)
            runs = [run_once(command, folder) for _ in range(RUNS)]
            seconds = [wall for wall, _ in runs]
            print(
                f"{label:40} {statistics.median(seconds):16.2f} {min(seconds):7.2f} {max(seconds):7.2f}"
                f" {max(peak for _, peak in runs):9.0f}"
            )


if __name__ == "__main__":
    main()
