"""The charts of the pages: a Vega-Lite specification each, under ``charts/``, and the rows that a page gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from thresher.result import plain

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on a page: the name of its specification, an id on its page, a title, a sentence, and its rows.

    ``more`` holds further named data sets of the specification, beside ``rows``.
    """

    spec: str
    title: str
    caption: str
    rows: Sequence[Row]
    id: str = ""
    more: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """The data sets as plain JSON data, ``rows`` among them; what is not finite is null."""
        found: dict[str, Any] = plain({"rows": self.rows, **self.more})
        return found

    @property
    def name(self) -> str:
        """What its downloads are called."""
        return self.id or self.spec


def specification(name: str) -> dict[str, Any] | None:
    """The specification of a chart by its name; None where there is none."""
    return _read(name) if name in names() else None


@cache
def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_folder().joinpath(f"{name}.vl.json").read_text("utf-8"))
    return found


@cache
def names() -> tuple[str, ...]:
    """The charts there are."""
    return tuple(sorted(entry.name.removesuffix(".vl.json") for entry in _folder().iterdir()))


def _folder() -> Any:
    return files("thresher.lab").joinpath("charts")
