"""Numbers that open: the words shown, the tree of where they came from, and their sources, with the place where all is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from thresher.catalog import Chip
from thresher.lab.numbers import PATH, address_of
from thresher.result import Explanation
from thresher.sources import Quantity


class SourceLine(NamedTuple):
    """A source in words, and the address on these pages where all of it is said; blank where there is none."""

    text: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A number on a page: an id of its own, the words shown, where it came from, the sources, and what the draws say of it."""

    id: str
    words: str
    explanation: Explanation
    sources: tuple[SourceLine, ...]
    below: str = ""


def cited(row: Quantity, file: str = "") -> SourceLine:
    """A parameter with its value, unit and source; ``file`` where it is not one of the preset's."""
    text = f"{row.name}: {row.value:,.6g} {row.unit} ({row.source.how}: {row.source.title}, {row.source.address})"
    return SourceLine(text, address_of(row.name, file))


def cited_chip(one: Chip) -> SourceLine:
    """A chip's figures and where they are from."""
    price = (
        "no price known" if one.price_usd is None else f"{one.price_usd:,.0f} USD ({one.price_kind}, {one.price_date})"
    )
    known = [(one.fp16_tflops, "TFLOP/s FP16"), (one.memory_gb, "GB"), (one.tdp_w, "W")]
    figures = ", ".join(f"{value:,.6g} {unit}" for value, unit in known if value is not None)
    text = f"{one.chip}: {figures}, {price}: {'; '.join(filter(None, (one.spec_source, one.price_source)))}"
    return SourceLine(text, f"{PATH}#chip-{one.chip}")
