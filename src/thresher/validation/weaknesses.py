"""Where the models are weak, in words: one list, read by the documentation and by the lab."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter

from thresher.assessment.formats import number
from thresher.errors import InputError
from thresher.simulation import default
from thresher.sources import read_yaml
from thresher.validation.standing import keys

_FILE = "weaknesses.yaml"


@dataclass(frozen=True, slots=True)
class Weakness:
    """One weakness: its text (``**words**``, `` `names` ``, ``[page]``), and the parameters and comparisons it is about."""

    text: str
    parameters: tuple[str, ...]
    comparisons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Area:
    """The weaknesses of one part, under its title; ``numbered`` where their order says which matters most.

    ``page`` is the page of the documentation that lists them too.
    """

    page: str
    title: str
    numbered: bool
    weaknesses: tuple[Weakness, ...]


@cache
def areas() -> dict[str, Area]:
    """The parts of the program and where each is weak, by the page of the documentation.

    Raises
    ------
    InputError
        A parameter or a comparison that a weakness names and that there is not.
    """
    where = f"thresher/validation/data/{_FILE}"
    document = read_yaml(files("thresher.validation").joinpath("data", _FILE).read_text("utf-8"), where)
    return {
        page: Area(
            page, row["title"], row.get("numbered", False), tuple(_weakness(one, where) for one in row["weak"])
        )
        for page, row in document.items()
    }  # fmt: skip


def _weakness(row: dict[str, object], where: str) -> Weakness:
    known = default.quantities()
    text, parameters, comparisons = str(row["text"]), _names(row, "parameters"), _names(row, "comparisons")
    quoted = [name for _, name, _, _ in Formatter().parse(text) if name]
    for expected, named, there in (
        ("a parameter of the preset `default`", (*parameters, *quoted), known),
        ("a comparison", comparisons, keys()),
    ):
        if astray := [name for name in named if name not in there]:
            raise InputError(where, expected, astray[0])
    return Weakness(text.format_map({name: number(known[name].value) for name in quoted}), parameters, comparisons)


def _names(row: dict[str, object], key: str) -> tuple[str, ...]:
    found = row.get(key, ())
    return tuple(str(name) for name in found) if isinstance(found, (list, tuple)) else ()
