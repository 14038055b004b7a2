"""What an invoice or a label says was in the box: which chip of the catalog, and how many in one piece."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import pyarrow as pa

from thresher.catalog import chips
from thresher.sources import read_table

_MOST_CHIPS_EACH = 1024
_ACCESSORY = re.compile(
    r"\b(?:COOLING|COOLERS?|COLD PLATES?|HEAT ?SINKS?|CABLES?|NIC|CONNECTX\w*|SWITCH\w*|PSU|SHELF|RAILS?|BRACKETS?|"
    r"POWER (?:SUPPL\w+|SHEL\w+|CORDS?)|RISERS?|WARRANT\w+|SUPPORT|LICEN[CS]ES?|COURSE|KITS?|FANS?|MANUALS?|BRIDGES?|"
    r"TRANSCEIVERS?|OPTICS?|ENCLOSURES?|CHASSIS|BACKPLATES?|RENTAL|HOURS?|SUBSCRIPTION|CLOUD|REPAIR)\b"
)
_EAST_ASIAN_COUNT = re.compile(r"(?:([八四二双十])|(\d{1,3})) ?(?:卡|颗|块|路|枚)")
_NUMERALS = {"八": 8, "四": 4, "二": 2, "双": 2, "十": 10}
_IN_WORDS = re.compile(r"\b(?:(DUAL|TWIN|DOUBLE)|(QUAD)|(OCTO|EIGHT))\b")
_BOUGHT_WITH = re.compile(r"\b(?:WITH|INCL\w*|W|PLUS|AND)\b")


class Content(NamedTuple):
    """What one piece holds: a chip's id in the catalog and how many; both None where the text names no chip."""

    chip: str | None
    chips_each: int | None


def content_of(text: str | None) -> Content:
    """What a description means: "HGX H100 8-GPU baseboard" is eight ``H100-SXM``, "H100 cooling kit" no chip.

    The text's own number of chips counts (``8x H200``, ``8-GPU``); else that of the product it names (``DGX``, ``NVL72``);
    else one. An accessory *for* a chip is none.
    """
    if not text:
        return Content(None, None)
    if text in chips():
        return Content(text, 1)
    # a comma joins as "with" does
    words = " " + re.sub(r"[^A-Z0-9×]+", " ", re.sub(r"[,;+]", " WITH ", text.upper())) + " "
    words = re.sub(r"(\d)X(\d+)\b", r"\1 X\2", words.replace("×", "X"))
    found = next(((chip, match) for chip, pattern in _chip_words() if (match := pattern.search(words))), None)
    if found is None or _is_accessory(words, found[1]):
        return Content(None, None)
    chip, match = found
    east_asian = _EAST_ASIAN_COUNT.search(text)
    if east_asian:
        return Content(chip, _NUMERALS[east_asian[1]] if east_asian[1] else int(east_asian[2]))
    return Content(chip, _chips_each(words, match))


def _is_accessory(words: str, chip: re.Match[str]) -> bool:
    """Whether the text is of something for a chip and not of the chip: "H100 cooling kit", and not "H100 with warranty"."""
    part = _ACCESSORY.search(words)
    if part is None:
        return False
    if " FOR " in words and part.start() < words.index(" FOR "):
        return True
    with_it = _BOUGHT_WITH.search(words, chip.end())
    return with_it is None or part.start() < with_it.start()


def _chips_each(words: str, chip: re.Match[str]) -> int:
    before, after = words[: chip.start()], words[chip.end() :]
    stated = (
        re.search(r"\b(\d{1,4}) ?X (?:NVIDIA |AMD |INTEL |HUAWEI |TESLA |ASCEND |GPUS? |INSTINCT )*$", before)
        or re.search(
            r"\b(?:WITH|W|OF) (\d{1,4}) (?:NVIDIA |AMD |INTEL |HUAWEI |TESLA |ASCEND |GPUS? |INSTINCT )*$", before
        )
        or re.search(r"\b(\d{1,4}) ?(?:GPUS?|CHIPS?|WAY|NPUS?|OAM|CARDS?)\b", f"{before} | {after}")
        or re.match(r"(?: (?:SXM\d?|PCI ?E|OAM|NVL|\d+ ?GB|GPU))* (?:X ?(\d{1,4})|(\d{1,4}) ?X)\b", after)
    )
    if stated:
        number = int(next(group for group in stated.groups() if group))
        systems = re.search(r"\b(\d{1,3}) ?X (?:NVIDIA )?[DH]GX\b", words) or re.search(
            r"\b[DH]GX\b.* X ?(\d{1,3})\b", words
        )
        if systems:
            inside = re.search(r"\b(\d{1,2}) ?GPUS?\b", words)
            number = int(systems[1]) * (int(inside[1]) if inside else _of_system(words))
        if 1 <= number <= _MOST_CHIPS_EACH:
            return number
    elif systems := re.search(r"\b(\d{1,3}) ?X (?:NVIDIA )?[DH]GX\b", words):
        return int(systems[1]) * _of_system(words)
    in_words = _IN_WORDS.search(words)
    if in_words:
        return next(each for group, each in zip(in_words.groups(), (2, 4, 8), strict=True) if group)
    return _of_system(words)


def _of_system(words: str) -> int:
    """The chips of the product that the text names; 1 where it names none."""
    return next((each for pattern, each in _systems() if pattern.search(words)), 1)


def label_contents(labels: Iterable[str | None]) -> pa.Table:
    """What each distinct label means: a table ``label, chip, chips_each``."""
    distinct = sorted({label for label in labels if label})
    found = [content_of(label) for label in distinct]
    return pa.table(
        {
            "label": pa.array(distinct, pa.string()),
            "chip": pa.array([one.chip for one in found], pa.string()),
            "chips_each": pa.array([one.chips_each for one in found], pa.int64()),
        }
    )


@cache
def _chip_words() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (row["chip"], re.compile(rf"\b(?:{row['words']})\b"))
        for row in read_table("thresher.screening", "chip_words.csv")
    ]


@cache
def _systems() -> list[tuple[re.Pattern[str], int]]:
    return [
        (re.compile(rf"\b(?:{row['words']})\b"), int(row["chips_each"]))
        for row in read_table("thresher.screening", "chip_systems.csv")
    ]
