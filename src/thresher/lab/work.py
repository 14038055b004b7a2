"""Where the lab computes: a few threads, one computation for those who ask the same, none for those who left."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from thresher.errors import ThresherError

Progress = Callable[[str], None]
Work = Callable[[Progress], Any]
LOOK_SECONDS = 0.05
"""How often it is looked whether the asker is still there."""
MOST_KEPT = 48
"""Answers kept for those who ask again: what a page shows, not the arrays behind it, some hundred kilobytes each."""
GIVES_WAY_SECONDS = 0.25
"""How long a computation that may follow waits, each time it says how far it is, while a moved slider waits for its own."""
QUICK, SLOW, LONG = "quick", "slow", "long"
THREADS = {QUICK: 2, SLOW: 1, LONG: 1}
"""Threads for what a moved slider waits for, for what may follow, and for what takes minutes and must not hold up the others."""


class Cancelled(Exception):
    """Nobody waits for this computation any more."""


@dataclass(slots=True)
class _Shared:
    """A computation under way: those who wait for it, how far it is, and whether it is to end."""

    future: asyncio.Future[Any]
    waiting: int = 0
    message: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def tell(self, message: str) -> None:
        """Note how far the computation is; end it where nobody waits."""
        self.message = message
        if self.ended.is_set():
            raise Cancelled


class Workshop:
    """Computes for pages: `run` awaits an answer, shared and kept by its key, and gives up when its asker is gone."""

    def __init__(self) -> None:
        self._pools = {name: ThreadPoolExecutor(count, f"lab-{name}") for name, count in THREADS.items()}
        self._running: dict[Hashable, _Shared] = {}
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._awaited: set[asyncio.Future[Any]] = set()

    async def run(self, request: Request, key: Hashable, work: Work, kind: str = QUICK) -> Any:
        """The answer of ``work``, which is told to call what it is given with a message now and then; no answer is not kept.

        Raises
        ------
        Cancelled
            The asker has gone.
        Whatever ``work`` raises.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self.begin(key, work, kind)
        shared = self._running[key]
        shared.waiting += 1
        try:
            while not shared.future.done():
                await asyncio.wait([shared.future], timeout=LOOK_SECONDS)
                if not shared.future.done() and await request.is_disconnected():
                    raise Cancelled
            if shared.future.cancelled():  # the lab is being closed
                raise Cancelled
            return await asyncio.shield(shared.future)
        finally:
            shared.waiting -= 1
            if shared.waiting == 0 and not shared.future.done():
                shared.ended.set()
                shared.future.cancel()
                self._forget(key, shared)

    def begin(self, key: Hashable, work: Work, kind: str = QUICK) -> asyncio.Future[Any]:
        """Begin a computation that nobody waits for yet, or join the one under way."""
        if key not in self._running:
            self._start(key, work, kind)
        return self._running[key].future

    def how_far(self, key: Hashable) -> str:
        """The last message of a computation under way; nothing where there is none."""
        shared = self._running.get(key)
        return "" if shared is None else shared.message

    def close(self) -> None:
        """End what is under way."""
        for shared in self._running.values():
            shared.ended.set()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, key: Hashable, work: Work, kind: str) -> None:
        loop = asyncio.get_running_loop()
        shared = _Shared(loop.create_future())

        def tell(message: str) -> None:
            shared.tell(message)
            if kind != QUICK:
                self._give_way(shared)

        def computed() -> Any:
            shared.tell("")
            return work(tell)

        shared.future = loop.run_in_executor(self._pools[kind], computed)
        shared.future.add_done_callback(lambda future: self._done(key, shared, future))
        self._running[key] = shared
        if kind == QUICK:
            self._awaited.add(shared.future)
            shared.future.add_done_callback(self._awaited.discard)

    def _give_way(self, shared: _Shared) -> None:
        """Let what a moved slider waits for go first, for a while: the interpreter runs one thread at a time."""
        until = time.monotonic() + GIVES_WAY_SECONDS
        while self._awaited and time.monotonic() < until and not shared.ended.wait(0.01):
            pass

    def _done(self, key: Hashable, shared: _Shared, future: asyncio.Future[Any]) -> None:
        self._forget(key, shared)
        if future.cancelled():
            return
        error = future.exception()
        if error is not None and not isinstance(error, Cancelled | ThresherError):
            logging.getLogger(__name__).error("a computation failed", exc_info=error)
        if error is None and future.result() is not None:
            self._kept[key] = future.result()
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def _forget(self, key: Hashable, shared: _Shared) -> None:
        if self._running.get(key) is shared:
            del self._running[key]
