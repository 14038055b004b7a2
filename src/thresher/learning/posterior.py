"""The posterior of what replicas cost in learning: draws of every family, and the weight of each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from thresher.errors import InputError
from thresher.learning.replica_families import FAMILIES
from thresher.learning.replica_model import parameter_names
from thresher.sources import read_text

REAL = ("replica_size_exponent", "replica_token_exponent", "irreducible", "streaming_gain")
"""The numbers that may be 0 or negative, beside the offsets; all others are above 0."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws by family and number, each an array of the family's draws, and the weights of the families, which sum to 1."""

    draws: Mapping[str, Mapping[str, np.ndarray]]
    weights: Mapping[str, float]


@cache
def load_posterior(path: Path | None = None) -> Posterior:
    """The posterior that ships, or a person's file of the same form.

    The families' weights are those that ship, shared out among the families that the file holds.

    Raises
    ------
    InputError
        The file, and the line and column in it that is wrong, its value, and what would be right.
    """
    if path is None:
        where, text = "thresher/learning/data/replica_posterior.csv", _shipped("replica_posterior.csv")
    else:
        where, text = str(path), read_text(Path(path))
    draws = _draws(text, where)
    weights = {family: family_weights()[family] for family in draws}
    total = sum(weights.values())
    return Posterior(draws, {family: weight / total for family, weight in weights.items()})


@cache
def family_table() -> Sequence[Mapping[str, str]]:
    """How the families compare: ``data/replica_families.csv``, row by row as text."""
    return tuple(csv.DictReader(io.StringIO(_shipped("replica_families.csv"))))


def family_weights() -> dict[str, float]:
    """The weight of each family, as it ships."""
    return {row["family"]: float(row["weight"]) for row in family_table()}


def _shipped(file: str) -> str:
    return files("thresher.learning").joinpath("data", file).read_text("utf-8")


def _draws(text: str, where: str) -> dict[str, dict[str, np.ndarray]]:
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise InputError(where, f"cells parted by commas ({error})") from None
    names, columns = parameter_names(), ("family", *parameter_names())
    if not rows or tuple(rows[0]) != columns:
        header = rows[0] if rows else []
        odd = [name for name in columns if name not in header] or [name for name in header if name not in columns]
        raise InputError(f"{where} line 1", f"the columns {', '.join(columns)}, in this order", odd or header)
    if len(rows) == 1:
        raise InputError(where, "at least one draw after the header")
    values: dict[str, list[list[float]]] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(columns):
            raise InputError(f"{where} line {line}", f"{len(columns)} cells, as in the header", len(row))
        if row[0] not in FAMILIES:
            raise InputError(f"{where} line {line}: family", f"one of {', '.join(FAMILIES)}", row[0])
        values.setdefault(row[0], []).append(
            [_number(cell, name, where, line) for name, cell in zip(names, row[1:], strict=True)]
        )
    return {
        family: dict(zip(names, np.asarray(values[family]).T.copy(), strict=True))
        for family in FAMILIES if family in values
    }  # fmt: skip


def _number(cell: str, name: str, where: str, line: int) -> float:
    signed = name in REAL or name.startswith("offset_")
    try:
        value = float(cell)
        if not math.isfinite(value) or not (signed or value > 0):
            raise ValueError
    except ValueError:
        expected = "a finite number" if signed else "a finite number above 0"
        raise InputError(f"{where} line {line}: {name}", expected, cell) from None
    return value
