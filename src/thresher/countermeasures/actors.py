"""Actors: who might try, with what money, chips and people, how much risk they take, and what reaches them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from thresher.countermeasures.parameters import table
from thresher.countermeasures.programmes import (
    check_keys,
    countermeasures,
    is_file,
    mapping_of,
    number_in,
    text_of,
)
from thresher.errors import InputError
from thresher.sources import read_text, read_yaml

KEYS = ("actor", "title", "source", "budget_usd", "most_people", "risk_tolerance", "compartments", "routes", "reach")
REQUIRED = ("actor", "title", "budget_usd", "routes")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who might try: dollars, people, the most chips by each route, the chance of being detected that it takes, and how far each
    countermeasure reaches it (1 wholly, 0 exempt). ``compartments`` is how strictly it can part what its people know."""

    name: str
    title: str
    source: str
    budget_usd: float
    most_people: float
    risk_tolerance: float
    compartments: float
    routes: Mapping[str, float]
    reach: Mapping[str, float]


def actors() -> list[str]:
    """The names of the actors that ship, from the least to the most able."""
    return sorted(_shipped(), key=lambda name: load_actor(name).budget_usd)


def _shipped() -> list[str]:
    entries = files("thresher.countermeasures").joinpath("data", "actors").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def load_actor(name_or_path: str | Path) -> Actor:
    """An actor that ships, by name, or a person's own, by file.

    Raises
    ------
    InputError
        An unknown name, with the nearest; or the file, the key and the value that is wrong, and what would be right.
    """
    name = str(name_or_path)
    if is_file(name):
        return _parse(read_text(Path(name)), name)
    shipped = files("thresher.countermeasures").joinpath("data", "actors", f"{name.lower()}.yaml")
    if name.lower() in _shipped():
        return _parse(shipped.read_text("utf-8"), f"thresher/countermeasures/data/actors/{name.lower()}.yaml")
    close = get_close_matches(name.lower(), actors(), n=3, cutoff=0.4) or actors()
    raise InputError("actor", f"a file that exists, or a known name ({', '.join(close)})", name)


def _parse(text: str, where: str) -> Actor:
    document: Any = read_yaml(text, where)
    check_keys(document, where, KEYS, REQUIRED)

    def number(key: str, default: float, most: float, unit: str = "") -> float:
        return number_in(document.get(key, default), f"{where}: {key}", 0.0, most, unit)

    known = [row["route"] for row in table("routes.csv")]
    routes = _numbers(document, "routes", where, known, math.inf, "chips")
    if not routes:
        raise InputError(f"{where}: routes", f"at least one of {', '.join(known)}, with the most chips by it")
    for key in ("actor", "title", "source"):
        text_of(document, key, where)
    tracked = [name for name in countermeasures() if name != "investigations"]
    reach = dict.fromkeys(tracked, 1.0) | _numbers(document, "reach", where, tracked, 1.0, "share")
    return Actor(
        str(document["actor"]), str(document["title"]), str(document.get("source", "")),
        number("budget_usd", 0.0, math.inf, "USD"), number("most_people", 1e9, 1e12, "people"),
        number("risk_tolerance", 1.0, 1.0, "chance of being detected"), number("compartments", 0.0, 1.0, "share"),
        routes, reach,
    )  # fmt: skip


def _numbers(
    document: Mapping[str, Any], key: str, where: str, known: list[str], most: float, unit: str
) -> dict[str, float]:
    found = {}
    for name, value in mapping_of(document, key, where).items():
        if name not in known:
            raise InputError(f"{where}: {key}.{name}", f"one of {', '.join(known)}")
        found[name] = number_in(value, f"{where}: {key}.{name}", 0.0, most, unit)
    return found
