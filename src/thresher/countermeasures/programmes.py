"""Programmes of countermeasures: settings with bounds, cost to the state, burden on others; those that ship, and a person's
own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from thresher.arrays import Array
from thresher.countermeasures.parameters import quantities, table
from thresher.errors import InputError
from thresher.regime import Regime, load_regime
from thresher.sources import read_text, read_yaml

KEYS = ("programme", "title", "source", "extends", "settings", "assumptions", "regimes")
NOT_ASSUMED = ("investigations_false_usd", "total_median_relative_error")
DIVISORS = (
    "procurement_days", "install_days", "hold_days", "sites_per_shell", "cloud_nodes_per_account", "registered_chips",
    "candidate_sites", "known_facilities", "displacement_km", "energy_half_mw", "traffic_half_mbps", "ai_futures_a",
    "ai_futures_theta",
)  # fmt: skip
LEAST_DIVISOR = 1e-6
"""The least that a programme may assume of a parameter by which something is divided."""
LARGEST = 1e300
BASELINE = "baseline"
"""The programme that adds nothing to ordinary life: people still talk."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A lever of the state: the countermeasure that it belongs to, its unit, the end of its scale, and where it stands unsaid."""

    setting: str
    countermeasure: str
    unit: str
    most: float
    default: float
    description: str


@cache
def settings() -> dict[str, Setting]:
    """Every setting, by name, in the order of ``data/settings.csv``."""
    return {
        row["setting"]: Setting(
            row["setting"], row["countermeasure"], row["unit"], float(row["most"]), float(row["default"]), row["description"]
        )
        for row in table("settings.csv")
    }  # fmt: skip


@cache
def countermeasures() -> dict[str, tuple[str, ...]]:
    """The settings of each countermeasure, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, row in settings().items():
        found[row.countermeasure] = (*found.get(row.countermeasure, ()), name)
    return found


@dataclass(frozen=True, slots=True)
class Programme:
    """What a state does to detect: a value for every setting, and parameters that it wants to be taken as certain."""

    name: str
    title: str
    source: str
    settings: Mapping[str, float]
    assumptions: Mapping[str, float]
    regimes: tuple[str, ...]

    def with_settings(self, name: str, changes: Mapping[str, float]) -> Programme:
        """The same with some settings moved."""
        return replace(self, name=name, settings={**self.settings, **changes})

    def only(self, wanted: frozenset[str], name: str = "") -> Programme:
        """The same with every countermeasure but some at its default; investigations stay as they are."""
        kept = wanted | {"investigations"}
        return replace(
            self,
            name=name or "+".join(sorted(wanted)) or "none",
            settings={
                key: value if settings()[key].countermeasure in kept else settings()[key].default
                for key, value in self.settings.items()
            },
        )


def cost_usd_per_year(programme_settings: Mapping[str, Array], p: Mapping[str, Array], kind: str = "cost") -> Array:
    """What settings cost in dollars a year, above what stands unsaid: ``cost`` to the state, ``burden`` to others."""
    total: Array = 0.0
    for name, row in settings().items():
        share = (programme_settings[name] - row.default) / _scale(row)
        total = total + share * p[f"{kind}_{name}"]
    return total


def _scale(row: Setting) -> float:
    """The number of units that the cost of a setting is given for: the whole scale of shares, else one."""
    return row.most if row.unit.startswith("share") else 1.0


def programmes() -> list[str]:
    """The names of the programmes that ship."""
    entries = files("thresher.countermeasures").joinpath("data", "programmes").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def programme_for(rule: Regime) -> str:
    """The programme that a regime's own text provides, or that of a regime all of whose duties it takes over; else the
    baseline."""
    for name in programmes():
        for provided in load_programme(name).regimes:
            duties = {duty.id for duty in load_regime(provided).obligations}
            if rule.name == provided or (duties and duties <= {duty.id for duty in rule.obligations}):
                return name
    return BASELINE


def load_programme(name_or_path: str | Path) -> Programme:
    """A programme that ships, by name, or a person's own, by file.

    Raises
    ------
    InputError
        An unknown name, with the nearest; or the file, the key and the value that is wrong, and what would be right.
    """
    return _load(str(name_or_path), ())


def assumable() -> list[str]:
    """The parameters that a programme may take as certain: those that its hazards and leads are worked out from, not what
    cases are built of, nor what things cost."""
    of_cases = {value for row in table("routes.csv") for value in row.values()}
    return [
        name
        for name in quantities()
        if name not in of_cases
        and not name.startswith(("cost_", "burden_", "leak_rate_", "light_"))
        and name not in NOT_ASSUMED
    ]


def _load(name: str, seen: tuple[str, ...]) -> Programme:
    if name.lower() in programmes():
        where = f"thresher/countermeasures/data/programmes/{name.lower()}.yaml"
        text = (
            files("thresher.countermeasures").joinpath("data", "programmes", f"{name.lower()}.yaml").read_text("utf-8")
        )
    elif is_file(name):
        where, text = name, read_text(Path(name))
    else:
        close = get_close_matches(name.lower(), programmes(), n=3, cutoff=0.4) or programmes()
        raise InputError("programme", f"a file that exists, or a known name ({', '.join(close)})", name)
    own = str(Path(where).resolve())
    if own in seen:
        raise InputError(f"{where}: extends", "a programme that does not, in the end, extend this one", name)
    return _parse(read_yaml(text, where), where, (*seen, own))


def is_file(name: str) -> bool:
    """Whether a name means a person's file: it ends like one, or is there."""
    try:
        return Path(name).suffix in {".yaml", ".yml"} or Path(name).is_file()
    except (OSError, ValueError):  # no name that a file could have
        return False


