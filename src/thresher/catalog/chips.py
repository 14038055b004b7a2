"""AI chips: dense rates by number format, total processing performance, memory, power, price; each with its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache

from thresher.catalog._tables import look_up, nearest, read_rows, typed
from thresher.errors import InputError

BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "fp4": 4, "int8": 8}
"""Number formats of `Chip.rate_tflops`, and the bits of one value."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: rates are dense (no sparsity) in 10^12 operations a second, memory in GB; None where not known.

    ``fp16_tflops`` is the dense FP16 or BF16 rate with tensor cores at the accumulation that training uses (FP32);
    ``tpp`` is 2 x dense multiply-accumulates a second x bit length, in the units of the export rules: the largest over
    the formats, counted at the chip's fastest accumulation; ``memory_kind`` is HBM, GDDR or LPDDR.
    """

    chip: str
    name: str
    maker: str
    kind: str
    generation: str
    release_date: str
    fp16_tflops: float | None
    fp8_tflops: float | None
    fp4_tflops: float | None
    int8_tops: float | None
    tpp: float | None
    memory_gb: float | None
    memory_type: str
    memory_kind: str
    memory_bandwidth_tb_s: float | None
    tdp_w: float | None
    scale_up_gb_s: float | None
    price_usd: float | None
    price_date: str
    price_kind: str
    price_source: str
    spec_source: str
    confidence: str
    note: str

    def rate_tflops(self, number_format: str) -> float | None:
        """The dense rate in 10^12 operations a second for ``bf16``, ``fp16``, ``fp8``, ``fp4`` or ``int8``.

        Raises
        ------
        InputError
            A number format that the catalog does not know.
        """
        match number_format:
            case "bf16" | "fp16":
                return self.fp16_tflops
            case "fp8":
                return self.fp8_tflops
            case "fp4":
                return self.fp4_tflops
            case "int8":
                return self.int8_tops
        raise InputError("number format", f"one of {', '.join(BITS)}", number_format)


_NUMERIC = [field.name for field in fields(Chip) if field.type == "float | None"]


@cache
def chips() -> dict[str, Chip]:
    """All chips of the catalog by id, in the order of the file: by maker, then roughly by age."""
    return {row["chip"]: typed(Chip, row) for row in read_rows("chips.csv")}


def chip(name: str) -> Chip:
    """The chip of that id, in any case of letters.

    Raises
    ------
    InputError
        An unknown id, with the nearest known ones.
    """
    return look_up(chips(), name, "chip")


def filter_chips(
    rows: Iterable[Chip] | None = None,
    *,
    maker: str | None = None,
    kind: str | None = None,
    generation: str | None = None,
    memory_kind: str | None = None,
    at_least: dict[str, float] | None = None,
    at_most: dict[str, float] | None = None,
    released_from: str | None = None,
    released_to: str | None = None,
) -> list[Chip]:
    """The chips that meet every condition given; a chip whose figure is unknown meets no condition on it.

    Parameters
    ----------
    rows
        The chips to choose from; by default the whole catalog.
    maker, kind, generation, memory_kind
        Equal to the column, in any case of letters.
    at_least, at_most
        Bounds, inclusive, by numeric column, for instance ``{"memory_gb": 80}``.
    released_from, released_to
        First and last release date, inclusive: ``2022``, ``2022-09`` or ``2022-09-20``.

    Raises
    ------
    InputError
        A column that is not numeric, or a maker, kind, generation or memory kind that no chip has.
    """
    chosen = list(chips().values() if rows is None else rows)
    wanted = {"maker": maker, "kind": kind, "generation": generation, "memory_kind": memory_kind}
    for column, value in wanted.items():
        if value is not None:
            present = [getattr(one, column) for one in chips().values()]
            known = {name.lower(): name for name in present if name}
            if value.lower() not in known:
                raise InputError(column, f"a known {column}{nearest(value.lower(), known)}", value)
            chosen = [one for one in chosen if getattr(one, column).lower() == value.lower()]
    for column, low in (at_least or {}).items():
        chosen = [one for one in chosen if (figure := _figure(one, column)) is not None and figure >= low]
    for column, high in (at_most or {}).items():
        chosen = [one for one in chosen if (figure := _figure(one, column)) is not None and figure <= high]
    if released_from is not None:
        chosen = [one for one in chosen if one.release_date and one.release_date >= released_from]
    if released_to is not None:
        chosen = [one for one in chosen if one.release_date and one.release_date[: len(released_to)] <= released_to]
    return chosen


def _figure(one: Chip, column: str) -> float | None:
    if column not in _NUMERIC:
        raise InputError("column", f"a numeric column{nearest(column, _NUMERIC)}", column)
    return getattr(one, column)  # type: ignore[no-any-return]
