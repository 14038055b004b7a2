"""The stores behind the page: a screening of each is made once and kept, one at a time has a store open, and writes are few."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.errors import InputError
from thresher.lab.leads.asked import Asked

if TYPE_CHECKING:
    from thresher.records.decisions import LeadDecision
    from thresher.screening.review import ScreenedForReview

MOST_KEPT = 4
"""Screenings kept, each with all its dossiers (some MB)."""
WAIT_SECONDS = 60.0
"""How long a word of a reviewer waits for a screening of the same store to end."""
STEPS = ("resolve", "control", "aggregate", "account", "corroborate", "leads", "dossiers", "charts")
"""The steps of a screening by the first word of what it says about each."""
Pair = tuple[str, str]
Key = tuple[str, Asked, int]
Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Held:
    """A screening that is kept, with what reviewers have said: of its leads, and of pairs, then and now."""

    screened: ScreenedForReview
    histories: Mapping[str, Sequence[LeadDecision]]
    judged_before: Mapping[Pair, Mapping[str, Any]]
    judged: Mapping[Pair, Mapping[str, Any]]

    @property
    def judged_since(self) -> int:
        """On how many pairs the word that stands is another than the one this screening knew."""
        pairs = {*self.judged_before, *self.judged}
        return sum(_verdict(self.judged_before, pair) != _verdict(self.judged, pair) for pair in pairs)


def _verdict(judged: Mapping[Pair, Mapping[str, Any]], pair: Pair) -> str | None:
    return judged[pair]["verdict"] if pair in judged else None


class _File:
    """A store's file: who has it open, what it looked like last, and which edition of its evidence that is."""

    def __init__(self) -> None:
        self.open = threading.Lock()
        self.stamp: Stamp = None
        self.edition = 0
        self.writing = False


class Evidence:
    """The screenings of the stores that the lab was given.

    DuckDB opens a file in one way at a time within a process, so whoever reads or writes a store here holds its lock, in a
    thread that may wait; a handler on the event loop only looks up what is kept. A screening is kept for an edition of its
    file: another size or time of change makes a new one, except where the lab itself has written.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[Path, Held]] = OrderedDict()
        self._files: dict[Path, _File] = {}
        self._guard = threading.Lock()

    def key(self, asked: Asked) -> Key:
        """What a screening is kept by."""
        with self._guard:
            file = self._file(asked.store)
            self._look(asked.store, file)
            return "leads", asked, file.edition

    def found(self, asked: Asked) -> Held | None:
        """The screening, where it is kept."""
        key = self.key(asked)
        with self._guard:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def screen(self, asked: Asked, progress: Callable[[str], None]) -> None:
        """Screen a store and keep what comes out; for a thread that may take its time.

        Raises
        ------
        InputError
            The store's, or that of a choice.
        """
        from thresher.records.decisions import histories_of  # noqa: PLC0415 - the evidence half loads for seconds
        from thresher.records.store import judgements_of  # noqa: PLC0415
        from thresher.screening.review import screen_for_review  # noqa: PLC0415

        with self._opened(asked.store):
            key = self.key(asked)
            screened = screen_for_review(asked.store, **asked.choices, progress=progress)
            histories = histories_of(asked.store, screened.regime.name)
            judged = _by_pair(judgements_of(asked.store))
        with self._guard:
            for old in [one for one, (path, _) in self._kept.items() if path == asked.store and one[-1] != key[-1]]:
                del self._kept[old]  # of an earlier edition: nobody will ask for it
            self._kept[key] = asked.store, Held(screened, histories, judged, judged)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def decide(
        self, asked: Asked, owner: str, decision: str, *, reviewer: str, note: str, seen: int | None = None
    ) -> None:
        """Write a decision about a lead into the store, and show it in every screening of it; no new one is needed.

        Raises
        ------
        InputError
            As of `thresher.screening.decisions.decide`.
        """
        from thresher.records.decisions import decisions_of, histories_of  # noqa: PLC0415
        from thresher.screening.decisions import decide  # noqa: PLC0415
        from thresher.screening.review import with_decisions  # noqa: PLC0415

        with self._opened(asked.store), self._own_write(asked.store):
            decide(asked.store, owner, decision, regime=asked.regime, reviewer=reviewer, note=note, seen=seen)
            standing = decisions_of(asked.store)
            names = {held.screened.regime.name for held in self._of(asked.store)}
            histories = {name: histories_of(asked.store, name) for name in names}
            self._renew(
                asked.store,
                lambda held: replace(
                    held,
                    screened=with_decisions(held.screened, standing),
                    histories=histories.get(held.screened.regime.name, held.histories),
                ),
            )

    def judge(self, asked: Asked, pair: Pair, verdict: str, *, reviewer: str, note: str) -> None:
        """Write a word on a pair into the store; the screenings that are kept stay as they were, and say how many pairs since.

        Raises
        ------
        InputError
            As of `thresher.screening.verbs.judge`, or the reviewer or note cannot be kept.
        """
        from thresher.records.decisions import check_texts  # noqa: PLC0415
        from thresher.records.store import judgements_of  # noqa: PLC0415
        from thresher.screening.verbs import judge  # noqa: PLC0415

        check_texts(reviewer, note)
        with self._opened(asked.store), self._own_write(asked.store):
            judge(asked.store, *pair, verdict, reviewer=reviewer.strip(), note=note.strip())
            judged = _by_pair(judgements_of(asked.store))
            self._renew(asked.store, lambda held: replace(held, judged=judged))

    def forget(self, store: Path) -> None:
        """Let go of a store's screenings, so that the next view screens again."""
        with self._guard:
            self._file(store).edition += 1

    def _of(self, store: Path) -> list[Held]:
        with self._guard:
            return [held for path, held in self._kept.values() if path == store]

    def _renew(self, store: Path, change: Callable[[Held], Held]) -> None:
        with self._guard:
            for key, (path, held) in self._kept.items():
                if path == store:
                    self._kept[key] = path, change(held)

    @contextmanager
    def _opened(self, store: Path) -> Iterator[None]:
        """The store for this thread alone."""
        with self._guard:
            file = self._file(store)
        if not file.open.acquire(timeout=WAIT_SECONDS):
            raise InputError(
                store.name, "a store that is not being screened at this moment; try again when that has ended"
            )
        try:
            yield
        finally:
            file.open.release()

    @contextmanager
    def _own_write(self, store: Path) -> Iterator[None]:
        """A write of ours: the file looks another afterwards, and its evidence is the same.

        After an error what is kept may not show what was written: the file then counts as changed by somebody else.
        """
        with self._guard:
            file = self._file(store)
            self._look(store, file)
            file.writing = True
        try:
            yield
            with self._guard:
                file.stamp = _stamp(store)
        finally:
            with self._guard:
                file.writing = False

    def _file(self, store: Path) -> _File:
        return self._files.setdefault(store.resolve(), _File())

    @staticmethod
    def _look(store: Path, file: _File) -> None:
        """Begin a new edition where somebody else has changed the file; while we write it ourselves, nobody else can."""
        stamp = _stamp(store)
        if stamp != file.stamp and not file.writing:
            file.edition += 1
            file.stamp = stamp


def _stamp(store: Path) -> Stamp:
    try:
        found = store.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _by_pair(judgements: Sequence[Mapping[str, Any]]) -> dict[Pair, Mapping[str, Any]]:
    return {(one["left"], one["right"]): one for one in judgements}
