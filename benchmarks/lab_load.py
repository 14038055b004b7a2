"""Many people at one lab: errors, answers a second, how long they wait, and whether the server's memory grows.

A lab in a process of its own, and clients that drag sliders as browsers do: a request for each step of a drag, each dropping the
one before where it is not answered yet, then the answer, then its intervals, which the next drag drops. Run from the root of the
repository: ``python benchmarks/lab_load.py [--clients 50] [--seconds 60] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import platform
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from lab_running import lab_process

STEPS = (1, 6)
"""Steps of a drag that leave a request behind."""
STEP_SECONDS, LOOK_SECONDS = (0.06, 0.25), (0.3, 2.0)
"""Between steps of a drag, and between drags."""
PATIENCE_SECONDS = 120.0
MOST_GROWTH_PERCENT = 20.0
SLIDERS = {"compute": (0.5, 1024.0), "memory": (40.0, 40960.0)}
BYTES_PER_MB = 1024 * 1024


@dataclass
class Tally:
    """What all clients saw."""

    waited: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    dropped: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """What came of a load: counts, seconds, and the server's resident memory."""

    clients: int
    seconds: float
    answers: int
    with_intervals: int
    dropped: int
    errors: list[str]
    answers_per_second: float
    median_s: float
    p95_s: float
    max_s: float
    warm_mb: float
    end_mb: float
    most_mb: float

    @property
    def growth_percent(self) -> float:
        """By how much the server's memory grew after it was warm."""
        return 100 * (self.end_mb / self.warm_mb - 1)


class Client:
    """One person with a browser at the policy page."""

    def __init__(self, lab: str, tally: Tally, seed: int) -> None:
        self.tally = tally
        self.choose = random.Random(seed)
        self.web = httpx2.AsyncClient(base_url=lab, timeout=PATIENCE_SECONDS, trust_env=False)
        self.place = dict.fromkeys(SLIDERS, 0.5)

    async def use(self, until: float) -> None:
        """Open the page and drag until the time is over."""
        async with self.web:
            await self._get("/policy", {}, {}, "Policy lab")
            later = None
            while time.monotonic() < until:
                state = await self._drag(later)
                later = asyncio.create_task(self._intervals(state))
                await asyncio.sleep(self.choose.uniform(*LOOK_SECONDS))
            if later is not None:
                await self._drop(later)

    async def _drag(self, later: asyncio.Task[None] | None) -> dict[str, str]:
        """Drag a slider; gives the state that it stops at, when that has been answered."""
        name = self.choose.choice(list(SLIDERS))
        asked, state = later, {}
        for _ in range(self.choose.randint(*STEPS)):
            self.place[name] = min(max(self.place[name] + self.choose.uniform(-0.08, 0.08), 0.0), 1.0)
            state = {key: _at(key, place) for key, place in self.place.items()}
            if asked is not None:
                await self._drop(asked)
            asked = asyncio.create_task(self._answer(state))
            await asyncio.sleep(self.choose.uniform(*STEP_SECONDS))
        assert asked is not None
        await asked
        return state

    async def _answer(self, state: dict[str, str]) -> None:
        began = time.monotonic()
        headers = {"HX-Request": "true", "HX-Target": "answer", "Lab-Event": "input"}
        if await self._get("/policy", state, headers, f'data-for="{html.escape(urlencode(state))}"'):
            self.tally.waited.append(time.monotonic() - began)

    async def _intervals(self, state: dict[str, str]) -> None:
        began = time.monotonic()
        wanted = f'data-answer="intervals" data-for="{html.escape(urlencode(state))}"'
        if await self._get("/policy/intervals", state, {"HX-Request": "true"}, wanted):
            self.tally.intervals.append(time.monotonic() - began)

    async def _get(self, path: str, state: dict[str, str], headers: dict[str, str], wanted: str) -> bool:
        """Whether a page came, and is the one that was asked for."""
        try:
            answer = await self.web.get(path, params=state, headers=headers)
        except httpx2.HTTPError as error:
            self.tally.errors.append(f"{path}: {error!r}")
            return False
        if answer.status_code != httpx2.codes.OK or wanted not in answer.text:
            self.tally.errors.append(
                f"{answer.request.url}: {answer.status_code}, without {wanted}: {answer.text[:200]}"
            )
            return False
        return True

    async def _drop(self, task: asyncio.Task[None]) -> None:
        """Leave a request as a browser does when a newer one replaces it; one that was answered is left alone."""
        if not task.done():
            self.tally.dropped += 1
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _at(name: str, place: float) -> str:
    """The value at a place of a slider, to three digits, as the page has it."""
    low, high = SLIDERS[name]
    return f"{float(f'{low * (high / low) ** place:.3g}'):.10g}"


async def crowd(lab: str, clients: int, seconds: float, seed: int) -> Tally:
    """So many clients for so long."""
    tally = Tally()
    until = time.monotonic() + seconds
    await asyncio.gather(*(Client(lab, tally, seed * 1000 + number).use(until) for number in range(clients)))
    return tally


def load(clients: int = 50, seconds: float = 60.0, warm_up: float = 20.0, seed: int = 1) -> Load:
    """Warm a lab up with the same crowd, then measure; must not run where an event loop does."""
    with lab_process() as (lab, process):
        server = psutil.Process(process)
        asyncio.run(crowd(lab, clients, warm_up, seed))
        warm, most = server.memory_info().rss, 0
        began = time.monotonic()

        async def measured() -> Tally:
            nonlocal most
            going = asyncio.create_task(crowd(lab, clients, seconds, seed + 1))
            while not going.done():
                most = max(most, server.memory_info().rss)
                await asyncio.wait([going], timeout=0.5)
            return going.result()

        tally = asyncio.run(measured())
        took = time.monotonic() - began
        end = server.memory_info().rss
    waited = tally.waited or [float("nan")]
    median, high = np.percentile(waited, [50, 95])
    return Load(
        clients=clients,
        seconds=took,
        answers=len(tally.waited),
        with_intervals=len(tally.intervals),
        dropped=tally.dropped,
        errors=tally.errors,
        answers_per_second=len(tally.waited) / took,
        median_s=float(median),
        p95_s=float(high),
        max_s=max(waited),
        warm_mb=warm / BYTES_PER_MB,
        end_mb=end / BYTES_PER_MB,
        most_mb=most / BYTES_PER_MB,
    )


def main() -> None:
    """Load a lab and print what came of it; exit status 1 where there was an error or memory grew too much."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--warm-up", type=float, default=20.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    found = load(given.clients, given.seconds, given.warm_up, given.seed)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
        f"{found.clients} clients for {found.seconds:.0f} s: {found.answers} answers ({found.answers_per_second:.1f} a second),"
        f" {found.with_intervals} with intervals, {found.dropped} requests dropped midway, {len(found.errors)} errors\n"
        f"waited for an answer: median {found.median_s:.2f} s, 95 % {found.p95_s:.2f} s, max {found.max_s:.2f} s\n"
        f"resident memory: {found.warm_mb:.0f} MB warm, {found.end_mb:.0f} MB at the end ({found.growth_percent:+.0f} %),"
        f" {found.most_mb:.0f} MB at most"
    )
    print(*found.errors[:10], sep="\n")
    if given.json:
        given.json.write_text(json.dumps(asdict(found) | {"growth_percent": found.growth_percent}))
    sys.exit(bool(found.errors) or found.growth_percent >= MOST_GROWTH_PERCENT)


if __name__ == "__main__":
    main()
