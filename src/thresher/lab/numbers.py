"""Every number of the data files with its value, range, unit and source: the page that other pages' numbers lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache

from thresher.assessment.formats import dollars, number
from thresher.catalog import Chip, NetworkProfile, chips, networks
from thresher.simulation import default
from thresher.sources import Quantity, parameter_files

PATH = "/model/parameters"
CHIPS, NETWORKS = "catalog/data/chips.csv", "catalog/data/networks.csv"
ROOMS: Mapping[str, str] = {
    "calibration": "priors of the replica penalty",
    "catalog": "what exists",
    "countermeasures": "detection",
    "learning": "what distribution costs in learning",
    "records": "made-up sample records",
    "regime": "reading of rules",
    "screening": "screening of records",
    "simulation": "plans and prices",
    "training": "machines, links and time",
    "validation": "what measured tables leave unsaid",
}
SMALL, LARGE = 1e-3, 1e6
"""Figures outside are written with an exponent."""
THOUSAND = 1e3


@dataclass(frozen=True, slots=True)
class Entry:
    """One number as it is listed: where its anchor is, value and range as words, and all that is known of its source."""

    anchor: str
    name: str
    file: str
    value: str
    unit: str
    spread: str
    drawn: str
    source: str
    address: str
    how: str
    observed: str
    note: str

    @property
    def text(self) -> str:
        """Everything in it that a search looks at."""
        parts = (self.name, self.value, self.unit, self.source, self.address, self.observed, self.note)
        return " ".join(parts).casefold()


def address_of(name: str, file: str = "") -> str:
    """The address at which a number opens: the preset's of that name, or the one of ``file``."""
    return f"{PATH}#{_anchors()[file or _first_file()[name], name]}"


@cache
def entries() -> tuple[Entry, ...]:
    """Every number that ships, file by file: the preset's, detection's, all others; chips and network profiles at the end."""
    found = [_of_quantity(file, row) for file in _files() for row in parameter_files()[file].values()]
    return (*found, *map(_of_chip, chips().values()), *map(_of_network, networks().values()))


def chosen(find: str, file: str, how: str) -> list[Entry]:
    """The numbers that hold all the words, of that file, known in that way; blank for any."""
    words = find.casefold().split()
    return [
        one
        for one in entries()
        if (not file or one.file == file) and (not how or one.how == how) and all(word in one.text for word in words)
    ]


def by_file(rows: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The numbers under the file that holds them."""
    found: dict[str, list[Entry]] = {}
    for one in rows:
        found.setdefault(one.file, []).append(one)
    return found


def as_data(rows: Iterable[Entry]) -> list[dict[str, str]]:
    """The numbers as plain JSON data."""
    return [asdict(one) for one in rows]


@cache
def files_with_words() -> tuple[tuple[str, str], ...]:
    """The files, each with what it is about."""
    found = dict.fromkeys(one.file for one in entries())
    return tuple((file, f"{file}: {ROOMS[file.partition('/')[0]]}") for file in found)


def is_of_preset(file: str) -> bool:
    """Whether the model of a plan reads this file."""
    known = default.quantities()
    return any(known.get(name) is row for name, row in parameter_files().get(file, {}).items())


def figure(value: float) -> str:
    """A number as the data file has it, short: 0.0085, 747,400, 1.07e11."""
    if value and not SMALL <= abs(value) < LARGE:
        return f"{value:.4g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= THOUSAND else f"{value:.4g}"


@cache
def _first_file() -> Mapping[str, str]:
    """For each name, the file whose number is meant where only the name is said: the preset's, then detection's."""
    return {name: file for file in reversed(_files()) for name in parameter_files()[file]}


@cache
def _files() -> tuple[str, ...]:
    """The parameter files: those of the preset, of detection, and all others."""
    return tuple(
        sorted(
            parameter_files(), key=lambda file: (not is_of_preset(file), not file.startswith("countermeasures/"), file)
        )
    )


@cache
def _anchors() -> Mapping[tuple[str, str], str]:
    return {
        (file, name): f"parameter-{name}" if _first_file()[name] == file else f"parameter-{_stem(file)}-{name}"
        for file, rows in parameter_files().items()
        for name in rows
    }


def _stem(file: str) -> str:
    room, _, name = file.partition("/data/")
    return f"{room}-{name.removesuffix('.yaml')}"


def _of_quantity(file: str, row: Quantity) -> Entry:
    ranged = row.low < row.high
    drawn = "not drawn" if row.distribution == "fixed" else f"drawn as {row.distribution}"
    spread = f"{figure(row.low)} to {figure(row.high)}" if ranged else ""
    return Entry(
        _anchors()[file, row.name], row.name, file, figure(row.value), "" if row.unit == "1" else row.unit, spread,
        drawn if ranged else "", row.source.title, row.source.address, row.source.how, row.observed, row.note,
    )  # fmt: skip


def _of_chip(one: Chip) -> Entry:
    parts = (
        (one.fp16_tflops, "TFLOP/s in 16 bits"), (one.fp8_tflops, "in FP8"), (one.fp4_tflops, "in FP4"),
        (one.memory_gb, f"GB {one.memory_type}"), (one.memory_bandwidth_tb_s, "TB/s"), (one.tdp_w, "W"),
    )  # fmt: skip
    known = [f"{number(value)} {unit}" for value, unit in parts if value is not None]
    price = "no price" if one.price_usd is None else dollars(one.price_usd)
    of_price = _sentence(one.price_kind, one.price_date, one.price_source)
    return Entry(
        f"chip-{one.chip}", one.chip, CHIPS, ", ".join([*known, price]), "", "", "", one.spec_source, "",
        f"{one.confidence} confidence", f"price: {of_price}" if of_price else "", one.note,
    )  # fmt: skip


def _of_network(one: NetworkProfile) -> Entry:
    value = f"{number(one.upload_mbps)} Mbit/s up, {number(one.download_mbps)} down, {number(one.round_trip_ms)} ms round trip"
    trip = _sentence(one.round_trip_tier, one.round_trip_statistic, one.round_trip_source)
    return Entry(
        f"network-{one.network}", one.network, NETWORKS, value, "", "", "", one.bandwidth_source, "", "", f"round trip: {trip}",
        _sentence(one.name, one.note),
    )  # fmt: skip


def _sentence(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def counts_by_how() -> dict[tuple[str, str], int]:
    """How many numbers of each parameter file are known in which way."""
    return Counter((file, row.source.how) for file, rows in parameter_files().items() for row in rows.values())
