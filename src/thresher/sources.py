"""Where numbers come from: sources, quantities with unit and range, and the parameter files that hold them."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from thresher.errors import InputError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, with libyaml where it is there, that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A mapping whose keys are all different."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """The text of a person's file, a byte-order mark dropped; one that cannot be read, or is not UTF-8, is named."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(str(path), f"a file that can be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise InputError(str(path), f"text in UTF-8 (byte {error.start} is not)") from None
    except ValueError as error:
        raise InputError(str(path), f"a name that a file can have ({error})") from None


def read_yaml(text: str, where: str) -> Any:
    """Parse YAML; a syntax error or a key given twice names the file and the line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}", f"valid YAML ({error.problem})") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(where, f"valid YAML ({error})") from None


def read_table(package: str, file: str) -> list[dict[str, str]]:
    """The rows of a CSV file in a package's ``data`` folder, as text by column."""
    text = files(package).joinpath("data", file).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


HOW = ("read", "second-hand", "computed", "judgement")
DISTRIBUTIONS = ("pert", "lognormal", "fixed")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number was read.

    ``how`` is ``read`` (seen in the source itself), ``second-hand`` (quoted elsewhere), ``computed`` (derived here from
    cited data), or ``judgement`` (ours, argued in the note).
    """

    id: str
    title: str
    address: str
    how: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A sourced number: its value, unit, plausible range, the domain it was observed in, a note and its distribution.

    ``low`` and ``high`` bound the range a careful reader would accept; they equal ``value`` for definitions.
    ``distribution`` says how the range is read (`thresher.distributions.quantile`): ``pert``, as bounds about the mode
    ``value``; ``lognormal``, as the central 90% interval about the median ``value``; ``fixed``, not to be varied.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    source: Source
    observed: str
    note: str
    distribution: str


class Quantities(Mapping[str, Quantity]):
    """A parameter file, by name; ``values_only`` gives the bare numbers that the models take."""

    def __init__(self, rows: Mapping[str, Quantity], origin: str) -> None:
        self._rows = dict(rows)
        self.origin = origin

    def __getitem__(self, name: str) -> Quantity:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values_only(self) -> dict[str, float]:
        """The central values by name, as plain floats."""
        return {name: row.value for name, row in self._rows.items()}


@cache
def load_quantities(package: str, file: str) -> Quantities:
    """Read a parameter file that ships with the package.

    Parameters
    ----------
    package
        The package whose ``data`` folder holds the file, for instance ``thresher.training``.
    file
        The file's name, for instance ``parameters.yaml``.

    Raises
    ------
    InputError
        The file, and the parameter or source in it that is missing, malformed or cited but not listed.
    """
    where = f"{package.replace('.', '/')}/data/{file}"
    document = read_yaml(files(package).joinpath("data", file).read_text("utf-8"), where)
    return parse_quantities(document, where)


@cache
def parameter_files() -> dict[str, Quantities]:
    """Every parameter file that ships, by its path in the package (``training/data/physics.yaml``), sorted by path."""
    found = {}
    for path in sorted(Path(str(files("thresher"))).glob("*/data/*.yaml")):
        text = path.read_text("utf-8")
        if all(f"\n{key}:" in f"\n{text}" for key in ("sources", "parameters")):
            room = path.parent.parent.name
            found[f"{room}/data/{path.name}"] = load_quantities(f"thresher.{room}", path.name)
    return found


def parse_quantities(document: Any, where: str) -> Quantities:
    """Check a parameter document (``sources`` and ``parameters``) and give its quantities; see ``load_quantities``."""
    if not isinstance(document, dict) or not {"sources", "parameters"} <= document.keys():
        raise InputError(where, "the two keys `sources` and `parameters`")
    sources = {}
    for key, row in document["sources"].items():
        lacking = {"title", "address", "how"} - row.keys()
        if lacking or row["how"] not in HOW:
            raise InputError(f"{where}: sources.{key}", f"title, address and how (one of {', '.join(HOW)})", row)
        sources[key] = Source(key, row["title"], row["address"], row["how"])
    rows = {}
    for name, row in document["parameters"].items():
        here = f"{where}: {name}"
        missing = {"value", "unit", "source"} - row.keys()
        if missing:
            raise InputError(here, f"the keys value, unit and source (missing: {', '.join(sorted(missing))})")
        if row["source"] not in sources:
            raise InputError(f"{here}.source", f"one of {', '.join(sources)}", row["source"])
        try:
            value = float(row["value"])
            low, high = (float(edge) for edge in row.get("range", (value, value)))
        except (TypeError, ValueError):
            raise InputError(here, "a number, and a range of two numbers", [row["value"], row.get("range")]) from None
        if not low <= value <= high:
            raise InputError(f"{here}.range", f"two numbers around the value {value}", row.get("range"))
        rows[name] = Quantity(
            name,
            value,
            str(row["unit"]),
            low,
            high,
            sources[row["source"]],
            row.get("observed", ""),
            row.get("note", ""),
            _distribution(row.get("distribution"), low, value, high, f"{here}.distribution"),
        )
    return Quantities(rows, where)


def _distribution(word: Any, low: float, value: float, high: float, where: str) -> str:
    """The distribution a row asks for, checked against its range; without a word, ``pert`` where there is a range."""
    if word is None:
        return "pert" if low < high else "fixed"
    if word not in DISTRIBUTIONS:
        raise InputError(where, f"one of {', '.join(DISTRIBUTIONS)}", word)
    if word == "pert" and not low < high:
        raise InputError(where, "fixed, where no range is given", word)
    if word == "lognormal" and not 0 < low < value < high:
        raise InputError(where, f"a range of positive numbers on both sides of the value {value}, or pert", [low, high])
    return str(word)
