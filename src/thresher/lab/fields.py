"""What a person can set on a page: fields with bounds, read from an address, each wrong value told beside its field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import ImmutableMultiDict

from thresher.errors import InputError

NO_LINE = "none"
LONGEST_TEXT = 400
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
"""Thousands parted by commas; any other comma is refused, since some write decimals with it."""
MANY = 1e7
"""Numbers from here on may be written with a power of ten."""
TRUE = ("1", "true", "on", "yes")
FALSE = ("0", "false", "off", "no", "")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in the address, words, kind, unit, default, bounds or choices, and how it is shown.

    ``kind`` is ``number``, ``integer``, ``choice``, ``choices`` (several, a tuple), ``flag`` or ``text``. ``slider`` gives the
    ends of a slider beside the number (None: no slider), ``log`` whether it moves by factors. ``shown`` is the number that a
    blank stands for, where the default is None. ``unbounded`` says that ``none`` is allowed (no line), which is infinity.
    ``heading`` is the group that it stands under, ``option`` the command's option for it.
    """

    name: str
    label: str
    kind: str
    default: Any = None
    unit: str = ""
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: Sequence[tuple[str, str]] = ()
    help: str = ""
    slider: tuple[float, float] | None = None
    log: bool = False
    shown: float | None = None
    unbounded: bool = False
    heading: str = ""
    disabled: str = ""

    @property
    def expected(self) -> str:
        """What would be right, as a phrase."""
        match self.kind:
            case "choice" | "choices":
                return f"{'one' if self.kind == 'choice' else 'some'} of {', '.join(name for name, _ in self.choices)}"
            case "flag":
                return "yes or no"
            case "text":
                return f"at most {LONGEST_TEXT} characters"
        noun = "a whole number" if self.kind == "integer" else "a number"
        bounds = (
            f"from {self.minimum:,.10g} to {self.maximum:,.10g}"
            if math.isfinite(self.maximum)
            else f"of at least {self.minimum:g}"
        )
        return f"{noun} {bounds}{f' ({self.unit})' if self.unit else ''}{', or none' if self.unbounded else ''}"

    def read(self, texts: Sequence[str]) -> Any:
        """The value that texts of an address stand for; the default where there are none.

        Raises
        ------
        InputError
            The field, the text and what would be right.
        """
        given = [text.strip() for text in texts if text.strip()]
        if not given:
            return self.default
        if self.kind == "choices":
            known = [name for name, _ in self.choices]
            if astray := [text for text in given if text not in known]:
                raise InputError(self.label, self.expected, astray[0])
            chosen = tuple(name for name in known if name in given)
            return self.default if len(chosen) == len(known) and self.default == () else chosen
        return self._one(given[-1])

    def _one(self, text: str) -> Any:
        match self.kind:
            case "choice":
                good = text in [name for name, _ in self.choices]
            case "flag":
                good = text.lower() in (*TRUE, *FALSE)
            case "text":
                good = len(text) <= LONGEST_TEXT
            case _:
                return self._number(text)
        if not good:
            raise InputError(self.label, self.expected, text[:LONGEST_TEXT])
        return text.lower() in TRUE if self.kind == "flag" else text

    def _number(self, text: str) -> float | int:
        if self.unbounded and text.lower() == NO_LINE:
            return math.inf
        try:
            value = float(text.replace(",", "") if GROUPED.fullmatch(text) else text)
        except ValueError:
            value = math.nan
        whole = self.kind != "integer" or (math.isfinite(value) and value.is_integer())
        if not (math.isfinite(value) and self.minimum <= value <= self.maximum and whole):
            raise InputError(self.label, self.expected, text[:LONGEST_TEXT])
        return int(value) if self.kind == "integer" else value

    def text(self, value: Any) -> str:
        """A value as the address and the box have it; blank for the default where a blank stands for it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "1" if value else "0"
        if isinstance(value, float):
            return NO_LINE if math.isinf(value) else written(value)
        return str(value)


def written(value: float) -> str:
    """A number as it reads back, in the fewest characters: 2e9 rather than its zeros."""
    figures, exponent = f"{value:.9e}".split("e")
    brief = f"{figures.rstrip('0').rstrip('.')}e{int(exponent)}"
    forms = [f"{value:.10g}", repr(value), *([brief] if abs(value) >= MANY else [])]
    return min((form for form in forms if float(form) == value), key=len)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in: every field's value, the texts given, and what is wrong, by field."""

    fields: Mapping[str, Field]
    values: Mapping[str, Any]
    texts: Mapping[str, str]
    problems: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        """The value of a field."""
        return self.values[name]

    @property
    def query(self) -> list[tuple[str, Any]]:
        """The state for the address: what is not at its default."""
        found: list[tuple[str, Any]] = []
        for name, field in self.fields.items():
            value = self.values[name]
            if value == field.default:
                continue
            found += [(name, part) for part in value] if isinstance(value, tuple) else [(name, field.text(value))]
        return found

    @property
    def moved(self) -> tuple[str, ...]:
        """The names of the fields that are not at their default."""
        return tuple(dict.fromkeys(name for name, _ in self.query))

    @property
    def shown(self) -> dict[str, dict[str, str]]:
        """What stands in a blank box, by its id, where that may follow from other fields."""
        return {
            f"f-{name}": {"shown": field.text(float(field.shown)), "disabled": field.disabled, "help": field.help}
            for name, field in self.fields.items()
            if field.shown is not None
        }

    def groups(self) -> dict[str, list[Field]]:
        """The fields under their headings."""
        found: dict[str, list[Field]] = {}
        for field in self.fields.values():
            found.setdefault(field.heading, []).append(field)
        return found


def fill(fields: Sequence[Field], query: ImmutableMultiDict[str, str]) -> Filled:
    """Read a form from an address: a wrong value is told, and the field's default stands in for it."""
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    problems: dict[str, str] = {}
    for field in fields:
        given = query.getlist(field.name)
        texts[field.name] = given[-1][:LONGEST_TEXT] if given else ""
        try:
            values[field.name] = field.read(given)
        except InputError as error:
            values[field.name] = field.default
            problems[field.name] = str(error)
    return Filled({field.name: field for field in fields}, values, texts, problems)
