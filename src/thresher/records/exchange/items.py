"""Values of a JSON file one by one in bounded memory: a list, values line after line, or a list within a document.

What is broken costs that item alone: reading goes on at the next object that looks like one of the wanted kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from thresher.errors import InputError
from thresher.records.exchange.rows import Item, Problem, problem

CHUNK = 1 << 20
LONGEST = 1 << 25
"""Characters of the longest item that is read; a longer one is a problem, so that memory stays bounded."""
_TAIL = 16
"""An error this close to the end of what was read may come from the cut: an escape, a literal, a number."""
_DEEP = 500
"""Nesting that is too deep opens at least this many brackets, none of which begins the next item."""
_GAP = re.compile(r"[\s,\[]*")
_GAP_AND_ENDS = re.compile(r"[\s,\[\]]*")
_SHOWN = 200


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


class _Broken(Exception):
    """The item at the cursor is no JSON: why, and from where the next one may begin."""

    def __init__(self, reason: str, resume: int) -> None:
        super().__init__(reason)
        self.resume = resume


class _Window:
    """The part of a text that is in memory, and a cursor with its line number."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at, self.line, self.ended = stream, "", 0, 1, False

    def more(self) -> bool:
        """Read on, at least as much as is pending; whether there was something."""
        chunk = "" if self.ended else self.stream.read(max(CHUNK, len(self.text) - self.at))
        self.ended = not chunk
        if chunk:
            self.text, self.at = self.text[self.at :] + chunk, 0
        return bool(chunk)

    def move(self, at: int) -> None:
        """Put the cursor there."""
        self.line += self.text.count("\n", self.at, at)
        self.at = at

    def skip(self, gap: re.Pattern[str]) -> str:
        """Pass over what the pattern matches; the character after it, blank at the end."""
        while True:
            found = gap.match(self.text, self.at)
            self.move(found.end() if found else self.at)
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def find(self, pattern: re.Pattern[str], longest: int) -> bool:
        """Go to the end of the next match, of at most so many characters, or to the end of the text."""
        while True:
            found = pattern.search(self.text, self.at)
            if found and (found.end() < len(self.text) or self.ended):
                self.move(found.end())
                return True
            self.move(found.start() if found else max(self.at, len(self.text) - longest))
            if not self.more():
                self.move(found.end() if found else len(self.text))
                return bool(found)

    def decode(self) -> tuple[Any, int]:
        """The value at the cursor and where it ends."""
        while True:
            try:
                return _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _TAIL
                if cut and len(self.text) - self.at > LONGEST:
                    raise _Broken(
                        f"an item of at most {LONGEST:,} characters", self._next_line(len(self.text))
                    ) from None
                if not cut or not self.more():
                    undecoded = self.text[error.pos : error.pos + 2] == "\\x"
                    reason = "text in UTF-8" if undecoded else f"JSON ({error.msg})"
                    raise _Broken(reason, self._next_line(max(error.pos, self.at + 1))) from None
            except RecursionError:
                raise _Broken("JSON that is less deeply nested", self._next_line(self.at + _DEEP)) from None
            except ValueError as error:
                raise _Broken(f"JSON ({error})", self._next_line(self.at + 1)) from None

    def _next_line(self, at_most: int) -> int:
        """Where the next line begins, or a place before it."""
        found = self.text.find("\n", self.at + 1, at_most)
        return min(at_most if found < 0 else found, len(self.text))


def json_items(
    path: Path, looks_right: Callable[[Mapping[str, Any]], bool], within: str | None = None
) -> Iterator[Item | Problem]:
    """The objects of a JSON file, one by one, each with its line.

    Parameters
    ----------
    path
        A file with one JSON list, or with JSON values one after another (JSON lines).
    looks_right
        Whether an object is of the wanted kind: says where reading may go on after a broken one.
    within
        The name of the member whose list is wanted, where the file is a document around it; a file without that member is
        read as a list.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            encoding = json.detect_encoding(stream.read(4))
        # what cannot be decoded becomes \xff, which no JSON text may hold, and so is found where it stands
        with path.open(encoding=encoding, errors="backslashreplace", newline="") as stream:
            marker = re.compile(rf'"{within}"\s{{0,64}}:\s{{0,64}}') if within else None
            window = _Window(stream)
            if marker and window.find(marker, len(marker.pattern) + 128):
                yield from _values(window, looks_right, _GAP)
                while window.find(marker, len(marker.pattern) + 128):
                    yield from _values(window, looks_right, _GAP)
                return
            stream.seek(0)
            yield from _values(_Window(stream), looks_right, _GAP_AND_ENDS)
    except OSError as error:
        raise InputError(str(path), f"a file that can be read ({error.strerror or error})") from None


def _values(
    window: _Window, looks_right: Callable[[Mapping[str, Any]], bool], gap: re.Pattern[str]
) -> Iterator[Item | Problem]:
    """The objects from the cursor on: to the end of the text, or of the list where the gap leaves its end standing."""
    lost = False
    while (here := window.skip(_GAP_AND_ENDS if lost else gap)) and (lost or here not in "]}"):
        try:
            value, end = window.decode()
        except _Broken as error:
            if not lost:
                shown = window.text[window.at : window.at + _SHOWN]
                yield problem(window.line, "", f"expected {error}", shown)
            lost = True
            window.move(error.resume)
            window.find(re.compile(r"(?=\{)"), 1)
            continue
        if isinstance(value, dict) and (looks_right(value) or not lost):
            lost = False
            yield Item(window.line, value)
        elif not lost:
            yield problem(window.line, "", "expected an object", window.text[window.at : min(end, window.at + _SHOWN)])
        window.move(end)
