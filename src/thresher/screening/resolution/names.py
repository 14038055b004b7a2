"""Names made comparable across legal forms, scripts, transliterations and spellings; addresses and telephones likewise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
from anyascii import anyascii
from rigour.names import extract_org_types, remove_org_types
from rigour.text import metaphone

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
_WITHOUT_SPACES = re.compile(
    r"(股份有限公司|有限责任公司|有限責任公司|有限公司|集团公司|集团|集團|公司|株式会社|合同会社|주식회사|유한회사)"
)
"""Legal forms of scripts that write without spaces, which a matcher of words does not see."""
_STREET = re.compile(r"\b(?:str|strasse|straße|street|st|ul|ulitsa|ulica|rd|road|ave|avenue|av|no|nr|d|dom)\b\.?")
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_ROMAN_WORD = re.compile(rf"\b(?:{'|'.join(_ROMAN)})\b")
_LONGEST = 300
"""Characters of a name that are compared; what follows them is a register's remark, or an attack."""


class NameKeys(NamedTuple):
    """What of a name is compared.

    ``key``: its words in Latin letters, run together, without the legal form, spellings of one sound folded together;
    ``words``: the words so folded, sorted; ``sound``: how the words sound (metaphone), sorted; ``numbers``: the words with digits, which tell
    sisters apart; ``form``: the kind of legal form (``llc`` for GmbH, ООО and Ltd), blank where it has none.
    """

    key: str
    words: str
    sound: str
    numbers: str
    form: str


@lru_cache(maxsize=1 << 16)
def name_keys(name: str) -> NameKeys:
    """What of a name is compared: "Müller Rechenzentrum GmbH" and "MUELLER RECHENZENTRUM" have the same ``key``."""
    lower = _ROMAN_WORD.sub(lambda found: _ROMAN[found[0]], " ".join(name[:_LONGEST].casefold().split()))
    spaced = _WITHOUT_SPACES.sub(" ", lower)
    forms = sorted({form for _, form in extract_org_types(lower, generic=True)})
    form = forms[0] if forms else "llc" if spaced != lower else ""
    bare = remove_org_types(spaced) if forms else spaced
    plain = anyascii(bare).lower().replace("'", "")
    if not forms and plain != bare:
        # the legal form may be known only in Latin letters
        forms = sorted({form for _, form in extract_org_types(plain, generic=True)})
        plain, form = remove_org_types(plain) if forms else plain, forms[0] if forms else form
    words = _WORD.findall(plain) or _WORD.findall(anyascii(lower).lower())
    folded = [_fold(word) for word in words]
    sounds = sorted({metaphone(word) or word for word in folded if not word.isdigit()})
    return NameKeys(
        "".join(folded),
        " ".join(sorted(set(folded))),
        " ".join(sounds),
        " ".join(sorted({word for word in folded if any(letter.isdigit() for letter in word)})),
        form,
    )


def _fold(word: str) -> str:
    if any(letter.isdigit() for letter in word):
        return word
    for spelling, sound in _FOLDS:
        word = word.replace(spelling, sound)
    word = word.translate(_LETTERS)
    return re.sub(r"(.)\1", r"\1", word)


@lru_cache(maxsize=1 << 16)
def address_key(address: str) -> str:
    """An address as its words, sorted, without the words for a street: ``10115 5 berlin haupt`` for "Hauptstr. 5, 10115 Berlin"."""
    plain = anyascii(address[:_LONGEST]).lower()
    words = _WORD.findall(_STREET.sub(" ", plain))
    shorter = (re.sub(r"(?:strasse|str|straat|gatan)$", "", word) or word for word in words)
    return " ".join(sorted({_fold(word) for word in shorter}))


def phone_key(phone: str) -> str:
    """The last nine digits of a telephone number, which an international prefix does not change; blank for fewer than six."""
    digits = re.sub(r"\D", "", phone[:_LONGEST])
    return digits[-9:] if len(digits) >= 6 else ""  # noqa: PLR2004


def registration_key(registration: str) -> str:
    """A registration number without spaces and punctuation."""
    return re.sub(r"[^A-Z0-9]", "", anyascii(registration[:_LONGEST]).upper())


def keys_of(names: Iterable[str | None]) -> dict[str, pa.Array]:
    """The name keys of many names, a column each; null where a name or the part of it is missing."""
    found = [name_keys(name) if name else None for name in names]
    return {
        field: pa.array([getattr(one, field) or None if one else None for one in found], pa.string())
        for field in NameKeys._fields
    }
