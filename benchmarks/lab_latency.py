"""How long a moved slider waits: from the input event to the new answer on the page, to its charts, and to its intervals.

A lab in a process of its own, Chromium before it, 100 moves on the policy page: half by the arrow keys, half as a drag that
jumps. Each move is to a rule that was not asked about before. Then as many that do not wait for the intervals of the move before,
which are being worked out when they come. Run from the root of the repository:
``python benchmarks/lab_latency.py [--moves 100] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from lab_running import browser, lab_process

LOADS = 10
WAIT_MS = 120_000
FIELDS = ("compute", "memory")
KEYS, MIDDLE = 4, 500
"""Presses of an arrow key at a time (one alone may not change the three digits of the value), and a slider's middle."""
CENTRAL, INTERVALS = "central drawn", "intervals drawn"
LOOKS_MS = (150, 600)
"""How long a person who does not wait for intervals looks at an answer."""
NAMES = {"central": "answer, central values", "intervals": "answer, intervals"}
GOALS = {NAMES["central"]: 300, "first view: answer on the page": 1000}
"""Milliseconds."""

WATCH = """() => {
    const seen = (window.benchSeen = []);
    let started = 0;
    const note = (kind, state) => seen.push({ kind, state, at: performance.now(), waited: performance.now() - started });
    document.addEventListener("input", (event) => { started = event.timeStamp; }, true);
    const known = new WeakSet();
    new MutationObserver(() => {
        for (const one of document.querySelectorAll("#answer [data-answer]")) {
            if (known.has(one)) continue;
            known.add(one);
            note(one.dataset.answer, one.dataset.for);
            const drawn = setInterval(() => {
                if (!one.isConnected) return clearInterval(drawn);
                if ([...one.querySelectorAll("figure.chart")].some((figure) => figure.dataset.drawn !== "1")) return;
                clearInterval(drawn);
                note(`${one.dataset.answer} drawn`, one.dataset.for);
            }, 5);
        }
    }).observe(document.getElementById("answer"), { childList: true, subtree: true });
    for (const one of document.querySelectorAll("#answer [data-answer]")) known.add(one);
}"""
"""What happens to the answer, and how long after the last input event (its own time stamp)."""

FIRST = """() => {
    const look = () => {
        const one = document.querySelector("[data-answer]");
        if (one && one.getBoundingClientRect().height > 0) { window.benchFirst = performance.now(); watching.disconnect(); }
    };
    const watching = new MutationObserver(() => requestAnimationFrame(look));
    watching.observe(document, { childList: true, subtree: true });
}"""
"""When an answer is first there to be seen, in milliseconds from the start of the navigation."""


def moves(page, count: int, choose: random.Random, until: str) -> dict[str, list[float]]:
    """Move the sliders, each time when the move before is ``until`` there, and hold how long each part of each answer took."""
    page.goto("/policy")
    page.wait_for_selector('[data-answer="intervals"]', timeout=WAIT_MS)
    page.evaluate(WATCH)
    waited: dict[str, list[float]] = {}
    for number in range(count):
        state = page.evaluate("() => document.querySelector('#answer [data-answer]').dataset.for")
        slider = page.locator(f'input[type="range"][data-for="f-{FIELDS[number % len(FIELDS)]}"]')
        page.evaluate("() => { window.benchSeen.length = 0; }")
        manner = "keys" if number % 4 < len(FIELDS) else "drag"
        if manner == "keys":
            slider.focus()
            for _ in range(KEYS):
                page.keyboard.press("ArrowRight" if int(slider.input_value()) < MIDDLE else "ArrowLeft")
        else:
            slider.evaluate(
                """(slider, place) => { slider.value = place; slider.dispatchEvent(new Event("input", { bubbles: true })); }""",
                str(choose.randrange(50, 950)),
            )
        page.wait_for_function(
            """([before, until]) => window.benchSeen.some((one) => one.kind === until && one.state !== before)""",
            arg=[state, until],
            timeout=WAIT_MS,
            polling=20,
        )
        if until == CENTRAL:
            page.wait_for_timeout(choose.uniform(*LOOKS_MS))
        for one in page.evaluate("() => window.benchSeen"):
            if one["state"] != state:
                waited.setdefault(f"{one['kind']} {manner}", []).append(one["waited"])
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return waited


def first_views(opened, lab: str, count: int) -> dict[str, list[float]]:
    """Open the page in new contexts, whose caches are empty."""
    found: dict[str, list[float]] = {"first view: answer on the page": [], "first view: load event": []}
    for _ in range(count):
        context = opened.new_context(base_url=lab)
        page = context.new_page()
        page.add_init_script(f"({FIRST})()")
        page.goto("/policy")
        page.wait_for_function("() => window.benchFirst", timeout=WAIT_MS)
        found["first view: answer on the page"].append(page.evaluate("() => window.benchFirst"))
        loaded = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
        found["first view: load event"].append(page.evaluate(loaded))
        page.wait_for_selector('[data-answer="intervals"]', timeout=WAIT_MS)
        context.close()
    return found


def table(rows: dict[str, list[float]]) -> str:
    """Median, 95th percentile and maximum of each, in milliseconds."""
    lines = [f"{'ms':64} {'n':>4} {'median':>8} {'95 %':>8} {'max':>8} {'goal':>6}"]
    for label, values in rows.items():
        median, high = np.percentile(values, [50, 95])
        lines.append(
            f"{label:64} {len(values):4} {median:8.0f} {high:8.0f} {max(values):8.0f} {GOALS.get(label, ''):>6}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--moves", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    with lab_process() as (lab, _), browser() as opened:
        cold = first_views(opened, lab, 1)
        rows = {f"{label}, lab just started": values for label, values in cold.items()}
        rows |= first_views(opened, lab, LOADS)
        context = opened.new_context(base_url=lab, viewport={"width": 1280, "height": 900})
        for until, note in ((INTERVALS, ""), (CENTRAL, ", not waiting for intervals")):
            waited = moves(context.new_page(), given.moves, random.Random(given.seed), until)
            for kind in ("central", "intervals") if until == INTERVALS else ("central",):
                rows[f"{NAMES[kind]}{note}"] = [*waited[f"{kind} keys"], *waited[f"{kind} drag"]]
                for step, manner in product(("", " drawn"), ("keys", "drag")):
                    rows[f"{NAMES[kind]}{note}{step}: {manner}"] = waited[f"{kind}{step} {manner}"]
    print(f"{platform.platform()}, Python {platform.python_version()}\n{table(rows)}")
    if given.json:
        given.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
