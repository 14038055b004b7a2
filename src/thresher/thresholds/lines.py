"""The lines that a sweep varies, and a rule with its lines replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np

from thresher.errors import InputError
from thresher.regime import ClusterClause, Regime, load_regime
from thresher.sources import read_yaml

Line = float | None
"""Where a line stands; None where there is none."""
Cell = Mapping[str, Line]
"""A line for every axis that is varied."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that a rule may draw a line at, and the lines to try, strictest first."""

    name: str
    title: str
    unit: str
    metric: str
    over: str
    values: tuple[Line, ...]


@cache
def settings() -> Mapping[str, Any]:
    """The numerical settings of sweeps, from ``data/design.yaml``."""
    text = files("thresher.thresholds").joinpath("data", "design.yaml").read_text("utf-8")
    document: Mapping[str, Any] = read_yaml(text, "thresher/thresholds/data/design.yaml")
    return document


def axes(vary: Sequence[str], values: Mapping[str, Sequence[Line]] | None = None) -> tuple[Axis, ...]:
    """The axes named, with the lines given or the usual ones.

    Raises
    ------
    InputError
        A name that is not an axis, one given twice, or a line that makes no sense.
    """
    known, given = settings()["axes"], dict(values or {})
    if not vary:
        raise InputError("--vary", f"one or more of {', '.join(known)}")
    for name in (*vary, *given):
        if name not in known:
            raise InputError("--vary" if name in vary else "--values", f"one of {', '.join(known)}", name)
    if twice := [name for name in set(vary) if list(vary).count(name) > 1]:
        raise InputError("--vary", "each axis once", twice[0])
    if astray := [name for name in given if name not in vary]:
        raise InputError("--values", f"an axis that --vary names ({', '.join(vary)})", astray[0])
    found = []
    for name in vary:
        row = known[name]
        lines = _checked(name, given.get(name, row["values"]))
        found.append(Axis(name, row["title"], row["unit"], row["metric"], row["over"], lines))
    count = int(np.prod([len(axis.values) for axis in found]))
    if count > settings()["most_cells"]:
        raise InputError("--values", f"at most {settings()['most_cells']:,} combinations of lines", f"{count:,}")
    return tuple(found)


def _checked(name: str, lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines in order of strictness, each once; null (no line) last."""
    for line in lines:
        check_line(name, line, f"--values {name}")
    if not lines:
        raise InputError(f"--values {name}", "at least one line")
    drawn = sorted({float(line) for line in lines if line is not None})
    return (*drawn, None) if None in lines else tuple(drawn)


def check_line(name: str, line: Line, where: str) -> None:
    """Refuse a line of an axis that is out of its bounds; ``where`` is what the refusal names."""
    low, high = settings()["bounds"][name]
    if line is not None and not low <= line <= high:
        raise InputError(where, f"lines from {low:g} to {high:g}, or none", line)


def parse_values(texts: Sequence[str]) -> dict[str, list[Line]]:
    """Lines as written on the command line: ``memory=320,640,none``, or ``compute=1:64:7`` for a geometric row of seven.

    Raises
    ------
    InputError
        The text, and what would be right.
    """
    found: dict[str, list[Line]] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        try:
            if not equals:
                raise ValueError
            if written.count(":") == 2:  # noqa: PLR2004 - low, high and how many
                low, high, count = written.split(":")
                if not (0 < float(low) < float(high) and 2 <= int(count) <= settings()["most_cells"]):  # noqa: PLR2004
                    raise ValueError
                lines: list[Line] = [
                    float(f"{value:.3g}") for value in np.geomspace(float(low), float(high), int(count))
                ]
            else:
                lines = [None if part.strip().lower() == "none" else float(part) for part in written.split(",")]
        except ValueError:
            expected = "AXIS=LINE,LINE,... or AXIS=LOW:HIGH:COUNT, for instance memory=320,640,1280,none"
            raise InputError("--values", expected, text) from None
        if name.strip() in found:
            raise InputError("--values", "the lines of each axis once", text)
        found[name.strip()] = lines
    return found


def cells(varied: Sequence[Axis]) -> list[Cell]:
    """Every combination of lines, strictest first."""
    return [
        dict(zip([axis.name for axis in varied], lines, strict=True))
        for lines in product(*(axis.values for axis in varied))
    ]


def strictest_first(combinations: Sequence[Cell]) -> list[Cell]:
    """Combinations of lines in order of their first line, then of the next."""
    return sorted(combinations, key=lambda cell: [height(line) for line in cell.values()])


def is_stricter(one: Cell, other: Cell) -> bool:
    """Whether every line of ``one`` is at or below that of ``other``: whatever ``one`` leaves possible, ``other`` does."""
    return all(height(one[name]) <= height(other[name]) for name in one)


def height(line: Line) -> float:
    """How loose a line is; no line is the loosest."""
    return np.inf if line is None else line


def label(cell: Cell) -> str:
    """A cell in words that name it for good: ``compute=16 memory=none``."""
    return " ".join(f"{name}={'none' if line is None else f'{line:.10g}'}" for name, line in cell.items())


def amended(regime: Regime, cell: Cell, option: str = "--vary") -> Regime:
    """A rule with the lines of a cell: a clause of the same measure is moved or dropped, a missing one is added.

    ``option`` is what a refusal names.

    Raises
    ------
    InputError
        A bandwidth line for a rule that does not count nodes together by their links.
    """
    clauses = list(regime.clauses)
    for name, line in cell.items():
        axis = axes([name])[0]
        clauses = (
            _with_bandwidth(regime, clauses, line, option)
            if axis.metric == "bandwidth"
            else _with_line(clauses, axis, line)
        )
    definitions = regime.definitions or load_regime("miri-2025").definitions
    return replace(regime, name=f"{regime.name} [{label(cell)}]", clauses=tuple(clauses), definitions=definitions)


def _with_line(clauses: list[Any], axis: Axis, line: Line) -> list[Any]:
    def same(clause: Any) -> bool:
        by_owner = isinstance(clause, ClusterClause) and clause.grouping.over == "owner"
        return isinstance(clause, ClusterClause) and clause.metric == axis.metric and by_owner == (axis.over == "owner")

    if line is None:
        return [clause for clause in clauses if not same(clause)]
    if not any(map(same, clauses)):
        return [*clauses, _new_clause(axis, line)]
    return [clause.model_copy(update={"threshold": line}) if same(clause) else clause for clause in clauses]


def _new_clause(axis: Axis, line: float) -> ClusterClause:
    counts = {"memory_kinds": settings()["memory_kinds"]} if axis.metric == "memory_gb" else None
    return ClusterClause.model_validate(
        {
            "id": axis.name, "kind": "cluster", "reference": "a line of one's own", "text": f"More than so much {axis.title}.",
            "metric": axis.metric, "comparison": ">", "threshold": line, "unit": axis.unit, "counts": counts,
            "grouping": {"over": axis.over},
        }
    )  # fmt: skip


def _with_bandwidth(regime: Regime, clauses: list[Any], line: Line, option: str) -> list[Any]:
    if regime.interconnect_limit_gbit_s is None:
        raise InputError(
            f"{option} bandwidth", f"a rule that counts nodes together by their links; {regime.name} does not"
        )

    def moved(clause: Any) -> Any:
        if not isinstance(clause, ClusterClause) or clause.grouping.interconnect_gbit_s_over is None:
            return clause
        return clause.model_copy(
            update={"grouping": clause.grouping.model_copy(update={"interconnect_gbit_s_over": line})}
        )

    return [moved(clause) for clause in clauses]
