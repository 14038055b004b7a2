"""A lab with sample records, and Chromium before it: what its tests, its benchmarks and its screenshots start from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from thresher.lab.serve import address_of, listen, server
from thresher.lab.settings import LabSettings
from thresher.records.importing import import_records
from thresher.records.samples import sample_records

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SEED, PARTIES, EVADERS = 1, 400, 3
START_SECONDS = 60
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
"""Chromium as root in a container, asking nobody for anything but the pages."""


def sample_store(folder: Path) -> Path:
    """A store of sample records in a folder: the smallest jurisdiction there is, with a few evaders."""
    sample_records(folder / "records", seed=SEED, parties=PARTIES, evaders=EVADERS, force=True)
    store = folder / "evidence.store"
    store.unlink(missing_ok=True)
    import_records(folder / "records", store)
    return store


@contextmanager
def lab_in_thread(settings: LabSettings) -> Iterator[str]:
    """A lab in a thread of this process; gives its address, without a slash at its end."""
    with listen(settings) as listening:
        serving = server(settings)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not serving.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the lab did not start")
            time.sleep(0.02)
        try:
            yield address_of(settings, listening.getsockname()[1]).split("?")[0].rstrip("/")
        finally:
            serving.should_exit = True
            thread.join(START_SECONDS)


@contextmanager
def lab_process(*options: str) -> Iterator[tuple[str, int]]:
    """A lab as a person starts it, in a process of its own; gives its address and the number of its process."""
    command = [sys.executable, "-m", "thresher", "lab", "--port", "0", "--no-browser", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            url = _printed_address(running.stderr)
            threading.Thread(target=_pass_on, args=(running.stderr,), daemon=True).start()
            yield url, running.pid
        finally:
            running.terminate()


def _printed_address(lines: IO[str]) -> str:
    said = []
    for line in lines:
        said.append(line)
        if found := re.search(r"http://[^/ ]+", line):
            return found.group()
    raise RuntimeError(f"the lab did not start: {''.join(said)}")


def _pass_on(lines: IO[str]) -> None:
    for line in lines:
        print(line, end="", file=sys.stderr)


def chromium() -> str | None:
    """Where Chromium is; None where there is none. ``CHROMIUM`` in the environment says otherwise."""
    found = (shutil.which(name) for name in (os.environ.get("CHROMIUM", CHROMIUM[0]), *CHROMIUM))
    return next((path for path in found if path), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window.

    While it is open, this thread counts as one with a running event loop: ``asyncio.run`` is for afterwards.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a lab alone needs none

    path = chromium()
    if path is None:
        raise RuntimeError("Chromium is needed: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield opened
        finally:
            opened.close()
