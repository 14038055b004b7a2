"""How the catalog's tables become typed rows: a CSV with a header, blanks as None, ids looked up with a suggestion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from thresher.errors import InputError
from thresher.sources import read_table

Row = TypeVar("Row")

_CONVERT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "float | None": lambda cell: float(cell) if cell else None,
}


def read_rows(file: str) -> list[dict[str, str]]:
    """The rows of a CSV file that ships in the catalog's data folder, as text."""
    return read_table("thresher.catalog", file)


def typed(row_type: type[Row], text: Mapping[str, str]) -> Row:
    """Build a dataclass row from text by its annotations: ``str``, ``int``, ``float``, ``float | None`` if blank."""
    return row_type(
        **{field.name: _CONVERT[str(field.type)](text[field.name]) for field in fields(cast(Any, row_type))}
    )


def look_up(rows: Mapping[str, Row], name: Any, what: str) -> Row:
    """The row of that id, in any case; an unknown id is refused with the nearest known ones."""
    if isinstance(name, str) and name in rows:
        return rows[name]
    by_lower = {known.lower(): known for known in rows}
    lower = str(name).lower()
    if lower in by_lower:
        return rows[by_lower[lower]]
    raise InputError(what, f"a known {what}{nearest(lower, by_lower)}", name)


def nearest(name: str, known: Mapping[str, str] | Sequence[str]) -> str:
    """A phrase that ends an "expected ...": the ids nearest to ``name``, or all when none is near.

    ``known`` is a list of ids, or a mapping from what is compared (lower case) to the id as written.
    """
    names = known if isinstance(known, Mapping) else dict(zip(known, known, strict=True))
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f" (nearest: {', '.join(names[one] for one in close)})"
    return f" (one of {', '.join(names.values())})"
