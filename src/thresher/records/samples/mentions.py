"""How a name or an address is written down: as it is, or in capitals, Latin letters, shortened, mistyped, without its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.records.samples._tables import Flags, Ints, rows
from thresher.records.samples.lexicon import LATIN, NATIVE, NO_WORD, OTHER, TYPO, TYPO_LATIN, Lexicon
from thresher.records.samples.population import PERSON, PLACE_FIRST, TRUST, Population

JOINED = ("CN", "JP")
"""Where words are written without spaces between them."""


class Variation(NamedTuple):
    """How each of some mentions differs from the register: flags, and which slip of the hand (0 for none, 1 or 2)."""

    latin: Flags
    upper: Flags
    other: Flags
    bare: Flags
    slip: Ints


def as_registered(size: int) -> Variation:
    """Mentions that do not differ."""
    no = np.zeros(size, np.bool_)
    return Variation(no, no, no, no, np.zeros(size, np.int64))


def draw_variation(
    rng: np.random.Generator, size: int, p: Mapping[str, float], strength: np.ndarray | float = 1.0
) -> Variation:
    """Draw how mentions differ, from the parameters ``mention_*``; ``strength`` scales them all, a mention at a time."""

    def flag(name: str) -> Flags:
        return rng.random(size) < p[name] * strength

    slip = np.where(flag("mention_mistyped"), rng.integers(1, 3, size), 0)
    return Variation(flag("mention_latin"), flag("mention_upper"), flag("mention_other"), flag("mention_bare"), slip)


def write_names(words: Lexicon, people: Population, varied: Variation) -> pa.Array:
    """The name of every row of a population, written as ``varied`` says."""
    place = rows("places")
    city_word = np.array([words.words["city", str(i)][0] for i in range(len(place))])[people.city]
    country = np.array([one["country"] for one in place])[people.city]
    joined = np.isin(country, JOINED) & ~varied.latin
    first = np.isin(country, PLACE_FIRST)
    style = np.where(varied.latin, LATIN, NATIVE)
    short = style + np.where(varied.other, OTHER, 0)
    # one of the parts that make the name carries the slip
    slip = np.where(varied.slip > 0, np.where(varied.latin, TYPO_LATIN, TYPO) + varied.slip - 1, style)
    has_stem = people.stem != NO_WORD
    keep_form = ~varied.bare | ((people.stem == NO_WORD) & (people.family == NO_WORD))
    place_word = np.where(people.placed, city_word, NO_WORD)
    person_east = np.isin(people.kind, (PERSON, TRUST)) & np.isin(country, JOINED) & ~varied.latin
    given = words.spell(people.given, short)
    family = words.spell(people.family, np.where(has_stem, style, slip))
    brand = pc.binary_join_element_wise(words.spell(people.stem, slip), words.spell(people.ending, style), "")
    number = pc.if_else(pa.array(people.number > 0), pa.array(people.number).cast(pa.string()), "")
    pieces = [
        words.spell(np.where(keep_form, people.head, NO_WORD), short),
        words.spell(np.where(first, place_word, NO_WORD), style),
        pc.if_else(pa.array(person_east), family, given),
        pc.if_else(pa.array(person_east), given, family),
        brand,
        words.spell(people.field, short),
        words.spell(np.where(first, NO_WORD, place_word), style),
        number,
        words.spell(np.where(keep_form, people.tail, NO_WORD), short),
    ]
    return _in_capitals(_join(pieces, joined), varied.upper)


def write_addresses(words: Lexicon, people: Population, varied: Variation) -> pa.Array:
    """The address of every row: street, number, postcode and city in the country's order."""
    place = rows("places")
    city_word = np.array([words.words["city", str(i)][0] for i in range(len(place))])[people.city]
    number_first = np.array([one["number_first"] == "yes" for one in place])[people.city]
    style = np.where(varied.latin, LATIN, NATIVE)
    street = words.spell(people.street, style + np.where(varied.other, OTHER, 0))
    house = pa.array(people.house).cast(pa.string())
    postcode = pa.array(10_000 + people.city * 1_400 + (people.street * 37 + people.house // 10) % 1_400).cast(
        pa.string()
    )
    city = words.spell(city_word, style)
    post = pc.if_else(pa.array(varied.bare), "", pc.binary_join_element_wise(postcode, " ", ""))
    west = pc.binary_join_element_wise(house, " ", street, ", ", city, " ", pc.utf8_rtrim_whitespace(post), "")
    rest = pc.binary_join_element_wise(street, " ", house, ", ", post, city, "")
    written = pc.utf8_trim_whitespace(pc.if_else(pa.array(number_first), west, rest))
    return _in_capitals(written, varied.upper)


def _join(pieces: list[pa.Array], joined: Flags) -> pa.Array:
    """Pieces in a row with spaces between those that are not empty, or with none where ``joined``."""
    spaced = pc.binary_join_element_wise(*pieces, " ")
    spaced = pc.utf8_trim_whitespace(pc.replace_substring_regex(spaced, " +", " "))
    if not joined.any():
        return spaced
    return pc.if_else(pa.array(joined), pc.binary_join_element_wise(*pieces, ""), spaced)


def _in_capitals(text: pa.Array, upper: Flags) -> pa.Array:
    return pc.if_else(pa.array(upper), pc.replace_substring(pc.utf8_upper(text), "ẞ", "SS"), text)


def write_ids(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    """Ids such as ``P-000123``."""
    padded = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(prefix, padded, "")
