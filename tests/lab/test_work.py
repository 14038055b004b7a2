"""Where the lab computes: once for all who ask the same, not for those who left, and first for whoever moves a slider."""

import asyncio
import threading
import time

import pytest

from thresher.errors import InputError
from thresher.lab import work
from thresher.lab.work import QUICK, SLOW, Cancelled, Workshop


class Asker:
    """Stands for a request, whose browser may leave."""

    def __init__(self) -> None:
        self.gone = False

    async def is_disconnected(self) -> bool:
        return self.gone


def of_a_workshop(using):
    """Run a coroutine function with a workshop."""

    async def used():
        workshop = Workshop()
        try:
            return await using(workshop)
        finally:
            workshop.close()

    return asyncio.run(used())


def until_ended(progress, started=None):
    """A computation that ends only when it is told to."""
    if started:
        started.set()
    for _ in range(3000):
        progress("working")
        time.sleep(0.01)
    return "in vain"


def test_those_who_ask_the_same_share_one_computation_and_its_answer_is_kept():
    count = []

    def once(progress):
        count.append(progress("half") or 1)
        time.sleep(0.1)
        return "answer"

    async def using(workshop):
        together = await asyncio.gather(*(workshop.run(Asker(), "key", once) for _ in range(5)))
        return [*together, await workshop.run(Asker(), "key", once)]

    assert of_a_workshop(using) == ["answer"] * 6
    assert len(count) == 1


def test_the_computation_of_an_asker_who_left_ends():
    started, ended = threading.Event(), threading.Event()

    def watched(progress):
        try:
            return until_ended(progress, started)
        except Cancelled:
            ended.set()
            raise

    async def using(workshop):
        asker = Asker()
        waiting = asyncio.create_task(workshop.run(asker, "key", watched, SLOW))
        await asyncio.to_thread(started.wait, 10)
        asker.gone = True
        with pytest.raises(Cancelled):
            await waiting
        assert await asyncio.to_thread(ended.wait, 10)
        return await workshop.run(Asker(), "key", lambda _: "again", SLOW)

    assert of_a_workshop(using) == "again"


def test_one_who_leaves_does_not_end_what_another_waits_for():
    free = threading.Event()

    def slowly(_progress):
        free.wait(10)
        return "answer"

    async def using(workshop):
        leaving, staying = Asker(), Asker()
        both = [asyncio.create_task(workshop.run(one, "key", slowly)) for one in (leaving, staying)]
        await asyncio.sleep(0.05)
        leaving.gone = True
        with pytest.raises(Cancelled):
            await both[0]
        free.set()
        return await both[1]

    assert of_a_workshop(using) == "answer"


def test_what_may_follow_waits_while_a_moved_slider_waits(monkeypatch):
    monkeypatch.setattr(work, "GIVES_WAY_SECONDS", 5.0)
    begun, free, steps = threading.Event(), threading.Event(), []

    def intervals(progress):
        begun.set()
        for step in range(3):
            progress(str(step))
            steps.append((step, free.is_set()))
        return "intervals"

    def central(_progress):
        free.wait(10)
        return "central"

    async def using(workshop):
        first = asyncio.create_task(workshop.run(Asker(), "central", central, QUICK))
        await asyncio.sleep(0)
        second = asyncio.create_task(workshop.run(Asker(), "intervals", intervals, SLOW))
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.sleep(0.2)
        assert steps == []
        free.set()
        return await first, await second

    assert of_a_workshop(using) == ("central", "intervals")
    assert steps == [(0, True), (1, True), (2, True)]


def test_it_waits_for_a_while_only(monkeypatch):
    monkeypatch.setattr(work, "GIVES_WAY_SECONDS", 0.05)
    free = threading.Event()

    async def using(workshop):
        first = asyncio.create_task(workshop.run(Asker(), "central", lambda _: free.wait(20), QUICK))
        await asyncio.sleep(0)
        found = await workshop.run(Asker(), "intervals", lambda progress: progress("") or "intervals", SLOW)
        assert not first.done()
        free.set()
        return found

    assert of_a_workshop(using) == "intervals"


def test_an_error_is_told_to_all_who_wait_and_not_kept():
    def wrong(_progress):
        time.sleep(0.05)
        raise InputError("a line", "a number", "many")

    async def using(workshop):
        both = await asyncio.gather(*(workshop.run(Asker(), "key", wrong) for _ in range(2)), return_exceptions=True)
        return both, await workshop.run(Asker(), "key", lambda _: "right")

    errors, found = of_a_workshop(using)
    assert [type(one) for one in errors] == [InputError, InputError]
    assert found == "right"


def test_only_so_many_answers_are_kept(monkeypatch):
    monkeypatch.setattr(work, "MOST_KEPT", 3)
    count = []

    async def using(workshop):
        for key in (1, 2, 3, 1, 4, 1, 2):  # 2 is the one that was not asked for longest when 4 comes
            await workshop.run(Asker(), key, lambda _, key=key: count.append(key) or key)

    of_a_workshop(using)
    assert count == [1, 2, 3, 4, 2]


def test_a_lab_that_closes_lets_those_who_wait_go():
    started = threading.Event()

    async def using(workshop):
        running = asyncio.create_task(workshop.run(Asker(), "one", lambda told: until_ended(told, started), SLOW))
        await asyncio.to_thread(started.wait, 10)
        queued = asyncio.create_task(workshop.run(Asker(), "two", lambda _: "never", SLOW))
        await asyncio.sleep(0.05)
        workshop.close()
        return await asyncio.gather(running, queued, return_exceptions=True)

    assert [type(one) for one in of_a_workshop(using)] == [Cancelled, Cancelled]
