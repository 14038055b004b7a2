"""Names made comparable across legal forms, scripts, transliterations and spellings; addresses and telephones likewise."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

import pyarrow as pa
from anyascii import anyascii
from rigour.names import extract_org_types, remove_org_types
from rigour.text import metaphone

from thresher.sources import read_table

_FOLDS = (
    ("ae", "a"),
    ("oe", "o"),
    ("ue", "u"),
    ("ss", "s"),
    ("kh", "h"),
    ("ts", "c"),
    ("tz", "c"),
    ("yu", "iu"),
    ("ya", "ia"),
)
"""Spellings of one sound: a German name without its umlauts (DIN 5007-2), a Cyrillic one by ISO 9, BGN/PCGN or ICAO Doc 9303."""
_LETTERS = str.maketrans({"y": "i", "j": "i", "w": "v"})
_WORD = re.compile(r"[a-z0-9]+")
_STREET = re.compile(r"\b(?:str|strasse|straße|street|st|ul|ulitsa|ulica|rd|road|ave|avenue|av|no|nr|d|dom)\b\.?")
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_ROMAN_WORD = re.compile(rf"\b(?:{'|'.join(_ROMAN)})\b")
_LONGEST = 300
"""Characters of a name that are compared; what follows them is a register's remark, or an attack."""


class NameKeys(NamedTuple):
    """What of a name is compared.

    ``key``: its words in Latin letters, run together, without the legal form, spellings of one sound folded together;
    ``words``: the words so folded, sorted; ``sound``: how the words sound (metaphone), sorted; ``initial``: the first
    letter and the last word, as "M. Butler" has them; ``numbers``: the words with digits, which tell sisters apart;
    ``form``: the kind of legal form (``llc`` for GmbH, ООО and Ltd), blank where it has none.
    """

    key: str
    words: str
    sound: str
    initial: str
    numbers: str
    form: str


@lru_cache(maxsize=1 << 16)
def name_keys(name: str) -> NameKeys:
    """What of a name is compared: "Müller Rechenzentrum GmbH" and "MUELLER RECHENZENTRUM" have the same ``key``."""
    lower = _ROMAN_WORD.sub(lambda found: _ROMAN[found[0]], " ".join(name[:_LONGEST].casefold().split()))
    bare, form = _without_form(lower)
    plain = anyascii(bare).lower().replace("'", "")
    if plain != bare and not form:
        plain, form = _without_form(plain)  # it may be known only in Latin letters
    words = _WORD.findall(plain) or _WORD.findall(anyascii(lower).lower())
    folded = [_fold(word) for word in words]
    sounds = sorted({metaphone(word) or word for word in folded if not word.isdigit()})
    return NameKeys(
        "".join(folded),
        " ".join(sorted(set(folded))),
        " ".join(sounds),
        f"{folded[0][0]} {folded[-1]}" if len(folded) > 1 else "",
        " ".join(sorted({word for word in folded if any(letter.isdigit() for letter in word)})),
        form,
    )


def _without_form(lower: str) -> tuple[str, str]:
    """A name without its legal form, and the kind of that; a name that is nothing else stays."""
    found = sorted({form for _, form in extract_org_types(lower, generic=True)})
    bare = remove_org_types(lower) if found else lower
    pattern, forms = _more_forms()
    more = [forms[one] for one in pattern.findall(bare)]
    rest = pattern.sub(" ", bare).strip() if more else bare
    return (rest or lower), next((form for form in (*found, *more) if form), "")


@cache
def _more_forms() -> tuple[re.Pattern[str], dict[str, str]]:
    forms = {row["words"].casefold(): row["form"] for row in read_table("thresher.screening", "legal_forms.csv")}
    # words of scripts that write without spaces are found anywhere
    patterns = [rf"(?<!\w){re.escape(one)}(?!\w)" if one[0].isascii() else re.escape(one) for one in forms]
    return re.compile("|".join(patterns)), forms


def _fold(word: str) -> str:
    if any(letter.isdigit() for letter in word):
        return word
    for spelling, sound in _FOLDS:
        word = word.replace(spelling, sound)
    word = word.translate(_LETTERS)
    return re.sub(r"(.)\1", r"\1", word)


@lru_cache(maxsize=1 << 16)
def address_key(address: str) -> str:
    """An address as its words, sorted, without those for a street: ``10115 5 berlin haupt`` for "Hauptstr. 5, 10115 Berlin"."""
    plain = anyascii(address[:_LONGEST]).lower()
    words = _WORD.findall(_STREET.sub(" ", plain))
    shorter = (re.sub(r"(?:strasse|str|straat|gatan)$", "", word) or word for word in words)
    return " ".join(sorted({_fold(word) for word in shorter}))


def phone_key(phone: str) -> str:
    """The last eight digits of a telephone number, which no prefix of a country changes; blank for fewer than six."""
    digits = re.sub(r"\D", "", phone[:_LONGEST])
    return digits[-8:] if len(digits) >= 6 else ""  # noqa: PLR2004


def registration_key(registration: str) -> str:
    """A registration number without spaces and punctuation."""
    return re.sub(r"[^A-Z0-9]", "", anyascii(registration[:_LONGEST]).upper())


def keys_of(names: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The name keys of many names, a column each; null where a name or the part of it is missing."""
    coded = names.combine_chunks().dictionary_encode()
    found = [name_keys(name) for name in coded.dictionary.to_pylist()]
    return {
        field: pa.array([getattr(one, field) or None for one in found], pa.string()).take(coded.indices)
        for field in NameKeys._fields
    }