def _parse(document: Any, where: str, seen: tuple[str, ...]) -> Programme:
    check_keys(document, where, KEYS, required=("programme", "title"))
    base = _base(document, where, seen)
    values = dict(base.settings) if base else {name: row.default for name, row in settings().items()}
    for key, value in mapping_of(document, "settings", where).items():
        if key not in settings():
            raise InputError(f"{where}: settings.{key}", f"a known setting{_near(key, list(settings()))}")
        row = settings()[key]
        values[key] = number_in(value, f"{where}: settings.{key}", 0.0, row.most, row.unit)
    assumed = dict(base.assumptions) if base else {}
    for key, value in mapping_of(document, "assumptions", where).items():
        if key not in assumable():
            raise InputError(
                f"{where}: assumptions.{key}",
                f"a parameter of detection that a programme may set{_near(key, assumable())}",
            )
        least = LEAST_DIVISOR if key in DIVISORS else 0.0
        assumed[key] = number_in(value, f"{where}: assumptions.{key}", least, math.inf, quantities()[key].unit)
    if sum(assumed.get(name, quantities()[name].value) for name in quantities() if name.startswith("ensemble_")) <= 0.0:
        raise InputError(f"{where}: assumptions", "at least one ensemble_ weight above 0")
    regimes = document.get("regimes", [])
    if not isinstance(regimes, list) or not all(isinstance(one, str) for one in regimes):
        raise InputError(f"{where}: regimes", "a list of names of regimes", regimes)
    for key in ("programme", "title", "source"):
        text_of(document, key, where)
    return Programme(
        str(document["programme"]), str(document["title"]), str(document.get("source", "")), values, assumed, tuple(regimes)
    )  # fmt: skip


def _base(document: Mapping[str, Any], where: str, seen: tuple[str, ...]) -> Programme | None:
    """The programme that this one extends: a file beside it, or one that ships."""
    if "extends" not in document:
        return None
    named = text_of(document, "extends", where)
    beside = str(Path(where).parent / named)
    try:
        return _load(beside if is_file(beside) and Path(beside).is_file() else named, seen)
    except InputError as error:
        raise InputError(f"{where}: extends", f"a programme that loads ({error})", named) from None


def text_of(document: Mapping[str, Any], key: str, where: str) -> str:
    """The text under a key; empty where it is left out."""
    value = document.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{where}: {key}", "text", value)
    return value


def check_keys(document: Any, where: str, known: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Refuse a document that is no mapping, has keys that nobody reads, or lacks some."""
    if not isinstance(document, dict):
        raise InputError(where, f"a mapping with the keys {', '.join(required)}", document)
    for key in document:
        if key not in known:
            raise InputError(f"{where}: {key}", f"a known key{_near(str(key), list(known))}")
    for key in required:
        if key not in document:
            raise InputError(where, f"the key {key}")


def mapping_of(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """The mapping under a key; nothing where it is left out."""
    value = document.get(key)
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise InputError(f"{where}: {key}", "a mapping of names to numbers", value)
    return {str(name): item for name, item in value.items()}


def number_in(value: Any, where: str, least: float, most: float, unit: str = "") -> float:
    """A number within bounds; text such as 5e8, which YAML does not take for a number, is one too."""
    number = value
    if isinstance(value, str):
        with suppress(ValueError):
            number = float(value)
    known = isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= LARGEST
    if not known or not least <= number <= most:
        bounds = f"from {least:g} to {most:,.10g}" if math.isfinite(most) else f"of at least {least:g}"
        raise InputError(where, f"a number {bounds}{f' ({unit})' if unit else ''}", value)
    return float(number)


def _near(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return f" (nearest: {', '.join(close)})" if close else f" (one of {', '.join(known)})"
