"""Why two mentions are, or are not, one: what each comparison of a pair adds to its match weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from splink.backends.duckdb import DuckDBAPI

from thresher.errors import InputError
from thresher.screening.resolution.linkage import Model, linker_of, settings


@dataclass(frozen=True, slots=True)
class Part:
    """What one comparison adds to the match weight of a pair, in bits: log2 of m over u, adjusted for rare values."""

    comparison: str
    words: str
    bits: float


@dataclass(frozen=True, slots=True)
class PairExplanation:
    """A pair of mentions, taken apart: the prior and the parts add up to ``match_weight`` (bits)."""

    left: str
    right: str
    prior_bits: float
    parts: tuple[Part, ...]
    match_weight: float
    probability: float


def explain_pair(
    mentions: pa.Table, frequencies: Mapping[str, pa.Table], model: Model, left: str, right: str
) -> PairExplanation:
    """Take a pair apart, whether the two share a candidate key or not.

    Raises
    ------
    InputError
        The records have no such mention, or both are the same.
    """
    if left == right:
        raise InputError("the pair", "two different mentions", left)
    sides = {}
    for name in (left, right):
        sides[name] = mentions.filter(pc.equal(mentions["unique_id"], name))
        if not len(sides[name]):
            raise InputError(
                "the pair", "mentions as `thresher resolve` lists them (party:ID, buyer:..., name:...)", name
            )
    api = DuckDBAPI(":memory:")
    first, second = api.register(sides[left]), api.register(sides[right])
    linker = linker_of(api, first, settings(model.levels, model.prior), frequencies)
    scored = linker.inference.score_pairs(first, second).as_record_list()
    (row,) = scored
    words = {(one.comparison, one.level): one.words for one in model.levels}
    order: dict[str, list[str]] = {}
    for one in model.levels:
        order.setdefault(one.comparison, []).append(one.level)
    parts = []
    for comparison, levels in order.items():
        gamma = row[f"gamma_{comparison}"]
        if gamma < 0:
            continue
        bits = row[f"mw_{comparison}"] + row.get(f"mw_tf_adj_{comparison}", 0.0)
        parts.append(Part(comparison, words[comparison, levels[len(levels) - 1 - gamma]], float(bits)))
    prior = math.log2(model.prior / (1.0 - model.prior))
    parts.sort(key=lambda part: -abs(part.bits))
    api._con.close()
    return PairExplanation(
        left, right, prior, tuple(parts), float(row["match_weight"]), float(row["match_probability"])
    )
