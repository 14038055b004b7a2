"""Words that names are made of: how each is spelled, in Latin letters, shortened, and mistyped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from thresher.records.samples._tables import Ints, rows

NATIVE, LATIN, OTHER, OTHER_LATIN, TYPO, TYPO_LATIN = 0, 1, 2, 3, 4, 6
SPELLINGS = 8
"""Spellings of a word: native, Latin, another way of writing it in either, and two slips of the hand in either."""

NO_WORD = 0
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All words; word 0 is empty. ``spellings`` holds ``SPELLINGS`` texts a word; ``words`` gives the words of a set and part."""

    spellings: pa.Array
    words: dict[tuple[str, str], Ints]

    def draw(self, rng: np.random.Generator, sets: list[str], which: Ints, part: str) -> Ints:
        """A word of a part for every row, from the row's own set; word 0 where the set has none.

        Parameters
        ----------
        sets
            Names of sets.
        which
            For every row, the position of its set in ``sets``.
        """
        choices = [self.words.get((name, part), np.array([NO_WORD])) for name in sets]
        size = np.array([len(one) for one in choices])
        table = np.zeros((len(sets), size.max()), np.int64)
        for row, one in zip(table, choices, strict=True):
            row[: len(one)] = one
        found: Ints = table[which, (rng.random(len(which)) * size[which]).astype(np.int64)]
        return found

    def spell(self, word: Ints, spelling: Ints | int) -> pa.Array:
        """The text of every word in a spelling."""
        return self.spellings.take(pa.array(word * SPELLINGS + spelling))


@cache
def lexicon() -> Lexicon:
    """The words of ``sample_names.csv`` and the cities of ``sample_places.csv`` (set ``city``, one part a row)."""
    spellings = [""] * SPELLINGS
    words: dict[tuple[str, str], list[int]] = {}
    given = [(one["set"], one["part"], *_four(one)) for one in rows("names")]
    given += [
        ("city", str(i), *_four({"text": one["city"], "latin": one["city_latin"]}))
        for i, one in enumerate(rows("places"))
    ]
    for number, (name, part, *four) in enumerate(given, start=1):
        words.setdefault((name, part), []).append(number)
        native, latin, *_ = four
        spellings += [
            *four,
            _slip(native, number),
            _slip(native, number + 1),
            _slip(latin, number),
            _slip(latin, number + 1),
        ]
    return Lexicon(pa.array(spellings), {key: np.array(found) for key, found in words.items()})


def _four(cells: Mapping[str, str]) -> tuple[str, str, str, str]:
    """A word as it is written, in Latin letters, and the other way of writing it in either; a given name's is its initial."""
    text = cells["text"]
    latin = cells.get("latin") or text
    initial = cells.get("part") == "given"
    other = cells.get("other") or (f"{text[0]}." if initial else text)
    default = f"{latin[0]}." if initial else (latin if not cells.get("other") or latin != text else other)
    return text, latin, other, cells.get("other_latin") or default


def _slip(word: str, number: int) -> str:
    """The word mistyped: two letters swapped, one left out, or one doubled; short words stay."""
    if len(word) < _SHORTEST:
        return word
    at = 1 + number % (len(word) - 2)
    match number % 3:
        case 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[:at] + word[at + 1 :]
        case _:
            return word[:at] + word[at] + word[at:]
